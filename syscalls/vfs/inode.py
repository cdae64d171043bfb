"""Inodes: the files of a mounted file system, apart from their names (man 7 inode)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from syscalls.abi.errno import (
    EACCES,
    EINVAL,
    ELOOP,
    ENOENT,
    ENOTDIR,
    ENXIO,
    EOPNOTSUPP,
    EPERM,
    EXDEV,
)
from syscalls.abi.flags import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG
from syscalls.errors import SysError
from syscalls.vfs.mutex import Mutex

if TYPE_CHECKING:
    from typing import Any

    from syscalls.objects.file import File
    from syscalls.objects.locks import FileLocks
    from syscalls.objects.task import Task
    from syscalls.vfs.filesystem import FileSystem
    from syscalls.vfs.mount import Path


MODE = 1
"""`Inode.setattr` valid bits, as in message fsx.setattr."""
UID = 2
GID = 4
SIZE = 8
ATIME = 16
MTIME = 32
CTIME = 64


class Attr(NamedTuple):
    """What a file system knows of an inode: the fields of fsx replies, in order. Times count from 1970."""

    ino: int
    mode: int
    nlink: int
    uid: int
    gid: int
    rdev: int
    size: int
    blocks: int
    """512-byte units."""
    blksize: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int
    version: int
    """Changes when the contents change; 0: unknown."""


class Inode:
    """A file, directory, link or special file of a mounted file system.

    The same (file system, number) is the same object as long as anybody holds it, so state of this server
    hangs off it: cached pages, the pipe of a FIFO, locks. The defaults refuse as Linux does for a file system
    without the operation.

    Args:
        fs: the mounted file system.
        attr: what it said of the inode.
    """

    __slots__ = (
        "__weakref__",
        "_mutex",
        "attr",
        "deny_write",
        "fs",
        "ino",
        "kind",
        "linkable",
        "locks",
        "pages",
        "pipe",
        "removed",
        "seals",
        "writers",
    )

    def __init__(self, fs: FileSystem, attr: Attr) -> None:
        self.fs = fs
        self.ino = attr.ino
        self.kind = attr.mode & S_IFMT
        self.attr = attr
        """The attributes seen last; `getattr` asks anew."""
        self.pages: Any = None
        """The page cache of a mapped file (`syscalls.vfs.pagecache`)."""
        self.pipe: Any = None
        """The pipe of an opened FIFO (`syscalls.objects.pipe`)."""
        self.locks: FileLocks | None = None
        """Advisory locks: fcntl and flock."""
        self.deny_write = 0
        """How often it is being executed: opening for writing is ETXTBSY."""
        self.writers = 0
        """How often it is open for writing: executing it is ETXTBSY."""
        self.removed = False
        """A directory that was removed: nothing can be made in it."""
        self.linkable = False
        """Made with O_TMPFILE: linkat may give it its first name."""
        self.seals: int | None = None
        """F_SEAL_* bits (`syscalls.vfs.seals`); None unless it was made by memfd_create."""
        self._mutex: Mutex | None = None

    @property
    def mutex(self) -> Mutex:
        """Held while the size is read and then acted upon (O_APPEND)."""
        if self._mutex is None:
            self._mutex = Mutex()
        return self._mutex

    async def getattr(self, t: Task) -> Attr:
        """The attributes now."""
        return self.attr

    async def setattr(
        self,
        t: Task,
        valid: int,
        *,
        mode: int = 0,
        uid: int = 0,
        gid: int = 0,
        size: int = 0,
        atime_ns: int = 0,
        mtime_ns: int = 0,
        ctime_ns: int = 0,
    ) -> Attr:
        """Change the attributes that `valid` names; permissions were checked before."""
        raise SysError(EPERM)

    async def lookup(self, t: Task, name: bytes) -> Inode:
        """The entry `name` of a directory; ENOENT if there is none."""
        raise SysError(ENOTDIR)

    async def lookup_to_open(self, t: Task, name: bytes) -> Inode:
        """The same, and the caller is about to open what is found; only a flat file system makes a difference."""
        return await self.lookup(t, name)

    async def mknod(self, t: Task, name: bytes, mode: int, rdev: int, uid: int, gid: int) -> Inode:
        """Make a file of any type but directory and link (man 2 mknod, O_CREAT)."""
        raise SysError(EACCES if mode & S_IFMT == S_IFREG else EPERM)

    async def mkdir(self, t: Task, name: bytes, mode: int, uid: int, gid: int) -> Inode:
        """Make a directory."""
        raise SysError(EPERM)

    async def symlink(self, t: Task, name: bytes, target: bytes, uid: int, gid: int) -> Inode:
        """Make a symbolic link."""
        raise SysError(EPERM)

    async def link(self, t: Task, inode: Inode, name: bytes) -> None:
        """Make `name` in this directory one more name of `inode`, which is of the same file system."""
        raise SysError(EPERM)

    async def tmpfile(self, t: Task, mode: int, uid: int, gid: int) -> Inode:
        """Make a regular file without a name in this directory's file system (O_TMPFILE)."""
        raise SysError(EOPNOTSUPP)

    async def unlink(self, t: Task, name: bytes) -> None:
        """Remove a name of something that is no directory."""
        raise SysError(EPERM)

    async def rmdir(self, t: Task, name: bytes) -> None:
        """Remove an empty directory."""
        raise SysError(EPERM)

    async def rename(self, t: Task, name: bytes, newdir: Inode, newname: bytes, flags: int) -> None:
        """Move an entry of this directory to `newdir`, of the same file system (man 2 renameat2)."""
        raise SysError(EPERM if newdir.fs is self.fs else EXDEV)

    async def readlink(self, t: Task) -> bytes:
        """The target of a symbolic link."""
        raise SysError(EINVAL)

    async def getxattr(self, t: Task, name: bytes) -> bytes:
        """The value of an extended attribute; permissions were checked (man 7 xattr)."""
        raise SysError(EOPNOTSUPP)

    async def setxattr(self, t: Task, name: bytes, value: bytes, flags: int) -> None:
        """Set an extended attribute; `flags` are XATTR_CREATE and XATTR_REPLACE."""
        raise SysError(EOPNOTSUPP)

    async def listxattr(self, t: Task) -> list[bytes]:
        """The names of all extended attributes, whoever may see them."""
        return []

    async def removexattr(self, t: Task, name: bytes) -> None:
        """Remove an extended attribute."""
        raise SysError(EOPNOTSUPP)

    async def follow(self, t: Task) -> Path | None:
        """Where a magic link of /proc leads directly; None for a link whose `readlink` text counts."""
        return None

    async def open(self, t: Task, flags: int, path: Path) -> File:
        """Open it: permissions were checked, `flags` are access mode and status flags."""
        kind = self.kind
        if kind == S_IFREG:
            return await self.open_regular(t, flags, path)
        if kind == S_IFDIR:
            return await self.open_directory(t, flags, path)
        if kind == S_IFIFO:
            from syscalls.objects.pipe import open_fifo

            fifo: File = await open_fifo(t, self, flags, path)
            return fifo
        if kind in (S_IFCHR, S_IFBLK):
            device: File = await t.server.devices.open(t, self.attr.rdev, self, flags, path)
            return device
        raise SysError(ELOOP if kind == S_IFLNK else ENXIO)

    async def open_regular(self, t: Task, flags: int, path: Path) -> File:
        """Open a regular file."""
        raise SysError(EINVAL)

    async def open_directory(self, t: Task, flags: int, path: Path) -> File:
        """Open a directory for reading its entries."""
        raise SysError(ENOENT)
