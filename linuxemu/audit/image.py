"""An x86-64 ELF file as the audit sees it: where code is, where functions begin, what they are called."""

from __future__ import annotations

import struct
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
        elf = _open(data)
        sections, self.has_sections = _sections(elf, data)
        self.code = [section for section in sections if section.executable and section.data]
        self.data = [s for s in sections if not s.executable and s.name not in _NOT_DATA]
        self._relocated = _relocations(_contents(elf, ".rela.dyn"))
        self.entry: int = elf.header.e_entry
        self.relocatable = elf.header.e_type == "ET_DYN"
        self.dynamic = any(segment.header.p_type == "PT_INTERP" for segment in elf.iter_segments())
        named = symbol_functions(_contents(elf, ".symtab"), _contents(elf, ".strtab"))
        self.exported = symbol_functions(_contents(elf, ".dynsym"), _contents(elf, ".dynstr"))
        go = _go(elf)
        self.is_go = bool(go)
        self.stripped = not named and not go
        frames = elf.get_section_by_name(".eh_frame")
        unwound = frame_functions(frames.header.sh_addr, frames.data()) if frames is not None else []
        self.functions = _merge(self.code, [*named, *go, *self.exported, *unwound])
        if not self.code or not (self.has_sections or any(b"\x0f\x05" in part.data for part in self.code)):
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


def _sections(elf: Any, data: bytes) -> tuple[list[Section], bool]:
    """The sections that are loaded; the segments, and False, where there are none."""
    from elftools.common.exceptions import ELFError

    found: list[Section] = []
    try:
        for section in elf.iter_sections():
            flags = section.header.sh_flags
            if flags & _ALLOCATED and section.header.sh_type != "SHT_NOBITS":
                writable = bool(flags & _WRITABLE) and section.name not in _FIXED
                executable = bool(flags & _EXECUTABLE)
                found.append(
                    Section(section.name, section.header.sh_addr, section.data(), executable, writable)
                )
        if any(section.executable for section in found):
            return found, True
        found = []
        for segment in elf.iter_segments("PT_LOAD"):
            head = segment.header
            if head.p_offset + head.p_filesz > len(data):
                raise AuditError("cut off: a segment ends behind the end of the file")
            executable = bool(head.p_flags & _SEGMENT_EXECUTABLE)
            writable = bool(head.p_flags & _SEGMENT_WRITABLE)
            found.append(Section("segment", head.p_vaddr, segment.data(), executable, writable))
    except (ELFError, struct.error, ValueError, AttributeError, TypeError, UnicodeError, OverflowError):
        raise AuditError("damaged: its tables of sections cannot be read") from None
    return found, False


def _contents(elf: Any, name: str) -> bytes:
    section = elf.get_section_by_name(name)
    return bytes(section.data()) if section is not None else b""


def _relocations(table: bytes) -> dict[int, int]:
    """The addresses that a position-independent program puts into its data when it starts, by where they go."""
    whole = len(table) // 24 * 24
    return {
        place: value & (1 << 64) - 1
        for place, kind, value in struct.iter_unpack("<QQq", table[:whole])
        if kind == _RELATIVE
    }


def _go(elf: Any) -> list[Function]:
    """The functions of a Go program, which knows its own names even when it is stripped."""
    table = _contents(elf, ".gopclntab") or _contents(elf, ".data.rel.ro.gopclntab")
    text = elf.get_section_by_name(".text")
    return go_functions(table, text.header.sh_addr) if table and text is not None else []


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
