"""What eth-account and hashlib make of our files; each command prints one line of JSON."""

import hashlib
import json
import sys

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak


def decrypt(path, password):
    with open(path) as file:
        key = Account.decrypt(file.read(), password)
    return {"key": "0x" + bytes(key).hex(), "address": Account.from_key(key).address}


def encrypt(key, password, kdf):
    return Account.encrypt(key, password, kdf=kdf)


def digest(path):
    with open(path) as file:
        envelope = json.load(file)
    full = {name: envelope[name] for name in ("types", "primaryType", "domain", "message")}
    signable = encode_typed_data(full_message=full)
    hashed = keccak(b"\x19" + signable.version + signable.header + signable.body)
    signer = Account.recover_message(signable, signature=envelope["signature"])
    return {"digest": "0x" + hashed.hex(), "signer": signer}


def root(leaves):
    lines = sorted(leaves, key=lambda leaf: leaf[0].encode())
    text = "".join(f"{sha256}  {name}\n" for name, sha256 in lines)
    return "0x" + hashlib.sha256(text.encode()).hexdigest()


def roots(path):
    with open(path, "rb") as file:
        raw = file.read()
    manifest = json.loads(raw)
    base = manifest["base"]
    weights = [(file["path"], file["sha256"]) for file in base["weights"]]
    named = [("config.json", base["configSha256"]), ("tokenizer", base["tokenizerSha256"])]
    return {
        "manifestSha256": "0x" + hashlib.sha256(raw).hexdigest(),
        "filesRoot": root((file["path"], file["sha256"]) for file in manifest["files"]),
        "baseRoot": root(weights + named),
        "datasetsRoot": root((data["id"], data["sha256"]) for data in manifest["datasets"]),
    }


commands = {"decrypt": decrypt, "encrypt": encrypt, "digest": digest, "roots": roots}
print(json.dumps(commands[sys.argv[1]](*sys.argv[2:])))
