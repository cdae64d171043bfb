"""The host side of the kernel's idle wait: monotonic clock, descriptors, and signals that end a sleep."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_READ, POLL_WRITE = 1, 4
_LONGEST_SLEEP_MS = 1 << 30
"""poll(2) takes an int; whoever sleeps longer is woken early and sleeps again."""


class _Watch:
    """Somebody who waits for a descriptor; `callback` is None once that is over."""

    __slots__ = ("callback", "events")

    def __init__(self, events: int, callback: Callable[[int], object]) -> None:
        self.events = events
        self.callback: Callable[[int], object] | None = callback


class HostLoop:
    """One wait over host descriptors and the next timer (the kernel's `Host`)."""

    def __init__(self) -> None:
        self.now_ns = time.monotonic_ns
        self._watches: dict[int, list[_Watch]] = {}
        self._poll = select.poll()
        self._wake_read = -1
        self.wake_fd = -1
        self.woken: Callable[[], object] = lambda: None
        """Called when a byte came through the wake descriptor."""

    def open_wake_fd(self) -> int:
        """A descriptor that ends a sleep when a byte is written to it (for `signal.set_wakeup_fd`)."""
        if self._wake_read < 0:
            self._wake_read, self.wake_fd = os.pipe()
            os.set_blocking(self._wake_read, False)
            os.set_blocking(self.wake_fd, False)
            self._poll.register(self._wake_read, POLL_READ)
        return self.wake_fd

    def watching(self) -> bool:
        """Whether any descriptor is watched, or a signal can end a sleep."""
        return bool(self._watches) or self._wake_read >= 0

    def watch(self, fd: int, events: int, callback: Callable[[int], object]) -> Callable[[], None]:
        """See `linuxemu.kernel.host.Host.watch`."""
        entry = _Watch(events, callback)
        self._watches.setdefault(fd, []).append(entry)
        self._register(fd)

        def cancel() -> None:
            entry.callback = None
            entries = self._watches.get(fd)
            if entries and entry in entries:
                entries.remove(entry)
                self._register(fd)

        return cancel

    def _register(self, fd: int) -> None:
        entries = self._watches.get(fd)
        if entries:
            mask = 0
            for entry in entries:
                mask |= entry.events
            self._poll.register(fd, mask)
        else:
            self._watches.pop(fd, None)
            try:
                self._poll.unregister(fd)
            except (KeyError, OSError):
                pass

    def sleep(self, timeout_ns: int | None) -> None:
        """See `linuxemu.kernel.host.Host.sleep`."""
        timeout_ms = (
            None if timeout_ns is None else min(max(0, -(-timeout_ns // 1_000_000)), _LONGEST_SLEEP_MS)
        )
        self._dispatch(self._poll.poll(timeout_ms))

    def poll(self) -> None:
        """See `linuxemu.kernel.host.Host.poll`."""
        if self._watches or self._wake_read >= 0:
            self._dispatch(self._poll.poll(0))

    def _dispatch(self, ready: list[tuple[int, int]]) -> None:
        for fd, events in ready:
            if fd == self._wake_read:
                try:
                    os.read(fd, 4096)
                except BlockingIOError:
                    pass
                self.woken()
                continue
            entries = self._watches.pop(fd, [])
            always = select.POLLERR | select.POLLHUP | select.POLLNVAL
            kept = [entry for entry in entries if not events & (entry.events | always)]
            if kept:
                self._watches[fd] = kept
            self._register(fd)
            for entry in entries:
                # One of the others may have cancelled it just now.
                if entry not in kept and entry.callback is not None:
                    entry.callback(events)

    def close(self) -> None:
        """Close what this object opened."""
        if self._wake_read >= 0:
            os.close(self._wake_read)
            os.close(self.wake_fd)
            self._wake_read = self.wake_fd = -1
