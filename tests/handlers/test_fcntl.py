"""fcntl (man 2 fcntl), apart from record locks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linuxemu.testing import BAD, NULL, Call, Guest
from syscalls.abi.errno import EBADF, EBUSY, EFAULT, EINVAL, EMFILE, ENOMEM, EPERM, ESRCH
from syscalls.abi.flags import (
    F_ADD_SEALS,
    F_DUPFD,
    F_DUPFD_CLOEXEC,
    F_DUPFD_QUERY,
    F_GET_RW_HINT,
    F_GET_SEALS,
    F_GETFD,
    F_GETFL,
    F_GETLEASE,
    F_GETOWN,
    F_GETOWN_EX,
    F_GETPIPE_SZ,
    F_GETSIG,
    F_NOTIFY,
    F_OWNER_PGRP,
    F_OWNER_PID,
    F_OWNER_TID,
    F_RDLCK,
    F_SET_RW_HINT,
    F_SETFD,
    F_SETFL,
    F_SETLEASE,
    F_SETOWN,
    F_SETOWN_EX,
    F_SETPIPE_SZ,
    F_SETSIG,
    F_UNLCK,
    FD_CLOEXEC,
    O_APPEND,
    O_ASYNC,
    O_CREAT,
    O_DIRECT,
    O_NOATIME,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_SYNC,
    O_WRONLY,
    RLIMIT_NOFILE,
    SIG_BLOCK,
    SIG_UNBLOCK,
    SIGIO,
    SIGUSR1,
)
from syscalls.abi.structs import FOwnerEx, Rlimit
from tests.handlers.cases import SUCCESS, Out, fails, ok, open_file, pipe, proves
from tests.handlers.pathcases import USER

NOBODY = 0x3FFF_FFF0
"""No process ever has this id."""
INT_MIN = -(1 << 31)
NUMBER = Out("<Q", b"\xff")
OWNER = Out(FOwnerEx)
HINT = (3).to_bytes(8, "little")
LARGE = 0o100000
"""O_LARGEFILE as the kernel has it: every 64-bit open sets it."""


def _path(guest: Guest) -> int:
    return open_file(guest, "/file", O_PATH)


def _limit(soft: int) -> Callable[[Guest], None]:
    def setup(guest: Guest) -> None:
        guest.syscall.setrlimit(RLIMIT_NOFILE, Rlimit(soft, soft))

    return setup


def _twins(guest: Guest) -> tuple[int, int]:
    fd = open_file(guest)
    return fd, guest.syscall.dup(fd)


def _full_pipe(guest: Guest) -> int:
    reader, writer = pipe(guest)
    guest.syscall.write(writer, bytes(8192), 8192)
    return reader


def _owned(guest: Guest, who: int) -> int:
    reader, _ = pipe(guest)
    guest.syscall.fcntl(reader, F_SETOWN, who)
    return reader


def _closes_on_exec(guest: Guest, call: Call) -> None:
    assert guest.syscall.fcntl(call.result, F_GETFD) == FD_CLOEXEC


def _stays_open_on_exec(guest: Guest, call: Call) -> None:
    assert guest.syscall.fcntl(call.result, F_GETFD) == 0


def _is_closed(guest: Guest, call: Call) -> None:
    assert guest.syscall.fcntl(3, F_GETFD) == FD_CLOEXEC


def _flags(flags: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert guest.syscall.fcntl(3, F_GETFL) == flags

    return check


def _hint(value: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert NUMBER.value == value

    return check


def _owner(kind: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert OWNER.value == FOwnerEx(kind, guest.main.pid)

    return check


CASES = [
    ok("fcntl", lambda guest: (open_file(guest), F_DUPFD, 0), returns=4, rpcs=[], check=_stays_open_on_exec),
    ok("fcntl", lambda guest: (open_file(guest), F_DUPFD, 10), returns=10, rpcs=[], label="from a number on"),
    ok("fcntl", lambda guest: (_path(guest), F_DUPFD, 0), returns=4, rpcs=[], label="duplicate of an O_PATH file"),
    ok("fcntl", lambda guest: (open_file(guest), F_DUPFD_CLOEXEC, 10), returns=10, rpcs=[], check=_closes_on_exec),
    fails("fcntl", EBADF, 99, F_DUPFD, 0, rpcs=[], label="F_DUPFD"),
    fails("fcntl", EBADF, -1, 4711, BAD, rpcs=[], label="before all else"),
    fails("fcntl", EINVAL, lambda guest: (open_file(guest), F_DUPFD, -1), rpcs=[], label="F_DUPFD from -1 on"),
    fails("fcntl", EINVAL, 0, F_DUPFD, 4, setup=_limit(4), rpcs=[], label="F_DUPFD from the limit on"),
    fails("fcntl", EMFILE, 0, F_DUPFD, 2, setup=_limit(3), rpcs=[]),
    fails("fcntl", EMFILE, 0, F_DUPFD_CLOEXEC, 2, setup=_limit(3), rpcs=[], label="F_DUPFD_CLOEXEC"),
    ok("fcntl", lambda guest: (_twins(guest)[0], F_DUPFD_QUERY, 4), returns=1, rpcs=[], label="the same file"),
    ok("fcntl", lambda guest: (_twins(guest)[0], F_DUPFD_QUERY, 0), returns=0, rpcs=[], label="not the same file"),
    fails("fcntl", EBADF, 0, F_DUPFD_QUERY, 99, rpcs=[], label="F_DUPFD_QUERY"),

    ok("fcntl", lambda guest: (open_file(guest), F_GETFD), returns=0, rpcs=[]),
    ok("fcntl", lambda guest: (open_file(guest), F_SETFD, 0xFF), returns=0, rpcs=[], check=_is_closed),
    ok("fcntl", lambda guest: (_path(guest), F_SETFD, 1), returns=0, rpcs=[], check=_is_closed, label="O_PATH"),
    ok("fcntl", lambda guest: (open_file(guest, "/file", O_RDWR | O_SYNC), F_GETFL), rpcs=[],
       returns=O_RDWR | O_SYNC | LARGE),
    ok("fcntl", lambda guest: (_path(guest), F_GETFL), returns=O_PATH, rpcs=[], label="flags of an O_PATH file"),
    ok("fcntl", lambda guest: (open_file(guest), F_SETFL, O_APPEND | O_NONBLOCK | O_WRONLY | O_CREAT | O_SYNC),
       returns=0, rpcs=[], check=_flags(O_RDWR | O_APPEND | O_NONBLOCK | LARGE), label="what can be set"),
    ok("fcntl", lambda guest: (open_file(guest, "/file", O_APPEND), F_SETFL, 0), returns=0, rpcs=[],
       check=_flags(O_RDONLY | LARGE), label="what can be taken away"),
    ok("fcntl", lambda guest: (open_file(guest), F_SETFL, O_ASYNC), returns=0, rpcs=[],
       check=_flags(O_RDWR | LARGE), label="O_ASYNC means nothing to a file"),
    ok("fcntl", lambda guest: (pipe(guest)[1], F_SETFL, O_DIRECT), returns=0, rpcs=[], label="packets"),
    ok("fcntl", lambda guest: (open_file(guest), F_SETFL, O_DIRECT), returns=0, rpcs=[],
       check=_flags(O_RDWR | O_DIRECT | LARGE), label="O_DIRECT"),
    ok("fcntl", lambda guest: (open_file(guest, "/user"), F_SETFL, O_NOATIME), user=USER, returns=0,
       rpcs=["fsx.getattr"], label="O_NOATIME by the owner"),
    fails("fcntl", EPERM, lambda guest: (open_file(guest, "/file", 0), F_SETFL, O_NOATIME), user=USER,
          rpcs=["fsx.getattr"], label="O_NOATIME"),
    fails("fcntl", EINVAL, lambda guest: (guest.syscall.eventfd2(0, 0), F_SETFL, O_DIRECT), rpcs=[],
          label="O_DIRECT to an eventfd"),
    fails("fcntl", EINVAL, lambda guest: (open_file(guest, "/dir", 0), F_SETFL, O_DIRECT), rpcs=[],
          label="O_DIRECT to a directory"),
    fails("fcntl", EBADF, lambda guest: (_path(guest), F_SETFL, 0), rpcs=[], label="F_SETFL and O_PATH"),
    fails("fcntl", EBADF, lambda guest: (_path(guest), 4711, 0), rpcs=[], label="O_PATH before the command"),
    fails("fcntl", EINVAL, 0, 4711, 0, rpcs=[], label="no such command"),
    fails("fcntl", EINVAL, lambda guest: (pipe(guest)[1], F_GET_SEALS), rpcs=[], label="F_GET_SEALS of a pipe"),
    fails("fcntl", EINVAL, lambda guest: (pipe(guest)[1], F_ADD_SEALS, 1), rpcs=[], label="F_ADD_SEALS to a pipe"),

    ok("fcntl", lambda guest: (pipe(guest)[0], F_GETOWN), returns=0, rpcs=[]),
    ok("fcntl", lambda guest: (_owned(guest, guest.main.pid), F_SETOWN, 0), returns=0, rpcs=[]),
    ok("fcntl", lambda guest: (open_file(guest), F_SETOWN, guest.main.pid), returns=0, rpcs=[], label="a file's"),
    fails("fcntl", EBADF, lambda guest: (_path(guest), F_GETOWN), rpcs=[], label="F_GETOWN and O_PATH"),
    fails("fcntl", ESRCH, lambda guest: (pipe(guest)[0], F_SETOWN, NOBODY), rpcs=[]),
    fails("fcntl", ESRCH, lambda guest: (pipe(guest)[0], F_SETOWN, -NOBODY), rpcs=[], label="group"),
    fails("fcntl", EINVAL, lambda guest: (pipe(guest)[0], F_SETOWN, INT_MIN), rpcs=[], label="F_SETOWN"),
    ok("fcntl", lambda guest: (_owned(guest, guest.main.pid), F_GETOWN_EX, OWNER), returns=0, rpcs=[],
       check=_owner(F_OWNER_PID)),
    ok("fcntl", lambda guest: (pipe(guest)[0], F_SETOWN_EX, FOwnerEx(F_OWNER_PID, guest.main.pid)), returns=0,
       rpcs=[]),
    ok("fcntl", lambda guest: (pipe(guest)[0], F_SETOWN_EX, FOwnerEx(F_OWNER_TID, guest.main.tid)), returns=0,
       rpcs=[], label="a thread"),
    fails("fcntl", EFAULT, lambda guest: (pipe(guest)[0], F_GETOWN_EX, BAD), rpcs=[], label="F_GETOWN_EX"),
    fails("fcntl", EFAULT, lambda guest: (pipe(guest)[0], F_SETOWN_EX, BAD), rpcs=[], label="F_SETOWN_EX"),
    fails("fcntl", EINVAL, lambda guest: (pipe(guest)[0], F_SETOWN_EX, FOwnerEx(9, 0)), rpcs=[],
          label="kind of owner"),
    fails("fcntl", ESRCH, lambda guest: (pipe(guest)[0], F_SETOWN_EX, FOwnerEx(F_OWNER_PID, NOBODY)), rpcs=[],
          label="F_SETOWN_EX"),
    fails("fcntl", ESRCH, lambda guest: (pipe(guest)[0], F_SETOWN_EX, FOwnerEx(F_OWNER_PGRP, -guest.main.pid)),
          rpcs=[], label="a negative group is no process"),
    fails("fcntl", ESRCH, lambda guest: (pipe(guest)[0], F_SETOWN_EX, FOwnerEx(F_OWNER_PID, -1)), rpcs=[],
          label="a negative process is no group"),
    ok("fcntl", lambda guest: (pipe(guest)[0], F_GETSIG), returns=0, rpcs=[]),
    ok("fcntl", lambda guest: (pipe(guest)[0], F_SETSIG, 0), returns=0, rpcs=[]),
    ok("fcntl", lambda guest: (pipe(guest)[0], F_SETSIG, SIGUSR1), returns=0, rpcs=[], label="a signal"),
    fails("fcntl", EINVAL, lambda guest: (pipe(guest)[0], F_SETSIG, 65), rpcs=[], label="signal"),

    ok("fcntl", lambda guest: (pipe(guest)[0], F_GETPIPE_SZ), returns=65536, rpcs=[]),
    ok("fcntl", lambda guest: (pipe(guest)[1], F_SETPIPE_SZ, 5000), returns=8192, rpcs=[]),
    ok("fcntl", lambda guest: (pipe(guest)[1], F_SETPIPE_SZ, 0), returns=4096, rpcs=[], label="one page at least"),
    ok("fcntl", lambda guest: (pipe(guest)[1], F_SETPIPE_SZ, 1 << 21), returns=1 << 21, rpcs=[],
       label="root may have large pipes"),
    ok("fcntl", lambda guest: (pipe(guest)[1], F_SETPIPE_SZ, 1 << 20), returns=1 << 20, rpcs=[], user=USER),
    fails("fcntl", EPERM, lambda guest: (pipe(guest)[1], F_SETPIPE_SZ, (1 << 20) + 1), user=USER, rpcs=[]),
    fails("fcntl", EBUSY, lambda guest: (_full_pipe(guest), F_SETPIPE_SZ, 4096), rpcs=[]),
    fails("fcntl", ENOMEM, lambda guest: (pipe(guest)[1], F_SETPIPE_SZ, 1 << 31), rpcs=[]),
    fails("fcntl", EINVAL, lambda guest: (pipe(guest)[1], F_SETPIPE_SZ, (1 << 31) + 1), rpcs=[], label="pipe size"),
    fails("fcntl", EBADF, lambda guest: (open_file(guest), F_GETPIPE_SZ), rpcs=[], label="no pipe to ask"),
    fails("fcntl", EBADF, lambda guest: (open_file(guest), F_SETPIPE_SZ, 4096), rpcs=[], label="no pipe to change"),

    ok("fcntl", lambda guest: (open_file(guest, "/file", 0), F_GETLEASE), returns=F_UNLCK, rpcs=[]),
    ok("fcntl", lambda guest: (open_file(guest), F_GET_RW_HINT, NUMBER), returns=0, rpcs=[], check=_hint(0)),
    ok("fcntl", lambda guest: (open_file(guest), F_SET_RW_HINT, HINT), returns=0, rpcs=["fsx.getattr"]),
    fails("fcntl", EPERM, lambda guest: (open_file(guest, "/file", 0), F_SET_RW_HINT, BAD), user=USER,
          rpcs=["fsx.getattr"], label="F_SET_RW_HINT, before EFAULT"),
    fails("fcntl", EFAULT, lambda guest: (open_file(guest), F_GET_RW_HINT, BAD), rpcs=[], label="F_GET_RW_HINT"),
    fails("fcntl", EFAULT, lambda guest: (open_file(guest), F_SET_RW_HINT, BAD), label="F_SET_RW_HINT"),
    fails("fcntl", EINVAL, lambda guest: (open_file(guest), F_SET_RW_HINT, (6).to_bytes(8, "little")), label="hint"),
]  # fmt: skip


@proves("fcntl", EINVAL, rpcs=[])
def test_what_is_not_supported_is_refused_and_recorded(guest: Guest) -> None:
    reader, _ = pipe(guest)
    for command, value in ((F_SETLEASE, F_RDLCK), (F_NOTIFY, 1)):
        assert guest.start.fcntl(reader, command, value).errno == EINVAL
    asked = [unsupported.what for unsupported in guest.unsupported]
    assert asked == ["fcntl: F_SETLEASE", "fcntl: F_NOTIFY"]


# -- the owner of a file ----------------------------------------------------------------------------------------------


@proves("fcntl", SUCCESS, rpcs=[])
@proves("fcntl", ESRCH, rpcs=[])
def test_an_owner_that_is_gone_is_none(guest: Guest) -> None:
    reader, _ = pipe(guest)
    child = guest.fork()
    guest.syscall.fcntl(reader, F_SETOWN, child.pid)
    assert guest.syscall.fcntl(reader, F_GETOWN) == child.pid
    child.syscall.exit_group(0)
    assert guest.syscall.fcntl(reader, F_GETOWN) == child.pid, "a zombie is still there"
    guest.syscall.wait4(child.pid, 0, 0, 0)
    assert guest.syscall.fcntl(reader, F_GETOWN) == 0
    guest.syscall.fcntl(reader, F_GETOWN_EX, OWNER)
    assert OWNER.value == FOwnerEx(F_OWNER_PID, 0)
    assert guest.start.fcntl(reader, F_SETOWN, child.pid).errno == ESRCH


@proves("fcntl", SUCCESS, rpcs=[])
def test_an_id_of_another_kind_is_accepted_and_means_nobody(guest: Guest) -> None:
    reader, _ = pipe(guest)
    thread, child = guest.thread(), guest.fork()
    guest.syscall.fcntl(reader, F_SETOWN, thread.tid)
    assert guest.syscall.fcntl(reader, F_GETOWN) == 0
    guest.syscall.fcntl(reader, F_SETOWN, -child.pid)
    assert guest.syscall.fcntl(reader, F_GETOWN) == 0


def _told(guest: Guest, kind: int, who: int) -> None:
    """Write to a pipe whose O_ASYNC reader belongs to somebody."""
    reader, writer = pipe(guest)
    guest.syscall.fcntl(reader, F_SETOWN_EX, FOwnerEx(kind, who))
    guest.syscall.fcntl(reader, F_SETFL, O_ASYNC)
    assert guest.syscall.fcntl(reader, F_GETFL) & O_ASYNC
    guest.syscall.write(writer, b"x", 1)
    guest.settle()


@proves("fcntl", SUCCESS, rpcs=[])
@pytest.mark.parametrize(("kind", "private"), [(F_OWNER_TID, True), (F_OWNER_PID, False), (F_OWNER_PGRP, False)])
def test_sigio_goes_to_the_owner(guest: Guest, kind: int, private: bool) -> None:
    handler = guest.on_signal(SIGIO)
    thread = guest.thread()
    mask = (1 << SIGIO - 1).to_bytes(8, "little")
    guest.syscall.rt_sigprocmask(SIG_BLOCK, mask, NULL, 8)
    thread.syscall.rt_sigprocmask(SIG_BLOCK, mask, NULL, 8)
    _told(guest, kind, thread.tid if kind == F_OWNER_TID else guest.main.pid)
    assert handler.signals == []
    guest.syscall.rt_sigprocmask(SIG_UNBLOCK, mask, NULL, 8)
    assert handler.signals == ([] if private else [SIGIO]), "a thread's own signal waits for that thread"
    thread.syscall.rt_sigprocmask(SIG_UNBLOCK, mask, NULL, 8)
    assert handler.signals == [SIGIO]


@proves("fcntl", SUCCESS, rpcs=[])
def test_sigio_reaches_nobody_without_an_owner_or_flag(guest: Guest) -> None:
    handler = guest.on_signal(SIGIO)
    _told(guest, F_OWNER_PID, 0)
    reader, writer = pipe(guest)
    guest.syscall.fcntl(reader, F_SETOWN, guest.main.pid)
    guest.syscall.write(writer, b"x", 1)
    guest.syscall.fcntl(reader, F_SETFL, O_ASYNC)
    guest.syscall.fcntl(reader, F_SETFL, 0)
    guest.syscall.write(writer, b"x", 1)
    assert handler.signals == []


@proves("fcntl", EBUSY, rpcs=[])
@proves("fcntl", SUCCESS, rpcs=[])
def test_a_pipe_can_shrink_once_it_is_read(guest: Guest) -> None:
    reader = _full_pipe(guest)
    assert guest.start.fcntl(reader, F_SETPIPE_SZ, 4096).errno == EBUSY
    guest.syscall.read(reader, Out(8192), 8192)
    assert guest.syscall.fcntl(reader, F_SETPIPE_SZ, 4096) == 4096
    assert guest.syscall.fcntl(reader, F_GETPIPE_SZ) == 4096
