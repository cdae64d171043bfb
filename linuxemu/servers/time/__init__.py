"""The time server: the only place that reads the host's clocks for the guest."""

from __future__ import annotations

import time as host
from typing import TYPE_CHECKING, Protocol

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_INVALID_ARG
from linuxemu.kernel import Server, rpc
from linuxemu.messages import clock, time

if TYPE_CHECKING:
    from collections.abc import Callable

_REALTIME = clock.ClockId.REALTIME
_MONOTONIC = clock.ClockId.MONOTONIC
_BOOTTIME = clock.ClockId.BOOTTIME
_MAX_NS = (1 << 63) - 1


class ClockSource(Protocol):
    """Where time comes from. Clock numbers are Linux's."""

    def now_ns(self, clock_id: int) -> int:
        """What one of the three clocks shows."""

    def resolution_ns(self, clock_id: int) -> int:
        """Its step."""


class HostClock:
    """The clocks of the host; one without a boot-time clock shows its monotonic one instead."""

    def __init__(self) -> None:
        boot_time = getattr(host, "CLOCK_BOOTTIME", host.CLOCK_MONOTONIC)
        self._numbers = {
            _REALTIME: host.CLOCK_REALTIME,
            _MONOTONIC: host.CLOCK_MONOTONIC,
            _BOOTTIME: boot_time,
        }

    def now_ns(self, clock_id: int) -> int:
        """See `ClockSource.now_ns`."""
        return host.clock_gettime_ns(self._numbers[clock_id])

    def resolution_ns(self, clock_id: int) -> int:
        """See `ClockSource.resolution_ns`."""
        return max(1, round(host.clock_getres(self._numbers[clock_id]) * 1e9))


class VirtualClock:
    """Clocks that follow a given one, for tests and deterministic runs.

    Args:
        now_ns: the monotonic clock, such as the kernel's.
        epoch_ns: nanoseconds since 1970 when that clock shows 0.
    """

    def __init__(self, now_ns: Callable[[], int], epoch_ns: int = 0) -> None:
        self._now_ns = now_ns
        self._epoch_ns = epoch_ns

    def now_ns(self, clock_id: int) -> int:
        """See `ClockSource.now_ns`."""
        return self._now_ns() + (self._epoch_ns if clock_id == _REALTIME else 0)

    def resolution_ns(self, clock_id: int) -> int:
        """See `ClockSource.resolution_ns`."""
        return 1


class Rtc:
    """What of a time server outlives it, as a battery-backed clock does."""

    __slots__ = ("offset_ns",)

    def __init__(self) -> None:
        self.offset_ns = 0
        """How much the real-time clock of this machine is ahead of its source."""


class TimeServer(Server):
    """Seconds for the seed's `time.gettimeofday`, nanoseconds for `clock`.

    Setting the real-time clock moves it inside this machine only.

    Args:
        source: where time comes from; the host by default.
        rtc: that of the server whose place this one takes.
    """

    name = "time"

    def __init__(self, source: ClockSource | None = None, rtc: Rtc | None = None) -> None:
        super().__init__()
        self._source: ClockSource = HostClock() if source is None else source
        self._rtc = rtc or Rtc()

    def successor(self) -> TimeServer:
        """A server that shows the same times."""
        return TimeServer(self._source, self._rtc)

    @rpc(time.Gettimeofday)
    async def gettimeofday(self, src: int, m: time.Gettimeofday) -> time.GettimeofdayReply:
        """Whole seconds since 1970."""
        return time.GettimeofdayReply(max(0, self._read(_REALTIME)) // 1_000_000_000)

    @rpc(clock.Gettime)
    async def gettime(self, src: int, m: clock.Gettime) -> clock.GettimeReply:
        """What a clock shows; ERR_INVALID_ARG for an unknown one."""
        return clock.GettimeReply(self._read(m.clock))

    @rpc(clock.Getres)
    async def getres(self, src: int, m: clock.Getres) -> clock.GetresReply:
        """The step of a clock."""
        self._check(m.clock)
        return clock.GetresReply(self._source.resolution_ns(m.clock))

    @rpc(clock.Settime)
    async def settime(self, src: int, m: clock.Settime) -> clock.SettimeReply:
        """Set the real-time clock, not to less than the monotonic one shows; the others cannot be set."""
        if m.clock != _REALTIME or not self._source.now_ns(_MONOTONIC) <= m.ns <= _MAX_NS:
            raise RpcError(ERR_INVALID_ARG)
        self._rtc.offset_ns = m.ns - self._source.now_ns(_REALTIME)
        return clock.SettimeReply()

    def _read(self, clock_id: int) -> int:
        self._check(clock_id)
        now_ns = self._source.now_ns(clock_id)
        return now_ns + self._rtc.offset_ns if clock_id == _REALTIME else now_ns

    @staticmethod
    def _check(clock_id: int) -> None:
        if clock_id not in (_REALTIME, _MONOTONIC, _BOOTTIME):
            raise RpcError(ERR_INVALID_ARG)
