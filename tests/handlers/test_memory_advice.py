"""What is known and said of mapped memory: madvise, msync, mincore, mlock and relatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linuxemu.messages import fs
from linuxemu.testing import BAD, Guest, Out
from linuxemu.testing.guest import PAGE
from syscalls.abi.errno import EAGAIN, EBUSY, EFAULT, EINVAL, EIO, ENOMEM, ENOSPC, EPERM
from syscalls.abi.flags import (
    MADV_COLD,
    MADV_DONTFORK,
    MADV_DONTNEED,
    MADV_DONTNEED_LOCKED,
    MADV_FREE,
    MADV_HUGEPAGE,
    MADV_KEEPONFORK,
    MADV_NORMAL,
    MADV_PAGEOUT,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MADV_REMOVE,
    MADV_WILLNEED,
    MADV_WIPEONFORK,
    MAP_SHARED,
    MCL_CURRENT,
    MCL_FUTURE,
    MCL_ONFAULT,
    MLOCK_ONFAULT,
    MS_ASYNC,
    MS_INVALIDATE,
    MS_SYNC,
    O_RDWR,
    PROT_READ,
    PROT_WRITE,
    RLIMIT_MEMLOCK,
)
from tests.handlers.cases import fails, ok, open_file, proves
from tests.handlers.test_memory import (
    AREA,
    END,
    RW,
    USER,
    area,
    changed_file,
    is_stored,
    limited,
    locked,
    mapped_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call

ALL = 4 * PAGE
_WRAPS = (1 << 64) - 1
_LAST = (1 << 64) - PAGE
VEC = Out(4, b"\xee")


def _zeros(guest: Guest, call: Call) -> None:
    assert guest.read(AREA, 4) == bytes(4)


def _written(guest: Guest) -> None:
    area(guest)
    guest.write(AREA, b"data")


def _past_the_file(guest: Guest) -> None:
    area(guest, prot=RW, flags=MAP_SHARED, fd=open_file(guest))


def _no_access(guest: Guest) -> None:
    area(guest, prot=0)


def _read_only(guest: Guest) -> None:
    area(guest, prot=PROT_READ)


def _no_memory(guest: Guest) -> None:
    area(guest)
    guest.main.touch(AREA + PAGE)
    frames, pool = guest.linux.port.frames, guest.linux.pool
    while frames.available:
        frames.alloc()
    pool.clear()


def _states(*pages: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert VEC.value == bytes(pages).ljust(4, b"\xee")

    return check


def _asked_for(what: str) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert [missing.what for missing in guest.unsupported] == [what]

    return check


CASES = [
    ok("madvise", AREA, ALL, MADV_DONTNEED, setup=_written, returns=0, rpcs=[], check=_zeros),
    ok("madvise", AREA, ALL, MADV_DONTNEED_LOCKED, setup=_written, returns=0, rpcs=[], check=_zeros, label="locked"),
    ok("madvise", AREA, PAGE, MADV_FREE, setup=area, returns=0, rpcs=[], label="free"),
    ok("madvise", AREA, PAGE, MADV_DONTNEED, setup=changed_file, returns=0, rpcs=["fs.write"], check=is_stored,
       survives_eio="the page is stored like one that is evicted: msync or fsync hear of it", label="stores"),
    ok("madvise", AREA, PAGE, MADV_POPULATE_WRITE, setup=area, returns=0, rpcs=[], label="populates"),
    ok("madvise", AREA, 0, MADV_DONTNEED, returns=0, rpcs=[], label="length 0 of nothing"),
    *(ok("madvise", AREA, PAGE, advice, setup=area, returns=0, rpcs=[], label=f"advice {advice}")
      for advice in (MADV_NORMAL, MADV_WILLNEED, MADV_HUGEPAGE, MADV_KEEPONFORK)),
    fails("madvise", EINVAL, AREA, 0, 99, rpcs=[], label="unknown"),
    fails("madvise", EINVAL, AREA + 1, 0, MADV_DONTNEED, rpcs=[], label="unaligned"),
    fails("madvise", EINVAL, AREA, _WRAPS, MADV_DONTNEED, rpcs=[], label="length wraps around"),
    fails("madvise", EINVAL, _LAST, PAGE, MADV_DONTNEED, rpcs=[], label="end wraps around"),
    *(fails("madvise", EINVAL, AREA, PAGE, advice, setup=area, rpcs=[], label=f"{what} is not there",
            check=_asked_for(f"madvise: {what}"))
      for what, advice in (("MADV_DONTFORK", MADV_DONTFORK), ("MADV_WIPEONFORK", MADV_WIPEONFORK),
                           ("MADV_REMOVE", MADV_REMOVE))),
    fails("madvise", EINVAL, AREA, PAGE, MADV_FREE, setup=mapped_file(MAP_SHARED), rpcs=[], label="FREE of a file"),
    fails("madvise", EINVAL, AREA, PAGE, MADV_POPULATE_READ, setup=_no_access, rpcs=[], label="no access"),
    fails("madvise", EINVAL, AREA, PAGE, MADV_POPULATE_WRITE, setup=_read_only, rpcs=[], label="read only"),
    *(fails("madvise", EINVAL, AREA, PAGE, advice, setup=locked(1, 1), rpcs=[], label=f"locked, advice {advice}")
      for advice in (MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_PAGEOUT)),
    ok("madvise", AREA, PAGE, MADV_DONTNEED_LOCKED, setup=locked(1, 1), returns=0, rpcs=[], label="locked pages too"),
    fails("madvise", ENOMEM, AREA, 5 * PAGE, MADV_NORMAL, setup=area, rpcs=[], label="a hole"),
    fails("madvise", ENOMEM, AREA, 5 * PAGE, MADV_DONTNEED, setup=_written, rpcs=[], check=_zeros,
          label="what is before the hole is done"),
    fails("madvise", ENOMEM, AREA, PAGE, MADV_POPULATE_WRITE, setup=_no_memory, label="no memory"),
    fails("madvise", EFAULT, AREA, ALL, MADV_POPULATE_READ, setup=_past_the_file, rpcs=["fs.read"],
          label="beyond the end of the file"),
    ok("msync", AREA, ALL, MS_SYNC, setup=area, returns=0, rpcs=[]),
    ok("msync", AREA, PAGE, MS_ASYNC | MS_INVALIDATE, setup=area, returns=0, rpcs=[], label="asynchronous"),
    ok("msync", AREA, PAGE, MS_SYNC, setup=mapped_file(MAP_SHARED), returns=0, rpcs=["fsx.fsync"], label="a file"),
    ok("msync", 1 << 63, 0, MS_SYNC, returns=0, rpcs=[], label="length 0 of nothing"),
    fails("msync", EINVAL, AREA, PAGE, 8, setup=area, rpcs=[], label="unknown flag"),
    fails("msync", EINVAL, AREA + 1, 0, MS_SYNC, setup=area, rpcs=[], label="unaligned"),
    fails("msync", EINVAL, AREA, PAGE, MS_SYNC | MS_ASYNC, setup=area, rpcs=[], label="both"),
    fails("msync", EBUSY, AREA, PAGE, MS_SYNC | MS_INVALIDATE, setup=locked(1, 1), rpcs=[]),
    fails("msync", ENOMEM, AREA, 5 * PAGE, MS_SYNC, setup=area, rpcs=[], label="a hole"),
    fails("msync", ENOMEM, END, PAGE, MS_SYNC, rpcs=[], label="beyond user space"),
    ok("mincore", AREA, ALL, VEC, setup=_written, returns=0, rpcs=[], check=_states(1, 0, 0, 0)),
    ok("mincore", AREA, PAGE, VEC, setup=mapped_file(MAP_SHARED), returns=0, rpcs=[], check=_states(0), label="a file"),
    ok("mincore", AREA, 0, BAD, returns=0, rpcs=[], label="length 0", unfaulted=("vec: nothing is written",)),
    fails("mincore", EINVAL, AREA + 1, PAGE, BAD, setup=area, rpcs=[]),
    fails("mincore", ENOMEM, AREA, 5 * PAGE, VEC, setup=_written, rpcs=[], check=_states(1, 0, 0, 0),
          label="what is before the hole is written"),
    fails("mincore", ENOMEM, AREA, PAGE, BAD, rpcs=[], label="nothing there"),
    fails("mincore", ENOMEM, END, PAGE, VEC, rpcs=[], label="beyond user space"),
    fails("mincore", EFAULT, AREA, PAGE, 1 << 63, rpcs=[], label="vec beyond user space before ENOMEM"),
    *(ok(name, AREA + 1, ALL - 1, *flags, setup=area, returns=0, rpcs=[])
      for name, *flags in (("mlock",), ("mlock2", 0), ("munlock",))),
    ok("mlock", AREA, 0, returns=0, rpcs=[], label="length 0 of nothing"),
    ok("mlock", AREA, 2 * PAGE, setup=locked(2, 2), returns=0, rpcs=[], label="counts once", **USER),
    ok("mlock", AREA, PAGE, setup=limited(RLIMIT_MEMLOCK, 0), returns=0, rpcs=[], label="no limit for root"),
    ok("mlock2", AREA, PAGE, MLOCK_ONFAULT, setup=_no_access, returns=0, rpcs=[], label="on fault"),
    ok("munlock", AREA, PAGE, setup=limited(RLIMIT_MEMLOCK, 0), returns=0, rpcs=[], label="no limit", **USER),
    fails("mlock2", EINVAL, AREA, PAGE, 2, setup=area, rpcs=[], label="unknown flag"),
    *(fails(name, errno, *args, *flags, rpcs=[], label=label, **rest)
      for name, *flags in (("mlock",), ("mlock2", 0), ("munlock",))
      for errno, args, label, rest in (
          (EINVAL, (AREA, _WRAPS - 2 * PAGE), "wraps around", {}),
          (EINVAL, (_LAST, PAGE), "wraps around to 0", {}),
          (ENOMEM, (AREA, 5 * PAGE), "a hole", {"setup": area}),
          (ENOMEM, (END, PAGE), "beyond user space", {}),
      )),
    *(fails(name, errno, AREA, size, *flags, setup=setup, label=label, **rest)
      for name, *flags in (("mlock",), ("mlock2", 0))
      for errno, size, setup, label, rest in (
          (ENOMEM, PAGE, _no_access, "no access", {"rpcs": []}),
          (ENOMEM, ALL, _past_the_file, "beyond the end of the file", {"rpcs": ["fs.read"]}),
          (EAGAIN, PAGE, _no_memory, "no memory", {}),
          (EPERM, 0, limited(RLIMIT_MEMLOCK, 0), "nothing may be locked", {"rpcs": [], **USER}),
          (ENOMEM, 2 * PAGE, limited(RLIMIT_MEMLOCK, PAGE), "RLIMIT_MEMLOCK", {"rpcs": [], **USER}),
          (ENOMEM, 3 * PAGE, locked(2, 2), "RLIMIT_MEMLOCK in all", {"rpcs": [], **USER}),
      )),
    ok("mlockall", MCL_CURRENT | MCL_FUTURE, returns=0, rpcs=[]),
    ok("mlockall", MCL_FUTURE | MCL_ONFAULT, setup=limited(RLIMIT_MEMLOCK, PAGE), returns=0, rpcs=[], label="later",
       **USER),
    fails("mlockall", EINVAL, 0, rpcs=[], label="nothing"),
    fails("mlockall", EINVAL, 8, rpcs=[], label="unknown flag"),
    fails("mlockall", EINVAL, MCL_ONFAULT, rpcs=[], label="ONFAULT alone"),
    fails("mlockall", EPERM, MCL_FUTURE, setup=limited(RLIMIT_MEMLOCK, 0), rpcs=[], **USER),
    fails("mlockall", ENOMEM, MCL_CURRENT, setup=limited(RLIMIT_MEMLOCK, PAGE), rpcs=[], **USER),
    ok("munlockall", returns=0, rpcs=[]),
]  # fmt: skip


@proves("munlock", 0, rpcs=[])
def test_what_is_locked_is_counted_until_it_is_unlocked_or_unmapped(guest: Guest) -> None:
    mm = guest.main.t.mm
    area(guest)
    guest.syscall.mlock(AREA, ALL)
    guest.syscall.munlock(AREA + PAGE, PAGE)
    assert mm.locked() == 3 * PAGE
    guest.syscall.munmap(AREA, PAGE)
    assert mm.locked() == 2 * PAGE


@proves("mlock", ENOMEM, rpcs=[])
@proves("munlock", ENOMEM, rpcs=[])
def test_what_is_there_is_locked_though_there_is_a_hole(guest: Guest) -> None:
    mm = guest.main.t.mm
    area(guest)
    assert guest.start.mlock(AREA, 5 * PAGE).errno == ENOMEM
    assert mm.locked() == ALL
    assert guest.start.munlock(AREA, 5 * PAGE).errno == ENOMEM
    assert mm.locked() == 0


@proves("mlockall", 0, rpcs=[])
@proves("munlockall", 0, rpcs=[])
def test_mlockall_locks_what_is_there_and_what_comes_until_munlockall(guest: Guest) -> None:
    mm = guest.main.t.mm
    area(guest)
    guest.syscall.mlockall(MCL_CURRENT | MCL_FUTURE)
    area(guest, 2 * AREA)
    assert mm.locked() == mm.total_vm << 12
    guest.syscall.mincore(2 * AREA, ALL, VEC)
    assert VEC.value == b"\1\1\1\1"
    guest.syscall.munlockall()
    area(guest, 3 * AREA)
    assert mm.locked() == 0


def test_a_child_has_no_locks(guest: Guest) -> None:
    guest.syscall.mlockall(MCL_CURRENT | MCL_FUTURE)
    mm = guest.fork().t.mm
    assert (mm.locked(), mm.lock_future) == (0, False)


@pytest.mark.linuxemu(root="memfs")
@proves("msync", 0, rpcs=["fs.write", "fsx.fsync"])
def test_msync_stores_what_was_changed(guest: Guest) -> None:
    guest.files.write("/file", b"contents")
    changed_file(guest)
    assert guest.syscall.msync(AREA, PAGE, MS_SYNC) == 0
    is_stored(guest, guest.start.getpid())


@pytest.mark.linuxemu(root="memfs")
@proves("msync", ENOSPC, EIO, rpcs=["fs.write"])
def test_msync_tells_that_a_page_could_not_be_stored_once(guest: Guest) -> None:
    guest.files.write("/file", b"contents")
    changed_file(guest)
    for errno in (EIO, ENOSPC):
        guest.write(AREA, b"CONTENTS")
        guest.fs.expect(fs.Write).error(errno)
        assert guest.start.msync(AREA, PAGE, MS_SYNC).errno == errno
        assert guest.start.msync(AREA, PAGE, MS_SYNC).errno == 0


@pytest.mark.linuxemu(root="memfs")
@proves("madvise", EFAULT, rpcs=["fs.read"])
def test_a_page_that_cannot_be_read_cannot_be_populated(guest: Guest) -> None:
    guest.files.write("/file", b"contents")
    mapped_file(MAP_SHARED, O_RDWR, PROT_READ | PROT_WRITE)(guest)
    guest.fs.expect(fs.Read).error(EIO)
    assert guest.start.madvise(AREA, PAGE, MADV_POPULATE_READ).errno == EFAULT
    assert guest.syscall.madvise(AREA, PAGE, MADV_POPULATE_READ) == 0


@pytest.mark.linuxemu(root="memfs")
def test_proc_shows_what_is_locked(guest: Guest) -> None:
    guest.mount_system()
    area(guest)
    guest.syscall.mlock(AREA, ALL)
    assert b"VmLck:\t      16 kB\n" in guest.files.read("/proc/self/status")
