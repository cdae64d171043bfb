"""Clocks, sleeping, interval timers, POSIX timers."""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest

from linuxemu.messages import clock
from syscalls.abi.flags import (
    SI_KERNEL,
    SIGALRM,
    SIGPROF,
    SIGUSR1,
    SIGVTALRM,
)
from syscalls.abi.structs import Timespec, Timeval, Timex, Tms
from syscalls.errors import Interrupted, Restart
from syscalls.objects.siginfo import SigAction, SigInfo, bit
from syscalls.objects.signal import dequeue, send_signal
from tests.syscalls.callrig import BAD, BOOTED_EARLIER_NS, EPOCH_NS, In, Out, Rig, Words, both
from tests.syscalls.jobs import Job
from tests.syscalls.timecalls import (
    ABSTIME,
    BOOTTIME,
    MONOTONIC,
    MS,
    NOBODY,
    ODD_CLOCKS,
    PROCESS_CPU,
    REALTIME,
    SECOND,
    THREAD_CPU,
    blocked_rig,
    cpu_clock,
    event,
    itimer,
    pending,
    raw_spec,
    settable,
    spec,
    timer,
    work,
)


@pytest.mark.native
class TestLikeNative:
    def test_clocks(self) -> None:
        both(*(("clock_gettime", c, Out(16)) for c in ODD_CLOCKS), loose=["clock_gettime"])
        both(("clock_gettime", 0, BAD), ("clock_gettime", 99, BAD), ("clock_gettime", 0, 0))

    def test_resolutions(self) -> None:
        # 5 and 6 show the length of a kernel tick, a matter of configuration.
        both(*(("clock_getres", c, Out(16)) for c in ODD_CLOCKS if c not in (5, 6)))
        both(*(("clock_getres", c, 0) for c in ODD_CLOCKS))
        both(("clock_getres", 0, BAD), ("clock_getres", 99, BAD))

    def test_setting_clocks(self) -> None:
        wrong = raw_spec(5, SECOND)
        both(
            *(("clock_settime", c, wrong) for c in ODD_CLOCKS), ("clock_settime", 0, BAD),
            ("clock_settime", 1, BAD), ("clock_settime", cpu_clock(0), BAD),
            ("clock_settime", 0, raw_spec(-1, 0)),
            ("settimeofday", In(pack("<qq", 1, 1_000_000)), 0), ("settimeofday", In(pack("<qq", -1, 0)), 0),
            ("settimeofday", BAD, 0), ("settimeofday", 0, BAD), ("settimeofday", 0, 0),
        )  # fmt: skip

    def test_setting_clocks_without_privilege(self) -> None:
        both(
            ("clock_settime", 0, raw_spec(1, 1)), ("clock_settime", 0, raw_spec(1, -1)),
            ("settimeofday", In(pack("<qq", 1, 1)), 0), ("settimeofday", 0, In(pack("<ii", 60, 0))),
            ("settimeofday", 0, In(pack("<ii", 6000, 0))), ("settimeofday", 0, 0), uid=1000,
        )  # fmt: skip

    def test_time_of_day(self) -> None:
        both(
            ("gettimeofday", Out(16), Out(8)), ("gettimeofday", 0, Out(8)), ("gettimeofday", 0, 0),
            ("gettimeofday", BAD, 0), ("gettimeofday", 0, BAD), ("time", 0), ("time", Out(8)), ("time", BAD),
            ("times", Out(32)), ("times", 0), ("times", BAD), loose=["gettimeofday", "time", "times"],
        )  # fmt: skip

    def test_sleeping(self) -> None:
        both(
            ("nanosleep", raw_spec(0, 1000), Words(b"x" * 16)), ("nanosleep", raw_spec(0, SECOND), 0),
            ("nanosleep", raw_spec(0, -1), 0), ("nanosleep", raw_spec(-1, 0), 0), ("nanosleep", BAD, 0),
            ("nanosleep", raw_spec(0, 0), BAD),
        )  # fmt: skip

    def test_sleeping_on_clocks(self) -> None:
        bad = raw_spec(0, SECOND)
        rig = Rig()
        rig.t.user_ns = 1000  # what any native process has used by now
        both(
            *(("clock_nanosleep", c, flags, bad, 0) for c in ODD_CLOCKS for flags in (0, 1, 0x100)),
            *(("clock_nanosleep", c, 1, raw_spec(0, 1), 0) for c in ODD_CLOCKS),
            *(("clock_nanosleep", c, 0, BAD, 0) for c in ODD_CLOCKS),
            ("clock_nanosleep", 0, 2, raw_spec(0, 1), 0),
            ("clock_nanosleep", 0, 1, raw_spec(-1, 0), 0),
            ("clock_nanosleep", 0, 1, raw_spec(1, 0), Words(b"x" * 16)),
            rig=rig,
        )

    def test_interval_timers(self) -> None:
        both(
            *(("getitimer", which, Out(32)) for which in range(-1, 4)),
            ("getitimer", 0, BAD), ("getitimer", 9, BAD),
            ("setitimer", 0, itimer(0, 5 * SECOND), Out(32)), ("getitimer", 0, Out(32)),
            ("setitimer", 1, itimer(0, 5 * SECOND), Out(32)), ("getitimer", 1, Out(32)),
            ("setitimer", 3, itimer(0), 0), ("setitimer", -1, itimer(0), 0), ("setitimer", 0, BAD, 0),
            ("setitimer", 0, In(pack("<4q", 0, 0, 0, 1_000_000)), 0),
            ("setitimer", 0, In(pack("<4q", 0, -1, 0, 0)), 0),
            ("setitimer", 0, In(pack("<4q", -1, 0, 0, 0)), 0),
            ("setitimer", 0, In(pack("<4q", 0, 0, -1, 0)), 0),
            ("setitimer", 9, In(pack("<4q", 0, 0, -1, 0)), 0),
            ("setitimer", 0, itimer(0), BAD), ("setitimer", 0, 0, Out(32)),
            ("alarm", 0), ("alarm", 100), ("alarm", 50), ("alarm", 0), ("alarm", 0xFFFF_FFFF), ("alarm", 0),
        )  # fmt: skip

    def test_posix_timers(self) -> None:
        armed = timer(100 * SECOND)
        both(
            ("timer_create", 0, 0, Out(4)), ("timer_create", 1, event(1, 0), Out(4)),
            ("timer_settime", 0, 0, armed, Out(32)), ("timer_settime", 0, 0, timer(0, SECOND), 0),
            ("timer_gettime", 0, Out(32)), ("timer_settime", 1, 0, timer(0, 7 * SECOND), Out(32)),
            ("timer_gettime", 1, Out(32)), ("timer_gettime", 0, BAD), ("timer_gettime", 7, BAD),
            ("timer_gettime", -1, Out(32)), ("timer_settime", 0, 0, 0, 0), ("timer_settime", 0, 0, BAD, 0),
            ("timer_settime", 7, 0, 0, 0), ("timer_settime", 7, 0, armed, 0),
            ("timer_settime", 0, 0, In(pack("<4q", 0, 0, 0, SECOND)), 0),
            ("timer_settime", 0, 0, In(pack("<4q", 0, SECOND, 1, 0)), 0),
            ("timer_settime", 0, 0, In(pack("<4q", 0, 0, -1, 0)), 0),
            ("timer_settime", 0, 0, timer(0), BAD), ("timer_getoverrun", 0), ("timer_getoverrun", 7),
            ("timer_delete", 0), ("timer_delete", 0), ("timer_gettime", 0, Out(32)), ("timer_delete", 1),
            loose=["timer_create"],
        )  # fmt: skip

    def test_making_posix_timers(self) -> None:
        both(
            *(("timer_create", c, event(1, 0), Out(4)) for c in ODD_CLOCKS),
            ("timer_create", 0, event(0, 0), Out(4)), ("timer_create", 0, event(0, 65), Out(4)),
            ("timer_create", 0, event(0, 64), Out(4)), ("timer_create", 0, event(2, 10), Out(4)),
            ("timer_create", 0, event(2, -1), Out(4)), ("timer_create", 0, event(3, 10), Out(4)),
            ("timer_create", 0, event(4, 10, tid=NOBODY), Out(4)),
            ("timer_create", 0, event(4, 10, tid=1), Out(4)),
            ("timer_create", 0, event(6, 10), Out(4)), ("timer_create", 0, event(1, 99), Out(4)),
            ("timer_create", 0, BAD, Out(4)), ("timer_create", 0, 0, BAD), ("timer_create", 99, BAD, BAD),
            loose=["timer_create"],
        )  # fmt: skip

    def test_clock_discipline(self) -> None:
        size = Timex.SIZE
        both(
            ("adjtimex", BAD), *(("clock_adjtime", c, BAD) for c in (0, 1, 99)),
            *(("clock_adjtime", c, Words(bytes(size))) for c in ODD_CLOCKS if c not in (0, 16, 17, 18, 19)),
            ("adjtimex", Words(bytes(size))), ("adjtimex", Words(pack("<I", 0xA001).ljust(size, b"\0"))),
            loose=["adjtimex", "clock_adjtime"],
        )  # fmt: skip

    def test_clock_discipline_without_privilege(self) -> None:
        modes = (1, 2, 0x4000, 0x8000, 0x8001, 0xA000, 0xA001, 0xA002, 0xE001)
        requests = [Words(pack("<I", mode).ljust(Timex.SIZE, b"\0")) for mode in modes]
        steps = [("adjtimex", request) for request in requests]
        both(*steps, ("clock_adjtime", 0, requests[1]), loose=["adjtimex"], uid=1000)


