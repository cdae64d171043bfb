"""Stacks of native programs as `linuxemu trace -k` finds them, against those of strace, of gdb and of the source."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from linuxemu.messages import TrapFrame
from linuxemu.trace.cfi import (
    EXPRESSION,
    OFFSET,
    REGISTER,
    SAME,
    UNDEFINED,
    VALUE_EXPRESSION,
    VALUE_OFFSET,
    FrameAddress,
    Row,
    Rule,
)
from linuxemu.trace.module import Mapping, Module, Modules
from linuxemu.trace.stack import stack_lines
from linuxemu.trace.unwind import Frame, registers_of, unwind
from syscalls.abi.numbers import X86_64
from tests.unit.native_stack import DWARF_ORDER, Stop, stops, strace_lines

pytestmark = pytest.mark.native

SOURCE = Path(__file__).parent / "data" / "stack.c"
GETPPID = 110
NESTED = ["here", "variable", "aligned", "compare", "sorting", "main"]
STACKS = [
    NESTED,
    ["here", *["recursive"] * 21, "main"],
    ["here", "handler", "main"],
    ["main"],
    ["here", "thread", "main"],
]
"""The functions of the source on the stack at each getppid()."""

Build = Any


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    directory = tmp_path_factory.mktemp("stack")

    @cache
    def compiled(command: str) -> Path:
        compiler, *flags = command.split()
        if shutil.which(compiler) is None:
            pytest.skip(f"no {compiler} to compile with")
        program = directory / f"program{len(list(directory.iterdir()))}"
        subprocess.run([compiler, *flags, "-w", "-o", str(program), str(SOURCE)], check=True)
        return program

    return compiled


def needs(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool} to compare with (Debian: apt-get install {tool})")


def frames_of(stop: Stop) -> list[Frame]:
    return unwind(stop.registers, stop.read, stop.find)


def own_functions(lines: list[str]) -> list[str]:
    """The functions of the source among the lines, without what begins before main."""
    names = re.findall(r"\((\w+)\+0x", "\n".join(lines))
    own = [name for name in names if name in {name for stack in STACKS for name in stack}]
    return own[: own.index("main") + 1] if "main" in own else own


def without_signal_return(lines: list[str]) -> list[str]:
    """strace looks up the byte before the code that a handler returns to, which is another function's."""
    behind = next((number for number, line in enumerate(lines) if "(handler+" in line), len(lines)) + 1
    return [re.sub(r"\(.*\)", "", line) if number == behind else line for number, line in enumerate(lines)]


# --- against strace --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "gcc -O2 -fomit-frame-pointer",
        "gcc -O2 -g",
        "gcc -O0",
        "gcc -Os -gdwarf-4 -gz=zlib",
        "gcc -O2 -s",
        "gcc -O2 -static-pie",
        "gcc -O2 -no-pie -DTHREADS",
        "gcc -O1 -DDEEP -fno-omit-frame-pointer",
    ],
)
def test_as_strace(command: str, build: Build) -> None:
    needs("strace")
    program = str(build(command))
    ours = [stop.lines() for stop in stops([program], GETPPID)]
    theirs = strace_lines([program], "getppid")
    if "-DTHREADS" in command:
        theirs = theirs[:4]  # the tracer of these tests follows the first thread only
    assert [without_signal_return(lines) for lines in ours] == list(map(without_signal_return, theirs))
    assert any("too many stack frames" in lines[-1] for lines in ours) == ("-DDEEP" in command)


@pytest.mark.parametrize("name", ["openat", "write", "mmap", "close"])
def test_a_program_of_the_host_as_strace(name: str) -> None:
    needs("strace")
    number = next(number for number, call in enumerate(X86_64) if call == name)
    ours = [stop.lines() for stop in stops(["/bin/ls", "-l", "/usr"], number)]
    assert ours
    assert ours == strace_lines(["/bin/ls", "-l", "/usr"], name)


# --- against gdb -----------------------------------------------------------------------------------------------


