from __future__ import annotations

from linuxemu.messages import fs
from linuxemu.testing import ANY, Guest, Out
from syscalls.abi.flags import O_RDONLY


def test_wrong_message(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/data")).reply(handle=5)
    guest.fs.expect(fs.Read(handle=5, offset=ANY, len=512)).reply(data=b"x")
    fd = guest.syscall.open("/data", O_RDONLY)
    guest.syscall.read(fd, Out(4096), 4096)


def test_missing_message(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/data")).reply(handle=5)
