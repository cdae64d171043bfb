"""The lines of a trace around calls, in the order and form in which strace 6.1 -f wrote them for the same events."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from linuxemu.messages import TrapFrame
from linuxemu.trace.call import Call
from linuxemu.trace.plan import Plan, Plans
from linuxemu.trace.style import Style
from linuxemu.trace.text import Layout, TextLog
from linuxemu.trace.tracer import Tracer
from syscalls.abi.numbers import X86_64
from syscalls.errors import Restart
from syscalls.objects.siginfo import SigInfo
from tests.trace.fakecall import AREA, REGISTERS, Lines, Memory

FRAME = TrapFrame._make([0] * len(TrapFrame._fields))


class Thing(SimpleNamespace):
    """A namespace with an identity."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


class Rig:
    """A log, a tracer, and tasks that do nothing by themselves."""

    def __init__(self, layout: Layout) -> None:
        self.out = Lines()
        out: Any = self.out
        self.log = TextLog(out, layout, None, frozenset(range(65)), lambda: 1_000_000_000)
        plans = Plans((), range(1000), range(1000))
        self.tracer = Tracer(self.log, Style(), plans, lambda number: True, lambda: 0, follow=True)

    def process(self, *tids: int) -> list[Any]:
        process = Thing(pid=tids[0], exec_task=None, group_exit=None)
        tasks = [
            Thing(tid=tid, process=process, exit_status=None, frame=FRAME, tracer=None, mem=Memory(AREA, 0))
            for tid in tids
        ]
        process.tasks = {task.tid: task for task in tasks}
        process.leader = tasks[0]
        return tasks

    def enter(self, t: Any, name: str, *args: int) -> Call:
        registers: dict[str, Any] = dict(zip(REGISTERS, args, strict=False))
        call = Call(t, Plan(X86_64[name]), FRAME._replace(**registers), Style())
        self.log.enter(call, call.plan.entry(call))
        self.tracer._current[t] = call
        return call

    def leave(self, call: Call, result: int | None, restart: int = 0) -> None:
        call.result, call.restart = result, restart
        self.tracer._current.pop(call.t, None)
        self.log.leave(call, call.plan.exit(call))

    def exit(self, t: Any, status: int) -> None:
        t.exit_status = status
        self.tracer.exited(t, status)

    def lines(self) -> list[str]:
        return self.out.text.splitlines()


@pytest.fixture
def rig() -> Rig:
    return Rig(Layout(pids="always", attached=False))


def test_interruption_of_a_sleep(rig: Rig) -> None:
    parent, child = *rig.process(2), *rig.process(3)
    sleep = rig.enter(parent, "nanosleep", 0, 0)
    rig.log.blocks(sleep)
    rig.enter(child, "exit_group", 3)
    rig.exit(child, 3 << 8)
    rig.leave(sleep, None, Restart.BLOCK)
    rig.tracer.signaled(parent, SigInfo(17, 1, 3, 0, 3))
    again = rig.enter(parent, "restart_syscall")
    rig.leave(again, 0)
    assert rig.lines() == [
        "2     nanosleep(NULL,  <unfinished ...>",
        "3     exit_group(3)                     = ?",
        "3     +++ exited with 3 +++",
        "2     <... nanosleep resumed>NULL)      = ? ERESTART_RESTARTBLOCK (Interrupted by signal)",
        "2     --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=3, si_uid=0, si_status=3, si_utime=0, "
        "si_stime=0} ---",
        "2     restart_syscall(<... resuming interrupted system call ...>) = 0",
    ]


def test_a_call_that_waited_has_one_separator(rig: Rig) -> None:
    (task,) = rig.process(2)
    sleep = rig.enter(task, "nanosleep", 0, 0)
    rig.log.blocks(sleep)
    rig.leave(sleep, 0)
    assert rig.lines() == ["2     nanosleep(NULL, NULL)             = 0"]


KILLED = [
    ("nanosleep", (0, 0), "nanosleep(NULL,  <unfinished ...>) = ?"),
    ("pause", (), "pause()                           = ?"),
    ("poll", (0, 1, -1), "poll(NULL, 1, -1 <unfinished ...>) = ?"),
    ("rt_sigtimedwait", (0, 0, 0, 8), "rt_sigtimedwait(NULL, NULL, NULL, 8 <unfinished ...>) = ?"),
]


@pytest.mark.parametrize(("name", "args", "text"), KILLED)
def test_killed_in_a_call(rig: Rig, name: str, args: tuple[int, ...], text: str) -> None:
    (task,) = rig.process(2)
    rig.log.blocks(rig.enter(task, name, *(value & 0xFFFF_FFFF for value in args)))
    rig.exit(task, 9)
    assert rig.lines() == [f"2     {text}", "2     +++ killed by SIGKILL +++"]


