"""A few x86-64 instructions as bytes, for tests that run real code without an assembler."""

from __future__ import annotations

_NUMBERS = {
    "rax": 0, "rcx": 1, "rdx": 2, "rbx": 3, "rsp": 4, "rbp": 5, "rsi": 6, "rdi": 7,
    **{f"r{i}": i for i in range(8, 16)},
}  # fmt: skip
SYSCALL = b"\x0f\x05"
UD2 = b"\x0f\x0b"
HLT = b"\xf4"
INT3 = b"\xcc"
NOP = b"\x90"
LOOP = b"\xeb\xfe"  # jmp to itself
RET = b"\xc3"
JUMP_RAX = b"\xff\xe0"
CALL_RAX = b"\xff\xd0"
STORE_RAX_AT_RDI = b"\x48\x89\x07"
LOAD_RAX_AT_RSI = b"\x48\x8b\x06"
INC_RAX = b"\x48\xff\xc0"
REP_MOVSB = b"\xf3\xa4"
DIV_RCX = b"\x48\xf7\xf1"


def mov(register: str, value: int) -> bytes:
    """movabs $value, %register"""
    number = _NUMBERS[register]
    return bytes([0x48 | number >> 3, 0xB8 | number & 7]) + (value & (1 << 64) - 1).to_bytes(8, "little")


def native(number: int, *args: int) -> bytes:
    """A system call of the microkernel."""
    code = mov("rdi", number)
    for register, value in zip(("rsi", "rdx", "r10", "r8", "r9"), args, strict=False):
        code += mov(register, value)
    return code + SYSCALL


def linux(number: int, *args: int) -> bytes:
    """A system call of Linux."""
    code = mov("rax", number)
    for register, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), args, strict=False):
        code += mov(register, value)
    return code + SYSCALL


def save_rax(address: int) -> bytes:
    """Store rax at an address; uses rdi."""
    return mov("rdi", address) + STORE_RAX_AT_RDI
