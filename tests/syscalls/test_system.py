"""Names, memory, randomness, the kernel log, reboot; what is kept per task; prctl."""

from __future__ import annotations

from struct import pack

import pytest

from linuxemu.arch.x86_64 import USER_END
from linuxemu.messages import entropy
from syscalls.abi.flags import CAP_SYS_BOOT, CAP_SYSLOG, SIGHUP, SIGINT, SIGKILL, SIGUSR1
from syscalls.abi.structs import Sysinfo, Utsname
from syscalls.errors import Interrupted, Restart
from syscalls.handlers.system import KERNEL_RELEASE, KERNEL_VERSION
from syscalls.objects.credentials import ALL_CAPS, Credentials
from syscalls.objects.siginfo import SigAction, SigInfo
from syscalls.objects.signal import send_signal
from tests.syscalls import iorig
from tests.syscalls.callrig import BAD, BOOTED_EARLIER_NS, In, Out, Rig, Words, both

NOBODY = 0x3FFF_FFFF
USER = Credentials.user(1000, 1000)
MAGIC1, MAGIC2 = 0xFEE1_DEAD, 672_274_793
SET_GS, SET_FS, GET_FS, GET_GS = range(0x1001, 0x1005)
EDGE = iorig.BASE + iorig.SIZE
SECOND = 1_000_000_000