def gdb_stacks(program: Path, count: int) -> list[list[int]]:
    commands = ["set backtrace past-main on", "set backtrace past-entry on"]
    commands += ["handle SIGUSR1 nostop noprint", "catch syscall getppid", "run"]
    for _ in range(count):
        commands += ["echo == \\n", "bt", "continue", "continue"]  # a call stops twice, at its begin and at its end
    line = ["gdb", "-nx", "-batch", *(word for c in commands for word in ("-ex", c)), str(program)]
    done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    stacks = done.stdout.split("== \n")[1:]
    return [
        [int(place, 16) for place in re.findall(r"^#\d+ +0x([0-9a-f]+) in", stack, re.M)] for stack in stacks
    ]


@pytest.mark.parametrize(
    "command",
    [
        "gcc -O2 -static -no-pie",
        "gcc -O2 -g -static -no-pie -fno-asynchronous-unwind-tables",  # has .debug_frame
    ],
)
def test_as_gdb(command: str, build: Build) -> None:
    """strace 6.1 cannot leave these functions."""
    needs("gdb")
    program = build(command)
    ours = []
    for stop in stops([str(program)], GETPPID):
        frames = frames_of(stop)
        restorer = [frame for frame in frames[1:] if stop.read(frame.pc, 9) == b"\x48\xc7\xc0\x0f\0\0\0\x0f\x05"]
        ours.append([frame.pc for frame in frames if frame not in restorer])  # gdb gives it no address
    assert ours == gdb_stacks(program, len(ours))


# --- against the source ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "gcc -O2 -g",
        "gcc -O2 -static",
        "gcc -O2 -static-pie",
        "gcc -O0 -static",
        "gcc -O2 -g -fno-asynchronous-unwind-tables",
        "gcc -O0 -static -fno-asynchronous-unwind-tables",
        "musl-gcc -O2 -static",
        "musl-gcc -Os -static",
        "musl-gcc -O0 -static -fno-asynchronous-unwind-tables -fno-unwind-tables",
        "musl-gcc -O2 -static -fno-asynchronous-unwind-tables -fno-unwind-tables",
        "musl-gcc -O2 -static -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fno-unwind-tables",
    ],
)
def test_all_functions_of_the_source(command: str, build: Build) -> None:
    stacks = [own_functions(stop.lines()) for stop in stops([str(build(command))], GETPPID)]
    assert stacks == STACKS


def test_lines_of_the_source(build: Build) -> None:
    program = stops([str(build("gcc -O2 -g -static"))], GETPPID)
    stop = next(program)
    lines = stop.lines(source=True)
    source = SOURCE.read_text().splitlines()
    shown = {}
    for line in lines:
        match = re.fullmatch(r" > \S+\((\w+)\+0x[0-9a-f]+\) \[0x[0-9a-f]+\] (\S+):(\d+)", line)
        if match:
            assert match[2] == str(SOURCE)
            shown[match[1]] = source[int(match[3]) - 1].strip()
    assert shown == {
        "here": "syscall(SYS_getppid);",
        "variable": "here();",
        "aligned": "variable(300 + room[7]);",
        "compare": "aligned();",
        "sorting": "qsort(numbers, 3, sizeof *numbers, compare);",
        "main": "sorting();",
    }
    assert [line.partition("] ")[0] + "]" if "] " in line else line for line in lines] == stop.lines()


def test_a_stripped_program_has_the_same_stack(build: Build) -> None:
    named = [[f.pc for f in frames_of(stop)] for stop in stops([str(build("gcc -O2 -static"))], GETPPID)]
    stripped = [
        [frame.pc for frame in frames_of(stop)] for stop in stops([str(build("gcc -O2 -static -s"))], GETPPID)
    ]
    assert stripped == named


@pytest.mark.parametrize("command", ["gcc -O2", "gcc -O2 -rdynamic", "gcc -O2 -rdynamic -Wl,--hash-style=sysv"])
def test_a_program_without_sections(command: str, build: Build, tmp_path: Path) -> None:
    """Linux does not need them, and some tools take them away."""
    program = build(command)
    data = bytearray(program.read_bytes())
    data[40:48], data[58:64] = bytes(8), bytes(6)
    cut = tmp_path / "program"
    cut.write_bytes(data)
    cut.chmod(0o755)
    with_sections = [[frame.inside & 0xFFF for frame in frames_of(s)] for s in stops([str(program)], GETPPID)]
    own = [stop.lines() for stop in stops([str(cut)], GETPPID)]
    without = [[frame.inside & 0xFFF for frame in frames_of(stop)] for stop in stops([str(cut)], GETPPID)]
    assert without == with_sections
    if "-rdynamic" in command:
        assert ["(main+" in line for line in own[0]].count(True) == 1


