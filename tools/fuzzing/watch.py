"""What must not happen while a case runs: a hang, much memory, growth of memory, descriptors left open."""

from __future__ import annotations

import gc
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tools.fuzzing.target import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = os.sysconf("SC_PAGE_SIZE")
_WARM_CASES = 3
"""Caches fill up in so many cases."""
_EVERY_S = 2.0


class Hang(BaseException):
    """A case takes too long. No `Exception`, so that nobody takes it for an error of the input."""


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise `Hang` in the block when it takes longer, and again if somebody swallows it.

    Args:
        seconds: how long it may take.
    """

    def ring(_signo: int, _frame: object) -> None:
        raise Hang(f"no end within {seconds} s")

    old = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, _EVERY_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


class Peak:
    """The most memory that this process has at once during a case.

    Args:
        most_mib: how much more than before it may be, MiB.
    """

    def __init__(self, most_mib: float) -> None:
        self.most_mib = most_mib
        self.highest_mib = 0.0
        """Of all cases so far, beyond what was there before, MiB."""
        self._before_mib = 0.0

    def before_case(self) -> None:
        """Forget earlier peaks (man 5 proc_pid_clear_refs)."""
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
            self._before_mib = _resident_mib()
        except OSError:  # not allowed to: only a peak that is higher than all before is seen
            self._before_mib = _peak_mib()

    def after_case(self) -> Iterator[Failure]:
        """Too much."""
        more = _peak_mib() - self._before_mib
        self.highest_mib = max(self.highest_mib, more)
        if more > self.most_mib:
            yield Failure("peak", f"the case took {more:.0f} MiB at once, and may take {self.most_mib:.0f}")


class Growth:
    """Memory and descriptors of this process.

    Args:
        most_mib: how much memory may grow behind the first cases, MiB.
    """

    def __init__(self, most_mib: float) -> None:
        self.most_mib = most_mib
        self._cases = 0
        self._base_mib = 0.0
        self._descriptors = _descriptors()

    @property
    def mib(self) -> float:
        """Memory that was gained since the first cases, MiB."""
        gc.collect()
        return max(_resident_mib() - self._base_mib, 0.0) if self._base_mib else 0.0

    def after_case(self) -> Iterator[Failure]:
        """What has grown. Memory that grows once more is told once more only when it grows as much again."""
        self._cases += 1
        now = _descriptors()
        if now != self._descriptors:
            yield Failure("descriptors", f"{len(self._descriptors)} descriptors have become {len(now)}: {sorted(now)}")
            self._descriptors = now
        if self._cases <= _WARM_CASES:
            self._base_mib = _resident_mib()
            return
        grown = _resident_mib() - self._base_mib
        if grown > self.most_mib:
            gc.collect()
            grown = _resident_mib() - self._base_mib
        if grown > self.most_mib:
            yield Failure("memory", f"memory has grown by {grown:.0f} MiB in {self._cases} cases")
            self._base_mib += grown


def _descriptors() -> frozenset[str]:
    listed = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # that of the listing itself
        listed.add(name)
    return frozenset(listed)


def _resident_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * _PAGE / (1 << 20)


def _peak_mib() -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1024
