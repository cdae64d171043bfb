"""Clocks, sleeping and timers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import EAGAIN, EINVAL, EOPNOTSUPP, EPERM, ESRCH
from syscalls.abi.flags import (
    ADJ_OFFSET,
    ADJ_OFFSET_SINGLESHOT,
    ADJ_OFFSET_SS_READ,
    CAP_SYS_TIME,
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
    ITIMER_PROF,
    ITIMER_REAL,
    RLIMIT_SIGPENDING,
    SIGALRM,
    SIGEV_NONE,
    SIGEV_SIGNAL,
    SIGEV_THREAD,
    SIGEV_THREAD_ID,
    SIGRTMAX,
    STA_UNSYNC,
    TIME_ERROR,
    TIMER_ABSTIME,
)
from syscalls.abi.structs import Itimerspec, Itimerval, Sigevent, Timespec, Timeval, Timex, Timezone, Tms
from syscalls.errors import Interrupted, Restart, SysError
from syscalls.objects.timers import FOREVER_NS, IntervalTimer, PosixTimer, cpu_clock, itimer
from syscalls.registry import PARTIAL, syscall
from syscalls.types import (
    ClockId,
    ClockState,
    In,
    Int,
    ItimerWhich,
    Out,
    Seconds,
    Shown,
    TimerFlags,
    UInt,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.objects.process import Process
    from syscalls.objects.task import Task

_NS = 1_000_000_000
_LAST_ID = 0x7FFF_FFFF
_KERNEL_TICK_NS = 4_000_000
"""A period of the timer interrupt, 250 Hz: the resolution of the coarse clocks."""
_USER_TICK_NS = 10_000_000
"""A clock tick of times(2), 100 Hz."""
_MOST_SECONDS = ((1 << 63) - 1) // _NS - 30 * 365 * 86_400
"""The clock cannot be set later: it would come to the end of its 64 bits within 30 years."""
_NO_RTC = (CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM)
"""Clocks that need a real-time clock device to wake the machine; there is none."""
_SLEEPABLE = (CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI)
_READ_ONLY = (CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE)
_BASE_CLOCK = {
    CLOCK_REALTIME: CLOCK_REALTIME,
    CLOCK_REALTIME_COARSE: CLOCK_REALTIME,
    CLOCK_TAI: CLOCK_REALTIME,
    CLOCK_MONOTONIC: CLOCK_MONOTONIC,
    CLOCK_MONOTONIC_COARSE: CLOCK_MONOTONIC,
    CLOCK_MONOTONIC_RAW: CLOCK_MONOTONIC,
    CLOCK_BOOTTIME: CLOCK_BOOTTIME,
}
_ADJ_ADJTIME = ADJ_OFFSET_SINGLESHOT & ~ADJ_OFFSET
"""adjtime(3) asks, which needs ADJ_OFFSET beside it."""
_ADJ_READ_ONLY = ADJ_OFFSET_SS_READ & ~ADJ_OFFSET
_CPUCLOCK_VIRT = 1
_CPUCLOCK_MAX = 3
_CLOCKFD = 3
_PER_THREAD = 4
_PROCESS_CLOCK = ~0 << 3 | 2
_THREAD_CLOCK = _PROCESS_CLOCK | _PER_THREAD


def _cpu_id(clock: int) -> int | None:
    """The encoded form of a CPU clock (~pid << 3, bit 2 for a thread, the kind below), None for others."""
    if clock == CLOCK_PROCESS_CPUTIME_ID:
        return _PROCESS_CLOCK
    if clock == CLOCK_THREAD_CPUTIME_ID:
        return _THREAD_CLOCK
    return clock if clock < 0 else None


def _is_clock_file(clock: int) -> bool:
    """Whether a clock id stands for an open clock device, of which there are none (man 2 clock_gettime)."""
    return clock < 0 and clock & 7 == _CLOCKFD


def _cpu_owner(t: Task, cpu_id: int, reading: bool = False) -> Process | Task:
    """Whose CPU time a clock counts; EINVAL if there is nobody (man 3 clock_getcpuclockid)."""
    if cpu_id & 3 >= _CPUCLOCK_MAX:
        raise SysError(EINVAL)
    pid = ~(cpu_id >> 3)
    if cpu_id & _PER_THREAD:
        task = t.process.tasks.get(pid) if pid else t
        if task is None:
            raise SysError(EINVAL)
        return task
    if pid == 0 or (reading and pid == t.tid):
        return t.process
    process = t.process.table.processes.get(pid)
    if process is None:
        raise SysError(EINVAL)
    return process


def _cpu_now(t: Task, cpu_id: int, reading: bool = False) -> Callable[[], int]:
    return cpu_clock(_cpu_owner(t, cpu_id, reading), cpu_id & 3 == _CPUCLOCK_VIRT)


async def _clock_now_ns(t: Task, clock: int) -> int:
    """The value of any clock; EINVAL for an unknown one."""
    base = _BASE_CLOCK.get(clock)
    if base is not None:
        return await t.server.clock_ns(base)
    cpu_id = _cpu_id(clock)
    if cpu_id is None:
        raise SysError(EINVAL)
    return _cpu_now(t, cpu_id, reading=True)()


@syscall("time", errors="EFAULT EIO")
async def time(t: Task, tloc: Annotated[Out[int], Shown("stored_time")]) -> Seconds:
    """Seconds since 1970 (man 2 time)."""
    seconds = await t.server.clock_ns(CLOCK_REALTIME) // _NS
    if tloc:
        await t.mem.put_u64(tloc, seconds)
    return seconds


@syscall("gettimeofday", errors="EFAULT EIO")
async def gettimeofday(t: Task, tv: Out[Timeval], tz: Out[Timezone]) -> None:
    """The time in microseconds; the time zone of the kernel is always zero (man 2 gettimeofday)."""
    if tv:
        now = Timeval.from_ns(await t.server.clock_ns(CLOCK_REALTIME))
        await t.mem.put_u64(tv, now.tv_sec)
        await t.mem.put_u64(tv + 8, now.tv_usec)
    if tz:
        await t.mem.put(tz, Timezone(0, 0))


@syscall(
    "settimeofday",
    errors="EFAULT EINVAL EIO EPERM",
    support=PARTIAL,
    notes="the kernel's time zone cannot be set",
)
async def settimeofday(t: Task, tv: In[Timeval], tz: In[Timezone]) -> None:
    """Set the clock; needs CAP_SYS_TIME (man 2 settimeofday)."""
    new = await t.mem.struct(tv, Timeval) if tv else None
    if new is not None and not 0 <= new.tv_usec < 1_000_000:
        raise SysError(EINVAL)
    zone = await t.mem.struct(tz, Timezone) if tz else None
    if new is not None and not 0 <= new.tv_sec < _MOST_SECONDS:
        raise SysError(EINVAL)
    if not t.creds.capable(CAP_SYS_TIME):
        raise SysError(EPERM)
    if zone is not None:
        if abs(zone.tz_minuteswest) > 15 * 60:
            raise SysError(EINVAL)
        if zone.tz_minuteswest or zone.tz_dsttime:
            t.server.unsupported("settimeofday: time zone", t)
    if new is not None:
        await _set_clock(t, new.ns())


async def _set_clock(t: Task, ns: int) -> None:
    """The server refuses, with EINVAL, to show less than the monotonic clock does."""
    from linuxemu.errors import RpcError
    from linuxemu.kernel.recovery import call
    from linuxemu.messages import clock
    from syscalls.vfs.filesystem import errno_of

    try:
        await call(t.server.port, t.server.peers.time, clock.Settime(CLOCK_REALTIME, ns))
    except RpcError as error:
        raise SysError(errno_of(error.code)) from error
    processes = t.process.table.processes.values()
    t.server.clock_settings.changed(processes, t.server.port.now_ns() - ns)


@syscall("clock_gettime", errors="EFAULT EINVAL EIO")
async def clock_gettime(t: Task, clockid: ClockId, tp: Out[Timespec]) -> None:
    """The value of a clock, CPU clocks of processes and threads included (man 2 clock_gettime)."""
    await t.mem.put(tp, Timespec.from_ns(await _clock_now_ns(t, clockid)))


@syscall("clock_getres", errors="EFAULT EINVAL")
async def clock_getres(t: Task, clockid: ClockId, res: Out[Timespec]) -> None:
    """The resolution of a clock (man 2 clock_getres)."""
    ns = 1
    if clockid in (CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE):
        ns = _KERNEL_TICK_NS
    elif clockid not in _BASE_CLOCK:
        cpu_id = _cpu_id(clockid)
        if cpu_id is None:
            raise SysError(EINVAL)
        _cpu_owner(t, cpu_id)
        if cpu_id & 3 != 2:
            ns = _KERNEL_TICK_NS
    if res:
        await t.mem.put(res, Timespec(0, ns))


@syscall("clock_settime", errors="EFAULT EINVAL EIO EPERM")
async def clock_settime(t: Task, clockid: ClockId, tp: In[Timespec]) -> None:
    """Set CLOCK_REALTIME; the others cannot be set (man 2 clock_settime)."""
    if clockid >= 0 and clockid != CLOCK_REALTIME:
        raise SysError(EINVAL)
    new = await t.mem.struct(tp, Timespec)
    if clockid < 0:
        _cpu_owner(t, clockid)
        raise SysError(EPERM)
    if not new.valid() or new.tv_sec >= _MOST_SECONDS:
        raise SysError(EINVAL)
    if not t.creds.capable(CAP_SYS_TIME):
        raise SysError(EPERM)
    await _set_clock(t, new.ns())


# -- sleeping -------------------------------------------------------------------------------------------


def _never() -> int | None:
    return None


@syscall("nanosleep", errors="EFAULT EINTR EINVAL")
async def nanosleep(t: Task, rqtp: In[Timespec], rmtp: Annotated[Out[Timespec], Shown("remaining")]) -> None:
    """Sleep for a time; a signal handler ends it with EINTR and the time left in rmtp (man 2 nanosleep)."""
    request = await t.mem.struct(rqtp, Timespec)
    if not request.valid():
        raise SysError(EINVAL)
    await _sleep_for(t, request.ns(), rmtp)


async def _sleep_for(t: Task, ns: int, rmtp: int) -> None:
    now = t.server.port.now_ns()
    await _sleep_to(t, min(now + ns, FOREVER_NS), rmtp)


async def _sleep_to(t: Task, deadline_ns: int, rmtp: int) -> None:
    """Sleep until a time of the port's clock, and go on after a signal that has no handler."""
    try:
        await t.wait((), _never, deadline_ns, Restart.BLOCK)
    except Interrupted:
        if rmtp:
            left = deadline_ns - t.server.port.now_ns()
            if left <= 0:
                return
            await t.mem.put(rmtp, Timespec.from_ns(left))
        t.restart_block = lambda: _sleep_to(t, deadline_ns, rmtp)
        raise


