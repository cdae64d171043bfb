"""What is known of a suite's cases: tests/expectations/NAME.toml.

An entry is

    [[case]]
    match = ["mdev/*"]        # globs of cases
    do = "xfail"              # fails here: that it passes is an error, too; "skip" does not run the units
    engine = ["unicorn"]      # where that is so; everywhere if left out
    reason = "..."            # what is missing, or why it cannot pass
"""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from tools.suites.suite import SuiteError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

XFAIL, SKIP = "xfail", "skip"
_KEYS = {"match", "do", "engine", "reason"}


class Expectation(NamedTuple):
    """One entry.

    Args:
        match: globs of the names of cases, or of units for "skip".
        do: XFAIL or SKIP.
        engines: the engines it is for; empty for all.
        reason: why, in a sentence.
    """

    match: tuple[str, ...]
    do: str
    engines: tuple[str, ...]
    reason: str

    def matches(self, name: str) -> bool:
        """Whether it is about a case. A name may have brackets in it: a glob that is the name itself is enough."""
        return any(name == glob or fnmatchcase(name, glob) for glob in self.match)


class Expectations:
    """All that is known of a suite, for one engine."""

    def __init__(self, entries: Iterable[Expectation]) -> None:
        self.entries = list(entries)

    def of(self, name: str, do: str) -> Expectation | None:
        """The first entry of a kind that is about a case."""
        return next((entry for entry in self.entries if entry.do == do and entry.matches(name)), None)

    def stale(self, names: Iterable[str]) -> list[str]:
        """Globs that are about none of these cases and units: what they were about is gone."""
        known = list(names)
        return [
            glob
            for entry in self.entries
            for glob in entry.match
            if not any(name == glob or fnmatchcase(name, glob) for name in known)
        ]


def load(path: Path, engine: str) -> Expectations:
    """Read a file of expectations; no file is none.

    Args:
        path: the file.
        engine: entries for other engines are left out.

    Raises:
        SuiteError: the file is not as it should be; the text says where.
    """
    if not path.exists():
        return Expectations([])
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SuiteError(f"{path}: {error}") from None
    if set(table) - {"case"}:
        raise SuiteError(f"{path}: only [[case]] is known, not {', '.join(sorted(set(table) - {'case'}))}")
    entries = [_entry(path, number, entry) for number, entry in enumerate(table.get("case", []), 1)]
    return Expectations(entry for entry in entries if not entry.engines or engine in entry.engines)


def _entry(path: Path, number: int, entry: object) -> Expectation:
    where = f"{path}: case {number}"
    if not isinstance(entry, dict) or set(entry) - _KEYS:
        raise SuiteError(f"{where}: its keys are {', '.join(sorted(_KEYS))}")
    match, engines = entry.get("match"), entry.get("engine", [])
    for name, value in (("match", match), ("engine", engines)):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise SuiteError(f"{where}: {name} is a list of strings")
    if not match:
        raise SuiteError(f"{where}: it matches nothing")
    if entry.get("do") not in (XFAIL, SKIP):
        raise SuiteError(f"{where}: do is {XFAIL!r} or {SKIP!r}")
    reason = entry.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise SuiteError(f"{where}: there is no reason")
    return Expectation(tuple(match), entry["do"], tuple(engines), " ".join(reason.split()))
