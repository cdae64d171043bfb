"""Signal calls that wait or return: pause, rt_sigsuspend, rt_sigtimedwait, rt_sigreturn, restart_syscall."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

import pytest

from linuxemu.testing import BAD, Guest, TaskEnded
from syscalls.abi.errno import EAGAIN, EFAULT, EINTR, EINVAL, ETIMEDOUT
from syscalls.abi.flags import (
    FUTEX_WAIT,
    RLIMIT_NOFILE,
    SA_RESTART,
    SIG_BLOCK,
    SIGCONT,
    SIGKILL,
    SIGSEGV,
    SIGSTOP,
    SIGTERM,
    SIGUSR1,
    SIGUSR2,
)
from syscalls.abi.structs import Pollfd, Rlimit, Timespec
from syscalls.objects.siginfo import bit, bits
from tests.handlers.cases import NULL, SUCCESS, Out, fails, ok, proves

if TYPE_CHECKING:
    from linuxemu.testing import Call, GuestThread

MAIN = 2
USR1 = pack("<Q", bit(SIGUSR1))
NONE = pack("<Q", 0)
NOW = Timespec(0, 0)
INFO = Out(128)
_SECOND = Timespec(1, 0)


def _pending(guest: Guest) -> None:
    guest.syscall.rt_sigprocmask(SIG_BLOCK, USR1, 0, 8)
    guest.syscall.kill(MAIN, SIGUSR1)


def _is_from_kill(guest: Guest, call: Call) -> None:
    assert INFO.value[:24] == pack("<iiiiiI", SIGUSR1, 0, 0, 0, MAIN, 0)
    assert not guest.main.t.process.pending.mask


CASES = [
    fails("rt_sigsuspend", EINVAL, BAD, 4, rpcs=[]),
    fails("rt_sigsuspend", EFAULT, BAD, 8, rpcs=[]),
    ok("rt_sigtimedwait", USR1, INFO, NOW, 8, setup=_pending, returns=SIGUSR1, rpcs=[], check=_is_from_kill),
    ok("rt_sigtimedwait", USR1, 0, 0, 8, setup=_pending, returns=SIGUSR1, rpcs=[], label="no pointers"),
    fails("rt_sigtimedwait", EINVAL, BAD, 0, 0, 4, rpcs=[], label="size first"),
    fails("rt_sigtimedwait", EINVAL, USR1, 0, Timespec(0, 10**9), 8, setup=_pending, rpcs=[], label="nanoseconds"),
    fails("rt_sigtimedwait", EINVAL, USR1, 0, Timespec(-1, 0), 8, rpcs=[], label="negative"),
    fails("rt_sigtimedwait", EAGAIN, USR1, 0, NOW, 8, rpcs=[], label="at once"),
    fails("rt_sigtimedwait", EAGAIN, USR1, 0, _SECOND, 8, rpcs=[], label="after a second"),
    fails("rt_sigtimedwait", EAGAIN, pack("<Q", bit(SIGKILL)), 0, NOW, 8, rpcs=[], label="not for SIGKILL"),
    fails("restart_syscall", EINTR, rpcs=[]),
]  # fmt: skip


def _sender(guest: Guest) -> GuestThread:
    return guest.process()


def _stop_and_continue(guest: Guest, by: GuestThread) -> None:
    by.syscall.kill(MAIN, SIGSTOP)
    by.syscall.kill(MAIN, SIGCONT)


# -- pause, rt_sigsuspend -------------------------------------------------------------------------------------------


@proves("pause", EINTR, rpcs=[])
def test_a_handler_ends_pause_even_with_sa_restart(guest: Guest) -> None:
    handler = guest.on_signal(SIGUSR1, flags=SA_RESTART)
    call = guest.start.pause()
    assert call.blocked
    _sender(guest).syscall.kill(MAIN, SIGUSR1)
    assert (call.errno, handler.signals) == (EINTR, [SIGUSR1])


def test_a_stop_does_not_end_pause(guest: Guest) -> None:
    call = guest.start.pause()
    _stop_and_continue(guest, _sender(guest))
    assert call.blocked


@proves("pause", SUCCESS, rpcs=[])
def test_pause_ends_with_its_process(guest: Guest) -> None:
    call = guest.start.pause()
    _sender(guest).syscall.kill(MAIN, SIGTERM)
    assert (call.gone, guest.main.signal) == (True, SIGTERM)


@proves("rt_sigsuspend", EINTR, rpcs=[])
def test_rt_sigsuspend_waits_under_another_mask_and_puts_the_old_one_back(guest: Guest) -> None:
    handler = guest.on_signal(SIGUSR1, flags=SA_RESTART, hold=True)
    guest.syscall.rt_sigprocmask(SIG_BLOCK, USR1, 0, 8)
    call = guest.start.rt_sigsuspend(pack("<Q", bits(SIGUSR2, SIGKILL)), 8)
    assert (call.blocked, guest.main.t.blocked) == (True, bit(SIGUSR2))
    _sender(guest).syscall.kill(MAIN, SIGUSR1)
    assert (guest.main.held_in, guest.main.t.blocked) == (handler, bits(SIGUSR1, SIGUSR2))
    guest.main.sigreturn()
    assert (call.errno, guest.main.t.blocked) == (EINTR, bit(SIGUSR1))


@proves("rt_sigsuspend", SUCCESS, rpcs=[], pointers=["unewset"])
def test_rt_sigsuspend_ends_with_its_process(guest: Guest) -> None:
    assert guest.start.rt_sigsuspend(BAD, 8).errno == EFAULT
    call = guest.start.rt_sigsuspend(NONE, 8)
    _sender(guest).syscall.kill(MAIN, SIGTERM)
    assert call.gone


def test_a_stop_does_not_end_rt_sigsuspend(guest: Guest) -> None:
    call = guest.start.rt_sigsuspend(NONE, 8)
    _stop_and_continue(guest, _sender(guest))
    assert call.blocked


# -- rt_sigtimedwait ------------------------------------------------------------------------------------------------


@proves("rt_sigtimedwait", SUCCESS, rpcs=[])
def test_rt_sigtimedwait_takes_a_signal_that_comes_while_it_waits(guest: Guest) -> None:
    handler = guest.on_signal(SIGUSR1)
    call = guest.start.rt_sigtimedwait(USR1, INFO, _SECOND, 8)
    assert call.blocked
    _sender(guest).syscall.kill(MAIN, SIGUSR1)
    assert (call.result, handler.signals, guest.main.t.blocked) == (SIGUSR1, [], 0)


@proves("rt_sigtimedwait", EINTR, rpcs=[])
@pytest.mark.parametrize("flags", [0, SA_RESTART])
def test_another_signal_ends_rt_sigtimedwait(guest: Guest, flags: int) -> None:
    handler = guest.on_signal(SIGUSR2, flags=flags)
    call = guest.start.rt_sigtimedwait(USR1, NULL, NULL, 8)
    _sender(guest).syscall.kill(MAIN, SIGUSR2)
    assert (call.errno, handler.signals) == (EINTR, [SIGUSR2])


@proves("rt_sigtimedwait", EINTR, rpcs=[])
def test_a_stop_ends_rt_sigtimedwait(guest: Guest) -> None:
    call = guest.start.rt_sigtimedwait(USR1, NULL, NULL, 8)
    _stop_and_continue(guest, _sender(guest))
    assert call.errno == EINTR


@proves("rt_sigtimedwait", EAGAIN, rpcs=[])
def test_rt_sigtimedwait_gives_up_when_the_time_is_over(guest: Guest) -> None:
    call = guest.start.rt_sigtimedwait(USR1, NULL, _SECOND, 8)
    guest.clock.advance(ms=999)
    assert call.blocked
    guest.clock.advance(ms=1)
    assert call.errno == EAGAIN


# -- rt_sigreturn ---------------------------------------------------------------------------------------------------


@proves("rt_sigreturn", SUCCESS, rpcs=[])
def test_rt_sigreturn_restores_mask_and_registers(guest: Guest) -> None:
    guest.on_signal(SIGUSR1, mask=bit(SIGUSR2), hold=True)
    before = guest.main.regs
    guest.start.kill(MAIN, SIGUSR1)
    assert guest.main.t.blocked == bits(SIGUSR1, SIGUSR2)
    guest.main.sigreturn()
    assert guest.main.t.blocked == 0
    after = guest.main.regs
    assert (after.rax, after.rdi, after.rsi) == (0, MAIN, SIGUSR1)
    assert (after.rsp, after.rflags, after.fsbase) == (before.rsp, before.rflags, before.fsbase)


@proves("rt_sigreturn", SUCCESS, rpcs=[])
def test_a_frame_that_holds_nothing_is_sigsegv(guest: Guest) -> None:
    with pytest.raises(TaskEnded):
        guest.syscall.rt_sigreturn()
    assert guest.main.signal == SIGSEGV


# -- restart_syscall: what goes on after a stop ---------------------------------------------------------------------


@proves("restart_syscall", SUCCESS, rpcs=[])
def test_a_sleep_goes_on_after_a_stop_until_its_first_end(guest: Guest) -> None:
    call, sender = guest.start.nanosleep(_SECOND, NULL), _sender(guest)
    guest.clock.advance(ms=600)
    _stop_and_continue(guest, sender)
    guest.clock.advance(ms=399)
    assert call.blocked
    guest.clock.advance(ms=1)
    assert call.result == 0


@proves("restart_syscall", EINTR, rpcs=[])
def test_a_handler_ends_a_sleep_that_goes_on(guest: Guest) -> None:
    guest.on_signal(SIGUSR1, flags=SA_RESTART)
    call, sender = guest.start.nanosleep(_SECOND, NULL), _sender(guest)
    _stop_and_continue(guest, sender)
    sender.syscall.kill(MAIN, SIGUSR1)
    assert call.errno == EINTR


@proves("restart_syscall", ETIMEDOUT, EAGAIN, EFAULT, rpcs=[])
def test_a_futex_is_looked_at_anew_after_a_stop(guest: Guest) -> None:
    sender, word = _sender(guest), guest.syscall.mmap(0, 4096, 3, 0x22, -1, 0)
    guest.on_signal(SIGUSR1)
    call = guest.start.futex(word, FUTEX_WAIT, 0, _SECOND)
    _stop_and_continue(guest, sender)
    guest.clock.advance(s=1)
    assert call.errno == ETIMEDOUT
    other = guest.thread()
    call = guest.start.futex(word, FUTEX_WAIT, 0, _SECOND)
    sender.syscall.kill(MAIN, SIGSTOP)
    guest.write(word, b"\1")
    sender.syscall.kill(MAIN, SIGCONT)
    assert call.errno == EAGAIN
    guest.write(word, b"\0")
    call = guest.start.futex(word, FUTEX_WAIT, 0, _SECOND)
    other.syscall.mprotect(word, 4096, 0)
    _stop_and_continue(guest, sender)
    assert call.errno == EFAULT


@proves("restart_syscall", EINVAL, rpcs=[])
def test_poll_has_too_many_descriptors_when_the_limit_fell_meanwhile(guest: Guest) -> None:
    sender = _sender(guest)
    call = guest.start.poll(Pollfd(-1, 0, 0), 1, 1000)
    sender.syscall.prlimit64(MAIN, RLIMIT_NOFILE, Rlimit(0, 0), NULL)
    _stop_and_continue(guest, sender)
    assert call.errno == EINVAL
