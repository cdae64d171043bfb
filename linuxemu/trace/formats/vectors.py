"""Arrays of struct iovec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, array
from linuxemu.trace.formats.strings import bytes_at
from syscalls.abi.structs import Iovec

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

@shows("iov")
def iov(call: Call, addr: int, arg: Arg) -> str:
    """An array of struct iovec: with the data that is written, or that was read."""
    if not addr or (not call.plan.verbose and call.argument(arg.length)):
        return address(call, addr)
    filled = arg.direction == "out"
    return iovecs(call, addr, call.argument(arg.length), call.argument("result") if filled else None)


def iovecs(call: Call, addr: int, count: int, filled: int | None = None) -> str:
    """An array of struct iovec.

    Args:
        filled: bytes of all the buffers that are to be shown; None for each whole buffer, negative for addresses only.
    """
    left = filled

    def one(data: bytes) -> str:
        nonlocal left
        base, length = Iovec.unpack(data)
        if left is None:
            text = bytes_at(call, base, length) if base else "NULL"
        elif left < 0:
            text = address(call, base)
        else:
            shown = min(length, left)
            text = bytes_at(call, base, shown) if base else "NULL"
            left -= shown
        return f"{{iov_base={text}, iov_len={length}}}"

    return array(call, addr, count, Iovec.SIZE, one)


@shows("vector")
def vector(call: Call, addr: int, arg: Arg) -> str:
    """Vectors whose buffers are not the caller's: addresses and lengths."""
    return iovecs(call, addr, call.argument(arg.length), -1) if _open(call, addr) else address(call, addr)


@shows("data_vector")
def data_vector(call: Call, addr: int, arg: Arg) -> str:
    """Vectors of the caller's buffers, as far as they have been filled if the kernel fills them."""
    if not _open(call, addr):
        return address(call, addr)
    count = call.argument(arg.length)
    if arg.direction == "in":
        return iovecs(call, addr, count)
    return iovecs(call, addr, count, -1 if call.failed else max(call.argument("result"), 0))


def _open(call: Call, addr: int) -> bool:
    return bool(addr) and call.plan.verbose

