"""Requests of file systems: clones, flags of inodes, extents."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import ioctl_tables as tables
from linuxemu.trace.formats.basic import address, array, fd, flags, hexadecimal, peek
from linuxemu.trace.formats.ioctls import changes_it, descriptor, gives, pointed, takes
from linuxemu.trace.formats.strings import quote, text

if TYPE_CHECKING:
    from linuxemu.trace.call import Call

_CLONE = Struct("<qQQQ")
_DEDUPE, _DEDUPE_INFO = Struct("<QQH6x"), Struct("<qQQiI")
_TRIM = Struct("<QQQ")
_FIEMAP, _EXTENT = Struct("<QQIIII"), Struct("<QQQ16xI12x")
_XATTR = Struct("<IIIII8x")
_LABEL_MAX = 256


def _clone(call: Call, addr: int) -> str:
    data = peek(call, addr, _CLONE.size)
    if data is None:
        return address(call, addr)
    source, offset, length, target = _CLONE.unpack(data)
    return f"{{src_fd={fd(call, source)}, src_offset={offset}, src_length={length}, dest_offset={target}}}"


def _dedupe(call: Call, addr: int) -> str:
    data = peek(call, addr, _DEDUPE.size)
    if data is None:
        return address(call, addr)
    offset, length, count = _DEDUPE.unpack(data)

    def one(entry: bytes) -> str:
        target, at, _, _, _ = _DEDUPE_INFO.unpack(entry)
        return f"{{dest_fd={fd(call, target)}, dest_offset={at}}}"

    info = array(call, addr + _DEDUPE.size, count, _DEDUPE_INFO.size, one)
    return f"{{src_offset={offset}, src_length={length}, dest_count={count}, info={info}}}"


def _deduped(call: Call, addr: int) -> str:
    data = None if call.failed else peek(call, addr, _DEDUPE.size)
    if data is None:
        return ""

    def one(entry: bytes) -> str:
        _, _, done, status, _ = _DEDUPE_INFO.unpack(entry)
        return f"{{bytes_deduped={done}, status={status}}}"

    info = array(call, addr + _DEDUPE.size, _DEDUPE.unpack(data)[2], _DEDUPE_INFO.size, one)
    return f" => {{info={info}}}"


def _trim(call: Call, addr: int) -> str:
    data = peek(call, addr, _TRIM.size)
    if data is None:
        return address(call, addr)
    start, length, minimum = _TRIM.unpack(data)
    return f"{{start={hexadecimal(start)}, len={length}, minlen={minimum}}}"


def _trimmed(call: Call, addr: int) -> str:
    return "" if call.failed else f" => {_trim(call, addr)}"


def _fiemap(call: Call, addr: int) -> str:
    data = peek(call, addr, _FIEMAP.size)
    if data is None:
        return address(call, addr)
    start, length, bits, _, count, _ = _FIEMAP.unpack(data)
    shown = flags(call, bits, tables.FIEMAP_FLAGS, "FIEMAP_FLAG_???")
    return f"{{fm_start={start}, fm_length={length}, fm_flags={shown}, fm_extent_count={count}}}"


def _mapped(call: Call, addr: int) -> str:
    data = None if call.failed else peek(call, addr, _FIEMAP.size)
    if data is None:
        return ""
    _, _, bits, mapped, _, _ = _FIEMAP.unpack(data)
    head = f" => {{fm_flags={flags(call, bits, tables.FIEMAP_FLAGS, 'FIEMAP_FLAG_???')}, fm_mapped_extents={mapped}, "
    if call.plan.abbrev:
        return head + "...}"
    extents = array(call, addr + _FIEMAP.size, mapped, _EXTENT.size, lambda data: _extent(call, data))
    return f"{head}fm_extents={extents}}}"


def _extent(call: Call, data: bytes) -> str:
    logical, physical, length, bits = _EXTENT.unpack(data)
    shown = flags(call, bits, tables.EXTENT_FLAGS, "FIEMAP_EXTENT_???")
    return f"{{fe_logical={logical}, fe_physical={physical}, fe_length={length}, fe_flags={shown}}}"


def _inode_flags(call: Call, addr: int) -> str:
    def show(data: bytes) -> str:
        return flags(call, int.from_bytes(data, "little"), tables.INODE_FLAGS, "FS_???_FL")

    return pointed(call, addr, 4, show)


def _extended(call: Call, addr: int, extents: bool) -> str:
    data = peek(call, addr, _XATTR.size)
    if data is None:
        return address(call, addr)
    bits, size, count, project, cow = _XATTR.unpack(data)
    shown = flags(call, bits, tables.EXTENDED_FLAGS, "FS_XFLAG_???")
    between = f", fsx_nextents={count}" if extents else ""
    return (
        f"{{fsx_xflags={shown}, fsx_extsize={size}{between}, fsx_projid={hexadecimal(project)}, "
        f"fsx_cowextsize={cow}}}"
    )


def _label(call: Call, addr: int) -> str:
    found = call.cstr(addr, _LABEL_MAX - 1) if addr else None
    if found is None:
        return address(call, addr)
    return text(call, *found) if found[1] else quote(found[0][: call.style.string_limit]) + "..."


takes(descriptor, 0x40049409)  # FICLONE
takes(_clone, 0x4020940D)  # FICLONERANGE
changes_it(_dedupe, _deduped, 0xC0189436)  # FIDEDUPERANGE
changes_it(_trim, _trimmed, 0xC0185879)  # FITRIM
changes_it(_fiemap, _mapped, 0xC020660B)  # FS_IOC_FIEMAP
gives(_inode_flags, 0x80086601, 0x80046601)  # FS_IOC_GETFLAGS, FS_IOC32_GETFLAGS
takes(_inode_flags, 0x40086602, 0x40046602)  # FS_IOC_SETFLAGS, FS_IOC32_SETFLAGS
gives(lambda call, addr: _extended(call, addr, True), 0x801C581F)  # FS_IOC_FSGETXATTR
takes(lambda call, addr: _extended(call, addr, False), 0x401C5820)  # FS_IOC_FSSETXATTR
gives(_label, 0x81009431)  # FS_IOC_GETFSLABEL
takes(_label, 0x41009432)  # FS_IOC_SETFSLABEL
