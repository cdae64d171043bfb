"""Run, test and understand Linux programs on a microkernel's Linux ABI layer.

The supported API is what `__all__` lists; it is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linuxemu.errors import BootError as BootError
    from linuxemu.errors import DeadlockError as DeadlockError
    from linuxemu.errors import EngineError as EngineError
    from linuxemu.errors import LinuxEmuError as LinuxEmuError
    from linuxemu.errors import RpcError as RpcError
    from linuxemu.machine import Bind as Bind
    from linuxemu.machine import Machine as Machine
    from linuxemu.session import GuestStartError as GuestStartError
    from linuxemu.session import Result as Result

_HOMES = {
    "Bind": "linuxemu.machine",
    "BootError": "linuxemu.errors",
    "DeadlockError": "linuxemu.errors",
    "EngineError": "linuxemu.errors",
    "GuestStartError": "linuxemu.session",
    "LinuxEmuError": "linuxemu.errors",
    "Machine": "linuxemu.machine",
    "Result": "linuxemu.session",
    "RpcError": "linuxemu.errors",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - a list of names, pinned by tests/unit/test_api.py


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'linuxemu' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
