"""Shell sessions at a terminal: the same keys give the same screen natively and in linuxemu."""

from __future__ import annotations

import os
import re
import select
import struct
import subprocess
import sys
import time

import pytest

from tests.helpers import busybox, host_runs_programs

PROMPT = b"ready> "
PATIENCE_S = 30.0
QUIET_S = 0.35

SESSIONS = {
    "terminal": [
        (b"tty >/dev/null && echo a terminal; stty size\n", PROMPT),
        (b"stty -echo; read y; stty echo; echo got $y\n", b"$y\r\n"),
        (b"secret\n", PROMPT),
        (b'read -n 1 x; echo " <$x>"\n', b"\r\n"),
        (b"q", PROMPT),
    ],
    "interrupt": [
        (b"sleep 50\n", b"\n"),
        (b"\x03", PROMPT),
        (b"echo $?\n", PROMPT),
        (b"trap 'echo trapped' INT; sleep 1\n", b"\n"),
        (b"\x03", PROMPT),
    ],
    "jobs": [
        (b"sleep 50\n", b"\n"),
        (b"\x1a", PROMPT),
        (b"jobs\n", PROMPT),
        (b"fg\n", b"sleep 50\r\n"),
        (b"\x03", PROMPT),
        (b"cat &\n", PROMPT),
        (b"usleep 200000; jobs\n", PROMPT),
        (b"kill %1; wait %1; echo $?\n", PROMPT),
        (b"sleep 50 | cat\n", b"\n"),
        (b"\x1a", PROMPT),
        (b"kill %1; wait; echo $?\n", PROMPT),
    ],
    "end of file": [
        (b"cat\n", b"\n"),
        (b"one\n", b"one\r\none\r\n"),
        (b"\x04", PROMPT),
        (b"echo $?\n", PROMPT),
    ],
}
"""Keys, and what they bring to the screen; the next ones are typed a moment after that."""


# The child makes the terminal its controlling one before it becomes the program.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " os.execvp(sys.argv[1], sys.argv[1:])"
)


def _screen(argv: list[str], keys: list[tuple[bytes, bytes]]) -> bytes:
    """Type the keys into a program at a fresh terminal; what it showed."""
    import fcntl
    import termios

    fd, terminal = os.openpty()
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    env = {**os.environ, "PS1": PROMPT.decode(), "ENV": "", "HISTFILE": "", "TERM": "dumb"}
    command = [sys.executable, "-c", _TAKE_TERMINAL, *argv]
    child = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=env)
    os.close(terminal)
    shown = b""
    try:
        shown += _read(fd, PROMPT)
        for key, answer in keys:
            os.write(fd, key)
            shown += _read(fd, answer)
    finally:
        os.close(fd)
        child.wait()
    return shown


def _read(fd: int, answer: bytes) -> bytes:
    """Read until the answer was seen and the screen has been quiet for a moment."""
    shown = b""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        quiet = QUIET_S if answer in shown else PATIENCE_S
        if not select.select([fd], [], [], quiet)[0]:
            break
        shown += os.read(fd, 4096)
    return shown


def _normal(shown: bytes) -> bytes:
    """Without what differs between any two runs: process numbers, the greeting, cursor questions."""
    shown = shown[shown.index(PROMPT) :]
    return re.sub(rb"\b\d{3,}\b|(?<=\] )\d+(?= )", b"N", shown.replace(b"\x1b[6n", b""))


@pytest.mark.slow
@pytest.mark.native
@pytest.mark.skipif(not host_runs_programs(), reason="compares with Linux")
@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_looks_as_on_linux(name: str) -> None:
    native = busybox()
    if native is None:
        pytest.skip("no busybox")
    linuxemu = [sys.executable, "-m", "linuxemu", "run", "--env", f"PS1={PROMPT.decode()}", "sh"]
    keys = SESSIONS[name]
    expected = _normal(_screen([native, "sh"], keys))
    assert _normal(_screen(linuxemu, keys)) == expected
