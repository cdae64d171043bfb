"""Nothing is left of processes that ended: the kernel's own counters say so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import PATH, guest_result

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import GuestCompiler


def shell(script: str, **options: Any) -> Any:
    return guest_result(["sh", "-c", script], **options)


def growth(result: Any) -> dict[str, int]:
    """How much each counter is higher at the end than when the first program started."""
    stats = dict(result.stats)
    for when in ("start", "end"):
        # Pages of files are kept for their next user on purpose.
        stats[f"frames_held_{when}"] = stats.pop(f"frames_used_{when}") - stats.pop(f"frames_cached_{when}")
    names = [name.removesuffix("_start") for name in stats if name.endswith("_start")]
    return {name: stats[f"{name}_end"] - stats[f"{name}_start"] for name in names}


def assert_no_leak(few: Any, many: Any) -> None:
    """A run with much work must leave no more behind than the same run with little."""
    allowed = growth(few)
    for name, value in growth(many).items():
        assert value <= allowed[name], name


SUBSHELLS = "i=0; while [ $i -lt {n} ]; do (:); i=$((i + 1)); done"
PROGRAMS = "i=0; while [ $i -lt {n} ]; do /bin/true; i=$((i + 1)); done"
PIPELINES = "i=0; while [ $i -lt {n} ]; do echo x | cat | cat > /dev/null; i=$((i + 1)); done"
FILES = "i=0; while [ $i -lt {n} ]; do echo data > f$i; mv f$i g; rm g; mkdir d; rmdir d; i=$((i + 1)); done"
KILLED = "i=0; while [ $i -lt {n} ]; do sleep 100 & kill $!; wait $! 2>/dev/null; i=$((i + 1)); done; :"
FAILED = "i=0; while [ $i -lt {n} ]; do /etc/passwd 2>/dev/null; nothing 2>/dev/null; i=$((i + 1)); done; :"


@pytest.mark.parametrize("script", [SUBSHELLS, PROGRAMS, PIPELINES, FILES, KILLED, FAILED])
def test_repeated_work_leaves_nothing(script: str) -> None:
    few, many = shell(script.format(n=3), cwd="/tmp"), shell(script.format(n=60), cwd="/tmp")
    assert (few.exit_status, many.exit_status) == (0, 0)
    assert_no_leak(few, many)


def test_hundred_processes_at_once() -> None:
    script = "i=0; while [ $i -lt {n} ]; do sleep {t} & i=$((i + 1)); done; wait; echo over"
    few, many = shell(script.format(n=2, t=0)), shell(script.format(n=100, t="0.5"))
    assert many.stdout == b"over\n"
    assert_no_leak(few, many)


def test_pipeline_of_twenty_stages() -> None:
    stages = " | ".join(["cat"] * 18)
    few = shell("seq 1 10 | cat | wc -l")
    many = shell(f"seq 1 20000 | {stages} | wc -l")
    assert many.stdout == b"20000\n"
    assert_no_leak(few, many)


@pytest.mark.slow
@pytest.mark.native
@pytest.mark.timeout(600)
def test_ten_thousand_forks(compile_guest: GuestCompiler, tmp_path: Path) -> None:
    program = str(compile_guest("forks", "glibc"))

    def forks(count: int) -> Any:
        options: dict[str, Any] = {
            "host_root": True,
            "env": {"PATH": PATH},
            "cwd": str(tmp_path),
            "timeout_s": 550,
        }
        return guest_result([program, str(count)], **options)

    few, many = forks(10), forks(10_000)
    assert many.stdout == b"10000 forks, 0 bad\n"
    assert_no_leak(few, many)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_thousand_programs() -> None:
    few, many = shell(PROGRAMS.format(n=10)), shell(PROGRAMS.format(n=2000), timeout_s=550)
    assert many.exit_status == 0
    assert_no_leak(few, many)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")
def test_machines_give_back_host_descriptors() -> None:
    shell(":")
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(5):
        shell("echo x | cat")
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_memory_limit_is_the_guests_problem() -> None:
    script = "x=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; while :; do x=$x$x; done"
    result = guest_result(["sh", "-c", f"({script}); echo survived $(($? != 0))"], memory_mib=64)
    assert result.stdout == b"survived 1\n"
