"""mkdir, mknod, link, symlink and their relatives (man 2 mkdir, mknod, link, symlink)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linuxemu.messages import fs, fsx
from linuxemu.testing import BAD, Guest, SyscallError
from syscalls.abi.errno import (
    EACCES,
    EFAULT,
    EINVAL,
    ENAMETOOLONG,
    ENOENT,
    EPERM,
    EROFS,
    EXDEV,
)
from syscalls.abi.flags import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_FOLLOW,
    AT_SYMLINK_NOFOLLOW,
    O_PATH,
    O_TMPFILE,
    O_WRONLY,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFREG,
    S_IFSOCK,
)
from syscalls.abi.structs import Stat
from tests.handlers.cases import SUCCESS, Edge, Out, fails, ok, open_file, proves
from tests.handlers.namecases import LOOKUP, SEARCHED, USER, mounted, new_name_failures, walk_failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call

AT = AT_FDCWD
CHECKED = ["fsx.lookup", "fsx.getattr"]
"""A name that is new, in a directory that may be written to."""


def shows(path: str, mode: int, **fields: int) -> Callable[[Guest, Call], None]:
    """A check of what lstat shows of a path."""

    def check(guest: Guest, call: Call) -> None:
        found = Out(Stat)
        guest.syscall.lstat(path, found)
        assert {name: getattr(found.value, name) for name in ("st_mode", *fields)} == {"st_mode": mode, **fields}

    return check


def _masks_group(guest: Guest) -> None:
    guest.syscall.umask(0o027)


def _shared(guest: Guest) -> None:
    guest.files.mkdir("/shared", gid=50, mode=0o2777)


def _open(guest: Guest) -> None:
    guest.files.mkdir("/open", mode=0o777)


def _directory(guest: Guest) -> int:
    return open_file(guest, "/dir", O_PATH)


def _of_root(guest: Guest) -> int:
    """A descriptor that a user got from root."""
    fd = open_file(guest)
    guest.syscall.setresuid(1000, 1000, 1000)
    return fd


def _protect(guest: Guest) -> None:
    guest.linux.protected_hardlinks = True


# -- directories ----------------------------------------------------------------------------------------------

MKDIR = [*CHECKED, "fsx.mkdir"]
CASES = [
    ok("mkdir", "/new", 0o1755, returns=0, rpcs=MKDIR, check=shows("/new", S_IFDIR | 0o1755, st_nlink=2)),
    ok("mkdir", "/new///", 0o6777, rpcs=MKDIR, check=shows("/new", S_IFDIR | 0o755), label="slashes behind"),
    ok("mkdir", "/new", 0o777, setup=_masks_group, rpcs=MKDIR, check=shows("/new", S_IFDIR | 0o750), label="umask"),
    ok("mkdir", "/shared/new", 0o755, setup=_shared, rpcs=[*SEARCHED, *MKDIR], user=USER,
       check=shows("/shared/new", S_IFDIR | 0o2755, st_uid=1000, st_gid=50), label="set-group-ID directory"),
    ok("mkdir", Edge("/new"), 0o755, rpcs=MKDIR, label="path at the end of memory"),
    *new_name_failures("mkdir", fsx.Mkdir, "/new", 0o755),
    fails("mkdir", EPERM, "/dir/new", 0o755, setup=mounted("sysfs"), rpcs=[]),
    ok("mkdirat", lambda guest: (_directory(guest), "new", 0o755), returns=0, rpcs=MKDIR,
       check=shows("/dir/new", S_IFDIR | 0o755)),
    ok("mkdirat", 99, "/new", 0o755, rpcs=MKDIR, label="an absolute path needs no descriptor"),
    *new_name_failures("mkdirat", fsx.Mkdir, AT, "/new", 0o755, at=1, dirfd=True),
    fails("mkdirat", EPERM, AT, "/dir/new", 0o755, setup=mounted("sysfs"), rpcs=[]),
]  # fmt: skip


@proves("mkdir", EROFS, rpcs=["fs.stat"])
@proves("mkdirat", EROFS, rpcs=["fs.stat"])
def test_a_server_of_paths_has_no_directories(guest: Guest) -> None:
    guest.fs.expect(fs.Stat(path="/new")).error(ENOENT).times(2)
    for call in (guest.start.mkdir("/new", 0o755), guest.start.mkdirat(AT, "/new", 0o755)):
        assert call.errno == EROFS


# -- nodes ----------------------------------------------------------------------------------------------------

MKNOD = [*CHECKED, "fsx.mknod"]
CASES += [
    ok("mknod", "/new", S_IFREG | 0o644, 5, returns=0, rpcs=MKNOD, check=shows("/new", S_IFREG | 0o644, st_rdev=0)),
    ok("mknod", "/new", 0o600, 0, rpcs=MKNOD, check=shows("/new", S_IFREG | 0o600), label="no type is a file"),
    ok("mknod", "/new", S_IFIFO | 0o666, 0, rpcs=MKNOD, check=shows("/new", S_IFIFO | 0o644), label="fifo"),
    ok("mknod", "/new", S_IFSOCK | 0o755, 0, rpcs=MKNOD, check=shows("/new", S_IFSOCK | 0o755), label="socket"),
    ok("mknod", "/new", S_IFCHR | 0o600, 0x12345, rpcs=MKNOD, check=shows("/new", S_IFCHR | 0o600, st_rdev=0x12345),
       label="character device"),
    ok("mknod", "/new", S_IFBLK | 0o600, 0x700, rpcs=MKNOD, check=shows("/new", S_IFBLK | 0o600, st_rdev=0x700),
       label="block device"),
    ok("mknod", "/open/new", S_IFCHR, 0, setup=_open, user=USER, rpcs=[*SEARCHED, *MKNOD],
       label="a whiteout needs no privilege"),
    *new_name_failures("mknod", fsx.Mknod, "/new", S_IFREG, 0),
    fails("mknod", ENOENT, "/new/", S_IFREG, 0, rpcs=LOOKUP, label="slash behind"),
    fails("mknod", EINVAL, "/new", S_IFLNK | 0o777, 0, rpcs=[], label="link"),
    fails("mknod", EINVAL, BAD, 0o150000, 0, rpcs=[], label="no such type"),
    fails("mknod", EPERM, BAD, S_IFDIR | 0o755, 0, rpcs=[], label="directory"),
    fails("mknod", EPERM, "/open/new", S_IFCHR, 0x103, setup=_open, user=USER, label="device by a user"),
    fails("mknod", EPERM, "/open/new", S_IFBLK, 0, setup=_open, user=USER, label="block device by a user"),
    fails("mknod", EPERM, "/dir/new", S_IFIFO, 0, setup=mounted("sysfs"), rpcs=[], label="fifo in sysfs"),
    fails("mknod", EACCES, "/dir/new", S_IFREG, 0, setup=mounted("sysfs"), rpcs=[], label="file in sysfs"),
    ok("mknodat", lambda guest: (_directory(guest), "new", S_IFIFO | 0o600, 0), returns=0, rpcs=MKNOD,
       check=shows("/dir/new", S_IFIFO | 0o600)),
    *new_name_failures("mknodat", fsx.Mknod, AT, "/new", S_IFREG, 0, at=1, dirfd=True),
    fails("mknodat", EINVAL, 99, BAD, S_IFLNK, 0, rpcs=[]),
    fails("mknodat", EPERM, 99, BAD, S_IFDIR, 0, rpcs=[]),
]  # fmt: skip


@proves("mknod", SUCCESS, rpcs=["fs.stat", "fs.create", "fs.close"])
@proves("mknod", EROFS, rpcs=["fs.stat"])
def test_a_server_of_paths_makes_regular_files_only(guest: Guest) -> None:
    guest.fs.expect(fs.Stat(path="/new")).error(ENOENT)
    guest.fs.expect(fs.Create(path="/new", exist_ok=False)).reply(handle=4)
    guest.fs.expect(fs.Close(handle=4))
    assert guest.syscall.mknod("/new", S_IFREG | 0o644, 0) == 0
    guest.fs.expect(fs.Stat(path="/fifo")).error(ENOENT)
    assert guest.start.mknod("/fifo", S_IFIFO, 0).errno == EROFS


# -- links ----------------------------------------------------------------------------------------------------

LINK = ["fsx.lookup", *CHECKED, "fsx.getattr", "fsx.link"]
CASES += [
    ok("link", "/file", "/new", returns=0, rpcs=LINK, check=shows("/new", S_IFREG | 0o644, st_nlink=2)),
    ok("link", "/dangling", "/new", rpcs=LINK, check=shows("/new", S_IFLNK | 0o777, st_nlink=2), label="a link itself"),
    *walk_failures("link", "/file", "/new"),
    *new_name_failures("link", fsx.Link, "/file", "/new", at=1, before=LOOKUP),
    fails("link", ENOENT, "/file", "/new/", rpcs=[*LOOKUP, *LOOKUP], label="slash behind the new name"),
    fails("link", ENOENT, "/none", BAD, rpcs=LOOKUP, label="the old name is looked up first"),
    fails("link", EFAULT, "/file", BAD, rpcs=LOOKUP),
    fails("link", EPERM, "/dir", "/new", rpcs=[*LOOKUP, *CHECKED], label="directory"),
    fails("link", EPERM, "/dir/kernel", "/dir/new", setup=mounted("sysfs"), rpcs=[], label="directory in sysfs"),
    fails("link", EXDEV, "/file", "/dir/new", setup=mounted("tmpfs"), rpcs=[*LOOKUP, *LOOKUP]),
    ok("linkat", AT, "/link", AT, "/new", AT_SYMLINK_FOLLOW, returns=0, rpcs=["fsx.lookup", "fsx.readlink", *LINK],
       check=shows("/new", S_IFREG | 0o644, st_nlink=2), label="follow"),
    ok("linkat", AT, "/link", AT, "/new", 0, rpcs=LINK, check=shows("/new", S_IFLNK | 0o777), label="do not follow"),
    ok("linkat", lambda guest: (open_file(guest), "", _directory(guest), "new", AT_EMPTY_PATH),
       rpcs=[*CHECKED, "fsx.getattr", "fsx.link"], check=shows("/dir/new", S_IFREG | 0o644, st_nlink=2),
       label="of a descriptor"),
    *walk_failures("linkat", AT, "/file", AT, "/new", 0, at=1, dirfd=True),
    *new_name_failures("linkat", fsx.Link, AT, "/file", AT, "/new", 0, at=3, dirfd=True, before=LOOKUP),
    fails("linkat", ENOENT, lambda guest: (_of_root(guest), "", AT, "/new", AT_EMPTY_PATH), rpcs=[],
          label="of root's descriptor"),
    fails("link", EPERM, "/file", "/new", setup=_protect, user=USER, label="protected"),
    fails("linkat", EINVAL, AT, BAD, AT, BAD, AT_SYMLINK_NOFOLLOW, rpcs=[]),
    fails("linkat", EPERM, AT, "", AT, "/new", AT_EMPTY_PATH, rpcs=CHECKED, label="the current directory"),
    fails("linkat", ENOENT, AT, "/dangling", AT, "/new", AT_SYMLINK_FOLLOW,
          rpcs=["fsx.lookup", "fsx.readlink", "fsx.lookup"], label="through a dangling link"),
    fails("linkat", EXDEV, AT, "/file", AT, "/dir/new", 0, setup=mounted("tmpfs")),
]  # fmt: skip


@pytest.mark.linuxemu(root="memfs")
@proves("linkat", SUCCESS, rpcs=["fsx.lookup", "fsx.getattr", "fsx.getattr", "fsx.link"])
def test_a_file_without_a_name_gets_its_first_by_linkat(guest: Guest) -> None:
    fd = guest.syscall.open("/", O_TMPFILE | O_WRONLY, 0o600)
    guest.syscall.write(fd, b"made", 4)
    guest.syscall.linkat(fd, "", AT, "/named", AT_EMPTY_PATH)
    assert guest.files.read("/named") == b"made"


@pytest.mark.linuxemu(root="memfs")
@proves("linkat", ENOENT, rpcs=["fsx.lookup", "fsx.getattr", "fsx.getattr"])
def test_a_file_that_lost_its_last_name_gets_no_other(guest: Guest) -> None:
    guest.files.write("/file")
    fd = open_file(guest)
    guest.syscall.unlink("/file")
    with pytest.raises(SyscallError, match="ENOENT"):
        guest.syscall.linkat(fd, "", AT, "/again", AT_EMPTY_PATH)


@proves("link", EROFS, rpcs=["fs.stat", "fs.stat", "fs.stat"])
@proves("symlink", EROFS, rpcs=["fs.stat"])
def test_a_server_of_paths_has_no_links(guest: Guest) -> None:
    guest.fs.expect(fs.Stat(path="/file")).reply(size=3)
    guest.fs.expect(fs.Stat(path="/new")).error(ENOENT)
    guest.fs.expect(fs.Stat(path="/file")).reply(size=3)
    assert guest.start.link("/file", "/new").errno == EROFS
    guest.fs.expect(fs.Stat(path="/new")).error(ENOENT)
    assert guest.start.symlink("file", "/new").errno == EROFS


# -- symbolic links -------------------------------------------------------------------------------------------

SYMLINK = [*CHECKED, "fsx.symlink"]


def leads_to(target: bytes, path: str = "/new") -> Callable[[Guest, Call], None]:
    """A check of what readlink says of a path."""

    def check(guest: Guest, call: Call) -> None:
        found = Out(4096)
        size = guest.syscall.readlink(path, found, 4096)
        assert found.value[:size] == target

    return check


CASES += [
    ok("symlink", "some text", "/new", returns=0, rpcs=SYMLINK, check=leads_to(b"some text")),
    ok("symlink", "x" * 4095, "/new", rpcs=SYMLINK, check=leads_to(b"x" * 4095), label="longest text"),
    *new_name_failures("symlink", fsx.Symlink, "text", "/new", at=1),
    fails("symlink", ENOENT, "", BAD, rpcs=[], label="no text"),
    fails("symlink", ENOENT, "text", "/new/", rpcs=LOOKUP, label="slash behind"),
    fails("symlink", ENAMETOOLONG, "x" * 4096, BAD, rpcs=[], label="text too long"),
    fails("symlink", EFAULT, BAD, "", rpcs=[]),
    fails("symlink", EPERM, "text", "/dir/new", setup=mounted("sysfs"), rpcs=[]),
    ok("symlinkat", lambda guest: ("text", _directory(guest), "new"), returns=0, rpcs=SYMLINK,
       check=leads_to(b"text", "/dir/new")),
    *new_name_failures("symlinkat", fsx.Symlink, "text", AT, "/new", at=2, dirfd=True),
    fails("symlinkat", ENOENT, "", 99, BAD, rpcs=[], label="no text"),
    fails("symlinkat", EPERM, "text", AT, "/dir/new", setup=mounted("sysfs"), rpcs=[]),
]  # fmt: skip
