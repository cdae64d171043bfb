"""Listing, the current directory, the root directory (man 2 getdents, getcwd, chdir, chroot)."""

from __future__ import annotations

from struct import unpack_from
from typing import TYPE_CHECKING

import pytest

from linuxemu.messages import fsx
from linuxemu.testing import BAD, Guest, SyscallError
from syscalls.abi.errno import (
    EACCES,
    EBADF,
    EFAULT,
    EINVAL,
    EIO,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    EOPNOTSUPP,
    EPERM,
    ERANGE,
)
from syscalls.abi.flags import (
    MNT_DETACH,
    MS_NODIRATIME,
    MS_REMOUNT,
    O_DIRECTORY,
    O_NOATIME,
    O_PATH,
    SEEK_CUR,
    SIGUSR1,
)
from tests.handlers.cases import SUCCESS, Edge, Out, fails, ok, open_file, pipe, proves
from tests.handlers.namecases import LOOKUP, USER, in_removed_directory, mounted, walk_failures

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from linuxemu.testing import Call

# -- listing --------------------------------------------------------------------------------------------------

ROOM = Out(4096)
LIST = ["fsx.getattr", "clock.gettime", "fsx.setattr", "fsx.readdir"]
"""The first listing of a directory changes its access time."""
LISTS = ("getdents64", "getdents")


def names(call: str, records: bytes) -> list[bytes]:
    """The names in the records of a listing."""
    found = []
    while records:
        length = unpack_from("<16xH", records)[0]
        name = records[19:length] if call == "getdents64" else records[18 : length - 1]
        found.append(name.rstrip(b"\0"))
        records = records[length:]
    return found


def _opened(path: str = "/dir", flags: int = O_DIRECTORY, room: Any = ROOM, size: int = 4096) -> Callable[[Guest], Any]:
    return lambda guest: (open_file(guest, path, flags), room, size)


def _is_dir(guest: Guest, call: Call) -> None:
    name = "getdents64" if "64" in call.text else "getdents"
    assert names(name, ROOM.value[: call.returned]) == [b".", b"..", b"inner"]
    assert guest.syscall.lseek(3, 0, SEEK_CUR) > 2


def _listed(guest: Guest) -> tuple[Any, ...]:
    """A directory at the end of its listing."""
    fd = open_file(guest, "/dir", O_DIRECTORY)
    guest.syscall.getdents64(fd, ROOM, 4096)
    return fd, ROOM, 4096


def _removed(guest: Guest) -> tuple[Any, ...]:
    guest.files.mkdir("/gone")
    fd = open_file(guest, "/gone", O_DIRECTORY)
    guest.syscall.rmdir("/gone")
    return fd, ROOM, 4096


def _position_is_kept(guest: Guest, call: Call) -> None:
    assert guest.syscall.lseek(3, 0, SEEK_CUR) == 0


def _nodiratime(guest: Guest) -> None:
    guest.syscall.mount(0, "/", 0, MS_REMOUNT | MS_NODIRATIME, 0)


_TIME = "a time that cannot be set keeps nobody from reading"

