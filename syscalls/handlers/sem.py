"""System V semaphores: semget, semop, semtimedop, semctl."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import E2BIG, EFBIG, EINVAL, ERANGE
from syscalls.abi.flags import (
    GETALL,
    GETNCNT,
    GETPID,
    GETVAL,
    GETZCNT,
    IPC_INFO,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    SEM_INFO,
    SEM_STAT,
    SEM_STAT_ANY,
    SEM_UNDO,
    SETALL,
    SETVAL,
)
from syscalls.abi.ipc import Sembuf, SemidDs, Seminfo
from syscalls.abi.structs import Timespec
from syscalls.errors import SysError
from syscalls.registry import syscall
from syscalls.types import In, Int, IpcKey, Out, SemCommand, SemGetFlags, SemOperations, Shown, UInt, s32

if TYPE_CHECKING:
    from syscalls.objects.sem import SemArray, SemTable
    from syscalls.objects.task import Task

_READ, _WRITE = 0o444, 0o222
_SEMUSZ = 20
_ONE = (GETVAL, GETPID, GETNCNT, GETZCNT)


@syscall("semget", errors="EACCES EEXIST EINVAL ENOENT ENOMEM ENOSPC")
async def semget(t: Task, key: IpcKey, nsems: Int, semflg: SemGetFlags) -> int:
    """Find or make a set of semaphores (man 2 semget)."""
    table, name = t.server.ipc.sem, s32(key)
    if not 0 <= nsems <= table.semmsl:
        raise SysError(EINVAL)

    def make() -> SemArray:
        return table.make(t, name, semflg, nsems)

    return table.get(t, name, semflg, lambda found: len(found.values) >= nsems, make, table.semmni)


_OPERATES = "E2BIG EACCES EAGAIN EFAULT EFBIG EIDRM EINTR EINVAL ENOMEM ERANGE"


@syscall("semop", errors=_OPERATES)
async def semop(t: Task, semid: Int, sops: SemOperations, nsops: UInt) -> None:
    """Change semaphores, all or none (man 2 semop)."""
    await _operate(t, semid, sops, nsops, None)


@syscall("semtimedop", errors=_OPERATES)
async def semtimedop(t: Task, semid: Int, sops: SemOperations, nsops: UInt, timeout: In[Timespec]) -> None:
    """Change semaphores, and wait for a limited time only (man 2 semtimedop)."""
    limit = await t.mem.struct(timeout, Timespec) if timeout else None
    await _operate(t, semid, sops, nsops, limit)


async def _operate(t: Task, semid: int, sops: int, nsops: int, limit: Timespec | None) -> None:
    from syscalls.objects.sem import Operations, undo_list

    table, port = t.server.ipc.sem, t.server.port
    if nsops > table.semopm:
        raise SysError(E2BIG)
    if not nsops:
        raise SysError(EINVAL)
    raw = await t.mem.read(sops, nsops * Sembuf.SIZE)
    ops = [Sembuf.unpack(raw, at) for at in range(0, len(raw), Sembuf.SIZE)]
    if limit is not None and not limit.valid():
        raise SysError(EINVAL)
    array = table.find(semid)
    if max(op.sem_num for op in ops) >= len(array.values):
        raise SysError(EFBIG)
    undo = undo_list(t) if any(op.sem_flg & SEM_UNDO for op in ops) else None
    todo = Operations(ops, t.process.pid, undo)
    array.ipc.check(t.creds, _WRITE if todo.alters else _READ)
    status = array.attempt(todo)
    if status is None:
        deadline_ns = port.now_ns() + limit.ns() if limit is not None else None
        status = await array.sleep(t, todo, deadline_ns)
    elif not status:
        array.update(port.now_ns(), operated=True)
    if status:
        raise SysError(status)


@syscall("semctl", errors="EACCES EFAULT EINVAL EIO EPERM ERANGE")
async def semctl(
    t: Task, semid: Int, semnum: Int, cmd: SemCommand, arg: Annotated[Out[bytes], Shown("sem_control")]
) -> int:
    """Control semaphores (man 2 semctl)."""
    table = t.server.ipc.sem
    if semid < 0:
        raise SysError(EINVAL)
    if cmd in (IPC_INFO, SEM_INFO):
        await t.mem.put(arg, _information(table, cmd == SEM_INFO))
        return table.max_index
    if cmd in (IPC_STAT, SEM_STAT, SEM_STAT_ANY):
        array = table.find(semid) if cmd == IPC_STAT else table.at(semid)
        if cmd != SEM_STAT_ANY:
            array.ipc.check(t.creds, _READ)
        await t.mem.put(arg, await array.status(t))
        return 0 if cmd == IPC_STAT else array.ipc.id
    if cmd == IPC_SET:
        new = await t.mem.struct(arg, SemidDs)
        array = table.owned(t.creds, semid)
        array.ipc.set_perm(new.sem_perm)
        array.ctime_ns = t.server.port.now_ns()
        return 0
    if cmd == IPC_RMID:
        table.destroy(table.owned(t.creds, semid))
        return 0
    if cmd in _ONE:
        return _one(t, table.find(semid), semnum, cmd)
    if cmd == GETALL:
        array = table.find(semid)
        array.ipc.check(t.creds, _READ)
        await t.mem.write(arg, array.values.tobytes())
    elif cmd == SETALL:
        await _set_all(t, table.find(semid), arg)
    elif cmd == SETVAL:
        _set_value(t, table, semid, semnum, s32(arg))
    else:
        raise SysError(EINVAL)
    return 0


def _information(table: SemTable, used: bool) -> Seminfo:
    """Limits, and of two of the fields either more of them or what is used."""
    from syscalls.objects.sem import SEMAEM, SEMVMX

    last = (len(table), SEMVMX, table.used) if used else (_SEMUSZ, SEMVMX, SEMAEM)
    most = 32000 * 32000
    return Seminfo(most, table.semmni, table.semmns, most, table.semmsl, table.semopm, 500, *last)


def _one(t: Task, array: SemArray, number: int, cmd: int) -> int:
    """GETVAL, GETPID, GETNCNT, GETZCNT."""
    array.ipc.check(t.creds, _READ)
    _check_number(array, number)
    if cmd == GETVAL:
        return array.values[number]
    if cmd == GETPID:
        return array.pids[number]
    return array.waiting(number, for_zero=cmd == GETZCNT)


def _check_number(array: SemArray, number: int) -> None:
    if not 0 <= number < len(array.values):
        raise SysError(EINVAL)


def _set_value(t: Task, table: SemTable, semid: int, number: int, value: int) -> None:
    from syscalls.objects.sem import SEMVMX

    if not 0 <= value <= SEMVMX:
        raise SysError(ERANGE)
    array = table.find(semid)
    _check_number(array, number)
    array.ipc.check(t.creds, _WRITE)
    array.set_value(number, value, t.process.pid)
    _changed(t, array)


async def _set_all(t: Task, array: SemArray, address: int) -> None:
    from syscalls.objects.sem import SEMVMX

    array.ipc.check(t.creds, _WRITE)
    count = len(array.values)
    values = Struct(f"<{count}H").unpack(await t.mem.read(address, 2 * count))
    if max(values) > SEMVMX:
        raise SysError(ERANGE)
    for number, value in enumerate(values):
        array.set_value(number, value, t.process.pid)
    _changed(t, array)


def _changed(t: Task, array: SemArray) -> None:
    array.ctime_ns = t.server.port.now_ns()
    array.update(array.ctime_ns, operated=False)
