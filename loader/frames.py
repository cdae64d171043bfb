"""Call frame information, `.eh_frame` and `.debug_frame`: which functions there are and the programs that say
how to leave them (DWARF 5, 6.4; Linux Standard Base 5.0, 10.6).

Every entry can be read alone. Damaged ones are none.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from loader.leb128 import signed, unsigned

if TYPE_CHECKING:
    from collections.abc import Iterator

OMITTED = 0xFF
"""DW_EH_PE_omit: there is no such pointer."""
_BASE = 0xF0
_RELATIVE = 0x10  # DW_EH_PE_pcrel; the only base that entries of user programs have
# A start and a size by how DW_EH_PE writes the pointers: a size has the start's width and no sign.
_PAIRS = {
    0: struct.Struct("<QQ"), 2: struct.Struct("<HH"), 3: struct.Struct("<II"), 4: struct.Struct("<QQ"),
    10: struct.Struct("<hH"), 11: struct.Struct("<iI"), 12: struct.Struct("<qQ"),
}  # fmt: skip
_WIDTHS = {kind: pair.size // 2 for kind, pair in _PAIRS.items()}
_MASK = (1 << 64) - 1
_DAMAGE = (IndexError, ValueError, OverflowError, struct.error)


class Common(NamedTuple):
    """A common information entry: what many functions share."""

    code_alignment: int
    data_alignment: int
    return_register: int
    """The column of the return address."""
    pair: struct.Struct
    """How an entry writes its start and its size."""
    relative: bool
    """A start counts from where it is written."""
    signal: bool
    """Of a signal's return: the caller goes on where it was interrupted, not behind a call."""
    augmented: bool
    """Entries have data of other unwinders before their instructions."""
    instructions: bytes


class Entry(NamedTuple):
    """A frame description entry: one function, or a part of one."""

    start: int
    size: int
    common: Common
    instructions: bytes


class CallFrames:
    """One section of call frame information.

    Args:
        data: its bytes; more may follow them.
        address: where they are in the program.
        debug: it is `.debug_frame`, which writes its references in another way.
    """

    def __init__(self, data: bytes, address: int, *, debug: bool = False) -> None:
        self._data = data
        self._address = address
        self._debug = debug
        self._commons: dict[int, Common | None] = {}

    def entry(self, position: int) -> Entry | None:
        """The function described at a place of the section, if one is."""
        try:
            at, end, common_at = self._record(position) if position >= 0 else (0, 0, None)
            common = None if common_at is None else self._common(common_at)
            if common is None or at + common.pair.size > end:
                return None
            start, size = self._range(at, common)
            at += common.pair.size
            if common.augmented:
                length, at = unsigned(self._data, at)
                at += length
            return Entry(start, size, common, self._data[at:end])
        except _DAMAGE:
            return None

    def ranges(self) -> Iterator[tuple[int, int, int, bool]]:
        """Everything described, in the order of the section.

        Yields:
            Start, size in bytes, place of the entry, whether it is a signal's return.
        """
        position = 0
        while position + 4 <= len(self._data):
            try:
                at, end, common_at = self._record(position)
            except ValueError:
                return
            except _DAMAGE:
                position += 4  # a terminator, or too short for anything
                continue
            common = None if common_at is None else self._common(common_at)
            if common is not None and at + common.pair.size <= end:
                yield *self._range(at, common), position, common.signal
            position = end

    def _record(self, position: int) -> tuple[int, int, int | None]:
        """Where a record's own data begins and ends, and where its common entry is; None if it is one itself.

        Raises:
            ValueError: it does not end within the section.
        """
        (length,) = struct.unpack_from("<I", self._data, position)
        at, width = position + 4, 4
        if length == 0xFFFFFFFF:
            (length,) = struct.unpack_from("<Q", self._data, at)
            at, width = at + 8, 8 if self._debug else 4
        end = at + length
        if end > len(self._data):
            raise ValueError("cut off")
        if length < width:
            raise IndexError("no record")
        reference = int.from_bytes(self._data[at : at + width], "little")
        if self._debug:
            common_at = None if reference == (1 << 8 * width) - 1 else reference
        else:
            common_at = at - reference if reference else None
        return at + width, end, common_at

    def _common(self, position: int) -> Common | None:
        if position not in self._commons:
            self._commons[position] = self._read_common(position)
        return self._commons[position]

    def _read_common(self, position: int) -> Common | None:
        try:
            if position < 0:
                return None
            at, end, other = self._record(position)
            return None if other is not None else _common(self._data[at:end], self._debug)
        except _DAMAGE:
            return None

    def _range(self, at: int, common: Common) -> tuple[int, int]:
        start, size = common.pair.unpack_from(self._data, at)
        if common.relative:
            start += self._address + at
        return start & _MASK, size


def _common(data: bytes, debug: bool) -> Common | None:
    version = data[0]
    letters = data[1 : data.index(0, 1)]
    at = len(letters) + 2
    if debug and version >= 4:
        if data[at] != 8 or data[at + 1]:
            return None  # other addresses than those of x86-64
        at += 2
    code_alignment, at = unsigned(data, at)
    data_alignment, at = signed(data, at)
    return_register, at = (data[at], at + 1) if version == 1 else unsigned(data, at)
    encoding = 0
    if letters.startswith(b"z"):
        length, at = unsigned(data, at)
        encoding = _encoding(letters, data[at : at + length])
        at += length
    elif letters:
        return None
    pair = _PAIRS.get(encoding & 15)
    if pair is None or encoding & _BASE not in (0, _RELATIVE):
        return None
    return Common(
        code_alignment=code_alignment,
        data_alignment=data_alignment,
        return_register=return_register,
        pair=pair,
        relative=encoding & _BASE == _RELATIVE,
        signal=b"S" in letters,
        augmented=bool(letters),
        instructions=data[at:],
    )


def _encoding(letters: bytes, data: bytes) -> int:
    """How the pointers of entries are written; `OMITTED` if that cannot be known."""
    at = encoding = 0
    for letter in letters.decode("latin-1")[1:]:
        if letter == "R":
            encoding, at = data[at], at + 1
        elif letter == "P":  # the function that handles exceptions
            at += 1 + _WIDTHS.get(data[at] & 15, 8)
        elif letter == "L":
            at += 1
        elif letter not in "SB":
            return OMITTED
    return encoding
