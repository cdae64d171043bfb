"""Injections: what the text of one means, and which calls of which task it is due for."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.trace.filters import OptionError, system_calls
from linuxemu.trace.reader import read
from linuxemu.trace.tampering import Injection, Poke, Tampering, When, parse_injection, parse_time
from syscalls.abi import errno
from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import GuestCompiler

OPEN, CLOSE, GETPID = X86_64["open"], X86_64["close"], X86_64["getpid"]
CALLS = frozenset((OPEN,))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("open:error=ENOENT", {"error": errno.ENOENT}),
        ("open:error=erestartsys", {"error": 512}),
        ("open:error=4095", {"error": 4095}),
        ("open:retval=0", {"retval": 0}),
        ("open:retval=010", {"retval": 8}),
        ("open:retval=-1", {"retval": 2**64 - 1}),
        ("open:retval=0xffffffffffffffff", {"retval": 2**64 - 1}),
        ("open:signal=SIGUSR1", {"signal": 10}),
        ("open:signal=rt_32", {"signal": 64}),
        ("open:error=EIO:syscall=getpid", {"error": errno.EIO, "syscall": GETPID}),
        ("open:delay_enter=5", {"delay_enter_ns": 5000}),
        ("open:delay_exit=1.5ms:delay_enter=2ns", {"delay_enter_ns": 2, "delay_exit_ns": 1_500_000}),
        ("open:poke_enter=@arg1=00Ff,@arg7=0x01", {"poke_enter": (Poke(0, b"\x00\xff"), Poke(6, b"\x01"))}),
        ("open:poke_exit=@arg2=ab,", {"poke_exit": (Poke(1, b"\xab"),)}),
        ("open:error=EIO:when=3", {"error": errno.EIO, "when": When(3, 3)}),
        ("open:error=EIO:when=3+", {"error": errno.EIO, "when": When(3)}),
        ("open:error=EIO:when=3+2", {"error": errno.EIO, "when": When(3, None, 2)}),
        ("open:error=EIO:when=2..7", {"error": errno.EIO, "when": When(2, 7)}),
        ("open:error=EIO:when=1:when=2..7+3", {"error": errno.EIO, "when": When(2, 7, 3)}),
    ],
)
def test_what_an_injection_means(text: str, fields: dict[str, Any]) -> None:
    assert parse_injection(text) == Injection(CALLS, **fields)


def test_a_fault_has_an_error() -> None:
    assert parse_injection("open", fault=True) == Injection(CALLS, error=errno.ENOSYS)
    assert parse_injection("open:error=EIO:when=2", fault=True) == Injection(CALLS, error=errno.EIO, when=When(2, 2))


def test_the_set_is_any_set() -> None:
    assert parse_injection("%file,close:retval=0").calls == system_calls("%file,close")


@pytest.mark.parametrize("action", ["retval=+-1", "retval=09", "error=errno", "error=E", "when=3"])
def test_wrong_injections(action: str) -> None:
    text = f"open:{action}"
    with pytest.raises(OptionError) as caught:
        parse_injection(text)
    assert str(caught.value) == f"invalid inject argument '{text}'"


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("0", 0), ("1", 1000), (" +1us", 1000), ("1e-3", 1), ("2.5s", 2_500_000_000), (".5ns", 0), ("1e3ms", 10**9)],
)
def test_times(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "-1", "1m", "1 s", "1e999s", "0x1", "1e9999"])
def test_wrong_times(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@pytest.mark.parametrize(
    ("when", "hits"),
    [
        ("", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (":when=3", [3]),
        (":when=3+", [3, 4, 5, 6, 7, 8, 9]),
        (":when=3+3", [3, 6, 9]),
        (":when=2..4", [2, 3, 4]),
        (":when=2..4+", [2, 3, 4]),
        (":when=2..7+2", [2, 4, 6]),
    ],
)
def test_when_it_is_due(when: str, hits: list[int]) -> None:
    injection = parse_injection(f"open:error=EIO{when}")
    tampering = Tampering([injection])
    due = [tampering.due("task", OPEN) for _ in range(9)]
    assert [number for number, found in enumerate(due, 1) if found] == hits
    assert {found for found in due if found} == {injection}


def test_each_task_and_each_call_counts_for_itself() -> None:
    tampering = Tampering([parse_injection("open,close:error=EIO:when=2")])
    assert [bool(tampering.due(*one)) for one in ((1, OPEN), (2, OPEN), (1, CLOSE), (1, OPEN), (1, CLOSE))] == [
        False,
        False,
        False,
        True,
        True,
    ]
    tampering.forget(2)
    tampering.forget(3)
    assert not tampering.due(2, OPEN)
    assert tampering.due(2, OPEN)


def test_the_last_injection_into_a_call_is_the_one() -> None:
    first, second = parse_injection("open,close:retval=5"), parse_injection("open:retval=6:when=2")
    tampering = Tampering([first, second])
    assert [tampering.due(1, OPEN), tampering.due(1, OPEN), tampering.due(1, CLOSE)] == [None, second, first]
    assert tampering.due(1, GETPID) is None


def test_nothing_to_do_is_false() -> None:
    assert not Tampering([])
    assert not Tampering([parse_injection("none:error=EIO")])
    assert Tampering([parse_injection("open:error=EIO")])


LINES = [
    "-e inject=getppid:retval=7",
    "-e inject=getppid:retval=7:when=2",
    "-e inject=getppid:retval=7:when=2+",
    "-e inject=getppid:retval=7:when=2+3",
    "-e inject=getppid:retval=7:when=2..5",
    "-e inject=getppid:retval=7:when=2..6+2",
    "-e inject=getppid:retval=7:when=3+:when=1..2",
    "-e inject=getppid:retval=7:when=1 -e inject=getppid:retval=8:when=2",
    "-e inject=%pure:retval=7 -e inject=getppid:retval=8:when=9",
]


@pytest.mark.native
@pytest.mark.parametrize("line", LINES)
def test_strace_tampers_with_the_same_calls(line: str, compile_guest: GuestCompiler, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace (Debian: apt-get install strace)")
    log = tmp_path / "log"
    program = str(compile_guest("getppids", "glibc"))
    subprocess.run([strace, "-e", "getppid", "-o", str(log), *line.split(), program], check=True, timeout=60)
    natively = [bool(found) for found in re.findall(r"^getppid.*?(\(INJECTED\))?$", log.read_text(), re.MULTILINE)]
    tampering = Tampering(read([*line.split(), "x"]).options.injections)
    assert natively == [tampering.due(1, X86_64["getppid"]) is not None for _ in range(8)]
