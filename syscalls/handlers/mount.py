"""The mount table: mount, umount2, pivot_root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EAGAIN, EBUSY, EINVAL, ENODEV, ENOSYS, ENOTDIR, EPERM
from syscalls.abi.flags import (
    AT_FDCWD,
    CAP_SYS_ADMIN,
    CLOCK_REALTIME,
    MNT_DETACH,
    MNT_EXPIRE,
    MNT_FORCE,
    MS_BIND,
    MS_MGC_MSK,
    MS_MGC_VAL,
    MS_MOVE,
    MS_NOATIME,
    MS_PRIVATE,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
    MS_SHARED,
    MS_SLAVE,
    MS_STRICTATIME,
    MS_UNBINDABLE,
    S_IFDIR,
    UMOUNT_NOFOLLOW,
)
from syscalls.errors import SysError
from syscalls.registry import PARTIAL, syscall
from syscalls.types import IntFlags, ULong, UserPath, UserPtr, UserStr
from syscalls.vfs.inode import GID, MODE, UID
from syscalls.vfs.mount import MOUNT_FLAGS, Mount, Path
from syscalls.vfs.rpcfs import file_system_of
from syscalls.vfs.walk import lookup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from syscalls.objects.task import Task
    from syscalls.vfs.filesystem import FileSystem

    MakeFs = Callable[[Task, str, bytes], Awaitable[FileSystem]]

_PROPAGATION = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE
_PAGE = 4096


def _admin(t: Task) -> None:
    if not t.creds.capable(CAP_SYS_ADMIN):
        raise SysError(EPERM)


@syscall("mount", support=PARTIAL, notes="one namespace; remount changes the mount alone; tmpfs has no size")
async def mount(
    t: Task,
    source: UserPath,
    target: UserPath,
    filesystemtype: UserStr,
    mountflags: ULong,
    data: UserPtr[bytes],
) -> None:
    """Attach a file system, or move, bind or change an attached one (man 2 mount)."""
    kind = await t.mem.cstr(filesystemtype, _PAGE) if filesystemtype else None
    what = await t.mem.path(source) if source else b""
    options = await _options(t, data)
    at = await lookup(t, AT_FDCWD, await t.mem.path(target))
    _admin(t)
    if mountflags & MS_MGC_MSK == MS_MGC_VAL:
        mountflags &= ~MS_MGC_MSK
    flags = _mount_flags(mountflags)
    if mountflags & MS_REMOUNT:
        _remount(at, flags)
    elif mountflags & MS_BIND:
        await _bind(t, what, at, mountflags & MS_REC != 0)
    elif mountflags & _PROPAGATION:
        _check_propagation(t, at, mountflags)
    elif mountflags & MS_MOVE:
        await _move(t, what, at)
    else:
        await _new(t, kind, what, at, flags, options)


async def _options(t: Task, address: int) -> bytes:
    """The option string: up to a page, or as much of it as is there."""
    if not address:
        return b""
    data = await t.mem.read_some(address, _PAGE - 1)
    return data.partition(b"\0")[0]


def _mount_flags(flags: int) -> int:
    """The flags of the mount itself; relatime is Linux's default."""
    kept = flags & MOUNT_FLAGS & ~MS_RELATIME
    return kept if flags & (MS_NOATIME | MS_STRICTATIME) else kept | MS_RELATIME


def _remount(at: Path, flags: int) -> None:
    if at.dentry is not at.mount.root:
        raise SysError(EINVAL)
    at.mount.flags = flags


async def _bind(t: Task, source: bytes, at: Path, recursive: bool) -> None:
    if not source:
        raise SysError(EINVAL)
    what = await lookup(t, AT_FDCWD, source)
    if what.mount not in t.server.namespace or at.mount not in t.server.namespace:
        raise SysError(EINVAL)
    if (what.inode.kind == S_IFDIR) != (at.inode.kind == S_IFDIR):
        raise SysError(ENOTDIR)
    t.server.namespace.bind(what, at, recursive)


def _check_propagation(t: Task, at: Path, flags: int) -> None:
    """With one namespace nothing propagates: every kind behaves as private."""
    kinds = flags & _PROPAGATION
    if kinds & (kinds - 1) or at.dentry is not at.mount.root:
        raise SysError(EINVAL)
    if kinds != MS_PRIVATE:
        t.server.unsupported("mount: MS_SHARED, MS_SLAVE, MS_UNBINDABLE", t)


