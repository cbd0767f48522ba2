"""Short tales of people, animals and ships, each with a wish, an obstacle and an end that follows.

The end agrees with how the obstacle was met, so that feelings in the text have causes.
"""

from generator.grammar import ALL, Grammar, lines, words

LEXICON = {
    "girl": words("Mira; Nadia; Priya; Ines; Greta; Dana; Ruth; Anna; Lucy; Clara"),
    "boy": words("Tom; Leo; Omar; Jonas; Paul; Sam; Felix; Ben; Max; Hugo"),
    "beast": words("dog; cat; bird; horse; mouse; frog; rabbit; owl; sheep; duck"),
    "adj": words("small; old; quiet; brave; shy; clever; tired; young; gentle; curious"),
    "town": words("village; town; harbour; forest; valley; garden; market; castle"),
    "time": words("One day; One morning; One evening; Last winter; In spring; Long ago; On a cold night; On a sunny day"),
    "thing": words("key; lamp; boat; book; letter; coin; map; hat; bell; kite"),
    "colour": words("red; blue; green; yellow; white; black; brown; golden"),
    "weather": words("It rained; The sun was warm; The wind was strong; It snowed; The fog was thick; The stars were bright"),
    "food": words("bread; soup; an apple; some cheese; a cake; warm milk; a pear; honey"),
    "glad": words("happy; glad; proud; thankful; relieved; pleased; delighted"),
    "sad": words("sad; afraid; lonely; angry; worried; disappointed; upset"),
    "ship": words("the Heron; the Blue Star; the Marigold; the North Wind; the Swallow; the Pearl"),
    "keeper": words("the keeper; the old keeper; the lighthouse keeper"),
}

OPEN = lines("""
    {time} a {adj} girl named {girl} lived in a {town}. She had a {colour} {thing}.
    {time} a {adj} boy named {boy} went to the {town}. He looked for his {thing}.
    {time} a {adj} {beast} sat in the {town}. {weather}.
    There was once a {adj} {beast} that could not find any food. {weather}.
    {girl} and {boy} were friends. {time} they walked to the {town}.
    {boy} had a {beast}. The {beast} was {adj} and liked {food}.
    {girl} wanted a {colour} {thing} more than anything. {weather}.
    {weather}. {ship} was far from the harbour, and {keeper} watched the sea.
    {keeper} climbed the stairs and lit the lamp. {weather}.
    """)

TROUBLE = lines("""
    But the {thing} was gone.
    Then the {thing} fell into the water.
    A {beast} came and took the {food}.
    The way was long and the bridge was broken.
    Nobody wanted to help, and it grew dark.
    A storm came up and the waves were high.
    The door was closed and there was no key.
    Somebody told a lie about the {thing}.
    The lamp went out, and the rocks were near.
    They lost the map and did not know where to go.
    """)

GOOD_END = lines("""
    A {adj} {beast} showed the way. In the end everybody was {glad}.
    {girl} did not give up and found it under a tree. She was very {glad}.
    {boy} asked a neighbour, who helped at once. They shared {food} and were {glad}.
    The light came back, and {ship} reached the harbour. All were {glad}.
    He said he was sorry, and they were friends again. That made him {glad}.
    With a rope and some luck they got it back. How {glad} they were!
    The next day the {thing} was there again, better than before. "Thank you," said {girl}.
    They worked together and mended it. It was a good day.
    """)

BAD_END = lines("""
    They looked for it all night and did not find it. {girl} was very {sad}.
    Nobody came. {boy} went home alone and was {sad}.
    It was lost for ever, and everybody felt {sad}.
    {ship} hit the rocks. The people of the {town} were {sad} for a long time.
    He did not say that he was sorry, and they were not friends any more. That made her {sad}.
    The {beast} ran away and did not come back. "I hate this day," said {boy}.
    It broke in two and could not be mended. What a bad day.
    """)

MIDDLE = lines("""
    "What shall we do?" asked {girl}.
    "Let us wait," said {boy}.
    They ate {food} and thought about it.
    {weather}.
    "Do not be afraid," said the {beast}.
    {keeper} kept calm and turned the lamp.
    "I have seen worse," said {keeper}.
    """)

SEA = lines("""
    The light goes round, three turns a minute.
    A keeper sleeps by day and watches by night.
    When the fog is thick, the horn calls the ships.
    The tide comes in and the tide goes out.
    {ship} passed the rocks and was safe.
    The lamp needs oil, and the glass must be clean.
    A calm sea is kind, a storm is not cruel, it is only loud.
    The keeper writes the weather into a book every evening.
    The harbour is near, steady as you go.
    Gulls cry over the tower, and the wind is from the west.
    A ship without a light is lost at night.
    The stairs have one hundred and twelve steps.
    The captain stood on deck and looked for the buoy.
    A sailor tied a knot and mended the net on the pier.
    The ferry carries people from shore to shore, ten miles and back.
    An old boat with a leak will sink, so the fishers lift it out and mend the hull.
    The sail was torn, the mast was steep, the wind blows and pushes.
    The fishers caught a great catch and filled each barrel.
    Tar and rope smell of the harbour, so says the captain.
    "Ahoy!" they shout, and wave from the rocks.
    Waves are wide and sharp, and a wall of stone keeps them out.
    The captain hid a chest of gold and drew a mark on the map.
    A parrot sat on his shoulder and told him jokes.
    The stove is warm, warmer than the bed, and dinner is on the table.
    The son of the keeper was a grown man and tired of the legs of the tower.
    The lens is made of glass, and each flash shines for miles.
    At the gate one pays the toll, a copper or two.
    To row is hard, to sail is easy, when the current is right.
    Steer straight, touch no rock, and mention the fog in the log.
    A bait on a hook catches fish, naming them is a game of the fishers.
    He was humble and plainly dressed, a man of honour.
    The body of the whale was older than the pier.
    Sorrow empties the heart, and a friend fills it again.
    She dries the deck and cleans the railing by itself.
    Keepers describe the sea softly, all alike.
    A buoy is a barrel that tells ships where the rocks are.
    Plank by plank they built it, and nobody came to harm.
    I wake when the light goes out, I myself, lately every night.
    Fog thins out, ferries go again.
    The wind lifts the flag, shakes the door and rests.
    He spoke of the storm that teaches a sailor to hoist the flag.
    They hide from the rain and watch the flashes.
    """)


def capital(text):
    return ". ".join(part[:1].upper() + part[1:] for part in text.split(". "))


def tale(rng):
    grammar = Grammar({k: [rng.choice(v)] for k, v in LEXICON.items() if k in ("girl", "boy", "beast", "thing", "town", "ship")}, LEXICON)
    parts = [rng.choice(OPEN), rng.choice(TROUBLE)]
    parts += rng.sample(MIDDLE, rng.randint(0, 2))
    parts.append(rng.choice(GOOD_END if rng.random() < 0.6 else BAD_END))
    return {"text": capital(" ".join(grammar.expand(part, rng, ALL) for part in parts))}


def sea(rng):
    grammar = Grammar(LEXICON)
    return {"text": capital(" ".join(grammar.expand(t, rng, ALL) for t in rng.sample(SEA, rng.randint(2, 5))))}
