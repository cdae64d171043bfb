"""Sending signals: who gets one, what it does at once, what becomes of the rest (man 7 signal).

What happens when a task takes a signal is in `syscalls.objects.delivery`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import FAULT_PRESENT, USER_END
from syscalls.abi.errno import EAGAIN, EINVAL, EPERM
from syscalls.abi.flags import (
    CAP_KILL,
    CLD_CONTINUED,
    CLD_STOPPED,
    RLIMIT_SIGPENDING,
    SA_NOCLDSTOP,
    SI_KERNEL,
    SI_USER,
    SIG_DFL,
    SIG_IGN,
    SIGABRT,
    SIGBUS,
    SIGCHLD,
    SIGCONT,
    SIGFPE,
    SIGILL,
    SIGKILL,
    SIGQUIT,
    SIGRTMIN,
    SIGSEGV,
    SIGSTOP,
    SIGSYS,
    SIGTRAP,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGURG,
    SIGWINCH,
    SIGXCPU,
    SIGXFSZ,
)
from syscalls.errors import SysError
from syscalls.objects.siginfo import NSIG, SigAction, SigInfo, SignalHandlers, SignalQueue, bit, bits
from syscalls.objects.task import STOPPED, Task

if TYPE_CHECKING:
    from syscalls.objects.process import Process, ProcessGroup

__all__ = [
    "NSIG", "SigAction", "SigInfo", "SignalHandlers", "SignalQueue", "begin_group_exit", "bit", "bits",
    "check_kill_permission", "complete_stop", "dequeue", "force_fault", "force_segv", "force_signal",
    "send_group", "send_signal", "user_info",
]  # fmt: skip

IGNORED_BY_DEFAULT = bits(SIGCONT, SIGCHLD, SIGWINCH, SIGURG)
STOPS = bits(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU)
DUMPS_CORE = bits(SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGXCPU, SIGXFSZ)
_CONT = bit(SIGCONT)
_KILL = bit(SIGKILL)
TICK_NS = 10_000_000
"""A clock tick of siginfo and times(2): 1/100 s."""


def user_info(t: Task, signo: int, code: int = SI_USER) -> SigInfo:
    """The siginfo of a signal that a task sends with kill or tgkill."""
    return SigInfo(signo, code, t.process.pid, t.creds.uid)


def check_kill_permission(t: Task, target: Task, signo: int) -> None:
    """Refuse what man 2 kill forbids: EINVAL for no signal number, EPERM for somebody else's process."""
    if not 0 <= signo <= NSIG:
        raise SysError(EINVAL)
    if target.process is t.process:
        return
    own, other = t.creds, target.creds
    if own.euid in (other.suid, other.uid) or own.uid in (other.suid, other.uid) or own.capable(CAP_KILL):
        return
    # The shell of a session may continue its jobs, whoever they run as now.
    if signo == SIGCONT and target.process.session is t.process.session:
        return
    raise SysError(EPERM)


def send_signal(target: Process | Task, info: SigInfo) -> None:
    """Make a signal pending for a process or one task, and do at once what cannot wait: continue, end.

    A signal that would be ignored is dropped. EAGAIN if a real-time signal finds no room (RLIMIT_SIGPENDING).
    """
    if isinstance(target, Task):
        process, task, queue = target.process, target, target.pending
        directed = True
    else:
        process, task, queue = target, target.leader, target.pending
        directed = False
    signo = info.signo
    if process.exited or process.unkillable or (process.group_exit is not None and signo != SIGKILL):
        return
    mask = bit(signo)
    if mask & STOPS:
        _flush(process, _CONT)
    elif mask == _CONT:
        _continue(process)
    if _is_ignored(task, signo):
        return
    if signo < SIGRTMIN and queue.mask & mask:
        return
    queue.push(info, _has_room(task, info))
    if process.sighand.readers:
        process.sighand.readers.wake_all()
    _choose(process, task, signo, directed)


def send_group(pgrp: ProcessGroup, info: SigInfo) -> None:
    """Send a signal to every process of a group, without permission checks: the terminal does."""
    for process in list(pgrp.members.values()):
        send_signal(process, info)


def _flush(process: Process, mask: int) -> None:
    process.pending.flush(mask)
    for task in process.tasks.values():
        task.pending.flush(mask)


