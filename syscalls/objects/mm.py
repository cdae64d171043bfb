"""Memory maps: the address space of a process as Linux keeps it (man 2 mmap, man 2 brk).

The areas say what may be where; the kernel's page tables hold what is resident. Changing areas is here, making
pages resident is in `syscalls.objects.fault`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import PTE_ADDRESS, USER_END
from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NO_MEMORY
from syscalls.abi.errno import EINVAL, ENOMEM
from syscalls.abi.flags import (
    MAP_ANONYMOUS,
    MAP_GROWSDOWN,
    MAP_LOCKED,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    RLIM_INFINITY,
    RLIMIT_AS,
    RLIMIT_DATA,
    RLIMIT_MEMLOCK,
)
from syscalls.errors import SysError
from syscalls.objects.fault import Faults
from syscalls.objects.vma import Vma

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linuxemu.kernel import AddressSpace
    from syscalls.objects.file import File
    from syscalls.server import LinuxServer
    from syscalls.vfs.pagecache import PageCache
    from syscalls.vfs.regular import RegularFile

PAGE = 4096
STACK_TOP = 0x7FFF_FFFF_F000
MMAP_TOP = 0x7FFF_F7FF_F000
MMAP_MIN = 0x1_0000
"""vm.mmap_min_addr"""
MAX_MAP_COUNT = 65530
_AREA_SIZE = 256
"""What an area takes in memory, bytes."""
_AREAS = 16
STACK_GUARD = 256 * PAGE
_MOST_LENGTHS = 64


def page_up(value: int) -> int:
    """Round up to a page."""
    return (value + PAGE - 1) & ~(PAGE - 1)


class MemoryMap(Faults):
    """Areas and page tables of an address space; shared by tasks made with CLONE_VM.

    Args:
        server: the Linux server.
        space: the page tables.
        rlimits: resource limits of the process, by RLIMIT_* number; the map reads them when it grows.
    """

    __slots__ = (
        "arg_end",
        "arg_start",
        "auxv",
        "brk",
        "brk_start",
        "end_code",
        "end_data",
        "env_end",
        "env_start",
        "exe_file",
        "full_above",
        "lock_future",
        "membarrier",
        "paid",
        "pid",
        "rlimits",
        "space",
        "start_code",
        "start_data",
        "start_stack",
        "starts",
        "users",
        "vmas",
    )

    def __init__(self, server: LinuxServer, space: AddressSpace, rlimits: dict[int, tuple[int, int]]) -> None:
        super().__init__(server)
        self.space = space
        self.rlimits = rlimits
        self.users = 1
        self.pid = 0
        """The process that attached or detached shared memory last, at first the one it was made for."""
        self.vmas: list[Vma] = []
        self.starts: list[int] = []
        """`start` of each area, for bisection."""
        self.full_above: dict[int, int] = {}
        """By length: no gap so long ends above this, guards counted. Removing areas and moving guards ends that."""
        self.brk_start = self.brk = 0
        self.start_code = self.end_code = self.start_data = self.end_data = self.start_stack = 0
        self.arg_start = self.arg_end = self.env_start = self.env_end = 0
        self.auxv = b""
        self.lock_future = False
        """What is mapped from now on is locked (mlockall)."""
        self.membarrier = 0
        """Commands of membarrier(2) that it has registered for, MEMBARRIER_CMD_* bits."""
        self.paid = 0
        """For so many areas room is taken."""
        self.exe_file: File | None = None
        """The program file, which cannot be written while it runs."""

    # -- looking ----------------------------------------------------------------------------------------------------

    def find(self, vaddr: int) -> Vma | None:
        """The area that holds an address."""
        index = bisect_right(self.starts, vaddr) - 1
        if index >= 0:
            vma = self.vmas[index]
            if vaddr < vma.end:
                return vma
        return None

    def overlapping(self, start: int, end: int) -> Iterator[Vma]:
        """The areas that touch [start, end), in order."""
        index = max(bisect_right(self.starts, start) - 1, 0)
        for vma in self.vmas[index : bisect_left(self.starts, end)]:
            if vma.end > start:
                yield vma

    def areas_of(self, pages: PageCache) -> list[Vma]:
        """The shared areas that map a page cache."""
        return [vma for vma in self.vmas if vma.pages is pages and vma.shared]

    @property
    def total_vm(self) -> int:
        """Size of all areas, pages."""
        return sum(vma.end - vma.start for vma in self.vmas) >> 12

    def locked(self, start: int = 0, end: int = 0) -> int:
        """Size of the locked areas outside [start, end), bytes."""
        within = sum(
            min(vma.end, end) - max(vma.start, start)
            for vma in self.overlapping(start, end)
            if vma.flags & MAP_LOCKED
        )
        return sum(vma.end - vma.start for vma in self.vmas if vma.flags & MAP_LOCKED) - within

    def rss_pages(self) -> int:
        """Resident pages."""
        words = self.server.port.frames.ram.words
        return sum(sum(map(bool, words[leaf : leaf + 512].tolist())) for leaf in self.space.leaves.values())

    def find_gap(self, length: int) -> int:
        """The highest free range of `length` bytes that mappings may have.

        Raises:
            SysError: ENOMEM if there is none.
        """
        end = self.full_above.get(length, 0)
        above = bisect_left(self.starts, end) if end else len(self.vmas)
        end = end or MMAP_TOP
        for index in range(above - 1, -1, -1):
            vma = self.vmas[index]
            guard = STACK_GUARD if vma.flags & MAP_GROWSDOWN else 0
            if vma.start - guard >= end:
                continue
            if vma.end + length <= end:
                break
            end = min(end, vma.start - guard)
        if end - length < MMAP_MIN:
            raise SysError(ENOMEM)
        if len(self.full_above) >= _MOST_LENGTHS:
            self.full_above.clear()
        self.full_above[length] = end
        return end - length

    def find_gap_near(self, hint: int, length: int) -> int:
        """`hint` if `length` bytes are free there (0: no hint), or a gap anywhere.

        Raises:
            SysError: ENOMEM if there is none.
        """
        if MMAP_MIN <= hint and hint + length <= USER_END and self.available(hint, hint + length):
            return hint
        return self.find_gap(length)

    def _check_limits(self, more: int, data: bool) -> None:
        """RLIMIT_AS and RLIMIT_DATA (man 2 getrlimit)."""
        limit = self.rlimits[RLIMIT_AS][0]
        if limit != RLIM_INFINITY and (self.total_vm << 12) + more > limit:
            raise SysError(ENOMEM)
        if data:
            self._check_data_limit(more)

    def _check_data_limit(self, more: int) -> None:
        limit = self.rlimits[RLIMIT_DATA][0]
        if limit != RLIM_INFINITY:
            used = sum(
                v.end - v.start
                for v in self.vmas
                if v.prot & PROT_WRITE and not v.shared and not v.flags & MAP_GROWSDOWN
            )
            if used + more > limit:
                raise SysError(ENOMEM)

    def check_growth(self, more: int, vma: Vma) -> None:
        """Whether an area may grow by `more` bytes: ENOMEM beyond a limit."""
        self._check_limits(more, bool(vma.prot & PROT_WRITE) and not vma.shared)

    def check_writable(self, size: int, vma: Vma) -> None:
        """Whether `size` bytes of an area may become writable: ENOMEM beyond RLIMIT_DATA."""
        if not vma.prot & PROT_WRITE and not vma.shared and not vma.flags & MAP_GROWSDOWN:
            self._check_data_limit(size)

    # -- changing ---------------------------------------------------------------------------------------------------

    def insert(self, vma: Vma) -> None:
        """Add an area to a free range, joining it with its neighbours where they continue each other."""
        if vma.flags & MAP_GROWSDOWN:
            self.full_above.clear()
        index = bisect_right(self.starts, vma.start)
        if index > 0 and self.vmas[index - 1].joins(vma):
            before = self.vmas[index - 1]
            before.end = vma.end
            self._drop_duplicate(vma)
            vma, index = before, index - 1
        else:
            self.vmas.insert(index, vma)
            self.starts.insert(index, vma.start)
            self._pay()
        if index + 1 < len(self.vmas) and vma.joins(self.vmas[index + 1]):
            after = self.vmas.pop(index + 1)
            del self.starts[index + 1]
            vma.end = after.end
            self._drop_duplicate(after)

    def _drop_duplicate(self, vma: Vma) -> None:
        """An area was joined into its neighbour, which keeps the same file open."""
        if vma.file is not None:
            vma.file.refs -= 1
        if vma.pages is not None:
            vma.pages.remove_mapping(self, vma.shared)

    def split(self, address: int) -> None:
        """Make `address` a border between areas."""
        vma = self.find(address)
        if vma is None or vma.start == address:
            return
        after = vma.copy(address, vma.end)
        vma.end = address
        if after.pages is not None:
            after.pages.add_mapping(self, after.shared)
        index = bisect_right(self.starts, address)
        self.vmas.insert(index, after)
        self.starts.insert(index, address)
        self._pay()

    def _pay(self) -> None:
        """Take room for the areas; whether there is any was looked at before."""
        more = len(self.vmas) - self.paid
        if more > 0:
            more += _AREAS
            self.paid += more
            self.server.port.room.add(more * _AREA_SIZE)

    def check_count(self) -> None:
        """ENOMEM when there are as many areas as may be, or no memory for more."""
        if len(self.vmas) >= MAX_MAP_COUNT or not self.server.port.room.fits(_AREA_SIZE):
            raise SysError(ENOMEM)

    def take(self, start: int, end: int) -> list[Vma]:
        """Remove the areas of [start, end) from the list, splitting those at its ends; pages stay mapped."""
        if start >= end or not any(True for _ in self.overlapping(start, end)):
            return []
        self.split(start)
        self.split(end)
        first = bisect_right(self.starts, start - 1)
        last = bisect_right(self.starts, end - 1)
        taken = self.vmas[first:last]
        self.full_above.clear()
        del self.vmas[first:last]
        del self.starts[first:last]
        return taken

    def extend(self, vma: Vma, more: int) -> None:
        """Let an area grow by `more` bytes, which are free behind it."""
        (taken,) = self.take(vma.start, vma.end)
        taken.end += more
        self.insert(taken)

    async def unmap(self, start: int, end: int) -> None:
        """Remove every mapping of [start, end), writing shared file pages back (man 2 munmap)."""
        taken = self.take(start, end)
        if taken:
            dirty = self._take_dirty(taken)
            self.space.unmap(start, end)
            await _give_up(taken, dirty)

    def _take_dirty(self, areas: list[Vma]) -> list[tuple[Vma, list[int]]]:
        """Changed pages of the shared file areas that end; whoever maps something there next must not wait for them."""
        dirty = []
        for vma in areas:
            if vma.pages is not None:
                if vma.shared:
                    dirty.append((vma, vma.pages.take_dirty(self.space, vma, vma.start, vma.end)))
                vma.pages.remove_mapping(self, vma.shared)
        return dirty

    async def map(
        self,
        address: int,
        length: int,
        prot: int,
        flags: int,
        file: RegularFile | None = None,
        offset: int = 0,
        pages: PageCache | None = None,
        name: bytes = b"",
        *,
        checked: bool = False,
    ) -> Vma:
        """Map [address, address + length), replacing what is there; the caller has checked everything else.

        Args:
            file: backing file; this takes one more reference.
            pages: its page cache, or that of shared anonymous memory.
            checked: the limits were looked at already.
        Raises:
            SysError: ENOMEM beyond a limit.
        """
        if not checked:
            self._check_limits(length, bool(prot & PROT_WRITE) and bool(flags & MAP_PRIVATE))
        self.check_count()
        await self.unmap(address, address + length)
        if file is not None:
            file.get()
        vma = Vma(address, address + length, prot, flags, file, offset, pages, name)
        if pages is not None:
            pages.add_mapping(self, vma.shared)
        self.insert(vma)
        return vma

    def protect(self, start: int, end: int, prot: int) -> None:
        """Change the protection of mapped areas (man 2 mprotect); every page of the range belongs to one."""
        if all(vma.prot == prot for vma in self.overlapping(start, end)):
            return  # nothing is cut in two either, which shared memory would count
        for vma in self.take(start, end):
            vma.prot = prot
            keep_writable = vma.entry_bits(writable=True)
            read_only = vma.entry_bits(writable=False)
            self._reprotect(vma, keep_writable, read_only)
            self.insert(vma)

    def lock(self, start: int, end: int, locked: bool) -> None:
        """Mark mapped areas as locked, or not (man 2 mlock); what is not mapped is passed over."""
        for area in list(self.overlapping(start, end)):
            if bool(area.flags & MAP_LOCKED) == locked:
                continue
            for vma in self.take(max(area.start, start), min(area.end, end)):
                vma.flags ^= MAP_LOCKED
                self.insert(vma)

    def lock_to_hole(self, start: int, end: int, locked: bool) -> None:
        """The same up to what is not mapped, which is ENOMEM."""
        hole = self.first_hole(start, end)
        self.lock(start, min(hole, end), locked)
        if hole < end:
            raise SysError(ENOMEM)

    def lock_allowed(self, more: int, privileged: bool) -> bool:
        """Whether so many more bytes may be locked: RLIMIT_MEMLOCK (man 2 getrlimit)."""
        return privileged or self.locked() + more <= self.rlimits[RLIMIT_MEMLOCK][0]

    def _reprotect(self, vma: Vma, writable: int, read_only: int) -> None:
        """Rewrite the entries of an area; private pages become writable through a fault, as only that copies them."""
        space = self.space
        refs = self.server.port.frames.refs
        for vaddr, entry in list(space.entries(vma.start, vma.end)):
            frame = (entry & PTE_ADDRESS) >> 12
            own = vma.shared or refs[frame] == 1
            space.set_flags(vaddr, (writable if own else read_only) | (entry & 0x40))

    async def set_brk(self, address: int, privileged: bool = True) -> int:
        """Move the program break; returns where it is then (man 2 brk).

        Args:
            address: where it is to be.
            privileged: RLIMIT_MEMLOCK does not count.
        """
        if address < self.brk_start or address > USER_END:
            return self.brk
        old, new = page_up(self.brk), page_up(address)
        if new < old:
            await self.unmap(new, old)
        elif new > old:
            for vma in self.overlapping(old, new + PAGE + STACK_GUARD):
                guard = STACK_GUARD if vma.flags & MAP_GROWSDOWN else 0
                if new + PAGE > vma.start - guard:
                    return self.brk
            try:
                self._check_limits(new - old, data=True)
            except SysError:
                return self.brk
            if self.lock_future and not self.lock_allowed(new - old, privileged):
                return self.brk
            flags = MAP_PRIVATE | MAP_ANONYMOUS | (MAP_LOCKED if self.lock_future else 0)
            self.insert(Vma(old, new, PROT_READ | PROT_WRITE, flags, name=b"[heap]"))
        self.brk = address
        return address

    def covered(self, start: int, end: int) -> bool:
        """Whether areas cover [start, end) without a hole."""
        return self.first_hole(start, end) >= end

    def first_hole(self, start: int, end: int) -> int:
        """Where in [start, end) the first address is that no area covers; `end` or more if there is none."""
        at = start
        for vma in self.overlapping(start, end):
            if vma.start > at:
                break
            at = vma.end
        return at

    def available(self, start: int, end: int) -> bool:
        """Whether [start, end) is free, and keeps its distance from an area that grows down."""
        above = next(self.overlapping(start, end + STACK_GUARD), None)
        return above is None or (above.start >= end and not above.flags & MAP_GROWSDOWN)

    # -- life -------------------------------------------------------------------------------------------------------

    def clone(self, rlimits: dict[int, tuple[int, int]]) -> MemoryMap:
        """A copy for fork: private pages are copied when either side writes to them.

        Raises:
            RpcError: ERR_NO_MEMORY; nothing has changed then.
        """
        if not self.server.port.room.fits(len(self.vmas) * _AREA_SIZE):
            raise RpcError(ERR_NO_MEMORY)
        try:
            space = self.space.clone()
        except RpcError:
            if not self.server.shrink_caches():
                raise
            space = self.space.clone()
        space.users = 0
        other = MemoryMap(self.server, space, rlimits)
        other.pid = self.pid  # what attaches the copies is the caller
        other.vmas = [vma.copy(vma.start, vma.end) for vma in self.vmas]
        other.starts = list(self.starts)
        other._pay()
        for vma in other.vmas:
            vma.flags &= ~MAP_LOCKED  # locks are not inherited
            if vma.pages is not None:
                vma.pages.add_mapping(other, vma.shared)
        for slot in (
            "brk_start",
            "brk",
            "start_code",
            "end_code",
            "start_data",
            "end_data",
            "start_stack",
            "auxv",
            "membarrier",
        ):
            setattr(other, slot, getattr(self, slot))
        for slot in ("arg_start", "arg_end", "env_start", "env_end"):
            setattr(other, slot, getattr(self, slot))
        if self.exe_file is not None:
            other.set_exe(self.exe_file)
        return other

    def set_exe(self, file: File) -> None:
        """The program that runs in this map: opening it for writing fails with ETXTBSY."""
        self.exe_file = file.get()
        file.inode.deny_write += 1

    async def release(self) -> None:
        """One user less; the last one gives everything back but the page tables, which end with their tasks."""
        self.users -= 1
        if self.users:
            return
        areas, self.vmas, self.starts = self.vmas, [], []
        self.server.port.room.add(-self.paid * _AREA_SIZE)
        self.paid = 0
        await _give_up(areas, self._take_dirty(areas))
        if self.exe_file is not None:
            self.exe_file.inode.deny_write -= 1
            await self.exe_file.put()
            self.exe_file = None

    def drop_file_pages(self, pages: PageCache, keep: int) -> None:
        """A mapped file was cut after `keep` pages: the rest is unmapped, so that touching it is SIGBUS."""
        for vma in self.vmas:
            if vma.pages is pages:
                first = max(vma.start, vma.start - vma.offset + keep * PAGE)
                if first < vma.end:
                    self.space.unmap(first, vma.end)


async def _give_up(areas: list[Vma], dirty: list[tuple[Vma, list[int]]]) -> None:
    """Store what was changed in areas that have ended, and close their files."""
    for vma, indexes in dirty:
        if indexes and vma.pages is not None and vma.file is not None:
            await vma.pages.store(vma.file, indexes)
    for vma in areas:
        if vma.file is not None:
            await vma.file.put()


def check_range(address: int, length: int) -> int:
    """End of a page-aligned user range.

    Raises:
        SysError: EINVAL for an unaligned address, ENOMEM beyond user space.
    """
    if address & (PAGE - 1):
        raise SysError(EINVAL)
    end = address + page_up(length)
    if end > USER_END or end < address:
        raise SysError(ENOMEM)
    return end
