"""The Unicorn engine: one emulator instance runs every task of a machine.

What shapes this module was measured, not chosen. Translated code is cached by physical address, so tasks that
share frames share translations: there is one instance for all address spaces. Stopping at a system call runs no
Python: the instruction hook is libunicorn's own `uc_context_save` (which proves that the stop was a system call and
not an interrupt from another thread) followed by its `uc_emu_stop`. The binding's Python classes cost more than the
emulator's own calls, so the C interface is called directly (`linuxemu.cpu.libunicorn`).
"""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import (
    FAULT_USER,
    FLAGS_DEFAULT,
    PTE_PRESENT,
    PTE_USER,
    PTE_WRITABLE,
    VECTOR_BREAKPOINT,
    VECTOR_GENERAL_PROTECTION,
    VECTOR_INVALID_OPCODE,
    VECTOR_OVERFLOW,
    VECTOR_PAGE_FAULT,
    ZERO_FRAME,
    FullRegs,
)
from linuxemu.cpu.base import EXCEPTION, INTERRUPT, PAGE_FAULT, SYSCALL
from linuxemu.cpu.libunicorn import IDENTITY_TABLES, INTERRUPTED, PAGE, REG, Emulator
from linuxemu.messages import TrapFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from linuxemu.cpu.memory import HostRam

_FRAME_REGS = (
    *(REG[{"rflags": "eflags"}.get(name, name)] for name in TrapFrame._fields),
    REG["rcx"],
    REG["r11"],
)
_CTL_REMOVE_CACHE = 9 | (2 << 26) | (1 << 30)
_CTL_FLUSH_TB = 10 | (1 << 30)
_FXSAVE_LEGACY = struct.Struct("<HHBxHQQII")
_MXCSR_MASK = 0xFFFF
_USER_GATES = (VECTOR_BREAKPOINT, VECTOR_OVERFLOW)
"""What `int $n` may raise, as Linux sets up the interrupt table; `int $0x80` is 32-bit Linux, which is not here."""


class _State:
    """A task's registers: the trap frame as read last, the one to load next, and a saved context."""

    __slots__ = ("context", "exact", "frame", "next_frame", "pc")

    def __init__(self, context: int, frame: TrapFrame) -> None:
        self.context = context
        self.frame: TrapFrame | None = None
        """The 18 registers as the emulator holds them, None when they were not read since it ran."""
        self.next_frame: TrapFrame | None = frame
        self.pc = frame.rip
        self.exact = False
        """Stopped at an instruction other than a system call: loading the same frame again changes nothing."""


