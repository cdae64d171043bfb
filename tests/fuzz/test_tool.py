"""`tools/fuzz` itself: what it finds, how it saves, shrinks and replays that."""

from __future__ import annotations

import gc
import json
import os
import re
import resource
import time
from typing import TYPE_CHECKING, Any

import pytest

from syscalls.abi.numbers import X86_64
from syscalls.registry import TABLE
from tools.fuzzing import cli, declared, store
from tools.fuzzing.linux import SOURCE
from tools.fuzzing.mutate import encoded, mutated, shorter
from tools.fuzzing.sandbox import Sandbox
from tools.fuzzing.target import Case, Failure, Target
from tools.fuzzing.watch import Growth, Hang, Peak, limit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random


class Planted(Target):
    """Numbers, some of which do what must not happen."""

    name = "planted"
    limit_s = 0.3
    kept: list[Any] = []

    def cases(self, random: Random, count: int) -> Iterator[Case]:
        for number in range(count):
            yield {"number": number, "noise": [random.random() for _ in range(8)]}

    def run(self, case: Case) -> int:
        number = case["number"]
        if number == 7:
            raise KeyError("planted")
        if number == 8:
            while True:
                time.sleep(0.01)
        if number == 9:
            self.kept.append(os.open("/dev/null", os.O_RDONLY))
        if number == 10:
            self.kept.append(bytearray(os.urandom(1 << 20)) * 40)
        return 1

    def smaller(self, case: Case) -> Iterator[Case]:
        if case["noise"]:
            yield {**case, "noise": case["noise"][1:]}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Planted]]:
    monkeypatch.setitem(cli.TARGETS, "planted", Planted)
    monkeypatch.setattr(Planted, "kept", [])
    gc.collect()  # what earlier tests left would make up for what is planted
    yield Planted
    for thing in Planted.kept:
        if isinstance(thing, int):
            os.close(thing)
    Planted.kept.clear()
    gc.collect()


def saved(folder: Path) -> dict[str, Any]:
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return {one["failure"]["kind"]: one["case"] for one in found}


