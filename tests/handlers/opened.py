"""What cases about descriptors begin with: open files of every kind, limits, full disks.

A test's first own descriptor is 3, and `opens` counts on from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.idl.codes import ERR_NOT_FOUND
from linuxemu.servers.fs.memfs import MemFs
from syscalls.abi.flags import (
    AT_FDCWD,
    F_SETFL,
    MS_RDONLY,
    MS_REMOUNT,
    O_NOATIME,
    O_NONBLOCK,
    O_RDWR,
    RLIMIT_FSIZE,
    RLIMIT_NOFILE,
    SIG_IGN,
    SIGPIPE,
    SIGXFSZ,
)
from syscalls.abi.structs import Rlimit, Sigaction
from syscalls.objects.device import CONSOLE_RDEV
from syscalls.objects.tty import Tty
from syscalls.vfs.walk import lookup
from tests.handlers.cases import pipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.messages import Message
    from linuxemu.testing import Guest

    Setup = Callable[[Guest], object]

READ_ONLY = O_NOATIME
"""Open flags with which reading is nothing but reading: no access time is set."""
READ_WRITE = O_RDWR | O_NOATIME
PIPE_SIZE = 65536


def both(*steps: Setup) -> Setup:
    """One setup after the other."""

    def setup(guest: Guest) -> None:
        for step in steps:
            step(guest)

    return setup


def opens(*files: str | tuple[str, int]) -> Setup:
    """Open files: paths, with flags if not READ_WRITE."""

    def setup(guest: Guest) -> None:
        for file in files:
            path, flags = file if isinstance(file, tuple) else (file, READ_WRITE)
            guest.syscall.open(path, flags)

    return setup


def system(guest: Guest) -> None:
    """Mount /proc, /sys and /dev."""
    guest.mount_system()


def in_system(*files: str | tuple[str, int]) -> Setup:
    """Open files of /proc, /sys or /dev."""
    return both(system, opens(*files))


def pipe_ends(flags: int = 0) -> Setup:
    """Make a pipe."""
    return lambda guest: pipe(guest, flags)


def full_pipe(guest: Guest, flags: int = 0) -> tuple[int, int]:
    """A pipe without room."""
    reader, writer = pipe(guest, flags)
    assert guest.syscall.write(writer, bytes(PIPE_SIZE), PIPE_SIZE) == PIPE_SIZE
    return reader, writer


def broken_pipe(guest: Guest) -> None:
    """3: where to write to a pipe that nobody reads; SIGPIPE is ignored."""
    ignore(guest, SIGPIPE)
    reader, writer = pipe(guest)
    guest.syscall.close(reader)
    guest.syscall.dup2(writer, reader)
    guest.syscall.close(writer)


def ignore(guest: Guest, signo: int) -> None:
    """Ignore a signal."""
    guest.syscall.rt_sigaction(signo, Sigaction(SIG_IGN, 0, 0, 0), 0, 8)


def nonblocking(guest: Guest, fd: int) -> None:
    """Set O_NONBLOCK."""
    guest.syscall.fcntl(fd, F_SETFL, O_NONBLOCK)


def event_counter(guest: Guest) -> None:
    """An eventfd that is 0 and does not wait."""
    guest.syscall.eventfd2(0, O_NONBLOCK)


def epoll(guest: Guest) -> None:
    """An epoll instance."""
    guest.syscall.epoll_create1(0)


def small_files(guest: Guest) -> None:
    """RLIMIT_FSIZE is 4, and SIGXFSZ ignored."""
    ignore(guest, SIGXFSZ)
    guest.syscall.setrlimit(RLIMIT_FSIZE, Rlimit(4, 4))


def no_descriptors(guest: Guest) -> None:
    """RLIMIT_NOFILE is used up."""
    guest.syscall.setrlimit(RLIMIT_NOFILE, Rlimit(3, 3))


def disk(guest: Guest, *, pages: int = 1, flags: int = 0, names: int = 16) -> None:
    """Mount a small file system on /dir, with a file /dir/data of one byte."""
    small = MemFs(max_bytes=pages * 4096, max_inodes=names, now_ns=lambda: guest.clock.realtime_ns)
    guest.linux.new_memfs = lambda: guest.system.kernel.add_server(small)
    guest.syscall.mount("none", "/dir", "tmpfs", 0, 0)
    guest.files.write("/dir/data", b"1", mode=0o666)
    if flags:
        guest.syscall.mount("none", "/dir", 0, MS_REMOUNT | flags, 0)


def full_disk(guest: Guest) -> None:
    """No page and no name is left in /dir; /dir/data has one."""
    disk(guest, names=2)


def read_only_disk(guest: Guest) -> None:
    """/dir is mounted read-only."""
    disk(guest, flags=MS_RDONLY)


def running(guest: Guest, path: str = "/program") -> None:
    """A program is being executed."""
    guest.system.do(lookup(guest.main.t, AT_FDCWD, path.encode())).inode.deny_write += 1


def exclusive_terminal(guest: Guest) -> None:
    """/console is a terminal that somebody has for himself (TIOCEXCL)."""
    tty = guest.linux.console.tty = Tty(guest.linux.console, [1, 2])
    tty.exclusive = True
    guest.files.mknod("/console", 0o020666, CONSOLE_RDEV)


def ended_process(guest: Guest, name: str, flags: int = 0) -> None:
    """Open a file of /proc/PID of a process that is gone."""
    guest.mount_system()
    child = guest.fork()
    guest.syscall.open(f"/proc/{child.pid}/{name}", flags)
    child.syscall.exit_group(0)
    guest.syscall.wait4(child.pid, 0, 0, 0)


def closed_fdinfo(guest: Guest) -> None:
    """3: /proc/self/fdinfo/4, which has been closed."""
    guest.mount_system()
    guest.syscall.open("/file", 0)
    guest.syscall.dup2(3, 4)
    guest.syscall.close(3)
    guest.syscall.open("/proc/self/fdinfo/4", 0)
    guest.syscall.close(4)


def other_process(guest: Guest) -> None:
    """Process 3 is somebody else's."""
    guest.mount_system()
    assert guest.process(uid=2000, gid=2000).pid == 3


def lost_handle(kind: type[Message]) -> Setup:
    """3: /file, of whose handle the server knows nothing when it is used with a kind of message."""

    def setup(guest: Guest) -> None:
        guest.syscall.open("/file", READ_WRITE)
        guest.fs.expect(kind).error(ERR_NOT_FOUND)

    return setup
