"""Calls of `syscalls.missing.pending`: see `tests.trace.recording`."""

from __future__ import annotations

from tests.trace.pieces import BAD

CALLS: list[tuple[object, ...]] = [
    ("memfd_create", "x", 3),
    ("memfd_create", BAD, 4 | 21 << 26 | 24),
    ("memfd_create", "a" * 300, 0),
    ("membarrier", 0, 0, 0),
    ("membarrier", 128, 1, 2),
    ("membarrier", 8, 0, 5),
    ("membarrier", 3, 7, 1),
    ("rseq", 4096, 32, 0, 1392848979),
    ("rseq", 4096, 32, 1, 1392848979),
    ("rseq", 0, 32, 3, 1),
    *[("memfd_create", "x", v) for v in (4227858432, 2147483652, 1 << 26)],
    ("membarrier", 1 << 20, 0, 3),
    ("membarrier", 8, 2, 3),
]  # fmt: skip
