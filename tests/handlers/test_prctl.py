"""prctl (man 2 prctl)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linuxemu.testing import BAD, NULL, Edge
from syscalls.abi.errno import EFAULT, EINVAL, EPERM
from syscalls.abi.flags import (
    CAP_CHOWN,
    CAP_KILL,
    CAP_LAST_CAP,
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAP_AMBIENT_IS_SET,
    PR_CAP_AMBIENT_LOWER,
    PR_CAP_AMBIENT_RAISE,
    PR_CAPBSET_DROP,
    PR_CAPBSET_READ,
    PR_GET_CHILD_SUBREAPER,
    PR_GET_DUMPABLE,
    PR_GET_KEEPCAPS,
    PR_GET_MDWE,
    PR_GET_NAME,
    PR_GET_NO_NEW_PRIVS,
    PR_GET_PDEATHSIG,
    PR_GET_SECCOMP,
    PR_GET_SECUREBITS,
    PR_GET_THP_DISABLE,
    PR_GET_TID_ADDRESS,
    PR_GET_TIMERSLACK,
    PR_GET_TIMING,
    PR_GET_TSC,
    PR_GET_UNALIGN,
    PR_MCE_KILL,
    PR_MCE_KILL_CLEAR,
    PR_MCE_KILL_DEFAULT,
    PR_MCE_KILL_EARLY,
    PR_MCE_KILL_GET,
    PR_MCE_KILL_LATE,
    PR_MCE_KILL_SET,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_KEEPCAPS,
    PR_SET_MM,
    PR_SET_NAME,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    PR_SET_SECUREBITS,
    PR_SET_THP_DISABLE,
    PR_SET_TIMERSLACK,
    PR_SET_TIMING,
    PR_SET_TSC,
    PR_SET_VMA,
    PR_TIMING_TIMESTAMP,
    PR_TSC_ENABLE,
    PR_TSC_SIGSEGV,
    SCHED_FIFO,
    SCHED_NORMAL,
    SECBIT_KEEP_CAPS,
    SECBIT_KEEP_CAPS_LOCKED,
    SECBIT_NO_CAP_AMBIENT_RAISE,
    SECBIT_NOROOT,
    SIGTERM,
)
from syscalls.abi.structs import CapUserData, CapUserHeader
from tests.handlers.cases import SUCCESS, Out, fails, ok, proves

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call, Guest

USER = (1000, 1000)
V3 = 0x2008_0522
NAME, INT, LONG = Out(16, b"x"), Out("<i"), Out("<Q")
AMBIENT = PR_CAP_AMBIENT
RAISE, LOWER, IS_SET, CLEAR = (
    PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_LOWER, PR_CAP_AMBIENT_IS_SET, PR_CAP_AMBIENT_CLEAR_ALL,
)  # fmt: skip


def before(*calls: tuple[int, ...]) -> Callable[[Guest], None]:
    """Before: other calls of prctl."""

    def setup(guest: Guest) -> None:
        for args in calls:
            guest.syscall.prctl(*args)

    return setup


def then(value: int, *args: int) -> Callable[[Guest, Call], None]:
    """After: what another call of prctl returns."""

    def check(guest: Guest, call: Call) -> None:
        assert guest.syscall.prctl(*args) == value

    return check


def wrote(out: Out, value: object) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert out.value == value

    return check


def named(name: bytes) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        out = Out(16, b"x")
        guest.syscall.prctl(PR_GET_NAME, out)
        assert out.value == name.ljust(16, b"\0")

    return check


def dies_with(signo: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        guest.syscall.prctl(PR_GET_PDEATHSIG, INT)
        assert INT.value == signo

    return check


def inherits_kill(guest: Guest) -> None:
    """Before: the caller's permitted set is full, its inheritable one holds CAP_KILL."""
    low = 0xFFFF_FFFF
    high = (1 << CAP_LAST_CAP - 31) - 1
    sets = CapUserData(low, low, 1 << CAP_KILL).pack() + CapUserData(high, high, 0).pack()
    guest.syscall.capset(CapUserHeader(V3, 0), sets)


def raised(guest: Guest) -> None:
    """Before: CAP_KILL is ambient."""
    inherits_kill(guest)
    guest.syscall.prctl(AMBIENT, RAISE, CAP_KILL)


