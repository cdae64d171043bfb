"""Arguments of system calls as a test writes them, and where they lie in guest memory.

An int is passed as it is; str and bytes are placed with a NUL behind them; structures are packed; `Out` makes room
that can be read after the call. Everything placed for a call is forgotten when the call has ended.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Place: TypeAlias = Callable[[bytes, int], int]
    """Puts bytes into guest memory, aligned, and returns the address."""

NULL = 0
"""The null pointer."""

_ALIGN = 16


class Out:
    """Room for something that a call writes.

    Args:
        kind: a structure of `syscalls.abi.structs`, a format of the `struct` module ("<i"), or a number of bytes.
        fill: what the room holds before: bytes, repeated; zeros by default.

    After the call `value` is the structure, the number (a tuple if the format has several), or the bytes; `data` is
    what lies there, whatever it means.
    """

    def __init__(self, kind: Any, fill: bytes = b"\0") -> None:
        if isinstance(kind, str):
            self.size = _size(kind)
        elif isinstance(kind, int) and not isinstance(kind, bool):
            self.size = kind
        elif hasattr(kind, "SIZE") and hasattr(kind, "unpack"):
            self.size = int(kind.SIZE)
        else:
            raise TypeError(f"Out({kind!r}): a structure class, a struct format or a number of bytes is wanted")
        self._kind = kind
        self._initial = (fill * (self.size // max(1, len(fill)) + 1))[: self.size]
        self.address = 0
        """Where it lies in guest memory; 0 before the call."""
        self.data: bytes | None = None
        """The bytes that lie there after the call; None before, and where the memory is gone."""

    def initial(self) -> bytes:
        """What the room holds before the call."""
        return self._initial

    @property
    def value(self) -> Any:
        """What was written, as its kind says.

        Raises:
            ValueError: there was no call yet, or its memory is gone.
        """
        if self.data is None:
            raise ValueError("nothing was read back yet: make the call first, and let it end")
        if isinstance(self._kind, str):
            values = struct.unpack(self._kind, self.data)
            return values[0] if len(values) == 1 else values
        return self.data if isinstance(self._kind, int) else self._kind.unpack(self.data)

    def __repr__(self) -> str:
        kind = self._kind if isinstance(self._kind, (int, str)) else self._kind.__name__
        return f"Out({kind!r})" if isinstance(kind, str) and kind is self._kind else f"Out({kind})"


def _size(layout: str) -> int:
    try:
        return struct.calcsize(layout)
    except struct.error as error:
        raise TypeError(f"Out({layout!r}): no format of the struct module: {error}") from None


class InOut(Out):
    """Something that a call reads and writes: a structure, or bytes.

    Args:
        value: what the room holds before the call.
    """

    def __init__(self, value: Any) -> None:
        data = packed(value)
        super().__init__(type(value) if hasattr(value, "pack") else len(data))
        self._initial = data


class Edge:
    """An argument whose last byte is the last one of its mapping: whatever lies behind it faults.

    Args:
        value: bytes, a str, a structure, or an `Out`.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Edge({self.value!r})"


class Iov:
    """An array of iovec, and what its elements point to (man 2 readv).

    Args:
        parts: bytes to write, `Out` to read into, or pairs of address and length.
    """

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts)

    def __repr__(self) -> str:
        return f"Iov({', '.join(map(repr, self.parts))})"


def packed(value: Any) -> bytes:
    """The bytes of a structure or of a buffer.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    pack = getattr(value, "pack", None)
    if pack is None:
        raise TypeError(f"{value!r} is neither bytes nor a structure")
    data: bytes = pack()
    return data


class Placing:
    """Puts the arguments of one call into guest memory.

    Args:
        put: places bytes with an alignment and returns their address.
        edge: places bytes so that they end where their mapping ends.
    """

    def __init__(self, put: Place, edge: Callable[[bytes], int]) -> None:
        self._put = put
        self._edge = edge
        self.outs: list[Out] = []
        """What is to be read back after the call."""

    def argument(self, value: Any) -> int:
        """The register value of an argument.

        Raises:
            TypeError: it is nothing that a register or memory could hold.
        """
        if isinstance(value, int):
            return int(value)
        if value is None:
            return NULL
        if isinstance(value, str):
            return self._put(value.encode("utf-8", "surrogateescape") + b"\0", 1)
        if isinstance(value, Out):
            return self._out(value, self._put(value.initial(), _ALIGN))
        if isinstance(value, Edge):
            return self._at_edge(value.value)
        if isinstance(value, Iov):
            return self._iovec(value.parts)
        if type(value) in (list, tuple):
            return self._pointers(value)
        if isinstance(value, type):
            name = value.__name__
            raise TypeError(f"{name} is a class: pass one of it, or Out({name}) for the call to fill")
        try:
            return self._put(packed(value) + b"\0", _ALIGN)
        except TypeError:
            kinds = "an int, str, bytes, a structure, Out, Iov, Edge, or a list of these"
            raise TypeError(f"{value!r} can be no argument: pass {kinds}") from None

    def _out(self, out: Out, address: int) -> int:
        out.address = address
        out.data = None
        self.outs.append(out)
        return address

    def _at_edge(self, value: Any) -> int:
        if isinstance(value, Out):
            return self._out(value, self._edge(value.initial()))
        if isinstance(value, str):
            return self._edge(value.encode("utf-8", "surrogateescape") + b"\0")
        return self._edge(packed(value))

    def _iovec(self, parts: Sequence[Any]) -> int:
        words: list[int] = []
        for part in parts:
            if type(part) is tuple:
                words += part
            elif isinstance(part, Out):
                words += (self.argument(part), part.size)
            elif isinstance(part, Edge) and isinstance(part.value, Out):
                words += (self.argument(part), part.value.size)
            else:
                data = packed(part.value if isinstance(part, Edge) else part)
                words += (self.argument(part), len(data))
        return self._put(struct.pack(f"<{len(words)}Q", *words), _ALIGN)

    def _pointers(self, items: Sequence[Any]) -> int:
        """A list of strings as execve wants it: pointers, and a null pointer behind them."""
        pointers = [self.argument(item) for item in items]
        return self._put(struct.pack(f"<{len(pointers) + 1}Q", *pointers, 0), _ALIGN)
