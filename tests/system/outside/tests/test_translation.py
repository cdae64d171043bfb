from __future__ import annotations

import pytest
from outside import sync_file_range

from linuxemu.messages import fs, fsx
from linuxemu.testing import Guest
from syscalls.abi.errno import EBADF, EINVAL, EIO
from syscalls.abi.flags import O_RDWR


@pytest.fixture
def fd(guest: Guest) -> int:
    guest.replace("sync_file_range", sync_file_range)
    guest.fs.expect(fs.Open(path="/data")).reply(handle=5)
    return guest.syscall.open("/data", O_RDWR)


def test_it_asks_the_server_to_store_the_file(guest: Guest, fd: int) -> None:
    guest.fs.expect(fsx.Fsync(handle=5, datasync=True))
    assert guest.syscall.sync_file_range(fd, 0, 100, 2) == 0


def test_the_servers_error_is_the_programs(guest: Guest, fd: int) -> None:
    guest.fs.expect(fsx.Fsync(handle=5, datasync=True)).error(EIO)
    assert guest.start.sync_file_range(fd, 0, 100, 2).errno == EIO


@pytest.mark.parametrize(("offset", "nbytes", "flags"), [(-1, 0, 0), (0, -1, 0), (0, 0, 8)])
def test_nothing_is_asked_for_wrong_arguments(guest: Guest, fd: int, offset: int, nbytes: int, flags: int) -> None:
    assert guest.start.sync_file_range(fd, offset, nbytes, flags).errno == EINVAL
    assert guest.rpc.log.names("fs") == ["fs.open"]


def test_a_closed_descriptor(guest: Guest, fd: int) -> None:
    assert guest.start.sync_file_range(fd + 1, 0, 0, 0).errno == EBADF
