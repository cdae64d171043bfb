"""What unwind tables say of one address: where its caller's registers are (DWARF 5, 6.4.2)."""

from __future__ import annotations

import struct
from bisect import bisect_right
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from loader.frames import CallFrames, Entry
from loader.leb128 import signed, unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

    from loader.frames import Common

REGISTERS = 17
"""Columns of x86-64: the sixteen general registers, then the return address."""

UNDEFINED, SAME, OFFSET, VALUE_OFFSET, REGISTER, EXPRESSION, VALUE_EXPRESSION = range(7)
"""Kinds of rule: there is no value; unchanged; at the frame's address and so far; that address itself; in another
register; at the address that an expression says; the value that it says."""

_HEADER = struct.Struct("<BBBB")
_HEADER_VERSION = 1
_POINTER, _COUNT, _TABLE = 0x1B, 0x03, 0x3B
"""How all linkers write `.eh_frame_hdr`: relative to itself, a number, relative to its begin."""
_PAIR = struct.Struct("<ii")
_MOST = 1 << 21
"""Entries of a section without an index that are looked at."""


class Rule(NamedTuple):
    """Where the value of a register is."""

    kind: int
    number: int = 0
    code: bytes = b""


class FrameAddress(NamedTuple):
    """Where a frame is: what the stack pointer was before the call."""

    register: int = 0
    offset: int = 0
    """To be added to the register."""
    code: bytes = b""
    """An expression that says it instead."""


class Row(NamedTuple):
    """How to leave a function at one address."""

    frame: FrameAddress
    rules: dict[int, Rule]
    return_register: int
    signal: bool


class UnwindTable:
    """One section of call frame information with its index, if it has one.

    Args:
        frames: the section.
        address: where the section is in the program.
        header: `.eh_frame_hdr`, the index; empty if there is none.
        header_address: where that is.
    """

    def __init__(
        self, frames: CallFrames, address: int, header: bytes = b"", header_address: int = 0
    ) -> None:
        self._frames = frames
        self._address = address
        self._header = header
        self._header_address = header_address
        self._count = _entries(header)

    def find(self, address: int) -> Entry | None:
        """The entry of the function that has an address."""
        position = self._indexed(address) if self._count else self._scanned(address)
        entry = None if position is None else self._frames.entry(position)
        return entry if entry is not None and 0 <= address - entry.start < entry.size else None

    def _indexed(self, address: int) -> int | None:
        base = self._header_address

        def start(number: int) -> int:
            value: int = _PAIR.unpack_from(self._header, 12 + 8 * number)[0]
            return value

        number = bisect_right(range(self._count), address - base, key=start) - 1
        if number < 0:
            return None
        place: int = _PAIR.unpack_from(self._header, 12 + 8 * number)[1]
        return base + place - self._address

    def _scanned(self, address: int) -> int | None:
        number = bisect_right(self._ranges, address, key=lambda item: item[0]) - 1
        return self._ranges[number][1] if number >= 0 else None

    @cached_property
    def _ranges(self) -> list[tuple[int, int]]:
        found = islice(self._frames.ranges(), _MOST)
        return sorted((start, position) for start, _, position, _ in found)


def frames_address(header: bytes, header_address: int) -> int | None:
    """Where `.eh_frame` is, as its index says."""
    return header_address + 4 + struct.unpack_from("<i", header, 4)[0] if _entries(header) else None


