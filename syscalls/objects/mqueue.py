"""POSIX message queues (man 7 mq_overview): messages, who waits for them or for room, and who is to be told.

The names of queues, and the files that they are, are in `syscalls.fs.mqueuefs`.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from linuxemu.kernel import WaitQueue
from syscalls.abi.errno import EAGAIN, EBUSY, EINVAL, EMFILE, ENOMEM, ENOSPC, ETIMEDOUT
from syscalls.abi.flags import CAP_SYS_RESOURCE, RLIMIT_MSGQUEUE, SI_MESGQ, SIGEV_SIGNAL
from syscalls.errors import SysError
from syscalls.objects.siginfo import SigInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.objects.fdtable import FdTable
    from syscalls.objects.mm import MemoryMap
    from syscalls.objects.process import Process
    from syscalls.objects.task import Task

MQ_PRIO_MAX = 32768
HARD_MSGMAX = 65536
"""Messages that a queue can hold, whoever makes it ..."""
HARD_MSGSIZEMAX = 1 << 24
"""... and bytes of one."""
_MESSAGE_COST = 48
"""Bytes that RLIMIT_MSGQUEUE counts for a message beside its text: Linux's struct msg_msg ..."""
_LEVEL_COST = 48
"""... and for each priority that messages may have: its struct posix_msg_tree_node."""
_MOST_MEMORY = 1 << 28
"""Bytes of this server's memory that all queues may take: then there is none left, as on a smaller machine."""
_MEMORY_OF_QUEUE = 4096
_MEMORY_OF_MESSAGE = 256


class Message(NamedTuple):
    """A message: the higher its priority, the sooner it is received."""

    priority: int
    data: bytes


class QueueLimits:
    """What all queues share: the settings in /proc/sys/fs/mqueue, and how much is in use."""

    __slots__ = (
        "_charged", "memory", "msg_default", "msg_max", "msgsize_default", "msgsize_max", "queues", "queues_max",
    )  # fmt: skip

    def __init__(self) -> None:
        self.msg_default = 10
        """Messages of a queue made without attributes."""
        self.msg_max = 10
        """Most messages that one without CAP_SYS_RESOURCE may ask for."""
        self.msgsize_default = 8192
        self.msgsize_max = 8192
        self.queues_max = 256
        self.queues = 0
        """How many there are, those without a name included."""
        self.memory = 0
        """Bytes that queues and messages take."""
        self._charged: dict[int, int] = {}

    def new_queue(self, t: Task, attributes: tuple[int, int] | None, touched: Callable[[], None]) -> MessageQueue:
        """Make a queue for a user.

        Args:
            t: the caller.
            attributes: how many messages it holds, and of how many bytes each; None for the defaults.
            touched: called when a message comes or goes.

        Raises:
            SysError: ENOSPC for too many queues, EINVAL for attributes beyond the limits, EMFILE beyond the user's
                RLIMIT_MSGQUEUE, ENOMEM.
        """
        may_exceed = t.creds.capable(CAP_SYS_RESOURCE)
        if self.queues >= self.queues_max and not may_exceed:
            raise SysError(ENOSPC)
        if attributes is None:
            attributes = min(self.msg_max, self.msg_default), min(self.msgsize_max, self.msgsize_default)
        maxmsg, msgsize = attributes
        most, most_size = (HARD_MSGMAX, HARD_MSGSIZEMAX) if may_exceed else (self.msg_max, self.msgsize_max)
        if not 0 < maxmsg <= most or not 0 < msgsize <= most_size:
            raise SysError(EINVAL)
        cost = maxmsg * (msgsize + _MESSAGE_COST) + min(maxmsg, MQ_PRIO_MAX) * _LEVEL_COST
        uid = t.creds.uid
        charged = self._charged.get(uid, 0) + cost
        if charged > t.process.rlimits[RLIMIT_MSGQUEUE][0]:
            raise SysError(EMFILE)
        self.take_memory(_MEMORY_OF_QUEUE)
        self._charged[uid] = charged
        self.queues += 1
        return MessageQueue(self, maxmsg, msgsize, (uid, cost), touched)

    def forget(self, queue: MessageQueue) -> None:
        """A queue is gone, with its messages."""
        uid, cost = queue.charge
        self._charged[uid] -= cost
        if not self._charged[uid]:
            del self._charged[uid]
        self.queues -= 1
        self.memory -= _MEMORY_OF_QUEUE + queue.size + len(queue) * _MEMORY_OF_MESSAGE

    def take_memory(self, count: int) -> None:
        """Count bytes that are taken; ENOMEM where there is not so much left."""
        if self.memory + count > _MOST_MEMORY:
            raise SysError(ENOMEM)
        self.memory += count


