"""The parts of an ELF file that a trace of the stack reads: segments, sections, dynamic table (man 5 elf).

Nothing here fails. A guest runs with a damaged table of sections as well, and then there are none.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PT_LOAD, PT_DYNAMIC, PT_GNU_EH_FRAME = 1, 2, 0x6474E550
SHT_SYMTAB, SHT_NOBITS, SHT_DYNSYM = 2, 8, 11
DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ = 4, 5, 6, 10

_HEADER_SIZE = 64
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_COMPRESSION = struct.Struct("<IIQQ")
_EXECUTABLE = 1  # PF_X
_COMPRESSED = 0x800  # SHF_COMPRESSED
_ZLIB, _ZSTANDARD = 1, 2  # ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD
_EXTENDED = 0xFFFF  # SHN_XINDEX
_PAGE = 4096
_LONGEST_NAME = 32
"""Of the sections that are looked for."""
_MOST_SEGMENTS = 65536 // _SEGMENT.size
"""As many as execve takes."""
_MOST_SECTIONS = 1 << 16
_LARGEST = 1 << 28
"""Bytes that a compressed section may become: a guest's file can say anything."""


class Segment(NamedTuple):
    """A program header."""

    kind: int
    executable: bool
    offset: int
    address: int
    size: int
    """In the file, in bytes."""


class Section(NamedTuple):
    """A section header."""

    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    """Number of the section with the strings, for a table of symbols."""


class Elf:
    """A file of the guest, an ELF file or not.

    Args:
        data: the whole file.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.segments: list[Segment] = []
        self.sections: list[Section] = []
        if data.startswith(b"\x7fELF") and len(data) >= _HEADER_SIZE:
            self.segments = list(_segments(data))
            self.sections = _named(data, list(_sections(data)))

    def __len__(self) -> int:
        return len(self._data)

    def address_of(self, offset: int) -> int | None:
        """The address that the program's tables give to the code at a place of the file."""
        for segment in self.segments:
            # A page is mapped whole, also in front of where the segment begins and behind its end.
            begin, end = segment.offset & -_PAGE, segment.offset + segment.size + _PAGE - 1 & -_PAGE
            if segment.kind == PT_LOAD and segment.executable and begin <= offset < end:
                return segment.address + offset - segment.offset
        return None

    def section(self, name: str) -> tuple[int, bytes]:
        """Address and bytes of a section, decompressed; empty if there is no such section."""
        for section in self.sections:
            if section.name == name:
                return section.address, self.bytes_of(section)
            if section.name == f".z{name[1:]}":
                return section.address, _old_compressed(self.bytes_of(section))
        return 0, b""

    def bytes_of(self, section: Section) -> bytes:
        """The bytes of a section, decompressed."""
        if section.kind == SHT_NOBITS:
            return b""
        data = self._data[section.offset : section.offset + section.size]
        if not section.flags & _COMPRESSED:
            return data
        if len(data) < _COMPRESSION.size:
            return b""
        kind, _, size, _ = _COMPRESSION.unpack_from(data)
        return decompressed(kind, data[_COMPRESSION.size :], size)

    def loaded(self, address: int) -> bytes:
        """What the file has from an address to the end of its segment."""
        for segment in self.segments:
            if segment.kind == PT_LOAD and 0 <= address - segment.address < segment.size:
                begin = segment.offset + address - segment.address
                return self._data[begin : segment.offset + segment.size]
        return b""

    def dynamic(self) -> dict[int, int]:
        """The dynamic table by tag; of a tag that comes twice, the first value."""
        found: dict[int, int] = {}
        for segment in self.segments:
            if segment.kind == PT_DYNAMIC:
                data = self._data[segment.offset : segment.offset + segment.size]
                for tag, value in struct.iter_unpack("<QQ", data[: len(data) // 16 * 16]):
                    if tag == 0:
                        break
                    found.setdefault(tag, value)
        return found


def decompressed(kind: int, data: bytes, size: int) -> bytes:
    """A section's bytes; empty if they are damaged, too many or compressed in an unknown way.

    Args:
        kind: ELFCOMPRESS_ZLIB or ELFCOMPRESS_ZSTD.
        data: behind the header.
        size: what it becomes, in bytes.
    """
    if not 0 < size <= _LARGEST:
        return b""
    if kind == _ZLIB:
        try:
            return zlib.decompressobj().decompress(data, size)
        except zlib.error:
            return b""
    return _zstandard(data, size) if kind == _ZSTANDARD else b""


def _zstandard(data: bytes, size: int) -> bytes:
    import zstandard

    try:
        with zstandard.ZstdDecompressor(max_window_size=_LARGEST).stream_reader(data) as reader:
            return reader.read(size)
    except zstandard.ZstdError:
        return b""


def _old_compressed(data: bytes) -> bytes:
    """A `.zdebug` section, as binutils wrote them before there was SHF_COMPRESSED."""
    if not data.startswith(b"ZLIB"):
        return b""
    return decompressed(_ZLIB, data[12:], int.from_bytes(data[4:12], "big"))


def _segments(data: bytes) -> Iterator[Segment]:
    (offset,) = struct.unpack_from("<Q", data, 32)
    width, count = struct.unpack_from("<HH", data, 54)
    if width == _SEGMENT.size:
        count = min(count, _MOST_SEGMENTS)
        for at in range(offset, min(offset + count * width, len(data) - width + 1), width):
            kind, flags, place, address, _, size, _, _ = _SEGMENT.unpack_from(data, at)
            yield Segment(kind, bool(flags & _EXECUTABLE), place, address, size)


def _sections(data: bytes) -> Iterator[tuple[int, Section]]:
    """The sections with the places of their names."""
    (offset,) = struct.unpack_from("<Q", data, 40)
    width, count = struct.unpack_from("<HH", data, 58)
    if not offset or width != _SECTION.size or offset + width > len(data):
        return
    count = count or _SECTION.unpack_from(data, offset)[5]  # more than fit are said by the first one's size
    count = min(count, _MOST_SECTIONS)
    for at in range(offset, min(offset + count * width, len(data) - width + 1), width):
        place, kind, flags, address, begin, size, link, *_ = _SECTION.unpack_from(data, at)
        yield place, Section("", kind, flags, address, begin, size, link)


def _named(data: bytes, found: list[tuple[int, Section]]) -> list[Section]:
    (index,) = struct.unpack_from("<H", data, 62)
    if index == _EXTENDED and found:
        index = found[0][1].link
    if index >= len(found):
        return [section for _, section in found]
    strings = found[index][1]
    table = data[strings.offset : strings.offset + strings.size]
    return [section._replace(name=_word(table, place)) for place, section in found]


def _word(table: bytes, place: int) -> str:
    return table[place : place + _LONGEST_NAME].partition(b"\0")[0].decode("latin-1")
