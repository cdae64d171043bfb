"""close, close_range, dup, dup2, dup3, lseek, flock (man 2 close, man 2 dup, man 2 lseek, man 2 flock)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linuxemu.messages import fs
from linuxemu.testing import Guest
from syscalls.abi.errno import EAGAIN, EBADF, EINTR, EINVAL, EIO, EMFILE, ENXIO, ESPIPE
from syscalls.abi.flags import (
    CLOSE_RANGE_CLOEXEC,
    CLOSE_RANGE_UNSHARE,
    F_GETFD,
    LOCK_EX,
    LOCK_NB,
    LOCK_SH,
    LOCK_UN,
    O_CLOEXEC,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    RLIMIT_NOFILE,
    SA_RESTART,
    SEEK_CUR,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SEEK_SET,
    SIGUSR1,
)
from syscalls.abi.structs import Rlimit
from tests.handlers.cases import fails, ok, pipe, proves, standard_tree
from tests.handlers.opened import (
    both,
    epoll,
    event_counter,
    in_system,
    no_descriptors,
    opens,
    pipe_ends,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call

FILE = opens("/file")
TWO = opens("/file", "/user")
_LARGEST = (1 << 63) - 1
_LOST = "man 2 close: the descriptor is gone all the same, and nobody learns of it"


def _closed(*fds: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert not [fd for fd in fds if fd in guest.main.t.files]

    return check


def _cloexec(*fds: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert [fd for fd in range(3, 8) if fd in guest.main.t.files and guest.syscall.fcntl(fd, F_GETFD)] == list(fds)

    return check


def _file_twice(guest: Guest) -> None:
    FILE(guest)
    guest.syscall.dup(3)


def _locked(guest: Guest) -> None:
    """3 and 4: /file opened twice, 4 with an exclusive lock."""
    opens("/file", "/file")(guest)
    guest.syscall.flock(4, LOCK_EX)


def _shared(guest: Guest) -> None:
    opens("/file", "/file")(guest)
    guest.syscall.flock(4, LOCK_SH)


CASES = [
    ok("close", 3, returns=0, rpcs=["fs.close"], setup=FILE, check=_closed(3), survives_eio=_LOST),
    ok("close", 3, returns=0, rpcs=[], setup=_file_twice, check=_closed(3), label="another descriptor is left"),
    ok("close", 3, returns=0, rpcs=[], setup=opens(("/file", O_PATH)), label="O_PATH"),
    ok("close", 4, returns=0, rpcs=[], setup=pipe_ends(), label="pipe"),
    fails("close", EBADF, 99, rpcs=[]),
    fails("close", EBADF, -1, rpcs=[], label="negative"),

    ok("close_range", 3, 0xFFFF_FFFF, 0, returns=0, rpcs=["fs.close", "fs.close"], setup=TWO, check=_closed(3, 4),
       survives_eio=_LOST),
    ok("close_range", 4, 4, 0, returns=0, rpcs=["fs.close"], setup=TWO, check=_closed(4), survives_eio=_LOST,
       label="one"),
    ok("close_range", 50, 60, 0, returns=0, rpcs=[], label="nothing open there"),
    ok("close_range", 3, 3, CLOSE_RANGE_CLOEXEC, returns=0, rpcs=[], setup=TWO, check=_cloexec(3), label="CLOEXEC"),
    ok("close_range", 3, 9, CLOSE_RANGE_UNSHARE, returns=0, rpcs=["fs.close"], setup=FILE, check=_closed(3),
       survives_eio=_LOST, label="UNSHARE of what is not shared"),
    fails("close_range", EINVAL, 3, 4, 8, rpcs=[], setup=TWO),
    fails("close_range", EINVAL, 4, 3, 0, rpcs=[], setup=TWO, label="backwards"),

    ok("dup", 3, returns=4, rpcs=[], setup=FILE),
    ok("dup", 3, returns=4, rpcs=[], setup=opens(("/file", O_PATH | O_CLOEXEC)), check=_cloexec(3),
       label="without FD_CLOEXEC"),
    fails("dup", EBADF, 99, rpcs=[]),
    fails("dup", EMFILE, 0, rpcs=[], setup=no_descriptors),

    ok("dup2", 3, 7, returns=7, rpcs=[], setup=FILE),
    ok("dup2", 3, 4, returns=4, rpcs=["fs.close"], setup=TWO, survives_eio=_LOST, label="closes what was there"),
    ok("dup2", 3, 3, returns=3, rpcs=[], setup=opens(("/file", O_CLOEXEC)), check=_cloexec(3), label="to itself"),
    fails("dup2", EBADF, 99, 3, rpcs=[], setup=FILE),
    fails("dup2", EBADF, 99, 99, rpcs=[], label="to itself"),
    fails("dup2", EBADF, 3, -1, rpcs=[], setup=FILE, label="negative"),
    fails("dup2", EBADF, 2, 3, rpcs=[], setup=both(FILE, no_descriptors), label="RLIMIT_NOFILE"),

    ok("dup3", 3, 7, O_CLOEXEC, returns=7, rpcs=[], setup=FILE, check=_cloexec(7)),
    ok("dup3", 3, 4, 0, returns=4, rpcs=["fs.close"], setup=TWO, survives_eio=_LOST, label="closes what was there"),
    fails("dup3", EBADF, 99, 3, 0, rpcs=[], setup=FILE),
    fails("dup3", EBADF, 3, 1 << 20, 0, rpcs=[], setup=FILE, label="RLIMIT_NOFILE"),
    fails("dup3", EINVAL, 3, 7, O_NONBLOCK, rpcs=[], setup=FILE),
    fails("dup3", EINVAL, 99, 99, 0, rpcs=[], label="to itself"),

    ok("lseek", 3, 5, SEEK_SET, returns=5, rpcs=[], setup=FILE),
    ok("lseek", 3, 0, SEEK_CUR, returns=0, rpcs=[], setup=FILE, label="tell"),
    ok("lseek", 3, -2, SEEK_END, returns=6, rpcs=["fsx.getattr"], setup=FILE, label="from the end"),
    ok("lseek", 3, 100, SEEK_END, returns=108, rpcs=["fsx.getattr"], setup=FILE, label="beyond the end"),
    ok("lseek", 3, 2, SEEK_DATA, returns=2, rpcs=["fsx.getattr"], setup=FILE, label="data"),
    ok("lseek", 3, 2, SEEK_HOLE, returns=8, rpcs=["fsx.getattr"], setup=FILE, label="hole"),
    ok("lseek", 3, 0, SEEK_SET, returns=0, rpcs=[], setup=opens(("/dir", O_RDONLY)), label="directory"),
    ok("lseek", 3, 7, SEEK_END, returns=0, rpcs=[], setup=in_system("/dev/null"), label="device"),
    ok("lseek", 3, 7, SEEK_SET, returns=0, rpcs=[], setup=event_counter, label="eventfd"),
    ok("lseek", 3, 7, SEEK_END, returns=0, rpcs=[], setup=epoll, label="epoll"),
    fails("lseek", EBADF, 99, 0, SEEK_SET, rpcs=[]),
    fails("lseek", EBADF, 3, 0, SEEK_SET, rpcs=[], setup=opens(("/file", O_PATH)), label="O_PATH"),
    fails("lseek", EINVAL, 3, -1, SEEK_SET, rpcs=[], setup=FILE),
    fails("lseek", EINVAL, 3, -9, SEEK_END, rpcs=["fsx.getattr"], setup=FILE, label="before the start"),
    fails("lseek", EINVAL, 3, 0, 5, rpcs=[], setup=pipe_ends(), label="whence"),
    fails("lseek", EINVAL, 3, 0, SEEK_END, rpcs=[], setup=in_system(("/proc/self/stat", O_RDONLY)), label="proc"),
    fails("lseek", EINVAL, 3, 1, SEEK_CUR, rpcs=[], label="beyond the largest offset",
          setup=both(FILE, lambda guest: guest.syscall.lseek(3, _LARGEST, SEEK_SET))),
    fails("lseek", ENXIO, 3, 8, SEEK_DATA, rpcs=["fsx.getattr"], setup=FILE),
    fails("lseek", ENXIO, 3, -1, SEEK_HOLE, rpcs=["fsx.getattr"], setup=FILE, label="negative"),
    fails("lseek", ESPIPE, 3, 0, SEEK_CUR, rpcs=[], setup=pipe_ends()),

    ok("flock", 3, LOCK_EX, returns=0, rpcs=[], setup=FILE),
    ok("flock", 3, LOCK_SH | LOCK_NB, returns=0, rpcs=[], setup=_shared, label="shared by two"),
    ok("flock", 3, LOCK_UN, returns=0, rpcs=[], setup=_locked, label="of nothing"),
    ok("flock", 4, LOCK_SH, returns=0, rpcs=[], setup=_locked, label="own lock becomes another"),
    ok("flock", 99, 0x20, returns=0, rpcs=[], label="LOCK_MAND is ignored"),
    fails("flock", EAGAIN, 3, LOCK_EX | LOCK_NB, rpcs=[], setup=_locked),
    fails("flock", EAGAIN, 4, LOCK_EX | LOCK_NB, rpcs=[], label="shared by two",
          setup=both(_shared, lambda guest: guest.syscall.flock(3, LOCK_SH))),
    fails("flock", EBADF, 99, LOCK_EX, rpcs=[]),
    fails("flock", EBADF, 3, LOCK_SH, rpcs=[], setup=opens(("/file", O_PATH)), label="O_PATH"),
    fails("flock", EINVAL, 99, LOCK_SH | LOCK_EX, rpcs=[]),
    fails("flock", EINVAL, 99, LOCK_NB, rpcs=[], label="no operation"),
]  # fmt: skip


# -- descriptors -----------------------------------------------------------------------------------------------------


@proves("close", 0, rpcs=["fs.close"])
def test_the_server_forgets_the_handle(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/f")).reply(handle=9)
    guest.fs.expect(fs.Close(handle=9)).error(EIO)
    fd = guest.syscall.open("/f", O_RDONLY)
    assert guest.syscall.close(fd) == 0
    assert guest.start.close(fd).errno == EBADF


def test_the_lowest_number_is_given_again(guest: Guest) -> None:
    for fd in (3, 4, 5):
        assert guest.syscall.dup(0) == fd
    guest.syscall.close(4)
    assert guest.syscall.dup(0) == 4
    assert guest.syscall.dup(0) == 6


@pytest.mark.linuxemu(root="memfs")
def test_duplicates_share_the_position(guest: Guest) -> None:
    standard_tree(guest)
    FILE(guest)
    copy = guest.syscall.dup(3)
    guest.syscall.lseek(3, 4, SEEK_SET)
    assert guest.syscall.lseek(copy, 0, SEEK_CUR) == 4


@proves("close_range", 0, rpcs=[])
def test_a_range_can_be_closed_for_one_thread_alone(guest: Guest) -> None:
    guest.syscall.dup2(0, 5)
    other = guest.thread()
    other.syscall.close_range(5, 5, CLOSE_RANGE_UNSHARE)
    assert other.start.fcntl(5, F_GETFD).errno == EBADF
    assert guest.syscall.fcntl(5, F_GETFD) == 0
    assert guest.main.t.files is not other.t.files


def test_a_limit_that_sinks_leaves_open_what_is_open(guest: Guest) -> None:
    guest.syscall.dup2(0, 9)
    guest.syscall.setrlimit(RLIMIT_NOFILE, Rlimit(4, 4))
    assert guest.syscall.dup(9) == 3
    assert guest.syscall.dup2(9, 9) == 9
    assert guest.start.dup(9).errno == EMFILE


# -- flock -----------------------------------------------------------------------------------------------------------


@proves("flock", EINTR, rpcs=[])
@pytest.mark.linuxemu(root="memfs")
def test_a_signal_ends_the_wait_for_a_lock(guest: Guest) -> None:
    standard_tree(guest)
    _locked(guest)
    guest.on_signal(SIGUSR1)
    call = guest.start.flock(3, LOCK_EX)
    assert call.blocked
    guest.process().syscall.kill(guest.main.pid, SIGUSR1)
    assert call.errno == EINTR


@proves("flock", 0, rpcs=[])
@pytest.mark.linuxemu(root="memfs")
def test_the_wait_for_a_lock_goes_on_after_a_handler_with_sa_restart(guest: Guest) -> None:
    standard_tree(guest)
    _locked(guest)
    handler = guest.on_signal(SIGUSR1, flags=SA_RESTART)
    helper = guest.thread()
    call = guest.start.flock(3, LOCK_SH)
    helper.syscall.tgkill(guest.main.pid, guest.main.tid, SIGUSR1)
    assert call.blocked
    assert handler.signals == [SIGUSR1]
    helper.syscall.flock(4, LOCK_UN)
    assert call.result == 0


@pytest.mark.linuxemu(root="memfs")
def test_the_last_close_lets_go_of_a_lock(guest: Guest) -> None:
    standard_tree(guest)
    _locked(guest)
    child = guest.fork()
    guest.syscall.close(4)
    call = guest.start.flock(3, LOCK_EX)
    assert call.blocked
    child.syscall.close(4)
    assert call.result == 0


def test_locks_of_duplicates_are_one_lock(guest: Guest) -> None:
    reader, _ = pipe(guest)
    copy = guest.syscall.dup(reader)
    guest.syscall.flock(reader, LOCK_EX)
    assert guest.syscall.flock(copy, LOCK_EX | LOCK_NB) == 0
