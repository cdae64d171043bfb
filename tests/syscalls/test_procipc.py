"""/proc/sysvipc and the limits of System V objects in /proc/sys/kernel (man 5 proc)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linuxemu.testing import NULL, Guest, InOut, Out
from syscalls.abi.errno import EINVAL, ENOSPC
from syscalls.abi.flags import IPC_CREAT, IPC_PRIVATE, IPC_RMID, O_RDONLY, O_WRONLY
from syscalls.abi.ipc import Sembuf

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1_000_000_000


@pytest.fixture
def guest(new_guest: Callable[..., Guest]) -> Guest:
    made = new_guest(root="memfs")
    made.mount_system()
    return made


def read(guest: Guest, path: str) -> bytes:
    fd, room = guest.syscall.open(path, O_RDONLY, 0), Out(4000)
    count = guest.syscall.read(fd, room, 4000)
    guest.syscall.close(fd)
    return bytes(room.value[:count])


def write(guest: Guest, name: str, text: bytes) -> int:
    """Write a setting; returns the error number."""
    fd = guest.syscall.open(f"/proc/sys/kernel/{name}", O_WRONLY, 0)
    errno: int = guest.start.write(fd, text, len(text)).errno
    guest.syscall.close(fd)
    return errno


def test_shared_memory(guest: Guest) -> None:
    number = guest.syscall.shmget(-5, 5000, IPC_CREAT | 0o640)
    at = guest.syscall.shmat(number, NULL, 0)
    guest.write(at, b"x")
    guest.syscall.shmget(IPC_PRIVATE, 1, 0)
    pid, now = guest.main.pid, guest.clock.realtime_ns // SECOND
    assert read(guest, "/proc/sysvipc/shm") == (
        b"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid"
        b"      atime      dtime      ctime                   rss                  swap\n"
        b"        -5          0   640                  5000     %d     %d      1     0     0     0     0"
        b" %d          0 %d                  4096                     0\n"
        b"         0          1     0                     1     %d     0      0     0     0     0     0"
        b"          0          0 %d                     0                     0\n"
    ) % (pid, pid, now, now, pid, now)


def test_semaphores(guest: Guest) -> None:
    number = guest.syscall.semget(0x12345678, 3, IPC_CREAT | 0o606)
    guest.syscall.semop(number, InOut(Sembuf(1, 5, 0).pack()), 1)
    now = guest.clock.realtime_ns // SECOND
    assert read(guest, "/proc/sysvipc/sem") == (
        b"       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
        b" 305419896          0   606          3     0     0     0     0 %d %d\n"
    ) % (now, now)


def test_messages(guest: Guest) -> None:
    number = guest.syscall.msgget(0x7FFF_FFF1, IPC_CREAT | 0o600)
    guest.syscall.msgsnd(number, InOut(b"\1" + bytes(7) + b"abc"), 3, 0)
    now = guest.clock.realtime_ns // SECOND
    assert read(guest, "/proc/sysvipc/msg") == (
        b"       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
        b"      stime      rtime      ctime\n"
        b"2147483633          0   600           3          1     %d     0     0     0     0     0"
        b" %d          0 %d\n"
    ) % (guest.main.pid, now, now)
    guest.syscall.msgctl(number, IPC_RMID, NULL)
    assert read(guest, "/proc/sysvipc/msg").count(b"\n") == 1


def test_limits_hold(guest: Guest) -> None:
    assert read(guest, "/proc/sys/kernel/shmmni") == b"4096\n"
    assert write(guest, "shmmni", b"1\n") == 0
    guest.syscall.shmget(IPC_PRIVATE, 1, 0)
    assert guest.start.shmget(IPC_PRIVATE, 1, 0).errno == ENOSPC
    assert write(guest, "sem", b"5 6") == 0
    assert read(guest, "/proc/sys/kernel/sem") == b"5\t6\t500\t32000\n"
    assert guest.start.semget(IPC_PRIVATE, 6, 0).errno == EINVAL
    guest.syscall.semget(IPC_PRIVATE, 5, 0)
    assert guest.start.semget(IPC_PRIVATE, 2, 0).errno == ENOSPC
    assert write(guest, "msgmax", b"2") == 0
    number = guest.syscall.msgget(IPC_PRIVATE, 0o600)
    assert guest.start.msgsnd(number, InOut(b"\1" + bytes(7) + b"abc"), 3, 0).errno == EINVAL


@pytest.mark.parametrize(
    ("name", "text"),
    [("shmmni", b"32769"), ("msgmni", b"-1"), ("msgmax", b"2147483648"), ("shmmax", b"18446744073709551616"),
     ("sem", b"1 2 3 32769"), ("sem", b"1 2 3 4 5"), ("shmall", b"much")],
)  # fmt: skip
def test_limits_that_cannot_be(guest: Guest, name: str, text: bytes) -> None:
    before = read(guest, f"/proc/sys/kernel/{name}")
    assert write(guest, name, text) == EINVAL
    assert read(guest, f"/proc/sys/kernel/{name}") == before
