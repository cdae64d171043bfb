"""A bounded part of what tools/fuzz does, and everything that it has found before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools.fuzzing import store
from tools.fuzzing.cli import TARGETS, Run

FOUND = sorted(Path(__file__).with_name("found").glob("*.json"))
COUNTS = {"syscalls": 32_000, "trace": 4800, "elf": 400, "tar": 2000, "idl": 1000, "messages": 6000, "native": 6000}
NEED_COMPILER = ("syscalls", "trace", "elf")


def need_compiler(name: str) -> None:
    if name in NEED_COMPILER and shutil.which("gcc") is None:
        pytest.skip("no gcc to compile the guest with (Debian: apt-get install gcc)")


@pytest.mark.parametrize("name", COUNTS)
def test_slice(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need_compiler(name)
    run = Run(TARGETS[name](), tmp_path)
    status = run.run(7, COUNTS[name], None)
    assert status == 0, capsys.readouterr().out
    assert run.done >= COUNTS[name] * 0.9


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_found_before(path: Path) -> None:
    name, case, _ = store.load(path)
    need_compiler(name)
    target = TARGETS[name]()
    target.open()
    try:
        assert Run(target, path.parent).attempt(case) == []
    finally:
        target.close()
