"""A CPU that replays a script, and a host whose time is virtual: the kernel without an emulator.

Each `run` of a task takes the next step of its script and returns why "the program" stopped there. What the
kernel loads and reads is noted, so that a test can look at every register that came back.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import FLAGS_DEFAULT, ZERO_FRAME, FullRegs
from linuxemu.cpu.base import EXCEPTION, INTERRUPT, PAGE_FAULT, SYSCALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from linuxemu.messages import TrapFrame

INITIAL_FXSAVE = bytes.fromhex("7f03") + bytes(22) + bytes.fromhex("801f0000ffff0000") + bytes(480)
"""x87 and SSE state of a task that never used them: control word 0x37f, MXCSR 0x1f80."""
_ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
_MASK = (1 << 64) - 1


class Exit:
    """Why one run of user code stops.

    Args:
        kind: SYSCALL, PAGE_FAULT, EXCEPTION or INTERRUPT.
        vaddr: address of a page fault.
        code: error code of a fault or an exception.
        vector: of an exception.
        changes: registers that the program changed before it stopped, by name of the trap frame.
    """

    __slots__ = ("changes", "code", "kind", "vaddr", "vector")

    def __init__(self, kind: int, vaddr: int = 0, code: int = 0, vector: int = 0, **changes: int) -> None:
        self.kind = kind
        self.vaddr = vaddr
        self.code = code
        self.vector = vector
        self.changes = changes


def syscall(number: int, *args: int, **changes: int) -> Exit:
    """The program executes `syscall` with this number and these arguments, in Linux's registers."""
    registers = dict(zip(_ARGUMENTS, (arg & _MASK for arg in args), strict=False))
    return Exit(SYSCALL, **{"rax": number, **registers, **changes})


def native_call(number: int, *args: int) -> Exit:
    """The same with a system call of the microkernel, whose number goes in the first argument register."""
    return Exit(SYSCALL, **dict(zip(_ARGUMENTS, (arg & _MASK for arg in (number, *args)), strict=False)))


def fault(vaddr: int, code: int = 4) -> Exit:
    """The program touches an address that its tables do not let it touch."""
    return Exit(PAGE_FAULT, vaddr, code)


def exception(vector: int, code: int = 0) -> Exit:
    """The program raises another CPU exception."""
    return Exit(EXCEPTION, code=code, vector=vector)


def interrupt() -> Exit:
    """The time slice ends, or nothing happens at all."""
    return Exit(INTERRUPT)


class FakeState:
    """The registers of a task, and the script it plays (None: that of the CPU)."""

    __slots__ = ("alive", "regs", "script")

    def __init__(self, regs: FullRegs) -> None:
        self.regs = regs
        self.script: deque[Step] | None = None
        self.alive = True


if TYPE_CHECKING:
    Step = Exit | Callable[["FakeCpu", FakeState], Exit]


