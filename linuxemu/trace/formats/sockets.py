"""Sockets: their kinds and addresses."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import before, shows
from linuxemu.trace.formats.basic import address, fd, flags, follows, hexadecimal, peek
from linuxemu.trace.formats.choices import bits, choice, hex_list, macs
from linuxemu.trace.formats.strings import quote
from syscalls.abi.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_TYPE_MASK = 0xF
_STORAGE = 128
"""sizeof(struct sockaddr_storage): no address is longer."""
_PROTOCOLS = {
    2: "IPPROTO_", 3: "AX25_P_", 10: "IPPROTO_", 16: "NETLINK_protocols", 23: "IRDAPROTO_", 29: "CAN_", 31: "BTPROTO_",
    33: "AF_", 34: "ISDN_P_", 35: "PN_PROTO_", 37: "CAIFPROTO_", 39: "NFC_SOCKPROTO_", 41: "KCMPROTO_", 43: "SMCPROTO_",
}  # fmt: skip
_PACKET = 17


@shows("socket_type")
def socket_type(call: Call, value: int, arg: Arg) -> str:
    """A socket's type with flags for its descriptor."""
    names, unknown = table("SOCK_flags")
    kind, rest = value & _TYPE_MASK, value & ~_TYPE_MASK
    if kind not in table("SOCK_").names:
        return flags(call, value, names, unknown)
    text = choice(call, kind, "SOCK_")
    return f"{text}|{flags(call, rest, names, unknown)}" if rest else text


@shows("protocol")
def protocol(call: Call, value: int, arg: Arg) -> str:
    """A protocol of the socket's family."""
    family = call.argument("domain")
    if family == _PACKET:
        return f"htons({choice(call, _swapped(value & 0xFFFF), 'ETH_P_')})"
    name = _PROTOCOLS.get(family)
    return choice(call, value, name) if name else str(value)


# -- addresses ---------------------------------------------------------------------------------------------------


@shows("sockaddr")
def sockaddr(call: Call, addr: int, arg: Arg) -> str:
    """An address that the caller gives."""
    return sockaddr_at(call, addr, call.argument(arg.length)) if follows(call, addr, arg) else address(call, addr)


def sockaddr_at(call: Call, addr: int, length: int) -> str:
    """The address of `length` bytes at a pointer."""
    if length < 2 or not addr:
        return address(call, addr)
    data = call.read(addr, min(length, _STORAGE))
    return sockaddr_text(call, data) if data is not None else address(call, addr)


def sockaddr_text(call: Call, data: bytes) -> str:
    """A struct sockaddr of any family: two bytes of family and what belongs to it."""
    family = int.from_bytes(data[:2], "little")
    shortest, show = _FAMILIES.get(family, (0, None))
    head = f"sa_family={choice(call, family, 'AF_')}"
    if len(data) == 2:
        return f"{{{head}}}"
    if show is None or len(data) < shortest:
        return f"{{{head}, sa_data={quote(data[2:], call.style.hex_strings)}}}"
    return f"{{{head}, {show(call, data)}}}"


def _unix(call: Call, data: bytes) -> str:
    path = data[2:110]
    if path[0]:
        return f"sun_path={quote(path.split(bytes(1), 1)[0], call.style.hex_strings)}"
    return f"sun_path=@{quote(path[1:], call.style.hex_strings)}"


def _inet(call: Call, data: bytes) -> str:
    port = int.from_bytes(data[2:4], "big")
    return f"sin_port=htons({port}), sin_addr={inet(data[4:8])}"


def inet(data: bytes) -> str:
    """An IPv4 address."""
    return f'inet_addr("{dotted(data)}")'


def dotted(data: bytes) -> str:
    """Four bytes in decimal with dots between them."""
    return ".".join(str(byte) for byte in data)


def _inet6(call: Call, data: bytes) -> str:
    port, flow = int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:8], "big")
    text = f"sin6_port=htons({port}), sin6_flowinfo=htonl({flow}), {inet6(data[8:24], 'sin6_addr')}"
    if len(data) == 24:
        return text
    scope = int.from_bytes(data[24:28], "little")
    local = (data[8] == 0xFE and data[9] & 0xC0 == 0x80) or (data[8] == 0xFF and data[9] & 0xF == 2)
    return f"{text}, sin6_scope_id={interface(scope) if local else scope}"


