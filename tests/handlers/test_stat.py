"""stat and its relatives, access, readlink, statfs, umask (man 2 stat, statx, access, readlink, statfs, umask)."""

from __future__ import annotations

import pytest

from linuxemu.messages import fs
from linuxemu.testing import BAD, NULL, Call, Guest
from syscalls.abi.errno import EACCES, EBADF, EFAULT, EINVAL, EIO, ELOOP, ENOENT, ENOTDIR, EROFS
from syscalls.abi.flags import (
    AT_EACCESS,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_NO_AUTOMOUNT,
    AT_REMOVEDIR,
    AT_STATX_DONT_SYNC,
    AT_STATX_FORCE_SYNC,
    AT_SYMLINK_NOFOLLOW,
    F_OK,
    MS_NOEXEC,
    O_NOFOLLOW,
    O_PATH,
    R_OK,
    S_IFIFO,
    S_IFLNK,
    S_IFREG,
    ST_RDONLY,
    STATX__RESERVED,
    STATX_ATTR_MOUNT_ROOT,
    STATX_BASIC_STATS,
    STATX_MODE,
    STATX_SIZE,
    STATX_TYPE,
    TMPFS_MAGIC,
    W_OK,
    X_OK,
)
from syscalls.abi.structs import Stat, Statfs, Statx
from tests.handlers.cases import SUCCESS, Edge, Out, fails, ok, open_file, pipe, proves
from tests.handlers.pathcases import USER, at_failures, path_failures, readonly_mount

STAT = Out(Stat)
STATX = Out(Statx)
STATFS = Out(Statfs)
TARGET = Out(64, b".")
_ASKED = STATX_TYPE | STATX_MODE | STATX_SIZE
LOOKUP = ["fsx.lookup"]
LINK = ["fsx.lookup", "fsx.readlink", "fsx.lookup"]
ATTR = ["fsx.getattr"]
ELSEWHERE = "the server that is mounted is asked, not the one that fails"
UNTOUCHED = ("pathname: null stands for no path here",)


def _is_the_file(guest: Guest, call: Call) -> None:
    assert (STAT.value.st_size, STAT.value.st_mode, STAT.value.st_nlink) == (8, S_IFREG | 0o644, 1)


def _is_a_link(guest: Guest, call: Call) -> None:
    assert (STAT.value.st_size, STAT.value.st_mode) == (5, S_IFLNK | 0o777)


def _is_a_pipe(guest: Guest, call: Call) -> None:
    assert (STAT.value.st_size, STAT.value.st_mode, STAT.value.st_blksize) == (0, S_IFIFO | 0o600, 4096)
    assert STAT.value.st_atime == STAT.value.st_mtime == STAT.value.st_ctime > 0


def _is_the_inner_file(guest: Guest, call: Call) -> None:
    assert STAT.value.st_size == 5


def _statx_is_the_file(guest: Guest, call: Call) -> None:
    found = STATX.value
    assert (found.stx_size, found.stx_mode, found.stx_blksize) == (8, S_IFREG | 0o644, 4096)
    assert found.stx_mask & _ASKED == _ASKED


def _statx_is_a_mount_root(guest: Guest, call: Call) -> None:
    assert STATX.value.stx_attributes & STATX_ATTR_MOUNT_ROOT


def _statx_is_a_link(guest: Guest, call: Call) -> None:
    assert STATX.value.stx_mode == S_IFLNK | 0o777


def _readonly(guest: Guest, call: Call) -> None:
    assert STATFS.value.f_type == TMPFS_MAGIC
    assert STATFS.value.f_flags & ST_RDONLY


def _tmpfs(guest: Guest, call: Call) -> None:
    found = STATFS.value
    assert (found.f_type, found.f_bsize, found.f_namelen) == (TMPFS_MAGIC, 4096, 255)
    assert not found.f_flags & ST_RDONLY


def _whole_target(guest: Guest, call: Call) -> None:
    assert TARGET.data == b"/file" + b"." * 59


def _three_bytes(guest: Guest, call: Call) -> None:
    assert TARGET.data == b"/fi" + b"." * 61


def _mask_has_permission_bits_only(guest: Guest, call: Call) -> None:
    assert guest.syscall.umask(0) == 0o777


def _real_user(guest: Guest) -> None:
    guest.syscall.setresuid(1000, 0, 0)


