"""fcntl: descriptor and status flags, record locks, pipe sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EBADF, EINVAL, EOVERFLOW, EPERM, ESRCH
from syscalls.abi.flags import (
    F_ADD_SEALS,
    F_DUPFD,
    F_DUPFD_CLOEXEC,
    F_DUPFD_QUERY,
    F_GET_RW_HINT,
    F_GET_SEALS,
    F_GETFD,
    F_GETFL,
    F_GETLEASE,
    F_GETLK,
    F_GETOWN,
    F_GETOWN_EX,
    F_GETPIPE_SZ,
    F_GETSIG,
    F_NOTIFY,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_OWNER_PGRP,
    F_OWNER_PID,
    F_OWNER_TID,
    F_RDLCK,
    F_SET_RW_HINT,
    F_SETFD,
    F_SETFL,
    F_SETLEASE,
    F_SETLK,
    F_SETLKW,
    F_SETOWN,
    F_SETOWN_EX,
    F_SETPIPE_SZ,
    F_SETSIG,
    F_UNLCK,
    F_WRLCK,
    FD_CLOEXEC,
    O_APPEND,
    O_ASYNC,
    O_DIRECT,
    O_NOATIME,
    O_NONBLOCK,
    RLIMIT_NOFILE,
    SEEK_CUR,
    SEEK_END,
    SEEK_SET,
)
from syscalls.abi.structs import Flock, FOwnerEx
from syscalls.errors import SysError
from syscalls.objects.locks import LOCK_MAX, FileLocks, RecordLock
from syscalls.objects.pipe import PipeEnd
from syscalls.objects.polling import set_async
from syscalls.registry import PARTIAL, syscall
from syscalls.types import FcntlArg, FcntlOp, FcntlResult, Fd, s32
from syscalls.vfs.seals import add_seals, get_seals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.objects.file import File
    from syscalls.objects.task import Task

_SETTABLE = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME
_NSIG = 64
_RW_HINT_MAX = 5
_LAST_INT = 0x7FFF_FFFF


_ERRORS = "EAGAIN EBADF EBUSY EDEADLK EFAULT EINTR EINVAL EIO EMFILE ENOMEM EOVERFLOW EPERM ESRCH"


@syscall("fcntl", errors=_ERRORS, support=PARTIAL, notes="no leases or directory notification")
async def fcntl(t: Task, fd: Fd, op: FcntlOp, arg: FcntlArg) -> FcntlResult:
    """Work on an open file or its descriptor (man 2 fcntl)."""
    file = t.files.get_any(fd)
    command = _ON_DESCRIPTOR.get(op)
    if command is not None:
        return await command(t, fd, file, arg)
    if not file.access:
        raise SysError(EBADF)
    command = _ON_FILE.get(op)
    if command is not None:
        return await command(t, fd, file, arg)
    if op in _LOCK_COMMANDS:
        return await _record_lock(t, fd, file, op, arg)
    if op in _UNSUPPORTED:
        t.server.unsupported(f"fcntl: {_UNSUPPORTED[op]}", t)
    raise SysError(EINVAL)


async def _dupfd(t: Task, fd: int, file: File, arg: int) -> int:
    return _duplicate(t, file, arg, False)


async def _dupfd_cloexec(t: Task, fd: int, file: File, arg: int) -> int:
    return _duplicate(t, file, arg, True)


def _duplicate(t: Task, file: File, arg: int, cloexec: bool) -> int:
    minimum = arg & 0xFFFF_FFFF
    if minimum >= t.process.rlimits[RLIMIT_NOFILE][0]:
        raise SysError(EINVAL)
    new = t.files.alloc(file, cloexec, minimum)
    file.get()
    return new


async def _dupfd_query(t: Task, fd: int, file: File, arg: int) -> int:
    return int(t.files.get_any(s32(arg)) is file)


async def _getfd(t: Task, fd: int, file: File, arg: int) -> int:
    return FD_CLOEXEC if t.files.get_cloexec(fd) else 0


async def _setfd(t: Task, fd: int, file: File, arg: int) -> int:
    t.files.set_cloexec(fd, arg & FD_CLOEXEC != 0)
    return 0


async def _getfl(t: Task, fd: int, file: File, arg: int) -> int:
    return file.flags


async def _setfl(t: Task, fd: int, file: File, arg: int) -> int:
    if arg & O_NOATIME & ~file.flags:
        await _check_owner(t, file)
    if arg & O_DIRECT and not file.can_direct:
        raise SysError(EINVAL)
    if (arg ^ file.flags) & O_ASYNC and file.wait_queues() and file.has_sigio:
        set_async(t, fd, file, arg & O_ASYNC != 0)
    file.flags = file.flags & ~_SETTABLE | arg & _SETTABLE
    return 0


async def _check_owner(t: Task, file: File) -> None:
    if not t.creds.owner_or_capable((await file.getattr(t)).uid):
        raise SysError(EPERM)


async def _getown(t: Task, fd: int, file: File, arg: int) -> int:
    kind, who = _owner(t, file)
    return -who if kind == F_OWNER_PGRP else who


async def _setown(t: Task, fd: int, file: File, arg: int) -> int:
    who = s32(arg)
    if who == -_LAST_INT - 1:
        raise SysError(EINVAL)
    _set_owner(t, file, F_OWNER_PGRP if who < 0 else F_OWNER_PID, abs(who))
    return 0


def _owner(t: Task, file: File) -> tuple[int, int]:
    """Kind and id of a file's owner; the id is 0 if there is none, or it is gone."""
    who, table = abs(file.owner), t.process.table
    if file.owner < 0:
        return F_OWNER_PGRP, who if who in table.groups else 0
    if file.owner_is_thread:
        return F_OWNER_TID, who if who in table.tasks else 0
    return F_OWNER_PID, who if who in table.processes else 0


