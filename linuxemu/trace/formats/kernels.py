"""Modules, other kernels, descriptor tables, parameters of the kernel."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import after, shows
from linuxemu.trace.formats.basic import address, array
from linuxemu.trace.formats.choices import bits, choice, pointed
from linuxemu.trace.formats.strings import bytes_at

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_SEGMENTS = 16
_ARCH = 0xFFFF_0000
_WRITE, _WRITE_OLD = 0x11, 1


@shows("kexec_flags")
def kexec_flags(call: Call, value: int, arg: Arg) -> str:
    """An architecture and flags."""
    text, rest = choice(call, value & _ARCH, "KEXEC_ARCH_"), value & ~_ARCH
    return f"{text}|{bits(call, rest, arg.table)}" if rest else text


@shows("kexec_segments")
def kexec_segments(call: Call, addr: int, arg: Arg) -> str:
    """Parts of a kernel; more than Linux takes are not shown."""
    count = call.argument(arg.length)
    if not addr or not call.plan.verbose or count > _SEGMENTS:
        return address(call, addr)

    def show(data: bytes) -> str:
        buf, bufsz, mem, memsz = struct.unpack("<4Q", data)
        return f"{{buf={address(call, buf)}, bufsz={bufsz}, mem={address(call, mem)}, memsz={memsz}}}"

    return array(call, addr, count, 32, show)


@shows("command_line")
def command_line(call: Call, addr: int, arg: Arg) -> str:
    """A string with its NUL, by its length."""
    return bytes_at(call, addr, call.argument(arg.length)) if addr else "NULL"


@shows("ldt_data")
def ldt_data(call: Call, addr: int, arg: Arg) -> str:
    """An entry to be written."""
    if call.argument("func") not in (_WRITE, _WRITE_OLD) or call.argument(arg.length) != 16:
        return address(call, addr)
    return pointed(call, addr, arg, 16, _user_desc)


@shows("set_user_desc")
def set_user_desc(call: Call, addr: int, arg: Arg) -> str:
    """An entry to be set, and behind the result which one it became."""
    return pointed(call, addr, arg, 16, _user_desc)


@after("set_user_desc")
def which_entry(call: Call, addr: int, arg: Arg) -> None:
    """Which entry it became stands behind the result."""
    data = call.read(addr, 4) if addr and call.plan.verbose and not call.failed else None
    if data is not None:
        call.aux = f"entry_number={int.from_bytes(data, 'little')}"


@shows("get_user_desc")
def get_user_desc(call: Call, addr: int, arg: Arg) -> str:
    """An entry that the kernel gives."""

    def show(data: bytes) -> str:
        return f"{{entry_number={_entry(data)}, ...}}" if call.failed else _user_desc(data)

    return pointed(call, addr, arg._replace(direction="in"), 16, show)


def _entry(data: bytes) -> int:
    return int.from_bytes(data[:4], "little", signed=True)


def _user_desc(data: bytes) -> str:
    base, limit, how = struct.unpack_from("<III", data, 4)
    return (
        f"{{entry_number={_entry(data)}, base_addr={_wide(base)}, limit={_wide(limit)}, seg_32bit={how & 1}, "
        f"contents={how >> 1 & 3}, read_exec_only={how >> 3 & 1}, limit_in_pages={how >> 4 & 1}, "
        f"seg_not_present={how >> 5 & 1}, useable={how >> 6 & 1}, lm={how >> 7 & 1}}}"
    )


def _wide(value: int) -> str:
    """What printf's %#08x makes of a number."""
    return f"{value:#08x}" if value else "00000000"


@shows("sysctl_args")
def sysctl_args(call: Call, addr: int, arg: Arg) -> str:
    """The arguments of the call that read and changed parameters of the kernel."""

    def show(data: bytes) -> str:
        name, nlen, oldval, oldlenp, newval, newlen = struct.unpack("<Qi4xQQQQ", data)
        return (
            f"{{name={address(call, name)}, nlen={nlen}, oldval={address(call, oldval)}, "
            f"oldlenp={address(call, oldlenp)}, newval={address(call, newval)}, newlen={newlen}}}"
        )

    return pointed(call, addr, arg, 48, show)
