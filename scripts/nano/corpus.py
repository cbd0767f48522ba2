#!/usr/bin/env python3
"""Writes the text from which the base model `nano` is trained.

    python3 scripts/nano/corpus.py OUT_DIR [--megabytes N] [--seed N]

OUT_DIR/documents.jsonl holds one document a line, {"text": ...}, OUT_DIR/conversations.jsonl
{"messages": [...]}, together as many as give N megabytes; the same names after `valid-` hold a
hundredth of that from another seed. Needs Python alone, and the same arguments give the same
bytes.

A document that has eight words in a row in common with a row of the example projects is left out;
more than one in twenty is an error. What the projects teach can therefore not be read off here: no
row, no sentence template, no label as the answer to a post. Which documents of seed 1 were left out
when nano was made stands in left_out.json, so that its text stays the same when training rows are
added; a held-out row that occurs in it is an error.
"""

import argparse
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "templates"), str(ROOT / "scripts" / "nano")]
sys.dont_write_bytecode = True

from generator.grammar import normal, seeded  # noqa: E402
from generator.projects import PROJECTS  # noqa: E402
from text import forum, howto, market, own, stories, world  # noqa: E402

WINDOW = 8
LEFT_OUT = json.loads((pathlib.Path(__file__).parent / "left_out.json").read_text())
SYSTEMS = [
    "You are a helpful assistant.", "You are nano, a small and friendly model.", "Answer briefly.", "Be kind and clear.",
    "Help the user.", "You answer in short sentences.",
]


def conversation(rng):
    """One to four turns about anything, now and then under a system message."""
    makers = [(world.turn, 10), (own.turn, 3), (howto.turn, 2), (market.turn, 6), (forum.turn, 6)]
    messages = []
    for _ in range(rng.choice([1, 1, 2, 2, 3, 4])):
        turn = rng.choices([m for m, _ in makers], [w for _, w in makers])[0](rng)
        if turn[0][0] == "system" and messages:
            break
        messages += turn
        if turn[0][0] == "system":
            break
    if messages[0][0] != "system" and rng.random() < 0.4:
        messages.insert(0, ("system", rng.choice(SYSTEMS)))
    return chat(messages)


def comment_and_answer(rng):
    """A post as the user's message and a fitting answer, with or without a system message."""
    messages = rng.choice([market.turn, forum.turn])(rng)
    if rng.random() < 0.6:
        messages.insert(0, ("system", rng.choice(SYSTEMS)))
    return chat(messages)


def chat(messages):
    return {"messages": [{"role": role, "content": content} for role, content in messages]}


# What a document may be, and how often.
KINDS = [
    (market.post, 20), (market.thread, 10), (forum.post, 20), (forum.thread, 10),
    (conversation, 24), (comment_and_answer, 14), (lambda rng: chat(market.which_coin(rng)), 4),
    (lambda rng: chat(world.choices(rng)), 8), (stories.tale, 8), (stories.sea, 5), (howto.person, 12), (howto.guide, 2),
    (world.paragraph, 5), (own.paragraph, 5),
]


def contents(document):
    return [document["text"]] if "text" in document else [m["content"] for m in document["messages"]]


def windows(text):
    found = normal(text)
    return (tuple(found[at:at + WINDOW]) for at in range(len(found) - WINDOW + 1))


def guarded(texts):
    """Every eight words in a row of these texts."""
    return {window for text in texts for window in windows(text)}


def repeats(document, barred):
    return any(window in barred for text in contents(document) for window in windows(text))


def documents(seed, size):
    """Yields lines until `size` bytes are written."""
    makers, weights = [kind for kind, _ in KINDS], [weight for _, weight in KINDS]
    every = guarded(text for project in PROJECTS for text in project.texts())
    held_out = guarded(text for project in PROJECTS for text in project.held_out())
    settled = LEFT_OUT.get(str(seed))
    written = kept = dropped = number = 0
    while written < size:
        rng = seeded("nano", seed, number)
        document = rng.choices(makers, weights)[0](rng)
        number += 1
        if repeats(document, every) if settled is None else number - 1 in settled:
            dropped += 1
            if dropped > 100 and dropped * 20 > number:
                raise SystemExit(f"{dropped} of {number} documents repeat a row of an example project")
            continue
        if repeats(document, held_out):
            raise SystemExit(f"document {number - 1} of seed {seed} repeats a held-out row: {document}")
        line = json.dumps(document, ensure_ascii=False) + "\n"
        written, kept = written + len(line.encode()), kept + 1
        yield line
    print(f"seed {seed}: {kept} documents, {written} bytes, {dropped} left out", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description="Writes the text from which nano is trained.")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--megabytes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    size = int(arguments.megabytes * 1_000_000)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for prefix, seed, bytes_of in (("", arguments.seed, size), ("valid-", f"{arguments.seed}-valid", size // 100)):
        lines = list(documents(seed, bytes_of))
        for name, start in (("documents", '{"text"'), ("conversations", '{"messages"')):
            with open(arguments.out / f"{prefix}{name}.jsonl", "w", encoding="utf-8", newline="\n") as file:
                file.writelines(line for line in lines if line.startswith(start))


if __name__ == "__main__":
    main()
