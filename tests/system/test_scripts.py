"""BusyBox scripts, each run by the same binary natively and in linuxemu: output, errors and status are equal.

The scripts stand in `scripts/*.sh`, one case after each line `#### name`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.helpers import Outcome, guest, native

pytestmark = pytest.mark.native

SCRIPTS = Path(__file__).resolve().parent / "scripts"


def load() -> dict[str, str]:
    cases: dict[str, str] = {}
    for path in sorted(SCRIPTS.glob("*.sh")):
        for part in path.read_text().split("\n#### ")[1:]:
            name, _, script = part.partition("\n")
            key = f"{path.stem}-{name}"
            assert key not in cases, f"two cases are called {key}"
            cases[key] = script + "\n"
    return cases


CASES = load()


def environment(path: str) -> dict[str, str]:
    return {"PATH": path, "HOME": "/root", "LANG": "C", "TZ": "UTC", "USER": "root"}


@pytest.mark.parametrize("name", CASES)
def test_same_as_native(name: str, applets: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "work"
    fresh.mkdir()
    argv = ["sh", "-c", CASES[name], "case"]
    expected = native(argv, executable=str(applets / "sh"), cwd=fresh, env=environment(str(applets)))
    emulated = guest(
        argv, cwd="/tmp", env=environment("/usr/sbin:/usr/bin:/sbin:/bin"), user=(os.getuid(), os.getgid())
    )
    assert comparable(emulated) == comparable(expected)


def comparable(outcome: Outcome) -> str:
    return outcome.text()


def test_there_are_many_cases() -> None:
    assert len(CASES) > 150
