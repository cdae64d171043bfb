"""futex (man 2 futex)."""

from __future__ import annotations

from typing import Any

import pytest

from linuxemu.messages import clock
from linuxemu.testing import BAD, NULL, Call, Guest, InOut
from syscalls.abi.errno import EAGAIN, EFAULT, EINTR, EINVAL, EIO, ENOSYS, ETIMEDOUT
from syscalls.abi.flags import (
    CLOCK_MONOTONIC,
    CLOCK_REALTIME,
    FUTEX_BITSET_MATCH_ANY,
    FUTEX_CLOCK_REALTIME,
    FUTEX_CMP_REQUEUE,
    FUTEX_FD,
    FUTEX_LOCK_PI,
    FUTEX_OP_ADD,
    FUTEX_OP_ANDN,
    FUTEX_OP_CMP_EQ,
    FUTEX_OP_OR,
    FUTEX_OP_SET,
    FUTEX_OP_XOR,
    FUTEX_PRIVATE_FLAG,
    FUTEX_REQUEUE,
    FUTEX_WAIT,
    FUTEX_WAIT_BITSET,
    FUTEX_WAKE,
    FUTEX_WAKE_BITSET,
    FUTEX_WAKE_OP,
    MAP_ANONYMOUS,
    MAP_SHARED,
    PROT_READ,
    SA_RESTART,
    SIGUSR1,
)
from syscalls.abi.structs import Timespec
from tests.handlers.cases import SUCCESS, fails, ok, proves
from tests.handlers.interrupting import SECOND, Sender

WORD, WORD_2 = InOut((5).to_bytes(4, "little")), InOut((6).to_bytes(4, "little"))
ANY_BIT = FUTEX_BITSET_MATCH_ANY
WAIT_P, WAKE_P = FUTEX_WAIT | FUTEX_PRIVATE_FLAG, FUTEX_WAKE | FUTEX_PRIVATE_FLAG
WAIT_BITSET_P = FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG
REQUEUE_P, CMP_REQUEUE_P = FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG
WAKE_OP_P = FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG
MINUS_1 = 0xFFFF_FFFF
WAKE_ALL = 0x7FFF_FFFF
NO_TIME = Timespec(0, SECOND)


def operation(op: int, operand: int, compare: int = FUTEX_OP_CMP_EQ, against: int = 0) -> int:
    """The last argument of FUTEX_WAKE_OP."""
    return op << 28 | compare << 24 | (operand & 0xFFF) << 12 | against & 0xFFF


def _second_word_is(value: int) -> Any:
    def check(guest: Guest, call: Call) -> None:
        assert int.from_bytes(WORD_2.data or b"", "little") == value

    return check


def _waited(ns: int) -> Any:
    def check(guest: Guest, call: Call) -> None:
        assert guest.clock.now_ns == SECOND + ns

    return check


def _until(clock_id: int, ns: int) -> Any:
    """Arguments of a wait until a time that lies ahead."""
    flag = FUTEX_CLOCK_REALTIME if clock_id == CLOCK_REALTIME else 0

    def args(guest: Guest) -> tuple[object, ...]:
        now = guest.clock.realtime_ns if flag else guest.clock.now_ns
        return WORD, WAIT_BITSET_P | flag, 5, Timespec.from_ns(now + ns), NULL, ANY_BIT

    return args


def _until_beforehand(guest: Guest) -> tuple[object, ...]:
    return WORD, FUTEX_WAIT_BITSET, 5, Timespec(0, 1), NULL, ANY_BIT


def _read_only(op: int) -> Any:
    """Arguments of a call on a word of private memory that cannot change."""

    def args(guest: Guest) -> tuple[object, ...]:
        return guest.read_only((5).to_bytes(16, "little")), op, 1, NULL, NULL, ANY_BIT

    return args


