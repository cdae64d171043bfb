"""Numbers, named values, flags, addresses, descriptors, structures and arrays."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from linuxemu.trace.formats import STRUCTS, shows
from linuxemu.trace.formats.descriptors import cwd, target
from linuxemu.trace.formats.pids import pid_text
from linuxemu.trace.formats.tables import listed, unknown
from syscalls.abi import flags as constants
from syscalls.abi import structs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_MASK = 0xFFFF_FFFF_FFFF_FFFF
AT_FDCWD = constants.AT_FDCWD
ARRAY_MAX = 4096
"""Elements of an array that are shown when it is not cut short: a program that gives wild counts costs no more."""


@cache
def table(prefix: str) -> dict[int, str]:
    """Value to name of the constants with a prefix."""
    found = listed(prefix)
    return found if found is not None else constants.names(prefix)


def hexadecimal(value: int) -> str:
    """A number in hexadecimal, 0 without a prefix."""
    return f"{value:#x}" if value else "0"


def octal(value: int) -> str:
    """Permissions: an octal number with three digits at least."""
    return f"0{value:o}".zfill(3)


def worded(call: Call, number: object, text: str) -> str:
    """A value that has a spelling of its own: as text, as a number, or as both."""
    style = call.style.constants
    if style == "raw":
        return str(number)
    return f"{number} /* {text} */" if style == "verbose" else text


def named(call: Call, value: int, names: Mapping[int, str], comment: str) -> str:
    """One of several values by name; another one as a number, with a comment."""
    style = call.style.constants
    name = names.get(value)
    if style == "abbrev" and name is not None:
        return name
    number = hexadecimal(value if value >= 0 else value & 0xFFFF_FFFF)
    comment = comment if name is None else name
    return f"{number} /* {comment} */" if comment and style != "raw" else number


def flag_names(value: int, names: Mapping[int, str]) -> tuple[list[str], int]:
    """The names of the bits of a value, in the table's order, and the bits that have none."""
    found = []
    for bits, name in names.items():
        if bits and value & bits == bits:
            found.append(name)
            value &= ~bits
    return found, value


def flags(call: Call, value: int, names: Mapping[int, str], comment: str) -> str:
    """Flags by name, joined by |; bits without a name as a number."""
    style = call.style.constants
    if style == "raw":
        return hexadecimal(value)
    if not value:
        text = names.get(0, "0")
    else:
        found, rest = flag_names(value, names)
        if rest:
            found.append(hexadecimal(rest))
        text = "|".join(found)
        if rest == value:
            return f"{text} /* {comment} */" if comment else text
    if style == "verbose" and text != "0":
        return f"{hexadecimal(value)} /* {text} */"
    return text


@shows("int", "uint", "size", "offset")
def number(call: Call, value: int, arg: Arg) -> str:
    """A number in decimal."""
    return str(value)


@shows("hex")
def hex_number(call: Call, value: int, arg: Arg) -> str:
    """A register in hexadecimal, 0 without a prefix."""
    return hexadecimal(value & _MASK)


@shows("flags")
def some_flags(call: Call, value: int, arg: Arg) -> str:
    """Flags of a table of `syscalls.abi.flags`."""
    return flags(call, value & _MASK if value >= 0 else value & 0xFFFF_FFFF, table(arg.table), unknown(arg.table))


@shows("value")
def some_value(call: Call, value: int, arg: Arg) -> str:
    """A value of a table of `syscalls.abi.flags`."""
    return named(call, value, table(arg.table), unknown(arg.table))


@shows("mode")
def mode(call: Call, value: int, arg: Arg) -> str:
    """Permissions in octal."""
    return octal(value)


@shows("address")
def address(call: Call, value: int, arg: Arg | None = None) -> str:
    """An address in hexadecimal, NULL for 0."""
    return f"{value:#x}" if value else "NULL"


@shows("uid", "gid")
def user(call: Call, value: int, arg: Arg) -> str:
    """A user or group id; the one that stands for "no change" is -1."""
    return "-1" if value == 0xFFFF_FFFF else str(value)


