"""Targets `syscalls` and `trace`: a guest of several processes makes generated system calls."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linuxemu.machine import Bind, Machine
from tools.fuzzing.declared import header
from tools.fuzzing.sandbox import Sandbox
from tools.fuzzing.target import Case, Failure, FuzzError, Target, failure_of
from tools.fuzzing.terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from linuxemu.kernel import Kernel
    from linuxemu.kernel.task import Service, Task
    from linuxemu.session import Result
    from syscalls.server import LinuxServer

SOURCE = Path(__file__).with_name("guest.c")

_PAUSE_NS = 1000
_REAL_PAUSE_NS = 3_000_000
"""How long the guest's first process sleeps between two looks at the others, with virtual and the host's time."""
_PER_CASE = 1000
"""Calls of one stream in one run."""
_PROCESSES = 4
_MEMORY_MIB = 128
_CLOSED = 124
"""The exit status of a run that took too long."""


def build(folder: Path) -> Path:
    """The guest program, compiled unless that is done.

    Raises:
        FuzzError: there is no compiler, or it fails.
    """
    compiler = shutil.which("gcc")
    if compiler is None:
        raise FuzzError("no gcc to compile the guest with (Debian: apt-get install gcc)")
    table = header()
    key = hashlib.sha256(table.encode() + SOURCE.read_bytes()).hexdigest()[:12]
    program = folder / f"guest-{key}"
    if program.exists():
        return program
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        Path(place, "calls.h").write_text(table)
        made = Path(place, "guest")
        words = [compiler, "-static", "-nostdlib", "-no-pie", "-fno-pie", "-O1", "-fno-stack-protector", "-I", place]
        done = subprocess.run([*words, "-o", str(made), str(SOURCE)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise FuzzError(f"gcc cannot compile {SOURCE.name}: {done.stderr.strip().splitlines()[-1]}")
        made.rename(program)
    return program


class Witness:
    """Sees the kernel and the Linux server of a run, and what defects they have recorded."""

    def __init__(self) -> None:
        self.kernel: Kernel | None = None
        self.linux: LinuxServer | None = None

    def __call__(self, kernel: Kernel, task: Task, message: type, method: Service) -> Service:
        """See `linuxemu.kernel.interpose.Wrap`; changes nothing."""
        from syscalls.server import LinuxServer

        self.kernel = kernel
        if isinstance(task.server, LinuxServer):
            self.linux = task.server
        return method

    def failures(self) -> Iterator[Failure]:
        """Each defect."""
        for call, error in self.linux.oopses if self.linux is not None else ():
            yield failure_of(error, call)
        for error in self.kernel.errors if self.kernel is not None else ():
            yield failure_of(error, "in a server")


def growth(stats: dict[str, int]) -> dict[str, int]:
    """The kernel's counters that are higher at the end of a run than when its first program started."""
    stats = dict(stats)
    for when in ("start", "end"):
        # Pages of files are kept for their next user on purpose.
        stats[f"frames_held_{when}"] = stats.pop(f"frames_used_{when}") - stats.pop(f"frames_cached_{when}")
    names = [name.removesuffix("_start") for name in stats if name.endswith("_start")]
    grown = {name: stats[f"{name}_end"] - stats[f"{name}_start"] for name in names}
    return {name: value for name, value in grown.items() if value > 0}


