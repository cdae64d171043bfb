"""Memory maps: mmap, munmap, mprotect, mremap, brk, madvise, msync, mincore, mlock."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from linuxemu.arch.x86_64 import USER_END
from syscalls.abi.errno import (
    EACCES,
    EAGAIN,
    EBUSY,
    EEXIST,
    EFAULT,
    EINVAL,
    ENODEV,
    ENOMEM,
    EOPNOTSUPP,
    EOVERFLOW,
    EPERM,
)
from syscalls.abi.flags import (
    CAP_IPC_LOCK,
    CAP_SYS_RAWIO,
    MADV_COLD,
    MADV_DODUMP,
    MADV_DOFORK,
    MADV_DONTDUMP,
    MADV_DONTFORK,
    MADV_DONTNEED,
    MADV_DONTNEED_LOCKED,
    MADV_FREE,
    MADV_HUGEPAGE,
    MADV_KEEPONFORK,
    MADV_MERGEABLE,
    MADV_NOHUGEPAGE,
    MADV_NORMAL,
    MADV_PAGEOUT,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MADV_RANDOM,
    MADV_REMOVE,
    MADV_SEQUENTIAL,
    MADV_UNMERGEABLE,
    MADV_WILLNEED,
    MADV_WIPEONFORK,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_HUGETLB,
    MAP_LOCKED,
    MAP_NORESERVE,
    MAP_POPULATE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MAP_STACK,
    MAP_TYPE,
    MCL_CURRENT,
    MCL_FUTURE,
    MCL_ONFAULT,
    MLOCK_ONFAULT,
    MS_ASYNC,
    MS_INVALIDATE,
    MS_NOEXEC,
    MS_SYNC,
    O_RDONLY,
    PROT_EXEC,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    PROT_READ,
    PROT_WRITE,
    RLIMIT_MEMLOCK,
)
from syscalls.errors import SysError
from syscalls.objects.mm import MMAP_MIN, PAGE, check_range, page_up
from syscalls.objects.populate import populate, populate_locked, populate_strictly
from syscalls.objects.vma import PROT_BITS
from syscalls.registry import PARTIAL, syscall
from syscalls.types import (
    Address,
    Advice,
    Fd,
    Hex,
    MapFlags,
    MlockallFlags,
    MlockFlags,
    MsyncFlags,
    Out,
    ProtFlags,
    Shown,
    Size,
)
from syscalls.vfs.pagecache import PageCache, pages_of
from syscalls.vfs.regular import RegularFile
from syscalls.vfs.seals import in_turn, write_sealed

if TYPE_CHECKING:
    from syscalls.objects.file import File
    from syscalls.objects.task import Task
    from syscalls.objects.vma import Vma

_KEPT_FLAGS = (
    MAP_SHARED | MAP_PRIVATE | MAP_GROWSDOWN | MAP_NORESERVE | MAP_STACK | MAP_ANONYMOUS | MAP_LOCKED
)
_IGNORED_ADVICE = {
    MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_DONTDUMP, MADV_DODUMP, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLD,
    MADV_PAGEOUT, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_KEEPONFORK,
}  # fmt: skip
_MISSING = {MADV_DONTFORK: "MADV_DONTFORK", MADV_WIPEONFORK: "MADV_WIPEONFORK", MADV_REMOVE: "MADV_REMOVE"}
_NOT_LOCKED = (MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_PAGEOUT)
_DROPS = (MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_FREE)
_POPULATES = {MADV_POPULATE_READ: PROT_READ, MADV_POPULATE_WRITE: PROT_WRITE}
_LEGACY_FLAGS = 0x7C07_F9F3
"""What MAP_SHARED_VALIDATE accepts beside itself; other bits need a file system that knows them."""
_ZERO_DEVICE = 0x105
_MASK = (1 << 64) - 1


@syscall("brk")
async def brk(t: Task, addr: Address) -> Hex:
    """Move the end of the heap; the result is where it is afterwards (man 2 brk)."""
    return await t.mm.set_brk(addr, t.creds.capable(CAP_IPC_LOCK))


@syscall(
    "mmap",
    errors="EACCES EAGAIN EBADF EEXIST EINVAL EIO ENODEV ENOMEM EOPNOTSUPP EOVERFLOW EPERM",
    support=PARTIAL,
    notes="no huge pages",
)
async def mmap(
    t: Task, addr: Address, length: Size, prot: ProtFlags, flags: MapFlags, fd: Fd, offset: Hex
) -> Hex:
    """Map a file or fresh memory (man 2 mmap)."""
    mm = t.mm
    if offset & (PAGE - 1):
        raise SysError(EINVAL)
    file = None if flags & MAP_ANONYMOUS else t.files.get(fd)
    if not length:
        raise SysError(EINVAL)
    length = page_up(length)
    if length >= USER_END:
        raise SysError(ENOMEM)
    start = _place(t, addr, length, flags)
    if flags & MAP_LOCKED:
        _may_lock(t)
    elif mm.lock_future:
        flags |= MAP_LOCKED
    if flags & MAP_LOCKED:
        _check_lock(t, length, EAGAIN)
    if file is not None and offset + length >= 1 << 63:
        raise SysError(EOVERFLOW)
    shared = _is_shared(flags)
    if flags & MAP_HUGETLB:
        t.server.unsupported("mmap: MAP_HUGETLB", t)
    kept = (flags & _KEPT_FLAGS & ~(MAP_SHARED | MAP_PRIVATE)) | (MAP_SHARED if shared else MAP_PRIVATE)
    if file is None or (file.inode.attr.rdev == _ZERO_DEVICE and not isinstance(file, RegularFile)):
        await _check_overcommit(t, length, prot, flags)
        pages = PageCache(t.server.port.frames, None, extent=length) if shared else None
        vma = await mm.map(start, length, prot & PROT_BITS, kept, None, 0, pages)
    else:
        regular = _mappable(file, prot, shared, flags)
        map_it = partial(_map_file, t, start, length, prot, kept, regular, offset)
        vma = await (in_turn(t, regular.inode, map_it) if regular.inode.seals is not None else map_it())
        await regular.accessed(t)
    if flags & (MAP_POPULATE | MAP_LOCKED):
        await populate(t.mm, vma, start, start + length)
    return start


def _is_shared(flags: int) -> bool:
    """Whether a mapping is shared, after a check of its flags."""
    kind = flags & MAP_TYPE
    if flags & MAP_ANONYMOUS:
        if kind not in (MAP_SHARED, MAP_PRIVATE) or (kind == MAP_SHARED and flags & MAP_GROWSDOWN):
            raise SysError(EINVAL)
    elif kind == MAP_SHARED_VALIDATE and flags & ~_LEGACY_FLAGS:
        raise SysError(EOPNOTSUPP)
    elif kind not in (MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE):
        raise SysError(EINVAL)
    return kind != MAP_PRIVATE


def _place(t: Task, addr: int, length: int, flags: int) -> int:
    """Where a mapping goes: exactly at `addr`, near it, or in the highest gap."""
    if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE):
        if addr + length > USER_END:
            raise SysError(ENOMEM)
        if addr & (PAGE - 1):
            raise SysError(EINVAL)
        if addr < MMAP_MIN and not t.creds.capable(CAP_SYS_RAWIO):
            raise SysError(EPERM)
        if flags & MAP_FIXED_NOREPLACE and any(True for _ in t.mm.overlapping(addr, addr + length)):
            raise SysError(EEXIST)
        return addr
    return t.mm.find_gap_near(addr & -PAGE, length)


async def _check_overcommit(t: Task, length: int, prot: int, flags: int) -> None:
    """Refuse what could never be filled (heuristic overcommit, /proc/sys/vm/overcommit_memory 0)."""
    if length > 1 << 28 and prot & PROT_WRITE and not flags & MAP_NORESERVE:
        total, _ = await t.server.memory_pages()
        if length >> 12 > total:
            raise SysError(ENOMEM)


def _mappable(file: File, prot: int, shared: bool, flags: int) -> RegularFile:
    """Checks of a file mapping, in Linux's order."""
    if not file.readable or (shared and prot & PROT_WRITE and not file.writable):
        raise SysError(EACCES)
    if prot & PROT_EXEC and file.path is not None and file.path.mount.flags & MS_NOEXEC:
        raise SysError(EPERM)
    if not isinstance(file, RegularFile):
        raise SysError(ENODEV)
    if flags & MAP_GROWSDOWN:
        raise SysError(EINVAL)
    return file


