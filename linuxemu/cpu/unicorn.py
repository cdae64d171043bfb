"""The Unicorn engine: one emulator instance runs every task of a machine.

What shapes this module was measured, not chosen. Translated code is cached by physical address, so tasks that
share frames share translations: there is one instance for all address spaces. Stopping at a system call runs no
Python: the instruction hook is libunicorn's own `uc_context_save` (which proves that the stop was a system call and
not an interrupt from another thread) followed by its `uc_emu_stop`. The binding's Python classes cost more than the
emulator's own calls, so the C interface is called directly.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from linuxemu.arch.x86_64 import (
    FLAGS_DEFAULT,
    PTE_PRESENT,
    PTE_USER,
    PTE_WRITABLE,
    VECTOR_INVALID_OPCODE,
    VECTOR_PAGE_FAULT,
    ZERO_FRAME,
    FullRegs,
)
from linuxemu.cpu.base import EXCEPTION, INTERRUPT, PAGE_FAULT, SYSCALL
from linuxemu.errors import EngineError
from linuxemu.messages import TrapFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from linuxemu.cpu.memory import HostRam

_ARCH_X86, _MODE_64 = 4, 8
_HOOK_INTR, _HOOK_INSN = 1, 2
_INSN_SYSCALL, _INSN_CPUID = 699, 113
_CTL_REMOVE_CACHE = 9 | (2 << 26) | (1 << 30)
_CTL_CPU_MODEL = 7 | (1 << 26) | (1 << 30)
_ERR_INSN_INVALID = 10

# Register numbers of libunicorn's x86 interface.
_REG = {
    "eflags": 25, "rax": 35, "rbp": 36, "rbx": 37, "rcx": 38, "rdi": 39, "rdx": 40, "rip": 41, "rsi": 43, "rsp": 44,
    "cr0": 50, "cr2": 52, "cr3": 53, "cr4": 54, "r8": 106, "r9": 107, "r10": 108, "r11": 109, "r12": 110, "r13": 111,
    "r14": 112, "r15": 113, "xmm0": 122, "st0": 114, "fpsw": 31, "fpcw": 246, "fptag": 247, "gdtr": 243, "msr": 248,
    "mxcsr": 249, "fsbase": 250, "gsbase": 251,
}  # fmt: skip
_FRAME_REGS = (*(_REG[{"rflags": "eflags"}.get(name, name)] for name in TrapFrame._fields), _REG["rcx"], _REG["r11"])
_MSR_EFER, _MSR_STAR = 0xC000_0080, 0xC000_0081
_EFER = 0xD01  # system calls, long mode enabled and active, no-execute
_CR0, _CR4 = 0x8005_0033, 0x6A0
_STAR = 0x1B << 48 | 0x08 << 32  # sysret loads cs 0x2b and ss 0x23
_GDT = {1: 0x00AF9B000000FFFF, 2: 0x00CF93000000FFFF, 4: 0x00CFF3000000FFFF, 5: 0x00AFFB000000FFFF}

# The first frames of guest-physical memory belong to the engine.
_GDT_AT, _CODE_AT, _BOOT_TABLES, _IDENTITY_TABLES = 0x1000, 0x2000, 0x3000, 0x8000
_PAGE = 4096
# Where the emulator's own structures keep what `interrupt` needs (libunicorn 2.1.4, LP64); proven at start-up.
_STRUCTURE_SEARCHED = 4096
_CPU_POINTER_AT, _ENV_POINTER_AT, _EXIT_REQUEST_AT = 440, 0x128, 0x15
_INTERRUPTED = 99
_FXSAVE_LEGACY = struct.Struct("<HHBxHQQII")
_MXCSR_MASK = 0xFFFF


class _Mmr(ctypes.Structure):
    _fields_ = [
        ("selector", ctypes.c_uint16), ("base", ctypes.c_uint64), ("limit", ctypes.c_uint32), ("flags", ctypes.c_uint32)
    ]  # fmt: skip


class _Msr(ctypes.Structure):
    _fields_ = [("rid", ctypes.c_uint32), ("value", ctypes.c_uint64)]


class _State:
    """A task's registers: the trap frame as read last, the one to load next, and a saved context."""

    __slots__ = ("context", "exact", "frame", "next_frame", "pc")

    def __init__(self, context: int, frame: TrapFrame) -> None:
        self.context = context
        self.frame: TrapFrame | None = frame
        """The 18 registers as the emulator holds them, None when they were not read since it ran."""
        self.next_frame: TrapFrame | None = frame
        self.pc = frame.rip
        self.exact = False
        """Stopped at an instruction other than a system call: loading the same frame again changes nothing."""