class Notification(NamedTuple):
    """Who is to be told of the next message in an empty queue, and how (man 2 mq_notify)."""

    process: Process
    mm: MemoryMap
    """Its memory then: another program, after execve, gets no signal."""
    method: int
    """SIGEV_SIGNAL or SIGEV_NONE."""
    signo: int
    value: int

    def send(self, t: Task) -> None:
        """Send the signal, on behalf of the task whose message came; a lost one is nobody's error."""
        from syscalls.objects.signal import send_signal

        if self.method != SIGEV_SIGNAL or not self.signo or self.process.mm is not self.mm:
            return
        info = SigInfo(self.signo, SI_MESGQ, t.process.pid, t.creds.uid, value=self.value)
        try:
            send_signal(self.process, info)
        except SysError:
            pass


class _Sleeper:
    """A task that waits for a message, or for room for its own."""

    __slots__ = ("message", "queue", "ready", "task")

    def __init__(self, task: Task, message: Message | None) -> None:
        self.task = task
        self.message = message
        self.ready = False
        self.queue = WaitQueue()

    def go_on(self) -> None:
        """What it waits for has come."""
        self.ready = True
        self.queue.wake_all()

    def result(self) -> Message | None:
        """The message that it got, or got rid of, as an attempt of `Task.wait`."""
        return self.message if self.ready else None


