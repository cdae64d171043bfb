"""Processes, process groups, sessions and the tree they form (man 7 credentials, man 2 setsid).

Pid 1 is a process of the server's own: it has no program, ignores every signal and reaps orphans at once. The
first program is pid 2, leader of its own session and group, as under `docker run --init`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.kernel import WaitQueue
from syscalls.abi.errno import EAGAIN
from syscalls.abi.flags import (
    RLIM_INFINITY,
    RLIM_NLIMITS,
    RLIMIT_CORE,
    RLIMIT_CPU,
    RLIMIT_MEMLOCK,
    RLIMIT_MSGQUEUE,
    RLIMIT_NICE,
    RLIMIT_NOFILE,
    RLIMIT_NPROC,
    RLIMIT_RTPRIO,
    RLIMIT_SIGPENDING,
    RLIMIT_STACK,
    SIG_IGN,
    SIGCHLD,
)
from syscalls.errors import Interrupted, Restart, SysError
from syscalls.objects.siginfo import SigAction, SignalHandlers, SignalQueue
from syscalls.objects.task import INTERRUPTIBLE, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syscalls.objects.credentials import Credentials
    from syscalls.objects.mm import MemoryMap
    from syscalls.objects.tty import Tty
    from syscalls.server import LinuxServer
    from syscalls.vfs.mount import Path

INIT_PID = 1
PID_MAX_LIMIT = 4_194_304
_RESERVED_PIDS = 300
"""After the first wrap-around, Linux gives out no pid below this."""
_MIB = 1 << 20
_NO_LIMIT = (RLIM_INFINITY, RLIM_INFINITY)


def default_rlimits(tasks_max: int = 7823) -> dict[int, tuple[int, int]]:
    """Resource limits of a fresh login, number -> (soft, hard) (man 2 getrlimit).

    Args:
        tasks_max: RLIMIT_NPROC and RLIMIT_SIGPENDING, which Linux derives from the memory size (2 GiB: 7823).
    """
    limits = dict.fromkeys(range(RLIM_NLIMITS), _NO_LIMIT)
    limits[RLIMIT_STACK] = (8 * _MIB, RLIM_INFINITY)
    limits[RLIMIT_CORE] = (0, RLIM_INFINITY)
    limits[RLIMIT_NPROC] = (tasks_max, tasks_max)
    limits[RLIMIT_NOFILE] = (1024, _MIB)
    limits[RLIMIT_MEMLOCK] = (8 * _MIB, 8 * _MIB)
    limits[RLIMIT_SIGPENDING] = (tasks_max, tasks_max)
    limits[RLIMIT_MSGQUEUE] = (819_200, 819_200)
    limits[RLIMIT_NICE] = (0, 0)
    limits[RLIMIT_RTPRIO] = (0, 0)
    return limits


class Usage:
    """Resources used, for getrusage and wait4 (man 2 getrusage)."""

    __slots__ = (
        "inblock", "majflt", "maxrss_kb", "minflt", "nivcsw", "nvcsw", "oublock", "sys_ns", "user_ns",
    )  # fmt: skip

    def __init__(self) -> None:
        self.user_ns = 0
        self.sys_ns = 0
        self.maxrss_kb = 0
        self.minflt = 0
        self.majflt = 0
        self.inblock = 0
        self.oublock = 0
        self.nvcsw = 0
        self.nivcsw = 0

    def add_task(self, t: Task) -> None:
        """Add what a task has used."""
        user_ns, sys_ns = t.cpu_ns()
        self.user_ns += user_ns
        self.sys_ns += sys_ns
        self.minflt += t.min_flt
        self.majflt += t.maj_flt
        self.nvcsw += t.nvcsw
        self.nivcsw += t.nivcsw

    def add(self, other: Usage) -> None:
        """Add another sum; maxrss is that of the largest process."""
        self.user_ns += other.user_ns
        self.sys_ns += other.sys_ns
        self.maxrss_kb = max(self.maxrss_kb, other.maxrss_kb)
        self.minflt += other.minflt
        self.majflt += other.majflt
        self.inblock += other.inblock
        self.oublock += other.oublock
        self.nvcsw += other.nvcsw
        self.nivcsw += other.nivcsw


class Session:
    """A session: process groups that may share a controlling terminal (man 2 setsid)."""

    __slots__ = ("groups", "leader", "sid", "tty")

    def __init__(self, sid: int, leader: Process | None) -> None:
        self.sid = sid
        self.leader = leader
        """None once it has exited."""
        self.tty: Tty | None = None
        self.groups: dict[int, ProcessGroup] = {}


class ProcessGroup:
    """A job: processes that signals of the terminal and of kill(-pgid) reach together (man 2 setpgid)."""

    __slots__ = ("members", "pgid", "session")

    def __init__(self, pgid: int, session: Session) -> None:
        self.pgid = pgid
        self.session = session
        self.members: dict[int, Process] = {}
        """By pid; zombies stay until they are reaped."""
        session.groups[pgid] = self

    def is_orphaned(self, without: Process | None = None) -> bool:
        """Whether nobody could continue the job: no member has a living parent elsewhere in the session.

        Args:
            without: a member that does not count, because it is exiting.
        """
        for member in self.members.values():
            parent = member.parent
            if member is without or member.exited or parent is None or parent.pid == INIT_PID:
                continue
            if parent.pgrp is not self and parent.session is self.session:
                return False
        return True

    def has_stopped(self) -> bool:
        """Whether a member is stopped."""
        return any(member.stopped for member in self.members.values())


class Process:
    """A thread group: what its tasks share. See also `syscalls.objects.exit` and `syscalls.objects.wait`."""

    __slots__ = (
        "child_usage",
        "child_wait",
        "children",
        "clock_timers",
        "dead_usage",
        "did_exec",
        "dumpable",
        "exe",
        "exec_task",
        "exit_signal",
        "exited",
        "group_exit",
        "is_subreaper",
        "itimers",
        "leader",
        "live",
        "next_target",
        "next_timer_id",
        "oom_score_adj",
        "parent",
        "parent_task",
        "pending",
        "pgrp",
        "pid",
        "posix_timers",
        "report_continued",
        "report_stop",
        "rlimits",
        "sighand",
        "stop_signo",
        "stopped",
        "table",
        "tasks",
        "thp_disable",
        "thread_gone",
        "unkillable",
        "vfork_done",
        "vfork_pending",
    )

    def __init__(self, table: ProcessTable, pid: int, parent: Process | None, pgrp: ProcessGroup) -> None:
        """Use `ProcessTable.spawn` and `ProcessTable.fork`."""
        self.table = table
        self.pid = pid
        self.parent = parent
        self.parent_task: Task | None = None
        """The thread whose child this is: PR_SET_PDEATHSIG and __WNOTHREAD ask."""
        self.children: dict[int, Process] = {}
        self.tasks: dict[int, Task] = {}
        """Tasks that are not gone yet, the leader first."""
        self.leader: Task
        """The task whose tid is the pid; stays set when it exits before the others, and in a zombie."""
        self.live = 0
        """Tasks that may still use the memory."""
        self.pgrp = pgrp
        self.rlimits: dict[int, tuple[int, int]] = {}
        self.exe: Path | None = None
        self.did_exec = False
        self.dumpable = 1
        self.oom_score_adj = 0
        self.unkillable = False
        self.thp_disable = False
        """No huge pages wanted (PR_SET_THP_DISABLE); there are none, and it is kept for whoever asks."""
        self.itimers: dict[int, Any] = {}
        """setitimer's, by ITIMER_*; `cancel()` is called at exit."""
        self.posix_timers: dict[int, Any] = {}
        """timer_create's, by id; `cancel()` is called at exit and exec."""
        self.next_timer_id = 0
        """Where the search for a free id begins: Linux does not use one again at once."""
        self.clock_timers: dict[int, Any] = {}
        self.dead_usage = Usage()
        """Of tasks that are gone."""
        self.child_usage = Usage()
        """Of children that were waited for."""
        self._init_signals()
        self._init_end()

    def _init_signals(self) -> None:
        self.sighand = SignalHandlers()
        self.pending = SignalQueue()
        self.next_target: Task | None = None
        """Where the search for a thread that takes a signal begins."""
        self.stop_signo = 0
        """The signal of the stop in progress or completed."""
        self.stopped = False
        """Every task is stopped."""
        self.report_stop = False
        self.report_continued = False

    def _init_end(self) -> None:
        self.exit_signal = SIGCHLD
        """What the parent gets at the end; 0 for nothing (low byte of clone's flags)."""
        self.group_exit: int | None = None
        """Status word with which the whole process is ending, or has ended."""
        self.exec_task: Task | None = None
        """The task that is in execve and lets the others die."""
        self.exited = False
        """A zombie, or reaped."""
        self.is_subreaper = False
        """Orphaned descendants become its children (man 2 PR_SET_CHILD_SUBREAPER)."""
        self.child_wait = WaitQueue()
        """Woken when a child changes state."""
        self.thread_gone = WaitQueue()
        """Woken when a task of this process is gone."""
        self.vfork_done = WaitQueue()
        """Where the parent sleeps after vfork; `vfork_pending` says whether it still has to."""
        self.vfork_pending = False

    def __repr__(self) -> str:
        return f"<Process {self.pid}>"

    @property
    def session(self) -> Session:
        """The session of its group."""
        return self.pgrp.session

    @property
    def ppid(self) -> int:
        """What getppid returns."""
        return self.parent.pid if self.parent is not None else 0

    @property
    def creds(self) -> Credentials:
        """The leader's credentials: what signals and /proc go by."""
        return self.leader.creds

    @property
    def mm(self) -> MemoryMap | None:
        """The address space; None for a zombie and for pid 1."""
        return None if self.live == 0 or self.unkillable else next(iter(self.tasks.values())).mm

    @property
    def exit_code(self) -> int | None:
        """Status word of man 2 wait4, once the end of the process is certain."""
        return self.group_exit

    @property
    def utime_ns(self) -> int:
        """User time of all its tasks, past and present."""
        return self.dead_usage.user_ns + sum(t.cpu_ns()[0] for t in self.tasks.values())

    @property
    def stime_ns(self) -> int:
        """System time of all its tasks, past and present."""
        return self.dead_usage.sys_ns + sum(t.cpu_ns()[1] for t in self.tasks.values())

    def usage(self) -> Usage:
        """Resources used by all its tasks, past and present: RUSAGE_SELF."""
        total = Usage()
        total.add(self.dead_usage)
        for t in self.tasks.values():
            total.add_task(t)
        return total

    def add_task(self, t: Task) -> None:
        """Count a new task; the first one is the leader."""
        if not self.tasks:
            self.leader = t
        self.tasks[t.tid] = t
        self.live += 1
        self.table.tasks[t.tid] = t

    def remove_task(self, t: Task) -> None:
        """A task is gone; its use of resources stays."""
        if self.tasks.pop(t.tid, None) is not None:
            self.dead_usage.add_task(t)
        self.table.tasks.pop(t.tid, None)

    def adopt(self, child: Process, thread: Task | None) -> None:
        """Become the parent of a process."""
        if child.parent is not None:
            child.parent.children.pop(child.pid, None)
        child.parent = self
        child.parent_task = thread
        self.children[child.pid] = child

    def join(self, pgrp: ProcessGroup) -> None:
        """Move to a process group."""
        self.leave()
        self.pgrp = pgrp
        pgrp.members[self.pid] = self

    def leave(self) -> None:
        """Leave the process group; a group and a session end with their last member."""
        pgrp = self.pgrp
        pgrp.members.pop(self.pid, None)
        if not pgrp.members:
            session = pgrp.session
            session.groups.pop(pgrp.pgid, None)
            self.table.groups.pop(pgrp.pgid, None)
            if not session.groups:
                self.table.sessions.pop(session.sid, None)

    def finish_vfork(self) -> None:
        """The process no longer runs in its parent's memory: vfork returns there. For execve and exit."""
        if self.vfork_pending:
            self.vfork_pending = False
            self.vfork_done.wake_all()


