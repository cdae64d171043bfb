"""The programs whose traces are compared, and how each is run under strace and under `linuxemu trace`.

A program is a file of `programs/`: a BusyBox script or a C program. Its first line may say with which options it is
traced: `# strace: -v -y`, `/* strace: -s 100 */`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.helpers import ROOT, STRICT_IPC, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DIRECTORY = Path(__file__).resolve().parent / "programs"
DIFFERENCES = DIRECTORY.with_name("differences.toml")
TIMEOUT_S = 60
_OPTIONS = re.compile(r"(?:#|/\*) strace: (.*?)(?: \*/)?")


class Traced(NamedTuple):
    """What tracing a program gave: how the program ended, and the trace."""

    outcome: Outcome
    trace: str


class Program(NamedTuple):
    """A file of `programs/`."""

    path: Path

    @property
    def name(self) -> str:
        """Its name, which says its language too."""
        return self.path.name

    @property
    def options(self) -> list[str]:
        """The options of strace that its first line asks for."""
        first = self.path.read_text().partition("\n")[0]
        match = _OPTIONS.fullmatch(first)
        return match[1].split() if match else []


    def argv(self, busybox: str, compile_program: Callable[[str, str], Path]) -> list[str]:
        """How it is started."""
        if self.path.suffix == ".sh":
            return [busybox, "sh", str(self.path)]
        return [str(compile_program(self.path.stem, "glibc"))]


PROGRAMS = [Program(path) for path in sorted(DIRECTORY.iterdir()) if path.suffix in {".sh", ".c"}]


def environment(path: str) -> dict[str, str]:
    """What every traced program finds in its environment."""
    return {"PATH": path, "HOME": "/", "LC_ALL": "C", "TZ": "UTC"}


def natively(options: Sequence[str], argv: Sequence[str], *, scratch: Path, env: dict[str, str]) -> Traced:
    """Run under strace, which is a grandchild (-D), so that the program leads its session as the guest's first does."""
    log = scratch.with_name("native.txt")
    line = [shutil.which("strace") or "strace", "-D", "-f", *options, "-o", str(log), *argv]
    outcome, trace = _traced(line, log, cwd=scratch, env=env)
    # It complains of memory that it cannot read; the trace shows the address then.
    said = re.sub(rb"^\S*strace: umove.*\n", b"", outcome.stderr, flags=re.MULTILINE)
    return Traced(outcome._replace(stderr=said), trace)


def here(options: Sequence[str], argv: Sequence[str], *, scratch: Path, env: dict[str, str]) -> Traced:
    """Run under `linuxemu trace`; what the program writes stays in the guest's memory."""
    log = scratch.with_name("ours.txt")
    machine = ["--host-root", "--cwd", str(scratch), "--user", f"{os.getuid()}:{os.getgid()}"]
    machine += ["--strict-ipc"] if STRICT_IPC else []
    line = [sys.executable, "-m", "linuxemu", "trace", *machine, "-f", *options, "-o", str(log), "--", *argv]
    return _traced(line, log, cwd=ROOT, env=env)


def _traced(line: Sequence[str], log: Path, *, cwd: Path, env: dict[str, str]) -> Traced:
    done = subprocess.run(
        line, cwd=cwd, env=env, input=b"", capture_output=True, timeout=TIMEOUT_S, start_new_session=True, umask=0o022
    )
    status = done.returncode
    outcome = Outcome(128 - status if status < 0 else status, done.stdout, done.stderr)
    return Traced(outcome, log.read_text(errors="surrogateescape") if log.exists() else "")
