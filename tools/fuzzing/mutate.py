"""Damage to bytes: what goes wrong on disks and what somebody would write who means harm."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from tools.fuzzing.target import Case

_NUMBERS = (
    0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0xFFF, 0x1000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 47,
    (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 4096,
)  # fmt: skip
_MOST = 6


def mutated(random: Random, data: bytes, others: list[bytes], focus: int = 0) -> bytes:
    """A damaged copy.

    Args:
        random: decides everything.
        data: what is damaged.
        others: where parts may come from.
        focus: half of the damage is done to the first so many bytes, if there are so many.
    """
    changed = bytearray(data)
    for _ in range(random.randint(1, _MOST)):
        if not changed:
            break
        limit = min(focus or len(changed), len(changed)) if random.random() < 0.5 else len(changed)
        random.choice(_WAYS)(random, changed, random.randrange(limit), others)
    return bytes(changed)


def _flip(random: Random, data: bytearray, at: int, others: list[bytes]) -> None:
    data[at] ^= 1 << random.randrange(8)


def _byte(random: Random, data: bytearray, at: int, others: list[bytes]) -> None:
    data[at] = random.randrange(256)


def _number(random: Random, data: bytearray, at: int, others: list[bytes]) -> None:
    width = random.choice((1, 2, 4, 8))
    at = at // width * width
    value = random.choice(_NUMBERS) + random.choice((0, 0, -1, 1))
    data[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")[: len(data) - at]


def _near(random: Random, data: bytearray, at: int, others: list[bytes]) -> None:
    width = random.choice((2, 4, 8))
    at = at // width * width
    old = int.from_bytes(data[at : at + width], "little")
    new = old + random.choice((-1, 1, 8, -8, 4096, -4096)) & (1 << 8 * width) - 1
    data[at : at + width] = new.to_bytes(width, "little")[: len(data) - at]


def _cut(random: Random, data: bytearray, at: int, others: list[bytes]) -> None:
    del data[at : at + random.choice((1, 4, 64, 512, len(data)))]


def _repeat(random: Random, data: bytearray, at: int, others: list[bytes]) -> None:
    part = data[at : at + random.choice((1, 8, 64, 512))]
    data[at:at] = part * random.randint(1, 4)


def _splice(random: Random, data: bytearray, at: int, others: list[bytes]) -> None:
    other = random.choice(others)
    start = random.randrange(len(other) or 1)
    part = other[start : start + random.choice((8, 64, 512))]
    data[at : at + len(part)] = part


def _fill(random: Random, data: bytearray, at: int, others: list[bytes]) -> None:
    count = min(random.choice((2, 8, 64, 512)), len(data) - at)
    data[at : at + count] = bytes((random.choice((0, 0xFF, 0x41)),)) * count


_WAYS: tuple[Callable[[Random, bytearray, int, list[bytes]], None], ...] = (
    _flip, _byte, _number, _number, _near, _cut, _repeat, _splice, _fill,
)  # fmt: skip


def encoded(data: bytes) -> str:
    """Bytes as a case has them."""
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    """The bytes again."""
    return base64.b64decode(text)


def shorter(case: Case, key: str = "data") -> Iterator[Case]:
    """The case with less and less of its bytes left out, and with parts of them zero."""
    data = decoded(case[key])
    part = len(data) // 2
    while part >= max(len(data) // 64, 1):
        for at in range(0, len(data), part):
            yield {**case, key: encoded(data[:at] + data[at + part :])}
            if any(data[at : at + part]):
                yield {**case, key: encoded(data[:at] + bytes(len(data[at : at + part])) + data[at + part :])}
        part //= 2
