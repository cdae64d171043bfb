"""A small `strace -k` of native programs that uses the unwinder of `linuxemu trace -k`."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from linuxemu.trace.module import Mapping, Modules
from linuxemu.trace.stack import stack_lines
from linuxemu.trace.unwind import unwind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from linuxemu.trace.module import Module
    from linuxemu.trace.unwind import Registers

PTRACE_CONT, PTRACE_GETREGS, PTRACE_ATTACH, PTRACE_SYSCALL, PTRACE_SETOPTIONS = 7, 12, 16, 24, 0x4200
PTRACE_O_TRACESYSGOOD, PTRACE_O_TRACEEXEC, PTRACE_O_EXITKILL = 1, 0x10, 0x100000
PTRACE_EVENT_EXEC = 4
USER_REGS = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
    "orig_rax", "rip", "cs", "eflags", "rsp",
)  # fmt: skip
DWARF_ORDER = (
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
)  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class Stop(NamedTuple):
    """A native thread at the begin of a system call."""

    number: int
    registers: Registers
    mappings: list[tuple[int, int, int, bytes]]
    """Start, end, offset and path of executable memory."""
    memory: int
    """A descriptor of /proc/PID/mem."""
    modules: Modules

    def read(self, address: int, length: int) -> bytes | None:
        try:
            data = os.pread(self.memory, length, address)
        except (OSError, OverflowError):
            return None
        return data if len(data) == length else None

    def find(self, address: int) -> Mapping | None:
        for start, end, offset, path in self.mappings:
            if start <= address < end:
                return Mapping(path, start, offset, self._module(path))
        return None

    def _module(self, path: bytes) -> Module | None:
        if not path.startswith(b"/"):
            return None
        if module := self.modules.get(path):
            return module
        with open(path, "rb") as file:
            return self.modules.add(path, file.read())

    def lines(self, *, source: bool = False) -> list[str]:
        return stack_lines(unwind(self.registers, self.read, self.find), source=source)


def stops(argv: Sequence[str], number: int, modules: Modules | None = None) -> Iterator[Stop]:
    """Runs a program and yields at the begin of each system call of one number, while it waits there."""
    modules = modules or Modules()
    # The shell waits until it is traced.
    line = ["/bin/sh", "-c", 'read _; exec "$@"', "sh", *argv]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    memory = -1
    try:
        _attach(process)
        memory = os.open(f"/proc/{process.pid}/mem", os.O_RDONLY)
        entering, delivered = False, 0  # it is about to return from execve
        while True:
            _libc.ptrace(PTRACE_SYSCALL, process.pid, None, delivered)
            _, status = os.waitpid(process.pid, 0)
            if not os.WIFSTOPPED(status):
                return
            if os.WSTOPSIG(status) != signal.SIGTRAP | 0x80:
                delivered = os.WSTOPSIG(status)
                continue
            delivered = 0
            if entering:
                stop = _stop(process.pid, memory, modules)
                if stop.number == number:
                    yield stop
            entering = not entering
    finally:
        if memory >= 0:
            os.close(memory)
        process.stdin.close()
        process.kill()
        process.wait()


def _attach(process: subprocess.Popen[bytes]) -> None:
    """Lets the shell go on to the end of its execve."""
    if _libc.ptrace(PTRACE_ATTACH, process.pid, None, None) != 0:
        pytest.skip("this host does not let a test trace its child (ptrace)")
    os.waitpid(process.pid, 0)
    options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC
    assert _libc.ptrace(PTRACE_SETOPTIONS, process.pid, None, options) == 0
    process.stdin.write(b"\n")
    process.stdin.flush()
    while True:
        _libc.ptrace(PTRACE_CONT, process.pid, None, None)
        _, status = os.waitpid(process.pid, 0)
        if status >> 8 == signal.SIGTRAP | PTRACE_EVENT_EXEC << 8:
            return
        assert os.WIFSTOPPED(status)


def _stop(pid: int, memory: int, modules: Modules) -> Stop:
    words = (ctypes.c_uint64 * 27)()
    assert _libc.ptrace(PTRACE_GETREGS, pid, None, words) == 0
    values = dict(zip(USER_REGS, words))
    mappings = []
    with open(f"/proc/{pid}/maps", "rb") as maps:
        for line in maps:
            places, rights, offset, _, _, *path = line.rstrip(b"\n").split(None, 5)
            if b"x" in rights:
                start, end = (int(word, 16) for word in places.split(b"-"))
                mappings.append((start, end, int(offset, 16), path[0] if path else b""))
    registers = [values[name] for name in DWARF_ORDER]
    return Stop(values["orig_rax"], registers, mappings, memory, modules)


def strace_lines(argv: Sequence[str], name: str) -> list[list[str]]:
    """What strace -k says of the stacks at each system call of a name."""
    line = ["strace", "-qq", "-e", "signal=none", "-k", "-e", f"trace={name}", "-o", "/dev/stderr", *argv]
    done = subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    stacks: list[list[str]] = []
    for text in done.stderr.splitlines():
        if text.startswith(f"{name}("):
            stacks.append([])
        elif text.startswith(" > "):
            stacks[-1].append(text)
    return stacks
