"""fcntl: man 2 fcntl."""

from __future__ import annotations

import errno
import fcntl as host_fcntl
import os
import random
import struct
import sys
from typing import TYPE_CHECKING, Any

import pytest

import syscalls.handlers.fcntl
import syscalls.handlers.ioctl
import syscalls.handlers.pipe  # noqa: F401
from syscalls.abi import flags as f
from syscalls.abi.structs import Flock
from syscalls.errors import Interrupted, Restart, SysError
from syscalls.objects.credentials import Credentials
from syscalls.objects.file import File, OPathFile
from syscalls.objects.locks import FileLocks, RecordLock
from syscalls.objects.pipe import make_pipe
from syscalls.objects.siginfo import SigAction, SigInfo, bit
from syscalls.objects.signal import send_signal
from syscalls.vfs.virtual import VirtualNode
from tests.syscalls.iorig import UNMAPPED, Rig
from tests.syscalls.jobs import error_of

if TYPE_CHECKING:
    from pathlib import Path

LAST = (1 << 63) - 1


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def t(rig: Rig) -> Any:
    return rig.task()


class PlainFile(File):
    """A regular file without contents."""


def plain(rig: Rig, uid: int = 0, size: int = 0) -> VirtualNode:
    return VirtualNode(rig.server.devices.pipefs, f.S_IFREG | 0o644, 0, uid=uid, gid=0)


def open_plain(t: Any, inode: Any, flags: int = f.O_RDWR) -> int:
    return t.files.alloc(PlainFile(inode, flags))


def fails(rig: Rig, t: Any, *args: int) -> int:
    return error_of(rig.call, t, "fcntl", *args)


# -- descriptors ---------------------------------------------------------------------------------------------


def test_dupfd_takes_the_lowest_number_from_its_argument_on(rig: Rig, t: Any) -> None:
    fd = open_plain(t, plain(rig))
    assert rig.call(t, "fcntl", fd, f.F_DUPFD, 0) == 1
    assert rig.call(t, "fcntl", fd, f.F_DUPFD, 10) == 10
    assert rig.call(t, "fcntl", fd, f.F_DUPFD_CLOEXEC, 10) == 11
    assert [t.files.get_cloexec(n) for n in (10, 11)] == [False, True]
    assert t.files.get(11) is t.files.get(fd)
    assert t.files.get(fd).refs == 4


def test_dupfd_errors(rig: Rig, t: Any) -> None:
    fd = open_plain(t, plain(rig))
    t.process.rlimits[f.RLIMIT_NOFILE] = (4, 4)
    assert fails(rig, t, fd, f.F_DUPFD, 4) == errno.EINVAL
    assert fails(rig, t, fd, f.F_DUPFD, (1 << 64) - 1) == errno.EINVAL
    rig.call(t, "fcntl", fd, f.F_DUPFD, 3)
    assert fails(rig, t, fd, f.F_DUPFD, 3) == errno.EMFILE
    assert t.files.get(fd).refs == 2
    assert fails(rig, t, 9, f.F_DUPFD, 0) == errno.EBADF


def test_descriptor_flags(rig: Rig, t: Any) -> None:
    fd = open_plain(t, plain(rig))
    assert rig.call(t, "fcntl", fd, f.F_GETFD, 0) == 0
    rig.call(t, "fcntl", fd, f.F_SETFD, 0xFF)
    assert rig.call(t, "fcntl", fd, f.F_GETFD, 0) == f.FD_CLOEXEC
    rig.call(t, "fcntl", fd, f.F_SETFD, 2)
    assert rig.call(t, "fcntl", fd, f.F_GETFD, 0) == 0


def test_dupfd_query(rig: Rig, t: Any) -> None:
    fd = open_plain(t, plain(rig))
    other = open_plain(t, t.files.get(fd).inode)
    twin = rig.call(t, "fcntl", fd, f.F_DUPFD, 0)
    assert rig.call(t, "fcntl", fd, f.F_DUPFD_QUERY, twin) == 1
    assert rig.call(t, "fcntl", fd, f.F_DUPFD_QUERY, other) == 0
    assert fails(rig, t, fd, f.F_DUPFD_QUERY, 50) == errno.EBADF


