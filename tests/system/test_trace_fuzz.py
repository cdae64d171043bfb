"""Whatever a program calls with whatever arguments: tracing it is no reason for anything to end."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.helpers import cli

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 61440
static unsigned long state = 88172645463325252UL;

static unsigned long dice(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static unsigned long word(char *room)
{
    unsigned long number = dice();
    switch (dice() % 8) {
    case 0: return 0;
    case 1: return number % 16;
    case 2: case 3: return (unsigned long) room + number % SIZE;
    case 4: return number;
    case 5: return number & 0xffff;
    case 6: return -(number % 8);
    default: return 1UL << (number % 64);
    }
}

static void calls(long number, char *room)
{
    for (int i = 0; i < SIZE; i += 8)
        *(unsigned long *) (room + i) = word(room);
    for (int i = 0; i < 4; i++)
        syscall(number, word(room), word(room), word(room), word(room), word(room), word(room));
}

int main(int argc, char **argv)
{
    char *room = mmap(0, SIZE + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(room + SIZE, 4096);
    state += atol(argv[1]) * 7919;
    for (long number = 0; number < 470; number++) {
        if (number == SYS_fork || number == SYS_vfork || number == SYS_clone || number == SYS_clone3
            || number == SYS_kill)
            continue;
        if (fork() == 0) {
            ualarm(20000, 0);
            calls(number, room);
            _exit(0);
        }
        state += number;
        wait(0);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to compile with (Debian: apt-get install gcc)")
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "fuzz.c").write_text(SOURCE)
    subprocess.run(["gcc", "-static", "-O1", "-w", "-o", "fuzz", "fuzz.c"], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        ("1", ["-v", "-yy"]),
        ("2", ["--format", "json", "-Y"]),
        ("3", ["-X", "verbose", "-xx", "-s", "9"]),
        ("4", ["--unsupported"]),
    ],
)
def test_any_call_can_be_shown(program: Path, tmp_path: Path, seed: str, options: list[str]) -> None:
    log = tmp_path / "log"
    words = [*options, "-f", "-o", str(log), "--timeout", "90", "--bind", f"{program}:/b", "/b/fuzz", seed]
    outcome = cli("trace", *words)
    assert b"internal error" not in outcome.stderr, outcome.stderr.decode(errors="replace")
    assert outcome.status == 0
    lines = log.read_text().splitlines()
    assert len(lines) > 400 or "--unsupported" in options
    if "json" in options:
        assert all(json.loads(line) for line in lines)