def inet6(data: bytes, field: str) -> str:
    """An IPv6 address, as the call that makes one for a field."""
    return f'inet_pton(AF_INET6, "{_groups(data)}", &{field})'


def _groups(data: bytes) -> str:
    """The shortest text of an IPv6 address, as inet_ntop(3) has it."""
    if not any(data[:10]) and (data[10:12] == b"\xff\xff" or (not any(data[10:12]) and any(data[12:14]))):
        return ("::ffff:" if data[10] else "::") + dotted(data[12:])
    numbers = struct.unpack(">8H", data)
    start, length = 0, 0
    for at in range(8):
        run = next((n for n, number in enumerate(numbers[at:]) if number), 8 - at)
        if run > length:
            start, length = at, run
    texts = [f"{number:x}" for number in numbers]
    if length < 2:
        return ":".join(texts)
    return f"{':'.join(texts[:start])}::{':'.join(texts[start + length :])}"


def interface(index: int) -> str:
    """A network interface by its index: there is only the loopback one."""
    return 'if_nametoindex("lo")' if index == 1 else str(index)


def _netlink(call: Call, data: bytes) -> str:
    pad, pid, groups = struct.unpack_from("<HiI", data, 2)
    return (f"nl_pad={hexadecimal(pad)}, " if pad else "") + f"nl_pid={pid}, nl_groups={_wide(groups)}"


def _wide(value: int) -> str:
    """What printf's %#08x makes of a number."""
    return f"{value:#08x}" if value else "00000000"


def _packet(call: Call, data: bytes) -> str:
    protocol, index, kind, direction, length = struct.unpack_from("<HiHBB", data, 2)
    text = (
        f"sll_protocol=htons({choice(call, _swapped(protocol), 'ETH_P_')}), sll_ifindex={interface(index)}, "
        f"sll_hatype={choice(call, kind, 'ARPHRD_')}, sll_pkttype={choice(call, direction, 'PACKET_types')}, "
        f"sll_halen={length}"
    )
    hardware = data[12 : 12 + min(length, 8)]
    if not hardware:
        return text
    shown = hex_list(hardware)
    return f"{text}, sll_addr={shown[:-1] + ', ...]' if length > 8 else shown}"


def _swapped(value: int) -> int:
    return value >> 8 | (value & 0xFF) << 8


def _bluetooth(call: Call, data: bytes) -> str:
    if len(data) == 6:
        dev, channel = struct.unpack_from("<HH", data, 2)
        return f"hci_dev=htobs({dev}), hci_channel={choice(call, channel, 'HCI_CHANNEL_')}"
    if len(data) == 8:
        return f"sco_bdaddr={macs(data[2:8])}"
    if len(data) == 10:
        return f"rc_bdaddr={macs(data[2:8])}, rc_channel={data[8]}"
    if len(data) != 14:
        return f"sa_data={quote(data[2:], call.style.hex_strings)}"
    psm, cid, kind = struct.unpack_from("<H6xHB", data, 2)
    return (
        f"l2_psm=htobs({_dynamic(call, psm, 'L2CAP_PSM_')}), l2_bdaddr={macs(data[4:10])}, "
        f"l2_cid=htobs({_dynamic(call, cid, 'L2CAP_CID_')}), l2_bdaddr_type={choice(call, kind, 'BDADDR_')}"
    )


_RANGES = {
    "L2CAP_PSM_": (("L2CAP_PSM_LE_DYN", 0x80, 0xFF), ("L2CAP_PSM_DYN", 0x1001, 0xFFFF)),
    "L2CAP_CID_": (("L2CAP_CID_DYN", 0x40, 0xFFFF),),
}  # fmt: skip


def _dynamic(call: Call, value: int, name: str) -> str:
    """A channel or service of Bluetooth, from a range if it has no name."""
    names = table(name).names
    for prefix, first, last in _RANGES[name]:
        odd = name == "L2CAP_CID_" or prefix.endswith("LE_DYN") or value & 1
        if first <= value <= last and odd and value not in names:
            end = f"{prefix}_END" if value == last else f"{prefix}_START+{value - first}"
            return f"{prefix}_START" if value == first else end
    return choice(call, value, name)


