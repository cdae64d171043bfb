"""Making pipes: pipe, pipe2."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import EINVAL
from syscalls.abi.flags import O_CLOEXEC, O_DIRECT, O_NONBLOCK
from syscalls.errors import SysError
from syscalls.objects.pipe import make_pipe
from syscalls.registry import PARTIAL, syscall
from syscalls.types import FdFlags, Out, Shown

if TYPE_CHECKING:
    from syscalls.objects.task import Task

# Not in the generated flags: O_NOTIFICATION_PIPE is O_EXCL under another name.
_O_NOTIFICATION_PIPE = 0o200


@syscall("pipe", errors="EFAULT EMFILE")
async def pipe(t: Task, pipefd: Annotated[Out[int], Shown("fd_pair")]) -> int:
    """Make a pipe (man 2 pipe)."""
    return await _make(t, pipefd, 0)


@syscall("pipe2", errors="EFAULT EINVAL EMFILE", support=PARTIAL, notes="no O_NOTIFICATION_PIPE")
async def pipe2(t: Task, pipefd: Annotated[Out[int], Shown("fd_pair")], flags: FdFlags) -> int:
    """Make a pipe with descriptor and status flags (man 2 pipe2)."""
    if flags & _O_NOTIFICATION_PIPE:
        t.server.unsupported("pipe2: O_NOTIFICATION_PIPE", t)
        flags = -1
    if flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT):
        raise SysError(EINVAL)
    return await _make(t, pipefd, flags)


async def _make(t: Task, address: int, flags: int) -> int:
    """Both descriptors or none, whatever fails on the way."""
    reader, writer = make_pipe(t, flags & ~O_CLOEXEC)
    cloexec = flags & O_CLOEXEC != 0
    files = t.files
    try:
        read_fd = files.alloc(reader, cloexec)
    except SysError:
        await reader.put()
        await writer.put()
        raise
    try:
        write_fd = files.alloc(writer, cloexec)
    except SysError:
        await files.close(read_fd)
        await writer.put()
        raise
    try:
        await t.mem.write(address, struct.pack("<ii", read_fd, write_fd))
    except SysError:
        await files.close(read_fd)
        await files.close(write_fd)
        raise
    return 0