def _entries(header: bytes) -> int:
    """How many entries the index has; none if it is written in a way that no linker uses."""
    if len(header) < 12 or _HEADER.unpack_from(header) != (_HEADER_VERSION, _POINTER, _COUNT, _TABLE):
        return 0
    return min(int.from_bytes(header[8:12], "little"), (len(header) - 12) // 8)


def row_at(entry: Entry, address: int) -> Row | None:
    """The rules that hold at an address of a function; None if its instructions are damaged."""
    state = _State(entry.common)
    try:
        state.run(entry.common.instructions, address)
        state.initial = dict(state.rules)
        state.location = entry.start
        state.run(entry.instructions, address)
    except (IndexError, ValueError):
        return None
    common = entry.common
    return Row(state.frame, state.rules, common.return_register, common.signal)


# What the instructions take: u, s and a are LEB128 numbers (unsigned, signed, unsigned), of which a counts in units of
# the data alignment, as S, a signed one, does; digits are bytes; b is a block.
_OPERANDS = {
    0x00: "", 0x02: "1", 0x03: "2", 0x04: "4", 0x05: "ua", 0x06: "u", 0x07: "u", 0x08: "u", 0x09: "uu", 0x0A: "",
    0x0B: "", 0x0C: "uu", 0x0D: "u", 0x0E: "u", 0x0F: "b", 0x10: "ub", 0x11: "uS", 0x12: "uS", 0x13: "S",
    0x14: "ua", 0x15: "uS", 0x16: "ub", 0x2E: "u", 0x2F: "ua",
}  # fmt: skip
_ADVANCE, _OFFSET, _RESTORE = 0x40, 0x80, 0xC0
_GNU_NEGATIVE_OFFSET = 0x2F
_DEPTH = 64
_RULES = {
    0x05: OFFSET, 0x07: UNDEFINED, 0x08: SAME, 0x09: REGISTER, 0x10: EXPRESSION, 0x11: OFFSET, 0x14: VALUE_OFFSET,
    0x15: VALUE_OFFSET, 0x16: VALUE_EXPRESSION,
}  # fmt: skip


class _State:
    """The machine that runs the instructions of entries."""

    def __init__(self, common: Common) -> None:
        self._common = common
        self.frame = FrameAddress()
        self.rules: dict[int, Rule] = {}
        self.initial: dict[int, Rule] = {}
        self.location = 0
        self._remembered: list[tuple[FrameAddress, dict[int, Rule]]] = []

    def run(self, code: bytes, address: int) -> None:
        """Runs instructions up to the first that is of code behind an address.

        Raises:
            ValueError, IndexError: one is unknown or cut off.
        """
        at = 0
        while at < len(code):
            operation = code[at]
            at += 1
            high, low = operation & 0xC0, operation & 0x3F
            if high == _ADVANCE:
                self.location += low * self._common.code_alignment
            elif high == _OFFSET:
                number, at = unsigned(code, at)
                self._set(low, Rule(OFFSET, number * self._common.data_alignment))
            elif high == _RESTORE:
                self._restore(low)
            else:
                number, second, block, at = self._operands(_OPERANDS.get(operation, "?"), code, at)
                self._do(operation, number, second, block)
            if self.location > address:
                return

    def _operands(self, kinds: str, code: bytes, at: int) -> tuple[int, int, bytes, int]:
        numbers, block = [], b""
        for kind in kinds:
            if kind in "uab":
                number, at = unsigned(code, at)
            elif kind in "sS":
                number, at = signed(code, at)
            elif kind == "?":
                raise ValueError("an unknown instruction")
            else:
                number, at = int.from_bytes(code[at : at + int(kind)], "little"), at + int(kind)
            if kind in "aS":
                number *= self._common.data_alignment
            if kind == "b":
                block, at = code[at : at + number], at + number
            numbers.append(number)
        first, second, *_ = [*numbers, 0, 0]
        return first, second, block, at

    def _do(self, operation: int, number: int, second: int, block: bytes) -> None:
        if operation in _RULES:
            self._set(number, Rule(_RULES[operation], second, block))
        elif operation == _GNU_NEGATIVE_OFFSET:
            self._set(number, Rule(OFFSET, -second))
        elif operation in _ACTIONS:
            _ACTIONS[operation](self, number, second, block)

    def _set(self, register: int, rule: Rule) -> None:
        if register < REGISTERS:  # others, such as vector registers, do not matter
            self.rules[register] = rule

    def _restore(self, register: int) -> None:
        if register in self.initial:
            self.rules[register] = self.initial[register]
        else:
            self.rules.pop(register, None)

    def _advance(self, number: int, second: int, block: bytes) -> None:
        self.location += number * self._common.code_alignment

    def _restore_extended(self, number: int, second: int, block: bytes) -> None:
        self._restore(number)

    def _remember(self, number: int, second: int, block: bytes) -> None:
        if len(self._remembered) == _DEPTH:
            raise ValueError("remembers more than any compiler")
        self._remembered.append((self.frame, dict(self.rules)))

    def _recall(self, number: int, second: int, block: bytes) -> None:
        self.frame, self.rules = self._remembered.pop()

    def _define(self, number: int, second: int, block: bytes) -> None:
        self.frame = FrameAddress(number, second)

    def _define_register(self, number: int, second: int, block: bytes) -> None:
        self.frame = FrameAddress(number, self.frame.offset)

    def _define_offset(self, number: int, second: int, block: bytes) -> None:
        self.frame = FrameAddress(self.frame.register, number)

    def _define_expression(self, number: int, second: int, block: bytes) -> None:
        self.frame = FrameAddress(code=block)


_ACTIONS: dict[int, Callable[[_State, int, int, bytes], None]] = {
    0x02: _State._advance, 0x03: _State._advance, 0x04: _State._advance, 0x06: _State._restore_extended,
    0x0A: _State._remember, 0x0B: _State._recall, 0x0C: _State._define, 0x12: _State._define,
    0x0D: _State._define_register, 0x0E: _State._define_offset, 0x13: _State._define_offset,
    0x0F: _State._define_expression,
}  # fmt: skip
