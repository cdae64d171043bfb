"""Advisory locks of one inode (man 2 fcntl, man 2 flock).

Record locks belong to a file descriptor table (POSIX) or to an open file (OFD); flock(2) locks belong to an
open file and know nothing of the others. An inode gets its tables with the first lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.kernel import WaitQueue
from syscalls.abi.errno import EAGAIN, EDEADLK
from syscalls.abi.flags import F_UNLCK, F_WRLCK
from syscalls.errors import SysError

if TYPE_CHECKING:
    from syscalls.objects.task import Task

LOCK_MAX = (1 << 63) - 1
"""Last byte a lock can cover: OFFSET_MAX."""


class RecordLock:
    """One locked range.

    Args:
        owner: the FdTable (POSIX) or File (OFD) that holds it.
        kind: F_RDLCK, F_WRLCK, or F_UNLCK in a request.
        start: first byte.
        end: last byte.
        pid: what F_GETLK tells, -1 for OFD locks.
    """

    __slots__ = ("end", "kind", "owner", "pid", "start")

    def __init__(self, owner: object, kind: int, start: int, end: int, pid: int) -> None:
        self.owner = owner
        self.kind = kind
        self.start = start
        self.end = end
        self.pid = pid

    def overlaps(self, other: RecordLock) -> bool:
        """Whether the two have a byte in common."""
        return self.start <= other.end and other.start <= self.end

    def conflicts(self, other: RecordLock) -> bool:
        """Whether the two cannot be held together by different owners."""
        return self.overlaps(other) and F_WRLCK in (self.kind, other.kind)


class FileLocks:
    """All locks of an inode."""

    __slots__ = ("_flocks", "_records", "queue")

    def __init__(self) -> None:
        self._records: dict[object, list[RecordLock]] = {}
        # Held record locks by owner, the owner of the oldest first: the order in which F_GETLK reports them.
        self._flocks: dict[object, bool] = {}
        self.queue = WaitQueue()
        """Woken when a lock is released or narrowed."""

    def blocker(self, request: RecordLock) -> RecordLock | None:
        """The first held lock in the way of `request`; of a request for F_UNLCK, the owner's own there (F_GETLK)."""
        if request.kind == F_UNLCK:
            own = self._records.get(request.owner, ())
            return next((lock for lock in own if lock.overlaps(request)), None)
        for owner, locks in self._records.items():
            if owner is not request.owner:
                for lock in locks:
                    if lock.conflicts(request):
                        return lock
        return None

    def apply(self, request: RecordLock) -> None:
        """Give the owner exactly `request` in that range; nothing may be in the way.

        Ranges of the same kind that touch become one, others are cut, as man 2 fcntl demands.
        """
        start, end = request.start, request.end
        kept: list[RecordLock] = []
        narrowed = False
        for lock in self._records.get(request.owner, ()):
            if lock.end < start - 1 or lock.start > end + 1:
                kept.append(lock)
            elif lock.kind == request.kind:
                start, end = min(start, lock.start), max(end, lock.end)
            else:
                narrowed = True
                kept += _cut(lock, request)
        if request.kind != F_UNLCK:
            kept.append(RecordLock(request.owner, request.kind, start, end, request.pid))
        kept.sort(key=lambda lock: lock.start)
        if kept:
            self._records[request.owner] = kept
        else:
            self._records.pop(request.owner, None)
        if narrowed:
            self.queue.wake_all()

    def release(self, owner: object) -> None:
        """Drop every lock of an owner: a process that closes the file, or an open file that goes."""
        if self._flocks.pop(owner, None) is not None or self._records.pop(owner, None) is not None:
            self.queue.wake_all()

    async def lock(self, t: Task, request: RecordLock, wait: bool) -> None:
        """F_SETLK and F_SETLKW, for both kinds of owner.

        Raises:
            SysError: EAGAIN when in the way and not waiting; EDEADLK.
        """
        blocker = self.blocker(request) if request.kind != F_UNLCK else None
        if blocker is None:
            self.apply(request)
            return
        if not wait:
            raise SysError(EAGAIN)
        waits = t.server.devices.lock_waits

        def attempt() -> bool | None:
            found = self.blocker(request)
            if found is None:
                self.apply(request)
                return True
            if request.pid >= 0:
                _check_deadlock(waits, request.owner, found.owner)
                waits[request.owner] = found.owner
            return None

        try:
            await t.wait([self.queue], attempt)
        finally:
            waits.pop(request.owner, None)

    async def flock(self, t: Task, owner: object, exclusive: bool, wait: bool) -> None:
        """flock(2) LOCK_SH and LOCK_EX. Changing a held lock lets go of it first, as on Linux.

        Raises:
            SysError: EAGAIN (EWOULDBLOCK) when in the way and not waiting.
        """
        if self._flocks.get(owner) is exclusive:
            return
        if self._flocks.pop(owner, None) is not None:
            self.queue.wake_all()

        def attempt() -> bool | None:
            if self._flocks and (exclusive or any(self._flocks.values())):
                return None
            self._flocks[owner] = exclusive
            return True

        if attempt() is None:
            if not wait:
                raise SysError(EAGAIN)
            await t.wait([self.queue], attempt)

    def unflock(self, owner: object) -> None:
        """flock(2) LOCK_UN."""
        if self._flocks.pop(owner, None) is not None:
            self.queue.wake_all()


def _cut(lock: RecordLock, hole: RecordLock) -> list[RecordLock]:
    """What is left of a lock outside a range."""
    left: list[RecordLock] = []
    if lock.start < hole.start:
        left.append(RecordLock(lock.owner, lock.kind, lock.start, min(lock.end, hole.start - 1), lock.pid))
    if lock.end > hole.end:
        left.append(RecordLock(lock.owner, lock.kind, max(lock.start, hole.end + 1), lock.end, lock.pid))
    return left


def _check_deadlock(waits: dict[object, object], owner: object, blocker: object) -> None:
    """Follow who waits for whom; a way back to `owner` is EDEADLK."""
    current: object | None = blocker
    for _ in range(len(waits) + 1):
        if current is None:
            return
        if current is owner:
            raise SysError(EDEADLK)
        current = waits.get(current)
