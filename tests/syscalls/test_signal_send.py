"""Who gets a signal, and what sending does at once."""

from __future__ import annotations

from typing import Any

import pytest

from syscalls.abi.errno import EAGAIN, EINVAL, EPERM
from syscalls.abi.flags import (
    RLIMIT_SIGPENDING,
    SI_QUEUE,
    SI_TKILL,
    SI_USER,
    SIG_IGN,
    SIGCHLD,
    SIGCONT,
    SIGKILL,
    SIGQUIT,
    SIGSEGV,
    SIGSTOP,
    SIGTERM,
    SIGTSTP,
    SIGUSR1,
    SIGUSR2,
)
from syscalls.errors import SysError
from syscalls.objects.credentials import Credentials
from syscalls.objects.siginfo import SigAction, SigInfo, bit, bits
from syscalls.objects.signal import (
    begin_group_exit,
    check_kill_permission,
    dequeue,
    discard_ignored,
    force_fault,
    force_segv,
    force_signal,
    send_group,
    send_signal,
)
from tests.syscalls.signalrig import SignalRig


@pytest.fixture
def rig() -> SignalRig:
    return SignalRig()


def user(uid: int) -> Credentials:
    return Credentials(uid, uid, uid, uid, uid, uid, uid, uid, effective=0, permitted=0)


def test_handled_signal_is_pending_and_interrupts_user_code(rig: SignalRig) -> None:
    t = rig.task()
    rig.catch(t, SIGUSR1)
    send_signal(t.process, SigInfo(SIGUSR1, SI_USER))
    assert t.process.pending.mask == bit(SIGUSR1)
    assert t.signal_pending()
    assert rig.server.port.interrupted == [t.ktask]


def test_task_in_a_trap_is_not_interrupted(rig: SignalRig) -> None:
    t = rig.task()
    rig.catch(t, SIGUSR1)
    t.in_kernel = True
    send_signal(t, SigInfo(SIGUSR1))
    assert t.attention
    assert rig.server.port.interrupted == []


@pytest.mark.parametrize("action", ["ignored", "default"])
def test_ignored_signal_is_dropped_unless_blocked(rig: SignalRig, action: str) -> None:
    t = rig.task()
    signo = SIGTERM if action == "ignored" else SIGCHLD
    if action == "ignored":
        t.process.sighand.set(SIGTERM, SigAction(SIG_IGN))
    send_signal(t.process, SigInfo(signo))
    assert t.process.pending.mask == 0
    t.blocked = bit(signo)
    send_signal(t.process, SigInfo(signo))
    assert t.process.pending.mask == bit(signo)
    assert not t.attention


def test_unblocking_lets_a_pending_signal_through(rig: SignalRig) -> None:
    t = rig.task()
    rig.catch(t, SIGUSR1)
    t.blocked = bit(SIGUSR1)
    send_signal(t, SigInfo(SIGUSR1))
    assert not t.attention
    t.blocked = 0
    assert t.attention


def test_second_instance_of_a_standard_signal_is_lost(rig: SignalRig) -> None:
    t = rig.task()
    t.blocked = bits(SIGUSR1, 40)
    for _ in range(2):
        send_signal(t.process, SigInfo(SIGUSR1, SI_USER, 1))
        send_signal(t.process, SigInfo(40, SI_USER, 1))
    assert len(t.process.pending) == 3


def test_process_signal_goes_to_a_thread_that_wants_it(rig: SignalRig) -> None:
    t = rig.task()
    other = rig.thread(t)
    rig.catch(t, SIGUSR1)
    t.blocked = bit(SIGUSR1)
    send_signal(t.process, SigInfo(SIGUSR1))
    assert not t.attention
    assert other.attention
    assert rig.server.port.interrupted == [other.ktask]


def test_search_for_a_thread_goes_on_from_the_last_one(rig: SignalRig) -> None:
    t = rig.task()
    a, b = rig.thread(t), rig.thread(t)
    rig.catch(t, SIGUSR1)
    rig.catch(t, SIGUSR2)
    t.blocked = bits(SIGUSR1, SIGUSR2)
    send_signal(t.process, SigInfo(SIGUSR1))
    send_signal(t.process, SigInfo(SIGUSR2))
    assert rig.server.port.interrupted == [a.ktask, b.ktask]


def test_blocking_hands_a_pending_signal_to_another_thread(rig: SignalRig) -> None:
    t = rig.task()
    other = rig.thread(t)
    rig.catch(t, SIGUSR1)
    send_signal(t.process, SigInfo(SIGUSR1))
    assert t.attention
    assert not other.attention
    t.blocked = bit(SIGUSR1)
    assert not t.attention
    assert other.attention


