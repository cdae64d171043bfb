"""The test modules of this folder and what they prove together."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syscalls import handlers
from tests.handlers.cases import Case, Proof, faults

if TYPE_CHECKING:
    from types import ModuleType

handlers.load()

_OWN = ("test_cases", "test_complete")


@cache
def modules() -> list[ModuleType]:
    """Every module with cases, by name."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))
    return [import_module(f"tests.handlers.{name}") for name in names if name not in _OWN]


@cache
def cases() -> list[Case]:
    """All cases."""
    return [case for module in modules() for case in getattr(module, "CASES", ())]


@cache
def proofs() -> list[Proof]:
    """What the test functions prove."""
    return [
        proof
        for module in modules()
        for value in vars(module).values()
        for proof in getattr(value, "proofs", ())
    ]


def successes() -> list[Case]:
    """The cases that succeed."""
    return [case for case in cases() if not case.errno]


def pointer_cases() -> list[tuple[Case, int, str]]:
    """Successful cases with a pointer of each that is to fault: the first case of a call that passes the pointer."""
    found: dict[tuple[str, str], tuple[Case, int, str]] = {}
    for case in successes():
        for index, name in faults(case):
            found.setdefault((case.name, name), (case, index, name))
    return list(found.values())


def unfaulted() -> dict[tuple[str, str], str]:
    """Pointers that calls do not touch -> why."""
    return {
        (case.name, text.partition(":")[0]): text.partition(":")[2].strip()
        for case in cases()
        for text in case.unfaulted
    }


def never() -> dict[str, str]:
    """Calls that cannot succeed in this system -> why, as the test modules say in NEVER."""
    return {name: why for module in modules() for name, why in getattr(module, "NEVER", {}).items()}


def names_of(items: list[Any]) -> set[str]:
    """The calls that cases or proofs are about."""
    return {item.name for item in items}
