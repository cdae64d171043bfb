"""pipe, pipe2, FIFOs: man 7 pipe, man 7 fifo."""

from __future__ import annotations

import errno
import fcntl as host_fcntl
import os
import random
import select
import struct
import sys
from typing import Any

import pytest

import syscalls.handlers.fcntl
import syscalls.handlers.ioctl
import syscalls.handlers.pipe  # noqa: F401
from syscalls.abi.flags import (
    F_GETPIPE_SZ,
    F_SETPIPE_SZ,
    FD_CLOEXEC,
    FIONREAD,
    O_CLOEXEC,
    O_DIRECT,
    O_NONBLOCK,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
    RLIMIT_NOFILE,
    S_IFIFO,
    SIG_IGN,
    SIGPIPE,
    SIGUSR1,
)
from syscalls.errors import Interrupted, OutOfMemory, Restart, SysError
from syscalls.objects.credentials import Credentials
from syscalls.objects.pipe import PipeEnd, make_pipe, open_fifo
from syscalls.objects.siginfo import SigAction, SigInfo, bit
from syscalls.objects.signal import send_signal
from syscalls.vfs.virtual import VirtualNode
from tests.syscalls.iorig import UNMAPPED, Rig
from tests.syscalls.jobs import error_of

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="compares with Linux")


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def t(rig: Rig) -> Any:
    return rig.task()


def fails(rig: Rig, coro: Any) -> int:
    return error_of(rig.run, coro)


def make(rig: Rig, t: Any, flags: int = 0) -> tuple[int, int]:
    at = t.mem.alloc(8)
    assert rig.call(t, "pipe2", at, flags) == 0
    return struct.unpack("<ii", t.mem.get(at, 8))


def ends(t: Any, flags: int = 0) -> tuple[PipeEnd, PipeEnd]:
    return make_pipe(t, flags)


# -- making --------------------------------------------------------------------------------------------------


def test_pipe_gives_the_two_lowest_descriptors(rig: Rig, t: Any) -> None:
    at = t.mem.alloc(8)
    assert rig.call(t, "pipe", at) == 0
    assert struct.unpack("<ii", t.mem.get(at, 8)) == (0, 1)
    assert t.files.get(0).readable
    assert not t.files.get(0).writable
    assert t.files.get(1).writable
    assert not t.files.get(1).readable


def test_pipe2_flags(rig: Rig, t: Any) -> None:
    reader, writer = make(rig, t, O_CLOEXEC | O_NONBLOCK)
    for fd in (reader, writer):
        assert t.files.get_cloexec(fd)
        assert rig.call(t, "fcntl", fd, 1, 0) == FD_CLOEXEC
    assert t.files.get(reader).flags == O_RDONLY | O_NONBLOCK
    assert t.files.get(writer).flags == O_WRONLY | O_NONBLOCK
    assert fails(rig, rig.handler("pipe2")(t, 0, 0o100)) == errno.EINVAL


def test_pipe2_notification_pipe_is_recorded_as_unsupported(rig: Rig, t: Any) -> None:
    assert fails(rig, rig.handler("pipe2")(t, t.mem.alloc(8), 0o200)) == errno.EINVAL
    assert rig.server.complaints == ["pipe2: O_NOTIFICATION_PIPE"]


def test_pipe2_closes_both_ends_when_copy_out_faults(rig: Rig, t: Any) -> None:
    assert fails(rig, rig.handler("pipe2")(t, UNMAPPED, 0)) == errno.EFAULT
    assert t.files.numbers() == []


@pytest.mark.parametrize("limit", [0, 1])
def test_pipe_needs_two_descriptors(rig: Rig, t: Any, limit: int) -> None:
    t.process.rlimits[RLIMIT_NOFILE] = (limit, limit)
    assert fails(rig, rig.handler("pipe")(t, t.mem.alloc(8))) == errno.EMFILE
    assert t.files.numbers() == []


