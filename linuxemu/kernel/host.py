"""What the kernel asks of its host: a clock, and one place to sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Host(Protocol):
    """Time and host file descriptors. Tests put a virtual clock here."""

    def now_ns(self) -> int:
        """Nanoseconds of a clock that never goes back."""

    def sleep(self, timeout_ns: int | None) -> None:
        """Sleep until a watched descriptor is ready or the time is over (None: no limit), then call what waits."""

    def poll(self) -> None:
        """Call what waits on descriptors that are ready now, without sleeping."""

    def watching(self) -> bool:
        """Whether any descriptor is watched."""

    def watch(self, fd: int, events: int, callback: Callable[[int], object]) -> Callable[[], None]:
        """Call `callback(events)` once when `fd` is ready for one of `events` (1 read, 4 write).

        Returns:
            a function that cancels the watch.
        """


class Ticker(Protocol):
    """The time slice: while armed, something calls `Cpu.interrupt` every few milliseconds."""

    def arm(self) -> None:
        """User code runs from now on."""

    def disarm(self) -> None:
        """Nothing runs: cause no wake-ups."""

    def close(self) -> None:
        """Stop for good."""
