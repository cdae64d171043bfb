"""libunicorn behind its C interface: starting it, stopping it, and entering user mode in it.

Some of what an engine needs has no interface: segment registers in 64-bit mode, the state of an exception in flight,
and a way to stop that neither tears instructions apart nor loses system calls. This module finds what it needs in the
emulator's own structures and proves each of it at start-up, so that a library that differs is refused and never
misused.
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
    VECTOR_GENERAL_PROTECTION,
    VECTOR_PAGE_FAULT,
)
from linuxemu.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.cpu.memory import HostRam

_ARCH_X86, _MODE_64 = 4, 8
_HOOK_INTR, _HOOK_INSN = 1, 2
_INSN_SYSCALL, _INSN_SYSENTER, _INSN_CPUID, _INSN_IN, _INSN_OUT = 699, 700, 113, 218, 500

# Register numbers of libunicorn's x86 interface.
REG = {
    "eflags": 25, "rax": 35, "rbp": 36, "rbx": 37, "rcx": 38, "rdi": 39, "rdx": 40, "rip": 41, "rsi": 43, "rsp": 44,
    "cr0": 50, "cr2": 52, "cr3": 53, "cr4": 54, "r8": 106, "r9": 107, "r10": 108, "r11": 109, "r12": 110, "r13": 111,
    "r14": 112, "r15": 113, "xmm0": 122, "st0": 114, "fpsw": 31, "fpcw": 246, "fptag": 247, "gdtr": 243, "msr": 248,
    "mxcsr": 249, "fsbase": 250, "gsbase": 251,
}  # fmt: skip
_MSR_EFER, _MSR_STAR = 0xC000_0080, 0xC000_0081
_EFER = 0xD01  # system calls, long mode enabled and active, no-execute
_CR0, _CR4 = 0x8005_0033, 0x6A0
_STAR = 0x1B << 48 | 0x08 << 32  # sysret loads cs 0x2b and ss 0x23
_NO_GDT = 0xFFFF_8000_0000_0000
_GDT = {1: 0x00AF9B000000FFFF, 2: 0x00CF93000000FFFF, 4: 0x00CFF3000000FFFF, 5: 0x00AFFB000000FFFF}

# The first frames of guest-physical memory belong to the engine.
_GDT_AT, _CODE_AT, _BOOT_TABLES, IDENTITY_TABLES = 0x1000, 0x2000, 0x3000, 0x8000
PAGE = 4096
# Where the emulator's own structures keep what `interrupt` needs (libunicorn 2.1.4, LP64); proven at start-up.
_STRUCTURE_SEARCHED = 4096
_CPU_POINTER_AT, _ENV_POINTER_AT, _EXIT_REQUEST_AT = 440, 0x128, 0x15
INTERRUPTED = 99
"""What `uc_emu_start` returns after `interrupt`: the number of no error."""


class _Mmr(ctypes.Structure):
    _fields_ = [
        ("selector", ctypes.c_uint16), ("base", ctypes.c_uint64), ("limit", ctypes.c_uint32), ("flags", ctypes.c_uint32)
    ]  # fmt: skip


class _Msr(ctypes.Structure):
    _fields_ = [("rid", ctypes.c_uint32), ("value", ctypes.c_uint64)]


def load_library() -> ctypes.CDLL:
    """libunicorn out of the installed `unicorn` package, without importing the package (that costs 60 ms).

    Raises:
        EngineError: the package or its library is missing.
    """
    spec = PathFinder.find_spec("unicorn")
    places = list(spec.submodule_search_locations or ()) if spec else []
    names = {"win32": ("unicorn.dll",), "darwin": ("libunicorn.2.dylib",)}.get(
        sys.platform, ("libunicorn.so.2",)
    )
    for place in places:
        for name in names:
            path = os.path.join(place, "lib", name)
            if os.path.exists(path):
                return ctypes.CDLL(path)
    raise EngineError(
        "the unicorn engine needs the package 'unicorn' 2.1.4 or newer: pip install 'unicorn>=2.1.4'"
    )


class Emulator:
    """An x86-64 emulator in ring 3, with hooks that make it stop.

    Args:
        ram: guest-physical memory; `reserved_frames` of it at the start belong to the engine.
    """

    reserved_frames = 16

    def __init__(self, ram: HostRam) -> None:
        self._lib = lib = load_library()
        handle = ctypes.c_void_p()
        if lib.uc_open(_ARCH_X86, _MODE_64, ctypes.byref(handle)) or handle.value is None:
            raise EngineError("libunicorn refuses to start an x86-64 machine")
        self._uc: int = handle.value
        self._closed = False
        self._ram = ram
        self._prototypes()
        self._must(lib.uc_mem_map_ptr(self._uc, 0, ram.size, 7, ram.address), "map guest memory")
        self._contexts: list[int] = []
        self._trap_context = self._alloc_context()
        self._scratch = self._alloc_context()
        self._port_context = self._alloc_context()
        self._port_touched = False
        self._keep: list[object] = []
        """Callbacks that the emulator refers to."""
        self._pending_vector = -1
        self._during_fault: Callable[[], object] | None = None
        self._only_stop_between_blocks()
        self._hooks()
        self._boot()

    def _prototypes(self) -> None:
        lib, pointer, u64 = self._lib, ctypes.c_void_p, ctypes.c_uint64
        lib.uc_mem_map_ptr.argtypes = [pointer, u64, ctypes.c_size_t, ctypes.c_uint32, pointer]
        lib.uc_emu_start.argtypes = [pointer, u64, u64, u64, ctypes.c_size_t]
        lib.uc_reg_read_batch.argtypes = lib.uc_reg_write_batch.argtypes = [
            pointer,
            pointer,
            pointer,
            ctypes.c_int,
        ]
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

    def _prove_interrupt(self, at: int) -> None:
        """Interrupt the emulator in the middle of a block, and see that it finishes the block and says so.

        Args:
            at: address of `cpuid; incq (%rdi); jmp .+2`.
        """
        handle = ctypes.c_size_t()
        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(self._interrupt_once)
        code = ctypes.cast(callback, ctypes.c_void_p)
        insn = ctypes.c_int(_INSN_CPUID)
        self._must(
            self._lib.uc_hook_add(self._uc, ctypes.byref(handle), _HOOK_INSN, code, None, 1, 0, insn),
            "add a hook",
        )
        self._set("rdi", at - at % PAGE + PAGE)
        error = self._start(self._uc, at, 0, 0, 0)
        if error != INTERRUPTED or self._get("rip") != at + 7:
            raise EngineError("libunicorn stops in the middle of instructions: unsupported version")
        self._must(self._lib.uc_hook_del(ctypes.c_void_p(self._uc), handle), "remove a hook")

    def _interrupt_once(self, _uc: int, _data: int) -> int:
        self.interrupt()
        return 0

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
        until = (
            store_at - store_at % PAGE + 0xFF8
        )  # an address that is never executed, to be found in the structure
        found: list[tuple[int, int, int]] = []

        def look() -> None:
            exits = ctypes.string_at(self._uc, _STRUCTURE_SEARCHED).find(struct.pack("<Q", until))
            cpu = ctypes.c_uint64.from_address(self._uc + _CPU_POINTER_AT).value
            env, countdown = struct.unpack("<QQ", ctypes.string_at(cpu + _ENV_POINTER_AT, 16))
            if exits < 0 or not 0 < env - countdown < 256 or not cpu < countdown < cpu + (1 << 20):
                return
            switches = (
                ctypes.c_uint8.from_address(cpu + _EXIT_REQUEST_AT),
                ctypes.c_uint16.from_address(countdown + 2),
            )
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

    def _hook(self, kind: int, function: object, data: int | None = None, *instruction: int) -> None:
        """Have a C function called at every event of a kind, everywhere."""
        handle = ctypes.c_size_t()
        self._keep.append(function)
        code = ctypes.cast(function, ctypes.c_void_p)  # type: ignore[arg-type]
        extra = [ctypes.c_int(number) for number in instruction]
        error = self._lib.uc_hook_add(self._uc, ctypes.byref(handle), kind, code, data, 1, 0, *extra)
        self._must(error, "add a hook")

    def _hooks(self) -> None:
        """Stop at `syscall` without Python; note the vector of everything else in callbacks."""
        pointer, u32 = ctypes.c_void_p, ctypes.c_uint32
        uc, stop_now, save = self._uc, self._stop, self._save
        port_context = self._port_context

        def interrupted(_uc: int, vector: int, _data: int) -> None:
            if self._port_touched:
                return
            self._pending_vector = vector
            if self._during_fault is not None:
                self._during_fault()
            stop_now(uc)

        def port(*_arguments: int) -> int:
            # User mode may not do this, but the emulator never asks: keep the registers of this moment.
            if not self._port_touched:
                save(uc, port_context)
                self._port_touched = True
                self._pending_vector = VECTOR_GENERAL_PROTECTION
                stop_now(uc)
            return 0

        self._hook(_HOOK_INSN, self._lib.uc_context_save, self._trap_context, _INSN_SYSCALL)
        self._hook(_HOOK_INSN, self._lib.uc_emu_stop, None, _INSN_SYSCALL)
        self._hook(_HOOK_INTR, ctypes.CFUNCTYPE(None, pointer, u32, pointer)(interrupted))
        self._hook(_HOOK_INSN, ctypes.CFUNCTYPE(u32, pointer, u32, u32, pointer)(port), None, _INSN_IN)
        self._hook(_HOOK_INSN, ctypes.CFUNCTYPE(u32, pointer, u32, u32, u32, pointer)(port), None, _INSN_OUT)
        self._hook(_HOOK_INSN, ctypes.CFUNCTYPE(None, pointer, pointer)(port), None, _INSN_SYSENTER)

    def _boot(self) -> None:
        """Enter long mode and ring 3, and learn where a context keeps what the interface does not offer.

        Segment registers cannot be loaded from outside in 64-bit mode, so ring 3 is entered the way a kernel does it:
        by executing `sysret` once.
        """
        top, boot_page, user_page = self._boot_memory()
        self._identity_tables()
        gdtr = _Mmr(0, _GDT_AT, 0xFF, 0)
        self._must(self._lib.uc_reg_write(self._uc, REG["gdtr"], ctypes.byref(gdtr)), "load the GDT")
        for rid, value in ((_MSR_EFER, _EFER), (_MSR_STAR, _STAR)):
            msr = _Msr(rid, value)
            self._must(self._lib.uc_reg_write(self._uc, REG["msr"], ctypes.byref(msr)), "write an MSR")
        for name, value in (
            ("cr4", _CR4),
            ("cr3", top),
            ("cr0", _CR0),
            ("rcx", user_page + 0x800),
            ("r11", FLAGS_DEFAULT),
        ):
            self._set(name, value)
        self._start(self._uc, boot_page, 0, 0, 0)
        if self._get("rip") != user_page + 0x802:
            raise EngineError("libunicorn does not enter ring 3: unsupported version")
        self._explore(user_page)
        for name in (
            "rax",
            "rcx",
            "rdx",
            "rbx",
            "rsp",
            "rbp",
            "rsi",
            "rdi",
            *(f"r{i}" for i in range(8, 16)),
            "cr2",
        ):
            self._set(name, 0)
        # From now on no descriptor can be read, so that user code cannot show the CPU some of its own making.
        gdtr = _Mmr(0, _NO_GDT, 0xFF, 0)
        self._must(self._lib.uc_reg_write(self._uc, REG["gdtr"], ctypes.byref(gdtr)), "hide the GDT")
        self._set("rip", 0)
        self._set("mxcsr", 0x1F80)
        self._set("fpcw", 0x37F)
        self._set("fptag", 0xFFFF)

    def _explore(self, user_page: int) -> None:
        """Find and prove what has no interface, with the code that `_boot_memory` wrote."""
        self._find_offsets(user_page + 0x802)
        self._find_stop_switches(user_page + 0x802)
        self._snapshot()
        self._repair(self._scratch)
        self._pending_vector = -1
        self._prove_interrupt(user_page + 0x810)

    def _boot_memory(self) -> tuple[int, int, int]:
        """Write descriptors, boot code and its page tables; returns the top table and the two code addresses."""
        words = self._ram.words
        for index, descriptor in _GDT.items():
            words[(_GDT_AT >> 3) + index] = descriptor
        boot_page, user_page = 0x10_0000_0000, 0x10_0000_1000
        link = PTE_PRESENT | PTE_WRITABLE | PTE_USER
        self._ram.data[_CODE_AT : _CODE_AT + 3] = b"\x48\x0f\x07"  # sysretq
        user_code = b"\x0f\x05" + b"\x48\x89\x07" + b"\x48\x8b\x06"  # syscall; mov [rdi],rax; mov rax,[rsi]
        self._ram.data[_CODE_AT + 0x800 : _CODE_AT + 0x800 + len(user_code)] = user_code
        proof = (
            b"\x0f\xa2" + b"\x48\xff\x07" + b"\xeb\x00" + b"\x0f\x05"
        )  # cpuid; incq (%rdi); jmp .+2; syscall
        self._ram.data[_CODE_AT + 0x810 : _CODE_AT + 0x810 + len(proof)] = proof
        top, upper, directory, table = (_BOOT_TABLES + PAGE * i for i in range(4))
        words[(top >> 3) + (boot_page >> 39)] = upper | link
        words[(upper >> 3) + ((boot_page >> 30) & 511)] = directory | link
        words[directory >> 3] = table | link
        words[table >> 3] = _CODE_AT | PTE_PRESENT
        words[(table >> 3) + 1] = _CODE_AT | PTE_PRESENT | PTE_USER
        words[(table >> 3) + 2] = (_BOOT_TABLES + 4 * PAGE) | link
        return top, boot_page, user_page

    def _identity_tables(self) -> None:
        """2 MiB user pages that map guest-physical memory one to one: the address space in which to forget code."""
        words = self._ram.words
        link = PTE_PRESENT | PTE_WRITABLE | PTE_USER
        top, upper, directory = IDENTITY_TABLES, IDENTITY_TABLES + PAGE, IDENTITY_TABLES + 2 * PAGE
        words[top >> 3] = upper | link
        gigabytes = -(-self._ram.size >> 30) if self._ram.size >> 30 else 1
        if gigabytes > self.reserved_frames - (directory >> 12):
            raise EngineError("guest memory is limited to 6 GiB")
        for gigabyte in range(gigabytes):
            words[(upper >> 3) + gigabyte] = (directory + gigabyte * PAGE) | link
            for index in range(512):
                address = (gigabyte << 30) + (index << 21)
                words[((directory + gigabyte * PAGE) >> 3) + index] = address | link | 0x80

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
        self._must(self._lib.uc_reg_write(self._uc, REG[name], ctypes.byref(word)), f"write {name}")

    def _get(self, name: str) -> int:
        word = ctypes.c_uint64()
        self._must(self._lib.uc_reg_read(self._uc, REG[name], ctypes.byref(word)), f"read {name}")
        value: int = word.value
        return value

    def interrupt(self) -> None:
        """Make a running `run` return soon; callable from any thread. See `_find_stop_switches`."""
        self._error_switch.value = INTERRUPTED
        self._exit_switch.value = 1
        self._countdown_switch.value = 0xFFFF

    def close(self) -> None:
        """Close the emulator."""
        if not self._closed:
            self._closed = True
            self._lib.uc_close(self._uc)
