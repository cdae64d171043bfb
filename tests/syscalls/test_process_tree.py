"""Numbers, groups, sessions, and what children inherit."""

from __future__ import annotations

from typing import Any

import pytest

from syscalls.abi.errno import EAGAIN
from syscalls.abi.flags import (
    RLIM_INFINITY,
    RLIMIT_CORE,
    RLIMIT_NOFILE,
    RLIMIT_STACK,
    SIG_IGN,
    SIGCHLD,
    SIGSTOP,
    SIGTERM,
    SIGUSR1,
)
from syscalls.errors import Interrupted, Restart, SysError
from syscalls.objects.credentials import Credentials
from syscalls.objects.process import ProcessTable, Usage, default_rlimits
from syscalls.objects.siginfo import SigAction, SigInfo, bit
from syscalls.objects.signal import begin_group_exit, send_signal
from tests.syscalls.signalrig import SignalRig


@pytest.fixture
def rig() -> SignalRig:
    return SignalRig()


def test_first_program_is_pid_2_under_an_init_without_a_program(rig: SignalRig) -> None:
    t = rig.task()
    init = rig.table.init
    assert (t.tid, t.process.pid, t.process.ppid) == (2, 2, 1)
    assert (t.process.pgrp.pgid, t.process.session.sid) == (2, 2)
    assert t.process.session.leader is t.process
    assert (init.pid, init.ppid, init.leader.comm, init.mm, init.leader.state()) == (1, 0, b"init", None, "S")
    assert list(init.children) == [2]
    assert repr(t) == "<Task 2 test>"
    assert repr(t.process) == "<Process 2>"


def test_pids_ascend_wrap_and_skip_what_is_in_use(rig: SignalRig) -> None:
    table = ProcessTable(rig.table.server, Credentials(), pid_max=304)
    assert [table.alloc_pid() for _ in range(3)] == [2, 3, 4]
    table.last_pid = 301
    process = table.spawn(Credentials()).process
    assert process.pid == 302
    assert [table.alloc_pid() for _ in range(4)] == [303, 300, 301, 303]


def test_no_pid_left_is_eagain(rig: SignalRig) -> None:
    table = ProcessTable(rig.table.server, Credentials(), pid_max=3)
    table.spawn(Credentials())
    with pytest.raises(SysError) as caught:
        table.alloc_pid()
    assert caught.value.errno == EAGAIN


def test_number_of_a_group_is_not_given_out(rig: SignalRig) -> None:
    t = rig.task()
    leader = rig.fork(t)
    rig.table.new_group(leader.process)
    member = rig.fork(leader)
    rig.catch(t, SIGCHLD)
    rig.die(leader)
    rig.call(t, "wait4", -1, 0, 0, 0)
    number = leader.process.pid
    assert number not in rig.table.processes
    assert rig.table.in_use(number)
    rig.die(member)
    assert not rig.table.in_use(number)


def test_fork_inherits(rig: SignalRig) -> None:
    t = rig.task()
    t.blocked, t.comm, t.nice, t.no_new_privs = bit(SIGUSR1), b"sh", 5, True
    rig.catch(t, SIGTERM)
    send_signal(t, SigInfo(SIGUSR1))
    t.pdeath_signal = SIGTERM
    t.process.rlimits[RLIMIT_NOFILE] = (5, 6)
    child = rig.fork(t)
    assert (child.blocked, child.comm, child.nice, child.no_new_privs) == (bit(SIGUSR1), b"sh", 5, True)
    assert (child.pending.mask, child.pdeath_signal, child.user_ns) == (0, 0, 0)
    assert child.process.rlimits == t.process.rlimits
    assert child.process.rlimits is not t.process.rlimits
    assert child.process.sighand.get(SIGTERM) == t.process.sighand.get(SIGTERM)
    assert child.process.parent is t.process
    assert child.process.parent_task is t
    assert child.process.pgrp is t.process.pgrp
    child.process.sighand.set(SIGTERM, SigAction(SIG_IGN))
    assert t.process.sighand.get(SIGTERM).handler > 1


def test_reset_on_fork_drops_scheduling(rig: SignalRig) -> None:
    t = rig.task()
    t.sched_policy, t.sched_priority, t.nice, t.sched_reset_on_fork = 1, 50, -5, True
    child = rig.fork(t)
    assert (child.sched_policy, child.sched_priority, child.nice) == (0, 0, 0)
    assert not child.sched_reset_on_fork


def test_fork_variants(rig: SignalRig) -> None:
    t = rig.task()
    child = rig.fork(t)
    sibling = rig.table.fork(child, exit_signal=0, sibling=True, share_sighand=True)
    assert sibling.process.parent is t.process
    assert sibling.process.parent_task is t
    assert sibling.process.exit_signal == SIGCHLD
    assert sibling.process.sighand is child.process.sighand
    assert rig.table.fork(child, exit_signal=0).process.exit_signal == 0


