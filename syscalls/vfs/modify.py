"""Changing the tree of names: making, linking, removing and renaming, with Linux's checks and their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import (
    EACCES,
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    EROFS,
    EXDEV,
)
from syscalls.abi.flags import (
    CAP_FOWNER,
    CAP_FSETID,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
    S_IFDIR,
    S_IFMT,
    S_IFREG,
    S_ISGID,
    S_ISUID,
    S_ISVTX,
    S_IXGRP,
)
from syscalls.errors import SysError
from syscalls.objects.credentials import MAY_EXEC, MAY_READ, MAY_WRITE, permission
from syscalls.vfs.mount import Path
from syscalls.vfs.walk import Walk

if TYPE_CHECKING:
    from syscalls.objects.task import Task
    from syscalls.vfs.dentry import Dentry
    from syscalls.vfs.inode import Attr, Inode

    Parent = tuple[Walk, bytes | None]

_DOTS = (None, b".", b"..")


async def may_write_dir(t: Task, directory: Inode) -> Attr:
    """EACCES unless the caller may change a directory's entries; returns its attributes now."""
    attr = await directory.getattr(t)
    if not permission(t.creds, attr, MAY_WRITE | MAY_EXEC):
        raise SysError(EACCES)
    return attr


async def may_create(t: Task, directory: Inode) -> Attr:
    """Check that the caller may make an entry; returns the directory's attributes now."""
    if directory.removed:
        raise SysError(ENOENT)
    return await may_write_dir(t, directory)


async def may_delete(t: Task, directory: Inode, victim: Inode, is_dir: bool | None) -> None:
    """Check that the caller may take an entry away.

    Args:
        t: the caller.
        directory: where the entry is.
        victim: what it names.
        is_dir: what it has to be, ENOTDIR or EISDIR otherwise; None: anything.
    """
    attr = await may_write_dir(t, directory)
    if attr.mode & S_ISVTX:
        owner = (await victim.getattr(t)).uid
        if t.creds.fsuid not in (owner, attr.uid) and not t.creds.capable(CAP_FOWNER):
            raise SysError(EPERM)
    if is_dir is True and victim.kind != S_IFDIR:
        raise SysError(ENOTDIR)
    if is_dir is False and victim.kind == S_IFDIR:
        raise SysError(EISDIR)
    if directory.removed:
        raise SysError(ENOENT)


def new_owner(t: Task, directory: Attr, mode: int) -> tuple[int, int, int]:
    """Mode, uid and gid of something made in a directory; a set-group-ID directory passes its group on."""
    creds = t.creds
    gid = creds.fsgid
    if directory.mode & S_ISGID:
        gid = directory.gid
        if mode & S_IFMT == S_IFDIR:
            mode |= S_ISGID
        elif mode & S_ISGID and mode & S_IXGRP and not (creds.in_group(gid) or creds.capable(CAP_FSETID)):
            mode &= ~S_ISGID
    return mode, creds.fsuid, gid


class NewName:
    """A name that does not exist yet, and the directory it is to be made in.

    Args:
        parent: the directory.
        name: the new entry's name.
        attr: the directory's attributes.
    """

    __slots__ = ("attr", "name", "parent")

    def __init__(self, parent: Path, name: bytes, attr: Attr) -> None:
        self.parent = parent
        self.name = name
        self.attr = attr

    @property
    def directory(self) -> Inode:
        """The inode of the directory."""
        return self.parent.inode


async def find(walk: Walk, name: bytes) -> Dentry | None:
    """The entry at the end of a walk, what is mounted on it, or None if there is none."""
    try:
        return await walk.step(name)
    except SysError as error:
        if error.errno != ENOENT or walk.dentry.inode.fs.fixed:
            raise
        return None


async def new_name(
    t: Task, dirfd: int, path: bytes, *, directory: bool = False, source: Path | None = None
) -> NewName:
    """Where something is to be made.

    Args:
        t: the caller.
        dirfd: where a relative path starts.
        path: the path.
        directory: a directory is to be made: a slash may follow the name.
        source: what a hard link is to be made to: it has to be in the same mount.
    """
    walk, name = await parent_of(t, dirfd, path)
    if name is None or name in _DOTS:
        raise SysError(EEXIST)
    if await find(walk, name) is not None:
        raise SysError(EEXIST)
    if walk.slash and not directory:
        raise SysError(ENOENT)
    if walk.mount.readonly:
        raise SysError(EROFS)
    if source is not None and source.mount is not walk.mount:
        raise SysError(EXDEV)
    if source is not None and t.server.protected_hardlinks:
        await _may_link(t, source.inode)
    return NewName(walk.path, name, await may_create(t, walk.dentry.inode))


