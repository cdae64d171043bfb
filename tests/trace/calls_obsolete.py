"""Calls of `syscalls.missing.obsolete`: see `tests.trace.recording`."""

from __future__ import annotations

from tests.trace.fakecall import P
from tests.trace.pieces import BAD, S

CALLS: list[tuple[object, ...]] = [
    ("set_thread_area", S("IIII", 1, 20480, 1048575, 81)),
    ("set_thread_area", 0),
    ("get_thread_area", S("IIII", 1, 20480, 1048575, 81)),
    ("get_thread_area", BAD),
    ("uselib", "/lib/x"),
    ("ustat", 2049, BAD),
    ("sysfs", 1, "ext4"),
    ("sysfs", 2, 1, BAD),
    ("sysfs", 3),
    ("sysfs", 9, 1, 2),
    ("_sysctl", BAD),
    ("_sysctl", [P(S("ii", 1, 2)), S("i4x", 2), 0, 0, 0, 0]),
    ("create_module", "x", 100),
    ("get_kernel_syms", BAD),
    ("query_module", BAD, 1, BAD, 5, BAD),
    ("query_module", "x", 0, 0, 0, 0),
    ("query_module", 0, 5, 0, 0, 0),
    ("nfsservctl", 1, 2, 3),
    ("getpmsg", 1, 2, 3, 4, 5),
    ("putpmsg", 1, 2, 3, 4, 5),
    ("afs_syscall", 1, 2, 3),
    ("tuxcall", 1, 2, 3),
    ("security", 1, 2, 3),
    ("vserver", 1, 2, 3, 4, 5),
    ("epoll_ctl_old", 1, 2, 3, 4),
    ("epoll_wait_old", 1, 2, 3, 4),
    ("set_thread_area", S("iIII", -1, 0, 0, 40)),
]  # fmt: skip
