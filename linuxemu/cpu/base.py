"""The engine protocol: registers in, reason out.

An engine knows neither tasks nor Linux. `run` returns why it stopped; nothing is ever handled inside a
callback of the emulator. Every engine walks the same page tables in the same guest-physical memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linuxemu.arch.x86_64 import FullRegs
    from linuxemu.messages import TrapFrame

SYSCALL = 1
"""A `syscall` instruction was executed; rip stands behind it."""
PAGE_FAULT = 2
"""Details in `fault_vaddr`, `fault_ip`, `fault_code`; rip stands at the instruction."""
EXCEPTION = 3
"""Any other CPU exception; details in `vector` and `fault_code`."""
INTERRUPT = 4
"""`interrupt` was called, or nothing at all happened: spurious returns are allowed."""


class Ram(Protocol):
    """Guest-physical memory, from address 0."""

    size: int
    data: memoryview
    """Bytes."""
    words: memoryview
    """The same memory as unsigned 64-bit words."""

    def discard(self, paddr: int, length: int) -> None:
        """Give whole host pages back; they read as zeros afterwards."""


CpuState: TypeAlias = Any
"""The saved user registers of one task, opaque to everybody but its engine."""


class Cpu(Protocol):
    """One CPU that runs one task at a time."""

    fault_vaddr: int
    fault_ip: int
    fault_code: int
    vector: int

    def new_state(self) -> CpuState:
        """Registers of a task that never ran: all zero, rflags 0x202, FPU as after power-up of a Linux task."""

    def copy_state(self, state: CpuState) -> CpuState:
        """A copy of everything in `state`."""

    def run(self, root: int, generation: int, state: CpuState) -> int:
        """Run user code until something happens.

        Args:
            root: guest-physical address of the top page table.
            generation: changes whenever entries of these tables were taken away or narrowed.
            state: the registers to run with; they are current in it when this returns.
        Returns:
            SYSCALL, PAGE_FAULT, EXCEPTION or INTERRUPT.
        """

    def frame(self, state: CpuState) -> TrapFrame:
        """The trap frame of a state."""

    def set_frame(self, state: CpuState, frame: TrapFrame) -> None:
        """Load a trap frame with the effect of `sysret`: rcx becomes rip, r11 becomes rflags.

        A state that stopped elsewhere than at a system call, or that `set_regs` filled, keeps rcx and r11 if the frame
        is the one it has: it goes on as if nothing had happened.
        """

    def get_regs(self, state: CpuState) -> FullRegs:
        """Every user-visible register of a state."""

    def set_regs(self, state: CpuState, regs: FullRegs) -> None:
        """Replace every user-visible register of a state."""

    def drop_state(self, state: CpuState) -> None:
        """The state will not be used again."""

    def interrupt(self) -> None:
        """Make a running `run` return soon; callable from any thread, harmless otherwise."""

    def flush(self, frames: Iterable[int]) -> None:
        """These frames changed behind the engine's back: forget what was translated from them."""

    def close(self) -> None:
        """Give back host resources."""
