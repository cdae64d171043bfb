"""ioctl on any file: man 2 ioctl, man 2 ioctl_fioclex."""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest

import syscalls.handlers.ioctl  # noqa: F401
from syscalls.abi import flags as f
from syscalls.objects.file import File, OPathFile
from syscalls.objects.pipe import make_pipe
from syscalls.objects.siginfo import SigAction, bit
from syscalls.vfs.virtual import VirtualNode
from tests.syscalls.iorig import UNMAPPED, Rig
from tests.syscalls.jobs import error_of


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def t(rig: Rig) -> Any:
    return rig.task()


@pytest.fixture
def fd(rig: Rig, t: Any) -> int:
    """A regular file of 1000 bytes."""
    inode = VirtualNode(rig.server.devices.pipefs, f.S_IFREG | 0o644, 0)
    inode.attr = inode.attr._replace(size=1000, blksize=4096)
    number: int = t.files.alloc(File(inode, f.O_RDWR))
    return number


def fails(rig: Rig, t: Any, *args: int) -> int:
    return error_of(rig.call, t, "ioctl", *args)


def test_close_on_exec(rig: Rig, t: Any, fd: int) -> None:
    assert rig.call(t, "ioctl", fd, f.FIOCLEX, 0) == 0
    assert t.files.get_cloexec(fd)
    rig.call(t, "ioctl", fd, f.FIONCLEX, 0)
    assert not t.files.get_cloexec(fd)


def test_nonblocking_mode(rig: Rig, t: Any, fd: int) -> None:
    rig.call(t, "ioctl", fd, f.FIONBIO, t.mem.alloc(struct.pack("<i", 1)))
    assert t.files.get(fd).flags == f.O_RDWR | f.O_NONBLOCK
    rig.call(t, "ioctl", fd, f.FIONBIO, t.mem.alloc(4))
    assert t.files.get(fd).flags == f.O_RDWR
    assert fails(rig, t, fd, f.FIONBIO, UNMAPPED) == errno.EFAULT


def test_async_mode(rig: Rig, t: Any, fd: int) -> None:
    on = t.mem.alloc(struct.pack("<i", 1))
    assert fails(rig, t, fd, f.FIOASYNC, on) == errno.ENOTTY
    t.process.sighand.set(f.SIGIO, SigAction(handler=0x1000))
    reader, writer = make_pipe(t, 0)
    pipe = t.files.alloc(reader)
    reader.owner = t.process.pid
    rig.call(t, "ioctl", pipe, f.FIOASYNC, on)
    rig.run(writer.write(t, b"x"))
    assert t.process.pending.mask == bit(f.SIGIO)


def test_sizes_of_a_regular_file(rig: Rig, t: Any, fd: int) -> None:
    at = t.mem.alloc(8)
    t.files.get(fd).pos = 400
    rig.call(t, "ioctl", fd, f.FIONREAD, at)
    assert rig.run(t.mem.u32(at)) == 600
    t.files.get(fd).pos = 1001
    rig.call(t, "ioctl", fd, f.FIONREAD, at)
    assert rig.run(t.mem.u32(at)) == 0xFFFF_FFFF
    rig.call(t, "ioctl", fd, f.FIOQSIZE, at)
    assert rig.run(t.mem.u64(at)) == 1000
    rig.call(t, "ioctl", fd, f.FIGETBSZ, at)
    assert rig.run(t.mem.u32(at)) == 4096


def test_what_is_no_terminal_says_so(rig: Rig, t: Any, fd: int) -> None:
    reader, _ = make_pipe(t, 0)
    pipe = t.files.alloc(reader)
    for number in (fd, pipe):
        assert fails(rig, t, number, f.TCGETS, UNMAPPED) == errno.ENOTTY
        assert fails(rig, t, number, 0x12345678, 0) == errno.ENOTTY
    assert fails(rig, t, pipe, f.FIOQSIZE, UNMAPPED) == errno.ENOTTY


def test_descriptors_that_cannot_be_asked(rig: Rig, t: Any, fd: int) -> None:
    assert fails(rig, t, 77, f.FIOCLEX, 0) == errno.EBADF
    path = t.files.alloc(OPathFile(t.files.get(fd).inode, f.O_PATH))
    assert fails(rig, t, path, f.FIOCLEX, 0) == errno.EBADF
