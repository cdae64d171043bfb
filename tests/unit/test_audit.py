"""Numbers of system calls found in code: small programs made by hand, with what reaches their `syscall`."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from linuxemu.audit.image import AuditError, NotAProgram
from linuxemu.audit.report import NOT_IN_LINUX, Report, examine
from linuxemu.audit.tables import Function, frame_functions, go_functions, symbol_functions
from linuxemu.testing.assembler import Assembler
from tests.unit.asm import RET, SYSCALL, UD2, mov

if TYPE_CHECKING:
    from collections.abc import Callable

CODE = 0x4000B0
"""Where the assembler's programs begin."""
EXIT = mov("rax", 60) + SYSCALL
XOR_EAX = b"\x31\xc0"


def program(code: bytes) -> bytes:
    assembler = Assembler()
    assembler.raw(code)
    return assembler.elf()


def audited(code: bytes) -> Report:
    return examine(program(code), lambda _: None)


def numbers(code: bytes) -> list[int]:
    """What can reach the `syscall` instructions, when nothing else can."""
    report = audited(code)
    assert not report.unresolved
    return sorted(call.number for call in report.calls)


def reasons(code: bytes) -> set[str]:
    return {lost.why for site in audited(code).sites for lost in site.lost}


def jump(kind: bytes, length: int) -> bytes:
    """A jump over the next `length` bytes."""
    return kind + bytes([length])


def call(position: int, target: int, opcode: bytes = b"\xe8") -> bytes:
    return opcode + struct.pack("<i", target - position - 5)


STRAIGHT = {
    "mov": (mov("rax", 39) + SYSCALL, [39]),
    "mov of 32 bits": (b"\xb8\x27\0\0\0" + SYSCALL, [39]),
    "mov with a sign": (b"\x48\xc7\xc0\x27\0\0\0" + SYSCALL, [39]),
    "xor": (XOR_EAX + SYSCALL, [0]),
    "sub": (b"\x29\xc0" + SYSCALL, [0]),
    "lowest byte": (XOR_EAX + b"\xb0\x27" + SYSCALL, [39]),
    "lowest byte of another": (mov("rax", 0x3C00) + b"\xb0\x27" + SYSCALL, [0x3C27]),
    "push and pop": (b"\x6a\x27\x58" + SYSCALL, [39]),
    "register": (mov("rbx", 39) + b"\x48\x89\xd8" + SYSCALL, [39]),
    "lea without base": (b"\x48\x8d\x04\x25\x27\0\0\0" + SYSCALL, [39]),
    "lea of a sum": (mov("rdi", 30) + b"\x48\x8d\x47\x09" + SYSCALL, [39]),
    "lea with a scale": (mov("rdi", 10) + b"\x48\x8d\x04\x7f" + SYSCALL, [30]),
    "lea of one value twice": (XOR_EAX + b"\x0f\x94\xc0\x48\x8d\x44\x80\x27" + SYSCALL, [39, 44]),
    "add": (mov("rax", 30) + b"\x83\xc0\x09" + SYSCALL, [39]),
    "inc": (mov("rax", 38) + b"\xff\xc0" + SYSCALL, [39]),
    "dec": (mov("rax", 40) + b"\xff\xc8" + SYSCALL, [39]),
    "or": (XOR_EAX + b"\x83\xc8\x27" + SYSCALL, [39]),
    "and": (mov("rax", 0xFF27) + b"\x25\xff\0\0\0" + SYSCALL, [39]),
    "exchange": (mov("rbx", 39) + b"\x48\x93" + SYSCALL, [39]),
    "sign extended": (mov("rax", 39) + b"\x48\x98" + SYSCALL, [39]),
    "stack": (b"\xc7\x44\x24\xf8\x27\0\0\0" + b"\x8b\x44\x24\xf8" + SYSCALL, [39]),
    "frame": (b"\x55\x48\x89\xe5\xc7\x45\xfc\x27\0\0\0\x8b\x45\xfc" + SYSCALL, [39]),
    "aligned stack": (b"\x48\x83\xe4\xf0\x6a\x27\x8b\x04\x24" + SYSCALL, [39]),
    "one of two": (mov("rax", 39) + mov("rcx", 110) + b"\x48\x0f\x44\xc1" + SYSCALL, [39, 110]),
    "zero or one": (XOR_EAX + b"\x0f\x94\xc0" + SYSCALL, [0, 1]),
    "zero or all": (b"\x19\xc0\x83\xe0\x13" + SYSCALL, [0, 19]),
    "kept over a system call": (mov("rbx", 39) + EXIT + b"\x89\xd8" + SYSCALL, [39, 60]),
    "branches": (
        mov("rax", 39) + b"\x85\xff" + jump(b"\x74", 10) + mov("rax", 102) + SYSCALL, [39, 102]
    ),
    "known to be zero": (
        b"\x85\xc0" + jump(b"\x74", 10) + mov("rax", 39) + SYSCALL, [0, 39]
    ),
    "known to be equal": (
        b"\x83\xff\x05\x89\xf8" + jump(b"\x74", 5) + b"\xb8\x27\0\0\0" + SYSCALL, [5, 39]
    ),
    "known not to be unequal": (
        b"\x83\xff\x05\x89\xf8" + jump(b"\x75", 4) + SYSCALL + b"\xeb\0" + EXIT, [5, 60]
    ),
    "loop": (mov("rbx", 231) + b"\x89\xd8" + SYSCALL + b"\xeb\xfa", [231]),
    "past a prefix": (mov("rax", 39) + b"\x74\x01" + b"\xf0\x0f\xb1\x0f" + mov("rax", 60) + SYSCALL, [60]),
    "from read-only data": (b"\x48\x8b\x04\x25" + struct.pack("<I", CODE + 8) + SYSCALL, None),
}  # fmt: skip


