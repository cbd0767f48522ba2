"""Draws the way from deploying to being paid, with the figures of a recorded run.

usage: flow.py RECORDING PICTURE
"""

import json
import sys
from xml.sax.saxutils import escape

WIDE, HIGH = 1120, 430
DECIMALS = 6


def units(amount):
    whole, part = divmod(amount, 10**DECIMALS)
    return f"{whole}.{part:0{DECIMALS}}".rstrip("0").rstrip(".")


def short(text):
    return f"{text[:6]}…{text[-4:]}" if len(text) > 13 else text


def facts(recording):
    found = dict(calls=0, charged=0, claimed=0, settled=0, released=[], parts={}, methods={}, roots=0, tx=0,
                 adapter="", adapter_id="", payers=set(), contributed={})
    with open(recording, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)["event"]
            kind = event["type"]
            if kind == "deployed":
                found.update(adapter=f'{event["name"]} {event["release"]}', adapter_id=event["adapter_id"])
            elif kind == "adapter_loaded" and not found["adapter"]:
                found["adapter"] = event["name"]
            elif kind == "call_metered" and "charge" in event:
                found["calls"] += 1
                found["charged"] += int(event["charge"]["amount"])
                found["payers"].add(event["charge"]["id"])
            elif kind == "attributed":
                found["methods"][event["method"]] = found["methods"].get(event["method"], 0) + 1
                for part in event.get("amounts") or []:
                    name = part["recipient"]
                    found["parts"][name] = found["parts"].get(name, 0) + int(part["micro"])
            elif kind == "anchored":
                found["roots"] += 1
            elif kind in ("settled", "payment_received"):
                found["settled"] += int(event["amount"])
            elif kind == "released":
                found["released"].append((event["recipient"], int(event["amount"])))
            elif kind == "contribution_claimed":
                found["contributed"][event["contributor"]] = int(event["amount"])
    return found


def box(x, title, lines, colour):
    parts = [
        f'<rect x="{x}" y="60" width="236" height="300" rx="14" fill="#fff" stroke="{colour}" stroke-width="2.5"/>',
        f'<rect x="{x}" y="60" width="236" height="44" rx="14" fill="{colour}"/>',
        f'<rect x="{x}" y="84" width="236" height="20" fill="{colour}"/>',
        f'<text x="{x + 118}" y="89" text-anchor="middle" fill="#fff" font-size="18" font-weight="bold">{title}</text>',
    ]
    for at, (text, weight) in enumerate(lines):
        bold = ' font-weight="bold"' if weight else ' fill="#57606a"'
        parts.append(f'<text x="{x + 16}" y="{134 + at * 26}" font-size="14.5"{bold}>{escape(text)}</text>')
    return parts


def arrow(x, text):
    return [
        f'<path d="M{x} 210 h32 m-9 -7 l9 7 l-9 7" fill="none" stroke="#57606a" stroke-width="2.5"/>',
        f'<text x="{x + 18}" y="192" text-anchor="middle" font-size="10" fill="#57606a">{escape(text)}</text>',
    ]


def main(recording, picture):
    it = facts(recording)
    parts = sorted(it["parts"].items(), key=lambda entry: -entry[1])
    shares = [(f"{name}: {units(micro // 10**6)}", False) for name, micro in parts[:7]]
    released = [(f"{short(account)}: {units(amount)}", False) for account, amount in it["released"][:3]]
    paid = [(f"{short(account)}: {units(amount)}", False) for account, amount in list(it["contributed"].items())[:3]]
    methods = ", ".join(f"{count} by {name}" for name, count in it["methods"].items()) or "not in this recording"
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}" '
        'font-family="Helvetica, Arial, sans-serif" fill="#1f2328">',
        f'<rect width="{WIDE}" height="{HIGH}" rx="16" fill="#f6f8fa"/>',
        '<text x="24" y="38" font-size="20" font-weight="bold">One recorded run: '
        "deploy, attribution, reward</text>",
    ]
    svg += box(24, "deploy", [
        (it["adapter"] or "an adapter", True),
        ("signed package, registered", False),
        (f'id {short(it["adapter_id"])}' if it["adapter_id"] else "", False),
        ("served over HTTP", False),
    ], "#0969da")
    svg += arrow(264, "call")
    svg += box(302, "pay per call", [
        (f'{it["calls"]} calls', True),
        (f'{units(it["charged"])} dUSD charged', False),
        (f'{len(it["payers"])} channels and transfers', False),
        ("vouchers of x402,", False),
        ("signed per call", False),
    ], "#8a5d00")
    svg += arrow(542, "answer")
    svg += box(580, "attribution", [(methods, True), *shares, (f'roots on chain: {it["roots"]}', False)], "#7342ca")
    svg += arrow(820, "claim")
    svg += box(858, "reward", [
        (f'{units(it["settled"])} dUSD settled', True),
        ("paid out by the splitter:" if released else "not paid out yet", False), *released,
        *([("from the pool:", False)] if paid else []), *paid,
    ], "#116b2c")
    svg.append(
        f'<text x="24" y="{HIGH - 24}" font-size="13" fill="#57606a">Every figure is a sum over the recorded facts; '
        "amounts in dUSD of a development chain, no real money.</text>")
    with open(picture, "w", encoding="utf-8") as file:
        file.write("\n".join(svg) + "\n</svg>\n")


main(*sys.argv[1:])
