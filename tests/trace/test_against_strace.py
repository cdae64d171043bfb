"""Every program of `programs/` shows the same calls under strace and under `linuxemu trace`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.trace.comparing import Comparison
from tests.trace.normalise import normalise
from tests.trace.traced import PROGRAMS, environment, natively

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import GuestCompiler
    from tests.trace.traced import Program

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("strace")]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
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
    assert not comparison.report, "\n".join(comparison.report)
