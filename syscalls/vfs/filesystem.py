"""File systems as the Linux server sees them: what can be mounted (man 2 mount)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from linuxemu.idl.codes import (
    ERR_ALREADY_EXISTS,
    ERR_IN_USE,
    ERR_INVALID_ARG,
    ERR_NO_MEMORY,
    ERR_NOT_ACCEPTABLE,
    ERR_NOT_FOUND,
    ERR_NOT_PERMITTED,
    ERR_TOO_LARGE,
    ERR_TRY_AGAIN,
    ERR_WOULD_BLOCK,
    posix_errno,
)
from syscalls.abi.errno import (
    EAGAIN,
    EBUSY,
    EEXIST,
    EFBIG,
    EINVAL,
    EIO,
    ENOENT,
    ENOMEM,
    EOPNOTSUPP,
    EPERM,
)

if TYPE_CHECKING:
    from syscalls.objects.task import Task
    from syscalls.vfs.dentry import Dentry
    from syscalls.vfs.inode import Inode

_ERRNO = {
    ERR_NO_MEMORY: ENOMEM,
    ERR_NOT_PERMITTED: EPERM,
    ERR_WOULD_BLOCK: EAGAIN,
    ERR_TOO_LARGE: EFBIG,
    ERR_NOT_FOUND: ENOENT,
    ERR_INVALID_ARG: EINVAL,
    ERR_ALREADY_EXISTS: EEXIST,
    ERR_NOT_ACCEPTABLE: EOPNOTSUPP,
    ERR_IN_USE: EBUSY,
    ERR_TRY_AGAIN: EAGAIN,
}


def errno_of(code: int) -> int:
    """The Linux errno for the error word of a file server's reply (namespaces fs and fsx)."""
    errno = posix_errno(code)
    return errno if errno is not None else _ERRNO.get(code, EIO)


class FsInfo(NamedTuple):
    """What statfs shows of a file system, in the order of message fsx.statfs_reply."""

    type: int
    bsize: int
    blocks: int
    bfree: int
    bavail: int
    files: int
    ffree: int
    namelen: int
    flags: int


class FileSystem:
    """A file system that can be mounted, at one place or at many.

    Args:
        kind: its type in /proc/mounts ("tmpfs", "proc" ...).
        dev: device number of its files (st_dev), as `MountNamespace.new_dev` hands out.
        readonly: nothing in it can change, whatever the mount flags say.
    """

    multigrain = False
    """statx tells times of changes only if it is asked for them, as they are made when somebody looks."""
    flat = False
    """Has no directories: the rest of a path is one name (a server of the seed's six messages)."""

    fixed = False
    """What is not there cannot be made: creating is ENOENT, before anything else is asked (proc)."""

    def __init__(self, kind: str, dev: int, *, readonly: bool = False) -> None:
        self.kind = kind
        self.dev = dev
        self.readonly = readonly
        self.options = ""
        """What /proc/mounts shows after the mount's own flags, without a leading comma ("mode=755")."""
        self._root_dentry: Dentry | None = None

    async def root(self) -> Inode:
        """The root directory: always the same object."""
        raise NotImplementedError

    async def statfs(self, t: Task) -> FsInfo:
        """Type, sizes and limits (man 2 statfs)."""
        raise NotImplementedError

    async def sync(self, t: Task) -> None:
        """Bring everything written to the device (man 2 sync)."""

    def keep(self, dentry: Dentry) -> None:
        """A walk came through this dentry: holding it for a while may save work."""

    def drop(self, dentry: Dentry | None) -> None:
        """Hold a dentry no longer: its name was removed."""

    def forget_unused(self) -> None:
        """Tell the server of the inodes that nobody holds any more."""

    async def close_unused(self) -> None:
        """Close what a walk opened on its way and nobody took (`Walk.opening`); for a flat file system."""

    def umounted(self) -> None:
        """The last mount is gone."""

    async def root_dentry(self) -> Dentry:
        """The root of its tree of names, shared by all its mounts."""
        if self._root_dentry is None:
            from syscalls.vfs.dentry import Dentry

            self._root_dentry = Dentry(None, b"/", await self.root())
        return self._root_dentry