def _is_ignored(task: Task, signo: int) -> bool:
    """Whether sending has no effect; never for a blocked signal, whose action may change until it comes.

    Nor if a tracer wants to see it.
    """
    if (task.tracer is not None and signo != SIGKILL) or (task.blocked | task.real_blocked) >> (signo - 1) & 1:
        return False
    handler = task.process.sighand.get(signo).handler
    return handler == SIG_IGN or (handler == SIG_DFL and bool(bit(signo) & IGNORED_BY_DEFAULT))


def _has_room(task: Task, info: SigInfo) -> bool:
    """Whether the siginfo may be queued; EAGAIN where its loss would not go unnoticed (man 7 signal)."""
    signo = info.signo
    if signo < SIGRTMIN and info.code >= 0:
        return True
    limit = task.process.rlimits[RLIMIT_SIGPENDING][0]
    if _count_queued(task) < limit:
        return True
    if signo >= SIGRTMIN and info.code != SI_USER:
        raise SysError(EAGAIN)
    return False


def _count_queued(task: Task) -> int:
    """How many siginfos wait for tasks of the same user."""
    uid = task.creds.uid
    count = 0
    seen = set()
    for other in task.process.table.tasks.values():
        if other.creds.uid == uid:
            count += len(other.pending)
            if other.process.pid not in seen:
                seen.add(other.process.pid)
                count += len(other.process.pending)
    return count


def _wants(task: Task, signo: int) -> bool:
    """Whether a task would take the signal now, without being kept from it by other business."""
    if task.exit_status is not None or task.blocked >> (signo - 1) & 1:
        return False
    return signo == SIGKILL or (task.sleeping != STOPPED and not task.attention)


def _choose(process: Process, task: Task, signo: int, directed: bool) -> None:
    """Pick the task that takes a signal, and wake it; a fatal one ends the process at once."""
    if _wants(task, signo):
        chosen = task
    elif directed or (len(process.tasks) < 2 and task.exit_status is None):
        # The task finds it when it unblocks the signal or reaches its tail, where it is going already.
        task.update_attention()
        return
    else:
        found = _next_wanting(process, signo)
        if found is None:
            return
        chosen = process.next_target = found
    # A traced task takes every signal but SIGKILL itself, so that its tracer sees it.
    untraced = chosen.tracer is None or signo == SIGKILL
    if untraced and _is_fatal(process, signo) and not chosen.real_blocked & bit(signo) and not bit(signo) & DUMPS_CORE:
        begin_group_exit(process, signo)
        return
    chosen.kick(signo == SIGKILL)


def _next_wanting(process: Process, signo: int) -> Task | None:
    """The next task, after the one chosen last, that wants the signal."""
    tasks = list(process.tasks.values())
    last = process.next_target
    start = tasks.index(last) if last in tasks else 0
    for task in tasks[start:] + tasks[:start]:
        if _wants(task, signo):
            return task
    return None


def _is_fatal(process: Process, signo: int) -> bool:
    return (
        process.group_exit is None
        and process.sighand.get(signo).handler == SIG_DFL
        and not bit(signo) & (IGNORED_BY_DEFAULT | STOPS)
    )


def begin_group_exit(process: Process, status: int, spare: Task | None = None) -> None:
    """Let every task of a process die, with this status word for the process; the first caller decides it.

    Args:
        process: what ends.
        status: status word of man 2 wait4.
        spare: the calling task, which ends itself.
    """
    if process.group_exit is None:
        process.group_exit = status
        process.stop_signo = 0
        process.stopped = process.report_stop = process.report_continued = False
        kill_tasks(process, spare)


def kill_tasks(process: Process, spare: Task | None) -> None:
    """Make every task but one die at its tail."""
    for task in list(process.tasks.values()):
        if task is not spare and task.exit_status is None:
            task.stop_pending = False
            task.pending.push(SigInfo(SIGKILL), keep=False)
            task.kick(fatal=True)


def force_signal(t: Task, info: SigInfo, *, fatal: bool = False) -> None:
    """Send a task a signal that it cannot evade: a fault of its own.

    A blocked or ignored one gets its default action, and that is the end of the process.

    Args:
        t: the task at fault.
        info: the signal.
        fatal: take the default action even if there is a handler.
    """
    signo, sighand = info.signo, t.process.sighand
    action = sighand.get(signo)
    blocked = t.blocked & bit(signo)
    if blocked or fatal or action.handler == SIG_IGN:
        sighand.set(signo, action._replace(handler=SIG_DFL))
    t.pending.push(info)
    if blocked:
        t.blocked &= ~blocked
    t.kick()


