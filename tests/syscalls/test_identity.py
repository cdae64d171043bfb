"""Ids, groups, capabilities, process groups, sessions, personality."""

from __future__ import annotations

from itertools import product
from struct import pack

import pytest

from syscalls.abi.flags import CAP_CHOWN, CAP_KILL, CAP_LAST_CAP, CAP_SETPCAP, CAP_SETUID
from syscalls.abi.structs import CapUserData, CapUserHeader
from syscalls.objects.credentials import ALL_CAPS, Credentials
from tests.syscalls.callrig import BAD, In, Out, Rig, Words, both

V1, V2, V3 = 0x1998_0330, 0x2007_1026, 0x2008_0522
KEEP = 0xFFFF_FFFF
THREE = (Out(4), Out(4), Out(4))
SHOW = [
    ("getresuid", *THREE),
    ("getresgid", *THREE),
    ("setfsuid", KEEP),
    ("setfsgid", KEEP),
    ("getgroups", 8, Out(32)),
    ("capget", In(pack("<Ii", V3, 0)), Out(24)),
    ("prctl", 3, 0, 0, 0, 0),  # PR_GET_DUMPABLE
]


def after(*steps: tuple) -> list[tuple]:
    """The steps, each with a look at everything afterwards."""
    return [shown for step in steps for shown in (step, *SHOW)]


