"""write, pwrite64, writev, pwritev, pwritev2 (man 2 write, man 2 pwrite, man 2 writev)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.messages import console, fs, fsx
from linuxemu.testing import BAD, Edge, Guest, Iov, Out
from syscalls.abi.errno import (
    EACCES,
    EAGAIN,
    EBADF,
    EFAULT,
    EFBIG,
    EINTR,
    EINVAL,
    EIO,
    ENOSPC,
    EOPNOTSUPP,
    EPIPE,
    ESPIPE,
    ESRCH,
)
from syscalls.abi.flags import (
    O_APPEND,
    O_DSYNC,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_WRONLY,
    POLLOUT,
    RWF_APPEND,
    RWF_DSYNC,
    RWF_NOWAIT,
    RWF_SYNC,
    SA_RESTART,
    SEEK_CUR,
    SIGPIPE,
    SIGUSR1,
    SIGXFSZ,
)
from syscalls.abi.structs import Stat
from tests.handlers.cases import Case, fails, ok, pipe, proves, standard_tree
from tests.handlers.opened import (
    PIPE_SIZE,
    READ_WRITE,
    both,
    broken_pipe,
    ended_process,
    epoll,
    event_counter,
    full_disk,
    full_pipe,
    in_system,
    lost_handle,
    opens,
    small_files,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call

FILE = opens("/file")
DATA = b"12345678"
_LARGEST = (1 << 63) - 1

WAYS: dict[str, Callable[[int, Any, int], tuple[Any, ...]]] = {
    "write": lambda fd, data, count: (fd, data, count),
    "pwrite64": lambda fd, data, count: (fd, data, count, 0),
    "writev": lambda fd, data, count: (fd, Iov(_part(data, count)), 1),
    "pwritev": lambda fd, data, count: (fd, Iov(_part(data, count)), 1, 0, 0),
    "pwritev2": lambda fd, data, count: (fd, Iov(_part(data, count)), 1, -1, 0, 0),
}
"""The arguments of each call that writes from descriptor, buffer and count."""
STREAM = ("write", "writev", "pwritev2")
"""Those that write at the position."""
PLACED = ("pwrite64", "pwritev")


def _part(data: Any, count: int) -> Any:
    return (data, count) if isinstance(data, int) else data[:count]


def _file_is(contents: bytes, path: str = "/file") -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert guest.files.read(path) == contents

    return check


def _position(offset: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert guest.syscall.lseek(3, 0, SEEK_CUR) == offset

    return check


def _at(offset: int) -> Callable[[Guest], None]:
    def setup(guest: Guest) -> None:
        FILE(guest)
        guest.syscall.lseek(3, offset, 0)

    return setup


def _full_pipe_at_3(guest: Guest) -> None:
    """3: a full pipe that nobody waits for."""
    reader, writer = full_pipe(guest, O_NONBLOCK)
    guest.syscall.dup2(writer, reader + 2)
    guest.syscall.dup2(reader, writer)
    guest.syscall.dup2(reader + 2, reader)


def _writable_pipe(guest: Guest) -> None:
    """3: where to write, 4: where to read."""
    reader, writer = pipe(guest)
    guest.syscall.dup2(writer, 9)
    guest.syscall.dup2(reader, writer)
    guest.syscall.dup2(9, reader)


def _less_killable(guest: Guest) -> None:
    """3: /proc/self/oom_score_adj of a user."""
    in_system("/proc/self/oom_score_adj")(guest)
    guest.syscall.setresuid(1000, 1000, 1000)


def _set_user_id(guest: Guest) -> None:
    """3: a set-user-ID file, open to somebody who may not keep it so."""
    guest.files.write("/suid", b"", mode=0o4666)
    guest.syscall.open("/suid", O_WRONLY)
    guest.syscall.setresuid(1000, 1000, 1000)


def _program_mode(guest: Guest, call: Call) -> None:
    stat = Out(Stat)
    guest.syscall.fstat(3, stat)
    assert stat.value.st_mode == 0o100666


_DISK = both(full_disk, opens("/dir/data"))
# A server that has no room is asked again for what would fit into its last page.
_NO_ROOM = ["fs.write", "fs.write"]
_SYNCED = opens(("/file", READ_WRITE | O_DSYNC))

# What they do alike: errno, data, setup, which of them, and the rest of the case.
_ALIKE: list[tuple[int, Any, Any, Any, dict[str, Any]]] = [
    (0, DATA, FILE, WAYS, {"returns": 8, "rpcs": ["fs.write"], "check": _file_is(DATA)}),
    (0, DATA, FILE, PLACED, {"rpcs": ["fs.write"], "check": _position(0), "label": "leaves the position"}),
    (0, DATA, FILE, STREAM, {"rpcs": ["fs.write"], "check": _position(8), "label": "moves the position"}),
    (0, DATA, opens(("/file", READ_WRITE | O_APPEND)), WAYS,
     {"rpcs": ["fsx.getattr", "fs.write"], "check": _file_is(b"contents" + DATA), "label": "O_APPEND"}),
    (0, DATA, _SYNCED, WAYS, {"rpcs": ["fs.write", "fsx.fsync"], "label": "O_DSYNC"}),
    (0, DATA, _set_user_id, WAYS, {"rpcs": ["fsx.setattr", "fs.write"], "check": _program_mode,
                                   "label": "drops S_ISUID"}),
    (0, DATA, _writable_pipe, STREAM, {"returns": 8, "rpcs": [], "label": "pipe"}),
    (0, DATA, in_system("/dev/null"), WAYS, {"returns": 8, "rpcs": [], "label": "device"}),
    (EACCES, b"-5", _less_killable, WAYS, {"rpcs": []}),
    (EAGAIN, DATA, _full_pipe_at_3, STREAM, {"rpcs": []}),
    (EBADF, DATA, None, WAYS, {"rpcs": []}),
    (EBADF, BAD, opens(("/file", O_RDONLY)), WAYS, {"rpcs": [], "label": "not open for writing"}),
    (EBADF, DATA, opens(("/file", O_PATH)), STREAM, {"rpcs": [], "label": "O_PATH"}),
    (EBADF, DATA, opens(("/dir", O_RDONLY)), WAYS, {"rpcs": [], "label": "directory"}),
    (EBADF, DATA, lost_handle(fs.Write), WAYS,
     {"rpcs": ["fs.write", "supervisor.wait"], "label": "the server lost it"}),
    (EFAULT, BAD, FILE, WAYS, {"rpcs": [], "label": "buffer"}),
    (EFAULT, (1 << 64) - 4096, FILE, WAYS, {"rpcs": [], "label": "buffer outside user space"}),
    (EINVAL, DATA, epoll, STREAM, {"rpcs": [], "label": "epoll"}),
    (EINVAL, b"\xff" * 8, event_counter, STREAM, {"rpcs": [], "label": "eventfd that never gets there"}),
    (EINVAL, b"many", in_system("/proc/self/oom_score_adj"), WAYS, {"rpcs": [], "label": "setting"}),
    (EINVAL, DATA, in_system(("/proc/self/stat", O_WRONLY)), STREAM, {"rpcs": [], "label": "made-up file"}),
    (EINVAL, DATA, in_system(("/proc/self/auxv", O_WRONLY)), WAYS, {"rpcs": [], "label": "made-up file, at an offset"}),
    (EIO, DATA, in_system(("/proc/uptime", O_WRONLY)), STREAM, {"rpcs": [], "label": "made-up file"}),
    (EIO, DATA, both(_SYNCED, lambda guest: guest.fs.expect(fsx.Fsync).error(EIO)), WAYS,
     {"rpcs": ["fs.write", "fsx.fsync"], "label": "not stored"}),
    (ENOSPC, bytes(4096), both(_DISK, lambda guest: guest.syscall.lseek(3, 4096, 0)), STREAM, {"rpcs": _NO_ROOM}),
    (ENOSPC, DATA, in_system("/dev/full"), WAYS, {"rpcs": [], "label": "full device"}),
    (EPIPE, DATA, broken_pipe, STREAM, {"rpcs": []}),
    (ESPIPE, DATA, _writable_pipe, PLACED, {"rpcs": []}),
    (ESPIPE, DATA, event_counter, PLACED, {"rpcs": [], "label": "eventfd"}),
    (ESPIPE, DATA, in_system(("/proc/self/comm", O_WRONLY)), PLACED, {"rpcs": [], "label": "made-up file"}),
    (ESPIPE, DATA, in_system(("/proc/uptime", O_WRONLY)), PLACED, {"rpcs": [], "label": "made-up file of the system"}),
    (ESRCH, b"9", lambda guest: ended_process(guest, "oom_score_adj", O_WRONLY), WAYS, {"rpcs": []}),
]  # fmt: skip


def _alike() -> list[Case]:
    return [
        Case(name, WAYS[name](3, data, len(data) if isinstance(data, bytes) else 8), errno, setup=setup, **rest)
        for errno, data, setup, names, rest in _ALIKE
        for name in names
    ]


def _small(guest: Guest) -> None:
    """3: /file, with room for four bytes."""
    FILE(guest)
    small_files(guest)


def _small_at_its_end(guest: Guest) -> None:
    """3: /file, at the largest size it may have."""
    _small(guest)
    guest.syscall.lseek(3, 4, 0)


def _last_two_bytes(guest: Guest) -> tuple[Any, ...]:
    return 3, guest.place_at_edge(guest.main.t, b"ab"), 8


CASES = [
    *_alike(),
    ok("write", _last_two_bytes, returns=2, rpcs=["fs.write"], setup=FILE, check=_file_is(b"abntents"),
       label="as far as there is memory"),
    ok("write", 3, DATA, 8, returns=4, rpcs=["fs.write"], setup=_small, check=_file_is(b"1234ents"),
       label="up to RLIMIT_FSIZE"),
    ok("write", 3, DATA, 0, returns=0, rpcs=[], setup=FILE, unfaulted=("buf: nothing is read",), label="nothing"),
    ok("pwrite64", 3, DATA, 2, 3, returns=2, rpcs=["fs.write"], setup=FILE, check=_file_is(b"con12nts"),
       label="at an offset"),
    ok("pwrite64", 3, DATA, 2, 12, rpcs=["fs.write"], setup=FILE, check=_file_is(b"contents\0\0\0\x0012"),
       label="beyond the end"),
    ok("writev", 3, Iov(b"ab", b"cde"), 2, returns=5, rpcs=["fs.write"], setup=FILE, check=_file_is(b"abcdents"),
       label="one message"),
    ok("writev", 3, 0, 0, returns=0, rpcs=[], setup=FILE, label="no buffers"),
    ok("pwritev2", 3, Iov(DATA), 1, 0, 0, RWF_APPEND, rpcs=["fsx.getattr", "fs.write"], setup=FILE,
       check=_file_is(b"contents" + DATA), label="RWF_APPEND"),
    ok("pwritev2", 3, Iov(DATA), 1, 0, 0, RWF_SYNC, rpcs=["fs.write", "fsx.fsync"], setup=FILE, label="RWF_SYNC"),
    ok("pwritev2", 3, Iov(DATA), 1, -1, 0, RWF_DSYNC, rpcs=["fs.write", "fsx.fsync"], setup=FILE, label="RWF_DSYNC"),
    ok("pwritev2", 3, 0, 0, 0, 0, 1 << 30, returns=0, rpcs=[], setup=FILE, label="flags count with buffers only"),
    fails("write", EINVAL, 3, DATA, 4, rpcs=[], setup=event_counter, label="eventfd wants eight bytes"),
    fails("write", EFAULT, 3, Edge(DATA[:7]), 8, rpcs=[], setup=event_counter, label="eventfd wants all"),
    fails("write", EFAULT, 3, Edge(DATA), 9, rpcs=[], setup=_writable_pipe, label="part of a page, pipe"),
    fails("write", EFAULT, 3, Edge(b"4"), 8, rpcs=[], setup=in_system("/proc/self/oom_score_adj"),
          label="part of a setting"),
    fails("writev", EFAULT, 3, Iov(DATA, (BAD, 4)), 2, rpcs=[], setup=_writable_pipe, label="part of a page, pipe"),
    ok("write", 3, Edge(bytes(4097)), 8192, returns=4096, rpcs=[], setup=_writable_pipe, label="whole pages, pipe"),
    ok("writev", 3, Iov(DATA, (BAD, 4)), 2, returns=8, rpcs=["fs.write"], setup=FILE, label="up to a bad buffer"),
    fails("write", EAGAIN, 3, b"\xfe" + b"\xff" * 7, 8, rpcs=[], label="eventfd is full",
          setup=both(event_counter, lambda guest: guest.syscall.write(3, b"\1" + bytes(7), 8))),
    *[fails(name, EFBIG, *WAYS[name](3, DATA, 8), rpcs=[], setup=_small_at_its_end) for name in STREAM],
    fails("write", EINVAL, 3, DATA, 8, rpcs=[], setup=_at(_LARGEST), label="beyond the largest offset"),
    fails("pwrite64", EINVAL, 3, DATA, 8, _LARGEST, rpcs=[], setup=FILE, label="beyond the largest offset"),
    fails("pwrite64", EFBIG, 3, DATA, 8, 4, rpcs=[], setup=_small),
    fails("pwritev", EFBIG, 3, Iov(DATA), 1, 4, 0, rpcs=[], setup=_small),
    fails("pwrite64", ENOSPC, 3, DATA, 8, 4096, rpcs=_NO_ROOM, setup=_DISK, label="full disk"),
    fails("pwritev", ENOSPC, 3, Iov(DATA), 1, 4096, 0, rpcs=_NO_ROOM, setup=_DISK, label="full disk"),
    fails("pwrite64", EINVAL, 99, DATA, 8, -1, rpcs=[], label="negative offset"),
    fails("pwritev", EINVAL, 99, Iov(DATA), 1, -1, 0, rpcs=[], label="negative offset"),
    fails("pwritev2", EINVAL, 99, Iov(DATA), 1, -2, 0, 0, rpcs=[], label="negative offset"),
    fails("pwritev2", ESPIPE, 3, Iov(DATA), 1, 0, 0, 0, rpcs=[], setup=_writable_pipe),
    fails("pwritev2", EOPNOTSUPP, 3, Iov(DATA), 1, 0, 0, 1 << 30, rpcs=[], setup=FILE),
    fails("pwritev2", EOPNOTSUPP, 3, Iov(DATA), 1, 0, 0, RWF_NOWAIT, rpcs=[], setup=FILE, label="RWF_NOWAIT"),
    *[fails(name, EINVAL, 3, Iov(DATA), count, *rest, rpcs=[], setup=FILE, label=f"{count} buffers")
      for name, rest in (("writev", ()), ("pwritev", (0, 0)), ("pwritev2", (0, 0, 0))) for count in (-1, 1025)],
    *[fails(name, EBADF, 3, BAD, 1, *rest, rpcs=[], setup=opens(("/file", O_RDONLY)), label="before the buffers")
      for name, rest in (("writev", ()), ("pwritev", (0, 0)), ("pwritev2", (0, 0, 0)))],
]  # fmt: skip


# -- waiting ---------------------------------------------------------------------------------------------------------


@proves("write", EINTR, rpcs=[])
@proves("writev", EINTR, rpcs=[])
@proves("pwritev2", EINTR, rpcs=[])
def test_a_signal_ends_the_wait_for_room(guest: Guest) -> None:
    _, writer = full_pipe(guest)
    guest.on_signal(SIGUSR1)
    other = guest.process()
    for name in STREAM:
        call = getattr(guest.start, name)(*WAYS[name](writer, DATA, 8))
        assert call.blocked
        other.syscall.kill(guest.main.pid, SIGUSR1)
        assert call.errno == EINTR


@pytest.mark.parametrize("name", STREAM)
def test_the_wait_goes_on_after_a_handler_with_sa_restart(guest: Guest, name: str) -> None:
    reader, writer = full_pipe(guest)
    handler = guest.on_signal(SIGUSR1, flags=SA_RESTART)
    helper = guest.thread()
    call = getattr(guest.start, name)(*WAYS[name](writer, DATA, 8))
    helper.syscall.tgkill(guest.main.pid, guest.main.tid, SIGUSR1)
    assert call.blocked
    assert handler.signals == [SIGUSR1]
    helper.syscall.read(reader, Out(4096), 4096)
    assert call.result == 8


def test_a_signal_cuts_a_write_that_has_begun(guest: Guest) -> None:
    _, writer = pipe(guest)
    guest.on_signal(SIGUSR1)
    call = guest.start.write(writer, bytes(PIPE_SIZE + 1), PIPE_SIZE + 1)
    assert call.blocked
    guest.process().syscall.kill(guest.main.pid, SIGUSR1)
    assert call.result == PIPE_SIZE


def test_a_writer_without_readers_gets_sigpipe(guest: Guest) -> None:
    handler = guest.on_signal(SIGPIPE)
    reader, writer = pipe(guest)
    guest.syscall.close(reader)
    assert guest.start.write(writer, DATA, 8).errno == EPIPE
    assert handler.signals == [SIGPIPE]


@pytest.mark.linuxemu(root="memfs")
def test_a_writer_at_the_limit_gets_sigxfsz(guest: Guest) -> None:
    standard_tree(guest)
    _small_at_its_end(guest)
    handler = guest.on_signal(SIGXFSZ)
    assert guest.start.write(3, DATA, 8).errno == EFBIG
    assert handler.signals == [SIGXFSZ]


@pytest.mark.linuxemu(root="memfs")
def test_a_large_write_sends_pieces(guest: Guest) -> None:
    standard_tree(guest)
    FILE(guest)
    guest.rpc.clear()
    assert guest.syscall.write(3, bytes(600_000), 600_000) == 600_000
    sent = [len(message.data) for message in guest.rpc.log.to("fs") if isinstance(message, fs.Write)]
    assert sent == [262_144, 262_144, 75_712]


@pytest.mark.linuxemu(root="memfs")
def test_what_was_written_counts_though_the_server_fails_then(guest: Guest) -> None:
    standard_tree(guest)
    FILE(guest)
    guest.fs.expect(fs.Write, offset=0)
    guest.fs.expect(fs.Write, offset=262_144).error(EIO)
    assert guest.syscall.write(3, bytes(600_000), 600_000) == 262_144


def test_a_server_of_paths_gets_what_is_written(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/log")).reply(handle=5)
    fd = guest.syscall.open("/log", O_WRONLY)
    with guest.rpc.sequence():
        guest.fs.expect(fs.Write(handle=5, offset=0, data=b"one "))
        guest.fs.expect(fs.Write(handle=5, offset=4, data=b"two"))
    guest.syscall.write(fd, b"one ", 4)
    guest.syscall.writev(fd, Iov(b"t", b"wo"), 2)


@proves("write", EPIPE, rpcs=["console.write"])
def test_nobody_reads_the_standard_output_of_the_host(guest: Guest) -> None:
    handler = guest.on_signal(SIGPIPE)
    guest.console.expect(console.Write(stream=1, data=b"hello")).error(EPIPE)
    assert guest.start.write(1, b"hello", 5).errno == EPIPE
    assert handler.signals == [SIGPIPE]


def test_a_write_waits_for_the_host_to_take_more(guest: Guest) -> None:
    guest.console.expect(console.Write(stream=1, data=b"hello")).error(EAGAIN)
    guest.console.expect(console.Watch(stream=1, events=POLLOUT))
    call = guest.start.write(1, b"hello", 5)
    assert call.blocked
    guest.console.post(console.Ready(stream=1, events=POLLOUT))
    guest.settle()
    assert call.result == 5
    assert guest.stdout == b"hello"
    assert guest.rpc.log.names("console").count("console.write") == 2


def test_standard_output_is_a_stream_of_the_host(guest: Guest) -> None:
    guest.syscall.write(1, b"hello\n", 6)
    assert guest.stdout == b"hello\n"
