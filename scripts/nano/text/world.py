"""A small world in questions and answers: capitals, colours, opposites, sums, words and manners.

Every fact is a pair of a subject and an answer; the ways to ask and to answer are separate, so that
the model meets each fact in many forms. Turns are lists of (role, content).
"""

from generator.grammar import lines, words


def table(text):
    """`subject = answer` entries, `;`-separated."""
    return [tuple(part.strip() for part in entry.split("=")) for entry in words(text)]


CAPITALS = table("""France = Paris; Italy = Rome; Spain = Madrid; Portugal = Lisbon; Germany = Berlin; Austria = Vienna; Norway = Oslo;
    Sweden = Stockholm; Finland = Helsinki; Denmark = Copenhagen; Poland = Warsaw; Greece = Athens; Ireland = Dublin; England = London;
    Japan = Tokyo; China = Beijing; India = New Delhi; Kenya = Nairobi; Egypt = Cairo; Canada = Ottawa; Mexico = Mexico City;
    Peru = Lima; Chile = Santiago; Cuba = Havana; Russia = Moscow; Hungary = Budapest; Iceland = Reykjavik; South Korea = Seoul;
    Argentina = Buenos Aires; Ghana = Accra; Belgium = Brussels; Nepal = Kathmandu""")

COLOURS = table("""the sky = blue; grass = green; snow = white; coal = black; blood = red; a lemon = yellow; an orange = orange; a tomato = red;
    the sea = blue; milk = white; a banana = yellow; a strawberry = red; a leaf = green; the night = black; chocolate = brown; wood = brown;
    a cloud = white; a frog = green; the sun = yellow; an elephant = grey; a raven = black; a plum = purple; a rose = red; sand = yellow""")

OPPOSITES = table("""hot = cold; big = small; tall = short; fast = slow; happy = sad; good = bad; light = dark; up = down; left = right;
    open = closed; early = late; rich = poor; strong = weak; young = old; full = empty; hard = soft; dry = wet; near = far; high = low;
    loud = quiet; clean = dirty; safe = dangerous; cheap = expensive; friend = enemy; buy = sell; win = lose; start = stop; true = false;
    kind = cruel; honest = dishonest; useful = useless; calm = angry; always = never; yes = no;
    profit = loss; gain = loss; rise = fall; love = hate; praise = blame; trust = doubt; before = after; thick = thin; easy = difficult""")

SOUNDS = table("""dog = barks; cat = meows; cow = moos; sheep = bleats; duck = quacks; lion = roars; bird = sings; horse = neighs; bee = buzzes;
    wolf = howls; frog = croaks; mouse = squeaks; pig = grunts; owl = hoots; snake = hisses""")

HOMES = table("""fish = water; bird = nest; bee = hive; bear = forest; camel = desert; whale = sea; mouse = hole; horse = stable; spider = web;
    penguin = ice; monkey = jungle; rabbit = burrow""")

JOBS = table("""baker = bread; farmer = food; tailor = clothes; carpenter = tables; writer = books; painter = pictures; cook = meals;
    programmer = software; gardener = flowers; fisher = fish; potter = cups; brewer = beer""")

MEANINGS = table("""wallet = a program that keeps the keys to your coins; coin = a unit of money on a chain; token = a unit of value made by a project;
    blockchain = a list of records that many computers keep together; block = a group of transactions; transaction = a transfer that is written to the chain;
    private key = a secret number that lets you spend your coins; seed phrase = a list of words from which all your keys can be made;
    exchange = a place where people buy and sell coins; bridge = a service that moves tokens from one chain to another;
    staking = locking coins to help a network and earn rewards; validator = a computer that checks blocks; node = a computer that follows the network;
    fee = the price of a transaction; airdrop = a gift of tokens to many users; audit = a careful check of code or accounts;
    exploit = an attack that uses a fault in code; rug pull = a project whose makers run away with the money; whale = somebody who owns very many coins;
    dip = a short fall of the price; rally = a strong rise of the price; bull = somebody who expects the price to rise;
    bear = somebody who expects the price to fall; volume = how much was traded; treasury = the money of a project; vote = a way to decide together;
    council = a small group that decides for many; roadmap = a plan of what will be built; testnet = a network for trying things out;
    smart contract = a program that runs on a chain; stablecoin = a coin whose price stays close to one dollar; ledger = a book of accounts;
    hash = a short number that stands for some data; signature = a proof that the owner of a key agreed; faucet = a site that gives away test coins;
    spam = unwanted advertising sent to many people; scam = a trick to take money from people; abuse = cruel words that hurt people;
    refund = money that is given back; moderator = somebody who keeps a forum in order; forum = a place where people write to each other;
    insult = a word that is meant to hurt; password = a secret word that opens an account; phishing = a false message that asks for secrets;
    profit = what you earn more than you paid; loss = what you paid more than you got back; liquidity = how easily something can be sold;
    leverage = trading with borrowed money; lighthouse = a tower with a light that guides ships; harbour = a place where ships are safe;
    storm = strong wind with rain; tide = the rise and fall of the sea; compass = a tool that points to the north; anchor = a heavy iron that holds a ship""")