def test_no_clone_while_a_signal_is_pending(rig: SignalRig) -> None:
    t = rig.task()
    rig.thread(t)
    begin_group_exit(t.process, 0)
    for clone in (rig.table.fork, rig.table.add_thread):
        with pytest.raises(Interrupted) as caught:
            clone(t)
        assert caught.value.restart == Restart.ALWAYS
    assert list(rig.table.processes) == [1, 2]
    other = rig.task()
    other.attention = True
    assert rig.fork(other).process.parent is other.process


def test_clone_that_fails_leaves_no_trace(rig: SignalRig) -> None:
    t = rig.task()
    child = rig.table.fork(t)
    thread = rig.table.add_thread(t)
    rig.table.undo_clone(child)
    rig.table.undo_clone(thread)
    assert list(rig.table.processes) == [1, 2]
    assert rig.table.tasks == t.process.tasks == {2: t}
    assert t.process.children == {}
    assert list(t.process.pgrp.members) == [2]
    assert t.process.live == 1


def test_thread_shares_the_process(rig: SignalRig) -> None:
    t = rig.task()
    other = rig.thread(t)
    assert other.process is t.process
    assert list(t.process.tasks) == [t.tid, other.tid]
    assert t.process.leader is t
    assert rig.table.tasks[other.tid] is other
    assert t.process.live == 2


def test_sessions_and_groups_end_with_their_last_member(rig: SignalRig) -> None:
    t = rig.task()
    child = rig.fork(t)
    session = rig.table.new_session(child.process)
    assert rig.table.sessions[child.process.pid] is session
    grandchild = rig.fork(child)
    pgrp = rig.table.new_group(grandchild.process)
    assert pgrp.session is session
    assert set(session.groups) == {child.process.pid, grandchild.process.pid}
    grandchild.process.join(child.process.pgrp)
    assert grandchild.process.pid not in rig.table.groups
    assert rig.table.sessions[child.process.pid] is session


def test_orphaned_groups(rig: SignalRig) -> None:
    t = rig.task()
    assert t.process.pgrp.is_orphaned()
    job = rig.fork(t)
    pgrp = rig.table.new_group(job.process)
    assert not pgrp.is_orphaned()
    assert pgrp.is_orphaned(job.process)
    member = rig.fork(job)
    assert pgrp.is_orphaned(job.process)
    t.process.adopt(member.process, t)
    assert not pgrp.is_orphaned(job.process)


def test_times_and_usage_add_up(rig: SignalRig) -> None:
    t = rig.task()
    other = rig.thread(t)
    t.min_flt, t.maj_flt, t.nvcsw, t.nivcsw = 3, 4, 5, 6
    rig.use(t, 1, 2)
    rig.use(other, 10, 20)
    assert (t.process.utime_ns, t.process.stime_ns, t.cpu_ns()) == (11, 22, (1, 2))
    assert rig.ended(rig.trap(other, "exit", 0))
    assert (t.process.utime_ns, t.process.stime_ns) == (11, 22)
    usage = t.process.usage()
    assert (usage.user_ns, usage.minflt, usage.majflt, usage.nvcsw, usage.nivcsw) == (11, 3, 4, 5, 6)
    more = Usage()
    more.maxrss_kb, more.inblock, more.oublock = 7, 8, 9
    usage.add(more)
    assert (usage.maxrss_kb, usage.inblock, usage.oublock) == (7, 8, 9)


def test_limits_of_a_fresh_login() -> None:
    limits = default_rlimits()
    assert sorted(limits) == list(range(16))
    assert limits[RLIMIT_STACK] == (8 << 20, RLIM_INFINITY)
    assert limits[RLIMIT_CORE] == (0, RLIM_INFINITY)
    assert limits[RLIMIT_NOFILE] == (1024, 1 << 20)


def test_tasks_of_a_user_are_counted(rig: SignalRig) -> None:
    t = rig.task(Credentials(5, 5, 5, 5))
    rig.thread(t)
    rig.fork(t)
    rig.task()
    assert rig.table.of_user(5) == 3
    assert [process.pid for process in rig.table] == [1, 2, 4, 5]


def test_state_letters_and_thread_pointers(rig: SignalRig) -> None:
    t: Any = rig.task()
    assert t.state() == "R"
    vfork = rig.spawn(t.wait_killable((), lambda: None))
    assert t.state() == "D"
    send_signal(t, SigInfo(SIGSTOP))
    rig.settle()
    assert not vfork.done
    t.set_fsbase(0x1000)
    t.set_gsbase(0x2000)
    assert (t.frame.fsbase, t.frame.gsbase) == (0x1000, 0x2000)
