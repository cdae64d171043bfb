"""select and pselect6 (man 2 select)."""

from __future__ import annotations

from typing import Any

import pytest

from linuxemu.messages import console
from linuxemu.testing import BAD, NULL, Call, Guest, InOut
from syscalls.abi.errno import EBADF, EFAULT, EINTR, EINVAL, EIO
from syscalls.abi.flags import O_PATH, SA_RESTART, SIG_BLOCK, SIGUSR1
from syscalls.abi.structs import SigsetArg, Timespec, Timeval
from tests.handlers.cases import SUCCESS, fails, ok, open_file, pipe, proves
from tests.handlers.interrupting import SECOND, Sender

READER, WRITER = 3, 4


def fds(*numbers: int) -> InOut:
    """A set of 64 descriptors."""
    return InOut(sum(1 << fd for fd in numbers).to_bytes(8, "little"))


BOTH, BOTH_2, BOTH_3, INPUT, OUTPUT, CLOSED = fds(3, 4), fds(3, 4), fds(3, 4), fds(0), fds(1), fds(50)
LEFT, LEFT_SPEC = InOut(Timeval(5, 0)), InOut(Timespec(5, 0))
LOOK, LOOK_SPEC = Timeval(0, 0), Timespec(0, 0)
MASK = (1 << SIGUSR1 - 1).to_bytes(8, "little")


def _full(guest: Guest) -> None:
    _, writer = pipe(guest)
    guest.syscall.write(writer, b"data", 4)


def _path(guest: Guest) -> None:
    open_file(guest, flags=O_PATH)


def _show(*expected: tuple[InOut, int]) -> Any:
    def check(guest: Guest, call: Call) -> None:
        assert [int.from_bytes(given.data or b"", "little") for given, _ in expected] == [
            bits for _, bits in expected
        ]

    return check


def _waited(ns: int, left: Any = None) -> Any:
    def check(guest: Guest, call: Call) -> None:
        assert guest.clock.now_ns == SECOND + ns
        assert left is None or left.data == bytes(16)

    return check


def _masked(guest: Guest) -> tuple[object, ...]:
    return 5, BOTH, BOTH_2, BOTH_3, LEFT_SPEC, SigsetArg(guest.put(MASK), 8)


def _read_only_set(guest: Guest) -> tuple[object, ...]:
    return 5, guest.read_only(BOTH.initial()), NULL, NULL, LOOK


def _read_only_set_of_pselect(guest: Guest) -> tuple[object, ...]:
    return 5, guest.read_only(BOTH.initial()), NULL, NULL, LOOK_SPEC, NULL


READY = _show((BOTH, 1 << READER), (BOTH_2, 1 << WRITER), (BOTH_3, 0))
CASES = [
    ok("select", 5, BOTH, BOTH_2, BOTH_3, LEFT, returns=2, rpcs=[], setup=_full, check=READY),
    ok("select", 4, BOTH, BOTH_2, BOTH_3, LEFT, returns=1, rpcs=[], setup=_full,
       check=_show((BOTH, 1 << READER), (BOTH_2, 0)), label="numbers below nfds alone"),
    ok("select", 5, BOTH, NULL, NULL, LOOK, returns=0, rpcs=[], setup=pipe, check=_show((BOTH, 0)), label="look"),
    ok("select", 5, BOTH, NULL, NULL, LEFT, returns=0, rpcs=[], setup=pipe, check=_waited(5 * SECOND, LEFT),
       label="timeout"),
    ok("select", 0, NULL, NULL, NULL, Timeval(1, 500_000), returns=0, rpcs=[], check=_waited(1_500_000_000),
       label="no files"),
    ok("select", 0, NULL, NULL, NULL, Timeval(0, 1_500_000), returns=0, rpcs=[], check=_waited(1_500_000_000),
       label="more than a second of microseconds"),
    ok("select", 0, NULL, NULL, NULL, Timeval(1, -1_000_000), returns=0, rpcs=[], check=_waited(0),
       label="a second less"),
    ok("select", 0, NULL, NULL, NULL, Timeval(-1, 1_000_000), returns=0, rpcs=[], check=_waited(0),
       label="a second more"),
    ok("select", 2, NULL, OUTPUT, NULL, NULL, returns=1, rpcs=["console.poll"], check=_show((OUTPUT, 2)),
       label="console output"),
    fails("select", EINVAL, -1, BAD, NULL, NULL, NULL, rpcs=[]),
    fails("select", EINVAL, 5, BAD, NULL, NULL, Timeval(-1, 0), rpcs=[], label="negative time"),
    fails("select", EINVAL, 5, BAD, NULL, NULL, Timeval(1, -1), rpcs=[], label="no time"),
    fails("select", EFAULT, -1, NULL, NULL, NULL, BAD, rpcs=[], label="the timeout first"),
    fails("select", EBADF, 64, CLOSED, NULL, NULL, NULL, rpcs=[], check=_show((CLOSED, 1 << 50))),
    ok("select", 4, BOTH, BOTH_2, BOTH_3, NULL, setup=_path, returns=3, rpcs=[],
       check=_show((BOTH, 8), (BOTH_2, 8), (BOTH_3, 8)), label="O_PATH"),
    fails("select", EFAULT, _read_only_set, setup=pipe, rpcs=[], label="nothing can be reported"),
    ok("pselect6", _masked, returns=2, rpcs=[], setup=_full, check=READY),
    ok("pselect6", 5, BOTH, NULL, NULL, NULL, NULL, returns=1, rpcs=[], setup=_full, label="for ever"),
    ok("pselect6", 5, BOTH, NULL, NULL, LEFT_SPEC, NULL, returns=0, rpcs=[], setup=pipe,
       check=_waited(5 * SECOND, LEFT_SPEC), label="timeout"),
    ok("pselect6", 0, NULL, NULL, NULL, LOOK_SPEC, SigsetArg(NULL, 7), returns=0, rpcs=[], label="no mask, any size"),
    ok("pselect6", 2, NULL, OUTPUT, NULL, NULL, NULL, returns=1, rpcs=["console.poll"], label="console output"),
    fails("pselect6", EINVAL, -1, BAD, NULL, NULL, NULL, NULL, rpcs=[]),
    fails("pselect6", EINVAL, 5, BAD, NULL, NULL, Timespec(0, SECOND), NULL, rpcs=[], label="no time"),
    fails("pselect6", EINVAL, 5, BAD, NULL, NULL, NULL, SigsetArg(BAD, 7), rpcs=[], label="size of the mask"),
    fails("pselect6", EFAULT, 5, NULL, NULL, NULL, NULL, SigsetArg(BAD, 8), rpcs=[], label="the mask itself"),
    fails("pselect6", EFAULT, 5, NULL, NULL, NULL, Timespec(-1, 0), BAD, rpcs=[], label="the mask first"),
    fails("pselect6", EBADF, 64, CLOSED, NULL, NULL, NULL, NULL, rpcs=[]),
    fails("pselect6", EFAULT, _read_only_set_of_pselect, setup=pipe, rpcs=[], label="nothing can be reported"),
]  # fmt: skip


