"""The parts of tools/difftest: language, compiler, what is compared, shrinking, the command line."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.differ import code
from tools.differ.cli import main
from tools.differ.compare import Comparer, Difference, Known, known
from tools.differ.generate import a_script, scripts
from tools.differ.outcome import lines
from tools.differ.running import Process, Raw
from tools.differ.script import Call, Fork, Number, ScriptError, parse, quote, show
from tools.differ.shrink import shrink
from tools.differ.vocabulary import LEFT_OUT, SUBJECTS, calls

if TYPE_CHECKING:
    from tools.differ.script import Script

EVERYTHING = r"""p = buffer(8)
pipe2(p, O_CLOEXEC)
c = fork {
    write(p[1], "x\x00\x22", 1)
    pass
    exit_group(3)
}
a = openat(AT_FDCWD, "a", O_RDWR|O_CREAT, 0644)
poll([{p[0], POLLIN, 0}], 1, -1)
fcntl(a, F_SETLK, Flock{F_WRLCK, 0, 0, 1, 0})
read(p[0], edge(4), 4)
rt_sigaction(SIGUSR1, {HANDLER, SA_SIGINFO, RESTORER, [SIGUSR2]}, out(32), 8)
go c
select(4, [a, 3], 0, 0, {0, 1000})
poke(ARENA+4096, 7)
"""


def head(kind: str, records: int, number: int, result: int) -> bytes:
    return struct.pack("<BBHq", ord(kind), records, number, result)


def seen(text: str, log: bytes, *, pid: int = 3, slow: bool = False, complaint: str = "") -> list[str]:
    script = parse(text)
    raw = Raw(slow, 0, (Process(pid, log),), complaint)
    return lines(script, code.compiled(script), raw)


def test_a_script_is_what_it_says() -> None:
    script = parse(EVERYTHING)
    assert show(script) == EVERYTHING
    assert isinstance(script[2], Fork)
    assert parse("# nothing\n\n  close(3)  # but this\n") == (Call("close", (Number(3),)),)


@settings(deadline=None)
@given(st.sampled_from(sorted(SUBJECTS)).flatmap(a_script))
def test_generated_scripts_can_be_read_and_run(script: Script) -> None:
    assert parse(show(script)) == script
    assert code.compiled(script).code


@given(st.binary(max_size=50))
def test_any_bytes_can_be_written(data: bytes) -> None:
    assert show(parse(f"chdir({quote(data)})\n")) == f"chdir({quote(data)})\n"


@given(st.text(alphabet='ab09 =(){}[]|+-,"\\#\n\u00e9xfork', max_size=60))
def test_any_text_is_a_script_or_an_error(text: str) -> None:
    try:
        code.compiled(parse(text))
    except ScriptError:
        pass


def test_the_documentation_says_what_differs_on_purpose() -> None:
    page = (Path(__file__).parents[2] / "docs/difftest.md").read_text("utf-8")
    told = page.partition("## What differs on purpose")[2].splitlines()
    assert [line[2:] for line in told if line.startswith("- ")] == [each.reason for each in known()]


def test_the_same_seed_makes_the_same_scripts() -> None:
    assert scripts("files", 7, 5) == scripts("files", 7, 5) != scripts("files", 8, 5)


@pytest.mark.parametrize("subject", sorted(SUBJECTS))
def test_every_call_of_a_subject_is_one(subject: str) -> None:
    assert set(calls(subject)) <= set(code.declarations())
    assert not set(calls(subject)) & LEFT_OUT


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("close(", "line 1: number expected"),
        ("close(3) 4", "line 1: end expected, not 4"),
        ("close(@)", "line 1: cannot read"),
        ("close(O_NOTHING|O_RDWR)", "O_NOTHING is no constant"),
        ("close(0x1ffffffffffffffff)", "more than 64 bits"),
        ('chdir("\u00e9")', "line 1: a text has bytes"),
        ("c = fork {\nclose(1)", "line 2: a fork without }"),
        ("}", "line 1: } without a fork"),
        ("p = buffer()", "a buffer has a name and a size"),
        ("read(0, mem(3), 3)", "mem() is no memory"),
        ("close(p[-1])", "one number as index"),
    ],
)
def test_what_cannot_be_read(text: str, complaint: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse(text)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fork()", "no system call that scripts can make"),
        ("reboot(1, 2, 3, 4)", "no system call that scripts can make"),
        ("nothing()", "no system call that scripts can make"),
        ("close(1, 2)", "close has 1 arguments"),
        ("close(r1)", "r1 is not known"),
        ("go c", "c is not known"),
        ("p = buffer(4)\nclose(p[1])", "p has no int 1"),
        ("p = buffer(4)\np = dup(1)", "p is a buffer"),
        ("read(0, out(100000), 1)", "no memory of 100000 bytes is left"),
        ("read(0, edge(5000), 1)", "an edge has at most"),
        ("fcntl(0, F_SETLK, Nothing{1})", "Nothing is no structure"),
        ("nanosleep({1, 2, 3}, 0)", "Timespec has 2 fields"),
        ("peek()", "peek(ADDRESS)"),
        ("poke(ARENA, 256)", "a byte is a number up to 255"),
    ],
)
def test_what_cannot_be_run(text: str, complaint: str) -> None:
    with pytest.raises(ScriptError) as caught:
        code.compiled(parse(text))
    assert complaint in str(caught.value)


def test_too_many_names() -> None:
    with pytest.raises(ScriptError, match="too many names"):
        code.compiled(parse("\n".join(f"r{index} = getpid()" for index in range(300))))


def test_structures_lie_as_linux_has_them() -> None:
    assert code.fields("Pollfd") == ([(0, 4), (4, 2), (6, 2)], 8)
    assert code.fields("Flock")[0] == [(0, 2), (2, 2), (8, 8), (16, 8), (24, 4)]


def test_results_are_named() -> None:
    log = head("C", 0, 0, -2) + head("C", 0, 1, 5) + head("C", 0, 2, 0x7F00_0000_0000) + head("E", 0, 0, 0)
    assert seen('chdir("x")\ngetpid()\nmmap(0, 1, 0, 0, -1, 0)\n', log) == [
        'chdir("x") = ENOENT',
        "getpid() = pid 2",
        "mmap(0, 1, 0, 0, -1, 0) = address",
        "end",
        "it ends with status 0x0",
    ]


def test_memory_is_shown_by_its_type() -> None:
    record = struct.pack("<H", 4) + b"hi" + bytes([code.UNTOUCHED] * 2)
    assert seen("read(0, out(4), 4)", head("C", 1, 0, 2) + record)[0].endswith('buf: "hi"+2 untouched')
    record = struct.pack("<Hihh", 8, 3, 1, 1)
    found = seen("poll([{3, 1, 0}], 1, 0)", head("C", 1, 0, 1) + record)
    assert found[0].endswith("fds: {fd=3 events=1 revents=1}")
    record = struct.pack("<Hqq", 16, 12345, 6)
    assert seen("clock_gettime(0, out(16))", head("C", 1, 0, 0) + record)[0].endswith("tp: a time")


def test_signals_faults_and_ends_are_told() -> None:
    info = struct.pack("<H7i4x", 32, 10, 0, 0, 0, 4, 0, 0)
    log = head("S", 1, 10, 0) + info + head("P", 0, 0, -(11 << 8 | 1))
    found = seen("peek(ARENA)", log, slow=True, complaint="it broke")
    assert found == [
        "signal signo 10 errno 0 code 0 pid 1 uid 0",
        "peek(ARENA) = signal 11 code 1",
        "it takes too long",
        "linuxemu: it broke",
    ]


def test_a_log_that_was_cut_short_is_read_as_far_as_it_goes() -> None:
    whole = head("C", 1, 0, 2) + struct.pack("<H", 4) + b"abcd"
    for size in range(len(whole)):
        assert seen("read(0, out(4), 4)", whole[:size])


def test_directories_are_sorted() -> None:
    def entry(name: bytes) -> bytes:
        return struct.pack("<QqHB", 1, 1, 24, 8) + name.ljust(5, b"\0")

    data = entry(b"b") + entry(b"a")
    log = head("C", 1, 0, 48) + struct.pack("<H", len(data)) + data
    assert seen("getdents64(0, out(48), 48)", log)[0].endswith("dirp: a:8 b:8")


def test_shrinking_keeps_what_differs() -> None:
    script = parse(EVERYTHING)

    def has_open(candidates: list[Script]) -> list[bool]:
        return ["openat" in show(each) and "O_CREAT" in show(each) for each in candidates]

    assert show(shrink(script, has_open)) == 'a = openat(AT_FDCWD, "a", O_CREAT, 00)\n'


class Sides:
    """A runner that answers from lists."""

    def __init__(self, native: int, guest: int, *, ends: bool = False) -> None:
        self.native_result, self.guest_result, self.ends = native, guest, ends

    def native(self, ready: list[code.Compiled], limit_ms: int = 0) -> list[Raw]:
        return [Raw(False, 0, (Process(3, head("C", 0, 0, self.native_result)),)) for _ in ready]

    def guest(self, ready: list[code.Compiled], limit_ms: int = 0) -> list[Raw]:
        if self.ends:
            return [Raw(False, 0, (), "it broke")]
        return [Raw(False, 0, (Process(3, head("C", 0, 0, self.guest_result)),)) for _ in ready]


def compare(sides: Sides, meant: list[Known] | None = None) -> list[Difference | None]:
    comparer = Comparer(sides, meant or [])  # type: ignore[arg-type]
    return comparer.differences([parse("close(1)"), parse("close(2)")])


def test_differences_are_found() -> None:
    assert compare(Sides(0, 0)) == [None, None]
    found = compare(Sides(-9, 0))[1]
    assert found is not None
    assert found.first == ("close(2) = EBADF", "close(2) = 0")
    assert found.signature == ("close", "EBADF", "N")


def test_the_end_of_the_guest_is_told_for_its_script() -> None:
    found = compare(Sides(0, 0, ends=True))
    assert [each is not None and each.guest[-1] for each in found] == ["linuxemu: it broke"] * 2


def test_what_is_meant_is_no_difference() -> None:
    assert compare(Sides(-9, 0), [Known("EBADF", "= 0$", "so it is")]) == [None, None]
    assert all(compare(Sides(-9, 0), [Known("EBADF", "= 0$", "so it is", "dup")]))


def test_each_known_difference_has_a_reason() -> None:
    assert all(entry.reason for entry in known())
    assert len(known()) < 20


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--replay", "nowhere.script"], "No such file"),
        (["--replay", "bad.script"], "bad.script: line 1:"),
    ],
)
def test_bad_use_is_one_line(
    words: list[str],
    complaint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.script").write_text("close(")
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("tools/difftest: ")
    assert complaint in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("words", [["--count", "0"], ["--subject", "nothing"], ["--count", "x"]])
def test_bad_options(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
