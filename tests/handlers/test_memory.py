"""Mapping memory: mmap, munmap, mprotect, mremap, brk. Advice, residence and locks are in test_memory_advice.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.messages import fs, fsx, vmx
from linuxemu.testing import Guest, fresh_attr
from linuxemu.testing.guest import PAGE
from syscalls.abi.errno import (
    EACCES,
    EAGAIN,
    EBADF,
    EEXIST,
    EFAULT,
    EINVAL,
    EIO,
    ENODEV,
    ENOMEM,
    EOPNOTSUPP,
    EOVERFLOW,
    EPERM,
)
from syscalls.abi.flags import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_LOCKED,
    MAP_NORESERVE,
    MAP_POPULATE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MAP_SYNC,
    MCL_FUTURE,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    MS_NOEXEC,
    MS_REMOUNT,
    O_NOATIME,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    PROT_EXEC,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    PROT_READ,
    PROT_WRITE,
    RLIMIT_AS,
    RLIMIT_DATA,
    RLIMIT_MEMLOCK,
)
from syscalls.abi.structs import Rlimit
from tests.handlers.cases import SUCCESS, fails, ok, open_file, pipe, proves

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call

AREA = 0x100_0000_0000
"""Where `area` maps four pages; nothing is mapped around them."""
FILE = 3
"""The first descriptor that a setup opens."""
END = 0x7FFF_FFFF_F000
"""Of user space."""
RW = PROT_READ | PROT_WRITE
ANON = MAP_PRIVATE | MAP_ANONYMOUS
NO_FD = -1
_TOP = (1 << 64) - PAGE
_NOT_A_KIND = 7
_TOUCH = ["fsx.getattr", "clock.gettime", "fsx.setattr"]
"""The access time of a file is set."""
_WRITTEN_BACK = "as on Linux it is msync and fsync that hear of pages that could not be stored"
USER: dict[str, Any] = {"user": (1000, 1000)}


def area(
    guest: Guest, at: int = AREA, pages: int = 4, prot: int = RW, flags: int = ANON, fd: int = NO_FD
) -> int:
    """Map pages at a place."""
    address: int = guest.syscall.mmap(at, pages * PAGE, prot, flags | MAP_FIXED, fd, 0)
    return address


def opened(flags: int, path: str = "/file") -> Callable[[Guest], int]:
    """A setup that opens a file, whose descriptor is `FILE`."""
    return lambda guest: open_file(guest, path, flags)


def limited(which: int, value: int) -> Callable[[Guest], None]:
    """A setup with an area and then a limit."""

    def setup(guest: Guest) -> None:
        area(guest)
        guest.syscall.setrlimit(which, Rlimit(value, value))

    return setup


def mapped_file(flags: int, mode: int = O_RDWR, prot: int = PROT_READ) -> Callable[[Guest], None]:
    """A setup with the first page of a file at `AREA`."""

    def setup(guest: Guest) -> None:
        area(guest, pages=1, prot=prot, flags=flags, fd=open_file(guest, "/file", mode))

    return setup


def changed_file(guest: Guest) -> None:
    """A setup with the first page of /file at `AREA`, and other contents in it."""
    mapped_file(MAP_SHARED, O_RDWR, RW)(guest)
    guest.write(AREA, b"CONTENTS")


def is_stored(guest: Guest, call: Call) -> None:
    """The file has what `changed_file` wrote."""
    assert guest.files.read("/file") == b"CONTENTS"


def locked(pages: int, limit: int) -> Callable[[Guest], None]:
    """A setup with the first pages of an area locked, and as many as that or more allowed."""

    def setup(guest: Guest) -> None:
        limited(RLIMIT_MEMLOCK, limit * PAGE)(guest)
        guest.syscall.mlock(AREA, pages * PAGE)

    return setup


def _all_to_be_locked(guest: Guest) -> None:
    area(guest)
    guest.syscall.mlockall(MCL_FUTURE)
    guest.syscall.setrlimit(RLIMIT_MEMLOCK, Rlimit(PAGE, PAGE))


def _noexec(guest: Guest) -> None:
    guest.syscall.mount(0, "/", 0, MS_REMOUNT | MS_NOEXEC, 0)
    open_file(guest)


def _shared(guest: Guest) -> int:
    return area(guest, flags=MAP_SHARED | MAP_ANONYMOUS)


def _stack(guest: Guest) -> int:
    return area(guest, flags=ANON | MAP_GROWSDOWN)


def _two_areas(guest: Guest) -> None:
    area(guest)
    area(guest, AREA + 6 * PAGE)


CASES = [
    ok("brk", 0, rpcs=[]),
    ok("brk", (1 << 64) - 1, rpcs=[], label="beyond user space nothing changes"),
    ok("mmap", AREA, PAGE, RW, ANON, NO_FD, 0, returns=AREA, rpcs=[]),
    ok("mmap", 0, PAGE, RW, ANON, NO_FD, _TOP, rpcs=[], label="the offset of anonymous memory does not count"),
    ok("mmap", AREA, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, 99, 0, returns=AREA, rpcs=[], label="nor the descriptor"),
    ok("mmap", AREA, PAGE, RW, ANON | MAP_FIXED, NO_FD, 0, setup=area, returns=AREA, rpcs=[], label="replaces"),
    ok("mmap", AREA, PAGE, RW, MAP_SHARED, FILE, 0, setup=opened(O_RDWR), returns=AREA, rpcs=["fsx.getattr", *_TOUCH]),
    ok("mmap", AREA, PAGE, RW, MAP_PRIVATE, FILE, 0, setup=opened(O_RDONLY), returns=AREA,
       rpcs=["fsx.getattr", *_TOUCH], label="a private copy of a file that is only read"),
    ok("mmap", AREA, PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, FILE, 0, setup=opened(O_RDWR), returns=AREA,
       rpcs=["fsx.getattr", *_TOUCH, "fs.read"], label="populated"),
    ok("mmap", AREA, PAGE, PROT_READ, MAP_SHARED | MAP_LOCKED, FILE, 0, setup=opened(O_RDWR), returns=AREA,
       rpcs=["fsx.getattr", *_TOUCH, "fs.read"], label="locked"),
    ok("mmap", AREA, PAGE, PROT_READ, MAP_SHARED, FILE, 0, setup=opened(O_RDONLY | O_NOATIME), returns=AREA,
       rpcs=["fsx.getattr"], label="the access time stays"),
    ok("mmap", AREA, PAGE, RW, ANON | MAP_FIXED, NO_FD, 0, setup=changed_file, returns=AREA, rpcs=["fs.write"],
       check=is_stored, label="replaces a changed file", survives_eio=_WRITTEN_BACK),
    ok("mmap", AREA, 1 << 40, RW, ANON | MAP_NORESERVE, NO_FD, 0, returns=AREA, rpcs=[], label="without reserve"),
    ok("mmap", AREA, 1 << 40, PROT_READ, ANON, NO_FD, 0, returns=AREA, rpcs=[], label="never to be written"),
    fails("mmap", EINVAL, 0, PAGE, RW, MAP_PRIVATE, 99, 1, rpcs=[], label="unaligned offset before EBADF"),
    fails("mmap", EINVAL, 0, 0, RW, ANON, NO_FD, 0, rpcs=[], label="length 0"),
    fails("mmap", EINVAL, 0, PAGE, RW, MAP_ANONYMOUS, NO_FD, 0, rpcs=[], label="neither shared nor private"),
    fails("mmap", EINVAL, 0, PAGE, RW, MAP_ANONYMOUS | MAP_SHARED_VALIDATE, NO_FD, 0, rpcs=[], label="both"),
    fails("mmap", EINVAL, 0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, NO_FD, 0, rpcs=[],
          label="a shared stack"),
    fails("mmap", EINVAL, AREA + 1, PAGE, RW, ANON | MAP_FIXED, NO_FD, 0, rpcs=[], label="unaligned address"),
    fails("mmap", EINVAL, 0, PAGE, PROT_READ, 0, FILE, 0, setup=opened(O_RDWR), rpcs=[], label="file of no kind"),
    fails("mmap", EINVAL, 0, PAGE, PROT_READ, _NOT_A_KIND, FILE, 0, setup=opened(O_RDWR), rpcs=[],
          label="file of another kind"),
    fails("mmap", EINVAL, 0, PAGE, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, FILE, 0, setup=opened(O_RDWR), rpcs=[],
          label="a stack in a file"),
    fails("mmap", EBADF, 0, 0, RW, MAP_PRIVATE, 99, 0, rpcs=[], label="before EINVAL"),
    fails("mmap", EBADF, 0, PAGE, PROT_READ, MAP_PRIVATE, FILE, 0, setup=opened(O_PATH), rpcs=[], label="O_PATH"),
    fails("mmap", ENOMEM, 0, 1 << 47, RW, ANON, NO_FD, 0, rpcs=[], label="more than user space"),
    fails("mmap", ENOMEM, END + 1, PAGE, RW, ANON | MAP_FIXED, NO_FD, 0, rpcs=[], label="beyond user space"),
    fails("mmap", ENOMEM, 0, PAGE, RW, ANON, NO_FD, 0, setup=limited(RLIMIT_AS, 0), rpcs=[], label="RLIMIT_AS"),
    fails("mmap", ENOMEM, 0, PAGE, RW, ANON, NO_FD, 0, setup=limited(RLIMIT_DATA, 0), rpcs=[], label="RLIMIT_DATA"),
    fails("mmap", ENOMEM, 0, 1 << 40, RW, ANON, NO_FD, 0, rpcs=["vmx.stats"], label="more than there is"),
    fails("mmap", EEXIST, AREA + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, NO_FD, 0, setup=area, rpcs=[]),
    fails("mmap", EPERM, 0, PAGE, RW, ANON | MAP_FIXED, NO_FD, 0, rpcs=[], **USER),
    fails("mmap", EPERM, 0, PAGE, PROT_EXEC | PROT_READ, MAP_PRIVATE, FILE, 0, setup=_noexec, rpcs=[], label="noexec"),
    fails("mmap", EPERM, 0, PAGE, RW, ANON | MAP_LOCKED, NO_FD, 0, setup=limited(RLIMIT_MEMLOCK, 0), rpcs=[],
          label="locked", **USER),
    fails("mmap", EAGAIN, 0, 2 * PAGE, RW, ANON | MAP_LOCKED, NO_FD, 0, setup=limited(RLIMIT_MEMLOCK, PAGE), rpcs=[],
          **USER),
    fails("mmap", EAGAIN, 0, PAGE, RW, ANON | MAP_LOCKED, NO_FD, 0, setup=locked(2, 2), rpcs=[],
          label="in all", **USER),
    fails("mmap", EAGAIN, 0, 2 * PAGE, RW, ANON, NO_FD, 0, setup=_all_to_be_locked, rpcs=[], label="mlockall", **USER),
    fails("mmap", EACCES, 0, PAGE, RW, MAP_SHARED, FILE, 0, setup=opened(O_RDONLY), rpcs=[], label="to be written"),
    fails("mmap", EACCES, 0, PAGE, 0, MAP_PRIVATE | MAP_GROWSDOWN, FILE, 0, setup=opened(O_WRONLY), rpcs=[],
          label="not readable"),
    fails("mmap", ENODEV, 0, PAGE, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, FILE, 0, setup=opened(O_RDONLY, "/dir"),
          rpcs=[], label="a directory"),
    fails("mmap", ENODEV, 0, PAGE, PROT_READ, MAP_SHARED, FILE, 0, setup=pipe, rpcs=[], label="a pipe"),
    fails("mmap", EOPNOTSUPP, 0, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, FILE, 0, setup=opened(O_RDWR),
          rpcs=[]),
    fails("mmap", EOVERFLOW, 0, PAGE, PROT_READ, MAP_PRIVATE, FILE, (1 << 63) - PAGE, setup=opened(O_RDWR), rpcs=[]),
    fails("mmap", EOVERFLOW, 0, PAGE, PROT_READ, 0, FILE, _TOP, setup=opened(O_RDWR), rpcs=[], label="before EINVAL"),
    ok("munmap", AREA, 4 * PAGE, setup=area, returns=0, rpcs=[]),
    ok("munmap", AREA, 1, returns=0, rpcs=[], label="where nothing is"),
    ok("munmap", AREA, PAGE, setup=mapped_file(MAP_SHARED), returns=0, rpcs=[], label="a file that did not change"),
    ok("munmap", AREA, PAGE, setup=changed_file, returns=0, rpcs=["fs.write"], check=is_stored, label="a changed file",
       survives_eio=_WRITTEN_BACK),
    fails("munmap", EINVAL, AREA + 1, PAGE, rpcs=[], label="unaligned"),
    fails("munmap", EINVAL, AREA, 0, rpcs=[], label="length 0"),
    fails("munmap", EINVAL, AREA, (1 << 64) - 1, rpcs=[], label="wraps around"),
    fails("munmap", EINVAL, END, PAGE, rpcs=[], label="beyond user space"),
    ok("mprotect", AREA + PAGE, PAGE, PROT_READ, setup=area, returns=0, rpcs=[]),
    ok("mprotect", AREA, 0, 0xFF, returns=0, rpcs=[], label="length 0 of nothing"),
    ok("mprotect", AREA + 2 * PAGE, PAGE, PROT_READ | PROT_GROWSDOWN, setup=_stack, returns=0, rpcs=[],
       check=lambda guest, call: _protected(guest, AREA), label="down to the start of a stack"),
    ok("mprotect", AREA, PAGE, RW, setup=mapped_file(MAP_PRIVATE, O_RDONLY), returns=0, rpcs=[], label="a copy"),
    fails("mprotect", EINVAL, AREA + 1, 0, RW, setup=area, rpcs=[], label="unaligned"),
    fails("mprotect", EINVAL, AREA, PAGE, 0x10, setup=area, rpcs=[], label="unknown protection"),
    fails("mprotect", EINVAL, AREA, 0, PROT_GROWSDOWN | PROT_GROWSUP, setup=area, rpcs=[], label="up and down"),
    fails("mprotect", EINVAL, AREA, PAGE, PROT_GROWSDOWN, setup=area, rpcs=[], label="no stack"),
    fails("mprotect", EINVAL, AREA, PAGE, PROT_GROWSUP, setup=area, rpcs=[], label="no stack that grows up"),
    fails("mprotect", ENOMEM, AREA, PAGE, PROT_GROWSUP, rpcs=[], label="up from nothing"),
    fails("mprotect", ENOMEM, AREA, PAGE, PROT_GROWSDOWN, rpcs=[], label="down from nothing"),
    fails("mprotect", ENOMEM, AREA - PAGE, 2 * PAGE, PROT_READ, setup=area, rpcs=[], label="begins in a hole"),
    fails("mprotect", ENOMEM, AREA, 7 * PAGE, PROT_READ, setup=_two_areas, rpcs=[], label="has a hole",
          check=lambda guest, call: _protected(guest, AREA)),
    fails("mprotect", ENOMEM, AREA, (1 << 64) - 2 * PAGE, 0x10, setup=area, rpcs=[], label="wraps before EINVAL"),
    fails("mprotect", EACCES, AREA, PAGE, RW, setup=mapped_file(MAP_SHARED, O_RDONLY), rpcs=[]),
    ok("mremap", AREA, 4 * PAGE, 8 * PAGE, 0, 0, setup=area, returns=AREA, rpcs=[]),
    ok("mremap", AREA, 4 * PAGE, PAGE, 0, 0, setup=area, returns=AREA, rpcs=[], label="shrinks"),
    ok("mremap", AREA, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 2 * AREA, setup=area, returns=2 * AREA,
       rpcs=[], label="moves"),
    ok("mremap", AREA, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 2 * AREA, setup=limited(RLIMIT_AS, 0),
       returns=2 * AREA, rpcs=[], label="moves within any limit"),
    ok("mremap", AREA, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, 0, setup=_two_areas, rpcs=[], label="finds room"),
    ok("mremap", AREA, 0, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 2 * AREA, setup=_shared, returns=2 * AREA, rpcs=[],
       label="maps shared pages once more"),
    fails("mremap", EINVAL, AREA + 1, PAGE, PAGE, 0, 0, setup=area, rpcs=[], label="unaligned"),
    fails("mremap", EINVAL, AREA, PAGE, 0, 0, 0, setup=area, rpcs=[], label="new size 0"),
    fails("mremap", EINVAL, AREA, PAGE, PAGE, 8, 0, setup=area, rpcs=[], label="unknown flag"),
    fails("mremap", EINVAL, AREA, PAGE, PAGE, MREMAP_FIXED, 2 * AREA, setup=area, rpcs=[], label="FIXED alone"),
    fails("mremap", EINVAL, AREA, PAGE, PAGE, 4, 0, setup=area, rpcs=[], label="DONTUNMAP alone"),
    ok("mremap", AREA, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 2 * AREA, setup=area, returns=2 * AREA,
       rpcs=[], check=lambda guest, call: guest.read(AREA, 1), label="leaves an empty mapping behind"),
    ok("mremap", AREA, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 2 * AREA, setup=_two_areas, returns=2 * AREA,
       rpcs=[], check=lambda guest, call: guest.read(2 * AREA + 6 * PAGE, 1), label="moves several"),
    ok("mremap", AREA, 9 * PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 2 * AREA, setup=area, returns=2 * AREA, rpcs=[],
       label="shrinks and moves"),
    fails("mremap", EINVAL, AREA, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0, setup=area, rpcs=[],
          label="DONTUNMAP with another size"),
    fails("mremap", EFAULT, AREA - PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 2 * AREA, setup=area,
          rpcs=[], label="begins in a hole"),
    fails("mremap", ENOMEM, AREA, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0, setup=limited(RLIMIT_AS, 0),
          rpcs=[], label="DONTUNMAP and RLIMIT_AS"),
    fails("mremap", EINVAL, AREA, PAGE, 1 << 48, 0, 0, setup=area, rpcs=[], label="more than user space"),
    fails("mremap", EINVAL, AREA, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AREA + 1, setup=area, rpcs=[],
          label="to an unaligned address"),
    fails("mremap", EINVAL, AREA, 2 * PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AREA + PAGE, setup=area, rpcs=[],
          label="onto itself"),
    fails("mremap", EINVAL, AREA, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, END, setup=area, rpcs=[],
          label="beyond user space"),
    fails("mremap", EINVAL, AREA, 0, PAGE, MREMAP_MAYMOVE, 0, setup=area, rpcs=[], label="private pages once more"),
    fails("mremap", EFAULT, AREA, PAGE, PAGE, 0, 0, rpcs=[]),
    fails("mremap", EFAULT, AREA, 5 * PAGE, 6 * PAGE, MREMAP_MAYMOVE, 0, setup=area, rpcs=[], label="beyond its end"),
    fails("mremap", EFAULT, AREA, 0, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AREA, setup=_shared, rpcs=[],
          label="once more where it is"),
    fails("mremap", EAGAIN, AREA, 4 * PAGE, 5 * PAGE, MREMAP_MAYMOVE, 0, setup=locked(4, 4), rpcs=[], **USER),
    ok("mremap", AREA, 4 * PAGE, 5 * PAGE, 0, 0, setup=locked(4, 5), returns=AREA, rpcs=[], label="locked", **USER),
    fails("mremap", ENOMEM, AREA, 4 * PAGE, 8 * PAGE, 0, 0, setup=_two_areas, rpcs=[], label="no room"),
    fails("mremap", ENOMEM, AREA, 0, PAGE, 0, 0, setup=_shared, rpcs=[], label="once more in place"),
    fails("mremap", ENOMEM, AREA, 4 * PAGE, 5 * PAGE, 0, 0, setup=limited(RLIMIT_AS, 0), rpcs=[], label="RLIMIT_AS"),
    fails("mremap", ENOMEM, AREA, PAGE, 1 << 46, MREMAP_MAYMOVE, 0, setup=lambda guest: (area(guest), _fill(guest)),
          rpcs=[], label="no gap"),
]  # fmt: skip


def _fill(guest: Guest) -> None:
    """Leave no large gap."""
    area(guest, AREA + (1 << 45), pages=1)
    area(guest, AREA + (1 << 46), pages=1)


def _protected(guest: Guest, at: int) -> None:
    vma = guest.main.t.mm.find(at)
    assert vma is not None and vma.prot == PROT_READ


def test_brk_moves_the_end_of_the_heap(guest: Guest) -> None:
    mm = guest.main.t.mm
    mm.brk_start = mm.brk = AREA
    assert guest.syscall.brk(AREA + 5000) == AREA + 5000
    assert guest.main.touch(AREA + 5000, write=True).done
    assert guest.syscall.brk(AREA - 1) == AREA + 5000
    area(guest, AREA + 0x10000)
    assert guest.syscall.brk(AREA + 0x20000) == AREA + 5000
    assert guest.syscall.brk(AREA) == AREA
    assert guest.main.touch(AREA, write=True).gone


def test_brk_stops_at_the_limit_of_data(guest: Guest) -> None:
    mm = guest.main.t.mm
    mm.brk_start = mm.brk = AREA
    guest.syscall.setrlimit(RLIMIT_DATA, Rlimit(0, 0))
    assert guest.syscall.brk(AREA + 1) == AREA


def test_brk_stops_at_the_limit_of_locked_memory(guest: Guest) -> None:
    mm = guest.main.t.mm
    mm.brk_start = mm.brk = AREA
    guest.syscall.setrlimit(RLIMIT_MEMLOCK, Rlimit(PAGE, PAGE))
    guest.syscall.setresuid(1000, 1000, 1000)
    guest.syscall.mlockall(MCL_FUTURE)
    assert guest.syscall.brk(AREA + PAGE + 1) == AREA
    assert guest.syscall.brk(AREA + PAGE) == AREA + PAGE
    assert mm.locked() == PAGE


@proves("mmap", EIO, rpcs=["vmx.stats"])
def test_mmap_fails_with_the_memory_server(guest: Guest) -> None:
    guest.vm.expect(vmx.Stats).error(EIO)
    assert guest.start.mmap(0, 1 << 40, RW, ANON, NO_FD, 0).errno == EIO


@proves("mprotect", ENOMEM, rpcs=[])
def test_pages_become_writable_within_the_limit_of_data_only(guest: Guest) -> None:
    area(guest, prot=PROT_READ)
    guest.syscall.setrlimit(RLIMIT_DATA, Rlimit(0, 0))
    assert guest.start.mprotect(AREA, PAGE, RW).errno == ENOMEM
    assert guest.syscall.mprotect(AREA, PAGE, PROT_READ | PROT_EXEC) == 0


@pytest.mark.linuxemu(root="fsx")
@proves("mmap", SUCCESS, rpcs=["fsx.getattr"])
@proves("munmap", SUCCESS, rpcs=["fs.write", "fs.close"])
def test_a_file_is_read_at_the_first_touch_and_written_at_the_end(guest: Guest) -> None:
    attr = fresh_attr(ino=7, size=6000)
    guest.fs.expect(fsx.Lookup, name=b"file").reply(**attr)
    guest.fs.expect(fsx.Open(ino=7, flags=O_RDWR)).reply(handle=5)
    fd = guest.syscall.open("/file", O_RDWR)
    guest.fs.expect(fsx.Getattr(ino=7)).reply(**attr)
    assert guest.syscall.mmap(AREA, 2 * PAGE, RW, MAP_SHARED, fd, 0) == AREA
    guest.syscall.close(fd)
    guest.fs.expect(fs.Read(handle=5, offset=0, len=2 * PAGE)).reply(data=b"x" * 6000)
    assert guest.main.touch(AREA + PAGE).done
    assert guest.read(AREA + 5999, 2) == b"x\0"
    assert guest.main.touch(AREA + PAGE, write=True).done
    guest.write(AREA + PAGE, b"new")
    guest.fs.expect(fs.Write, handle=5, offset=PAGE).reply()
    guest.fs.expect(fs.Close(handle=5))
    guest.syscall.munmap(AREA, 2 * PAGE)


def test_mremap_takes_what_is_there_along(guest: Guest) -> None:
    area(guest)
    guest.write(AREA, b"data")
    to = guest.syscall.mremap(AREA, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 2 * AREA)
    assert guest.read(to, 4) == b"data"
    assert guest.main.touch(AREA).gone
