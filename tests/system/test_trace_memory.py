"""Tracing for long needs no more memory than tracing for a while."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.helpers import cli_words, tool_environment

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sys/wait.h>
int main(int argc, char **argv)
{
    long count = atol(argv[2]);
    for (long i = 0; i < count; i++) {
        if (argv[1][0] == 'c')
            syscall(SYS_getppid);
        else if (argv[1][0] == 'm')
            syscall(SYS_io_setup, i, 0);
        else if (fork() == 0)
            _exit(1);
        else
            wait(0);
    }
    return 0;
}
"""
_MIB = 1024  # in the units of ru_maxrss


def peak(program: Path, options: list[str], what: str, count: int) -> int:
    """The most memory that the tool had, KiB."""
    line = cli_words("trace", *options, "-o", "/dev/null", "--host-root", str(program), what, str(count))
    process = subprocess.Popen(line, env=tool_environment(), stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "what", "few", "many"),
    [
        ([], "calls", 100_000, 1_000_000),
        (["--format", "json"], "calls", 20_000, 100_000),
        (["-c"], "calls", 20_000, 100_000),
        (["-f", "--rpc"], "forks", 1_500, 3_000),
        (["--unsupported"], "missing", 2_000, 10_000),
        (["--unsupported"], "forks", 1_500, 3_000),
    ],
)
def test_memory_does_not_grow(tmp_path: Path, options: list[str], what: str, few: int, many: int) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to compile with (Debian: apt-get install gcc)")
    (tmp_path / "p.c").write_text(SOURCE)
    subprocess.run(["gcc", "-static", "-O1", "-w", "-o", "p", "p.c"], cwd=tmp_path, check=True)
    first, second = (peak(tmp_path / "p", options, what, count) for count in (few, many))
    assert second < first + 4 * _MIB
