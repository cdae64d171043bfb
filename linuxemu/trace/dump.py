"""Dumps of the data that is read and written (-e read=, -e write=)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from syscalls.abi.structs import Iovec

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from linuxemu.trace.call import Call

_READS = frozenset(("read", "pread64", "recvfrom", "mq_timedreceive"))
_WRITES = frozenset(("write", "pwrite64", "sendto", "mq_timedsend"))
_READS_VECTOR = frozenset(("readv", "preadv", "preadv2"))
_WRITES_VECTOR = frozenset(("writev", "pwritev", "pwritev2", "vmsplice"))
_MESSAGES = {"recvmsg": True, "sendmsg": False}
_MESSAGE = Struct("<16xQQ")
_BUFFER_MAX = 1 << 20
_BUFFERS_MAX = 1024
_ROW = 16


def lines(call: Call, reads: Container[int], writes: Container[int]) -> list[str]:
    """The lines that come behind a call that has ended, without line ends; none for most calls.

    A buffer is dumped if all of it can be read, and at most 1 MiB of it.

    Args:
        reads: descriptors whose reads are dumped.
        writes: descriptors whose writes are dumped.

    Raises:
        NotResident: a page has to be brought in first.
    """
    name = call.plan.name
    if name in _READS or name in _READS_VECTOR or _MESSAGES.get(name) is True:
        if call.args[0] not in reads or call.failed or not call.result:
            return []
        limit = call.result
    elif name in _WRITES or name in _WRITES_VECTOR or name in _MESSAGES:
        if call.args[0] not in writes:
            return []
        limit = None
    else:
        return []
    if name in _READS or name in _WRITES:
        return list(_rows(call, call.args[1], call.args[2] if limit is None else limit))
    if name in _MESSAGES:
        data = call.read(call.args[1], _MESSAGE.size)
        if data is None:
            return []
        vector, count = _MESSAGE.unpack(data)
        return list(_buffers(call, vector, count, limit))
    return list(_buffers(call, call.args[1], call.args[2], limit))


def _buffers(call: Call, addr: int, count: int, limit: int | None) -> Iterator[str]:
    """Each buffer of a vector that has anything to show, up to `limit` bytes of all of them."""
    left = limit
    for place in range(min(count, _BUFFERS_MAX)):
        data = call.read(addr + place * Iovec.SIZE, Iovec.SIZE)
        if data is None:
            return
        base, length = Iovec.unpack(data)
        if left is not None:
            length = min(length, left)
            left -= length
        if length:
            yield f" * {length} bytes in buffer {place}"
            yield from _rows(call, base, length)


def _rows(call: Call, addr: int, length: int) -> Iterator[str]:
    """Rows of 16 bytes in hexadecimal and as characters."""
    data = call.read(addr, min(length, _BUFFER_MAX)) if length > 0 else None
    for at in range(0, len(data or b""), _ROW):
        row = (data or b"")[at : at + _ROW]
        left, right = row[:8].hex(" "), row[8:].hex(" ")
        shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield f" | {at:05x}  {left:<23}  {right:<23}  {shown:<16} |"
