"""A terminal of the host as the guest's standard input, with somebody who types on it, and may hang up."""

from __future__ import annotations

import os
import select
import threading
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPED = (
    b"line\n", b"half a line", b"\x04", b"\x03", b"\x1c", b"\x1a", b"\x15", b"\x16\x03", b"\x13", b"\x11", b"\x7f" * 9,
    b"\xff\xfe\n", b"\xc3\xa9\n", b"\0\n", b"\r", b"\n" * 50, b"x" * 4200 + b"\n",
)  # fmt: skip
"""Lines, the characters that edit, stop, continue and signal, and more than a line can hold."""
_EVERY_S = 0.005
_READ_SIZE = 1 << 16


@contextmanager
def terminal(seed: int) -> Iterator[None]:
    """Let descriptor 0 of this process be a terminal in the block.

    Args:
        seed: what is typed follows from it, and whether the line goes down.
    """
    master, slave = os.openpty()
    os.set_blocking(master, False)
    before = os.dup(0)
    os.dup2(slave, 0)
    os.close(slave)
    over = threading.Event()
    typist = threading.Thread(target=_type, args=(master, Random(seed), over))
    typist.start()
    try:
        yield
    finally:
        over.set()
        typist.join()
        os.dup2(before, 0)
        os.close(before)


def _type(master: int, random: Random, over: threading.Event) -> None:
    """Type until it is over, or the line goes down; read what appears on the screen."""
    left = random.randrange(100) if random.random() < 0.3 else -1
    try:
        while not over.is_set() and left:
            left -= 1
            _show(master)
            try:
                os.write(master, random.choice(_TYPED))
            except BlockingIOError:
                pass  # nobody reads
    finally:
        os.close(master)


def _show(master: int) -> None:
    if select.select([master], [], [], _EVERY_S)[0]:
        try:
            os.read(master, _READ_SIZE)
        except OSError:
            pass  # nobody has the other end just now
