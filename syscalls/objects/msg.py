"""System V message queues (man 2 msgget, man 2 msgsnd)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from linuxemu.kernel import WaitQueue
from syscalls.abi.errno import E2BIG, EAGAIN, EIDRM, EINVAL, ENOMSG, EPERM
from syscalls.abi.flags import CAP_SYS_RESOURCE, IPC_NOWAIT, MSG_COPY, MSG_EXCEPT, MSG_NOERROR
from syscalls.abi.ipc import MsqidDs
from syscalls.errors import Restart, SysError
from syscalls.objects.ipc import IpcObject, IpcTable, dates

if TYPE_CHECKING:
    from syscalls.objects.ipc import Room
    from syscalls.objects.task import Task

_READ, _WRITE = 0o444, 0o222
_MESSAGE = 128
"""Bytes that a message without text takes."""


class Message(NamedTuple):
    """A message."""

    type: int
    text: bytes

    @property
    def size(self) -> int:
        """Bytes of room that it takes."""
        return _MESSAGE + len(self.text)


class Wanted(NamedTuple):
    """What a msgrcv(2) asks for.

    Args:
        type: 0 for any message, a type, or the negative of the highest one; with MSG_COPY a position.
        flags: IPC_NOWAIT, MSG_NOERROR, MSG_EXCEPT, MSG_COPY.
        size: bytes that there is room for.
    """

    type: int
    flags: int
    size: int

    def fits(self, message: Message) -> bool:
        """Whether a message is of the type asked for."""
        if not self.type:
            return True
        if self.type < 0:
            return message.type <= -self.type
        return (message.type == self.type) != bool(self.flags & MSG_EXCEPT)

    def find(self, messages: list[Message]) -> int | None:
        """Position of the message to be taken: the first one that fits, or of the lowest type."""
        if self.flags & MSG_COPY:
            return self.type if 0 <= self.type < len(messages) else None
        fitting = [at for at, message in enumerate(messages) if self.fits(message)]
        if self.type < 0:
            return min(fitting, key=lambda at: messages[at].type, default=None)
        return fitting[0] if fitting else None

    def has_room(self, message: Message) -> bool:
        """Whether it is taken although it may be cut."""
        return len(message.text) <= self.size or bool(self.flags & MSG_NOERROR)


class Receiver:
    """A msgrcv(2) that waits.

    Args:
        pid: the caller's process.
        wanted: what it waits for.
    """

    __slots__ = ("error", "message", "pid", "queue", "wanted")

    def __init__(self, pid: int, wanted: Wanted) -> None:
        self.pid = pid
        self.wanted = wanted
        self.message: Message | None = None
        """What a sender has handed over."""
        self.error = 0
        self.queue = WaitQueue()
        """Where its task sleeps."""


class MsgQueue:
    """A message queue.

    Args:
        t: the task that makes it.
        key: its key.
        mode: permission bits.
        qbytes: bytes that its messages can have together, and how many messages there can be.
        room: where messages are kept.
    """

    __slots__ = (
        "_room", "cbytes", "ctime_ns", "ipc", "lrpid", "lspid", "messages", "qbytes", "receivers", "rtime_ns",
        "senders", "stime_ns",
    )  # fmt: skip

    def __init__(self, t: Task, key: int, mode: int, qbytes: int, room: Room) -> None:
        self._room = room
        self.ipc = IpcObject(key, mode, t.creds)
        self.qbytes = qbytes
        self.messages: list[Message] = []
        self.cbytes = 0
        """Bytes that its messages have together."""
        self.lspid = self.lrpid = 0
        self.stime_ns: int | None = None
        self.rtime_ns: int | None = None
        self.ctime_ns = t.server.port.now_ns()
        """Times of the last msgsnd, msgrcv and change, by the port's clock."""
        self.receivers: list[Receiver] = []
        """Those that wait for a message, the first one first."""
        self.senders = WaitQueue()
        """Tasks that wait for room."""

    async def status(self, t: Task) -> MsqidDs:
        """What IPC_STAT tells."""
        stime, rtime, ctime = await dates(t.server, self.stime_ns, self.rtime_ns, self.ctime_ns)
        counts = self.cbytes, len(self.messages), self.qbytes
        return MsqidDs(self.ipc.perm(), stime, rtime, ctime, *counts, self.lspid, self.lrpid)

    def _check(self, t: Task, wanted: int) -> None:
        """EIDRM for a queue that is gone, EACCES for one that may not be used any more."""
        if self.ipc.removed:
            raise SysError(EIDRM)
        self.ipc.check(t.creds, wanted)

    async def send(self, t: Task, message: Message, flags: int) -> None:
        """Add a message, when there is room (man 2 msgsnd)."""

        def attempt() -> bool | None:
            self._check(t, _WRITE)
            if self.cbytes + len(message.text) > self.qbytes or len(self.messages) >= self.qbytes:
                if flags & IPC_NOWAIT:
                    raise SysError(EAGAIN)
                return None
            return True

        self._room.take(message.size)
        try:
            await t.wait([self.senders], attempt, restart=Restart.NOHAND)
        except BaseException:
            self._room.give(message.size)
            raise
        self.lspid = t.process.pid
        self.stime_ns = t.server.port.now_ns()
        if self._hand_over(message, self.stime_ns):
            self._room.give(message.size)
        else:
            self.messages.append(message)
            self.cbytes += len(message.text)

    def _hand_over(self, message: Message, now_ns: int) -> bool:
        """Give a message to the first that waits for it; whoever has no room for it fails (E2BIG)."""
        for receiver in [it for it in self.receivers if it.wanted.fits(message)]:
            self.receivers.remove(receiver)
            if receiver.wanted.has_room(message):
                receiver.message = message
                self.lrpid = receiver.pid
                self.rtime_ns = now_ns
            else:
                receiver.error = E2BIG
            receiver.queue.wake_all()
            if receiver.message is not None:
                return True
        return False

    async def receive(self, t: Task, wanted: Wanted) -> Message:
        """Take a message, when there is one, or copy it (man 2 msgrcv)."""
        receiver = Receiver(t.process.pid, wanted)

        def attempt() -> Message | None:
            if receiver.message is not None:
                return receiver.message
            if receiver.error:
                raise SysError(receiver.error)
            self._check(t, _READ)
            found = wanted.find(self.messages)
            if found is not None:
                return self._take(t, found, wanted)
            if wanted.flags & IPC_NOWAIT:
                raise SysError(ENOMSG)
            if receiver not in self.receivers:
                self.receivers.append(receiver)
            return None

        try:
            message = await t.wait([receiver.queue], attempt, restart=Restart.NOHAND)
        finally:
            if receiver in self.receivers:
                self.receivers.remove(receiver)
        assert message is not None  # there is no deadline
        return message

    def _take(self, t: Task, at: int, wanted: Wanted) -> Message:
        message = self.messages[at]
        if not wanted.has_room(message):
            raise SysError(E2BIG)
        if wanted.flags & MSG_COPY and len(message.text) > wanted.size:
            raise SysError(EINVAL)  # copies are not cut
        if not wanted.flags & MSG_COPY:
            del self.messages[at]
            self._room.give(message.size)
            self.cbytes -= len(message.text)
            self.lrpid = t.process.pid
            self.rtime_ns = t.server.port.now_ns()
            self.senders.wake_all()
        return message

    def change(self, t: Task, new: MsqidDs, most: int) -> None:
        """IPC_SET: owner, permissions and size; whoever waits looks again.

        Args:
            t: the calling task.
            new: what it is to be.
            most: msgmnb: EPERM beyond that without CAP_SYS_RESOURCE.
        """
        if new.msg_qbytes > most and not t.creds.capable(CAP_SYS_RESOURCE):
            raise SysError(EPERM)
        self.ipc.set_perm(new.msg_perm)
        self.qbytes = new.msg_qbytes
        self.ctime_ns = t.server.port.now_ns()
        self.wake_all()

    def clear(self) -> None:
        """Give up the messages: the queue is gone."""
        for message in self.messages:
            self._room.give(message.size)
        self.messages.clear()
        self.wake_all()

    def wake_all(self) -> None:
        """Let all that wait look again."""
        for receiver in self.receivers:
            receiver.queue.wake_all()
        self.senders.wake_all()


class MsgTable(IpcTable[MsgQueue]):
    """All message queues, and their limits (man 5 proc_sys_kernel)."""

    __slots__ = ("_room", "msgmax", "msgmnb", "msgmni")

    def __init__(self, room: Room) -> None:
        super().__init__()
        self._room = room
        self.msgmax = 8192
        """Bytes that a message can have."""
        self.msgmnb = 16384
        """Bytes that a new queue's messages can have together."""
        self.msgmni = 32000
        """How many queues there can be."""

    def make(self, t: Task, key: int, mode: int) -> MsgQueue:
        """A new queue that is in no table yet."""
        return MsgQueue(t, key, mode, self.msgmnb, self._room)

    def destroy(self, queue: MsgQueue) -> None:
        """A queue ends; whoever waits is told (EIDRM)."""
        self.remove(queue)
        queue.clear()
