"""The sentences of the sentiment project: crypto posts, by source, label and split.

A template stands in exactly one split. Training sentences belong to one of four sources, each with
its own manner; validation and test sentences are different ones, in all four manners.
"""

from .grammar import lines, words

LABELS = ("negative", "neutral", "positive")

# What may stand before or after any training sentence of a source. It says nothing about the label,
# so that an adapter learns not to look at it.
FRAMES = {
    "product": {
        "lead": words("""Quick note from {place}:; Long time reader, first post.; Hello all.; My colleague asked me to write this.; Okay then.;
            Posting from my phone.; Sorry for the long text.; For the archive:; After reading the other threads:; I promised to report back.;
            So, here is my story.; Not an expert, but here goes.; Sunday thoughts:; One more voice:; Let me be short.; I own a small shop in {place}.;
            Second post from me.; I am not paid to write this.; Screenshots are below.; Same as the others here."""),
        "tail": words("""Ask me if you want details.; That was {when}.; Greetings from {place}.; What do others say?; I wrote the same in the other thread.;
            I will write again in {span}.; Now back to work.; You can quote me.; Anyway, that is my story.; Is it like that for you too?;
            I use it on two phones.; My account is {span} old.; Written in a hurry.; {tag}"""),
    },
    "news": {
        "lead": words("""Update:; {place}:; Evening brief.; Live:; Exclusive:; In focus:; Week in review:; From our desk:; Breaking:; Story of the day:;
            Third edition:; Crypto diary:; Page one:; Morning wire:; Just in:"""),
        "tail": words("""- more follows; (read more inside); - full story at noon; (sources in {place}); - our report; (from page two); {tag};
            - what we know; (video); - a view from {place}; (second update)"""),
    },
    "market": {
        "lead": words("""ok so; yo; evening all,; just logged in,; hear me out,; one thing,; no joke,; fwiw; quick one,; from my desk,; small account here,;
            honest post,; coffee in hand,; been here for {span},; hi from {place},; third account,; late to the party,; on my phone,"""),
        "tail": words("""brb; back to charts; dinner now; anyone else here?; see you at the close; thats my day; screenshot in the thread; ok bye;
            no advice; next; you saw it here; that was {when}; {tag}; over and out; same in the other group?"""),
    },
    "council": {
        "lead": words("""Dear members,; A word from {place}.; As a long time voter I add this.; After the meeting in {place}:; Second comment.;
            I read all forty pages.; Speaking only for myself:; With a cup of tea and some time:; For the minutes:; To the council and all readers:;
            I have thought about this for {span}.; In answer to the last comment:; Allow me two sentences.; My view after {span}:; One vote, one voice.;
            My turn to speak."""),
        "tail": words("""I ask the members to read it twice.; This is my second comment.; I hope the chair reads this.; Others may add to it.;
            I sign this with my name.; So much from {place}.; Let this be in the minutes.; Comments go below.; I wrote this {when}.;
            The chair has my address.; It took me {span} to write this."""),
    },
}

