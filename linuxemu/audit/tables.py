"""Tables of ELF files that say where functions are: symbols, unwind information, Go's own table.

They are read with `struct`: there are tens of thousands of entries, of which only a field or two matter.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from loader.frames import CallFrames
from loader.symbols import STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, defined, name_at

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
    for place, kind, value, size in defined(symbols):
        if kind not in (STT_FUNC, STT_NOTYPE, STT_GNU_IFUNC):
            continue
        name = name_at(strings, place)
        if name.startswith("_ZN"):
            name = _rust_path(name)
        if name and (kind != STT_NOTYPE or not name.startswith((".", "$"))):
            found.append(Function(value, size, name))
    return sorted(found, key=lambda f: (len(f.name) - len(f.name.lstrip("_")), len(f.name), f.name))


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
    # A signal's return is said to begin a byte early, for unwinders look up the byte before.
    return [
        Function(start + signal, size - signal, "")
        for start, size, _, signal in CallFrames(data, address).ranges()
    ]


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
        (place,) = struct.unpack_from("<I", table, entries + info + 4)
        found.append(Function((base or text) + start, end - start, name_at(table, names + place)))
    return found
