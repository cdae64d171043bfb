"""Mounts: which file system is seen where (man 7 mount_namespaces, man 2 mount)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from syscalls.abi.errno import EINVAL, ELOOP
from syscalls.abi.flags import (
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_RELATIME,
)
from syscalls.errors import SysError
from syscalls.vfs.dentry import Dentry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syscalls.objects.file import File
    from syscalls.vfs.filesystem import FileSystem
    from syscalls.vfs.inode import Inode

MOUNT_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME
"""The flags that belong to one mount and that a remount of a bind mount changes."""

_SHOWN = (
    (MS_NOSUID, b"nosuid"),
    (MS_NODEV, b"nodev"),
    (MS_NOEXEC, b"noexec"),
    (MS_NOATIME, b"noatime"),
    (MS_NODIRATIME, b"nodiratime"),
    (MS_RELATIME, b"relatime"),
)
_ESCAPES = {ord(" "): b"\\040", ord("\t"): b"\\011", ord("\n"): b"\\012", ord("\\"): b"\\134"}


class Mount:
    """A file system, or a part of one, seen at one place.

    Args:
        number: mount ID of /proc/pid/mountinfo.
        fs: the file system.
        root: what of it is seen: its root, or for a bind mount any directory or file.
        flags: MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME ...
        source: the device column of /proc/mounts.
    """

    __slots__ = ("flags", "fs", "mountpoint", "number", "parent", "root", "source")

    def __init__(self, number: int, fs: FileSystem, root: Dentry, flags: int, source: bytes) -> None:
        self.number = number
        self.fs = fs
        self.root = root
        self.flags = flags
        self.source = source
        self.parent: Mount | None = None
        """The mount it hangs in; None for the root, for kernel-internal mounts and when unmounted."""
        self.mountpoint: Dentry | None = None
        """The covered dentry, in `parent`."""

    @property
    def readonly(self) -> bool:
        """Whether writing through this mount is EROFS."""
        return self.flags & MS_RDONLY != 0 or self.fs.readonly


class Path(NamedTuple):
    """A place: a dentry as seen through a mount."""

    mount: Mount
    dentry: Dentry

    @property
    def inode(self) -> Inode:
        """What is there."""
        return self.dentry.inode


def anonymous_path(fs: FileSystem, name: bytes, inode: Inode) -> Path:
    """A path for what is in no directory, such as a pipe; /proc shows `name` ("pipe:[5]").

    A new kernel-internal mount each time: nothing can be found through it.
    """
    dentry = Dentry(None, name, inode)
    return Path(Mount(0, fs, dentry, 0, b"none"), dentry)


def place_of_file(file: File) -> Path:
    """Where a file was opened; for one that is in no directory, a place of its own."""
    return file.path or anonymous_path(file.inode.fs, file.proc_name(), file.inode)


def covering(mount: Mount, dentry: Dentry) -> Path:
    """The topmost of what is mounted on a dentry; itself if nothing is."""
    while dentry.mounts is not None:
        above = dentry.mounts.get(mount)
        if above is None:
            break
        mount, dentry = above, above.root
    return Path(mount, dentry)


def path_name(path: Path, root: Path) -> tuple[bytes, bool]:
    """The name of a place as seen from a root, and whether it can be reached from there at all.

    What cannot be reached is named from the root of its mount tree.
    """
    mount: Mount = path.mount
    dentry: Dentry = path.dentry
    names: list[bytes] = []
    reached = True
    while mount is not root.mount or dentry is not root.dentry:
        if dentry is mount.root:
            parent, mountpoint = mount.parent, mount.mountpoint
            if parent is None or mountpoint is None:
                reached = False
                break
            mount, dentry = parent, mountpoint
            continue
        if dentry.parent is None:
            # In no directory at all, or moved out of the directory that a bind mount shows.
            reached = False
            break
        names.append(dentry.name)
        dentry = dentry.parent
    if not reached and not names and dentry.name != b"/":
        return dentry.name, False
    names.reverse()
    return b"/" + b"/".join(names), reached


class MountNamespace:
    """All mounts that the processes see, in the order they were made."""

    def __init__(self) -> None:
        self._mounts: list[Mount] = []
        self._next_number = 20
        self._next_minor = 20

    def new_dev(self) -> int:
        """A device number for a file system without a device: major 0."""
        minor = self._next_minor
        self._next_minor += 1
        return (minor & 0xFF) | (minor & ~0xFF) << 12

    def __iter__(self) -> Iterator[Mount]:
        return iter(self._mounts)

    def __contains__(self, mount: Mount) -> bool:
        return mount in self._mounts

    def _new(self, fs: FileSystem, root: Dentry, flags: int, source: bytes) -> Mount:
        mount = Mount(self._next_number, fs, root, flags & MOUNT_FLAGS, source)
        self._next_number += 1
        return mount

    async def mount_root(self, fs: FileSystem, flags: int = 0, source: bytes | None = None) -> Path:
        """Mount the root file system; returns the root directory."""
        mount = self._new(fs, await fs.root_dentry(), flags, source or fs.kind.encode())
        self._mounts.append(mount)
        return Path(mount, mount.root)

    async def mount(self, fs: FileSystem, at: Path, flags: int = 0, source: bytes = b"none") -> Mount:
        """Mount a file system on a directory."""
        mount = self._new(fs, await fs.root_dentry(), flags, source)
        self.attach(mount, at)
        return mount

    def bind(self, what: Path, at: Path, recursive: bool = False) -> Mount:
        """Show a directory or file at a second place, with what is mounted below it if `recursive`."""
        mount = self._new(what.mount.fs, what.dentry, what.mount.flags, what.mount.source)
        copies = {what.mount: mount}
        below = self.below(what) if recursive else []
        self.attach(mount, at)
        for inner in below:
            parent, mountpoint = inner.parent, inner.mountpoint
            assert parent is not None
            assert mountpoint is not None
            copy = copies[inner] = self._new(inner.fs, inner.root, inner.flags, inner.source)
            self.attach(copy, Path(copies[parent], mountpoint))
        return mount

    def below(self, path: Path) -> list[Mount]:
        """The mounts inside of a directory, outer ones first."""
        found: list[Mount] = []
        inside = {path.mount}
        left = list(self._mounts)
        # A mount that was moved may stand behind those inside of it: look until nothing more is found.
        while True:
            more = [mount for mount in left if self._hangs_in(mount, inside, path)]
            if not more:
                return found
            inside.update(more)
            found += more
            left = [mount for mount in left if mount not in inside]

    @staticmethod
    def _hangs_in(mount: Mount, inside: set[Mount], path: Path) -> bool:
        parent, mountpoint = mount.parent, mount.mountpoint
        if parent not in inside or mountpoint is None:
            return False
        return parent is not path.mount or mountpoint.is_below(path.dentry)

    def attach(self, mount: Mount, at: Path) -> None:
        """Make a mount visible on top of `at`."""
        mount.parent, mount.mountpoint = at.mount, at.dentry
        if at.dentry.mounts is None:
            at.dentry.mounts = {}
        at.dentry.mounts[at.mount] = mount
        self._mounts.append(mount)

    def detach(self, mount: Mount) -> None:
        """Take a mount, which has none inside, out of sight; EINVAL for the root."""
        if mount.parent is None or mount.mountpoint is None or mount.mountpoint.mounts is None:
            raise SysError(EINVAL)
        del mount.mountpoint.mounts[mount.parent]
        if not mount.mountpoint.mounts:
            mount.mountpoint.mounts = None
        mount.parent = mount.mountpoint = None
        self._mounts.remove(mount)
        if not any(other.fs is mount.fs for other in self._mounts):
            mount.fs.umounted()

    def move(self, mount: Mount, to: Path) -> None:
        """Show a mount, with what is in it, at another place instead (man 2 mount, MS_MOVE)."""
        old, mountpoint = mount.parent, mount.mountpoint
        if old is None or mountpoint is None or mountpoint.mounts is None:
            raise SysError(EINVAL)
        outer: Mount | None = to.mount
        while outer is not None:
            if outer is mount:
                raise SysError(ELOOP)
            outer = outer.parent
        del mountpoint.mounts[old]
        if not mountpoint.mounts:
            mountpoint.mounts = None
        self._mounts.remove(mount)
        self.attach(mount, to)

    def children(self, mount: Mount) -> list[Mount]:
        """The mounts that hang directly in a mount."""
        return [other for other in self._mounts if other.parent is mount]

    def mounts_text(self, root: Path) -> bytes:
        """The contents of /proc/pid/mounts for a process with this root (man 5 proc_pid_mounts)."""
        lines = []
        for mount in self._mounts:
            name, reached = path_name(Path(mount, mount.root), root)
            if reached:
                options = b",".join(filter(None, (_flags(mount), mount.fs.options.encode())))
                kind = mount.fs.kind.encode()
                lines.append(b"%s %s %s %s 0 0\n" % (escaped(mount.source), escaped(name), kind, options))
        return b"".join(lines)

    def mountinfo_text(self, root: Path) -> bytes:
        """The contents of /proc/pid/mountinfo (man 5 proc_pid_mountinfo)."""
        lines = []
        for mount in self._mounts:
            name, reached = path_name(Path(mount, mount.root), root)
            if not reached:
                continue
            dev = mount.fs.dev
            parent = mount.parent.number if mount.parent is not None else 1
            state = b"ro" if mount.fs.readonly else b"rw"
            lines.append(
                b"%d %d %d:%d %s %s %s - %s %s %s\n"
                % (
                    mount.number,
                    parent,
                    (dev >> 8) & 0xFFF,
                    (dev & 0xFF) | (dev >> 12) & ~0xFF,
                    escaped(_inside(mount)),
                    escaped(name),
                    _flags(mount),
                    mount.fs.kind.encode(),
                    escaped(mount.source),
                    b",".join(filter(None, (state, mount.fs.options.encode()))),
                )
            )
        return b"".join(lines)


def _inside(mount: Mount) -> bytes:
    """Which part of its file system a mount shows."""
    names: list[bytes] = []
    dentry: Dentry | None = mount.root
    while dentry is not None and dentry.parent is not None:
        names.append(dentry.name)
        dentry = dentry.parent
    names.reverse()
    return b"/" + b"/".join(names)


def _flags(mount: Mount) -> bytes:
    shown = [b"ro" if mount.readonly else b"rw"]
    shown += [name for flag, name in _SHOWN if mount.flags & flag]
    return b",".join(shown)


def escaped(text: bytes) -> bytes:
    """A field of /proc/mounts: blanks and backslashes in octal."""
    return b"".join(_ESCAPES.get(byte, bytes((byte,))) for byte in text)
