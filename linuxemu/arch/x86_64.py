"""The x86-64 guest: page-table format, user registers, FXSAVE image.

Nothing outside this package and the engines spells a page-table bit or a register by number.
"""

from __future__ import annotations

from linuxemu.messages import TrapFrame

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
PAGE_MASK = PAGE_SIZE - 1
TABLE_ENTRIES = 512
USER_END = 0x0000_7FFF_FFFF_F000
"""One past the last address a user mapping may have: the canonical half less its last page, as on Linux."""

# Page-table entry (Intel SDM volume 3A, 4.5). SHARED and HIDDEN are bits that hardware leaves to software.
PTE_PRESENT = 1 << 0
PTE_WRITABLE = 1 << 1
PTE_USER = 1 << 2
PTE_ACCESSED = 1 << 5
PTE_DIRTY = 1 << 6
PTE_SHARED = 1 << 9
"""The mapping stays writable across a clone of the address space."""
PTE_NX = 1 << 63
PTE_ADDRESS = 0x000F_FFFF_FFFF_F000

# Whole-table masks: one bit of each of the 512 entries.
_EVERY = sum(1 << (64 * i) for i in range(TABLE_ENTRIES))
TABLE_WRITABLE = PTE_WRITABLE * _EVERY
TABLE_SHARED = PTE_SHARED * _EVERY
SHARED_TO_WRITABLE_SHIFT = 8

# Page fault error code (and the `fault` word of the page_fault message).
FAULT_PRESENT = 1
FAULT_WRITE = 2
FAULT_USER = 4
FAULT_FETCH = 16

VECTOR_DIVIDE = 0
VECTOR_DEBUG = 1
VECTOR_BREAKPOINT = 3
VECTOR_OVERFLOW = 4
VECTOR_BOUND = 5
VECTOR_INVALID_OPCODE = 6
VECTOR_DOUBLE_FAULT = 8
VECTOR_GENERAL_PROTECTION = 13
VECTOR_PAGE_FAULT = 14
VECTOR_X87 = 16
VECTOR_ALIGNMENT = 17
VECTOR_SIMD = 19

FLAGS_DEFAULT = 0x202
"""Interrupts on and the bit that is always one: rflags of a fresh task."""

ZERO_FRAME = TrapFrame._make((0,) * 18)

USER_CS = 0x33
USER_SS = 0x2B
"""The selectors Linux shows to user space in signal frames (the engines load their own)."""


class FullRegs:
    """Everything a user program can see in its CPU.

    Args:
        frame: the 18 registers of the trap frame.
        rcx: the register that `syscall` overwrites with rip.
        r11: the register that `syscall` overwrites with rflags.
        fxsave: the 512-byte FXSAVE64 image of x87 and SSE state (Intel SDM volume 1, 10.5.1).
    """

    __slots__ = ("frame", "fxsave", "r11", "rcx")

    def __init__(self, frame: TrapFrame, rcx: int, r11: int, fxsave: bytes) -> None:
        self.frame = frame
        self.rcx = rcx
        self.r11 = r11
        self.fxsave = fxsave


def canonical(address: int) -> bool:
    """Whether bits 63 to 47 of an address agree."""
    top = address >> 47
    return top in (0, 0x1FFFF)