@syscall("clock_nanosleep", errors="EFAULT EINTR EINVAL EIO EOPNOTSUPP")
async def clock_nanosleep(
    t: Task,
    clockid: ClockId,
    flags: TimerFlags,
    rqtp: In[Timespec],
    rmtp: Annotated[Out[Timespec], Shown("remaining")],
) -> None:
    """Sleep on a clock, for a time or with TIMER_ABSTIME until one (man 2 clock_nanosleep)."""
    cpu_id = _cpu_id(clockid)
    if clockid in _READ_ONLY or clockid == CLOCK_THREAD_CPUTIME_ID or _is_clock_file(clockid):
        raise SysError(EOPNOTSUPP)
    if cpu_id is None and clockid not in _SLEEPABLE and clockid not in _NO_RTC:
        raise SysError(EINVAL)
    request = await t.mem.struct(rqtp, Timespec)
    if not request.valid():
        raise SysError(EINVAL)
    if clockid in _NO_RTC:
        raise SysError(EOPNOTSUPP)
    absolute = bool(flags & TIMER_ABSTIME)
    if cpu_id is not None:
        await _sleep_on_cpu_clock(t, cpu_id, request.ns(), absolute, rmtp)
    elif absolute:
        await _sleep_until(t, _BASE_CLOCK[clockid], request.ns())
    else:
        await _sleep_for(t, request.ns(), rmtp)


