"""Limits, usage, nice values, I/O priorities (man 2 getrlimit, getrusage, getpriority, ioprio_set)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.testing import BAD, NULL
from syscalls.abi.errno import EACCES, EFAULT, EINVAL, EMFILE, EPERM, ESRCH
from syscalls.abi.flags import (
    CAP_KILL,
    IOPRIO_CLASS_BE,
    IOPRIO_CLASS_IDLE,
    IOPRIO_CLASS_RT,
    IOPRIO_CLASS_SHIFT,
    IOPRIO_WHO_PGRP,
    IOPRIO_WHO_PROCESS,
    IOPRIO_WHO_USER,
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    PR_SET_KEEPCAPS,
    PRIO_PGRP,
    PRIO_PROCESS,
    PRIO_USER,
    PROT_READ,
    RLIM_INFINITY,
    RLIMIT_CPU,
    RLIMIT_NICE,
    RLIMIT_NOFILE,
    RUSAGE_CHILDREN,
    RUSAGE_SELF,
    RUSAGE_THREAD,
    SCHED_FIFO,
    SCHED_IDLE,
    SIGXCPU,
)
from syscalls.abi.structs import CapUserData, CapUserHeader, Rlimit, Rusage
from tests.handlers.cases import SUCCESS, Out, fails, ok, proves

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call, Guest
    from linuxemu.testing.thread import GuestThread

USER = (1000, 1000)
NOBODY = 0x3FFF_FFFF
NO_UID = 54321
LIMITS = 16
V3 = 0x2008_0522
LIMIT, USAGE = Out(Rlimit), Out(Rusage)
FILES = RLIMIT_NOFILE
NR_OPEN = 1 << 20
RT, BE, IDLE = (kind << IOPRIO_CLASS_SHIFT for kind in (IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE))


def limited(soft: int, hard: int, resource: int = FILES) -> Callable[[Guest], None]:
    """Before: a limit."""

    def setup(guest: Guest) -> None:
        guest.syscall.setrlimit(resource, Rlimit(soft, hard))

    return setup


def limited_user(soft: int, hard: int, resource: int = FILES) -> Callable[[Guest], None]:
    """Before: the caller was root when it set the limit, and is user 1000 now."""

    def setup(guest: Guest) -> None:
        guest.syscall.setrlimit(resource, Rlimit(soft, hard))
        user(guest.main)

    return setup


def user(thread: GuestThread, uid: int = 1000) -> GuestThread:
    thread.syscall.setresgid(uid, uid, uid)
    thread.syscall.setresuid(uid, uid, uid)
    return thread


def limit_is(soft: int, hard: int, resource: int = FILES) -> Callable[[Guest, Call], None]:
    """After: a limit."""

    def check(guest: Guest, call: Call) -> None:
        out = Out(Rlimit)
        guest.syscall.getrlimit(resource, out)
        assert out.value == (soft, hard)

    return check


def wrote_limit(soft: int, hard: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert LIMIT.value == (soft, hard)

    return check


def used_memory(guest: Guest, call: Call) -> None:
    assert USAGE.value.ru_maxrss > 0
    assert USAGE.value.ru_ixrss == USAGE.value.ru_nsignals == 0


def nice_is(value: int) -> Callable[[Guest, Call], None]:
    """After: the caller's nice value."""

    def check(guest: Guest, call: Call) -> None:
        assert 20 - guest.syscall.getpriority(PRIO_PROCESS, 0) == value

    return check


def nice(value: int) -> Callable[[Guest], None]:
    """Before: the caller's nice value."""

    def setup(guest: Guest) -> None:
        guest.syscall.setpriority(PRIO_PROCESS, 0, value)

    return setup


