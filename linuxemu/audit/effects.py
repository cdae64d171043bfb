"""What one instruction does to a `State`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.audit.decode import Immediate, Instruction, Memory, Operand, Register
from linuxemu.audit.values import (
    COMPUTED,
    ELSEWHERE,
    LENT,
    LOADED,
    MANY,
    REGISTERS,
    RETURNED,
    TOO_MANY,
    Parameter,
    Stack,
    State,
    Unknown,
    Value,
    Values,
    constant,
    joined,
    narrowed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
"""The registers that a C function takes its arguments in."""
_MASK = (1 << 64) - 1
_COMPUTED = Unknown("computed")
_WORD = 8
_HALF = 4
_COPIES = frozenset(["mov", "movabs", "movzx"])
_SIGNED = frozenset(["movsx", "movsxd"])
_ONLY_FLAGS = frozenset(["cmp", "test", "nop", "endbr64", "bt", "ucomiss", "ucomisd", "comiss", "comisd"])
_CHANGED_BY_SYSCALL = ("rax", "rcx", "r11")


class Effects:
    """Interprets instructions.

    Args:
        preserved: the registers that a call leaves as they were.
    """

    def __init__(self, preserved: frozenset[str]) -> None:
        self._clobbered = sorted(frozenset(REGISTERS) - preserved)

    def apply(self, instruction: Instruction, state: State) -> None:
        """Change the state as the instruction does."""
        name = instruction.name
        if name in _ONLY_FLAGS or name[0] == "j":
            return
        handler = _HANDLERS.get(name)
        if name == "call":
            self._call(state)
        elif handler is not None:
            handler(state, instruction.operands)
        elif name.startswith("cmov"):
            _conditional(state, instruction.operands)
        elif name.startswith("set"):
            _write(state, instruction.operands[0], frozenset([0, 1]))
        else:
            _other(state, instruction)

    def forget(self, state: State) -> None:
        """Add to every register that it may hold something else."""
        for register in REGISTERS:
            state.cells[register] = joined(state.get(register), ELSEWHERE)

    def _call(self, state: State) -> None:
        """A call may change what it is given the address of, and registers that are not preserved."""
        for register in ARGUMENTS:
            for value in state.get(register):
                if isinstance(value, Stack):
                    state.cells[value.offset] = LENT
        for register in self._clobbered:
            state.cells[register] = RETURNED


def address_of(state: State, place: Memory) -> Values:
    """The addresses that an operand in memory may mean."""
    if place.segment:
        return COMPUTED
    if place.scaled and place.scaled == place.base:  # one value, twice: not any two that it may have
        found = _combine(state.get(place.base), constant(place.scale + 1), lambda a, b: a * b)
    else:
        found = state.get(place.base) if place.base else constant(0)
        if place.scaled:
            found = _add(found, _combine(state.get(place.scaled), constant(place.scale), lambda a, b: a * b))
    return _add(found, constant(place.offset & _MASK))


def read(state: State, operand: Operand) -> Values:
    """What an operand may be."""
    if isinstance(operand, Immediate):
        return constant(operand.value)
    if isinstance(operand, Register):
        if operand.high or not operand.name:
            return COMPUTED
        return narrowed(state.get(operand.name), operand.size)
    return narrowed(_loaded(state, operand), operand.size)


def _loaded(state: State, place: Memory) -> Values:
    """What stands in memory: a word of the stack, or one behind a pointer that the caller handed over."""
    plain = bool(place.base) and not place.scaled and not place.segment
    found: Values = frozenset()
    for address in state.get(place.base) if plain else address_of(state, place):
        if isinstance(address, Stack):
            found = joined(found, state.get(address.offset + (place.offset if plain else 0)))
        elif plain and isinstance(address, Parameter) and address.field is None:
            found = joined(found, state.get(address._replace(field=place.offset)))
        elif isinstance(address, int) and not place.segment:
            found = joined(found, state.memory(address + (place.offset if plain else 0) & _MASK, place.size))
        else:
            found = joined(found, LOADED)
    return found


def _write(state: State, operand: Operand, values: Values) -> None:
    if isinstance(operand, Register):
        if operand.name:
            _write_register(state, operand, values)
        return
    if not isinstance(operand, Memory):
        return
    places = [place.offset for place in address_of(state, operand) if isinstance(place, Stack)]
    for offset in places:  # only one of several is written to
        _write_word(state, offset, operand.size, values if len(places) == 1 else COMPUTED)
    if operand.base and not operand.scaled:
        for pointer in state.get(operand.base):
            if isinstance(pointer, Parameter) and pointer.field is None:
                state.cells[pointer._replace(field=operand.offset)] = (
                    values if operand.size >= _HALF else COMPUTED
                )


def _write_register(state: State, register: Register, values: Values) -> None:
    if register.size >= 4:
        state.cells[register.name] = narrowed(values, register.size)
        return
    kept = _MASK ^ ((1 << 8 * register.size) - 1)
    upper = _combine(state.get(register.name), constant(kept), lambda a, b: a & b)
    lower = COMPUTED if register.high else narrowed(values, register.size)
    state.cells[register.name] = _combine(upper, lower, lambda a, b: a | b)


def _write_word(state: State, offset: int, size: int, values: Values) -> None:
    if size < 4:
        values = COMPUTED
    # Words that the store covers in part are gone; two of four bytes side by side are not in each other's way.
    for near in range(offset - _HALF + 1, offset + size):
        if near != offset and (near in state.cells or (near >= _WORD and near % _WORD == 0)):
            state.cells[near] = COMPUTED
    state.cells[offset] = values if size <= _WORD else COMPUTED


def _combine(one: Values, other: Values, how: Callable[[int, int], int]) -> Values:
    """Every pair of constants; what is not known stays so."""
    if len(one) * len(other) > MANY:
        return TOO_MANY
    found: set[Value] = set()
    for a in one:
        for b in other:
            if isinstance(a, int) and isinstance(b, int):
                found.add(how(a, b) & _MASK)
            else:
                found.add(a if isinstance(a, Unknown) else b if isinstance(b, Unknown) else _COMPUTED)
    return frozenset(found)


def _add(one: Values, other: Values) -> Values:
    """A sum, where an address in the stack may be moved."""
    if len(one) * len(other) > MANY:
        return TOO_MANY
    found: set[Value] = set()
    for a in one:
        for b in other:
            found |= _moved(a, b) or _moved(b, a) or _combine(constant(a), constant(b), lambda x, y: x + y)
    return frozenset(found)


def _moved(place: Value, distance: Value) -> Values:
    """A sum that is an address in the stack, or a parameter as it was; nothing if it is neither."""
    if isinstance(place, Stack) and isinstance(distance, int):
        return constant(Stack(place.offset + (distance if distance < 1 << 63 else distance - (1 << 64))))
    return constant(place) if isinstance(place, Parameter) and distance == 0 else frozenset()


# --- instructions ----------------------------------------------------------------------------------------------


def _copy(state: State, operands: tuple[Operand, ...]) -> None:
    _write(state, operands[0], read(state, operands[1]))


def _copy_signed(state: State, operands: tuple[Operand, ...]) -> None:
    source = operands[1]
    top = 1 << 8 * source.size - 1
    values = read(state, source)
    signed = {(v ^ top) - top & _MASK if isinstance(v, int) else v for v in values}
    _write(state, operands[0], frozenset(signed))


def _address(state: State, operands: tuple[Operand, ...]) -> None:
    place = operands[1]
    assert isinstance(place, Memory)
    _write(state, operands[0], address_of(state, place))


def _extended(state: State, _: tuple[Operand, ...]) -> None:
    """`cdqe`: the lower half of rax, with its sign."""
    _copy_signed(state, (Register("rax", _WORD), Register("rax", _HALF)))


def _sum(state: State, operands: tuple[Operand, ...]) -> None:
    _write(state, operands[0], _add(read(state, operands[0]), read(state, operands[1])))


def _difference(state: State, operands: tuple[Operand, ...]) -> None:
    if operands[0] == operands[1]:
        _write(state, operands[0], constant(0))
        return
    negated = _combine(constant(0), read(state, operands[1]), lambda a, b: a - b)
    _write(state, operands[0], _add(read(state, operands[0]), negated))


def _exclusive_or(state: State, operands: tuple[Operand, ...]) -> None:
    if operands[0] == operands[1]:
        _write(state, operands[0], constant(0))
    else:
        _bitwise(lambda a, b: a ^ b)(state, operands)


def _and(state: State, operands: tuple[Operand, ...]) -> None:
    values, mask = read(state, operands[0]), read(state, operands[1])
    if all(isinstance(value, Stack) for value in values) and len(mask) == 1:
        bits = next(iter(mask))
        if isinstance(bits, int):  # the stack is aligned: by convention it is so before each call
            lower = {
                Stack((v.offset - _WORD & bits - (1 << 64)) + _WORD) for v in values if isinstance(v, Stack)
            }
            _write(state, operands[0], frozenset(lower))
            return
    _bitwise(lambda a, b: a & b)(state, operands)


def _bitwise(how: Callable[[int, int], int]) -> Callable[[State, tuple[Operand, ...]], None]:
    def apply(state: State, operands: tuple[Operand, ...]) -> None:
        first = read(state, operands[0])
        second = read(state, operands[1]) if len(operands) > 1 else constant(1)
        _write(state, operands[0], _combine(first, second, how))

    return apply


def _borrow(state: State, operands: tuple[Operand, ...]) -> None:
    """`sbb`: of a register from itself, all bits or none."""
    same = operands[0] == operands[1]
    _write(state, operands[0], frozenset([0, _MASK]) if same else COMPUTED)


def _conditional(state: State, operands: tuple[Operand, ...]) -> None:
    _write(state, operands[0], joined(read(state, operands[0]), read(state, operands[1])))


def _exchange(state: State, operands: tuple[Operand, ...]) -> None:
    first, second = read(state, operands[0]), read(state, operands[1])
    _write(state, operands[0], second)
    _write(state, operands[1], first)


def _one_more(state: State, operands: tuple[Operand, ...]) -> None:
    _write(state, operands[0], _add(read(state, operands[0]), constant(1)))


def _one_less(state: State, operands: tuple[Operand, ...]) -> None:
    _write(state, operands[0], _add(read(state, operands[0]), constant(_MASK)))


def _push(state: State, operands: tuple[Operand, ...]) -> None:
    values = read(state, operands[0]) if operands else COMPUTED
    state.cells["rsp"] = _add(state.get("rsp"), constant(-_WORD & _MASK))
    _write(state, _TOP, values)


def _pop(state: State, operands: tuple[Operand, ...]) -> None:
    values = read(state, _TOP)
    state.cells["rsp"] = _add(state.get("rsp"), constant(_WORD))
    if operands:
        _write(state, operands[0], values)


def _leave(state: State, _: tuple[Operand, ...]) -> None:
    state.cells["rsp"] = state.get("rbp")
    _pop(state, (Register("rbp", 8),))


def _system_call(state: State, _: tuple[Operand, ...]) -> None:
    for register in _CHANGED_BY_SYSCALL:
        state.cells[register] = COMPUTED


def _other(state: State, instruction: Instruction) -> None:
    """An instruction that nobody needs to understand: what it writes is not known afterwards."""
    for register in instruction.changed:
        state.cells[register] = COMPUTED
    first = instruction.operands[0] if instruction.operands else None
    if isinstance(first, Memory):
        _write(state, first, COMPUTED)


_TOP = Memory("rsp", "", 1, 0, _WORD, False)
_HANDLERS: dict[str, Callable[[State, tuple[Operand, ...]], None]] = {
    **dict.fromkeys(_COPIES, _copy),
    **dict.fromkeys(_SIGNED, _copy_signed),
    "add": _sum, "and": _and, "cdqe": _extended, "dec": _one_less, "inc": _one_more, "lea": _address, "leave": _leave,
    "or": _bitwise(lambda a, b: a | b), "pop": _pop, "push": _push, "pushfq": _push, "popfq": _pop,
    "sbb": _borrow, "shl": _bitwise(lambda a, b: a << (b & 63)), "shr": _bitwise(lambda a, b: a >> (b & 63)),
    "sub": _difference, "syscall": _system_call, "xchg": _exchange, "xor": _exclusive_or,
}  # fmt: skip
