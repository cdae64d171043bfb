"""What tests share: driving a coroutine, running a program natively and in linuxemu, comparing the two."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent

STRICT_IPC = os.environ.get("LINUXEMU_STRICT_IPC", "") not in ("", "0")
"""Every message is packed and unpacked in this run of the suite (conftest.py sets it for --strict-ipc)."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(coro: Coroutine[Any, Any, Any]) -> Any:
    """Drive a coroutine that never really waits, as the handlers of servers are without a kernel."""
    try:
        coro.send(None)
    except StopIteration as stop:
        return stop.value
    coro.close()
    raise AssertionError("the coroutine waits for something")


class Outcome(NamedTuple):
    """How a program ended and what it said."""

    status: int
    stdout: bytes
    stderr: bytes

    def text(self) -> str:
        """All of it in one string that pytest can show a difference of."""
        out = self.stdout.decode("utf-8", "backslashreplace")
        err = self.stderr.decode("utf-8", "backslashreplace")
        return f"{out}--- stderr ---\n{err}--- status {self.status} ---"


def host_runs_programs() -> bool:
    """A native run is possible: this is Linux on x86-64."""
    return sys.platform == "linux" and os.uname().machine == "x86_64"


def busybox() -> str | None:
    """A static BusyBox of the host, which the default root is made of too."""
    found = shutil.which("busybox", path=os.environ.get("PATH", "") + ":" + PATH)
    return os.path.realpath(found) if found else None


def native(
    argv: Sequence[str | bytes],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes = b"",
    timeout_s: float = 60,
    executable: str | None = None,
) -> Outcome:
    """Run a program on the host, in a session of its own as the guest's first process is in one."""
    done = subprocess.run(
        argv,
        executable=executable,
        cwd=cwd,
        env=dict(env),
        input=stdin,
        capture_output=True,
        timeout=timeout_s,
        start_new_session=True,
        umask=0o022,
    )
    status = done.returncode
    return Outcome(128 - status if status < 0 else status, done.stdout, done.stderr)


def guest(argv: Sequence[str | bytes], **options: Any) -> Outcome:
    """Run a program in linuxemu, in this process; the options are those of `guest_result`."""
    result = guest_result(argv, **options)
    return Outcome(result.exit_status, result.stdout, result.stderr)


def guest_result(
    argv: Sequence[str | bytes], *, stdin: bytes = b"", timeout_s: float = 100, **options: Any
) -> Any:
    """The same, with everything that `Machine.run` gives back; further options are those of `Machine`."""
    from linuxemu.machine import Machine

    options.setdefault("strict_ipc", STRICT_IPC)
    machine = Machine(stdin=stdin, stdout="capture", stderr="capture", timeout_s=timeout_s, **options)
    return machine.run(argv)


def cli_words(*words: str) -> list[str]:
    """The command line of the tool, in the IPC mode of this run of the suite."""
    line = [sys.executable, "-m", "linuxemu", *words]
    if STRICT_IPC and words and words[0] in ("run", "trace"):
        line.insert(4, "--strict-ipc")
    return line


def cli(*words: str, stdin: bytes = b"", timeout_s: float = 100, **options: Any) -> Outcome:
    """Run the command-line tool as a user does."""
    options.setdefault("env", tool_environment())
    done = subprocess.run(cli_words(*words), input=stdin, capture_output=True, timeout=timeout_s, **options)
    status = done.returncode
    return Outcome(128 - status if status < 0 else status, done.stdout, done.stderr)


def tool_environment() -> dict[str, str]:
    """The environment the tool runs in: the caller's, finding this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
    """Wait for something another process does; fail after `timeout_s`."""
    import time

    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def mask_numbers(text: bytes) -> bytes:
    """Every run of digits as N: for output whose numbers are of the day."""
    return re.sub(rb"[0-9]+", b"N", text)
