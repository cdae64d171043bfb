"""ioctl: what concerns any descriptor; everything else is the file's own business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi import flags
from syscalls.abi.errno import ENOTTY, EOPNOTSUPP, EXDEV
from syscalls.abi.flags import (
    FICLONE,
    FICLONERANGE,
    FIGETBSZ,
    FIOASYNC,
    FIOCLEX,
    FIONBIO,
    FIONCLEX,
    FIONREAD,
    FIOQSIZE,
    O_ASYNC,
    O_NONBLOCK,
    S_IFDIR,
    S_IFLNK,
    S_IFREG,
)
from syscalls.errors import SysError
from syscalls.objects.polling import set_async
from syscalls.objects.tty import TtyFile
from syscalls.registry import PARTIAL, syscall
from syscalls.types import Fd, IoctlArg, IoctlOp, IoctlResult
from syscalls.vfs.rpcfs import RpcInode
from syscalls.vfs.transfer import check_files

if TYPE_CHECKING:
    from syscalls.objects.file import File
    from syscalls.objects.task import Task

_MISSING_ON_FILES = (
    "FIBMAP", "FS_IOC_RESVSP", "FS_IOC_RESVSP64", "FS_IOC_UNRESVSP", "FS_IOC_UNRESVSP64", "FS_IOC_ZERO_RANGE",
)  # fmt: skip
_MISSING_ON_TREES = (
    "FS_IOC_GETFLAGS", "FS_IOC_SETFLAGS", "FS_IOC_GETVERSION", "FS_IOC_SETVERSION", "FS_IOC_FSGETXATTR",
    "FS_IOC_FSSETXATTR", "FS_IOC_FIEMAP", "FS_IOC_GETFSLABEL", "FS_IOC_SETFSLABEL", "FS_IOC_GETFSUUID", "FIFREEZE",
    "FITHAW",
)  # fmt: skip
"""Files and directories alike."""
_CLONE_SIZE = 32
"""Of struct file_clone_range, which begins with the descriptor to copy from."""
_MISSING_ON_TERMINALS = ("TIOCGSOFTCAR", "TIOCSSOFTCAR", "TIOCCONS", "TIOCGLCKTRMIOS", "TIOCSLCKTRMIOS")


@syscall(
    "ioctl", errors="EBADF EFAULT EINTR EINVAL EIO EISDIR ENOTTY EOPNOTSUPP EPERM ESRCH EXDEV",
    support=PARTIAL, notes="requests of files, pipes, terminals and devices that exist here",
)  # fmt: skip
async def ioctl(t: Task, fd: Fd, op: IoctlOp, argp: IoctlArg) -> IoctlResult:
    """Control a device or an open file (man 2 ioctl)."""
    file = t.files.get(fd)
    if op in (FIOCLEX, FIONCLEX):
        t.files.set_cloexec(fd, op == FIOCLEX)
        return 0
    if op == FIONBIO:
        file.flags = file.flags & ~O_NONBLOCK | (O_NONBLOCK if await t.mem.u32(argp) else 0)
        return 0
    if op == FIOASYNC:
        on = await t.mem.u32(argp) != 0
        if on != bool(file.flags & O_ASYNC):
            set_async(t, fd, file, on)
        return 0
    if op == FIOQSIZE:
        return await _fioqsize(t, file, argp)
    if op == FIGETBSZ:
        await t.mem.put_u32(argp, (await file.getattr(t)).blksize)
        return 0
    if op == FIONREAD and file.inode.kind == S_IFREG:
        left = (await file.getattr(t)).size - file.pos
        await t.mem.put_u32(argp, left & 0xFFFF_FFFF)
        return 0
    if op == FICLONE:
        _refuse_clone(t, argp, file)
    if op == FICLONERANGE:
        _refuse_clone(t, int.from_bytes((await t.mem.read(argp, _CLONE_SIZE))[:8], "little"), file)
    try:
        return await file.ioctl(t, op, argp)
    except SysError as error:
        if error.errno == ENOTTY:
            _record(t, file, op)
        raise


def _refuse_clone(t: Task, source_fd: int, file: File) -> None:
    """FICLONE: the file systems here share no blocks between files (man 2 ioctl_ficlone)."""
    source = t.files.get(source_fd & 0xFFFF_FFFF)
    if source.inode.fs is not file.inode.fs:
        raise SysError(EXDEV)
    check_files(source, file)
    raise SysError(EOPNOTSUPP)


def _record(t: Task, file: File, op: int) -> None:
    """Tell of requests that Linux serves: on disks or on a tmpfs, and on a terminal without a line."""
    missing: tuple[str, ...] = ()
    if isinstance(file, TtyFile):
        missing = _MISSING_ON_TERMINALS
    elif isinstance(file.inode, RpcInode) and file.inode.kind in (S_IFREG, S_IFDIR):
        missing = _MISSING_ON_TREES + (_MISSING_ON_FILES if file.inode.kind == S_IFREG else ())
    for name in missing:
        if getattr(flags, name) == op:
            t.server.unsupported(f"ioctl: {name}", t)


async def _fioqsize(t: Task, file: File, argp: int) -> int:
    """FIOQSIZE: the size of what has one. Linux tells how many bytes are allocated to it."""
    if file.inode.kind not in (S_IFREG, S_IFDIR, S_IFLNK):
        raise SysError(ENOTTY)
    await t.mem.put_u64(argp, (await file.getattr(t)).size)
    return 0
