"""Names of code: the symbol tables of an ELF file, searched by address."""

from __future__ import annotations

import struct
from bisect import bisect_right
from itertools import islice
from typing import TYPE_CHECKING

from linuxemu.trace.elf import DT_HASH, DT_STRSZ, DT_STRTAB, DT_SYMTAB, SHT_DYNSYM, SHT_SYMTAB
from loader.symbols import ENTRY_SIZE, STT_FUNC, defined, name_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linuxemu.trace.elf import Elf

_MOST = 1 << 22
"""Symbols of one file that are looked at."""
_MOST_TABLES = 8


class Symbols:
    """The functions of a file.

    A name is chosen as strace 6.1 does, which asks libunwind: the function that begins last before the address,
    whatever its size, and of several that begin there the one whose symbol comes first, those of `.dynsym` before
    those of `.symtab` where the file has them in this order. A stripped library therefore calls its inner functions
    by the exported one before them.
    """

    def __init__(self, elf: Elf) -> None:
        self._farthest = len(elf)
        first: dict[int, tuple[bytes, int]] = {}
        for kind, value, strings, place in islice(_symbols(elf), _MOST):
            if kind == STT_FUNC:
                first.setdefault(value, (strings, place))
        self._starts = sorted(first)
        self._names = first

    def find(self, address: int) -> tuple[str, int] | None:
        """The name of the function at an address and where it begins.

        Args:
            address: as the file counts, before the load bias.
        """
        number = bisect_right(self._starts, address) - 1
        if number < 0:
            return None
        start = self._starts[number]
        name = name_at(*self._names[start])
        return (name, start) if name and address - start < self._farthest else None


def _symbols(elf: Elf) -> Iterator[tuple[int, int, bytes, int]]:
    """Type and value of each symbol, and where its name is in a table of strings."""
    for table, strings in islice(_tables(elf), _MOST_TABLES):
        for place, kind, value, _ in defined(table):
            yield kind, value, strings, place


def _tables(elf: Elf) -> Iterator[tuple[bytes, bytes]]:
    """Each table of symbols with its strings."""
    found = False
    for section in elf.sections:
        if section.kind in (SHT_SYMTAB, SHT_DYNSYM) and section.link < len(elf.sections):
            found = True
            yield elf.bytes_of(section), elf.bytes_of(elf.sections[section.link])
    if not found:
        yield _dynamic_table(elf)


def _dynamic_table(elf: Elf) -> tuple[bytes, bytes]:
    """What the dynamic linker uses: the only table of a file without sections."""
    tags = elf.dynamic()
    if not {DT_SYMTAB, DT_STRTAB, DT_STRSZ} <= tags.keys():
        return b"", b""
    symbols, strings = elf.loaded(tags[DT_SYMTAB]), elf.loaded(tags[DT_STRTAB])[: tags[DT_STRSZ]]
    hashes = elf.loaded(tags[DT_HASH]) if DT_HASH in tags else b""
    if len(hashes) >= 8:
        size = struct.unpack_from("<I", hashes, 4)[0] * ENTRY_SIZE
    else:  # nothing says how long it is; linkers put the strings right behind it
        size = max(tags[DT_STRTAB] - tags[DT_SYMTAB], 0)
    return symbols[:size], strings
