"""Synchronous messages between tasks that receive explicitly: rendezvous, sender queues, notifications.

Servers written as `Server` classes are always receiving, so requests to them never pass here. The rules are those of
the seed's kernel, with what its authors evidently meant where it does otherwise: a peer's death ends a wait with
ERR_ABORTED, and a non-blocking receive takes a sender that waits already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_ABORTED, ERR_INVALID_ARG, ERR_INVALID_TASK, ERR_WOULD_BLOCK
from linuxemu.kernel.activity import Waiter, park
from linuxemu.messages import Notifications

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Coroutine

    from linuxemu.kernel.activity import Activity
    from linuxemu.kernel.task import Task
    from linuxemu.messages import Message

IPC_ANY = 0
MAX_TASKS = 1 << 22
"""Task ids go from 1 to this number."""


class Receiving:
    """A task blocked in a receive. A server's coroutines may be in several, other tasks are in one at most.

    Args:
        task: who receives.
        src: the only task it takes a message from, or IPC_ANY.
        waiter: woken with sender id and message.
    """

    __slots__ = ("src", "task", "waiter")

    def __init__(self, task: Task, src: int, waiter: Waiter) -> None:
        self.task = task
        self.src = src
        self.waiter = waiter


class Sending:
    """A task blocked in a send, standing in the receiver's queue.

    Args:
        task: the sender.
        target: the receiver.
        src: the sender's id as the message shows it: 0 where the kernel speaks for the task.
        message: what it sends.
        waiter: woken when the message was taken, or by what is received then.
        then: from whom the sender receives in the same instant in which its message is taken; None for a mere send.
    """

    __slots__ = ("message", "src", "target", "task", "then", "waiter")

    def __init__(
        self, task: Task, target: Task, src: int, message: Message, waiter: Waiter, then: int | None
    ) -> None:
        self.task = task
        self.target = target
        self.src = src
        self.message = message
        self.waiter = waiter
        self.then = then


class Rendezvous:
    """The part of the kernel that pairs senders and receivers."""

    tasks: dict[int, Task]
    ready: deque[Waiter]

    def __init__(self) -> None:
        self._closed: dict[int, dict[Receiving, None]] = {}
        """Task id -> receives from it alone that wait just now."""

    def spawn(self, coro: Coroutine[Waiter, Any, Any], owner: Task | None = None) -> Activity:
        """See `Kernel.spawn`."""
        raise NotImplementedError

    # -- sending --------------------------------------------------------------------------------------

    def _target(self, owner: Task, dst: int) -> Task:
        target = self.tasks.get(dst)
        if target is None:
            raise RpcError(ERR_INVALID_TASK)
        if target is owner:
            raise RpcError(ERR_INVALID_ARG)
        return target

    async def ipc_send(
        self, owner: Task, dst: int, message: Message, *, block: bool = True, kernel: bool = False
    ) -> None:
        """Deliver a message, waiting until the receiver takes it.

        Args:
            owner: the sender.
            dst: the receiver.
            message: what to send.
            block: wait until it is taken.
            kernel: the kernel speaks for the task: the message shows sender 0.
        Raises:
            RpcError: ERR_INVALID_TASK, ERR_INVALID_ARG (to oneself), ERR_WOULD_BLOCK, ERR_ABORTED.
        """
        target = self._target(owner, dst)
        shown = 0 if kernel else owner.tid
        if target.server is not None:
            self.spawn(self._serve(owner, target, message), target)
        elif not self._hand_over(target, owner, shown, message):
            if not block:
                raise RpcError(ERR_WOULD_BLOCK)
            await self._queue(Sending(owner, target, shown, message, Waiter(self.ready), None))

    async def ipc_send_receive(
        self, owner: Task, dst: int, message: Message, src: int, *, block: bool = True, kernel: bool = False
    ) -> tuple[int, Message]:
        """Send, then receive, in one step as the peers see it: who takes the message finds the sender receiving.

        Args:
            owner: the sender.
            dst: the receiver.
            message: what to send.
            src: from whom to receive then, IPC_ANY for anybody; `dst` makes it a call.
            block: wait until the message is taken.
            kernel: the kernel speaks for the task: the message shows sender 0.
        Raises:
            RpcError: as for `ipc_send`; nothing is received if the message is not sent.
        """
        target = self._target(owner, dst)
        shown = 0 if kernel else owner.tid
        if target.server is not None:
            self.spawn(self._serve(owner, target, message), target)
        elif not self._hand_over(target, owner, shown, message):
            if not block:
                raise RpcError(ERR_WOULD_BLOCK)
            taken: tuple[int, Message] = await self._queue(
                Sending(owner, target, shown, message, Waiter(self.ready), src)
            )
            return taken
        return await self.ipc_receive(owner, src)

    async def _queue(self, entry: Sending) -> Any:
        entry.target.senders.append(entry)
        entry.task.sends.append(entry)
        try:
            return await park(entry.waiter)
        finally:
            self._withdraw(entry)
            for receiving in list(entry.task.receives):
                if receiving.waiter is entry.waiter:
                    self._end_receive(receiving)

    @staticmethod
    def _withdraw(entry: Sending) -> None:
        """Take a sender out of the queue it stands in, if it does."""
        if entry in entry.task.sends:
            entry.task.sends.remove(entry)
            entry.target.senders.remove(entry)

    def _hand_over(self, target: Task, owner: Task, src: int, message: Message) -> bool:
        """Give a message to a task that is blocked in a matching receive."""
        for receiving in target.receives:
            if receiving.src in (IPC_ANY, owner.tid):
                self._end_receive(receiving)
                receiving.waiter.wake((src, message))
                return True
        return False

    async def _serve(self, owner: Task, target: Task, message: Message) -> None:
        """A message sent to a server that is written as a class: its reply comes as a non-blocking send."""
        assert target.server is not None
        try:
            reply = await target.server.handle(owner.tid, message)
        except RpcError as error:
            for receiving in list(owner.receives):
                if receiving.src == target.tid:
                    self._fail_receive(receiving, error)
            return
        if reply is not None:
            self._hand_over(owner, target, target.tid, reply)

    # -- receiving ------------------------------------------------------------------------------------

    async def ipc_receive(self, owner: Task, src: int, *, block: bool = True) -> tuple[int, Message]:
        """Take a message from `src`, or from anybody when it is IPC_ANY.

        Returns:
            sender id and message; pending notifications come first, from task 0, in an open receive.
        Raises:
            RpcError: ERR_INVALID_ARG (id out of range), ERR_WOULD_BLOCK, ERR_ABORTED (the sender waited for died).
        """
        if not 0 <= src <= MAX_TASKS:
            raise RpcError(ERR_INVALID_ARG)
        waiting = self._receive_now(owner, src)
        if waiting is not None:
            return waiting
        if not block:
            raise RpcError(ERR_WOULD_BLOCK)
        return await self._wait(self._begin_receive(owner, src, Waiter(self.ready)))

    def _receive_now(self, owner: Task, src: int) -> tuple[int, Message] | None:
        """What a receive finds waiting: notifications, then the first matching sender of the queue."""
        if src == IPC_ANY and owner.notifications:
            bits, owner.notifications = owner.notifications, 0
            return 0, Notifications(bits)
        for entry in owner.senders:
            if src in (IPC_ANY, entry.task.tid):
                self._take(entry)
                return entry.src, entry.message
        return None

    def _take(self, entry: Sending) -> None:
        """Remove a sender from the queue: it goes on, or receives in its turn."""
        self._withdraw(entry)
        if entry.then is None:
            entry.waiter.wake()
            return
        waiting = self._receive_now(entry.task, entry.then)
        if waiting is not None:
            entry.waiter.wake(waiting)
        else:
            self._begin_receive(entry.task, entry.then, entry.waiter)

    def _begin_receive(self, owner: Task, src: int, waiter: Waiter) -> Receiving:
        receiving = Receiving(owner, src, waiter)
        owner.receives.append(receiving)
        if src != IPC_ANY:
            self._closed.setdefault(src, {})[receiving] = None
        return receiving

    async def _wait(self, receiving: Receiving) -> tuple[int, Message]:
        try:
            received: tuple[int, Message] = await park(receiving.waiter)
        finally:
            self._end_receive(receiving)
        return received

    def _end_receive(self, receiving: Receiving) -> None:
        """A receive is over, if it was not before."""
        if receiving not in receiving.task.receives:
            return
        receiving.task.receives.remove(receiving)
        if receiving.src != IPC_ANY:
            waiting = self._closed[receiving.src]
            del waiting[receiving]
            if not waiting:
                del self._closed[receiving.src]

    # -- notifications, death -------------------------------------------------------------------------

    def notify_port(self, task: Task, bits: int) -> None:
        """Notify a task that receives explicitly."""
        for receiving in task.receives:
            if receiving.src == IPC_ANY:
                self._end_receive(receiving)
                bits |= task.notifications
                task.notifications = 0
                receiving.waiter.wake((0, Notifications(bits)))
                return
        task.notifications |= bits

    def abort_ipc(self, task: Task) -> None:
        """A task died: whoever waits for it goes on with ERR_ABORTED, and so does what it waited in itself."""
        error = RpcError(ERR_ABORTED)
        for entry in [*task.senders, *task.sends]:
            self._withdraw(entry)
            entry.waiter.fail(error)
        for receiving in [*self._closed.get(task.tid, ()), *task.receives]:
            self._fail_receive(receiving, error)

    def _fail_receive(self, receiving: Receiving, error: RpcError) -> None:
        self._end_receive(receiving)
        receiving.waiter.fail(error)
