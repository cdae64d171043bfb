"""epoll instances (man 7 epoll): an interest list, and the files of it that may have something to report.

Each interest stays on the wait queues of its file. A wake-up puts it on the ready list; whether something
really holds is asked when somebody waits, so a wake-up too many costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from linuxemu.kernel import WaitQueue
from syscalls.abi.errno import EEXIST, EINVAL, ELOOP, ENOENT
from syscalls.abi.flags import (
    EPOLLERR,
    EPOLLET,
    EPOLLEXCLUSIVE,
    EPOLLHUP,
    EPOLLIN,
    EPOLLONESHOT,
    EPOLLOUT,
    EPOLLWAKEUP,
    POLLIN,
    POLLRDNORM,
)
from syscalls.errors import SysError
from syscalls.objects.file import File
from syscalls.objects.polling import RemoteFile, Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode

_PRIVATE = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE
"""Bits that say how to report, and are no events."""
_WITH_EXCLUSIVE = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE
_MAX_NESTS = 4


class Interest(Subscriber):
    """One entry of an interest list.

    Args:
        epoll: the instance.
        fd: the number under which the file was added.
        file: what is watched; not kept open by this.
        events: EPOLL* bits; 0 apart from the private ones: disabled by EPOLLONESHOT.
        data: what epoll_wait hands back.
    """

    __slots__ = ("data", "epoll", "events", "fd", "file")

    def __init__(self, epoll: EpollFile, fd: int, file: File, events: int, data: int) -> None:
        super().__init__()
        self.epoll = epoll
        self.fd = fd
        self.file = file
        self.events = events
        self.data = data

    def wake(self, value: Any = None) -> None:
        """Something happened to the file."""
        if self.events & ~_PRIVATE:
            self.epoll.may_be_ready(self)

    def subscribe(self) -> None:
        """Join the wait queues of the file."""
        for queue in self.file.wait_queues():
            queue.add(self)
        if isinstance(self.file, EpollFile):
            self.file.watchers[self] = None

    def cancel(self) -> None:
        """Leave them."""
        for queue in self.file.wait_queues():
            queue.discard(self)
        if isinstance(self.file, EpollFile):
            self.file.watchers.pop(self, None)

    def holding(self) -> int:
        """The events that hold now."""
        return self.file.poll() & self.events & ~_PRIVATE


class Report(NamedTuple):
    """What epoll_wait hands out for one interest."""

    holding: int
    """The events that hold."""
    data: int
    interest: Interest
    events: int
    """Those it asked for, before EPOLLONESHOT disabled it."""


class EpollFile(RemoteFile):
    """An epoll instance. It is readable, for poll and for another instance, when it has something to report.

    Args:
        inode: what fstat shows.
        flags: status flags.
    """

    __slots__ = ("_interests", "_ready", "queue", "watchers")

    can_splice = False

    def __init__(self, inode: Inode, flags: int) -> None:
        super().__init__(inode, flags)
        self._interests: dict[tuple[int, File], Interest] = {}
        self._ready: dict[Interest, None] = {}
        self.queue = WaitQueue()
        """Woken when the ready list gets something new."""
        self.watchers: dict[Interest, None] = {}
        """The interests of other instances in this one."""

    async def lseek(self, t: Task, offset: int, whence: int) -> int:
        """Accepted, and of no effect."""
        return 0

    def may_be_ready(self, interest: Interest) -> None:
        """Put an interest on the ready list."""
        if interest not in self._ready:
            self._ready[interest] = None
        self.queue.wake_all()

    def _forget_closed(self) -> None:
        """A file leaves the interest list when its last descriptor is closed (man 7 epoll, Q6)."""
        for key, interest in list(self._interests.items()):
            if not interest.file.refs:
                self._remove(key, interest)

    def _remove(self, key: tuple[int, File], interest: Interest) -> None:
        del self._interests[key]
        self._ready.pop(interest, None)
        interest.cancel()

    def add(self, fd: int, file: File, events: int, data: int) -> None:
        """EPOLL_CTL_ADD.

        Raises:
            SysError: EEXIST, EINVAL for EPOLLEXCLUSIVE with more, ELOOP for instances that watch each other.
        """
        if events & EPOLLEXCLUSIVE and (events & ~_WITH_EXCLUSIVE or isinstance(file, EpollFile)):
            raise SysError(EINVAL)
        self._forget_closed()
        if (fd, file) in self._interests:
            raise SysError(EEXIST)
        if isinstance(file, EpollFile):
            self._check_loop(file)
        interest = Interest(self, fd, file, events | EPOLLERR | EPOLLHUP, data)
        self._interests[fd, file] = interest
        interest.subscribe()
        if interest.holding():
            self.may_be_ready(interest)

    def modify(self, fd: int, file: File, events: int, data: int) -> None:
        """EPOLL_CTL_MOD: also arms again what EPOLLONESHOT disabled."""
        if events & EPOLLEXCLUSIVE:
            raise SysError(EINVAL)
        interest = self._find(fd, file)
        if interest.events & EPOLLEXCLUSIVE:
            raise SysError(EINVAL)
        interest.events = events | EPOLLERR | EPOLLHUP
        interest.data = data
        if interest.holding():
            self.may_be_ready(interest)

    def delete(self, fd: int, file: File) -> None:
        """EPOLL_CTL_DEL."""
        self._remove((fd, file), self._find(fd, file))

    def _find(self, fd: int, file: File) -> Interest:
        interest = self._interests.get((fd, file))
        if interest is None:
            raise SysError(ENOENT)
        return interest

    def _check_loop(self, file: EpollFile) -> None:
        """Instances may watch each other five deep at most and never in a circle."""
        if self in file.reachable() or _depth(file) + _height(self) > _MAX_NESTS:
            raise SysError(ELOOP)

    def inner(self) -> Iterator[EpollFile]:
        """The instances in the interest list."""
        for interest in self._interests.values():
            if isinstance(interest.file, EpollFile):
                yield interest.file

    def reachable(self) -> set[EpollFile]:
        """This instance and all those it watches, directly or not."""
        found: set[EpollFile] = set()
        todo = [self]
        while todo:
            epoll = todo.pop()
            if epoll not in found:
                found.add(epoll)
                todo += epoll.inner()
        return found

    def harvest(self, limit: int) -> list[Report]:
        """Take up to `limit` reports off the ready list.

        What is level-triggered goes to the end of the list and is looked at again the next time.
        """
        found: list[Report] = []
        for interest in list(self._ready):
            if len(found) == limit:
                break
            del self._ready[interest]
            if not interest.file.refs:
                continue
            holding = interest.holding()
            if not holding:
                continue
            found.append(Report(holding, interest.data, interest, interest.events))
            if interest.events & EPOLLONESHOT:
                interest.events &= _PRIVATE
            elif not interest.events & EPOLLET:
                self._ready[interest] = None
        return found

    def put_back(self, reports: list[Report]) -> None:
        """Reports that could not be delivered will be made again."""
        for report in reports:
            report.interest.events = report.events
            self._ready[report.interest] = None

    async def refresh(self, events: int) -> None:
        """Let the watched files that need it ask their servers."""
        for interest in list(self._interests.values()):
            if isinstance(interest.file, RemoteFile) and interest.file.refs:
                before = interest.file.poll()
                await interest.file.refresh(interest.events & ~_PRIVATE)
                if interest.holding() & ~before or (interest.holding() and not interest.events & EPOLLET):
                    self.may_be_ready(interest)

    def poll(self) -> int:
        """Readable when something on the ready list really is ready."""
        for interest in list(self._ready):
            if interest.file.refs and interest.holding():
                return POLLIN | POLLRDNORM
        return 0

    def wait_queues(self) -> Sequence[WaitQueue]:
        """Woken with the ready list."""
        return (self.queue,)

    async def release(self) -> None:
        """Stop watching."""
        for key, interest in list(self._interests.items()):
            self._remove(key, interest)

    def proc_name(self) -> bytes:
        """As Linux shows it."""
        return b"anon_inode:[eventpoll]"

    def fdinfo(self) -> bytes:
        """The interest list, for /proc/pid/fdinfo."""
        lines = []
        for interest in self._interests.values():
            inode = interest.file.inode
            lines.append(
                b"tfd: %8d events: %8x data: %16x  pos:%d ino:%x sdev:%x\n"
                % (interest.fd, interest.events, interest.data, interest.file.pos, inode.ino, inode.fs.dev)
            )
        return b"".join(lines)


def _depth(epoll: EpollFile) -> int:
    """How many levels of instances are below, this one included."""
    return 1 + max((_depth(inner) for inner in epoll.inner()), default=0)


def _height(epoll: EpollFile) -> int:
    """How many levels of instances are above, this one not included."""
    return max((1 + _height(interest.epoll) for interest in epoll.watchers), default=0)
