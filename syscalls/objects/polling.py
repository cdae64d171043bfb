"""What poll needs besides `File.poll`: files that have to ask a server first, and SIGIO (man 7 signal)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.kernel import Waiter
from syscalls.abi.errno import ENOTTY
from syscalls.abi.flags import (
    O_ASYNC,
    POLL_IN,
    POLL_OUT,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
    SI_KERNEL,
    SI_SIGIO,
    SIGBUS,
    SIGCHLD,
    SIGFPE,
    SIGILL,
    SIGIO,
    SIGSEGV,
    SIGSYS,
    SIGTRAP,
)
from syscalls.errors import SysError
from syscalls.objects.file import File
from syscalls.objects.siginfo import SigInfo
from syscalls.vfs.virtual import VirtualInode

_ANON_INO = 1
_PAGE = 4096
_BAND_IN = POLLIN | POLLRDNORM
_BAND_OUT = POLLOUT | POLLWRNORM | POLLWRBAND
_WITH_OWN_CODES = (SIGILL, SIGFPE, SIGSEGV, SIGBUS, SIGTRAP, SIGCHLD, SIGSYS)
"""Signals whose si_code above 0 means something else than POLL_IN and its like."""

if TYPE_CHECKING:
    from typing import Any

    from syscalls.objects.process import Process, ProcessTable
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode


def anonymous_inode(t: Task) -> Inode:
    """An inode for a file that is nothing but a descriptor: epoll, eventfd, signalfd, timerfd.

    On Linux they all share one; here each has its own, with the same number, mode and owner.
    """
    fs = t.server.devices.anonfs
    inode = VirtualInode(fs, 0o600, ino=_ANON_INO, uid=0, gid=0)
    inode.attr = inode.attr._replace(blksize=_PAGE)
    return inode


class RemoteFile(File):
    """A file for which poll, select and epoll have to ask a server before they look."""

    __slots__ = ()

    async def refresh(self, events: int) -> None:
        """Learn which of `events` hold now, and arrange to be woken for those that do not yet.

        Args:
            events: POLL* bits somebody is about to wait for.
        """
        raise NotImplementedError


class Subscriber(Waiter):
    """Stays on wait queues and is called each time one of them is woken."""

    __slots__ = ()

    def __init__(self) -> None:
        self.woken = False

    def wake(self, value: Any = None) -> None:
        """Something may have changed."""
        raise NotImplementedError


class _SigioSender(Subscriber):
    """Sends SIGIO to a file's owner whenever something happens to the file, while O_ASYNC is set."""

    __slots__ = ("_fd", "_file", "_table")

    def __init__(self, fd: int, file: File, table: ProcessTable) -> None:
        super().__init__()
        self._fd = fd
        self._file = file
        self._table = table

    def wake(self, value: Any = None) -> None:
        """Signal the owner, or take itself off once nobody wants that any more."""
        file = self._file
        if not file.refs or not file.flags & O_ASYNC:
            for queue in file.wait_queues():
                queue.discard(self)
            return
        from syscalls.objects.signal import send_signal

        for owner in self._owners():
            try:
                send_signal(owner, self._info())
            except SysError:  # no room for a real-time signal
                send_signal(owner, SigInfo(SIGIO, SI_KERNEL))

    def _owners(self) -> list[Process | Task]:
        file, table = self._file, self._table
        if file.owner < 0:
            group = table.groups.get(-file.owner)
            return [*group.members.values()] if group is not None else []
        owner = (table.tasks if file.owner_is_thread else table.processes).get(file.owner)
        return [owner] if owner is not None else []

    def _info(self) -> SigInfo:
        signo = self._file.owner_signal
        if not signo:
            return SigInfo(SIGIO, SI_KERNEL)
        code, band = (POLL_IN, _BAND_IN) if self._file.poll() & POLLIN else (POLL_OUT, _BAND_OUT)
        if signo in _WITH_OWN_CODES:
            code = SI_SIGIO
        return SigInfo(signo, code, timer=band, overrun=self._fd)


def set_async(t: Task, fd: int, file: File, on: bool) -> None:
    """F_SETFL O_ASYNC and ioctl FIOASYNC: SIGIO when input or output becomes possible.

    Raises:
        SysError: ENOTTY for a file nobody can wait for; fcntl does not ask then.
    """
    if not file.wait_queues() or not file.has_sigio:
        raise SysError(ENOTTY)
    if on and not file.flags & O_ASYNC:
        file.flags |= O_ASYNC
        sender = _SigioSender(fd, file, t.process.table)
        for queue in file.wait_queues():
            queue.add(sender)
    elif not on:
        file.flags &= ~O_ASYNC
