"""Limits, usage, priorities, scheduling."""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest

from syscalls.abi.flags import (
    RLIM_INFINITY,
    RLIMIT_CPU,
    RLIMIT_NICE,
    RLIMIT_NOFILE,
    RLIMIT_RTPRIO,
    SCHED_FLAG_KEEP_PARAMS,
    SCHED_FLAG_KEEP_POLICY,
    SCHED_FLAG_RESET_ON_FORK,
    SCHED_RESET_ON_FORK,
    SIGKILL,
    SIGXCPU,
)
from syscalls.abi.structs import Rlimit, Rusage, SchedAttr
from syscalls.objects.credentials import Credentials
from syscalls.objects.siginfo import bit
from tests.syscalls.callrig import BAD, In, Out, Rig, Words, both

NOBODY = 0x3FFF_FFFF
SECOND = 1_000_000_000
USER = Credentials.user(1000, 1000)
SIZE = SchedAttr.SIZE


def limit(soft: int, hard: int) -> In:
    return In(Rlimit(soft, hard).pack())


def attr(policy: int, **values: int) -> In:
    return In(SchedAttr(SIZE, policy, **values).pack())


def number(value: int) -> In:
    return In(pack("<i", value))


@pytest.mark.native
class TestLikeNative:
    def test_limits(self) -> None:
        both(
            ("setrlimit", 7, limit(100, 200)), ("getrlimit", 7, Out(16)), ("setrlimit", 7, limit(201, 200)),
            ("setrlimit", 7, limit(0, 200)), ("getrlimit", 7, Out(16)), ("setrlimit", 16, limit(1, 1)),
            ("setrlimit", 7, limit(100, (1 << 20) + 1)), ("setrlimit", -1, limit(1, 1)),
            ("setrlimit", 99, BAD), ("setrlimit", 7, BAD), ("getrlimit", 7, BAD), ("getrlimit", 16, BAD),
            ("prlimit64", 0, 7, 0, Out(16)), ("prlimit64", 0, 7, limit(50, 60), Out(16)),
            ("prlimit64", 0, 7, limit(40, 50), BAD), ("prlimit64", 0, 7, 0, Out(16)),
            ("prlimit64", 0, 7, 0, 0), ("prlimit64", 0, 7, BAD, 0), ("prlimit64", 0, 16, 0, Out(16)),
            ("prlimit64", 0, 16, BAD, 0), ("prlimit64", NOBODY, 16, 0, 0), ("prlimit64", -1, 7, 0, 0),
            ("prlimit64", 0, 7, limit(2, 1), 0),
        )  # fmt: skip

    def test_limits_of_a_user(self) -> None:
        both(
            ("setrlimit", 7, limit(10, 20)), ("setrlimit", 7, limit(10, 21)), ("setrlimit", 7, limit(20, 20)),
            ("setrlimit", 7, limit(0, RLIM_INFINITY)), ("prlimit64", 1, 7, 0, Out(16)), uid=1000,
        )  # fmt: skip

    def test_getrusage(self) -> None:
        both(
            *(("getrusage", who, Out(144)) for who in (0, -1, 1)),
            *(("getrusage", who, BAD) for who in (2, -2, 0, -1)),
            ("getrusage", 0, 0),
            loose=["getrusage"],
        )

    @pytest.mark.parametrize("uid", [None, 1000])
    def test_nice(self, uid: int | None) -> None:
        both(
            ("getpriority", 0, 0), ("setpriority", 0, 0, 5), ("getpriority", 0, 0), ("getpriority", 3, 0),
            ("getpriority", -1, 0), ("getpriority", 0, NOBODY), ("getpriority", 1, NOBODY),
            ("getpriority", 2, 54321), ("setpriority", 3, 0, 0), ("setpriority", 0, NOBODY, 0),
            ("setpriority", 1, NOBODY, 0), ("setpriority", 2, 54321, 0), ("setpriority", 0, 0, 4),
            ("getpriority", 0, 0), ("setpriority", 0, 0, 100), ("getpriority", 0, 0),
            ("setpriority", 0, 0, -100), ("getpriority", 0, 0), uid=uid,
        )  # fmt: skip

    @pytest.mark.parametrize("uid", [None, 1000])
    def test_policies(self, uid: int | None) -> None:
        zero = number(0)
        both(
            ("sched_getscheduler", 0), ("sched_getscheduler", -1), ("sched_getscheduler", NOBODY),
            ("sched_getparam", 0, Out(4)), ("sched_getparam", 0, 0), ("sched_getparam", 0, BAD),
            ("sched_getparam", -1, Out(4)), ("sched_getparam", NOBODY, Out(4)),
            ("sched_setscheduler", 0, 3, zero), ("sched_getscheduler", 0),
            ("sched_setscheduler", 0, 0, number(1)), ("sched_setscheduler", 0, 0, number(-1)),
            ("sched_setscheduler", 0, 1, zero), ("sched_setscheduler", 0, 1, number(100)),
            ("sched_setscheduler", 0, 4, zero), ("sched_setscheduler", 0, 6, zero),
            ("sched_setscheduler", 0, 9, zero), ("sched_setscheduler", 0, -1, zero),
            ("sched_setscheduler", 0, 0, 0), ("sched_setscheduler", 0, 0, BAD),
            ("sched_setscheduler", -1, 0, zero), ("sched_setscheduler", NOBODY, 0, zero),
            ("sched_setparam", 0, zero), ("sched_setparam", 0, number(1)), ("sched_setparam", 0, 0),
            ("sched_setparam", -1, zero), ("sched_setparam", NOBODY, zero), ("sched_setparam", 0, BAD),
            ("sched_setscheduler", 0, SCHED_RESET_ON_FORK, zero), ("sched_getscheduler", 0),
            ("sched_setscheduler", 0, 0, zero), ("sched_getscheduler", 0),
            ("sched_setscheduler", 0, 5, zero), ("sched_getscheduler", 0),
            ("sched_setscheduler", 0, 0, zero), ("sched_getscheduler", 0), uid=uid,
        )  # fmt: skip

    def test_realtime(self) -> None:
        both(
            ("sched_setscheduler", 0, 2, number(7)), ("sched_getscheduler", 0),
            ("sched_getparam", 0, Out(4)), ("sched_rr_get_interval", 0, Out(16)),
            ("sched_setparam", 0, number(9)), ("sched_getparam", 0, Out(4)),
            ("sched_setparam", 0, number(0)), ("getpriority", 0, 0),
            ("sched_setscheduler", 0, 1, number(99)), ("sched_rr_get_interval", 0, Out(16)),
            ("sched_setscheduler", 0, 0, number(0)), ("sched_getparam", 0, Out(4)),
            ("sched_rr_get_interval", -1, Out(16)), ("sched_rr_get_interval", NOBODY, Out(16)),
            ("sched_rr_get_interval", 0, BAD),
        )  # fmt: skip

    def test_realtime_without_privilege(self) -> None:
        both(*(("sched_setscheduler", 0, policy, number(1)) for policy in (1, 2)), uid=1000)

    def test_attributes(self) -> None:
        keep_policy = attr(9, sched_flags=SCHED_FLAG_KEEP_POLICY, sched_priority=6)
        both(
            ("sched_setattr", 0, attr(0, sched_nice=3), 0), ("getpriority", 0, 0),
            ("sched_setattr", 0, attr(3, sched_nice=40), 0), ("getpriority", 0, 0), ("sched_getscheduler", 0),
            ("sched_setattr", 0, attr(1, sched_priority=5), 0), ("sched_getscheduler", 0),
            ("sched_getparam", 0, Out(4)), ("getpriority", 0, 0),
            ("sched_setattr", 0, keep_policy, 0), ("sched_getparam", 0, Out(4)),
            ("sched_setattr", 0, attr(2, sched_flags=SCHED_FLAG_KEEP_PARAMS), 0),
            ("sched_getparam", 0, Out(4)), ("sched_getscheduler", 0),
            ("sched_setattr", 0, attr(0, sched_flags=SCHED_FLAG_RESET_ON_FORK), 0), ("sched_getscheduler", 0),
        )  # fmt: skip

    def test_wrong_attributes(self) -> None:
        both(
            ("sched_setattr", 0, attr(0, sched_flags=1 << 20), 0),
            ("sched_setattr", 0, attr(0xFFFF_FFFF), 0),
            ("sched_setattr", 0, attr(0), 1), ("sched_setattr", 0, 0, 0), ("sched_setattr", -1, attr(0), 0),
            ("sched_setattr", NOBODY, attr(0), 0), ("sched_setattr", 0, BAD, 0),
            ("sched_setattr", 0, Words(pack("<I", 47) + bytes(52)), 0),
            ("sched_setattr", 0, Words(pack("<I", 5000) + bytes(52)), 0),
            ("sched_setattr", 0, Words(pack("<I", 60) + bytes(56)), 0),
            ("sched_setattr", 0, Words(pack("<I", 60) + bytes(55) + b"x"), 0),
            ("sched_setattr", 0, In(pack("<IIQ", 48, 0, 0x20) + bytes(40)), 0),
            ("sched_setattr", 0, In(pack("<I", 0) + bytes(52)), 0),
            ("sched_getattr", 0, Out(SIZE), 47, 0), ("sched_getattr", 0, Out(SIZE), 4097, 0),
            ("sched_getattr", 0, Out(SIZE), SIZE, 1), ("sched_getattr", 0, 0, SIZE, 0),
            ("sched_getattr", -1, Out(SIZE), SIZE, 0), ("sched_getattr", NOBODY, Out(SIZE), SIZE, 0),
            ("sched_getattr", 0, BAD, SIZE, 0),
        )  # fmt: skip

    def test_attributes_of_a_realtime_task(self) -> None:
        # For others, Linux of late reports the length of a time slice as the runtime.
        both(
            ("sched_setscheduler", 0, SCHED_RESET_ON_FORK | 2, number(7)),
            ("sched_getattr", 0, Out(56), 48, 0),
        )

    def test_priority_range(self) -> None:
        policies = (-1, 0, 1, 2, 3, 4, 5, 6, 8, SCHED_RESET_ON_FORK)
        both(*((f"sched_get_priority_{end}", policy) for end in ("min", "max") for policy in policies))

    def test_affinity(self) -> None:
        one = In(pack("<Q", 1))
        both(
            ("sched_getaffinity", 0, 7, Out(8)), ("sched_getaffinity", 0, 12, Out(16)),
            ("sched_getaffinity", NOBODY, 128, Out(128)), ("sched_getaffinity", -1, 128, Out(128)),
            ("sched_getaffinity", 0, 128, BAD), ("sched_setaffinity", 0, 8, one),
            ("sched_getaffinity", 0, 8, Out(8)), ("sched_setaffinity", 0, 1, In(b"\1")),
            ("sched_setaffinity", 0, 128, In(b"\1" + bytes(127))), ("sched_setaffinity", 0, 0, one),
            ("sched_setaffinity", 0, 8, In(pack("<Q", 1 << 40))), ("sched_setaffinity", 0, 8, BAD),
            ("sched_setaffinity", NOBODY, 8, one),
        )  # fmt: skip

    def test_getcpu(self) -> None:
        both(
            ("getcpu", Out(4), Out(4), 0), ("getcpu", 0, 0, 0), ("getcpu", BAD, 0, 0), ("getcpu", 0, BAD, 0),
            ("getcpu", 0, 0, BAD), loose=["getcpu"],
        )  # fmt: skip

    @pytest.mark.parametrize("uid", [None, 1000])
    def test_io_priority(self, uid: int | None) -> None:
        both(
            ("ioprio_get", 1, 0), ("ioprio_get", 1, NOBODY), ("ioprio_get", 0, 0), ("ioprio_get", 4, 0),
            ("ioprio_get", 2, NOBODY), ("ioprio_get", 3, 54321), ("ioprio_set", 1, 0, 2 << 13 | 3),
            ("ioprio_get", 1, 0), ("ioprio_set", 1, 0, 3 << 13), ("ioprio_get", 1, 0),
            ("ioprio_set", 1, 0, 0), ("ioprio_get", 1, 0), ("ioprio_set", 1, 0, 1),
            ("ioprio_set", 1, 0, 4 << 13), ("ioprio_set", 0, 0, 0), ("ioprio_set", 1, NOBODY, 0),
            ("ioprio_set", 2, NOBODY, 0), ("ioprio_set", 3, 54321, 0), ("ioprio_set", 1, 0, 1 << 13 | 4),
            ("ioprio_get", 1, 0), ("sched_yield",), uid=uid,
        )  # fmt: skip


