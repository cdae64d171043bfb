"""A guest under test: a process without a program, whose system calls a test makes one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.arch.x86_64 import FLAGS_DEFAULT, ZERO_FRAME
from linuxemu.kernel import Server, rpc
from linuxemu.messages import fsx
from linuxemu.servers.virtualloop import EPOCH_NS
from linuxemu.testing.files import Files
from linuxemu.testing.stepping import AFTER_SYSCALL, CODE, CODE_BYTES, SYSCALL_AT
from linuxemu.testing.system import System, fresh_attr
from linuxemu.testing.thread import Blocked, Call, GuestThread, SignalHandler
from linuxemu.testing.values import packed
from syscalls import registry
from syscalls.abi.flags import (
    CLONE_FILES,
    CLONE_FS,
    CLONE_SIGHAND,
    CLONE_SYSVSEM,
    CLONE_THREAD,
    CLONE_VM,
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    SA_RESTORER,
    SA_SIGINFO,
)
from syscalls.abi.numbers import X86_64
from syscalls.abi.structs import Sigaction
from syscalls.errors import SysError
from syscalls.objects.credentials import Credentials
from syscalls.objects.fdtable import FdTable
from syscalls.objects.memory import UserMemory
from syscalls.objects.mm import MemoryMap
from syscalls.registry import Syscall
from syscalls.vfs.context import FsContext
from syscalls.vfs.rpcfs import file_system_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from linuxemu.cpu.base import CpuState
    from linuxemu.inject import Injected, Rule
    from linuxemu.messages import TrapFrame
    from linuxemu.testing.log import RpcLog
    from linuxemu.testing.script import Scripted
    from syscalls.objects.task import Task
    from syscalls.registry import Handler
    from syscalls.server import LinuxServer, Unsupported

PAGE = 4096
BAD = 0xDEAD_F000
"""An address where nothing is ever mapped."""
ROOTS = ("fs", "fsx", "memfs")
"""What the guest's root is: the scripted server asked by path, or by inode, or a real file system in memory."""

_ARGUMENTS, _KEPT, _EDGES, _STACK = 0x2000_0000, 0x2100_0000, 0x3000_0000, 0x7000_0000
"""Where things lie in guest memory: arguments of calls in progress, what `put` placed, edges, the stack."""
_AREA, _EDGE_AREA, _EDGE_COUNT, _STACK_SIZE = 0x100_0000, 0x1_0000, 8, 0x4_0000
_HANDLERS = CODE + 0x100
_READ_WRITE = PROT_READ | PROT_WRITE
_PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS
_THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM


class _Root(Server):
    """Answers the one question a file system asks when it is mounted by inode."""

    @rpc(fsx.Root)
    async def root(self, src: int, m: fsx.Root) -> fsx.RootReply:
        """An empty directory of root's, inode 1."""
        return fsx.RootReply(*fresh_attr(ino=1, mode=0o040755, nlink=2).values())


class Clock:
    """The virtual time of a guest. It moves when all wait for it, and when a test says so.

    Args:
        system: the system.
    """

    def __init__(self, system: System) -> None:
        self._system = system

    @property
    def now_ns(self) -> int:
        """CLOCK_MONOTONIC, nanoseconds."""
        return self._system.host.now

    @property
    def realtime_ns(self) -> int:
        """CLOCK_REALTIME as it is before anybody sets it, nanoseconds since 1970."""
        return self._system.host.now + EPOCH_NS

    def advance(self, ns: int = 0, *, ms: float = 0, s: float = 0) -> None:
        """Let this much time pass, and everything happen that is due until then."""
        system = self._system
        end = system.host.now + ns + int(ms * 1e6) + int(s * 1e9)
        system.linux.port.call_at(end, system.kernel.stop)
        while system.host.now < end:
            system.pass_time()
        system.settle()


class Rpcs:
    """The messages of a guest's system.

    Args:
        system: the system.
    """

    def __init__(self, system: System) -> None:
        self.log: RpcLog = system.log
        """Every message since the test began, see `linuxemu.testing.RpcLog`."""
        self._script = system.script

    def sequence(self) -> AbstractContextManager[None]:
        """A block in which expectations at different servers must be met in the order of their declaration."""
        return self._script.sequence()

    def clear(self) -> None:
        """Forget the log so far."""
        self.log.clear()


