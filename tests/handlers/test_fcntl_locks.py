"""Record locks: F_SETLK and its relatives (man 2 fcntl, man 2 fcntl_locking)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linuxemu.messages import fs
from linuxemu.testing import BAD, Call, Guest, InOut
from linuxemu.testing.thread import GuestThread
from syscalls.abi.errno import EAGAIN, EBADF, EDEADLK, EFAULT, EINTR, EINVAL, EIO, EOVERFLOW
from syscalls.abi.flags import (
    F_GETLK,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_RDLCK,
    F_SETLK,
    F_SETLKW,
    F_UNLCK,
    F_WRLCK,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    SA_RESTART,
    SEEK_CUR,
    SEEK_END,
    SEEK_SET,
    SIGALRM,
)
from syscalls.abi.structs import Flock
from tests.handlers.cases import SUCCESS, fails, ok, open_file, pipe, proves

LONG_MAX = (1 << 63) - 1


def flock(kind: int, start: int = 0, length: int = 0, whence: int = SEEK_SET, pid: int = 0) -> Flock:
    """A struct flock, its arguments in the order of their interest."""
    return Flock(kind, whence, start, length, pid)


READ, WRITE, NONE = flock(F_RDLCK), flock(F_WRLCK), flock(F_UNLCK)
OWN = InOut(flock(F_UNLCK, 4, 2))
ASKED = InOut(flock(F_WRLCK, 0, 10))
ASKED_AT_END = InOut(flock(F_WRLCK, -4, 0, SEEK_END))


def _opened(*args: object, flags: int = O_RDWR) -> Callable[[Guest], tuple[object, ...]]:
    """Arguments: /file opened, and these."""
    return lambda guest: (open_file(guest, "/file", flags), *args)


def _locked(*args: object, kind: int = F_WRLCK) -> Callable[[Guest], tuple[object, ...]]:
    """The same, after another open file locked bytes 5 to 9."""

    def arguments(guest: Guest) -> tuple[object, ...]:
        guest.syscall.fcntl(open_file(guest), F_OFD_SETLK, flock(kind, 5, 5))
        return (open_file(guest), *args)

    return arguments


def _at_3(guest: Guest) -> int:
    fd = open_file(guest)
    guest.syscall.lseek(fd, 3, SEEK_SET)
    return fd


def _free(guest: Guest, call: Call) -> None:
    assert ASKED.value == flock(F_UNLCK, 0, 10)


def _tells_the_lock(guest: Guest, call: Call) -> None:
    assert ASKED.value == flock(F_WRLCK, 5, 5, SEEK_SET, -1)


def _someone_locks(guest: Guest) -> None:
    guest.syscall.fcntl(open_file(guest), F_SETLK, flock(F_WRLCK))


def _is_none(guest: Guest, call: Call) -> None:
    assert OWN.value == flock(F_UNLCK, 4, 2)


def _with_own_lock(guest: Guest) -> tuple[object, ...]:
    fd = open_file(guest)
    guest.syscall.fcntl(fd, F_OFD_SETLK, flock(F_RDLCK, 5, 5))
    return fd, F_OFD_GETLK, OWN


def _tells_own_lock(guest: Guest, call: Call) -> None:
    assert OWN.value == flock(F_RDLCK, 5, 5, SEEK_SET, -1)


def _keeps_the_question(guest: Guest, call: Call) -> None:
    assert ASKED_AT_END.value == flock(F_UNLCK, -4, 0, SEEK_END)


def _holds(start: int, length: int) -> Callable[[Guest, Call], None]:
    """Another open file finds exactly this in its way."""

    def check(guest: Guest, call: Call) -> None:
        found = InOut(flock(F_WRLCK))
        guest.syscall.fcntl(open_file(guest), F_OFD_GETLK, found)
        assert (found.value.l_start, found.value.l_len, found.value.l_pid) == (start, length, guest.main.pid)

    return check


CASES = [
    ok("fcntl", _opened(F_SETLK, flock(F_WRLCK, 2, 3)), returns=0, rpcs=[], check=_holds(2, 3)),
    ok("fcntl", _opened(F_SETLK, flock(F_WRLCK, 4, -3)), returns=0, rpcs=[], check=_holds(1, 3), label="backwards"),
    ok("fcntl", _opened(F_SETLK, flock(F_WRLCK, 4)), returns=0, rpcs=[], check=_holds(4, 0), label="to the end"),
    ok("fcntl", lambda guest: (_at_3(guest), F_SETLK, flock(F_WRLCK, 1, 1, SEEK_CUR)), returns=0, rpcs=[],
       check=_holds(4, 1), label="from the position on"),
    ok("fcntl", _opened(F_SETLK, flock(F_WRLCK, -4, 2, SEEK_END)), returns=0, rpcs=["fsx.getattr"],
       check=_holds(4, 2), label="from the end on"),
    ok("fcntl", _opened(F_SETLK, READ, flags=O_RDONLY), returns=0, rpcs=[], label="to read"),
    ok("fcntl", _opened(F_SETLK, NONE, flags=O_RDONLY), returns=0, rpcs=[], label="unlocking what is not locked"),
    ok("fcntl", _opened(F_SETLKW, WRITE), returns=0, rpcs=[], label="F_SETLKW, nobody in the way"),
    ok("fcntl", _locked(F_SETLK, flock(F_WRLCK, 0, 5)), returns=0, rpcs=[], label="beside another"),
    ok("fcntl", _locked(F_SETLK, READ, kind=F_RDLCK), returns=0, rpcs=[], label="two to read"),
    ok("fcntl", _opened(F_OFD_SETLK, WRITE), returns=0, rpcs=[], label="F_OFD_SETLK"),
    ok("fcntl", lambda guest: (pipe(guest)[1], F_SETLK, WRITE), returns=0, rpcs=[], label="lock on a pipe"),
    fails("fcntl", EAGAIN, _locked(F_SETLK, flock(F_WRLCK, 9, 1)), rpcs=[]),
    fails("fcntl", EAGAIN, _locked(F_SETLK, READ), rpcs=[], label="to read what is written"),
    fails("fcntl", EAGAIN, _locked(F_SETLK, WRITE, kind=F_RDLCK), rpcs=[], label="to write what is read"),
    fails("fcntl", EAGAIN, _locked(F_OFD_SETLK, WRITE), rpcs=[], label="F_OFD_SETLK"),

    ok("fcntl", _opened(F_GETLK, ASKED), returns=0, rpcs=[], check=_free),
    ok("fcntl", _locked(F_GETLK, ASKED), returns=0, rpcs=[], check=_tells_the_lock, label="lock in the way"),
    ok("fcntl", _locked(F_OFD_GETLK, ASKED), returns=0, rpcs=[], check=_tells_the_lock, label="F_OFD_GETLK"),
    ok("fcntl", _opened(F_OFD_GETLK, OWN), returns=0, rpcs=[], setup=_someone_locks, check=_is_none,
       label="F_OFD_GETLK for own locks alone"),
    ok("fcntl", _with_own_lock, returns=0, rpcs=[], check=_tells_own_lock, label="F_OFD_GETLK for own locks"),
    ok("fcntl", _opened(F_GETLK, ASKED_AT_END), returns=0, rpcs=["fsx.getattr"], check=_keeps_the_question,
       label="F_GETLK from the end on"),
    ok("fcntl", _opened(F_GETLK, ASKED, flags=O_RDONLY), returns=0, rpcs=[], check=_free,
       label="F_GETLK whatever the access mode"),
    fails("fcntl", EINVAL, _opened(F_GETLK, NONE), rpcs=[], label="F_GETLK for no lock"),
    fails("fcntl", EINVAL, _opened(F_GETLK, flock(7)), rpcs=[], label="F_GETLK for no kind of lock"),
    fails("fcntl", EFAULT, _opened(F_GETLK, BAD), rpcs=[], label="F_GETLK"),
    fails("fcntl", EBADF, lambda guest: (open_file(guest, "/file", O_PATH), F_GETLK, ASKED), rpcs=[],
          label="F_GETLK and O_PATH"),

    fails("fcntl", EFAULT, _opened(F_SETLK, BAD), rpcs=[], label="F_SETLK"),
    fails("fcntl", EFAULT, _opened(F_SETLKW, BAD), rpcs=[], label="F_SETLKW"),
    fails("fcntl", EFAULT, _opened(F_OFD_SETLK, BAD), rpcs=[], label="F_OFD_SETLK"),
    fails("fcntl", EFAULT, lambda guest: (open_file(guest), F_GETLK, guest.read_only(WRITE)), rpcs=[],
          label="F_GETLK cannot store the answer"),
    fails("fcntl", EBADF, _opened(F_SETLK, WRITE, flags=O_RDONLY), rpcs=[], label="to write, open to read"),
    fails("fcntl", EBADF, _opened(F_SETLK, READ, flags=O_WRONLY), rpcs=[], label="to read, open to write"),
    fails("fcntl", EBADF, 99, F_SETLK, BAD, rpcs=[], label="F_SETLK, before EFAULT"),
    fails("fcntl", EINVAL, _opened(F_SETLK, flock(7)), rpcs=[], label="kind of lock"),
    fails("fcntl", EINVAL, _opened(F_SETLK, flock(F_WRLCK, 0, 0, 7)), rpcs=[], label="whence"),
    fails("fcntl", EINVAL, _opened(F_SETLK, flock(F_WRLCK, -1)), rpcs=[], label="start before the file"),
    fails("fcntl", EINVAL, _opened(F_SETLK, flock(F_WRLCK, 2, -3)), rpcs=[], label="backwards beyond the start"),
    fails("fcntl", EINVAL, _opened(F_OFD_SETLK, flock(F_WRLCK, 0, 0, SEEK_SET, 1)), rpcs=[],
          label="a pid where there is none"),
    fails("fcntl", EINVAL, _opened(F_OFD_GETLK, flock(F_WRLCK, 0, 0, SEEK_SET, 1)), rpcs=[],
          label="F_OFD_GETLK, a pid"),
    fails("fcntl", EOVERFLOW, lambda guest: (_at_3(guest), F_SETLK, flock(F_WRLCK, LONG_MAX, 0, SEEK_CUR)), rpcs=[]),
    fails("fcntl", EOVERFLOW, _opened(F_SETLK, flock(F_WRLCK, 2, LONG_MAX)), rpcs=[], label="the end is too far"),
    ok("fcntl", _opened(F_SETLK, flock(F_WRLCK, 1, LONG_MAX)), returns=0, rpcs=[], check=_holds(1, 0),
       label="to the last byte there can be"),
    fails("fcntl", EINVAL, _opened(F_SETLK, flock(7, 2, LONG_MAX, 7)), rpcs=[], label="whence before EOVERFLOW"),
]  # fmt: skip


# -- waiting ----------------------------------------------------------------------------------------------------------

memfs = pytest.mark.linuxemu(root="memfs")
"""A real file to lock."""


def _two(guest: Guest) -> tuple[int, GuestThread]:
    """A descriptor of /file, and a child process that inherited it."""
    guest.files.write("/file", b"contents")
    return open_file(guest), guest.fork()


@memfs
@proves("fcntl", SUCCESS, rpcs=[])
@pytest.mark.parametrize("command", [F_SETLKW, F_OFD_SETLKW])
def test_a_lock_is_waited_for(guest: Guest, command: int) -> None:
    fd, child = _two(guest)
    own = child.syscall.open("/file", O_RDWR)
    guest.syscall.fcntl(fd, F_SETLK, flock(F_WRLCK, 0, 10))
    call = child.start.fcntl(own, command, flock(F_WRLCK, 5, 10))
    assert call.blocked
    guest.syscall.fcntl(fd, F_SETLK, flock(F_UNLCK, 0, 9))
    assert call.blocked
    guest.syscall.fcntl(fd, F_SETLK, flock(F_UNLCK, 9, 1))
    assert call.finish() == 0


@memfs
@proves("fcntl", SUCCESS, EAGAIN)
def test_a_lock_goes_with_the_process(guest: Guest) -> None:
    fd, child = _two(guest)
    guest.syscall.fcntl(fd, F_SETLK, WRITE)
    assert child.start.fcntl(fd, F_SETLK, WRITE).errno == EAGAIN
    call = child.start.fcntl(fd, F_SETLKW, WRITE)
    assert call.blocked
    guest.syscall.close(guest.syscall.dup(fd))
    assert call.finish() == 0, "any descriptor of the file that the process closes takes its locks away"
    assert guest.start.fcntl(fd, F_SETLK, WRITE).errno == EAGAIN
    child.syscall.exit_group(0)
    assert guest.syscall.fcntl(fd, F_SETLK, WRITE) == 0


@memfs
@proves("fcntl", EAGAIN, SUCCESS)
def test_a_lock_of_an_open_file_is_shared_by_those_who_have_it_open(guest: Guest) -> None:
    fd, child = _two(guest)
    guest.syscall.fcntl(fd, F_OFD_SETLK, WRITE)
    assert child.syscall.fcntl(fd, F_OFD_SETLK, READ) == 0
    assert child.start.fcntl(child.syscall.open("/file", O_RDWR), F_OFD_SETLK, WRITE).errno == EAGAIN


@memfs
@proves("fcntl", EINTR, rpcs=[])
@pytest.mark.parametrize("command", [F_SETLKW, F_OFD_SETLKW])
def test_a_signal_ends_the_wait(guest: Guest, command: int) -> None:
    fd, child = _two(guest)
    own = child.syscall.open("/file", O_RDWR)
    guest.syscall.fcntl(fd, F_SETLK, WRITE)
    handler = guest.on_signal(SIGALRM, thread=child)
    call = child.start.fcntl(own, command, WRITE)
    guest.syscall.kill(child.pid, SIGALRM)
    guest.settle()
    assert call.errno == EINTR
    assert handler.signals == [SIGALRM]
    guest.syscall.fcntl(fd, F_SETLK, NONE)
    assert guest.syscall.fcntl(fd, F_SETLK, WRITE) == 0, "the one who gave up holds nothing"


@memfs
@proves("fcntl", SUCCESS)
def test_under_sa_restart_the_wait_goes_on(guest: Guest) -> None:
    fd, child = _two(guest)
    guest.syscall.fcntl(fd, F_SETLK, WRITE)
    handler = guest.on_signal(SIGALRM, flags=SA_RESTART, thread=child)
    call = child.start.fcntl(fd, F_SETLKW, WRITE)
    guest.syscall.kill(child.pid, SIGALRM)
    guest.settle()
    assert handler.signals == [SIGALRM]
    assert call.blocked
    guest.syscall.fcntl(fd, F_SETLK, NONE)
    assert call.finish() == 0


@memfs
@proves("fcntl", EDEADLK, rpcs=[])
def test_two_that_wait_for_each_other(guest: Guest) -> None:
    fd, child = _two(guest)
    guest.syscall.fcntl(fd, F_SETLK, flock(F_WRLCK, 0, 1))
    child.syscall.fcntl(fd, F_SETLK, flock(F_WRLCK, 1, 1))
    waiting = guest.start.fcntl(fd, F_SETLKW, flock(F_WRLCK, 1, 1))
    assert child.start.fcntl(fd, F_SETLKW, flock(F_WRLCK, 0, 1)).errno == EDEADLK
    assert waiting.blocked
    child.syscall.fcntl(fd, F_SETLK, NONE)
    assert waiting.finish() == 0


@memfs
@proves("fcntl", EBADF, rpcs=[])
def test_a_descriptor_that_is_closed_meanwhile_has_no_lock(guest: Guest) -> None:
    fd, child = _two(guest)
    child.syscall.fcntl(fd, F_SETLK, WRITE)
    thread = guest.thread()
    call = thread.start.fcntl(fd, F_SETLKW, WRITE)
    guest.syscall.close(fd)
    assert call.blocked
    child.syscall.fcntl(fd, F_SETLK, NONE)
    guest.settle()
    assert call.errno == EBADF
    assert child.syscall.fcntl(fd, F_SETLK, WRITE) == 0


@proves("fcntl", SUCCESS, rpcs=["fs.stat"])
@proves("fcntl", EIO, rpcs=["fs.stat"])
def test_only_the_end_of_the_file_has_to_be_asked_for(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/data")).reply(handle=3)
    fd = guest.syscall.open("/data", O_RDWR)
    guest.fs.expect(fs.Stat(path="/data")).error(EIO)
    assert guest.start.fcntl(fd, F_SETLK, flock(F_WRLCK, -1, 1, SEEK_END)).errno == EIO
    assert guest.syscall.fcntl(fd, F_SETLK, flock(F_WRLCK, 4, 1)) == 0
    guest.fs.expect(fs.Stat(path="/data")).reply(size=5)
    assert guest.syscall.fcntl(fd, F_SETLK, flock(F_UNLCK, -1, 1, SEEK_END)) == 0
