"""/dev: what devtmpfs holds on a fresh system, made in an ordinary tmpfs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.flags import S_IFCHR
from syscalls.objects.device import CONSOLE_RDEV, TTY_RDEV, makedev

if TYPE_CHECKING:
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode

_TTY_GID = 5

_NODES = (
    (b"null", 0o666, makedev(1, 3), 0),
    (b"zero", 0o666, makedev(1, 5), 0),
    (b"full", 0o666, makedev(1, 7), 0),
    (b"random", 0o666, makedev(1, 8), 0),
    (b"urandom", 0o666, makedev(1, 9), 0),
    (b"kmsg", 0o644, makedev(1, 11), 0),
    (b"tty", 0o666, TTY_RDEV, _TTY_GID),
    (b"console", 0o620, CONSOLE_RDEV, _TTY_GID),
)
_LINKS = (
    (b"fd", b"/proc/self/fd"),
    (b"stdin", b"/proc/self/fd/0"),
    (b"stdout", b"/proc/self/fd/1"),
    (b"stderr", b"/proc/self/fd/2"),
)
_DIRECTORIES = ((b"pts", 0o755), (b"shm", 0o1777))


async def populate(t: Task, root: Inode) -> None:
    """Make the usual nodes, links and directories in an empty directory, as root.

    Args:
        t: the task on whose behalf the file system is asked; its umask and rights do not matter.
        root: the directory to be seen as /dev.
    """
    for name, mode, rdev, gid in _NODES:
        await root.mknod(t, name, S_IFCHR | mode, rdev, 0, gid)
    for name, target in _LINKS:
        await root.symlink(t, name, target, 0, 0)
    for name, mode in _DIRECTORIES:
        await root.mkdir(t, name, mode, 0, 0)
