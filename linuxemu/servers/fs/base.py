"""What all file servers share: handles, packed directory records, and the seed's calls by path name.

A file server serves two namespaces. `fsx` works on inode numbers and is what the Linux server speaks; `fs`
is the seed's, whose path calls are walked here on top of a server's own `fsx` handlers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from heapq import heappop, heappush
from struct import Struct
from typing import TYPE_CHECKING, Generic, TypeVar

from linuxemu.errors import RpcError
from linuxemu.idl.codes import (
    ERR_ALREADY_EXISTS,
    ERR_NO_MEMORY,
    ERR_NOT_FOUND,
    ERR_NOT_PERMITTED,
    posix_errno,
)
from linuxemu.kernel.server import Server, rpc
from linuxemu.messages import fs, fsx
from linuxemu.servers.fs import errno as e
from linuxemu.servers.fs.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

N = TypeVar("N")

S_IFMT = 0o170000
S_IFSOCK = 0o140000
S_IFLNK = 0o120000
S_IFREG = 0o100000
S_IFBLK = 0o060000
S_IFDIR = 0o040000
S_IFCHR = 0o020000
S_IFIFO = 0o010000

O_RDONLY = 0
O_WRONLY = 1
O_RDWR = 2
O_ACCMODE = 3

NAME_MAX = 255
TARGET_MAX = 4095
MAX_READ = 16 << 20
"""Most bytes that one fs.read answers: a guest must not make the host allocate what it pleases."""
MAX_SIZE = (1 << 63) - 1

_MAX_HANDLES = 1 << 20
_ONCE = (
    fsx.Mknod, fsx.Mkdir, fsx.Symlink, fsx.Link, fsx.Unlink, fsx.Rmdir, fsx.Rename, fsx.Setxattr, fsx.Removexattr
)  # fmt: skip
_MAX_LINKS = 40
_RECORD = Struct("<QQBH")
_SEED_ERRORS = {
    e.ENOENT: ERR_NOT_FOUND,
    e.ENOTDIR: ERR_NOT_FOUND,
    e.ELOOP: ERR_NOT_FOUND,
    e.ENAMETOOLONG: ERR_NOT_FOUND,
    e.EEXIST: ERR_ALREADY_EXISTS,
    e.EROFS: ERR_NOT_PERMITTED,
    e.EACCES: ERR_NOT_PERMITTED,
    e.EPERM: ERR_NOT_PERMITTED,
    e.ENXIO: ERR_NOT_PERMITTED,
    e.ENOSPC: ERR_NO_MEMORY,
}

Entry = tuple[int, int, bytes]
"""A directory entry: inode number, DT_* type, name."""


def make_device(major: int, minor: int) -> int:
    """A device number in Linux's encoding."""
    return (minor & 0xFF) | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | (major & ~0xFFF) << 32


def check_name(name: bytes) -> bytes:
    """A name that may stand in a directory; ENAMETOOLONG or EINVAL for any other."""
    if len(name) > NAME_MAX:
        raise e.fail(e.ENAMETOOLONG)
    if not name or name == b"." or name == b".." or b"/" in name or b"\0" in name:
        raise e.fail(e.EINVAL)
    return name


def split_names(names: bytes) -> tuple[bytes, bytes]:
    """The two halves of a `names` argument."""
    first, separator, second = names.partition(b"\0")
    if not separator:
        raise e.fail(e.EINVAL)
    return first, second


def check_target(target: bytes) -> bytes:
    """What a symbolic link may point to: anything but nothing (ENOENT) and too much (ENAMETOOLONG)."""
    if not target:
        raise e.fail(e.ENOENT)
    if len(target) > TARGET_MAX:
        raise e.fail(e.ENAMETOOLONG)
    if b"\0" in target:
        raise e.fail(e.EINVAL)
    return target


def dirent_type(mode: int) -> int:
    """The DT_* type of a file mode."""
    return (mode & S_IFMT) >> 12


def pack_entries(
    entries: Sequence[Entry], cookie: int, limit: int, present: Callable[[bytes], bool] | None
) -> bytes:
    """Packed records of `entries` from position `cookie` on, as many as fit in `limit` bytes.

    Args:
        entries: the directory as it was when its reading began; a cookie is a position in it.
        cookie: where to go on.
        limit: most bytes to return; EINVAL if not even one record fits.
        present: whether a name is still in the directory; None if entries never go.
    """
    parts: list[bytes] = []
    room = limit
    for position in range(cookie, len(entries)):
        ino, kind, name = entries[position]
        if present is not None and not present(name):
            continue
        room -= _RECORD.size + len(name)
        if room < 0:
            if not parts:
                raise e.fail(e.EINVAL)
            break
        parts.append(_RECORD.pack(ino, position + 1, kind, len(name)))
        parts.append(name)
    return b"".join(parts)


