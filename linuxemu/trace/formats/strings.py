"""Strings, paths and buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import ARRAY_MAX, address
from syscalls.abi.flags import XATTR_SIZE_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_PATH_MAX = 4096
_PAGE = 4096
_ESCAPES = {9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
_PLAIN = frozenset(range(0x20, 0x7F)) - {34, 92}
_DIGITS = frozenset(b"01234567")
_TRIVIAL = bytes(_PLAIN)


def quote(data: bytes, hex_strings: str = "") -> str:
    """Bytes in double quotes, with the escapes of C; in hexadecimal as -x and -xx say."""
    if hex_strings == "all" or (hex_strings and any(byte not in _PLAIN and byte not in _ESCAPES for byte in data)):
        return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'
    if not data.translate(None, _TRIVIAL):
        return f'"{data.decode("ascii")}"'
    parts = []
    for position, byte in enumerate(data):
        if byte in _PLAIN:
            parts.append(chr(byte))
        elif byte in _ESCAPES:
            parts.append(_ESCAPES[byte])
        elif data[position + 1 : position + 2] and data[position + 1] in _DIGITS:
            parts.append(f"\\{byte:03o}")
        else:
            parts.append(f"\\{byte:o}")
    return '"' + "".join(parts) + '"'


def text(call: Call, data: bytes, whole: bool = True) -> str:
    """Bytes as -s, -x and -xx show them, with "..." where something is left out."""
    limit = call.style.string_limit
    cut = len(data) > limit
    shown = quote(data[:limit] if cut else data, call.style.hex_strings)
    return shown if whole and not cut else shown + "..."


def path_text(call: Call, data: bytes) -> str:
    """A path; -s does not cut it."""
    return quote(data, call.style.hex_strings)


@shows("path")
def path(call: Call, addr: int, arg: Arg) -> str:
    """A path name."""
    if not addr:
        return "NULL"
    found = call.cstr(addr, _PATH_MAX - 1)
    if found is None:
        return address(call, addr)
    data, ended = found
    return path_text(call, data) + ("" if ended else "...")


@shows("str")
def string(call: Call, addr: int, arg: Arg) -> str:
    """A string that ends with a NUL."""
    if not addr:
        return "NULL"
    found = call.cstr(addr, call.style.string_limit)
    if found is None:
        return address(call, addr)
    data, ended = found
    return text(call, data, ended)


@shows("buffer")
def buffer(call: Call, addr: int, arg: Arg) -> str:
    """A buffer of `arg.length` bytes; like strings, -e verbose=none shows it too."""
    if not addr or (arg.direction == "out" and call.failed):
        return address(call, addr)
    return bytes_at(call, addr, call.argument(arg.length))


@shows("xattr_value")
def xattr_value(call: Call, addr: int, arg: Arg) -> str:
    """A buffer that may be a string: a NUL at the end of what is shown is left out, and so is what follows it.
    Not so in hexadecimal, in which such a string is shown under -x and -xx.

    One that is longer than any value may be is not shown.
    """
    if call.argument(arg.length) > XATTR_SIZE_MAX:
        return address(call, addr)
    shown = buffer(call, addr, arg)
    count = min(call.argument(arg.length), call.style.string_limit)
    if not shown.startswith('"') or count <= 0 or call.style.hex_strings:
        return shown
    data = call.read(addr, count) or b""
    return quote(data[:-1]) if data.endswith(b"\0") else shown


@shows("xattr_list")
def xattr_list(call: Call, addr: int, arg: Arg) -> str:
    """Names of attributes, each with its NUL; not shown if only their length was asked for."""
    return buffer(call, addr, arg) if call.argument("size") else address(call, addr)


def bytes_at(call: Call, addr: int, count: int, hex_strings: str | None = None) -> str:
    """`count` bytes of memory as a string; see `quote`, which -x and -xx decide about if nothing is said."""
    if count < 0:
        return address(call, addr)
    shown = min(count, call.style.string_limit)
    data = call.read(addr, shown)
    if data is None:
        return address(call, addr)
    text = quote(data, call.style.hex_strings if hex_strings is None else hex_strings)
    return text + ("..." if shown < count else "")


def beyond(call: Call, addr: int, known: int, size: int) -> str:
    """What a structure has behind its known part: its bytes unless all are 0, ??? if it cannot be read.

    At most a page of it is looked at, as the kernel takes no more.
    """
    if size <= known:
        return ""
    size = min(size, _PAGE)
    data = call.read(addr + known, size - known)
    if data is None:
        return ", ???"
    if not any(data):
        return ""
    shown = call.style.string_limit
    return f", /* bytes {known}..{size - 1} */ {quote(data[:shown], 'all')}{'...' if len(data) > shown else ''}"


def strings(call: Call, addr: int) -> str:
    """An array of strings that ends with NULL, such as the arguments of execve(2); 4096 of them with -v."""
    if not addr:
        return "NULL"
    parts: list[str] = [] if call.partial is None else call.partial.setdefault(addr, [])
    addr += 8 * len(parts)
    limit = call.style.string_limit if call.plan.abbrev else ARRAY_MAX
    while True:
        word = call.read(addr, 8)
        if word is None:
            return f"[{', '.join([*parts, f'... /* {addr:#x} */'])}]" if parts else address(call, addr)
        pointer = int.from_bytes(word, "little")
        if not pointer:
            return f"[{', '.join(parts)}]"
        if len(parts) == limit:
            return f"[{', '.join([*parts, '...'])}]"
        found = call.cstr(pointer, call.style.string_limit)
        parts.append(address(call, pointer) if found is None else text(call, *found))
        addr += 8


def words(call: Call, values: Sequence[bytes]) -> str:
    """Strings as an array of strings is shown."""
    limit = call.style.string_limit if call.plan.abbrev else len(values)
    parts = [text(call, value) for value in values[:limit]]
    return f"[{', '.join([*parts, '...'] if limit < len(values) else parts)}]"
