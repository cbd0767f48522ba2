"""How to do small things, in steps; and rows of simple statements about people and things."""

from generator.grammar import ALL, Grammar, lines, words

TASKS = {
    "make tea": ["Boil some water.", "Put the tea into a cup.", "Pour the hot water over it.", "Wait for three minutes.", "Drink it while it is warm."],
    "bake bread": ["Mix flour, water, salt and yeast.", "Let the dough rest.", "Form a loaf.", "Bake it until it is brown.", "Let it cool."],
    "plant tomatoes": ["Fill a pot with soil.", "Put the seeds into the soil.", "Water them every evening.", "Place the pot in the sun.", "Pick the tomatoes when they are red."],
    "mend a bicycle tyre": ["Take off the wheel.", "Find the hole.", "Clean the spot.", "Glue a patch on it.", "Pump up the tyre."],
    "back up a wallet": ["Open the settings of the wallet.", "Write the seed phrase on paper.", "Keep the paper in a safe place.", "Never take a photo of it.", "Test the backup with a small amount."],
    "send coins": ["Open the wallet.", "Copy the address of the receiver.", "Compare the address twice.", "Type the amount.", "Check the fee and confirm."],
    "spot a false message": ["Look at the sender.", "Ask yourself what it wants.", "Do not open any link.", "Never give away your password.", "Tell a moderator."],
    "write a letter": ["Take a sheet of paper.", "Write the date at the top.", "Say hello.", "Tell your news.", "Sign it with your name."],
    "wash a shirt": ["Put the shirt into warm water.", "Add some soap.", "Rub the spots.", "Rinse it with clean water.", "Hang it up to dry."],
    "cook soup": ["Cut the vegetables.", "Put them into a pot with water.", "Add salt.", "Cook them for half an hour.", "Serve the soup with bread."],
    "train an adapter": ["Run openlora init to start a project.", "Put your data files into the folder.", "Check them with openlora data check.", "Run openlora train.", "Look at the result with openlora eval."],
    "serve an adapter": ["Train the adapter first.", "Run openlora serve.", "Wait until the server is ready.", "Send a call with openlora call.", "Stop the server when you are done."],
    "light the lamp of a lighthouse": ["Climb the stairs.", "Clean the glass.", "Fill the lamp with oil.", "Light it before the sun goes down.", "Watch it through the night."],
    "vote in a council": ["Read the proposal.", "Listen to both sides.", "Think about it for a day.", "Vote yes or no.", "Accept the result."],
    "calm down": ["Close your eyes.", "Breathe in slowly.", "Breathe out slowly.", "Count to ten.", "Answer in a friendly way."],
}

ASK = lines("""
    How do I {task}?
    How can I {task}?
    Tell me how to {task}.
    What are the steps to {task}?
    I want to {task}. What do I do first?
    """)

FIRST = ["First", "To begin", "Step one"]


def steps(task, rng, most=5):
    chosen = TASKS[task][:rng.randint(3, most)]
    style = rng.randrange(3)
    if style == 0:
        return "\n".join(f"{number}. {step}" for number, step in enumerate(chosen, 1))
    if style == 1:
        return " ".join(chosen)
    joined = [f"First, {lower(chosen[0])}"] + [f"Then {lower(step)}" for step in chosen[1:-1]] + [f"At last, {lower(chosen[-1])}"]
    return " ".join(joined)


def lower(step):
    return step[:1].lower() + step[1:]


def guide(rng):
    task = rng.choice(sorted(TASKS))
    return {"text": f"How to {task}\n{steps(task, rng)}"}


def turn(rng):
    task = rng.choice(sorted(TASKS))
    ask = rng.choice(ASK).replace("{task}", task)
    if "first" in ask:
        return [("user", ask), ("assistant", TASKS[task][0])]
    return [("user", ask), ("assistant", steps(task, rng, 4))]


