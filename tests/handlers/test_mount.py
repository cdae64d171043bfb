"""mount, umount2, pivot_root (man 2 mount, umount, pivot_root)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.testing import BAD, NULL, Guest
from syscalls.abi.errno import (
    EAGAIN,
    EBUSY,
    EFAULT,
    EINVAL,
    ELOOP,
    ENODEV,
    ENOENT,
    ENOSYS,
    ENOTDIR,
    EPERM,
    EROFS,
)
from syscalls.abi.flags import (
    MNT_DETACH,
    MNT_EXPIRE,
    MNT_FORCE,
    MS_BIND,
    MS_MGC_VAL,
    MS_MOVE,
    MS_NOATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
    MS_SHARED,
    MS_SILENT,
    MS_SLAVE,
    MS_STRICTATIME,
    MS_UNBINDABLE,
    O_RDONLY,
    O_WRONLY,
    S_IFDIR,
    UMOUNT_NOFOLLOW,
)
from syscalls.abi.structs import Stat
from tests.handlers.cases import SUCCESS, Edge, Out, fails, ok, open_file, pipe, proves, recorded
from tests.handlers.namecases import LOOKUP, USER, in_removed_directory, walk_failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call

NEVER = {"pivot_root": "there is one namespace"}
LINK = ["fsx.lookup", "fsx.readlink", "fsx.lookup"]
TWO = [*LOOKUP, *LOOKUP]
TMPFS = [*LOOKUP, "discovery.serve", "fsx.root", "fsx.root", "fsx.setattr"]
"""A new file server registers, is asked for its root, and that gets its owner and mode."""
CLOCK = [*LOOKUP, "clock.gettime"]
MS_NOUSER = 1 << 31


def _attributes(guest: Guest, path: str) -> tuple[int, int, int]:
    """Mode, uid and gid."""
    found = Out(Stat)
    guest.syscall.stat(path, found)
    return found.value.st_mode, found.value.st_uid, found.value.st_gid


def _root_is(mode: int, uid: int = 0, gid: int = 0) -> Callable[[Guest, Call], None]:
    """A check of what is seen of /dir, which is a mount."""

    def check(guest: Guest, call: Call) -> None:
        assert _attributes(guest, "/dir") == (S_IFDIR | mode, uid, gid)
        assert not guest.files.exists("/dir/inner")

    return check


def _flags_are(flags: int, path: bytes = b"dir") -> Callable[[Guest, Call], None]:
    """A check of the flags of the mount that covers the end of a path, or is its root."""

    def check(guest: Guest, call: Call) -> None:
        mounts = [mount for mount in guest.linux.namespace if mount.mountpoint and mount.mountpoint.name == path]
        assert [mount.flags for mount in mounts] == [flags]

    return check


def _kind_is(kind: str, entry: str = "") -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert list(guest.linux.namespace)[-1].fs.kind == kind
        assert guest.files.exists(f"/dir/{entry}")

    return check


def _mounts_are(*points: str) -> Callable[[Guest, Call], None]:
    """A check of where something is mounted, by name, in order."""

    def check(guest: Guest, call: Call) -> None:
        found = [mount.mountpoint.name.decode() for mount in guest.linux.namespace if mount.mountpoint is not None]
        assert found == list(points)

    return check


def tree(guest: Guest) -> None:
    """Mount a file system on /m, with a directory /m/d and a file /m/f; /d is an empty directory."""
    guest.files.mkdir("/m")
    guest.files.mkdir("/d")
    guest.syscall.mount("none", "/m", "tmpfs", 0, 0)
    guest.files.mkdir("/m/d")
    guest.files.write("/m/f", b"there")


def _nested(guest: Guest) -> None:
    """The same, with another one on /m/d."""
    tree(guest)
    guest.syscall.mount("none", "/m/d", "tmpfs", 0, 0)
    guest.files.write("/m/d/inside")


def _detached(guest: Guest) -> None:
    """The same as `tree`; stand in /m, which is mounted no longer."""
    tree(guest)
    guest.syscall.chdir("/m")
    guest.syscall.umount2("/m", MNT_DETACH)


def _on_dir(kind: str) -> Callable[[Guest], Any]:
    return lambda guest: guest.syscall.mount("none", "/dir", kind, 0, 0)


def _closed(guest: Guest) -> None:
    guest.files.mkdir("/closed", mode=0o700)


# -- new mounts -----------------------------------------------------------------------------------------------


def new(kind: Any, options: Any = NULL, *, at: Any = "/dir", source: Any = "none", flags: int = 0) -> tuple[Any, ...]:
    """The arguments of mount for a new file system."""
    return source, at, kind, flags, options


def _bad_options(kind: str, *options: str) -> list[Any]:
    return [
        fails("mount", EINVAL, *new(kind, text, at="/file"), rpcs=LOOKUP, label=f"{kind} {text}") for text in options
    ]


CASES = [
    ok("mount", *new("tmpfs"), returns=0, rpcs=TMPFS, check=_root_is(0o1777)),
    ok("mount", *new("tmpfs", "mode=0750,uid=5,,gid=0x10,size=1m"), rpcs=TMPFS, check=_root_is(0o750, 5, 16),
       label="options"),
    ok("mount", *new("tmpfs", "uid=+010,gid=4294967294,mode=77777"), rpcs=TMPFS, check=_root_is(0o7777, 8, 4294967294),
       label="options at their limits"),
    ok("mount", *new("tmpfs", "size=1m"), rpcs=TMPFS, check=recorded("mount: option size of tmpfs"),
       label="no limit of size"),
    ok("mount", *new("tmpfs", Edge(b"uid=7")), rpcs=TMPFS, check=_root_is(0o1777, 7), label="options at an end"),
    ok("mount", *new("tmpfs", flags=MS_MGC_VAL | MS_NOSUID), rpcs=TMPFS, check=_flags_are(MS_NOSUID | MS_RELATIME),
       label="magic number"),
    ok("mount", *new("tmpfs", flags=MS_STRICTATIME | MS_NOEXEC), rpcs=TMPFS, check=_flags_are(MS_NOEXEC),
       label="strictatime"),
    ok("mount", *new("tmpfs", source=NULL), rpcs=TMPFS, label="without a source"),
    ok("mount", *new("tmpfs"), setup=_on_dir("tmpfs"), rpcs=TMPFS[1:], check=_mounts_are("dir", "/"), label="twice"),
    ok("mount", *new("ramfs"), rpcs=TMPFS, check=_root_is(0o755)),
    ok("mount", *new("ramfs", "mode=700,uid=5,anything"), rpcs=TMPFS, check=_root_is(0o700), label="ramfs options"),
    ok("mount", *new("proc", "hidepid=2,rw"), rpcs=CLOCK, check=_kind_is("proc", "self"), label="proc"),
    ok("mount", *new("proc"), setup=_on_dir("proc"), rpcs=CLOCK[1:], check=_mounts_are("dir", "/"), label="proc twice"),
    ok("mount", *new("sysfs"), rpcs=CLOCK, check=_kind_is("sysfs", "kernel"), label="sysfs"),
    ok("mount", *new("devtmpfs"), rpcs=[*TMPFS, *["fsx.mknod"] * 8, *["fsx.symlink"] * 4, *["fsx.mkdir"] * 2],
       check=_kind_is("devtmpfs", "null"), label="devtmpfs"),
    *walk_failures("mount", *new("tmpfs"), at=1),
    *_bad_options("tmpfs", "uid=x", "uid=-1", "uid=4294967295", "gid=99999999999", "gid= 5", "uid", "mode=9"),
    *_bad_options("ramfs", "mode=9"),
    *_bad_options("proc", "mode=700", "nosuch"),
    *_bad_options("sysfs", "gid=5"),
    *_bad_options("devtmpfs", "uid=0o7"),
    fails("mount", EINVAL, *new("x" * 4096), rpcs=[], label="long type"),
    fails("mount", EINVAL, *new("tmpfs", source="x" * 4096), rpcs=[], label="long source"),
    fails("mount", EINVAL, *new(NULL), rpcs=LOOKUP, label="no type"),
    fails("mount", EINVAL, *new("tmpfs", flags=MS_NOUSER), user=USER, label="a flag of Linux itself"),
    fails("mount", EFAULT, *new("tmpfs", at=NULL), rpcs=[], label="no target"),
    fails("mount", ENOENT, *new("tmpfs", at="/none", source="x" * 4095), rpcs=LOOKUP, label="longest source"),
    fails("mount", ENODEV, *new("nosuch", at="/file"), rpcs=LOOKUP),
    fails("mount", ENODEV, *new(""), rpcs=LOOKUP, label="empty type"),
    fails("mount", ENOTDIR, *new("tmpfs", at="/file"), rpcs=LOOKUP),
    fails("mount", EBUSY, *new("sysfs"), setup=_on_dir("sysfs"), rpcs=[], check=_mounts_are("dir")),
    fails("mount", EBUSY, *new("devtmpfs"), setup=_on_dir("devtmpfs"), rpcs=[], label="devtmpfs"),
    fails("mount", EPERM, *new("nosuch", at="/file"), user=USER, rpcs=["fsx.getattr", "fsx.lookup"]),
    fails("mount", ENOENT, *new("tmpfs", at="."), setup=in_removed_directory, rpcs=[], label="on what was removed"),
    fails("mount", ENOENT, *new("tmpfs", at="d"), setup=_detached, rpcs=LOOKUP, label="in a detached mount"),
    fails("mount", EINVAL, *new("tmpfs", "uid=x", at="d"), setup=_detached, rpcs=LOOKUP, label="options come first"),
]  # fmt: skip


# -- changes of mounts ----------------------------------------------------------------------------------------


def change(flags: int, at: Any = "/m", source: Any = NULL) -> tuple[Any, ...]:
    """The arguments of mount for anything but a new file system; the others are not looked at."""
    return source, at, NULL, flags, NULL


def _written(guest: Guest) -> None:
    tree(guest)
    open_file(guest, "/m/f", O_WRONLY)


def _read(guest: Guest) -> None:
    tree(guest)
    open_file(guest, "/m/f", O_RDONLY)
    open_file(guest, "/file", O_WRONLY)


def _readonly_and_back(guest: Guest, call: Call) -> None:
    assert guest.start.mkdir("/m/new", 0o755).errno == EROFS
    guest.syscall.mount(*change(MS_REMOUNT))
    assert guest.start.mkdir("/m/new", 0o755).errno == 0


def _recorded(guest: Guest, call: Call) -> None:
    assert [missing.what for missing in guest.unsupported] == ["mount: MS_SHARED, MS_SLAVE, MS_UNBINDABLE"]


def _not_recorded(guest: Guest, call: Call) -> None:
    assert guest.unsupported == []


CASES += [
    ok("mount", *change(MS_REMOUNT | MS_RDONLY), setup=_read, returns=0, rpcs=[], check=_readonly_and_back,
       label="remount"),
    ok("mount", *change(MS_REMOUNT | MS_BIND | MS_NOATIME), setup=tree, rpcs=[], check=_flags_are(MS_NOATIME, b"m"),
       label="remount flags"),
    fails("mount", EINVAL, *change(MS_REMOUNT, "/dir"), rpcs=LOOKUP, label="remount of what is no mount"),
    fails("mount", EINVAL, *change(MS_REMOUNT, "."), setup=_detached, rpcs=[], label="remount of a detached mount"),
    fails("mount", EBUSY, *change(MS_REMOUNT | MS_RDONLY), setup=_written, rpcs=[], label="remount what is written"),
    fails("mount", EPERM, *change(MS_REMOUNT, "/dir"), user=USER, label="remount by a user"),

    ok("mount", *change(MS_PRIVATE | MS_REC | MS_SILENT), setup=tree, returns=0, rpcs=[], check=_not_recorded,
       label="private"),
    ok("mount", *change(MS_SHARED), setup=tree, rpcs=[], check=_recorded, label="shared"),
    ok("mount", *change(MS_SLAVE, "/"), rpcs=[], check=_recorded, label="slave"),
    ok("mount", *change(MS_UNBINDABLE, "/"), rpcs=[], check=_recorded, label="unbindable"),
    fails("mount", EINVAL, *change(MS_PRIVATE | MS_SLAVE), setup=tree, rpcs=[], label="two kinds of propagation"),
    fails("mount", EINVAL, *change(MS_PRIVATE | MS_RDONLY), setup=tree, rpcs=[], label="propagation and other flags"),
    fails("mount", EINVAL, *change(MS_PRIVATE, "/dir"), rpcs=LOOKUP, label="propagation of what is no mount"),
    fails("mount", EINVAL, *change(MS_PRIVATE, "."), setup=_detached, rpcs=[], label="propagation of a detached mount"),
]  # fmt: skip


# -- binding and moving ---------------------------------------------------------------------------------------


def _holds(path: str, data: bytes) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert guest.files.read(path) == data

    return check


def _shows(path: str, seen: bool) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert guest.files.exists(path) is seen

    return check


def _removed_file(guest: Guest) -> None:
    """Open a file, descriptor 3, and take its name away; /proc shows it."""
    guest.mount_system()
    guest.files.write("/gone")
    open_file(guest, "/gone")
    guest.syscall.unlink("/gone")


def _removed_and_mounted(guest: Guest) -> None:
    tree(guest)
    in_removed_directory(guest)


def bind(source: Any, at: Any, flags: int = 0) -> tuple[Any, ...]:
    """The arguments of mount for a bind mount."""
    return change(MS_BIND | flags, at, source)


def move(source: Any, at: Any) -> tuple[Any, ...]:
    """The arguments of mount for moving a mount."""
    return change(MS_MOVE, at, source)


CASES += [
    ok("mount", *bind("/m", "/dir"), setup=tree, returns=0, rpcs=LOOKUP, check=_holds("/dir/f", b"there"),
       label="bind"),
    ok("mount", *bind("/dir/inner", "/link"), rpcs=[*LINK, *TWO], check=_holds("/file", b"inner"), label="bind a file"),
    ok("mount", *bind("/m", "/dir"), setup=_nested, rpcs=LOOKUP, check=_shows("/dir/d/inside", False),
       label="bind what others are mounted in"),
    ok("mount", *bind("/m", "/dir", MS_REC), setup=_nested, rpcs=LOOKUP, check=_shows("/dir/d/inside", True),
       label="bind recursively"),
    fails("mount", EINVAL, *bind(NULL, "/dir"), rpcs=LOOKUP, label="bind nothing"),
    fails("mount", EINVAL, *bind("", "/dir"), rpcs=LOOKUP, label="bind no name"),
    fails("mount", ENOENT, *bind("/none", "/dir"), rpcs=TWO, label="bind what is not there"),
    fails("mount", ENOTDIR, *bind("/file/x", "/dir"), rpcs=TWO, label="bind what is in a file"),
    fails("mount", ELOOP, *bind("/loop", "/dir"), label="bind a loop"),
    fails("mount", EINVAL, *bind("/proc/self/fd/3", "/file"), rpcs=LOOKUP, label="bind a pipe",
          setup=lambda guest: (guest.mount_system(), pipe(guest))),
    fails("mount", EINVAL, *bind(".", "/d"), setup=_detached, rpcs=LOOKUP, label="bind what is detached"),
    fails("mount", ENOENT, *bind("/dir", "d"), setup=_detached, rpcs=TWO, label="bind into what is detached"),
    fails("mount", ENOENT, *bind(".", "/dir"), setup=in_removed_directory, rpcs=LOOKUP, label="bind what was removed"),
    fails("mount", ENOENT, *bind("/file", "/proc/self/fd/3"), setup=_removed_file, rpcs=LOOKUP,
          label="bind onto what was removed"),
    fails("mount", ENOTDIR, *bind("/file", "/dir"), rpcs=TWO, label="bind a file to a directory"),
    fails("mount", ENOTDIR, *bind("/dir", "/file"), rpcs=TWO, label="bind a directory to a file"),

    ok("mount", *move("/m", "/dir"), setup=_nested, returns=0, rpcs=LOOKUP, check=_mounts_are("d", "dir"),
       label="move"),
    ok("mount", *move("/m", "/d"), setup=_nested, rpcs=LOOKUP, check=_shows("/d/d/inside", True), label="move both"),
    fails("mount", EINVAL, *move(NULL, "/dir"), rpcs=LOOKUP, label="move nothing"),
    fails("mount", ENOENT, *move("/none", "/dir"), rpcs=TWO, label="move what is not there"),
    fails("mount", EINVAL, *move("/d", "/dir"), setup=tree, rpcs=TWO, label="move what is no mount"),
    fails("mount", EINVAL, *move("/", "/dir"), rpcs=LOOKUP, label="move the root"),
    fails("mount", EINVAL, *move(".", "/d"), setup=_detached, rpcs=LOOKUP, label="move what is detached"),
    fails("mount", ENOENT, *move("/m", "."), setup=_removed_and_mounted, rpcs=[], label="move onto what was removed"),
    fails("mount", ELOOP, *move("/m", "/m/d"), setup=tree, rpcs=LOOKUP, label="move into itself"),
]  # fmt: skip


# -- umount ---------------------------------------------------------------------------------------------------


def _linked(guest: Guest) -> None:
    tree(guest)
    guest.files.symlink("/m", "/to_m")


def _used(how: str) -> Callable[[Guest], None]:
    """A setup after which /m is in use."""

    def setup(guest: Guest) -> None:
        tree(guest)
        if how == "open":
            open_file(guest, "/m/f", O_RDONLY)
        else:
            getattr(guest.fork().syscall, how)("/m")

    return setup


def _in_m(guest: Guest) -> None:
    tree(guest)
    guest.syscall.chdir("/m")


def _expiry_recorded(guest: Guest, call: Call) -> None:
    assert [missing.what for missing in guest.unsupported] == ["umount2: MNT_EXPIRE"]


CASES += [
    ok("umount2", "/m", 0, setup=tree, returns=0, rpcs=[], check=_shows("/m/f", False)),
    ok("umount2", Edge("/to_m"), MNT_FORCE, setup=_linked, rpcs=LINK[:2], check=_mounts_are(), label="through a link"),
    ok("umount2", "/m", MNT_DETACH, setup=_nested, rpcs=[], check=_mounts_are(), label="detach with those inside"),
    ok("umount2", "/m", MNT_DETACH, setup=_in_m, rpcs=[], label="detach what is in use",
       check=lambda guest, call: guest.syscall.open("f", O_RDONLY)),
    *walk_failures("umount2", "", 0),
    fails("umount2", EINVAL, BAD, 16, rpcs=[], label="no such flag"),
    fails("umount2", EINVAL, "/dir", 0, rpcs=LOOKUP, label="what is no mount"),
    fails("umount2", EINVAL, "/to_m", UMOUNT_NOFOLLOW, setup=_linked, rpcs=LOOKUP, label="a link itself"),
    fails("umount2", EINVAL, ".", 0, setup=_detached, rpcs=[], label="detached already"),
    fails("umount2", EINVAL, "/m", MNT_EXPIRE | MNT_FORCE, setup=tree, rpcs=[], label="expire and force"),
    fails("umount2", EAGAIN, "/m", MNT_EXPIRE, setup=tree, rpcs=[], check=_expiry_recorded),
    fails("umount2", EPERM, "/dir", 0, user=USER, rpcs=["fsx.getattr", "fsx.lookup"]),
    fails("umount2", EBUSY, "/", 0, rpcs=[], label="the root"),
    fails("umount2", EBUSY, "/m", 0, setup=_nested, rpcs=[], label="another one is inside"),
    *(fails("umount2", EBUSY, "/m", MNT_FORCE, setup=_used(how), rpcs=[], label=how)
      for how in ("open", "chdir", "chroot")),

    fails("pivot_root", ENOSYS, BAD, BAD, rpcs=[],
          unfaulted=("new_root: it is not supported", "put_old: it is not supported")),
    fails("pivot_root", EPERM, BAD, BAD, user=USER, rpcs=[]),
]  # fmt: skip


@pytest.mark.linuxemu(root="memfs")
@proves("umount2", EBUSY, rpcs=[])
@proves("umount2", SUCCESS, rpcs=[])
def test_a_mount_is_free_when_its_last_file_is_closed(guest: Guest) -> None:
    tree(guest)
    fd = open_file(guest, "/m/f")
    child = guest.fork()
    for thread in (guest.main, child):
        assert guest.start.umount2("/m", 0).errno == EBUSY
        thread.syscall.close(fd)
    assert guest.syscall.umount2("/m", 0) == 0


@pytest.mark.linuxemu(root="memfs")
def test_each_tmpfs_has_files_of_its_own(guest: Guest) -> None:
    for path in ("/a", "/b"):
        guest.files.mkdir(path)
        guest.syscall.mount("none", path, "tmpfs", 0, 0)
    guest.files.write("/a/f", b"a")
    assert not guest.files.exists("/b/f")
    guest.syscall.umount2("/a", 0)
    guest.syscall.mount("none", "/a", "tmpfs", 0, 0)
    assert not guest.files.exists("/a/f")