class TestClocks:
    def test_values(self) -> None:
        rig = Rig()

        def shown(clock_id: int, t: Any = None) -> int:
            return Timespec.unpack(rig.step("clock_gettime", clock_id, Out(16), t=t)[1][0]).ns()

        now = rig.now
        for clock_id in (0, 5, 11):
            assert shown(clock_id) == now + EPOCH_NS
        for clock_id in (1, 4, 6, 7):
            assert shown(clock_id) == now + BOOTED_EARLIER_NS
        _, (raw, zone) = rig.step("gettimeofday", Out(16), Words(b"\xff" * 8))
        assert Timeval.unpack(raw).ns() == now + EPOCH_NS
        assert zone == bytes(8)
        seconds, (stored,) = rig.step("time", Out(8))
        assert seconds == int.from_bytes(stored, "little") == EPOCH_NS // SECOND + 1

    def test_cpu_clocks(self) -> None:
        rig = Rig()
        rig.t.user_ns, rig.t.sys_ns = 5, 7
        thread, child = rig.thread(rig.t), rig.fork(rig.t)
        thread.user_ns, child.user_ns, child.sys_ns = 100, 2000, 1

        def shown(clock_id: int, t: Any = None) -> int:
            return Timespec.unpack(rig.step("clock_gettime", clock_id, Out(16), t=t)[1][0]).ns()

        pid = rig.t.process.pid
        assert shown(PROCESS_CPU) == shown(cpu_clock(pid)) == shown(cpu_clock(0)) == 112
        assert shown(THREAD_CPU) == shown(cpu_clock(rig.t.tid, thread=True)) == 12
        assert shown(cpu_clock(thread.tid, thread=True)) == 100
        assert shown(cpu_clock(thread.tid), thread) == 112
        assert shown(cpu_clock(child.process.pid)) == 2001
        assert shown(cpu_clock(child.process.pid, kind=1)) == 2000
        assert shown(cpu_clock(child.process.pid, kind=0)) == 2001
        assert rig.fails("clock_gettime", cpu_clock(thread.tid), Out(16)) == "EINVAL"
        assert rig.fails("clock_gettime", cpu_clock(child.tid, thread=True), Out(16)) == "EINVAL"

    def test_coarse_resolution_is_a_tick(self) -> None:
        for clock_id in (5, 6, cpu_clock(0, 0), cpu_clock(0, 1)):
            assert Rig().step("clock_getres", clock_id, Out(16))[1] == [pack("<qq", 0, 4 * MS)]

    def test_setting_asks_the_time_server(self) -> None:
        rig = Rig()
        rig.answer = lambda message: clock.SettimeReply()
        rig.ok("clock_settime", REALTIME, raw_spec(5, 6))
        rig.ok("settimeofday", In(pack("<qq", 7, 8)), In(pack("<ii", 0, 0)))
        assert rig.messages == [clock.Settime(0, 5 * SECOND + 6), clock.Settime(0, 7 * SECOND + 8000)]
        assert rig.server.complaints == []

    def test_setting_is_refused_by_the_time_server(self) -> None:
        from linuxemu.errors import RpcError
        from linuxemu.idl.codes import ERR_INVALID_ARG

        def refuse(message: Any) -> Any:
            raise RpcError(ERR_INVALID_ARG)

        rig = Rig()
        rig.answer = refuse
        assert rig.fails("clock_settime", REALTIME, raw_spec(5, 6)) == "EINVAL"

    def test_time_zone_is_not_supported(self) -> None:
        rig = Rig()
        rig.ok("settimeofday", 0, In(pack("<ii", 60, 1)))
        assert rig.fails("settimeofday", 0, In(pack("<ii", 901, 0))) == "EINVAL"
        assert rig.server.complaints == ["settimeofday: time zone"]

    def test_times(self) -> None:
        rig = Rig()
        rig.t.user_ns, rig.t.sys_ns = 20 * MS, 39 * MS
        rig.t.process.child_usage.user_ns, rig.t.process.child_usage.sys_ns = SECOND, 2 * SECOND
        ticks, (raw,) = rig.step("times", Out(32))
        assert ticks == (rig.now + BOOTED_EARLIER_NS) // (10 * MS)
        assert Tms.unpack(raw) == (2, 3, 100, 200)

    def test_clock_discipline_cannot_be_changed(self) -> None:
        rig = Rig()
        assert rig.fails("adjtimex", Words(pack("<I", 2).ljust(Timex.SIZE, b"\0"))) == "EPERM"
        assert rig.server.complaints == ["adjtimex: modes 0x2"]
        state, (raw,) = rig.step("clock_adjtime", REALTIME, Words(bytes(Timex.SIZE)))
        shown = Timex.unpack(raw)
        assert (state, shown.tick, shown.tv_sec) == (5, 10_000, EPOCH_NS // SECOND + 1)


def interrupted(rig: Rig, job: Job, t: Any = None) -> int:
    """Send a signal to a sleeping call; the kind of restart it asks for."""
    send_signal(t or rig.t, SigInfo(SIGUSR1, 0))
    rig.settle()
    with pytest.raises(Interrupted) as caught:
        job.value()
    assert dequeue(t or rig.t, bit(SIGUSR1)) is not None
    return caught.value.restart


def catching(rig: Rig, *signos: int) -> None:
    for signo in signos or (SIGUSR1,):
        rig.t.process.sighand.set(signo, SigAction(0x1000))


class TestSleep:
    def test_sleeps_as_long_as_asked(self) -> None:
        rig = Rig()
        begin = rig.now
        rig.ok("nanosleep", spec(1234 * MS), 0)
        assert rig.now == begin + 1234 * MS
        rig.ok("clock_nanosleep", BOOTTIME, 0, spec(1), 0)
        assert rig.now == begin + 1234 * MS + 1

    def test_absolute_sleeps_end_at_the_time_of_their_clock(self) -> None:
        rig = Rig()
        begin = rig.now
        rig.ok("clock_nanosleep", REALTIME, ABSTIME, spec(begin + EPOCH_NS + 5), 0)
        assert rig.now == begin + 5
        rig.ok("clock_nanosleep", MONOTONIC, ABSTIME, spec(begin + BOOTED_EARLIER_NS + 9), 0)
        assert rig.now == begin + 9
        rig.ok("clock_nanosleep", MONOTONIC, ABSTIME, spec(7), 0)
        assert rig.now == begin + 9

    def test_setting_the_clock_forward_ends_a_sleep_until_a_time_of_it(self) -> None:
        rig = Rig()
        settable(rig)
        at = rig.t.mem.alloc(spec(rig.now + EPOCH_NS + 100 * SECOND).data)
        rel = rig.t.mem.alloc(spec(100 * SECOND).data)
        until = rig.start(rig.thread(rig.t), "clock_nanosleep", REALTIME, ABSTIME, at, 0)
        span = rig.start(rig.thread(rig.t), "clock_nanosleep", REALTIME, 0, rel, 0)
        rig.ok("clock_settime", REALTIME, spec(rig.now + EPOCH_NS + 90 * SECOND))
        rig.advance(9 * SECOND)
        assert not until.done
        rig.ok("clock_settime", REALTIME, spec(rig.now + EPOCH_NS + 500 * SECOND))
        rig.advance(0)
        assert until.done
        rig.advance(90 * SECOND)
        assert not span.done
        rig.advance(SECOND)
        assert span.done

    def test_setting_the_clock_back_prolongs_it(self) -> None:
        rig = Rig()
        settable(rig)
        at = rig.t.mem.alloc(spec(rig.now + EPOCH_NS + 10 * SECOND).data)
        until = rig.start(rig.thread(rig.t), "clock_nanosleep", REALTIME, ABSTIME, at, 0)
        rig.ok("clock_settime", REALTIME, spec(rig.now + EPOCH_NS - 5 * SECOND))
        rig.advance(14 * SECOND)
        assert not until.done
        rig.advance(SECOND)
        assert until.done

    def test_a_signal_leaves_the_time_that_remains(self) -> None:
        rig = Rig()
        catching(rig)
        rem = rig.t.mem.alloc(16)
        job = rig.start(rig.t, "nanosleep", rig.t.mem.alloc(spec(10 * SECOND).data), rem)
        rig.advance(3 * SECOND)
        assert interrupted(rig, job) == Restart.BLOCK
        assert Timespec.unpack(rig.t.mem.get(rem, 16)).ns() == 7 * SECOND
        assert rig.t.restart_block is not None
        end = rig.now + 7 * SECOND
        rig.now += 2 * SECOND
        rig.run(rig.t.restart_block())
        assert rig.now == end

    def test_a_signal_after_the_end_is_too_late(self) -> None:
        rig = Rig()
        catching(rig)
        job = rig.start(rig.t, "nanosleep", rig.t.mem.alloc(spec(SECOND).data), rig.t.mem.alloc(16))
        rig.now += SECOND
        send_signal(rig.t, SigInfo(SIGUSR1, 0))
        rig.settle()
        assert job.value() is None

    def test_no_remainder_is_written_where_none_is_wanted(self) -> None:
        rig = Rig()
        catching(rig)
        at = rig.t.mem.alloc(spec(10 * SECOND).data)
        job = rig.start(rig.t, "nanosleep", at, 0)
        rig.advance(SECOND)
        assert interrupted(rig, job) == Restart.BLOCK
        job = rig.start(rig.t, "clock_nanosleep", PROCESS_CPU, 0, at, 0)
        rig.advance(SECOND)
        assert interrupted(rig, job) == Restart.BLOCK

    def test_a_remainder_that_cannot_be_written_is_a_fault(self) -> None:
        rig = Rig()
        catching(rig)
        job = rig.start(rig.t, "nanosleep", rig.t.mem.alloc(spec(10 * SECOND).data), BAD)
        rig.advance(SECOND)
        send_signal(rig.t, SigInfo(SIGUSR1, 0))
        rig.settle()
        assert str(job.error) == "EFAULT"

    def test_an_absolute_sleep_is_restarted_only_without_a_handler(self) -> None:
        rig = Rig()
        catching(rig)
        at = rig.t.mem.alloc(spec(rig.now + EPOCH_NS + SECOND).data)
        job = rig.start(rig.t, "clock_nanosleep", REALTIME, ABSTIME, at, BAD)
        rig.advance(MS)
        assert interrupted(rig, job) == Restart.NOHAND

    def test_for_ever(self) -> None:
        rig = Rig()
        at = rig.t.mem.alloc(raw_spec((1 << 63) - 1, 0).data)
        job = rig.start(rig.t, "nanosleep", at, 0)
        absolute = rig.start(rig.fork(rig.t), "nanosleep", 0, 0)
        rig.advance(10**9 * SECOND)
        assert not job.done
        assert absolute.done
        thread = rig.thread(rig.t)
        job = rig.start(thread, "clock_nanosleep", MONOTONIC, ABSTIME, at, 0)
        rig.advance(SECOND)
        assert not job.done

    def test_on_the_cpu_time_of_a_process(self) -> None:
        rig = Rig()
        rig.t.user_ns = SECOND
        thread = rig.thread(rig.t)
        at = rig.t.mem.alloc(spec(SECOND).data)
        job = rig.start(thread, "clock_nanosleep", PROCESS_CPU, 0, at, 0)
        absolute = rig.start(rig.thread(rig.t), "clock_nanosleep", PROCESS_CPU, ABSTIME, at, 0)
        assert absolute.done
        rig.advance(5 * SECOND)
        work(rig, 999)
        assert not job.done
        work(rig, 16)
        assert job.done

    def test_on_cpu_time_interrupted(self) -> None:
        rig = Rig()
        catching(rig)
        at, rem = rig.t.mem.alloc(spec(SECOND).data), rig.t.mem.alloc(16)
        job = rig.start(rig.t, "clock_nanosleep", PROCESS_CPU, 0, at, rem)
        rig.t.user_ns = 300 * MS
        assert interrupted(rig, job) == Restart.BLOCK
        assert Timespec.unpack(rig.t.mem.get(rem, 16)).ns() == 700 * MS
        again = rig.spawn(rig.t.restart_block())
        work(rig, 700)
        assert again.done
        at = rig.t.mem.alloc(spec(9 * SECOND).data)
        job = rig.start(rig.t, "clock_nanosleep", PROCESS_CPU, ABSTIME, at, BAD)
        assert interrupted(rig, job) == Restart.NOHAND
        assert not [x for x in rig.timers if x.callback is not None]

    def test_own_thread_time_cannot_pass_while_asleep(self) -> None:
        rig = Rig()
        thread = rig.thread(rig.t)
        assert rig.fails("clock_nanosleep", cpu_clock(rig.t.tid, thread=True), 0, spec(1), 0) == "EINVAL"
        job = rig.start(
            rig.t, "clock_nanosleep", cpu_clock(thread.tid, thread=True), 0, rig.t.mem.alloc(spec(5).data), 0
        )
        thread.user_ns = 5
        rig.advance(20 * MS)
        assert job.done


class TestIntervalTimers:
    def test_alarm(self) -> None:
        rig = blocked_rig(SIGALRM)
        assert rig.ok("alarm", 5) == 0
        rig.advance(2 * SECOND)
        assert rig.ok("alarm", 10) == 3
        rig.advance(400 * MS)
        assert rig.ok("alarm", 10) == 10
        rig.advance(600 * MS)
        assert rig.ok("alarm", 1) == 9
        rig.advance(900 * MS)
        assert rig.ok("alarm", 1) == 1  # never 0 for an armed one
        assert not pending(rig, SIGALRM)
        rig.advance(SECOND)
        info = rig.t.process.pending.peek(SIGALRM)
        assert (info.signo, info.code, info.pid) == (SIGALRM, SI_KERNEL, 0)
        assert rig.ok("alarm", 0) == 0

    def test_alarm_is_per_process(self) -> None:
        rig = blocked_rig(SIGALRM)
        thread, child = rig.thread(rig.t), rig.fork(rig.t)
        rig.ok("alarm", 10, t=thread)
        assert rig.ok("alarm", 0, t=child) == 0
        assert rig.ok("alarm", 0) == 10

    def test_real_timer_repeats(self) -> None:
        rig = blocked_rig(SIGALRM)
        rig.ok("setitimer", 0, itimer(100 * MS, 30 * MS), 0)
        rig.advance(99 * MS)
        assert not pending(rig, SIGALRM)
        rig.advance(MS)
        assert pending(rig, SIGALRM)
        rig.advance(29 * MS)
        assert not pending(rig, SIGALRM)
        assert rig.step("getitimer", 0, Out(32))[1] == [itimer(MS, 30 * MS).data]
        rig.advance(MS)
        assert pending(rig, SIGALRM)
        _, (old,) = rig.step("setitimer", 0, itimer(0), Out(32))
        assert old == itimer(30 * MS, 30 * MS).data
        rig.advance(SECOND)
        assert not pending(rig, SIGALRM)

    def test_late_timer_keeps_its_rhythm(self) -> None:
        rig = blocked_rig(SIGALRM)
        rig.ok("setitimer", 0, itimer(10 * MS, 10 * MS), 0)
        rig.now += 35 * MS
        rig.advance(0)
        assert pending(rig, SIGALRM)
        rig.advance(5 * MS)
        assert pending(rig, SIGALRM)

    def test_tiny_interval_leaves_time_to_run(self) -> None:
        rig = blocked_rig(SIGALRM)
        rig.ok("setitimer", 0, itimer(1000, 1000), 0)
        begin, fired = rig.now, 0
        while rig.now < begin + MS:
            rig.advance(10_000)
            fired += pending(rig, SIGALRM)
        assert 10 <= fired <= 20

    def test_overdue_timer_never_shows_zero(self) -> None:
        rig = blocked_rig(SIGALRM)
        rig.ok("setitimer", 0, itimer(10 * MS), 0)
        rig.now += 10 * MS
        assert rig.step("getitimer", 0, Out(32))[1] == [itimer(1000).data]

    @pytest.mark.parametrize(("which", "signo"), [(1, SIGVTALRM), (2, SIGPROF)])
    def test_cpu_timers(self, which: int, signo: int) -> None:
        rig = blocked_rig(signo)
        rig.t.user_ns = 5 * SECOND
        rig.ok("setitimer", which, itimer(100 * MS, 50 * MS), 0)
        rig.advance(SECOND)
        work(rig, 80, field="sys_ns")
        assert not pending(rig, signo)
        remains = 100 if which == 1 else 20
        assert rig.step("getitimer", which, Out(32))[1] == [itimer(remains * MS, 50 * MS).data]
        work(rig, remains - 1)
        assert not pending(rig, signo)
        rig.t.user_ns += MS
        assert rig.step("getitimer", which, Out(32))[1] == [itimer(4 * MS, 50 * MS).data]
        rig.advance(16 * MS)
        assert pending(rig, signo)
        work(rig, 49)
        assert not pending(rig, signo)
        work(rig, 1)
        rig.advance(2 * MS)
        assert pending(rig, signo)
        rig.advance(SECOND)
        assert not pending(rig, signo)

    def test_user_time_of_all_threads_counts(self) -> None:
        rig = blocked_rig(SIGVTALRM)
        thread = rig.thread(rig.t)
        rig.ok("setitimer", 1, itimer(10 * MS), 0)
        rig.t.user_ns, thread.user_ns = 5 * MS, 5 * MS
        rig.advance(20 * MS)
        assert pending(rig, SIGVTALRM)