@shows("pid")
def pid(call: Call, value: int, arg: Arg) -> str:
    """A process or thread id, with the command's name under -Y."""
    return pid_text(call.t, value, call.style)


@shows("fd")
def fd(call: Call, value: int, arg: Arg | None = None) -> str:
    """A file descriptor, with what it refers to under -y and -yy."""
    return f"{value}{target(call, value)}" if call.style.fds and value >= 0 else str(value)


@shows("dirfd")
def dirfd(call: Call, value: int, arg: Arg) -> str:
    """A directory's descriptor, or AT_FDCWD."""
    if value != AT_FDCWD:
        return fd(call, value, arg)
    text = worded(call, value, "AT_FDCWD")
    return text + cwd(call) if call.style.fds else text


@shows("dev")
def device(call: Call, value: int, arg: Arg | None = None) -> str:
    """A device number."""
    major = (value >> 8) & 0xFFF | (value >> 32) & ~0xFFF
    minor = value & 0xFF | (value >> 12) & ~0xFF
    return worded(call, hexadecimal(value), f"makedev({hexadecimal(major)}, {hexadecimal(minor)})")


@shows("struct")
def struct(call: Call, addr: int, arg: Arg) -> str:
    """What a pointer to a structure, or to `arg.length` of them, points to."""
    if not follows(call, addr, arg):
        return address(call, addr)
    kind: Any = getattr(structs, arg.table)
    show = STRUCTS.get(arg.table) or plain_struct
    if arg.length:
        return array(call, addr, call.argument(arg.length), kind.SIZE, lambda data: show(call, kind.unpack(data)))
    data = call.read(addr, kind.SIZE)
    return show(call, kind.unpack(data)) if data is not None else address(call, addr)


def peek(call: Call, addr: int, size: int) -> bytes | None:
    """What a pointer points to, unless it is not to be followed."""
    return call.read(addr, size) if addr and call.plan.verbose else None


def structure(kind: Any, show: Callable[[Call, Any], str]) -> Callable[[Call, int], str]:
    """A formatter of a pointer to a structure."""

    def pointer(call: Call, addr: int) -> str:
        data = peek(call, addr, kind.SIZE)
        return show(call, kind.unpack(data)) if data is not None else address(call, addr)

    return pointer


def follows(call: Call, addr: int, arg: Arg) -> bool:
    """Whether a pointer's target is shown: not under -e verbose=none, nor what a failed call did not fill."""
    return bool(addr) and call.plan.verbose and not (arg.direction == "out" and call.failed)


def plain_struct(call: Call, value: Any) -> str:
    """A structure with each field in decimal, inner ones in braces of their own."""
    parts = []
    for name, field in zip(value.FIELDS, value, strict=True):
        shown = plain_struct(call, field) if hasattr(field, "FIELDS") else str(field)
        parts.append(f"{name}={shown}")
    return "{" + ", ".join(parts) + "}"


def array(call: Call, addr: int, count: int, size: int, show: Callable[[bytes], str]) -> str:
    """An array of `count` elements of `size` bytes: as many as -s says, those that can be read; at most 4096."""
    if not addr:
        return "NULL"
    if count <= 0 or addr + count * size > _MASK:
        return "[]" if not count else address(call, addr)
    limit = min(count, call.style.string_limit if call.plan.abbrev else ARRAY_MAX)
    shown: list[str] = []
    for position in range(limit):
        data = call.read(addr + position * size, size)
        if data is None:
            if not shown:
                return address(call, addr)
            shown.append(f"... /* {addr + position * size:#x} */")
            return f"[{', '.join(shown)}]"
        shown.append(show(data))
    if limit < count:
        shown.append("...")
    return f"[{', '.join(shown)}]"


@shows("ints")
def ints(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to one int, or to `arg.length` of them."""
    if not follows(call, addr, arg):
        return address(call, addr)
    count = call.argument(arg.length) if arg.length else 1
    return array(call, addr, count, 4, lambda data: str(int.from_bytes(data, "little", signed=True)))
