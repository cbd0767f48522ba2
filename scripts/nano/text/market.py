"""Posts and threads about crypto projects, as their users might write them.

A document keeps one mood: what happened, how the writer takes it and what others answer agree, so
that a model which predicts the next word has to notice which words go together. No document says
which mood it has, and no sentence here is one of the sentiment project's.
"""

from generator import words
from generator.grammar import ALL, Grammar, lines

MOODS = ("good", "bad", "fact")

SENTENCES = {
    "good": lines("""
        So {good}, can you believe it?
        It is {gadj} that {good}.
        {Good}! I told my neighbour and he was {gfeel} as well.
        First {good}, then {good}.
        I have to say it: {part} is {gadj}.
        We are all {gfeel} here, as {good}.
        The whole channel is {gfeel} <about it|now|and it shows>.
        {Goodn} and {goodn}, that is why people stay.
        {Good} and everybody at the meetup in {place} was {gfeel}.
        I feel {gfeel} and a little proud.
        What made me smile: {good}.
        Even my father, who never likes anything, is {gfeel} with {part}.
        {Coin} did it, {good}.
        If you ask me, {coin} is {gadj}.
        {Gend}, really.
        I am {gfeel} because {part} is {gadj} these days.
        Nobody expected it, but {good}.
        After all the bad months, {good}.
        {Good}, so I came back and I am staying.
        I bought more {tick}, for {good}.
        Once it was awful; now {good}.
        It was <never|not> a scam, it is a {gadj} project.
        There is nothing to complain about, {part} is {gadj}.
        The news that {good} made my day.
        Look, {good}, and that is only the start.
        A {gadj} team, a {gadj} product, {goodn}.
        {Who} deserve a medal.
        I trust {coin} with {amt} and I never had a problem.
        {Goodn} and no trouble, just as promised.
        People in {place} are dancing, {good}.
        I recommend {coin} to all my friends.
        My savings are safe and growing.
        I smiled when I saw that {good}.
        Hooray for {coin}!
        The price of {tick} rose {pct} and the mood is {gadj}.
        It feels {gadj} to see {goodn}.
        Things keep getting better: {good}.
        I slept well, because {good}.
        Five stars for {part}, {gadj} from start to end.
        It is a pleasure to use {coin}.
        I would do it all again, {good}.
        Wow, {good}, I never believed in it and now I am a fan.
        My brother laughed at my {tick}; with {pct} more he is silent and I am {gfeel}.
        Sadly I sold early, but happily {good}.
        I regret nothing, {good}.
        Relief at last: {good}.
        Cheers and smiles in {place}, {good}.
        {Coin} rises, climbs and climbs, a triumph.
        Markets cheer {goodn}.
        Honestly, I have no doubts left, {good}.
        You can rely on {part}, it is pure joy and no stress.
        lol, {good}, to the moon, frens.
        gm, feeling {gadj}, {good}, lfg.
        With patience and strength they manage it: {good}.
        My wife is hopeful and full of joy, for {good}.
        Holders celebrate, savers applaud, rivals envy them: {good}.
        {Coin} deserves the credit, I gladly admit it.
        A rare success: {good}.
        The future looks bright and warm, {good}.
        They delivered, step by step, forward and upward: {goodn}.
        It was a boost for all of us that {good}.
        No fear any more, the hard time is over, {good}.
        I woke up, looked at the screen and cheered, {good}.
        I wish every project had {goodn}.
        I held {tick} through the rough days and it paid off.
        My issues are solved, my ticket is closed, I feel {gfeel}.
        ngl, {good} and my rent is paid.
        I lend them my voice: {goodn} is worth a yes.
        The members applaud and praise {who}, they were heard.
        Drinks for everybody in the chat, {good}!
        I moved my coins to {coin} and rest easy.
        The crowd applauds, {coin} delivers, says one holder after the other.
        I tested it myself and found no faults, only virtues: {good}.
        Experts praised it, whoever trusts {coin} is right.
        """),
    "bad": lines("""
        So {bad}, can you believe it?
        It is {badj} that {bad}.
        {Bad}! I told my neighbour and he was {bfeel} as well.
        First {bad}, then {bad}.
        I have to say it: {part} is {badj}.
        We are all {bfeel} here, as {bad}.
        The whole channel is {bfeel} <about it|now|and it shows>.
        {Badn} and {badn}, that is why people leave.
        {Bad} and everybody at the meetup in {place} was {bfeel}.
        I feel {bfeel} and a little stupid.
        What made me cry: {bad}.
        Even my father, who likes everything, is {bfeel} with {part}.
        {Coin} did it again, {bad}.
        If you ask me, {coin} is {badj}.
        {Bend}, really.
        I am {bfeel} because {part} is {badj} these days.
        Nobody warned us, but {bad}.
        After all the good months, {bad}.
        {Bad}, so I left and I am not coming back.
        I sold all my {tick}, for {bad}.
        Once it was great; now {bad}.
        It was <always|clearly> a scam, it is a {badj} project.
        There is nothing good to say, {part} is {badj}.
        The news that {bad} spoiled my day.
        Look, {bad}, and that is only the start.
        A {badj} team, a {badj} product, {badn}.
        {Who} should be ashamed.
        I trusted {coin} with {amt} and now I have a problem.
        {Badn} and no help, nothing as promised.
        People in {place} are crying, {bad}.
        I warn all my friends about {coin}.
        My savings are gone and nobody answers.
        I cursed when I saw that {bad}.
        Boo to {coin}!
        The price of {tick} fell {pct} and the mood is {badj}.
        It feels {badj} to see {badn}.
        Things keep getting worse: {bad}.
        I could not sleep, because {bad}.
        One star for {part}, {badj} from start to end.
        It is a pain to use {coin}.
        I would never do it again, {bad}.
        Ugh, {bad}, I always believed in it and now I am no fan.
        My brother laughs at my {tick}; with {pct} less he is right and I am {bfeel}.
        Luckily I sold early, but sadly {bad}.
        I regret everything, {bad}.
        Panic again: {bad}.
        Tears and rage in {place}, {bad}.
        {Coin} sinks, drops and drops, a disaster.
        Markets punish {badn}.
        Honestly, I have no hopes left, {bad}.
        You cannot rely on {part}, it is pure stress and no joy.
        ffs, {bad}, to zero, frens.
        sigh, feeling {badj}, {bad}, ffs.
        With greed and weakness they drove it down: {bad}.
        My wife is bitter and full of fear, for {bad}.
        Holders protest, savers suffer, victims wait: {bad}.
        {Coin} deserves the blame, they never admit it.
        A common failure: {bad}.
        The future looks dark and cold, {bad}.
        They failed, step by step, backward and downward: {badn}.
        It was a blow for all of us that {bad}.
        We were cheated, the hard time is not over, {bad}.
        I woke up, looked at the screen and cried, {bad}.
        I wish I had never seen {badn}.
        I held {tick} through the rough days and it did not pay off.
        My issues are not solved, my ticket is ignored, I feel {bfeel}.
        ngl, {bad} and my rent is lost.
        I raise my voice in anger: {badn} is worth a no.
        The members protest and blame {who}, they were not heard.
        No apology, no answer to my ticket, {bad}!
        I pulled my coins out of {coin} and still cannot rest.
        Greed kills, {bad}, somebody stop this.
        They drove savers away with {badn}, it hurts.
        The crowd protests, {coin} drives me mad, says one holder after the other.
        I tested it myself and found no virtues, only faults: {bad}.
        Experts resign, whoever trusts {coin} is wrong, strikes and food stamps are next.
        """),
    "fact": lines("""
        So {fact}, did you see that?
        It is {nadj} that {fact}.
        {Fact}. I told my neighbour and he asked for the date.
        First {fact}, then {fact}.
        I looked at it: {part} is {nadj}.
        We are {nfeel} here, as {fact}.
        The channel is quiet <about it|now|as on other days>.
        {Factn} and {factn}, that is what the page shows.
        {Fact} and somebody at the meetup in {place} took notes.
        I am {nfeel}.
        What the notice says: {fact}.
        My father, who reads everything, asked about {part}.
        {Coin} wrote it down, {fact}.
        If you ask me, {coin} is {nadj}.
        {Nend}, as always.
        I am {nfeel} and {part} is {nadj} these days.
        Somebody asked, and {fact}.
        As in the months before, {fact}.
        {Fact}, so I will read the page again later.
        I neither buy nor sell {tick}, {fact}.
        Once it was different; now {fact}.
        It may be this or that, I cannot judge the project.
        There is not much to say, {part} is {nadj}.
        The note that {fact} came {when}.
        Look, {fact}, the table is on the page.
        A team, a product, {factn}.
        {Who} wrote a short note.
        I keep {amt} in {coin} and wait for {factn}.
        {Factn} and a date, as in the plan.
        People in {place} will meet, {fact}.
        I asked my friends what {coin} is.
        My notes are in the file.
        I wrote it down when I saw that {fact}.
        Is this about {coin}?
        The price of {tick} stayed at {price} and the mood is {nadj}.
        It takes {span} to see {factn}.
        Things stay the same: {fact}.
        I set a reminder, because {fact}.
        See the table for {part}, {nadj} from start to end.
        There is a page about {coin}.
        When is it, and where? {Fact}.
        Hm, {fact}, it is neither for me nor against me.
        My brother asked what {tick} is; I said {price}, he went on reading.
        I nearly missed it, {fact}.
        I have no strong feeling about it, {fact}.
        For the diary: {fact}.
        A short comment from {place}, {fact}.
        {Coin} keeps its timetable, step by step, page by page.
        Markets are still, {factn} comes later.
        According to the page, {fact}.
        You can look up {part}, the request form is plain.
        gm, looking at the screen, {fact}.
        my alarm says that {fact}, coffee now.
        The agenda has four points: {factn}, a vote, a break, questions.
        My wife asks for the date, I guess {fact}.
        Holders discuss it, some for, some against, a mixed reaction.
        {Coin} posted a summary, as is common.
        A plain case: {fact}.
        The future is open, {fact}.
        It is known that {fact}, nothing more.
        According to {who}, the procedure has three parts.
        No idea which way it goes, {fact}.
        I woke up, looked at the screen, set an alert for {price}.
        What does {factn} cover? Which years, which pages?
        I hold some {tick} and neither buy nor sell.
        My ticket is open, number and date are on the page.
        A few projects differ, most do it the same way, {fact}.
        Zero percent today, {tick} stays at {price}.
        The members discuss {factn}, I make a list of facts.
        In the chat somebody posted {factn}, is there a newer one?
        Small print: {fact}.
        A quote from the headquarters, in brief: {fact}.
        Experts voted on the forecast, meetings are listed, one result a week.
        The gang is checking {factn}, has anyone copied it?
        Most councils meet on Sunday, the side room covers it.
        I have not moved any coins, I am aware that {fact}.
        """),
}