class Guest:
    """One process on a kernel with scripted servers, driven by a test.

    Args:
        engine: the CPU, "unicorn" or "fake"; the second one carries out no instruction but `syscall`, a load and a
            store, and needs no emulator.
        strict_ipc: pack and unpack every message.
        root: what / is: "fs" (the server `fs` is asked by path name), "fsx" (by inode number), or "memfs" (a real file
            system in memory behind the server `fs`).
        user: uid and gid of the process.
        seed: of the random numbers.
        inject: faults, as rules or as their text ("fs.write:error=EIO:when=3"), see `linuxemu.inject`.
    """

    def __init__(
        self,
        *,
        engine: str = "unicorn",
        strict_ipc: bool = False,
        root: str = "fs",
        user: tuple[int, int] = (0, 0),
        seed: int = 0,
        inject: Sequence[Rule | str] = (),
    ) -> None:
        if root not in ROOTS:
            raise ValueError(f"root {root!r}: it must be one of {', '.join(ROOTS)}")
        self.handlers: dict[int, SignalHandler] = {}
        """Signal handlers by address."""
        self._threads: dict[Task, GuestThread] = {}
        self._awaited: Call | None = None
        self._places = {"call": _ARGUMENTS, "kept": _KEPT, "edges": 0}
        self.system = System(engine, strict_ipc, seed, inject, self._doing, self._arrived)
        self.linux: LinuxServer = self.system.linux
        """The Linux server, for tests that look behind the scenes."""
        scripted = self.system.scripted
        self.fs: Scripted = scripted["fs"]
        """The file server."""
        self.vm: Scripted = scripted["vm"]
        """The memory server; the real one is behind it."""
        self.net: Scripted = scripted["net"]
        """The network stack."""
        self.time: Scripted = scripted["time"]
        """The time server; one with the virtual clock is behind it."""
        self.task: Scripted = scripted["task"]
        """The task server; the real one is behind it."""
        self.random: Scripted = scripted["random"]
        """The random server; one with a fixed seed is behind it."""
        self.console: Scripted = scripted["console"]
        """The console server, with the standard streams; the real one is behind it."""
        self.rpc = Rpcs(self.system)
        self.clock = Clock(self.system)
        self.files = Files(self)
        self.system.kernel.gone = self._task_gone
        self._root = self.system.do(self._mount(root))
        self.main = self._spawn(Credentials.user(*user), install=True)
        """Its first thread."""
        self.linux.main = self.main.t.process
        self.syscall = self.main.syscall
        """Makes a system call on the first thread, see `GuestThread.syscall`."""
        self.start = self.main.start
        """Begins one that may wait."""

    async def _mount(self, root: str) -> Any:
        scripted = self.fs
        if root == "memfs":
            from linuxemu.servers.fs.memfs import MemFs

            scripted.serve(MemFs(now_ns=lambda: self.clock.realtime_ns))
        elif root == "fsx":
            scripted.serve(_Root())
        linux = self.linux
        kind = "tmpfs" if root == "memfs" else root
        fs = await file_system_of(linux.port, self.system.fs_task, kind, linux.namespace.new_dev())
        mounted = await linux.namespace.mount_root(fs)
        if root == "fsx":
            scripted.serve(None)
        return mounted

    # -- tasks ----------------------------------------------------------------------------------------------------

    def _spawn(self, creds: Credentials, install: bool) -> GuestThread:
        linux = self.linux
        t = linux.table_of_processes.spawn(creds, b"guest")
        t.files = FdTable(t.process.rlimits, self.system.kernel.room)
        t.fs = FsContext(self._root, self._root)
        t.start_ns = linux.port.now_ns()
        t.mm = MemoryMap(linux, linux.port.new_space(), t.process.rlimits)
        t.mm.pid = t.process.pid
        t.mem = UserMemory(t.mm)
        self.equip(t)
        stack = _STACK + _STACK_SIZE - PAGE
        t.frame = ZERO_FRAME._replace(rip=AFTER_SYSCALL, rsp=stack, rflags=FLAGS_DEFAULT)
        self.system.do(self._start_task(t, install))
        self.settle()
        return self._thread(t)

    async def _start_task(self, t: Task, install: bool) -> None:
        linux = self.linux
        if install:
            await linux.console.start()
            await linux.console.install(t)
        await linux.create_task(t, None)

    def equip(self, t: Task) -> None:
        """Get ready for a call: map code, arguments and stack into the memory of a task that has none of it yet."""
        if all(thread.call is None for thread in self._threads.values()):
            self._places.update(call=_ARGUMENTS, edges=0)
        self.system.fill_pool()
        if t.mm.find(CODE) is None:
            self.system.do(self._equip(t))

    async def _equip(self, t: Task) -> None:
        mm = t.mm
        await mm.map(CODE, PAGE, _READ_WRITE, _PRIVATE)
        await t.mem.write(CODE, CODE_BYTES)
        mm.protect(CODE, CODE + PAGE, PROT_READ | PROT_EXEC)
        await mm.map(_ARGUMENTS, _AREA, _READ_WRITE, _PRIVATE)
        await mm.map(_KEPT, _AREA, _READ_WRITE, _PRIVATE)
        await mm.map(_STACK, _STACK_SIZE, _READ_WRITE, _PRIVATE)

    def _thread(self, t: Task) -> GuestThread:
        thread = self._threads.get(t)
        if thread is None:
            thread = self._threads[t] = GuestThread(self, t)
        return thread

    def thread_of(self, tid: int) -> GuestThread:
        """The thread with this id, such as the result of a clone.

        Raises:
            KeyError: there is none.
        """
        self.settle()
        return self._thread(self.linux.tasks[tid])

    def process(self, *, uid: int = 0, gid: int = 0, groups: tuple[int, ...] = ()) -> GuestThread:
        """The first thread of another process, with its own memory, no open files, and its own session.

        Args:
            uid: its user.
            gid: its group.
            groups: its supplementary groups.
        """
        return self._spawn(Credentials.user(uid, gid, groups), install=False)

    def fork(self, thread: GuestThread | None = None) -> GuestThread:
        """Let a thread (the first one by default) call fork; returns the child's thread."""
        return self.thread_of((thread or self.main).syscall.fork())

    def thread(self, thread: GuestThread | None = None) -> GuestThread:
        """Let a thread (the first one by default) clone another thread of its process; returns that."""
        stack = self.put(bytes(0x4000)) + 0x3000
        return self.thread_of((thread or self.main).syscall.clone(_THREAD_FLAGS, stack))

    # -- memory ---------------------------------------------------------------------------------------------------

    def _bump(self, area: str, size: int, align: int, start: int) -> int:
        at = (self._places[area] + align - 1) & -align
        if at + size > start + _AREA:
            raise MemoryError(f"the test places more than {_AREA} bytes in guest memory")
        self._places[area] = at + size
        return at

    def place(self, t: Task, data: bytes, align: int) -> int:
        """Put bytes into a task's memory for the call it is about to make; they stay until no call is in progress."""
        at = self._bump("call", len(data), align, _ARGUMENTS)
        self.system.do(t.mem.write(at, data))
        return at

    def place_at_edge(self, t: Task, data: bytes) -> int:
        """The same, at the end of a mapping behind which nothing is mapped."""
        slot = self._places["edges"]
        self._places["edges"] = slot + 1
        start = _EDGES + slot % _EDGE_COUNT * 2 * _EDGE_AREA
        if len(data) > _EDGE_AREA:
            raise MemoryError(f"at an edge there is room for {_EDGE_AREA} bytes")
        if t.mm.find(start) is None:
            self.system.do(t.mm.map(start, _EDGE_AREA, _READ_WRITE, _PRIVATE))
        at = start + _EDGE_AREA - len(data)
        self.system.do(t.mem.write(at, data))
        return at

    def put(self, value: Any, *, thread: GuestThread | None = None, align: int = 16) -> int:
        """Put bytes, a structure or a str (with a NUL) into guest memory for good; returns the address.

        Args:
            value: what.
            thread: in whose memory; the first thread's by default.
            align: of the address.
        """
        data = value.encode() + b"\0" if isinstance(value, str) else packed(value)
        at = self._bump("kept", len(data), align, _KEPT)
        self.write(at, data, thread=thread)
        return at

    def read(self, address: int, size: int, *, thread: GuestThread | None = None) -> bytes:
        """Bytes of guest memory.

        Raises:
            SysError: EFAULT, the guest could not read them itself.
        """
        data: bytes = self.system.do((thread or self.main).t.mem.read(address, size))
        return data

    def write(self, address: int, data: bytes, *, thread: GuestThread | None = None) -> None:
        """Write guest memory, as the guest could itself; EFAULT (`SysError`) where it could not."""
        self.system.do((thread or self.main).t.mem.write(address, data))

    def read_only(self, value: Any = bytes(16)) -> int:
        """Put a value into a page that the guest may read and not write; returns the address."""
        at = self._bump("kept", PAGE, PAGE, _KEPT)
        self.write(at, packed(value))
        self.main.t.mm.protect(at, at + PAGE, PROT_READ)
        return at

    def peek(self, mem: UserMemory, address: int, size: int) -> bytes | None:
        """What lies in memory now; None where it cannot be read."""
        self.system.must_be_open()
        muted = self.system.log
        muted.muted += 1
        reading = mem.read(address, size)
        try:
            reading.send(None)
        except StopIteration as stop:
            data: bytes = stop.value
            return data
        except SysError:
            return None
        finally:
            muted.muted -= 1
            reading.close()
        return None

    # -- running --------------------------------------------------------------------------------------------------

    def _arrived(self, state: CpuState, frame: TrapFrame) -> TrapFrame | None:
        task = self.system.kernel.task_of(state)
        return self._thread(self.linux.by_ktask[task.tid]).arrived(task, frame)

    def stopped(self, call: Call) -> None:
        """A call has ended, or its thread is held in a handler."""
        if call is self._awaited:
            self.system.kernel.stop()

    def _task_gone(self, tid: int) -> None:
        if self._awaited is not None and self._awaited.thread.gone:
            self.system.kernel.stop()

    def complete(self, call: Call) -> Call:
        """Let time pass until a call has ended.

        Raises:
            Blocked: it never will.
            UnexpectedMessage: a server got a message that the test does not expect.
        """
        __tracebackhide__ = True
        if call.blocked:
            self._awaited = call
            try:
                self.system.pass_time()
            finally:
                self._awaited = None
        self.settle()
        if call.blocked:
            handler = call.thread.held_in
            why = "its thread is held in a signal handler" if handler else "nothing can ever wake it"
            raise Blocked(f"{call.text} waits, and {why}")
        return call

    def settle(self) -> None:
        """Let everything happen that can happen without time passing.

        Raises:
            UnexpectedMessage: a server got a message that the test does not expect.
        """
        __tracebackhide__ = True
        self.system.settle()
        self._check()

    def _check(self) -> None:
        __tracebackhide__ = True
        self.system.script.check()
        if self.linux.oopses:
            what, error = self.linux.oopses.pop(0)
            raise HandlerFailed(f"the handler failed while serving {what}: {error!r}") from error

    def _doing(self) -> list[str]:
        return [
            f"{thread.call.text} of thread {thread.tid}"
            for thread in self._threads.values()
            if thread.call is not None
        ]

    # -- signals --------------------------------------------------------------------------------------------------

    def handler(self, *, hold: bool = False) -> SignalHandler:
        """A signal handler of the guest's, whose address can be given to rt_sigaction.

        Args:
            hold: its thread stays in it until `GuestThread.sigreturn`.
        """
        made = SignalHandler(_HANDLERS + 16 * len(self.handlers), hold)
        self.handlers[made.address] = made
        return made

    def on_signal(
        self, signo: int, *, flags: int = 0, mask: int = 0, hold: bool = False, thread: GuestThread | None = None
    ) -> SignalHandler:
        """Install a handler with rt_sigaction.

        Args:
            signo: the signal.
            flags: SA_*; SA_RESTORER and SA_SIGINFO are added.
            mask: signals blocked while it runs, bit n-1 for signal n.
            hold: see `handler`.
            thread: who installs it; the first thread by default.
        """
        made = self.handler(hold=hold)
        action = Sigaction(made.address, flags | SA_RESTORER | SA_SIGINFO, SYSCALL_AT, mask)
        (thread or self.main).syscall.rt_sigaction(signo, action, 0, 8)
        return made

    # -- the rest -------------------------------------------------------------------------------------------------

    @property
    def stdout(self) -> bytes:
        """What was written to descriptor 1 as it was at the start."""
        return self.system.streams[0].data

    @property
    def stderr(self) -> bytes:
        """The same for descriptor 2."""
        return self.system.streams[1].data

    @property
    def injected(self) -> list[Injected]:
        """What has become of each rule of `inject`."""
        injector = self.system.injector
        return injector.report() if injector is not None else []

    @property
    def unsupported(self) -> list[Unsupported]:
        """What was asked for and is not supported, in order."""
        return self.linux.missing()

    def replace(self, name: str, handler: Handler) -> None:
        """Translate a system call by another handler, in this guest alone.

        Args:
            name: Linux's name of the call.
            handler: `async def` with a task and typed arguments, as in `syscalls.handlers`.
        Raises:
            KeyError: x86-64 Linux has no such call.
            TypeError: an argument's annotation is no type of `syscalls.types`.
        """
        number = X86_64[name]
        self.linux.replace(Syscall(number, name, handler, registry.FULL, ""))

    def mount_system(self) -> None:
        """Mount /proc, /sys and /dev, as a booted system has them. The root must let directories be made."""
        from syscalls.boot import mount_system

        self.system.do(mount_system(self.main.t, True))

    def verify(self) -> None:
        """Fail unless everything expected came, and nothing else.

        Raises:
            UnexpectedMessage: a server got a message that the test does not expect.
            UnmetExpectation: an expected message did not come.
        """
        __tracebackhide__ = True
        self._check()
        self.system.script.verify()

    def close(self) -> None:
        """The end; nothing can be done with the guest afterwards. The fixtures see to it.

        Raises:
            HandlerFailed: the Linux server or another one failed with an exception of Python's.
        """
        defects = self.system.close()
        if defects:
            what, error = defects[0]
            raise HandlerFailed(f"{what}: {error!r}") from error


class HandlerFailed(AssertionError):
    """A handler, or a server, failed with an exception that is no answer to a guest; its cause is that exception."""


