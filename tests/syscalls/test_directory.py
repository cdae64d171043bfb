"""Names: making, linking, removing, renaming, listing; the current and the root directory."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

import pytest

from syscalls.abi.errno import EACCES, EBUSY, EINVAL, ENOENT, EPERM
from syscalls.abi.flags import (
    AT_FDCWD,
    AT_REMOVEDIR,
    AT_SYMLINK_FOLLOW,
    O_CREAT,
    O_DIRECTORY,
    O_NOFOLLOW,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFREG,
    S_IFSOCK,
)
from syscalls.objects.credentials import Credentials
from tests.syscalls.vfs_rig import BAD, Out, Rig, both, entries64

R, W, RW = O_RDONLY, O_WRONLY, O_RDWR
AT = AT_FDCWD
FILE = ("open", b"f", O_CREAT | RW, 0o644)


def lstat(path: bytes) -> tuple[Any, ...]:
    return ("lstat", path, Out(144))


SCRIPTS: dict[str, list[Any]] = {
    "mkdir": [
        FILE,
        ("mkdir", b"d", 0o755),
        ("mkdir", b"d", 0o755),
        ("mkdir", b"d/", 0o755),
        ("mkdir", b"e/", 0o7777),
        lstat(b"e"),
        ("mkdir", b"nope/x", 0o755),
        ("mkdir", b".", 0o755),
        ("mkdir", b"..", 0o755),
        ("mkdir", b"/", 0o755),
        ("mkdir", b"", 0o755),
        ("mkdir", BAD, 0),
        ("mkdir", b"d/.", 0o755),
        ("mkdir", b"d/x/..", 0o755),
        ("mkdirat", 99, b"x", 0),
        ("mkdirat", 0, b"x", 0),
        ("open", b"d", O_PATH, 0),
        ("mkdirat", 4, b"x", 0o700),
        ("mkdir", b"f", 0o755),
        ("mkdir", b"f/x", 0o755),
        ("mkdir", b"f/", 0o755),
        ("symlink", b"gone", b"dangling"),
        ("mkdir", b"dangling", 0o755),
        ("mkdir", b"dangling/", 0o755),
        ("umask", 0o077),
        ("mkdir", b"private", 0o777),
        lstat(b"private"),
    ],
    "rmdir": [
        FILE,
        ("mkdir", b"d", 0o755),
        ("mkdir", b"e", 0o755),
        ("symlink", b"gone", b"dangling"),
        ("rmdir", b"f"),
        ("rmdir", b"d/."),
        ("rmdir", b"d/.."),
        ("rmdir", b"d/./"),
        ("rmdir", b"/"),
        ("rmdir", b"."),
        ("rmdir", b".."),
        ("rmdir", b"nope"),
        ("rmdir", b"nope/"),
        ("rmdir", b"f/"),
        ("rmdir", b"f/x"),
        ("rmdir", b"dangling"),
        ("rmdir", b"dangling/"),
        ("mkdir", b"d/s", 0o700),
        ("rmdir", b"d"),
        ("rmdir", b"d/s/"),
        ("rmdir", b"d"),
        ("rmdir", b"d"),
        ("rmdir", b""),
        ("rmdir", BAD),
    ],
    "unlink": [
        FILE,
        ("mkdir", b"d", 0o755),
        ("symlink", b"gone", b"dangling"),
        ("symlink", b"d", b"sd"),
        ("unlink", b"d"),
        ("unlink", b"d/"),
        ("unlink", b"nope"),
        ("unlink", b"nope/"),
        ("unlink", b"f/"),
        ("unlink", b"."),
        ("unlink", b".."),
        ("unlink", b"/"),
        ("unlink", b"d/."),
        ("unlink", b""),
        ("unlink", b"f/x"),
        ("unlink", b"dangling/"),
        ("unlink", b"sd/"),
        ("unlinkat", AT, b"d", 0),
        ("unlinkat", AT, b"f", AT_REMOVEDIR),
        ("unlinkat", AT, b"f", 1),
        ("unlinkat", 99, b"f", 0),
        ("unlinkat", 3, b"f", 0),
        ("unlink", b"f"),
        ("unlink", b"f"),
        ("fstat", 3, Out(144)),
        ("unlink", b"sd"),
        ("unlink", b"dangling"),
        ("unlinkat", AT, b"d", AT_REMOVEDIR),
    ],
    "symlink and readlink": [
        FILE,
        ("mkdir", b"d", 0o755),
        ("symlink", b"x", b"f"),
        ("symlink", b"", b"s"),
        ("symlink", b"x", b""),
        ("symlink", b"x", b"nope/s"),
        ("symlink", b"x", b"s/"),
        ("symlink", b"y" * 4095, b"long"),
        ("symlink", b"y" * 4096, b"longer"),
        ("symlink", b"x", b"f/s"),
        ("symlink", b"d", b"sd"),
        ("symlink", b"d", b"sd/in"),
        ("symlinkat", b"x", 99, b"s"),
        lstat(b"sd"),
        ("readlink", b"sd", Out(10), 10),
        ("readlink", b"sd", Out(10), 0),
        ("readlink", b"sd", Out(10), -1),
        ("readlink", b"f", Out(10), 10),
        ("readlink", b"nope", Out(10), 10),
        ("readlink", b"", Out(10), 10),
        ("readlink", b"sd/", Out(10), 10),
        ("readlink", b"d/", Out(10), 10),
        ("readlink", b"long", Out(10), 3),
        ("readlink", b"long", BAD, 3),
        ("readlink", b"long", Out(5000), 5000),
        ("readlinkat", AT, b"", Out(5), 5),
        ("readlinkat", 3, b"", Out(5), 5),
        ("open", b"sd", O_PATH | O_NOFOLLOW, 0),
        ("readlinkat", 4, b"", Out(5), 5),
        ("readlinkat", 99, b"sd", Out(5), 5),
    ],
    "link": [
        FILE,
        ("mkdir", b"e", 0o755),
        ("symlink", b"gone", b"dangling"),
        ("symlink", b"e", b"se"),
        ("symlink", b"f", b"sf"),
        ("link", b"f", b"g"),
        lstat(b"g"),
        ("link", b"f", b"g"),
        ("link", b"nope", b"h"),
        ("link", b"e", b"h"),
        ("link", b"f", b"h/"),
        ("link", b"f/", b"h"),
        ("link", b"f", b"nope/h"),
        ("link", b"f", b"."),
        ("link", b"f", b""),
        ("link", b"", b"h"),
        ("link", b"dangling", b"dangling2"),
        ("readlink", b"dangling2", Out(5), 5),
        ("linkat", AT, b"dangling", AT, b"d3", AT_SYMLINK_FOLLOW),
        ("linkat", AT, b"se", AT, b"se3", AT_SYMLINK_FOLLOW),
        ("linkat", AT, b"sf", AT, b"sf3", AT_SYMLINK_FOLLOW),
        lstat(b"sf3"),
        ("linkat", AT, b"f", AT, b"h", 1),
        ("linkat", 3, b"", AT, b"h", 0),
        ("linkat", 99, b"f", AT, b"h", 0),
        ("unlink", b"f"),
        lstat(b"g"),
    ],
    "rename": [
        FILE,
        ("link", b"f", b"g"),
        ("mkdir", b"e", 0o755),
        ("mkdir", b"e1", 0o755),
        ("mkdir", b"e1/sub", 0o755),
        ("symlink", b"gone", b"dangling"),
        ("symlink", b"e", b"se"),
        ("rename", b"f", b"f"),
        ("rename", b"f", b"g"),
        lstat(b"f"),
        ("rename", b"nope", b"x"),
        ("rename", b"f", b"nope/x"),
        ("rename", b"f", b"e"),
        ("rename", b"e", b"f"),
        ("rename", b"e", b"e1"),
        ("rename", b"e1", b"e1/sub/x"),
        ("rename", b"e1", b"e1"),
        ("rename", b"e1/sub", b"e1"),
        ("rename", b"e", b"e2"),
        ("rename", b"e2/", b"e/"),
        ("rename", b"f/", b"x"),
        ("rename", b"f", b"x/"),
        ("rename", b"f", b"e/"),
        ("rename", b"nope2", b"e"),
        ("rename", b".", b"x"),
        ("rename", b"e/.", b"x"),
        ("rename", b"e/..", b"x"),
        ("rename", b"f", b"."),
        ("rename", b"f", b".."),
        ("rename", b"", b"x"),
        ("rename", b"f", b""),
        ("rename", BAD, b"x"),
        ("rename", b"f", BAD),
        ("rename", b"se", b"se9"),
        ("rename", b"dangling", b"dx"),
        ("rename", b"dx/", b"dy"),
        ("rename", b"e", b"e1/sub"),
        lstat(b"e1/sub"),
        ("rename", b"f", b"e1/sub/f"),
        ("rename", b"g", b"e1/sub/f"),
        ("renameat", 99, b"a", AT, b"b"),
        ("rename", b"x" * 256, b"y"),
        ("rename", b"g", b"x" * 256),
    ],
    "renameat2": [
        FILE,
        ("link", b"f", b"g"),
        ("mkdir", b"e", 0o755),
        ("mkdir", b"e1", 0o755),
        ("mkdir", b"e1/sub", 0o755),
        ("renameat2", AT, b"f", AT, b"g", RENAME_NOREPLACE),
        ("renameat2", AT, b"f", AT, b"ff", RENAME_NOREPLACE),
        ("renameat2", AT, b"ff", AT, b"e", RENAME_EXCHANGE),
        ("open", b"e", R | O_DIRECTORY, 0),
        ("open", b"ff", R | O_DIRECTORY, 0),
        ("renameat2", AT, b"ff", AT, b"nope", RENAME_EXCHANGE),
        ("renameat2", AT, b"nope", AT, b"ff", RENAME_EXCHANGE),
        ("renameat2", AT, b"ff", AT, b"e", RENAME_EXCHANGE | RENAME_NOREPLACE),
        ("renameat2", AT, b"ff", AT, b"e", RENAME_EXCHANGE | RENAME_WHITEOUT),
        ("renameat2", AT, b"ff", AT, b"e", 8),
        ("renameat2", AT, b"e1", AT, b"e1/sub", RENAME_EXCHANGE),
        ("renameat2", AT, b"e1/sub", AT, b"e1", RENAME_EXCHANGE),
        ("renameat2", AT, b"ff", AT, b".", RENAME_NOREPLACE),
        ("renameat2", AT, b"ff/", AT, b"e/", RENAME_EXCHANGE),
        ("renameat2", AT, b"ff", AT, b"e/", RENAME_EXCHANGE),
    ],
    "mknod": [
        ("mknod", b"n1", 0o644, 0),
        ("mknod", b"n2", S_IFREG | 0o644, 0),
        ("mknod", b"n3", S_IFIFO | 0o644, 0),
        ("mknod", b"n4", S_IFSOCK | 0o644, 0),
        ("mknod", b"n5", S_IFCHR | 0o644, 0x12345),
        lstat(b"n5"),
        lstat(b"n3"),
        ("mknod", b"n6", S_IFDIR | 0o644, 0),
        ("mknod", b"n7", 0o150644, 0),
        ("mknod", b"n9", S_IFLNK | 0o777, 0),
        ("mknod", b"n1", S_IFREG, 0),
        ("mknod", b"n1", S_IFCHR, 0),
        ("mknod", b"n8/", S_IFREG, 0),
        ("mknodat", 99, b"n", S_IFREG, 0),
        ("mknodat", AT, b"n0", S_IFREG | 0o7777, 0),
        lstat(b"n0"),
        ("mknod", b"", S_IFREG, 0),
    ],
    "chdir and getcwd": [
        FILE,
        ("mkdir", b"d", 0o755),
        ("mkdir", b"d/s", 0o755),
        ("chdir", b"nope"),
        ("chdir", b"f"),
        ("chdir", b""),
        ("chdir", b"d"),
        ("chdir", b"s"),
        ("chdir", b"../.."),
        ("fchdir", 3),
        ("fchdir", 99),
        ("open", b"d", O_PATH, 0),
        ("fchdir", 4),
        ("chdir", b".."),
        ("getcwd", Out(2), 1),
        ("getcwd", Out(2), 0),
        ("getcwd", BAD, 100),
    ],
    "in a removed directory": [
        FILE,
        ("mkdir", b"d", 0o755),
        ("chdir", b"d"),
        ("rmdir", b"../d"),
        ("getcwd", Out(100), 100),
        ("open", b"x", O_CREAT | W, 0o644),
        ("open", b"x", R, 0),
        ("mkdir", b"x", 0o755),
        ("open", b".", R, 0),
        ("getdents64", 4, Out(100), 100),
        ("stat", b".", Out(144)),
        ("open", b"..", R, 0),
        ("symlink", b"a", b"b"),
        ("rename", b"../f", b"ff"),
        ("link", b"../f", b"xx"),
        ("chdir", b".."),
        lstat(b"f"),
    ],
    "getdents": [
        FILE,
        ("mkdir", b"l", 0o755),
        ("open", b"l", R, 0),
        ("getdents64", 4, Out(8), 8),
        ("getdents64", 4, Out(24), 24),
        ("getdents64", 4, Out(24), 24),
        ("getdents64", 4, Out(24), 24),
        ("lseek", 4, 0, 0),
        ("getdents64", 4, BAD, 100),
        ("getdents64", 4, Out(100), 100),
        ("getdents", 4, Out(100), 100),
        ("lseek", 4, 0, 0),
        ("getdents", 4, Out(100), 100),
        ("getdents64", 3, Out(10), 10),
        ("getdents64", 99, Out(1), 1),
        ("lseek", 4, -1, 0),
        ("lseek", 4, 0, 3),
        *[("mknod", b"l/n%d" % n, kind | 0o600, 0) for n, kind in enumerate((S_IFREG, S_IFIFO, S_IFSOCK))],
        ("symlink", b"x", b"l/link"),
        ("mkdir", b"l/directory with a long name" + b"e" * 200, 0o700),
        ("lseek", 4, 0, 0),
        ("getdents64", 4, Out(1000), 1000),
        ("getdents64", 4, Out(1000), 1000),
    ],
}

PERMISSIONS: list[Any] = [
    FILE,
    ("mkdir", b"noexec", 0o600),
    ("open", b"noexec/x", R, 0),
    ("open", b"noexec/x", O_CREAT | W, 0o600),
    ("stat", b"noexec/.", Out(144)),
    ("stat", b"noexec/..", Out(144)),
    ("stat", b"noexec/" + b"y" * 300, Out(144)),
    ("chdir", b"noexec"),
    ("open", b"noexec", R, 0),
    ("mkdir", b"noread", 0o300),
    ("open", b"noread", R, 0),
    ("open", b"noread/x", O_CREAT | W, 0o600),
    ("mkdir", b"ro", 0o700),
    ("mkdir", b"ro/in", 0o700),
    ("mkdir", b"moved", 0o500),
    ("chmod", b"ro", 0o500),
    ("open", b"ro/x", O_CREAT | W, 0o600),
    ("mkdir", b"ro/d", 0o755),
    ("mknod", b"ro/n", S_IFREG, 0),
    ("unlink", b"ro/x"),
    ("rmdir", b"ro/in"),
    ("rename", b"f", b"ro/f"),
    ("rename", b"ro/in", b"in"),
    ("symlink", b"a", b"ro/s"),
    ("link", b"f", b"ro/l"),
    ("rename", b"moved", b"noread/moved"),
    ("chdir", b"/"),
    ("mknod", b"linuxemu-test-device", S_IFCHR, 0x103),
    ("chroot", b"/"),
]


@pytest.mark.native
@pytest.mark.parametrize("name", SCRIPTS)
def test_like_native(name: str) -> None:
    both(SCRIPTS[name])


@pytest.mark.native
def test_permissions_like_native() -> None:
    if os.getuid() == 0:
        both(PERMISSIONS, uid=65534)
    else:
        both(PERMISSIONS)


@pytest.mark.native
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("name", SCRIPTS)
def test_like_native_as_user(name: str) -> None:
    both(SCRIPTS[name], uid=65534)


# -- what a script cannot show -----------------------------------------------------------------------------


def names(rig: Rig, fd: int, size: int = 4096) -> list[bytes]:
    _, (data,) = rig.step("getdents64", fd, Out(size), size)
    return [name for _, _, _, name in entries64(data)]


def cwd(rig: Rig) -> bytes:
    result, (data,) = rig.step("getcwd", Out(4096), 4096)
    assert result > 0
    return data[: result - 1]


def test_current_directory_follows_a_rename() -> None:
    rig = Rig()
    for path in (b"/a", b"/a/b", b"/a/b/c"):
        rig.call("mkdir", path, 0o755)
    rig.call("chdir", b"/a/b/c")
    assert rig.call("rename", b"/a/b", b"/z") == 0
    assert cwd(rig) == b"/z/c"
    assert rig.call("mkdir", b"../new", 0o755) == 0
    assert rig.call("stat", b"/z/new", Out(144)) == 0


def test_exchanged_directories_take_their_dentries_along() -> None:
    rig = Rig()
    for path in (b"/a", b"/b", b"/b/in"):
        rig.call("mkdir", path, 0o755)
    rig.call("chdir", b"/b/in")
    assert rig.call("renameat2", AT, b"/a", AT, b"/b", RENAME_EXCHANGE) == 0
    assert cwd(rig) == b"/a/in"


def test_listing_goes_on_while_entries_come_and_go() -> None:
    rig = Rig()
    rig.call("mkdir", b"d", 0o755)
    for n in range(30):
        rig.call("mknod", b"d/f%02d" % n, S_IFREG | 0o600, 0)
    assert rig.call("open", b"d", R, 0) == 3
    seen = names(rig, 3, 200)
    assert seen[:2] == [b".", b".."]
    rig.call("unlink", b"d/f29")
    rig.call("mknod", b"d/new", S_IFREG, 0)
    while True:
        more = names(rig, 3, 200)
        if not more:
            break
        seen += more
    assert len(seen) == len(set(seen))
    assert set(seen) >= {b"f%02d" % n for n in range(29)}


def test_positions_of_a_listing_can_be_gone_back_to() -> None:
    rig = Rig()
    for n in range(5):
        rig.call("mknod", b"f%d" % n, S_IFREG | 0o600, 0)
    rig.call("open", b"/", R, 0)
    _, (data,) = rig.step("getdents64", 3, Out(4096), 4096)
    entries = entries64(data)
    for (_, position, _, _), (_, _, _, following) in pairwise(entries):
        assert rig.call("lseek", 3, position, 0) == position
        assert names(rig, 3)[0] == following


def test_dots_carry_inode_numbers() -> None:
    rig = Rig()
    rig.call("mkdir", b"/d", 0o755)
    rig.call("open", b"/d", R, 0)
    rig.call("open", b"/", R, 0)
    inner = rig.place(b"/d").inode.ino
    top = rig.place(b"/").inode.ino
    _, (data,) = rig.step("getdents64", 3, Out(100), 100)
    assert [entry[0] for entry in entries64(data)] == [inner, top]
    _, (data,) = rig.step("getdents64", 4, Out(48), 48)
    assert [entry[0] for entry in entries64(data)] == [top, top]


def test_sticky_directory_protects_what_others_made() -> None:
    rig = Rig()
    rig.call("mkdir", b"/tmp", 0o777)
    rig.call("chmod", b"/tmp", 0o1777)
    one = rig.new_task(Credentials.user(1000, 1000))
    two = rig.new_task(Credentials.user(1001, 1001))
    rig.call("mknod", b"/tmp/f", S_IFREG | 0o666, 0, t=one)
    assert rig.call("unlink", b"/tmp/f", t=two) == -EPERM
    assert rig.call("rename", b"/tmp/f", b"/tmp/g", t=two) == -EPERM
    assert rig.call("rename", b"/tmp/f", b"/tmp/g", t=one) == 0
    assert rig.call("unlink", b"/tmp/g") == 0


def test_chroot_confines_and_names_from_there() -> None:
    rig = Rig()
    for path in (b"/jail", b"/jail/in", b"/outside"):
        rig.call("mkdir", path, 0o755)
    rig.call("symlink", b"/in", b"/jail/link")
    user = rig.new_task(Credentials.user(1000, 1000))
    assert rig.call("chroot", b"/jail", t=user) == -EPERM
    assert rig.call("chroot", b"/nope") == -ENOENT
    assert rig.call("chdir", b"/jail/in") == 0
    assert rig.call("chroot", b"/jail") == 0
    assert cwd(rig) == b"/in"
    assert rig.call("stat", b"/../../outside", Out(144)) == -ENOENT
    assert rig.call("chdir", b"/link/../..") == 0
    assert cwd(rig) == b"/"
    rig.task.fs.cwd = user.fs.root
    assert cwd(rig) == b"(unreachable)/"


def test_whiteout_is_recorded() -> None:
    rig = Rig()
    assert rig.call("renameat2", AT, b"a", AT, b"b", RENAME_WHITEOUT) == -ENOENT, "the file system decides last"
    rig.call("mknod", b"/a", S_IFREG, 0)
    assert rig.call("renameat2", AT, b"a", AT, b"b", RENAME_WHITEOUT) == -EINVAL
    assert set(rig.server.complaints) == {"renameat2: RENAME_WHITEOUT"}


def test_mount_points_cannot_be_moved_or_removed() -> None:
    rig = Rig()
    rig.call("mkdir", b"/m", 0o755)
    rig.call("mknod", b"/f", S_IFREG, 0)
    rig.server.namespace.bind(rig.place(b"/"), rig.place(b"/m"))
    rig.server.namespace.bind(rig.place(b"/f"), rig.place(b"/f"))
    assert rig.call("rmdir", b"/m") == -EBUSY
    assert rig.call("rename", b"/m", b"/n") == -EBUSY
    assert rig.call("unlink", b"/f") == -EBUSY
    assert rig.call("mkdir", b"/n", 0o755) == 0
    assert rig.call("rename", b"/n", b"/m") == -EBUSY


def test_group_directory_passes_its_group_on() -> None:
    rig = Rig()
    rig.call("mkdir", b"/shared", 0o777)
    rig.call("chown", b"/shared", 0, 50)
    rig.call("chmod", b"/shared", 0o2777)
    user = rig.new_task(Credentials.user(1000, 1000))
    assert rig.call("mkdir", b"/shared/d", 0o755, t=user) == 0
    attr = rig.place(b"/shared/d").inode.attr
    assert (attr.uid, attr.gid, attr.mode & 0o7777) == (1000, 50, 0o2755)
    assert rig.call("open", b"/shared/f", O_CREAT | W, 0o2775, t=user) == 3
    attr = rig.place(b"/shared/f").inode.attr
    assert (attr.gid, attr.mode & 0o7777) == (50, 0o755)


def test_search_permission_of_the_start_is_asked_anew() -> None:
    rig = Rig()
    user = rig.new_task(Credentials.user(1000, 1000))
    rig.call("mkdir", b"/d", 0o755)
    rig.call("mknod", b"/d/f", S_IFREG | 0o644, 0)
    assert rig.call("chdir", b"/d", t=user) == 0
    assert rig.call("stat", b"f", Out(144), t=user) == 0
    rig.call("chmod", b"/d", 0o700)
    assert rig.call("stat", b"f", Out(144), t=user) == -EACCES
    assert rig.call("stat", b".", Out(144), t=user) == -EACCES
