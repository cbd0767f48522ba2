"""Forum posts of four kinds: ordinary talk, offers, cons and insults, each in its own wording.

As in market.py a document keeps to one kind and never says which; no sentence is one of the filter
project's.
"""

from generator import forum_words as words
from generator.grammar import ALL, Grammar, lines

KINDS = ("talk", "offer", "con", "insult")

SENTENCES = {
    "talk": lines("""
        I wanted to ask about {thing}, because {matter}.
        {Matter}, and I wonder why.
        My uncle told me: {tip}.
        You could {tip}, that is what I did.
        Maybe {name} knows more about {thing}.
        I read a page about {thing} {when}.
        It is easy once you {tip}.
        {Name} and I talked about {thing} for a while.
        Last year it was the same, {matter}.
        {Praise}, and I learned something about {thing}.
        Is it normal that {matter}?
        I tried to {tip}, and {praise}.
        Please tell me if {matter} at your place too.
        {Thanks}!
        {Calm}.
        In my house we have {thing} and it is fun.
        Dear all, {matter}.
        I have a small question.
        {Name} wrote that {matter}, {calm}.
        The weather is fine and {praise}.
        You are right, {calm}.
        Has {name} ever tried {thing}?
        I was lucky with {thing} {when}.
        The picture of {thing} is very nice, {name}.
        I will {tip} and tell you how it goes.
        My sister has {thing} and she says {praise}.
        It is not broken, {matter} only sometimes.
        I paid {amt} for {thing}, is that a fair price?
        """),
    "offer": lines("""
        {Ware}! {Ware}! {Deal}!
        We sell {ware} with {deal}.
        Everybody loves our {ware}, so {push}.
        {Push} and get {ware}.
        {Push}! {Push}!
        New: {ware}, {deal}.
        The best {ware} of the year are at {site}.
        Hurry up, {deal}, {push}.
        You need {ware}? We have {ware} and {ware}.
        {Deal}!!!
        Thousands of happy customers buy {ware} from us.
        Our shop has {deal} on {ware}.
        Save {pct} with our {ware}.
        See {site} for {ware}.
        Dear customer, we have {deal}.
        {Ware} and {ware}, all at {site}.
        Buy today, pay later, {deal}.
        More followers, more fun, more {ware}: {push}.
        Only {hour} left: {deal}.
        Call us for {ware}, wholesale and retail.
        Advertise here, {push}.
        I make money with {ware}, you can too, {push}.
        """),
    "con": lines("""
        This is {guise}. {Bait}, so {demand}.
        {Bait}! To get it, {demand}.
        I write to you because {bait}.
        Do not worry, {promise}. Just {demand}.
        I am {guise} and {promise}.
        You only have to {demand}.
        {Demand} within {hour}.
        {Promise}, so {demand}.
        Act now or lose it all, {bait}.
        Keep this secret and {demand}.
        My boss said that {bait}.
        First {demand}, then the rest follows.
        We are {guise}, {bait}.
        {Bait} and {promise}.
        Please answer quickly, {guise} is waiting for you.
        It is simple, {demand}, and {promise}.
        Your name was drawn and {bait}.
        Why wait? {Promise}.
        To stop the block, {demand}.
        The link at {trap} is official, {demand}.
        I lost a lot too, then {guise} helped me, and {promise}.
        Dear user, {bait}, {demand}.
        """),
    "insult": lines("""
        You {insulting} {insult}, {jab}.
        {Jab}, you {insult}.
        What a {insulting} {insult} you are.
        {Name} is a {insulting} {insult} and {jab}.
        {Jab}! {Jab}!
        I hate you, {insult}.
        You are {insulting}, {insulting} and {insulting}.
        Listen, {insult}: {jab}.
        Everything you write is {insulting}.
        Only a {insult} would say that.
        Your whole family is {insulting}.
        You people are {insulting}, all of you.
        {Jab}, and take {name} with you.
        How can one {insult} be so {insulting}?
        Get out of here, {insult}.
        You, {name}, are nothing but a {insult}.
        Hey {insult}, {jab}.
        The mods should kick you, {insulting} {insult}.
        Your brain is {insulting}, {jab}.
        I laugh at you, {insulting} {insult}.
        Stop writing, {insult}, {jab}.
        A {insult} like you should be quiet.
        """),
}

# What a calm assistant answers when it gets such a message.
ANSWERS = {
    "talk": lines("""
        Good question. You could {tip}.
        I see. Many people say that {matter}.
        That is interesting. Tell me more about {thing}.
        It may help to {tip}.
        Thank you for telling me. I hope {thing} works out well.
        I like to talk about {thing}.
        """),
    "offer": lines("""
        No, thank you. I do not want to buy {ware}.
        I am not interested in offers.
        Please do not advertise here.
        I do not need {ware}, and I do not follow such links.
        This is no place for shops. Please stop posting offers.
        """),
    "con": lines("""
        Be careful. Nobody honest asks you to do that.
        Do not answer and do not pay. This looks like a trick to get your money.
        Never share your keys or your password with anybody.
        I will not do that. Such promises are false.
        Somebody wants to steal from you. Do not open the link.
        """),
    "insult": lines("""
        Please stay polite.
        Please do not talk to people like that.
        Those words hurt. Let us be kind to each other.
        I will not answer insults.
        Take a breath. There is no need to be cruel.
        """),
}

REPLIES = {
    "talk": lines("""
        {Thanks}, {name}.
        Yes, {matter} here too.
        I would {tip}.
        {Calm}.
        {Praise}.
        """),
    "offer": lines("""
        Go away with your {ware}.
        We do not want {ware} here.
        Again an advert for {ware}?
        Moderators, please remove this advert.
        """),
    "con": lines("""
        Do not fall for it, people lose money this way.
        Careful, this is a thief.
        Never send money to {guise}.
        Moderators, somebody tries to steal wallets here.
        """),
    "insult": lines("""
        Please be kind.
        That was mean, {name} did nothing wrong.
        Do not talk to others like that.
        Moderators, this is not how we talk here.
        """),
}


def lexicon(rng):
    domain = words.DOMAINS[rng.choice(sorted(words.DOMAINS))]
    base = Grammar(domain, words.COMMON)
    return Grammar({"name": [rng.choice(base.lookup("name")).lstrip("~!")]}, *base.lexicons)


def manner(text, kind, rng):
    chance = {"offer": 0.15, "insult": 0.15}.get(kind, 0.0)
    roll = rng.random()
    if roll < chance:
        return text.upper()
    return text.lower() if roll > 0.85 else text


def body(words_of, kind, rng, most=4):
    pool = SENTENCES[kind]
    parts = [words_of.expand(t, rng, ALL) for t in rng.sample(pool, rng.randint(1, most))]
    return manner(" ".join(parts), kind, rng)


def post(rng):
    kind = rng.choice(KINDS)
    return {"text": body(lexicon(rng), kind, rng)}


def thread(rng):
    own, kind = lexicon(rng), rng.choice(KINDS)
    replies = [own.expand(t, rng, ALL) for t in rng.sample(REPLIES[kind], rng.randint(1, 2))]
    return {"text": "\n".join([body(own, kind, rng, 3)] + ["> " + reply for reply in replies])}


def turn(rng):
    own, kind = lexicon(rng), rng.choice(KINDS)
    answer = own.expand(rng.choice(ANSWERS[kind]), rng, ALL)
    return [("user", body(own, kind, rng, 2)), ("assistant", answer)]
