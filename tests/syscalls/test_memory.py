"""mmap and its family, brk, and the page faults behind them: as Linux does it, scenario by scenario."""

from __future__ import annotations

import struct
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.arch.x86_64 import FAULT_FETCH, FAULT_WRITE, PTE_ADDRESS, PTE_PRESENT, PTE_WRITABLE
from syscalls.abi.errno import ENOMEM
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
from syscalls.objects.mm import MAX_MAP_COUNT, MMAP_TOP, STACK_TOP
from tests.syscalls.machine_rig import MachineRig
from tests.syscalls.twin import GuestTwin, Native, Twin, ok, show

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 4096
RW = PROT_READ | PROT_WRITE
PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS
SHARED = MAP_SHARED | MAP_ANONYMOUS
O_RDONLY, O_WRONLY, O_RDWR, O_CREAT = 0, 1, 2, 0o100

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
        (area + 4 * PAGE, 0), (area + 5 * PAGE + 1, 0), (area, 0), (area + 5 * PAGE, MAP_FIXED_NOREPLACE),
        (area + 7 * PAGE, MAP_FIXED_NOREPLACE), (area + 6 * PAGE, MAP_FIXED_NOREPLACE), (area + 1, MAP_FIXED_NOREPLACE),
        (area + 2 * PAGE, MAP_FIXED), (area + 2 * PAGE, MAP_FIXED | MAP_FIXED_NOREPLACE),
    ):  # fmt: skip
        length = 5 * PAGE if hint == area else 2 * PAGE if flags else PAGE
        where = os.call("mmap", hint, length, PROT_READ, PRIVATE | flags, -1, 0)
        found.append((ok(where), where == hint & -PAGE))
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
    for prot in (0, 1, 3, 5, 7):  # what may only be written or executed can be read on x86, but not looked at this way
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
    calls = [
        (area + 1, PAGE), (area, 0), (1 << 47, PAGE), (0, (1 << 47) + 1), (area, 1 << 63), (area, -1), (area + PAGE, 1),
        (area + PAGE, PAGE), (area, 4 * PAGE), (area, 4 * PAGE),
    ]  # fmt: skip
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
    fd = opened(os, b"file", O_RDONLY, 1)
    shared = mapped(os, 1, PROT_READ, MAP_SHARED, fd)
    private = mapped(os, 1, PROT_READ, MAP_PRIVATE, fd)
    area = mapped(os, 4)
    os.call("munmap", area + 2 * PAGE, PAGE)
    calls = [
        (area + 1, PAGE, RW), (area, 0, RW), (area + 1, 0, RW), (area, PAGE, 0x10), (area, PAGE, 8),
        (area, PAGE, 1 << 20), (area, 4 * PAGE, PROT_READ), (area + 2 * PAGE, PAGE, RW),
        (area + 2 * PAGE, 2 * PAGE, RW), (area, -1, RW),
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
    for prot in (PROT_NONE, PROT_READ, RW, PROT_NONE, RW):
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
        (area + 1, PAGE, PAGE, 0, 0), (area, PAGE, 0, 0, 0), (area, PAGE, PAGE, 8, 0),
        (area, PAGE, PAGE, MREMAP_FIXED, area), (area, PAGE, PAGE, fixed, area), (area, PAGE, PAGE, fixed, area + 1),
        (area, 2 * PAGE, PAGE, fixed, area + PAGE),
        (area, PAGE, PAGE, fixed, 1 << 47), (area, PAGE, -1, may, 0), (area, PAGE, 1 << 47, may, 0),
        (area + 8 * PAGE, PAGE, PAGE, 0, 0), (area + 8 * PAGE, PAGE, 2 * PAGE, may, 0),
        (area, 9 * PAGE, 10 * PAGE, may, 0), (area + 7 * PAGE, PAGE, 3 * PAGE, 0, 0),
        (area + 7 * PAGE, PAGE, 2 * PAGE, 0, 0), (area, 0, PAGE, may, 0), (area, 0, PAGE, 0, 0),
        (shared, 0, PAGE, 0, 0), (shared, 0, 2 * PAGE, may, 0), (area, PAGE, PAGE, 0, 0),
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
    fd = opened(os, b"file", O_RDWR, PAGE)
    file = mapped(os, 1, RW, MAP_PRIVATE, fd)
    area = mapped(os, 4)
    os.call("munmap", area + 2 * PAGE, PAGE)
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
        ranges = ((area, PAGE), (area + 5, 1), (area, 0), (area, 4 * PAGE), (area + 3 * PAGE, 1), (area, -1))
        for address, length in ranges:
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


@pytest.fixture
def os(rig: MachineRig) -> GuestTwin:
    return GuestTwin(rig)


@pytest.mark.native
@pytest.mark.parametrize("function", SCENARIOS, ids=lambda function: function.__name__)
def test_like_linux(function: Any, rig: MachineRig, native: Native) -> None:
    assert function(GuestTwin(rig)) == native(function)


# -- what only this side can show ---------------------------------------------------------------------


def frame_of(rig: MachineRig, address: int, t: Any = None) -> int:
    entry: int = (t or rig.init).mm.space.entry(address)
    return (entry & PTE_ADDRESS) >> 12


def fork(rig: MachineRig) -> Any:
    return rig.linux.tasks[rig.call(rig.init, "fork")]


def start_heap(rig: MachineRig, at: int = 0x2000_0000) -> int:
    rig.init.mm.brk_start = rig.init.mm.brk = at
    return at


def test_brk_moves_the_end_of_the_heap(rig: MachineRig, os: GuestTwin) -> None:
    start = start_heap(rig)
    assert os.call("brk", 0) == start
    assert os.call("brk", start - 1) == start
    assert os.call("brk", start + 10) == start + 10
    assert os.poke(start + PAGE - 1, b"x")
    assert os.peek(start + PAGE, 1) is None
    assert os.call("brk", start + 3 * PAGE + 1) == start + 3 * PAGE + 1
    assert os.poke(start + 4 * PAGE - 1, b"y")
    assert os.call("brk", start + PAGE) == start + PAGE
    assert os.peek(start + PAGE - 1, 1) == b"x"
    assert os.peek(start + 3 * PAGE, 1) is None
    assert os.call("brk", start + 4 * PAGE) == start + 4 * PAGE
    assert os.peek(start + 4 * PAGE - 1, 1) == b"\0"
    assert [vma.name for vma in rig.init.mm.vmas if vma.start == start] == [b"[heap]"]


def test_brk_refuses(rig: MachineRig, os: GuestTwin) -> None:
    start = start_heap(rig)
    assert os.call("mmap", start + 8 * PAGE, PAGE, RW, PRIVATE | MAP_FIXED, -1, 0) == start + 8 * PAGE
    assert os.call("brk", start + 9 * PAGE) == start
    assert os.call("brk", 1 << 47) == start
    rig.init.process.rlimits[RLIMIT_DATA] = (rig_data(rig) + PAGE, RLIM_INFINITY)
    assert os.call("brk", start + 2 * PAGE) == start
    assert os.call("brk", start + PAGE) == start + PAGE


def rig_data(rig: MachineRig) -> int:
    return sum(v.end - v.start for v in rig.init.mm.vmas if v.prot & PROT_WRITE)


def test_limit_of_the_address_space(rig: MachineRig, os: GuestTwin) -> None:
    size = rig.init.mm.total_vm * PAGE
    rig.init.process.rlimits[RLIMIT_AS] = (size + 4 * PAGE, RLIM_INFINITY)
    first = mapped(os, 3)
    assert show(os.call("mmap", 0, 2 * PAGE, RW, PRIVATE, -1, 0)) == "ENOMEM"
    assert show(os.call("mremap", first, 3 * PAGE, 5 * PAGE, MREMAP_MAYMOVE, 0)) == "ENOMEM"
    os.call("mmap", first - 8 * PAGE, PAGE, PROT_NONE, PRIVATE | MAP_FIXED, -1, 0)
    place = first - 64 * PAGE  # moving needs no more than there is
    assert os.call("mremap", first, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place


def test_limit_of_data(rig: MachineRig, os: GuestTwin) -> None:
    rig.init.process.rlimits[RLIMIT_DATA] = (rig_data(rig) + PAGE, RLIM_INFINITY)
    assert show(os.call("mmap", 0, 2 * PAGE, RW, PRIVATE, -1, 0)) == "ENOMEM"
    assert ok(os.call("mmap", 0, 2 * PAGE, PROT_READ, PRIVATE, -1, 0)) == "ok"
    assert ok(os.call("mmap", 0, 2 * PAGE, RW, SHARED, -1, 0)) == "ok"
    assert ok(os.call("mmap", 0, PAGE, RW, PRIVATE, -1, 0)) == "ok"


def test_more_than_there_is(rig: MachineRig, os: GuestTwin) -> None:
    assert show(os.call("mmap", 0, 1 << 40, RW, PRIVATE, -1, 0)) == "ENOMEM"
    assert ok(os.call("mmap", 0, 1 << 40, RW, PRIVATE | MAP_NORESERVE, -1, 0)) == "ok"
    assert ok(os.call("mmap", 0, 1 << 40, PROT_NONE, PRIVATE, -1, 0)) == "ok"
    assert show(os.call("mmap", 0, (1 << 47) - (1 << 40), PROT_NONE, PRIVATE, -1, 0)) == "ENOMEM"


def test_low_addresses_are_for_root(rig: MachineRig, os: GuestTwin) -> None:
    where = 0x1000
    assert os.call("mmap", where, PAGE, RW, PRIVATE | MAP_FIXED, -1, 0) == where
    assert show(os.call("setresuid", 1000, 1000, 1000)) == "0"
    assert show(os.call("mmap", 0x2000, PAGE, RW, PRIVATE | MAP_FIXED, -1, 0)) == "EPERM"
    assert os.call("mmap", 0x2000, PAGE, RW, PRIVATE, -1, 0) > 0x10000


def test_populate(rig: MachineRig, os: GuestTwin) -> None:
    space = rig.init.mm.space
    area = mapped(os, 40, RW, PRIVATE | MAP_POPULATE)
    assert all(space.entry(area + i * PAGE) & PTE_WRITABLE for i in range(40))
    fd = opened(os, b"file", O_RDONLY, 20 * PAGE)
    area = mapped(os, 30, PROT_READ, MAP_SHARED | MAP_POPULATE, fd)
    assert [bool(space.entry(area + i * PAGE) & PTE_PRESENT) for i in range(30)] == [True] * 20 + [False] * 10
    area = mapped(os, 4, PROT_NONE, PRIVATE | MAP_POPULATE)
    assert not space.entry(area)


def test_reading_fresh_memory_costs_no_frame(rig: MachineRig, os: GuestTwin) -> None:
    area = mapped(os, 16)
    os.peek(area, 1)
    assert frame_of(rig, area) == frame_of(rig, area + 15 * PAGE) == rig.kernel.frames.zero
    os.poke(area + PAGE, b"x")
    assert frame_of(rig, area + PAGE) != rig.kernel.frames.zero
    assert frame_of(rig, area + 2 * PAGE) == rig.kernel.frames.zero


def test_areas_join_and_split(rig: MachineRig, os: GuestTwin) -> None:
    mm = rig.init.mm
    before = len(mm.vmas)
    area = mapped(os, 8, PROT_READ)
    os.call("mprotect", area + 2 * PAGE, 2 * PAGE, PROT_NONE)
    assert len(mm.vmas) == before + 3
    os.call("mprotect", area + 2 * PAGE, PAGE, PROT_READ)
    os.call("mprotect", area + 3 * PAGE, PAGE, PROT_READ)
    assert len(mm.vmas) == before + 1
    assert mm.starts == [vma.start for vma in mm.vmas]
    fd = opened(os, b"file", O_RDWR, 8 * PAGE)
    file = rig.init.files.get(fd)
    for flags in (MAP_PRIVATE, MAP_SHARED):
        refs = file.refs
        address = mapped(os, 8, PROT_READ, flags, fd)
        os.call("mprotect", address + 2 * PAGE, PAGE, RW)
        assert file.refs == refs + 3
        os.call("mprotect", address + 2 * PAGE, PAGE, PROT_READ)
        assert file.refs == refs + 1
        os.call("munmap", address, 8 * PAGE)
        assert file.refs == refs
    assert not file.inode.pages.mappings
    assert file.inode.pages.shared == 0


def open_handles(rig: MachineRig) -> int:
    return sum(len(table) for table in rig.memfs._handles.values())


def test_everything_comes_back(rig: MachineRig, os: GuestTwin) -> None:
    """Frames, files and handles after fork, copy on write, shared memory, file mappings and exit."""
    rig.write_file(b"/data", b"x" * 3 * PAGE)
    mapped(os, 1)
    frames = rig.kernel.frames
    free = frames.available + len(rig.linux.pool)
    handles = open_handles(rig)
    for _ in range(3):
        child = fork(rig)
        twin = GuestTwin(rig)
        twin.t = child
        anonymous, shared = mapped(twin, 20), mapped(twin, 5, RW, SHARED)
        for i in range(20):
            twin.poke(anonymous + i * PAGE, b"x")
        for i in range(5):
            twin.poke(shared + i * PAGE, b"x")
        fd = opened(twin, b"/data", O_RDWR)
        for flags in (MAP_SHARED, MAP_PRIVATE):
            address = mapped(twin, 4, RW, flags, fd)
            twin.poke(address, b"y")
        grandchild = rig.linux.tasks[rig.call(child, "fork")]
        rig.poke(grandchild, anonymous, b"z")
        for t in (grandchild, child):
            rig.start(t, "exit_group", 0)
        while rig.call(rig.init, "wait4", -1, 0, 1, 0) > 0:
            pass
    rig.linux.shrink_caches()
    assert frames.available + len(rig.linux.pool) == free
    assert open_handles(rig) == handles


# -- copy on write, sharing ---------------------------------------------------------------------------


def test_fork_copies_on_write(rig: MachineRig, os: GuestTwin) -> None:
    area = mapped(os, 100)
    for i in range(100):
        os.poke(area + i * PAGE, b"%03d" % i)
    child = fork(rig)
    assert frame_of(rig, area) == frame_of(rig, area, child)
    os.poke(area, b"parent")
    rig.poke(child, area + PAGE, b"child")
    assert (os.peek(area, 6), rig.peek(child, area, 3)) == (b"parent", b"000")
    assert (os.peek(area + PAGE, 3), rig.peek(child, area + PAGE, 5)) == (b"001", b"child")
    assert (os.peek(area + 99 * PAGE, 3), rig.peek(child, area + 99 * PAGE, 3)) == (b"099", b"099")


def test_last_owner_of_a_page_takes_it_over(rig: MachineRig, os: GuestTwin) -> None:
    area = mapped(os, 100)
    for i in range(100):
        os.poke(area + i * PAGE, b"x")
    child = fork(rig)
    frame = frame_of(rig, area)
    rig.start(child, "exit_group", 0)
    os.poke(area, b"mine")
    assert frame_of(rig, area) == frame


def test_fork_shares_shared_memory(rig: MachineRig, os: GuestTwin) -> None:
    area = mapped(os, 2, RW, SHARED)
    os.poke(area, b"before")
    child = fork(rig)
    rig.poke(child, area, b"child!")
    rig.poke(child, area + PAGE, b"touched first by the child")
    assert (os.peek(area, 6), os.peek(area + PAGE, 7)) == (b"child!", b"touched")
    grandchild = rig.linux.tasks[rig.call(child, "fork")]
    rig.poke(grandchild, area, b"grand!")
    assert os.peek(area, 6) == b"grand!"


def test_stores_of_a_child_reach_the_file(rig: MachineRig, os: GuestTwin) -> None:
    fd = opened(os, b"file", O_RDWR, PAGE)
    area = mapped(os, 1, RW, MAP_SHARED, fd)
    child = fork(rig)
    os.call("munmap", area, PAGE)
    rig.poke(child, area, b"of the child")
    assert content(os, fd, 12) == b"of the child"
    rig.poke(child, area + 100, b"last words")
    rig.start(child, "exit_group", 0)
    assert content(os, fd, 10, 100) == b"last words"


def test_truncation_reaches_every_process(rig: MachineRig, os: GuestTwin) -> None:
    fd = opened(os, b"file", O_RDWR, 2 * PAGE)
    private, shared = mapped(os, 2, RW, MAP_PRIVATE, fd), mapped(os, 2, RW, MAP_SHARED, fd)
    for area in (private, shared):
        os.poke(area + PAGE, b"x")
    child = fork(rig)
    os.call("ftruncate", fd, PAGE)
    for t in (rig.init, child):
        for area in (private, shared):
            assert rig.peek(t, area + PAGE, 1) is None
            assert rig.peek(t, area, 1) == b"A"


# -- faults -------------------------------------------------------------------------------------------


def dies(rig: MachineRig, address: int, code: int = 4, t: Any = None) -> int:
    """The signal that kills a child which touches an address."""
    child = t or fork(rig)
    call = rig.touch(child, address, code)
    assert call.gone, "it lives on"
    status: int = child.process.exit_code
    return status & 0x7F


def test_signals_of_bad_accesses(rig: MachineRig, os: GuestTwin) -> None:
    readable, none = mapped(os, 1, PROT_READ), mapped(os, 1, PROT_NONE)
    fd = opened(os, b"file", O_RDWR, 10)
    beyond = mapped(os, 2, RW, MAP_SHARED, fd) + PAGE
    assert dies(rig, 0) == SIGSEGV
    assert dies(rig, 0xFFFF_8000_0000_0000) == SIGSEGV
    assert dies(rig, readable, FAULT_WRITE | 4) == SIGSEGV
    assert dies(rig, readable, FAULT_FETCH | 4) == SIGSEGV
    assert dies(rig, none) == SIGSEGV
    assert dies(rig, beyond) == SIGBUS
    assert dies(rig, beyond, FAULT_WRITE | 4) == SIGBUS


def test_good_accesses(rig: MachineRig, os: GuestTwin) -> None:
    area = mapped(os, 4, PROT_READ | PROT_EXEC)
    for code in (4, 4 | FAULT_FETCH):
        assert rig.touch(rig.init, area + PAGE, code).done
    faults = rig.init.min_flt
    area = mapped(os, 4)
    assert rig.touch(rig.init, area, 4 | FAULT_WRITE).done
    assert rig.init.min_flt == faults + 1


def grow_area(rig: MachineRig, os: GuestTwin) -> int:
    """A stack of one page far below everything; returns its address."""
    where = 0x3000_0000
    flags = PRIVATE | MAP_FIXED | MAP_GROWSDOWN
    assert os.call("mmap", where, PAGE, RW, flags, -1, 0) == where
    return where


def test_stack_grows_down_within_its_limit(rig: MachineRig, os: GuestTwin) -> None:
    stack = grow_area(rig, os)
    rig.init.process.rlimits[RLIMIT_STACK] = (16 * PAGE, RLIM_INFINITY)
    assert os.peek(stack - 5 * PAGE - 8, 1) == b"\0"
    assert os.poke(stack - 15 * PAGE, b"x")
    assert not os.poke(stack - 15 * PAGE - 1, b"x")
    assert dies(rig, stack - 15 * PAGE - 1) == SIGSEGV
    vma = rig.init.mm.find(stack)
    assert vma is not None
    assert vma.start == stack - 15 * PAGE


def test_stack_keeps_a_gap(rig: MachineRig, os: GuestTwin) -> None:
    stack = grow_area(rig, os)
    below = stack - 300 * PAGE
    os.call("mmap", below, PAGE, RW, PRIVATE | MAP_FIXED, -1, 0)
    assert os.poke(stack - 43 * PAGE, b"x")
    assert not os.poke(stack - 44 * PAGE, b"x")


def test_main_stack_ends_where_linux_has_it() -> None:
    assert STACK_TOP == 0x7FFF_FFFF_F000


def test_writing_in_order_brings_in_pages_ahead(rig: MachineRig, os: GuestTwin) -> None:
    area = mapped(os, 64)
    faults = 0
    for i in range(64):
        if not rig.init.mm.space.entry(area + i * PAGE) & PTE_WRITABLE:
            rig.touch(rig.init, area + i * PAGE, 4 | FAULT_WRITE)
            faults += 1
    assert faults <= 6


def test_reading_a_file_brings_in_pages_around(rig: MachineRig, os: GuestTwin) -> None:
    fd = opened(os, b"file", O_RDONLY, 40 * PAGE)
    area = mapped(os, 40, PROT_READ, MAP_PRIVATE, fd)
    rig.touch(rig.init, area + 20 * PAGE)
    resident = [i for i in range(40) if rig.init.mm.space.entry(area + i * PAGE)]
    assert 20 in resident
    assert 8 <= len(resident) <= 16


# -- memory runs out ----------------------------------------------------------------------------------


def test_a_process_that_takes_all_memory_is_killed() -> None:
    rig = MachineRig(mib=8)
    child = fork(rig)
    twin = GuestTwin(rig)
    twin.t = child
    area = mapped(twin, 4000, RW, PRIVATE | MAP_NORESERVE)
    for i in range(4000):
        if rig.touch(child, area + i * PAGE, 4 | FAULT_WRITE).gone:
            break
    assert child.process.exit_code & 0x7F == SIGKILL
    assert rig.call(rig.init, "wait4", -1, 0, 0, 0) == child.tid
    area = mapped(GuestTwin(rig), 100)
    assert all(rig.poke(rig.init, area + i * PAGE, b"x") for i in range(100))
    rig.close()


def test_cached_pages_make_room() -> None:
    """What was read from files and is mapped no more is given up before anybody is killed."""
    rig = MachineRig(mib=8)
    os = GuestTwin(rig)
    for number in range(4):
        fd = opened(os, b"file%d" % number, O_RDONLY, 40 * PAGE)
        area = mapped(os, 40, PROT_READ, MAP_SHARED, fd)
        for i in range(40):
            assert os.peek(area + i * PAGE, 1)
        os.call("munmap", area, 40 * PAGE)
        os.call("close", fd)
    cached = rig.linux.cached_frames()
    assert cached >= 160
    area = mapped(os, 4000, RW, PRIVATE | MAP_NORESERVE)
    used = rig.kernel.frames.available - 20
    for i in range(used):
        assert os.poke(area + i * PAGE, b"x"), i
    fd = opened(os, b"file0", O_RDONLY)
    assert os.peek(mapped(os, 40, PROT_READ, MAP_SHARED, fd) + 39 * PAGE, 1) == b"N"
    rig.close()


def test_fork_without_memory_fails_and_leaves_nothing() -> None:
    rig = MachineRig(mib=8)
    os = GuestTwin(rig)
    area = mapped(os, 2000, RW, PRIVATE | MAP_NORESERVE)
    i = 0
    while rig.kernel.frames.available + len(rig.linux.pool) > 40:
        os.poke(area + i * PAGE, b"x")
        i += 1
    processes = len(rig.linux.processes)
    assert show(rig.call(rig.init, "fork")) == "ENOMEM"
    assert len(rig.linux.processes) == processes
    assert show(rig.call(rig.init, "wait4", -1, 0, 0, 0)) == "ECHILD"
    os.call("munmap", area, 2000 * PAGE)
    assert rig.call(rig.init, "fork") > 0
    rig.close()


def test_no_room_for_what_a_mapping_changed(rig: MachineRig, os: GuestTwin) -> None:
    """msync and fsync tell of pages that the file server could not store, once."""
    fd = opened(os, b"file", O_RDWR, PAGE)
    area = mapped(os, 1, RW, MAP_SHARED, fd)

    async def full(src: int, m: Any) -> Any:
        from linuxemu.errors import RpcError
        from linuxemu.idl.codes import posix_error

        raise RpcError(posix_error(28))

    from linuxemu.messages import fs

    table = rig.memfs.table
    old = table[fs.Write]
    table[fs.Write] = full
    try:
        for call in (("msync", area, PAGE, MS_SYNC), ("fsync", fd)):
            os.poke(area, b"x")
            assert show(os.call(*call)) == "ENOSPC"
            assert show(os.call(*call)) == "0"
        os.poke(area, b"x")
        assert content(os, fd, 1) == b"A"  # a reader hears nothing of it
        assert show(os.call("munmap", area, PAGE)) == "0"
    finally:
        table[fs.Write] = old


def naive_gap(areas: list[tuple[int, int]], length: int) -> int:
    """The highest free range, by looking at all areas."""
    end = MMAP_TOP
    for start, stop in sorted(areas, reverse=True):
        if start < end:
            if stop + length <= end:
                break
            end = start
    return end - length


def test_the_highest_gap_is_found_whatever_came_and_went() -> None:
    rig = MachineRig()
    mm = rig.init.mm
    random = Random(5)
    areas: dict[int, int] = {}
    others = [(vma.start, vma.end) for vma in mm.vmas if vma.start < MMAP_TOP]
    for _ in range(600):
        if areas and random.random() < 0.4:
            start = random.choice(list(areas))
            assert rig.call(rig.init, "munmap", start, areas.pop(start)) == 0
        else:
            length = random.choice([1, 1, 2, 3, 8]) * PAGE
            taken = [(start, start + size) for start, size in areas.items()]
            expected = naive_gap(taken + others, length)
            prot = random.choice([PROT_READ, PROT_NONE])
            assert rig.call(rig.init, "mmap", 0, length, prot, PRIVATE, -1, 0) == expected
            areas[expected] = length


@pytest.mark.slow
def test_there_may_be_as_many_areas_as_on_linux() -> None:
    rig = MachineRig()
    prots = (PROT_READ, PROT_NONE)
    count = len(rig.init.mm.vmas)
    while rig.call(rig.init, "mmap", 0, PAGE, prots[count % 2], PRIVATE, -1, 0) > 0:
        count += 1
    assert count == MAX_MAP_COUNT
    assert rig.call(rig.init, "mmap", 0, PAGE, PROT_READ, PRIVATE, -1, 0) == -ENOMEM
