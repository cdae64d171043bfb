"""Programs of the classic Berkeley packet filter: what seccomp(2) and socket(7) take."""

from __future__ import annotations

from struct import iter_unpack
from typing import TYPE_CHECKING

from linuxemu.trace.formats.basic import ARRAY_MAX, address, hexadecimal

if TYPE_CHECKING:
    from linuxemu.trace.call import Call

_SIZE = 8
_CLASSES = ("BPF_LD", "BPF_LDX", "BPF_ST", "BPF_STX", "BPF_ALU", "BPF_JMP", "BPF_RET", "BPF_MISC")
_SIZES = {0x00: "BPF_W", 0x08: "BPF_H", 0x10: "BPF_B", 0x18: "BPF_DW"}
_MODES = {
    0x00: "BPF_IMM", 0x20: "BPF_ABS", 0x40: "BPF_IND", 0x60: "BPF_MEM", 0x80: "BPF_LEN", 0xA0: "BPF_MSH",
    0xC0: "BPF_XADD",
}  # fmt: skip
_ALU = (
    "BPF_ADD", "BPF_SUB", "BPF_MUL", "BPF_DIV", "BPF_OR", "BPF_AND", "BPF_LSH", "BPF_RSH", "BPF_NEG", "BPF_MOD",
    "BPF_XOR", "BPF_MOV", "BPF_ARSH", "BPF_END",
)  # fmt: skip
_JUMPS = (
    "BPF_JA", "BPF_JEQ", "BPF_JGT", "BPF_JGE", "BPF_JSET", "BPF_JNE", "BPF_JSGT", "BPF_JSGE", "BPF_CALL", "BPF_EXIT",
    "BPF_JLT", "BPF_JLE", "BPF_JSLT", "BPF_JSLE",
)  # fmt: skip
_RETURNS = {0x00: "BPF_K", 0x08: "BPF_X", 0x10: "BPF_A"}
_MISC = {0x00: "BPF_TAX", 0x80: "BPF_TXA"}
_ACTIONS = {
    0x8000_0000: "SECCOMP_RET_KILL_PROCESS", 0x0000_0000: "SECCOMP_RET_KILL_THREAD", 0x0003_0000: "SECCOMP_RET_TRAP",
    0x0005_0000: "SECCOMP_RET_ERRNO", 0x7FC0_0000: "SECCOMP_RET_USER_NOTIF", 0x7FF0_0000: "SECCOMP_RET_TRACE",
    0x7FFC_0000: "SECCOMP_RET_LOG", 0x7FFF_0000: "SECCOMP_RET_ALLOW",
}  # fmt: skip


def program(call: Call, length: int, addr: int, kind: str) -> str:
    """A program of `length` instructions; only -v shows them, at most 4096.

    Args:
        call: the call.
        length: of the program.
        addr: of its first instruction.
        kind: "seccomp" if what it returns says what to do with a system call.
    """
    text = address(call, addr) if call.plan.abbrev else _instructions(call, addr, length, kind)
    return f"{{len={length}, filter={text}}}"


def _instructions(call: Call, addr: int, count: int, kind: str) -> str:
    if not addr:
        return "NULL"
    data = call.read_some(addr, min(count, ARRAY_MAX) * _SIZE)
    if count and len(data) < _SIZE:
        return address(call, addr)
    parts = [_instruction(kind, *fields) for fields in iter_unpack("<HBBI", data[: len(data) // _SIZE * _SIZE])]
    if len(parts) < count:
        at = addr + len(parts) * _SIZE
        parts.append("..." if count > ARRAY_MAX and len(parts) == ARRAY_MAX else f"... /* {at:#x} */")
    return f"[{', '.join(parts)}]"


def _instruction(kind: str, code: int, true: int, false: int, value: int) -> str:
    group = _CLASSES[code & 7]
    acts = kind == "seccomp" and group == "BPF_RET"
    words = _action(value) if acts else hexadecimal(value)
    text = "|".join([group, *_operation(group, code & ~7)])
    if true or false:
        return f"BPF_JUMP({text}, {words}, {hexadecimal(true)}, {hexadecimal(false)})"
    return f"BPF_STMT({text}, {words})"


def _unknown(bits: int) -> str:
    return f"{bits:#x} /* BPF_??? */"


def _operation(kind: str, bits: int) -> list[str]:
    """The parts of a code behind its class."""
    if kind in ("BPF_LD", "BPF_LDX"):
        return [_SIZES[bits & 0x18], _MODES.get(bits & 0xE0) or _unknown(bits & 0xE0)]
    if kind in ("BPF_ST", "BPF_STX"):
        return [_unknown(bits)] if bits else []
    if kind == "BPF_RET":
        value = _RETURNS.get(bits & 0x18) or _unknown(bits & 0x18)
        return [value, _unknown(bits & ~0x18)] if bits & ~0x18 else [value]
    if kind == "BPF_MISC":
        value = _MISC.get(bits & 0xF8) or _unknown(bits & 0xF8)
        return [value, _unknown(bits & ~0xF8)] if bits & ~0xF8 else [value]
    table, number = _ALU if kind == "BPF_ALU" else _JUMPS, bits >> 4 & 0xF
    return ["BPF_X" if bits & 8 else "BPF_K", table[number] if number < len(table) else _unknown(bits & 0xF0)]


def _action(value: int) -> str:
    """What a seccomp filter returns."""
    action = value & 0xFFFF_0000
    text = _ACTIONS.get(action) or f"{hexadecimal(action)} /* SECCOMP_RET_??? */"
    return f"{text}|{value & 0xFFFF:#x}" if value & 0xFFFF else text