def test_limits_are_shared_by_threads_and_copied_by_fork() -> None:
    rig = Rig()
    thread, child = rig.thread(rig.t), rig.fork(rig.t)
    rig.ok("setrlimit", RLIMIT_NOFILE, limit(10, 20), t=thread)
    assert rig.t.process.rlimits[RLIMIT_NOFILE] == (10, 20)
    assert child.process.rlimits[RLIMIT_NOFILE] != (10, 20)


def test_prlimit_needs_the_same_ids_or_a_capability() -> None:
    rig = Rig()
    child = rig.fork(rig.t)
    child.creds = USER
    other = rig.fork(child)
    pid = other.process.pid
    assert rig.ok("prlimit64", pid, 7, limit(5, 5), 0) == 0
    assert rig.ok("prlimit64", pid, 7, limit(4, 5), Out(16), t=child) == 0
    assert rig.fails("prlimit64", pid, 7, limit(4, 6), 0, t=child) == "EPERM"
    other.creds = USER.with_uids(1000, 1000, 7)
    assert rig.fails("prlimit64", pid, 7, 0, Out(16), t=child) == "EPERM"
    other.creds = USER.with_gids(7, 1000, 1000)
    assert rig.fails("prlimit64", pid, 7, 0, Out(16), t=child) == "EPERM"


