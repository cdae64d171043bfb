"""A translation of a call that this version of linuxemu may or may not have: sync_file_range by way of fsync."""

from __future__ import annotations

from linuxemu.messages import fsx
from syscalls.abi.errno import EINVAL
from syscalls.errors import SysError
from syscalls.objects.task import Task
from syscalls.types import Fd, Off, UInt

VALID = 7


async def sync_file_range(t: Task, fd: Fd, offset: Off, nbytes: Off, flags: UInt) -> int:
    """Store a part of a file, which here is all of it (man 2 sync_file_range)."""
    if flags & ~VALID or offset < 0 or nbytes < 0:
        raise SysError(EINVAL)
    file = t.files.get(fd)
    await t.server.port.call(file.inode.fs.task, fsx.Fsync(file.handle, True))
    return 0
