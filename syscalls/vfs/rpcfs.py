"""File systems that a server keeps: inode operations as messages of namespace fsx."""

from __future__ import annotations

from _weakref import ref
from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NOT_ACCEPTABLE
from linuxemu.kernel.recovery import call, call_again
from linuxemu.messages import fs, fsx
from syscalls.abi.errno import EEXIST, EOPNOTSUPP
from syscalls.abi.flags import MS_NODIRATIME, O_ACCMODE, O_NOATIME, S_IFMT, S_IFREG
from syscalls.errors import SysError
from syscalls.objects.file import DirectoryFile, File
from syscalls.vfs.filesystem import FileSystem, FsInfo, errno_of
from syscalls.vfs.handle import handle_again
from syscalls.vfs.inode import CTIME, MTIME, SIZE, Attr, Inode
from syscalls.vfs.listing import relist, unpack_records
from syscalls.vfs.regular import RegularFile, touch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Any

    from linuxemu.kernel import Port
    from linuxemu.messages import Message
    from syscalls.objects.task import Task
    from syscalls.vfs.dentry import Dentry
    from syscalls.vfs.listing import Listing
    from syscalls.vfs.mount import Path

_KEPT = 512
_FORGET_BATCH = 32
_TMPFILE_TRIES = 100
_LONGEST_RECORD = 19 + 255


# The fields of a reply, taken over as they are.
_new = tuple.__new__


class _InodeRef(ref["Inode"]):
    """Weak reference to a known inode, with the references the server counts for it."""

    __slots__ = ("ino", "nlookup")

    ino: int
    nlookup: int


class RpcFs(FileSystem):
    """A file system behind a server that answers fsx.

    Args:
        port: the Linux server's port.
        task: the file server.
        kind: type in /proc/mounts.
        dev: device number.
        readonly: the server refuses every change.
    """

    multigrain = True
    chunk = 256 * 1024
    """Most bytes of one fs.read or fs.write message."""

    def __init__(self, port: Port, task: int, kind: str, dev: int, *, readonly: bool = False) -> None:
        super().__init__(kind, dev, readonly=readonly)
        self.port = port
        self.task = task
        self._inodes: dict[int, _InodeRef] = {}
        self._forgotten: list[tuple[int, int]] = []
        self._kept: dict[Dentry, None] = {}
        self._root: Inode | None = None
        self._tmpfiles = 0
        self.relatime = kind in ("tmpfs", "overlay")
        """Reading a file sets its access time through `setattr`; other servers see to it themselves."""

    async def call(self, message: Any) -> Any:
        """Ask the server; its errors become the guest's."""
        try:
            return await self.port.call(self.task, message)
        except RpcError as error:
            return await self.again(message, error)

    async def again(
        self, message: Message, error: RpcError, renew: Callable[[], Awaitable[Message]] | None = None
    ) -> Any:
        """Make a request again that failed because the server died; any other error becomes the guest's."""
        try:
            return await call_again(self.port, self.task, message, error, renew)
        except RpcError as failure:
            raise SysError(errno_of(failure.code)) from None

    async def root(self) -> Inode:
        """The root directory."""
        if self._root is None:
            self._root = RpcInode(self, Attr._make(await self.call(fsx.Root())))
        return self._root

    async def statfs(self, t: Task) -> FsInfo:
        """Ask the server."""
        self.forget_unused()
        return FsInfo._make(await self.call(fsx.Statfs()))

    def inode(self, attributes: Iterable[int]) -> Inode:
        """The inode of a reply that counted a reference: the known one, or a new one."""
        attr = _new(Attr, attributes)
        held = self._inodes.get(attr[0])
        if held is not None:
            known = held()
            if known is not None and known.kind == attr[1] & S_IFMT:
                held.nlookup += 1
                known.attr = attr
                return known
        elif self._root is not None and attr[0] == self._root.ino:
            return self._root
        return self._register(RpcInode(self, attr))

    def _register(self, made: Inode) -> Inode:
        held = _InodeRef(made, self._gone)
        held.ino = made.ino
        held.nlookup = 1
        self._inodes[made.ino] = held
        return made

    def _gone(self, held: _InodeRef) -> None:
        # Runs wherever the last reference goes: only take a note, send nothing.
        self._forgotten.append((held.ino, held.nlookup))
        if self._inodes.get(held.ino) is held:
            del self._inodes[held.ino]

    def keep(self, dentry: Dentry) -> None:
        """Hold a dentry that a walk came through for a while, so that the next one need not make it again."""
        kept = self._kept
        if dentry not in kept:
            kept[dentry] = None
            if len(kept) > _KEPT:
                del kept[next(iter(kept))]
        if len(self._forgotten) >= _FORGET_BATCH:
            self.forget_unused()

    def drop(self, dentry: Dentry | None) -> None:
        """Hold a dentry no longer: it was removed, and its room is to be free as soon as nobody uses it."""
        if dentry is not None:
            self._kept.pop(dentry, None)

    async def close_handle(self, handle: int) -> None:
        """Give a handle back; servers of the seed never answer fs.close usefully, so errors count for nothing."""
        try:
            await self.port.call(self.task, _new(fs.Close, (handle,)))
        except RpcError:
            pass
        if self._forgotten:
            self.forget_unused()

    def forget_unused(self) -> None:
        """Send the forget messages that have gathered."""
        forgotten = self._forgotten
        while forgotten:
            message = fsx.Forget(*forgotten.pop())
            try:
                self.port.post(self.task, message)
            except RpcError:
                forgotten.append(tuple(message))
                return  # the server is being started again and hears of it next time

    def umounted(self) -> None:
        """Nobody looks at it any more."""
        self._kept.clear()
        self.forget_unused()

    def tmpfile_name(self) -> bytes:
        """A name that nobody uses, for the moment between making and unlinking an O_TMPFILE file."""
        self._tmpfiles += 1
        return b".#linuxemu-tmpfile-%d" % self._tmpfiles


