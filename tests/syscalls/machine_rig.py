"""A whole system on a fake CPU with virtual time: real kernel, real servers, real Linux server, real page tables.

A task's program is a script: `call` lets a task make one system call through the kernel, as a trap of its own, and
gives back what the program finds in rax. Between calls a task stands still in user mode.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from linuxemu.arch.x86_64 import ZERO_FRAME
from linuxemu.cpu.base import INTERRUPT
from linuxemu.cpu.fake import Exit, FakeCpu, VirtualHost, exception, fault, syscall
from linuxemu.cpu.memory import HostRam
from linuxemu.kernel import Kernel
from linuxemu.kernel.interpose import chain
from linuxemu.kernel.strict import StrictIpc
from linuxemu.kernel.task import BLOCKED, RUNNABLE
from linuxemu.servers.console import ConsoleServer, InputStream, OutputStream
from linuxemu.servers.discovery import DiscoveryServer
from linuxemu.servers.fs.memfs import MemFs
from linuxemu.servers.ool import OolServer
from linuxemu.servers.random import RandomServer
from linuxemu.servers.task import TaskServer
from linuxemu.servers.time import TimeServer, VirtualClock
from linuxemu.servers.vm import VmServer
from syscalls import handlers
from syscalls.abi.errno import errno_name
from syscalls.abi.flags import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE
from syscalls.abi.numbers import X86_64
from syscalls.errors import SysError
from syscalls.objects.credentials import Credentials
from syscalls.objects.fdtable import FdTable
from syscalls.objects.memory import UserMemory
from syscalls.objects.mm import MemoryMap
from syscalls.objects.task import Task
from syscalls.server import LinuxServer, Peers
from syscalls.vfs.context import FsContext
from syscalls.vfs.rpcfs import file_system_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linuxemu.cpu.fake import FakeState
    from linuxemu.kernel import Server
    from linuxemu.kernel.interpose import Wrap

STRICT = os.environ.get("LINUXEMU_STRICT_IPC", "") not in ("", "0")
SCRATCH, SCRATCH_SIZE = 0x1000_0000, 0x10_0000
EPOCH_NS = 1_700_000_000_000_000_000


def signed(value: int) -> int:
    """A register as a signed number."""
    return value - (1 << 64) if value >> 63 else value


class _Cpu(FakeCpu):
    """A CPU whose programs stand still at the end of their scripts."""

    rig: MachineRig

    def run(self, root: int, generation: int, state: FakeState) -> int:
        """See `FakeCpu.run`."""
        if state.script:
            return super().run(root, generation, state)
        self.rig.parked(state)
        return INTERRUPT


class Call:
    """A system call in progress."""

    def __init__(self, rig: MachineRig, t: Task) -> None:
        self._rig = rig
        self.t = t
        self.done = False
        self.rax = 0

    @property
    def gone(self) -> bool:
        """The task ended in it."""
        return not self.t.ktask

    @property
    def result(self) -> int:
        """What the program finds in rax."""
        assert self.done, "the call waits" if self.t.ktask else "the task is gone"
        return signed(self.rax)


class MachineRig:
    """The system. `task` makes a process, `call` makes system calls, `settle` lets everything happen that can.

    Args:
        mib: memory.
        wrap: stands between callers and servers, see `Kernel`.
        root: makes the root's file server; an empty one in memory if not given.
    """

    def __init__(
        self, mib: int = 64, wrap: Wrap | None = None, root: Callable[[MachineRig], Server] | None = None
    ) -> None:
        handlers.load()
        self.ram = HostRam(mib << 20)
        self.cpu = _Cpu()
        self.cpu.rig = self
        self.host = VirtualHost()
        ool = OolServer()
        wrap = chain(wrap, StrictIpc(ool) if STRICT else None)
        self.kernel = Kernel(self.cpu, self.ram, self.cpu.reserved_frames, self.host, wrap=wrap)
        add = self.add
        self.kernel.add_server(DiscoveryServer(), discovery=True)
        self.kernel.add_server(ool)
        self.tasks = TaskServer()
        self.output = OutputStream()
        console = ConsoleServer(InputStream(b""), self.output, self.output)
        self.linux = LinuxServer()
        clock = TimeServer(VirtualClock(self.host.now_ns, EPOCH_NS))
        self.linux.peers = Peers(
            add(VmServer()),
            self.kernel.add_server(self.tasks, root=self.tasks.successor),
            add(clock),
            add(console),
            add(RandomServer()),
        )
        self.linux.new_memfs = lambda: add(MemFs())
        self.kernel.add_server(self.linux)
        self._calls: dict[FakeState, Call] = {}
        self._parked: set[int] = set()
        self._awaited: Call | None = None
        interrupt = self.kernel.task_interrupt

        def task_interrupt(task: Any) -> None:
            interrupt(task)
            if task.tid in self._parked:
                self._unpark(task)

        self.kernel.task_interrupt = task_interrupt  # type: ignore[method-assign]
        self._scratch: dict[MemoryMap, int] = {}
        self.memfs = root(self) if root is not None else MemFs(now_ns=self.time_of_day)
        self.root = self.run(self._mount(add(self.memfs, "/")))
        self.init = self.task()

    def time_of_day(self) -> int:
        """Nanoseconds since 1970 in this world."""
        return self.host.now + EPOCH_NS

    def add(self, server: Server, role: str = "") -> int:
        """Give a server its task; when it dies it is started again."""
        server.role = role
        task = self.kernel.add_server(server)
        self.tasks.storage.supervise(task, server)
        return task

    async def _mount(self, server: int) -> Any:
        fs = await file_system_of(self.linux.port, server, "tmpfs", self.linux.namespace.new_dev())
        return await self.linux.namespace.mount_root(fs)

    # -- tasks ----------------------------------------------------------------------------------------

    def task(self, creds: Credentials | None = None) -> Task:
        """A process of its own, leader of a session, with a megabyte of scratch memory."""
        t = self.linux.table_of_processes.spawn(creds or Credentials(), b"test")
        t.files = FdTable(t.process.rlimits)
        t.fs = FsContext(self.root, self.root)
        t.mm = MemoryMap(self.linux, self.linux.port.new_space(), t.process.rlimits)
        t.mem = UserMemory(t.mm)
        self._map_scratch(t)
        t.frame = ZERO_FRAME._replace(rip=0x40_0000, rsp=SCRATCH + SCRATCH_SIZE, rflags=0x202)
        self.run(self.linux.create_task(t, None))
        return t

    def _map_scratch(self, t: Task) -> None:
        self.run(t.mm.map(SCRATCH, SCRATCH_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS))

    def parked(self, state: FakeState) -> None:
        """A program has come to the end of its script: its task stands still."""
        task = next(task for task in self.kernel.tasks.values() if task.state is state)
        task.status = BLOCKED
        self._parked.add(task.tid)
        self.kernel.tick = True
        call = self._calls.pop(state, None)
        if call is not None:
            call.done = True
            call.rax = state.regs.frame.rax
            if call is self._awaited:
                self.kernel.stop()

    def _unpark(self, task: Any) -> None:
        self._parked.discard(task.tid)
        task.status = RUNNABLE
        self.kernel.runnable.append(task)

    def step(self, t: Task, *steps: Exit) -> Call:
        """Let a task's program do something."""
        task = self.kernel.tasks[t.ktask]
        if task.status is RUNNABLE:
            self.settle()  # a new task comes to its first instruction
        assert task.tid in self._parked, "the task waits in a call"
        self.cpu.play(task.state, steps)
        call = self._calls[task.state] = Call(self, t)
        self._unpark(task)
        return call

    def start(self, t: Task, name: str, *args: int) -> Call:
        """Begin a system call that may wait; time stands still."""
        call = self.step(t, syscall(X86_64[name], *args))
        self.settle()
        return call

    def call(self, t: Task, name: str, *args: int) -> int:
        """Make a system call; time passes until it returns."""
        call = self.step(t, syscall(X86_64[name], *args))
        self._awaited = call
        self.pass_time()
        self._awaited = None
        return call.result

    def touch(self, t: Task, address: int, code: int = 4) -> Call:
        """The program touches an address, which its tables do not let it."""
        call = self.step(t, fault(address, code))
        self.settle()
        return call

    def trap(self, t: Task, vector: int, code: int = 0) -> Call:
        """The program raises a CPU exception."""
        call = self.step(t, exception(vector, code))
        self.settle()
        return call

    # -- running --------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything happen that can happen now."""
        host = self.host
        end = host.now

        def stop_at(timeout_ns: int | None) -> None:
            if timeout_ns is not None and timeout_ns > 0:
                self.kernel.stop()
            else:
                VirtualHost.sleep(host, timeout_ns)

        host.sleep = stop_at  # type: ignore[method-assign]
        try:
            self.kernel.stopped = False
            self.kernel.run()
        finally:
            del host.sleep
        assert host.now == end

    def pass_time(self) -> None:
        """Let everything happen that will ever happen by itself."""
        self.kernel.stopped = False
        self.kernel.run()

    def advance(self, ns: int) -> None:
        """Let this much time pass."""
        self.linux.port.call_at(self.host.now + ns, self.kernel.stop)
        self.pass_time()
        self.settle()

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Do something that ends at once."""
        found: list[Any] = []

        async def wrap() -> None:
            try:
                found.append(await awaitable)
            except SysError as error:
                found.append(error)

        self.kernel.spawn(wrap())
        self.settle()
        assert found, "it waits"
        if isinstance(found[0], SysError):
            raise found[0]
        return found[0]

    def peek(self, t: Task, address: int, length: int) -> bytes | None:
        """What is in a task's memory; None where it cannot read."""
        try:
            data: bytes = self.run(t.mem.read(address, length))
        except SysError:
            return None
        return data

    def poke(self, t: Task, address: int, data: bytes) -> bool:
        """Write into a task's memory; False where it cannot."""
        try:
            self.run(t.mem.write(address, data))
        except SysError:
            return False
        return True

    def put(self, t: Task, data: bytes) -> int:
        """Put bytes somewhere in a task's scratch memory; returns the address."""
        if t.mm.find(SCRATCH) is None:
            self._map_scratch(t)  # a new program has none yet
        at = self._scratch.get(t.mm) or max(self._scratch.values(), default=SCRATCH)
        self._scratch[t.mm] = at + (len(data) + 63 & ~63)
        assert at + len(data) <= SCRATCH + SCRATCH_SIZE, "scratch memory is full"
        assert self.poke(t, at, data)
        return at

    def errno(self, t: Task, name: str, *args: int) -> str:
        """The name of the errno that a call fails with, or its result."""
        result = self.call(t, name, *args)
        return errno_name(-result) if -4096 < result < 0 else str(result)

    def write_file(self, path: bytes, data: bytes, mode: int = 0o644) -> None:
        """Make a file, as root."""
        t = self.init
        fd = self.call(t, "open", self.put(t, path + b"\0"), 0o1102, mode)
        assert fd >= 0, fd
        for at in range(0, len(data), 0x4000):
            piece = data[at : at + 0x4000]
            self.poke(t, SCRATCH + 0x8_0000, piece)
            assert self.call(t, "write", fd, SCRATCH + 0x8_0000, len(piece)) == len(piece)
        assert self.call(t, "close", fd) == 0
        assert self.call(t, "chmod", self.put(t, path + b"\0"), mode) == 0

    def read_file(self, path: bytes) -> bytes:
        """Contents of a small file, as root."""
        t = self.init
        fd = self.call(t, "open", self.put(t, path + b"\0"), 0, 0)
        assert fd >= 0, fd
        length = self.call(t, "read", fd, SCRATCH + 0x8_0000, 0x4_0000)
        assert self.call(t, "close", fd) == 0
        return self.peek(t, SCRATCH + 0x8_0000, length) or b""

    def close(self) -> None:
        """The end; nothing may have gone wrong inside."""
        self.kernel.close()
        assert self.kernel.errors == []
        assert self.linux.oopses == []
