"""System V semaphores: sets of counters that are changed several at a time (man 2 semget, man 2 semop)."""

from __future__ import annotations

from array import array as numbers
from typing import TYPE_CHECKING

from linuxemu.kernel import WaitQueue
from syscalls.abi.errno import EAGAIN, EIDRM, EINVAL, ENOSPC, ERANGE
from syscalls.abi.flags import IPC_NOWAIT, SEM_UNDO
from syscalls.abi.ipc import SemidDs
from syscalls.errors import Restart, SysError
from syscalls.objects.ipc import IpcObject, IpcTable, dates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syscalls.abi.ipc import Sembuf
    from syscalls.objects.ipc import Room
    from syscalls.objects.task import Task

SEMVMX = 32767
"""The highest value of a semaphore."""
SEMAEM = 32767
"""The highest adjustment for SEM_UNDO; the lowest is one further down."""
_SEMAPHORE, _ADJUSTMENT = 64, 2
"""Bytes that Linux needs for a semaphore, and for what one process would undo of it."""
_DONE = 0


class UndoList:
    """What SEM_UNDO has to undo for a process, or for all tasks that share it (CLONE_SYSVSEM)."""

    __slots__ = ("arrays", "users")

    def __init__(self) -> None:
        self.users = 1
        self.arrays: dict[SemArray, None] = {}
        """The sets with adjustments of this list."""

    def leave(self, t: Task) -> None:
        """A task exits: the last one undoes."""
        self.users -= 1
        if self.users:
            return
        for array in reversed(list(self.arrays)):
            array.undo(self, t.process.pid)
            array.update(t.server.port.now_ns(), operated=True)


def undo_list(t: Task) -> UndoList:
    """A task's list, which is made when it is first needed."""
    if t.sem_undo is None:
        t.sem_undo = UndoList()
    return t.sem_undo


class Operations:
    """One semop(2): what is to be done all at once, or waited for.

    Args:
        ops: the changes, in order.
        pid: the caller's process.
        undo: its list, if a change is to be undone.
    """

    __slots__ = ("alters", "blocking", "ops", "pid", "queue", "status", "undo")

    def __init__(self, ops: Sequence[Sembuf], pid: int, undo: UndoList | None) -> None:
        self.ops = ops
        self.pid = pid
        self.undo = undo
        self.alters = any(op.sem_op for op in ops)
        self.status: int | None = None
        """How it has ended while its task slept: an error number, or 0."""
        self.blocking: Sembuf | None = None
        """The change that cannot be made now."""
        self.queue = WaitQueue()
        """Where its task sleeps."""

    def end(self, status: int) -> None:
        """Let the task go on."""
        self.status = status
        self.queue.wake_all()


