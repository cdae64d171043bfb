"""Calls whose results must be those of the host's Linux; run as a program, this prints the host's, as JSON.

A call: name and arguments, which are numbers, bytes (a buffer with them), words for what differs by world.
"""

from __future__ import annotations

import struct

BAD = 8
SIGSET = 8
BLOCKED = struct.pack("<Q", 1 << 9 | 1 << 8 | 1 << 18)  # USR1, and KILL and STOP in vain
HANDLE = struct.pack("<4Q", 0, 0xFFFF_FFFF_FFFF_FFFF, 0, 0xFFFF_FFFF_FFFF_FFFF)
OUT = b"\xaa" * 32


def siginfo(code: int, tail: bytes = b"") -> bytes:
    """A siginfo a program might queue."""
    return (struct.pack("<iiiiiIQ", 1, 0, code, 0, 1, 0, 7).ljust(48, b"\0") + tail).ljust(128, b"\0")


CALLS: list[tuple[str, list[int | str | bytes]]] = [
    ("rt_sigaction", [12, HANDLE, 0, SIGSET]),
    ("rt_sigaction", [12, 0, OUT, SIGSET]),
    ("rt_sigaction", [9, 0, OUT, SIGSET]),
    ("rt_sigaction", [9, HANDLE, 0, SIGSET]),
    ("rt_sigaction", [19, HANDLE, 0, SIGSET]),
    ("rt_sigaction", [0, 0, 0, SIGSET]),
    ("rt_sigaction", [65, 0, 0, SIGSET]),
    ("rt_sigaction", [-1, 0, 0, SIGSET]),
    ("rt_sigaction", [64, 0, 0, SIGSET]),
    ("rt_sigaction", [12, BAD, 0, SIGSET]),
    ("rt_sigaction", [99, BAD, 0, SIGSET]),
    ("rt_sigaction", [12, 0, BAD, SIGSET]),
    ("rt_sigaction", [99, BAD, 0, 4]),
    ("rt_sigprocmask", [0, BLOCKED, OUT[:8], SIGSET]),
    ("rt_sigprocmask", [9, 0, OUT[:8], SIGSET]),
    ("rt_sigprocmask", [1, BLOCKED, OUT[:8], SIGSET]),
    ("rt_sigprocmask", [2, BLOCKED, OUT[:8], SIGSET]),
    ("rt_sigprocmask", [3, BLOCKED, OUT[:8], SIGSET]),
    ("rt_sigprocmask", [3, BAD, 0, SIGSET]),
    ("rt_sigprocmask", [0, 0, BAD, SIGSET]),
    ("rt_sigprocmask", [0, BLOCKED, 0, 16]),
    ("kill", ["pid", 10]),
    ("rt_sigpending", [OUT[:8], SIGSET]),
    ("rt_sigpending", [OUT[:8], 4]),
    ("rt_sigpending", [BAD, 8]),
    ("rt_sigpending", [OUT[:8], 9]),
    ("rt_sigtimedwait", [BLOCKED, 0, struct.pack("<qq", 0, 0), SIGSET]),
    ("rt_sigtimedwait", [BLOCKED, 0, struct.pack("<qq", 0, 0), SIGSET]),
    ("rt_sigtimedwait", [BLOCKED, 0, struct.pack("<qq", 0, 1_000_000_000), SIGSET]),
    ("rt_sigtimedwait", [BLOCKED, 0, struct.pack("<qq", -1, 0), SIGSET]),
    ("rt_sigtimedwait", [BLOCKED, 0, struct.pack("<qq", 0, 1), SIGSET]),
    ("rt_sigtimedwait", [BLOCKED, 0, BAD, SIGSET]),
    ("rt_sigtimedwait", [BAD, 0, 0, SIGSET]),
    ("rt_sigtimedwait", [BLOCKED, 0, 0, 4]),
    ("rt_sigqueueinfo", ["pid", 10, siginfo(-1)]),
    ("rt_sigtimedwait", [BLOCKED, OUT * 4, 0, SIGSET]),
    ("tgkill", ["pid", "tid", 10]),
    ("rt_sigtimedwait", [BLOCKED, BAD, 0, SIGSET]),
    ("rt_sigsuspend", [BLOCKED, 4]),
    ("rt_sigsuspend", [BAD, SIGSET]),
    ("kill", ["nobody", 100]),
    ("kill", ["pid", 100]),
    ("kill", ["pid", -1]),
    ("kill", ["pid", 0]),
    ("kill", [1, 0]),
    ("kill", [0, 0]),
    ("kill", [0, 65]),
    ("kill", [-0x8000_0000, 0]),
    ("kill", [-99999, 0]),
    ("kill", [-99999, 100]),
    ("kill", [-1, 65]),
    ("tkill", [0, 0]),
    ("tkill", [-1, 10]),
    ("tkill", ["nobody", 100]),
    ("tkill", ["tid", 0]),
    ("tkill", ["tid", 65]),
    ("tgkill", [0, "tid", 0]),
    ("tgkill", ["pid", 0, 0]),
    ("tgkill", ["nobody", "tid", 0]),
    ("tgkill", ["pid", "tid", 65]),
    ("tgkill", ["pid", 1, 0]),
    ("rt_sigqueueinfo", ["pid", 0, siginfo(-1)]),
    ("rt_sigqueueinfo", ["pid", 65, siginfo(-1)]),
    ("rt_sigqueueinfo", ["pid", 0, BAD]),
    ("rt_sigqueueinfo", ["nobody", 100, siginfo(-1)]),
    ("rt_sigqueueinfo", [1, 0, siginfo(0)]),
    ("rt_sigqueueinfo", [1, 0, siginfo(-6)]),
    ("rt_sigqueueinfo", [1, 0, siginfo(-1)]),
    ("rt_sigqueueinfo", ["pid", 0, siginfo(0)]),
    ("rt_sigqueueinfo", ["pid", 0, siginfo(128)]),
    ("rt_sigqueueinfo", ["pid", 0, siginfo(-7, b"x")]),
    ("rt_sigqueueinfo", ["pid", 0, siginfo(-8, b"x")]),
    ("rt_sigqueueinfo", ["pid", 0, siginfo(-8)]),
    ("rt_sigqueueinfo", ["pid", 0, siginfo(-60, b"x")]),
    ("rt_sigqueueinfo", ["pid", 10, siginfo(7, b"x")]),
    ("rt_sigqueueinfo", [1, 10, siginfo(7, b"x")]),
    ("rt_sigqueueinfo", ["pid", 65, siginfo(7, b"x")]),
    ("rt_tgsigqueueinfo", [0, 1, 10, siginfo(-1)]),
    ("rt_tgsigqueueinfo", ["pid", -1, 10, siginfo(-1)]),
    ("rt_tgsigqueueinfo", ["pid", -1, 10, BAD]),
    ("rt_tgsigqueueinfo", ["pid", "tid", 0, siginfo(-1)]),
    ("rt_tgsigqueueinfo", ["pid", "tid", 65, siginfo(-1)]),
    ("rt_tgsigqueueinfo", ["pid", 1, 0, siginfo(0)]),
    ("rt_tgsigqueueinfo", ["pid", 1, 0, siginfo(-1)]),
    ("sigaltstack", [0, OUT[:24]]),
    ("sigaltstack", [struct.pack("<QiiQ", 0x10_0000_0000, 4, 0, 8192), 0]),
    ("sigaltstack", [struct.pack("<QiiQ", 0x10_0000_0000, 0, 0, 2047), 0]),
    ("sigaltstack", [struct.pack("<QiiQ", 0x10_0000_0000, 1, 0, 65536), 0]),
    ("sigaltstack", [0, OUT[:24]]),
    ("sigaltstack", [struct.pack("<QiiQ", 0x10_0000_0000, -0x8000_0000, 0, 65536), 0]),
    ("sigaltstack", [0, OUT[:24]]),
    ("sigaltstack", [struct.pack("<QiiQ", 0x10_0000_0000, 2, 0, 1), OUT[:24]]),
    ("sigaltstack", [0, OUT[:24]]),
    ("sigaltstack", [BAD, 0]),
    ("sigaltstack", [0, BAD]),
    ("restart_syscall", []),
    ("wait4", [-1, 0, 0, 0]),
    ("wait4", [-1, 0, 1, 0]),
    ("wait4", [0, 0, 0, 0]),
    ("wait4", [1, 0, 0, 0]),
    ("wait4", [-99999, 0, 0, 0]),
    ("wait4", [-1, 0, 0x10, 0]),
    ("wait4", [-1, 0, 4, 0]),
    ("wait4", [-1, 0, 0x0100_0000, 0]),
    ("wait4", [-1, 0, 0xE000_000B, 0]),
    ("wait4", [-0x8000_0000, 0, 0, 0]),
    ("waitid", [0, 0, OUT, 4, 0]),
    ("waitid", [0, -5, OUT, 4, 0]),
    ("waitid", [0, 0, OUT, 5, 0]),
    ("waitid", [0, 0, 0, 4, 0]),
    ("waitid", [0, 0, BAD, 4, 0]),
    ("waitid", [0, 0, OUT, 0, 0]),
    ("waitid", [0, 0, OUT, 1, 0]),
    ("waitid", [0, 0, OUT, 0x14, 0]),
    ("waitid", [0, 0, OUT, 0xE100_000F, 0]),
    ("waitid", [1, 0, OUT, 4, 0]),
    ("waitid", [1, -1, OUT, 4, 0]),
    ("waitid", [1, 1, OUT, 4, 0]),
    ("waitid", [2, -1, OUT, 4, 0]),
    ("waitid", [2, 0, OUT, 4, 0]),
    ("waitid", [2, 99999, OUT, 4, 0]),
    ("waitid", [3, -1, OUT, 4, 0]),
    ("waitid", [3, 9999, OUT, 4, 0]),
    ("waitid", [4, 0, OUT, 4, 0]),
    ("waitid", [9, 0, OUT, 0x10, 0]),
]


def main() -> None:
    """Make the calls on the host."""
    import ctypes
    import json
    import os
    import sys
    import threading

    from syscalls.abi.numbers import X86_64

    # Threads of their own would take the signals that this one blocks.
    assert threading.active_count() == 1
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    world = {"pid": os.getpid(), "tid": threading.get_native_id(), "nobody": 99_999_999}
    results = []
    for name, args in CALLS:
        buffers = [ctypes.create_string_buffer(a, len(a)) for a in args if isinstance(a, bytes)]
        left = iter(buffers)
        values = [
            world[a] if isinstance(a, str) else a if isinstance(a, int) else ctypes.addressof(next(left))
            for a in args
        ]
        value = libc.syscall(*map(ctypes.c_long, (X86_64[name], *values)))
        results.append([-ctypes.get_errno() if value == -1 else value, [b.raw.hex() for b in buffers]])
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
