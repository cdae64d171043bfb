"""Cases of calls that take names: how the walk fails (man 7 path_resolution), and how making a name does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syscalls.abi.errno import (
    EACCES,
    EBADF,
    EEXIST,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOSPC,
    ENOTDIR,
    EROFS,
)
from syscalls.abi.flags import AT_FDCWD, MS_RDONLY, MS_REMOUNT
from tests.handlers.cases import Case, fails, open_file
from tests.handlers.pathcases import USER, closed_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from linuxemu.messages import Message
    from linuxemu.testing import Guest

LOOKUP = ["fsx.lookup"]
SEARCHED = ["fsx.getattr", "fsx.lookup"]
"""What a user's walk through / sends: only root need not ask whether it may search there."""


def walk_failures(
    name: str,
    *args: Any,
    at: int = 0,
    dirfd: bool = False,
    before: Sequence[str] = (),
    last: Sequence[str] = (),
) -> list[Case]:
    """The failures of the walk to one path of a call.

    Args:
        name: the call.
        args: its arguments; the path, and the descriptor before it, are replaced.
        at: which argument the path is.
        dirfd: the argument before it is a descriptor of the directory to start at.
        before: the messages that the call sends before it walks.
        last: the messages that it sends after the walk, before it looks for the last component.
    """

    def given(path: str, fd: int = AT_FDCWD) -> tuple[Any, ...]:
        start = (*args[: at - 1], fd) if dirfd else args[:at]
        return (*start, path, *args[at + 1 :])

    what = f"argument {at} " if at else ""
    first = list(before)
    found = [
        fails(name, ENOENT, *given(""), rpcs=first, label=f"{what}empty"),
        fails(name, ENOENT, *given("/none/x"), rpcs=[*first, *LOOKUP], label=f"{what}in nothing"),
        fails(name, ENOTDIR, *given("/file/x"), rpcs=[*first, *LOOKUP], label=f"{what}in a file"),
        fails(name, ELOOP, *given("/loop/x"), label=f"{what}in a loop"),
        fails(name, ENAMETOOLONG, *given("/" + "x" * 256), rpcs=[*first, *last], label=f"{what}long name"),
        fails(name, ENAMETOOLONG, *given("/x" * 2048), rpcs=first, label=f"{what}long path"),
        fails(name, EACCES, *given("/closed/x"), setup=closed_directory, user=USER,
              label=f"{what}in a closed directory"),
    ]
    if not dirfd:
        return found
    return [
        *found,
        fails(name, EBADF, *given("x", 99), rpcs=first, label=f"{what}starts at a closed descriptor"),
        fails(name, ENOTDIR, lambda guest: given("x", open_file(guest)), rpcs=first, label=f"{what}starts at a file"),
    ]


# -- names that are made, and names that are there --------------------------------------------------------------------


def mounted(kind: str, flags: int = 0) -> Callable[[Guest], object]:
    """A setup that mounts a file system on /dir."""
    return lambda guest: guest.syscall.mount("none", "/dir", kind, flags, 0)


def readonly(guest: Guest) -> None:
    """Mount a file system on /dir that cannot be written to, with a directory /dir/d and a file /dir/f."""
    guest.syscall.mount("none", "/dir", "tmpfs", 0, 0)
    guest.files.mkdir("/dir/d")
    guest.files.write("/dir/f")
    guest.syscall.mount(0, "/dir", 0, MS_REMOUNT | MS_RDONLY, 0)


def in_removed_directory(guest: Guest) -> None:
    """Stand in a directory that was removed."""
    guest.files.mkdir("/gone")
    guest.syscall.chdir("/gone")
    guest.syscall.rmdir("/gone")


def refused(message: type[Message], errno: int) -> Callable[[Guest], object]:
    """A setup after which the server refuses a message."""
    return lambda guest: guest.fs.expect(message).error(errno)


def new_name_failures(
    name: str, message: type[Message], *args: Any, at: int = 0, dirfd: bool = False, before: Sequence[str] = ()
) -> list[Case]:
    """The failures of a call that makes a name.

    Args:
        name: the call.
        message: what it sends.
        args: the arguments of a success.
        at: which argument the new name is.
        dirfd: see `walk_failures`.
        before: see `walk_failures`.
    """

    def given(path: str) -> tuple[Any, ...]:
        return (*args[:at], path, *args[at + 1 :])

    first = list(before)
    return [
        *walk_failures(name, *args, at=at, dirfd=dirfd, before=before),
        fails(name, EEXIST, *given("/dir"), rpcs=[*first, *LOOKUP], label="a directory"),
        fails(name, EEXIST, *given("/dangling"), rpcs=[*first, *LOOKUP], label="a dangling link"),
        fails(name, EEXIST, *given("/"), rpcs=first, label="the root"),
        fails(name, EEXIST, *given("/dir/."), rpcs=[*first, *LOOKUP], label="dot"),
        fails(name, EEXIST, *given("/dir/.."), rpcs=[*first, *LOOKUP], label="dot dot"),
        fails(name, ENOTDIR, *given("/file/."), rpcs=[*first, *LOOKUP], label="dot in a file"),
        fails(name, EEXIST, *given("/dir/f"), setup=readonly, label="although it is read-only"),
        fails(name, EROFS, *given("/dir/new"), setup=readonly),
        fails(name, ENOENT, *given("new"), setup=in_removed_directory, rpcs=[*first, *LOOKUP], label="removed dir"),
        fails(name, ENOENT, *given("/dir/new"), setup=mounted("proc"), rpcs=first, label="where nothing can be made"),
        fails(name, ENOSPC, *args, setup=refused(message, ENOSPC), label="the server is full"),
        fails(name, EACCES, *given("/new"), user=USER, label="directory of somebody else"),
    ]  # fmt: skip