def test_o_path_descriptors_allow_little(rig: Rig, t: Any) -> None:
    fd = t.files.alloc(OPathFile(plain(rig), f.O_PATH))
    assert rig.call(t, "fcntl", fd, f.F_GETFL, 0) == f.O_PATH
    assert rig.call(t, "fcntl", fd, f.F_GETFD, 0) == 0
    assert fails(rig, t, fd, f.F_SETFL, 0) == errno.EBADF
    assert fails(rig, t, fd, f.F_GETOWN, 0) == errno.EBADF


def test_unknown_commands_are_einval(rig: Rig, t: Any) -> None:
    fd = open_plain(t, plain(rig))
    assert fails(rig, t, fd, 4711, 0) == errno.EINVAL
    assert fails(rig, t, fd, f.F_ADD_SEALS, 1) == errno.EINVAL
    assert fails(rig, t, fd, f.F_GET_SEALS, 0) == errno.EINVAL
    assert rig.server.complaints == []
    assert fails(rig, t, fd, f.F_SETLEASE, f.F_RDLCK) == errno.EINVAL
    assert fails(rig, t, fd, f.F_NOTIFY, 1) == errno.EINVAL
    assert rig.server.complaints == ["fcntl: F_SETLEASE", "fcntl: F_NOTIFY"]
    assert rig.call(t, "fcntl", fd, f.F_GETLEASE, 0) == f.F_UNLCK


# -- status flags --------------------------------------------------------------------------------------------


def test_status_flags_that_can_change(rig: Rig, t: Any) -> None:
    fd = open_plain(t, plain(rig), f.O_WRONLY | f.O_SYNC)
    rig.call(t, "fcntl", fd, f.F_SETFL, f.O_APPEND | f.O_NONBLOCK | f.O_RDWR | f.O_CREAT)
    assert rig.call(t, "fcntl", fd, f.F_GETFL, 0) == f.O_WRONLY | f.O_SYNC | f.O_APPEND | f.O_NONBLOCK
    rig.call(t, "fcntl", fd, f.F_SETFL, 0)
    assert rig.call(t, "fcntl", fd, f.F_GETFL, 0) == f.O_WRONLY | f.O_SYNC


def test_noatime_is_for_the_owner(rig: Rig) -> None:
    t = rig.task(Credentials.user(1000, 1000))
    mine, other = open_plain(t, plain(rig, 1000)), open_plain(t, plain(rig, 0))
    rig.call(t, "fcntl", mine, f.F_SETFL, f.O_NOATIME)
    assert fails(rig, t, other, f.F_SETFL, f.O_NOATIME) == errno.EPERM


def test_read_write_hints(rig: Rig, t: Any) -> None:
    fd = open_plain(t, plain(rig))
    at = t.mem.alloc(struct.pack("<Q", 3))
    assert rig.call(t, "fcntl", fd, f.F_SET_RW_HINT, at) == 0
    assert rig.call(t, "fcntl", fd, f.F_GET_RW_HINT, at) == 0
    assert rig.run(t.mem.u64(at)) == 0
    assert fails(rig, t, fd, f.F_SET_RW_HINT, t.mem.alloc(struct.pack("<Q", 6))) == errno.EINVAL


# -- owner and SIGIO -----------------------------------------------------------------------------------------


def test_owner(rig: Rig, t: Any) -> None:
    fd = open_plain(t, plain(rig))
    pid = t.process.pid
    assert rig.call(t, "fcntl", fd, f.F_GETOWN, 0) == 0
    rig.call(t, "fcntl", fd, f.F_SETOWN, pid)
    assert rig.call(t, "fcntl", fd, f.F_GETOWN, 0) == pid
    rig.call(t, "fcntl", fd, f.F_SETOWN, -pid & 0xFFFF_FFFF_FFFF_FFFF)
    assert rig.call(t, "fcntl", fd, f.F_GETOWN, 0) == -pid
    at = t.mem.alloc(8)
    rig.call(t, "fcntl", fd, f.F_GETOWN_EX, at)
    assert struct.unpack("<ii", t.mem.get(at, 8)) == (f.F_OWNER_PGRP, pid)
    rig.call(t, "fcntl", fd, f.F_SETOWN_EX, t.mem.alloc(struct.pack("<ii", f.F_OWNER_PID, pid)))
    rig.call(t, "fcntl", fd, f.F_GETOWN_EX, at)
    assert struct.unpack("<ii", t.mem.get(at, 8)) == (f.F_OWNER_PID, pid)
    rig.call(t, "fcntl", fd, f.F_SETOWN, 0)
    assert rig.call(t, "fcntl", fd, f.F_GETOWN, 0) == 0


