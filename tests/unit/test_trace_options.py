"""What strace's options mean: the fields of `TraceOptions`, the sets behind -e, and where we differ from strace."""

from __future__ import annotations

from typing import Any

import pytest

from linuxemu.trace.filters import (
    KNOWN,
    SIGNAL_NAMES,
    SIGNALS,
    Descriptors,
    OptionError,
    descriptors,
    signals,
    system_calls,
)
from linuxemu.trace.getopt import Option, split
from linuxemu.trace.options import FD_DETAILS, QUIET, STATUSES, Output, Timestamps, TraceOptions
from linuxemu.trace.reader import OPTIONS, read
from linuxemu.trace.regex import extended
from linuxemu.trace.summary import SummaryOptions
from syscalls.abi import flags
from syscalls.abi.classes import CLASSES
from syscalls.abi.numbers import X86_64

OPEN, CLOSE = X86_64["open"], X86_64["close"]


def options(line: str) -> TraceOptions:
    return read([*line.split(), "prog"]).options


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("open", "open"),
        ("open,close", "open close"),
        ("2,close", "open close"),
        ("open@64", "open"),
        ("open@32", ""),
        ("open@x32", ""),
        ("all@32", ""),
        ("?nothing,open", "open"),
        ("/^openat", "openat openat2"),
        ("/^openat,close", "openat openat2 close"),
        ("?/nothing", ""),
        ("none", ""),
        ("!all", ""),
        ("!!open", "open"),
        ("%ipc,open", "shmget shmat shmctl semget semop semctl shmdt msgget msgsnd msgrcv msgctl semtimedop open"),
        ("337", ""),
    ],
)  # fmt: skip
def test_sets_of_system_calls(text: str, names: str) -> None:
    assert system_calls(text) == {X86_64[name] for name in names.split()}


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("!open,close", {OPEN, CLOSE}),
        ("all", set()),
        ("!none", set()),
        ("open,all", set()),
        ("!%file", CLASSES["%file"]),
    ],
)
def test_sets_of_all_but(text: str, without: set[int]) -> None:
    assert system_calls(text) == KNOWN - without


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("umount", "invalid system call 'umount'"),  # 32-bit programs have it
        ("/[[:alpha:]", "regcomp: [[:alpha:]: Unmatched"),
        ("/a{1", "regcomp: a{1: Unmatched"),
        (f"/{'(' * 3000}{')' * 3000}", "too big"),
        ("é", "invalid system call 'é'"),
        ("²", "invalid system call '²'"),
        ("9" * 5000, "invalid system call '999"),
    ],
    ids=lambda value: value[:20],
)
def test_wrong_sets_of_system_calls(text: str, why: str) -> None:
    with pytest.raises(OptionError) as caught:
        system_calls(text)
    assert why in str(caught.value)


def test_signals() -> None:
    assert signals("int,SIGTERM,9") == {2, 15, 9}
    assert signals("!int") == SIGNALS - {2}
    assert signals("rt_1,RTMIN,SIGRT_32") == {33, 32, 64}
    assert signals("0,200") == set()
    assert signals("all") == SIGNALS == set(range(1, 65))


def test_names_of_signals_are_linux_s() -> None:
    for number, name in enumerate(SIGNAL_NAMES[:32], 1):
        assert getattr(flags, f"SIG{name}") == number


def test_descriptors() -> None:
    some, others, none, every = descriptors("0,3"), descriptors("!0"), descriptors("none"), descriptors("all")
    assert (0 in some, 1 in some, 3 in some) == (True, False, True)
    assert (0 in others, 1 in others) == (False, True)
    assert (bool(some), bool(others), bool(none), bool(every)) == (True, True, False, True)
    assert every == Descriptors(others=True)
    assert hash(every) == hash(Descriptors(others=True))
    assert none != some


# What regcomp and regexec say of these was seen natively.
@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("a**", "open read a-b"),
        ("^(re|op)", "open read"),
        ("[[:lower:]]{4}$", "open read"),
        ("[]o]p", "open"),
        ("[^a-z]", "a-b"),
        ("[&&a-]-|-", "a-b"),
        ("a+?$", "open read a-b"),
        ("(a|e){1}{1}d", "read"),
        (r"\<op", "open"),
        (r"\bb", "a-b"),
        (r"\d", "read"),
        (r"(e)a?d|\1n", "read"),
        (")", ""),
        ("()", "open read a-b"),
        ("a|", "open read a-b"),
    ],
)
def test_extended_regular_expressions(expression: str, matches: str) -> None:
    assert [name for name in ("open", "read", "a-b") if extended(expression).search(name)] == matches.split()