class UnicornCpu(Emulator):
    """The engine protocol of `linuxemu.cpu.base` over libunicorn.

    Args:
        ram: guest-physical memory; `reserved_frames` of it at the start belong to the engine.
    """

    def __init__(self, ram: HostRam) -> None:
        super().__init__(ram)
        self.fault_vaddr = self.fault_ip = self.fault_code = self.vector = 0
        self._buffers()
        self._current: _State | None = None
        self._root = self._generation = -1
        self._clean = self._alloc_context()
        self._save(self._uc, self._clean)

    def _buffers(self) -> None:
        """Preallocated register arrays: the trap frame with rcx and r11, and rip with cr2."""
        count = len(_FRAME_REGS)
        self._regs = (ctypes.c_uint64 * count)()
        base = ctypes.addressof(self._regs)
        self._reg_ids = (ctypes.c_int * count)(*_FRAME_REGS)
        self._reg_pointers = (ctypes.c_void_p * count)(*(base + 8 * i for i in range(count)))
        self._ids_at, self._pointers_at = (
            ctypes.addressof(self._reg_ids),
            ctypes.addressof(self._reg_pointers),
        )
        self._result_ids = (ctypes.c_int * 3)(REG["rax"], REG["rcx"], REG["r11"])
        self._result_values = (ctypes.c_uint64 * 3)()
        result = ctypes.addressof(self._result_values)
        self._result_pointers = (ctypes.c_void_p * 3)(result, result + 8, result + 16)
        self._result_ids_at = ctypes.addressof(self._result_ids)
        self._result_pointers_at = ctypes.addressof(self._result_pointers)
        self._fault_ids = (ctypes.c_int * 2)(REG["rip"], REG["cr2"])
        self._fault_values = (ctypes.c_uint64 * 2)()
        fault = ctypes.addressof(self._fault_values)
        self._fault_pointers = (ctypes.c_void_p * 2)(fault, fault + 8)
        self._fault_ids_at = ctypes.addressof(self._fault_ids)
        self._fault_pointers_at = ctypes.addressof(self._fault_pointers)
        self._unpack_frame: Callable[..., tuple[int, ...]] = struct.Struct("<18Q").unpack_from
        self._pack_frame = struct.Struct("<20Q").pack_into
        self._pack_result = struct.Struct("<3Q").pack_into

    # -- states -----------------------------------------------------------------------------------------------------

    def new_state(self) -> _State:
        """Registers of a task that never ran."""
        context = self._alloc_context()
        ctypes.memmove(context, self._clean, self._context_size)
        return _State(context, TrapFrame._make((*ZERO_FRAME[:3], FLAGS_DEFAULT, *ZERO_FRAME[4:])))

    def copy_state(self, state: _State) -> _State:
        """A copy of everything in `state`."""
        if state is self._current:
            self._save(self._uc, state.context)
        context = self._alloc_context()
        ctypes.memmove(context, state.context, self._context_size)
        copy = _State(context, ZERO_FRAME)
        copy.frame, copy.next_frame, copy.pc, copy.exact = (
            state.frame,
            state.next_frame,
            state.pc,
            state.exact,
        )
        return copy

    def drop_state(self, state: _State) -> None:
        """Keep the context's memory for the next task."""
        if state is self._current:
            self._current = None
        self._contexts.append(state.context)
        state.context = 0

    def _make_current(self, state: _State) -> None:
        if self._current is not None:
            self._save(self._uc, self._current.context)
        self._restore(self._uc, state.context)
        self._current = state
        self._root = -1

    def _load_frame(self, state: _State, frame: TrapFrame) -> None:
        """Write a frame as `sysret` would leave the registers; usually only the result changed."""
        old = state.frame
        if old is not None and frame[6:] == old[6:] and frame[:5] == old[:5]:
            self._pack_result(self._result_values, 0, frame[5], frame[2], frame[3])
            self._write(self._uc, self._result_ids_at, self._result_pointers_at, 3)
        else:
            self._pack_frame(self._regs, 0, *frame, frame[2], frame[3])
            self._write(self._uc, self._ids_at, self._pointers_at, 20)
        state.next_frame = None
        state.pc = frame[2]

    # -- running ----------------------------------------------------------------------------------------------------

    def run(self, root: int, generation: int, state: _State) -> int:
        """Run user code until it stops; see `linuxemu.cpu.base.Cpu.run`."""
        if state is not self._current:
            self._make_current(state)
        if root != self._root or generation != self._generation:
            self._fault_values[0] = root
            self._lib.uc_reg_write(self._uc, 53, self._fault_pointers[0])
            self._root = root
            self._generation = generation
        frame = state.next_frame
        if frame is not None:
            self._load_frame(state, frame)
        error = self._start(self._uc, state.pc, 0, 0, 0)
        mark = self._trap_mark
        if mark.value and self._pending_vector < 0:
            mark.value = 0
            self._read(self._uc, self._ids_at, self._pointers_at, 18)
            state.frame = TrapFrame._make(self._unpack_frame(self._regs))
            state.exact = False
            return SYSCALL
        mark.value = 0
        state.frame = None
        state.exact = True
        return self._stopped(state, error)

    def _stopped(self, state: _State, error: int) -> int:
        """Find out why the emulator stopped, other than for a system call."""
        uc = self._uc
        vector = self._pending_vector
        self._pending_vector = -1
        if self._port_touched:
            self._port_touched = False
            self._restore(uc, self._port_context)
        self._read(uc, self._fault_ids_at, self._fault_pointers_at, 2)
        state.pc = self._fault_values[0]
        if vector < 0:
            if error in (0, INTERRUPTED):
                self._save(uc, self._scratch)
                if ctypes.c_int32.from_address(self._scratch + self._exception_at).value != -1:
                    self._repair(self._scratch)  # stopped between raising a fault and telling of it
                return INTERRUPT
            self.vector = VECTOR_INVALID_OPCODE
            self.fault_code = 0
            return EXCEPTION
        self._save(uc, self._scratch)
        code, by_int = struct.unpack("<II", ctypes.string_at(self._scratch + self._code_at, 8))
        self.fault_code = code
        self._repair(self._scratch)
        if by_int and vector not in _USER_GATES:
            return self._refuse_int(state, vector)
        if vector == VECTOR_PAGE_FAULT and code & FAULT_USER:
            self.fault_vaddr, self.fault_ip = self._fault_values[1], state.pc
            return PAGE_FAULT
        # A fault of the CPU's own is one at the descriptor of a segment that user code tried to load.
        self.vector = vector if vector != VECTOR_PAGE_FAULT else VECTOR_GENERAL_PROTECTION
        return EXCEPTION

    def _refuse_int(self, state: _State, vector: int) -> int:
        """`int $n` for an n that has no gate for user mode: a general protection fault at the instruction."""
        state.pc -= 2
        self._set("rip", state.pc)
        self.vector = VECTOR_GENERAL_PROTECTION
        self.fault_code = vector * 8 + 2
        return EXCEPTION

    def frame(self, state: _State) -> TrapFrame:
        """The trap frame of a state."""
        if state.next_frame is not None:
            return state.next_frame
        if state.frame is None:
            if state is not self._current:
                self._make_current(state)
            self._read(self._uc, self._ids_at, self._pointers_at, 18)
            state.frame = TrapFrame._make(self._unpack_frame(self._regs))
        return state.frame

    def set_frame(self, state: _State, frame: TrapFrame) -> None:
        """Load a trap frame before the state runs next."""
        if state.exact:
            if frame == state.frame:
                return
            state.exact = False
        state.next_frame = frame

    def get_regs(self, state: _State) -> FullRegs:
        """Every user-visible register of a state."""
        if state is not self._current:
            self._make_current(state)
        if state.next_frame is not None:
            self._load_frame(state, state.next_frame)
            state.frame = None
        frame = self.frame(state)
        if state.exact or state.frame is None:
            return FullRegs(frame, self._get("rcx"), self._get("r11"), self._fxsave())
        return FullRegs(frame, frame[2], frame[3], self._fxsave())  # as `syscall` leaves them

    def set_regs(self, state: _State, regs: FullRegs) -> None:
        """Replace every user-visible register of a state."""
        if state is not self._current:
            self._make_current(state)
        self._pack_frame(self._regs, 0, *regs.frame, regs.rcx, regs.r11)
        self._write(self._uc, self._ids_at, self._pointers_at, 20)
        if regs.fxsave != self._fxsave():
            self._fxrstor(regs.fxsave)
        state.frame = regs.frame
        state.next_frame = None
        state.pc = regs.frame.rip
        state.exact = True

    def _fp_buffers(self) -> tuple[int, int, int, ctypes.Array[ctypes.c_char]]:
        """Register ids and pointers to read or write an FXSAVE image in one call."""
        buffers = getattr(self, "_fp", None)
        if buffers is None:
            image = ctypes.create_string_buffer(544)
            base = ctypes.addressof(image)
            regs = [(REG["fpcw"], 512), (REG["fpsw"], 520), (REG["fptag"], 528), (REG["mxcsr"], 536)]
            regs += [(REG["st0"] + i, 32 + 16 * i) for i in range(8)]
            regs += [(REG["xmm0"] + i, 160 + 16 * i) for i in range(16)]
            ids = (ctypes.c_int * len(regs))(*(number for number, _ in regs))
            pointers = (ctypes.c_void_p * len(regs))(*(base + offset for _, offset in regs))
            self._fp_keep = (ids, pointers)
            buffers = (ctypes.addressof(ids), ctypes.addressof(pointers), len(regs), image)
            self._fp = buffers
        return buffers

    def _fxsave(self) -> bytes:
        ids, pointers, count, image = self._fp_buffers()
        self._read(self._uc, ids, pointers, count)
        control, status, tags, mxcsr = struct.unpack_from("<H6xH6xH6xI", image, 512)
        used = sum(1 << i for i in range(8) if (tags >> (2 * i)) & 3 != 3)
        _FXSAVE_LEGACY.pack_into(image, 0, control, status, used, 0, 0, 0, mxcsr, _MXCSR_MASK)
        return image.raw[:416] + bytes(96)

    def _fxrstor(self, fxsave: bytes) -> None:
        ids, pointers, count, image = self._fp_buffers()
        control, status, used, _, _, _, mxcsr, _ = _FXSAVE_LEGACY.unpack_from(fxsave)
        tags = sum(3 << (2 * i) for i in range(8) if not used >> i & 1)
        ctypes.memmove(image, fxsave, 416)
        struct.pack_into("<H6xH6xH6xI", image, 512, control, status, tags, mxcsr & _MXCSR_MASK)
        self._write(self._uc, ids, pointers, count)

    def reset(self) -> None:
        """Forget every translation and every state that was given back, for another machine on the same memory."""
        if self._current is not None:
            self._restore(self._uc, self._clean)
            self._current = None
        self._root = self._generation = -1
        self._lib.uc_ctl(self._uc, _CTL_FLUSH_TB)

    def flush(self, frames: Iterable[int]) -> None:
        """Forget translations of code in these frames."""
        if self._closed:
            return
        self._set("cr3", IDENTITY_TABLES)
        self._root = -1
        control = self._lib.uc_ctl
        for frame in frames:
            address = frame << 12
            control(self._uc, _CTL_REMOVE_CACHE, ctypes.c_uint64(address), ctypes.c_uint64(address + PAGE))


