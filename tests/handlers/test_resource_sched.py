"""Scheduling policies, attributes, affinity (man 7 sched)."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

import pytest

from linuxemu.testing import BAD, NULL, Edge, InOut
from syscalls.abi.errno import E2BIG, EFAULT, EINVAL, EPERM, ESRCH
from syscalls.abi.flags import (
    CAP_KILL,
    PR_SET_KEEPCAPS,
    PRIO_PROCESS,
    RLIMIT_NICE,
    RLIMIT_RTPRIO,
    SCHED_BATCH,
    SCHED_DEADLINE,
    SCHED_FIFO,
    SCHED_FLAG_KEEP_PARAMS,
    SCHED_FLAG_KEEP_POLICY,
    SCHED_FLAG_RESET_ON_FORK,
    SCHED_FLAG_UTIL_CLAMP_MIN,
    SCHED_IDLE,
    SCHED_NORMAL,
    SCHED_RESET_ON_FORK,
    SCHED_RR,
)
from syscalls.abi.structs import CapUserData, CapUserHeader, Rlimit, SchedAttr, Timespec
from syscalls.objects.task import Task
from tests.handlers.cases import SUCCESS, Out, fails, ok, proves

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call, Guest
    from linuxemu.testing.thread import GuestThread

USER = (1000, 1000)
NOBODY = 0x3FFF_FFFF
V3 = 0x2008_0522
SIZE, SIZE_V0 = SchedAttr.SIZE, 48
RESET = SCHED_RESET_ON_FORK
RESET_FLAG, KEEP_POLICY, KEEP_PARAMS = (
    SCHED_FLAG_RESET_ON_FORK,
    SCHED_FLAG_KEEP_POLICY,
    SCHED_FLAG_KEEP_PARAMS,
)
NUMBER, ATTR, ATTR_V0, SLICE = Out("<i"), Out(SchedAttr), Out(SIZE_V0), Out(Timespec)
CPU, NODE = Out("<I", b"x"), Out("<I", b"x")
MASK = Out(16, b"\xff")
ONE_CPU = pack("<Q", 1)


def priority(value: int) -> bytes:
    """A struct sched_param."""
    return pack("<i", value)


def attr(policy: int = SCHED_NORMAL, flags: int = 0, nice: int = 0, priority: int = 0) -> SchedAttr:
    return SchedAttr(SIZE, policy, flags, nice, priority)


def user(thread: GuestThread, uid: int = 1000) -> GuestThread:
    thread.syscall.setresgid(uid, uid, uid)
    thread.syscall.setresuid(uid, uid, uid)
    return thread


# -- before a call, and after it --------------------------------------------------------------------------


def runs(policy: int, value: int = 0) -> Callable[[Guest], None]:
    """Before: the caller's policy and priority."""

    def setup(guest: Guest) -> None:
        guest.syscall.sched_setscheduler(0, policy, priority(value))

    return setup


def user_runs(policy: int, value: int = 0) -> Callable[[Guest], None]:
    """The same, and the caller is user 1000 by now."""

    def setup(guest: Guest) -> None:
        guest.syscall.sched_setscheduler(0, policy, priority(value))
        user(guest.main)

    return setup


def limited(resource: int, limit: int) -> Callable[[Guest], None]:
    """Before: a limit that the caller set as root; it is user 1000 by now."""

    def setup(guest: Guest) -> None:
        guest.syscall.setrlimit(resource, Rlimit(limit, limit))
        user(guest.main)

    return setup


def read_only(guest: Guest) -> tuple[object, ...]:
    return (0, guest.read_only(SchedAttr(40, SCHED_NORMAL)), 0)


def child_with_capabilities(guest: Guest) -> int:
    """A child that, like the caller, becomes user 1000, and keeps a capability."""
    child = guest.fork()
    child.syscall.prctl(PR_SET_KEEPCAPS, 1)
    user(child)
    mask = 1 << CAP_KILL
    child.syscall.capset(CapUserHeader(V3, 0), CapUserData(0, mask, 0).pack() + bytes(12))
    user(guest.main)
    return child.pid


