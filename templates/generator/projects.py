"""Builds the data files of each project, and the record of which sentence each row came from.

The record (tests/data/templates/NAME.json) is what the tests read to show that no sentence stands
in two splits; it is not part of a project.
"""

import csv
import io
import json

from . import forum_filter, forum_words, keeper, parquet, sentiment, words
from .grammar import ALL, TEST, TRAIN, VALID, Grammar, normal, rows_from, seeded


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def labelled_jsonl(rows):
    return jsonl({"text": text, "label": label} for text, label in rows)


def labelled_csv(rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("text", "label"))
    writer.writerows(rows)
    return out.getvalue().encode()


def labelled_parquet(rows):
    return parquet.encode(("text", "label"), rows)


WRITERS = {"jsonl": labelled_jsonl, "csv": labelled_csv, "parquet": labelled_parquet}


class Project:
    """One classification project: rows of each split, files by path, and the record of rows."""

    def __init__(self, name, module, lexicons, sources, per_template):
        self.name, self.module, self.lexicons = name, module, lexicons
        self.sources, self.per_template = sources, per_template
        self.record = {"templates": {}, "rows": {}}

    def texts(self, splits=(TRAIN, VALID, TEST)):
        """The text of every row of these splits."""
        tables = {TRAIN: self.module.TRAIN, VALID: self.module.VALID, TEST: self.module.TEST}
        places = [(split, tables[split], domain) for split in splits for domain in tables[split]]
        return [row[0] for split, table, domain in places for row in self._rows(split, table, [domain])]

    def held_out(self):
        return self.texts((VALID, TEST))

    def files(self):
        out = {}
        for domain, path in self.sources.items():
            out[path] = self._file(path, self._rows(TRAIN, self.module.TRAIN, [domain]))
        for split, table in ((VALID, self.module.VALID), (TEST, self.module.TEST)):
            path = f"data/{split}.jsonl"
            out[path] = self._file(path, self._rows(split, table, list(table)))
        files = {f"templates/{self.name}/{path}": data for path, data in out.items()}
        record = json.dumps(self.record, indent=1, ensure_ascii=False) + "\n"
        files[f"tests/data/templates/{self.name}.json"] = record.encode()
        return files

    def _rows(self, split, table, domains):
        """Shuffled (text, label, template id) rows."""
        out = []
        for domain in domains:
            frame = self.module.FRAMES.get(domain, {}) if split == TRAIN else {}
            grammar = Grammar(frame, self.lexicons.DOMAINS[domain], self.lexicons.COMMON)
            for label in self.module.LABELS:
                templates = table[domain].get(label, [])
                if frame:
                    templates = [f"<{{lead}} ||>{template}<| {{tail}}||>" for template in templates]
                ids = [f"{split}/{domain}/{label}/{number:02}" for number in range(len(templates))]
                self.record["templates"].update(zip(ids, templates))
                count = self.per_template[split] * len(templates)
                key = f"{self.name}/{domain}/{label}"
                rows = rows_from(templates, grammar, count, split, key) if templates else []
                out += [(text, label, ids[index]) for text, index in rows]
        seeded(self.name, split, *domains).shuffle(out)
        return out

    def _file(self, path, rows):
        self.record["rows"][path] = [template for _, _, template in rows]
        return WRITERS[path.rsplit(".", 1)[1]]([row[:2] for row in rows])


class Persona:
    """The chat project: conversations of one or two turns, and the record of their sentences."""

    def __init__(self, name, sources, counts):
        self.name, self.sources, self.counts = name, sources, counts
        self.record = {"templates": {}, "rows": {}}

    def held_out(self):
        return self.texts((VALID, TEST))

    def texts(self, splits=(TRAIN, VALID, TEST)):
        rows = [row for split in splits for source in self.sources for row in self._rows(split, [source])]
        return [message["content"] for messages, _ in rows for message in messages]

    def files(self):
        splits = {path: (TRAIN, [source]) for source, path in self.sources.items()}
        splits |= {f"data/{split}.jsonl": (split, list(self.sources)) for split in (VALID, TEST)}
        files = {}
        for path, (split, sources) in splits.items():
            rows = self._rows(split, sources)
            self.record["rows"][path] = [" ".join(ids) for _, ids in rows]
            files[f"templates/{self.name}/{path}"] = jsonl({"messages": messages} for messages, _ in rows)
        record = json.dumps(self.record, indent=1, ensure_ascii=False) + "\n"
        return files | {f"tests/data/templates/{self.name}.json": record.encode()}

    def _rows(self, split, sources):
        out = [row for source in sources for row in self._conversations(split, source)]
        seeded(self.name, split, *sources).shuffle(out)
        return out

    def _conversations(self, split, source):
        """Different (messages, template ids) of one source."""
        rows, seen = [], set()
        for number in range(self.counts[split] * 40):
            if len(rows) == self.counts[split]:
                return rows
            rng = seeded(self.name, split, source, number)
            turns = [self._turn(split, source, rng) for _ in range(rng.choice([1, 1, 2]))]
            mark = tuple(normal(turns[0][0][0]["content"]))
            if mark not in seen and len({turn[2] for turn in turns}) == len(turns):
                seen.add(mark)
                rows.append(([m for turn in turns for m in turn[0]], [i for turn in turns for i in turn[1]]))
        raise ValueError(f"{self.name}/{split}/{source}: too few different questions")

    def _turn(self, split, source, rng):
        subject, said = rng.choice(keeper.facts(source))
        lexicon = {keeper.SLOTS[source]: [subject], "gist": said}
        grammar, messages, ids = Grammar(lexicon, keeper.FORMULAS), [], []
        for part, role in (("ask", "user"), ("answer", "assistant")):
            templates = keeper.SENTENCES[split][source][part]
            index = rng.randrange(len(templates))
            identity = f"{split}/{source}/{part}/{index:02}"
            self.record["templates"][identity] = templates[index]
            messages.append({"role": role, "content": grammar.expand(templates[index], rng, ALL)})
            ids.append(identity)
        return messages, ids, subject


SENTIMENT = Project(
    "sentiment", sentiment, words,
    {
        "product": "data/harbor_forum.jsonl",
        "news": "data/ledger_wire.csv",
        "market": "data/pit_chat.parquet",
        "council": "data/council_letters.jsonl",
    },
    {TRAIN: 6, VALID: 4, TEST: 4},
)

FILTER = Project(
    "filter", forum_filter, forum_words,
    {
        "help": "data/help_board.jsonl",
        "garden": "data/garden_square.csv",
        "games": "data/pixel_tavern.parquet",
        "board": "data/market_corner.jsonl",
    },
    {TRAIN: 8, VALID: 10, TEST: 3},
)

CHAT = Persona(
    "chat",
    {"harbour": "data/harbour_log.jsonl", "coins": "data/coin_watch.jsonl", "letters": "data/night_letters.jsonl"},
    {TRAIN: 150, VALID: 15, TEST: 24},
)

PROJECTS = [SENTIMENT, FILTER, CHAT]
