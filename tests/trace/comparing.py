"""Two normalised traces side by side, and the reviewed list of where they may differ.

`differences.toml` has one entry a difference: `program` (a glob of names), `reason`, and either `hide` (what is left
out of a line before it is compared) or `native` and `ours` (a line each that stand for one another; one alone is a line
that the other trace has not). All are regular expressions. Where `program` is a pattern, `example` names a program that
needs the entry: its test fails once the entry is not needed any more.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONTEXT = 3


@dataclass(eq=False)
class Difference:
    """One reviewed difference."""

    program: str
    example: str
    reason: str
    hide: re.Pattern[str] | None = None
    native: re.Pattern[str] | None = None
    ours: re.Pattern[str] | None = None

    def __str__(self) -> str:
        said = [f"{key}={getattr(self, key).pattern!r}" for key in ("hide", "native", "ours") if getattr(self, key)]
        return f"{self.program}: {', '.join(said)}"


def load(path: Path) -> list[Difference]:
    """The entries of a file; one that says nothing, or no reason, is an error."""
    with path.open("rb") as file:
        return [_entry(words) for words in tomllib.load(file).get("difference", [])]


def _entry(words: dict[str, Any]) -> Difference:
    patterns = {key: re.compile(words[key], re.DOTALL) for key in ("hide", "native", "ours") if key in words}
    program = words.get("program", "")
    known = {"program", "reason", *patterns} | ({"example"} if "*" in program else set())
    if set(words) != known or not words["reason"] or not patterns or ("hide" in patterns and len(patterns) > 1):
        raise ValueError(f"not a difference: {words}")
    return Difference(program, words.get("example", program), words["reason"], **patterns)


class Comparison:
    """One program's two traces; `report` is empty when they agree, `used` are the differences that were needed."""

    def __init__(self, program: str, allowed: Sequence[Difference]) -> None:
        self.program = program
        self.allowed = [entry for entry in allowed if fnmatchcase(program, entry.program)]
        self.used: set[Difference] = set()
        self.report: list[str] = []

    def compare(self, native: dict[str, list[str]], ours: dict[str, list[str]]) -> None:
        """Compare all processes of two traces."""
        for name in sorted({*native, *ours}):
            self._process(name, native.get(name, []), ours.get(name, []))

    def stale(self) -> list[str]:
        """The entries that this program is the example of, but does not need."""
        return [str(entry) for entry in self.allowed if entry.example == self.program and entry not in self.used]

    def _process(self, name: str, native: list[str], ours: list[str]) -> None:
        left, right = [self._hidden(line) for line in native], [self._hidden(line) for line in ours]
        hunks = []
        for tag, a, a_end, b, b_end in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
            if tag == "equal":
                for one, other in zip(native[a:a_end], ours[b:b_end], strict=True):
                    self._note_hidden(one, other)
            else:
                rest = self._excused(left[a:a_end], right[b:b_end])
                if rest != ([], []):
                    hunks.append((left[max(a - CONTEXT, 0) : a], rest, left[a_end : a_end + CONTEXT]))
        if hunks:
            self.report.append(f"=== process {name}: - strace, + linuxemu trace")
        for before, (missing, added), after in hunks:
            marked = [" " + line for line in before]
            marked += ["-" + line for line in missing] + ["+" + line for line in added]
            self.report += ["@@", *marked, *(" " + line for line in after)]

    def _hidden(self, line: str) -> str:
        for entry in self.allowed:
            if entry.hide:
                line = entry.hide.sub("<hidden>", line)
        return line

    def _note_hidden(self, native: str, ours: str) -> None:
        if native != ours:
            for entry in self.allowed:
                if entry.hide and _all(entry.hide, native) != _all(entry.hide, ours):
                    self.used.add(entry)

    def _excused(self, native: list[str], ours: list[str]) -> tuple[list[str], list[str]]:
        """What no entry explains of lines that stand in the same place."""
        native, ours = list(native), list(ours)
        while native or ours:
            entry = next((entry for entry in self.allowed if _explains(entry, native, ours)), None)
            if entry is None:
                return native, ours
            self.used.add(entry)
            del native[: entry.native is not None], ours[: entry.ours is not None]
        return native, ours


def _all(pattern: re.Pattern[str], line: str) -> list[str]:
    return [match[0] for match in pattern.finditer(line)]


def _explains(entry: Difference, native: list[str], ours: list[str]) -> bool:
    """An entry is about the first lines of both sides."""
    sides = [(entry.native, native), (entry.ours, ours)]
    wanted = [(pattern, lines) for pattern, lines in sides if pattern]
    return bool(wanted) and all(lines and pattern.fullmatch(lines[0]) for pattern, lines in wanted)
