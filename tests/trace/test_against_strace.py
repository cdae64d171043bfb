"""Every program of `programs/` shows the same calls under strace and under `linuxemu trace`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.trace.comparing import Comparison, load
from tests.trace.normalise import normalise
from tests.trace.traced import DIFFERENCES, PROGRAMS, environment, here, natively

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import GuestCompiler
    from tests.trace.traced import Program

pytestmark = [pytest.mark.native, pytest.mark.slow, pytest.mark.usefixtures("strace")]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "work"


def show(comparison: Comparison) -> None:
    """Fail with nothing but the differences, if there are any."""
    if comparison.report:
        pytest.fail("\n".join(comparison.report), pytrace=False)


DIFFERENT = load(DIFFERENCES)
each_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)


@each_program
def test_same_as_strace(
    program: Program, scratch: Path, applets: Path, busybox: str, compile_traced: GuestCompiler
) -> None:
    argv = program.argv(busybox, compile_traced)
    env = environment(str(applets))
    scratch.mkdir()
    # What the guest writes stays in its memory, so it goes first and both find an empty directory.
    ours = here(program.options, argv, scratch=scratch, env=env)
    native = natively(program.options, argv, scratch=scratch, env=env)
    comparison = Comparison(program.name, DIFFERENT)
    comparison.compare(normalise(native.trace), normalise(ours.trace))
    show(comparison)
    assert ours.outcome.text() == native.outcome.text()
    assert not comparison.stale()


def test_the_differences_are_of_programs_that_exist() -> None:
    names = {program.name for program in PROGRAMS}
    assert [str(entry) for entry in DIFFERENT if entry.example not in names] == []


def test_there_are_many_programs() -> None:
    kinds = [program.path.suffix for program in PROGRAMS]
    assert kinds.count(".sh") > 30
    assert kinds.count(".c") > 30


@each_program
def test_strace_twice(
    program: Program, scratch: Path, applets: Path, busybox: str, compile_traced: GuestCompiler
) -> None:
    """The programs do the same each time, and nothing but that is left by the normaliser."""
    argv = program.argv(busybox, compile_traced)
    runs = []
    for _ in range(2):
        scratch.mkdir()
        done = natively(program.options, argv, scratch=scratch, env=environment(str(applets)))
        runs.append(normalise(done.trace))
        shutil.rmtree(scratch)
    comparison = Comparison(program.name, [])
    comparison.compare(*runs)
    show(comparison)
