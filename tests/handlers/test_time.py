"""Clocks and sleeping (man 2 clock_gettime, man 2 nanosleep)."""

from __future__ import annotations

import pytest

from linuxemu.messages import clock
from linuxemu.testing import BAD, NULL, Call, Guest
from syscalls.abi.errno import EFAULT, EINTR, EINVAL, EOPNOTSUPP, EPERM
from syscalls.abi.flags import (
    ADJ_OFFSET,
    ADJ_OFFSET_SINGLESHOT,
    ADJ_OFFSET_SS_READ,
    ADJ_TICK,
    CLOCK_BOOTTIME,
    CLOCK_BOOTTIME_ALARM,
    CLOCK_MONOTONIC,
    CLOCK_MONOTONIC_COARSE,
    CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID,
    CLOCK_REALTIME,
    CLOCK_REALTIME_ALARM,
    CLOCK_REALTIME_COARSE,
    CLOCK_TAI,
    CLOCK_THREAD_CPUTIME_ID,
    SA_RESTART,
    SIGUSR1,
    TIME_ERROR,
    TIMER_ABSTIME,
)
from syscalls.abi.structs import Timespec, Timeval, Timex, Timezone, Tms
from tests.handlers.cases import Out, fails, ok, proves
from tests.handlers.interrupting import SECOND, Sender

USER = (1000, 1000)
SPEC, VALUE, ZONE, TICKS = Out(Timespec), Out(Timeval), Out(Timezone), Out(Tms)
NOW = Timespec(1_800_000_000, 5)
EPOCH = 1_700_000_000
TOO_LATE = 8_277_292_036
"""Linux sets its clock to no second from this on (TIME_SETTOD_SEC_MAX)."""
GETTIME, SETTIME = ["clock.gettime"], ["clock.settime"]


def cpu_clock(pid: int, kind: int = 2, *, thread: bool = False) -> int:
    """The clock id of somebody's CPU time (man 3 clock_getcpuclockid)."""
    return ~pid << 3 | kind | (4 if thread else 0)


NOBODY, NO_THREAD, CLOCK_FILE = cpu_clock(0xFFF_FFFF), cpu_clock(0xFFF_FFFF, thread=True), cpu_clock(3, 3)


def _shows(ns: int) -> object:
    def check(guest: Guest, call: Call) -> None:
        assert SPEC.value == Timespec.from_ns(ns)

    return check


def _shows_now(guest: Guest, call: Call) -> None:
    assert SPEC.value == Timespec.from_ns(guest.clock.now_ns)


def _shows_real_time(guest: Guest, call: Call) -> None:
    assert SPEC.value == Timespec.from_ns(guest.clock.realtime_ns)


def _shows_time_of_day(guest: Guest, call: Call) -> None:
    assert VALUE.value == Timeval.from_ns(guest.clock.realtime_ns)
    assert ZONE.data in (None, bytes(8))


def _is_set(ns: int) -> object:
    def check(guest: Guest, call: Call) -> None:
        guest.syscall.clock_gettime(CLOCK_REALTIME, SPEC)
        assert SPEC.value == Timespec.from_ns(ns)
        assert guest.rpc.log.to("time")[0] == clock.Settime(CLOCK_REALTIME, ns)

    return check


def _slept(ns: int) -> object:
    def check(guest: Guest, call: Call) -> None:
        assert guest.clock.now_ns == SECOND + ns

    return check


def _in(ns: int) -> object:
    """A time to come of CLOCK_REALTIME: arguments of an absolute sleep."""

    def args(guest: Guest) -> tuple[object, ...]:
        return CLOCK_REALTIME, TIMER_ABSTIME, Timespec.from_ns(guest.clock.realtime_ns + ns), NULL

    return args


def _is_unsynchronized(guest: Guest, call: Call) -> None:
    assert guest.unsupported == []


