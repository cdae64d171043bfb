"""futex: errors and results as Linux has them, and who sleeps and wakes among real threads and processes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from syscalls.abi.flags import (
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_READ,
    PROT_WRITE,
    SIGCONT,
    SIGSTOP,
    SIGUSR1,
)
from syscalls.abi.numbers import X86_64
from syscalls.objects.siginfo import SigAction
from tests.syscalls.machine_rig import EPOCH_NS, SCRATCH, MachineRig
from tests.syscalls.twin import GuestTwin, Native, Twin, show

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 4096
WAIT, WAKE, FD, REQUEUE, CMP_REQUEUE, WAKE_OP, WAIT_BITSET, WAKE_BITSET = 0, 1, 2, 3, 4, 5, 9, 10
PRIVATE, REALTIME = 128, 256
THREAD = 0x10F00
"""CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD"""
SECOND = 1_000_000_000
SCENARIOS: list[Any] = []


def scenario(function: Any) -> Any:
    """To be run natively and in linuxemu."""
    SCENARIOS.append(function)
    return function


def word(os: Twin, value: int) -> int:
    return os.put(struct.pack("<I", value))


def timespec(os: Twin, seconds: int, ns: int = 0) -> int:
    return os.put(struct.pack("<qq", seconds, ns))


# -- natively too -------------------------------------------------------------------------------------


@scenario
def operations(os: Twin) -> Any:
    """With nobody asleep: which operations there are, and what they refuse."""
    address = word(os, 5)
    found = []
    for op in (*range(6), *range(9, 11), 14, 99, 127):
        for flags in (0, PRIVATE, REALTIME):
            timeout = timespec(os, 0, 1) if op in (WAIT, WAIT_BITSET) else 1
            found.append((op, flags, show(os.call("futex", address, op | flags, 6, timeout, address, 1))))
    return found


@scenario
def addresses(os: Twin) -> Any:
    good, zero = word(os, 0), timespec(os, 0)
    found = []
    for op in (WAIT, WAKE, CMP_REQUEUE, WAKE_OP, WAIT_BITSET, WAKE_BITSET):
        for address, other in ((good + 1, good), (8, good), (1 << 47, good), (good, 8), (good, good + 2), (-4, good)):
            for flags in (0, PRIVATE):
                timeout = zero if op in (WAIT, WAIT_BITSET) else 1
                result = os.call("futex", address, op | flags, 1, timeout, other, 0)
                found.append((op, flags, address - good if abs(address - good) < 9 else address, show(result)))
    return found


@scenario
def timeouts(os: Twin) -> Any:
    address = word(os, 5)
    values = [(0, 0), (0, -1), (0, SECOND), (-1, 0), (0, 1000)]
    found = [show(os.call("futex", address, WAIT, 5, timespec(os, *value), 0, 0)) for value in values]
    found.append(show(os.call("futex", address, WAIT, 5, 8, 0, 0)))
    found.append(show(os.call("futex", address, WAIT, 4, 8, 0, 0)))
    found.append(show(os.call("futex", address, WAIT, 4, timespec(os, 0, -1), 0, 0)))
    for op in (WAIT_BITSET, WAIT_BITSET | REALTIME):
        found += [show(os.call("futex", address, op, 5, timespec(os, *value), 0, 1)) for value in values]
        found.append(show(os.call("futex", address, op, 5, timespec(os, 0), 0, 0)))
    return found


@scenario
def counts(os: Twin) -> Any:
    one, two = word(os, 1), word(os, 2)
    return [
        show(os.call("futex", one, op, val, val2, two, 1))
        for op in (WAKE, REQUEUE, CMP_REQUEUE)
        for val in (0, 1, -1, 1 << 31)
        for val2 in (0, 1, -1, 1 << 31)
    ]


@scenario
def wake_op(os: Twin) -> Any:
    """What FUTEX_WAKE_OP does to the second word."""
    one = word(os, 0)
    found = []
    for op in (*range(6), 8, 9, 12):
        for argument in (0, 3, 31, 32, 0x7FF, 0x800, 0xFFF):
            for old in (0, 0x0F, 0xFFFF_FFFF, 0x8000_0000):
                two = word(os, old)
                result = os.call("futex", one, WAKE_OP, 0, 0, two, op << 28 | argument << 12)
                found.append((op, argument, old, show(result), os.peek(two, 4)))
    return found


@scenario
def wake_op_comparisons(os: Twin) -> Any:
    one, two = word(os, 0), word(os, 5)
    return [show(os.call("futex", one, WAKE_OP, 1, 1, two, 1 << 28 | compare << 24)) for compare in range(16)]


@scenario
def get_and_set_robust_list(os: Twin) -> Any:
    head = os.put(bytes(24))
    where, length = os.put(bytes(8)), os.put(bytes(8))
    found = [show(os.call("set_robust_list", head, size)) for size in (0, 23, 25, 24)]
    found.append(show(os.call("get_robust_list", 0, where, length)))
    found.append((os.peek(where, 8) == struct.pack("<Q", head), os.peek(length, 8)))
    found.append(show(os.call("get_robust_list", 0, 8, length)))
    found.append(show(os.call("get_robust_list", -1, where, length)))
    return found


@pytest.fixture(scope="module")
def native() -> Iterator[Native]:
    native = Native()
    yield native
    native.close()


@pytest.fixture
def rig() -> Iterator[MachineRig]:
    rig = MachineRig()
    yield rig
    rig.close()


@pytest.mark.native
@pytest.mark.parametrize("function", SCENARIOS, ids=lambda function: function.__name__)
def test_like_linux(function: Any, rig: MachineRig, native: Native) -> None:
    assert function(GuestTwin(rig)) == native(function)


# -- sleeping and waking ------------------------------------------------------------------------------


def thread(rig: MachineRig, t: Any = None) -> Any:
    """One more thread of the first process."""
    tid = rig.call(t or rig.init, "clone", THREAD, SCRATCH + 0x8_0000)
    assert tid > 0, show(tid)
    rig.settle()
    return rig.linux.tasks[tid]


def sleepers(rig: MachineRig, address: int, count: int, *, op: int = WAIT, bits: tuple[int, ...] = ()) -> list[Any]:
    """That many threads asleep on a word."""
    calls = []
    for i in range(count):
        t = thread(rig)
        calls.append(rig.start(t, "futex", address, op, 0, 0, 0, bits[i] if bits else 0))
    assert not any(call.done for call in calls)
    return calls


def done(calls: list[Any]) -> list[bool]:
    return [call.done for call in calls]


@pytest.fixture
def address(rig: MachineRig) -> int:
    return rig.put(rig.init, bytes(4))


def wake(rig: MachineRig, address: int, count: int, op: int = WAKE, bits: int = 0) -> int:
    result = rig.call(rig.init, "futex", address, op, count, 0, 0, bits)
    rig.settle()
    return result


def test_wake_in_order(rig: MachineRig, address: int) -> None:
    calls = sleepers(rig, address, 4)
    assert wake(rig, address, 1) == 1
    assert done(calls) == [True, False, False, False]
    assert calls[0].result == 0
    assert wake(rig, address, 2) == 2
    assert done(calls) == [True, True, True, False]
    assert wake(rig, address, 1000) == 1
    assert wake(rig, address, 1000) == 0


def test_wake_of_none_wakes_one(rig: MachineRig, address: int) -> None:
    """As Linux does it: it looks at the count only after a wake-up."""
    calls = sleepers(rig, address, 2)
    assert wake(rig, address, 0) == 1
    assert done(calls) == [True, False]


def test_wake_elsewhere_wakes_nobody(rig: MachineRig, address: int) -> None:
    calls = sleepers(rig, address, 1)
    assert wake(rig, address + 4, 1) == 0
    assert done(calls) == [False]


def test_bits(rig: MachineRig, address: int) -> None:
    calls = sleepers(rig, address, 3, op=WAIT_BITSET, bits=(1, 2, 3))
    assert wake(rig, address, 10, WAKE_BITSET, 4) == 0
    assert wake(rig, address, 10, WAKE_BITSET, 2) == 2
    assert done(calls) == [False, True, True]
    assert wake(rig, address, 10) == 1


def test_requeue(rig: MachineRig, address: int) -> None:
    other = rig.put(rig.init, bytes(4))
    calls = sleepers(rig, address, 4)
    assert rig.call(rig.init, "futex", address, CMP_REQUEUE, 1, 2, other, 0) == 3
    rig.settle()
    assert done(calls) == [True, False, False, False]
    assert wake(rig, address, 10) == 1
    assert done(calls) == [True, False, False, True]
    assert wake(rig, other, 10) == 2


def test_requeue_wakes_none_if_told_so(rig: MachineRig, address: int) -> None:
    other = rig.put(rig.init, bytes(4))
    calls = sleepers(rig, address, 2)
    assert rig.call(rig.init, "futex", address, REQUEUE, 0, 10, other, 0) == 2
    assert done(calls) == [False, False]
    assert wake(rig, other, 10) == 2


def test_wake_op_wakes_at_both(rig: MachineRig, address: int) -> None:
    other = rig.put(rig.init, struct.pack("<I", 5))
    here, there = sleepers(rig, address, 1), []
    t = thread(rig)
    there.append(rig.start(t, "futex", other, WAIT, 5, 0, 0, 0))
    greater = 4 << 24
    assert rig.call(rig.init, "futex", address, WAKE_OP, 1, 1, other, 1 << 28 | greater | 1 << 12 | 9) == 1
    rig.settle()
    assert (done(here), done(there)) == ([True], [False])
    assert rig.peek(rig.init, other, 4) == struct.pack("<I", 6)
    assert rig.call(rig.init, "futex", address, WAKE_OP, 1, 1, other, 1 << 28 | greater | 1 << 12 | 5) == 1
    rig.settle()
    assert done(there) == [True]


def test_timeout(rig: MachineRig, address: int) -> None:
    t = thread(rig)
    call = rig.start(t, "futex", address, WAIT, 0, rig.put(rig.init, struct.pack("<qq", 2, 5)), 0, 0)
    rig.advance(2 * SECOND)
    assert not call.done
    rig.advance(10)
    assert show(call.result) == "ETIMEDOUT"
    assert wake(rig, address, 1) == 0


@pytest.mark.parametrize("realtime", [False, True])
def test_absolute_timeout(rig: MachineRig, address: int, realtime: bool) -> None:
    t = thread(rig)
    deadline = rig.host.now + 3 * SECOND + (EPOCH_NS if realtime else 0)
    when = rig.put(rig.init, struct.pack("<qq", *divmod(deadline, SECOND)))
    op = WAIT_BITSET | (REALTIME if realtime else 0)
    call = rig.start(t, "futex", address, op, 0, when, 0, 1)
    rig.advance(2 * SECOND)
    assert not call.done
    rig.advance(SECOND)
    assert show(call.result) == "ETIMEDOUT"


def test_woken_just_before_the_timeout(rig: MachineRig, address: int) -> None:
    t = thread(rig)
    call = rig.start(t, "futex", address, WAIT, 0, rig.put(rig.init, struct.pack("<qq", 1, 0)), 0, 0)
    assert wake(rig, address, 1) == 1
    rig.advance(2 * SECOND)
    assert call.result == 0


def test_signal_interrupts_a_wait(rig: MachineRig, address: int) -> None:
    t = thread(rig)
    rig.init.process.sighand.set(SIGUSR1, SigAction(0x40_0000, 0x0400_0000, 0x40_0000, 0))
    t.frame = t.frame._replace(rsp=SCRATCH + 0x8_0000)
    call = rig.start(t, "futex", address, WAIT, 0, 0, 0, 0)
    assert rig.call(rig.init, "tgkill", rig.init.process.pid, t.tid, SIGUSR1) == 0
    rig.settle()
    assert call.done
    assert wake(rig, address, 1) == 0


def test_private_memory_is_another_word_in_each_process(rig: MachineRig, address: int) -> None:
    child = rig.linux.tasks[rig.call(rig.init, "fork")]
    call = rig.start(child, "futex", address, WAIT, 0, 0, 0, 0)
    assert wake(rig, address, 1) == 0
    assert not call.done


@pytest.mark.parametrize("kind", ["anonymous", "file"])
def test_shared_memory_is_the_same_word(rig: MachineRig, kind: str) -> None:
    """At different addresses, and for a waker that has not touched the page itself."""
    os = GuestTwin(rig)
    flags, fd = MAP_SHARED | MAP_ANONYMOUS, -1
    if kind == "file":
        rig.write_file(b"/shared", bytes(PAGE))
        fd = os.call("open", os.put(b"/shared\0"), 2, 0)
        flags = MAP_SHARED
    area = os.call("mmap", 0, 2 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0)
    child = rig.linux.tasks[rig.call(rig.init, "fork")]
    moved = rig.call(child, "mremap", area, 0, PAGE, 1, 0)
    assert moved > 0
    assert moved != area
    call = rig.start(child, "futex", moved + 8, WAIT, 0, 0, 0, 0)
    assert not call.done
    assert wake(rig, area + 4, 1) == 0
    assert wake(rig, area + 8, 1) == 1
    assert call.result == 0


def test_private_mapping_of_a_file_is_private(rig: MachineRig) -> None:
    os = GuestTwin(rig)
    rig.write_file(b"/file", bytes(PAGE))
    fd = os.call("open", os.put(b"/file\0"), 2, 0)
    area = os.call("mmap", 0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)
    child = rig.linux.tasks[rig.call(rig.init, "fork")]
    call = rig.start(child, "futex", area, WAIT, 0, 0, 0, 0)
    assert wake(rig, area, 1) == 0
    assert not call.done


def test_shared_word_outlives_the_mapping_it_sleeps_through(rig: MachineRig) -> None:
    os = GuestTwin(rig)
    area = os.call("mmap", 0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
    other = os.call("mremap", area, 0, PAGE, 1, 0)
    t = thread(rig)
    call = rig.start(t, "futex", area, WAIT, 0, 0, 0, 0)
    assert os.call("munmap", area, PAGE) == 0
    assert wake(rig, other, 1) == 1
    assert call.result == 0


# -- threads that end ---------------------------------------------------------------------------------


def test_join(rig: MachineRig, address: int) -> None:
    """An exiting thread clears the word of CLONE_CHILD_CLEARTID and wakes who sleeps there."""
    cleartid = 0x20_0000
    tid = rig.call(rig.init, "clone", THREAD | cleartid, SCRATCH + 0x8_0000, 0, address)
    rig.settle()
    rig.poke(rig.init, address, struct.pack("<I", tid))
    other = thread(rig)
    call = rig.start(other, "futex", address, WAIT, tid, 0, 0, 0)
    assert not call.done
    assert rig.start(rig.linux.tasks[tid], "exit", 0).gone
    rig.settle()
    assert call.result == 0
    assert rig.peek(rig.init, address, 4) == bytes(4)


def test_join_with_a_bad_address(rig: MachineRig) -> None:
    tid = rig.call(rig.init, "clone", THREAD | 0x20_0000, SCRATCH + 0x8_0000, 0, 8)
    rig.settle()
    assert rig.start(rig.linux.tasks[tid], "exit", 0).gone


def robust(rig: MachineRig, *entries: int, pending: int = 0, offset: int = 8) -> int:
    """A list head and entries in scratch memory; returns the head's address."""
    head = rig.put(rig.init, bytes(24))
    links = [*entries, head]
    rig.poke(rig.init, head, struct.pack("<QqQ", links[0], offset, pending))
    for entry, following in zip(entries, links[1:], strict=False):
        rig.poke(rig.init, entry, struct.pack("<Q", following))
    return head


