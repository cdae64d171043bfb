"""Names: directories, links, renaming, special files, the current and the root directory."""

from __future__ import annotations

from struct import unpack_from
from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import EACCES, EFAULT, EINVAL, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, ERANGE
from syscalls.abi.flags import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_REMOVEDIR,
    AT_SYMLINK_FOLLOW,
    CAP_DAC_READ_SEARCH,
    CAP_MKNOD,
    CAP_SYS_CHROOT,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
)
from syscalls.abi.structs import pack_dirent, pack_dirent64
from syscalls.errors import SysError
from syscalls.handlers._errors import PATH_ERRORS
from syscalls.objects.credentials import MAY_EXEC, permission
from syscalls.objects.memory import PATH_MAX
from syscalls.registry import PARTIAL, syscall
from syscalls.types import (
    AtFlags,
    DirFd,
    Fd,
    Mode,
    NodeDev,
    NodeMode,
    Out,
    RenameFlags,
    Shown,
    Size,
    UInt,
    UserPath,
)
from syscalls.vfs import modify
from syscalls.vfs.mount import path_name, place_of_file
from syscalls.vfs.transfer import pinned
from syscalls.vfs.walk import lookup

if TYPE_CHECKING:
    from syscalls.objects.file import File, PackEntry
    from syscalls.objects.task import Task
    from syscalls.vfs.mount import Path

_INT_MAX = 0x7FFF_FFFF
_LIST_ERRORS = "EBADF EFAULT EINVAL EIO ENOENT ENOTDIR EOPNOTSUPP"
_MAKE_ERRORS = f"{PATH_ERRORS} EEXIST ENOSPC EPERM EROFS"
_UNLINK_ERRORS = f"{PATH_ERRORS} EBUSY EISDIR EPERM EROFS"
_RENAME_ERRORS = f"{PATH_ERRORS} EBUSY EINVAL EISDIR ENOTEMPTY EPERM EROFS EXDEV"

# -- listing ----------------------------------------------------------------------------------------------


async def _getdents(t: Task, file: File, address: int, size: int, pack: PackEntry) -> int:
    before = file.pos
    # Linux counts the room that is left in an int.
    records = await file.getdents(t, size if size <= _INT_MAX else 0, pack)
    try:
        # Linux begins with the position of the first entry, so that nothing is written where that has no room.
        await t.mem.write(address + 8, records[8:16])
        written = await t.mem.write_some(address, records)
    except SysError:
        file.pos = before
        raise
    if written == len(records):
        return written
    return _cut(file, before, records, written)


def _cut(file: File, before: int, records: bytes, written: int) -> int:
    """Only so much could be written: the listing goes on after the last whole record, EFAULT if there is none."""
    end, position = 0, before
    while True:
        following, length = unpack_from("<8xQH", records, end)
        if end + length > written:
            break
        end += length
        position = following
    file.pos = position
    if not end:
        raise SysError(EFAULT)
    return end


@syscall("getdents64", errors=_LIST_ERRORS)
async def getdents64(t: Task, fd: Fd, dirp: Annotated[Out[bytes], Shown("dirents64")], count: UInt) -> int:
    """List a directory (man 2 getdents64)."""
    file = t.files.get(fd)
    return await pinned(file, _getdents(t, file, dirp, count, pack_dirent64))


@syscall("getdents", errors=_LIST_ERRORS)
async def getdents(t: Task, fd: Fd, dirp: Annotated[Out[bytes], Shown("dirents")], count: UInt) -> int:
    """List a directory in the old format (man 2 getdents)."""
    file = t.files.get(fd)
    return await pinned(file, _getdents(t, file, dirp, count, pack_dirent))


# -- making -----------------------------------------------------------------------------------------------


@syscall("mkdir", errors=_MAKE_ERRORS)
async def mkdir(t: Task, pathname: UserPath, mode: Mode) -> None:
    """Make a directory (man 2 mkdir)."""
    await modify.make_directory(t, AT_FDCWD, await t.mem.path(pathname), mode)


@syscall("mkdirat", errors=f"{_MAKE_ERRORS} EBADF")
async def mkdirat(t: Task, dirfd: DirFd, pathname: UserPath, mode: Mode) -> None:
    """Make a directory relative to another (man 2 mkdir)."""
    await modify.make_directory(t, dirfd, await t.mem.path(pathname), mode)


@syscall("mknod", errors=f"{_MAKE_ERRORS} EINVAL")
async def mknod(t: Task, pathname: UserPath, mode: NodeMode, dev: NodeDev) -> None:
    """Make a file, FIFO, socket or device node (man 2 mknod)."""
    await _mknod(t, AT_FDCWD, pathname, mode, dev)


