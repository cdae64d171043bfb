"""Seals: what can no longer happen to a file in memory (man 2 fcntl, "File Sealing").

Files of a tmpfs have seals; all but those of memfd_create with MFD_ALLOW_SEALING are born with F_SEAL_SEAL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from syscalls.abi.errno import EBUSY, EINVAL, EPERM
from syscalls.abi.flags import (
    F_SEAL_EXEC,
    F_SEAL_FUTURE_WRITE,
    F_SEAL_GROW,
    F_SEAL_SEAL,
    F_SEAL_SHRINK,
    F_SEAL_WRITE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_ZERO_RANGE,
    S_IFREG,
)
from syscalls.errors import SysError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.objects.file import File
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode

_T = TypeVar("_T")
_NO_WRITE = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
_ALL = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | _NO_WRITE | F_SEAL_EXEC
_EXECUTABLE = 0o111
_PAGE = 4096
_IN_MEMORY = ("tmpfs", "devtmpfs")


def get_seals(inode: Inode) -> int:
    """The F_SEAL_* bits of a file; EINVAL for one that cannot have any."""
    if inode.seals is not None:
        return inode.seals
    if inode.kind != S_IFREG or inode.fs.kind not in _IN_MEMORY:
        raise SysError(EINVAL)
    return F_SEAL_SEAL


async def add_seals(t: Task, file: File, seals: int) -> None:
    """Add seals to those of a file.

    Raises:
        SysError: EPERM (not open for writing, or F_SEAL_SEAL), EINVAL (unknown seals, no such file), EBUSY (written
            through a mapping).
    """
    if not file.writable:
        raise SysError(EPERM)
    if seals & ~_ALL:
        raise SysError(EINVAL)
    await in_turn(t, file.inode, lambda: _add_seals(t, file.inode, seals))


async def _add_seals(t: Task, inode: Inode, seals: int) -> None:
    if seals & F_SEAL_EXEC and (await inode.getattr(t)).mode & _EXECUTABLE:
        seals |= F_SEAL_SHRINK | F_SEAL_GROW | _NO_WRITE
    found = get_seals(inode)
    if found & F_SEAL_SEAL:
        raise SysError(EPERM)
    if seals & F_SEAL_WRITE and not found & F_SEAL_WRITE and _is_mapped_for_writing(inode):
        raise SysError(EBUSY)
    inode.seals = found | seals


def _is_mapped_for_writing(inode: Inode) -> bool:
    pages = inode.pages
    if pages is None:
        return False
    areas = [vma for mm in pages.mappings for vma in mm.areas_of(pages)]
    return any(vma.file is not None and vma.file.writable for vma in areas)


async def in_turn(t: Task, inode: Inode, change: Callable[[], Awaitable[_T]]) -> _T:
    """Do something to a file that may get seals: what is under way ends before it is sealed, and the other way round.

    Args:
        t: the caller.
        inode: the file.
        change: looks at the seals, and does it.
    """
    await inode.mutex.acquire(t)
    try:
        return await change()
    finally:
        inode.mutex.release()


def write_sealed(inode: Inode) -> bool:
    """Whether nobody may begin to write."""
    return bool((inode.seals or 0) & _NO_WRITE)


async def sealed_write(t: Task, inode: Inode, offset: int, data: bytes) -> bytes:
    """As much of `data` as may be written at an offset; as on Linux a page is written altogether or not at all.

    Raises:
        SysError: EPERM.
    """
    if write_sealed(inode):
        raise SysError(EPERM)
    end = offset + len(data)
    if (inode.seals or 0) & F_SEAL_GROW:
        size = (await inode.getattr(t)).size
        if end > size:
            end = size & -_PAGE
    if end <= offset:
        raise SysError(EPERM)
    return data[: end - offset]


async def check_resize(t: Task, inode: Inode, size: int) -> None:
    """Refuse a new size that the seals forbid (EPERM)."""
    seals, old = inode.seals or 0, (await inode.getattr(t)).size
    if (size < old and seals & F_SEAL_SHRINK) or (size > old and seals & F_SEAL_GROW):
        raise SysError(EPERM)


async def check_fallocate(t: Task, inode: Inode, mode: int, end: int) -> None:
    """Refuse an fallocate up to `end` that the seals forbid (EPERM)."""
    if mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) and write_sealed(inode):
        raise SysError(EPERM)
    grows = not mode & FALLOC_FL_PUNCH_HOLE and end > (await inode.getattr(t)).size
    if grows and (inode.seals or 0) & F_SEAL_GROW:
        raise SysError(EPERM)


def check_mode(inode: Inode, old: int, new: int) -> None:
    """Refuse other execute permissions if F_SEAL_EXEC forbids them (EPERM)."""
    if (inode.seals or 0) & F_SEAL_EXEC and (old ^ new) & _EXECUTABLE:
        raise SysError(EPERM)
