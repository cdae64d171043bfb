"""semget, semop, semtimedop, semctl (man 2 semget, man 2 semop, man 2 semctl)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.testing import Guest, InOut
from syscalls.abi.errno import (
    E2BIG,
    EACCES,
    EAGAIN,
    EEXIST,
    EFAULT,
    EFBIG,
    EIDRM,
    EINTR,
    EINVAL,
    ENOENT,
    ENOMEM,
    ENOSPC,
    EPERM,
    ERANGE,
)
from syscalls.abi.flags import (
    CLONE_SYSVSEM,
    GETALL,
    GETNCNT,
    GETPID,
    GETVAL,
    GETZCNT,
    IPC_CREAT,
    IPC_EXCL,
    IPC_INFO,
    IPC_NOWAIT,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    SA_RESTART,
    SEM_INFO,
    SEM_STAT,
    SEM_STAT_ANY,
    SEM_UNDO,
    SETALL,
    SETVAL,
    SIGCHLD,
    SIGUSR1,
)
from syscalls.abi.ipc import IpcPerm, Sembuf, SemidDs, Seminfo
from syscalls.abi.structs import Timespec
from tests.handlers.cases import BAD, NULL, SUCCESS, Out, fails, ok, proves
from tests.handlers.interrupting import SECOND, Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call, GuestThread

KEY = 0x1234
USER = (1000, 1000)
STATUS, INFO, ALL = Out(SemidDs), Out(Seminfo), Out("<3H")
MOST = 1_024_000_000


def ops(*changes: tuple[int, int] | tuple[int, int, int]) -> tuple[InOut, int]:
    """Both arguments of semop that say what is to be done: number, change and flags of each."""
    data = b"".join(Sembuf(*(*change, 0)[:3]).pack() for change in changes)
    return InOut(data), len(changes)


UP, DOWN, ZERO = ops((0, 1)), ops((0, -1)), ops((0, 0))


def semaphores(*values: int, mode: int = 0o600) -> Callable[[Guest], None]:
    """Set 0, made by the caller, with three values."""

    def setup(guest: Guest) -> None:
        assert guest.syscall.semget(KEY, 3, IPC_CREAT | mode) == 0
        for number, value in enumerate(values or (1, 2, 3)):
            guest.linux.ipc.sem.find(0).values[number] = value

    return setup


def anothers(mode: int = 0o600) -> Callable[[Guest], None]:
    """Set 0, made by root."""

    def setup(guest: Guest) -> None:
        semaphores(mode=mode)(guest)
        ipc = guest.linux.ipc.sem.find(0).ipc
        ipc.uid = ipc.cuid = ipc.gid = ipc.cgid = 0

    return setup


def values(guest: Guest) -> list[int]:
    """Of the semaphores of set 0."""
    return list(guest.linux.ipc.sem.find(0).values)


def _are(*wanted: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert values(guest) == list(wanted)

    return check


def _few(guest: Guest) -> None:
    guest.linux.ipc.sem.semmni = 1
    semaphores()(guest)


def _small(guest: Guest) -> None:
    guest.linux.ipc.sem.semmns = 4
    semaphores()(guest)


def _full(guest: Guest) -> None:
    semaphores()(guest)
    guest.linux.ipc.room.left = 3


def _is_new(guest: Guest, call: Call) -> None:
    assert STATUS.value == SemidDs(IpcPerm(KEY, 0, 0, 0, 0, 0o600, 0), 0, guest.clock.realtime_ns // SECOND, 3)


def _changed(guest: Guest, call: Call) -> None:
    guest.syscall.semctl(0, 0, IPC_STAT, STATUS)
    assert STATUS.value.sem_perm == IpcPerm(KEY, 7, 8, 0, 0, 0o755, 0)


def _gone(guest: Guest, call: Call) -> None:
    assert guest.start.semctl(0, 0, GETVAL, 0).errno == EINVAL


def _shown(where: Out, *wanted: Any) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert tuple(where.value) == wanted

    return check


def _by_caller(guest: Guest, call: Call) -> None:
    pid = guest.main.pid
    assert list(guest.linux.ipc.sem.find(0).pids) == [pid, pid, 0]


NEW = SemidDs(IpcPerm(99, 7, 8, 9, 10, 0o7755, 3), 1, 1, 1)
NOBODY = SemidDs(IpcPerm(0, 0xFFFF_FFFF, 8, 9, 10, 0o755, 3), 1, 1, 1)
SHORT = Timespec(0, 1000)
NOW = Timespec(0, 0)

# What semop and semtimedop, without a limit, have in common.
OPERATIONS: list[tuple[int, tuple[Any, ...], dict[str, Any]]] = [
    (0, (0, *ops((0, 1), (1, -1))), {"check": _are(2, 1, 3)}),
    (0, (0, *ops((0, -1), (0, 0), (1, -2), (1, 5))), {"check": _are(0, 5, 3), "label": "in order"}),
    (0, (0, *ops((0, 5), (1, 5))), {"check": _by_caller, "label": "who did it"}),
    (0, (0, *ops((0, 0))), {"setup": semaphores(0, 0, 0), "label": "zero"}),
    (0, (0, *ops((0, 5, SEM_UNDO))), {"check": _are(6, 2, 3), "label": "to be undone"}),
    (E2BIG, (-1, BAD, 501), {}),
    (EINVAL, (-1, BAD, 0), {"label": "nothing"}),
    (EFAULT, (-1, BAD, 1), {}),
    (EINVAL, (-1, *UP), {"label": "negative"}),
    (EINVAL, (1, *UP), {"label": "none"}),
    (EINVAL, (32768, *UP), {"label": "another time"}),
    (EFBIG, (0, *ops((0, 1), (3, 0))), {"check": _are(1, 2, 3)}),
    (EACCES, (0, *ZERO), {"setup": anothers(0o602), "user": USER}),
    (EACCES, (0, *UP), {"setup": anothers(0o604), "user": USER, "label": "writing"}),
    (EAGAIN, (0, *ops((0, 1), (1, -3, IPC_NOWAIT))), {"check": _are(1, 2, 3)}),
    (EAGAIN, (0, *ops((1, 0, IPC_NOWAIT))), {"label": "zero"}),
    (ENOMEM, (0, *ops((0, 1, SEM_UNDO))), {"setup": _full, "check": _are(1, 2, 3)}),
    (ERANGE, (0, *ops((0, 1), (1, 32766))), {"check": _are(1, 2, 3)}),
    (ERANGE, (0, *ops((1, 32760), (0, 20000, SEM_UNDO), (0, -20000), (0, 20000, SEM_UNDO))), {"label": "undoing"}),
]


def _operations() -> list[Any]:
    made = []
    for errno, args, rest in OPERATIONS:
        rest = {"setup": semaphores(), "rpcs": [], **rest}
        for name, more in (("semop", ()), ("semtimedop", (NULL,))):
            call = (name, *args, *more)
            made.append(fails(call[0], errno, *call[1:], **rest) if errno else ok(*call, returns=0, **rest))
    return made


CASES = [
    ok("semget", IPC_PRIVATE, 3, 0, returns=0, rpcs=[]),
    ok("semget", KEY, 3, 0o600 | IPC_CREAT, returns=0, rpcs=[], label="by key"),
    ok("semget", KEY, 0, 0o600, returns=0, rpcs=[], setup=semaphores(), label="of one that is there"),
    fails("semget", ENOENT, KEY, 3, 0o600, rpcs=[]),
    fails("semget", EEXIST, KEY, 9, IPC_CREAT | IPC_EXCL, setup=semaphores(), rpcs=[]),
    fails("semget", EINVAL, KEY, 4, 0o600, setup=semaphores(), rpcs=[], label="more than there are"),
    fails("semget", EINVAL, IPC_PRIVATE, 0, 0, rpcs=[], label="none"),
    fails("semget", EINVAL, IPC_PRIVATE, -1, 0, rpcs=[], label="negative"),
    fails("semget", EINVAL, IPC_PRIVATE, 32001, 0, rpcs=[], label="many"),
    fails("semget", EACCES, KEY, 3, 0o600, setup=anothers(), user=USER, rpcs=[]),
    fails("semget", ENOMEM, IPC_PRIVATE, 1, 0, setup=_full, rpcs=[]),
    fails("semget", ENOSPC, IPC_PRIVATE, 1, 0, setup=_few, rpcs=[]),
    fails("semget", ENOSPC, IPC_PRIVATE, 2, 0, setup=_small, rpcs=[], label="semaphores"),

    *_operations(),
    ok("semtimedop", 0, *UP, SHORT, returns=0, rpcs=[], setup=semaphores(), label="with a limit"),
    fails("semtimedop", EAGAIN, 0, *ops((1, -3)), SHORT, setup=semaphores(), rpcs=[], label="too late"),
    fails("semtimedop", EAGAIN, 0, *ops((1, -3)), NOW, setup=semaphores(), rpcs=[], label="at once"),
    fails("semtimedop", EINVAL, 0, *UP, Timespec(0, SECOND), setup=semaphores(), rpcs=[], label="no time"),
    fails("semtimedop", EINVAL, 0, *UP, Timespec(-1, 0), setup=semaphores(), rpcs=[], label="negative time"),
    fails("semtimedop", EFAULT, 0, BAD, 501, BAD, rpcs=[], label="the time comes first"),

    ok("semctl", 0, 0, IPC_STAT, STATUS, returns=0, rpcs=["clock.gettime"], setup=semaphores(), check=_is_new),
    ok("semctl", 0, 0, SEM_STAT, STATUS, returns=0, rpcs=["clock.gettime"], setup=semaphores(), label="by index"),
    ok("semctl", 0, 0, SEM_STAT_ANY, STATUS, returns=0, rpcs=["clock.gettime"], setup=anothers(), user=USER,
       label="any"),
    ok("semctl", 0, 0, IPC_INFO, INFO, returns=0, rpcs=[], setup=semaphores(), label="limits",
       check=_shown(INFO, MOST, 32000, MOST, MOST, 32000, 500, 500, 20, 32767, 32767)),
    ok("semctl", 0, 0, SEM_INFO, INFO, returns=0, rpcs=[], setup=semaphores(), label="used",
       check=_shown(INFO, MOST, 32000, MOST, MOST, 32000, 500, 500, 1, 32767, 3)),
    ok("semctl", 0, 0, IPC_SET, NEW, returns=0, rpcs=[], setup=semaphores(), check=_changed, label="change"),
    ok("semctl", 0, 0, IPC_RMID, NULL, returns=0, rpcs=[], setup=semaphores(), check=_gone, label="remove"),
    ok("semctl", 0, 1, GETVAL, NULL, returns=2, rpcs=[], setup=semaphores(), label="value"),
    ok("semctl", 0, 1, GETPID, NULL, returns=0, rpcs=[], setup=semaphores(), label="process"),
    ok("semctl", 0, 1, GETNCNT, NULL, returns=0, rpcs=[], setup=semaphores(), label="waiting"),
    ok("semctl", 0, 1, GETZCNT, NULL, returns=0, rpcs=[], setup=semaphores(), label="waiting for zero"),
    ok("semctl", 0, 9, GETALL, ALL, returns=0, rpcs=[], setup=semaphores(), check=_shown(ALL, 1, 2, 3), label="all"),
    ok("semctl", 0, 1, SETVAL, 5, returns=0, rpcs=[], setup=semaphores(), check=_are(1, 5, 3), label="set",
       unfaulted=["arg: it is a number"]),
    ok("semctl", 0, 1, SETVAL, 5 | 1 << 40, returns=0, rpcs=[], setup=semaphores(), check=_are(1, 5, 3),
       label="set an int", unfaulted=["arg: it is a number"]),
    ok("semctl", 0, 9, SETALL, InOut(bytes((4, 0, 5, 0, 6, 0))), returns=0, rpcs=[], setup=semaphores(),
       check=_are(4, 5, 6), label="set all"),
    fails("semctl", EINVAL, -1, 0, IPC_INFO, INFO, rpcs=[], label="negative"),
    fails("semctl", EINVAL, 0, 0, IPC_STAT, STATUS, rpcs=[], label="none"),
    fails("semctl", EINVAL, 0, 0, SEM_STAT, STATUS, rpcs=[], label="no index"),
    fails("semctl", EINVAL, 0, 0, 99, STATUS, setup=semaphores(), rpcs=[], label="command"),
    fails("semctl", EINVAL, 0, 3, GETVAL, NULL, setup=semaphores(), rpcs=[], label="number"),
    fails("semctl", EINVAL, 0, -1, GETPID, NULL, setup=semaphores(), rpcs=[], label="negative number"),
    fails("semctl", EINVAL, 0, 3, SETVAL, 1, setup=anothers(), user=USER, rpcs=[], label="number to set"),
    fails("semctl", EINVAL, 0, 0, IPC_SET, NOBODY, setup=semaphores(), rpcs=[], label="no user"),
    fails("semctl", EFAULT, 0, 0, IPC_INFO, BAD, rpcs=[], label="limits"),
    fails("semctl", EFAULT, 0, 0, GETALL, BAD, setup=semaphores(), rpcs=[], label="all"),
    fails("semctl", EFAULT, 0, 0, SETALL, BAD, setup=semaphores(), rpcs=[], label="set all"),
    fails("semctl", EFAULT, 5, 0, IPC_SET, BAD, rpcs=[], label="change"),
    fails("semctl", ERANGE, 5, 0, SETVAL, 32768, rpcs=[]),
    fails("semctl", ERANGE, 5, 0, SETVAL, -1, rpcs=[], label="negative"),
    fails("semctl", ERANGE, 0, 0, SETALL, InOut(b"\0\0\0\x80\0\0"), setup=semaphores(), rpcs=[], check=_are(1, 2, 3),
          label="all"),
    *(fails("semctl", EACCES, 0, 9, command, NULL, setup=anothers(0o602), user=USER, rpcs=[], label=f"{command}")
      for command in (IPC_STAT, SEM_STAT, GETVAL, GETALL)),
    *(fails("semctl", EACCES, 0, 0, command, NULL, setup=anothers(0o604), user=USER, rpcs=[], label=f"{command}")
      for command in (SETVAL, SETALL)),
    fails("semctl", EPERM, 0, 0, IPC_SET, NEW, setup=anothers(0o666), user=USER, rpcs=[]),
    fails("semctl", EPERM, 0, 0, IPC_RMID, NULL, setup=anothers(0o666), user=USER, rpcs=[], label="remove"),
]  # fmt: skip


@pytest.fixture
def others(guest: Guest) -> list[GuestThread]:
    """Three more processes, and three semaphores of value 0."""
    semaphores(0, 0, 0)(guest)
    return [guest.process() for _ in range(3)]


def count(guest: Guest, number: int = 0) -> tuple[int, int]:
    """How many wait for a semaphore to grow, and to become zero."""
    return guest.syscall.semctl(0, number, GETNCNT, 0), guest.syscall.semctl(0, number, GETZCNT, 0)


@proves("semop", SUCCESS, rpcs=[])
def test_the_first_that_can_goes_on(guest: Guest, others: list[GuestThread]) -> None:
    waiting = [
        other.start.semop(0, *what)
        for other, what in zip(others, (ops((0, -2)), DOWN, DOWN), strict=True)
    ]
    assert count(guest) == (3, 0)
    guest.syscall.semop(0, *UP)
    assert [call.blocked for call in waiting] == [True, False, True]
    assert guest.syscall.semctl(0, 0, GETPID, 0) == others[1].pid
    guest.syscall.semop(0, *ops((0, 3)))
    assert [call.blocked for call in waiting] == [False, False, False]
    assert values(guest) == [0, 0, 0]


def test_whoever_waits_for_zero_is_before_who_changes_it(guest: Guest, others: list[GuestThread]) -> None:
    guest.syscall.semctl(0, 0, SETVAL, 1)
    changing = others[0].start.semop(0, *ops((0, 0), (0, 2)))
    waiting = others[1].start.semop(0, *ZERO)
    assert count(guest) == (0, 2)
    guest.syscall.semop(0, *DOWN)
    assert (changing.finish(), waiting.finish(), values(guest)) == (0, 0, [2, 0, 0])


def test_it_counts_where_it_is_blocked_now(guest: Guest, others: list[GuestThread]) -> None:
    waiting = others[0].start.semop(0, *ops((0, -1), (1, -1)))
    assert (count(guest), count(guest, 1)) == ((1, 0), (0, 0))
    guest.syscall.semop(0, *UP)
    assert (count(guest), count(guest, 1)) == ((0, 0), (1, 0))
    assert values(guest) == [1, 0, 0]
    guest.syscall.semop(0, *ops((1, 1)))
    assert waiting.finish() == 0


def test_a_set_of_values_lets_go_on(guest: Guest, others: list[GuestThread]) -> None:
    first, second = others[0].start.semop(0, *DOWN), others[1].start.semop(0, *ops((1, -2)))
    guest.syscall.semctl(0, 0, SETVAL, 1)
    assert first.finish() == 0
    guest.syscall.semctl(0, 0, SETALL, InOut(bytes((0, 0, 3, 0, 0, 0))))
    assert (second.finish(), values(guest)) == (0, [0, 1, 0])


@proves("semop", EAGAIN)
@proves("semop", ERANGE)
def test_it_fails_later(guest: Guest, others: list[GuestThread]) -> None:
    first = others[0].start.semop(0, *ops((0, -1), (1, -1, IPC_NOWAIT)))
    second = others[1].start.semop(0, *ops((0, -1), (2, 1)))
    guest.syscall.semctl(0, 2, SETVAL, 32767)
    guest.syscall.semop(0, *UP)
    assert (guest.complete(first).errno, guest.complete(second).errno) == (EAGAIN, ERANGE)
    assert values(guest) == [1, 0, 32767]


@proves("semop", EIDRM)
@proves("semtimedop", EIDRM)
def test_the_set_is_removed(guest: Guest, others: list[GuestThread]) -> None:
    first, second = others[0].start.semop(0, *DOWN), others[1].start.semtimedop(0, *DOWN, NULL)
    guest.syscall.semctl(0, 0, IPC_RMID, 0)
    assert (guest.complete(first).errno, guest.complete(second).errno) == (EIDRM, EIDRM)


@proves("semop", EINTR)
@proves("semtimedop", EINTR)
def test_a_signal_ends_it(guest: Guest) -> None:
    semaphores(0, 0, 0)(guest)
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1, flags=SA_RESTART)
    for name, more in (("semop", ()), ("semtimedop", (NULL,)), ("semtimedop", (Timespec(100, 0),))):
        call = getattr(guest.start, name)(0, *DOWN, *more)
        assert call.blocked
        sender.send()
        assert call.errno == EINTR
        call = getattr(guest.start, name)(0, *DOWN, *more)
        sender.stop_and_continue()
        assert call.errno == EINTR
    assert handler.signals == [SIGUSR1] * 3
    assert count(guest) == (0, 0)


def test_undone_at_the_end(guest: Guest, others: list[GuestThread]) -> None:
    process, waiting = others[0], others[1].start.semop(0, *ops((1, -2)))
    process.syscall.semop(0, *ops((0, 5, SEM_UNDO)))
    guest.syscall.semctl(0, 1, SETVAL, 1)
    process.syscall.semop(0, *ops((1, -1, SEM_UNDO)))
    guest.syscall.semop(0, *ops((0, -4), (1, 1)))
    process.start.exit_group(0)
    assert values(guest) == [0, 0, 0], "never below zero"
    assert waiting.finish() == 0
    assert guest.syscall.semctl(0, 0, GETPID, 0) == process.pid


def test_what_was_set_is_not_undone(guest: Guest, others: list[GuestThread]) -> None:
    others[0].syscall.semop(0, *ops((0, 5, SEM_UNDO), (1, 5, SEM_UNDO)))
    guest.syscall.semctl(0, 0, SETVAL, 7)
    others[0].start.exit_group(0)
    assert values(guest) == [7, 0, 0]


def test_nothing_is_undone_of_a_set_that_is_gone(guest: Guest, others: list[GuestThread]) -> None:
    others[0].syscall.semop(0, *ops((0, 5, SEM_UNDO)))
    guest.syscall.semctl(0, 0, IPC_RMID, 0)
    others[0].start.exit_group(0)
    assert guest.linux.ipc.sem.used == 0


@pytest.mark.parametrize(("flags", "undone"), [(0, True), (CLONE_SYSVSEM, False)])
def test_the_list_of_changes_is_shared(guest: Guest, flags: int, undone: bool) -> None:
    semaphores(0, 0, 0)(guest)
    child = guest.thread_of(guest.syscall.clone(flags | SIGCHLD, 0))
    child.syscall.semop(0, *ops((0, 5, SEM_UNDO)))
    child.start.exit_group(0)
    assert values(guest)[0] == (0 if undone else 5)
    guest.start.exit_group(0)
    assert values(guest)[0] == 0


def test_times(guest: Guest) -> None:
    semaphores()(guest)
    guest.clock.advance(5 * SECOND)
    guest.syscall.semop(0, *UP)
    guest.clock.advance(5 * SECOND)
    guest.syscall.semctl(0, 0, SETVAL, 1)
    guest.syscall.semctl(0, 0, IPC_STAT, STATUS)
    now = guest.clock.realtime_ns // SECOND
    assert (STATUS.value.sem_otime, STATUS.value.sem_ctime) == (now - 5, now)


def test_room_is_given_back(guest: Guest, others: list[GuestThread]) -> None:
    left = guest.linux.ipc.room.left
    for other in others:
        number = guest.syscall.semget(IPC_PRIVATE, 100, 0o600)
        other.syscall.semop(number, *ops((5, 1, SEM_UNDO)))
    assert guest.linux.ipc.room.left == left - 3 * 100 * (64 + 2)
    others[0].start.exit_group(0)
    assert guest.linux.ipc.room.left == left - 3 * 100 * 64 - 2 * 100 * 2
    for number in (1, 2, 3):
        guest.syscall.semctl(number, 0, IPC_RMID, 0)
    assert guest.linux.ipc.room.left == left
    guest.linux.ipc.sem.semmni = 1
    assert guest.start.semget(IPC_PRIVATE, 100, 0).errno == ENOSPC
    assert guest.linux.ipc.room.left == left
