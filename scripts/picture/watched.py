"""Runs the demonstration with its dashboard on a terminal of its own, and closes it at the end.

The calls of a watched demonstration are spread over half a minute, so that a recording of it fills the
charts.

usage: watched.py OPENLORA HOME
"""

import sys

from screen import Terminal

ENDS = ("finished after ", "the demonstration failed")


def main(openlora, home):
    command = [openlora, "demo", "--dash", "--home", home]
    terminal = Terminal(command, {"TERM": "xterm-256color"}, (120, 40))
    closed = False
    while terminal.read(0.5):
        if not closed and any(end in terminal.text() for end in ENDS):
            terminal.press("q")
            closed = True
    if status := terminal.status():
        sys.exit(f"{terminal.text().rstrip()}\n{openlora} demo --dash: exit code {status}")


main(*sys.argv[1:])
