"""truncate, ftruncate, fallocate, fsync and relatives, fadvise64, readahead (man 2 truncate, man 2 fallocate ...)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linuxemu.messages import fs, fsx
from linuxemu.testing import BAD, Guest
from syscalls.abi.errno import (
    EACCES,
    EBADF,
    EFAULT,
    EFBIG,
    EINVAL,
    EIO,
    EISDIR,
    ELOOP,
    ENAMETOOLONG,
    ENODEV,
    ENOENT,
    ENOSPC,
    ENOTDIR,
    EOPNOTSUPP,
    EROFS,
    ESPIPE,
    ETXTBSY,
)
from syscalls.abi.flags import (
    FALLOC_FL_COLLAPSE_RANGE,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_ZERO_RANGE,
    MAP_SHARED,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    POSIX_FADV_DONTNEED,
    PROT_READ,
    PROT_WRITE,
    RLIMIT_FSIZE,
    SIGXFSZ,
)
from syscalls.abi.structs import Rlimit
from tests.handlers.cases import Case, fails, ok, proves, standard_tree
from tests.handlers.opened import (
    both,
    epoll,
    event_counter,
    full_disk,
    ignore,
    in_system,
    lost_handle,
    opens,
    pipe_ends,
    read_only_disk,
    running,
    small_files,
    system,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call

USER = (1000, 1000)
FILE = opens("/file")
_HUGE = (1 << 63) - 1


def _file_is(contents: bytes) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert guest.files.read("/file") == contents

    return check


def _closed_directory(guest: Guest) -> None:
    guest.files.mkdir("/closed", mode=0o700)


def _open_and_small(guest: Guest) -> None:
    FILE(guest)
    small_files(guest)


def _small_enough(guest: Guest) -> None:
    """3: /file; RLIMIT_FSIZE is what it has."""
    FILE(guest)
    ignore(guest, SIGXFSZ)
    guest.syscall.setrlimit(RLIMIT_FSIZE, Rlimit(8, 8))


_TRUNCATE = [
    ok("truncate", "/file", 3, returns=0, rpcs=["fsx.lookup", "fsx.getattr", "fsx.setattr"], check=_file_is(b"con")),
    ok("truncate", "/link", 10, rpcs=["fsx.lookup", "fsx.readlink", "fsx.lookup", "fsx.getattr", "fsx.setattr"],
       check=_file_is(b"contents\0\0"), label="through a link"),
    ok("truncate", "/file", 6, rpcs=["fsx.lookup", "fsx.getattr", "fsx.getattr", "fsx.setattr"], setup=small_files,
       label="smaller, though above RLIMIT_FSIZE"),
    ok("truncate", "/proc/self/comm", 5, returns=0, rpcs=[], setup=system, label="proc"),
    fails("truncate", EACCES, "/file", 3, user=USER, check=_file_is(b"contents")),
    fails("truncate", EACCES, "/closed/x", 3, user=USER, setup=_closed_directory, label="search"),
    fails("truncate", EFAULT, BAD, 3, rpcs=[]),
    fails("truncate", EFBIG, "/file", 9, setup=small_files, rpcs=["fsx.lookup", "fsx.getattr", "fsx.getattr"]),
    fails("truncate", EINVAL, BAD, -1, rpcs=[]),
    fails("truncate", EINVAL, "/fifo", 3, rpcs=["fsx.lookup"], label="FIFO"),
    fails("truncate", EISDIR, "/dir", 3, rpcs=["fsx.lookup"]),
    fails("truncate", ELOOP, "/loop", 3),
    fails("truncate", ENAMETOOLONG, "/" + "x" * 256, 3, rpcs=[]),
    fails("truncate", ENOENT, "/none", 3, rpcs=["fsx.lookup"]),
    fails("truncate", ENOENT, "", 3, rpcs=[], label="empty path"),
    fails("truncate", ENOTDIR, "/file/x", 3, rpcs=["fsx.lookup"]),
    fails("truncate", EROFS, "/dir/data", 0, setup=read_only_disk, rpcs=["fsx.lookup"]),
    fails("truncate", ETXTBSY, "/program", 0, setup=running, rpcs=["fsx.lookup", "fsx.getattr"]),

    ok("ftruncate", 3, 3, returns=0, rpcs=["fsx.setattr"], setup=FILE, check=_file_is(b"con")),
    ok("ftruncate", 3, 3, rpcs=["fsx.setattr"], user=USER, label="of a file that is anybody's no more",
       setup=both(lambda guest: guest.files.write("/file", b"x", mode=0o666), opens(("/file", O_RDWR)),
                  lambda guest: guest.files.write("/file", b"contents", mode=0o600))),
    ok("ftruncate", 3, 5, returns=0, rpcs=[], setup=in_system("/proc/self/comm"), label="proc"),
    fails("ftruncate", EBADF, 99, 0, rpcs=[]),
    fails("ftruncate", EBADF, 3, 0, rpcs=[], setup=opens(("/file", O_PATH)), label="O_PATH"),
    fails("ftruncate", EFBIG, 3, 9, rpcs=["fsx.getattr"], setup=_open_and_small),
    fails("ftruncate", EINVAL, 99, -1, rpcs=[]),
    fails("ftruncate", EINVAL, 3, 0, rpcs=[], setup=opens(("/file", O_RDONLY)), label="not open for writing"),
    fails("ftruncate", EINVAL, 3, 0, rpcs=[], setup=opens(("/dir", O_RDONLY)), label="directory"),
    fails("ftruncate", EINVAL, 4, 0, rpcs=[], setup=pipe_ends(), label="pipe"),
    fails("ftruncate", EINVAL, 3, 0, rpcs=[], setup=event_counter, label="eventfd"),
]  # fmt: skip

_HOLE = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
_FALLOCATE = [
    ok("fallocate", 3, 0, 0, 10, returns=0, rpcs=["fsx.getattr", "fsx.fallocate"], setup=FILE,
       check=_file_is(b"contents\0\0")),
    ok("fallocate", 3, 0, 0, 8, rpcs=["fsx.getattr", "fsx.fallocate"], setup=_open_and_small,
       label="grows nothing: RLIMIT_FSIZE does not count"),
    ok("fallocate", 3, FALLOC_FL_KEEP_SIZE, 0, 100, rpcs=["fsx.fallocate"], setup=FILE,
       check=_file_is(b"contents"), label="keeps the size"),
    ok("fallocate", 3, _HOLE, 2, 4, rpcs=["fsx.fallocate"], setup=FILE, check=_file_is(b"co\0\0\0\0ts"), label="hole"),
    ok("fallocate", 3, FALLOC_FL_ZERO_RANGE, 6, 4, rpcs=["fsx.getattr", "fsx.fallocate"], setup=FILE,
       check=_file_is(b"conten\0\0\0\0"), label="zeros"),
    fails("fallocate", EBADF, 99, 0, 0, 0, rpcs=[]),
    fails("fallocate", EBADF, 3, 0, 0, 10, rpcs=[], setup=opens(("/file", O_RDONLY)), label="not open for writing"),
    fails("fallocate", EBADF, 3, 0, 0, 10, rpcs=[], setup=opens(("/dir", O_RDONLY)), label="directory"),
    fails("fallocate", EBADF, 3, _HOLE, 0, 10, rpcs=["fsx.fallocate", "supervisor.wait"],
          setup=lost_handle(fsx.Fallocate), label="the server lost it"),
    fails("fallocate", EFBIG, 3, 0, _HUGE, 1, rpcs=[], setup=FILE),
    fails("fallocate", EFBIG, 3, 0, 8, 1, rpcs=["fsx.getattr"], setup=_small_enough, label="RLIMIT_FSIZE"),
    fails("fallocate", EINVAL, 3, 0x100, -1, 10, rpcs=[], setup=FILE),
    fails("fallocate", EINVAL, 3, 0, 0, 0, rpcs=[], setup=FILE, label="nothing"),
    fails("fallocate", EINVAL, 3, 0, 0, -1, rpcs=[], setup=FILE, label="negative"),
    fails("fallocate", ENODEV, 3, 0, 0, 10, rpcs=[], setup=in_system(("/dev/null", O_WRONLY))),
    fails("fallocate", ENODEV, 3, 0, 0, 10, rpcs=[], setup=epoll, label="epoll"),
    fails("fallocate", ENOSPC, 3, 0, 0, 8192, setup=both(full_disk, opens("/dir/data")),
          rpcs=["fsx.getattr", "fsx.fallocate"]),
    fails("fallocate", EOPNOTSUPP, 3, 0x100, 0, 10, rpcs=[], setup=opens(("/file", O_RDONLY))),
    fails("fallocate", EOPNOTSUPP, 3, FALLOC_FL_PUNCH_HOLE, 0, 10, rpcs=[], setup=FILE, label="hole without KEEP_SIZE"),
    fails("fallocate", EOPNOTSUPP, 3, FALLOC_FL_COLLAPSE_RANGE, 0, 4096, rpcs=["fsx.getattr", "fsx.fallocate"],
          setup=FILE, label="the server cannot"),
    fails("fallocate", EOPNOTSUPP, 3, 0, 0, 10, rpcs=[], setup=in_system(("/proc/self/comm", O_RDWR)), label="proc"),
    fails("fallocate", ESPIPE, 4, 0, 0, 10, rpcs=[], setup=pipe_ends()),
]  # fmt: skip


def _syncs(name: str) -> list[Case]:
    return [
        ok(name, 3, returns=0, rpcs=["fsx.fsync"], setup=FILE),
        ok(name, 3, returns=0, rpcs=["fsx.fsync"], setup=opens(("/dir", O_RDONLY)), label="directory"),
        fails(name, EBADF, 99, rpcs=[]),
        fails(name, EBADF, 3, rpcs=[], setup=opens(("/file", O_PATH)), label="O_PATH"),
        fails(name, EBADF, 3, rpcs=["fsx.fsync", "supervisor.wait"], setup=lost_handle(fsx.Fsync),
              label="the server lost it"),
        fails(name, EINVAL, 4, rpcs=[], setup=pipe_ends()),
        fails(name, EINVAL, 3, rpcs=[], setup=in_system("/dev/null"), label="device"),
        fails(name, EINVAL, 3, rpcs=[], setup=in_system(("/proc/self/stat", O_RDONLY)), label="proc"),
        fails(name, EIO, 3, rpcs=["fsx.fsync"], label="not stored",
              setup=both(FILE, lambda guest: guest.fs.expect(fsx.Fsync).error(EIO))),
        fails(name, ENOSPC, 3, rpcs=["fsx.fsync"], label="the server finds no room for it",
              setup=both(FILE, lambda guest: guest.fs.expect(fsx.Fsync).error(ENOSPC))),
    ]  # fmt: skip


CASES = [
    *_TRUNCATE,
    *_FALLOCATE,
    *_syncs("fsync"),
    *_syncs("fdatasync"),

    ok("sync", returns=0, rpcs=[]),
    ok("syncfs", 3, returns=0, rpcs=[], setup=FILE),
    ok("syncfs", 3, returns=0, rpcs=[], setup=pipe_ends(), label="pipe"),
    fails("syncfs", EBADF, 99, rpcs=[]),
    fails("syncfs", EBADF, 3, rpcs=[], setup=opens(("/file", O_PATH)), label="O_PATH"),

    ok("sync_file_range", 3, 0, 0, 7, returns=0, rpcs=[], setup=FILE),
    ok("sync_file_range", 3, 0, 0, 0, returns=0, rpcs=[], setup=opens(("/dir", O_RDONLY)), label="directory"),
    fails("sync_file_range", EBADF, 99, -1, 0, 8, rpcs=[]),
    fails("sync_file_range", EINVAL, 3, 0, 0, 8, rpcs=[], setup=pipe_ends()),
    fails("sync_file_range", EINVAL, 3, -1, 0, 0, rpcs=[], setup=FILE, label="offset"),
    fails("sync_file_range", EINVAL, 3, 0, -1, 0, rpcs=[], setup=FILE, label="length"),
    fails("sync_file_range", EINVAL, 3, _HUGE, 1, 0, rpcs=[], setup=FILE, label="end"),
    fails("sync_file_range", ESPIPE, 3, 0, 0, 0, rpcs=[], setup=pipe_ends()),
    fails("sync_file_range", ESPIPE, 3, 0, 0, 0, rpcs=[], setup=in_system("/dev/null"), label="device"),

    ok("fadvise64", 3, 0, 0, POSIX_FADV_DONTNEED, returns=0, rpcs=[], setup=FILE),
    ok("fadvise64", 3, -1, 0, 0, returns=0, rpcs=[], setup=FILE, label="any offset"),
    ok("fadvise64", 3, 0, 0, 0, returns=0, rpcs=[], setup=opens(("/dir", O_RDONLY)), label="directory"),
    fails("fadvise64", EBADF, 99, 0, -1, 9, rpcs=[]),
    fails("fadvise64", EINVAL, 3, 0, -1, 0, rpcs=[], setup=FILE),
    fails("fadvise64", EINVAL, 3, 0, 0, 6, rpcs=[], setup=FILE, label="advice"),
    fails("fadvise64", ESPIPE, 3, 0, -1, 9, rpcs=[], setup=pipe_ends()),

    ok("readahead", 3, 0, 4096, returns=0, rpcs=[], setup=FILE),
    fails("readahead", EBADF, 99, 0, 4096, rpcs=[]),
    fails("readahead", EINVAL, 3, 0, 1 << 63, rpcs=[], setup=FILE, label="a length below 0"),
    fails("readahead", EBADF, 3, 0, 4096, rpcs=[], setup=opens(("/file", O_WRONLY)), label="not open for reading"),
    fails("readahead", EINVAL, 3, 0, 4096, rpcs=[], setup=pipe_ends()),
    fails("readahead", EINVAL, 3, 0, 4096, rpcs=[], setup=opens(("/dir", O_RDONLY)), label="directory"),
]  # fmt: skip


# -- servers of paths ------------------------------------------------------------------------------------------------


@proves("truncate", EROFS, rpcs=["fs.stat", "fs.stat", "fs.stat"])
def test_a_server_of_paths_sets_no_sizes(guest: Guest) -> None:
    guest.fs.expect(fs.Stat(path="/motd")).times(3).reply(size=5)
    assert guest.start.truncate("/motd", 0).errno == EROFS


@proves("fdatasync", 0, rpcs=["fsx.fsync"])
def test_a_server_of_paths_stores_as_it_writes(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/log")).reply(handle=1)
    fd = guest.syscall.open("/log", O_WRONLY)
    guest.fs.expect(fsx.Fsync(handle=1, datasync=True)).error(EOPNOTSUPP)
    assert guest.syscall.fdatasync(fd) == 0


@proves("ftruncate", EROFS, rpcs=["fs.stat"])
def test_a_server_of_paths_sets_no_size_of_an_open_file(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/motd")).reply(handle=1)
    fd = guest.syscall.open("/motd", O_RDWR)
    guest.fs.expect(fs.Stat(path="/motd")).reply(size=5)
    assert guest.start.ftruncate(fd, 0).errno == EROFS


# -- what mappings changed -------------------------------------------------------------------------------------------


def _changed_by_a_mapping(guest: Guest) -> None:
    """3: /file, of which one byte was changed through a shared mapping."""
    standard_tree(guest)
    FILE(guest)
    at = guest.syscall.mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0)
    assert guest.main.touch(at, write=True).done


@proves("fsync", 0, rpcs=["fs.write", "fsx.fsync"])
@pytest.mark.linuxemu(root="memfs")
def test_fsync_stores_what_mappings_changed(guest: Guest) -> None:
    _changed_by_a_mapping(guest)
    guest.syscall.fsync(3)
    assert guest.files.read("/file")[1:] == b"ontents"


@proves("fdatasync", ENOSPC, rpcs=["fs.write"])
@pytest.mark.linuxemu(root="memfs")
def test_what_a_mapping_changed_and_nobody_could_store_is_told_once(guest: Guest) -> None:
    _changed_by_a_mapping(guest)
    guest.fs.expect(fs.Write).error(ENOSPC)
    assert guest.start.fdatasync(3).errno == ENOSPC
    assert guest.syscall.fdatasync(3) == 0


@pytest.mark.linuxemu(root="memfs")
def test_truncation_cuts_mapped_pages(guest: Guest) -> None:
    _changed_by_a_mapping(guest)
    guest.syscall.ftruncate(3, 2)
    guest.syscall.ftruncate(3, 8)
    assert guest.files.read("/file")[2:] == bytes(6)