async def _move(t: Task, source: bytes, at: Path) -> None:
    if not source:
        raise SysError(EINVAL)
    what = await lookup(t, AT_FDCWD, source)
    if what.dentry is not what.mount.root:
        raise SysError(EINVAL)
    if (what.inode.kind == S_IFDIR) != (at.inode.kind == S_IFDIR):
        raise SysError(ENOTDIR)
    t.server.namespace.move(what.mount, at)


async def _new(t: Task, kind: bytes | None, source: bytes, at: Path, flags: int, options: bytes) -> None:
    if kind is None:
        raise SysError(EINVAL)
    make = _TYPES.get(kind)
    if make is None:
        t.server.unsupported(f"mount: file system type {kind.decode(errors='replace')}", t)
        raise SysError(ENODEV)
    if at.inode.kind != S_IFDIR:
        raise SysError(ENOTDIR)
    made = await make(t, kind.decode(), options)
    await t.server.namespace.mount(made, at, flags, source or b"none")


async def _make_tmpfs(t: Task, kind: str, options: bytes) -> FileSystem:
    """An empty file system in memory: mode, uid and gid of its root are options, others are ignored."""
    server = t.server
    made = await file_system_of(server.port, server.new_memfs(), kind, server.namespace.new_dev())
    given = dict(option.partition(b"=")[::2] for option in options.split(b",") if option)
    try:
        mode, uid, gid = (
            int(given.get(name, default), base)
            for name, default, base in ((b"mode", b"1777", 8), (b"uid", b"0", 10), (b"gid", b"0", 10))
        )
    except ValueError:
        raise SysError(EINVAL) from None
    await (await made.root()).setattr(t, MODE | UID | GID, mode=mode & 0o7777, uid=uid, gid=gid)
    return made


async def _make_devtmpfs(t: Task, kind: str, options: bytes) -> FileSystem:
    from syscalls.fs.devfs import populate

    made = await _make_tmpfs(t, kind, options or b"mode=0755")
    await populate(t, await made.root())
    return made


async def _make_proc(t: Task, kind: str, options: bytes) -> FileSystem:
    from syscalls.fs.procfs import ProcFs

    server = t.server
    now_ns = await server.clock_ns(CLOCK_REALTIME)
    return ProcFs(server, server.table_of_processes, server.namespace.new_dev(), now_ns)


async def _make_sysfs(t: Task, kind: str, options: bytes) -> FileSystem:
    from syscalls.fs.sysfs import SysFs

    return SysFs(t.server, t.server.namespace.new_dev(), await t.server.clock_ns(CLOCK_REALTIME))


_TYPES: dict[bytes, MakeFs] = {
    b"tmpfs": _make_tmpfs,
    b"ramfs": _make_tmpfs,
    b"devtmpfs": _make_devtmpfs,
    b"proc": _make_proc,
    b"sysfs": _make_sysfs,
}


@syscall("umount2", support=PARTIAL, notes="MNT_EXPIRE is EAGAIN; a mapped file does not keep a mount busy")
async def umount2(t: Task, target: UserPath, flags: IntFlags) -> None:
    """Detach a file system (man 2 umount)."""
    if flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW):
        raise SysError(EINVAL)
    at = await lookup(t, AT_FDCWD, await t.mem.path(target), not flags & UMOUNT_NOFOLLOW)
    namespace = t.server.namespace
    if at.dentry is not at.mount.root or at.mount not in namespace:
        raise SysError(EINVAL)
    _admin(t)
    if flags & MNT_EXPIRE:
        if flags & (MNT_FORCE | MNT_DETACH):
            raise SysError(EINVAL)
        t.server.unsupported("umount2: MNT_EXPIRE", t)
        raise SysError(EAGAIN)
    victim = at.mount
    if victim.parent is None:
        raise SysError(EBUSY)
    inner = namespace.below(Path(victim, victim.root))
    if not flags & MNT_DETACH and (inner or _busy(t, victim)):
        raise SysError(EBUSY)
    for mount in [*reversed(inner), victim]:
        namespace.detach(mount)


def _busy(t: Task, mount: Mount) -> bool:
    """Whether a task has something open there, or stands there."""
    return any(path is not None and path.mount is mount for path in _places(t))


def _places(t: Task) -> Iterator[Path | None]:
    for task in t.server.tasks.values():
        yield task.fs.root
        yield task.fs.cwd
        yield task.process.exe
        for file in task.files.files():
            yield file.path


@syscall("pivot_root", support=PARTIAL, notes="ENOSYS: there is one namespace")
async def pivot_root(t: Task, new_root: UserPath, put_old: UserPath) -> None:
    """Change the root mount of all processes (man 2 pivot_root)."""
    _admin(t)
    t.server.unsupported("pivot_root", t)
    raise SysError(ENOSYS)
