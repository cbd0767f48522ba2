"""Captures the dashboard while it plays a recording: still pictures in both themes, and an animation.

usage: screens.py OPENLORA RECORDING FOLDER FONTS

The cells of the terminal are drawn as SVG, PNG and GIF.
"""

import json
import pathlib
import sys
import tempfile
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, ImageFont

from screen import Terminal

SHAPE = (140, 42)
SIZE = 15
WIDTH, HEIGHT = 9, 18
PLAIN = {"dark": ("0d1117", "d6dde6"), "light": ("ffffff", "1f2328")}


def cells(screen, theme):
    """Letter, colour, background and weight of every cell."""
    back, fore = PLAIN[theme]
    for y in range(screen.lines):
        for x in range(screen.columns):
            cell = screen.buffer[y][x]
            fg = fore if cell.fg == "default" else cell.fg
            bg = back if cell.bg == "default" else cell.bg
            if cell.reverse:
                fg, bg = bg, fg
            yield x, y, cell.data, fg, bg, cell.bold


def svg(terminal, theme):
    wide, high = terminal.screen.columns * WIDTH, terminal.screen.lines * HEIGHT
    back = PLAIN[theme][0]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{SIZE}">',
        f'<rect width="{wide}" height="{high}" fill="#{back}"/>',
    ]
    runs = []
    for x, y, letter, fg, bg, bold in cells(terminal.screen, theme):
        style = (y, fg, bg, bold)
        if runs and runs[-1][0] == style and runs[-1][1] + len(runs[-1][2]) == x:
            runs[-1][2].append(letter or " ")
        else:
            runs.append((style, x, [letter or " "]))
    for (y, fg, bg, bold), x, letters in runs:
        text, wide = "".join(letters), len(letters) * WIDTH
        if bg != back:
            parts.append(f'<rect x="{x * WIDTH}" y="{y * HEIGHT}" width="{wide}" height="{HEIGHT}" fill="#{bg}"/>')
        if text.strip():
            weight = ' font-weight="bold"' if bold else ""
            parts.append(
                f'<text x="{x * WIDTH}" y="{y * HEIGHT + 14}" fill="#{fg}"{weight} textLength="{wide}" '
                f'xml:space="preserve">{escape(text)}</text>')
    return "\n".join(parts) + "\n</svg>\n"


def picture(terminal, theme, fonts):
    plain, bold = fonts
    image = Image.new("RGB", (terminal.screen.columns * WIDTH, terminal.screen.lines * HEIGHT), "#" + PLAIN[theme][0])
    draw = ImageDraw.Draw(image)
    for x, y, letter, fg, bg, heavy in cells(terminal.screen, theme):
        place = (x * WIDTH, y * HEIGHT)
        if bg != PLAIN[theme][0]:
            draw.rectangle((*place, place[0] + WIDTH - 1, place[1] + HEIGHT - 1), fill="#" + bg)
        if letter.strip():
            draw.text(place, letter, fill="#" + fg, font=bold if heavy else plain)
    return image


def busiest(recording):
    """How long after its beginning, as played, most payments within four seconds begin, and the last
    one comes."""
    played, before, calls = 0.0, None, []
    with open(recording, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            now = record["time_ms"] / 1000
            played += min(2.0, now - before) if before is not None else 0
            before = now
            if record["event"]["type"] in ("call_metered", "attributed"):
                calls.append(played)
    busy = max(calls, key=lambda start: sum(start <= it < start + 4 for it in calls), default=0)
    return busy, max(calls, default=0)


def main(openlora, recording, folder, ttf):
    folder = pathlib.Path(folder)
    fonts = [ImageFont.truetype(f"{ttf}/DejaVuSansMono{weight}.ttf", SIZE) for weight in ("", "-Bold")]
    environment = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "OPENLORA_HOME": tempfile.mkdtemp(), "LANG": "C.UTF-8"}
    environment = {**environment, "NO_COLOR": ""}
    start, last = busiest(recording)
    for theme in ("dark", "light"):
        terminal = Terminal([openlora, "dash", "--replay", recording, "--theme", theme], environment, SHAPE)
        terminal.read(0.5)
        # Charts over the last minute.
        terminal.press("www")
        terminal.read(last - 0.3)
        (folder / f"dashboard-{theme}.svg").write_text(svg(terminal, theme), encoding="utf-8")
        picture(terminal, theme, fonts).save(folder / f"dashboard-{theme}.png", optimize=True)
        terminal.quit()
    animate(openlora, recording, (folder / "flow.gif", start, fonts, environment))


def animate(openlora, recording, wish):
    """The flow pane alone, while payments pass."""
    path, start, fonts, environment = wish
    command = [openlora, "dash", "--replay", recording, "--theme", "dark"]
    terminal = Terminal(command, environment, (110, 16))
    terminal.read(0.5)
    terminal.press("5e")
    terminal.read(max(0.0, start - 0.5))
    frames = []
    for _ in range(80):
        terminal.read(0.1)
        frames.append(picture(terminal, "dark", fonts).quantize(32))
    terminal.quit()
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0, optimize=True)
    size = path.stat().st_size
    if size > 3 << 20:
        sys.exit(f"{path} is too large: {size} bytes")


main(*sys.argv[1:])
