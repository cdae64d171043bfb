"""Timers that send signals: setitimer, timer_create, RLIMIT_CPU (man 2 setitimer, man 2 timer_create)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from syscalls.abi.flags import (
    CLOCK_REALTIME,
    ITIMER_PROF,
    ITIMER_REAL,
    ITIMER_VIRTUAL,
    RLIM_INFINITY,
    RLIMIT_CPU,
    SI_KERNEL,
    SI_TIMER,
    SIGALRM,
    SIGKILL,
    SIGPROF,
    SIGVTALRM,
    SIGXCPU,
)
from syscalls.errors import SysError
from syscalls.objects.siginfo import SigInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from linuxemu.kernel import Port, WaitQueue
    from linuxemu.kernel.timer import Timer
    from syscalls.objects.process import Process
    from syscalls.objects.siginfo import SignalQueue
    from syscalls.objects.task import Task

_T = TypeVar("_T")

_NS = 1_000_000_000
_INT_MAX = 0x7FFF_FFFF
_LEAST_PERIOD_NS = 50_000
"""A shorter interval would leave a guest no time between two signals; the ones left out count as overruns."""
_LEAST_LOOK_NS = 1_000_000
"""How often a CPU clock is looked at while it comes nearer ..."""
_MOST_LOOK_NS = 16_000_000
"""... and while its process sleeps."""
FOREVER_NS = (1 << 63) - 1
"""The last point in time: what does not fit into 64 bits becomes this."""


class IntervalTimer:
    """A deadline on some clock, and the period with which it comes again.

    Args:
        port: wakes us.
        now: the clock; deadlines are times of this clock.
        expired: called with the number of periods that have passed since the last call.
        is_cpu_clock: `now` counts the CPU time of a task or process, which passes no faster than real time.
    """

    __slots__ = (
        "_expired",
        "_handle",
        "_is_cpu_clock",
        "_look_ns",
        "_now",
        "_port",
        "expires_ns",
        "interval_ns",
    )

    def __init__(
        self, port: Port, now: Callable[[], int], expired: Callable[[int], None], is_cpu_clock: bool = False
    ) -> None:
        self._port = port
        self._now = now
        self._expired = expired
        self._is_cpu_clock = is_cpu_clock
        self._look_ns = _LEAST_LOOK_NS
        self._handle: Timer | None = None
        self.expires_ns: int | None = None
        """None: disarmed."""
        self.interval_ns = 0

    def set(self, value_ns: int, interval_ns: int) -> None:
        """Arm it `value_ns` from now, as the calls that take relative times do; 0 disarms."""
        self.arm(min(self._now() + value_ns, FOREVER_NS) if value_ns else None, interval_ns)

    def arm(self, expires_ns: int | None, interval_ns: int = 0) -> None:
        """Arm it at a time of its clock; None disarms."""
        self.cancel()
        self.expires_ns = expires_ns
        self.interval_ns = interval_ns
        if expires_ns is not None:
            self._look_ns = _LEAST_LOOK_NS
            self._schedule(expires_ns)

    def shift(self, ns: int) -> None:
        """Let it expire so much later, or earlier, if it is armed."""
        if self.expires_ns is not None:
            self.arm(min(self.expires_ns + ns, FOREVER_NS), self.interval_ns)

    def cancel(self) -> None:
        """Disarm it."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self.expires_ns = None

    def remaining_ns(self) -> int | None:
        """Time until it expires, not positive when that is overdue; None when disarmed."""
        return None if self.expires_ns is None else self.expires_ns - self._now()

    def _schedule(self, expires_ns: int) -> None:
        if not self._is_cpu_clock:
            self._handle = self._port.call_at(expires_ns, self._due)
            return
        left = max(expires_ns - self._now(), self._look_ns)
        self._handle = self._port.call_at(self._port.now_ns() + left, self._due)

    def _due(self) -> None:
        self._handle = None
        expires, now = self.expires_ns, self._now()
        if expires is None:
            return
        if now < expires:
            self._look_ns = min(2 * self._look_ns, _MOST_LOOK_NS)
            self._schedule(expires)
            return
        count = 1
        self.expires_ns = None
        if self.interval_ns:
            count += (now - expires) // self.interval_ns
            self.expires_ns = expires + count * self.interval_ns
            self._look_ns = _LEAST_LOOK_NS
            self._schedule(max(self.expires_ns, now + _LEAST_PERIOD_NS))
        self._expired(count)