def not_raisable(guest: Guest) -> None:
    inherits_kill(guest)
    guest.syscall.prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE)


def realtime(guest: Guest) -> None:
    guest.syscall.sched_setscheduler(0, SCHED_FIFO, (1).to_bytes(4, "little"))


def forgotten(guest: Guest) -> tuple[object, ...]:
    guest.syscall.set_tid_address(0x1234)
    return (PR_GET_TID_ADDRESS, LONG)


CASES = [
    ok("prctl", PR_SET_NAME, "a name", returns=0, check=named(b"a name"), rpcs=[], label="name"),
    ok("prctl", PR_SET_NAME, "sixteen bytes and", returns=0, check=named(b"sixteen bytes a"), rpcs=[],
       label="long name"),
    ok("prctl", PR_SET_NAME, Edge("abc"), returns=0, check=named(b"abc"), rpcs=[], label="name at an edge"),
    ok("prctl", PR_SET_NAME, Edge(b"fifteen bytes.."), returns=0, check=named(b"fifteen bytes.."), rpcs=[],
       label="name without a NUL at an edge"),
    ok("prctl", PR_GET_NAME, NAME, returns=0, check=wrote(NAME, b"guest".ljust(16, b"\0")), rpcs=[],
       label="get name"),
    fails("prctl", EFAULT, PR_SET_NAME, BAD, check=named(b"guest"), rpcs=[], label="name"),
    fails("prctl", EFAULT, PR_SET_NAME, Edge(b"abcd"), check=named(b"guest"), rpcs=[], label="name goes on"),
    fails("prctl", EFAULT, PR_GET_NAME, BAD, rpcs=[], label="get name"),
    fails("prctl", EFAULT, PR_GET_NAME, Edge(bytes(15)), rpcs=[], label="get name, 15 bytes"),

    ok("prctl", PR_SET_PDEATHSIG, SIGTERM, returns=0, check=dies_with(SIGTERM), rpcs=[],
       label="death signal"),
    ok("prctl", PR_GET_PDEATHSIG, INT, returns=0, setup=before((PR_SET_PDEATHSIG, 64)), check=wrote(INT, 64),
       rpcs=[], label="get death signal"),
    fails("prctl", EINVAL, PR_SET_PDEATHSIG, 65, rpcs=[], label="death signal"),
    fails("prctl", EINVAL, PR_SET_PDEATHSIG, -1, rpcs=[], label="negative death signal"),
    fails("prctl", EFAULT, PR_GET_PDEATHSIG, BAD, rpcs=[], label="get death signal"),

    ok("prctl", PR_GET_DUMPABLE, returns=1, rpcs=[], label="get dumpable"),
    ok("prctl", PR_SET_DUMPABLE, 0, returns=0, check=then(0, PR_GET_DUMPABLE), rpcs=[], label="dumpable"),
    fails("prctl", EINVAL, PR_SET_DUMPABLE, 2, check=then(1, PR_GET_DUMPABLE), rpcs=[],
          label="dumpable by root only"),
    fails("prctl", EINVAL, PR_SET_DUMPABLE, 1 << 32, rpcs=[], label="dumpable, 64 bits"),

    ok("prctl", PR_SET_KEEPCAPS, 1, returns=0, check=then(1, PR_GET_KEEPCAPS), rpcs=[], label="keep"),
    ok("prctl", PR_SET_KEEPCAPS, 0, returns=0, setup=before((PR_SET_KEEPCAPS, 1)),
       check=then(0, PR_GET_KEEPCAPS), rpcs=[], label="keep no more"),
    ok("prctl", PR_GET_KEEPCAPS, returns=0, rpcs=[], label="get keep"),
    fails("prctl", EINVAL, PR_SET_KEEPCAPS, 2, rpcs=[], label="keep"),
    fails("prctl", EPERM, PR_SET_KEEPCAPS, 0, setup=before((PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED)),
          rpcs=[], label="keep is locked"),
    ok("prctl", PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NOROOT, returns=0,
       check=then(0x11, PR_GET_SECUREBITS), rpcs=[], label="secure bits"),
    ok("prctl", PR_GET_SECUREBITS, returns=0, rpcs=[], label="get secure bits"),
    fails("prctl", EPERM, PR_SET_SECUREBITS, SECBIT_NOROOT, user=USER, rpcs=[],
          label="secure bits of a user"),
    fails("prctl", EPERM, PR_SET_SECUREBITS, 1 << 12, rpcs=[], label="unknown secure bits"),
    fails("prctl", EPERM, PR_SET_SECUREBITS, 0, setup=before((PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED)),
          rpcs=[], label="lock of a secure bit"),
    fails("prctl", EPERM, PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_KEEP_CAPS_LOCKED,
          setup=before((PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED)), rpcs=[], label="locked secure bit"),

    ok("prctl", PR_CAPBSET_READ, CAP_LAST_CAP, returns=1, rpcs=[], label="get bounding set"),
    ok("prctl", PR_CAPBSET_DROP, CAP_KILL, returns=0, check=then(0, PR_CAPBSET_READ, CAP_KILL), rpcs=[],
       label="bounding set"),
    fails("prctl", EINVAL, PR_CAPBSET_READ, CAP_LAST_CAP + 1, rpcs=[], label="get bounding set"),
    fails("prctl", EINVAL, PR_CAPBSET_DROP, CAP_LAST_CAP + 1, rpcs=[], label="bounding set"),
    fails("prctl", EPERM, PR_CAPBSET_DROP, 99, user=USER, check=then(1, PR_CAPBSET_READ, CAP_KILL), rpcs=[],
          label="bounding set"),

    ok("prctl", AMBIENT, RAISE, CAP_KILL, returns=0, setup=inherits_kill,
       check=then(1, AMBIENT, IS_SET, CAP_KILL), rpcs=[], label="raise"),
    ok("prctl", AMBIENT, LOWER, CAP_KILL, returns=0, setup=raised, check=then(0, AMBIENT, IS_SET, CAP_KILL),
       rpcs=[], label="lower"),
    ok("prctl", AMBIENT, CLEAR, returns=0, setup=raised, check=then(0, AMBIENT, IS_SET, CAP_KILL), rpcs=[],
       label="clear"),
    ok("prctl", AMBIENT, IS_SET, CAP_KILL, returns=1, setup=raised, rpcs=[], label="is raised"),
    fails("prctl", EPERM, AMBIENT, RAISE, CAP_CHOWN, setup=inherits_kill, rpcs=[],
          label="raise, not inheritable"),
    fails("prctl", EPERM, AMBIENT, RAISE, CAP_KILL, user=USER, rpcs=[], label="raise, not permitted"),
    fails("prctl", EPERM, AMBIENT, RAISE, CAP_KILL, setup=not_raisable, rpcs=[], label="raise, secured"),
    fails("prctl", EINVAL, AMBIENT, RAISE, CAP_LAST_CAP + 1, rpcs=[], label="raise"),
    fails("prctl", EINVAL, AMBIENT, IS_SET, CAP_KILL, 1, rpcs=[], label="is raised, with a fourth argument"),
    fails("prctl", EINVAL, AMBIENT, LOWER, CAP_KILL, 0, 1, rpcs=[], label="lower, with a fifth argument"),
    fails("prctl", EINVAL, AMBIENT, CLEAR, 1, setup=raised, check=then(1, AMBIENT, IS_SET, CAP_KILL), rpcs=[],
          label="clear, with a capability"),
    fails("prctl", EINVAL, AMBIENT, 5, CAP_KILL, rpcs=[], label="ambient what"),

    ok("prctl", PR_SET_NO_NEW_PRIVS, 1, returns=0, check=then(1, PR_GET_NO_NEW_PRIVS), rpcs=[],
       label="no privileges"),
    ok("prctl", PR_GET_NO_NEW_PRIVS, returns=0, rpcs=[], label="get no privileges"),
    fails("prctl", EINVAL, PR_SET_NO_NEW_PRIVS, 0, setup=before((PR_SET_NO_NEW_PRIVS, 1)),
          check=then(1, PR_GET_NO_NEW_PRIVS), rpcs=[], label="no privileges taken back"),
    fails("prctl", EINVAL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 1, check=then(0, PR_GET_NO_NEW_PRIVS), rpcs=[],
          label="no privileges"),
    fails("prctl", EINVAL, PR_GET_NO_NEW_PRIVS, 1, rpcs=[], label="get no privileges"),

    ok("prctl", PR_SET_TIMERSLACK, 77, returns=0, check=then(77, PR_GET_TIMERSLACK), rpcs=[], label="slack"),
    ok("prctl", PR_SET_TIMERSLACK, 0, returns=0, setup=before((PR_SET_TIMERSLACK, 77)),
       check=then(50_000, PR_GET_TIMERSLACK), rpcs=[], label="default slack"),
    ok("prctl", PR_GET_TIMERSLACK, returns=50_000, rpcs=[], label="get slack"),
    ok("prctl", PR_GET_TIMERSLACK, returns=0, setup=realtime, rpcs=[], label="get slack of a real-time task"),
    ok("prctl", PR_SET_TIMERSLACK, 77, returns=0, setup=realtime, check=then(0, PR_GET_TIMERSLACK), rpcs=[],
       label="slack of a real-time task"),

    ok("prctl", PR_SET_CHILD_SUBREAPER, 7, returns=0, rpcs=[], label="subreaper"),
    ok("prctl", PR_GET_CHILD_SUBREAPER, INT, returns=0, setup=before((PR_SET_CHILD_SUBREAPER, 7)),
       check=wrote(INT, 1), rpcs=[], label="get subreaper"),
    fails("prctl", EFAULT, PR_GET_CHILD_SUBREAPER, BAD, rpcs=[], label="get subreaper"),

    ok("prctl", forgotten, returns=0, check=wrote(LONG, 0x1234), rpcs=[], label="get address of tid"),
    fails("prctl", EFAULT, PR_GET_TID_ADDRESS, BAD, rpcs=[], label="get address of tid"),
    ok("prctl", PR_GET_TSC, INT, returns=0, check=wrote(INT, PR_TSC_ENABLE), rpcs=[],
       label="get time stamps"),
    ok("prctl", PR_SET_TSC, PR_TSC_ENABLE, returns=0, rpcs=[], label="time stamps"),
    fails("prctl", EFAULT, PR_GET_TSC, NULL, rpcs=[], label="get time stamps"),
    fails("prctl", EINVAL, PR_SET_TSC, 0, rpcs=[], label="time stamps"),
    ok("prctl", PR_GET_TIMING, returns=0, rpcs=[], label="get timing"),
    ok("prctl", PR_SET_TIMING, 0, returns=0, rpcs=[], label="timing"),
    fails("prctl", EINVAL, PR_SET_TIMING, PR_TIMING_TIMESTAMP, rpcs=[], label="timing"),
    ok("prctl", PR_GET_SECCOMP, returns=0, rpcs=[], label="get seccomp"),
    ok("prctl", PR_SET_THP_DISABLE, 7, returns=0, check=then(1, PR_GET_THP_DISABLE), rpcs=[], label="huge pages"),
    ok("prctl", PR_SET_THP_DISABLE, 0, returns=0, setup=before((PR_SET_THP_DISABLE, 1)),
       check=then(0, PR_GET_THP_DISABLE), rpcs=[], label="huge pages again"),
    fails("prctl", EINVAL, PR_SET_THP_DISABLE, 1, 0, 0, 1, check=then(0, PR_GET_THP_DISABLE), rpcs=[],
          label="huge pages"),
    ok("prctl", PR_GET_THP_DISABLE, returns=0, rpcs=[], label="get huge pages"),
    fails("prctl", EINVAL, PR_GET_THP_DISABLE, 1, rpcs=[], label="get huge pages"),
    ok("prctl", PR_GET_MDWE, returns=0, rpcs=[], label="get mdwe"),
    fails("prctl", EINVAL, PR_GET_MDWE, 0, 0, 0, 1, rpcs=[], label="get mdwe"),
    ok("prctl", PR_MCE_KILL_GET, returns=2, rpcs=[], label="get mce kill"),
    fails("prctl", EINVAL, PR_MCE_KILL_GET, 1, rpcs=[], label="get mce kill"),
    ok("prctl", PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, returns=0,
       check=then(PR_MCE_KILL_EARLY, PR_MCE_KILL_GET), rpcs=[], label="mce kill"),
    ok("prctl", PR_MCE_KILL, PR_MCE_KILL_CLEAR, returns=0,
       setup=before((PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE)),
       check=then(PR_MCE_KILL_DEFAULT, PR_MCE_KILL_GET), rpcs=[], label="mce kill cleared"),
    fails("prctl", EINVAL, PR_MCE_KILL, PR_MCE_KILL_CLEAR, 1, rpcs=[], label="mce kill cleared"),
    fails("prctl", EINVAL, PR_MCE_KILL, PR_MCE_KILL_SET, 3, rpcs=[], label="mce kill"),
    fails("prctl", EINVAL, PR_MCE_KILL, 2, rpcs=[], label="mce kill, neither"),
    fails("prctl", EINVAL, PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 1, rpcs=[], label="mce kill and more"),
    fails("prctl", EINVAL, 0, rpcs=[], label="no such operation"),
]  # fmt: skip


