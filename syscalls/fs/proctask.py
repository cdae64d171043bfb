"""The small files of /proc/PID, and the tables that say which files there are (man 5 proc_pid)."""

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


FILES: dict[bytes, tuple[int, Show]] = {
    b"auxv": (0o400, procmem.auxv),
    b"cgroup": (0o444, _fixed(b"0::/\n")),
    b"cmdline": (0o444, procmem.cmdline),
    b"comm": (0o644, _comm),
    b"environ": (0o400, procmem.environ),
    b"gid_map": (0o644, _fixed(b"%10d %10d %10d\n" % (0, 0, 0xFFFF_FFFF))),
    b"io": (0o400, procstat.io),
    b"limits": (0o444, procstat.limits),
    b"maps": (0o444, procmem.maps),
    b"mountinfo": (0o444, _mountinfo),
    b"mounts": (0o444, _mounts),
    b"oom_score": (0o444, _oom_score),
    b"oom_score_adj": (0o644, _oom_score_adj),
    b"personality": (0o400, _personality),
    b"schedstat": (0o444, procstat.schedstat),
    b"setgroups": (0o644, _fixed(b"allow\n")),
    b"stat": (0o444, procstat.stat),
    b"statm": (0o444, procstat.statm),
    b"status": (0o444, procstat.status),
    b"uid_map": (0o644, _fixed(b"%10d %10d %10d\n" % (0, 0, 0xFFFF_FFFF))),
    b"wchan": (0o444, _fixed(b"0")),
}
"""Mode and maker of each file that a process and a task have."""
PROCESS_FILES: dict[bytes, tuple[int, Show]] = {
    b"coredump_filter": (0o644, _fixed(b"00000033\n")),
    b"mountstats": (0o400, _mountstats),
    b"timerslack_ns": (0o666, _timerslack),
}
TASK_FILES: dict[bytes, tuple[int, Show]] = {b"children": (0o444, _children)}


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
