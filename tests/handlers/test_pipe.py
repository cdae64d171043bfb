"""pipe, pipe2 (man 2 pipe)."""

from __future__ import annotations

from collections.abc import Callable

from linuxemu.testing import BAD, Call, Guest
from syscalls.abi.errno import EFAULT, EINVAL, EMFILE
from syscalls.abi.flags import (
    F_GETFD,
    F_GETFL,
    FD_CLOEXEC,
    O_CLOEXEC,
    O_DIRECT,
    O_EXCL,
    O_NONBLOCK,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    RLIMIT_NOFILE,
)
from syscalls.abi.structs import Rlimit
from tests.handlers.cases import SUCCESS, Edge, Out, fails, ok, pipe, proves

ENDS = Out("<ii", b"\xff")


def _limit(soft: int) -> Callable[[Guest], None]:
    def setup(guest: Guest) -> None:
        guest.syscall.setrlimit(RLIMIT_NOFILE, Rlimit(soft, soft))

    return setup


def _ends(reader: int, writer: int, flags: int = 0) -> Callable[[Guest, Call], None]:
    """What the two descriptors are."""

    def check(guest: Guest, call: Call) -> None:
        assert ENDS.value == (3, 4)
        fcntl = guest.syscall.fcntl
        assert [fcntl(fd, F_GETFL) for fd in (3, 4)] == [reader, writer]
        assert [fcntl(fd, F_GETFD) for fd in (3, 4)] == [flags, flags]

    return check


def _three_is_free(guest: Guest, call: Call) -> None:
    assert guest.syscall.dup(0) == 3


CASES = [
    ok("pipe", ENDS, returns=0, rpcs=[], check=_ends(O_RDONLY, O_WRONLY)),
    ok("pipe", Edge(ENDS), returns=0, rpcs=[], label="at the end of memory"),
    fails("pipe", EFAULT, BAD, rpcs=[], check=_three_is_free, label="leaves nothing open"),
    fails("pipe", EFAULT, lambda guest: (guest.read_only(),), rpcs=[], label="memory that is read only"),
    fails("pipe", EMFILE, ENDS, setup=_limit(3), rpcs=[]),
    fails("pipe", EMFILE, BAD, setup=_limit(4), rpcs=[], check=_three_is_free, label="for the second one"),

    ok("pipe2", ENDS, 0, returns=0, rpcs=[], check=_ends(O_RDONLY, O_WRONLY)),
    ok("pipe2", ENDS, O_CLOEXEC, returns=0, rpcs=[], check=_ends(O_RDONLY, O_WRONLY, FD_CLOEXEC),
       label="closed by an exec"),
    ok("pipe2", ENDS, O_NONBLOCK | O_DIRECT, returns=0, rpcs=[],
       check=_ends(O_RDONLY | O_NONBLOCK, O_WRONLY | O_NONBLOCK | O_DIRECT), label="packets are the writer's business"),
    fails("pipe2", EINVAL, BAD, O_RDWR, rpcs=[]),
    fails("pipe2", EFAULT, BAD, O_CLOEXEC, rpcs=[], check=_three_is_free, label="leaves nothing open"),
    fails("pipe2", EMFILE, BAD, 0, setup=_limit(4), rpcs=[], check=_three_is_free, label="for the second one"),
]  # fmt: skip


@proves("pipe2", EINVAL, rpcs=[])
def test_watching_the_kernel_through_a_pipe_is_not_supported(guest: Guest) -> None:
    assert guest.start.pipe2(ENDS, O_EXCL).errno == EINVAL
    assert [unsupported.what for unsupported in guest.unsupported] == ["pipe2: O_NOTIFICATION_PIPE"]


@proves("pipe2", SUCCESS, rpcs=[])
def test_what_is_written_is_read_until_the_writer_is_gone(guest: Guest) -> None:
    reader, writer = pipe(guest)
    got = Out(16)
    reading = guest.thread().start.read(reader, got, 16)
    assert reading.blocked
    guest.syscall.write(writer, b"hello", 5)
    assert reading.finish() == 5
    assert got.data == b"hello" + bytes(11)
    guest.syscall.close(writer)
    assert guest.syscall.read(reader, got, 16) == 0


@proves("pipe2", SUCCESS, rpcs=[])
def test_packets_stay_apart(guest: Guest) -> None:
    reader, writer = pipe(guest, O_DIRECT)
    got = Out(16)
    guest.syscall.write(writer, b"one", 3)
    guest.syscall.write(writer, b"four", 4)
    assert guest.syscall.read(reader, got, 16) == 3
    assert guest.syscall.read(reader, got, 2) == 2
    guest.syscall.close(writer)
    assert guest.syscall.read(reader, got, 16) == 0, "the rest of a packet is lost"
