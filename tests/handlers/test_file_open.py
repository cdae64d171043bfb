"""open, openat, creat, openat2 (man 2 open, man 2 openat2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.messages import fs, fsx
from linuxemu.testing import BAD, Guest, Out
from syscalls.abi.errno import (
    E2BIG,
    EACCES,
    EAGAIN,
    EBADF,
    EBUSY,
    EEXIST,
    EFAULT,
    EINTR,
    EINVAL,
    EIO,
    EISDIR,
    ELOOP,
    EMFILE,
    ENAMETOOLONG,
    ENFILE,
    ENOENT,
    ENOSPC,
    ENOTDIR,
    ENXIO,
    EOPNOTSUPP,
    EPERM,
    EROFS,
    ETXTBSY,
    EXDEV,
)
from syscalls.abi.flags import (
    AT_FDCWD,
    F_GETFD,
    F_GETFL,
    FD_CLOEXEC,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_NOATIME,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_TMPFILE,
    O_TRUNC,
    O_WRONLY,
    RESOLVE_BENEATH,
    RESOLVE_CACHED,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    SA_RESTART,
    SIGUSR1,
)
from syscalls.abi.structs import OpenHow, Stat
from tests.handlers.cases import Case, fails, ok, proves, standard_tree
from tests.handlers.opened import (
    disk,
    exclusive_terminal,
    full_disk,
    no_descriptors,
    other_process,
    read_only_disk,
    running,
    system,
)

if TYPE_CHECKING:
    from linuxemu.testing import Call

USER = (1000, 1000)
NEW = O_CREAT | O_WRONLY


def _devices(guest: Guest) -> None:
    guest.files.mknod("/socket", 0o140666)
    guest.files.mknod("/device", 0o020666, 0xEE00)
    guest.files.mknod("/tty", 0o020666, 0x500)


def _closed_directory(guest: Guest) -> None:
    guest.files.mkdir("/closed", mode=0o700)


def _handles_fail(guest: Guest) -> None:
    guest.fs.expect(fsx.Open).error(ENFILE)


def _empty_now(guest: Guest, call: Call) -> None:
    assert guest.files.read("/file") == b""


def _made(guest: Guest, call: Call) -> None:
    assert guest.files.read("/new") == b""
    assert guest.syscall.fcntl(call.returned, F_GETFD) == FD_CLOEXEC


def _is_path(guest: Guest, call: Call) -> None:
    assert guest.syscall.fcntl(call.returned, F_GETFL) & O_PATH


# What all three with flags do alike: errno, path, flags, mode, and the rest of the case.
_ALIKE: list[tuple[int, Any, int, int, dict[str, Any]]] = [
    (0, "/file", O_RDONLY, 0, {"returns": 3, "rpcs": ["fsx.lookup", "fsx.open"]}),
    (0, "/link", O_RDWR, 0, {"rpcs": ["fsx.lookup", "fsx.readlink", "fsx.lookup", "fsx.open"],
                             "label": "through a link"}),
    (0, "/dir", O_DIRECTORY, 0, {"rpcs": ["fsx.lookup", "fsx.open"], "label": "directory"}),
    (0, "/", O_RDONLY, 0, {"rpcs": ["fsx.getattr", "fsx.open"], "label": "root"}),
    (0, "/link", O_PATH | O_NOFOLLOW, 0, {"rpcs": ["fsx.lookup"], "check": _is_path, "label": "O_PATH"}),
    (0, "/file", O_WRONLY | O_TRUNC, 0, {"rpcs": ["fsx.lookup", "fsx.open", "fsx.setattr"],
                                         "check": _empty_now, "label": "O_TRUNC"}),
    (0, "/new", NEW | O_EXCL | O_CLOEXEC, 0o644,
     {"rpcs": ["fsx.lookup", "fsx.getattr", "fsx.mknod", "fsx.open"], "check": _made, "label": "O_CREAT"}),
    (0, "/dir", O_TMPFILE | O_RDWR, 0o600,
     {"rpcs": ["fsx.lookup", "fsx.getattr", "fsx.mknod", "fsx.unlink", "fsx.setattr", "fsx.open"],
      "label": "O_TMPFILE"}),
    (0, "/fifo", O_RDWR, 0, {"rpcs": ["fsx.lookup"], "label": "FIFO"}),
    (0, "/file", O_NOATIME, 0, {"user": USER, "setup": lambda guest: guest.files.write("/file", uid=1000),
                                "rpcs": ["fsx.getattr", "fsx.lookup", "fsx.open"], "label": "own, O_NOATIME"}),
    (EACCES, "/private", O_RDONLY, 0, {"user": USER, "rpcs": ["fsx.getattr", "fsx.lookup"]}),
    (EACCES, "/file", O_RDONLY | O_TRUNC, 0, {"user": USER, "label": "O_TRUNC wants to write"}),
    (EACCES, "/closed/x", O_RDONLY, 0, {"user": USER, "setup": _closed_directory, "label": "search"}),
    (EACCES, "/new", NEW, 0o644, {"user": USER, "label": "create",
                                  "rpcs": ["fsx.getattr", "fsx.lookup", "fsx.getattr"]}),
    (EACCES, "/sys/new", NEW, 0o644, {"setup": system, "label": "sysfs"}),
    (EACCES, "/proc/3/environ", O_RDONLY, 0, {"user": USER, "setup": other_process, "rpcs": ["fsx.getattr"],
                                              "label": "memory of another user"}),
    (EBUSY, "/console", O_RDWR, 0, {"user": USER, "setup": exclusive_terminal}),
    (EEXIST, "/file", NEW | O_EXCL, 0o644, {"rpcs": ["fsx.lookup"]}),
    (EEXIST, "/dangling", NEW | O_EXCL, 0o644, {"rpcs": ["fsx.lookup"], "label": "link"}),
    (EFAULT, BAD, O_RDONLY, 0, {"rpcs": []}),
    (EINVAL, BAD, O_CREAT | O_DIRECTORY, 0o644, {"rpcs": [], "label": "before the path is looked at"}),
    (EINVAL, "/dir", O_TMPFILE | O_RDONLY, 0o600, {"rpcs": [], "label": "O_TMPFILE to read"}),
    (EISDIR, "/dir", O_WRONLY, 0, {"rpcs": ["fsx.lookup"]}),
    (EISDIR, "/dir", O_CREAT, 0o644, {"rpcs": ["fsx.lookup"], "label": "O_CREAT"}),
    (EISDIR, "/new/", NEW, 0o644, {"rpcs": [], "label": "slash"}),
    (ELOOP, "/loop", O_RDONLY, 0, {}),
    (ELOOP, "/link", O_NOFOLLOW, 0, {"rpcs": ["fsx.lookup"], "label": "O_NOFOLLOW"}),
    (EMFILE, "/file", O_RDONLY, 0, {"setup": no_descriptors, "rpcs": []}),
    (EMFILE, "/new", NEW, 0o644, {"setup": no_descriptors, "rpcs": [], "label": "nothing is made"}),
    (ENAMETOOLONG, "/" + "x" * 256, O_RDONLY, 0, {"rpcs": []}),
    (ENAMETOOLONG, "/" + "x/" * 2100, O_RDONLY, 0, {"setup": no_descriptors, "rpcs": [], "label": "path"}),
    (ENFILE, "/file", O_RDONLY, 0, {"setup": _handles_fail, "rpcs": ["fsx.lookup", "fsx.open"]}),
    (ENOENT, "/none", O_RDONLY, 0, {"rpcs": ["fsx.lookup"]}),
    (ENOENT, "", O_RDONLY, 0, {"setup": no_descriptors, "rpcs": [], "label": "empty path"}),
    (ENOENT, "/dangling", O_RDWR, 0, {"rpcs": ["fsx.lookup", "fsx.readlink", "fsx.lookup"], "label": "link"}),
    (ENOSPC, "/dir/new", NEW, 0o644, {"setup": full_disk, "rpcs": ["fsx.lookup", "fsx.getattr", "fsx.mknod"]}),
    (ENOTDIR, "/file/x", O_RDONLY, 0, {"rpcs": ["fsx.lookup"]}),
    (ENOTDIR, "/file", O_DIRECTORY, 0, {"rpcs": ["fsx.lookup"], "label": "O_DIRECTORY"}),
    (ENOTDIR, "/file/", O_RDONLY, 0, {"rpcs": ["fsx.lookup"], "label": "slash"}),
    (ENXIO, "/fifo", O_WRONLY | O_NONBLOCK, 0, {"rpcs": ["fsx.lookup"]}),
    (ENXIO, "/socket", O_RDWR, 0, {"setup": _devices, "rpcs": ["fsx.lookup"], "label": "socket"}),
    (ENXIO, "/device", O_RDWR, 0, {"setup": _devices, "rpcs": ["fsx.lookup"], "label": "no driver"}),
    (ENXIO, "/tty", O_RDWR, 0, {"setup": _devices, "rpcs": ["fsx.lookup"], "label": "no terminal"}),
    (EOPNOTSUPP, "/proc", O_TMPFILE | O_RDWR, 0o600, {"setup": system}),
    (EPERM, "/file", O_NOATIME, 0, {"user": USER, "rpcs": ["fsx.getattr", "fsx.lookup"]}),
    (EROFS, "/dir/data", O_WRONLY, 0, {"setup": read_only_disk, "rpcs": ["fsx.lookup"]}),
    (EROFS, "/dir/new", NEW, 0o644, {"setup": read_only_disk, "rpcs": ["fsx.lookup"], "label": "create"}),
    (ETXTBSY, "/program", O_RDWR, 0, {"setup": running, "rpcs": ["fsx.lookup"]}),
    (ETXTBSY, "/program", O_RDONLY | O_TRUNC, 0, {"setup": running, "rpcs": ["fsx.lookup"], "label": "truncating"}),
]  # fmt: skip


def _how(flags: int, mode: int = 0, resolve: int = 0) -> OpenHow:
    return OpenHow(flags, mode, resolve)


def _alike() -> list[Case]:
    made = []
    for errno, path, flags, mode, rest in _ALIKE:
        made.append(Case("open", (path, flags, mode), errno, **rest))
        made.append(Case("openat", (AT_FDCWD, path, flags, mode), errno, **rest))
        made.append(Case("openat2", (AT_FDCWD, path, _how(flags, mode), 24), errno, **rest))
    return made


def _two_places(guest: Guest) -> None:
    guest.syscall.open("/file", O_RDONLY)
    guest.syscall.open("/dir", O_PATH)


def _tree_in_dir(guest: Guest) -> None:
    guest.files.symlink("/inner", "/dir/absolute")
    guest.files.symlink("inner", "/dir/relative")
    guest.syscall.open("/dir", O_PATH)


def _magic_links(guest: Guest) -> None:
    guest.mount_system()
    guest.syscall.open("/proc/self", O_PATH)


_CREAT = [
    ok("creat", "/new", 0o644, returns=3, rpcs=["fsx.lookup", "fsx.getattr", "fsx.mknod", "fsx.open"]),
    ok("creat", "/file", 0o644, rpcs=["fsx.lookup", "fsx.open", "fsx.setattr"], check=_empty_now, label="empties"),
    *[Case("creat", (path, 0o644), errno, **rest) for errno, path, rest in (
        (EACCES, "/private", {"user": USER, "rpcs": ["fsx.getattr", "fsx.lookup"]}),
        (EBUSY, "/console", {"user": USER, "setup": exclusive_terminal}),
        (EFAULT, BAD, {"rpcs": []}),
        (EISDIR, "/dir", {"rpcs": ["fsx.lookup"]}),
        (ELOOP, "/loop", {}),
        (EMFILE, "/new", {"setup": no_descriptors, "rpcs": []}),
        (ENAMETOOLONG, "/" + "x" * 256, {"rpcs": []}),
        (ENFILE, "/file", {"setup": _handles_fail, "rpcs": ["fsx.lookup", "fsx.open"]}),
        (ENOENT, "/none/x", {"rpcs": ["fsx.lookup"]}),
        (ENOENT, "", {"rpcs": [], "label": "empty path"}),
        (ENOSPC, "/dir/new", {"setup": full_disk}),
        (ENOTDIR, "/file/x", {"rpcs": ["fsx.lookup"]}),
        (ENXIO, "/socket", {"setup": _devices, "rpcs": ["fsx.lookup"]}),
        (EROFS, "/dir/data", {"setup": read_only_disk, "rpcs": ["fsx.lookup"]}),
        (ETXTBSY, "/program", {"setup": running, "rpcs": ["fsx.lookup"]}),
    )],
]  # fmt: skip

CASES = [
    *_alike(),
    *_CREAT,
    ok("openat", 4, "inner", O_RDONLY, rpcs=["fsx.lookup", "fsx.open"], setup=_two_places, label="in a directory"),
    ok("openat", 99, "/file", O_RDONLY, rpcs=["fsx.lookup", "fsx.open"], label="absolute path, any dirfd"),
    ok("openat", AT_FDCWD, "/file", 1 << 27 | O_RDONLY, rpcs=["fsx.lookup", "fsx.open"], label="unknown flags"),
    fails("openat", EBADF, 99, "file", O_RDONLY, rpcs=[]),
    fails("openat", ENOTDIR, 3, "file", O_RDONLY, rpcs=[], setup=_two_places, label="dirfd is a file"),
    ok("openat2", 3, "/absolute", _how(0, 0, RESOLVE_IN_ROOT), 24, setup=_tree_in_dir,
       rpcs=["fsx.lookup", "fsx.readlink", "fsx.lookup", "fsx.open"], label="RESOLVE_IN_ROOT"),
    ok("openat2", 3, "relative", _how(0, 0, RESOLVE_BENEATH), 24, setup=_tree_in_dir,
       rpcs=["fsx.lookup", "fsx.readlink", "fsx.lookup", "fsx.open"], label="RESOLVE_BENEATH"),
    ok("openat2", AT_FDCWD, "/file", bytes(32), 32, rpcs=["fsx.lookup", "fsx.open"], label="larger, zeros behind"),
    fails("openat2", E2BIG, AT_FDCWD, "/file", bytes(24) + b"\1" + bytes(7), 32, rpcs=[]),
    fails("openat2", E2BIG, AT_FDCWD, "/file", bytes(24), 4097, rpcs=[], label="more than a page"),
    fails("openat2", EAGAIN, AT_FDCWD, "/file", _how(O_RDWR | O_TRUNC, 0, RESOLVE_CACHED), 24, rpcs=[]),
    fails("openat2", EBADF, 99, "file", _how(0), 24, rpcs=[]),
    fails("openat2", EBADF, 99, "/file", _how(0, 0, RESOLVE_IN_ROOT), 24, rpcs=[], label="RESOLVE_IN_ROOT"),
    fails("openat2", ENOTDIR, 3, "x", _how(0), 24, rpcs=[], setup=_two_places, label="dirfd is a file"),
    fails("openat2", EINVAL, AT_FDCWD, BAD, _how(0), 23, rpcs=[], label="smaller than ever"),
    fails("openat2", EINVAL, AT_FDCWD, BAD, _how(1 << 40), 24, rpcs=[], label="unknown flags"),
    fails("openat2", EINVAL, AT_FDCWD, BAD, _how(0, 0, 1 << 20), 24, rpcs=[], label="unknown resolve"),
    fails("openat2", EINVAL, AT_FDCWD, BAD, _how(0, 0o644), 24, rpcs=[], label="mode without O_CREAT"),
    fails("openat2", EINVAL, AT_FDCWD, BAD, _how(NEW, 0o10000), 24, rpcs=[], label="unknown mode"),
    fails("openat2", EINVAL, AT_FDCWD, BAD, _how(O_PATH | O_RDWR), 24, rpcs=[], label="O_PATH and access"),
    fails("openat2", EINVAL, AT_FDCWD, BAD, _how(0, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT), 24, rpcs=[],
          label="two roots"),
    fails("openat2", ELOOP, AT_FDCWD, "/link", _how(0, 0, RESOLVE_NO_SYMLINKS), 24, rpcs=["fsx.lookup"],
          label="RESOLVE_NO_SYMLINKS"),
    fails("openat2", ELOOP, 3, "cwd", _how(0, 0, RESOLVE_NO_MAGICLINKS), 24, rpcs=[], setup=_magic_links,
          label="RESOLVE_NO_MAGICLINKS"),
    fails("openat2", EXDEV, 3, "absolute", _how(0, 0, RESOLVE_BENEATH), 24, setup=_tree_in_dir,
          rpcs=["fsx.lookup", "fsx.readlink"]),
    fails("openat2", EXDEV, 3, "..", _how(0, 0, RESOLVE_BENEATH), 24, rpcs=[], setup=_tree_in_dir, label="up"),
    fails("openat2", EXDEV, 3, "/file", _how(0, 0, RESOLVE_BENEATH), 24, rpcs=[], setup=_tree_in_dir,
          label="absolute"),
    fails("openat2", EXDEV, AT_FDCWD, "dir/data", _how(0, 0, RESOLVE_NO_XDEV), 24, rpcs=[], setup=disk,
          label="RESOLVE_NO_XDEV"),
    fails("openat2", EXDEV, 3, "cwd", _how(0, 0, RESOLVE_BENEATH), 24, rpcs=[], setup=_magic_links,
          label="magic link"),
]  # fmt: skip


# -- what a server of paths is asked ---------------------------------------------------------------------------------


def test_a_path_is_opened_by_one_message(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/etc/hostname")).reply(handle=7)
    fd = guest.syscall.open("/etc/hostname", O_RDONLY)
    guest.fs.expect(fs.Read(handle=7, offset=0, len=16)).reply(data=b"box\n")
    assert guest.syscall.read(fd, bytes(16), 16) == 4
    guest.fs.expect(fs.Close(handle=7))
    guest.syscall.close(fd)


@proves("open", EROFS, rpcs=["fs.open", "fs.stat", "fs.close"])
def test_a_server_of_paths_cannot_truncate(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/etc/motd")).reply(handle=7)
    guest.fs.expect(fs.Stat(path="/etc/motd")).reply(size=5)
    guest.fs.expect(fs.Close(handle=7))
    assert guest.start.open("/etc/motd", O_WRONLY | O_TRUNC).errno == EROFS


@proves("creat", 0, rpcs=["fs.stat", "fs.create", "fs.close", "fs.open"])
def test_a_server_of_paths_creates_and_opens(guest: Guest) -> None:
    guest.fs.expect(fs.Stat(path="/new")).error(ENOENT)
    guest.fs.expect(fs.Create(path="/new", exist_ok=False)).reply(handle=1)
    guest.fs.expect(fs.Close(handle=1))
    guest.fs.expect(fs.Open(path="/new")).reply(handle=2)
    assert guest.syscall.creat("/new", 0o644) == 3


@proves("openat", EIO, rpcs=["fs.open"])
def test_an_error_of_the_server_is_the_error_of_the_call(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/etc/passwd")).error(EIO)
    assert guest.start.openat(AT_FDCWD, "/etc/passwd", O_RDONLY).errno == EIO


# -- waiting for the other end of a FIFO -----------------------------------------------------------------------------

_WAITING = {
    "open": ("/fifo", O_RDONLY),
    "openat": (AT_FDCWD, "/fifo", O_RDONLY),
    "creat": ("/fifo", 0),
    "openat2": (AT_FDCWD, "/fifo", _how(O_RDONLY), 24),
}


def _begin(guest: Guest, name: str) -> Call:
    standard_tree(guest)
    call: Call = getattr(guest.start, name)(*_WAITING[name])
    assert call.blocked
    return call


def _other_end(name: str) -> int:
    return (O_RDONLY if name == "creat" else O_WRONLY) | O_NONBLOCK


@proves("open", EINTR)
@proves("openat", EINTR)
@proves("creat", EINTR)
@proves("openat2", EINTR)
@pytest.mark.linuxemu(root="memfs")
def test_a_signal_ends_the_wait_for_the_other_end(guest: Guest) -> None:
    guest.on_signal(SIGUSR1)
    standard_tree(guest)
    for name, args in _WAITING.items():
        call = getattr(guest.start, name)(*args)
        assert call.blocked
        guest.process().syscall.kill(guest.main.pid, SIGUSR1)
        assert call.errno == EINTR


@pytest.mark.parametrize("name", list(_WAITING))
@pytest.mark.linuxemu(root="memfs")
def test_the_wait_goes_on_after_a_handler_with_sa_restart(guest: Guest, name: str) -> None:
    handler = guest.on_signal(SIGUSR1, flags=SA_RESTART)
    call, other = _begin(guest, name), guest.process()
    other.syscall.kill(guest.main.pid, SIGUSR1)
    assert call.blocked
    assert handler.signals == [SIGUSR1]
    other.syscall.open("/fifo", _other_end(name))
    assert call.result == 3


@pytest.mark.linuxemu(root="memfs", user=USER)
def test_the_umask_takes_permissions_away(guest: Guest) -> None:
    guest.files.mkdir("/home", uid=1000, gid=1000)
    guest.syscall.umask(0o027)
    fd = guest.syscall.open("/home/new", NEW, 0o666)
    stat = Out(Stat)
    guest.syscall.fstat(fd, stat)
    assert stat.value.st_mode == 0o100640
    assert (stat.value.st_uid, stat.value.st_gid) == (1000, 1000)
