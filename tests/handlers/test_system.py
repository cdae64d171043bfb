"""The system as a whole, and what is kept per task: uname to arch_prctl."""

from __future__ import annotations

from typing import Any

import pytest

from linuxemu.arch.x86_64 import USER_END
from linuxemu.messages import clock, entropy, vmx
from linuxemu.testing import BAD, NULL, Call, Edge, Guest
from syscalls.abi.errno import EFAULT, EINTR, EINVAL, EIO, ENODEV, EPERM, ESRCH
from syscalls.abi.flags import (
    ARCH_GET_CPUID,
    ARCH_GET_FS,
    ARCH_GET_GS,
    ARCH_GET_XCOMP_PERM,
    ARCH_GET_XCOMP_SUPP,
    ARCH_REQ_XCOMP_PERM,
    ARCH_SET_CPUID,
    ARCH_SET_FS,
    ARCH_SET_GS,
    FUTEX_WAIT,
    GRND_INSECURE,
    GRND_NONBLOCK,
    GRND_RANDOM,
    LINUX_REBOOT_CMD_CAD_OFF,
    LINUX_REBOOT_CMD_HALT,
    LINUX_REBOOT_CMD_POWER_OFF,
    LINUX_REBOOT_CMD_RESTART,
    LINUX_REBOOT_CMD_RESTART2,
    LINUX_REBOOT_MAGIC1,
    LINUX_REBOOT_MAGIC2,
    LINUX_REBOOT_MAGIC2C,
    SA_RESTART,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SIGUSR1,
    SYSLOG_ACTION_CLEAR,
    SYSLOG_ACTION_CONSOLE_LEVEL,
    SYSLOG_ACTION_READ,
    SYSLOG_ACTION_READ_ALL,
    SYSLOG_ACTION_READ_CLEAR,
    SYSLOG_ACTION_SIZE_BUFFER,
    SYSLOG_ACTION_SIZE_UNREAD,
)
from syscalls.abi.structs import RobustListHead, Sysinfo, Utsname
from tests.handlers.cases import Out, fails, ok, proves
from tests.handlers.interrupting import Sender

USER = (1000, 1000)
NAMES, INFO, BUFFER, LONG, SIZE = Out(Utsname), Out(Sysinfo), Out(400), Out("<Q"), Out("<Q")
CHUNK = 1 << 16
READ = ["entropy.read"]
NOBODY = 0xFFF_FFFF
UNTOUCHED = ("bufp: the log is empty",)


def _text(*fields: str) -> list[bytes]:
    return [getattr(NAMES.value, field).rstrip(b"\0") for field in fields]


def _names(nodename: bytes, domainname: bytes) -> Any:
    def check(guest: Guest, call: Call) -> None:
        guest.syscall.uname(NAMES)
        assert _text("nodename", "domainname") == [nodename, domainname]

    return check


def _is_linux(guest: Guest, call: Call) -> None:
    assert _text("sysname", "machine", "nodename") == [b"Linux", b"x86_64", b"linuxemu"]


def _is_plausible(guest: Guest, call: Call) -> None:
    info = INFO.value
    assert (info.uptime, info.procs, info.mem_unit) == (1, 1, 1)
    assert 0 < info.freeram < info.totalram


def _is_random(guest: Guest, call: Call) -> None:
    assert len(set(BUFFER.value[:300])) > 50
    assert BUFFER.value[300:] == bytes(100)


def _ended_by(signo: int) -> Any:
    def check(guest: Guest, call: Call) -> None:
        assert (call.gone, guest.main.signal) == (True, signo)

    return check


def _is_tid(guest: Guest, call: Call) -> None:
    assert call.returned == guest.main.tid


def _list_is(head: int) -> Any:
    def check(guest: Guest, call: Call) -> None:
        guest.syscall.get_robust_list(0, LONG, SIZE)
        assert (LONG.value, SIZE.value) == (head, RobustListHead.SIZE)

    return check


def _with_list(guest: Guest) -> None:
    guest.syscall.set_robust_list(0x1234_5678, RobustListHead.SIZE)


def _shows_list(guest: Guest, call: Call) -> None:
    assert (LONG.value, SIZE.value) == (0x1234_5678, RobustListHead.SIZE)


def _of_another_user(guest: Guest) -> tuple[object, ...]:
    return guest.process(uid=2000).pid, BAD, BAD


