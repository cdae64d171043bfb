"""Messages of sockets: struct msghdr and control data."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from linuxemu.trace.formats import before, shows
from linuxemu.trace.formats.basic import ARRAY_MAX, address, array, fd, follows, hexadecimal, named, peek
from linuxemu.trace.formats.choices import bits, choice, fields, hex_list
from linuxemu.trace.formats.sockets import inet, interface, sockaddr_at, sockaddr_text
from linuxemu.trace.formats.strings import quote
from linuxemu.trace.formats.times import timespec_text, timeval_text
from linuxemu.trace.formats.vectors import iovecs
from syscalls.abi.structs import Timespec, Timeval
from syscalls.abi.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_SIZE, _MANY_SIZE = 56, 64
_HEADER = 16
_CONTROL_LIMIT = 0x10000
"""Control data is shown up to here; Linux takes no more than some 20 kB."""


class _Message(NamedTuple):
    """A struct msghdr."""

    name: int
    namelen: int
    iov: int
    iovlen: int
    control: int
    controllen: int
    flags: int


def _message(data: bytes) -> _Message:
    return _Message._make(struct.unpack_from("<Qi4xQQQQI", data))


def _text(call: Call, message: _Message, filled: int | None = None, room: int | None = None) -> str:
    """A message with its braces.

    Args:
        call: the call.
        message: the message.
        filled: bytes that the kernel has put into its buffers; None if it is to be sent.
        room: what the caller gave for the sender's address, if the kernel has filled that.
    """
    length = message.namelen if room is None else min(message.namelen, room)
    given = f"{room} => " if room is not None and room != message.namelen else ""
    text = (
        f"{{msg_name={sockaddr_at(call, message.name, length)}, msg_namelen={given}{message.namelen}, "
        f"msg_iov={iovecs(call, message.iov, message.iovlen, filled)}, msg_iovlen={message.iovlen}, "
    )
    if message.controllen:
        text += f"msg_control={_control(call, message.control, message.controllen)}, "
    return f"{text}msg_controllen={message.controllen}, msg_flags={bits(call, message.flags, 'MSG_')}}}"


@shows("sent_message")
def sent_message(call: Call, addr: int, arg: Arg) -> str:
    """A message to be sent."""
    data = call.read(addr, _SIZE) if follows(call, addr, arg) else None
    return _text(call, _message(data)) if data is not None else address(call, addr)


@before("received_message")
def note_room(call: Call, addr: int, arg: Arg) -> None:
    """Remember the room for the sender's address."""
    data = peek(call, addr, _SIZE)
    call.note = str(_message(data).namelen) if data is not None else ""


@shows("received_message")
def received_message(call: Call, addr: int, arg: Arg) -> str:
    """A message that is received; of one that failed the room for the sender's address."""
    if not call.note:
        return address(call, addr)
    if call.failed:
        return f"{{msg_namelen={call.note}}}"
    data = call.read(addr, _SIZE)
    if data is None:
        return address(call, addr)
    return _text(call, _message(data), call.argument("result"), int(call.note))


@shows("sent_messages")
def sent_messages(call: Call, addr: int, arg: Arg) -> str:
    """Messages to be sent, and of those that have been sent how long they were."""
    if not addr or not call.plan.verbose:
        return address(call, addr)
    sent = max(call.argument("result"), 0)

    def show(data: bytes) -> str:
        nonlocal sent
        text = f"{{msg_hdr={_text(call, _message(data))}"
        if not sent:
            return f"{text}}}"
        sent -= 1
        return f"{text}, msg_len={int.from_bytes(data[_SIZE : _SIZE + 4], 'little')}}}"

    return array(call, addr, call.argument(arg.length), _MANY_SIZE, show)


@before("received_messages")
def note_rooms(call: Call, addr: int, arg: Arg) -> None:
    """Remember the room for each sender's address."""
    rooms: list[str] = []
    if addr and call.plan.verbose:
        for position in range(min(call.argument(arg.length), ARRAY_MAX)):
            data = call.read(addr + position * _MANY_SIZE, _SIZE)
            if data is None:
                break
            rooms.append(str(_message(data).namelen))
    call.note = " ".join(rooms)


@shows("received_messages")
def received_messages(call: Call, addr: int, arg: Arg) -> str:
    """Messages that are received, as many as there were."""
    if not follows(call, addr, arg):
        return address(call, addr)
    rooms = iter(call.note.split())

    def show(data: bytes) -> str:
        filled = int.from_bytes(data[_SIZE : _SIZE + 4], "little")
        return f"{{msg_hdr={_text(call, _message(data), filled, int(next(rooms, '0')))}, msg_len={filled}}}"

    count, room = call.argument("result"), call.argument(arg.length)
    text = array(call, addr, min(count, room), _MANY_SIZE, show)
    return f"{text[:-1]}, ...]" if count > room and text.endswith("]") else text


