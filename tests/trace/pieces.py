"""What calls have in common: structures, and addresses that lead nowhere."""

from __future__ import annotations

import struct

from tests.trace.fakecall import P

BAD = 0x7000
"""Nothing is mapped there."""
M = -1


def S(layout: str, *values: object) -> bytes:
    """A structure without padding."""
    return struct.pack("<" + layout, *values)


SIN = S("HH4B8x", 2, 0x5000, 1, 2, 3, 4)
SIN6 = S("HHI16sI", 10, 0x5000, 5, bytes(range(16)), 3)
SUN = b"\1\0/tmp/x\0"
ABSTRACT = b"\1\0\0abc"
NETLINK = S("HHII", 16, 0, 7, 3)
PACKET = S("HHiHBB8s", 17, 0x8, 1, 1, 0, 6, b"\1\2\3\4\5\6\0\0")
VECTORS = [P(b"hello"), 5, P(b"world!"), 6]
TIME = S("qq", 1, 500)
LATE = S("qq", 1, 2_000_000_000)
ERROR = S("IBBBxII", 111, 2, 3, 1, 5, 6) + S("HHI8x", 2, 0, 0x0403_0201)
LONG = b"x" * 200


def control(level: int, kind: int, data: bytes) -> bytes:
    """A control message."""
    return (S("Qii", 16 + len(data), level, kind) + data).ljust(16 + len(data) + 7 & ~7, b"\0")


def message(
    name: bytes | None = None,
    vectors: list[object] | None = None,
    count: int = 0,
    controls: bytes | None = None,
    flags: int = 0,
) -> list[object]:
    """A struct msghdr."""
    parts: list[object] = [P(name), S("I4x", len(name))] if name is not None else [0, 0]
    parts += [P(vectors) if vectors is not None else 0, count]
    parts += [P(controls), len(controls)] if controls is not None else [0, 0]
    return [*parts, S("I4x", flags)]
