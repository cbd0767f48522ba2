"""Writes the files of one version: python3 make.py BINARY FOLDER

A seller, a buyer and a development chain, with the binary of that version. In each scenario the seller or the
buyer is killed between the moment its transaction is recorded and the moment its outcome is; the folder then has
the home as it was left, with the chain as it was at that time. Packed with
`XZ_OPT=-9e tar -cJf VERSION.tar.xz --sort=name --owner=0 --group=0 --mtime=@0 -C FOLDER .`
"""

import http.server
import json
import os
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

BINARY, OUT = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
# Keys that tests use, and a password that is in the README. They hold no money anywhere.
OWN = "0x" + "11" * 32
RICH = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
BUYER = "0x" + "22" * 32
PASSWORD = "correct horse"
PORT = 18641


class Proxy(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Forwards requests to a chain. When armed, it withholds the answer to the nth transaction, and forwards it
    or not."""

    daemon_threads = True

    def __init__(self, target):
        self.target, self.left, self.forward = target, 0, True
        self.hung = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def arm(self, nth, forward):
        self.left, self.forward = nth, forward
        self.hung.clear()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        server = self.server
        hit = False
        if server.left and json.loads(body).get("method") == "eth_sendRawTransaction":
            server.left -= 1
            hit = server.left == 0
        if hit and not server.forward:
            server.hung.set()
            time.sleep(3600)
        request = urllib.request.Request(server.target, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            data = answer.read()
        if hit:
            server.hung.set()
            time.sleep(3600)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def environment(home):
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "OPENLORA_HOME": str(home / "home"),
        "OPENLORA_PASSWORD_FILE": str(home / "pw"),
        "OPENLORA_WALLET_ACCOUNT": "own",
    }


def command(home, *args):
    return subprocess.Popen(
        [BINARY, "--no-input", "-y", *args],
        cwd=home,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(home, *args):
    out, err = (child := command(home, *args)).communicate(timeout=600)
    if child.returncode:
        sys.exit(f"{args}: {child.returncode}\n{out}\n{err}")
    return out


def start_chain(home):
    child = command(home, "devnet", "start", "--port", "0", "--foreground")
    for _ in range(600):
        status = json.loads(run(home, "devnet", "status", "--json"))
        if status["running"] and status["url"]:
            return child, status["url"]
        time.sleep(0.1)
    sys.exit(f"no chain: {status}")


def stop(child, by=signal.SIGTERM):
    child.send_signal(by)
    child.communicate(timeout=120)


def project(home, rpc, extra=""):
    text = (home / "project.toml").read_text()
    (home / "openlora.toml").write_text(f"{text}\n[network.local]\nrpc = \"{rpc}\"\n{extra}")


def account(home, name, key):
    (home / "key").write_text(key)
    run(home, "wallet", "import", name, "--from", "key")
    (home / "key").unlink()


def new_home(home, names):
    home.mkdir(parents=True)
    (home / "pw").write_text(PASSWORD + "\n")
    for name, key in names:
        account(home, name, key)


def serve(home):
    child = command(home, "serve", "--local", "--port", str(PORT))
    for _ in range(1200):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ready", timeout=5):
                return child
        except OSError:
            if child.poll() is not None:
                sys.exit(f"the server ended: {child.communicate()}")
            time.sleep(0.1)
    sys.exit("the server does not start")


def buyer_call(buyer, *args):
    return (buyer, "call", "--url", f"http://127.0.0.1:{PORT}", *args, "Withdrawals are frozen again")


class World:
    """A seller who sells, with a chain and a buyer; copied for each scenario."""

    def __init__(self, folder):
        self.folder = folder
        self.seller, self.buyer = folder / "seller", folder / "buyer"

    def __enter__(self):
        self.chain, url = start_chain(self.seller)
        self.proxy = Proxy(url)
        rpc = f"http://127.0.0.1:{self.proxy.server_port}"
        project(self.seller, rpc)
        project(self.buyer, url)
        return self

    def __exit__(self, *_):
        stop(self.chain)
        self.proxy.shutdown()

    def kill_at(self, nth, *started, forward=True, victims=()):
        """Starts a command, and kills it and `victims` when the nth transaction from now is under way."""
        self.proxy.arm(nth, forward)
        child = command(*started)
        if not self.proxy.hung.wait(120):
            sys.exit(f"{started}: fewer transactions: {child.communicate(timeout=60)}")
        for it in [*victims, child]:
            stop(it, signal.SIGKILL)

    def keep(self, name):
        """Packs what a user of a later version would find; called when the chain has stopped."""
        to = OUT / name
        for who in (self.seller, self.buyer):
            data = who / "home/data"
            for found in ["journal.sqlite", "journal.sqlite-wal", "purse.db", "purse.db-wal",
                          "devnet/31337/chain.sqlite", "devnet/31337/chain.sqlite-wal"]:
                if (data / found).exists():
                    (to / who.name / found).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(data / found, to / who.name / found)
            log = data / "attribution-log"
            if log.exists():
                shutil.copytree(log, to / who.name / log.name)


def base(folder):
    world = World(folder)
    seller, buyer = world.seller, world.buyer
    new_home(seller, [("own", OWN), ("rich", RICH)])
    new_home(buyer, [("own", BUYER)])
    run(seller, "init", "m", "--template", "sentiment")
    shutil.move(seller / "m/data", seller / "data")
    text = (seller / "m/openlora.toml").read_text()
    text = text.replace("rank = 8", "rank = 1").replace("epochs = 2", "epochs = 1\nmax_steps = 12\ntargets = [\"q_proj\"]")
    (seller / "project.toml").write_text(text)
    (buyer / "project.toml").write_text("")
    (seller / "openlora.toml").write_text(text)
    shutil.rmtree(seller / "m")
    if "serve.min_exact" in run(seller, "--json", "config", "show"):
        text = text.replace("[train]", "[serve]\nmin_exact = \"0.0001\"\n\n[train]")
        (seller / "project.toml").write_text(text)
        (seller / "openlora.toml").write_text(text)
    run(seller, "train")
    return world


def copied(world, folder):
    shutil.copytree(world.folder, folder, symlinks=True)
    return World(folder)


def main():
    work = OUT.parent / f"{OUT.name}.work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    trained = base(work / "trained")
    seller, buyer = trained.seller, trained.buyer
    with trained as world:
        run(seller, "deploy", "--contracts", "--account", "rich")
        world.kill_at(3, seller, "deploy")
    trained.keep("registration")
    with trained as world:
        run(seller, "deploy")
        server = serve(seller)
        run(*buyer_call(buyer, "--scheme", "batch-settlement"))
        run(*buyer_call(buyer, "--scheme", "exact"))
        stop(server, signal.SIGKILL)
    trained.keep("sold")
    for name, before, (nth, args), forward in [
        ("claim", [], (1, ["settle"]), True),
        ("lost-claim", [], (1, ["settle"]), False),
        ("settlement", [], (2, ["settle"]), True),
        ("anchor", [], (3, ["settle"]), True),
        ("release", [["settle"]], (1, ["withdraw"]), True),
        ("pull", [["settle"]], (2, ["withdraw"]), True),
        ("proposal", [["settle"]], (3, ["withdraw"]), True),
    ]:
        with copied(trained, work / name) as world:
            for arguments in before:
                run(world.seller, *arguments)
            world.kill_at(nth, world.seller, *args, forward=forward)
        world.keep(name)
    for name, scheme in [("deposit", "batch-settlement"), ("transfer", "exact"), ("refund", None)]:
        with copied(trained, work / name) as world:
            if scheme == "batch-settlement":
                # Another buyer, whose channel is new.
                shutil.rmtree(world.buyer / "home")
                account(world.buyer, "own", "0x" + "33" * 32)
            server = serve(world.seller)
            paying = buyer_call(world.buyer, "--scheme", scheme) if scheme else (world.buyer, "channel", "refund")
            world.kill_at(1, *paying, victims=[server])
        world.keep(name)
    for name, args in [("topup", ["channel", "topup", "--amount", "0.001"]), ("withdrawal", ["channel", "withdraw"])]:
        with copied(trained, work / name) as world:
            project(world.buyer, f"http://127.0.0.1:{world.proxy.server_port}")
            world.kill_at(1, world.buyer, *args)
        world.keep(name)
    (OUT / "config").mkdir()
    shutil.copyfile(seller / "project.toml", OUT / "config/openlora.toml")
    package = next((seller / "runs").glob("2*/package"))
    shutil.copytree(package, OUT / "package")
    for who in (seller, buyer):
        shutil.copytree(who / "home/data/keystores", OUT / "keystores" / who.name)


if __name__ == "__main__":
    main()
