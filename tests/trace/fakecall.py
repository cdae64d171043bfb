"""System calls that nobody made: registers and memory come from a test, the line is what the log says of them.

An argument is a number, or what it points to: bytes, a string (it gets its NUL), a list of pieces. In a list a number
is eight bytes, and `P(x)` is a pointer to x. `End(x)` stands at the end of memory: nothing can be read behind it.
"""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from linuxemu.arch.x86_64 import ZERO_FRAME
from linuxemu.trace import formats
from linuxemu.trace.call import PAGE, Call
from linuxemu.trace.plan import Plan
from linuxemu.trace.style import Style
from linuxemu.trace.text import Layout, TextLog
from syscalls import handlers
from syscalls.abi.errno import EBADF
from syscalls.abi.numbers import X86_64
from syscalls.errors import SysError

if TYPE_CHECKING:
    from collections.abc import Iterable

handlers.load()
formats.load()

AREA = 0x1000
"""Where the memory of `shown` begins; nothing behind its end can be read."""
BASE = 0x10000
"""Where the memory of `line` begins."""
BAD = 0xDEAD000
"""Nothing is mapped there."""
WORD = (1 << 64) - 1
REGISTERS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
PLAIN = Style()


class P(NamedTuple):
    """A pointer to something."""

    target: Any


class End(NamedTuple):
    """A pointer to something at the end of memory."""

    target: Any


class Filled(NamedTuple):
    """An argument that points to these bytes when the call has ended, to zeros before."""

    target: bytes


