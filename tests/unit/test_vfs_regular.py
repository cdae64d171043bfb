"""Regular files when things go wrong or happen at once: server errors, mapped pages, races, faults."""

from __future__ import annotations

from typing import Any

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NOT_FOUND, posix_error
from linuxemu.messages import fs, fsx
from syscalls.abi.errno import EAGAIN, EBADF, EEXIST, EINVAL, EIO, EISDIR, ELOOP, ENOSPC
from syscalls.abi.flags import (
    AT_FDCWD,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    O_APPEND,
    O_CREAT,
    O_DSYNC,
    O_EXCL,
    O_NONBLOCK,
    O_RDONLY,
    O_RDWR,
    O_TMPFILE,
    O_TRUNC,
    O_WRONLY,
    S_IFIFO,
    S_IFREG,
    SIGKILL,
)
from syscalls.errors import SysError
from syscalls.objects.device import NullDevice, ZeroDevice
from syscalls.objects.siginfo import SigInfo
from syscalls.objects.signal import send_signal
from syscalls.vfs import open as vfs_open
from syscalls.vfs import transfer
from syscalls.vfs.regular import MAX_OFFSET
from tests.syscalls.vfs_rig import BAD, In, Iov, Out, Rig, Words

RW = O_RDWR
BIG = 2 << 20


class Faults:
    """Lets messages of one kind fail from the nth on."""

    def __init__(self, rig: Rig, kind: type, code: int, after: int = 0) -> None:
        self.seen: list[Any] = []
        port = rig.server.port
        call = port.call

        async def faulty(dst: int, message: Any) -> Any:
            if isinstance(message, kind):
                self.seen.append(message)
                if len(self.seen) > after:
                    raise RpcError(code)
            return await call(dst, message)

        port.call = faulty
        self.undo = lambda: setattr(port, "call", call)


