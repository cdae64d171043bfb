"""The messages that a traced system call became (--rpc)."""

from __future__ import annotations

from types import coroutine
from typing import TYPE_CHECKING, Any

from linuxemu.errors import RpcError
from linuxemu.messages import AbiHook, Exception_, PageFault
from linuxemu.servers.ool import OolServer
from linuxemu.testing.show import show_message, show_reply, show_value

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from linuxemu.kernel import Kernel
    from linuxemu.kernel.task import Service
    from linuxemu.kernel.task import Task as KernelTask
    from linuxemu.messages import Message
    from linuxemu.trace.call import Call

_TRAPS = (AbiHook, PageFault, Exception_)
_SHORT = 64
"""Characters of a reply with many fields that are shown; what begins within them is shown to its end."""


class Rpc:
    """One message of a call.

    Args:
        src: name of the sender, with its role behind an @ if it has one (docs/faults.md).
        dst: name of the server, likewise.
        request: the message.
        depth: 0 for one that the Linux server sent, 1 for one sent on behalf of that, and so on.
        begin_ns: when it was sent, on the tracer's clock.
    """

    __slots__ = ("begin_ns", "depth", "dst", "end_ns", "error", "reply", "request", "src")

    def __init__(self, src: str, dst: str, request: Message, depth: int, begin_ns: int) -> None:
        self.src = src
        self.dst = dst
        self.request = request
        self.depth = depth
        self.begin_ns = begin_ns
        self.end_ns: int | None = None
        self.reply: Message | None = None
        self.error: int | None = None

    def __str__(self) -> str:
        return self.text()

    def text(self, short: bool = False) -> str:
        """Sender, receiver, message and reply; long data is cut short.

        Args:
            short: so are replies with many fields.
        """
        return f"{self.src} -> {self.dst}: {show_message(self.request)} = {self.answer(short)}"

    def answer(self, short: bool = False) -> str:
        """The reply, or the error; "..." if there is none yet."""
        if self.end_ns is None:
            return "..."
        reply = self.reply
        if not short or self.error is not None or reply is None:
            return show_reply(reply, self.error)
        text = ""
        for (name, _), value in zip(reply.FIELDS, reply, strict=True):
            if len(text) > _SHORT:
                return f"{text}, ..."
            text += f"{', ' if text else ''}{name}={show_value(value)}"
        return text or "()"


class RpcWatch:
    """Notes which messages are sent while a call is at work, also after it had to wait.

    Use its `wrap` for `Machine(observe=...)`, and run the handlers of calls by `during`.
    """

    def __init__(self) -> None:
        self._call: Call | None = None
        self._depth = 0

    def wrap(self, kernel: Kernel, task: KernelTask, message: type, method: Service) -> Service:
        """See `linuxemu.kernel.interpose.Wrap`."""
        if isinstance(task.server, OolServer) or message in _TRAPS:
            return method
        now_ns, tasks = kernel.host.now_ns, kernel.tasks

        async def observed(src: int, request: Any) -> Any:
            call = self._call
            if call is None:
                return await method(src, request)
            sender = tasks.get(src)
            name = _name(sender) if sender is not None else "kernel"
            rpc = Rpc(name, _name(task), request, self._depth, now_ns())
            call.rpcs.append(rpc)
            try:
                rpc.reply = await self._run(call, self._depth + 1, method(src, request))
            except RpcError as error:
                rpc.error = error.code
                raise
            finally:
                rpc.end_ns = now_ns()
            return rpc.reply

        return observed

    async def during(self, call: Call, handler: Coroutine[Any, Any, Any]) -> Any:
        """Run a call's handler: what it sends belongs to the call."""
        return await self._run(call, 0, handler)

    @coroutine
    def _run(self, call: Call, depth: int, coro: Any) -> Generator[Any, Any, Any]:
        step, value = coro.send, None
        while True:
            outer = self._call, self._depth
            self._call, self._depth = call, depth
            try:
                waiter = step(value)
            except StopIteration as stop:
                return stop.value
            finally:
                self._call, self._depth = outer
            try:
                step, value = coro.send, (yield waiter)
            except GeneratorExit:
                coro.close()
                raise
            except BaseException as error:
                step, value = coro.throw, error


def _name(task: KernelTask) -> str:
    role = task.server.role if task.server is not None else ""
    return f"{task.name}@{role}" if role else task.name
