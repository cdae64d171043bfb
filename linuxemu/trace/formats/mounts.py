"""mount(2), whose type and data mean something for a new mount only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, flags, named, table
from linuxemu.trace.formats.strings import string
from linuxemu.trace.formats.tables import unknown
from syscalls.abi import flags as constants

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_PROPAGATION = constants.MS_SHARED | constants.MS_SLAVE | constants.MS_PRIVATE | constants.MS_UNBINDABLE
_NO_DATA = constants.MS_BIND | constants.MS_MOVE | _PROPAGATION
_NO_TYPE = constants.MS_REMOUNT | _NO_DATA


@shows("mount_flags")
def mount_flags(call: Call, value: int, arg: Arg) -> str:
    """The flags of mount(2), with the magic number that old programs give."""
    names = table("MS_MOUNT")
    if _has_magic(value):
        rest = value & ~constants.MS_MGC_MSK
        head = named(call, constants.MS_MGC_VAL, {constants.MS_MGC_VAL: "MS_MGC_VAL"}, "")
        return head + (f"|{flags(call, rest, names, unknown('MS_MOUNT'))}" if rest else "")
    return flags(call, value, names, unknown("MS_MOUNT"))


def _has_magic(value: int) -> bool:
    return value & constants.MS_MGC_MSK == constants.MS_MGC_VAL


def _flags(call: Call) -> int:
    value = call.argument("mountflags")
    return value & ~constants.MS_MGC_MSK if _has_magic(value) else value


@shows("mount_type")
def mount_type(call: Call, addr: int, arg: Arg) -> str:
    """The type of a file system; an address where it is not looked at."""
    return address(call, addr) if _flags(call) & _NO_TYPE else string(call, addr, arg)


@shows("mount_data")
def mount_data(call: Call, addr: int, arg: Arg) -> str:
    """The options of a file system; an address where they are not looked at."""
    value = _flags(call)
    unused = value & _NO_DATA and not value & constants.MS_REMOUNT
    return address(call, addr) if unused else string(call, addr, arg)