def cpu_clock(owner: Process | Task, user_only: bool = False) -> Callable[[], int]:
    """A function that returns the CPU time of a process or task, nanoseconds."""
    from syscalls.objects.task import Task

    if isinstance(owner, Task):
        task = owner
        return (lambda: task.cpu_ns()[0]) if user_only else (lambda: sum(task.cpu_ns()))
    process = owner
    if user_only:
        return lambda: process.utime_ns
    return lambda: process.utime_ns + process.stime_ns


_ITIMER_SIGNAL = {ITIMER_REAL: SIGALRM, ITIMER_VIRTUAL: SIGVTALRM, ITIMER_PROF: SIGPROF}


def itimer(process: Process, which: int) -> IntervalTimer:
    """One of the three timers of setitimer, made when it is first asked for."""
    from syscalls.objects.signal import send_signal

    found: IntervalTimer | None = process.itimers.get(which)
    if found is None:
        port = process.table.server.port
        info = SigInfo(_ITIMER_SIGNAL[which], SI_KERNEL)

        def expired(_: int) -> None:
            send_signal(process, info)

        if which == ITIMER_REAL:
            found = IntervalTimer(port, port.now_ns, expired)
        else:
            now = cpu_clock(process, user_only=which == ITIMER_VIRTUAL)
            found = IntervalTimer(port, now, expired, is_cpu_clock=True)
        process.itimers[which] = found
    return found


def watch_cpu_limit(process: Process) -> None:
    """Enforce RLIMIT_CPU from now on: SIGXCPU every second beyond the soft limit, SIGKILL at the hard one.

    To be called when the limit changes and for a new process that inherits a finite one (man 2 getrlimit).
    """
    from syscalls.objects.signal import send_signal

    timer: IntervalTimer | None = process.clock_timers.get(RLIMIT_CPU)
    soft, hard = process.rlimits[RLIMIT_CPU]
    if soft == hard == RLIM_INFINITY:
        if timer is not None:
            timer.cancel()
        return
    clock = cpu_clock(process)

    def check(_: int) -> None:
        soft, hard = process.rlimits[RLIMIT_CPU]
        seconds = clock() // _NS
        if seconds >= hard:
            send_signal(process, SigInfo(SIGKILL, SI_KERNEL))
            return
        if seconds >= soft:
            send_signal(process, SigInfo(SIGXCPU, SI_KERNEL))
            soft = seconds + 1
            process.rlimits[RLIMIT_CPU] = (soft, hard)  # as Linux does, for all to see
        watch.arm(min(min(soft, hard) * _NS, FOREVER_NS))

    watch = IntervalTimer(process.table.server.port, clock, check, is_cpu_clock=True)
    if timer is not None:
        timer.cancel()
    process.clock_timers[RLIMIT_CPU] = watch
    watch.arm(min(min(soft, hard) * _NS, FOREVER_NS))


