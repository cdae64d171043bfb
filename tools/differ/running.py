"""Runs batches of scripts, natively and in linuxemu."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from contextlib import redirect_stderr
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.differ import code

if TYPE_CHECKING:
    from collections.abc import Sequence

_SOURCE = Path(__file__).with_name("interpreter.c")
_COMMAND = ("gcc", "-static", "-O2", "-w")
NATIVE_LIMIT_MS, GUEST_LIMIT_MS = 300, 2000
_BATCH_S = 300.0
_HEAD, _PROCESS = struct.Struct("<iiI"), struct.Struct("<iI")


class RunError(Exception):
    """Scripts cannot be run here; the text says why."""


class Process(NamedTuple):
    """What a process of a script logged.

    Args:
        pid: its own.
        log: as the interpreter writes it.
    """

    pid: int
    log: bytes


class Raw(NamedTuple):
    """How a script ran.

    Args:
        slow: it was ended because it took too long.
        status: of its first process, as wait4(2) gives it.
        processes: in the order in which they began.
        complaint: what linuxemu says that no program should make it say.
    """

    slow: bool
    status: int
    processes: tuple[Process, ...]
    complaint: str = ""


class Runner:
    """Runs scripts.

    Args:
        directory: where the interpreter is built, and what it needs as a root; it may be there already.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @cached_property
    def _root(self) -> Path:
        """A root directory with the interpreter in it."""
        if shutil.which(_COMMAND[0]) is None:
            raise RunError("no gcc to build the interpreter with (Debian: apt-get install gcc libc6-dev)")
        root = self._directory / hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12]
        if not (root / "interpreter").exists():
            (root / "tmp").mkdir(parents=True, exist_ok=True)
            partial = root / f"interpreter.{os.getpid()}"
            built = subprocess.run([*_COMMAND, "-o", partial, _SOURCE], check=False, capture_output=True, text=True)
            if built.returncode != 0:
                raise RunError(f"the interpreter does not compile: {built.stderr.strip()}")
            partial.rename(root / "interpreter")
        return root

    def native(self, scripts: Sequence[code.Compiled], limit_ms: int = NATIVE_LIMIT_MS) -> list[Raw]:
        """Run scripts on the host.

        Args:
            scripts: to be run one after the other.
            limit_ms: how long each may take.

        Raises:
            RunError: this user cannot.
        """
        program = self._root / "interpreter"
        with tempfile.TemporaryFile() as log:
            done = subprocess.run(
                [program, "native"],
                check=False,
                input=code.batch(scripts, limit_ms),
                stdout=log,
                stderr=subprocess.PIPE,
                env={},
                timeout=_BATCH_S,
                start_new_session=True,
            )
            log.seek(0)
            found = _split(log.read())
        if done.returncode != 0 or len(found) != len(scripts):
            text = done.stderr.decode("utf-8", "replace").strip()
            raise RunError(f"the native run failed with status {done.returncode}: {text} (it needs root)")
        return found

    def guest(self, scripts: Sequence[code.Compiled], limit_ms: int = GUEST_LIMIT_MS) -> list[Raw]:
        """Run scripts in linuxemu; a script that ends the whole run does so as the last of the list."""
        from linuxemu.errors import LinuxEmuError
        from linuxemu.machine import Machine

        machine = Machine(root=str(self._root), stdin=code.batch(scripts, limit_ms), seed=1, timeout_s=_BATCH_S)
        defects = StringIO()
        try:
            with redirect_stderr(defects):
                result = machine.run(["/interpreter", "guest", _protected_hardlinks()])
        except LinuxEmuError as error:
            return [Raw(False, 0, (), f"{type(error).__name__}: {error}")]
        found = _split(result.stdout)
        text = (result.stderr.decode("utf-8", "replace") + defects.getvalue()).strip()
        if text or result.exit_status != 0 or len(found) != len(scripts):
            found.append(Raw(False, 0, (), f"exit status {result.exit_status} {text}"))
        return found


def _protected_hardlinks() -> str:
    """The host's setting of this name, which namespaces do not have for themselves."""
    try:
        return Path("/proc/sys/fs/protected_hardlinks").read_text("ascii").strip()
    except FileNotFoundError:
        return "0"


def _split(log: bytes) -> list[Raw]:
    """The output of the interpreter, by script."""
    found, at = [], 0
    while at + _HEAD.size <= len(log):
        slow, status, count = _HEAD.unpack_from(log, at)
        at += _HEAD.size
        processes = []
        for _ in range(count):
            pid, size = _PROCESS.unpack_from(log, at)
            at += _PROCESS.size
            processes.append(Process(pid, log[at : at + size]))
            at += size
        found.append(Raw(bool(slow), status, tuple(processes)))
    return found
