"""Opens what a user names as a root file system."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from linuxemu.errors import BootError

if TYPE_CHECKING:
    from linuxemu.kernel import Server

_IMAGE_MAGIC = b"linuxemu-image-"


def open_root(spec: str, name: str = "fs") -> Server:
    """A file server, not started yet, of a root: read-only whatever it is.

    Args:
        spec: an image directory as `ensure_default_root` gives it, any other directory of the host, or a tar
            archive, plain or compressed with gzip, xz, zstd or bzip2.
        name: the service name to register; empty for the lower part of an overlay.

    Raises:
        BootError: it is none of these, or cannot be read.
    """
    try:
        mode = os.stat(spec).st_mode
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) else e
        raise BootError(f"cannot use {spec!r} as root file system: {reason}") from None
    if stat.S_ISDIR(mode):
        if _is_image(spec):
            from linuxemu.servers.fs.imagefs import ImageFs

            return ImageFs(spec, name=name)
        from linuxemu.servers.fs.hostfs import HostFs

        return HostFs(spec, name=name)
    if stat.S_ISREG(mode):
        from linuxemu.servers.fs.tarfs import TarFs

        return TarFs(spec, name=name)
    raise BootError(f"cannot use {spec!r} as root file system: it is neither a directory nor a tar archive")


def _is_image(directory: str) -> bool:
    """Whether a directory is an image of whatever version; a root may well have a file named index, too."""
    try:
        with open(os.path.join(directory, "index"), "rb") as file:
            return file.read(len(_IMAGE_MAGIC)) == _IMAGE_MAGIC
    except OSError:
        return False
