"""Extended attributes (man 7 xattr): no file system here has any, and each call says so after its checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import E2BIG, EINVAL, ENAMETOOLONG, ENODATA, EOPNOTSUPP, EPERM, ERANGE
from syscalls.abi.flags import (
    AT_FDCWD,
    CAP_SYS_ADMIN,
    S_IFDIR,
    S_IFREG,
    XATTR_CREATE,
    XATTR_NAME_MAX,
    XATTR_REPLACE,
    XATTR_SIZE_MAX,
)
from syscalls.errors import SysError
from syscalls.registry import PARTIAL, syscall
from syscalls.types import Fd, IntFlags, Size, UserPath, UserPtr, UserStr
from syscalls.vfs.attributes import check_writable
from syscalls.vfs.mount import place_of_file
from syscalls.vfs.walk import lookup

if TYPE_CHECKING:
    from syscalls.objects.task import Task
    from syscalls.vfs.mount import Path

_NOTES = "no file system has extended attributes: EOPNOTSUPP, and an empty list"


async def _name(t: Task, address: int) -> bytes:
    """The name of an attribute: 1 to 255 bytes, ERANGE otherwise."""
    try:
        name = await t.mem.cstr(address, XATTR_NAME_MAX + 1)
    except SysError as error:
        raise SysError(ERANGE if error.errno == ENAMETOOLONG else error.errno) from None
    if not name:
        raise SysError(ERANGE)
    return name


async def _at(t: Task, address: int, follow: bool) -> Path:
    return await lookup(t, AT_FDCWD, await t.mem.path(address), follow)


def _open_place(t: Task, fd: int) -> Path:
    return place_of_file(t.files.get(fd))


async def _new_value(t: Task, name: int, value: int, size: int, flags: int) -> bytes:
    """The checks of setxattr that come before the path is looked at; returns the name."""
    key = await _name(t, name)
    if flags & ~(XATTR_CREATE | XATTR_REPLACE):
        raise SysError(EINVAL)
    if size > XATTR_SIZE_MAX:
        raise SysError(E2BIG)
    await t.mem.read(value, size)
    return key


def _check(t: Task, place: Path, name: bytes, refused: int) -> None:
    """Who may touch which class of attributes (man 7 xattr)."""
    if name.startswith(b"trusted.") and not t.creds.capable(CAP_SYS_ADMIN):
        raise SysError(refused)
    if name.startswith(b"user.") and place.inode.kind not in (S_IFREG, S_IFDIR):
        raise SysError(refused)


def _change(t: Task, place: Path, name: bytes) -> None:
    check_writable(place)
    _check(t, place, name, EPERM)
    raise SysError(EOPNOTSUPP)


@syscall("setxattr", support=PARTIAL, notes=_NOTES)
async def setxattr(
    t: Task, path: UserPath, name: UserStr, value: UserPtr[bytes], size: Size, flags: IntFlags
) -> None:
    """Set an extended attribute (man 2 setxattr)."""
    key = await _new_value(t, name, value, size, flags)
    _change(t, await _at(t, path, True), key)


@syscall("lsetxattr", support=PARTIAL, notes=_NOTES)
async def lsetxattr(
    t: Task, path: UserPath, name: UserStr, value: UserPtr[bytes], size: Size, flags: IntFlags
) -> None:
    """Set an extended attribute of a link itself (man 2 setxattr)."""
    key = await _new_value(t, name, value, size, flags)
    _change(t, await _at(t, path, False), key)


@syscall("fsetxattr", support=PARTIAL, notes=_NOTES)
async def fsetxattr(
    t: Task, fd: Fd, name: UserStr, value: UserPtr[bytes], size: Size, flags: IntFlags
) -> None:
    """Set an extended attribute of an open file (man 2 setxattr)."""
    key = await _new_value(t, name, value, size, flags)
    _change(t, _open_place(t, fd), key)


def _get(t: Task, place: Path, name: bytes) -> None:
    _check(t, place, name, ENODATA)
    raise SysError(EOPNOTSUPP)


@syscall("getxattr", support=PARTIAL, notes=_NOTES)
async def getxattr(t: Task, path: UserPath, name: UserStr, value: UserPtr[bytes], size: Size) -> None:
    """Get an extended attribute (man 2 getxattr)."""
    key = await _name(t, name)
    _get(t, await _at(t, path, True), key)


@syscall("lgetxattr", support=PARTIAL, notes=_NOTES)
async def lgetxattr(t: Task, path: UserPath, name: UserStr, value: UserPtr[bytes], size: Size) -> None:
    """Get an extended attribute of a link itself (man 2 getxattr)."""
    key = await _name(t, name)
    _get(t, await _at(t, path, False), key)


@syscall("fgetxattr", support=PARTIAL, notes=_NOTES)
async def fgetxattr(t: Task, fd: Fd, name: UserStr, value: UserPtr[bytes], size: Size) -> None:
    """Get an extended attribute of an open file (man 2 getxattr)."""
    t.files.get(fd)
    key = await _name(t, name)
    _get(t, _open_place(t, fd), key)


@syscall("listxattr", support=PARTIAL, notes=_NOTES)
async def listxattr(t: Task, path: UserPath, list: UserPtr[bytes], size: Size) -> None:
    """The names of all extended attributes: none (man 2 listxattr)."""
    await _at(t, path, True)


@syscall("llistxattr", support=PARTIAL, notes=_NOTES)
async def llistxattr(t: Task, path: UserPath, list: UserPtr[bytes], size: Size) -> None:
    """The same of a link itself (man 2 listxattr)."""
    await _at(t, path, False)


@syscall("flistxattr", support=PARTIAL, notes=_NOTES)
async def flistxattr(t: Task, fd: Fd, list: UserPtr[bytes], size: Size) -> None:
    """The same of an open file (man 2 listxattr)."""
    t.files.get(fd)


@syscall("removexattr", support=PARTIAL, notes=_NOTES)
async def removexattr(t: Task, path: UserPath, name: UserStr) -> None:
    """Remove an extended attribute (man 2 removexattr)."""
    key = await _name(t, name)
    _change(t, await _at(t, path, True), key)


@syscall("lremovexattr", support=PARTIAL, notes=_NOTES)
async def lremovexattr(t: Task, path: UserPath, name: UserStr) -> None:
    """Remove an extended attribute of a link itself (man 2 removexattr)."""
    key = await _name(t, name)
    _change(t, await _at(t, path, False), key)


@syscall("fremovexattr", support=PARTIAL, notes=_NOTES)
async def fremovexattr(t: Task, fd: Fd, name: UserStr) -> None:
    """Remove an extended attribute of an open file (man 2 removexattr)."""
    t.files.get(fd)
    key = await _name(t, name)
    _change(t, _open_place(t, fd), key)
