"""Requests of network interfaces: netdevice(7)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import ioctl_tables as tables
from linuxemu.trace.formats.basic import address, flags, hexadecimal, named, peek, table
from linuxemu.trace.formats.ioctls import changes_it, gives, number, takes
from linuxemu.trace.formats.strings import quote, string
from syscalls.types import Arg

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call

_IFREQ = 40
_NAME = 16
_MAP = Struct("<QQHBBB")
_IFCONF = Struct("<i4xQ")
_BYTES_OF = {0: 6, 1: 6, 772: 6}
"""Bytes of a hardware address, by its kind."""
_INTERFACES = 4096
_STRING = Arg(None, "str")


def _name(call: Call, data: bytes) -> str:
    return quote(data[:_NAME].split(b"\0", 1)[0], call.style.hex_strings)


def _int(data: bytes) -> int:
    return int.from_bytes(data[_NAME : _NAME + 4], "little", signed=True)


def _socket_address(call: Call, data: bytes) -> str:
    family = int.from_bytes(data[:2], "little")
    name = named(call, family, table("AF_"), "AF_???")
    if family == 2:
        port = int.from_bytes(data[2:4], "big")
        host = ".".join(str(byte) for byte in data[4:8])
        return f'{{sa_family={name}, sin_port=htons({port}), sin_addr=inet_addr("{host}")}}'
    return f"{{sa_family={name}, sa_data={quote(data[2:16], call.style.hex_strings)}}}"


def _hardware(call: Call, data: bytes) -> str:
    kind = int.from_bytes(data[:2], "little")
    raw = data[2 : 2 + _BYTES_OF.get(kind, 14)]
    octets = ":".join(f"{byte:02x}" for byte in raw)
    if call.style.constants != "abbrev":
        octets = quote(data[2:16], "all") + (f" /* {octets} */" if call.style.constants == "verbose" else "")
    return f"{{sa_family={named(call, kind, tables.HARDWARE_TYPES, 'ARPHRD_???')}, sa_data={octets}}}"


def _flags(call: Call, data: bytes) -> str:
    return flags(call, int.from_bytes(data[:2], "little"), tables.INTERFACE_FLAGS, "IFF_???")


def _map(call: Call, data: bytes) -> str:
    start, end, base, irq, dma, port = _MAP.unpack_from(data)
    return (
        f"{{mem_start={hexadecimal(start)}, mem_end={hexadecimal(end)}, base_addr={hexadecimal(base)}, "
        f"irq={hexadecimal(irq)}, dma={hexadecimal(dma)}, port={hexadecimal(port)}}}"
    )


def _number(call: Call, data: bytes) -> str:
    return str(int.from_bytes(data[:4], "little", signed=True))


def _label(call: Call, data: bytes) -> str:
    return _name(call, data)


def _asks(call: Call, addr: int) -> str:
    """The name of an interface that something is asked of."""
    data = peek(call, addr, _IFREQ)
    return f"{{ifr_name={_name(call, data)}" if data is not None else address(call, addr)


def _answers(field: str, show: Callable[[Call, bytes], str]) -> Callable[[Call, int], str]:
    """What it is, when the call has ended."""

    def answer(call: Call, addr: int) -> str:
        data = peek(call, addr, _IFREQ)
        if data is None:
            return ""
        return "}" if call.failed else f", {field}={show(call, data[_NAME:])}}}"

    return answer


def _sets(field: str, show: Callable[[Call, bytes], str]) -> Callable[[Call, int], str]:
    """A new property of an interface."""

    def setter(call: Call, addr: int) -> str:
        data = peek(call, addr, _IFREQ)
        if data is None:
            return address(call, addr)
        return f"{{ifr_name={_name(call, data)}, {field}={show(call, data[_NAME:])}}}"

    return setter


def _asks_name(call: Call, addr: int) -> str:
    data = peek(call, addr, _IFREQ)
    return f"{{ifr_ifindex={_int(data)}" if data is not None else address(call, addr)


def _answers_name(call: Call, addr: int) -> str:
    data = peek(call, addr, _IFREQ)
    if data is None:
        return ""
    return "}" if call.failed else f", ifr_name={_name(call, data)}}}"


def _room(length: int) -> str:
    return f"{length // _IFREQ} * sizeof(struct ifreq)" if length > 0 and not length % _IFREQ else ""


def _length(length: int) -> str:
    comment = _room(length)
    return f"{length} /* {comment} */" if comment else str(length)


def _list_before(call: Call, addr: int) -> str:
    data = peek(call, addr, _IFCONF.size)
    if data is None:
        return address(call, addr)
    length, buffer = _IFCONF.unpack(data)
    call.note = str(length)
    return f"{{ifc_len={length}" if buffer else "{ifc_len="


def _list_after(call: Call, addr: int) -> str:
    data = peek(call, addr, _IFCONF.size)
    if data is None:
        return ""
    length, buffer = _IFCONF.unpack(data)
    if not buffer:
        return f"{_length(length)}, ifc_buf=NULL}}"
    if call.failed:
        return f", ifc_buf={address(call, buffer)}}}"
    shown = min(max(length, 0) // _IFREQ, _INTERFACES)
    limit = min(shown, call.style.string_limit) if call.plan.abbrev else shown
    parts = []
    for place in range(limit):
        entry = call.read(buffer + place * _IFREQ, _IFREQ)
        if entry is None:
            break
        parts.append(f"{{ifr_name={_name(call, entry)}, ifr_addr={_socket_address(call, entry[_NAME:])}}}")
    if limit < shown:
        parts.append("...")
    return f" => {_length(length)}, ifc_buf=[{', '.join(parts)}]}}"


def _bridge(call: Call, addr: int) -> str:
    return string(call, addr, _STRING)


changes_it(_asks_name, _answers_name, 0x8910)
changes_it(_list_before, _list_after, 0x8912)
takes(_bridge, 0x89A0, 0x89A1)
takes(number(4, True), 0x8926)  # SIOCSIFENCAP
gives(number(4, True), 0x8925)  # SIOCGIFENCAP
takes(address, 0x8905, 0x8906, 0x8907, 0x890B, 0x890C, 0x890D, 0x8911, 0x891F, 0x8920)  # SIOCATMARK, ..., SIOCSIFMEM
takes(address, *range(0x8934, 0x8937), 0x8938, 0x8940, 0x8941, *range(0x8946, 0x894D))  # SIOCSIFPFLAGS, ..., SIOCGSKNS
takes(address, *range(0x8953, 0x8956), *range(0x8960, 0x8963), *range(0x8980, 0x8984))  # SIOCDARP, ..., SIOCSIFVLAN
takes(address, *range(0x8990, 0x8996), 0x89A2, 0x89A3, 0x89B0, 0x89B1)  # SIOCBONDENSLAVE, ..., SIOCGHWTSTAMP
for _get, _set, _field, _show in (
    (0x8913, 0x8914, "ifr_flags", _flags),
    (0x8915, 0x8916, "ifr_addr", _socket_address),
    (0x8917, 0x8918, "ifr_dstaddr", _socket_address),
    (0x8919, 0x891A, "ifr_broadaddr", _socket_address),
    (0x891B, 0x891C, "ifr_netmask", _socket_address),
    (0x891D, 0x891E, "ifr_metric", _number),
    (0x8921, 0x8922, "ifr_mtu", _number),
    (0x8927, 0x8924, "ifr_hwaddr", _hardware),
    (0x8929, 0x8930, "ifr_slave", _label),
    (0x8933, 0, "ifr_ifindex", _number),
    (0x8942, 0x8943, "ifr_qlen", _number),
    (0x8970, 0x8971, "ifr_map", _map),
    (0, 0x8923, "ifr_newname", _label),
    (0, 0x8937, "ifr_hwaddr", _hardware),
    (0, 0x8931, "ifr_hwaddr", _hardware),
    (0, 0x8932, "ifr_hwaddr", _hardware),
):
    if _get:
        changes_it(_asks, _answers(_field, _show), _get)
    if _set:
        takes(_sets(_field, _show), _set)