@proves("prctl", SUCCESS, rpcs=[])
def test_the_default_slack_is_what_the_parent_had(guest: Guest) -> None:
    guest.syscall.prctl(PR_SET_TIMERSLACK, 1234)
    for other in (guest.fork(), guest.thread()):
        assert other.syscall.prctl(PR_GET_TIMERSLACK) == 1234
        other.syscall.prctl(PR_SET_TIMERSLACK, 77)
        other.syscall.prctl(PR_SET_TIMERSLACK, 0)
        assert other.syscall.prctl(PR_GET_TIMERSLACK) == 1234


def test_slack_comes_back_when_a_task_is_real_time_no_more(guest: Guest) -> None:
    guest.syscall.prctl(PR_SET_TIMERSLACK, 1234)
    realtime(guest)
    child = guest.fork()
    guest.syscall.sched_setscheduler(0, SCHED_NORMAL, bytes(4))
    assert guest.syscall.prctl(PR_GET_TIMERSLACK) == 50_000
    child.syscall.sched_setscheduler(0, SCHED_NORMAL, bytes(4))
    assert child.syscall.prctl(PR_GET_TIMERSLACK) == 0


@proves("prctl", SUCCESS, rpcs=[])
def test_the_death_signal_comes_when_the_parent_exits(guest: Guest) -> None:
    child = guest.fork()
    grandchild = guest.fork(child)
    got = guest.on_signal(SIGTERM, thread=grandchild)
    grandchild.syscall.prctl(PR_SET_PDEATHSIG, SIGTERM)
    child.syscall.exit_group(0)
    grandchild.syscall.getpid()
    assert got.signals == [SIGTERM]


