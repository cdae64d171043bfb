"""Images: directory trees laid out so that opening one costs next to nothing.

An image is a directory with two files. `index` is the finished inode table; `data` holds the contents of all
files, each starting at a page. Opening reads the index in one piece and touches no data.
"""

from __future__ import annotations

import marshal
import os
from struct import Struct
from typing import TYPE_CHECKING
from zlib import crc32

from linuxemu.errors import BootError
from linuxemu.servers.fs.base import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from linuxemu.servers.fs.staticfs import StaticFs
from linuxemu.servers.fs.tree import StaticNode, Tree, TreeNode, file_node, link_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MAGIC = b"linuxemu-image-1"
_HEADER = Struct("<16sIQQ")  # magic, checksum of the table, its length, length of the data
_MARSHAL_VERSION = 4
_PAGE = 4096


class HardLink(bytes):
    """The payload of an entry that is another name of a file written before: that file's path."""

    __slots__ = ()


ImageEntry = tuple[bytes, int, int, int, int, int, bytes]
"""path, mode, uid, gid, mtime_ns, rdev, payload: contents of a file, target of a link, or `HardLink`."""


def write_image(dirpath: str, entries: Iterable[ImageEntry]) -> None:
    """Make an image.

    Args:
        dirpath: its directory; made if missing. An image that is there is replaced, its index last.
        entries: what it holds. Missing parent directories are made up, a later entry replaces an earlier
            one of
            the same path, equal contents are stored once.
    Raises:
        BootError: an entry cannot be stored (`..` in its path, a hard link to nothing).
    """
    os.makedirs(dirpath, exist_ok=True)
    index = os.path.join(dirpath, "index")
    if os.path.exists(index):
        os.unlink(index)
    tree = Tree(dirpath)
    with open(os.path.join(dirpath, "data"), "wb") as data:
        length = _write_data(tree, entries, data.write)
    table = marshal.dumps(tree.finish(), _MARSHAL_VERSION)
    with open(index + ".new", "wb") as out:
        out.write(_HEADER.pack(_MAGIC, crc32(table), len(table), length))
        out.write(table)
    os.replace(index + ".new", index)


def _write_data(tree: Tree, entries: Iterable[ImageEntry], write: Callable[[bytes], object]) -> int:
    """Write the contents and fill the tree; returns the length of the data."""
    position = 0
    places: dict[bytes, int] = {}
    for path, mode, uid, gid, mtime_ns, rdev, payload in entries:
        kind = mode & S_IFMT
        if isinstance(payload, HardLink):
            tree.add_hard_link(path, bytes(payload))
        elif kind == S_IFLNK:
            tree.add(path, link_node(uid, gid, mtime_ns, bytes(payload)))
        elif kind == S_IFREG or not kind:
            place = places.get(payload)
            if place is None:
                place = places[payload] = position
                padded = payload.ljust((len(payload) + _PAGE - 1) // _PAGE * _PAGE, b"\0")
                write(padded)
                position += len(padded)
            tree.add(path, file_node(mode, uid, gid, mtime_ns, len(payload), place))
        else:
            tree.add(path, TreeNode(mode, uid, gid, mtime_ns, 0 if kind == S_IFDIR else rdev))
    return position


class ImageFs(StaticFs):
    """The file server of an image.

    Args:
        dirpath: the image's directory.
        name: service name to register, see `FsServer`.
    Raises:
        BootError: there is no image, or it is damaged.
    """

    def __init__(self, dirpath: str, *, name: str = "fs") -> None:
        nodes, length = _load_index(dirpath)
        try:
            fd = os.open(os.path.join(dirpath, "data"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise BootError(f"{dirpath}: cannot open the image's data: {error.strerror}") from None
        if os.fstat(fd).st_size != length:
            os.close(fd)
            raise BootError(f"{dirpath}: damaged image: its data has the wrong length")
        super().__init__(nodes, fd, name)


def _load_index(dirpath: str) -> tuple[list[StaticNode | None], int]:
    try:
        with open(os.path.join(dirpath, "index"), "rb", buffering=0) as file:
            raw = file.read()
    except OSError as error:
        raise BootError(f"{dirpath}: cannot read the image's index: {error.strerror}") from None
    if len(raw) < _HEADER.size or not raw.startswith(_MAGIC):
        raise BootError(f"{dirpath}: not an image of this version")
    _, checksum, length, data_length = _HEADER.unpack_from(raw)
    table = memoryview(raw)[_HEADER.size :]
    if len(table) != length or crc32(table) != checksum:
        raise BootError(f"{dirpath}: damaged image: its index does not match its checksum")
    nodes: list[StaticNode | None] = marshal.loads(table)
    return nodes, data_length
