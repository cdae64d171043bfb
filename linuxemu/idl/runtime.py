"""What the generated `linuxemu.messages` rests on: the Message base class, register frames, wire constants.

This is on the start-up path of every run, so it imports next to nothing and the message classes are plain
tuples: making one and reading a field costs what it costs with a NamedTuple, making the class a tenth.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Generic, Never, Self, TypeVar

    _T = TypeVar("_T")
    _M = TypeVar("_M", bound="Message")

    class Field(Generic[_T]):
        """A field of a message as a type checker sees it: readable, and that only."""

        def __get__(self, message: Message | _Frame, owner: object) -> _T: ...
        def __set__(self, message: Message | _Frame, value: Never) -> None: ...

    def field(index: int) -> Any:
        """The descriptor of the field at `index`."""

    def new(cls: type[_M], values: tuple[object, ...]) -> _M:
        """A message made of its field values, unchecked."""
else:
    new = tuple.__new__
    try:
        from _collections import _tuplegetter

        def field(index: int) -> object:
            """The descriptor of the field at `index`, the one NamedTuple uses."""
            return _tuplegetter(index, None)

    except ImportError:  # pragma: no cover - other Python implementations
        from operator import itemgetter

        def field(index: int) -> object:
            """The descriptor of the field at `index`."""
            return property(itemgetter(index))


MESSAGE_SIZE = 256
HEADER_SIZE = 8
MSG_OOL = 0x2000_0000
MSG_STR = 0x4000_0000
ID_MASK = 0xFFFF
"""The bits of a type word that are the message's id."""


class ExceptionType:
    """Why a task ended: the values of the type `exception_type`."""

    GRACE_EXIT = 0
    INVALID_MSG_FROM_PAGER = 1
    INVALID_MEMORY_ACCESS = 2
    INVALID_OP = 3
    ABORTED_KERNEL_IPC = 4
    HV_UNIMPLEMENTED = 5
    HV_CRASHED = 6
    HV_INVALID_STATE = 7


class _Frame(tuple[int, ...]):
    """What a register frame shares with a NamedTuple, whose class would take half a millisecond to make."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()

    if TYPE_CHECKING:

        @classmethod
        def _make(cls, values: Iterable[int]) -> Self:
            """A frame of exactly as many values as it has fields."""
    else:
        _make = classmethod(tuple.__new__)

    def _replace(self, **changes: int) -> Self:
        """The same frame with some fields changed."""
        values = list(self)
        for name, value in changes.items():
            values[self._fields.index(name)] = value
        return self._make(values)

    def _asdict(self) -> dict[str, int]:
        """Field names and values."""
        return dict(zip(self._fields, self, strict=True))

    def __getnewargs__(self) -> tuple[int, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value:#x}" for name, value in self._asdict().items())
        return f"{type(self).__name__}({fields})"


class TrapFrame(_Frame):
    """A task's registers at a system call, in wire order; the `syscall` instruction destroys rcx and r11."""

    __slots__ = ()
    _fields = (
        "fsbase",
        "gsbase",
        "rip",
        "rflags",
        "rbp",
        "rax",
        "rbx",
        "rdx",
        "rdi",
        "rsi",
        "r8",
        "r9",
        "r10",
        "r12",
        "r13",
        "r14",
        "r15",
        "rsp",
    )
    fsbase: Field[int] = field(0)
    gsbase: Field[int] = field(1)
    rip: Field[int] = field(2)
    rflags: Field[int] = field(3)
    rbp: Field[int] = field(4)
    rax: Field[int] = field(5)
    rbx: Field[int] = field(6)
    rdx: Field[int] = field(7)
    rdi: Field[int] = field(8)
    rsi: Field[int] = field(9)
    r8: Field[int] = field(10)
    r9: Field[int] = field(11)
    r10: Field[int] = field(12)
    r12: Field[int] = field(13)
    r13: Field[int] = field(14)
    r14: Field[int] = field(15)
    r15: Field[int] = field(16)
    rsp: Field[int] = field(17)

    def __new__(
        cls,
        fsbase: int,
        gsbase: int,
        rip: int,
        rflags: int,
        rbp: int,
        rax: int,
        rbx: int,
        rdx: int,
        rdi: int,
        rsi: int,
        r8: int,
        r9: int,
        r10: int,
        r12: int,
        r13: int,
        r14: int,
        r15: int,
        rsp: int,
    ) -> Self:
        """A frame of all its registers."""
        return cls._make(
            (fsbase, gsbase, rip, rflags, rbp, rax, rbx, rdx, rdi, rsi, r8, r9, r10, r12, r13, r14, r15, rsp)
        )

    def with_rax(self, value: int) -> Self:
        """The same frame with a result in rax; much quicker than `_replace`."""
        return self._make((*self[:5], value, *self[6:]))


