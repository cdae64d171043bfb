"""Target `elf`: damaged programs, read by the loader, the audit and traces, and executed by a guest."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from tools.fuzzing.linux import Syscalls, Witness, build, cache_dir
from tools.fuzzing.mutate import decoded, encoded, mutated, shorter
from tools.fuzzing.sandbox import Sandbox
from tools.fuzzing.target import Case, FuzzError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

_SOURCE = """
static int table[3] = {1, 2, 3};
const char text[] = "text";
__attribute__((noinline)) static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
__attribute__((noinline)) int chosen(int n) { return table[n % 3]; }
void inner(int n) { call(n > 1 ? 1 : 39, 1, (long)text, chosen(n)); }
void _start(void) { for (int n = 0; n < 4; n++) inner(n); call(60, chosen(2), 0, 0); for (;;) ; }
"""
_FLAGS = (
    ("-static", "-no-pie"),
    ("-static-pie", "-g"),
    ("-no-pie", "-g", "-gz=zlib", "-Wl,--dynamic-linker=/fuzz", "-Wl,-z,noseparate-code"),
    ("-shared", "-fPIC", "-s"),
    ("-static", "-g", "-gdwarf-4", "-fno-asynchronous-unwind-tables", "-Wl,--hash-style=sysv"),
)
_AT_ONCE = 64
"""Files that one guest executes."""
_EVERY = 8
"""For each file that is executed so many are only read."""
_HEADERS = 64 + 10 * 56


class Programs(Syscalls):
    """Damaged ELF files."""

    name = "elf"
    unit = "inputs"

    def open(self) -> None:
        """Compile what is damaged."""
        self._sandbox = Sandbox(build(cache_dir()))
        self._seeds = _compile(cache_dir())
        self._baseline = {}

    def cases(self, random: Random, count: int) -> Iterator[Case]:
        """Single files, and now and then a group of them for a guest."""
        while count > 0:
            yield {"files": [encoded(self._damaged(random)) for _ in range(_AT_ONCE)]}
            count -= _AT_ONCE
            for _ in range(min(_AT_ONCE * _EVERY, count)):
                yield {"data": encoded(self._damaged(random))}
                count -= 1

    def _damaged(self, random: Random) -> bytes:
        data = mutated(random, random.choice(self._seeds), self._seeds, _HEADERS)
        # What is no ELF file at all is refused by the first look: mostly keep what leads on.
        return data if random.random() < 0.05 else b"\x7fELF\x02\x01" + data[6:]

    def run(self, case: Case) -> int:
        """Read one file by everybody who reads such files, or execute several."""
        if "files" in case:
            return self._execute([decoded(text) for text in case["files"]])
        data = decoded(case["data"])
        load(data)
        audit(data)
        symbolise(data)
        return 1

    def _execute(self, files: list[bytes]) -> int:
        folder = self._sandbox.root / "elf"
        for number, data in enumerate(files):
            path = folder / f"{number:06}"
            path.write_bytes(data)
            path.chmod(0o755)
        self._sandbox.look()
        witness = Witness()
        self._machine(["/fuzz", "run", str(len(files))], witness, seed=None)
        self._failures += witness.failures()
        return len(files)

    def smaller(self, case: Case) -> Iterator[Case]:
        """Fewer files, or less of one."""
        files = case.get("files")
        if files is None:
            yield from shorter(case)
        elif len(files) > 1:
            yield {"files": files[: len(files) // 2]}
            yield {"files": files[len(files) // 2 :]}
            yield {"files": files[1:]}


def _compile(folder: Path) -> list[bytes]:
    compiler = shutil.which("gcc")
    if compiler is None:
        raise FuzzError("no gcc to compile programs with (Debian: apt-get install gcc)")
    made = folder / "program"
    found = []
    for flags in _FLAGS:
        words = [compiler, "-nostdlib", "-O1", "-x", "c", *flags, "-o", str(made), "-"]
        done = subprocess.run(words, input=_SOURCE, capture_output=True, text=True, check=False)
        if done.returncode:
            raise FuzzError(f"gcc cannot compile a program: {done.stderr.strip().splitlines()[-1]}")
        found.append(made.read_bytes())
        made.unlink()
    return found


def load(data: bytes) -> None:
    """As execve does, short of mapping anything."""
    from loader.elf import parse
    from loader.errors import ExecFormatError
    from loader.image import Image
    from loader.plan import brk_start, load_bias, plan
    from loader.script import HEAD_SIZE, parse_script

    def read(offset: int, length: int) -> bytes:
        return data[offset : offset + length]

    for interpreter in (False, True):
        try:
            parse_script(data[:HEAD_SIZE])
            image = parse(read, len(data), interpreter=interpreter)
            bias = load_bias(image)
            plan(image, bias, len(data))
            brk_start(image, bias)
            kept = image.to_bytes()
            assert Image.from_bytes(kept) == image, "an image that is kept becomes another"
        except ExecFormatError:
            pass


def audit(data: bytes) -> None:
    """As `linuxemu audit` does."""
    from linuxemu.audit.image import AuditError
    from linuxemu.audit.report import examine

    try:
        report = examine(data, lambda _: None)
    except AuditError:
        return
    report.as_json("file")
    report.as_text("file", everything=True).encode()


def symbolise(data: bytes) -> None:
    """As a trace of the stack does."""
    from linuxemu.trace.module import Module

    module = Module(data)
    for offset in (0, 0x1000, 0x1020, 0x1050, len(data)):
        address = module.address_of(offset)
        for place in (offset, 0x40_1020 + offset % 0x100, address or 0):
            module.symbol(place)
            module.begin(place)
            module.line(place)
            module.row(place)