PEOPLE = {
    "name": words("Mira; Tom; Priya; Leo; Nadia; Omar; Greta; Paul; Ines; Sam; Dana; Jonas; Yuki; Alex; Ruth; Felix"),
    "job": words("a baker; a farmer; a programmer; a teacher; a trader; a gardener; a moderator; a student; a nurse; a carpenter"),
    "place": words("Lisbon; Oslo; Vienna; Dublin; Seoul; Lagos; Toronto; Santiago; Zurich; Nairobi; Madrid"),
    "like": words("coffee; tea; old books; long walks; music; chess; cooking; running; the sea; gardens; trains; games; bread"),
    "owns": words("a red bicycle; a small boat; two cats; a garden; an old camera; a green coat; a wallet app; a laptop; a piano; three coins"),
    "day": words("Monday; Tuesday; Wednesday; Thursday; Friday; Saturday; Sunday"),
    "does": words("""works at the market; reads the news; writes letters; visits friends; repairs bicycles; waters the garden; checks the prices;
        plays chess; bakes bread; goes to the meetup; helps in the forum; calls the support desk"""),
    "glad": words("happy; glad; proud; thankful; relieved; excited; pleased; delighted; impressed; confident; thrilled; grateful"),
    "sad": words("sad; angry; disappointed; upset; worried; furious; ashamed; disgusted; frustrated; fed up; gutted; heartbroken"),
    "joy": words("""the team won; the price rose; the letter came; the work was done; the garden looked great; the help was quick; the plan worked;
        the money came back; the child was safe; the soup tasted lovely; the vote was fair; nobody was hurt"""),
    "woe": words("""the team lost; the price fell; the letter was lost; the work was for nothing; the garden was dead; nobody helped; the plan failed;
        the money was stolen; the child was lost; the soup tasted awful; the vote was rigged; somebody was hurt"""),
    "plain": words("""the shop opens at nine; the train has six cars; the list has ten names; the meeting is on Tuesday; the door is brown;
        the page has two columns; the year has twelve months; the box is on the table; the letter has a date"""),
    "praised": words("great; excellent; brilliant; solid; superb; reliable; fantastic; wonderful; flawless; honest; helpful; amazing; perfect; outstanding; splendid; lovely; impressive"),
    "blamed": words("terrible; awful; broken; useless; shady; dreadful; unreliable; disgraceful; rotten; pathetic; dishonest; horrible; worthless; hopeless; abysmal; lousy; nasty"),
    "usual": words("average; normal; standard; ordinary; typical; as expected; the usual; unchanged; so-so; middling; neither good nor bad"),
    "object": words("the house; the app; the meal; the film; the song; the report; the bridge; the plan; the answer; the wallet; the game; the road; the shop; the service"),
}

ABOUT = {
    "glad": lines("""
        {name} is {glad}, because {joy}.
        {joy}, and so {name} was {glad}.
        {name} smiled and said that {object} was {praised}.
        {object} was {praised}, {praised} even, and {name} loved it.
        It was {praised}, not {blamed}.
        {name} thanked everybody, for {joy}.
        When {joy}, {name} danced.
        Despite all problems {joy}, and {name} was deeply {glad}.
        {name} will succeed and survive, since {joy}.
        {name} is going to be {glad}: there was no delay, and {joy}.
        {name} likes {object}, it is {praised}.
        "I am so {glad}," said {name}, "{joy}!"
        """),
    "sad": lines("""
        {name} is {sad}, because {woe}.
        {woe}, and so {name} was {sad}.
        {name} cried and said that {object} was {blamed}.
        {object} was {blamed}, {blamed} even, and {name} hated it.
        It was {blamed}, not {praised}.
        {name} blamed everybody, for {woe}.
        When {woe}, {name} shouted.
        Despite all efforts {woe}, and {name} was deeply {sad}.
        {name} was scared and suffers, since {woe}.
        {name} is going to be {sad}: there was a delay, and {woe}.
        {name} does not like {object}, it is {blamed}.
        "I am so {sad}," said {name}, "{woe}!"
        """),
    "plain": lines("""
        {name} noted that {plain}.
        {plain}, and {name} read the sign.
        {name} looked up and said that {object} was {usual}.
        {object} was {usual}, and {name} went on.
        It was {usual}.
        {name} asked whether {plain}.
        When {name} asked, {plain}.
        {name} has seen {object}, it is {usual}.
        "I do not know," said {name}, "{plain}."
        """),
    "life": lines("""
        {name} is {job} in {place}.
        {name} likes {like} and {like}.
        {name} has {owns}.
        On {day} {name} {does}.
        Every {day} {name} {does} and then {does}.
        {name} moved from {place} to {place}.
        {name} rarely talks, however on {day} {name} {does}.
        Since {day} {name} has followed the news from {place}.
        {name} has checked the list and is going to {place}.
        There is a reason why {name} {does}: it matters a lot.
        {name} was thinking about life and did not move.
        {name} is selling {owns} and spends the weekend in {place}.
        For two weeks {name} has been doing the same: {name} {does}.
        Having seen {place}, {name} will remain there over the holidays.
        {name} is frank, never harsh, and a little naive.
        """),
}


def person(rng):
    """Somebody's life, and then one thing that pleased, hurt or merely occurred."""
    grammar = Grammar({"name": [rng.choice(PEOPLE["name"])]}, PEOPLE)
    mood = rng.choice(["glad", "sad", "plain"])
    parts = rng.sample(ABOUT["life"], rng.randint(0, 3)) + rng.sample(ABOUT[mood], rng.randint(1, 4))
    said = [grammar.expand(part, rng, ALL) for part in parts]
    return {"text": " ".join(part[:1].upper() + part[1:] for part in said)}
