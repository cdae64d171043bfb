"""System V shared memory: segments, and what is attached where (man 2 shmget, man 2 shmat)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EINVAL, ENOSPC
from syscalls.abi.ipc import ShmidDs
from syscalls.errors import SysError
from syscalls.objects.ipc import IpcObject, IpcTable, dates
from syscalls.vfs.pagecache import PAGE, PageCache

if TYPE_CHECKING:
    from syscalls.objects.mm import MemoryMap
    from syscalls.objects.task import Task

SHMMIN = 1
SHM_DEST = 0o1000
"""Mode bit of a segment that ends when nobody has it attached any more."""
SHM_LOCKED = 0o2000
"""Mode bit of a segment that SHM_LOCK keeps in memory."""
_FILE_MAX = (1 << 63) - 1
_NO_LIMIT = (1 << 64) - 1 - (1 << 24)


class Segment(PageCache):
    """One segment: pages that processes have in their memory maps.

    Args:
        table: where it is found.
        t: the task that makes it.
        key: its key.
        mode: permission bits.
        segsz: its size, bytes.
    """

    __slots__ = (
        "_table", "atime_ns", "cpid", "ctime_ns", "dtime_ns", "ipc", "locker", "lpid", "name", "nattch", "segsz",
    )  # fmt: skip
    JOINS = False

    def __init__(self, table: SegmentTable, t: Task, key: int, mode: int, segsz: int) -> None:
        super().__init__(t.server.port.frames, None, extent=segsz)
        self._table = table
        self.ipc = IpcObject(key, mode, t.creds)
        self.name = b"/SYSV%08x (deleted)" % (key & 0xFFFF_FFFF)
        """What /proc/PID/maps calls it."""
        self.segsz = segsz
        self.nattch = 0
        """How many areas of memory maps it is in, and of calls that are about to attach it."""
        self.cpid, self.lpid = t.process.pid, 0
        self.atime_ns: int | None = None
        self.dtime_ns: int | None = None
        self.ctime_ns = t.server.port.now_ns()
        """Times of the last attach, detach and change, by the port's clock."""
        self.locker: int | None = None
        """The user whose RLIMIT_MEMLOCK it counts for while it is locked."""

    @property
    def page_count(self) -> int:
        """Its size, pages."""
        return -(-self.segsz // PAGE)

    def add_mapping(self, mm: MemoryMap, shared: bool) -> None:
        """An area begins: attached, inherited by fork, or cut off another."""
        super().add_mapping(mm, shared)
        self.nattch += 1
        self.lpid = mm.pid
        self.atime_ns = mm.server.port.now_ns()

    def remove_mapping(self, mm: MemoryMap, shared: bool) -> None:
        """An area ends."""
        super().remove_mapping(mm, shared)
        self.lpid = mm.pid
        self.dtime_ns = mm.server.port.now_ns()
        self.let_go()

    def let_go(self) -> None:
        """One attachment less; the last one of a removed segment is its end."""
        self.nattch -= 1
        if not self.nattch and self.ipc.mode & SHM_DEST:
            self._table.destroy(self)

    async def status(self, t: Task) -> ShmidDs:
        """What IPC_STAT tells."""
        atime, dtime, ctime = await dates(t.server, self.atime_ns, self.dtime_ns, self.ctime_ns)
        return ShmidDs(
            self.ipc.perm(), self.segsz, atime, dtime, ctime, self.cpid, self.lpid, self.nattch
        )  # fmt: skip


class SegmentTable(IpcTable[Segment]):
    """All segments, and their limits (man 5 proc_sys_kernel)."""

    __slots__ = ("shmall", "shmmax", "shmmni", "total_pages")

    def __init__(self) -> None:
        super().__init__()
        self.shmmax = _NO_LIMIT
        """Bytes that a segment can have."""
        self.shmall = _NO_LIMIT
        """Pages that all segments can have together."""
        self.shmmni = 4096
        """How many segments there can be."""
        self.total_pages = 0
        """Size of all segments, pages."""

    def make(self, t: Task, key: int, mode: int, size: int) -> Segment:
        """A new segment that is in no table yet; EINVAL for its size, ENOSPC beyond a limit."""
        if not SHMMIN <= size <= self.shmmax:
            raise SysError(EINVAL)
        pages = -(-size // PAGE)
        if pages * PAGE >> 64 or self.total_pages + pages > self.shmall:
            raise SysError(ENOSPC)
        if size > _FILE_MAX:
            raise SysError(EINVAL)
        return Segment(self, t, key, mode, size)

    def add(self, new: Segment, limit: int) -> int:
        """See `IpcTable.add`."""
        number = super().add(new, limit)
        self.total_pages += new.page_count
        return number

    def remove_or_doom(self, segment: Segment) -> None:
        """IPC_RMID: a segment that is attached stays until it is not, without a key."""
        if not segment.nattch:
            self.destroy(segment)
            return
        segment.ipc.mode |= SHM_DEST
        self.hide(segment)

    def destroy(self, segment: Segment) -> None:
        """A segment ends."""
        self.remove(segment)
        self.total_pages -= segment.page_count

    def locked_pages(self, uid: int) -> int:
        """Pages of the segments that a user has locked."""
        return sum(segment.page_count for segment in self if segment.locker == uid)

    def resident_pages(self) -> int:
        """Pages of all segments that take memory."""
        return sum(len(segment.frames) for segment in self)
