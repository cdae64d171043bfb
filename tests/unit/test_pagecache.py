"""The page cache alone: what it holds of a file, and what of that goes back."""

from __future__ import annotations

from typing import Any

import pytest

from linuxemu.arch.x86_64 import PTE_DIRTY, PTE_NX, PTE_PRESENT, PTE_SHARED, PTE_USER, PTE_WRITABLE
from linuxemu.cpu.memory import HostRam
from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NO_MEMORY
from linuxemu.kernel.frames import FrameAllocator
from linuxemu.kernel.paging import AddressSpace
from linuxemu.messages import fs
from syscalls.abi.errno import EIO, ENOSPC
from syscalls.abi.flags import MAP_SHARED, PROT_READ, PROT_WRITE
from syscalls.errors import SysError
from syscalls.objects.vma import Vma
from syscalls.vfs import pagecache
from syscalls.vfs.pagecache import PageCache, fetch, update, write_back
from tests.helpers import run

PAGE = 4096
BITS = PTE_PRESENT | PTE_USER | PTE_NX | PTE_WRITABLE | PTE_SHARED


class Frames(FrameAllocator):
    """64 frames, and a note of what was flushed."""

    def __init__(self) -> None:
        self.flushed: list[int] = []
        super().__init__(HostRam(64 * PAGE), 1, self.flushed.extend)

    def page(self, frame: int) -> bytes:
        return bytes(self.ram.data[frame * PAGE : (frame + 1) * PAGE])


class File:
    """An opened file whose server is a bytearray."""

    handle = 5

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        self.reads: list[tuple[int, int]] = []
        self.error: SysError | None = None
        self.inode = self.fs = self
        self.pages: PageCache | None = None

    async def ask(self, m: Any) -> Any:
        assert m.handle == self.handle
        if isinstance(m, fs.Read):
            self.reads.append((m.offset, m.len))
            return fs.ReadReply(bytes(self.content[m.offset : m.offset + m.len]))
        if self.error is not None:
            raise self.error
        self.content[m.offset : m.offset + len(m.data)] = m.data
        return fs.WriteReply()


class Map:
    """A memory map with one shared area of the whole file at 0x10000."""

    def __init__(self, frames: Frames, file: File, pages: PageCache, size: int) -> None:
        self.space = AddressSpace(frames)
        self.vma = Vma(0x10000, 0x10000 + size * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0, pages)  # type: ignore[arg-type]
        self.cut: list[int] = []
        for index, frame in pages.frames.items():
            self.space.map(0x10000 + index * PAGE, frame, BITS)

    def areas_of(self, pages: PageCache) -> list[Vma]:
        return [self.vma]

    def drop_file_pages(self, pages: PageCache, keep: int) -> None:
        self.cut.append(keep)

    def store(self, frames: Frames, offset: int, data: bytes) -> None:
        """What a program's store does."""
        vaddr = 0x10000 + offset
        at = (self.space.entry(vaddr) & 0xF_FFFF_F000) + offset % PAGE
        frames.ram.data[at : at + len(data)] = data
        self.space.mark(vaddr, PTE_DIRTY)


@pytest.fixture
def frames() -> Frames:
    return Frames()


def make(frames: Frames, file: File) -> Any:
    pages: Any = PageCache(frames, len(file.content))
    file.pages = pages
    return pages


def letters(count: int) -> bytes:
    return b"".join(bytes([65 + i]) * PAGE for i in range(count))


def test_load_reads_what_is_missing(frames: Frames) -> None:
    file = File(letters(5) + b"end")
    pages = make(frames, file)
    assert pages.last_page == 6
    run(pages.load(file, 2, 1))
    run(pages.load(file, 0, 16))
    run(pages.load(file, 0, 16))
    assert file.reads == [(2 * PAGE, PAGE), (0, 6 * PAGE)]
    assert sorted(pages.frames) == [0, 1, 2, 3, 4, 5]
    for index in range(5):
        assert frames.page(pages.frames[index]) == bytes([65 + index]) * PAGE
    assert frames.page(pages.frames[5]) == b"end".ljust(PAGE, b"\0")


