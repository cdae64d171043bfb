"""The end of tasks and processes: exit, exit_group, and what the survivors learn."""

from __future__ import annotations

from typing import Any

import pytest

from syscalls.abi.errno import EAGAIN
from syscalls.abi.flags import (
    CLD_EXITED,
    CLD_KILLED,
    RLIMIT_SIGPENDING,
    SA_NOCLDWAIT,
    SIG_IGN,
    SIGCHLD,
    SIGCONT,
    SIGHUP,
    SIGKILL,
    SIGSTOP,
    SIGTERM,
    SIGUSR1,
    WNOHANG,
)
from syscalls.errors import Interrupted, SysError
from syscalls.objects.credentials import Credentials
from syscalls.objects.exit import end_other_threads, exit_group, exit_task
from syscalls.objects.siginfo import SigAction, SigInfo, bits
from syscalls.objects.signal import send_signal
from tests.syscalls.signalrig import HANDLER, SignalRig


@pytest.fixture
def rig() -> SignalRig:
    return SignalRig()


@pytest.fixture
def t(rig: SignalRig) -> Any:
    return rig.task()


class Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


def stop(rig: SignalRig, t: Any) -> None:
    send_signal(t.process, SigInfo(SIGSTOP))
    rig.interrupt(t)
    assert t.process.stopped


def test_exit_group_makes_a_zombie_and_tells_the_parent(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGCHLD)
    child = rig.fork(t)
    rig.use(child, 30_000_000, 40_000_000)
    timers = [Timer() for _ in range(3)]
    child.process.itimers[0], child.process.posix_timers[0], child.process.clock_timers[0] = timers
    rig.die(child, 0x1FF)
    process = child.process
    assert (process.exited, process.exit_code, process.leader.state()) == (True, 0xFF00, "Z")
    assert t.process.pending.pop(SIGCHLD) == SigInfo(
        SIGCHLD, CLD_EXITED, process.pid, 0, 0xFF, utime=3, stime=4
    )
    assert process.tasks == {}
    assert process.mm is None
    assert process.pid in rig.table.processes
    assert child.tid not in rig.table.tasks
    assert (child.mm.users, child.files.refs) == (0, 0)
    assert all(timer.cancelled for timer in timers)
    assert rig.server.destroyed == [child.tid]
    assert rig.server.exited == [(process.pid, 0xFF00)]


def test_exit_of_the_first_program_leaves_nothing(rig: SignalRig, t: Any) -> None:
    rig.die(t, 3)
    assert rig.server.exited == [(2, 3 << 8)]
    assert list(rig.table.processes) == [1]
    assert list(rig.table.sessions) == [1]


