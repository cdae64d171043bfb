"""Stacks in words, line by line as `strace -k` of strace 6.1 writes them (man 1 strace)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.unwind import DEEPEST

if TYPE_CHECKING:
    from linuxemu.trace.unwind import Frame


def stack_lines(frames: list[Frame], *, source: bool = True, deepest: int = DEEPEST) -> list[str]:
    """The lines for a stack, without ends of line.

    Args:
        frames: what `unwind` found.
        source: add the line of source where the program has debug information, as `strace -kk` does since 6.7.
        deepest: the limit that `unwind` had; a stack that reaches it says so, as strace does.
    """
    lines = [frame_line(frame, source=source) for frame in frames]
    return [*lines, " > too many stack frames"] if len(frames) >= deepest else lines


def frame_line(frame: Frame, *, source: bool = True) -> str:
    """One frame: ` > FILE(FUNCTION+0xOFFSET) [0xPLACE] SOURCE:LINE`, where PLACE counts from the file's begin."""
    mapping = frame.mapping
    address, module = mapping.address_of(frame.inside), mapping.module
    name = line = ""
    if address is not None and module is not None:
        behind = frame.pc - frame.inside
        if symbol := module.symbol(address):
            name = f"{symbol[0]}+{address + behind - symbol[1]:#x}"
        if source and (found := module.line(address)):
            line = f" {found.file}:{found.number}"
    return f" > {_shown(mapping.path)}({name}) [{mapping.offset_of(frame.pc):#x}]{line}"


def _shown(path: bytes) -> str:
    """A path fit for a terminal: what cannot be shown is written in octal."""
    text = path.decode("utf-8", "surrogateescape")
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else _octal(sign) for sign in text)


def _octal(sign: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in sign.encode("utf-8", "surrogateescape"))