async def _may_link(t: Task, inode: Inode) -> None:
    """EPERM for what is neither the caller's nor harmless (fs.protected_hardlinks, man 5 proc_sys_fs)."""
    attr = await inode.getattr(t)
    mode = attr.mode
    harmless = (
        mode & S_IFMT == S_IFREG
        and not mode & S_ISUID
        and mode & (S_ISGID | S_IXGRP) != S_ISGID | S_IXGRP
        and permission(t.creds, attr, MAY_READ | MAY_WRITE)
    )
    if not harmless and not t.creds.owner_or_capable(attr.uid):
        raise SysError(EPERM)


async def make_node(t: Task, where: NewName, mode: int, rdev: int) -> Inode:
    """Make a file, FIFO, socket or device node at a new name (man 2 mknod); the umask applies."""
    mode, uid, gid = new_owner(t, where.attr, mode & ~t.fs.umask)
    return await where.directory.mknod(t, where.name, mode, rdev, uid, gid)


async def make_directory(t: Task, dirfd: int, path: bytes, mode: int) -> None:
    """Make a directory (man 2 mkdir); the umask applies."""
    where = await new_name(t, dirfd, path, directory=True)
    mode = mode & (0o777 | S_ISVTX) & ~t.fs.umask
    mode, uid, gid = new_owner(t, where.attr, S_IFDIR | mode)
    await where.directory.mkdir(t, where.name, mode & 0o7777, uid, gid)


async def make_link(t: Task, source: Path, dirfd: int, path: bytes) -> None:
    """Give a file one more name (man 2 link)."""
    where = await new_name(t, dirfd, path, source=source)
    inode = source.inode
    if inode.kind == S_IFDIR:
        raise SysError(EPERM)
    attr = await inode.getattr(t)
    if attr.nlink == 0 and not inode.linkable:
        raise SysError(ENOENT)
    await where.directory.link(t, inode, where.name)
    inode.linkable = False


async def remove_name(t: Task, dirfd: int, path: bytes) -> None:
    """Remove a name of something that is no directory (man 2 unlink)."""
    walk, name = await parent_of(t, dirfd, path)
    if name in _DOTS or name is None:
        raise SysError(EISDIR)
    if walk.mount.readonly:
        raise SysError(EROFS)
    victim = await _victim(walk, name)
    if walk.slash:
        raise SysError(EISDIR if victim.inode.kind == S_IFDIR else ENOTDIR)
    await remove_entry(t, walk.dentry, name, victim)


async def remove_entry(t: Task, directory: Dentry, name: bytes, victim: Dentry) -> None:
    """Remove what was found at a name of a directory, and is no directory, if the caller may."""
    await may_delete(t, directory.inode, victim.inode, False)
    if victim.mounts is not None:
        raise SysError(EBUSY)
    await directory.inode.unlink(t, name)
    _removed(directory, name)


async def remove_directory(t: Task, dirfd: int, path: bytes) -> None:
    """Remove an empty directory (man 2 rmdir)."""
    walk, name = await parent_of(t, dirfd, path)
    if name is None or name in _DOTS:
        raise SysError({b".": EINVAL, b"..": ENOTEMPTY}.get(name or b"", EBUSY))
    if walk.mount.readonly:
        raise SysError(EROFS)
    victim = await _victim(walk, name)
    directory = walk.dentry
    await may_delete(t, directory.inode, victim.inode, True)
    if victim.mounts is not None:
        raise SysError(EBUSY)
    await directory.inode.rmdir(t, name)
    victim.inode.removed = True
    _removed(directory, name)


async def parent_of(t: Task, dirfd: int, path: bytes) -> Parent:
    """Walk to the directory that the last component of a path is in; that component, None for the root."""
    if not path:
        raise SysError(ENOENT)
    walk = Walk(t, dirfd, path)
    name = await walk.to_last()
    if name is not None:
        await walk.check_search(walk.dentry.inode)
    return walk, name


