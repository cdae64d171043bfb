"""What a path means to a task: root, current directory, umask (man 2 clone, CLONE_FS)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syscalls.vfs.mount import Path


class FsContext:
    """Root directory, current directory and umask; shared by tasks made with CLONE_FS.

    Args:
        root: where "/" is.
        cwd: where relative paths start.
        umask: permission bits that new files do not get.
    """

    __slots__ = ("cwd", "root", "umask")

    def __init__(self, root: Path, cwd: Path, umask: int = 0o022) -> None:
        self.root = root
        self.cwd = cwd
        self.umask = umask

    def clone(self) -> FsContext:
        """A copy for a task that does not share it."""
        return FsContext(self.root, self.cwd, self.umask)
