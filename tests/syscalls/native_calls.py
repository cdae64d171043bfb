"""The native side of `tests.syscalls.vfs_rig`: run as a program, it makes a script's system calls natively.

usage: native_calls.py DIRECTORY UID < pickled steps > pickled results
"""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import sys
from typing import Any, NamedTuple

BAD = 0x10
"""An address where nothing is mapped."""
PAGE = 4096

Step = tuple[Any, ...]


class Out(NamedTuple):
    """A buffer of zeros whose contents after the call are part of the result."""

    size: int


class In(NamedTuple):
    """A buffer."""

    data: bytes


class Words(NamedTuple):
    """A buffer that is read and written: its contents after the call are part of the result."""

    data: bytes


class Edge(NamedTuple):
    """A buffer at whose end mapped memory ends."""

    data: bytes


class Iov(NamedTuple):
    """An iovec array: buffer (or address) and length of each part."""

    parts: list[tuple[Any, int]]


def _edge(keep: list[Any], data: bytes) -> int:
    """The address of `data` right in front of a page that is not mapped."""
    pages = -(-len(data) // PAGE)
    libc = ctypes.CDLL(None, use_errno=True)
    area = mmap.mmap(-1, (pages + 1) * PAGE)
    keep.append(area)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc.mprotect(ctypes.c_void_p(start + pages * PAGE), PAGE, 0)
    at = start + pages * PAGE - len(data)
    ctypes.memmove(at, data, len(data))
    return at


def _argument(arg: Any, keep: list[Any], outs: list[Any]) -> int:
    if isinstance(arg, int):
        return arg
    if isinstance(arg, bytes):
        arg = ("in", arg + b"\0")
    kind, value = arg
    if kind == "edge":
        return _edge(keep, value)
    if kind == "iov":
        words = b""
        for part, length in value:
            address = _argument(part, keep, outs) & (1 << 64) - 1
            words += address.to_bytes(8, "little") + length.to_bytes(8, "little")
        value = words
    size = value if kind == "out" else max(len(value), 1)
    buffer: Any = (ctypes.c_char * size)()
    if kind != "out":
        ctypes.memmove(buffer, value, len(value))
    keep.append(buffer)
    if kind in ("out", "words"):
        outs.append(buffer)
    return ctypes.addressof(buffer)


def main() -> None:
    """Run a script and print its results."""
    steps = pickle.load(sys.stdin.buffer)
    numbers = steps.pop()[1]
    result = os.dup(1)
    os.dup2(result, 900)
    for fd in (0, 1, 2):
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    os.closerange(3, 900)
    os.chdir(sys.argv[1])
    uid = int(sys.argv[2])
    if uid >= 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    os.umask(0o022)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    found = []
    for name, *args in steps:
        keep: list[Any] = []
        outs: list[Any] = []
        placed = [ctypes.c_long(_argument(arg, keep, outs)) for arg in args]
        value = libc.syscall(ctypes.c_long(numbers[name]), *placed)
        found.append((-ctypes.get_errno() if value == -1 else value, [bytes(out.raw) for out in outs]))
    with os.fdopen(900, "wb") as out:
        pickle.dump(found, out)


if __name__ == "__main__":
    main()