async def _map_file(
    t: Task, start: int, length: int, prot: int, flags: int, file: RegularFile, offset: int
) -> Vma:
    """Map a file. One that is sealed is shared as if it were open for reading only, so it stays unwritable."""
    opened: File = file
    if flags & MAP_SHARED and file.path is not None and write_sealed(file.inode):
        if prot & PROT_WRITE:
            raise SysError(EPERM)
        opened = await file.inode.open(t, O_RDONLY, file.path)
    else:
        file.get()
    assert isinstance(opened, RegularFile)
    try:
        pages = await pages_of(t, opened)
        return await t.mm.map(start, length, prot & PROT_BITS, flags, opened, offset, pages)
    finally:
        await opened.put()


@syscall("munmap", errors="EINVAL")
async def munmap(t: Task, addr: Address, length: Size) -> int:
    """Remove mappings (man 2 munmap)."""
    if addr & (PAGE - 1) or not length or length > USER_END or addr > USER_END - length:
        raise SysError(EINVAL)
    await t.mm.unmap(addr, addr + page_up(length))
    return 0


@syscall("mprotect", errors="EACCES EINVAL ENOMEM")
async def mprotect(t: Task, addr: Address, length: Size, prot: ProtFlags) -> int:
    """Change the protection of mapped pages (man 2 mprotect)."""
    grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP)
    if grows == PROT_GROWSDOWN | PROT_GROWSUP or addr & (PAGE - 1):
        raise SysError(EINVAL)
    if not length:
        return 0
    end = check_range(addr, length)
    if prot & ~(PROT_BITS | PROT_GROWSDOWN | PROT_GROWSUP | 8):
        raise SysError(EINVAL)
    mm = t.mm
    if grows == PROT_GROWSUP:
        raise SysError(EINVAL if mm.find(addr) is not None else ENOMEM)
    if grows & PROT_GROWSDOWN:
        first = next(mm.overlapping(addr, end), None)
        if first is None:
            raise SysError(ENOMEM)
        if not first.flags & MAP_GROWSDOWN:
            raise SysError(EINVAL)
        addr = first.start
    at = addr
    for vma in list(mm.overlapping(addr, end)):
        if vma.start > at:
            break
        if prot & PROT_WRITE and not vma.may_write:
            raise SysError(EACCES)
        start, stop = max(vma.start, addr), min(vma.end, end)
        if prot & PROT_WRITE:
            mm.check_writable(stop - start, vma)
        if (start, stop) != (vma.start, vma.end):
            mm.check_count()
        mm.protect(start, stop, prot & PROT_BITS)
        at = stop
    if at < end:
        raise SysError(ENOMEM)
    return 0


