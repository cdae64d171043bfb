"""What the suites print, and what the tool reads out of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tools.suites.bash import Bash
from tools.suites.busybox import BusyBox
from tools.suites.posix import Posix
from tools.suites.suite import FAIL, PASS, SKIP, Outcome, SuiteError, Unit

if TYPE_CHECKING:
    from pathlib import Path


def unit(name: str) -> Unit:
    return Unit(name, ("/bin/true",))


def test_busybox_says_what_became_of_each_case() -> None:
    output = b"""\
======================
echo -ne '' | cp a b
PASS: cp works
FAIL: cp: keeps times
--- expected
+FAIL: not at the start of a line counts as well
SKIPPED: cp (not built)
UNTESTED: cp-old
"""
    assert BusyBox().cases(unit("cp"), Outcome(1, output, 0.1)) == {
        "cp/cp works": PASS,
        "cp/keeps times": FAIL,
        "cp/cp (not built)": SKIP,
        "cp/cp-old": SKIP,
    }


def test_the_second_case_of_a_name_gets_a_number() -> None:
    output = b"PASS: twice\nFAIL: twice\nPASS: twice\n"
    assert BusyBox().cases(unit("cp"), Outcome(0, output, 0.1)) == {
        "cp/twice": PASS,
        "cp/twice #2": FAIL,
        "cp/twice #3": PASS,
    }


def test_the_shells_tests_say_ok_or_fail() -> None:
    output = b"""\
ash-misc/break1.tests: ok
ash-misc/wait.tests:--- wait.xx
 fail
ash-misc/kill.tests: fail
ash-vars/other.tests: ok
"""
    assert BusyBox().cases(unit("ash-misc"), Outcome(0, output, 0.1)) == {
        "ash-misc/break1": PASS,
        "ash-misc/kill": FAIL,
    }


def test_a_byte_that_is_no_text_does_not_matter() -> None:
    assert BusyBox().cases(unit("cat"), Outcome(0, b"PASS: \xff\n\xfe\n", 0.1)) == {"cat/\\xff": PASS}


@pytest.mark.parametrize(
    ("status", "result"), [(0, PASS), (1, FAIL), (2, FAIL), (4, SKIP), (5, SKIP), (124, FAIL), (139, FAIL)]
)
def test_a_program_of_the_posix_suite_says_it_by_its_status(status: int, result: str) -> None:
    assert Posix().cases(unit("fork/1-1"), Outcome(status, b"Test PASSED\n", 0.1)) == {"fork/1-1": result}


def test_a_script_of_bash_passes_when_its_comparison_does() -> None:
    assert Bash().cases(unit("jobs"), Outcome(0, b"warning\n", 0.1)) == {"jobs": PASS}
    assert Bash().cases(unit("jobs"), Outcome(1, b"1c1\n", 0.1)) == {"jobs": FAIL}


def test_the_units_of_busybox_are_its_applets_and_its_shells_directories(tmp_path: Path) -> None:
    tests = tmp_path / "suite/testsuite"
    for name in ("cp", "empty"):
        (tests / name).mkdir(parents=True)
    for name in ("cp/cp-works", "cp.tests", "sed.tests", "all_sourcecode.tests", "testing.sh"):
        (tests / name).touch()
    (tmp_path / "suite/shell/ash_test/ash-misc").mkdir(parents=True)
    units = BusyBox().units(tmp_path, tmp_path)
    assert [one.name for one in units] == ["cp", "sed", "ash-misc"]
    assert units[0].argv[-2:] == ("./runtest", "cp")
    assert units[2].argv[-1] == "ash-misc"


def test_the_units_of_the_posix_suite_are_programs_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    source = tmp_path / "conformance/interfaces"
    for name in ("fork", "raise"):
        (source / name).mkdir(parents=True)
    for name in ("fork/10-1", "fork/2-1", "fork/2-10", "fork/2-2", "raise/1-1"):
        (source / f"{name}.c").write_text("int main (void) { return 0; }\n")
    (source / "raise/2-1.c").write_text("int only_compiles;\n")
    names = [one.name for one in Posix().units(tmp_path, tmp_path)]
    assert names == ["fork/2-1", "fork/2-2", "fork/2-10", "fork/10-1", "raise/1-1"]


def test_a_program_is_compiled_once_if_it_can_be(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    source, root = tmp_path / "source", tmp_path / "root"
    folder = source / "conformance/interfaces/raise"
    folder.mkdir(parents=True)
    (root / "suite").mkdir(parents=True)
    (folder / "1-1.c").write_text("int main(void) { return 0; }\n")
    (folder / "1-2.c").write_text("int main(void) { return nothing; }\n")
    right, wrong = Posix().units(source, root)
    assert [Posix().make(source, root, one) for one in (right, right, wrong, wrong)] == [True, True, False, False]
    assert (root / "suite/raise/1-1").exists()


def test_the_units_of_bash_are_the_scripts_that_run_one_test(tmp_path: Path) -> None:
    tests = tmp_path / "suite/tests"
    tests.mkdir(parents=True)
    for name in ("run-all", "run-jobs", "run-alias", "run-minimal", "jobs.tests"):
        (tests / name).touch()
    assert [one.name for one in Bash().units(tmp_path, tmp_path)] == ["alias", "jobs"]


@pytest.mark.parametrize("suite", [BusyBox(), Bash(), Posix()], ids=lambda suite: suite.name)
def test_a_directory_that_is_another_source_is_refused(
    suite: BusyBox | Bash | Posix, tmp_path: Path
) -> None:
    with pytest.raises(SuiteError, match="is no source of"):
        suite.build(tmp_path, tmp_path, tmp_path, 1)
