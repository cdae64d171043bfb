"""Engines that stop after one instruction, and a kernel whose time and tasks stand still between them.

The guest of a test has no program. Its code page holds three instructions: a `syscall`, a load and a store. A task
whose next instruction is one of these runs it in the engine, with real registers through real page tables; wherever
else it comes to, it is parked until the test lets it do something again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.arch.x86_64 import FAULT_PRESENT, FAULT_USER, FAULT_WRITE, PTE_DIRTY, PTE_PRESENT, PTE_WRITABLE
from linuxemu.cpu.base import EXCEPTION, INTERRUPT, PAGE_FAULT, SYSCALL
from linuxemu.cpu.fake import FakeCpu, VirtualHost
from linuxemu.cpu.memory import HostRam
from linuxemu.errors import EngineError
from linuxemu.kernel import Kernel
from linuxemu.kernel.task import BLOCKED, RUNNABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from linuxemu.arch.x86_64 import FullRegs
    from linuxemu.cpu.base import Cpu, CpuState
    from linuxemu.cpu.fake import FakeState
    from linuxemu.kernel.task import Task
    from linuxemu.messages import TrapFrame

CODE = 0x1000_0000
"""Address of the code page."""
SYSCALL_AT, LOAD_AT, STORE_AT = CODE, CODE + 16, CODE + 32
CODE_BYTES = b"\x0f\x05".ljust(16, b"\xcc") + b"\x8a\x07".ljust(16, b"\xcc") + b"\x88\x07".ljust(16, b"\xcc")
"""syscall; mov (%rdi),%al; mov %al,(%rdi); a breakpoint behind each, for an emulator that runs on."""
AFTER_SYSCALL, AFTER_LOAD, AFTER_STORE = SYSCALL_AT + 2, LOAD_AT + 3, STORE_AT + 3
"""Where a task stands when it has carried one out."""
_SITES = frozenset((SYSCALL_AT, LOAD_AT, STORE_AT))
RAM_SIZE = 64 << 20

ENGINES = ("unicorn", "fake")


class InstructionCpu(FakeCpu):
    """The engine "fake": carries out the three instructions of the code page, and nothing else, without an emulator."""

    kernel: Kernel

    def run(self, root: int, generation: int, state: FakeState) -> int:
        """Carry out the instruction at rip."""
        frame = state.regs.frame
        self.fault_ip = frame.rip
        if frame.rip == SYSCALL_AT:
            state.regs.frame = frame._replace(rip=AFTER_SYSCALL)
            return SYSCALL
        write = frame.rip == STORE_AT
        space = next(task.space for task in self.kernel.tasks.values() if task.state is state)
        assert space is not None
        entry = space.entry(frame.rdi)
        present = entry & PTE_PRESENT
        if not present or (write and not entry & PTE_WRITABLE):
            self.fault_vaddr = frame.rdi
            self.fault_code = FAULT_USER | (FAULT_WRITE if write else 0) | (FAULT_PRESENT if present else 0)
            return PAGE_FAULT
        if write:
            space.mark(frame.rdi, PTE_DIRTY)
        state.regs.frame = frame._replace(rip=AFTER_STORE if write else AFTER_LOAD)
        return INTERRUPT

    def set_frame(self, state: FakeState, frame: TrapFrame) -> None:
        """Load a trap frame."""
        state.regs.frame = frame

    def flush(self, frames: Iterable[int]) -> None:
        """Nothing is translated."""

    def reset(self) -> None:
        """Forget all states."""
        self.states.clear()


class SteppingCpu:
    """An engine that runs only the instructions of the code page.

    Args:
        engine: the engine that runs them.
        arrived: called with a state that came to any other address; returns the frame to go on with, or None to be
            parked.
    """

    def __init__(self, engine: Any, arrived: Callable[[CpuState, TrapFrame], TrapFrame | None]) -> None:
        self.engine = engine
        self._arrived = arrived
        self.fault_vaddr = self.fault_ip = self.fault_code = self.vector = 0
        self.new_state, self.copy_state, self.drop_state = (
            engine.new_state, engine.copy_state, engine.drop_state,
        )  # fmt: skip
        self.frame, self.set_frame, self.flush = engine.frame, engine.set_frame, engine.flush
        self.interrupt, self.close = engine.interrupt, engine.close

    def get_regs(self, state: CpuState) -> FullRegs:
        """See `linuxemu.cpu.base.Cpu`."""
        regs: FullRegs = self.engine.get_regs(state)
        return regs

    def set_regs(self, state: CpuState, regs: FullRegs) -> None:
        """See `linuxemu.cpu.base.Cpu`."""
        self.engine.set_regs(state, regs)

    def run(self, root: int, generation: int, state: CpuState) -> int:
        """Run one of the three instructions; see `linuxemu.cpu.base.Cpu`."""
        frame = self.frame(state)
        while frame.rip not in _SITES:
            following = self._arrived(state, frame)
            if following is None:
                return INTERRUPT
            self.set_frame(state, following)
            frame = following
        engine = self.engine
        kind: int = engine.run(root, generation, state)
        self.fault_vaddr, self.fault_ip, self.fault_code = engine.fault_vaddr, engine.fault_ip, engine.fault_code
        self.vector = engine.vector
        if kind == EXCEPTION and self.frame(state).rip in (AFTER_LOAD, AFTER_STORE):
            return INTERRUPT  # the breakpoint: the kernel comes back here at once
        return kind


class StepHost(VirtualHost):
    """Virtual time that jumps to the next timer when all are asleep, or stands still."""

    kernel: Kernel

    def __init__(self, now_ns: int) -> None:
        super().__init__(now_ns)
        self.frozen = False
        """Nothing happens but what can happen now."""
        self.jumps = 0
        """How often time jumped."""

    def sleep(self, timeout_ns: int | None) -> None:
        """Jump, or stop the kernel."""
        if self.frozen and (timeout_ns is None or timeout_ns > 0):
            self.kernel.stop()
            return
        self.jumps += 1
        if self.jumps > MAX_JUMPS:
            self.kernel.stop()
            return
        self.now += max(timeout_ns or 0, 0)


MAX_JUMPS = 100_000
"""So many sleeps in one call mean that it will never end: something is periodic, and does not end it."""


class StepKernel(Kernel):
    """The microkernel with tasks that can be parked."""

    def __init__(self, cpu: Cpu, ram: HostRam, reserved_frames: int, host: StepHost, wrap: Any) -> None:
        super().__init__(cpu, ram, reserved_frames, host, wrap=wrap)
        host.kernel = self
        self.parked: dict[int, None] = {}
        """Task ids of the tasks that stand still in user mode."""
        self.gone: Callable[[int], object] = lambda tid: None
        """Called with the id of each task that ends."""

    def task_of(self, state: CpuState) -> Task:
        """The task that a state belongs to."""
        return next(task for task in self.tasks.values() if task.state is state)

    def park(self, task: Task) -> None:
        """The task runs no further by itself."""
        task.status = BLOCKED
        self.parked[task.tid] = None
        self.tick = True  # its loop looks up from what it does

    def unpark(self, tid: int) -> None:
        """A parked task may run again."""
        task = self.tasks[tid]
        del self.parked[tid]
        task.status = RUNNABLE
        self.runnable.append(task)

    def task_interrupt(self, task: Task) -> None:
        """See `Port.task_interrupt`; a parked task comes to its pager at once."""
        super().task_interrupt(task)
        if task.tid in self.parked:
            self.unpark(task.tid)

    def task_destroy(self, caller: Task, tid: int) -> None:
        """See `Port.task_destroy`."""
        super().task_destroy(caller, tid)
        self.parked.pop(tid, None)
        self.gone(tid)


_pool: dict[str, list[tuple[Any, HostRam]]] = {}
"""Engines of tests that are over, and their memory. Making one costs as much as a whole test."""


def take_engine(name: str) -> tuple[Any, HostRam]:
    """An engine and its memory, full of zeros beyond what is reserved.

    Args:
        name: of `ENGINES`.
    Raises:
        EngineError: there is no such engine.
    """
    if name not in ENGINES:
        raise EngineError(f"no engine {name!r}: there is {', '.join(ENGINES)}")
    pool = _pool.setdefault(name, [])
    if pool:
        return pool.pop()
    ram = HostRam(RAM_SIZE)
    if name == "fake":
        return InstructionCpu(), ram
    from linuxemu.cpu.unicorn import UnicornCpu

    return UnicornCpu(ram), ram


def give_engine_back(name: str, engine: Any, ram: HostRam) -> None:
    """The next test may have it."""
    engine.reset()
    start = engine.reserved_frames << 12
    ram.discard(start, ram.size - start)
    _pool[name].append((engine, ram))
