"""Deadlines: a heap of callbacks on the kernel's monotonic clock."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer:
    """One armed deadline."""

    __slots__ = ("callback", "deadline_ns")

    def __init__(self, deadline_ns: int, callback: Callable[[], object]) -> None:
        self.deadline_ns = deadline_ns
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Disarm; harmless when the timer has fired."""
        self.callback = None


class TimerQueue:
    """All deadlines of a kernel, earliest first; equal ones in the order in which they were armed.

    Args:
        failed: called with the exception of a callback that fails; the other deadlines are kept all the same.
    """

    __slots__ = ("_cancelled_limit", "_failed", "_heap", "_sequence")

    def __init__(self, failed: Callable[[BaseException], object]) -> None:
        self._failed = failed
        self._heap: list[tuple[int, int, Timer]] = []
        self._sequence = 0
        self._cancelled_limit = 64

    def __len__(self) -> int:
        return sum(1 for _, _, timer in self._heap if timer.callback is not None)

    def add(self, deadline_ns: int, callback: Callable[[], object]) -> Timer:
        """Call `callback` once the clock has reached `deadline_ns`."""
        timer = Timer(deadline_ns, callback)
        self._sequence += 1
        heap = self._heap
        if len(heap) > self._cancelled_limit:
            heap[:] = sorted(item for item in heap if item[2].callback is not None)
            self._cancelled_limit = max(64, 2 * len(heap))
        heappush(heap, (deadline_ns, self._sequence, timer))
        return timer

    def next_ns(self) -> int | None:
        """The earliest deadline that is still armed."""
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heappop(heap)
        return heap[0][0] if heap else None

    def run(self, now_ns: int) -> None:
        """Fire everything that is due."""
        heap = self._heap
        while heap and heap[0][0] <= now_ns:
            timer = heappop(heap)[2]
            callback, timer.callback = timer.callback, None
            if callback is not None:
                try:
                    callback()
                except Exception as error:
                    self._failed(error)