CASES = [
    # -- reading
    ok("time", NULL, returns=EPOCH + 1, rpcs=GETTIME),
    ok("time", Out("<q"), returns=EPOCH + 1, rpcs=GETTIME, label="stored too"),
    ok("gettimeofday", VALUE, ZONE, returns=0, rpcs=GETTIME, check=_shows_time_of_day),
    ok("gettimeofday", NULL, ZONE, returns=0, rpcs=[], label="time zone alone"),
    ok("gettimeofday", NULL, NULL, returns=0, rpcs=[], label="nothing"),
    ok("clock_gettime", CLOCK_REALTIME, SPEC, returns=0, rpcs=GETTIME, check=_shows_real_time),
    ok("clock_gettime", CLOCK_MONOTONIC, SPEC, returns=0, rpcs=GETTIME, check=_shows_now, label="monotonic"),
    ok("clock_gettime", CLOCK_BOOTTIME, SPEC, returns=0, rpcs=GETTIME, check=_shows_now, label="boot time"),
    ok("clock_gettime", CLOCK_MONOTONIC_RAW, SPEC, returns=0, rpcs=GETTIME, check=_shows_now, label="raw"),
    ok("clock_gettime", CLOCK_TAI, SPEC, returns=0, rpcs=GETTIME, check=_shows_real_time, label="TAI"),
    ok("clock_gettime", CLOCK_REALTIME_COARSE, SPEC, rpcs=GETTIME, check=_shows_real_time, label="coarse"),
    ok("clock_gettime", CLOCK_PROCESS_CPUTIME_ID, SPEC, returns=0, rpcs=[], label="CPU time of the process"),
    ok("clock_gettime", CLOCK_THREAD_CPUTIME_ID, SPEC, returns=0, rpcs=[], label="CPU time of the thread"),
    ok("clock_gettime", lambda guest: (cpu_clock(guest.main.pid), SPEC), returns=0, rpcs=[], label="by pid"),
    fails("clock_gettime", EINVAL, 12, SPEC, rpcs=[], label="unknown clock"),
    fails("clock_gettime", EINVAL, CLOCK_REALTIME_ALARM, SPEC, rpcs=[], label="no clock device"),
    fails("clock_gettime", EINVAL, NOBODY, SPEC, rpcs=[], label="nobody's"),
    fails("clock_gettime", EINVAL, NO_THREAD, SPEC, rpcs=[], label="no thread's"),
    fails("clock_gettime", EINVAL, cpu_clock(0, 3), SPEC, rpcs=[], label="unknown kind"),
    fails("clock_gettime", EFAULT, CLOCK_REALTIME, NULL, rpcs=GETTIME, label="null pointer"),
    ok("clock_getres", CLOCK_REALTIME, SPEC, returns=0, rpcs=[], check=_shows(1)),
    ok("clock_getres", CLOCK_MONOTONIC_COARSE, SPEC, returns=0, rpcs=[], check=_shows(4_000_000), label="coarse"),
    ok("clock_getres", CLOCK_THREAD_CPUTIME_ID, SPEC, returns=0, rpcs=[], check=_shows(1), label="CPU time"),
    ok("clock_getres", cpu_clock(0, 1), SPEC, returns=0, rpcs=[], check=_shows(4_000_000), label="user time"),
    ok("clock_getres", CLOCK_REALTIME, NULL, returns=0, rpcs=[], label="only whether it exists"),
    fails("clock_getres", EINVAL, 12, SPEC, rpcs=[], label="unknown clock"),
    fails("clock_getres", EINVAL, 12, BAD, rpcs=[], label="unknown clock before the pointer"),
    fails("clock_getres", EINVAL, NOBODY, NULL, rpcs=[], label="nobody's"),
    ok("times", TICKS, returns=100, rpcs=GETTIME),
    ok("times", NULL, returns=100, rpcs=GETTIME, label="only the time"),
    # -- setting
    ok("settimeofday", Timeval(EPOCH, 7), NULL, returns=0, rpcs=SETTIME, check=_is_set(EPOCH * SECOND + 7000)),
    ok("settimeofday", NULL, Timezone(0, 0), returns=0, rpcs=[], label="time zone"),
    ok("settimeofday", NULL, NULL, returns=0, rpcs=[], label="nothing"),
    fails("settimeofday", EINVAL, Timeval(EPOCH, 1_000_000), NULL, rpcs=[], label="whole second of microseconds"),
    fails("settimeofday", EINVAL, Timeval(EPOCH, -1), BAD, rpcs=[], label="microseconds before the zone"),
    fails("settimeofday", EFAULT, Timeval(-1, 0), BAD, rpcs=[], label="the zone before the seconds"),
    fails("settimeofday", EINVAL, Timeval(-1, 0), NULL, rpcs=[], label="before 1970"),
    fails("settimeofday", EINVAL, Timeval(0, 0), NULL, rpcs=SETTIME, label="before the start"),
    fails("settimeofday", EINVAL, Timeval(TOO_LATE, 0), NULL, rpcs=[], user=USER, label="too late"),
    fails("settimeofday", EPERM, Timeval(TOO_LATE - 1, 0), NULL, rpcs=[], user=USER),
    fails("settimeofday", EINVAL, NULL, Timezone(901, 0), rpcs=[], label="time zone"),
    fails("settimeofday", EPERM, NULL, Timezone(901, 0), rpcs=[], user=USER, label="time zone"),
    ok("clock_settime", CLOCK_REALTIME, NOW, returns=0, rpcs=SETTIME, check=_is_set(NOW.ns())),
    fails("clock_settime", EINVAL, CLOCK_MONOTONIC, BAD, rpcs=[], label="cannot be set"),
    fails("clock_settime", EINVAL, CLOCK_PROCESS_CPUTIME_ID, NOW, rpcs=[], label="own CPU time"),
    fails("clock_settime", EINVAL, CLOCK_REALTIME, Timespec(1, SECOND), rpcs=[], label="no time"),
    fails("clock_settime", EINVAL, CLOCK_REALTIME, Timespec(TOO_LATE, 0), rpcs=[], user=USER, label="too late"),
    fails("clock_settime", EINVAL, CLOCK_REALTIME, Timespec(0, 999_999_999), rpcs=SETTIME, label="before the start"),
    fails("clock_settime", EINVAL, NOBODY, NOW, rpcs=[], label="nobody's CPU time"),
    fails("clock_settime", EPERM, cpu_clock(0), NOW, rpcs=[], label="CPU time"),
    fails("clock_settime", EPERM, CLOCK_REALTIME, NOW, rpcs=[], user=USER),
    # -- discipline
    ok("adjtimex", Timex(), returns=TIME_ERROR, rpcs=GETTIME, check=_is_unsynchronized),
    ok("adjtimex", Timex(modes=ADJ_OFFSET_SS_READ), returns=TIME_ERROR, rpcs=GETTIME, user=USER, label="adjtime"),
    fails("adjtimex", EINVAL, Timex(modes=ADJ_OFFSET_SS_READ & ~ADJ_OFFSET), rpcs=[], user=USER),
    fails("adjtimex", EPERM, Timex(modes=ADJ_TICK), rpcs=[], user=USER),
    fails("adjtimex", EPERM, Timex(modes=ADJ_OFFSET_SINGLESHOT), rpcs=[], user=USER, label="adjtime"),
    fails("adjtimex", EPERM, Timex(modes=ADJ_TICK), rpcs=[], label="nobody may"),
    ok("clock_adjtime", CLOCK_REALTIME, Timex(), returns=TIME_ERROR, rpcs=GETTIME),
    fails("clock_adjtime", EFAULT, 12, BAD, rpcs=[], label="the pointer before the clock"),
    fails("clock_adjtime", EINVAL, 12, Timex(), rpcs=[], label="unknown clock"),
    fails("clock_adjtime", EINVAL, CLOCK_FILE, Timex(), rpcs=[], label="no clock device"),
    fails("clock_adjtime", EOPNOTSUPP, CLOCK_MONOTONIC, Timex(), rpcs=[]),
    fails("clock_adjtime", EOPNOTSUPP, NOBODY, Timex(), rpcs=[], label="CPU time"),
    fails("clock_adjtime", EPERM, CLOCK_REALTIME, Timex(modes=ADJ_TICK), rpcs=[], user=USER),
    # -- sleeping
    ok("nanosleep", Timespec(2, 5), SPEC, returns=0, rpcs=[], check=_slept(2 * SECOND + 5),
       unfaulted=("rmtp: nothing is left of a whole sleep",)),
    ok("nanosleep", Timespec(0, 0), NULL, returns=0, rpcs=[], check=_slept(0), label="not at all"),
    fails("nanosleep", EINVAL, Timespec(0, SECOND), NULL, rpcs=[], label="whole second of nanoseconds"),
    fails("nanosleep", EINVAL, Timespec(-1, 0), NULL, rpcs=[], label="negative"),
    ok("clock_nanosleep", CLOCK_MONOTONIC, 0, Timespec(2, 5), SPEC, returns=0, rpcs=[], check=_slept(2 * SECOND + 5),
       unfaulted=("rmtp: nothing is left of a whole sleep",)),
    ok("clock_nanosleep", _in(7), returns=0, rpcs=GETTIME * 2, check=_slept(7),
       unfaulted=("rmtp: an absolute sleep leaves no rest",), label="until a time"),
    ok("clock_nanosleep", CLOCK_MONOTONIC, TIMER_ABSTIME, Timespec(0, 5), NULL, returns=0, rpcs=GETTIME,
       check=_slept(0), label="until a time that is past"),
    ok("clock_nanosleep", CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, Timespec(0, 0), NULL, returns=0, rpcs=[],
       label="CPU time that is past"),
    fails("clock_nanosleep", EINVAL, 12, 0, BAD, NULL, rpcs=[], label="unknown clock"),
    fails("clock_nanosleep", EINVAL, CLOCK_REALTIME, 0, Timespec(0, -1), NULL, rpcs=[], label="no time"),
    fails("clock_nanosleep", EINVAL, NOBODY, 0, Timespec(1, 0), NULL, rpcs=[], label="nobody's CPU time"),
    fails("clock_nanosleep", EINVAL, cpu_clock(0, thread=True), 0, Timespec(1, 0), NULL, rpcs=[],
          label="its own CPU time"),
    fails("clock_nanosleep", EOPNOTSUPP, CLOCK_THREAD_CPUTIME_ID, 0, BAD, NULL, rpcs=[]),
    fails("clock_nanosleep", EOPNOTSUPP, CLOCK_MONOTONIC_COARSE, 0, BAD, NULL, rpcs=[], label="coarse"),
    fails("clock_nanosleep", EOPNOTSUPP, CLOCK_FILE, 0, BAD, NULL, rpcs=[], label="clock device"),
    fails("clock_nanosleep", EFAULT, CLOCK_BOOTTIME_ALARM, 0, BAD, NULL, rpcs=[], label="the pointer before"),
    fails("clock_nanosleep", EOPNOTSUPP, CLOCK_BOOTTIME_ALARM, 0, Timespec(1, 0), NULL, rpcs=[], label="alarm"),
]  # fmt: skip


