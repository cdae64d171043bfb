"""Servers: tasks of the microkernel written in Python, one coroutine per request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_EMPTY, ERR_NOT_ACCEPTABLE
from linuxemu.messages import Async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from linuxemu.kernel.port import Port
    from linuxemu.messages import Message

_F = TypeVar("_F", bound="Callable[..., Awaitable[Any]]")

NOTIFY_TIMER = 1
NOTIFY_IRQ = 2
NOTIFY_ABORTED = 4
NOTIFY_ASYNC = 8


def rpc(message: type[Message]) -> Callable[[_F], _F]:
    """Mark a method `async def m(self, src: int, m: message)` as the one that serves `message`."""

    def mark(method: _F) -> _F:
        method.__serves__ = message  # type: ignore[attr-defined]
        return method

    return mark


class Server:
    """Base of every server.

    A handler returns the reply, or None for a one-way message; it raises `RpcError` to answer with an error
    word. What it does not handle is answered with ERR_NOT_ACCEPTABLE.
    """

    name: str = ""
    """Service name under which `discovery` knows the server; empty: not registered."""
    handlers: ClassVar[dict[type, str]] = {}
    vital: ClassVar[str] = ""
    """Why this server cannot be killed; empty if it can."""

    def __init__(self) -> None:
        self.role = ""
        """What it is there for, where several servers have one name; a successor takes it over."""
        self.port: Port
        self.table: dict[type, Callable[[int, Any], Coroutine[Any, Any, Any]]] = {
            message: getattr(self, method) for message, method in self.handlers.items()
        }
        """Message class -> bound method: the kernel dispatches through this."""
        self.table.setdefault(Async, self._pull_async)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        handlers = dict(cls.handlers)
        for attribute, value in vars(cls).items():
            message = getattr(value, "__serves__", None)
            if message is not None:
                handlers[message] = attribute
        cls.handlers = handlers

    async def start(self) -> None:
        """Called once when the server's task exists; `port` is set."""

    def stop(self) -> None:
        """Called when the machine shuts down: give back host resources. Never raises."""

    def killed(self) -> None:
        """Called when the task is killed: give back host resources, but not what a successor goes on with.

        Never raises.
        """

    def successor(self) -> Server | None:
        """A new server on this one's storage, to be started when this one was killed; None: it stays dead."""
        return None

    async def notified(self, bits: int) -> None:
        """Notifications arrived. The default fetches asynchronous messages from the tasks that announced them."""
        if bits & NOTIFY_ASYNC:
            for peer in self.port.async_peers():
                await self._fetch_async(peer)

    async def _fetch_async(self, peer: int) -> None:
        while True:
            try:
                message = await self.port.call(peer, Async())
            except RpcError:
                return  # nothing is left, or the peer is gone
            try:
                await self.handle(peer, message)
            except RpcError:
                pass  # nobody waits for an answer

    async def _pull_async(self, src: int, _: Async) -> Any:
        queue = self.port.outbox.get(src)
        if not queue:
            raise RpcError(ERR_EMPTY)
        return queue.popleft()

    async def handle(self, src: int, message: Message) -> Any:
        """Serve one message from task `src`, as the kernel does."""
        method = self.table.get(type(message))
        if method is None:
            raise RpcError(ERR_NOT_ACCEPTABLE)
        return await method(src, message)
