"""Expectations on messages, and what a test is told when they are not met."""

from __future__ import annotations

import pytest

from linuxemu.messages import clock, fs, fsx, task, tcpip, vmx
from linuxemu.servers.fs.memfs import MemFs
from linuxemu.testing import ANY, Guest, Out, UnexpectedMessage, UnmetExpectation, where
from syscalls.abi.errno import EIO, ENOENT, ENOSPC
from syscalls.abi.flags import AT_FDCWD, O_RDWR, O_WRONLY


def opened(guest: Guest, handle: int = 1) -> int:
    guest.fs.expect(fs.Open(path="/f")).reply(handle=handle)
    fd: int = guest.syscall.open("/f", O_RDWR)
    return fd


# -- matching -------------------------------------------------------------------------------------------------------


def test_wildcards_and_predicates_in_fields(guest: Guest) -> None:
    fd = opened(guest)
    guest.fs.expect(fs.Write(handle=1, offset=ANY, data=where(lambda data: len(data) == 3, "three bytes")))
    assert guest.syscall.pwrite64(fd, b"abc", 3, 77) == 3


def test_a_class_and_some_fields(guest: Guest) -> None:
    fd = opened(guest)
    guest.fs.expect(fs.Read, offset=8).reply(data=b"x")
    assert guest.syscall.pread64(fd, Out(4), 4, 8) == 1


def test_a_condition_on_the_whole_message(guest: Guest) -> None:
    fd = opened(guest)
    guest.fs.expect(fs.Read, condition=lambda m: m.offset + m.len == 12).reply(data=b"x")
    assert guest.syscall.pread64(fd, Out(4), 4, 8) == 1


