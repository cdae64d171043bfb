"""Builds the tables of a read-only file system out of a list of paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import BootError
from linuxemu.servers.fs.base import NAME_MAX, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT_INO = 1
_BLOCK = 4096
_DIRENT_SIZE = 20
_MAX_LINKS = 40

Extents = tuple[tuple[int, int, int], ...]
"""Parts of a sparse file: offset in the file, offset in the data, length; ascending."""
Payload = dict[bytes, int] | bytes | int | Extents | None
"""Of a directory its names, of a link its target, of a file where its data is; None for anything else."""
StaticNode = tuple[tuple[int, ...], Payload]
"""Attributes in the order of the messages, and payload."""


class TreeNode:
    """An inode while the tree grows."""

    __slots__ = (
        "blocks",
        "children",
        "gid",
        "ino",
        "mode",
        "mtime_ns",
        "nlink",
        "payload",
        "rdev",
        "size",
        "uid",
        "xattrs",
    )

    def __init__(self, mode: int, uid: int, gid: int, mtime_ns: int, rdev: int = 0) -> None:
        self.ino = 0
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.mtime_ns = mtime_ns
        self.rdev = rdev
        self.nlink = 0
        self.size = 0
        self.blocks = 0
        self.payload: bytes | int | Extents | None = None
        self.children: dict[bytes, TreeNode] | None = {} if mode & S_IFMT == S_IFDIR else None
        self.xattrs: dict[bytes, bytes] = {}
        """Extended attributes."""


class Tree:
    """A directory tree that is filled path by path: parents that are missing are made up, the last entry
    wins.

    Args:
        what: names the source in errors.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.root = TreeNode(S_IFDIR | 0o755, 0, 0, 0)
        self._parents: dict[bytes, TreeNode] = {b"": self.root}
        self.xattrs: dict[int, dict[bytes, bytes]] = {}
        """Extended attributes by inode number, once the tree is finished."""

    def _fail(self, path: bytes, why: str) -> BootError:
        return BootError(f"{self._what}: {path.decode('utf-8', 'replace')}: {why}")

    def _split(self, path: bytes) -> tuple[bytes, bytes]:
        """Directory part without leading slash or dots, and last name; both empty for the root."""
        if b"./" in path or b"//" in path or path[:1] == b"/" or path[-1:] in (b"/", b"."):
            parts = [part for part in path.split(b"/") if part and part != b"."]
            if b".." in parts:
                raise self._fail(path, "a path must not contain '..'")
            path = b"/".join(parts)
        if b"\0" in path:
            raise self._fail(path, "a path must not contain NUL")
        directory, _, name = path.rpartition(b"/")
        if len(name) > NAME_MAX:
            raise self._fail(path, f"a name is longer than {NAME_MAX} bytes")
        return directory, name

    def _directory(self, path: bytes) -> TreeNode:
        """The directory at a split path: made up where missing, reached through links of the tree."""
        node = self._parents.get(path)
        if node is None:
            node = self._parents[path] = self._walk(path)
        return node

    def _walk(self, path: bytes) -> TreeNode:
        trail = [self.root]
        todo = path.split(b"/")[::-1]
        links = 0
        while todo:
            name = todo.pop()
            if name == b"..":
                del trail[max(1, len(trail) - 1) :]
                continue
            if not name or name == b".":
                continue
            children = trail[-1].children
            if children is None or len(name) > NAME_MAX:
                raise self._fail(path, f"a name is longer than {NAME_MAX} bytes")
            child = children.get(name)
            if child is not None and child.mode & S_IFMT == S_IFLNK and isinstance(child.payload, bytes):
                links += 1
                if links > _MAX_LINKS:
                    raise self._fail(path, "too many levels of symbolic links")
                if child.payload.startswith(b"/"):
                    del trail[1:]
                todo += child.payload.split(b"/")[::-1]
                continue
            if child is None or child.children is None:
                child = children[name] = TreeNode(S_IFDIR | 0o755, 0, 0, 0)
            trail.append(child)
        return trail[-1]

    def add(self, path: bytes, node: TreeNode) -> None:
        """Put a node at a path; a directory that is there gets its attributes and keeps its contents."""
        directory, name = self._split(path)
        if not name:
            self._replace_attributes(self.root, node, path)
            return
        children = self._directory(directory).children
        if children is None:
            raise self._fail(path, "lies in what is no directory")
        there = children.get(name)
        if there is not None and there.children is not None:
            if node.children is not None:
                self._replace_attributes(there, node, path)
                return
            self._parents = {b"": self.root}  # what was below this directory is gone
        elif there is not None and there.mode & S_IFMT == S_IFLNK:
            self._parents = {b"": self.root}  # paths may have led through this link
        children[name] = node

    def _replace_attributes(self, there: TreeNode, node: TreeNode, path: bytes) -> None:
        if node.children is None:
            raise self._fail(path, "the root must be a directory")
        there.mode, there.uid, there.gid, there.mtime_ns = node.mode, node.uid, node.gid, node.mtime_ns
        there.xattrs = node.xattrs

    def add_hard_link(self, path: bytes, target: bytes) -> None:
        """Give the file at `target`, which was added before, a second name."""
        directory, name = self._split(target)
        found = (self._directory(directory).children or {}).get(name) if name else None
        if found is None or found.children is not None:
            raise self._fail(path, f"hard link to {target.decode('utf-8', 'replace')}, which is not there")
        self.add(path, found)

    def finish(self) -> list[StaticNode | None]:
        """The inode table: nodes by number, the root at 1."""
        order: list[TreeNode] = [self.root]
        self.root.ino = ROOT_INO
        self.root.nlink = 2
        for node in order:  # grows while it is walked
            if node.children is None:
                continue
            for child in node.children.values():
                if child.children is not None:
                    node.nlink += 1
                    child.nlink = 2
                else:
                    child.nlink += 1
                if not child.ino:
                    order.append(child)
                    child.ino = len(order)
        self.xattrs = {node.ino: node.xattrs for node in order if node.xattrs}
        table: list[StaticNode | None] = [None]
        table += [_static(node) for node in order]
        return table


def _static(node: TreeNode) -> StaticNode:
    payload: Payload = node.payload
    size = node.size
    if node.children is not None:
        payload = {name: child.ino for name, child in node.children.items()}
        size = (2 + len(payload)) * _DIRENT_SIZE
    elif isinstance(payload, bytes):
        size = len(payload)
    mtime_ns = node.mtime_ns
    attr = (
        node.ino,
        node.mode,
        node.nlink,
        node.uid,
        node.gid,
        node.rdev,
        size,
        node.blocks,
        _BLOCK,
        mtime_ns,
        mtime_ns,
        mtime_ns,
        1,
    )
    return attr, payload


def file_node(mode: int, uid: int, gid: int, mtime_ns: int, size: int, payload: int | Extents) -> TreeNode:
    """A regular file whose data lie somewhere."""
    node = TreeNode(S_IFREG | (mode & 0o7777), uid, gid, mtime_ns)
    node.size = size
    node.payload = payload
    stored: Iterable[int] = (size,) if isinstance(payload, int) else (length for _, _, length in payload)
    node.blocks = sum((length + 511) // 512 for length in stored)
    return node


def link_node(uid: int, gid: int, mtime_ns: int, target: bytes) -> TreeNode:
    """A symbolic link."""
    node = TreeNode(S_IFLNK | 0o777, uid, gid, mtime_ns)
    node.payload = target
    return node
