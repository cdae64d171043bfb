"""Lines of source by address: `.debug_line`, versions 2 to 5 (DWARF 5, 6.2).

A program has one line program for each source file that was compiled. None is run before an address is asked for that
may be one of its own: where they begin shows in their bytes.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from loader.leb128 import signed, unsigned
from loader.symbols import name_at

if TYPE_CHECKING:
    from collections.abc import Iterator

_SET_ADDRESS = re.compile(rb"\0\x09\x02(.{8})", re.DOTALL)
_MOST_STARTS = 1 << 20
_LARGEST_UNIT = 1 << 21
"""Bytes of a line program that is run: about two seconds."""
_TRIES = 4
"""Of the programs that begin before an address, so many are looked at; functions of one may lie among another's."""
_DAMAGE = (IndexError, ValueError, KeyError, struct.error, ZeroDivisionError)

# Content types and forms of version 5's tables of directories and files.
_PATH, _DIRECTORY = 1, 2
_STRING, _LINE_STRING, _STRING_AT, _BLOCK, _UDATA = 0x08, 0x1F, 0x0E, 0x09, 0x0F
_FIXED_FORMS = {
    0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, 0x1E: 16, 0x25: 1, 0x26: 2, 0x27: 3, 0x28: 4,
}  # fmt: skip


class Line(NamedTuple):
    """A place in the source."""

    file: str
    """As the compiler was told: relative to where it ran, or absolute."""
    number: int


class Lines:
    """The lines of a file.

    Args:
        programs: `.debug_line`.
        line_strings: `.debug_line_str`.
        strings: `.debug_str`.
    """

    def __init__(self, programs: bytes, line_strings: bytes = b"", strings: bytes = b"") -> None:
        self._data = programs
        self._strings = {_LINE_STRING: line_strings, _STRING_AT: strings}
        self._units: dict[int, _Unit | None] = {}

    def find(self, address: int) -> Line | None:
        """The line that the instruction at an address was compiled from.

        Args:
            address: as the file counts, before the load bias.
        """
        starts, places = self._starts
        end = bisect_right(starts, address)
        tried: set[int] = set()
        for number in range(end - 1, max(end - 1 - 4 * _TRIES, -1), -1):
            place = places[number]
            if place in tried:
                continue
            if len(tried) == _TRIES:
                break
            tried.add(place)
            unit = self._unit(place)
            found = unit.find(address) if unit is not None else None
            if found is not None:
                return found
        return None

    @cached_property
    def _starts(self) -> tuple[list[int], list[int]]:
        """Addresses where sequences of lines may begin, in order, with the places of their programs."""
        found = sorted(islice(self._sequences(), _MOST_STARTS))
        return [start for start, _ in found], [place for _, place in found]

    def _sequences(self) -> Iterator[tuple[int, int]]:
        position = 0
        while position + 4 <= len(self._data):
            (length,) = struct.unpack_from("<I", self._data, position)
            begin = position + 4
            if length == 0xFFFFFFFF and begin + 8 <= len(self._data):
                (length,) = struct.unpack_from("<Q", self._data, begin)
                begin += 8
            if length <= _LARGEST_UNIT:
                for match in _SET_ADDRESS.finditer(self._data, begin, min(begin + length, len(self._data))):
                    start = int.from_bytes(match[1], "little")
                    if start:  # a function that the linker left out begins at 0
                        yield start, position
            position = begin + length

    def _unit(self, place: int) -> _Unit | None:
        if place not in self._units:
            try:
                self._units[place] = _Unit(self._data, place, self._strings)
            except _DAMAGE:
                self._units[place] = None
        return self._units[place]


class _Unit:
    """One line program, run: the rows of its sequences.

    Raises:
        IndexError, ValueError, KeyError, struct.error, ZeroDivisionError: it is damaged.
    """

    def __init__(self, data: bytes, place: int, strings: dict[int, bytes]) -> None:
        header = _Header(data, place, strings)
        self._files = header.files
        self._sequences = sorted(_sequences(header))
        self._starts = [addresses[0] for addresses, _ in self._sequences]

    def find(self, address: int) -> Line | None:
        number = bisect_right(self._starts, address) - 1
        if number < 0:
            return None
        addresses, lines = self._sequences[number]
        row = bisect_right(addresses, address) - 1
        if row == len(lines):
            return None  # behind the end of the sequence
        file, line = lines[row]
        name = self._files.get(file, "")
        return Line(name, line) if name and line > 0 else None