# --- pieces ----------------------------------------------------------------------------------------------------


def test_registers_of_a_frame() -> None:
    names = {name: 100 + number for number, name in enumerate(TrapFrame._fields)}
    frame = TrapFrame(**names)
    found = dict(zip(DWARF_ORDER, registers_of(frame)))
    assert found == {**{n: names.get(n) for n in DWARF_ORDER}, "rcx": names["rip"], "r11": names["rflags"]}
    assert registers_of(frame, rcx=7, r11=8)[2] == 7
    assert registers_of(frame, rcx=7, r11=8)[11] == 8


PAGE, CODE = 0x1000, 0x1010
STACK = 0x8000


def walked(
    memory: dict[int, bytes], code: bytes, registers: dict[str, int], module: Any = None, **options: int
) -> list[int]:
    """The addresses of a stack in a guest of two pages: code, and a stack."""
    memory = {PAGE: (bytes(CODE - PAGE) + code).ljust(4096, b"\xcc"), STACK: bytes(4096)} | memory
    page = bytearray(memory[STACK])
    for place, data in memory.items():
        if STACK < place < STACK + 4096:
            page[place - STACK : place - STACK + len(data)] = data
    memory[STACK] = bytes(page)

    def read(address: int, length: int) -> bytes | None:
        for start in (PAGE, STACK):
            if start <= address and address + length <= start + 4096:
                return memory[start][address - start : address - start + length]
        return None

    def find(address: int) -> Mapping | None:
        return Mapping(b"/code", PAGE, 0, module or Module(b"")) if PAGE <= address < PAGE + 4096 else None

    values = [registers.get(name) for name in DWARF_ORDER]
    return [frame.pc for frame in unwind(values, read, find, **options)]


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


CALL = b"\xe8\0\0\0\0"


def test_frame_pointers_lead_on() -> None:
    code = CALL * 4
    memory = {STACK + 64: words(STACK + 96, CODE + 5), STACK + 96: words(0, CODE + 10)}
    assert walked(memory, code, {"rip": CODE + 15, "rsp": STACK + 8, "rbp": STACK + 64}) == [
        CODE + 15,
        CODE + 5,
        CODE + 10,
    ]


@pytest.mark.parametrize(
    ("saved", "target"),
    [
        (STACK + 64, CODE + 5),  # a loop
        (STACK + 96, CODE + 200),  # no call stands there
        (STACK + 96, 0xDEAD0000),  # no code
        (STACK + 96, 0),
        (STACK + 96, (1 << 64) - 1),
    ],
)
def test_what_is_no_stack_ends_it(saved: int, target: int) -> None:
    memory = {STACK + 64: words(saved, target), STACK + 96: words(0, 0)}
    found = walked(memory, CALL * 4, {"rip": CODE + 15, "rsp": STACK + 8, "rbp": STACK + 64})
    assert found == [CODE + 15, CODE + 5][: 1 + (target == CODE + 5)]


@pytest.mark.parametrize(
    "registers",
    [
        {},
        {"rip": 0, "rsp": STACK},
        {"rip": 0xDEAD},
        {"rip": CODE + 5},
        {"rip": CODE + 5, "rsp": 3, "rbp": 1 << 63},
        {"rip": CODE + 5, "rsp": STACK + 8, "rbp": STACK},
        {"rip": CODE + 5, "rsp": (1 << 64) - 8, "rbp": (1 << 64) - 8},
    ],
)
def test_registers_that_lead_nowhere(registers: dict[str, int]) -> None:
    assert len(walked({}, CALL * 4, registers)) <= 1


