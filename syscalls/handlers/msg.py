"""System V message queues: msgget, msgsnd, msgrcv, msgctl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import EINVAL
from syscalls.abi.flags import (
    IPC_INFO,
    IPC_NOWAIT,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    MSG_COPY,
    MSG_EXCEPT,
    MSG_INFO,
    MSG_STAT,
    MSG_STAT_ANY,
)
from syscalls.abi.ipc import Msginfo, MsqidDs
from syscalls.errors import SysError
from syscalls.registry import syscall
from syscalls.types import (
    Count,
    In,
    Int,
    IpcKey,
    Long,
    MsgCommand,
    MsgFlags,
    MsgGetFlags,
    Out,
    Shown,
    Size,
    s32,
    s64,
)

if TYPE_CHECKING:
    from syscalls.objects.msg import MsgQueue, MsgTable
    from syscalls.objects.task import Task

_READ = 0o444
_TYPE_SIZE = 8
_LONG_MIN = -1 << 63
_MSGMAP = _MSGTQL = 16384
_MSGPOOL, _MSGSSZ, _MSGSEG = 512_000, 16, 0xFFFF
"""Limits of old, which Linux tells and does not know."""


@syscall("msgget", errors="EACCES EEXIST ENOENT ENOSPC")
async def msgget(t: Task, key: IpcKey, msgflg: MsgGetFlags) -> int:
    """Find or make a message queue (man 2 msgget)."""
    table, name = t.server.ipc.msg, s32(key)

    def make() -> MsgQueue:
        return table.make(t, name, msgflg)

    return table.get(t, name, msgflg, lambda found: True, make, table.msgmni)


@syscall("msgsnd", errors="EACCES EAGAIN EFAULT EIDRM EINTR EINVAL ENOMEM")
async def msgsnd(
    t: Task,
    msqid: Int,
    msgp: Annotated[In[bytes], Shown("msgbuf"), Count("msgsz")],
    msgsz: Size,
    msgflg: MsgFlags,
) -> None:
    """Send a message (man 2 msgsnd)."""
    from syscalls.objects.msg import Message

    kind = await t.mem.s64(msgp)
    table = t.server.ipc.msg
    if msgsz > table.msgmax or msqid < 0 or kind < 1:
        raise SysError(EINVAL)
    message = Message(kind, await t.mem.read(msgp + _TYPE_SIZE, msgsz))
    await table.find(msqid).send(t, message, msgflg)


@syscall("msgrcv", errors="E2BIG EACCES EFAULT EIDRM EINTR EINVAL ENOMSG")
async def msgrcv(
    t: Task,
    msqid: Int,
    msgp: Annotated[Out[bytes], Shown("msgbuf"), Count("result")],
    msgsz: Size,
    msgtyp: Long,
    msgflg: MsgFlags,
) -> int:
    """Receive a message (man 2 msgrcv)."""
    from syscalls.objects.msg import Wanted

    table = t.server.ipc.msg
    if msqid < 0 or s64(msgsz) < 0:
        raise SysError(EINVAL)
    if msgflg & MSG_COPY:
        if msgflg & MSG_EXCEPT or not msgflg & IPC_NOWAIT:
            raise SysError(EINVAL)
        await t.mem.read(msgp, min(msgsz, table.msgmax))  # Linux makes its copy of a message out of this
    wanted = Wanted(max(msgtyp, _LONG_MIN + 1), msgflg, msgsz)
    message = await table.find(msqid).receive(t, wanted)
    await t.mem.put_u64(msgp, message.type)
    text = message.text[:msgsz]
    await t.mem.write(msgp + _TYPE_SIZE, text)
    return len(text)


@syscall("msgctl", errors="EACCES EFAULT EINVAL EIO EPERM")
async def msgctl(
    t: Task, msqid: Int, cmd: MsgCommand, buf: Annotated[Out[bytes], Shown("msg_control")]
) -> int:
    """Control a message queue (man 2 msgctl)."""
    table = t.server.ipc.msg
    if msqid < 0:
        raise SysError(EINVAL)
    if cmd in (IPC_INFO, MSG_INFO):
        await t.mem.put(buf, _information(table, cmd == MSG_INFO))
        return table.max_index
    if cmd in (IPC_STAT, MSG_STAT, MSG_STAT_ANY):
        queue = table.find(msqid) if cmd == IPC_STAT else table.at(msqid)
        if cmd != MSG_STAT_ANY:
            queue.ipc.check(t.creds, _READ)
        await t.mem.put(buf, await queue.status(t))
        return 0 if cmd == IPC_STAT else queue.ipc.id
    if cmd == IPC_SET:
        new = await t.mem.struct(buf, MsqidDs)
        table.owned(t.creds, msqid).change(t, new, table.msgmnb)
    elif cmd == IPC_RMID:
        table.destroy(table.owned(t.creds, msqid))
    else:
        raise SysError(EINVAL)
    return 0


def _information(table: MsgTable, used: bool) -> Msginfo:
    """Limits, and of three of the fields either more of them or what is used."""
    pool, count, size = _MSGPOOL, _MSGMAP, _MSGTQL
    if used:
        pool = len(table)
        count = sum(len(queue.messages) for queue in table)
        size = sum(queue.cbytes for queue in table)
    return Msginfo(pool, count, table.msgmax, table.msgmnb, table.msgmni, _MSGSSZ, size, _MSGSEG)