class RpcInode(Inode):
    """An inode of an `RpcFs`."""

    __slots__ = ()

    fs: RpcFs

    async def getattr(self, t: Task) -> Attr:
        """Ask the server."""
        owner = self.fs
        message = _new(fsx.Getattr, (self.ino,))
        try:
            attr = _new(Attr, await owner.port.call(owner.task, message))
        except RpcError as error:
            attr = _new(Attr, await owner.again(message, error))
        self.attr = attr
        return attr

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
        """Change the attributes at the server; mapped pages beyond a new end go."""
        message = fsx.Setattr(self.ino, valid, mode, uid, gid, size, atime_ns, mtime_ns, ctime_ns)
        self.attr = Attr._make(await self.fs.call(message))
        if valid & SIZE and self.pages is not None:
            self.pages.truncate(size)
        return self.attr

    async def lookup(self, t: Task, name: bytes) -> Inode:
        """Ask the server for an entry."""
        owner = self.fs
        message = _new(fsx.Lookup, (self.ino, name))
        try:
            reply = await owner.port.call(owner.task, message)
        except RpcError as error:
            reply = await owner.again(message, error)
        return owner.inode(reply)

    async def mknod(self, t: Task, name: bytes, mode: int, rdev: int, uid: int, gid: int) -> Inode:
        """Make a file that is no directory and no link."""
        return self.fs.inode(await self.fs.call(fsx.Mknod(self.ino, mode, rdev, uid, gid, name)))

    async def mkdir(self, t: Task, name: bytes, mode: int, uid: int, gid: int) -> Inode:
        """Make a directory."""
        return self.fs.inode(await self.fs.call(fsx.Mkdir(self.ino, mode, uid, gid, name)))

    async def symlink(self, t: Task, name: bytes, target: bytes, uid: int, gid: int) -> Inode:
        """Make a symbolic link."""
        return self.fs.inode(await self.fs.call(fsx.Symlink(self.ino, uid, gid, name + b"\0" + target)))

    async def link(self, t: Task, inode: Inode, name: bytes) -> None:
        """Give an inode one more name."""
        self.fs.inode(await self.fs.call(fsx.Link(inode.ino, self.ino, name)))

    async def tmpfile(self, t: Task, mode: int, uid: int, gid: int) -> Inode:
        """Make a file under a name of its own and take the name away: fsx has nothing better.

        The directory was looked at just before; it gets its times back.
        """
        before = self.attr
        for _ in range(_TMPFILE_TRIES):
            name = self.fs.tmpfile_name()
            try:
                made = await self.mknod(t, name, S_IFREG | mode & 0o7777, 0, uid, gid)
            except SysError as error:
                if error.errno != EEXIST:
                    raise
                continue
            await self.unlink(t, name)
            await self.setattr(t, MTIME | CTIME, mtime_ns=before.mtime_ns, ctime_ns=before.ctime_ns)
            made.linkable = True
            return made
        raise SysError(EEXIST)

    async def unlink(self, t: Task, name: bytes) -> None:
        """Remove a name."""
        await self.fs.call(fsx.Unlink(self.ino, name))
        self.fs.forget_unused()

    async def rmdir(self, t: Task, name: bytes) -> None:
        """Remove an empty directory."""
        await self.fs.call(fsx.Rmdir(self.ino, name))
        self.fs.forget_unused()

    async def rename(self, t: Task, name: bytes, newdir: Inode, newname: bytes, flags: int) -> None:
        """Move an entry."""
        await self.fs.call(fsx.Rename(self.ino, newdir.ino, flags, name + b"\0" + newname))
        self.fs.forget_unused()

    async def readlink(self, t: Task) -> bytes:
        """Ask the server."""
        reply = await self.fs.call(fsx.Readlink(self.ino))
        target: bytes = reply.target
        return target

    async def getxattr(self, t: Task, name: bytes) -> bytes:
        """Ask the server."""
        reply = await self.fs.call(fsx.Getxattr(self.ino, name))
        value: bytes = reply.value
        return value

    async def setxattr(self, t: Task, name: bytes, value: bytes, flags: int) -> None:
        """Set it at the server."""
        await self.fs.call(fsx.Setxattr(self.ino, flags, name + b"\0" + value))

    async def listxattr(self, t: Task) -> list[bytes]:
        """Ask the server; one that knows nothing of extended attributes has none."""
        try:
            reply = await self.fs.call(fsx.Listxattr(self.ino))
        except SysError as error:
            if error.errno != EOPNOTSUPP:
                raise
            return []
        names: bytes = reply.names
        return names.split(b"\0")[:-1]

    async def removexattr(self, t: Task, name: bytes) -> None:
        """Remove it at the server."""
        await self.fs.call(fsx.Removexattr(self.ino, name))

    async def open_regular(self, t: Task, flags: int, path: Path) -> File:
        """Open a handle at the server."""
        owner = self.fs
        message = _new(fsx.Open, (self.ino, flags & O_ACCMODE))
        try:
            reply = await owner.port.call(owner.task, message)
        except RpcError as error:
            reply = await owner.again(message, error)
        return RegularFile(self, flags, path, reply[0])

    async def open_directory(self, t: Task, flags: int, path: Path) -> File:
        """Open a handle at the server."""
        reply = await self.fs.call(fsx.Open(self.ino, flags & O_ACCMODE))
        return RpcDirectoryFile(self, flags, path, reply.handle)

    async def reopen(self, flags: int) -> int:
        """Another handle for a file that was opened with `flags`, for the server that gave the first has died.

        Raises:
            RpcError: what the server says.
        """
        owner = self.fs
        handle: int = (await owner.port.call(owner.task, fsx.Open(self.ino, flags & O_ACCMODE))).handle
        return handle


