"""Timers that send signals: alarm, setitimer, timer_create (man 2 setitimer, man 2 timer_create)."""

from __future__ import annotations

from linuxemu.testing import BAD, NULL, Call, Guest
from syscalls.abi.errno import EAGAIN, EFAULT, EINVAL, EOPNOTSUPP, ESRCH
from syscalls.abi.flags import (
    CLOCK_BOOTTIME_ALARM,
    CLOCK_MONOTONIC,
    CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID,
    CLOCK_REALTIME,
    CLOCK_REALTIME_ALARM,
    ITIMER_PROF,
    ITIMER_REAL,
    ITIMER_VIRTUAL,
    RLIMIT_SIGPENDING,
    SI_TIMER,
    SIGALRM,
    SIGEV_NONE,
    SIGEV_SIGNAL,
    SIGEV_THREAD_ID,
    SIGRTMIN,
    SIGUSR1,
    TIMER_ABSTIME,
)
from syscalls.abi.structs import Itimerspec, Itimerval, Rlimit, Sigevent, Timespec, Timeval
from tests.handlers.cases import SUCCESS, Out, fails, ok, proves
from tests.handlers.interrupting import SECOND
from tests.handlers.test_time import CLOCK_FILE, NO_THREAD, NOBODY, cpu_clock

LEFT, SPEC, NUMBER = Out(Itimerval), Out(Itimerspec), Out("<i")
ZERO, ZERO_SPEC = Timeval(0, 0), Timespec(0, 0)
OFF, OFF_SPEC = Itimerval(ZERO, ZERO), Itimerspec(ZERO_SPEC, ZERO_SPEC)
IN_5_S, IN_5_S_SPEC = Itimerval(ZERO, Timeval(5, 0)), Itimerspec(ZERO_SPEC, Timespec(5, 0))
EVERY_S_SPEC = Itimerspec(Timespec(1, 0), Timespec(5, 0))
QUIET = Sigevent(0, 0, SIGEV_NONE, 0)
TO_NOBODY = Sigevent(0, SIGUSR1, SIGEV_THREAD_ID, 0xFFF_FFFF)


def _no_room_for_signals(guest: Guest) -> None:
    guest.syscall.setrlimit(RLIMIT_SIGPENDING, Rlimit(0, 0))


def _timer(guest: Guest, clock_id: int = CLOCK_MONOTONIC, event: Sigevent | int = QUIET) -> int:
    guest.syscall.timer_create(clock_id, event, NUMBER)
    number: int = NUMBER.value
    return number


def _armed(guest: Guest) -> None:
    guest.syscall.timer_settime(_timer(guest), 0, EVERY_S_SPEC, NULL)
    guest.clock.advance(s=2)


def _armed_alarm(guest: Guest) -> None:
    guest.syscall.alarm(5)
    guest.clock.advance(s=2)


def _shows(interval: int, value: int) -> object:
    def check(guest: Guest, call: Call) -> None:
        assert LEFT.value == Itimerval(Timeval(interval, 0), Timeval(value, 0))

    return check


def _spec_shows(interval: int, value: int) -> object:
    def check(guest: Guest, call: Call) -> None:
        assert SPEC.value == Itimerspec(Timespec(interval, 0), Timespec(value, 0))

    return check


def _remains(value: int, which: int = ITIMER_REAL) -> object:
    """What getitimer shows after the call, seconds."""

    def check(guest: Guest, call: Call) -> None:
        guest.syscall.getitimer(which, LEFT)
        assert LEFT.value.it_value == Timeval(value, 0)

    return check


def _spec_remains(value: int) -> object:
    def check(guest: Guest, call: Call) -> None:
        guest.syscall.timer_gettime(0, SPEC)
        assert SPEC.value.it_value == Timespec(value, 0)

    return check


def _is_number_0(guest: Guest, call: Call) -> None:
    assert NUMBER.value == 0


def _is_not_there(guest: Guest, call: Call) -> None:
    assert guest.start.timer_gettime(0, SPEC).errno == EINVAL