def test_owner_errors(rig: Rig, t: Any) -> None:
    fd = open_plain(t, plain(rig))
    assert fails(rig, t, fd, f.F_SETOWN, 4000) == errno.ESRCH
    assert fails(rig, t, fd, f.F_SETOWN, -4000 & 0xFFFF_FFFF) == errno.ESRCH
    assert fails(rig, t, fd, f.F_SETOWN, 0x8000_0000) == errno.EINVAL
    assert fails(rig, t, fd, f.F_SETOWN_EX, t.mem.alloc(struct.pack("<ii", 9, 1))) == errno.EINVAL
    assert fails(rig, t, fd, f.F_SETSIG, 65) == errno.EINVAL
    assert rig.call(t, "fcntl", fd, f.F_SETSIG, 0) == rig.call(t, "fcntl", fd, f.F_GETSIG, 0) == 0


@pytest.mark.parametrize("group", [False, True])
def test_o_async_sends_sigio_to_the_owner(rig: Rig, t: Any, group: bool) -> None:
    t.process.sighand.set(f.SIGIO, SigAction(handler=0x1000))
    reader, writer = make_pipe(t, 0)
    fd = t.files.alloc(reader)
    who = -t.process.pgrp.pgid if group else t.process.pid
    rig.call(t, "fcntl", fd, f.F_SETOWN, who & 0xFFFF_FFFF)
    rig.call(t, "fcntl", fd, f.F_SETFL, f.O_ASYNC)
    assert rig.call(t, "fcntl", fd, f.F_GETFL, 0) & f.O_ASYNC
    assert t.process.pending.mask == 0
    rig.run(writer.write(t, b"x"))
    assert t.process.pending.mask == bit(f.SIGIO)
    t.process.pending.pop(f.SIGIO)
    rig.call(t, "fcntl", fd, f.F_SETFL, 0)
    rig.run(writer.write(t, b"x"))
    assert t.process.pending.mask == 0


@pytest.mark.parametrize(
    ("signo", "code"), [(f.SIGIO, f.POLL_IN), (f.SIGUSR1, f.POLL_IN), (40, f.POLL_IN), (f.SIGSEGV, f.SI_SIGIO)]
)
def test_f_setsig_chooses_the_signal_and_tells_more(rig: Rig, t: Any, signo: int, code: int) -> None:
    t.process.sighand.set(signo, SigAction(handler=0x1000))
    reader, writer = make_pipe(t, 0)
    fd = t.files.alloc(reader)
    rig.call(t, "fcntl", fd, f.F_SETSIG, signo)
    assert rig.call(t, "fcntl", fd, f.F_GETSIG, 0) == signo
    rig.call(t, "fcntl", fd, f.F_SETOWN, t.process.pid)
    rig.call(t, "fcntl", fd, f.F_SETFL, f.O_ASYNC)
    rig.run(writer.write(t, b"x"))
    raw = t.process.pending.pop(signo).pack()
    assert struct.unpack_from("<iiiiqi", raw) == (signo, 0, code, 0, f.POLLIN | f.POLLRDNORM, fd)


def test_a_plain_sigio_stands_in_for_a_real_time_signal_without_room(rig: Rig, t: Any) -> None:
    t.process.sighand.set(f.SIGIO, SigAction(handler=0x1000))
    t.process.sighand.set(40, SigAction(handler=0x1000))
    t.process.rlimits[f.RLIMIT_SIGPENDING] = (1, 1)
    reader, writer = make_pipe(t, 0)
    fd = t.files.alloc(reader)
    rig.call(t, "fcntl", fd, f.F_SETSIG, 40)
    rig.call(t, "fcntl", fd, f.F_SETOWN, t.process.pid)
    rig.call(t, "fcntl", fd, f.F_SETFL, f.O_ASYNC)
    rig.run(writer.write(t, b"x"))
    assert t.process.pending.mask == bit(40)
    rig.run(writer.write(t, b"x"))
    assert t.process.pending.mask == bit(40) | bit(f.SIGIO)


def test_o_async_means_nothing_to_plain_files(rig: Rig, t: Any) -> None:
    fd = open_plain(t, plain(rig))
    rig.call(t, "fcntl", fd, f.F_SETFL, f.O_ASYNC)
    assert rig.call(t, "fcntl", fd, f.F_GETFL, 0) == f.O_RDWR


# -- record locks --------------------------------------------------------------------------------------------


def flock(t: Any, kind: int, start: int, length: int, whence: int = 0, pid: int = 0) -> int:
    return t.mem.alloc(Flock(kind, whence, start, length, pid).pack())


