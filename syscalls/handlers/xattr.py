"""Extended attributes (man 7 xattr): who may touch which, and what their file systems are asked then.

There are no access lists: the attributes `system.posix_acl_*` are EOPNOTSUPP, as on a file system mounted without them.
The file systems that this server makes up, /proc and /sys, have no attributes at all. Capabilities of a file end when
it is written to or given away, as on Linux, but not by a chown(2) that names neither owner nor group.
"""

from __future__ import annotations

from struct import Struct
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
    XATTR_LIST_MAX,
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
_CHANGE_ERRORS = "EACCES EFAULT EIO ENODATA EINVAL EOPNOTSUPP EPERM ERANGE EROFS"
_SET_ERRORS = f"{_CHANGE_ERRORS} E2BIG EEXIST ENOSPC"
_GET_ERRORS = "EACCES EFAULT EINVAL EIO ENODATA EOPNOTSUPP ERANGE"
_LIST_ERRORS = "E2BIG EFAULT EIO ERANGE"
_NOTES = "no access lists (system.posix_acl_*): EOPNOTSUPP; file capabilities are kept and have no effect"

_CAPABILITY = b"security.capability"
_ACCESS_LIST = b"system.posix_acl_"
_CLASSES = (b"user.", b"trusted.", b"security.")
_REVISION_2, _REVISION_3 = 0x0200_0000, 0x0300_0000
_REVISION = 0xFF00_0000
_MAGIC, _ROOT = Struct("<I"), Struct("<I")
_SIZE_2, _SIZE_3 = 20, 24
_NOBODY = 0xFFFF_FFFF


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


def _open_or_cwd(t: Task, fd: int) -> Path:
    """The place of a descriptor; fgetxattr and fsetxattr of Linux take AT_FDCWD for the current directory."""
    return t.fs.cwd if fd == AT_FDCWD else _open_place(t, fd)


async def _new_value(t: Task, name: int, value: int, size: int, flags: int) -> tuple[bytes, bytes]:
    """The checks of setxattr that come before the path is looked at; returns name and value."""
    if flags & ~(XATTR_CREATE | XATTR_REPLACE):
        raise SysError(EINVAL)
    key = await _name(t, name)
    if size > XATTR_SIZE_MAX:
        raise SysError(E2BIG)
    return key, await t.mem.read(value, size)


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


def _revision(value: bytes) -> int:
    """2 or 3, which says what a value of security.capability looks like (man 7 capabilities); EINVAL for no such."""
    if len(value) in (_SIZE_2, _SIZE_3):
        magic = _MAGIC.unpack_from(value)[0] & _REVISION
        if magic == (_REVISION_2 if len(value) == _SIZE_2 else _REVISION_3):
            return 2 if len(value) == _SIZE_2 else 3
    raise SysError(EINVAL)


def _check_capability(t: Task, value: bytes) -> None:
    """What Linux asks of a new value of security.capability, before anything else."""
    revision = _revision(value)
    if not t.creds.capable(CAP_SETFCAP):
        raise SysError(EPERM)
    if revision == 3 and _ROOT.unpack_from(value, _SIZE_2)[0] == _NOBODY:
        raise SysError(EINVAL)


def _shown_capability(value: bytes) -> bytes:
    """The value of security.capability as it is read: one of this user namespace's root says no root."""
    if _revision(value) == 2 or _ROOT.unpack_from(value, _SIZE_2)[0]:
        return value
    magic = _MAGIC.unpack_from(value)[0]
    return _MAGIC.pack(magic & ~_REVISION | _REVISION_2) + value[_MAGIC.size : _SIZE_2]


async def _set(t: Task, place: Path, name: bytes, value: bytes, flags: int) -> None:
    check_writable(place)
    if name == _CAPABILITY and value:
        _check_capability(t, value)
    await _check(t, place, name, True)
    if name.startswith(b"security.") and name != _CAPABILITY and not t.creds.capable(CAP_SYS_ADMIN):
        raise SysError(EPERM)
    try:
        await place.inode.setxattr(t, name, value, flags)
    except SysError as error:
        if error.errno == EOPNOTSUPP:
            _record(t, place, name)
        raise
    if name == _CAPABILITY:
        t.server.unsupported("file capabilities", t)


def _record(t: Task, place: Path, name: bytes) -> None:
    """Note that an attribute was refused which Linux would have set; it has none of pipes and of /proc."""
    mount = place.mount
    if name.startswith(_ACCESS_LIST):
        t.server.unsupported("access lists", t)
    elif name.startswith(_CLASSES) and mount.number and mount.fs.kind != "proc":
        t.server.unsupported("extended attributes", t)


async def _remove(t: Task, place: Path, name: bytes) -> None:
    check_writable(place)
    await _check(t, place, name, True)
    needed = CAP_SETFCAP if name == _CAPABILITY else CAP_SYS_ADMIN
    if name.startswith(b"security.") and not t.creds.capable(needed):
        raise SysError(EPERM)
    await place.inode.removexattr(t, name)