def _in_5_s(guest: Guest) -> tuple[object, ...]:
    """Arguments of timer_settime with an absolute time, before which the clock is asked."""
    return 0, TIMER_ABSTIME, Itimerspec(ZERO_SPEC, Timespec.from_ns(guest.clock.now_ns + 5 * SECOND)), NULL


CASES = [
    ok("alarm", 5, returns=0, rpcs=[], check=_remains(5)),
    ok("alarm", 0, returns=3, rpcs=[], setup=_armed_alarm, check=_remains(0), label="cancelled"),
    ok("getitimer", ITIMER_REAL, LEFT, returns=0, rpcs=[], setup=_armed_alarm, check=_shows(0, 3)),
    ok("getitimer", ITIMER_PROF, LEFT, returns=0, rpcs=[], check=_shows(0, 0), label="never armed"),
    fails("getitimer", EINVAL, 3, BAD, rpcs=[]),
    fails("getitimer", EINVAL, -1, LEFT, rpcs=[], label="negative"),
    fails("getitimer", EFAULT, ITIMER_REAL, NULL, rpcs=[], label="null pointer"),
    ok("setitimer", ITIMER_REAL, IN_5_S, LEFT, returns=0, rpcs=[], setup=_armed_alarm, check=_shows(0, 3)),
    ok("setitimer", ITIMER_VIRTUAL, IN_5_S, NULL, returns=0, rpcs=[], check=_remains(5, ITIMER_VIRTUAL),
       label="user time"),
    ok("setitimer", ITIMER_REAL, NULL, LEFT, returns=0, rpcs=[], setup=_armed_alarm, check=_remains(0),
       label="null pointer disarms"),
    fails("setitimer", EINVAL, 3, IN_5_S, NULL, rpcs=[]),
    fails("setitimer", EFAULT, 3, BAD, NULL, rpcs=[], label="the pointer before the number"),
    fails("setitimer", EINVAL, ITIMER_REAL, Itimerval(ZERO, Timeval(0, 1_000_000)), NULL, rpcs=[], label="value"),
    fails("setitimer", EINVAL, ITIMER_REAL, Itimerval(Timeval(-1, 0), ZERO), NULL, rpcs=[], label="interval"),
    fails("setitimer", EFAULT, ITIMER_REAL, IN_5_S, BAD, rpcs=[], check=_remains(5), label="and is armed"),
    # -- POSIX timers
    ok("timer_create", CLOCK_REALTIME, Sigevent(7, SIGUSR1, SIGEV_SIGNAL, 0), NUMBER, returns=0, rpcs=[],
       check=_is_number_0),
    ok("timer_create", CLOCK_MONOTONIC, NULL, NUMBER, returns=0, rpcs=[], label="SIGALRM by default"),
    ok("timer_create", CLOCK_PROCESS_CPUTIME_ID, QUIET, NUMBER, returns=0, rpcs=[], label="CPU time"),
    fails("timer_create", EAGAIN, CLOCK_MONOTONIC, QUIET, NUMBER, setup=_no_room_for_signals, rpcs=[]),
    fails("timer_create", EFAULT, CLOCK_MONOTONIC, QUIET, BAD, rpcs=[], check=_is_not_there, label="no timer"),
    fails("timer_create", EFAULT, 12, BAD, NUMBER, rpcs=[], label="the pointer before the clock"),
    fails("timer_create", EINVAL, 12, NULL, NUMBER, rpcs=[], label="unknown clock"),
    fails("timer_create", EINVAL, CLOCK_MONOTONIC, TO_NOBODY, NUMBER, rpcs=[], label="no thread to tell"),
    fails("timer_create", EINVAL, CLOCK_MONOTONIC, Sigevent(0, SIGUSR1, 9, 0), NUMBER, rpcs=[], label="kind"),
    fails("timer_create", EINVAL, CLOCK_MONOTONIC, Sigevent(0, 65, SIGEV_SIGNAL, 0), NUMBER, rpcs=[], label="signal"),
    fails("timer_create", EINVAL, CLOCK_MONOTONIC, Sigevent(0, 0, SIGEV_SIGNAL, 0), NUMBER, rpcs=[], label="no signal"),
    fails("timer_create", EINVAL, NOBODY, NULL, NUMBER, rpcs=[], check=_is_not_there, label="nobody's CPU time"),
    fails("timer_create", EINVAL, NO_THREAD, NULL, NUMBER, rpcs=[], label="no thread's CPU time"),
    fails("timer_create", EFAULT, NOBODY, NULL, BAD, rpcs=[], label="the pointer before whose CPU time"),
    fails("timer_create", EOPNOTSUPP, CLOCK_MONOTONIC_RAW, NULL, BAD, rpcs=[], label="raw"),
    fails("timer_create", EOPNOTSUPP, CLOCK_FILE, NULL, BAD, rpcs=[], label="no clock device"),
    fails("timer_create", EOPNOTSUPP, CLOCK_REALTIME_ALARM, NULL, NUMBER, rpcs=[], check=_is_not_there, label="alarm"),
    fails("timer_create", EINVAL, CLOCK_REALTIME_ALARM, TO_NOBODY, NUMBER, rpcs=[], label="alarm for no thread"),
    fails("timer_create", EFAULT, CLOCK_BOOTTIME_ALARM, NULL, BAD, rpcs=[], label="the pointer before the alarm"),
    ok("timer_settime", 0, 0, IN_5_S_SPEC, SPEC, returns=0, rpcs=[], setup=_armed, check=_spec_shows(1, 3)),
    ok("timer_settime", 0, 0, OFF_SPEC, NULL, returns=0, rpcs=[], setup=_armed, check=_spec_remains(0), label="off"),
    ok("timer_settime", _in_5_s, returns=0, rpcs=["clock.gettime"], setup=_timer, check=_spec_remains(5),
       unfaulted=("old_value: null here",), label="until a time"),
    fails("timer_settime", EINVAL, 0, 0, NULL, NULL, rpcs=[], setup=_timer, label="null pointer"),
    fails("timer_settime", EINVAL, 1, 0, IN_5_S_SPEC, NULL, rpcs=[], setup=_timer, label="no such timer"),
    fails("timer_settime", EFAULT, 1, 0, BAD, NULL, rpcs=[], setup=_timer, label="the pointer before the timer"),
    fails("timer_settime", EINVAL, 0, 0, Itimerspec(ZERO_SPEC, Timespec(0, SECOND)), NULL, rpcs=[], setup=_timer,
          label="value"),
    fails("timer_settime", EINVAL, 0, 0, Itimerspec(Timespec(-1, 0), ZERO_SPEC), NULL, rpcs=[], setup=_timer,
          label="interval"),
    fails("timer_settime", EFAULT, 0, 0, IN_5_S_SPEC, BAD, rpcs=[], setup=_timer, check=_spec_remains(5),
          label="and is armed"),
    ok("timer_gettime", 0, SPEC, returns=0, rpcs=[], setup=_armed, check=_spec_shows(1, 3)),
    ok("timer_gettime", 0, SPEC, returns=0, rpcs=[], setup=_timer, check=_spec_shows(0, 0), label="never armed"),
    fails("timer_gettime", EINVAL, 0, BAD, rpcs=[]),
    ok("timer_getoverrun", 0, returns=0, rpcs=[], setup=_timer),
    fails("timer_getoverrun", EINVAL, 0, rpcs=[]),
    ok("timer_delete", 0, returns=0, rpcs=[], setup=_armed, check=_is_not_there),
    fails("timer_delete", EINVAL, 1, rpcs=[], setup=_timer),
]  # fmt: skip


