"""The end of processes, and waiting for it: exit, exit_group, wait4, waitid."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING, Annotated

from syscalls.abi import flags
from syscalls.abi.errno import EAGAIN, EBADF, EINVAL, ESRCH
from syscalls.abi.flags import (
    O_NONBLOCK,
    P_ALL,
    P_PGID,
    P_PID,
    P_PIDFD,
    SIGCHLD,
    WCONTINUED,
    WEXITED,
    WNOHANG,
    WNOWAIT,
    WSTOPPED,
    WUNTRACED,
)
from syscalls.abi.structs import Rusage
from syscalls.errors import Interrupted, SysError
from syscalls.objects.exit import exit_group as end_group
from syscalls.objects.exit import exit_task
from syscalls.objects.task import Task, TaskExited
from syscalls.objects.wait import ChildEvent, WaitTarget, rusage, wait_child
from syscalls.registry import syscall
from syscalls.types import Int, Out, Pid, Shown, WaitFlags, WaitId, WaitIdType

if TYPE_CHECKING:
    from syscalls.objects.process import Process

_ALIKE = WNOHANG | WCONTINUED | flags.__WNOTHREAD | flags.__WCLONE | flags.__WALL
_WAIT4_OPTIONS = _ALIKE | WUNTRACED
_WAITID_STATES = WEXITED | WSTOPPED | WCONTINUED
_WAITID_OPTIONS = _ALIKE | _WAITID_STATES | WNOWAIT
_INT_MIN = -(1 << 31)
_U32 = 0xFFFF_FFFF


@syscall("exit")
async def exit(t: Task, status: Int) -> None:
    """End the calling thread (man 2 _exit)."""
    await exit_task(t, (status & 0xFF) << 8)
    raise TaskExited


@syscall("exit_group")
async def exit_group(t: Task, status: Int) -> None:
    """End all threads of the process (man 2 exit_group)."""
    await end_group(t, (status & 0xFF) << 8)
    raise TaskExited


def _group_target(t: Task, pgid: int) -> WaitTarget:
    """The children in a process group; 0 for the caller's own."""
    return WaitTarget(P_PGID, pgrp=t.process.table.groups.get(pgid) if pgid else t.process.pgrp)


def _process_target(t: Task, pid: int) -> WaitTarget:
    return WaitTarget(P_PID, t.process.table.processes.get(pid))


@syscall("wait4", errors="ECHILD EFAULT EINTR EINVAL ESRCH")
async def wait4(
    t: Task,
    pid: Pid,
    wstatus: Annotated[Out[int], Shown("wait_status")],
    options: WaitFlags,
    ru: Annotated[Out[Rusage], Shown("wait_rusage")],
) -> Pid:
    """Wait for a child to end, stop or continue (man 2 wait4)."""
    if options & _U32 & ~_WAIT4_OPTIONS:
        raise SysError(EINVAL)
    if pid == _INT_MIN:
        raise SysError(ESRCH)
    if pid == -1:
        target = WaitTarget(P_ALL)
    elif pid <= 0:
        target = _group_target(t, -pid)
    else:
        target = _process_target(t, pid)
    event = await wait_child(t, target, options | WEXITED)
    if event is None:
        return 0
    if wstatus:
        await t.mem.put_u32(wstatus, event.word)
    if ru:
        await t.mem.put(ru, rusage(event.usage))
    return event.pid


def _pidfd_process(t: Task, fd: int) -> tuple[Process, bool]:
    """The process of a pidfd, and whether it was opened with PIDFD_NONBLOCK; EBADF for another file."""
    file = t.files.get(fd)
    process: Process | None = getattr(file, "pidfd_process", None)
    if process is None:
        raise SysError(EBADF)
    return process, bool(file.flags & O_NONBLOCK)


@syscall("waitid", errors="EBADF ECHILD EFAULT EINTR EINVAL")
async def waitid(
    t: Task,
    idtype: WaitIdType,
    id: WaitId,
    infop: Annotated[Out[bytes], Shown("wait_info")],
    options: WaitFlags,
    ru: Annotated[Out[Rusage], Shown("wait_rusage")],
) -> None:
    """Wait for a child to reach one of the chosen states, without reaping if asked (man 2 waitid)."""
    try:
        event = await _waitid(t, idtype, id, options)
    except (SysError, Interrupted):
        await _put_event(t, infop, None)
        raise
    if event is not None and ru:
        await t.mem.put(ru, rusage(event.usage))
    await _put_event(t, infop, event)


async def _waitid(t: Task, idtype: int, number: int, options: int) -> ChildEvent | None:
    if options & _U32 & ~_WAITID_OPTIONS or not options & _WAITID_STATES:
        raise SysError(EINVAL)
    target, nonblock = _waitid_target(t, idtype, number)
    event = await wait_child(t, target, options | WNOHANG if nonblock else options)
    if event is None and nonblock and not options & WNOHANG:
        raise SysError(EAGAIN)
    return event


def _waitid_target(t: Task, idtype: int, number: int) -> tuple[WaitTarget, bool]:
    """Whom to wait for, and whether its pidfd forbids to block."""
    if idtype == P_ALL:
        return WaitTarget(P_ALL), False
    if number < 0 or (idtype == P_PID and not number):
        raise SysError(EINVAL)
    if idtype == P_PID:
        return _process_target(t, number), False
    if idtype == P_PGID:
        return _group_target(t, number), False
    if idtype == P_PIDFD:
        process, nonblock = _pidfd_process(t, number)
        return WaitTarget(P_PID, process), nonblock
    raise SysError(EINVAL)


async def _put_event(t: Task, infop: int, event: ChildEvent | None) -> None:
    """Write the fields of siginfo that waitid sets, zeros for no event; other bytes stay as they are."""
    if not infop:
        return
    if event is None:
        await t.mem.write(infop, bytes(12))
        await t.mem.write(infop + 16, bytes(12))
        return
    await t.mem.write(infop, pack("<iii", SIGCHLD, 0, event.code))
    await t.mem.write(infop + 16, pack("<iIi", event.pid, event.uid, event.status))