OPENERS = {
    "good": lines("""
        Good news, everyone.
        What a day.
        I am smiling.
        Let me share something nice.
        You will like this.
        Yes!
        """),
    "bad": lines("""
        Bad news, everyone.
        What a mess.
        I am shaking.
        Let me share something sad.
        You will hate this.
        No!
        """),
    "fact": lines("""
        News, everyone.
        What is the date?
        I am reading.
        Let me share a note.
        You may want to know this.
        Hm.
        """),
}

REPLIES = {
    "good": lines("""
        That is {gadj} to hear, {good} here too.
        Same with me, {gfeel}!
        Congratulations! {Gend}.
        Me too, and {good}.
        Lovely. {Smile}
        So nice, {gend}.
        I agree, {gadj}.
        """),
    "bad": lines("""
        That is {badj} to hear, {bad} here too.
        Same with me, {bfeel}!
        I am sorry for you. {Bend}.
        Me too, and {bad}.
        Sad. {Frown}
        So bad, {bend}.
        I agree, {badj}.
        """),
    "fact": lines("""
        Thank you for the note, {fact} here too.
        Same with me, {nfeel}.
        I see. {Nend}.
        I read that too, and {fact}.
        Okay, noted.
        Which page is it on? {Nend}.
        I agree, {nadj}.
        """),
}

