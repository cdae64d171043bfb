"""User memory: how handlers read and write what a guest pointer points to.

Pages that are resident are copied straight from guest-physical memory; others are faulted in first. An address the
guest could not use itself is EFAULT.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from linuxemu.arch.x86_64 import (
    FAULT_WRITE,
    PTE_ADDRESS,
    PTE_DIRTY,
    PTE_PRESENT,
    PTE_WRITABLE,
    USER_END,
)
from syscalls.abi.errno import EFAULT, EINVAL, ENAMETOOLONG
from syscalls.abi.flags import SIGKILL
from syscalls.errors import OutOfMemory, SysError

if TYPE_CHECKING:
    from syscalls.objects.mm import MemoryMap

PAGE = 4096
PATH_MAX = 4096
IOV_MAX = 1024
MAX_RW = 0x7FFF_F000

_U32, _S32, _U64, _S64 = Struct("<I"), Struct("<i"), Struct("<Q"), Struct("<q")
_WRITE_READY = PTE_PRESENT | PTE_WRITABLE


class Packed(Protocol):
    """A struct of `syscalls.abi.structs`."""

    SIZE: int

    def pack(self) -> bytes:
        """Its bytes in memory."""


_S = TypeVar("_S")


class UserMemory:
    """The memory of a process, for the handlers of its tasks.

    Args:
        mm: the memory map.
    """

    __slots__ = ("_data", "_frames", "_leaves", "_mm", "_space", "_words")

    def __init__(self, mm: MemoryMap) -> None:
        frames = mm.server.port.frames
        self._mm = mm
        self._space = mm.space
        self._leaves = mm.space.leaves
        self._frames = frames
        self._words = frames.ram.words
        self._data = frames.ram.data

    async def _resolve(self, addr: int, write: bool) -> int:
        """Guest-physical address of a user address, after faulting its page in; -1 where there is none."""
        if not 0 <= addr < USER_END:
            return -1
        for _ in range(3):
            entry = self._space.entry(addr)
            if entry & PTE_PRESENT and (not write or entry & PTE_WRITABLE):
                if write and not entry & PTE_DIRTY:
                    self._space.mark(addr, PTE_DIRTY)
                return (entry & PTE_ADDRESS) + (addr & (PAGE - 1))
            bad = await self._mm.fault(addr, FAULT_WRITE if write else 0)
            if bad is not None:
                if bad.signo == SIGKILL:
                    raise OutOfMemory
                return -1
            if write:
                self._space.generation += 1  # the CPU did not fault itself: it may remember the old page
        return -1

    async def read_some(self, addr: int, n: int) -> bytes:
        """Up to `n` bytes, short at the first page that cannot be read.

        Raises:
            SysError: EFAULT when not even the first byte can be read.
        """
        if n <= 0:
            return b""
        first = PAGE - (addr & (PAGE - 1))
        leaf = self._leaves.get(addr >> 21)
        if n <= first and leaf is not None:
            entry = self._words[leaf + ((addr >> 12) & 511)]
            if entry & PTE_PRESENT:
                at = (entry & PTE_ADDRESS) + (addr & (PAGE - 1))
                return self._data[at : at + n].tobytes()
        parts: list[bytes] = []
        left = n
        while left:
            step = min(left, PAGE - (addr & (PAGE - 1)))
            at = await self._resolve(addr, write=False)
            if at < 0:
                break
            parts.append(self._data[at : at + step].tobytes())
            addr += step
            left -= step
        if not parts:
            raise SysError(EFAULT)
        return b"".join(parts)

    def resident(self, addr: int, n: int) -> bytes:
        """Up to `n` bytes, short at the first page that is not there yet: what a tracer can see without waiting."""
        parts: list[bytes] = []
        while n > 0 and 0 <= addr < USER_END:
            entry = self._space.entry(addr)
            if not entry & PTE_PRESENT:
                break
            step = min(n, PAGE - (addr & (PAGE - 1)))
            at = (entry & PTE_ADDRESS) + (addr & (PAGE - 1))
            parts.append(self._data[at : at + step].tobytes())
            addr += step
            n -= step
        return b"".join(parts)

    async def read(self, addr: int, n: int) -> bytes:
        """Exactly `n` bytes; EFAULT if any of them cannot be read."""
        data = await self.read_some(addr, n)
        if len(data) != n:
            raise SysError(EFAULT)
        return data

    async def write_some(self, addr: int, data: bytes) -> int:
        """Write up to the first page that cannot be written; returns how many bytes went.

        Raises:
            SysError: EFAULT when not even the first byte can be written.
        """
        n = len(data)
        if not n:
            return 0
        leaf = self._leaves.get(addr >> 21)
        if leaf is not None and n <= PAGE - (addr & (PAGE - 1)):
            index = leaf + ((addr >> 12) & 511)
            entry = self._words[index]
            if entry & _WRITE_READY == _WRITE_READY:
                if not entry & PTE_DIRTY:
                    self._words[index] = entry | PTE_DIRTY
                at = (entry & PTE_ADDRESS) + (addr & (PAGE - 1))
                self._data[at : at + n] = data
                if self._frames.code[at >> 12]:
                    self._frames.changed(at >> 12)
                return n
        done = 0
        while done < n:
            step = min(n - done, PAGE - (addr & (PAGE - 1)))
            at = await self._resolve(addr, write=True)
            if at < 0:
                break
            self._data[at : at + step] = data[done : done + step]
            self._frames.changed(at >> 12)
            addr += step
            done += step
        if not done:
            raise SysError(EFAULT)
        return done

    async def write(self, addr: int, data: bytes) -> None:
        """Write all of `data`; EFAULT if any byte cannot be written (some may have been)."""
        if await self.write_some(addr, data) != len(data):
            raise SysError(EFAULT)

    async def cstr(self, addr: int, limit: int) -> bytes:
        """A NUL-terminated string without its NUL.

        Args:
            limit: bytes it may take with its NUL.
        Raises:
            SysError: EFAULT, or ENAMETOOLONG when there is no NUL within `limit`.
        """
        leaf = self._leaves.get(addr >> 21)
        if leaf is not None:
            entry = self._words[leaf + ((addr >> 12) & 511)]
            if entry & PTE_PRESENT:
                within = addr & (PAGE - 1)
                at = entry & PTE_ADDRESS
                text, nul, _ = self._data[at + within : at + min(PAGE, within + limit)].tobytes().partition(b"\0")
                if nul:
                    return text
        parts: list[bytes] = []
        left = limit
        while left:
            step = min(left, PAGE - (addr & (PAGE - 1)))
            at = await self._resolve(addr, write=False)
            if at < 0:
                raise SysError(EFAULT)
            chunk = self._data[at : at + step].tobytes()
            end = chunk.find(b"\0")
            if end >= 0:
                parts.append(chunk[:end])
                return b"".join(parts)
            parts.append(chunk)
            addr += step
            left -= step
        raise SysError(ENAMETOOLONG)

    async def path(self, addr: int) -> bytes:
        """A path name of at most PATH_MAX bytes."""
        return await self.cstr(addr, PATH_MAX)

    async def struct(self, addr: int, kind: type[_S]) -> _S:
        """A struct of `syscalls.abi.structs`."""
        layout: Any = kind
        value: _S = layout.unpack(await self.read(addr, layout.SIZE))
        return value

    async def put(self, addr: int, value: Packed) -> None:
        """Store a struct of `syscalls.abi.structs`."""
        await self.write(addr, value.pack())

    async def u32(self, addr: int) -> int:
        """An unsigned int."""
        value: int = _U32.unpack(await self.read(addr, 4))[0]
        return value

    async def s32(self, addr: int) -> int:
        """An int."""
        value: int = _S32.unpack(await self.read(addr, 4))[0]
        return value

    async def u64(self, addr: int) -> int:
        """An unsigned long."""
        value: int = _U64.unpack(await self.read(addr, 8))[0]
        return value

    async def s64(self, addr: int) -> int:
        """A long."""
        value: int = _S64.unpack(await self.read(addr, 8))[0]
        return value

    async def put_u32(self, addr: int, value: int) -> None:
        """Store the low 32 bits of a value."""
        await self.write(addr, _U32.pack(value & 0xFFFF_FFFF))

    async def put_u64(self, addr: int, value: int) -> None:
        """Store the low 64 bits of a value; all of them or, where that is EFAULT, none."""
        data = _U64.pack(value & 0xFFFF_FFFF_FFFF_FFFF)
        first = -addr & (PAGE - 1)
        if first < 8:
            await self.write(addr + first, data[first:])
        await self.write(addr, data)

    async def iovec(self, addr: int, count: int) -> list[tuple[int, int]]:
        """Address and length of each element of an iovec array (man 2 readv); of the count 32 bits are looked at.

        Raises:
            SysError: EINVAL (count out of range, a negative length), EFAULT (array or a buffer outside user space).
        """
        count &= 0xFFFF_FFFF
        if count > IOV_MAX:
            raise SysError(EINVAL)
        raw = await self.read(addr, 16 * count)
        left = MAX_RW
        vector = []
        outside = False
        for base, length in Struct("<QQ").iter_unpack(raw):
            if length >> 63:
                raise SysError(EINVAL)
            outside |= base + length > USER_END
            length = min(length, left)
            left -= length
            vector.append((base, length))
        if outside:  # Linux looks at all the lengths first
            raise SysError(EFAULT)
        return vector
