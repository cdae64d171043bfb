"""The table of system calls: every declaration compiles, and says what it has to say."""

from __future__ import annotations

import pytest

from syscalls import handlers, registry
from syscalls.abi.numbers import X86_64
from syscalls.registry import FULL, PARTIAL, TABLE, Syscall

handlers.load()


@pytest.mark.parametrize("call", TABLE.values(), ids=lambda call: call.name)
def test_declaration_compiles(call: Syscall) -> None:
    assert callable(call.compile())
    assert len(call.arguments()) <= 6
    assert X86_64[call.name] == call.number


@pytest.mark.parametrize("call", TABLE.values(), ids=lambda call: call.name)
def test_declaration_documents_itself(call: Syscall) -> None:
    assert call.handler.__doc__
    assert call.support in (FULL, PARTIAL)
    assert bool(call.notes) == (call.support == PARTIAL)


def test_a_call_is_declared_once() -> None:
    with pytest.raises(ValueError, match="getpid is declared twice"):
        registry.syscall("getpid")(lambda t: None)  # type: ignore[arg-type,return-value]


def test_unknown_names_are_errors() -> None:
    with pytest.raises(KeyError):
        registry.syscall("no_such_call")


def test_arguments_come_from_the_registers_of_the_abi() -> None:
    from linuxemu.messages import TrapFrame

    frame = TrapFrame._make(range(100, 118))._replace(rdi=1, rsi=(1 << 64) - 1, rdx=3, r10=4, r8=5, r9=6)
    seen: list[int] = []

    from syscalls.types import Fd, Int, Off, Size, UInt

    async def call(t: object, a: Fd, b: Int, c: Size, d: UInt, e: Off, f: Size) -> int:
        seen.extend((a, b, c, d, e, f))
        return 0

    call.__globals__.update(Fd=Fd, Int=Int, Off=Off, Size=Size, UInt=UInt)
    invoke = Syscall(-1, "test", call, FULL, "").compile()
    with pytest.raises(StopIteration):
        invoke(None, frame).send(None)  # type: ignore[arg-type,union-attr,attr-defined]
    assert seen == [1, -1, 3, 4, 5, 6]
