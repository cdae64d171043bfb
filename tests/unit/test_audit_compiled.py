"""The audit of what compilers make: libraries and levels of optimisation, with names and without."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from linuxemu.audit.report import examine

if TYPE_CHECKING:
    from linuxemu.audit.report import Report

SOURCE = Path(__file__).parent / "data" / "audit.c"
OWN = {
    "vhangup": "choose",
    "acct": "choose",
    "swapoff": "choose",
    "membarrier": "main",
    "quotactl": "main",
    "get_kernel_syms": "main",
    "get_mempolicy": "thread",
}
"""The calls that the program itself makes, and that its library does not, with the function that says the number."""
LIBRARY = {"writev", "exit_group", "mmap", "setuid", "rt_sigreturn", "clone", "futex"}
SHARE = 0.05
"""Of the sites, so many may stay unresolved."""

COMPILERS = {"gcc -static": "glibc", "gcc -static-pie": "glibc", "musl-gcc -static": "musl"}


def compiled(command: str, directory: Path, *flags: str) -> Report:
    return examine(built(command, directory, *flags), lambda _: None)


def built(command: str, directory: Path, *flags: str) -> bytes:
    compiler, *rest = command.split()
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} to compile with")
    program = directory / "program"
    line = [compiler, *rest, *flags, "-w", "-o", str(program), str(SOURCE), "-lpthread"]
    subprocess.run(line, check=True)
    return program.read_bytes()


@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os"])
@pytest.mark.parametrize("command", COMPILERS)
def test_calls_of_a_program(command: str, level: str, tmp_path: Path) -> None:
    report = compiled(command, tmp_path, level)
    calls = {call.name: call for call in report.calls}
    assert not report.stripped
    assert LIBRARY <= calls.keys()
    for name, function in OWN.items():
        assert function in calls[name].functions
    assert len(report.unresolved) <= SHARE * len(report.sites)
    assert not {site.function for site in report.unresolved} & {*OWN.values(), "syscall"}


@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("command", COMPILERS)
def test_names_make_no_difference(command: str, level: str, tmp_path: Path) -> None:
    with_names = compiled(command, tmp_path, level)
    without = compiled(command, tmp_path, level, "-s")
    assert without.stripped
    assert [call.number for call in without.calls] == [call.number for call in with_names.calls]
    assert len(without.unresolved) == len(with_names.unresolved)


@pytest.mark.parametrize("command", ["gcc -static", "musl-gcc -static"])
def test_a_program_without_sections(command: str, tmp_path: Path) -> None:
    """Linux does not need them, and some tools take them away."""
    data = bytearray(built(command, tmp_path, "-O2"))
    with_sections = examine(bytes(data), lambda _: None)
    data[40:48], data[58:64] = bytes(8), bytes(6)
    without = examine(bytes(data), lambda _: None)
    assert [call.number for call in without.calls] == [call.number for call in with_sections.calls]
    assert len(without.unresolved) == len(with_sections.unresolved)


@pytest.mark.parametrize("command", ["gcc -static", "musl-gcc -static"])
def test_a_number_that_comes_from_outside_is_unresolved(command: str, tmp_path: Path) -> None:
    report = compiled(command, tmp_path, "-O2", "-DANY")
    (site,) = (site for site in report.unresolved if site.function == "syscall")
    assert {(lost.function, lost.why) for lost in site.lost} == {("main", "returned by a call")}
    assert "membarrier" in {call.name for call in report.calls}


def test_a_dynamically_linked_program_says_so(tmp_path: Path) -> None:
    report = compiled("gcc", tmp_path, "-O1")
    assert report.dynamic
    assert {call.name for call in report.calls} <= OWN.keys()
