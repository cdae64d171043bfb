"""What files are: stat and its relatives, access, mode, owner, times, link targets, file system sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import EFAULT, EINVAL, ENOENT
from syscalls.abi.flags import (
    AT_EACCESS,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_NO_AUTOMOUNT,
    AT_STATX_SYNC_TYPE,
    AT_SYMLINK_NOFOLLOW,
    CLOCK_REALTIME,
    S_IFLNK,
    ST_VALID,
    STATX__RESERVED,
    STATX_ATTR_MOUNT_ROOT,
    STATX_BASIC_STATS,
    STATX_CTIME,
    STATX_MNT_ID,
    STATX_MTIME,
    UTIME_NOW,
    UTIME_OMIT,
)
from syscalls.abi.structs import (
    Stat,
    Statfs,
    Statx,
    StatxTimestamp,
    Timespec,
    Timeval,
    Utimbuf,
    dev_major,
    dev_minor,
)
from syscalls.errors import SysError
from syscalls.handlers._errors import AT_ERRORS, PATH_ERRORS
from syscalls.registry import syscall
from syscalls.types import (
    AccessFlags,
    AccessMode,
    AtFlags,
    BufSize,
    DirFd,
    Fd,
    Gid,
    In,
    Mode,
    Out,
    Shown,
    StatxFlags,
    StatxMask,
    Uid,
    Umask,
    UserPath,
)
from syscalls.vfs import attributes
from syscalls.vfs.mount import MOUNT_FLAGS, Path, place_of_file
from syscalls.vfs.walk import Walk, lookup, place_of

if TYPE_CHECKING:
    from syscalls.objects.task import Task
    from syscalls.vfs.filesystem import FileSystem, FsInfo
    from syscalls.vfs.inode import Attr

_NS = 1_000_000_000
_FIRST_NS, _LAST_NS = -(1 << 63), (1 << 63) - 1
"""What the messages to file servers can say of a time."""
_STAT_FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE
_CHANGE_FLAGS = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH


# -- stat -------------------------------------------------------------------------------------------------


def stat_of(attr: Attr, fs: FileSystem) -> bytes:
    """The bytes of struct stat."""
    (ino, mode, nlink, uid, gid, rdev, size, blocks, blksize, atime_ns, mtime_ns, ctime_ns, _) = attr
    packed: bytes = Stat._codec.pack(
        fs.dev,
        ino,
        nlink,
        mode,
        uid,
        gid,
        rdev,
        size,
        blksize,
        blocks,
        atime_ns // _NS,
        atime_ns % _NS,
        mtime_ns // _NS,
        mtime_ns % _NS,
        ctime_ns // _NS,
        ctime_ns % _NS,
    )
    return packed


async def _stat(t: Task, dirfd: int, path: bytes, address: int, follow: bool) -> None:
    walk = Walk(t, dirfd, path)
    inode = (await walk.resolve(follow)).inode
    await walk.refresh(inode)
    await t.mem.write(address, stat_of(inode.attr, inode.fs))


async def _path(t: Task, address: int, flags: int = 0) -> bytes:
    path = await t.mem.path(address)
    if not path and not flags & AT_EMPTY_PATH:
        raise SysError(ENOENT)
    return path


@syscall("stat", errors=PATH_ERRORS)
async def stat(t: Task, pathname: UserPath, statbuf: Out[Stat]) -> None:
    """What a path names (man 2 stat)."""
    await _stat(t, AT_FDCWD, await _path(t, pathname), statbuf, True)


@syscall("lstat", errors=PATH_ERRORS)
async def lstat(t: Task, pathname: UserPath, statbuf: Out[Stat]) -> None:
    """The same, but of a symbolic link itself (man 2 stat)."""
    await _stat(t, AT_FDCWD, await _path(t, pathname), statbuf, False)


@syscall("fstat", errors="EBADF EFAULT EIO")
async def fstat(t: Task, fd: Fd, statbuf: Out[Stat]) -> None:
    """What a descriptor refers to (man 2 stat)."""
    file = t.files.get_any(fd)
    await t.mem.write(statbuf, stat_of(await file.getattr(t), file.inode.fs))


@syscall("newfstatat", errors=AT_ERRORS)
async def newfstatat(
    t: Task, dirfd: DirFd, pathname: UserPath, statbuf: Out[Stat], flags: AtFlags
) -> None:
    """What a path relative to a directory names (man 2 stat)."""
    if flags & ~_STAT_FLAGS and not await _means_fd(t, dirfd, pathname, flags):
        raise SysError(EINVAL)
    path = await _path_or_empty(t, pathname, flags)
    if path:
        await _stat(t, dirfd, path, statbuf, not flags & AT_SYMLINK_NOFOLLOW)
        return
    attr, fs, _ = await _stat_fd(t, dirfd)
    await t.mem.write(statbuf, stat_of(attr, fs))


async def _path_or_empty(t: Task, address: int, flags: int) -> bytes:
    """The path argument of the calls that tell; empty, or a null pointer, with AT_EMPTY_PATH."""
    return await _path(t, address, flags) if address or not flags & AT_EMPTY_PATH else b""


async def _means_fd(t: Task, dirfd: int, address: int, flags: int) -> bool:
    """Whether the descriptor itself is meant: then no other flag is looked at."""
    if not flags & AT_EMPTY_PATH or dirfd < 0:
        return False
    try:
        return not address or await t.mem.read_some(address, 1) == b"\0"
    except SysError:
        return False


async def _stat_fd(t: Task, dirfd: int) -> tuple[Attr, FileSystem, Path | None]:
    """What an empty path with AT_EMPTY_PATH means."""
    if dirfd == AT_FDCWD:
        cwd = t.fs.cwd
        return await cwd.inode.getattr(t), cwd.inode.fs, cwd
    file = t.files.get_any(dirfd)
    return await file.getattr(t), file.inode.fs, file.path


@syscall("statx", errors=AT_ERRORS)
async def statx(
    t: Task, dirfd: DirFd, pathname: UserPath, flags: StatxFlags, mask: StatxMask, statxbuf: Out[Statx]
) -> None:
    """What a path names, in an extensible form (man 2 statx)."""
    if mask & STATX__RESERVED or flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE:
        raise SysError(EINVAL)
    if flags & ~_STAT_FLAGS and not await _means_fd(t, dirfd, pathname, flags):
        raise SysError(EINVAL)
    path = await _path_or_empty(t, pathname, flags)
    if path:
        walk = Walk(t, dirfd, path)
        place: Path | None = await walk.resolve(not flags & AT_SYMLINK_NOFOLLOW)
        assert place is not None
        await walk.refresh(place.inode)
        attr, fs = place.inode.attr, place.inode.fs
    else:
        attr, fs, place = await _stat_fd(t, dirfd)
    await t.mem.write(statxbuf, _statx_of(attr, fs, place, mask).pack())


def _statx_of(attr: Attr, fs: FileSystem, place: Path | None, mask: int) -> Statx:
    left_out = STATX_MTIME | STATX_CTIME
    if mask & left_out or not fs.multigrain:
        left_out = 0
    top = place is not None and place.dentry is place.mount.root and place.dentry.name == b"/"
    return Statx(
        stx_mask=STATX_BASIC_STATS & ~left_out | STATX_MNT_ID,
        stx_blksize=attr.blksize,
        stx_attributes=STATX_ATTR_MOUNT_ROOT if top else 0,
        stx_nlink=attr.nlink,
        stx_uid=attr.uid,
        stx_gid=attr.gid,
        stx_mode=attr.mode,
        stx_ino=attr.ino,
        stx_size=attr.size,
        stx_blocks=attr.blocks,
        stx_attributes_mask=STATX_ATTR_MOUNT_ROOT,
        stx_atime=StatxTimestamp(*divmod(attr.atime_ns, _NS)),
        stx_btime=StatxTimestamp(0, 0),
        stx_ctime=StatxTimestamp(*divmod(0 if left_out else attr.ctime_ns, _NS)),
        stx_mtime=StatxTimestamp(*divmod(0 if left_out else attr.mtime_ns, _NS)),
        stx_rdev_major=dev_major(attr.rdev),
        stx_rdev_minor=dev_minor(attr.rdev),
        stx_dev_major=dev_major(fs.dev),
        stx_dev_minor=dev_minor(fs.dev),
        stx_mnt_id=place.mount.number if place is not None else 0,
    )


# -- access -----------------------------------------------------------------------------------------------


async def _access(t: Task, dirfd: int, address: int, mode: int, flags: int) -> None:
    if mode & ~7 or flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise SysError(EINVAL)
    creds = t.creds if flags & AT_EACCESS else t.creds.for_access()
    path = await _path(t, address, flags)
    if path:
        await attributes.access_path(t, dirfd, path, creds, mode, not flags & AT_SYMLINK_NOFOLLOW)
    else:
        await attributes.may_access(t, creds, await lookup(t, dirfd, b"", empty_ok=True), mode)


@syscall("access", errors=f"{PATH_ERRORS} EINVAL EROFS")
async def access(t: Task, pathname: UserPath, mode: AccessMode) -> None:
    """Whether the real user may use a file (man 2 access)."""
    await _access(t, AT_FDCWD, pathname, mode, 0)


@syscall("faccessat", errors=f"{AT_ERRORS} EROFS")
async def faccessat(t: Task, dirfd: DirFd, pathname: UserPath, mode: AccessMode) -> None:
    """Whether the real user may use a file (man 2 access)."""
    await _access(t, dirfd, pathname, mode, 0)


@syscall("faccessat2", errors=f"{AT_ERRORS} EROFS")
async def faccessat2(t: Task, dirfd: DirFd, pathname: UserPath, mode: AccessMode, flags: AccessFlags) -> None:
    """Whether the real or, with AT_EACCESS, the effective user may use a file (man 2 access)."""
    await _access(t, dirfd, pathname, mode, flags)


# -- mode and owner ---------------------------------------------------------------------------------------


async def _place(t: Task, dirfd: int, address: int, flags: int) -> Path:
    """The target of a *at call that changes attributes."""
    if flags & ~_CHANGE_FLAGS:
        raise SysError(EINVAL)
    path = await _path(t, address, flags)
    return await lookup(t, dirfd, path, not flags & AT_SYMLINK_NOFOLLOW, bool(flags & AT_EMPTY_PATH))


def _open_place(t: Task, fd: int) -> Path:
    """The target of an f* call; EBADF for O_PATH."""
    return place_of_file(t.files.get(fd))


@syscall("chmod", errors=f"{PATH_ERRORS} EPERM EROFS")
async def chmod(t: Task, pathname: UserPath, mode: Mode) -> None:
    """Set permission bits (man 2 chmod)."""
    await attributes.change_mode(t, await _place(t, AT_FDCWD, pathname, 0), mode)


@syscall("fchmod", errors="EBADF EIO EPERM EROFS")
async def fchmod(t: Task, fd: Fd, mode: Mode) -> None:
    """Set permission bits of an open file (man 2 chmod)."""
    await attributes.change_mode(t, _open_place(t, fd), mode)


@syscall("fchmodat", errors=f"{PATH_ERRORS} EBADF EPERM EROFS")
async def fchmodat(t: Task, dirfd: DirFd, pathname: UserPath, mode: Mode) -> None:
    """Set permission bits relative to a directory (man 2 chmod)."""
    await attributes.change_mode(t, await _place(t, dirfd, pathname, 0), mode)


@syscall("fchmodat2", errors=f"{AT_ERRORS} EOPNOTSUPP EPERM EROFS")
async def fchmodat2(t: Task, dirfd: DirFd, pathname: UserPath, mode: Mode, flags: AtFlags) -> None:
    """The same with flags (man 2 chmod)."""
    await attributes.change_mode(t, await _place(t, dirfd, pathname, flags), mode)


@syscall("chown", errors=f"{PATH_ERRORS} EPERM EROFS")
async def chown(t: Task, pathname: UserPath, owner: Uid, group: Gid) -> None:
    """Set owner and group (man 2 chown)."""
    await attributes.change_owner(t, await _place(t, AT_FDCWD, pathname, 0), owner, group)


@syscall("lchown", errors=f"{PATH_ERRORS} EPERM EROFS")
async def lchown(t: Task, pathname: UserPath, owner: Uid, group: Gid) -> None:
    """Set owner and group, of a symbolic link itself too (man 2 chown)."""
    place = await _place(t, AT_FDCWD, pathname, AT_SYMLINK_NOFOLLOW)
    await attributes.change_owner(t, place, owner, group)


@syscall("fchown", errors="EBADF EIO EPERM EROFS")
async def fchown(t: Task, fd: Fd, owner: Uid, group: Gid) -> None:
    """Set owner and group of an open file (man 2 chown)."""
    await attributes.change_owner(t, _open_place(t, fd), owner, group)


@syscall("fchownat", errors=f"{AT_ERRORS} EPERM EROFS")
async def fchownat(t: Task, dirfd: DirFd, pathname: UserPath, owner: Uid, group: Gid, flags: AtFlags) -> None:
    """Set owner and group relative to a directory (man 2 chown)."""
    await attributes.change_owner(t, await _place(t, dirfd, pathname, flags), owner, group)


# -- times ------------------------------------------------------------------------------------------------


async def _set_times(t: Task, place: Path, times: tuple[Timespec, Timespec] | None) -> None:
    """utimensat once target and times are known; None: the present for both."""
    kinds = (UTIME_NOW, UTIME_NOW) if times is None else (times[0].tv_nsec, times[1].tv_nsec)
    if not all(nsec in (UTIME_NOW, UTIME_OMIT) or 0 <= nsec < _NS for nsec in kinds):
        raise SysError(EINVAL)
    now = await t.server.clock_ns(CLOCK_REALTIME) if UTIME_NOW in kinds else 0
    if times is None or kinds == (UTIME_NOW, UTIME_NOW):
        await attributes.set_times(t, place, now, now, False)
        return
    wanted = [None if x.tv_nsec == UTIME_OMIT else now if x.tv_nsec == UTIME_NOW else _in_range(x) for x in times]
    await attributes.set_times(t, place, wanted[0], wanted[1], True)


def _in_range(time: Timespec) -> int:
    """Nanoseconds since 1970; as on Linux, a time that file systems cannot keep becomes the nearest one."""
    return max(_FIRST_NS, min(time.ns(), _LAST_NS))


async def _timespecs(t: Task, address: int) -> tuple[Timespec, Timespec] | None:
    if not address:
        return None
    raw = await t.mem.read(address, 2 * Timespec.SIZE)
    return Timespec.unpack(raw), Timespec.unpack(raw, Timespec.SIZE)


@syscall("utimensat", errors=f"{AT_ERRORS} EPERM EROFS")
async def utimensat(
    t: Task,
    dirfd: DirFd,
    pathname: UserPath,
    times: Annotated[In[Timespec], Shown("file_times")],
    flags: AtFlags,
) -> None:
    """Set access and modification time (man 2 utimensat)."""
    wanted = await _timespecs(t, times)
    if wanted is not None and wanted[0].tv_nsec == UTIME_OMIT and wanted[1].tv_nsec == UTIME_OMIT:
        return
    if flags & ~_CHANGE_FLAGS:
        raise SysError(EINVAL)
    if not pathname and dirfd != AT_FDCWD:
        if flags:
            raise SysError(EINVAL)
        place = _open_place(t, dirfd)
    else:
        if not pathname:
            raise SysError(EFAULT)
        place = await _place(t, dirfd, pathname, flags)
    await _set_times(t, place, wanted)


@syscall("utime", errors=f"{PATH_ERRORS} EPERM EROFS")
async def utime(t: Task, filename: UserPath, times: In[Utimbuf]) -> None:
    """Set access and modification time in seconds (man 2 utime)."""
    wanted = None
    if times:
        both = await t.mem.struct(times, Utimbuf)
        wanted = Timespec(both.actime, 0), Timespec(both.modtime, 0)
    await _set_times(t, await _place(t, AT_FDCWD, filename, 0), wanted)


async def _timevals(t: Task, address: int) -> tuple[Timespec, Timespec] | None:
    if not address:
        return None
    raw = await t.mem.read(address, 2 * Timeval.SIZE)
    first, second = Timeval.unpack(raw), Timeval.unpack(raw, Timeval.SIZE)
    if not (0 <= first.tv_usec < 1_000_000 and 0 <= second.tv_usec < 1_000_000):
        raise SysError(EINVAL)
    return Timespec(first.tv_sec, first.tv_usec * 1000), Timespec(second.tv_sec, second.tv_usec * 1000)


@syscall("utimes", errors=f"{PATH_ERRORS} EINVAL EPERM EROFS")
async def utimes(t: Task, filename: UserPath, times: Annotated[In[Timeval], Shown("file_times")]) -> None:
    """Set access and modification time in microseconds (man 2 utimes)."""
    wanted = await _timevals(t, times)
    await _set_times(t, await _place(t, AT_FDCWD, filename, 0), wanted)


@syscall("futimesat", errors=f"{AT_ERRORS} EPERM EROFS")
async def futimesat(
    t: Task, dirfd: DirFd, pathname: UserPath, times: Annotated[In[Timeval], Shown("file_times")]
) -> None:
    """The same relative to a directory, or of an open file without a path (man 2 futimesat)."""
    wanted = await _timevals(t, times)
    if not pathname and dirfd != AT_FDCWD:
        place = _open_place(t, dirfd)
    else:
        place = await _place(t, dirfd, pathname, 0)
    await _set_times(t, place, wanted)


# -- links, file systems, umask ---------------------------------------------------------------------------


@syscall("readlink", errors=f"{PATH_ERRORS} EINVAL")
async def readlink(t: Task, pathname: UserPath, buf: Out[bytes], bufsiz: BufSize) -> int:
    """What a symbolic link points to (man 2 readlink)."""
    return await _readlink(t, AT_FDCWD, pathname, buf, bufsiz)


@syscall("readlinkat", errors=AT_ERRORS)
async def readlinkat(t: Task, dirfd: DirFd, pathname: UserPath, buf: Out[bytes], bufsiz: BufSize) -> int:
    """The same relative to a directory, or of a link opened with O_PATH (man 2 readlink)."""
    return await _readlink(t, dirfd, pathname, buf, bufsiz)


async def _readlink(t: Task, dirfd: int, address: int, buf: int, bufsiz: int) -> int:
    if bufsiz <= 0:
        raise SysError(EINVAL)
    path = await t.mem.path(address)
    if path:
        place = await lookup(t, dirfd, path, False)
    else:
        place = place_of(t, dirfd)
    if place.inode.kind != S_IFLNK:
        raise SysError(EINVAL if path else ENOENT)
    target = (await place.inode.readlink(t))[:bufsiz]
    await t.mem.write(buf, target)
    return len(target)


@syscall("statfs", errors=PATH_ERRORS)
async def statfs(t: Task, path: UserPath, buf: Out[Statfs]) -> None:
    """Size and kind of a file system (man 2 statfs)."""
    place = await lookup(t, AT_FDCWD, await t.mem.path(path))
    info = await place.inode.fs.statfs(t)
    await t.mem.write(buf, _statfs_of(info, place.inode.fs, place.mount.flags).pack())


@syscall("fstatfs", errors="EBADF EFAULT EIO")
async def fstatfs(t: Task, fd: Fd, buf: Out[Statfs]) -> None:
    """The same of the file system an open file is on (man 2 statfs)."""
    file = t.files.get_any(fd)
    flags = file.path.mount.flags if file.path is not None else 0
    await t.mem.write(buf, _statfs_of(await file.statfs(t), file.inode.fs, flags).pack())


def _statfs_of(info: FsInfo, fs: FileSystem, mount_flags: int) -> Statfs:
    # MS_* and ST_* share the bits below MS_RELATIME, which moves.
    flags = mount_flags & MOUNT_FLAGS & 0xFFF | (mount_flags >> 9) & 0x1000
    return Statfs(
        f_type=info.type,
        f_bsize=info.bsize,
        f_blocks=info.blocks,
        f_bfree=info.bfree,
        f_bavail=info.bavail,
        f_files=info.files,
        f_ffree=info.ffree,
        f_fsid0=fs.dev,
        f_fsid1=0,
        f_namelen=info.namelen,
        f_frsize=info.bsize,
        f_flags=ST_VALID | flags | (1 if fs.readonly else 0),
    )


@syscall("umask")
async def umask(t: Task, mask: Umask) -> Umask:
    """Set which permission bits new files do not get, return the old ones (man 2 umask)."""
    old = t.fs.umask
    t.fs.umask = mask & 0o777
    return old