def test_an_answer_made_of_the_request(guest: Guest) -> None:
    fd = opened(guest)
    guest.fs.expect(fs.Read).answer(lambda m: fs.ReadReply(b"y" * (m.len // 2)))
    assert guest.syscall.read(fd, Out(10), 10) == 5


def test_several_times(guest: Guest) -> None:
    fd = opened(guest)
    guest.fs.expect(fs.Read).times(2).reply(data=b"x")
    assert [guest.syscall.read(fd, Out(1), 1) for _ in range(2)] == [1, 1]
    with pytest.raises(UnexpectedMessage, match="it came 2 times already"):
        guest.syscall.read(fd, Out(1), 1)
    with pytest.raises(ValueError, match="expect it at least once"):
        guest.fs.expect(fs.Read).any_number().times(0)


def test_any_number_of_times_out_of_order(guest: Guest) -> None:
    guest.fs.expect(fs.Open).reply(handle=1)
    guest.fs.expect(fs.Read).any_number().reply(data=b"x")
    guest.fs.expect(fs.Close(handle=1))
    fd = guest.syscall.open("/f")
    for _ in range(3):
        guest.syscall.read(fd, Out(1), 1)
    guest.syscall.close(fd)


# -- order ----------------------------------------------------------------------------------------------------------


def test_expectations_are_met_in_order(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/a")).reply(handle=1)
    guest.fs.expect(fs.Open(path="/b")).reply(handle=2)
    with pytest.raises(UnexpectedMessage, match=r'before it: fs: fs.open\(path="/a"\) is expected'):
        guest.syscall.open("/b")
    guest.syscall.open("/a")
    guest.syscall.open("/b")


def test_any_order(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/first")).reply(handle=1)
    with guest.fs.any_order():
        guest.fs.expect(fs.Open(path="/a")).reply(handle=2)
        guest.fs.expect(fs.Open(path="/b")).reply(handle=3)
    guest.fs.expect(fs.Open(path="/last")).reply(handle=4)
    for path in ("/first", "/b", "/a", "/last"):
        guest.syscall.open(path)


def test_any_order_ends_with_its_block(guest: Guest) -> None:
    with guest.fs.any_order():
        guest.fs.expect(fs.Open(path="/a")).reply(handle=2)
        guest.fs.expect(fs.Open(path="/b")).reply(handle=3)
    guest.fs.expect(fs.Open(path="/last")).reply(handle=4)
    guest.syscall.open("/b")
    with pytest.raises(UnexpectedMessage, match="before it"):
        guest.syscall.open("/last")
    guest.syscall.open("/a")
    guest.syscall.open("/last")


def test_a_sequence_across_servers(guest: Guest) -> None:
    with guest.rpc.sequence():
        guest.time.expect(clock.Gettime).reply(ns=1)
        guest.fs.expect(fs.Open(path="/a")).reply(handle=1)
    with pytest.raises(UnexpectedMessage, match=r"before it: time: clock.gettime\(clock=ANY\) is expected"):
        guest.syscall.open("/a")
    guest.syscall.clock_gettime(0, Out(16))
    guest.syscall.open("/a")


# -- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [ENOSPC, EIO])
def test_errno_answers(guest: Guest, code: int) -> None:
    guest.fs.expect(fs.Open).error(code)
    assert guest.start.open("/f", O_WRONLY).errno == code


def test_kernel_error_words(guest: Guest) -> None:
    from linuxemu.idl.codes import ERR_NOT_FOUND

    guest.fs.expect(fs.Open).error(ERR_NOT_FOUND)
    assert guest.start.open("/f").errno == ENOENT


def test_fields_not_given_are_empty(guest: Guest) -> None:
    fd = opened(guest)
    guest.fs.expect(fs.Read)
    assert guest.syscall.read(fd, Out(4), 4) == 0


def test_a_late_answer(guest: Guest) -> None:
    guest.fs.expect(fs.Open).late(ms=20).reply(handle=1)
    begin = guest.clock.now_ns
    call = guest.start.open("/f")
    assert call.blocked
    guest.clock.advance(ms=19)
    assert call.blocked
    assert call.finish() == 3
    assert guest.clock.now_ns - begin == 20_000_000


def test_a_held_answer(guest: Guest) -> None:
    fd = opened(guest)
    held = guest.fs.expect(fs.Read).hold()
    call = guest.start.read(fd, Out(4), 4)
    assert call.blocked
    held.reply(data=b"abc")
    guest.settle()
    assert call.result == 3


def test_a_held_error(guest: Guest) -> None:
    fd = opened(guest)
    held = guest.fs.expect(fs.Read).hold()
    call = guest.start.read(fd, Out(4), 4)
    held.error(EIO)
    guest.settle()
    assert call.errno == EIO


def test_no_answer(guest: Guest) -> None:
    fd = opened(guest)
    guest.fs.expect(fs.Read).no_reply()
    assert guest.start.read(fd, Out(4), 4).blocked
    guest.clock.advance(s=1000)
    (read,) = [entry for entry in guest.rpc.log if entry.request.NAME == "fs.read"]
    assert (read.pending, str(read)) == (True, "fs: fs.read(handle=1, offset=0, len=4) -> ...")


# -- failures -------------------------------------------------------------------------------------------------------


def test_a_wrong_message_is_shown_field_by_field(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/etc/hostname")).reply(handle=3)
    with pytest.raises(UnexpectedMessage) as caught:
        guest.syscall.openat(AT_FDCWD, "/etc/hosts", 0)
    assert str(caught.value).splitlines()[:5] == [
        "fs: unexpected message",
        '  got       fs.open(path="/etc/hosts")',
        '  expected  fs: fs.open(path="/etc/hostname")',
        '            path: "/etc/hosts" instead of "/etc/hostname"',
        '  in        openat(-100, "/etc/hosts", 0) of thread 2',
    ]
    guest.syscall.openat(AT_FDCWD, "/etc/hostname", 0)


def test_another_message_is_shown_with_what_was_expected(guest: Guest) -> None:
    fd = opened(guest)
    guest.fs.expect(fsx.Fsync(handle=1, datasync=True))
    with pytest.raises(UnexpectedMessage, match=r"expected  fs: fsx.fsync\(handle=1, datasync=True\)"):
        guest.syscall.fsync(guest.syscall.dup(fd) and guest.syscall.read(fd, Out(1), 1))
    guest.syscall.fdatasync(fd)


def test_a_message_where_nothing_is_expected(guest: Guest) -> None:
    with pytest.raises(UnexpectedMessage, match="expected  nothing"):
        guest.syscall.open("/f")


def test_a_missing_message_is_shown(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/a")).times(2).reply(handle=1)
    guest.syscall.open("/a")
    with pytest.raises(UnmetExpectation) as caught:
        guest.verify()
    lines = str(caught.value).splitlines()
    assert lines[:2] == [
        "expected messages did not come:",
        '  missing   fs: fs.open(path="/a") 2 times (1 came)',
    ]
    assert 'fs: fs.open(path="/a") -> handle=1' in lines[-1]
    guest.syscall.open("/a")


def test_long_data_is_cut_in_failures(guest: Guest) -> None:
    fd = opened(guest)
    with pytest.raises(UnexpectedMessage, match=r"data=b'z+'\.\.\.\(5000\)"):
        guest.syscall.write(fd, b"z" * 5000, 5000)


# -- mistakes of the test -------------------------------------------------------------------------------------------


def test_wrong_fields_are_refused(guest: Guest) -> None:
    with pytest.raises(TypeError, match=r"fs\.open has no field 'name': it has path"):
        guest.fs.expect(fs.Open, name="/a")
    with pytest.raises(TypeError, match=r"fs\.open_reply has no field 'fd': it has handle"):
        guest.fs.expect(fs.Open).any_number().reply(fd=1)
    with pytest.raises(TypeError, match="fields go with a class"):
        guest.fs.expect(fs.Open("/a"), path="/b")
    with pytest.raises(TypeError, match="one-way message"):
        guest.fs.expect(fsx.Forget).any_number().reply()


def test_what_is_no_message_is_refused(guest: Guest) -> None:
    for wrong in ("fs.open", fs, str, 3):
        with pytest.raises(TypeError, match="is no message: expect"):
            guest.fs.expect(wrong)  # type: ignore[arg-type]


def test_a_message_of_another_server_is_refused(guest: Guest) -> None:
    with pytest.raises(TypeError, match=r"fs never gets clock\.gettime"):
        guest.fs.expect(clock.Gettime(0))
    with pytest.raises(TypeError, match=r"net never gets fs\.open"):
        guest.net.expect(fs.Open, path="/")
    guest.net.expect(tcpip.Listen).any_number()


# -- real servers behind --------------------------------------------------------------------------------------------


def test_real_servers_answer_what_is_not_expected(guest: Guest) -> None:
    guest.vm.expect(vmx.Stats()).reply(total=1000, free=10)
    info = Out(112)
    guest.syscall.sysinfo(info)
    guest.syscall.sysinfo(info)
    assert guest.rpc.log.names("vm") == ["vmx.stats", "vmx.stats"]
    assert guest.rpc.log[-1].reply != vmx.StatsReply(1000, 10)


def test_a_scripted_server_without_a_real_one(guest: Guest) -> None:
    guest.time.serve(None)
    with pytest.raises(UnexpectedMessage, match="time: unexpected message"):
        guest.syscall.clock_gettime(0, Out(16))


def test_an_own_server_behind(guest: Guest) -> None:
    guest.fs.serve(MemFs())
    guest.fs.expect(fs.Open(path="/scripted")).reply(handle=99)
    guest.syscall.open("/scripted")
    assert guest.start.open("/none").errno == ENOENT


def test_a_failing_task_server_fails_fork(guest: Guest) -> None:
    from linuxemu.idl.codes import ERR_NO_MEMORY
    from syscalls.abi.errno import ENOMEM

    guest.task.expect(task.Alloc).error(ERR_NO_MEMORY)
    assert guest.start.fork().errno == ENOMEM


def test_ignored_messages(guest: Guest) -> None:
    guest.fs.ignore(fs.Close)
    guest.syscall.close(opened(guest))
    assert guest.rpc.log.names("fs") == ["fs.open", "fs.close"]


# -- the log --------------------------------------------------------------------------------------------------------


def test_the_log_tells_what_a_call_became(guest: Guest) -> None:
    fd = opened(guest)
    guest.fs.expect(fs.Read).reply(data=b"ab")
    guest.syscall.read(fd, Out(2), 2)
    (trap,) = guest.rpc.log.calls("read")
    assert trap.tid == guest.main.tid
    assert [str(entry) for entry in guest.rpc.log.during(trap)] == [
        "fs: fs.read(handle=1, offset=0, len=2) -> data=b'ab'"
    ]
    assert guest.rpc.log.names() == ["fs.open", "fs.read"]
    assert str(guest.rpc.log).splitlines()[-1].startswith("fs: fs.read")
    guest.rpc.clear()
    assert guest.rpc.log.to() == []
    assert [*guest.rpc.log[:]] == []
