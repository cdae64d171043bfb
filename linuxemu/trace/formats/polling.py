"""poll, select, epoll and their variants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import after, shows, shows_struct
from linuxemu.trace.formats.basic import ARRAY_MAX, address, array, fd, flags, named, struct
from linuxemu.trace.formats.signals import sigset
from linuxemu.trace.formats.times import time_values
from syscalls.abi.structs import EpollEvent, Pollfd, Timespec, Timeval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_POLL = {
    1: "POLLIN", 2: "POLLPRI", 4: "POLLOUT", 8: "POLLERR", 0x10: "POLLHUP", 0x20: "POLLNVAL", 0x40: "POLLRDNORM",
    0x80: "POLLRDBAND", 0x100: "POLLWRNORM", 0x200: "POLLWRBAND", 0x400: "POLLMSG", 0x1000: "POLLREMOVE",
    0x2000: "POLLRDHUP", 0x8000: "POLL_BUSY_LOOP",
}  # fmt: skip
_EPOLL = {
    1: "EPOLLIN", 2: "EPOLLPRI", 4: "EPOLLOUT", 8: "EPOLLERR", 0x10: "EPOLLHUP", 0x20: "EPOLLNVAL",
    0x40: "EPOLLRDNORM", 0x80: "EPOLLRDBAND", 0x100: "EPOLLWRNORM", 0x200: "EPOLLWRBAND", 0x400: "EPOLLMSG",
    0x2000: "EPOLLRDHUP", 0x1000_0000: "EPOLLEXCLUSIVE", 0x2000_0000: "EPOLLWAKEUP", 0x4000_0000: "EPOLLONESHOT",
    0x8000_0000: "EPOLLET",
}  # fmt: skip
_EPOLL_CREATE = {0x80000: "EPOLL_CLOEXEC"}
_EPOLL_CTL = {1: "EPOLL_CTL_ADD", 2: "EPOLL_CTL_DEL", 3: "EPOLL_CTL_MOD"}
_EPOLL_CTL_DEL = 2
_MOST_READABLE = 1 << 20
"""Bits of a set that have to be there for any of it to be shown."""
_MOST_DESCRIPTORS = 1 << 16
"""Bits of a set that are looked at: a program could claim to have any number."""


# -- poll -----------------------------------------------------------------------------------------------------


def _pollfd(call: Call, data: bytes) -> str:
    value = Pollfd.unpack(data)
    if value.fd < 0:
        return f"{{fd={value.fd}}}"
    return f"{{fd={fd(call, value.fd)}, events={flags(call, value.events & 0xFFFF, _POLL, 'POLL???')}}}"


@shows("pollfds")
def pollfds(call: Call, addr: int, arg: Arg) -> str:
    """What poll(2) is asked: an array of `arg.length` elements, of at most 4096 with -v."""
    if not addr or not call.plan.verbose:
        return address(call, addr)
    count = call.argument(arg.length)
    return array(call, addr, count, Pollfd.SIZE, lambda data: _pollfd(call, data)) if count else "[]"


@after("pollfds")
def ready_pollfds(call: Call, addr: int, arg: Arg) -> None:
    """What poll(2) found, and of ppoll(2) the time left; descriptors are numbers here even under -y."""
    if call.failed:
        return
    if not call.result:
        call.aux = "Timeout"
        return
    count = min(call.argument(arg.length), ARRAY_MAX)
    shown: list[str] = []
    for position in range(count):
        data = call.read(addr + position * Pollfd.SIZE, Pollfd.SIZE)
        if data is None:
            shown.append("???")
            break
        value = Pollfd.unpack(data)
        if not value.revents:
            continue
        if call.plan.abbrev and position >= call.style.string_limit:
            shown.append("...")
            break
        found = flags(call, value.revents & 0xFFFF, _POLL, "POLL???")
        shown.append(f"{{fd={value.fd}, revents={found}}}")
    parts = [f"[{', '.join(shown)}]"] if shown else []
    call.aux = ", ".join(parts + _left(call, "tmo_p", Timespec))


def _left(call: Call, name: str, kind: type[Timespec] | type[Timeval]) -> list[str]:
    """The time left, which the kernel writes over the timeout."""
    addr = call.argument(name) if name in call.plan.index else 0
    return [f"left {time_values(call, addr, kind)}"] if addr else []


# -- select ---------------------------------------------------------------------------------------------------


def _members(call: Call, addr: int, count: int) -> list[int] | None:
    """The members of a set of `count` descriptors, of at most 65,536; None if it cannot be read."""
    data = call.read(addr, (min(count, _MOST_READABLE) + 63) // 64 * 8)
    if data is None:
        return None
    count = min(count, _MOST_DESCRIPTORS)
    data = data[: (count + 63) // 64 * 8]
    found = [8 * at + bit for at, byte in enumerate(data) if byte for bit in range(8) if byte >> bit & 1]
    return [member for member in found if member < count]


def _set(members: Iterable[str]) -> str:
    return f"[{' '.join(members)}]"


@shows("fdset")
def fdset(call: Call, addr: int, arg: Arg) -> str:
    """A set of descriptors below `arg.length`."""
    count = call.argument(arg.length)
    if not addr or not call.plan.verbose or count <= 0:
        return address(call, addr)
    members = _members(call, addr, count)
    return _set(fd(call, member) for member in members) if members is not None else address(call, addr)


@shows("select_timeout")
def select_timeout(call: Call, addr: int, arg: Arg) -> str:
    """The timeout of select(2) and pselect6(2)."""
    return struct(call, addr, arg)


@after("select_timeout")
def ready_fdsets(call: Call, addr: int, arg: Arg) -> None:
    """What select(2) found, and the time left."""
    if call.failed:
        return
    if not call.result:
        call.aux = "Timeout"
        return
    parts = []
    left = call.result or 0
    for name, label in (("readfds", "in"), ("writefds", "out"), ("exceptfds", "except")):
        at = call.argument(name)
        members = _members(call, at, call.argument("nfds")) if at and left > 0 else None
        if members:
            parts.append(f"{label} {_set(map(str, members))}")
            left -= len(members)
    call.aux = ", ".join(parts + _left(call, "timeout", Timeval if arg.table == "Timeval" else Timespec))


# -- epoll ----------------------------------------------------------------------------------------------------


@shows_struct("EpollEvent")
def epoll_event(call: Call, value: EpollEvent) -> str:
    """struct epoll_event."""
    events = flags(call, value.events, _EPOLL, "EPOLL???")
    return f"{{events={events}, data={{u32={value.data & 0xFFFF_FFFF}, u64={value.data}}}}}"


@shows("epoll_flags")
def epoll_flags(call: Call, value: int, arg: Arg) -> str:
    """The flags of epoll_create1(2)."""
    return flags(call, value & 0xFFFF_FFFF, _EPOLL_CREATE, "EPOLL_???")


@shows("epoll_op")
def epoll_op(call: Call, value: int, arg: Arg) -> str:
    """What epoll_ctl(2) is to do."""
    return named(call, value, _EPOLL_CTL, "EPOLL_CTL_???")


@shows("epoll_timeout")
def epoll_timeout(call: Call, addr: int, arg: Arg) -> str:
    """The timeout of epoll_pwait2(2), which strace looks at when the call has ended, and only if it has not failed."""
    return address(call, addr) if call.failed else struct(call, addr, arg)


@shows("epoll_sigset")
def epoll_sigset(call: Call, addr: int, arg: Arg) -> str:
    """The signal mask of epoll_pwait(2), with which strace does the same."""
    return address(call, addr) if call.failed else sigset(call, addr, arg)


@shows("epoll_change")
def epoll_change(call: Call, addr: int, arg: Arg) -> str:
    """The event of epoll_ctl(2), which EPOLL_CTL_DEL does not look at."""
    return address(call, addr) if call.argument("op") == _EPOLL_CTL_DEL else struct(call, addr, arg)