class MessageQueue:
    """A queue of messages. Use `QueueLimits.new_queue`.

    A message goes directly to the one who waits longest for it, and room to the message that waits longest for it,
    among those whose tasks have the highest priority.

    Args:
        limits: what it counts in.
        maxmsg: messages that it holds.
        msgsize: most bytes of one.
        charge: the user that it is charged to, and the bytes that RLIMIT_MSGQUEUE counts.
        touched: called when a message comes or goes.
    """

    __slots__ = (
        "_limits", "_messages", "_receivers", "_senders", "_serial", "charge", "maxmsg", "msgsize", "notification",
        "polled", "size", "touched",
    )  # fmt: skip

    def __init__(
        self, limits: QueueLimits, maxmsg: int, msgsize: int, charge: tuple[int, int], touched: Callable[[], None]
    ) -> None:
        self._limits = limits
        self.maxmsg = maxmsg
        self.msgsize = msgsize
        self.charge = charge
        self.touched = touched
        self.size = 0
        """Bytes in its messages."""
        self.notification: Notification | None = None
        self.polled = WaitQueue()
        """Woken when it is no longer empty or full."""
        self._messages: list[tuple[int, int, Message]] = []
        self._serial = 0
        self._receivers: list[_Sleeper] = []
        self._senders: list[_Sleeper] = []

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Whether a sender has to wait."""
        return len(self._messages) == self.maxmsg

    async def send(self, t: Task, message: Message, until_ns: int | None, wait: bool) -> None:
        """Send a message; while the queue is full, wait or fail with EAGAIN.

        Args:
            t: the sender.
            message: the message, not longer than `msgsize`.
            until_ns: the time of CLOCK_REALTIME when it has waited enough: ETIMEDOUT; None for never.
            wait: whether it waits at all.
        """
        cost = len(message.data) + _MEMORY_OF_MESSAGE
        self._limits.take_memory(cost)
        try:
            if self.full:
                if not wait:
                    raise SysError(EAGAIN)
                await self._sleep(self._senders, _Sleeper(t, message), until_ns)
                return
        except BaseException:
            self._limits.memory -= cost
            raise
        if self._receivers:
            receiver = self._receivers.pop(0)
            receiver.message = message
            receiver.go_on()
        else:
            self._insert(message)
            if len(self) == 1 and self.notification is not None:
                self.notification.send(t)
                self.notification = None
            self.polled.wake_all()
        self.touched()

    async def receive(self, t: Task, until_ns: int | None, wait: bool) -> Message:
        """Take the first message of the highest priority; while there is none, wait or fail with EAGAIN.

        Args:
            t: the receiver.
            until_ns: as for `send`.
            wait: whether it waits at all.
        """
        if not self._messages:
            if not wait:
                raise SysError(EAGAIN)
            message = await self._sleep(self._receivers, _Sleeper(t, None), until_ns)
        else:
            message = heappop(self._messages)[2]
            self.size -= len(message.data)
            self.touched()
            self._let_one_in()
        self._limits.memory -= len(message.data) + _MEMORY_OF_MESSAGE
        return message

    def _insert(self, message: Message) -> None:
        self._serial += 1
        heappush(self._messages, (-message.priority, self._serial, message))
        self.size += len(message.data)

    def _let_one_in(self) -> None:
        """There is room again: for the message of a sender that waits, or for anybody's."""
        if not self._senders:
            self.polled.wake_all()
            return
        sender = self._senders.pop(0)
        assert sender.message is not None
        self._insert(sender.message)
        sender.go_on()

    @staticmethod
    async def _sleep(line: list[_Sleeper], sleeper: _Sleeper, until_ns: int | None) -> Message:
        from syscalls.objects.timers import wait_until

        t = sleeper.task
        rank = _rank(t)
        place = next((index for index, other in enumerate(line) if _rank(other.task) > rank), len(line))
        line.insert(place, sleeper)
        try:
            if until_ns is None:
                message = await t.wait([sleeper.queue], sleeper.result)
            else:
                message = await wait_until(t, until_ns, [sleeper.queue], sleeper.result)
        finally:
            if sleeper in line:
                line.remove(sleeper)
        if message is None:
            raise SysError(ETIMEDOUT)
        return message

    def notify(self, t: Task, method: int, signo: int, value: int) -> None:
        """Tell the caller's process of the next message that comes while nobody waits; EBUSY if it is somebody's turn.

        Args:
            t: the caller.
            method: SIGEV_SIGNAL or SIGEV_NONE.
            signo: the signal, 0 for none.
            value: si_value.
        """
        if self.notification is not None:
            raise SysError(EBUSY)
        self.notification = Notification(t.process, t.mm, method, signo, value)

    def dismiss(self, t: Task) -> bool:
        """Tell the caller's process of nothing any more; whether it was to be told."""
        if self.notification is None or self.notification.process is not t.process:
            return False
        self.notification = None
        return True

    def closed_in(self, table: FdTable) -> None:
        """A descriptor was closed: its process is told of nothing any more."""
        told = self.notification
        if told is not None and any(task.files is table for task in told.process.tasks.values()):
            self.notification = None

    def status(self) -> bytes:
        """What read(2) shows of it (man 7 mq_overview)."""
        told = self.notification
        method, signo, pid = (told.method, told.signo, told.process.pid) if told is not None else (0, 0, 0)
        if method != SIGEV_SIGNAL:
            signo = 0
        return b"QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n" % (self.size, method, signo, pid)


def _rank(t: Task) -> int:
    """How urgent a task is, the most urgent first: real-time priorities, then nice values."""
    return -t.sched_priority if t.sched_priority else 20 + t.nice
