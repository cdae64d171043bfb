"""Declarations of system calls, with and without a handler: what their arguments are, for tracers and reports.

Those without one stand in `syscalls.missing` and are imported when somebody asks for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from syscalls import registry
from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from collections.abc import Callable

UNSUPPORTED = "unsupported"
MISSING: dict[int, Missing] = {}
_F = TypeVar("_F", bound="Callable[..., int]")


class Missing(registry.Syscall):
    """A system call without a handler: it answers ENOSYS. Its function has no body, and the arguments only."""

    __slots__ = ()
    _FIRST = 0


def missing(declaration: _F) -> _F:
    """Declare a system call that has no handler; the function has its name and arguments.

    Raises:
        KeyError: x86-64 Linux has no call of this name.
        ValueError: it is declared twice.
    """
    name = declaration.__name__
    number = X86_64[name]
    if number in MISSING:
        raise ValueError(f"system call {name} is declared twice")
    MISSING[number] = Missing(number, name, declaration, UNSUPPORTED, "", "ENOSYS")  # type: ignore[arg-type]
    return declaration


def signature_of(number: int) -> registry.Syscall | None:
    """The declaration of a system call, with or without a handler; None for numbers that Linux does not have."""
    found = registry.TABLE.get(number)
    if found is None:
        from syscalls.missing import load

        load()
        return MISSING.get(number)
    return found
