"""futex(2): what its arguments are depends on the operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, hexadecimal, named
from linuxemu.trace.formats.numbers import listed
from linuxemu.trace.formats.times import time_values
from syscalls.abi.flags import FUTEX_BITSET_MATCH_ANY
from syscalls.abi.structs import Timespec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_COMMAND = 0x7F
_PRIVATE, _REALTIME = 0x80, 0x100
_U32 = 0xFFFF_FFFF
_COMMANDS = listed(
    "FUTEX_",
    "WAIT WAKE FD REQUEUE CMP_REQUEUE WAKE_OP LOCK_PI UNLOCK_PI TRYLOCK_PI WAIT_BITSET WAKE_BITSET WAIT_REQUEUE_PI "
    "CMP_REQUEUE_PI LOCK_PI2",
)
_WITH_CLOCK = ("WAIT", "WAIT_BITSET", "WAIT_REQUEUE_PI")
_OPS = listed("FUTEX_OP_", "SET ADD OR ANDN XOR")
_COMPARES = listed("FUTEX_OP_CMP_", "EQ NE LT LE GT GE")
_OPARG_SHIFT = 8


def _operations() -> dict[int, str]:
    names = {}
    for command, name in _COMMANDS.items():
        names[command] = name
        private = f"{name}_PRIVATE" if name != "FUTEX_FD" else f"{name}|FUTEX_PRIVATE_FLAG"
        names[command | _PRIVATE] = private
        if name.removeprefix("FUTEX_") in _WITH_CLOCK:
            names[command | _REALTIME] = f"{name}|FUTEX_CLOCK_REALTIME"
            names[command | _PRIVATE | _REALTIME] = f"{private}|FUTEX_CLOCK_REALTIME"
    return names


_OPERATIONS = _operations()

# How the third to sixth argument of each command is shown, "" for not at all; other commands have numbers.
_VAL, _TIME, _COUNT, _ADDR, _BITS, _WAKE_OP = "val", "time", "count", "addr", "bits", "wake_op"
_SHOWN: dict[int, tuple[str, str, str, str]] = {
    command: (*kinds, *("",) * (4 - len(kinds)))  # type: ignore[misc]
    for command, kinds in {
        0: (_VAL, _TIME),
        1: (_VAL,),
        2: (_VAL,),
        3: (_VAL, _COUNT, _ADDR),
        4: (_VAL, _COUNT, _ADDR, _VAL),
        5: (_VAL, _COUNT, _ADDR, _WAKE_OP),
        6: ("", _TIME),
        7: (),
        8: (),
        9: (_VAL, _TIME, "", _BITS),
        10: (_VAL, "", "", _BITS),
        11: (_VAL, _TIME, _ADDR),
        12: (_VAL, _COUNT, _ADDR, _VAL),
        13: ("", _TIME),
    }.items()
}
_NUMBERS = (_VAL, _ADDR, _ADDR, "hex")


@shows("futex_op")
def futex_op(call: Call, value: int, arg: Arg) -> str:
    """An operation with its flags."""
    return named(call, value & _U32, _OPERATIONS, "FUTEX_???")


@shows("futex_val", "futex_timeout", "futex_uaddr2", "futex_val3")
def futex_argument(call: Call, value: int, arg: Arg) -> str | None:
    """One of the arguments whose meaning the operation decides."""
    kind = _SHOWN.get(call.args[1] & _COMMAND, _NUMBERS)[_POSITIONS[arg.format]]
    if kind in (_VAL, _COUNT):
        return str(value & _U32)
    if kind == _TIME:
        return timeout(call, value)
    if kind == _ADDR:
        return address(call, value)
    if kind == _BITS:
        return named(call, value, {FUTEX_BITSET_MATCH_ANY: "FUTEX_BITSET_MATCH_ANY"}, "")
    if kind == _WAKE_OP:
        return wake_op(call, value)
    return hexadecimal(value) if kind else None


_POSITIONS = {"futex_val": 0, "futex_timeout": 1, "futex_uaddr2": 2, "futex_val3": 3}


def timeout(call: Call, addr: int) -> str:
    """A pointer to a point in time or a duration."""
    return time_values(call, addr, Timespec)


def wake_op(call: Call, value: int) -> str:
    """What FUTEX_WAKE_OP does with the second word, and compares it with."""
    parts = []
    if value >> 31:
        parts.append(_shifted(call, _OPARG_SHIFT, {_OPARG_SHIFT: "FUTEX_OP_OPARG_SHIFT"}, 28, ""))
    parts.append(_shifted(call, value >> 28 & 7, _OPS, 28, "FUTEX_OP_???"))
    parts.append(f"{hexadecimal(value >> 12 & 0xFFF)}<<12")
    parts.append(_shifted(call, value >> 24 & 0xF, _COMPARES, 24, "FUTEX_OP_CMP_???"))
    parts.append(hexadecimal(value & 0xFFF))
    return "|".join(parts)


def _shifted(call: Call, value: int, names: Mapping[int, str], shift: int, unknown: str) -> str:
    name = names.get(value)
    if name is None or call.style.constants == "raw":
        return f"{hexadecimal(value)}<<{shift}" + (f" /* {unknown} */" if unknown else "")
    return f"{named(call, value, names, '')}<<{shift}"