@pytest.mark.parametrize(("code", "expected"), STRAIGHT.values(), ids=STRAIGHT)
def test_constants_within_a_function(code: bytes, expected: list[int] | None) -> None:
    if expected is None:
        assert reasons(code) == {"loaded from memory"}
    else:
        assert numbers(code) == expected


UNKNOWN = {
    "memory": (b"\x48\x8b\x04\x25\0\0\x60\0" + SYSCALL, "loaded from memory"),
    "result": (call(0, 8) + SYSCALL + RET + RET, "returned by a call"),
    "result of a system call": (EXIT + SYSCALL, "computed"),
    "multiplication": (mov("rax", 3) + b"\x48\x0f\xaf\xc1" + SYSCALL, "computed"),
    "thread's memory": (b"\x64\x48\x8b\x04\x25\0\0\0\0" + SYSCALL, "loaded from memory"),
    "never set": (b"\x8b\x44\x24\xf8" + SYSCALL, "never set"),
    "half": (mov("rax", 39) + b"\x88\xe0" + SYSCALL, "computed"),
    "nobody": (SYSCALL, "no caller seen"),
    "counting": (XOR_EAX + b"\xff\xc0\x85\xff\x74\xfa" + SYSCALL, "more than 32 values"),
}


@pytest.mark.parametrize(("code", "why"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_known_has_a_reason(code: bytes, why: str) -> None:
    assert reasons(code) == {why}


def wrapped(wrapper: bytes, calls: Callable[[int], bytes]) -> bytes:
    """A program that begins with calls of a wrapper behind them, whose distance from the start is told."""
    length = len(calls(0))
    return calls(length + 2) + UD2 + wrapper


def test_callers_of_a_wrapper_say_the_numbers() -> None:
    def calls(target: int) -> bytes:
        code = b"\xbf\x27\0\0\0" + call(5, target)
        return code + b"\xbf\x66\0\0\0" + call(15, target)

    report = audited(wrapped(b"\x48\x89\xf8" + SYSCALL + RET, calls))
    assert not report.unresolved
    found = {call.name: call.functions for call in report.calls}
    assert found == {"getpid": (f"sub_{CODE:x}",), "getuid": (f"sub_{CODE:x}",)}


def test_wrappers_of_wrappers_and_last_jumps() -> None:
    # start: edi = 39, call outer; outer: rsi = rdi, jmp inner; inner: rax = rsi, syscall
    start = b"\xbf\x27\0\0\0" + call(5, 12) + UD2
    outer = b"\x48\x89\xfe" + call(15, 22, b"\xe9") + UD2
    assert numbers(start + outer + b"\x48\x89\xf0" + SYSCALL + RET) == [39]


def test_a_parameter_on_the_stack() -> None:
    """As Go's older convention has it, and C's for a seventh argument."""
    start = b"\x48\x83\xec\x10" + b"\x48\xc7\x04\x24\x27\0\0\0" + call(12, 19) + UD2
    assert numbers(start + b"\x48\x8b\x44\x24\x08" + SYSCALL + RET) == [39]


def test_a_parameter_behind_a_pointer() -> None:
    """As `setuid` of C libraries hands its number to all threads: in a structure on its stack."""
    start = b"\x48\x83\xec\x18" + b"\xc7\x44\x24\x08\x27\0\0\0" + b"\x48\x8d\x7c\x24\x04" + call(17, 24) + UD2
    assert numbers(start + b"\x8b\x47\x04" + SYSCALL + RET) == [39]


def test_a_pointer_to_the_wrapper_that_is_called() -> None:
    start = b"\x48\x8d\x1d" + struct.pack("<i", 16 - 7) + b"\xbf\x27\0\0\0" + b"\xff\xd3" + UD2
    assert numbers(start + b"\x48\x89\xf8" + SYSCALL + RET) == [39]


def test_a_pointer_to_the_wrapper_that_is_given_away() -> None:
    start = b"\x48\x8d\x3d" + struct.pack("<i", 14 - 7) + call(7, 21) + UD2
    code = start + b"\x48\x89\xf8" + SYSCALL + RET + b"\x90" + RET
    assert reasons(code) == {"called through a pointer"}


def test_a_lent_word_of_the_stack_is_not_trusted() -> None:
    start = b"\x48\x83\xec\x18" + b"\xc7\x44\x24\x08\x27\0\0\0" + b"\x48\x8d\x7c\x24\x08" + call(17, 31)
    code = start + b"\x8b\x44\x24\x08" + SYSCALL + UD2 + b"\x90" + RET
    assert reasons(code) == {"may be changed by a call"}


def test_a_store_to_one_of_two_places_is_not_trusted() -> None:
    places = b"\x48\x8d\x7c\x24\xf8\x48\x8d\x74\x24\xf0\x48\x0f\x44\xfe"  # rdi = rsp - 8 or rsp - 16
    code = b"\xc7\x44\x24\xf8\x27\0\0\0" + places + b"\xc7\x07\x3c\0\0\0" + b"\x8b\x44\x24\xf8" + SYSCALL
    assert reasons(code) == {"computed"}


def test_a_store_behind_a_pointer_is_seen() -> None:
    assert numbers(b"\xc7\x07\x27\0\0\0" + b"\x8b\x07" + SYSCALL) == [39]


def test_the_other_part_of_a_function_may_bring_other_numbers() -> None:
    start = call(0, 12) + call(5, 20) + UD2
    one = b"\xb8\x27\0\0\0" + SYSCALL + RET
    other = b"\xb8\x3c\0\0\0" + call(25, 17, b"\xe9")
    report = audited(start + one + other)
    assert {lost.why for site in report.unresolved for lost in site.lost} == {
        "set in another part of the function"
    }
    assert 39 in [call.number for call in report.calls]


def test_recursion_ends() -> None:
    # wrapper(number): number + calls of itself with the same number
    start = b"\xbf\x27\0\0\0" + call(5, 12) + UD2
    wrapper = b"\x57" + call(13, 12) + b"\x5f\x48\x89\xf8" + SYSCALL + RET
    assert numbers(start + wrapper) == [39]


def test_numbers_that_linux_does_not_have_are_no_fault_of_ours() -> None:
    report = audited(mov("rax", (1 << 64) - 1) + SYSCALL)
    assert [(call.number, call.support) for call in report.calls] == [(0xFFFFFFFF, NOT_IN_LINUX)]
    assert not report.unsupported


def test_the_report_in_words() -> None:
    code = b"".join(mov("rax", number) + SYSCALL for number in (39, 175, 16)) + SYSCALL
    text = audited(code).as_text("prog", everything=False)
    name = f"sub_{CODE:x}"
    assert text.splitlines() == [
        "prog: 3 system calls at 4 sites, 1 unresolved (25.0%)",
        f"   175  init_module  unsupported  {name}",
        f"    16  ioctl        partial      {name}",
        f"    39  getpid       supported    {name}",
        "unresolved:",
        f"  {CODE + 36:#x} {name}: computed",
    ]


def test_the_report_as_json() -> None:
    report = audited(mov("rax", 175) + SYSCALL + SYSCALL)
    name = f"sub_{CODE:x}"
    lost = {"address": hex(CODE + 12), "function": name, "why": "computed"}
    assert report.as_json("prog") == {
        "path": "prog",
        "stripped": True,
        "dynamic": False,
        "sites": 2,
        "calls": [
            {"number": 175, "name": "init_module", "support": "unsupported", "notes": "", "functions": [name]}
        ],
        "unresolved": [{"address": hex(CODE + 12), "function": name, "numbers": [], "lost": [lost]}],
    }


def changed(offset: int, value: bytes) -> bytes:
    data = bytearray(program(EXIT))
    data[offset : offset + len(value)] = value
    return bytes(data)


REFUSED = {
    "text": (b"#!/bin/sh\n", NotAProgram, "not an ELF file"),
    "empty": (b"", NotAProgram, "not an ELF file"),
    "short": (b"\x7fELF", AuditError, "header cannot be read"),
    "arm": (changed(18, b"\xb7\0"), NotAProgram, "code for EM_AARCH64 instead of EM_X86_64"),
    "i386": (changed(18, b"\3\0"), NotAProgram, "code for EM_386 instead of EM_X86_64"),
    "object": (changed(16, b"\1\0"), NotAProgram, "type ET_REL is no program"),
    "upx": (changed(176, b"UPX!" + bytes(4092) + b"UPX!"), AuditError, "packed with UPX"),
    "no syscall": (program(b"\x90" * 8), AuditError, "packed or encrypted"),
    "no code": (changed(68, b"\4"), AuditError, "holds no code"),
    "cut off": (program(EXIT)[:-4], AuditError, "cut off"),
    "address": (changed(80, b"\xff" * 8), AuditError, "damaged"),
    "headers": (changed(32, b"\xff" * 8), AuditError, "damaged"),
}


@pytest.mark.parametrize(("data", "kind", "why"), REFUSED.values(), ids=REFUSED)
def test_refused(data: bytes, kind: type[AuditError], why: str) -> None:
    with pytest.raises(AuditError, match=why) as caught:
        examine(data, lambda _: None)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_progress_comes_to_its_end() -> None:
    seen: list[float] = []
    examine(program(EXIT + EXIT), seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)


# --- tables ----------------------------------------------------------------------------------------------------


def symbol(name: int, kind: int, value: int, size: int, index: int = 1) -> bytes:
    return struct.pack("<IBBHQQ", name, kind, 0, index, value, size)


def test_symbols_of_functions() -> None:
    strings = b"\0__read\0read\0data\0import\0"
    table = (
        symbol(1, 0x12, 16, 8) + symbol(8, 0x22, 16, 8) + symbol(13, 0x11, 64, 8) + symbol(18, 0x12, 0, 0, 0)
    )
    found = symbol_functions(table + b"cut", strings)
    assert found == [Function(16, 8, "read"), Function(16, 8, "__read")]


def test_a_name_is_fit_for_a_terminal() -> None:
    assert symbol_functions(symbol(1, 0x12, 16, 8), b"\0a\x1b[2J\nb\xff\0")[0].name == "a?[2J?b\ufffd"


RUST = {
    "_ZN3std2io5stdio6_print17h0123456789abcdefE": "std::io::stdio::_print",
    "_ZN4core3ptr42drop_in_place$LT$alloc..string..String$GT$17h0123456789abcdefE": (
        "core::ptr::drop_in_place<alloc::string::String>"
    ),
    "_ZN36_$LT$T$u20$as$u20$core..any..Any$GT$7type_id17h0123456789abcdefE": "<T as core::any::Any>::type_id",
    "_ZN3foo3barEv": "_ZN3foo3barEv",
    "_ZN9too_short17h0123456789abcdefE": "too_short",
    "_ZN99too_short17h0123456789abcdefE": "_ZN99too_short17h0123456789abcdefE",
    "_ZN3foobar17h0123456789abcdefE": "_ZN3foobar17h0123456789abcdefE",
}


@pytest.mark.parametrize(("mangled", "plain"), RUST.items())
def test_names_of_rust(mangled: str, plain: str) -> None:
    (function,) = symbol_functions(symbol(1, 0x12, 16, 8), b"\0" + mangled.encode() + b"\0")
    assert function.name == plain


def frames(letters: bytes, extra: bytes, encoding: int) -> bytes:
    data = b"\1" + letters + b"\0" + b"\1\x78\x10" + extra + bytes([encoding])
    common = struct.pack("<II", len(data) + 4, 0) + data
    entry = struct.pack("<IIiI", 16, len(common) + 4, 0x100, 0x20) + bytes(4)
    return common + entry + bytes(4)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (frames(b"zR", b"\1", 0x1B), [(0x20, 0)]),
        (frames(b"zRS", b"\1", 0x1B), [(0x1F, 1)]),
        (frames(b"zPLR", b"\7\x9b\0\0\0\0\x1b", 0x1B), [(0x20, 0)]),
        (frames(b"zR", b"\1", 0x00), []),
        (frames(b"", b"", 0), []),
        (frames(b"zX", b"\1", 0), []),
        (frames(b"zR", b"\1", 0x1B)[:-12], []),
        (b"\xff" * 16, []),
    ],
)
def test_frames(data: bytes, found: list[tuple[int, int]]) -> None:
    place = 0x1000 + data.find(struct.pack("<i", 0x100))
    expected = [Function(place + 0x100 + early, size, "") for size, early in found]
    assert frame_functions(0x1000, data) == expected


@pytest.mark.parametrize("magic", [0xFFFFFFF0, 0xFFFFFFF1])
def test_functions_of_go(magic: int) -> None:
    names = b"main.main\0main.f\0"
    head = struct.calcsize("<IHBB8Q")
    entries = head + len(names)
    table = struct.pack("<IHBB8Q", magic, 0, 1, 8, 2, 0, 0x400000, head, 0, 0, 0, entries) + names
    table += struct.pack("<5I", 0x10, 20, 0x30, 28, 0x38) + struct.pack("<IIII", 0x10, 0, 0x30, 10)
    assert go_functions(table, 0) == [Function(0x400010, 0x20, "main.main"), Function(0x400030, 8, "main.f")]
    assert go_functions(b"\0" + table[1:], 0) == []
    assert go_functions(table[:20], 0) == []
