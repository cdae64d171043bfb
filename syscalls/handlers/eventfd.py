"""Event counters: eventfd, eventfd2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EINVAL
from syscalls.abi.flags import EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE, O_RDWR
from syscalls.errors import SysError
from syscalls.objects.eventfd import EventFile
from syscalls.objects.polling import anonymous_inode
from syscalls.registry import syscall
from syscalls.types import EventfdFlags, Fd, UInt

if TYPE_CHECKING:
    from syscalls.objects.task import Task


@syscall("eventfd", errors="EMFILE")
async def eventfd(t: Task, initval: UInt) -> Fd:
    """Make an event counter (man 2 eventfd)."""
    return _make(t, initval, 0)


@syscall("eventfd2", errors="EINVAL EMFILE")
async def eventfd2(t: Task, initval: UInt, flags: EventfdFlags) -> Fd:
    """Make an event counter with flags (man 2 eventfd2)."""
    if flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE):
        raise SysError(EINVAL)
    return _make(t, initval, flags)


def _make(t: Task, count: int, flags: int) -> Fd:
    file = EventFile(anonymous_inode(t), O_RDWR | flags & EFD_NONBLOCK, count, flags & EFD_SEMAPHORE != 0)
    return t.files.alloc(file, flags & EFD_CLOEXEC != 0)