@proves("prctl", SUCCESS, rpcs=[])
def test_a_subreaper_adopts_orphans(guest: Guest) -> None:
    guest.syscall.prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = guest.fork()
    orphan = guest.fork(child)
    child.syscall.exit_group(0)
    assert orphan.syscall.getppid() == guest.main.pid


def test_capabilities_are_kept_when_root_becomes_a_user(guest: Guest) -> None:
    guest.syscall.prctl(PR_SET_KEEPCAPS, 1)
    guest.syscall.setresuid(1000, 1000, 1000)
    out = Out("<6I")
    guest.syscall.capget(CapUserHeader(V3, 0), out)
    assert out.value[0] == 0
    assert out.value[1] == 0xFFFF_FFFF


@pytest.mark.parametrize(
    ("args", "recorded"),
    [((PR_SET_MM, 1), ["prctl 35"]), ((PR_SET_TSC, PR_TSC_SIGSEGV), ["prctl: PR_TSC_SIGSEGV"]),
     ((PR_GET_UNALIGN, NULL), []), ((PR_SET_VMA, 0), [])],
)  # fmt: skip
@proves("prctl", EINVAL, rpcs=[])
def test_what_is_missing_is_recorded_and_what_x86_has_not_is_not(
    guest: Guest, args: tuple[int, ...], recorded: list[str]
) -> None:
    assert guest.start.prctl(*args).errno == EINVAL
    assert [missing.what for missing in guest.unsupported] == recorded


@proves("prctl", SUCCESS, rpcs=[])
def test_children_inherit_policies_about_memory(guest: Guest) -> None:
    guest.syscall.prctl(PR_SET_THP_DISABLE, 1)
    guest.syscall.prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE)
    child = guest.fork()
    assert child.syscall.prctl(PR_GET_THP_DISABLE) == 1
    assert child.syscall.prctl(PR_MCE_KILL_GET) == PR_MCE_KILL_LATE
