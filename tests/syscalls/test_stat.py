"""stat and its relatives, access, mode, owner, times, statfs, umask, extended attributes."""

from __future__ import annotations

import os
import struct
from typing import Any

import pytest

from syscalls.abi.errno import EACCES, EINVAL, ENODATA, ENOENT, EOPNOTSUPP, EPERM, EROFS
from syscalls.abi.flags import (
    AT_EACCESS,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_NO_AUTOMOUNT,
    AT_SYMLINK_NOFOLLOW,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_RELATIME,
    O_CREAT,
    O_NOATIME,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    S_IFIFO,
    S_IFREG,
    STATX_ATTR_MOUNT_ROOT,
    TMPFS_MAGIC,
    UTIME_NOW,
    UTIME_OMIT,
)
from syscalls.abi.structs import Stat, Statfs, Statx
from syscalls.objects.credentials import Credentials
from tests.syscalls.vfs_rig import BAD, In, New, Out, Rig, both

R, W, RW = O_RDONLY, O_WRONLY, O_RDWR
AT = AT_FDCWD
FILE = ("open", b"f", O_CREAT | RW, 0o644)
NS = 1_000_000_000


def times(*values: int) -> In:
    return In(struct.pack(f"<{len(values)}q", *values))


def lstat(path: bytes) -> tuple[Any, ...]:
    return ("lstat", path, Out(144))


