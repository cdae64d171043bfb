"""C programs, static against glibc and musl: what they print natively they print in linuxemu."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.helpers import PATH, Outcome, guest, native

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import GuestCompiler

pytestmark = pytest.mark.native

# Each with its command-line arguments.
PROGRAMS = {
    "hello": ["one", "two words"],
    "startup": ["", "b c"],
    "wait": [],
    "pipes": [],
    "signals": [],
    "sigfpu": [],
    "memory": [],
    "faults": [],
    "files": [],
    "dirs": [],
    "fdops": [],
    "polling": [],
    "timers": [],
    "limits": [],
    "sessions": [],
    "execs": [],
    "stack": [],
    "efault": [],
    "compute": [],
    "crowd": [],
    "forks": ["300"],
    "system": [],
    "preempt": [],
    "io": [],
    "thread_ends": [],
    "threads": [],
    "rseq": [],
    "memfd": [],
    "mqueue": [],
    "sysvmsg": [],
    "sysvsem": [],
    "sysvshm": [],
}
# The C library makes no difference to these beyond what the others show.
ONE_FLAVOUR = {
    "memfd", "preempt", "efault", "forks", "crowd", "compute", "stack", "timers", "limits", "sysvmsg", "sysvsem",
    "sysvshm",
}  # fmt: skip
FLAVOURS = ("glibc", "glibc-pie", "musl")

CASES = [
    (name, flavour)
    for name in PROGRAMS
    for flavour in FLAVOURS
    if flavour == "glibc" or name not in ONE_FLAVOUR
]
CASES.append(("rseq", "dynamic"))

ENVIRONMENT = {"PATH": PATH, "T_ONE": "1", "T_EMPTY": "", "LANG": "C"}


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    directory = tmp_path / "work"
    directory.mkdir()
    return directory


def run_native(program: Path, arguments: list[str], directory: Path) -> Outcome:
    # With the host's root a guest gets the caller's environment too.
    return native([str(program), *arguments], cwd=directory, env={**os.environ, **ENVIRONMENT})


@pytest.mark.parametrize(("name", "flavour"), CASES)
def test_same_as_native(name: str, flavour: str, fresh: Path, compile_guest: GuestCompiler) -> None:
    program = compile_guest(name, flavour)
    arguments = PROGRAMS[name]
    # The guest's writes stay in memory, so it goes first and both find an empty directory.
    emulated = guest(
        [str(program), *arguments],
        host_root=True,
        cwd=str(fresh),
        env=ENVIRONMENT,
        user=(os.getuid(), os.getgid()),
    )
    assert list(fresh.iterdir()) == []
    assert emulated.text() == run_native(program, arguments, fresh).text()
