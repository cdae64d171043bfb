"""Files in memory without a name: memfd_create."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EINVAL, ENAMETOOLONG, ENOSYS
from syscalls.abi.flags import (
    F_SEAL_EXEC,
    F_SEAL_SEAL,
    MFD_ALLOW_SEALING,
    MFD_CLOEXEC,
    MFD_EXEC,
    MFD_HUGETLB,
    MFD_NOEXEC_SEAL,
    O_LARGEFILE,
    O_RDWR,
)
from syscalls.errors import SysError
from syscalls.registry import PARTIAL, syscall
from syscalls.types import Fd, MemfdFlags, UserStr
from syscalls.vfs.dentry import Dentry
from syscalls.vfs.mount import Mount, Path
from syscalls.vfs.regular import RegularFile
from syscalls.vfs.rpcfs import file_system_of

if TYPE_CHECKING:
    from syscalls.objects.file import File
    from syscalls.objects.task import Task
    from syscalls.vfs.filesystem import FileSystem

_FLAGS = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC | MFD_NOEXEC_SEAL
_HUGE_SIZE = 0x3F << 26
"""Where the size of huge pages stands, with MFD_HUGETLB only."""
_NAME_ROOM = 250
"""Bytes for a name and its NUL: with "memfd:" before it, it is no longer than names are."""


@syscall(
    "memfd_create",
    errors="EFAULT EINVAL EIO EMFILE ENOSYS",
    support=PARTIAL,
    notes="no huge pages",
)
async def memfd_create(t: Task, name: UserStr, flags: MemfdFlags) -> Fd:
    """Make a file in memory that has no name and is gone with its last descriptor (man 2 memfd_create)."""
    known = _FLAGS | MFD_HUGETLB | _HUGE_SIZE if flags & MFD_HUGETLB else _FLAGS
    if flags & ~known or flags & (MFD_EXEC | MFD_NOEXEC_SEAL) == MFD_EXEC | MFD_NOEXEC_SEAL:
        raise SysError(EINVAL)
    try:
        shown = b"/memfd:" + await t.mem.cstr(name, _NAME_ROOM)
    except SysError as error:
        raise SysError(EINVAL if error.errno == ENAMETOOLONG else error.errno) from None
    t.files.lowest_free()
    if flags & MFD_HUGETLB:
        t.server.unsupported("memfd_create: MFD_HUGETLB", t)
        raise SysError(ENOSYS)
    file = await _make(t, shown, 0o666 if flags & MFD_NOEXEC_SEAL else 0o777)
    if flags & MFD_NOEXEC_SEAL:
        file.inode.seals = F_SEAL_EXEC
    else:
        file.inode.seals = 0 if flags & MFD_ALLOW_SEALING else F_SEAL_SEAL
    try:
        return t.files.alloc(file, flags & MFD_CLOEXEC != 0)
    except SysError:
        await file.put()
        raise


async def _make(t: Task, shown: bytes, mode: int) -> File:
    """An opened file of the file system that nobody can see."""
    owner = await _memory_files(t)
    inode = await (await owner.root()).tmpfile(t, mode, t.creds.fsuid, t.creds.fsgid)
    inode.linkable = False
    dentry = Dentry(None, shown, inode)
    dentry.deleted = True
    file = await inode.open(t, O_RDWR | O_LARGEFILE, Path(Mount(0, owner, dentry, 0, b"tmpfs"), dentry))
    assert isinstance(file, RegularFile)
    file.forget_open()
    return file


async def _memory_files(t: Task) -> FileSystem:
    server = t.server
    if server.memory_files is None:
        task, dev = server.new_memfs(), server.namespace.new_dev()
        server.memory_files = await file_system_of(server.port, task, "tmpfs", dev)
    return server.memory_files
