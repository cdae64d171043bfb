"""poll, ppoll, select, pselect6: man 2 poll, man 2 select."""

from __future__ import annotations

import errno
import os
import random
import select as host_select
import struct
import sys
from typing import Any

import pytest

import syscalls.handlers.poll  # noqa: F401
from syscalls.abi.flags import (
    O_NONBLOCK,
    O_PATH,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLNVAL,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
    RLIMIT_NOFILE,
    SIGUSR1,
)
from syscalls.errors import Interrupted, Restart
from syscalls.objects.file import OPathFile
from syscalls.objects.pipe import make_pipe
from syscalls.objects.siginfo import SigAction, SigInfo, bit
from syscalls.objects.signal import send_signal
from tests.syscalls.iorig import UNMAPPED, Rig
from tests.syscalls.jobs import error_of

MS = 1_000_000
SECOND = 1_000_000_000


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def t(rig: Rig) -> Any:
    task = rig.task()
    task.process.sighand.set(SIGUSR1, SigAction(handler=0x1000))
    return task


def pipe(t: Any, flags: int = 0) -> tuple[int, int]:
    reader, writer = make_pipe(t, flags)
    return t.files.alloc(reader), t.files.alloc(writer)


def fails(rig: Rig, t: Any, name: str, *args: int) -> int:
    return error_of(rig.call, t, name, *args)


def pollfds(t: Any, *entries: tuple[int, int]) -> int:
    return t.mem.alloc(b"".join(struct.pack("<ihh", fd, events, 0x7777) for fd, events in entries))


def revents(t: Any, at: int, count: int) -> list[int]:
    return [struct.unpack_from("<ihH", t.mem.get(at + 8 * n, 8))[2] for n in range(count)]


# -- poll ----------------------------------------------------------------------------------------------------


def test_poll_reports_what_is_ready(rig: Rig, t: Any) -> None:
    reader, writer = pipe(t)
    at = pollfds(t, (reader, POLLIN), (writer, POLLOUT), (-1, POLLIN), (99, POLLIN), (reader, 0))
    assert rig.call(t, "poll", at, 5, -1) == 2
    assert revents(t, at, 5) == [0, POLLOUT, 0, POLLNVAL, 0]
    rig.run(t.files.get(writer).write(t, b"x"))
    rig.run(t.files.close(writer))
    assert rig.call(t, "poll", at, 5, -1) == 4
    assert revents(t, at, 5) == [POLLIN | POLLHUP, POLLNVAL, 0, POLLNVAL, POLLHUP]


def test_poll_leaves_fd_and_events_alone(rig: Rig, t: Any) -> None:
    reader, _ = pipe(t)
    at = pollfds(t, (reader, POLLIN | POLLRDNORM))
    rig.call(t, "poll", at, 1, 0)
    assert struct.unpack("<ihh", t.mem.get(at, 8)) == (reader, POLLIN | POLLRDNORM, 0)


def test_poll_waits(rig: Rig, t: Any) -> None:
    reader, writer = pipe(t)
    at = pollfds(t, (reader, POLLIN | POLLRDNORM))
    job = rig.start(t, "poll", at, 1, -1)
    rig.advance(SECOND)
    assert not job.done
    rig.run(t.files.get(writer).write(t, b"x"))
    rig.settle()
    assert job.value() == 1
    assert revents(t, at, 1) == [POLLIN | POLLRDNORM]


def test_poll_times_out_and_clears_revents(rig: Rig, t: Any) -> None:
    reader, _ = pipe(t)
    at = pollfds(t, (reader, POLLIN))
    start = rig.now
    assert rig.call(t, "poll", at, 1, 1500) == 0
    assert rig.now - start == 1500 * MS
    assert revents(t, at, 1) == [0]
    assert rig.call(t, "poll", 0, 0, 10) == 0
    assert rig.now - start == 1510 * MS


def test_poll_without_patience_does_not_sleep(rig: Rig, t: Any) -> None:
    reader, _ = pipe(t)
    start = rig.now
    assert rig.call(t, "poll", pollfds(t, (reader, POLLIN)), 1, 0) == 0
    assert rig.now == start


