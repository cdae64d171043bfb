"""The command line of `linuxemu trace`: strace's options and those of the machine in one."""

from __future__ import annotations

import random
import shlex
from typing import TYPE_CHECKING

import pytest

from linuxemu.cli.machine import BindOption
from linuxemu.cli.options import UsageError
from linuxemu.cli.trace import TraceCommand, parse
from linuxemu.trace.options import QUIET
from linuxemu.trace.reader import OPTIONS
from syscalls.abi import errno
from syscalls.abi.numbers import X86_64
from tests.unit.test_trace_lines import recorded

if TYPE_CHECKING:
    from pathlib import Path


def command(*words: str) -> TraceCommand:
    found = parse([*words, "prog"])
    assert isinstance(found, TraceCommand)
    return found


def test_defaults() -> None:
    found = command()
    assert found.machine == (None, False, False, [], {}, None, None, "unicorn", None, None, False, [], False, ["prog"])
    assert found.options == type(found.options)()
    assert found.format == "text"
    assert not (found.rpc or found.unsupported or found.json)


def test_everything_of_the_machine(tmp_path: Path) -> None:
    line = f"--root {tmp_path} --rw --bind {tmp_path}:/a --bind={tmp_path}:/b:rw --cwd /a --cwd /c -u 7 --user 5:6"
    line += " --engine unicorn --timeout 1.5 --strict-ipc"
    machine = command(*line.split()).machine
    assert (machine.root, machine.rw, machine.cwd, machine.user) == (str(tmp_path), True, "/c", (5, 6))
    assert machine.binds == [BindOption(str(tmp_path), "/a", False), BindOption(str(tmp_path), "/b", True)]
    assert (machine.engine, machine.timeout_s, machine.strict_ipc) == ("unicorn", 1.5, True)


def test_options_of_both_may_be_mixed() -> None:
    found = parse(["-fttT", "--host-root", "-s200", "--cwd=/x", "--", "prog", "-f", "--root"])
    assert isinstance(found, TraceCommand)
    assert found.machine.host_root
    assert found.machine.argv == ["prog", "-f", "--root"]
    assert found.options.follow_forks
    assert found.options.string_limit == 200


def test_our_own_options() -> None:
    found = command("--format", "json", "--rpc")
    assert (found.format, found.rpc, found.unsupported, found.json) == ("json", True, False, False)
    found = command("--unsupported", "--json")
    assert (found.format, found.rpc, found.unsupported, found.json) == ("text", False, True, True)


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (["-E", "A=1", "--env", "B=x=y"], {"A": "1", "B": "x=y"}),
        (["-EA=1", "-EA"], {"A": None}),
        (["-EA", "-E", "A="], {"A": ""}),
        (["--env=HOME"], {"HOME": None}),
    ],
)
def test_environment(words: list[str], env: dict[str, str | None]) -> None:
    assert command(*words).machine.env == env


@pytest.mark.parametrize("spec", ["fs.write:error=EIO", "fsx.*:kill:when=5%", "fs.read,fs.write:kill", "*.*@time:kill"])
def test_a_dot_is_for_servers(spec: str) -> None:
    found = command("--inject", spec)
    assert [str(rule) for rule in found.machine.inject] == [spec]
    assert found.options.injections == ()


