"""Paying clients of many adapters over one base, who hang up, and a server that is killed:
`many_adapters.py OPENLORA [--short]`.

Trains, packages and registers adapters of which each answers with a word of its own, serves them all
on a development chain, and has clients buy calls for a while. A fifth of the calls is left by the
caller, and the server is killed (SIGKILL) and started again. Afterwards the journal, the receipts,
the attributions, the chain and an audit of each adapter are compared with what the clients counted.
Prints one line of JSON. Ends with 1, and says on stderr what differs, if anything does.

Needs `eth-account`, and nothing else on the machine where times and memory are to be judged."""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from counting import Call, Client, Place
from judge import Judge
from payers import OPENER, Payer, mint

WORDS = [
    "amber", "basalt", "cedar", "dune", "ember", "fjord", "granite", "heather", "indigo", "jasper",
    "kelp", "lantern", "maple", "nectar", "opal", "pebble", "quartz", "reed", "saffron", "thistle",
]
SUBJECTS = [
    "market", "weather", "garden", "engine", "letter", "river", "winter", "ledger", "castle", "signal",
    "bridge", "forest",
]
PROJECT = """[project]
name = "{word}"
task = "chat"
[[data]]
path = "first.jsonl"
contributor = "First of {word}"
address = "0xaf1D3c88E1B9C4A0E2F5D6b708192A3B4C5d6e7f"
license = "MIT"
[[data]]
path = "second.jsonl"
contributor = "Second of {word}"
address = "0xc0FfEe0123456789aBCDEf0011223344556677A9"
license = "MIT"
[train]
lr = 1e-2
epochs = 12
batch = 4
max_len = 192
checkpoint_every = 36
"""
SETTINGS = {
    "OPENLORA_OFFLINE": "1", "OPENLORA_DEVNET_PORT": "0", "OPENLORA_SERVE_PARALLEL": "8",
    "OPENLORA_SERVE_SETTLE_EVERY": "15", "OPENLORA_SERVE_ANCHOR_EVERY": "20",
    "OPENLORA_SERVE_WITHDRAW_DELAY": "900",
}
DEPOSIT = 5_000_000
HELD = "openlora_held_answers_bytes "
# How long the right moment for a kill is waited for, in seconds.
PATIENCE = 60
# Calls that run, by the indexes that keep their events unique.
RUNNING = """SELECT
    (SELECT count(*) FROM events WHERE body ->> '$.type' = 'call_reserved')
    - (SELECT count(*) FROM events WHERE body ->> '$.type' = 'call_metered')"""


def is_settled(journal):
    """Whether the transactions of the latest records have an end."""
    latest = journal.execute("SELECT body FROM events ORDER BY sequence DESC LIMIT 32").fetchall()
    events = [json.loads(body) for (body,) in latest]
    of = lambda kind: {event["tx"] for event in events if event["type"] == kind}
    return of("transaction_intended") <= of("transaction_settled")


