"""/proc/PID and /proc/PID/task/TID: the directory of a process or task and what is in it (man 5 proc_pid)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EACCES, EINVAL, ENOENT, EPERM, ESRCH
from syscalls.abi.flags import (
    CAP_SYS_RESOURCE,
    DT_DIR,
    DT_LNK,
    DT_REG,
    O_CLOEXEC,
    S_IFDIR,
    S_IFLNK,
)
from syscalls.errors import SysError
from syscalls.fs import procmem, procstat
from syscalls.fs.procstat import may_inspect
from syscalls.vfs.mount import Path, anonymous_path
from syscalls.vfs.virtual import VirtualDirectory, VirtualFile, VirtualLink
from syscalls.vfs.walk import path_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.fs.procfs import ProcFs
    from syscalls.objects.file import File
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Attr, Inode
    from syscalls.vfs.virtual import Entry

    Show = Callable[[Task, Task, bool], Awaitable[bytes]]
    """Makes contents for (reader, shown task, whether the whole process is shown)."""
    Where = Callable[[Task, Task], Awaitable[Path]]

_PID_INO = 1 << 32
_FD_INO = 1 << 48
_TASK_ROOM = 1 << 8
"""Inode numbers of one directory of a task."""
_COMM_LEN = 15
_OOM_MAX = 1000
_NAMESPACES = (
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


async def _comm(t: Task, task: Task, whole: bool) -> bytes:
    return task.comm + b"\n"


async def _oom_score(t: Task, task: Task, whole: bool) -> bytes:
    return b"%d\n" % ((_OOM_MAX + task.process.oom_score_adj) * 2 // 3)


async def _oom_score_adj(t: Task, task: Task, whole: bool) -> bytes:
    return b"%d\n" % task.process.oom_score_adj


async def _mounts(t: Task, task: Task, whole: bool) -> bytes:
    return t.server.namespace.mounts_text(_context(task).root)


async def _mountinfo(t: Task, task: Task, whole: bool) -> bytes:
    return t.server.namespace.mountinfo_text(_context(task).root)


async def _mountstats(t: Task, task: Task, whole: bool) -> bytes:
    lines = []
    for line in t.server.namespace.mounts_text(_context(task).root).splitlines():
        source, where, kind = line.split(b" ")[:3]
        lines.append(b"device %s mounted on %s with fstype %s\n" % (source, where, kind))
    return b"".join(lines)


async def _cgroup(t: Task, task: Task, whole: bool) -> bytes:
    return b"0::/\n"


async def _zero(t: Task, task: Task, whole: bool) -> bytes:
    return b"0"


async def _zero_line(t: Task, task: Task, whole: bool) -> bytes:
    return b"0\n"


async def _personality(t: Task, task: Task, whole: bool) -> bytes:
    return b"%08x\n" % task.personality


async def _timerslack(t: Task, task: Task, whole: bool) -> bytes:
    return b"%d\n" % task.timer_slack_ns


async def _children(t: Task, task: Task, whole: bool) -> bytes:
    found = sorted(child.pid for child in task.process.children.values() if child.parent_task is task)
    return b"".join(b"%d " % pid for pid in found)


async def _all_ids(t: Task, task: Task, whole: bool) -> bytes:
    return b"%10d %10d %10d\n" % (0, 0, 0xFFFF_FFFF)


async def _allow(t: Task, task: Task, whole: bool) -> bytes:
    return b"allow\n"


async def _coredump_filter(t: Task, task: Task, whole: bool) -> bytes:
    return b"00000033\n"


_FILES: dict[bytes, tuple[int, Show]] = {
    b"auxv": (0o400, procmem.auxv),
    b"cgroup": (0o444, _cgroup),
    b"cmdline": (0o444, procmem.cmdline),
    b"comm": (0o644, _comm),
    b"coredump_filter": (0o644, _coredump_filter),
    b"environ": (0o400, procmem.environ),
    b"gid_map": (0o644, _all_ids),
    b"io": (0o400, procstat.io),
    b"limits": (0o444, procstat.limits),
    b"loginuid": (0o644, _no_loginuid := _zero),
    b"maps": (0o444, procmem.maps),
    b"mountinfo": (0o444, _mountinfo),
    b"mounts": (0o444, _mounts),
    b"mountstats": (0o400, _mountstats),
    b"oom_score": (0o444, _oom_score),
    b"oom_score_adj": (0o644, _oom_score_adj),
    b"personality": (0o400, _personality),
    b"schedstat": (0o444, procstat.schedstat),
    b"sessionid": (0o444, _zero),
    b"setgroups": (0o644, _allow),
    b"stat": (0o444, procstat.stat),
    b"statm": (0o444, procstat.statm),
    b"status": (0o444, procstat.status),
    b"timerslack_ns": (0o666, _timerslack),
    b"uid_map": (0o644, _all_ids),
    b"wchan": (0o444, _zero),
}
_TASK_ONLY: dict[bytes, tuple[int, Show]] = {b"children": (0o444, _children)}
_PROCESS_ONLY = (b"coredump_filter", b"mountstats", b"timerslack_ns")
_LINKS = (b"cwd", b"exe", b"root")
_DIRECTORIES = (b"fd", b"fdinfo", b"net", b"ns", b"task")


def _context(task: Task) -> FsContext:
    """Root and current directory of a task; EINVAL for one that is gone."""
    if task.process.unkillable or task.process.mm is None:
        raise SysError(EINVAL)
    return task.fs
