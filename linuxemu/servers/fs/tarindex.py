"""Reads the headers of a tar archive: ustar, GNU and pax, with long names and sparse files of every kind.

The standard library's reader takes longer to import alone than a whole machine may take to start.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from linuxemu.errors import BootError
from linuxemu.servers.fs.base import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, make_device
from linuxemu.servers.fs.tree import Extents, Tree, TreeNode, file_node, link_node
from linuxemu.servers.fs.xattr import VALUE_MAX, is_kept

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 512
_ZERO_BLOCK = bytes(_BLOCK)
_SPECIAL = {b"3": S_IFCHR, b"4": S_IFBLK, b"6": S_IFIFO}
_NO_DATA = frozenset(b"123456")
_XATTR = b"SCHILY.xattr."
_LONGEST_EXTRA = 1 << 24  # a pax header or long name beyond this is damage, not data

Pax = dict[bytes, bytes]


def read_tar(fd: int, size: int, what: str) -> Tree:
    """The tree of an uncompressed archive; file payloads are offsets in it.

    Args:
        fd: the archive.
        size: its length in bytes.
        what: names the archive in errors.
    Raises:
        BootError: no archive, damaged, or truncated.
    """
    return _Reader(fd, size, what).read()


class _Reader:
    """One pass over the headers."""

    def __init__(self, fd: int, size: int, what: str) -> None:
        self._fd = fd
        self._size = size
        self._what = what
        self._position = 0
        self._tree = Tree(what)
        self._globals: Pax = {}
        self._xattrs: dict[bytes, bytes] = {}
        """Extended attributes of the member that is being read."""

    def _damaged(self, why: str) -> BootError:
        return BootError(f"{self._what}: damaged archive: {why} at offset {self._position}")

    def read(self) -> Tree:
        pax: Pax = {}
        while (header := self._next_header()) is not None:
            kind = header[156:157]
            length = self._number(header[124:136])
            start = self._position + _BLOCK
            if kind in (b"x", b"X", b"g"):
                self._pax_records(self._extra(start, length), self._globals if kind == b"g" else pax)
            elif kind == b"L":
                pax[b"path"] = self._extra(start, length).rstrip(b"\0")
            elif kind == b"K":
                pax[b"linkpath"] = self._extra(start, length).rstrip(b"\0")
            elif kind == b"M":
                raise BootError(f"{self._what}: archives of several volumes are not supported")
            else:
                if self._globals:
                    pax = self._globals | pax
                self._xattrs = _xattrs(pax)
                length = self._member(header, kind, start, length, pax)
                pax = {}
            self._position = start + (length + _BLOCK - 1) // _BLOCK * _BLOCK
        return self._tree

    def _next_header(self) -> bytes | None:
        """The header at the current position, None at the mark that ends an archive."""
        header = os.pread(self._fd, _BLOCK, self._position)
        if len(header) == _BLOCK and header == _ZERO_BLOCK:
            return None
        if len(header) == _BLOCK:
            stored = header[148:156].strip(b" \0")
            expected = sum(header) - sum(header[148:156]) + 8 * 32
            try:
                if int(stored, 8) == expected:
                    return header
            except ValueError:
                pass
        if self._position == 0:
            raise BootError(f"{self._what}: not a tar archive")
        if len(header) < _BLOCK:
            raise BootError(f"{self._what}: truncated archive")
        raise self._damaged("no valid header")

    def _number(self, field: bytes) -> int:
        if field[0] & 0x80:
            value = int.from_bytes(field, "big")
            bits = len(field) * 8
            return value - (1 << bits) if field[0] == 0xFF else value - (1 << (bits - 1))
        try:
            return int(field.strip(b" \0") or b"0", 8)
        except ValueError:
            raise self._damaged("no number in a header") from None

    def _bounded(self, value: int, least: int, end: int) -> int:
        """A number that has to fit what the kernel keeps of it."""
        if not least <= value < end:
            raise self._damaged("a number out of range")
        return value

    def _extra(self, start: int, length: int) -> bytes:
        """The data of a member that describes the next one."""
        if length < 0 or length > _LONGEST_EXTRA:
            raise self._damaged("a header of absurd length")
        data = os.pread(self._fd, length, start)
        if len(data) < length:
            raise BootError(f"{self._what}: truncated archive")
        return data

    def _pax_records(self, data: bytes, into: Pax) -> None:
        """Records "length key=value newline"; the parts of a sparse map, which repeat, are joined."""
        position = 0
        try:
            while position < len(data) and data[position]:
                space = data.index(b" ", position)
                end = position + int(data[position:space])
                key, equals, value = data[space + 1 : end - 1].partition(b"=")
                if not equals or data[end - 1 : end] != b"\n" or end <= space:
                    raise ValueError
                if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
                    key = b"GNU.sparse.map"
                    value = into[key] + b"," + value if into.get(key) else value
                into[key] = value
                position = end
        except ValueError:
            raise self._damaged("no valid pax record") from None

    # -- members -------------------------------------------------------------------------------------

    def _member(self, header: bytes, kind: bytes, start: int, length: int, pax: Pax) -> int:
        """Add one member to the tree; returns how many bytes of data follow its header."""
        path = pax.get(b"GNU.sparse.name") or pax.get(b"path") or _name(header)
        mode = self._number(header[100:108]) & 0o7777
        uid = self._bounded(self._pax_number(pax, b"uid", header[108:116]), 0, 1 << 32)
        gid = self._bounded(self._pax_number(pax, b"gid", header[116:124]), 0, 1 << 32)
        mtime_ns = self._bounded(self._mtime(pax, header), -1 << 63, 1 << 63)
        if b"size" in pax:
            length = self._pax_number(pax, b"size", b"0")
        if kind[0] in _NO_DATA:
            length = 0
        if length < 0 or start + length > self._size:
            raise BootError(f"{self._what}: truncated archive")
        if kind == b"1":
            self._tree.add_hard_link(path, pax.get(b"linkpath") or _text(header[157:257]))
        elif kind == b"2":
            target = pax.get(b"linkpath") or _text(header[157:257])
            self._add(path, link_node(uid, gid, mtime_ns, target))
        elif kind in (b"5", b"D") or (kind == b"\0" and path.endswith(b"/")):
            self._add(path, TreeNode(S_IFDIR | mode, uid, gid, mtime_ns))
        elif kind in _SPECIAL:
            major, minor = (self._bounded(self._number(header[at : at + 8]), 0, 1 << 32) for at in (329, 337))
            rdev = make_device(major, minor) if kind != b"6" else 0
            self._add(path, TreeNode(_SPECIAL[kind] | mode, uid, gid, mtime_ns, rdev))
        elif kind == b"S":
            return self._old_sparse(header, path, (mode, uid, gid, mtime_ns), start, length)
        elif b"GNU.sparse.map" in pax or pax.get(b"GNU.sparse.major") == b"1":
            self._add_sparse(path, (mode, uid, gid, mtime_ns), *self._pax_sparse(pax, start))
        elif kind not in (b"V", b"N"):  # a volume's label, a list of names
            self._add(path, file_node(mode, uid, gid, mtime_ns, length, start))
        return length

    def _add(self, path: bytes, node: TreeNode) -> None:
        node.xattrs = self._xattrs
        self._tree.add(path, node)

    def _pax_number(self, pax: Pax, key: bytes, field: bytes) -> int:
        value = pax.get(key)
        if not value:
            return self._number(field)
        try:
            return int(value)
        except ValueError:
            raise self._damaged("no number in a pax record") from None

    def _mtime(self, pax: Pax, header: bytes) -> int:
        value = pax.get(b"mtime")
        if not value:
            return self._number(header[136:148]) * 1_000_000_000
        whole, _, fraction = value.partition(b".")
        try:
            nanoseconds = int(fraction[:9].ljust(9, b"0"))
            sign = -1 if whole.startswith(b"-") else 1
            return int(whole or b"0") * 1_000_000_000 + sign * nanoseconds
        except ValueError:
            raise self._damaged("no time in a pax record") from None

    # -- sparse files --------------------------------------------------------------------------------

    def _add_sparse(
        self,
        path: bytes,
        meta: tuple[int, int, int, int],
        size: int,
        pairs: Iterator[tuple[int, int]],
        start: int,
    ) -> None:
        """Add a file of which only the parts in `pairs` (offset, length) are stored, one after the other."""
        extents = []
        position = start
        self._bounded(size, 0, 1 << 63)
        for offset, length in pairs:
            if offset < 0 or length < 0 or offset + length > size or position + length > self._size:
                raise self._damaged("no valid map of a sparse file")
            if length:
                extents.append((offset, position, length))
            position += length
        payload: Extents = tuple(extents)
        self._add(path, file_node(*meta, size, payload))

    def _old_sparse(
        self, header: bytes, path: bytes, meta: tuple[int, int, int, int], start: int, length: int
    ) -> int:
        """GNU's own format: the map is in the header and in blocks after it."""
        numbers = [header[position : position + 12] for position in range(386, 386 + 4 * 24, 12)]
        extended = header[482]
        data = start
        while extended:
            block = self._extra(data, _BLOCK)
            numbers += [block[position : position + 12] for position in range(0, 21 * 24, 12)]
            extended = block[504]
            data += _BLOCK
        values = [self._number(number) for number in numbers if number.strip(b"\0")]
        size = self._number(header[483:495])
        self._add_sparse(path, meta, size, zip(values[::2], values[1::2], strict=False), data)
        return data - start + length

    def _pax_sparse(self, pax: Pax, start: int) -> tuple[int, Iterator[tuple[int, int]], int]:
        """The pax formats 0.0, 0.1 (map in the header) and 1.0 (map in front of the data)."""
        try:
            size = int(pax.get(b"GNU.sparse.realsize") or pax[b"GNU.sparse.size"])
            if b"GNU.sparse.map" in pax:
                values = [int(value) for value in pax[b"GNU.sparse.map"].split(b",") if value]
                return size, zip(values[::2], values[1::2], strict=False), start
            text = b""
            while True:
                text += self._extra(start + len(text), _BLOCK)
                lines = text.split(b"\n")
                if len(lines) > 1 and len(lines) > 2 * int(lines[0]) + 1:
                    break
            values = [int(line) for line in lines[1 : 2 * int(lines[0]) + 1]]
            return size, zip(values[::2], values[1::2], strict=False), start + len(text)
        except (KeyError, ValueError):
            raise self._damaged("no valid map of a sparse file") from None


def _xattrs(pax: Pax) -> dict[bytes, bytes]:
    """The extended attributes among the records of a header; those that no file can have are left out."""
    found = {}
    for key, value in pax.items():
        if key.startswith(_XATTR):
            name = key[len(_XATTR) :].replace(b"%3D", b"=").replace(b"%25", b"%")
            if is_kept(name) and len(value) <= VALUE_MAX:
                found[name] = value
    return found


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _name(header: bytes) -> bytes:
    name = _text(header[:100])
    if header[257:263] == b"ustar\0" and header[345]:
        return _text(header[345:500]) + b"/" + name
    return name
