"""The Python API: one machine, several runs, several machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linuxemu.errors import BootError, LinuxEmuError
from tests.helpers import STRICT_IPC

if TYPE_CHECKING:
    from pathlib import Path


def test_run_captures() -> None:
    from linuxemu.machine import Machine

    result = Machine(stdin=b"input", strict_ipc=STRICT_IPC).run(["sh", "-c", "cat; echo err >&2; exit 3"])
    assert (result.exit_status, result.stdout, result.stderr, result.signal) == (3, b"input", b"err\n", None)


def test_killed_by_a_signal() -> None:
    from linuxemu.machine import Machine

    result = Machine(strict_ipc=STRICT_IPC).run(["sh", "-c", "kill -9 $$"])
    assert (result.exit_status, result.signal) == (137, 9)


def test_each_run_is_a_fresh_system() -> None:
    from linuxemu.machine import Machine

    machine = Machine(strict_ipc=STRICT_IPC, cwd="/tmp")
    assert machine.run(["sh", "-c", "echo x > f; ls"]).stdout == b"f\n"
    assert machine.run(["ls"]).stdout == b""


def test_two_machines_in_turn(tmp_path: Path) -> None:
    from linuxemu.machine import Bind, Machine

    first = Machine(strict_ipc=STRICT_IPC, binds=[Bind(str(tmp_path), "/shared", True)])
    second = Machine(strict_ipc=STRICT_IPC, binds=[Bind(str(tmp_path), "/shared")], env={"A": "b"})
    assert first.run(["sh", "-c", "echo from the first > /shared/f"]).exit_status == 0
    assert second.run(["sh", "-c", "cat /shared/f; echo $A"]).stdout == b"from the first\nb\n"


def test_bytes_as_arguments() -> None:
    from linuxemu.machine import Machine

    assert Machine(strict_ipc=STRICT_IPC).run(["printf", b"%s", b"\xff\xfe"]).stdout == b"\xff\xfe"


def test_not_found_has_the_shells_status() -> None:
    from linuxemu.machine import Machine

    with pytest.raises(BootError, match="nothing-here") as caught:
        Machine(strict_ipc=STRICT_IPC).run(["nothing-here"])
    assert getattr(caught.value, "exit_status", None) == 127


@pytest.mark.parametrize(
    "options",
    [
        {"root": "/", "host_root": True},
        {"rw": True},
        {"engine": "other"},
        {"memory_mib": 1},
    ],
)
def test_contradictions_are_refused(options: dict[str, object]) -> None:
    from linuxemu.machine import Machine

    with pytest.raises(LinuxEmuError):
        Machine(**options)  # type: ignore[arg-type]


def test_no_program() -> None:
    from linuxemu.machine import Machine

    with pytest.raises(BootError):
        Machine(strict_ipc=STRICT_IPC).run([])


def test_timeout() -> None:
    from linuxemu.machine import Machine

    result = Machine(strict_ipc=STRICT_IPC, timeout_s=0.3).run(["sh", "-c", "echo before; sleep 100"])
    assert (result.exit_status, result.stdout) == (124, b"before\n")


def test_unknown_calls_are_recorded() -> None:
    from linuxemu.machine import Machine

    machine = Machine(strict_ipc=STRICT_IPC)
    machine.run(["sh", "-c", "ip link 2>/dev/null"])
    assert any("socket" in item.what for item in machine.unsupported)
