"""The in-memory file server, alone or as a copy-on-write layer over another file server."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING

from linuxemu.idl.runtime import new
from linuxemu.messages import fs, fsx
from linuxemu.servers.fs import errno as e
from linuxemu.servers.fs.base import (
    MAX_READ,
    MAX_SIZE,
    NAME_MAX,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    Handle,
    check_name,
    check_target,
    split_names,
)
from linuxemu.servers.fs.memnode import SHORT_TARGET, DirNode, FileNode, LinkNode, MemStorage, Node
from linuxemu.servers.fs.memxattr import MemXattrs
from linuxemu.servers.fs.pages import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.kernel.room import Room

TMPFS_MAGIC = 0x01021994
OVERLAYFS_MAGIC = 0x794C7630

_MODE = fsx.SetattrValid.MODE
_UID = fsx.SetattrValid.UID
_GID = fsx.SetattrValid.GID
_SIZE = fsx.SetattrValid.SIZE
_ATIME = fsx.SetattrValid.ATIME
_MTIME = fsx.SetattrValid.MTIME
_CTIME = fsx.SetattrValid.CTIME
_NOREPLACE = fsx.RenameFlag.NOREPLACE
_EXCHANGE = fsx.RenameFlag.EXCHANGE
_KEEP_SIZE = 1
_PUNCH_HOLE = 2
_ZERO_RANGE = 16


class MemFs(MemXattrs):
    """A file system in memory, with the manners of tmpfs (man 5 tmpfs).

    With a lower file server it is a copy-on-write overlay: directories merge, an entry removed here stays
    removed, attributes that change are kept here, and of file contents only the pages that are written.
    Extended attributes below show through until one of the inode's changes. Nothing is ever written to the
    lower server. Inode numbers of the lower server are kept where nothing else has them, so hard links below
    stay one inode, and files that nobody changed show the lower server's attributes and version.

    Differences from tmpfs: fallocate(2) can also zero a range; a write that does not fit writes nothing at
    all; reading never changes the access time, which is for the client to decide (`setattr`).

    Args:
        lower: task id of the lower file server; None for a file system that starts empty.
        name: service name to register, see `FsServer`.
        now_ns: the time of day in nanoseconds since 1970.
        max_bytes: room for file contents, in whole pages; None for half of the machine's memory, or of the host's.
        max_inodes: most names; extended attributes take of the same room.
        fs_type: what statfs(2) calls the file system; None for tmpfs, or overlayfs if there is a lower one.
        root_mode: permissions of an empty file system's root.
        room: that of the machine, which what is written takes; None if there is no machine.
        storage: the file system of the server whose place this one takes; nothing else but `name` is used then.
    """

    def __init__(
        self,
        lower: int | None = None,
        *,
        name: str = "fs",
        now_ns: Callable[[], int] = time_ns,
        max_bytes: int | None = None,
        max_inodes: int = 1 << 20,
        fs_type: int | None = None,
        root_mode: int = 0o755,
        room: Room | None = None,
        storage: MemStorage | None = None,
    ) -> None:
        if storage is None:
            half = _half_of_memory() if room is None else room.size // 2
            max_pages = (half if max_bytes is None else max_bytes) // PAGE
            fs_type = fs_type or (TMPFS_MAGIC if lower is None else OVERLAYFS_MAGIC)
            storage = MemStorage(lower, now_ns, max_pages, max_inodes, fs_type, root_mode, room)
        super().__init__(name, storage)

    def successor(self) -> MemFs:
        """A server of the same files."""
        return MemFs(name=self.name, storage=self._store)

    # -- attributes ----------------------------------------------------------------------------------

    async def root(self, src: int, m: fsx.Root) -> fsx.RootReply:
        """Attributes of the root."""
        node = await self._root_node()
        return new(fsx.RootReply, node.attr() if node.owned else tuple(await self._lower_attr(node)))

    async def lookup(self, src: int, m: fsx.Lookup) -> fsx.LookupReply:
        """Attributes of a directory's entry."""
        ino, name = m
        parent = self._nodes.get(ino)
        if type(parent) is not DirNode:
            raise e.fail(e.ESTALE if parent is None else e.ENOTDIR)
        node = parent.entries.get(name)
        if node is None:
            if len(name) > NAME_MAX:
                raise e.fail(e.ENAMETOOLONG)
            if parent.below is None or name in parent.hidden:
                raise e.fail(e.ENOENT)
            reply: fsx.LookupReply = await self._ask_lower(fsx.Lookup(parent.below, name))
            below = self._adopt(reply, parent)
            node = parent.entries.get(name)
            if node is not None or name in parent.hidden:  # changed meanwhile
                self._release(below)
            else:
                node = below
            if node is None:
                raise e.fail(e.ENOENT)
            if not node.owned:
                node.nlookup += 1
                return reply if node.ino == reply.ino else new(fsx.LookupReply, (node.ino, *reply[1:]))
        node.nlookup += 1
        return new(fsx.LookupReply, node.attr())

    async def forget(self, src: int, m: fsx.Forget) -> None:
        """Give references back; the last one lets go of an inode without a name."""
        node = self._nodes.get(m.ino)
        if node is not None:
            node.nlookup = max(0, node.nlookup - m.nlookup)
            self._release(node)

    async def getattr(self, src: int, m: fsx.Getattr) -> fsx.GetattrReply:
        """Attributes of an inode."""
        node = self._node(m.ino)
        return new(fsx.GetattrReply, node.attr()) if node.owned else await self._lower_attr(node)

    async def setattr(self, src: int, m: fsx.Setattr) -> fsx.SetattrReply:
        """Change attributes; the change time becomes the present unless it is given too."""
        node = self._node(m.ino)
        valid = m.valid
        if valid & _SIZE:
            if not isinstance(node, FileNode):
                raise e.fail(e.EISDIR if isinstance(node, DirNode) else e.EINVAL)
            if m.size > MAX_SIZE:
                raise e.fail(e.EFBIG)
        await self._own(node)
        if valid & (_SIZE | _UID | _GID) and not node.nosec and not isinstance(node, DirNode):
            self._drop_capability(node)
        now_ns = self._now()
        if valid & _SIZE and isinstance(node, FileNode):
            self._resize(node, m.size)
            node.mtime_ns = now_ns
        if valid & _MODE:
            node.mode = (node.mode & S_IFMT) | (m.mode & 0o7777)
        if valid & _UID:
            node.uid = m.uid
        if valid & _GID:
            node.gid = m.gid
        if valid & _ATIME:
            node.atime_ns = m.atime_ns
        if valid & _MTIME:
            node.mtime_ns = m.mtime_ns
        node.ctime_ns = m.ctime_ns if valid & _CTIME else now_ns
        return new(fsx.SetattrReply, node.attr())

    def _resize(self, node: FileNode, size: int) -> None:
        data = node.data
        if size != data.size:
            before = data.allocated
            data.truncate(size)
            self._store.add_pages(data.allocated - before)
            node.version += 1

    async def readlink(self, src: int, m: fsx.Readlink) -> fsx.ReadlinkReply:
        """The target of a symbolic link."""
        node = self._node(m.ino)
        if not isinstance(node, LinkNode):
            raise e.fail(e.EINVAL)
        if node.owned:
            return fsx.ReadlinkReply(node.target)
        reply: fsx.ReadlinkReply = await self._ask_lower(fsx.Readlink(node.lower or 0))
        return reply

    async def statfs(self, src: int, m: fsx.Statfs) -> fsx.StatfsReply:
        """Sizes of the memory layer: what is below is not ours to fill."""
        free = self._store.free_pages()
        return fsx.StatfsReply(
            self._store.fs_type,
            PAGE,
            self._store.max_pages,
            free,
            free,
            self._store.max_inodes,
            self._store.free_inodes,
            NAME_MAX,
            0,
        )

    # -- making names --------------------------------------------------------------------------------

    async def _vacant(self, ino: int, name: bytes) -> DirNode:
        """The directory `ino`, owned, in which `name` is free; what follows must not sleep."""
        parent = self._dir(ino)
        check_name(name)
        while True:
            epoch = parent.epoch
            taken = await self._find(parent, name)
            if taken is not None:
                self._release(taken)
                raise e.fail(e.EEXIST)
            await self._own(parent)
            self._check_room_for_name(parent)
            if parent.epoch == epoch:
                return parent

    def _create(self, parent: DirNode, name: bytes, mode: int, uid: int, gid: int) -> Node:
        node = self._make(mode)
        node.uid = uid
        node.gid = gid
        node.nlookup = 1
        self._insert(parent, name, node)
        parent.touch(node.ctime_ns)
        return node

    async def mknod(self, src: int, m: fsx.Mknod) -> fsx.MknodReply:
        """Make a file of any type but directory and symbolic link."""
        kind = m.mode & S_IFMT or S_IFREG
        if kind in (S_IFDIR, S_IFLNK):
            raise e.fail(e.EPERM if kind == S_IFDIR else e.EINVAL)
        parent = await self._vacant(m.parent, m.name)
        node = self._create(parent, m.name, kind | (m.mode & 0o7777), m.uid, m.gid)
        node.rdev = m.rdev
        return new(fsx.MknodReply, node.attr())

    async def mkdir(self, src: int, m: fsx.Mkdir) -> fsx.MkdirReply:
        """Make a directory."""
        parent = await self._vacant(m.parent, m.name)
        node = self._create(parent, m.name, S_IFDIR | (m.mode & 0o7777), m.uid, m.gid)
        parent.add_links(1)
        return new(fsx.MkdirReply, node.attr())

    async def symlink(self, src: int, m: fsx.Symlink) -> fsx.SymlinkReply:
        """Make a symbolic link."""
        name, target = split_names(m.names)
        check_target(target)
        parent = await self._vacant(m.parent, name)
        if len(target) > SHORT_TARGET:
            self._charge(1)
        node = self._create(parent, name, S_IFLNK | 0o777, m.uid, m.gid)
        if isinstance(node, LinkNode):
            node.target = target
            self._store.add_pages(node.allocated)
        return new(fsx.SymlinkReply, node.attr())

    async def link(self, src: int, m: fsx.Link) -> fsx.LinkReply:
        """Give an inode one more name, even one that lost its last: O_TMPFILE files have none at first."""
        node = self._node(m.ino)
        if isinstance(node, DirNode):
            raise e.fail(e.EPERM)
        await self._own(node)
        parent = await self._vacant(m.newparent, m.name)
        self._insert(parent, m.name, node)
        node.nlink += 1
        node.nlookup += 1
        node.ctime_ns = self._now()
        parent.touch(node.ctime_ns)
        return new(fsx.LinkReply, node.attr())

    # -- taking names away ---------------------------------------------------------------------------

    async def unlink(self, src: int, m: fsx.Unlink) -> fsx.UnlinkReply:
        """Remove a name that is no directory."""
        parent = self._dir(m.parent)
        name = check_name(m.name)
        while True:
            epoch = parent.epoch
            node = await self._find_held(parent, name)
            try:
                if node is None:
                    raise e.fail(e.ENOENT)
                if isinstance(node, DirNode):
                    raise e.fail(e.EISDIR)
                await self._own(parent)
                await self._own(node)
                if parent.epoch == epoch:
                    now_ns = self._now()
                    self._drop_name(parent, name, node, now_ns)
                    parent.touch(now_ns)
                    return fsx.UnlinkReply()
            finally:
                self._unhold(node)

    async def rmdir(self, src: int, m: fsx.Rmdir) -> fsx.RmdirReply:
        """Remove an empty directory."""
        parent = self._dir(m.parent)
        name = check_name(m.name)
        while True:
            epoch = parent.epoch
            node = await self._find_held(parent, name)
            try:
                if node is None:
                    raise e.fail(e.ENOENT)
                if not isinstance(node, DirNode):
                    raise e.fail(e.ENOTDIR)
                inside = node.epoch
                await self._check_empty(node)
                await self._own(parent)
                await self._own(node)
                if (parent.epoch, node.epoch) == (epoch, inside):
                    now_ns = self._now()
                    self._drop_name(parent, name, node, now_ns)
                    parent.touch(now_ns)
                    return fsx.RmdirReply()
            finally:
                self._unhold(node)

    def _drop_name(self, parent: DirNode, name: bytes, node: Node, now_ns: int) -> None:
        """Take an owned inode's name; a directory, which must be empty, ends with it."""
        self._remove(parent, name)
        node.ctime_ns = now_ns
        if isinstance(node, DirNode):
            node.nlink = 0
            node.below = None
            parent.add_links(-1)
        elif node.nlink:
            node.nlink -= 1

    # -- rename --------------------------------------------------------------------------------------

    async def rename(self, src: int, m: fsx.Rename) -> fsx.RenameReply:
        """Move a name, or exchange two (man 2 rename)."""
        if m.flags & ~(_NOREPLACE | _EXCHANGE) or m.flags == _NOREPLACE | _EXCHANGE:
            raise e.fail(e.EINVAL)
        source, target = self._dir(m.parent), self._dir(m.newparent)
        old, name = split_names(m.names)
        check_name(old)
        check_name(name)
        while not await self._try_rename(source, old, target, name, m.flags):
            pass
        return fsx.RenameReply()

    async def _try_rename(
        self, source: DirNode, old: bytes, target: DirNode, name: bytes, flags: int
    ) -> bool:
        """One attempt; False if somebody changed one of the directories meanwhile."""
        epochs = source.epoch, target.epoch
        node = victim = None
        try:
            node = await self._find_held(source, old)
            victim = await self._find_held(target, name)
            if node is None:
                raise e.fail(e.ENOENT)
            self._check_rename(node, source, victim, target, flags)
            if node is victim:
                return True
            inside = victim.epoch if isinstance(victim, DirNode) else 0
            if isinstance(victim, DirNode) and not flags & _EXCHANGE:
                await self._check_empty(victim)
            for touched in (source, target, node, victim):
                if touched is not None:
                    await self._own(touched)
            if (source.epoch, target.epoch) != epochs:
                return False
            if isinstance(victim, DirNode) and victim.epoch != inside:
                return False
            if not target.nlink:
                raise e.fail(e.ENOENT)
            self._move(node, source, old, victim, target, name, flags)
            return True
        finally:
            self._unhold(node, victim)

    def _check_rename(
        self, node: Node, source: DirNode, victim: Node | None, target: DirNode, flags: int
    ) -> None:
        """The errors of a rename, in the order in which Linux looks for them."""
        if flags & _NOREPLACE and victim is not None:
            raise e.fail(e.EEXIST)
        if flags & _EXCHANGE and victim is None:
            raise e.fail(e.ENOENT)
        if isinstance(node, DirNode) and source is not target and self._within(target, node):
            raise e.fail(e.EINVAL)
        if isinstance(victim, DirNode) and source is not target and self._within(source, victim):
            raise e.fail(e.EINVAL if flags & _EXCHANGE else e.ENOTEMPTY)
        if victim is None or victim is node or flags & _EXCHANGE:
            return
        if isinstance(node, DirNode) and not isinstance(victim, DirNode):
            raise e.fail(e.ENOTDIR)
        if isinstance(victim, DirNode) and not isinstance(node, DirNode):
            raise e.fail(e.EISDIR)

    def _move(
        self,
        node: Node,
        source: DirNode,
        old: bytes,
        victim: Node | None,
        target: DirNode,
        name: bytes,
        flags: int,
    ) -> None:
        """Carry a rename out."""
        now_ns = self._now()
        if victim is not None and not flags & _EXCHANGE:
            self._drop_name(target, name, victim, now_ns)
        elif victim is not None:
            self._remove(target, name)
        self._remove(source, old)
        self._insert(target, name, node)
        moved = int(isinstance(node, DirNode))
        if flags & _EXCHANGE and victim is not None:
            self._insert(source, old, victim)
            victim.ctime_ns = now_ns
            moved -= int(isinstance(victim, DirNode))
        if source is not target:
            source.add_links(-moved)
            target.add_links(moved)
        node.ctime_ns = now_ns
        source.touch(now_ns)
        target.touch(now_ns)

    # -- open files ----------------------------------------------------------------------------------

    async def open(self, src: int, m: fsx.Open) -> fsx.OpenReply:
        """Open an inode of any type; only regular files and directories have something to read."""
        ino, flags = m
        node = self._node(ino)
        self._check_handles(src)
        node.opens += 1
        opened = False
        try:
            if node.lower is not None and isinstance(node, FileNode):
                await self._open_lower(node)
            opened = True
        finally:
            if not opened:
                self._unhold(node)
        return fsx.OpenReply(self._add_handle(src, Handle(node, flags)))

    async def _closed(self, handle: Handle[Node]) -> None:
        node = handle.node
        node.opens -= 1
        if not node.opens and isinstance(node, FileNode) and node.lower_handle is not None:
            await self._close_lower(node)
        self._release(node)

    async def read(self, src: int, m: fs.Read) -> fs.ReadReply:
        """Up to `len` bytes of an open file."""
        number, offset, length = m
        node = self._handle(src, number).node
        if type(node) is not FileNode:
            if type(node) is DirNode:
                return fs.ReadReply(b"")
            raise e.fail(e.EINVAL)
        if length > MAX_READ:
            length = MAX_READ
        if not node.owned and node.lower_handle is not None:
            return await self._read_below(node, offset, length)
        data = node.data
        end = offset + length
        if end > data.size:
            end = data.size
        if offset >= end:
            return fs.ReadReply(b"")
        if offset < data.floor:
            return fs.ReadReply(await self._read_merged(node, offset, end))
        return fs.ReadReply(data.read(offset, end))

    def _open_file(self, src: int, number: int, other: int) -> FileNode:
        """The regular file behind a handle; EISDIR for a directory, `other` for anything else."""
        node = self._handle(src, number).node
        if type(node) is not FileNode:
            raise e.fail(e.EISDIR if type(node) is DirNode else other)
        return node

    async def write(self, src: int, m: fs.Write) -> fs.WriteReply:
        """Write all of `data`; ENOSPC, with nothing written, if it does not fit."""
        number, offset, content = m
        node = self._open_file(src, number, e.EINVAL)
        end = offset + len(content)
        if end > MAX_SIZE:
            raise e.fail(e.EFBIG)
        if not content:
            return fs.WriteReply()
        if not node.owned:
            await self._own(node)
        data = node.data
        below = await self._fetch(node, offset, end) if offset < data.floor + PAGE and data.floor else None
        self._charge(data.growth(offset, end))
        before = data.allocated
        if below:
            for index, page in below.items():
                data.fill(index, page)
        if not node.nosec:
            self._drop_capability(node)
        data.write(offset, content)
        self._store.add_pages(data.allocated - before)
        node.mtime_ns = node.ctime_ns = self._now()
        node.version += 1
        return fs.WriteReply()

    async def fallocate(self, src: int, m: fsx.Fallocate) -> fsx.FallocateReply:
        """Reserve room, punch a hole or zero a range (man 2 fallocate)."""
        if not m.len:
            raise e.fail(e.EINVAL)
        mode = m.mode
        if mode not in (0, _KEEP_SIZE, _PUNCH_HOLE | _KEEP_SIZE, _ZERO_RANGE, _ZERO_RANGE | _KEEP_SIZE):
            raise e.fail(e.EOPNOTSUPP)
        node = self._open_file(src, m.handle, e.ENODEV)
        end = m.offset + m.len
        if end > MAX_SIZE:
            raise e.fail(e.EFBIG)
        await self._own(node)
        if not node.nosec:
            self._drop_capability(node)
        data = node.data
        before = data.allocated
        if mode & (_PUNCH_HOLE | _ZERO_RANGE):
            for index, page in (await self._fetch(node, m.offset, end)).items():
                data.fill(index, page)
            data.punch(m.offset, end)
        self._store.add_pages(data.allocated - before)
        if not mode & _PUNCH_HOLE:
            self._charge(data.missing(m.offset, end))
            before = data.allocated
            data.reserve(m.offset, end)
            self._store.add_pages(data.allocated - before)
        if not mode & _KEEP_SIZE and end > data.size:
            data.truncate(end)
        node.mtime_ns = node.ctime_ns = self._now()
        node.version += 1
        return fsx.FallocateReply()


def _half_of_memory() -> int:
    """What tmpfs takes by default."""
    import os

    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return 1 << 30
