"""How tasks and processes end (man 2 _exit, man 2 exit_group)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EAGAIN
from syscalls.abi.flags import SIGCHLD, SIGCONT, SIGHUP
from syscalls.errors import Interrupted, SysError
from syscalls.objects.process import INIT_PID
from syscalls.objects.siginfo import SigInfo
from syscalls.objects.signal import (
    begin_group_exit,
    check_kill_permission,
    complete_stop,
    kill_tasks,
    send_group,
    send_signal,
    user_info,
)
from syscalls.objects.wait import notify_exit

if TYPE_CHECKING:
    from syscalls.objects.process import Process, ProcessGroup
    from syscalls.objects.task import Task


async def exit_task(t: Task, status: int) -> None:
    """End one task; the last one ends its process. Its trap is never answered: raise TaskExited then.

    Args:
        t: the calling task.
        status: status word of man 2 wait4.
    """
    if t.exit_status is not None:
        return
    t.exit_status = status
    process = t.process
    if all(other.exit_status is not None for other in process.tasks.values()):
        begin_group_exit(process, status, t)  # the thread that exits last decides
    t.hand_over(~t.blocked)
    complete_stop(process, t)
    await t.server.thread_exiting(t)
    process.live -= 1
    if not process.live:
        _stop_timers(process)
        usage = process.dead_usage
        usage.maxrss_kb = max(usage.maxrss_kb, t.mm.rss_pages() * 4)
    t.mm.pid = process.pid
    await t.mm.release()
    if not process.live:
        process.finish_vfork()
    if t.sem_undo is not None:
        t.sem_undo.leave(t)
    await t.files.drop()
    _orphan_children(t)
    if t.tracer is not None:
        t.tracer.exited(t, t.exit_status)
    process.remove_task(t)
    t.server.destroy_task(t)
    process.thread_gone.wake_all()
    if not process.tasks:
        _end_process(process)


async def exit_group(t: Task, status: int) -> None:
    """End the calling task's whole process (man 2 exit_group). As `exit_task`, to be followed by TaskExited.

    Args:
        t: the calling task.
        status: status word; the one of an end that has begun already stays.
    """
    begin_group_exit(t.process, status, t)
    await exit_task(t, status if t.process.group_exit is None else t.process.group_exit)


def _stop_timers(process: Process) -> None:
    for timers in (process.itimers, process.posix_timers, process.clock_timers):
        for timer in list(timers.values()):
            timer.cancel()
        timers.clear()


def _end_process(process: Process) -> None:
    """All tasks are gone: free the terminal, tell who has to know, become a zombie or vanish."""
    session = process.session
    if session.leader is process:
        if session.tty is not None:
            session.tty.take_away(exiting=True)
        session.leader = None
    if process.parent is not None:
        _hang_up_orphans(process, process.parent, process)
    process.exited = True
    notify_exit(process)
    process.table.server.on_exit(process)


def _hang_up_orphans(process: Process, parent: Process, leaving: Process | None) -> None:
    """If a stopped job loses the last one who could continue it, hang it up and continue it (man 2 setpgid).

    Args:
        process: a member of the job.
        parent: its parent, or who was until now.
        leaving: `process` itself if it is the one that exits.
    """
    pgrp = process.pgrp
    if parent.pgrp is pgrp or parent.session is not process.session:
        return
    if pgrp.has_stopped() and pgrp.is_orphaned(leaving):
        _hang_up(pgrp)


def _hang_up(pgrp: ProcessGroup) -> None:
    send_group(pgrp, SigInfo(SIGHUP))
    send_group(pgrp, SigInfo(SIGCONT))


def _orphan_children(t: Task) -> None:
    """Find a new parent for the children of an exiting task: another task, a subreaper, or pid 1."""
    process = t.process
    mine = [child for child in process.children.values() if child.parent_task is t]
    if not mine:
        return
    thread = next((other for other in process.tasks.values() if other.exit_status is None), None)
    reaper = process if thread is not None else _find_reaper(process)
    heir = thread if thread is not None else _living_task(reaper)
    for child in mine:
        reaper.adopt(child, heir)
        _send_parent_death(t, child)
        if reaper is not process:
            child.exit_signal = SIGCHLD
            if child.exited:
                notify_exit(child)
            _hang_up_orphans(child, process, None)


def _send_parent_death(t: Task, child: Process) -> None:
    """The signal that a child's threads asked for with PR_SET_PDEATHSIG."""
    for task in list(child.tasks.values()):
        if task.pdeath_signal:
            try:
                check_kill_permission(t, task, task.pdeath_signal)
                send_signal(child, user_info(t, task.pdeath_signal))
            except SysError:
                pass  # a child of other credentials is not told


def _living_task(process: Process) -> Task | None:
    return next((t for t in process.tasks.values() if t.exit_status is None), process.leader)


def _find_reaper(process: Process) -> Process:
    """The nearest living ancestor that is a subreaper, else pid 1."""
    ancestor = process.parent
    while ancestor is not None and ancestor.pid != INIT_PID:
        if ancestor.is_subreaper and any(t.exit_status is None for t in ancestor.tasks.values()):
            return ancestor
        ancestor = ancestor.parent
    return process.table.init


async def end_other_threads(t: Task) -> None:
    """Leave the calling task as the only one of its process: leader, with the pid as tid (man 2 execve).

    EAGAIN if another thread is ending the process or does the same already.
    """
    process = t.process
    if process.group_exit is not None or process.exec_task is not None:
        raise SysError(EAGAIN)
    if len(process.tasks) > 1:
        process.exec_task = t
        kill_tasks(process, t)
        try:
            await t.wait_killable([process.thread_gone], lambda: True if len(process.tasks) == 1 else None)
        except Interrupted:
            raise SysError(EAGAIN) from None
        finally:
            process.exec_task = None
    if process.leader is not t:
        if t.tracer is not None:
            t.tracer.superseded(t, process.pid)
        tasks = process.table.tasks
        del tasks[t.tid], process.tasks[t.tid]
        t.start_ns = process.leader.start_ns
        t.tid = process.pid
        process.leader = t
        process.tasks[t.tid] = tasks[t.tid] = t
    process.exit_signal = SIGCHLD
