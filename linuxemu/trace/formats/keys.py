"""Keys: keyrings(7)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import ARRAY_MAX, address, array, hexadecimal, user, worded
from linuxemu.trace.formats.choices import bits, choice, fields, pointed
from linuxemu.trace.formats.strings import bytes_at, string
from linuxemu.trace.formats.vectors import iovecs
from syscalls.abi.errno import errno_name
from syscalls.abi.tables import table
from syscalls.types import s32

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call
    from syscalls.types import Arg


@shows("keyring")
def keyring(call: Call, value: int, arg: Arg | None = None) -> str:
    """A key's number, or one of the caller's keyrings by name."""
    value = s32(value)
    name = table("KEY_SPEC_").names.get(value)
    return worded(call, value, name) if name else str(value)


@shows("keyctl")
def keyctl(call: Call, value: int, arg: Arg) -> str | None:
    """An argument of an operation on keys: each operation has its own."""
    position = int(arg.table) - 2
    shown = _OPERATIONS.get(call.argument("operation"), (_raw,) * 4)
    return shown[position](call, value, arg) if position < len(shown) else None


def _raw(call: Call, value: int, arg: Arg) -> str:
    return hexadecimal(value)


def _number(call: Call, value: int, arg: Arg) -> str:
    return str(value)


def _int(call: Call, value: int, arg: Arg) -> str:
    return str(s32(value))


def _uint(call: Call, value: int, arg: Arg) -> str:
    return str(value & 0xFFFF_FFFF)


def _user(call: Call, value: int, arg: Arg) -> str:
    return user(call, value & 0xFFFF_FFFF, arg)


def _buffer(call: Call, value: int, arg: Arg) -> str:
    """Data whose length is the next argument."""
    return bytes_at(call, value, call.args[int(arg.table)]) if value else "NULL"


def _result(call: Call, value: int, arg: Arg) -> str:
    """What the kernel gives, as long as it is and there is room for."""
    if call.failed or not value:
        return address(call, value)
    return bytes_at(call, value, min(call.args[int(arg.table)], call.argument("result")))


def _permissions(call: Call, value: int, arg: Arg) -> str:
    return bits(call, value & 0xFFFF_FFFF, "KEY_perms")


def _default(call: Call, value: int, arg: Arg) -> str:
    number = s32(value)
    name = table("KEY_REQKEY_DEFL_").names.get(number)
    return worded(call, number, name) if name else choice(call, number, "KEY_REQKEY_DEFL_")


def _error(call: Call, value: int, arg: Arg) -> str:
    value &= 0xFFFF_FFFF
    return worded(call, value, errno_name(value)) if 0 < value < 134 else str(value)


def _vectors(call: Call, value: int, arg: Arg) -> str:
    if not call.plan.verbose:
        return address(call, value)
    return iovecs(call, value, call.args[int(arg.table)])


def _move(call: Call, value: int, arg: Arg) -> str:
    return bits(call, value & 0xFFFF_FFFF, "KEYCTL_MOVE_")


def _dh_params(call: Call, value: int, arg: Arg) -> str:
    return _given(call, value, arg, 12, lambda data: f"{{{fields(data, '<iii', 'private prime base')}}}")


def _given(call: Call, value: int, arg: Arg, size: int, show: Callable[[bytes], str]) -> str:
    return pointed(call, value, arg._replace(direction="in"), size, show)


def _kdf(call: Call, value: int, arg: Arg) -> str:
    def show(data: bytes) -> str:
        name, info, length = struct.unpack_from("<QQI", data)
        text = (
            f"hashname={string(call, name, arg)}, otherinfo={bytes_at(call, info, length) if info else 'NULL'}, "
            f"otherinfolen={length}"
        )
        spare = struct.unpack_from("<8I", data, 20)
        if any(spare):
            text += f", __spare=[{', '.join(hexadecimal(number) for number in spare)}]"
        return f"{{{text}}}"

    data = call.read(value, 56) if value else None
    return show(data) if data is not None else address(call, value)


def _pkey_params(call: Call, value: int, arg: Arg) -> str:
    second = "in2_len" if call.argument("operation") == _VERIFY else "out_len"

    def show(data: bytes) -> str:
        text = fields(data, "<iII", f"key_id in_len {second}")
        spare = struct.unpack_from("<7I", data, 12) if len(data) >= 40 else ()
        return f"{{{text}, __spare=[{', '.join(map(hexadecimal, spare))}]}}" if any(spare) else f"{{{text}}}"

    return _given(call, value, arg, 40, show)


def _pkey_input(call: Call, value: int, arg: Arg) -> str:
    return _pkey_data(call, value, 4)


def _pkey_signature(call: Call, value: int, arg: Arg) -> str:
    return _pkey_data(call, value, 8)


def _pkey_data(call: Call, value: int, offset: int) -> str:
    data = call.read(call.args[1] + offset, 4) if call.args[1] and call.plan.verbose else None
    if data is None or not value:
        return address(call, value)
    return bytes_at(call, value, int.from_bytes(data, "little"))


def _capabilities(call: Call, value: int, arg: Arg) -> str:
    """What the kernel can do with keys: flags, byte by byte."""
    if call.failed or not value or not call.plan.verbose:
        return address(call, value)
    position = iter(range(ARRAY_MAX))

    def show(data: bytes) -> str:
        at = next(position)
        return bits(call, data[0], f"KEYCTL_CAPS{at}_") if at < 2 else hexadecimal(data[0])

    return array(call, value, min(call.args[int(arg.table)], call.argument("result")), 1, show)


def _address(call: Call, value: int, arg: Arg) -> str:
    return address(call, value)


_VERIFY = 28
_PKEY = (_pkey_params, string, _pkey_input, _address)
_OPERATIONS: dict[int, tuple[Callable[[Call, int, Arg], str], ...]] = {
    0: (keyring, _int),
    1: (string,),
    2: (keyring, _buffer, _number),
    3: (keyring,),
    4: (keyring, _user, _user),
    5: (keyring, _permissions),
    6: (keyring, _result, _number),
    7: (keyring,),
    8: (keyring, keyring),
    9: (keyring, keyring),
    10: (keyring, string, string, keyring),
    11: (keyring, _result, _number),
    12: (keyring, _buffer, _number, keyring),
    13: (keyring, _uint, keyring),
    14: (_default,),
    15: (keyring, _uint),
    16: (keyring,),
    17: (keyring, _result, _number),
    18: (),
    19: (keyring, _uint, _error, keyring),
    20: (keyring, _vectors, _number, keyring),
    21: (keyring,),
    22: (_user, keyring),
    23: (_dh_params, _result, _number, _kdf),
    24: (keyring, _raw, string, _address),
    25: _PKEY,
    26: _PKEY,
    27: _PKEY,
    _VERIFY: (_pkey_params, string, _pkey_input, _pkey_signature),
    29: (keyring, string, string),
    30: (keyring, keyring, keyring, _move),
    31: (_capabilities, _number),
}
"""By operation what shows each of its arguments."""
