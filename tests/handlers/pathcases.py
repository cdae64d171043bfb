"""How a walk to a path fails, the same for every call that takes one (man 7 path_resolution)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syscalls.abi.errno import EACCES, EBADF, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EROFS
from syscalls.abi.flags import AT_FDCWD, MS_RDONLY, O_PATH
from tests.handlers.cases import Case, fails, open_file

if TYPE_CHECKING:
    from linuxemu.testing import Guest

USER = (1000, 1000)


def closed_directory(guest: Guest) -> None:
    """Make /closed, which only root may search."""
    guest.files.mkdir("/closed", mode=0o700)


def readonly_mount(guest: Guest) -> None:
    """Mount an empty file system on /dir that cannot be written to; it takes root to do it."""
    guest.syscall.mount("none", "/dir", "tmpfs", MS_RDONLY, 0)


def path_failures(name: str, *rest: Any, user: tuple[int, int] = USER) -> list[Case]:
    """The ways in which a call fails whose first argument is a path.

    Args:
        name: the call.
        rest: its other arguments.
        user: who may not search a directory of root's.
    """
    return _failures(name, (), rest, user)


def at_failures(name: str, *rest: Any) -> list[Case]:
    """The same for a call whose first arguments are a directory and a path."""
    return [
        *_failures(name, (AT_FDCWD,), rest, USER),
        fails(name, EBADF, 99, "file", *rest, rpcs=[]),
        fails(name, ENOTDIR, lambda guest: (open_file(guest), "x", *rest), rpcs=[], label="no directory to start at"),
        fails(name, ENOENT, lambda guest: (open_file(guest, "/dir", O_PATH), "x", *rest), rpcs=["fsx.lookup"],
              label="below a directory"),
    ]  # fmt: skip


def _failures(name: str, at: tuple[Any, ...], rest: tuple[Any, ...], user: tuple[int, int]) -> list[Case]:
    return [
        fails(name, ENOENT, *at, "/none", *rest, rpcs=["fsx.lookup"]),
        fails(name, ENOENT, *at, "", *rest, rpcs=[], label="empty path"),
        fails(name, ENOENT, *at, "/dangling/x", *rest, rpcs=["fsx.lookup", "fsx.readlink", "fsx.lookup"],
              label="dangling link"),
        fails(name, ENOTDIR, *at, "/file/x", *rest, rpcs=["fsx.lookup"]),
        fails(name, ENOTDIR, *at, "/file/", *rest, rpcs=["fsx.lookup"], label="slash after a file"),
        fails(name, ELOOP, *at, "/loop/x", *rest),
        fails(name, ENAMETOOLONG, *at, "/" + "x" * 256, *rest, rpcs=[]),
        fails(name, ENAMETOOLONG, *at, "/x" * 2048, *rest, rpcs=[], label="whole path"),
        fails(name, EACCES, *at, "/closed/x", *rest, setup=closed_directory, user=user,
              rpcs=["fsx.getattr", "fsx.lookup"], label="directory closed"),
    ]  # fmt: skip


def readonly_failure(name: str, *args: Any) -> Case:
    """A call that would change /dir on a file system that is read-only."""
    return fails(name, EROFS, *args, setup=readonly_mount, rpcs=[])