def test_pipe_belongs_to_its_maker(rig: Rig) -> None:
    t = rig.task(Credentials.user(1000, 100))
    reader, writer = ends(t)
    attr = rig.run(reader.getattr(t))
    assert (attr.mode, attr.uid, attr.gid, attr.size) == (S_IFIFO | 0o600, 1000, 100, 0)
    assert rig.run(writer.getattr(t)).ino == attr.ino
    assert reader.proc_name() == b"pipe:[%d]" % attr.ino
    other, _ = ends(t)
    assert rig.run(other.getattr(t)).ino != attr.ino


# -- data ----------------------------------------------------------------------------------------------------


def test_bytes_come_out_in_order(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    assert rig.run(writer.write(t, b"hello ")) == 6
    assert rig.run(writer.write(t, b"world")) == 5
    assert rig.run(reader.read(t, 3)) == b"hel"
    assert rig.run(reader.read(t, 5)) == b"lo wo"
    assert rig.run(reader.read(t, 100)) == b"rld"


def test_empty_transfers_never_wait(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    assert rig.run(reader.read(t, 0)) == b""
    assert rig.run(writer.write(t, b"")) == 0
    rig.run(reader.put())
    assert rig.run(writer.write(t, b"")) == 0


def test_reader_waits_for_a_writer(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    job = rig.spawn(reader.read(t, 10))
    rig.settle()
    assert not job.done
    rig.run(writer.write(t, b"x"))
    rig.settle()
    assert job.value() == b"x"


def test_reader_sees_the_end_when_the_last_writer_goes(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    writer.get()
    job = rig.spawn(reader.read(t, 10))
    rig.run(writer.put())
    rig.settle()
    assert not job.done
    rig.run(writer.put())
    rig.settle()
    assert job.value() == b""
    assert rig.run(reader.read(t, 10)) == b""


def test_data_outlives_its_writer(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    rig.run(writer.write(t, b"last words"))
    rig.run(writer.put())
    assert rig.run(reader.read(t, 100)) == b"last words"
    assert rig.run(reader.read(t, 100)) == b""


def test_nonblocking_ends_answer_eagain(rig: Rig, t: Any) -> None:
    reader, writer = ends(t, O_NONBLOCK)
    assert fails(rig, reader.read(t, 1)) == errno.EAGAIN
    assert rig.run(writer.write(t, bytes(100_000))) == 65536
    assert fails(rig, writer.write(t, b"x")) == errno.EAGAIN
    rig.run(reader.read(t, 4095))
    assert fails(rig, writer.write(t, b"x")) == errno.EAGAIN, "no slot is free yet"
    rig.run(reader.read(t, 1))
    assert rig.run(writer.write(t, b"x" * 4096)) == 4096


def test_small_writes_are_atomic(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    rig.run(writer.write(t, bytes(65536 - 4096)))
    rig.run(writer.write(t, bytes(1000)))
    job = rig.spawn(writer.write(t, b"\1" * 4096))
    rig.settle()
    assert not job.done
    assert reader.pipe.size == 65536 - 4096 + 1000
    rig.run(reader.read(t, 4096))
    rig.settle()
    assert job.value() == 4096


def test_a_large_write_goes_on_as_room_appears(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    data = random.Random(1).randbytes(300_001)
    job = rig.spawn(writer.write(t, data))
    found = bytearray()
    while len(found) < len(data):
        found += rig.run(reader.read(t, 10_000))
        rig.settle()
    assert bytes(found) == data
    assert job.value() == len(data)


def test_several_readers_share(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    jobs = [rig.spawn(reader.read(t, 4)) for _ in range(3)]
    for word in (b"abcd", b"efgh", b"ijkl"):
        rig.run(writer.write(t, word))
        rig.settle()
    assert sorted(job.value() for job in jobs) == [b"abcd", b"efgh", b"ijkl"]


def test_what_could_not_be_delivered_is_read_again(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    rig.run(writer.write(t, b"abcdef"))
    rig.run(reader.unread(rig.run(reader.read(t, 4))[2:]))
    assert rig.run(reader.read(t, 10)) == b"cdef"
    rig.run(writer.write(t, b"xyz"))
    rig.run(reader.unread(rig.run(reader.read(t, 3))))
    assert rig.run(reader.read(t, 10)) == b"xyz"


def test_giving_back_to_a_full_pipe_still_wakes_writers(rig: Rig, t: Any) -> None:
    reader, writer = ends(t, O_NONBLOCK)
    rig.run(writer.write(t, bytes(65536)))
    data = rig.run(reader.read(t, 5000))
    rig.run(writer.write(t, bytes(4096)))
    rig.run(reader.unread(data))
    writer.flags &= ~O_NONBLOCK
    job = rig.spawn(writer.write(t, b"x"))
    found = 0
    while not job.done:
        found += len(rig.run(reader.read(t, 1000)))
        rig.settle()
    found += len(rig.run(reader.read(t, 100_000)))
    assert found == 65536 + 4096 + 1
    rig.run(reader.unread(b"back again"))
    assert rig.run(reader.read(t, 100)) == b"back again"


def test_packet_mode_keeps_messages_apart(rig: Rig, t: Any) -> None:
    reader, writer = ends(t, O_DIRECT)
    rig.run(writer.write(t, b"first"))
    rig.run(writer.write(t, b"second"))
    rig.run(writer.write(t, b"a" * 5000))
    assert rig.run(reader.read(t, 2)) == b"fi"
    assert rig.run(reader.read(t, 100)) == b"second"
    assert rig.run(reader.read(t, 5000)) == b"a" * 4096
    assert rig.run(reader.read(t, 5000)) == b"a" * 904


def test_fionread_on_both_ends(rig: Rig, t: Any) -> None:
    reader, writer = make(rig, t)
    rig.run(t.files.get(writer).write(t, b"12345"))
    at = t.mem.alloc(4)
    for fd in (reader, writer):
        rig.call(t, "ioctl", fd, FIONREAD, at)
        assert rig.run(t.mem.u32(at)) == 5
    assert fails(rig, rig.handler("ioctl")(t, reader, 0x5401, at)) == errno.ENOTTY


def test_a_pipe_has_no_position(rig: Rig, t: Any) -> None:
    reader, _ = ends(t)
    assert fails(rig, reader.lseek(t, 0, 0)) == errno.ESPIPE
    assert fails(rig, reader.pread(t, 1, 0)) == errno.ESPIPE
    assert fails(rig, reader.fsync(t, False)) == errno.EINVAL


# -- signals -------------------------------------------------------------------------------------------------


def test_writing_without_readers_is_epipe_and_sigpipe(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    t.process.sighand.set(SIGPIPE, SigAction(handler=0x1000))
    rig.run(reader.put())
    assert fails(rig, writer.write(t, b"x")) == errno.EPIPE
    assert t.pending.mask == bit(SIGPIPE)
    info = t.pending.pop(SIGPIPE)
    assert (info.code, info.pid) == (0, t.process.pid)


def test_ignored_sigpipe_leaves_epipe(rig: Rig, t: Any) -> None:
    reader, writer = ends(t, O_NONBLOCK)
    t.process.sighand.set(SIGPIPE, SigAction(handler=SIG_IGN))
    rig.run(reader.put())
    assert fails(rig, writer.write(t, b"x")) == errno.EPIPE
    assert t.pending.mask == 0


def test_readers_that_go_end_a_large_write(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    t.process.sighand.set(SIGPIPE, SigAction(handler=0x1000))
    job = rig.spawn(writer.write(t, bytes(100_000)))
    rig.run(reader.put())
    rig.settle()
    assert job.value() == 65536
    assert t.pending.mask == bit(SIGPIPE)


def test_a_signal_ends_a_read_and_a_write(rig: Rig, t: Any) -> None:
    t.process.sighand.set(SIGUSR1, SigAction(handler=0x1000))
    reader, writer = ends(t)
    job = rig.spawn(reader.read(t, 1))
    send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    assert isinstance(job.error, Interrupted)
    assert job.error.restart == Restart.SYS
    t.pending.pop(SIGUSR1)
    t.update_attention()
    job = rig.spawn(writer.write(t, bytes(70_000)))
    send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    assert job.value() == 65536, "a partial write is a short count"
    job = rig.spawn(writer.write(t, b"x"))
    assert isinstance(job.error, Interrupted)


# -- readiness -----------------------------------------------------------------------------------------------


def test_poll_masks(rig: Rig, t: Any) -> None:
    reader, writer = ends(t, O_NONBLOCK)
    assert reader.poll() == 0
    assert writer.poll() == POLLOUT | POLLWRNORM
    rig.run(writer.write(t, bytes(65536)))
    assert reader.poll() == POLLIN | POLLRDNORM
    assert writer.poll() == 0
    rig.run(writer.put())
    assert reader.poll() == POLLIN | POLLRDNORM | POLLHUP
    rig.run(reader.read(t, 65536))
    assert reader.poll() == POLLHUP
    reader, writer = ends(t)
    rig.run(reader.put())
    assert writer.poll() == POLLOUT | POLLWRNORM | POLLERR


# -- size ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "given"),
    [(0, 4096), (1, 4096), (4096, 4096), (4097, 8192), (65537, 131072), (1 << 20, 1 << 20)],
)
def test_pipe_sizes_are_powers_of_two(rig: Rig, t: Any, asked: int, given: int) -> None:
    reader, writer = make(rig, t)
    assert rig.call(t, "fcntl", reader, F_GETPIPE_SZ, 0) == 65536
    assert rig.call(t, "fcntl", reader, F_SETPIPE_SZ, asked) == given
    assert rig.call(t, "fcntl", writer, F_GETPIPE_SZ, 0) == given


def test_pipe_size_errors(rig: Rig) -> None:
    t = rig.task(Credentials.user(1000, 1000))
    reader, writer = make(rig, t)
    resize = rig.handler("fcntl")
    assert fails(rig, resize(t, reader, F_SETPIPE_SZ, (1 << 20) + 1)) == errno.EPERM
    assert fails(rig, resize(t, reader, F_SETPIPE_SZ, (1 << 31) + 1)) == errno.EINVAL
    rig.run(t.files.get(writer).write(t, bytes(8192)))
    assert fails(rig, resize(t, reader, F_SETPIPE_SZ, 4096)) == errno.EBUSY
    assert rig.call(t, "fcntl", reader, F_SETPIPE_SZ, 8192) == 8192
    root = rig.task()
    reader, _ = make(rig, root)
    assert rig.call(root, "fcntl", reader, F_SETPIPE_SZ, 1 << 21) == 1 << 21


def test_a_pipe_has_at_most_so_many_slots(rig: Rig) -> None:
    root = rig.task()
    reader, _ = make(rig, root)
    resize = rig.handler("fcntl")
    assert rig.call(root, "fcntl", reader, F_SETPIPE_SZ, 1 << 28) == 1 << 28
    for size in ((1 << 28) + 1, 1 << 31):
        assert fails(rig, resize(root, reader, F_SETPIPE_SZ, size)) == errno.ENOMEM


def test_contents_take_the_machines_memory(rig: Rig, t: Any) -> None:
    room = rig.server.port.room
    reader, writer = ends(t)
    rig.run(writer.write(t, bytes(40_000)))
    assert room.used == 40_000
    rig.run(reader.read(t, 39_000))
    assert room.used == 40_000, "the piece is there until all of it is read"
    rig.run(reader.unread(bytes(500)))
    rig.run(reader.read(t, 1500))
    assert room.used == 0
    rig.run(writer.write(t, bytes(5000)))
    rig.run(writer.put())
    rig.run(reader.put())
    assert room.used == 0


def test_who_fills_the_machines_memory_by_pipes_is_killed(rig: Rig, t: Any) -> None:
    room = rig.server.port.room
    held = []
    with pytest.raises(OutOfMemory):
        for _ in range(2 * room.size >> 20):
            reader, writer = ends(t)
            reader.pipe.slots = 256
            held.append(reader)
            rig.run(writer.write(t, bytes(1 << 20)))
    assert room.used < room.size


def test_small_pieces_in_a_slot_are_one(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    text = bytes(number % 251 for number in range(20_000))
    rig.run(writer.write(t, text[:5000]))
    for at in range(5000, 12_000):
        rig.run(writer.write(t, text[at : at + 1]))
    assert len(reader.pipe._chunks) < 5
    rig.run(reader.read(t, 100))
    rig.run(writer.write(t, text[12_000:]))
    assert rig.run(reader.read(t, 65536)) == text[100:]


def test_a_larger_pipe_lets_a_waiting_writer_go_on(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    job = rig.spawn(writer.write(t, bytes(100_000)))
    reader.pipe.resize(t, 1 << 17)
    rig.settle()
    assert job.value() == 100_000


# -- FIFOs ---------------------------------------------------------------------------------------------------


def fifo(rig: Rig) -> VirtualNode:
    return VirtualNode(rig.server.devices.pipefs, S_IFIFO | 0o644, 0)


def test_fifo_ends_wait_for_each_other(rig: Rig, t: Any) -> None:
    inode = fifo(rig)
    reading = rig.spawn(open_fifo(t, inode, O_RDONLY, None))
    rig.settle()
    assert not reading.done
    writer = rig.run(open_fifo(t, inode, O_WRONLY, None))
    rig.settle()
    reader = reading.value()
    rig.run(writer.write(t, b"through"))
    assert rig.run(reader.read(t, 100)) == b"through"
    inode = fifo(rig)
    writing = rig.spawn(open_fifo(t, inode, O_WRONLY, None))
    rig.settle()
    assert not writing.done
    rig.run(open_fifo(t, inode, O_RDONLY, None))
    rig.settle()
    assert writing.done


def test_a_partner_that_came_and_went_counts(rig: Rig, t: Any) -> None:
    inode = fifo(rig)
    reading = rig.spawn(open_fifo(t, inode, O_RDONLY, None))
    writer = rig.run(open_fifo(t, inode, O_WRONLY, None))
    rig.run(writer.put())
    rig.settle()
    assert rig.run(reading.value().read(t, 1)) == b""


def test_nonblocking_fifo_open(rig: Rig, t: Any) -> None:
    inode = fifo(rig)
    assert fails(rig, open_fifo(t, inode, O_WRONLY | O_NONBLOCK, None)) == errno.ENXIO
    assert inode.pipe is None
    reader = rig.run(open_fifo(t, inode, O_RDONLY | O_NONBLOCK, None))
    assert reader.poll() == 0, "no hang-up before there was a writer"
    assert rig.run(reader.read(t, 1)) == b""
    writer = rig.run(open_fifo(t, inode, O_WRONLY | O_NONBLOCK, None))
    assert fails(rig, reader.read(t, 1)) == errno.EAGAIN
    rig.run(writer.put())
    assert reader.poll() == POLLHUP


def test_fifo_opened_for_both_waits_for_nobody(rig: Rig, t: Any) -> None:
    inode = fifo(rig)
    both = rig.run(open_fifo(t, inode, O_RDWR, None))
    assert both.poll() == POLLOUT | POLLWRNORM
    rig.run(both.write(t, b"self"))
    assert both.poll() == POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM
    assert rig.run(both.read(t, 10)) == b"self"


def test_fifo_is_empty_again_when_everybody_left(rig: Rig, t: Any) -> None:
    inode = fifo(rig)
    both = rig.run(open_fifo(t, inode, O_RDWR, None))
    rig.run(both.write(t, b"lost"))
    rig.run(both.put())
    assert inode.pipe is None
    reader = rig.run(open_fifo(t, inode, O_RDONLY | O_NONBLOCK, None))
    assert rig.run(reader.read(t, 10)) == b""


def test_a_signal_undoes_a_fifo_open(rig: Rig, t: Any) -> None:
    t.process.sighand.set(SIGUSR1, SigAction(handler=0x1000))
    inode = fifo(rig)
    job = rig.spawn(open_fifo(t, inode, O_RDONLY, None))
    send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    assert isinstance(job.error, Interrupted)
    assert inode.pipe is None


def test_an_anonymous_pipe_can_be_opened_again(rig: Rig, t: Any) -> None:
    reader, writer = ends(t)
    rig.run(writer.put())
    again = rig.run(open_fifo(t, reader.inode, O_WRONLY, None))
    rig.run(again.write(t, b"back"))
    assert rig.run(reader.read(t, 10)) == b"back"


# -- the same on this machine --------------------------------------------------------------------------------

_POLL_ALL = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM


def _native_poll(fd: int) -> int:
    poller = select.poll()
    poller.register(fd, _POLL_ALL)
    found = poller.poll(0)
    return found[0][1] if found else 0


def _native(call: Any, *args: Any) -> Any:
    try:
        return call(*args)
    except OSError as error:
        return error.errno


def _ours(rig: Rig, coro: Any) -> Any:
    try:
        return rig.run(coro)
    except SysError as error:
        return error.errno


@on_linux
@pytest.mark.native
@pytest.mark.parametrize("seed", range(12))
def test_random_transfers_fill_and_drain_as_on_linux(rig: Rig, t: Any, seed: int) -> None:
    rng = random.Random(seed)
    reader, writer = ends(t, O_NONBLOCK)
    host_reader, host_writer = os.pipe2(os.O_NONBLOCK)
    sizes = (1, 2, 7, 100, 1000, 4000, 4095, 4096, 4097, 5000, 8192, 10_000, 30_000, 65_536, 70_000)
    steps = []
    try:
        for _ in range(400):
            size = rng.choice(sizes)
            if rng.random() < 0.55:
                data = rng.randbytes(size)
                steps.append(f"write {size}")
                assert _ours(rig, writer.write(t, data)) == _native(os.write, host_writer, data), steps[-8:]
            else:
                steps.append(f"read {size}")
                assert _ours(rig, reader.read(t, size)) == _native(os.read, host_reader, size), steps[-8:]
            waiting = struct.unpack("i", host_fcntl.ioctl(host_reader, FIONREAD, bytes(4)))[0]
            assert reader.pipe.size == waiting, steps[-8:]
            assert reader.poll() == _native_poll(host_reader), steps[-8:]
            assert writer.poll() == _native_poll(host_writer), steps[-8:]
    finally:
        os.close(host_reader)
        os.close(host_writer)


@on_linux
@pytest.mark.native
@pytest.mark.parametrize("seed", range(4))
def test_random_resizing_is_accepted_as_on_linux(rig: Rig, seed: int) -> None:
    rng = random.Random(seed)
    t = rig.task(Credentials() if os.geteuid() == 0 else Credentials.user(1000, 1000))
    reader, writer = make(rig, t, O_NONBLOCK)
    host_reader, host_writer = os.pipe2(os.O_NONBLOCK)
    try:
        for _ in range(150):
            action, size = rng.randrange(3), rng.choice((0, 1, 4096, 5000, 16384, 60_000, 65_536, 200_000))
            if action == 0:
                ours = _ours(rig, rig.handler("fcntl")(t, reader, F_SETPIPE_SZ, size))
                assert ours == _native(host_fcntl.fcntl, host_reader, F_SETPIPE_SZ, size)
            elif action == 1:
                data = bytes(size)
                ours = _ours(rig, t.files.get(writer).write(t, data))
                assert ours == _native(os.write, host_writer, data)
            else:
                ours = _ours(rig, t.files.get(reader).read(t, size or 1))
                assert ours == _native(os.read, host_reader, size or 1)
    finally:
        os.close(host_reader)
        os.close(host_writer)
