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


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcomes, Mapping[str, str]]:
    return run(tmp_path_factory.mktemp("first"), "-p", "no:xdist")


def test_there_is_something_to_compare(first: tuple[Outcomes, Mapping[str, str]]) -> None:
    results, logs = first
    assert len(results) > 1000
    assert len(logs) > 500
    assert set(results.values()) <= {"passed", "skipped"}


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (["-p", "no:xdist"], {"PYTHONHASHSEED": "5"}),
        (["-p", "no:xdist", "-p", "tests.shuffle"], {"SHUFFLE_SEED": "1"}),
        (["-n", "2"], {}),
    ],
    ids=["again", "random order", "two at once"],
)
def test_the_suite_repeats(
    first: tuple[Outcomes, Mapping[str, str]], tmp_path: Path, options: list[str], environment: dict[str, str]
) -> None:
    results, logs = run(tmp_path, *options, **environment)
    assert results == first[0]
    assert set(logs) == set(first[1])
    different = [name for name, text in logs.items() if text != first[1][name]]
    assert different == []