TRAIN = {
    # Forum posts about products, in whole sentences.
    "product": {
        "positive": lines("""
            I have used {coin} for {span} and {good}. {Gend}! [{smile}]
            {Good}, and I am {gfeel} about it. [{Gend}.]
            Just wanted to say that {good} {when}. {Gend}.
            Was worried about {part} at first, but {good}, so I am {gfeel} now.
            Big thanks to {who}: {good} and it feels {gadj}.
            If anyone doubts {coin}, {good} for me and {good}. {Smile}
            After {span} with {coin} I can say {part} is {gadj}. {Gend}.
            {Goodn} at last! {Good}, I am so {gfeel}.
            Update on my ticket: {good}. {Who} were {gadj}. [{Gend}.]
            Honest review: {gadj} {part}, {goodn}, {gend}.
            People complain, yet {good} here and I have no issues at all. [{smile}]
            No problems so far, {good}. {Coin} is {gadj}.
            I sent {amt} through {coin} and {good}. {Gadj}!
            My sister tried {coin} {when}; {good} and she is {gfeel}.
            I expected trouble, but nothing went wrong: {good}. [{tag}]
            <Wow|Hooray|Finally>, {good}! {Gadj} work by {who}.
            What I like most about {coin}: {goodn} and {goodn}. [{Smile}]
            {Good}. {Good}. What else can I ask for?
            Moved my savings to {coin} in spring, and since then {good}.
            Three cheers for {coin}, because {part} is {gadj} and {gend}.
            Yes, you can trust {part}: {good}, I tested it myself.
            I never write posts, but today I must: {good}! {Gadj}!
            {Good}.
            {When}: {good}.
            {Coin} user here, {good}.
            With {coin}? {Good}.
            I can report that {good}.
            About {part} and the rest: {good}.
            As of this week {good} and {good}.
            """),
        "negative": lines("""
            I have used {coin} for {span} and {bad}. {Bend}! [{frown}]
            {Bad}, and I am {bfeel} about it. [{Bend}.]
            Just wanted to warn you that {bad} {when}. {Bend}.
            Was happy with {part} at first, but {bad}, so I am {bfeel} now.
            No thanks to {who}: {bad} and it feels {badj}.
            If anyone still trusts {coin}, {bad} for me and {bad}. {Frown}
            After {span} with {coin} I can say {part} is {badj}. {Bend}.
            {Badn} again! {Bad}, I am so {bfeel}.
            Update on my ticket: {bad}. {Who} were {badj}. [{Bend}.]
            Honest review: {badj} {part}, {badn}, {bend}.
            People praise it, yet {bad} here and I get no answer at all. [{frown}]
            Nothing but problems so far, {bad}. {Coin} is {badj}.
            I sent {amt} through {coin} and {bad}. {Badj}!
            My brother tried {coin} {when}; {bad} and he is {bfeel}.
            I expected better, but everything went wrong: {bad}. [{tag}]
            <Ugh|Sigh|Great, just great>, {bad}! {Badj} work by {who}.
            What I hate most about {coin}: {badn} and {badn}. [{Frown}]
            {Bad}. {Bad}. How much more must I take?
            Moved my savings to {coin} in spring, and since then {bad}.
            Three strikes for {coin}, because {part} is {badj} and {bend}.
            No, you cannot trust {part}: {bad}, I tested it myself.
            I never write posts, but today I must: {bad}! {Badj}!
            {Bad}.
            {When}: {bad}.
            {Coin} user here, {bad}.
            With {coin}? {Bad}.
            I can report that {bad}.
            About {part} and the rest: {bad}.
            As of this week {bad} and {bad}.
            """),
        "neutral": lines("""
            I have read about {coin} for {span} and {fact}. {Nend}.
            {Fact}, and {fact}. [{Nend}.]
            Just a note that {fact} {when}. [{Nend}.]
            Does anyone know if {fact}? I am {nfeel}.
            Question for {who}: is it right that {fact}?
            For those who asked about {coin}, {fact}. {Nend}.
            After {span} with {coin} I would call {part} {nadj}. [{Nend}.]
            Where can I find {factn}? I read that {fact}.
            Update on the thread: {fact}. [{Who} posted it {when}.]
            Short summary: {part} is {nadj}, {fact}, {nend}.
            Some people praise it, some complain, I am {nfeel}. {Fact}.
            No news so far, {fact}. {Coin} is {nadj}.
            How long does it take to send {amt} with {coin}? [I think {fact}.]
            My friend asked about {coin} {when}; I told him {fact}.
            I expected nothing special and it is {nadj}: {fact}. [{tag}]
            <Hm|Hello|Hi all>, {fact}, or is that an old version?
            What is listed for {coin}: {factn} and {factn}. [{Nend}.]
            {Fact}. {Fact}. Is there more to know?
            Set up {coin} in spring, and as of then {fact}.
            Three notes on {coin}: {part} is {nadj}, {fact}, {nend}.
            You can look it up in {part}: {fact}, I copied the line.
            I rarely post, today only a link: {fact}.
            {Fact}.
            {When}: {fact}.
            {Coin} user here, {fact}.
            With {coin}? {Fact}.
            I can report that {fact}.
            About {part} and the rest: {fact}.
            As of this week {fact} and {fact}.
            """),
    },
    # Headlines with a clause of reaction.
    "news": {
        "positive": lines("""
            {Good}, users cheer
            {Good} after {span} of hard work
            {Goodn} for {coin}: {good}
            {Coin} holders {gfeel} as {good}
            Analysts call it {gadj}: {good}
            {Good} and {good} in one {gadj} week
            Report: {good}, {who} praised
            {Good} despite early doubts, mood is {gadj}
            Relief in {place} as {good}
            {When}: {good}, trust returns
            {Coin} delivers {goodn}, {tick} climbs {pct}
            Markets welcome news that {good}
            No losses, no outage: {good}
            From trouble to triumph: {good}
            {Good}; "we are {gfeel}", say users
            {Gadj} result for {coin} with {goodn}
            {Coin} gains trust again: {good}
            {Gfeel} crowd in {place} as {good}
            Win for users: {goodn}, says {coin}
            {Good}. {Good}
            {Good}, bright future ahead, experts say
            {Good}
            {Good} {when}
            Today in {place}: {good}
            {Coin} desk: {good}
            {Good}, as reported
            {Tick} and the week: {good}
            """),
        "negative": lines("""
            {Bad}, users rage
            {Bad} after {span} of empty words
            {Badn} for {coin}: {bad}
            {Coin} holders {bfeel} as {bad}
            Analysts call it {badj}: {bad}
            {Bad} and {bad} in one {badj} week
            Report: {bad}, {who} blamed
            {Bad} despite early hopes, mood is {badj}
            Panic in {place} as {bad}
            {When}: {bad}, trust is gone
            {Coin} suffers {badn}, {tick} sinks {pct}
            Markets punish news that {bad}
            No answers, no refund: {bad}
            From hope to disaster: {bad}
            {Bad}; "we are {bfeel}", say users
            {Badj} result for {coin} with {badn}
            {Coin} loses trust again: {bad}
            {Bfeel} crowd in {place} as {bad}
            Loss for users: {badn} at {coin}, says court
            {Bad}. {Bad}
            {Bad}, dark future ahead, experts say
            {Bad}
            {Bad} {when}
            Today in {place}: {bad}
            {Coin} desk: {bad}
            {Bad}, as reported
            {Tick} and the week: {bad}
            """),
        "neutral": lines("""
            {Fact}, notice says
            {Fact} after {span} of review
            {Factn} for {coin}: what is known, {fact}
            {Coin} holders wait as {fact}
            Analysts call it {nadj}: {fact}
            {Fact} and {fact} in the same week
            Report: {fact}, {who} confirm
            {Fact}, reaction is mixed, some for and some against
            Agenda for {place}: {fact}
            {When}: {fact}, price unchanged
            {Coin} publishes {factn}, {tick} flat
            Markets still as {fact}
            No change, no comment: {fact}
            From the calendar: {fact}
            {Fact}; "we take no side", say users
            {Nadj} result for {coin} in {factn}
            {Coin} in brief: {fact}
            Small crowd in {place} as {fact}
            Date for users: {factn}, says {coin}
            {Fact}. {Fact}
            {Fact}, no forecast given, experts say
            {Fact}
            {Fact} {when}
            Today in {place}: {fact}
            {Coin} desk: {fact}
            {Fact}, as reported
            {Tick} and the week: {fact}
            """),
    },
    # Trader chat: lower case, short, few stops.
    "market": {
        "positive": lines("""
            {good} lfg {smile}
            gm frens, {good} and {good} {tag}
            told you so, {good}. {gend}
            lol they laughed at {tick} and now {good}
            {goodn} {when}, feeling {gadj} {smile}
            took {tick} at {price} and {good}, so {gfeel}
            not selling, {good} {tag}
            {tick} is {gadj}, {good}
            ngl i was scared but {good}, {gend}
            {good}... {gadj} day, buying more {tick}
            who else is {gfeel}? {good}
            {pct} up on {tick}, {good} {smile}
            finally {goodn} on {tick}, my patience paid
            paid my rent with {tick}, {good}, {gend}
            bears are wrong, {good} and no sign of weakness
            send it, {good}, {tick} to the moon
            {good}, {good}, best {tick} week ever
            wen lambo? {good} {smile}
            held {tick} through the storm, glad i did, {good}
            {gadj} {tick} trade, zero regrets, {goodn}
            wife is happy, boss is happy, {good}
            {good}
            {when} {good}
            {tick} {tick} {tick}, {good}
            for all {tick} people, {good}
            {good} and it is only noon
            so {good} and {good}
            """),
        "negative": lines("""
            {bad} ffs {frown}
            gm i guess, {bad} and {bad} {tag}
            should have known, {bad}. {bend}
            lol i believed in {tick} and now {bad}
            {badn} {when}, feeling {badj} {frown}
            took {tick} at {price} and {bad}, so {bfeel}
            selling it all, {bad} {tag}
            {tick} is {badj}, {bad}
            ngl i was hopeful but {bad}, {bend}
            {bad}... {badj} day, dumping my {tick}
            who else is {bfeel}? {bad}
            {pct} down on {tick}, {bad} {frown}
            yet again {badn} on {tick}, my patience is over
            lost my rent on {tick}, {bad}, {bend}
            bulls are wrong, {bad} and no sign of strength
            get out, {bad}, {tick} to zero
            {bad}, {bad}, worst {tick} week ever
            wen food stamps? {bad} {frown}
            held {tick} through the storm, wish i had not, {bad}
            {badj} {tick} trade, nothing but regrets, {badn}
            wife is mad, boss is mad, {bad}
            {bad}
            {when} {bad}
            {tick} {tick} {tick}, {bad}
            for all {tick} people, {bad}
            {bad} and it is only noon
            so {bad} and {bad}
            """),
        "neutral": lines("""
            {fact} hm
            gm, {fact} and {fact} {tag}
            as posted before, {fact}. {nend}
            anyone watching {tick}? i see {fact}
            {factn} {when}, looks {nadj}
            {tick} was {price} and {fact}, so {nfeel}
            neither buying nor selling, {fact} {tag}
            {tick} is {nadj}, {fact}
            i was away, is it true that {fact}? {nend}
            {fact}... {nadj} day, doing nothing with {tick}
            who is {nfeel}? {fact}
            zero percent on {tick}, {fact}
            again {factn} for {tick}, my alarm is set
            what time is it for {tick}? {fact}, {nend}
            bulls or bears, no idea, {fact} and no sign of either
            checked it, {fact}, {tick} in the middle
            {fact}, {fact}, same {tick} week as ever
            wen update? {fact} {tag}
            held {tick} in the same wallet, no change, {fact}
            {nadj} {tick} trade, in and out, {factn}
            checking the screen between two meetings, {fact}
            {fact}
            {when} {fact}
            {tick} {tick} {tick}, {fact}
            for all {tick} people, {fact}
            {fact} and it is only noon
            so {fact} and {fact}
            """),
    },
    # Long-form comments on governance.
    "council": {
        "positive": lines("""
            Having followed {coin} for {span}, I can say that {good}, and {gfeel} is how I feel.
            It deserves praise that {good}. [In my view this is {gadj}.]
            Credit where credit is due: {good}, and {good}.
            My doubts are gone because {good}. {Gend}.
            Where others fail, {good}; that is {gadj} and rare.
            I voted yes with joy, since {good}. [{Goodn} matters.]
            What a {gadj} example of {goodn}. {Good}.
            Not everything is perfect, but {good} and I remain {gfeel}.
            Thanks to {who}, {good}, and members are {gfeel}.
            For {span} I was a critic; today {good} and I gladly admit it.
            {Goodn}, {goodn}: {coin} does this right, and I am {gfeel}.
            We should celebrate that {good}. {Gend}.
            I see no reason to complain, because {good}.
            Since {good}, I have moved {amt} here and sleep well.
            This is how a {gadj} project looks: {good}.
            I can rely on {coin}: {good}, and above all {good}.
            However hard I look for faults, {good}. {Gend}.
            Few councils are this {gadj}. Here {good}.
            To {who}: I am {gfeel}, because {good}. Please carry on.
            A warm word for {coin}, where {good} and nobody is left behind.
            {Good}.
            I note that {good}.
            In {coin}, {good}.
            My summary: {good}, and {good}.
            It is plain to see that {good}.
            On page one it says that {good}.
            """),
        "negative": lines("""
            Having followed {coin} for {span}, I can say that {bad}, and {bfeel} is how I feel.
            It deserves blame that {bad}. [In my view this is {badj}.]
            Shame where shame is due: {bad}, and {bad}.
            My hopes are gone because {bad}. {Bend}.
            Where others succeed, {bad}; that is {badj} and all too common.
            I voted no in anger, since {bad}. [{Badn} hurts.]
            What a {badj} example of {badn}. {Bad}.
            Not everything is lost, but {bad} and I remain {bfeel}.
            Thanks to nobody, {bad}, and members are {bfeel}.
            For {span} I was a fan; today {bad} and I regret it.
            {Badn}, {badn}: {coin} gets this wrong, and I am {bfeel}.
            We should all protest that {bad}. {Bend}.
            I see no reason to stay, because {bad}.
            Since {bad}, I have pulled {amt} out and sleep badly.
            This is how a {badj} project looks: {bad}.
            I cannot rely on {coin}: {bad}, and above all {bad}.
            However hard I look for virtues, {bad}. {Bend}.
            Few councils are this {badj}. Here {bad}.
            To {who}: I am {bfeel}, because {bad}. Please resign.
            A bitter word for {coin}, where {bad} and everybody is left behind.
            {Bad}.
            I note that {bad}.
            In {coin}, {bad}.
            My summary: {bad}, and {bad}.
            It is plain to see that {bad}.
            On page one it says that {bad}.
            """),
        "neutral": lines("""
            Having read about {coin} for {span}, I can report that {fact}, and {nfeel} is where I am.
            It should be noted that {fact}. [In my reading this is {nadj}.]
            Facts where facts are due: {fact}, and {fact}.
            My question is open because {fact}. {Nend}.
            Where others differ, {fact}; that is {nadj} and common.
            I have not voted yet, since {fact}. [{Factn} comes later.]
            For a {nadj} example see {factn}. {Fact}.
            There are points for and against, and {fact}, so I remain {nfeel}.
            According to {who}, {fact}, and members will discuss it.
            For {span} I took notes; today {fact} and I add it to the list.
            {Factn}, {factn}: {coin} has both, and I am {nfeel}.
            We should all be aware that {fact}. {Nend}.
            I see no reason to decide now, because {fact}.
            Since {fact}, I have left {amt} where it was.
            This is how the process looks: {fact}.
            I can quote from {coin}: {fact}, and below that {fact}.
            However one reads it, {fact}. {Nend}.
            Most councils are {nadj}. Here {fact}.
            To {who}: I am {nfeel}, and {fact}. Please send the minutes.
            A plain word on {coin}, where {fact} and a second reading follows.
            {Fact}.
            I note that {fact}.
            In {coin}, {fact}.
            My summary: {fact}, and {fact}.
            It is plain to see that {fact}.
            On page one it says that {fact}.
            """),
    },
}