def load_library() -> ctypes.CDLL:
    """libunicorn out of the installed `unicorn` package, without importing the package (that costs 60 ms).

    Raises:
        EngineError: the package or its library is missing.
    """
    spec = PathFinder.find_spec("unicorn")
    places = list(spec.submodule_search_locations or ()) if spec else []
    names = {"win32": ("unicorn.dll",), "darwin": ("libunicorn.2.dylib",)}.get(sys.platform, ("libunicorn.so.2",))
    for place in places:
        for name in names:
            path = os.path.join(place, "lib", name)
            if os.path.exists(path):
                return ctypes.CDLL(path)
    raise EngineError("the unicorn engine needs the package 'unicorn' 2.1.4 or newer: pip install 'unicorn>=2.1.4'")


class UnicornCpu:
    """The engine protocol of `linuxemu.cpu.base` over libunicorn.

    Args:
        ram: guest-physical memory; `reserved_frames` of it at the start belong to the engine.
    """

    reserved_frames = 16

    def __init__(self, ram: HostRam) -> None:
        self._lib = lib = load_library()
        self._uc_handle = ctypes.c_void_p()
        self.fault_vaddr = self.fault_ip = self.fault_code = self.vector = 0
        if lib.uc_open(_ARCH_X86, _MODE_64, ctypes.byref(self._uc_handle)):
            raise EngineError("libunicorn refuses to start an x86-64 machine")
        self._uc = uc = self._uc_handle.value
        self._ram = ram
        self._prototypes()
        self._must(lib.uc_mem_map_ptr(uc, 0, ram.size, 7, ram.address), "map guest memory")
        self._buffers()
        self._contexts: list[int] = []
        self._trap_context = self._alloc_context()
        self._scratch = self._alloc_context()
        self._only_stop_between_blocks()
        self._hooks()
        self._boot()
        self._current: _State | None = None
        self._root = self._generation = -1
        self._clean = self._alloc_context()
        self._save(uc, self._clean)

    # -- start-up ---------------------------------------------------------------------------------------------------

    def _prototypes(self) -> None:
        lib, pointer, u64 = self._lib, ctypes.c_void_p, ctypes.c_uint64
        lib.uc_mem_map_ptr.argtypes = [pointer, u64, ctypes.c_size_t, ctypes.c_uint32, pointer]
        lib.uc_emu_start.argtypes = [pointer, u64, u64, u64, ctypes.c_size_t]
        lib.uc_reg_read_batch.argtypes = lib.uc_reg_write_batch.argtypes = [pointer, pointer, pointer, ctypes.c_int]
        lib.uc_reg_write.argtypes = lib.uc_reg_read.argtypes = [pointer, ctypes.c_int, pointer]
        lib.uc_context_save.argtypes = lib.uc_context_restore.argtypes = [pointer, pointer]
        lib.uc_context_alloc.argtypes = [pointer, pointer]
        lib.uc_context_free.argtypes = lib.uc_close.argtypes = lib.uc_emu_stop.argtypes = [pointer]
        lib.uc_context_size.argtypes = [pointer]
        # Both take further arguments: their types tell ctypes where the variable part begins (it matters on arm64).
        lib.uc_hook_add.argtypes = [pointer, pointer, ctypes.c_int, pointer, pointer, u64, u64]
        lib.uc_ctl.argtypes = [pointer, ctypes.c_int]
        lib.uc_context_size.restype = ctypes.c_size_t
        self._start, self._stop = lib.uc_emu_start, lib.uc_emu_stop
        self._read, self._write = lib.uc_reg_read_batch, lib.uc_reg_write_batch
        self._save, self._restore = lib.uc_context_save, lib.uc_context_restore
        self._context_size = lib.uc_context_size(self._uc)

    def _buffers(self) -> None:
        """Preallocated register arrays: the trap frame with rcx and r11, and rip with cr2."""
        count = len(_FRAME_REGS)
        self._regs = (ctypes.c_uint64 * count)()
        base = ctypes.addressof(self._regs)
        self._reg_ids = (ctypes.c_int * count)(*_FRAME_REGS)
        self._reg_pointers = (ctypes.c_void_p * count)(*(base + 8 * i for i in range(count)))
        self._ids_at, self._pointers_at = ctypes.addressof(self._reg_ids), ctypes.addressof(self._reg_pointers)
        self._result_ids = (ctypes.c_int * 3)(_REG["rax"], _REG["rcx"], _REG["r11"])
        self._result_values = (ctypes.c_uint64 * 3)()
        result = ctypes.addressof(self._result_values)
        self._result_pointers = (ctypes.c_void_p * 3)(result, result + 8, result + 16)
        self._result_ids_at = ctypes.addressof(self._result_ids)
        self._result_pointers_at = ctypes.addressof(self._result_pointers)
        self._fault_ids = (ctypes.c_int * 2)(_REG["rip"], _REG["cr2"])
        self._fault_values = (ctypes.c_uint64 * 2)()
        fault = ctypes.addressof(self._fault_values)
        self._fault_pointers = (ctypes.c_void_p * 2)(fault, fault + 8)
        self._fault_ids_at = ctypes.addressof(self._fault_ids)
        self._fault_pointers_at = ctypes.addressof(self._fault_pointers)
        self._unpack_frame: Callable[[object], tuple[int, ...]] = struct.Struct("<18Q").unpack_from
        self._pack_frame = struct.Struct("<20Q").pack_into
        self._pack_result = struct.Struct("<3Q").pack_into

    def _alloc_context(self) -> int:
        if self._contexts:
            return self._contexts.pop()
        context = ctypes.c_void_p()
        self._must(self._lib.uc_context_alloc(self._uc, ctypes.byref(context)), "allocate a context")
        assert context.value is not None
        return context.value

    def _only_stop_between_blocks(self) -> None:
        """Turn off the emulator's look for a stop request after each memory access.

        A stop noticed there goes back to the start of the instruction, so one that reads, changes and writes memory
        would be done twice when another thread calls `interrupt`; and the look costs a call for each access. The look
        at the start of each block stays. There is no interface for this switch: it stands behind the size of a saved
        context in the emulator's own structure, and `_boot` proves that it was found.
        """
        size = ctypes.c_uint64.from_address(self._trap_context).value
        structure = ctypes.string_at(self._uc, _STRUCTURE_SEARCHED)
        pattern = struct.pack("<ii", 1, size & 0xFFFF_FFFF)
        at = structure.find(pattern)
        flags = structure[at + 20 : at + 24]
        if at < 0 or structure.find(pattern, at + 1) >= 0 or flags[2:] != b"\0\x01" or max(flags) > 1:
            raise EngineError("libunicorn's switches are not where they are expected: unsupported version")
        ctypes.c_uint8.from_address(self._uc + at + 22).value = 1

    def _prove_whole_instructions(self, at: int) -> None:
        """Ask for a stop in the middle of a block and see that the block is finished first.

        Args:
            at: address of `cpuid; incq (%rdi); jmp .+2`.
        """
        handle = ctypes.c_size_t()
        stop = ctypes.cast(self._lib.uc_emu_stop, ctypes.c_void_p)
        pointer, none, everywhere = ctypes.c_void_p(self._uc), ctypes.c_uint64(1), ctypes.c_uint64(0)
        add = self._lib.uc_hook_add
        insn = ctypes.c_int(_INSN_CPUID)
        self._must(add(pointer, ctypes.byref(handle), _HOOK_INSN, stop, None, none, everywhere, insn), "hook")
        self._set("rdi", at - at % _PAGE + _PAGE)
        self._start(self._uc, at, 0, 0, 0)
        if self._get("rip") != at + 7:
            raise EngineError("libunicorn stops in the middle of instructions: unsupported version")
        self._must(self._lib.uc_hook_del(pointer, handle), "remove a hook")

    def _find_stop_switches(self, store_at: int) -> None:
        """Find out how to stop the emulator from another thread without `uc_emu_stop`.

        That call first marks the emulator as stopping and only then makes it look; a system call executed in between
        is answered by `uc_context_save` alone, since hooks behind it are left out in a stopping emulator, and user code
        would run on without the call having been served. An error number that no error has, set before the emulator
        is made to look, ends a run just as well and leaves the hooks alone. Where these words stand is seen by
        comparing the emulator's structures around a stop.

        Args:
            store_at: address of an instruction that faults.
        """
        until = store_at - store_at % _PAGE + 0xFF8  # an address that is never executed, to be found in the structure
        found: list[tuple[int, int, int]] = []

        def look() -> None:
            exits = ctypes.string_at(self._uc, _STRUCTURE_SEARCHED).find(struct.pack("<Q", until))
            cpu = ctypes.c_uint64.from_address(self._uc + _CPU_POINTER_AT).value
            env, countdown = struct.unpack("<QQ", ctypes.string_at(cpu + _ENV_POINTER_AT, 16))
            if exits < 0 or not 0 < env - countdown < 256 or not cpu < countdown < cpu + (1 << 20):
                return
            switches = (ctypes.c_uint8.from_address(cpu + _EXIT_REQUEST_AT), ctypes.c_uint16.from_address(countdown + 2))
            before = [switch.value for switch in switches]
            self._stop(self._uc)
            if before == [0, 0] and [switch.value for switch in switches] == [1, 0xFFFF]:
                found.append((self._uc + exits - 8, cpu + _EXIT_REQUEST_AT, countdown + 2))

        self._during_fault = look
        self._start(self._uc, store_at, until, 0, 0)
        self._during_fault = None
        if not found:
            raise EngineError("libunicorn cannot be interrupted: unsupported version")
        error, exit_request, countdown = found[0]
        self._error_switch = ctypes.c_int32.from_address(error)
        self._exit_switch = ctypes.c_uint8.from_address(exit_request)
        self._countdown_switch = ctypes.c_uint16.from_address(countdown)

    def _prove_interrupt(self, at: int) -> None:
        """Interrupt an endless loop from another thread.

        Args:
            at: address of `jmp .`.
        """
        import _thread
        from time import sleep

        ended = False

        def interrupt() -> None:
            while not ended:
                self.interrupt()
                sleep(0.0002)

        _thread.start_new_thread(interrupt, ())
        error = self._start(self._uc, at, 0, 0, 0)
        ended = True
        if error != _INTERRUPTED or self._get("rip") != at:
            raise EngineError("libunicorn cannot be interrupted: unsupported version")

    def _hooks(self) -> None:
        """Stop at `syscall` without Python; note the vector of everything else in a callback."""
        lib, uc = self._lib, self._uc
        u64 = ctypes.c_uint64
        self._hook_handles = [ctypes.c_size_t() for _ in range(3)]
        none, everywhere = u64(1), u64(0)
        stop = ctypes.cast(lib.uc_emu_stop, ctypes.c_void_p)
        save = ctypes.cast(lib.uc_context_save, ctypes.c_void_p)
        self._pending_vector = -1
        self._during_fault: Callable[[], object] | None = None
        stop_now = self._stop

        def interrupted(_uc: int, vector: int, _data: int) -> None:
            self._pending_vector = vector
            if self._during_fault is not None:
                self._during_fault()
            stop_now(uc)

        self._interrupt_callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)(interrupted)
        callback = ctypes.cast(self._interrupt_callback, ctypes.c_void_p)
        add = lib.uc_hook_add
        handles = self._hook_handles
        trap = ctypes.c_void_p(self._trap_context)
        pointer = ctypes.c_void_p(uc)
        instruction = ctypes.c_int(_INSN_SYSCALL)
        self._must(add(pointer, ctypes.byref(handles[0]), _HOOK_INSN, save, trap, none, everywhere, instruction), "hook")
        self._must(add(pointer, ctypes.byref(handles[1]), _HOOK_INSN, stop, None, none, everywhere, instruction), "hook")
        self._must(add(pointer, ctypes.byref(handles[2]), _HOOK_INTR, callback, None, none, everywhere), "hook")

    def _boot(self) -> None:
        """Enter long mode and ring 3, and learn where a context keeps what the interface does not offer.

        Segment registers cannot be loaded from outside in 64-bit mode, so ring 3 is entered the way a kernel does it:
        by executing `sysret` once.
        """
        words = self._ram.words
        for index, descriptor in _GDT.items():
            words[(_GDT_AT >> 3) + index] = descriptor
        boot_page, user_page = 0x10_0000_0000, 0x10_0000_1000
        link = PTE_PRESENT | PTE_WRITABLE | PTE_USER
        self._ram.data[_CODE_AT : _CODE_AT + 3] = b"\x48\x0f\x07"  # sysretq
        user_code = b"\x0f\x05" + b"\x48\x89\x07" + b"\x48\x8b\x06"  # syscall; mov [rdi],rax; mov rax,[rsi]
        self._ram.data[_CODE_AT + 0x800 : _CODE_AT + 0x800 + len(user_code)] = user_code
        self._ram.data[_CODE_AT + 0x820 : _CODE_AT + 0x822] = b"\xeb\xfe"  # jmp .
        proof = b"\x0f\xa2" + b"\x48\xff\x07" + b"\xeb\x00" + b"\x0f\x05"  # cpuid; incq (%rdi); jmp .+2; syscall
        self._ram.data[_CODE_AT + 0x810 : _CODE_AT + 0x810 + len(proof)] = proof
        top, upper, directory, table = (_BOOT_TABLES + _PAGE * i for i in range(4))
        words[(top >> 3) + (boot_page >> 39)] = upper | link
        words[(upper >> 3) + ((boot_page >> 30) & 511)] = directory | link
        words[directory >> 3] = table | link
        words[table >> 3] = _CODE_AT | PTE_PRESENT
        words[(table >> 3) + 1] = _CODE_AT | PTE_PRESENT | PTE_USER
        words[(table >> 3) + 2] = (_BOOT_TABLES + 4 * _PAGE) | link
        self._identity_tables()
        gdtr = _Mmr(0, _GDT_AT, 0xFF, 0)
        self._must(self._lib.uc_reg_write(self._uc, _REG["gdtr"], ctypes.byref(gdtr)), "load the GDT")
        for rid, value in ((_MSR_EFER, _EFER), (_MSR_STAR, _STAR)):
            msr = _Msr(rid, value)
            self._must(self._lib.uc_reg_write(self._uc, _REG["msr"], ctypes.byref(msr)), "write an MSR")
        for name, value in (("cr4", _CR4), ("cr3", top), ("cr0", _CR0), ("rcx", user_page + 0x800), ("r11", FLAGS_DEFAULT)):
            self._set(name, value)
        self._start(self._uc, boot_page, 0, 0, 0)
        if self._get("rip") != user_page + 0x802:
            raise EngineError("libunicorn does not enter ring 3: unsupported version")
        self._prove_whole_instructions(user_page + 0x810)
        self._find_offsets(user_page + 0x802)
        self._find_stop_switches(user_page + 0x802)
        self._snapshot()
        self._repair(self._scratch)
        self._prove_interrupt(user_page + 0x820)
        for name in ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{i}" for i in range(8, 16)), "cr2"):
            self._set(name, 0)
        self._set("mxcsr", 0x1F80)
        self._set("fpcw", 0x37F)
        self._set("fptag", 0xFFFF)

    def _identity_tables(self) -> None:
        """2 MiB user pages that map guest-physical memory one to one: the address space in which to forget code."""
        words = self._ram.words
        link = PTE_PRESENT | PTE_WRITABLE | PTE_USER
        top, upper, directory = _IDENTITY_TABLES, _IDENTITY_TABLES + _PAGE, _IDENTITY_TABLES + 2 * _PAGE
        words[top >> 3] = upper | link
        gigabytes = -(-self._ram.size >> 30) if self._ram.size >> 30 else 1
        if gigabytes > self.reserved_frames - (directory >> 12):
            raise EngineError("guest memory is limited to 6 GiB")
        for gigabyte in range(gigabytes):
            words[(upper >> 3) + gigabyte] = (directory + gigabyte * _PAGE) | link
            for index in range(512):
                address = (gigabyte << 30) + (index << 21)
                words[((directory + gigabyte * _PAGE) >> 3) + index] = address | link | 0x80

    def _find_offsets(self, store_at: int) -> None:
        """Compare contexts around deliberate faults: the exception word and the error code stand where these show."""
        self._set("rdi", 0x1234_5000)
        self._set("rsi", 0x1234_6000)
        before = self._snapshot()
        self._pending_vector = -1
        self._start(self._uc, store_at, 0, 0, 0)
        after = self._snapshot()
        words = range(40, self._context_size - 3, 4)
        at = struct.Struct("<i").unpack_from
        exceptions = [o for o in words if at(before, o)[0] == -1 and at(after, o)[0] == VECTOR_PAGE_FAULT]
        codes = {o for o in words if at(after, o)[0] == 6 and at(before, o)[0] != 6}
        if self._pending_vector != VECTOR_PAGE_FAULT or len(exceptions) != 1:
            raise EngineError("libunicorn's exception state is not where it is expected: unsupported version")
        self._exception_at = exceptions[0]
        self._repair(self._scratch)
        self._start(self._uc, store_at + 3, 0, 0, 0)
        after = self._snapshot()
        codes = {o for o in codes if at(after, o)[0] == 4}
        if len(codes) != 1:
            raise EngineError("libunicorn's error code is not where it is expected: unsupported version")
        self._code_at = codes.pop()
        self._repair(self._scratch)
        self._pending_vector = -1
        trap = ctypes.string_at(self._trap_context, self._context_size)
        never_zero = struct.pack("<Q", _CR0)
        self._trap_mark = (ctypes.c_uint64).from_address(self._trap_context + trap.index(never_zero, 40))
        self._trap_mark.value = 0

    def _snapshot(self) -> bytes:
        self._save(self._uc, self._scratch)
        return ctypes.string_at(self._scratch, self._context_size)

    def _repair(self, context: int) -> None:
        """Clear the emulator's word for an exception in flight, or the next fault would be a double fault."""
        ctypes.c_int32.from_address(context + self._exception_at).value = -1
        self._restore(self._uc, context)

    def _must(self, error: int, what: str) -> None:
        if error:
            raise EngineError(f"libunicorn cannot {what}: error {error}")

    def _set(self, name: str, value: int) -> None:
        word = ctypes.c_uint64(value)
        self._must(self._lib.uc_reg_write(self._uc, _REG[name], ctypes.byref(word)), f"write {name}")

    def _get(self, name: str) -> int:
        word = ctypes.c_uint64()
        self._must(self._lib.uc_reg_read(self._uc, _REG[name], ctypes.byref(word)), f"read {name}")
        return word.value

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
        copy.frame, copy.next_frame, copy.pc, copy.exact = state.frame, state.next_frame, state.pc, state.exact
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
        self._read(uc, self._fault_ids_at, self._fault_pointers_at, 2)
        state.pc = self._fault_values[0]
        if vector < 0:
            if error in (0, _INTERRUPTED):
                self._save(uc, self._scratch)
                if ctypes.c_int32.from_address(self._scratch + self._exception_at).value != -1:
                    self._repair(self._scratch)  # stopped between raising a fault and telling of it
                return INTERRUPT
            self.vector = VECTOR_INVALID_OPCODE
            self.fault_code = 0
            return EXCEPTION
        self._save(uc, self._scratch)
        self.fault_code = ctypes.c_uint32.from_address(self._scratch + self._code_at).value
        self._repair(self._scratch)
        if vector == VECTOR_PAGE_FAULT:
            self.fault_vaddr, self.fault_ip = self._fault_values[1], state.pc
            return PAGE_FAULT
        self.vector = vector
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
        return FullRegs(frame, self._get("rcx"), self._get("r11"), self._fxsave())

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
            regs = [(_REG["fpcw"], 512), (_REG["fpsw"], 520), (_REG["fptag"], 528), (_REG["mxcsr"], 536)]
            regs += [(_REG["st0"] + i, 32 + 16 * i) for i in range(8)]
            regs += [(_REG["xmm0"] + i, 160 + 16 * i) for i in range(16)]
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
        image[0:416] = fxsave[:416]
        struct.pack_into("<H6xH6xH6xI", image, 512, control, status, tags, mxcsr & _MXCSR_MASK)
        self._write(self._uc, ids, pointers, count)

    def interrupt(self) -> None:
        """Make a running `run` return soon; callable from any thread. See `_find_stop_switches`."""
        self._error_switch.value = _INTERRUPTED
        self._exit_switch.value = 1
        self._countdown_switch.value = 0xFFFF

    def flush(self, frames: Iterable[int]) -> None:
        """Forget translations of code in these frames."""
        if self._uc is None:
            return
        self._set("cr3", _IDENTITY_TABLES)
        self._root = -1
        control = self._lib.uc_ctl
        for frame in frames:
            address = frame << 12
            control(ctypes.c_void_p(self._uc), ctypes.c_int(_CTL_REMOVE_CACHE), ctypes.c_uint64(address), ctypes.c_uint64(address + _PAGE))

    def close(self) -> None:
        """Close the emulator."""
        if self._uc is not None:
            self._lib.uc_close(self._uc)
            self._uc = None


