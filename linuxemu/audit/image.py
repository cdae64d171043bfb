"""An x86-64 ELF file as the audit sees it: where code is, where functions begin, what they are called."""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from io import BytesIO
from typing import Any, NamedTuple

from linuxemu.audit.tables import Function, frame_functions, go_functions, symbol_functions
from linuxemu.errors import LinuxEmuError

_EXECUTABLE = 4  # SHF_EXECINSTR
_ALLOCATED = 2  # SHF_ALLOC
_SEGMENT_EXECUTABLE = 1  # PF_X
_SEGMENT_WRITABLE = 2  # PF_W
_WRITABLE = 1  # SHF_WRITE
_WORD = 8
_HIGHEST = 1 << 63
_RELATIVE = 8  # R_X86_64_RELATIVE
# Data that the program does not change once it runs.
_FIXED = (".got", ".data.rel.ro")

# Tables that hold the address of every function, called or not.
_NOT_DATA = (".gopclntab", ".data.rel.ro.gopclntab", ".eh_frame", ".dynsym")


class AuditError(LinuxEmuError):
    """A file that cannot be audited; the text says why in one line."""


class NotAProgram(AuditError):
    """A file that no x86-64 Linux could run: whoever audits a directory passes over it."""


class Section(NamedTuple):
    """A range of addresses with what the file has for it."""

    name: str
    start: int
    data: bytes
    executable: bool
    writable: bool

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.start + len(self.data)


class Image:
    """One program: sections with code, sections with data, the functions that its tables name.

    Args:
        data: the whole file.
    """

    def __init__(self, data: bytes) -> None:
        parts = _parts(_open(data))
        self.code = [section for section in parts.sections if section.executable and section.data]
        self.data = [s for s in parts.sections if not s.executable and s.name not in _NOT_DATA]
        self.entry = parts.entry
        self.relocatable = parts.relocatable
        self.dynamic = parts.dynamic
        self.exported = parts.exported
        self.is_go = bool(parts.go)
        self.stripped = not parts.named and not parts.go
        self.functions = _merge(self.code, [*parts.named, *parts.go, *parts.exported, *parts.unwound])
        self._relocated = parts.relocated
        if not self.code:
            raise AuditError("holds no code")
        if not any(parts.tables or b"\x0f\x05" in section.data for section in self.code):
            raise AuditError("no code that can be read: packed or encrypted?")

    def section_at(self, address: int) -> Section | None:
        """The section whose code stands at `address`."""
        return next((part for part in self.code if part.start <= address < part.end), None)

    def pointers_to(self, address: int) -> list[int]:
        """Where data, or a relocation of data, holds this address."""
        found = [
            place
            for section in self.data
            for place in occurrences(section, address.to_bytes(_WORD, "little"))
            if place % _WORD == 0 and not section.name.startswith(".rela")
        ]
        return found + [place for place, target in self._relocated.items() if target == address]

    def word(self, address: int, size: int) -> tuple[int, bool] | None:
        """What the file has at an address, and whether the program could change it; None if it has nothing."""
        if size == _WORD and address in self._relocated:
            return self._relocated[address], False
        for section in self.data:
            if section.start <= address and address + size <= section.end:
                place = address - section.start
                return int.from_bytes(section.data[place : place + size], "little"), section.writable
        return None


def occurrences(section: Section, word: bytes) -> list[int]:
    """The addresses in a section where these bytes stand."""
    found = []
    position = section.data.find(word)
    while position >= 0:
        found.append(section.start + position)
        position = section.data.find(word, position + 1)
    return found


