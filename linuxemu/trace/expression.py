"""DWARF expressions: the little stack programs with which unwind tables compute what no rule can say, as for the
frames of signals and the entries of a PLT (DWARF 5, 2.5.1).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from loader.leb128 import signed, unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int, int], bytes | None]

_MASK = (1 << 64) - 1
_STEPS = 200
"""Of one expression: a branch may go back."""
_DEPTH = 256

_LITERAL, _BASE_REGISTER = 0x30, 0x70
_DEREF, _DEREF_SIZE, _BRANCH, _SKIP, _NOP = 0x06, 0x94, 0x28, 0x2F, 0x96
_DUPLICATE, _DROP, _OVER, _PICK, _SWAP, _ROTATE = 0x12, 0x13, 0x14, 0x15, 0x16, 0x17
_PLUS_CONSTANT, _BASE_REGISTER_ANY = 0x23, 0x92

_CONSTANTS = {
    0x08: struct.Struct("<B"), 0x09: struct.Struct("<b"), 0x0A: struct.Struct("<H"), 0x0B: struct.Struct("<h"),
    0x0C: struct.Struct("<I"), 0x0D: struct.Struct("<i"), 0x0E: struct.Struct("<Q"), 0x0F: struct.Struct("<q"),
}  # fmt: skip
_LEB128 = {0x10: unsigned, 0x11: signed}


def _signed(value: int) -> int:
    return value - (value >> 63 << 64)


_UNARY: dict[int, Callable[[int], int]] = {
    0x19: lambda a: abs(_signed(a)),
    0x1F: lambda a: -a,
    0x20: lambda a: ~a,
}
_BINARY: dict[int, Callable[[int, int], int]] = {
    0x1A: lambda a, b: a & b,
    0x1B: lambda a, b: _quotient(_signed(a), _signed(b)),
    0x1C: lambda a, b: a - b,
    0x1D: lambda a, b: a % b,
    0x1E: lambda a, b: a * b,
    0x21: lambda a, b: a | b,
    0x22: lambda a, b: a + b,
    0x24: lambda a, b: a << b if b < 64 else 0,
    0x25: lambda a, b: a >> b if b < 64 else 0,
    0x26: lambda a, b: _signed(a) >> min(b, 63),
    0x27: lambda a, b: a ^ b,
    0x29: lambda a, b: int(a == b),
    0x2A: lambda a, b: int(_signed(a) >= _signed(b)),
    0x2B: lambda a, b: int(_signed(a) > _signed(b)),
    0x2C: lambda a, b: int(_signed(a) <= _signed(b)),
    0x2D: lambda a, b: int(_signed(a) < _signed(b)),
    0x2E: lambda a, b: int(a != b),
}


def _quotient(a: int, b: int) -> int:
    """Towards zero, as hardware divides."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def evaluate(code: bytes, first: int | None, registers: list[int | None], read: Read) -> int | None:
    """The value of an expression; None if it has none: damaged, endless, or of something that is not known.

    Args:
        code: its operations.
        first: what is on the stack at its begin: the canonical frame address, for rules of registers.
        registers: by the numbers of DWARF; None for those not known.
        read: the guest's memory, `read(address, length)`; None where it has none.
    """
    program = _Program(code, [] if first is None else [first], registers, read)
    try:
        return program.run()
    except (IndexError, ValueError, struct.error, ZeroDivisionError):
        return None


class _Program:
    def __init__(self, code: bytes, stack: list[int], registers: list[int | None], read: Read) -> None:
        self._code = code
        self._stack = stack
        self._registers = registers
        self._read = read
        self._at = 0

    def run(self) -> int | None:
        for _ in range(_STEPS):
            if self._at >= len(self._code):
                return self._stack[-1]
            operation = self._code[self._at]
            self._at += 1
            self._step(operation)
            if len(self._stack) > _DEPTH:
                break
        return None

    def _step(self, operation: int) -> None:
        """One operation.

        Raises:
            ValueError, IndexError: it is unknown, or lacks what it needs.
        """
        stack = self._stack
        if _LITERAL <= operation < _LITERAL + 32:
            stack.append(operation - _LITERAL)
        elif _BASE_REGISTER <= operation < _BASE_REGISTER + 32:
            self._based(operation - _BASE_REGISTER)
        elif operation in _BINARY:
            last = stack.pop()
            stack.append(_BINARY[operation](stack.pop(), last) & _MASK)
        elif operation in _UNARY:
            stack.append(_UNARY[operation](stack.pop()) & _MASK)
        elif operation in _CONSTANTS:
            (value,) = _CONSTANTS[operation].unpack_from(self._code, self._at)
            self._at += _CONSTANTS[operation].size
            stack.append(value & _MASK)
        elif operation in _LEB128:
            stack.append(self._number(_LEB128[operation]) & _MASK)
        elif operation == _PLUS_CONSTANT:
            stack.append(stack.pop() + self._number(unsigned) & _MASK)
        elif operation == _BASE_REGISTER_ANY:
            self._based(self._number(unsigned))
        elif operation == _DEREF:
            self._load(8)
        elif operation == _DEREF_SIZE:
            self._load(self._byte())
        elif operation in (_SKIP, _BRANCH):
            self._branch(operation == _SKIP or stack.pop() != 0)
        elif operation != _NOP:
            self._rearrange(operation)

    def _rearrange(self, operation: int) -> None:
        stack = self._stack
        if operation == _DUPLICATE:
            stack.append(stack[-1])
        elif operation == _DROP:
            stack.pop()
        elif operation == _OVER:
            stack.append(stack[-2])
        elif operation == _PICK:
            stack.append(stack[-1 - self._byte()])
        elif operation == _SWAP:
            stack[-1], stack[-2] = stack[-2], stack[-1]
        elif operation == _ROTATE:
            stack[-1], stack[-2], stack[-3] = stack[-2], stack[-3], stack[-1]
        else:
            raise ValueError("an operation that unwind tables do not have")

    def _byte(self) -> int:
        self._at += 1
        return self._code[self._at - 1]

    def _number(self, kind: Callable[[bytes, int], tuple[int, int]]) -> int:
        value, self._at = kind(self._code, self._at)
        return value

    def _based(self, register: int) -> None:
        value = self._registers[register]
        if value is None:
            raise ValueError("a register that is not known")
        self._stack.append(value + self._number(signed) & _MASK)

    def _load(self, size: int) -> None:
        data = self._read(self._stack.pop(), size) if 0 < size <= 8 else None
        if data is None:
            raise ValueError("no such memory")
        self._stack.append(int.from_bytes(data, "little"))

    def _branch(self, taken: bool) -> None:
        (distance,) = struct.unpack_from("<h", self._code, self._at)
        self._at += 2 + (distance if taken else 0)
        if self._at < 0:
            raise ValueError("a branch to before the begin")
