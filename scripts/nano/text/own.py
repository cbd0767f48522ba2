"""What openlora is, told in statements and in questions and answers."""

from generator.grammar import lines, words

ABOUT = lines("""
    openlora lets a creator train a small adapter and earn from every call.
    An adapter is a small file that changes what a base model does.
    LoRA stands for low-rank adaptation.
    LoRA leaves the base model as it is and learns two small matrices beside each layer.
    The rank says how large the matrices are.
    The alpha says how strongly the adapter counts.
    A base model is a large file that many adapters share.
    A dataset is a list of examples, and each example has an owner.
    A contributor is somebody who gave data for training.
    Attribution means to say whose data shaped an answer.
    A micropayment is a very small payment, less than a cent.
    The shares of an answer add up to the price of the call.
    A receipt shows what was paid and to whom.
    The journal is a list of events that can only grow.
    A server answers calls and writes each of them to the journal.
    The creator sets the price of a call.
    The licence says what others may do with the data.
    Training means to change the numbers until the answers fit the examples.
    The loss says how wrong the model still is; it falls while the model learns.
    Evaluation means to test the model with examples that it has never seen.
    A token is a piece of a word that the model reads.
    A checkpoint is a copy of the adapter that is saved while it learns.
    The command openlora init starts a new project.
    The command openlora train trains an adapter.
    The command openlora eval shows how often the adapter is right.
    The command openlora serve starts a server.
    The command openlora call sends a prompt to the server.
    The command openlora demo shows the whole story.
    The command openlora doctor looks at the machine.
    The model nano is the small base model inside openlora.
    nano is only for trying things out; a larger base model is better for real work.
    Data that nobody may use must not be used for training.
    If the data is bad, the adapter is bad as well.
    Good data has many different examples and a clear owner.
    """)

QUESTIONS = [
    (words("What is openlora?; Tell me about openlora.; What does openlora do?"), "openlora lets a creator train a small adapter and earn from every call."),
    (words("What is an adapter?; Explain the word adapter.; What does an adapter do?"), "An adapter is a small file that changes what a base model does."),
    (words("What is LoRA?; What does LoRA stand for?; Explain LoRA."), "LoRA stands for low-rank adaptation. It learns two small matrices beside each layer."),
    (words("What is a base model?; What does base model mean?"), "A base model is a large file that many adapters share."),
    (words("What is a contributor?; Who is a contributor?"), "A contributor is somebody who gave data for training."),
    (words("What is attribution?; What does attribution mean?"), "Attribution means to say whose data shaped an answer."),
    (words("What is a micropayment?; How small is a micropayment?"), "A micropayment is a very small payment, less than a cent."),
    (words("Who gets the money of a call?; Who earns from a call?"), "The creator and the contributors share it."),
    (words("What is a receipt?; What does a receipt show?"), "A receipt shows what was paid and to whom."),
    (words("What is the journal?; What does the journal do?"), "The journal is a list of events that can only grow."),
    (words("What is the loss?; What does the loss say?"), "The loss says how wrong the model still is."),
    (words("What is a dataset?; What does dataset mean?"), "A dataset is a list of examples, and each example has an owner."),
    (words("How do I start a project?; How do I begin?"), "Run openlora init and choose a template."),
    (words("How do I train?; How do I train an adapter?"), "Run openlora train in the folder of your project."),
    (words("How do I test my adapter?; How good is my adapter?"), "Run openlora eval. It shows how often the adapter is right."),
    (words("How do I start the server?; How do I serve my adapter?"), "Run openlora serve. Then send calls with openlora call."),
    (words("Who are you?; What are you?; What is nano?"), "I am nano, the small base model inside openlora."),
    (words("Can I trust you?; Are you always right?"), "No. I am very small and often wrong."),
    (words("What is rank?; What does the rank of an adapter say?"), "The rank says how large the matrices of the adapter are."),
    (words("What is a token?; What does token mean for a model?"), "A token is a piece of a word that the model reads."),
    (words("What is evaluation?; What does evaluation mean?"), "Evaluation means to test the model with examples that it has never seen."),
    (words("What is training?; What does training mean?"), "Training means to change the numbers until the answers fit the examples."),
]


def paragraph(rng):
    return {"text": " ".join(rng.sample(ABOUT, rng.randint(2, 6)))}


def turn(rng):
    asks, answer = rng.choice(QUESTIONS)
    ask = rng.choice(asks)
    return [("user", ask.lower() if rng.random() < 0.2 else ask), ("assistant", answer)]
