"""Clocks and timers as strace 6.1 shows them: each text was printed by it for the same registers and memory."""

from __future__ import annotations

import time
from struct import pack

import pytest

from linuxemu.trace.style import Style
from syscalls.abi.errno import EFAULT, EINVAL, ENOENT
from syscalls.abi.structs import Timex
from syscalls.errors import Restart
from tests.trace.fakecall import AREA, shown

EINVAL_TEXT = "-1 EINVAL (Invalid argument)"
TIME = pack("<qq", 1, -1)

SIMPLE = [
    ("clock_settime", (1, AREA), TIME, "(CLOCK_MONOTONIC, {tv_sec=1, tv_nsec=18446744073709551615})"),
    ("clock_settime", (12, AREA), TIME[:8], "(0xc /* CLOCK_??? */, 0x1000)"),
    ("clock_getres", (-3, 0), b"", "(0xfffffffd /* CLOCK_??? */, NULL)"),
    ("clock_gettime", (11, AREA), pack("<qq", -1, 5), "(CLOCK_TAI, {tv_sec=-1, tv_nsec=5})"),
    ("getitimer", (-1, AREA), bytes(31), "(0xffffffff /* ITIMER_??? */, 0x1000)"),
    (
        "setitimer", (2, AREA, AREA), pack("<4q", 1, 2, 3, -1),
        "(ITIMER_PROF, {it_interval={tv_sec=1, tv_usec=2}, it_value={tv_sec=3, tv_usec=18446744073709551615}}, "
        "{it_interval={tv_sec=1, tv_usec=2}, it_value={tv_sec=3, tv_usec=18446744073709551615}})",
    ),
    ("gettimeofday", (0, AREA), pack("<ii", -1000, 3), "(NULL, {tz_minuteswest=-1000, tz_dsttime=3})"),
    ("settimeofday", (AREA, 0), TIME, "({tv_sec=1, tv_usec=18446744073709551615}, NULL)"),
    (
        "timer_settime", (-1, 3, AREA, 0), pack("<4q", 0, 0, 100, 5),
        "(-1, TIMER_ABSTIME|0x2, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=100, tv_nsec=5}}, NULL)",
    ),
    ("timer_settime", (1, 2, 0, 0), b"", "(1, 0x2 /* TIMER_??? */, NULL, NULL)"),
    ("timer_getoverrun", (-3,), b"", "(-3)"),
    ("timer_delete", (99,), b"", "(99)"),
    (
        "times", (AREA,), pack("<4q", 5, 0, 0, 0),
        "({tms_utime=5 /* 0.05 s */, tms_stime=0, tms_cutime=0, tms_cstime=0})",
    ),
    ("alarm", (-1,), b"", "(4294967295)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "memory", "text"), SIMPLE)
def test_arguments(name: str, args: tuple[int, ...], memory: bytes, text: str) -> None:
    assert shown(name, *args, memory=memory) == f"{name}{text} = 0"


def test_what_a_failed_call_does_not_fill() -> None:
    assert shown("clock_gettime", 8, AREA, memory=TIME, result=-EINVAL) == (
        f"clock_gettime(CLOCK_REALTIME_ALARM, 0x1000) = {EINVAL_TEXT}"
    )
    assert shown("times", AREA, memory=bytes(32), result=-EFAULT) == "times(0x1000) = -1 EFAULT (Bad address)"


SLEEPS = [
    (0, 0, "0x1000) = 0"),
    (None, Restart.BLOCK, "{tv_sec=1, tv_nsec=2}) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)"),
    (None, Restart.NOHAND, "0x1000) = ? ERESTARTNOHAND (To be restarted if no handler)"),
    (-EINVAL, 0, f"0x1000) = {EINVAL_TEXT}"),
]


@pytest.mark.parametrize(("result", "restart", "text"), SLEEPS)
def test_the_time_left_of_a_sleep(result: int | None, restart: int, text: str) -> None:
    memory = pack("<qq", 1, 2)
    assert shown("nanosleep", AREA, AREA, memory=memory, result=result, restart=restart) == (
        f"nanosleep({{tv_sec=1, tv_nsec=2}}, {text}"
    )
    assert shown("clock_nanosleep", 0, 1, AREA, AREA, memory=memory, result=result, restart=restart) == (
        f"clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, {{tv_sec=1, tv_nsec=2}}, {text}"
    )


def event(value: int, signo: int, notify: int, rest: bytes = b"") -> bytes:
    return (pack("<Qii", value, signo, notify) + rest).ljust(64, b"\0")


EVENTS = [
    (event(0, 70, 3), "{sigev_signo=70, sigev_notify=0x3 /* SIGEV_??? */}"),
    (
        event(0x1234500000001, 10, 0),
        "{sigev_value={sival_int=1, sival_ptr=0x1234500000001}, sigev_signo=SIGUSR1, sigev_notify=SIGEV_SIGNAL}",
    ),
    (event(0, 30, 1), "{sigev_signo=30, sigev_notify=SIGEV_NONE}"),
    (event(0, -1, 1), "{sigev_signo=4294967295, sigev_notify=SIGEV_NONE}"),
    (
        event(0, 50, 2, pack("<QQ", 77, 0)),
        "{sigev_signo=SIGRT_18, sigev_notify=SIGEV_THREAD, sigev_notify_function=0x4d, sigev_notify_attributes=NULL}",
    ),
    (event(0, 10, 4, pack("<i", 77)), "{sigev_signo=SIGUSR1, sigev_notify=SIGEV_THREAD_ID, sigev_notify_thread_id=77}"),
]


@pytest.mark.parametrize(("memory", "text"), EVENTS)
def test_timer_create(memory: bytes, text: str) -> None:
    assert shown("timer_create", 1, AREA, 0, memory=memory) == f"timer_create(CLOCK_MONOTONIC, {text}, NULL) = 0"


@pytest.mark.parametrize(("memory", "text"), EVENTS)
def test_mq_notify(memory: bytes, text: str) -> None:
    assert shown("mq_notify", 3, AREA, memory=memory) == f"mq_notify(3, {text}) = 0"


def test_the_id_of_a_timer() -> None:
    assert shown("timer_create", 0, 0, AREA, memory=pack("<i", 7)) == "timer_create(CLOCK_REALTIME, NULL, [7]) = 0"


def test_the_state_of_the_clock() -> None:
    memory = Timex(0xA001, maxerror=5, status=0x41, tv_sec=7, tv_usec=8, tick=10_000).pack()
    text = (
        "{modes=ADJ_OFFSET_SS_READ, offset=0, freq=0, maxerror=5, esterror=0, status=STA_PLL|STA_UNSYNC, constant=0, "
        "precision=0, tolerance=0, time={tv_sec=7, tv_usec=8}, tick=10000, ppsfreq=0, jitter=0, shift=0, stabil=0, "
        "jitcnt=0, calcnt=0, errcnt=0, stbcnt=0, tai=0}"
    )
    assert shown("adjtimex", AREA, memory=memory, result=5) == f"adjtimex({text}) = 5 (TIME_ERROR)"
    assert shown("clock_adjtime", 0, AREA, memory=memory) == f"clock_adjtime(CLOCK_REALTIME, {text}) = 0 (TIME_OK)"
    assert shown("clock_adjtime", 99, AREA, memory=memory, result=-EINVAL) == (
        f"clock_adjtime(0x63 /* CLOCK_??? */, 0x1000) = {EINVAL_TEXT}"
    )


def test_ticks_are_exact() -> None:
    memory = pack("<4q", 72340172838076673, -5, 0, 0)
    assert shown("times", AREA, memory=memory) == (
        "times({tms_utime=72340172838076673 /* 723401728380766.73 s */, tms_stime=-5 /* -0.05 s */, tms_cutime=0, "
        "tms_cstime=0}) = 0"
    )


def test_time_and_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert shown("time", AREA, memory=pack("<q", 1795970045), result=1795970045) == (
        "time([1795970045 /* 2026-11-29T16:34:05+0000 */]) = 1795970045 (2026-11-29T16:34:05+0000)"
    )
    assert shown("utime", 0, AREA, memory=pack("<qq", -1, 1 << 40), result=-ENOENT) == (
        "utime(NULL, {actime=-1 /* 1969-12-31T23:59:59+0000 */, "
        "modtime=1099511627776 /* 36812-02-20T00:36:16+0000 */}) = -1 ENOENT (No such file or directory)"
    )


def test_clocks_with_raw_constants() -> None:
    assert shown("clock_getres", 1, 0, style=Style(constants="raw")) == "clock_getres(0x1, NULL) = 0"