def io_priority_is(value: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert guest.syscall.ioprio_get(IOPRIO_WHO_PROCESS, 0) == value

    return check


def io_priority(value: int) -> Callable[[Guest], None]:
    def setup(guest: Guest) -> None:
        guest.syscall.ioprio_set(IOPRIO_WHO_PROCESS, 0, value)

    return setup


def scheduled(policy: int, priority: int = 0) -> Callable[[Guest], None]:
    """Before: the caller's scheduling policy."""

    def setup(guest: Guest) -> None:
        guest.syscall.sched_setscheduler(0, policy, priority.to_bytes(4, "little"))

    return setup


def child_of(uid: int) -> Callable[[Guest], int]:
    """Makes a child that becomes another user; returns its pid."""

    def make(guest: Guest) -> int:
        return user(guest.fork(), uid).pid

    return make


def zombie(guest: Guest) -> int:
    """A child that has exited, leader of a process group of its own."""
    child = guest.fork()
    child.syscall.setpgid(0, 0)
    child.syscall.exit_group(0)
    return child.pid


def child_with_capabilities(guest: Guest) -> int:
    """A child that, like the caller, becomes user 1000, and keeps a capability."""
    child = guest.fork()
    child.syscall.prctl(PR_SET_KEEPCAPS, 1)
    user(child)
    mask = 1 << CAP_KILL
    child.syscall.capset(CapUserHeader(V3, 0), CapUserData(0, mask, 0).pack() + bytes(12))
    user(guest.main)
    return child.pid


def of_a_user(guest: Guest, other: GuestThread) -> int:
    """The caller becomes user 1000; returns the pid of the other."""
    user(guest.main)
    return other.pid


CASES = [
    ok("getrlimit", FILES, LIMIT, returns=0, setup=limited(5, 10), check=wrote_limit(5, 10), rpcs=[]),
    fails("getrlimit", EINVAL, LIMITS, BAD, rpcs=[]),
    fails("getrlimit", EINVAL, -1, LIMIT, rpcs=[], label="negative"),
    fails("getrlimit", EFAULT, FILES, BAD, rpcs=[]),

    ok("setrlimit", FILES, Rlimit(5, 10), returns=0, check=limit_is(5, 10), rpcs=[]),
    ok("setrlimit", FILES, Rlimit(7, 8), returns=0, setup=limited_user(5, 10), check=limit_is(7, 8), rpcs=[],
       label="user, within the hard limit"),
    ok("setrlimit", FILES, Rlimit(NR_OPEN, NR_OPEN), returns=0, check=limit_is(NR_OPEN, NR_OPEN), rpcs=[],
       label="as many files as can be"),
    ok("setrlimit", RLIMIT_CPU, Rlimit(RLIM_INFINITY, RLIM_INFINITY), returns=0, rpcs=[], label="of time"),
    fails("setrlimit", EFAULT, LIMITS, BAD, rpcs=[], label="before the resource is looked at"),
    fails("setrlimit", EFAULT, FILES, NULL, rpcs=[]),
    fails("setrlimit", EINVAL, LIMITS, Rlimit(1, 1), rpcs=[]),
    fails("setrlimit", EINVAL, FILES, Rlimit(6, 5), setup=limited(5, 10), check=limit_is(5, 10), rpcs=[],
          label="soft above hard"),
    fails("setrlimit", EPERM, FILES, Rlimit(1, NR_OPEN + 1), rpcs=[], label="more files than can be"),
    fails("setrlimit", EPERM, FILES, Rlimit(1, 11), setup=limited_user(5, 10), check=limit_is(5, 10), rpcs=[],
          label="user, above the hard limit"),

    ok("prlimit64", 0, FILES, Rlimit(3, 4), LIMIT, returns=0, setup=limited(5, 10), check=wrote_limit(5, 10),
       rpcs=[], label="both"),
    ok("prlimit64", 0, FILES, Rlimit(3, 4), NULL, returns=0, check=limit_is(3, 4), rpcs=[], label="set"),
    ok("prlimit64", 0, FILES, NULL, NULL, returns=0, rpcs=[], label="nothing"),
    ok("prlimit64", lambda g: (child_of(1000)(g), FILES, NULL, LIMIT), returns=0, rpcs=[],
       unfaulted=("new_limit: it is null",), label="root, of a user's child"),
    ok("prlimit64", lambda g: (of_a_user(g, user(g.fork())), FILES, Rlimit(1, 2), LIMIT), returns=0, rpcs=[],
       label="of a process of the same user"),
    ok("prlimit64", lambda g: (zombie(g), FILES, NULL, LIMIT), returns=0, rpcs=[], label="of a zombie",
       unfaulted=("new_limit: it is null",)),
    fails("prlimit64", EFAULT, NOBODY, LIMITS, BAD, NULL, rpcs=[], label="before the process is looked for"),
    fails("prlimit64", EFAULT, 0, FILES, Rlimit(3, 4), BAD, check=limit_is(3, 4), rpcs=[],
          label="after it is set"),
    fails("prlimit64", ESRCH, NOBODY, LIMITS, NULL, NULL, rpcs=[]),
    fails("prlimit64", ESRCH, -1, FILES, NULL, LIMIT, rpcs=[], label="negative"),
    fails("prlimit64", EPERM, 1, LIMITS, NULL, LIMIT, user=USER, rpcs=[], label="pid 1"),
    fails("prlimit64", EPERM, lambda g: (of_a_user(g, g.fork()), FILES, NULL, LIMIT), rpcs=[],
          label="root's"),
    fails("prlimit64", EINVAL, 0, LIMITS, NULL, LIMIT, rpcs=[]),
    fails("prlimit64", EINVAL, 0, FILES, Rlimit(6, 5), NULL, setup=limited(5, 10), check=limit_is(5, 10),
          rpcs=[], label="soft above hard"),

    ok("getrusage", RUSAGE_SELF, USAGE, returns=0, check=used_memory, rpcs=[]),
    ok("getrusage", RUSAGE_CHILDREN, USAGE, returns=0, rpcs=[], label="children"),
    ok("getrusage", RUSAGE_THREAD, USAGE, returns=0, rpcs=[], label="thread"),
    fails("getrusage", EFAULT, RUSAGE_THREAD, BAD, rpcs=[]),
    fails("getrusage", EINVAL, 2, BAD, rpcs=[]),
    fails("getrusage", EINVAL, -2, USAGE, rpcs=[], label="negative"),

    ok("getpriority", PRIO_PROCESS, 0, returns=20, rpcs=[]),
    ok("getpriority", PRIO_PROCESS, 0, returns=15, setup=nice(5), rpcs=[], label="nice"),
    ok("getpriority", PRIO_PROCESS, 1, returns=20, rpcs=[], label="of pid 1"),
    ok("getpriority", PRIO_PGRP, 0, returns=40, setup=nice(-20), rpcs=[], label="of the group"),
    ok("getpriority", lambda g: (PRIO_PGRP, zombie(g)), returns=20, rpcs=[], label="of a zombie's group"),
    ok("getpriority", PRIO_USER, 0, returns=20, setup=nice(5), rpcs=[], label="of root, whose is pid 1 too"),
    ok("getpriority", PRIO_USER, 1000, returns=20, user=USER, rpcs=[], label="of a user"),
    fails("getpriority", EINVAL, -1, 0, rpcs=[], label="negative"),
    fails("getpriority", EINVAL, 3, NOBODY, rpcs=[]),
    fails("getpriority", ESRCH, PRIO_PROCESS, NOBODY, rpcs=[]),
    fails("getpriority", ESRCH, PRIO_PGRP, NOBODY, rpcs=[], label="group"),
    fails("getpriority", ESRCH, PRIO_USER, NO_UID, rpcs=[], label="user"),
    fails("getpriority", ESRCH, PRIO_USER, -1, rpcs=[], label="no user id"),

    ok("setpriority", PRIO_PROCESS, 0, 5, returns=0, check=nice_is(5), rpcs=[]),
    ok("setpriority", PRIO_PROCESS, 0, 100, returns=0, check=nice_is(19), rpcs=[], label="above the highest"),
    ok("setpriority", PRIO_PROCESS, 0, -100, returns=0, check=nice_is(-20), rpcs=[],
       label="below the lowest"),
    ok("setpriority", PRIO_PGRP, 0, 4, returns=0, check=nice_is(4), rpcs=[], label="of the group"),
    ok("setpriority", PRIO_USER, 1000, 3, returns=0, user=USER, check=nice_is(3), rpcs=[], label="of a user"),
    ok("setpriority", PRIO_PROCESS, 0, -5, returns=0, setup=limited_user(25, 25, RLIMIT_NICE),
       check=nice_is(-5), rpcs=[], label="user, within RLIMIT_NICE"),
    ok("setpriority", lambda g: (PRIO_PGRP, zombie(g), 7), returns=0, rpcs=[], label="of a zombie's group"),
    fails("setpriority", EINVAL, -1, 0, 0, rpcs=[], label="negative"),
    fails("setpriority", EINVAL, 3, NOBODY, 0, rpcs=[]),
    fails("setpriority", ESRCH, PRIO_PROCESS, NOBODY, 0, rpcs=[]),
    fails("setpriority", ESRCH, PRIO_PGRP, NOBODY, 0, rpcs=[], label="group"),
    fails("setpriority", ESRCH, PRIO_USER, NO_UID, 0, rpcs=[], label="user"),
    fails("setpriority", EACCES, PRIO_PROCESS, 0, -1, user=USER, check=nice_is(0), rpcs=[]),
    fails("setpriority", EACCES, PRIO_PROCESS, 0, -6, setup=limited_user(25, 25, RLIMIT_NICE),
          check=nice_is(0), rpcs=[], label="beyond RLIMIT_NICE"),
    fails("setpriority", EPERM, PRIO_PROCESS, 1, -5, user=USER, rpcs=[], label="another user"),
    fails("setpriority", EPERM, lambda g: (PRIO_PROCESS, child_with_capabilities(g), 5), rpcs=[],
          label="one with more capabilities"),
    fails("setpriority", EACCES, lambda g: (PRIO_PROCESS, child_with_capabilities(g), -5), rpcs=[],
          label="one with more capabilities, lower"),

    ok("ioprio_get", IOPRIO_WHO_PROCESS, 0, returns=0, rpcs=[], label="none"),
    ok("ioprio_get", IOPRIO_WHO_PROCESS, 0, returns=BE | 3, setup=io_priority(BE | 3), rpcs=[]),
    ok("ioprio_get", IOPRIO_WHO_PGRP, 0, returns=BE | 5, setup=nice(5), rpcs=[],
       label="that the nice value gives"),
    ok("ioprio_get", IOPRIO_WHO_PGRP, 0, returns=RT | 4, setup=scheduled(SCHED_FIFO, 1), rpcs=[],
       label="that a real-time policy gives"),
    ok("ioprio_get", IOPRIO_WHO_PGRP, 0, returns=IDLE | 4, setup=scheduled(SCHED_IDLE), rpcs=[],
       label="that the idle policy gives"),
    ok("ioprio_get", IOPRIO_WHO_USER, 1000, returns=BE | 4, user=USER, rpcs=[], label="of a user"),
    ok("ioprio_get", IOPRIO_WHO_USER, 0, returns=BE | 7, user=USER, setup=io_priority(BE | 7), rpcs=[],
       label="of the caller's user"),
    fails("ioprio_get", EINVAL, 0, 0, rpcs=[]),
    fails("ioprio_get", EINVAL, 4, NOBODY, rpcs=[], label="four"),
    fails("ioprio_get", ESRCH, IOPRIO_WHO_PROCESS, NOBODY, rpcs=[]),
    fails("ioprio_get", ESRCH, IOPRIO_WHO_PGRP, NOBODY, rpcs=[], label="group"),
    fails("ioprio_get", ESRCH, IOPRIO_WHO_USER, NO_UID, rpcs=[], label="user"),

    ok("ioprio_set", IOPRIO_WHO_PROCESS, 0, BE | 7, returns=0, check=io_priority_is(BE | 7), rpcs=[]),
    ok("ioprio_set", IOPRIO_WHO_PROCESS, 0, IDLE | 5, returns=0, check=io_priority_is(IDLE | 5), rpcs=[],
       label="idle"),
    ok("ioprio_set", IOPRIO_WHO_PROCESS, 0, RT | 1, returns=0, check=io_priority_is(RT | 1), rpcs=[],
       label="real time"),
    ok("ioprio_set", IOPRIO_WHO_PROCESS, 0, 0, returns=0, setup=io_priority(BE | 3), check=io_priority_is(0),
       rpcs=[], label="none"),
    ok("ioprio_set", IOPRIO_WHO_PROCESS, 0, 0x1000 | BE | 3, returns=0, check=io_priority_is(0x1000 | BE | 3),
       rpcs=[], label="with a hint"),
    ok("ioprio_set", IOPRIO_WHO_PROCESS, 0, 0x1_0000 | BE | 3, returns=0, check=io_priority_is(BE | 3),
       rpcs=[], label="of 16 bits"),
    ok("ioprio_set", IOPRIO_WHO_PGRP, 0, BE | 1, returns=0, check=io_priority_is(BE | 1), rpcs=[],
       label="of the group"),
    ok("ioprio_set", IOPRIO_WHO_USER, 1000, BE | 1, returns=0, user=USER, check=io_priority_is(BE | 1),
       rpcs=[], label="of a user"),
    fails("ioprio_set", EINVAL, 0, 0, 0, rpcs=[]),
    fails("ioprio_set", EINVAL, IOPRIO_WHO_PROCESS, NOBODY, 4 << IOPRIO_CLASS_SHIFT, rpcs=[], label="class"),
    fails("ioprio_set", EINVAL, IOPRIO_WHO_PROCESS, 0, 1, check=io_priority_is(0), rpcs=[],
          label="level of none"),
    fails("ioprio_set", EINVAL, IOPRIO_WHO_PROCESS, 0, -1, rpcs=[], label="negative"),
    fails("ioprio_set", ESRCH, IOPRIO_WHO_PROCESS, NOBODY, 0, rpcs=[]),
    fails("ioprio_set", ESRCH, IOPRIO_WHO_PGRP, NOBODY, 0, rpcs=[], label="group"),
    fails("ioprio_set", ESRCH, IOPRIO_WHO_USER, NO_UID, 0, rpcs=[], label="user"),
    fails("ioprio_set", EPERM, IOPRIO_WHO_PROCESS, NOBODY, RT, user=USER, rpcs=[], label="real time"),
    fails("ioprio_set", EPERM, IOPRIO_WHO_USER, 0, BE, user=USER, rpcs=[], label="user 0 is root"),
    fails("ioprio_set", EPERM, IOPRIO_WHO_PROCESS, 1, 0, user=USER, rpcs=[], label="another user"),
    fails("ioprio_set", EPERM, lambda g: (IOPRIO_WHO_PROCESS, child_with_capabilities(g), BE), rpcs=[],
          label="one with more capabilities"),
]  # fmt: skip


# -- limits -----------------------------------------------------------------------------------------------


@proves("setrlimit", SUCCESS, rpcs=[])
@proves("getrlimit", SUCCESS, rpcs=[])
def test_a_limit_is_the_threads_of_a_process_and_a_childs_own(guest: Guest) -> None:
    thread, child, out = guest.thread(), guest.fork(), Out(Rlimit)
    thread.syscall.setrlimit(FILES, Rlimit(3, 10))
    limit_is(3, 10)(guest, guest.start.dup(0))
    assert guest.start.dup(0).errno == EMFILE
    child.syscall.getrlimit(FILES, out)
    assert out.value == (1024, NR_OPEN)


@proves("prlimit64", SUCCESS, EPERM, rpcs=[])
def test_a_thread_of_another_user_is_another_task(guest: Guest) -> None:
    thread = user(guest.thread())
    assert thread.start.prlimit64(thread.tid, FILES, NULL, LIMIT).errno == 0
    assert thread.start.prlimit64(guest.main.tid, FILES, NULL, LIMIT).errno == EPERM


@proves("prlimit64", EPERM, rpcs=[])
def test_each_id_of_the_other_must_be_the_callers_real_one(guest: Guest) -> None:
    child, other = user(guest.fork()), guest.fork()
    other.syscall.setresgid(1000, 1000, 7)
    other.syscall.setresuid(1000, 1000, 1000)
    assert child.start.prlimit64(other.pid, FILES, NULL, LIMIT).errno == EPERM
    other = guest.fork()
    other.syscall.setresgid(1000, 1000, 1000)
    other.syscall.setresuid(7, 1000, 1000)
    assert child.start.prlimit64(other.pid, FILES, NULL, LIMIT).errno == EPERM


@proves("setrlimit", SUCCESS, rpcs=[])
def test_more_cpu_time_than_the_limit_is_sigxcpu(guest: Guest) -> None:
    got = guest.on_signal(SIGXCPU)
    guest.syscall.setrlimit(RLIMIT_CPU, Rlimit(0, RLIM_INFINITY))
    guest.clock.advance(s=2)
    guest.syscall.getpid()
    assert got.signals == [SIGXCPU]
    limit_is(1, RLIM_INFINITY, RLIMIT_CPU)(guest, guest.start.getpid())


@proves("getrusage", SUCCESS, rpcs=[])
def test_page_faults_are_those_of_a_thread_of_the_process_and_of_its_children(guest: Guest) -> None:
    def faults(who: int, thread: GuestThread = guest.main) -> int:
        thread.syscall.getrusage(who, USAGE)
        count: int = USAGE.value.ru_minflt
        return count

    thread, child = guest.thread(), guest.fork()
    main, whole = faults(RUSAGE_THREAD), faults(RUSAGE_SELF)
    mine = guest.syscall.mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    theirs = child.syscall.mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    before = faults(RUSAGE_THREAD, thread)
    thread.touch(mine)
    assert faults(RUSAGE_THREAD, thread) == before + 1
    assert (faults(RUSAGE_THREAD), faults(RUSAGE_SELF)) == (main, whole + 1)
    child.touch(theirs)
    child.syscall.exit_group(0)
    assert faults(RUSAGE_CHILDREN) == 0
    guest.syscall.wait4(child.pid, NULL, 0, NULL)
    assert faults(RUSAGE_CHILDREN) == 1


# -- nice values and I/O priorities of several tasks ------------------------------------------------------


@proves("setpriority", SUCCESS, rpcs=[])
@proves("getpriority", SUCCESS, rpcs=[])
def test_the_nice_value_of_a_group_is_the_best_one(guest: Guest) -> None:
    leader, member = guest.fork(), guest.fork()
    leader.syscall.setpgid(0, 0)
    guest.syscall.setpgid(member.pid, leader.pid)
    guest.syscall.setpriority(PRIO_PGRP, leader.pid, 7)
    assert [t.syscall.getpriority(PRIO_PROCESS, 0) for t in (guest.main, leader, member)] == [20, 13, 13]
    guest.syscall.setpriority(PRIO_PROCESS, member.pid, -4)
    assert leader.syscall.getpriority(PRIO_PGRP, 0) == 24


@proves("setpriority", EPERM, rpcs=[])
def test_who_can_be_changed_is_changed_and_the_last_refusal_is_the_error(guest: Guest) -> None:
    mine, theirs = user(guest.fork()), user(guest.fork(), 2000)
    assert mine.start.setpriority(PRIO_PGRP, guest.main.pid, 6).errno == EPERM
    assert [t.syscall.getpriority(PRIO_PROCESS, 0) for t in (guest.main, mine, theirs)] == [20, 14, 20]


@proves("setpriority", SUCCESS, rpcs=[])
def test_nice_values_are_of_threads_and_inherited(guest: Guest) -> None:
    thread = guest.thread()
    thread.syscall.setpriority(PRIO_PROCESS, 0, 9)
    assert guest.syscall.getpriority(PRIO_PROCESS, 0) == 20
    assert guest.fork(thread).syscall.getpriority(PRIO_PROCESS, 0) == 11


@proves("ioprio_set", SUCCESS, rpcs=[])
@proves("ioprio_get", SUCCESS, rpcs=[])
def test_the_io_priority_of_several_is_the_best_one(guest: Guest) -> None:
    child = guest.fork()
    guest.syscall.ioprio_set(IOPRIO_WHO_PROCESS, child.tid, BE | 2)
    assert guest.syscall.ioprio_get(IOPRIO_WHO_PGRP, 0) == BE | 2
    assert guest.syscall.ioprio_get(IOPRIO_WHO_PROCESS, 0) == 0
    guest.syscall.ioprio_set(IOPRIO_WHO_USER, 0, BE | 1)
    assert child.syscall.ioprio_get(IOPRIO_WHO_PROCESS, 0) == BE | 1


@proves("ioprio_set", SUCCESS, rpcs=[])
def test_the_io_priority_of_a_zombie_stays(guest: Guest) -> None:
    pid = zombie(guest)
    guest.syscall.ioprio_set(IOPRIO_WHO_PROCESS, pid, BE | 1)
    assert guest.syscall.ioprio_get(IOPRIO_WHO_PGRP, pid) == BE | 4
