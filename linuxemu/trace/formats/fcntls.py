"""fcntl(2): what its argument and its result mean depends on the operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import changes, shows
from linuxemu.trace.formats.basic import address, fd, flags, hexadecimal, named, pid, structure, table
from linuxemu.trace.formats.files import open_flags, open_flags_text
from linuxemu.trace.formats.siginfos import signal_name, signal_value
from linuxemu.trace.formats.tables import unknown
from syscalls.abi import flags as constants
from syscalls.abi.structs import Flock, FOwnerEx
from syscalls.types import Arg, s32

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call

_NOTHING = frozenset(
    (constants.F_GETFD, constants.F_GETFL, constants.F_GETOWN, constants.F_GETSIG, constants.F_GETLEASE,
     constants.F_GETPIPE_SZ, constants.F_GET_SEALS)
)  # fmt: skip
"""Operations without an argument."""
_LATE = frozenset((constants.F_GETLK, constants.F_OFD_GETLK, constants.F_GETOWN_EX))
"""Operations that fill what their argument points to."""
_PID = Arg("s32", "pid")


@shows("fcntl_op")
def operation(call: Call, value: int, arg: Arg) -> str:
    """The operation; with it is told whether the argument waits until the end."""
    if value not in _LATE:
        call.separator = ""
    return named(call, value, table("F_"), unknown("F_"))


@shows("fcntl_arg")
def early(call: Call, value: int, arg: Arg) -> str | None:
    """The argument of an operation, unless the kernel fills it."""
    op = call.argument("op")
    if op in _NOTHING or op in _LATE:
        return None
    show = _ARGUMENTS.get(op)
    return show(call, value) if show is not None else hexadecimal(value)


def _number(call: Call, value: int) -> str:
    return str(s32(value))


def _owner(call: Call, value: int) -> str:
    return pid(call, s32(value), _PID)


def _descriptor_flags(call: Call, value: int) -> str:
    return flags(call, value, {1: "FD_CLOEXEC"}, "FD_???")


def _file_flags(call: Call, value: int) -> str:
    return open_flags(call, value & 0xFFFF_FFFF)


def _signal(call: Call, value: int) -> str:
    return signal_value(s32(value), call.style)


def _lease(call: Call, value: int) -> str:
    return named(call, value, table("F_LCK"), unknown("F_LCK"))


def _notify(call: Call, value: int) -> str:
    return flags(call, value, table("DN_"), unknown("DN_"))


def _seals(call: Call, value: int) -> str:
    return flags(call, value, table("F_SEAL_"), unknown("F_SEAL_"))


def _lock_text(call: Call, value: Flock) -> str:
    kind = named(call, value.l_type & 0xFFFF, table("F_LCK"), unknown("F_LCK"))
    whence = named(call, value.l_whence & 0xFFFF, table("SEEK_"), unknown("SEEK_"))
    text = f"{{l_type={kind}, l_whence={whence}, l_start={value.l_start}, l_len={value.l_len}"
    if call.argument("op") in _LATE:
        text += f", l_pid={pid(call, value.l_pid, _PID)}"
    return text + "}"


def _owner_text(call: Call, value: FOwnerEx) -> str:
    kind = named(call, value.type, table("F_OWNER_"), unknown("F_OWNER_"))
    return f"{{type={kind}, pid={pid(call, value.pid, _PID)}}}"


_lock, _owner_ex = structure(Flock, _lock_text), structure(FOwnerEx, _owner_text)
_ARGUMENTS: dict[int, Callable[[Call, int], str]] = {
    constants.F_DUPFD: _number,
    constants.F_DUPFD_CLOEXEC: _number,
    constants.F_SETPIPE_SZ: _number,
    constants.F_SETOWN: _owner,
    constants.F_SETFD: _descriptor_flags,
    constants.F_SETFL: _file_flags,
    constants.F_SETSIG: _signal,
    constants.F_SETLEASE: _lease,
    constants.F_NOTIFY: _notify,
    constants.F_ADD_SEALS: _seals,
    constants.F_SETLK: _lock,
    constants.F_SETLKW: _lock,
    constants.F_GETLK: _lock,
    constants.F_OFD_SETLK: _lock,
    constants.F_OFD_SETLKW: _lock,
    constants.F_OFD_GETLK: _lock,
    constants.F_SETOWN_EX: _owner_ex,
    constants.F_GETOWN_EX: _owner_ex,
}


@changes("fcntl_arg")
def late(call: Call, addr: int, arg: Arg) -> str | None:
    """The argument that the kernel has filled."""
    op = call.argument("op")
    if op not in _LATE:
        return None
    return address(call, addr) if call.failed else _ARGUMENTS[op](call, addr)


@shows("fcntl_result")
def result(call: Call, value: int, arg: Arg) -> str:
    """The result, with what it means."""
    op = call.argument("op")
    if op in (constants.F_DUPFD, constants.F_DUPFD_CLOEXEC):
        return fd(call, value)
    meaning = _meaning(call, op, value)
    if not meaning:
        return str(value)
    call.aux = meaning
    return str(value) if op == constants.F_GETSIG else hexadecimal(value)


def _meaning(call: Call, op: int, value: int) -> str:
    if op == constants.F_GETFL:
        return f"flags {open_flags_text(call, value)}"
    if op == constants.F_GETLEASE:
        return table("F_LCK").get(value, str(value))
    if not value:
        return ""
    if op == constants.F_GETFD:
        return "flags " + _descriptor_flags(call, value)
    if op == constants.F_GET_SEALS:
        return "seals " + _seals(call, value)
    if op == constants.F_GETSIG:
        return signal_name(value)
    return ""