class Syscalls(Target):
    """Generated system calls."""

    name = "syscalls"
    unit = "system calls"
    limit_s = 120.0
    peak_mib = _MEMORY_MIB + 64.0
    per_case = _PER_CASE

    def __init__(self) -> None:
        self._failures: list[Failure] = []
        self._sandbox: Sandbox
        self._baseline: dict[str, int] = {}

    def open(self) -> None:
        """Make the sandbox and measure what a run without calls leaves."""
        self._sandbox = Sandbox(build(cache_dir()))
        self._baseline = {}
        self._baseline = growth(self._machine(["/fuzz", "1", "0", "1", "1", str(_PAUSE_NS)], Witness()).stats)

    def close(self) -> None:
        """Remove the sandbox."""
        self._sandbox.close()

    def cases(self, random: Random, count: int) -> Iterator[Case]:
        """Runs of all processes, each with a seed of its own.

        Some pack all messages, some have the host's time, some of these a terminal as standard input.
        """
        while count > 0:
            calls = min(self.per_case, -(-count // (2 * _PROCESSES)))
            case = {"seed": random.getrandbits(32), "first": 0, "count": calls, "processes": _PROCESSES}
            strict, real, typed = (random.random() < part for part in (0.2, 0.2, 0.3))
            yield {**case, "strict": strict, "real": real or typed, "terminal": typed}
            count -= calls * 2 * _PROCESSES

    def run(self, case: Case) -> int:
        """One run of the guest; how many calls it made."""
        witness = Witness()
        argv = ["/fuzz", *(str(case[name]) for name in ("seed", "first", "count", "processes"))]
        more: dict[str, Any] = {"strict_ipc": case["strict"]}
        if case["real"]:
            more["seed"] = None
        argv.append(str(_REAL_PAUSE_NS if case["real"] else _PAUSE_NS))
        if case.get("terminal"):
            with terminal(case["seed"]):
                result = self._machine(argv, witness, stdin="inherit", **more)
        else:
            result = self._machine(argv, witness, **more)
        self._failures += witness.failures()
        if result.exit_status == _CLOSED:
            self._failures.append(Failure("hang", f"no end within {self.limit_s / 2} s", ""))
            return 0
        if result.signal is None and result.exit_status == 0:
            self._failures += self._leaks(result)
        made = re.search(rb"\nmade (\d{1,9})\n$", result.stdout)
        if made is None:
            why = f"the first process did not come to its end: status {result.exit_status}, signal {result.signal}"
            self._failures.append(Failure("ended", why, str(result.signal)))
            return 0
        return int(made[1])

    def _leaks(self, result: Result) -> Iterator[Failure]:
        """The first processes of a run are all gone: nothing else may be left of it."""
        for name, value in growth(result.stats).items():
            if name in ("tasks", "processes", "activities") and value > self._baseline.get(name, 0):
                yield Failure("counters", f"{name} has grown by {value}", name)

    def _machine(self, argv: list[str], witness: Witness, **more: Any) -> Result:
        box = self._sandbox
        box.renew()
        machine = Machine(
            root=str(box.root),
            binds=[Bind(str(box.read_only), "/ro"), Bind(str(box.writable), "/rw", rw=True)],
            memory_mib=_MEMORY_MIB,
            timeout_s=self.limit_s / 2,
            **{"seed": 1, "observe": witness, **more},
        )
        return machine.run(argv)

    def check(self) -> Iterator[Failure]:
        """Defects that were recorded, and changes outside of the sandbox."""
        found, self._failures = self._failures, []
        yield from found
        yield from self._sandbox.changes()

    def smaller(self, case: Case) -> Iterator[Case]:
        """Fewer processes, then less calls at either end."""
        for processes in range(1, case["processes"]):
            yield {**case, "processes": processes}
        first, count = case["first"], case["count"]
        part = count // 2
        while part:
            yield {**case, "count": part}
            yield {**case, "first": first + part, "count": count - part}
            yield {**case, "count": count - part}
            part //= 2


class Trace(Syscalls):
    """The same under a trace that shows everything there is to show."""

    name = "trace"
    per_case = 150

    def _machine(self, argv: list[str], witness: Witness, **more: Any) -> Result:
        from linuxemu.kernel.interpose import chain
        from linuxemu.trace.build import Tracing
        from linuxemu.trace.reader import read

        seed = int(argv[1])
        form = "json" if seed % 4 == 0 else "text"
        words = ["-f", "-v", "-yy", "-s", "256"]
        words += ["-k"] if seed % 2 else []
        words += ["-X", "verbose"] if seed % 3 else []
        tracing = Tracing(read(words)[0], form, True, Nowhere())
        observe = chain(witness, tracing.observe)
        try:
            return super()._machine(argv, witness, **more, observe=observe, trace=tracing.trace)
        finally:
            tracing.close()


class Nowhere:
    """Where the trace goes."""

    failure = ""

    def write(self, tid: int, text: str) -> None:
        """See `linuxemu.trace.output.Output`; what cannot be encoded is a failure here too."""
        text.encode("utf-8", "surrogateescape")

    def ended(self, tid: int) -> None:
        """See `linuxemu.trace.output.Output`."""

    def close(self) -> None:
        """See `linuxemu.trace.output.Output`."""


def cache_dir() -> Path:
    """Where compiled guests are kept."""
    from rootfs.cache import cache_dirs

    return Path(cache_dirs()[0]) / "fuzz"
