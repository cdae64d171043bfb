"""eventfd counters (man 2 eventfd)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.kernel import WaitQueue
from syscalls.abi.errno import EAGAIN, EINVAL
from syscalls.abi.flags import O_NONBLOCK, POLLERR, POLLIN, POLLOUT
from syscalls.errors import SysError
from syscalls.objects.file import File

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode

_FULL = (1 << 64) - 1
"""A counter never gets here by writing; a write of this is EINVAL."""


class EventFile(File):
    """A counter that writes add to and reads take away from.

    Args:
        inode: what fstat shows.
        flags: status flags.
        count: what it starts with.
        semaphore: EFD_SEMAPHORE: a read takes one instead of all.
    """

    __slots__ = ("_count", "_queue", "_semaphore")

    can_splice = False
    reads_whole = True
    writes_segments = True

    def __init__(self, inode: Inode, flags: int, count: int, semaphore: bool) -> None:
        super().__init__(inode, flags)
        self._count = count
        self._semaphore = semaphore
        self._queue = WaitQueue()

    async def read(self, t: Task, count: int) -> bytes:
        """Take the count, eight bytes; wait while it is 0."""
        if count < 8:
            raise SysError(EINVAL)
        if not self._count and self.flags & O_NONBLOCK:
            raise SysError(EAGAIN)
        taken = await t.wait([self._queue], self._take) or 0
        return taken.to_bytes(8, "little")

    def _take(self) -> int | None:
        if not self._count:
            return None
        taken = 1 if self._semaphore else self._count
        self._count -= taken
        self._queue.wake_all()
        return taken

    def check_write(self, t: Task, count: int) -> None:
        """A number has exactly eight bytes."""
        if count != 8:
            raise SysError(EINVAL)

    async def write(self, t: Task, data: bytes) -> int:
        """Add a number; wait while it does not fit."""
        self.check_write(t, len(data))
        more = int.from_bytes(data, "little")
        if more == _FULL:
            raise SysError(EINVAL)

        def add() -> int | None:
            if self._count + more >= _FULL:
                return None
            self._count += more
            self._queue.wake_all()
            return 8

        if self._count + more >= _FULL and self.flags & O_NONBLOCK:
            raise SysError(EAGAIN)
        return await t.wait([self._queue], add) or 0

    async def lseek(self, t: Task, offset: int, whence: int) -> int:
        """Accepted, and of no effect."""
        return 0

    def poll(self) -> int:
        """Readable when not 0, writable when 1 can be added."""
        mask = POLLIN if self._count else 0
        if self._count == _FULL:
            mask |= POLLERR
        return mask | POLLOUT if self._count < _FULL - 1 else mask

    def wait_queues(self) -> Sequence[WaitQueue]:
        """Woken by every read and write."""
        return (self._queue,)

    def proc_name(self) -> bytes:
        """As Linux shows it."""
        return b"anon_inode:[eventfd]"

    def fdinfo(self) -> bytes:
        """The counter, for /proc/pid/fdinfo."""
        return b"eventfd-count: %16x\neventfd-semaphore: %d\n" % (self._count, self._semaphore)
