"""File systems that the server makes up, as /proc, /sys and /dev are built on."""

from __future__ import annotations

from typing import Any

import pytest

from syscalls.abi.errno import EACCES, EINVAL, EIO, ENOENT, EPERM
from syscalls.abi.flags import (
    O_CREAT,
    O_RDONLY,
    O_RDWR,
    O_TRUNC,
    O_WRONLY,
    PROC_SUPER_MAGIC,
    S_IFCHR,
    S_IFREG,
)
from syscalls.abi.structs import Stat, Statfs
from syscalls.vfs.virtual import VirtualDirectory, VirtualFile, VirtualFs, VirtualLink, VirtualNode
from tests.syscalls.vfs_rig import In, Out, Rig, entries64

R, W, RW = O_RDONLY, O_WRONLY, O_RDWR


class Numbers(VirtualDirectory):
    """A directory with computed entries."""

    __slots__ = ("made",)

    def __init__(self, fs: VirtualFs) -> None:
        super().__init__(fs)
        self.made = 0

    async def child(self, t: Any, name: bytes) -> Any:
        if not name.isdigit() or int(name) > 9:
            return None
        self.made += 1
        return VirtualDirectory(self.fs, ino=100 + int(name))  # type: ignore[arg-type]

    async def children(self, t: Any) -> list[tuple[bytes, int, int]]:
        return [(b"%d" % n, 100 + n, 4) for n in range(10)]


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    fs = VirtualFs("proc", 99, PROC_SUPER_MAGIC, time_ns=5_000_000_000)
    counter = [0]

    async def make(t: Any) -> bytes:
        counter[0] += 1
        return b"%d: 0123456789\n" % counter[0]

    async def store(t: Any, data: bytes, offset: int) -> int:
        counter[0] = int(data)
        return len(data)

    async def target(t: Any) -> bytes:
        return b"file"

    fs.top = VirtualDirectory(fs)
    fs.top.entries = {
        b"file": VirtualFile(fs, make, 0o644, store=store),
        b"fixed": VirtualFile(fs, make, 0o200),
        b"link": VirtualLink(fs, target),
        b"numbers": Numbers(fs),
        b"null": VirtualNode(fs, S_IFCHR | 0o666, 0x103),
    }
    rig.call("mkdir", b"/proc", 0o555)
    rig.run(rig.server.namespace.mount(fs, rig.place(b"/proc")))
    return rig


def read(rig: Rig, fd: int, count: int) -> bytes:
    result, (data,) = rig.step("read", fd, Out(count), count)
    assert result >= 0
    return data[:result]


def test_reader_sees_one_snapshot(rig: Rig) -> None:
    rig.call("open", b"/proc/link", R, 0)
    assert read(rig, 3, 5) == b"1: 01"
    assert read(rig, 3, 50) == b"23456789\n"
    assert read(rig, 3, 50) == b""
    assert rig.call("lseek", 3, 0, 0) == 0
    assert read(rig, 3, 3) == b"2: "
    assert rig.call("lseek", 3, 2, 1) == 5
    assert read(rig, 3, 3) == b"234"
    assert rig.call("lseek", 3, 0, 2) == -EINVAL
    assert rig.call("lseek", 3, -1, 0) == -EINVAL
    assert rig.step("pread64", 3, Out(3), 3, 1)[1] == [b": 0"]


def test_bad_buffer_loses_nothing(rig: Rig) -> None:
    rig.call("open", b"/proc/file", R, 0)
    assert rig.call("read", 3, 0x10, 5) == -14
    assert read(rig, 3, 3) == b"2: "


def test_written_values_are_stored(rig: Rig) -> None:
    assert rig.call("open", b"/proc/file", RW | O_TRUNC, 0) == 3
    assert rig.call("write", 3, b"41", 2) == 2
    assert rig.call("lseek", 3, 0, 0) == 0
    assert read(rig, 3, 3) == b"42:"
    assert rig.call("open", b"/proc/fixed", W, 0) == 4
    assert rig.call("write", 4, b"1", 1) == -EIO


def test_listing(rig: Rig) -> None:
    rig.call("open", b"/proc/numbers", R, 0)
    seen: list[bytes] = []
    while True:
        result, (data,) = rig.step("getdents64", 3, Out(100), 100)
        if not result:
            break
        seen += [name for _, _, _, name in entries64(data[:result])]
    assert seen == [b".", b"..", *(b"%d" % n for n in range(10))]
    rig.call("open", b"/proc", R, 0)
    _, (data,) = rig.step("getdents64", 4, Out(500), 500)
    kinds = {name: kind for _, _, kind, name in entries64(data)}
    assert kinds == {b".": 4, b"..": 4, b"file": 8, b"fixed": 8, b"link": 10, b"numbers": 4, b"null": 2}


def test_computed_entries(rig: Rig) -> None:
    assert rig.call("stat", b"/proc/numbers/7", Out(144)) == 0
    assert rig.call("stat", b"/proc/numbers/70", Out(144)) == -ENOENT
    assert rig.call("chdir", b"/proc/numbers/3") == 0
    assert rig.step("getcwd", Out(30), 30)[1][0].startswith(b"/proc/numbers/3\0")


def test_nothing_can_be_made_in_proc(rig: Rig) -> None:
    assert rig.call("mkdir", b"/proc/x", 0o755) == -ENOENT
    assert rig.call("open", b"/proc/x", O_CREAT | W, 0o644) == -ENOENT
    assert rig.call("link", b"/", b"/proc/x") == -ENOENT


def test_nothing_can_be_made_or_removed(rig: Rig) -> None:
    rig.place(b"/proc").mount.fs.fixed = False  # as in sysfs
    assert rig.call("mkdir", b"/proc/x", 0o755) == -EPERM
    assert rig.call("open", b"/proc/x", O_CREAT | W, 0o644) == -EACCES
    assert rig.call("mknod", b"/proc/x", S_IFREG, 0) == -EACCES
    assert rig.call("symlink", b"a", b"/proc/x") == -EPERM
    assert rig.call("link", b"/proc/file", b"/proc/x") == -EPERM
    assert rig.call("unlink", b"/proc/file") == -EPERM
    assert rig.call("rmdir", b"/proc/numbers") == -EPERM
    assert rig.call("rename", b"/proc/file", b"/proc/x") == -EPERM
    assert rig.call("open", b"/proc", 0o20200002, 0o600) == -95


def test_attributes_are_kept(rig: Rig) -> None:
    assert rig.call("chmod", b"/proc/null", 0o600) == 0
    assert rig.call("chown", b"/proc/null", 5, 6) == 0
    found = Stat.unpack(rig.step("stat", b"/proc/null", Out(144))[1][0])
    assert (found.st_mode, found.st_uid, found.st_gid) == (S_IFCHR | 0o600, 5, 6)
    assert (found.st_rdev, found.st_mtime, found.st_dev) == (0x103, 5, 99)
    assert rig.call("open", b"/proc/null", RW, 0) == 3
    assert rig.call("write", 3, In(b"x"), 1) == 1


def test_statfs_tells_the_kind(rig: Rig) -> None:
    found = Statfs.unpack(rig.step("statfs", b"/proc/file", Out(120))[1][0])
    assert (found.f_type, found.f_blocks) == (PROC_SUPER_MAGIC, 0)