SCRIPTS: dict[str, list[Any]] = {
    "stat": [
        FILE,
        ("stat", b"f", Out(144)),
        ("stat", b"f", BAD),
        ("stat", b"nope", Out(144)),
        ("stat", b"", Out(144)),
        ("stat", b"f/", Out(144)),
        ("stat", BAD, Out(144)),
        ("lstat", b"f/", Out(144)),
        ("fstat", 99, Out(144)),
        ("fstat", 3, BAD),
        ("newfstatat", 3, b"", Out(144), AT_EMPTY_PATH),
        ("newfstatat", 3, b"", Out(144), 0),
        ("newfstatat", AT, b"", Out(144), AT_EMPTY_PATH),
        New(("newfstatat", AT, 0, Out(144), AT_EMPTY_PATH), 0),
        New(("newfstatat", 3, 0, Out(144), AT_EMPTY_PATH), 0),
        ("newfstatat", 3, 0, Out(144), 0),
        ("newfstatat", AT, b"f", Out(144), 1),
        ("newfstatat", 99, b"", Out(144), AT_EMPTY_PATH),
        ("newfstatat", 3, b"x", Out(144), 0),
        ("newfstatat", AT, b"f", Out(144), AT_NO_AUTOMOUNT),
        ("symlink", b"f", b"l"),
        ("newfstatat", AT, b"l", Out(144), AT_SYMLINK_NOFOLLOW),
        ("newfstatat", AT, b"l", Out(144), 0),
    ],
    "statx": [
        FILE,
        ("symlink", b"f", b"l"),
        ("statx", AT, b"f", 0, 0x7FF, Out(256)),
        ("statx", AT, b"l", 0, 0x7FF, Out(256)),
        ("statx", AT, b"l", AT_SYMLINK_NOFOLLOW, 0x7FF, Out(256)),
        ("statx", AT, b"f", 0x6000, 0x7FF, Out(256)),
        ("statx", AT, b"f", 0, 0x80000000, Out(256)),
        ("statx", 3, b"", AT_EMPTY_PATH, 0, Out(256)),
        ("statx", 3, b"", 0, 0, Out(256)),
        ("statx", AT, b"f", 1, 0, Out(256)),
        ("statx", AT, b"f", 0, 0x7FF, BAD),
        ("statx", AT, b"nope", 0, 0x7FF, BAD),
    ],
    "access": [
        FILE,
        *[("access", b"f", mode) for mode in (0, 1, 2, 4, 6, 7, 8, -1)],
        ("access", b"nope", 0),
        ("access", b"", 0),
        ("access", BAD, 0),
        ("access", b".", 7),
        ("chmod", b"f", 0),
        *[("access", b"f", mode) for mode in (1, 2, 4)],
        ("chmod", b"f", 0o100),
        ("access", b"f", 1),
        ("faccessat", AT, b"f", 6),
        ("faccessat", 99, b"f", 0),
        ("faccessat2", AT, b"f", 0, AT_EACCESS),
        ("faccessat2", AT, b"f", 4, AT_EACCESS),
        ("faccessat2", AT, b"f", 0, 1),
        ("faccessat2", 3, b"", 0, AT_EMPTY_PATH),
        ("faccessat2", 3, b"", 0, 0),
        ("symlink", b"nope", b"l"),
        ("faccessat2", AT, b"l", 0, 0),
        ("faccessat2", AT, b"l", 0, AT_SYMLINK_NOFOLLOW),
    ],
    "chmod": [
        FILE,
        ("chmod", b"f", 0o4755),
        lstat(b"f"),
        ("chmod", b"f", 0o2755),
        lstat(b"f"),
        ("chmod", b"nope", 0o755),
        ("chmod", b"f", 0o170777),
        lstat(b"f"),
        ("fchmod", 3, 0o600),
        ("fchmod", 99, 0o600),
        ("fchmodat", AT, b"f", 0o644),
        ("fchmodat", 99, b"f", 0o644),
        ("symlink", b"f", b"l"),
        ("chmod", b"l", 0o640),
        lstat(b"f"),
        New(("fchmodat2", AT, b"f", 0o644, 0), 0),
        New(("fchmodat2", AT, b"l", 0o644, AT_SYMLINK_NOFOLLOW), -EOPNOTSUPP),
        New(("fchmodat2", AT, b"f", 0o644, 1), -EINVAL),
        New(("fchmodat2", 3, b"", 0o600, AT_EMPTY_PATH), 0),
        New(("fchmodat2", AT, b"f", 0o640, AT_SYMLINK_NOFOLLOW), 0),
        lstat(b"l"),
    ],
    "chown": [
        FILE,
        ("symlink", b"f", b"l"),
        ("chown", b"f", -1, -1),
        ("chown", b"f", 0, -1),
        ("chown", b"f", -1, 0),
        ("chown", b"f", 12, 13),
        lstat(b"f"),
        ("lchown", b"l", -1, -1),
        ("lchown", b"l", 5, 6),
        lstat(b"l"),
        ("chown", b"nope", 0, 0),
        ("fchown", 3, -1, -1),
        ("fchown", 99, -1, -1),
        ("fchownat", AT, b"f", -1, -1, 0),
        ("fchownat", AT, b"f", -1, -1, 1),
        ("fchownat", 3, b"", -1, -1, AT_EMPTY_PATH),
        ("fchownat", AT, b"l", -1, -1, AT_SYMLINK_NOFOLLOW),
        ("open", b"g", O_CREAT | RW, 0o755),
        ("chmod", b"g", 0o6755),
        ("chown", b"g", -1, -1),
        lstat(b"g"),
        ("chmod", b"g", 0o2644),
        ("chown", b"g", -1, -1),
        lstat(b"g"),
    ],
    "set-user-ID bits and contents": [
        FILE,
        *[
            step
            for change in (("write", 3, b"a", 1), ("ftruncate", 3, 9), ("fallocate", 3, 0, 0, 20))
            for mode in (0o4755, 0o6755, 0o2644)
            for step in (("chmod", b"f", mode), change, lstat(b"f"))
        ],
    ],
    "utimensat": [
        FILE,
        ("symlink", b"f", b"l"),
        ("utimensat", AT, b"f", times(1, 2, 3, 4), 0),
        ("utimensat", AT, b"f", times(1, 1 << 30, 3, 4), 0),
        ("utimensat", AT, b"f", times(1, -1, 3, 4), 0),
        ("utimensat", AT, b"f", times(1, UTIME_OMIT, 3, UTIME_OMIT), 0),
        ("utimensat", AT, b"nope", times(1, UTIME_OMIT, 3, UTIME_OMIT), 77),
        ("utimensat", AT, b"nope", times(1, UTIME_OMIT, 3, 4), 0),
        ("utimensat", AT, b"f", 0, 0),
        ("utimensat", AT, b"f", times(1, UTIME_NOW, 3, UTIME_NOW), 0),
        ("utimensat", AT, b"f", times(1, UTIME_NOW, 3, UTIME_OMIT), 0),
        ("utimensat", 3, 0, 0, 0),
        ("utimensat", 3, 0, 0, AT_SYMLINK_NOFOLLOW),
        ("utimensat", AT, 0, 0, 0),
        ("utimensat", 99, 0, 0, 0),
        ("utimensat", AT, b"f", BAD, 0),
        ("utimensat", AT, b"f", 0, 1),
        ("utimensat", AT, b"l", times(1, 2, 3, 4), AT_SYMLINK_NOFOLLOW),
        ("utimensat", 3, b"", 0, 0),
        ("utime", b"f", times(5, 6)),
        ("utime", b"f", 0),
        ("utime", b"nope", 0),
        ("utime", b"f", BAD),
        ("utimes", b"f", times(5, 6, 7, 8)),
        ("utimes", b"f", times(5, 1000000, 7, 8)),
        ("utimes", b"f", times(5, -1, 7, 8)),
        ("utimes", b"f", 0),
        ("futimesat", AT, b"f", 0),
        ("futimesat", 3, 0, 0),
        ("futimesat", AT, 0, 0),
        ("futimesat", 3, b"x", 0),
    ],
    "statfs": [
        FILE,
        ("statfs", b"f", Out(120)),
        ("statfs", b"nope", Out(120)),
        ("statfs", b"f", BAD),
        ("fstatfs", 3, Out(120)),
        ("fstatfs", 99, Out(120)),
    ],
    "umask": [
        ("umask", 0o77),
        ("umask", 0o177777),
        ("umask", 0o22),
        ("umask", 0o22),
    ],
    "xattr": [
        FILE,
        ("getxattr", b"nope", b"user.a", Out(4), 4),
        ("getxattr", b"f", b"", Out(4), 4),
        ("getxattr", b"f", b"user." + b"n" * 300, Out(4), 4),
        ("getxattr", b"f", BAD, Out(4), 4),
        ("setxattr", b"f", b"user.a", b"v", 1, 8),
        ("setxattr", b"f", b"user.a", b"v", 70000, 0),
        ("setxattr", b"f", b"user.a", BAD, 1, 0),
        ("fsetxattr", 99, b"user.a", b"v", 1, 0),
        ("fgetxattr", 99, b"user.a", Out(4), 4),
        ("flistxattr", 99, Out(4), 4),
        ("listxattr", b"nope", Out(4), 4),
        ("fremovexattr", 99, b"user.a"),
        ("removexattr", b"nope", b"user.a"),
    ],
}


