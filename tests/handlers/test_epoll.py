"""epoll (man 7 epoll)."""

from __future__ import annotations

from typing import Any

import pytest

from linuxemu.arch.x86_64 import USER_END
from linuxemu.messages import console
from linuxemu.testing import BAD, NULL, Call, Edge, Guest
from syscalls.abi.errno import EBADF, EEXIST, EFAULT, EINTR, EINVAL, EIO, ELOOP, EMFILE, ENOENT, EPERM
from syscalls.abi.flags import (
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLL_CTL_MOD,
    EPOLLET,
    EPOLLEXCLUSIVE,
    EPOLLIN,
    EPOLLONESHOT,
    EPOLLOUT,
    F_GETFD,
    FD_CLOEXEC,
    O_PATH,
    RLIMIT_NOFILE,
    SA_RESTART,
    SIG_BLOCK,
    SIGUSR1,
)
from syscalls.abi.structs import EpollEvent, Rlimit, Timespec
from tests.handlers.cases import SUCCESS, Out, fails, ok, open_file, proves
from tests.handlers.cases import pipe as make_pipe
from tests.handlers.interrupting import SECOND, Sender

EP, READER, WRITER, OTHER_EP = 3, 4, 5, 6
"""What `_ready` and `_quiet` open."""
IN, OUT = EpollEvent(EPOLLIN, 1), EpollEvent(EPOLLOUT, 2)
EXCLUSIVE = EpollEvent(EPOLLIN | EPOLLEXCLUSIVE, 3)
EVENT, EVENTS = Out(EpollEvent), Out("<IQIQ")
LOOK, WAIT_5_S = Timespec(0, 0), Timespec(5, 0)
MASK = (1 << SIGUSR1 - 1).to_bytes(8, "little")
NO_MASK = bytes(8)
MOST = 0x7FFF_FFFF // EpollEvent.SIZE
WAITS: dict[str, Any] = {
    "epoll_wait": lambda timeout, mask: (-1 if timeout is None else timeout.ns() // 1_000_000,),
    "epoll_pwait": lambda timeout, mask: (-1 if timeout is None else timeout.ns() // 1_000_000, mask, 8),
    "epoll_pwait2": lambda timeout, mask: (timeout, mask, 8),
}
"""The waiting calls, and their arguments behind the third."""


def _quiet(guest: Guest) -> None:
    """An instance, both ends of a pipe, another instance."""
    guest.syscall.epoll_create1(0)
    make_pipe(guest)
    guest.syscall.epoll_create1(0)


def _reading(guest: Guest) -> None:
    """The same, and the instance watches the reading end."""
    _quiet(guest)
    guest.syscall.epoll_ctl(EP, EPOLL_CTL_ADD, READER, IN)


def _ready(guest: Guest) -> None:
    """The same, and both ends are ready."""
    _reading(guest)
    guest.syscall.write(WRITER, b"data", 4)
    guest.syscall.epoll_ctl(EP, EPOLL_CTL_ADD, WRITER, OUT)


def _exclusive(guest: Guest) -> None:
    _quiet(guest)
    guest.syscall.epoll_ctl(EP, EPOLL_CTL_ADD, READER, EXCLUSIVE)


def _watched(guest: Guest) -> None:
    _quiet(guest)
    guest.syscall.epoll_ctl(OTHER_EP, EPOLL_CTL_ADD, EP, IN)


def _with_file(guest: Guest) -> None:
    _quiet(guest)
    open_file(guest)


def _with_path(guest: Guest) -> None:
    _quiet(guest)
    open_file(guest, flags=O_PATH)


def _with_console(guest: Guest) -> None:
    guest.syscall.epoll_create1(0)
    guest.syscall.epoll_ctl(EP, EPOLL_CTL_ADD, 1, OUT)


def _no_descriptors(guest: Guest) -> None:
    guest.syscall.setrlimit(RLIMIT_NOFILE, Rlimit(3, 3))


def _chain(guest: Guest, order: list[tuple[int, int]]) -> None:
    """Instances 3, 4, ... of which one watches another, pair by pair."""
    for _ in range(6):
        guest.syscall.epoll_create1(0)
    for outer, inner in order:
        guest.syscall.epoll_ctl(outer, EPOLL_CTL_ADD, inner, IN)


def _from_above(guest: Guest) -> None:
    _chain(guest, [(3, 4), (4, 5), (5, 6), (6, 7)])


def _from_below(guest: Guest) -> None:
    _chain(guest, [(7, 8), (6, 7), (5, 6), (4, 5)])


def _in_the_middle(guest: Guest) -> None:
    _chain(guest, [(3, 4), (4, 5), (6, 7), (7, 8)])


def _is_cloexec(expected: int) -> Any:
    def check(guest: Guest, call: Call) -> None:
        assert guest.syscall.fcntl(EP, F_GETFD, 0) == expected

    return check


def _reports(*expected: EpollEvent) -> Any:
    """What is reported afterwards."""

    def check(guest: Guest, call: Call) -> None:
        found = Out(EpollEvent.SIZE * 8)
        count = guest.syscall.epoll_wait(EP, found, 8, 0)
        assert [EpollEvent.unpack(found.value, EpollEvent.SIZE * n) for n in range(count)] == list(expected)

    return check


def _both_reported(guest: Guest, call: Call) -> None:
    assert EVENTS.value == (EPOLLIN, 1, EPOLLOUT, 2)


def _one_reported(guest: Guest, call: Call) -> None:
    assert EVENT.value == IN


def _waited(ns: int) -> Any:
    def check(guest: Guest, call: Call) -> None:
        assert guest.clock.now_ns == SECOND + ns

    return check


CASES = [
    ok("epoll_create", 1, returns=3, rpcs=[], check=_is_cloexec(0)),
    fails("epoll_create", EINVAL, 0, rpcs=[], label="zero"),
    fails("epoll_create", EINVAL, -1, setup=_no_descriptors, rpcs=[], label="negative"),
    fails("epoll_create", EMFILE, 1, setup=_no_descriptors, rpcs=[]),
    ok("epoll_create1", EPOLL_CLOEXEC, returns=3, rpcs=[], check=_is_cloexec(FD_CLOEXEC)),
    fails("epoll_create1", EINVAL, 1, rpcs=[]),
    fails("epoll_create1", EMFILE, 0, setup=_no_descriptors, rpcs=[]),
    # -- epoll_ctl
    ok("epoll_ctl", EP, EPOLL_CTL_ADD, WRITER, OUT, returns=0, rpcs=[], setup=_quiet, check=_reports(OUT)),
    ok("epoll_ctl", EP, EPOLL_CTL_ADD, READER, EXCLUSIVE, returns=0, rpcs=[], setup=_quiet, label="exclusive"),
    ok("epoll_ctl", EP, EPOLL_CTL_MOD, WRITER, EpollEvent(EPOLLOUT, 7), returns=0, rpcs=[], setup=_ready,
       check=_reports(IN, EpollEvent(EPOLLOUT, 7)), label="modified"),
    ok("epoll_ctl", EP, EPOLL_CTL_DEL, WRITER, BAD, returns=0, rpcs=[], setup=_ready, check=_reports(IN),
       unfaulted=("event: deleting needs none",), label="deleted"),
    ok("epoll_ctl", EP, EPOLL_CTL_ADD, 0, IN, returns=0, rpcs=[], setup=_quiet, label="console"),
    ok("epoll_ctl", 4, EPOLL_CTL_ADD, 6, IN, returns=0, rpcs=[], setup=_in_the_middle, label="five deep"),
    fails("epoll_ctl", EFAULT, 99, EPOLL_CTL_ADD, 99, BAD, rpcs=[], label="the pointer before the descriptors"),
    fails("epoll_ctl", EBADF, 99, EPOLL_CTL_ADD, READER, IN, setup=_quiet, rpcs=[], label="instance"),
    fails("epoll_ctl", EBADF, EP, EPOLL_CTL_ADD, 99, IN, setup=_quiet, rpcs=[], label="file"),
    fails("epoll_ctl", EBADF, EP, EPOLL_CTL_ADD, 7, IN, setup=_with_path, rpcs=[], label="O_PATH"),
    fails("epoll_ctl", EPERM, EP, EPOLL_CTL_ADD, 7, IN, setup=_with_file, rpcs=[], label="regular file"),
    fails("epoll_ctl", EPERM, READER, EPOLL_CTL_ADD, 7, IN, setup=_with_file, rpcs=[], label="whatever the instance"),
    fails("epoll_ctl", EINVAL, READER, EPOLL_CTL_ADD, EP, IN, setup=_quiet, rpcs=[], label="no instance"),
    fails("epoll_ctl", EINVAL, EP, EPOLL_CTL_ADD, EP, IN, setup=_quiet, rpcs=[], label="itself"),
    fails("epoll_ctl", EINVAL, EP, 9, READER, IN, setup=_reading, rpcs=[], label="operation"),
    fails("epoll_ctl", EINVAL, EP, EPOLL_CTL_ADD, OTHER_EP, EXCLUSIVE, setup=_quiet, rpcs=[],
          label="exclusive instance"),
    fails("epoll_ctl", EINVAL, EP, EPOLL_CTL_ADD, READER, EpollEvent(EXCLUSIVE.events | EPOLLONESHOT, 0),
          setup=_quiet, rpcs=[], label="exclusive one shot"),
    fails("epoll_ctl", EINVAL, EP, EPOLL_CTL_MOD, READER, IN, setup=_exclusive, rpcs=[], label="of exclusive"),
    fails("epoll_ctl", EINVAL, EP, EPOLL_CTL_MOD, READER, EXCLUSIVE, setup=_quiet, rpcs=[],
          label="to exclusive, even of nothing"),
    fails("epoll_ctl", EEXIST, EP, EPOLL_CTL_ADD, READER, IN, setup=_reading, rpcs=[]),
    fails("epoll_ctl", ENOENT, EP, EPOLL_CTL_MOD, READER, IN, setup=_quiet, rpcs=[], label="modified"),
    fails("epoll_ctl", ENOENT, EP, EPOLL_CTL_DEL, READER, NULL, setup=_quiet, rpcs=[], label="deleted"),
    fails("epoll_ctl", ELOOP, EP, EPOLL_CTL_ADD, OTHER_EP, IN, setup=_watched, rpcs=[], label="circle"),
    fails("epoll_ctl", ELOOP, 7, EPOLL_CTL_ADD, 8, IN, setup=_from_above, rpcs=[], label="six deep from above"),
    fails("epoll_ctl", ELOOP, 3, EPOLL_CTL_ADD, 4, IN, setup=_from_below, rpcs=[], label="six deep from below"),
    fails("epoll_ctl", ELOOP, 5, EPOLL_CTL_ADD, 6, IN, setup=_in_the_middle, rpcs=[],
          label="six deep in the middle"),
    # -- waiting
    *(
        case
        for name, rest in WAITS.items()
        for case in (
            ok(name, EP, EVENTS, 2, *rest(None, MASK), returns=2, rpcs=[], setup=_ready, check=_both_reported),
            ok(name, EP, EVENT, 1, *rest(WAIT_5_S, MASK), returns=1, rpcs=[], setup=_ready, check=_one_reported,
               label="no more than asked for"),
            ok(name, EP, Edge(EVENT), 2, *rest(WAIT_5_S, NULL), returns=1, rpcs=[], setup=_ready,
               check=_one_reported, label="no more than there is room for"),
            ok(name, EP, BAD, 1, *rest(LOOK, NULL), returns=0, rpcs=[], setup=_reading, check=_waited(0),
               unfaulted=("events: there are none",), label="look"),
            ok(name, EP, NULL, MOST, *rest(WAIT_5_S, NULL), returns=0, rpcs=[], setup=_reading,
               check=_waited(5 * SECOND), label="timeout"),
            ok(name, EP, EVENT, 1, *rest(LOOK, NULL), returns=1, rpcs=["console.poll"], setup=_with_console,
               label="console"),
            fails(name, EINVAL, EP, EVENT, 0, *rest(LOOK, NULL), setup=_ready, rpcs=[], label="no event"),
            fails(name, EINVAL, EP, EVENT, -1, *rest(LOOK, NULL), setup=_ready, rpcs=[], label="negative"),
            fails(name, EINVAL, EP, EVENT, MOST + 1, *rest(LOOK, NULL), setup=_ready, rpcs=[], label="too many"),
            fails(name, EINVAL, READER, EVENT, 1, *rest(LOOK, NULL), setup=_quiet, rpcs=[], label="no instance"),
            fails(name, EBADF, 99, EVENT, 1, *rest(LOOK, NULL), rpcs=[]),
            fails(name, EFAULT, EP, USER_END - 11, 1, *rest(LOOK, NULL), setup=_reading, rpcs=[],
                  label="no place for events"),
            fails(name, EFAULT, READER, 1 << 63, 1, *rest(LOOK, NULL), setup=_quiet, rpcs=[],
                  label="no place before no instance"),
            fails(name, EFAULT, EP, BAD, 2, *rest(LOOK, NULL), setup=_ready, rpcs=[], check=_reports(IN, OUT),
                  label="reported again"),
        )
    ),
    fails("epoll_pwait", EINVAL, 99, EVENT, 0, 0, BAD, 7, rpcs=[], label="size of the mask"),
    fails("epoll_pwait2", EINVAL, 99, EVENT, 0, LOOK, BAD, 7, rpcs=[], label="size of the mask"),
    fails("epoll_pwait2", EINVAL, 99, EVENT, 1, Timespec(0, SECOND), BAD, 8, rpcs=[], label="no time"),
    fails("epoll_pwait2", EINVAL, 99, EVENT, 1, Timespec(-1, 0), BAD, 8, rpcs=[], label="negative time"),
]  # fmt: skip


def _start(guest: Guest, name: str, timeout: Timespec | None, mask: Any = NULL) -> Call:
    call: Call = getattr(guest.start, name)(EP, EVENT, 1, *WAITS[name](timeout, mask))
    return call


each_wait = pytest.mark.parametrize("name", WAITS)


def test_data_ends_a_wait(guest: Guest) -> None:
    _reading(guest)
    other = guest.thread()
    call = _start(guest, "epoll_wait", None)
    assert call.blocked
    other.syscall.write(WRITER, b"x", 1)
    assert (call.result, EVENT.value) == (1, IN)


@pytest.mark.parametrize("flags", [0, SA_RESTART])
@proves("epoll_wait", EINTR, rpcs=[])
@proves("epoll_pwait", EINTR, rpcs=[])
@proves("epoll_pwait2", EINTR, rpcs=[])
def test_a_handler_ends_a_wait(guest: Guest, flags: int) -> None:
    _reading(guest)
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1, flags=flags)
    for name in WAITS:
        call = _start(guest, name, None)
        sender.send()
        assert call.errno == EINTR
    assert handler.signals == [SIGUSR1] * 3


@proves("epoll_wait", EINTR, rpcs=[])
@proves("epoll_pwait", EINTR, rpcs=[])
@proves("epoll_pwait2", EINTR, rpcs=[])
def test_even_without_a_handler_no_wait_begins_again(guest: Guest) -> None:
    _reading(guest)
    sender = Sender(guest)
    for name in WAITS:
        call = _start(guest, name, None)
        sender.stop_and_continue()
        assert call.errno == EINTR


@pytest.mark.parametrize("name", ["epoll_pwait", "epoll_pwait2"])
def test_a_pending_signal_ends_a_wait_if_the_mask_lets_it_but_no_look(guest: Guest, name: str) -> None:
    _reading(guest)
    handler = guest.on_signal(SIGUSR1)
    guest.syscall.rt_sigprocmask(SIG_BLOCK, MASK, NULL, 8)
    guest.syscall.kill(guest.main.pid, SIGUSR1)
    assert _start(guest, name, LOOK, NO_MASK).result == 0
    assert handler.signals == []
    assert guest.complete(_start(guest, name, Timespec(0, 1_000_000), MASK)).result == 0
    assert handler.signals == []
    assert _start(guest, name, WAIT_5_S, NO_MASK).errno == EINTR
    assert handler.signals == [SIGUSR1]


@proves("epoll_wait", EIO, rpcs=["console.poll"])
@proves("epoll_pwait", EIO, rpcs=["console.poll"])
@proves("epoll_pwait2", EIO, rpcs=["console.poll"])
def test_the_console_server_fails(guest: Guest) -> None:
    _with_console(guest)
    guest.console.expect(console.Poll).times(3).error(EIO)
    for name in WAITS:
        assert _start(guest, name, None).errno == EIO


@each_wait
def test_one_shot_reports_that_could_not_be_made_are_made_again_in_full(guest: Guest, name: str) -> None:
    _quiet(guest)
    eventfd = guest.syscall.eventfd2(0, 0)
    guest.syscall.epoll_ctl(EP, EPOLL_CTL_ADD, eventfd, EpollEvent(EPOLLIN | EPOLLOUT | EPOLLONESHOT, 8))
    assert getattr(guest.start, name)(EP, BAD, 1, *WAITS[name](LOOK, NULL)).errno == EFAULT
    guest.syscall.write(eventfd, (1).to_bytes(8, "little"), 8)
    assert _start(guest, name, LOOK).result == 1
    assert EVENT.value == EpollEvent(EPOLLIN | EPOLLOUT, 8)
    assert _start(guest, name, LOOK).result == 0


@each_wait
def test_an_edge_is_reported_once(guest: Guest, name: str) -> None:
    _quiet(guest)
    guest.syscall.epoll_ctl(EP, EPOLL_CTL_ADD, READER, EpollEvent(EPOLLIN | EPOLLET, 8))
    guest.syscall.write(WRITER, b"x", 1)
    assert [_start(guest, name, LOOK).result for _ in range(2)] == [1, 0]


def test_a_released_instance_leaves_room_for_others(guest: Guest) -> None:
    _from_above(guest)
    assert guest.start.epoll_ctl(7, EPOLL_CTL_ADD, 8, IN).errno == ELOOP
    guest.syscall.close(3)
    assert guest.syscall.epoll_ctl(7, EPOLL_CTL_ADD, 8, IN) == 0


@proves("epoll_ctl", SUCCESS, rpcs=[])
def test_a_deleted_instance_leaves_room_for_others(guest: Guest) -> None:
    _from_above(guest)
    guest.syscall.epoll_ctl(3, EPOLL_CTL_DEL, 4, NULL)
    assert guest.syscall.epoll_ctl(7, EPOLL_CTL_ADD, 8, IN) == 0
