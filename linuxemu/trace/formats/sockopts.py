"""Options of sockets: names by level, and values."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, hexadecimal
from linuxemu.trace.formats.choices import choice, fields, macs
from linuxemu.trace.formats.filters import program
from linuxemu.trace.formats.sockets import inet, inet6, interface, sockaddr_text
from linuxemu.trace.formats.strings import quote, text
from syscalls.abi.errno import errno_name
from syscalls.abi.tables import table, texts
from syscalls.types import s32

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_LEVELS = {
    0: "IP_", 1: "SO_", 6: "TCP_", 17: "UDP_", 40: "SO_VM_", 41: "IPV6_", 101: "CAN_RAW_", 132: "SCTP_", 255: "RAW_",
    256: "IPX_", 257: "AX25_", 263: "PACKET_", 266: "IRLMP_", 268: "LLC_OPT_", 269: "DCCP_SOCKOPT_", 270: "NETLINK_",
    271: "TIPC_", 272: "RXRPC_", 273: "PPPOL2TP_SO_", 274: "BT_", 275: "PNPIPE_", 276: "RDS_", 277: "SO_iucv",
    278: "CAIFSO_", 279: "ALG_", 280: "NFC_LLCP_", 281: "KCM_", 282: "TLS_", 283: "XDP_",
}  # fmt: skip
_LIMIT = 1 << 16
"""An option's value is read up to here."""


@shows("option_name")
def option_name(call: Call, value: int, arg: Arg) -> str:
    """An option of the socket's level."""
    name = _LEVELS.get(call.argument("level"))
    if name is None:
        return str(s32(value))
    way = f"{name}{call.plan.name[:3]}"
    if way in texts() and value in table(way).names:
        name = way
    return choice(call, value, name)


@shows("option_value")
def option_value(call: Call, addr: int, arg: Arg) -> str:
    """The value of an option: what the caller gives, or gets."""
    length = _length(call, arg)
    if not addr or not call.plan.verbose or length is None or length < 0:
        return address(call, addr)
    level, option = call.argument("level"), call.argument("optname")
    setting = arg.direction == "in"
    show = (_SET if setting else _GET).get((level, option))
    if show is None and ((level == 1 and option in _NUMBERS) or level == 270):
        show = _set_number if setting else _get_numbers if level == 270 else _get_number
    if length == 0 and show is None:
        return quote(b"") if setting else address(call, addr)
    data = call.read(addr, min(length, _LIMIT))
    if data is None:
        return address(call, addr)
    text = show(call, data) if show is not None else _usual(call, data)
    return address(call, addr) if text is None else text


def _length(call: Call, arg: Arg) -> int | None:
    if arg.direction == "in":
        return call.argument(arg.length)
    if call.failed or not call.note:
        return None
    data = call.read(call.argument(arg.length), 4)
    return min(int.from_bytes(data, "little", signed=True), int(call.note)) if data is not None else None


Shown = str | None


def _usual(call: Call, data: bytes) -> Shown:
    """An int, or bytes of any other length."""
    if len(data) == 4:
        return f"[{int.from_bytes(data, 'little', signed=True)}]"
    return text(call, data)


def _set_number(call: Call, data: bytes) -> Shown:
    """An option that is an int: more bytes do not matter, fewer are an error."""
    return f"[{int.from_bytes(data[:4], 'little', signed=True)}]" if len(data) >= 4 else None


def _get_number(call: Call, data: bytes) -> Shown:
    if len(data) >= 4:
        return _set_number(call, data)
    return quote(data, "all") if data else None


def _get_numbers(call: Call, data: bytes) -> Shown:
    if len(data) < 4:
        return _get_number(call, data)
    return f"[{', '.join(str(number) for (number,) in struct.iter_unpack('<i', data[: len(data) & ~3]))}]"


def _at_least(size: int, show: Callable[[Call, bytes], str]) -> Callable[[Call, bytes], Shown]:
    """A structure; shorter data are not shown."""
    return lambda call, data: show(call, data) if len(data) >= size else None


def _exactly(size: int, show: Callable[[Call, bytes], str]) -> Callable[[Call, bytes], Shown]:
    return lambda call, data: show(call, data) if len(data) == size else None


def _linger(call: Call, data: bytes) -> str:
    return f"{{{fields(data, '<ii', 'l_onoff l_linger')}}}"


def _get_linger(call: Call, data: bytes) -> Shown:
    return _partly(data, ("l_onoff", "l_linger"), "i")


def _credentials(call: Call, data: bytes) -> Shown:
    return _partly(data, ("pid", "uid", "gid"), "i")


