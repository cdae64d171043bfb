"""Moving bytes between files and user memory: vectors, large counts, partial results (man 2 readv, splice).

A call that moved something never fails: what came in the way shows at the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import USER_END
from syscalls.abi.errno import EAGAIN, EBADF, EFAULT, EINVAL, EISDIR
from syscalls.abi.flags import O_APPEND, O_NONBLOCK, S_IFDIR, S_IFIFO, S_IFREG
from syscalls.errors import Interrupted, Restart, SysError
from syscalls.objects.file import MAX_RW, READ, WRITE

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import TypeVar

    from syscalls.objects.file import File
    from syscalls.objects.pipe import PipeEnd
    from syscalls.objects.task import Task

    T = TypeVar("T")

STEP = 1 << 20
"""Most bytes that are held at once, where a transfer can be cut."""
_SPLICE_STEP = 64 * 1024
_TURN = 16 * STEP
"""After so many bytes of one call others have their turn."""

Vector = list[tuple[int, int]]
"""Address and length of each buffer."""


def check_files(source: File, out: File) -> None:
    """What copies between two files want of them (man 2 copy_file_range, man 2 ioctl_ficlone)."""
    kinds = source.inode.kind, out.inode.kind
    if S_IFDIR in kinds:
        raise SysError(EISDIR)
    if kinds != (S_IFREG, S_IFREG):
        raise SysError(EINVAL)
    if not source.access & READ or not out.access & WRITE or out.flags & O_APPEND:
        raise SysError(EBADF)


async def pinned(file: File, operation: Awaitable[T]) -> T:
    """Run an operation on a file that another task may close meanwhile (a shared descriptor table)."""
    file.refs += 1
    try:
        return await operation
    finally:
        await file.put()


def check_buffer(address: int, count: int) -> None:
    """EFAULT for a buffer that does not lie in user space, whatever is mapped there."""
    if address + count > USER_END:
        raise SysError(EFAULT)


async def _others(t: Task, before: int, done: int) -> None:
    """Let others run now and then during a large transfer.

    Args:
        t: the caller.
        before: bytes that were moved before the last step.
        done: and with it.

    Raises:
        Interrupted: the caller was killed meanwhile.
    """
    if before // _TURN != done // _TURN:
        await t.yield_()
        if t.fatal_signal_pending():
            raise Interrupted(Restart.NEVER)


async def _get(t: Task, file: File, count: int, offset: int | None) -> bytes:
    return await (file.read(t, count) if offset is None else file.pread(t, count, offset))


async def _put(t: Task, file: File, data: bytes, offset: int | None) -> int:
    return await (file.write(t, data) if offset is None else file.pwrite(t, data, offset))


async def deliver(t: Task, file: File, address: int, data: bytes, offset: int | None) -> int:
    """Copy what was read to the caller; what it cannot take stays unread. EFAULT if it takes nothing."""
    try:
        written = await t.mem.write_some(address, data)
    except SysError:
        written = 0
    if written < len(data):
        if file.reads_whole or file.inode.kind == S_IFIFO:
            # A pipe gives a piece as a whole or not at all.
            written = 0
        if offset is None:
            await file.unread(data[written:])
        if not written:
            raise SysError(EFAULT)
    return written


def usable(file: File, data: bytes) -> bytes:
    """What is written of a buffer that could only be read in part.

    Pipes take whole pages; what splice does not know takes all or nothing.

    Raises:
        SysError: EFAULT when that is nothing.
    """
    if file.inode.kind == S_IFIFO:
        data = data[: len(data) & -4096]
    if not data or not file.can_splice:
        raise SysError(EFAULT)
    return data


async def read_user(t: Task, file: File, address: int, count: int, offset: int | None) -> int:
    """read and pread of any size.

    Args:
        t: the caller.
        file: open for reading.
        address: the buffer.
        count: bytes wanted.
        offset: where in the file; None: at its position.
    """
    count = min(count, MAX_RW)
    step = STEP if file.can_stream_large else count
    done = 0
    try:
        while True:
            some = min(count - done, step)
            data = await _get(t, file, some, None if offset is None else offset + done)
            if not data:
                break
            written = await deliver(t, file, address + done, data, offset)
            done += written
            if done == count or written < some:
                break
            await _others(t, done - written, done)
    except (SysError, Interrupted):
        if not done:
            raise
    return done


async def write_user(t: Task, file: File, address: int, count: int, offset: int | None) -> int:
    """write and pwrite of any size.

    Args:
        t: the caller.
        file: open for writing.
        address: the buffer.
        count: bytes to write.
        offset: where in the file; None: at its position.
    """
    count = min(count, MAX_RW)
    file.check_write(t, count)
    if offset is not None and offset + count >= 1 << 63:
        raise SysError(EINVAL)
    done = 0
    try:
        while True:
            some = min(count - done, STEP)
            data = await t.mem.read_some(address + done, some)
            if len(data) < some:
                data = usable(file, data)
            written = await _put(t, file, data, None if offset is None else offset + done)
            done += written
            if done == count or written < some:
                break
            await _others(t, done - written, done)
    except (SysError, Interrupted):
        if not done:
            raise
    return done


async def readv_user(t: Task, file: File, vector: Vector, offset: int | None) -> int:
    """Read into several buffers, filling each before the next."""
    total = sum(length for _, length in vector)
    if not total:
        return 0
    if total > STEP and file.can_stream_large:
        return await _each(t, file, vector, offset, read_user)
    data = await _get(t, file, total, offset)
    done = 0
    for address, length in vector:
        part = data[done : done + length]
        if not part:
            continue
        try:
            written = await t.mem.write_some(address, part)
        except SysError:
            break
        done += written
        if written < len(part):
            break
    if done < len(data):
        if offset is None:
            await file.unread(data[done:])
        if not done:
            raise SysError(EFAULT)
    return done


async def writev_user(t: Task, file: File, vector: Vector, offset: int | None) -> int:
    """Write several buffers as one."""
    total = sum(length for _, length in vector)
    if file.writes_segments or total > STEP:
        return await _each(t, file, vector, offset, write_user)
    file.check_write(t, total)
    if offset is not None and offset + total >= 1 << 63:
        raise SysError(EINVAL)
    data = await gather(t, vector)
    if len(data) < total:
        data = usable(file, data)
    return await _put(t, file, data, offset)


async def _each(t: Task, file: File, vector: Vector, offset: int | None, move: Move) -> int:
    done = 0
    for address, length in vector:
        if not length:
            continue
        try:
            moved = await move(t, file, address, length, None if offset is None else offset + done)
        except (SysError, Interrupted):
            if done:
                break
            raise
        done += moved
        if moved < length:
            break
    return done


async def gather(t: Task, vector: Vector, most: int = MAX_RW) -> bytes:
    """The bytes of several buffers up to the first that cannot be read; EFAULT if that is the very first.

    Args:
        t: the caller.
        vector: the buffers.
        most: bytes that are wanted.
    """
    parts: list[bytes] = []
    for address, whole in vector:
        length = min(whole, most)
        most -= length
        try:
            data = await t.mem.read_some(address, length)
        except SysError:
            if not any(parts):
                raise
            break
        parts.append(data)
        if len(data) < length:
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


# -- from file to file ------------------------------------------------------------------------------------


async def send_file(t: Task, out: File, source: File, offset: int | None, count: int) -> int:
    """Copy from a file to any other (man 2 sendfile); into a pipe no more than fits at once.

    Args:
        t: the caller.
        out: open for writing.
        source: open for reading, with positions.
        offset: where to read; None: at the source's position, which moves.
        count: most bytes to copy.
    """
    from syscalls.objects.pipe import PipeEnd

    if isinstance(out, PipeEnd):
        await wait_for_room(t, out, out.flags & O_NONBLOCK != 0)
        if not count:
            return 0
        if isinstance(source, PipeEnd):
            raise SysError(EINVAL)
        return await splice_to_pipe(t, source, offset, out, count, out.flags & O_NONBLOCK != 0)
    done = 0
    try:
        while done < count:
            some = min(count - done, _SPLICE_STEP)
            data = await _get_from(t, source, some, None if offset is None else offset + done)
            if not data:
                break
            written = 0
            try:
                written = await _put_to(t, out, data, None)
            finally:
                if written < len(data) and offset is None:
                    await source.unread(data[written:])
            done += written
            if written < len(data):
                break
            await _others(t, done - written, done)
    except (SysError, Interrupted):
        if not done:
            raise
    return done


async def copy_range(t: Task, source: File, at: int, out: File, to: int, count: int) -> int:
    """Copy between two places of regular files (man 2 copy_file_range)."""
    done = 0
    try:
        while done < count:
            data = await source.pread(t, min(count - done, STEP), at + done)
            if not data:
                break
            written = await out.pwrite(t, data, to + done)
            done += written
            if written < len(data):
                break
            await _others(t, done - written, done)
    except (SysError, Interrupted):
        if not done:
            raise
    return done


async def wait_for_room(t: Task, pipe_end: PipeEnd, nonblock: bool) -> int:
    """Wait until a pipe has a free slot; returns the bytes that fit.

    Raises:
        SysError: EPIPE, with SIGPIPE, without readers; EAGAIN when full and not to wait.
    """
    pipe = pipe_end.pipe
    if pipe.full and pipe.readers:
        if nonblock:
            raise SysError(EAGAIN)
        await t.wait([pipe.write_queue], lambda: not pipe.full or not pipe.readers or None)
    if not pipe.readers:
        raise pipe_end.broken(t)
    return (pipe.slots - pipe.used_slots()) * 4096


async def wait_for_data(t: Task, pipe_end: PipeEnd, nonblock: bool) -> None:
    """Wait until a pipe has something to read, or no writer that could bring it.

    Raises:
        SysError: EAGAIN when empty and not to wait.
    """
    pipe = pipe_end.pipe
    if not pipe.size and pipe.writers:
        if nonblock:
            raise SysError(EAGAIN)
        await t.wait([pipe.read_queue], lambda: pipe.size > 0 or not pipe.writers or None)


async def _take_for(t: Task, source: PipeEnd, out: PipeEnd, count: int, nonblock: bool) -> bytes:
    """Bytes of one pipe for which another one has room; empty at the end."""
    while True:
        await wait_for_data(t, source, nonblock)
        room = await wait_for_room(t, out, nonblock)
        data = source.pipe.take(min(count, room, STEP))
        if data or not source.pipe.writers:
            return data


async def splice_to_pipe(
    t: Task, source: File, offset: int | None, out: PipeEnd, count: int, nonblock: bool
) -> int:
    """Move bytes from a file, or another pipe, into a pipe (man 2 splice)."""
    from syscalls.objects.pipe import PipeEnd

    if isinstance(source, PipeEnd):
        data = await _take_for(t, source, out, count, nonblock)
    else:
        room = await wait_for_room(t, out, nonblock)
        data = await _get_from(t, source, min(count, room, STEP), offset)
    if not data:
        return 0
    try:
        written = await out.write(t, data)
    except (SysError, Interrupted):
        if offset is None:
            await source.unread(data)
        raise
    if written < len(data) and offset is None:
        await source.unread(data[written:])
    return written


async def pages_to_pipe(t: Task, out: PipeEnd, vector: Vector, nonblock: bool) -> int:
    """Put memory into a pipe: what lies in one page takes a slot of its own (man 2 vmsplice)."""
    free = await wait_for_room(t, out, nonblock) >> 12
    done = 0
    for address, length in vector:
        end = address + length
        while address < end and free:
            stop = min(end, (address | 4095) + 1)
            try:
                out.pipe.put_page(await t.mem.read(address, stop - address))
            except SysError:
                if not done:
                    raise
                return done
            done += stop - address
            address = stop
            free -= 1
    return done


async def splice_from_pipe(
    t: Task, source: PipeEnd, out: File, offset: int | None, count: int, nonblock: bool
) -> int:
    """Move bytes from a pipe into a file (man 2 splice)."""
    await wait_for_data(t, source, nonblock)
    data = source.pipe.take(min(count, _SPLICE_STEP))
    if not data:
        return 0
    try:
        written = await _put_to(t, out, data, offset)
    except (SysError, Interrupted):
        await source.unread(data)
        raise
    if written < len(data):
        await source.unread(data[written:])
    return written


async def duplicate(t: Task, source: PipeEnd, out: PipeEnd, count: int, nonblock: bool) -> int:
    """Copy bytes from one pipe to another and leave them in the first (man 2 tee)."""
    data = await _take_for(t, source, out, count, nonblock)
    if not data:
        return 0
    await source.unread(data)
    return await out.write(t, data)


async def _get_from(t: Task, source: File, count: int, offset: int | None) -> bytes:
    if not source.can_splice:
        raise SysError(EINVAL)
    return await _get(t, source, count, offset)


async def _put_to(t: Task, out: File, data: bytes, offset: int | None) -> int:
    if not out.can_splice:
        raise SysError(EINVAL)
    return await _put(t, out, data, offset)


if TYPE_CHECKING:
    from typing import Protocol

    class Move(Protocol):
        """`read_user` or `write_user`."""

        async def __call__(self, t: Task, file: File, address: int, count: int, offset: int | None) -> int:
            """Move bytes between the file and one buffer."""
