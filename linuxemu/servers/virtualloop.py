"""A clock for runs that repeat: time is counted, not measured, and jumps when everybody sleeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH_NS = 1_700_000_000_000_000_000
"""What the real-time clock shows when the monotonic one shows 0: 2023-11-14 22:13:20 UTC."""
START_NS = 1_000_000_000
"""What the monotonic clock shows first."""
STEP_NS = 100
"""Each look at the clock takes this long, so that a program that waits for a time by looking at the clock sees it."""


class VirtualLoop:
    """The kernel's `Host` without a host: nothing can be watched, and no sleep takes any time."""

    def __init__(self) -> None:
        self.now = START_NS
        self.jumped: Callable[[], object] = lambda: None
        """Called at each jump: timers can keep time jumping for ever."""

    def now_ns(self) -> int:
        """The virtual time."""
        self.now += STEP_NS
        return self.now

    def sleep(self, timeout_ns: int | None) -> None:
        """Let the time pass at once."""
        self.now += timeout_ns or 0
        self.jumped()

    def poll(self) -> None:
        """Nothing is ever ready."""

    def watching(self) -> bool:
        """Never."""
        return False

    def watch(self, fd: int, events: int, callback: Callable[[int], object]) -> Callable[[], None]:
        """Never calls back: what a repeatable run reads is known before it starts."""
        return lambda: None

    def close(self) -> None:
        """There is nothing to close."""