def _open(data: bytes) -> Any:
    """The file behind pyelftools, if it is a program of this architecture."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    if not data.startswith(b"\x7fELF"):
        raise NotAProgram("not an ELF file")
    try:
        elf = ELFFile(BytesIO(data))
        machine, kind = elf.header.e_machine, elf.header.e_type
    except (ELFError, struct.error, OSError):
        raise AuditError("damaged: its ELF header cannot be read") from None
    if machine != "EM_X86_64" or elf.elfclass != 64:
        raise NotAProgram(f"code for {machine} instead of EM_X86_64, of {elf.elfclass} bits")
    if kind not in ("ET_EXEC", "ET_DYN"):
        raise NotAProgram(f"an ELF file of type {kind} is no program")
    if b"UPX!" in data[:4096] and b"UPX!" in data[-4096:]:
        raise AuditError("packed with UPX: unpack it first (upx -d)")
    return elf


class _Parts(NamedTuple):
    """What is read from a file."""

    sections: list[Section]
    tables: bool
    """There is a table of sections; without it, segments stand for them and there is nothing else."""
    entry: int
    relocatable: bool
    dynamic: bool
    named: list[Function]
    exported: list[Function]
    go: list[Function]
    unwound: list[Function]
    relocated: dict[int, int]


def _parts(elf: Any) -> _Parts:
    from elftools.common.exceptions import ELFError

    broken = (ELFError, struct.error, zlib.error, ValueError, AttributeError, TypeError, OverflowError, KeyError)
    sections: list[Section] = []
    tables: dict[str, Section] = {}
    try:
        found = [_section(section) for section in elf.iter_sections()]
        tables = {section.name: section for section in found}
        sections = [section for section in found if section.start]
    except broken:
        pass  # Linux does not read them, so a program runs without
    try:
        whole = any(section.executable for section in sections)
        kinds = {segment.header.p_type for segment in elf.iter_segments()}
        if not whole:
            sections, tables = [_segment(segment) for segment in elf.iter_segments("PT_LOAD")], {}
        if any(section.end > _HIGHEST for section in sections):
            raise AuditError("damaged: addresses that no program can have")
        return _Parts(
            sections=sections,
            tables=whole,
            entry=elf.header.e_entry,
            relocatable=elf.header.e_type == "ET_DYN",
            dynamic="PT_INTERP" in kinds,
            named=_symbols(tables, ".symtab", ".strtab"),
            exported=_symbols(tables, ".dynsym", ".dynstr"),
            go=_go(tables),
            unwound=_frames(tables),
            relocated=_relocations(_data(tables, ".rela.dyn")),
        )
    except broken:
        raise AuditError("damaged: its tables cannot be read") from None


def _section(section: Any) -> Section:
    """A section; one that is not loaded has no address."""
    flags = section.header.sh_flags
    address = section.header.sh_addr if flags & _ALLOCATED else 0
    data = section.data() if section.header.sh_type != "SHT_NOBITS" else b""
    writable = bool(flags & _WRITABLE) and section.name not in _FIXED
    return Section(section.name, address, data, bool(flags & _EXECUTABLE and address), writable)


def _segment(segment: Any) -> Section:
    head = segment.header
    data = segment.data()
    if len(data) < head.p_filesz:
        raise AuditError("cut off: a segment ends behind the end of the file")
    executable, writable = (bool(head.p_flags & flag) for flag in (_SEGMENT_EXECUTABLE, _SEGMENT_WRITABLE))
    return Section("segment", head.p_vaddr, data, executable, writable)


def _data(tables: dict[str, Section], name: str) -> bytes:
    return tables[name].data if name in tables else b""


def _symbols(tables: dict[str, Section], symbols: str, strings: str) -> list[Function]:
    return symbol_functions(_data(tables, symbols), _data(tables, strings))


def _frames(tables: dict[str, Section]) -> list[Function]:
    frames = tables.get(".eh_frame")
    return frame_functions(frames.start, frames.data) if frames is not None else []


def _go(tables: dict[str, Section]) -> list[Function]:
    """The functions of a Go program, which knows its own names even when it is stripped."""
    table = _data(tables, ".gopclntab") or _data(tables, ".data.rel.ro.gopclntab")
    return go_functions(table, tables[".text"].start) if table and ".text" in tables else []


def _relocations(table: bytes) -> dict[int, int]:
    """The addresses that a position-independent program puts into its data when it starts, by where they go."""
    whole = len(table) // 24 * 24
    return {
        place: value & (1 << 64) - 1
        for place, kind, value in struct.iter_unpack("<QQq", table[:whole])
        if kind == _RELATIVE
    }


def _merge(code: list[Section], found: list[Function]) -> dict[int, Function]:
    """One function per address, in order: the first name given, the greatest size."""
    starts = sorted((part.start, part.end) for part in code)
    known: dict[int, Function] = {}
    for function in found:
        place = bisect_right(starts, (function.start, 1 << 64)) - 1
        if place < 0 or function.start >= starts[place][1]:
            continue
        other = known.get(function.start, function)
        known[function.start] = Function(
            function.start, max(function.size, other.size), other.name or function.name
        )
    return dict(sorted(known.items()))