def bare_cycle_us(cycles: int = 20000) -> float:
    """Microseconds of one stop-and-start cycle of the emulator alone: start, stop at `syscall`, read and write the trap frame."""
    from time import perf_counter

    from linuxemu.cpu.memory import HostRam

    ram = HostRam(16 << 20)
    cpu = UnicornCpu(ram)
    words, page = ram.words, 0x20_0000
    link = PTE_PRESENT | PTE_WRITABLE | PTE_USER
    ram.data[page + 4 * _PAGE : page + 4 * _PAGE + 4] = b"\x0f\x05\xeb\xfc"  # syscall; jmp back
    for level in range(3):
        words[(page + level * _PAGE) >> 3] = (page + (level + 1) * _PAGE) | link
    words[(page + 3 * _PAGE) >> 3] = (page + 4 * _PAGE) | PTE_PRESENT | PTE_USER
    start, read, write, pack, unpack = cpu._start, cpu._read, cpu._write, cpu._pack_frame, cpu._unpack_frame
    uc, ids, pointers, regs = cpu._uc, cpu._ids_at, cpu._pointers_at, cpu._regs
    cpu._set("cr3", page)
    start(uc, 0, 0, 0, 0)
    pc = cpu._get("rip")
    best = None
    for _ in range(5):
        begin = perf_counter()
        for _ in range(cycles // 5):
            start(uc, pc, 0, 0, 0)
            read(uc, ids, pointers, 18)
            frame = TrapFrame._make(unpack(regs))
            pack(regs, 0, *frame, frame[2], frame[3])
            write(uc, ids, pointers, 20)
        spent = (perf_counter() - begin) / (cycles // 5)
        best = spent if best is None else min(best, spent)
    cpu.close()
    ram.close()
    assert best is not None
    return best * 1e6