@pytest.mark.parametrize(
    "expression",
    [
        *("*a", "^*", "(+)", "a|*", "a{", "a{}", "a{2,1}", "a{999}", "{1}", r"\<*"),
        *("(", "a(b", "[", "[[:alpha:]", "[b-a]", "[[:no:]]", "\\", r"\1"),
    ],
)
def test_wrong_regular_expressions(expression: str) -> None:
    with pytest.raises(ValueError):
        extended(expression)


MEANINGS: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("-e open", {"trace": {OPEN}}),
    ("-e t=open -e trace=close", {"trace": {CLOSE}}),
    ("--trace=open,close", {"trace": {OPEN, CLOSE}}),
    ("-e signal=none", {"signals": frozenset()}),
    ("--signal=int", {"signals": {2}}),
    ("-e status=!failed", {"status": set(STATUSES) - {"failed"}}),
    ("-z", {"status": {"successful"}}),
    ("-Z", {"status": {"failed"}}),
    ("-z -e status=failed", {"status": {"failed"}}),
    ("-e status=failed -z", {"status": {"successful"}}),
    ("-P /a --trace-path /b", {"trace_path": ("/a", "/b")}),
    ("-v", {"abbrev": frozenset()}),
    ("-v -e abbrev=open", {"abbrev": {OPEN}}),
    ("-e abbrev=open -v", {"abbrev": frozenset()}),
    ("-e v=open -e raw=close", {"verbose": {OPEN}, "raw": {CLOSE}}),
    ("-e read=3 -e w=4,5", {"read": Descriptors(frozenset((3,))), "write": Descriptors(frozenset((4, 5)))}),
    ("-q", {"quiet": {"attach", "personality"}}),
    ("-qq", {"quiet": {"attach", "personality", "exit"}}),
    ("-q -q -qq", {"quiet": set(QUIET)}),
    ("--quiet", {"quiet": {"attach", "personality"}}),
    ("--silent=exits,superseded", {"quiet": {"exit", "thread-execve"}}),
    ("-y", {"decode_fds": {"path"}}),
    ("-yy", {"decode_fds": set(FD_DETAILS)}),
    ("--decode-fds", {"decode_fds": {"path"}}),
    ("-e decode-fd=dev,PIDFD", {"decode_fds": {"dev", "pidfd"}}),
    ("-Y", {"decode_pids": {"comm"}}),
    ("-Y --pidns-translation", {"decode_pids": {"pidns"}}),
    ("-f", {"follow_forks": True}),
    ("-b execve", {"detach_on_execve": True}),
    ("-ff -o a -e q=exit", {"follow_forks": True, "output_separately": True, "output": Output("a"), "quiet": {"exit"}}),
    ("-ff", {"follow_forks": True}),
    ("-o log -A -e quiet=none", {"output": Output("log"), "output_append": True, "quiet": frozenset()}),
    ("-o |cat -q", {"output": Output("cat", True), "quiet": {"attach", "personality"}}),
    ("-o a -o !b -e q=exit", {"output": Output("b", True), "quiet": {"exit"}}),
    ("-I 3", {"interruptible": 3}),
    ("-I Never_tstp", {"interruptible": 4}),
    ("-t", {"absolute_timestamps": Timestamps("time", 0)}),
    ("-tt", {"absolute_timestamps": Timestamps("time", 6)}),
    ("-ttttt", {"absolute_timestamps": Timestamps("unix", 6)}),
    ("--timestamps=ns", {"absolute_timestamps": Timestamps("time", 9)}),
    ("--absolute-timestamps=format:unix,precision:ms", {"absolute_timestamps": Timestamps("unix", 3)}),
    ("--absolute-timestamps=unix --timestamps=none", {}),
    ("-r", {"relative_digits": 6}),
    ("--relative-timestamps=s", {"relative_digits": 0}),
    ("-T", {"syscall_time_digits": 6}),
    ("--syscall-times=NS", {"syscall_time_digits": 9}),
    ("-s 0", {"string_limit": 0}),
    ("-frTs200", {"follow_forks": True, "relative_digits": 6, "syscall_time_digits": 6, "string_limit": 200}),
    ("--string-lim 010", {"string_limit": 10}),
    ("-x", {"hex_strings": "non-ascii"}),
    ("-xx", {"hex_strings": "all"}),
    ("--strings-in-hex", {"hex_strings": "all"}),
    ("--strings-in-hex=non-ascii-chars", {"hex_strings": "non-ascii-chars"}),
    ("--strings-in-hex=none", {}),
    ("-X raw", {"constants": "raw"}),
    ("-a60", {"columns": 60}),
    ("-i -n -k", {"instruction_pointer": True, "syscall_number": True, "stack_traces": True}),
    ("-c", {"summary": SummaryOptions(), "summary_only": True}),
    ("-C -S name -w -O 5", {"summary": SummaryOptions(sort_by="name", wall_clock=True, overhead_ns=5000)}),
    ("-C -S time -U time,count", {"summary": SummaryOptions(columns=("time-percent", "calls"))}),
    ("-C -S nothing -O 1.5ms", {"summary": SummaryOptions(sort_by="", overhead_ns=1_500_000)}),
    ("-DDD --seccomp-bpf", {}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "fields"), MEANINGS)
