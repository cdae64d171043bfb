"""siginfo layouts, queues of pending signals, action tables."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from syscalls.abi.flags import (
    CLD_EXITED,
    SEGV_MAPERR,
    SI_KERNEL,
    SI_QUEUE,
    SI_SIGIO,
    SI_TIMER,
    SI_TKILL,
    SI_USER,
    SIG_IGN,
    SIGALRM,
    SIGCHLD,
    SIGINT,
    SIGIO,
    SIGKILL,
    SIGSEGV,
    SIGSYS,
    SIGTERM,
    SIGUSR1,
)
from syscalls.objects.siginfo import (
    DEFAULT_ACTION,
    NSIG,
    SigAction,
    SigInfo,
    SignalHandlers,
    SignalQueue,
    bit,
    bits,
    has_foreign_tail,
)


def words(info: SigInfo) -> tuple[int, ...]:
    raw = info.pack()
    assert len(raw) == 128
    return struct.unpack("<12i", raw[:48])


def test_kill_and_tkill_carry_the_sender() -> None:
    assert words(SigInfo(SIGUSR1, SI_USER, 7, 1000))[:6] == (SIGUSR1, 0, SI_USER, 0, 7, 1000)
    assert words(SigInfo(SIGUSR1, SI_TKILL, 7, 1000))[:6] == (SIGUSR1, 0, SI_TKILL, 0, 7, 1000)
    ended = SigInfo(SIGUSR1, CLD_EXITED, 7, 1000, status=3)
    assert words(ended)[:7] == (SIGUSR1, 0, CLD_EXITED, 0, 7, 1000, 3), "the exit signal of a clone"


def test_queued_signal_carries_a_value() -> None:
    raw = SigInfo(40, SI_QUEUE, 7, 1000, value=0x1122334455667788).pack()
    assert struct.unpack_from("<iIQ", raw, 16) == (7, 1000, 0x1122334455667788)


def test_fault_carries_an_address_and_a_kernel_signal_nothing() -> None:
    raw = SigInfo(SIGSEGV, SEGV_MAPERR, addr=0xDEAD_BEEF_0000).pack()
    assert struct.unpack_from("<Q", raw, 16)[0] == 0xDEAD_BEEF_0000
    assert words(SigInfo(SIGSEGV, SI_KERNEL))[3:] == (0,) * 9


def test_child_signal_carries_status_and_times() -> None:
    raw = SigInfo(SIGCHLD, CLD_EXITED, 9, 1000, 3, utime=5, stime=6).pack()
    assert struct.unpack_from("<iIi4xqq", raw, 16) == (9, 1000, 3, 5, 6)


def test_timer_poll_and_seccomp_layouts() -> None:
    timer = SigInfo(SIGALRM, SI_TIMER, timer=2, overrun=3, value=4).pack()
    assert struct.unpack_from("<iiQ", timer, 16) == (2, 3, 4)
    for code in (1, SI_SIGIO):
        poll = SigInfo(SIGIO, code, timer=0x41, overrun=5).pack()
        assert struct.unpack_from("<qi", poll, 16) == (0x41, 5)
    seccomp = SigInfo(SIGSYS, 1, addr=0x1234, timer=39, overrun=0xC000003E).pack()
    assert struct.unpack_from("<QiI", seccomp, 16) == (0x1234, 39, 0xC000003E)


def test_program_made_siginfo_is_kept_whole_but_for_the_number() -> None:
    raw = struct.pack("<iiiiiIQ", 1, 2, SI_QUEUE, 0, 7, 8, 9).ljust(128, b"\0")
    info = SigInfo.from_user(SIGUSR1, raw)
    assert (info.signo, info.code, info.pid, info.uid, info.value) == (SIGUSR1, SI_QUEUE, 7, 8, 9)
    assert info.pack() == struct.pack("<i", SIGUSR1) + raw[4:]
    assert not has_foreign_tail(raw)
    assert has_foreign_tail(raw[:48] + b"\1" + raw[49:])


def test_standard_signal_is_pending_once_with_its_first_siginfo() -> None:
    queue = SignalQueue()
    queue.push(SigInfo(SIGTERM, SI_USER, 1))
    queue.push(SigInfo(SIGTERM, SI_USER, 2))
    assert len(queue) == 1
    assert queue.has(SIGTERM)
    assert queue.peek(SIGTERM) == SigInfo(SIGTERM, SI_USER, 1)
    assert queue.pop(SIGTERM).pid == 1
    assert not queue.has(SIGTERM)
    assert queue.peek(SIGTERM) is None


def test_realtime_signals_queue_in_order() -> None:
    queue = SignalQueue()
    for value in range(3):
        queue.push(SigInfo(34, SI_QUEUE, value=value))
    assert [queue.pop(34).value for _ in range(3)] == [0, 1, 2]
    assert queue.mask == 0


def test_signal_without_room_arrives_as_from_nobody() -> None:
    queue = SignalQueue()
    queue.push(SigInfo(34, SI_USER, 5, 6), keep=False)
    assert queue.has(34)
    assert queue.pop(34) == SigInfo(34, SI_USER)
    assert queue.mask == 0


def test_faults_come_first_then_the_lowest_number() -> None:
    queue = SignalQueue()
    for signo in (40, SIGTERM, SIGSEGV, SIGINT):
        queue.push(SigInfo(signo))
    every = (1 << NSIG) - 1
    order = []
    while signo := queue.first(every):
        order.append(signo)
        queue.pop(signo)
    assert order == [SIGSEGV, SIGINT, SIGTERM, 40]


def test_first_looks_only_at_what_is_wanted() -> None:
    queue = SignalQueue()
    queue.push(SigInfo(SIGINT))
    queue.push(SigInfo(SIGTERM))
    assert queue.first(bit(SIGTERM)) == SIGTERM
    assert queue.first(bit(SIGUSR1)) == 0


def test_flush_forgets_the_set() -> None:
    queue = SignalQueue()
    for signo in (SIGINT, SIGTERM, 40, 40):
        queue.push(SigInfo(signo))
    queue.flush(bits(SIGINT, 40))
    assert queue.mask == bit(SIGTERM)
    assert len(queue) == 1
    queue.flush(bit(SIGKILL))
    assert queue.mask == bit(SIGTERM)


@given(st.lists(st.tuples(st.integers(1, 64), st.booleans()), max_size=60))
def test_mask_says_what_can_be_popped(steps: list[tuple[int, bool]]) -> None:
    queue = SignalQueue()
    model: dict[int, int] = {}
    for signo, push in steps:
        if push:
            queue.push(SigInfo(signo))
            model[signo] = model.get(signo, 0) + 1 if signo >= 32 else 1
        elif queue.has(signo):
            queue.pop(signo)
            model[signo] -= 1
        assert queue.mask == bits(*(n for n, count in model.items() if count))
        assert len(queue) == sum(model.values())


def test_actions_default_clone_and_exec() -> None:
    table = SignalHandlers()
    assert table.get(SIGINT) is DEFAULT_ACTION
    table.set(SIGINT, SigAction(0x1000, 4, 5, 6))
    table.set(SIGTERM, SigAction(SIG_IGN, 4, 5, 6))
    copy = table.clone()
    copy.set(SIGINT, DEFAULT_ACTION)
    assert table.get(SIGINT).handler == 0x1000
    assert table.caught() == bit(SIGINT)
    assert table.mask_of(SIG_IGN) == bit(SIGTERM)
    fresh = table.exec_clone()
    assert fresh.get(SIGINT) == DEFAULT_ACTION
    assert fresh.get(SIGTERM) == SigAction(SIG_IGN)
