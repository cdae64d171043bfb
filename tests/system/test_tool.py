"""The command-line tool as people and scripts use it: statuses, options, roots, streams."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.helpers import busybox as find_busybox
from tests.helpers import cli, cli_words, tool_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["busybox", "true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -TERM $$"], 143),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["sh", "-c", "exit 300"], 44),
        (["/bin/busybox", "false"], 1),
    ],
)
def test_exit_status_is_the_guests(words: list[str], status: int) -> None:
    assert cli("run", *words) == (status, b"", b"")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["no-such-program"], 127),
        (["/no/such/program"], 127),
        (["./here"], 127),
        (["/etc/passwd"], 126),
        (["/etc"], 126),
        (["--cwd", "/no/such/dir", "true"], 2),
        (["--bind", "/tmp:/etc/passwd/x", "true"], 2),
    ],
)
def test_what_cannot_start_is_one_line(words: list[str], status: int) -> None:
    outcome = cli("run", *words)
    assert (outcome.status, outcome.stdout) == (status, b"")
    assert outcome.stderr.startswith(b"linuxemu run: ")
    assert outcome.stderr.count(b"\n") == 1


def test_words_of_the_program_are_its_own() -> None:
    outcome = cli("run", "--", "echo", "--rw", "-x", "--", "a  b", "")
    assert outcome.stdout == b"--rw -x -- a  b \n"


def test_streams_are_the_callers() -> None:
    data = bytes(range(256)) * 2000
    outcome = cli("run", "sh", "-c", "echo error >&2; cat", stdin=data)
    assert outcome == (0, data, b"error\n")


def test_files_as_streams(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"one\ntwo\nthree\n")
    (tmp_path / "out").write_bytes(b"before\n")
    script = "read first; echo got $first; cat >&2; echo end"
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("ab") as target:
        line = cli_words("run", "sh", "-c", script)
        done = subprocess.run(
            line, stdin=source, stdout=target, stderr=subprocess.PIPE, env=tool_environment()
        )
    assert done.returncode == 0
    assert (tmp_path / "out").read_bytes() == b"before\ngot one\nend\n"
    assert done.stderr == b"two\nthree\n"


def test_clean_environment() -> None:
    outcome = cli(
        "run", "--env", "A=1", "--env", "B=x y", "env", env={**tool_environment(), "SECRET": "s", "TERM": "x"}
    )
    names = dict(line.split("=", 1) for line in outcome.stdout.decode().splitlines())
    assert (names["A"], names["B"], names["TERM"], names["HOME"]) == ("1", "x y", "x", "/root")
    assert "SECRET" not in names
    assert set(names) <= {"A", "B", "TERM", "HOME", "PATH", "USER", "LOGNAME", "SHELL", "PWD"}


def test_cwd_and_user() -> None:
    script = "pwd; id -u; id -g; touch /tmp/mine; stat -c '%u %g' /tmp/mine; touch /etc/x"
    outcome = cli("run", "--cwd", "/tmp", "--user", "1000:1001", "sh", "-c", script)
    assert outcome.stdout == b"/tmp\n1000\n1001\n1000 1001\n"
    assert outcome.stderr == b"touch: /etc/x: Permission denied\n"


def test_binds(tmp_path: Path) -> None:
    for name in ("ro", "rw"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    (tmp_path / "single").write_text("single\n")
    script = (
        "cat /r/f /w/f /etc/motd; echo changed > /w/f; echo new > /w/new; echo no > /r/f; rm /r/f; mkdir /r/d"
    )
    outcome = cli(
        "run", "--bind", f"{tmp_path}/ro:/r:ro", "--bind", f"{tmp_path}/rw:/w:rw",
        "--bind", f"{tmp_path}/single:/etc/motd", "sh", "-c", script,
    )  # fmt: skip
    assert outcome.stdout == b"rorwsingle\n"
    assert outcome.stderr.count(b"Read-only file system") == 3
    assert (tmp_path / "ro" / "f").read_text() == "ro"
    assert (tmp_path / "rw" / "f").read_text() == "changed\n"
    assert (tmp_path / "rw" / "new").read_text() == "new\n"
    assert sorted(os.listdir(tmp_path / "ro")) == ["f"]


def test_a_bind_shows_no_more_than_it_names(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "shown" / "up").symlink_to("../secret")
    outcome = cli(
        "run",
        "--bind",
        f"{tmp_path}/shown:/s:rw",
        "sh",
        "-c",
        "cat /s/link /s/up /s/../secret /s/../../secret",
    )
    assert outcome.status != 0
    assert b"secret" not in outcome.stdout


def make_tree(directory: Path) -> None:
    """A root with nothing but a shell and a file."""
    found = find_busybox()
    if found is None:
        pytest.skip("no static busybox on this host (Debian: apt-get install busybox-static)")
    (directory / "bin").mkdir(parents=True)
    with open(found, "rb") as source:
        (directory / "bin" / "sh").write_bytes(source.read())
    (directory / "bin" / "sh").chmod(0o755)
    (directory / "file").write_text("from the root\n")


def test_directory_as_root(tmp_path: Path) -> None:
    make_tree(tmp_path / "r")
    script = (
        "read line < /file; echo $line; echo changed > /file; echo new > /new; read line < /file; echo $line"
    )
    outcome = cli("run", "--root", str(tmp_path / "r"), "/bin/sh", "-c", script)
    assert outcome == (0, b"from the root\nchanged\n", b"")
    assert (tmp_path / "r" / "file").read_text() == "from the root\n"
    assert not (tmp_path / "r" / "new").exists()


def test_writable_directory_as_root(tmp_path: Path) -> None:
    make_tree(tmp_path / "r")
    outcome = cli(
        "run", "--root", str(tmp_path / "r"), "--rw", "/bin/sh", "-c", "echo changed > /file; echo new > /new"
    )
    assert outcome == (0, b"", b"")
    assert (tmp_path / "r" / "file").read_text() == "changed\n"
    assert (tmp_path / "r" / "new").read_text() == "new\n"


@pytest.mark.parametrize("kind", ["", "gz", "xz", "zst"])
def test_archive_as_root(kind: str, tmp_path: Path) -> None:
    make_tree(tmp_path / "r")
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        archive.add(tmp_path / "r", arcname=".")
    path = tmp_path / ("root.tar" + (f".{kind}" if kind else ""))
    path.write_bytes(packer(kind)(plain.getvalue()))
    script = "read line < /file; echo $line; echo x > /file; read line < /file; echo $line"
    outcome = cli("run", "--root", str(path), "sh", "-c", script)
    assert outcome == (0, b"from the root\nx\n", b"")


def packer(kind: str) -> Callable[[bytes], bytes]:
    if kind == "gz":
        import gzip

        return gzip.compress
    if kind == "xz":
        import lzma

        return lzma.compress
    if kind == "zst":
        import zstandard

        return zstandard.ZstdCompressor().compress
    return bytes


def test_not_an_archive(tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(b"this is not a tar archive" * 100)
    outcome = cli("run", "--root", str(tmp_path / "bad.tar"), "sh")
    assert outcome.status == 2
    assert outcome.stderr.count(b"\n") == 1


@pytest.mark.native
def test_host_root(tmp_path: Path, busybox: str) -> None:
    (tmp_path / "f").write_text("on the host\n")
    script = 'pwd; cat f; echo "$MARK"; echo changed > f; cat f; busybox true && echo found'
    outcome = cli(
        "run", "--host-root", "--", busybox, "sh", "-c", script,
        cwd=tmp_path, env={**tool_environment(), "MARK": "mark"},
    )  # fmt: skip
    assert outcome.stdout.decode() == f"{tmp_path}\non the host\nmark\nchanged\nfound\n"
    assert (tmp_path / "f").read_text() == "on the host\n"


@pytest.mark.native
def test_dynamic_and_foreign_programs_are_refused(tmp_path: Path) -> None:
    truncated = tmp_path / "truncated"
    with open(find_busybox() or "/bin/true", "rb") as source:
        truncated.write_bytes(source.read(200))
    text = tmp_path / "text"
    text.write_text("no program\n")
    for path in (truncated, text):
        path.chmod(0o755)
        outcome = cli("run", "--host-root", "--", str(path))
        assert (outcome.status, outcome.stdout) == (126, b"")
        assert outcome.stderr.count(b"\n") == 1


def test_nothing_is_left_of_a_run() -> None:
    assert cli("run", "sh", "-c", "echo x > /etc/left; echo y > /tmp/left").status == 0
    assert cli("run", "sh", "-c", "ls /etc/left /tmp/left 2>/dev/null").stdout == b""


def test_standard_input_read_by_two_ways_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"one\ntwo\nthree\n")
    # cat uses sendfile(2), which a pipe and a terminal take alike.
    with (tmp_path / "in").open("rb") as source:
        line = cli_words("run", "sh", "-c", "read first; cat; cat")
        done = subprocess.run(line, stdin=source, stdout=subprocess.PIPE, env=tool_environment())
    assert (done.returncode, done.stdout) == (0, b"two\nthree\n")


def test_unknown_calls_are_refused_and_recorded(tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc to compile with")
    (tmp_path / "ask.c").write_text(
        "#include <errno.h>\n#include <stdio.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"
        'int main(void) { long r = syscall(SYS_inotify_init1, 0); printf("%ld %d\\n", r, errno == ENOSYS);\n'
        'r = syscall(999); printf("%ld %d\\n", r, errno == ENOSYS); return 0; }\n'
    )
    subprocess.run([compiler, "-static", "-o", str(tmp_path / "ask"), str(tmp_path / "ask.c")], check=True)
    outcome = cli("run", "--bind", f"{tmp_path}:/b:ro", "/b/ask")
    assert (outcome.status, outcome.stdout) == (0, b"-1 1\n-1 1\n")
    assert b"inotify_init1 (ask)" in outcome.stderr
    assert b"syscall_0x3e7 (ask)" in outcome.stderr


def test_unsupported_requests_are_noted_in_one_line_unless_quiet() -> None:
    words = ["run", "sh", "-c", "ip link 2>/dev/null; ip link 2>/dev/null; exit 0"]
    loud = cli(*words)
    assert loud.stderr.count(b"\n") == 1
    assert loud.stderr.startswith(b"linuxemu run: not supported: ")
    assert b"socket (ip, 2 times)" in loud.stderr
    assert loud.stderr.endswith(b" (linuxemu trace --unsupported tells more)\n")
    assert cli("run", "--quiet", *words[1:]) == (0, b"", b"")
