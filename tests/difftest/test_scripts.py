"""Scripts of system calls see the same natively and here: those that once did not, and a few generated ones."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.differ.compare import Comparer, known, report
from tools.differ.generate import scripts
from tools.differ.running import Runner
from tools.differ.script import parse, show
from tools.differ.vocabulary import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.differ.compare import Difference

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.script"))
GENERATED = 80

pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(os.geteuid() != 0, reason="the native side makes namespaces, which needs root"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc to compile with (Debian: apt-get install gcc)"),
]


@pytest.fixture(scope="session")
def comparer(shared_tmp: Path) -> Comparer:
    return Comparer(Runner(shared_tmp / "difftest"), known())


def told(differences: Iterable[Difference | None]) -> str:
    return "\n".join("\n".join(report(each, show(each.script))) for each in differences if each is not None)


def test_what_once_differed(comparer: Comparer) -> None:
    found = comparer.differences([parse(path.read_text("utf-8")) for path in SCRIPTS])
    assert not any(found), told(found)


@pytest.mark.parametrize("subject", sorted(SUBJECTS))
def test_generated_scripts(comparer: Comparer, subject: str) -> None:
    found = comparer.differences(scripts(subject, f"tests {subject}", GENERATED))
    assert not any(found), told(found)