async def _sleep_until(t: Task, clock: int, target_ns: int) -> None:
    """Sleep until a clock shows a time, however it is set meanwhile."""
    settings = t.server.clock_settings
    while True:
        seen = settings.count
        left = target_ns - await t.server.clock_ns(clock)
        if left <= 0:
            return
        end = min(t.server.port.now_ns() + left, FOREVER_NS)
        await t.wait((settings.queue,), partial(settings.since, seen), end, Restart.NOHAND)


async def _sleep_on_cpu_clock(t: Task, cpu_id: int, ns: int, absolute: bool, rmtp: int) -> None:
    owner = _cpu_owner(t, cpu_id)
    if owner is t:
        raise SysError(EINVAL)
    now = _cpu_now(t, cpu_id)
    target = min(ns if absolute else now() + ns, FOREVER_NS)
    await _sleep_to_cpu_time(t, now, target, absolute, rmtp)


async def _sleep_to_cpu_time(
    t: Task, now: Callable[[], int], target_ns: int, absolute: bool, rmtp: int
) -> None:
    from linuxemu.kernel import WaitQueue

    reached = WaitQueue()
    timer = IntervalTimer(t.server.port, now, lambda _: reached.wake_all(), is_cpu_clock=True)
    timer.arm(target_ns)
    try:
        restart = Restart.NOHAND if absolute else Restart.BLOCK
        await t.wait((reached,), lambda: True if now() >= target_ns else None, None, restart)
    except Interrupted:
        if not absolute:
            if rmtp:
                await t.mem.put(rmtp, Timespec.from_ns(max(target_ns - now(), 1)))
            t.restart_block = lambda: _sleep_to_cpu_time(t, now, target_ns, False, rmtp)
        raise
    finally:
        timer.cancel()


