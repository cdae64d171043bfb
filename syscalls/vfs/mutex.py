"""A lock that coroutines of guest tasks hold across messages, where Linux holds a sleeping lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.errors import Restart

if TYPE_CHECKING:
    from linuxemu.kernel import WaitQueue
    from syscalls.objects.task import Task


class Mutex:
    """Mutual exclusion between tasks.

    A signal that arrives during the wait restarts the whole call, so the guest cannot tell it from an
    uninterruptible sleep. Take it with `acquire`, or where that call would cost too much with
    `if lock.held: await lock.wait(t)` / `else: lock.held = True`.
    """

    __slots__ = ("_queue", "held")

    def __init__(self) -> None:
        self.held = False
        self._queue: WaitQueue | None = None

    async def acquire(self, t: Task) -> None:
        """Take the lock, waiting for whoever holds it."""
        if self.held:
            await self.wait(t)
        self.held = True

    async def wait(self, t: Task) -> None:
        """Wait for the holder, then take the lock."""
        if self._queue is None:
            from linuxemu.kernel import WaitQueue

            self._queue = WaitQueue()
        await t.wait((self._queue,), self._attempt, None, Restart.ALWAYS)

    def _attempt(self) -> bool | None:
        if self.held:
            return None
        self.held = True
        return True

    def release(self) -> None:
        """Give the lock back. All who wait are woken, as the first may meanwhile have been interrupted."""
        self.held = False
        if self._queue is not None:
            self._queue.wake_all()
