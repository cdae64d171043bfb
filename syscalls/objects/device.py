"""Device nodes: which driver answers for a device number (man 4 null, random, tty)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.kernel.recovery import call
from linuxemu.messages import entropy
from syscalls.abi.errno import EINVAL, EIO, ENOSPC, ENOTTY, ENXIO, EPERM
from syscalls.abi.flags import (
    ANON_INODE_FS_MAGIC,
    CAP_SYS_ADMIN,
    PIPEFS_MAGIC,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
    S_IFCHR,
    SEEK_CUR,
)
from syscalls.errors import SysError
from syscalls.objects.file import File
from syscalls.vfs.virtual import VirtualFs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode
    from syscalls.vfs.mount import Path

    Opener = Callable[[Task, Inode, int, Path | None], Awaitable[File]]

_PIPEFS_DEV = 12
_ANON_DEV = 13
_RANDOM_CHUNK = 1 << 20
_ENTROPY_BITS = 256
_RNDGETENTCNT = 0x80045200
_RNDADDTOENTCNT = 0x40045201
_RNDADDENTROPY = 0x40085203
_RNDZAPENTCNT = 0x5204
_RNDCLEARPOOL = 0x5206
_RNDRESEEDCRNG = 0x5207


def makedev(major: int, minor: int) -> int:
    """A device number as struct stat holds it (man 3 makedev)."""
    return (minor & 0xFF) | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | (major & ~0xFFF) << 32


def dev_major(dev: int) -> int:
    """The driver's number."""
    return (dev >> 8) & 0xFFF | (dev >> 32) & 0xFFFF_F000


def dev_minor(dev: int) -> int:
    """The driver's own number for the device."""
    return dev & 0xFF | (dev >> 12) & 0xFFFF_FF00


NULL_RDEV = makedev(1, 3)
"""/dev/null"""
TTY_RDEV = makedev(5, 0)
"""/dev/tty: the controlling terminal of whoever opens it."""
CONSOLE_RDEV = makedev(5, 1)
"""/dev/console: the terminal of the machine."""


class MemoryDevice(File):
    """Base of the devices of major 1: a position that moves and means nothing."""

    __slots__ = ()

    seekable = True
    can_epoll = False
    can_stream_large = True

    async def lseek(self, t: Task, offset: int, whence: int) -> int:
        """As Linux's null_lseek: the position is 0 for ever."""
        self.pos = 0
        return 0

    async def pread(self, t: Task, count: int, offset: int) -> bytes:
        """The position does not matter."""
        return await self.read(t, count)

    async def pwrite(self, t: Task, data: bytes, offset: int) -> int:
        """The position does not matter."""
        return await self.write(t, data)

    async def write(self, t: Task, data: bytes) -> int:
        """Take everything and forget it."""
        return len(data)


class NullDevice(MemoryDevice):
    """/dev/null: empty to read."""

    __slots__ = ()

    async def read(self, t: Task, count: int) -> bytes:
        """End of file."""
        return b""


class ZeroDevice(MemoryDevice):
    """/dev/zero: zeros without end."""

    __slots__ = ()

    async def read(self, t: Task, count: int) -> bytes:
        """Zeros."""
        return bytes(count)


class FullDevice(ZeroDevice):
    """/dev/full: zeros to read, and never room to write."""

    __slots__ = ()

    async def write(self, t: Task, data: bytes) -> int:
        """No space is left (man 4 full)."""
        raise SysError(ENOSPC)


