"""Parts of file systems that this server makes up itself: /proc, /sys, /dev.

Subclass or construct `VirtualDirectory`, `VirtualFile`, `VirtualLink` and `VirtualNode` below a `VirtualFs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EACCES, EINVAL, EIO, ENOENT, ESPIPE
from syscalls.abi.flags import CLOCK_REALTIME, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from syscalls.errors import SysError
from syscalls.objects.file import DirectoryFile, File, seek_plainly
from syscalls.vfs.filesystem import FileSystem, FsInfo
from syscalls.vfs.inode import ATIME, CTIME, GID, MODE, MTIME, UID, Attr, Inode
from syscalls.vfs.mutex import Mutex

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.objects.task import Task
    from syscalls.vfs.mount import Path

    Entry = tuple[bytes, int, int]
    """Name, inode number, DT_ type."""
    Content = Callable[[Task], Awaitable[bytes]]
    Store = Callable[[Task, bytes, int], Awaitable[int]]

_PAGE = 4096


class VirtualFs(FileSystem):
    """A file system made up by this server. Set `top` to its root directory.

    Args:
        kind: type in /proc/mounts.
        dev: device number.
        magic: f_type of statfs, such as PROC_SUPER_MAGIC.
        time_ns: the times of its files, since 1970.
    """

    def __init__(self, kind: str, dev: int, magic: int, time_ns: int = 0) -> None:
        super().__init__(kind, dev)
        self.fixed = kind == "proc"
        self.magic = magic
        self.time_ns = time_ns
        self.top: VirtualDirectory
        self._next_ino = 1

    def new_ino(self) -> int:
        """An inode number nobody had yet."""
        self._next_ino += 1
        return self._next_ino

    async def root(self) -> Inode:
        """The root directory."""
        return self.top

    async def statfs(self, t: Task) -> FsInfo:
        """No blocks, no limits."""
        return FsInfo(self.magic, _PAGE, 0, 0, 0, 0, 0, 255, 0)


class VirtualInode(Inode):
    """Base of the inodes that this server makes up; mode, owner and times can be changed and are kept.

    Args:
        fs: its file system.
        mode: type and permission bits.
        ino: inode number; 0: a new one.
    """

    __slots__ = ()

    def __init__(
        self,
        fs: VirtualFs,
        mode: int,
        *,
        ino: int = 0,
        uid: int = 0,
        gid: int = 0,
        nlink: int = 1,
        rdev: int = 0,
        size: int = 0,
    ) -> None:
        now = fs.time_ns
        attr = Attr(ino or fs.new_ino(), mode, nlink, uid, gid, rdev, size, 0, 1024, now, now, now, 0)
        super().__init__(fs, attr)

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
        """Keep mode, owner and times; a size is accepted and ignored, as in /proc."""
        attr = self.attr
        self.attr = attr._replace(
            mode=attr.mode & S_IFMT | mode & 0o7777 if valid & MODE else attr.mode,
            uid=uid if valid & UID else attr.uid,
            gid=gid if valid & GID else attr.gid,
            atime_ns=atime_ns if valid & ATIME else attr.atime_ns,
            mtime_ns=mtime_ns if valid & MTIME else attr.mtime_ns,
            ctime_ns=ctime_ns if valid & CTIME else attr.ctime_ns,
        )
        return await self.getattr(t)


class VirtualDirectory(VirtualInode):
    """A directory that is made up. Give it `entries`, or override `child` and `children` for computed ones.

    Args:
        entries: fixed contents; may be changed later.
    """

    __slots__ = ("entries",)

    def __init__(
        self,
        fs: VirtualFs,
        entries: dict[bytes, Inode] | None = None,
        mode: int = 0o555,
        *,
        ino: int = 0,
        uid: int = 0,
        gid: int = 0,
    ) -> None:
        super().__init__(fs, S_IFDIR | mode, ino=ino, uid=uid, gid=gid, nlink=2)
        self.entries: dict[bytes, Inode] = {} if entries is None else entries

    async def child(self, t: Task, name: bytes) -> Inode | None:
        """The entry `name`, or None. Return the same object for the same thing where its identity matters."""
        return self.entries.get(name)

    async def children(self, t: Task) -> list[Entry]:
        """What a listing shows: name, inode number, DT_ type. The order should be stable."""
        return [(name, inode.ino, inode.kind >> 12) for name, inode in self.entries.items()]

    async def lookup(self, t: Task, name: bytes) -> Inode:
        """Find an entry through `child`."""
        inode = await self.child(t, name)
        if inode is None:
            raise SysError(ENOENT)
        return inode

    async def open_directory(self, t: Task, flags: int, path: Path) -> File:
        """Open for listing."""
        return VirtualDirectoryFile(self, flags, path)


class VirtualDirectoryFile(DirectoryFile):
    """An opened made-up directory: a snapshot of its entries from the start to the end of a listing."""

    __slots__ = ("_listing",)

    def __init__(self, inode: VirtualDirectory, flags: int, path: Path) -> None:
        super().__init__(inode, flags, path)
        self._listing: list[Entry] | None = None

    async def records(self, t: Task, cookie: int, size: int) -> list[tuple[int, int, int, bytes]]:
        """Entries from a snapshot; the cookie is an index into it."""
        if cookie == 0 or self._listing is None:
            inode = self.inode
            assert isinstance(inode, VirtualDirectory)
            self._listing = await inode.children(t)
        # No record takes less than 24 bytes.
        some = self._listing[cookie : cookie + size // 24 + 1]
        return [(ino, cookie + index, kind, name) for index, (name, ino, kind) in enumerate(some, 1)]


class VirtualFile(VirtualInode):
    """A regular file whose contents are made when it is read.

    Args:
        make: returns the contents; called at the first read and again after going back to the start.
        store: takes what was written and its offset, returns how much it accepted; None: writing fails.
        can_splice: splice and sendfile know it, see `File.can_splice`.
        can_pwrite: pwrite knows it, ESPIPE for others; None: if it has `store`.
        allow: who may open it, whatever the permission bits say: EACCES for others; None: everybody.
    """

    __slots__ = ("allow", "can_pwrite", "can_splice", "make", "store")

    def __init__(
        self,
        fs: VirtualFs,
        make: Content,
        mode: int = 0o444,
        *,
        store: Store | None = None,
        can_splice: bool = True,
        can_pwrite: bool | None = None,
        allow: Callable[[Task], bool] | None = None,
        ino: int = 0,
        uid: int = 0,
        gid: int = 0,
    ) -> None:
        super().__init__(fs, S_IFREG | mode, ino=ino, uid=uid, gid=gid)
        self.make = make
        self.store = store
        self.can_splice = can_splice
        self.can_pwrite = store is not None if can_pwrite is None else can_pwrite
        self.allow = allow

    async def open_regular(self, t: Task, flags: int, path: Path) -> File:
        """Open for reading and writing."""
        if self.allow is not None and not self.allow(t):
            raise SysError(EACCES)
        return VirtualOpenFile(self, flags, path)


class VirtualOpenFile(File):
    """An opened made-up file: the reader sees one snapshot from start to end (as with seq_file in Linux)."""

    __slots__ = ("_content", "lock")

    seekable = True

    def __init__(self, inode: VirtualFile, flags: int, path: Path) -> None:
        super().__init__(inode, flags, path)
        self._content: bytes | None = None
        self.lock = Mutex()

    @property
    def can_splice(self) -> bool:  # type: ignore[override]
        """As the file says."""
        assert isinstance(self.inode, VirtualFile)
        return self.inode.can_splice

    async def read(self, t: Task, count: int) -> bytes:
        """Read on in the snapshot."""
        await self.lock.acquire(t)
        try:
            data = await self.pread(t, count, self.pos)
            self.pos += len(data)
            return data
        finally:
            self.lock.release()

    async def pread(self, t: Task, count: int, offset: int) -> bytes:
        """Read from the snapshot; offset 0 makes a new one."""
        if offset == 0 or self._content is None:
            assert isinstance(self.inode, VirtualFile)
            self._content = await self.inode.make(t)
        return self._content[offset : offset + count]

    async def unread(self, data: bytes) -> None:
        """Go back over what could not be delivered."""
        self.pos -= len(data)

    async def write(self, t: Task, data: bytes) -> int:
        """Hand the bytes to whoever keeps the value."""
        await self.lock.acquire(t)
        try:
            written = await self._store(t, data, self.pos)
            self.pos += written
            return written
        finally:
            self.lock.release()

    async def pwrite(self, t: Task, data: bytes, offset: int) -> int:
        """Hand the bytes to whoever keeps the value."""
        assert isinstance(self.inode, VirtualFile)
        if not self.inode.can_pwrite:
            raise SysError(ESPIPE)
        return await self._store(t, data, offset)

    async def _store(self, t: Task, data: bytes, offset: int) -> int:
        assert isinstance(self.inode, VirtualFile)
        if self.inode.store is None:
            raise SysError(EIO if self.can_splice else EINVAL)
        self._content = None
        return await self.inode.store(t, data, offset)

    async def truncate(self, t: Task, size: int) -> None:
        """Accepted: the contents are what they are."""

    async def lseek(self, t: Task, offset: int, whence: int) -> int:
        """Move in the snapshot; its end is unknown, so SEEK_END fails as for /proc files."""
        return seek_plainly(self, offset, whence)


class VirtualLink(VirtualInode):
    """A symbolic link whose target is computed.

    Args:
        target: returns the text of the link.
        jump: for a magic link, returns where it leads whatever its text says (man 5 proc_pid_fd).
    """

    __slots__ = ("jump", "target")

    def __init__(
        self,
        fs: VirtualFs,
        target: Content,
        *,
        jump: Callable[[Task], Awaitable[Path]] | None = None,
        mode: int = 0o777,
        ino: int = 0,
        uid: int = 0,
        gid: int = 0,
    ) -> None:
        super().__init__(fs, S_IFLNK | mode, ino=ino, uid=uid, gid=gid)
        self.target = target
        self.jump = jump

    async def readlink(self, t: Task) -> bytes:
        """The text of the link."""
        return await self.target(t)

    async def follow(self, t: Task) -> Path | None:
        """The place itself, for a magic link."""
        return await self.jump(t) if self.jump is not None else None


class VirtualNode(VirtualInode):
    """A device node, FIFO or socket: opened through the table of devices (`Inode.open`).

    Args:
        mode: type (S_IFCHR ...) and permission bits.
        rdev: device number, as in struct stat.
    """

    __slots__ = ()

    def __init__(self, fs: VirtualFs, mode: int, rdev: int, *, uid: int = 0, gid: int = 0) -> None:
        super().__init__(fs, mode, rdev=rdev, uid=uid, gid=gid)


class StreamNode(VirtualNode):
    """The inode of a pipe or stream without a name: its times are those of its making until somebody sets them.

    Args:
        t: who makes it, and owns it.
        mode: type and permission bits.
        rdev: device number.
    """

    __slots__ = ("_made_ns",)

    def __init__(self, t: Task, mode: int, rdev: int = 0) -> None:
        super().__init__(t.server.devices.pipefs, mode, rdev, uid=t.creds.fsuid, gid=t.creds.fsgid)
        self.attr = self.attr._replace(blksize=_PAGE)
        self._made_ns: int | None = t.server.port.now_ns()

    async def getattr(self, t: Task) -> Attr:
        """The attributes. The date is asked for when somebody wants to know: hardly any pipe is ever looked at."""
        made_ns = self._made_ns
        if made_ns is not None:
            server = t.server
            date = await server.clock_ns(CLOCK_REALTIME) - (server.port.now_ns() - made_ns)
            self.attr = self.attr._replace(atime_ns=date, mtime_ns=date, ctime_ns=date)
            self._made_ns = None
        return self.attr

    async def setattr(self, t: Task, valid: int, **new: int) -> Attr:
        """See `VirtualInode`."""
        await self.getattr(t)
        return await super().setattr(t, valid, **new)
