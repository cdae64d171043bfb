"""Requests of block devices, loop devices, clocks and the random generator."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import ioctl_tables as tables
from linuxemu.trace.formats.basic import address, device, flags, hexadecimal, named, peek
from linuxemu.trace.formats.ioctls import (
    decimal,
    descriptor,
    gives,
    nothing,
    number,
    pointed,
    takes,
    unsigned,
)
from linuxemu.trace.formats.strings import bytes_at, quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call

_PARTITION_HEAD = Struct("<iii4xQ")
_PARTITION = Struct("<qqi64s64s4x")
_LOOP = Struct("<i4xQQQiiii64s32s2Q4s4x")
_LOOP64 = Struct("<QQQQQIIII64s64s32s2Q")
_LOOP_CONFIG = Struct("<II")
_TIME = Struct("<9i")
_PLL = Struct("<6iq")
_GEOMETRY = Struct("<BBH4xQ")
_POOL = Struct("<ii")


def _text(call: Call, data: bytes) -> str:
    return quote(data.split(b"\0", 1)[0], call.style.hex_strings)


def _packed(kind: Struct, show: Callable[[Call, bytes], str]) -> Callable[[Call, int], str]:
    def pointer(call: Call, addr: int) -> str:
        data = peek(call, addr, kind.size)
        return show(call, data) if data is not None else address(call, addr)

    return pointer


def _partition(call: Call, data: bytes) -> str:
    operation, flag, length, inner = _PARTITION_HEAD.unpack(data)
    raw = peek(call, inner, _PARTITION.size) if operation in tables.PARTITION_OPERATIONS else None
    if raw is None:
        text = address(call, inner)
    else:
        start, size, number_, devname, volname = _PARTITION.unpack(raw)
        text = (
            f"{{start={start}, length={size}, pno={number_}, devname={_text(call, devname)}, "
            f"volname={_text(call, volname)}}}"
        )
    name = named(call, operation, tables.PARTITION_OPERATIONS, "BLKPG_???")
    return f"{{op={name}, flags={flag}, datalen={length}, data={text}}}"


def _loop(call: Call, data: bytes) -> str:
    number_, dev, inode, rdev, offset, cipher, key_size, bits, name, key, first, second, _ = _LOOP.unpack(data)
    whole = not call.plan.abbrev
    text = f"{{lo_number={number_}"
    if whole:
        text += f", lo_device={device(call, dev)}, lo_inode={inode}, lo_rdevice={device(call, rdev)}"
    text += f", lo_offset={hexadecimal(offset & 0xFFFF_FFFF)}"
    if whole:
        text += _cipher(call, cipher, key_size)
    shown = flags(call, bits & 0xFFFF_FFFF, tables.LOOP_FLAGS, "LO_FLAGS_???")
    text += f", lo_flags={shown}, lo_name={_text(call, name)}"
    if not whole:
        return text + ", ...}"
    reserved = ", ".join(hexadecimal(byte) for byte in data[-8:-4])
    text += f", lo_encrypt_key={quote(key[: max(0, min(key_size, 32))], call.style.hex_strings)}"
    return f"{text}, lo_init=[{hexadecimal(first)}, {hexadecimal(second)}], reserved=[{reserved}]}}"


def _cipher(call: Call, cipher: int, key_size: int) -> str:
    name = named(call, cipher, tables.LOOP_CIPHERS, "LO_CRYPT_???")
    return f", lo_encrypt_type={name}, lo_encrypt_key_size={key_size}"


def _loop64(call: Call, data: bytes) -> str:
    dev, inode, rdev, offset, limit, number_, cipher, key_size, bits, *rest = _LOOP64.unpack(data)
    name, crypt, key, first, second = rest
    whole = not call.plan.abbrev
    text = "{"
    if whole:
        text += f"lo_device={device(call, dev)}, lo_inode={inode}, lo_rdevice={device(call, rdev)}, "
    text += f"lo_offset={hexadecimal(offset)}, "
    if whole:
        text += f"lo_sizelimit={limit}, "
    text += f"lo_number={number_}"
    if whole:
        text += _cipher(call, cipher, key_size)
    text += f", lo_flags={flags(call, bits, tables.LOOP_FLAGS, 'LO_FLAGS_???')}, lo_file_name={_text(call, name)}"
    if not whole:
        return text + ", ...}"
    text += f", lo_crypt_name={_text(call, crypt)}"
    text += f", lo_encrypt_key={quote(key[: min(key_size, 32)], call.style.hex_strings)}"
    return f"{text}, lo_init=[{hexadecimal(first)}, {hexadecimal(second)}]}}"


def _loop_config(call: Call, data: bytes) -> str:
    fd, size = _LOOP_CONFIG.unpack(data[:8])
    return f"{{fd={descriptor(call, fd)}, block_size={size}, info={_loop64(call, data[8:240])}}}"


def _time(call: Call, data: bytes) -> str:
    shown = 6 if call.plan.abbrev else 9
    names = ("sec", "min", "hour", "mday", "mon", "year", "wday", "yday", "isdst")
    parts = [f"tm_{name}={value}" for name, value in zip(names, _TIME.unpack(data), strict=True)][:shown]
    return "{" + ", ".join([*parts, "..."] if call.plan.abbrev else parts) + "}"


def _alarm(call: Call, data: bytes) -> str:
    return f"{{enabled={data[0]}, pending={data[1]}, time={_time(call, data[4:40])}}}"


def _pll(call: Call, data: bytes) -> str:
    names = ("ctrl", "value", "max", "min", "posmult", "negmult", "clock")
    return "{" + ", ".join(f"pll_{name}={part}" for name, part in zip(names, _PLL.unpack(data), strict=True)) + "}"


def _faults(call: Call, addr: int) -> str:
    def show(data: bytes) -> str:
        return flags(call, int.from_bytes(data, "little"), tables.CLOCK_FAULTS, "RTC_VL_???")

    return pointed(call, addr, 4, show)


def _geometry(call: Call, data: bytes) -> str:
    heads, sectors, cylinders, start = _GEOMETRY.unpack(data)
    return f"{{heads={heads}, sectors={sectors}, cylinders={cylinders}, start={start}}}"


def _entropy(call: Call, addr: int) -> str:
    data = peek(call, addr, _POOL.size)
    if data is None:
        return address(call, addr)
    count, size = _POOL.unpack(data)
    return f"{{entropy_count={count}, buf_size={size}, buf={bytes_at(call, addr + _POOL.size, size)}}}"


_INT, _UINT, _SHORT, _ULONG, _LONG = number(4, True), number(4), number(2), number(8), number(8, True)

takes(_INT, 0x125D, 0x40081271)  # BLKROSET, BLKBSZSET
gives(_INT, 0x125E, 0x1268, 0x80081270, 0x127A)  # BLKROGET, BLKSSZGET, BLKBSZGET, BLKALIGNOFF
gives(_UINT, 0x1278, 0x1279, 0x127B, 0x127C, 0x80041284, 0x80041285)  # BLKIOMIN ... BLKGETZONESZ, BLKGETNRZONES
gives(_SHORT, 0x1267, 0x127E)  # BLKSECTGET, BLKROTATIONAL
gives(_ULONG, 0x1260, 0x80081272)  # BLKGETSIZE, BLKGETSIZE64
gives(_LONG, 0x1263, 0x1265)  # BLKRAGET, BLKFRAGET
takes(unsigned, 0x1262, 0x1264)  # BLKRASET, BLKFRASET
takes(number(8, count=2), 0x1277, 0x127D, 0x127F)  # BLKDISCARD, BLKSECDISCARD, BLKZEROOUT
nothing(0x125F, 0x1261, 0x1274, 0x1275, 0x1276)  # BLKRRPART, BLKFLSBUF, BLKTRACESTART, ...STOP, ...TEARDOWN
takes(_packed(_PARTITION_HEAD, _partition), 0x1269)  # BLKPG

takes(descriptor, 0x4C00, 0x4C06)  # LOOP_SET_FD, LOOP_CHANGE_FD
nothing(0x4C01, 0x4C07, 0x4C82)  # LOOP_CLR_FD, LOOP_SET_CAPACITY, LOOP_CTL_GET_FREE
takes(unsigned, 0x4C08, 0x4C09)  # LOOP_SET_DIRECT_IO, LOOP_SET_BLOCK_SIZE
takes(decimal, 0x4C80, 0x4C81)  # LOOP_CTL_ADD, LOOP_CTL_REMOVE
takes(_packed(_LOOP, _loop), 0x4C02)  # LOOP_SET_STATUS
gives(_packed(_LOOP, _loop), 0x4C03)  # LOOP_GET_STATUS
takes(_packed(_LOOP64, _loop64), 0x4C04)  # LOOP_SET_STATUS64
gives(_packed(_LOOP64, _loop64), 0x4C05)  # LOOP_GET_STATUS64
takes(_packed(Struct("<304x"), _loop_config), 0x4C0A)  # LOOP_CONFIGURE

nothing(*range(0x7001, 0x7007), 0x700F, 0x7010, 0x7014)  # RTC_AIE_ON ... RTC_WIE_OFF, RTC_VL_CLR
takes(_packed(_TIME, _time), 0x4024700A, 0x40247007)  # RTC_SET_TIME, RTC_ALM_SET
gives(_packed(_TIME, _time), 0x80247009, 0x80247008)  # RTC_RD_TIME, RTC_ALM_READ
takes(_packed(Struct("<40x"), _alarm), 0x4028700F)  # RTC_WKALM_SET
gives(_packed(Struct("<40x"), _alarm), 0x80287010)  # RTC_WKALM_RD
takes(unsigned, 0x4008700C, 0x4008700E)  # RTC_IRQP_SET, RTC_EPOCH_SET
gives(_ULONG, 0x8008700B, 0x8008700D)  # RTC_IRQP_READ, RTC_EPOCH_READ
takes(_packed(_PLL, _pll), 0x40207012)  # RTC_PLL_SET
gives(_packed(_PLL, _pll), 0x80207011)  # RTC_PLL_GET
gives(_faults, 0x80047013)  # RTC_VL_READ

gives(_packed(_GEOMETRY, _geometry), 0x0301)  # HDIO_GETGEO
gives(_INT, 0x80045200)  # RNDGETENTCNT
takes(_INT, 0x40045201)  # RNDADDTOENTCNT
takes(_entropy, 0x40085203)  # RNDADDENTROPY
nothing(0x5204, 0x5206, 0x5207)  # RNDZAPENTCNT, RNDCLEARPOOL, RNDRESEEDCRNG