# -- sleeps that signals interrupt ---------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [0, SA_RESTART])
@proves("nanosleep", EINTR, rpcs=[])
def test_a_handler_ends_a_sleep_and_the_rest_is_told(guest: Guest, flags: int) -> None:
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1, flags=flags)
    call = guest.start.nanosleep(Timespec(5, 0), SPEC)
    guest.clock.advance(s=2)
    sender.send()
    assert (call.errno, SPEC.value, handler.signals) == (EINTR, Timespec(3, 0), [SIGUSR1])


@proves("nanosleep", EFAULT, pointers=("rmtp",), rpcs=[])
def test_the_rest_of_a_sleep_cannot_be_told(guest: Guest) -> None:
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1)
    call = guest.start.nanosleep(Timespec(5, 0), BAD)
    sender.send()
    assert (call.errno, handler.signals) == (EFAULT, [SIGUSR1])


def test_without_a_handler_a_sleep_goes_on_to_its_end(guest: Guest) -> None:
    sender = Sender(guest)
    call = guest.start.nanosleep(Timespec(5, 0), SPEC)
    guest.clock.advance(s=2)
    sender.stop_and_continue()
    assert call.blocked
    assert call.finish() == 0
    assert guest.clock.now_ns == 6 * SECOND


@pytest.mark.parametrize("clock_id", [CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID])
@proves("clock_nanosleep", EINTR, rpcs=[])
def test_a_handler_ends_a_sleep_on_a_clock(guest: Guest, clock_id: int) -> None:
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1, flags=SA_RESTART)
    call = guest.start.clock_nanosleep(clock_id, 0, Timespec(5, 0), SPEC)
    sender.send()
    assert (call.errno, SPEC.value, handler.signals) == (EINTR, Timespec(5, 0), [SIGUSR1])


