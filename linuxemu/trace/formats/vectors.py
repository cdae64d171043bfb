"""Arrays of struct iovec."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address
from linuxemu.trace.formats.choices import elements
from linuxemu.trace.formats.strings import bytes_at

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_SIZE = 16


def vectors(call: Call, addr: int, count: int, filled: int | None = None, followed: bool = True) -> str:
    """An array of struct iovec.

    Args:
        call: the call.
        addr: of the array.
        count: of its elements.
        filled: bytes that the kernel has put into the buffers; None if all of them have data.
        followed: the buffers are shown, not their addresses.
    """
    left = filled

    def show(data: bytes) -> str:
        nonlocal left
        base, length = struct.unpack("<QQ", data)
        shown = length
        if left is not None:
            shown = min(length, left)
            left -= shown
        text = bytes_at(call, base, shown) if followed and base else address(call, base)
        return f"{{iov_base={text}, iov_len={length}}}"

    return elements(call, addr, count, _SIZE, show)


@shows("vector")
def vector(call: Call, addr: int, arg: Arg) -> str:
    """Vectors whose buffers are not the caller's: addresses and lengths."""
    return vectors(call, addr, call.argument(arg.length), followed=False) if _open(call, addr) else address(call, addr)


@shows("data_vector")
def data_vector(call: Call, addr: int, arg: Arg) -> str:
    """Vectors of the caller's buffers, as far as they have been filled if the kernel fills them."""
    if not _open(call, addr):
        return address(call, addr)
    count = call.argument(arg.length)
    if arg.direction == "in":
        return vectors(call, addr, count)
    return vectors(call, addr, count, max(call.argument("result"), 0), followed=not call.failed)


def _open(call: Call, addr: int) -> bool:
    return bool(addr) and call.plan.verbose

