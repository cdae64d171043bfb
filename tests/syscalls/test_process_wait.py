"""wait4 and waitid: which children, which changes, what is reported."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from syscalls.abi import flags
from syscalls.abi.errno import EAGAIN, ECHILD, EFAULT, EINTR, EINVAL
from syscalls.abi.flags import (
    CLD_CONTINUED,
    CLD_DUMPED,
    CLD_EXITED,
    CLD_KILLED,
    CLD_STOPPED,
    O_NONBLOCK,
    P_ALL,
    P_PGID,
    P_PID,
    P_PIDFD,
    RLIMIT_CORE,
    SIG_IGN,
    SIGABRT,
    SIGCHLD,
    SIGCONT,
    SIGSTOP,
    SIGTERM,
    SIGUSR1,
    WCONTINUED,
    WEXITED,
    WNOHANG,
    WNOWAIT,
    WSTOPPED,
    WUNTRACED,
)
from syscalls.objects.siginfo import SigAction, SigInfo
from syscalls.objects.signal import send_signal
from tests.syscalls.iorig import UNMAPPED
from tests.syscalls.signalrig import CODE, SignalRig, errno_of, result

WNOTHREAD: int = flags.__WNOTHREAD
WALL: int = flags.__WALL
WCLONE: int = flags.__WCLONE


@pytest.fixture
def rig() -> SignalRig:
    return SignalRig()


@pytest.fixture
def t(rig: SignalRig) -> Any:
    return rig.task()


def wait4(rig: SignalRig, t: Any, pid: int = -1, options: int = WNOHANG) -> tuple[int, int]:
    """pid and status word."""
    at = t.mem.alloc(4)
    found = rig.call(t, "wait4", pid, at, options, 0)
    return found, int.from_bytes(t.mem.get(at, 4), "little")


def waitid(rig: SignalRig, t: Any, idtype: int, number: int, options: int) -> tuple[int, ...]:
    """si_signo, si_code, si_pid, si_uid, si_status."""
    at = t.mem.alloc(b"\xff" * 128)
    rig.call(t, "waitid", idtype, number, at, options, 0)
    raw = t.mem.get(at, 128)
    assert raw[12:16] == b"\xff" * 4
    assert raw[28:] == b"\xff" * 100
    signo, errno, code, pid, uid, status = struct.unpack("<iii4xiIi", raw[:28])
    assert errno == 0
    return signo, code, pid, uid, status


def killed(rig: SignalRig, t: Any, signo: int) -> None:
    send_signal(t.process, SigInfo(signo))
    assert rig.ended(rig.interrupt(t))


def test_wait4_sleeps_until_a_child_ends(rig: SignalRig, t: Any) -> None:
    child = rig.fork(t)
    at = t.mem.alloc(4)
    job = rig.trap(t, "wait4", -1, at, 0, 0)
    assert not job.done
    rig.die(child, 3)
    rig.settle()
    assert result(job.value()) == child.process.pid
    assert t.mem.get(at, 4) == b"\0\3\0\0"
    assert child.process.pid not in rig.table.processes
    assert errno_of(rig, t, "wait4", -1, 0, 0, 0) == ECHILD


def test_wait4_without_blocking_finds_nothing_yet(rig: SignalRig, t: Any) -> None:
    rig.fork(t)
    assert rig.call(t, "wait4", -1, 0, WNOHANG, 0) == 0
    assert waitid(rig, t, P_ALL, 0, WEXITED | WNOHANG) == (0, 0, 0, 0, 0)


def test_wait4_takes_children_in_order_of_birth(rig: SignalRig, t: Any) -> None:
    first, second = rig.fork(t), rig.fork(t)
    rig.die(second, 2)
    rig.die(first, 1)
    assert wait4(rig, t) == (first.process.pid, 0x100)
    assert wait4(rig, t) == (second.process.pid, 0x200)


def test_wait4_by_pid_and_by_group(rig: SignalRig, t: Any) -> None:
    own, other, third = rig.fork(t), rig.fork(t), rig.fork(t)
    pgrp = rig.table.new_group(other.process)
    third.process.join(pgrp)
    for child in (third, other, own):
        rig.die(child)
    assert wait4(rig, t, third.process.pid)[0] == third.process.pid
    assert wait4(rig, t, 0)[0] == own.process.pid
    assert errno_of(rig, t, "wait4", 0, 0, 0, 0) == ECHILD
    assert wait4(rig, t, -pgrp.pgid)[0] == other.process.pid
    assert errno_of(rig, t, "wait4", -pgrp.pgid, 0, 0, 0) == ECHILD


def test_wait4_for_somebody_elses_child_is_echild(rig: SignalRig, t: Any) -> None:
    child = rig.fork(t)
    grandchild = rig.fork(child)
    assert errno_of(rig, t, "wait4", grandchild.process.pid, 0, 0, 0) == ECHILD
    assert errno_of(rig, t, "wait4", t.process.pid, 0, 0, 0) == ECHILD


def test_wait4_with_ignored_sigchld_waits_for_all_and_fails(rig: SignalRig, t: Any) -> None:
    t.process.sighand.set(SIGCHLD, SigAction(SIG_IGN))
    first, second = rig.fork(t), rig.fork(t)
    job = rig.trap(t, "wait4", -1, 0, 0, 0)
    rig.die(first)
    rig.settle()
    assert not job.done
    rig.die(second)
    rig.settle()
    assert result(job.value()) == -ECHILD


def test_wait4_is_interrupted_and_restarted(rig: SignalRig, t: Any) -> None:
    rig.fork(t)
    rig.catch(t, SIGUSR1)
    job = rig.trap(t, "wait4", -1, 0, 0, 0)
    send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    assert job.done
    assert result(rig.sigreturn(t)) == -EINTR
    rig.catch(t, SIGUSR1, 0x1000_0000)
    rig.trap(t, "wait4", -1, 0, 0, 0)
    send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    assert rig.sigreturn(t).rip == CODE - 2


def test_wait4_bad_status_pointer_loses_the_child(rig: SignalRig, t: Any) -> None:
    child = rig.fork(t)
    rig.die(child)
    assert errno_of(rig, t, "wait4", -1, UNMAPPED, 0, 0) == EFAULT
    assert errno_of(rig, t, "wait4", -1, 0, 0, 0) == ECHILD


def test_wait4_reports_resources_and_adds_them_up(rig: SignalRig, t: Any) -> None:
    child = rig.fork(t)
    grandchild = rig.fork(child)
    rig.use(grandchild, 3_000_000, 0)
    rig.die(grandchild)
    rig.call(child, "wait4", -1, 0, 0, 0)
    child.min_flt = 9
    rig.use(child, 1_000_005_000, 2_000)
    rig.die(child)
    at = t.mem.alloc(144)
    rig.call(t, "wait4", -1, 0, 0, at)
    usage = struct.unpack("<18q", t.mem.get(at, 144))
    assert usage[:5] == (1, 3005, 0, 2, 100)
    assert usage[8] == 9
    total = t.process.child_usage
    assert (total.user_ns, total.sys_ns, total.maxrss_kb) == (1_003_005_000, 2_000, 100)


def test_wait4_status_of_a_killed_and_a_dumped_child(rig: SignalRig, t: Any) -> None:
    child, dumped = rig.fork(t), rig.fork(t)
    killed(rig, child, SIGTERM)
    dumped.process.rlimits[RLIMIT_CORE] = (1 << 20, 1 << 20)
    killed(rig, dumped, SIGABRT)
    assert waitid(rig, t, P_PID, child.process.pid, WEXITED | WNOWAIT)[1:] == (
        CLD_KILLED, child.process.pid, 0, SIGTERM,
    )  # fmt: skip
    assert waitid(rig, t, P_PID, dumped.process.pid, WEXITED | WNOWAIT)[1] == CLD_DUMPED
    assert wait4(rig, t) == (child.process.pid, SIGTERM)
    assert wait4(rig, t) == (dumped.process.pid, SIGABRT | 0x80)


def test_waitid_reports_each_change(rig: SignalRig, t: Any) -> None:
    child = rig.fork(t)
    pid = child.process.pid
    send_signal(child.process, SigInfo(SIGSTOP))
    stop = rig.interrupt(child)
    every = WEXITED | WSTOPPED | WCONTINUED | WNOHANG
    assert waitid(rig, t, P_ALL, 0, WEXITED | WCONTINUED | WNOHANG) == (0, 0, 0, 0, 0)
    assert waitid(rig, t, P_ALL, 0, every | WNOWAIT) == (SIGCHLD, CLD_STOPPED, pid, 0, SIGSTOP)
    assert waitid(rig, t, P_ALL, 0, every) == (SIGCHLD, CLD_STOPPED, pid, 0, SIGSTOP)
    assert waitid(rig, t, P_ALL, 0, every) == (0, 0, 0, 0, 0)
    send_signal(child.process, SigInfo(SIGCONT))
    rig.settle()
    assert stop.done
    assert waitid(rig, t, P_ALL, 0, every | WNOWAIT) == (SIGCHLD, CLD_CONTINUED, pid, 0, SIGCONT)
    assert waitid(rig, t, P_ALL, 0, every) == (SIGCHLD, CLD_CONTINUED, pid, 0, SIGCONT)
    rig.die(child, 9)
    assert waitid(rig, t, P_ALL, 0, every | WNOWAIT) == (SIGCHLD, CLD_EXITED, pid, 0, 9)
    assert waitid(rig, t, P_ALL, 0, every) == (SIGCHLD, CLD_EXITED, pid, 0, 9)
    assert errno_of(rig, t, "waitid", P_ALL, 0, 0, every, 0) == ECHILD


def test_waitid_wakes_up_for_a_stop(rig: SignalRig, t: Any) -> None:
    child = rig.fork(t)
    job = rig.trap(t, "waitid", P_PID, child.process.pid, 0, WSTOPPED, 0)
    send_signal(child.process, SigInfo(SIGSTOP))
    rig.interrupt(child)
    rig.settle()
    assert result(job.value()) == 0


def test_waitid_for_stops_only_has_no_hope_in_a_zombie(rig: SignalRig, t: Any) -> None:
    child = rig.fork(t)
    rig.die(child)
    assert errno_of(rig, t, "waitid", P_PID, child.process.pid, 0, WSTOPPED | WNOHANG, 0) == ECHILD


def test_waitid_by_group_and_bad_kinds(rig: SignalRig, t: Any) -> None:
    child = rig.fork(t)
    rig.die(child)
    assert waitid(rig, t, P_PGID, 0, WEXITED | WNOWAIT)[2] == child.process.pid
    assert waitid(rig, t, P_PGID, t.process.pid, WEXITED)[2] == child.process.pid
    assert errno_of(rig, t, "waitid", 17, 0, 0, WEXITED, 0) == EINVAL


def test_waitid_writes_resources_then_siginfo(rig: SignalRig, t: Any) -> None:
    first, second = rig.fork(t), rig.fork(t)
    rig.die(first)
    rig.die(second)
    at = t.mem.alloc(144)
    rig.call(t, "waitid", P_ALL, 0, 0, WEXITED, at)
    assert struct.unpack("<18q", t.mem.get(at, 144))[4] == 100
    info = t.mem.alloc(b"\xff" * 128)
    assert errno_of(rig, t, "waitid", P_ALL, 0, info, WEXITED, UNMAPPED) == EFAULT
    assert t.mem.get(info, 4) == b"\xff" * 4


def test_waitid_by_pidfd(rig: SignalRig, t: Any) -> None:
    child = rig.fork(t)

    class PidFile:
        flags = O_NONBLOCK
        pidfd_process = child.process

    t.files = type("Files", (), {"get": staticmethod(lambda fd: PidFile()), "refs": 1})()
    assert errno_of(rig, t, "waitid", P_PIDFD, 3, 0, WEXITED, 0) == EAGAIN
    assert errno_of(rig, t, "waitid", P_PIDFD, 3, 0, WEXITED | WNOHANG, 0) == 0
    rig.die(child, 4)
    assert waitid(rig, t, P_PIDFD, 3, WEXITED) == (SIGCHLD, CLD_EXITED, child.process.pid, 0, 4)


def test_wait_options_of_threads_and_clones(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    rig.fork(t)
    clone = rig._equip(rig.table.fork(other, exit_signal=0))
    rig.die(clone, 1)
    pid = clone.process.pid
    assert wait4(rig, t)[0] == 0
    assert errno_of(rig, t, "wait4", pid, 0, 0, 0) == ECHILD
    assert errno_of(rig, t, "wait4", -1, 0, WNOTHREAD | WCLONE, 0) == ECHILD
    assert waitid(rig, t, P_ALL, 0, WEXITED | WNOWAIT | WALL)[2] == pid
    assert waitid(rig, other, P_ALL, 0, WEXITED | WNOWAIT | WCLONE | WNOTHREAD)[2] == pid
    assert wait4(rig, t, options=WCLONE | WNOHANG) == (pid, 0x100)


def test_any_thread_of_the_parent_is_woken(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    child = rig.fork(t)
    job = rig.trap(other, "wait4", child.process.pid, 0, WUNTRACED, 0)
    rig.die(child)
    rig.settle()
    assert result(job.value()) == child.process.pid