def _statistics(call: Call, data: bytes) -> Shown:
    return _partly(data, ("tp_packets", "tp_drops", "tp_freeze_q_cnt"), "I")


def _partly(data: bytes, names: tuple[str, ...], kind: str) -> Shown:
    """As many fields of four bytes as there are."""
    numbers = struct.unpack_from(f"<{min(len(data) // 4, len(names))}{kind}", data)
    parts = [f"{name}={number}" for name, number in zip(names, numbers, strict=False)]
    return f"{{{', '.join(parts)}}}" if parts else None


def _error(call: Call, data: bytes) -> Shown:
    if len(data) < 4:
        return _get_number(call, data)
    error = int.from_bytes(data[:4], "little", signed=True)
    return f"[{errno_name(error) if 0 < error < 4096 else error}]"


def _rehash(call: Call, data: bytes) -> Shown:
    if len(data) < 4:
        return None
    value = int.from_bytes(data[:4], "little")
    name = table("SOCK_TXREHASH_").names.get(value)
    return f"[{name}]" if name else f"[{s32(value)} /* SOCK_TXREHASH_??? */]"


def _membership(call: Call, data: bytes) -> str:
    return f"{{imr_multiaddr={inet(data[:4])}, imr_interface={inet(data[4:8])}}}"


def _membership6(call: Call, data: bytes) -> str:
    index = int.from_bytes(data[16:20], "little")
    return f"{{{inet6(data[:16], 'ipv6mr_multiaddr')}, ipv6mr_interface={interface(index)}}}"


def _group(call: Call, data: bytes) -> str:
    index = int.from_bytes(data[:4], "little")
    return f"{{gr_interface={interface(index)}, gr_group={sockaddr_text(call, data[8:136])}}}"


def _packet_membership(call: Call, data: bytes) -> str:
    index, kind, length = struct.unpack_from("<IHH", data)
    return (
        f"{{mr_ifindex={interface(index)}, mr_type={choice(call, kind, 'PACKET_MR_')}, mr_alen={length}, "
        f"mr_address={macs(data[8 : 8 + min(length, 8)])}}}"
    )


def _ring(call: Call, data: bytes) -> str:
    return f"{{{fields(data, '<IIII', 'tp_block_size tp_block_nr tp_frame_size tp_frame_nr')}}}"


def _filter(call: Call, data: bytes) -> str:
    length, addr = struct.unpack_from("<H6xQ", data)
    return program(call, length, addr, "raw")


def _icmp(call: Call, data: bytes) -> Shown:
    """Which kinds of messages are filtered out."""
    mask = int.from_bytes(data[:4], "little")
    inverted = mask.bit_count() > 16
    shown = mask ^ 0xFFFF_FFFF if inverted else mask
    kinds = [kind for kind in range(32) if shown >> kind & 1]
    names = [table("ICMP_").names.get(kind) or f"{hexadecimal(kind)} /* ICMP_??? */" for kind in kinds]
    return f"{'~' if inverted else ''}[{' '.join(names)}]" if len(data) >= 4 else None


_NUMBERS = frozenset((
    1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 18, 19, 27, 29, 30, 32, 33, 34, 35, 36, 37, 40, 41, 42, 43, 44, 45, 46,
    49, 53, 56, 60, 63, 64, 65, 68, 69, 70, 73, 75,
))  # fmt: skip
"""Options of SOL_SOCKET that are one int."""
_Options = dict[tuple[int, int], "Callable[[Call, bytes], Shown]"]
_SET: _Options = {
    (1, 13): _at_least(8, _linger), (1, 26): _exactly(16, _filter), (1, 51): _exactly(16, _filter), (1, 74): _rehash,
    (0, 35): _at_least(8, _membership), (0, 36): _at_least(8, _membership), (0, 42): _at_least(136, _group),
    (0, 45): _at_least(136, _group), (41, 42): _at_least(136, _group), (41, 45): _at_least(136, _group),
    (41, 20): _at_least(20, _membership6), (41, 21): _at_least(20, _membership6), (41, 27): _at_least(20, _membership6),
    (41, 28): _at_least(20, _membership6), (263, 1): _exactly(16, _packet_membership),
    (263, 2): _exactly(16, _packet_membership), (263, 5): _exactly(16, _ring), (263, 13): _exactly(16, _ring),
    (255, 1): _icmp,
}  # fmt: skip
_GET: _Options = {
    (1, 4): _error, (1, 13): _get_linger, (1, 17): _credentials, (1, 74): _rehash, (263, 6): _statistics,
    (255, 1): _icmp,
}  # fmt: skip
"""By level and name what shows a value; None if it is too short."""
