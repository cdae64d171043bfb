"""Servers are killed under a working shell script: it ends as it does without, and nothing it wrote is lost.

Each server dies at 50 points of the script, before or after it served a request; the points are drawn from the number
of requests that the script makes of it, so that each of them kills.
"""

from __future__ import annotations

import hashlib
import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest

from linuxemu.machine import Bind, Machine
from tests.helpers import STRICT_IPC
from tests.system.test_leaks import growth

SCRIPT = r"""
cd $D || exit 9
written() { echo "written $1"; }
mkdir -p a/b/c && written a/b/c
i=0
while [ $i -lt 6 ]; do
    echo "line $i" > a/f$i && echo "more $i" >> a/f$i && written a/f$i
    i=$((i + 1))
done
seq 1 200 | sort -rn | sed s/^/x/ > big && written big
cat a/f* > all && written all
mv a/f0 a/b/g && written a/b/g
mv a/b/g a/b/g2 && written a/b/g2
ln a/f1 a/hard && written a/hard
ln -s f2 a/soft && written a/soft
cp big a/b/c/copy && written a/b/c/copy
rm a/f3 && mkdir d && rmdir d && echo removed
(sleep 0; date > /dev/null; echo job > job) &
wait $! && written job
echo first > orphan; exec 3< orphan; rm orphan; cat <&3; exec 3<&-
chmod 600 a/f4; : > a/f5; echo again >> a/f5 && written a/f5
mkdir m; i=0; while [ $i -lt 20 ]; do : > m/$i; i=$((i + 1)); done; rm -r m && echo removed
dd if=big of=part bs=64 skip=2 count=3 2> /dev/null && written part
cat a/soft nothing 2> /dev/null || echo missing
i=0; while [ $i -lt 26 ]; do read total < /proc/meminfo; i=$((i + 1)); done
i=0; while [ $i -lt 8 ]; do date > /dev/null; i=$((i + 1)); done
seq 1 2000 | sort -rn | md5sum
find . | sort
find . -type f | sort | xargs md5sum
echo end
"""

PLACES = {"fs": "/tmp", "host": "/data", "time": "/tmp", "vm": "/tmp", "task": "/tmp"}
MESSAGES = {
    "fs": "fs.*@/,fsx.*@/",
    "host": "fs.*@/data,fsx.*@/data",
    "time": "time.*,clock.*",
    "vm": "vm.*,vmx.*",
    "task": "task.*",
}
POINTS, CHUNKS = 50, 5
NEVER = 1 << 29


class Run(NamedTuple):
    """How the script ended."""

    status: int
    output: bytes
    errors: bytes
    growth: dict[str, int]
    injected: list[Any]


def work(directory: str, rules: list[str], host: Path | None = None) -> Run:
    binds = [Bind(str(host), "/data", rw=True)] if host is not None else []
    machine = Machine(
        binds=binds,
        env={"D": directory},
        inject=rules,
        timeout_s=60,
        strict_ipc=STRICT_IPC,
    )
    result = machine.run(["sh", "-c", SCRIPT])
    return Run(result.exit_status, result.stdout, result.stderr, growth(result), machine.injected)


@cache
def undisturbed(server: str) -> Run:
    """The script without faults, and how many requests it makes of a server."""
    with TemporaryDirectory() as host:
        run = work(PLACES[server], [f"{MESSAGES[server]}:kill:when={NEVER}"], Path(host))
    assert run.status == 0
    assert run.errors == b""
    assert run.output.endswith(b"end\n")
    return run


def points(server: str, requests: int) -> list[tuple[int, str]]:
    """Which request the server dies at, before or after serving it: all different."""
    every = [(number, how) for number in range(1, requests + 1) for how in ("kill", "kill=after")]
    return random.Random(server).sample(every, POINTS)


