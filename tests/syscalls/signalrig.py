"""The rig of `iorig` with registers, memory maps and the dispatcher's tail: for signals, exits and waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import syscalls.handlers.process
import syscalls.handlers.signal  # noqa: F401 (they declare the calls)
from linuxemu.arch.x86_64 import FLAGS_DEFAULT, ZERO_FRAME, FullRegs
from syscalls.abi.numbers import X86_64
from syscalls.errors import Interrupted, SysError
from syscalls.objects.delivery import deliver
from syscalls.objects.fdtable import FdTable
from syscalls.objects.siginfo import SigAction
from syscalls.objects.task import Task, TaskExited
from syscalls.sigframe_x86_64 import INITIAL_FXSAVE
from tests.syscalls import iorig
from tests.syscalls.jobs import Job

if TYPE_CHECKING:
    from linuxemu.messages import TrapFrame
    from syscalls.objects.process import Process

CODE = 0x40_0000
"""Address after the `syscall` instruction of every trap."""
HANDLER = 0x41_0000
RESTORER = 0x42_0000
RESTORER_FLAG = 0x0400_0000
MASK64 = (1 << 64) - 1
ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")


class MemoryMap:
    """A memory map that only counts its users."""

    def __init__(self) -> None:
        self.users = 1

    def rss_pages(self) -> int:
        return 25

    async def release(self) -> None:
        self.users -= 1


class Port(iorig.Port):
    """With the registers of kernel tasks, and a note of whom the server interrupted."""

    def __init__(self, rig: SignalRig) -> None:
        super().__init__(rig)
        self.regs: dict[int, FullRegs] = {}
        self.interrupted: list[int] = []
        self.times: dict[int, tuple[int, int]] = {}

    def times_ns(self, tid: int) -> tuple[int, int]:
        return self.times.get(tid, (0, 0))

    def task_interrupt(self, tid: int) -> None:
        self.interrupted.append(tid)

    def get_regs(self, tid: int) -> FullRegs:
        regs = self.regs[tid]
        return FullRegs(regs.frame, regs.rcx, regs.r11, regs.fxsave)

    def set_regs(self, tid: int, regs: FullRegs) -> None:
        self.regs[tid] = FullRegs(regs.frame, regs.rcx, regs.r11, regs.fxsave)


class Server(iorig.Server):
    """With what an exiting task asks of the server."""

    def __init__(self, rig: SignalRig) -> None:
        super().__init__(rig)
        self.port: Port = Port(rig)
        self.destroyed: list[int] = []
        self.exited: list[tuple[int, int | None]] = []

    async def thread_exiting(self, t: Task) -> None:
        assert t.exit_status is not None

    def destroy_task(self, t: Task) -> None:
        self.destroyed.append(t.tid)
        t.ktask = 0

    def on_exit(self, process: Process) -> None:
        self.exited.append((process.pid, process.exit_code))


class SignalRig(iorig.Rig):
    """Tasks that trap: `trap` makes a system call as the dispatcher does, with the tail for signals."""

    def __init__(self) -> None:
        super().__init__()
        self.server: Server = Server(self)
        self.table.server = self.server  # type: ignore[assignment]
        self._ktasks = 100

    def _equip(self, t: Any) -> Any:
        t.server = self.server
        t.files = FdTable(t.process.rlimits)
        t.mem = iorig.Memory()
        t.mm = MemoryMap()
        return self._start(t, t.mem.alloc(0x8000) + 0x8000)

    def _start(self, t: Any, stack: int) -> Any:
        self._ktasks += 1
        t.ktask = self._ktasks
        t.frame = ZERO_FRAME._replace(rip=CODE, rsp=stack, rflags=FLAGS_DEFAULT)
        self.server.port.regs[t.ktask] = FullRegs(t.frame, 0x111, 0x222, INITIAL_FXSAVE)
        return t

    def thread(self, t: Any) -> Any:
        """One more thread of a process."""
        other: Any = self.table.add_thread(t)
        other.files, other.mem, other.mm = t.files.share(), t.mem, t.mm
        t.mm.users += 1
        return self._start(other, t.mem.alloc(0x4000) + 0x4000)

    def trap(self, t: Any, name: str, *args: int) -> Job:
        """Make a system call; the job's value is the frame with which the task goes on, or TaskExited."""
        registers = dict(zip(ARGUMENTS, (a & MASK64 for a in args), strict=False))
        t.frame = t.frame._replace(rax=X86_64[name], **registers)
        return self.spawn(self._serve(t, self.handler(name), args))

    async def _serve(self, t: Task, handler: Any, args: tuple[int, ...]) -> TrapFrame:
        t.in_kernel = True
        result = 0
        try:
            result = await handler(t, *args) or 0
        except SysError as error:
            result = -error.errno
        except Interrupted as interrupted:
            t.restart = interrupted.restart
        return await self._tail(t, t.frame._replace(rax=result & MASK64), True)

    async def _tail(self, t: Task, frame: TrapFrame, in_syscall: bool) -> TrapFrame:
        if t.attention or t.restart:
            frame = await deliver(t, frame, in_syscall)
        t.in_kernel = False
        t.frame = frame
        return frame

    def interrupt(self, t: Any) -> Job:
        """The task traps from user code, as it does after task_interrupt, a fault or an exception."""
        t.in_kernel = True
        return self.spawn(self._tail(t, t.frame, False))

    def use(self, t: Any, user_ns: int, sys_ns: int) -> None:
        """The task has used this much CPU time."""
        self.server.port.times[t.ktask] = user_ns, sys_ns

    def catch(self, t: Any, signo: int, flags: int = 0, mask: int = 0, handler: int = HANDLER) -> None:
        """Give a signal a handler."""
        t.process.sighand.set(signo, SigAction(handler, flags | RESTORER_FLAG, RESTORER, mask))

    def ended(self, job: Job) -> bool:
        """Whether the job's task is gone."""
        self.settle()
        return job.done and isinstance(job.error, TaskExited)

    def sigreturn(self, t: Any) -> TrapFrame:
        """The handler returns: its `ret` takes the restorer's address off the stack, the restorer traps."""
        t.frame = t.frame._replace(rsp=t.frame.rsp + 8, rip=RESTORER)
        job = self.trap(t, "rt_sigreturn")
        self.settle()
        frame: TrapFrame = job.value()
        return frame

    def die(self, t: Any, status: int = 0) -> None:
        """The task calls exit_group."""
        job = self.trap(t, "exit_group", status)
        assert self.ended(job)


def result(frame: TrapFrame) -> int:
    """A call's result as a program sees it: negative for an error."""
    return frame.rax - (1 << 64) if frame.rax >> 63 else frame.rax


def errno_of(rig: SignalRig, t: Any, name: str, *args: int) -> int:
    """The error a call fails with, 0 if it does not."""
    try:
        rig.call(t, name, *args)
    except SysError as error:
        return error.errno
    return 0
