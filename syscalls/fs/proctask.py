"""The small files of /proc/PID, and the table of what makes each of them (man 5 proc_pid)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EACCES, EINVAL
from syscalls.abi.flags import CAP_SYS_RESOURCE
from syscalls.errors import SysError
from syscalls.fs import procmem, procstat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.objects.task import Task
    from syscalls.vfs.mount import Path

    Show = Callable[[Task, Task, bool], Awaitable[bytes]]
    """Makes contents for (reader, shown task, whether the whole process is shown)."""
    Take = Callable[[Task, Task, bytes], None]
    """Takes a new value from (writer, shown task, bytes)."""

_COMM_LEN = 15
_OOM_MAX = 1000
_EVERY_ID = b"%10d %10d %10d\n" % (0, 0, 0xFFFF_FFFF)

NAMESPACES = (
    (b"cgroup", b"cgroup", 4026531835),
    (b"ipc", b"ipc", 4026531839),
    (b"mnt", b"mnt", 4026531841),
    (b"net", b"net", 4026531840),
    (b"pid", b"pid", 4026531836),
    (b"pid_for_children", b"pid", 4026531836),
    (b"time", b"time", 4026531834),
    (b"time_for_children", b"time", 4026531834),
    (b"user", b"user", 4026531837),
    (b"uts", b"uts", 4026531838),
)
"""Name, kind and number of the links in ns/: there is one namespace of each kind."""


def _root_of(t: Task, task: Task) -> Path:
    """The root directory of a task, or the reader's for pid 1, which has none; EINVAL for a zombie."""
    if task.process.unkillable:
        return t.fs.root
    if task.process.mm is None:
        raise SysError(EINVAL)
    return task.fs.root


def _fixed(contents: bytes) -> Show:
    async def show(t: Task, task: Task, whole: bool) -> bytes:
        return contents

    return show


async def _comm(t: Task, task: Task, whole: bool) -> bytes:
    return task.comm + b"\n"


async def _oom_score(t: Task, task: Task, whole: bool) -> bytes:
    return b"%d\n" % ((_OOM_MAX + task.process.oom_score_adj) * 2 // 3)


async def _oom_score_adj(t: Task, task: Task, whole: bool) -> bytes:
    return b"%d\n" % task.process.oom_score_adj


async def _mounts(t: Task, task: Task, whole: bool) -> bytes:
    return t.server.namespace.mounts_text(_root_of(t, task))


async def _mountinfo(t: Task, task: Task, whole: bool) -> bytes:
    return t.server.namespace.mountinfo_text(_root_of(t, task))


async def _mountstats(t: Task, task: Task, whole: bool) -> bytes:
    rows = [line.split(b" ")[:3] for line in (await _mounts(t, task, whole)).splitlines()]
    return b"".join(b"device %s mounted on %s with fstype %s\n" % tuple(row) for row in rows)


async def _personality(t: Task, task: Task, whole: bool) -> bytes:
    return b"%08x\n" % task.personality


async def _timerslack(t: Task, task: Task, whole: bool) -> bytes:
    return b"%d\n" % task.timer_slack_ns


async def _children(t: Task, task: Task, whole: bool) -> bytes:
    found = sorted(child.pid for child in task.process.children.values() if child.parent_task is task)
    return b"".join(b"%d " % pid for pid in found)


CONTENTS: dict[bytes, Show] = {
    b"auxv": procmem.auxv,
    b"cgroup": _fixed(b"0::/\n"),
    b"children": _children,
    b"cmdline": procmem.cmdline,
    b"comm": _comm,
    b"coredump_filter": _fixed(b"00000033\n"),
    b"environ": procmem.environ,
    b"gid_map": _fixed(_EVERY_ID),
    b"io": procstat.io,
    b"limits": procstat.limits,
    b"maps": procmem.maps,
    b"mountinfo": _mountinfo,
    b"mounts": _mounts,
    b"mountstats": _mountstats,
    b"oom_score": _oom_score,
    b"oom_score_adj": _oom_score_adj,
    b"personality": _personality,
    b"schedstat": procstat.schedstat,
    b"setgroups": _fixed(b"allow\n"),
    b"stat": procstat.stat,
    b"statm": procstat.statm,
    b"status": procstat.status,
    b"timerslack_ns": _timerslack,
    b"uid_map": _fixed(_EVERY_ID),
    b"wchan": _fixed(b"0"),
}
"""What makes each file's contents."""


def _take_comm(t: Task, task: Task, data: bytes) -> None:
    """Rename a thread of one's own process (man 5 proc_pid_comm)."""
    if task.process is not t.process:
        raise SysError(EINVAL)
    task.comm = data[:_COMM_LEN].split(b"\0")[0]


def _take_oom_score_adj(t: Task, task: Task, data: bytes) -> None:
    """Anybody may make a process more likely to be killed (man 5 proc_pid_oom_score_adj)."""
    try:
        value = int(data.strip())
    except ValueError:
        raise SysError(EINVAL) from None
    if not -_OOM_MAX <= value <= _OOM_MAX:
        raise SysError(EINVAL)
    if value < task.process.oom_score_adj and not t.creds.capable(CAP_SYS_RESOURCE):
        raise SysError(EACCES)
    task.process.oom_score_adj = value


TAKERS: dict[bytes, Take] = {b"comm": _take_comm, b"oom_score_adj": _take_oom_score_adj}
"""Files that can be written."""
