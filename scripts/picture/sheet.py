"""Draws a contact sheet: a row for each model, a column for each caption.

usage: sheet.py SHEET PICTURE FONTS

SHEET is a JSON file; the pictures that it names are beside it:

    {"captions": ["a red star on blue", …],
     "rows": [{"name": "base", "about": "no adapter", "pictures": ["base/0.png", …]}, …]}

Each row has a picture for each caption. Pixels are shown as squares, without smoothing.
"""

import json
import pathlib
import sys
import textwrap

from PIL import Image, ImageDraw, ImageFont

SIDE = 128
GAP = 12
LABEL = 190
HEAD = 76
BACK, FORE, MUTED = "#ffffff", "#1f2328", "#59636e"


def read(path):
    sheet = json.loads(path.read_text(encoding="utf-8"))
    captions, rows = sheet["captions"], sheet["rows"]
    for row in rows:
        if len(row["pictures"]) != len(captions):
            raise SystemExit(f"{path}: row {row['name']} has {len(row['pictures'])} pictures, expected {len(captions)}")
    return captions, rows


def draw(path, fonts):
    captions, rows = read(path)
    step = SIDE + GAP
    wide = LABEL + len(captions) * step + GAP
    high = HEAD + len(rows) * step + GAP
    sheet = Image.new("RGB", (wide, high), BACK)
    pen = ImageDraw.Draw(sheet)
    small = ImageFont.truetype(str(fonts / "DejaVuSans.ttf"), 12)
    bold = ImageFont.truetype(str(fonts / "DejaVuSans-Bold.ttf"), 14)
    for at, caption in enumerate(captions):
        lines = textwrap.wrap(caption, 18)[:4]
        pen.multiline_text((LABEL + at * step, HEAD - 8), "\n".join(lines), FORE, small, anchor="ld", spacing=3)
    for number, row in enumerate(rows):
        top = HEAD + number * step
        pen.text((GAP, top + SIDE // 2 - 9), row["name"], FORE, bold, anchor="lm")
        pen.text((GAP, top + SIDE // 2 + 11), row.get("about", ""), MUTED, small, anchor="lm")
        for at, name in enumerate(row["pictures"]):
            picture = Image.open(path.parent / name).convert("RGB")
            shown = picture.resize((SIDE, SIDE), Image.Resampling.NEAREST)
            sheet.paste(shown, (LABEL + at * step, top))
    return sheet


def main():
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    sheet, picture, fonts = (pathlib.Path(argument) for argument in sys.argv[1:])
    draw(sheet, fonts).save(picture, optimize=True)


if __name__ == "__main__":
    main()