@pytest.mark.native
class TestLikeNative:
    def test_uname_and_sysinfo(self) -> None:
        both(("uname", Out(390)), ("uname", BAD), loose=["uname"])
        both(("sysinfo", Out(112)), ("sysinfo", BAD), loose=["sysinfo"])

    def test_names_without_privilege(self) -> None:
        both(
            *((f"set{kind}name", b"x", length) for kind in ("host", "domain") for length in (1, 65, -1)),
            ("sethostname", BAD, 1), uid=1000,
        )  # fmt: skip

    def test_names_that_are_refused(self) -> None:
        both(*((f"set{kind}name", BAD, n) for kind in ("host", "domain") for n in (65, -1, 1)))

    def test_getrandom(self) -> None:
        both(
            *(("getrandom", Out(32), 32, flags) for flags in range(9)), ("getrandom", Out(300), 300, 0),
            ("getrandom", BAD, 1, 0), ("getrandom", BAD, 0, 0), ("getrandom", 0, 0, 0),
            ("getrandom", BAD, 1, 8), ("getrandom", Out(8), 8, 0x100),
            loose=["getrandom"],
        )  # fmt: skip

    def test_arch_prctl(self) -> None:
        both(
            ("arch_prctl", SET_GS, 0x1234_5678), ("arch_prctl", GET_GS, Out(8)), ("arch_prctl", GET_GS, BAD),
            ("arch_prctl", SET_GS, USER_END - 1), ("arch_prctl", GET_GS, Out(8)),
            ("arch_prctl", SET_GS, USER_END),
            ("arch_prctl", SET_GS, 1 << 47), ("arch_prctl", SET_GS, 1 << 63), ("arch_prctl", SET_GS, -1),
            ("arch_prctl", SET_FS, 1 << 47), ("arch_prctl", SET_FS, -1), ("arch_prctl", GET_FS, BAD),
            ("arch_prctl", 0, 0), ("arch_prctl", -1, 0), ("arch_prctl", 0x1005, 0),
            ("arch_prctl", 0x3001, Out(24)),
        )  # fmt: skip

    def test_robust_lists(self) -> None:
        both(
            ("set_robust_list", 0x5000, 24), ("set_robust_list", 0x6000, 23), ("set_robust_list", 0x6000, 0),
            ("get_robust_list", 0, Out(8), Out(8)), ("get_robust_list", 0, BAD, Out(8)),
            ("get_robust_list", 0, Out(8), BAD), ("get_robust_list", NOBODY, Out(8), Out(8)),
            ("get_robust_list", -1, Out(8), Out(8)), ("set_robust_list", BAD, 24),
        )  # fmt: skip

    def test_names_of_tasks(self) -> None:
        both(
            ("prctl", 15, b"short", 0, 0, 0), ("prctl", 16, Words(b"\xff" * 20), 0, 0, 0),
            ("prctl", 15, b"a name that is too long", 0, 0, 0), ("prctl", 16, Words(b"\xff" * 20), 0, 0, 0),
            ("prctl", 15, b"", 0, 0, 0), ("prctl", 16, Out(16), 0, 0, 0),
            ("prctl", 15, BAD, 0, 0, 0), ("prctl", 16, BAD, 0, 0, 0),
        )  # fmt: skip

    @pytest.mark.parametrize("uid", [None, 1000])
    def test_prctl(self, uid: int | None) -> None:
        values = [(op, value) for op in (1, 4, 8, 14, 23, 30) for value in (0, 1, 2, 40, 41, 64, 65, -1)]
        both(
            *(("prctl", op, value, 0, 0, 0) for op, value in values),
            *(("prctl", op, 0, 0, 0, 0) for op in (3, 7, 13, 21, 27, 30, 39, 42, 34)),
            ("set_tid_address", 0x5000), *(("prctl", op, Out(8), 0, 0, 0) for op in (2, 25, 37, 40)),
            *(("prctl", op, BAD, 0, 0, 0) for op in (2, 25, 37, 40)),
            *(("prctl", op, 0, 0, 0, 1) for op in (39, 41, 42, 34, 38)),
            *(("prctl", 38, value, 0, 0, 0) for value in (0, 2, 1)),
            ("prctl", 38, 1, 1, 0, 0), ("prctl", 39, 0, 0, 0, 0), ("prctl", 39, 1, 0, 0, 0),
            ("prctl", 36, 5, 0, 0, 0), ("prctl", 37, Out(4), 0, 0, 0), ("prctl", 26, 1, 0, 0, 0),
            ("prctl", 26, 3, 0, 0, 0),
            ("prctl", 9, 0, 0, 0, 0), ("prctl", 5, Out(4), 0, 0, 0), ("prctl", 19, Out(4), 0, 0, 0),
            ("prctl", 43, 0, 0, 0, 0), ("prctl", -1, 0, 0, 0, 0), ("prctl", 12345, 0, 0, 0, 0),
            ("set_tid_address", 0), loose=["set_tid_address"], uid=uid,
        )  # fmt: skip

    @pytest.mark.parametrize("uid", [None, 1000])
    def test_slack(self, uid: int | None) -> None:
        both(
            ("prctl", 30, 0, 0, 0, 0), ("prctl", 29, 77, 0, 0, 0), ("prctl", 30, 0, 0, 0, 0),
            ("prctl", 29, 0, 0, 0, 0), ("prctl", 30, 0, 0, 0, 0), uid=uid,
        )  # fmt: skip

    @pytest.mark.parametrize("uid", [None, 1000])
    def test_bounding_set(self, uid: int | None) -> None:
        both(
            ("prctl", 23, 5, 0, 0, 0), ("prctl", 24, 5, 0, 0, 0), ("prctl", 23, 5, 0, 0, 0),
            ("prctl", 24, 64, 0, 0, 0), ("prctl", 24, -1, 0, 0, 0), ("prctl", 23, 1 << 32, 0, 0, 0), uid=uid,
        )  # fmt: skip

    @pytest.mark.parametrize("uid", [None, 1000])
    def test_ambient_set(self, uid: int | None) -> None:
        header = In(pack("<Ii", 0x2008_0522, 0))
        both(
            ("prctl", 47, 1, 5, 0, 0), ("prctl", 47, 2, 5, 0, 0),
            ("capset", header, In(pack("<6I", 0x1E0, 0x1E0, 0x20, 0, 0, 0))),
            ("prctl", 47, 2, 5, 0, 0), ("prctl", 47, 1, 5, 0, 0), ("prctl", 47, 2, 6, 0, 0),
            ("prctl", 47, 3, 5, 0, 0), ("prctl", 47, 1, 5, 0, 0), ("prctl", 47, 2, 5, 0, 0),
            ("prctl", 47, 4, 0, 0, 0), ("prctl", 47, 1, 5, 0, 0), ("prctl", 47, 4, 1, 0, 0),
            ("prctl", 47, 9, 5, 0, 0), ("prctl", 47, 1, 64, 0, 0), ("prctl", 47, 1, 5, 1, 0),
            ("prctl", 47, 1, 5, 0, 1), ("prctl", 28, 1 << 6, 0, 0, 0), ("prctl", 47, 2, 5, 0, 0), uid=uid,
        )  # fmt: skip

    @pytest.mark.parametrize("uid", [None, 1000])
    def test_secure_bits(self, uid: int | None) -> None:
        bits = (0, 1, 3, 2, 0, 0x13, 0x33, 0x13, 0x23, 1 << 12, 0x3B)
        look = ("prctl", 27, 0, 0, 0, 0)
        steps = [step for value in bits for step in (("prctl", 28, value, 0, 0, 0), look)]
        both(*steps, ("prctl", 8, 1, 0, 0, 0), ("prctl", 7, 0, 0, 0, 0), uid=uid)

    def test_syslog_without_privilege(self) -> None:
        allowed_or_not = (3, 10)  # depends on kernel.dmesg_restrict
        both(*(("syslog", kind, Out(8), 8) for kind in range(-1, 13) if kind not in allowed_or_not), uid=1000)

    def test_syslog_arguments(self) -> None:
        both(
            *(("syslog", kind, 0, 5) for kind in (2, 3, 4)),
            *(("syslog", kind, Out(8), -1) for kind in (2, 3, 4)),
            *(("syslog", kind, Out(8), 0) for kind in (0, 1, 2, 3, 9)),
            *(("syslog", 8, 0, level) for level in (0, 9)),
            *(("syslog", kind, 0, 0) for kind in (11, -1)),
            ("syslog", 3, 1 << 62, 5),
            loose=["syslog"],
        )

    def test_reboot_without_privilege(self) -> None:
        both(("reboot", 0, 0, 0, 0), ("reboot", MAGIC1, MAGIC2, 0, 0), uid=1000)