class HvFrame(_Frame):
    """The registers of a virtual machine's guest, in wire order."""

    __slots__ = ()
    _fields = (
        "rax",
        "rbx",
        "rcx",
        "rdx",
        "rdi",
        "rsi",
        "rbp",
        "r8",
        "r9",
        "r10",
        "r11",
        "r12",
        "r13",
        "r14",
        "r15",
        "rip",
        "cr3",
        "inst_len",
    )
    rax: Field[int] = field(0)
    rbx: Field[int] = field(1)
    rcx: Field[int] = field(2)
    rdx: Field[int] = field(3)
    rdi: Field[int] = field(4)
    rsi: Field[int] = field(5)
    rbp: Field[int] = field(6)
    r8: Field[int] = field(7)
    r9: Field[int] = field(8)
    r10: Field[int] = field(9)
    r11: Field[int] = field(10)
    r12: Field[int] = field(11)
    r13: Field[int] = field(12)
    r14: Field[int] = field(13)
    r15: Field[int] = field(14)
    rip: Field[int] = field(15)
    cr3: Field[int] = field(16)
    inst_len: Field[int] = field(17)

    def __new__(
        cls,
        rax: int,
        rbx: int,
        rcx: int,
        rdx: int,
        rdi: int,
        rsi: int,
        rbp: int,
        r8: int,
        r9: int,
        r10: int,
        r11: int,
        r12: int,
        r13: int,
        r14: int,
        r15: int,
        rip: int,
        cr3: int,
        inst_len: int,
    ) -> Self:
        """A frame of all its registers."""
        return cls._make(
            (rax, rbx, rcx, rdx, rdi, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, cr3, inst_len)
        )


_FRAMES: dict[str, type[_Frame]] = {"trap_frame": TrapFrame, "hv_frame": HvFrame}


