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


def test_the_suite_repeats(tmp_path: Path) -> None:
    results, logs = run(tmp_path / "first", "-p", "no:xdist")
    assert len(results) > 5000
    assert len(logs) > 4000
    assert set(results.values()) <= {"passed", "skipped"}
    # Everything at once that may make no difference: order, hashes, and what else runs in the process.
    again, other_logs = run(
        tmp_path / "again", "-n", "2", "-p", "tests.shuffle", SHUFFLE_SEED="1", PYTHONHASHSEED="5"
    )
    assert again == results
    assert set(other_logs) == set(logs)
    assert [name for name, text in other_logs.items() if text != logs[name]] == []
