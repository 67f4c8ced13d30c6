"""A person at a terminal: types what the steps say and waits for what they expect to see.

Usage: person.py STEPS PROGRAM ARGUMENT...; the steps are JSON, a list of pairs:
  ["see", TEXT]   waits until this is shown, after what was seen before
  ["type", TEXT]  types it
  ["modes", KIND] waits until the terminal is one of a line editor ("prompt"), gives single keys that nobody sees
                  ("unseen"), or is as it was ("usual")
  ["size", [R,C]] makes the terminal so high and wide
Prints all that was shown; fails with what was shown if something does not come in time.
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
import time

PATIENCE = 60

steps, program = json.loads(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(program[0], program)

shown, seen = b"", 0


def fail(why):
    os.kill(child, signal.SIGKILL)
    sys.exit(f"{why}; shown: {shown.decode(errors='replace')!r}")


def read(until):
    """Reads what is shown next; None at the end."""
    global shown
    ready, _, _ = select.select([terminal], [], [], max(0, until - time.monotonic()))
    if not ready:
        fail("too late")
    try:
        more = os.read(terminal, 65536)
    except OSError:
        more = b""
    shown += more
    return more or None


for kind, value in steps:
    until = time.monotonic() + PATIENCE
    if kind == "see":
        text = value.encode()
        while shown.find(text, seen) < 0:
            if read(until) is None:
                fail(f"the end in place of {value!r}")
        seen = shown.find(text, seen) + len(text)
    elif kind == "type":
        os.write(terminal, value.encode())
    elif kind == "modes":
        flags = termios.ICANON | termios.ECHO | termios.ISIG
        wanted = {"prompt": 0, "unseen": termios.ISIG, "usual": flags}[value]
        while termios.tcgetattr(terminal)[3] & flags != wanted:
            if time.monotonic() > until:
                fail(f"no {value}")
            time.sleep(0.02)
    elif kind == "size":
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *value, 0, 0))
    else:
        fail(f"{kind!r} is no step")

until = time.monotonic() + PATIENCE
while read(until) is not None:
    pass
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.stdout.buffer.write(shown)
sys.exit(0 if status in (0, 1, 3) else f"it ended with {status}")