class RpcDirectoryFile(DirectoryFile):
    """An opened directory of an `RpcFs`.

    Args:
        handle: the server's handle.
    """

    __slots__ = ("_listing", "_read", "handle")

    inode: RpcInode

    def __init__(self, inode: RpcInode, flags: int, path: Path, handle: int) -> None:
        super().__init__(inode, flags, path)
        self.handle = handle
        self._read: list[bytes] = []
        """What came of the server since the directory was read from its start."""
        self._listing: Listing | None = None
        """All there is to read, after the server died in the middle."""

    @property
    def _nodiratime(self) -> bool:
        return self.path is not None and self.path.mount.flags & MS_NODIRATIME != 0

    async def records(self, t: Task, cookie: int, size: int) -> list[tuple[int, int, int, bytes]]:
        """Ask the server for the next records."""
        owner = self.inode.fs
        if cookie == 0:
            self._read.clear()
            self._listing = None
            if owner.relatime and not self.flags & O_NOATIME and not self._nodiratime:
                await touch(t, self.inode, self.path)
        elif self._listing is not None:
            return self._listing.after(cookie)
        message = fsx.Readdir(self.handle, cookie, min(max(size, _LONGEST_RECORD), owner.chunk))
        try:
            packed = (await owner.port.call(owner.task, message)).entries
        except RpcError as error:
            packed = (await handle_again(self, message, error)).entries
            if cookie and self.handle != message.handle:
                self._listing = await relist(self, self._read)
                return self._listing.after(cookie)
        self._read.append(packed)
        return unpack_records(packed)

    async def fsync(self, t: Task, datasync: bool) -> None:
        """Ask the server to store the directory."""
        message = fsx.Fsync(self.handle, datasync)
        try:
            await self.inode.fs.port.call(self.inode.fs.task, message)
        except RpcError as error:
            await handle_again(self, message, error)

    async def release(self) -> None:
        """Close the handle."""
        await self.inode.fs.close_handle(self.handle)


async def file_system_of(port: Port, task: int, kind: str, dev: int, *, readonly: bool = False) -> FileSystem:
    """The file system of a server: by inode if it answers fsx, else by path with the seed's messages alone.

    Args:
        port: the Linux server's port.
        task: the file server.
        kind: type in /proc/mounts.
        dev: device number, from `MountNamespace.new_dev`.
        readonly: nothing in it can change.
    """
    found = RpcFs(port, task, kind, dev, readonly=readonly)
    try:
        await call(port, task, fsx.Root())
    except RpcError as error:
        if error.code != ERR_NOT_ACCEPTABLE:
            raise
        from syscalls.vfs.seedfs import SeedFs

        return SeedFs(port, task, kind, dev)
    return found