def check_host(directory: Path, output: bytes) -> None:
    """Every file is on the host, with the contents that the guest saw."""
    sums = [line.split(b"  ", 1) for line in output.split(b"\n") if b"  ./" in line]
    assert len(sums) > 8
    for value, path in sums:
        found = (directory / path.decode()).read_bytes()
        assert hashlib.md5(found, usedforsecurity=False).hexdigest().encode() == value


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("server", PLACES)
def test_fifty_deaths(server: str, chunk: int, tmp_path: Path) -> None:
    alone = undisturbed(server)
    requests = alone.injected[0].matched
    assert requests * 2 >= POINTS
    for number, how in points(server, requests)[chunk::CHUNKS]:
        host = tmp_path / f"{number}-{how}"
        host.mkdir()
        run = work(PLACES[server], [f"{MESSAGES[server]}:{how}:when={number}"], host)
        where = f"{server} {how} at {number}"
        assert run.injected[0].fired == 1, where
        assert (run.status, run.output, run.errors) == (0, alone.output, b""), where
        assert run.growth == alone.growth, where
        if server == "host":
            check_host(host, run.output)


@pytest.mark.parametrize("seed", range(6))
def test_all_of_them_die_again_and_again(seed: int) -> None:
    alone = undisturbed("fs")
    # So far apart that no request dies three times.
    rules = [
        f"{messages}:{how}:when={2 + seed + salt}+{step + 2 * salt}"
        for messages, step in (("fs.*,fsx.*", 51), ("time.*,clock.*", 7), ("vm.*,vmx.*", 7), ("task.*", 9))
        for salt, how in enumerate(("kill", "kill=after"))
    ]
    run = work("/tmp", rules)
    assert all(done.fired > 2 for done in run.injected)
    assert sum(done.fired for done in run.injected) > 80
    assert (run.status, run.output, run.errors) == (0, alone.output, b"")
    # An activity more or less: who begins to sleep when the last program ends.
    assert {**run.growth, "activities": 0} == {**alone.growth, "activities": 0}


@pytest.mark.parametrize("seed", range(3))
def test_deaths_among_late_replies(seed: int) -> None:
    """With delays many requests are at work when a server dies."""
    rules = [
        f"*.*:delay=100us:when=10%:seed={seed}",
        f"fs.*,fsx.*:kill:when={5 + seed}+71",
        f"fs.*,fsx.*:kill=after:when={9 + seed}+73",
        f"clock.*,vmx.*,task.*:kill=after:when={3 + seed}+17",
    ]
    one = "for j in 1 2 3 4 5 6; do echo $i $j >> log$i; cat log$i > copy$i; done"
    script = f"cd /tmp; for i in 1 2 3 4; do ({one}) & done"
    machine = Machine(inject=rules, timeout_s=60, strict_ipc=STRICT_IPC)
    result = machine.run(["sh", "-c", script + "; wait; cat log* copy*"])
    lines = [b"%d %d\n" % (i, j) for i in range(1, 5) for j in range(1, 7)]
    assert (result.exit_status, result.stderr, result.stdout) == (0, b"", b"".join(lines * 2))
    assert all(done.fired for done in machine.injected[:3])


def test_console_output_is_whole_when_the_server_dies_before_it_serves() -> None:
    machine = Machine(
        inject=["console.*:kill:when=2+3"], stdin=b"one\ntwo\n", timeout_s=60, strict_ipc=STRICT_IPC
    )
    script = (
        "while read line; do echo got $line; echo and $line >&2; done; cat /dev/urandom | head -c 1 | wc -c"
    )
    result = machine.run(["sh", "-c", script])
    assert result.stdout == b"got one\ngot two\n1\n"
    assert result.stderr == b"and one\nand two\n"
    assert machine.injected[0].fired > 3


def test_a_fault_that_stays_is_an_error_and_no_hang() -> None:
    machine = Machine(inject=["fsx.mkdir@/:kill"], timeout_s=60, strict_ipc=STRICT_IPC)
    result = machine.run(["sh", "-c", "mkdir /tmp/d; echo $?; echo x > /tmp/f; cat /tmp/f"])
    assert b"I/O error" in result.stderr or b"Input/output error" in result.stderr
    assert (result.exit_status, result.stdout) == (0, b"1\nx\n")
