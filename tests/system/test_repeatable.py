"""The tests of the handlers and of the harness give the same results and the same messages, however they are run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from tests.helpers import ROOT, tool_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SUITE = ("tests/handlers", "tests/testing", "--ignore=tests/testing/test_plugin.py")
Outcomes = dict[str, str]


def run(directory: Path, *options: str, **environment: str) -> tuple[Outcomes, Mapping[str, str]]:
    """Outcomes of all tests, and the messages of each."""
    directory.mkdir()
    report, logs = directory / "report.xml", directory / "logs"
    line = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", f"--junitxml={report}",
        f"--rpc-log={logs}", *SUITE, *options,
    ]  # fmt: skip
    done = subprocess.run(line, cwd=ROOT, env={**tool_environment(), **environment}, capture_output=True, text=True)
    assert report.exists(), done.stdout + done.stderr
    return outcomes(report), {path.name: path.read_text("utf-8") for path in logs.iterdir()}


def outcomes(report: Path) -> Outcomes:
    """Of each test whether it passed, failed or was skipped."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        ends = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        found[f"{case.get('classname')}.{case.get('name')}"] = ends[0] if ends else "passed"
    return found


WAYS = {
    "again": (["-p", "no:xdist"], {"PYTHONHASHSEED": "5"}),
    "in random order": (["-p", "no:xdist", "-p", "tests.shuffle"], {"SHUFFLE_SEED": "1"}),
    "two at once": (["-n", "2"], {}),
}


def test_the_suite_repeats(tmp_path: Path) -> None:
    first_results, first_logs = run(tmp_path / "first", "-p", "no:xdist")
    assert len(first_results) > 5000
    assert len(first_logs) > 4000
    assert set(first_results.values()) <= {"passed", "skipped"}
    for way, (options, environment) in WAYS.items():
        results, logs = run(tmp_path / way.replace(" ", "-"), *options, **environment)
        assert results == first_results, way
        assert set(logs) == set(first_logs), way
        assert [name for name, text in logs.items() if text != first_logs[name]] == [], way