@pytest.mark.native
@pytest.mark.parametrize("name", SCRIPTS)
def test_like_native(name: str) -> None:
    both(SCRIPTS[name])


@pytest.mark.native
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("name", SCRIPTS)
def test_like_native_as_user(name: str) -> None:
    both(SCRIPTS[name], uid=65534)


# -- what a script cannot show -----------------------------------------------------------------------------


def stat(rig: Rig, path: bytes) -> Stat:
    result, (data,) = rig.step("lstat", path, Out(144))
    assert result == 0
    return Stat.unpack(data)


def mtime_ns(found: Stat) -> int:
    return found.st_mtime * NS + found.st_mtime_nsec


def test_times_are_what_was_set() -> None:
    rig = Rig()
    rig.call("mknod", b"f", S_IFREG | 0o644, 0)
    assert rig.call("utimensat", AT, b"f", times(1, 2, -3, 4), 0) == 0
    found = stat(rig, b"f")
    assert (found.st_atime, found.st_atime_nsec, found.st_mtime, found.st_mtime_nsec) == (1, 2, -3, 4)
    assert rig.call("utimensat", AT, b"f", times(9, UTIME_OMIT, 7, 8), 0) == 0
    assert stat(rig, b"f").st_atime == 1
    assert rig.call("utimes", b"f", times(5, 6, 7, 8)) == 0
    assert mtime_ns(stat(rig, b"f")) == 7 * NS + 8000
    assert rig.call("utime", b"f", times(11, 12)) == 0
    assert (stat(rig, b"f").st_atime, mtime_ns(stat(rig, b"f"))) == (11, 12 * NS)


def test_only_owners_set_times_and_writers_touch() -> None:
    rig = Rig()
    rig.call("mknod", b"f", S_IFREG | 0o644, 0)
    user = rig.new_task(Credentials.user(1000, 1000))
    assert rig.call("utimensat", AT, b"f", times(1, 2, 3, 4), 0, t=user) == -EPERM
    assert rig.call("utimensat", AT, b"f", 0, 0, t=user) == -EACCES
    rig.call("chmod", b"f", 0o646)
    assert rig.call("utimensat", AT, b"f", 0, 0, t=user) == 0
    assert rig.call("utimensat", AT, b"f", times(0, UTIME_NOW, 0, UTIME_OMIT), 0, t=user) == -EPERM


