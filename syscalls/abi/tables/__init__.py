"""Names of values and flags of system calls that have no handler: for tracers and reports, read when one asks.

They are kept as text, for nobody else needs them. In `VALUES` a name without a number is one more than the one before,
and the first is 0; in `FLAGS` it is the next higher bit. Flags are spelled in the table's order. A word in front that
ends with a colon is the comment of values without a name, where it is not the table's name with "???".
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import NamedTuple

_MODULES = ("events", "ipc", "memory", "mounts", "network", "sockopt", "system", "tracing")


class Table(NamedTuple):
    """The names of one argument's values or flags.

    Args:
        names: value to name.
        unknown: the comment of a value that has none.
    """

    names: dict[int, str]
    unknown: str


@cache
def texts() -> dict[str, tuple[str, bool]]:
    """The text of each table by its name, and whether its values are flags."""
    found: dict[str, tuple[str, bool]] = {}
    for module in (import_module(f"{__name__}.{name}") for name in _MODULES):
        found |= {name: (text, False) for name, text in module.VALUES.items()}
        found |= {name: (text, True) for name, text in module.FLAGS.items()}
    return found


@cache
def table(name: str) -> Table:
    """The table of this name; KeyError if there is none."""
    text, are_flags = texts()[name]
    unknown, names = f"{name}???", {}
    value = 0 if are_flags else -1
    for word in text.split():
        if word.endswith(":"):
            unknown = word[:-1]
            continue
        constant, _, number = word.partition("=")
        value = int(number, 0) if number else value * 2 if are_flags else value + 1
        names[value] = constant
    return Table(names, unknown)
