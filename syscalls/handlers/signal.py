"""Signal calls: actions, masks, sending, waiting, and the return from a handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import E2BIG, EAGAIN, EINTR, EINVAL, EPERM, ESRCH
from syscalls.abi.flags import (
    SA_EXPOSE_TAGBITS,
    SA_NOCLDSTOP,
    SA_NOCLDWAIT,
    SA_NODEFER,
    SA_ONSTACK,
    SA_RESETHAND,
    SA_RESTART,
    SA_RESTORER,
    SA_SIGINFO,
    SI_ASYNCNL,
    SI_DETHREAD,
    SI_KERNEL,
    SI_TKILL,
    SIG_BLOCK,
    SIG_SETMASK,
    SIG_UNBLOCK,
    SIGBUS,
    SIGCHLD,
    SIGFPE,
    SIGILL,
    SIGSEGV,
    SIGSYS,
    SIGTRAP,
    SS_AUTODISARM,
)
from syscalls.abi.structs import Sigaction, StackT, Timespec
from syscalls.errors import Interrupted, Restart, SysError
from syscalls.objects.siginfo import NSIG, UNBLOCKABLE, SigAction, SigInfo, bit, has_foreign_tail
from syscalls.objects.signal import check_kill_permission, dequeue, discard_ignored, send_signal, user_info
from syscalls.objects.task import AltStack, Task
from syscalls.registry import syscall
from syscalls.sigframe_x86_64 import change_altstack, pop_frame, stack_state
from syscalls.types import (
    In,
    OldSigset,
    Out,
    PendingSigset,
    Pid,
    Shown,
    SigmaskHow,
    Signal,
    Sigset,
    Size,
    TakenSignal,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from syscalls.objects.process import Process

_SIGSET_SIZE = 8
_ALL = (1 << NSIG) - 1
_INT_MIN = -(1 << 31)
_SIGINFO_KEPT = 48
_SIGINFO_SIZE = 128
_SA_KNOWN = (
    SA_NOCLDSTOP
    | SA_NOCLDWAIT
    | SA_SIGINFO
    | SA_ONSTACK
    | SA_RESTART
    | SA_NODEFER
    | SA_RESETHAND
    | SA_EXPOSE_TAGBITS
    | SA_RESTORER
)
# Highest si_code that Linux knows for signals with codes of their own, and for all others (those of SIGIO).
_LAST_CODE = {SIGILL: 11, SIGFPE: 15, SIGSEGV: 10, SIGBUS: 5, SIGTRAP: 6, SIGCHLD: 6, SIGSYS: 2}
_LAST_POLL_CODE = 6


# -- actions, masks ------------------------------------------------------------------------------------------


@syscall("rt_sigaction", errors="EFAULT EINVAL")
async def rt_sigaction(
    t: Task,
    signum: Signal,
    act: Annotated[In[Sigaction], Shown("sigaction")],
    oldact: Annotated[Out[Sigaction], Shown("sigaction")],
    sigsetsize: Size,
) -> None:
    """Look at and change what the process does on a signal (man 2 rt_sigaction)."""
    if sigsetsize != _SIGSET_SIZE:
        raise SysError(EINVAL)
    new = await t.mem.struct(act, Sigaction) if act else None
    if not 1 <= signum <= NSIG or (new is not None and bit(signum) & UNBLOCKABLE):
        raise SysError(EINVAL)
    sighand = t.process.sighand
    old = sighand.get(signum)
    if new is not None:
        sighand.set(
            signum, SigAction(new.handler, new.flags & _SA_KNOWN, new.restorer, new.mask & ~UNBLOCKABLE)
        )
        discard_ignored(t.process, signum)
    if oldact:
        await t.mem.put(oldact, Sigaction(old.handler, old.flags, old.restorer, old.mask))


@syscall("rt_sigprocmask", errors="EFAULT EINVAL")
async def rt_sigprocmask(t: Task, how: SigmaskHow, nset: Sigset, oset: OldSigset, sigsetsize: Size) -> None:
    """Look at and change the caller's signal mask (man 2 rt_sigprocmask)."""
    if sigsetsize != _SIGSET_SIZE:
        raise SysError(EINVAL)
    old = t.blocked
    if nset:
        mask = await t.mem.u64(nset) & ~UNBLOCKABLE
        if how == SIG_BLOCK:
            t.blocked = old | mask
        elif how == SIG_UNBLOCK:
            t.blocked = old & ~mask
        elif how == SIG_SETMASK:
            t.blocked = mask
        else:
            raise SysError(EINVAL)
    if oset:
        await t.mem.put_u64(oset, old)


@syscall("rt_sigpending", errors="EFAULT EINVAL")
async def rt_sigpending(t: Task, uset: PendingSigset, sigsetsize: Size) -> None:
    """The signals that are pending and blocked (man 2 rt_sigpending)."""
    if sigsetsize > _SIGSET_SIZE:
        raise SysError(EINVAL)
    pending = (t.pending.mask | t.process.pending.mask) & t.blocked
    await t.mem.write(uset, pending.to_bytes(_SIGSET_SIZE, "little")[:sigsetsize])