def test_reading_sets_the_access_time_once_it_is_older() -> None:
    rig = Rig()
    rig.call("open", b"f", O_CREAT | RW, 0o644)
    rig.call("write", 3, b"abc", 3)
    rig.call("utimensat", AT, b"f", times(1000, 0, 2000, 0), 0)
    changed = stat(rig, b"f").st_ctime_nsec
    rig.call("open", b"f", R | O_NOATIME, 0)
    rig.call("read", 4, Out(1), 1)
    assert stat(rig, b"f").st_atime == 1000
    rig.call("read", 3, Out(1), 1)
    assert stat(rig, b"f").st_atime > 2000
    assert stat(rig, b"f").st_ctime_nsec == changed
    rig.call("mkdir", b"d", 0o755)
    rig.call("utimensat", AT, b"d", times(1000, 0, 2000, 0), 0)
    rig.call("open", b"d", R, 0)
    rig.call("getdents64", 5, Out(100), 100)
    assert stat(rig, b"d").st_atime > 2000


def test_reading_what_is_unchanged_since_boot_leaves_an_overlay_alone() -> None:
    rig = Rig()
    rig.call("open", b"f", O_CREAT | RW, 0o644)
    rig.call("utimensat", AT, b"f", times(1000, 0, 2000, 0), 0)
    rig.fs.kind = "overlay"
    rig.call("read", 3, Out(1), 1)
    assert stat(rig, b"f").st_atime == 1000
    rig.server.boot_ns = -10 * NS
    rig.call("open", b"f", RW, 0)
    rig.call("read", 4, Out(1), 1)
    assert stat(rig, b"f").st_atime > 2000


def test_noatime_is_for_owners() -> None:
    rig = Rig()
    rig.call("mknod", b"f", S_IFREG | 0o644, 0)
    user = rig.new_task(Credentials.user(1000, 1000))
    assert rig.call("open", b"f", R | O_NOATIME, 0, t=user) == -EPERM


def test_access_uses_the_real_ids() -> None:
    rig = Rig()
    rig.call("mknod", b"f", S_IFREG | 0o600, 0)
    suid = rig.new_task(Credentials.user(0, 0).with_uids(1000, 0, 0))
    assert rig.call("access", b"f", 4, t=suid) == -EACCES
    assert rig.call("faccessat2", AT, b"f", 4, AT_EACCESS, t=suid) == 0
    rig.call("mkdir", b"d", 0o700)
    rig.call("mknod", b"d/f", S_IFREG | 0o644, 0)
    assert rig.call("access", b"d/f", 0, t=suid) == -EACCES


def test_read_only_mount_refuses_changes() -> None:
    rig = Rig()
    rig.call("mknod", b"f", S_IFREG | 0o755, 0)
    rig.call("mknod", b"p", S_IFIFO | 0o666, 0)
    rig.call("mkdir", b"d", 0o755)
    rig.root.mount.flags |= MS_RDONLY
    for step in (
        ("open", b"f", W, 0),
        ("open", b"new", O_CREAT | R, 0o644),
        ("truncate", b"f", 0),
        ("mkdir", b"e", 0o755),
        ("rmdir", b"d"),
        ("unlink", b"f"),
        ("rename", b"f", b"g"),
        ("link", b"f", b"g"),
        ("symlink", b"f", b"g"),
        ("mknod", b"g", S_IFREG, 0),
        ("chmod", b"f", 0o600),
        ("chown", b"f", 0, 0),
        ("utimensat", AT, b"f", 0, 0),
        ("access", b"f", 2),
        ("setxattr", b"f", b"user.a", b"v", 1, 0),
    ):
        assert (step, rig.call(*step)) == (step, -EROFS)
    assert rig.call("unlink", b"nope") == -EROFS
    assert rig.call("mkdir", b"d", 0o755) == -17
    assert rig.call("access", b"p", 2) == 0
    assert rig.call("open", b"f", O_CREAT | R, 0) == 3


def test_noexec_mount_denies_execute_access() -> None:
    rig = Rig()
    rig.call("mknod", b"f", S_IFREG | 0o755, 0)
    rig.root.mount.flags |= MS_NOEXEC
    assert rig.call("access", b"f", 1) == -EACCES
    assert rig.call("access", b"/", 1) == 0


def test_statfs_shows_kind_size_and_mount_flags() -> None:
    rig = Rig(max_bytes=100 * 4096)
    rig.call("open", b"f", O_CREAT | RW, 0o644)
    rig.call("write", 3, In(bytes(8192)), 8192)
    rig.root.mount.flags = MS_NOSUID | MS_RELATIME | MS_RDONLY
    for step in (("statfs", b"/", Out(120)), ("fstatfs", 3, Out(120))):
        found = Statfs.unpack(rig.step(*step)[1][0])
        assert found.f_type == TMPFS_MAGIC
        assert (found.f_bsize, found.f_frsize, found.f_namelen) == (4096, 4096, 255)
        assert (found.f_blocks, found.f_bfree) == (100, 98)
        assert found.f_flags == 0x20 | 1 | 2 | 0x1000
        assert found.f_fsid0 == rig.fs.dev