def test_robust_mutexes_of_a_dead_thread(rig: MachineRig) -> None:
    """What it held is marked, who waits is woken; what others hold stays."""
    t = thread(rig)
    mutexes = [rig.put(rig.init, bytes(16)) for _ in range(4)]
    words = [t.tid, t.tid | 0x8000_0000, rig.init.tid | 0x8000_0000, t.tid]
    for mutex, value in zip(mutexes, words, strict=True):
        rig.poke(rig.init, mutex + 8, struct.pack("<I", value))
    waiter = thread(rig)
    call = rig.start(waiter, "futex", mutexes[1] + 8, WAIT, words[1], 0, 0, 0)
    head = robust(rig, *mutexes[:3], pending=mutexes[3])
    assert rig.call(t, "set_robust_list", head, 24) == 0
    rig.start(t, "exit", 0)
    rig.settle()
    values = [struct.unpack("<I", rig.peek(rig.init, mutex + 8, 4) or b"")[0] for mutex in mutexes]
    assert values == [0x4000_0000, 0xC000_0000, words[2], 0x4000_0000]
    assert call.result == 0


def test_robust_list_that_leads_nowhere(rig: MachineRig) -> None:
    for head in (8, robust(rig, 8), robust(rig, SCRATCH + 0x100)):
        t = thread(rig)
        rig.poke(rig.init, SCRATCH + 0x100, struct.pack("<Q", SCRATCH + 0x100))  # a circle
        assert rig.call(t, "set_robust_list", head, 24) == 0
        assert rig.start(t, "exit", 0).gone


