"""Copies that stay in the kernel: sendfile, copy_file_range, splice, tee, vmsplice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import EBADF, EINVAL, EOVERFLOW, ESPIPE, EXDEV
from syscalls.abi.flags import (
    O_APPEND,
    O_NONBLOCK,
    SEEK_CUR,
    SEEK_SET,
    SPLICE_F_GIFT,
    SPLICE_F_MORE,
    SPLICE_F_MOVE,
    SPLICE_F_NONBLOCK,
)
from syscalls.abi.structs import Iovec
from syscalls.errors import SysError
from syscalls.objects.file import MAX_RW, READ, WRITE, File
from syscalls.registry import syscall
from syscalls.types import Count, Fd, In, InOut, Shown, Size, SpliceFlags, UInt, ULong
from syscalls.vfs import transfer

if TYPE_CHECKING:
    from syscalls.objects.pipe import PipeEnd
    from syscalls.objects.task import Task

_SPLICE = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT
_U64 = (1 << 64) - 1


@syscall("sendfile", errors="EAGAIN EBADF EFAULT EFBIG EINTR EINVAL EIO ENOSPC EPERM EPIPE ESPIPE")
async def sendfile(
    t: Task, out_fd: Fd, in_fd: Fd, offset: Annotated[InOut[int], Shown("offset_changed")], count: Size
) -> int:
    """Copy from a file to any other (man 2 sendfile)."""
    at = None
    if offset:
        at = await t.mem.s64(offset)
    source = t.files.get(in_fd, READ)
    if at is not None and not source.seekable:
        raise SysError(ESPIPE)
    if at is not None and at < 0:
        raise SysError(EINVAL)
    out = t.files.get(out_fd)
    if not out.access & WRITE:
        raise SysError(EBADF)
    if _pipe_end(out) is None:
        # An eventfd and its like have a position in name, which is enough for nothing to be copied.
        positioned = source.seekable or not (count or source.can_splice)
        if not positioned or out.flags & O_APPEND:
            raise SysError(EINVAL)
    done = await transfer.send_file(t, out, source, at, min(count, MAX_RW))
    if at is not None:
        await t.mem.put_u64(offset, at + done)
    return done


@syscall("copy_file_range", errors="EBADF EFAULT EFBIG EINVAL EIO EISDIR ENOSPC EOVERFLOW EPERM EXDEV")
async def copy_file_range(
    t: Task,
    fd_in: Fd,
    off_in: Annotated[InOut[int], Shown("offset_at")],
    fd_out: Fd,
    off_out: Annotated[InOut[int], Shown("offset_at")],
    len: Size,
    flags: UInt,
) -> int:
    """Copy between two regular files (man 2 copy_file_range)."""
    source, out = t.files.get(fd_in), t.files.get(fd_out)
    start_in = await t.mem.s64(off_in) if off_in else None
    start_out = await t.mem.s64(off_out) if off_out else None
    if flags:
        raise SysError(EINVAL)
    transfer.check_files(source, out)
    if source.inode.fs is not out.inode.fs:
        raise SysError(EXDEV)
    at = start_in if start_in is not None else await source.lseek(t, 0, SEEK_CUR)
    to = start_out if start_out is not None else await out.lseek(t, 0, SEEK_CUR)
    length = await _check_ranges(t, source, at, out, to, len)
    if not length:
        return 0
    done = await transfer.copy_range(t, source, at, out, to, min(length, MAX_RW))
    if off_in:
        await t.mem.put_u64(off_in, at + done)
    else:
        await source.lseek(t, at + done, SEEK_SET)
    if off_out:
        await t.mem.put_u64(off_out, to + done)
    else:
        await out.lseek(t, to + done, SEEK_SET)
    return done


async def _check_ranges(t: Task, source: File, at: int, out: File, to: int, length: int) -> int:
    """What copy_file_range wants of its two ranges; returns how much there is to copy."""
    if (at & _U64) + length > _U64 or (to & _U64) + length > _U64:
        raise SysError(EOVERFLOW)
    if at < 0 or to < 0:
        raise SysError(EINVAL)
    length = max(min(length, (await source.getattr(t)).size - at), 0)
    if source.inode is out.inode and at < to + length and to < at + length:
        raise SysError(EINVAL)
    return length


@syscall("splice", errors="EAGAIN EBADF EFAULT EFBIG EINTR EINVAL EIO ENOSPC EPERM EPIPE ESPIPE")
async def splice(
    t: Task,
    fd_in: Fd,
    off_in: Annotated[InOut[int], Shown("offset_at")],
    fd_out: Fd,
    off_out: Annotated[InOut[int], Shown("offset_at")],
    len: Size,
    flags: SpliceFlags,
) -> int:
    """Move bytes between a pipe and another file (man 2 splice)."""
    if not len:
        return 0
    if flags & ~_SPLICE:
        raise SysError(EINVAL)
    source, out = t.files.get(fd_in), t.files.get(fd_out)
    pipe_in, pipe_out = _pipe_end(source), _pipe_end(out)
    if (pipe_in is not None and off_in) or (pipe_out is not None and off_out):
        raise SysError(ESPIPE)
    start_in = await t.mem.s64(off_in) if off_in else None
    start_out = await t.mem.s64(off_out) if off_out else None
    if not source.access & READ or not out.access & WRITE:
        raise SysError(EBADF)
    nonblock = _nonblock(flags, pipe_in, pipe_out)
    count = min(len, MAX_RW)
    _check_splice(source, out, pipe_in, pipe_out, start_in, start_out)
    if pipe_out is not None:
        done = await transfer.splice_to_pipe(t, source, start_in, pipe_out, count, nonblock)
    else:
        assert pipe_in is not None
        done = await transfer.splice_from_pipe(t, pipe_in, out, start_out, count, nonblock)
    if start_in is not None:
        await t.mem.put_u64(off_in, start_in + done)
    if start_out is not None:
        await t.mem.put_u64(off_out, start_out + done)
    return done


def _check_splice(
    source: File,
    out: File,
    pipe_in: PipeEnd | None,
    pipe_out: PipeEnd | None,
    start_in: int | None,
    start_out: int | None,
) -> None:
    if pipe_in is None and pipe_out is None:
        raise SysError(EINVAL)
    if pipe_in is not None and pipe_out is not None and pipe_in.pipe is pipe_out.pipe:
        raise SysError(EINVAL)
    if (start_in is not None and not source.seekable) or (start_out is not None and not out.seekable):
        raise SysError(EINVAL)
    if pipe_out is None and out.flags & O_APPEND:
        raise SysError(EINVAL)
    if (start_in is not None and start_in < 0) or (start_out is not None and start_out < 0):
        raise SysError(EINVAL)
    if pipe_out is None and not out.can_splice:
        raise SysError(EINVAL)


def _pipe_end(file: File) -> PipeEnd | None:
    from syscalls.objects.pipe import PipeEnd

    return file if isinstance(file, PipeEnd) else None


def _nonblock(flags: int, *ends: PipeEnd | None) -> bool:
    """Whether the pipes of a splice or tee are not to be waited for."""
    return flags & SPLICE_F_NONBLOCK != 0 or any(end.flags & O_NONBLOCK for end in ends if end is not None)


@syscall("tee", errors="EAGAIN EBADF EINTR EINVAL EPIPE")
async def tee(t: Task, fd_in: Fd, fd_out: Fd, len: Size, flags: SpliceFlags) -> int:
    """Copy bytes from one pipe to another and leave them in the first (man 2 tee)."""
    if flags & ~_SPLICE:
        raise SysError(EINVAL)
    if not len:
        return 0
    source, out = t.files.get(fd_in), t.files.get(fd_out)
    if not source.access & READ or not out.access & WRITE:
        raise SysError(EBADF)
    pipe_in, pipe_out = _pipe_end(source), _pipe_end(out)
    if pipe_in is None or pipe_out is None or pipe_in.pipe is pipe_out.pipe:
        raise SysError(EINVAL)
    count = min(len, MAX_RW)
    return await transfer.duplicate(t, pipe_in, pipe_out, count, _nonblock(flags, pipe_in, pipe_out))


@syscall("vmsplice", errors="EAGAIN EBADF EFAULT EINTR EINVAL EPIPE")
async def vmsplice(
    t: Task,
    fd: Fd,
    iov: Annotated[In[Iovec], Shown("iov"), Count("nr_segs")],
    nr_segs: ULong,
    flags: SpliceFlags,
) -> int:
    """Move memory into a pipe or out of it (man 2 vmsplice): copied, so later changes do not show."""
    if flags & ~_SPLICE:
        raise SysError(EINVAL)
    file = t.files.get(fd, READ | WRITE)
    vector = await t.mem.iovec(iov, nr_segs)
    if not sum(length for _, length in vector):
        return 0
    pipe = _pipe_end(file)
    if pipe is None:
        raise SysError(EBADF)
    nonblock = flags & SPLICE_F_NONBLOCK != 0
    if pipe.writable:
        return await transfer.pages_to_pipe(t, pipe, vector, nonblock)
    await transfer.wait_for_data(t, pipe, nonblock)
    return await transfer.readv_user(t, file, vector, None)
