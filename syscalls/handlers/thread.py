"""fork, vfork, clone, clone3: new processes and threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import USER_END
from syscalls.abi.errno import E2BIG, EAGAIN, EINVAL, ENOMEM, EPERM
from syscalls.abi.flags import (
    CAP_SYS_ADMIN,
    CAP_SYS_RESOURCE,
    CLONE_CHILD_CLEARTID,
    CLONE_CHILD_SETTID,
    CLONE_CLEAR_SIGHAND,
    CLONE_FILES,
    CLONE_FS,
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    CLONE_PARENT,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_SETTLS,
    CLONE_SIGHAND,
    CLONE_SYSVSEM,
    CLONE_THREAD,
    CLONE_VFORK,
    CLONE_VM,
    RLIM_INFINITY,
    RLIMIT_NPROC,
    SIGCHLD,
)
from syscalls.errors import OutOfMemory, SysError
from syscalls.objects.fdtable import FILE_SIZE
from syscalls.objects.memory import UserMemory
from syscalls.objects.siginfo import NSIG
from syscalls.objects.task import NO_ALTSTACK
from syscalls.registry import PARTIAL, syscall
from syscalls.types import Address, CloneFlags, InOut, Out, Pid, Size

if TYPE_CHECKING:
    from linuxemu.messages import TrapFrame
    from syscalls.abi.structs import CloneArgs
    from syscalls.objects.task import Task

_NAMESPACES = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
)
_CSIGNAL = 0xFF
_CLONE_NEWTIME, _CLONE_DETACHED, _CLONE_INTO_CGROUP = 0x80, 0x0040_0000, 1 << 33
_NOT_IN_CLONE3 = _CSIGNAL & ~_CLONE_NEWTIME | _CLONE_DETACHED


async def _clone(
    t: Task, flags: int, stack: int, parent_tid: int, child_tid: int, tls: int, exit_signal: int
) -> int:
    """Make a task that shares with the caller what `flags` say; the work behind all four calls (man 2 clone)."""
    _check(t, flags, exit_signal)
    server = t.server
    ktask = await server.reserve_task()
    try:
        child = await _new_task(t, flags, exit_signal)
    except BaseException:
        server.give_back(ktask)
        raise
    child.start_ns = server.port.now_ns()
    child.frame = _child_frame(t.frame, stack, tls if flags & CLONE_SETTLS else None)
    if flags & CLONE_CHILD_CLEARTID:
        child.clear_child_tid = child_tid
    if flags & CLONE_PARENT_SETTID:
        await _store_tid(t, parent_tid, child.tid)
    if flags & CLONE_CHILD_SETTID:
        await _store_tid(child, child_tid, child.tid)
    if flags & CLONE_VFORK:
        child.process.vfork_pending = True
    tid = child.tid
    if t.tracer is not None:
        t.tracer.cloned(t, child)
    server.start_task(child, t, ktask)
    if flags & CLONE_VFORK:
        process = child.process
        await t.wait_killable([process.vfork_done], lambda: None if process.vfork_pending else True)
    return tid


async def _new_task(t: Task, flags: int, exit_signal: int) -> Task:
    """The child with what it shares and what it has copies of; nothing is left of it if that fails."""
    table = t.server.table_of_processes
    if flags & CLONE_THREAD:
        child = table.add_thread(t)
    else:
        child = table.fork(
            t,
            exit_signal=exit_signal,
            sibling=bool(flags & CLONE_PARENT),
            share_sighand=bool(flags & CLONE_SIGHAND),
        )
        if flags & CLONE_CLEAR_SIGHAND:
            child.process.sighand = child.process.sighand.exec_clone()
    try:
        await _share_and_copy(t, child, flags)
    except BaseException:
        table.undo_clone(child)
        raise
    return child


async def _share_and_copy(t: Task, child: Task, flags: int) -> None:
    """Give the child its memory, descriptors and directories: the caller's own, or copies of them."""
    if flags & CLONE_VM:
        child.mm = t.mm
        t.mm.users += 1
        child.mem = t.mem
        if not flags & CLONE_VFORK:
            child.sigaltstack = NO_ALTSTACK
    else:
        child.rseq = t.rseq  # at the same address of memory that is its own
        t.mm.pid = t.process.pid
        child.mm = t.mm.clone(child.process.rlimits)
        child.mm.pid = child.process.pid
        child.mem = UserMemory(child.mm)
    child.files = t.files.share() if flags & CLONE_FILES else t.files.clone(child.process.rlimits)
    child.fs = t.fs if flags & CLONE_FS else t.fs.clone()
    if flags & CLONE_SYSVSEM:
        from syscalls.objects.sem import undo_list

        child.sem_undo = undo_list(t)
        child.sem_undo.users += 1


