"""memfd_create and seals (man 2 memfd_create, man 2 fcntl)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linuxemu.messages import fs
from linuxemu.testing import Guest
from syscalls.abi.errno import EACCES, EBUSY, EFAULT, EINVAL, EMFILE, ENOSYS, EPERM
from syscalls.abi.flags import (
    F_ADD_SEALS,
    F_GET_SEALS,
    F_GETFD,
    F_SEAL_EXEC,
    F_SEAL_FUTURE_WRITE,
    F_SEAL_GROW,
    F_SEAL_SEAL,
    F_SEAL_SHRINK,
    F_SEAL_WRITE,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    MAP_PRIVATE,
    MAP_SHARED,
    MFD_ALLOW_SEALING,
    MFD_CLOEXEC,
    MFD_EXEC,
    MFD_HUGETLB,
    MFD_NOEXEC_SEAL,
    O_RDONLY,
    O_RDWR,
    O_TRUNC,
    PROT_READ,
    PROT_WRITE,
)
from syscalls.abi.structs import Stat
from tests.handlers.cases import BAD, Edge, Iov, Out, fails, ok, proves
from tests.handlers.opened import no_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call

FD = 3
SIZE = 4196
FSX = ["fsx.root", "fsx.root", "fsx.mknod", "fsx.unlink", "fsx.setattr", "fsx.open"]
ALL = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC
NO_CHANGE = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC
READ_WRITE = PROT_READ | PROT_WRITE


def _answered_by_fs(guest: Guest) -> None:
    guest.linux.new_memfs = lambda: guest.system.fs_task


def _mode(guest: Guest) -> int:
    stat = Out(Stat)
    guest.syscall.fstat(FD, stat)
    assert stat.value.st_nlink == 0
    return int(stat.value.st_mode)


def _is_executable(guest: Guest, call: Call) -> None:
    assert (_mode(guest), guest.syscall.fcntl(FD, F_GET_SEALS, 0)) == (0o100777, F_SEAL_SEAL)


def _is_not_executable(guest: Guest, call: Call) -> None:
    assert (_mode(guest), guest.syscall.fcntl(FD, F_GET_SEALS, 0)) == (0o100666, F_SEAL_EXEC)


def _has_no_seals(guest: Guest, call: Call) -> None:
    assert guest.syscall.fcntl(FD, F_GET_SEALS, 0) == 0


def _closes_on_exec(guest: Guest, call: Call) -> None:
    assert guest.syscall.fcntl(FD, F_GETFD, 0) == 1


def _complains(guest: Guest, call: Call) -> None:
    assert [item.what for item in guest.unsupported] == ["memfd_create: MFD_HUGETLB"]


def _sealed(guest: Guest) -> None:
    """3: a file of one byte that cannot change; 4: one that can; 5 and 6: a pipe with a byte."""
    _answered_by_fs(guest)
    guest.mount_system()
    sealed(guest, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
    guest.syscall.memfd_create("other", 0)
    guest.syscall.pwrite64(FD + 1, b"x", 1, 0)
    guest.syscall.pipe2(Out(8), 0)
    guest.syscall.write(FD + 3, b"x", 1)


CASES = [
    ok("memfd_create", "name", 0, returns=FD, rpcs=FSX, setup=_answered_by_fs, check=_is_executable),
    ok("memfd_create", "name", MFD_EXEC, returns=FD, rpcs=FSX, setup=_answered_by_fs, check=_is_executable,
       label="executable"),
    ok("memfd_create", "name", MFD_NOEXEC_SEAL, returns=FD, rpcs=FSX, setup=_answered_by_fs,
       check=_is_not_executable, label="not executable"),
    ok("memfd_create", "name", MFD_ALLOW_SEALING, returns=FD, rpcs=FSX, setup=_answered_by_fs, check=_has_no_seals,
       label="sealing"),
    ok("memfd_create", "name", MFD_CLOEXEC, returns=FD, rpcs=FSX, setup=_answered_by_fs, check=_closes_on_exec,
       label="cloexec"),
    ok("memfd_create", Edge(b"\0"), 0, returns=FD, rpcs=FSX, setup=_answered_by_fs, label="no name"),
    ok("memfd_create", "n" * 249, 0, returns=FD, rpcs=FSX, setup=_answered_by_fs, label="long name"),
    fails("memfd_create", EINVAL, "n" * 250, 0, rpcs=[], label="too long"),
    fails("memfd_create", EINVAL, BAD, 0x20, rpcs=[], label="unknown flag"),
    fails("memfd_create", EINVAL, BAD, 1 << 26, rpcs=[], label="size of huge pages without them"),
    fails("memfd_create", EINVAL, BAD, MFD_EXEC | MFD_NOEXEC_SEAL, rpcs=[], label="both"),
    fails("memfd_create", EFAULT, Edge(b"name"), 0, rpcs=[], label="no end"),
    fails("memfd_create", EMFILE, "name", 0, setup=no_descriptors, rpcs=[]),
    fails("write", EPERM, FD, b"x", 1, setup=_sealed),
    fails("writev", EPERM, FD, Iov(b"x"), 1, setup=_sealed),
    fails("pwrite64", EPERM, FD, b"x", 1, 0, setup=_sealed),
    fails("pwritev", EPERM, FD, Iov(b"x"), 1, 0, 0, setup=_sealed),
    fails("pwritev2", EPERM, FD, Iov(b"x"), 1, 0, 0, 0, setup=_sealed),
    fails("sendfile", EPERM, FD, FD + 1, 0, 1, setup=_sealed),
    fails("splice", EPERM, FD + 2, 0, FD, 0, 1, 0, setup=_sealed),
    fails("copy_file_range", EPERM, FD + 1, 0, FD, 0, 1, 0, setup=_sealed),
    fails("fallocate", EPERM, FD, 0, 0, 2 * SIZE, setup=_sealed),
    fails("ftruncate", EPERM, FD, 0, setup=_sealed),
    fails("truncate", EPERM, f"/proc/self/fd/{FD}", 0, setup=_sealed),
    fails("creat", EPERM, f"/proc/self/fd/{FD}", 0, setup=_sealed),
    fails("open", EPERM, f"/proc/self/fd/{FD}", O_RDWR | O_TRUNC, 0, setup=_sealed, label="sealed"),
    fails("mmap", EPERM, 0, 4096, READ_WRITE, MAP_SHARED, FD, 0, setup=_sealed, label="sealed"),
    fails("fcntl", EPERM, FD + 1, F_ADD_SEALS, F_SEAL_GROW, setup=_sealed, label="no seals"),
    fails("memfd_create", ENOSYS, "name", MFD_HUGETLB | 21 << 26, rpcs=[], check=_complains),
]  # fmt: skip


@pytest.fixture
def guest(new_guest: Callable[..., Guest]) -> Guest:
    """A guest whose file server keeps the files in memory, too."""
    made = new_guest(root="memfs")
    _answered_by_fs(made)
    made.mount_system()
    return made


def test_its_name_is_shown(guest: Guest) -> None:
    guest.syscall.memfd_create("x y", 0)
    shown, target = b"/memfd:x y (deleted)", Out(40)
    assert guest.syscall.readlink(f"/proc/self/fd/{FD}", target, 40) == len(shown)
    assert target.value[: len(shown)] == shown


# -- seals ----------------------------------------------------------------------------------------------------------


def sealed(guest: Guest, seals: int) -> None:
    """3: a file of 4196 bytes."""
    guest.syscall.memfd_create("sealed", MFD_ALLOW_SEALING)
    guest.syscall.write(FD, bytes(SIZE), SIZE)
    guest.syscall.fcntl(FD, F_ADD_SEALS, seals)


def _result(call: Call) -> int:
    return -call.errno if call.errno else call.result


@pytest.mark.parametrize(
    ("seals", "wanted"),
    [(0, (10, 101, 8192)), (F_SEAL_SHRINK, (10, 101, 8192)), (F_SEAL_GROW, (10, -EPERM, 4096)),
     (F_SEAL_WRITE, (-EPERM,) * 3), (F_SEAL_FUTURE_WRITE, (-EPERM,) * 3), (F_SEAL_SEAL, (10, 101, 8192))],
)  # fmt: skip
def test_writing(guest: Guest, seals: int, wanted: tuple[int, ...]) -> None:
    sealed(guest, seals)
    places = ((10, 0), (101, 4096), (8192, 0))
    assert tuple(_result(guest.start.pwrite64(FD, bytes(n), n, at)) for n, at in places) == wanted
    assert guest.syscall.pwrite64(FD, b"", 0, 0) == 0


@pytest.mark.parametrize(
    ("seals", "larger", "smaller"),
    [(0, 0, 0), (F_SEAL_SHRINK, 0, -EPERM), (F_SEAL_GROW, -EPERM, 0), (F_SEAL_WRITE, 0, 0)],
)
def test_sizes(guest: Guest, seals: int, larger: int, smaller: int) -> None:
    sealed(guest, seals)
    assert guest.syscall.ftruncate(FD, SIZE) == 0
    assert _result(guest.start.ftruncate(FD, SIZE + 1)) == larger
    assert _result(guest.start.ftruncate(FD, 1)) == smaller


@pytest.mark.parametrize(
    ("seals", "wanted"), [(0, (0, 0, 0)), (F_SEAL_GROW, (0, -EPERM, 0)), (F_SEAL_WRITE, (0, 0, -EPERM))]
)
def test_storage(guest: Guest, seals: int, wanted: tuple[int, ...]) -> None:
    sealed(guest, seals)
    hole = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
    asked = ((0, 0, SIZE), (FALLOC_FL_KEEP_SIZE, 8192, 1), (hole, 0, 100_000))
    assert tuple(_result(guest.start.fallocate(FD, *rest)) for rest in asked) == wanted


@pytest.mark.parametrize("seal", [F_SEAL_WRITE, F_SEAL_FUTURE_WRITE])
def test_mappings(guest: Guest, seal: int) -> None:
    sealed(guest, seal)
    assert guest.start.mmap(0, 4096, READ_WRITE, MAP_SHARED, FD, 0).errno == EPERM
    assert guest.syscall.mmap(0, 4096, READ_WRITE, MAP_PRIVATE, FD, 0)
    at = guest.syscall.mmap(0, 4096, PROT_READ, MAP_SHARED, FD, 0)
    assert guest.start.mprotect(at, 4096, READ_WRITE).errno == EACCES
    assert guest.syscall.fcntl(FD, F_ADD_SEALS, F_SEAL_WRITE) == 0


@proves("fcntl", EBUSY)
@pytest.mark.parametrize("prot", [PROT_READ, READ_WRITE])
def test_what_is_mapped_cannot_be_sealed(guest: Guest, prot: int) -> None:
    sealed(guest, 0)
    at = guest.syscall.mmap(0, 4096, prot, MAP_SHARED, FD, 0)
    assert guest.start.fcntl(FD, F_ADD_SEALS, F_SEAL_WRITE).errno == EBUSY
    assert guest.syscall.fcntl(FD, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0
    assert guest.syscall.mprotect(at, 4096, READ_WRITE) == 0
    guest.syscall.munmap(at, 4096)
    assert guest.syscall.fcntl(FD, F_ADD_SEALS, F_SEAL_WRITE) == 0


def test_a_write_that_has_begun_ends_before_the_seal(guest: Guest) -> None:
    sealed(guest, 0)
    other, held = guest.thread(), guest.fs.expect(fs.Write).hold()
    writing = guest.start.pwrite64(FD, b"1", 1, 0)
    sealing = other.start.fcntl(FD, F_ADD_SEALS, F_SEAL_WRITE)
    assert (writing.blocked, sealing.blocked) == (True, True)
    held.reply()
    assert (guest.complete(writing).result, guest.complete(sealing).result) == (1, 0)
    assert guest.start.pwrite64(FD, b"2", 1, 0).errno == EPERM


def test_execute_permissions(guest: Guest) -> None:
    guest.syscall.memfd_create("x", MFD_NOEXEC_SEAL)
    assert guest.start.fchmod(FD, 0o700).errno == EPERM
    assert guest.syscall.fchmod(FD, 0o600) == 0


def test_a_program_that_is_sealed_cannot_be_written(guest: Guest) -> None:
    sealed(guest, F_SEAL_EXEC)
    assert guest.syscall.fcntl(FD, F_GET_SEALS, 0) == NO_CHANGE


@proves("fcntl", EPERM)
def test_no_more_seals(guest: Guest) -> None:
    sealed(guest, F_SEAL_SEAL)
    assert guest.start.fcntl(FD, F_ADD_SEALS, F_SEAL_GROW).errno == EPERM


def test_who_cannot_write_cannot_seal(guest: Guest) -> None:
    sealed(guest, 0)
    again = guest.syscall.open(f"/proc/self/fd/{FD}", O_RDONLY, 0)
    assert guest.start.fcntl(again, F_ADD_SEALS, 0).errno == EPERM
    assert guest.start.fcntl(FD, F_ADD_SEALS, ALL + 1).errno == EINVAL


def test_only_files_in_memory_have_seals(guest: Guest) -> None:
    ends = Out(8)
    guest.syscall.pipe2(ends, 0)
    assert guest.start.fcntl(FD, F_GET_SEALS, 0).errno == EINVAL
    assert guest.start.fcntl(FD, F_ADD_SEALS, 0).errno == EPERM
    assert guest.start.fcntl(FD + 1, F_ADD_SEALS, 0).errno == EINVAL


def test_files_of_a_tmpfs_are_sealed_against_seals(guest: Guest) -> None:
    guest.files.write("/file", b"1")
    fd = guest.syscall.open("/file", O_RDWR, 0)
    assert guest.syscall.fcntl(fd, F_GET_SEALS, 0) == F_SEAL_SEAL
    assert guest.start.fcntl(fd, F_ADD_SEALS, 0).errno == EPERM