def test_poll_errors(rig: Rig, t: Any) -> None:
    assert fails(rig, t, "poll", UNMAPPED, 1, 0) == errno.EFAULT
    t.process.rlimits[RLIMIT_NOFILE] = (8, 8)
    assert fails(rig, t, "poll", UNMAPPED, 9, 0) == errno.EINVAL


def test_poll_refuses_o_path(rig: Rig, t: Any) -> None:
    reader, _ = make_pipe(t, 0)
    fd = t.files.alloc(OPathFile(reader.inode, O_PATH))
    at = pollfds(t, (fd, POLLIN))
    assert rig.call(t, "poll", at, 1, -1) == 1
    assert revents(t, at, 1) == [POLLNVAL]


def test_poll_is_interrupted_and_resumes_with_its_deadline(rig: Rig, t: Any) -> None:
    reader, _ = pipe(t)
    start = rig.now
    job = rig.start(t, "poll", pollfds(t, (reader, POLLIN)), 1, 5000)
    rig.advance(SECOND)
    send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    assert isinstance(job.error, Interrupted)
    assert job.error.restart == Restart.BLOCK
    t.pending.pop(SIGUSR1)
    t.update_attention()
    assert rig.run(t.restart_block()) == 0
    assert rig.now - start == 5 * SECOND


def test_a_signal_counts_even_without_patience(rig: Rig, t: Any) -> None:
    reader, writer = pipe(t)
    send_signal(t, SigInfo(SIGUSR1))
    with pytest.raises(Interrupted):
        rig.call(t, "poll", pollfds(t, (reader, POLLIN)), 1, 0)
    assert rig.call(t, "poll", pollfds(t, (writer, POLLOUT)), 1, 0) == 1


# -- ppoll ---------------------------------------------------------------------------------------------------


def timespec(t: Any, seconds: int, ns: int) -> int:
    return t.mem.alloc(struct.pack("<qq", seconds, ns))


def read_pair(t: Any, at: int) -> tuple[int, int]:
    return struct.unpack("<qq", t.mem.get(at, 16))


def test_ppoll_writes_back_the_time_left(rig: Rig, t: Any) -> None:
    reader, writer = pipe(t)
    at, tmo = pollfds(t, (reader, POLLIN)), timespec(t, 3, 500)
    job = rig.start(t, "ppoll", at, 1, tmo, 0, 8)
    rig.advance(SECOND)
    rig.run(t.files.get(writer).write(t, b"x"))
    rig.settle()
    assert job.value() == 1
    assert read_pair(t, tmo) == (2, 500)
    tmo = timespec(t, 0, 7)
    rig.call(t, "ppoll", pollfds(t, (-1, 0)), 1, tmo, 0, 8)
    assert read_pair(t, tmo) == (0, 0)


@pytest.mark.parametrize(("seconds", "ns"), [(-1, 0), (0, -1), (0, SECOND)])
def test_ppoll_refuses_what_is_no_time(rig: Rig, t: Any, seconds: int, ns: int) -> None:
    assert fails(rig, t, "ppoll", 0, 0, timespec(t, seconds, ns), 0, 8) == errno.EINVAL


def test_ppoll_mask_errors(rig: Rig, t: Any) -> None:
    assert fails(rig, t, "ppoll", 0, 0, 0, t.mem.alloc(8), 4) == errno.EINVAL
    assert fails(rig, t, "ppoll", 0, 0, 0, UNMAPPED, 8) == errno.EFAULT
    assert fails(rig, t, "ppoll", 0, 0, UNMAPPED, 0, 8) == errno.EFAULT


def test_ppoll_swaps_the_mask_while_it_waits(rig: Rig, t: Any) -> None:
    t.blocked = bit(SIGUSR1)
    mask = t.mem.alloc(struct.pack("<Q", (1 << 64) - 1))
    tmo = timespec(t, 1, 0)
    job = rig.start(t, "ppoll", 0, 0, tmo, mask, 8)
    assert t.blocked == (1 << 64) - 1 & ~(1 << 8) & ~(1 << 18), "SIGKILL and SIGSTOP cannot be blocked"
    assert t.saved_blocked == bit(SIGUSR1)
    rig.advance(SECOND)
    assert job.value() == 0
    assert (t.blocked, t.saved_blocked) == (bit(SIGUSR1), None)


