"""The rig of `iorig` for calls about the caller itself, and the same script made natively, to compare.

A script is a list of steps: a call and its arguments, which are numbers or buffers (`Out`, `In`, `Words`).
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import syscalls.handlers.identity
import syscalls.handlers.prctl
import syscalls.handlers.resource
import syscalls.handlers.system
import syscalls.handlers.time  # noqa: F401 (they declare the calls)
from linuxemu.arch.x86_64 import ZERO_FRAME
from linuxemu.messages import entropy
from syscalls.abi.errno import EFAULT, errno_name
from syscalls.abi.numbers import X86_64
from syscalls.abi.structs import CapUserData, CapUserHeader
from syscalls.errors import SysError
from syscalls.objects.credentials import Credentials
from syscalls.objects.fdtable import FdTable
from syscalls.objects.timers import ClockSettings
from tests.syscalls import iorig
from tests.syscalls.jobs import invoke, named
from tests.syscalls.native_calls import In, Out, Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syscalls.objects.process import Process
    from syscalls.objects.task import Task

__all__ = ["BAD", "EPOCH_NS", "In", "Out", "Rig", "Words", "both", "script"]

BAD = iorig.UNMAPPED
EPOCH_NS = 1_700_000_000_000_000_000
BOOTED_EARLIER_NS = 5_000_000_000
CAPABILITY_V3 = 0x2008_0522
Step = tuple[Any, ...]
Result = tuple[int, list[bytes]]


class Memory(iorig.Memory):
    """Guest memory with partial reads and writes."""

    def reset(self) -> None:
        self._next = iorig.BASE

    async def read_some(self, addr: int, n: int) -> bytes:
        return self.get(addr, min(n, max(self._room(addr), 1)))

    async def write_some(self, addr: int, data: bytes) -> int:
        data = data[: max(self._room(addr), 1)]
        await self.write(addr, data)
        return len(data)

    @staticmethod
    def _room(addr: int) -> int:
        if not iorig.BASE <= addr < iorig.BASE + iorig.SIZE:
            raise SysError(EFAULT)
        return iorig.BASE + iorig.SIZE - addr

    async def s32(self, addr: int) -> int:
        return int.from_bytes(self.get(addr, 4), "little", signed=True)


class MemoryMap:
    """As much of a memory map as getrusage asks for."""

    def rss_pages(self) -> int:
        return 25


class Server(iorig.Server):
    """With clocks, names and tables. Its CLOCK_MONOTONIC began before the port's clock."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self.hostname = b"linuxemu"
        self.domainname = b"(none)"
        self.main: Process | None = None
        self.clock_settings = ClockSettings()
        self.epoch_ns = EPOCH_NS

    async def clock_ns(self, clock_id: int) -> int:
        now: int = self.port.now_ns()
        return now + (self.epoch_ns if clock_id == 0 else BOOTED_EARLIER_NS)

    async def memory_pages(self) -> tuple[int, int]:
        return 1000, 400

    @property
    def table(self) -> Any:
        return self.port._rig.table

    @property
    def tasks(self) -> dict[int, Task]:
        found: dict[int, Task] = self.table.tasks
        return found

    @property
    def processes(self) -> dict[int, Process]:
        found: dict[int, Process] = self.table.processes
        return found

    def process(self, pid: int) -> Process | None:
        return self.processes.get(pid)


