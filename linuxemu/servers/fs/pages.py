"""File contents in memory, by pages: cheap appends, holes of any size, room for a lower file below."""

from __future__ import annotations

PAGE = 4096
_SHIFT = 12
_MASK = PAGE - 1
_ZEROS = bytes(PAGE)


class _Empty(bytes):
    """A page without contents; which one it is says what it stands for."""

    __slots__ = ()


_HOLE = _Empty()
"""Hides the lower file; takes no room."""
_RESERVED = _Empty()
"""Takes room, was never written."""


class PageMap:
    """The contents of one file.

    A page is absent (a hole, or the lower file's), or a byte string of at most `PAGE` bytes: what is
    missing at its end reads as zeros. Pages never hold anything beyond `size`.

    Args:
        size: bytes in the file.
        floor: of the first so many bytes, absent pages are the lower file's.
    """

    __slots__ = ("allocated", "floor", "pages", "size")

    def __init__(self, size: int = 0, floor: int = 0) -> None:
        self.pages: dict[int, bytes | bytearray] = {}
        self.size = size
        self.floor = floor
        self.allocated = 0
        """Pages that take room."""

    # -- reading -------------------------------------------------------------------------------------

    def read(self, offset: int, end: int) -> bytes:
        """The bytes from `offset` to `end`: at least one, none beyond `size`. Lower bytes read as zeros."""
        length = end - offset
        first = offset >> _SHIFT
        last = (end - 1) >> _SHIFT
        start = offset & _MASK
        get = self.pages.get
        if first == last:
            page = get(first)
            if page is None:
                return _ZEROS[:length]
            if not start and length == len(page) and type(page) is bytes:
                return page
            return bytes(page[start : start + length]).ljust(length, b"\0")
        data = b"".join([get(index, _ZEROS) for index in range(first, last + 1)])
        if len(data) - len(get(last, _ZEROS)) != (last - first) << _SHIFT:  # a short page in the middle
            data = b"".join([get(index, _ZEROS).ljust(PAGE, b"\0") for index in range(first, last + 1)])
        return data[start : start + length].ljust(length, b"\0")

    def lower_runs(self, offset: int, end: int) -> list[tuple[int, int, bool]]:
        """The range cut into runs (start, end, whether it is the lower file's), in order."""
        runs: list[tuple[int, int, bool]] = []
        position = offset
        while position < end:
            if position >= self.floor:
                below, stop = False, end
            else:
                below = position >> _SHIFT not in self.pages
                stop = min((position | _MASK) + 1, end, self.floor if below else end)
            if runs and runs[-1][2] is below:
                runs[-1] = runs[-1][0], stop, below
            else:
                runs.append((position, stop, below))
            position = stop
        return runs

    def edges(self, offset: int, end: int) -> list[int]:
        """Pages of which a change of the range leaves a part to the lower file: they must be filled first."""
        first = offset >> _SHIFT
        if first << _SHIFT >= self.floor:
            return []
        last = (end - 1) >> _SHIFT
        needed = []
        if offset & _MASK and first not in self.pages:
            needed.append(first)
        if end & _MASK and end < self.floor and last not in self.pages and last not in needed:
            needed.append(last)
        return needed

    def fill(self, index: int, data: bytes) -> None:
        """Take over a page of the lower file, unless it was written or cut off meanwhile."""
        data = data[: max(0, self.floor - (index << _SHIFT))]
        if data and index not in self.pages:
            self.pages[index] = data
            self.allocated += 1

    # -- writing -------------------------------------------------------------------------------------

    def growth(self, offset: int, end: int) -> int:
        """How many more pages a write to the range takes."""
        first = offset >> _SHIFT
        last = (end - 1) >> _SHIFT
        pages = self.pages
        if last == first:
            return int(pages.get(first, _HOLE) is _HOLE)
        if last - first > len(pages):
            taken = sum(1 for index, page in pages.items() if first <= index <= last and page is not _HOLE)
        else:
            taken = sum(1 for index in range(first, last + 1) if pages.get(index, _HOLE) is not _HOLE)
        return last - first + 1 - taken

    def write(self, offset: int, data: bytes) -> None:
        """Store `data`, which is not empty; the file grows as needed."""
        length = len(data)
        index = offset >> _SHIFT
        start = offset & _MASK
        if start + length <= PAGE:
            self._put(index, start, data)
        else:
            position = 0
            if start:
                position = PAGE - start
                self._put(index, start, data[:position])
                index += 1
            pages = self.pages
            while length - position >= PAGE:
                if pages.get(index, _HOLE) is _HOLE:
                    self.allocated += 1
                pages[index] = data[position : position + PAGE]
                position += PAGE
                index += 1
            if position < length:
                self._put(index, 0, data[position:])
        self.size = max(self.size, offset + length)

    def _put(self, index: int, start: int, piece: bytes) -> None:
        """Store a piece of one page."""
        page = self.pages.get(index, _HOLE)
        if page is _HOLE:
            self.allocated += 1
        if not start and len(piece) >= len(page):
            self.pages[index] = piece
            return
        if type(page) is not bytearray:
            page = self.pages[index] = bytearray(page)
        if start > len(page):
            page.extend(bytes(start - len(page)))
        page[start : start + len(piece)] = piece

    # -- size and holes ------------------------------------------------------------------------------

    def truncate(self, size: int) -> None:
        """Make the file `size` bytes long; what is cut off is gone, what is added reads as zeros."""
        if size < self.size:
            self._drop((size + _MASK) >> _SHIFT, None)
            tail = self.pages.get(size >> _SHIFT)
            if tail is not None and len(tail) > size & _MASK:
                self.pages[size >> _SHIFT] = tail[: size & _MASK]
            self.floor = min(self.floor, size)
        self.size = size

    def _drop(self, first: int, stop: int | None) -> None:
        """Forget the pages from `first` to before `stop` (None: to the end)."""
        pages = self.pages
        if stop is None or stop - first > len(pages):
            doomed = [index for index in pages if index >= first and (stop is None or index < stop)]
        else:
            doomed = [index for index in range(first, stop) if index in pages]
        for index in doomed:
            if pages.pop(index) is not _HOLE:
                self.allocated -= 1

    def punch(self, offset: int, end: int) -> None:
        """Make the range, whose `edges` are filled, read as zeros and give whole pages back."""
        first = (offset + _MASK) >> _SHIFT
        stop = end >> _SHIFT
        if first > stop:
            self._zero(stop, offset & _MASK, end & _MASK)
            return
        if offset & _MASK:
            self._zero(first - 1, offset & _MASK, PAGE)
        self._drop(first, stop)
        if end >= self.floor:
            self.floor = min(self.floor, first << _SHIFT)
        else:
            for index in range(first, stop):
                self.pages[index] = _HOLE
        if end & _MASK:
            self._zero(stop, 0, end & _MASK)

    def _zero(self, index: int, start: int, stop: int) -> None:
        page = self.pages.get(index, _HOLE)
        stop = min(stop, len(page))
        if start < stop:
            self.pages[index] = page[:start] + bytes(stop - start) + page[stop:]

    def missing(self, offset: int, end: int) -> int:
        """How many more pages `reserve` of the range takes."""
        first = offset >> _SHIFT
        start = max(first, (self.floor + _MASK) >> _SHIFT)
        new = self.growth(start << _SHIFT, end) if start << _SHIFT < end else 0
        return new + sum(1 for index, page in self.pages.items() if first <= index < start and page is _HOLE)

    def reserve(self, offset: int, end: int) -> None:
        """Let every page of the range take room; the lower file's pages have theirs already."""
        first = offset >> _SHIFT
        start = max(first, (self.floor + _MASK) >> _SHIFT)
        pages = self.pages
        wanted = [index for index, page in pages.items() if first <= index < start and page is _HOLE]
        wanted += range(start, ((end - 1) >> _SHIFT) + 1)
        for index in wanted:
            if pages.get(index, _HOLE) is _HOLE:
                pages[index] = _RESERVED
                self.allocated += 1
