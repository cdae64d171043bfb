"""Limits, usage, priorities and scheduling. The machine has one CPU."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import E2BIG, EACCES, EINVAL, EPERM, ESRCH
from syscalls.abi.flags import (
    CAP_SYS_ADMIN,
    CAP_SYS_NICE,
    CAP_SYS_RESOURCE,
    IOPRIO_CLASS_BE,
    IOPRIO_CLASS_IDLE,
    IOPRIO_CLASS_NONE,
    IOPRIO_CLASS_RT,
    IOPRIO_CLASS_SHIFT,
    IOPRIO_WHO_PGRP,
    IOPRIO_WHO_PROCESS,
    IOPRIO_WHO_USER,
    PRIO_PGRP,
    PRIO_PROCESS,
    PRIO_USER,
    RLIM_NLIMITS,
    RLIMIT_CPU,
    RLIMIT_NICE,
    RLIMIT_NOFILE,
    RLIMIT_RTPRIO,
    RUSAGE_CHILDREN,
    RUSAGE_SELF,
    RUSAGE_THREAD,
    SCHED_BATCH,
    SCHED_DEADLINE,
    SCHED_EXT,
    SCHED_FIFO,
    SCHED_FLAG_KEEP_PARAMS,
    SCHED_FLAG_KEEP_POLICY,
    SCHED_FLAG_RESET_ON_FORK,
    SCHED_FLAG_UTIL_CLAMP_MAX,
    SCHED_FLAG_UTIL_CLAMP_MIN,
    SCHED_IDLE,
    SCHED_NORMAL,
    SCHED_RESET_ON_FORK,
    SCHED_RR,
)
from syscalls.abi.structs import Rlimit, Rusage, SchedAttr, Timespec
from syscalls.errors import SysError
from syscalls.registry import PARTIAL, syscall
from syscalls.types import (
    Count,
    In,
    InOut,
    Int,
    Ioprio,
    IoprioResult,
    IoprioWhich,
    Out,
    Pid,
    Policy,
    PolicyResult,
    PriorityWhich,
    PriorityWho,
    Resource,
    RusageWho,
    Shown,
    UInt,
)

if TYPE_CHECKING:
    from syscalls.objects.process import Process
    from syscalls.objects.task import Task

_NR_OPEN = 1 << 20
"""/proc/sys/fs/nr_open."""
_PAGE = 4096
_CPU_MASK_SIZE = 8
_ONLY_CPU = 1
_RT_MAX_PRIORITY = 99
_RR_SLICE_NS = 100_000_000
_FAIR_SLICE_NS = 4_000_000
_REALTIME = (SCHED_FIFO, SCHED_RR)
_FAIR = (SCHED_NORMAL, SCHED_BATCH)
_POLICIES = (*_FAIR, *_REALTIME, SCHED_IDLE)
_SCHED_ATTR_V0 = 48
_UTIL_CLAMP = SCHED_FLAG_UTIL_CLAMP_MIN | SCHED_FLAG_UTIL_CLAMP_MAX
_SCHED_FLAGS = 0x7F


def _task(t: Task, tid: int) -> Task:
    """A task by tid, 0 for the caller; a zombie's leader counts. ESRCH."""
    found = t.process.table.find_task(tid) if tid else t
    if found is None:
        raise SysError(ESRCH)
    return found


def _is_owner(t: Task, other: Task) -> bool:
    """Whether the caller is the user that a task runs as, really or effectively."""
    return t.creds.euid in (other.creds.uid, other.creds.euid)


def _outranks(other: Task, t: Task) -> bool:
    """Whether a task may have capabilities that the caller may not: then CAP_SYS_NICE is needed."""
    return bool(other.creds.permitted & ~t.creds.permitted)


# -- limits and usage -------------------------------------------------------------------------------------


@syscall("getrlimit", errors="EFAULT EINVAL")
async def getrlimit(t: Task, resource: Resource, rlim: Out[Rlimit]) -> None:
    """A resource limit of the caller (man 2 getrlimit)."""
    if resource >= RLIM_NLIMITS:
        raise SysError(EINVAL)
    await t.mem.put(rlim, Rlimit(*t.process.rlimits[resource]))