def bare_cycle_us(cycles: int = 20000) -> float:
    """Microseconds of the emulator's own cycle: start, stop at `syscall`, read and write the trap frame."""
    from time import perf_counter

    from linuxemu.cpu.memory import HostRam

    ram = HostRam(16 << 20)
    cpu = UnicornCpu(ram)
    words, page = ram.words, 0x20_0000
    link = PTE_PRESENT | PTE_WRITABLE | PTE_USER
    ram.data[page + 4 * PAGE : page + 4 * PAGE + 4] = b"\x0f\x05\xeb\xfc"  # syscall; jmp back
    for level in range(3):
        words[(page + level * PAGE) >> 3] = (page + (level + 1) * PAGE) | link
    words[(page + 3 * PAGE) >> 3] = (page + 4 * PAGE) | PTE_PRESENT | PTE_USER
    start, read, write, pack, unpack = cpu._start, cpu._read, cpu._write, cpu._pack_frame, cpu._unpack_frame
    uc, ids, pointers, regs = cpu._uc, cpu._ids_at, cpu._pointers_at, cpu._regs
    cpu._set("cr3", page)
    start(uc, 0, 0, 0, 0)
    pc = cpu._get("rip")
    spent: list[float] = []
    for _ in range(5):
        begin = perf_counter()
        for _ in range(cycles // 5):
            start(uc, pc, 0, 0, 0)
            read(uc, ids, pointers, 18)
            frame = TrapFrame._make(unpack(regs))
            pack(regs, 0, *frame, frame[2], frame[3])
            write(uc, ids, pointers, 20)
        spent.append((perf_counter() - begin) / (cycles // 5))
    cpu.close()
    ram.close()
    return sorted(spent)[2] * 1e6
