"""Checks transparency logs independently: RFC 6962 hashes and proofs, C2SP tlog-proof, tlog-tiles,
checkpoints and signed notes with Ed25519 (RFC 8032). Standard library only.

Reads one JSON object per line on standard input and answers `ok` or `refused: REASON` for each:

    {"check": "proof", "vkey": KEY, "proof": TEXT}
    {"check": "consistency", "from": {"size": N, "root": HEX}, "to": {...}, "proof": [HEX, ...]}
    {"check": "folder", "vkey": KEY, "dir": PATH}
"""

import base64
import hashlib
import json
import os
import sys


class Refused(Exception):
    pass


def require(holds, reason):
    if not holds:
        raise Refused(reason)


# Ed25519, from the equations of RFC 8032, section 5.1.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def recover_x(y, odd):
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    require((x * x - square) % P == 0, "no point has this y")
    return P - x if x % 2 != odd else x


def add(one, other):
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a = (y1 - x1) * (y2 - x2) % P
    b = (y1 + x1) * (y2 + x2) % P
    c = 2 * t1 * t2 * D % P
    d = 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar, point):
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def decode_point(data):
    y = int.from_bytes(data, "little")
    odd, y = y >> 255, y & ((1 << 255) - 1)
    require(y < P, "a point is not canonical")
    x = recover_x(y, odd)
    return x, y, 1, x * y % P


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = recover_x(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def verify_signature(key, message, signature):
    require(len(key) == 32 and len(signature) == 64, "a key or signature has another length")
    r, s = decode_point(signature[:32]), int.from_bytes(signature[32:], "little")
    require(s < ORDER, "the signature is not canonical")
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    k = int.from_bytes(digest, "little") % ORDER
    x1, y1, z1, _ = times(s, BASE)
    x2, y2, z2, _ = add(r, times(k, decode_point(key)))
    require((x1 * z2 - x2 * z1) % P == 0 and (y1 * z2 - y2 * z1) % P == 0, "wrong signature")


# Signed notes and checkpoints.


def decode64(text, what):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused(f"{what} is no base64") from error
    require(base64.b64encode(data).decode() == text, f"{what} is not canonical base64")
    return data


def decimal(text, what):
    require(text.isascii() and text.isdigit() and str(int(text)) == text, f"{what} is no number")
    return int(text)


def open_checkpoint(note, vkey):
    name, key_id, encoded = vkey.split("+", 2)
    typed = decode64(encoded, "the key")
    require(typed[0] == 1, "the key is not Ed25519")
    expected = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    require(expected.hex() == key_id, "the key's id is another")
    require("\n\n" in note and note.endswith("\n"), "no signed note")
    text, signatures = note.rsplit("\n\n", 1)
    text += "\n"
    found = False
    for line in signatures.splitlines():
        require(line.startswith("\u2014 "), "no signature line")
        signer, encoded = line[2:].split(" ", 1)
        signature = decode64(encoded, "a signature")
        if signer == name and signature[:4] == expected:
            verify_signature(typed[1:], text.encode(), signature[4:])
            found = True
    require(found, "the log's key did not sign")
    lines = text.split("\n")
    require(len(lines) >= 4 and lines[0] == name, "the checkpoint is of another log")
    root = decode64(lines[2], "the root")
    require(len(root) == 32, "the root has another length")
    return decimal(lines[1], "the size"), root


# RFC 6962, section 2.1, with the verification algorithms of RFC 9162.


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def tree_root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while 2 * half < len(leaves):
        half *= 2
    return node_hash(tree_root(leaves[:half]), tree_root(leaves[half:]))


def verify_inclusion(leaf, index, size, path, root):
    require(index < size, "the index is beyond the tree")
    position, last, found = index, size - 1, leaf
    for sibling in path:
        require(last > 0, "the path is too long")
        if position % 2 or position == last:
            found = node_hash(sibling, found)
            if not position % 2:
                while position and not position % 2:
                    position, last = position // 2, last // 2
        else:
            found = node_hash(found, sibling)
        position, last = position // 2, last // 2
    require(last == 0 and found == root, "the path leads to another root")


def verify_consistency(first, first_root, second, second_root, path):
    require(first <= second, "the trees are in the wrong order")
    if first == second:
        require(not path and first_root == second_root, "the trees differ")
        return
    if first == 0:
        require(not path, "a proof of nothing is not empty")
        return
    path = list(path)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    require(path, "the proof is empty")
    position, last = first - 1, second - 1
    while position % 2:
        position, last = position // 2, last // 2
    old = new = path[0]
    for sibling in path[1:]:
        require(last > 0, "the proof is too long")
        if position % 2 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            if not position % 2:
                while position and not position % 2:
                    position, last = position // 2, last // 2
        else:
            new = node_hash(new, sibling)
        position, last = position // 2, last // 2
    require(last == 0 and old == first_root and new == second_root, "the trees do not fit")


# Proof files, and what this project's entries commit to.


def parse_proof(text):
    require("\n\n" in text, "no empty line before the checkpoint")
    head, checkpoint = text.split("\n\n", 1)
    lines = head.split("\n")
    require(lines.pop(0) == "c2sp.org/tlog-proof@v1", "the first line is another")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = decode64(lines.pop(0)[6:], "the extra data")
    require(lines and lines[0].startswith("index "), "there is no index")
    index = decimal(lines.pop(0)[6:], "the index")
    path = [decode64(line, "a hash") for line in lines]
    require(all(len(sibling) == 32 for sibling in path), "a hash has another length")
    return extra, index, path, checkpoint


def check_proof(asked):
    extra, index, path, note = parse_proof(asked["proof"])
    size, root = open_checkpoint(note, asked["vkey"])
    try:
        carried = json.loads(extra)
        entry = json.loads(carried["entry"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("the extra data is no entry") from error
    verify_inclusion(leaf_hash(carried["entry"].encode()), index, size, path, root)
    require(entry["sequence"] == index + 1, "the entry is of another record")
    if "opening" in carried:
        opening = carried["opening"]
        salted = b"openlora transparency log, commitment, v1\n"
        salted += bytes.fromhex(opening["blinding"]) + opening["record"].encode()
        found = hashlib.sha256(salted).hexdigest()
        require(found == entry["commitment"], "the entry commits to another record")


def check_consistency(asked):
    first, second = asked["from"], asked["to"]
    verify_consistency(
        first["size"],
        bytes.fromhex(first["root"]),
        second["size"],
        bytes.fromhex(second["root"]),
        [bytes.fromhex(sibling) for sibling in asked["proof"]],
    )


def tile_name(level, index, width):
    digits = f"{index % 1000:03}"
    while index >= 1000:
        index //= 1000
        digits = f"x{index % 1000:03}/{digits}"
    return f"tile/{level}/{digits}" + (f".p/{width}" if width < 256 else "")


def read_tile(folder, level, index, width):
    try:
        with open(os.path.join(folder, tile_name(level, index, width)), "rb") as file:
            return file.read()
    except OSError as error:
        raise Refused(f"there is no {tile_name(level, index, width)}") from error


def tiles_of(count):
    return [(index, min(256, count - 256 * index)) for index in range((count + 255) // 256)]


def check_folder(asked):
    folder = asked["dir"]
    with open(os.path.join(folder, "checkpoint"), encoding="utf-8", newline="") as file:
        size, root = open_checkpoint(file.read(), asked["vkey"])
    leaves = []
    for index, width in tiles_of(size):
        bundle = read_tile(folder, "entries", index, width)
        start = 0
        for _ in range(width):
            end = start + 2 + int.from_bytes(bundle[start : start + 2], "big")
            require(end <= len(bundle), "a bundle ends early")
            leaves.append(leaf_hash(bundle[start + 2 : end]))
            start = end
        require(start == len(bundle), "bytes follow a bundle")
    require(tree_root(leaves) == root, "the entries have another root")
    level, hashes = 0, leaves
    while hashes:
        for index, width in tiles_of(len(hashes)):
            tile = b"".join(hashes[256 * index : 256 * index + width])
            require(read_tile(folder, level, index, width) == tile, "a tile is wrong")
        full = len(hashes) // 256
        hashes = [tree_root(hashes[256 * index : 256 * index + 256]) for index in range(full)]
        level += 1


CHECKS = {"proof": check_proof, "consistency": check_consistency, "folder": check_folder}


def main():
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            CHECKS[asked["check"]](asked)
            print("ok")
        except Refused as refused:
            print(f"refused: {refused}")


if __name__ == "__main__":
    main()
