"""The Open POSIX Test Suite: small C programs, each for a sentence of the standard.

They are about signals, threads, timers, clocks, memory maps, scheduling, semaphores, message queues and asynchronous
I/O. Here each is a static program; those that only have to compile are left out, and so are the shell scripts, which
say that another program tests their sentence too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from tools.suites.suite import FAIL, HOME, PASS, SKIP, Suite, SuiteError, Unit

if TYPE_CHECKING:
    from pathlib import Path

    from tools.suites.suite import Outcome

_FOLDERS = ("conformance/interfaces", "conformance/behavior")
_FLAGS = ("-static", "-s", "-w", "-O1", "-D_GNU_SOURCE")
_LIBRARIES = ("-lpthread", "-lrt", "-lm")
_MAIN = re.compile(rb"\bmain\s*\(")

# The suite's own exit codes: passed, failed, unresolved, unsupported, untested.
_RESULTS = {0: PASS, 4: SKIP, 5: SKIP}
_TIMEOUT_S = 20.0


class Posix(Suite):
    """The Open POSIX Test Suite."""

    name = "posix"
    title = "Open POSIX Test Suite: signals, threads, timers, memory maps, scheduling"
    package = "posixtestsuite"
    slice = (
        "fork/[1-4]-1", "killpg/*", "mmap/[1-3]-1", "munmap/1-1", "pthread_create/2-1", "pthread_join/[1-2]-1",
        "sem_post/[1-4]-1", "shm_open/1-1", "sigaction/1-[1-4]", "sigaltstack/[1-3]-1", "sigsuspend/1-1",
        "timer_settime/[1-2]-1",
    )  # fmt: skip

    def build(self, source: Path, programs: Path, root: Path, jobs: int) -> None:
        """Only look whether each test can be compiled later, when it is to run."""
        if not (source / "include/posixtest.h").is_file():
            raise SuiteError(f"{source} is no source of the Open POSIX Test Suite")
        if not shutil.which("gcc"):
            raise SuiteError("the Open POSIX Test Suite needs gcc")

    def units(self, source: Path, root: Path) -> list[Unit]:
        """A unit for each program."""
        files = [path for folder in _FOLDERS for path in (source / folder).glob("*/[0-9]*.c")]
        files.sort(key=lambda path: (path.parent.name, _numbers(path.stem)))
        names = [f"{path.parent.name}/{path.stem}" for path in files if _MAIN.search(path.read_bytes())]
        return [Unit(name, (f"{HOME}/{name}",), "/tmp", (), _TIMEOUT_S) for name in names]

    def make(self, source: Path, root: Path, unit: Unit) -> bool:
        """Compile it; some cannot be, on a system that has other types than they expect."""
        target = root / unit.argv[0].lstrip("/")
        if target.exists():
            return True
        path = next(path for folder in _FOLDERS if (path := source / folder / f"{unit.name}.c").exists())
        target.parent.mkdir(exist_ok=True)
        flags = [*_FLAGS, f"-I{source / 'include'}", f"-I{path.parent}"]
        new = target.with_name(f".{target.name}")
        line = ["gcc", *flags, "-o", str(new), str(path), *_LIBRARIES]
        if subprocess.run(line, capture_output=True, check=False).returncode:
            return False
        new.replace(target)
        return True

    def cases(self, unit: Unit, outcome: Outcome) -> dict[str, str]:
        """One case, by the exit status."""
        return {unit.name: _RESULTS.get(outcome.status, FAIL)}


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]
