"""Memory of the host that stands for memory of the machine: contents of files and pipes.

What is kept outside of the frames takes frames away all the same, page by page, so that both together never are more
than the machine has. A frame that is set aside holds nothing, in the host neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.kernel.frames import FrameAllocator

_PAGE = 4096
_BATCH = 64
_KEPT_PART = 16
"""One frame of so many is never set aside: programs need it to clean up."""


class Room:
    """What servers keep on behalf of programs.

    Args:
        frames: the machine's.
    """

    __slots__ = ("_aside", "_frames", "shrink", "used")

    def __init__(self, frames: FrameAllocator) -> None:
        self._frames = frames
        self._aside: list[int] = []
        self.used = 0
        """Bytes that are kept."""
        self.shrink: Callable[[], int] = lambda: 0
        """Called when frames are short: gives back what is only cached."""

    @property
    def size(self) -> int:
        """Memory of the machine, bytes."""
        return self._frames.total * _PAGE

    @property
    def frames(self) -> int:
        """How many frames are set aside."""
        return len(self._aside)

    @property
    def left(self) -> int:
        """Bytes for which there is room as things are."""
        free = len(self._aside) + self._frames.available - self._frames.total // _KEPT_PART
        return max(free * _PAGE - self.used, 0)

    def fits(self, size: int) -> bool:
        """Make sure of room, at the cost of frames that nobody uses.

        Args:
            size: bytes to be kept besides what is kept already.
        """
        missing = self.used + size - len(self._aside) * _PAGE
        return missing <= 0 or self._set_aside(-(-missing // _PAGE))

    def _set_aside(self, count: int) -> bool:
        frames = self._frames
        least = frames.total // _KEPT_PART
        if frames.available - count < least:
            self.shrink()
            if frames.available - count < least:
                return False
        self._aside += frames.set_aside(min(max(count, _BATCH), frames.available - least))
        return True

    def add(self, size: int) -> None:
        """Count bytes that are kept from now on, or, less than none, that are gone.

        Args:
            size: how many more; `fits` was asked before, where there are many.
        """
        self.used += size
        unused = len(self._aside) - -(-self.used // _PAGE)
        if unused >= 2 * _BATCH:
            self._frames.put_back(self._aside[-unused + _BATCH :])
            del self._aside[-unused + _BATCH :]