def lock(rig: Rig, t: Any, fd: int, kind: int, start: int, length: int, op: int = f.F_SETLK) -> int:
    """0, or the errno."""
    try:
        return rig.call(t, "fcntl", fd, op, flock(t, kind, start, length))
    except SysError as error:
        return error.errno


def query(rig: Rig, t: Any, fd: int, kind: int, start: int, length: int, op: int = f.F_GETLK) -> Flock:
    at = flock(t, kind, start, length)
    rig.call(t, "fcntl", fd, op, at)
    return Flock.unpack(t.mem.get(at, Flock.SIZE))


@pytest.fixture
def two(rig: Rig, t: Any) -> tuple[Any, int, Any, int]:
    """Two processes with the same file open."""
    other = rig.fork(t)
    inode = plain(rig)
    return t, open_plain(t, inode), other, open_plain(other, inode)


def test_write_locks_exclude_and_read_locks_share(rig: Rig, two: Any) -> None:
    a, fa, b, fb = two
    assert lock(rig, a, fa, f.F_RDLCK, 0, 10) == 0
    assert lock(rig, b, fb, f.F_RDLCK, 5, 10) == 0
    assert lock(rig, b, fb, f.F_WRLCK, 5, 10) == errno.EAGAIN
    assert lock(rig, b, fb, f.F_WRLCK, 10, 10) == 0
    assert lock(rig, a, fa, f.F_WRLCK, 0, 5) == 0, "its own lock is no obstacle"
    assert lock(rig, a, fa, f.F_UNLCK, 0, 0) == 0
    assert lock(rig, b, fb, f.F_WRLCK, 0, 0) == 0


def test_getlk_tells_the_obstacle(rig: Rig, two: Any) -> None:
    a, fa, b, fb = two
    lock(rig, a, fa, f.F_WRLCK, 100, 50)
    lock(rig, a, fa, f.F_WRLCK, 500, 0)
    found = query(rig, b, fb, f.F_RDLCK, 0, 0)
    assert found == Flock(f.F_WRLCK, 0, 100, 50, a.process.pid)
    assert query(rig, b, fb, f.F_RDLCK, 600, 1) == Flock(f.F_WRLCK, 0, 500, 0, a.process.pid)
    assert query(rig, b, fb, f.F_RDLCK, 0, 100) == Flock(f.F_UNLCK, 0, 0, 100, 0)
    assert query(rig, a, fa, f.F_WRLCK, 0, 0).l_type == f.F_UNLCK


def test_setlkw_waits(rig: Rig, two: Any) -> None:
    a, fa, b, fb = two
    lock(rig, a, fa, f.F_WRLCK, 0, 10)
    job = rig.start(b, "fcntl", fb, f.F_SETLKW, flock(b, f.F_WRLCK, 5, 10))
    rig.settle()
    assert not job.done
    lock(rig, a, fa, f.F_UNLCK, 0, 5)
    rig.settle()
    assert not job.done
    lock(rig, a, fa, f.F_RDLCK, 5, 5)
    rig.settle()
    assert not job.done
    lock(rig, a, fa, f.F_UNLCK, 5, 5)
    rig.settle()
    assert job.value() == 0
    assert query(rig, a, fa, f.F_RDLCK, 0, 0).l_start == 5


def test_setlkw_is_interrupted_by_a_signal(rig: Rig, two: Any) -> None:
    a, fa, b, fb = two
    b.process.sighand.set(f.SIGUSR1, SigAction(handler=0x1000))
    lock(rig, a, fa, f.F_WRLCK, 0, 10)
    job = rig.start(b, "fcntl", fb, f.F_SETLKW, flock(b, f.F_WRLCK, 0, 1))
    send_signal(b, SigInfo(f.SIGUSR1))
    rig.settle()
    assert isinstance(job.error, Interrupted)
    assert job.error.restart == Restart.SYS
    assert rig.server.devices.lock_waits == {}


