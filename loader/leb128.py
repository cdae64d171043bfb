"""Numbers of variable length, which DWARF and the unwind tables of ELF files are full of (DWARF 5, 7.6)."""

from __future__ import annotations

_LONGEST = 70
"""Bits. A number has 64; a longer one is damage, and would cost time that grows with its square."""


def unsigned(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number and the place behind it.

    Args:
        data: what holds it.
        at: where it begins, an index of `data`.

    Raises:
        IndexError: `data` ends within it.
        ValueError: it has more than 64 bits.
    """
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift >= _LONGEST:
            raise ValueError("a number of more than 64 bits")


def signed(data: bytes, at: int) -> tuple[int, int]:
    """The same for a signed number."""
    value, end = unsigned(data, at)
    bits = 7 * (end - at)
    return value - (value >> bits - 1 << bits), end