def _base(register: str, address: int) -> Any:
    def check(guest: Guest, call: Call) -> None:
        assert getattr(guest.main.regs, register) == address

    return check


def _with_bases(guest: Guest) -> None:
    guest.syscall.arch_prctl(ARCH_SET_FS, 0x1111)
    guest.syscall.arch_prctl(ARCH_SET_GS, 0x2222)


def _shows(value: int) -> Any:
    def check(guest: Guest, call: Call) -> None:
        assert LONG.value == value

    return check


def _complains(guest: Guest, call: Call) -> None:
    assert [item.what for item in guest.unsupported] == ["arch_prctl 0x1022"]


CASES = [
    ok("uname", NAMES, returns=0, rpcs=[], check=_is_linux),
    fails("uname", EFAULT, NULL, rpcs=[], label="null pointer"),
    ok("sethostname", b"boxes", 3, returns=0, rpcs=[], check=_names(b"box", b"(none)")),
    ok("sethostname", Edge(b"x" * 64), 64, returns=0, rpcs=[], check=_names(b"x" * 64, b"(none)"), label="longest"),
    fails("sethostname", EINVAL, BAD, 65, rpcs=[], label="too long"),
    fails("sethostname", EINVAL, BAD, -1, rpcs=[], label="negative"),
    fails("sethostname", EPERM, BAD, 65, user=USER, rpcs=[]),
    ok("setdomainname", b"lan\0x", 5, returns=0, rpcs=[], check=_names(b"linuxemu", b"lan")),
    ok("setdomainname", BAD, 0, returns=0, rpcs=[], check=_names(b"linuxemu", b""),
       unfaulted=("name: of no length",), label="none"),
    fails("setdomainname", EINVAL, BAD, 65, rpcs=[], label="too long"),
    fails("setdomainname", EPERM, BAD, -1, user=USER, rpcs=[]),
    ok("sysinfo", INFO, returns=0, rpcs=["vmx.stats", "clock.gettime"], check=_is_plausible),
    # -- random numbers
    ok("getrandom", BUFFER, 300, 0, returns=300, rpcs=READ, check=_is_random),
    ok("getrandom", BUFFER, 300, GRND_NONBLOCK | GRND_RANDOM, returns=300, rpcs=READ, label="random"),
    ok("getrandom", BUFFER, 300, GRND_NONBLOCK | GRND_INSECURE, returns=300, rpcs=READ, label="insecure"),
    ok("getrandom", Out(CHUNK + 1), CHUNK + 1, 0, returns=CHUNK + 1, rpcs=READ * 2, label="in two pieces"),
    ok("getrandom", Edge(Out(100)), 5000, 0, returns=100, rpcs=READ, label="to the end of memory"),
    ok("getrandom", BAD, 0, 0, returns=0, rpcs=[], unfaulted=("buf: of no length",), label="none"),
    fails("getrandom", EINVAL, BAD, 1, 8, rpcs=[], label="unknown flag"),
    fails("getrandom", EINVAL, BAD, 1, GRND_RANDOM | GRND_INSECURE, rpcs=[], label="flags that exclude each other"),
    fails("getrandom", EFAULT, USER_END - 4096, 4097, 0, rpcs=[], label="beyond user memory"),
    fails("getrandom", EFAULT, USER_END + 1, 0, 0, rpcs=[], label="beyond user memory, no length"),
    # -- kernel log
    ok("syslog", SYSLOG_ACTION_READ_ALL, BUFFER, 400, returns=0, rpcs=[], user=USER, unfaulted=UNTOUCHED),
    ok("syslog", SYSLOG_ACTION_READ_CLEAR, BUFFER, 400, returns=0, rpcs=[], unfaulted=UNTOUCHED, label="and clear"),
    ok("syslog", SYSLOG_ACTION_READ, BAD, 0, returns=0, rpcs=[], unfaulted=UNTOUCHED, label="no bytes"),
    ok("syslog", SYSLOG_ACTION_CLEAR, NULL, 0, returns=0, rpcs=[], label="clear"),
    ok("syslog", SYSLOG_ACTION_SIZE_UNREAD, NULL, 0, returns=0, rpcs=[], label="unread"),
    ok("syslog", SYSLOG_ACTION_SIZE_BUFFER, NULL, 0, returns=1 << 18, rpcs=[], user=USER, label="size"),
    ok("syslog", SYSLOG_ACTION_CONSOLE_LEVEL, NULL, 8, returns=0, rpcs=[], label="level"),
    fails("syslog", EINVAL, SYSLOG_ACTION_CONSOLE_LEVEL, NULL, 0, rpcs=[], label="level too low"),
    fails("syslog", EINVAL, SYSLOG_ACTION_CONSOLE_LEVEL, NULL, 9, rpcs=[], label="level too high"),
    fails("syslog", EINVAL, SYSLOG_ACTION_READ_ALL, NULL, 400, user=USER, rpcs=[], label="null pointer"),
    fails("syslog", EINVAL, SYSLOG_ACTION_READ_ALL, BUFFER, -1, user=USER, rpcs=[], label="negative"),
    fails("syslog", EINVAL, 11, BUFFER, 1, rpcs=[], label="unknown action"),
    fails("syslog", EFAULT, SYSLOG_ACTION_READ_ALL, 1 << 63, 1, user=USER, rpcs=[]),
    fails("syslog", EPERM, SYSLOG_ACTION_READ, NULL, -1, user=USER, rpcs=[]),
    fails("syslog", EPERM, 11, NULL, -1, user=USER, rpcs=[], label="even an unknown action"),
    # -- reboot
    *(
        ok("reboot", LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2C, op, BAD, rpcs=[], check=_ended_by(signo), ends=True,
           label=label)
        for op, signo, label in (
            (LINUX_REBOOT_CMD_RESTART, SIGHUP, "restart"), (LINUX_REBOOT_CMD_RESTART2, SIGHUP, "restart with words"),
            (LINUX_REBOOT_CMD_HALT, SIGINT, "halt"), (LINUX_REBOOT_CMD_POWER_OFF, SIGINT, "power off"),
        )
    ),
    fails("reboot", EINVAL, 1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_HALT, NULL, rpcs=[], label="first number"),
    fails("reboot", EINVAL, LINUX_REBOOT_MAGIC1, 2, LINUX_REBOOT_CMD_HALT, NULL, rpcs=[], label="second number"),
    fails("reboot", EINVAL, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF, NULL, rpcs=[],
          label="no such thing in a container"),
    fails("reboot", EPERM, 1, 2, 3, NULL, user=USER, rpcs=[]),
    # -- kept per task
    ok("set_tid_address", BAD, rpcs=[], check=_is_tid),
    ok("set_robust_list", BAD, RobustListHead.SIZE, returns=0, rpcs=[], check=_list_is(BAD),
       unfaulted=("head: looked at when the thread ends",)),
    fails("set_robust_list", EINVAL, BAD, RobustListHead.SIZE - 1, rpcs=[], check=_list_is(0)),
    ok("get_robust_list", 0, LONG, SIZE, returns=0, rpcs=[], setup=_with_list, check=_shows_list),
    ok("get_robust_list", lambda guest: (guest.main.tid, LONG, SIZE), returns=0, rpcs=[], setup=_with_list,
       check=_shows_list, user=USER, label="by number"),
    ok("get_robust_list", lambda guest: (guest.process(uid=1000, gid=5).tid, LONG, SIZE), returns=0, rpcs=[],
       user=USER, label="of the same user"),
    fails("get_robust_list", ESRCH, NOBODY, BAD, BAD, rpcs=[]),
    fails("get_robust_list", ESRCH, -1, BAD, BAD, rpcs=[], label="negative"),
    fails("get_robust_list", EPERM, _of_another_user, user=USER, rpcs=[]),
    ok("arch_prctl", ARCH_SET_FS, 0x1_2345_6789, returns=0, rpcs=[], check=_base("fsbase", 0x1_2345_6789)),
    ok("arch_prctl", ARCH_SET_GS, USER_END - 1, returns=0, rpcs=[], check=_base("gsbase", USER_END - 1), label="gs"),
    ok("arch_prctl", ARCH_GET_FS, LONG, returns=0, rpcs=[], setup=_with_bases, check=_shows(0x1111), label="get fs"),
    ok("arch_prctl", ARCH_GET_GS, LONG, returns=0, rpcs=[], setup=_with_bases, check=_shows(0x2222), label="get gs"),
    ok("arch_prctl", ARCH_GET_CPUID, 0, returns=1, rpcs=[], label="CPUID"),
    fails("arch_prctl", EFAULT, ARCH_GET_FS, BAD, rpcs=[], label="fs"),
    fails("arch_prctl", EFAULT, ARCH_GET_GS, NULL, rpcs=[], label="gs"),
    fails("arch_prctl", EPERM, ARCH_SET_FS, USER_END, rpcs=[], check=_base("fsbase", 0), label="fs"),
    fails("arch_prctl", EPERM, ARCH_SET_GS, 1 << 63, rpcs=[], check=_base("gsbase", 0), label="gs"),
    fails("arch_prctl", ENODEV, ARCH_SET_CPUID, 0, rpcs=[]),
    fails("arch_prctl", EINVAL, 0x7777, 0, rpcs=[]),
    fails("arch_prctl", EINVAL, ARCH_GET_XCOMP_PERM, LONG, rpcs=[], check=_complains, label="not supported"),
]  # fmt: skip


