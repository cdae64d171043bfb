"""How a parent learns of its children: SIGCHLD, and what wait4 and waitid report (man 2 waitid)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from syscalls.abi import flags
from syscalls.abi.errno import ECHILD
from syscalls.abi.flags import (
    CLD_CONTINUED,
    CLD_DUMPED,
    CLD_EXITED,
    CLD_KILLED,
    CLD_STOPPED,
    P_ALL,
    P_PGID,
    SA_NOCLDWAIT,
    SIG_IGN,
    SIGCHLD,
    SIGCONT,
    WCONTINUED,
    WEXITED,
    WNOHANG,
    WNOWAIT,
    WUNTRACED,
)
from syscalls.abi.structs import Rusage, Timeval
from syscalls.errors import SysError
from syscalls.objects.process import Process, ProcessGroup, Usage
from syscalls.objects.signal import child_info, send_signal

if TYPE_CHECKING:
    from syscalls.objects.task import Task

_WNOTHREAD: int = flags.__WNOTHREAD
_WALL: int = flags.__WALL
_WCLONE: int = flags.__WCLONE
_CONTINUED_STATUS = 0xFFFF
_STOPPED_STATUS = 0x7F


class ChildEvent(NamedTuple):
    """What a wait found."""

    pid: int
    uid: int
    code: int
    """CLD_*."""
    status: int
    """si_status: exit status or signal number."""
    word: int
    """The status word of wait4."""
    usage: Usage


class WaitTarget(NamedTuple):
    """Whom a wait is for: a kind P_ALL, P_PID or P_PGID with the process or group; None matches no one."""

    kind: int
    process: Process | None = None
    pgrp: ProcessGroup | None = None

    def matches(self, child: Process) -> bool:
        """Whether a child is meant."""
        if self.kind == P_ALL:
            return True
        if self.kind == P_PGID:
            return child.pgrp is self.pgrp
        return child is self.process


def rusage(usage: Usage) -> Rusage:
    """The struct of a sum of resources (man 2 getrusage)."""
    return Rusage(
        Timeval.from_ns(usage.user_ns),
        Timeval.from_ns(usage.sys_ns),
        usage.maxrss_kb,
        ru_minflt=usage.minflt,
        ru_majflt=usage.majflt,
        ru_inblock=usage.inblock,
        ru_oublock=usage.oublock,
        ru_nvcsw=usage.nvcsw,
        ru_nivcsw=usage.nivcsw,
    )


def exit_cause(word: int) -> tuple[int, int]:
    """CLD_* code and si_status of a status word."""
    signo = word & 0x7F
    if signo:
        return (CLD_DUMPED if word & 0x80 else CLD_KILLED), signo
    return CLD_EXITED, word >> 8 & 0xFF


def notify_exit(process: Process) -> None:
    """A process became a zombie, or a zombie got a new parent: tell the parent.

    The zombie vanishes at once if the parent ignores SIGCHLD or set SA_NOCLDWAIT (man 2 sigaction).
    """
    parent = process.parent
    assert parent is not None  # pid 1 alone has none, and does not end
    signo = process.exit_signal
    autoreap = False
    if signo == SIGCHLD:
        action = parent.sighand.get(SIGCHLD)
        if action.handler == SIG_IGN or action.flags & SA_NOCLDWAIT:
            autoreap = True
            if action.handler == SIG_IGN:
                signo = 0
    if signo:
        code, status = exit_cause(process.exit_code or 0)
        try:
            send_signal(parent, child_info(process, code, status, signo))
        except SysError:
            pass  # no room for a real-time exit signal: it is lost
    if autoreap:
        process.table.release(process)
    parent.child_wait.wake_all()


async def wait_child(t: Task, target: WaitTarget, options: int) -> ChildEvent | None:
    """Wait for a child to change state; None under WNOHANG if none has.

    ECHILD if no child could ever match. A signal interrupts, with a restart under SA_RESTART.

    Args:
        t: the calling task.
        target: which children.
        options: W* bits; WEXITED, WUNTRACED and WCONTINUED say which changes count.
    """

    def attempt() -> ChildEvent | None:
        return _look(t, target, options)

    if options & WNOHANG:
        return attempt()
    return await t.wait([t.process.child_wait], attempt)


def _look(t: Task, target: WaitTarget, options: int) -> ChildEvent | None:
    hopeless = True
    for child in t.process.children.values():
        if not target.matches(child) or not _eligible(t, child, options):
            continue
        if child.exited:
            if options & WEXITED:
                return _reap(t.process, child, options)
            continue
        hopeless = False
        event = _stop_event(child, options) or _continue_event(child, options)
        if event is not None:
            return event
    if hopeless:
        raise SysError(ECHILD)
    return None


def _eligible(t: Task, child: Process, options: int) -> bool:
    """The rules of __WNOTHREAD, __WALL and __WCLONE: who cloned it, and whether its end sends SIGCHLD."""
    if options & _WNOTHREAD and child.parent_task is not t:
        return False
    if options & _WALL:
        return True
    return (child.exit_signal != SIGCHLD) == bool(options & _WCLONE)


def _total_usage(child: Process) -> Usage:
    """What the child and those it has waited for have used."""
    usage = child.usage()
    usage.add(child.child_usage)
    return usage


def _reap(parent: Process, child: Process, options: int) -> ChildEvent:
    word = child.exit_code or 0
    code, status = exit_cause(word)
    event = ChildEvent(child.pid, child.creds.uid, code, status, word, _total_usage(child))
    if not options & WNOWAIT:
        parent.child_usage.add(event.usage)
        child.table.release(child)
    return event


def _stop_event(child: Process, options: int) -> ChildEvent | None:
    if not options & WUNTRACED or not child.report_stop:
        return None
    if not options & WNOWAIT:
        child.report_stop = False
    signo = child.stop_signo
    word = signo << 8 | _STOPPED_STATUS
    return ChildEvent(child.pid, child.creds.uid, CLD_STOPPED, signo, word, _total_usage(child))


def _continue_event(child: Process, options: int) -> ChildEvent | None:
    if not options & WCONTINUED or not child.report_continued:
        return None
    if not options & WNOWAIT:
        child.report_continued = False
    return ChildEvent(
        child.pid, child.creds.uid, CLD_CONTINUED, SIGCONT, _CONTINUED_STATUS, _total_usage(child)
    )