@syscall("rt_sigsuspend", errors="EFAULT EINTR EINVAL")
async def rt_sigsuspend(t: Task, unewset: Sigset, sigsetsize: Size) -> None:
    """Wait for a signal under another mask, which lasts until its handler returns (man 2 rt_sigsuspend)."""
    if sigsetsize != _SIGSET_SIZE:
        raise SysError(EINVAL)
    mask = await t.mem.u64(unewset) & ~UNBLOCKABLE
    t.saved_blocked = t.blocked
    t.blocked = mask
    await _wait_for_signal(t)


@syscall("pause", errors="EINTR")
async def pause(t: Task) -> None:
    """Wait for a signal that has a handler, or ends the process (man 2 pause)."""
    await _wait_for_signal(t)


async def _wait_for_signal(t: Task) -> None:
    await t.wait((), lambda: None, None, Restart.NOHAND)


@syscall("sigaltstack", errors="EFAULT EINVAL ENOMEM EPERM")
async def sigaltstack(t: Task, ss: In[StackT], old_ss: Out[StackT]) -> None:
    """Look at and change the alternate signal stack (man 2 sigaltstack)."""
    new = await t.mem.struct(ss, StackT) if ss else None
    old, sp = t.sigaltstack, t.frame.rsp
    state = stack_state(old, sp) | old.flags & SS_AUTODISARM
    if new is not None:
        change_altstack(t, AltStack(new.ss_sp, new.ss_flags & 0xFFFF_FFFF, new.ss_size), sp)
    if old_ss:
        signed = state - (1 << 32) if state >> 31 else state
        await t.mem.put(old_ss, StackT(old.sp, signed, old.size))


# -- sending -------------------------------------------------------------------------------------------------


def _find_process(t: Task, pid: int) -> Process:
    """The process with a pid, or that the task with this tid belongs to; ESRCH."""
    table = t.process.table
    process = table.processes.get(pid)
    if process is not None:
        return process
    task = table.tasks.get(pid)
    if task is None:
        raise SysError(ESRCH)
    return task.process


def _send(t: Task, process: Process, info: SigInfo) -> None:
    """Send with the checks of kill; signal 0 only checks."""
    check_kill_permission(t, process.leader, info.signo)
    if info.signo:
        send_signal(process, info)


@syscall("kill", errors="EINVAL EPERM ESRCH")
async def kill(t: Task, pid: Pid, sig: Signal) -> None:
    """Send a signal to a process, a group (pid 0 or -pgid) or all others (-1) (man 2 kill)."""
    info = user_info(t, sig)
    if pid > 0:
        _send(t, _find_process(t, pid), info)
        return
    if pid == _INT_MIN:
        raise SysError(ESRCH)
    table = t.process.table
    if pid == -1:
        others = [p for p in table if p is not table.init and p is not t.process]
        _send_all(t, others, info, refusal_counts=False)
        return
    pgrp = table.groups.get(-pid) if pid else t.process.pgrp
    if pgrp is None:
        raise SysError(ESRCH)
    _send_all(t, list(pgrp.members.values()), info, refusal_counts=True)


def _send_all(t: Task, processes: Iterable[Process], info: SigInfo, *, refusal_counts: bool) -> None:
    """Send to several: ESRCH for none, the last error if all failed. With -1, EPERM is no failure."""
    error: SysError | None = SysError(ESRCH)
    sent = False
    for process in processes:
        try:
            _send(t, process, info)
            error, sent = None, True
        except SysError as failure:
            error = None if failure.errno == EPERM and not refusal_counts else failure
    if error is not None and not sent:
        raise error


def _find_task(t: Task, tgid: int, tid: int) -> Task:
    """The task `tid`, in process `tgid` unless that is 0; ESRCH. A dead leader counts until it is reaped."""
    table = t.process.table
    task = table.tasks.get(tid)
    if task is None:
        process = table.processes.get(tid)
        task = process.leader if process is not None else None
    if task is None or (tgid and task.process.pid != tgid):
        raise SysError(ESRCH)
    return task


def _send_to_task(t: Task, target: Task, info: SigInfo) -> None:
    check_kill_permission(t, target, info.signo)
    if info.signo and target.exit_status is None:
        send_signal(target, info)


@syscall("tkill", errors="EAGAIN EINVAL EPERM ESRCH")
async def tkill(t: Task, tid: Pid, sig: Signal) -> None:
    """Send a signal to one thread (man 2 tkill)."""
    if tid <= 0:
        raise SysError(EINVAL)
    _send_to_task(t, _find_task(t, 0, tid), user_info(t, sig, SI_TKILL))


@syscall("tgkill", errors="EAGAIN EINVAL EPERM ESRCH")
async def tgkill(t: Task, tgid: Pid, tid: Pid, sig: Signal) -> None:
    """Send a signal to one thread of a process (man 2 tgkill)."""
    if tid <= 0 or tgid <= 0:
        raise SysError(EINVAL)
    _send_to_task(t, _find_task(t, tgid, tid), user_info(t, sig, SI_TKILL))


