"""poll and ppoll (man 2 poll)."""

from __future__ import annotations

from struct import iter_unpack, pack

import pytest

from linuxemu.messages import console
from linuxemu.testing import BAD, NULL, Call, Guest, InOut
from syscalls.abi.errno import EFAULT, EINTR, EINVAL, EIO
from syscalls.abi.flags import (
    O_PATH,
    POLLHUP,
    POLLIN,
    POLLNVAL,
    POLLOUT,
    POLLPRI,
    RLIMIT_NOFILE,
    SA_RESTART,
    SIG_BLOCK,
    SIGUSR1,
)
from syscalls.abi.structs import Rlimit, Timespec
from tests.handlers.cases import SUCCESS, fails, ok, open_file, pipe, proves
from tests.handlers.interrupting import SECOND, Sender


def pollfds(*entries: tuple[int, int]) -> bytes:
    """An array of pollfd with something in revents."""
    return b"".join(pack("<ihH", fd, events, 0x7777) for fd, events in entries)


READER, WRITER = 3, 4
ENDS = InOut(pollfds((READER, POLLIN), (-1, POLLIN), (WRITER, POLLOUT | POLLPRI)))
ONE = InOut(pollfds((READER, POLLIN)))
CLOSED = InOut(pollfds((99, POLLIN), (READER, POLLIN)))
INPUT, OUTPUT = InOut(pollfds((0, POLLIN | POLLOUT))), InOut(pollfds((1, POLLOUT)))
LEFT = InOut(Timespec(5, 0))
MASK = (1 << SIGUSR1 - 1).to_bytes(8, "little")
NO_MASK = bytes(8)
LOOK, WAIT_5_S = Timespec(0, 0), Timespec(5, 0)


def _full(guest: Guest) -> None:
    _, writer = pipe(guest)
    guest.syscall.write(writer, b"data", 4)


def _hung_up(guest: Guest) -> None:
    _, writer = pipe(guest)
    guest.syscall.close(writer)


def _few_descriptors(guest: Guest) -> None:
    pipe(guest)
    guest.syscall.setrlimit(RLIMIT_NOFILE, Rlimit(2, 2))


def _path(guest: Guest) -> None:
    open_file(guest, flags=O_PATH)


def _show(fds: InOut, *expected: int) -> object:
    def check(guest: Guest, call: Call) -> None:
        assert [revents for _, _, revents in iter_unpack("<ihH", fds.data or b"")] == list(expected)
        assert fds.data is not None
        entries = [(fd, events) for fd, events, _ in iter_unpack("<ihH", fds.data)]
        assert entries == [(fd, events) for fd, events, _ in iter_unpack("<ihH", fds.initial())]

    return check


def _waited(ns: int, fds: InOut = ONE) -> object:
    def check(guest: Guest, call: Call) -> None:
        assert guest.clock.now_ns == SECOND + ns
        assert fds not in call.outs or (fds.data or b"")[6:] == b"\0\0"

    return check


def _left(seconds: int) -> object:
    def check(guest: Guest, call: Call) -> None:
        assert LEFT.value == Timespec(seconds, 0)

    return check


def _read_only_fds(guest: Guest) -> tuple[object, ...]:
    return guest.read_only(pollfds((READER, POLLIN))), 1, 0


def _read_only_fds_of_ppoll(guest: Guest) -> tuple[object, ...]:
    return guest.read_only(pollfds((READER, POLLIN))), 1, LOOK, NULL, 0


def _read_only_timeout(guest: Guest) -> tuple[object, ...]:
    return ONE, 1, guest.read_only(WAIT_5_S), NULL, 0


