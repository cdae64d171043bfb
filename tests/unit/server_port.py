"""What the tests of servers share: a port without a kernel, and ways to call a server."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NO_MEMORY, ERR_NOT_ACCEPTABLE
from linuxemu.kernel.activity import Waiter
from tests.helpers import run

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from linuxemu.kernel import Server
    from linuxemu.messages import Message

A, B, C, NOBODY = 4, 5, 6, 99


class Frames:
    """Frames 16 to 16 + 64, as the kernel's allocator hands them out."""

    first = 16
    total = 64

    def __init__(self) -> None:
        self.used: set[int] = set()

    @property
    def available(self) -> int:
        return self.total - len(self.used)

    def alloc(self) -> int:
        return self.alloc_run(1)

    def alloc_run(self, count: int) -> int:
        for frame in range(self.first, self.first + self.total - count + 1):
            if not self.used & set(range(frame, frame + count)):
                self.alloc_at(frame, count)
                return frame
        raise RpcError(ERR_NO_MEMORY)

    def alloc_at(self, frame: int, count: int) -> None:
        if self.used & set(range(frame, frame + count)):
            raise RpcError(ERR_NOT_ACCEPTABLE)
        self.used |= set(range(frame, frame + count))

    def free_run(self, frame: int, count: int) -> None:
        run = set(range(frame, frame + count))
        assert run <= self.used
        self.used -= run


class Ids:
    """Task ids from 100."""

    def __init__(self) -> None:
        self.next = 100
        self.freed: list[int] = []

    def alloc(self) -> int:
        self.next += 1
        return self.next - 1

    def free(self, number: int) -> None:
        self.freed.append(number)


class FakePort:
    """The part of a port that these servers use."""

    tasks: ClassVar[set[int]] = {A, B, C}

    def __init__(self) -> None:
        self.frames = Frames()
        self.task_ids = Ids()
        self.ready: deque[Waiter] = deque()
        self.sent: list[tuple[int, Message]] = []
        self.alive = set(self.tasks)

    def exists(self, number: int) -> bool:
        return number in self.alive

    def waiter(self) -> Waiter:
        return Waiter(self.ready)

    def async_send(self, dst: int, message: Message) -> None:
        self.sent.append((dst, message))


def boot(server: Server) -> Any:
    server.port = FakePort()  # type: ignore[assignment]
    return server


def call(server: Server, src: int, message: Message) -> Any:
    return run(server.handle(src, message))


def fails(server: Server, src: int, message: Message) -> int:
    with pytest.raises(RpcError) as caught:
        run(server.handle(src, message))
    return caught.value.code


class Sleeper:
    """A call that waits."""

    def __init__(self, server: Server, src: int, message: Message) -> None:
        self.coro: Coroutine[Any, Any, Any] = server.handle(src, message)
        self.waiter: Waiter = self.coro.send(None)

    def resume(self) -> Any:
        """Go on after being woken: the reply, or None when it sleeps again."""
        assert self.waiter.woken
        try:
            self.waiter = self.coro.send(self.waiter.value)
        except StopIteration as stop:
            return stop.value
        return None