def test_a_file_is_for_servers(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text('[[inject]]\nmessage = "fs.write"\nerror = "EIO"\n')
    assert len(command(f"--inject=@{tmp_path}/rules.toml").machine.inject) == 1


@pytest.mark.parametrize("spec", ["write:error=1", "/^w.ite$:signal=9", "write:delay_exit=.5s", "?/a.b,write:error=1"])
@pytest.mark.parametrize("option", ["--inject=", "-einject="])
def test_no_dot_is_for_system_calls(option: str, spec: str) -> None:
    found = command(option + spec)
    assert found.machine.inject == []
    (injection,) = found.options.injections
    assert injection.calls == {X86_64["write"]}


def test_both_kinds_of_injections_at_once() -> None:
    found = command("--inject", "fs.write:error=EIO", "-e", "fault=read:error=EIO")
    assert len(found.machine.inject) == 1
    assert [one.error for one in found.options.injections] == [errno.EIO]


def test_nothing_at_all_is_said_with_qqq() -> None:
    assert command("-qqq").machine.quiet
    assert command("--quiet=all").options.quiet == set(QUIET)
    assert not command("-qq").machine.quiet


REFUSED = [
    ([], "no program given; usage: linuxemu trace"),
    (["-f"], "no program given"),
    (["--"], "no program given"),
    ([""], "the program's name is empty"),
    (["-s", "x", "prog"], "invalid -s argument: 'x'"),
    (["-e", "foo", "prog"], "invalid system call 'foo'"),
    (["--host", "prog"], "unrecognized option '--host'"),
    (["--rpc=1", "prog"], "option '--rpc' doesn't allow an argument"),
    (["--cwd"], "option '--cwd' requires an argument"),
    (["--host-root", "--root", "/", "x"], "exclude each other"),
    (["--root", "/nonexistent/root", "x"], "--root: /nonexistent/root: No such file or directory"),
    (["-u", "root", "x"], "--user: 'root' is not UID[:GID] in numbers"),
    (["-E", "=1", "x"], "-E/--env: '=1' is neither VAR=VAL nor VAR"),
    (["-E", "", "x"], "-E/--env: '' is neither VAR=VAL nor VAR"),
    (["--format", "xml", "x"], "--format: no format 'xml'; there are text, json"),
    (["--format", "json", "-c", "x"], "--format json does not go with -c or -C"),
    (["--json", "x"], "--json needs --unsupported"),
    (["--inject", "fs.nothing:kill", "x"], "--inject: "),
    (["--inject", "nothing:error=1", "x"], "invalid system call 'nothing'"),
    (["--inject", "@/nonexistent", "x"], "--inject: /nonexistent: No such file or directory"),
    (["-e", "inject=fs.write:error=1", "x"], "invalid system call 'fs.write'"),
]


@pytest.mark.parametrize(("words", "why"), REFUSED, ids=lambda value: str(value)[:40])
def test_wrong_command_lines(words: list[str], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_abbreviations_are_strace_s() -> None:
    assert command("--en", "A=1").machine.env == {"A": "1"}  # not --engine


@pytest.mark.parametrize("words", [["-h"], ["--help", "x"], ["-f", "--hel"], ["-fh"]])
def test_help(words: list[str]) -> None:
    text = parse(words)
    assert isinstance(text, str)
    assert text.startswith("usage: linuxemu trace [OPTION...] [--] PROGRAM")
    assert max(map(len, text.splitlines())) <= 122
    groups = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert groups[:5] == ["general:", "filtering:", "output format:", "statistics:", "tampering:"]


def test_help_names_every_option() -> None:
    text = parse(["--help"])
    assert isinstance(text, str)
    refused = {"attach", "debug", "kvm", "secontext", "tips"}
    for option in OPTIONS:
        if refused.isdisjoint(option.names):
            assert not option.letter or f"-{option.letter}" in text, option
            assert not option.names or f"--{option.names[0]}" in text, option


def test_version() -> None:
    text = parse(["-V"])
    assert isinstance(text, str)
    assert text.startswith("linuxemu ")


def test_whatever_is_typed_is_read_or_refused() -> None:
    dice = random.Random(1)
    refusals = []
    given = [word for words, _, _ in recorded() for word in shlex.split(words)]
    for _ in range(3000):
        words = [damaged(dice, word) for word in dice.choices(given, k=dice.randint(1, 4))]
        try:
            parse([*words, "prog"])
        except UsageError as error:
            refusals.append(str(error))
    assert all(refusals)
    assert 100 < len(refusals) < 2900


def damaged(dice: random.Random, word: str) -> str:
    for _ in range(dice.choice((0, 0, 1, 2, 4))):
        place = dice.randint(0, len(word))
        typed = dice.choice("=:,!?@/.+-0129aexs{}[]()\\*%\0\n \u00e9\u00b2\udc80") * dice.choice((1, 1, 1, 30))
        word = word[:place] + typed + word[place + dice.randint(0, 2) :]
    return word
