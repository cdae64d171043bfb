"""Watching programs: each system call with its arguments and result, signals and ends, as strace(1) shows them.

`run` and `unsupported` do in Python what `linuxemu trace` and `linuxemu trace --unsupported` do.

`Tracer` is what the Linux server tells about its tasks; `TextLog` and `JsonLog` write down what it hears. How values
are spelled is in `linuxemu.trace.formats`, and follows from the declarations of `syscalls.handlers`. What is asked of a
trace is in `linuxemu.trace.options`, how it is asked in `linuxemu.trace.reader`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linuxemu.trace.api import Traced as Traced
    from linuxemu.trace.api import run as run
    from linuxemu.trace.api import unsupported as unsupported

__all__ = ["Traced", "run", "unsupported"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'linuxemu.trace' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("linuxemu.trace.api"), name)
