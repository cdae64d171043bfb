"""Virtual memory areas: what a range of an address space is (man 2 mmap)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import (
    PTE_ACCESSED,
    PTE_DIRTY,
    PTE_NX,
    PTE_PRESENT,
    PTE_SHARED,
    PTE_USER,
    PTE_WRITABLE,
)
from syscalls.abi.flags import MAP_DENYWRITE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE

if TYPE_CHECKING:
    from syscalls.vfs.pagecache import PageCache
    from syscalls.vfs.regular import RegularFile

PROT_BITS = PROT_READ | PROT_WRITE | PROT_EXEC


class Vma:
    """One area [start, end) with the same protection and backing.

    Args:
        start: first address, page aligned.
        end: one past the last.
        prot: PROT_* bits.
        flags: MAP_* bits that matter later (MAP_SHARED, MAP_GROWSDOWN, MAP_NORESERVE, MAP_STACK, MAP_LOCKED), and
            MAP_DENYWRITE for shared memory that was attached for reading.
        file: backing file, which the area keeps open; None for anonymous memory.
        offset: file offset of `start`, bytes.
        pages: cached pages of the file, or the pages of shared anonymous memory.
        name: shown in /proc/PID/maps for special areas ("[heap]", "[stack]").
    """

    __slots__ = ("end", "file", "flags", "name", "offset", "pages", "prot", "start")

    def __init__(
        self,
        start: int,
        end: int,
        prot: int,
        flags: int,
        file: RegularFile | None = None,
        offset: int = 0,
        pages: PageCache | None = None,
        name: bytes = b"",
    ) -> None:
        self.start = start
        self.end = end
        self.prot = prot
        self.flags = flags
        self.file = file
        self.offset = offset
        self.pages = pages
        self.name = name

    @property
    def shared(self) -> bool:
        """Stores reach the backing object and every other mapping of it."""
        return bool(self.flags & MAP_SHARED)

    @property
    def may_write(self) -> bool:
        """Whether mprotect(2) may make it writable: not what is shared with something opened for reading only."""
        if not self.shared:
            return True
        return not self.flags & MAP_DENYWRITE and (self.file is None or self.file.writable)

    def copy(self, start: int, end: int) -> Vma:
        """The part [start, end) of this area as one of its own; the file counts one more user."""
        file = self.file
        if file is not None:
            file.get()
        offset = self.offset + (start - self.start) if self.pages is not None else 0
        return Vma(start, end, self.prot, self.flags, file, offset, self.pages, self.name)

    def allows(self, write: bool, fetch: bool) -> bool:
        """Whether the protection lets the CPU make this access; on x86 whatever may be written may be read."""
        if write:
            return bool(self.prot & PROT_WRITE)
        if fetch:
            return bool(self.prot & PROT_EXEC)
        return bool(self.prot & PROT_BITS)

    def entry_bits(self, writable: bool) -> int:
        """Page-table bits of a resident page.

        Args:
            writable: stores need not fault (any more).
        """
        if not self.prot & PROT_BITS:
            return PTE_USER | PTE_NX
        bits = PTE_PRESENT | PTE_USER | PTE_ACCESSED
        if not self.prot & PROT_EXEC:
            bits |= PTE_NX
        if self.flags & MAP_SHARED:
            bits |= PTE_SHARED
        if writable and self.prot & PROT_WRITE:
            bits |= PTE_WRITABLE
            if not self.shared:
                bits |= PTE_DIRTY
        return bits

    def joins(self, after: Vma) -> bool:
        """Whether `after`, which begins where this ends, continues it."""
        return (
            self.end == after.start
            and self.prot == after.prot
            and self.flags == after.flags
            and self.name == after.name
            and self.pages is after.pages
            and self.file is after.file
            and (
                self.pages is None
                or (self.pages.JOINS and self.offset + (self.end - self.start) == after.offset)
            )
        )