class RandomDevice(MemoryDevice):
    """/dev/random and /dev/urandom (man 4 random): the entropy server never runs dry."""

    __slots__ = ()

    can_epoll = True

    async def read(self, t: Task, count: int) -> bytes:
        """Random bytes."""
        parts: list[bytes] = []
        while count > 0:
            part = await random_bytes(t, min(count, _RANDOM_CHUNK))
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def ioctl(self, t: Task, cmd: int, arg: int) -> int:
        """The pool is always full; adding to it is accepted from root and changes nothing.

        Requests that it does not know are ENOTTY, on Linux EINVAL.
        """
        if cmd == _RNDGETENTCNT:
            await t.mem.put_u32(arg, _ENTROPY_BITS)
            return 0
        if cmd in (_RNDADDTOENTCNT, _RNDADDENTROPY, _RNDZAPENTCNT, _RNDCLEARPOOL, _RNDRESEEDCRNG):
            if not t.creds.capable(CAP_SYS_ADMIN):
                raise SysError(EPERM)
            if cmd in (_RNDADDTOENTCNT, _RNDADDENTROPY) and await t.mem.u32(arg) >> 31:
                raise SysError(EINVAL)
            return 0
        raise SysError(ENOTTY)

    def poll(self) -> int:
        """Always ready."""
        return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM


class KmsgDevice(File):
    """/dev/kmsg: what is written goes nowhere, and there is no kernel log to read."""

    __slots__ = ()

    async def read(self, t: Task, count: int) -> bytes:
        """No record is there."""
        return b""

    async def write(self, t: Task, data: bytes) -> int:
        """Accept a record."""
        return len(data)

    async def lseek(self, t: Task, offset: int, whence: int) -> int:
        """Positions are only those of the log's ends."""
        if whence == SEEK_CUR or offset:
            raise SysError(EINVAL)
        return 0


async def random_bytes(t: Task, count: int) -> bytes:
    """Bytes of the entropy server, `count` of them."""
    parts: list[bytes] = []
    while count > 0:
        reply = await call(t.server.port, t.server.peers.entropy, entropy.Read(count))
        data: bytes = reply.data
        if not data:
            raise SysError(EIO)
        parts.append(data)
        count -= len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def opener(kind: type[File]) -> Opener:
    """An opener for a device that needs nothing but its file."""

    async def open_device(t: Task, inode: Inode, flags: int, path: Path | None) -> File:
        return kind(inode, flags, path)

    return open_device


async def _open_tty(t: Task, inode: Inode, flags: int, path: Path | None) -> File:
    """The terminal devices, whose module is loaded only when one is opened."""
    from syscalls.objects import tty

    return tty.open_device(t, inode, flags, path)


class DeviceTable:
    """The drivers of a machine, and what its files without a name have in common."""

    __slots__ = ("_openers", "anonfs", "lock_waits", "pipefs")

    def __init__(self) -> None:
        self.pipefs = VirtualFs("pipefs", _PIPEFS_DEV, PIPEFS_MAGIC)
        """Where the inodes of anonymous pipes and of the host's streams are."""
        self.anonfs = VirtualFs("anon_inodefs", _ANON_DEV, ANON_INODE_FS_MAGIC)
        """Where the inodes of epoll, eventfd and the like are."""
        self.lock_waits: dict[object, object] = {}
        """Who waits for whose record lock: owner -> owner, for EDEADLK."""
        self._openers: dict[int, Opener] = {
            NULL_RDEV: opener(NullDevice),
            makedev(1, 5): opener(ZeroDevice),
            makedev(1, 7): opener(FullDevice),
            makedev(1, 8): opener(RandomDevice),
            makedev(1, 9): opener(RandomDevice),
            makedev(1, 11): opener(KmsgDevice),
            TTY_RDEV: _open_tty,
            CONSOLE_RDEV: _open_tty,
        }

    def register(self, rdev: int, open_device: Opener) -> None:
        """Let a driver answer for a device number."""
        self._openers[rdev] = open_device

    async def open(self, t: Task, rdev: int, inode: Inode, flags: int, path: Path | None) -> File:
        """Open a device node; ENXIO where no driver is, which is every block device."""
        found = self._openers.get(rdev)
        if found is None or inode.kind != S_IFCHR:
            raise SysError(ENXIO)
        return await found(t, inode, flags, path)
