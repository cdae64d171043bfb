"""The audit of real programs: whatever a run of them is seen to call, natively or here, is in the list.

The programs are of Debian and of PyPI: C, Go and Rust, all static, most of them stripped.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from linuxemu.audit.report import examine
from linuxemu.errors import LinuxEmuError
from linuxemu.kernel.traps import HOOK_SYSCALL
from linuxemu.machine import Machine
from linuxemu.messages import AbiHook
from linuxemu.testing.log import RpcLog
from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from pathlib import Path

    from linuxemu.audit.report import Report

pytestmark = [pytest.mark.slow, pytest.mark.native, pytest.mark.timeout(400)]

UNRESOLVED_OF_C = 0.05
NOT_ASKED_FOR = {"restart_syscall"}
"""The kernel puts it in a program's mouth."""


class Subject(NamedTuple):
    """A program: where it is from, and how it is run, each time in a directory with `input.sh`."""

    package: str
    file: str
    runs: list[list[str]]
    c: bool = False
    """Its share of unresolved sites is limited."""


SHELL = [
    "mkdir -p a/b; echo hi > a/x; ln a/x a/y; ln -s x a/z; cp -a a c; mv c e; ls -lR; rm -rf e",
    "find . -type f | xargs cat; sort -u < input.sh; sed -i s/x/y/ input.sh; md5sum input.sh",
    "tar cf t.tar input.sh; gzip t.tar; zcat t.tar.gz | tar tf -; dd if=/dev/zero of=q bs=1k count=3",
    "chmod 600 input.sh; touch -d 2020-01-01 input.sh; stat input.sh; truncate -s 1 input.sh; mkfifo f",
    "sleep 0.1 & wait; trap 'echo t' USR1; kill -USR1 $$; timeout 1 sleep 5; nice true; setsid true",
    "ps; df; free; uptime; id; uname -a; date; hostname; nproc; ulimit -a; umask 022; mktemp; sync; ipcs",
    "awk 'BEGIN { \"date\" | getline x; print x }'; flock q true; readlink -f input.sh; usleep 1; shuf -i 1-3",
    "wget -T 1 http://127.0.0.1:1/; nc -w 1 127.0.0.1 1; ip addr; ifconfig; netstat; fallocate -l 9 r",
]
BASH = [
    "read a < input.sh; x=$(echo sub); trap 'echo t' USR1; kill -USR1 $$; (exit 3); echo $? $RANDOM",
    "[[ -r input.sh && -x / ]] && pwd; umask 022; ulimit -n; for i in *; do echo $i; done; times",
    "exec 3<>input.sh; echo y >&3; exec 3>&-; read -t 0.1 z; mapfile q < input.sh; printf '%(%F)T\\n'",
    "echo > /dev/tcp/127.0.0.1/1; coproc c { read x; }; sleep 1 & kill %1; wait; jobs; type ls",
    "set -m; { exit 1; } & wait; cat <(echo a); cat << X\nhere\nX\n/nonexistent; : > f; test f -nt input.sh",
]
SUBJECTS = {
    "busybox": Subject("busybox-static", "busybox", [["sh", "-c", line] for line in SHELL], c=True),
    "bash": Subject(
        "bash-static",
        "bash-static",
        [*(["-c", line] for line in BASH), ["-i", "-c", "echo x"], ["input.sh"]],
        c=True,
    ),
    "go": Subject("shfmt", "shfmt", [["-d", "input.sh"], ["-w", "input.sh"], ["-l", "."], ["-tojson"], ["-x"]]),
    "rust": Subject(
        "rust-just", "just", [[], ["--list"], ["fail"], ["--fmt", "--unstable"], ["--init"], ["--choose"], ["-x"]]
    ),
}  # fmt: skip

SCRIPT = "if true; then\n    echo x\nfi\n"
JUSTFILE = "x := `echo hi`\ndefault: a\n  echo {{x}} > out\na:\n  echo a\nfail:\n  false\n"