def _set_owner(t: Task, file: File, kind: int, who: int) -> None:
    """ESRCH for an id that is nobody's at all; one that is not of this kind gets no signals. 0: nobody."""
    if who and not t.process.table.in_use(who):
        raise SysError(ESRCH)
    file.owner = -who if kind == F_OWNER_PGRP else who
    file.owner_is_thread = kind == F_OWNER_TID


async def _getown_ex(t: Task, fd: int, file: File, arg: int) -> int:
    await t.mem.put(arg, FOwnerEx(*_owner(t, file)))
    return 0


async def _setown_ex(t: Task, fd: int, file: File, arg: int) -> int:
    kind, who = await t.mem.struct(arg, FOwnerEx)
    if kind not in (F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP):
        raise SysError(EINVAL)
    _set_owner(t, file, kind, who)
    return 0


async def _getsig(t: Task, fd: int, file: File, arg: int) -> int:
    return file.owner_signal


async def _setsig(t: Task, fd: int, file: File, arg: int) -> int:
    if arg > _NSIG:
        raise SysError(EINVAL)
    file.owner_signal = arg
    return 0


async def _getpipe_sz(t: Task, fd: int, file: File, arg: int) -> int:
    return _pipe(file).pipe.capacity


async def _setpipe_sz(t: Task, fd: int, file: File, arg: int) -> int:
    return _pipe(file).pipe.resize(t, arg & 0xFFFF_FFFF)


def _pipe(file: File) -> PipeEnd:
    if not isinstance(file, PipeEnd):
        raise SysError(EBADF)
    return file


async def _getlease(t: Task, fd: int, file: File, arg: int) -> int:
    return F_UNLCK


async def _get_rw_hint(t: Task, fd: int, file: File, arg: int) -> int:
    await t.mem.put_u64(arg, 0)
    return 0


async def _set_rw_hint(t: Task, fd: int, file: File, arg: int) -> int:
    """Checked and forgotten; Linux keeps it for F_GET_RW_HINT."""
    await _check_owner(t, file)
    if await t.mem.u64(arg) > _RW_HINT_MAX:
        raise SysError(EINVAL)
    return 0


async def _add_seals(t: Task, fd: int, file: File, arg: int) -> int:
    await add_seals(t, file, arg & 0xFFFF_FFFF)
    return 0


async def _get_seals(t: Task, fd: int, file: File, arg: int) -> int:
    return get_seals(file.inode)


