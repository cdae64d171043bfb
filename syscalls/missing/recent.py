"""Calls that are younger than the tracer whose look the others have: named, with their arguments as numbers."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Annotated

from syscalls.missing.types import ClockName, Hex, OpenTreeFlags, Pointer, Raw, Timeout
from syscalls.signatures import missing
from syscalls.types import Address, AtFlags, Count, DirFd, Fd, In, Int, Shown, Size, UInt, UserPath, UserStr


@missing
def cachestat(fd: Fd, cstat_range: Pointer, cstat: Pointer, flags: Hex) -> int:
    """How much of a file is in memory: man 2 cachestat."""


@missing
def map_shadow_stack(addr: Pointer, size: Size, flags: Hex) -> Address:
    """Make a shadow stack: man 2 map_shadow_stack."""


@missing
def futex_wake(uaddr: Pointer, mask: Raw, nr: Int, flags: Hex) -> int:
    """Wake who waits at a futex: man 2 futex."""


@missing
def futex_wait(uaddr: Pointer, val: Raw, mask: Raw, flags: Hex, timeout: Timeout, clockid: ClockName) -> int:
    """Wait at a futex: man 2 futex."""


@missing
def futex_requeue(waiters: Pointer, flags: Hex, nr_wake: Int, nr_requeue: Int) -> int:
    """Wake some and move others to another futex: man 2 futex."""


@missing
def statmount(req: Pointer, buf: Pointer, bufsize: Size, flags: Hex) -> int:
    """What a mount is: man 2 statmount."""


@missing
def listmount(req: Pointer, mnt_ids: Pointer, nr_mnt_ids: Size, flags: Hex) -> int:
    """The mounts below one: man 2 listmount."""


@missing
def lsm_get_self_attr(attr: UInt, ctx: Pointer, size: Pointer, flags: Hex) -> int:
    """A security attribute of the caller: man 2 lsm_get_self_attr."""


@missing
def lsm_set_self_attr(attr: UInt, ctx: Pointer, size: UInt, flags: Hex) -> int:
    """Change a security attribute of the caller: man 2 lsm_set_self_attr."""


@missing
def lsm_list_modules(ids: Pointer, size: Pointer, flags: Hex) -> int:
    """Active security modules: man 2 lsm_list_modules."""


@missing
def mseal(addr: Pointer, len: Size, flags: Raw) -> int:
    """Forbid changes of mappings: man 2 mseal."""


@missing
def setxattrat(
    dirfd: DirFd, path: UserPath, at_flags: AtFlags, name: UserStr, args: Pointer, size: Size
) -> int:
    """Set an extended attribute: man 2 setxattrat."""


@missing
def getxattrat(
    dirfd: DirFd, path: UserPath, at_flags: AtFlags, name: UserStr, args: Pointer, size: Size
) -> int:
    """Read an extended attribute: man 2 getxattrat."""


@missing
def listxattrat(dirfd: DirFd, path: UserPath, at_flags: AtFlags, list: Pointer, size: Size) -> int:
    """Names of extended attributes: man 2 listxattrat."""


@missing
def removexattrat(dirfd: DirFd, path: UserPath, at_flags: AtFlags, name: UserStr) -> int:
    """Remove an extended attribute: man 2 removexattrat."""


@missing
def open_tree_attr(
    dirfd: DirFd,
    path: UserPath,
    flags: OpenTreeFlags,
    attr: Annotated[In[bytes], Shown("mount_attr"), Count("size")],
    size: Size,
) -> Fd:
    """Open a mount with changed attributes: man 2 open_tree_attr."""


@missing
def file_getattr(dirfd: DirFd, path: UserPath, attr: Pointer, size: Size, at_flags: AtFlags) -> int:
    """Attributes of a file system's own: man 2 file_getattr."""


@missing
def file_setattr(dirfd: DirFd, path: UserPath, attr: Pointer, size: Size, at_flags: AtFlags) -> int:
    """Change attributes of a file system's own: man 2 file_setattr."""


@missing
def uprobe() -> int:
    """A probe of the kernel, called by its trampoline only."""


@missing
def uretprobe() -> int:
    """A return probe of the kernel, called by its trampoline only."""