def test_exit_ends_one_thread_only(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    assert rig.ended(rig.trap(other, "exit", 1))
    assert not t.process.exited
    assert (t.mm.users, t.files.refs) == (1, 1)
    assert list(t.process.tasks) == [t.tid]


def test_exit_of_the_last_thread_decides_even_if_the_leader_went_first(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGCHLD)
    child = rig.fork(t)
    other = rig.thread(child)
    assert rig.ended(rig.trap(child, "exit", 3))
    assert t.process.pending.mask == 0
    assert rig.call(t, "wait4", -1, 0, WNOHANG, 0) == 0
    assert child.state() == "Z"
    assert rig.ended(rig.trap(other, "exit", 4))
    assert child.process.exit_code == 4 << 8
    assert rig.call(t, "wait4", -1, 0, WNOHANG, 0) == child.process.pid


def test_exit_group_of_one_thread_decides_for_all(rig: SignalRig, t: Any) -> None:
    asleep, running = rig.thread(t), rig.thread(t)
    sleep = rig.trap(asleep, "pause")
    rig.die(t, 7)
    assert rig.ended(sleep)
    assert rig.ended(rig.trap(running, "exit_group", 8))
    assert t.process.exit_code == 7 << 8


def test_exit_group_called_by_the_server(rig: SignalRig, t: Any) -> None:
    rig.run(exit_group(t, SIGKILL))
    rig.run(exit_task(t, 0))
    assert t.process.exit_code == SIGKILL


def test_pending_signals_of_an_exiting_thread_go_to_another(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    rig.catch(t, SIGUSR1)
    send_signal(t.process, SigInfo(SIGUSR1))
    assert not other.attention
    assert rig.ended(rig.trap(t, "exit", 0))
    assert other.attention
    assert rig.interrupt(other).value().rip == HANDLER


# -- reaping -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [False, True])
def test_parent_that_does_not_care_gets_no_zombie(rig: SignalRig, t: Any, told: bool) -> None:
    action = SigAction(HANDLER, SA_NOCLDWAIT) if told else SigAction(SIG_IGN)
    t.process.sighand.set(SIGCHLD, action)
    child = rig.fork(t)
    rig.use(child, 5, 0)
    rig.die(child)
    assert child.process.pid not in rig.table.processes
    assert t.process.children == {}
    assert t.process.pending.has(SIGCHLD) == told
    assert t.process.child_usage.user_ns == 0


def test_other_exit_signals(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGUSR1)
    t.process.sighand.set(SIGCHLD, SigAction(SIG_IGN))
    loud = rig._equip(rig.table.fork(t, exit_signal=SIGUSR1))
    silent = rig._equip(rig.table.fork(t, exit_signal=0))
    send_signal(loud.process, SigInfo(SIGKILL))
    assert rig.ended(rig.interrupt(loud))
    info = t.process.pending.pop(SIGUSR1)
    assert (info.signo, info.code, info.status) == (SIGUSR1, CLD_KILLED, SIGKILL)
    rig.die(silent)
    assert t.process.pending.mask == 0
    assert loud.process.pid in rig.table.processes
    assert silent.process.pid in rig.table.processes


def test_exit_signal_without_room_is_lost(rig: SignalRig, t: Any) -> None:
    rig.catch(t, 40)
    t.process.rlimits[RLIMIT_SIGPENDING] = (0, 0)
    child = rig._equip(rig.table.fork(t, exit_signal=40))
    rig.die(child)
    assert child.process.exited
    assert t.process.pending.mask == 0


def test_orphans_go_to_init_which_reaps_at_once(rig: SignalRig, t: Any) -> None:
    child = rig.fork(t)
    zombie, orphan = rig.fork(child), rig.fork(child)
    orphan.process.exit_signal = SIGUSR1
    rig.die(zombie)
    assert zombie.process.pid in rig.table.processes
    rig.die(child)
    assert zombie.process.pid not in rig.table.processes
    assert (orphan.process.ppid, orphan.process.exit_signal) == (1, SIGCHLD)
    rig.die(orphan)
    assert orphan.process.pid not in rig.table.processes


def test_subreaper_adopts_its_descendants(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGCHLD)
    t.process.is_subreaper = True
    middle = rig.fork(rig.fork(t))
    orphan, zombie = rig.fork(middle), rig.fork(middle)
    rig.die(zombie, 5)
    rig.die(middle)
    assert orphan.process.parent is t.process
    assert t.process.pending.pop(SIGCHLD).pid == zombie.process.pid
    assert rig.call(t, "wait4", zombie.process.pid, 0, 0, 0) == zombie.process.pid


def test_children_of_a_thread_pass_to_another_thread(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    child = rig.fork(other)
    assert child.process.parent_task is other
    assert rig.ended(rig.trap(other, "exit", 0))
    assert child.process.parent is t.process
    assert child.process.parent_task is t
    assert child.process.exit_signal == SIGCHLD


@pytest.mark.parametrize("of", ["process", "thread"])
def test_parent_death_signal(rig: SignalRig, t: Any, of: str) -> None:
    parent = rig.fork(t)
    thread = rig.thread(parent)
    child = rig.fork(thread)
    child.pdeath_signal = SIGUSR1
    rig.catch(child, SIGUSR1)
    if of == "thread":
        assert rig.ended(rig.trap(thread, "exit", 0))
    else:
        rig.die(parent)
        assert not child.process.pending.mask
        assert rig.ended(rig.interrupt(thread))
    assert child.process.pending.pop(SIGUSR1).pid == parent.process.pid


def test_parent_death_signal_needs_permission(rig: SignalRig) -> None:
    t = rig.task(Credentials(5, 5, 5, 5, effective=0))
    child = rig.fork(t)
    child.creds = Credentials()
    child.pdeath_signal = SIGKILL
    rig.die(t)
    assert child.process.group_exit is None


# -- jobs and sessions ---------------------------------------------------------------------------------


def test_stopped_job_is_hung_up_when_its_shell_exits(rig: SignalRig, t: Any) -> None:
    shell = rig.fork(t)
    job, idle = rig.fork(shell), rig.fork(shell)
    rig.table.new_group(job.process)
    rig.table.new_group(idle.process)
    stop(rig, job)
    rig.die(shell)
    assert job.process.group_exit == SIGHUP
    assert idle.process.group_exit is None


def test_stopped_member_is_hung_up_when_the_last_link_exits(rig: SignalRig, t: Any) -> None:
    first = rig.fork(t)
    rig.table.new_group(first.process)
    second = rig.fork(first)
    rig.catch(second, SIGHUP)
    rig.catch(second, SIGCONT)
    stop(rig, second)
    rig.die(first)
    rig.settle()
    assert not second.process.stopped
    assert second.frame.rip == HANDLER
    assert second.blocked == bits(SIGHUP, SIGCONT)


def test_job_with_another_link_stays_stopped(rig: SignalRig, t: Any) -> None:
    first, second = rig.fork(t), rig.fork(t)
    second.process.join(rig.table.new_group(first.process))
    stop(rig, second)
    rig.die(first)
    assert second.process.stopped


def test_session_leader_gives_up_its_terminal(rig: SignalRig, t: Any) -> None:
    class Terminal:
        left: bool | None = None

        def take_away(self, exiting: bool) -> None:
            self.left = exiting

    terminal: Any = Terminal()
    t.process.session.tty = terminal
    child = rig.fork(t)
    rig.die(child)
    assert terminal.left is None
    session = t.process.session
    rig.die(t)
    assert terminal.left is True
    assert session.leader is None


# -- vfork and execve ----------------------------------------------------------------------------------


def vfork(rig: SignalRig, t: Any) -> tuple[Any, Any]:
    child = rig.fork(t)
    child.process.vfork_pending = True
    wait = t.wait_killable([child.process.vfork_done], lambda: None if child.process.vfork_pending else True)
    return child, rig.spawn(wait)


@pytest.mark.parametrize("end", ["exit", "execve"])
def test_vfork_parent_waits_for_exit_or_execve(rig: SignalRig, t: Any, end: str) -> None:
    child, wait = vfork(rig, t)
    rig.catch(t, SIGUSR1)
    send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    assert not wait.done
    assert t.state() == "D"
    if end == "exit":
        rig.die(child)
    else:
        child.process.finish_vfork()
        child.process.finish_vfork()
    rig.settle()
    assert wait.value() is True


def test_vfork_parent_can_be_killed(rig: SignalRig, t: Any) -> None:
    _, wait = vfork(rig, t)
    send_signal(t.process, SigInfo(SIGTERM))
    rig.settle()
    assert isinstance(wait.error, Interrupted)


def test_execve_ends_the_other_threads(rig: SignalRig, t: Any) -> None:
    other, asleep = rig.thread(t), rig.thread(t)
    sleep = rig.trap(asleep, "pause")
    job = rig.spawn(end_other_threads(t))
    rig.settle()
    assert rig.ended(sleep)
    assert not job.done
    assert rig.ended(rig.interrupt(other))
    rig.settle()
    assert job.value() is None
    assert list(t.process.tasks) == [t.tid]
    assert not t.process.exited
    assert t.process.group_exit is None


def test_execve_by_another_thread_takes_over_the_pid(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    old_tid = other.tid
    job = rig.spawn(end_other_threads(other))
    assert rig.ended(rig.interrupt(t))
    rig.settle()
    assert job.done
    assert (other.tid, t.process.leader) == (t.process.pid, other)
    assert rig.table.tasks == t.process.tasks == {t.process.pid: other}
    assert not rig.table.in_use(old_tid)


def test_execve_of_a_single_thread_has_nothing_to_do(rig: SignalRig, t: Any) -> None:
    t.process.exit_signal = 0
    rig.run(end_other_threads(t))
    assert t.process.leader is t
    assert t.process.exit_signal == SIGCHLD


def test_execve_after_the_leader_exited(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    assert rig.ended(rig.trap(t, "exit", 0))
    rig.run(end_other_threads(other))
    assert (other.tid, t.process.leader) == (t.process.pid, other)


def test_execve_loses_against_another_end(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    first = rig.spawn(end_other_threads(t))
    with pytest.raises(SysError) as caught:
        rig.run(end_other_threads(other))
    assert caught.value.errno == EAGAIN
    send_signal(t.process, SigInfo(SIGKILL))
    rig.settle()
    with pytest.raises(SysError) as caught:
        first.value()
    assert caught.value.errno == EAGAIN
    assert rig.ended(rig.interrupt(t))
    assert rig.ended(rig.interrupt(other))
    assert t.process.exit_code == SIGKILL