@pytest.mark.parametrize("clock_id", [CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID])
@proves("clock_nanosleep", EFAULT, pointers=("rmtp",), rpcs=[])
def test_the_rest_of_a_sleep_on_a_clock_cannot_be_told(guest: Guest, clock_id: int) -> None:
    sender = Sender(guest)
    guest.on_signal(SIGUSR1)
    call = guest.start.clock_nanosleep(clock_id, 0, Timespec(5, 0), BAD)
    sender.send()
    assert call.errno == EFAULT


@proves("clock_nanosleep", EINTR, rpcs=["clock.gettime"])
def test_an_absolute_sleep_leaves_no_rest(guest: Guest) -> None:
    sender = Sender(guest)
    guest.on_signal(SIGUSR1, flags=SA_RESTART)
    call = guest.start.clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, Timespec(5, 0), BAD)
    sender.send()
    assert call.errno == EINTR


def test_without_a_handler_an_absolute_sleep_begins_again(guest: Guest) -> None:
    sender = Sender(guest)
    call = guest.start.clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, Timespec(5, 0), NULL)
    sender.stop_and_continue()
    assert call.finish() == 0
    assert guest.clock.now_ns == 5 * SECOND


def test_a_time_zone_is_not_supported_and_said_to_be(guest: Guest) -> None:
    guest.syscall.settimeofday(NULL, Timezone(60, 0))
    assert [item.what for item in guest.unsupported] == ["settimeofday: time zone"]