def test_a_stack_has_an_end() -> None:
    memory = {
        STACK + 16 * number: words(STACK + 16 * (number + 1), CODE + 5 * (1 + number % 3))
        for number in range(1, 200)
    }
    registers = {"rip": CODE + 15, "rsp": STACK + 8, "rbp": STACK + 16}
    assert len(walked(memory, CALL * 4, registers)) == 200
    assert len(walked(memory, CALL * 4, registers, deepest=50)) == 50


class Described:
    """A module in which the first function has one rule more than those of the return address and of its frame."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def address_of(self, offset: int) -> int:
        return offset

    def row(self, address: int) -> Row | None:
        return self._row if address < 0x20 else None

    def begin(self, address: int) -> int | None:
        return None


@pytest.mark.parametrize(
    ("frame", "rule", "found"),
    [
        (FrameAddress(7, 16), Rule(OFFSET, -8), True),
        (FrameAddress(6, 0), Rule(OFFSET, -8), True),
        (FrameAddress(code=b"\x77\x10"), Rule(OFFSET, -8), True),
        (FrameAddress(7, 0), Rule(EXPRESSION, 0, b"\x23\x08"), True),
        (FrameAddress(7, 0), Rule(VALUE_EXPRESSION, 0, b"\x23\x08\x06"), True),
        (FrameAddress(7, 0), Rule(REGISTER, 3), True),
        (FrameAddress(7, CODE + 60), Rule(VALUE_OFFSET, -STACK - 8 - 40), True),
        (FrameAddress(7, 0), Rule(SAME), False),  # a loop
        (FrameAddress(7, 0), Rule(UNDEFINED), False),
        (FrameAddress(7, 0), Rule(REGISTER, 99), False),
        (FrameAddress(7, 0), Rule(EXPRESSION, 0, b"\x06"), False),
        (FrameAddress(0, 0), Rule(OFFSET, -8), False),
        (FrameAddress(99, 0), Rule(OFFSET, -8), False),
        (FrameAddress(code=b"\x06"), Rule(OFFSET, -8), False),
    ],
)
def test_rules_lead_on(frame: FrameAddress, rule: Rule, found: bool) -> None:
    module = Described(Row(frame, {16: rule}, 16, False))
    memory = {STACK + 16: words(CODE + 20)}
    registers = {"rip": CODE + 4, "rsp": STACK + 8, "rbp": STACK + 24, "rbx": CODE + 20}
    expected = [CODE + 4, CODE + 20] if found else [CODE + 4]
    assert walked(memory, b"", registers, module=module) == expected
    other = Described(Row(frame, {16: rule}, 17, False))
    assert walked(memory, b"", registers, module=other) == [CODE + 4]


def test_a_signal_without_tables() -> None:
    """The context that the kernel saved is where the interrupted registers are."""
    restorer = b"\x48\xc7\xc0\x0f\0\0\0\x0f\x05"
    code = CALL * 4 + restorer
    context = bytearray(40 + 17 * 8)
    context[40 + 10 * 8 : 40 + 11 * 8] = words(STACK + 3000)  # rbp
    context[40 + 15 * 8 :] = words(STACK + 2000, CODE + 2)  # rsp, rip
    memory = {
        STACK + 64: words(0, CODE + 20),
        STACK + 80: bytes(context),
        STACK + 3000: words(0, CODE + 10),
    }
    found = walked(memory, code, {"rip": CODE + 15, "rsp": STACK + 8, "rbp": STACK + 64})
    assert found == [CODE + 15, CODE + 20, CODE + 2, CODE + 10]


def test_lines_of_a_stack() -> None:
    mapping = Mapping(b"/bin/\x1b[2J\xff", 0x5000, 0x200, None)
    frames = [Frame(0x5010, False, mapping), Frame(0x5020, True, mapping)]
    assert stack_lines(frames) == [
        " > /bin/\\033[2J\\377() [0x210]",
        " > /bin/\\033[2J\\377() [0x220]",
    ]
    assert stack_lines(frames, deepest=2)[-1] == " > too many stack frames"


def test_modules_are_read_once() -> None:
    modules = Modules(most=2)
    first = modules.add("first", b"")
    modules.add("second", b"")
    assert modules.get("first") is first
    modules.add("third", b"")
    assert modules.get("second") is None
    assert modules.get("first") is first