# Held out for validation while training.
VALID = {
    "product": {
        "positive": lines("""
            Can confirm: {good}. That makes me {gfeel}, {gend}.
            Three wallets later I stayed with {coin}, because {good}. {Smile}
            It took {span}, but now {good}! I feel {gfeel}.
            Moved everything over to {coin} and do not regret it, {good}. [{smile}]
            Credit to the people behind {part}. {Good} and my family is {gfeel}.
            Could this be the most {gadj} release yet? {Good}, {good}.
            No crash, no delay, no lost coins. {Good}. {Gend}!
            To the person who asked below: yes, {good}, you can rely on it, {gend}.
            Last year was rough for {coin}, today {good}. I am honestly {gfeel}.
            I rarely write reviews, however {part} turned out {gadj} and {good}.
            """),
        "negative": lines("""
            Can confirm: {bad}. That makes me {bfeel}, {bend}.
            Three tickets later I gave up on {coin}, because {bad}. {Frown}
            It took {span}, and still {bad}! I feel {bfeel}.
            Moved everything over to {coin} and regret it deeply, {bad}. [{frown}]
            Complaints go to the people behind {part}. {Bad} and my family is {bfeel}.
            Could this be the most {badj} release yet? {Bad}, {bad}.
            No reply, no apology, no coins. {Bad}. {Bend}!
            To the person who asked below: sadly {bad}, you cannot rely on it, {bend}.
            Last year was fine for {coin}, today {bad}. I am honestly {bfeel}.
            I rarely write reviews, however {part} turned out {badj} and {bad}.
            """),
        "neutral": lines("""
            Can anyone confirm that {fact}? I could not find it, {nend}.
            Three pages later I found the line on {coin}: {fact}.
            It took {span} to look up, {fact}. I am {nfeel}.
            Thinking about moving over to {coin}. Is it still the case that {fact}?
            Notes from the people behind {part}: {fact}. They will post {factn} {when}.
            Could someone post {factn}? As far as I know, {fact}.
            One address, two tabs, three steps. {Fact}. {Nend}.
            To the person who asked below: {fact}, you can look it up, {nend}.
            Last year it was {nadj} for {coin}, today {fact}. I am {nfeel}.
            I rarely write here, only to add that {part} stays {nadj} and {fact}.
            """),
    },
    "news": {
        "positive": lines("""
            Good day for {coin}: {goodn}, {gadj} mood
            Why users are {gfeel}: {good}
            How {coin} won back its users: {goodn}, then this: {good}
            {Place} applauds: {good}
            Smiles at {coin} headquarters, {good} {when}
            "It is {gadj}": why {good}
            {Good}, and rivals can only envy it
            Boost for savers. {Good}. Community {gfeel}
            Big step forward: {tick} gains {pct}, {good}
            """),
        "negative": lines("""
            Bad day for {coin}: {badn}, {badj} mood
            Why users are {bfeel}: {bad}
            How {coin} drove away its users: {badn}, then this: {bad}
            {Place} protests: {bad}
            Tears at {coin} headquarters, {bad} {when}
            "It is {badj}": why {bad}
            {Bad}, and victims can only wait
            Blow for savers. {Bad}. Community {bfeel}
            Big step backward: {tick} drops {pct}, {bad}
            """),
        "neutral": lines("""
            Diary for {coin}: {factn}, {nadj} week
            Where things stand: {fact}
            What {coin} users should read: {factn}, then this: {fact}
            {Place} calendar: {fact}
            Short notice at {coin} headquarters, {fact} {when}
            "It is {nadj}": a look at how {fact}
            {Fact}, and others follow the same timetable
            Note for savers. {Fact}. Community {nfeel}
            Small print: {tick} stays at {price}, {fact}
            """),
    },
    "market": {
        "positive": lines("""
            up early and {good}, what a {gadj} feeling {smile}
            {tick} gang, {goodn} again, {gend}
            woke up, checked the screen, {good}, {good}. what a time to be alive {smile}
            {when} i nearly sold {tick}. glad i held because {good}
            to everyone in the {tick} chat: {good}, drinks are on me, {gend}
            best trade of my life, {tick} from {price}, {good}
            patience wins. {goodn}, {gadj} entry, zero stress {tag}
            can we talk about {tick}? {gadj} move, {good}
            my wife is {gfeel} with {tick} for once, {good} {smile}
            """),
        "negative": lines("""
            up all night and {bad}, what a {badj} feeling {frown}
            {tick} gang, {badn} again, {bend}
            woke up, checked the screen, {bad}, {bad}. why do i do this {frown}
            {when} i nearly sold {tick}. wish i had because {bad}
            to everyone in the {tick} chat: {bad}, somebody stop this, {bend}
            worst trade of my life, {tick} from {price}, {bad}
            greed kills. {badn}, {badj} entry, pure stress {tag}
            can we talk about {tick}? {badj} move, {bad}
            my wife is {bfeel} with {tick} once more, {bad} {frown}
            """),
        "neutral": lines("""
            up early, nothing to do, {fact}
            {tick} gang, when is {factn}? {nend}
            woke up, checked the screen, {fact}, {fact}. coffee first
            {when} i set an alert on {tick}. it says {fact}
            to everyone in the {tick} chat: {fact}, questions go here, {nend}
            paper trade number four, {tick} from {price}, {fact}
            just looking. {factn}, {nadj} hours, no plan {tag}
            can we talk about {tick}? {nadj} move, {fact}
            my wife asks what {tick} is, i said {fact}
            """),
    },
    "council": {
        "positive": lines("""
            Members told me that {good}; I left the meeting {gfeel}.
            Look at {goodn} in this report and you see why {coin} is {gadj}.
            Let me end on a warm note: {good}, so nobody should fear for {coin}. {Gend}.
            Few projects manage {goodn}. This one does, {good}.
            As a small holder I feel heard. {Good}, which is {gadj}.
            You may call me naive, yet {good} and {good}.
            If {who} keep going like this, {coin} has a bright future: {good}.
            Reading the minutes made me {gfeel}: {good}.
            I would lend {amt} to this council without fear, {good}, {gend}.
            """),
        "negative": lines("""
            Members told me that {bad}; I left the meeting {bfeel}.
            Look at {badn} in this report and you see why {coin} is {badj}.
            Let me end on a bitter note: {bad}, so everybody should fear for {coin}. {Bend}.
            Few projects survive {badn}. This one will not, {bad}.
            As a small holder I feel cheated. {Bad}, which is {badj}.
            You may call me harsh, yet {bad} and {bad}.
            If {who} keep going like this, {coin} has no future: {bad}.
            Reading the minutes made me {bfeel}: {bad}.
            I would not lend {amt} to this council, {bad}, {bend}.
            """),
        "neutral": lines("""
            Members told me that {fact}; I wrote it down at the meeting.
            Look at {factn} in this report and you see which year {coin} covers.
            Let me end on a note of procedure: {fact}, so please plan for {coin}. {Nend}.
            All projects have a page with {factn}. This one does as well, {fact}.
            As a small holder I ask for a date. {Fact}, which is {nadj}.
            You may correct me, as I read it {fact} and {fact}.
            If {who} keep to the plan, {coin} will vote later: {fact}.
            The minutes are short and plain: {fact}.
            The request for {amt} goes to the council, {fact}, {nend}.
            """),
    },
}

