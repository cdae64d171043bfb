"""Scripts as `interpreter.c` reads them: what each byte of a batch means is said there."""

from __future__ import annotations

import importlib
import pkgutil
import re
import struct
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import syscalls.handlers
from syscalls.abi import structs
from syscalls.abi.layout import Struct
from syscalls.abi.numbers import X86_64
from syscalls.registry import TABLE
from syscalls.types import IN, Arg
from tools.differ.script import (
    FUNCTIONS,
    Buffer,
    Call,
    Fork,
    Go,
    Group,
    Load,
    Number,
    Pass,
    Ref,
    ScriptError,
    Space,
    Text,
    Word,
    constant,
    line,
    statements,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syscalls.registry import Syscall
    from tools.differ.script import Expression, Script, Statement

# As in interpreter.c.
DATA, DATA_SIZE = 0x1_0000_0000, 0x10000
_CALL, _FORK, _PASS, _GO, _FILL, _STORE, _SET_BIT, _PEEK, _POKE, _END = range(1, 11)
_CONSTANT, _RESULT, _LOADED, _HANDLER, _RESTORER = range(5)
_SLOTS, _UNUSED = 255, 255

UNTOUCHED = 0xA5
"""What fresh memory is filled with."""
_EDGES = 4096
_RECORDED = 1024
_PLAIN = Arg(None, "uint")
_PROBES = ("peek", "poke")
_OFFSETS = ("offset_at", "offset_changed", "stored_time")
_SIZES = {"q": 8, "Q": 8, "i": 4, "I": 4, "h": 2, "H": 2, "b": 1, "B": 1}


class Record(NamedTuple):
    """Memory that is looked at after a call.

    Args:
        name: of the argument, or of the buffer.
        arg: what the declaration says of it.
        size: bytes.
    """

    name: str
    arg: Arg
    size: int


class Compiled(NamedTuple):
    """A script ready to run.

    Args:
        code: for the interpreter.
        records: by the number of a statement what its log has, in order.
    """

    code: bytes
    records: dict[int, list[Record]]


@cache
def declarations() -> dict[str, Syscall]:
    """The system calls that scripts may make, by name: those that have a handler."""
    for module in pkgutil.iter_modules(syscalls.handlers.__path__):
        importlib.import_module(f"syscalls.handlers.{module.name}")
    return {call.name: call for call in TABLE.values() if call.name not in _NOT_ALONE}


_NOT_ALONE = (
    *("fork", "vfork", "clone", "clone3", "exit", "rt_sigreturn", "execve", "execveat"),  # they leave the script
    *("mount", "umount2", "pivot_root", "chroot", "reboot", "sethostname", "setdomainname", "clock_settime"),
    *("settimeofday", "syslog", "adjtimex", "clock_adjtime"),
)
"""Calls that are not in the language: a script has `fork {`, and never changes the host."""


@cache
def arguments(name: str) -> tuple[tuple[str, Arg], ...]:
    """Names and types of a call's arguments."""
    return tuple(declarations()[name].arguments())


@cache
def fields(kind: str) -> tuple[list[tuple[int, int]], int]:
    """Offsets and sizes of a structure's fields, and its own size.

    Raises:
        ScriptError: there is no such structure.
    """
    found = getattr(structs, kind, None)
    if not (isinstance(found, type) and issubclass(found, Struct)):
        raise ScriptError(f"{kind} is no structure")
    places, offset = [], 0
    for count, letter in re.findall(r"(\d*)([a-zA-Z])", found._codec.format):
        for _ in range(1 if letter == "s" else int(count or 1)):
            size = int(count or 1) if letter == "s" else _SIZES.get(letter, 1)
            if letter != "x":
                places.append((offset, size))
            offset += size
    return places, found.SIZE


class _Compiler:
    """The state of compiling a script: names, memory, and the code so far."""

    def __init__(self) -> None:
        self.code = bytearray()
        self.records: dict[int, list[Record]] = {}
        self._slots: dict[str, int] = {}
        self._buffers: dict[str, tuple[int, int]] = {}
        self._top = 16
        self._number = -1
        self._seen: list[tuple[int, Record]] = []

    def block(self, body: Sequence[Statement]) -> None:
        for statement in body:
            self._number += 1
            try:
                self._statement(statement)
            except ScriptError as error:
                raise ScriptError(f"{line(statement)}: {error}") from error

    def _statement(self, statement: Statement) -> None:
        match statement:
            case Buffer(result, size):
                place = self._allocate(size)
                self._buffers[result] = place, size
                self._fill(place, bytes([0xFF]) * size)
            case Fork(result, body):
                self._fork(result, body)
            case Pass():
                self.code.append(_PASS)
            case Go(name):
                if name not in self._slots:
                    raise ScriptError(f"{name} is not known")
                self.code += bytes((_GO, self._slots[name]))
            case Call(name) if name in _PROBES:
                self._probe(statement)
            case Call():
                self._call(statement)

    def _fork(self, result: str, body: Sequence[Statement]) -> None:
        slot = self._slot(result)
        head = struct.pack("<BHB", _FORK, self._number, slot)
        before, self.code = self.code, bytearray()
        self.block(body)
        self.code.append(_END)
        self.code = before + head + struct.pack("<I", len(self.code)) + self.code

    def _slot(self, name: str) -> int:
        if not name:
            return _UNUSED
        if name in self._buffers:
            raise ScriptError(f"{name} is a buffer")
        slot = self._slots.setdefault(name, len(self._slots))
        if slot >= _SLOTS:
            raise ScriptError("too many names")
        return slot

    def _probe(self, call: Call) -> None:
        if len(call.args) != 1 + (call.name == "poke"):
            raise ScriptError("peek(ADDRESS), poke(ADDRESS, BYTE)")
        address = self._value(call.args[0], _PLAIN)
        byte = call.args[1] if call.name == "poke" else Number(0)
        if not isinstance(byte, Number) or not 0 <= byte.value <= 255:
            raise ScriptError("a byte is a number up to 255")
        op = _POKE if call.name == "poke" else _PEEK
        self.code += struct.pack("<BH", op, self._number) + address + bytes([byte.value])

    def _call(self, call: Call) -> None:
        if call.name not in declarations():
            raise ScriptError(f"{call.name} is no system call that scripts can make")
        declared = arguments(call.name)
        if len(call.args) > len(declared):
            raise ScriptError(f"{call.name} has {len(declared)} arguments")
        self._seen = []
        values = b"".join(
            self._value(value, arg, name) for value, (name, arg) in zip(call.args, declared, strict=False)
        )
        slot = self._slot(call.result)
        self.code += struct.pack("<BHHBB", _CALL, self._number, X86_64[call.name], slot, len(call.args))
        self.code += values + bytes([len(self._seen)])
        for offset, record in self._seen:
            self.code += struct.pack("<IH", offset, record.size)
        self.records[self._number] = [record for _, record in self._seen]

    def _allocate(self, size: int) -> int:
        if not 0 <= size or self._top + size > DATA_SIZE - _EDGES:
            raise ScriptError(f"no memory of {size} bytes is left")
        place = self._top
        self._top += size + 15 & ~15
        return place

    def _fill(self, place: int, data: bytes) -> None:
        self.code += struct.pack("<BIH", _FILL, place, len(data)) + data

    def _see(self, place: int, name: str, arg: Arg, size: int) -> None:
        self._seen.append((place, Record(name, arg, min(size, _RECORDED))))

    def _value(self, value: Expression, arg: Arg, name: str = "") -> bytes:
        """The operand that stands for a value; its memory is made before."""
        match value:
            case Number() | Word():
                return _operand(*_constant(value))
            case Ref(of, add) if of in self._buffers:
                place, size = self._buffers[of]
                if 0 <= add < size:
                    self._see(place + add, of, arg, size - add)
                return _operand(_CONSTANT, DATA + place + add)
            case Ref(of, add):
                if of not in self._slots:
                    raise ScriptError(f"{of} is not known")
                return _operand(_RESULT, add << 8 | self._slots[of])
            case Load(of, index):
                place, size = self._buffers.get(of, (0, 0))
                if 4 * index + 4 > size:
                    raise ScriptError(f"{of} has no int {index}")
                return _operand(_LOADED, place + 4 * index)
            case _:
                return _operand(_CONSTANT, DATA + self._memory(value, arg, name))

    def _memory(self, value: Expression, arg: Arg, name: str) -> int:
        """Where in the data a value lies that is no number."""
        match value:
            case Text(data):
                place = self._allocate(len(data) + 1)
                self._fill(place, data + b"\0")
                if arg.direction != IN:
                    self._see(place, name, arg, len(data) + 1)
                return place
            case Space(size, edge):
                if edge and not 0 <= size <= _EDGES:
                    raise ScriptError(f"an edge has at most {_EDGES} bytes")
                place = DATA_SIZE - size if edge else self._allocate(size)
                self._fill(place, bytes([UNTOUCHED]) * size)
                self._see(place, name, arg, size)
                return place
            case Group():
                place, size = self._group(value, arg)
                if arg.direction != IN:
                    self._see(place, name, arg, size)
                return place
        raise ScriptError(f"{value} is no memory")

    def _group(self, value: Group, arg: Arg) -> tuple[int, int]:
        if "sigset" in arg.format and arg.format != "sigset_arg" and value.array:
            return self._set(value, 1, 8)
        if arg.format == "fdset" and value.array:
            return self._set(value, 0, 128)
        if not value.array and arg.format not in _OFFSETS and (value.kind or arg.table not in ("", "int")):
            kind = value.kind or arg.table
            place = self._allocate(fields(kind)[1])
            return place, self._struct(place, value, kind)
        first = next(iter(value.items), None)
        if isinstance(first, Group) and not first.array:
            return self._structs(value, arg.table)
        width = 8 if arg.format in _OFFSETS else 4
        place = self._allocate(len(value.items) * width)
        for index, item in enumerate(value.items):
            self._store(place + index * width, width, item)
        return place, len(value.items) * width

    def _structs(self, value: Group, table: str) -> tuple[int, int]:
        size = fields(table)[1]
        place = self._allocate(size * len(value.items))
        for index, item in enumerate(value.items):
            if not isinstance(item, Group) or item.array:
                raise ScriptError(f"{item} is no structure")
            self._struct(place + index * size, item, table)
        return place, size * len(value.items)

    def _struct(self, place: int, value: Group, kind: str) -> int:
        places, size = fields(kind)
        if len(value.items) > len(places):
            raise ScriptError(f"{kind} has {len(places)} fields")
        self._fill(place, bytes(size))
        for item, (offset, width) in zip(value.items, places, strict=False):
            if isinstance(item, Group) and item.array and kind != "SigsetArg":
                self._bits(place + offset, item, 1, width)
            elif isinstance(item, Group):
                self._store_address(place + offset, self._group(item, Arg(None, "sigset"))[0])
            else:
                self._store(place + offset, width, item)
        return size

    def _store(self, place: int, width: int, item: Expression) -> None:
        operand = self._value(item, _PLAIN, "")
        self.code += struct.pack("<BIH", _STORE, place, width) + operand

    def _store_address(self, place: int, to: int) -> None:
        self.code += struct.pack("<BIH", _STORE, place, 8) + _operand(_CONSTANT, DATA + to)

    def _set(self, value: Group, first: int, size: int) -> tuple[int, int]:
        place = self._allocate(size)
        self._fill(place, bytes(size))
        self._bits(place, value, first, size)
        return place, size

    def _bits(self, place: int, value: Group, first: int, size: int) -> None:
        for item in value.items:
            if isinstance(item, Number | Word):
                item = Number(_constant(item)[1] - first)
            self.code += struct.pack("<BIH", _SET_BIT, place, size) + self._value(item, _PLAIN)


def _operand(kind: int, payload: int) -> bytes:
    payload &= (1 << 64) - 1
    return bytes([kind]) + payload.to_bytes(8, "little")


def _constant(value: Number | Word) -> tuple[int, int]:
    """Kind and payload of the operand."""
    if isinstance(value, Number):
        return _CONSTANT, value.value
    if value.names[0] in FUNCTIONS:
        return (_HANDLER if value.names[0] == "HANDLER" else _RESTORER), 0
    total = value.add
    for name in value.names:
        total |= number(name)
    return _CONSTANT, total


def number(name: str) -> int:
    """The value of a constant's name or of digits."""
    known = constant(name)
    if known is not None:
        return known
    return int(name, 8) if name[0] == "0" and name.isdigit() else int(name, 0)


def compiled(script: Script) -> Compiled:
    """Compile a script.

    Raises:
        ScriptError: it names something that is not there.
    """
    compiler = _Compiler()
    compiler.block(script)
    compiler.code.append(_END)
    assert compiler._number == sum(1 for _ in statements(script)) - 1
    return Compiled(bytes(compiler.code), compiler.records)


def batch(scripts: Sequence[Compiled], limit_ms: int) -> bytes:
    """What the interpreter reads.

    Args:
        scripts: to be run one after the other.
        limit_ms: how long each may take.
    """
    parts = [struct.pack("<I", limit_ms)]
    for each in scripts:
        parts += [struct.pack("<I", len(each.code)), each.code]
    return b"".join(parts)
