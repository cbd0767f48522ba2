"""Compares the journal, the receipts and the chain with what clients counted."""

import collections
import json

from counting import MAX_TOKENS

# Base units for 1 000 tokens of the prompt and of the answer, and for any call: the defaults.
PROMPT, COMPLETION, MINIMUM = 200, 1000, 10
# How much an adapter's p95 may exceed another's under equal load.
UNFAIR = 2.0
# What memory may still grow by after its first minute, in MiB, beside the answers that are held for repeats: the
# journal's cache of pages, and blocks of the heaps that are free.
GROWTH = 16
# The answers that are held for repeats take no more than this.
HELD = 32
SETTLED_IN = 60
COUNT = "SELECT count(*) FROM events WHERE body ->> '$.type' = ?"


def price(usage):
    cost = usage["prompt_tokens"] * PROMPT + usage["completion_tokens"] * COMPLETION
    return max(-(-cost // 1000), MINIMUM)


def brief(event):
    charge, usage = event["charge"], event["usage"]
    return f"{event['request_id']} ({event['finish']}, {usage}, {charge['amount']} to {charge['cumulative']})"


def fallbacks(event):
    """Why a call may have static shares."""
    if not event["usage"]["completion_tokens"]:
        return ["empty_answer"]
    # Where few tokens came, no example may stand out. The tokens of an answer may be lost with its server.
    scored = [None, "no_surviving_score"]
    return scored + ["interrupted"] if event["finish"] == "recovered" else scored


def at(values, part):
    values = sorted(values)
    return values[min(int(len(values) * part), len(values) - 1)]


class Judge:
    def __init__(self, home, server, deployed, clients):
        self.home, self.server = home, server
        self.deployed, self.clients = deployed, clients
        self.calls = [call for client in clients for call in client.calls]
        self.differences = []

    def differs(self, text):
        self.differences.append(text)

    def equal(self, what, found, expected):
        if found != expected:
            self.differs(f"{what}: expected {expected}, found {found}")

    def events(self):
        with self.home.journal() as journal:
            return [json.loads(body) for (body,) in journal.execute("SELECT body FROM events ORDER BY sequence")]

    def unattributed(self):
        with self.home.journal() as journal:
            counts = [journal.execute(COUNT, [kind]).fetchone()[0] for kind in ("call_metered", "attributed")]
        return counts[0] - counts[1]

    def receipts(self):
        """Every counted call has its receipt, with its final attribution."""
        metered = [event for event in self.events() if event["type"] == "call_metered"]
        for event in metered:
            status, receipt = self.server.get(f"/v1/receipts/{event['request_id']}")
            found = [status] + [receipt.get(name) for name in ("payment", "finish", "response_hash")]
            expected = [200, event["charge"], event["finish"], event["response_hash"]]
            self.equal(f"receipt of {event['request_id']}", found, expected)
            usage = receipt.get("usage", {})
            self.equal(
                f"usage in the receipt of {event['request_id']}",
                {name: usage.get(name) for name in event["usage"]}, event["usage"],
            )
            stage = (receipt.get("attribution") or {}).get("stage")
            self.equal(f"attribution in the receipt of {event['request_id']}", stage, "final")

    def whole(self, given):
        events = self.events()
        by = collections.defaultdict(list)
        for event in events:
            by[event["type"]].append(event)
        self.ledger(by)
        self.once(by)
        self.answers()
        self.rewards(by)
        self.audits()
        fairness = self.fairness(given)
        memory = self.memory(given)
        metered = by["call_metered"]
        return {
            "calls": len(self.calls),
            "answered": sum(call.text is not None for call in self.calls),
            "left": sum(call.leaves is not None for call in self.calls),
            "went_away": sum(call.away for call in self.calls),
            "broken_by_kills": sum(call.broken > 0 for call in self.calls),
            "finishes": dict(collections.Counter(event["finish"] for event in metered)),
            "refusals": dict(collections.Counter(str(it) for call in self.calls for it in call.refused)),
            "charged": sum(int(event["charge"]["amount"]) for event in metered),
            "counted": sum(client.payer.charged for client in self.clients),
            "claims": len(by["claimed"]), "anchors": len(by["anchored"]),
            "proposals": len(by["contributions_proposed"]),
            "fairness": fairness, "memory": memory, "differences": len(self.differences),
        }

    def ledger(self, by):
        """The charges of each channel follow one another, and end where its client's count does."""
        totals = collections.defaultdict(int)
        for event in by["call_metered"]:
            charge = event["charge"]
            before = int(charge["cumulative"]) - int(charge["amount"])
            self.equal(f"total before {event['request_id']}", before, totals[charge["id"]])
            totals[charge["id"]] = int(charge["cumulative"])
        for client in self.clients:
            channel, counted = "0x" + client.payer.channel.hex(), client.payer.charged
            last = client.calls[-1]
            if last.away:
                # Only the journal knows what the last call cost: it is judged with the others.
                counted = totals[channel]
                client.payer.charged = counted
            self.equal(f"total of client {client.number}", totals.pop(channel, 0), counted)
        self.equal("channels of nobody", dict(totals), {})

    def once(self, by):
        """Every call is counted once, for a request that was sent, at the price of what was delivered."""
        reserved = {event["request_id"]: event for event in by["call_reserved"]}
        counted = collections.Counter(event["request_id"] for event in by["call_metered"])
        self.equal("calls counted twice", [it for it, count in counted.items() if count > 1], [])
        self.equal("calls that are not counted", sorted(reserved.keys() - counted.keys()), [])
        owners = self.owners(reserved)
        by_call = collections.defaultdict(list)
        for event in by["call_metered"]:
            call = owners.get((event["charge"]["id"], event["request_hash"]))
            if call is None:
                self.differs(f"nobody sent {brief(event)}")
            by_call[id(call)].append(event)
        for call in self.calls:
            self.charged(call, by_call[id(call)])

    def owners(self, reserved):
        """Which call each request was: a client knows the id of an answer, and of others the total."""
        owners = {}
        answered = {call.id: call for call in self.calls if call.id}
        for id, event in reserved.items():
            if id in answered:
                owners[event["payment"]["id"], event["request_hash"]] = answered[id]
        # A total is used again where the call that it was signed for never arrived.
        away = {}
        for call in self.calls:
            if call.away:
                away[call.channel, call.maxima[-1]] = call
        for event in reserved.values():
            payment = event["payment"]
            call = away.get((payment["id"], int(payment["before"]) + int(payment["quote"])))
            if call:
                owners.setdefault((payment["id"], event["request_hash"]), call)
        return owners

    def charged(self, call, events):
        paid = [event for event in events if int(event["charge"]["amount"])]
        if len(paid) > 1:
            self.differs(f"charged twice: {call}: {[brief(event) for event in paid]}")
        for event in events:
            usage, amount = event["usage"], int(event["charge"]["amount"])
            nothing = event["finish"] in ("failed", "recovered") and not usage["completion_tokens"]
            owed = event is not paid[0] if paid else False
            self.equal(f"price of {brief(event)}", amount, 0 if nothing or owed else price(usage))
        for event in paid:
            self.delivered(call, event)
        if call.after is None:
            if not call.away:
                self.differs(f"not answered: {call}")
            return
        mine = [event for event in events if event["request_id"] == call.id]
        self.equal(f"counts of {call}", len(mine), 1)
        for event in mine:
            usage = {name: call.usage[name] for name in event["usage"]}
            self.equal(f"usage of {call}", event["usage"], usage)
            self.equal(f"cost of {call}", int(event["charge"]["amount"]), call.cost)

    def delivered(self, call, event):
        """What was charged was at least delivered, where the caller read on until the server died."""
        tokens = event["usage"]["completion_tokens"]
        if tokens > MAX_TOKENS:
            self.differs(f"more than was asked for: {brief(event)}")
        if event["finish"] == "recovered" and call.leaves is None:
            read = max(part.count for part in call.parts)
            if tokens > read:
                self.differs(f"charged {tokens} tokens, delivered {read}: {brief(event)}")

    def answers(self):
        """The same question to the same adapter has the same answer, in its own words alone."""
        words = set(self.deployed)
        answers = {}
        for call in self.calls:
            if call.text is None:
                continue
            whole = answers.setdefault((call.adapter, call.prompt), call.text)
            if len(call.text) > len(whole):
                whole = answers[call.adapter, call.prompt] = call.text
        for call in self.calls:
            whole = answers.get((call.adapter, call.prompt))
            if whole is None:
                continue
            texts = [part.text for part in call.parts] + [call.text or ""]
            for text in texts:
                if not whole.startswith(text):
                    self.differs(f"another answer than before: {call}: {whole!r}")
            if call.text and call.leaves is None and call.text != whole:
                self.differs(f"a part of the answer: {call}: {whole!r}")
        for (adapter, prompt), whole in answers.items():
            self.equal(f"words of {adapter} on {prompt!r}", words & set(whole.split()), {adapter})

    def rewards(self, by):
        """Each counted call has one attribution, which divides its charge to the millionth."""
        attributed = {event["request_id"]: event for event in by["attributed"]}
        self.equal("attributions", len(by["attributed"]), len(attributed))
        charged = collections.defaultdict(int)
        for event in by["call_metered"]:
            amount, id = int(event["charge"]["amount"]), event["request_id"]
            charged[event["charge"]["receiver"].lower()] += amount
            found = attributed.get(id)
            if found is None:
                self.differs(f"without attribution: {brief(event)}")
                continue
            divided = sum(int(it["micro"]) for it in found.get("amounts") or [])
            self.equal(f"divided of {id}", divided, amount * 1_000_000)
            if found.get("fallback") not in fallbacks(event):
                self.differs(f"fallback {found.get('fallback')} of {brief(event)}")
            self.equal(f"shares of {id}", sum(it["ppm"] for it in found["shares"]), 1_000_000)
        anchored = collections.defaultdict(int)
        for event in by["anchored"]:
            anchored[event["adapter_id"]] += int(event["charged"])
        settled = collections.defaultdict(int)
        for event in by["settled"]:
            settled[event["receiver"].split("/")[1].lower()] += int(event["amount"])
        for word, it in self.deployed.items():
            receiver = it["splitter"].lower()
            self.equal(f"settled for {word}", settled[receiver], charged[receiver])
            self.equal(f"anchored for {word}", anchored[it["adapter_id"]], charged[receiver])
        intended = {event["tx"] for event in by["transaction_intended"]}
        confirmed = {event["tx"] for event in by["transaction_settled"]}
        self.equal("transactions without an end", intended - confirmed, set())

    def audits(self):
        """The chain bears out the journal, and what is published can be computed again."""
        earned, code = self.home.run("earnings", "--audit")
        self.equal("exit code of earnings --audit", code, 0)
        log = str(self.home.folder / "home/data/attribution-log")
        for word, it in self.deployed.items():
            run = self.home.folder / "shelf" / word
            audited, code = self.home.run(
                "audit", it["adapter_id"], "--log", log, "--package", str(run / "package"),
                "--index", str(run / "attribution"),
            )
            self.equal(f"audit of {word}", (code, audited.get("differences")), (0, []))

    def fairness(self, given):
        """The 95th percentile of each adapter's whole calls, over that of the fastest adapter."""
        times = collections.defaultdict(list)
        for call in self.calls:
            if call.seconds is not None and call.leaves is None and not call.broken and not call.refused:
                times[call.adapter].append(call.seconds)
        slow = {adapter: at(values, 0.95) for adapter, values in times.items()}
        every = [second for values in times.values() for second in values]
        ratio = max(slow.values()) / min(slow.values())
        if not given.short and ratio > UNFAIR:
            self.differs(f"the p95 of adapters differ by {ratio:.2f}: {slow}")
        return {
            "p50": round(at(every, 0.5), 3), "p95": round(at(every, 0.95), 3), "ratio": round(ratio, 2),
            "fewest_calls": min(map(len, times.values())),
        }

    def memory(self, given):
        """Of each start, the memory after its first minute and at its end, without the answers that are held."""
        phases = []
        for samples in self.server.memory:
            most = max((held for _, _, held in samples), default=0)
            if most > HELD:
                self.differs(f"held answers take {most:.1f} MiB of {HELD}")
            sizes = [(when, size - held) for when, size, held in samples]
            settled = [size for when, size in sizes if SETTLED_IN <= when < SETTLED_IN + 10]
            last = [size for _, size in sizes[-10:]]
            if not settled or sizes[-1][0] < SETTLED_IN + 20:
                continue
            begin, end = at(settled, 0.5), at(last, 0.5)
            minutes = [at([size for when, size in sizes if when // 60 == minute] or [0], 0.5)
                       for minute in range(1, int(sizes[-1][0] // 60) + 1)]
            phases.append({
                "seconds": round(sizes[-1][0]), "after_a_minute": round(begin, 1), "end": round(end, 1),
                "minutes": [round(size, 1) for size in minutes], "held": round(most, 1),
            })
            if not given.short and end > begin + GROWTH:
                self.differs(f"memory grew from {begin:.1f} to {end:.1f} MiB beside the held answers")
        return phases
