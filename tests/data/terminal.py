"""Runs a program at a terminal of its own and types answers when their prompts appear: secrets once
the terminal has stopped showing what is typed, lines at once.

usage: terminal.py [--secret PROMPT TEXT | --line PROMPT TEXT]... -- PROGRAM [ARGUMENT]...
Prints what the terminal showed and exits as the program did.
"""

import os
import pty
import sys
import termios
import time

arguments = sys.argv[1:]
answers = []
while arguments[0] in ("--secret", "--line"):
    secret = arguments[0] == "--secret"
    answers.append((arguments[1].encode(), arguments[2].encode(), secret))
    arguments = arguments[3:]
program = arguments[1:]

child, terminal = pty.fork()
if child == 0:
    os.execv(program[0], program)


def is_shown():
    """Whether the terminal echoes."""
    return termios.tcgetattr(terminal)[3] & termios.ECHO


shown = b""
read = 0
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        # Linux says so when the program has closed its side.
        break
    if not part:
        break
    shown += part
    if answers and answers[0][0] in shown[read:]:
        read = len(shown)
        # Nothing tells of the change but looking.
        until = time.monotonic() + 60
        while answers[0][2] and is_shown() and time.monotonic() < until:
            time.sleep(0.01)
        os.write(terminal, answers.pop(0)[1] + b"\n")
_, status = os.waitpid(child, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
