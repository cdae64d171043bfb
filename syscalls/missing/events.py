"""Timers, signals, file events and asynchronous work."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Annotated

from syscalls.abi.structs import Itimerspec
from syscalls.missing.types import (
    AioContext,
    ClockName,
    EventFlags,
    FanotifyDir,
    FanotifyFlags,
    FanotifyMarkFlags,
    FanotifyMask,
    Hex,
    InotifyFlags,
    InotifyMask,
    Long,
    PidfdFlags,
    SignalFdFlags,
    SignalSet,
    Timeout,
    TimerFlags,
    UffdFlags,
    UringCommand,
    UringFlags,
    Waiters,
)
from syscalls.signatures import missing
from syscalls.types import Count, Fd, In, Int, Out, Pid, Shown, Signal, Size, UInt, UserPath


@missing
def timerfd_create(clockid: ClockName, flags: TimerFlags) -> Fd:
    """Make a timer that is a file: man 2 timerfd_create."""


@missing
def timerfd_settime(
    fd: Fd,
    flags: TimerFlags,
    new_value: In[Itimerspec],
    old_value: Out[Itimerspec],
) -> int:
    """Set a timer: man 2 timerfd_settime."""


@missing
def timerfd_gettime(fd: Fd, curr_value: Out[Itimerspec]) -> int:
    """Read a timer: man 2 timerfd_gettime."""


@missing
def signalfd(fd: Fd, mask: SignalSet, sizemask: Size) -> Fd:
    """Take signals from a file: man 2 signalfd."""


@missing
def signalfd4(fd: Fd, mask: SignalSet, sizemask: Size, flags: SignalFdFlags) -> Fd:
    """Take signals from a file: man 2 signalfd."""


@missing
def inotify_init() -> Fd:
    """Watch files: man 2 inotify_init."""


@missing
def inotify_init1(flags: InotifyFlags) -> Fd:
    """Watch files: man 2 inotify_init1."""


@missing
def inotify_add_watch(fd: Fd, pathname: UserPath, mask: InotifyMask) -> int:
    """Watch a file: man 2 inotify_add_watch."""


@missing
def inotify_rm_watch(fd: Fd, wd: Int) -> int:
    """Watch a file no longer: man 2 inotify_rm_watch."""


@missing
def fanotify_init(flags: FanotifyFlags, event_f_flags: EventFlags) -> Fd:
    """Watch file systems: man 2 fanotify_init."""


@missing
def fanotify_mark(
    fanotify_fd: Fd, flags: FanotifyMarkFlags, mask: FanotifyMask, dirfd: FanotifyDir, pathname: UserPath
) -> int:
    """Watch a file or a file system: man 2 fanotify_mark."""


@missing
def io_setup(nr_events: UInt, ctx_idp: Annotated[Out[int], Shown("stored_address")]) -> int:
    """Make a context for asynchronous input and output: man 2 io_setup."""


@missing
def io_destroy(ctx_id: AioContext) -> int:
    """Remove such a context: man 2 io_destroy."""


@missing
def io_submit(ctx_id: AioContext, nr: Long, iocbpp: Annotated[In[bytes], Shown("iocbs"), Count("nr")]) -> int:
    """Begin input and output: man 2 io_submit."""


@missing
def io_cancel(
    ctx_id: AioContext,
    iocb: Annotated[In[bytes], Shown("iocb_head")],
    result: Annotated[Out[bytes], Shown("io_event")],
) -> int:
    """Cancel input or output: man 2 io_cancel."""


@missing
def io_getevents(
    ctx_id: AioContext,
    min_nr: Long,
    nr: Long,
    events: Annotated[Out[bytes], Shown("io_events"), Count("result")],
    timeout: Timeout,
) -> int:
    """Wait for input and output: man 2 io_getevents."""


@missing
def io_pgetevents(
    ctx_id: AioContext,
    min_nr: Long,
    nr: Long,
    events: Annotated[Out[bytes], Shown("io_events"), Count("result")],
    timeout: Timeout,
    usig: Annotated[In[bytes], Shown("sigset_arg")],
) -> int:
    """Wait for input and output, with a signal mask: man 2 io_getevents."""


@missing
def io_uring_setup(entries: UInt, p: Annotated[Out[bytes], Shown("uring_params")]) -> Fd:
    """Make rings of requests and answers: man 2 io_uring_setup."""


@missing
def io_uring_enter(
    fd: Fd,
    to_submit: UInt,
    min_complete: UInt,
    flags: UringFlags,
    sig: Annotated[In[bytes], Shown("uring_signals"), Count("sz")],
    sz: Size,
) -> int:
    """Submit requests, wait for answers: man 2 io_uring_enter."""


@missing
def io_uring_register(
    fd: Fd,
    opcode: UringCommand,
    arg: Annotated[In[bytes], Shown("uring_argument"), Count("nr_args")],
    nr_args: UInt,
) -> int:
    """Register files and buffers of a ring: man 2 io_uring_register."""


@missing
def pidfd_open(pid: Pid, flags: PidfdFlags) -> Fd:
    """Open a process: man 2 pidfd_open."""


@missing
def pidfd_send_signal(
    pidfd: Fd, sig: Signal, info: Annotated[In[bytes], Shown("siginfo")], flags: Hex
) -> int:
    """Signal a process: man 2 pidfd_send_signal."""


@missing
def pidfd_getfd(pidfd: Fd, targetfd: Int, flags: Hex) -> Fd:
    """Take a copy of another process's file descriptor: man 2 pidfd_getfd."""


@missing
def userfaultfd(flags: UffdFlags) -> Fd:
    """Handle page faults: man 2 userfaultfd."""


@missing
def futex_waitv(waiters: Waiters, nr_futexes: UInt, flags: Hex, timeout: Timeout, clockid: ClockName) -> int:
    """Wait for one of several futexes: man 2 futex_waitv."""
