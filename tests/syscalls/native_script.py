"""The native side of `tests.syscalls.callrig`: makes the system calls of a script through libc.

usage: native_script.py UID < pickled (numbers, steps) > pickled results; a UID of -1 keeps the caller's.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import sys
from typing import Any


def _argument(arg: Any, keep: list[Any], outs: list[Any]) -> int:
    """A number as it is, or the address of a buffer: (data, whether it is part of the result)."""
    if isinstance(arg, int):
        return arg
    data, shown = arg
    buffer = (ctypes.c_char * max(len(data), 1)).from_buffer_copy(data or b"\0")
    keep.append(buffer)
    if shown:
        outs.append(buffer)
    return ctypes.addressof(buffer)


def main() -> None:
    """Run a script and print its results."""
    numbers, steps = pickle.load(sys.stdin.buffer)
    uid = int(sys.argv[1])
    if uid >= 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    found = []
    for name, *args in steps:
        keep: list[Any] = []
        outs: list[Any] = []
        placed = [ctypes.c_long(_argument(arg, keep, outs)) for arg in args]
        value = libc.syscall(ctypes.c_long(numbers[name]), *placed)
        found.append((-ctypes.get_errno() if value == -1 else value, [bytes(out.raw) for out in outs]))
    sys.stdout.buffer.write(pickle.dumps(found))


if __name__ == "__main__":
    main()
