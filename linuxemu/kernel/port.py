"""A task's own view of the kernel: its system calls, checked against its capabilities (resea-style numbers)."""

from __future__ import annotations

from collections import deque
from types import coroutine
from typing import TYPE_CHECKING, Any, Final, cast

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_ABORTED, ERR_INVALID_ARG, ERR_INVALID_TASK, ERR_NOT_PERMITTED
from linuxemu.kernel.activity import Waiter
from linuxemu.kernel.task import DEAD, TASK_ALL_CAPS
from linuxemu.messages import discovery

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import NoReturn

    from linuxemu.arch.x86_64 import FullRegs
    from linuxemu.cpu.base import CpuState
    from linuxemu.kernel.activity import Activity
    from linuxemu.kernel.frames import FrameAllocator
    from linuxemu.kernel.kernel import Kernel
    from linuxemu.kernel.paging import AddressSpace
    from linuxemu.kernel.room import Room
    from linuxemu.kernel.server import Server
    from linuxemu.kernel.task import Task
    from linuxemu.kernel.timer import Timer
    from linuxemu.messages import Message, TrapFrame


class CallAborted(BaseException):
    """Finds its way to the call whose server died; the caller sees ERR_ABORTED."""


class _Nowhere:
    """Where the port of a dead task leads: no task can be reached, no call succeeds."""

    tasks: Final[dict[int, Task]] = {}

    def __getattr__(self, name: str) -> NoReturn:
        raise RpcError(ERR_ABORTED)


