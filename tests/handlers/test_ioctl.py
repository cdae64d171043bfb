"""ioctl on files, pipes and devices (man 2 ioctl, man 2 ioctl_fionread, man 4 random)."""

from __future__ import annotations

import struct
from collections.abc import Callable

from linuxemu.testing import BAD, Call, Guest
from syscalls.abi import flags
from syscalls.abi.errno import EBADF, EFAULT, EINVAL, EISDIR, ENOTTY, EOPNOTSUPP, EPERM, EXDEV
from syscalls.abi.flags import (
    F_GETFD,
    F_GETFL,
    F_SETOWN,
    FD_CLOEXEC,
    FICLONE,
    FICLONERANGE,
    FIGETBSZ,
    FIOASYNC,
    FIOCLEX,
    FIONBIO,
    FIONCLEX,
    FIONREAD,
    FIOQSIZE,
    O_APPEND,
    O_ASYNC,
    O_CLOEXEC,
    O_DIRECT,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    S_IFCHR,
    SEEK_SET,
    SIGIO,
    TCGETS,
    TIOCGWINSZ,
)
from syscalls.objects.device import makedev
from tests.handlers.cases import SUCCESS, Edge, Out, fails, ok, open_file, pipe, proves, recorded
from tests.handlers.pathcases import USER

NUMBER = Out("<i", b"\x55")
SIZE = Out("<q", b"\x55")
ON, OFF = (1).to_bytes(4, "little"), bytes(4)
UNKNOWN = 0x1234_5678
RNDGETENTCNT, RNDADDTOENTCNT, RNDADDENTROPY, RNDRESEEDCRNG = 0x8004_5200, 0x4004_5201, 0x4008_5203, 0x5207


def _file(*args: object, flags: int = 2) -> Callable[[Guest], tuple[object, ...]]:
    """Arguments: /file opened, and these."""
    return lambda guest: (open_file(guest, "/file", flags), *args)


def _dir(*args: object) -> Callable[[Guest], tuple[object, ...]]:
    return lambda guest: (open_file(guest, "/dir", 0), *args)


def _pipe(*args: object, end: int = 0) -> Callable[[Guest], tuple[object, ...]]:
    """The same with an end of a pipe in which five bytes are."""

    def arguments(guest: Guest) -> tuple[object, ...]:
        ends = pipe(guest)
        guest.syscall.write(ends[1], b"bytes", 5)
        return (ends[end], *args)

    return arguments


def _device(minor: int, *args: object) -> Callable[[Guest], tuple[object, ...]]:
    """The same with a device of major 1."""

    def arguments(guest: Guest) -> tuple[object, ...]:
        guest.files.mknod("/device", S_IFCHR | 0o666, makedev(1, minor))
        return (guest.syscall.open("/device", 2), *args)

    return arguments


def _at(position: int, *args: object) -> Callable[[Guest], tuple[object, ...]]:
    def arguments(guest: Guest) -> tuple[object, ...]:
        fd = open_file(guest)
        guest.syscall.lseek(fd, position, SEEK_SET)
        return (fd, *args)

    return arguments


def _clone(
    flags: int = O_RDWR, source_flags: int = O_RDWR, whole: bool = True
) -> Callable[[Guest], tuple[object, ...]]:
    """Arguments: /file is to share the blocks of another open file, which is /file as well."""

    def arguments(guest: Guest) -> tuple[object, ...]:
        source = open_file(guest, "/file", source_flags)
        some = struct.pack("<qQQQ", source, 0, 8, 0)
        return (open_file(guest, "/file", flags), FICLONE if whole else FICLONERANGE, source if whole else some)

    return arguments


