"""Opening a path (man 2 open): flags, creation, permissions, truncation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import (
    EACCES,
    EAGAIN,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    ENOENT,
    ENXIO,
    EPERM,
    EROFS,
    ETXTBSY,
)
from syscalls.abi.flags import (
    FASYNC,
    MS_NODEV,
    O_ACCMODE,
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECT,
    O_DIRECTORY,
    O_DSYNC,
    O_EXCL,
    O_LARGEFILE,
    O_NOATIME,
    O_NOCTTY,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_SYNC,
    O_TMPFILE,
    O_TRUNC,
    RESOLVE_BENEATH,
    RESOLVE_CACHED,
    RESOLVE_IN_ROOT,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFLNK,
    S_IFREG,
    S_IFSOCK,
)
from syscalls.errors import SysError
from syscalls.objects.credentials import MAY_READ, MAY_WRITE, permission
from syscalls.objects.file import OPathFile
from syscalls.vfs.modify import find, may_create, new_owner
from syscalls.vfs.mount import Path
from syscalls.vfs.walk import Walk

if TYPE_CHECKING:
    from syscalls.objects.file import File
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Attr, Inode

_TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY
_PATH_FLAGS = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC
VALID_FLAGS = (
    O_ACCMODE
    | O_CREAT
    | O_EXCL
    | O_NOCTTY
    | O_TRUNC
    | O_APPEND
    | O_NONBLOCK
    | O_SYNC
    | O_DSYNC
    | FASYNC
    | O_DIRECT
    | O_LARGEFILE
    | O_DIRECTORY
    | O_NOFOLLOW
    | O_NOATIME
    | O_CLOEXEC
    | O_PATH
    | O_TMPFILE
)
"""What open(2) looks at; it ignores other bits, openat2 refuses them."""
_NOT_KEPT = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC
_WANT = (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE)


def plain_flags(flags: int) -> int:
    """The flags of open and openat as openat2 would take them: unknown ones dropped, O_PATH stripped."""
    flags = flags & VALID_FLAGS | O_LARGEFILE
    return flags & _PATH_FLAGS if flags & O_PATH else flags


def check_flags(flags: int, resolve: int = 0) -> int:
    """Refuse combinations that make no sense (EINVAL); returns the flags with what they imply."""
    if flags & ~VALID_FLAGS:
        raise SysError(EINVAL)
    if resolve & RESOLVE_BENEATH and resolve & RESOLVE_IN_ROOT:
        raise SysError(EINVAL)
    if flags & (O_DIRECTORY | O_CREAT) == O_DIRECTORY | O_CREAT:
        raise SysError(EINVAL)
    if flags & _TMPFILE_BIT and (not flags & O_DIRECTORY or flags & O_ACCMODE == O_RDONLY):
        raise SysError(EINVAL)
    if flags & O_PATH and flags & ~_PATH_FLAGS:
        raise SysError(EINVAL)
    if resolve & RESOLVE_CACHED and flags & (O_TRUNC | O_CREAT | _TMPFILE_BIT):
        raise SysError(EAGAIN)
    if flags & O_SYNC & ~O_DSYNC:
        flags |= O_DSYNC
    return flags


async def open_path(t: Task, dirfd: int, path: bytes, flags: int, mode: int = 0, resolve: int = 0) -> File:
    """Open a path and return the new open file description, with one reference.

    Args:
        t: who opens.
        dirfd: where a relative path starts, or AT_FDCWD.
        path: the path.
        flags: O_*, as `check_flags` returns them; O_CLOEXEC is the caller's business.
        mode: permissions of a file that is created, before the umask.
        resolve: RESOLVE_* of openat2.
    """
    if not path:
        raise SysError(ENOENT)
    walk = Walk(t, dirfd, path, resolve)
    if flags & _TMPFILE_BIT:
        return await _open_tmpfile(t, walk, flags, mode)
    if flags & O_CREAT:
        return await _open_or_create(t, walk, flags, mode)
    walk.opening = not flags & (O_PATH | O_DIRECTORY)
    place = await walk.resolve(not flags & O_NOFOLLOW, bool(flags & O_DIRECTORY))
    if flags & O_PATH:
        opened = OPathFile(place.inode, flags & ~O_CLOEXEC, place)
        opened.creds = t.creds
        return opened
    await walk.refresh(place.inode)
    try:
        return await open_place(t, place, flags)
    finally:
        if place.inode.fs.flat:
            await place.inode.fs.close_unused()


async def open_place(t: Task, place: Path, flags: int) -> File:
    """Open what a walk found, by its attributes seen last: the caller's permissions, then the mount's."""
    inode = place.inode
    _may_open(t, place, flags)
    if inode.kind == S_IFSOCK:
        raise SysError(ENXIO)
    return await _open_inode(t, place, flags, flags & O_TRUNC and inode.kind == S_IFREG)


async def _open_inode(t: Task, place: Path, flags: int, truncate: int) -> File:
    inode = place.inode
    if inode.deny_write and (flags & O_ACCMODE != O_RDONLY or truncate) and inode.kind == S_IFREG:
        raise SysError(ETXTBSY)
    file = await inode.open(t, flags & ~(_NOT_KEPT & ~O_NOCTTY), place)
    file.flags &= ~O_NOCTTY
    file.creds = t.creds
    if flags & O_DIRECT and inode.kind != S_IFREG:
        await file.put()
        raise SysError(EINVAL)
    if truncate:
        from syscalls.vfs.regular import truncate as truncate_inode

        try:
            await truncate_inode(t, inode, 0)
        except BaseException:
            await file.put()
            raise
    return file


def _may_open(t: Task, place: Path, flags: int) -> None:
    inode = place.inode
    want = _WANT[flags & O_ACCMODE]
    if flags & O_TRUNC:
        want |= MAY_WRITE
    kind = inode.kind
    if kind == S_IFLNK:
        raise SysError(ELOOP)
    if kind == S_IFDIR and want & MAY_WRITE:
        raise SysError(EISDIR)
    if kind in (S_IFCHR, S_IFBLK) and place.mount.flags & MS_NODEV:
        raise SysError(EACCES)
    writes = want & MAY_WRITE and kind in (S_IFREG, S_IFDIR)
    if writes and inode.fs.readonly:
        raise SysError(EROFS)
    attr = inode.attr
    if not permission(t.creds, attr, want):
        raise SysError(EACCES)
    if flags & O_NOATIME and not t.creds.owner_or_capable(attr.uid):
        raise SysError(EPERM)
    if writes and place.mount.readonly:
        raise SysError(EROFS)


async def _open_or_create(t: Task, walk: Walk, flags: int, mode: int) -> File:
    """O_CREAT: follow links to the end, then open what is there or make it."""
    while True:
        name = await walk.to_last()
        if name is None or name == b"." or name == b"..":
            if name is not None:
                child = await walk.step(name)
                walk.mount, walk.dentry = walk.over, child
            place = walk.path
            break
        if walk.slash:
            raise SysError(EISDIR)
        found = await find(walk, name)
        if found is None:
            return await _create(t, walk.path, name, flags, mode)
        if flags & O_EXCL:
            raise SysError(EEXIST)
        if found.inode.kind == S_IFLNK and not flags & O_NOFOLLOW:
            await walk.follow(found)
            continue
        place = Path(walk.over, found)
        break
    if flags & O_EXCL:
        raise SysError(EEXIST)
    if place.inode.kind == S_IFDIR:
        raise SysError(EISDIR)
    await walk.refresh(place.inode)
    return await open_place(t, place, flags)


async def _create(t: Task, parent: Path, name: bytes, flags: int, mode: int) -> File:
    """Make a regular file and open it, whatever its mode allows (man 2 open, O_CREAT)."""
    if parent.mount.readonly:
        raise SysError(EROFS)
    directory = parent.inode
    attr = await may_create(t, directory)
    mode, uid, gid = new_owner(t, attr, S_IFREG | mode & 0o7777 & ~t.fs.umask)
    try:
        inode = await directory.mknod(t, name, mode, 0, uid, gid)
    except SysError as error:
        # Somebody else made it meanwhile: then it is there to be opened.
        if error.errno != EEXIST or flags & O_EXCL:
            raise
        return await _open_raced(t, parent, name, flags)
    place = Path(parent.mount, parent.dentry.child(name, inode))
    return await _open_inode(t, place, flags, 0)


async def _open_raced(t: Task, parent: Path, name: bytes, flags: int) -> File:
    inode = await parent.inode.lookup(t, name)
    if inode.kind in (S_IFDIR, S_IFLNK):
        raise SysError(EISDIR if inode.kind == S_IFDIR else ELOOP)
    return await open_place(t, Path(parent.mount, parent.dentry.child(name, inode)), flags)


async def _open_tmpfile(t: Task, walk: Walk, flags: int, mode: int) -> File:
    """O_TMPFILE: a regular file without a name, in the file system of a directory."""
    place = await walk.resolve(not flags & O_NOFOLLOW, True)
    if place.mount.readonly:
        raise SysError(EROFS)
    attr: Attr = await may_create(t, place.inode)
    mode, uid, gid = new_owner(t, attr, S_IFREG | mode & 0o7777 & ~t.fs.umask)
    inode: Inode = await place.inode.tmpfile(t, mode, uid, gid)
    if flags & O_EXCL:
        inode.linkable = False
    dentry = place.dentry.detached(b"#%d" % inode.ino, inode)
    return await _open_inode(t, Path(place.mount, dentry), flags, 0)
