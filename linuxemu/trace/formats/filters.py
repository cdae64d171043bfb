"""Filter programs: struct sock_fprog with the instructions of classic BPF."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats.basic import address, hexadecimal
from linuxemu.trace.formats.choices import choice, elements

if TYPE_CHECKING:
    from linuxemu.trace.call import Call

_LOAD, _LOAD_X, _STORE, _STORE_X, _ALU, _JUMP, _RETURN, _MISC = range(8)
_CLASSES = ("BPF_LD", "BPF_LDX", "BPF_ST", "BPF_STX", "BPF_ALU", "BPF_JMP", "BPF_RET", "BPF_MISC")
_SIZES = ("BPF_W", "BPF_H", "BPF_B", "BPF_DW")
_MODES = ("BPF_IMM", "BPF_ABS", "BPF_IND", "BPF_MEM", "BPF_LEN", "BPF_MSH", "BPF_XADD")
_OPERATIONS = (
    "BPF_ADD", "BPF_SUB", "BPF_MUL", "BPF_DIV", "BPF_OR", "BPF_AND", "BPF_LSH", "BPF_RSH", "BPF_NEG", "BPF_MOD",
    "BPF_XOR",
)  # fmt: skip
_JUMPS = ("BPF_JA", "BPF_JEQ", "BPF_JGT", "BPF_JGE", "BPF_JSET")
_ACTION = 0xFFFF_0000


def program(call: Call, length: int, addr: int, kind: str) -> str:
    """A program of `length` instructions; only -v shows them.

    Args:
        call: the call.
        length: of the program.
        addr: of its first instruction.
        kind: "seccomp" if what it returns says what to do with a system call.
    """
    if call.plan.abbrev:
        shown = address(call, addr)
    else:
        shown = elements(call, addr, length, 8, lambda data: _instruction(call, data, kind))
    return f"{{len={length}, filter={shown}}}"


def _instruction(call: Call, data: bytes, kind: str) -> str:
    code, true, false, value = struct.unpack("<HBBI", data)
    text = _code(code)
    if code & 7 == _RETURN and kind == "seccomp" and code & 0x18 == 0:
        operand = action(call, value)
    else:
        operand = hexadecimal(value)
    if true or false:
        return f"BPF_JUMP({text}, {operand}, {hexadecimal(true)}, {hexadecimal(false)})"
    return f"BPF_STMT({text}, {operand})"


def action(call: Call, value: int) -> str:
    """What a filter of system calls returns: what to do, and a number that goes with it."""
    rest = value & 0xFFFF
    text = choice(call, value & _ACTION, "SECCOMP_RET_")
    return f"{text}|{hexadecimal(rest)}" if rest else text


def _code(code: int) -> str:
    """An operation code by its parts."""
    kind = code & 7
    parts = [_CLASSES[kind]]
    rest = code & ~7
    if kind in (_LOAD, _LOAD_X):
        parts += [_SIZES[code >> 3 & 3], _named(_MODES, code >> 5 & 7, 5, "BPF_???")]
        rest &= ~0xF8
    elif kind in (_ALU, _JUMP):
        operations = _OPERATIONS if kind == _ALU else _JUMPS
        parts += ["BPF_X" if code & 8 else "BPF_K", _named(operations, code >> 4 & 15, 4, "BPF_???")]
        rest &= ~0xF8
    elif kind == _RETURN:
        parts.append(_named(("BPF_K", "BPF_X", "BPF_A"), code >> 3 & 3, 3, "BPF_???"))
        rest &= ~0x18
    elif kind == _MISC:
        parts.append({0: "BPF_TAX", 0x80: "BPF_TXA"}.get(code & 0xF8) or f"{code & 0xF8:#x} /* BPF_??? */")
        rest &= ~0xF8
    if rest:
        parts.append(f"{rest:#x}" + (" /* BPF_??? */" if kind not in (_STORE, _STORE_X) else ""))
    return "|".join(parts)


def _named(names: tuple[str, ...], index: int, shift: int, unknown: str) -> str:
    return names[index] if index < len(names) else f"{index << shift:#x} /* {unknown} */"

