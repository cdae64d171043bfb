"""epoll and eventfd: man 7 epoll, man 2 eventfd."""

from __future__ import annotations

import errno
import os
import random
import select as host_select
import struct
import sys
from itertools import pairwise
from typing import Any

import pytest

import syscalls.handlers.epoll
import syscalls.handlers.eventfd
import syscalls.handlers.poll  # noqa: F401
from syscalls.abi import flags as f
from syscalls.errors import Interrupted, Restart, SysError
from syscalls.objects.device import NullDevice
from syscalls.objects.pipe import make_pipe
from syscalls.objects.siginfo import SigAction, SigInfo, bit
from syscalls.objects.signal import send_signal
from syscalls.vfs.virtual import VirtualNode
from tests.syscalls.iorig import BASE, SIZE, UNMAPPED, Rig
from tests.syscalls.jobs import error_of

IN, OUT, ERR, HUP = f.EPOLLIN, f.EPOLLOUT, f.EPOLLERR, f.EPOLLHUP


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def t(rig: Rig) -> Any:
    task = rig.task()
    task.process.sighand.set(f.SIGUSR1, SigAction(handler=0x1000))
    return task


def pipe(t: Any, flags: int = 0) -> tuple[int, int]:
    reader, writer = make_pipe(t, flags)
    return t.files.alloc(reader), t.files.alloc(writer)


def write(rig: Rig, t: Any, fd: int, data: bytes) -> None:
    rig.run(t.files.get(fd).write(t, data))


def read(rig: Rig, t: Any, fd: int, count: int) -> bytes:
    data: bytes = rig.run(t.files.get(fd).read(t, count))
    return data


def ctl(rig: Rig, t: Any, ep: int, op: int, fd: int, events: int = 0, data: int | None = None) -> int:
    """0, or the errno."""
    event = t.mem.alloc(struct.pack("<IQ", events, fd if data is None else data))
    try:
        return rig.call(t, "epoll_ctl", ep, op, fd, event)
    except SysError as error:
        return error.errno


def add(rig: Rig, t: Any, ep: int, fd: int, events: int) -> None:
    assert ctl(rig, t, ep, f.EPOLL_CTL_ADD, fd, events) == 0


def wait(rig: Rig, t: Any, ep: int, maxevents: int = 16, timeout: int = 0) -> dict[int, int]:
    """Data -> events of what is reported."""
    at = t.mem.alloc(12 * maxevents)
    count = rig.call(t, "epoll_wait", ep, at, maxevents, timeout)
    found = [struct.unpack("<IQ", t.mem.get(at + 12 * n, 12)) for n in range(count)]
    return {data: events for events, data in found}


def fails(rig: Rig, t: Any, name: str, *args: int) -> int:
    return error_of(rig.call, t, name, *args)


# -- instances -----------------------------------------------------------------------------------------------


def test_creating(rig: Rig, t: Any) -> None:
    assert fails(rig, t, "epoll_create", 0) == errno.EINVAL
    assert fails(rig, t, "epoll_create1", 1) == errno.EINVAL
    plain = rig.call(t, "epoll_create", 1)
    cloexec = rig.call(t, "epoll_create1", f.EPOLL_CLOEXEC)
    assert [t.files.get_cloexec(fd) for fd in (plain, cloexec)] == [False, True]
    assert t.files.get(plain).proc_name() == b"anon_inode:[eventpoll]"
    assert rig.run(t.files.get(plain).getattr(t)).mode == 0o600


