"""Output as it is shown against output as it came."""

from __future__ import annotations

import difflib
import doctest
import re

_VOLATILE = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),  # colours
    (re.compile(r"\b\d+(\.\d+)? ?(s|ms|µs)\b"), "N s"),
    (re.compile(r"\b0x[0-9a-f]{8,}\b"), "0xN"),  # addresses of this very process; a guest's shorter ones stay
    (re.compile(r"([=_-])\1{2,}"), r"\1\1\1"),  # rules, which are as long as their line leaves room for
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)


def normalised(text: str) -> str:
    """Without what differs from run to run: times, addresses, the length of rules, trailing blanks."""
    for pattern, stable in _VOLATILE:
        text = pattern.sub(stable, text)
    return text.strip("\n") + "\n"


def check_output(shown: str, came: str) -> None:
    """Compare output with what a page shows of it, where `...` stands for anything as in doctests.

    Raises:
        AssertionError: it is different; with the difference.
    """
    want, got = normalised(shown), normalised(came)
    if not doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS):
        lines = difflib.unified_diff(want.splitlines(), got.splitlines(), "shown", "came", lineterm="")
        raise AssertionError("\n".join(lines))