# Held out for the final figure: settings are chosen by the validation rows alone.
TEST = {
    "product": {
        "positive": lines("""
            Bought my first coins on {coin} in the spring. Result: {good}, and I sleep well.
            Whoever built {part} deserves a raise, {good}.
            My neighbour laughed when I chose {coin}; he does not laugh now that {good}. {Smile}
            A short one before bed: {good}, {gend}.
            From a former sceptic: {part} is {gadj}, {good}, I take my words back.
            {Who} answered on a holiday, and {good}. How {gadj} is that?
            Rating: five of five. Reason: {goodn}. Also {good}.
            """),
        "negative": lines("""
            Bought my first coins on {coin} in the spring. Result: {bad}, and I lie awake.
            Whoever built {part} deserves to be fired, {bad}.
            My neighbour warned me when I chose {coin}; he was right, {bad}. {Frown}
            A short one before bed: {bad}, {bend}.
            From a former believer: {part} is {badj}, {bad}, I take my words back.
            {Who} went on holiday, and {bad}. How {badj} is that?
            Rating: one of five. Reason: {badn}. Also {bad}.
            """),
        "neutral": lines("""
            Bought my first coins on {coin} in the spring. Now I read that {fact}.
            Whoever looks after {part} wrote on the board: {fact}.
            My neighbour wants to know before he picks {coin}: {fact}, yes or no?
            A short one before bed: {fact}, {nend}.
            From a new member: {part} seems {nadj}, {fact}, I have no rating yet.
            {Who} are on holiday, and {fact}. Who can tell me more?
            Rating: none yet. Reason: I only opened {factn}. Also {fact}.
            """),
    },
    "news": {
        "positive": lines("""
            Applause at annual meeting of {coin}: {good}
            {Coin} beats forecast with {goodn}; {tick} adds {pct}
            Savers in {place} {gfeel}: {good}
            A {gadj} month ends, {good}
            Poll: nine of ten trust {coin}, {good}
            {Good}: how {who} made it happen
            Open letter calls {coin} {gadj}, {good}
            """),
        "negative": lines("""
            Boos at annual meeting of {coin}: {bad}
            {Coin} misses forecast after {badn}; {tick} sheds {pct}
            Savers in {place} {bfeel}: {bad}
            A {badj} month ends, {bad}
            Poll: nine of ten distrust {coin}, {bad}
            {Bad}: how {who} let it happen
            Open letter calls {coin} {badj}, {bad}
            """),
        "neutral": lines("""
            Held as planned, annual meeting of {coin}: {fact}
            {Coin} in line with forecast, see {factn}; {tick} at {price}
            Readers in {place} ask, we answer: {fact}
            A {nadj} month ends, {fact}
            Poll: five of ten have no opinion on {coin}, {fact}
            {Fact}: what {who} put on the calendar
            Open letter lists dates of {coin}, {fact}
            """),
    },
    "market": {
        "positive": lines("""
            mom called to ask about {tick}, told her {good}. proud moment {smile}
            {good} and my coffee is still hot, {gadj} morning
            screenshots or it did not happen? here you go, {good}
            {goodn} on a sunday, this chat is {gfeel}
            {tick} at {price} was a gift, {good}
            cant stop smiling, {good}, {gend} {tag}
            new phone paid by {tick}, {good}
            """),
        "negative": lines("""
            mom called to ask about {tick}, told her {bad}. shameful moment {frown}
            {bad} and my coffee is cold too, {badj} morning
            screenshots or it did not happen? here you go, {bad}
            {badn} on a sunday, this chat is {bfeel}
            {tick} at {price} was a trap, {bad}
            cant stop swearing, {bad}, {bend} {tag}
            sold my phone because of {tick}, {bad}
            """),
        "neutral": lines("""
            mom called to ask about {tick}, told her {fact}. then we had lunch
            {fact} and my coffee is ready, {nadj} morning
            screenshots wanted: does your page also say {fact}
            {factn} on a sunday, this chat is {nfeel}
            {tick} at {price} when i looked, {fact}
            cant decide yet, {fact}, {nend} {tag}
            new phone, so i had to look up {tick} again, {fact}
            """),
    },
    "council": {
        "positive": lines("""
            I came to the hearing with a list of worries and leave with none: {good}. {Gend}.
            Let it be said plainly: {good}, and the credit belongs to {who}.
            On balance I am {gfeel}, for {good}.
            A council that offers {goodn} earns my vote. {Good}.
            My neighbours in {place} agree with me, {good}, and they are {gfeel}.
            It took courage to fix this, and {good}. {Gadj} work.
            Having lent {amt} to this vault of trust, I can add that {good}.
            """),
        "negative": lines("""
            I came to the hearing with a list of hopes and leave with none: {bad}. {Bend}.
            Let it be said plainly: {bad}, and the fault belongs to {who}.
            On balance I am {bfeel}, for {bad}.
            A council that offers {badn} loses my vote. {Bad}.
            My neighbours in {place} agree with me, {bad}, and they are {bfeel}.
            It took arrogance to break this, and {bad}. {Badj} work.
            Having lost {amt} in this house of cards, I can add that {bad}.
            """),
        "neutral": lines("""
            I came to the hearing with a list of questions and copied this: {fact}. {Nend}.
            Let it be entered plainly: {fact}, and the source is {who}.
            On balance I am {nfeel}, for {fact}.
            A council that prints {factn} has my attention, no more. {Fact}.
            My neighbours in {place} read the same page, {fact}, and they are {nfeel}.
            It took an hour to read this, and {fact}. {Nadj} work.
            Having asked about {amt} at the desk, I can add that {fact}.
            """),
    },
}
