"""Futexes: where threads sleep until a word in memory changes (man 2 futex)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import PTE_ADDRESS
from linuxemu.kernel import WaitQueue

if TYPE_CHECKING:
    from syscalls.objects.mm import MemoryMap

    Key = tuple[object, int]

ANY_BITS = 0xFFFF_FFFF


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
    def key(mm: MemoryMap, address: int) -> Key:
        """What identifies a futex: the shared page and offset, or the address in private memory."""
        vma = mm.find(address)
        if vma is not None and vma.shared:
            entry = mm.space.entry(address)
            if entry:
                return "frame", (entry & PTE_ADDRESS) + (address & 4095)
        return mm, address

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

    def wake(self, mm: MemoryMap, address: int, count: int, bits: int = ANY_BITS) -> int:
        """Wake up to `count` sleepers whose bits match; returns how many."""
        woken = 0
        for waiter in list(self._waiters.get(self.key(mm, address), ())):
            if woken >= count:
                break
            if waiter.bits & bits:
                waiter.woken = True
                waiter.queue.wake_all()
                self.discard(waiter)
                woken += 1
        return woken

    def requeue(self, source: Key, target: Key, count: int) -> int:
        """Move up to `count` sleepers to another futex; returns how many."""
        moved = list(self._waiters.get(source, ()))[:count]
        for waiter in moved:
            self.discard(waiter)
            waiter.key = target
            self._waiters.setdefault(target, []).append(waiter)
        return len(moved)
