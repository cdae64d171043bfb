"""The microkernel: tasks, messages, timers, and the loop that runs it all on one CPU."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from linuxemu.arch.x86_64 import canonical
from linuxemu.errors import RpcError
from linuxemu.idl.codes import (
    ERR_ALREADY_EXISTS,
    ERR_IN_USE,
    ERR_INVALID_ARG,
    ERR_INVALID_TASK,
    ERR_UNAVAILABLE,
)
from linuxemu.kernel.activity import Activity, Waiter, park
from linuxemu.kernel.frames import FrameAllocator
from linuxemu.kernel.ipc import MAX_TASKS, Rendezvous
from linuxemu.kernel.paging import AddressSpace
from linuxemu.kernel.port import CallAborted, Port
from linuxemu.kernel.room import Room
from linuxemu.kernel.server import NOTIFY_ASYNC, NOTIFY_TIMER
from linuxemu.kernel.task import DEAD, RUNNABLE, TASK_ABI_EMU, TASK_ALL_CAPS, TASK_HV, Task
from linuxemu.kernel.timer import TimerQueue
from linuxemu.kernel.traps import Traps

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from linuxemu.cpu.base import Cpu, Ram
    from linuxemu.kernel.host import Host, Ticker
    from linuxemu.kernel.interpose import Wrap
    from linuxemu.kernel.server import Server
    from linuxemu.kernel.timer import Timer



class TaskIds:
    """Unused task ids, each given out once before any is given out again."""

    __slots__ = ("_free", "_next")

    def __init__(self) -> None:
        self._next = 1
        self._free: deque[int] = deque()

    def alloc(self) -> int:
        """A task id that is not in use."""
        if self._next <= MAX_TASKS:
            self._next += 1
            return self._next - 1
        if not self._free:
            raise RpcError(ERR_UNAVAILABLE)
        return self._free.popleft()

    def free(self, tid: int) -> None:
        """The id may be given out again."""
        self._free.append(tid)


class Kernel(Rendezvous, Traps):
    """A microkernel on one CPU.

    Args:
        cpu: the engine.
        ram: guest-physical memory.
        reserved_frames: how many frames at its start the engine keeps for itself.
        host: clock and idle wait.
        ticker: makes `Cpu.run` return now and then; None where a fake CPU needs no time slice.
        wrap: replaces each handler of each server (strict IPC, faults, observers; several by
            `linuxemu.kernel.interpose.chain`); None for direct calls.
    """

    def __init__(
        self,
        cpu: Cpu,
        ram: Ram,
        reserved_frames: int,
        host: Host,
        ticker: Ticker | None = None,
        wrap: Wrap | None = None,
    ) -> None:
        super().__init__()
        self.cpu = cpu
        self.host = host
        self.ticker = ticker
        self.frames = FrameAllocator(ram, reserved_frames, cpu.flush)
        self.room = Room(self.frames)
        self.task_ids = TaskIds()
        self.tasks: dict[int, Task] = {}
        self.ready: deque[Waiter] = deque()
        self.runnable: deque[Task] = deque()
        self.errors: list[BaseException] = []
        """Exceptions that are defects of servers; a correct system keeps this empty."""
        self.timers = TimerQueue(self.errors.append)
        self.discovery = 0
        self.root = 0
        """The server that starts others again when they die (`linuxemu.kernel.recovery`); 0 if there is none."""
        self._new_root: Callable[[], Server] | None = None
        self._killed: dict[int, Server] = {}
        """Servers that have no successor yet."""
        self.filter_notification: Callable[[int, int], int] | None = None
        """Called with receiver and bits of each notification; says which bits go on."""
        self.pending_calls: dict[int, dict[Any, Waiter]] = {}
        """Server -> coroutines that serve a call and sleep -> what each sleeps on."""
        self.stopped = False
        self.tick = False
        """Set by the time slice: look at timers, descriptors and other tasks at the next trap."""
        self.prioritised = False
        """Some task has another priority than the default."""
        self._wrap = wrap
        self._announced: dict[int, dict[int, None]] = {}
        self._activities: dict[Activity, None] = {}
        self._task_timers: dict[int, Timer] = {}
        self._death_watch: list[Callable[[int], object]] = []

    # -- servers --------------------------------------------------------------------------------------

    def add_server(
        self,
        server: Server,
        *,
        discovery: bool = False,
        tid: int | None = None,
        root: Callable[[], Server] | None = None,
    ) -> int:
        """Make a task for a server; it is registered with discovery and started when the kernel runs.

        Args:
            server: the server; its `port` is set here.
            discovery: this server is the one that knows the others by name.
            tid: the task id, when an earlier incarnation had one; a new one if not given.
            root: makes this server anew when it is killed, for the one that starts all others again.
        Returns:
            its task id.
        Raises:
            RpcError: ERR_ALREADY_EXISTS for an id in use.
        """
        if tid is None:
            tid = self.task_ids.alloc()
        elif tid in self.tasks:
            raise RpcError(ERR_ALREADY_EXISTS)
        task = Task(tid, server.name or type(server).__name__, TASK_ALL_CAPS, 0)
        task.server = server
        task.port = server.port = Port(self, task)
        self.tasks[tid] = task
        predecessor = self._killed.pop(tid, None)
        if predecessor is not None:
            server.role = predecessor.role
        if self._wrap is not None:
            for message, method in list(server.table.items()):
                server.table[message] = self._wrap(self, task, message, method)
        if discovery:
            self.discovery = tid
        if root is not None:
            self.root, self._new_root = tid, root
        death = getattr(server, "task_died", None)
        if death is not None:
            self._death_watch.append(death)
        self.spawn(self._start(server), task)
        return tid

    async def _start(self, server: Server) -> None:
        from linuxemu.messages import discovery as names

        if server.name and server.port.task != self.discovery:
            try:
                await server.port.call(self.discovery, names.Serve(server.name))
            except RpcError:
                pass  # whoever looks for it by name waits
        await server.start()

    def kill_server(self, tid: int) -> None:
        """End a server's task as if it had crashed: what it was serving is lost, its callers get ERR_ABORTED.

        Its storage stays. The root server is started again here; it is told of the others and starts them again.

        Raises:
            RpcError: ERR_INVALID_TASK (not a server), ERR_IN_USE (pager of a live task, or vital).
        """
        task = self.tasks.get(tid)
        if task is None or task.server is None:
            raise RpcError(ERR_INVALID_TASK)
        if task.paged or task.server.vital:
            raise RpcError(ERR_IN_USE)
        self._end_task(task)
        if tid == self.root and self._new_root is not None:
            self.add_server(self._new_root(), tid=tid)

    def spawn(self, coro: Coroutine[Waiter, Any, Any], owner: Task | None = None) -> Activity:
        """Run a coroutine; an exception it does not handle is recorded as a defect.

        Args:
            coro: what to run.
            owner: the task it belongs to and dies with.
        """
        activity = Activity(coro, self._ended, owner)
        self._activities[activity] = None
        self._step(activity, None, None)
        return activity

    def _ended(self, _: Any, error: BaseException | None) -> None:
        if error is not None:
            self.errors.append(error)

    def _step(self, activity: Activity, value: Any, error: BaseException | None) -> None:
        """Run a coroutine until it sleeps or ends."""
        try:
            waiter = activity.coro.send(value) if error is None else activity.coro.throw(error)
        except StopIteration as stop:
            self._activities.pop(activity, None)
            activity.waiter = None
            activity.finished(stop.value, None)
        except (KeyboardInterrupt, SystemExit):
            self._activities.pop(activity, None)
            raise
        except BaseException as failure:
            self._activities.pop(activity, None)
            activity.waiter = None
            activity.finished(None, failure)
        else:
            self.suspend(activity, waiter)

    def suspend(self, activity: Activity, waiter: Waiter) -> None:
        """A coroutine sleeps on a waiter that may have been woken already."""
        waiter.activity = activity
        activity.waiter = waiter
        if waiter.woken:
            self.ready.append(waiter)

    def adopt(self, owner: Task, serving: Coroutine[Waiter, Any, Any], waiter: Waiter) -> None:
        """Let a request whose caller is gone be served to its end.

        Args:
            owner: the serving task.
            serving: the server's coroutine.
            waiter: what it sleeps on.
        """
        if self.stopped:
            serving.close()
            return
        activity = Activity(serving, self._unheard, owner)
        self._activities[activity] = None
        self.suspend(activity, waiter)

    def _unheard(self, _: Any, error: BaseException | None) -> None:
        if not isinstance(error, RpcError):
            self._ended(None, error)

    def _abort_calls(self, tid: int) -> None:
        """A server died: who waits for its answers goes on with ERR_ABORTED.

        What a call sleeps on may belong to another server that serves the dead one, and goes on sleeping; so it is
        the caller that gets something else to wake up from.
        """
        for serving, waiter in list(self.pending_calls.pop(tid, {}).items()):
            activity = waiter.activity
            if activity is None or _runs(serving):
                continue
            if waiter.woken:
                self.ready.remove(waiter)
            waiter.activity = None
            aborted = Waiter(self.ready)
            aborted.fail(CallAborted())
            self.suspend(activity, aborted)
            _close(serving)

    def _end_activities(self, task: Task) -> None:
        """What a dead server was doing besides answering calls ends where it stands."""
        for activity in [activity for activity in self._activities if activity.owner is task]:
            waiter = activity.waiter
            if waiter is None or _runs(activity.coro):
                continue  # it is the one that brought the death about, and ends by itself
            del self._activities[activity]
            waiter.activity = None
            if waiter.woken:
                self.ready.remove(waiter)
            _close(activity.coro)

    # -- tasks ----------------------------------------------------------------------------------------

    def task_create(self, caller: Task, tid: int, name: str, ip: int, pager: int, flags: int) -> Task:
        """See `Port.task_create`."""
        owner = self.check_new_task(caller, tid, pager)
        if tid in self.tasks:
            raise RpcError(ERR_ALREADY_EXISTS)
        if flags & ~(TASK_ALL_CAPS | TASK_ABI_EMU | TASK_HV) or (flags & TASK_ABI_EMU and flags & TASK_HV):
            raise RpcError(ERR_INVALID_ARG)
        if flags & TASK_HV:
            raise RpcError(ERR_UNAVAILABLE)
        if not canonical(ip):
            raise RpcError(ERR_INVALID_ARG)
        task = Task(tid, name, flags, pager)
        task.port = Port(self, task)
        task.entry = ip
        owner.paged += 1
        self.bind_pager(task, owner)
        self.tasks[tid] = task
        return task

    def check_new_task(self, caller: Task, tid: int, pager: int) -> Task:
        """The first checks of `task_create`; returns the pager."""
        if not 0 < tid <= MAX_TASKS or tid == caller.tid:
            raise RpcError(ERR_INVALID_TASK)
        owner = self.tasks.get(pager)
        if owner is None:
            raise RpcError(ERR_INVALID_ARG)
        return owner

    def task_destroy(self, caller: Task, tid: int) -> None:
        """See `Port.task_destroy`."""
        task = self.tasks.get(tid)
        if not 0 < tid <= MAX_TASKS or tid == caller.tid:
            raise RpcError(ERR_INVALID_TASK)
        if task is None:
            raise RpcError(ERR_INVALID_ARG)
        if task.paged:
            raise RpcError(ERR_IN_USE)
        self._end_task(task)

    def _end_task(self, task: Task) -> None:
        tid = task.tid
        del self.tasks[tid]
        task.status = DEAD
        owner = self.tasks.get(task.pager)
        if owner is not None:
            owner.paged -= 1
        self._drop_cpu_side(task)
        self.abort_ipc(task)
        self._abort_calls(tid)
        if self._native is not None:
            self._native.drop(task)
        self._announced.pop(tid, None)
        if task.server is not None:
            self._end_server(task, task.server)
        for died in list(self._death_watch):
            died(tid)

    def _end_server(self, task: Task, server: Server) -> None:
        death = getattr(server, "task_died", None)
        if death is not None:
            self._death_watch.remove(death)
        self._end_activities(task)
        if task.port is not None:
            task.port.close()
        server.killed()
        self._killed[task.tid] = server

    def _drop_cpu_side(self, task: Task) -> None:
        if task.state is not None:
            self.cpu.drop_state(task.state)
            task.state = None
        if task.space is not None:
            self._drop_space(task.space)
            task.space = None
        timer = self._task_timers.pop(task.tid, None)
        if timer is not None:
            timer.cancel()

    @staticmethod
    def _drop_space(space: AddressSpace) -> None:
        space.users -= 1
        if not space.users:
            space.destroy()

    def new_space(self) -> AddressSpace:
        """An empty address space without users."""
        space = AddressSpace(self.frames)
        space.users = 0
        return space

    def set_space(self, task: Task, space: AddressSpace) -> None:
        """See `Port.set_space`."""
        space.users += 1
        if task.space is not None:
            self._drop_space(task.space)
        task.space = space

    def task_start(self, task: Task, like: Task | None) -> None:
        """See `Port.task_start`."""
        if task.space is None:
            self.set_space(task, self.new_space())
        if task.state is None:
            known = like.state if like is not None else None
            task.state = self.cpu.copy_state(known) if known is not None else self.cpu.new_state()
            if not task.flags & TASK_ABI_EMU:
                self.cpu.set_frame(task.state, self.cpu.frame(task.state)._replace(rip=task.entry))
        task.status = RUNNABLE
        self.runnable.append(task)

    def task_interrupt(self, task: Task) -> None:
        """See `Port.task_interrupt`."""
        if task.on_hook is None:
            raise RpcError(ERR_INVALID_ARG)
        task.interrupted = True

    def watch_preemption(self, task: Task, word: int | None) -> None:
        """See `Port.watch_preemption`."""
        if task.on_hook is None or (word is not None and word & 7):
            raise RpcError(ERR_INVALID_ARG)
        task.watched = word

    # -- notifications --------------------------------------------------------------------------------

    def notify(self, dst: int, bits: int) -> None:
        """See `Port.notify`."""
        task = self.tasks.get(dst)
        if task is None:
            raise RpcError(ERR_INVALID_TASK)
        if self.filter_notification is not None:
            bits = self.filter_notification(dst, bits)
            if not bits:
                return
        if task.server is None:
            self.notify_port(task, bits)
        elif task.notifications:
            task.notifications |= bits
        else:
            task.notifications = bits
            self.spawn(self._deliver_notifications(task), task)

    async def _deliver_notifications(self, task: Task) -> None:
        waiter = Waiter(self.ready)
        waiter.wake()
        await park(waiter)  # never inside the sender's call
        bits, task.notifications = task.notifications, 0
        if task.server is not None and task.status is not DEAD:
            await task.server.notified(bits)

    def announce_async(self, src: int, dst: int) -> None:
        """`src` has a message for `dst` to fetch."""
        self._announced.setdefault(dst, {})[src] = None
        self.notify(dst, NOTIFY_ASYNC)

    def take_async_peers(self, task: int) -> list[int]:
        """Who announced messages to `task`; asking clears the list."""
        return [peer for peer in self._announced.pop(task, {}) if peer in self.tasks]

    def set_timer(self, task: Task, milliseconds: int) -> None:
        """See `Port.set_timer`."""
        old = self._task_timers.pop(task.tid, None)
        if old is not None:
            old.cancel()
        if milliseconds > 0:
            deadline = self.host.now_ns() + milliseconds * 1_000_000
            self._task_timers[task.tid] = self.timers.add(
                deadline, lambda: self.notify(task.tid, NOTIFY_TIMER)
            )

    # -- the loop -------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run until `stop` is called; returns early when nothing could ever happen any more."""
        ready, runnable = self.ready, self.runnable
        while not self.stopped:
            while ready:
                waiter = ready.popleft()
                activity = waiter.activity
                assert activity is not None
                self._step(activity, waiter.value, waiter.error)
            if self.stopped:
                return
            if runnable:
                task = runnable.popleft()
                if self.prioritised:
                    task = self._most_urgent(task)
                if task.status is RUNNABLE:
                    if self.ticker is not None:
                        self.ticker.arm()
                    self.run_task(task)
                if self.tick:
                    self.look_around()
            elif not self._idle():
                return

    def _most_urgent(self, first: Task) -> Task:
        """Of all tasks that want to run the one with the smallest priority number, `first` if there are several."""
        best = min(self.runnable, key=lambda task: task.priority, default=first)
        if best.priority >= first.priority:
            return first
        self.runnable.remove(best)
        self.runnable.appendleft(first)
        return best

    def activity_count(self) -> int:
        """Coroutines that are not finished."""
        return len(self._activities) + sum(task.activity is not None for task in self.tasks.values())

    def stop(self) -> None:
        """Make `run` return."""
        self.stopped = True

    def on_tick(self) -> None:
        """The time slice is over; called from another thread."""
        self.tick = True
        self.cpu.interrupt()

    def look_around(self) -> None:
        """Fire due timers and serve ready descriptors without sleeping."""
        self.tick = False
        self.timers.run(self.host.now_ns())
        self.host.poll()

    def watch_fd(self, fd: int, events: int, callback: Callable[[int], object]) -> Callable[[], None]:
        """See `Port.watch_fd`."""

        def ready(found: int) -> None:
            try:
                callback(found)
            except Exception as error:
                self.errors.append(error)

        return self.host.watch(fd, events, ready)

    def _idle(self) -> bool:
        """Sleep until a timer or a descriptor; False when there is neither."""
        deadline = self.timers.next_ns()
        if deadline is None:
            if not self.host.watching():
                return False
            wait = None
        else:
            wait = deadline - self.host.now_ns()
        if self.ticker is not None:
            self.ticker.disarm()
        if wait is None or wait > 0:
            self.host.sleep(wait)
        else:
            self.host.poll()
        self.timers.run(self.host.now_ns())
        return True

    def close(self) -> None:
        """End every coroutine and server; nothing may be called afterwards."""
        self.stopped = True
        if self.ticker is not None:
            self.ticker.close()
        for activity in list(self._activities):
            try:
                activity.coro.close()
            except BaseException as error:
                self.errors.append(error)
        for task in list(self.tasks.values()):
            if task.activity is not None:
                task.activity.coro.close()
            if task.server is not None:
                task.server.stop()
        for server in self._killed.values():
            server.stop()


def _runs(coro: Coroutine[Waiter, Any, Any]) -> bool:
    """Whether a coroutine is what runs just now, itself or through what it awaits."""
    return getattr(coro, "cr_running", False) or getattr(coro, "gi_running", False)


def _close(coro: Coroutine[Waiter, Any, Any]) -> None:
    """End a coroutine of a dead server; what its last words run into counts for nothing."""
    try:
        coro.close()
    except (RpcError, RuntimeError):
        pass