class Handle(Generic[N]):
    """An open file of one client.

    Args:
        node: the server's own inode object.
        flags: access mode of the open.
        fd: the host's descriptor, for servers that keep one.
    """

    __slots__ = ("fd", "flags", "listing", "node")

    def __init__(self, node: N, flags: int, fd: int = -1) -> None:
        self.node = node
        self.flags = flags
        self.fd = fd
        self.listing: Sequence[Entry] | None = None
        """The directory as it was when somebody began to read it through this handle."""


class FsServer(Server, ABC, Generic[N]):
    """Base of the file servers: the tables of `fs` and `fsx`, of which each server implements the `fsx` part.

    Args:
        name: the service name to register; empty for a server that only other servers are told of.
        journal: that of the server whose place this one takes.
    """

    name = "fs"

    def __init__(self, name: str = "fs", journal: Journal | None = None) -> None:
        super().__init__()
        self.name = name
        self._journal = journal or Journal()
        self._first_handle = self._journal.begin() + 1
        for change in _ONCE:
            self.table[change] = self._journal.once(self.table[change])
        self._handles: dict[int, dict[int, Handle[N]]] = {}
        self._free_numbers: dict[int, list[int]] = {}

    # -- handles: per client, 1 and up (see `Journal.begin`), the lowest free one first ---------------

    def _handle(self, src: int, number: int) -> Handle[N]:
        try:
            return self._handles[src][number]
        except KeyError:
            raise RpcError(ERR_NOT_FOUND) from None

    def _add_handle(self, src: int, handle: Handle[N]) -> int:
        table = self._handles.get(src)
        if table is None:
            table = self._handles[src] = {}
        free = self._free_numbers.get(src)
        number = heappop(free) if free else len(table) + self._first_handle
        table[number] = handle
        return number

    def _check_handles(self, src: int) -> None:
        """ENFILE for a client that keeps too many files open."""
        table = self._handles.get(src)
        if table is not None and len(table) >= _MAX_HANDLES:
            raise e.fail(e.ENFILE)

    @rpc(fs.Close)
    async def close(self, src: int, m: fs.Close) -> fs.CloseReply:
        """Forget a handle."""
        number = m.handle
        table = self._handles.get(src)
        handle = table.pop(number, None) if table is not None else None
        if handle is None:
            raise RpcError(ERR_NOT_FOUND)
        free = self._free_numbers.get(src)
        if free is None:
            free = self._free_numbers[src] = []
        heappush(free, number)
        await self._closed(handle)
        return fs.CloseReply()

    async def _closed(self, handle: Handle[N]) -> None:
        """Give back what a handle held."""

    def task_died(self, task: int) -> None:
        """Called by the kernel when a task has ended: its handles are closed."""
        self._journal.forget(task)
        self._free_numbers.pop(task, None)
        table = self._handles.pop(task, None)
        if table:
            self.port.spawn(self._close_all(list(table.values())))

    async def _close_all(self, handles: list[Handle[N]]) -> None:
        for handle in handles:
            await self._closed(handle)

    # -- directories ---------------------------------------------------------------------------------

    @rpc(fsx.Readdir)
    async def readdir(self, src: int, m: fsx.Readdir) -> fsx.ReaddirReply:
        """Directory records; what comes and goes meanwhile never moves the position (man 3 readdir).

        Reading from cookie 0 takes a picture of the directory. Entries removed since are left out, entries
        added since appear when the directory is read from its start again; so the list is finite whatever
        is renamed.
        """
        handle = self._handle(src, m.handle)
        if m.cookie == 0 or handle.listing is None:
            handle.listing = await self._list(handle)
        return fsx.ReaddirReply(pack_entries(handle.listing, m.cookie, m.len, self._presence(handle.node)))

    @abstractmethod
    async def _list(self, handle: Handle[N]) -> Sequence[Entry]:
        """All entries of an open directory; ENOTDIR for anything else."""

    def _presence(self, node: N) -> Callable[[bytes], bool] | None:
        """A function that tells whether a name is still in a listed directory; None if entries never go."""
        return None

    # -- the seed's calls by path --------------------------------------------------------------------

    @rpc(fs.Open)
    async def open_path(self, src: int, m: fs.Open) -> fs.OpenReply:
        """Open an existing file for whatever the server allows; directories open as empty files."""
        refs: list[int] = []
        try:
            _, _, attr = await self._resolve(src, _path(m.path), refs)
            if attr is None:
                raise RpcError(ERR_NOT_FOUND)
            return fs.OpenReply(await self._open_any(src, attr.ino))
        except RpcError as error:
            raise _seed_error(error) from None
        finally:
            await self._forget_all(src, refs)

    @rpc(fs.Create)
    async def create_path(self, src: int, m: fs.Create) -> fs.CreateReply:
        """Create a file and open it; with `exist_ok` one that exists is opened as it is."""
        refs: list[int] = []
        try:
            parent, name, attr = await self._resolve(src, _path(m.path), refs)
            if attr is None:
                made = await self.mknod(src, fsx.Mknod(parent, S_IFREG | 0o644, 0, 0, 0, name))
                refs.append(made.ino)
                return fs.CreateReply(await self._open_any(src, made.ino))
            if not m.exist_ok:
                raise RpcError(ERR_ALREADY_EXISTS)
            return fs.CreateReply(await self._open_any(src, attr.ino))
        except RpcError as error:
            raise _seed_error(error) from None
        finally:
            await self._forget_all(src, refs)

    @rpc(fs.Stat)
    async def stat_path(self, src: int, m: fs.Stat) -> fs.StatReply:
        """The size of a file."""
        refs: list[int] = []
        try:
            _, _, attr = await self._resolve(src, _path(m.path), refs)
        except RpcError as error:
            raise _seed_error(error) from None
        finally:
            await self._forget_all(src, refs)
        if attr is None:
            raise RpcError(ERR_NOT_FOUND)
        return fs.StatReply(attr.size)

    async def _open_any(self, src: int, ino: int) -> int:
        try:
            return (await self.open(src, fsx.Open(ino, O_RDWR))).handle
        except RpcError as error:
            if posix_errno(error.code) not in (e.EROFS, e.EACCES, e.EPERM, e.EISDIR, e.ETXTBSY):
                raise
        return (await self.open(src, fsx.Open(ino, O_RDONLY))).handle

    async def _forget_all(self, src: int, refs: list[int]) -> None:
        for ino in refs:
            await self.forget(src, fsx.Forget(ino, 1))

    async def _resolve(
        self, src: int, path: bytes, refs: list[int]
    ) -> tuple[int, bytes, fsx.RootReply | fsx.LookupReply | None]:
        """Walk a path from the root, through symbolic links.

        Args:
            src: the client.
            path: the path; a leading slash makes no difference.
            refs: receives each inode that the walk referenced, to be forgotten afterwards.
        Returns:
            directory, last name, attributes of what the path names (None if only the last name is missing).
        """
        trail: list[fsx.RootReply | fsx.LookupReply] = [await self.root(src, fsx.Root())]
        todo = path.split(b"/")[::-1]
        links = 0
        while todo:
            name = todo.pop()
            if not name or name == b".":
                continue
            if name == b"..":
                del trail[max(1, len(trail) - 1) :]
                continue
            try:
                attr = await self.lookup(src, fsx.Lookup(trail[-1].ino, name))
            except RpcError as error:
                if posix_errno(error.code) != e.ENOENT or any(todo):
                    raise
                return trail[-1].ino, name, None
            refs.append(attr.ino)
            if attr.mode & S_IFMT != S_IFLNK:
                trail.append(attr)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise e.fail(e.ELOOP)
            target = (await self.readlink(src, fsx.Readlink(attr.ino))).target
            if target.startswith(b"/"):
                del trail[1:]
            todo += target.split(b"/")[::-1]
        return trail[-1].ino, b"", trail[-1]

    # -- what each server implements -----------------------------------------------------------------

    @rpc(fs.Read)
    @abstractmethod
    async def read(self, src: int, m: fs.Read) -> fs.ReadReply:
        """Up to `len` bytes of an open file; none at or after its end. A directory reads as an empty file."""

    @rpc(fs.Write)
    @abstractmethod
    async def write(self, src: int, m: fs.Write) -> fs.WriteReply:
        """Write all of `data`, or nothing and fail; a file grows as needed."""

    @rpc(fsx.Root)
    @abstractmethod
    async def root(self, src: int, m: fsx.Root) -> fsx.RootReply:
        """Attributes of the root."""

    @rpc(fsx.Lookup)
    @abstractmethod
    async def lookup(self, src: int, m: fsx.Lookup) -> fsx.LookupReply:
        """Attributes of a directory's entry; counts a reference."""

    @rpc(fsx.Forget)
    @abstractmethod
    async def forget(self, src: int, m: fsx.Forget) -> None:
        """Give references back."""

    @rpc(fsx.Getattr)
    @abstractmethod
    async def getattr(self, src: int, m: fsx.Getattr) -> fsx.GetattrReply:
        """Attributes of an inode."""

    @rpc(fsx.Setattr)
    @abstractmethod
    async def setattr(self, src: int, m: fsx.Setattr) -> fsx.SetattrReply:
        """Change attributes."""

    @rpc(fsx.Readlink)
    @abstractmethod
    async def readlink(self, src: int, m: fsx.Readlink) -> fsx.ReadlinkReply:
        """The target of a symbolic link."""

    @rpc(fsx.Mknod)
    @abstractmethod
    async def mknod(self, src: int, m: fsx.Mknod) -> fsx.MknodReply:
        """Make a file."""

    @rpc(fsx.Mkdir)
    @abstractmethod
    async def mkdir(self, src: int, m: fsx.Mkdir) -> fsx.MkdirReply:
        """Make a directory."""

    @rpc(fsx.Symlink)
    @abstractmethod
    async def symlink(self, src: int, m: fsx.Symlink) -> fsx.SymlinkReply:
        """Make a symbolic link."""

    @rpc(fsx.Link)
    @abstractmethod
    async def link(self, src: int, m: fsx.Link) -> fsx.LinkReply:
        """Add a name for an inode."""

    @rpc(fsx.Unlink)
    @abstractmethod
    async def unlink(self, src: int, m: fsx.Unlink) -> fsx.UnlinkReply:
        """Remove a name."""

    @rpc(fsx.Rmdir)
    @abstractmethod
    async def rmdir(self, src: int, m: fsx.Rmdir) -> fsx.RmdirReply:
        """Remove an empty directory."""

    @rpc(fsx.Rename)
    @abstractmethod
    async def rename(self, src: int, m: fsx.Rename) -> fsx.RenameReply:
        """Move an entry."""

    @rpc(fsx.Open)
    @abstractmethod
    async def open(self, src: int, m: fsx.Open) -> fsx.OpenReply:
        """Open an inode."""

    @rpc(fsx.Fsync)
    async def fsync(self, src: int, m: fsx.Fsync) -> fsx.FsyncReply:
        """Nothing to wait for, unless a server says otherwise."""
        self._handle(src, m.handle)
        return fsx.FsyncReply()

    @rpc(fsx.Fallocate)
    @abstractmethod
    async def fallocate(self, src: int, m: fsx.Fallocate) -> fsx.FallocateReply:
        """Reserve or free room in a file."""

    @rpc(fsx.Statfs)
    @abstractmethod
    async def statfs(self, src: int, m: fsx.Statfs) -> fsx.StatfsReply:
        """Sizes of the file system."""

    @rpc(fsx.Getxattr)
    @abstractmethod
    async def getxattr(self, src: int, m: fsx.Getxattr) -> fsx.GetxattrReply:
        """The value of an extended attribute."""

    @rpc(fsx.Setxattr)
    @abstractmethod
    async def setxattr(self, src: int, m: fsx.Setxattr) -> fsx.SetxattrReply:
        """Set an extended attribute."""

    @rpc(fsx.Listxattr)
    @abstractmethod
    async def listxattr(self, src: int, m: fsx.Listxattr) -> fsx.ListxattrReply:
        """The names of all extended attributes."""

    @rpc(fsx.Removexattr)
    @abstractmethod
    async def removexattr(self, src: int, m: fsx.Removexattr) -> fsx.RemovexattrReply:
        """Remove an extended attribute."""


def _path(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _seed_error(error: RpcError) -> RpcError:
    """The seed's word for an error, for its calls by path; other errors stay what they are."""
    return RpcError(_SEED_ERRORS.get(posix_errno(error.code) or 0, error.code))
