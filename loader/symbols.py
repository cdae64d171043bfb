"""Symbol tables of ELF files (man 5 elf), entry by entry; what is made of them is the reader's."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STT_NOTYPE = 0
"""What assembler sources define without saying more."""
STT_FUNC = 2
STT_GNU_IFUNC = 10

ENTRY_SIZE = 24
"""Bytes of one entry."""

_LONGEST = 1 << 16
"""Bytes of a name; longer ones are damage."""


def defined(table: bytes) -> Iterator[tuple[int, int, int, int]]:
    """What the file itself defines, in the order of the table; an entry that is cut off is left out.

    Args:
        table: the bytes of `.symtab` or `.dynsym`.

    Yields:
        Place of the name in the table of strings, type, value, size in bytes.
    """
    whole = len(table) // ENTRY_SIZE * ENTRY_SIZE
    for place, info, _, index, value, size in struct.iter_unpack("<IBBHQQ", table[:whole]):
        if index:
            yield place, info & 15, value, size


def name_at(strings: bytes, start: int) -> str:
    """The string at a place of a table, fit for a terminal."""
    end = strings.find(b"\0", start, start + _LONGEST)
    name = strings[start : end if end >= 0 else start + _LONGEST].decode("utf-8", "replace")
    return name if name.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in name)
