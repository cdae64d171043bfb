"""The stack of a guest's thread: who called whom, from its registers and its memory.

Frames are left by the rules of `.eh_frame` or `.debug_frame`, and by guess where a function has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from linuxemu.trace.cfi import (
    EXPRESSION,
    OFFSET,
    REGISTER,
    REGISTERS,
    SAME,
    UNDEFINED,
    VALUE_EXPRESSION,
    VALUE_OFFSET,
)
from linuxemu.trace.expression import evaluate
from linuxemu.trace.guess import Guess

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.messages import TrapFrame
    from linuxemu.trace.cfi import Row, Rule
    from linuxemu.trace.module import Mapping

    Registers = list[int | None]
    """By the numbers of DWARF: rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 to r15, rip. None for one not known."""
    Read = Callable[[int, int], bytes | None]
    Find = Callable[[int], Mapping | None]

DEEPEST = 256
"""Frames of one stack, as many as strace shows."""

_RBX, _RBP, _RSP, _RIP = 3, 6, 7, 16
_NAMES = (
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
)  # fmt: skip
_MASK = (1 << 64) - 1
_KEPT = (_RBX, _RBP, 12, 13, 14, 15)
"""What a function leaves as it was, so what its caller has too if no rule says more (x86-64 psABI, 3.2.1)."""

_CONTEXT = 40
"""Of struct sigcontext in the struct ucontext that lies there on the stack, in bytes."""
_CONTEXT_ORDER = (
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp", "rip",
)  # fmt: skip


class Frame(NamedTuple):
    """One function that has not returned."""

    pc: int
    """Where it goes on."""
    exact: bool
    """It was interrupted there; else it called, and the call stands before."""
    mapping: Mapping
    """What it is part of."""

    @property
    def inside(self) -> int:
        """An address of the instruction at which it is."""
        return self.pc if self.exact else self.pc - 1


def registers_of(frame: TrapFrame, rcx: int | None = None, r11: int | None = None) -> Registers:
    """A task's registers as `unwind` takes them.

    Args:
        frame: those of the trap frame.
        rcx: its own value, where no `syscall` instruction has put the address behind it there.
        r11: the same, where that instruction has not put the flags there.
    """
    special = {"rcx": frame.rip if rcx is None else rcx, "r11": frame.rflags if r11 is None else r11}
    return [special[name] if name in special else getattr(frame, name) for name in _NAMES]


def unwind(
    registers: Registers, read: Read, find: Find, *, exact: bool = False, deepest: int = DEEPEST
) -> list[Frame]:
    """The frames of a stack, the innermost first.

    It ends where the rules say so, and where there is no memory, no code, or nothing new.

    Args:
        registers: of the thread, see `registers_of`.
        read: the guest's memory, `read(address, length)`; None unless it has all of it.
        find: what executable memory an address is in, if it is in any.
        exact: the thread stopped at its rip; else behind an instruction that called, as it does for a system call.
        deepest: how many frames at most.
    """
    stack = _Stack(read, find)
    frames: list[Frame] = []
    seen = set()
    while len(frames) < deepest:
        pc = registers[_RIP]
        state = (pc, registers[_RSP])
        if not pc or state in seen:
            break
        seen.add(state)
        mapping = find(pc if exact else pc - 1)
        if mapping is None:
            break
        frame = Frame(pc, exact, mapping)
        row = stack.rules(frame)
        if frames and stack.is_signal_return(frame, row):
            frame = frame._replace(exact=True)  # nobody called it: it begins where it goes on
        frames.append(frame)
        caller = stack.caller(frame, row, registers)
        if caller is None:
            break
        registers, exact = caller
    return frames


class _Stack:
    def __init__(self, read: Read, find: Find) -> None:
        self._read = read
        self._guess = Guess(read, find)

    def rules(self, frame: Frame) -> Row | None:
        """What an unwind table says of a frame."""
        address, module = frame.mapping.address_of(frame.inside), frame.mapping.module
        return None if address is None or module is None else module.row(address)

    def is_signal_return(self, frame: Frame, row: Row | None) -> bool:
        """Whether a frame is what a signal's handler returns to."""
        return row.signal if row is not None else self._guess.is_signal_return(frame.pc)

    def caller(
        self, frame: Frame, row: Row | None, registers: Registers
    ) -> tuple[Registers, bool] | None:
        """The registers of who called a frame, and whether it was interrupted rather than called."""
        if row is not None:
            found = self._by_rules(row, registers)
            return (found, row.signal) if found is not None else None
        if self._guess.is_signal_return(frame.pc):
            found = self._by_context(registers)
            return (found, True) if found is not None else None
        found = self._by_guess(frame, registers)
        return (found, False) if found is not None else None

    def _by_rules(self, row: Row, registers: Registers) -> Registers | None:
        """The caller's registers by an unwind table; None at the end of the stack."""
        if row.frame.code:
            base = evaluate(row.frame.code, None, registers, self._read)
        else:
            value = registers[row.frame.register] if row.frame.register < REGISTERS else None
            base = None if value is None else value + row.frame.offset & _MASK
        if base is None:
            return None
        found: Registers = [None] * REGISTERS
        for register in _KEPT:
            found[register] = registers[register]
        found[_RSP] = base
        for register, rule in row.rules.items():
            found[register] = self._value(rule, register, base, registers)
        if row.return_register >= REGISTERS:
            return None
        found[_RIP] = found[row.return_register]
        return found if found[_RIP] else None

    def _value(self, rule: Rule, register: int, base: int, registers: Registers) -> int | None:
        kind = rule.kind
        if kind == OFFSET:
            return self._word(base + rule.number & _MASK)
        if kind == SAME:
            return registers[register]
        if kind == UNDEFINED:
            return None
        if kind == VALUE_OFFSET:
            return base + rule.number & _MASK
        if kind == REGISTER:
            return registers[rule.number] if rule.number < REGISTERS else None
        place = evaluate(rule.code, base, registers, self._read)
        if kind == VALUE_EXPRESSION or place is None:
            return place
        assert kind == EXPRESSION
        return self._word(place)

    def _by_context(self, registers: Registers) -> Registers | None:
        """What a signal interrupted: the kernel has put it on the stack (man 2 sigreturn)."""
        stack = registers[_RSP]
        data = None if stack is None else self._read(stack + _CONTEXT & _MASK, 8 * len(_CONTEXT_ORDER))
        if data is None:
            return None
        words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]
        values = dict(zip(_CONTEXT_ORDER, words))
        return [values[name] for name in _NAMES]

    def _by_guess(self, frame: Frame, registers: Registers) -> Registers | None:
        """The caller of a function without rules, as far as can be told."""
        stack, pointer = registers[_RSP], registers[_RBP]
        address, module = frame.mapping.address_of(frame.inside), frame.mapping.module
        if stack is None:
            return None
        begin = None if address is None or module is None else module.begin(address)
        if address is not None and begin is not None:
            begin = begin + frame.inside - address & _MASK
        place = self._guess.place(frame.inside, begin, stack, pointer)
        if place is None:
            return None
        found = list(registers)
        found[_RIP], found[_RSP] = self._word(place), place + 8 & _MASK
        if place - 8 == pointer:
            found[_RBP] = self._word(pointer)
        return found

    def _word(self, address: int) -> int | None:
        data = self._read(address, 8)
        return None if data is None else int.from_bytes(data, "little")
