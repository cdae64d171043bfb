"""The signal calls: arguments, errors in Linux's order, waiting."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from typing import Any

import pytest

from syscalls.abi.errno import EAGAIN, ECHILD, EINTR, EINVAL, EPERM, ESRCH
from syscalls.abi.flags import (
    SI_QUEUE,
    SI_TKILL,
    SI_USER,
    SIG_BLOCK,
    SIGCHLD,
    SIGKILL,
    SIGSTOP,
    SIGTERM,
    SIGUSR1,
    SIGUSR2,
    SS_AUTODISARM,
)
from syscalls.errors import SysError
from syscalls.objects.credentials import Credentials
from syscalls.objects.siginfo import SigInfo, bit, bits
from syscalls.objects.signal import send_signal
from syscalls.objects.task import AltStack
from tests.helpers import ROOT
from tests.syscalls import signalcalls
from tests.syscalls.signalrig import CODE, HANDLER, SignalRig, errno_of, result

SECOND = 1_000_000_000


@pytest.fixture
def rig() -> SignalRig:
    return SignalRig()


@pytest.fixture
def t(rig: SignalRig) -> Any:
    return rig.task()


def sigset(t: Any, *signos: int) -> int:
    address: int = t.mem.alloc(struct.pack("<Q", bits(*signos)))
    return address


@pytest.mark.native
def test_results_are_those_of_the_host(rig: SignalRig) -> None:
    script = [sys.executable, "-m", "tests.syscalls.signalcalls"]
    done = subprocess.run(script, cwd=ROOT, check=True, capture_output=True, start_new_session=True)
    native = json.loads(done.stdout)
    rig.task()  # somebody else, as on the host
    t = rig.task()
    world = {"pid": t.process.pid, "tid": t.tid, "nobody": 99_999_999}
    for (name, args), (expected, contents) in zip(signalcalls.CALLS, native, strict=True):
        where = [t.mem.alloc(a) if isinstance(a, bytes) else world.get(a, a) for a in args]
        try:
            value = rig.call(t, name, *where) or 0
        except SysError as error:
            value = -error.errno
        pairs = zip(where, args, strict=True)
        buffers = [t.mem.get(at, len(a)).hex() for at, a in pairs if isinstance(a, bytes)]
        assert (name, args, value, buffers) == (name, args, expected, contents)


# -- actions and masks ---------------------------------------------------------------------------------


def test_rt_sigaction_returns_the_old_action_and_discards_ignored(rig: SignalRig, t: Any) -> None:
    new = t.mem.alloc(struct.pack("<4Q", HANDLER, 0x0400_0004, 0x42, bits(SIGTERM, SIGKILL)))
    old = t.mem.alloc(32)
    rig.call(t, "rt_sigaction", SIGUSR1, new, old, 8)
    assert t.mem.get(old, 32) == bytes(32)
    rig.call(t, "rt_sigaction", SIGUSR1, 0, old, 8)
    assert struct.unpack("<4Q", t.mem.get(old, 32)) == (HANDLER, 0x0400_0004, 0x42, bit(SIGTERM))
    t.blocked = bit(SIGUSR1)
    send_signal(t, SigInfo(SIGUSR1))
    ignore = t.mem.alloc(struct.pack("<4Q", 1, 0, 0, 0))
    rig.call(t, "rt_sigaction", SIGUSR1, ignore, 0, 8)
    assert t.pending.mask == 0


def test_rt_sigprocmask_delivers_what_it_unblocks(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGUSR1)
    rig.call(t, "rt_sigprocmask", SIG_BLOCK, sigset(t, SIGUSR1, SIGUSR2, SIGSTOP), 0, 8)
    assert t.blocked == bits(SIGUSR1, SIGUSR2)
    send_signal(t.process, SigInfo(SIGUSR1))
    frame = rig.trap(t, "rt_sigprocmask", 1, sigset(t, SIGUSR1), 0, 8).value()
    assert frame.rip == HANDLER
    assert result(rig.sigreturn(t)) == 0
    assert t.blocked == bit(SIGUSR2)


def test_rt_sigpending_shows_own_and_shared_blocked_signals(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    t.blocked = other.blocked = bits(SIGUSR1, SIGUSR2, 40)
    send_signal(t, SigInfo(SIGUSR1))
    send_signal(t.process, SigInfo(SIGUSR2))
    send_signal(other, SigInfo(40))
    at = t.mem.alloc(b"\xff" * 8)
    rig.call(t, "rt_sigpending", at, 4)
    assert t.mem.get(at, 8) == struct.pack("<I", bits(SIGUSR1, SIGUSR2)) + b"\xff" * 4


def test_sigaltstack_refuses_changes_while_on_it(rig: SignalRig, t: Any) -> None:
    t.sigaltstack = AltStack(t.frame.rsp - 0x1000, 0, 0x2000)
    old = t.mem.alloc(24)
    new = t.mem.alloc(struct.pack("<QiiQ", 0x1000, 0, 0, 0x2000))
    assert errno_of(rig, t, "sigaltstack", new, 0) == EPERM
    rig.call(t, "sigaltstack", 0, old)
    assert struct.unpack("<Qi4xQ", t.mem.get(old, 24)) == (t.frame.rsp - 0x1000, 1, 0x2000)
    t.sigaltstack = t.sigaltstack._replace(flags=SS_AUTODISARM)
    rig.call(t, "sigaltstack", new, old)
    assert struct.unpack("<Qi4xQ", t.mem.get(old, 24))[1] == -(1 << 31)
    assert t.sigaltstack == AltStack(0x1000, 0, 0x2000)


# -- sending -------------------------------------------------------------------------------------------


def test_kill_tells_who_sent_it(rig: SignalRig) -> None:
    t = rig.task(Credentials(5, 6, 7, 6))
    rig.catch(t, SIGUSR1)
    t.blocked = bit(SIGUSR1)
    rig.call(t, "kill", t.process.pid, SIGUSR1)
    assert t.process.pending.pop(SIGUSR1) == SigInfo(SIGUSR1, SI_USER, t.process.pid, 5)


def test_kill_finds_a_process_by_the_tid_of_a_thread(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    rig.catch(t, SIGUSR1)
    rig.call(t, "kill", other.tid, SIGUSR1)
    assert t.process.pending.mask == bit(SIGUSR1)


def test_kill_of_own_group_includes_the_caller(rig: SignalRig, t: Any) -> None:
    child, outsider = rig.fork(t), rig.fork(t)
    rig.table.new_group(outsider.process)
    for task in (t, child, outsider):
        rig.catch(task, SIGUSR1)
    rig.call(t, "kill", 0, SIGUSR1)
    assert [x.process.pending.has(SIGUSR1) for x in (t, child, outsider)] == [True, True, False]
    rig.call(t, "kill", -outsider.process.pid, SIGUSR1)
    assert outsider.process.pending.has(SIGUSR1)


def test_kill_all_spares_pid_1_and_the_caller(rig: SignalRig, t: Any) -> None:
    assert errno_of(rig, t, "kill", -1, 0) == ESRCH
    child, stranger = rig.fork(t), rig.task()
    rig.call(t, "kill", -1, SIGTERM)
    assert [x.process.group_exit for x in (t, child, stranger)] == [None, SIGTERM, SIGTERM]


def test_kill_all_forgives_refusals_but_a_group_reports_one(rig: SignalRig) -> None:
    t = rig.task(Credentials(5, 5, 5, 5, effective=0))
    child = rig.fork(t)
    child.creds = Credentials(6, 6, 6, 6, effective=0)
    rig.call(t, "kill", -1, SIGTERM)
    assert child.process.group_exit is None
    rig.table.new_group(child.process)
    assert errno_of(rig, t, "kill", -child.process.pid, SIGTERM) == EPERM
    friend = rig.fork(t)
    friend.process.join(child.process.pgrp)
    rig.call(t, "kill", -child.process.pid, SIGTERM)
    assert friend.process.group_exit == SIGTERM


def test_kill_reaches_pid_1_and_zombies_without_effect(rig: SignalRig, t: Any) -> None:
    child = rig.fork(t)
    rig.catch(t, SIGCHLD)
    rig.die(child)
    rig.call(t, "kill", child.process.pid, SIGKILL)
    rig.call(t, "kill", 1, SIGKILL)
    assert child.process.exit_code == 0


def test_kill_of_a_dead_process_is_esrch(rig: SignalRig, t: Any) -> None:
    child = rig.fork(t)
    rig.die(child)
    rig.call(t, "wait4", -1, 0, 0, 0)
    assert errno_of(rig, t, "kill", child.process.pid, 0) == ESRCH


def test_kill_of_oneself_is_handled_before_it_returns(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGUSR1)
    assert rig.trap(t, "kill", t.process.pid, SIGUSR1).value().rip == HANDLER
    assert rig.server.port.interrupted == []
    assert result(rig.sigreturn(t)) == 0
    assert rig.ended(rig.trap(t, "kill", t.process.pid, SIGKILL))


def test_tkill_and_tgkill_reach_one_thread(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    rig.catch(t, SIGUSR1)
    rig.catch(t, SIGUSR2)
    rig.call(t, "tkill", other.tid, SIGUSR1)
    rig.call(t, "tgkill", t.process.pid, other.tid, SIGUSR2)
    assert other.pending.mask == bits(SIGUSR1, SIGUSR2)
    assert other.pending.pop(SIGUSR1) == SigInfo(SIGUSR1, SI_TKILL, t.process.pid, 0)
    stranger = rig.task()
    assert errno_of(rig, t, "tgkill", t.process.pid, stranger.tid, 0) == ESRCH


def test_tgkill_of_a_leader_that_exited_first_does_nothing(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    assert rig.ended(rig.trap(t, "exit", 0))
    rig.call(other, "tgkill", t.process.pid, t.tid, SIGTERM)
    rig.call(other, "tkill", t.tid, SIGTERM)
    assert t.process.group_exit is None


@pytest.mark.parametrize("signo", [SIGKILL, SIGTERM])
def test_kill_reaches_the_only_thread_left_behind_a_leader_that_exited(rig: SignalRig, t: Any, signo: int) -> None:
    other = rig.thread(t)
    sleep = rig.trap(other, "pause")
    assert rig.ended(rig.trap(t, "exit", 0))
    rig.call(rig.task(), "kill", t.process.pid, signo)
    assert rig.ended(sleep)
    assert t.process.exited


def test_tkill_needs_permission(rig: SignalRig) -> None:
    t, other = rig.task(Credentials(5, 5, 5, 5, effective=0)), rig.task()
    assert errno_of(rig, t, "tkill", other.tid, SIGTERM) == EPERM
    uinfo = t.mem.alloc(signalcalls.siginfo(-1))
    assert errno_of(rig, t, "rt_sigqueueinfo", other.tid, SIGTERM, uinfo) == EPERM


def test_rt_sigqueueinfo_passes_the_senders_bytes(rig: SignalRig, t: Any) -> None:
    t.blocked = bit(40)
    raw = signalcalls.siginfo(SI_QUEUE)
    rig.call(t, "rt_sigqueueinfo", t.process.pid, 40, t.mem.alloc(raw))
    assert t.process.pending.pop(40).pack() == struct.pack("<i", 40) + raw[4:]


def test_rt_tgsigqueueinfo_queues_for_one_thread(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    t.blocked = other.blocked = bit(40)
    uinfo = t.mem.alloc(signalcalls.siginfo(SI_QUEUE))
    for _ in range(2):
        rig.call(t, "rt_tgsigqueueinfo", t.process.pid, other.tid, 40, uinfo)
    assert len(other.pending) == 2
    assert len(t.process.pending) == 0


# -- waiting -------------------------------------------------------------------------------------------


def test_pause_ends_with_a_handler_only(rig: SignalRig, t: Any) -> None:
    job = rig.trap(t, "pause")
    assert t.state() == "S"
    send_signal(t, SigInfo(SIGCHLD))
    rig.settle()
    assert not job.done
    rig.catch(t, SIGUSR1, 0x1000_0000)
    send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    assert job.done
    assert result(rig.sigreturn(t)) == -EINTR


def test_rt_sigsuspend_takes_a_signal_pending_already(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGUSR1)
    t.blocked = bit(SIGUSR1)
    send_signal(t, SigInfo(SIGUSR1))
    job = rig.trap(t, "rt_sigsuspend", sigset(t, SIGUSR2), 8)
    assert job.value().rip == HANDLER
    assert result(rig.sigreturn(t)) == -EINTR
    assert t.blocked == bit(SIGUSR1)


def test_rt_sigsuspend_keeps_blocked_signals_away(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGUSR1)
    rig.catch(t, SIGUSR2)
    job = rig.trap(t, "rt_sigsuspend", sigset(t, SIGUSR2), 8)
    send_signal(t, SigInfo(SIGUSR2))
    rig.settle()
    assert not job.done
    send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    # USR1 runs under the temporary mask; USR2 waits for the old one, back when USR1's handler returns.
    assert t.frame.rdi == SIGUSR1
    assert rig.sigreturn(t).rdi == SIGUSR2
    assert result(rig.sigreturn(t)) == -EINTR


def test_rt_sigtimedwait_takes_instead_of_handling(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGUSR1)
    t.blocked = bit(SIGUSR1)
    info = t.mem.alloc(128)
    job = rig.trap(t, "rt_sigtimedwait", sigset(t, SIGUSR1), info, 0, 8)
    assert not job.done
    assert t.real_blocked == bit(SIGUSR1)
    send_signal(t.process, SigInfo(SIGUSR1, SI_USER, 3, 4))
    rig.settle()
    frame = job.value()
    assert (result(frame), frame.rip) == (SIGUSR1, CODE)
    assert struct.unpack("<iiiiii", t.mem.get(info, 24)) == (SIGUSR1, 0, SI_USER, 0, 3, 4)
    assert t.blocked == bit(SIGUSR1)
    assert t.real_blocked == 0


def test_rt_sigtimedwait_saves_from_a_fatal_signal(rig: SignalRig, t: Any) -> None:
    t.blocked = bit(SIGTERM)
    job = rig.trap(t, "rt_sigtimedwait", sigset(t, SIGTERM), 0, 0, 8)
    send_signal(t.process, SigInfo(SIGTERM))
    rig.settle()
    assert result(job.value()) == SIGTERM


def test_rt_sigtimedwait_times_out(rig: SignalRig, t: Any) -> None:
    timeout = t.mem.alloc(struct.pack("<qq", 1, 5))
    job = rig.start(t, "rt_sigtimedwait", sigset(t, SIGUSR1), 0, timeout, 8)
    rig.advance(SECOND)
    assert not job.done
    rig.advance(5)
    with pytest.raises(SysError) as caught:
        job.value()
    assert caught.value.errno == EAGAIN
    assert t.blocked == 0


def test_rt_sigtimedwait_never_restarts(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGUSR2, 0x1000_0000)
    job = rig.trap(t, "rt_sigtimedwait", sigset(t, SIGUSR1), 0, 0, 8)
    send_signal(t, SigInfo(SIGUSR2))
    rig.settle()
    assert job.done
    assert result(rig.sigreturn(t)) == -EINTR


def test_rt_sigtimedwait_draws_the_signal_to_its_thread(rig: SignalRig, t: Any) -> None:
    waiting = rig.thread(t)
    t.blocked = waiting.blocked = bit(SIGUSR1)
    job = rig.trap(waiting, "rt_sigtimedwait", sigset(t, SIGUSR1), 0, 0, 8)
    send_signal(t.process, SigInfo(SIGUSR1))
    rig.settle()
    assert result(job.value()) == SIGUSR1


def test_rt_sigtimedwait_is_ended_by_a_kill(rig: SignalRig, t: Any) -> None:
    job = rig.trap(t, "rt_sigtimedwait", sigset(t, SIGUSR1), 0, 0, 8)
    send_signal(t.process, SigInfo(SIGKILL))
    assert rig.ended(job)


def test_restart_syscall_resumes_once(rig: SignalRig, t: Any) -> None:
    async def resume() -> int:
        return 33

    t.restart_block = resume
    assert rig.call(t, "restart_syscall") == 33
    assert errno_of(rig, t, "restart_syscall") == EINTR


def test_rt_sigreturn_forgets_the_restart_block(rig: SignalRig, t: Any) -> None:
    async def resume() -> int:
        return 33

    rig.catch(t, SIGUSR1)
    send_signal(t, SigInfo(SIGUSR1))
    rig.interrupt(t)
    t.restart_block = resume
    rig.sigreturn(t)
    assert errno_of(rig, t, "restart_syscall") == EINTR


def test_wait_is_ended_by_the_deadline_even_if_signals_are_blocked(rig: SignalRig, t: Any) -> None:
    t.blocked = bit(SIGUSR1)

    async def sleep() -> int | None:
        value: int | None = await t.wait((), lambda: None, rig.now + 5)
        return value

    job = rig.spawn(sleep())
    send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    assert not job.done
    rig.advance(5)
    assert job.value() is None


def test_yield_lets_others_run(rig: SignalRig, t: Any) -> None:
    order = []

    async def worker(name: str) -> None:
        order.append(name)
        await t.yield_()
        order.append(name)

    rig.spawn(worker("a"))
    rig.spawn(worker("b"))
    rig.settle()
    assert order == ["a", "b", "a", "b"]


def test_bad_arguments_change_nothing(rig: SignalRig, t: Any) -> None:
    assert errno_of(rig, t, "rt_sigprocmask", 7, sigset(t, SIGUSR1), 0, 8) == EINVAL
    assert errno_of(rig, t, "wait4", -1, 0, 0, 0) == ECHILD
    assert t.blocked == 0
