"""Opening, reading and writing: modes, struct open_how, vectors of buffers, offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import changes, shows
from linuxemu.trace.formats.basic import address, array, fd, flags, follows, hexadecimal, mode, table
from linuxemu.trace.formats.strings import bytes_at, quote
from linuxemu.trace.formats.tables import unknown
from syscalls.abi.flags import O_ACCMODE, O_CREAT, O_DIRECTORY, O_TMPFILE
from syscalls.abi.structs import Iovec, OpenHow

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_ACCESS = {0: "O_RDONLY", 1: "O_WRONLY", 2: "O_RDWR", 3: "O_ACCMODE"}
_MASK = 0xFFFF_FFFF_FFFF_FFFF
_HAS_MODE = O_CREAT | O_TMPFILE & ~O_DIRECTORY
_PAGE = 4096


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
    style = call.style.constants
    value &= _MASK if value >= 0 else 0xFFFF_FFFF
    if style == "raw":
        return hexadecimal(value)
    text = open_flags_text(call, value)
    return f"{hexadecimal(value)} /* {text} */" if style == "verbose" else text


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


def beyond(call: Call, addr: int, known: int, size: int) -> str:
    """What a structure has behind its known part: its bytes unless all are 0, ??? if it cannot be read.

    At most a page of it is looked at, as the kernel takes no more.
    """
    if size <= known:
        return ""
    size = min(size, _PAGE)
    data = call.read(addr + known, size - known)
    if data is None:
        return ", ???"
    if not any(data):
        return ""
    limit = call.style.string_limit
    text = quote(data[:limit], "all") + ("..." if len(data) > limit else "")
    return f", /* bytes {known}..{size - 1} */ {text}"


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


@shows("offset_at")
def offset_at(call: Call, addr: int, arg: Arg | None = None) -> str:
    """A pointer to an offset, as it is when the call begins."""
    return _offset(call, addr, True)


_MOVES = "moves"
"""Note of a call whose offset was shown when it began."""


def _offset(call: Call, addr: int, signed: bool) -> str:
    data = call.read(addr, 8) if addr and call.plan.verbose else None
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


@shows("pipe_fds")
def pipe_fds(call: Call, addr: int, arg: Arg) -> str:
    """The two descriptors of a pipe."""
    if not follows(call, addr, arg):
        return address(call, addr)
    return array(call, addr, 2, 4, lambda data: fd(call, int.from_bytes(data, "little", signed=True)))
