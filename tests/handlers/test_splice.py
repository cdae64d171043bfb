"""sendfile, copy_file_range, splice, tee, vmsplice (man 2 sendfile, man 2 splice, man 2 copy_file_range)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linuxemu.messages import fs
from linuxemu.testing import BAD, Guest, Iov, Out
from linuxemu.testing.values import InOut
from syscalls.abi.errno import (
    EAGAIN,
    EBADF,
    EFAULT,
    EFBIG,
    EINTR,
    EINVAL,
    EIO,
    EISDIR,
    ENOSPC,
    EOVERFLOW,
    EPIPE,
    ESPIPE,
    EXDEV,
)
from syscalls.abi.flags import (
    O_APPEND,
    O_NONBLOCK,
    O_RDONLY,
    O_WRONLY,
    SA_RESTART,
    SEEK_CUR,
    SIGPIPE,
    SIGUSR1,
    SPLICE_F_MOVE,
    SPLICE_F_NONBLOCK,
)
from tests.handlers.cases import fails, ok, pipe, proves, standard_tree
from tests.handlers.opened import (
    PIPE_SIZE,
    READ_WRITE,
    both,
    disk,
    event_counter,
    full_disk,
    full_pipe,
    ignore,
    in_system,
    nonblocking,
    opens,
    small_files,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call

FILE = opens("/file")
NB = SPLICE_F_NONBLOCK
_MOST = (1 << 64) - 1


def _offset(value: int) -> InOut:
    """A loff_t that the call reads and writes."""
    return InOut(value.to_bytes(8, "little", signed=True))


def _tree(guest: Guest) -> None:
    """3: /file, 4: the empty /new."""
    guest.files.write("/new", mode=0o666)
    opens("/file", "/new")(guest)


def _file_and_pipe(guest: Guest) -> None:
    """3: /file, 4 and 5: a pipe."""
    FILE(guest)
    pipe(guest)


def _file_and_data(guest: Guest) -> None:
    """3: /file, 4 and 5: a pipe with "data"."""
    _file_and_pipe(guest)
    guest.syscall.write(5, b"data", 4)


def _file_and_full_pipe(guest: Guest) -> None:
    """3: /file, 4 and 5: a pipe without room."""
    FILE(guest)
    full_pipe(guest)


def _file_and_broken_pipe(guest: Guest) -> None:
    """3: /file, 5: a pipe without readers."""
    _file_and_pipe(guest)
    ignore(guest, SIGPIPE)
    guest.syscall.close(4)


def _two_pipes(guest: Guest) -> None:
    """3 and 4: a pipe with "data"; 5 and 6: an empty one."""
    pipe(guest)
    pipe(guest)
    guest.syscall.write(4, b"data", 4)


def _two_empty_pipes(guest: Guest) -> None:
    pipe(guest)
    pipe(guest)


def _second_is_full(guest: Guest) -> None:
    """3 and 4: a pipe with "data"; 5 and 6: one without room."""
    _two_pipes(guest)
    guest.syscall.write(6, bytes(PIPE_SIZE), PIPE_SIZE)


def _second_is_broken(guest: Guest) -> None:
    """3 and 4: a pipe with "data"; 6: one that nobody reads."""
    _two_pipes(guest)
    ignore(guest, SIGPIPE)
    guest.syscall.close(5)


def _ended_and_broken(guest: Guest) -> None:
    """3: a pipe without data and writers; 6: one without readers."""
    _two_empty_pipes(guest)
    ignore(guest, SIGPIPE)
    guest.syscall.close(4)
    guest.syscall.close(5)


def _never_written(guest: Guest) -> None:
    """3: a FIFO that nobody ever wrote to; 4 and 5: a pipe."""
    guest.syscall.open("/fifo", O_RDONLY | O_NONBLOCK)
    pipe(guest)


def _then(setup: Callable[[Guest], object], *fds: int) -> Callable[[Guest], None]:
    """Set O_NONBLOCK of descriptors after a setup."""
    return both(setup, *[lambda guest, fd=fd: nonblocking(guest, fd) for fd in fds])


def _limited(setup: Callable[[Guest], object], at: int = 4) -> Callable[[Guest], None]:
    """3 and 4 as a setup makes them; the second stands where RLIMIT_FSIZE lets nobody write."""
    return both(setup, lambda guest: guest.syscall.lseek(4, at, 0), small_files)


def _data_and_full_disk(guest: Guest) -> None:
    """3 and 4: a pipe with "data"; 5: a file on a full disk, at its second page."""
    full_disk(guest)
    pipe(guest)
    guest.syscall.write(4, b"data", 4)
    guest.syscall.open("/dir/data", READ_WRITE)
    guest.syscall.lseek(5, 4096, 0)


def _data_and_file(guest: Guest) -> None:
    """3 and 4: a pipe with "data"; 5: /file."""
    pipe(guest)
    guest.syscall.write(4, b"data", 4)
    FILE(guest)


def _file_to_full_disk(guest: Guest) -> None:
    """3: /file; 4: a file on a full disk, at its second page."""
    full_disk(guest)
    opens("/file", "/dir/data")(guest)
    guest.syscall.lseek(4, 4096, 0)


def _is(path: str, contents: bytes) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert guest.files.read(path) == contents

    return check


def _holds(fd: int, contents: bytes) -> Callable[[Guest, Call], None]:
    """A pipe has these bytes."""

    def check(guest: Guest, call: Call) -> None:
        out = Out(len(contents) or 1)
        nonblocking(guest, fd)
        call = guest.start.read(fd, out, PIPE_SIZE)
        assert (out.value[: call.returned] if not call.errno else b"") == contents

    return check


def _place(offset: InOut, value: int, position: int) -> Callable[[Guest, Call], None]:
    """The offset moved, the position of 3 did not."""

    def check(guest: Guest, call: Call) -> None:
        assert int.from_bytes(offset.value, "little") == value
        assert guest.syscall.lseek(3, 0, SEEK_CUR) == position

    return check


_AT_TWO = _offset(2)
_NO_ROOM = ["fs.write", "fs.write"]
_SENDFILE = [
    ok("sendfile", 4, 3, 0, 100, returns=8, rpcs=["fs.read", "fs.write", "fs.read"], setup=_tree,
       check=_is("/new", b"contents")),
    ok("sendfile", 4, 3, _AT_TWO, 3, returns=3, rpcs=["fs.read", "fs.write"], setup=_tree, check=_place(_AT_TWO, 5, 0),
       label="at an offset"),
    ok("sendfile", 4, 3, 0, 0, returns=0, rpcs=[], setup=_tree, label="nothing"),
    ok("sendfile", 5, 3, 0, 5, returns=5, rpcs=["fs.read"], setup=_file_and_pipe, check=_holds(4, b"conte"),
       label="to a pipe"),
    ok("sendfile", 1, 3, 0, 8, returns=8, rpcs=["fs.read", "console.write"], setup=FILE, label="to the host",
       check=lambda guest, call: _written(guest, b"contents")),
    fails("sendfile", EAGAIN, 5, 3, 0, 5, rpcs=[], setup=_then(_file_and_full_pipe, 5)),
    fails("sendfile", EBADF, 99, 3, 0, 5, rpcs=[], setup=FILE, label="out"),
    fails("sendfile", EBADF, 3, 99, 0, 5, rpcs=[], setup=FILE, label="in"),
    fails("sendfile", EBADF, 4, 3, 0, 5, rpcs=[], setup=opens(("/file", O_WRONLY), "/user"), label="in, to write"),
    fails("sendfile", EBADF, 4, 3, 0, 5, rpcs=[], setup=opens("/file", ("/user", O_RDONLY)), label="out, to read"),
    fails("sendfile", EFAULT, 99, 99, BAD, 5, rpcs=[]),
    fails("sendfile", EFBIG, 4, 3, 0, 5, rpcs=["fs.read"], setup=_limited(_tree)),
    fails("sendfile", EINVAL, 99, 3, _offset(-1), 5, rpcs=[], setup=FILE, label="negative offset"),
    ok("sendfile", 4, 3, 0, 0, rpcs=[], setup=opens(("/dir", O_RDONLY), "/file"), label="nothing of a directory"),
    fails("sendfile", EINVAL, 4, 3, 0, 1, rpcs=[], setup=opens(("/dir", O_RDONLY), "/file"), label="directory"),
    fails("sendfile", EINVAL, 5, 3, 0, 0, rpcs=[], setup=both(pipe, FILE), label="nothing of a pipe"),
    fails("sendfile", EINVAL, 3, 4, 0, 5, rpcs=[], setup=_file_and_data, label="from a pipe"),
    fails("sendfile", EINVAL, 4, 3, 0, 5, rpcs=[], setup=opens("/file", ("/user", READ_WRITE | O_APPEND)),
          label="O_APPEND"),
    fails("sendfile", EINVAL, 4, 3, 0, 5, rpcs=["fs.read"], setup=both(FILE, event_counter), label="to an eventfd"),
    fails("sendfile", EINVAL, 4, 3, 0, 5, rpcs=[], setup=in_system(("/proc/self/stat", O_RDONLY), "/file"),
          label="from what only read knows"),
    fails("sendfile", EIO, 4, 3, 0, 5, rpcs=["fs.read", "fs.write"], label="out",
          setup=both(_tree, lambda guest: guest.fs.expect(fs.Write).error(EIO))),
    fails("sendfile", ENOSPC, 4, 3, 0, 5, rpcs=["fs.read", *_NO_ROOM], setup=_file_to_full_disk),
    fails("sendfile", EPIPE, 5, 3, 0, 5, rpcs=[], setup=_file_and_broken_pipe),
    fails("sendfile", EPIPE, 5, 3, 0, 5, rpcs=[], label="end of the file",
          setup=both(_file_and_broken_pipe, lambda guest: guest.syscall.lseek(3, 0, 2))),
    fails("sendfile", ESPIPE, 99, 4, _offset(0), 5, rpcs=[], setup=_file_and_data),
]  # fmt: skip


def _written(guest: Guest, data: bytes) -> None:
    assert guest.stdout == data


_IN, _OUT = _offset(2), _offset(1)
_COPY = ["fsx.getattr", "fs.read", "fs.write"]


def _both_moved(guest: Guest, call: Call) -> None:
    assert [int.from_bytes(offset.value, "little") for offset in (_IN, _OUT)] == [5, 4]
    assert guest.files.read("/new") == b"\0nte"


_COPY_FILE_RANGE = [
    ok("copy_file_range", 3, 0, 4, 0, 100, 0, returns=8, rpcs=_COPY, setup=_tree, check=_is("/new", b"contents")),
    ok("copy_file_range", 3, _IN, 4, _OUT, 3, 0, returns=3, rpcs=_COPY, setup=_tree, check=_both_moved,
       label="at offsets"),
    ok("copy_file_range", 3, 0, 3, _offset(20), 8, 0, returns=8, rpcs=_COPY, setup=FILE,
       check=_is("/file", b"contents" + bytes(12) + b"contents"), label="within a file"),
    ok("copy_file_range", 3, _offset(8), 4, 0, 5, 0, returns=0, rpcs=["fsx.getattr"], setup=_tree, label="at the end"),
    fails("copy_file_range", EBADF, 99, BAD, 3, 0, 5, 0, rpcs=[], setup=FILE, label="in"),
    fails("copy_file_range", EBADF, 3, BAD, 99, 0, 5, 0, rpcs=[], setup=FILE, label="out"),
    fails("copy_file_range", EBADF, 3, 0, 4, 0, 5, 0, rpcs=[], setup=opens(("/file", O_WRONLY), "/user"),
          label="in, to write"),
    fails("copy_file_range", EBADF, 3, 0, 4, 0, 5, 0, rpcs=[], setup=opens("/file", ("/user", O_RDONLY)),
          label="out, to read"),
    fails("copy_file_range", EBADF, 3, 0, 4, 0, 5, 0, rpcs=[], setup=opens("/file", ("/user", READ_WRITE | O_APPEND)),
          label="O_APPEND"),
    fails("copy_file_range", EFAULT, 3, BAD, 4, 0, 5, 1, rpcs=[], setup=_tree, label="before the flags"),
    fails("copy_file_range", EFBIG, 3, 0, 4, 0, 5, 0, rpcs=["fsx.getattr", "fs.read"], setup=_limited(_tree)),
    fails("copy_file_range", EINVAL, 3, 0, 4, 0, 5, 1, rpcs=[], setup=_tree),
    fails("copy_file_range", EINVAL, 3, 0, 5, 0, 5, 0, rpcs=[], setup=_file_and_pipe, label="pipe"),
    fails("copy_file_range", EINVAL, 3, 0, 3, _offset(2), 5, 0, rpcs=["fsx.getattr"], setup=FILE, label="overlap"),
    fails("copy_file_range", EINVAL, 3, _offset(-9), 4, 0, 5, 0, rpcs=[], setup=_tree, label="negative offset"),
    fails("copy_file_range", EIO, 3, 0, 4, 0, 5, 0, rpcs=_COPY, label="out",
          setup=both(_tree, lambda guest: guest.fs.expect(fs.Write).error(EIO))),
    fails("copy_file_range", EISDIR, 3, 0, 4, 0, 5, 0, rpcs=[], setup=opens(("/dir", O_RDONLY), "/file")),
    fails("copy_file_range", EISDIR, 3, 0, 4, 0, 5, 0, rpcs=[], setup=opens("/file", ("/dir", O_RDONLY)), label="out"),
    fails("copy_file_range", ENOSPC, 3, _offset(0), 3, _offset(8192), 1, 0, rpcs=["fsx.getattr", "fs.read", *_NO_ROOM],
          setup=both(full_disk, opens("/dir/data"))),
    fails("copy_file_range", EOVERFLOW, 3, _offset(1), 4, 0, _MOST, 0, rpcs=[], setup=_tree),
    fails("copy_file_range", EOVERFLOW, 3, _offset(-1), 4, 0, 5, 0, rpcs=[], setup=_tree, label="negative offset"),
    fails("copy_file_range", EXDEV, 3, 0, 4, 0, 5, 0, rpcs=[], setup=both(disk, opens("/file", "/dir/data"))),
]  # fmt: skip

_FROM_TWO, _TO_TWO = _offset(2), _offset(2)
_SPLICE = [
    ok("splice", 3, 0, 5, 0, 5, SPLICE_F_MOVE, returns=5, rpcs=["fs.read"], setup=_file_and_pipe,
       check=_holds(4, b"conte"), label="file to pipe"),
    ok("splice", 3, _FROM_TWO, 5, 0, 3, 0, returns=3, rpcs=["fs.read"], setup=_file_and_pipe,
       check=_place(_FROM_TWO, 5, 0), label="from an offset"),
    ok("splice", 4, 0, 3, 0, 100, 0, returns=4, rpcs=["fs.write"], setup=_file_and_data,
       check=_is("/file", b"dataents"), label="pipe to file"),
    ok("splice", 4, 0, 3, _TO_TWO, 100, 0, returns=4, rpcs=["fs.write"], setup=_file_and_data,
       check=_place(_TO_TWO, 6, 0), label="to an offset"),
    ok("splice", 3, 0, 6, 0, 100, 0, returns=4, rpcs=[], setup=_two_pipes, check=_holds(5, b"data"),
       label="pipe to pipe"),
    ok("splice", 3, 0, 5, 0, 5, 0, returns=0, rpcs=[], setup=_never_written, label="FIFO without writers"),
    ok("splice", 3, 0, 5, 0, 5, NB, returns=0, rpcs=[], setup=_never_written, label="FIFO without writers, no wait"),
    ok("splice", 99, BAD, 99, BAD, 0, 64, returns=0, rpcs=[], label="nothing",
       unfaulted=("off_in: it is not looked at", "off_out: it is not looked at")),
    fails("splice", EAGAIN, 3, 0, 5, 0, 5, NB, rpcs=[], setup=_file_and_full_pipe, label="full"),
    fails("splice", EAGAIN, 3, 0, 5, 0, 5, 0, rpcs=[], setup=_then(_file_and_full_pipe, 5), label="full, O_NONBLOCK"),
    fails("splice", EAGAIN, 4, 0, 3, 0, 5, NB, rpcs=[], setup=_file_and_pipe, label="empty"),
    fails("splice", EAGAIN, 4, 0, 3, 0, 5, 0, rpcs=[], setup=_then(_file_and_pipe, 4), label="empty, O_NONBLOCK"),
    fails("splice", EAGAIN, 3, 0, 6, 0, 5, 0, rpcs=[], setup=_then(_two_empty_pipes, 6),
          label="empty, the other end has O_NONBLOCK"),
    fails("splice", EAGAIN, 3, 0, 6, 0, 5, 0, rpcs=[], setup=_then(_second_is_full, 3),
          label="full, the other end has O_NONBLOCK"),
    fails("splice", EBADF, 99, 0, 5, 0, 5, 0, rpcs=[], setup=_file_and_pipe, label="in"),
    fails("splice", EBADF, 3, 0, 99, 0, 5, 0, rpcs=[], setup=_file_and_pipe, label="out"),
    fails("splice", EBADF, 3, 0, 5, 0, 5, 0, rpcs=[], setup=both(opens(("/file", O_WRONLY)), pipe), label="to write"),
    fails("splice", EBADF, 5, 0, 3, 0, 5, 0, rpcs=[], setup=_file_and_pipe, label="end to write"),
    fails("splice", EFAULT, 3, BAD, 5, 0, 5, 0, rpcs=[], setup=_file_and_pipe),
    fails("splice", EFBIG, 3, 0, 5, _offset(4), 5, 0, rpcs=[], setup=both(_data_and_file, small_files),
          check=_holds(3, b"data")),
    fails("splice", EINVAL, 3, 0, 5, 0, 5, 64, rpcs=[], setup=_file_and_pipe),
    fails("splice", EINVAL, 3, 0, 4, 0, 5, 0, rpcs=[], setup=_tree, label="no pipe"),
    fails("splice", EINVAL, 3, 0, 4, 0, 5, 0, rpcs=[], setup=both(pipe, lambda guest: guest.syscall.write(4, b"x", 1)),
          label="to itself"),
    fails("splice", EINVAL, 3, _offset(-1), 5, 0, 5, 0, rpcs=[], setup=_file_and_pipe, label="negative offset"),
    fails("splice", EINVAL, 4, 0, 3, _offset(-1), 5, 0, rpcs=[], setup=_file_and_data, label="negative offset out"),
    fails("splice", EINVAL, 3, 0, 5, 0, 5, 0, rpcs=[], setup=both(opens(("/dir", O_RDONLY)), pipe), label="directory"),
    fails("splice", EINVAL, 4, 0, 3, 0, 5, 0, rpcs=[], label="O_APPEND",
          setup=both(opens(("/file", READ_WRITE | O_APPEND)), pipe, lambda guest: guest.syscall.write(5, b"x", 1))),
    fails("splice", EINVAL, 3, 0, 5, 0, 8, 0, rpcs=[], setup=both(event_counter, pipe), label="from an eventfd"),
    fails("splice", EINVAL, 4, 0, 3, 0, 8, 0, rpcs=[], check=_holds(4, b"\1" + bytes(7)), label="to an eventfd",
          setup=both(event_counter, pipe, lambda guest: guest.syscall.write(5, b"\1" + bytes(7), 8))),
    fails("splice", EINVAL, 3, 0, 5, 0, 8, 0, rpcs=[], setup=both(in_system(("/proc/self/stat", O_RDONLY)), pipe),
          label="from what only read knows"),
    fails("splice", EIO, 4, 0, 3, 0, 5, 0, rpcs=["fs.write"], check=_holds(4, b"data"), label="stays in the pipe",
          setup=both(_file_and_data, lambda guest: guest.fs.expect(fs.Write).error(EIO))),
    fails("splice", ENOSPC, 3, 0, 5, 0, 5, 0, rpcs=_NO_ROOM, setup=_data_and_full_disk, check=_holds(3, b"data")),
    fails("splice", EPIPE, 3, 0, 5, 0, 5, 0, rpcs=[], setup=_file_and_broken_pipe),
    fails("splice", EPIPE, 3, 0, 6, 0, 5, 0, rpcs=[], setup=_second_is_broken, check=_holds(3, b"data"),
          label="pipe to pipe"),
    fails("splice", EPIPE, 3, 0, 6, 0, 5, 0, rpcs=[], setup=_ended_and_broken, label="end of the first pipe"),
    fails("splice", ESPIPE, 3, 0, 5, _offset(0), 5, 0, rpcs=[], setup=_file_and_pipe),
    fails("splice", ESPIPE, 4, _offset(0), 3, 0, 5, 0, rpcs=[], setup=_file_and_data, label="in"),
]  # fmt: skip

_TEE = [
    ok("tee", 3, 6, 100, 0, returns=4, rpcs=[], setup=_two_pipes, check=_holds(3, b"data")),
    ok("tee", 3, 6, 2, NB, returns=2, rpcs=[], setup=_two_pipes, check=_holds(5, b"da"), label="less"),
    ok("tee", 99, 99, 0, 0, returns=0, rpcs=[], label="nothing"),
    ok("tee", 3, 5, 5, NB, returns=0, rpcs=[], setup=_never_written, label="FIFO without writers"),
    fails("tee", EAGAIN, 3, 6, 5, NB, rpcs=[], setup=_two_empty_pipes, label="empty"),
    fails("tee", EAGAIN, 3, 6, 5, NB, rpcs=[], setup=_second_is_full, label="full"),
    fails("tee", EAGAIN, 3, 6, 5, 0, rpcs=[], setup=_then(_two_empty_pipes, 6), label="empty, O_NONBLOCK"),
    fails("tee", EAGAIN, 3, 6, 5, 0, rpcs=[], setup=_then(_second_is_full, 3), label="full, O_NONBLOCK"),
    fails("tee", EBADF, 99, 6, 5, 0, rpcs=[], setup=_two_pipes, label="in"),
    fails("tee", EBADF, 3, 99, 5, 0, rpcs=[], setup=_two_pipes, label="out"),
    fails("tee", EBADF, 4, 6, 5, 0, rpcs=[], setup=_two_pipes, label="end to write"),
    fails("tee", EINVAL, 99, 99, 0, 64, rpcs=[]),
    fails("tee", EINVAL, 3, 5, 5, 0, rpcs=[], setup=_file_and_pipe, label="file"),
    fails("tee", EINVAL, 3, 4, 5, 0, rpcs=[], setup=_two_pipes, label="itself"),
    fails("tee", EPIPE, 3, 6, 5, 0, rpcs=[], setup=_second_is_broken, check=_holds(3, b"data")),
    fails("tee", EPIPE, 3, 6, 5, 0, rpcs=[], setup=_ended_and_broken, label="end of the first pipe"),
]  # fmt: skip

_ROOM = Out(4)
_VMSPLICE = [
    ok("vmsplice", 6, Iov(b"ab", b"cd"), 2, 0, returns=4, rpcs=[], setup=_two_empty_pipes, check=_holds(5, b"abcd")),
    ok("vmsplice", 3, Iov(_ROOM), 1, 0, returns=4, rpcs=[], setup=_two_pipes, label="out of a pipe",
       check=lambda guest, call: _got(b"data")),
    ok("vmsplice", 6, Iov(bytes(PIPE_SIZE), b"more"), 2, 0, returns=PIPE_SIZE, rpcs=[], setup=_two_empty_pipes,
       label="what fits"),
    ok("vmsplice", 3, 0, 0, 0, returns=0, rpcs=[], setup=FILE, label="no buffers, not even a pipe"),
    fails("vmsplice", EAGAIN, 3, Iov(_ROOM), 1, NB, rpcs=[], setup=_two_empty_pipes, label="empty"),
    fails("vmsplice", EAGAIN, 6, Iov(b"ab"), 1, NB, rpcs=[], setup=_second_is_full, label="full"),
    fails("vmsplice", EBADF, 99, BAD, 1, 0, rpcs=[]),
    fails("vmsplice", EBADF, 3, Iov(b"ab"), 1, 0, rpcs=[], setup=FILE, label="no pipe"),
    fails("vmsplice", EFAULT, 6, Iov((BAD, 4)), 1, 0, rpcs=[], setup=_two_empty_pipes, label="buffer"),
    fails("vmsplice", EFAULT, 3, Iov((BAD, 4)), 1, 0, rpcs=[], setup=_two_pipes, check=_holds(3, b"data"),
          label="what cannot be taken stays"),
    fails("vmsplice", EFAULT, 3, BAD, 1, 0, rpcs=[], setup=FILE, label="before the pipe"),
    fails("vmsplice", EINVAL, 99, BAD, 1, 64, rpcs=[]),
    fails("vmsplice", EINVAL, 6, Iov(b"ab"), 1025, 0, rpcs=[], setup=_two_empty_pipes, label="too many"),
    fails("vmsplice", EPIPE, 6, Iov(b"ab"), 1, 0, rpcs=[], setup=_second_is_broken),
]  # fmt: skip


def _got(data: bytes) -> None:
    assert _ROOM.value == data


CASES = [*_SENDFILE, *_COPY_FILE_RANGE, *_SPLICE, *_TEE, *_VMSPLICE]


# -- waiting ---------------------------------------------------------------------------------------------------------

# Setup, name and arguments of calls that wait, and the call that ends their wait.
_WAITS_FOR_DATA = {
    "splice": (3, 0, 6, 0, 4, 0),
    "tee": (3, 6, 4, 0),
    "vmsplice": (3, Iov(Out(4)), 1, 0),
}
_WAITS_FOR_ROOM = {
    "splice": (3, 0, 6, 0, 4, 0),
    "tee": (3, 6, 4, 0),
    "vmsplice": (6, Iov(b"more"), 1, 0),
}


@proves("splice", EINTR, rpcs=[])
@proves("tee", EINTR, rpcs=[])
@proves("vmsplice", EINTR, rpcs=[])
def test_a_signal_ends_the_wait_for_data(guest: Guest) -> None:
    _two_empty_pipes(guest)
    guest.on_signal(SIGUSR1)
    other = guest.process()
    for name, args in _WAITS_FOR_DATA.items():
        call = getattr(guest.start, name)(*args)
        assert call.blocked
        other.syscall.kill(guest.main.pid, SIGUSR1)
        assert call.errno == EINTR


@pytest.mark.parametrize("name", list(_WAITS_FOR_DATA))
def test_the_wait_for_data_goes_on_after_a_handler_with_sa_restart(guest: Guest, name: str) -> None:
    _two_empty_pipes(guest)
    handler, helper = guest.on_signal(SIGUSR1, flags=SA_RESTART), guest.thread()
    call = getattr(guest.start, name)(*_WAITS_FOR_DATA[name])
    helper.syscall.tgkill(guest.main.pid, guest.main.tid, SIGUSR1)
    assert call.blocked
    assert handler.signals == [SIGUSR1]
    helper.syscall.write(4, b"data", 4)
    assert call.result == 4


@proves("splice", EINTR, rpcs=[])
@proves("tee", EINTR, rpcs=[])
@proves("vmsplice", EINTR, rpcs=[])
def test_a_signal_ends_the_wait_for_room(guest: Guest) -> None:
    _second_is_full(guest)
    guest.on_signal(SIGUSR1)
    other = guest.process()
    for name, args in _WAITS_FOR_ROOM.items():
        call = getattr(guest.start, name)(*args)
        assert call.blocked
        other.syscall.kill(guest.main.pid, SIGUSR1)
        assert call.errno == EINTR
    _holds(3, b"data")(guest, call)


@pytest.mark.parametrize("name", list(_WAITS_FOR_ROOM))
def test_the_wait_for_room_ends_when_something_is_read(guest: Guest, name: str) -> None:
    _second_is_full(guest)
    helper = guest.thread()
    call = getattr(guest.start, name)(*_WAITS_FOR_ROOM[name])
    assert call.blocked
    helper.syscall.read(5, Out(4096), 4096)
    assert call.result == 4


@pytest.mark.parametrize("name", list(_WAITS_FOR_ROOM))
def test_the_wait_for_room_ends_when_nobody_reads_any_more(guest: Guest, name: str) -> None:
    _second_is_full(guest)
    handler, helper = guest.on_signal(SIGPIPE), guest.thread()
    call = getattr(guest.start, name)(*_WAITS_FOR_ROOM[name])
    helper.syscall.close(5)
    assert call.errno == EPIPE
    assert handler.signals == [SIGPIPE]


def test_vmsplice_waits_though_its_pipe_has_o_nonblock(guest: Guest) -> None:
    _then(_two_empty_pipes, 3)(guest)
    assert guest.start.vmsplice(*_WAITS_FOR_DATA["vmsplice"]).blocked


@proves("sendfile", EINTR, rpcs=[])
@pytest.mark.linuxemu(root="memfs")
def test_a_signal_ends_sendfile_s_wait_for_room(guest: Guest) -> None:
    standard_tree(guest)
    _file_and_full_pipe(guest)
    guest.on_signal(SIGUSR1)
    call = guest.start.sendfile(5, 3, 0, 8)
    assert call.blocked
    guest.process().syscall.kill(guest.main.pid, SIGUSR1)
    assert call.errno == EINTR


@proves("sendfile", 0, rpcs=["fs.read"])
@pytest.mark.linuxemu(root="memfs")
def test_sendfile_s_wait_goes_on_after_a_handler_with_sa_restart(guest: Guest) -> None:
    standard_tree(guest)
    _file_and_full_pipe(guest)
    handler, helper = guest.on_signal(SIGUSR1, flags=SA_RESTART), guest.thread()
    call = guest.start.sendfile(5, 3, 0, 8)
    helper.syscall.tgkill(guest.main.pid, guest.main.tid, SIGUSR1)
    assert call.blocked
    assert handler.signals == [SIGUSR1]
    helper.syscall.read(4, Out(4096), 4096)
    assert call.result == 8


# -- how much is moved -----------------------------------------------------------------------------------------------


@proves("sendfile", 0)
@pytest.mark.linuxemu(root="memfs")
def test_sendfile_puts_into_a_pipe_what_fits_and_waits_for_nobody(guest: Guest) -> None:
    guest.files.write("/large", bytes(3 * PIPE_SIZE))
    opens("/large")(guest)
    _, writer = pipe(guest)
    assert guest.syscall.sendfile(writer, 3, 0, 3 * PIPE_SIZE) == PIPE_SIZE
    assert guest.syscall.lseek(3, 0, SEEK_CUR) == PIPE_SIZE


@pytest.mark.linuxemu(root="memfs")
def test_sendfile_copies_a_file_in_pieces(guest: Guest) -> None:
    guest.files.write("/large", bytes(range(256)) * 800)
    guest.files.write("/new")
    opens("/large", "/new")(guest)
    assert guest.syscall.sendfile(4, 3, 0, 1 << 40) == 204_800
    assert guest.files.read("/new") == bytes(range(256)) * 800


@pytest.mark.linuxemu(root="memfs")
def test_what_sendfile_wrote_counts_though_the_server_fails_then(guest: Guest) -> None:
    guest.files.write("/large", bytes(2 * PIPE_SIZE))
    guest.files.write("/new")
    opens("/large", "/new")(guest)
    guest.fs.expect(fs.Write, offset=0)
    guest.fs.expect(fs.Write, offset=PIPE_SIZE).error(EIO)
    assert guest.syscall.sendfile(4, 3, 0, 2 * PIPE_SIZE) == PIPE_SIZE
    assert guest.syscall.lseek(3, 0, SEEK_CUR) == PIPE_SIZE
