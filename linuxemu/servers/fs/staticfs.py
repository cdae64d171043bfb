"""A read-only file server over a finished inode table and one host file that holds the data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from linuxemu.idl.runtime import new
from linuxemu.messages import fs, fsx
from linuxemu.servers.fs import errno as e
from linuxemu.servers.fs.base import (
    MAX_READ,
    NAME_MAX,
    O_ACCMODE,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    Entry,
    FsServer,
    Handle,
    dirent_type,
)
from linuxemu.servers.fs.tree import ROOT_INO, Extents, StaticNode
from linuxemu.servers.fs.xattr import check_xattr_name, pack_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from linuxemu.servers.fs.journal import Journal

SQUASHFS_MAGIC = 0x73717368
_ST_RDONLY = 1
_BLOCK = 4096


class StaticFs(FsServer[StaticNode]):
    """A file system that never changes: every request to change it is EROFS.

    Args:
        nodes: inodes by number, see `linuxemu.servers.fs.tree`.
        fd: the host's descriptor of the data; closed by `stop`.
        name: service name to register, see `FsServer`.
        journal: see `FsServer`.
        xattrs: extended attributes by inode number, of those inodes that have any.
    """

    def __init__(
        self,
        nodes: list[StaticNode | None],
        fd: int,
        name: str = "fs",
        journal: Journal | None = None,
        xattrs: Mapping[int, Mapping[bytes, bytes]] | None = None,
    ) -> None:
        super().__init__(name, journal)
        self._nodes = nodes
        self._fd = fd
        self._xattrs = xattrs or {}

    def successor(self) -> StaticFs:
        """A server of the same table and data file."""
        return StaticFs(self._nodes, self._fd, self.name, self._journal, self._xattrs)

    def stop(self) -> None:
        """Close the data file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _node(self, ino: int) -> StaticNode:
        node = self._nodes[ino] if ino < len(self._nodes) else None
        if node is None:
            raise e.fail(e.ESTALE)
        return node

    # -- looking -------------------------------------------------------------------------------------

    async def root(self, src: int, m: fsx.Root) -> fsx.RootReply:
        """Attributes of the root."""
        return new(fsx.RootReply, self._node(ROOT_INO)[0])

    async def lookup(self, src: int, m: fsx.Lookup) -> fsx.LookupReply:
        """Attributes of a directory's entry; references need no count here."""
        names = self._node(m.parent)[1]
        if type(names) is not dict:
            raise e.fail(e.ENOTDIR)
        ino = names.get(m.name)
        if ino is None:
            raise e.fail(e.ENOENT if len(m.name) <= NAME_MAX else e.ENAMETOOLONG)
        return new(fsx.LookupReply, self._node(ino)[0])

    async def forget(self, src: int, m: fsx.Forget) -> None:
        """Nothing is ever dropped."""

    async def getattr(self, src: int, m: fsx.Getattr) -> fsx.GetattrReply:
        """Attributes of an inode."""
        return new(fsx.GetattrReply, self._node(m.ino)[0])

    async def readlink(self, src: int, m: fsx.Readlink) -> fsx.ReadlinkReply:
        """The target of a symbolic link."""
        attr, payload = self._node(m.ino)
        if attr[1] & S_IFMT != S_IFLNK or not isinstance(payload, bytes):
            raise e.fail(e.EINVAL)
        return fsx.ReadlinkReply(payload)

    async def open(self, src: int, m: fsx.Open) -> fsx.OpenReply:
        """Open for reading; device nodes and FIFOs, which have nothing to write here, in any mode."""
        node = self._node(m.ino)
        kind = node[0][1] & S_IFMT
        if m.flags & O_ACCMODE and kind in (S_IFREG, S_IFDIR):
            raise e.fail(e.EROFS if kind == S_IFREG else e.EISDIR)
        self._check_handles(src)
        return fsx.OpenReply(self._add_handle(src, Handle(node, m.flags)))

    async def _list(self, handle: Handle[StaticNode]) -> Sequence[Entry]:
        names = handle.node[1]
        if not isinstance(names, dict):
            raise e.fail(e.ENOTDIR)
        return [(ino, dirent_type(self._node(ino)[0][1]), name) for name, ino in names.items()]

    async def read(self, src: int, m: fs.Read) -> fs.ReadReply:
        """Up to `len` bytes of an open file."""
        number, offset, length = m
        attr, payload = self._handle(src, number).node
        length = min(length, MAX_READ, attr[6] - offset)
        if type(payload) is int:
            return fs.ReadReply(self._pread(length, payload + offset) if length > 0 else b"")
        if type(payload) is tuple:
            return fs.ReadReply(self._read_sparse(payload, offset, length) if length > 0 else b"")
        if type(payload) is dict:
            return fs.ReadReply(b"")
        raise e.fail(e.EINVAL)

    def _pread(self, length: int, offset: int) -> bytes:
        data = os.pread(self._fd, length, offset)
        if len(data) != length:
            raise e.fail(e.EIO)  # somebody cut the data file while we use it
        return data

    def _read_sparse(self, extents: Extents, offset: int, length: int) -> bytes:
        buffer = bytearray(length)
        end = offset + length
        for start, position, size in extents:
            first = max(start, offset)
            last = min(start + size, end)
            if first < last:
                buffer[first - offset : last - offset] = self._pread(last - first, position + first - start)
        return bytes(buffer)

    async def statfs(self, src: int, m: fsx.Statfs) -> fsx.StatfsReply:
        """A full, read-only file system."""
        blocks = sum((node[0][6] + _BLOCK - 1) // _BLOCK for node in self._nodes if node is not None)
        files = len(self._nodes) - 1
        return fsx.StatfsReply(SQUASHFS_MAGIC, _BLOCK, blocks, 0, 0, files, 0, NAME_MAX, _ST_RDONLY)

    async def getxattr(self, src: int, m: fsx.Getxattr) -> fsx.GetxattrReply:
        """The value of an attribute; ENODATA if there is none of this name."""
        self._node(m.ino)
        value = self._xattrs.get(m.ino, {}).get(check_xattr_name(m.name))
        if value is None:
            raise e.fail(e.ENODATA)
        return fsx.GetxattrReply(value)

    async def listxattr(self, src: int, m: fsx.Listxattr) -> fsx.ListxattrReply:
        """All names."""
        self._node(m.ino)
        return fsx.ListxattrReply(pack_names(self._xattrs.get(m.ino, {})))

    # -- changing ------------------------------------------------------------------------------------

    async def write(self, src: int, m: fs.Write) -> fs.WriteReply:
        """EROFS."""
        self._handle(src, m.handle)
        raise e.fail(e.EROFS)

    async def fallocate(self, src: int, m: fsx.Fallocate) -> fsx.FallocateReply:
        """EROFS."""
        self._handle(src, m.handle)
        raise e.fail(e.EROFS)

    async def setattr(self, src: int, m: fsx.Setattr) -> fsx.SetattrReply:
        """EROFS."""
        raise e.fail(e.EROFS)

    async def mknod(self, src: int, m: fsx.Mknod) -> fsx.MknodReply:
        """EROFS."""
        raise e.fail(e.EROFS)

    async def mkdir(self, src: int, m: fsx.Mkdir) -> fsx.MkdirReply:
        """EROFS."""
        raise e.fail(e.EROFS)

    async def symlink(self, src: int, m: fsx.Symlink) -> fsx.SymlinkReply:
        """EROFS."""
        raise e.fail(e.EROFS)

    async def link(self, src: int, m: fsx.Link) -> fsx.LinkReply:
        """EROFS."""
        raise e.fail(e.EROFS)

    async def unlink(self, src: int, m: fsx.Unlink) -> fsx.UnlinkReply:
        """EROFS."""
        raise e.fail(e.EROFS)

    async def rmdir(self, src: int, m: fsx.Rmdir) -> fsx.RmdirReply:
        """EROFS."""
        raise e.fail(e.EROFS)

    async def rename(self, src: int, m: fsx.Rename) -> fsx.RenameReply:
        """EROFS."""
        raise e.fail(e.EROFS)

    async def setxattr(self, src: int, m: fsx.Setxattr) -> fsx.SetxattrReply:
        """EROFS."""
        raise e.fail(e.EROFS)

    async def removexattr(self, src: int, m: fsx.Removexattr) -> fsx.RemovexattrReply:
        """EROFS."""
        raise e.fail(e.EROFS)
