"""Extended attributes (man 7 xattr): no file system here has any, and each call says so after its checks.

What a new value means is not among these: Linux refuses a damaged `security.capability` or access list with EINVAL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import E2BIG, EACCES, EINVAL, ENAMETOOLONG, ENODATA, EOPNOTSUPP, EPERM, ERANGE
from syscalls.abi.flags import (
    AT_FDCWD,
    CAP_SETFCAP,
    CAP_SYS_ADMIN,
    S_IFDIR,
    S_IFREG,
    S_ISVTX,
    XATTR_CREATE,
    XATTR_NAME_MAX,
    XATTR_REPLACE,
    XATTR_SIZE_MAX,
)
from syscalls.errors import SysError
from syscalls.handlers._errors import PATH_ERRORS
from syscalls.objects.credentials import MAY_READ, MAY_WRITE, permission
from syscalls.registry import PARTIAL, syscall
from syscalls.types import Count, Fd, In, Out, Shown, Size, UserPath, UserStr, XattrFlags
from syscalls.vfs.attributes import check_writable
from syscalls.vfs.mount import place_of_file
from syscalls.vfs.walk import lookup

if TYPE_CHECKING:
    from syscalls.objects.task import Task
    from syscalls.vfs.mount import Path

NewValue = Annotated[In[bytes], Shown("xattr_value"), Count("size")]
Value = Annotated[Out[bytes], Shown("xattr_value"), Count("result")]
Names = Annotated[Out[bytes], Shown("xattr_list"), Count("result")]
_CHANGE_ERRORS = "EACCES EFAULT EIO EOPNOTSUPP EPERM ERANGE EROFS"
_SET_ERRORS = f"{_CHANGE_ERRORS} E2BIG EINVAL"
_GET_ERRORS = "EACCES EFAULT EIO ENODATA EOPNOTSUPP ERANGE"
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
    if flags & ~(XATTR_CREATE | XATTR_REPLACE):
        raise SysError(EINVAL)
    key = await _name(t, name)
    if size > XATTR_SIZE_MAX:
        raise SysError(E2BIG)
    await t.mem.read(value, size)
    return key


async def _check(t: Task, place: Path, name: bytes, write: bool) -> None:
    """Who may touch which class of attributes (man 7 xattr)."""
    creds, inode = t.creds, place.inode
    refused = EPERM if write else ENODATA
    if name.startswith(b"trusted.") and not creds.capable(CAP_SYS_ADMIN):
        raise SysError(refused)
    if name.startswith((b"trusted.", b"security.", b"system.")):
        return
    user = name.startswith(b"user.")
    if user and inode.kind not in (S_IFREG, S_IFDIR):
        raise SysError(refused)
    attr = await inode.getattr(t)
    sticky = inode.kind == S_IFDIR and attr.mode & S_ISVTX
    if user and write and sticky and not creds.owner_or_capable(attr.uid):
        raise SysError(EPERM)
    if not permission(creds, attr, MAY_WRITE if write else MAY_READ):
        raise SysError(EACCES)


async def _change(t: Task, place: Path, name: bytes) -> None:
    check_writable(place)
    await _check(t, place, name, True)
    needed = CAP_SETFCAP if name == b"security.capability" else CAP_SYS_ADMIN
    if name.startswith(b"security.") and not t.creds.capable(needed):
        raise SysError(EPERM)
    t.server.unsupported("extended attributes", t)
    raise SysError(EOPNOTSUPP)


async def _get(t: Task, place: Path, name: bytes) -> None:
    await _check(t, place, name, False)
    raise SysError(EOPNOTSUPP)


@syscall("setxattr", errors=f"{_SET_ERRORS} {PATH_ERRORS}", support=PARTIAL, notes=_NOTES)
async def setxattr(
    t: Task, path: UserPath, name: UserStr, value: NewValue, size: Size, flags: XattrFlags
) -> None:
    """Set an extended attribute (man 2 setxattr)."""
    key = await _new_value(t, name, value, size, flags)
    await _change(t, await _at(t, path, True), key)


@syscall("lsetxattr", errors=f"{_SET_ERRORS} {PATH_ERRORS}", support=PARTIAL, notes=_NOTES)
async def lsetxattr(
    t: Task, path: UserPath, name: UserStr, value: NewValue, size: Size, flags: XattrFlags
) -> None:
    """Set an extended attribute of a link itself (man 2 setxattr)."""
    key = await _new_value(t, name, value, size, flags)
    await _change(t, await _at(t, path, False), key)


@syscall("fsetxattr", errors=f"{_SET_ERRORS} EBADF", support=PARTIAL, notes=_NOTES)
async def fsetxattr(
    t: Task, fd: Fd, name: UserStr, value: NewValue, size: Size, flags: XattrFlags
) -> None:
    """Set an extended attribute of an open file (man 2 setxattr)."""
    key = await _new_value(t, name, value, size, flags)
    await _change(t, _open_place(t, fd), key)


@syscall("getxattr", errors=f"{_GET_ERRORS} {PATH_ERRORS}", support=PARTIAL, notes=_NOTES)
async def getxattr(t: Task, path: UserPath, name: UserStr, value: Value, size: Size) -> None:
    """Get an extended attribute (man 2 getxattr)."""
    key = await _name(t, name)
    await _get(t, await _at(t, path, True), key)


@syscall("lgetxattr", errors=f"{_GET_ERRORS} {PATH_ERRORS}", support=PARTIAL, notes=_NOTES)
async def lgetxattr(t: Task, path: UserPath, name: UserStr, value: Value, size: Size) -> None:
    """Get an extended attribute of a link itself (man 2 getxattr)."""
    key = await _name(t, name)
    await _get(t, await _at(t, path, False), key)


@syscall("fgetxattr", errors=f"{_GET_ERRORS} EBADF", support=PARTIAL, notes=_NOTES)
async def fgetxattr(t: Task, fd: Fd, name: UserStr, value: Value, size: Size) -> None:
    """Get an extended attribute of an open file (man 2 getxattr)."""
    key = await _name(t, name)
    await _get(t, _open_place(t, fd), key)


@syscall("listxattr", errors=PATH_ERRORS, support=PARTIAL, notes=_NOTES)
async def listxattr(t: Task, path: UserPath, list: Names, size: Size) -> None:
    """The names of all extended attributes: none (man 2 listxattr)."""
    await _at(t, path, True)


@syscall("llistxattr", errors=PATH_ERRORS, support=PARTIAL, notes=_NOTES)
async def llistxattr(t: Task, path: UserPath, list: Names, size: Size) -> None:
    """The same of a link itself (man 2 listxattr)."""
    await _at(t, path, False)


@syscall("flistxattr", errors="EBADF", support=PARTIAL, notes=_NOTES)
async def flistxattr(t: Task, fd: Fd, list: Names, size: Size) -> None:
    """The same of an open file (man 2 listxattr)."""
    t.files.get(fd)


@syscall("removexattr", errors=f"{_CHANGE_ERRORS} {PATH_ERRORS}", support=PARTIAL, notes=_NOTES)
async def removexattr(t: Task, path: UserPath, name: UserStr) -> None:
    """Remove an extended attribute (man 2 removexattr)."""
    key = await _name(t, name)
    await _change(t, await _at(t, path, True), key)


@syscall("lremovexattr", errors=f"{_CHANGE_ERRORS} {PATH_ERRORS}", support=PARTIAL, notes=_NOTES)
async def lremovexattr(t: Task, path: UserPath, name: UserStr) -> None:
    """Remove an extended attribute of a link itself (man 2 removexattr)."""
    key = await _name(t, name)
    await _change(t, await _at(t, path, False), key)


@syscall("fremovexattr", errors=f"{_CHANGE_ERRORS} EBADF", support=PARTIAL, notes=_NOTES)
async def fremovexattr(t: Task, fd: Fd, name: UserStr) -> None:
    """Remove an extended attribute of an open file (man 2 removexattr)."""
    key = await _name(t, name)
    await _change(t, _open_place(t, fd), key)
