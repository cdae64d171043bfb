"""The descriptor table against a plain model, and the base class of open files."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from syscalls.abi.errno import EBADF, EINVAL, EISDIR, EMFILE, ENODEV, ENOTDIR, ENOTTY, ESPIPE
from syscalls.abi.flags import (
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    POLLNVAL,
    RLIMIT_NOFILE,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
)
from syscalls.errors import SysError
from syscalls.objects.fdtable import FdTable
from syscalls.objects.file import READ, WRITE, File, OPathFile
from syscalls.vfs.virtual import VirtualFs, VirtualNode
from tests.helpers import run

LIMIT = 12


class Tracked(File):
    """A file that tells when it is released."""

    def __init__(self, flags: int = O_RDWR) -> None:
        fs = VirtualFs("test", 1, 0)
        super().__init__(VirtualNode(fs, S_IFCHR | 0o666, 0), flags)
        self.released = 0

    async def release(self) -> None:
        self.released += 1


def table() -> FdTable:
    return FdTable({RLIMIT_NOFILE: (LIMIT, LIMIT)})


class FdTableMachine(RuleBasedStateMachine):
    """Every operation does to the table what it does to a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.table = table()
        self.model: dict[int, Tracked] = {}
        self.made: list[Tracked] = []

    def make(self) -> Tracked:
        self.made.append(Tracked())
        return self.made[-1]

    @rule(minimum=st.integers(0, LIMIT + 2), cloexec=st.booleans())
    def alloc(self, minimum: int, cloexec: bool) -> None:
        file = self.make()
        free = [fd for fd in range(minimum, LIMIT) if fd not in self.model]
        if free:
            assert self.table.alloc(file, cloexec, minimum) == free[0]
            self.model[free[0]] = file
            assert self.table.get_cloexec(free[0]) is cloexec
        else:
            with pytest.raises(SysError) as caught:
                self.table.alloc(file, cloexec, minimum)
            assert caught.value.errno == EMFILE
            run(file.put())

    @rule(fd=st.integers(-1, LIMIT))
    def install(self, fd: int) -> None:
        file = self.make()
        if 0 <= fd < LIMIT:
            run(self.table.install(fd, file))
            self.model[fd] = file
        else:
            with pytest.raises(SysError):
                run(self.table.install(fd, file))
            run(file.put())

    @rule(fd=st.integers(-1, LIMIT))
    def close(self, fd: int) -> None:
        if self.model.pop(fd, None) is not None:
            run(self.table.close(fd))
        else:
            with pytest.raises(SysError) as caught:
                run(self.table.close(fd))
            assert caught.value.errno == EBADF

    @rule(first=st.integers(0, LIMIT), last=st.integers(0, LIMIT))
    def close_range(self, first: int, last: int) -> None:
        run(self.table.close_range(first, last))
        for fd in range(first, last + 1):
            self.model.pop(fd, None)

    @rule()
    def fork_and_exit(self) -> None:
        run(self.table.clone().drop())

    @invariant()
    def same(self) -> None:
        assert dict(self.table.items()) == self.model
        assert self.table.numbers() == sorted(self.model)
        held = list(self.model.values())
        for file in self.made:
            assert file.refs == held.count(file)
            assert file.released == (file.refs == 0)


TestFdTable = FdTableMachine.TestCase
TestFdTable.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


def test_get_checks_how_the_file_is_open() -> None:
    files = table()
    for flags in (O_RDONLY, O_WRONLY, 3):
        files.alloc(Tracked(flags))
    files.alloc(OPathFile(Tracked().inode, O_PATH))
    assert files.get(0, READ).readable
    assert files.get(1, WRITE).writable
    assert files.get(2) is files.get_any(2)
    for fd, want in ((0, WRITE), (1, READ), (2, READ), (2, WRITE), (3, READ), (9, READ)):
        with pytest.raises(SysError) as caught:
            files.get(fd, want)
        assert caught.value.errno == EBADF
    with pytest.raises(SysError):
        files.get(3)
    assert files.get_any(3).access == 0
    with pytest.raises(SysError):
        files.get_any(9)
    assert 3 in files
    assert len(files) == 4


def test_locks_of_a_process_go_with_any_of_its_descriptors() -> None:
    released: list[Any] = []

    class Locks:
        def release(self, owner: object) -> None:
            released.append(owner)

    files = table()
    file = Tracked()
    file.inode.locks = Locks()  # type: ignore[assignment]
    files.alloc(file)
    files.alloc(file.get())
    run(files.close(1))
    assert released == [files]
    run(files.close(0))
    assert released == [files, files, file]


def test_shared_table_closes_with_its_last_user() -> None:
    files = table()
    file = Tracked()
    files.alloc(file)
    assert files.share() is files
    run(files.drop())
    assert not file.released
    run(files.drop())
    assert file.released == 1


def test_failing_release_does_not_stop_the_others() -> None:
    class Failing(Tracked):
        async def release(self) -> None:
            raise SysError(EINVAL)

    files = table()
    last = Tracked()
    files.alloc(Failing())
    files.alloc(last)
    run(files.close_all())
    assert last.released == 1
    files.alloc(Failing())
    with pytest.raises(SysError):
        run(files.close(0))
    assert 0 not in files


def errno_of(coro: Any) -> int:
    with pytest.raises(SysError) as caught:
        run(coro)
    return caught.value.errno


def test_file_without_operations_refuses_as_linux_does() -> None:
    file, t = Tracked(), None
    assert errno_of(file.read(t, 1)) == EINVAL  # type: ignore[arg-type]
    assert errno_of(file.write(t, b"x")) == EINVAL  # type: ignore[arg-type]
    assert errno_of(file.pread(t, 1, 0)) == ESPIPE  # type: ignore[arg-type]
    assert errno_of(file.pwrite(t, b"x", 0)) == ESPIPE  # type: ignore[arg-type]
    assert errno_of(file.lseek(t, 0, 0)) == ESPIPE  # type: ignore[arg-type]
    assert errno_of(file.ioctl(t, 0, 0)) == ENOTTY  # type: ignore[arg-type]
    assert errno_of(file.truncate(t, 0)) == EINVAL  # type: ignore[arg-type]
    assert errno_of(file.fsync(t, False)) == EINVAL  # type: ignore[arg-type]
    assert errno_of(file.getdents(t, 10, lambda *_: b"")) == ENOTDIR  # type: ignore[arg-type]
    for kind, error in ((S_IFDIR, EISDIR), (S_IFIFO, ESPIPE), (S_IFCHR, ENODEV)):
        file.inode.kind = kind
        assert errno_of(file.fallocate(t, 0, 0, 1)) == error  # type: ignore[arg-type]
    run(file.unread(b"x"))
    assert file.wait_queues() == ()
    assert file.poll() & 5 == 5
    assert file.proc_name() == b"anon_inode:[tracked]"
    assert OPathFile(file.inode, O_PATH).poll() == POLLNVAL
