"""Values with a look of their own that several families of calls share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, array, follows, user
from syscalls.abi import flags as constants
from syscalls.types import s32

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_U32, _U64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF


def listed(prefix: str, names: str) -> dict[int, str]:
    """Value to name of some constants with a prefix, in the order of `names`, which leave the prefix out."""
    return {getattr(constants, prefix + name): prefix + name for name in names.split()}


def word(data: bytes) -> int:
    """An unsigned number in memory."""
    return int.from_bytes(data, "little")


def pointed(call: Call, addr: int, size: int, show: Callable[[int], str]) -> str:
    """What a pointer to an unsigned number of `size` bytes points to, in brackets; the address if it cannot be read."""
    data = call.read(addr, size) if addr else None
    return address(call, addr) if data is None else f"[{show(word(data))}]"


def filled(call: Call, addr: int, size: int, show: Callable[[int], str]) -> str:
    """As `pointed`, for a number that the kernel fills: the address if the call failed, or under -e verbose=none."""
    return address(call, addr) if call.failed or not call.plan.verbose else pointed(call, addr, size, show)


@shows("unsigned")
def unsigned(call: Call, value: int, arg: Arg) -> str:
    """An int that the kernel takes for an unsigned one."""
    return str(value & _U32)


@shows("signed")
def signed(call: Call, value: int, arg: Arg) -> str:
    """An unsigned int that is shown as a signed one."""
    return str(s32(value))


@shows("uints")
def uints(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to an unsigned int."""
    return pointed(call, addr, 4, str) if follows(call, addr, arg) else address(call, addr)


@shows("ulongs")
def ulongs(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to an unsigned long."""
    return pointed(call, addr, 8, str) if follows(call, addr, arg) else address(call, addr)


@shows("stored_address")
def stored_address(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to an address."""
    if not follows(call, addr, arg):
        return address(call, addr)
    return pointed(call, addr, 8, lambda value: address(call, value))


def pids(call: Call, addr: int, count: int) -> str:
    """An array of process ids."""
    return array(call, addr, count, 4, lambda data: str(int.from_bytes(data, "little", signed=True)))


@shows("ids")
def ids(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to one user or group id, or to `arg.length` of them."""
    if not follows(call, addr, arg):
        return address(call, addr)
    count = call.argument(arg.length) if arg.length else 1
    return array(call, addr, count, 4, lambda data: user(call, word(data), arg))