class Memory:
    """The only memory that can be read.

    Args:
        base: where it begins.
        size: its bytes.
        first: where `put` begins, counted from `base`.
        step: `put` places things at multiples of it.
        room: bytes between them, at least.
        outer_first: `put` places a thing before what it points to, not behind it.
    """

    def __init__(
        self, base: int, size: int, first: int = 0, step: int = 16, room: int = 16, outer_first: bool = False
    ) -> None:
        self.base, self.step, self.room, self.outer_first = base, step, room, outer_first
        self.data = bytearray(size)
        self.next = base + first
        self.last = 0
        """Bytes of the longest thing at its end."""

    def argument(self, value: Any) -> int:
        """The register of an argument."""
        if isinstance(value, int):
            return value & WORD
        if isinstance(value, End):
            return self.put_last(value.target)
        return self.put(value.target if isinstance(value, P) else value)

    def put(self, value: Any) -> int:
        """Store something, and what it points to, and return its address."""
        if self.outer_first:
            addr = self._take(_size(value))
            data = self._packed(value)
        else:
            data = self._packed(value)
            addr = self._take(len(data))
        self.write(addr, data)
        return addr

    def _take(self, size: int) -> int:
        addr = self.next
        self.next += -(-(size + self.room) // self.step) * self.step
        return addr

    def put_last(self, value: Any) -> int:
        """Store something at the very end."""
        data = self._packed(value)
        self.last = max(self.last, len(data))
        addr = self.base + len(self.data) - len(data)
        self.write(addr, data)
        return addr

    def write(self, addr: int, data: bytes) -> None:
        """Change what is at an address."""
        at = addr - self.base
        assert 0 <= at and at + len(data) <= len(self.data), "memory is too small"
        self.data[at : at + len(data)] = data

    def resident(self, addr: int, n: int) -> bytes:
        """See `syscalls.objects.memory.UserMemory`."""
        at = addr - self.base
        return bytes(self.data[at : at + n]) if 0 <= at < len(self.data) else b""

    def _packed(self, value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return value.encode() + b"\0"
        if isinstance(value, (int, P, End)):
            return struct.pack("<Q", self.argument(value))
        return b"".join(self._packed(piece) for piece in value)


def _size(value: Any) -> int:
    """Bytes of something without what it points to."""
    if isinstance(value, (bytes, str)):
        return len(value if isinstance(value, bytes) else value.encode() + b"\0")
    return 8 if isinstance(value, (int, P, End)) else sum(map(_size, value))


class Made(NamedTuple):
    """Name or number of a call, its six registers, and the memory that they point into."""

    name: str | int
    words: tuple[int, ...]
    memory: Memory


def made(name: str | int, args: Iterable[Any], memory: Memory) -> Made:
    """A call with these arguments, which are placed in memory."""
    words = [memory.argument(arg) for arg in args]
    return Made(name, (*words, *[0] * (6 - len(words))), memory)


class Files:
    """No open file, but those of `opened`."""

    def __init__(self, opened: dict[int, Any]) -> None:
        self.opened = opened

    def get_any(self, fd: int) -> Any:
        if fd not in self.opened:
            raise SysError(EBADF)
        return self.opened[fd]


class Everything(set[int]):
    """All pages have been asked for."""

    def __contains__(self, page: object) -> bool:
        return True


def traced(what: Made, style: Style = PLAIN, opened: dict[int, Any] | None = None, **plan: bool) -> Call:
    """A call before it begins, of a task that does nothing but it; its stack begins where memory does.

    Args:
        what: the call.
        style: the look of values.
        opened: files by descriptor.
        plan: see `linuxemu.trace.plan.Plan`.
    """
    server = SimpleNamespace(tasks={})
    task: Any = SimpleNamespace(mem=what.memory, files=Files(opened or {}), tid=1, server=server)
    number = X86_64[what.name] if isinstance(what.name, str) else what.name
    registers = dict(zip(REGISTERS, what.words, strict=True))
    frame = ZERO_FRAME._replace(rax=number, rsp=what.memory.base, **registers)
    call = Call(task, Plan(number, **plan), frame, style)
    call.unreadable = Everything()
    return call


def look(options: Iterable[str]) -> dict[str, Any]:
    """Style and plan, as `traced` takes them, for options of strace(1)."""
    style, plan = PLAIN, {}
    for option in options:
        if option == "-v":
            plan["abbrev"] = False
        elif option == "-everbose=none":
            plan["verbose"] = False
        elif option == "-xx":
            style = style._replace(hex_strings="all")
        elif option.startswith("-X"):
            style = style._replace(constants=option[2:])
        elif option.startswith("-s"):
            style = style._replace(string_limit=int(option[2:]))
        else:
            raise ValueError(f"strace's {option} is not known here")
    return {"style": style, **plan}


class Lines:
    """An output that keeps its text."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, tid: int, text: str) -> None:
        self.text += text

    def ended(self, tid: int) -> None:
        pass

    def close(self) -> None:
        pass


def written(call: Call, early: list[str], late: list[str] | None, blocks: bool = False) -> str:
    """What the log has of a call.

    Args:
        call: the call, as it is at its end.
        early: the texts of its beginning.
        late: those of its end; None while it is in progress.
        blocks: it had to wait.
    """
    out = Lines()
    log = TextLog(out, Layout(pids="", column=0), None, frozenset(), lambda: 0)
    log.enter(call, early)
    if blocks:
        log.blocks(call)
    if late is not None:
        log.leave(call, late)
    return out.text.rstrip("\n")


def ended(call: Call, result: int | None, restart: int = 0, filled: Iterable[tuple[int, bytes]] = ()) -> str:
    """The line of a call.

    Args:
        call: it has not begun.
        result: what it returns, negative for an error; None if it does not.
        restart: how a signal interrupted it.
        filled: what it stores, and where.
    """
    early = call.plan.entry(call)
    for addr, data in filled:
        call.mem.write(addr, data)  # type: ignore[attr-defined]
    call.result, call.restart = result, restart
    return written(call, early, call.plan.exit(call))


# -- calls that are written down as registers and memory ---------------------------------------------------------


def shown(
    name: str,
    *args: int,
    memory: bytes = b"",
    after: bytes | None = None,
    result: int | None = 0,
    restart: int = 0,
    **options: Any,
) -> str:
    """The line of a call.

    Args:
        name: the system call.
        args: its registers.
        memory: what is at `AREA` when it begins.
        after: what is there when it ends, if that differs.
        result: see `ended`.
        restart: see `ended`.
        options: see `traced`.
    """
    mem = Memory(AREA, len(memory))
    mem.write(AREA, memory)
    return ended(traced(made(name, args, mem), **options), result, restart, [(AREA, after or b"")])


# -- calls that are written down with what they point to ---------------------------------------------------------


def call_of(name: str | int, *args: Any, **options: Any) -> tuple[Call, list[tuple[int, bytes]]]:
    """A call before it begins, and what is to be stored where when it ends: see `line`."""
    before = [bytes(len(arg.target)) if isinstance(arg, Filled) else arg for arg in args]
    what = made(name, before, Memory(BASE, 4 * PAGE, step=0x100))
    later = [(word, arg.target) for word, arg in zip(what.words, args, strict=False) if isinstance(arg, Filled)]
    return traced(what, **options), later


def line(name: str | int, *args: Any, result: int = 0, **options: Any) -> str:
    """The line of a call; what its arguments point to stands at 0x10000, 0x10100 and so on."""
    call, later = call_of(name, *args, **options)
    return ended(call, result, filled=later)
