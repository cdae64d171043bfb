"""How values are spelled, by the format names of `syscalls.types` and of the declarations.

A formatter takes the call, the value, and the argument's `Arg`, and returns a text, or None where the argument is not
shown at all. It may raise `NotResident`; it is then asked again. The modules of this package register theirs when they
are imported by `load`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linuxemu.trace.call import Call
    from syscalls.types import Arg

Formatter = Callable[["Call", int, "Arg"], "str | None"]
After = Callable[["Call", int, "Arg"], object]
StructFormatter = Callable[["Call", Any], str]
Phase = Callable[["Call"], "list[str]"]

FORMATS: dict[str, Formatter] = {}
"""By the name of a format."""
AFTER: dict[str, After] = {}
"""What else a format does when the call has ended: what became of an argument goes into `Call.aux`."""
BEFORE: dict[str, After] = {}
"""What a format of an argument that is shown when the call ends does when it begins: it may leave a `Call.note`."""
STRUCTS: dict[str, StructFormatter] = {}
"""Of structures of `syscalls.abi.structs`, by their names."""
CHANGES: dict[str, Formatter] = {}
"""Of arguments that are shown when the call begins and again when it ends, such as "[0] => [5]": the second text, put
right behind the first. The formatter of the first one sets `Call.separator` to "" where there is a second one, which
is then never None."""
CALLS: dict[str, tuple[Phase, Phase]] = {}
"""Calls that are not shown argument by argument: the texts at the beginning, and those at the end."""

_RARE = (
    "choices", "events", "filters", "ipc", "kernels", "keys", "messages", "mounting", "numa", "perf", "quotas",
    "sockets", "sockopts", "uring", "watching",
)  # fmt: skip
"""Modules with formats that only calls without a handler have."""
_F = TypeVar("_F", bound=Formatter)
_S = TypeVar("_S", bound=StructFormatter)
_A = TypeVar("_A", bound=After)


def shows(*names: str) -> Callable[[_F], _F]:
    """Register a formatter; a name that is taken raises ValueError."""

    def register(formatter: _F) -> _F:
        for name in names:
            if name in FORMATS:
                raise ValueError(f"format {name} is registered twice")
            FORMATS[name] = formatter
        return formatter

    return register


def after(*names: str) -> Callable[[_A], _A]:
    """Register what a format does when the call has ended."""

    def register(more: _A) -> _A:
        for name in names:
            AFTER[name] = more
        return more

    return register


def changes(*names: str) -> Callable[[_F], _F]:
    """Register what a format shows of an argument a second time, when the call has ended."""

    def register(formatter: _F) -> _F:
        for name in names:
            CHANGES[name] = formatter
        return formatter

    return register


def before(*names: str) -> Callable[[_A], _A]:
    """Register what a format does when the call begins, though it is shown when it ends."""

    def register(more: _A) -> _A:
        for name in names:
            BEFORE[name] = more
        return more

    return register


def shows_struct(*names: str) -> Callable[[_S], _S]:
    """Register the formatter of a structure; it returns the text with its braces."""

    def register(formatter: _S) -> _S:
        for name in names:
            STRUCTS[name] = formatter
        return formatter

    return register


def of(arg: Arg) -> Formatter:
    """The formatter of an argument."""
    return FORMATS.get(arg.format) or FORMATS["address"]


def need(names: Iterable[str]) -> None:
    """Import the formats of calls without a handler if one of these names is not known yet."""
    if any(name not in FORMATS for name in names):
        for module in _RARE:
            import_module(f"{__name__}.{module}")


def nothing(call: Call) -> list[str]:
    """No argument: the part of a call of `CALLS` that shows all of them in the other one."""
    return []


def raw(value: int) -> str:
    """A register, or a result, as -e raw shows it."""
    return f"{value & 0xFFFF_FFFF_FFFF_FFFF:#x}" if value else "0"


def load() -> None:
    """Import every module of formatters."""
    from linuxemu.trace.formats import (  # noqa: F401
        basic,
        clone,
        fcntls,
        files,
        futex,
        identity,
        ioctl_block,
        ioctl_fs,
        ioctl_net,
        memory,
        mounts,
        numbers,
        polling,
        prctl,
        process,
        resource,
        signals,
        stats,
        strings,
        system,
        terminals,
        times,
        vectors,
    )