_ON_DESCRIPTOR: dict[int, Callable[[Task, int, File, int], Awaitable[int]]] = {
    F_DUPFD: _dupfd,
    F_DUPFD_CLOEXEC: _dupfd_cloexec,
    F_DUPFD_QUERY: _dupfd_query,
    F_GETFD: _getfd,
    F_SETFD: _setfd,
    F_GETFL: _getfl,
}
"""What works on O_PATH descriptors too."""

_ON_FILE: dict[int, Callable[[Task, int, File, int], Awaitable[int]]] = {
    F_SETFL: _setfl,
    F_GETOWN: _getown,
    F_SETOWN: _setown,
    F_GETOWN_EX: _getown_ex,
    F_SETOWN_EX: _setown_ex,
    F_GETSIG: _getsig,
    F_SETSIG: _setsig,
    F_GETPIPE_SZ: _getpipe_sz,
    F_SETPIPE_SZ: _setpipe_sz,
    F_GETLEASE: _getlease,
    F_GET_RW_HINT: _get_rw_hint,
    F_SET_RW_HINT: _set_rw_hint,
    F_ADD_SEALS: _add_seals,
    F_GET_SEALS: _get_seals,
}

_LOCK_COMMANDS = (F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW)
_OFD_COMMANDS = (F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW)
_UNSUPPORTED = {F_SETLEASE: "F_SETLEASE", F_NOTIFY: "F_NOTIFY"}


async def _record_lock(t: Task, fd: int, file: File, op: int, address: int) -> int:
    """The six record lock commands."""
    flock = await t.mem.struct(address, Flock)
    ofd = op in _OFD_COMMANDS
    if op == F_GETLK and flock.l_type not in (F_RDLCK, F_WRLCK):
        raise SysError(EINVAL)
    start, end = await _range(t, file, flock)
    if flock.l_type not in (F_RDLCK, F_WRLCK, F_UNLCK) or (ofd and flock.l_pid):
        raise SysError(EINVAL)
    owner: object = file if ofd else t.files
    request = RecordLock(owner, flock.l_type, start, end, -1 if ofd else t.process.pid)
    locks = file.inode.locks
    if locks is None:
        locks = file.inode.locks = FileLocks()
    if op in (F_GETLK, F_OFD_GETLK):
        await t.mem.put(address, _blocker(locks, request, flock))
        return 0
    if (flock.l_type == F_RDLCK and not file.readable) or (flock.l_type == F_WRLCK and not file.writable):
        raise SysError(EBADF)
    await locks.lock(t, request, op in (F_SETLKW, F_OFD_SETLKW))
    if not ofd and not (fd in t.files and t.files.get_any(fd) is file):
        # Another thread closed the descriptor while this one waited: the lock would outlive it.
        locks.release(owner)
        raise SysError(EBADF)
    return 0


async def _range(t: Task, file: File, flock: Flock) -> tuple[int, int]:
    """First and last byte of a struct flock."""
    if flock.l_whence == SEEK_SET:
        base = 0
    elif flock.l_whence == SEEK_CUR:
        base = file.pos
    elif flock.l_whence == SEEK_END:
        base = (await file.getattr(t)).size
    else:
        raise SysError(EINVAL)
    start = base + flock.l_start
    if start > LOCK_MAX:
        raise SysError(EOVERFLOW)
    end = start + flock.l_len - 1 if flock.l_len > 0 else LOCK_MAX
    if flock.l_len < 0:
        start, end = start + flock.l_len, start - 1
    if start < 0:
        raise SysError(EINVAL)
    if end > LOCK_MAX:
        raise SysError(EOVERFLOW)
    return start, end


def _blocker(locks: FileLocks, request: RecordLock, asked: Flock) -> Flock:
    """What F_GETLK stores: the lock in the way, or the question with F_UNLCK."""
    lock = locks.blocker(request)
    if lock is None:
        return asked.replace(l_type=F_UNLCK)
    length = 0 if lock.end == LOCK_MAX else lock.end - lock.start + 1
    return Flock(lock.kind, SEEK_SET, lock.start, length, lock.pid)
