"""Results of units that have run, kept so that a run can go on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent.parent
_PACKAGES = ("linuxemu", "syscalls", "loader", "rootfs")
_SOURCES = (".py", ".idl", ".toml")


class Result(NamedTuple):
    """What came of a unit.

    Args:
        cases: PASS, FAIL or SKIP by case.
        seconds: how long it took.
        output: the last part of what it printed.
    """

    cases: dict[str, str]
    seconds: float
    output: str


class Store:
    """Results in a file, a line each; it is written as they come.

    Args:
        path: the file; a line that was cut off by an interruption does not count.
        fresh: forget what is in it.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if fresh:
            path.unlink(missing_ok=True)
        self._path = path
        self._results: dict[str, Result] = {}
        for line in path.read_text("utf-8").splitlines() if path.exists() else []:
            try:
                unit, *fields = json.loads(line)
                self._results[unit] = Result(*fields)
            except (ValueError, TypeError):
                continue

    def get(self, unit: str) -> Result | None:
        """The result of a unit, if it has run."""
        return self._results.get(unit)

    def put(self, unit: str, result: Result) -> None:
        """Keep a result."""
        self._results[unit] = result
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([unit, *result]) + "\n")

    def results(self) -> Mapping[str, Result]:
        """All that there is, by unit."""
        return self._results


def program_version(root: Path = ROOT) -> str:
    """linuxemu's version together with a digest of its source, so that any change of it counts as another.

    Args:
        root: the checkout.
    """
    from linuxemu.cli.options import version

    digest = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in _SOURCES and path.is_file():
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return f"{version()}-{digest.hexdigest()[:12]}"
