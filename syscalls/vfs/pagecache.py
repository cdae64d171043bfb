"""The page cache: frames that hold file contents, shared by every mapping of the file.

A regular file gets a cache when it is first mapped or executed. read(2) and write(2) stay coherent with it:
`write_back` brings what shared mappings changed to the file server before a read, `update` copies what a write
changed into resident pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import PTE_DIRTY
from linuxemu.messages import fs
from syscalls.errors import SysError

if TYPE_CHECKING:
    from linuxemu.kernel.frames import FrameAllocator
    from linuxemu.kernel.paging import AddressSpace
    from syscalls.objects.mm import MemoryMap
    from syscalls.objects.task import Task
    from syscalls.objects.vma import Vma
    from syscalls.vfs.regular import RegularFile

PAGE = 4096
_ZERO = bytes(PAGE)
_CHUNK = 256 * 1024


async def fetch(file: RegularFile, offset: int, length: int) -> bytes:
    """File contents straight from the server, short at the end of the file."""
    if length <= _CHUNK:
        data: bytes = (await file.ask(fs.Read(file.handle, offset, length))).data
        return data
    parts = []
    while length > 0:
        part = (await file.ask(fs.Read(file.handle, offset, min(length, _CHUNK)))).data
        if not part:
            break
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return b"".join(parts)


class PageCache:
    """Resident pages of one file, or all pages of one piece of shared anonymous memory.

    Args:
        frames: the kernel's frames.
        size: length in bytes; None for anonymous memory.
        version: the file's.
        extent: bytes of anonymous memory, which never grows.
    """

    __slots__ = ("_extent", "_frames", "error", "frames", "mappings", "shared", "size", "version")
    JOINS = True
    """Areas of these pages that continue each other become one."""

    def __init__(self, frames: FrameAllocator, size: int | None, version: int = 0, extent: int = 0) -> None:
        self._extent = extent
        self._frames = frames
        self.size = size
        self.version = version
        """The file's version when the pages were read."""
        self.frames: dict[int, int] = {}
        """Page index -> frame; the cache holds one reference of each."""
        self.mappings: dict[MemoryMap, int] = {}
        """Memory maps with areas of these pages -> how many areas."""
        self.shared = 0
        """How many of these areas are shared: their stores have to reach the file."""
        self.error: SysError | None = None
        """Why changed pages could not be stored, until somebody who asks for it has heard of it."""

    def __del__(self) -> None:
        for frame in self.frames.values():
            self._frames.release(frame)

    @property
    def last_page(self) -> int:
        """Number of pages that there are."""
        return -(-(self.size if self.size is not None else self._extent) // PAGE)

    async def load(self, file: RegularFile | None, first: int, count: int) -> None:
        """Make the pages [first, first + count) resident as far as the file goes.

        Raises:
            SysError: the file server's error.
            RpcError: ERR_NO_MEMORY.
        """
        frames = self.frames
        last = min(first + count, self.last_page)
        while first < last and first in frames:
            first += 1
        while last > first and last - 1 in frames:
            last -= 1
        if first >= last:
            return
        data = b"" if file is None else await fetch(file, first * PAGE, (last - first) * PAGE)
        memory, allocate = self._frames.ram.data, self._frames.alloc
        for index in range(first, last):
            if index in frames:
                continue
            page = data[(index - first) * PAGE : (index - first + 1) * PAGE]
            frame = allocate()
            at = frame << 12
            memory[at : at + PAGE] = page if len(page) == PAGE else page + _ZERO[len(page) :]
            frames[index] = frame

    def update(self, offset: int, data: bytes) -> None:
        """A write(2) changed the file: change resident pages too."""
        if self.size is not None and offset + len(data) > self.size:
            self.size = offset + len(data)
        frames, memory = self.frames, self._frames.ram.data
        if not frames:
            return
        position = 0
        while position < len(data):
            index, within = divmod(offset + position, PAGE)
            step = min(PAGE - within, len(data) - position)
            frame = frames.get(index)
            if frame is not None:
                at = (frame << 12) + within
                memory[at : at + step] = data[position : position + step]
                self._frames.changed(frame)
            position += step

    def truncate(self, size: int) -> None:
        """The file has a new size: pages beyond are dropped and unmapped, the rest of the last one is cleared."""
        old = self.size
        self.size = size
        if old is None or size >= old:
            return
        keep = -(-size // PAGE)
        for index in [index for index in self.frames if index >= keep]:
            self._frames.release(self.frames.pop(index))
        for mm in list(self.mappings):
            mm.drop_file_pages(self, keep)
        if size % PAGE:
            frame = self.frames.get(size // PAGE)
            if frame is not None:
                at = frame << 12
                self._frames.ram.data[at + size % PAGE : at + PAGE] = bytes(PAGE - size % PAGE)

    def add_mapping(self, mm: MemoryMap, shared: bool) -> None:
        """An area of these pages begins in `mm`."""
        self.mappings[mm] = self.mappings.get(mm, 0) + 1
        self.shared += shared

    def remove_mapping(self, mm: MemoryMap, shared: bool) -> None:
        """An area ends."""
        self.shared -= shared
        left = self.mappings[mm] - 1
        if left:
            self.mappings[mm] = left
        else:
            del self.mappings[mm]

    def shrink(self) -> int:
        """Forget pages that nothing maps; they can be read again. Returns how many."""
        refs = self._frames.refs
        unused = [index for index, frame in self.frames.items() if refs[frame] == 1]
        for index in unused:
            self._frames.release(self.frames.pop(index))
        return len(unused)

    async def write_back(self) -> None:
        """Bring pages that CPUs changed through shared mappings to the file server."""
        for mm in list(self.mappings):
            for vma in mm.areas_of(self):
                await self.write_back_area(mm.space, vma, vma.start, vma.end)

    async def write_back_area(self, space: AddressSpace, vma: Vma, start: int, end: int) -> None:
        """Write back what was changed through the part [start, end) of a shared area."""
        dirty = self.take_dirty(space, vma, start, end)
        if dirty and vma.file is not None:
            await self.store(vma.file, dirty)

    def take_dirty(self, space: AddressSpace, vma: Vma, start: int, end: int) -> list[int]:
        """Indexes of the pages that were changed through a part of an area; they count as clean from now on."""
        if vma.file is None:
            return []
        dirty = [vaddr for vaddr, entry in space.entries(start, end) if entry & PTE_DIRTY]
        for vaddr in dirty:
            space.clear_dirty(vaddr)
        return [(vaddr - vma.start + vma.offset) // PAGE for vaddr in dirty]

    async def store(self, file: RegularFile, dirty: list[int]) -> None:
        """Write pages to the file server, as far as the file goes. An error waits for whoever asks (`report`)."""
        for index in dirty:
            frame = self.frames.get(index)
            size = self.size
            if frame is None or size is None or index * PAGE >= size:
                continue
            at = frame << 12
            data = bytes(self._frames.ram.data[at : at + min(PAGE, size - index * PAGE)])
            try:
                await file.ask(fs.Write(file.handle, index * PAGE, data))
            except SysError as error:
                self.error = error

    def report(self) -> None:
        """Raise the error of an earlier write-back, once (man 2 msync, man 2 fsync).

        Raises:
            SysError: ENOSPC, EIO ...
        """
        error, self.error = self.error, None
        if error is not None:
            raise error


async def write_back(inode: object, *, report: bool = False) -> None:
    """Bring what shared mappings changed to the file server, before somebody reads the file another way.

    Args:
        inode: the file.
        report: the caller wants to know whether all changes so far could be stored.
    Raises:
        SysError: if `report`, why not.
    """
    pages: PageCache | None = getattr(inode, "pages", None)
    if pages is not None:
        if pages.shared:
            await pages.write_back()
        if report:
            pages.report()


def update(inode: object, offset: int, data: bytes) -> None:
    """The file was written: keep resident pages equal."""
    pages: PageCache | None = getattr(inode, "pages", None)
    if pages is not None:
        pages.update(offset, data)


async def pages_of(t: Task, file: RegularFile) -> PageCache:
    """The page cache of a file that is about to be mapped.

    Pages of an older version of the contents are forgotten, unless a shared mapping keeps them coherent.
    """
    inode = file.inode
    attr = await inode.getattr(t)
    pages: PageCache | None = inode.pages
    if pages is None or (not pages.shared and (pages.size != attr.size or pages.version != attr.version)):
        pages = inode.pages = PageCache(t.server.port.frames, attr.size, attr.version)
    t.server.keep_pages(inode)
    return pages
