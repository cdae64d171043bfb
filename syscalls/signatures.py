"""Declarations of system calls that have no handler: what their arguments are, for tracers and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls import registry
from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from collections.abc import Callable

MISSING: dict[int, registry.Syscall] = {}


def missing(name: str) -> Callable[[registry.Handler], registry.Handler]:
    """Declare the arguments of a system call that always fails with ENOSYS."""

    def declare(handler: registry.Handler) -> registry.Handler:
        number = X86_64[name]
        MISSING[number] = registry.Syscall(number, name, handler, "unsupported", "", "ENOSYS")
        return handler

    return declare


def signature_of(number: int) -> registry.Syscall | None:
    """The declaration of a system call, with or without a handler; None for numbers that Linux does not have."""
    return registry.TABLE.get(number) or MISSING.get(number)
