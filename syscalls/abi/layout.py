"""The base of the structures of the Linux ABI: tuples with named fields and a byte layout.

`typing.NamedTuple` would do the same at some 100 microseconds per class; a system call server needs dozens of
them before its first system call, so their classes are made by hand here.
"""

from __future__ import annotations

import struct
import sys
from collections import _tuplegetter  # type: ignore[attr-defined]  # the descriptor behind namedtuple
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform

_SCALARS = ("int", "bytes")


class _StructType(type):
    """Turns the annotations of a class body into tuple fields."""

    _parts: tuple[type[Struct] | None, ...] | None

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], layout: str = ""
    ) -> _StructType:
        annotations: dict[str, str] = namespace.get("__annotations__", {}) if layout else {}
        fields = tuple(annotations)
        namespace["__slots__"] = ()
        namespace["FIELDS"] = fields
        namespace["_defaults"] = {f: namespace[f] for f in fields if f in namespace}
        for index, field in enumerate(fields):
            namespace[field] = _tuplegetter(index, None)
        compiled = struct.Struct(layout)
        namespace["_codec"] = compiled
        namespace["SIZE"] = compiled.size
        made = super().__new__(cls, name, bases, namespace)
        if any(kind not in _SCALARS for kind in annotations.values()):
            module = sys.modules[made.__module__].__dict__
            made._parts = tuple(module.get(kind) for kind in annotations.values())
        return made


@dataclass_transform(frozen_default=True)
class Struct(tuple[Any, ...], metaclass=_StructType):
    """A structure: an immutable tuple of its fields.

    A subclass annotates its fields (`int`, `bytes` or another structure of the same module) in order and
    gives the layout of `struct`, inner structures flattened, as the class keyword `layout`.
    """

    SIZE = 0
    """Bytes that one takes in memory."""
    FIELDS: ClassVar[tuple[str, ...]]
    """Names of the fields, in order."""
    _codec: ClassVar[struct.Struct]
    _defaults: ClassVar[dict[str, Any]]
    _parts: ClassVar[tuple[type[Struct] | None, ...] | None] = None

    if not TYPE_CHECKING:

        def __new__(cls, *args, **named):  # noqa: D102
            if named or len(args) != len(cls.FIELDS):
                args = cls._complete(args, named)
            return tuple.__new__(cls, args)

    @classmethod
    def _complete(cls, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """Positional values of a constructor call that named or left out some."""
        if len(args) > len(cls.FIELDS):
            raise TypeError(f"{cls.__name__} takes {len(cls.FIELDS)} values, not {len(args)}")
        values = dict(zip(cls.FIELDS, args, strict=False))
        for name, value in named.items():
            if name in values or name not in cls.FIELDS:
                raise TypeError(f"{cls.__name__}: unexpected value for {name}")
            values[name] = value
        values = {**cls._defaults, **values}
        missing = [name for name in cls.FIELDS if name not in values]
        if missing:
            raise TypeError(f"{cls.__name__}: no value for {', '.join(missing)}")
        return tuple(values[name] for name in cls.FIELDS)

    def pack(self) -> bytes:
        """The bytes of this structure; `struct.error` if a value does not fit its field."""
        if self._parts is None:
            return self._codec.pack(*self)
        return self._codec.pack(*self._flat())

    def _flat(self) -> Iterator[Any]:
        for value in self:
            if isinstance(value, Struct):
                yield from value._flat()
            else:
                yield value

    @classmethod
    def unpack(cls, data: bytes | bytearray | memoryview, offset: int = 0) -> Self:
        """The structure at `offset` of `data`; `struct.error` if it is too short."""
        values = cls._codec.unpack_from(data, offset)
        if cls._parts is None:
            return tuple.__new__(cls, values)
        return cls._gather(iter(values))

    @classmethod
    def _gather(cls, values: Iterator[Any]) -> Self:
        parts = cls._parts or (None,) * len(cls.FIELDS)
        return tuple.__new__(cls, [part._gather(values) if part else next(values) for part in parts])

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        values = {**dict(zip(self.FIELDS, self, strict=True)), **changes}
        return tuple.__new__(type(self), self._complete((), values))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in zip(self.FIELDS, self, strict=True))
        return f"{type(self).__name__}({fields})"
