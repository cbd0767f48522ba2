"""Paying callers beside a crowd that wants to do harm: `load.py URL RPC [--pid PID]`.

Measures the calls of 8 payers for a while, then again beside 1 000 sockets that are only opened, 100
that trickle or do not read, and 100 that flood the server with whatever costs it work. Prints one line
of JSON: latencies in seconds, answers by status, and the server's memory in KiB.

Needs `eth-account`, a server on the development chain (`openlora serve --local`) and nothing else on
the machine; the crowd runs in processes of its own."""

import argparse
import asyncio
import base64
import json
import multiprocessing
import random
import secrets
import time
from urllib.parse import urlsplit

from payers import Payer, head, mint, offer_of, post, told_in


async def read_answer(reader):
    """Status, headers and body; nothing where the connection ended before."""
    try:
        text = await reader.readuntil(b"\r\n\r\n")
        lines = text.decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines[1:] if ": " in line)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return int(lines[0].split(" ")[1]), headers, body
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
        return None


async def ask(place, request):
    try:
        reader, writer = await asyncio.open_connection(*place, limit=1 << 20)
    except OSError:
        return None
    try:
        writer.write(request)
        await writer.drain()
        return await read_answer(reader)
    except ConnectionError:
        return None
    finally:
        writer.close()


async def pay(place, payer, body, seconds, think, found):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(random.uniform(0, 2 * think))
        request = post(body, payment_signature=payer.payment())
        began = time.monotonic()
        answer = await ask(place, request)
        found.append((time.monotonic() - began, answer[0] if answer else "broken"))
        if answer and answer[0] == 200:
            payer.settled(told_in(answer[1]))


async def measured(place, payers, body, seconds, think):
    found = []
    await asyncio.gather(*(pay(place, payer, body, seconds, think, found) for payer in payers))
    times = sorted(took for took, status in found if status == 200)
    statuses = {}
    for _, status in found:
        statuses[str(status)] = statuses.get(str(status), 0) + 1
    at = lambda part: round(times[min(int(len(times) * part), len(times) - 1)], 4) if times else None
    return {"calls": statuses, "p50": at(0.5), "p95": at(0.95), "max": at(1)}


# What one member of a crowd does over and over on one connection.


async def idle(reader, writer, _):
    await reader.read()


async def trickle(reader, writer, number):
    whole = [
        head("GET", "/health", {"x-padding": "x" * 4000}),
        post(b'{"model": "' + b"x" * 4000),
        head("GET", "/v1/models", {}) * 5000,
    ][number % 3]
    if number % 3 == 2:
        # Asks a lot and reads nothing.
        writer.transport.pause_reading()
        writer.write(whole)
        await asyncio.sleep(60)
        return
    for byte in whole:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


def floods(model):
    long = json.dumps({"model": model, "messages": [{"role": "user", "content": "the calm sea " * 80_000}]})
    some = json.dumps({"model": model, "messages": [{"role": "user", "content": secrets.token_hex(2000)}]})
    wrong = base64.b64encode(json.dumps({"x402Version": 2, "accepted": {}, "payload": {}}).encode())
    return [
        post(long.encode()),
        post(some.encode()),
        post(some.encode(), payment_signature=wrong.decode()),
        post(some.encode(), transfer_encoding="chunked"),
        head("GET", "/v1/receipts/%ff", {}),
        post(b"[" * 100_000),
    ]


def flood(model, pause):
    requests = floods(model)

    async def one(reader, writer, number):
        for turn in range(100):
            writer.write(requests[(number + turn) % len(requests)])
            await writer.drain()
            if await read_answer(reader) is None:
                return
            await asyncio.sleep(pause)

    return one


async def member(place, deed, number):
    while True:
        try:
            reader, writer = await asyncio.open_connection(*place, limit=1 << 20)
            try:
                await deed(reader, writer, number)
            finally:
                writer.close()
        except OSError:
            pass
        # Whoever is sent away comes again.
        await asyncio.sleep(0.5)


def crowd(place, kind, count, model, pause):
    deed = {"idle": idle, "slow": trickle, "hostile": flood(model, pause)}[kind]

    async def main():
        await asyncio.gather(*(member(place, deed, number) for number in range(count)))

    asyncio.run(main())


def memory(pid):
    if pid is None:
        return None
    with open(f"/proc/{pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("rpc")
    parser.add_argument("--pid", type=int, help="of the server, to read its memory")
    parser.add_argument("--model", default="sentiment")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement")
    parser.add_argument("--think", type=float, default=0.5, help="between two calls of a payer")
    parser.add_argument("--pause", type=float, default=0.1, help="of a hostile connection")
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--slow", type=int, default=100)
    parser.add_argument("--hostile", type=int, default=100)
    given = parser.parse_args()
    parts = urlsplit(given.url)
    place = (parts.hostname, parts.port)
    message = {"role": "user", "content": "The market is calm today."}
    body = json.dumps({"model": given.model, "messages": [message], "max_tokens": 4}).encode()
    _, headers, _ = await ask(place, post(body))
    offer = offer_of(headers)
    payers = [Payer(offer) for _ in range(8)]
    for payer in payers:
        mint(given.rpc, payer.chain, offer["asset"], payer.account.address, 10**9)
        status, headers, text = await ask(place, post(body, payment_signature=payer.payment(10**8)))
        assert status == 200, text
        payer.settled(told_in(headers))
    result = {"quiet": await measured(place, payers, body, given.seconds, given.think)}
    result["memory_quiet"] = memory(given.pid)
    crowds = [
        multiprocessing.Process(target=crowd, args=(place, kind, count, given.model, given.pause), daemon=True)
        for kind, count in [("idle", given.idle), ("slow", given.slow), ("hostile", given.hostile)]
    ]
    for process in crowds:
        process.start()
    await asyncio.sleep(5)
    result["memory_begin"] = memory(given.pid)
    result["loaded"] = await measured(place, payers, body, given.seconds, given.think)
    result["memory_end"] = memory(given.pid)
    for process in crowds:
        process.terminate()
        process.join()
    await asyncio.sleep(2)
    result["after"] = await measured(place, payers, body, 5, given.think)
    result["memory_after"] = memory(given.pid)
    if result["loaded"]["p95"] and result["quiet"]["p95"]:
        result["p95_ratio"] = round(result["loaded"]["p95"] / result["quiet"]["p95"], 2)
    print(json.dumps(result))


asyncio.run(main())