@pytest.mark.native
class TestLikeNative:
    def test_plain_ids(self) -> None:
        both(("getuid",), ("geteuid",), ("getgid",), ("getegid",), uid=1234)

    @pytest.mark.parametrize("uid", [None, 1000])
    def test_setuid(self, uid: int | None) -> None:
        both(*after(("setuid", KEEP), ("setuid", 1000), ("setuid", 0), ("setuid", 1001)), uid=uid)

    @pytest.mark.parametrize("uid", [None, 1000])
    def test_setgid(self, uid: int | None) -> None:
        both(*after(("setgid", KEEP), ("setgid", 1000), ("setgid", 0), ("setgid", 1001)), uid=uid)

    @pytest.mark.parametrize("call", ["setreuid", "setregid"])
    def test_pairs(self, call: str) -> None:
        both(
            *after(
                (call, KEEP, KEEP), (call, 10, 20), (call, KEEP, 10), (call, 20, KEEP), (call, 30, KEEP),
                (call, KEEP, 30), (call, KEEP, 20), (call, 10, 10),
            )
        )  # fmt: skip

    @pytest.mark.parametrize("call", ["setreuid", "setregid"])
    def test_pairs_without_privilege(self, call: str) -> None:
        first = [("setresgid", 1, 2, 3), ("setresuid", 1, 2, 3)]
        for real, effective in product((KEEP, 1, 2, 3, 4), repeat=2):
            both(*first, *after((call, real, effective)))

    @pytest.mark.parametrize("call", ["setresuid", "setresgid"])
    def test_triples(self, call: str) -> None:
        both(
            *after(
                (call, KEEP, KEEP, KEEP), (call, 1, 2, 3), (call, 3, 1, 2), (call, KEEP, 2, KEEP),
                (call, 4, KEEP, KEEP), (call, KEEP, 4, KEEP), (call, KEEP, KEEP, 4), (call, 1, 1, 1),
                (call, 2, 2, 2),
            )
        )  # fmt: skip

    def test_root_comes_back_through_the_saved_id(self) -> None:
        both(*after(("setresuid", KEEP, 1000, 0), ("setuid", 0), ("setresuid", 1000, 1000, 1000)))
        both(*after(("setresuid", 1000, 0, 0), ("setresuid", 0, 1000, 1000), ("setresuid", KEEP, 0, KEEP)))

    def test_fs_ids(self) -> None:
        both(*after(("setfsuid", 7), ("setfsgid", 8), ("setfsuid", 0), ("setresuid", 0, 0, 0)))
        both(*after(("setfsuid", 7), ("setresuid", KEEP, KEEP, KEEP), ("setresuid", KEEP, 0, KEEP)))
        both(*after(("setfsuid", 7), ("setreuid", KEEP, KEEP), ("setfsgid", 9), ("setgid", 0)))
        both(*after(("setfsuid", 0), ("setfsuid", 1000), ("setfsgid", 0), ("setfsuid", 5)), uid=1000)

    def test_groups(self) -> None:
        words = pack("<4I", 30, 10, 20, 10)
        both(
            *after(("setgroups", 4, In(words)), ("setgroups", 0, 0), ("setgroups", 2, BAD)),
            ("setgroups", 65537, In(words)),
            ("setgroups", -1, In(words)),
            ("setgroups", 1, In(pack("<I", KEEP))),
            ("setgroups", 4, In(words)),
            ("getgroups", 0, 0),
            ("getgroups", 3, Out(16)),
            ("getgroups", -1, Out(16)),
            ("getgroups", 4, BAD),
            ("getgroups", 100, Out(400)),
        )
        both(("setgroups", 0, 0), ("setgroups", -1, 0), ("getgroups", 0, 0), uid=1000)

    def test_bad_pointers(self) -> None:
        for at in range(3):
            args = [Out(4) if i != at else BAD for i in range(3)]
            both(("getresuid", *args), ("getresgid", *args))

    def test_keepcaps_and_securebits(self) -> None:
        both(*after(("prctl", 8, 1, 0, 0, 0), ("setresuid", 5, 5, 5)), ("prctl", 7, 0, 0, 0, 0))
        both(*after(("prctl", 28, 1 << 2, 0, 0, 0), ("setresuid", 5, 5, 5)), ("prctl", 27, 0, 0, 0, 0))
        both(*after(("prctl", 28, 1 << 2, 0, 0, 0), ("setfsuid", 5), ("setfsuid", 0)))

    def test_capget(self) -> None:
        both(
            ("capget", In(pack("<Ii", V1, 0)), Out(12)),
            ("capget", In(pack("<Ii", V2, 0)), Out(24)),
            ("capget", Words(pack("<Ii", 0, 0)), Out(24)),
            ("capget", Words(pack("<Ii", 0, 0)), 0),
            ("capget", Words(pack("<Ii", V3, 0)), 0),
            ("capget", In(pack("<Ii", V3, -1)), Out(24)),
            ("capget", In(pack("<Ii", V3, 0x3FFF_FFFF)), Out(24)),
            ("capget", In(pack("<Ii", V3, 0)), BAD),
            ("capget", BAD, Out(24)),
            ("capget", BAD, 0),
        )

    def test_capset(self) -> None:
        def caps(effective: int, permitted: int, inheritable: int) -> In:
            sets = (effective, permitted, inheritable)
            return In(b"".join(pack("<3I", *(s >> 32 * i & 0xFFFF_FFFF for s in sets)) for i in range(2)))

        header = In(pack("<Ii", V3, 0))
        chown, kill, setuid = 1 << CAP_CHOWN, 1 << CAP_KILL, 1 << CAP_SETUID
        pcap = 1 << CAP_SETPCAP
        some = chown | kill | pcap
        both(
            *after(
                ("capset", header, caps(0, 1 << 63, 0)),
                ("capset", header, caps(some, some | setuid, kill)),
                ("capset", header, caps(setuid, setuid | some, setuid)),
                ("capset", header, caps(chown, kill | setuid, 0)),
                ("capset", header, caps(kill, kill | setuid, kill)),
                ("capset", header, caps(kill, chown | kill | setuid, kill)),
                ("capset", header, caps(0, setuid, chown)),
                ("capset", header, caps(0, 0, kill)),
                ("capset", header, caps(0, 0, setuid)),
            ),
            ("capset", In(pack("<Ii", V3, 1)), caps(0, 0, 0)),
            ("capset", In(pack("<Ii", V3, 0x3FFF_FFFF)), caps(0, 0, 0)),
            ("capset", header, BAD),
            ("capset", BAD, caps(0, 0, 0)),
            ("capset", Words(pack("<Ii", 5, 0)), caps(0, 0, 0)),
            ("capset", In(pack("<Ii", V1, 0)), In(pack("<3I", 0, 0, 0))),
            *SHOW,
        )

    def test_groups_and_sessions_that_do_not_exist(self) -> None:
        both(
            ("getpgid", 0x3FFF_FFFF), ("getpgid", -1), ("getsid", 0x3FFF_FFFF), ("getsid", -1),
            ("setpgid", 0, -1), ("setpgid", 0x3FFF_FFFF, 0), ("setpgid", -1, 0), ("setpgid", 1, 0),
            ("setpgid", 0, 1), ("setpgid", 0, 0x3FFF_FFFF),
        )  # fmt: skip

    def test_personality(self) -> None:
        both(("personality", KEEP), ("personality", 0x40000), ("personality", KEEP), ("personality", 0))