def test_uname() -> None:
    rig = Rig()
    rig.ok("sethostname", b"box", 3)
    rig.ok("setdomainname", b"example\0hidden", 14)
    _, (raw,) = rig.step("uname", Out(390))
    names = [field.rstrip(b"\0") for field in Utsname.unpack(raw)]
    assert names == [b"Linux", b"box", KERNEL_RELEASE, KERNEL_VERSION, b"x86_64", b"example"]


def test_names_have_at_most_64_bytes() -> None:
    rig = Rig()
    rig.ok("sethostname", b"h" * 64, 64)
    assert rig.server.hostname == b"h" * 64
    rig.ok("sethostname", b"", 0)
    assert rig.server.hostname == b""
    assert rig.fails("setdomainname", b"h" * 65, 65) == "EINVAL"
    assert rig.fails("sethostname", BAD, 1) == "EFAULT"


def test_sysinfo() -> None:
    rig = Rig()
    rig.fork(rig.t)
    _, (raw,) = rig.step("sysinfo", Out(112))
    info = Sysinfo.unpack(raw)
    assert info.uptime == (rig.now + BOOTED_EARLIER_NS) // SECOND
    assert (info.totalram, info.freeram, info.mem_unit, info.procs) == (4_096_000, 1_638_400, 1, 2)


class TestRandom:
    def test_asks_in_pieces(self) -> None:
        rig = Rig()
        assert rig.ok("getrandom", Out(100_000), 100_000, 0) == 100_000
        assert rig.messages == [entropy.Read(65536), entropy.Read(100_000 - 65536)]

    def test_is_short_at_the_end_of_memory(self) -> None:
        rig = Rig()
        assert rig.ok("getrandom", EDGE - 20, 50, 0) == 20
        assert rig.ok("getrandom", EDGE - 65536, 65537, 0) == 65536
        assert rig.fails("getrandom", EDGE, 50, 0) == "EFAULT"

    def test_a_signal_ends_a_large_request(self) -> None:
        rig = Rig()
        rig.t.process.sighand.set(SIGUSR1, SigAction(0x1000))
        send_signal(rig.t, SigInfo(SIGUSR1, 0))
        assert rig.ok("getrandom", Out(100_000), 100_000, 0) == 65536
        assert rig.ok("getrandom", Out(256), 256, 0) == 256


