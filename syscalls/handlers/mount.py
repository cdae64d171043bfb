"""The mount table: mount, umount2, pivot_root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from syscalls.abi.errno import EAGAIN, EBUSY, EINVAL, ENAMETOOLONG, ENODEV, ENOENT, ENOSYS, ENOTDIR, EPERM
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
    MS_RDONLY,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
    MS_SHARED,
    MS_SILENT,
    MS_SLAVE,
    MS_STRICTATIME,
    MS_UNBINDABLE,
    S_IFDIR,
    S_IFREG,
    UMOUNT_NOFOLLOW,
)
from syscalls.errors import SysError
from syscalls.handlers._errors import PATH_ERRORS
from syscalls.registry import PARTIAL, syscall
from syscalls.types import In, MountFlags, Shown, UmountFlags, UserPath
from syscalls.vfs.inode import GID, MODE, UID
from syscalls.vfs.mount import MOUNT_FLAGS, Mount, Path
from syscalls.vfs.rpcfs import file_system_of
from syscalls.vfs.walk import lookup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from syscalls.objects.task import Task
    from syscalls.vfs.filesystem import FileSystem

_PROPAGATION = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE
_MS_NOUSER = 1 << 31
"""Linux's own: a flag of file systems that no user may mount."""
_COMMON_OPTIONS = (
    b"async", b"dirsync", b"lazytime", b"mand", b"nolazytime", b"nomand", b"ro", b"rw", b"source", b"sync"
)  # fmt: skip
_UINT_MAX = 0xFFFF_FFFF
_PAGE = 4096


def _admin(t: Task) -> None:
    if not t.creds.capable(CAP_SYS_ADMIN):
        raise SysError(EPERM)


_MOUNT_NOTES = (
    "one namespace; remount changes the mount alone; tmpfs has no size, options of proc have no effect"
)


@syscall("mount", errors=f"{PATH_ERRORS} EBUSY EINVAL ENODEV EPERM", support=PARTIAL, notes=_MOUNT_NOTES)
async def mount(
    t: Task,
    source: UserPath,
    target: UserPath,
    filesystemtype: Annotated[In[bytes], Shown("mount_type")],
    mountflags: MountFlags,
    data: Annotated[In[bytes], Shown("mount_data")],
) -> None:
    """Attach a file system, or move, bind or change an attached one (man 2 mount)."""
    kind = await _string(t, filesystemtype) if filesystemtype else None
    what = await _string(t, source) if source else b""
    options = await _options(t, data)
    at = await lookup(t, AT_FDCWD, await t.mem.path(target))
    if mountflags & MS_MGC_MSK == MS_MGC_VAL:
        mountflags &= ~MS_MGC_MSK
    if mountflags & _MS_NOUSER:
        raise SysError(EINVAL)
    _admin(t)
    flags = _mount_flags(mountflags)
    if mountflags & MS_REMOUNT:
        _remount(t, at, flags)
    elif mountflags & MS_BIND:
        await _bind(t, what, at, mountflags & MS_REC != 0)
    elif mountflags & _PROPAGATION:
        _check_propagation(t, at, mountflags)
    elif mountflags & MS_MOVE:
        await _move(t, what, at)
    else:
        await _new(t, kind, what, at, flags, options)


async def _string(t: Task, address: int) -> bytes:
    """A string of less than a page: EINVAL for a longer one, although it may be a path."""
    try:
        return await t.mem.cstr(address, _PAGE)
    except SysError as error:
        raise SysError(EINVAL if error.errno == ENAMETOOLONG else error.errno) from None


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


def _mounted(t: Task, at: Path) -> Mount:
    """The mount whose root a place is; EINVAL if it is none's, or that of one that was detached."""
    if at.dentry is not at.mount.root or at.mount not in t.server.namespace:
        raise SysError(EINVAL)
    return at.mount


def _check_mountpoint(t: Task, at: Path) -> None:
    """ENOENT where nothing can be mounted any more: in a detached mount, on what was removed."""
    if at.dentry.deleted or at.mount not in t.server.namespace:
        raise SysError(ENOENT)


def _remount(t: Task, at: Path, flags: int) -> None:
    mount = _mounted(t, at)
    if flags & MS_RDONLY and not mount.flags & MS_RDONLY and _written(t, mount):
        raise SysError(EBUSY)
    mount.flags = flags


