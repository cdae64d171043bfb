"""The file system of POSIX message queues (man 7 mq_overview): one for all, mounted or not.

It is a flat directory. Files made in it are queues, and reading one shows its state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EINVAL, ENOENT, ENXIO, EPERM
from syscalls.abi.flags import (
    CLOCK_REALTIME,
    O_DIRECT,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
    S_IFMT,
    S_IFREG,
    SEEK_CUR,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SEEK_SET,
)
from syscalls.errors import SysError
from syscalls.objects.file import File
from syscalls.vfs.inode import SIZE, Attr, Inode
from syscalls.vfs.mount import Mount, Path
from syscalls.vfs.virtual import VirtualDirectory, VirtualFs, VirtualInode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linuxemu.kernel import WaitQueue
    from syscalls.objects.fdtable import FdTable
    from syscalls.objects.task import Task
    from syscalls.server import LinuxServer
    from syscalls.vfs.dentry import Dentry
    from syscalls.vfs.virtual import Entry

MQUEUE_MAGIC = 0x19800202
_PAGE = 4096
_STATUS_SIZE = 80
_ENTRY_SIZE = 20
"""What a name adds to the size of the directory."""


class MqueueFs(VirtualFs):
    """All message queues. Use `message_queues`.

    Args:
        server: the Linux server.
        dev: device number.
        now_ns: the time, since 1970.
    """

    def __init__(self, server: LinuxServer, dev: int, now_ns: int) -> None:
        super().__init__("mqueue", dev, MQUEUE_MAGIC, now_ns)
        self._server = server
        self._ahead_ns = server.port.now_ns() - now_ns
        self.limits = server.queue_limits
        self.directory = self.top = QueueDirectory(self)
        self._place: Path | None = None

    def now_ns(self) -> int:
        """The time, for what is touched."""
        ahead_ns = self._server.clock_settings.ahead_ns
        return self._server.port.now_ns() - (self._ahead_ns if ahead_ns is None else ahead_ns)

    async def place(self) -> Path:
        """Where mq_open finds queues: in a mount that nobody sees."""
        if self._place is None:
            root = await self.root_dentry()
            self._place = Path(Mount(0, self, root, 0, b"none"), root)
        return self._place


async def message_queues(t: Task) -> MqueueFs:
    """The file system of all queues."""
    server = t.server
    if server.message_queues is None:
        now_ns = await server.clock_ns(CLOCK_REALTIME)
        if server.message_queues is None:
            server.message_queues = MqueueFs(server, server.namespace.new_dev(), now_ns)
    return server.message_queues


class QueueDirectory(VirtualDirectory):
    """The one directory: everybody may make queues, and remove those of his own."""

    __slots__ = ()

    fs: MqueueFs

    def __init__(self, fs: MqueueFs) -> None:
        super().__init__(fs, mode=0o1777)
        self.attr = self.attr._replace(size=2 * _ENTRY_SIZE, blksize=_PAGE)

    async def children(self, t: Task) -> list[Entry]:
        """The queues, newest first."""
        return list(reversed(await super().children(t)))

    async def mknod(self, t: Task, name: bytes, mode: int, rdev: int, uid: int, gid: int) -> Inode:
        """Make a queue with default attributes; nothing else can be made."""
        if mode & S_IFMT != S_IFREG:
            raise SysError(EPERM)
        return self.make_queue(t, name, mode, None)

    def make_queue(self, t: Task, name: bytes, mode: int, attributes: tuple[int, int] | None) -> QueueInode:
        """Make a queue that belongs to the caller, see `QueueLimits.new_queue`.

        Args:
            t: the caller.
            name: its name, which is none yet.
            mode: permissions.
            attributes: messages that it holds and bytes of each; None for the defaults.
        """
        inode = self.entries[name] = QueueInode(self.fs, t, mode, attributes)
        self._changed(_ENTRY_SIZE)
        return inode

    async def unlink(self, t: Task, name: bytes) -> None:
        """Remove a name; the queue is gone when nobody has it open."""
        inode = self.entries.pop(name)
        assert isinstance(inode, QueueInode)
        self._changed(-_ENTRY_SIZE)
        inode.attr = inode.attr._replace(nlink=0, ctime_ns=self.fs.now_ns())
        inode.forget_unused()

    def _changed(self, size: int) -> None:
        now = self.fs.now_ns()
        attr = self.attr
        self.attr = attr._replace(size=attr.size + size, atime_ns=now, mtime_ns=now, ctime_ns=now)


class QueueInode(VirtualInode):
    """A queue as a file.

    Args:
        fs: its file system.
        t: who makes it, and owns it.
        mode: permissions.
        attributes: as for `QueueDirectory.make_queue`.
    """

    __slots__ = ("gone", "opened", "queue")

    fs: MqueueFs

    def __init__(self, fs: MqueueFs, t: Task, mode: int, attributes: tuple[int, int] | None) -> None:
        self.queue = fs.limits.new_queue(t, attributes, self.touched)
        owner = {"uid": t.creds.fsuid, "gid": t.creds.fsgid}
        super().__init__(fs, S_IFREG | mode & 0o7777, size=_STATUS_SIZE, **owner)
        self.gone = False
        """It has no name, and nobody has it open."""
        self.opened = 0
        """How often it is open, calls that wait included."""
        now = fs.now_ns()
        self.attr = self.attr._replace(blksize=_PAGE, atime_ns=now, mtime_ns=now, ctime_ns=now)

    def touched(self) -> None:
        """A message came or went."""
        now = self.fs.now_ns()
        self.attr = self.attr._replace(atime_ns=now, mtime_ns=now, ctime_ns=now)

    def looked_at(self) -> None:
        """Its state was read, or what is not a message changed."""
        now = self.fs.now_ns()
        self.attr = self.attr._replace(atime_ns=now, ctime_ns=now)

    def forget_unused(self) -> None:
        """The queue is gone once it has no name and nobody has it open."""
        if not self.opened and not self.attr.nlink:
            self.gone = True
            self.fs.limits.forget(self.queue)

    async def setattr(self, t: Task, valid: int, *, size: int = 0, **new: int) -> Attr:
        """Keep mode, owner, times, and a size, which means nothing."""
        await super().setattr(t, valid, **new)
        if valid & SIZE:
            self.attr = self.attr._replace(size=size)
        return self.attr

    async def open_regular(self, t: Task, flags: int, path: Path) -> File:
        """Open it, for messages and for its state.

        ENOENT if it is gone, and only found by one who holds a place (O_PATH) or was on the way; Linux opens it.
        """
        if self.gone:
            raise SysError(ENOENT)
        if flags & O_DIRECT:
            raise SysError(EINVAL)
        return QueueFile(self, flags, path)


class QueueFile(File):
    """An open message queue."""

    __slots__ = ()

    inode: QueueInode

    seekable = True
    can_splice = False
    flushes = True
    has_sigio = False

    def __init__(self, inode: QueueInode, flags: int, path: Path) -> None:
        super().__init__(inode, flags, path)
        inode.opened += 1

    async def read(self, t: Task, count: int) -> bytes:
        """Read on in its state."""
        data = await self.pread(t, count, self.pos)
        self.pos += len(data)
        return data

    async def pread(self, t: Task, count: int, offset: int) -> bytes:
        """Read its state as it is now."""
        data = self.inode.queue.status()[offset : offset + count]
        if data:
            self.inode.looked_at()
        return data

    async def unread(self, data: bytes) -> None:
        """Go back over what could not be delivered."""
        self.pos -= len(data)

    async def pwrite(self, t: Task, data: bytes, offset: int) -> int:
        """Messages are sent otherwise."""
        raise SysError(EINVAL)

    async def lseek(self, t: Task, offset: int, whence: int) -> int:
        """Move the position in its state; the end is where the file's size says."""
        size = self.inode.attr.size
        if whence == SEEK_CUR:
            offset += self.pos
        elif whence == SEEK_END:
            offset += size
        elif whence != SEEK_SET:
            if whence not in (SEEK_DATA, SEEK_HOLE):
                raise SysError(EINVAL)
            if not 0 <= offset < size:
                raise SysError(ENXIO)
            offset = offset if whence == SEEK_DATA else size
        if not 0 <= offset < 1 << 63:
            raise SysError(EINVAL)
        self.pos = offset
        return offset

    async def truncate(self, t: Task, size: int) -> None:
        """Set the size that fstat shows."""
        from syscalls.vfs.regular import truncate

        await truncate(t, self.inode, size)

    def poll(self) -> int:
        """Readable with messages, writable with room, however it was opened."""
        queue = self.inode.queue
        mask = POLLIN | POLLRDNORM if len(queue) else 0
        return mask if queue.full else mask | POLLOUT | POLLWRNORM

    def wait_queues(self) -> Sequence[WaitQueue]:
        """Woken when a message or room comes that nobody waited for."""
        return (self.inode.queue.polled,)

    def flush(self, table: FdTable) -> None:
        """A closed descriptor ends the notification of its process."""
        self.inode.queue.closed_in(table)

    async def release(self) -> None:
        """It is open once less."""
        self.inode.opened -= 1
        self.inode.forget_unused()


def child_of(directory: Dentry, name: bytes) -> Dentry | None:
    """The queue of a name; None if there is none."""
    assert isinstance(directory.inode, QueueDirectory)
    inode = directory.inode.entries.get(name)
    return directory.child(name, inode) if inode is not None else None
