"""File systems behind a server of the seed's six messages: open, create, close, read, write, stat.

Such a server has paths and sizes: no directories, types, owners or times. Each file is looked up by its whole
path below the mount point; nothing can be listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.messages import fs
from syscalls.abi.errno import EOPNOTSUPP, EROFS
from syscalls.abi.flags import S_IFDIR, S_IFMT, S_IFREG
from syscalls.errors import SysError
from syscalls.objects.file import DirectoryFile, File
from syscalls.vfs.filesystem import FsInfo
from syscalls.vfs.inode import SIZE, Attr, Inode
from syscalls.vfs.rpcfs import RpcFs, RpcInode

if TYPE_CHECKING:
    from linuxemu.kernel import Port
    from syscalls.objects.task import Task
    from syscalls.vfs.mount import Path

_MAGIC = 0x7365_6564
_ROOT_INO = 1


class SeedFs(RpcFs):
    """A file system of whole paths.

    Args:
        port: the Linux server's port.
        task: the file server.
        kind: type in /proc/mounts.
        dev: device number.
    """

    flat = True
    chunk = 8192
    """What the servers of that interface read at once; more overruns their buffer."""

    def __init__(self, port: Port, task: int, kind: str, dev: int) -> None:
        super().__init__(port, task, kind, dev)
        self._numbers: dict[bytes, int] = {}
        self._unused: list[tuple[Inode, int]] = []
        """Files that walks opened and their handles, until the files take them."""

    async def root(self) -> Inode:
        """The one directory there is."""
        if self._root is None:
            self._root = SeedRoot(self, _attr(_ROOT_INO, S_IFDIR | 0o755, 0))
        return self._root

    async def statfs(self, t: Task) -> FsInfo:
        """Nothing is known."""
        return FsInfo(_MAGIC, 4096, 0, 0, 0, 0, 0, 255, 0)

    def number(self, path: bytes) -> int:
        """The inode number of a path that exists."""
        return self._numbers.setdefault(path, len(self._numbers) + _ROOT_INO + 1)

    def file(self, path: bytes, size: int) -> Inode:
        """The inode of a path that exists."""
        attr = _attr(self.number(path), S_IFREG | 0o755, size)
        held = self._inodes.get(attr.ino)
        known = held() if held is not None else None
        if known is not None:
            known.attr = attr
            return known
        return self._register(SeedFile(self, attr, path))

    def opened(self, inode: Inode, handle: int) -> None:
        """A walk opened a file."""
        self._unused.append((inode, handle))

    def take_opened(self, inode: Inode) -> int | None:
        """The handle with which a walk opened a file, if it did."""
        for entry in self._unused:
            if entry[0] is inode:
                self._unused.remove(entry)
                return entry[1]
        return None

    async def close_unused(self) -> None:
        """Close what a walk opened in vain."""
        while self._unused:
            await self.close_handle(self._unused.pop()[1])

    def forget_unused(self) -> None:
        """The server counts nothing."""
        self._forgotten.clear()


class SeedRoot(Inode):
    """The directory that stands for a whole server: its entries are found by path."""

    __slots__ = ()

    fs: SeedFs

    async def lookup(self, t: Task, name: bytes) -> Inode:
        """Ask for the size: what has one exists."""
        reply = await self.fs.call(fs.Stat(_text(name)))
        return self.fs.file(name, reply.size)

    async def lookup_to_open(self, t: Task, name: bytes) -> Inode:
        """Open it: what can be opened exists. Its size stays unknown until somebody asks."""
        reply = await self.fs.call(fs.Open(_text(name)))
        found = self.fs.file(name, 0)
        self.fs.opened(found, reply.handle)
        return found

    async def mknod(self, t: Task, name: bytes, mode: int, rdev: int, uid: int, gid: int) -> Inode:
        """Make a regular file; whatever its mode is to be, the server does not keep it."""
        if mode & S_IFMT != S_IFREG:
            raise SysError(EROFS)
        handle = (await _change(self.fs, fs.Create(_text(name), False))).handle
        await self.fs.close_handle(handle)
        return self.fs.file(name, 0)

    async def mkdir(self, t: Task, name: bytes, mode: int, uid: int, gid: int) -> Inode:
        """There is no message for it."""
        raise SysError(EROFS)

    async def symlink(self, t: Task, name: bytes, target: bytes, uid: int, gid: int) -> Inode:
        """There is no message for it."""
        raise SysError(EROFS)

    async def link(self, t: Task, inode: Inode, name: bytes) -> None:
        """There is no message for it."""
        raise SysError(EROFS)

    async def unlink(self, t: Task, name: bytes) -> None:
        """There is no message for it."""
        raise SysError(EROFS)

    async def rmdir(self, t: Task, name: bytes) -> None:
        """There is no message for it."""
        raise SysError(EROFS)

    async def rename(self, t: Task, name: bytes, newdir: Inode, newname: bytes, flags: int) -> None:
        """There is no message for it."""
        raise SysError(EROFS)

    async def setattr(self, t: Task, valid: int, **_: int) -> Attr:
        """There is no message for it."""
        raise SysError(EROFS)

    async def open_directory(self, t: Task, flags: int, path: Path) -> File:
        """It can be opened, for *at calls, but not listed."""
        return SeedDirectoryFile(self, flags, path)


class SeedDirectoryFile(DirectoryFile):
    """The opened root: the interface has no way to list it."""

    __slots__ = ()

    async def records(self, t: Task, cookie: int, size: int) -> list[tuple[int, int, int, bytes]]:
        """Nothing can be said about what is in it."""
        raise SysError(EOPNOTSUPP)


class SeedFile(RpcInode):
    """A file known by its path.

    Args:
        path: below the mount point.
    """

    __slots__ = ("path",)

    fs: SeedFs

    # There is no message for extended attributes.
    getxattr = Inode.getxattr
    setxattr = Inode.setxattr
    listxattr = Inode.listxattr
    removexattr = Inode.removexattr

    def __init__(self, owner: SeedFs, attr: Attr, path: bytes) -> None:
        super().__init__(owner, attr)
        self.path = path

    async def getattr(self, t: Task) -> Attr:
        """Ask for the size; the rest is made up."""
        reply = await self.fs.call(fs.Stat(_text(self.path)))
        self.attr = self.attr._replace(size=reply.size, blocks=-(-reply.size // 512))
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
        """Nothing can be set; a size it already has, as O_TRUNC of a new file sets it, is no change."""
        if valid & ~SIZE or (await self.getattr(t)).size != size:
            raise SysError(EROFS)
        return self.attr

    async def open_regular(self, t: Task, flags: int, path: Path) -> File:
        """Open a handle by path."""
        from syscalls.vfs.regular import RegularFile

        handle = self.fs.take_opened(self)
        if handle is None:
            handle = (await self.fs.call(fs.Open(_text(self.path)))).handle
        return RegularFile(self, flags, path, handle)

    async def reopen(self, flags: int) -> int:
        """As `RpcInode.reopen`, by path."""
        handle: int = (await self.fs.port.call(self.fs.task, fs.Open(_text(self.path)))).handle
        return handle


def _attr(ino: int, mode: int, size: int) -> Attr:
    return Attr(ino, mode, 1, 0, 0, 0, size, -(-size // 512), 4096, 0, 0, 0, 0)


def _text(path: bytes) -> str:
    return "/" + path.decode(errors="surrogateescape")


async def _change(owner: SeedFs, message: fs.Create) -> fs.CreateReply:
    """A message that may change something: a server without it is read-only."""

    async def renew() -> fs.Create:
        return fs.Create(message.path, True)  # it was not there before: what is there now was made by us

    reply: fs.CreateReply
    try:
        try:
            reply = await owner.port.call(owner.task, message)
        except RpcError as error:
            reply = await owner.again(message, error, renew)
    except SysError as failure:
        raise SysError(EROFS if failure.errno == EOPNOTSUPP else failure.errno) from None
    return reply