def _written(t: Task, mount: Mount) -> bool:
    """Whether a file there is open for writing."""
    return any(
        file.writable and file.inode.kind == S_IFREG and file.path is not None and file.path.mount is mount
        for task in t.server.tasks.values()
        for file in task.files.files()
    )


async def _bind(t: Task, source: bytes, at: Path, recursive: bool) -> None:
    if not source:
        raise SysError(EINVAL)
    what = await lookup(t, AT_FDCWD, source)
    _check_mountpoint(t, at)
    if what.mount not in t.server.namespace:
        raise SysError(EINVAL)
    if what.dentry.deleted:
        raise SysError(ENOENT)
    if (what.inode.kind == S_IFDIR) != (at.inode.kind == S_IFDIR):
        raise SysError(ENOTDIR)
    t.server.namespace.bind(what, at, recursive)


def _check_propagation(t: Task, at: Path, flags: int) -> None:
    """With one namespace nothing propagates: every kind behaves as private."""
    _mounted(t, at)
    kinds = flags & ~(MS_REC | MS_SILENT)
    if kinds & ~_PROPAGATION or kinds & (kinds - 1):
        raise SysError(EINVAL)
    if kinds != MS_PRIVATE:
        t.server.unsupported("mount: MS_SHARED, MS_SLAVE, MS_UNBINDABLE", t)


async def _move(t: Task, source: bytes, at: Path) -> None:
    if not source:
        raise SysError(EINVAL)
    what = await lookup(t, AT_FDCWD, source)
    _check_mountpoint(t, at)
    mount = _mounted(t, what)
    if (what.inode.kind == S_IFDIR) != (at.inode.kind == S_IFDIR):
        raise SysError(ENOTDIR)
    t.server.namespace.move(mount, at)


async def _new(t: Task, kind: bytes | None, source: bytes, at: Path, flags: int, options: bytes) -> None:
    if kind is None:
        raise SysError(EINVAL)
    found = _TYPES.get(kind)
    if found is None:
        t.server.unsupported(f"mount: file system type {kind.decode(errors='replace')}", t)
        raise SysError(ENODEV)
    given = found.options(options)
    for option in sorted(_given(options).keys() & _IN_VAIN):
        t.server.unsupported(f"mount: option {option.decode()} of {kind.decode()}", t)
    name = kind.decode()
    _check_mountpoint(t, at)
    if found.single and at.dentry is at.mount.root and at.mount.fs.kind == name:
        raise SysError(EBUSY)
    if at.inode.kind != S_IFDIR:
        raise SysError(ENOTDIR)
    await t.server.namespace.mount(await found.make(t, name, given), at, flags, source or b"none")


# -- file system types ------------------------------------------------------------------------------------


_IN_VAIN = frozenset((b"size", b"nr_blocks", b"nr_inodes", b"hidepid", b"subset"))
"""Options that are taken and change nothing."""


class _Options(NamedTuple):
    """What of the options counts: attributes of the root."""

    mode: int = 0o1777
    uid: int = 0
    gid: int = 0


class _Type(NamedTuple):
    """A type of file system: how its options are read, how one is made, whether all its mounts are the same."""

    options: Callable[[bytes], _Options]
    make: Callable[[Task, str, _Options], Awaitable[FileSystem]]
    single: bool = False


def _number(text: bytes, base: int) -> int:
    """An unsigned int; with base 0 it says itself whether it is hexadecimal, octal or decimal."""
    digits = text.removeprefix(b"+").lower()
    if not base and digits.startswith(b"0x"):
        base, digits = 16, digits[2:]
    base = base or (8 if digits.startswith(b"0") else 10)
    if not digits or digits.strip(b"0123456789abcdef"[:base]):
        raise SysError(EINVAL)
    value = int(digits, base)
    if value > _UINT_MAX:
        raise SysError(EINVAL)
    return value


def _given(options: bytes) -> dict[bytes, bytes]:
    return dict(option.partition(b"=")[::2] for option in options.split(b",") if option)


