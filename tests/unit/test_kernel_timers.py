"""Deadlines, the one timer of each task, host descriptors, and an idle kernel that does not spin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxemu.cpu.fake import syscall
from linuxemu.kernel import Server
from linuxemu.kernel.server import NOTIFY_TIMER
from linuxemu.kernel.timer import TimerQueue
from linuxemu.messages import Notifications
from tests.unit.kernel_rig import Pager, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator

MS = 1_000_000


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def raise_it(error: BaseException) -> None:
    raise error


# -- the queue ----------------------------------------------------------------------------------------


def test_timers_fire_in_order_of_deadline_then_of_arming() -> None:
    queue, log = TimerQueue(raise_it), []
    for name, deadline in (("late", 30), ("first", 10), ("second", 10), ("middle", 20)):
        queue.add(deadline, lambda name=name: log.append(name))  # type: ignore[misc]
    assert queue.next_ns() == 10
    queue.run(9)
    assert log == []
    queue.run(20)
    assert log == ["first", "second", "middle"]
    assert (len(queue), queue.next_ns()) == (1, 30)
    queue.run(1000)
    assert (len(queue), queue.next_ns()) == (0, None)


def test_cancelled_timer_does_not_fire() -> None:
    queue, log = TimerQueue(raise_it), []
    timer = queue.add(10, lambda: log.append(1))
    queue.add(20, lambda: log.append(2))
    timer.cancel()
    timer.cancel()
    assert queue.next_ns() == 20
    queue.run(20)
    assert log == [2]
    timer.cancel()


def test_timer_may_arm_and_cancel_others() -> None:
    queue, log = TimerQueue(raise_it), []
    victim = None

    def fire() -> None:
        log.append("fired")
        assert victim is not None
        victim.cancel()
        queue.add(5, lambda: log.append("past"))
        queue.add(50, lambda: log.append("future"))

    queue.add(10, fire)
    victim = queue.add(10, lambda: log.append("victim"))
    queue.run(10)
    assert log == ["fired", "past"]
    assert queue.next_ns() == 50


def test_many_cancelled_timers_do_not_pile_up() -> None:
    queue = TimerQueue(raise_it)
    keep = queue.add(10**9, lambda: None)
    for number in range(10_000):
        queue.add(number, lambda: None).cancel()
    assert len(queue._heap) < 200
    assert queue.next_ns() == keep.deadline_ns


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=300), st.lists(st.integers(0, 60), max_size=5))
def test_queue_against_a_sorted_list(timers: list[tuple[int, bool]], times: list[int]) -> None:
    queue = TimerQueue(raise_it)
    fired: list[int] = []
    armed = []
    for index, (deadline, cancel) in enumerate(timers):
        timer = queue.add(deadline, lambda index=index: fired.append(index))  # type: ignore[misc]
        if cancel:
            timer.cancel()
        else:
            armed.append((deadline, index))
    for now in sorted(times):
        queue.run(now)
        assert fired == [index for deadline, index in sorted(armed) if deadline <= now]


def test_failing_timer_does_not_stop_the_others() -> None:
    failures: list[BaseException] = []
    queue, log = TimerQueue(failures.append), []
    queue.add(10, lambda: 1 // 0)
    queue.add(10, lambda: log.append("next"))
    queue.run(10)
    assert log == ["next"]
    assert [type(error) for error in failures] == [ZeroDivisionError]


# -- in the kernel ------------------------------------------------------------------------------------


def test_call_at(rig: Rig) -> None:
    port, log = rig.port(), []
    start = port.now_ns()
    port.call_at(start + 5 * MS, lambda: log.append(port.now_ns() - start))
    port.call_at(start + 2 * MS, lambda: log.append(port.now_ns() - start))
    port.call_at(start + 3 * MS, lambda: log.append(0)).cancel()
    port.call_at(start - 1, lambda: log.append(port.now_ns() - start))
    rig.settle()
    assert log == [0, 2 * MS, 5 * MS]
    assert rig.host.sleeps == [2 * MS, 3 * MS]


def test_task_timer_is_one_shot_and_replaced(rig: Rig) -> None:
    port = rig.port()
    start = rig.host.now
    port.set_timer(10)
    port.set_timer(3)
    receiving = rig.start(port.receive())
    rig.settle()
    assert receiving.result() == (0, Notifications(NOTIFY_TIMER))
    assert rig.host.now == start + 3 * MS
    port.set_timer(5)
    port.set_timer(0)
    rig.settle()
    assert rig.host.now == start + 3 * MS


def test_server_gets_its_timer(rig: Rig) -> None:
    class Ticking(Server):
        def __init__(self) -> None:
            super().__init__()
            self.times: list[int] = []

        async def notified(self, bits: int) -> None:
            assert bits == NOTIFY_TIMER
            self.times.append(self.port.now_ns())
            if len(self.times) < 3:
                self.port.set_timer(7)

    server = rig.add(Ticking())
    start = rig.host.now
    server.port.set_timer(7)
    rig.settle()
    assert server.times == [start + 7 * MS, start + 14 * MS, start + 21 * MS]


def test_watched_descriptor(rig: Rig) -> None:
    port, log = rig.port(), []
    port.watch_fd(3, 1, log.append)
    rig.host.make_ready(3, 5)
    rig.settle()
    assert log == [1]
    assert rig.host.sleeps == [None]
    cancel = port.watch_fd(3, 4, log.append)
    cancel()
    rig.settle()
    assert log == [1]


def test_descriptor_cuts_a_sleep_short(rig: Rig) -> None:
    port, log = rig.port(), []
    start = port.now_ns()
    port.call_at(start + 1000 * MS, lambda: log.append("timer"))
    port.watch_fd(3, 1, lambda events: (log.append("fd"), rig.kernel.stop()))
    rig.host.make_ready(3, 1)
    rig.settle()
    assert log == ["fd"]
    assert port.now_ns() == start


def test_failing_callbacks_are_defects_and_no_more() -> None:
    rig = Rig()
    port, log = rig.port(), []
    port.watch_fd(3, 1, lambda events: 1 // 0)
    port.call_at(0, lambda: {}[1])
    port.call_at(0, lambda: log.append("next"))
    rig.host.make_ready(3, 1)
    rig.settle()
    assert log == ["next"]
    assert {type(error) for error in rig.kernel.errors} == {ZeroDivisionError, KeyError}


def test_nothing_left_to_happen_ends_the_run(rig: Rig) -> None:
    rig.start(rig.port().receive())
    rig.settle()
    assert rig.host.sleeps == []


class Ticker:
    """Notes when it is armed."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def arm(self) -> None:
        self.log.append("arm")

    def disarm(self) -> None:
        self.log.append("disarm")

    def close(self) -> None:
        self.log.append("close")


def test_idle_kernel_sleeps_once_and_disarms_the_time_slice(rig: Rig) -> None:
    ticker = rig.kernel.ticker = Ticker()
    pager = rig.add(Pager(lambda m: wait() if m[1] == 2 else ...))

    async def wait() -> Any:
        if len(pager.got) == 3:
            return None
        waiter = pager.port.waiter()
        pager.port.call_at(pager.port.now_ns() + 3600_000 * MS, waiter.wake)
        from linuxemu.kernel import park

        await park(waiter)
        return ...

    rig.guest(pager, syscall(35), syscall(35))
    rig.settle()
    assert rig.host.sleeps == [3600_000 * MS]
    assert ticker.log == ["arm", "disarm", "arm"]
    rig.kernel.close()
    assert ticker.log[-1] == "close"
