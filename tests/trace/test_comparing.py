"""The list of reviewed differences: what an entry excuses, and that one which excuses nothing is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.trace.comparing import Comparison, Difference, load

if TYPE_CHECKING:
    from pathlib import Path


def entries(tmp_path: Path, text: str) -> list[Difference]:
    file = tmp_path / "differences.toml"
    file.write_text(text)
    return load(file)


def compare(native: list[str], ours: list[str], allowed: list[Difference], program: str = "a.c") -> Comparison:
    comparison = Comparison(program, allowed)
    comparison.compare({"1": native}, {"1": ours})
    return comparison


LINE = """
[[difference]]
program = "a*"
example = "a.c"
native = 'close\\(\\d\\) = 0'
ours = 'close\\(\\d\\) = 1'
reason = "closing counts"
"""
HIDE = """
[[difference]]
program = "*"
example = "b.c"
hide = 'size=\\d+'
reason = "sizes"
"""
ALONE = """
[[difference]]
program = "*.c"
example = "a.c"
native = 'rseq\\(.*'
reason = "not asked"
"""


def test_equal_traces_need_nothing(tmp_path: Path) -> None:
    comparison = compare(["a() = 0"], ["a() = 0"], entries(tmp_path, LINE + HIDE + ALONE))
    assert (comparison.report, comparison.used) == ([], set())


def test_lines_that_stand_for_one_another(tmp_path: Path) -> None:
    (entry,) = allowed = entries(tmp_path, LINE)
    comparison = compare(["a() = 0", "close(3) = 0"], ["a() = 0", "close(3) = 1"], allowed)
    assert (comparison.report, comparison.used) == ([], {entry})


def test_a_line_of_one_side_only(tmp_path: Path) -> None:
    (entry,) = allowed = entries(tmp_path, ALONE)
    comparison = compare(["rseq(1) = 0", "a() = 0", "rseq(2) = 0"], ["a() = 0"], allowed)
    assert (comparison.report, comparison.used) == ([], {entry})
    assert compare(["a() = 0"], ["rseq(1) = 0", "a() = 0"], allowed).report


def test_parts_of_lines_that_are_not_compared(tmp_path: Path) -> None:
    (entry,) = allowed = entries(tmp_path, HIDE)
    assert compare(["a(size=1)"], ["a(size=2)"], allowed).used == {entry}
    assert compare(["a(size=1)"], ["a(size=1)"], allowed).used == set()
    assert compare(["a(size=1)"], ["b(size=2)"], allowed).report


def test_an_entry_is_for_its_programs_only(tmp_path: Path) -> None:
    assert compare(["close(3) = 0"], ["close(3) = 1"], entries(tmp_path, LINE), "b.c").report


def test_an_entry_that_its_example_does_not_need_is_stale(tmp_path: Path) -> None:
    line, hide, alone = entries(tmp_path, LINE + HIDE + ALONE)
    comparison = compare(["close(3) = 0"], ["close(3) = 1"], [line, hide, alone])
    assert comparison.stale() == [str(alone)]
    assert str(line) == r"a*: native='close\\(\\d\\) = 0', ours='close\\(\\d\\) = 1'"


def test_what_is_left_is_shown_with_what_is_around_it() -> None:
    around = [f"line{number}() = 0" for number in range(9)]
    comparison = compare([*around[:5], "x() = 0", *around[5:]], [*around[:5], "y() = 0", *around[5:]], [])
    assert comparison.report == [
        "=== process 1: - strace, + linuxemu trace", "@@", " line2() = 0", " line3() = 0", " line4() = 0",
        "-x() = 0", "+y() = 0", " line5() = 0", " line6() = 0", " line7() = 0",
    ]  # fmt: skip


def test_a_process_of_one_side_only() -> None:
    comparison = Comparison("a.c", [])
    comparison.compare({"1": ["a() = 0"]}, {"1": ["a() = 0"], "1.1": ["b() = 0"]})
    assert comparison.report[-1] == "+b() = 0"


@pytest.mark.parametrize(
    "text",
    [
        'program = "a.c"\nreason = "why"',
        'program = "*"\nhide = "x"\nreason = "why"',
        'program = "a.c"\nhide = "x"\nreason = ""',
        'program = "a.c"\nhide = "x"\nours = "y"\nreason = "why"',
        'program = "a.c"\nhide = "x"\nreason = "why"\nmore = 1',
    ],
)
def test_entries_that_say_nothing_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="not a difference"):
        entries(tmp_path, "[[difference]]\n" + text)
