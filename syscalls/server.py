"""The Linux server: pager of every Linux task, and the one place where their traps arrive.

A system call comes in as `abi_hook`, is decoded by its declaration, handled by a coroutine, and leaves as the reply's
frame. Page faults and CPU exceptions come in the same way. The coroutine that serves a trap is the task's kernel
stack: while it waits, the task is blocked and everything else goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from linuxemu.arch.x86_64 import (
    VECTOR_BREAKPOINT,
    VECTOR_DEBUG,
    VECTOR_DIVIDE,
    VECTOR_INVALID_OPCODE,
    VECTOR_PAGE_FAULT,
    VECTOR_SIMD,
    VECTOR_X87,
)
from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NOT_PERMITTED
from linuxemu.kernel import Server, rpc
from linuxemu.kernel.recovery import call, call_again
from linuxemu.kernel.traps import HOOK_INITIAL, HOOK_SYSCALL
from linuxemu.messages import (
    AbiHook,
    AbiHookReply,
    Exception_,
    ExceptionType,
    PageFault,
    PageFaultReply,
    TrapFrame,
    clock,
    console,
    vmx,
)
from linuxemu.messages import task as task_messages
from loader.cache import ImageCache
from syscalls import registry
from syscalls.abi.errno import ENOSYS
from syscalls.abi.flags import (
    FPE_FLTINV,
    FPE_INTDIV,
    ILL_ILLOPN,
    SI_KERNEL,
    SIGFPE,
    SIGILL,
    SIGKILL,
    SIGSEGV,
    SIGTRAP,
    TRAP_BRKPT,
)
from syscalls.errors import Interrupted, OutOfMemory, SysError
from syscalls.objects.console import Console
from syscalls.objects.credentials import Credentials
from syscalls.objects.delivery import deliver, resume
from syscalls.objects.device import DeviceTable
from syscalls.objects.exit import exit_group
from syscalls.objects.futex import FutexTable, exit_robust_list
from syscalls.objects.mqueue import QueueLimits
from syscalls.objects.process import ProcessTable
from syscalls.objects.rseq import watch
from syscalls.objects.signal import force_fault
from syscalls.objects.task import Task, TaskExited
from syscalls.objects.timers import ClockSettings
from syscalls.types import s32
from syscalls.vfs.filesystem import errno_of
from syscalls.vfs.mount import MountNamespace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.fs.mqueuefs import MqueueFs
    from syscalls.objects.ipcns import IpcNamespace
    from syscalls.objects.process import Process
    from syscalls.objects.tracing import Tracer
    from syscalls.vfs.filesystem import FileSystem
    from syscalls.vfs.inode import Inode

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_MASK_31 = 0x7FFF_FFFF
_POOL_PAGES = 64
_KEPT_INODES = 128
_IPC_ROOM = 1024
"""Bytes that semaphores and messages may take for each page of the machine's memory."""
MOST_KINDS = 1000
"""Kinds of requests that are recorded as not supported."""
_FAULT_DONE = PageFaultReply()
_EXCEPTION_SIGNALS = {
    VECTOR_DIVIDE: (SIGFPE, FPE_INTDIV),
    VECTOR_DEBUG: (SIGTRAP, TRAP_BRKPT),
    VECTOR_BREAKPOINT: (SIGTRAP, SI_KERNEL),
    VECTOR_INVALID_OPCODE: (SIGILL, ILL_ILLOPN),
    VECTOR_X87: (SIGFPE, FPE_FLTINV),
    VECTOR_SIMD: (SIGFPE, FPE_FLTINV),
}


class Peers(NamedTuple):
    """Task ids of the servers that the Linux server asks."""

    vm: int
    task: int
    time: int
    console: int
    entropy: int


class Unsupported(NamedTuple):
    """Something a program asked for that is not there.

    Args:
        what: the call, or the part of it.
        comm: the command's name.
        times: how often.
    """

    what: str
    comm: bytes
    times: int = 1

    def __str__(self) -> str:
        by = f" ({self.comm.decode(errors='replace')})" if self.comm else ""
        return f"{self.what}{by}" if self.times == 1 else f"{self.what}{by}, {self.times} times"