def zombie(guest: Guest) -> int:
    child = guest.fork()
    child.syscall.exit_group(0)
    return child.pid


def state(guest: Guest, thread: GuestThread | None = None) -> tuple[int, int, int]:
    """Policy, priority, nice value of a thread."""
    calls, out = (thread or guest.main).syscall, Out("<i")
    calls.sched_getparam(0, out)
    return calls.sched_getscheduler(0), out.value, 20 - calls.getpriority(PRIO_PROCESS, 0)


def now(policy: int, priority: int = 0, nice: int = 0) -> Callable[[Guest, Call], None]:
    """After: the caller's policy, priority and nice value."""

    def check(guest: Guest, call: Call) -> None:
        assert state(guest) == (policy, priority, nice)

    return check


def wrote(out: Out, value: object) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert out.value == value

    return check


def gave(**fields: int) -> Callable[[Guest, Call], None]:
    """After: fields of what sched_getattr wrote."""

    def check(guest: Guest, call: Call) -> None:
        assert {name: getattr(ATTR.value, name) for name in fields} == fields

    return check


def on_cpu(mask: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        guest.syscall.sched_getaffinity(0, 8, MASK)
        assert MASK.value[:8] == pack("<Q", mask)

    return check


def first_cpu(guest: Guest, call: Call) -> None:
    assert (CPU.value, NODE.value) == (0, 0)


TOO_SMALL, TOO_LARGE = InOut(attr().replace(size=47)), InOut(attr().replace(size=4097))
NEWER = InOut(pack("<I", SIZE + 4) + bytes(SIZE - 4) + b"\1\0\0\0")


def says_size(at: InOut) -> Callable[[Guest, Call], None]:
    """After: the structure says how large this kernel's is."""

    def check(guest: Guest, call: Call) -> None:
        assert at.data is not None
        assert int.from_bytes(at.data[:4], "little") == SIZE

    return check


CASES = [
    ok("sched_yield", returns=0, rpcs=[]),
    ok("sched_getscheduler", 0, returns=SCHED_NORMAL, rpcs=[]),
    ok("sched_getscheduler", 0, returns=SCHED_RR | RESET, setup=runs(SCHED_RR | RESET, 3), rpcs=[],
       label="reset"),
    ok("sched_getscheduler", 1, returns=SCHED_NORMAL, user=USER, rpcs=[], label="of pid 1"),
    ok("sched_getscheduler", lambda g: (zombie(g),), returns=SCHED_NORMAL, rpcs=[], label="of a zombie"),
    fails("sched_getscheduler", EINVAL, -1, rpcs=[]),
    fails("sched_getscheduler", ESRCH, NOBODY, rpcs=[]),

    ok("sched_getparam", 0, NUMBER, returns=0, setup=runs(SCHED_FIFO, 7), check=wrote(NUMBER, 7), rpcs=[]),
    fails("sched_getparam", EINVAL, 0, NULL, rpcs=[], label="null"),
    fails("sched_getparam", EINVAL, -1, NUMBER, rpcs=[], label="negative"),
    fails("sched_getparam", ESRCH, NOBODY, BAD, rpcs=[]),
    fails("sched_getparam", EFAULT, 0, BAD, rpcs=[]),

    ok("sched_setscheduler", 0, SCHED_BATCH, priority(0), returns=0, check=now(SCHED_BATCH), rpcs=[]),
    ok("sched_setscheduler", 0, SCHED_FIFO, priority(99), returns=0, check=now(SCHED_FIFO, 99), rpcs=[],
       label="real time"),
    ok("sched_setscheduler", 0, SCHED_RR | RESET, priority(1), returns=0, check=now(SCHED_RR | RESET, 1),
       rpcs=[], label="reset on fork"),
    ok("sched_setscheduler", 0, SCHED_IDLE, priority(0), returns=0, user=USER, check=now(SCHED_IDLE), rpcs=[],
       label="user becomes idle"),
    ok("sched_setscheduler", 0, SCHED_NORMAL, priority(0), returns=0, setup=runs(SCHED_RR, 3), rpcs=[],
       check=now(SCHED_NORMAL), label="back"),
    ok("sched_setscheduler", 0, SCHED_FIFO, priority(10), returns=0, setup=limited(RLIMIT_RTPRIO, 10),
       rpcs=[], check=now(SCHED_FIFO, 10), label="user, within RLIMIT_RTPRIO"),
    fails("sched_setscheduler", EINVAL, 0, -1, BAD, rpcs=[], label="negative policy"),
    fails("sched_setscheduler", EINVAL, -1, SCHED_NORMAL, BAD, rpcs=[], label="negative pid"),
    fails("sched_setscheduler", EINVAL, 0, SCHED_NORMAL, NULL, rpcs=[], label="null"),
    fails("sched_setscheduler", EINVAL, 0, 4, priority(0), rpcs=[], label="unknown policy"),
    fails("sched_setscheduler", EINVAL, 0, SCHED_NORMAL, priority(1), rpcs=[],
          label="priority for a fair policy"),
    fails("sched_setscheduler", EINVAL, 0, SCHED_FIFO, priority(0), rpcs=[],
          label="real time without priority"),
    fails("sched_setscheduler", EINVAL, 0, SCHED_FIFO, priority(100), rpcs=[], label="priority too high"),
    fails("sched_setscheduler", EINVAL, 0, SCHED_FIFO, priority(-1), rpcs=[], label="negative priority"),
    fails("sched_setscheduler", EINVAL, 0, SCHED_DEADLINE, priority(0), rpcs=[],
          label="deadline without attributes"),
    fails("sched_setscheduler", EFAULT, NOBODY, SCHED_NORMAL, BAD, rpcs=[],
          label="before the task is looked for"),
    fails("sched_setscheduler", ESRCH, NOBODY, 4, priority(0), rpcs=[]),
    fails("sched_setscheduler", EPERM, 0, SCHED_FIFO, priority(1), user=USER, check=now(SCHED_NORMAL),
          rpcs=[], label="real time"),
    fails("sched_setscheduler", EPERM, 0, SCHED_FIFO, priority(11), setup=limited(RLIMIT_RTPRIO, 10), rpcs=[],
          label="beyond RLIMIT_RTPRIO"),
    fails("sched_setscheduler", EPERM, 1, SCHED_NORMAL, priority(0), user=USER, rpcs=[],
          label="another user"),
    fails("sched_setscheduler", EPERM, lambda g: (child_with_capabilities(g), SCHED_NORMAL, priority(0)),
          rpcs=[], label="one with more capabilities"),
    fails("sched_setscheduler", EPERM, 0, SCHED_NORMAL, priority(0), setup=user_runs(SCHED_IDLE),
          check=now(SCHED_IDLE), rpcs=[], label="idle no more"),
    fails("sched_setscheduler", EPERM, 0, SCHED_NORMAL, priority(0), setup=user_runs(SCHED_NORMAL | RESET),
          check=now(SCHED_NORMAL | RESET), rpcs=[], label="reset on fork no more"),

    ok("sched_setparam", 0, priority(5), returns=0, setup=runs(SCHED_RR | RESET, 3),
       check=now(SCHED_RR | RESET, 5), rpcs=[]),
    ok("sched_setparam", 0, priority(0), returns=0, user=USER, rpcs=[], label="of a fair policy"),
    ok("sched_setparam", 0, priority(2), returns=0, setup=user_runs(SCHED_RR, 3), check=now(SCHED_RR, 2),
       rpcs=[], label="user lowers it"),
    fails("sched_setparam", EINVAL, 0, NULL, rpcs=[], label="null"),
    fails("sched_setparam", EINVAL, -1, BAD, rpcs=[], label="negative pid"),
    fails("sched_setparam", EINVAL, 0, priority(1), rpcs=[], label="priority for a fair policy"),
    fails("sched_setparam", EFAULT, NOBODY, BAD, rpcs=[], label="before the task is looked for"),
    fails("sched_setparam", ESRCH, NOBODY, priority(1), rpcs=[]),
    fails("sched_setparam", EPERM, 0, priority(4), setup=user_runs(SCHED_RR, 3), check=now(SCHED_RR, 3),
          rpcs=[]),

    ok("sched_setattr", 0, attr(nice=3), 0, returns=0, check=now(SCHED_NORMAL, nice=3), rpcs=[]),
    ok("sched_setattr", 0, attr(SCHED_BATCH, nice=40), 0, returns=0, check=now(SCHED_BATCH, nice=19), rpcs=[],
       label="nice beyond the range"),
    ok("sched_setattr", 0, attr(SCHED_FIFO, RESET_FLAG, 9, 5), 0, returns=0, check=now(SCHED_FIFO | RESET, 5),
       rpcs=[], label="real time"),
    ok("sched_setattr", 0, attr(99, KEEP_POLICY, 0, 6), 0, returns=0, setup=runs(SCHED_RR | RESET, 3),
       rpcs=[], check=now(SCHED_RR | RESET, 6), label="keep policy, and the reset on fork"),
    ok("sched_setattr", 0, attr(0, KEEP_POLICY | RESET_FLAG), 0, returns=0, check=now(SCHED_NORMAL), rpcs=[],
       label="keep policy without a reset on fork"),
    ok("sched_setattr", 0, attr(SCHED_RR, KEEP_PARAMS | RESET_FLAG), 0, returns=0, setup=runs(SCHED_FIFO, 4),
       rpcs=[], check=now(SCHED_FIFO | RESET, 4), label="keep parameters, and the policy"),
    ok("sched_setattr", 0, Edge(attr(nice=5).replace(size=0).pack()[:SIZE_V0]), 0, returns=0, rpcs=[],
       check=now(SCHED_NORMAL, nice=5), label="size 0 is version 0"),
    ok("sched_setattr", 0, attr(nice=5).replace(size=SIZE + 8).pack() + bytes(8), 0, returns=0, rpcs=[],
       check=now(SCHED_NORMAL, nice=5), label="newer, with zeros"),
    fails("sched_setattr", E2BIG, 0, NEWER, 0, check=says_size(NEWER), rpcs=[], label="newer"),
    fails("sched_setattr", E2BIG, 0, TOO_SMALL, 0, check=says_size(TOO_SMALL), rpcs=[], label="too small"),
    fails("sched_setattr", E2BIG, NOBODY, TOO_LARGE, 0, check=says_size(TOO_LARGE), rpcs=[],
          label="too large"),
    fails("sched_setattr", E2BIG, read_only, rpcs=[], label="read-only"),
    fails("sched_setattr", EFAULT, NOBODY, BAD, 0, rpcs=[]),
    fails("sched_setattr", EFAULT, 0, Edge(attr().pack()[:40]), 0, rpcs=[], label="half of it"),
    fails("sched_setattr", EINVAL, 0, NULL, 0, rpcs=[], label="null"),
    fails("sched_setattr", EINVAL, -1, BAD, 0, rpcs=[], label="negative pid"),
    fails("sched_setattr", EINVAL, 0, BAD, 1, rpcs=[], label="flags"),
    fails("sched_setattr", EINVAL, NOBODY, attr(1 << 31, KEEP_POLICY), 0, rpcs=[], label="negative policy"),
    fails("sched_setattr", EINVAL, 0, attr(flags=1 << 20), 0, rpcs=[], label="unknown flags of it"),
    fails("sched_setattr", EINVAL, 0, attr(flags=KEEP_PARAMS, priority=5), 0, rpcs=[],
          label="a fair task keeps no priority"),
    fails("sched_setattr", EINVAL, 0, attr(flags=SCHED_FLAG_UTIL_CLAMP_MIN).replace(size=SIZE_V0), 0, rpcs=[],
          label="clamps in version 0"),
    fails("sched_setattr", ESRCH, NOBODY, attr(flags=1 << 20), 0, rpcs=[]),
    fails("sched_setattr", EPERM, 0, attr(nice=-1), 0, user=USER, check=now(SCHED_NORMAL), rpcs=[],
          label="nice"),
    fails("sched_setattr", EPERM, 1, attr(), 0, user=USER, rpcs=[], label="another user"),

    ok("sched_getattr", 0, ATTR, SIZE, 0, returns=0, setup=runs(SCHED_RR | RESET, 7), rpcs=[],
       check=gave(size=SIZE, sched_policy=SCHED_RR, sched_flags=RESET_FLAG, sched_priority=7, sched_nice=0)),
    ok("sched_getattr", 0, ATTR, SIZE, 0, returns=0,
       setup=lambda g: g.syscall.setpriority(PRIO_PROCESS, 0, 6),
       check=gave(sched_policy=SCHED_NORMAL, sched_flags=0, sched_nice=6, sched_priority=0), rpcs=[],
       label="nice"),
    ok("sched_getattr", 0, Edge(ATTR_V0), SIZE_V0, 0, returns=0, rpcs=[], label="version 0"),
    fails("sched_getattr", EINVAL, 0, NULL, SIZE, 0, rpcs=[], label="null"),
    fails("sched_getattr", EINVAL, -1, ATTR, SIZE, 0, rpcs=[], label="negative pid"),
    fails("sched_getattr", EINVAL, NOBODY, BAD, SIZE_V0 - 1, 0, rpcs=[], label="too small"),
    fails("sched_getattr", EINVAL, NOBODY, BAD, 4097, 0, rpcs=[], label="too large"),
    fails("sched_getattr", EINVAL, NOBODY, BAD, SIZE, 1, rpcs=[], label="flags"),
    fails("sched_getattr", ESRCH, NOBODY, BAD, SIZE, 0, rpcs=[]),
    fails("sched_getattr", EFAULT, 0, Edge(Out(SIZE - 1)), SIZE, 0, rpcs=[]),

    ok("sched_get_priority_max", SCHED_FIFO, returns=99, rpcs=[], label="fifo"),
    ok("sched_get_priority_max", SCHED_RR, returns=99, rpcs=[], label="rr"),
    ok("sched_get_priority_max", SCHED_NORMAL, returns=0, rpcs=[], label="normal"),
    ok("sched_get_priority_max", SCHED_DEADLINE, returns=0, rpcs=[], label="deadline"),
    fails("sched_get_priority_max", EINVAL, 4, rpcs=[]),
    fails("sched_get_priority_max", EINVAL, SCHED_FIFO | RESET, rpcs=[], label="reset on fork"),
    ok("sched_get_priority_min", SCHED_FIFO, returns=1, rpcs=[], label="fifo"),
    ok("sched_get_priority_min", SCHED_RR, returns=1, rpcs=[], label="rr"),
    ok("sched_get_priority_min", SCHED_IDLE, returns=0, rpcs=[], label="idle"),
    fails("sched_get_priority_min", EINVAL, -1, rpcs=[]),

    ok("sched_rr_get_interval", 0, SLICE, returns=0, setup=runs(SCHED_RR, 1),
       check=wrote(SLICE, (0, 100_000_000)), rpcs=[], label="rr"),
    ok("sched_rr_get_interval", 0, SLICE, returns=0, setup=runs(SCHED_FIFO, 1), check=wrote(SLICE, (0, 0)),
       rpcs=[], label="fifo"),
    ok("sched_rr_get_interval", 0, SLICE, returns=0, rpcs=[], label="normal"),
    fails("sched_rr_get_interval", EINVAL, -1, BAD, rpcs=[]),
    fails("sched_rr_get_interval", ESRCH, NOBODY, BAD, rpcs=[]),
    fails("sched_rr_get_interval", EFAULT, 0, BAD, rpcs=[]),

    ok("sched_getaffinity", 0, 8, MASK, returns=8, check=wrote(MASK, ONE_CPU + b"\xff" * 8), rpcs=[]),
    ok("sched_getaffinity", lambda g: (zombie(g), 16, MASK), returns=8, rpcs=[], label="of a zombie"),
    fails("sched_getaffinity", EINVAL, NOBODY, 0, BAD, rpcs=[], label="no room"),
    fails("sched_getaffinity", EINVAL, 0, 12, MASK, rpcs=[], label="half a word"),
    fails("sched_getaffinity", EINVAL, 0, 1 << 29, MASK, rpcs=[], label="no room in bits of 32 bits"),
    fails("sched_getaffinity", ESRCH, NOBODY, 8, BAD, rpcs=[]),
    fails("sched_getaffinity", ESRCH, -1, 8, BAD, rpcs=[], label="negative"),
    fails("sched_getaffinity", EFAULT, 0, 8, Edge(Out(7)), rpcs=[]),

    ok("sched_setaffinity", 0, 8, ONE_CPU, returns=0, check=on_cpu(1), rpcs=[]),
    ok("sched_setaffinity", 0, 1, Edge(b"\3"), returns=0, check=on_cpu(1), rpcs=[], label="a short mask"),
    ok("sched_setaffinity", 0, 128, Edge(ONE_CPU), returns=0, rpcs=[],
       label="a long mask of which little is read"),
    fails("sched_setaffinity", EINVAL, 0, 8, pack("<Q", 1 << 40), check=on_cpu(1), rpcs=[],
          label="no such CPU"),
    fails("sched_setaffinity", EINVAL, 0, 0, BAD, rpcs=[], label="nothing"),
    fails("sched_setaffinity", EFAULT, NOBODY, 8, BAD, rpcs=[]),
    fails("sched_setaffinity", ESRCH, NOBODY, 8, bytes(8), rpcs=[]),
    fails("sched_setaffinity", EPERM, 1, 8, bytes(8), user=USER, rpcs=[]),
    fails("sched_setaffinity", EPERM, lambda g: (child_with_capabilities(g), 8, ONE_CPU), rpcs=[],
          label="one with more capabilities"),

    ok("getcpu", CPU, NODE, BAD, returns=0, check=first_cpu, rpcs=[],
       unfaulted=("tcache: Linux looks at it no more",)),
    ok("getcpu", NULL, NULL, NULL, returns=0, rpcs=[], label="nothing"),
    fails("getcpu", EFAULT, CPU, BAD, NULL, rpcs=[]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "value", "nice", "of_child"),
    [(SCHED_FIFO, 5, 5, (SCHED_NORMAL, 0, 0)), (SCHED_BATCH, 0, 5, (SCHED_BATCH, 0, 5)),
     (SCHED_NORMAL, 0, -5, (SCHED_NORMAL, 0, 0))],
)  # fmt: skip
@proves("sched_setscheduler", SUCCESS, rpcs=[])
def test_reset_on_fork_takes_from_a_child_what_is_privileged(
    guest: Guest, policy: int, value: int, nice: int, of_child: tuple[int, int, int]
) -> None:
    guest.syscall.setpriority(PRIO_PROCESS, 0, nice)
    guest.syscall.sched_setscheduler(0, policy | RESET, priority(value))
    assert state(guest, guest.fork()) == of_child


@proves("sched_setscheduler", SUCCESS, rpcs=[])
def test_policies_are_of_threads_and_inherited(guest: Guest) -> None:
    thread = guest.thread()
    guest.syscall.sched_setscheduler(thread.tid, SCHED_RR, priority(4))
    assert state(guest) == (SCHED_NORMAL, 0, 0)
    assert state(guest, guest.fork(thread)) == (SCHED_RR, 4, 0)


@proves("sched_getscheduler", SUCCESS, rpcs=[])
@proves("sched_setaffinity", SUCCESS, rpcs=[])
def test_a_leader_that_has_exited_is_a_task_while_its_threads_run(guest: Guest) -> None:
    child = guest.fork()
    guest.syscall.sched_setscheduler(child.tid, SCHED_BATCH, priority(0))
    thread = guest.thread(child)
    child.syscall.exit(0)
    assert thread.syscall.sched_getscheduler(child.tid) == SCHED_BATCH
    assert thread.syscall.sched_setaffinity(child.tid, 8, ONE_CPU) == 0


@proves("sched_setscheduler", SUCCESS, EPERM, rpcs=[])
def test_what_rlimit_rtprio_took_back_can_only_be_lowered(guest: Guest) -> None:
    runs(SCHED_FIFO, 10)(guest)
    limited(RLIMIT_RTPRIO, 0)(guest)
    assert guest.start.sched_setscheduler(0, SCHED_RR, priority(9)).errno == EPERM
    assert guest.start.sched_setscheduler(0, SCHED_FIFO, priority(9)).errno == 0
    assert guest.start.sched_setscheduler(0, SCHED_FIFO, priority(10)).errno == EPERM


@proves("sched_setscheduler", SUCCESS, rpcs=[])
@proves("sched_setattr", SUCCESS, EPERM, rpcs=[])
def test_rlimit_nice_allows_a_user_to_raise_and_to_leave_idle(guest: Guest) -> None:
    guest.syscall.setpriority(PRIO_PROCESS, 0, 5)
    runs(SCHED_IDLE)(guest)
    limited(RLIMIT_NICE, 16)(guest)
    guest.syscall.sched_setscheduler(0, SCHED_NORMAL, priority(0))
    assert guest.start.sched_setattr(0, attr(nice=3), 0).errno == EPERM
    guest.syscall.sched_setattr(0, attr(nice=4), 0)
    assert state(guest) == (SCHED_NORMAL, 0, 4)


@proves("sched_setscheduler", SUCCESS, rpcs=[])
def test_asking_for_real_time_is_recorded_once_per_change(guest: Guest) -> None:
    guest.syscall.sched_setscheduler(0, SCHED_BATCH, priority(0))
    assert guest.unsupported == []
    guest.syscall.sched_setscheduler(0, SCHED_FIFO, priority(5))
    guest.syscall.sched_setscheduler(0, SCHED_FIFO, priority(6))
    assert [(missing.what, missing.times) for missing in guest.unsupported] == [("real-time scheduling", 1)]


@proves("sched_setattr", EINVAL, SUCCESS, rpcs=[])
def test_what_is_missing_is_recorded(guest: Guest) -> None:
    assert guest.start.sched_setattr(0, attr(SCHED_DEADLINE), 0).errno == EINVAL
    guest.syscall.sched_setattr(0, attr(flags=SCHED_FLAG_UTIL_CLAMP_MIN), 0)
    wanted = ["SCHED_DEADLINE", "sched_setattr: utilization clamps"]
    assert [missing.what for missing in guest.unsupported] == wanted


@proves("sched_setparam", SUCCESS, rpcs=[])
@proves("sched_setscheduler", SUCCESS, rpcs=[])
@proves("sched_setattr", SUCCESS, rpcs=[])
def test_whoever_has_a_higher_priority_now_runs_first(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    gave_way = []

    async def yield_(t: Task) -> None:
        gave_way.append(t.tid)

    monkeypatch.setattr(Task, "yield_", yield_)
    other = guest.process().pid
    guest.syscall.sched_setscheduler(0, SCHED_FIFO, priority(5))
    guest.syscall.sched_setscheduler(other, SCHED_FIFO, priority(5))
    assert gave_way == []
    guest.syscall.sched_setparam(other, priority(6))
    guest.syscall.sched_setparam(0, priority(6))
    guest.syscall.sched_setattr(0, attr(SCHED_FIFO, priority=5), 0)
    guest.syscall.sched_setscheduler(0, SCHED_NORMAL, priority(0))
    assert gave_way == [guest.main.tid] * 3
