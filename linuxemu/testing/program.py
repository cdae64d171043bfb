"""Whole guest programs in tests: from C, from machine code, or from a list of system calls."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, NamedTuple

from linuxemu.errors import LinuxEmuError
from linuxemu.kernel.traps import HOOK_SYSCALL
from linuxemu.messages import AbiHook
from linuxemu.testing.assembler import DATA, Assembler
from linuxemu.testing.log import RpcLog
from linuxemu.testing.show import show_value, signed
from linuxemu.testing.values import Out, packed
from syscalls import registry
from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syscalls.server import Unsupported

_RESULTS = DATA
"""Where a program made of system calls keeps what they returned, eight bytes each."""
_ROOM = DATA + 0x8000
_DATA_SIZE = 1 << 20
_ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
_ENDING = ("exit", "exit_group")
_COMPILERS = (("gcc", "-static"), ("musl-gcc", "-static"))


class NoCompiler(LinuxEmuError):
    """There is no C compiler that makes static programs for x86-64 Linux."""


class CompileError(LinuxEmuError):
    """The C source of a test does not compile; the text is the compiler's."""


class Result:
    """As an argument in a list of system calls: what an earlier one returned.

    Args:
        index: its position in the list, 0 for the first; negative ones count back from the call that has this argument.
    """

    def __init__(self, index: int) -> None:
        self.index = index


class SyscallRecord(NamedTuple):
    """A system call that a program made.

    Args:
        tid: the thread.
        name: Linux's name of the call.
        args: as many raw arguments as the call has, as signed numbers.
        result: what it returned, a negative errno for an error; None if it did not return.
    """

    tid: int
    name: str
    args: tuple[int, ...]
    result: int | None

    def __str__(self) -> str:
        shown = ", ".join(map(show_value, self.args))
        return f"[{self.tid}] {self.name}({shown}) = {'?' if self.result is None else show_value(self.result)}"


class ProgramResult(NamedTuple):
    """How a program ended.

    Args:
        exit_status: as a shell shows it: 128+n for signal n, 124 after the time limit.
        signal: the signal that killed it.
        stdout: what it wrote there.
        stderr: the same for standard error.
        rpcs: every message of the machine.
        unsupported: what it asked for that is not there.
    """

    exit_status: int
    signal: int | None
    stdout: bytes
    stderr: bytes
    rpcs: RpcLog
    unsupported: list[Unsupported]

    @property
    def syscalls(self) -> list[SyscallRecord]:
        """The system calls of all its threads, in the order in which they began."""
        return [
            _record(entry.tid, entry.request, entry.reply)
            for entry in self.rpcs
            if isinstance(entry.request, AbiHook) and entry.request.type == HOOK_SYSCALL
        ]

    def results(self, name: str) -> list[int | None]:
        """What each call of this name returned."""
        return [call.result for call in self.syscalls if call.name == name]


def _record(tid: int, request: AbiHook, reply: Any) -> SyscallRecord:
    frame = request.frame
    call = registry.TABLE.get(frame.rax)
    registers: tuple[int, ...] = (frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9)
    if call is not None:
        registers = registers[: call.handler.__code__.co_argcount - 1]
    result = signed(reply.frame.rax) if reply is not None else None
    name = next((name for name, number in X86_64.items() if number == frame.rax), f"syscall_{frame.rax}")
    return SyscallRecord(tid, name, tuple(map(signed, registers)), result)


class ProgramRunner:
    """Runs programs, each in a machine of its own, the same way every time.

    The clock is virtual, pids and random numbers follow from the seed. The root holds the program, `files`, and empty
    /dev, /proc, /sys and /tmp.

    Args:
        strict_ipc: pack and unpack every message.
        seed: of the random numbers.
        cache: a directory that keeps compiled programs; a temporary one by default.
        logs: gets the log of each run.
    """

    def __init__(
        self,
        *,
        strict_ipc: bool = False,
        seed: int = 0,
        cache: str | os.PathLike[str] | None = None,
        logs: list[RpcLog] | None = None,
    ) -> None:
        self._strict_ipc = strict_ipc
        self._seed = seed
        self._cache = cache
        self._logs = logs if logs is not None else []

    def __call__(
        self,
        source: bytes | Sequence[Sequence[Any]] | None = None,
        *,
        c: str | None = None,
        args: Sequence[str | bytes] = (),
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
        user: tuple[int, int] | None = None,
        timeout_s: float = 60,
        **options: Any,
    ) -> ProgramResult:
        """Run a program to its end.

        Args:
            source: the bytes of an ELF file, or bare machine code; or system calls, each a tuple of name and
                arguments: numbers, str (with a NUL) and bytes, structures, `Out`, or `Result` of an earlier call. A
                list that does not exit is followed by exit_group(0).
            c: C source instead; compiled statically.
            args: the program's arguments, without its name.
            stdin: what it reads.
            env: variables beside a small clean environment.
            files: contents of further files by absolute path.
            user: uid and gid; root by default.
            timeout_s: after so many seconds of the host it ends with status 124.
            options: further ones of `linuxemu.Machine`.
        Raises:
            NoCompiler: for C without a compiler; the fixture skips the test.
            CompileError: the C source is wrong.
            ValueError: the list of system calls is.
        """
        from linuxemu.machine import Machine
        from linuxemu.session import TIMEOUT_STATUS

        if (source is None) == (c is None):
            raise TypeError("give either machine code or system calls, or c=...")
        image = self.compile(c) if c is not None else _image(source)
        with tempfile.TemporaryDirectory(prefix="linuxemu-") as directory:
            root = os.path.join(directory, "root.tar")
            _write_root(root, {"/program": image, **(files or {})})
            log = RpcLog()
            self._logs.append(log)
            machine = Machine(
                root=root, env=env, user=user, stdin=stdin, timeout_s=timeout_s, seed=self._seed,
                strict_ipc=self._strict_ipc, observe=log.wrap, **options,
            )  # fmt: skip
            done = machine.run(["/program", *args])
            log.cut = done.exit_status == TIMEOUT_STATUS
        return ProgramResult(done.exit_status, done.signal, done.stdout, done.stderr, log, machine.unsupported)

    def compile(self, source: str) -> bytes:
        """The static program that C source makes; each source is compiled once.

        Raises:
            NoCompiler: there is none.
            CompileError: the source is wrong.
        """
        compiler = _compiler()
        if compiler is None:
            raise NoCompiler("no C compiler for static x86-64 Linux programs (Debian: apt-get install gcc libc6-dev)")
        directory = Path(self._cache) if self._cache is not None else Path(tempfile.gettempdir(), f"linuxemu-c-{_me()}")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = hashlib.sha256("\0".join((*compiler, source)).encode()).hexdigest()[:24]
        program = directory / key
        if not program.exists():
            # Under a name of this process's own first: two may compile the same program at once.
            partial = directory / f"{key}.{os.getpid()}"
            line = [*compiler, "-O1", "-x", "c", "-o", str(partial), "-"]
            done = subprocess.run(line, input=source, capture_output=True, text=True, check=False)
            if done.returncode:
                raise CompileError(f"{compiler[0]}: {done.stderr.strip()}")
            partial.rename(program)
        return program.read_bytes()