@syscall("setrlimit", errors="EFAULT EINVAL EPERM")
async def setrlimit(t: Task, resource: Resource, rlim: In[Rlimit]) -> None:
    """Set a resource limit of the caller (man 2 setrlimit)."""
    new = await t.mem.struct(rlim, Rlimit)
    if resource >= RLIM_NLIMITS:
        raise SysError(EINVAL)
    _set_limit(t, t.process, resource, new)


def _set_limit(t: Task, process: Process, resource: int, new: Rlimit) -> None:
    if new.rlim_cur > new.rlim_max:
        raise SysError(EINVAL)
    if resource == RLIMIT_NOFILE and new.rlim_max > _NR_OPEN:
        raise SysError(EPERM)
    old = process.rlimits[resource]
    if new.rlim_max > old[1] and not t.creds.capable(CAP_SYS_RESOURCE):
        raise SysError(EPERM)
    process.rlimits[resource] = (new.rlim_cur, new.rlim_max)
    if resource == RLIMIT_CPU:
        from syscalls.objects.timers import watch_cpu_limit

        watch_cpu_limit(process)


@syscall("prlimit64", errors="EFAULT EINVAL EPERM ESRCH")
async def prlimit64(
    t: Task, pid: Pid, resource: Resource, new_limit: In[Rlimit], old_limit: Out[Rlimit]
) -> None:
    """Get and set a resource limit of a process (man 2 prlimit)."""
    new = await t.mem.struct(new_limit, Rlimit) if new_limit else None
    task = _task(t, pid)
    if task is not t and not _same_ids(t, task) and not t.creds.capable(CAP_SYS_RESOURCE):
        raise SysError(EPERM)
    if resource >= RLIM_NLIMITS:
        raise SysError(EINVAL)
    old = task.process.rlimits[resource]
    if new is not None:
        _set_limit(t, task.process, resource, new)
    if old_limit:
        await t.mem.put(old_limit, Rlimit(*old))


def _same_ids(t: Task, other: Task) -> bool:
    """Whether every id of a task is the caller's real one."""
    own, its = t.creds, other.creds
    return {its.uid, its.euid, its.suid} == {own.uid} and {its.gid, its.egid, its.sgid} == {own.gid}


