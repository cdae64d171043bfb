"""Instructions of the guest by capstone: the one that made a system call, and those that make room on the stack."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 15
"""Bytes of an instruction of x86-64 (Intel SDM volume 2A, 2.3.11)."""
VSYSCALL = 0xFFFF_FFFF_FF60_0000
"""The page of the calls that Linux answers without an instruction of their own."""
_PAGE = 4096
_WORD = 8
_CALL_SIZE = 2
# All that enter the kernel for a system call are two bytes long.
_CALLS = (b"\x0f\x05", b"\xcd\x80", b"\x0f\x34")


class Instruction(NamedTuple):
    """One instruction."""

    address: int
    text: str
    """In Intel's notation: `mov eax, 1`."""


def at_call(rip: int, read: Callable[[int, int], bytes | None]) -> Instruction | None:
    """The instruction that made the system call in which a task is; None if none stands there.

    Args:
        rip: where the task goes on, which is behind it.
        read: the guest's memory, `read(address, length)`; None unless it has all of it.
    """
    if VSYSCALL <= rip < VSYSCALL + _PAGE:
        return Instruction(rip, "vsyscall")
    address = rip - _CALL_SIZE
    code = read(address, _CALL_SIZE) if address >= 0 else None
    return Instruction(address, text(code, address)) if code in _CALLS else None


def text(code: bytes, address: int) -> str:
    """The first instruction of some code in words; empty if there is none.

    Args:
        code: its bytes, more than `LONGEST` are not looked at.
        address: where they are, for instructions that say where they lead.
    """
    for _, _, mnemonic, operands in _engine().disasm_lite(code[:LONGEST], address, 1):
        return f"{mnemonic} {operands}".rstrip()
    return ""


def stack_depths(code: bytes, address: int) -> list[int]:
    """How much a function may have on the stack behind its begin, the likeliest first.

    All that it does up to here, and what it does before it branches for the first time: what comes behind may belong to
    another path.

    Args:
        code: from its begin to where it is.
        address: where that is.

    Returns:
        Bytes.
    """
    depth, early = 0, None
    for _, _, mnemonic, operands in _engine().disasm_lite(code, address):
        if mnemonic == "push":
            depth += _WORD
        elif mnemonic == "sub" and operands.startswith("rsp, ") and operands[5].isdigit():
            depth += int(operands[5:], 0)
        elif early is None and mnemonic.startswith(("j", "call")):
            early = depth
    return [depth] if early in (None, depth) else [depth, early]


@cache
def _engine() -> Any:
    import capstone

    return capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