class Pages:
    """A page cache that only notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.mappings = {"somebody": 1}
        self.frames = {0: 7, 2: 8}
        self.shared = 1

    async def write_back(self) -> None:
        self.told.append("write_back")

    def report(self) -> None:
        """Everything could be stored."""

    def update(self, offset: int, data: bytes) -> None:
        self.told.append((offset, data))

    def truncate(self, size: int) -> None:
        self.told.append(size)


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    assert rig.call("open", b"f", O_CREAT | RW, 0o644) == 3
    assert rig.call("write", 3, b"0123456789", 10) == 10
    return rig


def test_mapped_pages_stay_in_line(rig: Rig) -> None:
    pages = rig.place(b"/f").inode.pages = Pages()
    rig.call("pread64", 3, Out(4), 4, 0)
    rig.call("pwrite64", 3, b"ab", 2, 3)
    rig.call("ftruncate", 3, 5)
    rig.call("fsync", 3)
    rig.call("truncate", b"f", 10000)
    assert pages.told == ["write_back", (3, b"ab"), 5, "write_back", 10000]
    pages.told.clear()
    rig.call("fallocate", 3, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10, 8190)
    assert pages.told == [(10000, b""), (10, bytes(4086)), (8192, bytes(8))]
    pages.told.clear()
    rig.call("open", b"f", O_TRUNC | O_WRONLY, 0)
    assert pages.told == [0]


def test_server_errors_are_the_callers(rig: Rig) -> None:
    for kind, code, step, error in (
        (fs.Read, posix_error(EIO), ("pread64", 3, Out(4), 4, 0), EIO),
        (fs.Read, ERR_NOT_FOUND, ("pread64", 3, Out(4), 4, 0), EBADF),
        (fs.Read, -4, ("pread64", 3, Out(BIG), BIG, 0), EIO),
        (fs.Write, posix_error(EIO), ("pwrite64", 3, b"x", 1, 0), EIO),
        (fs.Write, posix_error(ENOSPC), ("pwrite64", 3, b"x", 1, 0), ENOSPC),
        (fs.Write, posix_error(EIO), ("pwrite64", 3, In(bytes(BIG)), BIG, 0), EIO),
        (fsx.Fsync, posix_error(EIO), ("fsync", 3), EIO),
        (fsx.Getattr, posix_error(EIO), ("fstat", 3, Out(144)), EIO),
        (fsx.Setattr, posix_error(EIO), ("ftruncate", 3, 3), EIO),
        (fsx.Lookup, posix_error(EIO), ("stat", b"f", Out(144)), EIO),
        (fsx.Open, posix_error(EIO), ("open", b"f", 0, 0), EIO),
    ):
        faults = Faults(rig, kind, code)
        assert (step[0], rig.call(*step)) == (step[0], -error)
        faults.undo()


def test_failure_after_a_part_is_a_short_result(rig: Rig) -> None:
    data = bytes(BIG)
    rig.call("pwrite64", 3, In(data), BIG, 0)
    faults = Faults(rig, fs.Read, posix_error(EIO), after=2)
    assert rig.call("pread64", 3, Out(BIG), BIG, 0) == 512 * 1024
    faults.undo()
    faults = Faults(rig, fs.Write, posix_error(EIO), after=3)
    assert rig.call("pwrite64", 3, In(data), BIG, 0) == 768 * 1024
    faults.undo()
    faults = Faults(rig, fs.Write, posix_error(EIO), after=1)
    rig.call("open", b"g", O_CREAT | O_WRONLY, 0o600)
    rig.call("lseek", 3, 0, 0)
    assert rig.call("sendfile", 4, 3, 0, BIG) == 65536
    assert rig.call("lseek", 3, 0, 1) == 65536
    assert rig.call("sendfile", 4, 3, 0, BIG) == -EIO
    assert rig.call("copy_file_range", 3, Words(bytes(8)), 4, Words(bytes(8)), BIG, 0) == -EIO


@pytest.mark.parametrize("copy", ["sendfile", "copy_file_range"])
def test_copying_is_reading(rig: Rig, copy: str) -> None:
    rig.call("pwrite64", 3, b"abc", 3, 0)
    rig.call("utimensat", AT_FDCWD, b"f", In(bytes(32)), 0)
    rig.call("open", b"f", O_RDONLY, 0)
    rig.call("open", b"g", O_CREAT | O_WRONLY, 0o600)
    words = (5, 4, 0, 3) if copy == "sendfile" else (4, 0, 5, 0, 3, 0)
    assert rig.call(copy, *words) == 3
    attr = rig.place(b"f").inode.attr
    assert attr.atime_ns > 0
    assert attr.mtime_ns == 0


def test_bad_memory_after_a_part_is_a_short_result(rig: Rig) -> None:
    data = bytes(range(256)) * (BIG // 256)
    rig.call("pwrite64", 3, In(data), BIG, 0)
    vector = Iov([(Out(1 << 20), 1 << 20), (BAD, 100), (Out(8), 8)])
    rig.call("lseek", 3, 0, 0)
    assert rig.call("readv", 3, vector, 3) == 1 << 20
    assert rig.call("lseek", 3, 0, 1) == 1 << 20
    vector = Iov([(In(data[: 1 << 20]), 1 << 20), (BAD, 100), (In(b"x"), 1)])
    assert rig.call("pwritev", 3, vector, 3, 0, 0) == 1 << 20
    assert rig.call("pwritev", 3, Iov([(BAD, 100), (In(bytes(BIG)), BIG)]), 2, 0, 0) == -14
    top = 0x10000 + 0x80_0000
    assert rig.call("lseek", 3, 0, 0) == 0
    assert rig.call("read", 3, top - 300_000, 600_000) == 300_000
    assert rig.call("lseek", 3, 0, 1) == 300_000
    assert rig.call("write", 3, top - 300_000, 600_000) == 300_000


def test_reads_end_at_the_end_of_the_file(rig: Rig) -> None:
    rig.call("ftruncate", 3, 300_000)
    assert rig.call("pread64", 3, Out(BIG), BIG, 0) == 300_000
    assert rig.call("pread64", 3, Out(BIG), BIG, 300_000) == 0
    assert rig.call("preadv", 3, Iov([(Out(BIG), BIG), (0, 0), (Out(9), 9)]), 3, 10, 0) == 299_990


def test_largest_offset(rig: Rig) -> None:
    assert rig.call("pwrite64", 3, b"x", 1, MAX_OFFSET) == -EINVAL
    assert rig.call("lseek", 3, MAX_OFFSET, 0) == MAX_OFFSET
    assert rig.call("lseek", 3, 1, 1) == -EINVAL
    assert rig.call("write", 3, b"x", 1) == -EINVAL
    faults = Faults(rig, fs.Write, posix_error(EIO))
    assert rig.call("pwrite64", 3, b"abc", 3, MAX_OFFSET - 2) == -EINVAL
    assert rig.call("pwrite64", 3, b"ab", 2, MAX_OFFSET - 2) == -EIO
    assert faults.seen[0].data == b"ab"


def test_dsync_stores_after_each_write(rig: Rig) -> None:
    rig.call("open", b"f", O_WRONLY | O_DSYNC, 0)
    faults = Faults(rig, fsx.Fsync, posix_error(EIO), after=1)
    assert rig.call("write", 4, b"x", 1) == 1
    assert faults.seen[0].datasync
    assert rig.call("write", 4, b"x", 1) == -EIO


def test_appending_waits_for_who_is_appending(rig: Rig) -> None:
    rig.call("open", b"f", O_WRONLY | O_APPEND, 0)
    inode = rig.place(b"/f").inode
    rig.run(inode.mutex.acquire(rig.task))
    waiting = rig.start("write", 4, b"++", 2)
    assert not waiting.done
    rig.call("pwrite64", 3, b"ABC", 3, 10)
    inode.mutex.release()
    rig.settle()
    assert waiting.value() == 2
    assert rig.step("pread64", 3, Out(20), 20, 8)[1][0].startswith(b"89ABC++\0")


def test_positions_are_taken_in_turn(rig: Rig) -> None:
    file = rig.task.files.get(3)
    file.lock.held = True
    waiting = [rig.start("lseek", 3, 1, 0), rig.start("write", 3, b"xy", 2)]
    rig.call("open", b"/", O_RDONLY, 0)
    rig.task.files.get(4).lock.held = True
    listing = rig.start("getdents64", 4, Out(300), 300)
    assert not any(job.done for job in (*waiting, listing))
    file.lock.release()
    rig.task.files.get(4).lock.release()
    rig.settle()
    assert waiting[0].value() == 1
    assert waiting[1].value() == 2
    assert listing.value() > 0


def test_file_made_by_another_meanwhile_is_opened(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_there(walk: Any, name: bytes) -> None:
        return None

    monkeypatch.setattr(vfs_open, "find", nothing_there)
    rig.call("mkdir", b"d", 0o755)
    rig.call("symlink", b"f", b"l")
    assert rig.call("open", b"f", O_CREAT | RW, 0o600) == 4
    assert rig.step("read", 4, Out(4), 4)[1] == [b"0123"]
    assert rig.call("open", b"f", O_CREAT | O_EXCL | RW, 0o600) == -EEXIST
    assert rig.call("open", b"d", O_CREAT | RW, 0o600) == -EISDIR
    assert rig.call("open", b"l", O_CREAT | RW, 0o600) == -ELOOP


def test_truncating_open_that_fails_leaves_nothing_open(rig: Rig) -> None:
    faults = Faults(rig, fsx.Setattr, posix_error(EIO))
    assert rig.call("open", b"f", O_TRUNC | RW, 0) == -EIO
    faults.undo()
    assert rig.task.files.numbers() == [0, 1, 2, 3]
    assert rig.place(b"/f").inode.writers == 1


def test_tmpfile_tries_another_name(rig: Rig) -> None:
    rig.call("mknod", b".#linuxemu-tmpfile-1", S_IFREG, 0)
    assert rig.call("open", b".", O_TMPFILE | RW, 0o600) == 4
    faults = Faults(rig, fsx.Mknod, posix_error(EEXIST))
    assert rig.call("open", b".", O_TMPFILE | RW, 0o600) == -EEXIST
    assert len(faults.seen) == 100
    faults.undo()
    Faults(rig, fsx.Mknod, posix_error(EIO))
    assert rig.call("open", b".", O_TMPFILE | RW, 0o600) == -EIO


def test_lost_close_is_nobodys_problem(rig: Rig) -> None:
    Faults(rig, fs.Close, -12)
    assert rig.call("close", 3) == 0


def test_splice_waits_for_room_and_data(rig: Rig) -> None:
    rig.call("mknod", b"p", S_IFIFO | 0o600, 0)
    assert rig.call("open", b"p", RW, 0) == 4
    empty = rig.start("splice", 4, 0, 3, 0, 100, 0)
    assert not empty.done
    rig.call("write", 4, b"late", 4)
    rig.settle()
    assert empty.value() == 4
    rig.call("write", 4, In(bytes(65536)), 65536)
    full = rig.start("splice", 3, Words(bytes(8)), 4, 0, 5, 0)
    assert not full.done
    assert rig.call("splice", 3, Words(bytes(8)), 4, 0, 5, 2) == -EAGAIN
    assert rig.call("vmsplice", 4, Iov([(In(b"x"), 1)]), 1, 2) == -EAGAIN
    rig.call("read", 4, Out(8192), 8192)
    rig.settle()
    assert full.value() == 5


def test_splice_loses_nothing_when_the_other_side_fails(rig: Rig) -> None:
    rig.call("mknod", b"p", S_IFIFO | 0o600, 0)
    rig.call("open", b"p", RW | O_NONBLOCK, 0)
    rig.call("write", 4, b"kept", 4)
    faults = Faults(rig, fs.Write, posix_error(EIO))
    assert rig.call("splice", 4, 0, 3, 0, 4, 0) == -EIO
    faults.undo()
    assert rig.step("read", 4, Out(4), 4)[1] == [b"kept"]
    assert rig.call("splice", 3, Words((99).to_bytes(8, "little")), 4, 0, 5, 0) == 0
    assert rig.call("lseek", 3, 0, 0) == 0
    assert rig.call("splice", 3, 0, 4, 0, 4, 0) == 4
    assert rig.call("lseek", 3, 0, 1) == 4


def test_shared_table_keeps_a_file_that_is_being_read(rig: Rig) -> None:
    rig.call("mknod", b"p", S_IFIFO | 0o600, 0)
    assert rig.call("open", b"p", RW, 0) == 4
    other = rig.new_task()
    other.files = rig.task.files.share()
    waiting = rig.start("read", 4, Out(4), 4)
    file = rig.task.files.get(4)
    assert rig.call("close", 4, t=other) == 0
    assert file.refs == 1
    rig.run(file.write(rig.task, b"data"))
    rig.settle()
    assert waiting.value() == 4
    assert file.refs == 0


def test_large_write_to_a_pipe_goes_on_as_it_drains(rig: Rig) -> None:
    rig.call("mknod", b"p", S_IFIFO | 0o600, 0)
    assert rig.call("open", b"p", RW, 0) == 4
    waiting = rig.start("write", 4, In(bytes(300_000)), 300_000)
    total = 0
    while not waiting.done:
        total += rig.call("read", 4, Out(65536), 65536)
        rig.settle()
    assert waiting.value() == 300_000
    assert total >= 300_000 - 65536


def test_a_large_transfer_gives_others_their_turn_and_ends_with_a_kill(rig: Rig) -> None:
    t = rig.task
    inode = rig.run(vfs_open.open_path(t, AT_FDCWD, b"/f", O_RDONLY)).inode
    zeros, null = ZeroDevice(inode, O_RDONLY), NullDevice(inode, O_WRONLY)
    whole = rig.spawn(transfer.send_file(t, null, zeros, None, 40 << 20))
    assert not whole.done
    rig.settle()
    assert whole.value() == 40 << 20
    send_signal(t, SigInfo(SIGKILL))
    assert rig.run(transfer.send_file(t, null, zeros, None, 1 << 31)) == 16 << 20


def test_open_by_direct_call(rig: Rig) -> None:
    file = rig.run(vfs_open.open_path(rig.task, AT_FDCWD, b"/f", O_RDONLY))
    assert file.refs == 1
    assert rig.run(file.read(rig.task, 3)) == b"012"
    rig.run(file.put())
    with pytest.raises(SysError):
        rig.run(vfs_open.open_path(rig.task, AT_FDCWD, b"", O_RDONLY))
