"""POSIX timers: timer_create and its relatives."""

from __future__ import annotations

from typing import Any

import pytest

from syscalls.abi.flags import SI_TIMER, SIG_IGN, SIGALRM, SIGRTMIN, SIGUSR1
from syscalls.abi.structs import Itimerspec
from syscalls.objects.credentials import Credentials
from syscalls.objects.siginfo import SigAction, SigInfo, bit
from syscalls.objects.signal import send_signal
from tests.syscalls.callrig import BAD, BOOTED_EARLIER_NS, EPOCH_NS, Out, Rig
from tests.syscalls.timecalls import (
    ABSTIME,
    MONOTONIC,
    MS,
    PROCESS_CPU,
    REALTIME,
    SECOND,
    THREAD_CPU,
    blocked_rig,
    event,
    pending,
    settable,
    spec,
    timer,
    work,
)


class TestPosixTimers:
    def make(self, rig: Rig, clock_id: int = MONOTONIC, sevp: Any = 0, t: Any = None) -> int:
        result, (number,) = rig.step("timer_create", clock_id, sevp, Out(4), t=t)
        assert result == 0
        return int.from_bytes(number, "little")

    def left(self, rig: Rig, number: int) -> int:
        _, (raw,) = rig.step("timer_gettime", number, Out(32))
        return Itimerspec.unpack(raw).it_value.ns()

    def test_defaults_to_sigalrm_with_its_own_number(self) -> None:
        rig = blocked_rig(SIGALRM)
        first, second = self.make(rig), self.make(rig)
        assert (first, second) == (0, 1)
        rig.ok("timer_settime", second, 0, timer(5 * MS), 0)
        rig.advance(5 * MS)
        info = rig.t.process.pending.pop(SIGALRM)
        assert (info.code, info.timer, info.value, info.overrun) == (SI_TIMER, 1, 1, 0)
        assert rig.step("timer_gettime", second, Out(32))[1] == [bytes(32)]

    def test_value_travels(self) -> None:
        rig = blocked_rig(SIGRTMIN)
        number = self.make(rig, sevp=event(0, SIGRTMIN, value=0xDEAD_BEEF_0000_0001))
        rig.ok("timer_settime", number, 0, timer(MS), 0)
        rig.advance(MS)
        assert rig.t.process.pending.pop(SIGRTMIN).value == 0xDEAD_BEEF_0000_0001

    def test_a_thread_is_told(self) -> None:
        rig = Rig()
        thread = rig.thread(rig.t)
        thread.blocked = bit(SIGUSR1)
        number = self.make(rig, sevp=event(4, SIGUSR1, tid=thread.tid))
        rig.ok("timer_settime", number, 0, timer(MS), 0)
        rig.advance(MS)
        assert thread.pending.has(SIGUSR1)
        assert not rig.t.process.pending.mask

    def test_nobody_is_told(self) -> None:
        rig = Rig()
        number = self.make(rig, sevp=event(1, 0))
        rig.ok("timer_settime", number, 0, timer(10 * MS, 10 * MS), 0)
        rig.advance(15 * MS)
        assert not rig.t.process.pending.mask
        assert rig.step("timer_gettime", number, Out(32))[1] == [timer(5 * MS, 10 * MS).data]

    def test_overruns_are_counted_while_the_signal_waits(self) -> None:
        rig = blocked_rig(SIGUSR1)
        number = self.make(rig, sevp=event(0, SIGUSR1))
        other = self.make(rig, sevp=event(0, SIGUSR1))
        rig.ok("timer_settime", number, 0, timer(10 * MS, 10 * MS), 0)
        rig.advance(45 * MS)
        assert rig.t.process.pending.pop(SIGUSR1).overrun == 3
        assert rig.ok("timer_getoverrun", number) == 3
        assert rig.ok("timer_getoverrun", other) == 0
        rig.advance(5 * MS)
        assert rig.t.process.pending.pop(SIGUSR1).overrun == 0
        assert rig.ok("timer_getoverrun", number) == 0

    def test_overruns_of_queued_signals_keep_their_order(self) -> None:
        rig = blocked_rig(SIGRTMIN)
        number = self.make(rig, sevp=event(0, SIGRTMIN, value=7))
        send_signal(rig.t.process, SigInfo(SIGRTMIN, -1, value=1))
        rig.ok("timer_settime", number, 0, timer(10 * MS, 10 * MS), 0)
        rig.advance(10 * MS)
        send_signal(rig.t.process, SigInfo(SIGRTMIN, -1, value=2))
        rig.advance(20 * MS)
        taken = [rig.t.process.pending.pop(SIGRTMIN) for _ in range(3)]
        assert [(info.value, info.overrun) for info in taken] == [(1, 0), (7, 2), (2, 0)]

    def test_an_ignored_signal_does_not_stop_the_timer(self) -> None:
        rig = Rig()
        rig.t.process.sighand.set(SIGUSR1, SigAction(SIG_IGN))
        number = self.make(rig, sevp=event(0, SIGUSR1))
        rig.ok("timer_settime", number, 0, timer(10 * MS, 10 * MS), 0)
        rig.advance(35 * MS)
        assert not rig.t.process.pending.mask
        rig.t.blocked = bit(SIGUSR1)
        rig.advance(5 * MS)
        assert rig.t.process.pending.pop(SIGUSR1).overrun == 0

    def test_no_room_for_the_signal(self) -> None:
        rig = Rig(Credentials.user(1000, 1000))
        rig.t.blocked = bit(SIGRTMIN)
        number = self.make(rig, sevp=event(0, SIGRTMIN))
        rig.t.process.rlimits[11] = (0, 0)  # RLIMIT_SIGPENDING
        rig.ok("timer_settime", number, 0, timer(10 * MS, 10 * MS), 0)
        rig.advance(10 * MS)
        rig.t.process.rlimits[11] = (10, 10)
        rig.advance(10 * MS)
        assert rig.t.process.pending.pop(SIGRTMIN).timer == number

    @pytest.mark.parametrize(("clock_id", "ahead"), [(REALTIME, EPOCH_NS), (MONOTONIC, BOOTED_EARLIER_NS)])
    def test_absolute_times(self, clock_id: int, ahead: int) -> None:
        rig = blocked_rig(SIGALRM)
        number = self.make(rig, clock_id)
        rig.ok("timer_settime", number, ABSTIME, timer(rig.now + ahead + 10 * MS), 0)
        rig.advance(9 * MS)
        assert not pending(rig, SIGALRM)
        rig.advance(MS)
        assert pending(rig, SIGALRM)
        rig.ok("timer_settime", number, ABSTIME, timer(5, 20 * MS), 0)
        rig.advance(0)
        assert pending(rig, SIGALRM)
        rig.ok("timer_settime", number, ABSTIME, timer(0), 0)
        rig.advance(SECOND)
        assert not pending(rig, SIGALRM)

    def test_setting_the_clock_moves_what_is_armed_with_a_time_of_it(self) -> None:
        rig = blocked_rig(SIGALRM)
        settable(rig)
        number = self.make(rig, REALTIME)
        rig.ok("timer_settime", number, ABSTIME, timer(rig.now + EPOCH_NS + 100 * SECOND, 10 * SECOND), 0)
        rig.ok("clock_settime", REALTIME, spec(rig.now + EPOCH_NS + 95 * SECOND))
        assert self.left(rig, number) == 5 * SECOND
        rig.ok("clock_settime", REALTIME, spec(rig.now + EPOCH_NS + 123 * SECOND))
        rig.advance(0)
        assert rig.t.process.pending.pop(SIGALRM).overrun == 2
        assert self.left(rig, number) == 7 * SECOND
        rig.ok("clock_settime", REALTIME, spec(rig.now + EPOCH_NS))
        assert self.left(rig, number) == 130 * SECOND

    @pytest.mark.parametrize(("clock_id", "flags"), [(REALTIME, 0), (MONOTONIC, 0), (MONOTONIC, ABSTIME)])
    def test_setting_the_clock_moves_nothing_else(self, clock_id: int, flags: int) -> None:
        rig = blocked_rig(SIGALRM)
        settable(rig)
        number = self.make(rig, REALTIME)
        rig.ok("timer_settime", number, ABSTIME, timer(rig.now + EPOCH_NS + 10 * SECOND), 0)
        rig.ok("timer_settime", number, 0, timer(10 * SECOND), 0)
        other = self.make(rig, clock_id)
        start = rig.now + BOOTED_EARLIER_NS if flags else 0
        rig.ok("timer_settime", other, flags, timer(start + 10 * SECOND), 0)
        rig.ok("clock_settime", REALTIME, spec(rig.now + EPOCH_NS + 500 * SECOND))
        assert self.left(rig, number) == self.left(rig, other) == 10 * SECOND

    def test_cpu_time(self) -> None:
        rig = blocked_rig(SIGALRM)
        rig.t.user_ns = SECOND
        number = self.make(rig, PROCESS_CPU)
        thread_timer = self.make(rig, THREAD_CPU, event(0, SIGALRM, value=9))
        rig.ok("timer_settime", number, 0, timer(10 * MS), 0)
        rig.advance(SECOND)
        assert not pending(rig, SIGALRM)
        work(rig, 10)
        rig.advance(16 * MS)
        assert pending(rig, SIGALRM)
        rig.ok("timer_settime", thread_timer, ABSTIME, timer(SECOND + 50 * MS), 0)
        work(rig, 40, field="sys_ns")
        assert rig.t.process.pending.pop(SIGALRM).value == 9

    def test_setting_returns_what_was_left(self) -> None:
        rig = Rig()
        number = self.make(rig)
        rig.ok("timer_settime", number, 0, timer(10 * MS, 3 * MS), 0)
        rig.advance(4 * MS)
        _, (old,) = rig.step("timer_settime", number, 0, timer(SECOND), Out(32))
        assert old == timer(6 * MS, 3 * MS).data
        rig.now += 2 * SECOND
        assert rig.step("timer_gettime", number, Out(32))[1] == [timer(1).data]

    def test_deleting_disarms_and_frees_the_number(self) -> None:
        rig = blocked_rig(SIGALRM)
        number = self.make(rig)
        rig.ok("timer_settime", number, 0, timer(MS), 0)
        rig.ok("timer_delete", number)
        rig.advance(SECOND)
        assert not pending(rig, SIGALRM)
        assert rig.fails("timer_settime", number, 0, timer(MS), 0) == "EINVAL"
        assert rig.t.process.posix_timers == {}

    def test_a_fault_leaves_no_timer(self) -> None:
        rig = Rig()
        assert rig.fails("timer_create", MONOTONIC, 0, BAD) == "EFAULT"
        assert rig.t.process.posix_timers == {}

    def test_children_have_none(self) -> None:
        rig = Rig()
        number = self.make(rig)
        child = rig.fork(rig.t)
        assert rig.fails("timer_gettime", number, Out(32), t=child) == "EINVAL"
