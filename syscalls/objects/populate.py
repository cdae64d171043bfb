"""Making pages resident ahead of use, for mmap, mlock and madvise; an ordinary page fault for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import FAULT_WRITE, PTE_PRESENT, PTE_WRITABLE
from syscalls.abi.errno import EAGAIN, EFAULT, EINVAL, ENOMEM
from syscalls.abi.flags import PROT_WRITE, SIGKILL
from syscalls.errors import SysError
from syscalls.objects.mm import PAGE
from syscalls.objects.vma import PROT_BITS

if TYPE_CHECKING:
    from syscalls.objects.mm import MemoryMap
    from syscalls.objects.vma import Vma


async def populate(mm: MemoryMap, vma: Vma, start: int, end: int) -> None:
    """Fill [start, end) of an area as far as it goes; failures show at the touch (MAP_POPULATE, man 2 mmap)."""
    write = FAULT_WRITE if vma.prot & PROT_WRITE and not vma.shared else 0
    if not vma.prot & PROT_BITS:
        return
    for address in range(start, end, PAGE):
        if not mm.space.entry(address) & PTE_PRESENT and await mm.fault(address, write) is not None:
            return


async def populate_strictly(mm: MemoryMap, vma: Vma, start: int, end: int, write: bool, needed: int) -> None:
    """Fill [start, end) of an area (MADV_POPULATE_READ and MADV_POPULATE_WRITE, man 2 madvise).

    Args:
        write: as if each page were written to.
        needed: PROT_* bits of which the area must have one.

    Raises:
        SysError: EINVAL without such a bit, EFAULT for a page that cannot be there, ENOMEM for want of memory.
    """
    if not vma.prot & needed:
        raise SysError(EINVAL)
    ready = PTE_PRESENT | (PTE_WRITABLE if write else 0)
    for address in range(start, end, PAGE):
        if mm.space.entry(address) & ready != ready:
            bad = await mm.fault(address, FAULT_WRITE if write else 0)
            if bad is not None:
                raise SysError(ENOMEM if bad.signo == SIGKILL else EFAULT)


async def populate_locked(mm: MemoryMap, vma: Vma, start: int, end: int) -> None:
    """Fill [start, end) of an area (man 2 mlock).

    Raises:
        SysError: ENOMEM for a page that cannot be there, EAGAIN for want of memory.
    """
    try:
        write = bool(vma.prot & PROT_WRITE) and not vma.shared
        await populate_strictly(mm, vma, start, end, write, PROT_BITS)
    except SysError as error:
        raise SysError(EAGAIN if error.errno == ENOMEM else ENOMEM) from None
