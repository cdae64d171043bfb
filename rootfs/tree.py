"""Entries of a root file system, in the form that `linuxemu.servers.fs.imagefs.write_image` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linuxemu.servers.fs.imagefs import ImageEntry

S_IFREG = 0o100000
S_IFDIR = 0o040000
S_IFLNK = 0o120000

# One fixed time, 2025-01-01, so that equal inputs give equal images.
_MTIME_NS = 1_735_689_600 * 10**9


def directory(path: str, mode: int = 0o755) -> ImageEntry:
    """A directory of root's; "" is the root directory."""
    return path.encode(), S_IFDIR | mode, 0, 0, _MTIME_NS, 0, b""


def regular(path: str, content: bytes, mode: int = 0o644, gid: int = 0) -> ImageEntry:
    """A regular file of root's."""
    return path.encode(), S_IFREG | mode, 0, gid, _MTIME_NS, 0, content


def symlink(path: str, target: str) -> ImageEntry:
    """A symbolic link."""
    return path.encode(), S_IFLNK | 0o777, 0, 0, _MTIME_NS, 0, target.encode()
