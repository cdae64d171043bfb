"""Scenarios that run twice: as system calls of a native process, and as those of a task in linuxemu.

A scenario is a function that takes a `Twin`, makes system calls and looks at memory, and returns what it saw. What
it returns natively is right by definition; what differs from run to run (addresses, pids) it has to turn into
something that does not. One helper process forks a child for each native run.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from syscalls.abi.errno import errno_name
from syscalls.abi.numbers import X86_64
from tests.syscalls.machine_rig import MachineRig

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent.parent


class Twin(Protocol):
    """The system as a scenario sees it; its current directory is empty at the start."""

    def call(self, name: str, *args: int) -> int:
        """Make a system call; the result, or the negative errno."""

    def peek(self, address: int, length: int) -> bytes | None:
        """Read memory as the program could; None where it would fault."""

    def poke(self, address: int, data: bytes) -> bool:
        """Write memory as the program could; False where it would fault."""

    def put(self, data: bytes) -> int:
        """Address of memory that holds these bytes."""


def show(result: int) -> str:
    """A result that may be compared: the name of an errno, or the number."""
    return errno_name(-result) if -4096 < result < 0 else str(result)


def ok(result: int) -> str:
    """The same for results that differ from run to run: "ok" for any success."""
    return errno_name(-result) if -4096 < result < 0 else "ok"


class GuestTwin:
    """A task of a `MachineRig`."""

    def __init__(self, rig: MachineRig) -> None:
        self.rig = rig
        self.t = rig.init

    def call(self, name: str, *args: int) -> int:
        return self.rig.call(self.t, name, *args)

    def peek(self, address: int, length: int) -> bytes | None:
        return self.rig.peek(self.t, address, length)

    def poke(self, address: int, data: bytes) -> bool:
        return self.rig.poke(self.t, address, data)

    def put(self, data: bytes) -> int:
        return self.rig.put(self.t, data)


class _Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class NativeTwin:
    """This very process, which should be a child made for the purpose."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._syscall = self._libc.syscall
        self._syscall.restype = ctypes.c_long
        self._keep: list[Any] = []
        self._pid = os.getpid()

    def call(self, name: str, *args: int) -> int:
        result: int = self._syscall(ctypes.c_long(X86_64[name]), *map(ctypes.c_long, args))
        if os.getpid() != self._pid:
            os._exit(0)  # a child that the scenario did not expect
        return -ctypes.get_errno() if result == -1 else result

    def _move(self, function: Any, address: int, buffer: Any, length: int) -> bool:
        mine = _Iovec(ctypes.addressof(buffer), length)
        its = _Iovec(address, length)
        moved: int = function(self._pid, ctypes.byref(mine), 1, ctypes.byref(its), 1, 0)
        return moved == length

    def peek(self, address: int, length: int) -> bytes | None:
        buffer = ctypes.create_string_buffer(length)
        return buffer.raw if self._move(self._libc.process_vm_readv, address, buffer, length) else None

    def poke(self, address: int, data: bytes) -> bool:
        buffer = ctypes.create_string_buffer(data, len(data))
        return self._move(self._libc.process_vm_writev, address, buffer, len(data))

    def put(self, data: bytes) -> int:
        self._keep.append(ctypes.create_string_buffer(data, len(data)))
        return ctypes.addressof(self._keep[-1])


class Native:
    """The helper process that runs scenarios natively."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.syscalls.twin"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def __call__(self, scenario: Callable[[Twin], Any]) -> Any:
        """What a scenario returns natively."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{scenario.__module__} {scenario.__name__}\n".encode())
        process.stdin.flush()
        size = int.from_bytes(process.stdout.read(8), "little")
        failure, value = pickle.loads(process.stdout.read(size))
        assert failure is None, f"natively: {failure}"
        return value

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _run_child(module: str, name: str, directory: str) -> tuple[str | None, Any]:
    os.chdir(directory)
    os.umask(0o022)
    try:
        return None, getattr(importlib.import_module(module), name)(NativeTwin())
    except BaseException as error:  # noqa: BLE001
        import traceback

        return "".join(traceback.format_exception(error)), None


def _one(module: str, name: str) -> bytes:
    """Run a scenario in a child with a directory of its own; what it returned, pickled."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as directory:
        read_end, write_end = os.pipe()
        child = os.fork()
        if not child:
            data = pickle.dumps(_run_child(module, name, directory))
            with os.fdopen(write_end, "wb") as pipe:
                pipe.write(data)
            os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            data = pipe.read()
        status = os.waitpid(child, 0)[1]
    return data or pickle.dumps((f"the child ended with status {status}", None))


def main() -> None:
    """Serve the scenarios whose names come on standard input."""
    for line in sys.stdin:
        module, name = line.split()
        importlib.import_module(module)
        answer = _one(module, name)
        sys.stdout.buffer.write(len(answer).to_bytes(8, "little") + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
