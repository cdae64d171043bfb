"""What the tests of clocks and timers share: arguments, and ways to let time pass."""

from __future__ import annotations

from struct import pack
from typing import Any

from linuxemu.messages import clock
from syscalls.abi.structs import Itimerspec, Itimerval, Sigevent, Timespec, Timeval
from syscalls.objects.siginfo import bit
from tests.syscalls.callrig import In, Rig

REALTIME, MONOTONIC, PROCESS_CPU, THREAD_CPU, BOOTTIME = 0, 1, 2, 3, 7
ABSTIME = 1
MS = 1_000_000
SECOND = 1_000_000_000
NOBODY = 0x3FFF_FFFF


def spec(ns: int) -> In:
    return In(Timespec.from_ns(ns).pack())


def raw_spec(seconds: int, nanoseconds: int) -> In:
    return In(pack("<qq", seconds, nanoseconds))


def itimer(value: int, interval: int = 0) -> In:
    return In(Itimerval(Timeval.from_ns(interval), Timeval.from_ns(value)).pack())


def timer(value: int, interval: int = 0) -> In:
    return In(Itimerspec(Timespec.from_ns(interval), Timespec.from_ns(value)).pack())


def event(notify: int, signo: int, value: int = 0, tid: int = 0) -> In:
    return In(Sigevent(value, signo, notify, tid).pack())


def cpu_clock(pid: int, kind: int = 2, thread: bool = False) -> int:
    return ~pid << 3 | kind | (4 if thread else 0)


ODD_CLOCKS = (
    *range(-9, 24), cpu_clock(NOBODY), cpu_clock(NOBODY, thread=True), cpu_clock(1, thread=True),
    cpu_clock(0, 3), cpu_clock(NOBODY, 3),
)  # fmt: skip


def settable(rig: Rig) -> None:
    """Let the rig's real-time clock be set."""

    def answer(message: Any) -> Any:
        rig.server.epoch_ns = message.ns - rig.now
        return clock.SettimeReply()

    rig.answer = answer


def work(rig: Rig, ms: int, t: Any = None, field: str = "user_ns") -> None:
    """Let a task use the CPU for a while."""
    for _ in range(ms):
        setattr(t or rig.t, field, getattr(t or rig.t, field) + MS)
        rig.advance(MS)


def pending(rig: Rig, signo: int) -> bool:
    """Take a pending signal of the process, if there is one."""
    if not rig.t.process.pending.has(signo):
        return False
    rig.t.process.pending.pop(signo)
    return True


def blocked_rig(*signos: int) -> Rig:
    rig = Rig()
    for signo in signos:
        rig.t.blocked |= bit(signo)
    return rig