def test_killed_sleeper_leaves_the_queue(rig: MachineRig) -> None:
    os = GuestTwin(rig)
    area = os.call("mmap", 0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
    child = rig.linux.tasks[rig.call(rig.init, "fork")]
    rig.start(child, "futex", area, WAIT, 0, 0, 0, 0)
    assert rig.call(rig.init, "kill", child.process.pid, 9) == 0
    rig.settle()
    assert child.ktask == 0
    assert wake(rig, area, 1) == 0
    assert not rig.linux.futexes._waiters


def test_interrupted_wait_keeps_its_deadline(rig: MachineRig, address: int) -> None:
    """A stop and a continuation do not prolong a timed wait (restart_syscall)."""
    child = rig.linux.tasks[rig.call(rig.init, "fork")]
    when = rig.put(child, struct.pack("<qq", 10, 0))
    call = rig.start(child, "futex", address, WAIT, 0, when, 0, 0)
    rig.advance(4 * SECOND)
    assert rig.call(rig.init, "kill", child.process.pid, SIGSTOP) == 0
    rig.advance(SECOND)
    assert rig.call(rig.init, "kill", child.process.pid, SIGCONT) == 0
    rig.settle()
    assert rig.cpu.frame(rig.kernel.tasks[child.ktask].state).rax == X86_64["restart_syscall"]
    again = rig.start(child, "restart_syscall")
    rig.advance(4 * SECOND)
    assert not again.done
    rig.advance(SECOND + 1)
    assert show(again.result) == "ETIMEDOUT"
    assert call.done
