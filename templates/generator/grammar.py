"""Turns sentence templates and lexicons into text, and keeps the splits apart.

A template is a sentence with
    {name}   a slot, filled from the lexicon of that name ({Name}: first letter capitalised,
             {bare_name}: without its article),
    <a|b>    a choice,
    [text]   an optional part, kept every second time.
A lexicon entry marked `!` is used for training only, one marked `~` for held-out rows only; all
others are shared. Nothing here knows a task: the modules beside this one hold the sentences.
"""

import hashlib
import random
import re

ARTICLE = re.compile(r"^(an?|the|our|some) ")
# What a text is about stays the same from its first sentence to its last.
SETTLED = ("coin", "tick")
TRAIN, VALID, TEST, ALL = "train", "valid", "test", "all"


def words(text):
    """A lexicon from a `;`-separated list."""
    return [entry.strip() for entry in text.replace("\n", " ").split(";") if entry.strip()]


def lines(text):
    """Templates, one a line."""
    return [line.strip() for line in text.strip().splitlines() if line.strip()]


def seeded(*parts):
    """A generator whose stream depends on nothing but `parts`."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def allowed(entries, split):
    """The entries of a lexicon that rows of this split may use, without their marks."""
    barred = {TRAIN: "~", ALL: "-"}.get(split, "!")
    return [entry.lstrip("~!") for entry in entries if not entry.startswith(barred)]


class Grammar:
    """Expands templates with the lexicons given first to last; an earlier one hides a later one."""

    def __init__(self, *lexicons):
        self.lexicons = lexicons

    def lookup(self, name):
        for lexicon in self.lexicons:
            if name in lexicon:
                return lexicon[name]
        raise KeyError(f"no lexicon has the slot {{{name}}}")

    def expand(self, template, rng, split, used=None, settled=None):
        used = set() if used is None else used
        settled = {} if settled is None else settled
        text = self._optional(template, rng)
        text = self._choices(text, rng)
        return self._slots(text, rng, split, used, settled)

    def _optional(self, text, rng):
        return re.sub(r"\[([^\[\]]*)\]", lambda m: m[1] if rng.random() < 0.5 else "", text)

    def _choices(self, text, rng):
        return re.sub(r"<([^<>]*\|[^<>]*)>", lambda m: rng.choice(m[1].split("|")), text)

    def _slots(self, text, rng, split, used, settled):
        def fill(match):
            name = match[1]
            slot = name.lower().removeprefix("bare_")
            if slot in settled:
                entries = [settled[slot]]
            else:
                entries = allowed(self.lookup(slot), split)
            fresh = [entry for entry in entries if entry not in used] or entries
            entry = rng.choice(fresh)
            used.add(entry)
            if slot in SETTLED:
                settled[slot] = entry
            if "{" in entry:
                entry = self.expand(entry, rng, split, used, settled)
            if "bare_" in name:
                entry = ARTICLE.sub("", entry)
            return entry[:1].upper() + entry[1:] if name[0].isupper() else entry

        return re.sub(r"\{(\w+)\}", fill, text)


def normal(text):
    """Words alone, lower case: the form in which texts are compared."""
    return re.findall(r"[a-z0-9$']+(?:[.-][a-z0-9]+)*", text.lower())


def rows_from(templates, grammar, count, split, key, style=lambda text, rng: text):
    """`count` different rows as (text, template index), spread evenly over the templates."""
    rows, seen = [], set()
    for number in range(count * 40):
        if len(rows) == count:
            return rows
        index = len(rows) % len(templates)
        rng = seeded(key, split, index, number)
        text = style(grammar.expand(templates[index], rng, split), rng)
        text = re.sub(r"\s+", " ", text).strip()
        mark = tuple(normal(text))
        if mark not in seen:
            seen.add(mark)
            rows.append((text, index))
    raise ValueError(f"{key}: too few different rows from {templates[index]!r}")