async def _get(t: Task, place: Path, name: bytes, address: int, size: int) -> int:
    await _check(t, place, name, False)
    value = await place.inode.getxattr(t, name)
    if name == _CAPABILITY:
        value = _shown_capability(value)
    if size:
        if len(value) > size:
            raise SysError(ERANGE)
        await t.mem.write(address, value)
    return len(value)


async def _list(t: Task, place: Path, address: int, size: int) -> int:
    names = await place.inode.listxattr(t)
    if not t.creds.capable(CAP_SYS_ADMIN):
        names = [name for name in names if not name.startswith(b"trusted.")]
    packed = b"".join([name + b"\0" for name in names])
    if size:
        if len(packed) > min(size, XATTR_LIST_MAX):
            raise SysError(ERANGE if size < XATTR_LIST_MAX else E2BIG)
        await t.mem.write(address, packed)
    return len(packed)


@syscall("setxattr", errors=f"{_SET_ERRORS} {PATH_ERRORS}", support=PARTIAL, notes=_NOTES)
async def setxattr(
    t: Task, path: UserPath, name: UserStr, value: NewValue, size: Size, flags: XattrFlags
) -> None:
    """Set an extended attribute (man 2 setxattr)."""
    key, data = await _new_value(t, name, value, size, flags)
    await _set(t, await _at(t, path, True), key, data, flags)


@syscall("lsetxattr", errors=f"{_SET_ERRORS} {PATH_ERRORS}", support=PARTIAL, notes=_NOTES)
async def lsetxattr(
    t: Task, path: UserPath, name: UserStr, value: NewValue, size: Size, flags: XattrFlags
) -> None:
    """Set an extended attribute of a link itself (man 2 setxattr)."""
    key, data = await _new_value(t, name, value, size, flags)
    await _set(t, await _at(t, path, False), key, data, flags)


@syscall("fsetxattr", errors=f"{_SET_ERRORS} EBADF", support=PARTIAL, notes=_NOTES)
async def fsetxattr(
    t: Task, fd: Fd, name: UserStr, value: NewValue, size: Size, flags: XattrFlags
) -> None:
    """Set an extended attribute of an open file (man 2 setxattr)."""
    key, data = await _new_value(t, name, value, size, flags)
    await _set(t, _open_or_cwd(t, fd), key, data, flags)


@syscall("getxattr", errors=f"{_GET_ERRORS} {PATH_ERRORS}")
async def getxattr(t: Task, path: UserPath, name: UserStr, value: Value, size: Size) -> int:
    """Get an extended attribute (man 2 getxattr)."""
    key = await _name(t, name)
    return await _get(t, await _at(t, path, True), key, value, size)


@syscall("lgetxattr", errors=f"{_GET_ERRORS} {PATH_ERRORS}")
async def lgetxattr(t: Task, path: UserPath, name: UserStr, value: Value, size: Size) -> int:
    """Get an extended attribute of a link itself (man 2 getxattr)."""
    key = await _name(t, name)
    return await _get(t, await _at(t, path, False), key, value, size)


@syscall("fgetxattr", errors=f"{_GET_ERRORS} EBADF")
async def fgetxattr(t: Task, fd: Fd, name: UserStr, value: Value, size: Size) -> int:
    """Get an extended attribute of an open file (man 2 getxattr)."""
    key = await _name(t, name)
    return await _get(t, _open_or_cwd(t, fd), key, value, size)


@syscall("listxattr", errors=f"{_LIST_ERRORS} {PATH_ERRORS}")
async def listxattr(t: Task, path: UserPath, list: Names, size: Size) -> int:
    """The names of all extended attributes, each with its NUL (man 2 listxattr)."""
    return await _list(t, await _at(t, path, True), list, size)


@syscall("llistxattr", errors=f"{_LIST_ERRORS} {PATH_ERRORS}")
async def llistxattr(t: Task, path: UserPath, list: Names, size: Size) -> int:
    """The same of a link itself (man 2 listxattr)."""
    return await _list(t, await _at(t, path, False), list, size)


@syscall("flistxattr", errors=f"{_LIST_ERRORS} EBADF")
async def flistxattr(t: Task, fd: Fd, list: Names, size: Size) -> int:
    """The same of an open file (man 2 listxattr)."""
    return await _list(t, _open_place(t, fd), list, size)


@syscall("removexattr", errors=f"{_CHANGE_ERRORS} {PATH_ERRORS}")
async def removexattr(t: Task, path: UserPath, name: UserStr) -> None:
    """Remove an extended attribute (man 2 removexattr)."""
    key = await _name(t, name)
    await _remove(t, await _at(t, path, True), key)


@syscall("lremovexattr", errors=f"{_CHANGE_ERRORS} {PATH_ERRORS}")
async def lremovexattr(t: Task, path: UserPath, name: UserStr) -> None:
    """Remove an extended attribute of a link itself (man 2 removexattr)."""
    key = await _name(t, name)
    await _remove(t, await _at(t, path, False), key)


@syscall("fremovexattr", errors=f"{_CHANGE_ERRORS} EBADF")
async def fremovexattr(t: Task, fd: Fd, name: UserStr) -> None:
    """Remove an extended attribute of an open file (man 2 removexattr)."""
    key = await _name(t, name)
    await _remove(t, _open_place(t, fd), key)
