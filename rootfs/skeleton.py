"""What a root file system holds besides BusyBox.

Changes here or in skel/ need a new `rootfs.cache.ROOT_VERSION`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rootfs.tree import directory, regular, symlink

if TYPE_CHECKING:
    from linuxemu.servers.fs.imagefs import ImageEntry

_SHADOW_GID = 42

_DIRECTORIES = {
    "": 0o755,
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "etc/profile.d": 0o755,
    "home": 0o755,
    "lib": 0o755,
    "media": 0o755,
    "mnt": 0o755,
    "opt": 0o755,
    "proc": 0o555,
    "root": 0o700,
    "run": 0o755,
    "run/lock": 0o1777,
    "sbin": 0o755,
    "srv": 0o755,
    "sys": 0o555,
    "tmp": 0o1777,
    "usr": 0o755,
    "usr/bin": 0o755,
    "usr/lib": 0o755,
    "usr/local": 0o755,
    "usr/local/bin": 0o755,
    "usr/local/sbin": 0o755,
    "usr/sbin": 0o755,
    "usr/share": 0o755,
    "var": 0o755,
    "var/cache": 0o755,
    "var/lib": 0o755,
    "var/log": 0o755,
    "var/spool": 0o755,
    "var/spool/cron": 0o755,
    "var/spool/cron/crontabs": 0o700,
    "var/tmp": 0o1777,
    "var/www": 0o755,
}

_LINKS = {
    "etc/mtab": "../proc/self/mounts",
    "var/lock": "../run/lock",
    "var/run": "../run",
}


def skeleton() -> list[ImageEntry]:
    """Directories, links and the text files of skel/; mount points are empty directories."""
    entries = [directory(path, mode) for path, mode in _DIRECTORIES.items()]
    entries += [symlink(path, target) for path, target in _LINKS.items()]
    for name, content in _texts():
        path = f"etc/{name}"
        if name == "shadow":
            entries.append(regular(path, content, 0o640, _SHADOW_GID))
        else:
            entries.append(regular(path, content))
    return entries


def _texts() -> list[tuple[str, bytes]]:
    """Names and contents of the files in skel/etc, sorted."""
    from importlib.resources import files

    folder = files("rootfs") / "skel" / "etc"
    return sorted((file.name, file.read_bytes()) for file in folder.iterdir())
