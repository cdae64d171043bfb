"""io_uring(7)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, array, fd, hexadecimal, peek
from linuxemu.trace.formats.choices import bits, fields, hex_list
from linuxemu.trace.formats.signals import sigset
from linuxemu.trace.formats.vectors import iovecs
from syscalls.types import s32

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_ATTACH = 1 << 5
_EXTENDED = 1 << 3
_BUFFERS, _FILES, _EVENTFD, _UPDATE, _EVENTFD_ASYNC = 0, 2, 4, 6, 7


@shows("uring_params")
def uring_params(call: Call, addr: int, arg: Arg) -> str:
    """A struct io_uring_params: what is asked for, and what the kernel adds."""
    data = peek(call, addr, 120)
    if data is None:
        return address(call, addr)
    sq_entries, cq_entries, how, cpu, idle, features, wq_fd = struct.unpack_from("<7I", data)
    parts = [
        f"flags={bits(call, how, 'IORING_SETUP_')}",
        f"sq_thread_cpu={hexadecimal(cpu)}",
        f"sq_thread_idle={idle}",
    ]
    if how & _ATTACH:
        parts.append(f"wq_fd={fd(call, s32(wq_fd))}")
    if any(data[28:40]):
        parts.append(f"resv={hex_list(data[28:40], size=4)}")
    if not call.failed:
        parts += [
            f"sq_entries={sq_entries}",
            f"cq_entries={cq_entries}",
            f"features={bits(call, features, 'IORING_FEAT_')}",
            f"sq_off={_offsets(data[40:80], 'head tail ring_mask ring_entries flags dropped array')}",
            f"cq_off={_offsets(data[80:120], 'head tail ring_mask ring_entries overflow cqes flags')}",
        ]
    return f"{{{', '.join(parts)}}}"


def _offsets(data: bytes, names: str) -> str:
    text = fields(data, "<7I", names)
    for name, value in zip(("resv1", "resv2"), struct.unpack_from("<IQ", data, 28), strict=True):
        if value:
            text += f", {name}={value:#x}"
    return f"{{{text}}}"


@shows("uring_signals")
def uring_signals(call: Call, addr: int, arg: Arg) -> str:
    """A signal mask, unless a flag says that it is something else."""
    if call.argument("flags") & _EXTENDED:
        return address(call, addr)
    return sigset(call, addr, arg)


@shows("uring_argument")
def uring_argument(call: Call, addr: int, arg: Arg) -> str:
    """What is registered: buffers, files, or a change of files."""
    if not addr or not call.plan.verbose:
        return address(call, addr)
    opcode, count = call.argument("opcode"), call.argument(arg.length)
    if opcode == _BUFFERS:
        return iovecs(call, addr, count, -1)
    if opcode in (_FILES, _EVENTFD, _EVENTFD_ASYNC):
        return _descriptors(call, addr, count)
    if opcode == _UPDATE:
        data = call.read(addr, 16)
        if data is not None:
            offset, reserved, where = struct.unpack("<IIQ", data)
            text = f"offset={offset}, " + (f"resv={reserved:#x}, " if reserved else "")
            return f"{{{text}fds={_descriptors(call, where, count)}}}"
    return address(call, addr)


def _descriptors(call: Call, addr: int, count: int) -> str:
    return array(call, addr, count, 4, lambda data: fd(call, int.from_bytes(data, "little", signed=True)))