def test_usage() -> None:
    rig = Rig()
    rig.t.user_ns, rig.t.sys_ns, rig.t.min_flt, rig.t.nvcsw = 3 * SECOND // 2, 250_000_999, 7, 5
    thread = rig.thread(rig.t)
    thread.user_ns = SECOND
    rig.t.process.child_usage.user_ns = 9 * SECOND
    rig.t.process.child_usage.maxrss_kb = 77

    def usage(who: int, t: Any = None) -> Rusage:
        return Rusage.unpack(rig.step("getrusage", who, Out(144), t=t)[1][0])

    own = usage(0)
    assert (own.ru_utime, own.ru_stime) == ((2, 500_000), (0, 250_000))
    assert (own.ru_maxrss, own.ru_minflt, own.ru_nvcsw) == (100, 7, 5)
    assert usage(1).ru_utime == (1, 500_000)
    assert usage(1, thread).ru_utime == (1, 0)
    assert (usage(-1).ru_utime, usage(-1).ru_maxrss) == ((9, 0), 77)


def test_cpu_limit_warns_every_second_and_then_kills() -> None:
    rig = Rig()
    process = rig.t.process
    rig.ok("setrlimit", RLIMIT_CPU, limit(2, 4))
    rig.t.blocked = bit(SIGXCPU)
    sent = []
    tenth = 0
    while process.group_exit is None and tenth < 50:
        rig.t.user_ns = tenth * SECOND // 10
        rig.advance(SECOND // 10)
        if process.pending.has(SIGXCPU):
            process.pending.pop(SIGXCPU)
            sent.append(tenth // 10)
        tenth += 1
    assert sent == [2, 3]
    assert process.group_exit == SIGKILL
    assert tenth == 41


def test_cpu_limit_holds_for_children() -> None:
    rig = Rig()
    rig.ok("setrlimit", RLIMIT_CPU, limit(1, 2))
    rig.t.user_ns = SECOND // 2
    child = rig.fork(rig.t)
    child.user_ns = SECOND * 3 // 4
    rig.advance(SECOND)
    assert not child.process.pending.has(SIGXCPU)
    child.user_ns = SECOND * 5 // 4
    rig.advance(SECOND)
    assert child.process.pending.has(SIGXCPU)
    assert not rig.t.process.pending.has(SIGXCPU)


def test_cpu_limit_can_be_lifted() -> None:
    rig = Rig()
    rig.ok("setrlimit", RLIMIT_CPU, limit(1, RLIM_INFINITY))
    rig.ok("setrlimit", RLIMIT_CPU, limit(RLIM_INFINITY, RLIM_INFINITY))
    rig.t.user_ns = 100 * SECOND
    rig.advance(SECOND)
    assert not rig.t.process.pending.mask
    assert not [timer for timer in rig.timers if timer.callback is not None]


def test_nice_of_groups_and_users() -> None:
    rig = Rig()
    child, other = rig.fork(rig.t), rig.fork(rig.t)
    rig.ok("setpgid", child.process.pid, 0)
    rig.ok("setpriority", 1, child.process.pid, 7)
    assert (rig.t.nice, child.nice, other.nice) == (0, 7, 0)
    rig.ok("setpriority", 1, 0, 3)
    assert (rig.t.nice, child.nice, other.nice) == (3, 7, 3)
    other.nice = -4
    assert rig.ok("getpriority", 1, 0) == 24
    child.creds = USER
    rig.ok("setpriority", 2, 1000, 9)
    assert (rig.t.nice, child.nice) == (3, 9)
    assert rig.ok("getpriority", 2, 0, t=child) == 11


def test_nice_of_others() -> None:
    rig = Rig()
    mine, theirs = rig.fork(rig.t), rig.fork(rig.t)
    mine.creds, theirs.creds = USER, Credentials.user(2000, 2000)
    assert rig.fails("setpriority", 0, theirs.tid, 5, t=mine) == "EPERM"
    mine.process.rlimits[RLIMIT_NICE] = (25, 25)
    assert rig.ok("setpriority", 0, 0, -5, t=mine) == 0
    assert rig.fails("setpriority", 0, 0, -6, t=mine) == "EACCES"
    # One of the group could be changed: the error is that of the last one that could not.
    assert rig.fails("setpriority", 1, 0, 6, t=mine) == "EPERM"
    assert (rig.t.nice, mine.nice, theirs.nice) == (0, 6, 0)


def test_nice_of_pid_1() -> None:
    rig = Rig()
    assert rig.ok("getpriority", 0, 1) == 20
    rig.t.creds = USER
    assert rig.fails("setpriority", 0, 1, 5) == "EPERM"


def test_realtime_within_rlimit_rtprio() -> None:
    rig = Rig(USER)
    rig.t.process.rlimits[RLIMIT_RTPRIO] = (10, 10)
    assert rig.ok("sched_setscheduler", 0, 1, number(10)) == 0
    assert rig.fails("sched_setparam", 0, number(11)) == "EPERM"
    assert rig.ok("sched_setscheduler", 0, 2 | SCHED_RESET_ON_FORK, number(10)) == 0
    assert rig.fails("sched_setscheduler", 0, 2, number(10)) == "EPERM"
    rig.t.process.rlimits[RLIMIT_RTPRIO] = (0, 10)
    assert rig.ok("sched_setscheduler", 0, 2 | SCHED_RESET_ON_FORK, number(9)) == 0
    assert rig.fails("sched_setscheduler", 0, 1 | SCHED_RESET_ON_FORK, number(9)) == "EPERM"
    child = rig.fork(rig.t)
    assert rig.ok("sched_getscheduler", 0, t=child) == 0


def test_others_are_not_scheduled() -> None:
    rig = Rig()
    child = rig.fork(rig.t)
    child.creds = USER
    assert rig.fails("sched_setscheduler", rig.t.tid, 0, number(0), t=child) == "EPERM"
    assert rig.fails("sched_setaffinity", rig.t.tid, 8, In(pack("<Q", 1)), t=child) == "EPERM"
    assert rig.ok("sched_setscheduler", child.tid, 3, number(0)) == 0


def test_idle_is_left_within_rlimit_nice() -> None:
    rig = Rig(USER)
    rig.ok("sched_setscheduler", 0, 5, number(0))
    assert rig.fails("sched_setscheduler", 0, 0, number(0)) == "EPERM"
    rig.t.process.rlimits[RLIMIT_NICE] = (20, 20)
    assert rig.ok("sched_setscheduler", 0, 0, number(0)) == 0


def test_attributes_raise_nice_within_rlimit_nice() -> None:
    rig = Rig(USER)
    rig.t.nice = 5
    assert rig.fails("sched_setattr", 0, attr(0, sched_nice=4), 0) == "EPERM"
    rig.t.process.rlimits[RLIMIT_NICE] = (16, 16)
    assert rig.ok("sched_setattr", 0, attr(0, sched_nice=4), 0) == 0
    assert rig.t.nice == 4


def test_what_is_only_kept_or_missing_is_recorded() -> None:
    rig = Rig()
    assert rig.fails("sched_setattr", 0, attr(6, sched_runtime=1), 0) == "EINVAL"
    assert rig.ok("sched_setattr", 0, attr(0, sched_flags=0x20), 0) == 0
    assert rig.server.complaints == ["SCHED_DEADLINE", "sched_setattr: utilization clamps"]


def test_attributes_of_a_new_task() -> None:
    rig = Rig()
    rig.t.nice = 4
    _, (raw,) = rig.step("sched_getattr", 0, Out(SIZE), SIZE, 0)
    assert SchedAttr.unpack(raw).replace(sched_util_max=0) == SchedAttr(SIZE, 0, sched_nice=4)


def test_affinity_of_one_cpu() -> None:
    rig = Rig()
    assert rig.step("sched_getaffinity", 0, 128, Out(16)) == (8, [pack("<QQ", 1, 0)])
    assert rig.fails("sched_setaffinity", 0, 8, In(pack("<Q", 2))) == "EINVAL"


def test_io_priority_of_a_group_is_the_effective_one() -> None:
    rig = Rig()
    child = rig.fork(rig.t)
    assert rig.ok("ioprio_get", 2, 0) == 2 << 13 | 4
    child.sched_policy = 1
    assert rig.ok("ioprio_get", 2, 0) == 1 << 13 | 4
    child.sched_policy, child.nice = 5, 19
    assert rig.ok("ioprio_get", 3, 0) == 2 << 13 | 4
    assert rig.ok("ioprio_get", 1, child.tid) == 0
    rig.ok("ioprio_set", 2, 0, 2 << 13 | 1)
    assert child.io_priority == rig.t.io_priority == 2 << 13 | 1
    assert rig.ok("ioprio_get", 2, 0) == 2 << 13 | 1
    child.creds = USER
    assert rig.fails("ioprio_set", 1, rig.t.tid, 0, t=child) == "EPERM"


def test_zombies_still_have_limits() -> None:
    rig = Rig()
    child = rig.fork(rig.t)
    child.process.remove_task(child)
    assert rig.ok("prlimit64", child.process.pid, RLIMIT_CPU, 0, Out(16)) == 0