def _number(value: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert NUMBER.value == value

    return check


def _descriptor(flags: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert guest.syscall.fcntl(3, F_GETFD) == flags

    return check


def _status(bit: int, on: bool) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert bool(guest.syscall.fcntl(3, F_GETFL) & bit) is on

    return check


CASES = [
    ok("ioctl", _file(FIOCLEX), returns=0, rpcs=[], check=_descriptor(FD_CLOEXEC)),
    ok("ioctl", _file(FIONCLEX, BAD, flags=O_CLOEXEC), returns=0, rpcs=[], check=_descriptor(0)),
    ok("ioctl", _file(FIONBIO, ON), returns=0, rpcs=[], check=_status(O_NONBLOCK, True)),
    ok("ioctl", _file(FIONBIO, OFF, flags=O_NONBLOCK), returns=0, rpcs=[], check=_status(O_NONBLOCK, False),
       label="waiting again"),
    ok("ioctl", _pipe(FIOASYNC, ON), returns=0, rpcs=[], check=_status(O_ASYNC, True)),
    ok("ioctl", _file(FIOASYNC, OFF), returns=0, rpcs=[], label="no signals, as before"),
    ok("ioctl", _pipe(FIONREAD, NUMBER), returns=0, rpcs=[], check=_number(5), label="bytes in a pipe"),
    ok("ioctl", _pipe(FIONREAD, Edge(NUMBER), end=1), returns=0, rpcs=[], check=_number(5),
       label="bytes in a pipe asked at the other end"),
    ok("ioctl", _file(FIONREAD, NUMBER), returns=0, rpcs=["fsx.getattr"], check=_number(8), label="bytes of a file"),
    ok("ioctl", _at(20, FIONREAD, NUMBER), returns=0, rpcs=["fsx.getattr"], check=_number(-12),
       label="bytes beyond the end"),
    ok("ioctl", _file(FIOQSIZE, SIZE), returns=0, rpcs=["fsx.getattr"], label="size"),
    ok("ioctl", _dir(FIOQSIZE, SIZE), returns=0, rpcs=["fsx.getattr"], label="size of a directory"),
    ok("ioctl", _file(FIGETBSZ, NUMBER), returns=0, rpcs=["fsx.getattr"], check=_number(4096), label="block size"),
    ok("ioctl", _pipe(FIGETBSZ, NUMBER), returns=0, rpcs=["clock.gettime"], check=_number(4096),
       label="block size of a pipe"),
    ok("ioctl", _device(8, RNDGETENTCNT, NUMBER), returns=0, rpcs=[], check=_number(256), label="RNDGETENTCNT"),
    ok("ioctl", _device(9, RNDADDTOENTCNT, OFF), returns=0, rpcs=[], label="RNDADDTOENTCNT"),

    fails("ioctl", EBADF, 99, FIOCLEX, rpcs=[]),
    fails("ioctl", EBADF, 99, UNKNOWN, BAD, rpcs=[], label="before all else"),
    fails("ioctl", EBADF, _file(FIOCLEX, flags=O_PATH), rpcs=[], label="O_PATH"),
    fails("ioctl", EBADF, lambda guest: (open_file(guest, "/link", O_PATH | O_NOFOLLOW), FIOQSIZE, SIZE), rpcs=[],
          label="a link"),
    fails("ioctl", EFAULT, _file(FIONBIO, BAD), rpcs=[], label="FIONBIO"),
    fails("ioctl", EFAULT, _file(FIOASYNC, BAD), rpcs=[], label="FIOASYNC, before ENOTTY"),
    fails("ioctl", EFAULT, _file(FIONREAD, BAD), rpcs=["fsx.getattr"], label="FIONREAD"),
    fails("ioctl", EFAULT, _pipe(FIONREAD, BAD), rpcs=[], label="FIONREAD of a pipe"),
    fails("ioctl", EFAULT, _file(FIOQSIZE, BAD), rpcs=["fsx.getattr"], label="FIOQSIZE"),
    fails("ioctl", EFAULT, _file(FIGETBSZ, BAD), rpcs=["fsx.getattr"], label="FIGETBSZ"),
    fails("ioctl", EFAULT, _device(8, RNDGETENTCNT, BAD), rpcs=[], label="RNDGETENTCNT"),
    fails("ioctl", EFAULT, _device(8, RNDADDTOENTCNT, BAD), rpcs=[], label="RNDADDTOENTCNT"),
    fails("ioctl", EINVAL, _device(8, RNDADDTOENTCNT, b"\xff" * 4), rpcs=[]),
    fails("ioctl", EINVAL, _device(8, RNDADDENTROPY, b"\xff" * 8), rpcs=[], label="RNDADDENTROPY"),
    fails("ioctl", EPERM, _device(8, RNDADDTOENTCNT, BAD), user=USER, rpcs=[]),
    fails("ioctl", EPERM, _device(8, RNDADDENTROPY, BAD), user=USER, rpcs=[], label="RNDADDENTROPY"),
    fails("ioctl", EPERM, _device(8, RNDRESEEDCRNG), user=USER, rpcs=[], label="RNDRESEEDCRNG"),
    fails("ioctl", EOPNOTSUPP, _clone(), rpcs=[]),
    fails("ioctl", EOPNOTSUPP, _clone(whole=False), rpcs=[], label="FICLONERANGE"),
    fails("ioctl", EBADF, _file(FICLONE, 99), rpcs=[], label="FICLONE of nothing"),
    fails("ioctl", EBADF, _clone(source_flags=O_WRONLY), rpcs=[], label="FICLONE of what cannot be read"),
    fails("ioctl", EBADF, _clone(flags=O_RDONLY), rpcs=[], label="FICLONE to what cannot be written"),
    fails("ioctl", EBADF, _clone(flags=O_RDWR | O_APPEND), rpcs=[], label="FICLONE to what is appended to"),
    fails("ioctl", EISDIR, lambda guest: (open_file(guest), FICLONE, open_file(guest, "/dir", 0)), rpcs=[]),
    fails("ioctl", EXDEV, lambda guest: (open_file(guest), FICLONE, pipe(guest)[0]), rpcs=[]),
    fails("ioctl", EINVAL, lambda guest: (pipe(guest)[1], FICLONE, pipe(guest)[0]), rpcs=[], label="FICLONE of a pipe"),
    fails("ioctl", EFAULT, _file(FICLONERANGE, BAD), rpcs=[], label="FICLONERANGE"),
    fails("ioctl", ENOTTY, _file(TCGETS, BAD), rpcs=[]),
    fails("ioctl", ENOTTY, _file(UNKNOWN, BAD), rpcs=[], label="unknown"),
    fails("ioctl", ENOTTY, _file(FIOASYNC, ON), rpcs=[], label="nobody waits for a file"),
    fails("ioctl", ENOTTY, _pipe(FIOQSIZE, BAD), rpcs=[], label="a pipe has no size"),
    fails("ioctl", ENOTTY, _pipe(TIOCGWINSZ, BAD), rpcs=[], label="a pipe has no window"),
    fails("ioctl", ENOTTY, _dir(FIONREAD, BAD), rpcs=[], label="a directory is not read"),
    fails("ioctl", ENOTTY, _device(3, TCGETS, BAD), rpcs=[], label="the null device"),
    *(fails("ioctl", ENOTTY, made(getattr(flags, name), BAD), rpcs=[], check=recorded(f"ioctl: {name}"), label=name)
      for made in (_file, _dir)
      for name in ("FS_IOC_GETFLAGS", "FS_IOC_FSGETXATTR", "FS_IOC_FIEMAP", "FIFREEZE")),
    *(fails("ioctl", ENOTTY, _file(getattr(flags, name), BAD), rpcs=[], check=recorded(f"ioctl: {name}"), label=name)
      for name in ("FIBMAP", "FS_IOC_RESVSP64")),
    *(fails("ioctl", ENOTTY, made(command, BAD), rpcs=[], check=recorded(), label="Linux refuses it, too")
      for made, command in (
          (_file, TCGETS), (_file, UNKNOWN), (_file, flags.TIOCCONS), (_dir, FIONREAD), (_dir, flags.FIBMAP),
          (_pipe, flags.FS_IOC_GETFLAGS))),
]  # fmt: skip


@proves("ioctl", SUCCESS, rpcs=[])
def test_fioasync_asks_for_sigio(guest: Guest) -> None:
    handler = guest.on_signal(SIGIO)
    reader, writer = pipe(guest)
    guest.syscall.fcntl(reader, F_SETOWN, guest.main.pid)
    guest.syscall.ioctl(reader, FIOASYNC, ON)
    guest.syscall.ioctl(reader, FIOASYNC, ON)
    guest.syscall.write(writer, b"x", 1)
    assert handler.signals == [SIGIO]
    guest.syscall.ioctl(reader, FIOASYNC, OFF)
    guest.syscall.write(writer, b"x", 1)
    assert handler.signals == [SIGIO]


@proves("ioctl", SUCCESS, rpcs=[])
def test_packets_count_in_bytes(guest: Guest) -> None:
    reader, writer = pipe(guest, O_DIRECT)
    guest.syscall.write(writer, b"one", 3)
    guest.syscall.write(writer, b"four", 4)
    guest.syscall.ioctl(reader, FIONREAD, NUMBER)
    assert NUMBER.value == 7