class LinuxServer(Server):
    """Linux as the guest sees it.

    Args:
        hostname: what uname(2) calls the machine.
    """

    name = "linux"
    vital = "it is the pager of every program"

    def __init__(self, hostname: bytes = b"linuxemu") -> None:
        super().__init__()
        self.hostname = hostname
        self.domainname = b"(none)"
        self.peers: Peers
        self.namespace = MountNamespace()
        self.devices = DeviceTable()
        self.console = Console(self)
        self.table_of_processes = ProcessTable(self, Credentials())
        self.futexes = FutexTable()
        self.clock_settings = ClockSettings()
        self.images = ImageCache()
        """Parsed programs."""
        self.by_ktask: dict[int, Task] = {}
        self.pool: list[int] = []
        """Frames from vm that hold nothing yet."""
        self._missing: dict[tuple[str, bytes], int] = {}
        self._told: TrapFrame | None = None
        """The call that something missing was recorded of last."""
        self.tracer: Tracer | None = None
        self.main: Process | None = None
        self.ended: Callable[[Process], object] = lambda process: None
        """Called when the first program is gone."""
        self.oopses: list[tuple[str, BaseException]] = []
        """Defects of this server: the decoded call and the exception. Empty in a correct system."""
        self.boot_ns = 0
        self.new_memfs: Callable[[], int]
        """Makes an empty file server for a tmpfs mount; returns its task id."""
        self.protected_hardlinks = False
        """The setting fs.protected_hardlinks: not everything may be linked to (man 5 proc_sys_fs)."""
        self.memory_files: FileSystem | None = None
        """Where files of memfd_create live, mounted nowhere; made with the first."""
        self.queue_limits = QueueLimits()
        """What holds for all POSIX message queues."""
        self.message_queues: MqueueFs | None = None
        """Where they are (`syscalls.fs.mqueuefs.message_queues`); made when it is first asked for."""
        self._ipc: IpcNamespace | None = None
        self._invoke: dict[int, registry.Invoke] = {}
        self._kept: dict[Inode, None] = {}
        self._refills = 0

    # -- traps ------------------------------------------------------------------------------------------------------

    @rpc(AbiHook)
    async def abi_hook(self, src: int, m: AbiHook) -> AbiHookReply | None:
        """A task executed `syscall`, starts, or was interrupted."""
        if src:
            raise RpcError(ERR_NOT_PERMITTED)
        t = self.by_ktask[m.task]
        if m.type != HOOK_SYSCALL:
            return await self._return_to_user(t, m)
        t.in_kernel = True
        t.frame = frame = m.frame
        try:
            invoke = self._invoke.get(frame[5]) or self._first_call(frame[5])
            result = await invoke(t, frame)
            rax = result & _MASK if result else 0
        except SysError as error:
            rax = self._failed(t, frame, error.errno)
        except Interrupted as interrupted:
            t.restart = interrupted.restart
            rax = -4 & _MASK
        except TaskExited:
            return None
        except OutOfMemory:
            await exit_group(t, SIGKILL)
            return None
        except RpcError as error:
            rax = self._failed(t, frame, errno_of(error.code))
        except Exception as error:
            await self._oops(t, error)
            return None
        frame = t.frame
        frame = TrapFrame._make(frame[:5] + (rax,) + frame[6:])
        if t.attention or t.restart:
            after = await self._tail(t, deliver(t, frame, True))
            if after is None:
                return None
            frame = after
        t.in_kernel = False
        return AbiHookReply(frame)

    def _failed(self, t: Task, frame: TrapFrame, errno: int) -> int:
        """The result register of a call that failed; ENOSYS is recorded even if the handler has not done it."""
        if errno == ENOSYS and self._told is not frame:
            call = registry.TABLE.get(frame.rax)
            self.unsupported(call.name if call is not None else f"syscall_{frame.rax:#x}", t)
        return -errno & _MASK

    async def _tail(self, t: Task, owed: Awaitable[TrapFrame]) -> TrapFrame | None:
        """Signals, stops and the end, before a task returns to user mode; None if it does not return."""
        try:
            return await owed
        except TaskExited:
            pass
        except OutOfMemory:
            await exit_group(t, SIGKILL)
        except Exception as error:
            await self._oops(t, error)
        return None

    async def _return_to_user(self, t: Task, m: AbiHook) -> AbiHookReply | None:
        """The INITIAL and INTERRUPT hooks: signals, what rseq(2) promises, and for a new task its first registers."""
        frame = t.frame if m.type == HOOK_INITIAL else m.frame
        t.frame = frame
        t.in_kernel = True
        if t.attention or t.rseq is not None:
            after = await self._tail(t, resume(t, frame))
            if after is None:
                return None
            frame = after
        t.in_kernel = False
        return AbiHookReply(frame)

    @rpc(PageFault)
    async def page_fault(self, src: int, m: PageFault) -> PageFaultReply | None:
        """A task touched a page that its tables do not let it touch."""
        if src:
            raise RpcError(ERR_NOT_PERMITTED)
        t = self.by_ktask[m.task]
        try:
            bad = await t.mm.fault(m.vaddr, m.fault)
        except Exception as error:
            await self._oops(t, error)
            return None
        if bad is None:
            t.min_flt += 1
            return _FAULT_DONE
        if bad.signo == SIGKILL:
            await exit_group(t, SIGKILL)
            return None
        return await self._fault_signal(t, bad.signo, bad.code, bad.address, m.fault, VECTOR_PAGE_FAULT)

    async def _fault_signal(
        self, t: Task, signo: int, code: int, address: int, error_code: int, vector: int
    ) -> PageFaultReply | None:
        """Send a synchronous signal to a task that stopped at an instruction, and load what it runs next."""
        t.in_kernel = True
        frame = t.frame = self.port.get_frame(t.ktask)
        cr2 = address if vector == VECTOR_PAGE_FAULT else None
        force_fault(t, signo, code, address, trap_number=vector, trap_error=error_code, trap_cr2=cr2)
        after = await self._tail(t, deliver(t, frame, False))
        if after is None:
            return None
        self.port.set_frame(t.ktask, after)
        t.in_kernel = False
        return _FAULT_DONE

    @rpc(Exception_)
    async def exception(self, src: int, m: Exception_) -> None:
        """A task raised a CPU exception other than a page fault."""
        if src:
            raise RpcError(ERR_NOT_PERMITTED)
        t = self.by_ktask.get(m.task)
        if t is None:
            return
        if m.exception != ExceptionType.INVALID_OP:  # the kernel cannot run it any more
            await exit_group(t, SIGKILL)
            return
        vector, error_code = self.port.last_exception(m.task)
        signo, code = _EXCEPTION_SIGNALS.get(vector, (SIGSEGV, SI_KERNEL))
        address = self.port.get_frame(t.ktask).rip if vector in (VECTOR_DIVIDE, VECTOR_INVALID_OPCODE) else 0
        await self._fault_signal(t, signo, code, address, error_code, vector)

    async def _oops(self, t: Task, error: BaseException) -> None:
        """A defect of this server met while serving a task: the process ends, everything else goes on."""
        self.oopses.append((self.describe(t), error))
        await exit_group(t, SIGKILL)

    @staticmethod
    def describe(t: Task) -> str:
        """The system call in progress, with raw arguments."""
        frame = t.frame
        call = registry.TABLE.get(frame.rax)
        name = call.name if call is not None else f"syscall_{frame.rax}"
        arguments = ", ".join(
            f"{value:#x}" for value in (frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9)
        )
        return f"{t.process.pid} {t.comm.decode(errors='replace')}: {name}({arguments})"

    def replace(self, call: registry.Syscall) -> None:
        """Serve a system call by another declaration than that of the table."""
        self._invoke[call.number] = self._watched(call.number, call.compile())

    def _first_call(self, number: int) -> registry.Invoke:
        """Compile a declaration when the call is first made; an unknown number answers ENOSYS for ever.

        A call's number is an int: as on Linux the upper half of the register does not count.
        """
        if number >> 31:
            signed = s32(number) & _MASK
            if signed != number:
                return self._invoke.get(signed) or self._first_call(signed)
        call = registry.TABLE.get(number)
        if call is not None:
            invoke = self._watched(number, call.compile())
            self._invoke[number] = invoke
            return invoke

        async def unknown(t: Task, frame: TrapFrame) -> int:
            from syscalls.abi.numbers import X86_64

            name = next((name for name, value in X86_64.items() if value == number), f"syscall_{number:#x}")
            self.unsupported(name, t)
            return -ENOSYS

        return self._watched(number, unknown)

    def _watched(self, number: int, invoke: registry.Invoke) -> registry.Invoke:
        return self.tracer.watch(number, invoke) if self.tracer is not None else invoke

    # -- what tasks need ----------------------------------------------------------------------------------------------

    def unsupported(self, what: str, t: Task | None = None, *_: object) -> None:
        """Record that a program asked for something that Linux has and this server lacks."""
        key = what, t.comm if t is not None else b""
        if key in self._missing or len(self._missing) < MOST_KINDS:
            self._missing[key] = self._missing.get(key, 0) + 1
        if t is not None:
            self._told = t.frame
            if t.tracer is not None:
                t.tracer.unsupported(t, what)

    def missing(self) -> list[Unsupported]:
        """What was asked for and is not supported, in the order of the first time."""
        return [Unsupported(what, comm, count) for (what, comm), count in self._missing.items()]

    async def refill_pool(self) -> None:
        """Ask vm for more frames, at the cost of cached file pages if need be.

        Raises:
            RpcError: ERR_NO_MEMORY.
        """
        self._refills = serial = self._refills % _MASK_31 + 1
        for count in (_POOL_PAGES, _POOL_PAGES, 1):
            try:
                reply = await call(self.port, self.peers.vm, vmx.AllocFrames(count, serial))
            except RpcError:
                if count == 1:
                    raise
                self.shrink_caches()
            else:
                self.pool.extend(memoryview(reply.frames).cast("I"))
                return

    def shrink_caches(self) -> int:
        """Memory is short: forget file pages that nothing maps. Returns how many."""
        return sum(inode.pages.shrink() for inode in self._kept if inode.pages is not None)

    async def memory_pages(self) -> tuple[int, int]:
        """Total and free memory, pages."""
        reply = await call(self.port, self.peers.vm, vmx.Stats())
        return reply.total, reply.free + len(self.pool)

    async def clock_ns(self, clock_id: int) -> int:
        """Time of one of the time server's clocks, nanoseconds."""
        message = clock.Gettime(clock_id)
        try:
            ns: int = (await self.port.call(self.peers.time, message)).ns
        except RpcError as error:
            ns = (await call_again(self.port, self.peers.time, message, error)).ns
        return ns

    def keep_pages(self, inode: Inode) -> None:
        """Hold an inode with cached pages for a while, so that the next run of the program finds them."""
        kept = self._kept
        kept.pop(inode, None)
        kept[inode] = None
        if len(kept) > _KEPT_INODES:
            del kept[next(iter(kept))]

    def cached_frames(self) -> int:
        """Frames that hold file contents for later."""
        return sum(len(inode.pages.frames) for inode in self._kept if inode.pages is not None)

    @property
    def ipc(self) -> IpcNamespace:
        """System V shared memory, semaphores and message queues; made when first asked for."""
        if self._ipc is None:
            from syscalls.objects.ipcns import IpcNamespace

            self._ipc = IpcNamespace(self.port.frames.total * _IPC_ROOM)
        return self._ipc

    def process(self, pid: int) -> Process | None:
        """A process by pid, zombies included."""
        return self.table_of_processes.processes.get(pid)

    @property
    def processes(self) -> dict[int, Process]:
        """Every process by pid."""
        return self.table_of_processes.processes

    @property
    def tasks(self) -> dict[int, Task]:
        """Every task by tid."""
        return self.table_of_processes.tasks

    async def create_task(self, t: Task, like: Task | None) -> None:
        """Give a task its kernel task and let it run; its INITIAL hook gets `t.frame`.

        Args:
            t: the new task with its memory set.
            like: the task whose remaining registers it begins with.
        """
        self.start_task(t, like, await self.reserve_task())

    async def reserve_task(self) -> int:
        """The id of a kernel task that is about to be made, for `start_task` or `give_back`."""
        port = self.port
        ktask: int = (await call(self.port, self.peers.task, task_messages.Alloc(port.task))).task
        return ktask

    def start_task(self, t: Task, like: Task | None, ktask: int) -> None:
        """`create_task` with an id that is there already."""
        port = self.port
        port.task_create(ktask, f"linux.{t.tid}", 0, port.task, 2)
        t.ktask = ktask
        self.by_ktask[ktask] = t
        port.set_space(ktask, t.mm.space)
        if t.rseq is not None:
            watch(t, t.rseq)
        port.task_start(ktask, like.ktask if like is not None else None)

    def give_back(self, ktask: int) -> None:
        """A reserved id is not needed any more."""
        self.port.spawn(self._free_task_id(ktask))

    def destroy_task(self, t: Task) -> None:
        """End the kernel task of a task that is gone."""
        ktask, t.ktask = t.ktask, 0
        if ktask:
            self.by_ktask.pop(ktask, None)
            self.port.task_destroy(ktask)
            self.give_back(ktask)

    async def _free_task_id(self, ktask: int) -> None:
        try:
            await call(self.port, self.peers.task, task_messages.Free(ktask))
        except RpcError:
            pass  # it was lost with a reply, or stays reserved

    async def thread_exiting(self, t: Task) -> None:
        """A task begins to exit: whoever joins it is woken through its clear_child_tid (man 2 set_tid_address)."""
        if t.robust_list:
            await exit_robust_list(t)
        if t.clear_child_tid and t.mm.users > 1:
            address, t.clear_child_tid = t.clear_child_tid, 0
            try:
                await t.mem.put_u32(address, 0)
            except (SysError, OutOfMemory):
                return
            self.futexes.wake_shared(t.mm, address)

    def on_exit(self, process: Process) -> None:
        """A process has become a zombie."""
        if process is self.main:
            self.ended(process)

    # -- console ------------------------------------------------------------------------------------------------------

    @rpc(console.Ready)
    async def console_ready(self, src: int, m: console.Ready) -> None:
        """Watched events of a standard stream hold now."""
        if src != self.peers.console:
            raise RpcError(ERR_NOT_PERMITTED)
        self.console.ready(m.stream, m.events)

    @rpc(console.Signal)
    async def console_signal(self, src: int, m: console.Signal) -> None:
        """The user of the host sent a signal to the foreground program."""
        if src != self.peers.console:
            raise RpcError(ERR_NOT_PERMITTED)
        self.console.signal(m.signo)