class FakeCpu:
    """The engine protocol without an engine.

    Args:
        steps: script of every task that has none of its own. A step may be a function that is called with the CPU
            and the state when its turn comes, to act in the middle of a run, and that returns the exit.
    """

    reserved_frames = 1

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self.fault_vaddr = self.fault_ip = self.fault_code = self.vector = 0
        self.script: deque[Step] = deque(steps)
        self.runs: list[tuple[int, int]] = []
        """Root and generation of the tables of each run."""
        self.frames: list[TrapFrame] = []
        """Every frame that was loaded with `set_frame`."""
        self.flushed: list[list[int]] = []
        self.states: list[FakeState] = []
        """States that were not dropped."""
        self.interrupts = 0
        self.closed = False

    def play(self, state: object, steps: Sequence[Step]) -> None:
        """Give one task a script of its own."""
        assert isinstance(state, FakeState)
        state.script = deque(steps)

    def _add(self, regs: FullRegs) -> FakeState:
        state = FakeState(regs)
        self.states.append(state)
        return state

    def new_state(self) -> FakeState:
        """See `linuxemu.cpu.base.Cpu.new_state`."""
        return self._add(FullRegs(ZERO_FRAME._replace(rflags=FLAGS_DEFAULT), 0, 0, INITIAL_FXSAVE))

    def copy_state(self, state: FakeState) -> FakeState:
        """See `linuxemu.cpu.base.Cpu.copy_state`."""
        return self._add(_copy(state.regs))

    def drop_state(self, state: FakeState) -> None:
        """See `linuxemu.cpu.base.Cpu.drop_state`."""
        assert state.alive, "dropped twice"
        state.alive = False
        self.states.remove(state)

    def run(self, root: int, generation: int, state: FakeState) -> int:
        """Take the next step of the task's script.

        Raises:
            AssertionError: the script is over, or the state was dropped.
        """
        assert state.alive, "a dropped state runs"
        self.runs.append((root, generation))
        script = state.script if state.script is not None else self.script
        assert script, "the program runs on after the end of its script"
        step = script.popleft()
        stop = step(self, state) if callable(step) else step
        frame = state.regs.frame
        if stop.kind == SYSCALL:
            frame = frame._replace(rip=frame.rip + 2 & _MASK)
        if stop.changes:
            frame = frame._replace(**stop.changes)
        state.regs.frame = frame
        self.fault_vaddr, self.fault_ip, self.fault_code = stop.vaddr, frame.rip, stop.code
        self.vector = stop.vector
        return stop.kind

    def frame(self, state: FakeState) -> TrapFrame:
        """See `linuxemu.cpu.base.Cpu.frame`."""
        assert state.alive
        return state.regs.frame

    def set_frame(self, state: FakeState, frame: TrapFrame) -> None:
        """See `linuxemu.cpu.base.Cpu.set_frame`."""
        assert state.alive
        self.frames.append(frame)
        state.regs.frame = frame

    def get_regs(self, state: FakeState) -> FullRegs:
        """See `linuxemu.cpu.base.Cpu.get_regs`."""
        assert state.alive
        return _copy(state.regs)

    def set_regs(self, state: FakeState, regs: FullRegs) -> None:
        """See `linuxemu.cpu.base.Cpu.set_regs`."""
        assert state.alive
        state.regs = _copy(regs)

    def interrupt(self) -> None:
        """See `linuxemu.cpu.base.Cpu.interrupt`."""
        self.interrupts += 1

    def flush(self, frames: Iterable[int]) -> None:
        """Note which frames were flushed."""
        self.flushed.append(list(frames))

    def close(self) -> None:
        """Note the end."""
        self.closed = True


def _copy(regs: FullRegs) -> FullRegs:
    return FullRegs(regs.frame, regs.rcx, regs.r11, regs.fxsave)


class VirtualHost:
    """The kernel's `Host` with a clock that moves only in `sleep`, and descriptors that a test makes ready.

    Args:
        now_ns: what the clock shows first.
    """

    def __init__(self, now_ns: int = 1_000_000_000) -> None:
        self.now = now_ns
        self.sleeps: list[int | None] = []
        """Every sleep that was asked for, nanoseconds."""
        self.polls = 0
        self._watches: dict[int, tuple[int, int, Callable[[int], object]]] = {}
        self._next_watch = 0
        self._ready: dict[int, int] = {}

    def now_ns(self) -> int:
        """The virtual time."""
        return self.now

    def advance(self, ns: int) -> None:
        """Let time pass while user code runs."""
        self.now += ns

    def sleep(self, timeout_ns: int | None) -> None:
        """Let the whole time pass at once unless a descriptor is ready.

        Raises:
            AssertionError: nothing could ever end the sleep.
        """
        self.sleeps.append(timeout_ns)
        if self._due():
            self.poll()
            return
        assert timeout_ns is not None, "the kernel sleeps for ever"
        self.now += max(timeout_ns, 0)

    def _due(self) -> list[int]:
        return [key for key, (fd, events, _) in self._watches.items() if self._ready.get(fd, 0) & events]

    def poll(self) -> None:
        """Call what waits on descriptors that are ready."""
        self.polls += 1
        for key in self._due():
            watch = self._watches.pop(key, None)
            if watch is not None:
                fd, events, callback = watch
                callback(self._ready[fd] & events)

    def watching(self) -> bool:
        """Whether any descriptor is watched."""
        return bool(self._watches)

    def watch(self, fd: int, events: int, callback: Callable[[int], object]) -> Callable[[], None]:
        """See `linuxemu.kernel.host.Host.watch`."""
        key = self._next_watch
        self._next_watch += 1
        self._watches[key] = fd, events, callback

        def cancel() -> None:
            self._watches.pop(key, None)

        return cancel

    def make_ready(self, fd: int, events: int) -> None:
        """From now on `fd` is ready for these events (1 read, 4 write); 0 for none."""
        self._ready[fd] = events
