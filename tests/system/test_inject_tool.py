"""`linuxemu run --inject` from the outside, and the examples of docs/faults.md as a reader would try them."""

from __future__ import annotations

import re
import shlex
import tomllib
from typing import TYPE_CHECKING

import pytest

from linuxemu.inject import parse_toml
from tests.helpers import ROOT, cli

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = (ROOT / "docs/faults.md").read_text("utf-8")
EXAMPLES = re.findall(r"```console\n\$ linuxemu (.*)\n((?:.*\n)*?)```", DOCUMENT)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize(("line", "shown"), EXAMPLES)
def test_examples_show_what_they_do(line: str, shown: str) -> None:
    done = cli(*shlex.split(line))
    assert done.status == 0
    assert (done.stderr + done.stdout).decode() == shown


def test_the_toml_example_is_one() -> None:
    text = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)[0]
    assert tomllib.loads(text)
    assert [str(rule) for rule in parse_toml(text)] == [
        "fs.*@/data,fsx.*@/data:kill=after:when=5%:seed=7",
        "fs.write:error=ENOSPC:when=3",
    ]


def test_rules_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text('[[inject]]\nmessage = "fs.write"\nerror = "EIO"\n')
    done = cli("run", "--inject", f"@{path}", "sh", "-c", "echo x > /tmp/f")
    assert (done.status, done.stderr[:17]) == (1, b"sh: write error: ")


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            "fs.write",
            "--inject: 'fs.write': nothing is to be done: it must be one of error, delay, drop, kill",
        ),
        ("fs.write:error=EFOO", "--inject: 'fs.write:error=EFOO': error=EFOO: neither an errno of Linux nor"),
        ("@/nonexistent/file", "--inject: /nonexistent/file: No such file or directory"),
        (
            "abi_hook:kill",
            "'abi_hook:kill': the linux server cannot be killed: it is the pager of every program",
        ),
        (
            "ool.send:kill",
            "'ool.send:kill': the ool server cannot be killed: every payload travels through it",
        ),
    ],
)
def test_mistakes_are_one_line_and_status_2(spec: str, why: str) -> None:
    done = cli("run", "--inject", spec, "true")
    assert done.status == 2
    assert done.stderr.decode().startswith(f"linuxemu run: {why}")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "spec", ["fsx.root:error=EIO", "clock.gettime:kill", "task.alloc:error=ERR_NO_MEMORY", "vmx.*:kill"]
)
def test_a_system_that_does_not_come_up_is_one_line(spec: str) -> None:
    done = cli("run", "--inject", spec, "true")
    assert done.status == 126
    assert done.stderr.startswith(b"linuxemu run: the guest's system did not come up")
    assert done.stderr.count(b"\n") == 1