def test_ctl_errors(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    reader, _ = pipe(t)
    null = t.files.alloc(NullDevice(VirtualNode(rig.server.devices.pipefs, f.S_IFCHR | 0o666, 0), f.O_RDWR))
    assert ctl(rig, t, ep, f.EPOLL_CTL_ADD, null, IN) == errno.EPERM
    assert ctl(rig, t, reader, f.EPOLL_CTL_ADD, ep, IN) == errno.EINVAL
    assert ctl(rig, t, ep, f.EPOLL_CTL_ADD, ep, IN) == errno.EINVAL
    assert ctl(rig, t, ep, f.EPOLL_CTL_ADD, 99, IN) == errno.EBADF
    assert ctl(rig, t, 99, f.EPOLL_CTL_ADD, reader, IN) == errno.EBADF
    assert ctl(rig, t, ep, f.EPOLL_CTL_MOD, reader, IN) == errno.ENOENT
    assert ctl(rig, t, ep, f.EPOLL_CTL_DEL, reader) == errno.ENOENT
    assert ctl(rig, t, ep, 9, reader) == errno.EINVAL
    add(rig, t, ep, reader, IN)
    assert ctl(rig, t, ep, f.EPOLL_CTL_ADD, reader, IN) == errno.EEXIST
    assert ctl(rig, t, ep, f.EPOLL_CTL_MOD, reader, IN | f.EPOLLEXCLUSIVE) == errno.EINVAL
    assert fails(rig, t, "epoll_ctl", ep, f.EPOLL_CTL_MOD, reader, UNMAPPED) == errno.EFAULT
    assert rig.call(t, "epoll_ctl", ep, f.EPOLL_CTL_DEL, reader, UNMAPPED) == 0


def test_wait_errors(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    reader, writer = pipe(t)
    for count in (0, -1, 0x7FFF_FFFF):
        assert fails(rig, t, "epoll_wait", ep, BASE, count, 0) == errno.EINVAL
    assert fails(rig, t, "epoll_wait", reader, BASE, 1, 0) == errno.EINVAL
    assert fails(rig, t, "epoll_wait", 99, BASE, 1, 0) == errno.EBADF
    add(rig, t, ep, reader, IN)
    add(rig, t, ep, writer, OUT | f.EPOLLET)
    write(rig, t, writer, b"x")
    assert fails(rig, t, "epoll_wait", ep, UNMAPPED, 4, 0) == errno.EFAULT
    assert rig.call(t, "epoll_wait", ep, BASE + SIZE - 12, 4, 0) == 1, "what fits is delivered"
    assert len(wait(rig, t, ep)) >= 1, "the rest is not lost"


# -- triggers ------------------------------------------------------------------------------------------------


def test_level_triggered(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    reader, writer = pipe(t)
    add(rig, t, ep, reader, IN)
    assert wait(rig, t, ep) == {}
    write(rig, t, writer, b"ab")
    assert wait(rig, t, ep) == wait(rig, t, ep) == {reader: IN}
    read(rig, t, reader, 2)
    assert wait(rig, t, ep) == {}
    rig.run(t.files.close(writer))
    assert wait(rig, t, ep) == {reader: HUP}


def test_edge_triggered(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    reader, writer = pipe(t)
    write(rig, t, writer, b"a")
    add(rig, t, ep, reader, IN | f.EPOLLET)
    assert wait(rig, t, ep) == {reader: IN}
    assert wait(rig, t, ep) == {}
    write(rig, t, writer, b"b")
    assert wait(rig, t, ep) == {reader: IN}
    assert wait(rig, t, ep) == {}


def test_one_shot(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    reader, writer = pipe(t)
    add(rig, t, ep, reader, IN | f.EPOLLONESHOT)
    write(rig, t, writer, b"a")
    assert wait(rig, t, ep) == {reader: IN}
    write(rig, t, writer, b"b")
    rig.run(t.files.close(writer))
    assert wait(rig, t, ep) == {}, "not even the hang-up is reported"
    assert ctl(rig, t, ep, f.EPOLL_CTL_MOD, reader, IN | f.EPOLLONESHOT) == 0
    assert wait(rig, t, ep) == {reader: IN | HUP}


def test_modifying(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    _, writer = pipe(t)
    add(rig, t, ep, writer, 0)
    assert wait(rig, t, ep) == {}
    assert ctl(rig, t, ep, f.EPOLL_CTL_MOD, writer, OUT, 777) == 0
    assert wait(rig, t, ep) == {777: OUT}
    assert ctl(rig, t, ep, f.EPOLL_CTL_DEL, writer) == 0
    assert wait(rig, t, ep) == {}


def test_more_ready_files_than_asked_for_take_turns(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    writers = [pipe(t)[1] for _ in range(3)]
    for fd in writers:
        add(rig, t, ep, fd, OUT)
    seen = set()
    for _ in range(3):
        seen |= set(wait(rig, t, ep, maxevents=1))
    assert seen == set(writers)


def test_a_closed_file_leaves_the_list(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    reader, writer = pipe(t)
    add(rig, t, ep, writer, OUT)
    twin = t.files.alloc(t.files.get(writer).get())
    rig.run(t.files.close(writer))
    assert wait(rig, t, ep) == {writer: OUT}, "another descriptor keeps it"
    rig.run(t.files.close(twin))
    assert wait(rig, t, ep) == {}
    rig.run(t.files.close(reader))
    assert pipe(t)[1] == writer
    add(rig, t, ep, writer, OUT)
    assert wait(rig, t, ep) == {writer: OUT}


# -- waiting -------------------------------------------------------------------------------------------------


def test_waiting_wakes_up(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    reader, writer = pipe(t)
    add(rig, t, ep, reader, IN)
    job = rig.start(t, "epoll_wait", ep, t.mem.alloc(12), 1, -1)
    rig.advance(10**9)
    assert not job.done
    write(rig, t, writer, b"x")
    rig.settle()
    assert job.value() == 1


def test_a_file_added_meanwhile_counts(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    job = rig.start(t, "epoll_wait", ep, t.mem.alloc(12), 1, -1)
    add(rig, t, ep, pipe(t)[1], OUT)
    rig.settle()
    assert job.value() == 1


def test_timeouts(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    at = t.mem.alloc(12)
    start = rig.now
    assert rig.call(t, "epoll_wait", ep, at, 1, 250) == 0
    assert rig.now - start == 250_000_000
    spec = t.mem.alloc(struct.pack("<qq", 1, 7))
    assert rig.call(t, "epoll_pwait2", ep, at, 1, spec, 0, 8) == 0
    assert rig.now - start == 1_250_000_007
    bad = t.mem.alloc(struct.pack("<qq", 0, -7))
    assert fails(rig, t, "epoll_pwait2", ep, at, 1, bad, 0, 8) == errno.EINVAL


def test_signals(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    job = rig.start(t, "epoll_wait", ep, t.mem.alloc(12), 1, -1)
    send_signal(t, SigInfo(f.SIGUSR1))
    rig.settle()
    assert isinstance(job.error, Interrupted)
    assert job.error.restart == Restart.NEVER
    t.blocked = bit(f.SIGUSR1)
    job = rig.start(t, "epoll_pwait", ep, t.mem.alloc(12), 1, -1, t.mem.alloc(8), 8)
    assert isinstance(job.error, Interrupted)
    assert t.saved_blocked == bit(f.SIGUSR1)


def test_epoll_can_be_polled(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    reader, writer = pipe(t)
    add(rig, t, ep, reader, IN)
    at = t.mem.alloc(struct.pack("<ihh", ep, f.POLLIN, 0))
    assert rig.call(t, "poll", at, 1, 0) == 0
    job = rig.start(t, "poll", at, 1, -1)
    write(rig, t, writer, b"x")
    rig.settle()
    assert job.value() == 1
    read(rig, t, reader, 1)
    assert rig.call(t, "poll", at, 1, 0) == 0


def test_instances_can_nest_but_not_in_circles(rig: Rig, t: Any) -> None:
    instances = [rig.call(t, "epoll_create1", 0) for _ in range(7)]
    reader, writer = pipe(t)
    add(rig, t, instances[0], reader, IN)
    for inner, outer in pairwise(instances[:5]):
        add(rig, t, outer, inner, IN)
    assert ctl(rig, t, instances[5], f.EPOLL_CTL_ADD, instances[4], IN) == errno.ELOOP
    assert ctl(rig, t, instances[0], f.EPOLL_CTL_ADD, instances[3], IN) == errno.ELOOP
    write(rig, t, writer, b"x")
    assert wait(rig, t, instances[4]) == {instances[3]: IN}
    exclusive = ctl(rig, t, instances[6], f.EPOLL_CTL_ADD, instances[0], IN | f.EPOLLEXCLUSIVE)
    assert exclusive == errno.EINVAL


def test_fdinfo_lists_interests(rig: Rig, t: Any) -> None:
    ep = rig.call(t, "epoll_create1", 0)
    reader, _ = pipe(t)
    add(rig, t, ep, reader, IN)
    assert t.files.get(ep).fdinfo().startswith(b"tfd: %8d events:       19 data: %16x " % (reader, reader))
    rig.run(t.files.close(ep))


@pytest.mark.native
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="compares with Linux")
@pytest.mark.parametrize("seed", range(10))
def test_random_traffic_is_reported_as_on_linux(rig: Rig, t: Any, seed: int) -> None:
    rng = random.Random(seed)
    modes = (0, f.EPOLLET, f.EPOLLONESHOT, f.EPOLLET | f.EPOLLONESHOT)
    ep, host = rig.call(t, "epoll_create1", 0), host_select.epoll()
    mine = [fd for _ in range(3) for fd in pipe(t, f.O_NONBLOCK)]
    hosts = [fd for _ in range(3) for fd in os.pipe2(os.O_NONBLOCK)]
    names = dict(zip(hosts, mine, strict=True))
    try:
        for fd, twin in names.items():
            events = rng.choice((IN, OUT, IN | OUT)) | rng.choice(modes)
            host.register(fd, events)
            add(rig, t, ep, twin, events)
        for _ in range(200):
            at = rng.randrange(6)
            file = t.files.get(mine[at])
            action = rng.random()
            if action < 0.1:
                events = rng.choice((IN, OUT, IN | OUT)) | rng.choice(modes)
                host.modify(hosts[at], events)
                assert ctl(rig, t, ep, f.EPOLL_CTL_MOD, mine[at], events) == 0
            elif file.writable and not file.pipe.full:
                data = bytes(rng.choice((1, 4096, 65536)))
                assert rig.run(file.write(t, data)) == os.write(hosts[at], data)
            elif file.readable and file.pipe.size:
                count = rng.choice((1, 4096, 65536))
                assert rig.run(file.read(t, count)) == os.read(hosts[at], count)
            if rng.random() < 0.7:
                expected = {names[fd]: events for fd, events in host.poll(0)}
                assert wait(rig, t, ep) == expected
    finally:
        host.close()
        for fd in hosts:
            os.close(fd)


# -- eventfd -------------------------------------------------------------------------------------------------


def value(number: int) -> bytes:
    return number.to_bytes(8, "little")


def test_eventfd_counts(rig: Rig, t: Any) -> None:
    fd = rig.call(t, "eventfd", 5)
    file = t.files.get(fd)
    assert rig.run(file.write(t, value(3))) == 8
    assert rig.run(file.read(t, 100)) == value(8)
    job = rig.spawn(file.read(t, 8))
    assert not job.done
    rig.run(file.write(t, value(1)))
    rig.settle()
    assert job.value() == value(1)


def test_eventfd_semaphore(rig: Rig, t: Any) -> None:
    fd = rig.call(t, "eventfd2", 2, f.EFD_SEMAPHORE | f.EFD_NONBLOCK | f.EFD_CLOEXEC)
    file = t.files.get(fd)
    assert t.files.get_cloexec(fd)
    assert [rig.run(file.read(t, 8)) for _ in range(2)] == [value(1)] * 2
    with pytest.raises(SysError) as caught:
        rig.run(file.read(t, 8))
    assert caught.value.errno == errno.EAGAIN


def test_eventfd_errors(rig: Rig, t: Any) -> None:
    assert fails(rig, t, "eventfd2", 0, 2) == errno.EINVAL
    file = t.files.get(rig.call(t, "eventfd2", 0, f.EFD_NONBLOCK))
    for coro in (file.read(t, 7), file.write(t, bytes(7)), file.write(t, b"\xff" * 8)):
        with pytest.raises(SysError) as caught:
            rig.run(coro)
        assert caught.value.errno == errno.EINVAL


def test_a_full_eventfd_makes_writers_wait(rig: Rig, t: Any) -> None:
    file = t.files.get(rig.call(t, "eventfd", 0))
    assert file.poll() == f.POLLOUT
    rig.run(file.write(t, value((1 << 64) - 2)))
    assert file.poll() == f.POLLIN
    job = rig.spawn(file.write(t, value(1)))
    assert not job.done
    rig.run(file.read(t, 8))
    rig.settle()
    assert job.value() == 8
    assert file.poll() == f.POLLIN | f.POLLOUT
    file.flags |= f.O_NONBLOCK
    with pytest.raises(SysError) as caught:
        rig.run(file.write(t, value((1 << 64) - 2)))
    assert caught.value.errno == errno.EAGAIN


def test_eventfd_in_epoll(rig: Rig, t: Any) -> None:
    ep, fd = rig.call(t, "epoll_create1", 0), rig.call(t, "eventfd", 0)
    add(rig, t, ep, fd, IN | f.EPOLLET)
    assert wait(rig, t, ep) == {}
    rig.run(t.files.get(fd).write(t, value(1)))
    assert wait(rig, t, ep) == {fd: IN}
    assert wait(rig, t, ep) == {}
    assert b"eventfd-count:                1\n" in t.files.get(fd).fdinfo()
    assert t.files.get(fd).proc_name() == b"anon_inode:[eventfd]"