def test_load_skips_resident_ends(frames: Frames) -> None:
    file = File(letters(6))
    pages = make(frames, file)
    run(pages.load(file, 0, 2))
    run(pages.load(file, 5, 1))
    run(pages.load(file, 0, 6))
    assert file.reads[-1] == (2 * PAGE, 3 * PAGE)


def test_load_beyond_the_end(frames: Frames) -> None:
    file = File(letters(1))
    pages = make(frames, file)
    run(pages.load(file, 1, 4))
    assert (file.reads, pages.frames) == ([], {})


def test_server_that_has_less_than_it_said(frames: Frames) -> None:
    """The file became shorter behind our back: the rest reads as zeros."""
    file = File(letters(3))
    pages = make(frames, file)
    del file.content[PAGE + 5 :]
    run(pages.load(file, 0, 3))
    assert frames.page(pages.frames[1]) == b"BBBBB".ljust(PAGE, b"\0")
    assert frames.page(pages.frames[2]) == bytes(PAGE)


def test_anonymous_pages_are_zero(frames: Frames) -> None:
    pages = PageCache(frames, None, extent=1 << 30)
    dirty = frames.alloc()
    frames.ram.data[dirty * PAGE : (dirty + 1) * PAGE] = b"\xff" * PAGE
    frames.release(dirty)
    run(pages.load(None, 1 << 17, 1))
    assert frames.page(pages.frames[1 << 17]) == bytes(PAGE)


def test_no_memory(frames: Frames) -> None:
    file = File(letters(3))
    pages = make(frames, file)
    while frames.available > 1:
        frames.alloc()
    with pytest.raises(RpcError) as error:
        run(pages.load(file, 0, 3))
    assert error.value.code == ERR_NO_MEMORY
    assert list(pages.frames) == [0]


def test_frames_come_back_with_the_cache(frames: Frames) -> None:
    free = frames.available
    file = File(letters(3))
    pages = make(frames, file)
    run(pages.load(file, 0, 3))
    assert frames.available == free - 3
    file.pages = None
    del pages
    assert frames.available == free


def test_shrink_forgets_what_nothing_maps(frames: Frames) -> None:
    file = File(letters(3))
    pages = make(frames, file)
    run(pages.load(file, 0, 3))
    frames.hold(pages.frames[1])
    assert pages.shrink() == 2
    assert list(pages.frames) == [1]
    run(pages.load(file, 0, 3))
    assert frames.page(pages.frames[0]) == b"A" * PAGE


def test_update_changes_resident_pages(frames: Frames) -> None:
    file = File(letters(4))
    pages = make(frames, file)
    update(file, PAGE, b"not resident")
    run(pages.load(file, 1, 2))
    frames.mark_code(pages.frames[2])
    update(file, PAGE - 2, b"x" * (PAGE + 4))
    assert frames.page(pages.frames[1]) == b"x" * PAGE
    assert frames.page(pages.frames[2]) == b"xx" + b"C" * (PAGE - 2)
    assert frames.flushed == [pages.frames[2]]
    update(file, 5 * PAGE, b"grown")
    assert pages.size == 5 * PAGE + 5
    update(file, 0, b"")
    file.pages = None
    update(file, 0, b"no cache")


def test_truncate_drops_and_clears(frames: Frames) -> None:
    file = File(letters(4))
    pages = make(frames, file)
    run(pages.load(file, 0, 4))
    free = frames.available
    mm: Any = Map(frames, file, pages, 4)
    pages.add_mapping(mm, False)
    free = frames.available
    pages.truncate(PAGE + 10)
    assert sorted(pages.frames) == [0, 1]
    assert mm.cut == [2]
    assert frames.available == free  # still mapped
    mm.space.unmap(0x10000, 0x10000 + 4 * PAGE)
    assert frames.available >= free + 2
    assert frames.page(pages.frames[1]) == (b"B" * 10).ljust(PAGE, b"\0")
    pages.truncate(3 * PAGE)
    assert pages.last_page == 3
    assert mm.cut == [2]


