"""msgget, msgsnd, msgrcv, msgctl (man 2 msgget, man 2 msgsnd, man 2 msgctl)."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

import pytest

from linuxemu.testing import Guest, InOut
from syscalls.abi.errno import (
    E2BIG,
    EACCES,
    EAGAIN,
    EEXIST,
    EFAULT,
    EIDRM,
    EINTR,
    EINVAL,
    ENOENT,
    ENOMEM,
    ENOMSG,
    ENOSPC,
    EPERM,
)
from syscalls.abi.flags import (
    IPC_CREAT,
    IPC_EXCL,
    IPC_INFO,
    IPC_NOWAIT,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    MSG_COPY,
    MSG_EXCEPT,
    MSG_INFO,
    MSG_NOERROR,
    MSG_STAT,
    MSG_STAT_ANY,
    SA_RESTART,
    SIGUSR1,
)
from syscalls.abi.ipc import IpcPerm, Msginfo, MsqidDs
from syscalls.objects.msg import Message
from tests.handlers.cases import BAD, NULL, SUCCESS, Edge, Out, fails, ok, proves
from tests.handlers.interrupting import SECOND, Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from linuxemu.testing import Call, GuestThread

KEY = 0x1234
USER = (1000, 1000)
STATUS, INFO = Out(MsqidDs), Out(Msginfo)
ROOM = Out(24, b"\xff")
LONG_MIN = -1 << 63
THREE = ((3, b"three"), (1, b"one"), (3, b"again"), (2, b"two"))


def message(kind: int, text: bytes) -> InOut:
    """A struct msgbuf."""
    return InOut(pack("<q", kind) + text)


ONE = message(1, b"hello")


def queue(*messages: tuple[int, bytes], mode: int = 0o600, qbytes: int = 100) -> Callable[[Guest], None]:
    """Queue 0, made by the caller, with messages."""

    def setup(guest: Guest) -> None:
        assert guest.syscall.msgget(KEY, IPC_CREAT | mode) == 0
        found = guest.linux.ipc.msg.find(0)
        found.qbytes = qbytes
        found.messages[:] = [Message(*each) for each in messages]
        found.cbytes = sum(len(text) for _, text in messages)

    return setup


def anothers(mode: int = 0o600) -> Callable[[Guest], None]:
    """Queue 0, made by root."""

    def setup(guest: Guest) -> None:
        queue(*THREE, mode=mode)(guest)
        ipc = guest.linux.ipc.msg.find(0).ipc
        ipc.uid = ipc.cuid = ipc.gid = ipc.cgid = 0

    return setup


def left(guest: Guest) -> list[tuple[int, bytes]]:
    """The messages of queue 0."""
    return [tuple(each) for each in guest.linux.ipc.msg.find(0).messages]


def _no_room(guest: Guest) -> None:
    queue()(guest)
    guest.linux.ipc.room.left = 130


def _few(guest: Guest) -> None:
    guest.linux.ipc.msg.msgmni = 1
    queue()(guest)


def _holds(*messages: tuple[int, bytes]) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert left(guest) == list(messages)
        assert guest.linux.ipc.msg.find(0).cbytes == sum(len(text) for _, text in messages)

    return check


def _got(kind: int, text: bytes, remain: Sequence[int] = (0, 1, 2, 3)) -> Callable[[Guest, Call], None]:
    """A message was received, and of the three these are left."""

    def check(guest: Guest, call: Call) -> None:
        assert ROOM.data == (pack("<q", kind) + text).ljust(24, b"\xff")
        assert left(guest) == [THREE[at] for at in remain]

    return check


def _is_new(guest: Guest, call: Call) -> None:
    now = guest.clock.realtime_ns // SECOND
    assert STATUS.value == MsqidDs(IpcPerm(KEY, 0, 0, 0, 0, 0o600, 0), 0, 0, now, 16, 4, 100, 0, 0)


def _changed(guest: Guest, call: Call) -> None:
    guest.syscall.msgctl(0, IPC_STAT, STATUS)
    assert STATUS.value.msg_perm == IpcPerm(KEY, 7, 8, 0, 0, 0o755, 0)
    assert STATUS.value.msg_qbytes == 20_000


def _gone(guest: Guest, call: Call) -> None:
    assert guest.start.msgctl(0, IPC_RMID, NULL).errno == EINVAL


def _shown(*wanted: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert tuple(INFO.value) == wanted

    return check


NEW = MsqidDs(IpcPerm(99, 7, 8, 9, 10, 0o7755, 3), 1, 1, 1, 1, 1, 20_000, 1, 1)
NOBODY = MsqidDs(IpcPerm(0, 0xFFFF_FFFF, 8, 9, 10, 0o755, 3), 1, 1, 1, 1, 1, 1, 1, 1)
NO_MESSAGES = queue()
FULL = queue((1, bytes(98)))
MANY = queue(*[(1, b"")] * 3, qbytes=3)


def _receives(kind: int, flags: int, at: int, left: Sequence[int]) -> object:
    """A case that receives one of the three."""
    number, text = THREE[at]
    return ok("msgrcv", 0, ROOM, 16, kind, flags, returns=len(text), rpcs=[], setup=queue(*THREE),
              check=_got(number, text, left), label=f"{kind} {flags:o}")  # fmt: skip


CASES = [
    ok("msgget", IPC_PRIVATE, 0, returns=0, rpcs=[]),
    ok("msgget", KEY, 0o600 | IPC_CREAT, returns=0, rpcs=[], label="by key"),
    ok("msgget", KEY, 0o600, returns=0, rpcs=[], setup=NO_MESSAGES, label="of one that is there"),
    fails("msgget", ENOENT, KEY, 0o600, rpcs=[]),
    fails("msgget", EEXIST, KEY, IPC_CREAT | IPC_EXCL, setup=NO_MESSAGES, rpcs=[]),
    fails("msgget", EACCES, KEY, 0o600, setup=anothers(), user=USER, rpcs=[]),
    fails("msgget", ENOSPC, IPC_PRIVATE, 0, setup=_few, rpcs=[]),

    ok("msgsnd", 0, ONE, 5, 0, returns=0, rpcs=[], setup=NO_MESSAGES, check=_holds((1, b"hello"))),
    ok("msgsnd", 0, Edge(ONE), 5, 0, returns=0, rpcs=[], setup=NO_MESSAGES, label="at the end of memory"),
    ok("msgsnd", 0, ONE, 0, 0, returns=0, rpcs=[], setup=NO_MESSAGES, check=_holds((1, b"")), label="nothing"),
    ok("msgsnd", 0, ONE, 2, IPC_NOWAIT, returns=0, rpcs=[], setup=FULL, label="just fits"),
    fails("msgsnd", EFAULT, -1, BAD, 1 << 63, 0, rpcs=[], label="the type comes first"),
    fails("msgsnd", EFAULT, 0, Edge(ONE), 6, 0, setup=NO_MESSAGES, rpcs=[], check=_holds(), label="text"),
    fails("msgsnd", EINVAL, -1, ONE, 5, 0, rpcs=[], label="negative"),
    fails("msgsnd", EINVAL, 0, ONE, 5, 0, rpcs=[], label="none"),
    fails("msgsnd", EINVAL, 0, ONE, 8193, 0, setup=NO_MESSAGES, rpcs=[], label="size"),
    fails("msgsnd", EINVAL, 0, ONE, -1, 0, setup=NO_MESSAGES, rpcs=[], label="negative size"),
    fails("msgsnd", EINVAL, 0, message(0, b"x"), 1, 0, setup=NO_MESSAGES, rpcs=[], label="no type"),
    fails("msgsnd", EINVAL, 0, message(-1, b"x"), 1, 0, setup=NO_MESSAGES, rpcs=[], label="negative type"),
    fails("msgsnd", EACCES, 0, ONE, 5, 0, setup=anothers(0o604), user=USER, rpcs=[]),
    fails("msgsnd", EAGAIN, 0, ONE, 5, IPC_NOWAIT, setup=FULL, rpcs=[]),
    fails("msgsnd", EAGAIN, 0, ONE, 0, IPC_NOWAIT, setup=MANY, rpcs=[], label="too many"),

    fails("msgsnd", ENOMEM, 0, ONE, 5, 0, setup=_no_room, rpcs=[]),

    _receives(0, 0, 0, (1, 2, 3)),
    _receives(0, MSG_EXCEPT, 0, (1, 2, 3)),
    _receives(1, 0, 1, (0, 2, 3)),
    _receives(3, 0, 0, (1, 2, 3)),
    _receives(3, MSG_EXCEPT, 1, (0, 2, 3)),
    _receives(-1, 0, 1, (0, 2, 3)),
    _receives(-9, MSG_EXCEPT, 1, (0, 2, 3)),
    _receives(LONG_MIN, 0, 1, (0, 2, 3)),
    _receives(0, MSG_COPY | IPC_NOWAIT, 0, (0, 1, 2, 3)),
    _receives(3, MSG_COPY | IPC_NOWAIT, 3, (0, 1, 2, 3)),
    ok("msgrcv", 0, ROOM, 2, 0, MSG_NOERROR, returns=2, rpcs=[], setup=queue(*THREE), check=_got(3, b"th", (1, 2, 3)),
       label="cut"),
    fails("msgrcv", E2BIG, 0, ROOM, 4, 0, 0, setup=queue(*THREE), rpcs=[], check=_holds(*THREE)),
    fails("msgrcv", E2BIG, 0, ROOM, 4, 0, MSG_COPY | IPC_NOWAIT, setup=queue(*THREE), rpcs=[], label="copy"),
    fails("msgrcv", EINVAL, 0, ROOM, 4, 0, MSG_COPY | IPC_NOWAIT | MSG_NOERROR, setup=queue(*THREE), rpcs=[],
          label="copies are not cut"),
    fails("msgrcv", EINVAL, 0, BAD, 4, 0, MSG_COPY, setup=queue(*THREE), rpcs=[], label="copy and wait"),
    fails("msgrcv", EINVAL, 0, BAD, 4, 0, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT, setup=queue(*THREE), rpcs=[],
          label="copy except"),
    fails("msgrcv", EINVAL, 0, ROOM, -1, 0, 0, setup=queue(*THREE), rpcs=[], label="size"),
    fails("msgrcv", EINVAL, -1, ROOM, 16, 0, 0, rpcs=[], label="negative"),
    fails("msgrcv", EINVAL, 0, ROOM, 16, 0, 0, rpcs=[], label="none"),
    fails("msgrcv", ENOMSG, 0, ROOM, 16, 9, IPC_NOWAIT, setup=queue(*THREE), rpcs=[]),
    fails("msgrcv", ENOMSG, 0, ROOM, 16, 4, IPC_NOWAIT | MSG_COPY, setup=queue(*THREE), rpcs=[], label="position"),
    fails("msgrcv", ENOMSG, 0, ROOM, 16, -1, IPC_NOWAIT | MSG_COPY, setup=queue(*THREE), rpcs=[], label="no position"),
    fails("msgrcv", EACCES, 0, ROOM, 16, 0, 0, setup=anothers(0o602), user=USER, rpcs=[]),
    fails("msgrcv", EFAULT, 0, Edge(ROOM), 25, 0, IPC_NOWAIT | MSG_COPY, setup=queue(*THREE), rpcs=[], label="copy"),

    ok("msgctl", 0, IPC_STAT, STATUS, returns=0, rpcs=["clock.gettime"], setup=queue(*THREE), check=_is_new),
    ok("msgctl", 0, MSG_STAT, STATUS, returns=0, rpcs=["clock.gettime"], setup=NO_MESSAGES, label="by index"),
    ok("msgctl", 0, MSG_STAT_ANY, STATUS, returns=0, rpcs=["clock.gettime"], setup=anothers(), user=USER,
       label="any"),
    ok("msgctl", 0, IPC_INFO, INFO, returns=0, rpcs=[], setup=queue(*THREE), label="limits",
       check=_shown(512_000, 16384, 8192, 16384, 32000, 16, 16384, 65535)),
    ok("msgctl", 0, MSG_INFO, INFO, returns=0, rpcs=[], setup=queue(*THREE), label="used",
       check=_shown(1, 4, 8192, 16384, 32000, 16, 16, 65535)),
    ok("msgctl", 0, IPC_SET, NEW, returns=0, rpcs=[], setup=NO_MESSAGES, check=_changed, label="change"),
    ok("msgctl", 0, IPC_RMID, NULL, returns=0, rpcs=[], setup=queue(*THREE), check=_gone, label="remove"),
    fails("msgctl", EINVAL, -1, IPC_INFO, INFO, rpcs=[], label="negative"),
    fails("msgctl", EINVAL, 0, IPC_STAT, STATUS, rpcs=[], label="none"),
    fails("msgctl", EINVAL, 0, MSG_STAT, STATUS, rpcs=[], label="no index"),
    fails("msgctl", EINVAL, 0, 99, STATUS, setup=NO_MESSAGES, rpcs=[], label="command"),
    fails("msgctl", EINVAL, 0, IPC_SET, NOBODY, setup=NO_MESSAGES, rpcs=[], label="no user"),
    fails("msgctl", EFAULT, 0, IPC_INFO, BAD, rpcs=[], label="limits"),
    fails("msgctl", EFAULT, 5, IPC_SET, BAD, rpcs=[], label="change"),
    fails("msgctl", EACCES, 0, IPC_STAT, STATUS, setup=anothers(), user=USER, rpcs=[]),
    fails("msgctl", EACCES, 0, MSG_STAT, STATUS, setup=anothers(), user=USER, rpcs=[], label="by index"),
    fails("msgctl", EPERM, 0, IPC_SET, NEW, setup=anothers(0o666), user=USER, rpcs=[]),
    fails("msgctl", EPERM, 0, IPC_SET, NEW, setup=NO_MESSAGES, user=USER, rpcs=[], label="more than the limit"),
    fails("msgctl", EPERM, 0, IPC_RMID, NULL, setup=anothers(0o666), user=USER, rpcs=[], label="remove"),
]  # fmt: skip


@pytest.fixture
def others(guest: Guest) -> list[GuestThread]:
    """Three more processes, and an empty queue."""
    queue()(guest)
    return [guest.process() for _ in range(3)]


@proves("msgrcv", SUCCESS, rpcs=[])
def test_a_message_is_handed_to_the_first_who_wants_it(guest: Guest, others: list[GuestThread]) -> None:
    waiting = [
        other.start.msgrcv(0, Out(24), 16, kind, flags)
        for other, kind, flags in zip(others, (2, -3, 4), (0, 0, MSG_EXCEPT), strict=True)
    ]
    guest.syscall.msgsnd(0, message(4, b"four"), 4, 0)
    assert [call.blocked for call in waiting] == [True, True, True]
    guest.syscall.msgsnd(0, message(3, b"three"), 5, 0)
    assert [call.blocked for call in waiting] == [True, False, True]
    guest.syscall.msgsnd(0, message(2, b"two"), 3, 0)
    assert [call.blocked for call in waiting] == [False, False, True]
    guest.syscall.msgctl(0, IPC_STAT, STATUS)
    assert (STATUS.value.msg_lspid, STATUS.value.msg_lrpid) == (guest.main.pid, others[0].pid)
    assert left(guest) == [(4, b"four")]


@proves("msgrcv", E2BIG)
def test_whoever_has_no_room_fails(guest: Guest, others: list[GuestThread]) -> None:
    small = others[0].start.msgrcv(0, Out(24), 2, 0, 0)
    cut = others[1].start.msgrcv(0, Out(24), 2, 0, MSG_NOERROR)
    guest.syscall.msgsnd(0, ONE, 5, 0)
    assert (guest.complete(small).errno, cut.finish()) == (E2BIG, 2)


@proves("msgsnd", SUCCESS, rpcs=[])
def test_senders_wait_for_room(guest: Guest, others: list[GuestThread]) -> None:
    guest.syscall.msgsnd(0, message(1, bytes(60)), 60, 0)
    guest.syscall.msgsnd(0, message(1, bytes(40)), 40, 0)
    large = others[0].start.msgsnd(0, message(2, bytes(80)), 80, 0)
    small = others[1].start.msgsnd(0, message(3, bytes(5)), 5, 0)
    guest.syscall.msgrcv(0, Out(100), 60, 0, 0)
    assert (large.blocked, small.finish()) == (True, 0)
    guest.syscall.msgrcv(0, Out(100), 60, 0, 0)
    assert large.finish() == 0
    assert [kind for kind, _ in left(guest)] == [3, 2]


def test_a_larger_queue_has_room(guest: Guest, others: list[GuestThread]) -> None:
    guest.syscall.msgsnd(0, message(1, bytes(100)), 100, 0)
    sender = others[0].start.msgsnd(0, ONE, 5, 0)
    guest.syscall.msgctl(0, IPC_SET, NEW)
    assert sender.finish() == 0


@proves("msgrcv", EACCES)
@proves("msgsnd", EACCES)
def test_whoever_waits_may_be_shut_out(guest: Guest) -> None:
    queue(qbytes=0, mode=0o666)(guest)
    users = [guest.process(uid=1000) for _ in range(2)]
    receiver, sender = users[0].start.msgrcv(0, Out(24), 16, 0, 0), users[1].start.msgsnd(0, ONE, 5, 0)
    guest.syscall.msgctl(0, IPC_SET, MsqidDs(IpcPerm(0, 0, 0, 0, 0, 0o600, 0), 0, 0, 0, 0, 0, 0, 0, 0))
    assert (guest.complete(receiver).errno, guest.complete(sender).errno) == (EACCES, EACCES)
    assert guest.linux.ipc.msg.find(0).receivers == []


@proves("msgrcv", EIDRM)
@proves("msgsnd", EIDRM)
def test_the_queue_is_removed(guest: Guest, others: list[GuestThread]) -> None:
    guest.syscall.msgsnd(0, message(1, bytes(100)), 100, 0)
    receiver, sender = others[0].start.msgrcv(0, Out(24), 16, 9, 0), others[1].start.msgsnd(0, ONE, 5, 0)
    guest.syscall.msgctl(0, IPC_RMID, NULL)
    assert (guest.complete(receiver).errno, guest.complete(sender).errno) == (EIDRM, EIDRM)


@proves("msgrcv", EINTR)
@proves("msgsnd", EINTR)
def test_a_handler_ends_it_and_nothing_else(guest: Guest) -> None:
    queue((1, bytes(100)))(guest)
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1, flags=SA_RESTART)
    for name, *args in (("msgrcv", 0, ROOM, 16, 9, 0), ("msgsnd", 0, ONE, 5, 0)):
        call = getattr(guest.start, name)(*args)
        sender.send()
        assert call.errno == EINTR
        call = getattr(guest.start, name)(*args)
        sender.stop_and_continue()
        assert call.blocked
        sender.send()
        assert call.errno == EINTR
    assert handler.signals == [SIGUSR1] * 4


def test_times(guest: Guest) -> None:
    queue()(guest)
    guest.clock.advance(5 * SECOND)
    guest.syscall.msgsnd(0, ONE, 5, 0)
    guest.clock.advance(5 * SECOND)
    guest.syscall.msgrcv(0, ROOM, 16, 0, 0)
    guest.syscall.msgctl(0, IPC_STAT, STATUS)
    now, found = guest.clock.realtime_ns // SECOND, STATUS.value
    assert (found.msg_stime, found.msg_rtime, found.msg_ctime) == (now - 5, now, now - 10)


def test_room_is_given_back(guest: Guest, others: list[GuestThread]) -> None:
    left = guest.linux.ipc.room.left
    receiving = others[0].start.msgrcv(0, Out(24), 16, 0, 0)
    guest.syscall.msgsnd(0, ONE, 5, 0)
    assert (receiving.finish(), guest.linux.ipc.room.left) == (5, left)
    for _ in range(3):
        guest.syscall.msgsnd(0, ONE, 5, 0)
    guest.syscall.msgrcv(0, ROOM, 16, 0, 0)
    guest.syscall.msgrcv(0, ROOM, 16, 0, IPC_NOWAIT | MSG_COPY)
    assert guest.linux.ipc.room.left == left - 2 * 133
    sending = others[1].start.msgsnd(0, message(1, bytes(100)), 100, 0)
    assert guest.linux.ipc.room.left == left - 2 * 133 - 228
    guest.syscall.msgctl(0, IPC_RMID, NULL)
    assert guest.complete(sending).errno == EIDRM
    assert guest.linux.ipc.room.left == left
