"""Inodes of the in-memory file system, and the storage that holds them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.servers.fs.base import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from linuxemu.servers.fs.journal import Journal
from linuxemu.servers.fs.pages import PAGE, PageMap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from linuxemu.kernel.room import Room

_SECTORS = PAGE // 512
_NAME_SIZE = 1024
"""What a name and its inode take in memory, bytes."""
_DIRENT_SIZE = 20  # what tmpfs counts for a directory entry
SHORT_TARGET = 127
"""A longer target of a link takes a page, as in tmpfs."""
_INODE_ROOM = 1024  # bytes that tmpfs counts for an inode
_XATTR_ROOM = 40  # and for an extended attribute, beside its name and value
_XATTR_WEIGHT = 4
"""A small attribute takes so many times what tmpfs counts."""


def xattr_room(name: bytes, value: bytes) -> int:
    """Bytes that an extended attribute takes of the room of inodes, as in tmpfs."""
    return _XATTR_ROOM + len(name) + len(value)


class Node:
    """An inode; this class itself serves devices, FIFOs and sockets.

    It is either `owned`, with its attributes here, or only stands for an inode of the lower file system.

    Args:
        ino: its number.
        mode: file type, and permissions once it is owned.
        lower: its number in the lower file system, None if it has none there.
    """

    __slots__ = (
        "atime_ns",
        "ctime_ns",
        "gid",
        "ino",
        "lower",
        "lower_refs",
        "mode",
        "mtime_ns",
        "nlink",
        "nlookup",
        "nosec",
        "opens",
        "owned",
        "rdev",
        "uid",
        "version",
        "xattrs",
    )

    def __init__(self, ino: int, mode: int, lower: int | None = None) -> None:
        self.ino = ino
        self.mode = mode
        self.lower = lower
        self.lower_refs = 0
        """References that the lower server counts for us."""
        self.owned = lower is None
        self.nlink = 1
        self.uid = self.gid = 0
        self.rdev = 0
        self.atime_ns = self.mtime_ns = self.ctime_ns = 0
        self.version = 1
        self.nlookup = 0
        self.opens = 0
        """Open handles, and requests at work on the node."""
        self.xattrs: dict[bytes, bytes] | None = None
        """Extended attributes; None while they are those of the lower file system, if it has the inode."""
        self.nosec = lower is None
        """Has no file capabilities (Linux's S_NOSEC), whatever the lower file system says."""

    def attr(self) -> tuple[int, ...]:
        """The attributes in the order of the messages; of an owned node."""
        return self._attr(0, 0)

    def _attr(self, size: int, blocks: int) -> tuple[int, ...]:
        return (
            self.ino,
            self.mode,
            self.nlink,
            self.uid,
            self.gid,
            self.rdev,
            size,
            blocks,
            PAGE,
            self.atime_ns,
            self.mtime_ns,
            self.ctime_ns,
            self.version,
        )

    def take(self, attr: Sequence[int]) -> None:
        """Own the node with the attributes that it has in the lower file system."""
        _, self.mode, self.nlink, self.uid, self.gid, self.rdev = attr[:6]
        self.atime_ns, self.mtime_ns, self.ctime_ns, self.version = attr[9:13]
        self.owned = True


class FileNode(Node):
    """A regular file."""

    __slots__ = ("data", "lower_blocks", "lower_handle")

    def __init__(self, ino: int, mode: int, lower: int | None = None) -> None:
        super().__init__(ino, mode, lower)
        self.data = PageMap()
        self.lower_blocks = 0
        self.lower_handle: int | None = None
        """Our handle at the lower server, while the file is open here."""

    def attr(self) -> tuple[int, ...]:
        """As `Node.attr`."""
        data = self.data
        blocks = data.allocated * _SECTORS
        if data.floor:
            blocks = min(blocks + self.lower_blocks, max(blocks, (data.size + PAGE - 1) // PAGE * _SECTORS))
        return self._attr(data.size, blocks)

    def take(self, attr: Sequence[int]) -> None:
        """As `Node.take`."""
        super().take(attr)
        self.data = PageMap(attr[6], attr[6])
        self.lower_blocks = attr[7]


class DirNode(Node):
    """A directory.

    `entries` are the names added here; a name in `hidden` is not looked for below. `below` is the lower
    directory whose other names show through.
    """

    __slots__ = ("below", "entries", "epoch", "hidden", "lower_size", "parent", "pins")

    def __init__(self, ino: int, mode: int, lower: int | None = None) -> None:
        super().__init__(ino, mode, lower)
        self.nlink = 2
        self.below = lower
        self.entries: dict[bytes, Node] = {}
        self.hidden: set[bytes] = set()
        self.parent: DirNode | None = None
        self.pins = 0
        """Directories known to have this one as their parent."""
        self.epoch = 0
        """Counts changes of the names."""
        self.lower_size = 0

    def attr(self) -> tuple[int, ...]:
        """As `Node.attr`."""
        size = self.lower_size or (2 + len(self.entries)) * _DIRENT_SIZE
        return self._attr(size, 0)

    def take(self, attr: Sequence[int]) -> None:
        """As `Node.take`."""
        super().take(attr)
        self.lower_size = attr[6]

    def add_links(self, delta: int) -> None:
        """Count subdirectories that come or go; where the count is 1, the lower server does not count."""
        if self.nlink > 1:
            self.nlink += delta

    def touch(self, now_ns: int) -> None:
        """A name came or went."""
        self.mtime_ns = self.ctime_ns = now_ns
        self.version += 1
        self.epoch += 1


class LinkNode(Node):
    """A symbolic link."""

    __slots__ = ("target",)

    def __init__(self, ino: int, mode: int, lower: int | None = None) -> None:
        super().__init__(ino, mode, lower)
        self.target = b""

    @property
    def allocated(self) -> int:
        """Pages that the target takes."""
        return int(self.owned and len(self.target) > SHORT_TARGET)

    def attr(self) -> tuple[int, ...]:
        """As `Node.attr`."""
        attr = super().attr()
        return (*attr[:6], len(self.target), self.allocated * _SECTORS, *attr[8:])


def make_node(ino: int, mode: int, lower: int | None = None) -> Node:
    """A node of the class that a file mode asks for."""
    kind = mode & S_IFMT
    if kind == S_IFDIR:
        return DirNode(ino, mode, lower)
    if kind == S_IFLNK:
        return LinkNode(ino, mode, lower)
    return FileNode(ino, mode, lower) if kind == S_IFREG else Node(ino, mode, lower)


ROOT_INO = 1
_FIRST_UPPER_INO = 1 << 40  # above the numbers that file systems below are likely to use


class MemStorage:
    """An in-memory file system without the server: what outlives the death of one.

    Args:
        lower: task id of the lower file server, None for a file system that starts empty.
        now_ns: the time of day.
        max_pages: room for file contents.
        max_inodes: most names.
        fs_type: what statfs(2) calls it.
        root_mode: permissions of an empty file system's root.
        room: that of the machine; None if there is no machine.
    """

    __slots__ = (
        "by_lower", "fs_type", "journal", "lower", "max_inodes", "max_pages", "names", "next_ino", "nodes", "now_ns",
        "renumbered", "room", "root", "used_pages", "xattr_room",
    )  # fmt: skip

    def __init__(
        self,
        lower: int | None,
        now_ns: Callable[[], int],
        max_pages: int,
        max_inodes: int,
        fs_type: int,
        root_mode: int,
        room: Room | None,
    ) -> None:
        self.room = room
        self.lower = lower
        self.now_ns = now_ns
        self.max_pages = max_pages
        self.max_inodes = max_inodes
        self.fs_type = fs_type
        self.journal = Journal()
        self.used_pages = 0
        self.names = 1
        """Names in memory, which is what inodes are counted by: a hard link takes room too."""
        self.xattr_room = 0
        """Bytes that extended attributes take of the room of inodes."""
        self.nodes: dict[int, Node] = {}
        self.by_lower: dict[int, Node] = {}
        self.renumbered: dict[int, int] = {}
        self.next_ino = ROOT_INO + 1 if lower is None else _FIRST_UPPER_INO
        self.root: DirNode | None = None
        if lower is None:
            self.root = DirNode(ROOT_INO, S_IFDIR | root_mode)
            self.root.atime_ns = self.root.mtime_ns = self.root.ctime_ns = now_ns()
            self.nodes[ROOT_INO] = self.root

    def has_room(self, pages: int) -> bool:
        """Whether so many more pages fit."""
        if self.used_pages + pages > self.max_pages:
            return False
        return self.room is None or not pages or self.room.fits(pages * PAGE)

    def add_pages(self, pages: int) -> None:
        """Count pages that are used from now on, or, less than none, that are not any more."""
        self.used_pages += pages
        if self.room is not None and pages:
            self.room.add(pages * PAGE)

    def has_room_for_name(self) -> bool:
        """Whether one more name fits."""
        return self.free_inodes > 0 and (self.room is None or self.room.fits(_NAME_SIZE))

    def add_names(self, count: int) -> None:
        """Count a name that is new, or, less than none, gone."""
        self.names += count
        if self.room is not None:
            self.room.add(count * _NAME_SIZE)

    def free_pages(self) -> int:
        """How many more pages would fit."""
        free = max(self.max_pages - self.used_pages, 0)
        return free if self.room is None else min(free, self.room.left // PAGE)

    def has_room_for_xattrs(self, xattrs: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether so many more extended attributes, names and values, fit."""
        size = sum(xattr_room(name, value) for name, value in xattrs)
        return size <= self.inode_room and (self.room is None or self.room.fits(_XATTR_WEIGHT * size))

    def add_xattr(self, name: bytes, value: bytes) -> None:
        """Count an extended attribute that is kept from now on."""
        self._count_xattr(xattr_room(name, value))

    def drop_xattr(self, name: bytes, value: bytes) -> None:
        """Count an extended attribute that is gone."""
        self._count_xattr(-xattr_room(name, value))

    def _count_xattr(self, size: int) -> None:
        self.xattr_room += size
        if self.room is not None:
            self.room.add(_XATTR_WEIGHT * size)

    @property
    def inode_room(self) -> int:
        """Bytes left for inodes and extended attributes."""
        return (self.max_inodes - self.names) * _INODE_ROOM - self.xattr_room

    @property
    def free_inodes(self) -> int:
        """How many more names fit; a lower file that is renamed takes room whether there is any or not."""
        return max(0, self.inode_room // _INODE_ROOM)

    def close_handles(self) -> None:
        """A server has died: the handles that it gave out are gone, and those that it had below."""
        for node in self.nodes.values():
            node.opens = 0
            if isinstance(node, FileNode):
                node.lower_handle = None
