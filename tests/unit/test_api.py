"""The names that `import linuxemu` and `import linuxemu.testing` promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import linuxemu
from linuxemu import testing, trace

if TYPE_CHECKING:
    from types import ModuleType


def test_public_names() -> None:
    assert linuxemu.__all__ == [
        "Bind", "BootError", "DeadlockError", "EngineError", "GuestStartError", "LinuxEmuError", "Machine", "Result",
        "RpcError",
    ]  # fmt: skip


def test_public_names_of_the_harness() -> None:
    assert testing.__all__ == [
        "ANY", "BAD", "Blocked", "Call", "Calls", "Clock", "CompileError", "Edge", "Expectation", "Files", "Guest",
        "GuestThread", "HandlerFailed", "InOut", "Iov", "NULL", "NoCompiler", "Out", "ProgramResult", "ProgramRunner",
        "Result", "Rpc", "RpcLog", "Rpcs", "Scripted", "SignalHandler", "SyscallError", "SyscallRecord", "TaskEnded",
        "UnexpectedMessage", "UnmetExpectation", "fresh_attr", "where",
    ]  # fmt: skip


def test_public_names_of_traces() -> None:
    assert trace.__all__ == ["Traced", "run", "unsupported"]


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in (linuxemu, testing, trace) for name in module.__all__]
)
def test_each_name_is_there_and_documented(module: ModuleType, name: str) -> None:
    assert getattr(module, name).__doc__


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Machines'"):
        linuxemu.Machines  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        trace.runs  # type: ignore[attr-defined]  # noqa: B018