@syscall("mknodat", errors=f"{_MAKE_ERRORS} EBADF EINVAL")
async def mknodat(t: Task, dirfd: DirFd, pathname: UserPath, mode: NodeMode, dev: NodeDev) -> None:
    """The same relative to a directory (man 2 mknod)."""
    await _mknod(t, dirfd, pathname, mode, dev)


async def _mknod(t: Task, dirfd: int, pathname: int, mode: int, dev: int) -> None:
    kind = mode & S_IFMT
    if kind == 0:
        kind = S_IFREG
    if kind not in (S_IFREG, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK):
        raise SysError(EPERM if kind == S_IFDIR else EINVAL)
    device = kind in (S_IFCHR, S_IFBLK)
    where = await modify.new_name(t, dirfd, await t.mem.path(pathname))
    # Anybody may make the character device 0, 0: it is what an overlay takes for a removed name.
    if device and (kind == S_IFBLK or dev) and not t.creds.capable(CAP_MKNOD):
        raise SysError(EPERM)
    await modify.make_node(t, where, kind | mode & 0o7777, dev if device else 0)


# -- linking ----------------------------------------------------------------------------------------------


@syscall("link", errors=f"{_MAKE_ERRORS} EXDEV")
async def link(t: Task, oldpath: UserPath, newpath: UserPath) -> None:
    """Give a file one more name (man 2 link)."""
    old = await lookup(t, AT_FDCWD, await t.mem.path(oldpath), False)
    await modify.make_link(t, old, AT_FDCWD, await t.mem.path(newpath))


@syscall("linkat", errors=f"{_MAKE_ERRORS} EBADF EINVAL EXDEV")
async def linkat(
    t: Task, olddirfd: DirFd, oldpath: UserPath, newdirfd: DirFd, newpath: UserPath, flags: AtFlags
) -> None:
    """Give a file one more name (man 2 link)."""
    if flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH):
        raise SysError(EINVAL)
    follow, empty_ok = flags & AT_SYMLINK_FOLLOW != 0, flags & AT_EMPTY_PATH != 0
    path = await t.mem.path(oldpath)
    if empty_ok and olddirfd != AT_FDCWD and not path.startswith(b"/"):
        _check_opener(t, t.files.get_any(olddirfd))
    old = await lookup(t, olddirfd, path, follow, empty_ok)
    await modify.make_link(t, old, newdirfd, await t.mem.path(newpath))


def _check_opener(t: Task, file: File) -> None:
    """A descriptor stands for its file only for who opened it, or may search everything (AT_EMPTY_PATH)."""
    if file.creds not in (None, t.creds) and not t.creds.capable(CAP_DAC_READ_SEARCH):
        raise SysError(ENOENT)


@syscall("symlink", errors=_MAKE_ERRORS)
async def symlink(t: Task, target: UserPath, linkpath: UserPath) -> None:
    """Make a symbolic link (man 2 symlink)."""
    await _symlink(t, target, AT_FDCWD, linkpath)


@syscall("symlinkat", errors=f"{_MAKE_ERRORS} EBADF")
async def symlinkat(t: Task, target: UserPath, newdirfd: DirFd, linkpath: UserPath) -> None:
    """Make a symbolic link relative to a directory (man 2 symlink)."""
    await _symlink(t, target, newdirfd, linkpath)


async def _symlink(t: Task, target: int, dirfd: int, linkpath: int) -> None:
    text = await t.mem.path(target)
    if not text:
        raise SysError(ENOENT)
    where = await modify.new_name(t, dirfd, await t.mem.path(linkpath))
    _, uid, gid = modify.new_owner(t, where.attr, 0o777)
    await where.directory.symlink(t, where.name, text, uid, gid)


# -- removing and renaming --------------------------------------------------------------------------------


@syscall("unlink", errors=_UNLINK_ERRORS)
async def unlink(t: Task, pathname: UserPath) -> None:
    """Remove a name of a file (man 2 unlink)."""
    await modify.remove_name(t, AT_FDCWD, await t.mem.path(pathname))


@syscall("unlinkat", errors=f"{_UNLINK_ERRORS} EBADF EINVAL ENOTEMPTY")
async def unlinkat(t: Task, dirfd: DirFd, pathname: UserPath, flags: AtFlags) -> None:
    """Remove a name, or with AT_REMOVEDIR a directory (man 2 unlink)."""
    if flags & ~AT_REMOVEDIR:
        raise SysError(EINVAL)
    path = await t.mem.path(pathname)
    if flags & AT_REMOVEDIR:
        await modify.remove_directory(t, dirfd, path)
    else:
        await modify.remove_name(t, dirfd, path)