async def _victim(walk: Walk, name: bytes) -> Dentry:
    """The entry itself, not what is mounted on it."""
    found = await walk.step(name)
    return walk.dentry.live(name) or found


def _removed(directory: Dentry, name: bytes) -> None:
    directory.inode.fs.drop(directory.live(name))
    directory.entry_removed(name)


async def rename(t: Task, source_of: Parent, target_of: Parent, flags: int) -> None:
    """Move an entry, over another one if there is one (man 2 rename).

    Args:
        t: the caller.
        source_of: the entry, as `parent_of` found it.
        target_of: what it is to become.
        flags: RENAME_NOREPLACE or RENAME_EXCHANGE; RENAME_WHITEOUT is what no file system here can do.
    """
    old, oldname = source_of
    new, newname = target_of
    if old.mount is not new.mount:
        raise SysError(EXDEV)
    if oldname is None or oldname in _DOTS:
        raise SysError(EBUSY)
    if newname is None or newname in _DOTS:
        raise SysError(EEXIST if flags & RENAME_NOREPLACE else EBUSY)
    if old.mount.readonly:
        raise SysError(EROFS)
    source = await _victim(old, oldname)
    target = await _target(new, newname, flags)
    _check_slashes(old, new, source, target, flags)
    _check_loops(old, new, source, target, flags)
    if target is not None and target.inode is source.inode:
        return
    await _may_rename(t, old.dentry, source, new.dentry, target, flags)
    if flags & RENAME_WHITEOUT:
        raise SysError(EINVAL)
    await old.dentry.inode.rename(t, oldname, new.dentry.inode, newname, flags)
    if flags & RENAME_EXCHANGE:
        old.dentry.entries_exchanged(oldname, new.dentry, newname)
        return
    if target is not None:
        new.dentry.inode.fs.drop(target)
        target.inode.removed = target.inode.kind == S_IFDIR
    old.dentry.entry_moved(oldname, new.dentry, newname)


async def _target(new: Walk, newname: bytes, flags: int) -> Dentry | None:
    """What is to be replaced, None for nothing."""
    target = await find(new, newname)
    if target is not None:
        if flags & RENAME_NOREPLACE:
            raise SysError(EEXIST)
        target = new.dentry.live(newname) or target
    elif flags & RENAME_EXCHANGE:
        raise SysError(ENOENT)
    return target


def _check_slashes(old: Walk, new: Walk, source: Dentry, target: Dentry | None, flags: int) -> None:
    """Only a directory may be named with a slash at the end."""
    if flags & RENAME_EXCHANGE and target is not None and target.inode.kind != S_IFDIR and new.slash:
        raise SysError(ENOTDIR)
    if source.inode.kind != S_IFDIR and (old.slash or (new.slash and not flags & RENAME_EXCHANGE)):
        raise SysError(ENOTDIR)


def _check_loops(old: Walk, new: Walk, source: Dentry, target: Dentry | None, flags: int) -> None:
    """A directory cannot move into itself, nor over one that it is inside of."""
    if new.dentry.is_below(source):
        raise SysError(EINVAL)
    if target is not None and old.dentry.is_below(target):
        raise SysError(EINVAL if flags & RENAME_EXCHANGE else ENOTEMPTY)


async def _may_rename(
    t: Task, olddir: Dentry, source: Dentry, newdir: Dentry, target: Dentry | None, flags: int
) -> None:
    is_dir = source.inode.kind == S_IFDIR
    await may_delete(t, olddir.inode, source.inode, None)
    if target is None:
        await may_create(t, newdir.inode)
    elif flags & RENAME_EXCHANGE:
        await may_delete(t, newdir.inode, target.inode, None)
    else:
        await may_delete(t, newdir.inode, target.inode, is_dir)
    if olddir is not newdir:
        # A directory that gets another parent has its ".." rewritten.
        moved = [source] if target is None or not flags & RENAME_EXCHANGE else [source, target]
        for dentry in moved:
            if dentry.inode.kind == S_IFDIR:
                attr = await dentry.inode.getattr(t)
                if not permission(t.creds, attr, MAY_WRITE):
                    raise SysError(EACCES)
    if source.mounts is not None or (target is not None and target.mounts is not None):
        raise SysError(EBUSY)
