"""epoll: epoll_create, epoll_ctl, epoll_wait and their variants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from linuxemu.arch.x86_64 import USER_END
from syscalls.abi.errno import EFAULT, EINVAL, EPERM
from syscalls.abi.flags import EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, O_RDWR
from syscalls.abi.structs import EpollEvent, Timespec
from syscalls.errors import Restart, SysError
from syscalls.handlers.poll import deadline_after, read_sigmask, with_sigmask
from syscalls.objects.epoll import EpollFile, Report
from syscalls.objects.polling import anonymous_inode
from syscalls.registry import syscall
from syscalls.types import Count, EpollFlags, EpollOp, EpollSigset, Fd, In, Int, Out, Shown, Size

if TYPE_CHECKING:
    from syscalls.objects.task import Task

_MAX_EVENTS = 0x7FFF_FFFF // EpollEvent.SIZE


@syscall("epoll_create", errors="EINVAL EMFILE")
async def epoll_create(t: Task, size: Int) -> int:
    """Make an epoll instance; the size is only checked (man 2 epoll_create)."""
    if size <= 0:
        raise SysError(EINVAL)
    return _create(t, 0)


@syscall("epoll_create1", errors="EINVAL EMFILE")
async def epoll_create1(t: Task, flags: EpollFlags) -> int:
    """Make an epoll instance (man 2 epoll_create1)."""
    if flags & ~EPOLL_CLOEXEC:
        raise SysError(EINVAL)
    return _create(t, flags)


def _create(t: Task, flags: int) -> int:
    return t.files.alloc(EpollFile(anonymous_inode(t), O_RDWR), flags & EPOLL_CLOEXEC != 0)


def _epoll(t: Task, fd: int) -> EpollFile:
    file = t.files.get(fd)
    if not isinstance(file, EpollFile):
        raise SysError(EINVAL)
    return file


@syscall("epoll_ctl", errors="EBADF EEXIST EFAULT EINVAL ELOOP ENOENT EPERM")
async def epoll_ctl(
    t: Task, epfd: Fd, op: EpollOp, fd: Fd, event: Annotated[In[EpollEvent], Shown("epoll_change")]
) -> int:
    """Add, change or remove an entry of the interest list (man 2 epoll_ctl)."""
    wanted = await t.mem.struct(event, EpollEvent) if op != EPOLL_CTL_DEL else EpollEvent(0, 0)
    t.files.get(epfd)
    file = t.files.get(fd)
    if not file.can_epoll:
        raise SysError(EPERM)
    epoll = _epoll(t, epfd)
    if file is epoll:
        raise SysError(EINVAL)
    if op == EPOLL_CTL_ADD:
        epoll.add(fd, file, wanted.events, wanted.data)
    elif op == EPOLL_CTL_MOD:
        epoll.modify(fd, file, wanted.events, wanted.data)
    elif op == EPOLL_CTL_DEL:
        epoll.delete(fd, file)
    else:
        raise SysError(EINVAL)
    return 0


async def _wait(t: Task, epfd: int, events: int, maxevents: int, deadline_ns: int | None) -> int:
    """The common part of the waiting calls."""
    t.files.get(epfd)
    if not 0 < maxevents <= _MAX_EVENTS:
        raise SysError(EINVAL)
    if events + maxevents * EpollEvent.SIZE > USER_END:
        raise SysError(EFAULT)
    epoll = _epoll(t, epfd)
    reports: list[Report] = []

    def scan() -> int:
        reports[:] = epoll.harvest(maxevents)
        return len(reports)

    await epoll.refresh(0)
    if deadline_ns == 0:
        scan()  # unlike poll, this does not look for signals
    else:
        await t.wait(epoll.wait_queues(), lambda: scan() or None, deadline_ns, Restart.NEVER)
    for done, report in enumerate(reports):
        try:
            await t.mem.put(events + done * EpollEvent.SIZE, EpollEvent(report.holding, report.data))
        except SysError:
            epoll.put_back(reports[done:])
            if done:
                return done
            raise
    return len(reports)


def _milliseconds(t: Task, timeout: int) -> int | None:
    return None if timeout < 0 else deadline_after(t, timeout // 1000, timeout % 1000 * 1_000_000)


@syscall("epoll_wait", errors="EBADF EFAULT EINTR EINVAL EIO")
async def epoll_wait(
    t: Task, epfd: Fd, events: Annotated[Out[EpollEvent], Count("result")], maxevents: Int, timeout: Int
) -> int:
    """Wait for a file of the interest list to become ready (man 2 epoll_wait)."""
    return await _wait(t, epfd, events, maxevents, _milliseconds(t, timeout))


@syscall("epoll_pwait", errors="EBADF EFAULT EINTR EINVAL EIO")
async def epoll_pwait(
    t: Task,
    epfd: Fd,
    events: Annotated[Out[EpollEvent], Count("result")],
    maxevents: Int,
    timeout: Int,
    sigmask: EpollSigset,
    sigsetsize: Size,
) -> int:
    """epoll_wait under another signal mask (man 2 epoll_pwait)."""
    mask = await read_sigmask(t, sigmask, sigsetsize)
    return await with_sigmask(t, mask, _wait(t, epfd, events, maxevents, _milliseconds(t, timeout)))


@syscall("epoll_pwait2", errors="EBADF EFAULT EINTR EINVAL EIO")
async def epoll_pwait2(
    t: Task,
    epfd: Fd,
    events: Annotated[Out[EpollEvent], Count("result")],
    maxevents: Int,
    timeout: Annotated[In[Timespec], Shown("epoll_timeout")],
    sigmask: EpollSigset,
    sigsetsize: Size,
) -> int:
    """The same with a timeout in nanoseconds (man 2 epoll_pwait2)."""
    deadline = None
    if timeout:
        given = await t.mem.struct(timeout, Timespec)
        deadline = deadline_after(t, given.tv_sec, given.tv_nsec)
    mask = await read_sigmask(t, sigmask, sigsetsize)
    return await with_sigmask(t, mask, _wait(t, epfd, events, maxevents, deadline))
