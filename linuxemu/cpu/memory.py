"""Guest-physical memory: one anonymous host mapping, committed by the host page by page as it is touched."""

from __future__ import annotations

import ctypes
import mmap

_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0)


class HostRam:
    """Zeroed memory of `size` bytes at a host address that engines can map."""

    def __init__(self, size: int) -> None:
        if hasattr(mmap, "MAP_PRIVATE"):
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
            self._map = mmap.mmap(-1, size, flags=flags)
        else:
            self._map = mmap.mmap(-1, size)
        self.size = size
        self._anchor = ctypes.c_char.from_buffer(self._map)
        self.address = ctypes.addressof(self._anchor)
        self.data = memoryview(self._map)
        self.words = self.data.cast("Q")

    def discard(self, paddr: int, length: int) -> None:
        """Give whole host pages back; they read as zeros afterwards."""
        if hasattr(self._map, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED, paddr, length)
        else:
            self.data[paddr : paddr + length] = bytes(length)

    def close(self) -> None:
        """Unmap the memory; nobody may use it afterwards."""
        self.words.release()
        self.data.release()
        del self._anchor
        self._map.close()