class SemArray:
    """A set of semaphores.

    Args:
        t: the task that makes it.
        key: its key.
        mode: permission bits.
        nsems: how many there are.
        room: where adjustments are kept.
    """

    __slots__ = ("_room", "adjustments", "ctime_ns", "ipc", "otime_ns", "pending", "pids", "values")

    def __init__(self, t: Task, key: int, mode: int, nsems: int, room: Room) -> None:
        self._room = room
        self.ipc = IpcObject(key, mode, t.creds)
        self.values = numbers("H", bytes(2 * nsems))
        self.pids = numbers("i", bytes(4 * nsems))
        """Processes that operated on them last."""
        self.otime_ns: int | None = None
        """When semop last succeeded, by the port's clock."""
        self.ctime_ns = t.server.port.now_ns()
        self.pending: list[Operations] = []
        """Those that wait, the first one first."""
        self.adjustments: dict[UndoList, numbers[int]] = {}
        """What each list would add to the values."""

    async def status(self, t: Task) -> SemidDs:
        """What IPC_STAT tells."""
        otime, ctime = await dates(t.server, self.otime_ns, self.ctime_ns)
        return SemidDs(self.ipc.perm(), otime, ctime, len(self.values))

    def attempt(self, todo: Operations) -> int | None:
        """Do all changes or none; returns 0, an error number, or None if they have to wait.

        Raises:
            SysError: ENOMEM, at the first attempt: there is no room for what is to be undone.
        """
        values: dict[int, int] = {}
        adjusted: dict[int, int] = {}
        undo = self._adjustments_of(todo.undo) if todo.undo is not None else numbers("h")
        for op in todo.ops:
            number, change = op.sem_num, op.sem_op
            value = values.get(number, self.values[number])
            if value + change < 0 or (value and not change):
                todo.blocking = op
                return EAGAIN if op.sem_flg & IPC_NOWAIT else None
            if value + change > SEMVMX:
                return ERANGE
            if op.sem_flg & SEM_UNDO:
                adjusted[number] = adjusted.get(number, undo[number]) - change
                if not -SEMAEM - 1 <= adjusted[number] <= SEMAEM:
                    return ERANGE
            values[number] = value + change
        for number, value in values.items():
            self.values[number] = value
            self.pids[number] = todo.pid
        for number, value in adjusted.items():
            undo[number] = value
        return _DONE

    async def sleep(self, t: Task, todo: Operations, deadline_ns: int | None) -> int:
        """Wait until changes can be made that cannot be made now; returns 0 or an error number.

        Args:
            t: the calling task.
            todo: the changes.
            deadline_ns: by the port's clock; None to wait for ever.
        """
        self.pending.append(todo)
        try:
            status = await t.wait([todo.queue], lambda: todo.status, deadline_ns, Restart.NEVER)
        finally:
            if todo in self.pending:
                self.pending.remove(todo)
        return EAGAIN if status is None else status

    def _adjustments_of(self, owner: UndoList) -> numbers[int]:
        found = self.adjustments.get(owner)
        if found is None:
            size = _ADJUSTMENT * len(self.values)
            self._room.take(size)
            found = self.adjustments[owner] = numbers("h", bytes(size))
            owner.arrays[self] = None
        return found

    def update(self, now_ns: int, *, operated: bool) -> None:
        """Values have changed: let those go on that can.

        Args:
            now_ns: the port's clock.
            operated: semop changed them, or the end of a process.
        """
        while self._end_one():
            operated = True
        if operated:
            self.otime_ns = now_ns

    def _end_one(self) -> bool:
        """End those that fail, and the first that succeeds: whoever waits for zero is before whoever changes it."""
        for todo in sorted(self.pending, key=lambda todo: todo.alters):
            status = self.attempt(todo)
            if status is not None:
                self.pending.remove(todo)
                todo.end(status)
                if status == _DONE:
                    return True
        return False

    def waiting(self, number: int, *, for_zero: bool) -> int:
        """How many tasks wait for a semaphore to become zero, or to grow (GETZCNT, GETNCNT)."""
        blocking = [todo.blocking for todo in self.pending if todo.blocking is not None]
        return sum(op.sem_num == number and (not op.sem_op) == for_zero for op in blocking)

    def set_value(self, number: int, value: int, pid: int) -> None:
        """SETVAL, SETALL: the semaphore has a new value, and nothing is undone any more; `update` is to follow."""
        self.values[number] = value
        self.pids[number] = pid
        for adjustments in self.adjustments.values():
            adjustments[number] = 0

    def undo(self, owner: UndoList, pid: int) -> None:
        """Add what a list has noted, within the bounds of values; the list is not used any more."""
        self._room.give(_ADJUSTMENT * len(self.values))
        for number, change in enumerate(self.adjustments.pop(owner)):
            if change:
                self.values[number] = min(max(self.values[number] + change, 0), SEMVMX)
                self.pids[number] = pid


class SemTable(IpcTable[SemArray]):
    """All sets of semaphores, and their limits (man 5 proc_sys_kernel)."""

    __slots__ = ("_room", "semmni", "semmns", "semmsl", "semopm", "used")

    def __init__(self, room: Room) -> None:
        super().__init__()
        self._room = room
        self.semmsl = 32000
        """Semaphores that a set can have."""
        self.semmns = 1_024_000_000
        """Semaphores that all sets can have together."""
        self.semopm = 500
        """Changes that one semop can make."""
        self.semmni = 32000
        """How many sets there can be."""
        self.used = 0
        """Semaphores of all sets."""

    def make(self, t: Task, key: int, mode: int, nsems: int) -> SemArray:
        """A new set that is in no table yet; EINVAL if it would be empty, ENOSPC beyond a limit."""
        if not nsems:
            raise SysError(EINVAL)
        if self.used + nsems > self.semmns:
            raise SysError(ENOSPC)
        return SemArray(t, key, mode, nsems, self._room)

    def add(self, new: SemArray, limit: int) -> int:
        """See `IpcTable.add`; ENOMEM, too."""
        size = _SEMAPHORE * len(new.values)
        self._room.take(size)
        try:
            number = super().add(new, limit)
        except SysError:
            self._room.give(size)
            raise
        self.used += len(new.values)
        return number

    def destroy(self, array: SemArray) -> None:
        """A set ends; whoever waits for it is told (EIDRM)."""
        self.remove(array)
        self.used -= len(array.values)
        self._room.give((_SEMAPHORE + _ADJUSTMENT * len(array.adjustments)) * len(array.values))
        for owner in array.adjustments:
            del owner.arrays[array]
        array.adjustments.clear()
        pending, array.pending = array.pending, []
        for todo in pending:
            todo.end(EIDRM)
