"""Calls as data, shown here and by strace(1) from the same memory, which all calls of a family have in common.

A call is a tuple of its name and arguments: see `tests.trace.fakecall`. What strace printed is kept in
`recorded/FAMILY.MODE.txt`, a line a call.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from linuxemu.trace.call import PAGE
from tests.trace import tampered
from tests.trace.fakecall import Made, Memory, ended, look, made, traced
from tests.trace.tampered import BASE

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
_ENOSYS = -38
_MOST = 16 * PAGE


class Mode(NamedTuple):
    """One way to make and show the calls.

    Args:
        result: what every call returns.
        options: of strace(1).
    """

    result: int = _ENOSYS
    options: tuple[str, ...] = ()


MODES = {
    "refused": Mode(),
    "returns-0": Mode(0),
    "returns-2": Mode(2),
    "unabridged": Mode(options=("-v",)),
    "pointers": Mode(options=("-everbose=none",)),
}


def placed(calls: Sequence[tuple[Any, ...]]) -> list[Made]:
    """The calls in as many pages of memory as they need."""
    trial = Memory(BASE, _MOST)
    _place(calls, trial)
    needed = trial.next - BASE + trial.last
    return _place(calls, Memory(BASE, -(-needed // PAGE) * PAGE))


def _place(calls: Sequence[tuple[Any, ...]], memory: Memory) -> list[Made]:
    return [made(name, args, memory) for name, *args in calls]


def shown(calls: Sequence[tuple[Any, ...]], mode: Mode) -> list[str]:
    """The calls as the formatters show them."""
    options = look(mode.options)
    return [ended(traced(call, **options), mode.result) for call in placed(calls)]


def recorded(family: str, mode: str) -> list[str]:
    """What strace printed."""
    return (HERE / "recorded" / f"{family}.{mode}.txt").read_text("utf-8").splitlines()


def strace(calls: Sequence[tuple[Any, ...]], mode: Mode, folder: Path) -> list[str]:
    """What strace prints now."""
    return tampered.strace(placed(calls), mode.result, mode.options, folder)