def test_killed_in_a_call_that_others_interrupted(rig: Rig) -> None:
    one, two = *rig.process(2), *rig.process(3)
    rig.enter(one, "nanosleep", 0, 0)
    rig.enter(two, "pause")
    rig.exit(one, 9)
    rig.exit(two, 11 | 0x80)
    assert rig.lines() == [
        "2     nanosleep(NULL,  <unfinished ...>",
        "3     pause( <unfinished ...>",
        "2     <... nanosleep resumed> <unfinished ...>) = ?",
        "2     +++ killed by SIGKILL +++",
        "3     <... pause resumed>)              = ?",
        "3     +++ killed by SIGSEGV (core dumped) +++",
    ]


def test_a_leader_ends_when_its_process_ends(rig: Rig) -> None:
    leader, thread = rig.process(2, 3)
    rig.enter(thread, "pause")
    rig.enter(leader, "exit_group", 4)
    leader.process.group_exit = 4 << 8
    rig.exit(leader, 4 << 8)
    rig.exit(thread, 4 << 8)
    assert rig.lines() == [
        "3     pause( <unfinished ...>",
        "2     exit_group(4)                     = ?",
        "3     <... pause resumed>)              = ?",
        "3     +++ exited with 4 +++",
        "2     +++ exited with 4 +++",
    ]


def test_a_thread_takes_the_place_of_its_leader_by_execve(rig: Rig) -> None:
    leader, other, runner = rig.process(2, 3, 4)
    process = leader.process
    rig.enter(leader, "nanosleep", 0, 0)
    rig.enter(other, "pause")
    run = rig.enter(runner, "execve", 0, 0, 0)
    process.exec_task = runner
    rig.exit(leader, 0)
    rig.exit(other, 0)
    process.exec_task = None
    rig.tracer.superseded(runner, 2)
    runner.tid = 2
    process.leader = runner
    rig.leave(run, 0)
    rig.exit(runner, 7 << 8)
    assert rig.lines()[3:] == [
        "2     <... nanosleep resumed> <unfinished ...>) = ?",
        "3     <... pause resumed>)              = ?",
        "3     +++ exited with 0 +++",
        "2     +++ superseded by execve in pid 4 +++",
        "2     <... execve resumed>)             = 0",
        "2     +++ exited with 7 +++",
    ]


def test_stops(rig: Rig) -> None:
    (task,) = rig.process(2)
    rig.leave(rig.enter(task, "pause"), None, Restart.NOHAND)
    rig.tracer.signaled(task, SigInfo(19, 0, 7))
    rig.tracer.stopped(task, 19)
    rig.tracer.signaled(task, SigInfo(18, 0, 7))
    rig.exit(task, 15)
    assert rig.lines() == [
        "2     pause()                           = ? ERESTARTNOHAND (To be restarted if no handler)",
        "2     --- SIGSTOP {si_signo=SIGSTOP, si_code=SI_USER, si_pid=7, si_uid=0} ---",
        "2     --- stopped by SIGSTOP ---",
        "2     --- SIGCONT {si_signo=SIGCONT, si_code=SI_USER, si_pid=7, si_uid=0} ---",
        "2     +++ killed by SIGTERM +++",
    ]


def test_tasks_are_named_while_there_are_several() -> None:
    rig = Rig(Layout())
    parent, child = *rig.process(2), *rig.process(3)
    rig.leave(rig.enter(parent, "getpid"), 2)
    fork = rig.enter(parent, "fork")
    rig.tracer.cloned(parent, child)
    assert child.tracer is rig.tracer
    rig.leave(fork, 3)
    rig.enter(child, "exit_group", 0)
    rig.exit(child, 0)
    rig.leave(rig.enter(parent, "getpid"), 2)
    assert rig.lines() == [
        "getpid()                                = 2",
        "fork(strace: Process 3 attached",
        ")                                  = 3",
        "[pid     3] exit_group(0)               = ?",
        "[pid     3] +++ exited with 0 +++",
        "getpid()                                = 2",
    ]


def test_time_number_and_place_in_front_of_lines() -> None:
    rig = Rig(Layout(clock="unix", relative=6, number=True, pointer=True))
    (task,) = rig.process(2)
    rig.leave(rig.enter(task, "gettid"), 2)
    rig.tracer.signaled(task, SigInfo(10, 0, 7))
    rig.exit(task, 10)
    head = "1 (+     0.000000) [ 186]"
    assert rig.lines() == [
        f"{head} [{0:016x}] gettid() = 2",
        f"{head} [{0:016x}] --- SIGUSR1 {{si_signo=SIGUSR1, si_code=SI_USER, si_pid=7, si_uid=0}} ---",
        f"{head} [????????????????] +++ killed by SIGUSR1 +++",
    ]
