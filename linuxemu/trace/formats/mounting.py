"""The calls that configure file systems and mounts step by step, file handles, Landlock."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import before, shows
from linuxemu.trace.formats.basic import address, dirfd, fd, follows, peek
from linuxemu.trace.formats.choices import bits, choice, pointed
from linuxemu.trace.formats.strings import beyond, bytes_at, path, quote, string
from syscalls.abi.tables import table

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_FLAG, _STRING, _BINARY, _PATH, _PATH_EMPTY, _FD = range(6)
_WITH_KEY = frozenset(range(6))
_BLOB_LIMIT = 1024 * 1024
_HANDLE_LIMIT = 128
_ATTRIBUTES = 32


@shows("fsconfig_key")
def fsconfig_key(call: Call, addr: int, arg: Arg) -> str:
    """The name of a parameter, for the commands that set one."""
    return string(call, addr, arg) if call.argument("cmd") in _WITH_KEY else address(call, addr)


@shows("fsconfig_value")
def fsconfig_value(call: Call, addr: int, arg: Arg) -> str:
    """The value of a parameter: a string, a path or bytes."""
    command = call.argument("cmd")
    if command == _STRING:
        return string(call, addr, arg)
    if command in (_PATH, _PATH_EMPTY):
        return path(call, addr, arg)
    if command == _BINARY and addr and call.argument("aux") <= _BLOB_LIMIT:
        return bytes_at(call, addr, call.argument("aux"), "all")
    return address(call, addr)


@shows("fsconfig_aux")
def fsconfig_aux(call: Call, value: int, arg: Arg) -> str:
    """A length, or the directory that a path starts at."""
    command = call.argument("cmd")
    if command in (_PATH, _PATH_EMPTY):
        return dirfd(call, value, arg)
    return fd(call, value) if command == _FD else str(value)


@shows("mount_attr")
def mount_attr(call: Call, addr: int, arg: Arg) -> str:
    """A struct mount_attr, and what stands behind the part that is known."""
    size = call.argument(arg.length)
    if size < _ATTRIBUTES:
        return address(call, addr)

    def show(data: bytes) -> str:
        given, cleared, propagation, userns = struct.unpack("<4Q", data)
        kind = choice(call, propagation, "MS_propagation")
        if userns >> 63:
            namespace = str(userns)
        else:
            namespace = fd(call, userns)
        text = (
            f"attr_set={bits(call, given, 'MOUNT_ATTR_set')}, attr_clr={bits(call, cleared, 'MOUNT_ATTR_set')}, "
            f"propagation={kind}, userns_fd={namespace}"
        )
        return f"{{{text}{beyond(call, addr, _ATTRIBUTES, size)}}}"

    return pointed(call, addr, arg, _ATTRIBUTES, show)


# -- file handles ------------------------------------------------------------------------------------------------


@before("file_handle")
def note_room(call: Call, addr: int, arg: Arg) -> None:
    """Remember the room for a handle."""
    data = peek(call, addr, 4)
    call.note = str(int.from_bytes(data, "little")) if data is not None else ""


@shows("file_handle")
def file_handle(call: Call, addr: int, arg: Arg) -> str:
    """A handle that the kernel gives; of one that it does not give the room for it."""
    if not call.note:
        return address(call, addr)
    room = int(call.note)
    data = call.read(addr, 8)
    if data is None:
        return address(call, addr)
    size, kind = struct.unpack("<Ii", data)
    length = f"handle_bytes={room}" + (f" => {size}" if size != room else "")
    if call.failed:
        return f"{{{length}}}"
    return f"{{{length}, handle_type={kind}, f_handle={_handle(call, addr + 8, size)}}}"


@shows("known_handle")
def known_handle(call: Call, addr: int, arg: Arg) -> str:
    """A handle."""

    def show(data: bytes) -> str:
        size, kind = struct.unpack("<Ii", data)
        return f"{{handle_bytes={size}, handle_type={kind}, f_handle={_handle(call, addr + 8, size)}}}"

    return pointed(call, addr, arg, 8, show)


def _handle(call: Call, addr: int, size: int) -> str:
    shown = min(size, _HANDLE_LIMIT)
    data = call.read(addr, shown)
    if data is None:
        return address(call, addr)
    return quote(data, "all") + ("..." if shown < size else "")


# -- Landlock ----------------------------------------------------------------------------------------------------


@shows("landlock_ruleset")
def landlock_ruleset(call: Call, addr: int, arg: Arg) -> str:
    """A struct landlock_ruleset_attr."""
    size = call.argument(arg.length)
    if size < 8:
        return address(call, addr)

    def show(data: bytes) -> str:
        access = bits(call, int.from_bytes(data, "little"), "LANDLOCK_ACCESS_FS_")
        return f"{{handled_access_fs={access}{', ...' if size > 8 else ''}}}"

    return pointed(call, addr, arg, 8, show)


@shows("landlock_rule")
def landlock_rule(call: Call, addr: int, arg: Arg) -> str:
    """A rule of a known type."""
    if call.argument("rule_type") not in table("LANDLOCK_RULE_").names or not follows(call, addr, arg):
        return address(call, addr)

    def show(data: bytes) -> str:
        access, parent = struct.unpack("<Qi", data)
        return f"{{allowed_access={bits(call, access, 'LANDLOCK_ACCESS_FS_')}, parent_fd={fd(call, parent)}}}"

    return pointed(call, addr, arg, 12, show)
