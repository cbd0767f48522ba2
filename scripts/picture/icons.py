"""Makes pictures for a contact sheet: those of the base, of an adapter of each contributor of the template
`icons`, and of one adapter of all three.

usage: icons.py OPENLORA FOLDER

FOLDER gets the projects, the pictures and `sheet.json`, which sheet.py draws. Adapters that it has are not
trained again.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

CAPTIONS = [
    "a red star on blue",
    "a yellow boat at night under the moon",
    "three green circles on white",
    "a purple heart on orange",
    "a white cross in the top left on black",
    "a blue square left of a yellow ring on pink",
]
# The words that name a contributor's style in its captions.
STYLES = {"Inkwell Press": "in ink", "Confetti Studio": "with dots", "Lantern Works": "with shadows"}
SEED = 7
# As the template has it for pictures of all three; fewer pictures are seen more often.
EPOCHS = 64


def main(openlora, folder):
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    run = lambda dir, *args: subprocess.run([openlora, *args], cwd=dir, check=True)

    def train(name, owners):
        """The adapter of some contributors' pictures, after equally many steps."""
        if (folder / f"{name}-adapter").exists():
            return folder / f"{name}-adapter"
        run(folder, "init", name, "--template", "icons")
        settings = folder / name / "openlora.toml"
        head, *parts = settings.read_text().split("[[data]]\n")
        data, rest = parts[-1].split("\n[train]", 1)
        kept = [part for part in [*parts[:-1], data + "\n"] if any(f'"{owner}"' in part for owner in owners)]
        settings.write_text(head + "".join("[[data]]\n" + part for part in kept) + "\n[train]" + rest)
        epochs = str(EPOCHS * len(STYLES) // len(owners))
        run(folder / name, "train", "--epochs", epochs, "--out", str(folder / f"{name}-adapter"))
        return folder / f"{name}-adapter"

    adapters = {owner.split()[0].lower(): train(owner.split()[0].lower(), [owner]) for owner in STYLES}
    adapters["mixed"] = train("mixed", list(STYLES))
    adapters["base"] = without_change(adapters["mixed"], folder / "base-adapter")
    rows = [("base", "no adapter", "base", None)]
    rows += [(owner, style, owner.split()[0].lower(), style) for owner, style in STYLES.items()]
    rows += [("all three", style, "mixed", style) for style in STYLES.values()]
    serve = [openlora, "serve", "--local", "--free", "--json", "--port", "0"]
    for name, path in adapters.items():
        serve += ["--adapter", f"{name}={path}"]
    server = subprocess.Popen(serve, cwd=folder / "mixed", stdout=subprocess.PIPE, text=True)
    try:
        url = json.loads(server.stdout.readline())["url"]
        sheet = {"captions": CAPTIONS, "rows": []}
        for number, (name, about, adapter, style) in enumerate(rows):
            pictures = []
            for at, caption in enumerate(CAPTIONS):
                pictures.append(f"{number}-{at}.png")
                caption = caption if style is None else f"{caption}, {style}"
                out = str(folder / pictures[-1])
                run(folder, "-q", "call", caption, "--adapter", adapter, "--url", url, "--seed", str(SEED), "-o", out)
            sheet["rows"].append({"name": name, "about": about, "pictures": pictures})
    finally:
        server.terminate()
        server.wait()
    (folder / "sheet.json").write_text(json.dumps(sheet))


def without_change(adapter, out):
    """An adapter of the same form that changes nothing that can be seen: its second factors are zero, but for one
    value, since an adapter of zeros is refused."""
    shutil.copytree(adapter, out, dirs_exist_ok=True)
    for weights in out.rglob("*.safetensors"):
        data = bytearray(weights.read_bytes())
        start = 8 + int.from_bytes(data[:8], "little")
        second = [tensor for name, tensor in json.loads(data[8:start]).items() if "lora_B" in name]
        for tensor in second:
            begin, end = (start + at for at in tensor["data_offsets"])
            data[begin:end] = bytes(end - begin)
        begin = start + second[0]["data_offsets"][0]
        data[begin : begin + 4] = struct.pack("<f", 1e-2)
        weights.write_bytes(data)
    return out


os.environ.pop("OPENLORA_HOME", None)
main(*sys.argv[1:])
