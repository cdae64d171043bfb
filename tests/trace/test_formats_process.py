"""How the calls of processes, memory, identity, resources and the system are shown: as strace(1) shows them."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from linuxemu.trace import formats
from linuxemu.trace.jsonlog import arguments, whole
from tests.trace.fakecall import written
from tests.trace.injected import (
    BASE,
    END,
    HERE,
    Item,
    all_strace,
    called,
    i32,
    item,
    ptr,
    read,
    show,
    texts,
)

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted(HERE.glob("*.txt"))


def _id(item: Item) -> str:
    return f"{' '.join(item.options)} {item.source}".strip()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_calls_are_shown_as_the_tables_say(path: Path) -> None:
    differing = [(_id(item), shown, item.shown) for item in read(path) if (shown := show(item)) != item.shown]
    assert differing == []


@pytest.mark.skipif(not shutil.which("strace") or not shutil.which("gcc"), reason="needs strace and gcc")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_strace_shows_them_so(path: Path, tmp_path: Path) -> None:
    items = read(path)
    found = all_strace(items, tmp_path)
    differing = [
        (_id(item), found[f"{item.options}{item.source}"], item.shown)
        for item in items
        if found[f"{item.options}{item.source}"] != item.shown
    ]
    assert differing == []


def as_json(one: Item) -> list[tuple[str, str]]:
    """Names and texts of a call's arguments in the JSON log."""
    call, early, late = called(one)
    shown = arguments(call, whole(call, early, late))
    assert json.loads(json.dumps(shown)) == shown
    return [(part.get("name", ""), part["text"]) for part in shown]


def test_arguments_keep_their_names_in_json() -> None:
    assert as_json(item("futex", 0x1000, 10, 5, 4, 3, 9)) == [
        ("uaddr", "0x1000"), ("futex_op", "FUTEX_WAKE_BITSET"), ("val", "5"), ("val3", "0x9"),
    ]  # fmt: skip
    assert as_json(item("mremap", 0x1000, 4096, 8192, 1, 7))[-1] == ("flags", "MREMAP_MAYMOVE")
    attr = ptr(i32(48, 0), *[0] * 5)
    assert as_json(item("sched_setattr", 0, attr, 3, result=-7))[1:] == [
        ("attr", "{size=48, sched_policy=SCHED_OTHER, sched_flags=0, sched_nice=0, sched_priority=0, sched_runtime=0, "
                 "sched_deadline=0, sched_period=0} => {size=48}"),
        ("flags", "3"),
    ]  # fmt: skip
    assert as_json(item("clone", 0x100011, 0, i32(5), result=5)) == [
        ("child_stack", "NULL"), ("flags", "CLONE_PARENT_SETTID|SIGCHLD"), ("parent_tid", "[5]"),
    ]  # fmt: skip
    clone3 = item("clone3", ptr(0x100000, 0, 0, ptr(i32(5)), 17, 0, 0, 0), 64, result=5)
    assert [text for _, text in as_json(clone3)] == [
        f"{{flags=CLONE_PARENT_SETTID, parent_tid={BASE + 0x140:#x}, exit_signal=SIGCHLD, stack=NULL, stack_size=0}}"
        " => {parent_tid=[5]}",
        "64",
    ]


def test_commands_of_processes() -> None:
    other = SimpleNamespace(comm=b"sh", tid=7)
    for name, args, result, shown in (
        ("getpid", (), 7, "getpid() = 7<sh>"),
        ("getpgrp", (), 7, "getpgrp() = 7"),
        ("wait4", (7, 0, 0, 0), 7, "wait4(7<sh>, NULL, 0, NULL) = 7<sh>"),
        ("wait4", (-7, 0, 0, 0), -10, "wait4(-7, NULL, 0, NULL) = -1 ECHILD (No child processes)"),
        ("fork", (), 7, "fork() = 7<sh>"),
        ("getpriority", (0, 7), 20, "getpriority(PRIO_PROCESS, 7<sh>) = 20"),
        ("getpriority", (1, 7), 20, "getpriority(PRIO_PGRP, 7) = 20"),
        ("ioprio_get", (1, 7), -3, "ioprio_get(IOPRIO_WHO_PROCESS, 7<sh>) = -1 ESRCH (No such process)"),
        ("waitid", (1, 7, 0, 4, 0), 0, "waitid(P_PID, 7<sh>, NULL, WEXITED, NULL) = 0"),
        ("waitid", (2, 7, 0, 4, 0), 0, "waitid(P_PGID, 7, NULL, WEXITED, NULL) = 0"),
        ("setpgid", (7, 7), 0, "setpgid(7<sh>, 7) = 0"),
        ("prctl", (0x59616D61, 7), 0, "prctl(PR_SET_PTRACER, 7<sh>) = 0"),
        ("prctl", (62, 1, 7, 1, 0), 0, "prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 7<sh>, 0x1"
         " /* PIDTYPE_TGID */, NULL) = 0"),
        ("prctl", (62, 0, 7, 2, 0), -22, "prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, 7, 0x2 /* PIDTYPE_PGID */, NULL)"
         " = -1 EINVAL (Invalid argument)"),
        ("capget", (i32(0x2008_0522, 7), 0), 0, "capget({version=_LINUX_CAPABILITY_VERSION_3, pid=7<sh>}, NULL) = 0"),
    ):  # fmt: skip
        call, _, _ = called(item(name, *args, result=result))
        call.style = call.style._replace(pids=True)
        call.t.server.tasks[7] = other
        assert written(call, texts(call, call.plan.entry), texts(call, call.plan.exit)) == shown


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_call_that_blocks_is_the_same_line(path: Path) -> None:
    assert [one.source for one in read(path) if written(*called(one), blocks=True) != one.shown] == []


def test_many_pages_that_are_not_there() -> None:
    pointers = [0x2000_0000 + page * 4096 for page in range(1500)]
    one = item("execve", b"a\0", ptr(*pointers, 0), 0, options=("-v",))
    reads = 0
    call, _, _ = called(one)
    call.unreadable = None
    resident = call.mem.resident

    def counted(addr: int, n: int) -> bytes:
        nonlocal reads
        reads += 1
        data: bytes = resident(addr, n)
        return data

    call.mem.resident = counted
    shown = texts(call, call.plan.entry)
    assert shown[1].startswith(f"[{pointers[0]:#x}, ") and shown[1].count(",") == 1499
    assert reads < 10 * len(pointers)


def test_work_is_bounded() -> None:
    words = item("getgroups", 1 << 30, BASE, result=1 << 30, options=("-v",))
    assert show(words).count(",") < (END - BASE) // 4 + 5
    assert "65536 vars, unterminated" in show_many_variables()


def show_many_variables() -> str:
    """The environment of execve(2) in memory that has no end."""
    call, _, _ = called(item("execve", b"a\0", 0, BASE))
    call.mem.resident = lambda addr, n: b"\1" * n
    return texts(call, call.plan.entry)[2]


def test_a_format_has_one_formatter() -> None:
    with pytest.raises(ValueError, match="format address is registered twice"):
        formats.shows("address")(lambda call, value, arg: None)
