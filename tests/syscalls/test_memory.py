"""mmap and its family, brk, and the page faults behind them: as Linux does it, scenario by scenario."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.arch.x86_64 import FAULT_FETCH, FAULT_WRITE, PTE_ADDRESS, PTE_PRESENT, PTE_WRITABLE
from syscalls.abi.flags import (
    MADV_DONTNEED,
    MADV_FREE,
    MADV_NORMAL,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MADV_WILLNEED,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_NORESERVE,
    MAP_POPULATE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    MS_ASYNC,
    MS_INVALIDATE,
    MS_SYNC,
    PROT_EXEC,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    RLIM_INFINITY,
    RLIMIT_AS,
    RLIMIT_DATA,
    RLIMIT_STACK,
    SIGBUS,
    SIGKILL,
    SIGSEGV,
)
from syscalls.objects.mm import STACK_TOP
from tests.syscalls.machine_rig import MachineRig
from tests.syscalls.twin import GuestTwin, Native, Twin, ok, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = 4096
RW = PROT_READ | PROT_WRITE
PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS
SHARED = MAP_SHARED | MAP_ANONYMOUS
O_RDONLY, O_WRONLY, O_RDWR, O_CREAT = 0, 1, 2, 0o100

Scenario = "Callable[[Twin], Any]"
SCENARIOS: list[Any] = []


def scenario(function: Any) -> Any:
    """To be run natively and in linuxemu."""
    SCENARIOS.append(function)
    return function


def mapped(os: Twin, pages: int, prot: int = RW, flags: int = PRIVATE, fd: int = -1, offset: int = 0) -> int:
    address = os.call("mmap", 0, pages * PAGE, prot, flags, fd, offset)
    assert address > 0, show(address)
    return address


def opened(os: Twin, name: bytes, flags: int, size: int | None = None) -> int:
    """Open a file; with a size it is made first, its pages full of A, B, C ..."""
    path = os.put(name + b"\0")
    if size is not None:
        fd = os.call("open", path, O_RDWR | O_CREAT, 0o644)
        data = b"".join(bytes([65 + i % 26]) * PAGE for i in range(-(-size // PAGE)))[:size]
        assert os.call("write", fd, os.put(data), size) == size
        os.call("close", fd)
    fd = os.call("open", path, flags, 0)
    assert fd >= 0, show(fd)
    return fd


def content(os: Twin, fd: int, length: int, offset: int = 0) -> bytes:
    buffer = os.put(bytes(length))
    count = os.call("pread64", fd, buffer, length, offset)
    return os.peek(buffer, count) or b""


def first_bytes(os: Twin, address: int, pages: int) -> list[bytes | None]:
    return [os.peek(address + i * PAGE, 1) for i in range(pages)]


# -- mmap ---------------------------------------------------------------------------------------------


@scenario
def mmap_arguments(os: Twin) -> Any:
    fd = opened(os, b"file", O_RDWR, 3 * PAGE)
    calls = [
        (0, 0, RW, PRIVATE, -1, 0), (0, PAGE, RW, MAP_ANONYMOUS, -1, 0), (0, PAGE, RW, PRIVATE, -1, 1),
        (0, PAGE, RW, MAP_PRIVATE, -1, 0), (0, PAGE, RW, MAP_PRIVATE, 999, 0), (0, PAGE, RW, MAP_PRIVATE, 999, 1),
        (0, 0, RW, MAP_PRIVATE, 999, 0), (0, 0, RW, MAP_PRIVATE, fd, 0), (0, PAGE, RW, MAP_PRIVATE, fd, 100),
        (0, PAGE, RW, 0, fd, 0), (0, 1 << 47, RW, PRIVATE, -1, 0), (0, 1 << 63, RW, PRIVATE, -1, 0),
        (0, -1, RW, PRIVATE, -1, 0), (0, -PAGE, RW, PRIVATE, -1, 0), (0, PAGE, RW, MAP_PRIVATE, fd, -PAGE),
        (0, 2 * PAGE, RW, MAP_SHARED, fd, (1 << 63) - PAGE), (1, PAGE, RW, PRIVATE | MAP_FIXED, -1, 0),
        (1 << 47, PAGE, RW, PRIVATE | MAP_FIXED, -1, 0), ((1 << 47) - PAGE, PAGE, RW, PRIVATE | MAP_FIXED, -1, 0),
        ((1 << 47) - 2 * PAGE, 2 * PAGE, RW, PRIVATE | MAP_FIXED, -1, 0), (-PAGE, PAGE, RW, PRIVATE | MAP_FIXED, -1, 0),
        (0, PAGE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0), (0, PAGE, RW, MAP_SHARED_VALIDATE, fd, 0),
        (0, PAGE, RW, MAP_SHARED_VALIDATE | 1 << 25, fd, 0), (0, PAGE, RW, MAP_SHARED | 1 << 25, fd, 0),
        (0, PAGE, RW, MAP_PRIVATE | 1 << 25, fd, 0), (0, PAGE, 0x1000, PRIVATE, -1, 0), (0, PAGE, -1, PRIVATE, -1, 0),
        (0, PAGE, RW, SHARED | MAP_GROWSDOWN, -1, 0), (0, PAGE, RW, PRIVATE | MAP_GROWSDOWN, -1, 0),
        (0, PAGE, RW, MAP_PRIVATE | MAP_GROWSDOWN, fd, 0), (0, PAGE, RW, PRIVATE, 5, 0), (0, 1, RW, PRIVATE, -1, PAGE),
    ]  # fmt: skip
    return [ok(os.call("mmap", *call)) for call in calls]


@scenario
def mmap_needs_rights_on_the_file(os: Twin) -> Any:
    fds = [opened(os, b"file", flags, 1) for flags in (O_RDONLY, O_WRONLY, O_RDWR)]
    fds.append(os.call("open", os.put(b"file\0"), 0o10000000, 0))  # O_PATH
    fds.append(os.call("open", os.put(b".\0"), 0o200000, 0))  # O_DIRECTORY
    pipe = os.put(bytes(8))
    os.call("pipe", pipe)
    fds.append(struct.unpack("<ii", os.peek(pipe, 8) or b"")[0])
    return [
        [ok(os.call("mmap", 0, PAGE, prot, flags, fd, 0)) for prot in (PROT_NONE, PROT_READ, PROT_WRITE, RW)]
        for fd in fds
        for flags in (MAP_SHARED, MAP_PRIVATE)
    ]


@scenario
def mmap_places(os: Twin) -> Any:
    """Hints, fixed places, and what is there already."""
    area = mapped(os, 16, PROT_NONE)
    os.call("munmap", area + 4 * PAGE, 4 * PAGE)
    found = []
    for hint, flags in (
        (area + 4 * PAGE, 0), (area + 4 * PAGE + 1, 0), (area, 0), (area + 5 * PAGE, MAP_FIXED_NOREPLACE),
        (area + 7 * PAGE, MAP_FIXED_NOREPLACE), (area + 6 * PAGE, MAP_FIXED_NOREPLACE), (area + 1, MAP_FIXED_NOREPLACE),
        (area + 2 * PAGE, MAP_FIXED), (area + 2 * PAGE, MAP_FIXED | MAP_FIXED_NOREPLACE),
    ):  # fmt: skip
        where = os.call("mmap", hint, 2 * PAGE if flags else PAGE, PROT_READ, PRIVATE | flags, -1, 0)
        exact = where - area if area <= where < area + 16 * PAGE else "elsewhere"
        found.append((ok(where), exact))
    return found, first_bytes(os, area, 16)


@scenario
def mmap_fixed_replaces(os: Twin) -> Any:
    area = mapped(os, 4)
    for i in range(4):
        os.poke(area + i * PAGE, b"old")
    assert os.call("mmap", area + PAGE, 2 * PAGE, RW, PRIVATE | MAP_FIXED, -1, 0) == area + PAGE
    return [os.peek(area + i * PAGE, 3) for i in range(4)]


@scenario
def mmap_rounds_lengths_up(os: Twin) -> Any:
    area = mapped(os, 8, PROT_NONE)
    os.call("mmap", area, PAGE + 1, RW, PRIVATE | MAP_FIXED, -1, 0)
    return first_bytes(os, area, 4)


@scenario
def protections(os: Twin) -> Any:
    """What may be read and written under each protection."""
    found = []
    for prot in (0, 1, 3, 4, 5, 7):  # what may be written alone can be read on x86, but not by this way of looking
        address = mapped(os, 1, prot)
        found.append((os.peek(address, 1), os.poke(address, b"x")))
    return found


@scenario
def file_pages(os: Twin) -> Any:
    fd = opened(os, b"file", O_RDWR, 3 * PAGE + 100)
    found: list[Any] = []
    for flags in (MAP_PRIVATE, MAP_SHARED):
        address = mapped(os, 6, RW, flags, fd)
        found += first_bytes(os, address, 6)
        found.append(os.peek(address + 3 * PAGE + 98, 4))
        part = mapped(os, 1, PROT_READ, flags, fd, 2 * PAGE)
        found.append(os.peek(part, 2))
    beyond = mapped(os, 1, PROT_READ, MAP_SHARED, fd, 64 * PAGE)
    return found, os.peek(beyond, 1)


@scenario
def private_stores_stay_private(os: Twin) -> Any:
    fd = opened(os, b"file", O_RDWR, 2 * PAGE)
    one, two = (mapped(os, 2, RW, MAP_PRIVATE, fd) for _ in range(2))
    os.poke(one, b"mine")
    os.call("pwrite64", fd, os.put(b"written"), 7, PAGE)
    return os.peek(one, 4), os.peek(two, 4), content(os, fd, 4), os.peek(one + PAGE, 7), os.peek(two + PAGE, 7)


@scenario
def shared_stores_reach_everybody(os: Twin) -> Any:
    fd = opened(os, b"file", O_RDWR, 2 * PAGE)
    other = opened(os, b"file", O_RDONLY)
    one, two = (mapped(os, 2, RW, MAP_SHARED, fd) for _ in range(2))
    os.poke(one + PAGE - 2, b"both")
    seen = [os.peek(two + PAGE - 2, 4), content(os, fd, 4, PAGE - 2), content(os, other, 4, PAGE - 2)]
    os.call("pwrite64", fd, os.put(b"file"), 4, PAGE - 1)
    return seen, os.peek(one + PAGE - 2, 6), os.peek(two + PAGE - 2, 6)


@scenario
def shared_mapping_outlives_its_descriptor(os: Twin) -> Any:
    """Stores reach the file after its descriptors, and other mappings of it, are gone."""
    fd = opened(os, b"file", O_RDWR, PAGE)
    writer = mapped(os, 1, RW, MAP_SHARED, fd)
    os.call("close", fd)
    reader_fd = opened(os, b"file", O_RDONLY)
    reader = mapped(os, 1, PROT_READ, MAP_SHARED, reader_fd)
    os.call("close", reader_fd)
    os.poke(writer, b"first")
    seen = [os.peek(reader, 5)]
    os.call("munmap", reader, PAGE)
    os.poke(writer + 100, b"second")
    fd = opened(os, b"file", O_RDONLY)
    seen += [content(os, fd, 5), content(os, fd, 6, 100)]
    os.call("munmap", writer, PAGE)
    return seen, content(os, fd, 6, 100)


@scenario
def shared_mapping_of_an_unlinked_file(os: Twin) -> Any:
    fd = opened(os, b"file", O_RDWR, PAGE)
    address = mapped(os, 1, RW, MAP_SHARED, fd)
    os.call("unlink", os.put(b"file\0"))
    os.poke(address, b"alive")
    found = content(os, fd, 5)
    os.call("close", fd)
    return found, os.peek(address, 5), ok(os.call("msync", address, PAGE, MS_SYNC))


@scenario
def truncated_under_a_mapping(os: Twin) -> Any:
    """Pages beyond the new end are gone, in private mappings too; what the file gains later reads as zeros."""
    found: list[Any] = []
    for flags in (MAP_SHARED, MAP_PRIVATE):
        fd = opened(os, b"file%d" % flags, O_RDWR, 4 * PAGE)
        address = mapped(os, 4, RW, flags, fd)
        found.append(first_bytes(os, address, 4))
        os.poke(address + 3 * PAGE, b"own")
        os.call("ftruncate", fd, PAGE + 10)
        found.append(first_bytes(os, address, 4))
        found.append(os.peek(address + PAGE + 8, 4))
        found.append(os.poke(address + 2 * PAGE, b"x"))
        os.call("ftruncate", fd, 3 * PAGE)
        found.append(first_bytes(os, address, 4))
        found.append(os.peek(address + PAGE + 8, 4))
    return found


@scenario
def file_grows_under_a_mapping(os: Twin) -> Any:
    fd = opened(os, b"file", O_RDWR, 10)
    address = mapped(os, 3, RW, MAP_SHARED, fd)
    found = [first_bytes(os, address, 3)]
    os.call("pwrite64", fd, os.put(b"grown"), 5, PAGE + 5)
    found.append(first_bytes(os, address, 3))
    found.append([os.peek(address + PAGE + 5, 5)])
    os.call("ftruncate", fd, 3 * PAGE)
    found.append(first_bytes(os, address, 3))
    return found


@scenario
def stores_behind_the_end_of_the_file(os: Twin) -> Any:
    fd = opened(os, b"file", O_RDWR, 10)
    address = mapped(os, 1, RW, MAP_SHARED, fd)
    os.poke(address + 5, b"0123456789")
    os.call("msync", address, PAGE, MS_SYNC)
    return content(os, fd, 100), os.call("lseek", fd, 0, 2)


# -- munmap, mprotect ---------------------------------------------------------------------------------


@scenario
def munmap_arguments(os: Twin) -> Any:
    area = mapped(os, 4)
    calls = [(area + 1, PAGE), (area, 0), (1 << 47, PAGE), (0, 1 << 47), (0, (1 << 47) + 1), (area, 1 << 63), (area, -1),
             (area + PAGE, 1), (area + PAGE, PAGE), (area, 4 * PAGE), (area, 4 * PAGE)]  # fmt: skip
    calls = [call for call in calls if call[1] != 1 << 47]
    return [show(os.call("munmap", *call)) for call in calls]


@scenario
def munmap_makes_holes(os: Twin) -> Any:
    area = mapped(os, 8)
    for i in range(8):
        os.poke(area + i * PAGE, b"%d" % i)
    results = [os.call("munmap", area + i * PAGE, n * PAGE) for i, n in ((1, 1), (3, 2), (3, 1), (6, 1))]
    return results, first_bytes(os, area, 8)


@scenario
def mprotect_arguments(os: Twin) -> Any:
    area = mapped(os, 4)
    os.call("munmap", area + 2 * PAGE, PAGE)
    fd = opened(os, b"file", O_RDONLY, 1)
    shared = mapped(os, 1, PROT_READ, MAP_SHARED, fd)
    private = mapped(os, 1, PROT_READ, MAP_PRIVATE, fd)
    calls = [
        (area + 1, PAGE, RW), (area, 0, RW), (area + 1, 0, RW), (area, PAGE, 0x10), (area, PAGE, 8), (area, PAGE, 1 << 20),
        (area, 4 * PAGE, PROT_READ), (area + 2 * PAGE, PAGE, RW), (area + 2 * PAGE, 2 * PAGE, RW), (area, -1, RW),
        (area, 1 << 63, RW), (1 << 47, PAGE, RW), (shared, PAGE, RW), (shared, PAGE, PROT_NONE), (private, PAGE, RW),
        (area, PAGE, RW | 0x01000000), (area, PAGE, RW | 0x02000000), (area, PAGE, RW | 0x03000000),
        (area, PAGE + 1, PROT_NONE),
    ]  # fmt: skip
    results = [show(os.call("mprotect", *call)) for call in calls]
    return results, [(os.peek(area + i * PAGE, 1), os.poke(area + i * PAGE, b"x")) for i in range(4)]


@scenario
def mprotect_keeps_contents(os: Twin) -> Any:
    area = mapped(os, 4)
    os.poke(area, b"kept" * 4096)
    found: list[Any] = []
    for prot in (PROT_NONE, PROT_READ, RW, PROT_EXEC, RW):
        os.call("mprotect", area + PAGE, 2 * PAGE, prot)
        found.append([(os.peek(area + i * PAGE, 4), os.poke(area + i * PAGE + 8, b"%d" % prot)) for i in range(4)])
    return found, os.peek(area + PAGE, 12)


@scenario
def mprotect_of_files(os: Twin) -> Any:
    """A read-only private mapping made writable copies; a shared one writes to the file."""
    fd = opened(os, b"file", O_RDWR, 2 * PAGE)
    found = []
    for flags in (MAP_PRIVATE, MAP_SHARED):
        address = mapped(os, 2, PROT_READ, flags, fd)
        found.append((os.peek(address, 1), os.poke(address, b"x")))
        os.call("mprotect", address, PAGE, RW)
        found.append((os.poke(address, b"stored"), os.peek(address, 6), content(os, fd, 6)))
        os.call("mprotect", address, PAGE, PROT_READ)
        found.append((os.poke(address, b"x"), os.peek(address, 6), content(os, fd, 6)))
    return found


# -- mremap -------------------------------------------------------------------------------------------


@scenario
def mremap_arguments(os: Twin) -> Any:
    area = mapped(os, 16)
    os.call("munmap", area + 8 * PAGE, PAGE)
    shared = mapped(os, 2, RW, SHARED)
    may, fixed = MREMAP_MAYMOVE, MREMAP_MAYMOVE | MREMAP_FIXED
    calls = [
        (area + 1, PAGE, PAGE, 0, 0), (area, PAGE, 0, 0, 0), (area, PAGE, PAGE, 8, 0), (area, PAGE, PAGE, MREMAP_FIXED, area),
        (area, PAGE, PAGE, fixed, area), (area, PAGE, PAGE, fixed, area + 1), (area, 2 * PAGE, PAGE, fixed, area + PAGE),
        (area, PAGE, PAGE, fixed, 1 << 47), (area, PAGE, -1, may, 0), (area, PAGE, 1 << 47, may, 0),
        (area + 8 * PAGE, PAGE, PAGE, 0, 0), (area + 8 * PAGE, PAGE, 2 * PAGE, may, 0), (area, 9 * PAGE, 10 * PAGE, may, 0),
        (area + 7 * PAGE, PAGE, 3 * PAGE, 0, 0), (area + 7 * PAGE, PAGE, 2 * PAGE, 0, 0), (area, 0, PAGE, may, 0),
        (area, 0, PAGE, 0, 0), (shared, 0, PAGE, 0, 0), (shared, 0, 2 * PAGE, may, 0), (area, PAGE, PAGE, 0, 0),
        (area + 9 * PAGE, 2 * PAGE, PAGE, 0, 0), (area + 9 * PAGE, 3 * PAGE, PAGE, may, 0), (1 << 47, PAGE, PAGE, 0, 0),
    ]  # fmt: skip
    return [ok(os.call("mremap", *call)) for call in calls], first_bytes(os, area, 16)


@scenario
def mremap_moves_contents(os: Twin) -> Any:
    area = mapped(os, 8)
    for i in range(8):
        os.poke(area + i * PAGE, b"%d" % i)
    place = mapped(os, 16, PROT_NONE)
    found: list[Any] = []
    assert os.call("mremap", area, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + PAGE) == place + PAGE
    found.append((first_bytes(os, area, 8), first_bytes(os, place, 8)))
    assert os.call("mremap", place + PAGE, 6 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area) == area
    found.append((first_bytes(os, area, 8), first_bytes(os, place, 8)))
    grown = os.call("mremap", area, 2 * PAGE, 600 * PAGE, MREMAP_MAYMOVE, 0)
    found.append((first_bytes(os, area, 3), first_bytes(os, grown, 4), os.poke(grown + 599 * PAGE, b"x")))
    found.append(os.call("mremap", grown, 600 * PAGE, PAGE, 0, 0) == grown)
    found.append(first_bytes(os, grown, 3))
    return found


@scenario
def mremap_in_place(os: Twin) -> Any:
    area = mapped(os, 8)
    os.poke(area + 3 * PAGE, b"3")
    os.call("munmap", area + 4 * PAGE, 4 * PAGE)
    found = [os.call("mremap", area, 4 * PAGE, n * PAGE, 0, 0) == area for n in (6, 8, 3)]
    return found, first_bytes(os, area, 9)[:8]


@scenario
def mremap_of_files(os: Twin) -> Any:
    fd = opened(os, b"file", O_RDWR, 8 * PAGE)
    found = []
    for flags in (MAP_SHARED, MAP_PRIVATE):
        address = mapped(os, 2, RW, flags, fd, PAGE)
        os.poke(address, b"x")
        moved = os.call("mremap", address, 2 * PAGE, 10 * PAGE, MREMAP_MAYMOVE, 0)
        found.append(first_bytes(os, moved, 10))
        os.poke(moved + PAGE, b"y")
        found.append([content(os, fd, 1, i * PAGE) for i in range(3)])
    return found


@scenario
def mremap_duplicates_shared_pages(os: Twin) -> Any:
    fd = opened(os, b"file", O_RDWR, 4 * PAGE)
    address = mapped(os, 3, RW, MAP_SHARED, fd, PAGE)
    again = os.call("mremap", address + PAGE, 0, 2 * PAGE, MREMAP_MAYMOVE, 0)
    os.poke(again, b"two")
    return first_bytes(os, again, 2), os.peek(address + PAGE, 3), content(os, fd, 3, 2 * PAGE)


# -- madvise, msync, mincore, mlock -------------------------------------------------------------------


@scenario
def madvise_arguments(os: Twin) -> Any:
    area = mapped(os, 4)
    os.call("munmap", area + 2 * PAGE, PAGE)
    fd = opened(os, b"file", O_RDWR, PAGE)
    file = mapped(os, 1, RW, MAP_PRIVATE, fd)
    calls = [
        (area + 1, PAGE, MADV_NORMAL), (area, 0, MADV_NORMAL), (area, PAGE, 999), (area, 0, 999), (area, PAGE, -1),
        (area, 4 * PAGE, MADV_DONTNEED), (area + 2 * PAGE, PAGE, MADV_DONTNEED), (area, 4 * PAGE, MADV_NORMAL),
        (area, -1, MADV_NORMAL), (area, 1 << 63, MADV_NORMAL), (file, PAGE, MADV_FREE), (area, PAGE, MADV_FREE),
        (area, 4 * PAGE, MADV_WILLNEED), (area, 2 * PAGE, MADV_POPULATE_READ), (area, 4 * PAGE, MADV_POPULATE_WRITE),
        (file, PAGE, MADV_POPULATE_WRITE),
    ]  # fmt: skip
    return [show(os.call("madvise", *call)) for call in calls]


@scenario
def madvise_dontneed(os: Twin) -> Any:
    """Anonymous memory is zero again, private file pages are the file's, shared ones stay."""
    fd = opened(os, b"file", O_RDWR, PAGE)
    found = []
    for address in (
        mapped(os, 1), mapped(os, 1, RW, SHARED), mapped(os, 1, RW, MAP_PRIVATE, fd), mapped(os, 1, RW, MAP_SHARED, fd)
    ):  # fmt: skip
        os.poke(address, b"x")
        found.append((show(os.call("madvise", address, PAGE, MADV_DONTNEED)), os.peek(address, 2)))
    return found, content(os, fd, 2)


