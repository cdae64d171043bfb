"""ioctl(2): what its argument means depends on the request.

Modules register what they know of a request by one of `nothing`, `takes`, `gives` and `changes_it`; the argument of any
other one is a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import changes, shows
from linuxemu.trace.formats.basic import address, fd, hexadecimal, peek, pid, worded
from linuxemu.trace.formats.ioctl_names import name, spelled
from syscalls.abi import flags as constants
from syscalls.types import Arg, s32

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from linuxemu.trace.call import Call

    Show = Callable[[Call, int], str]

EARLY: dict[int, Show | None] = {}
"""What a request takes, by its number; None for one without an argument."""
LATE: dict[int, Show] = {}
"""What a request stores."""
BOTH: dict[int, tuple[Show, Show]] = {}
"""What a request takes, and what is added when it has ended."""
_PID = Arg("s32", "pid")


@shows("ioctl_op")
def operation(call: Call, request: int, arg: Arg) -> str:
    """A request by name; with it is told whether the argument waits until the end."""
    if request not in LATE and request not in BOTH:
        call.separator = ""
    return worded(call, hexadecimal(request), name(request) or spelled(request))


@shows("ioctl_arg")
def before(call: Call, value: int, arg: Arg) -> str | None:
    """What a request takes."""
    request = call.argument("op")
    if request in LATE:
        return None
    if request in BOTH:
        if not value or not call.plan.verbose:
            call.separator = ""
            return address(call, value)
        text = BOTH[request][0](call, value)
        call.separator = ""
        return text
    show = EARLY.get(request, _number)
    return show(call, value) if show is not None else None


@changes("ioctl_arg")
def behind(call: Call, value: int, arg: Arg) -> str | None:
    """What a request has stored."""
    request = call.argument("op")
    if request in LATE:
        return address(call, value) if call.failed or not value else LATE[request](call, value)
    if request in BOTH and value and call.plan.verbose:
        return BOTH[request][1](call, value)
    return None


@shows("ioctl_result")
def result(call: Call, value: int, arg: Arg) -> str:
    """The result; a descriptor for requests that open one."""
    return fd(call, value) if call.argument("op") in _OPENS else str(value)


def _number(call: Call, value: int) -> str:
    return hexadecimal(value)


def decimal(call: Call, value: int) -> str:
    """The argument itself as an int."""
    return str(s32(value))


def unsigned(call: Call, value: int) -> str:
    """The argument itself as an unsigned long."""
    return str(value)


def descriptor(call: Call, value: int) -> str:
    """The argument itself as a descriptor."""
    return fd(call, s32(value))


def process(call: Call, addr: int) -> str:
    """A pointer to a process id."""
    return pointed(call, addr, 4, lambda data: pid(call, _signed(data), _PID))


def _signed(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def pointed(call: Call, addr: int, size: int, show: Callable[[bytes], str]) -> str:
    """What a pointer points to, in brackets."""
    data = peek(call, addr, size)
    return f"[{show(data)}]" if data is not None else address(call, addr)


def number(size: int, signed: bool = False, count: int = 1) -> Show:
    """A formatter of a pointer to numbers of so many bytes."""

    def show(call: Call, addr: int) -> str:
        def each(data: bytes) -> str:
            parts = (data[at : at + size] for at in range(0, len(data), size))
            return ", ".join(str(int.from_bytes(part, "little", signed=signed)) for part in parts)

        return pointed(call, addr, size * count, each)

    return show


def choice(names: Mapping[int, str], comment: str) -> Show:
    """A formatter of an argument that is one of several values."""
    from linuxemu.trace.formats.basic import named

    return lambda call, value: named(call, value, names, comment)


def nothing(*requests: int) -> None:
    """Register requests without an argument."""
    EARLY.update(dict.fromkeys(requests))


def takes(show: Show, *requests: int) -> None:
    """Register requests that are told something."""
    EARLY.update(dict.fromkeys(requests, show))


def gives(show: Show, *requests: int) -> None:
    """Register requests that store something."""
    LATE.update(dict.fromkeys(requests, show))


def changes_it(first: Show, second: Show, *requests: int) -> None:
    """Register requests that are told something and change it."""
    BOTH.update(dict.fromkeys(requests, (first, second)))


_NS_GET_USERNS, _NS_GET_PARENT, _NS_GET_NSTYPE, _NS_GET_OWNER_UID = 0xB701, 0xB702, 0xB703, 0xB704
_OPENS = frozenset((_NS_GET_USERNS, _NS_GET_PARENT))
_SIOCSPGRP, _SIOCGPGRP = 0x8902, 0x8904

nothing(constants.FIOCLEX, constants.FIONCLEX, constants.FIFREEZE, constants.FITHAW)
nothing(_NS_GET_USERNS, _NS_GET_PARENT, _NS_GET_NSTYPE)
gives(number(4), _NS_GET_OWNER_UID)
takes(number(4, True), constants.FIONBIO, constants.FIOASYNC)
gives(number(4, True), constants.FIONREAD)
takes(decimal, 0x40044590, 0xAE41)  # EVIOCGRAB, KVM_CREATE_VCPU
takes(process, constants.FIOSETOWN, _SIOCSPGRP)
gives(process, constants.FIOGETOWN, _SIOCGPGRP)