def test_an_alarm_goes_off_once(guest: Guest) -> None:
    handler = guest.on_signal(SIGALRM)
    guest.syscall.alarm(5)
    guest.clock.advance(s=4.9)
    assert handler.signals == []
    guest.clock.advance(s=20)
    assert handler.signals == [SIGALRM]


def test_an_interval_timer_goes_off_again_and_again(guest: Guest) -> None:
    handler = guest.on_signal(SIGALRM)
    guest.syscall.setitimer(ITIMER_REAL, Itimerval(Timeval(1, 0), Timeval(5, 0)), NULL)
    guest.clock.advance(s=7.5)
    assert handler.signals == [SIGALRM] * 3


def test_a_timer_tells_its_number_and_value(guest: Guest) -> None:
    handler = guest.on_signal(SIGRTMIN)
    number = _timer(guest, CLOCK_REALTIME, Sigevent(77, SIGRTMIN, SIGEV_SIGNAL, 0))
    guest.syscall.timer_settime(number, 0, IN_5_S_SPEC, NULL)
    guest.clock.advance(s=6)
    ((signo, info),) = handler.calls
    fields = [int.from_bytes(info[at : at + 4], "little", signed=True) for at in (0, 8, 16, 20, 24)]
    assert (signo, fields) == (SIGRTMIN, [SIGRTMIN, SI_TIMER, number, 0, 77])