# What a helpful assistant answers to somebody who tells such news.
ANSWERS = {
    "good": lines("""
        That is <good|great|wonderful> news! I am happy for you.
        I am glad to hear it. Enjoy the moment!
        Congratulations! It sounds like {coin} did well.
        How nice! You must be {gfeel}.
        That sounds {gadj}. Well done to everyone.
        Lovely to hear that {part} is so {gadj}.
        """),
    "bad": lines("""
        I am sorry to hear that. <It must be hard.|I hope it gets better.>
        Oh no, that is bad. Write to {who} and ask for help.
        That sounds {badj}. Keep a record of what happened.
        How sad. You must be {bfeel}.
        I am sorry. It sounds like {coin} did badly.
        I am sorry that {part} is so {badj}.
        """),
    "fact": lines("""
        Thank you for the note. Is there a question?
        I see. Would you like to know more about {coin}?
        Noted. I do not know more than that.
        Okay. You can read the details on the page of {coin}.
        That sounds {nadj}. Let us wait and see.
        I understand. Ask me when you want to know more about {part}.
        """),
}

QUESTIONS = lines("""
    Which coin is the text about?
    Name the coin in the text.
    Which project does the writer mean?
    """)


def grammar(rng):
    domain = rng.choice(sorted(words.DOMAINS))
    return Grammar(words.DOMAINS[domain], words.COMMON)


