"""What a register or a word of the stack can hold: sets of constants, of parameters, of what is not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

_WORD = 8
MANY = 32
"""A set of more values than this is not worth following."""


REGISTERS = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", *(f"r{number}" for number in range(8, 16)))
"""Those that a function may be given something in."""


class Parameter(NamedTuple):
    """What a location held when a function began, or what the word at an offset from where it points held."""

    function: int
    location: str | int
    field: int | None = None


class Stack(NamedTuple):
    """An address in the stack."""

    offset: int


class Unknown(NamedTuple):
    """A value that cannot be known, and why."""

    why: str


Value = int | Parameter | Stack | Unknown
Values = frozenset[Value]
Location = str | int | Parameter
"""A register by its name, a word of the stack by its offset from the return address, a word that a caller lent."""
Contents = Callable[[int, int], Values]
"""What may stand at a fixed address, for a number of bytes."""

TOO_MANY: Values = frozenset([Unknown(f"more than {MANY} values")])
COMPUTED: Values = frozenset([Unknown("computed")])
RETURNED: Values = frozenset([Unknown("returned by a call")])
ELSEWHERE: Values = frozenset([Unknown("set in another part of the function")])
LENT: Values = frozenset([Unknown("may be changed by a call")])
LOADED: Values = frozenset([Unknown("loaded from memory")])
NEVER_SET: Values = frozenset([Unknown("never set")])


def constant(value: Value) -> Values:
    """The set of one value."""
    return frozenset([value])


def joined(one: Values, other: Values) -> Values:
    """What may be one or the other."""
    both = one | other
    return both if len(both) <= MANY else TOO_MANY


def narrowed(values: Values, size: int) -> Values:
    """The lowest `size` bytes, with zeros above.

    A parameter stands for itself: a number of a system call is 32 bits at most, so nobody sees what was cut off.
    """
    if size >= 8:
        return values
    mask = (1 << 8 * size) - 1
    return frozenset(_narrow(value, mask, size) for value in values)


def _narrow(value: Value, mask: int, size: int) -> Value:
    if isinstance(value, int):
        return value & mask
    if isinstance(value, Stack) or (size < 4 and isinstance(value, Parameter)):
        return Unknown("computed")
    return value


class State:
    """What every location may hold at one place in a function.

    Args:
        function: where it begins.
        cells: what is known; registers that are missing, and the words above the return address, are parameters.
        memory: what may stand at fixed addresses.
    """

    __slots__ = ("cells", "function", "memory")

    def __init__(self, function: int, cells: dict[Location, Values], memory: Contents) -> None:
        self.function = function
        self.cells = cells
        self.memory = memory

    @staticmethod
    def at_entry(function: int, memory: Contents) -> State:
        """Before the first instruction."""
        return State(function, {"rsp": frozenset([Stack(0)])}, memory)

    def copy(self) -> State:
        """Another one that can be changed."""
        return State(self.function, dict(self.cells), self.memory)

    def get(self, location: Location) -> Values:
        """What a location may hold."""
        found = self.cells.get(location)
        if found is not None:
            return found
        if isinstance(location, Parameter):
            return constant(location)
        if isinstance(location, int) and location < _WORD:
            return NEVER_SET
        return frozenset([Parameter(self.function, location)])

    def join(self, other: State) -> bool:
        """Take in what may be so instead; whether that changed anything."""
        changed = False
        mine, others = self.cells, other.cells
        if self.function != other.function:
            for register in REGISTERS:
                mine.setdefault(register, self.get(register))
        for location, theirs in others.items():
            ours = mine.get(location)
            if ours is not theirs and ours != theirs:
                before = self.get(location) if ours is None else ours
                after = mine[location] = joined(before, theirs)
                changed |= after != before
        for location in mine.keys() - others.keys():
            after = joined(mine[location], other.get(location))
            changed |= after != mine[location]
            mine[location] = after
        return changed

    def widen(self, other: State) -> bool:
        """Take in what a loop changes as unknown."""
        changed = False
        for location in self.cells.keys() | other.cells.keys():
            before = self.get(location)
            if before != TOO_MANY and joined(before, other.get(location)) != before:
                self.cells[location] = TOO_MANY
                changed = True
        return changed
