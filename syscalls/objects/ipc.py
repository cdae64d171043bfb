"""System V IPC objects: identifiers, keys, owners and permissions (man 7 sysvipc).

An identifier is an index, and above it a number that changes when an index is used again, so that an old identifier
does not name a new object.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from syscalls.abi.errno import EACCES, EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC, EPERM
from syscalls.abi.flags import CAP_IPC_OWNER, CAP_SYS_ADMIN, CLOCK_REALTIME, IPC_CREAT, IPC_EXCL, IPC_PRIVATE
from syscalls.abi.ipc import IpcPerm
from syscalls.errors import SysError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from syscalls.objects.credentials import Credentials
    from syscalls.objects.task import Task
    from syscalls.server import LinuxServer

IPCMNI = 32768
"""Indexes there can be, and what the sequence number is multiplied with."""
_SEQ_MAX = 0x7FFF_FFFF // IPCMNI
_MIN_CYCLE = 64
"""Indexes that are used before the first is used again, however few objects there are."""
_ACCESS = 0o777
_NO_ID = 0xFFFF_FFFF
_SECOND = 1_000_000_000


class IpcObject:
    """What shared memory, semaphores and message queues have in common: the kernel's struct kern_ipc_perm.

    Args:
        key: its name; IPC_PRIVATE for none.
        mode: permission bits; others are ignored.
        creds: the maker's.
    """

    __slots__ = ("cgid", "cuid", "gid", "id", "key", "mode", "removed", "seq", "uid")

    def __init__(self, key: int, mode: int, creds: Credentials) -> None:
        self.key = key
        self.mode = mode & _ACCESS
        self.uid = self.cuid = creds.euid
        self.gid = self.cgid = creds.egid
        self.id = self.seq = 0
        """Set when it is added to a table."""
        self.removed = False

    def allows(self, creds: Credentials, wanted: int) -> bool:
        """Whether access is granted.

        Args:
            creds: the caller's.
            wanted: permission bits; it does not matter of which of the three classes.
        """
        wanted = (wanted >> 6 | wanted >> 3 | wanted) & 7
        if creds.euid in (self.cuid, self.uid):
            granted = self.mode >> 6
        elif creds.in_group(self.cgid) or creds.in_group(self.gid):
            granted = self.mode >> 3
        else:
            granted = self.mode
        return not wanted & ~granted or creds.capable(CAP_IPC_OWNER)

    def check(self, creds: Credentials, wanted: int) -> None:
        """EACCES unless access is granted, see `allows`."""
        if not self.allows(creds, wanted):
            raise SysError(EACCES)

    def owned_by(self, creds: Credentials) -> bool:
        """Whether the caller is its owner or maker."""
        return creds.euid in (self.cuid, self.uid)

    def check_owner(self, creds: Credentials) -> None:
        """EPERM unless the caller may change or remove it (IPC_SET, IPC_RMID)."""
        if not self.owned_by(creds) and not creds.capable(CAP_SYS_ADMIN):
            raise SysError(EPERM)

    def perm(self) -> IpcPerm:
        """What IPC_STAT tells of this."""
        return IpcPerm(self.key, self.uid, self.gid, self.cuid, self.cgid, self.mode, self.seq)

    def set_perm(self, new: IpcPerm) -> None:
        """Take over owner and permission bits (IPC_SET); EINVAL for ids that are none."""
        if _NO_ID in (new.uid, new.gid):
            raise SysError(EINVAL)
        self.uid, self.gid = new.uid, new.gid
        self.mode = self.mode & ~_ACCESS | new.mode & _ACCESS


class Room:
    """Memory for semaphores and messages, which Linux takes from that of the kernel; beyond it ENOMEM.

    Args:
        most: bytes.
    """

    __slots__ = ("left",)

    def __init__(self, most: int) -> None:
        self.left = most
        """Bytes that are not in use."""

    def take(self, size: int) -> None:
        """Use so many bytes; ENOMEM if there are less."""
        if size > self.left:
            raise SysError(ENOMEM)
        self.left -= size

    def give(self, size: int) -> None:
        """So many bytes are not needed any more."""
        self.left += size


class HasIpc(Protocol):
    """Something with an identifier."""

    @property
    def ipc(self) -> IpcObject:
        """Identifier, key, owner and permissions."""


_T = TypeVar("_T", bound=HasIpc)


class IpcTable(Generic[_T]):
    """The objects of one kind."""

    __slots__ = ("_keys", "_last", "_next", "_objects", "_seq")

    def __init__(self) -> None:
        self._objects: dict[int, _T] = {}
        """By index."""
        self._keys: dict[int, _T] = {}
        """By key, those that have one."""
        self._seq = 0
        self._last = -1
        self._next = 0

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[_T]:
        """The objects in the order of their indexes."""
        return iter([self._objects[index] for index in sorted(self._objects)])

    @property
    def max_index(self) -> int:
        """The highest index in use; 0 if none is, as the calls that tell it have it."""
        return max(self._objects, default=0)

    def add(self, new: _T, limit: int) -> int:
        """Give a new object its identifier and return that; ENOSPC when there are `limit` objects already."""
        if len(self._objects) >= min(limit, IPCMNI):
            raise SysError(ENOSPC)
        end = min(max(len(self._objects) * 3 // 2, _MIN_CYCLE), IPCMNI)
        index = next(index for index in chain(range(self._next, end), range(end)) if index not in self._objects)
        self._next = index + 1
        if index <= self._last:
            self._seq = (self._seq + 1) % _SEQ_MAX
        self._last = index
        self._objects[index] = new
        if new.ipc.key != IPC_PRIVATE:
            self._keys[new.ipc.key] = new
        new.ipc.seq = self._seq
        new.ipc.id = self._seq * IPCMNI + index
        return new.ipc.id

    def remove(self, old: _T) -> None:
        """An object ends: nobody finds it any more."""
        old.ipc.removed = True
        self.hide(old)
        del self._objects[old.ipc.id % IPCMNI]

    def hide(self, found: _T) -> None:
        """Take an object's key away, so that another one can have it."""
        self._keys.pop(found.ipc.key, None)
        found.ipc.key = IPC_PRIVATE

    def find(self, number: int) -> _T:
        """The object with an identifier; EINVAL if there is none."""
        found = self._objects.get(number % IPCMNI) if number >= 0 else None
        if found is None or found.ipc.id != number:
            raise SysError(EINVAL)
        return found

    def at(self, number: int) -> _T:
        """The object at an index, which may be an identifier too (SHM_STAT and others); EINVAL if there is none."""
        found = self._objects.get(number % IPCMNI) if number >= 0 else None
        if found is None:
            raise SysError(EINVAL)
        return found

    def owned(self, creds: Credentials, number: int) -> _T:
        """The object with an identifier, to be changed or removed; EINVAL, EPERM."""
        found = self.find(number)
        found.ipc.check_owner(creds)
        return found

    def get(
        self, t: Task, key: int, flags: int, fits: Callable[[_T], bool], make: Callable[[], _T], limit: int
    ) -> int:
        """The identifier of the object with a key, or of a new one (man 2 shmget, semget, msgget).

        Args:
            t: the calling task.
            key: the key; IPC_PRIVATE makes a new object in any case.
            flags: IPC_CREAT, IPC_EXCL, and the permissions that are wanted or given.
            fits: whether an object that is there is as large as it has to be; if not that is EINVAL.
            make: makes a new object.
            limit: how many there can be.
        """
        found = self._keys.get(key)
        if found is None:
            if key != IPC_PRIVATE and not flags & IPC_CREAT:
                raise SysError(ENOENT)
            return self.add(make(), limit)
        if flags & IPC_CREAT and flags & IPC_EXCL:
            raise SysError(EEXIST)
        if not fits(found):
            raise SysError(EINVAL)
        found.ipc.check(t.creds, flags)
        return found.ipc.id


async def dates(server: LinuxServer, *stamps: int | None) -> list[int]:
    """Points in time as seconds since 1970, 0 for those that have not been.

    Objects note the time by the port's clock, as one that ends with a process cannot ask a server. A real-time clock
    that was set since then has moved these dates, too, which on Linux it does not.

    Args:
        server: the Linux server.
        stamps: times of `port.now_ns`.
    """
    behind = await server.clock_ns(CLOCK_REALTIME) - server.port.now_ns()
    return [0 if stamp is None else (stamp + behind) // _SECOND for stamp in stamps]