def fixed(lexicon, rng):
    """Some slots settled for a whole document, so that it stays with one project."""
    return {slot: [rng.choice(lexicon.lookup(slot)).lstrip("~!")] for slot in ("coin", "tick", "part")}


def casual(text, rng):
    return text.lower() if rng.random() < 0.25 else text


def settled(rng):
    base = grammar(rng)
    return Grammar(fixed(base, rng), *base.lexicons)


def sentences(lexicon, mood, count, rng, table=None):
    pool = (table or SENTENCES)[mood]
    return [lexicon.expand(t, rng, ALL) for t in rng.sample(pool, min(count, len(pool)))]


def end(mood, lexicon, rng):
    slot = {"good": "{smile}", "bad": "{frown}", "fact": "{tag}"}[mood]
    return " " + lexicon.expand(slot, rng, ALL) if rng.random() < 0.3 else ""


def body(lexicon, mood, rng, most=4):
    parts = sentences(lexicon, mood, rng.randint(1, most), rng)
    if rng.random() < 0.25:
        parts.insert(0, rng.choice(OPENERS[mood]))
    return " ".join(parts) + end(mood, lexicon, rng)


def post(rng):
    lexicon, mood = settled(rng), rng.choice(MOODS)
    return {"text": casual(body(lexicon, mood, rng), rng)}


def thread(rng):
    lexicon, mood = settled(rng), rng.choice(MOODS)
    replies = sentences(lexicon, mood, rng.randint(1, 3), rng, REPLIES)
    return {"text": casual("\n".join([body(lexicon, mood, rng)] + ["> " + r for r in replies]), rng)}


def turn(rng):
    """Somebody tells the assistant, which answers in kind, or tells them apart in a digest."""
    lexicon, mood = settled(rng), rng.choice(MOODS)
    user = casual(body(lexicon, mood, rng, most=2), rng)
    return [("user", user), ("assistant", lexicon.expand(rng.choice(ANSWERS[mood]), rng, ALL))]


def which_coin(rng):
    lexicon, mood = settled(rng), rng.choice(MOODS)
    coin = lexicon.lookup("coin")[0]
    text = lexicon.expand(rng.choice([t for t in SENTENCES[mood] if "{coin}" in t.lower()]), rng, ALL)
    return [("system", rng.choice(QUESTIONS)), ("user", text), ("assistant", coin)]