CASES = [
    case
    for name in LISTS
    for case in (
        ok(name, _opened(), returns=80, rpcs=LIST, survives_eio=_TIME, check=_is_dir),
        ok(name, _opened(flags=O_DIRECTORY | O_NOATIME), rpcs=["fsx.readdir"], check=_is_dir, label="no access time"),
        ok(name, _opened(), setup=_nodiratime, rpcs=["fsx.readdir"], label="no access times of directories"),
        ok(name, _opened(room=Edge(Out(80)), size=80), returns=80, rpcs=LIST, survives_eio=_TIME,
           label="room that is just enough"),
        ok(name, _opened(room=Out(79), size=79), returns=48, rpcs=LIST, survives_eio=_TIME, label="room for some"),
        ok(name, _opened(room=Edge(Out(79)), size=4096), returns=48, rpcs=LIST, survives_eio=_TIME,
           label="memory for some"),
        ok(name, _listed, returns=0, rpcs=["fsx.readdir"], label="at the end"),
        ok(name, lambda guest: (*_listed(guest)[:1], BAD, 4096), returns=0, rpcs=["fsx.readdir"],
           unfaulted=("dirp: at the end there is nothing to write",), label="at the end nothing is written"),
        ok(name, _opened(), setup=mounted("sysfs"), rpcs=[], label="in sysfs"),
        fails(name, EBADF, 99, ROOM, 4096, rpcs=[]),
        fails(name, EBADF, _opened(flags=O_PATH), rpcs=[], label="O_PATH"),
        fails(name, ENOTDIR, _opened("/file", 0, BAD), rpcs=[]),
        fails(name, ENOTDIR, lambda guest: (pipe(guest)[0], BAD, 4096), rpcs=[], label="pipe"),
        fails(name, ENOENT, _removed, rpcs=[]),
        fails(name, EINVAL, _opened(size=23), rpcs=LIST, check=_position_is_kept),
        fails(name, EINVAL, _opened(size=0x8000_0000), label="size is no int"),
        fails(name, EFAULT, _opened(room=Edge(Out(10))), rpcs=LIST, check=_position_is_kept),
        fails(name, EOPNOTSUPP, _opened("/"), root="fs", rpcs=[]),
    )
]  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.linuxemu(root="memfs")
def test_a_listing_goes_on_where_memory_ended(guest: Guest, name: str) -> None:
    for number in range(5):
        guest.files.write(f"/f{number}")
    fd = open_file(guest, "/", O_DIRECTORY)
    getdents = getattr(guest.syscall, name)
    seen = []
    for size in (30, 70, 24, 23, 100, 50):
        room = Out(size)
        if size == 23:
            with pytest.raises(SyscallError, match="EFAULT"):
                getdents(fd, Edge(room), 4096)
            continue
        got = getdents(fd, Edge(room), 4096)
        seen += names(name, room.value[:got])
    assert seen == [b".", b"..", *(b"f%d" % number for number in range(5))]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.linuxemu(root="memfs")
def test_two_threads_share_a_listing_in_turn(guest: Guest, name: str) -> None:
    guest.files.mkdir("/d")
    fd = open_file(guest, "/d", O_DIRECTORY | O_NOATIME)
    other = guest.thread()
    held = guest.fs.expect(fsx.Readdir).hold()
    first = getattr(guest.start, name)(fd, Out(100), 100)
    second = getattr(other.start, name)(fd, Out(100), 100)
    assert first.blocked
    assert second.blocked
    assert guest.rpc.log.names("fs").count("fsx.readdir") == 1
    held.reply()
    guest.settle()
    assert (first.result, second.result) == (48, 0)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.linuxemu(root="memfs")
def test_a_signal_does_not_show_in_a_listing_that_waits_for_another(guest: Guest, name: str) -> None:
    guest.files.mkdir("/d")
    fd = open_file(guest, "/d", O_DIRECTORY | O_NOATIME)
    other = guest.thread()
    handler = guest.on_signal(SIGUSR1)
    held = guest.fs.expect(fsx.Readdir).hold()
    first = getattr(guest.start, name)(fd, Out(100), 100)
    second = getattr(other.start, name)(fd, Out(100), 100)
    sender = guest.process()
    sender.syscall.tgkill(other.pid, other.tid, SIGUSR1)
    guest.settle()
    assert handler.signals == [SIGUSR1]
    assert second.blocked
    held.reply()
    guest.settle()
    assert (first.result, second.result) == (48, 0)


@pytest.mark.linuxemu(root="memfs")
@proves("getdents64", EIO, rpcs=["fsx.readdir"])
@proves("getdents64", SUCCESS, rpcs=["fsx.readdir"])
def test_a_listing_that_failed_begins_again(guest: Guest) -> None:
    fd = open_file(guest, "/", O_DIRECTORY | O_NOATIME)
    guest.fs.expect(fsx.Readdir).error(EIO)
    assert guest.start.getdents64(fd, ROOM, 4096).errno == EIO
    assert guest.syscall.getdents64(fd, ROOM, 4096) == 48


# -- where a process is ---------------------------------------------------------------------------------------

NAME = Out(4096, b"?")
SHORT = Out(5, b"?")


def _in_dir(guest: Guest) -> None:
    guest.syscall.chdir("/dir")


def _is(name: bytes, room: Out = NAME) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert room.value[: call.returned] == name + b"\0"
        assert set(room.value[call.returned :]) <= {ord("?")}

    return check


def _stands_in(name: bytes) -> Callable[[Guest, Call], None]:
    """A check of what the current directory is called."""

    def check(guest: Guest, call: Call) -> None:
        size = guest.syscall.getcwd(NAME, 4096)
        assert NAME.value[: size - 1] == name

    return check


def _deep(guest: Guest) -> None:
    """Stand in a directory whose name is longer than a path may be."""
    for _ in range(17):
        guest.syscall.mkdir("y" * 250, 0o755)
        guest.syscall.chdir("y" * 250)


