"""POSIX message queues: mq_open, mq_unlink, mq_timedsend, mq_timedreceive, mq_notify, mq_getsetattr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.messages import clock
from linuxemu.testing import BAD, NULL, Call, Guest
from syscalls.abi.errno import (
    EACCES,
    EAGAIN,
    EBADF,
    EBUSY,
    EEXIST,
    EFAULT,
    EINTR,
    EINVAL,
    EIO,
    EMFILE,
    EMSGSIZE,
    ENAMETOOLONG,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTSOCK,
    EPERM,
    ETIMEDOUT,
)
from syscalls.abi.flags import (
    CLOCK_REALTIME,
    EPOLLET,
    EPOLLIN,
    EPOLLOUT,
    F_GETFD,
    F_GETFL,
    MS_BIND,
    O_CREAT,
    O_DIRECT,
    O_EXCL,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    POLLIN,
    POLLOUT,
    RLIMIT_MSGQUEUE,
    SA_RESTART,
    SCHED_FIFO,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SIGEV_NONE,
    SIGEV_SIGNAL,
    SIGEV_THREAD,
    SIGUSR1,
)
from syscalls.abi.structs import MqAttr, Pollfd, Rlimit, Sigevent, Stat, Statfs, Timespec
from tests.handlers.cases import SUCCESS, Edge, Out, fails, ok, proves
from tests.handlers.interrupting import SECOND, Sender
from tests.handlers.opened import both, no_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable

Q, FD, SIZE, MAX = "queue", 3, 16, 2
ATTR, PRIORITY, TEXT = Out(MqAttr), Out("<I"), Out(SIZE)
SMALL = MqAttr(0, MAX, SIZE, 0)
USER = (1000, 1000)
GETTIME = ["clock.gettime"]
SIGNAL, NOTHING = Sigevent(7, SIGUSR1, SIGEV_SIGNAL, 0), Sigevent(0, 0, SIGEV_NONE, 0)
NOT_VALID, PAST = Timespec(0, SECOND), Timespec(1, 0)


def _queue(flags: int = O_RDWR | O_NONBLOCK, mode: int = 0o600, attr: MqAttr = SMALL) -> Callable[[Guest], None]:
    def setup(guest: Guest) -> None:
        assert guest.syscall.mq_open(Q, flags | O_CREAT, mode, attr) == FD

    return setup


def _send(guest: Guest, *texts: bytes, priority: int = 0) -> None:
    for text in texts:
        guest.syscall.mq_timedsend(FD, text, len(text), priority, NULL)


def _receive(guest: Guest, fd: int = FD) -> bytes:
    count = guest.syscall.mq_timedreceive(fd, TEXT, SIZE, NULL, NULL)
    received: bytes = TEXT.value[:count]
    return received


def _full(guest: Guest) -> None:
    _queue()(guest)
    _send(guest, b"1", b"2")


def _filled(guest: Guest) -> None:
    _queue()(guest)
    _send(guest, b"low")
    _send(guest, b"high", priority=32767)


def _somebody_elses(mode: int) -> Callable[[Guest], None]:
    def setup(guest: Guest) -> None:
        other = guest.process()
        other.syscall.mq_open(Q, O_CREAT | O_RDWR, mode, SMALL)

    return setup


def _limit(count: int) -> Callable[[Guest], None]:
    return lambda guest: guest.syscall.setrlimit(RLIMIT_MSGQUEUE, Rlimit(count, count))


def _no_memory(guest: Guest) -> None:
    guest.linux.queue_limits.memory = 1 << 28


def _one_queue_only(guest: Guest) -> None:
    guest.linux.queue_limits.queues_max = 1
    other = guest.process(uid=1000, gid=1000)
    other.syscall.mq_open("other", O_CREAT | O_RDWR, 0o600, SMALL)


def _private_directory(guest: Guest) -> None:
    other = guest.process()
    other.syscall.mq_open(Q, O_CREAT | O_RDWR, 0o600, SMALL)
    queues = guest.linux.message_queues
    assert queues is not None
    queues.directory.attr = queues.directory.attr._replace(mode=0o040700)


def _mounted(guest: Guest) -> None:
    """/dir is where the queues are."""
    guest.syscall.mount("none", "/dir", "mqueue", 0, NULL)


def _something_mounted_on_it(guest: Guest) -> None:
    _queue()(guest)
    _mounted(guest)
    guest.syscall.mount("/file", "/dir/queue", 0, MS_BIND, 0)


def _notified(guest: Guest) -> None:
    _queue()(guest)
    guest.syscall.mq_notify(FD, SIGNAL)


def _got(text: bytes, priority: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert (TEXT.value[: len(text)], PRIORITY.value) == (text, priority)

    return check


def _has(*attributes: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        guest.syscall.mq_getsetattr(FD, NULL, ATTR)
        assert ATTR.value == MqAttr(*attributes)

    return check


def _was(*attributes: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert ATTR.value == MqAttr(*attributes)

    return check


def _closes_on_exec(guest: Guest, call: Call) -> None:
    assert guest.syscall.fcntl(FD, F_GETFD, 0) == 1


def _is_gone(guest: Guest, call: Call) -> None:
    assert guest.start.mq_open(Q, O_RDWR, 0, NULL).errno == ENOENT


def _with(**values: int) -> MqAttr:
    return MqAttr(**{"mq_maxmsg": MAX, "mq_msgsize": SIZE, **values})


OPEN = O_RDWR | O_CREAT
CASES = [
    ok("mq_open", Q, OPEN, 0o600, SMALL, returns=FD, rpcs=GETTIME, check=_has(0, MAX, SIZE, 0)),
    ok("mq_open", Q, OPEN, 0o600, NULL, returns=FD, rpcs=GETTIME, check=_has(0, 10, 8192, 0), label="default"),
    ok("mq_open", Q, OPEN | O_NONBLOCK, 0o600, SMALL, returns=FD, rpcs=GETTIME, check=_has(O_NONBLOCK, MAX, SIZE, 0),
       label="does not wait"),
    ok("mq_open", Q, O_RDWR, 0, NULL, returns=4, rpcs=[], setup=_queue(), label="there already"),
    ok("mq_open", Q, OPEN, 0, _with(mq_maxmsg=0), returns=4, rpcs=[], setup=_queue(), label="attributes do not count"),
    ok("mq_open", Q, O_RDONLY, 0, NULL, returns=3, rpcs=[], setup=_somebody_elses(0o604), user=USER, label="others"),
    ok("mq_open", Q, O_PATH | O_RDWR, 0, NULL, returns=4, rpcs=[], setup=_queue(), label="O_PATH"),
    ok("mq_open", Q, 3 | O_CREAT, 0, SMALL, returns=3, rpcs=GETTIME, check=_closes_on_exec, label="neither"),
    ok("mq_open", "n" * 255, OPEN, 0, _with(mq_maxmsg=65536, mq_msgsize=1), returns=3, rpcs=GETTIME,
       setup=_limit(1 << 30), label="root may exceed limits"),
    fails("mq_open", EFAULT, Q, O_RDWR, 0, BAD, rpcs=[], label="attributes that do not count"),
    fails("mq_open", EFAULT, Edge(b"queue"), O_RDWR, 0, NULL, rpcs=[], label="no end"),
    fails("mq_open", ENOENT, "", OPEN, 0, NULL, rpcs=[], setup=no_descriptors, label="no name"),
    fails("mq_open", ENOENT, Q, O_RDWR, 0, NULL, rpcs=GETTIME),
    fails("mq_open", EACCES, "/queue", OPEN, 0, NULL, rpcs=GETTIME, label="slash"),
    fails("mq_open", EACCES, "n" * 300 + "/", OPEN, 0, NULL, rpcs=GETTIME, label="slash in a long name"),
    fails("mq_open", EACCES, ".", OPEN, 0, NULL, rpcs=GETTIME, label="dot"),
    fails("mq_open", EACCES, "..", O_RDWR, 0, NULL, rpcs=GETTIME, label="dot dot"),
    fails("mq_open", ENAMETOOLONG, "n" * 256, OPEN, 0, NULL, rpcs=GETTIME),
    fails("mq_open", ENAMETOOLONG, "/" * 4096, OPEN, 0, NULL, rpcs=[], label="path"),
    fails("mq_open", EMFILE, "/queue", OPEN, 0, NULL, rpcs=[], setup=no_descriptors, label="descriptors"),
    fails("mq_open", EEXIST, Q, OPEN | O_EXCL | 3, 0, NULL, rpcs=[], setup=_queue()),
    fails("mq_open", EINVAL, Q, 3, 0, NULL, rpcs=[], setup=_queue(), label="neither"),
    fails("mq_open", EINVAL, Q, O_RDWR | O_DIRECT, 0, NULL, rpcs=[], setup=_queue(), label="O_DIRECT"),
    fails("mq_open", EACCES, Q, O_RDWR, 0, NULL, rpcs=[], setup=_somebody_elses(0o604), user=USER),
    fails("mq_open", EACCES, "other", OPEN, 0o600, NULL, setup=_private_directory, user=USER, label="directory"),
    fails("mq_open", EINVAL, Q, OPEN, 0, _with(mq_maxmsg=0), rpcs=GETTIME, label="no messages"),
    fails("mq_open", EINVAL, Q, OPEN, 0, _with(mq_msgsize=-1), rpcs=GETTIME, label="no bytes"),
    fails("mq_open", EINVAL, Q, OPEN, 0, _with(mq_maxmsg=65537), rpcs=GETTIME, label="too many for root"),
    fails("mq_open", EINVAL, Q, OPEN, 0, _with(mq_msgsize=(1 << 24) + 1), rpcs=GETTIME, label="too large for root"),
    fails("mq_open", EINVAL, Q, OPEN, 0, _with(mq_maxmsg=11), rpcs=GETTIME, user=USER, label="too many"),
    fails("mq_open", EINVAL, Q, OPEN, 0, _with(mq_msgsize=8193), rpcs=GETTIME, user=USER, label="too large"),
    fails("mq_open", EMFILE, Q, OPEN, 0, SMALL, rpcs=GETTIME, setup=_limit(MAX * (SIZE + 96) - 1)),
    fails("mq_open", ENOSPC, Q, OPEN, 0, SMALL, rpcs=[], setup=_one_queue_only, user=USER),
    fails("mq_open", ENOMEM, Q, OPEN, 0, SMALL, rpcs=GETTIME, setup=_no_memory),
    ok("mq_unlink", Q, returns=0, rpcs=[], setup=_queue(), check=_is_gone),
    fails("mq_unlink", ENOENT, Q, rpcs=GETTIME),
    fails("mq_unlink", ENOENT, "", rpcs=[], label="no name"),
    fails("mq_unlink", EACCES, "/queue", rpcs=GETTIME, label="slash"),
    fails("mq_unlink", ENAMETOOLONG, "n" * 256, rpcs=GETTIME),
    fails("mq_unlink", EPERM, Q, rpcs=[], setup=_somebody_elses(0o666), user=USER),
    fails("mq_unlink", EACCES, Q, rpcs=[], setup=_private_directory, user=USER, label="directory"),
    fails("mq_unlink", EBUSY, Q, rpcs=[], setup=_something_mounted_on_it),
    ok("mq_timedsend", FD, b"text", 4, 0, NULL, returns=0, rpcs=[], setup=_queue(),
       check=_has(O_NONBLOCK, MAX, SIZE, 1)),
    ok("mq_timedsend", FD, b"text", 4, 32767, PAST, returns=0, rpcs=[], setup=_queue(), label="nothing to wait for"),
    ok("mq_timedsend", FD, bytes(SIZE), SIZE, 0, NULL, returns=0, rpcs=[], setup=_queue(), label="longest"),
    fails("mq_timedsend", EINVAL, -1, BAD, 4, 0, NOT_VALID, rpcs=[], label="no time"),
    fails("mq_timedsend", EINVAL, -1, BAD, 4, 0, Timespec(-1, 0), rpcs=[], label="negative time"),
    fails("mq_timedsend", EFAULT, -1, BAD, 4, 32768, BAD, rpcs=[], label="time first"),
    fails("mq_timedsend", EINVAL, -1, BAD, 4, 32768, NULL, rpcs=[], label="priority"),
    fails("mq_timedsend", EBADF, -1, BAD, 4, 0, NULL, rpcs=[]),
    fails("mq_timedsend", EBADF, 0, BAD, 4, 0, NULL, rpcs=[], label="no queue"),
    fails("mq_timedsend", EBADF, FD, b"x", 1, 0, NULL, rpcs=[], setup=_queue(O_RDONLY), label="read only"),
    fails("mq_timedsend", EMSGSIZE, FD, BAD, SIZE + 1, 0, NULL, rpcs=[], setup=_queue()),
    fails("mq_timedsend", EFAULT, FD, Edge(b"tex"), 4, 0, NULL, rpcs=[], setup=_full, label="no end, and full"),
    fails("mq_timedsend", EAGAIN, FD, b"x", 1, 0, PAST, rpcs=[], setup=_full),
    fails("mq_timedsend", ENOMEM, FD, b"x", 1, 0, NULL, rpcs=[], setup=both(_queue(), _no_memory)),
    ok("mq_timedreceive", FD, TEXT, SIZE, PRIORITY, NULL, returns=4, rpcs=[], setup=_filled,
       check=_got(b"high", 32767)),
    ok("mq_timedreceive", FD, TEXT, 1 << 63, NULL, PAST, returns=1, rpcs=[], setup=_full, label="nothing to wait for"),
    fails("mq_timedreceive", EINVAL, -1, BAD, 0, BAD, NOT_VALID, rpcs=[], label="no time"),
    fails("mq_timedreceive", EBADF, -1, BAD, 0, BAD, NULL, rpcs=[]),
    fails("mq_timedreceive", EBADF, 0, BAD, SIZE, BAD, NULL, rpcs=[], label="no queue"),
    fails("mq_timedreceive", EBADF, FD, BAD, SIZE, BAD, NULL, rpcs=[], setup=_queue(O_WRONLY), label="write only"),
    fails("mq_timedreceive", EMSGSIZE, FD, BAD, SIZE - 1, BAD, NULL, rpcs=[], setup=_queue()),
    fails("mq_timedreceive", EAGAIN, FD, TEXT, SIZE, PRIORITY, PAST, rpcs=[], setup=_queue()),
    fails("mq_timedreceive", EFAULT, FD, BAD, SIZE, PRIORITY, NULL, rpcs=[], setup=_full,
          check=_has(O_NONBLOCK, MAX, SIZE, 1), label="the message is lost"),
    ok("mq_notify", FD, SIGNAL, returns=0, rpcs=[], setup=_queue()),
    ok("mq_notify", FD, NULL, returns=0, rpcs=[], setup=_queue(), label="nothing to end"),
    ok("mq_notify", FD, NULL, returns=0, rpcs=[], setup=_notified, label="ended"),
    ok("mq_notify", FD, Sigevent(0, 0, SIGEV_SIGNAL, 0), returns=0, rpcs=[], setup=_queue(), label="no signal"),
    ok("mq_notify", FD, Sigevent(0, 99, SIGEV_NONE, 0), returns=0, rpcs=[], setup=_queue(O_WRONLY), label="nothing"),
    fails("mq_notify", EINVAL, -1, Sigevent(0, 65, SIGEV_SIGNAL, 0), rpcs=[], label="no such signal"),
    fails("mq_notify", EINVAL, -1, Sigevent(0, -1, SIGEV_SIGNAL, 0), rpcs=[], label="negative signal"),
    fails("mq_notify", EINVAL, -1, Sigevent(0, 1, 4, 0), rpcs=[], label="thread id"),
    fails("mq_notify", EFAULT, FD, Sigevent(BAD, FD, SIGEV_THREAD, 0), rpcs=[], setup=_queue(), label="cookie"),
    fails("mq_notify", EBADF, lambda g: (FD, Sigevent(g.put(bytes(32)), 9, SIGEV_THREAD, 0)), rpcs=[], setup=_queue(),
          label="no socket"),
    fails("mq_notify", ENOTSOCK, lambda g: (-1, Sigevent(g.put(bytes(32)), FD, SIGEV_THREAD, 0)), rpcs=[],
          setup=_queue()),
    fails("mq_notify", EBADF, 0, SIGNAL, rpcs=[], label="no queue"),
    fails("mq_notify", EBUSY, FD, NOTHING, rpcs=[], setup=_notified),
    ok("mq_getsetattr", FD, _with(mq_flags=O_NONBLOCK, mq_maxmsg=9), ATTR, returns=0, rpcs=[], setup=_queue(O_RDWR),
       check=_was(0, MAX, SIZE, 0)),
    ok("mq_getsetattr", FD, MqAttr(), NULL, returns=0, rpcs=[], setup=_queue(), check=_has(0, MAX, SIZE, 0),
       label="waits"),
    ok("mq_getsetattr", FD, NULL, NULL, returns=0, rpcs=[], setup=_full, check=_has(O_NONBLOCK, MAX, SIZE, 2),
       label="nothing"),
    fails("mq_getsetattr", EINVAL, -1, MqAttr(1), BAD, rpcs=[]),
    fails("mq_getsetattr", EBADF, -1, NULL, BAD, rpcs=[]),
    fails("mq_getsetattr", EBADF, 0, NULL, BAD, rpcs=[], label="no queue"),
]  # fmt: skip


@pytest.fixture
def guest(new_guest: Callable[..., Guest]) -> Guest:
    """A guest with a queue, 3, of two messages of 16 bytes."""
    made = new_guest(root="memfs")
    _queue(O_RDWR)(made)
    return made


# -- messages -------------------------------------------------------------------------------------------------------


def test_first_in_first_out_among_those_of_one_priority(guest: Guest) -> None:
    guest.syscall.close(FD)
    guest.syscall.mq_unlink(Q)
    _queue(O_RDWR, attr=_with(mq_maxmsg=10))(guest)
    _send(guest, b"b1", b"b2", priority=1)
    _send(guest, b"c1", priority=2)
    _send(guest, b"a1")
    _send(guest, b"b3", priority=1)
    assert [_receive(guest) for _ in range(5)] == [b"c1", b"b1", b"b2", b"b3", b"a1"]


@proves("mq_timedreceive", SUCCESS, rpcs=[])
@proves("mq_timedsend", SUCCESS, rpcs=[])
def test_who_waits_longest_gets_the_message(guest: Guest) -> None:
    first, second = guest.thread(), guest.thread()
    waiting = [thread.start.mq_timedreceive(FD, TEXT, SIZE, NULL, NULL) for thread in (first, second)]
    _send(guest, b"1")
    assert [call.blocked for call in waiting] == [False, True]
    _send(guest, b"12")
    assert [call.result for call in waiting] == [1, 2]


def test_the_most_urgent_goes_before_those_who_wait_longer(guest: Guest) -> None:
    calm, nice, urgent = guest.thread(), guest.thread(), guest.thread()
    nice.syscall.setpriority(0, 0, 5)
    urgent.syscall.sched_setscheduler(0, SCHED_FIFO, (1).to_bytes(4, "little"))
    waiting = [thread.start.mq_timedreceive(FD, TEXT, SIZE, NULL, NULL) for thread in (nice, calm, urgent)]
    for text in (b"1", b"12", b"123"):
        _send(guest, text)
    assert [call.result for call in waiting] == [3, 2, 1]


def test_a_sender_waits_for_room(guest: Guest) -> None:
    _send(guest, b"1", b"2")
    other = guest.thread()
    call = other.start.mq_timedsend(FD, b"3", 1, 0, NULL)
    assert call.blocked
    assert _receive(guest) == b"1"
    assert call.result == 0
    assert [_receive(guest) for _ in range(2)] == [b"2", b"3"]


@proves("mq_timedreceive", EINTR, rpcs=[])
def test_a_handler_ends_a_wait(guest: Guest) -> None:
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1)
    call = guest.start.mq_timedreceive(FD, TEXT, SIZE, NULL, NULL)
    sender.send()
    assert (call.errno, handler.signals) == (EINTR, [SIGUSR1])
    _send(guest, b"1")
    assert _receive(guest) == b"1"


@proves("mq_timedsend", EINTR, rpcs=[])
def test_a_handler_ends_a_wait_for_room(guest: Guest) -> None:
    _send(guest, b"1", b"2")
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1)
    call = guest.start.mq_timedsend(FD, b"3", 1, 0, NULL)
    sender.send()
    assert (call.errno, handler.signals) == (EINTR, [SIGUSR1])
    assert [_receive(guest) for _ in range(2)] == [b"1", b"2"]


def test_a_handler_with_sa_restart_lets_it_begin_again(guest: Guest) -> None:
    other, sender, handler = guest.thread(), Sender(guest), guest.on_signal(SIGUSR1, flags=SA_RESTART)
    call = guest.start.mq_timedreceive(FD, TEXT, SIZE, NULL, NULL)
    sender.send()
    assert (call.blocked, handler.signals) == (True, [SIGUSR1])
    other.syscall.mq_timedsend(FD, b"1", 1, 0, NULL)
    assert call.result == 1


def _in(guest: Guest, seconds: int) -> Timespec:
    return Timespec.from_ns(guest.clock.realtime_ns + seconds * SECOND)


@proves("mq_timedreceive", ETIMEDOUT, rpcs=GETTIME)
def test_a_wait_ends_at_its_time(guest: Guest) -> None:
    begun = guest.clock.now_ns
    call = guest.start.mq_timedreceive(FD, TEXT, SIZE, NULL, _in(guest, 3))
    assert guest.complete(call).errno == ETIMEDOUT
    assert guest.clock.now_ns - begun == 3 * SECOND


@proves("mq_timedsend", ETIMEDOUT, rpcs=GETTIME)
def test_a_wait_for_room_ends_at_its_time(guest: Guest) -> None:
    _send(guest, b"1", b"2")
    call = guest.start.mq_timedsend(FD, b"3", 1, 0, PAST)
    assert guest.complete(call).errno == ETIMEDOUT


@proves("mq_timedreceive", SUCCESS, rpcs=GETTIME)
def test_a_message_comes_in_time(guest: Guest) -> None:
    other = guest.thread()
    call = guest.start.mq_timedreceive(FD, TEXT, SIZE, NULL, _in(guest, 3))
    guest.clock.advance(s=2)
    other.syscall.mq_timedsend(FD, b"1", 1, 0, NULL)
    assert call.result == 1


@pytest.mark.parametrize(("ahead", "left"), [(2, 1), (5, 0), (-2, 5)])
def test_the_end_of_a_wait_moves_when_the_clock_is_set(guest: Guest, ahead: int, left: int) -> None:
    other, begun = guest.process(), guest.clock.now_ns
    guest.clock.advance(s=10)
    call = guest.start.mq_timedreceive(FD, TEXT, SIZE, NULL, _in(guest, 3))
    other.syscall.clock_settime(CLOCK_REALTIME, _in(guest, ahead))
    assert guest.complete(call).errno == ETIMEDOUT
    assert guest.clock.now_ns - begun == (10 + left) * SECOND


@proves("mq_timedreceive", EIO, rpcs=GETTIME)
@proves("mq_timedsend", EIO, rpcs=GETTIME)
def test_the_clock_cannot_be_read(guest: Guest) -> None:
    guest.time.expect(clock.Gettime(CLOCK_REALTIME)).error(EIO)
    assert guest.start.mq_timedreceive(FD, TEXT, SIZE, NULL, PAST).errno == EIO
    _send(guest, b"1", b"2")
    guest.time.expect(clock.Gettime(CLOCK_REALTIME)).error(EIO)
    assert guest.start.mq_timedsend(FD, b"3", 1, 0, PAST).errno == EIO
    assert guest.linux.queue_limits.memory == 4096 + 2 * (1 + 256)


@proves("mq_unlink", EIO, rpcs=GETTIME)
def test_the_clock_cannot_be_read_for_the_first_queue(guest: Guest) -> None:
    guest.linux.message_queues = None
    guest.time.expect(clock.Gettime(CLOCK_REALTIME)).error(EIO)
    assert guest.start.mq_unlink(Q).errno == EIO


def test_a_queue_that_is_closed_while_somebody_waits_stays_until_he_is_done(guest: Guest) -> None:
    other = guest.thread()
    call = other.start.mq_timedreceive(FD, TEXT, SIZE, NULL, NULL)
    limits = guest.linux.queue_limits
    again = guest.syscall.mq_open(Q, O_WRONLY, 0, NULL)
    guest.syscall.mq_unlink(Q)
    guest.syscall.close(FD)
    guest.syscall.mq_timedsend(again, b"1", 1, 0, NULL)
    assert (call.result, limits.queues) == (1, 1)
    guest.syscall.close(again)
    assert (limits.queues, limits.memory) == (0, 0)


def test_messages_of_a_queue_that_is_gone_take_no_memory(guest: Guest) -> None:
    limits = guest.linux.queue_limits
    _send(guest, b"12", b"345")
    assert (limits.queues, limits.memory) == (1, 4096 + 2 * 256 + 5)
    guest.syscall.close(FD)
    guest.syscall.mq_unlink(Q)
    assert (limits.queues, limits.memory) == (0, 0)


def test_a_queue_that_is_gone_cannot_be_opened_through_what_is_left_of_it(guest: Guest) -> None:
    guest.mount_system()
    place = guest.syscall.mq_open(Q, O_PATH, 0, NULL)
    guest.syscall.mq_unlink(Q)
    assert guest.syscall.close(guest.syscall.open(f"/proc/self/fd/{place}", O_RDWR, 0)) == 0
    guest.syscall.close(FD)
    assert guest.start.open(f"/proc/self/fd/{place}", O_RDWR, 0).errno == ENOENT
    assert guest.linux.queue_limits.queues == 0


# -- notification ---------------------------------------------------------------------------------------------------


def _state(guest: Guest) -> bytes:
    shown = Out(100)
    count = guest.syscall.pread64(FD, shown, 100, 0)
    state: bytes = shown.value[:count]
    return state


def _shown(size: int, method: int, signo: int, pid: int) -> bytes:
    return b"QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n" % (size, method, signo, pid)


def test_one_message_is_told_of(guest: Guest) -> None:
    handler, pid = guest.on_signal(SIGUSR1), guest.main.pid
    guest.syscall.mq_notify(FD, SIGNAL)
    assert _state(guest) == _shown(0, 0, SIGUSR1, pid)
    _send(guest, b"1")
    assert (handler.signals, _state(guest)) == ([SIGUSR1], _shown(1, 0, 0, 0))
    guest.syscall.mq_notify(FD, SIGNAL)
    _send(guest, b"2")
    assert (handler.signals, _state(guest)) == ([SIGUSR1], _shown(2, 0, SIGUSR1, pid))


def test_not_of_one_that_somebody_waits_for(guest: Guest) -> None:
    handler, other = guest.on_signal(SIGUSR1), guest.thread()
    guest.syscall.mq_notify(FD, SIGNAL)
    call = other.start.mq_timedreceive(FD, TEXT, SIZE, NULL, NULL)
    _send(guest, b"1")
    assert (call.result, handler.signals, _state(guest)) == (1, [], _shown(0, 0, SIGUSR1, guest.main.pid))


def test_without_a_signal(guest: Guest) -> None:
    guest.syscall.mq_notify(FD, NOTHING)
    assert _state(guest) == _shown(0, SIGEV_NONE, 0, guest.main.pid)
    _send(guest, b"1")
    assert _state(guest) == _shown(1, 0, 0, 0)


def _closes(guest: Guest) -> None:
    guest.syscall.close(guest.syscall.dup(FD))


def _closes_by_dup2(guest: Guest) -> None:
    guest.syscall.dup2(0, guest.syscall.dup(FD))


@pytest.mark.parametrize("close", [_closes, _closes_by_dup2])
def test_a_close_ends_it(guest: Guest, close: Callable[[Guest], None]) -> None:
    guest.syscall.mq_notify(FD, SIGNAL)
    close(guest)
    assert _state(guest) == _shown(0, 0, 0, 0)


def test_the_end_of_the_process_ends_it(guest: Guest) -> None:
    child = guest.fork()
    child.syscall.mq_notify(FD, SIGNAL)
    assert guest.start.mq_notify(FD, SIGNAL).errno == EBUSY
    assert guest.syscall.mq_notify(FD, NULL) == 0
    assert _state(guest) == _shown(0, 0, SIGUSR1, child.pid)
    child.syscall.exit_group(0)
    assert _state(guest) == _shown(0, 0, 0, 0)


def test_a_close_of_another_process_does_not(guest: Guest) -> None:
    child = guest.fork()
    guest.syscall.mq_notify(FD, SIGNAL)
    child.syscall.close(FD)
    assert _state(guest) == _shown(0, 0, SIGUSR1, guest.main.pid)


# -- the descriptor -------------------------------------------------------------------------------------------------


def _events(guest: Guest) -> int:
    watched = guest.put(Pollfd(FD, POLLIN | POLLOUT, 0))
    guest.syscall.poll(watched, 1, 0)
    return int.from_bytes(guest.read(watched + 6, 2), "little")


def test_poll(guest: Guest) -> None:
    seen = [_events(guest)]
    _send(guest, b"1")
    seen.append(_events(guest))
    _send(guest, b"2")
    assert [*seen, _events(guest)] == [POLLOUT, POLLIN | POLLOUT, POLLIN]


def test_epoll_at_an_edge(guest: Guest) -> None:
    epoll, event = guest.syscall.epoll_create1(0), Out("<IQ")
    guest.syscall.epoll_ctl(epoll, 1, FD, (EPOLLIN | EPOLLOUT | EPOLLET).to_bytes(12, "little"))
    assert [guest.syscall.epoll_wait(epoll, event, 1, 0) for _ in range(2)] == [1, 0]
    _send(guest, b"1")
    assert guest.syscall.epoll_wait(epoll, event, 1, 0) == 1
    assert event.value[0] == EPOLLIN | EPOLLOUT


def test_its_state_as_a_file(guest: Guest) -> None:
    shown, whole = Out(6), _shown(0, 0, 0, 0)
    assert [guest.syscall.read(FD, shown, 6) for _ in range(2)] == [6, 6]
    assert shown.value == whole[6:12]
    assert guest.syscall.lseek(FD, 0, SEEK_END) == 80
    assert guest.syscall.lseek(FD, 7, SEEK_DATA) == 7
    assert guest.syscall.lseek(FD, 7, SEEK_HOLE) == 80
    assert [guest.start.lseek(FD, at, how).errno for at, how in ((-81, SEEK_END), (80, SEEK_DATA))] == [EINVAL, 6]
    assert guest.syscall.ftruncate(FD, 5) == 0
    assert guest.syscall.lseek(FD, 0, SEEK_END) == 5
    assert _state(guest) == whole


def test_times(guest: Guest) -> None:
    stat = Out(Stat)
    guest.clock.advance(s=5)
    _send(guest, b"1")
    sent = guest.clock.realtime_ns
    guest.clock.advance(s=5)
    guest.syscall.mq_notify(FD, NOTHING)
    guest.syscall.fstat(FD, stat)
    changed = guest.clock.realtime_ns
    assert stat.value.st_mtime * SECOND + stat.value.st_mtime_nsec == sent
    assert stat.value.st_atime * SECOND + stat.value.st_atime_nsec == changed
    assert stat.value.st_ctime * SECOND + stat.value.st_ctime_nsec == changed


# -- the file system ------------------------------------------------------------------------------------------------


@pytest.fixture
def mounted(guest: Guest) -> Guest:
    """The same with the queues shown in /dir."""
    guest.files.mkdir("/dir")
    _mounted(guest)
    return guest


def _size(guest: Guest, path: str) -> tuple[int, int]:
    stat = Out(Stat)
    guest.syscall.stat(path, stat)
    return stat.value.st_mode, stat.value.st_size


def test_queues_are_files(mounted: Guest) -> None:
    _send(mounted, b"hello")
    assert mounted.files.read("/dir/queue") == _shown(5, 0, 0, 0)
    assert _size(mounted, "/dir") == (0o041777, 60)
    made = mounted.syscall.open("/dir/new", O_RDWR | O_CREAT, 0o640)
    assert _size(mounted, "/dir/new") == (0o100640, 80)
    mounted.syscall.mq_getsetattr(made, NULL, ATTR)
    assert ATTR.value == MqAttr(0, 10, 8192, 0)
    assert mounted.syscall.mq_open("new", O_RDWR, 0, NULL) == made + 1
    mounted.syscall.unlink("/dir/queue")
    assert mounted.start.mq_open(Q, O_RDWR, 0, NULL).errno == ENOENT
    assert _size(mounted, "/dir") == (0o041777, 60)


def test_what_queues_are_not(mounted: Guest) -> None:
    tried: list[tuple[Any, ...]] = [
        ("mkdir", "/dir/d", 0o700), ("symlink", "x", "/dir/l"), ("mknod", "/dir/p", 0o010600, 0),
        ("link", "/dir/queue", "/dir/other"), ("rename", "/dir/queue", "/dir/other"),
    ]  # fmt: skip
    assert [getattr(mounted.start, name)(*args).errno for name, *args in tried] == [EPERM] * 5
    assert mounted.start.write(FD, b"x", 1).errno == EINVAL
    assert mounted.start.pwrite64(FD, b"x", 1, 0).errno == EINVAL
    assert mounted.syscall.mknod("/dir/made", 0o100600, 0) == 0
    assert mounted.start.mount("none", "/dir", "mqueue", 0, NULL).errno == EBUSY
    fs = Out(Statfs)
    mounted.syscall.statfs("/dir", fs)
    assert fs.value.f_type == 0x19800202


def test_an_open_queue_is_no_use_of_the_mount(mounted: Guest) -> None:
    assert mounted.syscall.umount2("/dir", 0) == 0
    assert mounted.syscall.fcntl(FD, F_GETFL, 0) == O_RDWR


def test_settings(guest: Guest) -> None:
    guest.mount_system()
    folder = "/proc/sys/fs/mqueue"
    assert guest.files.read(f"{folder}/queues_max") == b"256\n"
    fd = guest.syscall.open(f"{folder}/msg_max", O_WRONLY, 0)
    guest.syscall.write(fd, b"20\n", 3)
    assert guest.linux.queue_limits.msg_max == 20
    assert guest.start.pwrite64(fd, b"65537\n", 6, 0).errno == EINVAL
    user = guest.process(uid=1000, gid=1000)
    assert user.syscall.mq_open("many", O_RDWR | O_CREAT, 0o600, _with(mq_maxmsg=20)) == 0
