from __future__ import annotations

import pytest

from linuxemu.testing import Clock, Guest, Out
from syscalls.abi.flags import CLOCK_MONOTONIC
from syscalls.abi.structs import Timespec


@pytest.mark.linuxemu(engine=["unicorn", "fake"], strict_ipc=[False, True])
def test_a_child_sleeps_while_its_parent_waits(guest: Guest, clock: Clock) -> None:
    child = guest.fork()
    status = Out("<i")
    waiting = guest.start.wait4(child.pid, status, 0, 0)
    sleeping = child.start.nanosleep(Timespec(60, 0), 0)
    assert (waiting.blocked, sleeping.blocked) == (True, True)
    clock.advance(s=60)
    assert sleeping.result == 0
    child.syscall.exit_group(9)
    assert (waiting.result, status.value) == (child.pid, 9 << 8)


def test_the_clock_says_what_the_fixture_says(guest: Guest, clock: Clock) -> None:
    now = Out(Timespec)
    guest.syscall.clock_gettime(CLOCK_MONOTONIC, now)
    assert now.value.tv_sec * 10**9 + now.value.tv_nsec == clock.now_ns
