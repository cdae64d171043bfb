"""The tracer: told of each system call, signal, stop and end by the Linux server, it tells a log."""

from __future__ import annotations

from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from linuxemu.errors import RpcError
from linuxemu.trace import formats, tamper
from linuxemu.trace.call import PAGE, Call, NotResident
from linuxemu.trace.plan import Plans
from syscalls.abi.errno import EINTR
from syscalls.abi.numbers import X86_64
from syscalls.errors import Interrupted, Restart, SysError
from syscalls.vfs.filesystem import errno_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
    from typing import TypeAlias

    from linuxemu.kernel import Waiter
    from linuxemu.messages import TrapFrame
    from linuxemu.trace.logs import Log
    from linuxemu.trace.paths import Paths
    from linuxemu.trace.rpcs import RpcWatch
    from linuxemu.trace.stack import Place
    from linuxemu.trace.style import Style
    from linuxemu.trace.tampering import Injection, Tampering
    from syscalls.objects.process import Process
    from syscalls.objects.siginfo import SigInfo
    from syscalls.objects.task import Task
    from syscalls.registry import Invoke

    StackOf: TypeAlias = Callable[[Task, TrapFrame], Awaitable[Sequence[str | Place]]]
    """Finds the user stack of a task in a system call, see `Call.stack`."""

_EXECVE = X86_64["execve"]
EXECS = (_EXECVE, X86_64["execveat"])
"""The calls that run another program."""
_SIGN = 1 << 63
_T = TypeVar("_T")