# -- process times and interval timers ------------------------------------------------------------------


@syscall("times", errors="EFAULT EIO")
async def times(t: Task, buf: Out[Tms]) -> int:
    """CPU time of the process and of its children that were waited for; returns ticks of 1/100 s since boot,
    some time ago (man 2 times).
    """
    if buf:
        process = t.process
        used = (process.utime_ns, process.stime_ns, process.child_usage.user_ns, process.child_usage.sys_ns)
        await t.mem.put(buf, Tms(*(ns // _USER_TICK_NS for ns in used)))
    return await t.server.clock_ns(CLOCK_BOOTTIME) // _USER_TICK_NS


@syscall("alarm")
async def alarm(t: Task, seconds: UInt) -> int:
    """Send SIGALRM after some seconds; returns what was left of the last alarm (man 2 alarm)."""
    timer = itimer(t.process, ITIMER_REAL)
    left = _timer_value(timer, ITIMER_REAL).it_value
    timer.set(seconds * _NS, 0)
    return left.tv_sec + (left.tv_usec >= 500_000 or (not left.tv_sec and left.tv_usec > 0))


def _timer_value(timer: IntervalTimer | None, which: int) -> Itimerval:
    """What getitimer reports; an armed timer never shows zero."""
    left = timer.remaining_ns() if timer is not None else None
    if timer is None or left is None:
        zero = Timeval(0, 0)
        return Itimerval(Timeval.from_ns(timer.interval_ns) if timer is not None else zero, zero)
    if left <= 0:
        left = 1000 if which == ITIMER_REAL else _KERNEL_TICK_NS
    return Itimerval(Timeval.from_ns(timer.interval_ns), Timeval.from_ns(max(left, 1000)))


@syscall("getitimer", errors="EFAULT EINVAL")
async def getitimer(t: Task, which: ItimerWhich, curr_value: Out[Itimerval]) -> None:
    """What is left of an interval timer (man 2 getitimer)."""
    if not ITIMER_REAL <= which <= ITIMER_PROF:
        raise SysError(EINVAL)
    await t.mem.put(curr_value, _timer_value(t.process.itimers.get(which), which))


@syscall("setitimer", errors="EFAULT EINVAL")
async def setitimer(
    t: Task, which: ItimerWhich, new_value: In[Itimerval], old_value: Out[Itimerval]
) -> None:
    """Arm an interval timer: real time, user time or all CPU time of the process (man 2 setitimer)."""
    zero = Timeval(0, 0)
    new = await t.mem.struct(new_value, Itimerval) if new_value else Itimerval(zero, zero)
    if not new.it_value.valid() or not new.it_interval.valid():
        raise SysError(EINVAL)
    if not ITIMER_REAL <= which <= ITIMER_PROF:
        raise SysError(EINVAL)
    timer = itimer(t.process, which)
    old = _timer_value(timer, which)
    value, interval = min(new.it_value.ns(), FOREVER_NS), min(new.it_interval.ns(), FOREVER_NS)
    timer.set(value, 0 if which == ITIMER_REAL and not value else interval)
    if old_value:
        await t.mem.put(old_value, old)


# -- POSIX timers ---------------------------------------------------------------------------------------


@syscall("timer_create", errors="EAGAIN EFAULT EINVAL EOPNOTSUPP")
async def timer_create(
    t: Task, clockid: ClockId, sevp: Annotated[In[Sigevent], Shown("sigevent")], timerid: Out[int]
) -> None:
    """Make a timer that sends a signal to the process or to one of its threads (man 2 timer_create).

    A process may have RLIMIT_SIGPENDING of them. Linux sets room for their signals aside, and counts what other
    processes of the user have, too; here a signal that finds no room is lost.
    """
    event = await t.mem.struct(sevp, Sigevent) if sevp else None
    if clockid in _READ_ONLY or _is_clock_file(clockid):
        raise SysError(EOPNOTSUPP)
    cpu_id = _cpu_id(clockid)
    if cpu_id is None and clockid not in _SLEEPABLE and clockid not in _NO_RTC:
        raise SysError(EINVAL)
    process = t.process
    if len(process.posix_timers) >= process.rlimits[RLIMIT_SIGPENDING][0]:
        raise SysError(EAGAIN)
    number = _new_id(process)
    if event is None:
        event = Sigevent(number, SIGALRM, SIGEV_SIGNAL, 0)
    timer = PosixTimer(number, clockid, _notify_target(t, event), event.sigev_signo, event.sigev_value)
    await t.mem.put_u32(timerid, number)
    if clockid in _NO_RTC:
        raise SysError(EOPNOTSUPP)
    port = t.server.port
    if cpu_id is None:
        timer.timer = IntervalTimer(port, port.now_ns, timer.expired)
    else:
        timer.owner = _cpu_owner(t, cpu_id)
        timer.timer = IntervalTimer(port, _cpu_now(t, cpu_id), timer.expired, is_cpu_clock=True)
    process.posix_timers[number] = timer


def _new_id(process: Process) -> int:
    """The next free timer id; it is used up even if the timer is not made in the end."""
    number = process.next_timer_id
    while number in process.posix_timers:
        number = number + 1 & _LAST_ID
    process.next_timer_id = number + 1 & _LAST_ID
    return number


def _notify_target(t: Task, event: Sigevent) -> Process | Task | None:
    """Who gets the timer's signal; EINVAL for what man 7 sigevent does not allow."""
    target: Process | Task = t.process
    if event.sigev_notify == SIGEV_NONE:
        return None
    if event.sigev_notify == SIGEV_THREAD_ID:
        task = t.process.tasks.get(event.sigev_notify_thread_id)
        if task is None:
            raise SysError(EINVAL)
        target = task
    elif event.sigev_notify not in (SIGEV_SIGNAL, SIGEV_THREAD):
        raise SysError(EINVAL)
    if not 0 < event.sigev_signo <= SIGRTMAX:
        raise SysError(EINVAL)
    return target


def _posix_timer(t: Task, timerid: int) -> PosixTimer:
    found: PosixTimer | None = t.process.posix_timers.get(timerid)
    if found is None:
        raise SysError(EINVAL)
    return found


def _timer_spec(timer: PosixTimer) -> Itimerspec:
    """What timer_gettime reports; an armed timer that signals never shows zero."""
    if timer.owner_is_gone():
        return Itimerspec(Timespec(0, 0), Timespec(0, 0))
    left = timer.timer.remaining_ns()
    interval = Timespec.from_ns(timer.timer.interval_ns)
    if left is None:
        return Itimerspec(interval, Timespec(0, 0))
    if left <= 0:
        left = 0 if timer.target is None and not timer.timer.interval_ns else 1
    return Itimerspec(interval, Timespec.from_ns(left))


@syscall("timer_settime", errors="EFAULT EINVAL EIO ESRCH")
async def timer_settime(
    t: Task, timerid: Int, flags: TimerFlags, new_value: In[Itimerspec], old_value: Out[Itimerspec]
) -> None:
    """Arm or disarm a timer; ESRCH if its clock counts for a process that is gone (man 2 timer_settime)."""
    if not new_value:
        raise SysError(EINVAL)
    new = await t.mem.struct(new_value, Itimerspec)
    if not new.it_value.valid() or not new.it_interval.valid():
        raise SysError(EINVAL)
    timer = _posix_timer(t, timerid)
    if timer.owner_is_gone():
        raise SysError(ESRCH)
    old = _timer_spec(timer)
    value = min(new.it_value.ns(), FOREVER_NS)
    interval = min(new.it_interval.ns(), FOREVER_NS) if value else 0
    timer.ahead_ns = None
    if not value or not flags & TIMER_ABSTIME:
        timer.timer.set(value, interval)
    elif _cpu_id(timer.clock) is not None:
        timer.timer.arm(value, interval)
    else:
        # The port's clock need not begin where this one does.
        base = _BASE_CLOCK[timer.clock]
        ahead = t.server.port.now_ns() - await t.server.clock_ns(base)
        timer.timer.arm(value + ahead, interval)
        if base == CLOCK_REALTIME:
            timer.ahead_ns = ahead
    timer.overrun = 0
    if old_value:
        await t.mem.put(old_value, old)


@syscall("timer_gettime", errors="EFAULT EINVAL")
async def timer_gettime(t: Task, timerid: Int, curr_value: Out[Itimerspec]) -> None:
    """What is left of a timer (man 2 timer_gettime)."""
    await t.mem.put(curr_value, _timer_spec(_posix_timer(t, timerid)))


@syscall("timer_getoverrun", errors="EINVAL")
async def timer_getoverrun(t: Task, timerid: Int) -> int:
    """Expirations that the last signal stands for, beyond the first (man 2 timer_getoverrun)."""
    return _posix_timer(t, timerid).overrun


@syscall("timer_delete", errors="EINVAL")
async def timer_delete(t: Task, timerid: Int) -> None:
    """Delete a timer (man 2 timer_delete)."""
    _posix_timer(t, timerid).cancel()
    del t.process.posix_timers[timerid]


# -- clock discipline -----------------------------------------------------------------------------------


@syscall(
    "adjtimex",
    errors="EFAULT EINVAL EIO EPERM",
    support=PARTIAL,
    notes="reads only; the clock is shown as not synchronized",
)
async def adjtimex(t: Task, buf: Out[Timex]) -> ClockState:
    """The state of the clock's discipline (man 2 adjtimex)."""
    return await _adjust(t, buf)


@syscall(
    "clock_adjtime",
    errors="EFAULT EINVAL EIO EOPNOTSUPP EPERM",
    support=PARTIAL,
    notes="reads only; the clock is shown as not synchronized",
)
async def clock_adjtime(t: Task, clk_id: ClockId, buf: Out[Timex]) -> ClockState:
    """adjtimex for a clock; only CLOCK_REALTIME has a discipline (man 2 clock_adjtime)."""
    request = await t.mem.struct(buf, Timex)
    is_cpu_clock = _cpu_id(clk_id) is not None and not _is_clock_file(clk_id)
    if clk_id not in _BASE_CLOCK and clk_id not in _NO_RTC and not is_cpu_clock:
        raise SysError(EINVAL)
    if clk_id != CLOCK_REALTIME:
        raise SysError(EOPNOTSUPP)
    return await _adjust(t, buf, request)


async def _adjust(t: Task, buf: int, request: Timex | None = None) -> int:
    if request is None:
        request = await t.mem.struct(buf, Timex)
    modes = request.modes
    if modes & _ADJ_ADJTIME and not modes & ADJ_OFFSET:
        raise SysError(EINVAL)
    if modes and modes & _ADJ_READ_ONLY != _ADJ_READ_ONLY:
        if t.creds.capable(CAP_SYS_TIME):
            t.server.unsupported(f"adjtimex: modes {modes:#x}", t)
        raise SysError(EPERM)
    now = Timeval.from_ns(await t.server.clock_ns(CLOCK_REALTIME))
    state = Timex(
        modes,
        maxerror=16_000_000,
        esterror=16_000_000,
        status=STA_UNSYNC,
        constant=2,
        precision=1,
        tolerance=32_768_000,
        tv_sec=now.tv_sec,
        tv_usec=now.tv_usec,
        tick=10_000,
    )
    await t.mem.put(buf, state)
    return TIME_ERROR