@syscall(
    "madvise",
    errors="EFAULT EINVAL ENOMEM",
    support=PARTIAL,
    notes="advice about huge pages, merging and swapping changes nothing; nothing about fork, no MADV_REMOVE",
)
async def madvise(t: Task, addr: Address, length: Size, advice: Advice) -> int:
    """Say how memory will be used (man 2 madvise)."""
    known = advice in _IGNORED_ADVICE or advice in (
        MADV_WILLNEED, MADV_DOFORK, *_POPULATES, *_DROPS, *_MISSING
    )  # fmt: skip
    if not known or addr & (PAGE - 1) or addr + page_up(length) > _MASK:
        raise SysError(EINVAL)
    if not length:
        return 0
    end = addr + page_up(length)
    mm = t.mm
    if advice in _MISSING:
        t.server.unsupported(f"madvise: {_MISSING[advice]}", t)
        raise SysError(EINVAL)
    covered, at = mm.covered(addr, end), addr
    for vma in list(mm.overlapping(addr, end)):
        low, high = max(vma.start, addr), min(vma.end, end)
        if advice in _POPULATES and low > at:
            break
        at = high
        if advice == MADV_FREE and (vma.file is not None or vma.shared):
            raise SysError(EINVAL)
        if advice in _NOT_LOCKED and vma.flags & MAP_LOCKED:
            raise SysError(EINVAL)
        if advice in _DROPS:
            if vma.shared and vma.pages is not None:
                await vma.pages.write_back_area(mm.space, vma, low, high)
            mm.space.unmap(low, high)
        elif advice in _POPULATES:
            await populate_strictly(t.mm, vma, low, high, advice == MADV_POPULATE_WRITE, _POPULATES[advice])
    if not covered:
        raise SysError(ENOMEM)
    return 0


@syscall("msync", errors="EBUSY EINVAL EIO ENOMEM ENOSPC")
async def msync(t: Task, addr: Address, length: Size, flags: MsyncFlags) -> int:
    """Write shared file mappings back (man 2 msync)."""
    if (
        flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)
        or addr & (PAGE - 1)
        or flags & (MS_ASYNC | MS_SYNC) == MS_ASYNC | MS_SYNC
    ):
        raise SysError(EINVAL)
    end = addr + (page_up(length) & _MASK)
    if end == addr:
        return 0
    if end > USER_END:
        raise SysError(ENOMEM)
    covered = t.mm.covered(addr, end)
    for vma in list(t.mm.overlapping(addr, end)):
        if flags & MS_INVALIDATE and vma.flags & MAP_LOCKED:
            raise SysError(EBUSY)
        if vma.shared and vma.pages is not None and vma.file is not None:
            await vma.pages.write_back_area(t.mm.space, vma, max(vma.start, addr), min(vma.end, end))
            if flags & MS_SYNC:
                await vma.file.fsync(t, False)
    if not covered:
        raise SysError(ENOMEM)
    return 0


