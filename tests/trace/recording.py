"""System calls as data, made by strace natively and shown by the formatters here: both have the same memory.

A call is a tuple of its name and arguments. An argument is a number, or what it points to: bytes, a string (it gets its
NUL), a list of pieces. In a list a number is eight bytes, and `P(x)` is a pointer to x. `End(x)` is at the end of
memory, so that nothing can be read behind it. What strace printed is kept in `recorded/FAMILY.MODE.txt`, a line a call.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from linuxemu.messages import TrapFrame
from linuxemu.trace import formats
from linuxemu.trace.call import Call
from linuxemu.trace.plan import Plan
from linuxemu.trace.style import Style
from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from collections.abc import Sequence

BASE = 0x1000_0000
PAGE = 4096
HERE = Path(__file__).parent
_ENOSYS = -38


class P(NamedTuple):
    """A pointer to something."""

    target: Any


class End(NamedTuple):
    """Something at the end of memory."""

    target: Any


class Mode(NamedTuple):
    """One way to make and show the calls.

    Args:
        result: what every call returns.
        abbrev: long structures are cut.
        verbose: pointers are followed.
    """

    result: int = _ENOSYS
    abbrev: bool = True
    verbose: bool = True

    def strace(self) -> list[str]:
        """Options of strace(1)."""
        return (["-v"] if not self.abbrev else []) + (["-e", "verbose=none"] if not self.verbose else [])

    def injection(self) -> str:
        """What strace lets the kernel answer."""
        return f"retval={self.result}" if self.result >= 0 else "error=ENOSYS"


MODES = {
    "refused": Mode(),
    "returns-0": Mode(0),
    "returns-2": Mode(2),
    "unabridged": Mode(abbrev=False),
    "pointers": Mode(verbose=False),
}


class Memory:
    """The memory of the calls, from `BASE` on."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._last = b""

    def put(self, value: Any) -> int:
        """Store something and return its address."""
        data = self._bytes(value)
        self.data += bytes(-len(self.data) % 16)
        addr = BASE + len(self.data)
        self.data += data + bytes(16)
        return addr

    def _bytes(self, value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return value.encode() + b"\0"
        if isinstance(value, P):
            return struct.pack("<Q", self.put(value.target))
        if isinstance(value, int):
            return struct.pack("<Q", value & (1 << 64) - 1)
        return b"".join(self._bytes(piece) for piece in value)

    def argument(self, value: Any, ends: list[tuple[int, int, bytes]], place: tuple[int, int]) -> int:
        """The register of an argument; what is to be at the end of memory is left for later."""
        if isinstance(value, End):
            ends.append((*place, self._bytes(value.target)))
            return 0
        return value & (1 << 64) - 1 if isinstance(value, int) else self.put(value)


def image(calls: Sequence[tuple[Any, ...]]) -> tuple[list[list[int]], bytes]:
    """Number and six registers of each call, and the memory."""
    memory, found = Memory(), []
    ends: list[tuple[int, int, bytes]] = []
    for row, (name, *args) in enumerate(calls):
        registers = [memory.argument(arg, ends, (row, column + 1)) for column, arg in enumerate(args)]
        found.append([X86_64[name], *registers, *[0] * (6 - len(args))])
    data = memory.data
    longest = max((len(end) for _, _, end in ends), default=0)
    data += bytes(longest + -(len(data) + longest) % PAGE)
    assert len(ends) <= 1, "memory has one end"
    for row, column, end in ends:
        data[len(data) - len(end) :] = end
        found[row][column] = BASE + len(data) - len(end)
    return found, bytes(data)


# -- here --------------------------------------------------------------------------------------------------------


class _Everything:
    """All pages have been asked for."""

    def __contains__(self, page: object) -> bool:
        return True


def shown(calls: Sequence[tuple[Any, ...]], mode: Mode, style: Style | None = None) -> list[str]:
    """The calls as the formatters show them."""
    rows, data = image(calls)

    def resident(addr: int, count: int) -> bytes:
        return data[addr - BASE :][:count] if BASE <= addr < BASE + len(data) else b""

    task = SimpleNamespace(mem=SimpleNamespace(resident=resident), server=SimpleNamespace(tasks={}))
    return [_line(row, mode, task, style or Style()) for row in rows]


def _line(row: list[int], mode: Mode, task: Any, style: Style) -> str:
    number, *args = row
    registers = dict(zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), args, strict=True))
    frame = TrapFrame._make([0] * len(TrapFrame._fields))._replace(rax=number, **registers)
    plan = Plan(number, abbrev=mode.abbrev, verbose=mode.verbose)
    call = Call(task, plan, frame, style)
    call.unreadable = _Everything()  # type: ignore[assignment]
    parts = plan.entry(call)
    call.result = mode.result
    parts = parts + plan.exit(call)
    return f"{plan.name}({', '.join(parts)}) = {call.result_text()}"


# -- strace ------------------------------------------------------------------------------------------------------


def recorded(family: str, mode: str) -> list[str]:
    """What strace printed."""
    return (HERE / "recorded" / f"{family}.{mode}.txt").read_text("utf-8").splitlines()


def strace(calls: Sequence[tuple[Any, ...]], mode: Mode, driver: Path, folder: Path) -> list[str]:
    """What strace prints now."""
    rows, data = image(calls)
    (folder / "calls").write_bytes(b"".join(struct.pack("<7Q", *row) for row in rows))
    (folder / "memory").write_bytes(data)
    names = ",".join(sorted({str(row[0]) for row in rows}))
    words = [
        "strace", "-a1", "-e", "signal=none", "-e", f"trace={names}", "-e", f"inject={names}:{mode.injection()}",
        "-o", folder / "log", *mode.strace(), driver, folder / "calls", folder / "memory",
    ]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True)
    lines = (folder / "log").read_text("utf-8").splitlines()
    return [line.removesuffix(" (INJECTED)") for line in lines if line.endswith(" (INJECTED)")][-len(calls) :]


def build_driver(folder: Path) -> Path:
    """The program that makes the calls of a file."""
    program = folder / "driver"
    subprocess.run(["gcc", "-static", "-O1", "-o", program, HERE / "driver.c"], check=True)
    return program


formats.load()
