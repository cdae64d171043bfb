"""Futexes: where threads sleep until a word in memory changes (man 2 futex)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.kernel import WaitQueue
from syscalls.errors import OutOfMemory, SysError

if TYPE_CHECKING:
    from syscalls.objects.mm import MemoryMap
    from syscalls.objects.task import Task

    Key = tuple[object, int, bool]

ANY_BITS = 0xFFFF_FFFF
FUTEX_WAITERS = 0x8000_0000
FUTEX_OWNER_DIED = 0x4000_0000
_TID_MASK = 0x3FFF_FFFF
_ROBUST_LIST_LIMIT = 2048


class FutexWaiter:
    """One sleeper."""

    __slots__ = ("bits", "key", "queue", "woken")

    def __init__(self, key: Key, bits: int) -> None:
        self.key = key
        self.bits = bits
        self.woken = False
        self.queue = WaitQueue()


class FutexTable:
    """All sleepers of a machine by what they wait on."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: dict[Key, list[FutexWaiter]] = {}

    @staticmethod
    def key(mm: MemoryMap, address: int, private: bool) -> Key:
        """What identifies a futex: the place in shared memory, or the address in one's own.

        Args:
            mm: whose address.
            address: of the word.
            private: the caller says that no other process has to do with it (FUTEX_PRIVATE_FLAG); as on Linux,
                a futex that one thread uses with this flag and another without is two.
        """
        if not private:
            vma = mm.find(address)
            if vma is not None and vma.shared and vma.pages is not None:
                return vma.pages, address - vma.start + vma.offset, False
        return mm, address, private

    def add(self, key: Key, bits: int) -> FutexWaiter:
        """Join the sleepers of a futex."""
        waiter = FutexWaiter(key, bits)
        self._waiters.setdefault(key, []).append(waiter)
        return waiter

    def discard(self, waiter: FutexWaiter) -> None:
        """Leave, woken or not."""
        waiters = self._waiters.get(waiter.key)
        if waiters is not None and waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[waiter.key]

    def wake(self, key: Key, count: int, bits: int = ANY_BITS) -> int:
        """Wake up to `count` sleepers whose bits match; returns how many."""
        woken = 0
        for waiter in list(self._waiters.get(key, ())):
            if woken >= count:
                break
            if waiter.bits & bits:
                waiter.woken = True
                waiter.queue.wake_all()
                self.discard(waiter)
                woken += 1
        return woken

    def wake_shared(self, mm: MemoryMap, address: int) -> None:
        """What the kernel does at the exit of a thread: wake one sleeper of a futex that is not private."""
        self.wake(self.key(mm, address, False), 1)

    def requeue(self, source: Key, target: Key, count: int) -> int:
        """Move up to `count` sleepers to another futex; returns how many."""
        moved = list(self._waiters.get(source, ()))[:count]
        for waiter in moved:
            self.discard(waiter)
            waiter.key = target
            self._waiters.setdefault(target, []).append(waiter)
        return len(moved)


async def exit_robust_list(t: Task) -> None:
    """Mark the mutexes that an exiting task holds as ownerless, and wake one waiter of each (man 2 set_robust_list)."""
    head, t.robust_list = t.robust_list, 0
    try:
        entry = await t.mem.u64(head)
        offset = await t.mem.s64(head + 8)
        pending = await t.mem.u64(head + 16)
        for _ in range(_ROBUST_LIST_LIMIT):
            if entry & ~1 == head:
                break
            following = await t.mem.u64(entry & ~1)
            if entry != pending:
                await _owner_died(t, (entry & ~1) + offset)
            entry = following
        if pending:
            await _owner_died(t, (pending & ~1) + offset)
    except (SysError, OutOfMemory):
        pass  # a list that cannot be read ends where it cannot be read


async def _owner_died(t: Task, address: int) -> None:
    value = await t.mem.u32(address)
    if value & _TID_MASK != t.tid:
        return
    await t.mem.put_u32(address, value & FUTEX_WAITERS | FUTEX_OWNER_DIED)
    if value & FUTEX_WAITERS:
        t.server.futexes.wake_shared(t.mm, address)
