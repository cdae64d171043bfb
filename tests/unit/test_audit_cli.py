"""`linuxemu audit` as a command: files, directories, patterns, statuses, what goes to which stream."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from linuxemu.cli import main
from linuxemu.testing.assembler import Assembler
from tests.helpers import cli, cli_words, tool_environment

if TYPE_CHECKING:
    from pathlib import Path


def program(*numbers: int) -> bytes:
    assembler = Assembler()
    for number in numbers:
        assembler.call(number)
    return assembler.elf()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of two programs, one of which has a second name and a link, and of other things."""
    monkeypatch.chdir(tmp_path)
    below = tmp_path / "dir" / "below"
    below.mkdir(parents=True)
    (below / "good").write_bytes(program(39, 60))
    (below.parent / "missing").write_bytes(program(175))
    (below.parent / "zz").hardlink_to(below / "good")
    (below.parent / "link").symlink_to("missing")
    (below.parent / "note").write_text("text")
    (tmp_path / "cut").write_bytes(program(39)[:-4])
    (tmp_path / "arm").write_bytes(program(39)[:18] + b"\xb7\0" + program(39)[20:])
    (tmp_path / "empty").mkdir()
    return tmp_path


STATUSES = [
    (["dir/below/good"], 0, ["dir/below/good"], ""),
    (["dir/missing"], 1, ["dir/missing"], ""),
    (["dir"], 1, ["dir/missing", "dir/zz"], ""),
    (["dir/*", "--all"], 1, ["dir/link", "dir/zz"], ""),
    (["**/good"], 0, ["dir/below/good"], ""),
    (["no/*"], 2, [], "no/*: no file matches"),
    (["none"], 2, [], "none: No such file or directory"),
    (["dir/note"], 2, [], "dir/note: not an ELF file"),
    (["arm"], 2, [], "arm: code for EM_AARCH64 instead of EM_X86_64"),
    (["empty"], 2, [], "empty: no x86-64 program in this directory"),
    (["dir/missing", "cut", "dir/below/good"], 2, ["dir/missing", "dir/below/good"], "cut: cut off"),
    (["/dev/null"], 2, [], "/dev/null: not a regular file"),
    ([], 2, [], "required: PATH"),
    (["--jso", "dir"], 2, [], "unrecognized arguments: --jso"),
    (["--json=1", "dir"], 2, [], "ignored explicit argument"),
]


@pytest.mark.parametrize(("words", "status", "paths", "why"), STATUSES, ids=lambda value: str(value)[:30])
def test_statuses_and_lines(
    words: list[str],
    status: int,
    paths: list[str],
    why: str,
    files: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["audit", *words]) == status
    out, err = capfd.readouterr()
    assert [line.partition(": ")[0] for line in out.splitlines() if ": " in line] == paths
    complaints = [line for line in err.splitlines() if "stripped: " not in line]
    assert len(complaints) == bool(why)
    assert all(line.startswith("linuxemu audit: ") and why in line for line in complaints)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_an_unreadable_file(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (files / "cut").chmod(0)
    assert main(["audit", "cut"]) == 2
    assert "cut: Permission denied" in capfd.readouterr().err


def test_an_unreadable_directory_does_not_lose_the_others(
    files: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if os.path.basename(path) == "below":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert main(["audit", "dir"]) == 2
    out, err = capfd.readouterr()
    assert out.count(" unresolved") == 2
    assert "linuxemu audit: dir/below: Permission denied\n" in err


def test_json_has_an_object_a_line(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--json", "dir/missing", "cut"]) == 2
    good, bad = map(json.loads, capfd.readouterr().out.splitlines())
    assert good["path"] == "dir/missing"
    assert [call["name"] for call in good["calls"]] == ["init_module"]
    assert bad == {"path": "cut", "error": "cut off: a segment ends behind the end of the file"}


def test_a_stripped_program_is_said_to_be_one(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "dir/missing"]) == 1
    assert "dir/missing: stripped: functions without a name are shown by address" in capfd.readouterr().err


def test_a_terminal_that_lacks_letters(files: Path) -> None:
    (files / "dir" / "missing").rename(files / "d\u00e9j\u00e0")
    environment = {**tool_environment(), "PYTHONIOENCODING": "ascii"}
    assert cli("audit", "d\u00e9j\u00e0", cwd=files, env=environment).stdout.startswith(
        b"d\\xe9j\\xe0: 1 system"
    )


def test_progress_is_shown_when_asked_for(files: Path) -> None:
    assert cli("audit", "--progress", "dir", cwd=files).stderr.count(b"zz: ") > 1
    assert b"%|" not in cli("audit", "dir", cwd=files).stderr


def test_a_closed_pipe_ends_quietly(files: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write) as pipe:
        line = cli_words("audit", "--json", "dir/missing")
        done = subprocess.run(line, stdout=pipe, stderr=subprocess.PIPE, env=tool_environment(), cwd=files)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line(files: Path) -> None:
    with open("/dev/full", "wb") as full:
        line = cli_words("audit", "--json", "dir/missing")
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, env=tool_environment(), cwd=files)
    assert (done.returncode, done.stderr) == (2, b"linuxemu audit: cannot write: No space left on device\n")


def test_help(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["audit", "--help"])
    assert end.value.code == 0
    assert "exit status:" in capfd.readouterr().out
