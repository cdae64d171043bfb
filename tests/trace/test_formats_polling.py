"""poll, select and epoll as strace 6.1 shows them: each text was printed by it for the same registers and memory."""

from __future__ import annotations

from struct import pack

import pytest

from linuxemu.trace.style import Style
from syscalls.abi.errno import EBADF, EFAULT, EINVAL, ENOENT
from syscalls.errors import Restart
from tests.trace.fakecall import AREA, shown

EFAULT_TEXT = "-1 EFAULT (Bad address)"
EINVAL_TEXT = "-1 EINVAL (Invalid argument)"


def pollfd(fd: int, events: int, revents: int = 0) -> bytes:
    return pack("<iHH", fd, events, revents)


EVENTS = [
    (0, "0"),
    (0x45, "POLLIN|POLLOUT|POLLRDNORM"),
    (0x800, "0x800 /* POLL??? */"),
    (
        0xFFFF,
        "POLLIN|POLLPRI|POLLOUT|POLLERR|POLLHUP|POLLNVAL|POLLRDNORM|POLLRDBAND|POLLWRNORM|POLLWRBAND|POLLMSG|"
        "POLLREMOVE|POLLRDHUP|POLL_BUSY_LOOP|0x4800",
    ),
]


@pytest.mark.parametrize(("events", "text"), EVENTS)
def test_poll_events(events: int, text: str) -> None:
    assert shown("poll", AREA, 1, 0, memory=pollfd(9, events)) == f"poll([{{fd=9, events={text}}}], 1, 0) = 0 (Timeout)"


def test_poll_results() -> None:
    before = pollfd(4, 4) + pollfd(3, 1) + pollfd(77, 0) + pollfd(-5, 7)
    after = pollfd(4, 4, 4) + pollfd(3, 1) + pollfd(77, 0, 0x20) + pollfd(-5, 7)
    asked = "[{fd=4, events=POLLOUT}, {fd=3, events=POLLIN}, {fd=77, events=0}, {fd=-5}]"
    found = "[{fd=4, revents=POLLOUT}, {fd=77, revents=POLLNVAL}]"
    assert shown("poll", AREA, 4, -1, memory=before, after=after, result=2) == f"poll({asked}, 4, -1) = 2 ({found})"
    rest = pack("<qq", 0, 5) + pack("<Q", 0x4201)
    assert shown("ppoll", AREA, 4, AREA + 32, AREA + 48, 8, memory=before + rest, after=after + rest, result=2) == (
        f"ppoll({asked}, 4, {{tv_sec=0, tv_nsec=5}}, [HUP USR1 TERM], 8) = 2 ({found}, left {{tv_sec=0, tv_nsec=5}})"
    )
    assert shown("poll", AREA, 4, -1, memory=before, result=None, restart=Restart.BLOCK) == (
        f"poll({asked}, 4, -1) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)"
    )


def test_poll_arrays_that_are_long_or_cannot_be_read() -> None:
    one, found = "{fd=4, events=POLLOUT}", "{fd=4, revents=POLLOUT}"
    memory = pollfd(4, 4, 4) * 33
    assert shown("poll", AREA, 33, 0, memory=memory, result=33) == (
        f"poll([{', '.join([one] * 32)}, ...], 33, 0) = 33 ([{', '.join([found] * 32)}, ...])"
    )
    assert shown("poll", AREA, 33, 0, memory=memory, result=33, abbrev=False) == (
        f"poll([{', '.join([one] * 33)}], 33, 0) = 33 ([{', '.join([found] * 33)}])"
    )
    assert shown("poll", AREA, 3, 0, memory=pollfd(5, 0), result=-EFAULT) == (
        f"poll([{{fd=5, events=0}}, ... /* 0x1008 */], 3, 0) = {EFAULT_TEXT}"
    )
    assert shown("poll", AREA, 1, 0, result=-EFAULT) == f"poll(0x1000, 1, 0) = {EFAULT_TEXT}"
    assert shown("poll", 0, 0, 0) == "poll(NULL, 0, 0) = 0 (Timeout)"
    assert shown("poll", AREA, 0, 0) == "poll([], 0, 0) = 0 (Timeout)"


def test_huge_arrays_are_cut_whatever_the_options_say() -> None:
    text = shown("poll", AREA, -1, 0, memory=bytes(8 * 5000), result=-EINVAL, abbrev=False)
    assert text.count("{fd=") == 4096
    assert text.endswith(f", ...], 4294967295, 0) = {EINVAL_TEXT}")


def sets(*members: int) -> bytes:
    return b"".join(pack("<Q", bits) for bits in members)


SELECTS = [
    ((8, AREA, AREA + 8, 0, 0), sets(0x18, 0x11), sets(0, 0x11), 2, "[3 4], [0 4], NULL, NULL) = 2 (out [0 4])"),
    (
        (8, AREA, 0, AREA + 8, AREA + 16), sets(0x10, 0x10, 0, 0), None, 2,
        "[4], NULL, [4], {tv_sec=0, tv_usec=0}) = 2 (in [4], except [4], left {tv_sec=0, tv_usec=0})",
    ),
    ((8, AREA, 0, 0, 0), sets(0), None, 0, "[], NULL, NULL, NULL) = 0 (Timeout)"),
    ((4, AREA, 0, 0, 0), sets(0x10), None, 0, "[], NULL, NULL, NULL) = 0 (Timeout)"),
    ((-1, AREA, 0, 0, 0), sets(0x10), None, -EINVAL, f"0x1000, NULL, NULL, NULL) = {EINVAL_TEXT}"),
    ((0, AREA, 0, 0, 0), sets(0x10), None, 0, "0x1000, NULL, NULL, NULL) = 0 (Timeout)"),
    ((8, AREA, 0, 0, 0), b"", None, -EFAULT, f"0x1000, NULL, NULL, NULL) = {EFAULT_TEXT}"),
    ((60, AREA, 0, 0, 0), sets(1 << 50), None, -EBADF, "[50], NULL, NULL, NULL) = -1 EBADF (Bad file descriptor)"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "memory", "after", "result", "text"), SELECTS)
