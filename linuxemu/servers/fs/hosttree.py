"""Inodes of a host directory tree, found again through open directories and never through a path.

Nothing here hands the host a path of more than one component, and no link on the host is ever followed. A
directory is opened from its parent's descriptor and then compared with what was seen before; so whatever
others rename or replace by links meanwhile, a request ends at the inode it was meant for or fails with
ESTALE.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from stat import S_ISBLK, S_ISCHR
from typing import TYPE_CHECKING

from linuxemu.errors import BootError, RpcError
from linuxemu.servers.fs import errno as e
from linuxemu.servers.fs.base import S_IFDIR, S_IFMT, FsServer, Handle, dirent_type, make_device
from linuxemu.servers.fs.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from linuxemu.servers.fs.base import Entry

O_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
O_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
O_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
O_PATH = getattr(os, "O_PATH", 0)
# A descriptor that only stands for the directory needs no read permission, where the host has such a thing.
_DIR_FLAGS = (O_PATH or os.O_RDONLY) | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
_TOO_MANY = (errno.EMFILE, errno.ENFILE)
_SWAPPED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_MASK_64 = (1 << 64) - 1
_DEVICE_SHIFT = 48
_FIRST_SPARE_INO = 1 << 56

_HAS_DIR_FD = os.open in os.supports_dir_fd

Key = tuple[int, int, int]
"""What an inode is on the host: device, number, and file type, because hosts use numbers again."""


def host_key(found: os.stat_result) -> Key:
    """The key of an inode."""
    return found.st_dev, found.st_ino, found.st_mode & S_IFMT


class HostNode:
    """An inode of the host that a client knows of.

    Args:
        ino: the number that clients see.
        key: what it is on the host.
    """

    __slots__ = (
        "fd",
        "ino",
        "is_dir",
        "kept",
        "key",
        "last",
        "nlookup",
        "opened",
        "pins",
        "places",
        "writes",
    )

    def __init__(self, ino: int, key: Key) -> None:
        self.ino = ino
        self.key = key
        self.is_dir = key[2] == S_IFDIR
        self.places: dict[tuple[HostNode, bytes], None] = {}
        """Directory and name where it was seen; a directory has one place at most."""
        self.nlookup = 0
        self.pins = 0
        """Places within this directory that other nodes have."""
        self.fd = -1
        """Descriptor of a directory, while it is in the cache."""
        self.opened: list[tuple[int, int]] = []
        """Descriptor and access mode of each open handle."""
        self.kept: list[tuple[int, int]] = []
        """The same of a file that has no name any more, from handles of a server that died."""
        self.writes = 0
        self.last: tuple[int, ...] | None = None
        """Attributes when it lost the last place that we knew."""

    def descriptors(self) -> list[tuple[int, int]]:
        """Through which the file can be reached, whatever its name means by now."""
        return self.opened + self.kept

    def close_handles(self) -> None:
        """The server has died: its handles close, but one to each kind of access stays if it is all there is."""
        nameless = not self.places and not self.is_dir
        kept = {access: fd for fd, access in self.descriptors() if nameless}
        for fd, access in self.descriptors():
            if kept.get(access) != fd:
                os.close(fd)
        self.kept = [(fd, access) for access, fd in kept.items()]
        self.opened.clear()

    def close(self) -> None:
        """Nothing of it is needed any more."""
        for fd, _ in self.descriptors():
            os.close(fd)
        self.opened.clear()
        self.kept.clear()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class HostStorage:
    """What a server knows of the host's inodes, which outlives its death: numbers, places, counts.

    Args:
        path: the directory to serve; links in this path itself are followed.
    Raises:
        BootError: it cannot be opened.
    """

    __slots__ = (
        "aliases", "by_ino", "by_key", "devices", "journal", "next_spare", "renumbered", "root",
    )  # fmt: skip

    def __init__(self, path: str) -> None:
        if not _HAS_DIR_FD:
            raise BootError(f"{path}: this host system cannot serve its directories safely")
        try:
            fd = os.open(path, _DIR_FLAGS & ~O_NOFOLLOW)
        except OSError as error:
            raise BootError(f"{path}: cannot serve this directory: {error.strerror}") from None
        self.journal = Journal()
        self.by_ino: dict[int, HostNode] = {}
        self.by_key: dict[Key, HostNode] = {}
        self.aliases: dict[tuple[HostNode, bytes, Key], HostNode] = {}
        self.devices: dict[int, int] = {}
        self.renumbered: dict[Key, int] = {}
        self.next_spare = _FIRST_SPARE_INO
        key = host_key(os.fstat(fd))
        self.devices[key[0]] = 0
        self.root = HostNode(key[1] & _MASK_64 or self.spare(), key)
        self.root.fd = fd
        self.by_ino[self.root.ino] = self.by_key[key] = self.root

    def spare(self) -> int:
        """A number that no inode has."""
        while self.next_spare in self.by_ino:
            self.next_spare += 1
        self.next_spare += 1
        return self.next_spare - 1


class HostTree(FsServer[HostNode]):
    """Inode table and directory descriptors of `HostFs`.

    Args:
        max_fds: how many directories stay open.
        name: service name to register.
        storage: the inodes.
        writable: whether requests may change anything.
    """

    def __init__(self, max_fds: int, name: str, storage: HostStorage, writable: bool) -> None:
        super().__init__(name, storage.journal)
        self._store = storage
        self._max_fds = max_fds
        self._writable = writable
        self._keep: HostNode | None = None
        """A directory that must stay open while another is opened."""
        self._cached: dict[HostNode, None] = {}
        """Directories with an open descriptor, the one not used for longest first."""
        self._by_ino, self._by_key, self._aliases = storage.by_ino, storage.by_key, storage.aliases
        self._devices, self._renumbered = storage.devices, storage.renumbered
        self._root = storage.root

    async def start(self) -> None:
        """Drop what only the handles of a predecessor kept."""
        for node in list(self._by_ino.values()):
            self._release(node)

    def killed(self) -> None:
        """Close everything that can be opened again."""
        for node in list(self._cached):
            self._close_dir(node)
        for node in self._by_ino.values():
            node.close_handles()

    def stop(self) -> None:
        """Close everything."""
        for node in self._by_ino.values():
            node.close()
        self._cached.clear()

    def _check_writable(self) -> None:
        if not self._writable:
            raise e.fail(e.EROFS)

    # -- the inode table -----------------------------------------------------------------------------

    def _number(self, key: Key) -> int:
        """The number of a host inode: its own, with the device mixed in where that is not the root's."""
        known = self._by_key.get(key)
        if known is not None:
            return known.ino
        renumbered = self._renumbered.get(key)
        if renumbered is not None:
            return renumbered
        device = self._devices.setdefault(key[0], len(self._devices))
        number = (key[1] ^ device << _DEVICE_SHIFT) & _MASK_64
        if number and number not in self._by_ino:
            return number
        self._renumbered[key] = number = self._store.spare()
        return number

    def _make(self, key: Key) -> HostNode:
        node = HostNode(self._number(key), key)
        self._by_ino[node.ino] = self._by_key[key] = node
        return node

    def _adopt(self, parent: HostNode, name: bytes, found: os.stat_result) -> HostNode:
        """The node of what was just found under a name."""
        key = host_key(found)
        node = self._by_key.get(key)
        if node is None:
            node = self._make(key)
        place = (parent, name)
        if place in node.places:
            return node
        if node.is_dir and (node is self._root or node.places):
            if self._still_there(node):  # seen twice: the host has mounted it in two places
                node = self._alias(parent, name, key)
            else:
                self._forget_places(node)
        if place not in node.places:
            node.places[place] = None
            parent.pins += 1
        node.last = None
        return node

    def _still_there(self, node: HostNode) -> bool:
        if node is self._root:
            return True
        try:
            self._locate(node)
        except RpcError:
            return False
        return True

    def _alias(self, parent: HostNode, name: bytes, key: Key) -> HostNode:
        """A node of its own for a directory that also stands elsewhere, so that the tree stays a tree."""
        node = self._aliases.get((parent, name, key))
        if node is None:
            node = HostNode(self._store.spare(), key)
            self._by_ino[node.ino] = self._aliases[parent, name, key] = node
        return node

    def _node(self, ino: int) -> HostNode:
        try:
            return self._by_ino[ino]
        except KeyError:
            raise e.fail(e.ESTALE) from None

    def _dir(self, ino: int) -> HostNode:
        node = self._node(ino)
        if not node.is_dir:
            raise e.fail(e.ENOTDIR)
        return node

    def _release(self, node: HostNode) -> None:
        """Drop a node that nobody refers to, and then perhaps the directories it was in."""
        doomed = [node]
        while doomed:
            node = doomed.pop()
            if node.nlookup or node.opened or node.pins or node is self._root:
                continue
            doomed += [parent for parent, _ in node.places]
            self._drop(node)

    def _drop(self, node: HostNode) -> None:
        for parent, name in node.places:
            self._aliases.pop((parent, name, node.key), None)
        self._forget_places(node)
        self._close_dir(node)
        node.close()
        if self._by_ino.get(node.ino) is node:
            del self._by_ino[node.ino]
        if self._by_key.get(node.key) is node:
            del self._by_key[node.key]

    def _forget_places(self, node: HostNode) -> None:
        for parent, _ in node.places:
            parent.pins -= 1
        node.places.clear()

    def _forget_place(self, node: HostNode, place: tuple[HostNode, bytes]) -> None:
        if place in node.places:
            del node.places[place]
            place[0].pins -= 1

    # -- directories ---------------------------------------------------------------------------------

    def _dirfd(self, node: HostNode) -> int:
        """A descriptor of a directory; it stays open at least until the next call."""
        if node.fd < 0:
            self._open_chain(node)
        elif node is not self._root:
            del self._cached[node]
            self._cached[node] = None
        return node.fd

    def _two_dirfds(self, first: HostNode, second: HostNode) -> tuple[int, int]:
        """Descriptors of two directories, both open until the next call."""
        self._dirfd(first)
        self._keep = first
        try:
            return first.fd, self._dirfd(second)
        finally:
            self._keep = None

    def _open_chain(self, node: HostNode) -> None:
        """Open a directory from its nearest ancestor that is open, and check each step's identity."""
        chain: list[tuple[HostNode, bytes]] = []
        current = node
        while current.fd < 0:
            if not current.places:
                raise e.fail(e.ENOENT if current.last else e.ESTALE)
            parent, name = next(iter(current.places))
            chain.append((current, name))
            current = parent
        fd = self._dirfd(current)
        self._evict(self._max_fds - 1, fd)
        while chain:
            child, name = chain.pop()
            try:
                fd = self._host_open(name, _DIR_FLAGS, fd)
            except OSError as error:
                if error.errno in _SWAPPED:
                    raise e.fail(e.ESTALE) from None
                raise e.host_failure(error) from None
            if host_key(os.fstat(fd)) != child.key:
                os.close(fd)
                raise e.fail(e.ESTALE)
            child.fd = fd
            self._cached[child] = None

    def _evict(self, leave: int, keep_fd: int) -> None:
        """Close directories, the one not used for longest first, until `leave` are open; not `keep_fd`."""
        for node in list(self._cached):
            if len(self._cached) <= leave:
                return
            if node.fd != keep_fd and node is not self._keep:
                self._close_dir(node)

    def _close_dir(self, node: HostNode) -> None:
        if node.fd >= 0 and node is not self._root:
            os.close(node.fd)
            node.fd = -1
            self._cached.pop(node, None)

    def _host_open(self, name: bytes, flags: int, dir_fd: int, mode: int = 0o600) -> int:
        """One component, relative to a directory; cached directories make room if descriptors run out."""
        try:
            return os.open(name, flags, mode, dir_fd=dir_fd)
        except OSError as error:
            if error.errno not in _TOO_MANY:
                raise
            self._evict(0, dir_fd)
            return os.open(name, flags, mode, dir_fd=dir_fd)

    # -- finding an inode again ----------------------------------------------------------------------

    def _locate(self, node: HostNode) -> tuple[HostNode, bytes, os.stat_result]:
        """Directory (open until the next call) and name where a node stands now, and its state.

        Raises:
            RpcError: ESTALE if it is nowhere, ENOENT if we removed it ourselves.
        """
        if node is self._root:
            return node, b".", os.fstat(node.fd)
        for place in list(node.places):
            parent, name = place
            try:
                found = os.stat(name, dir_fd=self._dirfd(parent), follow_symlinks=False)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise e.host_failure(error) from None
            else:
                if host_key(found) == node.key:
                    return parent, name, found
            self._forget_place(node, place)
        raise e.fail(e.ENOENT if node.last else e.ESTALE)

    def _state(self, node: HostNode) -> os.stat_result:
        """The host's attributes of a node."""
        if node.fd >= 0:
            return os.fstat(node.fd)
        for fd, _ in node.descriptors():
            return os.fstat(fd)
        return self._locate(node)[2]

    def _attr(self, node: HostNode, found: os.stat_result) -> tuple[int, ...]:
        """Attributes in the order of the messages."""
        mode = found.st_mode
        rdev = 0
        if S_ISCHR(mode) or S_ISBLK(mode):
            rdev = make_device(os.major(found.st_rdev), os.minor(found.st_rdev))
        ctime_ns = found.st_ctime_ns
        return (
            node.ino,
            mode,
            found.st_nlink,
            found.st_uid,
            found.st_gid,
            rdev,
            found.st_size,
            found.st_blocks,
            found.st_blksize,
            found.st_atime_ns,
            found.st_mtime_ns,
            ctime_ns,
            (ctime_ns + node.writes) & _MASK_64 or 1,
        )

    def _open_again(self, node: HostNode, flags: int) -> int:
        """A descriptor of a regular file that is known to be the node's."""
        if not node.places:
            for fd, access in node.descriptors():
                if access in (flags & 3, os.O_RDWR):
                    return os.dup(fd)
        parent, name, _ = self._locate(node)
        # O_NONBLOCK: should a FIFO be swapped in now, opening it must not wait.
        flags |= O_NOFOLLOW | O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        try:
            fd = self._host_open(name, flags, parent.fd)
        except OSError as error:
            if error.errno in _SWAPPED:
                raise e.fail(e.ESTALE) from None
            raise
        if host_key(os.fstat(fd)) != node.key:
            os.close(fd)
            raise e.fail(e.ESTALE)
        return fd

    @contextmanager
    def _pinned(self, node: HostNode) -> Iterator[str]:
        """A path that leads to a node's inode, whatever its name means by now; where the host has O_PATH."""
        parent, name, _ = self._locate(node)
        fd = self._host_open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC, parent.fd)
        try:
            if host_key(os.fstat(fd)) != node.key:
                raise e.fail(e.ESTALE)
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)

    # -- listing -------------------------------------------------------------------------------------

    async def _list(self, handle: Handle[HostNode]) -> Sequence[Entry]:
        node = handle.node
        if not node.is_dir:
            raise e.fail(e.ENOTDIR)
        device = node.key[0]
        found: list[Entry] = []
        try:
            with os.scandir(handle.fd) as entries:
                for entry in entries:
                    kind = _type(entry)
                    number = self._number((device, entry.inode(), kind << 12))
                    found.append((number, kind, os.fsencode(entry.name)))
        except OSError as error:
            raise e.host_failure(error) from None
        return found


def _type(entry: os.DirEntry[str]) -> int:
    """The DT_* type of an entry; of what is no file, directory or link the host must be asked once more."""
    if entry.is_file(follow_symlinks=False):
        return 8
    if entry.is_dir(follow_symlinks=False):
        return 4
    if entry.is_symlink():
        return 10
    try:
        return dirent_type(entry.stat(follow_symlinks=False).st_mode)
    except OSError:
        return 0  # gone already