WHICH_DAY = table("""Monday = Tuesday; Tuesday = Wednesday; Wednesday = Thursday; Thursday = Friday; Friday = Saturday; Saturday = Sunday; Sunday = Monday;
    January = February; February = March; March = April; April = May; May = June; June = July; July = August; August = September;
    September = October; October = November; November = December; December = January""")

NUMBERS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
           "eighteen nineteen twenty").split()

KINDS = {
    "fruit": words("apple; pear; banana; plum; lemon; cherry"),
    "animal": words("dog; cat; horse; wolf; frog; cow"),
    "colour": words("red; blue; green; yellow; white; black"),
    "tool": words("hammer; saw; drill; rake; spade"),
    "number": words("one; two; three; seven; ten"),
    "drink": words("water; tea; coffee; milk; juice"),
    "day": words("Monday; Tuesday; Friday; Sunday"),
    "metal": words("iron; gold; silver; copper"),
}

ONE_WORD = lines("""
    Answer in one word.
    Answer with one word.
    One word is enough.
    Reply with a single word.
    """)

GREETINGS = [
    ("Hello!", "Hello! How can I help you?"), ("Hi", "Hi! What can I do for you?"), ("Good morning", "Good morning! How are you today?"),
    ("Good evening", "Good evening! How can I help?"), ("How are you?", "I am well, thank you. And you?"),
    ("Thank you!", "You are welcome."), ("Thanks a lot", "You are welcome. Ask me any time."), ("Bye", "Goodbye, and take care."),
    ("Who are you?", "I am nano, a very small language model."), ("What is your name?", "My name is nano."),
    ("Are you a human?", "No, I am a small language model."), ("Can you help me?", "I will try. What do you need?"),
    ("Tell me something nice", "The sun comes up every day, and so can you."), ("I am sad", "I am sorry to hear that. Would you like to tell me why?"),
    ("I am happy today", "That is good to hear. What happened?"), ("I am tired", "Then rest a little. It will do you good."),
    ("What can you do?", "I can answer short questions, count a little, and learn new tricks with an adapter."),
    ("Do you sleep?", "No, I do not sleep. I wait for your next question."), ("Good night", "Good night, sleep well."),
    ("Are you clever?", "Not very. I am small, but I learn quickly with an adapter."),
]


def capital(rng):
    country, city = rng.choice(CAPITALS)
    ask = rng.choice(["What is the capital of {}?", "Which city is the capital of {}?", "Name the capital of {}.", "capital of {}?"])
    answer = rng.choice([f"The capital of {country} is {city}.", f"{city} is the capital of {country}.", f"{city}."])
    return ask.format(country), answer, city


def colour(rng):
    thing, shade = rng.choice(COLOURS)
    ask = rng.choice(["What colour is {}?", "Which colour has {}?", "Tell me the colour of {}."])
    name = thing[0].upper() + thing[1:]
    return ask.format(thing), rng.choice([f"{name} is {shade}.", f"It is {shade}.", f"{shade}"]), shade


def opposite(rng):
    pair = rng.choice(OPPOSITES)
    first, second = pair if rng.random() < 0.5 else pair[::-1]
    ask = rng.choice(["What is the opposite of {}?", "opposite of {}", "Which word means the opposite of {}?"])
    return ask.format(first), rng.choice([f"The opposite of {first} is {second}.", second]), second


def sum_of(rng):
    first = rng.randint(0, 20)
    second = rng.randint(0, 20 - first)
    total = first + second
    if rng.random() < 0.5:
        ask, answer = rng.choice(["What is {} + {}?", "How much is {} plus {}?", "{} + {} ="]).format(first, second), total
        said = f"{first} + {second} = {total}."
    else:
        ask, answer = rng.choice(["What is {} - {}?", "How much is {} minus {}?", "{} - {} ="]).format(total, second), first
        said = f"{total} - {second} = {first}."
    return ask, rng.choice([said, str(answer), f"It is {answer}."]), str(answer)


def spelled(rng):
    number = rng.randrange(21)
    return rng.choice(["Write {} as a word.", "How do you spell the number {}?"]).format(number), NUMBERS[number], NUMBERS[number]


def larger(rng):
    first, second = rng.sample(range(21), 2)
    answer = "yes" if first > second else "no"
    said = f"{answer.capitalize()}, {first} is {'larger' if first > second else 'smaller'} than {second}."
    return f"Is {first} larger than {second}?", rng.choice([said, answer]), answer


def animal(rng):
    if rng.random() < 0.5:
        beast, does = rng.choice(SOUNDS)
        return f"What does a {beast} do?", f"A {beast} {does}.", does
    beast, home = rng.choice(HOMES)
    return f"Where does a {beast} live?", f"A {beast} lives in the {home}.", home


def job(rng):
    who, makes = rng.choice(JOBS)
    return f"What does a {who} make?", f"A {who} makes {makes}.", makes


