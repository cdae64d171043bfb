"""Just enough x86-64 assembler to make guest programs without a compiler, for tests and for the benchmark.

A program is one read-only segment with code and constants, and one zeroed writable segment.
"""

from __future__ import annotations

import struct

TEXT = 0x40_0000
DATA = 0x60_0000
_HEADERS = 64 + 2 * 56
_PAGE = 4096
_MASK = (1 << 64) - 1

_REGISTERS = {
    name: number
    for number, name in enumerate(
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16))]
    )
}
_ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
_JUMPS = {"jmp": b"\xe9", "jz": b"\x0f\x84", "jnz": b"\x0f\x85", "jle": b"\x0f\x8e"}


class Assembler:
    """Collects instructions; `elf` gives the finished program."""

    def __init__(self) -> None:
        self._code = bytearray()
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []
        self._addresses: list[tuple[int, bytes]] = []

    def label(self, name: str) -> None:
        """Name this place, to jump to."""
        self._labels[name] = len(self._code)

    def jump(self, kind: str, label: str) -> None:
        """Jump always (jmp) or as the last test says (jz, jnz, jle)."""
        self._code += _JUMPS[kind] + bytes(4)
        self._jumps.append((len(self._code), label))

    def set(self, register: str, value: int | str | bytes) -> None:
        """Load a number, another register's value, or the address of constant bytes."""
        number = _REGISTERS[register]
        if isinstance(value, str):
            source = _REGISTERS[value]
            rex = 0x48 | source >> 3 << 2 | number >> 3
            self._code += bytes((rex, 0x89, 0xC0 | (source & 7) << 3 | number & 7))
            return
        if isinstance(value, int) and not 0 <= value < 1 << 32:
            self._code += bytes((0x48 | number >> 3, 0xB8 + (number & 7)))
            self._code += struct.pack("<Q", value & _MASK)
            return
        if number >= 8:
            self._code.append(0x41)
        self._code.append(0xB8 + (number & 7))
        if isinstance(value, bytes):
            self._addresses.append((len(self._code), value))
            value = 0
        self._code += struct.pack("<I", value)

    def load_long(self, register: str, address: int) -> None:
        """Load the 64 bits at a fixed address."""
        number = _REGISTERS[register]
        self._code += bytes((0x48 | number >> 3 << 2, 0x8B, 0x04 | (number & 7) << 3, 0x25))
        self._code += struct.pack("<I", address)

    def store_long(self, address: int) -> None:
        """Store rax at a fixed address."""
        self._code += b"\x48\x89\x04\x25" + struct.pack("<I", address)

    def raw(self, code: bytes) -> None:
        """Instructions that stand already."""
        self._code += code

    def load(self, register: str, address: int) -> None:
        """Load the 32 bits at a fixed address."""
        number = _REGISTERS[register]
        if number >= 8:
            self._code.append(0x44)
        self._code += bytes((0x8B, 0x04 | (number & 7) << 3, 0x25)) + struct.pack("<I", address)

    def store_address(self, address: int, constant: bytes) -> None:
        """Store the address of constant bytes as 64 bits at a fixed address."""
        self.set("rax", constant)
        self.store_long(address)

    def address_above_stack(self, register: str, offset: int) -> None:
        """Load rsp + offset."""
        number = _REGISTERS[register]
        rex = 0x48 | number >> 3 << 2
        self._code += bytes((rex, 0x8D, 0x84 | (number & 7) << 3, 0x24)) + struct.pack("<i", offset)

    def load_above_stack(self, register: str, offset: int) -> None:
        """Load the 64 bits at rsp + offset."""
        number = _REGISTERS[register]
        rex = 0x48 | number >> 3 << 2
        self._code += bytes((rex, 0x8B, 0x84 | (number & 7) << 3, 0x24)) + struct.pack("<i", offset)

    def touch(self, register: str) -> None:
        """Store a byte where a register points (not rsp, rbp, r12 or r13)."""
        number = _REGISTERS[register]
        if number >= 8:
            self._code.append(0x41)
        self._code += bytes((0xC6, number & 7, 1))

    def add(self, register: str, value: int) -> None:
        """Add a number; the result's sign and zero can be tested by a jump."""
        number = _REGISTERS[register]
        self._code += bytes((0x48 | number >> 3, 0x81, 0xC0 | number & 7)) + struct.pack("<i", value)

    def test(self, register: str) -> None:
        """Test a 32-bit value against zero."""
        number = _REGISTERS[register]
        if number >= 8:
            self._code.append(0x45)
        self._code += bytes((0x85, 0xC0 | (number & 7) << 3 | number & 7))

    def call(self, number: int, *arguments: int | str | bytes) -> None:
        """Make a system call."""
        for register, value in zip(_ARGUMENTS, arguments, strict=False):
            if value != register:
                self.set(register, value)
        self.set("rax", number)
        self._code += b"\x0f\x05"

    def elf(self, data_size: int = 1 << 20) -> bytes:
        """The finished static program.

        Args:
            data_size: bytes of the writable segment at DATA.
        """
        code = bytearray(self._code)
        for end, label in self._jumps:
            struct.pack_into("<i", code, end - 4, self._labels[label] - end)
        constants = bytearray()
        start = TEXT + _HEADERS + len(code)
        for position, value in self._addresses:
            struct.pack_into("<I", code, position, start + len(constants))
            constants += value + b"\0"
        size = _HEADERS + len(code) + len(constants)
        header = struct.pack(
            "<16sHHIQQQIHHHHHH",
            b"\x7fELF\x02\x01\x01", 2, 62, 1, TEXT + _HEADERS, 64, 0, 0, 64, 56, 2, 0, 0, 0,
        )  # fmt: skip
        text = struct.pack("<IIQQQQQQ", 1, 5, 0, TEXT, TEXT, size, size, _PAGE)
        data = struct.pack("<IIQQQQQQ", 1, 6, 0, DATA, DATA, 0, data_size, _PAGE)
        return header + text + data + code + constants
