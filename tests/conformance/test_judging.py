"""Expectations, verdicts, and what a run says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tools.suites import page, report
from tools.suites.expectations import SKIP as SKIP_UNIT
from tools.suites.expectations import XFAIL, Expectation, Expectations, load
from tools.suites.store import Result
from tools.suites.suite import FAIL, PASS, SKIP, SuiteError
from tools.suites.verdict import (
    FAILED,
    NOT_JUDGED,
    OK,
    XFAILED,
    XPASSED,
    Figures,
    Verdict,
    figures,
    judge,
    judge_native,
)

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = Expectations([Expectation(("sock/*",), XFAIL, (), "no sockets")])


def result(**cases: str) -> Result:
    return Result({name.replace("__", "/"): value for name, value in cases.items()}, 2.0, "")


def kinds(native: Result, here: Result, known: Expectations = KNOWN) -> dict[str, str]:
    return {verdict.case: verdict.kind for verdict in judge(native, here, known)}


def test_only_what_passes_natively_is_judged() -> None:
    native = result(a__1=PASS, a__2=PASS, a__3=FAIL, a__4=SKIP)
    here = result(a__1=PASS, a__2=FAIL, a__3=PASS, a__4=PASS)
    assert kinds(native, here) == {"a/1": OK, "a/2": FAILED, "a/3": NOT_JUDGED, "a/4": NOT_JUDGED}


def test_a_case_that_is_skipped_or_not_come_to_has_failed() -> None:
    found = judge(result(a__1=PASS, a__2=PASS), result(a__1=SKIP), KNOWN)
    assert [(one.kind, one.text) for one in found] == [(FAILED, "skip here"), (FAILED, "is not come to here")]


def test_an_expected_failure_is_none_and_an_unexpected_pass_is_one() -> None:
    native = result(sock__1=PASS, sock__2=PASS, sock__3=FAIL)
    found = judge(native, result(sock__1=FAIL, sock__2=PASS, sock__3=FAIL), KNOWN)
    assert [one.kind for one in found] == [XFAILED, XPASSED, NOT_JUDGED]
    assert [one.unexpected for one in found] == [False, True, False]
    assert found[0].text == "no sockets"
    assert found[1].text == "passes, though: no sockets"


def test_natively_nothing_fails() -> None:
    found = judge_native(result(a__1=PASS, a__2=FAIL))
    assert [(one.kind, one.text) for one in found] == [(OK, ""), (NOT_JUDGED, "fail natively")]


def test_an_entry_about_nothing_is_stale() -> None:
    known = Expectations([Expectation(("sock/*", "gone/*", "odd [name]"), XFAIL, (), "reason")])
    assert known.stale(["sock/1", "odd [name]"]) == ["gone/*"]


def test_a_skip_is_about_units_and_an_xfail_about_cases() -> None:
    known = Expectations([Expectation(("slow",), SKIP_UNIT, (), "slow"), *KNOWN.entries])
    assert known.of("slow", SKIP_UNIT) is not None
    assert known.of("slow", XFAIL) is None
    assert known.of("sock/1", SKIP_UNIT) is None


def test_entries_are_read_and_those_of_other_engines_left_out(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("""\
[[case]]
match = ["a/*", "b"]
do = "xfail"
reason = \"\"\"
two
lines\"\"\"

