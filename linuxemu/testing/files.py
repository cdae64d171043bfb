"""Files that a test makes and reads behind the guest's back, as root and without a trace in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syscalls.abi.flags import (
    AT_FDCWD,
    O_CREAT,
    O_RDONLY,
    O_TRUNC,
    O_WRONLY,
    S_IFMT,
    S_IFREG,
)
from syscalls.objects.credentials import Credentials
from syscalls.vfs.inode import GID, MODE, UID
from syscalls.vfs.modify import find
from syscalls.vfs.open import open_path
from syscalls.vfs.walk import Walk, lookup, lookup_parent

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from linuxemu.testing.guest import Guest
    from syscalls.objects.task import Task

_CHUNK = 1 << 20


def _encoded(path: str | bytes) -> bytes:
    return path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")


class Files:
    """The guest's file tree. Paths are the first thread's; relative ones begin at its current directory.

    The server behind must be a real one (`root="memfs"`, or `guest.fs.serve`): what is done here meets no expectation.

    Args:
        guest: the guest.
    Every method raises `SysError` with the errno that the guest would get.
    """

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        t = self._guest.main.t
        creds, umask, t.creds, t.fs.umask = t.creds, t.fs.umask, Credentials(), 0
        try:
            return self._guest.system.do(what)
        finally:
            t.creds, t.fs.umask = creds, umask

    def write(
        self, path: str | bytes, data: bytes = b"", *, mode: int = 0o644, uid: int = 0, gid: int = 0
    ) -> None:
        """Make a regular file, or replace its contents."""
        self._do(_write(self._guest.main.t, _encoded(path), data, mode, uid, gid))

    def read(self, path: str | bytes) -> bytes:
        """The contents of a file."""
        data: bytes = self._do(_read(self._guest.main.t, _encoded(path)))
        return data

    def mkdir(self, path: str | bytes, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        """Make a directory."""
        self._do(_mkdir(self._guest.main.t, _encoded(path), mode, uid, gid))

    def mknod(self, path: str | bytes, mode: int, rdev: int = 0) -> None:
        """Make a device, a FIFO or a socket; `mode` has its type."""
        self._do(_mknod(self._guest.main.t, _encoded(path), mode, rdev))

    def symlink(self, target: str | bytes, path: str | bytes) -> None:
        """Make a symbolic link at `path`."""
        self._do(_symlink(self._guest.main.t, _encoded(target), _encoded(path)))

    def setxattr(self, path: str | bytes, name: str | bytes, value: bytes = b"") -> None:
        """Give a file, or a symbolic link itself, an extended attribute."""
        self._do(_setxattr(self._guest.main.t, _encoded(path), _encoded(name), value))

    def exists(self, path: str | bytes) -> bool:
        """Whether there is something with this name, a symbolic link included."""
        return bool(self._do(_exists(self._guest.main.t, _encoded(path))))


async def _write(t: Task, path: bytes, data: bytes, mode: int, uid: int, gid: int) -> None:
    file = await open_path(t, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode)
    try:
        for at in range(0, len(data), _CHUNK):
            await file.write(t, data[at : at + _CHUNK])
        assert file.inode is not None
        await file.inode.setattr(t, MODE | UID | GID, mode=mode, uid=uid, gid=gid)
    finally:
        await file.put()


async def _read(t: Task, path: bytes) -> bytes:
    file = await open_path(t, AT_FDCWD, path, O_RDONLY)
    parts = []
    try:
        while part := await file.read(t, _CHUNK):
            parts.append(part)
    finally:
        await file.put()
    return b"".join(parts)


async def _mkdir(t: Task, path: bytes, mode: int, uid: int, gid: int) -> None:
    parent, name = await lookup_parent(t, AT_FDCWD, path)
    await parent.inode.mkdir(t, name, mode, uid, gid)


async def _mknod(t: Task, path: bytes, mode: int, rdev: int) -> None:
    parent, name = await lookup_parent(t, AT_FDCWD, path)
    await parent.inode.mknod(t, name, mode if mode & S_IFMT else mode | S_IFREG, rdev, 0, 0)


async def _symlink(t: Task, target: bytes, path: bytes) -> None:
    parent, name = await lookup_parent(t, AT_FDCWD, path)
    await parent.inode.symlink(t, name, target, 0, 0)


async def _setxattr(t: Task, path: bytes, name: bytes, value: bytes) -> None:
    place = await lookup(t, AT_FDCWD, path, False)
    await place.inode.setxattr(t, name, value, 0)


async def _exists(t: Task, path: bytes) -> bool:
    walk = Walk(t, AT_FDCWD, path)
    name = await walk.to_last()
    return name is None or await find(walk, name) is not None


