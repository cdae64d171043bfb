"""Ids, groups, capabilities, process groups, sessions (man 7 credentials, man 7 capabilities)."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

import pytest

from linuxemu.testing import BAD, NULL, Edge, InOut
from linuxemu.testing.assembler import Assembler
from syscalls.abi.errno import EACCES, EFAULT, EINVAL, EPERM, ESRCH
from syscalls.abi.flags import (
    ADDR_NO_RANDOMIZE,
    CAP_CHOWN,
    CAP_KILL,
    CAP_LAST_CAP,
    CAP_SETPCAP,
    PR_CAPBSET_DROP,
    PR_GET_DUMPABLE,
    PR_GET_PDEATHSIG,
    PR_SET_PDEATHSIG,
)
from syscalls.abi.structs import CapUserData, CapUserHeader
from tests.handlers.cases import SUCCESS, Out, fails, ok, proves

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call, Guest
    from linuxemu.testing.thread import GuestThread

KEEP = 0xFFFF_FFFF
NOBODY = 0x3FFF_FFFF
USER = (1000, 1000)
V1, V2, V3 = 0x1998_0330, 0x2007_1026, 0x2008_0522
ID = (Out("<I"), Out("<I"), Out("<I"))
GROUPS = Out("<3I")
CAPS = Out("<6I")
EVERYTHING = (1 << CAP_LAST_CAP + 1) - 1
WORDS = (EVERYTHING & KEEP, EVERYTHING & KEEP, 0, EVERYTHING >> 32, EVERYTHING >> 32, 0)
CHOWN, KILL, SETPCAP = 1 << CAP_CHOWN, 1 << CAP_KILL, 1 << CAP_SETPCAP
OLD = InOut(CapUserHeader(7, 0))


def header(version: int = V3, pid: int = 0) -> InOut:
    return InOut(CapUserHeader(version, pid))


def caps(effective: int = 0, permitted: int = 0, inheritable: int = 0) -> bytes:
    sets = (effective, permitted, inheritable)
    return b"".join(CapUserData(*(s >> shift & KEEP for s in sets)).pack() for shift in (0, 32))


# -- before a call, and after it --------------------------------------------------------------------------


def ids(real: int, effective: int, saved: int) -> Callable[[Guest], None]:
    """Before: three different ids, of group and user; no capability is left unless one of the latter is 0."""

    def setup(guest: Guest) -> None:
        guest.syscall.setresgid(real, effective, saved)
        guest.syscall.setresuid(real, effective, saved)

    return setup


def three(guest: Guest, call: str, thread: GuestThread | None = None) -> tuple[int, ...]:
    outs = (Out("<I"), Out("<I"), Out("<I"))
    getattr((thread or guest.main).syscall, call)(*outs)
    return tuple(out.value for out in outs)


def uids(real: int, effective: int, saved: int, fs: int | None = None) -> Callable[[Guest, Call], None]:
    """After: real, effective, saved user id and that of file accesses."""

    def check(guest: Guest, call: Call) -> None:
        assert three(guest, "getresuid") == (real, effective, saved)
        assert guest.syscall.setfsuid(KEEP) == (effective if fs is None else fs)

    return check


def gids(real: int, effective: int, saved: int, fs: int | None = None) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert three(guest, "getresgid") == (real, effective, saved)
        assert guest.syscall.setfsgid(KEEP) == (effective if fs is None else fs)

    return check


def got(*values: int) -> Callable[[Guest, Call], None]:
    """After: what the three pointers point to."""

    def check(guest: Guest, call: Call) -> None:
        assert tuple(out.value for out in ID) == values

    return check


def groups(*values: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        out = Out(f"<{len(values)}I")
        assert guest.syscall.getgroups(len(values), out) == len(values)
        assert not values or out.data == pack(f"<{len(values)}I", *values)

    return check


def in_groups(guest: Guest) -> None:
    guest.syscall.setgroups(3, pack("<3I", 30, 10, 20))


def holds(effective: int, permitted: int, inheritable: int = 0) -> Callable[[Guest, Call], None]:
    """After: the capability sets."""

    def check(guest: Guest, call: Call) -> None:
        out = Out(24)
        guest.syscall.capget(header(), out)
        assert out.data == caps(effective, permitted, inheritable)

    return check


def has(*permitted: int, inheritable: int = 0) -> Callable[[Guest], None]:
    """Before: these capabilities and no others."""
    mask = sum(1 << cap for cap in permitted)

    def setup(guest: Guest) -> None:
        guest.syscall.capset(header(), caps(mask, mask, inheritable))

    return setup


def found(*words: int) -> Callable[[Guest, Call], None]:
    """After: what capget wrote."""

    def check(guest: Guest, call: Call) -> None:
        assert CAPS.value == words

    return check


def names_version(guest: Guest, call: Call) -> None:
    assert OLD.value.version == V3


def ascending(guest: Guest, call: Call) -> None:
    assert GROUPS.value == (10, 20, 30)


def persona(value: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert guest.syscall.personality(KEEP) == value

    return check


def group_of_child(pgid: int) -> Callable[[Guest, Call], None]:
    """After: the process group of the first child, whose pid is 3."""

    def check(guest: Guest, call: Call) -> None:
        assert guest.syscall.getpgid(3) == pgid

    return check


def executed(guest: Guest) -> GuestThread:
    """A child that has called execve."""
    guest.files.write("/true", Assembler().elf(), mode=0o755)
    child = guest.fork()
    child.syscall.execve("/true", ["true"], [])
    return child


def leader(guest: Guest) -> GuestThread:
    """A child that leads a session of its own."""
    child = guest.fork()
    child.syscall.setsid()
    return child


def other_group(guest: Guest) -> int:
    """A child in a process group of its own."""
    pid = guest.fork().pid
    guest.syscall.setpgid(pid, 0)
    return pid


def zombie(guest: Guest) -> GuestThread:
    child = guest.fork()
    child.syscall.exit_group(0)
    return child


def out_of_bounds(guest: Guest) -> None:
    """Before: CAP_SETPCAP is left, and CAP_KILL cannot come back."""
    guest.syscall.prctl(PR_CAPBSET_DROP, CAP_KILL)
    has(CAP_SETPCAP)(guest)


CASES = [
    ok("getuid", returns=1, setup=ids(1, 2, 3), rpcs=[]),
    ok("geteuid", returns=2, setup=ids(1, 2, 3), rpcs=[]),
    ok("getgid", returns=1, setup=ids(1, 2, 3), rpcs=[]),
    ok("getegid", returns=2, setup=ids(1, 2, 3), rpcs=[]),
    ok("getresuid", *ID, returns=0, setup=ids(1, 2, 3), check=got(1, 2, 3), rpcs=[]),
    ok("getresgid", *ID, returns=0, setup=ids(1, 2, 3), check=got(1, 2, 3), rpcs=[]),
    fails("getresuid", EFAULT, NULL, NULL, NULL, rpcs=[]),
    fails("getresgid", EFAULT, NULL, NULL, NULL, rpcs=[]),

    ok("setuid", 7, returns=0, check=uids(7, 7, 7), rpcs=[], label="root changes all three"),
    ok("setuid", 3, returns=0, setup=ids(1, 2, 3), check=uids(1, 3, 3), rpcs=[], label="to the saved id"),
    ok("setuid", 1, returns=0, setup=ids(1, 2, 3), check=uids(1, 1, 3), rpcs=[], label="to the real id"),
    fails("setuid", EPERM, 2, setup=ids(1, 2, 3), check=uids(1, 2, 3), rpcs=[], label="to the effective id"),
    fails("setuid", EPERM, 0, user=USER, check=uids(1000, 1000, 1000), rpcs=[]),
    fails("setuid", EINVAL, KEEP, check=uids(0, 0, 0), rpcs=[]),
    ok("setgid", 7, returns=0, check=gids(7, 7, 7), rpcs=[], label="root changes all three"),
    ok("setgid", 3, returns=0, setup=ids(1, 2, 3), check=gids(1, 3, 3), rpcs=[], label="to the saved id"),
    fails("setgid", EPERM, 0, user=USER, check=gids(1000, 1000, 1000), rpcs=[]),
    fails("setgid", EINVAL, KEEP, rpcs=[]),

    ok("setreuid", 7, 8, returns=0, check=uids(7, 8, 8), rpcs=[], label="root"),
    ok("setreuid", 2, 1, returns=0, setup=ids(1, 2, 3), check=uids(2, 1, 1), rpcs=[], label="swap"),
    ok("setreuid", KEEP, KEEP, returns=0, setup=ids(1, 2, 3), check=uids(1, 2, 3), rpcs=[],
       label="keep both"),
    ok("setreuid", KEEP, 1, returns=0, setup=ids(1, 2, 3), check=uids(1, 1, 3), rpcs=[], label="saved stays"),
    ok("setreuid", KEEP, 3, returns=0, setup=ids(1, 2, 3), check=uids(1, 3, 3), rpcs=[],
       label="saved follows"),
    fails("setreuid", EPERM, 3, KEEP, setup=ids(1, 2, 3), rpcs=[], label="real to the saved id"),
    fails("setreuid", EPERM, KEEP, 4, setup=ids(1, 2, 3), check=uids(1, 2, 3), rpcs=[], label="to a new id"),
    ok("setregid", 7, 8, returns=0, check=gids(7, 8, 8), rpcs=[], label="root"),
    ok("setregid", KEEP, 3, returns=0, setup=ids(1, 2, 3), check=gids(1, 3, 3), rpcs=[],
       label="saved follows"),
    fails("setregid", EPERM, 3, KEEP, setup=ids(1, 2, 3), rpcs=[], label="real to the saved id"),
    fails("setregid", EPERM, KEEP, 4, setup=ids(1, 2, 3), check=gids(1, 2, 3), rpcs=[], label="to a new id"),

    ok("setresuid", 7, 8, 9, returns=0, check=uids(7, 8, 9), rpcs=[], label="root"),
    ok("setresuid", 3, 1, 2, returns=0, setup=ids(1, 2, 3), check=uids(3, 1, 2), rpcs=[], label="rotate"),
    ok("setresuid", KEEP, KEEP, 1, returns=0, setup=ids(1, 2, 3), check=uids(1, 2, 1), rpcs=[],
       label="saved only"),
    fails("setresuid", EPERM, 4, KEEP, KEEP, setup=ids(1, 2, 3), rpcs=[], label="real"),
    fails("setresuid", EPERM, KEEP, 4, KEEP, setup=ids(1, 2, 3), rpcs=[], label="effective"),
    fails("setresuid", EPERM, 1, 2, 4, setup=ids(1, 2, 3), check=uids(1, 2, 3), rpcs=[], label="saved"),
    ok("setresgid", 7, 8, 9, returns=0, check=gids(7, 8, 9), rpcs=[], label="root"),
    ok("setresgid", 3, 1, 2, returns=0, setup=ids(1, 2, 3), check=gids(3, 1, 2), rpcs=[], label="rotate"),
    fails("setresgid", EPERM, KEEP, KEEP, 4, setup=ids(1, 2, 3), check=gids(1, 2, 3), rpcs=[]),

    ok("setfsuid", 7, returns=0, check=uids(0, 0, 0, fs=7), rpcs=[], label="root"),
    ok("setfsuid", 3, returns=2, setup=ids(1, 2, 3), check=uids(1, 2, 3, fs=3), rpcs=[],
       label="to the saved id"),
    ok("setfsuid", 4, returns=2, setup=ids(1, 2, 3), check=uids(1, 2, 3, fs=2), rpcs=[], label="refused"),
    ok("setfsuid", KEEP, returns=0, check=uids(0, 0, 0), rpcs=[], label="query"),
    ok("setfsgid", 7, returns=0, check=gids(0, 0, 0, fs=7), rpcs=[], label="root"),
    ok("setfsgid", 4, returns=2, setup=ids(1, 2, 3), check=gids(1, 2, 3, fs=2), rpcs=[], label="refused"),

    ok("getgroups", 3, GROUPS, returns=3, setup=in_groups, check=ascending, rpcs=[]),
    ok("getgroups", 0, BAD, returns=3, setup=in_groups, rpcs=[], label="how many",
       unfaulted=("list: with size 0 nothing is written",)),
    ok("getgroups", 3, NULL, returns=0, rpcs=[], label="of none"),
    fails("getgroups", EFAULT, 3, BAD, setup=in_groups, rpcs=[]),
    fails("getgroups", EINVAL, 2, GROUPS, setup=in_groups, rpcs=[], label="too few"),
    fails("getgroups", EINVAL, -1, GROUPS, rpcs=[], label="negative"),
    ok("setgroups", 4, pack("<4I", 30, 10, 20, 10), returns=0, check=groups(10, 10, 20, 30), rpcs=[]),
    ok("setgroups", 0, NULL, returns=0, setup=in_groups, check=groups(), rpcs=[], label="none"),
    fails("setgroups", EFAULT, 4, Edge(bytes(12)), setup=in_groups, check=groups(10, 20, 30), rpcs=[]),
    fails("setgroups", EPERM, 0, NULL, user=USER, rpcs=[]),
    fails("setgroups", EPERM, 1, BAD, user=USER, rpcs=[], label="before anything is read"),
    fails("setgroups", EINVAL, 65537, BAD, rpcs=[], label="too many"),
    fails("setgroups", EINVAL, -1, BAD, rpcs=[], label="negative"),
    fails("setgroups", EINVAL, 2, pack("<2I", 5, KEEP), setup=in_groups, check=groups(10, 20, 30), rpcs=[],
          label="no such id"),

    ok("capget", header(), CAPS, returns=0, check=found(*WORDS), rpcs=[]),
    ok("capget", header(), CAPS, returns=0, user=USER, check=found(0, 0, 0, 0, 0, 0), rpcs=[], label="user"),
    ok("capget", header(V2), CAPS, returns=0, check=found(*WORDS), rpcs=[], label="version 2"),
    ok("capget", header(V1), Edge(Out(12)), returns=0, rpcs=[], label="version 1 has one word"),
    ok("capget", OLD, NULL, returns=0, check=names_version, rpcs=[], label="asks for the version"),
    fails("capget", EFAULT, BAD, NULL, rpcs=[], label="asks for the version"),
    ok("capget", header(), NULL, returns=0, rpcs=[], label="no data"),
    ok("capget", lambda g: (header(pid=g.fork().tid), CAPS), returns=0, rpcs=[], label="of a child"),
    ok("capget", lambda g: (header(pid=zombie(g).tid), CAPS), returns=0, rpcs=[], label="of a zombie"),
    fails("capget", EINVAL, OLD, CAPS, check=names_version, rpcs=[], label="version"),
    fails("capget", EINVAL, header(pid=-1), CAPS, rpcs=[], label="negative pid"),
    fails("capget", ESRCH, header(pid=NOBODY), CAPS, rpcs=[]),

    ok("capset", header(), caps(KILL, KILL | CHOWN, CHOWN), returns=0, check=holds(KILL, KILL | CHOWN, CHOWN),
       rpcs=[]),
    ok("capset", lambda g: (header(pid=g.main.tid), caps(0, 1 << 63, 0)), returns=0, check=holds(0, 0),
       rpcs=[], label="own pid, unknown capabilities"),
    ok("capset", header(V1), bytes(12), returns=0, check=holds(0, 0), rpcs=[],
       label="version 1 clears the rest"),
    ok("capset", header(), caps(inheritable=KILL), setup=has(CAP_KILL), returns=0, rpcs=[],
       label="what is permitted can be inherited"),
    ok("capset", header(), caps(SETPCAP, SETPCAP, KILL), setup=has(CAP_SETPCAP), returns=0, rpcs=[],
       label="CAP_SETPCAP lets all of the bounding set be inherited"),
    fails("capset", EINVAL, OLD, caps(), check=names_version, rpcs=[]),
    fails("capset", EPERM, header(pid=1), caps(), rpcs=[], label="another process"),
    fails("capset", EPERM, header(pid=NOBODY), BAD, rpcs=[], label="nobody, before anything is read"),
    fails("capset", EPERM, header(), caps(KILL, CHOWN), rpcs=[], label="effective and not permitted"),
    fails("capset", EPERM, header(), caps(0, KILL), setup=has(CAP_CHOWN), rpcs=[],
          label="not permitted any more"),
    fails("capset", EPERM, header(), caps(0, 0, KILL), setup=has(CAP_CHOWN), rpcs=[], label="inheritable"),
    fails("capset", EPERM, header(), caps(0, 0, KILL), setup=out_of_bounds, check=holds(SETPCAP, SETPCAP),
          rpcs=[], label="inheritable and out of bounds"),

    ok("getpid", returns=2, rpcs=[]),
    ok("getppid", returns=1, rpcs=[]),
    ok("gettid", returns=2, rpcs=[]),
    ok("getpgrp", returns=2, rpcs=[]),
    ok("getpgid", 0, returns=2, rpcs=[]),
    ok("getpgid", 1, returns=1, rpcs=[], label="of pid 1"),
    ok("getpgid", lambda g: (g.fork().pid,), returns=2, rpcs=[], label="of a child"),
    ok("getpgid", lambda g: (g.thread().tid,), returns=2, rpcs=[], label="of a thread"),
    ok("getpgid", lambda g: (zombie(g).pid,), returns=2, rpcs=[], label="of a zombie"),
    fails("getpgid", ESRCH, NOBODY, rpcs=[]),
    fails("getpgid", ESRCH, -1, rpcs=[], label="negative"),
    ok("getsid", 0, returns=2, rpcs=[]),
    ok("getsid", lambda g: (g.thread(g.fork()).tid,), returns=2, rpcs=[], label="of a child's thread"),
    ok("getsid", 1, returns=1, rpcs=[], label="of pid 1"),
    fails("getsid", ESRCH, NOBODY, rpcs=[]),
    fails("getsid", ESRCH, -1, rpcs=[], label="negative"),

    ok("setpgid", lambda g: (g.fork().pid, 0), returns=0, check=group_of_child(3), rpcs=[],
       label="of its own"),
    ok("setpgid", lambda g: (g.fork().pid, g.main.pid), returns=0, check=group_of_child(2), rpcs=[],
       label="mine"),
    ok("setpgid", lambda g: (g.fork().pid, other_group(g)), returns=0, check=group_of_child(4), rpcs=[],
       label="of a sibling"),
    ok("setpgid", lambda g: (zombie(g).pid, 0), returns=0, check=group_of_child(3), rpcs=[],
       label="of a zombie"),
    fails("setpgid", EINVAL, 0, -1, rpcs=[], label="negative"),
    fails("setpgid", EINVAL, NOBODY, -1, rpcs=[], label="negative, before the process is looked for"),
    fails("setpgid", EINVAL, lambda g: (g.thread().tid, 0), rpcs=[], label="a thread"),
    fails("setpgid", ESRCH, NOBODY, 0, rpcs=[], label="nobody"),
    fails("setpgid", ESRCH, 1, 0, rpcs=[], label="the parent"),
    fails("setpgid", ESRCH, lambda g: (g.process().pid, 0), rpcs=[], label="a stranger"),
    fails("setpgid", ESRCH, lambda g: (g.fork(g.fork()).pid, 0), rpcs=[], label="a grandchild"),
    fails("setpgid", EACCES, lambda g: (executed(g).pid, 0), check=group_of_child(2), rpcs=[]),
    fails("setpgid", EPERM, 0, 0, rpcs=[], label="a session leader"),
    fails("setpgid", EPERM, lambda g: (leader(g).pid, 0), rpcs=[], label="a child in another session"),
    fails("setpgid", EPERM, lambda g: (g.fork().pid, NOBODY), check=group_of_child(2), rpcs=[],
          label="no such group"),
    fails("setpgid", EPERM, lambda g: (g.fork().pid, g.process().pid), check=group_of_child(2), rpcs=[],
          label="a group of another session"),
    fails("setsid", EPERM, rpcs=[]),

    ok("personality", ADDR_NO_RANDOMIZE, returns=0, check=persona(ADDR_NO_RANDOMIZE), rpcs=[]),
    ok("personality", KEEP, returns=0, check=persona(0), rpcs=[], label="query"),
]  # fmt: skip


@proves("setsid", SUCCESS, rpcs=[])
@proves("getsid", SUCCESS, rpcs=[])
def test_a_child_leads_a_session_of_its_own(guest: Guest) -> None:
    child = guest.fork()
    assert child.syscall.setsid() == child.pid
    assert (child.syscall.getsid(), child.syscall.getpgrp()) == (child.pid, child.pid)
    assert guest.syscall.getsid(child.pid) == child.pid


@proves("setsid", EPERM, rpcs=[])
def test_a_group_that_bears_the_pid_forbids_a_session(guest: Guest) -> None:
    child, member = guest.fork(), guest.fork()
    guest.syscall.setpgid(child.pid, 0)
    guest.syscall.setpgid(member.pid, child.pid)
    child.syscall.setpgid(0, guest.main.pid)
    assert child.start.setsid().errno == EPERM


@proves("setpgid", EPERM, SUCCESS, rpcs=[])
def test_a_group_is_gone_with_its_last_member(guest: Guest) -> None:
    first, second = guest.fork(), guest.fork()
    guest.syscall.setpgid(first.pid, 0)
    first.syscall.setpgid(0, guest.main.pid)
    assert guest.start.setpgid(second.pid, first.pid).errno == EPERM
    assert guest.syscall.getpgid(second.pid) == guest.main.pid


@proves("getppid", SUCCESS, rpcs=[])
def test_an_orphan_is_adopted_by_pid_1(guest: Guest) -> None:
    child = guest.fork()
    orphan = guest.fork(child)
    assert orphan.syscall.getppid() == child.pid
    child.syscall.exit_group(0)
    assert orphan.syscall.getppid() == 1


@proves("getpid", SUCCESS, rpcs=[])
@proves("gettid", SUCCESS, rpcs=[])
def test_threads_share_a_pid(guest: Guest) -> None:
    thread = guest.thread()
    assert thread.syscall.getpid() == guest.main.pid
    assert thread.syscall.gettid() == thread.tid != guest.main.tid


@proves("setuid", SUCCESS, rpcs=[])
@proves("capget", SUCCESS, rpcs=[])
def test_threads_have_ids_and_capabilities_of_their_own(guest: Guest) -> None:
    thread, out = guest.thread(), Out(24)
    thread.syscall.setuid(1000)
    assert three(guest, "getresuid", thread) == (1000, 1000, 1000)
    assert three(guest, "getresuid") == (0, 0, 0)
    guest.syscall.capget(header(pid=thread.tid), out)
    assert out.data == caps()


def test_root_gets_capabilities_back_with_the_saved_id(guest: Guest) -> None:
    guest.syscall.setresuid(KEEP, 1000, KEEP)
    holds(0, EVERYTHING)(guest, guest.start.getuid())
    guest.syscall.setuid(0)
    holds(EVERYTHING, EVERYTHING)(guest, guest.start.getuid())


@pytest.mark.linuxemu(root="memfs")
def test_the_capabilities_of_files_follow_the_fs_uid(guest: Guest) -> None:
    guest.files.write("/private", mode=0o600)
    guest.syscall.setfsuid(1000)
    assert guest.start.open("/private", 0).errno == EACCES
    guest.syscall.setfsuid(0)
    assert guest.start.open("/private", 0).errno == 0


@pytest.mark.parametrize(
    ("call", "args", "forgets"),
    [("setresuid", (KEEP, 5, KEEP), True), ("setfsgid", (5,), True), ("setresuid", (KEEP, KEEP, 5), False),
     ("setgroups", (0, NULL), False)],
)  # fmt: skip
def test_new_effective_ids_forget_the_death_signal_and_forbid_dumps(
    guest: Guest, call: str, args: tuple[int, ...], forgets: bool
) -> None:
    guest.syscall.prctl(PR_SET_PDEATHSIG, 9)
    getattr(guest.syscall, call)(*args)
    out = Out("<i")
    guest.syscall.prctl(PR_GET_PDEATHSIG, out)
    assert (out.value, guest.syscall.prctl(PR_GET_DUMPABLE)) == ((0, 0) if forgets else (9, 1))


def test_ids_after_a_fork_are_the_same(guest: Guest) -> None:
    guest.syscall.setgroups(1, pack("<I", 9))
    ids(1, 2, 3)(guest)
    child, out = guest.fork(), Out("<I")
    assert three(guest, "getresuid", child) == three(guest, "getresgid", child) == (1, 2, 3)
    assert (child.syscall.getgroups(1, out), out.value) == (1, 9)


def test_what_no_personality_does_here_is_recorded(guest: Guest) -> None:
    guest.syscall.personality(8)
    assert guest.syscall.personality(KEEP) == guest.fork().syscall.personality(KEEP) == 8
    assert [missing.what for missing in guest.unsupported] == ["personality 0x8"]
