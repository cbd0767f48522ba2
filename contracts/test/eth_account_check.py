"""Compares the typed-data digests of vectors.json with those that eth-account computes."""

import json
import sys
from pathlib import Path

from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data

DOMAIN = [("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address")]
RELEASE = [("manifestSha256", "bytes32"), ("baseRoot", "bytes32"), ("datasetsRoot", "bytes32"), ("price", "uint128"), ("uri", "string")]
TYPES = {
    "AdapterRelease": [
        ("name", "string"), ("version", "string"), ("manifestSha256", "bytes32"), ("filesRoot", "bytes32"),
        ("baseRoot", "bytes32"), ("datasetsRoot", "bytes32"), ("omsKeySha256", "bytes32"), ("createdAt", "uint64"),
    ],
    "Registration": [
        ("publisher", "address"), ("weightsHash", "bytes32"), ("royaltyBps", "uint16"), ("release", "Release"),
        ("shares", "Share[]"), ("servers", "address[]"), ("deadline", "uint256"),
    ],
}
NESTED = {"AdapterRelease": {}, "Registration": {"Release": RELEASE, "Share": [("recipient", "address"), ("ppm", "uint32")]}}


def numbers(value, kind, types):
    """The message with decimal strings turned into integers where the type is one."""
    if kind.endswith("[]"):
        return [numbers(item, kind[:-2], types) for item in value]
    if kind in types:
        return {name: numbers(value[name], of, types) for name, of in types[kind]}
    return int(value) if kind.startswith("uint") else value


def signable(vectors, primary, message):
    types = {"EIP712Domain": DOMAIN, primary: TYPES[primary], **NESTED[primary]}
    domain = {
        "name": "OpenLoraRegistry", "version": "1",
        "chainId": vectors["chainId"], "verifyingContract": vectors["registry"],
    }
    listed = {name: [{"name": field, "type": of} for field, of in fields] for name, fields in types.items()}
    body = numbers(message, primary, types)
    return encode_typed_data(full_message={"types": listed, "primaryType": primary, "domain": domain, "message": body})


def main():
    vectors = json.loads((Path(__file__).parent / "vectors.json").read_text())
    for primary, entry in (("AdapterRelease", vectors["release"]), ("Registration", vectors["registration"])):
        message = signable(vectors, primary, entry["message"])
        digest = "0x" + _hash_eip191_message(message).hex()
        if digest != entry["digest"]:
            sys.exit(f"{primary}: eth-account computes {digest}, vectors.json has {entry['digest']}")
        if "signature" in entry:
            signer = Account.recover_message(message, signature=entry["signature"])
            if signer != entry["message"]["publisher"]:
                sys.exit(f"{primary}: signature is by {signer}, expected {entry['message']['publisher']}")


main()