[[case]]
match = ["c"]
do = "skip"
engine = ["kvm"]
reason = "elsewhere"
""")
    assert load(file, "unicorn").entries == [Expectation(("a/*", "b"), XFAIL, (), "two lines")]
    assert [entry.do for entry in load(file, "kvm").entries] == [XFAIL, SKIP_UNIT]
    assert load(tmp_path / "none.toml", "unicorn").entries == []


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[[case]", "line 1"),
        ("x = 1", r"only \[\[case\]\] is known, not x"),
        ('[[case]]\nmatch = ["a"]\ndo = "xfail"', "case 1: there is no reason"),
        ('[[case]]\nmatch = ["a"]\ndo = "pass"\nreason = "r"', "case 1: do is 'xfail' or 'skip'"),
        ('[[case]]\nmatch = []\ndo = "xfail"\nreason = "r"', "case 1: it matches nothing"),
        ('[[case]]\nmatch = "a"\ndo = "xfail"\nreason = "r"', "case 1: match is a list of strings"),
        ('[[case]]\nmatch = ["a"]\ndo = "xfail"\nreason = "r"\nwhy = 1', "case 1: its keys are"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path: Path, text: str, error: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text)
    with pytest.raises(SuiteError, match=error):
        load(file, "unicorn")


def test_figures_are_cut_off_so_that_only_all_is_100() -> None:
    verdicts = [Verdict(str(number), OK, "", 0) for number in range(1999)] + [Verdict("x", XFAILED, "", 0)]
    verdicts.append(Verdict("y", NOT_JUDGED, "", 0))
    counted = figures(verdicts, 1.0, 2.0)
    assert counted == Figures(2001, 2000, 1999, 1.0, 2.0)
    assert counted.percent == "99.9 %"
    assert figures(verdicts[:10], 1.0, 2.0).percent == "100 %"
    assert figures([], 0, 0).percent == "–"


def test_a_case_is_a_line() -> None:
    assert report.line(Verdict("a/1", OK, "", 0)) == "ok    a/1"
    assert report.line(Verdict("a/1", FAILED, "fails here", 0)) == "FAIL  a/1  (fails here)"
    assert report.summary("s", "1-2", Figures(4, 3, 2, 1.4, 9.6), native_only=False) == (
        "s 1-2: 4 cases, 3 pass natively (1 s), 2 of these here (66.6 %, 10 s)"
    )
    assert report.summary("s", "1-2", Figures(4, 3, 3, 1, 0), native_only=True) == (
        "s 1-2: 4 cases, 3 pass natively (1 s)"
    )


def test_junit_counts_and_tells_what_failed(tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    verdicts = [
        Verdict("cp/1", OK, "", 0.5),
        Verdict("cp/2 <&\x1b>", FAILED, "fails here", 0.5),
        Verdict("cp/3", XPASSED, "passes, though: r", 0.5),
        Verdict("cp/4", XFAILED, "r", 0.5),
        Verdict("jobs", NOT_JUDGED, "fail natively", 0.0),
    ]
    report.write_junit(file, "suite", verdicts, {"cp/2 <&\x1b>": "out\x00put"})
    [suite] = ET.parse(file).getroot()
    assert suite.attrib == {
        "name": "suite", "tests": "5", "failures": "2", "errors": "0", "skipped": "2", "time": "2.000",
    }  # fmt: skip
    assert [(case.get("classname"), case.get("name")) for case in suite] == [
        ("suite.cp", "1"), ("suite.cp", "2 <&\ufffd>"), ("suite.cp", "3"), ("suite.cp", "4"), ("suite.jobs", "jobs"),
    ]  # fmt: skip
    assert [[(part.tag, part.get("message"), part.text) for part in case] for case in suite] == [
        [],
        [("failure", "fails here", "out\ufffdput")],
        [("failure", "passes, though: r", None)],
        [("skipped", "r", None)],
        [("skipped", "fail natively", None)],
    ]


PAGE = """\
# Page

<!-- conformance: written by `tools/conformance NAME --update-docs` -->

| suite | other |
| --- | --- |
| `two`: Two | old |
| `one`: One | old |

<!-- /conformance -->

The end.
"""


def test_the_page_gets_one_suites_line_and_what_is_known_of_all() -> None:
    row = page.row("one", "One", "one 1-2", Figures(4, 3, 2, 1.4, 9.6))
    new = page.update(PAGE, "one", row, {"one": KNOWN.entries, "two": [], "three": []})
    assert new == """\
# Page

<!-- conformance: written by `tools/conformance NAME --update-docs` -->

| suite | Debian source | cases | pass natively | of these here | time natively | time here |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
| `one`: One | one 1-2 | 4 | 3 | 2 (66.6 %) | 1 s | 10 s |
| `two`: Two | old |

What does not pass here:

| suite | cases | why |
| --- | --- | --- |
| `one` | `sock/*` | no sockets |

<!-- /conformance -->

The end.
"""
    assert page.update(new, "one", row, {"one": KNOWN.entries, "two": [], "three": []}) == new


def test_a_page_without_its_comments_is_refused() -> None:
    with pytest.raises(SuiteError, match="has lost the comments"):
        page.update("# Page\n", "one", "", {})
