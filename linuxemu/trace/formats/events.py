"""Timers and signals that are files, fanotify, futexes, and asynchronous input and output."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, array, dirfd, fd, hexadecimal, table, worded
from linuxemu.trace.formats.choices import bits, choice, pointed
from linuxemu.trace.formats.resource import io_priority
from linuxemu.trace.formats.strings import bytes_at
from linuxemu.trace.formats.vectors import iovecs
from syscalls.abi import tables
from syscalls.types import s32

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_IOCB = 64
_PREAD, _PWRITE, _FSYNC, _FDSYNC, _POLL, _PREADV, _PWRITEV = 0, 1, 2, 3, 5, 7, 8


# -- fanotify ----------------------------------------------------------------------------------------------------


@shows("fanotify_flags")
def fanotify_flags(call: Call, value: int, arg: Arg) -> str:
    """A class of events and flags."""
    kind, rest = value & 0xC, value & ~0xC
    text = choice(call, kind, "FAN_CLASS_")
    return f"{text}|{bits(call, rest, arg.table)}" if rest else text


@shows("fanotify_dir")
def fanotify_dir(call: Call, value: int, arg: Arg) -> str:
    """A directory's descriptor, AT_FDCWD or none."""
    if value == -1:
        return worded(call, value, "FAN_NOFD")
    return dirfd(call, value, arg)


# -- futexes -----------------------------------------------------------------------------------------------------


@shows("futex_waitv")
def futex_waitv(call: Call, addr: int, arg: Arg) -> str:
    """Futexes to wait for."""
    if not addr or not call.plan.verbose:
        return address(call, addr)

    def show(data: bytes) -> str:
        value, uaddr, how, reserved = struct.unpack("<QQII", data)
        text = (
            f"{{val={hexadecimal(value)}, uaddr={address(call, uaddr)}, flags={bits(call, how, 'FUTEX_waiter')}"
        )
        return f"{text}, __reserved={reserved:#x}}}" if reserved else f"{text}}}"

    return array(call, addr, call.argument(arg.length), 24, show)


# -- asynchronous input and output -------------------------------------------------------------------------------


@shows("iocbs")
def iocbs(call: Call, addr: int, arg: Arg) -> str:
    """Pointers to requests."""
    if not addr or not call.plan.verbose:
        return address(call, addr)

    def show(data: bytes) -> str:
        pointer = int.from_bytes(data, "little")
        request = call.read(pointer, _IOCB) if pointer else None
        return _iocb(call, request, True) if request is not None else address(call, pointer)

    return array(call, addr, call.argument(arg.length), 8, show)


@shows("iocb_head")
def iocb_head(call: Call, addr: int, arg: Arg) -> str:
    """A request, as much of it as says which it is."""
    return pointed(call, addr, arg, _IOCB, lambda data: _iocb(call, data, False))


def _iocb(call: Call, data: bytes, whole: bool) -> str:
    tag, key, rw, opcode, priority, number = struct.unpack_from("<QIIHhI", data)
    buffer, count, offset, how, resfd = struct.unpack_from("<QQq8xII", data, 24)
    parts = [f"aio_data={tag:#x}"] if tag else []
    if key:
        parts.append(f"aio_key={key}")
    if rw:
        parts.append(f"aio_rw_flags={_rw_flags(call, rw)}")
    parts.append(f"aio_lio_opcode={_opcode(call, opcode)}")
    if priority or how & 2:
        parts.append(f"aio_reqprio={io_priority(call, priority & 0xFFFF) if how & 2 else priority}")
    parts.append(f"aio_fildes={fd(call, s32(number))}")
    if whole:
        parts += _iocb_data(call, opcode, buffer, count, offset)
        if how:
            parts.append(f"aio_flags={bits(call, how, 'IOCB_FLAG_')}")
        if how & 1:
            parts.append(f"aio_resfd={fd(call, s32(resfd))}")
    return f"{{{', '.join(parts)}}}"


def _opcode(call: Call, value: int) -> str:
    name = tables.table("IOCB_CMD_").names.get(value)
    return choice(call, value, "IOCB_CMD_") if name else f"{value} /* IOCB_CMD_??? */"


def _rw_flags(call: Call, value: int) -> str:
    from linuxemu.trace.formats.basic import flags

    return flags(call, value, table("RWF_"), "RWF_???")


def _iocb_data(call: Call, opcode: int, buffer: int, count: int, offset: int) -> list[str]:
    if opcode in (_PREADV, _PWRITEV):
        if opcode == _PWRITEV and buffer and call.read(buffer, 1) is not None:
            text = iovecs(call, buffer, count)
        elif opcode == _PREADV and buffer and call.read(buffer, 1) is not None:
            text = iovecs(call, buffer, count, -1)
        else:
            text = address(call, buffer)
        return [f"aio_buf={text}", f"aio_offset={offset}"]
    if opcode in (_PREAD, _PWRITE):
        text = bytes_at(call, buffer, count) if opcode == _PWRITE and buffer else address(call, buffer)
        return [f"aio_buf={text}", f"aio_nbytes={count}", f"aio_offset={offset}"]
    if opcode == _POLL:
        from linuxemu.trace.formats.basic import flags

        return [f"aio_buf={flags(call, buffer, table('POLL'), 'POLL???')}"]
    return []


@shows("io_event")
def io_event(call: Call, addr: int, arg: Arg) -> str:
    """What came of a request."""
    return pointed(call, addr, arg, 32, _event)


@shows("io_events")
def io_events(call: Call, addr: int, arg: Arg) -> str:
    """What came of some requests."""
    if not addr or not call.plan.verbose or call.failed:
        return address(call, addr)
    return array(call, addr, call.argument(arg.length), 32, _event)


def _event(data: bytes) -> str:
    tag, request, first, second = struct.unpack("<QQqq", data)
    return f"{{data={hexadecimal(tag)}, obj={hexadecimal(request)}, res={first}, res2={second}}}"
