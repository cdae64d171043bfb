"""Values and flags of the tables of `syscalls.abi.tables`, and what formats of calls without a handler share."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, flags, follows, hexadecimal, named
from syscalls.abi.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call
    from syscalls.types import Arg



def choice(call: Call, value: int, name: str) -> str:
    """A value of a table; one that it does not have as an unsigned number."""
    return named(call, value, *table(name))


def bits(call: Call, value: int, name: str) -> str:
    """Flags of a table."""
    return flags(call, value, *table(name))


@shows("choice")
def some_choice(call: Call, value: int, arg: Arg) -> str:
    """A value of a table of `syscalls.abi.tables`."""
    return choice(call, value, arg.table)


@shows("bits")
def some_bits(call: Call, value: int, arg: Arg) -> str:
    """Flags of a table of `syscalls.abi.tables`."""
    return bits(call, value, arg.table)


def pointed(call: Call, addr: int, arg: Arg, size: int, show: Callable[[bytes], str]) -> str:
    """What stands in the `size` bytes at a pointer; the pointer where they are not to be shown, or unreadable."""
    data = call.read(addr, size) if follows(call, addr, arg) else None
    return show(data) if data is not None else address(call, addr)


def fields(data: bytes, layout: str, names: str) -> str:
    """Numbers of a structure in decimal, without braces.

    Args:
        data: the structure.
        layout: as of `struct`.
        names: of the fields, separated by spaces.
    """
    values = struct.unpack_from(layout, data)
    return ", ".join(f"{name}={value}" for name, value in zip(names.split(), values, strict=True))


def macs(data: bytes) -> str:
    """Bytes in hexadecimal with colons between them."""
    return ":".join(f"{byte:02x}" for byte in data)


def hex_list(data: bytes, limit: int | None = None, size: int = 1) -> str:
    """Numbers of `size` bytes in hexadecimal, in brackets."""
    numbers = [
        hexadecimal(int.from_bytes(data[at : at + size], "little")) for at in range(0, len(data), size)
    ]
    cut = limit is not None and len(numbers) > limit
    return f"[{', '.join([*numbers[:limit], '...'] if cut else numbers)}]"
