"""Calls about attributes, directories and mounts as strace 6.1 shows them: every expected text was printed by it."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from linuxemu.trace import clock
from linuxemu.trace.style import Style
from syscalls.abi.structs import Stat, Statfs, Statx, StatxTimestamp, pack_dirent, pack_dirent64
from tests.trace.fakecall import BAD, Filled, P, line
from tests.trace.test_formats_files import AT_FDCWD, EBADF, EFAULT, EINVAL, ENOENT, X, check, q

REGULAR = Stat(0xFE00, 7, 1, 0o100644, 0, 0, 0, 12, 4096, 8, 0, 2, 1_700_000_000, 0, -5, 0)
DEVICE = REGULAR.replace(st_mode=0o20666, st_rdev=0x103)
NEVER = StatxTimestamp(0, 0)
STATX = Statx(
    0x17FF, 4096, 0, 1, 0, 0, 0o100644, 7, 12, 8, 0x2010, NEVER, NEVER, StatxTimestamp(1_700_000_000, 5), NEVER,
    0, 0, 254, 1, 27,
)  # fmt: skip
STATFS = Statfs(0x9FA0, 4096, 0, 1, 2, 3, 4, 0x15, -1, 255, 4096, 0x1020)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "UTC")
    clock.time.tzset()
    yield
    monkeypatch.undo()
    clock.time.tzset()


STATS = [
    ("stat", (X, Filled(REGULAR.pack())), 0, 'stat("x", {st_mode=S_IFREG|0644, st_size=12, ...}) = 0'),
    ("lstat", (X, Filled(DEVICE.pack())), 0,
     'lstat("x", {st_mode=S_IFCHR|0666, st_rdev=makedev(0x1, 0x3), ...}) = 0'),
    ("fstat", (77, P(bytes(144))), -9, f"fstat(77, 0x10000){EBADF}"),
    ("stat", (X, 0), -14, f'stat("x", NULL){EFAULT}'),
    ("newfstatat", (AT_FDCWD, X, Filled(REGULAR.pack()), 0x1900), 0,
     'newfstatat(AT_FDCWD, "x", {st_mode=S_IFREG|0644, st_size=12, ...}, '
     "AT_SYMLINK_NOFOLLOW|AT_NO_AUTOMOUNT|AT_EMPTY_PATH) = 0"),
    ("newfstatat", (3, X, P(bytes(144)), 0x2010), -22, f'newfstatat(3, "x", 0x10100, 0x2010 /* AT_??? */){EINVAL}'),
    ("statx", (AT_FDCWD, X, 0, 0x7FF, Filled(STATX.pack())), 0,
     'statx(AT_FDCWD, "x", AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS, {stx_mask=STATX_BASIC_STATS|STATX_MNT_ID, '
     "stx_attributes=0, stx_mode=S_IFREG|0644, stx_size=12, ...}) = 0"),
    ("statx", (AT_FDCWD, X, 0x6001, 0x80000000, 0), -22,
     f'statx(AT_FDCWD, "x", AT_STATX_FORCE_SYNC|AT_STATX_DONT_SYNC|0x1, 0x80000000 /* STATX_??? */, NULL){EINVAL}'),
    ("statx", (3, X, 0x2100, 0x3FFF, 0), -14,
     f'statx(3, "x", AT_STATX_FORCE_SYNC|AT_SYMLINK_NOFOLLOW, STATX_ALL|STATX_MNT_ID|STATX_DIOALIGN, NULL){EFAULT}'),
    ("access", (X, 0), 0, 'access("x", F_OK) = 0'),
    ("access", (X, 6), 0, 'access("x", R_OK|W_OK) = 0'),
    ("access", (X, 9), -22, f'access("x", X_OK|0x8){EINVAL}'),
    ("access", (X, 16), -22, f'access("x", 0x10 /* ?_OK */){EINVAL}'),
    ("faccessat", (77, X, 7), -9, f'faccessat(77, "x", R_OK|W_OK|X_OK){EBADF}'),
    ("faccessat2", (AT_FDCWD, X, 4, 0x1300), 0,
     'faccessat2(AT_FDCWD, "x", R_OK, AT_SYMLINK_NOFOLLOW|AT_EACCESS|AT_EMPTY_PATH) = 0'),
    ("faccessat2", (AT_FDCWD, X, 4, 1), -22, f'faccessat2(AT_FDCWD, "x", R_OK, 0x1 /* AT_??? */){EINVAL}'),
    ("chmod", (X, 0o7777), 0, 'chmod("x", 07777) = 0'),
    ("chmod", (X, 0), 0, 'chmod("x", 000) = 0'),
    ("fchmod", (3, 0o1644), 0, "fchmod(3, 01644) = 0"),
    ("chown", (X, -1, 5), 0, 'chown("x", -1, 5) = 0'),
    ("fchownat", (AT_FDCWD, X, 1, 2, 0x100), 0, 'fchownat(AT_FDCWD, "x", 1, 2, AT_SYMLINK_NOFOLLOW) = 0'),
    ("statfs", (X, Filled(STATFS.pack())), 0,
     'statfs("x", {f_type=PROC_SUPER_MAGIC, f_bsize=4096, f_blocks=0, f_bfree=1, f_bavail=2, f_files=3, f_ffree=4, '
     "f_fsid={val=[0x15, 0xffffffff]}, f_namelen=255, f_frsize=4096, f_flags=ST_VALID|ST_RELATIME}) = 0"),
    ("fstatfs", (77, P(bytes(120))), -9, f"fstatfs(77, 0x10000){EBADF}"),
    ("umask", (0o22,), 0, "umask(022) = 000"),
    ("umask", (-1,), 0o777, "umask(0177777) = 0777"),
    ("umask", (7,), 0o22, "umask(007) = 022"),
]  # fmt: skip

TIMES = [
    ("utimensat", (AT_FDCWD, X, P(q(1, 2, 3, 0)), 0), 0,
     'utimensat(AT_FDCWD, "x", [{tv_sec=1, tv_nsec=2} /* 1970-01-01T00:00:01.000000002+0000 */, '
     "{tv_sec=3, tv_nsec=0} /* 1970-01-01T00:00:03+0000 */], 0) = 0"),
    ("utimensat", (AT_FDCWD, X, P(q(0, 0, -5, 0)), 0), 0,
     'utimensat(AT_FDCWD, "x", [{tv_sec=0, tv_nsec=0}, {tv_sec=-5, tv_nsec=0} /* 1969-12-31T23:59:55+0000 */], 0) = 0'),
    ("utimensat", (AT_FDCWD, X, P(q(5, 0x3FFFFFFF, 7, 0x3FFFFFFE)), 0), 0,
     'utimensat(AT_FDCWD, "x", [UTIME_NOW, UTIME_OMIT], 0) = 0'),
    ("utimensat", (AT_FDCWD, X, P(q(5, -1, 1 << 60, 5)), 0x100), -22,
     'utimensat(AT_FDCWD, "x", [{tv_sec=5, tv_nsec=18446744073709551615}, '
     f"{{tv_sec=1152921504606846976, tv_nsec=5}}], AT_SYMLINK_NOFOLLOW){EINVAL}"),
    ("utimensat", (3, 0, 0, 0x1000), 0, "utimensat(3, NULL, NULL, AT_EMPTY_PATH) = 0"),
    ("utimensat", (3, 0, BAD, 0), -14, f"utimensat(3, NULL, 0xdead000, 0){EFAULT}"),
    ("utime", (X, P(q(1_700_000_000, 0))), 0,
     'utime("x", {actime=1700000000 /* 2023-11-14T22:13:20+0000 */, modtime=0}) = 0'),
    ("utimes", (X, P(q(1_700_000_000, 5, -1, 1_000_000))), -22,
     'utimes("x", [{tv_sec=1700000000, tv_usec=5} /* 2023-11-14T22:13:20.000005+0000 */, '
     f"{{tv_sec=-1, tv_usec=1000000}}]){EINVAL}"),
    ("futimesat", (77, 0, 0), -9, f"futimesat(77, NULL, NULL){EBADF}"),
]  # fmt: skip

NAMES = [
    ("readlink", (X, Filled(b"target"), 100), 6, 'readlink("x", "target", 100) = 6'),
    ("readlink", (X, P(b"target"), 100), -22, f'readlink("x", 0x10100, 100){EINVAL}'),
    ("readlink", (X, P(b""), -1), -22, f'readlink("x", 0x10100, 18446744073709551615){EINVAL}'),
    ("readlink", (X, 0, 0xFFFF_FFFF), -2, f'readlink("x", NULL, 4294967295){ENOENT}'),
    ("readlinkat", (AT_FDCWD, X, Filled(b"0123456789" * 4), 99), 40,
     'readlinkat(AT_FDCWD, "x", "01234567890123456789012345678901"..., 99) = 40'),
    ("mkdir", (X, -1), -2, f'mkdir("x", 0177777){ENOENT}'),
    ("mknod", (X, 0o10644, 5), 0, 'mknod("x", S_IFIFO|0644) = 0'),
    ("mknod", (X, 0o20600, 0x103), 0, 'mknod("x", S_IFCHR|0600, makedev(0x1, 0x3)) = 0'),
    ("mknod", (X, 0o64755, 0x12345678), 0, 'mknod("x", S_IFBLK|S_ISUID|0755, makedev(0x456, 0x12378)) = 0'),
    ("mknod", (X, 0o644, 5), 0, 'mknod("x", 0644) = 0'),
    ("mknod", (X, 0o100000, 5), 0, 'mknod("x", S_IFREG|000) = 0'),
    ("mknod", (X, 0o47777, 5), 0, 'mknod("x", S_IFDIR|S_ISUID|S_ISGID|S_ISVTX|0777) = 0'),
    ("mknod", (X, 0o170000, 5), -22, f'mknod("x", 0170000){EINVAL}'),
    ("mknodat", (AT_FDCWD, X, 0o20000, -1), 0, 'mknodat(AT_FDCWD, "x", S_IFCHR|000, makedev(0xfff, 0xfffff)) = 0'),
    ("linkat", (77, X, AT_FDCWD, X, 0x1400), -9,
     f'linkat(77, "x", AT_FDCWD, "x", AT_SYMLINK_FOLLOW|AT_EMPTY_PATH){EBADF}'),
    ("renameat2", (AT_FDCWD, X, AT_FDCWD, X, 7), -22,
     f'renameat2(AT_FDCWD, "x", AT_FDCWD, "x", RENAME_NOREPLACE|RENAME_EXCHANGE|RENAME_WHITEOUT){EINVAL}'),
    ("renameat2", (AT_FDCWD, X, AT_FDCWD, X, 8), -22,
     f'renameat2(AT_FDCWD, "x", AT_FDCWD, "x", 0x8 /* RENAME_?? */){EINVAL}'),
    ("unlinkat", (AT_FDCWD, X, 0x200), -2, f'unlinkat(AT_FDCWD, "x", AT_REMOVEDIR){ENOENT}'),
    ("symlinkat", (b"target\0", AT_FDCWD, X), 0, 'symlinkat("target", AT_FDCWD, "x") = 0'),
    ("getcwd", (Filled(b"/tmp/ffs\0"), 200), 9, 'getcwd("/tmp/ffs", 200) = 9'),
    ("getcwd", (0, 200), -14, f"getcwd(NULL, 200){EFAULT}"),
    ("getdents64", (4, Filled(pack_dirent64(1, 2, 4, b".") + pack_dirent64(3, 4, 8, b"a")), 2000), 48,
     "getdents64(4, 0x10000 /* 2 entries */, 2000) = 48"),
    ("getdents", (4, P(b""), 2000), 0, "getdents(4, 0x10000 /* 0 entries */, 2000) = 0"),
    ("getdents64", (77, P(b""), 2000), -9, f"getdents64(77, 0x10000, 2000){EBADF}"),
    ("setxattr", (X, b"user.abc\0", b"value", 5, 1), 0, 'setxattr("x", "user.abc", "value", 5, XATTR_CREATE) = 0'),
    ("fsetxattr", (3, b"user.abc\0", 0, 0, 4), -22, f'fsetxattr(3, "user.abc", NULL, 0, 0x4 /* XATTR_??? */){EINVAL}'),
    ("getxattr", (X, b"user.abc\0", Filled(b"value"), 100), 5, 'getxattr("x", "user.abc", "value", 100) = 5'),
    ("getxattr", (X, b"user.abc\0", 0, 0), 5, 'getxattr("x", "user.abc", NULL, 0) = 5'),
    ("flistxattr", (3, Filled(b"user.abc\0"), 100), 9, 'flistxattr(3, "user.abc\\0", 100) = 9'),
]  # fmt: skip

MOUNTS = [
    ("mount", (X, X, b"type\0", 3, b"data\0"), -2, f'mount("x", "x", "type", MS_RDONLY|MS_NOSUID, "data"){ENOENT}'),
    ("mount", (X, X, b"type\0", 0x5000, b"data\0"), -2, f'mount("x", "x", 0x10200, MS_BIND|MS_REC, 0x10300){ENOENT}'),
    ("mount", (X, X, b"type\0", 0xC0ED0021, b"data\0"), -2,
     f'mount("x", "x", 0x10200, MS_MGC_VAL|MS_RDONLY|MS_REMOUNT, "data"){ENOENT}'),
    ("mount", (0, X, 0, 0x44000, 0), 0, 'mount(NULL, "x", NULL, MS_REC|MS_PRIVATE, NULL) = 0'),
    ("mount", (BAD, 0, 0, 0xC0ED0000, 0), -14, f"mount(0xdead000, NULL, NULL, MS_MGC_VAL, NULL){EFAULT}"),
    ("mount", (X, X, X, 0xC0ED0200, X), -2, f'mount("x", "x", "x", MS_MGC_VAL|0x200 /* MS_??? */, "x"){ENOENT}'),
    ("umount2", (X, 0xF), -2, f'umount2("x", MNT_FORCE|MNT_DETACH|MNT_EXPIRE|UMOUNT_NOFOLLOW){ENOENT}'),
    ("umount2", (X, 0x10), -22, f'umount2("x", 0x10 /* MNT_??? */){EINVAL}'),
]  # fmt: skip


@pytest.mark.parametrize("case", STATS + TIMES + NAMES + MOUNTS, ids=lambda case: case[3][:60])
def test_attributes(case: tuple[Any, ...]) -> None:
    check(case)


WHOLE = [
    ("stat", (X, Filled(REGULAR.pack())), 0,
     'stat("x", {st_dev=makedev(0xfe, 0), st_ino=7, st_mode=S_IFREG|0644, st_nlink=1, st_uid=0, st_gid=0, '
     "st_blksize=4096, st_blocks=8, st_size=12, st_atime=0 /* 1970-01-01T00:00:00.000000002+0000 */, "
     "st_atime_nsec=2, st_mtime=1700000000 /* 2023-11-14T22:13:20+0000 */, st_mtime_nsec=0, "
     "st_ctime=-5 /* 1969-12-31T23:59:55+0000 */, st_ctime_nsec=0}) = 0"),
    ("statx", (3, X, 0, 1, Filled(STATX.pack())), 0,
     'statx(3, "x", AT_STATX_SYNC_AS_STAT, STATX_TYPE, {stx_mask=STATX_BASIC_STATS|STATX_MNT_ID, stx_blksize=4096, '
     "stx_attributes=0, stx_nlink=1, stx_uid=0, stx_gid=0, stx_mode=S_IFREG|0644, stx_ino=7, stx_size=12, "
     "stx_blocks=8, stx_attributes_mask=STATX_ATTR_IMMUTABLE|STATX_ATTR_MOUNT_ROOT, "
     "stx_atime={tv_sec=0, tv_nsec=0}, "
     "stx_ctime={tv_sec=1700000000, tv_nsec=5} /* 2023-11-14T22:13:20.000000005+0000 */, "
     "stx_mtime={tv_sec=0, tv_nsec=0}, stx_rdev_major=0, stx_rdev_minor=0, stx_dev_major=254, stx_dev_minor=1, "
     "stx_mnt_id=0x1b}) = 0"),
    ("statx", (3, X, 0, 1, Filled(STATX.replace(stx_mask=0x800).pack())), 0,
     'statx(3, "x", AT_STATX_SYNC_AS_STAT, STATX_TYPE, {stx_mask=STATX_BTIME, stx_blksize=4096, '
     "stx_attributes=0, stx_nlink=1, stx_uid=0, stx_gid=0, stx_mode=S_IFREG|0644, stx_ino=7, stx_size=12, "
     "stx_blocks=8, stx_attributes_mask=STATX_ATTR_IMMUTABLE|STATX_ATTR_MOUNT_ROOT, "
     "stx_btime={tv_sec=0, tv_nsec=0}, stx_rdev_major=0, stx_rdev_minor=0, stx_dev_major=254, stx_dev_minor=1, "
     "stx_mnt_id=0x1b}) = 0"),
    ("getdents64", (4, Filled(pack_dirent64(1, 2, 4, b".") + pack_dirent64(3, 4, 8, b"a\nb")), 2000), 48,
     'getdents64(4, [{d_ino=1, d_off=2, d_reclen=24, d_type=DT_DIR, d_name="."}, '
     '{d_ino=3, d_off=4, d_reclen=24, d_type=DT_REG, d_name="a\\nb"}], 2000) = 48'),
    ("getdents", (4, Filled(pack_dirent(1, 2, 4, b".")), 2000), 24,
     'getdents(4, [{d_ino=1, d_off=2, d_reclen=24, d_name=".", d_type=DT_DIR}], 2000) = 24'),
    ("getdents64", (4, P(b""), 2000), 0, "getdents64(4, [], 2000) = 0"),
]  # fmt: skip


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case[0])
def test_all_fields(case: tuple[Any, ...]) -> None:
    check(case, abbrev=False)


def test_entries_that_lie_about_their_length() -> None:
    wrong = struct.pack("<QqHB5x", 1, 2, 3, 4)
    assert line("getdents64", 4, Filled(wrong * 2), 99, result=48) == "getdents64(4, 0x10000 /* 0 entries */, 99) = 48"


STYLES = [
    ("lstat", (X, Filled(DEVICE.pack())), "raw", 'lstat("x", {st_mode=020666, st_rdev=0x103, ...}) = 0'),
    ("lstat", (X, Filled(DEVICE.pack())), "verbose",
     'lstat("x", {st_mode=020666 /* S_IFCHR|0666 */, st_rdev=0x103 /* makedev(0x1, 0x3) */, ...}) = 0'),
    ("mknod", (X, 0o644, 0), "verbose", 'mknod("x", 0644 /* 0644 */) = 0'),
    ("mknod", (X, 0o170000, 0), "verbose", 'mknod("x", 0170000) = 0'),
    ("statx", (3, X, 0x2100, 0, 0), "raw", 'statx(3, "x", 0x2000|0x100, 0, NULL) = 0'),
    ("statx", (3, X, 0x1000, 0, 0), "raw", 'statx(3, "x", |0x1000, 0, NULL) = 0'),
    ("mount", (X, X, X, 0xC0ED0200, X), "raw", 'mount("x", "x", "x", 0xc0ed0000|0x200, "x") = 0'),
]  # fmt: skip


@pytest.mark.parametrize("case", STYLES, ids=lambda case: case[3][:60])
def test_styles(case: tuple[Any, ...]) -> None:
    name, args, constants, expected = case
    assert line(name, *args, style=Style(constants=constants)) == expected