@shows("receive_timeout")
def receive_timeout(call: Call, addr: int, arg: Arg) -> str:
    """How long to wait for messages, and behind the result how much of it is left."""
    data = peek(call, addr, 16)
    text = _timespec(call, data) if data is not None else address(call, addr)
    if not call.failed:
        call.aux = "Timeout" if not call.result else f"left {text}" if addr else ""
    return text


# -- control data ------------------------------------------------------------------------------------------------


def _control(call: Call, addr: int, length: int) -> str:
    """Control messages: as many as there are, the rest as an address."""
    data = call.read(addr, min(length, _CONTROL_LIMIT)) if length >= _HEADER else None
    if data is None:
        return address(call, addr)
    shown: list[str] = []
    at = 0
    while len(data) - at >= _HEADER and len(shown) < ARRAY_MAX:
        size, level, kind = struct.unpack_from("<Qii", data, at)
        whole = min(size, len(data) - at)
        shown.append(_control_text(call, size, level, kind, data[at + _HEADER : at + whole]))
        at += max(whole + 7 & ~7, _HEADER)
        if size < _HEADER:
            break
    if at < len(data):
        shown.append(f"... /* {addr + at:#x} */")
    return f"[{', '.join(shown)}]"


def _level(call: Call, level: int) -> str:
    return named(call, level, table("SOL_").names, "SOL_???")


def _control_text(call: Call, size: int, level: int, kind: int, data: bytes) -> str:
    text = f"{{cmsg_len={size}, cmsg_level={_level(call, level & 0xFFFF_FFFF)}, cmsg_type="
    show: Callable[[Call, bytes], str] | None = None
    shortest = 0
    if level in _LEVELS:
        name, known = _LEVELS[level]
        text += choice(call, kind & 0xFFFF_FFFF, name)
        shortest, show = known.get(kind, (0, None))
    else:
        text += hexadecimal(kind & 0xFFFF_FFFF)
    if show is None or not data:
        return f"{text}}}"
    if len(data) < shortest:
        return f"{text}, cmsg_data=???}}" if show in _CLOCKS else f"{text}}}"
    return f"{text}, cmsg_data={show(call, data)}}}"


def _bytes(call: Call, data: bytes) -> str:
    return hex_list(data, call.style.string_limit if call.plan.abbrev else None)


def _rights(call: Call, data: bytes) -> str:
    numbers = [number for (number,) in struct.iter_unpack("<i", data[: len(data) & ~3])]
    limit = call.style.string_limit if call.plan.abbrev else len(numbers)
    texts = [fd(call, number) for number in numbers[:limit]]
    return f"[{', '.join([*texts, '...'] if len(numbers) > limit else texts)}]"


def _credentials(call: Call, data: bytes) -> str:
    return f"{{{fields(data, '<iII', 'pid uid gid')}}}"


def _string(call: Call, data: bytes) -> str:
    return quote(data, call.style.hex_strings)


def _timeval(call: Call, data: bytes) -> str:
    return timeval_text(Timeval.unpack(data[: Timeval.SIZE]))


def _timespec(call: Call, data: bytes) -> str:
    return timespec_text(Timespec.unpack(data[: Timespec.SIZE]))


def _timespecs(call: Call, data: bytes) -> str:
    return f"[{', '.join(_timespec(call, data[at:]) for at in (0, 16, 32))}]"


def _unsigned(call: Call, data: bytes) -> str:
    return f"[{int.from_bytes(data[:4], 'little')}]"


def _pktinfo(call: Call, data: bytes) -> str:
    return (
        f"{{ipi_ifindex={interface(int.from_bytes(data[:4], 'little'))}, ipi_spec_dst={inet(data[4:8])}, "
        f"ipi_addr={inet(data[8:12])}}}"
    )


def _recverr(call: Call, data: bytes) -> str:
    error, origin, kind, code, info, more = struct.unpack_from("<IBBBxII", data)
    return (
        f"{{ee_errno={error}, ee_origin={origin}, "
        f"ee_type={kind}, ee_code={code}, ee_info={info}, ee_data={more}, offender={sockaddr_text(call, data[16:32])}}}"
    )


def _destination(call: Call, data: bytes) -> str:
    return sockaddr_text(call, data)


_CLOCKS = (_timeval, _timespec, _timespecs)
_LEVELS: dict[int, tuple[str, dict[int, tuple[int, Callable[[Call, bytes], str]]]]] = {
    1: (
        "SCM_",
        {
            1: (4, _rights), 2: (12, _credentials), 3: (0, _string), 29: (16, _timeval), 35: (16, _timespec),
            37: (48, _timespecs), 63: (16, _timeval), 64: (16, _timespec), 65: (48, _timespecs),
        },
    ),
    0: (
        "IP_messages",
        {
            1: (0, _bytes), 2: (4, _unsigned), 3: (0, _string), 6: (0, _bytes), 7: (0, _bytes), 8: (12, _pktinfo),
            11: (32, _recverr), 20: (16, _destination), 23: (4, _unsigned),
        },
    ),
}  # fmt: skip
"""Of each level the table of its messages, and of each message the least length and what shows its data."""