def force_fault(
    t: Task,
    signo: int,
    code: int,
    addr: int,
    *,
    trap_number: int,
    trap_error: int = 0,
    trap_cr2: int | None = None,
) -> None:
    """Send the signal of a CPU exception, and keep what a signal frame shows of it.

    Args:
        t: the task at fault.
        signo: SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGTRAP.
        code: si_code, such as SEGV_MAPERR.
        addr: si_addr.
        trap_number: vector of the exception.
        trap_error: its error code.
        trap_cr2: the faulting address, for page faults.
    """
    if trap_cr2 is not None:
        t.trap_cr2 = trap_cr2
        if trap_cr2 >= USER_END:
            trap_error |= FAULT_PRESENT  # Linux does not show whether a page of the kernel's half is mapped
    t.trap_number = trap_number
    t.trap_error = trap_error
    force_signal(t, SigInfo(signo, code, addr=addr))


def force_segv(t: Task, signo: int = 0) -> None:
    """A signal frame could not be written or read: SIGSEGV, without mercy if it was SIGSEGV's own frame.

    Args:
        t: the task at fault.
        signo: the signal whose frame failed, 0 for none.
    """
    force_signal(t, SigInfo(SIGSEGV, SI_KERNEL), fatal=signo == SIGSEGV)


def dequeue(t: Task, wanted: int) -> SigInfo | None:
    """Take the next pending signal out of a set, the task's own ones first; None if there is none.

    Args:
        t: who takes it.
        wanted: sigset_t of acceptable signals.
    """
    signo = t.pending.first(wanted)
    if signo:
        info = t.pending.pop(signo)
    else:
        signo = t.process.pending.first(wanted)
        if not signo:
            t.update_attention()
            return None
        info = t.process.pending.pop(signo)
    t.update_attention()
    return info


def discard_ignored(process: Process, signo: int) -> None:
    """A signal's action became "ignore": forget pending instances, blocked ones too (man 2 sigaction)."""
    handler = process.sighand.get(signo).handler
    if handler == SIG_IGN or (handler == SIG_DFL and bit(signo) & IGNORED_BY_DEFAULT):
        _flush(process, bit(signo))


# -- stop and continue ---------------------------------------------------------------------------------------


def begin_stop(t: Task, signo: int) -> None:
    """Task `t` took a stop signal: every task of the process is to stop."""
    process = t.process
    if not process.stop_signo:
        process.stop_signo = signo
        process.stopped = False
    t.stop_pending = True
    for other in process.tasks.values():
        if other is t or other.exit_status is not None or other.sleeping == STOPPED:
            continue
        if not other.stop_pending:
            other.stop_pending = True
            other.kick()


def complete_stop(process: Process, last: Task) -> None:
    """Task `last` stops or exits; tell the parent if all the others have stopped."""
    if not process.stop_signo or process.stopped or process.group_exit is not None:
        return
    for task in process.tasks.values():
        if task is not last and task.exit_status is None and task.sleeping != STOPPED:
            return
    process.stopped = True
    process.report_stop = True
    process.report_continued = False
    _notify_parent(process, CLD_STOPPED, process.stop_signo)


def _continue(process: Process) -> None:
    """SIGCONT was sent: forget stop signals and let stopped tasks go on, even if it is ignored or blocked."""
    _flush(process, STOPS)
    for task in process.tasks.values():
        if task.stop_pending:
            task.stop_pending = False
            task.update_attention()
        if task.sleeping == STOPPED and task.waiter is not None:
            task.waiter.wake()
    if not process.stop_signo:
        return
    signo, was_stopped = process.stop_signo, process.stopped
    process.stop_signo = 0
    process.stopped = process.report_stop = False
    process.report_continued = True
    if was_stopped:
        _notify_parent(process, CLD_CONTINUED, SIGCONT)
    else:
        _notify_parent(process, CLD_STOPPED, signo)


def _notify_parent(process: Process, code: int, status: int) -> None:
    """SIGCHLD for a stop or continue, unless the parent asked for none; its waits look again in any case."""
    parent = process.parent
    if parent is None:
        return
    action = parent.sighand.get(SIGCHLD)
    if action.handler != SIG_IGN and not action.flags & SA_NOCLDSTOP:
        send_signal(parent, child_info(process, code, status))
    parent.child_wait.wake_all()


def child_info(process: Process, code: int, status: int, signo: int = SIGCHLD) -> SigInfo:
    """The siginfo that tells a parent of its child."""
    utime, stime = process.utime_ns // TICK_NS, process.stime_ns // TICK_NS
    return SigInfo(signo, code, process.pid, process.creds.uid, status, utime=utime, stime=stime)