def test_planted_defects_are_found_saved_and_made_smaller(
    planted: type[Planted], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.Run(planted(), tmp_path, most_mib=20.0).run(1, 12, None) == 1
    found = saved(tmp_path)
    assert {kind: case["number"] for kind, case in found.items()} == {
        "exception": 7,
        "hang": 8,
        "descriptors": 9,
        "memory": 10,
    }
    assert found["exception"]["noise"] == []
    assert "planted: 10 inputs" in capsys.readouterr().out


def test_nothing_is_found_where_nothing_is(
    planted: type[Planted], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--target", "planted", "--count", "5", "--output", str(tmp_path / "out")]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert cli.main(words) == 0
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == limits
    assert not (tmp_path / "out").exists()
    assert "planted: 5 inputs" in capsys.readouterr().out


def test_replay(planted: type[Planted], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.Run(planted(), tmp_path).run(1, 8, None)
    (path,) = tmp_path.glob("*.json")
    assert cli.main(["--replay", str(path)]) == 1
    assert "planted: the same failure" in capsys.readouterr().out
    content = json.loads(path.read_text())
    content["case"]["number"] = 1
    path.write_text(json.dumps(content))
    assert cli.main(["--replay", str(path)]) == 0
    assert "planted: no failure" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"target": "planted", "case": 3, "failure": {}}'])
def test_what_cannot_be_replayed(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.json"
    assert cli.main(["--replay", str(path)]) == 2
    path.write_text(text)
    assert cli.main(["--replay", str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"tools/fuzz: {path}: No such file or directory",
        f"tools/fuzz: {path}: not a file of tools/fuzz",
    ]
    store.save(tmp_path, "nothing", {}, Failure("exception", ""))
    (path,) = tmp_path.glob("nothing*")
    assert cli.main(["--replay", str(path)]) == 2
    assert "there is no target 'nothing'" in capsys.readouterr().err


def test_the_time_is_up(planted: type[Planted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = cli.Run(planted(), tmp_path)
    assert run.run(1, 1 << 62, 0.0) == 0
    assert run.done == 1


def test_a_hang_that_is_swallowed_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.fuzzing.watch._EVERY_S", 0.05)
    times = 0
    with limit(0.05):
        while times < 3:
            try:
                time.sleep(10)
            except Hang:
                times += 1
    time.sleep(0.1)  # it is over: nothing rings any more


def test_memory_is_told_once_for_each_growth() -> None:
    growth = Growth(20.0)
    for _ in range(4):
        assert list(growth.after_case()) == []
    kept = bytearray(os.urandom(1 << 20)) * 60
    assert [failure.kind for failure in growth.after_case()] == ["memory"]
    assert list(growth.after_case()) == []
    del kept


def test_memory_at_once() -> None:
    peak = Peak(40.0)
    peak.before_case()
    bytearray(os.urandom(1 << 20)) * 10
    assert list(peak.after_case()) == []
    bytearray(os.urandom(1 << 20)) * 100
    assert [failure.kind for failure in peak.after_case()] == ["peak"]
    assert 80 < peak.highest_mib < 200
    peak.before_case()
    assert list(peak.after_case()) == []


def test_changes_outside_of_the_sandbox(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"x")
    box = Sandbox(program)
    try:
        (box.writable / "file").write_text("changed")
        (box.writable / "new").mkdir()
        assert list(box.changes()) == []
        box.renew()
        assert not (box.writable / "new").exists()
        (box.read_only / "file").write_text("changed")
        (box.root / "tmp/new").touch()
        (box.root / "etc/passwd").chmod(0o600)
        (box.writable / "out").resolve().unlink()
        found = {failure.place for failure in box.changes()}
        assert found >= {"read-only/file", "root/tmp/new", "root/etc/passwd", "outside/kept"}
        assert list(box.changes()) == []
    finally:
        box.close()
    assert not box.root.exists()


def test_the_guest_knows_every_call_and_every_kind_of_argument() -> None:
    text = declared.header()
    rows = re.findall(r'^    \{(\d+), [01], "(\w{6})"', text, re.MULTILINE)
    numbers = [int(number) for number, _ in rows]
    handled = [number for number in X86_64.values() if number in TABLE]
    assert numbers[: len(handled)] == sorted(handled)
    assert f"#define HANDLED {len(handled)}\n" in text
    assert sorted(numbers) == sorted(set(numbers))
    assert set(X86_64.values()) - set(numbers) == {n for n in X86_64.values() if n > declared.LAST_NUMBER}
    known = set(re.findall(r"case '(\w)'", SOURCE.read_text())) | {"i"}
    assert set("".join(kinds for _, kinds in rows)) <= known


def test_damage_follows_from_the_seed() -> None:
    from random import Random

    data = bytes(range(256)) * 4
    first = [mutated(Random(seed), data, [data], 64) for seed in range(200)]
    assert first == [mutated(Random(seed), data, [data], 64) for seed in range(200)]
    assert len(set(first)) > 150
    assert mutated(Random(1), b"", [b""]) == b""


def test_less_and_less_of_bytes() -> None:
    sizes = [len(case["data"]) for case in shorter({"data": encoded(b"x" * 128), "other": 1})]
    assert sizes[0] == 88
    assert list(shorter({"data": ""})) == []


def test_the_first_of_several_like_failures_is_enough(planted: type[Planted], tmp_path: Path) -> None:
    run = cli.Run(planted(), tmp_path)
    failures = run.attempt({"number": 7}) + run.attempt({"number": 7})
    assert [failure.kind for failure in failures] == ["exception", "exception"]
    assert failures[0].is_like(failures[1])
    assert not failures[0].is_like(Failure("exception", "", "elsewhere"))
