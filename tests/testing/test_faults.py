"""Faults in the harness: rules for a guest's servers, servers that die under its calls."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linuxemu.messages import fs
from linuxemu.testing import Guest, Out, ProgramRunner
from syscalls.abi.errno import EIO
from syscalls.abi.flags import CLOCK_REALTIME, O_CREAT, O_RDWR
from syscalls.abi.structs import Timespec


@pytest.mark.linuxemu(root="memfs", inject=["fs.write:error=EIO:when=2+2"])
def test_a_rule_fails_some_messages(guest: Guest) -> None:
    guest.files.write("/untouched", b"what the test does itself meets no faults")
    fd = guest.syscall.open("/f", O_RDWR | O_CREAT, 0o644)
    assert [guest.start.write(fd, b"x", 1).returned for _ in range(4)] == [1, -EIO, 1, -EIO]
    assert [(item.matched, item.fired) for item in guest.injected] == [(4, 2)]


@pytest.mark.linuxemu(inject=["fs.open:delay=30ms"])
def test_a_rule_delays_a_scripted_answer(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/f")).reply(handle=1)
    begin = guest.clock.now_ns
    guest.syscall.open("/f")
    assert guest.clock.now_ns - begin == 30_000_000


@pytest.mark.parametrize("kill", ["kill", "kill=after"])
@pytest.mark.parametrize("message", ["fsx.lookup", "fsx.open", "fs.read", "fsx.getattr"])
def test_a_call_survives_its_file_server(new_guest: Callable[..., Guest], kill: str, message: str) -> None:
    guest = new_guest(root="memfs", inject=[f"{message}:{kill}:when=1"])
    guest.files.write("/f", b"contents")
    fd, data = guest.syscall.open("/f", O_RDWR), Out(20)
    assert guest.syscall.read(fd, data, 20) == 8
    assert data.value[:8] == b"contents"
    assert [item.fired for item in guest.injected] == [1]


@pytest.mark.parametrize("when", ["1", "1..2"])
def test_a_call_survives_its_time_server(new_guest: Callable[..., Guest], when: str) -> None:
    guest = new_guest(inject=[f"clock.gettime:kill:when={when}"])
    now = Out(Timespec)
    guest.syscall.clock_gettime(CLOCK_REALTIME, now)
    assert now.value.tv_sec * 10**9 + now.value.tv_nsec == guest.clock.realtime_ns


@pytest.mark.linuxemu(inject=["clock.gettime:kill"])
def test_a_server_that_always_dies_is_an_io_error(guest: Guest) -> None:
    assert guest.start.clock_gettime(CLOCK_REALTIME, Out(Timespec)).errno == EIO


@pytest.mark.linuxemu(inject=["task.alloc:kill:when=1"])
def test_a_fork_survives_the_task_server(guest: Guest) -> None:
    assert guest.fork().syscall.getppid() == guest.main.pid


@pytest.mark.linuxemu(inject=["fs.read:kill:when=1"])
def test_a_scripted_server_goes_on_with_its_script(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/f")).reply(handle=1)
    guest.fs.expect(fs.Open(path="/f")).reply(handle=2)
    guest.fs.expect(fs.Read(handle=2, offset=0, len=4)).reply(data=b"abcd")
    fd = guest.syscall.open("/f")
    assert guest.syscall.read(fd, Out(4), 4) == 4


def test_a_rule_for_a_program(program: ProgramRunner) -> None:
    done = program([("open", "/f", O_RDWR)], files={"/f": b""}, inject=["fsx.open:error=EIO:when=3"])
    assert done.exit_status == 0
    assert done.results("open") == [-EIO]


def test_a_wrong_rule() -> None:
    from linuxemu.inject import InjectError

    with pytest.raises(InjectError, match=r"fs\.wriet"):
        Guest(inject=["fs.wriet:error=EIO"])