@proves("select", SUCCESS, rpcs=[])
def test_data_ends_a_select(guest: Guest) -> None:
    _, writer = pipe(guest)
    other = guest.thread()
    call = guest.start.select(5, BOTH, NULL, NULL, NULL)
    assert call.blocked
    other.syscall.write(writer, b"x", 1)
    assert (call.result, BOTH.data) == (1, b"\x08".ljust(8, b"\0"))


@proves("select", EIO, rpcs=["console.poll"])
@proves("pselect6", EIO, rpcs=["console.poll"])
def test_the_console_server_fails(guest: Guest) -> None:
    guest.console.expect(console.Poll).times(2).error(EIO)
    assert guest.start.select(1, INPUT, NULL, NULL, NULL).errno == EIO
    assert guest.start.pselect6(1, INPUT, NULL, NULL, NULL, NULL).errno == EIO


@pytest.mark.parametrize("flags", [0, SA_RESTART])
@proves("select", EINTR, rpcs=[])
def test_a_handler_ends_a_select_and_leaves_the_sets(guest: Guest, flags: int) -> None:
    pipe(guest)
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1, flags=flags)
    call = guest.start.select(4, BOTH, NULL, NULL, LEFT)
    guest.clock.advance(s=2)
    sender.send()
    assert (call.errno, LEFT.value, handler.signals) == (EINTR, Timeval(3, 0), [SIGUSR1])
    assert BOTH.data == BOTH.initial()


@proves("select", SUCCESS, rpcs=[])
def test_without_a_handler_a_select_begins_again_with_the_time_left(guest: Guest) -> None:
    sender = Sender(guest)
    call = guest.start.select(0, NULL, NULL, NULL, LEFT)
    guest.clock.advance(s=2)
    sender.stop_and_continue()
    assert (call.finish(), guest.clock.now_ns) == (0, 6 * SECOND)


@pytest.mark.parametrize("flags", [0, SA_RESTART])
@proves("pselect6", EINTR, rpcs=[])
def test_a_handler_ends_a_pselect_and_the_time_left_is_told(guest: Guest, flags: int) -> None:
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1, flags=flags)
    call = guest.start.pselect6(0, NULL, NULL, NULL, LEFT_SPEC, NULL)
    guest.clock.advance(s=2)
    sender.send()
    assert (call.errno, LEFT_SPEC.value, handler.signals) == (EINTR, Timespec(3, 0), [SIGUSR1])


@proves("pselect6", EINTR, rpcs=[])
def test_a_pending_signal_ends_even_a_look_if_the_mask_lets_it(guest: Guest) -> None:
    handler = guest.on_signal(SIGUSR1)
    guest.syscall.rt_sigprocmask(SIG_BLOCK, MASK, NULL, 8)
    guest.syscall.kill(guest.main.pid, SIGUSR1)
    for mask, signals in ((MASK, []), (bytes(8), [SIGUSR1])):
        call = guest.start.pselect6(0, NULL, NULL, NULL, LOOK_SPEC, SigsetArg(guest.put(mask), 8))
        assert (call.errno, handler.signals) == (EINTR if signals else 0, signals)


@proves("pselect6", SUCCESS, rpcs=[])
def test_without_a_handler_a_pselect_begins_again_with_the_time_left(guest: Guest) -> None:
    sender = Sender(guest)
    call = guest.start.pselect6(0, NULL, NULL, NULL, LEFT_SPEC, NULL)
    guest.clock.advance(s=2)
    sender.stop_and_continue()
    assert (call.finish(), guest.clock.now_ns) == (0, 6 * SECOND)
