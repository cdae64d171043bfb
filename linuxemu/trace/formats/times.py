"""Clocks, times and timers."""

from __future__ import annotations

from struct import unpack
from typing import TYPE_CHECKING, Any

from linuxemu.trace.clock import date
from linuxemu.trace.formats import shows, shows_struct
from linuxemu.trace.formats.basic import address, flags, follows, named, peek
from linuxemu.trace.formats.siginfos import signal_value, ticks
from syscalls.abi.structs import (
    Itimerspec,
    Itimerval,
    Sigevent,
    Timespec,
    Timeval,
    Timex,
    Timezone,
    Tms,
)
from syscalls.errors import Restart

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_ADJ = {
    0xA001: "ADJ_OFFSET_SS_READ", 0x8001: "ADJ_OFFSET_SINGLESHOT", 1: "ADJ_OFFSET", 2: "ADJ_FREQUENCY",
    4: "ADJ_MAXERROR", 8: "ADJ_ESTERROR", 0x10: "ADJ_STATUS", 0x20: "ADJ_TIMECONST", 0x80: "ADJ_TAI",
    0x100: "ADJ_SETOFFSET", 0x1000: "ADJ_MICRO", 0x2000: "ADJ_NANO", 0x4000: "ADJ_TICK",
}  # fmt: skip
_STA = {
    1: "STA_PLL", 2: "STA_PPSFREQ", 4: "STA_PPSTIME", 8: "STA_FLL", 0x10: "STA_INS", 0x20: "STA_DEL",
    0x40: "STA_UNSYNC", 0x80: "STA_FREQHOLD", 0x100: "STA_PPSSIGNAL", 0x200: "STA_PPSJITTER",
    0x400: "STA_PPSWANDER", 0x800: "STA_PPSERROR", 0x1000: "STA_CLOCKERR", 0x2000: "STA_NANO", 0x4000: "STA_MODE",
    0x8000: "STA_CLK",
}  # fmt: skip
_CLOCK_STATES = ("TIME_OK", "TIME_INS", "TIME_DEL", "TIME_OOP", "TIME_WAIT", "TIME_ERROR")
_SIGEV = {0: "SIGEV_SIGNAL", 1: "SIGEV_NONE", 2: "SIGEV_THREAD", 4: "SIGEV_THREAD_ID"}
_SIGEV_THREAD, _SIGEV_THREAD_ID = 2, 4


def timespec_text(value: Timespec) -> str:
    """A struct timespec; strace shows nanoseconds as an unsigned number."""
    return f"{{tv_sec={value.tv_sec}, tv_nsec={value.tv_nsec & _MASK}}}"


def timeval_text(value: Timeval) -> str:
    """A struct timeval."""
    return f"{{tv_sec={value.tv_sec}, tv_usec={value.tv_usec & _MASK}}}"


def time_values(call: Call, addr: int, kind: type[Timespec] | type[Timeval]) -> str:
    """What a pointer to a timespec or timeval points to."""
    data = peek(call, addr, kind.SIZE)
    if data is None:
        return address(call, addr)
    value = kind.unpack(data)
    return timespec_text(value) if isinstance(value, Timespec) else timeval_text(value)


# -- structures -----------------------------------------------------------------------------------------------


@shows_struct("Timespec")
def timespec(call: Call, value: Timespec) -> str:
    """clock_gettime(2)."""
    return timespec_text(value)


@shows_struct("Timeval")
def timeval(call: Call, value: Timeval) -> str:
    """gettimeofday(2)."""
    return timeval_text(value)


@shows_struct("Itimerspec")
def itimerspec(call: Call, value: Itimerspec) -> str:
    """timer_settime(2)."""
    return f"{{it_interval={timespec_text(value.it_interval)}, it_value={timespec_text(value.it_value)}}}"


@shows_struct("Itimerval")
def itimerval(call: Call, value: Itimerval) -> str:
    """setitimer(2)."""
    return f"{{it_interval={timeval_text(value.it_interval)}, it_value={timeval_text(value.it_value)}}}"