def test_signal_nobody_wants_waits_in_the_process(rig: SignalRig) -> None:
    t = rig.task()
    other = rig.thread(t)
    rig.catch(t, SIGUSR1)
    t.blocked = other.blocked = bit(SIGUSR1)
    send_signal(t.process, SigInfo(SIGUSR1))
    assert not t.attention
    assert not other.attention
    other.blocked = 0
    assert other.attention


def test_thread_signal_stays_with_its_thread(rig: SignalRig) -> None:
    t = rig.task()
    other = rig.thread(t)
    rig.catch(t, SIGUSR1)
    other.blocked = bit(SIGUSR1)
    send_signal(other, SigInfo(SIGUSR1))
    assert other.pending.mask == bit(SIGUSR1)
    assert not t.attention


def test_fatal_signal_dooms_every_thread_at_once(rig: SignalRig) -> None:
    t = rig.task()
    other = rig.thread(t)
    send_signal(t.process, SigInfo(SIGTERM))
    assert t.process.group_exit == SIGTERM
    assert t.fatal_signal_pending()
    assert other.fatal_signal_pending()


def test_signal_with_core_dump_dooms_nobody_before_it_is_taken(rig: SignalRig) -> None:
    t = rig.task()
    send_signal(t.process, SigInfo(SIGQUIT))
    assert t.process.group_exit is None
    assert t.attention


def test_dying_process_takes_no_more_signals(rig: SignalRig) -> None:
    t = rig.task()
    begin_group_exit(t.process, 5 << 8)
    rig.catch(t, SIGUSR1)
    send_signal(t.process, SigInfo(SIGUSR1))
    send_signal(t.process, SigInfo(SIGKILL))
    assert not t.process.pending.has(SIGUSR1)
    assert t.process.group_exit == 5 << 8


def test_pid_1_is_immune(rig: SignalRig) -> None:
    init = rig.table.init
    for signo in (SIGKILL, SIGTERM, SIGSTOP, SIGSEGV):
        send_signal(init, SigInfo(signo))
    assert init.pending.mask == 0
    assert not init.exited


def test_stop_and_continue_cancel_each_other(rig: SignalRig) -> None:
    t = rig.task()
    other = rig.thread(t)
    t.blocked = other.blocked = bits(SIGTSTP, SIGCONT)
    rig.catch(t, SIGCONT)
    send_signal(other, SigInfo(SIGTSTP))
    send_signal(t.process, SigInfo(SIGCONT))
    assert other.pending.mask == 0
    assert t.process.pending.mask == bit(SIGCONT)
    send_signal(t.process, SigInfo(SIGTSTP))
    assert t.process.pending.mask == bit(SIGTSTP)


def test_pending_limit_refuses_queued_and_loses_siginfo(rig: SignalRig) -> None:
    t = rig.task()
    t.blocked = (1 << 64) - 1
    t.process.rlimits[RLIMIT_SIGPENDING] = (1, 1)
    send_signal(t.process, SigInfo(40, SI_QUEUE, 1))
    with pytest.raises(SysError) as caught:
        send_signal(t.process, SigInfo(41, SI_QUEUE, 1))
    assert caught.value.errno == EAGAIN
    with pytest.raises(SysError):
        send_signal(t, SigInfo(41, SI_TKILL, 1))
    # kill, and standard signals whose loss nobody could tell: the siginfo alone is lost.
    send_signal(t.process, SigInfo(42, SI_USER, 1))
    send_signal(t, SigInfo(SIGUSR1, SI_TKILL, 1))
    send_signal(t.process, SigInfo(SIGUSR2, SI_USER, 1))
    assert t.process.pending.pop(42).pid == 0
    assert t.pending.pop(SIGUSR1).pid == 0
    assert t.process.pending.pop(SIGUSR2).pid == 1


def test_pending_limit_counts_all_of_a_user(rig: SignalRig) -> None:
    t = rig.task(user(5))
    child = rig.fork(t)
    rig.thread(child)
    stranger = rig.task(user(6))
    for task in (t, child, stranger):
        task.blocked = bit(40)
        task.process.rlimits[RLIMIT_SIGPENDING] = (2, 2)
    send_signal(t.process, SigInfo(40, SI_QUEUE))
    send_signal(child, SigInfo(40, SI_QUEUE))
    with pytest.raises(SysError):
        send_signal(child.process, SigInfo(40, SI_QUEUE))
    send_signal(stranger.process, SigInfo(40, SI_QUEUE))


