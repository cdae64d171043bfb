"""System V shared memory: shmget, shmat, shmdt, shmctl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from linuxemu.arch.x86_64 import USER_END
from syscalls.abi.errno import EAGAIN, EINVAL, ENOMEM, EPERM
from syscalls.abi.flags import (
    CAP_IPC_LOCK,
    CAP_SYS_RAWIO,
    IPC_INFO,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    MAP_DENYWRITE,
    MAP_LOCKED,
    MAP_SHARED,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    RLIMIT_MEMLOCK,
    SHM_EXEC,
    SHM_HUGETLB,
    SHM_INFO,
    SHM_LOCK,
    SHM_NORESERVE,
    SHM_RDONLY,
    SHM_REMAP,
    SHM_RND,
    SHM_STAT,
    SHM_STAT_ANY,
    SHM_UNLOCK,
)
from syscalls.abi.ipc import ShmidDs, ShmInfo, Shminfo
from syscalls.errors import SysError
from syscalls.objects.mm import MMAP_MIN, PAGE, page_up
from syscalls.objects.populate import populate
from syscalls.registry import PARTIAL, syscall
from syscalls.types import (
    Address,
    Hex,
    Int,
    IpcKey,
    Out,
    ShmAtFlags,
    ShmCommand,
    ShmGetFlags,
    Shown,
    Size,
    s32,
)

if TYPE_CHECKING:
    from syscalls.objects.shm import Segment, SegmentTable
    from syscalls.objects.task import Task

_READ, _WRITE, _EXEC = 0o444, 0o222, 0o111
_ALWAYS_FITS = 1 << 28
"""Bytes for which nobody has to ask whether there is as much memory."""
_HUGE_SHIFT, _HUGE_MASK = 26, 63
_HUGE_SIZES = (0, 21, 30)
"""Sizes of huge pages that x86 has, as powers of two; 0 for the usual one."""


@syscall(
    "shmget",
    errors="EACCES EEXIST EINVAL ENOENT ENOMEM ENOSPC EPERM",
    support=PARTIAL,
    notes="no huge pages",
)
async def shmget(t: Task, key: IpcKey, size: Size, shmflg: ShmGetFlags) -> int:
    """Find or make shared memory (man 2 shmget)."""
    table, name = t.server.ipc.shm, s32(key)
    pages = page_up(size) // PAGE
    if size > _ALWAYS_FITS and not shmflg & SHM_NORESERVE:
        most, _ = await t.server.memory_pages()
    else:
        most = pages

    def make() -> Segment:
        made = table.make(t, name, shmflg, size)
        if shmflg & SHM_HUGETLB:
            _refuse_huge_pages(t, shmflg)
        if pages > most:
            raise SysError(ENOMEM)
        return made

    return table.get(t, name, shmflg, lambda found: found.segsz >= size, make, table.shmmni)


def _refuse_huge_pages(t: Task, shmflg: int) -> None:
    """What Linux says that has no huge page to give: EINVAL, EPERM, ENOMEM."""
    if shmflg >> _HUGE_SHIFT & _HUGE_MASK not in _HUGE_SIZES:
        raise SysError(EINVAL)
    if not t.creds.capable(CAP_IPC_LOCK):
        raise SysError(EPERM)
    t.server.unsupported("shmget: SHM_HUGETLB", t)
    raise SysError(ENOMEM)


@syscall("shmat", errors="EACCES EAGAIN EINVAL ENOMEM EPERM")
async def shmat(t: Task, shmid: Int, shmaddr: Address, shmflg: ShmAtFlags) -> Hex:
    """Map shared memory (man 2 shmat)."""
    start = _attach_address(shmaddr, shmflg)
    segment = t.server.ipc.shm.find(shmid)
    prot, wanted = PROT_READ | PROT_WRITE, _READ | _WRITE
    if shmflg & SHM_RDONLY:
        prot, wanted = PROT_READ, _READ
    if shmflg & SHM_EXEC:
        prot, wanted = prot | PROT_EXEC, wanted | _EXEC
    segment.ipc.check(t.creds, wanted)
    segment.nattch += 1  # it must not end while this waits
    t.mm.pid = t.process.pid  # which differs where processes share their memory
    try:
        return await _attach(t, segment, start, prot, shmflg)
    finally:
        segment.let_go()


def _attach_address(address: int, shmflg: int) -> int | None:
    """Where to attach; None for anywhere."""
    if not address:
        if shmflg & SHM_REMAP:
            raise SysError(EINVAL)
        return None
    rest = address & (PAGE - 1)
    if (rest and not shmflg & SHM_RND) or (address == rest and shmflg & SHM_REMAP):
        raise SysError(EINVAL)
    return address - rest


async def _attach(t: Task, segment: Segment, address: int | None, prot: int, shmflg: int) -> int:
    mm, length = t.mm, page_up(segment.segsz)
    if address and not shmflg & SHM_REMAP:
        end = address + segment.segsz
        if end >> 64 or any(True for _ in mm.overlapping(address, end)):
            raise SysError(EINVAL)
    if length > USER_END or (address is not None and address + length > USER_END):
        raise SysError(ENOMEM)
    if address is None:
        address = mm.find_gap(length)
    elif address < MMAP_MIN and not t.creds.capable(CAP_SYS_RAWIO):
        raise SysError(EPERM)
    flags = MAP_SHARED if prot & PROT_WRITE else MAP_SHARED | MAP_DENYWRITE
    if mm.lock_future:
        if not mm.lock_allowed(length, t.creds.capable(CAP_IPC_LOCK)):
            raise SysError(EAGAIN)
        flags |= MAP_LOCKED
    vma = await mm.map(address, length, prot, flags, pages=segment)
    if mm.lock_future:
        await populate(t.mm, vma, address, address + length)
    return address


@syscall("shmdt", errors="EINVAL")
async def shmdt(t: Task, shmaddr: Address) -> int:
    """Unmap shared memory: all that is left of what was attached at an address (man 2 shmdt)."""
    from syscalls.objects.shm import Segment

    mm = t.mm
    if shmaddr & (PAGE - 1):
        raise SysError(EINVAL)
    segment, found = None, []
    for vma in mm.overlapping(shmaddr, USER_END):
        if isinstance(vma.pages, Segment) and vma.start - shmaddr == vma.offset:
            segment = segment or vma.pages
            if vma.pages is segment:
                found.append((vma.start, vma.end))
    if not found:
        raise SysError(EINVAL)
    mm.pid = t.process.pid
    for start, end in found:
        await mm.unmap(start, end)
    return 0


@syscall("shmctl", errors="EACCES EFAULT EINVAL EIO ENOMEM EPERM")
async def shmctl(
    t: Task, shmid: Int, cmd: ShmCommand, buf: Annotated[Out[bytes], Shown("shm_control")]
) -> int:
    """Control shared memory (man 2 shmctl)."""
    table = t.server.ipc.shm
    if shmid < 0:
        raise SysError(EINVAL)
    if cmd == IPC_INFO:
        await t.mem.put(buf, _limits(table))
        return table.max_index
    if cmd == SHM_INFO:
        await t.mem.put(buf, ShmInfo(len(table), table.total_pages, table.resident_pages()))
        return table.max_index
    if cmd in (IPC_STAT, SHM_STAT, SHM_STAT_ANY):
        segment = table.find(shmid) if cmd == IPC_STAT else table.at(shmid)
        if cmd != SHM_STAT_ANY:
            segment.ipc.check(t.creds, _READ)
        await t.mem.put(buf, await segment.status(t))
        return 0 if cmd == IPC_STAT else segment.ipc.id
    if cmd == IPC_SET:
        new = await t.mem.struct(buf, ShmidDs)
        segment = table.owned(t.creds, shmid)
        segment.ipc.set_perm(new.shm_perm)
        segment.ctime_ns = t.server.port.now_ns()
    elif cmd == IPC_RMID:
        table.remove_or_doom(table.owned(t.creds, shmid))
    elif cmd in (SHM_LOCK, SHM_UNLOCK):
        _lock(t, table.find(shmid), cmd == SHM_LOCK)
    else:
        raise SysError(EINVAL)
    return 0


def _limits(table: SegmentTable) -> Shminfo:
    from syscalls.objects.shm import SHMMIN

    return Shminfo(table.shmmax, SHMMIN, table.shmmni, table.shmmni, table.shmall)


def _lock(t: Task, segment: Segment, locked: bool) -> None:
    """Keep a segment in memory, where everything stays anyway, or do not any more."""
    from syscalls.objects.shm import SHM_LOCKED

    creds, limit = t.creds, t.process.rlimits[RLIMIT_MEMLOCK][0]
    privileged = creds.capable(CAP_IPC_LOCK)
    if not privileged and (not segment.ipc.owned_by(creds) or (locked and not limit)):
        raise SysError(EPERM)
    if not locked:
        segment.ipc.mode &= ~SHM_LOCKED
        segment.locker = None
    elif segment.locker is None:
        pages = t.server.ipc.shm.locked_pages(creds.uid) + segment.page_count
        if not privileged and pages > limit // PAGE:
            raise SysError(ENOMEM)
        segment.ipc.mode |= SHM_LOCKED
        segment.locker = creds.uid
