"""What a foreign suite is: how to build it, what can be run of it, and how to read what it says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PASS, FAIL, SKIP = "pass", "fail", "skip"
"""What a case can come to; SKIP when the suite itself has nothing to say of it here."""

HOME = "/suite"
"""The directory of a root file system that holds the suite."""


class SuiteError(Exception):
    """A suite cannot be had, built or run; one line that a user can act on."""


class Unreachable(SuiteError):
    """No package source can be reached, so that a suite cannot be fetched."""


class Unit(NamedTuple):
    """What is run at once, in a fresh copy of the suite's root: a program with one case or more.

    Args:
        name: "cp", "fork/3-1" ...; its cases are "NAME/CASE", or just "NAME" where it is one.
        argv: the program, an absolute path, and its arguments.
        cwd: the directory to start in.
        env: variables added to `ENVIRONMENT`.
        timeout_s: the limit of time of a native run.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str = HOME
    env: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 60.0


class Outcome(NamedTuple):
    """How a run of a unit ended.

    Args:
        status: the exit status, 128 + n after signal n, 124 when the time was up.
        output: standard output and standard error, as they came.
        seconds: how long it took.
    """

    status: int
    output: bytes
    seconds: float


ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
}
"""What every unit finds in its environment, here as natively."""


class Suite(ABC):
    """A foreign suite."""

    name: str
    """What a user calls it, and its file in tests/expectations."""

    title: str
    """What it is, in a few words, for the documentation."""

    package: str
    """The Debian source package that it comes in."""

    programs: tuple[str, ...] = ()
    """Debian packages of the same source of which it takes the programs as they are."""

    slice: tuple[str, ...] = ()
    """Globs of units that say much in little time: what CI runs."""

    @abstractmethod
    def build(self, source: Path, programs: Path, root: Path, jobs: int) -> None:
        """Put the suite into a root file system.

        Args:
            source: the unpacked source package; what is built may be written into it.
            programs: what the packages of `programs` hold, unpacked.
            root: a root file system with BusyBox in it; the suite goes into `HOME`.
            jobs: how many compilers may run at once.

        Raises:
            SuiteError: it cannot be built.
        """

    @abstractmethod
    def units(self, source: Path, root: Path) -> list[Unit]:
        """What can be run of the suite that `build` has put into `root`, in order."""

    def make(self, source: Path, root: Path, unit: Unit) -> bool:
        """Build what one unit needs, before it runs for the first time; whether it can run then."""
        return True

    @abstractmethod
    def cases(self, unit: Unit, outcome: Outcome) -> dict[str, str]:
        """What became of the cases of a unit: PASS, FAIL or SKIP by the name of the case.

        Cases that a unit did not come to are not there. A unit that says nothing of any has failed as a whole.
        """


def case_names(found_in_order: Sequence[tuple[str, str]], prefix: str) -> dict[str, str]:
    """Cases by their full names; the second of two with one name gets " #2".

    Args:
        found_in_order: names and results.
        prefix: the unit's name.
    """
    found: dict[str, str] = {}
    for name, result in found_in_order:
        full = base = f"{prefix}/{name}"
        number = 1
        while full in found:
            number += 1
            full = f"{base} #{number}"
        found[full] = result
    return found