@shows_struct("Timezone")
def timezone(call: Call, value: Timezone) -> str:
    """The second argument of gettimeofday(2)."""
    return f"{{tz_minuteswest={value.tz_minuteswest}, tz_dsttime={value.tz_dsttime}}}"


@shows_struct("Tms")
def tms(call: Call, value: Tms) -> str:
    """times(2), with seconds as a comment."""
    parts = [f"{name}={ticks(field, call.style)}" for name, field in zip(value.FIELDS, value, strict=True)]
    return "{" + ", ".join(parts) + "}"


@shows_struct("Timex")
def timex(call: Call, value: Timex) -> str:
    """adjtimex(2)."""
    fields: dict[str, Any] = dict(zip(value.FIELDS, value, strict=True))
    fields["modes"] = flags(call, value.modes, _ADJ, "ADJ_???")
    fields["status"] = flags(call, value.status & 0xFFFF_FFFF, _STA, "STA_???")
    shown = []
    for name, field in fields.items():
        if name == "tv_sec":
            shown.append(f"time={{tv_sec={value.tv_sec}, tv_usec={value.tv_usec & _MASK}}}")
        elif name != "tv_usec":
            shown.append(f"{name}={field}")
    return "{" + ", ".join(shown) + "}"


@shows_struct("Sigevent")
def sigevent(call: Call, value: Sigevent) -> str:
    """timer_create(2)."""
    notify = value.sigev_notify
    parts = []
    if value.sigev_value:
        number = (value.sigev_value & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
        parts.append(f"sigev_value={{sival_int={number}, sival_ptr={value.sigev_value:#x}}}")
    by_name = notify in (0, _SIGEV_THREAD, _SIGEV_THREAD_ID)
    signo = signal_value(value.sigev_signo, call.style) if by_name else str(value.sigev_signo & 0xFFFF_FFFF)
    parts += [f"sigev_signo={signo}", f"sigev_notify={named(call, notify, _SIGEV, 'SIGEV_???')}"]
    if notify == _SIGEV_THREAD_ID:
        parts.append(f"sigev_notify_thread_id={value.sigev_notify_thread_id}")
    return "{" + ", ".join(parts) + "}"


# -- formats --------------------------------------------------------------------------------------------------


@shows("sigevent")
def sigevent_at(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to a struct sigevent; SIGEV_THREAD has a function and attributes in it."""
    data = call.read(addr, Sigevent.SIZE) if follows(call, addr, arg) else None
    if data is None:
        return address(call, addr)
    value = Sigevent.unpack(data)
    text = sigevent(call, value)
    if value.sigev_notify != _SIGEV_THREAD:
        return text
    function, attributes = unpack("<QQ", data[16:32])
    return (
        f"{text[:-1]}, sigev_notify_function={address(call, function)}, "
        f"sigev_notify_attributes={address(call, attributes)}}}"
    )


@shows("remaining")
def remaining(call: Call, addr: int, arg: Arg) -> str:
    """The time left of a sleep, which the kernel fills in only when a signal interrupts one that may go on."""
    return time_values(call, addr, Timespec) if call.restart == Restart.BLOCK else address(call, addr)


@shows("stored_time")
def stored_time(call: Call, addr: int, arg: Arg) -> str:
    """Where time(2) stores seconds."""
    data = call.read(addr, 8) if follows(call, addr, arg) else None
    if data is None:
        return address(call, addr)
    value = int.from_bytes(data, "little", signed=True)
    return f"[{value}{date(value)}]"


@shows("seconds")
def seconds(call: Call, value: int, arg: Arg) -> str:
    """The result of time(2), with the date."""
    return f"{value}{date(value)}".replace("/* ", "(").replace(" */", ")")


@shows("clock_state")
def clock_state(call: Call, value: int, arg: Arg) -> str:
    """The result of adjtimex(2)."""
    return f"{value} ({_CLOCK_STATES[value]})" if 0 <= value < len(_CLOCK_STATES) else str(value)