def _read_only_shared(guest: Guest) -> tuple[object, ...]:
    return (
        guest.syscall.mmap(0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
        FUTEX_WAKE,
        1,
        NULL,
        NULL,
        0,
    )


def _to_read_only(op: int) -> Any:
    """Arguments of a call whose second word cannot change."""

    def args(guest: Guest) -> tuple[object, ...]:
        return WORD, op, 1, 1, guest.read_only((6).to_bytes(16, "little")), 5

    return args


CASES = [
    ok("futex", WORD, FUTEX_WAKE, 1, NULL, NULL, 0, returns=0, rpcs=[]),
    ok("futex", BAD, WAKE_P, 1, NULL, NULL, 0, returns=0, rpcs=[],
       unfaulted=("uaddr: waking in private memory does not look at it",), label="private, not mapped"),
    ok("futex", _read_only(WAKE_P), returns=0, rpcs=[], unfaulted=("uaddr: as above", "uaddr2: null"),
       label="private, read only"),
    ok("futex", _read_only_shared, returns=0, rpcs=[], unfaulted=("uaddr2: null",), label="shared, read only"),
    ok("futex", WORD, FUTEX_WAKE_BITSET, 1, NULL, NULL, 2, returns=0, rpcs=[], label="bits"),
    ok("futex", WORD, FUTEX_REQUEUE, 1, 1, WORD_2, 0, returns=0, rpcs=[], label="requeue"),
    ok("futex", WORD, FUTEX_CMP_REQUEUE, 1, 1, WORD_2, 5, returns=0, rpcs=[], label="requeue if it is so"),
    ok("futex", WORD, CMP_REQUEUE_P, 1, 1, BAD, 5, returns=0, rpcs=[],
       unfaulted=("uaddr2: moving to private memory does not look at it",), label="requeue to nowhere"),
    *(
        ok("futex", WORD, WAKE_OP_P, 1, 1, WORD_2, operation(op, operand), returns=0, rpcs=[],
           check=_second_word_is(value), label=label)
        for op, operand, value, label in (
            (FUTEX_OP_SET, 9, 9, "set"), (FUTEX_OP_ADD, -2, 4, "add"), (FUTEX_OP_OR, 9, 15, "or"),
            (FUTEX_OP_ANDN, 2, 4, "and not"), (FUTEX_OP_XOR, 3, 5, "xor"), (8 | FUTEX_OP_OR, 4, 22, "shifted"),
        )
    ),
    # -- waiting
    fails("futex", EAGAIN, WORD, FUTEX_WAIT, 4, NULL, NULL, 0, rpcs=[]),
    fails("futex", EAGAIN, WORD, WAIT_P, 4, Timespec(1, 0), NULL, 0, rpcs=[], check=_waited(0), label="at once"),
    fails("futex", EAGAIN, WORD, FUTEX_CMP_REQUEUE, 1, 1, WORD_2, 4, rpcs=[], label="requeue"),
    fails("futex", ETIMEDOUT, WORD, FUTEX_WAIT, 5, Timespec(1, 5), NULL, 0, rpcs=[], check=_waited(SECOND + 5)),
    fails("futex", ETIMEDOUT, _until(CLOCK_MONOTONIC, 7), rpcs=["clock.gettime"], check=_waited(7), label="until"),
    fails("futex", ETIMEDOUT, _until(CLOCK_REALTIME, 8), rpcs=["clock.gettime"], check=_waited(8), label="real time"),
    fails("futex", ETIMEDOUT, _until_beforehand, rpcs=["clock.gettime"], check=_waited(0), label="until a past time"),
    # -- what is refused
    fails("futex", EFAULT, BAD, FUTEX_WAIT, 5, NULL, NULL, 0, rpcs=[], label="word"),
    fails("futex", EFAULT, BAD, WAIT_P, 5, NULL, NULL, 0, rpcs=[], label="private word"),
    fails("futex", EFAULT, BAD, FUTEX_WAKE, 1, NULL, NULL, 0, rpcs=[], label="waking"),
    fails("futex", EFAULT, _read_only(FUTEX_WAKE), rpcs=[], label="waking where nothing changes"),
    fails("futex", EFAULT, _read_only(FUTEX_WAIT), rpcs=[], label="waiting where nothing changes"),
    fails("futex", EAGAIN, _read_only(WAIT_P), rpcs=[], label="private, read only"),
    fails("futex", EFAULT, 1 << 63, WAKE_P, 1, NULL, NULL, 0, rpcs=[], label="beyond user memory"),
    fails("futex", EFAULT, BAD, CMP_REQUEUE_P, 1, 1, WORD_2, 5, rpcs=[], label="compared"),
    fails("futex", EFAULT, WORD, FUTEX_REQUEUE, 1, 1, BAD, 0, rpcs=[], label="second word"),
    fails("futex", EFAULT, _to_read_only(FUTEX_REQUEUE), rpcs=[], label="requeue to where nothing changes"),
    ok("futex", _to_read_only(REQUEUE_P), returns=0, rpcs=[], unfaulted=("uaddr: private", "uaddr2: private"),
       label="private requeue"),
    fails("futex", EFAULT, WORD, WAKE_OP_P, 1, 1, BAD, 0, rpcs=[], label="operand"),
    fails("futex", EFAULT, _to_read_only(WAKE_OP_P), rpcs=[], label="operand, read only"),
    fails("futex", EFAULT, BAD, FUTEX_WAIT, 5, BAD, NULL, 0, rpcs=[], label="timeout"),
    fails("futex", EFAULT, 1, FUTEX_WAIT_BITSET, 5, BAD, NULL, 0, rpcs=[], label="the timeout first"),
    fails("futex", EINVAL, 1, WAIT_P, 5, NULL, NULL, 0, rpcs=[], label="not aligned"),
    fails("futex", EINVAL, 1, FUTEX_WAKE, 1, NULL, NULL, 0, rpcs=[], label="waking, not aligned"),
    fails("futex", EINVAL, WORD, REQUEUE_P, 1, 1, 2, 0, rpcs=[], label="second word not aligned"),
    fails("futex", EINVAL, WORD, FUTEX_WAIT, 5, NO_TIME, NULL, 0, rpcs=[], label="no time"),
    fails("futex", EINVAL, WORD, FUTEX_WAIT_BITSET, 5, Timespec(-1, 0), NULL, 1, rpcs=[], label="negative time"),
    fails("futex", EINVAL, BAD, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0, rpcs=[], label="no bits to wait for"),
    fails("futex", EINVAL, BAD, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0, rpcs=[], label="no bits to wake"),
    fails("futex", EINVAL, BAD, FUTEX_REQUEUE, MINUS_1, 1, BAD, 0, rpcs=[], label="fewer than none woken"),
    fails("futex", EINVAL, BAD, FUTEX_CMP_REQUEUE, 1, MINUS_1, BAD, 0, rpcs=[], label="fewer than none moved"),
    fails("futex", ENOSYS, BAD, FUTEX_FD, 0, NULL, NULL, 0, rpcs=[], label="descriptor"),
    fails("futex", ENOSYS, WORD, FUTEX_LOCK_PI, 0, NULL, NULL, 0, rpcs=[], label="priority inheritance"),
    fails("futex", ENOSYS, WORD, WAIT_P | FUTEX_CLOCK_REALTIME, 5, Timespec(1, 0), NULL, 0, rpcs=[], label="clock"),
    fails("futex", EFAULT, WORD, WAIT_P | FUTEX_CLOCK_REALTIME, 5, BAD, NULL, 0, rpcs=[], label="timeout and clock"),
    fails("futex", ENOSYS, WORD, WAKE_OP_P, 1, 1, BAD, operation(7, 1), rpcs=[], label="unknown operation"),
    fails("futex", ENOSYS, WORD, WAKE_OP_P, 1, 1, WORD_2, operation(FUTEX_OP_ADD, 1, 9), rpcs=[],
          check=_second_word_is(7), label="unknown comparison, after the operation"),
]  # fmt: skip


def _word(guest: Guest, value: int = 5) -> int:
    return guest.put(value.to_bytes(4, "little"))


def _unsupported(guest: Guest) -> list[str]:
    return [item.what for item in guest.unsupported]


def test_what_is_not_supported_is_said_to_be_missing(guest: Guest) -> None:
    assert guest.start.futex(WORD, FUTEX_LOCK_PI, 0, NULL, NULL, 0).errno == ENOSYS
    assert _unsupported(guest) == ["futex: operation 6"]


@proves("futex", SUCCESS, rpcs=[])
def test_a_wait_ends_when_another_thread_wakes(guest: Guest) -> None:
    at, other = _word(guest), guest.thread()
    call = guest.start.futex(at, WAIT_P, 5, NULL, NULL, 0)
    assert call.blocked
    assert other.syscall.futex(at, FUTEX_WAKE, 1, NULL, NULL, 0) == 0
    assert call.blocked
    assert other.syscall.futex(at, WAKE_P, 1, NULL, NULL, 0) == 1
    assert call.result == 0


def test_waking_counts_and_bits_choose(guest: Guest) -> None:
    at, others = _word(guest), [guest.thread() for _ in range(3)]
    calls = [
        thread.start.futex(at, FUTEX_WAIT_BITSET, 5, NULL, NULL, bits)
        for bits, thread in enumerate(others, 1)
    ]
    assert guest.syscall.futex(at, FUTEX_WAKE_BITSET, WAKE_ALL, NULL, NULL, 2) == 2
    assert [call.blocked for call in calls] == [True, False, False]
    assert guest.syscall.futex(at, FUTEX_WAKE, WAKE_ALL, NULL, NULL, 0) == 1


def test_requeued_waiters_wait_for_the_other_word(guest: Guest) -> None:
    at, to, others = _word(guest), _word(guest, 6), [guest.thread() for _ in range(3)]
    calls = [thread.start.futex(at, WAIT_P, 5, NULL, NULL, 0) for thread in others]
    assert guest.syscall.futex(at, CMP_REQUEUE_P, 1, 1, to, 5) == 2
    assert [call.blocked for call in calls] == [False, True, True]
    assert guest.syscall.futex(to, WAKE_P, WAKE_ALL, NULL, NULL, 0) == 1
    assert [call.blocked for call in calls] == [False, False, True]


def test_wake_op_wakes_at_the_second_word_if_the_old_value_compares(guest: Guest) -> None:
    at, to, others = _word(guest), _word(guest, 6), [guest.thread() for _ in range(2)]
    first = others[0].start.futex(at, WAIT_P, 5, NULL, NULL, 0)
    second = others[1].start.futex(to, WAIT_P, 6, NULL, NULL, 0)
    assert guest.syscall.futex(at, WAKE_OP_P, 1, 1, to, operation(FUTEX_OP_ADD, 1, against=1)) == 1
    assert (first.done, second.blocked) == (True, True)
    assert guest.syscall.futex(at, WAKE_OP_P, 1, 1, to, operation(FUTEX_OP_SET, 1, against=7)) == 1
    assert second.result == 0
    assert guest.read(to, 4) == b"\1\0\0\0"


# -- signals --------------------------------------------------------------------------------------------------------


@proves("futex", EINTR, rpcs=[])
def test_a_handler_ends_a_wait(guest: Guest) -> None:
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1)
    call = guest.start.futex(WORD, FUTEX_WAIT, 5, NULL, NULL, 0)
    sender.send()
    assert (call.errno, handler.signals) == (EINTR, [SIGUSR1])