class Port:
    """Kernel calls of one task.

    Args:
        kernel: the kernel.
        owner: the task that calls.
    """

    __slots__ = ("_kernel", "_owner", "outbox", "task")

    def __init__(self, kernel: Kernel, owner: Task) -> None:
        self._kernel = kernel
        self._owner = owner
        self.task = owner.tid
        self.outbox = owner.outbox

    def close(self) -> None:
        """The task has died: whatever is left of it gets nowhere any more."""
        self._kernel = cast("Kernel", _Nowhere())

    # -- messages -------------------------------------------------------------------------------------

    @coroutine
    def call(self, dst: int, message: Message) -> Generator[Waiter, Any, Any]:
        """Send a request and wait for its reply.

        Args:
            dst: id of the serving task.
            message: the request.
        Raises:
            RpcError: the reply was an error word; ERR_INVALID_TASK for an id not in use, ERR_INVALID_ARG for the
                caller's own, ERR_ABORTED when the server dies before it answers.
        """
        target = self._kernel.tasks.get(dst)
        if target is None:
            raise RpcError(ERR_INVALID_TASK)
        server = target.server
        if server is None or dst == self.task:
            return (yield from self._call_native(dst, message).__await__())
        method = server.table.get(type(message))
        serving = method(self.task, message) if method is not None else server.handle(self.task, message)
        try:
            waiter = serving.send(None)
        except StopIteration as stop:
            return stop.value
        return (yield from self._wait_for(target, serving, waiter))

    async def _call_native(self, dst: int, message: Message) -> Message:
        from linuxemu.kernel.wire import decoded

        return decoded((await self._kernel.ipc_send_receive(self._owner, dst, message, dst))[1])

    def _wait_for(
        self, target: Task, serving: Coroutine[Waiter, Any, Any], waiter: Waiter
    ) -> Generator[Waiter, Any, Any]:
        """Carry a suspended server coroutine until it ends or its server dies."""
        kernel = self._kernel
        pending = kernel.pending_calls.setdefault(target.tid, {})
        try:
            while True:
                pending[serving] = waiter
                value, error = None, None
                try:
                    value = yield waiter
                except BaseException as caught:
                    error = caught
                if target.status is DEAD:
                    serving.close()
                    raise error if type(error) is GeneratorExit else RpcError(ERR_ABORTED)
                if type(error) is GeneratorExit:
                    # The caller is gone, but the request was made: the server goes on with it.
                    kernel.adopt(target, serving, waiter)
                    raise error
                try:
                    waiter = serving.send(value) if error is None else serving.throw(error)
                except StopIteration as stop:
                    return stop.value
        finally:
            pending.pop(serving, None)

    def post(self, dst: int, message: Message) -> None:
        """Send a one-way message without waiting for the receiver; nobody hears of an error of its handler.

        Raises:
            RpcError: ERR_INVALID_TASK for an id not in use.
        """
        target = self._kernel.tasks.get(dst)
        if target is None:
            raise RpcError(ERR_INVALID_TASK)
        if target.server is None:
            self._kernel.spawn(_without_answer(self._kernel.ipc_send(self._owner, dst, message)))
        else:
            self._kernel.spawn(_without_answer(target.server.handle(self.task, message)), target)

    def async_send(self, dst: int, message: Message) -> None:
        """Queue a message that the receiver fetches after it was notified."""
        queue = self.outbox.get(dst)
        if queue is None:
            queue = self.outbox[dst] = deque()
        queue.append(message)
        self._kernel.announce_async(self.task, dst)

    def async_peers(self) -> list[int]:
        """Tasks that announced asynchronous messages to the caller since the last look."""
        return self._kernel.take_async_peers(self.task)

    def notify(self, dst: int, bits: int) -> None:
        """Send notification bits; never blocks.

        Raises:
            RpcError: ERR_INVALID_TASK for an id not in use.
        """
        self._kernel.notify(dst, bits)

    async def lookup(self, name: str) -> int:
        """Id of the task that registered under a service name; waits until there is one."""
        reply = await self.call(self._kernel.discovery, discovery.Lookup(name))
        task: int = reply.task
        return task

    def send(self, dst: int, message: Message, *, block: bool = True) -> Coroutine[Waiter, Any, None]:
        """IPC send to a task that receives explicitly; see `linuxemu.kernel.ipc`."""
        return self._kernel.ipc_send(self._owner, dst, message, block=block)

    async def receive(self, src: int = 0, *, block: bool = True) -> tuple[int, Message]:
        """IPC receive from `src`, or from anybody when it is 0; returns the sender's id and the message."""
        from linuxemu.kernel.wire import decoded

        sender, message = await self._kernel.ipc_receive(self._owner, src, block=block)
        return sender, decoded(message)

    # -- time, host, coroutines -----------------------------------------------------------------------

    def now_ns(self) -> int:
        """Nanoseconds of the kernel's monotonic clock."""
        return self._kernel.host.now_ns()

    def call_at(self, deadline_ns: int, callback: Callable[[], object]) -> Timer:
        """Call `callback` when the monotonic clock reaches `deadline_ns` (extension: any number of timers)."""
        return self._kernel.timers.add(deadline_ns, callback)

    def set_timer(self, milliseconds: int) -> None:
        """Arm the task's one-shot timer, which sends NOTIFY_TIMER; 0 disarms it."""
        self._kernel.set_timer(self._owner, milliseconds)

    def watch_fd(self, fd: int, events: int, callback: Callable[[int], object]) -> Callable[[], None]:
        """Call `callback(events)` once when a host descriptor is ready; returns a function that cancels."""
        return self._kernel.watch_fd(fd, events, callback)

    def waiter(self) -> Waiter:
        """A new waiter for `linuxemu.kernel.park`."""
        return Waiter(self._kernel.ready)

    def spawn(self, coro: Coroutine[Waiter, Any, Any]) -> Activity:
        """Run a coroutine beside the caller."""
        return self._kernel.spawn(coro, self._owner)

    def exists(self, tid: int) -> bool:
        """Whether a task id is in use."""
        return tid in self._kernel.tasks

    @property
    def root(self) -> int:
        """Id of the server that starts others again when they die; 0 if there is none."""
        return self._kernel.root

    # -- tasks and memory: need capabilities ----------------------------------------------------------

    def _require(self) -> Kernel:
        if not self._owner.flags & TASK_ALL_CAPS:
            raise RpcError(ERR_NOT_PERMITTED)
        return self._kernel

    @property
    def frames(self) -> FrameAllocator:
        """Guest-physical frames (CAP_MAP)."""
        return self._require().frames

    @property
    def room(self) -> Room:
        """Room for what is kept outside of the frames (CAP_MAP)."""
        return self._require().room

    @property
    def task_ids(self) -> Any:
        """Unused task ids: `alloc()` and `free(id)` (CAP_TASK)."""
        return self._require().task_ids

    def add_server(self, server: Server, tid: int) -> None:
        """Start a server under a task id that is not in use (extension).

        Raises:
            RpcError: ERR_NOT_PERMITTED, ERR_ALREADY_EXISTS.
        """
        self._require().add_server(server, tid=tid)

    def task_create(self, tid: int, name: str, ip: int, pager: int, flags: int) -> None:
        """Make a task; it runs once `task_start` was called, which a task's own system call does at once.

        Raises:
            RpcError: ERR_NOT_PERMITTED, ERR_INVALID_TASK (id out of range, or the caller's), ERR_INVALID_ARG
                (pager not in use, unknown flags, address not canonical), ERR_ALREADY_EXISTS, ERR_UNAVAILABLE (HV).
        """
        self._require().task_create(self._owner, tid, name, ip, pager, flags)

    def task_destroy(self, tid: int) -> None:
        """End a task: calls to it fail with ERR_ABORTED, its mappings are dropped.

        Raises:
            RpcError: ERR_NOT_PERMITTED, ERR_INVALID_TASK (id out of range, or the caller's), ERR_INVALID_ARG
                (unused), ERR_IN_USE (pager of a live task).
        """
        self._require().task_destroy(self._owner, tid)

    def _paged(self, tid: int) -> Task:
        """The task `tid`, whose pager must be the caller."""
        kernel = self._require()
        task = kernel.tasks.get(tid)
        if task is None:
            raise RpcError(ERR_INVALID_TASK)
        if task.pager != self.task:
            raise RpcError(ERR_NOT_PERMITTED)
        return task

    def new_space(self) -> AddressSpace:
        """An empty address space (extension)."""
        return self._require().new_space()

    def set_space(self, tid: int, space: AddressSpace) -> None:
        """Give a task another address space; tasks may share one (extension)."""
        task = self._paged(tid)
        self._kernel.set_space(task, space)

    def task_start(self, tid: int, state_of: int | None = None) -> None:
        """Let a new task run, with a copy of another task's registers if `state_of` is given (extension)."""
        task = self._paged(tid)
        self._kernel.task_start(task, self._paged(state_of) if state_of is not None else None)

    def task_interrupt(self, tid: int) -> None:
        """Make a task trap to its pager with the INTERRUPT hook before it runs on (extension).

        Raises:
            RpcError: as for other calls on a task; ERR_INVALID_ARG if it has no hooks.
        """
        self._kernel.task_interrupt(self._paged(tid))

    def watch_preemption(self, tid: int, word: int | None) -> None:
        """Make a task trap with the INTERRUPT hook when it goes on after others could run (extension).

        Args:
            tid: the task.
            word: address of eight bytes in its memory; there is no hook while they can be written and are zero. None
                ends the watch.
        Raises:
            RpcError: as for other calls on a task; ERR_INVALID_ARG if it has no hooks, or if the
                address is not a multiple of 8.
        """
        self._kernel.watch_preemption(self._paged(tid), word)

    def _state(self, tid: int) -> CpuState:
        state = self._paged(tid).state
        if state is None:
            raise RpcError(ERR_INVALID_ARG)
        return state

    def get_regs(self, tid: int) -> FullRegs:
        """Every register of a stopped task (extension: the trap frame lacks rcx, r11 and the FPU)."""
        return self._kernel.cpu.get_regs(self._state(tid))

    def set_regs(self, tid: int, regs: FullRegs) -> None:
        """Replace every register of a stopped task."""
        self._kernel.cpu.set_regs(self._state(tid), regs)
        self._kernel.tasks[tid].loaded = True

    def get_frame(self, tid: int) -> TrapFrame:
        """The trap frame of a stopped task."""
        return self._kernel.cpu.frame(self._state(tid))

    def set_frame(self, tid: int, frame: TrapFrame) -> None:
        """Load the trap frame of a task that stopped at a page fault or an exception."""
        self._kernel.cpu.set_frame(self._state(tid), frame)
        self._kernel.tasks[tid].loaded = True

    def times_ns(self, tid: int) -> tuple[int, int]:
        """User and system nanoseconds that a task has used."""
        task = self._paged(tid)
        return task.user_ns, task.sys_ns

    def last_exception(self, tid: int) -> tuple[int, int]:
        """Vector and error code of the CPU exception that a task stopped at (extension)."""
        return self._paged(tid).exception


async def _without_answer(serving: Coroutine[Waiter, Any, Any]) -> None:
    """A message nobody waits for the answer of."""
    try:
        await serving
    except RpcError:
        pass