class _Header:
    """What a line program says of itself before its instructions."""

    def __init__(self, data: bytes, place: int, strings: dict[int, bytes]) -> None:
        length, self._width = struct.unpack_from("<I", data, place)[0], 4
        at = place + 4
        if length == 0xFFFFFFFF:
            length, self._width = struct.unpack_from("<Q", data, at)[0], 8
            at += 8
        self._data = data[: at + length]
        self._strings = strings
        (version,) = struct.unpack_from("<H", data, at)
        at += 4 if version == 5 else 2  # sizes of addresses and of segment selectors
        header_length, at = self._offset(at)
        begin = at + header_length
        self.unit, *rest = data[at], *data[at + 1 : at + 6]
        if version >= 4:
            del rest[0]  # operations in one instruction: x86 has one
        _, self.base, self.range, self.opcodes = rest[:4]
        self.base -= self.base >> 7 << 8
        at += 6 if version >= 4 else 5
        self.lengths = data[at : at + self.opcodes - 1]
        at += len(self.lengths)
        self.files: dict[int, str] = {}
        """Names by number."""
        if version == 5:
            self._tables(at)
        elif 2 <= version < 5:
            self._old_tables(at)
        else:
            raise ValueError("an unknown version")
        self.program = self._data[begin:]

    def _offset(self, at: int) -> tuple[int, int]:
        return int.from_bytes(self._data[at : at + self._width], "little"), at + self._width

    def _old_tables(self, at: int) -> None:
        directories = [""]
        while self._data[at]:
            name, at = self._string(at)
            directories.append(name)
        at += 1
        while self._data[at]:
            name, at = self._string(at)
            directory, at = unsigned(self._data, at)
            _, at = unsigned(self._data, at)
            _, at = unsigned(self._data, at)
            self._add(len(self.files) + 1, name, directories, directory)

    def _tables(self, at: int) -> None:
        directories, at = self._entries(at)
        # The first is where the compiler ran, which says nothing where the program runs.
        names = ["", *(name for name, _ in directories[1:])]
        files, at = self._entries(at)
        for number, (name, directory) in enumerate(files):
            self._add(number, name, names, directory)

    def _add(self, number: int, name: str, directories: list[str], directory: int) -> None:
        parent = directories[directory] if directory < len(directories) else ""
        self.files[number] = f"{parent}/{name}" if parent and not name.startswith("/") else name

    def _entries(self, at: int) -> tuple[list[tuple[str, int]], int]:
        """A table of version 5, as names and numbers of directories."""
        count, at = self._data[at], at + 1
        columns = []
        for _ in range(count):
            content, at = unsigned(self._data, at)
            form, at = unsigned(self._data, at)
            columns.append((content, form))
        rows, at = unsigned(self._data, at)
        found = []
        for _ in range(rows if columns else 0):
            name, directory = "", 0
            for content, form in columns:
                text, number, at = self._value(form, at)
                if content == _PATH:
                    name = text
                elif content == _DIRECTORY:
                    directory = number
            found.append((name, directory))
            if at >= len(self._data):
                raise ValueError("a table that does not end")
        return found, at

    def _value(self, form: int, at: int) -> tuple[str, int, int]:
        """One value as text and as number, and the place behind it."""
        if form == _STRING:
            text, at = self._string(at)
            return text, 0, at
        if form in self._strings:
            place, at = self._offset(at)
            return name_at(self._strings[form], place), 0, at
        if form == _UDATA:
            number, at = unsigned(self._data, at)
            return "", number, at
        if form == _BLOCK:
            length, at = unsigned(self._data, at)
            return "", 0, at + length
        width = _FIXED_FORMS[form]
        return "", int.from_bytes(self._data[at : at + width], "little"), at + width

    def _string(self, at: int) -> tuple[str, int]:
        return name_at(self._data, at), self._data.index(0, at) + 1


_Rows = tuple[list[int], list[tuple[int, int]]]
"""Addresses, with that of the end as the last; number of the file and of the line for each but the last."""


def _sequences(header: _Header) -> Iterator[_Rows]:
    """Runs a line program."""
    machine = _Machine(header)
    code, at = header.program, 0
    while at < len(code):
        opcode = code[at]
        at += 1
        if opcode >= header.opcodes:
            adjusted = opcode - header.opcodes
            machine.address += adjusted // header.range * header.unit
            machine.line += header.base + adjusted % header.range
            machine.row()
        elif opcode == 0:
            length, at = unsigned(code, at)
            if code[at] == _END and (rows := machine.end()):
                yield rows
            machine.extended(code[at : at + length])
            at += length
        else:
            at = machine.standard(opcode, code, at)


_END, _ADDRESS, _DEFINE_FILE = 1, 2, 3  # extended
_COPY, _ADVANCE, _LINE, _FILE, _ADVANCE_CONSTANT, _ADVANCE_FIXED = 1, 2, 3, 4, 8, 9


class _Machine:
    """The registers of a line program that matter here."""

    def __init__(self, header: _Header) -> None:
        self._header = header
        self._reset()

    def _reset(self) -> None:
        self.address, self.file, self.line = 0, 1, 1
        self._addresses: list[int] = []
        self._lines: list[tuple[int, int]] = []

    def row(self) -> None:
        """A row is complete. Of several for one address the last says the line, and addresses never sink."""
        if self._addresses and self.address <= self._addresses[-1]:
            self._lines[-1] = self.file, self.line
        else:
            self._addresses.append(self.address)
            self._lines.append((self.file, self.line))

    def end(self) -> _Rows | None:
        """The sequence is complete; None if it is empty."""
        rows = [*self._addresses, max(self.address, *self._addresses)] if self._addresses else None
        found = (rows, self._lines) if rows else None
        self._reset()
        return found

    def extended(self, code: bytes) -> None:
        if code[:1] == bytes([_ADDRESS]):
            self.address = int.from_bytes(code[1:9], "little")

    def standard(self, opcode: int, code: bytes, at: int) -> int:
        """One standard opcode; returns the place behind it."""
        header = self._header
        if opcode == _COPY:
            self.row()
        elif opcode == _ADVANCE:
            number, at = unsigned(code, at)
            self.address += number * header.unit
        elif opcode == _LINE:
            number, at = signed(code, at)
            self.line += number
        elif opcode == _FILE:
            self.file, at = unsigned(code, at)
        elif opcode == _ADVANCE_CONSTANT:
            self.address += (255 - header.opcodes) // header.range * header.unit
        elif opcode == _ADVANCE_FIXED:
            self.address += int.from_bytes(code[at : at + 2], "little")
            at += 2
        else:
            for _ in range(header.lengths[opcode - 1]):
                _, at = unsigned(code, at)
        return at
