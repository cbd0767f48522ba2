"""Calls through `openlora proxy` while the proxy and the server are killed; afterwards what was spent,
what the server charged and what the chain moved are the same sum, and never above the budget.

Usage: proxied.py PLAN
PLAN is a JSON file: `serve` and `proxy`, each with `args`, `cwd` and `env`; `settle`, `explore` and
`receipts`, commands of the same form; `model`; `calls`; `kills`; `budget` in base units.
The proxy and the server listen on fixed ports. Prints one JSON object; exits 1 if a sum differs.
"""

import http.client
import json
import random
import subprocess
import sys
import threading
import time
import urllib.parse

PATIENCE = 120
THREADS = 8


class Program:
    """A program that is started, killed and started again."""

    def __init__(self, plan):
        self.plan, self.lock = plan, threading.Lock()
        self.start()

    def start(self):
        self.child = subprocess.Popen(
            self.plan["args"], cwd=self.plan["cwd"], env=self.plan["env"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        line = self.child.stdout.readline()
        assert line, f"{self.plan['args']} did not start"
        self.ready = json.loads(line)

    def kill(self):
        with self.lock:
            self.child.kill()
            self.child.wait()
            self.start()

    def stop(self):
        self.child.terminate()
        assert self.child.wait(PATIENCE) == 0, self.plan["args"]


def run(plan):
    done = subprocess.run(
        plan["args"], cwd=plan["cwd"], env=plan["env"], capture_output=True, text=True, timeout=PATIENCE,
    )
    assert done.returncode == 0, (plan["args"], done.stderr)
    return json.loads(done.stdout)


def call(base, model, number):
    """How a call ends. It is made again as long as nothing was paid for it."""
    deadline = time.monotonic() + PATIENCE
    while (ended := attempt(base, model, number)) == "unpaid":
        assert time.monotonic() < deadline, "nobody answers"
        time.sleep(0.1)
    return ended


def attempt(base, model, number):
    """Whether a call was answered whole; every third is streamed, every ninth is left early."""
    stream = number % 3 == 0
    body = {
        "model": model, "stream": stream, "max_tokens": 4, "temperature": 0,
        "messages": [{"role": "user", "content": f"call {number}"}],
    }
    connection = http.client.HTTPConnection(base.hostname, base.port, timeout=PATIENCE)
    try:
        path = f"{base.path}/chat/completions"
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        if number % 9 == 0:
            answer.read(8)
            return "left"
        text = answer.read()
        if answer.status == 200 and (not stream or b"[DONE]" in text):
            return "answered"
        code = None if stream and answer.status == 200 else json.loads(text)["error"]["code"]
        if answer.status == 503:
            return "unpaid"
        return "refused" if code in ("insufficient_quota", "price_above_limit") else "failed"
    except ConnectionRefusedError:
        return "unpaid"
    except (OSError, http.client.HTTPException, ValueError):
        return "failed"
    finally:
        connection.close()


def main():
    plan = json.load(open(sys.argv[1]))
    server, proxy = Program(plan["serve"]), Program(plan["proxy"])
    base = urllib.parse.urlsplit(proxy.ready["base_url"])
    rest, results, lock = iter(range(plan["calls"])), {}, threading.Lock()
    done = 0

    def work():
        nonlocal done
        while True:
            with lock:
                number = next(rest, None)
            if number is None:
                return
            ended = call(base, plan["model"], number + 1)
            with lock:
                results[ended] = results.get(ended, 0) + 1
                done += 1

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    chance = random.Random(7)
    every = plan["calls"] // (plan["kills"] + 1)
    for kill in range(plan["kills"]):
        while done < (kill + 1) * every and any(it.is_alive() for it in threads):
            time.sleep(0.01)
        time.sleep(chance.random() / 20)
        (proxy if kill % 2 == 0 else server).kill()
        assert spent(plan) <= plan["budget"], "above the budget"
    for thread in threads:
        thread.join()
    # A proxy that starts asks for the price of every call whose answer it has not received.
    deadline = time.monotonic() + PATIENCE
    while open_calls(plan):
        assert time.monotonic() < deadline, open_calls(plan)
        proxy.kill()
        waited = time.monotonic() + 5
        while open_calls(plan) and time.monotonic() < waited:
            time.sleep(0.2)
    proxy.stop()
    server.stop()
    run(plan["settle"])
    releases = [it for adapter in run(plan["explore"])["adapters"] for it in adapter["releases"]]
    received = sum(int(it["revenue"]["received"]) for it in releases)
    paid = sum(int(it["paid"] or 0) for it in run(plan["receipts"]))
    print(json.dumps({"results": results, "spent": paid, "received": received}))
    assert paid == received, (paid, received)
    assert paid <= plan["budget"], (paid, plan["budget"])


def open_calls(plan):
    return [it for it in run(plan["receipts"]) if it["state"] in ("open", "unanswered")]


def spent(plan):
    """What was charged, and the limits of what may still be."""
    paid = run(plan["receipts"])
    charge = lambda it: 0 if it["state"] == "void" else int(it["paid"] or it["quote"])
    return sum(charge(it) for it in paid)


main()
