"""Tables of ELF files that say where functions are: symbols, unwind information, Go's own table.

They are read with `struct`: there are tens of thousands of entries, of which only a field or two matter.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

_FUNCTION = 2  # STT_FUNC
_NO_TYPE = 0  # STT_NOTYPE: what assembler sources define
_INDIRECT = 10  # STT_GNU_IFUNC
_RELATIVE_INT32 = 0x1B  # DW_EH_PE_pcrel | DW_EH_PE_sdata4, which is what compilers write for x86-64
_GO_MAGICS = (0xFFFFFFF0, 0xFFFFFFF1)  # since Go 1.18, since Go 1.20
_GO_HEADER = "<IHBB8Q"
_RUST = re.compile(r"_ZN(.+)17h[0-9a-f]{16}E(?:\..*)?")
_RUST_SIGN = re.compile(r"\$(LT|GT|LP|RP|RF|BP|SP|C|u[0-9a-f]{2})\$")
_RUST_SIGNS = {"LT": "<", "GT": ">", "LP": "(", "RP": ")", "RF": "&", "BP": "*", "SP": "@", "C": ","}


class Function(NamedTuple):
    """What a table says of a function; no name and no size where it does not know."""

    start: int
    size: int
    name: str


def symbol_functions(symbols: bytes, strings: bytes) -> list[Function]:
    """The functions of a symbol table; of several names for one address the plainest comes first."""
    found = []
    whole = len(symbols) // 24 * 24
    for name_at, info, _, index, value, size in struct.iter_unpack("<IBBHQQ", symbols[:whole]):
        kind = info & 15
        if index == 0 or kind not in (_FUNCTION, _NO_TYPE, _INDIRECT):
            continue
        name = _text(strings, name_at)
        if name.startswith("_ZN"):
            name = _rust_path(name)
        if name and (kind != _NO_TYPE or not name.startswith((".", "$"))):
            found.append(Function(value, size, name))
    return sorted(found, key=lambda f: (len(f.name) - len(f.name.lstrip("_")), len(f.name), f.name))


def _text(data: bytes, start: int) -> str:
    """The name at a place, fit for a terminal."""
    name = data[start : data.find(b"\0", start)].decode("utf-8", "replace")
    return name if name.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in name)


def _rust_path(symbol: str) -> str:
    """`std::io::stdio::print` for `_ZN3std2io5stdio5print17h0123456789abcdefE`; other names as they are."""
    match = _RUST.fullmatch(symbol)
    if match is None:
        return symbol
    rest, words = match[1], []
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        end = digits + int(rest[:digits] or "0")
        if not digits or end > len(rest):
            return symbol
        words.append(
            rest[digits:end].removeprefix("_") if rest[digits:].startswith("_$") else rest[digits:end]
        )
        rest = rest[end:]
    path = "::".join(words).replace("..", "::")
    return _RUST_SIGN.sub(lambda sign: _RUST_SIGNS.get(sign[1]) or chr(int(sign[1][1:], 16)), path)


def frame_functions(address: int, data: bytes) -> list[Function]:
    """The ranges that `.eh_frame` describes: one per function, or per part of a split one."""
    found = []
    common: dict[int, int] = {}  # of common entries whose pointers we can read: what to add to a start
    position = 0
    while position + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, position)
        if length == 0xFFFFFFFF or position + 4 + length > len(data):
            break
        if length < 4:
            position += 4 + length
            continue
        (back,) = struct.unpack_from("<I", data, position + 4)
        if back == 0:
            entry = data[position + 8 : position + 4 + length]
            if _pointer_encoding(entry) == _RELATIVE_INT32:
                # A signal's return is said to begin a byte early, for unwinders look up the byte before.
                common[position] = int(b"S" in entry[: entry.find(b"\0", 1)])
        elif position + 4 - back in common and length >= 12:
            early = common[position + 4 - back]
            offset, size = struct.unpack_from("<iI", data, position + 8)
            found.append(Function(address + position + 8 + offset + early, size - early, ""))
        position += 4 + length
    return found


def _pointer_encoding(entry: bytes) -> int:
    """How the pointers of a common information entry are written; -1 if it does not say."""
    end = entry.find(b"\0", 1)
    letters = entry[1:end]
    if not letters.startswith(b"z"):
        return -1
    rest = iter(entry[end + 1 :])
    for _ in range(4):  # alignment of code and of data, register of the return address, length: all LEB128
        while next(rest, 0) & 0x80:
            pass
    for letter in letters[1:]:
        if letter == ord("R"):
            return next(rest, -1)
        if letter == ord("P"):
            size = {2: 2, 3: 4, 4: 8}.get(next(rest, 0) & 7, 8)
            for _ in range(size):
                next(rest, 0)
        elif letter == ord("L"):
            next(rest, 0)
    return -1


def go_functions(table: bytes, text: int) -> list[Function]:
    """The functions of a Go program's `.gopclntab`.

    Args:
        table: the section.
        text: where the code begins, for those versions of Go whose table does not say.
    """
    if len(table) < struct.calcsize(_GO_HEADER):
        return []
    magic, _, _, pointer, count, _, base, names, _, _, _, entries = struct.unpack_from(_GO_HEADER, table)
    if magic not in _GO_MAGICS or pointer != 8 or entries + 8 * count + 4 > len(table):
        return []
    words = struct.unpack_from(f"<{2 * count + 1}I", table, entries)
    starts = words[::2]
    found = []
    for start, end, info in zip(starts, starts[1:], words[1::2]):
        (name_at,) = struct.unpack_from("<I", table, entries + info + 4)
        found.append(Function((base or text) + start, end - start, _text(table, names + name_at)))
    return found