def test_group_signal_reaches_every_member(rig: SignalRig) -> None:
    t = rig.task()
    child = rig.fork(t)
    send_group(t.process.pgrp, SigInfo(SIGTERM))
    assert t.process.group_exit == child.process.group_exit == SIGTERM


def test_signalfd_readers_are_woken(rig: SignalRig) -> None:
    t = rig.task()
    rig.catch(t, SIGUSR1)
    woken = []

    async def read() -> None:
        await t.wait_killable([t.process.sighand.readers], lambda: t.process.pending.mask or None)
        woken.append(True)

    rig.spawn(read())
    send_signal(t.process, SigInfo(SIGUSR1))
    rig.settle()
    assert woken == [True]


@pytest.mark.parametrize(
    ("own", "other", "signo", "errno"),
    [
        (user(0)._replace(effective=1 << 5), user(7), SIGTERM, 0),
        (user(7), user(7), SIGTERM, 0),
        (user(7), user(8), SIGTERM, EPERM),
        (user(7), user(8)._replace(suid=7), SIGTERM, 0),
        (user(7), user(8)._replace(euid=7), SIGTERM, EPERM),
        (user(7), user(8)._replace(uid=7), SIGTERM, 0),
        (user(9)._replace(uid=8), user(8), SIGTERM, 0),
        (user(7), user(8), 0, EPERM),
        (user(7), user(8), 65, EINVAL),
        (user(7), user(8), -1, EINVAL),
        (user(7), user(8), SIGCONT, EPERM),
    ],
)
def test_kill_permission(
    rig: SignalRig, own: Credentials, other: Credentials, signo: int, errno: int
) -> None:
    t, target = rig.task(own), rig.task(other)
    if not errno:
        check_kill_permission(t, target, signo)
        return
    with pytest.raises(SysError) as caught:
        check_kill_permission(t, target, signo)
    assert caught.value.errno == errno


def test_kill_permission_within_process_and_session(rig: SignalRig) -> None:
    t = rig.task(user(7))
    child = rig.fork(t)
    thread = rig.thread(t)
    child.creds = thread.creds = user(8)
    check_kill_permission(t, thread, SIGTERM)
    check_kill_permission(t, child, SIGCONT)
    with pytest.raises(SysError):
        check_kill_permission(t, child, SIGTERM)


def test_fault_under_a_handler_is_left_to_it(rig: SignalRig) -> None:
    t = rig.task()
    rig.catch(t, SIGSEGV)
    force_fault(t, SIGSEGV, 1, 0x1234, trap_number=14, trap_error=6, trap_cr2=0x1234)
    assert (t.trap_number, t.trap_error, t.trap_cr2) == (14, 6, 0x1234)
    assert t.process.sighand.get(SIGSEGV).handler > 1
    info = dequeue(t, ~0)
    assert info == SigInfo(SIGSEGV, 1, addr=0x1234)
    force_fault(t, SIGSEGV, 1, 0, trap_number=13)
    assert t.trap_cr2 == 0x1234
    force_fault(t, SIGSEGV, 1, 1 << 63, trap_number=14, trap_error=4, trap_cr2=1 << 63)
    assert t.trap_error == 5


@pytest.mark.parametrize("evasion", ["blocked", "ignored", "own frame"])
def test_fault_cannot_be_evaded(rig: SignalRig, evasion: str) -> None:
    t: Any = rig.task()
    rig.catch(t, SIGSEGV)
    if evasion == "blocked":
        t.blocked = bits(SIGSEGV, SIGUSR1)
        force_signal(t, SigInfo(SIGSEGV, 1))
        assert t.blocked == bit(SIGUSR1)
    elif evasion == "ignored":
        t.process.sighand.set(SIGSEGV, SigAction(SIG_IGN))
        force_signal(t, SigInfo(SIGSEGV, 1))
    else:
        force_segv(t, SIGSEGV)
    assert t.process.sighand.get(SIGSEGV).handler == 0
    assert rig.ended(rig.interrupt(t))
    assert t.process.exit_code == SIGSEGV


def test_becoming_ignored_discards_pending_instances(rig: SignalRig) -> None:
    t = rig.task()
    t.blocked = bits(SIGUSR1, SIGCHLD)
    send_signal(t.process, SigInfo(SIGUSR1))
    send_signal(t, SigInfo(SIGCHLD))
    t.process.sighand.set(SIGUSR1, SigAction(SIG_IGN))
    discard_ignored(t.process, SIGUSR1)
    discard_ignored(t.process, SIGCHLD)
    assert t.process.pending.mask == t.pending.mask == 0