def test_mappings_are_counted(frames: Frames) -> None:
    pages = PageCache(frames, 0)
    one, two = object(), object()
    for mm, shared in ((one, True), (one, False), (two, True)):
        pages.add_mapping(mm, shared)  # type: ignore[arg-type]
    assert pages.shared == 2
    pages.remove_mapping(one, False)  # type: ignore[arg-type]
    assert set(pages.mappings) == {one, two}
    pages.remove_mapping(one, True)  # type: ignore[arg-type]
    pages.remove_mapping(two, True)  # type: ignore[arg-type]
    assert pages.mappings == {}
    assert pages.shared == 0


def test_dirty_pages_go_back_once(frames: Frames) -> None:
    file = File(letters(3) + b"end")
    pages = make(frames, file)
    run(pages.load(file, 0, 4))
    mm: Any = Map(frames, file, pages, 4)
    run(write_back(file))  # no shared mapping: nothing to look for
    pages.add_mapping(mm, True)
    mm.store(frames, PAGE + 5, b"changed")
    mm.store(frames, 3 * PAGE + 1, b"0123456789")
    run(write_back(file))
    assert bytes(file.content) == b"A" * PAGE + b"BBBBBchanged".ljust(PAGE, b"B") + b"C" * PAGE + b"e01"
    file.content[:] = bytes(len(file.content))
    run(write_back(file))
    assert not any(file.content)
    mm.store(frames, 0, b"again")
    run(write_back(file))
    assert file.content.startswith(b"again")


def test_only_a_part_of_an_area(frames: Frames) -> None:
    file = File(letters(3))
    pages = make(frames, file)
    run(pages.load(file, 0, 3))
    mm: Any = Map(frames, file, pages, 3)
    pages.add_mapping(mm, True)
    for index in range(3):
        mm.store(frames, index * PAGE, b"x")
    run(pages.write_back_area(mm.space, mm.vma, 0x10000 + PAGE, 0x10000 + 2 * PAGE))
    assert [bytes(file.content[i * PAGE : i * PAGE + 1]) for i in range(3)] == [b"A", b"x", b"C"]


def test_error_of_a_write_back_waits_for_who_asks(frames: Frames) -> None:
    file = File(letters(2))
    pages = make(frames, file)
    run(pages.load(file, 0, 2))
    mm: Any = Map(frames, file, pages, 2)
    pages.add_mapping(mm, True)
    mm.store(frames, 0, b"x")
    file.error = SysError(ENOSPC)
    run(write_back(file))
    with pytest.raises(SysError) as error:
        run(write_back(file, report=True))
    assert error.value.errno == ENOSPC
    run(write_back(file, report=True))
    file.error = SysError(EIO)
    mm.store(frames, 0, b"x")
    with pytest.raises(SysError) as error:
        run(write_back(file, report=True))
    assert error.value.errno == EIO


def test_pages_that_left_the_cache_are_not_written(frames: Frames) -> None:
    file = File(letters(2))
    pages = make(frames, file)
    run(pages.load(file, 0, 2))
    mm: Any = Map(frames, file, pages, 2)
    pages.add_mapping(mm, True)
    mm.store(frames, PAGE, b"x")
    pages.truncate(PAGE)
    run(write_back(file))
    assert bytes(file.content) == letters(2)


def test_anonymous_memory_has_nobody_to_write_to(frames: Frames) -> None:
    file = File(b"")
    pages = PageCache(frames, None, extent=1 << 30)
    run(pages.load(None, 0, 1))
    mm: Any = Map(frames, file, pages, 1)
    mm.vma.file = None
    pages.add_mapping(mm, True)
    mm.store(frames, 0, b"x")
    run(pages.write_back())
    assert mm.space.entry(0x10000) & PTE_DIRTY


def test_large_reads_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagecache, "_CHUNK", 100)
    file: Any = File(bytes(range(250)))
    assert run(fetch(file, 10, 1000)) == bytes(range(10, 250))
    assert file.reads[:3] == [(10, 100), (110, 100), (210, 100)]
    assert run(fetch(file, 10, 100)) == bytes(range(10, 110))
    assert run(fetch(file, 300, 50)) == b""
