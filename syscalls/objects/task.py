"""A Linux task: what the guest calls a thread (man 2 gettid).

A task has one trap in service at a time. The coroutine that serves it is the task's kernel stack: it sleeps
in `Task.wait`, and a posted signal wakes it through `Task.waiter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from linuxemu.kernel import park
from syscalls.abi.flags import PR_MCE_KILL_DEFAULT
from syscalls.errors import Interrupted, Restart
from syscalls.objects.siginfo import SignalQueue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from linuxemu.kernel import Waiter, WaitQueue
    from linuxemu.messages import TrapFrame
    from syscalls.objects.credentials import Credentials
    from syscalls.objects.fdtable import FdTable
    from syscalls.objects.memory import UserMemory
    from syscalls.objects.mm import MemoryMap
    from syscalls.objects.process import Process
    from syscalls.objects.rseq import Registration
    from syscalls.objects.sem import UndoList
    from syscalls.objects.tracing import Tracer
    from syscalls.server import LinuxServer
    from syscalls.vfs.context import FsContext

_T = TypeVar("_T")

# Where a task sleeps: what may wake it besides its queues.
AWAKE = 0
INTERRUPTIBLE = 1
"""Any deliverable signal ends the sleep."""
KILLABLE = 2
"""Only a fatal signal ends the sleep (shown as D, as Linux does for vfork)."""
STOPPED = 3
"""In a group stop: SIGCONT and SIGKILL end it."""

_STATE = ("R", "S", "D", "T")

TASK_COMM_LEN = 16


class TaskExited(BaseException):
    """The task whose trap is being served is gone: nothing is replied to its kernel task.

    Raised by exit, by fatal signals and whatever else ends the calling task; the dispatcher alone catches it.
    """


class AltStack(NamedTuple):
    """The alternate signal stack as the task set it (man 2 sigaltstack)."""

    sp: int
    flags: int
    size: int


NO_ALTSTACK = AltStack(0, 0, 0)


class Task:
    """One thread of a process, and everything Linux keeps per thread.

    `frame` holds the registers of the trap in progress and is authoritative until the reply: whoever changes
    registers of the calling task (rt_sigreturn, execve, arch_prctl) replaces it.
    """

    __slots__ = (
        "_blocked",
        "affinity",
        "attention",
        "clear_child_tid",
        "comm",
        "creds",
        "default_slack_ns",
        "exit_status",
        "files",
        "frame",
        "fs",
        "in_kernel",
        "io_priority",
        "ktask",
        "maj_flt",
        "mce_kill",
        "mem",
        "min_flt",
        "mm",
        "nice",
        "nivcsw",
        "no_new_privs",
        "nvcsw",
        "pdeath_signal",
        "pending",
        "personality",
        "process",
        "real_blocked",
        "restart",
        "restart_block",
        "robust_list",
        "rseq",
        "saved_blocked",
        "sched_policy",
        "sched_priority",
        "sched_reset_on_fork",
        "sem_undo",
        "server",
        "sigaltstack",
        "sleeping",
        "start_ns",
        "stop_pending",
        "sys_ns",
        "tid",
        "timer_slack_ns",
        "tracer",
        "trap_cr2",
        "trap_error",
        "trap_number",
        "user_ns",
        "waiter",
    )

    files: FdTable
    fs: FsContext
    mem: UserMemory
    mm: MemoryMap
    creds: Credentials
    frame: TrapFrame

    def __init__(self, server: LinuxServer, process: Process, tid: int, comm: bytes = b"") -> None:
        """A task that is in no table yet; `ProcessTable.add_task` makes it visible.

        `mm`, `mem`, `files`, `fs`, `creds` and `ktask` are set by whoever creates it.
        """
        self.server = server
        self.process = process
        self.tid = tid
        self.comm = comm
        self.ktask = 0
        self.in_kernel = False
        """A trap is being served, so the tail comes anyway; set and cleared by the dispatcher."""
        self.sleeping = AWAKE
        self.waiter: Waiter | None = None
        self.exit_status: int | None = None
        """Status word of man 2 wait4 once the task has begun to exit."""
        self.robust_list = 0
        self.rseq: Registration | None = None
        """Where it keeps what rseq(2) is about; None if it does not use it."""
        self.clear_child_tid = 0
        self.no_new_privs = False
        self.mce_kill = PR_MCE_KILL_DEFAULT
        """What to do about broken memory, PR_MCE_KILL_*; kept for whoever asks."""
        self.sem_undo: UndoList | None = None
        """What System V semaphores get back at its end (SEM_UNDO)."""
        self.tracer: Tracer | None = None
        self._init_signals()
        self._init_scheduling()

    def _init_signals(self) -> None:
        self._blocked = 0
        self.saved_blocked: int | None = None
        """The mask to put back at the tail, while a call such as ppoll runs under another one."""
        self.real_blocked = 0
        """The mask to put back, while rt_sigtimedwait has unblocked what it waits for."""
        self.pending = SignalQueue()
        self.sigaltstack = NO_ALTSTACK
        self.attention = False
        """The tail has work: a deliverable signal, a stop or the end."""
        self.stop_pending = False
        """A stop of the whole process waits for this task."""
        self.restart = 0
        """A `Restart` kind while the call in progress was interrupted, else 0."""
        self.restart_block: Callable[[], Awaitable[int | None]] | None = None
        self.trap_number = 0
        """Vector, error code and address of the last fault, for signal frames."""
        self.trap_error = 0
        self.trap_cr2 = 0
        self.pdeath_signal = 0

    def _init_scheduling(self) -> None:
        self.start_ns = 0
        self.user_ns = 0
        self.sys_ns = 0
        self.min_flt = 0
        self.maj_flt = 0
        self.nvcsw = 0
        self.nivcsw = 0
        self.nice = 0
        self.sched_policy = 0
        self.sched_priority = 0
        self.sched_reset_on_fork = False
        self.affinity = 1
        self.io_priority = 0
        self.personality = 0
        self.timer_slack_ns = self.default_slack_ns = 50_000

    def __repr__(self) -> str:
        return f"<Task {self.tid} {self.comm.decode(errors='replace')}>"

    def inherit(self, parent: Task) -> None:
        """Take over what a new task has from the one that cloned it, where no CLONE_* decides (man 2 clone).

        Pending signals, CPU times, robust list and PDEATHSIG start afresh.
        """
        self.comm = parent.comm
        self._blocked = parent._blocked
        self.sigaltstack = parent.sigaltstack
        self.creds = parent.creds
        self.no_new_privs = parent.no_new_privs
        self.mce_kill = parent.mce_kill
        self.affinity = parent.affinity
        self.io_priority = parent.io_priority
        self.personality = parent.personality
        self.timer_slack_ns = self.default_slack_ns = parent.timer_slack_ns
        if not parent.sched_reset_on_fork:
            self.nice = parent.nice
            self.sched_policy = parent.sched_policy
            self.sched_priority = parent.sched_priority
        elif not parent.sched_priority:  # what a real-time task had is gone
            self.nice = max(parent.nice, 0)
            self.sched_policy = parent.sched_policy

    def set_policy(self, policy: int, priority: int) -> None:
        """Set scheduling policy and priority, which real-time policies alone have; their timers have no slack."""
        self.sched_policy = policy
        self.sched_priority = priority
        if priority:
            self.timer_slack_ns = 0
        elif not self.timer_slack_ns:
            self.timer_slack_ns = self.default_slack_ns

    @property
    def blocked(self) -> int:
        """The signal mask; bit n-1 stands for signal n. Setting it decides anew who takes pending signals."""
        return self._blocked

    @blocked.setter
    def blocked(self, mask: int) -> None:
        newly = mask & ~self._blocked
        self._blocked = mask
        if newly and self.process.pending.mask & newly:
            self.hand_over(newly)
        self.update_attention()

    def update_attention(self) -> None:
        """Work out whether the tail has something to do."""
        pending = self.pending.mask | self.process.pending.mask
        self.attention = bool(pending & ~self._blocked) or self.stop_pending

    def hand_over(self, signals: int) -> None:
        """Wake other tasks that can take signals pending for the process, because this one no longer does."""
        wanted = self.process.pending.mask & signals
        for other in self.process.tasks.values():
            if not wanted:
                return
            if other is self or other.exit_status is not None or not wanted & ~other._blocked:
                continue
            wanted &= other._blocked
            if not other.attention:
                other.kick()

    def kick(self, fatal: bool = False) -> None:
        """Make the task reach its tail: end its sleep, or stop it in user code.

        Args:
            fatal: end a sleep that other signals do not end.
        """
        self.attention = True
        if self.waiter is not None:
            if fatal or self.sleeping == INTERRUPTIBLE:
                self.waiter.wake()
        elif self.ktask and not self.in_kernel and self.exit_status is None:
            self.server.port.task_interrupt(self.ktask)

    def signal_pending(self) -> bool:
        """Whether a sleep has to end because a signal, a stop or the end of the task is to be handled."""
        return self.attention

    def fatal_signal_pending(self) -> bool:
        """Whether the task is going to die as soon as it reaches its tail."""
        return bool(self.pending.mask & _SIGKILL_BIT)

    def state(self) -> str:
        """The letter of /proc/PID/stat: R, S, D, T or Z."""
        if self.exit_status is not None:
            return "Z"
        return _STATE[self.sleeping]

    def cpu_ns(self) -> tuple[int, int]:
        """User and system time of this task so far, nanoseconds; brings `user_ns` and `sys_ns` up to date."""
        if self.ktask:
            self.user_ns, self.sys_ns = self.server.port.times_ns(self.ktask)
        return self.user_ns, self.sys_ns

    def set_fsbase(self, base: int) -> None:
        """Set the thread pointer; takes effect when the trap in progress returns."""
        self.frame = self.frame._replace(fsbase=base)

    def set_gsbase(self, base: int) -> None:
        """Set the gs base; takes effect when the trap in progress returns."""
        self.frame = self.frame._replace(gsbase=base)

    async def wait(
        self,
        queues: Sequence[WaitQueue],
        attempt: Callable[[], _T | None],
        deadline_ns: int | None = None,
        restart: int = Restart.SYS,
    ) -> _T | None:
        """Sleep until `attempt` has a result.

        Args:
            queues: their wake-ups make `attempt` worth another try.
            attempt: tries without blocking; None means "not yet". It may raise SysError.
            deadline_ns: absolute, clock of `port.now_ns`; the result is None once it has passed.
            restart: a `Restart` kind, carried by Interrupted when a deliverable signal ends the sleep.
        """
        result = attempt()
        if result is not None:
            return result
        return await self._sleep(queues, attempt, deadline_ns, restart)

    async def wait_killable(self, queues: Sequence[WaitQueue], attempt: Callable[[], _T | None]) -> _T:
        """Sleep until `attempt` has a result; only a fatal signal raises Interrupted."""
        result = attempt()
        while result is None:
            result = await self._sleep(queues, attempt, None, Restart.NEVER, KILLABLE)
        return result

    async def _sleep(
        self,
        queues: Sequence[WaitQueue],
        attempt: Callable[[], _T | None],
        deadline_ns: int | None,
        restart: int,
        kind: int = INTERRUPTIBLE,
    ) -> _T | None:
        port = self.server.port
        timer = None
        try:
            while True:
                waiter = port.waiter()
                for queue in queues:
                    queue.add(waiter)
                try:
                    result = attempt()
                    if result is not None:
                        return result
                    if self._is_interrupted(kind):
                        raise Interrupted(restart)
                    if deadline_ns is not None:
                        if port.now_ns() >= deadline_ns:
                            return None
                        if timer is None:
                            timer = port.call_at(deadline_ns, self._time_out)
                    await self.sleep_on(waiter, kind)
                finally:
                    for queue in queues:
                        queue.discard(waiter)
        finally:
            if timer is not None:
                timer.cancel()

    def _is_interrupted(self, kind: int) -> bool:
        if kind != INTERRUPTIBLE:
            return self.fatal_signal_pending()
        if self.attention:
            self.update_attention()  # another thread may have taken the signal meanwhile
        return self.attention

    def _time_out(self) -> None:
        if self.waiter is not None:
            self.waiter.wake()

    async def sleep_on(self, waiter: Waiter, kind: int) -> None:
        """Park until `waiter` is woken, by its queues or by a signal that `kind` lets through."""
        self.waiter = waiter
        self.sleeping = kind
        self.nvcsw += 1
        try:
            await park(waiter)
        finally:
            self.waiter = None
            self.sleeping = AWAKE

    async def yield_(self) -> None:
        """Let every other ready task run once (man 2 sched_yield)."""
        waiter = self.server.port.waiter()
        waiter.wake()
        await park(waiter)


_SIGKILL_BIT = 1 << (9 - 1)
