"""Writes the dashboard's scenarios: records of every kind, as `openlora dash --record` writes them.

The same every time: no clock, no randomness but a counter's hash. Run it after a change here:
`python3 tests/data/dash/make.py`.
"""

import hashlib
import json
import pathlib

HERE = pathlib.Path(__file__).parent
CHAIN = 31337
START = 1_769_515_200_000  # 2026-01-27 12:00:00 UTC
HOUR = 3_600_000
DAY = 24 * HOUR


def digest(*parts):
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def account(name):
    """Decimal digits only: without letters there is no checksum to get right (EIP-55)."""
    return "0x" + str(int(digest("account", name), 16))[:40]


def word(*parts):
    return "0x" + digest(*parts)


TOKEN, SPLITTER, POOL = account("token"), account("splitter"), account("pool")
CREATOR = account("creator")
OWNERS = [("Harbor Forum", account("harbor")), ("North Labels", account("north")), ("Orchid Desk", account("orchid"))]
PAYERS = [account(f"payer {n}") for n in range(5)]
RECEIVER = f"{CHAIN}/{SPLITTER}/{TOKEN}"


class Journal:
    def __init__(self):
        self.records, self.now, self.counter = [], START, 0
        self.charged, self.claimed = {}, {}
        self.unsettled = 0

    def add(self, kind, after=0, /, **fields):
        self.now += after
        event = {"type": kind, **fields}
        sequence = len(self.records) + 1
        self.records.append({
            "sequence": sequence, "time_ms": self.now, "event": event,
            "hash": digest("record", sequence, json.dumps(event)),
        })
        return sequence

    def dice(self, sides, *what):
        self.counter += 1
        return int(digest(self.counter, *what)[:8], 16) % sides

    def transaction(self, purpose, status="succeeded"):
        tx = word("tx", len(self.records))
        self.add("transaction_intended", 40, tx=tx, chain_id=CHAIN, **{"from": CREATOR}, to=TOKEN,
                 nonce=len(self.records), purpose=purpose, raw="0x", replaces=None)
        self.add("transaction_settled", 900, tx=tx, status=status, gas_used=80_000,
                 block=len(self.records) // 3 + 7, fee=str(80_000 * 1_200_000_000))
        return tx

    def call(self, payer, kind="classify", finish="stop", after=400, scheme="batch-settlement", names=None):
        ident = digest("call", len(self.records))[:32]
        ident = f"{ident[:8]}-{ident[8:12]}-7{ident[13:16]}-a{ident[17:20]}-{ident[20:]}"
        prompt = 20 + self.dice(60, "prompt")
        completion = 1 if kind == "classify" else 8 + self.dice(120, "completion")
        if finish in ("failed", "recovered"):
            completion = 0
        amount = 0 if completion == 0 else (100 if kind == "classify" else 10 + prompt // 5 + completion)
        amount *= 1 + 40 * (self.dice(9, "large") == 0)
        channel = word("channel", payer)
        before = self.charged.get(payer, 0)
        paid = dict(scheme=scheme, chain_id=CHAIN, token=TOKEN, receiver=SPLITTER, payer=payer,
                    id=channel if scheme != "exact" else word("exact", ident))
        hashes = digest("request", ident)
        shared = dict(request_id=ident, adapter="sentiment", adapter_digest=digest("adapter"), kind=kind)
        work = {"unit": "classifications", "texts": 1} if kind == "classify" else {
            "unit": "tokens", "prompt": prompt, "completion": completion}
        self.add("call_reserved", after, session="s1", prompt_tokens=prompt, request_hash=hashes, **shared,
                 payment=dict(paid, before=str(before), quote=str(amount + 50), signature="0x", work=work,
                              prices=dict(prompt="200", completion="1000", classification="100",
                                          image="10000", minimum="10")))
        took = 20 + self.dice(80, "took") + completion * 9
        self.add("call_metered", took, **shared, usage=dict(prompt_tokens=prompt, completion_tokens=completion),
                 finish=finish, milliseconds=took,
                 first_token_milliseconds=None if completion == 0 else 15 + self.dice(90, "first"),
                 request_hash=hashes, response_hash=digest("response", ident),
                 charge=dict(paid, amount=str(amount), cumulative=str(before + amount if scheme != "exact" else amount)))
        if scheme != "exact":
            self.charged[payer] = before + amount
        self.attribute(ident, amount, names or [name for name, _ in OWNERS])
        return ident, amount

    def attribute(self, ident, amount, names):
        if amount == 0:
            return
        weights = [1 + self.dice(9, name) for name in names]
        ppm = [w * 1_000_000 // sum(weights) for w in weights]
        ppm[0] += 1_000_000 - sum(ppm)
        shares = [dict(contributor=name, address=account(name), ppm=part) for name, part in zip(names, ppm)]
        self.add("traced", 3, request_id=ident, adapter_digest=digest("adapter"), index=digest("index"),
                 covered_ppm=420_000, shares=shares, spans=[
                     dict(start=0, tokens=5, documents=12, examples=[digest("example", 1)]),
                     dict(start=9, tokens=7, documents=3, examples=[digest("example", 2)])])
        if self.dice(11, "late") == 0:
            return
        whole = amount * 1_000_000
        creator = whole * 6 // 10
        parts = [(whole - creator) * part // 1_000_000 for part in ppm]
        parts[0] += whole - creator - sum(parts)
        amounts = [dict(recipient="creator", address=CREATOR, micro=str(creator))]
        amounts += [dict(recipient=name, address=account(name), micro=str(part)) for name, part in zip(names, parts)]
        static = self.dice(13, "static") == 0
        self.add("attributed", 60 + self.dice(300, "lag"), request_id=ident, adapter="sentiment",
                 adapter_digest=digest("adapter"), index=digest("index"),
                 method="static" if static else "influence",
                 **({"fallback": "the answer has no token that was sampled"} if static else {}),
                 confidence_ppm=310_000 + self.dice(500_000, "sure"), evidence_ppm=0 if static else 800_000,
                 trace_ppm=250_000, examples=[
                     dict(example=digest("example", n), contributor=names[n % len(names)], ppm=90_000 - n * 20_000)
                     for n in range(3)], shares=shares, amounts=amounts, lag_milliseconds=60)

    def settle(self):
        rows = [dict(channel=word("channel", payer), amount=str(total - self.claimed.get(payer, 0)), total=str(total))
                for payer, total in self.charged.items() if total > self.claimed.get(payer, 0)]
        amount = sum(int(row["amount"]) for row in rows)
        place = dict(block=90 + len(self.records), block_hash=word("block", len(self.records)))
        tx = self.transaction(f"a claim from {len(rows)} channels")
        self.add("claimed", 5, tx=tx, receiver=RECEIVER, rows=rows, **place)
        self.claimed = dict(self.charged)
        tx = self.transaction("a settlement")
        self.add("settled", 5, tx=tx, receiver=RECEIVER, amount=str(amount), **place)
        return amount, place

    def anchor(self, count):
        tx = self.transaction("a root of calls")
        self.add("anchored", 5, tx=tx, chain_id=CHAIN, adapter_id=word("adapter"), server=CREATOR,
                 root=word("root", len(self.records)), previous=word("root"), sequence=1, count=count,
                 charged="0", through=len(self.records), block=200, block_hash=word("block", "anchor"))

    def start(self, name="sentiment", owners=OWNERS):
        self.add("server_started", session="s1", version="0.1.0")
        self.add("adapter_loaded", 12, name=name, adapter_digest=digest("adapter"), base_digest=digest("base"))
        self.add("split_read", 5, receiver=RECEIVER, adapter=name, version=1, parts=[
            dict(recipient=CREATOR, ppm=600_000),
            dict(recipient=POOL, ppm=400_000, members=[
                dict(account=place, ppm=1_000_000 // len(owners) + (n == 0) * (1_000_000 % len(owners)))
                for n, (_, place) in enumerate(owners)])])

    def open_channel(self, payer):
        channel = word("channel", payer)
        self.add("channel_opened", 20, key=f"{CHAIN}/{channel}", config=dict(
            payer=payer, payer_authorizer=payer, receiver=SPLITTER, receiver_authorizer=CREATOR,
            token=TOKEN, withdraw_delay=900, salt=word("salt")))

    def write(self, name):
        text = "".join(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n" for record in self.records)
        (HERE / f"{name}.jsonl").write_text(text, encoding="utf-8")


def busy():
    journal = Journal()
    journal.start()
    for payer in PAYERS:
        journal.open_channel(payer)
    for day in range(2):
        for n in range(24):
            journal.call(PAYERS[journal.dice(5, "who")], kind="chat" if n % 3 == 0 else "classify", after=HOUR)
        amount, place = journal.settle()
        for to, part in ((CREATOR, amount * 6 // 10), (POOL, amount - amount * 6 // 10)):
            tx = journal.transaction("a payout")
            journal.add("released", 5, tx=tx, receiver=RECEIVER, recipient=to, to=to, amount=str(part), **place)
        journal.anchor(24)
    tx = journal.transaction("a root of what contributors earned")
    journal.add("contributions_proposed", 5, tx=tx, pool=f"{CHAIN}/{POOL}/{TOKEN}", root=word("root", "pool"),
                total="1500", activates_at=journal.now // 1000 + 86_400, through=len(journal.records), block=300,
                block_hash=word("block", "proposed"))
    for name, place in OWNERS[:2]:
        tx = journal.transaction("a contributor's claim")
        journal.add("contribution_claimed", 5, tx=tx, pool=f"{CHAIN}/{POOL}/{TOKEN}", contributor=account(name),
                    amount="420", cumulative="420", block=310, block_hash=word("block", "claimed"))
    for n in range(120):
        kind = "chat" if n % 5 == 0 else "classify"
        finish = "failed" if n % 29 == 28 else ("length" if kind == "chat" and n % 10 == 0 else "stop")
        scheme = "exact" if n == 60 else "batch-settlement"
        if scheme == "exact":
            tx = journal.transaction("an exact payment")
        ident, amount = journal.call(PAYERS[journal.dice(5, "who")], kind, finish, 26_000, scheme)
        if scheme == "exact":
            journal.add("payment_received", 5, tx=tx, receiver=SPLITTER, amount=str(amount), block=320,
                        block_hash=word("block", "exact"),
                        key=f"{CHAIN}/{TOKEN}/{PAYERS[0]}/{word('exact', ident)}")
        if n == 70:
            journal.settle()
        if n == 90:
            tx = journal.transaction("a refund")
            journal.add("refunded", 5, tx=tx, key=f"{CHAIN}/{word('channel', PAYERS[1])}", amount="900", block=330,
                        block_hash=word("block", "refund"))
    tx = journal.transaction("a settlement that a reorganisation undid")
    journal.add("settled", 5, tx=tx, receiver=RECEIVER, amount="77", block=340, block_hash=word("block", "gone"))
    journal.add("reorganised", 800, chain_id=CHAIN, txs=[tx])
    for n in range(12):
        journal.call(PAYERS[journal.dice(5, "who")], "chat" if n % 4 == 0 else "classify", after=1_500)
    journal.add("call_reserved", 200, request_id="still-running", session="s1", adapter="sentiment",
                adapter_digest=digest("adapter"), kind="chat", prompt_tokens=30, request_hash=digest("open"))
    journal.write("busy")


def free():
    """A server without payment, that died once."""
    journal = Journal()
    journal.add("server_started", session="s1", version="0.1.0")
    journal.add("adapter_loaded", 12, name="filter", adapter_digest=digest("filter"), base_digest=digest("base"))
    for n in range(30):
        ident = f"free-{n}"
        shared = dict(request_id=ident, adapter="filter", adapter_digest=digest("filter"), kind="moderation")
        journal.add("call_reserved", 900, session="s1", prompt_tokens=12, request_hash=digest(ident), **shared)
        journal.add("call_metered", 31, usage=dict(prompt_tokens=12, completion_tokens=int(n % 9 != 8)), **shared,
                    finish="recovered" if n % 9 == 8 else "stop", milliseconds=31,
                    first_token_milliseconds=None if n % 9 == 8 else 30, request_hash=digest(ident),
                    response_hash=digest(ident))
    journal.add("server_stopped", 10, session="s1")
    journal.write("free")


def hostile():
    """Names that would break a terminal, or a spreadsheet."""
    journal = Journal()
    names = ["\x1b[31mred\x1b[2J", "\u202eolleh\u202c", "日本語の名前がとても長い場合", "a\u0301\u200d\u200b\u2060b",
             "👩‍👩‍👧‍👦🇩🇪👍🏽", "=HYPERLINK(\"x\")", "שלום עולם", "tab\there\nnewline", "\u0c1c\u0c4d\u0c1e\u200c\u0c3e", "x" * 300]
    journal.start(name="\x9b31m日本\u202e\x07", owners=[(name, account(name)) for name in names])
    for payer in PAYERS:
        journal.open_channel(payer)
    for n in range(20):
        journal.call(PAYERS[n % 5], names=[names[n % len(names)], names[(n + 3) % len(names)]])
    journal.write("hostile")


if __name__ == "__main__":
    busy()
    free()
    hostile()
