"""Judges cases: what they come to here against what they come to natively, and against what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tools.suites.expectations import XFAIL as EXPECT_FAILURE
from tools.suites.suite import FAIL, PASS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.suites.expectations import Expectations
    from tools.suites.store import Result

OK = "ok"
FAILED = "FAIL"
XFAILED = "xfail"
XPASSED = "XPASS"
NOT_JUDGED = "-"
"""A case that does not pass natively says nothing about linuxemu."""


class Verdict(NamedTuple):
    """What is to be said of a case.

    Args:
        case: its name.
        kind: OK, FAILED, XFAILED, XPASSED or NOT_JUDGED.
        text: why, in a few words; empty if there is nothing to say.
        seconds: how long its unit took here, shared among its cases.
    """

    case: str
    kind: str
    text: str
    seconds: float

    @property
    def unexpected(self) -> bool:
        """Whether somebody has to look at it."""
        return self.kind in (FAILED, XPASSED)


def judge(native: Result, here: Result, known: Expectations) -> list[Verdict]:
    """The verdicts on the cases of a unit that ran on both sides."""
    share = here.seconds / max(len(native.cases), 1)
    return [Verdict(case, *_kind(case, result, here, known), share) for case, result in native.cases.items()]


def judge_native(native: Result) -> list[Verdict]:
    """The verdicts on the cases of a unit that ran natively only: none fails."""
    share = native.seconds / max(len(native.cases), 1)
    return [
        Verdict(case, OK, "", share) if result == PASS else Verdict(case, NOT_JUDGED, f"{result} natively", share)
        for case, result in native.cases.items()
    ]


def _kind(case: str, native: str, here: Result, known: Expectations) -> tuple[str, str]:
    if native != PASS:
        return NOT_JUDGED, f"{native} natively"
    expected = known.of(case, EXPECT_FAILURE)
    result = here.cases.get(case)
    if result == PASS:
        return (XPASSED, f"passes, though: {expected.reason}") if expected else (OK, "")
    if expected:
        return XFAILED, expected.reason
    return FAILED, {FAIL: "fails here", None: "is not come to here"}.get(result, f"{result} here")


class Figures(NamedTuple):
    """How a suite stands.

    Args:
        cases: how many there are.
        native: how many of them pass natively.
        here: how many of those pass here.
        native_s: how long the native runs took in sum.
        here_s: how long the runs here took in sum.
    """

    cases: int
    native: int
    here: int
    native_s: float
    here_s: float

    @property
    def percent(self) -> str:
        """The share of what passes natively that passes here, cut off so that only all is 100."""
        if not self.native:
            return "–"
        return f"{1000 * self.here // self.native / 10:g} %"


def figures(verdicts: Iterable[Verdict], native_s: float, here_s: float) -> Figures:
    """Count verdicts."""
    kinds = [verdict.kind for verdict in verdicts]
    native = sum(kind != NOT_JUDGED for kind in kinds)
    return Figures(len(kinds), native, sum(kind in (OK, XPASSED) for kind in kinds), native_s, here_s)
