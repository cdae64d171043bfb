"""Calls of `syscalls.missing.keys`: see `tests.trace.recording`."""

from __future__ import annotations

from tests.trace.fakecall import P
from tests.trace.pieces import BAD, S

CALLS: list[tuple[object, ...]] = [
    ("add_key", "user", "desc", b"payload", 7, -3),
    ("add_key", BAD, 0, 0, 0, 5),
    ("add_key", "user", "desc", b"payload", 7, 0),
    ("request_key", "user", "desc", "info", -1),
    ("request_key", "user", "desc", 0, -9),
    *[("keyctl", i, 1, 2, 3, 4) for i in range(34)],
    ("keyctl", 1, "name"),
    ("keyctl", 2, 5, "payload", 7),
    ("keyctl", 10, 5, "user", "desc", -3),
    ("keyctl", 12, 5, "pay", 3, 6),
    ("keyctl", 20, 5, [P(b"abc"), 3], 1, 6),
    ("keyctl", 23, S("III", 1, 2, 3), 0, 5, 0),
    ("keyctl", 23, S("III", 1, 2, 3), BAD, 5, [P("sha256"), P(b"info"), S("I36x", 4)]),
    ("keyctl", 24, 1, 0, "enc=pkcs1", BAD),
    ("keyctl", 25, S("IIIIIII", 1, 2, 3, 0, 0, 0, 0), "x", b"abc", BAD),
    ("keyctl", 28, S("IIIIIII", 1, 2, 3, 0, 0, 0, 0), "x", b"abc", b"def"),
    ("keyctl", 29, 5, "asymmetric", "builtin"),
    ("keyctl", 5, 5, 1061109567),
    ("keyctl", 19, 5, 6, 11, 7),
    ("keyctl", 30, 1, 2, 3, 1),
    ("keyctl", 14, -1),
    ("keyctl", 14, 3),
    ("keyctl", 22, 5, -2),
    ("keyctl", 4, -3, 5, -1),
    ("keyctl", 31, BAD, 8),
    ("keyctl", 32, 1, 2, 3),
    ("add_key", "user", "d" * 100, b"payload", 3, 5),
    ("add_key", "user", "d", b"x" * 100, 100, -9),
    ("add_key", "user", "d", 0, 5, -1),
    ("keyctl", 31, b"\xff\xff\x01", 1),
    ("keyctl", 31, b"\xff\xff\x01", 3),
    ("keyctl", 6, 5, b"text", 3),
    ("keyctl", 23, S("III", 1, 2, 3), b"text", 3, 0),
]  # fmt: skip
