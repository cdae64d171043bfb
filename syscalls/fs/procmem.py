"""What /proc/PID shows of a process's memory: maps, cmdline, environ, auxv (man 5 proc_pid)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.flags import PROT_EXEC, PROT_READ, PROT_WRITE
from syscalls.errors import SysError
from syscalls.objects.device import dev_major, dev_minor
from syscalls.objects.shm import Segment
from syscalls.vfs.walk import path_bytes

if TYPE_CHECKING:
    from syscalls.objects.task import Task
    from syscalls.objects.vma import Vma

_NAME_COLUMN = 73
_SHM_DEVICE = 1
"""Device number of the file system in which Linux keeps System V shared memory."""
_ARG_MAX = 1 << 21


async def maps(t: Task, task: Task, whole: bool) -> bytes:
    """/proc/PID/maps: the areas of the address space (man 5 proc_pid_maps)."""
    mm = task.process.mm
    if mm is None:
        return b""
    return b"".join([await _map_line(t, vma) for vma in mm.vmas])


async def _map_line(t: Task, vma: Vma) -> bytes:
    dev = ino = offset = 0
    name = vma.name
    if vma.file is not None:
        dev, ino, offset = vma.file.inode.fs.dev, vma.file.inode.ino, vma.offset
        if not name:
            path = vma.file.path
            name = vma.file.proc_name() if path is None else await path_bytes(path, t.fs.root)
    elif isinstance(vma.pages, Segment):
        dev, ino, offset, name = _SHM_DEVICE, vma.pages.ipc.id, vma.offset, vma.pages.name
    line = b"%08x-%08x %s%s%s%s %08x %02x:%02x %d " % (
        vma.start,
        vma.end,
        b"r" if vma.prot & PROT_READ else b"-",
        b"w" if vma.prot & PROT_WRITE else b"-",
        b"x" if vma.prot & PROT_EXEC else b"-",
        b"s" if vma.shared else b"p",
        offset,
        dev_major(dev),
        dev_minor(dev),
        ino,
    )
    if not name:
        return line + b"\n"
    return line.ljust(_NAME_COLUMN) + name.replace(b"\n", b"\\012") + b"\n"


async def cmdline(t: Task, task: Task, whole: bool) -> bytes:
    """/proc/PID/cmdline: the arguments, each with its NUL, as the process has them in memory now.

    A program that overwrites the last NUL has changed its title: then one string counts, which may go on
    where the environment was.
    """
    mm = task.process.mm
    if mm is None or not mm.arg_end:
        return b""
    data = await _read(task, mm.arg_start, mm.arg_end)
    if not data or data[-1] == 0:
        return data
    if mm.env_start == mm.arg_end:
        data += await _read(task, mm.env_start, mm.env_end)
    end = data.find(b"\0")
    return data if end < 0 else data[:end]


async def environ(t: Task, task: Task, whole: bool) -> bytes:
    """/proc/PID/environ: the environment the program was started with."""
    mm = task.process.mm
    if mm is None or not mm.env_end:
        return b""
    return await _read(task, mm.env_start, mm.env_end)


async def auxv(t: Task, task: Task, whole: bool) -> bytes:
    """/proc/PID/auxv: the auxiliary vector (man 3 getauxval)."""
    mm = task.process.mm
    if mm is None:
        return b""
    return mm.auxv


async def _read(task: Task, start: int, end: int) -> bytes:
    owner = next(iter(task.process.tasks.values()), task)
    try:
        return await owner.mem.read_some(start, min(end - start, _ARG_MAX))
    except SysError:
        return b""