def _run(*words: str, directory: Path, missing: str) -> None:
    """A package tool, or a skipped test where it finds no registry."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"no {words[0]}")
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, timeout=200)
    if done.returncode:
        pytest.skip(f"{missing}: {done.stderr.strip().splitlines()[-1:]}")


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Subject:
    found: Subject = SUBJECTS[request.param]
    return found


@pytest.fixture(scope="module")
def program(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program out of its package."""
    work = tmp_path_factory.mktemp("package")
    if subject.package.startswith("rust-"):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        platforms = [f"--platform=musllinux_1_{minor}_x86_64" for minor in (1, 2)]
        _run(*pip, *platforms, subject.package, directory=work, missing="no wheel to download")
        (wheel,) = work.glob("*.whl")
        shutil.unpack_archive(wheel, work, "zip")
    else:
        _run(
            "apt-get",
            "download",
            f"{subject.package}:amd64",
            directory=work,
            missing="no package to download",
        )
        (package,) = work.glob("*.deb")
        _run("dpkg-deb", "-x", str(package), ".", directory=work, missing="no package")
    (path,) = (path for path in work.rglob(subject.file) if path.is_file() and path.stat().st_size > 100_000)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def report(program: Path) -> Report:
    return examine(program.read_bytes(), lambda _: None)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "input.sh").write_text(SCRIPT)
    (tmp_path / "justfile").write_text(JUSTFILE)
    return tmp_path


@pytest.fixture
def environment(program: Path, work: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Everything that a shell can start is BusyBox under the names of its applets, if it is BusyBox."""
    links = tmp_path_factory.mktemp("bin")
    if program.name == "busybox":
        applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout
        for name in applets.split():
            (links / name).symlink_to(program)
    return {"PATH": str(links), "HOME": str(work), "TERM": "xterm"}


def traced(program: Path, words: list[str], directory: Path, environment: dict[str, str]) -> set[str]:
    """The names of the system calls that strace sees a native run make."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace")
    log = directory.with_name(f"{directory.name}.strace")  # not where the program looks at files
    # What the program starts is no concern of its audit; BusyBox starts itself.
    follow = [] if program.name == "busybox" else ["-b", "execve"]
    line = [strace, "-f", "-qq", *follow, "-o", str(log), str(program), *words]
    subprocess.run(
        line, cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60
    )
    lines = log.read_text(errors="replace").splitlines()
    log.unlink()
    names = (re.match(r"\d+ +(?:<\.\.\. )?([a-z]\w*)(?:\(| resumed)", line) for line in lines[1:])
    return {name[1] for name in names if name}


def emulated(program: Path, words: list[str], directory: Path, environment: dict[str, str]) -> set[str]:
    """The names of the system calls that our Linux server is asked for."""
    log = RpcLog()
    machine = Machine(
        host_root=True, env=environment, cwd=str(directory), timeout_s=30, stdin=b"", observe=log.wrap
    )
    try:
        machine.run([str(program), *words])
    except LinuxEmuError:
        pass  # a program that hangs without what is not supported: what it asked for until then counts
    names = {number: name for name, number in X86_64.items()}
    traps = (entry.request for entry in log if isinstance(entry.request, AbiHook))
    return {names[trap.frame.rax] for trap in traps if trap.type == HOOK_SYSCALL and trap.frame.rax in names}


def missing(seen: set[str], report: Report) -> set[str]:
    return seen - {call.name for call in report.calls} - NOT_ASKED_FOR


def test_what_native_runs_call_is_in_the_list(
    subject: Subject, program: Path, report: Report, work: Path, environment: dict[str, str]
) -> None:
    seen = {name for words in subject.runs for name in traced(program, words, work, environment)}
    assert len(seen) > 20
    assert not missing(seen, report)


def test_what_runs_here_call_is_in_the_list(
    subject: Subject, program: Path, report: Report, work: Path, environment: dict[str, str]
) -> None:
    seen = {name for words in subject.runs[:3] for name in emulated(program, words, work, environment)}
    assert len(seen) > 10
    assert not missing(seen, report)


def test_few_sites_stay_unresolved(subject: Subject, program: Path, report: Report) -> None:
    lost, sites = len(report.unresolved), len(report.sites)
    head = report.as_text(program.name, everything=False).partition("\n")[0]
    assert head.startswith(
        f"{program.name}: {len(report.calls)} system calls at {sites} sites, {lost} unresolved"
    )
    assert not subject.c or lost <= UNRESOLVED_OF_C * sites
