"""The command line: what is accepted, what is refused with one line and status 2."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from linuxemu.cli import main
from linuxemu.cli.machine import BindOption
from linuxemu.cli.options import Option, UsageError, describe, split
from linuxemu.cli.run import parse
from tests.helpers import ROOT, tool_environment

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = (
    Option("--one", "VALUE", "help"),
    Option("--flag", "", "help"),
    Option("--many", "X", "a\nb", many=True),
)


@pytest.mark.parametrize(
    ("words", "values", "rest"),
    [
        ([], {}, []),
        (["prog", "--one", "x"], {}, ["prog", "--one", "x"]),
        (["--one", "x", "prog"], {"--one": ["x"]}, ["prog"]),
        (["--one=x=y", "prog"], {"--one": ["x=y"]}, ["prog"]),
        (["--one=", "prog"], {"--one": [""]}, ["prog"]),
        (["--one", "a", "--one", "b"], {"--one": ["b"]}, []),
        (["--many", "a", "--many=b"], {"--many": ["a", "b"]}, []),
        (["--flag", "--", "--flag"], {"--flag": [""]}, ["--flag"]),
        (["--flag", "--", "--", "x"], {"--flag": [""]}, ["--", "x"]),
        (["-", "x"], {}, ["-", "x"]),
        (["", "x"], {}, ["", "x"]),
        (["--one", "--", "x"], {"--one": ["--"]}, ["x"]),
    ],
)
def test_options_end_at_the_program(words: list[str], values: dict[str, list[str]], rest: list[str]) -> None:
    assert split(words, OPTIONS) == (values, rest)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--fla"], "unknown option --fla"),
        (["-x"], "unknown option -x"),
        (["--other=3"], "unknown option --other"),
        (["--flag=3"], "takes no value"),
        (["--one"], "needs a value: VALUE"),
    ],
)
def test_wrong_options(words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        split(words, OPTIONS)


def test_description_is_aligned() -> None:
    assert describe(OPTIONS) == "  --one VALUE  help\n  --flag       help\n  --many X     a\n               b"
    assert describe(OPTIONS[:1], 20) == "  --one VALUE       help"


def test_everything_of_run(tmp_path: Path) -> None:
    line = (
        f"--root {tmp_path} --rw --bind {tmp_path}:/a --bind {tmp_path}:/b:rw --env A=1 --env B=x=y --cwd /c"
    )
    line += " --user 5:6 --engine unicorn --memory 2048 --timeout 1.5 --strict-ipc prog --rw"
    options = parse(line.split())
    assert options is not None
    assert options.root == str(tmp_path)
    assert options.rw
    assert options.binds == [BindOption(str(tmp_path), "/a", False), BindOption(str(tmp_path), "/b", True)]
    assert options.env == {"A": "1", "B": "x=y"}
    assert (options.cwd, options.user, options.engine, options.timeout_s) == ("/c", (5, 6), "unicorn", 1.5)
    assert options.memory_mib == 2048
    assert options.strict_ipc
    assert options.argv == ["prog", "--rw"]


def test_defaults_of_run() -> None:
    options = parse(["prog"])
    assert options == (None, False, False, [], {}, None, None, "unicorn", None, None, False, [], False, ["prog"])


def test_quiet() -> None:
    options = parse(["--quiet", "prog", "--quiet"])
    assert options is not None
    assert options.quiet
    assert options.argv == ["prog", "--quiet"]


def test_gid_is_uid_unless_given() -> None:
    options = parse(["--user", "7", "prog"])
    assert options is not None
    assert options.user == (7, 7)


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["--help", "prog"], ["--rw", "--help"]])
def test_help_asked_for(words: list[str]) -> None:
    assert parse(words) is None


REFUSED = [
    ([], "no program given"),
    (["--"], "no program given"),
    ([""], "name is empty"),
    (["--host-root", "--root", "/", "x"], "exclude each other"),
    (["--host-root", "--rw", "x"], "--rw does not go with --host-root"),
    (["--rw", "x"], "--rw needs --root DIR"),
    (["--root", "/nonexistent/root", "x"], "--root: /nonexistent/root: No such file or directory"),
    (["--root", "a\0b", "x"], "embedded null byte"),
    (["--bind", "/nonexistent:/x", "x"], "--bind: /nonexistent: No such file or directory"),
    (["--bind", "/tmp", "x"], "is not HOST:GUEST"),
    (["--bind", ":/x", "x"], "is not HOST:GUEST"),
    (["--bind", "/tmp:", "x"], "is not HOST:GUEST"),
    (["--bind", "/tmp:rw", "x"], "is not HOST:GUEST"),
    (["--bind", "/tmp:x", "x"], "does not begin with /"),
    (["--bind", "/tmp:/x:wr", "x"], "neither ro nor rw"),
    (["--env", "A", "x"], "is not NAME=VALUE"),
    (["--env", "=1", "x"], "is not NAME=VALUE"),
    (["--cwd", "rel", "x"], "not an absolute path"),
    (["--user", "root", "x"], "is not UID"),
    (["--user", "1:", "x"], "is not UID"),
    (["--user", "-1", "x"], "is not UID"),
    (["--user", "4294967295", "x"], "is not UID"),
    (["--user", "1:2:3", "x"], "is not UID"),
    (["--engine", "magic", "x"], "no engine 'magic'"),
    (["--memory", "much", "x"], "not a number of MiB"),
    (["--memory", "-1", "x"], "not a number of MiB"),
    (["--memory", "1" * 5000, "x"], "not a number of MiB"),
    (["--timeout", "0", "x"], "not a number of seconds"),
    (["--timeout", "-1", "x"], "not a number of seconds"),
    (["--timeout", "nan", "x"], "not a number of seconds"),
    (["--timeout", "inf", "x"], "not a number of seconds"),
    (["--timeout", "soon", "x"], "not a number of seconds"),
]


@pytest.mark.parametrize(("words", "why"), REFUSED, ids=lambda value: str(value)[:40])
def test_wrong_command_lines_of_run(words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse(words)


def test_rw_needs_a_directory(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(UsageError, match="not a directory"):
        parse(["--root", str(tmp_path / "a.tar"), "--rw", "x"])


def test_refusal_is_one_line_and_status_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--env", "no\nnewline", "x"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("linuxemu run: --env: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "status", "where", "text"),
    [
        (["--help"], 0, "out", "commands:"),
        (["help"], 0, "out", "commands:"),
        (["run", "--help"], 0, "out", "--bind HOST:GUEST[:ro|rw]"),
        (["--version"], 0, "out", "linuxemu "),
        ([], 2, "err", "no command given"),
        (["--rw", "run"], 2, "err", "a command's options come after its name"),
        (["sh"], 2, "err", "unknown command 'sh'"),
    ],
)
def test_general(
    words: list[str], status: int, where: str, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == status
    captured = capfd.readouterr()
    assert text in getattr(captured, where)
    assert getattr(captured, "err" if where == "out" else "out") == ""


def test_closed_pipe_after_help_is_quiet() -> None:
    line = f"{sys.executable} -m linuxemu run --help | true; {sys.executable} -m linuxemu --help >&-"
    done = subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, env=tool_environment())
    assert done.stderr == b""


@pytest.mark.parametrize(
    "module",
    ["argparse", "linuxemu.bench", "linuxemu.cli.bench", "linuxemu.cli.rootfs", "lark", "subprocess"],
)
def test_run_imports_little(module: str) -> None:
    program = "import sys; from linuxemu.cli import main; main(['run', '--help']); print(sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"'{module}'" not in done.stdout