def _knows_layout(signo: int, code: int) -> bool:
    """Whether Linux knows what a siginfo with this code holds."""
    if code <= 0:
        return code >= SI_DETHREAD or code == SI_ASYNCNL
    return code == SI_KERNEL or code <= _LAST_CODE.get(signo, _LAST_POLL_CODE)


async def _read_siginfo(t: Task, sig: int, address: int) -> SigInfo:
    """A program's own siginfo; E2BIG if it uses parts that Linux would lose."""
    raw = (await t.mem.read(address, _SIGINFO_KEPT)).ljust(_SIGINFO_SIZE, b"\0")
    info = SigInfo.from_user(sig, raw)
    if not _knows_layout(sig, info.code) and has_foreign_tail(await t.mem.read(address, _SIGINFO_SIZE)):
        raise SysError(E2BIG)
    return info


def _check_forgery(t: Task, tid: int, info: SigInfo) -> None:
    """EPERM for pretending, towards others, that a signal comes from the kernel or from kill."""
    if (info.code >= 0 or info.code == SI_TKILL) and tid != t.tid:
        raise SysError(EPERM)


@syscall("rt_sigqueueinfo", errors="E2BIG EAGAIN EFAULT EINVAL EPERM ESRCH")
async def rt_sigqueueinfo(t: Task, tgid: Pid, sig: Signal, uinfo: Annotated[In[bytes], Shown("siginfo")]) -> None:
    """Send a process a signal with a siginfo of the caller's making (man 2 rt_sigqueueinfo)."""
    info = await _read_siginfo(t, sig, uinfo)
    _check_forgery(t, tgid, info)
    _send(t, _find_process(t, tgid), info)


@syscall("rt_tgsigqueueinfo", errors="E2BIG EAGAIN EFAULT EINVAL EPERM ESRCH")
async def rt_tgsigqueueinfo(
    t: Task, tgid: Pid, tid: Pid, sig: Signal, uinfo: Annotated[In[bytes], Shown("siginfo")]
) -> None:
    """Send a thread a signal with a siginfo of the caller's making (man 2 rt_tgsigqueueinfo)."""
    info = await _read_siginfo(t, sig, uinfo)
    if tid <= 0 or tgid <= 0:
        raise SysError(EINVAL)
    _check_forgery(t, tid, info)
    _send_to_task(t, _find_task(t, tgid, tid), info)


# -- waiting, returning --------------------------------------------------------------------------------------


@syscall("rt_sigtimedwait", errors="EAGAIN EFAULT EINTR EINVAL")
async def rt_sigtimedwait(
    t: Task,
    uthese: Sigset,
    uinfo: Annotated[Out[bytes], Shown("siginfo")],
    uts: In[Timespec],
    sigsetsize: Size,
) -> TakenSignal:
    """Take a signal out of a set instead of running its handler, or wait for one (man 2 sigtimedwait)."""
    if sigsetsize != _SIGSET_SIZE:
        raise SysError(EINVAL)
    wanted = await t.mem.u64(uthese) & ~UNBLOCKABLE
    timeout = await t.mem.struct(uts, Timespec) if uts else None
    if timeout is not None and not timeout.valid():
        raise SysError(EINVAL)
    info = dequeue(t, wanted)
    if info is None:
        if timeout is not None and not timeout.ns():
            raise SysError(EAGAIN)
        deadline = t.server.port.now_ns() + timeout.ns() if timeout is not None else None
        info = await _wait_in_set(t, wanted, deadline)
    if uinfo:
        await t.mem.write(uinfo, info.pack())
    return info.signo


async def _wait_in_set(t: Task, wanted: int, deadline_ns: int | None) -> SigInfo:
    """Sleep until a signal of the set is there; EAGAIN after the deadline, EINTR for another signal."""
    # They are unblocked meanwhile, so that the choice of a thread falls on this one.
    old = t.real_blocked = t.blocked
    t.blocked = old & ~wanted
    try:
        info = await t.wait((), lambda: dequeue(t, wanted), deadline_ns, Restart.NEVER)
    except Interrupted:
        raise SysError(EINTR) from None
    finally:
        t.blocked = old
        t.real_blocked = 0
    if info is None:
        raise SysError(EAGAIN)
    return info


@syscall("rt_sigreturn")
async def rt_sigreturn(t: Task) -> int:
    """Go back to what a signal handler interrupted (man 2 rt_sigreturn)."""
    t.restart_block = None
    regs = await pop_frame(t)
    if regs is None:
        return 0
    t.server.port.set_regs(t.ktask, regs)
    t.frame = regs.frame
    return regs.frame.rax


@syscall("restart_syscall", errors="EAGAIN EFAULT EINTR EINVAL ETIMEDOUT")
async def restart_syscall(t: Task) -> int | None:
    """Go on with a timed wait after a stop; the kernel makes programs call it (man 2 restart_syscall)."""
    resume, t.restart_block = t.restart_block, None
    if resume is None:
        raise SysError(EINTR)
    return await resume()
