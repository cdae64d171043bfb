"""Fixtures for the tests that compare `linuxemu trace` with strace."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.conftest import GuestCompiler
from tests.trace.traced import DIRECTORY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("no strace to compare with (Debian: apt-get install strace)")
    return found


@pytest.fixture(scope="session")
def compile_traced(shared_tmp: Path) -> GuestCompiler:
    return GuestCompiler(shared_tmp / "traced-programs", DIRECTORY)