def _check(t: Task, flags: int, exit_signal: int) -> None:
    """Combinations that Linux refuses, in its order."""
    if (
        flags & (CLONE_NEWNS | CLONE_FS) == CLONE_NEWNS | CLONE_FS
        or (flags & CLONE_THREAD and not flags & CLONE_SIGHAND)
        or (flags & CLONE_SIGHAND and (not flags & CLONE_VM or flags & CLONE_CLEAR_SIGHAND))
        or not 0 <= exit_signal <= NSIG
        or (
            flags & CLONE_PARENT
            and t.process.parent is not None
            and t.process.parent.unkillable
            and t.process.pid == 1
        )
    ):
        raise SysError(EINVAL)
    if flags & _NAMESPACES:
        if not t.creds.capable(CAP_SYS_ADMIN):
            raise SysError(EPERM)
        t.server.unsupported(f"clone: namespaces {flags & _NAMESPACES:#x}", t)
        raise SysError(EINVAL)
    if flags & CLONE_PIDFD:
        t.server.unsupported("clone: CLONE_PIDFD", t)
        raise SysError(EINVAL)
    limit, creds = t.process.rlimits[RLIMIT_NPROC][0], t.creds
    exempt = not creds.uid or creds.capable(CAP_SYS_RESOURCE) or creds.capable(CAP_SYS_ADMIN)
    if limit != RLIM_INFINITY and not exempt and t.server.table_of_processes.of_user(creds.uid) >= limit:
        raise SysError(EAGAIN)
    if not flags & CLONE_FILES and not t.server.port.room.fits(len(t.files) * FILE_SIZE):
        raise SysError(ENOMEM)


def _child_frame(frame: TrapFrame, stack: int, tls: int | None) -> TrapFrame:
    """The child's registers: the caller's, with 0 as result."""
    child = frame._replace(rax=0)
    if stack:
        child = child._replace(rsp=stack)
    if tls is not None:
        child = child._replace(fsbase=tls)
    return child


async def _store_tid(t: Task, address: int, tid: int) -> None:
    """Store a tid where the caller wants it; Linux ignores a bad address here."""
    try:
        await t.mem.put_u32(address, tid)
    except (SysError, OutOfMemory):
        pass


@syscall("fork", errors="EAGAIN EIO ENOMEM")
async def fork(t: Task) -> Pid:
    """Make a copy of the calling process (man 2 fork)."""
    return await _clone(t, 0, 0, 0, 0, 0, SIGCHLD)


@syscall("vfork", errors="EAGAIN EIO")
async def vfork(t: Task) -> Pid:
    """Make a child that borrows the caller's memory until it runs a program or exits (man 2 vfork)."""
    return await _clone(t, CLONE_VM | CLONE_VFORK, 0, 0, 0, 0, SIGCHLD)


@syscall(
    "clone",
    errors="EAGAIN EINVAL EIO ENOMEM EPERM",
    support=PARTIAL,
    notes="no namespaces, no CLONE_PIDFD",
)
async def clone(
    t: Task, flags: CloneFlags, stack: Address, parent_tid: Out[int], child_tid: Out[int], tls: Address
) -> Pid:
    """Make a task that shares what the flags say (man 2 clone)."""
    flags &= 0xFFFF_FFFF
    exit_signal = flags & _CSIGNAL
    if exit_signal > NSIG:
        exit_signal = 0  # no signal at all, and no error
    return await _clone(t, flags & ~_CSIGNAL, stack, parent_tid, child_tid, tls, exit_signal)


@syscall(
    "clone3",
    errors="E2BIG EAGAIN EFAULT EINVAL EIO ENOMEM EPERM",
    support=PARTIAL,
    notes="no namespaces, no CLONE_PIDFD, no CLONE_INTO_CGROUP, no set_tid",
)
async def clone3(t: Task, cl_args: InOut[CloneArgs], size: Size) -> Pid:
    """clone with its arguments in a struct (man 2 clone3)."""
    if size < 64:
        raise SysError(EINVAL)
    if size > 4096:
        raise SysError(E2BIG)
    raw = await t.mem.read(cl_args, size)
    if any(raw[88:]):
        raise SysError(E2BIG)
    words = [int.from_bytes(raw[at : at + 8], "little") for at in range(0, min(size, 88), 8)]
    flags, _, child_tid, parent_tid, exit_signal, stack, stack_size, tls = words[:8]
    if (
        flags & _NOT_IN_CLONE3
        or flags >> 34
        or bool(stack) != bool(stack_size)
        or stack + stack_size > USER_END
    ):
        raise SysError(EINVAL)
    if flags & (CLONE_THREAD | CLONE_PARENT) and exit_signal:
        raise SysError(EINVAL)
    if any(words[8:]) or flags & (_CLONE_INTO_CGROUP | _CLONE_NEWTIME):
        t.server.unsupported("clone3: set_tid, CLONE_INTO_CGROUP or CLONE_NEWTIME", t)
        raise SysError(EINVAL)
    return await _clone(t, flags, stack + stack_size, parent_tid, child_tid, tls, exit_signal)
