"""eventfd, eventfd2 (man 2 eventfd)."""

from __future__ import annotations

from linuxemu.testing import Guest
from syscalls.abi.errno import EINVAL, EMFILE
from syscalls.abi.flags import EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE, RLIMIT_NOFILE
from syscalls.abi.structs import Rlimit
from tests.handlers.cases import Out, fails, ok


def _no_descriptors(guest: Guest) -> None:
    guest.syscall.setrlimit(RLIMIT_NOFILE, Rlimit(3, 3))


CASES = [
    ok("eventfd", 7, returns=3, rpcs=[]),
    fails("eventfd", EMFILE, 0, setup=_no_descriptors, rpcs=[]),
    ok("eventfd2", 7, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE, returns=3, rpcs=[]),
    fails("eventfd2", EINVAL, 0, 0x10, rpcs=[]),
    fails("eventfd2", EMFILE, 0, 0, setup=_no_descriptors, rpcs=[]),
]


def test_what_was_written_is_read(guest: Guest) -> None:
    fd, value = guest.syscall.eventfd2(5, 0), Out("<Q")
    guest.syscall.write(fd, (2).to_bytes(8, "little"), 8)
    assert guest.syscall.read(fd, value, 8) == 8
    assert value.value == 7