def _root_options(options: bytes, mode: int = 0o1777) -> _Options:
    """The options mode, uid and gid; all others are ignored."""
    given = _given(options)
    if b"mode" in given:
        mode = _number(given[b"mode"], 8) & 0o7777
    uid, gid = (_number(given.get(name, b"0"), 0) for name in (b"uid", b"gid"))
    if _UINT_MAX in (uid, gid):
        raise SysError(EINVAL)
    return _Options(mode, uid, gid)


def _mode_option(options: bytes) -> _Options:
    """The option mode; all others are ignored, as ramfs does."""
    given = _given(options)
    return _Options(_number(given.get(b"mode", b"755"), 8) & 0o7777)


def _only(*names: bytes) -> Callable[[bytes], _Options]:
    """Options of these names and those of every file system have no effect; others are EINVAL."""

    def check(options: bytes) -> _Options:
        if not _given(options).keys() <= {*names, *_COMMON_OPTIONS}:
            raise SysError(EINVAL)
        return _Options()

    return check


async def _make_tmpfs(t: Task, kind: str, options: _Options) -> FileSystem:
    """An empty file system in memory."""
    server = t.server
    made = await file_system_of(server.port, server.new_memfs(), kind, server.namespace.new_dev())
    await (await made.root()).setattr(t, MODE | UID | GID, **options._asdict())
    return made


async def _make_devtmpfs(t: Task, kind: str, options: _Options) -> FileSystem:
    from syscalls.fs.devfs import populate

    made = await _make_tmpfs(t, kind, options)
    await populate(t, await made.root())
    return made


async def _make_proc(t: Task, kind: str, options: _Options) -> FileSystem:
    from syscalls.fs.procfs import ProcFs

    server = t.server
    now_ns = await server.clock_ns(CLOCK_REALTIME)
    return ProcFs(server, server.table_of_processes, server.namespace.new_dev(), now_ns)


async def _make_sysfs(t: Task, kind: str, options: _Options) -> FileSystem:
    from syscalls.fs.sysfs import SysFs

    return SysFs(t.server, t.server.namespace.new_dev(), await t.server.clock_ns(CLOCK_REALTIME))


async def _find_mqueue(t: Task, kind: str, options: _Options) -> FileSystem:
    from syscalls.fs.mqueuefs import message_queues

    return await message_queues(t)


_TYPES: dict[bytes, _Type] = {
    b"tmpfs": _Type(_root_options, _make_tmpfs),
    b"ramfs": _Type(_mode_option, _make_tmpfs),
    b"devtmpfs": _Type(lambda options: _root_options(options, 0o755), _make_devtmpfs, single=True),
    b"proc": _Type(_only(b"gid", b"hidepid", b"subset"), _make_proc),
    b"sysfs": _Type(_only(), _make_sysfs, single=True),
    b"mqueue": _Type(_only(), _find_mqueue, single=True),
}


# -- detaching --------------------------------------------------------------------------------------------


_UMOUNT_NOTES = "MNT_EXPIRE is EAGAIN; the root is EBUSY; a mapped file does not keep a mount busy"


@syscall("umount2", errors=f"{PATH_ERRORS} EAGAIN EBUSY EINVAL EPERM", support=PARTIAL, notes=_UMOUNT_NOTES)
async def umount2(t: Task, target: UserPath, flags: UmountFlags) -> None:
    """Detach a file system (man 2 umount)."""
    if flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW):
        raise SysError(EINVAL)
    at = await lookup(t, AT_FDCWD, await t.mem.path(target), not flags & UMOUNT_NOFOLLOW)
    _admin(t)
    victim = _mounted(t, at)
    if flags & MNT_EXPIRE:
        if flags & (MNT_FORCE | MNT_DETACH):
            raise SysError(EINVAL)
        t.server.unsupported("umount2: MNT_EXPIRE", t)
        raise SysError(EAGAIN)
    if victim.parent is None:
        raise SysError(EBUSY)
    namespace = t.server.namespace
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


@syscall("pivot_root", errors="ENOSYS EPERM", support=PARTIAL, notes="ENOSYS: there is one namespace")
async def pivot_root(t: Task, new_root: UserPath, put_old: UserPath) -> None:
    """Change the root mount of all processes (man 2 pivot_root)."""
    _admin(t)
    t.server.unsupported("pivot_root", t)
    raise SysError(ENOSYS)
