"""/dev: man 4 null, man 4 full, man 4 random, man 5 devtmpfs."""

from __future__ import annotations

import errno
import os
import struct
import sys
from typing import Any

import pytest

from linuxemu.messages import entropy
from syscalls.abi import flags as f
from syscalls.errors import SysError
from syscalls.fs.devfs import populate
from syscalls.objects.credentials import Credentials
from syscalls.objects.device import dev_major, dev_minor, makedev
from syscalls.objects.file import File
from syscalls.vfs.open import open_path
from syscalls.vfs.virtual import VirtualNode
from syscalls.vfs.walk import lookup
from tests.syscalls import vfs_rig
from tests.syscalls.iorig import UNMAPPED, Rig
from tests.syscalls.jobs import error_of


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def t(rig: Rig) -> Any:
    return rig.task()


def fails(rig: Any, coro: Any) -> int:
    return error_of(rig.run, coro)


def device(rig: Rig, t: Any, major: int, minor: int, kind: int = f.S_IFCHR) -> Any:
    node = VirtualNode(rig.server.devices.pipefs, kind | 0o666, makedev(major, minor))
    return rig.run(node.open(t, f.O_RDWR, None))


def test_device_numbers_are_packed_as_on_linux() -> None:
    for major, minor in ((1, 3), (5, 1), (4095, 255), (0x12345, 0x6789AB), (0, 0xFFFFF)):
        dev = makedev(major, minor)
        assert (dev_major(dev), dev_minor(dev)) == (major, minor)
        if sys.platform.startswith("linux"):
            assert dev == os.makedev(major, minor)


def test_null(rig: Rig, t: Any) -> None:
    null = device(rig, t, 1, 3)
    assert rig.run(null.read(t, 100)) == b""
    assert rig.run(null.write(t, b"gone")) == 4
    assert rig.run(null.pread(t, 5, 10)) == b""
    assert rig.run(null.pwrite(t, b"gone", 10)) == 4
    assert rig.run(null.lseek(t, 500, f.SEEK_SET)) == 0
    assert null.poll() == f.POLLIN | f.POLLOUT | f.POLLRDNORM | f.POLLWRNORM
    assert not null.can_epoll
    assert fails(rig, null.ioctl(t, f.TCGETS, UNMAPPED)) == errno.ENOTTY
    assert fails(rig, null.fsync(t, False)) == errno.EINVAL


def test_zero_and_full(rig: Rig, t: Any) -> None:
    zero, full = device(rig, t, 1, 5), device(rig, t, 1, 7)
    assert rig.run(zero.read(t, 5)) == rig.run(full.read(t, 5)) == bytes(5)
    assert rig.run(zero.write(t, b"12")) == 2
    assert fails(rig, full.write(t, b"1")) == errno.ENOSPC
    assert fails(rig, full.pwrite(t, b"1", 9)) == errno.ENOSPC


@pytest.mark.parametrize("minor", [8, 9])
def test_random(rig: Rig, t: Any, minor: int) -> None:
    counter = iter(range(1000))

    def answer(message: Any) -> Any:
        # The server may hand out less than was asked for.
        return entropy.ReadReply(bytes([next(counter)]) * min(message.len, 1 << 18))

    rig.answer = answer
    random = device(rig, t, 1, minor)
    assert rig.run(random.read(t, 3)) == b"\0\0\0"
    assert len(rig.run(random.read(t, 3_000_000))) == 3_000_000
    assert rig.run(random.read(t, 0)) == b""
    assert rig.run(random.write(t, b"seed")) == 4
    rig.answer = lambda message: entropy.ReadReply(b"")
    assert fails(rig, random.read(t, 1)) == errno.EIO


def test_random_requests(rig: Rig, t: Any) -> None:
    random = device(rig, t, 1, 9)
    at = t.mem.alloc(8)
    rig.run(random.ioctl(t, 0x80045200, at))
    assert rig.run(t.mem.u32(at)) == 256
    for cmd in (0x40045201, 0x40085203, 0x5204, 0x5206, 0x5207):
        assert rig.run(random.ioctl(t, cmd, at)) == 0
    assert fails(rig, random.ioctl(t, 0x40045201, t.mem.alloc(struct.pack("<i", -1)))) == errno.EINVAL
    assert fails(rig, random.ioctl(t, 0x1234, at)) == errno.ENOTTY
    t.creds = Credentials.user(1000, 1000)
    assert fails(rig, random.ioctl(t, 0x5204, at)) == errno.EPERM


def test_kmsg(rig: Rig, t: Any) -> None:
    kmsg = device(rig, t, 1, 11)
    assert rig.run(kmsg.write(t, b"<6>hello")) == 8
    assert rig.run(kmsg.read(t, 100)) == b""
    assert rig.run(kmsg.lseek(t, 0, f.SEEK_END)) == 0
    assert fails(rig, kmsg.lseek(t, 1, f.SEEK_SET)) == errno.EINVAL


def test_devices_that_are_not_there(rig: Rig, t: Any) -> None:
    with pytest.raises(SysError) as caught:
        device(rig, t, 99, 1)
    assert caught.value.errno == errno.ENXIO
    with pytest.raises(SysError) as caught:
        device(rig, t, 1, 3, f.S_IFBLK)
    assert caught.value.errno == errno.ENXIO


def test_drivers_can_be_added(rig: Rig, t: Any) -> None:
    async def open_it(t: Any, inode: Any, flags: int, path: Any) -> File:
        return File(inode, flags)

    rig.server.devices.register(makedev(240, 0), open_it)
    assert isinstance(device(rig, t, 240, 0), File)


def test_dev_has_the_usual_contents() -> None:
    rig = vfs_rig.Rig()
    t = rig.task
    rig.run(populate(t, rig.root.inode))
    for name, mode, rdev, gid in (
        (b"null", f.S_IFCHR | 0o666, makedev(1, 3), 0),
        (b"tty", f.S_IFCHR | 0o666, makedev(5, 0), 5),
        (b"console", f.S_IFCHR | 0o620, makedev(5, 1), 5),
        (b"urandom", f.S_IFCHR | 0o666, makedev(1, 9), 0),
        (b"shm", f.S_IFDIR | 0o1777, 0, 0),
        (b"pts", f.S_IFDIR | 0o755, 0, 0),
    ):
        attr = rig.run(rig.run(lookup(t, f.AT_FDCWD, b"/" + name)).inode.getattr(t))
        assert (attr.mode, attr.rdev, attr.gid, attr.uid) == (mode, rdev, gid, 0), name
    link = rig.run(lookup(t, f.AT_FDCWD, b"/stdin", follow=False)).inode
    assert rig.run(link.readlink(t)) == b"/proc/self/fd/0"
    null = rig.run(open_path(t, f.AT_FDCWD, b"/null", f.O_RDWR | f.O_TRUNC, 0))
    assert rig.run(null.write(t, b"x")) == 1


def test_files_can_be_made_in_dev() -> None:
    rig = vfs_rig.Rig()
    t = rig.task
    rig.run(populate(t, rig.root.inode))
    shm = rig.run(open_path(t, f.AT_FDCWD, b"/shm/segment", f.O_RDWR | f.O_CREAT, 0o600))
    assert rig.run(shm.write(t, b"shared")) == 6
    assert rig.run(shm.pread(t, 10, 0)) == b"shared"
