"""How fields lie in a message: C's rules for x86-64, with an out-of-line field in front.

Sizes and alignments are those of the seed kernel's compiler. The result is both a list of offsets (for tests
and documentation) and one format of the `struct` module (for the generated classes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from linuxemu.idl.runtime import HEADER_SIZE, MESSAGE_SIZE
from linuxemu.idl.syntax import Position


class Builtin(NamedTuple):
    """A type of the language: its C layout, struct format and Python type."""

    size: int
    align: int
    format: str
    python: str = "int"


BUILTINS: dict[str, Builtin] = {
    "char": Builtin(1, 1, "b"),
    "bool": Builtin(1, 1, "?", "bool"),
    "int8": Builtin(1, 1, "b"),
    "int16": Builtin(2, 2, "h"),
    "int32": Builtin(4, 4, "i"),
    "int64": Builtin(8, 8, "q"),
    "uint8": Builtin(1, 1, "B"),
    "uint16": Builtin(2, 2, "H"),
    "uint32": Builtin(4, 4, "I"),
    "uint64": Builtin(8, 8, "Q"),
    "int": Builtin(4, 4, "i"),
    "uint": Builtin(4, 4, "I"),
    "task": Builtin(4, 4, "i"),
    "handle": Builtin(4, 4, "i"),
    "size": Builtin(8, 8, "Q"),
    "offset": Builtin(8, 8, "Q"),
    "vaddr": Builtin(8, 8, "Q"),
    "paddr": Builtin(8, 8, "Q"),
    "gpaddr": Builtin(8, 8, "Q"),
    "notifications": Builtin(1, 1, "B"),
    "exception_type": Builtin(4, 4, "I"),
    "trap_frame": Builtin(144, 1, "18Q", "TrapFrame"),
    "hv_frame": Builtin(144, 8, "17QB7x", "HvFrame"),
    "str": Builtin(16, 8, "QQ", "str"),
    "bytes": Builtin(16, 8, "QQ", "bytes"),
}
OOL_TYPES = frozenset({"str", "bytes"})
_BYTE_TYPES = frozenset({"uint8", "char"})
"""An array of these is a Python `bytes` of exactly that length."""


class FieldType(NamedTuple):
    """A type with every alias and enum resolved: a builtin, or an array of one."""

    base: str
    length: int | None = None

    @property
    def is_ool(self) -> bool:
        """Whether the value travels beside the message."""
        return self.base in OOL_TYPES

    @property
    def size(self) -> int:
        """Bytes in the payload."""
        return BUILTINS[self.base].size * (self.length or 1)

    @property
    def align(self) -> int:
        """C alignment."""
        return BUILTINS[self.base].align

    @property
    def format(self) -> str:
        """The struct format of one value."""
        if self.length is None:
            return BUILTINS[self.base].format
        if self.base in _BYTE_TYPES:
            return f"{self.length}s"
        code = BUILTINS[self.base].format
        return f"{self.length}{code}" if len(code) == 1 else code * self.length

    @property
    def python(self) -> str:
        """The Python type of the field."""
        if self.length is None:
            return BUILTINS[self.base].python
        return "bytes" if self.base in _BYTE_TYPES else f"tuple[{BUILTINS[self.base].python}, ...]"

    def __str__(self) -> str:
        return self.base if self.length is None else f"{self.base}[{self.length}]"


class ResolvedField(NamedTuple):
    """A field with its final type."""

    name: str
    type: FieldType
    at: Position


class Slot(NamedTuple):
    """Where a field lies; an out-of-line one has two slots, its pointer and `<name>_len`."""

    name: str
    type: str
    offset: int
    size: int


class Layout(NamedTuple):
    """The payload of one message."""

    slots: tuple[Slot, ...]
    size: int
    """As C has it: 0 without fields, otherwise rounded up to the strictest alignment."""
    format: str
    """Of the payload up to its last field, for little-endian `struct` after the 8 bytes of the header."""


def lay_out(fields: Sequence[ResolvedField]) -> Layout:
    """Place the fields of a message.

    Raises:
        IdlError: there are two out-of-line fields, or the fields do not fit.
    """
    ool = [f for f in fields if f.type.is_ool]
    if len(ool) > 1:
        raise ool[1].at.error(f"second out-of-line field {ool[1].name!r}: a list may hold one str or bytes")
    slots: list[Slot] = []
    formats: list[str] = []
    end = HEADER_SIZE
    for field in [*ool, *(f for f in fields if not f.type.is_ool)]:
        start = -(-end // field.type.align) * field.type.align
        if start > end:
            formats.append(f"{start - end}x")
        end = start + field.type.size
        if end > MESSAGE_SIZE:
            raise field.at.error(f"field {field.name!r} ends at byte {end}, a message has {MESSAGE_SIZE}")
        formats.append(field.type.format)
        if field.type.is_ool:
            slots += (
                Slot(field.name, f"{field.type.base}*", start, 8),
                Slot(f"{field.name}_len", "size", start + 8, 8),
            )
        else:
            slots.append(Slot(field.name, str(field.type), start, field.type.size))
    align = max((f.type.align for f in fields), default=1)
    return Layout(tuple(slots), -(-(end - HEADER_SIZE) // align) * align, "".join(formats))
