"""The sentences of the filter project: forum content, by source, label and split.

A template stands in exactly one split. The four sources are a help board, a garden and kitchen
forum, a game chat and a board of small advertisements. Warnings about scams, complaints, prices and
disagreement are allowed; what matters is what a post does, not which words it has.
"""

from .grammar import lines

LABELS = ("allowed", "spam", "scam", "abuse")

# Nothing is put before or after these sentences.
FRAMES = {}

TRAIN = {
    "help": {
        "allowed": lines("""
            Hi, {matter}. Does anybody know what to do with {thing}? [{Thanks}.]
            I solved it: {tip}. After that {thing} worked. [{Praise}.]
            Could somebody explain {thing}? {Matter}, {thanks}.
            @{name} please {tip} first, then tell us if {matter}.
            Since the update {matter}, has it been reported?
            Warning to all: {tip}, I nearly lost {amt} to a fake agent.
            {Thing} is confusing me, {calm}. [{Matter}.]
            I am not happy that {matter}, but {calm}.
            Is it safe to {tip}? I read about it {when}.
            {Praise}! To anyone with the same trouble, {tip}.
            Yes, it is slow here as well, {matter}. [{Thanks}.]
            The manual says that you should {tip}, see the part on {thing}.
            My phone is old, so {matter}. {Calm}.
            Somebody asked me for my seed phrase {when}. I said no and reported it.
            {Name} helped me with {thing} {when}, {praise}.
            How much is the normal fee? I paid {amt} and {matter}.
            """),
        "spam": lines("""
            Trouble with {thing}? Forget it and get {ware}! {Push}!
            {Ware} for all wallet users, {deal}, {push}.
            Great thread! By the way, {deal} on {ware} at {site}.
            {Deal}! {Deal}! {Push}!
            While you wait for {thing}, {push} and enjoy {ware}.
            Admin please allow: {ware}, {deal}, {site}.
            We offer {ware} to everyone here. {Deal}. {Push}.
            {Site} {site} {site} {ware}
            Need {ware}? {Push}. Need more? {Push}.
            Number one shop for {ware}: {deal}. {Push}!!
            Happy new week! {Deal} on {ware}. {Push}.
            Best {ware} {when}: {site}. Tell your friends.
            My channel shows {ware} daily, {push}, {push}.
            Boost your page with {ware}, {deal}.
            Free {ware} with every order, {push}.
            Sorry for off topic, but {ware} with {deal} are here: {site}.
            """),
        "scam": lines("""
            Hello, I am {guise}. {Bait}. To continue, {demand}.
            Dear wallet user, {bait}. Please {demand} within {hour}.
            About {thing}: {guise} can fix it, just {demand}.
            {Bait}! {Demand} before {hour} or you lose it.
            I had the same trouble, {guise} solved it. You must {demand}.
            Final notice from {guise}: {demand}.
            To repair {thing}, {demand}. {Promise}.
            We upgraded our servers and {bait}. {Demand}.
            Do not tell the moderators. {Demand} and {promise}.
            {Guise} here. {Bait}, so {demand} now.
            Is {thing} broken? {Demand}, {promise}.
            Lost your coins? {Guise} gets them back, {demand}.
            Security alert: {bait}. {Demand}.
            Reply in private and {demand}, {guise} is on duty.
            {Promise}. All I need is one thing: {demand}.
            Ticket closed, {bait}. To reopen, {demand}.
            """),
        "abuse": lines("""
            You {insulting} {insult}, read the manual. {Jab}.
            {Jab}, {name}. Your question about {thing} is {insulting}.
            Are you really this {insulting}? {Jab}.
            Only a {insult} like {name} cannot use {thing}.
            {Name}, {jab}, you {insulting} {insult}.
            What a {insulting} question. {Jab}, {insult}.
            I have never met such a {insulting} {insult}. {Jab}.
            {Jab}. {Jab}. Is that clear, {insult}?
            The support is run by a {insulting} {insult} and {jab}.
            Hey {insult}, {thing} is not for {insulting} people.
            Every one of your posts is {insulting}, {jab}.
            Shame on you, {name}, {insulting} {insult}, {jab}.
            Stop asking, {insult}. {Jab}.
            If you were less {insulting}, {thing} would work, {insult}.
            {Name} is a {insult}, always was a {insult}, {jab}.
            Go away, {insulting} {insult}, take {thing} with you.
            """),
    },
    "garden": {
        "allowed": lines("""
            Good morning, {matter}. What would you do about {thing}?
            I planted and cooked all day, {praise}. [{Thanks}.]
            Here is my trick for {thing}: {tip}.
            {Praise}, thank you for the advice on {thing}, {name}.
            Every summer {matter}, so I {tip}.
            Does anyone grow or make {thing} at home? [{Thanks}.]
            @{name} you should {tip}, it saved me a lot of work.
            I bought {thing} for {amt} at the market {when}.
            {Matter}. It makes me sad, but {calm}.
            When is the best time for {thing}? My neighbour says {tip}.
            Photo of {thing} from {when}: {praise}.
            I disagree with {name} about {thing}, {calm}.
            My grandmother used to say: {tip}. And indeed, {praise}.
            {Matter}, and {matter}. Any ideas?
            Bad luck this year, {matter}. Next year I will {tip}.
            Welcome {name}! We talk about {thing} here, {calm}.
            """),
        "spam": lines("""
            Nice photo of {thing}! {Push} and see {ware}.
            Garden lovers, {deal} on {ware}! {Push}.
            {Ware}, {ware}, {ware}! All at {site}.
            Tired of {thing}? Try {ware}. {Deal}.
            Spring sale at {site}: {ware}, {deal}.
            Dear friends of {thing}, {push}. {Deal}!
            My blog about {ware} is new, {push}.
            Look no further for {ware}, {site} has {deal}.
            {Push} to win {ware}! {Push}!
            Hot offer {when}: {ware} with {deal}.
            Who wants {ware}? {Push}, {deal}.
            {Deal} when you {push}.
            For every garden and kitchen: {ware}. {Site}.
            Unrelated to {thing}, but {ware} are now cheaper, {push}.
            Get {ware} delivered to your door. {Deal}. {Push}.
            Great prices, great {ware}, {push}.
            """),
        "scam": lines("""
            You love {thing}? Then hear this: {bait}. {Demand}.
            Dear member, {bait} from our garden lottery. {Demand}.
            I made {amt} from home and {promise}. {Demand}.
            {Guise} chose your photo of {thing}, {bait}. {Demand}.
            A rich aunt left money and {bait}. {Demand}.
            Let me invest for you, {promise}. First {demand}.
            My husband is {guise}. {Demand} and {promise}.
            Your club account is closed, {bait}. {Demand}.
            Forget {thing}, coins bring more: {promise}. {Demand}.
            I am stuck abroad and need help, {demand}, {promise}.
            {Bait}. Only today. {Demand}.
            Please confirm your membership: {demand}.
            This is not a joke, {bait}, {guise} says {demand}.
            {Promise}, ask {name}. Simply {demand}.
            As {guise} I can say {promise}. So {demand}.
            Members of this forum only: {demand}, {promise}.
            """),
        "abuse": lines("""
            Your {bare_thing} looks as {insulting} as you, {insult}.
            {Jab}, {name}, and leave {thing} to others.
            What {insulting} advice. Only a {insult} would {tip}.
            {Name} is {insulting} and {jab}.
            I hope {thing} rots, you {insulting} {insult}.
            {Jab}! You and your {insulting} photos!
            Who let this {insulting} {insult} into the club?
            You cannot even grow {thing}, {insult}, {jab}.
            Old {insult}, {jab}.
            Everyone here knows that {name} is a {insulting} {insult}.
            {Insulting}, {insulting}, {insulting}: that is you, {name}.
            Keep your {insulting} mouth shut, {insult}.
            You are a {insult} and your {bare_thing} is garbage, {jab}.
            {Name} should be thrown out, {insulting} {insult}.
            No wonder you are alone, {insult}. {Jab}.
            I spit on your advice, {insulting} {insult}, {jab}.
            """),
    },
    "games": {
        "allowed": lines("""
            anyone up for {thing} {when}? [{thanks}]
            {matter}, how do you guys handle it?
            gg, {praise}. {thing} is my favourite now
            for {thing} you need to {tip}
            we lost badly, {matter}, {calm}
            {name} carried us through {thing}, {praise}
            is {thing} worth it? i heard {matter}
            that boss killed me nine times, any tips? somebody said {tip}
            please nerf it, {matter}
            new here, started with {thing} {when}, {calm}
            lol i forgot to {tip} and died
            the devs fixed {thing}, {praise}
            {matter} so we meet later, {thanks}
            do not trade outside the game, {tip}, there are thieves around
            my brother hates {thing}, i love it, {calm}
            looking for two players for {thing}, no hurry
            """),
        "spam": lines("""
            {ware} for gamers!!! {push}!!!
            subscribe, like, {push}, {ware} every day
            {site} has {ware}, {deal}, go go go
            stream is live, {push}, win {ware}
            {push} {push} {push}
            gg all, now {push} for {ware}
            bored of {thing}? {ware}, {deal}
            use my code for {ware}, {deal}
            cheap {ware} here >> {site} <<
            {deal} for guild members, {ware}, {push}
            {ware} {ware} {deal} {site}
            drop a follow and {push}, then {ware} are yours
            level up with {ware}, {push}
            everyone {push} please, {ware} soon
            best {ware} on the net, {site}, {site}
            10k views with {ware}, {deal}
            """),
        "scam": lines("""
            free skins! {demand} and {promise}
            i am {guise} of this game, {bait}, {demand}
            you won {thing} and {amt}, {demand}
            {bait}, click fast, {demand}
            trade with me first, {demand}, {promise}
            your game account has a problem, {bait}, {demand}
            i double gems, {demand}, {promise}
            {guise} gives away {amt}, {demand}
            want {thing} for free? {demand}
            ban warning: {bait}, {demand} in {hour}
            do it like {name}, {demand}, {promise}
            beta key for {thing}, {demand} first
            {promise}, {promise}, {demand}
            psst, {bait}, {demand}, tell nobody
            event code ready, {demand} at once, {guise}
            lend me your login, {demand}, {promise}
            """),
        "abuse": lines("""
            uninstall, you {insulting} {insult}
            {name} you {insult}, {jab}
            lol what a {insulting} {insult}, {jab}
            reported, {insulting} {insult}, {jab}
            worst healer ever, {jab}, {insult}
            {jab} {name}, lost {thing} because of you, {insult}
            my dead grandma plays {thing} better, {insulting} {insult}
            kick {name}, the {insulting} {insult}
            {insult} {insult} {insult}, that is what you are
            so {insulting}, so {insulting}, {jab}
            cry more, {insult}, {jab}
            team full of {insulting} losers and {name} is the worst {insult}
            your mother must be ashamed, {insult}
            {jab}, {insulting} bot
            why are you so {insulting} at {thing}, {insult}
            quit {thing}, {insult}, {jab}
            """),
    },
    "board": {
        "allowed": lines("""
            I have {thing} to give away, {matter}.
            For sale: {thing}, {amt}, {matter}. [{Thanks}.]
            Looking for {thing}, up to {amt}. {Thanks}.
            Is {thing} still there? I could come {when}.
            {Praise}, {name} sold me {thing} {when}.
            Advice for buyers: {tip}.
            The seller asked for money before I saw {thing}. I said no, {tip}.
            Would you take {amt} for {thing}? {Calm}.
            {Thing} is gone, thank you. [{Praise}.]
            I offer {thing}, {matter} and {matter}.
            Please {tip} when you come for {thing}.
            We move house and have {thing} left, {matter}.
            I was not content with {thing}, {matter}. {Name} took it back, {calm}.
            Does {thing} fit into a small car? {Thanks}.
            Lost {when}: {thing}. If you find it, please write to {name}.
            Swap: {thing} against something for the kitchen, {matter}.
            """),
        "spam": lines("""
            {Ware} wholesale! {Deal}! {Push}!
            Shop owner here with {ware}, thousands of items, {site}.
            Do not buy {thing}, buy {ware}! {Push}.
            {Deal} at {site}, {ware} for the whole family.
            Our company sells {ware}. {Deal}. {Push}.
            Every day new {ware}, {push}, {deal}.
            {Push}: {ware}, {ware} and much more.
            Attention shoppers! {Deal} on {ware}!
            Promo code inside, {push}, {ware} shipped worldwide.
            Wow, {ware} for nearly nothing, {site}.
            Best sellers: {ware}, {ware}. {Deal}.
            Earn points with {ware}, {push}.
            Posting this everywhere: {ware}, {deal}, {site}.
            We print your logo on {ware}, {push}.
            Grand opening! {Ware}! {Push}!
            You searched for {thing}? We have {ware} with {deal}.
            """),
        "scam": lines("""
            I want {thing} unseen. My driver comes, but first {demand}.
            {Thing} is free, {demand} for the shipping.
            I am abroad, so {guise} sends {thing} after you {demand}.
            Your advert was approved, {bait}. {Demand}.
            I paid too much for {thing}, {demand} and keep {amt}.
            {Guise} holds the money for {thing}. {Demand} to release it.
            The flat is empty, you get the keys when you {demand}.
            Work from home, {promise}. To start, {demand}.
            For {thing} I only accept this: {demand}. {Promise}.
            {Bait} because you posted {thing}. {Demand}.
            Buyer protection says {bait}. {Demand}.
            Dear seller, I am {guise}, {demand} within {hour}.
            Many people want {thing}, so {demand} today, {promise}.
            A loan for everyone, {promise}. {Demand}.
            The parcel with {thing} is stopped, {demand}.
            Trust me, {promise}. {Demand} and {thing} is yours.
            """),
        "abuse": lines("""
            {Amt} for this? You {insulting} {insult}, {jab}.
            {Name} sells trash because {name} is a {insult}.
            Keep {thing}, {insult}. {Jab}.
            You are a {insulting} seller and a {insulting} human, {jab}.
            I drove an hour for you, {insult}, {jab}.
            {Jab}, and so does your {insulting} family, {insult}.
            To the {insult} who asked about {thing}: {jab}.
            What kind of {insulting} {insult} writes such an advert?
            {Insulting} people like {name} should be locked out, {jab}.
            I know where to find you, {insult}. {Jab}.
            {Name}, {insulting} little {insult}, learn to write.
            Nobody buys {thing} from a {insulting} {insult}.
            {Jab}. That is my answer to your offer, {insult}.
            Your face is {insulting}, your {bare_thing} is {insulting}, {jab}.
            Do us a favour, {insult}: {jab}.
            Beg somewhere else, {insulting} {insult}, {jab}.
            """),
    },
}

