"""The table of counts, and that strace makes the same of the same calls."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from linuxemu.trace.reader import read
from linuxemu.trace.summary import Summary, SummaryOptions

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import GuestCompiler


def table(line: str = "-c") -> str:
    """A table of a few calls."""
    options = read([*line.split(), "x"]).options.summary
    assert options is not None
    summary = Summary(options)
    for name, ns, failed in [
        ("write", 1_500, False),
        ("read", 30_000_999, False),
        ("close", 2_000, True),
        ("read", 1_000, True),
        ("close", 4_000, True),
        ("syscall_0x190", 1_000, True),
    ]:
        summary.add(name, ns, failed)
    return "\n".join(summary.lines())


def test_the_table() -> None:
    assert table() == """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 99.97    0.030002       15000         2         1 read
  0.02    0.000006           3         2         2 close
  0.00    0.000002           1         1           write
  0.00    0.000001           1         1         1 syscall_0x190
------ ----------- ----------- --------- --------- ----------------
100.00    0.030010        5001         6         4 total"""


def test_all_columns_and_the_name_in_front() -> None:
    line = "-c -S name -U name,errors,calls,avg-time,max-time,min-time,total-time,time"
    assert table(line) == """\
syscall             errors     calls  usecs/call  longest shortest     seconds % time
---------------- --------- --------- ----------- -------- -------- ----------- ------
close                    2         2           3 0.000004 0.000002    0.000006   0.02
read                     1         2       15000 0.030001 0.000001    0.030002  99.97
syscall_0x190            1         1           1 0.000001 0.000001    0.000001   0.00
write                              1           1 0.000002 0.000002    0.000002   0.00
---------------- --------- --------- ----------- -------- -------- ----------- ------
total                    4         6        5001 0.030001 0.000001    0.030010 100.00"""


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("time", "read close write syscall_0x190"),
        ("time-percent", "read close write syscall_0x190"),
        ("min-time", "close write read syscall_0x190"),
        ("longest", "read close write syscall_0x190"),
        ("avg-time", "read close write syscall_0x190"),
        ("count", "read close write syscall_0x190"),
        ("errors", "close read syscall_0x190 write"),
        ("syscall", "close read syscall_0x190 write"),
        ("none", "read write close syscall_0x190"),
    ],
)
def test_orders(order: str, names: str) -> None:
    lines = table(f"-c -U name -S {order}").splitlines()
    assert lines[2:-2] == names.split()


def test_overhead_is_taken_off_but_time_is_never_negative() -> None:
    summary = Summary(SummaryOptions(overhead_ns=2_000, columns=("total-time", "name")))
    summary.add("read", 5_000, False)
    summary.add("read", 1_000, False)
    assert summary.lines()[2] == "   0.000003 read"


def test_no_calls_no_table() -> None:
    assert Summary(SummaryOptions()).lines() == []


def test_no_time_no_share() -> None:
    summary = Summary(SummaryOptions(columns=("time-percent",)))
    summary.add("read", 0, False)
    assert summary.lines()[2:] == ["  0.00 read", "------ ----------------", "100.00 total"]


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    summary = Summary(SummaryOptions(columns=("max-time", "name", "calls")))
    summary.add("sched_get_priority_max", 12_000_859_000, False)
    assert summary.lines()[:3] == [
        "  longest syscall                     calls",
        "--------- ----------------------- ---------",
        "12.000859 sched_get_priority_max          1",
    ]


@pytest.mark.native
@pytest.mark.parametrize(
    "line",
    [
        "-c",
        "-cw",
        "-c -S name",
        "-c -S nothing -U name,calls",
        "-c -S errors -U errors,count",
        "-cw -S calls -U calls,errors,min-time,max-time,avg-time,total-time,time-percent",
        "-c -U name,shortest",
        "-c -U name -e trace=none",
    ],
)
def test_strace_makes_the_same_table(line: str, compile_guest: GuestCompiler, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace (Debian: apt-get install strace)")
    program, log = str(compile_guest("getppids", "glibc")), tmp_path / "log"
    every = ["-e", "getppid,exit_group,execve,brk", "-o", str(log)]
    subprocess.run([strace, *every, program], check=True, timeout=60)
    calls = [(name, " = -1 " in rest) for name, rest in re.findall(r"^(\w+)\((.*)$", log.read_text(), re.MULTILINE)]
    subprocess.run([strace, *every, *line.split(), program], check=True, timeout=60)
    options = read([*every, *line.split(), "x"]).options
    assert options.summary is not None
    summary = Summary(options.summary)
    for name, failed in calls:
        if options.trace and name != "exit_group":  # it does not end, and is not counted
            summary.add(name, 1_000, failed)
    ours, theirs = shape("\n".join(summary.lines())), shape(log.read_text().rstrip("\n"))
    if "-S" not in line:  # the order is that of times
        ours.sort()
        theirs.sort()
    assert ours == theirs


def shape(text: str) -> list[str]:
    """The lines of a table, without the times of the day."""
    return re.sub(r"[0-9]+\.[0-9]+|(?<= )[0-9]+(?= )", lambda found: "N".rjust(len(found[0])), text).split("\n")
