"""tools/generate_messages.py: the committed module is what the interface files say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools/generate_messages.py"


def _tool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True)


def test_the_committed_module_is_up_to_date() -> None:
    result = _tool("--check")
    assert result.stderr == ""
    assert result.returncode == 0


@pytest.fixture
def files(tmp_path: Path) -> list[str | Path]:
    (tmp_path / "x.idl").write_text('oneway a(); include "sub/*.idl";')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/y.idl").write_text("oneway b();")
    return ["--interface", tmp_path / "x.idl", "--ids", tmp_path / "ids.toml", "--output", tmp_path / "m.py"]


def test_a_change_makes_the_module_stale_until_it_is_written(tmp_path: Path, files: list[str | Path]) -> None:
    stale = _tool("--check", *files)
    assert stale.returncode == 1
    assert "m.py is stale: run tools/generate_messages.py" in stale.stderr
    assert not (tmp_path / "m.py").exists()
    assert _tool(*files).returncode == 0
    assert _tool("--check", *files).returncode == 0
    assert '"b" = 200' in (tmp_path / "ids.toml").read_text()
    (tmp_path / "sub/y.idl").write_text("oneway c(); oneway b();")
    assert _tool("--check", *files).returncode == 1
    assert _tool(*files).returncode == 0
    assert '"b" = 200\n"c" = 201\n' in (tmp_path / "ids.toml").read_text()


def test_an_error_is_one_line(tmp_path: Path, files: list[str | Path]) -> None:
    (tmp_path / "sub/y.idl").write_text("oneway b()")
    result = _tool(*files)
    assert result.returncode == 1
    assert result.stderr == f"{tmp_path}/sub/y.idl:1:11: unexpected end of the file; expected '->' or ';'\n"
    assert not (tmp_path / "m.py").exists()
