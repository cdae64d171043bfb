"""What stands between the kernel and the host: descriptors and sleep, the time slice, guest memory."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from linuxemu.arch.x86_64 import canonical
from linuxemu.cpu.memory import HostRam
from linuxemu.cpu.ticker import SliceTicker
from linuxemu.servers.hostloop import HostLoop
from tests.helpers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MS = 1_000_000
READ, WRITE, ERROR, HANGUP = 1, 4, 8, 16


# -- descriptors --------------------------------------------------------------------------------------


@pytest.fixture
def loop() -> Iterator[HostLoop]:
    loop = HostLoop()
    yield loop
    loop.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            pass


def test_ready_descriptor_is_told_once(loop: HostLoop, pipe: tuple[int, int]) -> None:
    log: list[int] = []
    loop.watch(pipe[0], READ, log.append)
    assert loop.watching()
    loop.poll()
    assert log == []
    os.write(pipe[1], b"x")
    loop.sleep(None)
    assert log == [READ]
    assert not loop.watching()
    loop.poll()
    assert log == [READ]


def test_sleep_ends_in_time(loop: HostLoop, pipe: tuple[int, int]) -> None:
    loop.watch(pipe[0], READ, lambda events: None)
    start = loop.now_ns()
    loop.sleep(3 * MS)
    assert loop.now_ns() - start >= 3 * MS
    loop.sleep(1)  # rounded up, never a busy loop
    loop.sleep(0)
    loop.sleep(-5)


def test_very_long_sleeps_are_possible(loop: HostLoop, pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"x")
    loop.watch(pipe[0], READ, lambda events: None)
    loop.sleep(1 << 62)


def test_only_the_wanted_events(loop: HostLoop, pipe: tuple[int, int]) -> None:
    log: list[str] = []
    loop.watch(pipe[1], WRITE, lambda events: log.append("writable"))
    loop.watch(pipe[0], READ, lambda events: log.append("readable"))
    loop.sleep(None)
    assert log == ["writable"]
    assert loop.watching()


def test_hangup_counts_as_everything(loop: HostLoop, pipe: tuple[int, int]) -> None:
    log: list[int] = []
    loop.watch(pipe[0], READ, log.append)
    os.close(pipe[1])
    loop.sleep(None)
    assert log[0] & HANGUP


def test_several_watches_of_one_descriptor(loop: HostLoop) -> None:
    import socket

    one, two = socket.socketpair()
    log: list[str] = []
    loop.watch(one.fileno(), READ, lambda events: log.append("read"))
    loop.watch(one.fileno(), WRITE, lambda events: log.append("write"))
    loop.watch(one.fileno(), WRITE, lambda events: log.append("write again"))
    loop.poll()
    assert log == ["write", "write again"]
    two.send(b"x")
    loop.poll()
    assert log[2:] == ["read"]
    one.close()
    two.close()


def test_cancel(loop: HostLoop, pipe: tuple[int, int]) -> None:
    log: list[str] = []
    os.write(pipe[1], b"x")
    cancel = loop.watch(pipe[0], READ, lambda events: log.append("cancelled"))
    loop.watch(pipe[0], READ, lambda events: log.append("kept"))
    cancel()
    cancel()
    loop.poll()
    assert log == ["kept"]
    assert not loop.watching()


def test_cancelled_by_the_one_before_it(loop: HostLoop, pipe: tuple[int, int]) -> None:
    log: list[str] = []
    cancels: list[Callable[[], None]] = []
    os.write(pipe[1], b"x")
    loop.watch(pipe[0], READ, lambda events: (log.append("first"), cancels[0]()))
    cancels.append(loop.watch(pipe[0], READ, lambda events: log.append("second")))
    loop.poll()
    assert log == ["first"]


def test_watch_again_from_the_callback(loop: HostLoop, pipe: tuple[int, int]) -> None:
    log: list[int] = []

    def again(events: int) -> None:
        log.append(events)
        if len(log) < 3:
            loop.watch(pipe[0], READ, again)

    os.write(pipe[1], b"x")
    loop.watch(pipe[0], READ, again)
    for _ in range(5):
        loop.poll()
    assert log == [READ] * 3


def test_descriptor_closed_while_watched(loop: HostLoop, pipe: tuple[int, int]) -> None:
    log: list[int] = []
    loop.watch(pipe[0], READ, log.append)
    os.close(pipe[0])
    loop.poll()
    assert len(log) == 1
    loop.poll()


def test_wake_descriptor_ends_a_sleep(loop: HostLoop) -> None:
    log: list[str] = []
    loop.woken = lambda: log.append("woken")
    assert not loop.watching()
    fd = loop.open_wake_fd()
    assert loop.open_wake_fd() == fd
    assert loop.watching()
    timer = threading.Timer(0.01, os.write, (fd, b"\2\2\2"))
    timer.start()
    loop.sleep(None)
    timer.join()
    assert log == ["woken"]
    loop.poll()
    assert log == ["woken"]
    loop.close()
    assert not loop.watching()


# -- the time slice -----------------------------------------------------------------------------------


def test_ticks_only_while_armed() -> None:
    ticks: list[float] = []
    ticker = SliceTicker(lambda: ticks.append(time.monotonic()), 0.002)
    time.sleep(0.01)
    assert ticks == []
    ticker.arm()
    wait_until(lambda: len(ticks) >= 3)
    ticker.disarm()
    time.sleep(0.006)
    count = len(ticks)
    time.sleep(0.02)
    assert len(ticks) == count
    ticker.arm()
    ticker.arm()
    wait_until(lambda: len(ticks) > count)
    ticker.close()
    count = len(ticks)
    time.sleep(0.01)
    assert len(ticks) == count


def test_arming_and_disarming_in_quick_turn() -> None:
    ticks: list[int] = []
    ticker = SliceTicker(lambda: ticks.append(1), 0.001)
    for _ in range(200):
        ticker.arm()
        time.sleep(0.0001)
        ticker.disarm()
    before = len(ticks)
    ticker.arm()
    wait_until(lambda: len(ticks) > before)
    ticker.close()


def test_close_does_not_wait_for_the_period() -> None:
    ticker = SliceTicker(lambda: None, 60)
    ticker.arm()
    time.sleep(0.01)
    start = time.monotonic()
    ticker.close()
    assert time.monotonic() - start < 5


def test_close_of_one_that_never_ran() -> None:
    SliceTicker(lambda: None).close()


# -- memory -------------------------------------------------------------------------------------------


def test_ram_is_zero_and_seen_both_ways() -> None:
    ram = HostRam(1 << 20)
    assert (ram.size, len(ram.data), len(ram.words)) == (1 << 20, 1 << 20, 1 << 17)
    assert not any(ram.data[: 1 << 12])
    ram.words[1] = 0x0102030405060708
    assert bytes(ram.data[8:16]) == bytes([8, 7, 6, 5, 4, 3, 2, 1])
    ram.data[4096:8192] = b"\xff" * 4096
    ram.discard(4096, 4096)
    assert bytes(ram.data[4096:8192]) == bytes(4096)
    ram.close()


def test_ram_without_the_hosts_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has neither private anonymous maps nor madvise (Windows)."""
    import mmap

    monkeypatch.delattr(mmap, "MAP_PRIVATE")
    monkeypatch.delattr(mmap, "MADV_DONTNEED")
    ram = HostRam(1 << 16)
    ram.data[0:4096] = b"\xff" * 4096
    ram.discard(0, 4096)
    assert bytes(ram.data[0:4096]) == bytes(4096)
    ram.close()


def test_ram_has_an_address() -> None:
    import ctypes

    ram = HostRam(1 << 16)
    ram.data[5] = 77
    assert ctypes.c_ubyte.from_address(ram.address + 5).value == 77


@pytest.mark.parametrize(
    ("address", "good"),
    [(0, True), ((1 << 47) - 1, True), (1 << 47, False), (1 << 63, False), ((1 << 64) - (1 << 47) - 1, False),
     ((1 << 64) - (1 << 47), True), ((1 << 64) - 1, True)],
)  # fmt: skip
def test_canonical(address: int, good: bool) -> None:
    assert canonical(address) == good
