"""The names that `import linuxemu` promises."""

from __future__ import annotations

import pytest

import linuxemu


def test_public_names() -> None:
    assert linuxemu.__all__ == [
        "Bind", "BootError", "DeadlockError", "EngineError", "GuestStartError", "LinuxEmuError", "Machine", "Result",
        "RpcError",
    ]  # fmt: skip


@pytest.mark.parametrize("name", linuxemu.__all__)
def test_each_name_is_there_and_documented(name: str) -> None:
    assert getattr(linuxemu, name).__doc__


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Machines'"):
        linuxemu.Machines  # type: ignore[attr-defined]  # noqa: B018