def test_ppoll_lets_delivery_restore_the_mask(rig: Rig, t: Any) -> None:
    t.blocked = bit(SIGUSR1)
    send_signal(t, SigInfo(SIGUSR1))
    tmo = timespec(t, 1, 0)
    job = rig.start(t, "ppoll", 0, 0, tmo, t.mem.alloc(8), 8)
    assert isinstance(job.error, Interrupted)
    assert job.error.restart == Restart.NOHAND
    assert (t.blocked, t.saved_blocked) == (0, bit(SIGUSR1))
    assert read_pair(t, tmo) == (1, 0)


def test_ppoll_restores_the_mask_after_an_error(rig: Rig, t: Any) -> None:
    t.blocked = bit(SIGUSR1)
    assert fails(rig, t, "ppoll", UNMAPPED, 1, 0, t.mem.alloc(8), 8) == errno.EFAULT
    assert (t.blocked, t.saved_blocked) == (bit(SIGUSR1), None)


# -- select --------------------------------------------------------------------------------------------------


def fdset(t: Any, *fds: int) -> int:
    return t.mem.alloc(sum(1 << fd for fd in fds).to_bytes(128, "little"))


def members(t: Any, at: int) -> set[int]:
    bits = int.from_bytes(t.mem.get(at, 128), "little")
    return {n for n in range(1024) if bits >> n & 1}


def test_select_keeps_what_is_ready(rig: Rig, t: Any) -> None:
    reader, writer = pipe(t)
    reads, writes, excepts = fdset(t, reader), fdset(t, writer), fdset(t, reader, writer)
    assert rig.call(t, "select", writer + 1, reads, writes, excepts, 0) == 1
    assert (members(t, reads), members(t, writes), members(t, excepts)) == (set(), {writer}, set())


def test_select_counts_bits(rig: Rig, t: Any) -> None:
    reader, writer = pipe(t)
    rig.run(t.files.close(reader))
    reads, writes = fdset(t, writer), fdset(t, writer)
    assert rig.call(t, "select", writer + 1, reads, writes, 0, 0) == 2
    assert members(t, reads) == members(t, writes) == {writer}, "an error makes both ready"


def test_select_waits_and_writes_back_the_time_left(rig: Rig, t: Any) -> None:
    reader, writer = pipe(t)
    reads = fdset(t, reader)
    timeval = t.mem.alloc(struct.pack("<qq", 2, 1_500_000))
    job = rig.start(t, "select", reader + 1, reads, 0, 0, timeval)
    rig.advance(SECOND)
    rig.run(t.files.close(writer))
    rig.settle()
    assert job.value() == 1
    assert members(t, reads) == {reader}
    assert read_pair(t, timeval) == (2, 500_000)


def test_select_times_out(rig: Rig, t: Any) -> None:
    reader, _ = pipe(t)
    reads = fdset(t, reader)
    start = rig.now
    timeval = t.mem.alloc(struct.pack("<qq", 1, 0))
    assert rig.call(t, "select", reader + 1, reads, 0, 0, timeval) == 0
    assert members(t, reads) == set()
    assert read_pair(t, timeval) == (0, 0)
    assert rig.now - start == SECOND
    assert rig.call(t, "select", 0, 0, 0, 0, timespec(t, 0, 0)) == 0


def test_select_errors(rig: Rig, t: Any) -> None:
    reader, _ = pipe(t)
    assert fails(rig, t, "select", -1, 0, 0, 0, 0) == errno.EINVAL
    assert fails(rig, t, "select", 8, fdset(t, reader, 7), 0, 0, 0) == errno.EBADF
    assert fails(rig, t, "select", 1, UNMAPPED, 0, 0, 0) == errno.EFAULT
    assert fails(rig, t, "select", 0, 0, 0, 0, timespec(t, -1, 0)) == errno.EINVAL
    assert fails(rig, t, "select", 0, 0, 0, 0, timespec(t, 0, -1)) == errno.EINVAL


