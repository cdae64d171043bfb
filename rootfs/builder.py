"""Builds root file systems: the skeleton, a BusyBox and its links, in the image form that opens at once."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress

from linuxemu.errors import BootError
from rootfs.busybox import BusyBox, find_busybox
from rootfs.cache import CURRENT, EXEC_CACHE, ROOT_VERSION, STAMP, cache_dirs, is_root, is_trusted, stamp_text

_BUSYBOX_PATH = "bin/busybox"
_SCRATCH = ".build-"
_SCRATCH_AGE_S = 3600
_ROOT_AGE_S = 86400


def build_default_root(
    busybox: str | None = None, *, force: bool = False, note: Callable[[str], None] | None = None
) -> str:
    """Builds the default root in the first cache directory that takes it, and returns the image's directory.

    Builds may run at the same time: each works in a directory of its own and is put in place in one step.

    Args:
        busybox: a file to take instead of what the host has.
        force: replace the image even if one of the same BusyBox is there.
        note: is told in one line what takes time and what is passed over.

    Raises:
        BootError: there is no BusyBox, or no directory can be written.
    """
    say = note or (lambda _text: None)
    found = find_busybox(busybox, say)
    failures = []
    for folder in cache_dirs():
        try:
            return _install(folder, found, force)
        except OSError as e:
            failures.append(f"cannot write the root file system to {folder}: {e.strerror or e}")
            say(failures[-1])
    raise BootError(f"{failures[0]}; set LINUXEMU_CACHE to a directory that can be written")


def build_root(
    output: str, busybox: str | None = None, *, force: bool = False, note: Callable[[str], None] | None = None
) -> str:
    """Builds a root at `output`, a path that is free, an empty directory, or with `force` another root.

    Raises:
        BootError: there is no BusyBox, or `output` is taken or cannot be written.
    """
    output = os.path.abspath(output)
    _check_free(output, force)
    found = find_busybox(busybox, note or (lambda _text: None))
    try:
        parent = os.path.dirname(output)
        os.makedirs(parent, exist_ok=True)
        _build_at(parent, output, found, 0o755, force=force)
    except OSError as e:
        raise BootError(f"cannot write the root file system to {output}: {e.strerror or e}") from None
    return output


def write_root(directory: str, busybox: BusyBox) -> None:
    """Writes the files of a root's image into an empty directory, the stamp that vouches for them last."""
    from linuxemu.servers.fs.imagefs import write_image
    from loader.cache import HEAD_SIZE, ImageCache
    from rootfs.skeleton import skeleton
    from rootfs.tree import regular, symlink

    entries = skeleton()
    entries.append(regular(_BUSYBOX_PATH, busybox.data, 0o755))
    entries += [symlink(path, "/" + _BUSYBOX_PATH) for path in busybox.applets if path != _BUSYBOX_PATH]
    write_image(directory, entries)
    cache = ImageCache()
    cache.add(busybox.data[:HEAD_SIZE], busybox.image)
    _write(os.path.join(directory, EXEC_CACHE), cache.to_bytes())
    for name in os.listdir(directory):
        _to_disk(os.path.join(directory, name))
    _write(os.path.join(directory, STAMP), stamp_text())


def _install(folder: str, busybox: BusyBox, force: bool) -> str:
    """Puts a root into a cache directory and makes it the current one."""
    from hashlib import sha256

    os.makedirs(folder, mode=0o700, exist_ok=True)
    if not is_trusted(folder):
        raise OSError(errno.EACCES, "it is not private")
    name = f"root-{ROOT_VERSION}-{sha256(busybox.data).hexdigest()[:16]}"
    target = os.path.join(folder, name)
    if force or not is_root(target):
        _build_at(folder, target, busybox, 0o700, force=force)
    link = os.path.join(folder, f"{_SCRATCH}link-{os.getpid()}")
    with suppress(FileNotFoundError):
        os.unlink(link)
    os.symlink(name, link)
    os.replace(link, os.path.join(folder, CURRENT))
    _prune(folder, name)
    return target


def _build_at(folder: str, target: str, busybox: BusyBox, mode: int, *, force: bool) -> None:
    """Builds in a scratch directory beside the target and moves the result into place."""
    import shutil
    import tempfile

    scratch = tempfile.mkdtemp(prefix=_SCRATCH, dir=folder)
    new = os.path.join(scratch, "new")
    try:
        os.mkdir(new)
        write_root(new, busybox)
        os.chmod(new, mode)
        if not _move(new, target) and (force or not is_root(target)):
            # Whoever has the old image open keeps it.
            with suppress(FileNotFoundError):
                os.rename(target, os.path.join(scratch, "old"))
            _move(new, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move(directory: str, target: str) -> bool:
    """Renames a directory, unless another build has put its result there: that one is as good."""
    try:
        os.rename(directory, target)
    except OSError as e:
        if e.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def _prune(folder: str, keep: str) -> None:
    """Removes roots that were not built today, and what killed builds left behind."""
    import shutil

    now = time.time()
    with os.scandir(folder) as entries:
        for entry in entries:
            oldest = now - (_SCRATCH_AGE_S if entry.name.startswith(_SCRATCH) else _ROOT_AGE_S)
            if entry.name == keep or not entry.name.startswith((_SCRATCH, "root-")):
                continue
            with suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    shutil.rmtree(entry.path, ignore_errors=True)


def _check_free(output: str, force: bool) -> None:
    """Refuses to build over anything that is not ours to replace."""
    try:
        names = os.listdir(output)
    except FileNotFoundError:
        return
    except OSError as e:
        raise BootError(f"cannot build a root file system at {output}: {e.strerror}") from None
    ours = STAMP in names and EXEC_CACHE in names
    if names and not ours:
        raise BootError(f"{output} is not empty and no root file system of linuxemu: it is left alone")
    if names and not force:
        raise BootError(f"{output} holds a root file system already; --force replaces it")


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def _to_disk(path: str) -> None:
    """Waits until a file is on the disk: a stamp must not outlive what it vouches for."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