class PosixTimer:
    """One timer of timer_create.

    Args:
        number: its id, unique in the process.
        clock: CLOCK_* it was made for.
        target: who gets the signal; None for SIGEV_NONE.
        signo: the signal.
        value: si_value.
    """

    __slots__ = ("_sent", "ahead_ns", "clock", "number", "overrun", "owner", "signo", "target", "timer", "value")

    def __init__(
        self, number: int, clock: int, target: Process | Task | None, signo: int, value: int
    ) -> None:
        self.number = number
        self.clock = clock
        self.target = target
        self.signo = signo
        self.value = value
        self.overrun = 0
        """Expirations that the last signal stands for, beyond the first."""
        self.timer: IntervalTimer
        self.owner: Process | Task | None = None
        """Whose CPU time the clock counts; None for other clocks."""
        self.ahead_ns: int | None = None
        """Armed with a time of the real-time clock: how far the port's clock is ahead of that; else None."""
        self._sent: SigInfo | None = None

    def owner_is_gone(self) -> bool:
        """Whether its clock has stopped for ever: a thread that ended, or a process that was waited for."""
        from syscalls.objects.task import Task

        owner = self.owner
        if isinstance(owner, Task):
            return owner.process.tasks.get(owner.tid) is not owner
        return owner is not None and owner.table.processes.get(owner.pid) is not owner

    def cancel(self) -> None:
        """Disarm it, for exit, execve and timer_delete; a signal already sent stays pending."""
        self.timer.cancel()

    def expired(self, count: int) -> None:
        """Send the signal, or count an overrun while the last one is pending (man 2 timer_getoverrun)."""
        from syscalls.objects.signal import send_signal

        target = self.target
        if target is None:
            return
        last = self._sent
        if last is not None:
            new = last._replace(overrun=min(last.overrun + count, _INT_MAX))
            if _replace_pending(target.pending, last, new):
                self._sent = new
                self.overrun = new.overrun
                return
        self.overrun = min(count - 1, _INT_MAX)
        self._sent = SigInfo(self.signo, SI_TIMER, value=self.value, timer=self.number, overrun=self.overrun)
        try:
            send_signal(target, self._sent)
        except SysError:
            # Out of room for queued signals: Linux reserves it at timer_create, we try again next time.
            self._sent = None


class ClockSettings:
    """The settings of the real-time clock, for those that wait until it shows a time (man 2 clock_settime)."""

    __slots__ = ("ahead_ns", "count", "queue")

    def __init__(self) -> None:
        from linuxemu.kernel import WaitQueue

        self.count = 0
        """How often it was set."""
        self.ahead_ns: int | None = None
        """How far the port's clock was ahead of it when it was set last; None if it never was."""
        self.queue = WaitQueue()
        """Woken each time."""

    def since(self, count: int) -> bool | None:
        """Whether it was set after it had been set `count` times, as an attempt of `Task.wait`."""
        return None if self.count == count else True

    def changed(self, processes: Iterable[Process], ahead_ns: int) -> None:
        """The clock was set.

        Args:
            processes: those whose timers were armed with times of it.
            ahead_ns: how far the port's clock is ahead of it now.
        """
        self.count += 1
        self.ahead_ns = ahead_ns
        self.queue.wake_all()
        for process in processes:
            for timer in process.posix_timers.values():
                if timer.ahead_ns is not None:
                    timer.timer.shift(ahead_ns - timer.ahead_ns)
                    timer.ahead_ns = ahead_ns


async def wait_until(
    t: Task, until_ns: int, queues: Sequence[WaitQueue], attempt: Callable[[], _T | None]
) -> _T | None:
    """`Task.wait` up to a time of the real-time clock, however it is set meanwhile.

    Args:
        t: who waits; a signal ends it, and SA_RESTART begins it again.
        until_ns: the time; the result is None once the clock shows it.
        queues: their wake-ups make `attempt` worth another try.
        attempt: tries without blocking; None means "not yet".
    """
    settings = t.server.clock_settings
    port = t.server.port
    while True:
        seen = settings.count
        end = min(port.now_ns() + until_ns - await t.server.clock_ns(CLOCK_REALTIME), FOREVER_NS)

        def look(seen: int = seen) -> tuple[_T, ...] | None:
            result = attempt()
            if result is not None:
                return (result,)
            return () if settings.since(seen) else None

        found = await t.wait([*queues, settings.queue], look, end)
        if found is None:
            return None
        if found:
            return found[0]


def _replace_pending(queue: SignalQueue, old: SigInfo, new: SigInfo) -> bool:
    """Exchange a siginfo that is still pending; whether it was."""
    signo = old.signo
    if not queue.has(signo):
        return False
    pending = []
    while queue.has(signo):
        pending.append(queue.pop(signo))
    found = False
    for info in pending:
        if info is old:
            info, found = new, True
        queue.push(info)
    return found