@syscall("rmdir", errors=f"{PATH_ERRORS} EBUSY EINVAL ENOTEMPTY EPERM EROFS")
async def rmdir(t: Task, pathname: UserPath) -> None:
    """Remove an empty directory (man 2 rmdir)."""
    await modify.remove_directory(t, AT_FDCWD, await t.mem.path(pathname))


@syscall("rename", errors=_RENAME_ERRORS)
async def rename(t: Task, oldpath: UserPath, newpath: UserPath) -> None:
    """Move an entry (man 2 rename)."""
    await _rename(t, AT_FDCWD, oldpath, AT_FDCWD, newpath, 0)


@syscall("renameat", errors=f"{_RENAME_ERRORS} EBADF")
async def renameat(t: Task, olddirfd: DirFd, oldpath: UserPath, newdirfd: DirFd, newpath: UserPath) -> None:
    """Move an entry between directories (man 2 rename)."""
    await _rename(t, olddirfd, oldpath, newdirfd, newpath, 0)


@syscall(
    "renameat2",
    errors=f"{_RENAME_ERRORS} EBADF EEXIST",
    support=PARTIAL,
    notes="RENAME_WHITEOUT is EINVAL in the end, as on file systems without it",
)
async def renameat2(
    t: Task, olddirfd: DirFd, oldpath: UserPath, newdirfd: DirFd, newpath: UserPath, flags: RenameFlags
) -> None:
    """Move or exchange entries (man 2 rename)."""
    if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT):
        raise SysError(EINVAL)
    if flags & RENAME_EXCHANGE and flags & (RENAME_NOREPLACE | RENAME_WHITEOUT):
        raise SysError(EINVAL)
    if flags & RENAME_WHITEOUT:
        t.server.unsupported("renameat2: RENAME_WHITEOUT", t)
    await _rename(t, olddirfd, oldpath, newdirfd, newpath, flags)


async def _rename(t: Task, olddirfd: int, oldpath: int, newdirfd: int, newpath: int, flags: int) -> None:
    old = await modify.parent_of(t, olddirfd, await t.mem.path(oldpath))
    new = await modify.parent_of(t, newdirfd, await t.mem.path(newpath))
    await modify.rename(t, old, new, flags)


# -- where a task is --------------------------------------------------------------------------------------


@syscall("getcwd", errors="EFAULT ENAMETOOLONG ENOENT ERANGE")
async def getcwd(t: Task, buf: Annotated[Out[bytes], Shown("cwd")], size: Size) -> int:
    """The name of the current directory (man 2 getcwd); ENOENT when it was removed."""
    cwd = t.fs.cwd
    if cwd.dentry.deleted:
        raise SysError(ENOENT)
    name, reached = path_name(cwd, t.fs.root)
    if not reached:
        name = b"(unreachable)" + name
    if len(name) + 1 > PATH_MAX:
        raise SysError(ENAMETOOLONG)
    if len(name) + 1 > size:
        raise SysError(ERANGE)
    await t.mem.write(buf, name + b"\0")
    return len(name) + 1


@syscall("chdir", errors=PATH_ERRORS)
async def chdir(t: Task, path: UserPath) -> None:
    """Change the current directory (man 2 chdir)."""
    place = await lookup(t, AT_FDCWD, await t.mem.path(path), directory=True)
    await _may_enter(t, place)
    t.fs.cwd = place


@syscall("fchdir", errors="EACCES EBADF EIO ENOTDIR")
async def fchdir(t: Task, fd: Fd) -> None:
    """Change the current directory to an open one (man 2 chdir)."""
    place = place_of_file(t.files.get_any(fd))
    if place.inode.kind != S_IFDIR:
        raise SysError(ENOTDIR)
    await _may_enter(t, place)
    t.fs.cwd = place


@syscall("chroot", errors=f"{PATH_ERRORS} EPERM")
async def chroot(t: Task, path: UserPath) -> None:
    """Change the root directory (man 2 chroot)."""
    place = await lookup(t, AT_FDCWD, await t.mem.path(path), directory=True)
    await _may_enter(t, place)
    if not t.creds.capable(CAP_SYS_CHROOT):
        raise SysError(EPERM)
    t.fs.root = place


async def _may_enter(t: Task, place: Path) -> None:
    if not permission(t.creds, await place.inode.getattr(t), MAY_EXEC):
        raise SysError(EACCES)
