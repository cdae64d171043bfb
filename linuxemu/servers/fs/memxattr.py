"""Extended attributes of the in-memory file system: those of tmpfs, and what shows through from below (man 7 xattr)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NOT_ACCEPTABLE, posix_errno
from linuxemu.messages import fsx
from linuxemu.servers.fs import errno as e
from linuxemu.servers.fs.memtree import MemTree
from linuxemu.servers.fs.xattr import (
    CAPABILITY,
    check_xattr_name,
    is_kept,
    pack_names,
    split_attribute,
    unpack_names,
)

if TYPE_CHECKING:
    from linuxemu.servers.fs.memnode import Node


class MemXattrs(MemTree):
    """The part of `MemFs` that answers requests about extended attributes.

    Until one of them changes, the attributes of an inode are those that it has in the lower file system; then all are
    copied. They take room of inodes, as on tmpfs.
    """

    async def getxattr(self, src: int, m: fsx.Getxattr) -> fsx.GetxattrReply:
        """The value of an attribute; ENODATA if there is none of this name."""
        node = self._node(m.ino)
        check_xattr_name(m.name)
        found = node.xattrs
        value = await self._value_below(node, m.name) if found is None else found.get(m.name)
        if value is None:
            raise e.fail(e.ENODATA)
        return fsx.GetxattrReply(value)

    async def listxattr(self, src: int, m: fsx.Listxattr) -> fsx.ListxattrReply:
        """All names, in the order of tmpfs: the last of the alphabet first."""
        node = self._node(m.ino)
        found = await self._names_below(node) if node.xattrs is None else list(node.xattrs)
        return fsx.ListxattrReply(pack_names(sorted(found, reverse=True)))

    async def setxattr(self, src: int, m: fsx.Setxattr) -> fsx.SetxattrReply:
        """Set an attribute; ENOSPC unless old and new value fit beside each other."""
        node = self._node(m.ino)
        name, value = split_attribute(m)
        xattrs = await self._own_xattrs(node)
        if not self._store.has_room_for_xattrs([(name, value)]):
            raise e.fail(e.ENOSPC)
        old = xattrs.get(name)
        if old is None and m.flags & fsx.XattrFlag.REPLACE:
            raise e.fail(e.ENODATA)
        if old is not None and m.flags & fsx.XattrFlag.CREATE:
            raise e.fail(e.EEXIST)
        if old is not None:
            self._store.drop_xattr(name, old)
        xattrs[name] = value
        self._store.add_xattr(name, value)
        node.nosec = node.nosec and name != CAPABILITY
        node.ctime_ns = self._now()
        return fsx.SetxattrReply()

    async def removexattr(self, src: int, m: fsx.Removexattr) -> fsx.RemovexattrReply:
        """Remove an attribute; ENODATA if there is none of this name."""
        node = self._node(m.ino)
        check_xattr_name(m.name)
        xattrs = await self._own_xattrs(node)
        if m.name not in xattrs:
            raise e.fail(e.ENODATA)
        self._store.drop_xattr(m.name, xattrs.pop(m.name))
        node.ctime_ns = self._now()
        return fsx.RemovexattrReply()

    def _drop_capability(self, node: Node) -> None:
        """The file's contents or owner change: its capabilities end, here or by hiding what is below."""
        node.nosec = True
        if node.xattrs and CAPABILITY in node.xattrs:
            self._store.drop_xattr(CAPABILITY, node.xattrs.pop(CAPABILITY))

    # -- the lower file system -----------------------------------------------------------------------

    async def _own_xattrs(self, node: Node) -> dict[bytes, bytes]:
        """The attributes of a node, kept here from now on because they are about to change."""
        await self._own(node)
        if node.xattrs is None:
            found = {}
            for name in await self._names_below(node):
                value = await self._value_below(node, name)
                if value is not None:  # else it was removed meanwhile
                    found[name] = value
            if node.xattrs is None:
                if not self._store.has_room_for_xattrs(found.items()):
                    raise e.fail(e.ENOSPC)
                for attribute in found.items():
                    self._store.add_xattr(*attribute)
                node.xattrs = found
        return node.xattrs

    async def _value_below(self, node: Node, name: bytes) -> bytes | None:
        """The value that shows through, None if there is none."""
        if node.lower is None or (node.nosec and name == CAPABILITY):
            return None
        try:
            value: bytes = (await self._ask_lower(fsx.Getxattr(node.lower, name))).value
        except RpcError as error:
            if error.code != ERR_NOT_ACCEPTABLE and posix_errno(error.code) not in (e.ENODATA, e.EOPNOTSUPP):
                raise
            return None
        return value

    async def _names_below(self, node: Node) -> list[bytes]:
        """The names that show through; none where the lower server knows nothing of attributes."""
        if node.lower is None:
            return []
        try:
            reply: fsx.ListxattrReply = await self._ask_lower(fsx.Listxattr(node.lower))
        except RpcError as error:
            if error.code != ERR_NOT_ACCEPTABLE and posix_errno(error.code) != e.EOPNOTSUPP:
                raise
            return []
        hidden = CAPABILITY if node.nosec else b""
        return [name for name in unpack_names(reply.names) if name != hidden and is_kept(name)]