def _noexec_mount(guest: Guest) -> None:
    guest.syscall.mount("none", "/dir", "tmpfs", MS_NOEXEC, 0)
    guest.files.write("/dir/program", mode=0o755)


CASES = [
    ok("stat", "/file", STAT, returns=0, rpcs=LOOKUP, check=_is_the_file),
    ok("stat", "/link", STAT, returns=0, rpcs=LINK, check=_is_the_file, label="through a link"),
    ok("stat", Edge("/file"), Edge(STAT), returns=0, rpcs=LOOKUP, check=_is_the_file, label="at the end of memory"),
    ok("stat", "/dir/../file", STAT, rpcs=["fsx.lookup", "fsx.lookup"], check=_is_the_file, label="up and down"),
    ok("stat", "/", STAT, rpcs=ATTR, label="the root"),
    ok("stat", "/private", STAT, rpcs=["fsx.getattr", "fsx.lookup"], user=USER, label="needs no permission"),
    *path_failures("stat", STAT),
    fails("stat", ELOOP, "/loop", STAT),
    fails("stat", ENOENT, "/dangling", STAT, rpcs=LINK, label="link to nothing"),
    fails("stat", EFAULT, BAD, STAT, rpcs=[]),

    ok("lstat", "/file", STAT, returns=0, rpcs=LOOKUP, check=_is_the_file),
    ok("lstat", "/link", STAT, returns=0, rpcs=LOOKUP, check=_is_a_link, label="of a link"),
    ok("lstat", "/dangling", STAT, rpcs=LOOKUP, check=_is_a_link, label="of a link to nothing"),
    ok("lstat", "/loop", STAT, rpcs=LOOKUP, check=_is_a_link, label="of a loop"),
    *path_failures("lstat", STAT),
    fails("lstat", ENOTDIR, "/link/", STAT, rpcs=LINK, label="slash after a link to a file"),
    fails("lstat", EFAULT, BAD, STAT, rpcs=[]),

    ok("fstat", lambda guest: (open_file(guest), STAT), returns=0, rpcs=ATTR, check=_is_the_file),
    ok("fstat", lambda guest: (open_file(guest, "/link", O_PATH | O_NOFOLLOW), STAT), rpcs=ATTR, check=_is_a_link,
       label="O_PATH"),
    ok("fstat", lambda guest: (pipe(guest)[0], STAT), rpcs=["clock.gettime"], check=_is_a_pipe, label="of a pipe"),
    fails("fstat", EBADF, 99, STAT, rpcs=[]),
    fails("fstat", EBADF, 99, BAD, rpcs=[], label="before EFAULT"),
    fails("fstat", EBADF, AT_FDCWD, STAT, rpcs=[], label="no directory stands for it"),
    fails("fstat", EFAULT, 0, BAD, rpcs=["clock.gettime"]),

    ok("newfstatat", AT_FDCWD, "/file", STAT, 0, returns=0, rpcs=LOOKUP, check=_is_the_file),
    ok("newfstatat", AT_FDCWD, "file", STAT, AT_NO_AUTOMOUNT, rpcs=LOOKUP, check=_is_the_file,
       label="in the current directory"),
    ok("newfstatat", lambda guest: (open_file(guest, "/dir", 0), "inner", STAT, 0), rpcs=LOOKUP,
       check=_is_the_inner_file, label="in a directory"),
    ok("newfstatat", 99, "/file", STAT, 0, rpcs=LOOKUP, label="absolute path, the directory does not matter"),
    ok("newfstatat", AT_FDCWD, "/link", STAT, AT_SYMLINK_NOFOLLOW, rpcs=LOOKUP, check=_is_a_link, label="of a link"),
    ok("newfstatat", AT_FDCWD, "/link", STAT, AT_EMPTY_PATH, rpcs=LINK, check=_is_the_file, label="path not empty"),
    ok("newfstatat", lambda guest: (open_file(guest), "", STAT, AT_EMPTY_PATH), rpcs=ATTR, check=_is_the_file,
       label="empty path"),
    ok("newfstatat", lambda guest: (open_file(guest), NULL, STAT, AT_EMPTY_PATH), rpcs=ATTR, check=_is_the_file,
       unfaulted=UNTOUCHED, label="no path"),
    ok("newfstatat", lambda guest: (pipe(guest)[1], "", STAT, AT_EMPTY_PATH), rpcs=["clock.gettime"], check=_is_a_pipe,
       label="of a pipe"),
    ok("newfstatat", AT_FDCWD, "", STAT, AT_EMPTY_PATH, rpcs=ATTR, label="the current directory"),
    *at_failures("newfstatat", STAT, 0),
    fails("newfstatat", EBADF, 99, "", STAT, AT_EMPTY_PATH, rpcs=[], label="empty path"),
    fails("newfstatat", EINVAL, AT_FDCWD, "/file", STAT, AT_REMOVEDIR, rpcs=[]),
    fails("newfstatat", EFAULT, AT_FDCWD, NULL, STAT, 0, rpcs=[]),
    fails("newfstatat", EFAULT, AT_FDCWD, BAD, STAT, AT_EMPTY_PATH, rpcs=[], label="AT_EMPTY_PATH"),
    fails("newfstatat", EINVAL, AT_FDCWD, BAD, STAT, AT_REMOVEDIR, rpcs=[], label="before EFAULT"),

    ok("statx", AT_FDCWD, "/file", 0, STATX_BASIC_STATS, STATX, returns=0, rpcs=LOOKUP, check=_statx_is_the_file),
    ok("statx", AT_FDCWD, "/link", AT_STATX_FORCE_SYNC, 0, STATX, rpcs=LINK, check=_statx_is_the_file,
       label="through a link"),
    ok("statx", AT_FDCWD, "/link", AT_SYMLINK_NOFOLLOW, 0, STATX, rpcs=LOOKUP, check=_statx_is_a_link,
       label="of a link"),
    ok("statx", lambda guest: (open_file(guest), "", AT_EMPTY_PATH, STATX_BASIC_STATS, STATX), rpcs=ATTR,
       check=_statx_is_the_file, label="empty path"),
    ok("statx", lambda guest: (open_file(guest), NULL, AT_EMPTY_PATH, STATX_BASIC_STATS, STATX), rpcs=ATTR,
       check=_statx_is_the_file, unfaulted=UNTOUCHED, label="no path"),
    ok("statx", lambda guest: (pipe(guest)[1], "", AT_EMPTY_PATH, 0, STATX), rpcs=["clock.gettime"], label="of a pipe"),
    ok("statx", AT_FDCWD, "", AT_EMPTY_PATH, 0, STATX, rpcs=ATTR, label="the current directory"),
    ok("statx", AT_FDCWD, "/dir", 0, 0, STATX, setup=readonly_mount, rpcs=ATTR, check=_statx_is_a_mount_root,
       survives_eio=ELSEWHERE, label="the root of a mount"),
    *at_failures("statx", 0, STATX_BASIC_STATS, STATX),
    fails("statx", EBADF, 99, "", AT_EMPTY_PATH, 0, STATX, rpcs=[], label="empty path"),
    fails("statx", EINVAL, AT_FDCWD, "/file", 0, STATX__RESERVED, STATX, rpcs=[], label="mask"),
    fails("statx", EINVAL, AT_FDCWD, "/file", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, STATX, rpcs=[],
          label="both ways of synchronizing"),
    fails("statx", EINVAL, AT_FDCWD, "/file", AT_REMOVEDIR, 0, STATX, rpcs=[], label="flags"),
    fails("statx", EFAULT, AT_FDCWD, NULL, 0, 0, STATX, rpcs=[]),
    fails("statx", EINVAL, AT_FDCWD, BAD, 0, STATX__RESERVED, STATX, rpcs=[], label="before EFAULT"),

    ok("access", "/file", F_OK, returns=0, rpcs=["fsx.lookup", "fsx.getattr"]),
    ok("access", "/private", R_OK | W_OK, returns=0, rpcs=["fsx.lookup", "fsx.getattr"], label="root may"),
    ok("access", "/user", R_OK | W_OK, returns=0, rpcs=["fsx.getattr", "fsx.lookup", "fsx.getattr"], user=USER,
       label="the owner may"),
    *path_failures("access", F_OK),
    fails("access", EACCES, "/private", R_OK, user=USER),
    fails("access", EACCES, "/private", X_OK, label="root may not execute what nobody may"),
    fails("access", EACCES, "/private", R_OK, setup=_real_user, label="the real user counts"),
    fails("access", EACCES, "/dir/program", X_OK, setup=_noexec_mount, label="noexec"),
    fails("access", EROFS, "/dir", W_OK, setup=readonly_mount),
    fails("access", EINVAL, "/file", 8, rpcs=[]),
    fails("access", EINVAL, BAD, 8, rpcs=[], label="before EFAULT"),

    ok("faccessat", AT_FDCWD, "/link", R_OK, returns=0, rpcs=[*LINK, "fsx.getattr"]),
    ok("faccessat", lambda guest: (open_file(guest, "/dir", 0), "inner", F_OK), returns=0,
       rpcs=["fsx.lookup", "fsx.getattr"], label="in a directory"),
    *at_failures("faccessat", F_OK),
    fails("faccessat", EACCES, AT_FDCWD, "/private", R_OK, user=USER),
    fails("faccessat", EACCES, AT_FDCWD, "/private", R_OK, setup=_real_user, label="the real user counts"),
    fails("faccessat", EROFS, AT_FDCWD, "/dir", W_OK, setup=readonly_mount),
    fails("faccessat", EINVAL, AT_FDCWD, "/file", 8, rpcs=[]),

    ok("faccessat2", AT_FDCWD, "/file", R_OK, 0, returns=0, rpcs=["fsx.lookup", "fsx.getattr"]),
    ok("faccessat2", AT_FDCWD, "/private", R_OK, AT_EACCESS, setup=_real_user, returns=0,
       rpcs=["fsx.lookup", "fsx.getattr"], label="the effective user counts"),
    ok("faccessat2", AT_FDCWD, "/dangling", R_OK, AT_SYMLINK_NOFOLLOW, returns=0, rpcs=["fsx.lookup", "fsx.getattr"],
       label="of a link"),
    ok("faccessat2", lambda guest: (open_file(guest), "", R_OK, AT_EMPTY_PATH), returns=0, rpcs=ATTR,
       label="empty path"),
    *at_failures("faccessat2", F_OK, 0),
    fails("faccessat2", EACCES, AT_FDCWD, "/private", R_OK, 0, setup=_real_user, label="the real user counts"),
    fails("faccessat2", EROFS, AT_FDCWD, "/dir", W_OK, 0, setup=readonly_mount),
    fails("faccessat2", EBADF, 99, "", F_OK, AT_EMPTY_PATH, rpcs=[], label="empty path"),
    fails("faccessat2", EINVAL, AT_FDCWD, "/file", 8, 0, rpcs=[], label="mode"),
    fails("faccessat2", EINVAL, AT_FDCWD, "/file", F_OK, AT_NO_AUTOMOUNT, rpcs=[], label="flags"),

    ok("readlink", "/link", TARGET, 64, returns=5, rpcs=["fsx.lookup", "fsx.readlink"], check=_whole_target),
    ok("readlink", "/link", TARGET, 3, returns=3, rpcs=["fsx.lookup", "fsx.readlink"], check=_three_bytes,
       label="cut off"),
    *path_failures("readlink", TARGET, 64),
    fails("readlink", EINVAL, "/file", TARGET, 64, rpcs=LOOKUP, label="of a file"),
    fails("readlink", EINVAL, "/link", TARGET, 0, rpcs=[], label="size 0"),
    fails("readlink", EINVAL, BAD, TARGET, -1, rpcs=[], label="size before EFAULT"),

    ok("readlinkat", AT_FDCWD, "/link", TARGET, 64, returns=5, rpcs=["fsx.lookup", "fsx.readlink"],
       check=_whole_target),
    ok("readlinkat", lambda guest: (open_file(guest, "/link", O_PATH | O_NOFOLLOW), "", TARGET, 64), returns=5,
       rpcs=["fsx.readlink"], check=_whole_target, label="opened with O_PATH"),
    *at_failures("readlinkat", TARGET, 64),
    fails("readlinkat", ENOENT, lambda guest: (open_file(guest), "", TARGET, 64), rpcs=[], label="an open file"),
    fails("readlinkat", EBADF, 99, "", TARGET, 64, rpcs=[], label="empty path"),
    fails("readlinkat", EINVAL, AT_FDCWD, "/file", TARGET, 64, rpcs=LOOKUP, label="of a file"),
    fails("readlinkat", EINVAL, 99, BAD, TARGET, 0, rpcs=[], label="size 0"),

    ok("statfs", "/link", STATFS, returns=0, rpcs=[*LINK, "fsx.statfs"], check=_tmpfs),
    ok("statfs", "/dir", STATFS, setup=readonly_mount, returns=0, rpcs=["fsx.statfs"], check=_readonly,
       survives_eio=ELSEWHERE, label="read-only"),
    *path_failures("statfs", STATFS),

    ok("fstatfs", lambda guest: (open_file(guest), STATFS), returns=0, rpcs=["fsx.statfs"], check=_tmpfs),
    ok("fstatfs", lambda guest: (open_file(guest, "/dir", O_PATH), STATFS), rpcs=["fsx.statfs"], label="O_PATH"),
    ok("fstatfs", lambda guest: (pipe(guest)[0], STATFS), returns=0, rpcs=[], label="of a pipe"),
    fails("fstatfs", EBADF, 99, BAD, rpcs=[]),
    fails("fstatfs", EFAULT, lambda guest: (pipe(guest)[0], BAD), rpcs=[]),

    ok("umask", 0o77, returns=0o22, rpcs=[]),
    ok("umask", 0o7777, returns=0o22, rpcs=[], check=_mask_has_permission_bits_only, label="other bits"),
]  # fmt: skip


