"""What is left of an ELF file once it is parsed, and the few bytes in which it is kept for the next run."""

from __future__ import annotations

from struct import Struct, error
from typing import NamedTuple

ET_EXEC = 2
ET_DYN = 3

PROT_READ = 1
PROT_WRITE = 2
PROT_EXEC = 4

PAGE_SIZE = 4096

_HEAD = Struct("<4sBHHHHQQQQQQI")
_SEGMENT = Struct("<QQQQI")
# Changes with every change of the layout below or of the meaning of a field.
_MAGIC = b"LEi1"


class Segment(NamedTuple):
    """A PT_LOAD program header, as the file states it: nothing of it is checked yet."""

    vaddr: int
    offset: int
    filesz: int
    memsz: int
    prot: int
    """PROT_READ, PROT_WRITE and PROT_EXEC bits (man 2 mmap)."""


class Image(NamedTuple):
    """An ELF file that execve accepted; `loader.plan` turns it into mappings."""

    kind: int
    """e_type: ET_EXEC is linked for fixed addresses, ET_DYN runs anywhere; an interpreter's is unchecked."""
    entry: int
    segments: tuple[Segment, ...]
    phdr_vaddr: int
    """Where the program headers lie in memory, before the load bias; 0 when no segment holds them."""
    phent: int
    phnum: int
    interp: bytes | None
    """Path of the program interpreter, without its NUL."""
    stack_exec: bool
    """PT_GNU_STACK asks for an executable stack."""
    min_vaddr: int
    """Lowest segment address, rounded down to a page."""
    max_vaddr: int
    """End of the highest segment: the heap starts on the next page."""
    alignment: int
    """Largest power-of-two p_align of the segments, a page at least."""
    extent: int
    """All that was read of the file lies below this offset: equal bytes up to there give an equal Image."""

    def to_bytes(self) -> bytes:
        """The bytes that `from_bytes` reads."""
        interp = b"" if self.interp is None else self.interp + b"\0"
        head = _HEAD.pack(
            _MAGIC,
            self.stack_exec,
            len(interp),
            self.kind,
            self.phent,
            self.phnum,
            self.entry,
            self.phdr_vaddr,
            self.min_vaddr,
            self.max_vaddr,
            self.alignment,
            self.extent,
            len(self.segments),
        )
        return head + b"".join(_SEGMENT.pack(*segment) for segment in self.segments) + interp

    @classmethod
    def from_bytes(cls, data: bytes) -> Image | None:
        """The Image that `to_bytes` wrote, or None for anything else, such as another version's bytes."""
        try:
            head = _HEAD.unpack_from(data)
            magic, stack, path, kind, phent, phnum, entry, phdr, low, high, align, extent, count = head
            end = _HEAD.size + count * _SEGMENT.size
            segments = tuple(map(Segment._make, _SEGMENT.iter_unpack(data[_HEAD.size : end])))
        except error:
            return None
        if magic != _MAGIC or len(data) != end + path:
            return None
        interp = data[end:-1] if path else None
        return cls(kind, entry, segments, phdr, phent, phnum, interp, bool(stack), low, high, align, extent)