def test_process_and_thread_ids() -> None:
    rig = Rig()
    child = rig.fork(rig.t)
    other = rig.thread(child)
    pid = child.process.pid
    assert rig.ok("getpid", t=other) == pid
    assert rig.ok("gettid", t=other) == other.tid != pid
    assert rig.ok("getppid", t=other) == rig.t.process.pid
    assert rig.ok("getpgrp", t=other) == rig.t.process.pid
    assert rig.ok("getpgid", other.tid) == rig.t.process.pid
    assert rig.ok("getsid", pid) == rig.t.process.pid


def test_threads_have_credentials_of_their_own() -> None:
    rig = Rig()
    other = rig.thread(rig.t)
    rig.ok("setuid", 1000, t=other)
    assert rig.ok("getuid") == 0
    header = In(CapUserHeader(V3, other.tid).pack())
    _, (data,) = rig.step("capget", header, Out(24))
    assert CapUserData.unpack(data) == (0, 0, 0)


def test_changing_ids_makes_a_process_undumpable_and_forgets_the_death_signal() -> None:
    rig = Rig()
    rig.t.pdeath_signal = 9
    rig.ok("setgroups", 0, 0)
    assert (rig.t.process.dumpable, rig.t.pdeath_signal) == (1, 9)
    rig.ok("setresgid", KEEP, 5, KEEP)
    assert (rig.t.process.dumpable, rig.t.pdeath_signal) == (0, 0)


def test_setpgid_of_a_child() -> None:
    rig = Rig()
    child = rig.fork(rig.t)
    pid = child.process.pid
    rig.ok("setpgid", pid, 0)
    assert child.process.pgrp.pgid == pid
    sibling = rig.fork(rig.t)
    rig.ok("setpgid", sibling.process.pid, pid)
    assert sibling.process.pgrp is child.process.pgrp
    rig.ok("setpgid", sibling.process.pid, rig.t.process.pid)
    assert sibling.process.pgrp is rig.t.process.pgrp
    rig.ok("setpgid", sibling.process.pid, rig.t.process.pid)
    child.process.did_exec = True
    assert rig.fails("setpgid", pid, rig.t.process.pid) == "EACCES"


def test_setpgid_is_refused() -> None:
    rig = Rig()
    child = rig.fork(rig.t)
    grandchild = rig.fork(child)
    stranger = rig.task()
    thread = rig.thread(rig.t)
    assert rig.fails("setpgid", grandchild.process.pid, 0) == "ESRCH"
    assert rig.fails("setpgid", stranger.process.pid, 0) == "ESRCH"
    assert rig.fails("setpgid", thread.tid, 0) == "EINVAL"
    assert rig.fails("setpgid", 0, 0) == "EPERM"  # a session leader
    assert rig.fails("setpgid", child.process.pid, stranger.process.pid) == "EPERM"
    assert rig.fails("setpgid", child.process.pid, grandchild.process.pid) == "EPERM"
    rig.ok("setsid", t=child)
    assert rig.fails("setpgid", child.process.pid, 0) == "EPERM"


def test_setsid() -> None:
    rig = Rig()
    assert rig.fails("setsid") == "EPERM"
    child = rig.fork(rig.t)
    assert rig.ok("setsid", t=child) == child.process.pid
    assert rig.ok("getsid", t=child) == rig.ok("getpgrp", t=child) == child.process.pid
    assert rig.fails("setsid", t=child) == "EPERM"
    leader = rig.fork(rig.t)
    member = rig.fork(leader)
    rig.ok("setpgid", 0, 0, t=leader)
    rig.ok("setpgid", member.process.pid, leader.process.pid, t=leader)
    rig.ok("setpgid", 0, rig.t.process.pid, t=leader)
    # Its old group goes on without it, under its pid.
    assert rig.fails("setsid", t=leader) == "EPERM"


def test_capset_drops_ambient_capabilities() -> None:
    kill = 1 << CAP_KILL
    rig = Rig(Credentials(inheritable=kill, ambient=kill))
    rig.ok("capset", In(CapUserHeader(V3, 0).pack()), In(CapUserData(0, kill, 0).pack() + bytes(12)))
    assert rig.t.creds.ambient == 0
    assert rig.t.creds.permitted == kill


def test_unsupported_personalities_are_recorded() -> None:
    rig = Rig()
    assert rig.ok("personality", 8) == 0
    assert rig.ok("personality", KEEP) == 8
    assert rig.server.complaints == ["personality 0x8"]


def test_all_capabilities() -> None:
    assert Credentials().effective == ALL_CAPS == (1 << CAP_LAST_CAP + 1) - 1
