"""Descriptors and bytes: open, close, read, write and their relatives, positions, sizes, locks, dup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import (
    E2BIG,
    EBADF,
    EFBIG,
    EINVAL,
    ENODEV,
    EOPNOTSUPP,
    ESPIPE,
)
from syscalls.abi.flags import (
    AT_FDCWD,
    CLOSE_RANGE_CLOEXEC,
    CLOSE_RANGE_UNSHARE,
    FALLOC_FL_COLLAPSE_RANGE,
    FALLOC_FL_INSERT_RANGE,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_UNSHARE_RANGE,
    FALLOC_FL_ZERO_RANGE,
    LOCK_EX,
    LOCK_NB,
    LOCK_SH,
    LOCK_UN,
    O_CLOEXEC,
    O_CREAT,
    O_LARGEFILE,
    O_PATH,
    O_TRUNC,
    O_WRONLY,
    POSIX_FADV_NOREUSE,
    RESOLVE_BENEATH,
    RESOLVE_CACHED,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    RWF_APPEND,
    RWF_DSYNC,
    RWF_HIPRI,
    RWF_NOWAIT,
    RWF_SYNC,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFREG,
)
from syscalls.abi.structs import Iovec, OpenHow
from syscalls.errors import SysError
from syscalls.handlers import splice as _  # noqa: F401  (its calls belong to this family)
from syscalls.handlers._errors import PATH_ERRORS
from syscalls.objects.file import ANY, READ, WRITE, File
from syscalls.registry import PARTIAL, syscall
from syscalls.types import (
    CloseRangeFlags,
    Count,
    CreateMode,
    DirFd,
    FadviseAdvice,
    FallocateMode,
    Fd,
    FdFlags,
    FlockOperation,
    HighOff,
    In,
    Mode,
    Off,
    OpenFlags,
    Out,
    RwFlags,
    Shown,
    Size,
    SyncRangeFlags,
    UInt,
    ULong,
    UOff,
    UserPath,
    Whence,
)
from syscalls.vfs import transfer
from syscalls.vfs.open import VALID_FLAGS, check_flags, open_path, plain_flags
from syscalls.vfs.regular import MAX_OFFSET

if TYPE_CHECKING:
    from syscalls.objects.task import Task

_OPEN_ERRORS = f"{PATH_ERRORS} EBUSY EINTR EISDIR EMFILE ENFILE ENOSPC ENXIO EROFS ETXTBSY"
_READ_ERRORS = "EBADF EFAULT EINVAL EIO EISDIR ENOENT EPERM ESRCH"
_WRITE_ERRORS = "EACCES EBADF EFAULT EFBIG EINVAL EIO ENOSPC EPERM ESRCH"
_OPEN_HOW_SIZE = 24
_PAGE = 4096
_RESOLVE = (
    RESOLVE_NO_XDEV
    | RESOLVE_NO_MAGICLINKS
    | RESOLVE_NO_SYMLINKS
    | RESOLVE_BENEATH
    | RESOLVE_IN_ROOT
    | RESOLVE_CACHED
)
_RWF = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND
_SEEK_MAX = 4
_SYNC_RANGE = 7
_LOCK_MAND = 0x20
"""An obsolete kind of flock, which Linux accepts and ignores."""
_DIRECT = 256 * 1024
"""Counts up to here are moved in one step."""


# -- open and close ---------------------------------------------------------------------------------------


async def _open(t: Task, dirfd: int, pathname: int, flags: int, mode: int, resolve: int = 0) -> int:
    flags = check_flags(flags, resolve)
    path = await t.mem.path(pathname)
    files = t.files
    if path:  # none is ENOENT, whatever else is missing
        files.lowest_free()
    file = await open_path(t, dirfd, path, flags, mode, resolve)
    try:
        return files.alloc(file, flags & O_CLOEXEC != 0)
    except SysError:
        await file.put()
        raise


@syscall("open", errors=f"{_OPEN_ERRORS} EEXIST EINVAL EOPNOTSUPP EPERM")
async def open(t: Task, pathname: UserPath, flags: OpenFlags, mode: CreateMode) -> Fd:
    """Open a file, make it with O_CREAT (man 2 open)."""
    return await _open(t, AT_FDCWD, pathname, plain_flags(flags), mode & 0o7777)


@syscall("openat", errors=f"{_OPEN_ERRORS} EBADF EEXIST EINVAL EOPNOTSUPP EPERM")
async def openat(t: Task, dirfd: DirFd, pathname: UserPath, flags: OpenFlags, mode: CreateMode) -> Fd:
    """Open a file relative to a directory (man 2 open)."""
    return await _open(t, dirfd, pathname, plain_flags(flags), mode & 0o7777)


@syscall("creat", errors=f"{_OPEN_ERRORS} EPERM")
async def creat(t: Task, pathname: UserPath, mode: Mode) -> Fd:
    """Make or empty a file and open it for writing (man 2 creat)."""
    flags = plain_flags(O_CREAT | O_WRONLY | O_TRUNC)
    return await _open(t, AT_FDCWD, pathname, flags, mode & 0o7777)


@syscall("openat2", errors=f"{_OPEN_ERRORS} E2BIG EAGAIN EBADF EEXIST EINVAL EOPNOTSUPP EPERM EXDEV")
async def openat2(
    t: Task,
    dirfd: DirFd,
    pathname: UserPath,
    how: Annotated[In[OpenHow], Shown("open_how"), Count("size")],
    size: Size,
) -> Fd:
    """Open a file with restrictions on how its path may resolve (man 2 openat2)."""
    if size < _OPEN_HOW_SIZE:
        raise SysError(EINVAL)
    if size > _PAGE:
        raise SysError(E2BIG)
    raw = await t.mem.read(how, size)
    if any(raw[_OPEN_HOW_SIZE:]):
        raise SysError(E2BIG)
    flags, mode, resolve = OpenHow.unpack(raw)
    if flags & ~VALID_FLAGS or resolve & ~_RESOLVE or mode & ~0o7777:
        raise SysError(EINVAL)
    if mode and not flags & (O_CREAT | (1 << 22)):
        raise SysError(EINVAL)
    if not flags & O_PATH:
        flags |= O_LARGEFILE
    return await _open(t, dirfd, pathname, flags, mode, resolve)


@syscall("close", errors="EBADF")
async def close(t: Task, fd: Fd) -> None:
    """Close a descriptor (man 2 close)."""
    await t.files.close(fd)


@syscall("close_range", errors="EINVAL")
async def close_range(t: Task, first: UInt, last: UInt, flags: CloseRangeFlags) -> None:
    """Close a range of descriptors, or mark them close-on-exec (man 2 close_range)."""
    if flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) or first > last:
        raise SysError(EINVAL)
    if flags & CLOSE_RANGE_UNSHARE and t.files.refs > 1:
        shared = t.files
        t.files = shared.clone()
        await shared.drop()
    if flags & CLOSE_RANGE_CLOEXEC:
        for fd in t.files.numbers(first, last):
            t.files.set_cloexec(fd, True)
    else:
        await t.files.close_range(first, last)


# -- read and write ---------------------------------------------------------------------------------------


@syscall("read", errors=f"{_READ_ERRORS} EAGAIN EINTR")
async def read(t: Task, fd: Fd, buf: Out[bytes], count: Size) -> int:
    """Read from a file at its position (man 2 read)."""
    files = t.files
    file = files.get(fd, READ)
    if buf + count > 0x7FFF_FFFF_F000:
        transfer.check_buffer(buf, count)
    if count > _DIRECT or files.refs > 1:
        return await transfer.pinned(file, transfer.read_user(t, file, buf, count, None))
    data = await file.read(t, count)
    if not data:
        return 0
    return await transfer.deliver(t, file, buf, data, None)


@syscall("write", errors=f"{_WRITE_ERRORS} EAGAIN EINTR EPIPE")
async def write(t: Task, fd: Fd, buf: In[bytes], count: Size) -> int:
    """Write to a file at its position (man 2 write)."""
    files = t.files
    file = files.get(fd, WRITE)
    if buf + count > 0x7FFF_FFFF_F000:
        transfer.check_buffer(buf, count)
    if count > _DIRECT or files.refs > 1:
        return await transfer.pinned(file, transfer.write_user(t, file, buf, count, None))
    file.check_write(t, count)
    data = await t.mem.read_some(buf, count)
    return await file.write(t, data if len(data) == count else transfer.usable(file, data))


def _positioned(t: Task, fd: int, pos: int, want: int) -> File:
    """The file of a pread or pwrite."""
    if pos < 0:
        raise SysError(EINVAL)
    file = t.files.get(fd)
    if not file.seekable:
        raise SysError(ESPIPE)
    if not file.access & want:
        raise SysError(EBADF)
    return file


@syscall("pread64", errors=f"{_READ_ERRORS} ESPIPE")
async def pread64(t: Task, fd: Fd, buf: Out[bytes], count: Size, pos: Off) -> int:
    """Read from a file at an offset (man 2 pread)."""
    file = _positioned(t, fd, pos, READ)
    transfer.check_buffer(buf, count)
    return await transfer.pinned(file, transfer.read_user(t, file, buf, count, pos))


@syscall("pwrite64", errors=f"{_WRITE_ERRORS} ESPIPE")
async def pwrite64(t: Task, fd: Fd, buf: In[bytes], count: Size, pos: Off) -> int:
    """Write to a file at an offset (man 2 pwrite)."""
    file = _positioned(t, fd, pos, WRITE)
    transfer.check_buffer(buf, count)
    return await transfer.pinned(file, transfer.write_user(t, file, buf, count, pos))


async def _vector(t: Task, file: File, want: int, iov: int, count: int) -> transfer.Vector:
    if not file.access & want:
        raise SysError(EBADF)
    return await t.mem.iovec(iov, count)


@syscall("readv", errors=f"{_READ_ERRORS} EAGAIN EINTR")
async def readv(
    t: Task, fd: Fd, iov: Annotated[Out[Iovec], Shown("iov"), Count("iovcnt")], iovcnt: ULong
) -> int:
    """Read into several buffers (man 2 readv)."""
    file = t.files.get(fd)
    vector = await _vector(t, file, READ, iov, iovcnt)
    return await transfer.pinned(file, transfer.readv_user(t, file, vector, None))


@syscall("writev", errors=f"{_WRITE_ERRORS} EAGAIN EINTR EPIPE")
async def writev(
    t: Task, fd: Fd, iov: Annotated[In[Iovec], Shown("iov"), Count("iovcnt")], iovcnt: ULong
) -> int:
    """Write several buffers as one (man 2 writev)."""
    file = t.files.get(fd)
    vector = await _vector(t, file, WRITE, iov, iovcnt)
    return await transfer.pinned(file, transfer.writev_user(t, file, vector, None))


@syscall("preadv", errors=f"{_READ_ERRORS} ESPIPE")
async def preadv(
    t: Task,
    fd: Fd,
    iov: Annotated[Out[Iovec], Shown("iov"), Count("iovcnt")],
    iovcnt: ULong,
    pos_l: Off,
    pos_h: HighOff,
) -> int:
    """Read into several buffers from an offset (man 2 preadv)."""
    file = _positioned(t, fd, pos_l, ANY)
    vector = await _vector(t, file, READ, iov, iovcnt)
    return await transfer.pinned(file, transfer.readv_user(t, file, vector, pos_l))


@syscall("pwritev", errors=f"{_WRITE_ERRORS} ESPIPE")
async def pwritev(
    t: Task,
    fd: Fd,
    iov: Annotated[In[Iovec], Shown("iov"), Count("iovcnt")],
    iovcnt: ULong,
    pos_l: Off,
    pos_h: HighOff,
) -> int:
    """Write several buffers at an offset (man 2 pwritev)."""
    file = _positioned(t, fd, pos_l, ANY)
    vector = await _vector(t, file, WRITE, iov, iovcnt)
    return await transfer.pinned(file, transfer.writev_user(t, file, vector, pos_l))


@syscall(
    "preadv2",
    errors=f"{_READ_ERRORS} EAGAIN EINTR EOPNOTSUPP ESPIPE",
    support=PARTIAL,
    notes="RWF_NOWAIT is EOPNOTSUPP: no file can tell beforehand",
)
async def preadv2(
    t: Task,
    fd: Fd,
    iov: Annotated[Out[Iovec], Shown("iov"), Count("iovcnt")],
    iovcnt: ULong,
    pos_l: Off,
    pos_h: HighOff,
    flags: RwFlags,
) -> int:
    """Read into several buffers, with flags for this call (man 2 preadv2)."""
    file = t.files.get(fd) if pos_l == -1 else _positioned(t, fd, pos_l, ANY)
    vector = await _vector(t, file, READ, iov, iovcnt)
    checked = flags if file.inode.kind == S_IFDIR else flags & ~RWF_APPEND
    offset = None if pos_l == -1 else pos_l
    _check_rwf(t, file, vector, offset, checked, "preadv2")
    return await transfer.pinned(file, transfer.readv_user(t, file, vector, offset))


@syscall(
    "pwritev2",
    errors=f"{_WRITE_ERRORS} EAGAIN EINTR EOPNOTSUPP EPIPE ESPIPE",
    support=PARTIAL,
    notes="RWF_NOWAIT is EOPNOTSUPP: no file can tell beforehand",
)
async def pwritev2(
    t: Task,
    fd: Fd,
    iov: Annotated[In[Iovec], Shown("iov"), Count("iovcnt")],
    iovcnt: ULong,
    pos_l: Off,
    pos_h: HighOff,
    flags: RwFlags,
) -> int:
    """Write several buffers as one, with flags for this call (man 2 pwritev2)."""
    file = t.files.get(fd) if pos_l == -1 else _positioned(t, fd, pos_l, ANY)
    vector = await _vector(t, file, WRITE, iov, iovcnt)
    offset = None if pos_l == -1 else pos_l
    _check_rwf(t, file, vector, offset, flags, "pwritev2")
    append = getattr(file, "append", None) if flags & RWF_APPEND else None
    if append is not None:
        written: int = await append(t, await transfer.gather(t, vector), move=offset is None)
    else:
        written = await transfer.pinned(file, transfer.writev_user(t, file, vector, offset))
    if flags & (RWF_SYNC | RWF_DSYNC) and written and file.inode.kind == S_IFREG:
        await file.fsync(t, not flags & RWF_SYNC)
    return written


def _check_rwf(
    t: Task, file: File, vector: transfer.Vector, offset: int | None, flags: int, call: str
) -> None:
    """What a file cannot do; that of a directory is nothing. No flag matters when there is nothing to move."""
    total = sum(part[1] for part in vector)
    if not flags or not total:
        return
    if file.seekable and (file.pos if offset is None else offset) + total >= 1 << 63:
        raise SysError(EINVAL)
    if file.inode.kind == S_IFDIR and flags & ~RWF_HIPRI:
        raise SysError(EOPNOTSUPP)
    if flags & RWF_NOWAIT:
        t.server.unsupported(f"{call}: RWF_NOWAIT", t)
    if flags & ~_RWF or flags & RWF_NOWAIT:
        raise SysError(EOPNOTSUPP)


# -- position, size, storage ------------------------------------------------------------------------------


@syscall("lseek", errors="EBADF EINVAL EIO ENXIO ESPIPE")
async def lseek(t: Task, fd: Fd, offset: Off, whence: Whence) -> int:
    """Move the position of a file (man 2 lseek)."""
    file = t.files.get(fd)
    if whence > _SEEK_MAX:
        raise SysError(EINVAL)
    return await file.lseek(t, offset, whence)


@syscall("truncate", errors=f"{PATH_ERRORS} EFBIG EINVAL EISDIR EPERM EROFS ETXTBSY")
async def truncate(t: Task, path: UserPath, length: UOff) -> None:
    """Set the size of a file (man 2 truncate)."""
    from syscalls.vfs.attributes import truncate_path

    if length < 0:
        raise SysError(EINVAL)
    await truncate_path(t, await t.mem.path(path), length)


@syscall("ftruncate", errors="EBADF EFBIG EINVAL EIO EPERM EROFS")
async def ftruncate(t: Task, fd: Fd, length: UOff) -> None:
    """Set the size of an open file (man 2 ftruncate)."""
    if length < 0:
        raise SysError(EINVAL)
    file = t.files.get(fd)
    if file.inode.kind != S_IFREG or not file.access & WRITE:
        raise SysError(EINVAL)
    await file.truncate(t, length)


_FALLOC_MODES = (
    0,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_ZERO_RANGE,
    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_COLLAPSE_RANGE,
    FALLOC_FL_INSERT_RANGE,
    FALLOC_FL_UNSHARE_RANGE,
    FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE,
)
_NO_FALLOCATE = {S_IFIFO: ESPIPE, S_IFCHR: ENODEV}
"""What Linux looks at before the range."""


@syscall("fallocate", errors="EBADF EFBIG EINVAL EIO ENODEV ENOSPC EOPNOTSUPP EPERM ESPIPE")
async def fallocate(t: Task, fd: Fd, mode: FallocateMode, offset: Off, len: Off) -> None:
    """Reserve, zero or free a range of a file (man 2 fallocate)."""
    from syscalls.vfs.regular import size_allowed

    file = t.files.get(fd)
    if offset < 0 or len <= 0:
        raise SysError(EINVAL)
    if mode not in _FALLOC_MODES:
        raise SysError(EOPNOTSUPP)
    if not file.access & WRITE:
        raise SysError(EBADF)
    if file.inode.kind in _NO_FALLOCATE:
        raise SysError(_NO_FALLOCATE[file.inode.kind])
    if offset + len > MAX_OFFSET:
        raise SysError(EFBIG)
    if not mode & FALLOC_FL_KEEP_SIZE and offset + len > (await file.getattr(t)).size:
        size_allowed(t, offset + len, 0)
    await file.fallocate(t, mode, offset, len)


@syscall("fsync", errors="EBADF EINVAL EIO ENOSPC")
async def fsync(t: Task, fd: Fd) -> None:
    """Wait until a file is stored (man 2 fsync)."""
    await t.files.get(fd).fsync(t, False)


@syscall("fdatasync", errors="EBADF EINVAL EIO ENOSPC")
async def fdatasync(t: Task, fd: Fd) -> None:
    """Wait until the contents of a file are stored (man 2 fdatasync)."""
    await t.files.get(fd).fsync(t, True)


@syscall("sync")
async def sync(t: Task) -> None:
    """Bring every file system to its device (man 2 sync)."""
    for owner in {mount.fs: None for mount in t.server.namespace}:
        await owner.sync(t)


@syscall("syncfs", errors="EBADF")
async def syncfs(t: Task, fd: Fd) -> None:
    """Bring one file system to its device (man 2 syncfs)."""
    await t.files.get(fd).inode.fs.sync(t)


@syscall("sync_file_range", errors="EBADF EINVAL ESPIPE")
async def sync_file_range(t: Task, fd: Fd, offset: Off, nbytes: Off, flags: SyncRangeFlags) -> None:
    """Write part of a file back (man 2 sync_file_range): nothing here waits in memory."""
    file = t.files.get(fd)
    if flags & ~_SYNC_RANGE or offset < 0 or nbytes < 0 or offset + nbytes > MAX_OFFSET:
        raise SysError(EINVAL)
    if file.inode.kind not in (S_IFREG, S_IFBLK, S_IFDIR, S_IFLNK):
        raise SysError(ESPIPE)


@syscall("fadvise64", errors="EBADF EINVAL ESPIPE")
async def fadvise64(t: Task, fd: Fd, offset: Off, len: UOff, advice: FadviseAdvice) -> None:
    """Tell how a file will be used (man 2 posix_fadvise): checked, and of no effect."""
    file = t.files.get(fd)
    if file.inode.kind == S_IFIFO:
        raise SysError(ESPIPE)
    if len < 0 or not 0 <= advice <= POSIX_FADV_NOREUSE:
        raise SysError(EINVAL)


@syscall("readahead", errors="EBADF EINVAL")
async def readahead(t: Task, fd: Fd, offset: Off, count: Size) -> None:
    """Read part of a file into the page cache (man 2 readahead): checked, and of no effect."""
    file = t.files.get(fd, READ)
    if file.inode.kind not in (S_IFREG, S_IFBLK) or count >> 63:
        raise SysError(EINVAL)


# -- locks and copies of descriptors ----------------------------------------------------------------------


@syscall("flock", errors="EAGAIN EBADF EINTR EINVAL")
async def flock(t: Task, fd: Fd, operation: FlockOperation) -> None:
    """Lock or unlock a whole file (man 2 flock)."""
    from syscalls.objects.locks import FileLocks

    if operation & _LOCK_MAND:
        return
    kind = operation & ~LOCK_NB
    if kind not in (LOCK_SH, LOCK_EX, LOCK_UN):
        raise SysError(EINVAL)
    file = t.files.get(fd)
    if kind != LOCK_UN and not file.access & (READ | WRITE):
        raise SysError(EBADF)
    inode = file.inode
    if inode.locks is None:
        inode.locks = FileLocks()
    if kind == LOCK_UN:
        inode.locks.unflock(file)
        return
    wait = inode.locks.flock(t, file, kind == LOCK_EX, not operation & LOCK_NB)
    await transfer.pinned(file, wait)


@syscall("dup", errors="EBADF EMFILE")
async def dup(t: Task, oldfd: Fd) -> Fd:
    """A second descriptor for an open file (man 2 dup)."""
    file = t.files.get_any(oldfd)
    fd = t.files.alloc(file)
    file.refs += 1
    return fd


@syscall("dup2", errors="EBADF")
async def dup2(t: Task, oldfd: Fd, newfd: Fd) -> Fd:
    """Make a given number refer to an open file (man 2 dup2)."""
    if oldfd == newfd:
        t.files.get_any(oldfd)
        return newfd
    return await _dup3(t, oldfd, newfd, False)


@syscall("dup3", errors="EBADF EINVAL")
async def dup3(t: Task, oldfd: Fd, newfd: Fd, flags: FdFlags) -> Fd:
    """The same with O_CLOEXEC (man 2 dup3)."""
    if flags & ~O_CLOEXEC or oldfd == newfd:
        raise SysError(EINVAL)
    return await _dup3(t, oldfd, newfd, flags != 0)


async def _dup3(t: Task, oldfd: int, newfd: int, cloexec: bool) -> int:
    file = t.files.get_any(oldfd).get()
    try:
        await t.files.install(newfd, file, cloexec)
    except SysError:
        await file.put()
        raise
    return newfd
