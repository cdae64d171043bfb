"""Open file descriptions: what a file descriptor refers to (man 2 open, "Open file descriptions").

`File` is the base of everything that has a descriptor. `DirectoryFile` is the base of opened directories and
`OPathFile` what O_PATH makes; regular files are in `syscalls.vfs.regular`, pipes, terminals and devices in
modules of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EINVAL, EISDIR, ENODEV, ENOENT, ENOTDIR, ENOTTY, EOPNOTSUPP, ESPIPE
from syscalls.abi.flags import (
    DT_DIR,
    O_ACCMODE,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    POLLIN,
    POLLNVAL,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
    S_IFDIR,
    S_IFIFO,
    S_IFREG,
    SEEK_CUR,
    SEEK_SET,
)
from syscalls.errors import SysError
from syscalls.vfs.mutex import Mutex

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from linuxemu.kernel import WaitQueue
    from syscalls.objects.credentials import Credentials
    from syscalls.objects.fdtable import FdTable
    from syscalls.objects.task import Task
    from syscalls.vfs.filesystem import FsInfo
    from syscalls.vfs.inode import Attr, Inode
    from syscalls.vfs.mount import Path

    PackEntry = Callable[[int, int, int, bytes], bytes]
    """Makes a directory record of (inode number, next position, DT_ type, name)."""

READ = 1
"""`File.access` bit: open for reading."""
WRITE = 2
"""`File.access` bit: open for writing."""
ANY = 4
"""`File.access` bit of every file that is not O_PATH."""

MAX_RW = 0x7FFF_F000
"""Most bytes that one read or write moves, as Linux has it (man 2 read, NOTES)."""

_ACCESS = {O_RDONLY: READ | ANY, O_WRONLY: WRITE | ANY, O_RDWR: READ | WRITE | ANY, O_ACCMODE: ANY}
_NO_FALLOCATE = {S_IFREG: EOPNOTSUPP, S_IFDIR: EISDIR, S_IFIFO: ESPIPE}
_ALWAYS_READY = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM


class File:
    """An open file description: status flags, position, and what was opened.

    Descriptors share it after dup(2) and fork(2): `get` and `put` count them, `release` runs with the last.
    Subclasses override what they can do; the defaults answer as Linux does for a file without that operation.

    Args:
        inode: what was opened.
        flags: access mode and status flags (O_APPEND, O_NONBLOCK ...), without O_CLOEXEC and creation flags.
        path: where it was opened, None for what has no name anywhere.
    """

    __slots__ = ("access", "creds", "flags", "inode", "owner", "owner_is_thread", "owner_signal", "path", "pos", "refs")

    seekable = False
    """Has a position that lseek moves; pread and pwrite work."""
    can_epoll = True
    """epoll accepts it; regular files and directories are refused with EPERM (man 2 epoll_ctl)."""
    can_stream_large = False
    """A large read or write may be served in several steps, because it never blocks half-way."""
    reads_whole = False
    """A read whose buffer cannot take it all is EFAULT."""
    writes_segments = False
    """Each buffer of a writev is a write of its own."""
    flushes = False
    """`flush` is to be called whenever a descriptor of it is closed."""
    has_sigio = True
    """O_ASYNC sends signals; without it FIOASYNC is ENOTTY, and F_SETFL just keeps the flag."""
    can_splice = True
    """splice and sendfile take from it and give to it; others know read and write only: EINVAL."""
    can_direct = False
    """F_SETFL may set O_DIRECT."""

    def __init__(self, inode: Inode, flags: int, path: Path | None = None) -> None:
        self.inode = inode
        self.flags = flags
        self.path = path
        self.pos = 0
        self.refs = 1
        self.access = 0 if flags & O_PATH else _ACCESS[flags & O_ACCMODE]
        self.creds: Credentials | None = None
        """Of who opened its path; None for what was made otherwise."""
        self.owner = 0
        """F_SETOWN value: process, or negative process group, that SIGIO goes to."""
        self.owner_is_thread = False
        """`owner` is one thread and not its process: F_OWNER_TID."""
        self.owner_signal = 0
        """What `owner` gets instead of SIGIO, with a siginfo that says more (F_SETSIG); 0 for a plain SIGIO."""

    @property
    def readable(self) -> bool:
        """Open for reading."""
        return self.access & READ != 0

    @property
    def writable(self) -> bool:
        """Open for writing."""
        return self.access & WRITE != 0

    def get(self) -> File:
        """Count one more descriptor."""
        self.refs += 1
        return self

    async def put(self) -> None:
        """One descriptor less; the last one releases the file."""
        self.refs -= 1
        if self.refs == 0:
            if self.inode.locks is not None:
                self.inode.locks.release(self)
            await self.release()

    def flush(self, table: FdTable) -> None:
        """A descriptor of it was closed in a table, whether or not it was the last."""

    async def release(self) -> None:
        """The last descriptor is gone: give back what the file holds. Called once."""

    async def read(self, t: Task, count: int) -> bytes:
        """Read at the position; empty at the end of the file (man 2 read)."""
        raise SysError(EINVAL)

    def check_write(self, t: Task, count: int) -> None:
        """Refuse a write before its buffer is looked at.

        Args:
            t: the caller.
            count: bytes that it has.
        """
        if type(self).write is File.write:
            raise SysError(EINVAL)

    async def write(self, t: Task, data: bytes) -> int:
        """Write at the position; may be short (man 2 write)."""
        raise SysError(EINVAL)

    async def pread(self, t: Task, count: int, offset: int) -> bytes:
        """Read at `offset` and leave the position alone (man 2 pread)."""
        raise SysError(ESPIPE)

    async def pwrite(self, t: Task, data: bytes, offset: int) -> int:
        """Write at `offset` and leave the position alone (man 2 pwrite)."""
        raise SysError(ESPIPE)

    async def unread(self, data: bytes) -> None:
        """The caller could not deliver `data`, the tail of the last read: it is to be read again."""

    async def lseek(self, t: Task, offset: int, whence: int) -> int:
        """Move the position and return it (man 2 lseek)."""
        raise SysError(ESPIPE)

    async def ioctl(self, t: Task, cmd: int, arg: int) -> int:
        """Device control (man 2 ioctl)."""
        raise SysError(ENOTTY)

    def poll(self) -> int:
        """The POLL* events that hold now (man 2 poll). Files are always ready."""
        return _ALWAYS_READY

    def wait_queues(self) -> Sequence[WaitQueue]:
        """Where to wait until `poll` may have changed."""
        return ()

    async def getattr(self, t: Task) -> Attr:
        """What fstat shows (man 2 fstat)."""
        return await self.inode.getattr(t)

    async def truncate(self, t: Task, size: int) -> None:
        """Set the size (man 2 ftruncate)."""
        raise SysError(EINVAL)

    async def fallocate(self, t: Task, mode: int, offset: int, length: int) -> None:
        """Reserve or punch space (man 2 fallocate)."""
        raise SysError(_NO_FALLOCATE.get(self.inode.kind, ENODEV))

    async def fsync(self, t: Task, datasync: bool) -> None:
        """Bring changes to the device (man 2 fsync); pipes and sockets cannot."""
        raise SysError(EINVAL)

    async def getdents(self, t: Task, size: int, pack: PackEntry) -> bytes:
        """Directory records of at most `size` bytes from the position on (man 2 getdents)."""
        raise SysError(ENOTDIR)

    async def statfs(self, t: Task) -> FsInfo:
        """What fstatfs shows of the file system it lives on (man 2 fstatfs)."""
        return await self.inode.fs.statfs(t)

    def proc_name(self) -> bytes:
        """What /proc/pid/fd shows for a file without a path."""
        return b"anon_inode:[%s]" % type(self).__name__.encode().lower()


def seek_plainly(file: File, offset: int, whence: int) -> int:
    """Move a position that has no end to count from: SEEK_END and the like are EINVAL."""
    if whence == SEEK_CUR:
        offset += file.pos
    elif whence != SEEK_SET:
        raise SysError(EINVAL)
    if not 0 <= offset < 1 << 63:
        raise SysError(EINVAL)
    file.pos = offset
    return offset


class DirectoryFile(File):
    """An opened directory. Subclasses say what is in it.

    The position is 0 before ".", 1 before "..", and from there the file system's own cookie plus 2, so that
    it stays valid while entries come and go (man 3 telldir).
    """

    __slots__ = ("lock",)

    seekable = True
    can_epoll = False
    can_splice = False

    def __init__(self, inode: Inode, flags: int, path: Path | None = None) -> None:
        super().__init__(inode, flags, path)
        self.lock = Mutex()

    async def records(self, t: Task, cookie: int, size: int) -> list[tuple[int, int, int, bytes]]:
        """Entries after `cookie` (0: all), without "." and "..".

        Each is inode number, next cookie, DT_ type, name.

        Args:
            size: bytes the caller has room for; more entries than fit do no harm.
        """
        raise NotImplementedError

    async def read(self, t: Task, count: int) -> bytes:
        """Directories are read with getdents only."""
        return await self.pread(t, count, self.pos)

    async def pread(self, t: Task, count: int, offset: int) -> bytes:
        """Directories are read with getdents only."""
        raise SysError(EINVAL if offset + count >= 1 << 63 else EISDIR)

    async def lseek(self, t: Task, offset: int, whence: int) -> int:
        """Go to a position that getdents handed out, or back to 0."""
        return seek_plainly(self, offset, whence)

    async def fsync(self, t: Task, datasync: bool) -> None:
        """Names are written through: nothing to do."""

    async def getdents(self, t: Task, size: int, pack: PackEntry) -> bytes:
        """Records from the position on; EINVAL if not even the first fits, ENOENT in a removed directory."""
        if self.lock.held:
            await self.lock.wait(t)
        else:
            self.lock.held = True
        try:
            if self.inode.removed:
                raise SysError(ENOENT)
            return await self._fill(t, size, pack)
        finally:
            self.lock.release()

    async def _fill(self, t: Task, size: int, pack: PackEntry) -> bytes:
        entries = self._dots() if self.pos < 2 else []
        entries += await self.records(t, max(self.pos - 2, 0), size)
        filled: list[bytes] = []
        room = size
        position = self.pos
        for ino, cookie, kind, name in entries:
            record = pack(ino, cookie + 2, kind, name)
            if len(record) > room:
                break
            room -= len(record)
            position = cookie + 2
            filled.append(record)
        if entries and not filled:
            raise SysError(EINVAL)
        self.pos = position
        return b"".join(filled)

    def _dots(self) -> list[tuple[int, int, int, bytes]]:
        parent = self.path.dentry.parent if self.path is not None else None
        above = self.inode if parent is None else parent.inode
        dots = [(self.inode.ino, -1, DT_DIR, b"."), (above.ino, 0, DT_DIR, b"..")]
        return dots[self.pos :]


class OPathFile(File):
    """A file opened with O_PATH: a place in the tree that can be neither read nor written (man 2 open)."""

    __slots__ = ()

    can_epoll = False

    def poll(self) -> int:
        """poll refuses the descriptor before asking; select is told that there is something to see."""
        return POLLNVAL