def test_deadlock_is_found(rig: Rig, two: Any) -> None:
    a, fa, b, fb = two
    c = rig.fork(a)
    fc = open_plain(c, a.files.get(fa).inode)
    for task, fd, start in ((a, fa, 0), (b, fb, 1), (c, fc, 2)):
        assert lock(rig, task, fd, f.F_WRLCK, start, 1) == 0
    first = rig.start(a, "fcntl", fa, f.F_SETLKW, flock(a, f.F_WRLCK, 1, 1))
    second = rig.start(b, "fcntl", fb, f.F_SETLKW, flock(b, f.F_WRLCK, 2, 1))
    rig.settle()
    assert not first.done
    assert not second.done
    assert lock(rig, c, fc, f.F_WRLCK, 0, 1, f.F_SETLKW) == errno.EDEADLK
    rig.run(c.files.close(fc))
    rig.settle()
    assert second.value() == 0
    assert not first.done


def test_closing_any_descriptor_of_the_file_releases_the_locks_of_the_process(rig: Rig, two: Any) -> None:
    a, fa, b, fb = two
    again = open_plain(a, a.files.get(fa).inode)
    lock(rig, a, fa, f.F_WRLCK, 0, 10)
    assert lock(rig, b, fb, f.F_WRLCK, 0, 10) == errno.EAGAIN
    rig.run(a.files.close(again))
    assert lock(rig, b, fb, f.F_WRLCK, 0, 10) == 0


def test_a_forked_child_has_none_of_the_locks(rig: Rig, t: Any) -> None:
    fd = open_plain(t, plain(rig))
    lock(rig, t, fd, f.F_WRLCK, 0, 10)
    child = rig.fork(t)
    child.files = t.files.clone()
    assert lock(rig, child, fd, f.F_WRLCK, 0, 10) == errno.EAGAIN


def test_a_lock_on_a_descriptor_closed_meanwhile_is_dropped(rig: Rig, two: Any) -> None:
    a, fa, b, fb = two
    lock(rig, a, fa, f.F_WRLCK, 0, 10)
    job = rig.start(b, "fcntl", fb, f.F_SETLKW, flock(b, f.F_WRLCK, 0, 10))
    rig.run(b.files.close(fb))
    lock(rig, a, fa, f.F_UNLCK, 0, 0)
    rig.settle()
    assert isinstance(job.error, SysError)
    assert job.error.errno == errno.EBADF
    assert lock(rig, a, fa, f.F_WRLCK, 0, 0) == 0


def test_open_file_description_locks(rig: Rig, t: Any) -> None:
    inode = plain(rig)
    first, second = open_plain(t, inode), open_plain(t, inode)
    twin = rig.call(t, "fcntl", first, f.F_DUPFD, 0)
    assert lock(rig, t, first, f.F_WRLCK, 0, 10, f.F_OFD_SETLK) == 0
    assert lock(rig, t, second, f.F_RDLCK, 0, 10, f.F_OFD_SETLK) == errno.EAGAIN
    assert lock(rig, t, second, f.F_RDLCK, 0, 10) == errno.EAGAIN, "the two kinds exclude each other"
    assert query(rig, t, second, f.F_RDLCK, 0, 0, f.F_OFD_GETLK).l_pid == -1
    rig.run(t.files.close(twin))
    assert lock(rig, t, second, f.F_RDLCK, 0, 10, f.F_OFD_SETLK) == errno.EAGAIN
    job = rig.start(t, "fcntl", second, f.F_OFD_SETLKW, flock(t, f.F_WRLCK, 0, 10))
    rig.settle()
    assert not job.done
    rig.run(t.files.close(first))
    rig.settle()
    assert job.value() == 0


def test_lock_errors(rig: Rig, t: Any) -> None:
    inode = plain(rig)
    fd = open_plain(t, inode)
    reader, writer = open_plain(t, inode, f.O_RDONLY), open_plain(t, inode, f.O_WRONLY)
    assert lock(rig, t, reader, f.F_WRLCK, 0, 1) == errno.EBADF
    assert lock(rig, t, writer, f.F_RDLCK, 0, 1) == errno.EBADF
    assert lock(rig, t, fd, 7, 0, 1) == errno.EINVAL
    assert lock(rig, t, fd, f.F_RDLCK, -1, 1) == errno.EINVAL
    assert lock(rig, t, fd, f.F_RDLCK, 5, -6) == errno.EINVAL
    assert lock(rig, t, fd, f.F_RDLCK, LAST, 2) == errno.EOVERFLOW
    assert fails(rig, t, fd, f.F_SETLK, flock(t, f.F_RDLCK, 0, 1, whence=3)) == errno.EINVAL
    assert fails(rig, t, fd, f.F_GETLK, flock(t, f.F_UNLCK, 0, 1)) == errno.EINVAL
    assert fails(rig, t, fd, f.F_OFD_SETLK, flock(t, f.F_RDLCK, 0, 1, pid=5)) == errno.EINVAL
    assert fails(rig, t, fd, f.F_SETLK, UNMAPPED) == errno.EFAULT


