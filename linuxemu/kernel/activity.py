"""Coroutines of the kernel: what runs, what waits, and what wakes it.

A blocked call is a suspended coroutine; its saved state is the coroutine itself. A coroutine sleeps by yielding
a `Waiter` (through `park`) and goes on when somebody wakes that waiter.
"""

from __future__ import annotations

from types import coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Coroutine, Generator

    from linuxemu.kernel.task import Task


class Activity:
    """A coroutine that the kernel drives.

    Args:
        coro: what to run.
        finished: called with the result when it ends, or with the exception as second argument.
        owner: the task it belongs to and dies with, None for the kernel's own.
    """

    __slots__ = ("coro", "finished", "owner", "waiter")

    def __init__(
        self,
        coro: Coroutine[Waiter, Any, Any],
        finished: Callable[[Any, BaseException | None], None],
        owner: Task | None = None,
    ) -> None:
        self.coro = coro
        self.finished = finished
        self.owner = owner
        self.waiter: Waiter | None = None


class Waiter:
    """One sleep of one coroutine. Waking is idempotent and may come before the sleep begins.

    Args:
        ready: the kernel's queue of coroutines that can go on (`kernel.ready`).
    """

    __slots__ = ("_ready", "activity", "error", "value", "woken")

    def __init__(self, ready: deque[Waiter]) -> None:
        self._ready = ready
        self.activity: Activity | None = None
        self.value: Any = None
        self.error: BaseException | None = None
        self.woken = False

    def wake(self, value: Any = None) -> None:
        """Let the sleeper go on with `value`; later calls do nothing."""
        if not self.woken:
            self.woken = True
            self.value = value
            if self.activity is not None:
                self._ready.append(self)

    def fail(self, error: BaseException) -> None:
        """Let the sleeper go on by raising `error` in it."""
        if not self.woken:
            self.error = error
            self.wake()


class WaitQueue:
    """Sleepers that wait for the same thing. They take themselves off when they go on."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: dict[Waiter, None] = {}

    def __bool__(self) -> bool:
        return bool(self._waiters)

    def add(self, waiter: Waiter) -> None:
        """Join at the end."""
        self._waiters[waiter] = None

    def discard(self, waiter: Waiter) -> None:
        """Leave, if still there."""
        self._waiters.pop(waiter, None)

    def wake_all(self, value: Any = None) -> None:
        """Wake everybody."""
        if self._waiters:
            for waiter in list(self._waiters):
                waiter.wake(value)

    def wake_one(self, value: Any = None) -> None:
        """Wake the one who waits longest and was not woken yet."""
        for waiter in self._waiters:
            if not waiter.woken:
                waiter.wake(value)
                return


@coroutine
def park(waiter: Waiter) -> Generator[Waiter, Any, Any]:
    """Sleep until the waiter is woken; returns the value it was woken with."""
    return (yield waiter)
