"""Extended attributes of a host directory: those of users, as the host has them (man 7 xattr)."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from linuxemu.messages import fsx
from linuxemu.servers.fs import errno as e
from linuxemu.servers.fs.base import S_IFREG
from linuxemu.servers.fs.hosttree import HostTree
from linuxemu.servers.fs.xattr import USER, check_xattr_name, is_kept, pack_names, split_attribute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linuxemu.servers.fs.hosttree import HostNode

_SUPPORTED = hasattr(os, "getxattr")


class HostXattrs(HostTree):
    """The part of `HostFs` that answers requests about extended attributes.

    Only the class `user.` is there, and of regular files and directories only; anything else is EOPNOTSUPP. The
    classes `trusted.` and `security.` mean something to the host, so its guests neither see nor make them.
    """

    async def getxattr(self, src: int, m: fsx.Getxattr) -> fsx.GetxattrReply:
        """The value of an attribute, as the host says."""
        _check_class(m.name)
        with self._attributes_of(self._node(m.ino)) as where:
            return fsx.GetxattrReply(os.getxattr(where, m.name))

    async def setxattr(self, src: int, m: fsx.Setxattr) -> fsx.SetxattrReply:
        """Set an attribute, as far as the host permits."""
        self._check_writable()
        name, value = split_attribute(m)
        _check_class(name)
        with self._attributes_of(self._node(m.ino)) as where:
            os.setxattr(where, name, value, m.flags)
        return fsx.SetxattrReply()

    async def listxattr(self, src: int, m: fsx.Listxattr) -> fsx.ListxattrReply:
        """The names of the class `user.`, in the host's order."""
        with self._attributes_of(self._node(m.ino)) as where:
            names = [os.fsencode(name) for name in os.listxattr(where)]
        return fsx.ListxattrReply(pack_names(name for name in names if name.startswith(USER) and is_kept(name)))

    async def removexattr(self, src: int, m: fsx.Removexattr) -> fsx.RemovexattrReply:
        """Remove an attribute, as far as the host permits."""
        self._check_writable()
        _check_class(m.name)
        with self._attributes_of(self._node(m.ino)) as where:
            os.removexattr(where, m.name)
        return fsx.RemovexattrReply()

    @contextmanager
    def _attributes_of(self, node: HostNode) -> Iterator[int | str]:
        """What the host's calls take for an inode; EOPNOTSUPP for one that cannot have attributes."""
        if not _SUPPORTED or not (node.is_dir or node.key[2] == S_IFREG):
            raise e.fail(e.EOPNOTSUPP)
        try:
            descriptors = node.descriptors()
            if descriptors:
                yield descriptors[0][0]
            else:
                with self._pinned(node) as path:
                    yield path
        except OSError as error:
            raise e.host_failure(error) from None


def _check_class(name: bytes) -> None:
    if not check_xattr_name(name).startswith(USER):
        raise e.fail(e.EOPNOTSUPP)
