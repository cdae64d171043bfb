"""read, pread64, readv, preadv, preadv2 (man 2 read, man 2 pread, man 2 readv)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.messages import fs
from linuxemu.testing import BAD, Edge, Guest, Iov, Out
from syscalls.abi.errno import (
    EAGAIN,
    EBADF,
    EFAULT,
    EINTR,
    EINVAL,
    EIO,
    EISDIR,
    ENOENT,
    EOPNOTSUPP,
    EPERM,
    ESPIPE,
    ESRCH,
)
from syscalls.abi.flags import (
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_WRONLY,
    RWF_HIPRI,
    RWF_NOWAIT,
    SA_RESTART,
    SEEK_CUR,
    SIGUSR1,
)
from tests.handlers.cases import Case, fails, ok, pipe, proves, standard_tree
from tests.handlers.opened import (
    READ_ONLY,
    both,
    closed_fdinfo,
    ended_process,
    epoll,
    event_counter,
    in_system,
    lost_handle,
    opens,
    pipe_ends,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call

OUT = Out(8)
FILE = opens(("/file", READ_ONLY))

WAYS: dict[str, Callable[[int, Any, int], tuple[Any, ...]]] = {
    "read": lambda fd, out, count: (fd, out, count),
    "pread64": lambda fd, out, count: (fd, out, count, 0),
    "readv": lambda fd, out, count: (fd, Iov(_part(out, count)), 1),
    "preadv": lambda fd, out, count: (fd, Iov(_part(out, count)), 1, 0, 0),
    "preadv2": lambda fd, out, count: (fd, Iov(_part(out, count)), 1, -1, 0, 0),
}
"""The arguments of each call that reads from descriptor, buffer and count."""
STREAM = ("read", "readv", "preadv2")
"""Those that read at the position."""
PLACED = ("pread64", "preadv")


def _part(out: Any, count: int) -> Any:
    return (out, count) if isinstance(out, int) else out


def _contents(guest: Guest, call: Call) -> None:
    assert OUT.value == b"contents"


def _position(offset: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert guest.syscall.lseek(3, 0, SEEK_CUR) == offset

    return check


def _ready(guest: Guest) -> None:
    _, writer = pipe(guest)
    guest.syscall.write(writer, b"contents", 8)


def _hung_up(guest: Guest) -> None:
    _, writer = pipe(guest)
    guest.syscall.close(writer)


# What they do alike: errno, buffer, setup, which of them, and the rest of the case.
_ALIKE: list[tuple[int, Any, Any, Any, dict[str, Any]]] = [
    (0, OUT, FILE, WAYS, {"returns": 8, "rpcs": ["fs.read"], "check": _contents}),
    (0, OUT, opens("/file"), PLACED, {"returns": 8, "rpcs": ["fs.read"], "check": _position(0),
                                      "label": "leaves the position"}),
    (0, OUT, opens("/file"), STREAM, {"returns": 8, "rpcs": ["fs.read"], "check": _position(8),
                                      "label": "moves the position"}),
    (0, OUT, opens(("/file", O_RDONLY)), WAYS,
     {"returns": 8, "rpcs": ["fsx.getattr", "clock.gettime", "fsx.setattr", "fs.read"],
      "label": "sets the access time", "survives_eio": "a time that cannot be set keeps nobody from reading"}),
    (0, Edge(Out(8)), FILE, WAYS, {"returns": 8, "rpcs": ["fs.read"], "label": "up to the last mapped byte"}),
    (0, OUT, _ready, STREAM, {"returns": 8, "rpcs": [], "check": _contents, "label": "pipe"}),
    (0, OUT, _hung_up, STREAM, {"returns": 0, "rpcs": [], "label": "end of a pipe"}),
    (0, OUT, in_system("/dev/zero"), WAYS, {"returns": 8, "rpcs": [], "label": "device"}),
    (EAGAIN, OUT, pipe_ends(O_NONBLOCK), STREAM, {"rpcs": []}),
    (EAGAIN, OUT, event_counter, STREAM, {"rpcs": [], "label": "eventfd"}),
    (EBADF, OUT, None, WAYS, {"rpcs": []}),
    (EBADF, BAD, opens(("/file", O_WRONLY)), WAYS, {"rpcs": [], "label": "not open for reading"}),
    (EBADF, OUT, opens(("/file", O_PATH)), STREAM, {"rpcs": [], "label": "O_PATH"}),
    (EBADF, OUT, lost_handle(fs.Read), WAYS, {"rpcs": ["fs.read", "supervisor.wait"], "label": "the server lost it"}),
    (EFAULT, BAD, FILE, WAYS, {"rpcs": ["fs.read"], "label": "buffer"}),
    (EFAULT, (1 << 64) - 4096, FILE, WAYS, {"rpcs": [], "label": "buffer outside user space"}),
    (EINVAL, OUT, epoll, STREAM, {"rpcs": [], "label": "epoll"}),
    (EISDIR, OUT, opens(("/dir", READ_ONLY)), WAYS, {"rpcs": []}),
    (ENOENT, OUT, closed_fdinfo, WAYS, {"rpcs": []}),
    (EPERM, OUT, in_system(("/proc/kmsg", O_RDONLY)), WAYS, {"rpcs": []}),
    (ESPIPE, OUT, _ready, PLACED, {"rpcs": []}),
    (ESPIPE, OUT, event_counter, PLACED, {"rpcs": [], "label": "eventfd"}),
    (ESRCH, OUT, lambda guest: ended_process(guest, "stat"), WAYS, {"rpcs": []}),
]  # fmt: skip


def _alike() -> list[Case]:
    return [
        Case(name, WAYS[name](3, out, 8), errno, setup=setup, **rest)
        for errno, out, setup, names, rest in _ALIKE
        for name in names
    ]


def _short_edge(guest: Guest) -> tuple[Any, ...]:
    """The last two bytes of a mapping, given as more."""
    edge = guest.place_at_edge(guest.main.t, bytes(2))
    return 3, edge, 8


_TWO = (Out(3), Out(5))


def _filled(guest: Guest, call: Call) -> None:
    assert [part.value for part in _TWO] == [b"con", b"tents"]


CASES = [
    *_alike(),
    ok("read", _short_edge, returns=2, rpcs=["fs.read"], setup=opens("/file"), check=_position(2),
       unfaulted=("buf: see the cases above",), label="what does not fit stays unread"),
    ok("read", 3, OUT, 4, returns=4, rpcs=["fs.read"], setup=FILE, check=_position(4),
       label="less than there is"),
    ok("read", 3, OUT, 8, returns=0, rpcs=["fs.read"], setup=both(FILE, lambda guest: guest.syscall.lseek(3, 0, 2)),
       label="end of the file"),
    ok("pread64", 3, OUT, 8, 6, returns=2, rpcs=["fs.read"], setup=FILE, label="up to the end of the file"),
    ok("readv", 3, Iov(*_TWO), 2, returns=8, rpcs=["fs.read"], setup=FILE, check=_filled, label="one message"),
    ok("readv", 3, Iov(Out(3), (BAD, 5)), 2, returns=3, rpcs=["fs.read"], setup=opens("/file"), check=_position(3),
       label="up to a bad buffer"),
    ok("readv", 3, 0, 0, returns=0, rpcs=[], setup=FILE, label="no buffers"),
    ok("readv", 3, BAD, 1 << 32, returns=0, rpcs=[], setup=FILE, label="the count has 32 bits"),
    ok("preadv", 3, Iov(*_TWO), 2, 0, 0, returns=8, rpcs=["fs.read"], setup=FILE, check=_filled, label="one message"),
    ok("preadv2", 3, Iov(*_TWO), 2, 0, 0, RWF_HIPRI, returns=8, rpcs=["fs.read"], setup=FILE, check=_filled,
       label="at an offset"),
    ok("preadv2", 3, 0, 0, 0, 0, 1 << 30, returns=0, rpcs=[], setup=FILE, label="flags count with buffers only"),
    fails("read", EINVAL, 3, OUT, 4, rpcs=[], setup=event_counter, label="eventfd wants eight bytes"),
    fails("pread64", EINVAL, 99, OUT, 8, -1, rpcs=[], label="negative offset"),
    fails("pread64", EINVAL, 3, OUT, 8, (1 << 63) - 8, rpcs=[], setup=FILE, label="beyond the largest offset"),
    ok("pread64", 3, OUT, 8, (1 << 63) - 9, returns=0, rpcs=["fs.read"], setup=FILE, label="largest offset"),
    fails("preadv", EINVAL, 99, Iov(OUT), 1, -1, 0, rpcs=[], label="negative offset"),
    fails("preadv2", EINVAL, 99, Iov(OUT), 1, -2, 0, 0, rpcs=[], label="negative offset"),
    fails("preadv2", ESPIPE, 3, Iov(OUT), 1, 0, 0, 0, rpcs=[], setup=_ready),
    fails("preadv2", EOPNOTSUPP, 3, Iov(OUT), 1, 0, 0, 1 << 30, rpcs=[], setup=FILE),
    fails("preadv2", EOPNOTSUPP, 3, Iov(OUT), 1, 0, 0, RWF_NOWAIT, rpcs=[], setup=FILE, label="RWF_NOWAIT"),
    *[fails(name, EINVAL, 3, Iov(OUT), count, *rest, rpcs=[], setup=FILE, label=f"{count} buffers")
      for name, rest in (("readv", ()), ("preadv", (0, 0)), ("preadv2", (0, 0, 0))) for count in (-1, 1025)],
    *[fails(name, EINVAL, 3, Iov((BAD, 1 << 63)), 1, *rest, rpcs=[], setup=FILE, label="negative length")
      for name, rest in (("readv", ()), ("preadv", (0, 0)), ("preadv2", (0, 0, 0)))],
    *[fails(name, EBADF, 3, BAD, 1, *rest, rpcs=[], setup=opens(("/file", O_WRONLY)), label="before the buffers")
      for name, rest in (("readv", ()), ("preadv", (0, 0)), ("preadv2", (0, 0, 0)))],
]  # fmt: skip


# -- waiting ---------------------------------------------------------------------------------------------------------


@proves("read", EINTR, rpcs=[])
@proves("readv", EINTR, rpcs=[])
@proves("preadv2", EINTR, rpcs=[])
def test_a_signal_ends_the_wait_for_data(guest: Guest) -> None:
    reader, _ = pipe(guest)
    guest.on_signal(SIGUSR1)
    other = guest.process()
    for name in STREAM:
        call = getattr(guest.start, name)(*WAYS[name](reader, Out(8), 8))
        assert call.blocked
        other.syscall.kill(guest.main.pid, SIGUSR1)
        assert call.errno == EINTR


@pytest.mark.parametrize("name", STREAM)
def test_the_wait_goes_on_after_a_handler_with_sa_restart(guest: Guest, name: str) -> None:
    reader, writer = pipe(guest)
    handler = guest.on_signal(SIGUSR1, flags=SA_RESTART)
    helper = guest.thread()
    call = getattr(guest.start, name)(*WAYS[name](reader, Out(8), 8))
    helper.syscall.tgkill(guest.main.pid, guest.main.tid, SIGUSR1)
    assert call.blocked
    assert handler.signals == [SIGUSR1]
    helper.syscall.write(writer, b"now", 3)
    assert call.result == 3


def test_a_reader_gets_what_comes_and_waits_no_longer(guest: Guest) -> None:
    reader, writer = pipe(guest)
    helper, out = guest.thread(), Out(8)
    call = guest.start.read(reader, out, 8)
    assert call.blocked
    helper.syscall.write(writer, b"abc", 3)
    assert call.result == 3
    assert out.value == b"abc" + bytes(5)


def test_the_last_writer_s_close_is_the_end(guest: Guest) -> None:
    reader, writer = pipe(guest)
    helper = guest.thread()
    call = guest.start.read(reader, Out(8), 8)
    helper.syscall.close(writer)
    assert call.result == 0


@pytest.mark.linuxemu(root="memfs")
def test_a_large_read_asks_in_pieces(guest: Guest) -> None:
    standard_tree(guest)
    guest.files.write("/large", bytes(600_000))
    fd = guest.syscall.open("/large", READ_ONLY)
    guest.rpc.clear()
    assert guest.syscall.read(fd, Out(600_000), 600_000) == 600_000
    assert [message.len for message in guest.rpc.log.to("fs") if isinstance(message, fs.Read)] == [
        262_144, 262_144, 75_712
    ]  # fmt: skip


@pytest.mark.linuxemu(root="memfs")
def test_what_was_read_is_returned_though_the_server_fails_then(guest: Guest) -> None:
    guest.files.write("/large", bytes(600_000))
    fd = guest.syscall.open("/large", READ_ONLY)
    guest.fs.expect(fs.Read, offset=0).reply(data=bytes(262_144))
    guest.fs.expect(fs.Read, offset=262_144).error(EIO)
    assert guest.syscall.read(fd, Out(600_000), 600_000) == 262_144


def test_the_descriptor_may_be_closed_by_another_thread_meanwhile(guest: Guest) -> None:
    reader, writer = pipe(guest)
    helper = guest.thread()
    call = guest.start.read(reader, Out(8), 8)
    helper.syscall.close(reader)
    helper.syscall.write(writer, b"late", 4)
    assert call.result == 4