@syscall("getrusage", errors="EFAULT EINVAL")
async def getrusage(t: Task, who: RusageWho, usage: Out[Rusage]) -> None:
    """Resources used by the process, its reaped children or the thread (man 2 getrusage)."""
    from syscalls.objects.process import Usage
    from syscalls.objects.wait import rusage

    process = t.process
    if who == RUSAGE_CHILDREN:
        used = process.child_usage
    elif who == RUSAGE_SELF:
        used = process.usage()
    elif who == RUSAGE_THREAD:
        used = Usage()
        used.add_task(t)
    else:
        raise SysError(EINVAL)
    found = rusage(used)
    if who != RUSAGE_CHILDREN:
        found = found.replace(ru_maxrss=max(found.ru_maxrss, t.mm.rss_pages() * (_PAGE // 1024)))
    await t.mem.put(usage, found)


# -- nice -------------------------------------------------------------------------------------------------


def _members(t: Task, kind: int, who: int) -> list[Task]:
    """The tasks that getpriority or ioprio_get names by process, group (youngest first) or user; ESRCH for none."""
    if kind == PRIO_PROCESS:
        return [_task(t, who)]
    if kind == PRIO_USER:
        return _of_user(t, who & 0xFFFF_FFFF or t.creds.uid)
    pgid = who or t.process.pgrp.pgid
    members = [process for process in t.process.table if process.pgrp.pgid == pgid][::-1]
    if not members:
        raise SysError(ESRCH)
    return [task for process in members for task in _tasks_of(process)]


def _of_user(t: Task, uid: int) -> list[Task]:
    """The tasks whose real user id this is; ESRCH for none."""
    found = [task for process in t.process.table for task in _tasks_of(process) if task.creds.uid == uid]
    if not found:
        raise SysError(ESRCH)
    return found


def _tasks_of(process: Process) -> list[Task]:
    """The tasks of a process; its leader is one until the process is reaped."""
    tasks = process.tasks
    return [*tasks.values()] if process.leader.tid in tasks else [process.leader, *tasks.values()]


@syscall("getpriority", errors="EINVAL ESRCH")
async def getpriority(t: Task, which: PriorityWhich, who: PriorityWho) -> int:
    """The best priority of some tasks, as 20 minus their nice value (man 2 getpriority)."""
    if not PRIO_PROCESS <= which <= PRIO_USER:
        raise SysError(EINVAL)
    return 20 - min(task.nice for task in _members(t, which, who))


@syscall("setpriority", errors="EACCES EINVAL EPERM ESRCH")
async def setpriority(t: Task, which: PriorityWhich, who: PriorityWho, prio: Int) -> None:
    """Set the nice value of some tasks (man 2 setpriority)."""
    if not PRIO_PROCESS <= which <= PRIO_USER:
        raise SysError(EINVAL)
    nice = max(-20, min(prio, 19))
    refused = None
    for task in _members(t, which, who):
        try:
            _check_nice(t, task, nice)
        except SysError as error:
            refused = error
        else:
            task.nice = nice
    if refused is not None:
        raise refused


def _check_nice(t: Task, task: Task, nice: int) -> None:
    """EPERM or EACCES for a task whose nice value the caller may not set (man 2 setpriority)."""
    if t.creds.capable(CAP_SYS_NICE):
        return
    if not _is_owner(t, task):
        raise SysError(EPERM)
    if nice < task.nice and not _nice_allowed(task, nice):
        raise SysError(EACCES)
    if _outranks(task, t):
        raise SysError(EPERM)


def _nice_allowed(task: Task, nice: int) -> bool:
    """Whether RLIMIT_NICE lets the task have this nice value."""
    return 20 - nice <= task.process.rlimits[RLIMIT_NICE][0]


# -- scheduling policy ------------------------------------------------------------------------------------


@syscall("sched_yield")
async def sched_yield(t: Task) -> None:
    """Let the other ready tasks run first (man 2 sched_yield)."""
    await t.yield_()


def _scheduled(t: Task, pid: int) -> Task:
    if pid < 0:
        raise SysError(EINVAL)
    return _task(t, pid)


@syscall("sched_getscheduler", errors="EINVAL ESRCH")
async def sched_getscheduler(t: Task, pid: Pid) -> PolicyResult:
    """The scheduling policy of a task (man 2 sched_getscheduler)."""
    task = _scheduled(t, pid)
    return task.sched_policy | (SCHED_RESET_ON_FORK if task.sched_reset_on_fork else 0)


@syscall(
    "sched_setscheduler",
    errors="EFAULT EINVAL EPERM ESRCH",
    support=PARTIAL,
    notes="kept and reported, but tasks are scheduled alike, except right after a change",
)
async def sched_setscheduler(t: Task, pid: Pid, policy: Policy, param: In[int]) -> None:
    """Set scheduling policy and priority of a task (man 2 sched_setscheduler)."""
    if policy < 0 or not param or pid < 0:
        raise SysError(EINVAL)
    priority = await t.mem.s32(param)
    task = _task(t, pid)
    _set_policy(t, task, policy & ~SCHED_RESET_ON_FORK, priority, bool(policy & SCHED_RESET_ON_FORK))
    await _let_higher_run(t)


@syscall(
    "sched_setparam",
    errors="EFAULT EINVAL EPERM ESRCH",
    support=PARTIAL,
    notes="kept and reported, but tasks are scheduled alike, except right after a change",
)
async def sched_setparam(t: Task, pid: Pid, param: In[int]) -> None:
    """Set the priority of a task under its policy (man 2 sched_setparam)."""
    if not param or pid < 0:
        raise SysError(EINVAL)
    priority = await t.mem.s32(param)
    task = _task(t, pid)
    _set_policy(t, task, task.sched_policy, priority, task.sched_reset_on_fork)
    await _let_higher_run(t)


@syscall("sched_getparam", errors="EFAULT EINVAL ESRCH")
async def sched_getparam(t: Task, pid: Pid, param: Out[int]) -> None:
    """The real-time priority of a task, 0 for other policies (man 2 sched_getparam)."""
    if not param:
        raise SysError(EINVAL)
    await t.mem.put_u32(param, _scheduled(t, pid).sched_priority)


def _set_policy(t: Task, task: Task, policy: int, priority: int, reset_on_fork: bool) -> None:
    _check_policy(t, task, policy, priority, reset_on_fork, task.nice)
    task.set_policy(policy, priority)
    task.sched_reset_on_fork = reset_on_fork


async def _let_higher_run(t: Task) -> None:
    """Priorities were changed: a ready task with a higher one than the caller's runs before the caller goes on."""
    tasks = t.process.table.tasks.values()
    if any(task.sched_priority > t.sched_priority and task.state() == "R" for task in tasks):
        await t.yield_()


def _check_policy(t: Task, task: Task, policy: int, priority: int, reset_on_fork: bool, nice: int) -> None:
    """EINVAL for a wrong policy or priority, EPERM for what the caller may not ask for."""
    if policy == SCHED_DEADLINE:
        t.server.unsupported("SCHED_DEADLINE", t)
    if policy not in _POLICIES or not 0 <= priority <= _RT_MAX_PRIORITY:
        raise SysError(EINVAL)
    if (policy in _REALTIME) != (priority != 0):
        raise SysError(EINVAL)
    if not t.creds.capable(CAP_SYS_NICE):
        _check_unprivileged(t, task, policy, priority, reset_on_fork, nice)
    if policy in _REALTIME and policy != task.sched_policy:
        t.server.unsupported("real-time scheduling", t)


def _check_unprivileged(
    t: Task, task: Task, policy: int, priority: int, reset_on_fork: bool, nice: int
) -> None:
    """What man 7 sched lets a task do without CAP_SYS_NICE; else EPERM."""
    allowed = _is_owner(t, task) and not _outranks(task, t)
    if policy in _FAIR and nice < task.nice:
        allowed = allowed and _nice_allowed(task, nice)
    if policy in _REALTIME:
        limit = task.process.rlimits[RLIMIT_RTPRIO][0]
        allowed = allowed and (policy == task.sched_policy or limit > 0)
        allowed = allowed and (priority <= task.sched_priority or priority <= limit)
    if task.sched_policy == SCHED_IDLE and policy != SCHED_IDLE:
        allowed = allowed and _nice_allowed(task, task.nice)
    if task.sched_reset_on_fork and not reset_on_fork:
        allowed = False
    if not allowed:
        raise SysError(EPERM)


@syscall(
    "sched_setattr",
    errors="E2BIG EFAULT EINVAL EPERM ESRCH",
    support=PARTIAL,
    notes="kept and reported, but tasks are scheduled alike, except right after a change",
)
async def sched_setattr(
    t: Task, pid: Pid, attr: Annotated[InOut[SchedAttr], Shown("sched_attr")], flags: UInt
) -> None:
    """Set policy, nice value and priority of a task at once (man 2 sched_setattr)."""
    if not attr or pid < 0 or flags:
        raise SysError(EINVAL)
    new = await _read_attr(t, attr)
    if new.sched_policy >> 31:
        raise SysError(EINVAL)
    task = _task(t, pid)
    if new.sched_flags & ~_SCHED_FLAGS:
        raise SysError(EINVAL)
    policy, reset_on_fork = new.sched_policy, bool(new.sched_flags & SCHED_FLAG_RESET_ON_FORK)
    if new.sched_flags & SCHED_FLAG_KEEP_POLICY:
        policy, reset_on_fork = task.sched_policy, task.sched_reset_on_fork
    keep = bool(new.sched_flags & SCHED_FLAG_KEEP_PARAMS)
    priority = task.sched_priority if keep and task.sched_policy in _REALTIME else new.sched_priority
    nice = task.nice if keep else max(-20, min(new.sched_nice, 19))
    if new.sched_flags & _UTIL_CLAMP:
        t.server.unsupported("sched_setattr: utilization clamps", t)
    _check_policy(t, task, policy, priority, reset_on_fork, nice)
    task.sched_reset_on_fork = reset_on_fork
    if not keep:  # which keeps the policy too
        task.set_policy(policy, priority)
        if policy in _FAIR:
            task.nice = nice
        await _let_higher_run(t)


async def _read_attr(t: Task, address: int) -> SchedAttr:
    """A struct sched_attr of the size it says, which may be older or newer than ours."""
    size = await t.mem.u32(address) or _SCHED_ATTR_V0
    raw = b""
    if _SCHED_ATTR_V0 <= size <= _PAGE:
        raw = await t.mem.read(address, size)
    if not raw or any(raw[SchedAttr.SIZE :]):
        with suppress(SysError):
            await t.mem.put_u32(address, SchedAttr.SIZE)
        raise SysError(E2BIG)
    new = SchedAttr.unpack(raw[: SchedAttr.SIZE].ljust(SchedAttr.SIZE, b"\0"))
    if new.sched_flags & _UTIL_CLAMP and size < SchedAttr.SIZE:
        raise SysError(EINVAL)
    return new


@syscall("sched_getattr", errors="EFAULT EINVAL ESRCH")
async def sched_getattr(
    t: Task, pid: Pid, attr: Annotated[Out[SchedAttr], Shown("sched_attr_out")], size: UInt, flags: UInt
) -> None:
    """Policy, nice value and priority of a task (man 2 sched_getattr)."""
    if not attr or pid < 0 or flags or not _SCHED_ATTR_V0 <= size <= _PAGE:
        raise SysError(EINVAL)
    task = _task(t, pid)
    found = SchedAttr(
        min(size, SchedAttr.SIZE),
        task.sched_policy,
        SCHED_FLAG_RESET_ON_FORK if task.sched_reset_on_fork else 0,
        0 if task.sched_policy in _REALTIME else task.nice,
        task.sched_priority,
        sched_util_max=1024,
    )
    await t.mem.write(attr, found.pack()[:size].ljust(size, b"\0"))


@syscall("sched_get_priority_max", errors="EINVAL")
async def sched_get_priority_max(t: Task, policy: Policy) -> int:
    """The highest priority of a policy (man 2 sched_get_priority_max)."""
    return _RT_MAX_PRIORITY if _is_realtime(policy) else 0


@syscall("sched_get_priority_min", errors="EINVAL")
async def sched_get_priority_min(t: Task, policy: Policy) -> int:
    """The lowest priority of a policy (man 2 sched_get_priority_min)."""
    return 1 if _is_realtime(policy) else 0


def _is_realtime(policy: int) -> bool:
    if policy not in (*_POLICIES, SCHED_DEADLINE, SCHED_EXT):
        raise SysError(EINVAL)
    return policy in _REALTIME


@syscall("sched_rr_get_interval", errors="EFAULT EINVAL ESRCH")
async def sched_rr_get_interval(t: Task, pid: Pid, tp: Out[Timespec]) -> None:
    """The time slice of a task (man 2 sched_rr_get_interval)."""
    task = _scheduled(t, pid)
    slice_ns = _FAIR_SLICE_NS
    if task.sched_policy in _REALTIME:
        slice_ns = _RR_SLICE_NS if task.sched_policy == SCHED_RR else 0
    await t.mem.put(tp, Timespec(0, slice_ns))


@syscall("sched_getaffinity", errors="EFAULT EINVAL ESRCH")
async def sched_getaffinity(
    t: Task, pid: Pid, cpusetsize: UInt, mask: Annotated[Out[bytes], Shown("cpu_set"), Count("result")]
) -> int:
    """The CPUs a task may run on; returns the size of the kernel's mask (man 2 sched_getaffinity)."""
    if not cpusetsize * 8 & 0xFFFF_FFFF or cpusetsize % _CPU_MASK_SIZE:
        raise SysError(EINVAL)
    task = _task(t, pid)
    await t.mem.put_u64(mask, task.affinity)
    return _CPU_MASK_SIZE


@syscall("sched_setaffinity", errors="EFAULT EINVAL EPERM ESRCH")
async def sched_setaffinity(
    t: Task, pid: Pid, cpusetsize: UInt, mask: Annotated[In[bytes], Shown("cpu_set"), Count("cpusetsize")]
) -> None:
    """Restrict a task to some CPUs, of which there is only number 0 (man 2 sched_setaffinity)."""
    raw = await t.mem.read(mask, min(cpusetsize, _CPU_MASK_SIZE))
    task = _task(t, pid)
    if not t.creds.capable(CAP_SYS_NICE) and (not _is_owner(t, task) or _outranks(task, t)):
        raise SysError(EPERM)
    wanted = int.from_bytes(raw, "little") & _ONLY_CPU
    if not wanted:
        raise SysError(EINVAL)
    task.affinity = wanted


@syscall("getcpu", errors="EFAULT")
async def getcpu(
    t: Task,
    cpu: Annotated[Out[int], Shown("uints")],
    node: Annotated[Out[int], Shown("uints")],
    tcache: Annotated[In[bytes], Shown("address")],
) -> None:
    """The CPU and memory node the caller runs on: both 0 (man 2 getcpu)."""
    if cpu:
        await t.mem.put_u32(cpu, 0)
    if node:
        await t.mem.put_u32(node, 0)


# -- I/O priority -----------------------------------------------------------------------------------------

_IOPRIO_WHO = {IOPRIO_WHO_PROCESS: PRIO_PROCESS, IOPRIO_WHO_PGRP: PRIO_PGRP, IOPRIO_WHO_USER: PRIO_USER}
_IOPRIO_CLASSES = 7
_IOPRIO_LEVELS = 7
_IOPRIO_MASK = 0xFFFF


def _effective_io_priority(task: Task) -> int:
    """The I/O priority in use: without one of its own a task gets it from its nice value."""
    if task.io_priority >> IOPRIO_CLASS_SHIFT != IOPRIO_CLASS_NONE:
        return task.io_priority
    kind = IOPRIO_CLASS_BE
    if task.sched_policy == SCHED_IDLE:
        kind = IOPRIO_CLASS_IDLE
    elif task.sched_policy in _REALTIME:
        kind = IOPRIO_CLASS_RT
    return kind << IOPRIO_CLASS_SHIFT | (task.nice + 20) // 5


@syscall("ioprio_get", errors="EINVAL ESRCH")
async def ioprio_get(t: Task, which: IoprioWhich, who: PriorityWho) -> IoprioResult:
    """The I/O priority of a task, or the best one of several (man 2 ioprio_get)."""
    kind = _IOPRIO_WHO.get(which)
    if kind is None:
        raise SysError(EINVAL)
    found = _members(t, kind, who)
    if kind == PRIO_PROCESS:
        return found[0].io_priority
    return min(_effective_io_priority(task) for task in found)


@syscall(
    "ioprio_set",
    errors="EINVAL EPERM ESRCH",
    support=PARTIAL,
    notes="kept and reported; there is no queue that would heed it",
)
async def ioprio_set(t: Task, which: IoprioWhich, who: PriorityWho, ioprio: Ioprio) -> None:
    """Set the I/O priority of some tasks (man 2 ioprio_set); user 0 is root, unlike in ioprio_get."""
    _check_io_priority(t, ioprio)
    kind = _IOPRIO_WHO.get(which)
    if kind is None:
        raise SysError(EINVAL)
    for task in _of_user(t, 0) if kind == PRIO_USER and not who else _members(t, kind, who):
        is_mine = task.creds.uid in (t.creds.uid, t.creds.euid) and not _outranks(task, t)
        if not is_mine and not t.creds.capable(CAP_SYS_NICE):
            raise SysError(EPERM)
        if task.exit_status is None:
            task.io_priority = ioprio & _IOPRIO_MASK


def _check_io_priority(t: Task, ioprio: int) -> None:
    kind, level = ioprio >> IOPRIO_CLASS_SHIFT & _IOPRIO_CLASSES, ioprio & _IOPRIO_LEVELS
    if kind == IOPRIO_CLASS_RT:
        if not t.creds.capable(CAP_SYS_ADMIN) and not t.creds.capable(CAP_SYS_NICE):
            raise SysError(EPERM)
    elif kind not in (IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE) and (kind != IOPRIO_CLASS_NONE or level):
        raise SysError(EINVAL)
