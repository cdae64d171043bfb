"""x86-64 instructions by capstone, the way the audit wants them: the only file that imports it here."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_MASK = (1 << 64) - 1


class Register(NamedTuple):
    """A register, or the part of one that an operand names."""

    name: str
    """Of the whole: "rax" for al, eax and rax."""
    size: int
    high: bool = False
    """It is ah, bh, ch or dh."""


class Immediate(NamedTuple):
    """A constant, as 64 bits."""

    value: int
    size: int


class Memory(NamedTuple):
    """An operand in memory."""

    base: str
    scaled: str
    """The index register."""
    scale: int
    offset: int
    size: int
    segment: bool
    """Relative to fs or gs."""


Operand = Register | Immediate | Memory


class Instruction(NamedTuple):
    """One decoded instruction."""

    address: int
    size: int
    name: str
    """The mnemonic without prefixes."""
    operands: tuple[Operand, ...]
    changed: frozenset[str]
    """The registers that it writes, as whole ones."""

    @property
    def target(self) -> int | None:
        """Where a direct jump or call goes."""
        first = self.operands[0] if self.operands else None
        return first.value if isinstance(first, Immediate) else None


def sweep(code: bytes, address: int) -> Iterator[tuple[int, int, str, str]]:
    """Address, size, mnemonic and operands in words, up to the first bytes that are no instruction."""
    found: Iterator[tuple[int, int, str, str]] = _fast().disasm_lite(code, address)
    return found


def decode(code: bytes, address: int) -> Iterator[Instruction]:
    """The instructions of a range in full; bytes that are none are left out."""
    end = address + len(code)
    position = address
    while position < end:
        for item in _full().disasm(code[position - address :], position):
            position = item.address + item.size
            yield _instruction(item)
        position += 1


@cache
def _fast() -> Any:
    import capstone

    return capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)


@cache
def _full() -> Any:
    import capstone

    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    engine.detail = True
    return engine


def _instruction(item: Any) -> Instruction:
    operands = tuple(_operand(item, operand) for operand in item.operands)
    _, written = item.regs_access()
    changed = frozenset(register.name for register in map(_register, written) if register)
    return Instruction(item.address, item.size, _name(item.id), operands, changed)


@cache
def _name(number: int) -> str:
    name: str = _full().insn_name(number)
    return name


def _operand(item: Any, operand: Any) -> Operand:
    from capstone.x86_const import X86_OP_IMM, X86_OP_REG

    if operand.type == X86_OP_IMM:
        return Immediate(operand.imm & _MASK, operand.size)
    if operand.type == X86_OP_REG:
        return _register(operand.reg) or Register("", operand.size)
    place = operand.mem
    base, index = _register(place.base), _register(place.index)
    if base is not None and base.name == "rip":
        return Memory("", "", 1, item.address + item.size + place.disp & _MASK, operand.size, False)
    return Memory(
        base.name if base else "", index.name if index else "", place.scale, place.disp, operand.size,
        bool(place.segment and _full().reg_name(place.segment) in ("fs", "gs")),
    )  # fmt: skip


@cache
def _register(number: int) -> Register | None:
    """The general register behind capstone's number; None for flags, vectors and none at all."""
    name = _full().reg_name(number) or ""
    return _parts().get(name)


@cache
def _parts() -> dict[str, Register]:
    found = {"rip": Register("rip", 8)}
    for letter in "abcd":
        whole = f"r{letter}x"
        found |= {
            whole: Register(whole, 8),
            f"e{letter}x": Register(whole, 4),
            f"{letter}x": Register(whole, 2),
        }
        found |= {f"{letter}l": Register(whole, 1), f"{letter}h": Register(whole, 1, high=True)}
    for name in ("si", "di", "bp", "sp"):
        whole = f"r{name}"
        found |= {whole: Register(whole, 8), f"e{name}": Register(whole, 4), name: Register(whole, 2)}
        found[f"{name}l"] = Register(whole, 1)
    for number in range(8, 16):
        whole = f"r{number}"
        for suffix, size in (("", 8), ("d", 4), ("w", 2), ("b", 1)):
            found[whole + suffix] = Register(whole, size)
    return found
