"""stat and its relatives (man 2 stat, man 2 statx)."""

from __future__ import annotations

from linuxemu.testing import BAD, Call, Guest
from syscalls.abi.errno import EACCES, EFAULT, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR
from syscalls.abi.structs import Stat
from tests.handlers.cases import Out, fails, ok

STAT = Out(Stat)


def _is_the_file(guest: Guest, call: Call) -> None:
    assert (STAT.value.st_size, STAT.value.st_mode) == (8, 0o100644)


def _closed_directory(guest: Guest) -> None:
    guest.files.mkdir("/closed", mode=0o700)


CASES = [
    ok("stat", "/file", STAT, returns=0, rpcs=["fsx.lookup"], check=_is_the_file),
    ok("stat", "/link", STAT, returns=0, rpcs=["fsx.lookup", "fsx.readlink", "fsx.lookup"], check=_is_the_file,
       label="through a link"),
    fails("stat", ENOENT, "/none", STAT, rpcs=["fsx.lookup"]),
    fails("stat", ENOENT, "", STAT, rpcs=[], label="empty path"),
    fails("stat", ENOTDIR, "/file/x", STAT, rpcs=["fsx.lookup"]),
    fails("stat", ELOOP, "/loop", STAT),
    fails("stat", ENAMETOOLONG, "/" + "x" * 256, STAT, rpcs=[]),
    fails("stat", EACCES, "/closed/x", STAT, setup=_closed_directory, user=(1000, 1000)),
    fails("stat", EFAULT, BAD, STAT, rpcs=[]),
]  # fmt: skip