# -- a file server that knows paths only ------------------------------------------------------------------------------


@proves("stat", SUCCESS, rpcs=["fs.stat"])
@proves("fstat", SUCCESS, rpcs=["fs.stat"])
@proves("newfstatat", SUCCESS, rpcs=["fs.stat"])
def test_paths_become_paths(guest: Guest) -> None:
    guest.fs.expect(fs.Stat(path="/etc/hostname")).reply(size=9)
    guest.syscall.stat("/etc/hostname", STAT)
    assert (STAT.value.st_size, STAT.value.st_mode) == (9, S_IFREG | 0o755)
    guest.fs.expect(fs.Open(path="/etc/hostname")).reply(handle=3)
    fd = guest.syscall.open("/etc//./hostname", 0)
    guest.fs.expect(fs.Stat(path="/etc/hostname")).reply(size=10)
    guest.syscall.fstat(fd, STAT)
    assert STAT.value.st_size == 10
    guest.fs.expect(fs.Stat(path="/etc/passwd")).reply(size=11)
    guest.syscall.newfstatat(AT_FDCWD, "etc/passwd", STAT, 0)
    assert STAT.value.st_size == 11


@proves("stat", ENOENT, rpcs=["fs.stat"])
@proves("stat", EIO, rpcs=["fs.stat"])
def test_errors_of_such_a_server(guest: Guest) -> None:
    for errno in (ENOENT, EIO):
        guest.fs.expect(fs.Stat(path="/none")).error(errno)
        assert guest.start.stat("/none", STAT).errno == errno