@pytest.mark.parametrize("failing", [vmx.Stats, clock.Gettime])
@proves("sysinfo", EIO)
def test_a_server_that_sysinfo_asks_fails(guest: Guest, failing: Any) -> None:
    (guest.vm if failing is vmx.Stats else guest.time).expect(failing).error(EIO)
    assert guest.start.sysinfo(INFO).errno == EIO
    assert guest.rpc.log.to()[-1].NAME == failing.NAME


@proves("getrandom", EIO, rpcs=READ)
def test_the_random_server_fails(guest: Guest) -> None:
    guest.random.expect(entropy.Read(300)).error(EIO)
    assert guest.start.getrandom(BUFFER, 300, 0).errno == EIO


def test_random_bytes_are_those_of_the_server(guest: Guest) -> None:
    guest.random.expect(entropy.Read(3)).reply(data=b"abc")
    guest.syscall.getrandom(BUFFER, 3, 0)
    assert BUFFER.value[:4] == b"abc\0"


def test_a_signal_makes_a_large_request_short(guest: Guest) -> None:
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1)
    guest.random.expect(entropy.Read(CHUNK)).late(s=1).reply(data=b"x" * CHUNK)
    call = guest.start.getrandom(Out(2 * CHUNK), 2 * CHUNK, 0)
    sender.send()
    assert call.blocked
    assert (call.finish(), handler.signals) == (CHUNK, [SIGUSR1])


