"""Guest-physical frames and who refers to them.

A frame is free when nothing refers to it: no page-table entry, no page cache, no holder. Frames from the
untouched end of memory are known to be zero; others are cleared when zeros are asked for.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_INVALID_ARG, ERR_NO_MEMORY, ERR_NOT_ACCEPTABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.cpu.base import Ram

_PAGE = 4096
_ZERO_PAGE = bytes(_PAGE)
_STALE_BATCH = 128


class FrameAllocator:
    """All frames of a machine.

    Args:
        ram: the memory to hand out.
        first: number of the first frame that may be used (those below belong to the engine).
        flush: called with frames that held code before they are used again.
    """

    __slots__ = (
        "_flush",
        "_free",
        "_limit",
        "_next",
        "_stale",
        "code",
        "epoch",
        "first",
        "ram",
        "refs",
        "zero",
    )

    def __init__(self, ram: Ram, first: int, flush: Callable[[list[int]], None]) -> None:
        count = ram.size // _PAGE
        self.ram = ram
        self.first = first
        self.refs = array("I", bytes(4 * count))
        """How many page-table entries and holders refer to a frame."""
        self.code = bytearray(count)
        """Nonzero for a frame that was mapped executable since it was last flushed."""
        self._next = first
        self._limit = count
        self._free: list[int] = []
        self._stale: list[int] = []
        self._flush = flush
        self.epoch = 0
        """First generation of the next address space: no two spaces ever have the same one."""
        self.zero = self.alloc_zeroed()
        """The frame of zeros that read-only anonymous pages share."""

    @property
    def total(self) -> int:
        """Frames that this allocator manages."""
        return self._limit - self.first

    @property
    def available(self) -> int:
        """Frames that nothing refers to."""
        return self._limit - self._next + len(self._free) + len(self._stale)

    def alloc(self) -> int:
        """A frame with one reference and any contents.

        Raises:
            RpcError: ERR_NO_MEMORY when every frame is in use.
        """
        if self._free:
            frame = self._free.pop()
        elif self._next < self._limit:
            frame = self._next
            self._next = frame + 1
        else:
            frame = self._reclaim()
        self.refs[frame] = 1
        return frame

    def alloc_zeroed(self) -> int:
        """A frame with one reference, full of zeros."""
        if self._free:
            frame = self._free.pop()
            self.ram.data[frame << 12 : (frame + 1) << 12] = _ZERO_PAGE
        elif self._next < self._limit:
            frame = self._next
            self._next = frame + 1
        else:
            frame = self._reclaim()
            self.ram.data[frame << 12 : (frame + 1) << 12] = _ZERO_PAGE
        self.refs[frame] = 1
        return frame

    def alloc_run(self, count: int) -> int:
        """The first of `count` neighbouring frames, each with one reference and any contents."""
        if count == 1:
            return self.alloc()
        if self._limit - self._next >= count:
            frame = self._next
            self._next += count
        else:
            frame = self._carve_run(count)
        for each in range(frame, frame + count):
            self.refs[each] = 1
        return frame

    def alloc_at(self, first: int, count: int) -> None:
        """Take exactly the frames [first, first + count), each with one reference.

        Raises:
            RpcError: ERR_NOT_ACCEPTABLE when one of them does not exist or is in use.
        """
        wanted = set(range(first, first + count))
        self._flush_stale()
        while self._next <= max(wanted) and self._next < self._limit:
            self._free.append(self._next)
            self._next += 1
        if first < self.first or not wanted.issubset(self._free):
            raise RpcError(ERR_NOT_ACCEPTABLE)
        self._free = [frame for frame in self._free if frame not in wanted]
        for frame in wanted:
            self.refs[frame] = 1

    def _carve_run(self, count: int) -> int:
        """Look for neighbours among the frames that were given back."""
        self._flush_stale()
        free: list[int] = sorted([*self._free, *range(self._next, self._limit)])
        run = 0
        for index, frame in enumerate(free):
            run = run + 1 if index and free[index - 1] == frame - 1 else 1
            if run == count:
                chosen = set(free[index - count + 1 : index + 1])
                self._free = [each for each in free if each not in chosen]
                self._next = self._limit
                return frame - count + 1
        raise RpcError(ERR_NO_MEMORY)

    def free_run(self, first: int, count: int) -> None:
        """Give back one reference of each frame of a run.

        Raises:
            RpcError: ERR_INVALID_ARG when one of them is not in use; nothing is given back then.
        """
        frames = range(first, first + count)
        if first < self.first or frames.stop > self._limit or any(self.refs[each] == 0 for each in frames):
            raise RpcError(ERR_INVALID_ARG)
        for each in frames:
            self.release(each)

    def set_aside(self, count: int) -> list[int]:
        """Take frames that nobody is to use, so that the host need not keep anything of them.

        Args:
            count: how many; at most `available`.
        Returns:
            The frames, for `put_back`.
        """
        fresh = min(count, self._limit - self._next)
        taken = list(range(self._next, self._next + fresh))
        self._next += fresh
        if len(taken) < count and len(self._free) < count - fresh:
            self._flush_stale()
        while len(taken) < count:
            frame = self._free.pop()
            self.ram.discard(frame * _PAGE, _PAGE)
            taken.append(frame)
        return taken

    def put_back(self, taken: list[int]) -> None:
        """Give back frames that were set aside."""
        self._free += taken

    def hold(self, frame: int) -> None:
        """Add a reference."""
        self.refs[frame] += 1

    def release(self, frame: int) -> None:
        """Drop a reference; the last one frees the frame."""
        left = self.refs[frame] - 1
        self.refs[frame] = left
        if not left:
            if self.code[frame]:
                self._stale.append(frame)
                if len(self._stale) >= _STALE_BATCH:
                    self._flush_stale()
            else:
                self._free.append(frame)

    def mark_code(self, frame: int) -> None:
        """The frame gets mapped executable: translations of it may exist from now on."""
        self.code[frame] = 1

    def changed(self, frame: int) -> None:
        """The host wrote into the frame: drop translations of it, if there may be any."""
        if self.code[frame]:
            self._flush([frame])

    def _flush_stale(self) -> None:
        if self._stale:
            self._flush(self._stale)
            for frame in self._stale:
                self.code[frame] = 0
            self._free += self._stale
            self._stale = []

    def _reclaim(self) -> int:
        self._flush_stale()
        if not self._free:
            raise RpcError(ERR_NO_MEMORY)
        frame: int = self._free.pop()
        return frame
