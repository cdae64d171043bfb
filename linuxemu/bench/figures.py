"""What is measured: each figure for linuxemu, and by the same means natively and under qemu-user."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

from linuxemu.bench import programs
from linuxemu.bench.harness import collection_cost, harness_cost
from linuxemu.bench.launch import Launcher, elapsed_s, idle_percent, write_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from linuxemu.bench.launch import Launch

Measures = dict[str, "Callable[[], float]"]
"""A measurement for each subject."""

LINUXEMU, NATIVE, QEMU = "linuxemu", "native", "qemu-x86_64"
SUBJECTS = (LINUXEMU, NATIVE, QEMU)

_SHA_MIB = 64
_AWK = "BEGIN { for (i = 0; i < 300000; i++) s += i % 7; print s }"
_QEMU_STARTS = 300
_SLEEPERS = 100


class Figure(NamedTuple):
    """One line of the table.

    Args:
        name: for --only and --json.
        title: for people.
        unit: of what the measures return.
        measures: a measurement for each subject it is known of; run in turn.
    """

    name: str
    title: str
    unit: str
    measures: Measures


class Host(NamedTuple):
    """What there is to measure with."""

    work: Path
    launcher: Launcher
    busybox: str
    qemu: str | None
    native: bool


def linuxemu_command(*words: str) -> list[str]:
    """The tool as a user starts it: by the command that was installed beside this interpreter."""
    script = os.path.join(os.path.dirname(sys.executable), "linuxemu")
    start = [script] if os.access(script, os.X_OK) else [sys.executable, "-m", "linuxemu"]
    return [*start, *words]


def _command(host: Host, subject: str, argv: list[str]) -> list[str]:
    if subject == LINUXEMU:
        return linuxemu_command("run", "--host-root", "--", *argv)
    if subject == QEMU:
        assert host.qemu is not None
        return [host.qemu, *argv]
    return argv


def _subjects(host: Host) -> list[str]:
    return [LINUXEMU] + ([NATIVE] if host.native else []) + ([QEMU] if host.qemu else [])


def _timed(host: Host, name: str, count: int, make: Callable[[int], bytes], scale: float) -> Measures:
    """Measures of a program that times itself: `count` rounds in linuxemu, ten times as many elsewhere."""

    def measure(subject: str) -> Callable[[], float]:
        rounds = count if subject == LINUXEMU else count * 10
        path = host.work / f"{name}-{subject}"
        write_program(path, make(rounds))
        command = _command(host, subject, [str(path)])
        return lambda: elapsed_s(host.launcher.run(command).stdout) * scale / rounds

    return {subject: measure(subject) for subject in _subjects(host)}


def _whole(host: Host, argv: list[str], value: Callable[[Launch], float]) -> Measures:
    """Measures of whole runs of a command."""

    def measure(subject: str) -> Callable[[], float]:
        command = _command(host, subject, argv)
        return lambda: value(host.launcher.run(command))

    return {subject: measure(subject) for subject in _subjects(host)}


def _bare_cycle(host: Host) -> Measures:
    program = "from linuxemu.cpu.unicorn import bare_cycle_us; print(bare_cycle_us())"
    return {LINUXEMU: lambda: float(host.launcher.run([sys.executable, "-c", program]).stdout)}


def _traced(host: Host) -> Measures:
    """The null call while it is traced to a file, natively by strace."""
    log = str(host.work / "trace")
    starts = {LINUXEMU: linuxemu_command("trace", "-o", log, "--host-root", "--")}
    strace = shutil.which("strace") if host.native else None
    if strace is not None:
        starts[NATIVE] = [strace, "-o", log]
    path = host.work / "null-traced"
    rounds = 20000
    write_program(path, programs.null_call(rounds))

    def measure(start: list[str]) -> Callable[[], float]:
        return lambda: elapsed_s(host.launcher.run([*start, str(path)]).stdout) * 1e6 / rounds

    return {subject: measure(start) for subject, start in starts.items()}


def _fork_exec(host: Host) -> Measures:
    plain = _timed(host, "exec", 100, lambda n: programs.fork_exec_wait(n, [host.busybox, "true"]), 1e3)
    if host.qemu is not None:
        # Under qemu-user an executed program would run natively: execute qemu itself again.
        qemu_argv = [host.qemu, host.busybox, "true"]
        under_qemu = _timed(host, "exec-qemu", 10, lambda n: programs.fork_exec_wait(n, qemu_argv), 1e3)
        plain[QEMU] = under_qemu[QEMU]
    return plain


def _script(host: Host) -> Measures:
    path = host.work / "script.sh"
    path.write_text(programs.shell_script())
    # The script names its programs plainly: they are found beside it.
    (host.work / "cat").symlink_to(host.busybox)
    measures = _whole(host, [host.busybox, "sh", "-c", f"PATH={host.work}; . {path}"], _wall_s)
    if host.qemu is not None:
        starts = (
            f"i=0; while [ $i -lt {_QEMU_STARTS} ]; do {host.qemu} {host.busybox} true; i=$((i + 1)); done"
        )
        measures[QEMU] = lambda: _wall_s(host.launcher.run([host.busybox, "sh", "-c", starts]))
    return measures


def _start(host: Host, value: Callable[[Launch], float]) -> Measures:
    measures = _whole(host, [host.busybox, "true"], value)
    command = linuxemu_command("run", "busybox", "true")
    measures[LINUXEMU] = lambda: value(host.launcher.run(command))
    return measures


def _python(host: Host) -> Measures:
    return {NATIVE: lambda: _wall_ms(host.launcher.run([sys.executable, "-c", "pass"]))}


def _idle(host: Host) -> Measures:
    """Processor time that sleeping processes cost the tool; measured where /proc tells it."""
    if not host.native:
        return {}
    script = f"i=0; while [ $i -lt {_SLEEPERS} ]; do sleep 1000 & i=$((i + 1)); done; echo ready; wait"
    command = linuxemu_command("run", "sh", "-c", script)
    return {LINUXEMU: lambda: idle_percent(command)}


def _audit(host: Host) -> Measures:
    words = " ".join(linuxemu_command("audit", host.busybox))
    # Its status tells of unsupported calls, of which there are some.
    return {LINUXEMU: lambda: _wall_s(host.launcher.run([host.busybox, "sh", "-c", f"{words} || [ $? = 1 ]"]))}


def _wall_s(launch: Launch) -> float:
    return launch.wall_s


def _wall_ms(launch: Launch) -> float:
    return launch.wall_s * 1e3


def _peak_mib(launch: Launch) -> float:
    return launch.peak_kib / 1024


def figures(host: Host) -> list[Figure]:
    """All figures, in the order of the table."""
    work = host.work
    data, big = work / "data", work / "big"
    data.write_bytes(bytes(4096))
    if not big.exists():
        block = bytes(range(256)) * 4096
        with big.open("wb") as file:
            for _ in range(_SHA_MIB):
                file.write(block)
    path = str(data)
    sha, awk = [host.busybox, "sha256sum", str(big)], [host.busybox, "awk", _AWK]
    null = _timed(host, "null", 20000, programs.null_call, 1e6)
    fault = _timed(host, "fault", 5000, programs.page_touch, 1e6)
    pipe = _timed(host, "pipe", 2000, programs.ping_pong, 1e6)
    read = _timed(host, "read", 5000, lambda n: programs.file_io(n, path, write=False), 1e6)
    write = _timed(host, "write", 5000, lambda n: programs.file_io(n, path, write=True), 1e6)
    opens = _timed(host, "open", 3000, lambda n: programs.open_close(n, path), 1e6)
    return [
        Figure("cycle", "bare stop-and-start of the engine", "µs", _bare_cycle(host)),
        Figure("null", "null system call (getppid)", "µs", null),
        Figure("traced", "null system call, traced to a file", "µs", _traced(host)),
        Figure("fault", "page fault (fresh page)", "µs", fault),
        Figure("pipe", "pipe ping-pong (round trip)", "µs", pipe),
        Figure("fork", "fork + exit + wait", "ms", _timed(host, "fork", 200, programs.fork_wait, 1e3)),
        Figure("exec", "fork + exec + wait of `busybox true`", "ms", _fork_exec(host)),
        Figure("read", "read of 4 KiB", "µs", read),
        Figure("write", "write of 4 KiB", "µs", write),
        Figure("open", "open + close", "µs", opens),
        Figure("sha256", f"sha256sum of {_SHA_MIB} MiB", "s", _whole(host, sha, _wall_s)),
        Figure("awk", "awk loop (300,000 rounds)", "s", _whole(host, awk, _wall_s)),
        Figure("script", "200-line shell script, 300 forks ¹", "s", _script(host)),
        Figure("start", "start-up of `busybox true`", "ms", _start(host, _wall_ms)),
        Figure("python", "start-up of `python3 -c pass`", "ms", _python(host)),
        Figure("memory", "peak memory of `busybox true`", "MiB", _start(host, _peak_mib)),
        Figure("idle", f"CPU use of {_SLEEPERS} sleeping processes", "%", _idle(host)),
        Figure("audit", "audit of BusyBox", "s", _audit(host)),
        Figure("harness", "a harness test, beyond an empty one", "ms", harness_cost(work, host.launcher)),
        Figure("collect", "collection with the plugin, beyond without", "ms", collection_cost(work, host.launcher)),
    ]


NOTE = f"¹ under qemu-x86_64: {_QEMU_STARTS} starts of `busybox true`"


def find_qemu() -> str | None:
    """qemu-user, if it is installed."""
    return shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
