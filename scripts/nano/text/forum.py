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
        I planted and cooked with my grandmother, {praise}.
        My daughter and my cousin play with {thing} in the kitchen.
        In summer we sit outside among the neighbours, {praise}.
        I am wondering about {thing}; perhaps somebody remembers a guide.
        An idea for {thing}: {tip}. Try it, you may forget the trouble.
        The car is full, {thing} arrives tomorrow.
        I spent {amt} on {thing} and do not regret it.
        gg, we finished {thing} at last, a rematch soon?
        our players killed the boss twice, then everybody died, lol
        The club was busy, {name} carried the parts.
        I forgot {thing} at the station, a strange man brought it back.
        My favourite is {thing}, also the colours are nice.
        I repaired {thing} yesterday, it was annoying but not urgent.
        With respect, I disagree with {name} about {thing}.
        A pity, {matter}, but I can repeat it tomorrow.
        Hi, I am {name} and I saw the tutorial about {thing}.
        {Name} speaks about {thing} in the raid, {praise}.
        I met {name} in person, we drank coffee, {praise}.
        Warning, thieves are around: {tip}.
        I reported the fake agent, now please {tip}.
        Is {thing} still reserved for {name}? The photos are good.
        The rule is old, {tip}, and indeed {praise}.
        Somebody called me and wanted my codes, I hung up, {tip}.
        Good manners cost nothing, {calm}.
        The score was even, our player had more skill.
        Our village has a library, a market and a small video club.
        My aunt and her husband live abroad and grow {thing}.
        Weeds and stones everywhere, {matter}.
        I quit for today, {thing} and I need some rest.
        Could you handle {thing} with care? My car is small.
        Has anyone ideas or advice? I want to repair a part of {thing}.
        He was asking himself whether to reopen {thing}, anyway {praise}.
        The guys went along, playing {thing}, speaking of home.
        I remember {thing} was ours, my son outgrew it.
        Plants need care, being patient is a power.
        Whoever buys {thing} pays {amt}, whoever sells {thing} is content.
        She hates the nerf, he accepts it, both like {thing}.
        Please allow a greeting and an unrelated idea: {tip}.
        """),
    "offer": lines("""
        {Ware}! And {ware}! With {deal}!
        We sell {ware} with {deal}.
        Everybody loves our {ware}, so {push}.
        {Push} and get {ware}.
        {Push}! And {push}!
        New in stock: {ware}, with {deal}.
        The best {ware} of the year are at {site}.
        Hurry up, {deal}, so {push}.
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
        Attention, shoppers: {ware} everywhere.
        Our company has a warehouse of {ware}, resellers ask for {deal}.
        Gamers, gardeners, lovers of {ware}, {push}.
        A raffle! The winner receives {ware}.
        My new video and my blog are about {ware}, {push}.
        Adore your skin, treat your mother, {deal}.
        Bored? Tired? Try {ware}, {push}.
        Cheaper than the biggest brands: {ware}.
        Grand opening of {site}, promo for every item.
        10k views and more readers with {ware}.
        The stream is live on {site}, drop a like.
        We print, we pack, we ship: {ware}.
        Unbeatable {ware}, {deal}, {deal}.
        A gift for mother, a gift for yourself: {ware}.
        Search no more, our brand has {ware}, {push}.
        Greetings from the net, you searched and we have the items: {ware}.
        Louder, for mother's day: {deal}!
        Further discounts on {ware} at {site}.
        Sellers of {ware} represent our brand, {push}.
        """),
    "con": lines("""
        This is {guise}. {Bait}. Therefore you have to {demand}.
        {Bait}! Do you want it? Then {demand}.
        I write to you because {bait}.
        Do not worry, {promise}. Just {demand}.
        My name is {name}, I am {guise}. {Promise}.
        You only have to {demand}.
        {Demand} within {hour}.
        {Promise}, as long as you {demand}.
        Act now or lose it all, {bait}.
        Keep this secret and {demand}.
        My boss said that {bait}.
        First {demand}, then the rest follows.
        We are {guise}, {bait}.
        {Bait}. I swear that {promise}.
        Please answer quickly, {guise} is waiting for you.
        It is simple: you {demand}. After that {promise}.
        Your name was drawn and {bait}.
        Why wait? {Promise}.
        To stop the block, {demand}.
        The link at {trap} is official, {demand}.
        I lost a lot too, then {guise} helped me, and {promise}.
        Dear user, know that {bait}. Quickly {demand}.
        Final notice, the access ends soon. You are asked this: {demand}.
        We upgraded the servers. {Bait}.
        An automatic greeting from {guise}, continue when you {demand}.
        The lottery has drawn you. {Bait}.
        An old widow leaves you gold and {amt}, {promise}.
        Your parcel is stopped, the courier waits, therefore {demand}.
        The landlord is overseas and {guise} has the keys.
        A loan, a job, a fund: {promise}.
        Invest today. {Promise}.
        Kindly hurry. The rule of {guise} is: {demand}.
        Free skins and gems for your hero! {Demand}.
        Your hero will be deleted in {hour}.
        Buyer protection from {guise}. {Promise}.
        My driver picks it up unseen. Before that, {demand}.
        psst, a secret method. {Promise}.
        To enter the beta, you {demand}.
        Your membership is not approved. Please {demand}.
        Receive parcels at home, {guise} arranges the rest, {promise}.
        He trusts you with the keys, so {demand}.
        Lend me your codes, brother, {promise}.
        Confirmation is missing. Do this next: {demand}.
        The server has a new host. Players {demand}.
        I am on duty as {guise}. Do as I say and {demand}.
        {Guise} chose you. {Promise}.
        """),
    "insult": lines("""
        You are a {insulting} {insult} and {jab}.
        {Jab}, you {insult}.
        What a {insulting} {insult} you are.
        {Name} is a {insulting} {insult} and {jab}.
        {Jab}! And {jab}!
        I hate you, {insult}.
        You are {insulting}, {insulting} and {insulting}.
        Listen, {insult}, listen well: {jab}.
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
        Whoever asked you, {insult}? {Jab}.
        I spit on you, {insulting} creature.
        Losers like {name} should quit, {jab}.
        Your face, your manners, your photos: all {insulting}.
        Even a dog thinks you are a {insult}.
        No respect for a {insult}, {jab}.
        Uninstall yourself, {insulting} bot.
        {Name} is trash, and so is the post of this {insult}.
        Beg, cry, rot, {insult}.
        Imagine a {insult} with a keyboard, that is {name}.
        A stone has more brain than you, {insulting} {insult}.
        I have never met anybody so {insulting}.
        Your grandma plays better, {insult}.
        They threw you out, {insult}, and they were right. {Jab}.
        Do everybody a favour and be silent, {insulting} {insult}.
        The dump is the right place for a {insult}.
        A {insult} like {name} should be thrown out and buried under the trash.
        May it rot as everything rots that {name} touches.
        Mute this {insult}.
        Nobody loves you, {name}. {Jab}.
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
