"""Messages as bytes, between tasks that have them in memory and servers that take objects."""

from __future__ import annotations

from struct import Struct

from linuxemu.errors import RpcError
from linuxemu.messages import MESSAGE_SIZE, MSG_OOL, Invalid, Message, unpack

_HEADER = Struct("<ii")
_PAYLOAD = Struct("<QQ")


class Raw(Message):
    """A message on its way between native tasks: its 256 bytes, whatever they mean."""

    __slots__ = ()
    NAME = "raw"

    def __new__(cls, data: bytes) -> Raw:
        """The message in `data`."""
        return tuple.__new__(cls, (data,))

    @classmethod
    def error(cls, code: int) -> Raw:
        """The answer that is nothing but an error word."""
        return cls(_HEADER.pack(code, 0).ljust(MESSAGE_SIZE, b"\0"))

    @property
    def word(self) -> int:
        """The type word; an error if negative."""
        word: int = _HEADER.unpack_from(self[0])[0]
        return word

    @property
    def has_payload(self) -> bool:
        """Whether an out-of-line payload belongs to it."""
        return self.word > 0 and bool(self.word & MSG_OOL)

    @property
    def payload(self) -> tuple[int, int]:
        """Address and length of the payload."""
        address, length = _PAYLOAD.unpack_from(self[0], _HEADER.size)
        return address, length


def as_bytes(message: Message, src: int) -> bytes:
    """The 256 bytes that a native task receives.

    A payload of a server's message would need a buffer that the receiver offers to the ool server; without it the
    message arrives as `invalid`, as it does when a payload cannot be verified.
    """
    if isinstance(message, Raw):
        data: bytes = message[0]
        return data[:4] + src.to_bytes(4, "little") + data[8:]
    if message.ool() is not None:
        message = Invalid()
    return message.pack(src)


def as_message(message: Message, payload: bytes | None) -> Message:
    """The message object that `message` stands for; itself if it stands for none."""
    if not isinstance(message, Raw):
        return message
    try:
        return unpack(message[0], payload)
    except ValueError:
        return message


def decoded(message: Message) -> Message:
    """What a server receives from a native task.

    Raises:
        RpcError: the message is an error word, or of an unknown kind (ERR_NOT_ACCEPTABLE).
    """
    from linuxemu.idl.codes import ERR_NOT_ACCEPTABLE

    found = as_message(message, None)
    if isinstance(found, Raw):
        raise RpcError(found.word if found.word < 0 else ERR_NOT_ACCEPTABLE)
    return found