class Rig(iorig.Rig):
    """One task to begin with, `self.t`; `step` makes a call with buffers, decoded as from registers."""

    def __init__(self, creds: Credentials | None = None) -> None:
        super().__init__()
        self.server: Server = Server(self)
        self.table.server = self.server  # type: ignore[assignment]
        self.answer = self._answer
        self.t = self.task(creds)
        self.server.main = self.t.process

    @staticmethod
    def _answer(message: Any) -> Any:
        assert isinstance(message, entropy.Read)
        return entropy.ReadReply(os.urandom(message.len))

    def _equip(self, t: Any) -> Any:
        t.server = self.server
        t.files = FdTable(t.process.rlimits)
        t.mem = Memory()
        t.mm = MemoryMap()
        t.frame = ZERO_FRAME
        return t

    def thread(self, t: Any) -> Any:
        """One more thread of a process."""
        other: Any = self._equip(self.table.add_thread(t))
        other.mem = t.mem
        return other

    def step(self, name: str, *args: Any, t: Any = None) -> Result:
        """Make a system call: result or negative errno, and the output buffers."""
        t = t or self.t
        t.mem.reset()
        outs: list[tuple[int, int]] = []
        placed = [self._place(t, arg, outs) for arg in args]
        try:
            result = self.run(invoke(name, t, placed)) or 0
        except SysError as error:
            result = -error.errno
        return result, [t.mem.get(at, size) for at, size in outs]

    @staticmethod
    def _place(t: Any, arg: Any, outs: list[tuple[int, int]]) -> int:
        if isinstance(arg, int):
            return arg
        if isinstance(arg, bytes):
            arg = In(arg + b"\0")
        data = bytes(arg.size) if isinstance(arg, Out) else arg.data
        at: int = t.mem.alloc(data)
        if isinstance(arg, (Out, Words)):
            outs.append((at, len(data)))
        return at

    def ok(self, name: str, *args: Any, t: Any = None) -> int:
        """Make a system call that works."""
        result = self.step(name, *args, t=t)[0]
        assert result >= 0, f"{name}: {errno_name(-result)}"
        return result

    def fails(self, name: str, *args: Any, t: Any = None) -> str:
        """The name of the errno of a system call that fails."""
        result = self.step(name, *args, t=t)[0]
        assert result < 0, f"{name} works: {result}"
        return errno_name(-result)


def script(*steps: Step, rig: Rig | None = None) -> list[Result]:
    """Run a script in a rig."""
    rig = rig or Rig()
    return [rig.step(*step) for step in steps]


def native(steps: Sequence[Step], uid: int | None) -> list[Result]:
    """Run a script on the host, as another user and group if `uid` is given."""
    runner = Path(__file__).with_name("native_script.py")
    done = subprocess.run(
        [sys.executable, "-I", str(runner), str(-1 if uid is None else uid)],
        input=pickle.dumps((X86_64, [(name, *map(_plain, args)) for name, *args in steps])),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: list[Result] = pickle.loads(done.stdout)
    return found


def _plain(arg: Any) -> Any:
    """An argument without the classes of this module, which the runner does not know."""
    if isinstance(arg, int):
        return arg
    if isinstance(arg, bytes):
        return arg + b"\0", False
    return (bytes(arg.size), True) if isinstance(arg, Out) else (arg.data, isinstance(arg, Words))


_ASK = [
    ("capget", In(CapUserHeader(CAPABILITY_V3, 0).pack()), Out(2 * CapUserData.SIZE)),
    ("getgroups", 64, Out(256)),
    ("prctl", 3, 0, 0, 0, 0),  # PR_GET_DUMPABLE
]


def both(
    *steps: Step, uid: int | None = None, loose: Sequence[str] = (), rig: Rig | None = None
) -> list[Result]:
    """Run a script natively and in a rig and compare; returns the rig's results.

    Args:
        steps: the script.
        uid: run as this user and group instead (needs root).
        loose: calls whose outcome is compared, but not what they return or write.
        rig: the rig, if not a new one with the credentials of the native process.
    """
    if uid is not None and os.getuid() != 0:
        import pytest

        pytest.skip("needs root to become somebody else")
    (_, (caps,)), (count, (groups,)), (dumpable, _), *expected = native([*_ASK, *steps], uid)
    if rig is None:
        rig = Rig(_credentials(caps, groups[: 4 * count], uid))
        rig.t.process.dumpable = dumpable
    got = [rig.step(*step) for step in steps]
    for step, (want, want_outs), (have, have_outs) in zip(steps, expected, got, strict=True):
        if step[0] in loose and want >= 0:
            assert have >= 0, f"{step}: {named(have)}, natively {want}"
            continue
        assert have == want, f"{step}: {named(have)}, natively {named(want)}"
        if step[0] not in loose:
            assert have_outs == want_outs, f"{step}: {have_outs}, natively {want_outs}"
    return got


def _credentials(caps: bytes, groups: bytes, uid: int | None) -> Credentials:
    low, high = CapUserData.unpack(caps), CapUserData.unpack(caps, CapUserData.SIZE)
    effective, permitted, inheritable = (a | b << 32 for a, b in zip(low, high, strict=True))
    user, group = (os.getuid(), os.getgid()) if uid is None else (uid, uid)
    made = Credentials.user(user, group, tuple(memoryview(groups).cast("I")))
    return made._replace(effective=effective, permitted=permitted, inheritable=inheritable)
