"""Clients that pay for calls, leave some of them, and count what each may have cost."""

import asyncio
import dataclasses
import hashlib
import json
import random
import time

from payers import ROUTE, offer_of, post, told_in

# The longest wait for a server that was killed, and for one answer, in seconds.
LONGEST = 120
MAX_TOKENS = 128


@dataclasses.dataclass
class Call:
    """One request, however often it was sent."""

    client: int
    adapter: str
    prompt: str
    stream: bool
    # How the caller leaves: nothing, "unread", "streaming" or "whole".
    leaves: str | None
    # The channel, the totals that were signed for it, and the totals told before and after it.
    channel: str = ""
    maxima: list = dataclasses.field(default_factory=list)
    before: int = 0
    after: int | None = None
    # Of the answer, where there was one.
    id: str | None = None
    text: str | None = None
    usage: dict | None = None
    replayed: bool = False
    cost: int | None = None
    # What was read of answers that broke off or were left, and how often the server was gone.
    parts: list = dataclasses.field(default_factory=list)
    broken: int = 0
    # Refusals as status and reason, and whether the caller goes on without the answer.
    refused: list = dataclasses.field(default_factory=list)
    away: bool = False
    # Seconds of the last attempt, and whether the server was there all the time.
    seconds: float | None = None

    def __str__(self):
        how = f", left {self.leaves}" if self.leaves else ""
        how += f", broken {self.broken} times" if self.broken else ""
        how += f", refused {self.refused}" if self.refused else ""
        return f"{self.adapter} for client {self.client}, totals {self.maxima} after {self.before}{how}"


@dataclasses.dataclass
class Answer:
    status: int = 0
    headers: dict = dataclasses.field(default_factory=dict)
    body: dict = dataclasses.field(default_factory=dict)
    # The text and how many pieces it came in, of which each is a token or more.
    text: str = ""
    count: int = 0
    told: dict | None = None


class Broken(Exception):
    """The connection ended before the answer did; with what came of it."""


class Left(Exception):
    """The caller left; with what came of the answer."""


class Place:
    """Where the server is, and how often it was started."""

    def __init__(self, address):
        self.address, self.start = address, 0
        self.changed = asyncio.Condition()

    async def restarted(self):
        async with self.changed:
            self.start += 1
            self.changed.notify_all()

    async def after(self, start):
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(lambda: self.start > start), LONGEST)


async def read_head(reader):
    text = await reader.readuntil(b"\r\n\r\n")
    lines = text.decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split(" ")[1]), {name.lower(): value for name, value in pairs}


async def pieces(reader, headers):
    """The parts of a body; an answer that is sent again has one."""
    if "content-length" in headers:
        yield await reader.readexactly(int(headers["content-length"]))
        return
    while size := int(await reader.readline() or b"-1", 16):
        if size < 0:
            raise asyncio.IncompleteReadError(b"", 1)
        yield await reader.readexactly(size)
        await reader.readexactly(2)


async def read_stream(reader, answer, leaves_after):
    """Reads events to the end of the answer, or leaves after so many pieces of text."""
    raw, done = b"", False
    async for part in pieces(reader, answer.headers):
        raw += part
        *events, raw = raw.split(b"\n\n")
        for event in events:
            data = event.decode().split("data: ", 1)[1]
            if event.startswith(b"event: payment-response"):
                answer.told = json.loads(data)
            elif data == "[DONE]":
                done = True
            else:
                chunk = json.loads(data)
                assert "error" not in chunk, chunk
                answer.body |= {"id": chunk["id"], "usage": chunk.get("usage")}
                delta = chunk["choices"][0]["delta"].get("content", "") if chunk["choices"] else ""
                answer.text += delta
                answer.count += bool(delta)
                if leaves_after is not None and answer.count >= leaves_after:
                    raise Left(answer)
    if not done or answer.told is None:
        raise Broken(answer)


async def converse(reader, leaves_after):
    answer = Answer()
    try:
        answer.status, answer.headers = await read_head(reader)
        if answer.headers["content-type"] == "text/event-stream":
            await read_stream(reader, answer, leaves_after)
            return answer
        length = int(answer.headers["content-length"])
        answer.body = json.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        raise Broken(answer) from None
    if answer.status == 200:
        answer.text = answer.body["choices"][0]["message"]["content"]
        answer.told = told_in(answer.headers)
    return answer


