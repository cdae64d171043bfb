"""What happens when user code stops: hooks, faults and exceptions go to the pager, whose answer is loaded.

This is the hottest Python of the system: one system call passes `run_task` once, without a context switch,
a queue or a dictionary in between, as long as its handler does not have to wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.cpu.base import INTERRUPT, PAGE_FAULT, SYSCALL
from linuxemu.errors import RpcError
from linuxemu.kernel.activity import Activity
from linuxemu.kernel.task import BLOCKED, DEAD, RUNNABLE, TASK_ABI_EMU
from linuxemu.messages import AbiHook, AbiHookReply, Exception_, PageFault, PageFaultReply

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Coroutine

    from linuxemu.cpu.base import Cpu
    from linuxemu.kernel.activity import Waiter
    from linuxemu.kernel.host import Host
    from linuxemu.kernel.native import NativeCalls
    from linuxemu.kernel.task import Task

_STOPS_ALL = (KeyboardInterrupt, SystemExit)
"""What ends the machine, whichever coroutine it comes out of."""

HOOK_INITIAL = 1
HOOK_SYSCALL = 2
HOOK_INTERRUPT = 3
"""Extension: the pager asked for the task with task_interrupt or watch_preemption."""

EXCEPTION_GRACE_EXIT = 0
EXCEPTION_INVALID_MSG_FROM_PAGER = 1
EXCEPTION_INVALID_MEMORY_ACCESS = 2
EXCEPTION_INVALID_OP = 3
EXCEPTION_ABORTED_KERNEL_IPC = 4


class Traps:
    """The part of the kernel that runs user tasks."""

    cpu: Cpu
    host: Host
    tick: bool
    stopped: bool
    ready: deque[Waiter]
    runnable: deque[Task]
    errors: list[BaseException]
    _native: NativeCalls | None = None

    def suspend(self, activity: Activity, waiter: Waiter) -> None:
        """See `Kernel.suspend`."""
        raise NotImplementedError

    def spawn(self, coro: Coroutine[Waiter, Any, Any], owner: Task | None = None) -> Activity:
        """See `Kernel.spawn`."""
        raise NotImplementedError

    @property
    def native(self) -> NativeCalls:
        """The system calls of tasks without hooks, made when they are first needed."""
        if self._native is None:
            from linuxemu.kernel.native import NativeCalls

            self._native = NativeCalls(self)  # type: ignore[arg-type]
        return self._native

    def bind_pager(self, task: Task, pager: Task) -> None:
        """Look up once how the pager takes the task's hooks, faults and exceptions."""
        if pager.server is None:
            self.native.bind_pager(task, pager.tid)
            return
        table = pager.server.table
        if task.flags & TASK_ABI_EMU:
            task.on_hook = table.get(AbiHook)
        task.on_fault = table.get(PageFault)
        task.on_exception = table.get(Exception_)

    def run_task(self, task: Task) -> None:
        """Run a task until it blocks, dies or has to make room for others."""
        run, frame_of, set_frame = self.cpu.run, self.cpu.frame, self.cpu.set_frame
        now, on_hook, tid = self.host.now_ns, task.on_hook, task.tid
        if on_hook is None:
            self._run_without_hooks(task)
            return
        if (task.fresh or task.interrupted) and not self._side_hook(task):
            return
        left = now()
        while True:
            state, space = task.state, task.space
            assert state is not None and space is not None
            kind = run(space.root, space.generation, state)
            entered = now()
            task.user_ns += entered - left
            if kind == SYSCALL:
                hook = on_hook(0, AbiHook(tid, HOOK_SYSCALL, frame_of(state)))
                try:
                    waiter = hook.send(None)
                except StopIteration as stop:
                    reply = stop.value
                    if type(reply) is not AbiHookReply or task.status is not RUNNABLE:
                        self._odd_reply(task, reply)
                        return
                    set_frame(task.state, reply.frame)
                except BaseException as failure:
                    self._odd_reply(task, None, failure)
                    return
                else:
                    self._block(task, hook, waiter, self._hook_answered)
                    return
            elif kind != INTERRUPT and not self.serve_fault(task, kind):
                return
            left = now()
            task.sys_ns += left - entered
            if task.interrupted and not self._side_hook(task):
                return
            if self.tick and self.must_yield(task):
                return

    def _run_without_hooks(self, task: Task) -> None:
        """A native task makes its own system calls; one whose pager takes no hooks cannot run."""
        if task.flags & TASK_ABI_EMU:
            self.die(task, EXCEPTION_INVALID_MSG_FROM_PAGER)
        else:
            self.native.run(task)

    def must_yield(self, task: Task) -> bool:
        """The time slice ended: go on only if nobody else has anything to do."""
        self.look_around()
        if self.runnable or self.ready or self.stopped:
            if task.status is RUNNABLE:
                self.requeue(task)
            return True
        return task.status is not RUNNABLE or (task.interrupted and not self._side_hook(task))

    def requeue(self, task: Task) -> None:
        """A task goes on after others could run; a pager that watches for that hears of it before (extension)."""
        word, space = task.watched, task.space
        if word is not None and space is not None and not space.is_clear(word):
            task.interrupted = True
        self.runnable.append(task)

    def look_around(self) -> None:
        """See `Kernel.look_around`."""
        raise NotImplementedError

    def _side_hook(self, task: Task) -> bool:
        """Send the INITIAL or INTERRUPT hook; True when it was answered at once and the task may run."""
        kind = HOOK_INITIAL if task.fresh else HOOK_INTERRUPT
        task.fresh = task.interrupted = False
        assert task.on_hook is not None and task.state is not None
        hook = task.on_hook(0, AbiHook(task.tid, kind, self.cpu.frame(task.state)))
        return self.drive(task, hook, self._hook_answered)

    def serve_fault(self, task: Task, kind: int) -> bool:
        """Tell the pager of a page fault or an exception; True when the task may run on at once."""
        cpu = self.cpu
        if kind == PAGE_FAULT:
            if task.on_fault is None:
                return self.die(task, EXCEPTION_INVALID_MSG_FROM_PAGER)
            message = PageFault(task.tid, cpu.fault_vaddr, cpu.fault_ip, cpu.fault_code)
            return self.drive(task, task.on_fault(0, message), self._fault_answered)
        task.exception = (cpu.vector, cpu.fault_code)
        return self._report(task, EXCEPTION_INVALID_OP, self._exception_handled)

    def _report(self, task: Task, exception: int, answered: Any) -> bool:
        """Send `exception` to the pager; True when the task may run on at once."""
        task.loaded = False
        if task.on_exception is None:
            task.status = BLOCKED
            return False
        return self.drive(task, task.on_exception(0, Exception_(task.tid, exception)), answered)

    def drive(self, task: Task, hook: Any, answered: Any) -> bool:
        """Run a pager's coroutine for a task; True when it ended at once and the task may run on."""
        try:
            waiter = hook.send(None)
        except StopIteration as stop:
            reply, error = stop.value, None
        except _STOPS_ALL:
            raise
        except BaseException as failure:
            reply, error = None, failure
        else:
            self._block(task, hook, waiter, answered)
            return False
        answered(task, reply, error, False)
        return task.status is RUNNABLE

    def _block(self, task: Task, hook: Any, waiter: Waiter, answered: Any) -> None:
        """The pager has to wait: the task sleeps until its coroutine ends."""
        task.status = BLOCKED

        def finished(reply: Any, error: BaseException | None) -> None:
            task.activity = None
            if task.status is BLOCKED:
                task.status = RUNNABLE
                answered(task, reply, error, True)

        activity = Activity(hook, finished)
        task.activity = activity
        self.suspend(activity, waiter)

    def _hook_answered(self, task: Task, reply: Any, error: BaseException | None, queue: bool) -> None:
        """Load the frame of an abi_hook reply."""
        if task.status is DEAD:
            return
        if error is not None or type(reply) is not AbiHookReply:
            self._odd_reply(task, reply, error)
            return
        assert task.state is not None
        self.cpu.set_frame(task.state, reply.frame)
        if queue:
            self.requeue(task)

    def _fault_answered(self, task: Task, reply: Any, error: BaseException | None, queue: bool) -> None:
        """A page_fault reply carries nothing; an error word becomes an exception."""
        if task.status is DEAD:
            return
        if error is not None or type(reply) is not PageFaultReply:
            self._odd_reply(task, reply, error)
        elif queue:
            self.requeue(task)

    def _exception_handled(self, task: Task, _: Any, error: BaseException | None, queue: bool) -> None:
        """The pager has seen the exception: it destroyed the task, or gave it registers to go on with."""
        self._death_reported(task, _, error, queue)
        if task.status is BLOCKED and task.loaded and error is None:
            task.status = RUNNABLE
            if queue:
                self.requeue(task)

    def _death_reported(self, task: Task, _: Any, error: BaseException | None, queue: bool) -> None:
        """The pager knows that the task cannot go on: it waits to be destroyed."""
        if task.status is DEAD:
            return
        task.status = BLOCKED
        if error is not None and not isinstance(error, RpcError):
            self.errors.append(error)

    def _odd_reply(self, task: Task, reply: Any, error: BaseException | None = None) -> None:
        """The pager answered with nothing (the task stays blocked) or with something that is no answer."""
        if task.status is DEAD or (reply is None and error is None):
            if task.status is RUNNABLE:
                task.status = BLOCKED
            return
        if isinstance(error, _STOPS_ALL):
            raise error
        if error is not None and not isinstance(error, RpcError):
            self.errors.append(error)
        self.die(task, EXCEPTION_INVALID_MSG_FROM_PAGER)

    def die(self, task: Task, exception: int) -> bool:
        """The task cannot go on: its pager is told, and has to destroy it. Always False."""
        self._report(task, exception, self._death_reported)
        return False
