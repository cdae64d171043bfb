"""The tables of ELF files that `linuxemu trace -k` reads: rules for unwinding, names, lines; whole and damaged."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

from linuxemu.trace.calls import CallTargets
from linuxemu.trace.cfi import (
    EXPRESSION,
    OFFSET,
    REGISTER,
    SAME,
    UNDEFINED,
    VALUE_EXPRESSION,
    VALUE_OFFSET,
    FrameAddress,
    Rule,
    UnwindTable,
    row_at,
)
from linuxemu.trace.elf import Elf, decompressed
from linuxemu.trace.expression import evaluate
from linuxemu.trace.instruction import at_call, stack_depths, text
from linuxemu.trace.lines import Lines
from linuxemu.trace.module import Mapping, Module
from linuxemu.trace.stack import stack_lines
from linuxemu.trace.symbols import Symbols
from linuxemu.trace.unwind import unwind
from loader.frames import CallFrames, Entry
from loader.leb128 import signed, unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = Path(__file__).parent / "data" / "stack.c"
MASK = (1 << 64) - 1

# --- numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "number", "negative"),
    [
        (b"\0", 0, 0),
        (b"\x3f", 63, 63),
        (b"\x40", 64, -64),
        (b"\xe5\x8e\x26", 624485, 624485),
        (b"\xc0\xbb\x78", 1973696, -123456),
        (b"\xff" * 9 + b"\x01", MASK, MASK),
        (b"\x80" * 9 + b"\x7f", 0x7F << 63, -(1 << 63)),
    ],
)
def test_leb128(data: bytes, number: int, negative: int) -> None:
    assert unsigned(b"x" + data, 1) == (number, 1 + len(data))
    assert signed(b"x" + data, 1) == (negative, 1 + len(data))


def test_leb128_that_is_none() -> None:
    with pytest.raises(IndexError):
        unsigned(b"\x80\x80", 0)
    with pytest.raises(ValueError):
        unsigned(b"\x80" * 11, 0)


# --- expressions -----------------------------------------------------------------------------------------------

REGISTERS: list[int | None] = [*range(100, 116), 0x1234]


def read(address: int, length: int) -> bytes | None:
    return bytes(range(address, address + length)) if address + length < 200 else None


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("30", 0),
        ("4f", 31),
        ("08ff", 255),
        ("09ff", MASK),
        ("0a0180", 0x8001),
        ("0b0180", 0x8001 - (1 << 16) & MASK),
        ("0c01000080", 0x80000001),
        ("0d01000080", 0x80000001 - (1 << 32) & MASK),
        ("0e0100000000000080", (1 << 63) + 1),
        ("0fffffffffffffffff", MASK),
        ("108001", 128),
        ("117f", MASK),
        ("7708", 107 + 8),
        ("777f", 107 - 1),
        ("920708", 107 + 8),
        ("3106", 0x0807060504030201),
        ("319402", 0x0201),
        ("313212", 2),  # dup
        ("31323313", 2),  # drop
        ("313214", 1),  # over
        ("3132331502", 1),  # pick
        ("313216", 1),  # swap
        ("31323317", 2),  # rot
        ("09fe19", 2),  # abs
        ("3f3b1a", 0x0F & 0x0B),
        ("09f9321b", -3 & MASK),  # div
        ("31321c", MASK),  # minus
        ("37331d", 1),  # mod
        ("37331e", 21),
        ("371f", -7 & MASK),
        ("3020", MASK),
        ("313221", 3),
        ("313222", 3),
        ("3123e807", 1001),  # plus_uconst
        ("313424", 16),
        ("31084024", 0),
        ("09803325", MASK - 127 >> 3),
        ("09803326", -16 & MASK),
        ("313327", 2),
        ("09ff312a", 0),
        ("31312a", 1),
        ("3231" "2b", 1),
        ("31312c", 1),
        ("09ff302d", 1),
        ("313129", 1),
        ("31312e", 0),
        ("31322f010033", 2),  # skip
        ("3331280100303496", 4),  # branch
        ("33302801003096", 0),
    ],
)
def test_an_expression(code: str, value: int | None) -> None:
    assert evaluate(bytes.fromhex(code), None, REGISTERS, read) == value


def test_the_frame_of_a_plt_entry() -> None:
    """Behind its push of a number the stack is higher by a word."""
    code = bytes.fromhex("770880003f1a3b2a332422")
    assert evaluate(code, None, [*REGISTERS[:16], 0x100A], read) == 115
    assert evaluate(code, None, [*REGISTERS[:16], 0x100B], read) == 115 + 8


@pytest.mark.parametrize(
    "code",
    [
        "", "22", "3122", "13", "14", "16", "17", "1505", "06", "0c01", "08", "7a", "92ff01", "2f0100", "2ffdff",
        "2f0080", "03", "ff", "96", "31301b", "31301d", "08ff06", "319409", "319400",
        "31" * 300,
        "312ffcff",
    ],
)  # fmt: skip
def test_an_expression_without_a_value(code: str) -> None:
    assert evaluate(bytes.fromhex(code), None, [None] * 17, read) is None


def test_an_expression_begins_with_the_frame() -> None:
    assert evaluate(bytes.fromhex("2308"), 1000, REGISTERS, read) == 1008


# --- rules -----------------------------------------------------------------------------------------------------


def section(
    instructions: bytes,
    *,
    common: bytes = bytes.fromhex("0c07089001"),
    letters: bytes = b"zR",
    version: int = 1,
    start: int = 0x500,
    size: int = 0x80,
    debug: bool = False,
    wide: bool = False,
) -> bytes:
    """A section of one function at 0x1500, in a section at 0x1000."""
    head = bytes([version]) + letters + b"\0" + (b"\x08\0" if version == 4 else b"") + b"\x01\x78\x10"
    if letters.startswith(b"z"):
        head += b"\x01\x1b"
    pointer = 8 if wide and debug else 4

    def record(reference: int, body: bytes) -> bytes:
        body = reference.to_bytes(pointer, "little") + body
        return (b"\xff" * 4 + len(body).to_bytes(8, "little") if wide else struct.pack("<I", len(body))) + body

    first = record((1 << 8 * pointer) - 1 if debug else 0, head + common)
    behind = len(first) + (12 if wide else 4)
    if debug:
        body = struct.pack("<QQ", 0x1000 + start, size)
    else:
        body = struct.pack("<iI", start - behind - pointer, size) + b"\0"
    return first + record(0 if debug else behind, body + instructions)


def rules(instructions: str, offset: int = 0, **options: int) -> tuple[FrameAddress, dict[int, Rule]] | None:
    table = UnwindTable(CallFrames(section(bytes.fromhex(instructions), **options), 0x1000), 0x1000)
    entry = table.find(0x1500 + offset)
    assert entry is not None
    row = row_at(entry, 0x1500 + offset)
    return None if row is None else (row.frame, row.rules)


RETURN = {16: Rule(OFFSET, -8)}


@pytest.mark.parametrize(
    ("instructions", "offset", "frame", "expected"),
    [
        ("", 0, (7, 8), {}),
        ("00", 0, (7, 8), {}),
        ("410e10", 0, (7, 8), {}),
        ("410e10", 1, (7, 16), {}),
        ("02100e10", 15, (7, 8), {}),
        ("02100e10", 16, (7, 16), {}),
        ("0310000e10", 16, (7, 16), {}),
        ("04100000000e10", 16, (7, 16), {}),
        ("0d06", 0, (6, 8), {}),
        ("0c0620", 0, (6, 32), {}),
        ("12067e", 0, (6, 16), {}),
        ("137e", 0, (7, 16), {}),
        ("8602", 0, (7, 8), {6: Rule(OFFSET, -16)}),
        ("050602", 0, (7, 8), {6: Rule(OFFSET, -16)}),
        ("11067e", 0, (7, 8), {6: Rule(OFFSET, 16)}),
        ("2f0602", 0, (7, 8), {6: Rule(OFFSET, 16)}),
        ("140602", 0, (7, 8), {6: Rule(VALUE_OFFSET, -16)}),
        ("15067e", 0, (7, 8), {6: Rule(VALUE_OFFSET, 16)}),
        ("0710", 0, (7, 8), {16: Rule(UNDEFINED)}),
        ("0806", 0, (7, 8), {6: Rule(SAME)}),
        ("090603", 0, (7, 8), {6: Rule(REGISTER, 3)}),
        ("1006027708", 0, (7, 8), {6: Rule(EXPRESSION, 2, b"\x77\x08")}),
        ("1606027708", 0, (7, 8), {6: Rule(VALUE_EXPRESSION, 2, b"\x77\x08")}),
        ("8602c6", 0, (7, 8), {}),
        ("86020606", 0, (7, 8), {}),
        ("0710d0", 0, (7, 8), {}),
        ("0a86020e200b", 0, (7, 8), {}),
        ("2e10", 0, (7, 8), {}),
        ("9c02", 0, (7, 8), {}),  # a vector register
    ],
)
def test_a_rule(
    instructions: str, offset: int, frame: tuple[int, int], expected: dict[int, Rule]
) -> None:
    assert rules(instructions, offset) == (FrameAddress(*frame), RETURN | expected)


def test_a_frame_by_expression() -> None:
    assert rules("0f027710") == (FrameAddress(code=b"\x77\x10"), RETURN)


@pytest.mark.parametrize("instructions", ["3f", "0b", "0e", "86", "0a" * 65, "0e" + "80" * 12])
def test_instructions_that_are_damaged(instructions: str) -> None:
    assert rules(instructions) is None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"wide": True},
        {"debug": True, "letters": b"", "version": 3},
        {"debug": True, "letters": b"", "version": 4},
        {"debug": True, "letters": b"", "version": 4, "wide": True},
    ],
)
def test_sections_of_all_kinds(options: dict[str, bool]) -> None:
    data = section(b"\x41\x0e\x10", **options)
    frames = CallFrames(data, 0x1000, debug="debug" in options)
    ((start, size, position, signal),) = frames.ranges()
    assert (start, size, signal) == (0x1500, 0x80, False)
    entry = frames.entry(position)
    assert isinstance(entry, Entry)
    assert entry.instructions == b"\x41\x0e\x10"
    table = UnwindTable(frames, 0x1000)
    assert table.find(0x157F) == entry
    assert table.find(0x1580) is None
    assert table.find(0x14FF) is None


@pytest.mark.parametrize("position", [-1, -8, 0, 1, 1000, 1 << 70])
def test_no_entry_at_a_place(position: int) -> None:
    assert CallFrames(section(b""), 0x1000).entry(position) is None


def test_the_index_of_a_section() -> None:
    data = section(b"\x41\x0e\x10")
    ((_, _, position, _),) = CallFrames(data, 0x1000).ranges()
    header = bytes.fromhex("011b033b") + struct.pack("<iI", 0, 1) + struct.pack("<ii", -0x500, position - 0xA00)
    table = UnwindTable(CallFrames(data, 0x1000), 0x1000, header, 0x1A00)
    assert table.find(0x1510) == CallFrames(data, 0x1000).entry(position)
    assert table.find(0x14FF) is None
    assert table.find(0x1580) is None
    damaged = header[:-4] + struct.pack("<i", -0x7FFFFFFF)
    assert UnwindTable(CallFrames(data, 0x1000), 0x1000, damaged, 0x1A00).find(0x1510) is None
    unknown = b"\x02" + header[1:]
    assert UnwindTable(CallFrames(data, 0x1000), 0x1000, unknown, 0x1A00).find(0x1510) is not None


# --- ELF -------------------------------------------------------------------------------------------------------


def test_compressed_sections() -> None:
    data = b"line" * 1000
    packed = zstandard.ZstdCompressor().compress(data)
    assert decompressed(1, zlib.compress(data), len(data)) == data
    assert decompressed(2, packed, len(data)) == data
    for kind, damaged in ((1, b"damaged"), (2, b"damaged"), (3, data)):
        assert decompressed(kind, damaged, len(data)) == b""
    assert decompressed(1, zlib.compress(data), 1 << 40) == b""
    assert decompressed(1, zlib.compress(data), 5) == data[:5]
    assert decompressed(2, packed, 5) == data[:5]


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF" + b"\xff" * 60, b"\x7fELF" + bytes(99)])
def test_a_file_that_is_no_program(data: bytes) -> None:
    module = Module(data)
    assert module.address_of(0) is None
    assert module.symbol(0x1000) is None
    assert module.line(0x1000) is None
    assert module.row(0x1000) is None
    assert module.begin(0x1000) is None


def test_names_as_strace_chooses_them() -> None:
    entries = ((1, 0x22, 16), (6, 0x12, 16), (13, 0x11, 24), (18, 0x12, 0x8000))
    table = b"".join(struct.pack("<IBBHQQ", n, k, 0, 1, v, 4) for n, k, v in entries)
    symbols = Symbols(Elf(program_of(table, b"\0weak\0global\0data\0far\0")))
    assert symbols.find(15) is None
    assert symbols.find(16) == ("weak", 16)
    assert symbols.find(40) == ("weak", 16)  # its size does not matter, nor does data
    assert symbols.find(0x7FFF) is None  # farther away than the file is long
    assert symbols.find(0x8001) == ("far", 0x8000)


def program_of(symbols: bytes, strings: bytes) -> bytes:
    """An ELF file with one table of symbols."""
    places = (64, 64 + len(symbols))
    head = b"\x7fELF\2\1\1".ljust(32, b"\0") + struct.pack("<QQ", 0, 64 + len(symbols) + len(strings))
    head = (head + bytes(10)).ljust(58, b"\0") + struct.pack("<HHH", 64, 2, 9)
    section_headers = struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, places[0], len(symbols), 1, 0, 0, 24)
    section_headers += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, places[1], len(strings), 0, 0, 0, 0)
    return head + symbols + strings + section_headers


def test_targets_of_calls() -> None:
    code = b"\x90" * 16 + b"\xe8" + struct.pack("<i", -21) + b"\xe8" + struct.pack("<i", 1 << 20) + b"\xc3"
    targets = CallTargets(code, 0x1000)
    assert targets.before(0x1010) == 0x1000
    assert targets.before(0xFFF) is None


# --- lines -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    directory = tmp_path_factory.mktemp("tables")

    def build(flags: str) -> Path:
        if shutil.which("gcc") is None:
            pytest.skip("no gcc to compile with")
        path = directory / flags.replace("/", "_")
        if not path.exists():
            subprocess.run(["gcc", *flags.split(), "-w", "-o", str(path), str(SOURCE)], check=True)
        return path

    return build


@pytest.mark.parametrize(
    "flags",
    [
        "-O2 -gdwarf-2",
        "-O2 -gdwarf-3",
        "-O2 -gdwarf-4",
        "-O2 -gdwarf-5",
        "-O0 -g -gz=zlib",
        "-Os -g -gz=zlib-gnu",
        "-O2 -g -ffunction-sections",
    ],
)
def test_lines_as_addr2line(flags: str, program: Callable[[str], Path]) -> None:
    if shutil.which("addr2line") is None:
        pytest.skip("no addr2line to compare with (Debian: apt-get install binutils)")
    path = program(flags)
    module = Module(path.read_bytes())
    addresses = range(0x1000, 0x1500)
    words = "\n".join(map(hex, addresses))
    done = subprocess.run(["addr2line", "-e", path], input=words, capture_output=True, text=True)
    theirs = [line.split(" (")[0] for line in done.stdout.splitlines()]
    ours = [f"{line.file}:{line.number}" if (line := module.line(a)) else "??:0" for a in addresses]
    # A file without a line is the name of a symbol's.
    assert ours == ["??:0" if line.startswith("??") or line.endswith(":?") else line for line in theirs]
    assert len(set(ours)) > 20


def test_lines_in_the_64_bit_format(program: Callable[[str], Path]) -> None:
    """addr2line cannot read them everywhere."""
    wide, usual = (Module(program(f"-O2 {flags}").read_bytes()) for flags in ("-gdwarf64 -gdwarf-5", "-gdwarf-5"))
    addresses = range(0x1000, 0x1500)
    assert [wide.line(address) for address in addresses] == [usual.line(address) for address in addresses]


def test_names_of_files_as_given_to_the_compiler(program: Callable[[str], Path], tmp_path: Path) -> None:
    program("-O2")  # or there is no compiler
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "header.h").write_text("static int helper(int a) { return a * a + 3; }\n")
    (tmp_path / "main.c").write_text('#include "inner/header.h"\nint main(int c, char **v) { return helper(c); }\n')
    for version in (4, 5):
        line = ["gcc", f"-gdwarf-{version}", "-O0", "-o", "program", "main.c"]
        subprocess.run(line, check=True, cwd=tmp_path)
        module = Module((tmp_path / "program").read_bytes())
        found = {line.file for address in range(0x1000, 0x1400) if (line := module.line(address))}
        assert found == {"main.c", "inner/header.h"}


def line_program(version: int, tables: bytes, code: bytes) -> bytes:
    """A line program of minimum length 1, line base -5, line range 14 and 14 opcodes, the last of which takes two."""
    head = b"\x01" + (b"\x01" if version >= 4 else b"") + b"\x01\xfb\x0e\x0e"
    head += bytes.fromhex("00010101010000000100000102") + tables
    sizes = b"\x08\0" if version == 5 else b""
    body = struct.pack("<H", version) + sizes + struct.pack("<I", len(head)) + head + code
    return struct.pack("<I", len(body)) + body


def set_address(address: int) -> bytes:
    return b"\0\x09\x02" + address.to_bytes(8, "little")


OLD_TABLES = b"inc\0/abs\0\0a.c\0\0\0\0b.h\0\x01\0\0c.h\0\x02\0\0/d.h\0\x01\0\0\0"
NEW_TABLES = (
    b"\x01\x01\x08" + b"\x03/where\0inc\0/abs\0"
    # Files with a path, a directory, and a number of bytes, a checksum and a block that do not matter.
    + b"\x05\x01\x08\x02\x0b\x04\x0f\x05\x1e\x06\x09"
    + b"\x03" + b"".join(
        name + b"\0" + bytes([directory]) + b"\x81\x01" + bytes(16) + b"\x02xx"
        for name, directory in ((b"a.c", 0), (b"b.h", 1), (b"c.h", 2))
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("version", "tables", "code", "expected"),
    [
        (4, OLD_TABLES, "01", ("a.c", 1)),
        (2, OLD_TABLES, "040201", ("inc/b.h", 1)),
        (3, OLD_TABLES, "040301", ("/abs/c.h", 1)),
        (4, OLD_TABLES, "040401", ("/d.h", 1)),
        (4, OLD_TABLES, "040901", None),
        (4, OLD_TABLES, "030901", ("a.c", 10)),
        (4, OLD_TABLES, "030901" "037f01", ("a.c", 9)),  # the last row of an address
        (4, OLD_TABLES, "037f01", None),  # line 0
        (4, OLD_TABLES, "0103010d8101020101", ("a.c", 2)),
        (4, OLD_TABLES, "01" "0201" "030501", ("a.c", 1)),
        (4, OLD_TABLES, "01" "090100" "030501", ("a.c", 1)),
        (4, OLD_TABLES, "01" "08" "030501", ("a.c", 1)),
        (4, OLD_TABLES, "16", ("a.c", 4)),
        (5, NEW_TABLES, "040001", ("a.c", 1)),
        (5, NEW_TABLES, "01", ("inc/b.h", 1)),
        (5, NEW_TABLES, "040201", ("/abs/c.h", 1)),
        (6, OLD_TABLES, "01", None),
        (5, b"\x01\x01\x44\x01a\0", "01", None),  # an unknown form
        (4, OLD_TABLES, "02" + "80" * 12, None),
    ],
)
def test_a_line_program(version: int, tables: bytes, code: str, expected: tuple[str, int] | None) -> None:
    """What it says of one address; its sequence ends nine bytes behind."""
    code = set_address(0x1000) + bytes.fromhex(code) + b"\x02\x09\0\x01\x01"
    lines = Lines(line_program(version, tables, code))
    assert lines.find(0x1000) == expected
    assert lines.find(0xFFF) is None
    assert lines.find(0x2000) is None


def test_lines_of_functions_among_others() -> None:
    """What begins last before an address need not have it."""
    end = b"\x02\x10\0\x01\x01"
    outer = set_address(0x1000) + b"\x01\x02\x80\x02\0\x01\x01"
    inner = [set_address(0x1010 + 0x10 * n) + b"\x03\x05\x01" + end for n in range(2)]
    empty = set_address(0x1080) + b"\0\x01\x01"
    programs = [outer, *inner, empty, set_address(0) + b"\x01" + end]
    lines = Lines(b"".join(line_program(4, OLD_TABLES, code) for code in programs) + b"cut")
    assert lines.find(0x1008) == ("a.c", 1)
    assert lines.find(0x1018) == ("a.c", 6)
    assert lines.find(0x1090) == ("a.c", 1)
    assert lines.find(0x8) is None


# --- damage ----------------------------------------------------------------------------------------------------

SECTIONS = (
    ".eh_frame", ".eh_frame_hdr", ".debug_frame", ".symtab", ".strtab", ".dynsym", ".debug_line", ".debug_line_str",
)  # fmt: skip


def damage(data: bytes, dice: random.Random) -> bytes:
    """A file with some bytes changed where tables are."""
    found = bytearray(data)
    elf = Elf(data)
    places = [(s.offset, s.size) for s in elf.sections if s.name in SECTIONS]
    places += [(0, 64), (64, 56 * len(elf.segments)), (len(data) - 64 * len(elf.sections), 64 * len(elf.sections))]
    begin, size = dice.choice(places)
    for _ in range(dice.choice((1, 3, 30))):
        found[begin + dice.randrange(size)] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
    return bytes(found[: dice.randrange(len(found))] if dice.random() < 0.1 else found)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("flags", ["-O2 -g", "-O2 -g -fno-asynchronous-unwind-tables", "-O2 -gdwarf-4 -gz=zlib"])
def test_damage_is_never_an_error(flags: str, seed: int, program: Callable[[str], Path]) -> None:
    data = program(flags).read_bytes()
    dice = random.Random(seed)
    for _ in range(25):
        module = Module(damage(data, dice))
        mapping = Mapping(b"/program", 0x401000, 0x1000, module)
        stack = [dice.choice((0x401000, 0x7000)) + dice.randrange(0x400) for _ in range(512)]
        memory = struct.pack("<512Q", *stack)

        def look(address: int, length: int, memory: bytes = memory) -> bytes | None:
            at = address - 0x7000
            return memory[at : at + length] if 0 <= at and at + length <= len(memory) else None

        def find(address: int, mapping: Mapping = mapping) -> Mapping | None:
            return mapping if 0x401000 <= address < 0x402000 else None

        for offset in range(1, 0x400, 31):
            registers: list[int | None] = [0x7000 + 8 * number for number in range(16)]
            frames = unwind([*registers, 0x401000 + offset], look, find)
            assert len(stack_lines(frames)) >= 1


def test_tables_that_would_never_end() -> None:
    """Counts that no bytes stand behind are not believed."""
    header = struct.pack("<HBBI", 5, 8, 0, 40) + bytes.fromhex("010101fb0e0d00010101010000000100000100")
    for body in (b"\0" + b"\xff" * 9 + b"\x01", b"\x01\x01\x08" + b"\xff" * 9 + b"\x01"):
        unit = header + body + bytes(64) + b"\0\x09\x02" + (0x1000).to_bytes(8, "little") + b"\x01\0\x01\x01"
        data = struct.pack("<I", len(unit)) + unit
        assert Lines(data).find(0x1000) is None


# --- instructions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("0f05", "syscall"),
        ("cd80", "int 0x80"),
        ("0f34", "sysenter"),
    ],
)
def test_the_instruction_of_a_call(code: str, expected: str) -> None:
    found = at_call(0x1002, lambda address, length: bytes.fromhex(code) if address == 0x1000 else None)
    assert found == (0x1000, expected)


def test_no_instruction_of_a_call() -> None:
    assert at_call(0x1002, lambda address, length: b"\x90\x90") is None
    assert at_call(0x1002, lambda address, length: None) is None
    assert at_call(0, lambda address, length: b"\x0f\x05") is None
    assert at_call(0xFFFFFFFFFF600400, lambda address, length: None) == (0xFFFFFFFFFF600400, "vsyscall")


def test_an_instruction_in_words() -> None:
    assert text(bytes.fromhex("b801000000c3"), 0) == "mov eax, 1"
    assert text(bytes.fromhex("e800000000"), 0x1000) == "call 0x1005"
    assert text(b"\x06", 0) == ""
    assert text(b"", 0) == ""


@pytest.mark.parametrize(
    ("code", "depths"),
    [
        ("", [0]),
        ("5348" "83ec08", [16]),
        ("41544881ec00010000", [264]),
        ("53" "7502" "55", [16, 8]),
        ("4829c4", [0]),
    ],
)
def test_what_a_function_puts_on_the_stack(code: str, depths: list[int]) -> None:
    assert stack_depths(bytes.fromhex(code), 0x1000) == depths


def test_addresses_of_segments(program: Callable[[str], Path]) -> None:
    module = Module(program("-O2 -no-pie").read_bytes())
    assert module.address_of(0x1000) == 0x401000
    assert module.address_of(0x10000000) is None
