"""What a register or a word of the stack can hold: sets of constants, of parameters, of what is not known."""

from __future__ import annotations

from typing import NamedTuple

MANY = 64
"""A set of more values than this is not worth following."""

Location = str | int
"""A register by its name, or a word of the stack by its offset from where the return address lies."""


class Parameter(NamedTuple):
    """What a location held when the function began, or what the word at an offset from there held."""

    location: Location
    field: int | None = None


class Stack(NamedTuple):
    """An address in the stack."""

    offset: int


class Unknown(NamedTuple):
    """A value that cannot be known, and why."""

    why: str


Value = int | Parameter | Stack | Unknown
Values = frozenset[Value]

TOO_MANY: Values = frozenset([Unknown(f"more than {MANY} values")])
COMPUTED: Values = frozenset([Unknown("computed")])
RETURNED: Values = frozenset([Unknown("returned by a call")])
LOADED: Values = frozenset([Unknown("loaded from memory")])
NEVER_SET: Values = frozenset([Unknown("never set")])


def constant(value: int) -> Values:
    """The set of one constant."""
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
    """What every location may hold at one place in a function."""

    __slots__ = ("cells",)

    def __init__(self, cells: dict[Location, Values]) -> None:
        self.cells = cells

    @staticmethod
    def at_entry() -> State:
        """Before the first instruction: all that there is are parameters."""
        return State({"rsp": frozenset([Stack(0)])})

    def copy(self) -> State:
        """Another one that can be changed."""
        return State(dict(self.cells))

    def get(self, location: Location) -> Values:
        """What a location may hold; above the return address lie parameters."""
        found = self.cells.get(location)
        if found is not None:
            return found
        if isinstance(location, int) and location < 8:
            return NEVER_SET
        return frozenset([Parameter(location)])

    def join(self, other: State) -> bool:
        """Take in what may be so instead; whether that changed anything."""
        changed = False
        mine, others = self.cells, other.cells
        if mine == others:
            return False
        for location in mine.keys() | others.keys():
            before = self.get(location)
            after = joined(before, other.get(location))
            if after != before or (location not in mine and location in others):
                mine[location] = after
                changed |= after != before
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