class TestKernelLog:
    def test_is_empty(self) -> None:
        rig = Rig()
        assert rig.ok("syslog", 3, Out(8), 8) == rig.ok("syslog", 4, Out(8), 8) == 0
        assert rig.ok("syslog", 9, 0, 0) == rig.ok("syslog", 8, 0, 4) == 0
        assert rig.ok("syslog", 10, 0, 0) == 1 << 18

    def test_reading_waits(self) -> None:
        rig = Rig()
        job = rig.start(rig.t, "syslog", 2, rig.t.mem.alloc(8), 8)
        rig.advance(SECOND)
        rig.t.process.sighand.set(SIGUSR1, SigAction(0x1000))
        send_signal(rig.t, SigInfo(SIGUSR1, 0))
        rig.settle()
        with pytest.raises(Interrupted) as caught:
            job.value()
        assert caught.value.restart == Restart.SYS

    def test_cap_syslog_is_enough(self) -> None:
        rig = Rig(USER._replace(effective=1 << CAP_SYSLOG))
        assert rig.ok("syslog", 5, 0, 0) == 0
        rig = Rig(USER)
        assert rig.ok("syslog", 3, Out(8), 8) == 0
        assert rig.fails("syslog", 5, 0, 0) == "EPERM"


class TestReboot:
    @pytest.mark.parametrize(
        ("op", "signo"),
        [(0x0123_4567, SIGHUP), (0xA1B2_C3D4, SIGHUP), (0xCDEF_0123, SIGINT), (0x4321_FEDC, SIGINT)],
    )
    def test_ends_every_process(self, op: int, signo: int) -> None:
        rig = Rig()
        child = rig.fork(rig.t)
        rig.ok("reboot", MAGIC1, MAGIC2, op, BAD, t=child)
        assert rig.t.process.group_exit == signo
        assert child.process.group_exit == SIGKILL
        assert rig.table.init.group_exit is None

    @pytest.mark.parametrize(
        "args", [(0, MAGIC2, 0x0123_4567), (MAGIC1, 5, 0x0123_4567), (MAGIC1, MAGIC2, 5), (MAGIC1, MAGIC2, 0)]
    )
    def test_wrong_arguments(self, args: tuple[int, int, int]) -> None:
        rig = Rig()
        assert rig.fails("reboot", *args, 0) == "EINVAL"
        assert rig.t.process.group_exit is None

    def test_needs_the_capability(self) -> None:
        rig = Rig(Credentials(effective=ALL_CAPS & ~(1 << CAP_SYS_BOOT)))
        assert rig.fails("reboot", MAGIC1, MAGIC2, 0x4321_FEDC, 0) == "EPERM"