def test_select(args: tuple[int, ...], memory: bytes, after: bytes | None, result: int, text: str) -> None:
    assert shown("select", *args, memory=memory, after=after, result=result) == f"select({args[0]}, {text}"


def test_pselect() -> None:
    memory = sets(0x10) + pack("<qq", 2, 5) + pack("<QQ", AREA + 40, 8) + pack("<Q", 0x4201)
    args = 8, 0, AREA, 0, AREA + 8, AREA + 24
    assert shown("pselect6", *args, memory=memory, result=1) == (
        "pselect6(8, NULL, [4], NULL, {tv_sec=2, tv_nsec=5}, {sigmask=[HUP USR1 TERM], sigsetsize=8})"
        " = 1 (out [4], left {tv_sec=2, tv_nsec=5})"
    )
    short = memory[:24] + pack("<QQ", AREA + 40, 4)
    assert shown("pselect6", *args, memory=short, result=-EINVAL).endswith(
        f"{{sigmask=0x1028, sigsetsize=4}}) = {EINVAL_TEXT}"
    )


def test_epoll_create() -> None:
    assert shown("epoll_create1", 0x80001, result=-EINVAL) == f"epoll_create1(EPOLL_CLOEXEC|0x1) = {EINVAL_TEXT}"
    assert shown("epoll_create1", 4, result=-EINVAL) == f"epoll_create1(0x4 /* EPOLL_??? */) = {EINVAL_TEXT}"


CHANGES = [
    (1, 1, "EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=878082202, u64=78187493530}}"),
    (3, 0x8000_0005, "EPOLL_CTL_MOD, 4, {events=EPOLLIN|EPOLLOUT|EPOLLET, data={u32=878082202, u64=78187493530}}"),
    (0, 0x800, "0 /* EPOLL_CTL_??? */, 4, {events=0x800 /* EPOLL??? */, data={u32=878082202, u64=78187493530}}"),
    (-1, 0, "0xffffffff /* EPOLL_CTL_??? */, 4, {events=0, data={u32=878082202, u64=78187493530}}"),
    (2, 1, "EPOLL_CTL_DEL, 4, 0x1000"),
]


@pytest.mark.parametrize(("op", "events", "text"), CHANGES)
def test_epoll_ctl(op: int, events: int, text: str) -> None:
    memory = pack("<IQ", events, 0x123456789A)
    assert shown("epoll_ctl", 6, op, 4, AREA, memory=memory, result=-ENOENT) == (
        f"epoll_ctl(6, {text}) = -1 ENOENT (No such file or directory)"
    )


def test_every_event_of_epoll() -> None:
    memory = pack("<IQ", 0xFFFF_FFFF, 4)
    assert shown("epoll_ctl", 6, 1, 4, AREA, memory=memory) == (
        "epoll_ctl(6, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLPRI|EPOLLOUT|EPOLLERR|EPOLLHUP|EPOLLNVAL|EPOLLRDNORM|"
        "EPOLLRDBAND|EPOLLWRNORM|EPOLLWRBAND|EPOLLMSG|EPOLLRDHUP|EPOLLEXCLUSIVE|EPOLLWAKEUP|EPOLLONESHOT|EPOLLET|"
        "0xfffd800, data={u32=4, u64=4}}) = 0"
    )


def test_epoll_wait() -> None:
    memory = pack("<IQ", 4, 4)
    event = "[{events=EPOLLOUT, data={u32=4, u64=4}}]"
    assert shown("epoll_wait", 6, AREA, 8, -1, memory=memory, result=1) == f"epoll_wait(6, {event}, 8, -1) = 1"
    assert shown("epoll_wait", 6, AREA, 8, 0) == "epoll_wait(6, [], 8, 0) = 0"
    assert shown("epoll_wait", 6, AREA, 0, 0, result=-EINVAL) == f"epoll_wait(6, 0x1000, 0, 0) = {EINVAL_TEXT}"
    rest = memory + pack("<qqQ", 0, 5, 0x200)
    assert shown("epoll_pwait2", 6, AREA, 8, AREA + 12, AREA + 28, 8, memory=rest, result=1) == (
        f"epoll_pwait2(6, {event}, 8, {{tv_sec=0, tv_nsec=5}}, [USR1], 8) = 1"
    )
    assert shown("epoll_pwait", 6, AREA, 8, 0, AREA + 28, 4, memory=rest, result=-EINVAL) == (
        f"epoll_pwait(6, 0x1000, 8, 0, 0x101c, 4) = {EINVAL_TEXT}"
    )


def test_raw_constants() -> None:
    memory = pollfd(9, 0x10, 0x20)
    assert shown("poll", AREA, 1, 0, memory=memory, result=1, style=Style(constants="raw")) == (
        "poll([{fd=9, events=0x10}], 1, 0) = 1 ([{fd=9, revents=0x20}])"
    )