def _let_signals_come_first(t: Task) -> None:
    """No clone while a signal waits: it may be the end of a process that would leave the new task out."""
    if t.attention:
        t.update_attention()
        if t.attention:
            raise Interrupted(Restart.ALWAYS)

_THREADS_MAX = 15646
_LEAST_TASKS = 20
_MEMORY_PER_TASK = 1 << 17
"""Eight times the size of a kernel stack."""


class ProcessTable:
    """Every process, task, group and session of a machine, and the numbers they have.

    Args:
        server: the Linux server, handed on to the tasks.
        root: the credentials of pid 1.
        pid_max: /proc/sys/kernel/pid_max: pids are below it.
    """

    __slots__ = ("groups", "init", "last_pid", "pid_max", "processes", "server", "sessions", "tasks", "threads_max")

    def __init__(self, server: LinuxServer, root: Credentials, pid_max: int = PID_MAX_LIMIT) -> None:
        self.server = server
        self.pid_max = pid_max
        self.threads_max = _THREADS_MAX
        """/proc/sys/kernel/threads-max: how many tasks, or processes with zombies among them, there may be."""
        self.last_pid = 0
        self.processes: dict[int, Process] = {}
        """By pid, zombies included."""
        self.tasks: dict[int, Task] = {}
        """By tid, without tasks that are gone."""
        self.groups: dict[int, ProcessGroup] = {}
        self.sessions: dict[int, Session] = {}
        self.init = self._make_init(root)

    def _make_init(self, root: Credentials) -> Process:
        pid = self.alloc_pid()
        session = Session(pid, None)
        init = Process(self, pid, None, ProcessGroup(pid, session))
        session.leader = init
        self.sessions[pid] = session
        self.groups[pid] = init.pgrp
        init.pgrp.members[pid] = init
        init.rlimits = default_rlimits()
        init.unkillable = True
        init.sighand.set(SIGCHLD, SigAction(SIG_IGN))
        init.leader = Task(self.server, init, pid, b"init")
        init.leader.creds = root
        init.leader.sleeping = INTERRUPTIBLE
        self.processes[pid] = init
        return init

    def limit_to(self, memory: int) -> None:
        """Allow as many tasks as Linux does on a machine, whose memory they must not fill.

        Args:
            memory: bytes.
        """
        self.threads_max = min(max(memory // _MEMORY_PER_TASK, _LEAST_TASKS), _THREADS_MAX)

    def alloc_pid(self) -> int:
        """The next unused pid or tid, in ascending order; EAGAIN when all are in use, or there are too many tasks."""
        if max(len(self.tasks), len(self.processes)) >= self.threads_max:
            raise SysError(EAGAIN)
        low = 1
        pid = self.last_pid
        for _ in range(self.pid_max):
            pid += 1
            if pid >= self.pid_max:
                low = min(_RESERVED_PIDS, self.pid_max - 1)
                pid = low
            if not self.in_use(pid):
                self.last_pid = pid
                return pid
        raise SysError(EAGAIN)

    def find_task(self, tid: int) -> Task | None:
        """A task by tid; a leader counts until its process is reaped."""
        found = self.tasks.get(tid)
        if found is None and tid in self.processes:
            return self.processes[tid].leader
        return found

    def in_use(self, pid: int) -> bool:
        """Whether a number names a process, task, group or session."""
        return pid in self.processes or pid in self.tasks or pid in self.groups or pid in self.sessions

    def spawn(self, creds: Credentials, comm: bytes = b"") -> Task:
        """The first task of a program that the user starts: child of pid 1, leader of a new session.

        The caller gives it memory, files, fs context and a kernel task.
        """
        pid = self.alloc_pid()
        process = Process(self, pid, None, self.init.pgrp)
        process.rlimits = dict(self.init.rlimits)
        self.init.adopt(process, self.init.leader)
        self.processes[pid] = process
        self.new_session(process)
        t = Task(self.server, process, pid, comm)
        t.creds = creds
        process.add_task(t)
        return t

    def fork(
        self, t: Task, *, exit_signal: int = SIGCHLD, sibling: bool = False, share_sighand: bool = False
    ) -> Task:
        """A child process of `t`'s process with one task, which inherits as man 2 fork says.

        Args:
            t: the calling task.
            exit_signal: what the parent gets when the child ends.
            sibling: CLONE_PARENT: the caller's parent becomes the parent.
            share_sighand: CLONE_SIGHAND: share the action table instead of copying it.

        The caller sets `mm`, `mem`, `files`, `fs` and `ktask` of the new task. A signal pending for `t` comes
        first, and the call is made again afterwards.
        """
        _let_signals_come_first(t)
        caller = t.process
        pid = self.alloc_pid()
        child = Process(self, pid, None, caller.pgrp)
        caller.pgrp.members[pid] = child
        child.rlimits = dict(caller.rlimits)
        child.sighand = caller.sighand if share_sighand else caller.sighand.clone()
        child.exe = caller.exe
        child.dumpable = caller.dumpable
        child.oom_score_adj = caller.oom_score_adj
        child.thp_disable = caller.thp_disable
        if sibling and caller.parent is not None:
            child.exit_signal = caller.exit_signal
            caller.parent.adopt(child, caller.parent_task)
        else:
            child.exit_signal = exit_signal
            caller.adopt(child, t)
        self.processes[pid] = child
        task = Task(self.server, child, pid)
        task.inherit(t)
        child.add_task(task)
        if child.rlimits[RLIMIT_CPU] != _NO_LIMIT:
            from syscalls.objects.timers import watch_cpu_limit

            watch_cpu_limit(child)
        return task

    def add_thread(self, t: Task) -> Task:
        """One more task in `t`'s process (CLONE_THREAD), which inherits as man 2 clone says.

        The caller sets `mm`, `mem`, `files`, `fs` and `ktask` of the new task. A signal pending for `t` comes
        first, and the call is made again afterwards.
        """
        _let_signals_come_first(t)
        task = Task(self.server, t.process, self.alloc_pid())
        task.inherit(t)
        t.process.add_task(task)
        return task

    def undo_clone(self, task: Task) -> None:
        """Forget a task made by `fork` or `add_thread` that could not be completed."""
        process = task.process
        process.tasks.pop(task.tid, None)
        self.tasks.pop(task.tid, None)
        process.live -= 1
        if not process.tasks:
            self.release(process)

    def new_session(self, process: Process) -> Session:
        """Make a process the leader of a new session and of its only group (man 2 setsid); no checks."""
        session = Session(process.pid, process)
        pgrp = ProcessGroup(process.pid, session)
        self.sessions[session.sid] = session
        self.groups[pgrp.pgid] = pgrp
        process.join(pgrp)
        return session

    def new_group(self, process: Process) -> ProcessGroup:
        """Make a process the leader of a new group in its session (man 2 setpgid); no checks."""
        pgrp = ProcessGroup(process.pid, process.session)
        self.groups[pgrp.pgid] = pgrp
        process.join(pgrp)
        return pgrp

    def release(self, process: Process) -> None:
        """Forget a reaped process: its pid may be used again."""
        self.processes.pop(process.pid, None)
        process.leave()
        if process.parent is not None:
            process.parent.children.pop(process.pid, None)

    def of_user(self, uid: int) -> int:
        """Number of tasks of a real user id: RLIMIT_NPROC."""
        return sum(1 for t in self.tasks.values() if t.creds.uid == uid)

    def __iter__(self) -> Iterator[Process]:
        """Every process, in order of creation; safe against changes meanwhile."""
        return iter(list(self.processes.values()))