CASES = [
    ok("poll", ENDS, 3, -1, returns=2, rpcs=[], setup=_full, check=_show(ENDS, POLLIN, 0, POLLOUT)),
    ok("poll", ONE, 1, -1, returns=1, rpcs=[], setup=_hung_up, check=_show(ONE, POLLHUP), label="what was not asked"),
    ok("poll", CLOSED, 2, -1, returns=1, rpcs=[], setup=pipe, check=_show(CLOSED, POLLNVAL, 0), label="closed"),
    ok("poll", ONE, 1, -1, returns=1, rpcs=[], setup=_path, check=_show(ONE, POLLNVAL), label="O_PATH"),
    ok("poll", ONE, 1, 0, returns=0, rpcs=[], setup=pipe, check=_waited(0), label="look"),
    ok("poll", ONE, 1, 1500, returns=0, rpcs=[], setup=pipe, check=_waited(1_500_000_000), label="timeout"),
    ok("poll", NULL, 0, 7, returns=0, rpcs=[], check=_waited(7_000_000), label="no files"),
    ok("poll", INPUT, 1, 0, returns=1, rpcs=["console.poll"], check=_show(INPUT, POLLHUP), label="console input"),
    ok("poll", OUTPUT, 1, 0, returns=1, rpcs=["console.poll"], check=_show(OUTPUT, POLLOUT), label="console output"),
    fails("poll", EINVAL, BAD, 0xFFFF_FFFF, 0, rpcs=[]),
    fails("poll", EINVAL, ENDS, 3, 0, setup=_few_descriptors, rpcs=[], label="more than may be open"),
    fails("poll", EFAULT, _read_only_fds, setup=pipe, rpcs=[], label="nothing can be reported"),
    ok("ppoll", ENDS, 3, LEFT, MASK, 8, returns=2, rpcs=[], setup=_full, check=_show(ENDS, POLLIN, 0, POLLOUT)),
    ok("ppoll", ONE, 1, NULL, NULL, 0, returns=1, rpcs=[], setup=_hung_up, check=_show(ONE, POLLHUP),
       label="for ever"),
    ok("ppoll", ONE, 1, LOOK, NULL, 0, returns=0, rpcs=[], setup=pipe, check=_waited(0), label="look"),
    ok("ppoll", ONE, 1, LEFT, NULL, 0, returns=0, rpcs=[], setup=pipe, check=_left(0), label="timeout"),
    ok("ppoll", ENDS, 3, LEFT, NULL, 0, returns=2, rpcs=[], setup=_full, check=_left(5), label="the time left"),
    ok("ppoll", _read_only_timeout, returns=0, rpcs=[], setup=pipe, check=_waited(5 * SECOND),
       unfaulted=("sigmask: null here",), label="the time left cannot be told"),
    ok("ppoll", OUTPUT, 1, LOOK, NULL, 0, returns=1, rpcs=["console.poll"], label="console output"),
    fails("ppoll", EINVAL, ONE, 1, Timespec(0, SECOND), NULL, 0, setup=pipe, rpcs=[], label="no time"),
    fails("ppoll", EINVAL, ONE, 1, Timespec(-1, 0), BAD, 8, setup=pipe, rpcs=[], label="negative time"),
    fails("ppoll", EFAULT, BAD, 0xFFFF_FFFF, BAD, NULL, 7, rpcs=[], label="the timeout first"),
    fails("ppoll", EINVAL, ONE, 1, LOOK, BAD, 7, setup=pipe, rpcs=[], label="size of the mask"),
    fails("ppoll", EINVAL, BAD, 0xFFFF_FFFF, LOOK, NULL, 7, rpcs=[]),
    fails("ppoll", EFAULT, _read_only_fds_of_ppoll, setup=pipe, rpcs=[], label="nothing can be reported"),
]  # fmt: skip


@proves("poll", SUCCESS, rpcs=[])
def test_data_ends_a_poll(guest: Guest) -> None:
    _, writer = pipe(guest)
    other = guest.thread()
    call = guest.start.poll(ONE, 1, -1)
    assert call.blocked
    other.syscall.write(writer, b"x", 1)
    assert (call.result, ONE.data) == (1, pack("<ihH", READER, POLLIN, POLLIN))