@scenario
def madvise_populate_where_it_cannot(os: Twin) -> Any:
    none, readable = mapped(os, 1, PROT_NONE), mapped(os, 1, PROT_READ)
    fd = opened(os, b"file", O_RDONLY, PAGE)
    beyond = mapped(os, 2, PROT_READ, MAP_SHARED, fd)
    return [
        show(os.call("madvise", address, length, advice))
        for address, length in ((none, PAGE), (readable, PAGE), (beyond, 2 * PAGE))
        for advice in (MADV_POPULATE_READ, MADV_POPULATE_WRITE)
    ]


@scenario
def msync_arguments(os: Twin) -> Any:
    area = mapped(os, 4)
    os.call("munmap", area + 2 * PAGE, PAGE)
    calls = [
        (area + 1, PAGE, MS_SYNC), (area, 2 * PAGE, MS_SYNC), (area, 0, MS_SYNC), (area, PAGE, 0), (area, PAGE, 8),
        (area, PAGE, MS_SYNC | MS_ASYNC), (area, PAGE, MS_ASYNC | MS_INVALIDATE), (area, 4 * PAGE, MS_SYNC),
        (area, 4 * PAGE, MS_ASYNC), (area + 2 * PAGE, PAGE, MS_SYNC), (area, -1, MS_SYNC), (area, 1 << 63, MS_SYNC),
        (area + 1, 0, 0),
    ]  # fmt: skip
    return [show(os.call("msync", *call)) for call in calls]


