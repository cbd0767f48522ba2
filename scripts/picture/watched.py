"""Runs the demonstration with its dashboard on a terminal of its own, and closes it at the end.

The calls of a watched demonstration are spread over half a minute, so that a recording of it fills the
charts.

usage: watched.py OPENLORA HOME
"""

import fcntl
import os
import pty
import struct
import sys
import termios


def main(openlora, home):
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.setdefault("TERM", "xterm-256color")
        os.execv(openlora, [openlora, "demo", "--dash", "--home", home])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    seen, closed = b"", False
    while True:
        try:
            seen = (seen + os.read(terminal, 1 << 16))[-(1 << 20):]
        except OSError:
            break
        if not closed and "■ finished".encode() in seen:
            os.write(terminal, b"q")
            closed = True
    _, status = os.waitpid(pid, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


main(*sys.argv[1:])
