"""A terminal for a program: runs it on a pty of its own and passes bytes through.

usage: terminal.py COLUMNSxLINES PROGRAM [ARGUMENT...]

Standard input takes lines of JSON: {"keys": "text"} types, {"size": [columns, lines]} resizes,
{"signal": number} sends a signal, {"usage": true} asks what the program has used. Standard output is
what the program wrote, byte for byte. Standard error gets one line of JSON per answer, and a last one
when the program has ended: its exit status, and whether the terminal's modes are as they were.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios


def resize(fd, columns, lines):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def usage(pid):
    """Seconds of processor time and resident bytes."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        memory = dict(line.split(":", 1) for line in file if line.startswith(("VmRSS", "VmHWM", "RssAnon")))
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    kilobytes = {name: int(value.split()[0]) for name, value in memory.items()}
    return {"seconds": seconds, **kilobytes}


def tell(**what):
    sys.stderr.write(json.dumps(what) + "\n")
    sys.stderr.flush()


def main():
    columns, lines = map(int, sys.argv[1].split("x"))
    master, slave = pty.openpty()
    resize(slave, columns, lines)
    before = termios.tcgetattr(slave)
    pid = os.fork()
    if pid == 0:
        os.close(master)
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)
        os.execvp(sys.argv[2], sys.argv[2:])
    asked = b""
    inputs = [master, sys.stdin.fileno()]
    while True:
        ready, _, _ = select.select(inputs, [], [], 0.05)
        if master in ready:
            out = os.read(master, 1 << 16)
            while out:
                out = out[os.write(sys.stdout.fileno(), out):]
        if sys.stdin.fileno() in ready:
            more = os.read(sys.stdin.fileno(), 1 << 16)
            if not more:
                inputs.remove(sys.stdin.fileno())
                os.kill(pid, signal.SIGHUP)
            asked += more
            *whole, asked = asked.split(b"\n")
            for line in filter(None, whole):
                wish = json.loads(line)
                if "keys" in wish:
                    os.write(master, wish["keys"].encode())
                if "size" in wish:
                    resize(slave, *wish["size"])
                    os.kill(pid, signal.SIGWINCH)
                if "signal" in wish:
                    os.kill(pid, wish["signal"])
                if "usage" in wish:
                    tell(**usage(pid))
        if not ready:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                break
    tell(status=os.waitstatus_to_exitcode(status), restored=termios.tcgetattr(slave) == before)


main()