def _outside(guest: Guest) -> None:
    """Stand in a directory that cannot be reached from the root."""
    guest.syscall.chroot("/dir")


def _detached(guest: Guest) -> None:
    mounted("tmpfs")(guest)
    guest.files.mkdir("/dir/d")
    guest.syscall.chdir("/dir/d")
    guest.syscall.umount2("/dir", MNT_DETACH)


def _closed(guest: Guest) -> None:
    guest.files.mkdir("/closed", mode=0o700)


def _root_is_dir(guest: Guest, call: Call) -> None:
    assert guest.files.read("/inner") == b"inner"
    assert guest.files.read("/../../inner") == b"inner"


CASES += [
    ok("getcwd", NAME, 4096, returns=2, rpcs=[], check=_is(b"/")),
    ok("getcwd", Edge(SHORT), 5, setup=_in_dir, returns=5, rpcs=[], check=_is(b"/dir", SHORT), label="no more room"),
    ok("getcwd", NAME, 1 << 40, setup=_in_dir, returns=5, rpcs=[], check=_is(b"/dir"), label="more room than there is"),
    ok("getcwd", NAME, 4096, setup=_outside, rpcs=[], check=_is(b"(unreachable)/"), label="outside of the root"),
    ok("getcwd", NAME, 4096, setup=_detached, rpcs=[], check=_is(b"(unreachable)/d"), label="in a detached mount"),
    fails("getcwd", ENOENT, BAD, 0, setup=in_removed_directory, rpcs=[]),
    fails("getcwd", ENAMETOOLONG, BAD, 0, setup=_deep, rpcs=[]),
    fails("getcwd", ERANGE, BAD, 4, setup=_in_dir, rpcs=[]),
    fails("getcwd", EFAULT, Edge(SHORT), 4096, setup=_outside, rpcs=[]),

    ok("chdir", "/dir", returns=0, rpcs=["fsx.lookup", "fsx.getattr"], check=_stands_in(b"/dir")),
    ok("chdir", "..", setup=_in_dir, rpcs=["fsx.getattr"], check=_stands_in(b"/"), label="up"),
    ok("chdir", "/proc", setup=lambda guest: guest.mount_system(), rpcs=[], check=_stands_in(b"/proc"), label="proc"),
    *walk_failures("chdir", ""),
    fails("chdir", ENOTDIR, "/file", rpcs=LOOKUP),
    fails("chdir", ENOENT, "/none", rpcs=LOOKUP),
    fails("chdir", EACCES, "/closed", setup=_closed, user=USER, rpcs=["fsx.getattr", "fsx.lookup", "fsx.getattr"],
          check=_stands_in(b"/")),

    ok("fchdir", lambda guest: (open_file(guest, "/dir", O_DIRECTORY),), returns=0, rpcs=["fsx.getattr"],
       check=_stands_in(b"/dir")),
    ok("fchdir", lambda guest: (open_file(guest, "/dir", O_PATH),), rpcs=["fsx.getattr"], check=_stands_in(b"/dir"),
       label="O_PATH"),
    fails("fchdir", EBADF, 99, rpcs=[]),
    fails("fchdir", EBADF, -100, rpcs=[], label="AT_FDCWD"),
    fails("fchdir", ENOTDIR, lambda guest: (open_file(guest),), rpcs=[]),
    fails("fchdir", ENOTDIR, lambda guest: (pipe(guest)[0],), rpcs=[], label="pipe"),
    fails("fchdir", EACCES, lambda guest: (open_file(guest, "/closed", O_PATH),), setup=_closed, user=USER,
          rpcs=["fsx.getattr"], check=_stands_in(b"/")),

    ok("chroot", "/dir", returns=0, rpcs=["fsx.lookup", "fsx.getattr"], check=_root_is_dir),
    *walk_failures("chroot", ""),
    fails("chroot", ENOTDIR, "/file", rpcs=LOOKUP),
    fails("chroot", EPERM, "/dir", user=USER),
    fails("chroot", EACCES, "/closed", setup=_closed, user=USER, label="closed directory"),
]  # fmt: skip


@pytest.mark.linuxemu(root="memfs")
def test_the_current_directory_is_each_process_s_own(guest: Guest) -> None:
    guest.files.mkdir("/a")
    child = guest.fork()
    guest.syscall.chdir("/a")
    assert child.syscall.getcwd(NAME, 4096) == 2
    thread = guest.thread()
    thread.syscall.chdir("/")
    assert guest.syscall.getcwd(NAME, 4096) == 2
