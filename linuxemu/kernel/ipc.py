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

    from linuxemu.kernel.task import Task
    from linuxemu.messages import Message

IPC_ANY = 0
_MAX_SRC = 1 << 22


class _Receive:
    """A task blocked in a receive."""

    __slots__ = ("src", "waiter")

    def __init__(self, src: int, waiter: Waiter) -> None:
        self.src = src
        self.waiter = waiter


class Rendezvous:
    """The part of the kernel that pairs senders and receivers."""

    tasks: dict[int, Task]
    ready: deque[Waiter]

    def __init__(self) -> None:
        self._closed: dict[int, list[Task]] = {}
        """Task id -> tasks that received from it alone just now."""

    async def ipc_send(self, owner: Task, dst: int, message: Message, *, block: bool = True) -> None:
        """Deliver a message, waiting until the receiver takes it.

        Raises:
            RpcError: ERR_INVALID_TASK, ERR_INVALID_ARG (to oneself), ERR_WOULD_BLOCK, ERR_ABORTED.
        """
        target = self.tasks.get(dst)
        if target is None:
            raise RpcError(ERR_INVALID_TASK)
        if target is owner:
            raise RpcError(ERR_INVALID_ARG)
        if target.server is not None:
            await target.server.handle(owner.tid, message)
            return
        if self._hand_over(target, owner.tid, message):
            return
        if not block:
            raise RpcError(ERR_WOULD_BLOCK)
        waiter = Waiter(self.ready)
        entry = (owner.tid, message, waiter)
        target.senders.append(entry)
        try:
            await park(waiter)
        finally:
            if entry in target.senders:
                target.senders.remove(entry)

    @staticmethod
    def _hand_over(target: Task, src: int, message: Message) -> bool:
        """Give a message to a task that is blocked in a matching receive."""
        receive: _Receive | None = target.client
        if receive is None or receive.src not in (IPC_ANY, src) or receive.waiter.woken:
            return False
        target.client = None
        receive.waiter.wake((src, message))
        return True

    async def ipc_receive(self, owner: Task, src: int, *, block: bool = True) -> tuple[int, Message]:
        """Take a message from `src`, or from anybody when it is IPC_ANY.

        Returns:
            sender id and message; pending notifications come first, from task 0, in an open receive.
        Raises:
            RpcError: ERR_INVALID_ARG (id out of range), ERR_WOULD_BLOCK, ERR_ABORTED (the sender waited for died).
        """
        if not 0 <= src <= _MAX_SRC:
            raise RpcError(ERR_INVALID_ARG)
        if src == IPC_ANY and owner.notifications:
            bits, owner.notifications = owner.notifications, 0
            return 0, Notifications(bits)
        for entry in owner.senders:
            if src in (IPC_ANY, entry[0]):
                owner.senders.remove(entry)
                entry[2].wake()
                return entry[0], entry[1]
        if not block:
            raise RpcError(ERR_WOULD_BLOCK)
        waiter = Waiter(self.ready)
        owner.client = _Receive(src, waiter)
        if src != IPC_ANY:
            self._closed.setdefault(src, []).append(owner)
        try:
            received: tuple[int, Message] = await park(waiter)
        finally:
            if src != IPC_ANY and owner in self._closed.get(src, ()):
                self._closed[src].remove(owner)
        return received

    async def _call(self, owner: Task, dst: int, message: Message) -> Any:
        await self.ipc_send(owner, dst, message)
        _, reply = await self.ipc_receive(owner, dst)
        return reply

    def ipc_call(self, owner: Task, dst: int, message: Message) -> Any:
        """Send, then receive from the same task; an iterator for `Port.call`."""
        return self._call(owner, dst, message).__await__()

    def notify_port(self, task: Task, bits: int) -> None:
        """Notify a task that receives explicitly."""
        receive: _Receive | None = task.client
        if receive is not None and receive.src == IPC_ANY and not receive.waiter.woken:
            task.client = None
            bits |= task.notifications
            task.notifications = 0
            receive.waiter.wake((0, Notifications(bits)))
        else:
            task.notifications |= bits

    def abort_ipc(self, task: Task) -> None:
        """A task died: whoever waits for it goes on with ERR_ABORTED."""
        while task.senders:
            task.senders.popleft()[2].fail(RpcError(ERR_ABORTED))
        for other in self._closed.pop(task.tid, ()):
            receive: _Receive | None = other.client
            if receive is not None and receive.src == task.tid:
                other.client = None
                receive.waiter.fail(RpcError(ERR_ABORTED))
