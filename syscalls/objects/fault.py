"""Page faults: making a page resident, copying it on write, growing the stack.

A fault costs the emulator several microseconds, so each one maps what will be needed next as well: cached file
pages around the address, and fresh pages behind it where memory is being filled in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from linuxemu.arch.x86_64 import (
    FAULT_FETCH,
    FAULT_WRITE,
    PTE_ADDRESS,
    PTE_PRESENT,
    PTE_WRITABLE,
    USER_END,
)
from linuxemu.errors import RpcError
from syscalls.abi.errno import ENOMEM
from syscalls.abi.flags import (
    BUS_ADRERR,
    MAP_GROWSDOWN,
    RLIM_INFINITY,
    RLIMIT_STACK,
    SEGV_ACCERR,
    SEGV_MAPERR,
    SIGBUS,
    SIGKILL,
    SIGSEGV,
)
from syscalls.errors import SysError

if TYPE_CHECKING:
    from linuxemu.kernel import AddressSpace
    from syscalls.objects.vma import Vma
    from syscalls.server import LinuxServer

PAGE = 4096
AROUND = 16
"""Pages that one fault maps at most."""
_ZERO_PAGE = bytes(PAGE)
_TRIES = 3
"""How often a fault that finds no memory is tried again after cached file pages were given up."""


class BadAccess(NamedTuple):
    """Why an access cannot be made good: the signal Linux sends."""

    signo: int
    code: int
    address: int


class _LookAgain(Exception):
    """Time has passed: the page may not be what it was."""


class Faults:
    """The faulting half of a memory map."""

    __slots__ = ("server",)

    space: AddressSpace
    rlimits: dict[int, tuple[int, int]]
    vmas: list[Vma]
    starts: list[int]
    full_above: dict[int, int]

    def __init__(self, server: LinuxServer) -> None:
        self.server = server

    def find(self, vaddr: int) -> Vma | None:
        """See `MemoryMap.find`."""
        raise NotImplementedError

    async def fault(self, vaddr: int, code: int) -> BadAccess | None:
        """Make an access possible.

        Args:
            vaddr: the address that was touched.
            code: FAULT_* bits of the access.
        Returns:
            None when the access can be tried again, else the signal that it deserves.
        """
        vma = self.find(vaddr)
        if vma is None:
            vma = self._grow_stack(vaddr)
            if vma is None:
                return BadAccess(SIGSEGV, SEGV_MAPERR, vaddr)
        write = bool(code & FAULT_WRITE)
        if not vma.allows(write, bool(code & FAULT_FETCH)):
            return BadAccess(SIGSEGV, SEGV_ACCERR, vaddr)
        page = vaddr & ~(PAGE - 1)
        for _ in range(_TRIES):
            try:
                return await self._make_resident(vma, page, write)
            except _LookAgain:
                return await self.fault(vaddr, code)
            except RpcError:
                if not self.server.shrink_caches():
                    break
        return BadAccess(SIGKILL, 0, vaddr)

    async def _make_resident(self, vma: Vma, page: int, write: bool) -> BadAccess | None:
        """Bring in a page that the area's protection lets the program touch.

        Raises:
            RpcError: there is no memory for it.
        """
        entry = self.space.entry(page)
        if entry:
            if write and not entry & PTE_WRITABLE:
                await self._write_resident(vma, page, entry)
            elif not entry & PTE_PRESENT:
                self.space.grant(page, vma.entry_bits(writable=False))
            return None
        self.space.reserve(page)
        if vma.pages is not None:
            return await self._cached(vma, page, write)
        await self._anonymous(vma, page, write)
        return None

    def _grow_stack(self, vaddr: int) -> Vma | None:
        """Extend the stack area down to an address within RLIMIT_STACK (MAP_GROWSDOWN in man 2 mmap)."""
        if not 0 <= vaddr < USER_END:
            return None
        for index, vma in enumerate(self.vmas):
            if vma.start > vaddr:
                limit = self.rlimits[RLIMIT_STACK][0]
                start = vaddr & ~(PAGE - 1)
                if not vma.flags & MAP_GROWSDOWN or (limit != RLIM_INFINITY and vma.end - start > limit):
                    return None
                below = self.vmas[index - 1] if index else None
                guarded = below is not None and below.allows(False, False) and not below.flags & MAP_GROWSDOWN
                if below is not None and below.end + (256 * PAGE if guarded else 0) > start:
                    return None
                vma.start = self.starts[index] = start
                self.full_above.clear()
                return vma
        return None

    async def _need_frame(self) -> None:
        """Make sure that the pool has a frame.

        Raises:
            _LookAgain: it has one now, but that took time.
            RpcError: there is no memory.
        """
        if not self.server.pool:
            await self.server.refill_pool()
            raise _LookAgain

    async def _write_resident(self, vma: Vma, page: int, entry: int) -> None:
        """A store to a page that is mapped read-only: take it over, or copy it."""
        frames = self.server.port.frames
        frame = (entry & PTE_ADDRESS) >> 12
        if vma.shared or frames.refs[frame] == 1:
            self.space.grant(page, vma.entry_bits(writable=True))
            return
        await self._need_frame()
        copy = self.server.pool.pop()
        memory = frames.ram.data
        memory[copy << 12 : (copy + 1) << 12] = memory[frame << 12 : (frame + 1) << 12]
        self.space.map_owned(page, copy, vma.entry_bits(writable=True))

    async def _anonymous(self, vma: Vma, page: int, write: bool) -> None:
        """The first touch of private anonymous memory."""
        space, frames = self.space, self.server.port.frames
        if not write:
            count = min(AROUND, (vma.end - page) >> 12, 512 - ((page >> 12) & 511))
            space.map_missing(page, [frames.zero] * count, vma.entry_bits(writable=False))
            return
        await self._need_frame()
        bits = vma.entry_bits(writable=True)
        memory, pool = frames.ram.data, self.server.pool
        count = 1
        if page > vma.start and space.entry(page - PAGE):
            count = min(AROUND, (vma.end - page) >> 12, 512 - ((page >> 12) & 511))
        for address in range(page, page + count * PAGE, PAGE):
            if not pool or (address != page and space.entry(address)):
                break
            frame = pool.pop()
            memory[frame << 12 : (frame + 1) << 12] = _ZERO_PAGE
            space.map_owned(address, frame, bits)

    async def _cached(self, vma: Vma, page: int, write: bool) -> BadAccess | None:
        """The first touch of a page of a file or of shared anonymous memory."""
        pages = vma.pages
        assert pages is not None
        space, frames = self.space, self.server.port.frames
        index = (page - vma.start + vma.offset) >> 12
        if index >= pages.last_page:
            return BadAccess(SIGBUS, BUS_ADRERR, page)
        resident = pages.frames
        if index not in resident:
            first = index & ~(AROUND - 1) if pages.size is not None else index
            count = AROUND if pages.size is not None else 1
            try:
                await pages.load(vma.file, first, count)
            except SysError as error:
                return BadAccess(SIGKILL if error.errno == ENOMEM else SIGBUS, BUS_ADRERR, page)
            if self.find(page) is not vma:
                return None  # somebody else changed the area meanwhile: look again
            if index not in resident:
                return BadAccess(SIGBUS, BUS_ADRERR, page)
        if write and not vma.shared:
            await self._need_frame()
            copy = self.server.pool.pop()
            source = resident[index]
            memory = frames.ram.data
            memory[copy << 12 : (copy + 1) << 12] = memory[source << 12 : (source + 1) << 12]
            space.map_owned(page, copy, vma.entry_bits(writable=True))
            return None
        low = max(vma.start, page & ~(AROUND * PAGE - 1))
        high = min(vma.end, low - low % (AROUND * PAGE) + AROUND * PAGE)
        start = (low - vma.start + vma.offset) >> 12
        around = [resident.get(i, 0) for i in range(start, start + ((high - low) >> 12))]
        space.map_missing(low, around, vma.entry_bits(writable=vma.shared))
        return None
