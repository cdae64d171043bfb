"""Starting a command and measuring it from outside: time, processor time, peak memory."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from linuxemu.bench import programs
from linuxemu.errors import LinuxEmuError


class Launch(NamedTuple):
    """One finished command."""

    wall_s: float
    cpu_s: float
    peak_kib: int
    stdout: bytes


class Launcher:
    """Runs commands through a one-page program, so that peak memory is theirs and not Python's.

    Args:
        work: a directory for its files.
    """

    def __init__(self, work: Path) -> None:
        self._work = work
        self._program = work / "launch"
        self._small = sys.platform == "linux" and os.uname().machine == "x86_64"
        if self._small:
            write_program(self._program, programs.launcher())

    def run(self, argv: list[str]) -> Launch:
        """Run a command to its end; LinuxEmuError if it fails."""
        out, err = self._work / "stdout", self._work / "stderr"
        with out.open("w+b") as stdout, err.open("w+b") as stderr:
            if self._small:
                wall_s, cpu_s, peak_kib, status = self._launch(argv, stdout.fileno(), stderr.fileno())
            else:
                begin = time.perf_counter()
                null = subprocess.DEVNULL
                status = subprocess.run(
                    argv, check=False, stdin=null, stdout=stdout, stderr=stderr
                ).returncode
                wall_s, cpu_s, peak_kib = time.perf_counter() - begin, 0.0, 0
        if status != 0:
            last = err.read_text(errors="replace").strip().splitlines()[-1:] or [f"status {status:#x}"]
            raise LinuxEmuError(f"bench: {' '.join(argv)[:200]}: {last[0]}")
        return Launch(wall_s, cpu_s, peak_kib, out.read_bytes())

    def _launch(self, argv: list[str], stdout: int, stderr: int) -> tuple[float, float, int, int]:
        reader, writer = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            places = ((null, 0), (stdout, 1), (stderr, 2), (writer, 3))
            actions = [(os.POSIX_SPAWN_DUP2, fd, place) for fd, place in places]
            pid = os.posix_spawn(self._program, ["launch", *argv], os.environ, file_actions=actions)
            os.close(writer)
            writer = -1
            data = os.read(reader, programs.LAUNCH_SIZE)
            os.waitpid(pid, 0)
        finally:
            for fd in (reader, writer, null):
                if fd >= 0:
                    os.close(fd)
        if len(data) != programs.LAUNCH_SIZE:
            raise LinuxEmuError(f"bench: cannot start {argv[0]}")
        status, user_s, user_us, system_s, system_us, peak_kib = struct.unpack_from("<i28x5q", data, 32)
        cpu_s = user_s + system_s + (user_us + system_us) / 1e6
        return elapsed_s(data), cpu_s, peak_kib, status


def idle_percent(argv: list[str], seconds: float = 1.0) -> float:
    """Processor time of a command while it has nothing to do, which it announces with a line of output."""
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise LinuxEmuError(f"bench: {' '.join(argv)[:200]}: ended too early")
            time.sleep(0.5)  # what it started may still be on its way to sleep
            before = _cpu_s(process.pid)
            time.sleep(seconds)
            return 100 * (_cpu_s(process.pid) - before) / seconds
        finally:
            process.terminate()


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far (man 5 proc)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def elapsed_s(data: bytes) -> float:
    """The time between the two timespecs that a timed program wrote."""
    begin_s, begin_ns, end_s, end_ns = struct.unpack_from("<4q", data)
    elapsed: float = end_s - begin_s + (end_ns - begin_ns) / 1e9
    return elapsed


def write_program(path: Path, program: bytes) -> None:
    """Write an executable file."""
    path.write_bytes(program)
    path.chmod(0o755)