class Message(tuple[Any, ...]):
    """Base of all messages: an immutable tuple of its fields, in declared order.

    Messages are equal if they are of one class and their fields are. The wire form is that of the seed
    kernel: 256 bytes, little endian, type word, sender, then the fields as C lays them out, with a `str` or
    `bytes` field (pointer and length) in front. What such a field holds travels beside the message (`ool`).
    """

    __slots__ = ()

    ID: ClassVar[int] = 0
    NAME: ClassVar[str] = ""
    """The name in the interface definition, such as "fs.read" or "fs.read_reply"."""
    TYPE_WORD: ClassVar[int] = 0
    REPLY: ClassVar[type[Message] | None] = None
    FIELDS: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Name and interface type of each field, in declared order; enums and aliases are resolved."""
    OOL: ClassVar[str | None] = None
    """The name of the `str` or `bytes` field, if there is one."""
    FORMAT: ClassVar[str] = ""
    """The payload as a format of the `struct` module."""
    _codec: ClassVar[_Codec | None] = None

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and _tuple_eq(self, other)

    def __ne__(self, other: object) -> bool:
        return type(self) is not type(other) or _tuple_ne(self, other)

    def __hash__(self) -> int:
        return _tuple_hash(self) ^ self.ID

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for (name, _), value in zip(self.FIELDS, self, strict=True))
        return f"{type(self).__qualname__}({fields})"

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def pack(self, src: int = 0, ool_addr: int = 0) -> bytes:
        """The 256 bytes of the message.

        Args:
            src: the sender's task id, 0 being the kernel.
            ool_addr: what stands for the out-of-line payload, see `ool.send`; its length is filled in.

        Raises:
            ValueError: a field does not fit its type.
        """
        codec = self._codec or _Codec.of(type(self))
        return codec.pack(self, src, ool_addr)

    def ool(self) -> bytes | None:
        """The out-of-line payload (a `str` with its NUL), or None if the message has no such field."""
        if self.OOL is None:
            return None
        codec = self._codec or _Codec.of(type(self))
        return codec.payload(self)

    @classmethod
    def unpack(cls, data: bytes | bytearray | memoryview, ool: bytes | None = None) -> Self:
        """The message in `data`; bytes after the last field are ignored.

        Args:
            data: at least the header and the fields.
            ool: the out-of-line payload, needed if the message has one.

        Raises:
            ValueError: not this message, too short, or the payload is missing or not of the length announced.
        """
        codec = cls._codec or _Codec.of(cls)
        return new(cls, codec.unpack(cls, data, ool))


_tuple_eq = tuple.__eq__
_tuple_ne = tuple.__ne__
_tuple_hash = tuple.__hash__


class _Codec:
    """How one message class is packed; made when it first travels as bytes."""

    __slots__ = ("composites", "format", "ool_index", "text")

    def __init__(self, cls: type[Message]) -> None:
        self.format = Struct("<ii" + cls.FORMAT)
        names = [name for name, _ in cls.FIELDS]
        self.ool_index = -1 if cls.OOL is None else names.index(cls.OOL)
        self.text = bool(cls.TYPE_WORD & MSG_STR)
        # Position, width and maker of each field that is more than one value in the struct format, in order.
        self.composites: list[tuple[int, int, Callable[[tuple[Any, ...]], Any]]] = []
        inline = [kind for name, kind in cls.FIELDS if name != cls.OOL]
        for position, kind in enumerate(inline):
            width, make = _shape(kind)
            if make is not None:
                self.composites.append((position, width, make))

    @classmethod
    def of(cls, message: type[Message]) -> _Codec:
        codec = cls(message)
        message._codec = codec
        return codec

    def payload(self, message: Message) -> bytes:
        value: str | bytes = message[self.ool_index]
        if isinstance(value, str):
            encoded = value.encode("utf-8", "surrogateescape")
            if b"\0" in encoded:
                raise ValueError(f"{message.NAME}: NUL in {message.OOL}")
            return encoded + b"\0"
        return bytes(value)

    def pack(self, message: Message, src: int, ool_addr: int) -> bytes:
        values: list[Any] = list(message)
        if self.ool_index >= 0:
            del values[self.ool_index]
        for position, _, _ in reversed(self.composites):
            values[position : position + 1] = _flat(values[position])
        if self.ool_index >= 0:
            values[:0] = (ool_addr, len(self.payload(message)))
        try:
            return self.format.pack(message.TYPE_WORD, src, *values).ljust(MESSAGE_SIZE, b"\0")
        except StructError as problem:
            raise ValueError(f"{message.NAME}: {problem}") from None

    def unpack(
        self, cls: type[Message], data: bytes | bytearray | memoryview, ool: bytes | None
    ) -> tuple[Any, ...]:
        if len(data) < self.format.size:
            raise ValueError(f"{cls.NAME}: {len(data)} bytes are too short")
        word, _, *values = self.format.unpack_from(data)
        if word != cls.TYPE_WORD:
            raise ValueError(f"{cls.NAME}: the type word is {word & 0xFFFF_FFFF:#x}, not {cls.TYPE_WORD:#x}")
        if self.ool_index >= 0:
            payload = self._received(cls, values[1], ool)
            del values[:2]
        for position, width, make in self.composites:
            values[position : position + width] = (make(tuple(values[position : position + width])),)
        if self.ool_index >= 0:
            values.insert(self.ool_index, payload)
        return tuple(values)

    def _received(self, cls: type[Message], length: int, ool: bytes | None) -> str | bytes:
        if ool is None or len(ool) != length:
            found = "none" if ool is None else f"{len(ool)} bytes"
            raise ValueError(f"{cls.NAME}: announces a payload of {length} bytes, there is {found}")
        if self.text:
            return ool.partition(b"\0")[0].decode("utf-8", "surrogateescape")
        return bytes(ool)


def _shape(kind: str) -> tuple[int, Callable[[tuple[Any, ...]], Any] | None]:
    """How many struct values a field takes, and what makes one field of them (None: there is one)."""
    base, _, suffix = kind.partition("[")
    frame = _FRAMES.get(base)
    width = 1 if frame is None else len(frame._fields)
    if not suffix or base in ("uint8", "char"):
        return width, None if frame is None else frame._make
    count = int(suffix[:-1])
    if frame is None:
        return count, tuple
    starts = range(0, count * width, width)
    return count * width, lambda flat: tuple(frame._make(flat[i : i + width]) for i in starts)


def _flat(value: tuple[Any, ...]) -> list[Any]:
    flat: list[Any] = []
    for item in value:
        if isinstance(item, tuple):
            flat.extend(item)
        else:
            flat.append(item)
    return flat
