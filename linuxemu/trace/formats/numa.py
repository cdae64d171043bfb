"""Placement of memory on nodes, huge pages in flags, swap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, array, worded
from linuxemu.trace.formats.choices import bits, choice, pointed
from syscalls.abi.errno import errno_name
from syscalls.abi.tables import table

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_MODE_FLAGS = 0xE000
_PRIORITY = 0x7FFF


@shows("memory_policy")
def memory_policy(call: Call, value: int, arg: Arg) -> str:
    """A policy with flags."""
    kind, rest = value & ~_MODE_FLAGS, value & _MODE_FLAGS
    if kind not in table("MPOL_").names or call.style.constants == "raw":
        return bits(call, value, "MPOL_F_mode")
    text = choice(call, kind, "MPOL_")
    return f"{text}|{bits(call, rest, 'MPOL_F_mode')}" if rest else text


@shows("policy_pointer")
def policy_pointer(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to a policy."""

    def show(data: bytes) -> str:
        return f"[{memory_policy(call, int.from_bytes(data, 'little'), arg)}]"

    return pointed(call, addr, arg, 4, show)


@shows("node_mask")
def node_mask(call: Call, addr: int, arg: Arg) -> str:
    """A set of nodes: one more bit is said than there is."""
    count = call.argument(arg.length)
    hidden = not call.plan.verbose or (arg.direction == "out" and call.failed)
    words = (count - 1 + 63) // 64
    if not addr or count == 1 or count >> 63 or (hidden and words):
        return address(call, addr)

    def show(data: bytes) -> str:
        word = int.from_bytes(data, "little")
        return f"{word:#016x}" if word else "0" * 16

    return array(call, addr, words, 8, show)


@shows("page_addresses")
def page_addresses(call: Call, addr: int, arg: Arg) -> str:
    """Addresses of pages."""
    if not addr or not call.plan.verbose:
        return address(call, addr)

    def show(data: bytes) -> str:
        return address(call, int.from_bytes(data, "little"))

    return array(call, addr, call.argument(arg.length), 8, show)


@shows("page_nodes")
def page_nodes(call: Call, addr: int, arg: Arg) -> str:
    """Nodes of pages."""
    return _numbers(call, addr, arg, False)


@shows("page_status")
def page_status(call: Call, addr: int, arg: Arg) -> str:
    """Nodes of pages, or why they could not be moved."""
    return address(call, addr) if call.failed else _numbers(call, addr, arg, True)


def _numbers(call: Call, addr: int, arg: Arg, errors: bool) -> str:
    if not addr or not call.plan.verbose:
        return address(call, addr)

    def show(data: bytes) -> str:
        number = int.from_bytes(data, "little", signed=True)
        return worded(call, number, f"-{errno_name(-number)}") if errors and -4096 < number < 0 else str(number)

    return array(call, addr, call.argument(arg.length), 4, show)


@shows("swap_flags")
def swap_flags(call: Call, value: int, arg: Arg) -> str:
    """Flags with a priority."""
    how, priority = value & ~_PRIORITY, value & _PRIORITY
    return f"{bits(call, how, arg.table)}|{priority}" if how else str(priority)
