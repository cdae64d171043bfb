"""Values and flags of the tables of `syscalls.abi.tables`, and what formats of calls without a handler share."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, flags, follows, hexadecimal, named
from linuxemu.trace.formats.signals import signal_name
from syscalls.abi.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call
    from syscalls.types import Arg

ELEMENTS = 4096
"""An array is shown up to here, even under -v: a count comes from the guest."""
_SIGNALS = 64


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


def worded(call: Call, number: object, text: str) -> str:
    """A value that is not spelled in hexadecimal: as text, as a number, or as both."""
    style = call.style.constants
    if style == "raw":
        return str(number)
    return f"{number} /* {text} */" if style == "verbose" else text


def pointed(call: Call, addr: int, arg: Arg, size: int, show: Callable[[bytes], str]) -> str:
    """What stands in the `size` bytes at a pointer; the pointer where they are not to be shown, or unreadable."""
    data = call.read(addr, size) if follows(call, addr, arg) else None
    return show(data) if data is not None else address(call, addr)


def elements(call: Call, addr: int, count: int, size: int, show: Callable[[bytes], str]) -> str:
    """An array as -s cuts it, but never more than `ELEMENTS`; the rest from where it cannot be read as an address."""
    if not addr:
        return "NULL"
    if count <= 0:
        return "[]" if not count else address(call, addr)
    limit = min(count, call.style.string_limit if call.plan.abbrev else ELEMENTS)
    shown: list[str] = []
    for at in range(addr, addr + limit * size, size):
        data = call.read(at, size)
        if data is None:
            if not shown:
                return address(call, addr)
            return f"[{', '.join(shown)}, ... /* {at:#x} */]"
        shown.append(show(data))
    return f"[{', '.join(shown)}{', ...' if limit < count else ''}]"


def fields(data: bytes, layout: str, names: str) -> str:
    """Numbers of a structure in decimal, without braces.

    Args:
        data: the structure.
        layout: as of `struct`.
        names: of the fields, separated by spaces.
    """
    values = struct.unpack_from(layout, data)
    return ", ".join(f"{name}={value}" for name, value in zip(names.split(), values, strict=True))


def octal(value: int) -> str:
    """Permissions: an octal number with three digits at least."""
    return f"0{value:o}".zfill(3)


def sigset(call: Call, mask: int) -> str:
    """A set of signals by name, as what is missing where that is shorter."""
    inverted = mask.bit_count() >= _SIGNALS * 2 // 3
    shown = mask ^ (1 << _SIGNALS) - 1 if inverted else mask
    found = [signo for signo in range(1, 65) if shown >> signo - 1 & 1]
    names = [worded(call, signo, signal_name(signo).removeprefix("SIG")) for signo in found]
    return f"{'~' if inverted else ''}[{' '.join(names)}]"


def sigset_at(call: Call, addr: int, arg: Arg, size: int) -> str:
    """A set of signals in memory; one of another size than the kernel's is not shown."""
    if size != 8:
        return address(call, addr)
    return pointed(call, addr, arg, 8, lambda data: sigset(call, int.from_bytes(data, "little")))


def timespec(data: bytes) -> str:
    """A struct timespec; strace shows nanoseconds as an unsigned number."""
    return f"{{{fields(data, '<qQ', 'tv_sec tv_nsec')}}}"


@shows("timeout")
def timeout(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to a struct timespec."""
    return pointed(call, addr, arg, 16, timespec)


@shows("uint_pointer")
def uint_pointer(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to an unsigned int."""
    return pointed(call, addr, arg, 4, lambda data: f"[{int.from_bytes(data, 'little')}]")


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