class Tracer:
    """Watches the first program's task, and what it makes if told to.

    Args:
        log: where everything goes.
        style: how values are spelled.
        plans: how calls are shown.
        shows: whether calls of a number are watched.
        now_ns: the clock of durations.
        follow: new tasks are traced as well (-f).
        detach: a task is not traced any more once it runs another program (-b execve).
        about: whether a call that begins is to be watched; None for every one (-P).
        tampering: what is done to calls (-e inject).
        rpcs: notes the messages that calls become (--rpc).
        dump: finds the lines of the data that a call has read or written (-e read, -e write).
        stack: finds a task's user stack (-k), see `Call.stack`.
    """

    def __init__(
        self,
        log: Log,
        style: Style,
        plans: Plans,
        shows: Callable[[int], bool],
        now_ns: Callable[[], int],
        *,
        follow: bool = False,
        detach: bool = False,
        about: Paths | None = None,
        dump: Callable[[Call], list[str]] | None = None,
        tampering: Tampering | None = None,
        rpcs: RpcWatch | None = None,
        stack: StackOf | None = None,
    ) -> None:
        formats.load()
        self.log = log
        self._style = style
        self._plans = plans
        self._shows = shows
        self._now_ns = now_ns
        self._follow = follow
        self._detach = detach
        self._about = about
        self._dump = dump
        self._tampering = tampering
        self._rpcs = rpcs
        self._stack = stack
        self._current: dict[Task, Call] = {}
        self._names: dict[Task, str] = {}
        """Of the last call of each task."""
        self._zombies: dict[Process, Task] = {}
        """Leaders that have ended while other threads go on; Linux tells of them when the process ends."""

    # -- what the Linux server tells ---------------------------------------------------------------------

    def watch(self, number: int, invoke: Invoke) -> Invoke:
        """See `syscalls.objects.tracing.Tracer`."""
        unseen = self._unseen(number, invoke)
        if not self._shows(number):
            return unseen
        plan, style, now_ns = self._plans.of(number), self._style, self._now_ns
        about, leave, names, name = self._about, self._leave, self._names, plan.name
        special = self._tampering is not None or self._stack is not None

        async def traced(t: Task, frame: TrapFrame) -> int | None:
            if t.tracer is not self:
                return await invoke(t, frame)
            call = Call(t, plan, frame, style)
            call.before, names[t] = names.get(t, ""), name
            if about is not None and not await self._ask(call, about):
                return await unseen(t, frame)
            injection = await self._prepare(call) if special else None
            try:
                parts = plan.entry(call)
            except NotResident as miss:
                parts = await self._texts(call, plan.entry, miss)
            except Exception as error:
                parts = _undecoded(call, error)
            self.log.enter(call, parts)
            self._current[t] = call
            call.begin_ns = now_ns()
            handler = invoke(t, frame) if injection is None else tamper.serve(call, injection, invoke)
            try:
                call.result = await self._serve(call, handler)
                if injection is not None:
                    await tamper.after(call, injection)
            except Interrupted as interrupted:
                never = interrupted.restart == Restart.NEVER
                call.result, call.restart = (-EINTR, 0) if never else (call.result, interrupted.restart)
                await leave(call)
                raise
            await leave(call)
            return call.result

        return traced

    def _unseen(self, number: int, invoke: Invoke) -> Invoke:
        """A call that is not shown; an execve lets its task go all the same."""
        if not self._detach or number not in EXECS:
            return invoke

        async def unseen(t: Task, frame: TrapFrame) -> int | None:
            result = await invoke(t, frame)
            if t.tracer is self and not result:
                self._let_go(t)
            return result

        return unseen

    async def _prepare(self, call: Call) -> Injection | None:
        """The stack, and what is to be done to the call."""
        if self._stack is not None:
            call.stack = await self._stack(call.t, call.frame)
        if self._tampering is None:
            return None
        injection = self._tampering.due(call.t, call.plan.number)
        if injection is not None:
            await tamper.before(call, injection)
        return injection

    async def _leave(self, call: Call) -> None:
        if call.t.fatal_signal_pending():
            return  # it is killed, so that nobody sees a result: `exited` tells of the call
        call.end_ns = self._now_ns()
        self._current.pop(call.t, None)
        plan = call.plan
        try:
            parts = plan.exit(call)
        except NotResident as miss:
            parts = await self._texts(call, plan.exit, miss)
        except Exception as error:
            parts = _undecoded(call, error)
        if self._dump is not None:
            call.dump = await self._ask(call, self._dump)
        if self._detach and plan.number in EXECS and call.result == 0:
            call.detached = True
            self._let_go(call.t)
        self.log.leave(call, parts)

    def _let_go(self, t: Task) -> None:
        t.tracer = None
        self.log.detached(t)

    async def _serve(self, call: Call, handler: Any) -> int:
        """The result of a handler, errors as negative numbers; the log hears of it if the handler has to wait."""
        try:
            if self._rpcs is not None:
                handler = self._rpcs.during(call, handler)
            try:
                waiter = handler.send(None)
            except StopIteration as stop:
                result = stop.value or 0
            else:
                call.busy_ns = self._now_ns() - call.begin_ns
                self.log.blocks(call)
                result = await _go_on(handler, waiter) or 0
        except SysError as error:
            return -error.errno
        except RpcError as error:
            return -errno_of(error.code)
        return result if result < _SIGN else result - 2 * _SIGN

    async def _texts(self, call: Call, show: Callable[[Call], list[str]], miss: NotResident) -> list[str]:
        """What a formatter says once the pages it needs are there."""
        call.partial = {}
        await self._bring_in(call, miss)
        try:
            return await self._ask(call, show)
        except Exception as error:
            return _undecoded(call, error)
        finally:
            call.partial = None

    async def _ask(self, call: Call, question: Callable[[Call], _T]) -> _T:
        """The answer of a function that reads the task's memory, which is asked again when pages are missing."""
        while True:
            try:
                return question(call)
            except NotResident as miss:
                await self._bring_in(call, miss)

    async def _bring_in(self, call: Call, miss: NotResident) -> None:
        call.misses += 1
        try:
            await call.mem.read_some(miss.addr, 1)
        except (SysError, RpcError):
            if call.unreadable is None:
                call.unreadable = set()
            call.unreadable.add(miss.addr // PAGE)

    async def started(self, t: Task, path: bytes, argv: Sequence[bytes], envp: Sequence[bytes]) -> None:
        """See `syscalls.objects.tracing.Tracer`."""
        t.tracer = self
        if self._about is not None:
            await self._about.resolve(t)
        if not self._shows(_EXECVE) or (self._about is not None and path not in self._about):
            return
        from linuxemu.trace.formats.strings import path_text, words

        plan = self._plans.of(_EXECVE)
        call = Call(t, plan, t.frame._replace(rax=_EXECVE), self._style)
        call.begin_ns = call.end_ns = self._now_ns()
        # Pointers are those of the new program's stack: nobody made the call.
        begin = t.frame.rsp + 8
        end = begin + 8 * (len(argv) + 1)
        if not plan.verbose or plan.raw:
            arrays = [f"{begin:#x}", f"{end:#x}"]
        elif plan.abbrev:
            arrays = [words(call, argv), f"{end:#x} /* {_count(len(envp))} */"]
        else:
            arrays = [words(call, argv), words(call, envp)]
        name = f"{t.frame.rsp:#x}" if plan.raw else path_text(call, path)
        self.log.enter(call, [name, *arrays])
        call.result = 0
        self.log.leave(call, [])

    def cloned(self, t: Task, child: Task) -> None:
        """See `syscalls.objects.tracing.Tracer`."""
        if self._follow:
            child.tracer = self
            self.log.attached(t, child)

    def signaled(self, t: Task, info: SigInfo) -> None:
        """See `syscalls.objects.tracing.Tracer`."""
        self.log.signaled(t, info)

    def stopped(self, t: Task, signo: int) -> None:
        """See `syscalls.objects.tracing.Tracer`."""
        self.log.stopped(t, signo)

    def superseded(self, t: Task, tid: int) -> None:
        """See `syscalls.objects.tracing.Tracer`."""
        self._zombies.pop(t.process, None)
        self.log.superseded(t, tid)

    def exited(self, t: Task, status: int) -> None:
        """See `syscalls.objects.tracing.Tracer`."""
        call = self._current.pop(t, None)
        if call is not None:
            call.result, call.restart = None, 0
            self.log.lost(call)
        self._names.pop(t, None)
        if self._tampering is not None:
            self._tampering.forget(t)
        process = t.process
        others = any(other.exit_status is None for other in process.tasks.values())
        if t is process.leader and (others or process.exec_task is not None):
            self._zombies[process] = t
            return
        self.log.exited(t, status)
        leader = self._zombies.get(process)
        if leader is not None and not others and process.exec_task is None:
            del self._zombies[process]
            self.log.exited(leader, status if process.group_exit is None else process.group_exit)

    def unsupported(self, t: Task, what: str) -> None:
        """See `syscalls.objects.tracing.Tracer`."""
        call = self._current.get(t)
        if call is not None:
            call.unsupported.append(what)


def _undecoded(call: Call, error: Exception) -> list[str]:
    """What is shown where a formatter failed: the arguments as numbers, or nothing more at the end."""
    call.defect(error)
    return [formats.raw(value) for value in call.args] if not call.ended else []


def _count(n: int) -> str:
    return f"{n} var" if n == 1 else f"{n} vars"


@coroutine
def _go_on(handler: Coroutine[Any, Any, Any], waiter: Waiter) -> Generator[Waiter, Any, Any]:
    """Await the rest of a coroutine that waits for `waiter` already."""
    step: Callable[[Any], Any]
    value: Any
    while True:
        try:
            value = yield waiter
        except GeneratorExit:
            handler.close()
            raise
        except BaseException as error:
            step, value = handler.throw, error
        else:
            step = handler.send
        try:
            waiter = step(value)
        except StopIteration as stop:
            return stop.value