def _vsock(call: Call, data: bytes) -> str:
    reserved, port, cid, flag_bits = struct.unpack_from("<HIIB", data, 2)
    text = f"svm_reserved1={hexadecimal(reserved)}, " if reserved else ""
    cid_text = table("VMADDR_CID_").names.get(cid) or str(cid)
    return f"{text}svm_cid={cid_text}, svm_port={hexadecimal(port)}, svm_flags={bits(call, flag_bits, 'VMADDR_FLAG_')}"


def _alg(call: Call, data: bytes) -> str:
    feat, mask = struct.unpack_from("<II", data, 16)
    return (
        f"salg_type={_fixed(call, data[2:16], 14)}, salg_feat={_algorithms(call, feat)}, "
        f"salg_mask={_algorithms(call, mask)}, salg_name={_fixed(call, data[24:], len(data) - 24)}"
    )


def _algorithms(call: Call, value: int) -> str:
    text = bits(call, value, "CRYPTO_ALG_")
    return f"{hexadecimal(value)} /* {text} */" if text.startswith("C") else text


def _fixed(call: Call, data: bytes, size: int) -> str:
    """A string in a field; one that fills it is cut, for its last byte should be NUL."""
    end = data.find(0, 0, size)
    shown = quote(data[:end] if end >= 0 else data[: size - 1], call.style.hex_strings)
    return shown if end >= 0 else f"{shown}..."


def _xdp(call: Call, data: bytes) -> str:
    flag_bits, index, queue, umem = struct.unpack_from("<HIII", data, 2)
    shared = fd(call, umem) if flag_bits & 1 else hexadecimal(umem)
    return (
        f"sxdp_flags={bits(call, flag_bits, 'XDP_flags')}, sxdp_ifindex={interface(index)}, sxdp_queue_id={queue}, "
        f"sxdp_shared_umem_fd={shared}"
    )


def _ipx(call: Call, data: bytes) -> str:
    port, network = struct.unpack_from(">HI", data, 2)
    return (
        f"sipx_port=htons({port}), sipx_network=htonl({hexadecimal(network)}), "
        f"sipx_node={hex_list(data[8:14])}, sipx_type={hexadecimal(data[14])}"
    )


_FAMILIES: dict[int, tuple[int, Callable[[Call, bytes], str]]] = {
    1: (3, _unix), 2: (16, _inet), 4: (16, _ipx), 10: (24, _inet6), 16: (12, _netlink), _PACKET: (20, _packet),
    31: (6, _bluetooth), 38: (25, _alg), 40: (16, _vsock), 44: (16, _xdp),
}  # fmt: skip
"""Of each family the size of its shortest address and what shows what follows the family."""


# -- addresses that the kernel fills -----------------------------------------------------------------------------


@before("peer_length", "option_length")
def note_length(call: Call, addr: int, arg: Arg) -> None:
    """Remember the size of the buffer that the caller gives."""
    data = peek(call, addr, 4)
    call.note = str(int.from_bytes(data, "little", signed=True)) if data is not None else ""


def _length(call: Call, addr: int) -> int | None:
    """The length that the kernel gives, or the caller's if it failed; None where there is none."""
    if not call.note:
        return None
    if call.failed:
        return int(call.note)
    data = call.read(addr, 4)
    return int.from_bytes(data, "little", signed=True) if data is not None else None


@shows("peer")
def peer(call: Call, addr: int, arg: Arg) -> str:
    """An address that the kernel gives, as much of it as there is room for."""
    length = _length(call, call.argument(arg.length)) if addr and not call.failed else None
    if length is None:
        return address(call, addr)
    return sockaddr_at(call, addr, min(length, int(call.note)))


@shows("peer_length")
def peer_length(call: Call, addr: int, arg: Arg) -> str:
    """The room for an address, and how long the address is if that is another number."""
    length = _length(call, addr)
    if length is None or not call.args[call.plan.index[_ADDRESS_OF.get(call.plan.name, "addr")]]:
        return address(call, addr)
    given = int(call.note)
    return f"[{given} => {length}]" if length != given else f"[{length}]"


_ADDRESS_OF = {"recvfrom": "src_addr"}


@shows("option_length")
def option_length(call: Call, addr: int, arg: Arg) -> str:
    """The room for an option's value, and how long the value is if that is another number."""
    length = _length(call, addr)
    if length is None:
        return address(call, addr)
    given = int(call.note)
    return f"[{given} => {length}]" if length != given else f"[{length}]"
