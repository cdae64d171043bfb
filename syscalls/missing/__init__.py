"""System calls of x86-64 Linux that have no handler: their arguments as man pages have them, and how they are shown.

A declaration is a function without a body. When a call gets a handler, its declaration moves there. Nothing here is
imported until a trace or a report asks for a call of this kind.
"""

from __future__ import annotations

from importlib import import_module

_MODULES = (
    "events", "keys", "memory", "modules", "mounts", "network", "obsolete", "recent", "tracing",
)  # fmt: skip


def load() -> None:
    """Import every declaration."""
    for name in _MODULES:
        import_module(f"{__name__}.{name}")
