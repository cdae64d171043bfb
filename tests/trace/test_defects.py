"""A defect of a formatter: the program goes on, the trace shows numbers, and the tool says what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from linuxemu.trace import api, formats

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg


def broken(call: Call, value: int, arg: Arg) -> NoReturn:
    raise ZeroDivisionError("a defect")


@pytest.mark.parametrize(
    ("name", "call", "shown"),
    [
        ("path", "openat", "openat(0xffffffffffffff9c, 0x"),  # of what is shown when a call begins
        ("buffer", "read", "read(0)"),  # and ends
        ("fd", "openat", " = 3"),  # of a result
    ],
)
def test_the_program_goes_on(
    name: str, call: str, shown: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    formats.load()
    monkeypatch.setitem(formats.FORMATS, name, broken)
    script = "read name < /etc/hostname; echo $name"
    found = api.run(["sh", "-c", script], f"-e trace={call} -e status=successful", form="text")
    assert (found.result.exit_status, found.result.stdout) == (0, b"linuxemu\n")
    assert any(shown in line for line in found.lines)
    reported = capfd.readouterr().err
    assert f"internal error serving the trace of {call}(" in reported
    assert "ZeroDivisionError: a defect" in reported
