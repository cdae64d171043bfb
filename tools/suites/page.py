"""The tables of docs/conformance.md: how each suite stands, and what is known to fail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tools.suites.suite import SuiteError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.suites.expectations import Expectation
    from tools.suites.verdict import Figures

_START = "<!-- conformance: written by `tools/conformance NAME --update-docs` -->"
_END = "<!-- /conformance -->"
_HEAD = [
    "| suite | Debian source | cases | pass natively | of these here | time natively | time here |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
]
_ROW = re.compile(r"^\| `([\w-]+)`: ")


def row(name: str, title: str, source: str, counted: Figures) -> str:
    """A suite's line of the first table."""
    cells = [
        f"`{name}`: {title}",
        source,
        str(counted.cases),
        str(counted.native),
        f"{counted.here} ({counted.percent})",
        f"{counted.native_s:.0f} s",
        f"{counted.here_s:.0f} s",
    ]
    return f"| {' | '.join(cells)} |"


def update(page: str, name: str, new_row: str, known: Mapping[str, Sequence[Expectation]]) -> str:
    """The page with one suite's line replaced, and with what is known of all of them.

    Args:
        page: the text of docs/conformance.md.
        name: the suite's name.
        new_row: its `row`.
        known: the expectations of every suite, by its name.

    Raises:
        SuiteError: the page has not the two comments between which the tables stand.
    """
    before, start, rest = page.partition(_START)
    old, end, after = rest.partition(_END)
    if not start or not end:
        raise SuiteError("docs/conformance.md has lost the comments between which its tables stand")
    rows = {match[1]: line for line in old.splitlines() if (match := _ROW.match(line))}
    rows[name] = new_row
    parts = ["", *_HEAD, *(rows[key] for key in known if key in rows), ""]
    entries = [(key, entry) for key, found in known.items() for entry in found]
    if entries:
        parts += ["What does not pass here:", "", "| suite | cases | why |", "| --- | --- | --- |"]
        parts += [f"| `{key}` | {_globs(entry.match)} | {_cell(entry.reason)} |" for key, entry in entries]
        parts.append("")
    return "\n".join([before + start, *parts, end + after])


def _globs(match: Sequence[str]) -> str:
    return ", ".join(f"`{_cell(glob)}`" for glob in match)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
