"""`linuxemu syscalls`: the table as people and programs read it."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from linuxemu.cli import main
from linuxemu.cli.syscalls import UNSUPPORTED, table
from linuxemu.testing.script import requests_of
from syscalls.abi.numbers import X86_64
from syscalls.registry import TABLE
from syscalls.rpcs import RPCS
from tests.helpers import cli_words, tool_environment


def shown(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(["syscalls", *words]) == status
    return capsys.readouterr().out


def test_every_call_of_linux_is_listed_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in shown(capsys).splitlines() if line[:3].strip()]
    assert [int(line[:3]) for line in lines] == sorted(X86_64.values())
    assert [line.split()[1] for line in lines].count(UNSUPPORTED) == len(X86_64) - len(TABLE)


def test_notes_of_partial_calls_stand_below_them(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "--support", "partial")
    for entry in table():
        assert (entry.notes in text) or entry.support != "partial"
    assert " full " not in text


def test_what_is_known_of_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "eventfd2", "readlink").splitlines() == [
        "290  full         eventfd2(initval, flags)",
        "                  errors: EINVAL EMFILE",
        "                  messages: none",
        " 89  full         readlink(pathname, buf, bufsiz)",
        f"                  errors: {' '.join(TABLE[89].errors)}",
        f"                  messages: {RPCS['readlink']}",
    ]


def test_an_unsupported_call_has_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "ptrace", status=1) == (
        "101  unsupported  ptrace(request, pid, addr, data)\n                  errors: ENOSYS\n"
    )


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    entries = json.loads(shown(capsys, "--json"))
    assert len(entries) == len(X86_64)
    (getpid,) = (entry for entry in entries if entry["name"] == "getpid")
    assert getpid == {
        "number": 39, "name": "getpid", "support": "full", "notes": "", "arguments": [], "errors": [], "messages": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["opennat"], "x86-64 Linux has no system call 'opennat', is it openat"),
        (["--suport=full"], "unrecognized arguments: --suport=full"),
        (["--support", "some"], "invalid choice: 'some'"),
    ],
)
def test_mistakes(capfd: pytest.CaptureFixture[str], words: list[str], complaint: str) -> None:
    assert main(["syscalls", *words]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert complaint in error


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["syscalls"], ["syscalls", "getpid"], ["--version"], ["--help"]], ids=" ".join)
def test_a_full_disk_is_one_line(words: list[str]) -> None:
    environment = {**tool_environment(), "PYTHONUNBUFFERED": ""}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(cli_words(*words), stdout=full, stderr=subprocess.PIPE, env=environment)
    assert done.returncode == 2
    assert done.stderr == f"linuxemu {words[0]}: cannot write: No space left on device\n".encode()


def test_recorded_messages_exist() -> None:
    namespaces = {name.partition(".")[0] for sent in RPCS.values() for name in sent.split()}
    known = {kind.NAME for kind in requests_of(tuple(namespaces))}
    for call, sent in RPCS.items():
        assert X86_64[call] in TABLE
        assert set(sent.split()) <= known
        assert sent.split() == sorted(set(sent.split()))
