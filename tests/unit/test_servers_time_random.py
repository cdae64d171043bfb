"""The time and random servers."""

from __future__ import annotations

import os
from typing import Any

import pytest

from linuxemu.idl.codes import ERR_INVALID_ARG, ERR_TOO_LARGE
from linuxemu.messages import clock, entropy, random, time
from linuxemu.servers.random import MAX_READ, RandomServer
from linuxemu.servers.time import HostClock, TimeServer, VirtualClock
from tests.unit.server_port import A, B, boot, call, fails

# time


class Tick:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.ns = 5_000_000_000

    def __call__(self) -> int:
        return self.ns


def test_clocks_follow_their_source() -> None:
    now = Tick()
    server = boot(TimeServer(VirtualClock(now, epoch_ns=1_000_000_000_000_000_000)))
    assert call(server, A, clock.Gettime(clock.ClockId.REALTIME)).ns == 1_000_000_005_000_000_000
    assert call(server, A, clock.Gettime(clock.ClockId.MONOTONIC)).ns == 5_000_000_000
    assert call(server, A, clock.Gettime(clock.ClockId.BOOTTIME)).ns == 5_000_000_000
    now.ns += 1_999_999_999
    assert call(server, A, time.Gettimeofday()).unixtime == 1_000_000_006
    assert call(server, A, clock.Getres(clock.ClockId.REALTIME)).ns == 1


def test_setting_the_clock_moves_the_real_time_of_this_machine_only() -> None:
    now = Tick()
    source = VirtualClock(now)
    server, other = boot(TimeServer(source)), boot(TimeServer(source))
    call(server, A, clock.Settime(clock.ClockId.REALTIME, 42_000_000_000))
    now.ns += 7
    assert call(server, A, clock.Gettime(clock.ClockId.REALTIME)).ns == 42_000_000_007
    assert call(server, A, time.Gettimeofday()).unixtime == 42
    assert call(server, A, clock.Gettime(clock.ClockId.MONOTONIC)).ns == 5_000_000_007
    assert call(other, A, clock.Gettime(clock.ClockId.REALTIME)).ns == 5_000_000_007


@pytest.mark.parametrize("number", [2, 4, 11, -1, 1 << 20])
def test_unknown_clocks_are_errors(number: int) -> None:
    server = boot(TimeServer())
    assert fails(server, A, clock.Gettime(number)) == ERR_INVALID_ARG
    assert fails(server, A, clock.Getres(number)) == ERR_INVALID_ARG
    assert fails(server, A, clock.Settime(number, 0)) == ERR_INVALID_ARG


def test_only_a_time_since_1970_can_be_set_on_the_real_time_clock() -> None:
    server = boot(TimeServer())
    assert fails(server, A, clock.Settime(clock.ClockId.MONOTONIC, 0)) == ERR_INVALID_ARG
    assert fails(server, A, clock.Settime(clock.ClockId.REALTIME, -1)) == ERR_INVALID_ARG


def test_the_real_time_clock_is_never_set_below_the_monotonic_one() -> None:
    server = boot(TimeServer(VirtualClock(Tick())))
    assert fails(server, A, clock.Settime(clock.ClockId.REALTIME, 4_999_999_999)) == ERR_INVALID_ARG
    call(server, A, clock.Settime(clock.ClockId.REALTIME, 5_000_000_000))


def test_the_host_s_clocks_are_shown() -> None:
    import time as host

    server = boot(TimeServer())
    before = host.time_ns()
    shown = call(server, A, clock.Gettime(clock.ClockId.REALTIME)).ns
    assert before <= shown <= host.time_ns()
    before = host.clock_gettime_ns(host.CLOCK_MONOTONIC)
    assert before <= call(server, A, clock.Gettime(clock.ClockId.MONOTONIC)).ns
    assert call(server, A, clock.Gettime(clock.ClockId.BOOTTIME)).ns >= 0
    assert abs(call(server, A, time.Gettimeofday()).unixtime - host.time()) < 10
    assert HostClock().resolution_ns(clock.ClockId.MONOTONIC) >= 1


# random


def test_a_seed_gives_the_same_numbers_every_time() -> None:
    def numbers(seed: int) -> list[Any]:
        server = boot(RandomServer(seed))
        first = call(server, A, random.GetRandom()).random_number
        return [first, call(server, A, entropy.Read(100)).data, call(server, B, random.GetRandom())]

    assert numbers(1) == numbers(1)
    assert numbers(1) != numbers(2)
    assert len(numbers(1)[1]) == 100


def test_random_numbers_fit_their_message() -> None:
    server = boot(RandomServer())
    for _ in range(100):
        call(server, A, random.GetRandom()).pack()


def test_the_host_s_entropy_is_used_without_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", lambda count: b"\x07" * count)
    server = boot(RandomServer())
    assert call(server, A, entropy.Read(3)).data == b"\7\7\7"
    assert call(server, A, random.GetRandom()).random_number == 0x07070707


def test_a_read_has_a_limit() -> None:
    server = boot(RandomServer(1))
    assert call(server, A, entropy.Read(0)).data == b""
    assert fails(server, A, entropy.Read(MAX_READ + 1)) == ERR_TOO_LARGE