@proves("poll", SUCCESS)
def test_the_console_ends_a_poll(guest: Guest) -> None:
    guest.console.expect(console.Poll(0, POLLIN | POLLHUP | 8)).reply(revents=0)
    guest.console.expect(console.Watch(0, POLLIN)).reply()
    fds = InOut(pollfds((0, POLLIN)))
    call = guest.start.poll(fds, 1, -1)
    assert call.blocked
    assert guest.rpc.log.names() == ["console.poll", "console.watch"]
    guest.console.post(console.Ready(0, POLLIN))
    guest.settle()
    assert (call.result, fds.data) == (1, pack("<ihH", 0, POLLIN, POLLIN))


@proves("poll", EIO, rpcs=["console.poll"])
@proves("ppoll", EIO, rpcs=["console.poll"])
def test_the_console_server_fails(guest: Guest) -> None:
    guest.console.expect(console.Poll).times(2).error(EIO)
    assert guest.start.poll(INPUT, 1, -1).errno == EIO
    assert guest.start.ppoll(INPUT, 1, NULL, NULL, 0).errno == EIO


@pytest.mark.parametrize("flags", [0, SA_RESTART])
@proves("poll", EINTR, rpcs=[])
def test_a_handler_ends_a_poll_and_nothing_is_ready(guest: Guest, flags: int) -> None:
    pipe(guest)
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1, flags=flags)
    call = guest.start.poll(ONE, 1, -1)
    sender.send()
    assert (call.errno, ONE.data, handler.signals) == (EINTR, pack("<ihH", READER, POLLIN, 0), [SIGUSR1])


@proves("poll", EFAULT, rpcs=[])
def test_a_poll_that_cannot_report_does_not_end_with_eintr(guest: Guest) -> None:
    pipe(guest)
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1)
    call = guest.start.poll(guest.read_only(pollfds((READER, POLLIN))), 1, -1)
    sender.send()
    assert (call.errno, handler.signals) == (EFAULT, [SIGUSR1])


def test_without_a_handler_a_poll_goes_on_to_its_end(guest: Guest) -> None:
    pipe(guest)
    sender = Sender(guest)
    call = guest.start.poll(ONE, 1, 5000)
    guest.clock.advance(s=2)
    sender.stop_and_continue()
    assert call.blocked
    assert (call.finish(), guest.clock.now_ns) == (0, 6 * SECOND)


@pytest.mark.parametrize("flags", [0, SA_RESTART])
@proves("ppoll", EINTR, rpcs=[])
def test_a_handler_ends_a_ppoll_and_the_time_left_is_told(guest: Guest, flags: int) -> None:
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1, flags=flags)
    call = guest.start.ppoll(NULL, 0, LEFT, NULL, 0)
    guest.clock.advance(s=2)
    sender.send()
    assert (call.errno, LEFT.value, handler.signals) == (EINTR, Timespec(3, 0), [SIGUSR1])


@proves("ppoll", EINTR, rpcs=[])
def test_a_pending_signal_ends_even_a_look_if_the_mask_lets_it(guest: Guest) -> None:
    handler = guest.on_signal(SIGUSR1)
    guest.syscall.rt_sigprocmask(SIG_BLOCK, MASK, NULL, 8)
    guest.syscall.kill(guest.main.pid, SIGUSR1)
    assert guest.syscall.ppoll(NULL, 0, LOOK, MASK, 8) == 0
    assert handler.signals == []
    assert guest.start.ppoll(NULL, 0, LOOK, NO_MASK, 8).errno == EINTR
    assert handler.signals == [SIGUSR1]


@proves("ppoll", SUCCESS, rpcs=[])
def test_without_a_handler_a_ppoll_begins_again_with_the_time_left(guest: Guest) -> None:
    sender = Sender(guest)
    call = guest.start.ppoll(NULL, 0, LEFT, NULL, 0)
    guest.clock.advance(s=2)
    sender.stop_and_continue()
    assert (call.finish(), guest.clock.now_ns) == (0, 6 * SECOND)


@proves("ppoll", EINTR, rpcs=[])
def test_a_ppoll_whose_time_left_cannot_be_told_does_not_begin_again(guest: Guest) -> None:
    sender = Sender(guest)
    call = guest.start.ppoll(NULL, 0, guest.read_only(WAIT_5_S), NULL, 0)
    sender.stop_and_continue()
    assert call.errno == EINTR