@proves("futex", SUCCESS, rpcs=[])
def test_a_handler_with_sa_restart_lets_a_wait_begin_again(guest: Guest) -> None:
    at, other = _word(guest), guest.thread()
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1, flags=SA_RESTART)
    call = guest.start.futex(at, FUTEX_WAIT, 5, NULL, NULL, 0)
    sender.send()
    assert (call.blocked, handler.signals) == (True, [SIGUSR1])
    assert other.syscall.futex(at, FUTEX_WAKE, 1, NULL, NULL, 0) == 1
    assert call.result == 0


@pytest.mark.parametrize("op", [FUTEX_WAIT, FUTEX_WAIT_BITSET])
@proves("futex", EINTR)
def test_a_wait_with_a_timeout_does_not_begin_again(guest: Guest, op: int) -> None:
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1, flags=SA_RESTART)
    call = guest.start.futex(WORD, op, 5, Timespec(9, 0), NULL, ANY_BIT)
    sender.send()
    assert (call.errno, handler.signals) == (EINTR, [SIGUSR1])


@pytest.mark.parametrize(("op", "end"), [(FUTEX_WAIT, 10), (FUTEX_WAIT_BITSET, 9)])
def test_without_a_handler_a_wait_goes_on_to_its_end(guest: Guest, op: int, end: int) -> None:
    sender = Sender(guest)
    call = guest.start.futex(WORD, op, 5, Timespec(9, 0), NULL, ANY_BIT)
    guest.clock.advance(s=3)
    sender.stop_and_continue()
    assert call.blocked
    assert (guest.complete(call).errno, guest.clock.now_ns) == (ETIMEDOUT, end * SECOND)


@proves("futex", EIO, rpcs=["clock.gettime"])
def test_the_clock_cannot_be_read(guest: Guest) -> None:
    guest.time.expect(clock.Gettime(CLOCK_REALTIME)).error(EIO)
    call = guest.start.futex(WORD, WAIT_BITSET_P | FUTEX_CLOCK_REALTIME, 5, Timespec(9, 0), NULL, ANY_BIT)
    assert call.errno == EIO