def test_ranges_relative_to_position_and_end(rig: Rig, two: Any) -> None:
    a, fa, b, fb = two
    a.files.get(fa).pos = 100
    inode = a.files.get(fa).inode
    inode.attr = inode.attr._replace(size=1000)
    rig.call(a, "fcntl", fa, f.F_SETLK, flock(a, f.F_WRLCK, -10, 20, f.SEEK_CUR))
    assert query(rig, b, fb, f.F_WRLCK, 0, 0)[2:4] == (90, 20)
    rig.call(a, "fcntl", fa, f.F_SETLK, flock(a, f.F_UNLCK, 0, 0))
    rig.call(a, "fcntl", fa, f.F_SETLK, flock(a, f.F_WRLCK, 0, -100, f.SEEK_END))
    assert query(rig, b, fb, f.F_WRLCK, 0, 0)[2:4] == (900, 100)
    a.files.get(fa).pos = LAST
    assert fails(rig, a, fa, f.F_SETLK, flock(a, f.F_WRLCK, 1, 1, f.SEEK_CUR)) == errno.EOVERFLOW


def lock_answer(rig: Rig, t: Any, fd: int, op: int, at: int) -> Any:
    try:
        rig.call(t, "fcntl", fd, op, at)
    except SysError as error:
        return error.errno
    return Flock.unpack(t.mem.get(at, Flock.SIZE))


def host_answer(fd: int, op: int, raw: bytes) -> Any:
    try:
        return Flock.unpack(host_fcntl.fcntl(fd, op, raw))
    except OSError as error:
        return error.errno


@pytest.mark.native
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="compares with Linux")
@pytest.mark.parametrize("seed", range(6))
def test_random_locks_as_on_linux(rig: Rig, t: Any, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    inode = plain(rig)
    mine = [open_plain(t, inode) for _ in range(3)]
    path = tmp_path / "file"
    path.touch()
    hosts = [os.open(path, os.O_RDWR) for _ in range(3)]
    try:
        for _ in range(300):
            who = rng.randrange(3)
            kind = rng.choice((f.F_RDLCK, f.F_WRLCK, f.F_UNLCK))
            start, length = rng.randrange(40), rng.choice((0, 1, 3, 8, 20, -3))
            op = rng.choice((f.F_OFD_SETLK, f.F_OFD_SETLK, f.F_OFD_GETLK))
            if op == f.F_OFD_GETLK and kind == f.F_UNLCK:
                continue
            raw = Flock(kind, 0, start, length, 0).pack()
            at = t.mem.alloc(raw)
            assert lock_answer(rig, t, mine[who], op, at) == host_answer(hosts[who], op, raw)
    finally:
        for fd in hosts:
            os.close(fd)


# -- whole-file locks ----------------------------------------------------------------------------------------


def test_flock_is_apart_from_record_locks(rig: Rig, t: Any) -> None:
    locks, one, two = FileLocks(), object(), object()
    locks.apply(RecordLock(one, f.F_WRLCK, 0, LAST, 1))
    rig.run(locks.flock(t, two, exclusive=True, wait=False))
    with pytest.raises(SysError) as caught:
        rig.run(locks.flock(t, one, exclusive=False, wait=False))
    assert caught.value.errno == errno.EAGAIN
    waiting = rig.spawn(locks.flock(t, one, exclusive=False, wait=True))
    rig.run(locks.flock(t, two, exclusive=False, wait=False))
    rig.settle()
    assert waiting.done, "a lock that is downgraded lets others share"
    rig.run(locks.flock(t, two, exclusive=False, wait=False))
    upgrade = rig.spawn(locks.flock(t, two, exclusive=True, wait=True))
    assert not upgrade.done
    locks.unflock(one)
    locks.unflock(one)
    rig.settle()
    assert upgrade.done
    locks.release(two)
    rig.run(locks.flock(t, one, exclusive=True, wait=False))


# -- pipes ---------------------------------------------------------------------------------------------------


def test_pipe_commands_are_for_pipes(rig: Rig, t: Any) -> None:
    fd = open_plain(t, plain(rig))
    assert fails(rig, t, fd, f.F_GETPIPE_SZ, 0) == errno.EBADF
    assert fails(rig, t, fd, f.F_SETPIPE_SZ, 4096) == errno.EBADF
