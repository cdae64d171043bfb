"""Classes of system calls: what `strace -e trace=%CLASS` shows of a program that makes every call there is."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from syscalls.abi.classes import CLASSES
from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import GuestCompiler

LAST_OF_6_1 = X86_64["set_mempolicy_home_node"]
SHOWN = re.compile(r"^\[ *([0-9]+)\].*EPERM", re.MULTILINE)
TRAPS = {X86_64["uretprobe"], X86_64["uprobe"]}
"""Calls that a filter does not hold back: they end the program."""


@pytest.fixture(scope="module")
def program(compile_guest: GuestCompiler) -> Path:
    return compile_guest("everycall", "glibc")


def shown(strace: str, name: str, program: Path, log: Path) -> set[int]:
    line = [strace, "-n", "-qqq", "-e", "raw=all", "-e", f"trace={name}", "-o", str(log), str(program)]
    subprocess.run(line, check=True, timeout=60)
    return {int(number) for number in SHOWN.findall(log.read_text("utf-8"))}


@pytest.mark.native
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_is_what_strace_says(name: str, program: Path, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace (Debian: apt-get install strace)")
    # Calls that strace does not know are shown whatever is asked for; so only known ones say something.
    known = {number for number in X86_64.values() if number <= LAST_OF_6_1} - TRAPS
    assert shown(strace, name, program, tmp_path / "log") & known == CLASSES[name] & known


def test_classes_have_calls() -> None:
    assert all(CLASSES.values())
    assert CLASSES["%%stat"] == CLASSES["%stat"] | CLASSES["%lstat"] | CLASSES["%fstat"]
    assert CLASSES["file"] == CLASSES["%file"]
    assert "stat" not in CLASSES  # these are the names of calls