class TestTask:
    def test_set_tid_address(self) -> None:
        rig = Rig()
        thread = rig.thread(rig.t)
        assert rig.ok("set_tid_address", 0x5000, t=thread) == thread.tid
        assert thread.clear_child_tid == 0x5000
        assert rig.step("prctl", 40, Out(8), t=thread)[1] == [pack("<Q", 0x5000)]

    def test_robust_list_of_others(self) -> None:
        rig = Rig()
        child = rig.fork(rig.t)
        child.creds = USER
        rig.ok("set_robust_list", 0x7000, 24, t=child)
        _, found = rig.step("get_robust_list", child.tid, Out(8), Out(8))
        assert found == [pack("<Q", 0x7000), pack("<Q", 24)]
        assert rig.fails("get_robust_list", rig.t.tid, Out(8), Out(8), t=child) == "EPERM"
        other = rig.fork(child)
        assert rig.ok("get_robust_list", other.tid, Out(8), Out(8), t=child) == 0
        other.process.dumpable = 0
        assert rig.fails("get_robust_list", other.tid, Out(8), Out(8), t=child) == "EPERM"

    def test_segment_bases(self) -> None:
        rig = Rig()
        rig.ok("arch_prctl", SET_FS, 0x7F00_0000_1000)
        rig.ok("arch_prctl", SET_GS, 0x1000)
        assert (rig.t.frame.fsbase, rig.t.frame.gsbase) == (0x7F00_0000_1000, 0x1000)
        assert rig.step("arch_prctl", GET_FS, Out(8)) == (0, [pack("<Q", 0x7F00_0000_1000)])
        assert rig.fails("arch_prctl", SET_FS, USER_END) == "EPERM"
        assert rig.t.frame.fsbase == 0x7F00_0000_1000

    def test_cpuid_is_not_intercepted(self) -> None:
        rig = Rig()
        assert rig.ok("arch_prctl", 0x1011, 0) == 1
        assert rig.fails("arch_prctl", 0x1012, 0) == "ENODEV"
        assert rig.fails("arch_prctl", 0x1022, Out(8)) == "EINVAL"
        assert rig.server.complaints == ["arch_prctl 0x1022"]


class TestPrctl:
    def test_name_at_the_end_of_memory(self) -> None:
        rig = Rig()
        rig.t.mem.data[-4:] = b"abc\0"
        assert rig.ok("prctl", 15, EDGE - 4) == 0
        assert rig.t.comm == b"abc"
        rig.t.mem.data[-4:] = b"abcd"
        assert rig.fails("prctl", 15, EDGE - 4) == "EFAULT"

    def test_state_of_task_and_process(self) -> None:
        rig = Rig()
        thread = rig.thread(rig.t)
        rig.ok("prctl", 1, 9)
        rig.ok("prctl", 4, 0)
        rig.ok("prctl", 36, 7)
        rig.ok("prctl", 38, 1, 0, 0, 0)
        rig.ok("prctl", 29, 5)
        assert (rig.t.pdeath_signal, thread.pdeath_signal) == (9, 0)
        assert rig.t.process.dumpable == 0
        assert rig.t.process.is_subreaper
        assert (rig.t.no_new_privs, thread.no_new_privs) == (True, False)
        assert (rig.t.timer_slack_ns, thread.timer_slack_ns) == (5, 50_000)

    def test_what_is_missing_is_recorded(self) -> None:
        rig = Rig()
        missing = (22, 35, 52, 53, 67)
        for op in missing:
            assert rig.fails("prctl", op, 1, 1, 1, 1) == "EINVAL"
        assert rig.fails("prctl", 26, 2) == "EINVAL"
        assert rig.server.complaints == [*(f"prctl {op}" for op in missing), "prctl: PR_TSC_SIGSEGV"]

    def test_what_no_x86_has_is_not(self) -> None:
        rig = Rig()
        assert rig.fails("prctl", 5, 0) == "EINVAL"
        assert rig.fails("prctl", 0x53564D41, 0, 0, 0, 0) == "EINVAL"
        assert rig.server.complaints == []

    def test_the_flag_against_huge_pages_is_kept(self) -> None:
        rig = Rig()
        assert rig.ok("prctl", 41, 1, 0, 0, 0) == 0
        assert rig.ok("prctl", 42, 0, 0, 0, 0) == 1
        assert rig.ok("prctl", 41, 0, 0, 0, 0) == 0
        assert rig.ok("prctl", 42, 0, 0, 0, 0) == 0

    def test_constants(self) -> None:
        rig = Rig()
        assert rig.ok("prctl", 13, 0) == 0
        assert rig.ok("prctl", 14, 0) == 0
        assert rig.fails("prctl", 14, 1) == "EINVAL"
        assert rig.step("prctl", 25, Out(4)) == (0, [pack("<I", 1)])
        assert rig.ok("prctl", 66, 0, 0, 0, 0) == 0
