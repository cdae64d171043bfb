"""The tests of GNU Bash: its own scripts, of which each must print exactly what stands in a file beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from tools.suites.suite import FAIL, HOME, PASS, Suite, SuiteError, Unit

if TYPE_CHECKING:
    from pathlib import Path

    from tools.suites.suite import Outcome

_OPTIONS = ("--enable-static-link", "--without-bash-malloc", "--disable-nls")
_HELPERS = ("recho", "zecho", "printenv", "xcase")
_ENVIRONMENT = (
    ("PATH", ".:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("THIS_SH", f"{HOME}/bash"),
    ("BUILD_DIR", HOME),
    ("BASH_TSTOUT", "/tmp/tstout"),
    ("TMPDIR", "/tmp"),
)
_NO_TESTS = {"run-all", "run-minimal", "run-gprof"}
_TIMEOUT_S = 150.0


class Bash(Suite):
    """Bash's tests, run by a static Bash."""

    name = "bash"
    title = "GNU Bash: its own scripts, run by a static Bash"
    package = "bash"

    def build(self, source: Path, programs: Path, root: Path, jobs: int) -> None:
        """Configure and compile a static Bash and what its tests use."""
        if not (source / "tests/run-all").is_file():
            raise SuiteError(f"{source} is no source of GNU Bash")
        home = root / HOME.lstrip("/")
        work = source / "build"
        work.mkdir(exist_ok=True)
        _run(["../configure", *_OPTIONS], work)
        _run(["make", f"-j{jobs}", "bash", *_HELPERS, "LDFLAGS_FOR_BUILD=-static"], work)
        shutil.copytree(source / "tests", home / "tests", symlinks=True)
        shutil.copy(work / "bash", home / "bash")
        for name in _HELPERS:
            shutil.copy(work / name, home / "tests" / name)
            # Some tests leave the directory that their PATH begins with.
            os.symlink(f"{HOME}/tests/{name}", root / "usr/local/bin" / name)
        # Large files, with which some tests fill here-documents.
        for path in (work / "config.h", work / "version.h", source / "y.tab.c"):
            shutil.copy(path, home / path.name)
        os.symlink(f"{HOME}/bash", root / "bin/bash")
        locales = root / "usr/lib/locale"
        if (locales / "C.utf8").is_dir():
            os.symlink("C.utf8", locales / "en_US.utf8")

    def units(self, source: Path, root: Path) -> list[Unit]:
        """A unit for each script that runs one test."""
        tests = root / HOME.lstrip("/") / "tests"
        names = sorted(path.name for path in tests.glob("run-*") if path.name not in _NO_TESTS)
        return [
            Unit(name.removeprefix("run-"), (f"{HOME}/bash", f"./{name}"), f"{HOME}/tests", _ENVIRONMENT, _TIMEOUT_S)
            for name in names
        ]

    def cases(self, unit: Unit, outcome: Outcome) -> dict[str, str]:
        """One case: passed when the script's last command, a comparison, succeeds."""
        return {unit.name: PASS if outcome.status == 0 else FAIL}


def _run(line: list[str], cwd: Path) -> None:
    with open(cwd / f"{os.path.basename(line[0])}.log", "wb") as log:
        status = subprocess.run(line, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode
    if status:
        raise SuiteError(f"{line[0]} failed in {cwd}: see {log.name}")
