"""Disk quotas: quotactl(2)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, hexadecimal, worded
from linuxemu.trace.formats.choices import bits, choice, fields, pointed
from linuxemu.trace.formats.strings import path
from syscalls.abi.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_SYNC, _ON, _OFF, _GETFMT, _GETINFO, _SETINFO, _GET, _SET, _GETNEXT = range(0x800001, 0x80000A)
_XON, _XOFF, _XGET, _XSET, _XSTAT, _XREMOVE, _XSYNC, _XSTATV, _XGETNEXT = range(0x5801, 0x580A)
_ALONE = frozenset((_SYNC, _OFF, _XSYNC))
_NO_ID = frozenset((_GETFMT, _GETINFO, _SETINFO, _XON, _XOFF, _XSTAT, _XREMOVE, _XSTATV)) | _ALONE
_BLOCK = "<QQQQQQQQI"
_BLOCK_NAMES = "dqb_bhardlimit dqb_bsoftlimit dqb_curspace dqb_ihardlimit dqb_isoftlimit dqb_curinodes"


@shows("quota_command")
def quota_command(call: Call, value: int, arg: Arg) -> str:
    """A command and whose quotas it is about."""
    return worded(call, value, f"QCMD({_name(value >> 8, 'Q_')}, {_name(value & 0xFF, 'QUOTA_types')})")


def _name(value: int, name: str) -> str:
    names, unknown = table(name)
    return names.get(value) or f"{hexadecimal(value)} /* {unknown} */"


@shows("quota_special")
def quota_special(call: Call, addr: int, arg: Arg) -> str:
    """The device."""
    return path(call, addr, arg)


@shows("quota_id")
def quota_id(call: Call, value: int, arg: Arg) -> str | None:
    """Who has the quota, or its format; nothing where the command takes neither."""
    command = call.argument("cmd") >> 8
    if command in _NO_ID:
        return None
    if command == _ON:
        return choice(call, value, "QFMT_VFS_")
    return "-1" if value == 0xFFFF_FFFF else str(value)


@shows("quota_data")
def quota_data(call: Call, addr: int, arg: Arg) -> str | None:
    """What a command takes or gives."""
    command = call.argument("cmd") >> 8
    if command in _ALONE:
        return None
    if command == _ON:
        return path(call, addr, arg)
    given = _GIVEN.get(command)
    if given is not None:
        size, show = given
        return pointed(call, addr, arg._replace(direction="in"), size, lambda data: show(call, data))
    taken = _TAKEN.get(command)
    if taken is not None:
        size, show = taken
        return pointed(call, addr, arg._replace(direction="out"), size, lambda data: show(call, data))
    return address(call, addr)


def _block(call: Call, data: bytes) -> str:
    text = fields(data, "<6Q", _BLOCK_NAMES)
    if call.plan.abbrev:
        return f"{{{text}, ...}}"
    return f"{{{text}, {_block_times(call, data)}}}"


def _block_times(call: Call, data: bytes) -> str:
    valid = int.from_bytes(data[64:68], "little")
    return f"{fields(data[48:], '<QQ', 'dqb_btime dqb_itime')}, dqb_valid={bits(call, valid, 'QIF_')}"


def _next_block(call: Call, data: bytes) -> str:
    text = fields(data, "<6Q", _BLOCK_NAMES)
    number = int.from_bytes(data[68:72], "little")
    if call.plan.abbrev:
        return f"{{{text}, dqb_id={number}, ...}}"
    return f"{{{text}, {_block_times(call, data)}, dqb_id={number}}}"


def _info(call: Call, data: bytes) -> str:
    how, valid = struct.unpack_from("<II", data, 16)
    return (
        f"{{{fields(data, '<QQ', 'dqi_bgrace dqi_igrace')}, dqi_flags={bits(call, how, 'DQF_')}, "
        f"dqi_valid={bits(call, valid, 'IIF_')}}}"
    )


def _format(call: Call, data: bytes) -> str:
    return f"[{choice(call, int.from_bytes(data, 'little'), 'QFMT_VFS_')}]"


def _kinds(call: Call, data: bytes) -> str:
    return f"[{bits(call, int.from_bytes(data, 'little'), 'FS_QUOTA_')}]"


def _owners(call: Call, data: bytes) -> str:
    return f"[{bits(call, int.from_bytes(data, 'little'), 'FS_owner')}]"


def _limits(call: Call, data: bytes) -> str:
    version, how, mask, number = struct.unpack_from("<bBHI", data)
    text = (
        f"d_version={version}, d_flags={bits(call, how, 'FS_owner')}, d_fieldmask={hexadecimal(mask)}, "
        f"d_id={number}, "
        + fields(
            data[8:], "<6Q", "d_blk_hardlimit d_blk_softlimit d_ino_hardlimit d_ino_softlimit d_bcount d_icount"
        )
    )
    if call.plan.abbrev:
        return f"{{{text}, ...}}"
    more = fields(
        data[56:],
        "<iiHH4xQQQiH",
        "d_itimer d_btimer d_iwarns d_bwarns d_rtb_hardlimit d_rtb_softlimit d_rtbcount d_rtbtimer d_rtbwarns",
    )
    return f"{{{text}, {more}}}"


def _state(call: Call, data: bytes) -> str:
    return f"{{{fields(data, '<b', 'qs_version')}, ...}}"


_Structures = dict[int, tuple[int, "Callable[[Call, bytes], str]"]]
_GIVEN: _Structures = {
    _SET: (72, _block), _SETINFO: (24, _info), _XON: (4, _kinds), _XOFF: (4, _kinds), _XREMOVE: (4, _owners),
    _XSET: (112, _limits),
}  # fmt: skip
_TAKEN: _Structures = {
    _GET: (72, _block), _GETNEXT: (72, _next_block), _GETINFO: (24, _info), _GETFMT: (4, _format),
    _XGET: (112, _limits), _XGETNEXT: (112, _limits), _XSTAT: (80, _state), _XSTATV: (160, _state),
}  # fmt: skip
"""By command the size of what it takes and gives, and what shows it."""
