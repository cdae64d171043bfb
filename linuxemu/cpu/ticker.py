"""The time slice: a thread that interrupts the CPU every few milliseconds while user code runs, and else sleeps."""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SLICE_S = 0.01


class SliceTicker:
    """Calls `fire` every `period_s` seconds while armed.

    Arming and disarming are attribute writes; the thread parks itself on a lock once it finds itself disarmed.
    """

    def __init__(self, fire: Callable[[], object], period_s: float = SLICE_S) -> None:
        self._fire = fire
        self._period_s = period_s
        self._armed = self._closed = False
        self._parked = True
        self._wake = _thread.allocate_lock()
        self._ended = _thread.allocate_lock()
        self._wake.acquire()
        self._started = False

    def arm(self) -> None:
        """User code runs from now on."""
        if not self._armed:
            self._armed = True
            if self._parked:
                self._parked = False
                if self._started:
                    self._unpark()
                else:
                    self._started = True
                    self._ended.acquire()
                    _thread.start_new_thread(self._loop, ())

    def _unpark(self) -> None:
        try:
            self._wake.release()
        except RuntimeError:  # the thread was on its way to park and was let through already
            pass

    def disarm(self) -> None:
        """Nothing runs."""
        self._armed = False

    def _loop(self) -> None:
        wait, period_s = self._wake.acquire, self._period_s
        while not self._closed:
            if self._armed:
                # Only `close` ends this wait early, so that the end of a machine does not take a whole period.
                if not wait(timeout=period_s) and self._armed and not self._closed:
                    self._fire()
                continue
            self._parked = True
            if self._armed:  # armed again between the last look and parking
                self._parked = False
            elif not self._closed:
                wait()
        self._ended.release()

    def close(self) -> None:
        """End the thread; `fire` is not called after this returns."""
        self._armed = False
        self._closed = True
        if self._started:
            self._unpark()
            self._ended.acquire()