@proves("syslog", EINTR, rpcs=[])
def test_a_handler_ends_the_wait_for_the_kernel_log(guest: Guest) -> None:
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1)
    call = guest.start.syslog(SYSLOG_ACTION_READ, BUFFER, 400)
    sender.send()
    assert (call.errno, handler.signals) == (EINTR, [SIGUSR1])


def test_a_handler_with_sa_restart_lets_the_wait_for_the_kernel_log_begin_again(guest: Guest) -> None:
    sender, handler = Sender(guest), guest.on_signal(SIGUSR1, flags=SA_RESTART)
    call = guest.start.syslog(SYSLOG_ACTION_READ, BUFFER, 400)
    sender.send()
    sender.stop_and_continue()
    assert (call.blocked, handler.signals) == (True, [SIGUSR1])


def test_reboot_ends_every_process(guest: Guest) -> None:
    others = [guest.fork(), guest.process(uid=1000)]
    call = guest.start.reboot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_HALT, NULL)
    assert (call.gone, guest.main.signal) == (True, SIGINT)
    assert [(other.gone, other.signal) for other in others] == [(True, SIGKILL)] * 2


def test_the_end_of_a_thread_clears_its_id_and_wakes(guest: Guest) -> None:
    at, other = guest.put((7).to_bytes(4, "little")), guest.thread()
    assert other.syscall.set_tid_address(at) == other.tid
    call = guest.start.futex(at, FUTEX_WAIT, 7, NULL, NULL, 0)
    assert call.blocked
    other.syscall.exit(0)
    assert (call.result, guest.read(at, 4)) == (0, bytes(4))


def test_the_robust_list_of_another_thread_is_told(guest: Guest) -> None:
    other = guest.thread()
    other.syscall.set_robust_list(0x5678, RobustListHead.SIZE)
    guest.syscall.get_robust_list(other.tid, LONG, SIZE)
    assert LONG.value == 0x5678


def test_permission_for_large_registers_is_missing_and_said_to_be(guest: Guest) -> None:
    for op in (ARCH_GET_XCOMP_SUPP, ARCH_REQ_XCOMP_PERM):
        assert guest.start.arch_prctl(op, 0).errno == EINVAL
    assert [item.what for item in guest.unsupported] == ["arch_prctl 0x1021", "arch_prctl 0x1023"]
