"""Runs scripts on both sides and says where they differ."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.differ.code import Compiled, compiled
from tools.differ.outcome import lines
from tools.differ.running import GUEST_LIMIT_MS, NATIVE_LIMIT_MS, Raw
from tools.differ.script import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tools.differ.running import Runner
    from tools.differ.script import Script

_KNOWN = Path(__file__).with_name("known.toml")
_PATIENCE = 10
"""So many times longer a script that seemed to differ may take when it runs again, alone."""


class Difference(NamedTuple):
    """A script that does not see the same on both sides.

    Args:
        script: the script.
        native: what it sees on the host.
        guest: what it sees in linuxemu.
    """

    script: Script
    native: list[str]
    guest: list[str]

    @property
    def first(self) -> tuple[str, str]:
        """The first line that is not the same, natively and in linuxemu."""
        longest = max(len(self.native), len(self.guest))
        native, guest = (side + [""] * (longest - len(side)) for side in (self.native, self.guest))
        return next(pair for pair in zip(native, guest) if pair[0] != pair[1])

    @property
    def before(self) -> list[str]:
        """The lines before it."""
        same = next((at for at, pair in enumerate(zip(self.native, self.guest)) if pair[0] != pair[1]), None)
        return self.native[:same]

    @property
    def signature(self) -> tuple[str, str, str]:
        """What differences of one cause have in common as a rule."""
        native, guest = self.first
        return native.split("(")[0], _outcome(native), _outcome(guest)


def _outcome(line: str) -> str:
    after = line.rpartition(") = ")[2]
    return re.sub(r"[0-9]+", "N", after.split(" ")[0])


class Known(NamedTuple):
    """A difference that is meant.

    Args:
        native: a pattern of the line on the host.
        guest: a pattern of the line in linuxemu.
        reason: why it is so.
        script: a pattern that the script has, too.
        after: a pattern of an earlier line on the host.
    """

    native: str
    guest: str
    reason: str
    script: str = ""
    after: str = ""

    def covers(self, found: Difference, text: str) -> bool:
        """Whether a difference, of a script with this text, is of the kind."""
        native, guest = found.first
        return (
            re.search(self.native, native) is not None
            and re.search(self.guest, guest) is not None
            and re.search(self.script, text) is not None
            and (not self.after or any(re.search(self.after, line) for line in found.before))
        )


def known(path: Path = _KNOWN) -> list[Known]:
    """The differences that are meant."""
    return [Known(**entry) for entry in tomllib.loads(path.read_text("utf-8")).get("difference", [])]


class Comparer:
    """Compares scripts.

    Args:
        runner: runs them.
        meant: differences that are no news.
    """

    def __init__(self, runner: Runner, meant: Sequence[Known] = ()) -> None:
        self._runner = runner
        self._meant = meant
        self.excused: Counter[str] = Counter()
        """How many scripts differed as it is meant, by the reason."""

    def differences(self, scripts: Sequence[Script], *, sure: bool = True) -> list[Difference | None]:
        """For each script where it differs, or None.

        Args:
            scripts: to be run as a batch.
            sure: what differs runs again, alone, and must differ again.

        Raises:
            ScriptError: one of them is none.
            RunError: scripts cannot be run here.
        """
        ready = [compiled(script) for script in scripts]
        native = self._runner.native(ready)
        guest = self._guest(ready)
        found: list[Difference | None] = []
        for script, code, *raw in zip(scripts, ready, native, guest):
            difference = self._difference(script, code, *raw)
            if difference is not None and sure:
                difference = self._again(script, code)
            found.append(difference)
        return found

    def _difference(self, script: Script, code: Compiled, native: Raw, guest: Raw) -> Difference | None:
        found = Difference(script, lines(script, code, native), lines(script, code, guest))
        return None if found.native == found.guest else found

    def _again(self, script: Script, code: Compiled) -> Difference | None:
        """The difference, if the host says the same three times and linuxemu still another thing."""
        limits = (NATIVE_LIMIT_MS, NATIVE_LIMIT_MS, _PATIENCE * NATIVE_LIMIT_MS)
        native = [self._runner.native([code], limit_ms)[0] for limit_ms in limits]
        sides = [lines(script, code, raw) for raw in native]
        if sides[0] != sides[1] or sides[1] != sides[2]:
            return None
        guest = self._guest([code], _PATIENCE * GUEST_LIMIT_MS)[0]
        found = self._difference(script, code, native[2], guest)
        reason = self._meant_because(found) if found is not None else ""
        if reason:
            self.excused[reason] += 1
            return None
        return found

    def _meant_because(self, found: Difference) -> str:
        text = show(found.script)
        return next((each.reason for each in self._meant if each.covers(found, text)), "")

    def _guest(self, ready: Sequence[Compiled], limit_ms: int = GUEST_LIMIT_MS) -> list[Raw]:
        """Run all in linuxemu; what ends a run, or makes linuxemu complain, is told for its script alone."""
        found = self._runner.guest(ready, limit_ms)
        if len(found) == len(ready) and not any(raw.complaint for raw in found):
            return found
        if len(ready) == 1:
            return [found[0]._replace(complaint=found[-1].complaint)]
        half = len(ready) // 2
        return self._guest(ready[:half], limit_ms) + self._guest(ready[half:], limit_ms)


def report(found: Difference, text: str) -> Iterable[str]:
    """Lines for a person: the script, and where the two sides part."""
    native, guest = found.first
    yield from text.rstrip("\n").split("\n")
    yield f"  natively:    {native}"
    yield f"  in linuxemu: {guest}"
