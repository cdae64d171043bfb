"""Opened regular files of a file server: reading, writing, positions, sizes (man 2 read, man 2 lseek)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.messages import fs, fsx
from syscalls.abi.errno import EFBIG, EINVAL, ENOSPC, ENXIO, EOPNOTSUPP
from syscalls.abi.flags import (
    CAP_FSETID,
    CLOCK_REALTIME,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_ZERO_RANGE,
    MS_NOATIME,
    MS_RDONLY,
    O_APPEND,
    O_DSYNC,
    O_NOATIME,
    RLIMIT_FSIZE,
    S_ISGID,
    S_ISUID,
    S_IXGRP,
    SEEK_CUR,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SEEK_SET,
    SIGXFSZ,
)
from syscalls.errors import SysError
from syscalls.objects.file import WRITE, File
from syscalls.vfs.handle import handle_again
from syscalls.vfs.inode import ATIME, CTIME, MODE, SIZE
from syscalls.vfs.mutex import Mutex
from syscalls.vfs.seals import check_fallocate, check_resize, in_turn, sealed_write

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any

    from linuxemu.messages import Message
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode
    from syscalls.vfs.mount import Path
    from syscalls.vfs.rpcfs import RpcInode

MAX_OFFSET = (1 << 63) - 1
"""No file reaches beyond."""
_PAGE = 4096
_DAY_NS = 24 * 3600 * 1_000_000_000


def size_allowed(t: Task, offset: int, length: int) -> int:
    """How many of `length` bytes may be written at `offset`.

    At RLIMIT_FSIZE the caller gets SIGXFSZ and EFBIG (man 2 setrlimit).
    """
    limit = t.process.rlimits[RLIMIT_FSIZE][0]
    if offset + length > limit:
        if offset >= limit:
            from syscalls.objects.signal import send_signal, user_info

            # As if the process had sent it, as on Linux.
            send_signal(t, user_info(t, SIGXFSZ))
            raise SysError(EFBIG)
        length = limit - offset
    return length


async def drop_suid(t: Task, inode: Inode) -> None:
    """Contents changed by somebody without CAP_FSETID: the file is set-user-ID no longer (man 2 write)."""
    mode = inode.attr.mode
    dropped = mode & S_ISUID
    if mode & S_ISGID and mode & S_IXGRP:
        dropped |= S_ISGID
    if dropped and not t.creds.capable(CAP_FSETID):
        await inode.setattr(t, MODE, mode=mode & 0o7777 & ~dropped)


async def touch(t: Task, inode: Inode, path: Path | None) -> None:
    """Something was read: set the access time if it is not later than the last change, or is a day old.

    As on Linux, reading does not fail because this does.
    """
    if path is not None and path.mount.flags & (MS_NOATIME | MS_RDONLY):
        return
    try:
        await _set_access_time(t, inode)
    except (SysError, RpcError):
        pass


async def _set_access_time(t: Task, inode: Inode) -> None:
    attr = await inode.getattr(t)
    server = t.server
    now = await server.clock_ns(CLOCK_REALTIME)
    booted = now - (server.port.now_ns() - server.boot_ns)
    if attr.ctime_ns < booted and inode.fs.kind == "overlay":
        # Unchanged since then, so it is the lower layer's, which reading leaves alone.
        return
    if attr.atime_ns <= max(attr.mtime_ns, attr.ctime_ns) or now - attr.atime_ns >= _DAY_NS:
        await inode.setattr(t, ATIME | CTIME, atime_ns=now, ctime_ns=attr.ctime_ns)


class RegularFile(File):
    """An opened regular file.

    Every read and write is a message to the server: another program, or the host, may change the file at any
    time. Pages that tasks have mapped are brought in line first (`inode.pages`).

    Args:
        handle: the server's handle.
    """

    __slots__ = ("_chunk", "_port", "_server", "_untouched", "_writer", "can_direct", "handle", "lock")

    seekable = True
    can_epoll = False
    can_stream_large = True

    inode: RpcInode

    def __init__(self, inode: RpcInode, flags: int, path: Path | None, handle: int) -> None:
        super().__init__(inode, flags, path)
        self.handle = handle
        self.can_direct = True
        self.lock = Mutex()
        owner = inode.fs
        self._port = owner.port
        self._server = owner.task
        self._chunk = owner.chunk
        self._untouched = owner.relatime and not flags & O_NOATIME
        self._writer = int(self.access & WRITE != 0)
        inode.writers += self._writer

    def forget_open(self) -> None:
        """Be like what memfd_create makes: it may be executed while it can be written, and is never O_DIRECT."""
        self.can_direct = False
        self.inode.writers -= self._writer
        self._writer = 0

    async def release(self) -> None:
        """Close the handle."""
        self.inode.writers -= self._writer
        await self.inode.fs.close_handle(self.handle)

    # -- reading ----------------------------------------------------------------------------------------

    async def read(self, t: Task, count: int) -> bytes:
        """Read at the position; one reader at a time, so that each byte is read once."""
        lock = self.lock
        if lock.held:
            await lock.wait(t)
        else:
            lock.held = True
        try:
            data = await self.pread(t, count, self.pos)
            self.pos += len(data)
            return data
        finally:
            lock.release()

    async def accessed(self, t: Task) -> None:
        """It was read or mapped: the first time counts for the access time, once per open file."""
        if self._untouched:
            self._untouched = False
            await touch(t, self.inode, self.path)

    async def pread(self, t: Task, count: int, offset: int) -> bytes:
        """Read at an offset, less only at the end of the file."""
        if offset + count > MAX_OFFSET:
            raise SysError(EINVAL)
        if self.inode.pages is not None:
            from syscalls.vfs.pagecache import write_back

            await write_back(self.inode)
        if self._untouched:
            await self.accessed(t)
        if count > self._chunk:
            return await self._pread_large(count, offset)
        message = fs.Read(self.handle, offset, count)
        try:
            data: bytes = (await self._port.call(self._server, message)).data
        except RpcError as error:
            data = (await handle_again(self, message, error)).data
        return data

    async def ask(self, message: Message) -> Any:
        """Make a request with the handle.

        Raises:
            SysError: the server's error for the guest.
        """
        try:
            return await self._port.call(self._server, message)
        except RpcError as error:
            return await handle_again(self, message, error)

    async def _pread_large(self, count: int, offset: int) -> bytes:
        parts: list[bytes] = []
        try:
            while count > 0:
                some = min(count, self._chunk)
                data = (await self.ask(fs.Read(self.handle, offset, some))).data
                parts.append(data)
                offset += len(data)
                count -= len(data)
                if len(data) < some:
                    break
        except SysError:
            if not parts:
                raise
        return b"".join(parts)

    async def unread(self, data: bytes) -> None:
        """Go back over what could not be delivered."""
        self.pos -= len(data)

    # -- writing ----------------------------------------------------------------------------------------

    async def write(self, t: Task, data: bytes) -> int:
        """Write at the position, or at the end with O_APPEND."""
        lock = self.lock
        if lock.held:
            await lock.wait(t)
        else:
            lock.held = True
        try:
            if self.flags & O_APPEND and data:
                if self.pos + len(data) > MAX_OFFSET:  # although it is not written there
                    raise SysError(EINVAL)
                return await self.append(t, data)
            written = await self._write_in_turn(t, data, self.pos)
            self.pos += written
            return written
        finally:
            lock.release()

    async def pwrite(self, t: Task, data: bytes, offset: int) -> int:
        """Write at an offset; with O_APPEND Linux appends all the same (man 2 pwrite, BUGS)."""
        if self.flags & O_APPEND:
            return await self.append(t, data, move=False)
        return await self._write_in_turn(t, data, offset)

    def _write_in_turn(self, t: Task, data: bytes, offset: int) -> Awaitable[int]:
        if self.inode.seals is None:
            return self._write_at(t, data, offset)
        return in_turn(t, self.inode, lambda: self._write_at(t, data, offset))

    async def append(self, t: Task, data: bytes, *, move: bool = True) -> int:
        """Write at the end: nobody else appends between finding it and writing there."""
        inode = self.inode
        await inode.mutex.acquire(t)
        try:
            end = (await inode.getattr(t)).size
            written = await self._write_at(t, data, end)
            if move:
                self.pos = end + written
            return written
        finally:
            inode.mutex.release()

    async def _write_at(self, t: Task, data: bytes, offset: int) -> int:
        if not data:
            return 0
        inode = self.inode
        end = offset + len(data)
        if end > MAX_OFFSET:
            raise SysError(EINVAL)
        if end > t.process.rlimits[RLIMIT_FSIZE][0]:
            data = data[: size_allowed(t, offset, len(data))]
        if inode.seals:
            data = await sealed_write(t, inode, offset, data)
        if inode.attr.mode & (S_ISUID | S_ISGID):
            await drop_suid(t, inode)
        if len(data) > self._chunk:
            written = await self._write_large(data, offset)
        else:
            message = fs.Write(self.handle, offset, data)
            try:
                await self._port.call(self._server, message)
                written = len(data)
            except RpcError as error:
                written = await self._write_again(message, error)
        if inode.pages is not None:
            from syscalls.vfs.pagecache import update

            update(inode, offset, data[:written])
        if self.flags & O_DSYNC:
            await self.fsync(t, True)
        return written

    async def _write_large(self, data: bytes, offset: int) -> int:
        done = 0
        view = memoryview(data)
        while done < len(data):
            some = bytes(view[done : done + self._chunk])
            try:
                await self.ask(fs.Write(self.handle, offset + done, some))
            except SysError as error:
                try:
                    return done + await self._write_rest(some, offset + done, error)
                except SysError:
                    if done:
                        return done
                    raise
            done += len(some)
        return done

    async def _write_again(self, message: fs.Write, error: RpcError) -> int:
        try:
            await handle_again(self, message, error)
        except SysError as failure:
            return await self._write_rest(message.data, message.offset, failure)
        return len(message.data)

    async def _write_rest(self, data: bytes, offset: int, failure: SysError) -> int:
        """The server took nothing of `data`: on a full device write what still fits, page by page."""
        if failure.errno != ENOSPC:
            raise failure
        done = 0
        while done < len(data):
            some = data[done : done + _PAGE - (offset + done) % _PAGE]
            try:
                await self.ask(fs.Write(self.handle, offset + done, some))
            except SysError:
                break
            done += len(some)
        if not done:
            raise failure
        return done

    # -- position, size, storage ------------------------------------------------------------------------

    async def lseek(self, t: Task, offset: int, whence: int) -> int:
        """Move the position. No holes are known: all up to the end is data (man 2 lseek)."""
        lock = self.lock
        if lock.held:
            await lock.wait(t)
        else:
            lock.held = True
        try:
            if whence == SEEK_CUR:
                offset += self.pos
            elif whence != SEEK_SET:
                offset = await self._from_end(t, offset, whence)
            if not 0 <= offset <= MAX_OFFSET:
                raise SysError(EINVAL)
            self.pos = offset
            return offset
        finally:
            lock.release()

    async def _from_end(self, t: Task, offset: int, whence: int) -> int:
        if whence not in (SEEK_END, SEEK_DATA, SEEK_HOLE):
            raise SysError(EINVAL)
        size = (await self.inode.getattr(t)).size
        if whence == SEEK_END:
            return size + offset
        if not 0 <= offset < size:
            raise SysError(ENXIO)
        return offset if whence == SEEK_DATA else size

    async def truncate(self, t: Task, size: int) -> None:
        """Set the size; the file must be open for writing."""
        if not self.access & WRITE:
            raise SysError(EINVAL)
        await truncate(t, self.inode, size)

    async def fallocate(self, t: Task, mode: int, offset: int, length: int) -> None:
        """Ask the server; flags and range were checked."""
        if self.inode.seals is None:
            await self._fallocate(t, mode, offset, length)
        else:
            await in_turn(t, self.inode, lambda: self._fallocate(t, mode, offset, length))

    async def _fallocate(self, t: Task, mode: int, offset: int, length: int) -> None:
        if self.inode.seals:
            await check_fallocate(t, self.inode, mode, offset + length)
        if self.inode.attr.mode & (S_ISUID | S_ISGID):
            await drop_suid(t, self.inode)
        await self.ask(fsx.Fallocate(self.handle, mode, offset, length))
        if self.inode.pages is not None:
            await _show_allocated(t, self.inode, mode, offset, length)

    async def fsync(self, t: Task, datasync: bool) -> None:
        """Write mapped pages back and ask the server to store everything."""
        if self.inode.pages is not None:
            from syscalls.vfs.pagecache import write_back

            await write_back(self.inode, report=True)
        try:
            await self.ask(fsx.Fsync(self.handle, datasync))
        except SysError as error:
            # A server of the seed's messages stores as it writes.
            if error.errno != EOPNOTSUPP:
                raise


async def _show_allocated(t: Task, inode: Inode, mode: int, offset: int, length: int) -> None:
    """Bring mapped pages in line with a fallocate: holes read as zeros, the file may have grown."""
    from syscalls.vfs.pagecache import update

    size = (await inode.getattr(t)).size
    update(inode, size, b"")
    if mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE):
        end = min(offset + length, size)
        for index in sorted(inode.pages.frames):
            start = max(index * _PAGE, offset)
            stop = min((index + 1) * _PAGE, end)
            if start < stop:
                update(inode, start, bytes(stop - start))


async def truncate(t: Task, inode: Inode, size: int) -> None:
    """Set the size of a regular file after all checks, RLIMIT_FSIZE excepted (man 2 truncate)."""
    if inode.seals is None:
        await _truncate(t, inode, size)
    else:
        await in_turn(t, inode, lambda: _truncate(t, inode, size))


async def _truncate(t: Task, inode: Inode, size: int) -> None:
    if size > t.process.rlimits[RLIMIT_FSIZE][0]:
        attr = await inode.getattr(t)
        if size > attr.size:
            size_allowed(t, size, 1)
    if inode.attr.mode & (S_ISUID | S_ISGID):
        await drop_suid(t, inode)
    if inode.seals:
        await check_resize(t, inode, size)
    await inode.setattr(t, SIZE, size=size)