@syscall("mincore", errors="EFAULT EINVAL ENOMEM")
async def mincore(
    t: Task, addr: Address, length: Size, vec: Annotated[Out[bytes], Shown("residence")]
) -> int:
    """Which pages are resident (man 2 mincore)."""
    if addr & (PAGE - 1):
        raise SysError(EINVAL)
    end = addr + page_up(length)
    if end > USER_END:
        raise SysError(ENOMEM)
    if vec + ((end - addr) >> 12) > USER_END:
        raise SysError(EFAULT)
    at = addr
    while at < end:
        vma = t.mm.find(at)
        if vma is None:
            raise SysError(ENOMEM)
        stop = min(end, vma.end, at + PAGE * PAGE)
        states = bytes(_resident(t, page) for page in range(at, stop, PAGE))
        await t.mem.write(vec + ((at - addr) >> 12), states)
        at = stop
    return 0


def _resident(t: Task, address: int) -> int:
    if t.mm.space.entry(address):
        return 1
    vma = t.mm.find(address)
    if vma is None or vma.pages is None:
        return 0
    return int(((address - vma.start + vma.offset) >> 12) in vma.pages.frames)


def _may_lock(t: Task) -> None:
    """EPERM if nothing may be locked at all."""
    if not t.creds.capable(CAP_IPC_LOCK) and not t.process.rlimits[RLIMIT_MEMLOCK][0]:
        raise SysError(EPERM)


def _check_lock(t: Task, more: int, errno: int) -> None:
    """Fail if so many more bytes may not be locked (RLIMIT_MEMLOCK)."""
    if not t.mm.lock_allowed(more, t.creds.capable(CAP_IPC_LOCK)):
        raise SysError(errno)


def _lock_range(addr: int, length: int) -> tuple[int, int]:
    """The whole pages of a range; EINVAL where it wraps around."""
    start = addr & -PAGE
    end = start + (page_up(length + addr - start) & _MASK)
    if end > _MASK:
        raise SysError(EINVAL)
    return start, end


async def _lock(t: Task, addr: int, length: int, fill: bool) -> int:
    """Make pages resident, where they stay anyway: nothing is ever swapped out here."""
    _may_lock(t)
    mm, size = t.mm, page_up(length + (addr & PAGE - 1)) & _MASK
    start = addr & -PAGE
    _check_lock(t, size - (mm.locked() - mm.locked(start, start + size)), ENOMEM)
    start, end = _lock_range(addr, length)
    mm.lock_to_hole(start, end, True)
    if fill and start < end:
        for vma in list(t.mm.overlapping(start, end)):
            await populate_locked(t.mm, vma, max(vma.start, start), min(vma.end, end))
    return 0


@syscall("mlock", errors="EAGAIN EINVAL ENOMEM EPERM")
async def mlock(t: Task, addr: Address, length: Size) -> int:
    """Keep pages in memory (man 2 mlock)."""
    return await _lock(t, addr, length, fill=True)


@syscall("mlock2", errors="EAGAIN EINVAL ENOMEM EPERM")
async def mlock2(t: Task, addr: Address, length: Size, flags: MlockFlags) -> int:
    """mlock, or only once touched with MLOCK_ONFAULT (man 2 mlock2)."""
    if flags & ~MLOCK_ONFAULT:
        raise SysError(EINVAL)
    return await _lock(t, addr, length, fill=not flags)


@syscall("munlock", errors="EINVAL ENOMEM")
async def munlock(t: Task, addr: Address, length: Size) -> int:
    """Undo mlock (man 2 munlock)."""
    start, end = _lock_range(addr, length)
    t.mm.lock_to_hole(start, end, False)
    return 0


@syscall("mlockall", errors="EINVAL ENOMEM EPERM", support=PARTIAL, notes="as with MCL_ONFAULT")
async def mlockall(t: Task, flags: MlockallFlags) -> int:
    """Keep everything in memory (man 2 mlockall); what is mapped already comes into it at the first touch only."""
    if not flags or flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) or flags == MCL_ONFAULT:
        raise SysError(EINVAL)
    _may_lock(t)
    mm = t.mm
    if flags & MCL_CURRENT:
        _check_lock(t, (mm.total_vm << 12) - mm.locked(), ENOMEM)
        mm.lock(0, USER_END, True)
    mm.lock_future = bool(flags & MCL_FUTURE)
    return 0


@syscall("munlockall")
async def munlockall(t: Task) -> int:
    """Undo mlockall (man 2 munlockall)."""
    t.mm.lock_future = False
    t.mm.lock(0, USER_END, False)
    return 0
