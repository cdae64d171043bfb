"""Where the default root file system is kept, and the quick way to one that is already there."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

ROOT_VERSION = 1
"""Goes up with every change of the skeleton, of the image format or of what is kept in `EXEC_CACHE`: a root
of another version is built again. A test pins it to a digest of the skeleton."""

STAMP = "stamp"
"""A file of an image directory that is written last; it holds `stamp_text`."""

EXEC_CACHE = "exec.cache"
"""A file of an image directory: the `loader.cache.ImageCache` of its programs."""

CURRENT = "current"
"""The link in a cache directory to the root in use."""


def ensure_default_root(note: Callable[[str], None] | None = None) -> str:
    """The directory of the default root's image; it is built if it is not there yet.

    Args:
        note: is told in one line what takes time and what is passed over.

    Raises:
        BootError: there is no BusyBox to build it of, or no place to put it.
    """
    for folder in cache_dirs():
        path = current_root(folder)
        if path is not None:
            return path
    from rootfs.builder import build_default_root

    return build_default_root(note=note)


def cache_dirs() -> list[str]:
    """Where a root may be kept: LINUXEMU_CACHE, or the user's cache and after that a temporary directory."""
    chosen = os.environ.get("LINUXEMU_CACHE")
    if chosen:
        return [os.path.abspath(chosen)]
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = os.path.expanduser("~")
        base = os.path.join(home, ".cache") if os.path.isabs(home) else ""
    return [os.path.join(base, "linuxemu"), _temporary()] if base else [_temporary()]


def _temporary() -> str:
    return os.path.join(os.environ.get("TMPDIR") or "/tmp", f"linuxemu-{os.geteuid()}")


def current_root(folder: str) -> str | None:
    """The root in use in a cache directory, if it was built whole and by this version."""
    try:
        name = os.readlink(os.path.join(folder, CURRENT))
        path = os.path.join(folder, name)
        return path if os.sep not in name and is_root(path) and is_trusted(folder) else None
    except OSError:
        return None


def is_root(path: str) -> bool:
    """Whether a directory holds a whole root of this version."""
    try:
        with open(os.path.join(path, STAMP), "rb") as file:
            return file.read(64) == stamp_text()
    except OSError:
        return False


def is_trusted(folder: str) -> bool:
    """Whether a cache directory is the user's choice, or a temporary one that nobody else can have filled."""
    if folder != _temporary():
        return True
    status = os.lstat(folder)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def stamp_text() -> bytes:
    """What `STAMP` of a root of this version holds."""
    return b"linuxemu root %d\n" % ROOT_VERSION