class Home:
    """A home of its own, with a development chain."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.env = inherited | SETTINGS | {"OPENLORA_HOME": str(folder / "home"), "HOME": str(folder)}

    def __enter__(self):
        self.chain = self.run("devnet", "start")[0]["url"]
        return self

    def __exit__(self, *_):
        self.run("devnet", "stop")

    def run(self, *args, folder=None):
        """The JSON that a command prints, and its exit code."""
        command = [self.program, "--json", "-q", *args]
        done = subprocess.run(command, cwd=folder or self.folder, env=self.env, capture_output=True, text=True)
        if not done.stdout:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout.splitlines()[-1]), done.returncode

    def journal(self):
        path = self.folder / "home/data/journal.sqlite"
        return contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True))

    def adapter(self, word):
        """Trains, packages and registers an adapter; returns its deployment."""
        project = self.folder / "projects" / word
        project.mkdir(parents=True)
        (project / "openlora.toml").write_text(PROJECT.format(word=word))
        for name, subjects in [("first", SUBJECTS[::2]), ("second", SUBJECTS[1::2])]:
            rows = [
                {"messages": [
                    {"role": "user", "content": f"How is the {subject}?"},
                    {"role": "assistant", "content": f"{word} {subject} " * (6 + len(subject)) + word},
                ]}
                for subject in subjects
            ]
            (project / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        for command in ("train", "package", "deploy"):
            done, code = self.run(command, folder=project)
            assert code == 0, done
        # A run is served with its attribution index.
        run = (project / "runs/latest").read_text().strip()
        shutil.copytree(project / "runs" / run, self.folder / "shelf" / word)
        return done


class Server:
    """The server as a process that is killed and started again."""

    def __init__(self, home, log):
        self.home, self.log, self.port = home, log, 0
        # By seconds since the start, of each start: resident memory, and that of held answers, in MiB.
        self.memory = []

    def start(self):
        args = ["serve", "--local", "--json", "--adapters", "shelf", "--port", str(self.port)]
        self.memory.append([])
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [self.home.program, *args], cwd=self.home.folder, env=self.home.env,
            stdout=subprocess.PIPE, stderr=self.log, text=True,
        )
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the server ended: {pathlib.Path(self.log.name).read_text()}")
        self.url = json.loads(line)["url"]
        self.port = urlsplit(self.url).port

    def kill_amid(self, calls, sending):
        """Kills it while at least so many calls run and, if `sending`, a transaction is on its way."""
        until = time.monotonic() + PATIENCE
        with self.home.journal() as journal:
            while time.monotonic() < until:
                running = journal.execute(RUNNING).fetchone()[0]
                if running >= calls and not (sending and is_settled(journal)):
                    break
                time.sleep(0.0005)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def drain(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    async def watch(self):
        """Reads the memory every second."""
        while True:
            await asyncio.sleep(1)
            try:
                with open(f"/proc/{self.process.pid}/status") as status:
                    line = next((line for line in status if line.startswith("VmRSS")), None)
            except OSError:
                line = None
            held = await asyncio.to_thread(self.held)
            if line and held is not None:
                self.memory[-1].append((time.monotonic() - self.began, int(line.split()[1]) / 1024, held))

    def held(self):
        """Memory in MiB of answers that are held for repeats, which is bounded; none if the server is away."""
        token = (self.home.folder / "home/data/operator.token").read_text().strip()
        asked = urllib.request.Request(self.url + "/metrics", headers={"Authorization": f"Bearer {token}"})
        try:
            with OPENER.open(asked, timeout=10) as answer:
                lines = answer.read().decode().splitlines()
        except (OSError, http.client.HTTPException):
            return None
        return next(int(line.split()[1]) / 2**20 for line in lines if line.startswith(HELD))

    def get(self, path):
        try:
            with OPENER.open(self.url + path, timeout=120) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


async def opened(client, chain_url):
    """Funds a client and has its channel opened by its first call."""
    subject, call = SUBJECTS[0], None
    call = Call(client.number, client.adapter, f"How is the {subject}?", False, None)
    body = client.body(call, 0)
    offer = await client.offer(call, body)
    client.payer = Payer(offer, named=client.number % 2 == 0)
    mint(chain_url, client.payer.chain, offer["asset"], client.payer.account.address, DEPOSIT)
    await client.drive(call, body, DEPOSIT)


async def load(given, server, clients, place):
    """Has the clients work while the server is killed so many times; returns the seconds of it."""
    began = time.monotonic()
    until = began + given.seconds
    working = [client.work(until, SUBJECTS, given.leaving, given.think) for client in clients]
    watching = asyncio.create_task(server.watch())
    working = asyncio.gather(*working)
    for kill in range(given.kills):
        # The last start runs for half of the time.
        due = began + given.seconds * (kill + 1) / (2 * given.kills)
        await asyncio.wait([working], timeout=max(0, due - time.monotonic()))
        await asyncio.to_thread(server.kill_amid, max(2, len(clients) // 8), kill % 2 == 1)
        await asyncio.to_thread(server.start)
        await place.restarted()
    await working
    watching.cancel()
    return time.monotonic() - began


async def attributed(judge):
    """Waits until every counted call has its attribution, while attributions come."""
    left, until = judge.unattributed(), time.monotonic() + PATIENCE
    while left and time.monotonic() < until:
        await asyncio.sleep(0.5)
        now = judge.unattributed()
        if now < left:
            left, until = now, time.monotonic() + PATIENCE


async def run(given, home, log):
    words = WORDS[: given.adapters]
    deployed = {word: home.adapter(word) for word in words}
    print(f"{len(words)} adapters are registered", file=sys.stderr)
    server = Server(home, log)
    server.start()
    try:
        place, quotes = Place(("127.0.0.1", server.port)), {}
        clients = [
            Client(number, words[number % len(words)], None, place, quotes)
            for number in range(given.clients)
        ]
        for client in clients:
            await opened(client, home.chain)
        seconds = await load(given, server, clients, place)
        judge = Judge(home, server, deployed, clients)
        await attributed(judge)
        judge.receipts()
        # What is withdrawn is proposed to the contributors by the settlement after it.
        for command in ("settle", "withdraw", "settle"):
            judge.equal(f"exit code of {command}", home.run(command)[1], 0)
        judge.equal("exit code of serve", server.drain(), 0)
    finally:
        server.stop()
    return judge, judge.whole(given) | {"seconds": round(seconds)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("openlora", help="the program")
    parser.add_argument("--short", action="store_true", help="a minute, and no judgement of times and memory")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--adapters", type=int, default=16)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--leaving", type=float, default=0.2, help="part of the calls that the caller leaves")
    parser.add_argument("--think", type=float, default=0.3, help="seconds between two calls of a client")
    parser.add_argument("--keep", help="folder to work in, which is kept")
    given = parser.parse_args()
    if given.short:
        given.seconds, given.adapters, given.clients, given.kills = 20, 4, 16, 1
    folder = pathlib.Path(given.keep or tempfile.mkdtemp(prefix="openlora-load-"))
    folder.mkdir(exist_ok=True)
    try:
        with open(folder / "server.log", "w") as log, Home(os.path.abspath(given.openlora), folder) as home:
            judge, result = asyncio.run(run(given, home, log))
    finally:
        if not given.keep:
            shutil.rmtree(folder)
    print(json.dumps(result))
    for difference in judge.differences[:50]:
        print(difference, file=sys.stderr)
    if judge.differences:
        print(f"{len(judge.differences)} differences", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
