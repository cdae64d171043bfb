"""The testsuite of BusyBox: that of its tools, and that of its shell.

The program is Debian's own static one, of the same version as the source: it is what linuxemu's root file system is
made of, nothing has to be built, and the source package has the configuration it was built with, by which the
testsuite leaves out what is not in it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from tools.suites.suite import FAIL, HOME, PASS, SKIP, Suite, SuiteError, Unit, case_names

if TYPE_CHECKING:
    from pathlib import Path

    from tools.suites.suite import Outcome

_RESULTS = {"PASS": PASS, "FAIL": FAIL, "SKIPPED": SKIP, "UNTESTED": SKIP}
_RESULT = re.compile(r"^(PASS|FAIL|SKIPPED|UNTESTED): (.*)$")
_SHELL_RESULT = re.compile(r"^([\w-]+/[\w.-]+):.*?( ok| fail)$")
_SHELL_TESTS = "shell/ash_test"
_HELPERS = ("printenv", "recho", "zecho")

# What the package's own build sets when it runs the testsuite.
_ENVIRONMENT = (
    ("LANG", "C.UTF-8"),
    ("LC_ALL", "C.UTF-8"),
    ("SKIP_INTERNET_TESTS", "y"),
    ("SKIP_KNOWN_BUGS", "y"),
    ("VERBOSE", "1"),
)
_TIMEOUT_S = 300.0

# Leaves what the failed ones printed in the output.
_SHELL_SCRIPT = './run-all "$1"; for f in *.fail; do [ ! -f "$f" ] || { echo "== $f"; cat "$f"; }; done; exit 0'


class BusyBox(Suite):
    """BusyBox's tests, run by its own shell."""

    name = "busybox"
    title = "BusyBox: its tools, and its shell"
    package = "busybox"
    programs = ("busybox-static",)
    slice = (
        "ash-glob", "ash-heredoc", "ash-psubst", "ash-redir", "cp", "cut", "dd", "du", "find", "ls", "mdev", "mv",
        "readlink", "realpath", "tail", "tar", "touch",
    )  # fmt: skip

    def build(self, source: Path, programs: Path, root: Path, jobs: int) -> None:
        """Copy the tests, the configuration and the program to where runtest looks for them."""
        home = root / HOME.lstrip("/")
        config = next((path for path in _configurations(source) if path.is_file()), None)
        if config is None or not (source / "testsuite/runtest").is_file():
            raise SuiteError(f"{source} is no source of BusyBox with its configuration")
        shutil.copytree(source / "testsuite", home / "testsuite", symlinks=True)
        shutil.copytree(source / _SHELL_TESTS, home / _SHELL_TESTS, symlinks=True)
        shutil.copyfile(config, home / ".config")
        shutil.copyfile(root / "bin/busybox", home / "busybox")
        (home / "busybox").chmod(0o755)
        for name in _HELPERS:
            folder = home / _SHELL_TESTS
            line = ["gcc", "-static", "-s", "-w", "-O1", "-o", str(folder / name), str(folder / f"{name}.c")]
            try:
                subprocess.run(line, check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError) as error:
                raise SuiteError(f"cannot compile {name}.c: {error}") from None

    def units(self, source: Path, root: Path) -> list[Unit]:
        """A unit for each applet that has tests, and one for each directory of the shell's."""
        home = root / HOME.lstrip("/")
        tests = home / "testsuite"
        applets = {path.name for path in tests.iterdir() if path.is_dir() and any(path.iterdir())}
        applets |= {path.stem for path in tests.glob("*.tests")}
        # It reads the whole source for style, and runs nothing of it.
        applets -= {"all_sourcecode"}
        found = [
            Unit(name, ("/bin/busybox", "sh", "./runtest", name), f"{HOME}/testsuite", _ENVIRONMENT, _TIMEOUT_S)
            for name in sorted(applets)
        ]
        for path in sorted((home / _SHELL_TESTS).glob("ash-*")):
            line = ("/bin/busybox", "sh", "-c", _SHELL_SCRIPT, "run", path.name)
            found.append(Unit(path.name, line, f"{HOME}/{_SHELL_TESTS}", _ENVIRONMENT, _TIMEOUT_S))
        return found

    def cases(self, unit: Unit, outcome: Outcome) -> dict[str, str]:
        """The lines that say PASS, FAIL and so on; those of the shell's tests say ok or fail."""
        found = []
        for line in outcome.output.decode("utf-8", "backslashreplace").splitlines():
            if match := _RESULT.match(line):
                found.append((match[2].removeprefix(f"{unit.name}: "), _RESULTS[match[1]]))
            elif (match := _SHELL_RESULT.match(line)) and match[1].startswith(f"{unit.name}/"):
                name = match[1].removeprefix(f"{unit.name}/").removesuffix(".tests")
                found.append((name, PASS if match[2] == " ok" else FAIL))
        return case_names(found, unit.name)


def _configurations(source: Path) -> list[Path]:
    """Where the configuration of the static program may be: Debian's, or that of a source built in place."""
    return [source / "debian/config/pkg/static", source / ".config"]