@proves("access", SUCCESS, rpcs=["fs.stat", "fs.stat"])
@proves("access", EACCES, rpcs=["fs.stat", "fs.stat"])
@proves("readlink", EINVAL, rpcs=["fs.stat"])
def test_all_its_files_are_plain_ones_that_anybody_may_read_and_execute(guest: Guest) -> None:
    guest.fs.expect(fs.Stat(path="/bin/sh")).reply(size=9).times(5)
    guest.syscall.setresuid(1000, 1000, 1000)
    guest.syscall.access("/bin/sh", R_OK | X_OK)
    assert guest.start.access("/bin/sh", W_OK).errno == EACCES
    assert guest.start.readlink("/bin/sh", TARGET, 64).errno == EINVAL


@proves("fstatfs", SUCCESS, rpcs=[])
def test_of_such_a_server_no_sizes_are_known(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/x")).reply(handle=3)
    guest.syscall.fstatfs(guest.syscall.open("/x", 0), STATFS)
    assert (STATFS.value.f_blocks, STATFS.value.f_bsize) == (0, 4096)


# -- what an open descriptor still allows -----------------------------------------------------------------------------


@pytest.mark.linuxemu(root="memfs")
@proves("fstat", SUCCESS, rpcs=["fsx.getattr"])
@proves("newfstatat", EACCES)
def test_an_open_file_is_found_where_its_directory_is_closed(guest: Guest) -> None:
    guest.files.mkdir("/closed", mode=0o700)
    guest.files.write("/closed/file")
    fd = guest.syscall.open("/closed/file", O_PATH)
    guest.syscall.setresuid(1000, 1000, 1000)
    guest.syscall.fstat(fd, STAT)
    assert guest.start.newfstatat(AT_FDCWD, "/closed/file", STAT, 0).errno == EACCES