def _me() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _compiler() -> tuple[str, ...] | None:
    """The command of a compiler that makes static programs for x86-64 Linux, None if there is none."""
    for command in _COMPILERS:
        if which(command[0]) is None:
            continue
        line = [command[0], "-dumpmachine"]
        machine = subprocess.run(line, capture_output=True, text=True, check=False).stdout
        if machine.startswith("x86_64") and "linux" in machine:
            return command
    return None


def _image(source: bytes | Sequence[Sequence[Any]] | None) -> bytes:
    if isinstance(source, (bytes, bytearray)):
        if source[:4] == b"\x7fELF":
            return bytes(source)
        made = Assembler()
        made.raw(bytes(source))
        return made.elf(_DATA_SIZE)
    return _Sequence(source or ()).elf()


class _Sequence:
    """A program that makes one system call after the other.

    Args:
        calls: name and arguments of each.
    Raises:
        ValueError: an unknown name, or an argument that cannot be one.
    """

    def __init__(self, calls: Sequence[Sequence[Any]]) -> None:
        self._assembler = Assembler()
        self._room: dict[int, int] = {}
        self._next = _ROOM
        self._keep: list[Out] = []
        for index, (name, *args) in enumerate(calls):
            self._call(index, name, args)
        if not calls or calls[-1][0] not in _ENDING:
            self._assembler.call(X86_64["exit_group"], 0)

    def elf(self) -> bytes:
        """The program."""
        return self._assembler.elf(_DATA_SIZE)

    def _call(self, index: int, name: str, args: Sequence[Any]) -> None:
        number = X86_64.get(name)
        if number is None:
            raise ValueError(f"call {index}: x86-64 Linux has no system call {name!r}")
        if len(args) > len(_ARGUMENTS):
            raise ValueError(f"call {index}: {name} with {len(args)} arguments")
        for register, value in zip(_ARGUMENTS, args, strict=False):
            self._load(index, register, value)
        self._assembler.set("rax", number)
        self._assembler.raw(b"\x0f\x05")
        self._assembler.store_long(_RESULTS + 8 * index)

    def _load(self, index: int, register: str, value: Any) -> None:
        set_register = self._assembler.set
        if isinstance(value, Result):
            at = value.index if value.index >= 0 else index + value.index
            if not 0 <= at < index:
                raise ValueError(f"call {index}: there is no earlier call {value.index}")
            self._assembler.load_long(register, _RESULTS + 8 * at)
        elif isinstance(value, int):
            set_register(register, int(value))
        elif isinstance(value, str):
            set_register(register, value.encode("utf-8", "surrogateescape"))
        elif isinstance(value, Out):
            set_register(register, self._place(value))
        else:
            try:
                set_register(register, packed(value))
            except TypeError as error:
                raise ValueError(f"call {index}: {error}") from None

    def _place(self, out: Out) -> int:
        """The room of an `Out`; the same object is the same room in every call."""
        known = self._room.get(id(out))
        if known is None:
            known = self._room[id(out)] = self._next
            self._keep.append(out)
            self._next += (out.size + 15) & ~15
            if self._next > DATA + _DATA_SIZE:
                raise ValueError(f"the results need more than {_DATA_SIZE} bytes")
        return known


def _write_root(path: str, files: Mapping[str, bytes]) -> None:
    """A tar archive with these files, and the directories that they and a system need; the same every time."""
    directories = {"dev", "proc", "sys", "tmp"}
    for name in files:
        if not name.startswith("/"):
            raise ValueError(f"files: {name!r} is no absolute path")
        directories.update(str(parent) for parent in Path(name[1:]).parents if str(parent) != ".")
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for directory in sorted(directories):
            entry = tarfile.TarInfo(directory)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o1777 if directory == "tmp" else 0o755
            archive.addfile(entry)
        for name, data in files.items():
            entry = tarfile.TarInfo(name[1:])
            entry.size = len(data)
            entry.mode = 0o755 if name == "/program" else 0o644
            archive.addfile(entry, io.BytesIO(data))
