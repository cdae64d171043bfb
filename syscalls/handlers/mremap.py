"""Moving and resizing memory maps: mremap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import USER_END
from syscalls.abi.errno import EAGAIN, EFAULT, EINVAL, ENOMEM
from syscalls.abi.flags import CAP_IPC_LOCK, MAP_LOCKED, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE
from syscalls.errors import SysError
from syscalls.objects.mm import PAGE, page_up
from syscalls.objects.populate import populate
from syscalls.registry import syscall
from syscalls.types import Address, Hex, MremapAddress, MremapFlags, Size

if TYPE_CHECKING:
    from syscalls.objects.task import Task
    from syscalls.objects.vma import Vma


@syscall("mremap", errors="EAGAIN EFAULT EINVAL ENOMEM")
async def mremap(
    t: Task, old_address: Address, old_size: Size, new_size: Size, flags: MremapFlags, new_address: MremapAddress
) -> Hex:
    """Grow, shrink or move a mapping, or several of the same size at once (man 2 mremap)."""
    old_size, new_size = _check(old_address, old_size, new_size, flags, new_address)
    if flags & MREMAP_FIXED and old_size == new_size:
        return await _move_all(t, old_address, old_size, flags, new_address)
    if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP):
        return await _move_to(t, old_address, old_size, new_size, flags, new_address)
    return await _resize(t, old_address, old_size, new_size, flags)


def _check(old_address: int, old_size: int, new_size: int, flags: int, new_address: int) -> tuple[int, int]:
    """Flags, alignment and the new place; returns both sizes in whole pages."""
    if (
        flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)
        or old_address & (PAGE - 1)
        or not new_size
    ):
        raise SysError(EINVAL)
    if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) and not flags & MREMAP_MAYMOVE:
        raise SysError(EINVAL)
    old_size, new_size = page_up(old_size), page_up(new_size)
    if old_size > USER_END or new_size > USER_END:
        raise SysError(EINVAL)
    if flags & MREMAP_DONTUNMAP and old_size != new_size:
        raise SysError(EINVAL)
    if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP):
        overlap = new_address < old_address + old_size and old_address < new_address + new_size
        if new_address & (PAGE - 1) or new_address + new_size > USER_END or overlap:
            raise SysError(EINVAL)
    return old_size, new_size


async def _move_all(t: Task, old: int, size: int, flags: int, new: int) -> int:
    """Move every area of a range, which may have gaps but not at its start; those stay gaps, over what is there."""
    areas = [(max(vma.start, old), min(vma.end, old + size)) for vma in t.mm.overlapping(old, old + size)]
    if not areas or areas[0][0] > old:
        raise SysError(EFAULT)
    for start, end in areas:
        await _move_to(t, start, end - start, end - start, flags, new + start - old)
    return new


async def _move_to(t: Task, old: int, old_size: int, new_size: int, flags: int, new: int) -> int:
    """Move one area to a place of the caller's choice, replacing what is there with MREMAP_FIXED."""
    mm = t.mm
    vma = _area(t, old, min(old_size, new_size))
    if new_size > old_size:
        _check_growth(t, vma, new_size - old_size)
    if flags & MREMAP_FIXED:
        await mm.unmap(new, new + new_size)
        found = mm.find(old)  # it may have been cut, or be gone
        if found is None:
            raise SysError(EFAULT)
        vma = found
    if new_size < old_size:
        await mm.unmap(old + new_size, old + old_size)
        old_size = new_size
    if flags & MREMAP_DONTUNMAP:
        mm.check_growth(old_size, vma)
    if not flags & MREMAP_FIXED:
        new = mm.find_gap_near(new, new_size)
    return await _move(t, vma, old, old_size, new, new_size, keep=bool(flags & MREMAP_DONTUNMAP))


async def _resize(t: Task, old: int, old_size: int, new_size: int, flags: int) -> int:
    """Shrink or grow an area, in place where that can be; an old size of 0 maps the same shared pages once more."""
    mm = t.mm
    vma = mm.find(old)
    if vma is None:
        raise SysError(EFAULT)
    if new_size <= old_size:
        await mm.unmap(old + new_size, old + old_size)
        return old
    more = new_size - old_size
    vma = _area(t, old, old_size)
    _check_growth(t, vma, more)
    end = old + old_size
    if end == vma.end and end + more <= USER_END and not any(True for _ in mm.overlapping(end, end + more)):
        locked = vma.flags & MAP_LOCKED
        mm.extend(vma, more)
        if locked:
            await populate(mm, vma, end, end + more)
        return old
    if not flags & MREMAP_MAYMOVE:
        raise SysError(ENOMEM)
    return await _move(t, vma, old, old_size, mm.find_gap(new_size), new_size)


def _area(t: Task, old: int, old_size: int) -> Vma:
    """The area that holds all of the old range; it must be shared where its pages shall be mapped once more."""
    vma = t.mm.find(old)
    if vma is None:
        raise SysError(EFAULT)
    if not old_size and not vma.shared:
        raise SysError(EINVAL)
    if old_size > vma.end - old:
        raise SysError(EFAULT)
    return vma


def _check_growth(t: Task, vma: Vma, more: int) -> None:
    """Limits."""
    if vma.flags & MAP_LOCKED and not t.mm.lock_allowed(more, t.creds.capable(CAP_IPC_LOCK)):
        raise SysError(EAGAIN)
    t.mm.check_growth(more, vma)


async def _move(
    t: Task, vma: Vma, old: int, old_size: int, new: int, new_size: int, *, keep: bool = False
) -> int:
    """Map the area and its pages at a new place, where nothing is.

    Args:
        keep: the old range stays mapped, without pages and not locked (MREMAP_DONTUNMAP).
    """
    mm = t.mm
    offset = vma.offset + old - vma.start if vma.pages is not None else 0
    moved = await mm.map(new, new_size, vma.prot, vma.flags, vma.file, offset, vma.pages, vma.name, checked=True)
    mm.space.move(old, new, min(old_size, new_size))
    if keep:
        mm.lock(old, old + old_size, False)
    else:
        await mm.unmap(old, old + old_size)
    if vma.flags & MAP_LOCKED and new_size > old_size:
        await populate(mm, moved, new + old_size, new + new_size)
    return new
