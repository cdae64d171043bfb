"""Opening, reading and writing: modes, struct open_how, vectors of buffers, offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import changes, shows
from linuxemu.trace.formats.basic import (
    address,
    array,
    fd,
    flags,
    follows,
    hexadecimal,
    mode,
    peek,
    table,
    worded,
)
from linuxemu.trace.formats.strings import beyond
from linuxemu.trace.formats.tables import unknown
from syscalls.abi.flags import O_ACCMODE, O_CREAT, O_DIRECTORY, O_TMPFILE
from syscalls.abi.structs import OpenHow

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_ACCESS = {0: "O_RDONLY", 1: "O_WRONLY", 2: "O_RDWR", 3: "O_ACCMODE"}
_MASK = 0xFFFF_FFFF_FFFF_FFFF
_HAS_MODE = O_CREAT | O_TMPFILE & ~O_DIRECTORY


def open_flags_text(call: Call, value: int) -> str:
    """Access mode and flags of open(2), without a comment for those that have no name."""
    rest = value & ~O_ACCMODE
    text = _ACCESS[value & O_ACCMODE]
    if rest:
        for bits, name in table("O_").items():
            if rest & bits == bits:
                text += "|" + name
                rest &= ~bits
        if rest:
            text += f"|{rest:#x}"
    return text


@shows("open_flags")
def open_flags(call: Call, value: int, arg: Arg | None = None) -> str:
    """The flags of open(2)."""
    value &= _MASK if value >= 0 else 0xFFFF_FFFF
    return worded(call, hexadecimal(value), open_flags_text(call, value))


@shows("create_mode")
def create_mode(call: Call, value: int, arg: Arg) -> str | None:
    """The mode of a file that open(2) may create; not shown if it may not."""
    return mode(call, value, arg) if call.argument("flags") & _HAS_MODE else None


@shows("umask")
def umask(call: Call, value: int, arg: Arg) -> str:
    """A mask of permissions, as the 16 bits that count."""
    return mode(call, value & 0xFFFF, arg)


@shows("hidden")
def hidden(call: Call, value: int, arg: Arg) -> None:
    """An argument that is not shown, such as the high half of an offset that has none."""


@shows("word")
def word(call: Call, value: int, arg: Arg) -> str:
    """A number as the unsigned long that it came as."""
    return str(value & _MASK)


@shows("long")
def register(call: Call, value: int, arg: Arg) -> str:
    """A number of 32 bits as the whole register says."""
    position = next(n for n, (_, other) in enumerate(call.plan.arguments) if other is arg)
    frame = call.frame
    return str((frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9)[position])


@shows("open_how")
def open_how(call: Call, addr: int, arg: Arg) -> str:
    """struct open_how of openat2(2), with what a later version of it has behind."""
    size = call.argument(arg.length)
    data = call.read(addr, OpenHow.SIZE) if follows(call, addr, arg) and size >= OpenHow.SIZE else None
    if data is None:
        return address(call, addr)
    how = OpenHow.unpack(data)
    text = f"{{flags={open_flags(call, how.flags)}"
    if how.mode or how.flags & _HAS_MODE:
        text += f", mode={mode(call, how.mode, arg)}"
    text += f", resolve={flags(call, how.resolve, table('RESOLVE_'), unknown('RESOLVE_'))}"
    return text + beyond(call, addr, OpenHow.SIZE, size) + "}"


@shows("offset_at")
def offset_at(call: Call, addr: int, arg: Arg | None = None) -> str:
    """A pointer to an offset, as it is when the call begins."""
    return _offset(call, addr, True)


_MOVES = "moves"
"""Note of a call whose offset was shown when it began."""


def _offset(call: Call, addr: int, signed: bool) -> str:
    data = peek(call, addr, 8)
    return f"[{int.from_bytes(data, 'little', signed=signed)}]" if data is not None else address(call, addr)


@shows("offset_changed")
def offset_before(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to an offset that the call moves."""
    text = _offset(call, addr, False)
    if text.startswith("["):
        call.separator, call.note = "", _MOVES
    return text


@changes("offset_changed")
def offset_after(call: Call, addr: int, arg: Arg) -> str | None:
    """Where the offset is then, if anything was moved."""
    if call.note != _MOVES:
        return None
    return f" => {_offset(call, addr, False)}" if call.result is not None and call.result > 0 else ""


@shows("fd_pair")
def fd_pair(call: Call, addr: int, arg: Arg) -> str:
    """The two descriptors of a pipe, or of a pair of sockets."""
    if not follows(call, addr, arg):
        return address(call, addr)
    return array(call, addr, 2, 4, lambda data: fd(call, int.from_bytes(data, "little", signed=True)))
