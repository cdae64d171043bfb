"""Changing what stat shows: mode, owner, times, size; and asking for access (man 7 inode)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EACCES, EINVAL, EISDIR, EOPNOTSUPP, EPERM, EROFS, ETXTBSY
from syscalls.abi.flags import (
    AT_FDCWD,
    CAP_CHOWN,
    CAP_FSETID,
    CLOCK_REALTIME,
    MS_NOEXEC,
    S_IFDIR,
    S_IFLNK,
    S_IFREG,
    S_ISGID,
    S_ISUID,
    S_IXGRP,
)
from syscalls.errors import SysError
from syscalls.objects.credentials import MAY_EXEC, MAY_WRITE, permission
from syscalls.vfs.inode import ATIME, CTIME, GID, MODE, MTIME, UID
from syscalls.vfs.regular import truncate
from syscalls.vfs.seals import check_mode
from syscalls.vfs.walk import Walk, lookup

if TYPE_CHECKING:
    from syscalls.objects.credentials import Credentials
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Attr
    from syscalls.vfs.mount import Path

KEEP = 0xFFFF_FFFF
"""The uid or gid argument that leaves the owner or group as it is."""


def check_writable(place: Path) -> None:
    """EROFS on a mount or file system that is read-only."""
    if place.mount.readonly:
        raise SysError(EROFS)


async def may_access(t: Task, creds: Credentials, place: Path, want: int) -> None:
    """What access(2) asks, with given credentials: EACCES or EROFS."""
    inode = place.inode
    kind = inode.kind
    stored = kind in (S_IFREG, S_IFDIR, S_IFLNK)
    if want & MAY_EXEC and kind == S_IFREG and place.mount.flags & MS_NOEXEC:
        raise SysError(EACCES)
    if want & MAY_WRITE and stored and place.mount.fs.readonly:
        raise SysError(EROFS)
    if not permission(creds, await inode.getattr(t), want):
        raise SysError(EACCES)
    if want & MAY_WRITE and stored:
        check_writable(place)


async def access_path(t: Task, dirfd: int, path: bytes, creds: Credentials, want: int, follow: bool) -> None:
    """Check access to a path, walking with the same credentials (man 2 access)."""
    walk = Walk(t, dirfd, path, 0, creds)
    await may_access(t, creds, await walk.resolve(follow), want)


async def truncate_path(t: Task, path: bytes, size: int) -> None:
    """Set the size of a file by path (man 2 truncate)."""
    place = await lookup(t, AT_FDCWD, path)
    inode = place.inode
    if inode.kind != S_IFREG:
        raise SysError(EISDIR if inode.kind == S_IFDIR else EINVAL)
    check_writable(place)
    if not permission(t.creds, await inode.getattr(t), MAY_WRITE):
        raise SysError(EACCES)
    if inode.deny_write:
        raise SysError(ETXTBSY)
    await truncate(t, inode, size)


async def change_mode(t: Task, place: Path, mode: int) -> None:
    """Set the permission bits (man 2 chmod)."""
    check_writable(place)
    inode = place.inode
    if inode.kind == S_IFLNK:
        raise SysError(EOPNOTSUPP)
    attr = await inode.getattr(t)
    creds = t.creds
    if not creds.owner_or_capable(attr.uid):
        raise SysError(EPERM)
    mode &= 0o7777
    if mode & S_ISGID and not creds.in_group(attr.gid) and not creds.capable(CAP_FSETID):
        mode &= ~S_ISGID
    if inode.seals:
        check_mode(inode, attr.mode, mode)
    await inode.setattr(t, MODE, mode=mode)


async def change_owner(t: Task, place: Path, uid: int, gid: int) -> None:
    """Set owner and group, each unless it is KEEP (man 2 chown); set-user-ID bits of a file go."""
    check_writable(place)
    inode = place.inode
    attr = await inode.getattr(t)
    valid = 0
    if uid != KEEP:
        _check_owner(t.creds, attr, uid)
        valid |= UID
    if gid != KEEP:
        _check_group(t.creds, attr, gid)
        valid |= GID
    mode = attr.mode & 0o7777
    if inode.kind != S_IFDIR:
        kept = mode & ~S_ISUID
        if mode & S_ISGID and (mode & S_IXGRP or not _keeps_sgid(t.creds, attr.gid)):
            kept &= ~S_ISGID
        if kept != mode:
            mode = kept
            valid |= MODE
    if valid:
        await inode.setattr(t, valid, mode=mode, uid=uid, gid=gid)
    else:
        now = await t.server.clock_ns(CLOCK_REALTIME)
        await inode.setattr(t, CTIME, ctime_ns=now)


def _keeps_sgid(creds: Credentials, gid: int) -> bool:
    return creds.in_group(gid) or creds.capable(CAP_FSETID)


def _check_owner(creds: Credentials, attr: Attr, uid: int) -> None:
    if creds.capable(CAP_CHOWN) or (creds.fsuid == attr.uid and uid == attr.uid):
        return
    raise SysError(EPERM)


def _check_group(creds: Credentials, attr: Attr, gid: int) -> None:
    if creds.capable(CAP_CHOWN) or (creds.fsuid == attr.uid and (gid == attr.gid or creds.in_group(gid))):
        return
    raise SysError(EPERM)


async def set_times(t: Task, place: Path, atime_ns: int | None, mtime_ns: int | None, explicit: bool) -> None:
    """Set access and modification time; None leaves one as it is (man 2 utimensat).

    Args:
        t: the caller.
        place: what to change.
        atime_ns: nanoseconds since 1970.
        mtime_ns: nanoseconds since 1970.
        explicit: not both are simply the present: only the owner may do that.
    """
    check_writable(place)
    inode = place.inode
    attr = await inode.getattr(t)
    if not t.creds.owner_or_capable(attr.uid):
        if explicit:
            raise SysError(EPERM)
        if not permission(t.creds, attr, MAY_WRITE):
            raise SysError(EACCES)
    valid = (ATIME if atime_ns is not None else 0) | (MTIME if mtime_ns is not None else 0)
    if valid:
        await inode.setattr(t, valid, atime_ns=atime_ns or 0, mtime_ns=mtime_ns or 0)