def test_select_ignores_bits_beyond_nfds_and_beyond_the_table(rig: Rig, t: Any) -> None:
    reader, writer = pipe(t)
    writes = fdset(t, writer, 900)
    assert rig.call(t, "select", 1024, 0, writes, 0, 0) == 1
    assert fails(rig, t, "select", 1024, 0, fdset(t, 63), 0, 0) == errno.EBADF
    reads = fdset(t, reader, 70)
    assert rig.call(t, "select", 0, reads, 0, 0, timespec(t, 0, 0)) == 0
    assert members(t, reads) == {reader, 70}, "sets of no size are not written"


def test_select_interrupted_leaves_the_sets(rig: Rig, t: Any) -> None:
    reader, _ = pipe(t)
    reads = fdset(t, reader)
    job = rig.start(t, "select", reader + 1, reads, 0, 0, 0)
    send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    assert isinstance(job.error, Interrupted)
    assert job.error.restart == Restart.NOHAND
    assert members(t, reads) == {reader}


def test_pselect6_takes_a_mask_by_a_pair(rig: Rig, t: Any) -> None:
    reader, _ = pipe(t)
    t.blocked = bit(SIGUSR1)
    send_signal(t, SigInfo(SIGUSR1))
    pair = t.mem.alloc(struct.pack("<QQ", t.mem.alloc(8), 8))
    job = rig.start(t, "pselect6", reader + 1, fdset(t, reader), 0, 0, timespec(t, 1, 0), pair)
    assert isinstance(job.error, Interrupted)
    assert t.saved_blocked == bit(SIGUSR1)


def test_pselect6_mask_errors(rig: Rig, t: Any) -> None:
    bad = t.mem.alloc(struct.pack("<QQ", t.mem.alloc(8), 7))
    assert fails(rig, t, "pselect6", 0, 0, 0, 0, 0, bad) == errno.EINVAL
    assert fails(rig, t, "pselect6", 0, 0, 0, 0, 0, UNMAPPED) == errno.EFAULT
    none = t.mem.alloc(struct.pack("<QQ", 0, 0))
    assert rig.call(t, "pselect6", 0, 0, 0, 0, timespec(t, 0, 5), none) == 0


# -- the same on this machine --------------------------------------------------------------------------------


@pytest.mark.native
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="compares with Linux")
@pytest.mark.parametrize("seed", range(8))
def test_random_pipes_poll_as_on_linux(rig: Rig, t: Any, seed: int) -> None:
    rng = random.Random(seed)
    ours = [pipe(t, O_NONBLOCK) for _ in range(3)]
    hosts = [os.pipe2(os.O_NONBLOCK) for _ in range(3)]
    pairs = [(mine, host) for a, b in zip(ours, hosts, strict=True) for mine, host in zip(a, b, strict=True)]
    events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM
    try:
        for _ in range(60):
            mine, host = rng.choice(pairs)
            if mine in t.files and rng.random() < 0.1:
                rig.run(t.files.close(mine))
                os.close(host)
            elif mine in t.files and t.files.get(mine).writable and t.files.get(mine).pipe.readers:
                data = bytes(rng.choice((1, 5000, 70_000)))
                try:
                    os.write(host, data)
                    rig.run(t.files.get(mine).write(t, data))
                except BlockingIOError:
                    pass
            elif mine in t.files and t.files.get(mine).readable:
                try:
                    os.read(host, 70_000)
                    rig.run(t.files.get(mine).read(t, 70_000))
                except BlockingIOError:
                    pass
            poller = host_select.poll()
            for _, host in pairs:
                poller.register(host, events)
            expected = dict(poller.poll(0))
            at = pollfds(t, *((mine, events) for mine, _ in pairs))
            assert rig.call(t, "poll", at, len(pairs), 0) == len(expected)
            assert revents(t, at, len(pairs)) == [expected.get(host, 0) for _, host in pairs]
    finally:
        for mine, host in pairs:
            if mine in t.files:
                os.close(host)


def test_error_bits_cannot_be_masked(rig: Rig, t: Any) -> None:
    reader, writer = pipe(t)
    rig.run(t.files.close(reader))
    at = pollfds(t, (writer, 0))
    assert rig.call(t, "poll", at, 1, -1) == 1
    assert revents(t, at, 1) == [POLLERR]
