"""Stacks in words, line by line as `strace -k` of strace 6.1 writes them (man 1 strace)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from linuxemu.trace.unwind import DEEPEST

if TYPE_CHECKING:
    from linuxemu.trace.unwind import Frame


class Place(NamedTuple):
    """Where one function of a stack is.

    Args:
        module: the file that holds it, fit for a terminal; empty for code that is part of none.
        function: its name, empty if that is not known.
        offset: how many bytes behind its beginning; 0 without a name.
        position: the same place, from the beginning of the file.
        file: of the source, empty if that is not known.
        line: in it, from 1; 0 if that is not known.
        address: in the task's memory.
    """

    module: str
    function: str
    offset: int
    position: int
    file: str
    line: int
    address: int

    def __str__(self) -> str:
        name = f"{self.function}+{self.offset:#x}" if self.function else ""
        source = f" {self.source}" if self.file else ""
        return f" > {self.module}({name}) [{self.position:#x}]{source}"

    @property
    def source(self) -> str:
        """The line of its source as FILE:LINE, empty if that is not known."""
        return f"{self.file}:{self.line}" if self.file else ""


def place_of(frame: Frame) -> Place:
    """Where a function is that `unwind` found."""
    mapping = frame.mapping
    address, module = mapping.address_of(frame.inside), mapping.module
    function, offset, file, number = "", 0, "", 0
    if address is not None and module is not None:
        if symbol := module.symbol(address):
            function, offset = symbol[0], address + frame.pc - frame.inside - symbol[1]
        if found := module.line(address):
            file, number = found.file, found.number
    return Place(_shown(mapping.path), function, offset, mapping.offset_of(frame.pc), file, number, frame.pc)


def stack_lines(frames: list[Frame], *, source: bool = True, deepest: int = DEEPEST) -> list[str]:
    """The lines for a stack, without ends of line: ` > FILE(FUNCTION+0xOFFSET) [0xPOSITION] SOURCE:LINE`.

    Args:
        frames: what `unwind` found.
        source: add the line of source where the program has debug information, as `strace -kk` does since 6.7.
        deepest: the limit that `unwind` had; a stack that reaches it says so, as strace does.
    """
    places = map(place_of, frames)
    lines = [str(place if source else place._replace(file="")) for place in places]
    return [*lines, " > too many stack frames"] if len(frames) >= deepest else lines


def _shown(path: bytes) -> str:
    """A path fit for a terminal: what cannot be shown is written in octal."""
    text = path.decode("utf-8", "surrogateescape")
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else _octal(sign) for sign in text)


def _octal(sign: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in sign.encode("utf-8", "surrogateescape"))