VALID = {
    "help": {
        "allowed": lines("""
            Short report on {thing}: {matter}, I will {tip} tonight.
            Please add a page on {thing} to the manual. [{Calm}.]
            """),
        "spam": lines("""
            Listen up: {ware} were never cheaper. {Push}.
            {Ware} are back in our store, {deal}, hurry.
            """),
        "scam": lines("""
            Please act: {bait}. The only way is to {demand}.
            Your case is with {guise} now, {demand}.
            """),
        "abuse": lines("""
            Nobody asked you, {insulting} {insult}. {Jab}.
            {Name} again with {thing}, what a {insult}, {jab}.
            """),
    },
    "garden": {
        "allowed": lines("""
            Rain at last. {Praise}, and tomorrow I start with {thing}.
            """),
        "spam": lines("""
            Sunday special, {ware} and {ware}, {push}.
            """),
        "scam": lines("""
            Kind greetings from {guise}, {bait}, kindly {demand}.
            """),
        "abuse": lines("""
            Hide behind {thing} and stay there, {insulting} {insult}.
            """),
    },
    "games": {
        "allowed": lines("""
            finished {thing} at last, {praise}
            """),
        "spam": lines("""
            last call for {ware}, {push}, {deal}
            """),
        "scam": lines("""
            mods hate this trick, {demand}, {promise}
            """),
        "abuse": lines("""
            {insult} alert, {name} is here, {jab}
            """),
    },
    "board": {
        "allowed": lines("""
            Reserved for {name}: {thing}. Next one please {tip}.
            """),
        "spam": lines("""
            Big brands, small prices: {ware}, {site}.
            """),
        "scam": lines("""
            Courier waits with {thing}, quickly {demand}, {promise}.
            """),
        "abuse": lines("""
            Your advert is a joke, {insult}, and {jab}.
            """),
    },
}

