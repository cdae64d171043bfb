"""System calls that nobody made, as a tracer shows them: registers and memory come from a test."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from linuxemu.messages import TrapFrame
from linuxemu.trace import formats
from linuxemu.trace.call import Call
from linuxemu.trace.plan import Plan
from linuxemu.trace.style import Style
from syscalls import handlers
from syscalls.abi.numbers import X86_64

handlers.load()
formats.load()

AREA = 0x1000
"""Where the memory of a test begins; nothing behind its end can be read."""


class _Everything(set[int]):
    def __contains__(self, page: object) -> bool:
        return True


class FakeMemory:
    """Bytes from `AREA` on."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def resident(self, addr: int, n: int) -> bytes:
        """See `syscalls.objects.memory.UserMemory`."""
        return self.data[addr - AREA : addr - AREA + n] if AREA <= addr < AREA + len(self.data) else b""


def shown(
    name: str,
    *args: int,
    memory: bytes = b"",
    after: bytes | None = None,
    result: int | None = 0,
    restart: int = 0,
    style: Style | None = None,
    **plan: bool,
) -> str:
    """The line of a call.

    Args:
        name: the system call.
        args: its registers.
        memory: what is at `AREA` when it begins.
        after: what is there when it ends, if that differs.
        result: what it returns, negative for an error; None if it does not.
        restart: how a signal interrupted it.
        style: the look of values.
        plan: see `linuxemu.trace.plan.Plan`.
    """
    words = [value & (1 << 64) - 1 for value in (*args, 0, 0, 0, 0, 0, 0)][:6]
    registers: dict[str, Any] = dict(zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), words, strict=True))
    frame = TrapFrame._make([0] * len(TrapFrame._fields))._replace(rax=X86_64[name], rsp=AREA, **registers)
    mem = FakeMemory(memory)
    task: Any = SimpleNamespace(mem=mem)
    call = Call(task, Plan(X86_64[name], **plan), frame, style or Style())
    call.unreadable = _Everything()
    begin = call.plan.entry(call)
    mem.data = memory if after is None else after
    call.result, call.restart = result, restart
    end = call.plan.exit(call)
    text = ", ".join(begin) + (call.separator if begin and end else "") + ", ".join(end)
    return f"{name}({text}) = {call.result_text()}"
