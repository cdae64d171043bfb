"""A whole run of the tool with a small suite of our own: resuming, selecting, the exit status."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.helpers import busybox, wait_until
from tools.suites import cli, debian
from tools.suites.running import Runner
from tools.suites.store import Result, Store, program_version
from tools.suites.suite import FAIL, HOME, PASS, Suite, SuiteError, Unit
from tools.suites.tree import make_root

if TYPE_CHECKING:
    from pathlib import Path

    from tools.suites.suite import Outcome

SCRIPTS = {
    "right": "test $$ -lt 10 && echo right",
    "writing": "echo one > /suite/x && test ! -e /tmp/y && cat x > /tmp/y",
    "wrong": "false",
    "slow": "sleep 60",
}


class Small(Suite):
    """Scripts that count how often they are asked for."""

    name = "small"
    title = "A small one"
    package = "none"

    def __init__(self) -> None:
        self.read: list[str] = []

    def build(self, source: Path, programs: Path, root: Path, jobs: int) -> None:
        for path in source.glob("*.sh"):
            shutil.copy(path, root / HOME.lstrip("/") / path.name)

    def units(self, source: Path, root: Path) -> list[Unit]:
        names = sorted(path.stem for path in (root / HOME.lstrip("/")).glob("*.sh"))
        return [Unit(name, ("/bin/busybox", "sh", f"./{name}.sh"), timeout_s=2.0) for name in names]

    def cases(self, unit: Unit, outcome: Outcome) -> dict[str, str]:
        self.read.append(unit.name)
        return {unit.name: PASS if outcome.status == 0 else FAIL}


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Small:
    small = Small()
    monkeypatch.setitem(cli.SUITES, "small", small)
    source = tmp_path / "source"
    source.mkdir()
    for name, script in SCRIPTS.items():
        (source / f"{name}.sh").write_text(script)
    home = tmp_path / "cache/none/1%3a2-3"
    shutil.copytree(source, home / "source")
    (home / "programs").mkdir()
    (home / "complete").touch()
    return small


def run(tmp_path: Path, *words: str) -> int:
    return cli.main(["small", "--cache", str(tmp_path / "cache"), *words])


@pytest.mark.native
def test_a_run_goes_on_where_it_was_stopped(
    suite: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if busybox() is None:
        pytest.skip("needs a static BusyBox on this host")
    assert run(tmp_path, "--only", "right") == 0
    assert suite.read == ["right", "right"]
    assert run(tmp_path, "--only", "right", "--only", "wr*", "--only", "writing", "--jobs", "2") == 0
    assert sorted(suite.read[2:]) == ["writing", "writing", "wrong"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok    right"
    assert lines[1].startswith("small 1:2-3: 1 cases, 1 pass natively (")
    assert set(lines[2:5]) == {"ok    right", "ok    writing", "-     wrong  (fail natively)"}
    assert ", 2 of these here (100 %, " in lines[5]
    assert run(tmp_path, "--only", "right", "--fresh", "--native") == 0
    assert suite.read[5:] == ["right"]


@pytest.mark.native
def test_what_takes_too_long_has_failed(suite: Small, tmp_path: Path) -> None:
    if busybox() is None:
        pytest.skip("needs a static BusyBox on this host")
    assert run(tmp_path, "--native", "--only", "slow", "--junit", str(tmp_path / "j.xml")) == 0
    assert 'message="fail natively"' in (tmp_path / "j.xml").read_text()


@pytest.mark.native
def test_stopping_ends_what_runs_and_lets_nothing_begin(tmp_path: Path) -> None:
    if busybox() is None:
        pytest.skip("needs a static BusyBox on this host")
    make_root(tmp_path / "root", None)
    runner = Runner(tmp_path / "root", "unicorn")
    endless = Unit("endless", ("/bin/busybox", "sleep", "1000"), "/")
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(runner.native, endless), pool.submit(runner.guest, endless, 1000.0)]
        wait_until(lambda: runner.running == 2)
        runner.stop()
        for one in runs:
            with pytest.raises(SuiteError, match="stopped"):
                one.result(20)
    with pytest.raises(SuiteError, match="stopped"):
        runner.native(endless)


def test_a_name_that_nothing_has_is_one_line(
    suite: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if busybox() is None:
        pytest.skip("needs a static BusyBox on this host")
    assert run(tmp_path, "--only", "nothing") == 2
    assert capsys.readouterr().err.endswith("tools/conformance: no unit of small is named nothing\n")


def test_without_a_name_the_suites_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert capsys.readouterr().out.startswith("busybox   BusyBox: its tools")


def test_a_source_that_is_not_there_is_one_line(
    suite: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--source", str(tmp_path / "nowhere")) == 2
    assert capsys.readouterr().err == f"tools/conformance: {tmp_path / 'nowhere'}: no such directory\n"


def test_results_are_kept_and_a_line_cut_off_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "deep/results.jsonl"
    store = Store(file)
    store.put("cp", Result({"cp/1": PASS}, 1.5, "text\n"))
    store.put("mv", Result({"mv/1": FAIL}, 0.5, ""))
    file.write_text(file.read_text()[:-9])
    again = Store(file)
    assert dict(again.results()) == {"cp": Result({"cp/1": PASS}, 1.5, "text\n")}
    assert again.get("mv") is None
    assert dict(Store(file, fresh=True).results()) == {}
    assert dict(Store(file).results()) == {}


def test_any_change_of_the_source_is_another_version(tmp_path: Path) -> None:
    (tmp_path / "linuxemu").mkdir()
    (tmp_path / "linuxemu/a.py").write_text("one")
    first = program_version(tmp_path)
    (tmp_path / "linuxemu/a.pyc").write_text("compiled")
    assert program_version(tmp_path) == first
    (tmp_path / "linuxemu/a.py").write_text("two")
    assert program_version(tmp_path) != first


def test_debians_entries_are_taken_from_the_machine_and_others_left(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# comment\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror/debian stable main contrib\n"
        "deb-src http://mirror/debian stable main\n"
        "deb http://mirror/other stable main\n"
    )
    (tmp_path / "sources.list.d/a.sources").write_text(
        "Types: deb\n# comment\nURIs: http://other/debian-security\nSuites: stable-security\nSigned-By: /k.gpg\n"
        "\n\n"
        "Types: deb\nURIs: http://other/things\nSuites: x\n"
    )
    (tmp_path / "sources.list.d/b.list.disabled").write_text("deb http://mirror/debian old main\n")
    assert debian.own_list(tmp_path) == (
        "Types: deb deb-src\nURIs: http://mirror/debian\nSuites: stable\nComponents: main contrib\n"
        "Signed-By: /k.gpg\n\n"
        "Types: deb deb-src\nURIs: http://other/debian-security\nSuites: stable-security\nSigned-By: /k.gpg\n"
    )
    assert debian.own_list(tmp_path / "sources.list.d") == ""


def test_what_was_fetched_is_taken_again(suite: Small, tmp_path: Path) -> None:
    source = debian.fetch("none", (), tmp_path / "cache")
    assert source.version == "1:2-3"
    assert (source.path / "right.sh").exists()


def test_a_directory_of_the_users_is_copied(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/a").touch()
    for _again in range(2):
        source = debian.local(tmp_path / "mine", tmp_path / "cache")
        assert source.version == "local"
        (source.path / "a").unlink()
    with pytest.raises(SuiteError, match="no such directory"):
        debian.local(tmp_path / "nowhere", tmp_path / "cache")