def test_what_options_mean(line: str, fields: dict[str, Any]) -> None:
    assert options(line) == TraceOptions(**fields)


def test_unknown_calls_are_always_shown() -> None:
    nothing = options("-e trace=none")
    assert not nothing.shows(OPEN)
    assert nothing.shows(400)
    assert nothing.shows(2**64 - 1)
    assert options("").shows(OPEN)
    assert not options("-e !open").shows(OPEN)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-p 1", "-p: linuxemu traces the program that it runs"),
        ("--attach=1", "--attach: linuxemu traces the program"),
        ("-d", "-d: there is no debug output"),
        ("-e kvm=vcpu", "-e kvm=vcpu: no guest can use KVM"),
        ("--kvm=vcpu", "--kvm: no guest can use KVM"),
        ("--tips", "--tips: there are no tips"),
        ("--secontext", "--secontext: no guest has SELinux"),
        ("-e inject=open:delay_exit=1e24s", "invalid inject argument"),
        ("-e inject=open:poke_exit=@arg1=-1", "invalid inject argument"),
    ],
)
def test_what_strace_has_and_we_have_not(line: str, why: str) -> None:
    with pytest.raises(OptionError) as caught:
        options(line)
    assert str(caught.value).startswith(why)


def test_what_is_not_about_the_trace_is_handed_on() -> None:
    mine = Option("", ("mine",), "required")
    found = read(["-E", "A=1", "--env=B", "-u5", "-f", "--mine", "x", "prog", "-f"], (mine,))
    assert found.others == {"--env": ["A=1", "B"], "--user": ["5"], "--mine": ["x"]}
    assert found.argv == ["prog", "-f"]


@pytest.mark.parametrize("word", ["-h", "--help", "-V", "--vers"])
def test_help_and_version_come_first(word: str) -> None:
    found = read([word, "-s", "wrong"])
    assert list(found.others) in (["--help"], ["--version"])


LETTERS = (
    Option("a"),
    Option("b", ("bee", "beetle"), "optional"),
    Option("", ("bear",), "required"),
    Option("c", ("sea",), "required"),
    Option("", ("seal",), whole=True),
)


@pytest.mark.parametrize(
    ("words", "given", "rest"),
    [
        ([], [], []),
        (["-ab", "-cx"], ["-a", "-b", "-c=x"], []),
        (["-acx=y", "z"], ["-a", "-c=x=y"], ["z"]),
        (["-c", "--", "--", "-a"], ["-c=--"], ["-a"]),
        (["-b", "x"], ["-b"], ["x"]),
        (["--bee", "x"], ["--bee"], ["x"]),
        (["--beetle="], ["--beetle="], []),
        (["--beet=1=2"], ["--beetle=1=2"], []),
        (["--bear", "-a"], ["--bear=-a"], []),
        (["--se=1"], ["--sea=1"], []),
        (["--seal", "-"], ["--seal"], ["-"]),
        (["", "-a"], [], ["", "-a"]),
    ],
)
def test_words_are_read_as_getopt_long_does(words: list[str], given: list[str], rest: list[str]) -> None:
    found, behind = split(words, LETTERS)
    assert [one.spelled + (f"={one.value}" if one.value is not None else "") for one in found] == given
    assert behind == rest


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-x"], "invalid option -- 'x'"),
        (["-ax"], "invalid option -- 'x'"),
        (["-c"], "option requires an argument -- 'c'"),
        (["--sea"], "option '--sea' requires an argument"),
        (["--seal=1"], "option '--seal' doesn't allow an argument"),
        (["--other=1"], "unrecognized option '--other=1'"),
        (["--=1"], "unrecognized option '--=1'"),
        (["--be=1"], "option '--be=1' is ambiguous; possibilities: '--bee' '--beetle' '--bear'"),
    ],
)
def test_words_that_getopt_long_refuses(words: list[str], why: str) -> None:
    with pytest.raises(OptionError) as caught:
        split(words, LETTERS)
    assert str(caught.value) == why


def test_options_have_one_name_each() -> None:
    names = [name for option in OPTIONS for name in (option.letter, *option.names) if name]
    assert len(names) == len(set(names))