async def exchange(address, request, leaves, pause):
    """One request and its answer; `pause` is how long a caller stays who does not read on."""
    try:
        reader, writer = await asyncio.open_connection(*address, limit=1 << 20)
    except OSError:
        raise Broken(Answer()) from None
    try:
        writer.write(request)
        await writer.drain()
        if leaves in ("unread", "whole"):
            await asyncio.sleep(pause)
            raise Left(Answer())
        after = random.randint(1, MAX_TOKENS // 2) if leaves == "streaming" else None
        return await asyncio.wait_for(converse(reader, after), LONGEST)
    except ConnectionError:
        raise Broken(Answer()) from None
    finally:
        writer.close()


class Client:
    """One payer of one adapter, who makes a call after another."""

    def __init__(self, number, adapter, payer, place, quotes):
        self.number, self.adapter, self.payer = number, adapter, payer
        self.place, self.quotes = place, quotes
        self.random = random.Random(number)
        self.calls, self.count = [], 0

    def planned(self, subjects, leaving):
        number = self.random.random()
        leaves = None
        stream = self.random.random() < 0.6
        if number < leaving:
            leaves = self.random.choice(["unread", "streaming", "streaming", "whole"])
            stream = leaves != "whole" and (stream or leaves == "streaming")
        prompt = f"How is the {self.random.choice(subjects)}?"
        return Call(self.number, self.adapter, prompt, stream, leaves)

    def body(self, call, number):
        body = {
            "model": call.adapter, "messages": [{"role": "user", "content": call.prompt}],
            "max_tokens": MAX_TOKENS, "temperature": 0,
            # Nothing is drawn: the seed makes the request another one.
            "seed": self.number * 1_000_000 + number,
        }
        if call.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return json.dumps(body).encode()

    async def offer(self, call, body):
        """What a call is offered for; asked once for each prompt."""
        key = (call.adapter, call.prompt, call.stream)
        while key not in self.quotes:
            start = self.place.start
            try:
                answer = await exchange(self.place.address, post(body), None, 0)
                assert answer.status in (402, 429), answer
                if answer.status == 402:
                    self.quotes[key] = offer_of(answer.headers)
                else:
                    await asyncio.sleep(1)
            except Broken:
                await self.place.after(start)
        return self.quotes[key]

    async def work(self, until, subjects, leaving, think):
        while time.monotonic() < until:
            await asyncio.sleep(self.random.uniform(0, 2 * think))
            call = self.planned(subjects, leaving)
            self.count += 1
            await self.drive(call, self.body(call, self.count))

    async def drive(self, call, body, deposit=None):
        """Sends a call until it is answered, or its caller has gone away."""
        offer = await self.offer(call, body)
        digest = hashlib.sha256(f"POST {ROUTE}\n".encode() + body).digest()
        call.channel, call.before = "0x" + self.payer.channel.hex(), self.payer.charged
        self.calls.append(call)
        leaves = call.leaves
        payment = self.signed(call, offer, digest, deposit)
        while True:
            start, began = self.place.start, time.monotonic()
            request = post(body, payment_signature=payment)
            try:
                pause = self.random.choice([0, 0.01, 0.05, 0.2])
                answer = await exchange(self.place.address, request, leaves, pause)
            except Left as left:
                call.parts.append(left.args[0])
                if self.random.random() < 0.5:
                    call.away = True
                    return
                leaves = None
                continue
            except Broken as broken:
                call.parts.append(broken.args[0])
                call.broken += 1
                leaves = None
                await self.place.after(start)
                continue
            call.seconds = time.monotonic() - began if start == self.place.start else None
            if answer.status == 200:
                return self.answered(call, answer)
            error = answer.body["error"]
            call.refused.append((answer.status, error.get("param") or error["code"]))
            if error["code"] == "already_metered":
                return self.told(call, error["receipt"])
            if answer.status in (409, 429, 503):
                await asyncio.sleep(float(answer.headers.get("retry-after", 1)))
            elif answer.status == 402 and len(call.refused) < 8:
                # A call that was left has moved the total: the answer tells it.
                current = offer_of(answer.headers)
                self.payer.charged = int(current["extra"]["channelState"]["chargedCumulativeAmount"])
                if call.parts and not self.payer.named:
                    # It was sent before, and a claim has published its voucher: nobody gets its
                    # answer any more, and another payment would be the second for one call.
                    call.away = True
                    return
                if self.payer.named:
                    # Others keep the price that they read first.
                    offer = offer | {"amount": current["amount"]}
                payment = self.signed(call, offer, digest, deposit)
            else:
                raise AssertionError(f"{call} {answer}")

    def signed(self, call, offer, digest, deposit):
        call.maxima.append(self.payer.maximum(offer))
        return self.payer.payment(deposit, offer, digest)

    def told(self, call, receipt):
        """The server died during the answer, and what it had delivered is charged."""
        payment = receipt["payment"]
        self.payer.charged = int(payment["cumulative"])
        call.after, call.cost = self.payer.charged, int(payment["amount"])
        call.id, call.usage = receipt["id"], receipt["usage"]

    def answered(self, call, answer):
        self.payer.settled(answer.told)
        call.after, call.cost = self.payer.charged, int(answer.told["extra"]["chargedAmount"])
        call.id, call.usage, call.text = answer.body["id"], answer.body["usage"], answer.text
        call.replayed = "x-openlora-replayed" in answer.headers
