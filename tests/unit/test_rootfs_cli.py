"""`linuxemu rootfs`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from linuxemu.cli.rootfs import main
from tests.unit.loader_files import write_program
from tests.unit.rootfs_files import Reader, fake_busybox


@pytest.fixture
def busybox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LINUXEMU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(os, "defpath", "")
    return str(write_program(tmp_path, fake_busybox(), "bb"))


def test_build_prints_the_path(busybox: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--busybox", busybox]) == 0
    output, errors = capsys.readouterr()
    assert output.startswith(str(tmp_path / "cache" / "root-"))
    assert errors == ""
    Reader(output.strip()).close()


def test_build_elsewhere(busybox: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "root")
    assert main(["build", "--busybox", busybox, "--output", output]) == 0
    assert main(["build", "--busybox", busybox, f"--output={output}"]) == 1
    assert main(["build", "--busybox", busybox, "--output", output, "--force"]) == 0
    printed, errors = capsys.readouterr()
    assert printed == f"{output}\n" * 2
    assert errors == f"linuxemu rootfs: {output} holds a root file system already; --force replaces it\n"


def test_no_busybox(busybox: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build"]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.splitlines()[-1] == (
        "linuxemu rootfs: no static x86-64 busybox: none in PATH; no apt-get to download it with; "
        "install one (apt install busybox-static) or name one: linuxemu rootfs build --busybox PATH"
    )


def test_bad_busybox_is_one_line(busybox: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--busybox", "/etc/passwd"]) == 1
    assert capsys.readouterr().err == (
        "linuxemu rootfs: cannot use /etc/passwd as busybox: it cannot be executed: not an ELF file\n"
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "no command given"),
        (["destroy"], "unknown command 'destroy'"),
        (["build", "--nonsense"], "unknown option --nonsense"),
        (["build", "extra"], "unexpected argument 'extra'"),
        (["build", "--busybox"], "--busybox needs a value"),
        (["build", "--busybox", ""], "a path is empty"),
        (["build", "--force=yes"], "--force takes no value"),
    ],
)
def test_wrong_usage(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(f"linuxemu rootfs: {why}")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["build", "--help"], ["build", "-h"]])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    output, errors = capsys.readouterr()
    assert output.startswith("usage: linuxemu rootfs build")
    assert errors == ""
