"""A program on a pty of its own, with pyte as its terminal."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import pyte


class Terminal:
    def __init__(self, command, environment, size):
        columns, lines = size
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, {**os.environ, **environment})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def read(self, seconds):
        """Feeds what the program writes within so many seconds; false when it has ended."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.stream.feed(os.read(self.fd, 1 << 16))
                except OSError:
                    return False
        return True

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def text(self):
        return "\n".join(self.screen.display)

    def quit(self):
        self.press("q")
        while self.read(1):
            pass
        return self.status()

    def status(self):
        """The exit code of a program that has ended."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)