def test_statx_tells_mount_and_root() -> None:
    rig = Rig()
    rig.call("mknod", b"f", S_IFREG | 0o644, 0)
    found = Statx.unpack(rig.step("statx", AT, b"/", 0, 0xFFF, Out(256))[1][0])
    assert found.stx_attributes == STATX_ATTR_MOUNT_ROOT
    assert found.stx_mnt_id == rig.root.mount.number
    assert found.stx_dev_minor == rig.fs.dev
    assert Statx.unpack(rig.step("statx", AT, b"f", 0, 0xFFF, Out(256))[1][0]).stx_attributes == 0


def test_change_of_attributes_by_others_is_refused() -> None:
    rig = Rig()
    rig.call("mknod", b"f", S_IFREG | 0o666, 0)
    user = rig.new_task(Credentials.user(1000, 1000, (50,)))
    assert rig.call("chmod", b"f", 0o777, t=user) == -EPERM
    assert rig.call("chown", b"f", 1000, -1, t=user) == -EPERM
    rig.call("chown", b"f", 1000, 1000)
    assert rig.call("chown", b"f", -1, 50, t=user) == 0
    assert rig.call("chown", b"f", -1, 51, t=user) == -EPERM
    assert rig.call("chown", b"f", 1000, -1, t=user) == 0
    assert rig.call("chown", b"f", 1001, -1, t=user) == -EPERM
    rig.call("chown", b"f", 1000, 7)
    assert rig.call("chmod", b"f", 0o2755, t=user) == 0
    assert rig.place(b"/f").inode.attr.mode & 0o7777 == 0o755


def test_file_changed_behind_our_back_is_seen() -> None:
    """Nothing of a file is remembered: the server is asked each time."""
    rig = Rig()
    rig.call("open", b"f", O_CREAT | RW, 0o644)
    other = rig.new_task()
    rig.call("open", b"f", W, 0, t=other)
    rig.call("write", 3, b"abcdef", 6, t=other)
    assert stat(rig, b"f").st_size == 6
    assert rig.step("read", 3, Out(6), 6) == (6, [b"abcdef"])


def test_extended_attributes() -> None:
    rig = Rig()
    rig.call("open", b"f", O_CREAT | RW, 0o644)
    rig.call("symlink", b"f", b"l")
    user = rig.new_task(Credentials.user(1000, 1000))
    rig.call("open", b"f", R, 0, t=user)
    for prefix, target in ((b"", b"f"), (b"l", b"l"), (b"f", 3)):
        name = prefix.decode()
        link = prefix == b"l"
        assert rig.call(f"{name}getxattr", target, b"user.a", Out(4), 4) == -ENODATA
        assert rig.call(f"{name}getxattr", target, b"security.capability", Out(4), 4) == -ENODATA
        assert rig.call(f"{name}listxattr", target, Out(4), 4) == 0
        assert rig.call(f"{name}setxattr", target, b"user.a", b"v", 1, 0) == (-EPERM if link else 0)
        assert rig.call(f"{name}getxattr", target, b"user.a", Out(4), 4) == (-ENODATA if link else 1)
        assert rig.call(f"{name}removexattr", target, b"user.a") == (-EPERM if link else 0)
        assert rig.call(f"{name}removexattr", target, b"user.a") == (-EPERM if link else -ENODATA)
    assert rig.call("getxattr", b"f", b"trusted.a", Out(4), 4, t=user) == -ENODATA
    assert rig.call("setxattr", b"f", b"trusted.a", b"v", 1, 0, t=user) == -EPERM


def test_o_path_descriptors_stand_for_their_place() -> None:
    rig = Rig()
    rig.call("mknod", b"f", S_IFREG | 0o644, 0)
    assert rig.call("open", b"f", O_PATH, 0) == 3
    assert rig.call("fchownat", 3, b"", 5, 6, AT_EMPTY_PATH) == 0
    assert rig.call("fchmodat2", 3, b"", 0o600, AT_EMPTY_PATH) == 0
    assert rig.call("utimensat", 3, b"", 0, AT_EMPTY_PATH) == 0
    assert rig.call("faccessat2", 3, b"", 4, AT_EMPTY_PATH) == 0
    assert rig.call("linkat", 3, b"", AT, b"g", AT_EMPTY_PATH) == 0
    found = stat(rig, b"g")
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (5, 6, 0o600)
    assert rig.call("linkat", AT, b"nope", AT, b"h", AT_EMPTY_PATH) == -ENOENT