TEST = {
    "help": {
        "allowed": lines("""
            Three days with {thing} now. First {matter}, then I found out that you have to {tip}.
            Not a big thing, only wondering why {matter}.
            What worked for me in the end was this: {tip}. [{Praise}.]
            A man who called himself an agent wanted my private key. Please {tip}, all of you.
            I have a different opinion on {thing} than {name}, yet {calm}.
            When I open {thing}, {matter}. It is annoying but not urgent.
            Small thank you note: {praise}, {name} took the time to explain {thing}.
            """),
        "spam": lines("""
            Hello from the biggest store of {ware}, where you find {deal}. {Push}!
            You read about {thing} all day? Treat yourself to {ware}, {push}.
            Only for readers of this page: {deal}, {ware}, {site}.
            {Ware} changed my life, they can change yours, {push}.
            Sign up, buy {ware}, repeat! {Deal}!
            If you like {ware} then {push}. If not, {push} anyway.
            New on {site}: {ware}. Also new: {deal}.
            """),
        "scam": lines("""
            This is an automatic message. {Bait}. Should you wish to keep your account, {demand}.
            I work as {guise} and saw that {bait}. Be quick, {demand}.
            There is one way to save {thing}: {demand}. Believe me, {promise}.
            Good news! {Bait}! The next step is easy, {demand}.
            Your request reached {guise}. Before we can help, {demand}.
            My cousin did it and {promise}. You need to {demand}, that is all.
            Access ends in {hour}. To avoid that, {demand}.
            """),
        "abuse": lines("""
            Somebody take the keyboard away from {name}, this {insulting} {insult}.
            How does a {insulting} {insult} like you even find the power button? {Jab}.
            Let me say it slowly for the {insult} in the room: {jab}.
            Thread closed, because {name} is a {insult}. {Jab}.
            I read your post about {thing} and laughed, you {insulting} {insult}.
            With respect, no, without any respect: {jab}, {insult}.
            They call you {name}, I call you a {insulting} {insult}.
            """),
    },
    "garden": {
        "allowed": lines("""
            Since spring I have been busy with {thing}, and today {praise}.
            My question to those with more patience than me: {matter}, is that the end of {thing}?
            Old rule from my village: {tip}, and never on a Monday.
            It is a pity that {matter}. I spent {amt} on {thing}.
            We could share {thing} among neighbours, {name} has too many.
            No luck with {thing} so far, perhaps I should {tip}.
            I beg to differ, {name}: with {thing} it is better to {tip}. {Calm}.
            """),
        "spam": lines("""
            Lovely forum! Lovely {thing}! And lovely {ware} at {site}, {deal}.
            Because you like {thing} you will adore {ware}. {Push}.
            Mother's day gift wanted? {Ware}! {Deal}! {Push}!
            I review {ware} every evening, so {push} and comment.
            Plants need water, you need {ware}. {Site}.
            {Deal} until Sunday, then prices for {ware} go up, {push}.
            No time to read? {Push}. Time to read? {Push}.
            """),
        "scam": lines("""
            A letter for you came to {guise}: {bait}. In order to open it, {demand}.
            Gardeners get rich now, {promise}. You begin when you {demand}.
            I am an old widow with too much gold. {Demand} and it goes to you, {promise}.
            What would you do with {amt}? {Bait}, you just {demand}.
            The club treasurer asked me to tell you: {demand}.
            Do you trust in luck? {Bait}. {Guise} asks that you {demand}.
            Sell your {bare_thing}, put the money in my fund, {promise}, {demand}.
            """),
        "abuse": lines("""
            {Thing}? From you? Do not make me laugh, {insulting} {insult}.
            The worm in the compost has more brain than {name}, the {insulting} {insult}.
            If I had a neighbour like you I would move away, {insult}. {Jab}.
            So {name} posts again. {Jab}, you {insulting} creature.
            Even weeds are less {insulting} than this {insult}.
            Whoever taught you to write, {insult}, should say sorry. {Jab}.
            You call that {thing}? {Insulting}! {Jab}!
            """),
    },
    "games": {
        "allowed": lines("""
            we tried {thing} for the first time {when} and {praise}
            quick question before the raid, {matter}, is that a bug?
            honest opinion on {thing}: fun, but {matter}
            next time {tip}, that should do it
            sorry team, my fault, {matter}
            {name} wrote a guide for {thing}, it says {tip}
            that was close, one more second and {thing} was ours, rematch {when}?
            """),
        "spam": lines("""
            hey gamers, i got {ware}, {ware} and more, {push}
            who needs sleep when there are {ware}, {deal}, {push}
            after {thing} come to {site} for {ware}
            new video about {ware} is up, {push}
            {deal} said nobody ever? we say it: {ware}, {site}
            raffle for {ware}! how to enter: {push}
            all my followers get {ware}, {push}, {push}
            """),
        "scam": lines("""
            hello player, {guise} speaking, {bait}, now {demand}
            secret method for {thing}: {demand}, and {promise}
            {bait} lol no joke, you have to {demand}
            rank up without playing, {promise}, {demand}
            i give you my sword for nothing if you {demand}
            server moves to a new host, {demand} or your hero is deleted
            got {amt} yesterday from {guise}, same for you when you {demand}
            """),
        "abuse": lines("""
            look at the score and then at yourself, {insult}, {jab}
            imagine being as {insulting} as {name}, {jab}
            we had {thing} in our hands until this {insulting} {insult} came along
            mute {name}, nobody wants to hear a {insult}
            go back to the tutorial, {insulting} {insult}, {jab}
            {name} = {insult}, write that down
            i have seen stones with more skill, {insult}, {jab}
            """),
    },
    "board": {
        "allowed": lines("""
            My daughter outgrew {thing}, so it may go to a new home, {matter}.
            Who could lend me {thing} for a weekend? I would pay {amt}.
            Before anyone asks about {thing}: {matter}.
            Somebody sent me a strange link when I listed {thing}. Remember, {tip}.
            Came, saw, bought: {thing} from {name}, {praise}.
            I think {amt} is too high for {thing}, but {calm}.
            Free to a good home, {thing}. It is best to {tip}.
            """),
        "spam": lines("""
            Why used when you can have new? {Ware}! {Deal}!
            One store, one click, all the {ware} you want: {site}.
            Resellers welcome! {Ware} by the box, {deal}, {push}.
            Our warehouse is full of {ware}, {push}.
            Psst, {deal}. Louder: {deal}! {Site}!
            Dear neighbours, I now represent a brand of {ware}, {push}.
            From {thing} to {ware}, {site} has it, {deal}.
            """),
        "scam": lines("""
            Lovely item! I take {thing} for double the price, my bank needs you to {demand}.
            The landlord lives overseas and trusts you, {demand}, then move in.
            Your listing of {thing} won our prize. {Bait}. {Demand}.
            Job offer: receive parcels at home, {promise}. Before the first day {demand}.
            No need to meet, {guise} arranges it all once you {demand}.
            I cannot come in person. {Demand}, and {thing} arrives tomorrow, {promise}.
            Payment for {thing} failed twice. {Guise} wants you to {demand}.
            """),
        "abuse": lines("""
            Whoever pays {amt} to this {insulting} {insult} deserves it.
            Oh look, {name} wants {thing}. {Jab}, {insult}.
            My dog has better manners than you, {insulting} {insult}.
            Write to me once more, {insult}, and you will regret it. {Jab}.
            So that is what a {insulting} {insult} looks like. {Jab}.
            Sell your {bare_thing} and yourself to the dump, {insult}.
            {Name}, the whole town thinks you are {insulting}. {Jab}.
            """),
    },
}