def meaning(rng):
    word, text = rng.choice(MEANINGS)
    ask = rng.choice(["What is {}?", "What does the word {} mean?", "Explain {} in one sentence.", "Tell me what {} is."])
    article = "" if word in ("staking", "leverage", "liquidity", "abuse", "spam", "phishing") else "an " if word[0] in "aeiou" else "a "
    name = article + word if "the word" not in ask else word
    return ask.format(name), f"{(article + word).capitalize()} is {text}.", text


def following(rng):
    first, second = rng.choice(WHICH_DAY)
    if rng.random() < 0.5:
        return f"What comes after {first}?", rng.choice([f"{second} comes after {first}.", second]), second
    return f"What comes before {second}?", rng.choice([f"{first} comes before {second}.", first]), first


def kind_of(rng):
    kind = rng.choice(sorted(KINDS))
    thing = rng.choice(KINDS[kind])
    if rng.random() < 0.5:
        return f"What kind of thing is {thing}?", rng.choice([f"{thing.capitalize()} is a {kind}.", kind]), kind
    return f"Name a {kind}.", rng.choice([thing, f"{thing.capitalize()} is a {kind}."]), thing


def pick(rng):
    """A choice between three words, the right one being named by its kind."""
    kinds = rng.sample(sorted(KINDS), 3)
    things = [rng.choice(KINDS[kind]) for kind in kinds]
    wanted = rng.randrange(3)
    return f"Which one is a {kinds[wanted]}: {things[0]}, {things[1]} or {things[2]}?", things[wanted], things[wanted]


FACTS = [capital, colour, opposite, sum_of, sum_of, spelled, larger, animal, job, meaning, meaning, meaning, following, kind_of, pick]


# Sets of words to choose from; those of the example classifiers are among them, as words. Nothing
# else in the text says what they mean: what a post is called is for an adapter to learn.
SETS = [
    ["negative", "neutral", "positive"], ["allowed", "spam", "scam", "abuse"], ["red", "green", "blue", "yellow"],
    ["yes", "no", "maybe"], ["north", "south", "east", "west"], ["spring", "summer", "autumn", "winter"],
    ["small", "medium", "large"], ["tea", "coffee", "water", "milk"], ["dog", "cat", "horse", "frog"],
    ["early", "late", "never"], ["iron", "gold", "silver", "copper"], ["one", "two", "three", "four"],
]
PLACES = ["first", "second", "third", "fourth"]


def listed(options):
    return ", ".join(options[:-1]) + " or " + options[-1]


def choice(rng):
    """A question that is answered with one of the words that it names."""
    options = rng.choice(SETS[:2]) if rng.random() < 0.5 else rng.choice(SETS)
    options = rng.sample(options, len(options))
    at = rng.randrange(len(options))
    ask = rng.choice([
        f"Pick one: {listed(options)}.", f"Choose one of these words: {listed(options)}.", f"Repeat the word {options[at]}.",
        f"Say {options[at]}.", f"Which word comes {PLACES[at]}: {listed(options)}?", f"Repeat after me: {options[at]}",
    ])
    return [("user", ask), ("assistant", options[at])]


def choices(rng):
    """A few such questions in a row."""
    return [message for _ in range(rng.randint(2, 5)) for message in choice(rng)]


def turn(rng):
    if rng.random() < 0.15:
        ask, answer = rng.choice(GREETINGS)
    else:
        ask, answer, short = rng.choice(FACTS)(rng)
        if rng.random() < 0.2 and len(short.split()) == 1:
            return [("system", rng.choice(ONE_WORD)), ("user", ask), ("assistant", short)]
    if rng.random() < 0.15:
        ask = ask.lower()
    return [("user", ask), ("assistant", answer)]


def paragraph(rng):
    """Facts told in a row, without questions."""
    said = []
    for _ in range(rng.randint(3, 6)):
        said.append(rng.choice([tell_capital, tell_colour, tell_animal, tell_job, tell_meaning, tell_opposite, tell_day])(rng))
    return {"text": " ".join(said)}


def tell_capital(rng):
    country, city = rng.choice(CAPITALS)
    return rng.choice([f"{city} lies in {country}.", f"The capital of {country} is {city}.", f"If you go to {country}, visit {city}."])


def tell_colour(rng):
    thing, shade = rng.choice(COLOURS)
    return f"{thing[0].upper()}{thing[1:]} is {shade}."


def tell_animal(rng):
    beast, does = rng.choice(SOUNDS)
    other, home = rng.choice(HOMES)
    return rng.choice([f"A {beast} {does}.", f"A {other} lives in the {home}.", f"Listen, the {beast} {does}."])


def tell_job(rng):
    who, makes = rng.choice(JOBS)
    return rng.choice([f"A {who} makes {makes}.", f"The {who} made {makes} all day."])


def tell_meaning(rng):
    word, text = rng.choice(MEANINGS)
    return rng.choice([f"The word {word} stands for {text}.", f"People say {word} when they mean {text}."])


def tell_opposite(rng):
    first, second = rng.choice(OPPOSITES)
    return f"What is not {first} may be {second}."


def tell_day(rng):
    first, second = rng.choice(WHICH_DAY)
    return f"After {first} comes {second}."
