"""A traced call without a machine: arguments in a small memory, and the line that the log says of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from linuxemu.arch.x86_64 import ZERO_FRAME
from linuxemu.trace import formats
from linuxemu.trace.call import PAGE, Call, NotResident
from linuxemu.trace.plan import Plan
from linuxemu.trace.style import Style
from linuxemu.trace.text import Layout, TextLog
from syscalls import handlers
from syscalls.abi.errno import EBADF
from syscalls.abi.numbers import X86_64
from syscalls.errors import SysError

BASE = 0x10000
BAD = 0xDEAD000
MINUS = (1 << 64) - 1
REGISTERS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
PLAIN = Style()


class At(bytes):
    """An argument that points to these bytes."""


class Filled(bytes):
    """An argument that points to these bytes when the call has ended, to zeros before."""


class Edge(bytes):
    """An argument that points to these bytes, behind which nothing can be read."""


class Memory:
    """A few pages at BASE; nothing else can be read."""

    def __init__(self) -> None:
        self.data = bytearray(4 * PAGE)
        self.next = BASE

    def put(self, data: bytes) -> int:
        """Place bytes at the next address that is a multiple of 0x100."""
        addr = self.next
        self.data[addr - BASE : addr - BASE + len(data)] = data
        self.next += (len(data) + 0x100) & ~0xFF
        return addr

    def put_last(self, data: bytes) -> int:
        """Place bytes at the very end."""
        self.data[-len(data) :] = data
        return BASE + len(self.data) - len(data)

    def resident(self, addr: int, n: int) -> bytes:
        at = addr - BASE
        return bytes(self.data[at : at + n]) if 0 <= at < len(self.data) else b""


class Files:
    """No open file, but those of `opened`."""

    def __init__(self, opened: dict[int, Any]) -> None:
        self.opened = opened

    def get_any(self, fd: int) -> Any:
        if fd not in self.opened:
            raise SysError(EBADF)
        return self.opened[fd]


class Lines:
    """An output that keeps its text."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, tid: int, text: str) -> None:
        self.text += text

    def close(self) -> None:
        pass


def call_of(
    name: str | int, *args: int | bytes, style: Style = PLAIN, opened: dict[int, Any] | None = None, **plan: bool
) -> tuple[Call, list[tuple[int, bytes]]]:
    """A call before it begins, and what is to be stored where when it ends."""
    handlers.load()
    formats.load()
    memory, later, words = Memory(), [], []
    for arg in args:
        if isinstance(arg, int):
            words.append(arg & MINUS)
        elif isinstance(arg, Edge):
            words.append(memory.put_last(arg))
        else:
            words.append(memory.put(bytes(len(arg)) if isinstance(arg, Filled) else arg))
            if isinstance(arg, Filled):
                later.append((words[-1], bytes(arg)))
    task = SimpleNamespace(mem=memory, files=Files(opened or {}), tid=1, server=SimpleNamespace(tasks={}))
    frame = ZERO_FRAME._replace(**dict(zip(REGISTERS, words, strict=False)))
    number = X86_64[name] if isinstance(name, str) else name
    call = Call(task, Plan(number, **plan), frame, style)  # type: ignore[arg-type]
    call.unreadable = _Everything()  # type: ignore[assignment]
    return call, later


class _Everything:
    def __contains__(self, page: object) -> bool:
        return True


def line(name: str | int, *args: int | bytes, result: int = 0, **options: Any) -> str:
    """The line of a call: arguments are numbers, strings (with their NUL), or what pointers point to.

    What pointers point to stands at 0x10000, 0x10100 and so on.
    """
    call, later = call_of(name, *args, **options)
    out = Lines()
    log = TextLog(out, Layout(column=0), None, frozenset(), lambda: 0)
    log.enter(call, call.plan.entry(call))
    for addr, data in later:
        call.mem.data[addr - BASE : addr - BASE + len(data)] = data  # type: ignore[attr-defined]
    call.result = result
    log.leave(call, call.plan.exit(call))
    return out.text.rstrip("\n")


__all__ = ["BAD", "At", "Edge", "Filled", "NotResident", "call_of", "line"]
