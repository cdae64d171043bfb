"""Mode, owner and times of files (man 2 chmod, man 2 chown, man 2 utimensat, man 2 utime)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linuxemu.messages import fs, fsx
from linuxemu.testing import BAD, NULL, Call, Guest
from syscalls.abi.errno import (
    EACCES,
    EBADF,
    EFAULT,
    EINVAL,
    EIO,
    ENOENT,
    EOPNOTSUPP,
    EPERM,
    EROFS,
)
from syscalls.abi.flags import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_NO_AUTOMOUNT,
    AT_SYMLINK_NOFOLLOW,
    MS_RDONLY,
    MS_REMOUNT,
    O_NOFOLLOW,
    O_PATH,
    UTIME_NOW,
    UTIME_OMIT,
)
from syscalls.abi.structs import Stat, Timespec, Timeval, Utimbuf
from tests.handlers.cases import SUCCESS, Out, fails, ok, open_file, pipe, proves
from tests.handlers.pathcases import USER, at_failures, path_failures, readonly_failure, readonly_mount

Check = Callable[[Guest, Call], None]
LOOKUP = ["fsx.lookup"]
LINK = ["fsx.lookup", "fsx.readlink", "fsx.lookup"]
ATTR = ["fsx.getattr"]
SET = ["fsx.getattr", "fsx.setattr"]
NOW = ["clock.gettime"]
KEEP = 0xFFFF_FFFF
NS = 1_000_000_000
UNTOUCHED = ("pathname: null stands for no path here",)


def two(first: tuple[int, int], second: tuple[int, int]) -> bytes:
    """Two struct timespec, or two struct timeval."""
    return Timespec(*first).pack() + Timespec(*second).pack()


BOTH = two((1, 2), (3, 4))
OMITTED = two((1, UTIME_OMIT), (2, UTIME_OMIT))
PRESENT = two((0, UTIME_NOW), (0, UTIME_NOW))
TOO_MANY_NS = two((1, 0), (1, NS))
TOO_MANY_US = Timeval(1, 0).pack() + Timeval(1, 1_000_000).pack()


def stat_of(guest: Guest, path: str) -> Stat:
    """What a path names, a link itself too."""
    found = Out(Stat)
    guest.syscall.lstat(path, found)
    value: Stat = found.value
    return value


def _mode(path: str, mode: int) -> Check:
    def check(guest: Guest, call: Call) -> None:
        assert stat_of(guest, path).st_mode & 0o7777 == mode

    return check


def _owner(path: str, uid: int, gid: int) -> Check:
    def check(guest: Guest, call: Call) -> None:
        found = stat_of(guest, path)
        assert (found.st_uid, found.st_gid) == (uid, gid)

    return check


def _times(path: str, atime_ns: int, mtime_ns: int) -> Check:
    def check(guest: Guest, call: Call) -> None:
        found = stat_of(guest, path)
        assert found.st_atime * NS + found.st_atime_nsec == atime_ns
        assert found.st_mtime * NS + found.st_mtime_nsec == mtime_ns

    return check


def _only_mtime(guest: Guest, call: Call) -> None:
    found = stat_of(guest, "/file")
    assert found.st_mtime == 7
    assert found.st_atime > 1_000_000


def _a_file_of_another_group(guest: Guest) -> None:
    guest.files.write("/mine", mode=0o755, uid=1000, gid=0)


def _a_set_id_file(guest: Guest) -> None:
    guest.files.write("/setid", mode=0o6755, uid=1000, gid=1000)


def _a_file_all_may_write(guest: Guest) -> None:
    guest.files.write("/common", mode=0o666)


def _link(guest: Guest) -> int:
    return open_file(guest, "/link", O_PATH | O_NOFOLLOW)


def _on_readonly(guest: Guest) -> int:
    readonly_mount(guest)
    return open_file(guest, "/dir", 0)


MODE_CASES = [
    ok("chmod", "/file", 0o4600, returns=0, rpcs=["fsx.lookup", *SET], check=_mode("/file", 0o4600)),
    ok("chmod", "/link", 0o600, rpcs=[*LINK, *SET], check=_mode("/file", 0o600), label="through a link"),
    ok("chmod", "/user", 0o170600, user=USER, rpcs=["fsx.getattr", "fsx.lookup", *SET], check=_mode("/user", 0o600),
       label="the owner may"),
    ok("chmod", "/mine", 0o2755, setup=_a_file_of_another_group, user=USER, check=_mode("/mine", 0o755),
       rpcs=["fsx.getattr", "fsx.lookup", *SET], label="no set-group-ID of another group"),
    *path_failures("chmod", 0o600),
    fails("chmod", EPERM, "/file", 0o777, user=USER, rpcs=["fsx.getattr", "fsx.lookup", "fsx.getattr"]),
    readonly_failure("chmod", "/dir", 0o700),

    ok("fchmod", lambda guest: (open_file(guest), 0o640), returns=0, rpcs=SET, check=_mode("/file", 0o640)),
    ok("fchmod", lambda guest: (pipe(guest)[0], 0o640), returns=0, rpcs=["clock.gettime"], label="of a pipe"),
    fails("fchmod", EBADF, 99, 0o600, rpcs=[]),
    fails("fchmod", EBADF, lambda guest: (open_file(guest, "/file", O_PATH), 0o600), rpcs=[], label="O_PATH"),
    fails("fchmod", EPERM, lambda guest: (open_file(guest, "/file", 0), 0o600), user=USER, rpcs=ATTR),
    fails("fchmod", EROFS, lambda guest: (_on_readonly(guest), 0o700), rpcs=[]),

    ok("fchmodat", AT_FDCWD, "/file", 0o640, returns=0, rpcs=["fsx.lookup", *SET], check=_mode("/file", 0o640)),
    ok("fchmodat", lambda guest: (open_file(guest, "/dir", 0), "inner", 0o640), rpcs=["fsx.lookup", *SET],
       check=_mode("/dir/inner", 0o640), label="in a directory"),
    *at_failures("fchmodat", 0o600),
    fails("fchmodat", EPERM, AT_FDCWD, "/file", 0o777, user=USER),
    readonly_failure("fchmodat", AT_FDCWD, "/dir", 0o700),

    ok("fchmodat2", AT_FDCWD, "/file", 0o640, 0, returns=0, rpcs=["fsx.lookup", *SET], check=_mode("/file", 0o640)),
    ok("fchmodat2", AT_FDCWD, "/file", 0o640, AT_SYMLINK_NOFOLLOW, rpcs=["fsx.lookup", *SET],
       check=_mode("/file", 0o640), label="no link"),
    ok("fchmodat2", lambda guest: (open_file(guest, "/file", O_PATH), "", 0o640, AT_EMPTY_PATH), rpcs=SET,
       check=_mode("/file", 0o640), label="opened with O_PATH"),
    *at_failures("fchmodat2", 0o600, 0),
    fails("fchmodat2", EBADF, 99, "", 0o600, AT_EMPTY_PATH, rpcs=[], label="empty path"),
    fails("fchmodat2", EINVAL, AT_FDCWD, BAD, 0o600, AT_NO_AUTOMOUNT, rpcs=[]),
    fails("fchmodat2", EOPNOTSUPP, AT_FDCWD, "/link", 0o600, AT_SYMLINK_NOFOLLOW, rpcs=LOOKUP),
    fails("fchmodat2", EPERM, AT_FDCWD, "/file", 0o777, 0, user=USER),
    readonly_failure("fchmodat2", AT_FDCWD, "/dir", 0o700, 0),
]  # fmt: skip

OWNER_CASES = [
    ok("chown", "/file", 5, 6, returns=0, rpcs=["fsx.lookup", *SET], check=_owner("/file", 5, 6)),
    ok("chown", "/link", 5, KEEP, rpcs=[*LINK, *SET], check=_owner("/file", 5, 0), label="through a link"),
    ok("chown", "/file", KEEP, KEEP, rpcs=["fsx.lookup", "fsx.getattr", "clock.gettime", "fsx.setattr"],
       check=_owner("/file", 0, 0), label="neither"),
    ok("chown", "/setid", KEEP, 0, setup=_a_set_id_file, rpcs=["fsx.lookup", *SET], check=_mode("/setid", 0o755),
       label="takes the set-ID bits away"),
    ok("chown", "/user", 1000, 1000, user=USER, rpcs=["fsx.getattr", "fsx.lookup", *SET],
       check=_owner("/user", 1000, 1000), label="the owner may keep it"),
    *path_failures("chown", 5, 6),
    fails("chown", EPERM, "/user", 1001, KEEP, user=USER, label="giving away"),
    fails("chown", EPERM, "/user", KEEP, 5, user=USER, label="to a group one is not in"),
    fails("chown", EPERM, "/file", 0, 0, user=USER, label="of somebody else"),
    readonly_failure("chown", "/dir", 5, 6),

    ok("lchown", "/file", 5, 6, returns=0, rpcs=["fsx.lookup", *SET], check=_owner("/file", 5, 6)),
    ok("lchown", "/link", 5, 6, rpcs=["fsx.lookup", *SET], check=_owner("/link", 5, 6), label="of a link"),
    *path_failures("lchown", 5, 6),
    fails("lchown", EPERM, "/file", 5, KEEP, user=USER),
    readonly_failure("lchown", "/dir", 5, 6),

    ok("fchown", lambda guest: (open_file(guest), 5, 6), returns=0, rpcs=SET, check=_owner("/file", 5, 6)),
    ok("fchown", lambda guest: (pipe(guest)[0], 5, 6), returns=0, rpcs=["clock.gettime"], label="of a pipe"),
    fails("fchown", EBADF, 99, 5, 6, rpcs=[]),
    fails("fchown", EBADF, lambda guest: (open_file(guest, "/file", O_PATH), 5, 6), rpcs=[], label="O_PATH"),
    fails("fchown", EPERM, lambda guest: (open_file(guest, "/file", 0), 5, KEEP), user=USER, rpcs=ATTR),
    fails("fchown", EROFS, lambda guest: (_on_readonly(guest), 5, 6), rpcs=[]),

    ok("fchownat", AT_FDCWD, "/file", 5, 6, 0, returns=0, rpcs=["fsx.lookup", *SET], check=_owner("/file", 5, 6)),
    ok("fchownat", AT_FDCWD, "/link", 5, 6, AT_SYMLINK_NOFOLLOW, rpcs=["fsx.lookup", *SET],
       check=_owner("/link", 5, 6), label="of a link"),
    ok("fchownat", lambda guest: (_link(guest), "", 5, 6, AT_EMPTY_PATH), rpcs=SET, check=_owner("/link", 5, 6),
       label="opened with O_PATH"),
    *at_failures("fchownat", 5, 6, 0),
    fails("fchownat", EBADF, 99, "", 5, 6, AT_EMPTY_PATH, rpcs=[], label="empty path"),
    fails("fchownat", EINVAL, AT_FDCWD, BAD, 5, 6, AT_NO_AUTOMOUNT, rpcs=[]),
    fails("fchownat", EPERM, AT_FDCWD, "/file", 5, 6, 0, user=USER),
    readonly_failure("fchownat", AT_FDCWD, "/dir", 5, 6, 0),
]  # fmt: skip

TIME_CASES = [
    ok("utimensat", AT_FDCWD, "/file", BOTH, 0, returns=0, rpcs=["fsx.lookup", *SET],
       check=_times("/file", NS + 2, 3 * NS + 4)),
    ok("utimensat", AT_FDCWD, "/file", NULL, 0, returns=0, rpcs=["fsx.lookup", *NOW, *SET], label="the present"),
    ok("utimensat", AT_FDCWD, "/common", NULL, 0, setup=_a_file_all_may_write, user=USER,
       rpcs=["fsx.getattr", "fsx.lookup", *NOW, *SET], label="the present, by who may write"),
    ok("utimensat", AT_FDCWD, "/common", PRESENT, 0, setup=_a_file_all_may_write, user=USER,
       rpcs=["fsx.getattr", "fsx.lookup", *NOW, *SET], label="UTIME_NOW twice, by who may write"),
    ok("utimensat", AT_FDCWD, "/file", two((9, UTIME_OMIT), (7, 0)), 0, returns=0, rpcs=["fsx.lookup", *SET],
       check=_only_mtime, label="one of them"),
    ok("utimensat", AT_FDCWD, "/file", two((9, UTIME_NOW), (7, 0)), 0, returns=0, rpcs=["fsx.lookup", *NOW, *SET],
       check=_only_mtime, label="one of them the present"),
    ok("utimensat", AT_FDCWD, BAD, OMITTED, 0, returns=0, rpcs=[], label="neither",
       unfaulted=("pathname: with both times omitted nothing is looked at",)),
    ok("utimensat", 99, "/none", OMITTED, 0x40, returns=0, rpcs=[], label="neither, and nothing is right"),
    ok("utimensat", AT_FDCWD, "/link", BOTH, AT_SYMLINK_NOFOLLOW, returns=0, rpcs=["fsx.lookup", *SET],
       check=_times("/link", NS + 2, 3 * NS + 4), label="of a link"),
    ok("utimensat", lambda guest: (open_file(guest), NULL, BOTH, 0), returns=0, rpcs=SET, unfaulted=UNTOUCHED,
       check=_times("/file", NS + 2, 3 * NS + 4), label="of an open file"),
    ok("utimensat", lambda guest: (open_file(guest), NULL, NULL, 0), returns=0, rpcs=[*NOW, *SET],
       unfaulted=UNTOUCHED, label="of an open file, the present"),
    ok("utimensat", lambda guest: (_link(guest), "", BOTH, AT_EMPTY_PATH), returns=0, rpcs=SET,
       check=_times("/link", NS + 2, 3 * NS + 4), label="empty path"),
    ok("utimensat", AT_FDCWD, "/file", two((-5, 3), (-1, 0)), 0, returns=0, rpcs=["fsx.lookup", *SET],
       check=_times("/file", -5 * NS + 3, -NS), label="before 1970"),
    *at_failures("utimensat", BOTH, 0),
    fails("utimensat", EBADF, 99, NULL, BOTH, 0, rpcs=[], label="no path"),
    fails("utimensat", EBADF, lambda guest: (open_file(guest, "/file", O_PATH), NULL, BOTH, 0), rpcs=[],
          label="no path and O_PATH"),
    fails("utimensat", EFAULT, AT_FDCWD, NULL, BOTH, 0, rpcs=[], label="no path to a current directory"),
    fails("utimensat", EFAULT, AT_FDCWD, "/none", BAD, 0, rpcs=[], label="times before the path"),
    fails("utimensat", EINVAL, AT_FDCWD, BAD, BOTH, AT_NO_AUTOMOUNT, rpcs=[], label="flags"),
    fails("utimensat", EINVAL, 99, NULL, BOTH, AT_SYMLINK_NOFOLLOW, rpcs=[], label="flags without a path"),
    fails("utimensat", EINVAL, AT_FDCWD, "/file", TOO_MANY_NS, 0, rpcs=LOOKUP, label="nanoseconds"),
    fails("utimensat", EINVAL, AT_FDCWD, "/file", two((1, -1), (1, 0)), 0, rpcs=LOOKUP, label="nanoseconds below 0"),
    fails("utimensat", EINVAL, lambda guest: (open_file(guest), NULL, TOO_MANY_NS, 0), rpcs=[],
          label="nanoseconds of an open file"),
    fails("utimensat", ENOENT, AT_FDCWD, "/none", TOO_MANY_NS, 0, rpcs=LOOKUP, label="before the nanoseconds"),
    fails("utimensat", EBADF, 99, NULL, TOO_MANY_NS, 0, rpcs=[], label="before the nanoseconds"),
    fails("utimensat", EPERM, AT_FDCWD, "/common", BOTH, 0, setup=_a_file_all_may_write, user=USER),
    fails("utimensat", EPERM, AT_FDCWD, "/common", two((0, UTIME_NOW), (0, UTIME_OMIT)), 0, user=USER,
          setup=_a_file_all_may_write, label="one of them the present"),
    fails("utimensat", EACCES, AT_FDCWD, "/file", NULL, 0, user=USER, label="the present, by who may not write"),
    readonly_failure("utimensat", AT_FDCWD, "/dir", BOTH, 0),

    ok("utime", "/file", Utimbuf(5, 6), returns=0, rpcs=["fsx.lookup", *SET], check=_times("/file", 5 * NS, 6 * NS)),
    ok("utime", "/link", NULL, returns=0, rpcs=[*LINK, *NOW, *SET], label="the present"),
    *path_failures("utime", Utimbuf(5, 6)),
    fails("utime", EPERM, "/common", Utimbuf(5, 6), setup=_a_file_all_may_write, user=USER),
    fails("utime", EACCES, "/file", NULL, user=USER, label="the present, by who may not write"),
    readonly_failure("utime", "/dir", Utimbuf(5, 6)),

    ok("utimes", "/file", BOTH, returns=0, rpcs=["fsx.lookup", *SET], check=_times("/file", NS + 2000, 3 * NS + 4000)),
    ok("utimes", "/link", NULL, returns=0, rpcs=[*LINK, *NOW, *SET], label="the present"),
    *path_failures("utimes", BOTH),
    fails("utimes", EINVAL, "/none", TOO_MANY_US, rpcs=[]),
    fails("utimes", EINVAL, "/none", two((1, -1), (1, 0)), rpcs=[], label="microseconds below 0"),
    fails("utimes", EPERM, "/common", BOTH, setup=_a_file_all_may_write, user=USER),
    fails("utimes", EACCES, "/file", NULL, user=USER, label="the present, by who may not write"),
    readonly_failure("utimes", "/dir", BOTH),

    ok("futimesat", AT_FDCWD, "/file", BOTH, returns=0, rpcs=["fsx.lookup", *SET],
       check=_times("/file", NS + 2000, 3 * NS + 4000)),
    ok("futimesat", lambda guest: (open_file(guest), NULL, BOTH), returns=0, rpcs=SET, unfaulted=UNTOUCHED,
       check=_times("/file", NS + 2000, 3 * NS + 4000), label="of an open file"),
    ok("futimesat", lambda guest: (open_file(guest), NULL, NULL), returns=0, rpcs=[*NOW, *SET],
       unfaulted=UNTOUCHED, label="of an open file, the present"),
    ok("futimesat", AT_FDCWD, "/file", NULL, returns=0, rpcs=["fsx.lookup", *NOW, *SET], label="the present"),
    *at_failures("futimesat", BOTH),
    fails("futimesat", EBADF, 99, NULL, BOTH, rpcs=[], label="no path"),
    fails("futimesat", EFAULT, AT_FDCWD, NULL, BOTH, rpcs=[], label="no path to a current directory"),
    fails("futimesat", EINVAL, 99, NULL, TOO_MANY_US, rpcs=[]),
    fails("futimesat", EPERM, AT_FDCWD, "/common", BOTH, setup=_a_file_all_may_write, user=USER),
    fails("futimesat", EACCES, AT_FDCWD, "/file", NULL, user=USER, label="the present, by who may not write"),
    readonly_failure("futimesat", AT_FDCWD, "/dir", BOTH),
]  # fmt: skip

CASES = [*MODE_CASES, *OWNER_CASES, *TIME_CASES]


@pytest.mark.linuxemu(root="memfs", strict_ipc=[False, True])
@proves("utimensat", SUCCESS)
def test_times_beyond_what_file_systems_keep_become_the_nearest(guest: Guest) -> None:
    guest.files.write("/file")
    guest.syscall.utimensat(AT_FDCWD, "/file", two((-(1 << 62), 0), (1 << 62, 0)), 0)
    found = stat_of(guest, "/file")
    assert (found.st_atime, found.st_mtime) == (-(1 << 63) // NS, ((1 << 63) - 1) // NS)


@pytest.mark.linuxemu(root="memfs")
@proves("utimensat", SUCCESS, rpcs=["fsx.lookup", "clock.gettime", "fsx.getattr", "fsx.setattr"])
@proves("utime", SUCCESS, rpcs=["fsx.lookup", "clock.gettime", "fsx.getattr", "fsx.setattr"])
def test_the_present_is_the_time_of_the_clock(guest: Guest) -> None:
    guest.files.write("/file")
    guest.clock.advance(s=1000)
    guest.syscall.utimensat(AT_FDCWD, "/file", PRESENT, 0)
    assert guest.clock.realtime_ns // NS == stat_of(guest, "/file").st_mtime
    guest.clock.advance(s=1000)
    guest.syscall.utime("/file", NULL)
    assert guest.clock.realtime_ns // NS == stat_of(guest, "/file").st_atime


@pytest.mark.linuxemu(root="memfs")
@proves("fchmod", EROFS, rpcs=[])
@proves("fchown", EROFS, rpcs=[])
@proves("utimensat", EROFS, rpcs=[])
def test_a_file_that_was_open_when_its_file_system_became_read_only(guest: Guest) -> None:
    guest.files.write("/file")
    fd = guest.syscall.open("/file", 0)
    guest.syscall.mount("none", "/", NULL, MS_REMOUNT | MS_RDONLY, 0)
    assert guest.start.fchmod(fd, 0o600).errno == EROFS
    assert guest.start.fchown(fd, 1, 1).errno == EROFS
    assert guest.start.utimensat(fd, NULL, BOTH, 0).errno == EROFS


@proves("fchmod", EROFS)
@proves("chown", EROFS)
@proves("utimensat", EROFS)
def test_a_server_that_knows_paths_only_keeps_no_attributes(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/x")).reply(handle=3)
    fd = guest.syscall.open("/x", 0)
    guest.fs.expect(fs.Stat(path="/x")).reply(size=5).times(5)
    assert guest.start.fchmod(fd, 0o600).errno == EROFS
    assert guest.start.chown("/x", 1, 1).errno == EROFS
    assert guest.start.utimensat(AT_FDCWD, "/x", BOTH, 0).errno == EROFS


@pytest.mark.linuxemu(root="memfs")
@proves("chmod", EIO, rpcs=["fsx.lookup", "fsx.getattr", "fsx.setattr"])
@proves("chown", EIO, rpcs=["fsx.lookup", "fsx.getattr", "fsx.setattr"])
def test_the_server_fails_when_all_checks_are_done(guest: Guest) -> None:
    guest.files.write("/file")
    guest.fs.expect(fsx.Setattr, mode=0o600).error(EIO)
    assert guest.start.chmod("/file", 0o600).errno == EIO
    guest.fs.expect(fsx.Setattr, uid=5, gid=6).error(EIO)
    assert guest.start.chown("/file", 5, 6).errno == EIO