@proves("timer_getoverrun", SUCCESS, rpcs=[])
def test_expirations_behind_a_blocked_signal_are_overruns(guest: Guest) -> None:
    number = _timer(guest, CLOCK_MONOTONIC, Sigevent(0, SIGUSR1, SIGEV_SIGNAL, 0))
    guest.syscall.rt_sigprocmask(0, (1 << SIGUSR1 - 1).to_bytes(8, "little"), NULL, 8)
    guest.syscall.timer_settime(number, 0, EVERY_S_SPEC, NULL)
    guest.clock.advance(s=7.5)
    assert guest.syscall.timer_getoverrun(number) == 2


def _timer_on_child(guest: Guest) -> int:
    """A timer on the CPU time of a child that was waited for."""
    child = guest.fork()
    number = _timer(guest, cpu_clock(child.pid))
    guest.syscall.timer_settime(number, 0, EVERY_S_SPEC, NULL)
    guest.syscall.timer_gettime(number, SPEC)
    assert SPEC.value == EVERY_S_SPEC
    child.syscall.exit_group(0)
    guest.syscall.wait4(child.pid, NULL, 0, NULL)
    return number


@proves("timer_settime", ESRCH, rpcs=[])
def test_a_timer_on_the_cpu_time_of_a_dead_process_cannot_be_armed(guest: Guest) -> None:
    number = _timer_on_child(guest)
    assert guest.start.timer_settime(number, 0, EVERY_S_SPEC, SPEC).errno == ESRCH
    assert guest.start.timer_settime(number, 0, OFF_SPEC, SPEC).errno == ESRCH
    assert guest.start.timer_settime(number + 1, 0, OFF_SPEC, SPEC).errno == EINVAL
    assert guest.syscall.timer_delete(number) == 0


@proves("timer_gettime", SUCCESS, rpcs=[])
def test_a_timer_on_the_cpu_time_of_a_dead_process_shows_nothing(guest: Guest) -> None:
    guest.syscall.timer_gettime(_timer_on_child(guest), SPEC)
    assert SPEC.value == OFF_SPEC


@proves("timer_settime", ESRCH, rpcs=[])
def test_a_timer_on_the_cpu_time_of_a_dead_thread_cannot_be_armed(guest: Guest) -> None:
    other = guest.thread()
    number = _timer(guest, cpu_clock(other.tid, thread=True))
    other.syscall.exit(0)
    assert guest.start.timer_settime(number, 0, EVERY_S_SPEC, NULL).errno == ESRCH


@proves("timer_create", SUCCESS, rpcs=[])
@proves("timer_create", EINVAL, rpcs=[])
def test_an_id_is_not_used_again_at_once(guest: Guest) -> None:
    first = _timer(guest)
    guest.syscall.timer_delete(first)
    assert _timer(guest) == first + 1
    guest.start.timer_create(CLOCK_MONOTONIC, TO_NOBODY, NUMBER)
    assert _timer(guest) == first + 3, "one that could not be made had one too"