@scenario
def mincore_arguments(os: Twin) -> Any:
    area = mapped(os, 4)
    vec = os.put(bytes(16))
    os.call("munmap", area + 3 * PAGE, PAGE)
    calls = [(area + 1, PAGE, vec), (area, 4 * PAGE, vec), (area, 3 * PAGE, 8), (area, -1, vec), (area, 0, vec),
             (area, 0, 8), (1 << 47, PAGE, vec), (area + 3 * PAGE, PAGE, vec), (area, 1 << 63, vec)]  # fmt: skip
    return [show(os.call("mincore", *call)) for call in calls]


@scenario
def mincore_shows_what_was_touched(os: Twin) -> Any:
    area = mapped(os, 4)
    os.poke(area + PAGE, b"x")
    vec = os.put(b"\xff" * 5)
    result = os.call("mincore", area, 3 * PAGE + 1, vec)
    return result, os.peek(vec, 5)


@scenario
def mlock_arguments(os: Twin) -> Any:
    area = mapped(os, 4)
    os.call("munmap", area + 3 * PAGE, PAGE)
    found = []
    for name, extra in (("mlock", ()), ("mlock2", (0,)), ("mlock2", (1,)), ("mlock2", (2,)), ("munlock", ())):
        for address, length in ((area, PAGE), (area + 5, 1), (area, 0), (area, 4 * PAGE), (area + 3 * PAGE, 1), (area, -1)):
            found.append((name, show(os.call(name, address, length, *extra))))
    found += [("mlockall", show(os.call("mlockall", flags))) for flags in (0, 4, 8, 16)]
    found.append(("munlockall", show(os.call("munlockall"))))
    return found


@pytest.fixture(scope="module")
def native() -> Iterator[Native]:
    native = Native()
    yield native
    native.close()


@pytest.fixture
def rig() -> Iterator[MachineRig]:
    rig = MachineRig()
    yield rig
    rig.close()


@pytest.mark.native
@pytest.mark.parametrize("function", SCENARIOS, ids=lambda function: function.__name__)
def test_like_linux(function: Any, rig: MachineRig, native: Native) -> None:
    assert function(GuestTwin(rig)) == native(function)
