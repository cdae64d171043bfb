"""unlink, rmdir, rename and their relatives (man 2 unlink, rmdir, rename)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.messages import fs
from linuxemu.testing import BAD, Guest
from syscalls.abi.errno import (
    EACCES,
    EBUSY,
    EEXIST,
    EFAULT,
    EINVAL,
    EISDIR,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    EROFS,
    EXDEV,
)
from syscalls.abi.flags import (
    AT_FDCWD,
    AT_REMOVEDIR,
    AT_SYMLINK_NOFOLLOW,
    MS_BIND,
    O_PATH,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
)
from tests.handlers.cases import Edge, fails, ok, open_file, proves
from tests.handlers.namecases import (
    LOOKUP,
    USER,
    in_removed_directory,
    mounted,
    readonly,
    walk_failures,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call
    from tests.handlers.cases import Case

AT = AT_FDCWD
TWO = [*LOOKUP, *LOOKUP]
CHECKED = ["fsx.lookup", "fsx.getattr"]
"""An entry that is there, in a directory that may be written to."""


def gone(*paths: str) -> Callable[[Guest, Call], None]:
    """A check that nothing has these names."""

    def check(guest: Guest, call: Call) -> None:
        assert [path for path in paths if guest.files.exists(path)] == []

    return check


def _sticky(guest: Guest) -> None:
    """Make /tmp as everybody knows it, with what belongs to root and what belongs to uid 1000."""
    guest.files.mkdir("/tmp", mode=0o1777)
    guest.files.write("/tmp/f")
    guest.files.mkdir("/tmp/d")
    guest.files.write("/tmp/mine", uid=1000, gid=1000)


def _empty(guest: Guest) -> None:
    guest.files.mkdir("/empty")


def _bound_file(guest: Guest) -> None:
    guest.syscall.mount("/file", "/user", 0, MS_BIND, 0)


def _directory(guest: Guest) -> int:
    return open_file(guest, "/dir", O_PATH)


# -- unlink, rmdir --------------------------------------------------------------------------------------------

UNLINK = [*CHECKED, "fsx.unlink"]
RMDIR = [*CHECKED, "fsx.rmdir"]


def unlink_failures(name: str, *flags: int, at: tuple[int, ...] = ()) -> list[Case]:
    """The failures of unlink, or of unlinkat with `at` before and the flags behind the path."""

    def f(errno: int, path: Any, **rest: Any) -> Case:
        return fails(name, errno, *at, path, *flags, **rest)

    return [
        *walk_failures(name, *at, "/file", *flags, at=len(at), dirfd=bool(at)),
        f(ENOENT, "/none", rpcs=LOOKUP),
        f(ENOENT, "/none/", rpcs=LOOKUP, label="nothing with a slash"),
        f(ENOTDIR, "/file/", rpcs=LOOKUP, label="slash behind a file"),
        f(EISDIR, "/dir", rpcs=CHECKED),
        f(EISDIR, "/dir/", rpcs=LOOKUP, label="slash behind a directory"),
        f(EISDIR, "/dir/.", rpcs=LOOKUP, label="dot"),
        f(ENOTDIR, "/file/.", rpcs=LOOKUP, label="dot in a file"),
        f(EISDIR, "/", rpcs=[], label="the root"),
        f(EACCES, "/file", user=USER, label="directory of somebody else"),
        f(EPERM, "/tmp/f", user=USER, setup=_sticky, label="file of somebody else in a sticky directory"),
        f(EPERM, "/dir/version", setup=mounted("proc"), rpcs=[], label="in proc"),
        f(EROFS, "/dir/f", setup=readonly, rpcs=[]),
        f(EROFS, "/dir/none", setup=readonly, rpcs=[], label="nothing on a read-only mount"),
        f(EBUSY, "/user", setup=_bound_file, rpcs=["fsx.getattr"], label="mounted on"),
        f(ENOENT, "none", setup=in_removed_directory, label="in a removed directory"),
    ]


def rmdir_failures(name: str, *flags: int, at: tuple[int, ...] = ()) -> list[Case]:
    """The failures of rmdir, or of unlinkat with AT_REMOVEDIR."""

    def f(errno: int, path: Any, **rest: Any) -> Case:
        label = "directory " + rest.pop("label", "")
        return fails(name, errno, *at, path, *flags, label=label.strip(), **rest)

    return [
        f(ENOENT, "/none", rpcs=LOOKUP),
        f(ENOENT, "", rpcs=[], label="without a name"),
        f(ENOTDIR, "/file", rpcs=CHECKED, label="wanted"),
        f(ENOTEMPTY, "/dir", rpcs=RMDIR),
        f(ENOTEMPTY, "/dir/..", rpcs=LOOKUP, label="dot dot"),
        f(EINVAL, "/dir/.", rpcs=LOOKUP, label="dot"),
        f(ENOTDIR, "/file/.", rpcs=LOOKUP, label="dot in a file"),
        f(EBUSY, "/", rpcs=[], label="of the root"),
        f(EBUSY, "/dir", setup=mounted("tmpfs"), rpcs=["fsx.getattr"], label="mounted on"),
        f(EACCES, "/dir", user=USER, label="of somebody else"),
        f(EPERM, "/tmp/d", user=USER, setup=_sticky, label="of somebody else in a sticky directory"),
        f(EPERM, "/dir/kernel", setup=mounted("sysfs"), rpcs=[], label="in sysfs"),
        f(EROFS, "/dir/d", setup=readonly, rpcs=[]),
    ]


CASES = [
    ok("unlink", "/file", returns=0, rpcs=UNLINK, check=gone("/file")),
    ok("unlink", "/link", rpcs=UNLINK, check=gone("/link"), label="a link itself"),
    ok("unlink", Edge("/fifo"), rpcs=UNLINK, check=gone("/fifo"), label="path at the end of memory"),
    ok("unlink", "/tmp/mine", setup=_sticky, user=USER, check=gone("/tmp/mine"), label="one's own in a sticky dir",
       rpcs=["fsx.getattr", "fsx.lookup", *CHECKED, "fsx.getattr", "fsx.unlink"]),
    *unlink_failures("unlink"),
    ok("rmdir", "/empty", setup=_empty, returns=0, rpcs=RMDIR, check=gone("/empty")),
    ok("rmdir", "/empty//", setup=_empty, rpcs=RMDIR, check=gone("/empty"), label="slashes behind"),
    *walk_failures("rmdir", "/dir"),
    *rmdir_failures("rmdir"),
    ok("unlinkat", lambda guest: (_directory(guest), "inner", 0), returns=0, rpcs=UNLINK, check=gone("/dir/inner")),
    ok("unlinkat", AT, "/empty", AT_REMOVEDIR, setup=_empty, rpcs=RMDIR, check=gone("/empty"), label="directory"),
    *unlink_failures("unlinkat", 0, at=(AT,)),
    *rmdir_failures("unlinkat", AT_REMOVEDIR, at=(AT,)),
    fails("unlinkat", EINVAL, AT, BAD, AT_SYMLINK_NOFOLLOW, rpcs=[]),
]  # fmt: skip


@proves("unlink", EROFS, rpcs=["fs.stat"])
@proves("rename", EROFS, rpcs=["fs.stat", "fs.stat"])
def test_a_server_of_paths_takes_no_names_away(guest: Guest) -> None:
    guest.fs.expect(fs.Stat(path="/file")).reply(size=3).times(2)
    guest.fs.expect(fs.Stat(path="/new")).error(ENOENT)
    assert guest.start.unlink("/file").errno == EROFS
    assert guest.start.rename("/file", "/new").errno == EROFS


# -- rename ---------------------------------------------------------------------------------------------------

RENAME = [*TWO, "fsx.getattr", "fsx.getattr", "fsx.rename"]
"""Both names are looked for, and both directories asked who may write."""


def _moves(path: str, other: str) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert (guest.files.exists(path), guest.files.exists(other)) == (False, True)

    return check


def _two_directories(guest: Guest) -> None:
    """Make /outer with /outer/inner in it, and /empty."""
    guest.files.mkdir("/outer")
    guest.files.mkdir("/outer/inner")
    guest.files.mkdir("/empty")


def _open(guest: Guest) -> None:
    """Make /open and /open/to, where everybody may make names, and /open/d, which nobody else may change."""
    guest.files.mkdir("/open", mode=0o777)
    guest.files.mkdir("/open/to", mode=0o777)
    guest.files.mkdir("/open/d")


def _bound_twice(guest: Guest) -> None:
    guest.files.mkdir("/again")
    guest.syscall.mount("/dir", "/again", 0, MS_BIND, 0)


def _same_file(guest: Guest) -> None:
    guest.syscall.link("/file", "/same")


def _contents(**expected: bytes) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert {name: guest.files.read(f"/{name}") for name in expected} == expected

    return check


def rename_failures(name: str, old: tuple[int, ...], new: tuple[int, ...], *flags: int) -> list[Case]:
    """The failures of rename, or of renameat with descriptors before the paths."""

    def f(errno: int, source: Any, target: Any, **rest: Any) -> Case:
        return fails(name, errno, *old, source, *new, target, *flags, **rest)

    at, dirfd = len(old), bool(old)
    args = (*old, "/file", *new, "/new", *flags)
    return [
        *walk_failures(name, *args, at=at, dirfd=dirfd),
        *walk_failures(name, *args, at=at + 1 + len(new), dirfd=dirfd, last=LOOKUP),
        f(ENOENT, "/none", "/new", rpcs=LOOKUP, label="no such file"),
        f(ENOENT, "/none/x", BAD, rpcs=LOOKUP, label="the old directory is looked up first"),
        f(ENOTDIR, "/none", "/file/x", rpcs=LOOKUP, label="both directories are looked up first"),
        f(EFAULT, "/none", BAD, rpcs=[]),
        f(ENOENT, "/file", "new", setup=in_removed_directory, label="into a removed directory"),
        f(ENOTDIR, "/file/", "/new", rpcs=TWO, label="slash behind a file"),
        f(ENOTDIR, "/file", "/new/", rpcs=TWO, label="file to a name with a slash"),
        f(ENOTDIR, "/dir", "/file", label="directory over a file"),
        f(EISDIR, "/file", "/dir", label="file over a directory"),
        f(ENOTEMPTY, "/empty", "/outer", setup=_two_directories, label="over a full directory"),
        f(ENOTEMPTY, "/outer/inner", "/outer", setup=_two_directories, label="over a directory that it is in"),
        f(EINVAL, "/outer", "/outer/inner/x", setup=_two_directories, label="into itself"),
        f(EBUSY, "/", "/new", rpcs=[], label="the root"),
        f(EBUSY, "/dir/.", "/new", rpcs=LOOKUP, label="dot"),
        f(ENOTDIR, "/file/.", "/new", rpcs=LOOKUP, label="dot in a file"),
        f(EBUSY, "/file", "/dir/..", rpcs=LOOKUP, label="to dot dot"),
        f(EBUSY, "/dir", "/new", setup=mounted("tmpfs"), label="mounted on"),
        f(EBUSY, "/outer", "/dir", setup=_over_mount_point, label="over what is mounted on"),
        f(EXDEV, "/file", "/dir/new", setup=mounted("tmpfs"), rpcs=[], label="other file system"),
        f(EXDEV, "/dir/inner", "/again/x", setup=_bound_twice, rpcs=LOOKUP, label="other mount of the same"),
        f(EROFS, "/dir/f", "/dir/x", setup=readonly, rpcs=[]),
        f(EACCES, "/file", "/new", user=USER, label="directory of somebody else"),
        f(EACCES, "/open/d", "/open/to/d", user=USER, setup=_open, label="directory that cannot be changed"),
        f(EPERM, "/tmp/f", "/tmp/x", user=USER, setup=_sticky, label="of somebody else in a sticky directory"),
        f(EPERM, "/tmp/mine", "/tmp/f", user=USER, setup=_sticky, label="over somebody else's in a sticky directory"),
        f(EPERM, "/dir/kernel", "/dir/x", setup=mounted("sysfs"), rpcs=[], label="in sysfs"),
    ]


def _over_mount_point(guest: Guest) -> None:
    _two_directories(guest)
    mounted("tmpfs")(guest)


def _noreplace(errno: int, source: Any, target: Any, **rest: Any) -> Case:
    return fails("renameat2", errno, AT, source, AT, target, RENAME_NOREPLACE, **rest)


def _exchange(errno: int, source: Any, target: Any, **rest: Any) -> Case:
    return fails("renameat2", errno, AT, source, AT, target, RENAME_EXCHANGE, label="exchange", **rest)


def _records_whiteout(guest: Guest, call: Call) -> None:
    assert [missing.what for missing in guest.unsupported] == ["renameat2: RENAME_WHITEOUT"]


CASES += [
    ok("rename", "/file", "/new", returns=0, rpcs=RENAME, check=_moves("/file", "/new")),
    ok("rename", "/file", "/user", rpcs=RENAME, check=_contents(user=b"contents"), label="over a file"),
    ok("rename", "/dir/", "/empty/", setup=_empty, rpcs=RENAME, check=_moves("/dir", "/empty/inner"),
       label="over an empty directory"),
    ok("rename", "/dir", "/empty/d", setup=_empty, check=_moves("/dir", "/empty/d/inner"), label="directory elsewhere",
       rpcs=["fsx.lookup", *TWO, *["fsx.getattr"] * 3, "fsx.rename"]),
    ok("rename", "/file", "/same", setup=_same_file, rpcs=TWO, check=_moves("/none", "/file"), label="the same file"),
    ok("rename", "/dangling", "/link", rpcs=RENAME, check=_moves("/dangling", "/link"), label="links themselves"),
    *rename_failures("rename", (), ()),
    ok("renameat", lambda guest: (_directory(guest), "inner", AT, "/new"), returns=0, rpcs=RENAME,
       check=_moves("/dir/inner", "/new")),
    *rename_failures("renameat", (AT,), (AT,)),
    ok("renameat2", AT, "/file", AT, "/user", 0, returns=0, rpcs=RENAME, check=_contents(user=b"contents")),
    ok("renameat2", AT, "/file", AT, "/new", RENAME_NOREPLACE, rpcs=RENAME, check=_moves("/file", "/new"),
       label="no replace"),
    ok("renameat2", AT, "/file", AT, "/user", RENAME_EXCHANGE, rpcs=RENAME,
       check=_contents(user=b"contents", file=b"mine"), label="exchange"),
    *rename_failures("renameat2", (AT,), (AT,), 0),
    _noreplace(EEXIST, "/file", "/user", rpcs=TWO),
    _noreplace(EEXIST, "/none", "/dir/.", rpcs=LOOKUP, label="dot"),
    _exchange(ENOENT, "/file", "/none", rpcs=TWO),
    _exchange(ENOTDIR, "/dir", "/file/", rpcs=TWO),
    _exchange(EINVAL, "/outer/inner", "/outer", setup=_two_directories),
    _exchange(EACCES, "/open/to/x", "/open/d", user=USER, setup=lambda guest: (_open(guest), _mine(guest))),
    fails("renameat2", EINVAL, AT, BAD, AT, BAD, 8, rpcs=[], label="no such flag"),
    fails("renameat2", EINVAL, AT, BAD, AT, BAD, RENAME_EXCHANGE | RENAME_NOREPLACE, rpcs=[], label="both"),
    fails("renameat2", EINVAL, AT, "/file", AT, "/new", RENAME_WHITEOUT, check=_records_whiteout, label="whiteout"),
    fails("renameat2", ENOENT, AT, "/missing", AT, "/new", RENAME_WHITEOUT, check=_records_whiteout,
          label="whiteout of nothing"),
]  # fmt: skip


def _mine(guest: Guest) -> None:
    guest.files.mkdir("/open/to/x", uid=1000)
