"""What the kernel's tests share: a kernel on a fake CPU with a virtual clock, and small servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.cpu.fake import FakeCpu, VirtualHost
from linuxemu.cpu.memory import HostRam
from linuxemu.errors import RpcError
from linuxemu.kernel import Kernel, Port, Server, rpc
from linuxemu.kernel.task import TASK_ABI_EMU, TASK_ALL_CAPS, Task
from linuxemu.messages import AbiHook, AbiHookReply, Exception_, PageFault, PageFaultReply, TrapFrame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linuxemu.cpu.fake import Step

MEMORY = 4 << 20
PAGE = 4096
FRAME = TrapFrame(*range(0x100, 0x112))


class Rig:
    """A kernel on a fake CPU. `settle` runs it until nothing can happen any more."""

    def __init__(self, memory: int = MEMORY, **options: Any) -> None:
        self.ram = HostRam(memory)
        self.cpu = FakeCpu()
        self.host = VirtualHost()
        self.kernel = Kernel(self.cpu, self.ram, self.cpu.reserved_frames, self.host, **options)
        self._next = 1000

    def add(self, server: Server) -> Any:
        """Give a server its task."""
        self.kernel.add_server(server)
        return server

    def task(self, flags: int = TASK_ALL_CAPS, pager: int | None = None) -> Task:
        """A task that nobody runs: the test acts for it through its port."""
        self._next += 1
        task = Task(self._next, f"t{self._next}", flags, 0)
        task.port = Port(self.kernel, task)
        self.kernel.tasks[task.tid] = task
        return task

    def port(self, flags: int = TASK_ALL_CAPS) -> Port:
        """The port of such a task."""
        port = self.task(flags).port
        assert port is not None
        return port

    def guest(self, pager: Server, *steps: Step, flags: int = TASK_ABI_EMU) -> Task:
        """A task that plays a script from its first instruction on."""
        tid = self.kernel.task_ids.alloc()
        pager.port.task_create(tid, f"guest{tid}", 0x1000, pager.port.task, flags)
        pager.port.task_start(tid)
        task = self.kernel.tasks[tid]
        self.cpu.play(task.state, steps)
        return task

    def start(self, awaitable: Awaitable[Any]) -> Job:
        """Begin something that may wait."""
        job = Job()

        async def run() -> None:
            try:
                job.value = await awaitable
            except BaseException as error:  # noqa: BLE001
                job.error = error
            job.done = True

        self.kernel.spawn(run())
        return job

    def settle(self) -> None:
        """Run until only timers and descriptors could make something happen, and these are none."""
        self.kernel.stopped = False
        self.kernel.run()

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Do something that ends."""
        job = self.start(awaitable)
        self.settle()
        return job.result()

    def code(self, awaitable: Awaitable[Any]) -> int:
        """The error word of something that fails."""
        job = self.start(awaitable)
        self.settle()
        return job.code()

    def close(self) -> None:
        """The end; nothing may have gone wrong inside the kernel."""
        errors = self.kernel.errors
        self.kernel.close()
        assert errors == []


class Job:
    """Something that was begun."""

    def __init__(self) -> None:
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None

    def result(self) -> Any:
        """Its value, or its exception raised."""
        assert self.done, "still waits"
        if self.error is not None:
            raise self.error
        return self.value

    def code(self) -> int:
        """The error word it failed with."""
        assert self.done, "still waits"
        assert isinstance(self.error, RpcError), (self.value, self.error)
        return self.error.code


class Pager(Server):
    """A pager that notes what it gets and answers as the test says.

    Args:
        answer: makes the reply to a hook or a fault; the default lets the task run on as it is.
    """

    def __init__(self, answer: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.got: list[Any] = []

    async def _answer(self, message: Any, default: Any) -> Any:
        self.got.append(message)
        if self.answer is None:
            return default
        reply = self.answer(message)
        if hasattr(reply, "__await__"):
            reply = await reply
        return default if reply is Ellipsis else reply

    @rpc(AbiHook)
    async def hook(self, src: int, m: AbiHook) -> Any:
        assert src == 0
        return await self._answer(m, AbiHookReply(m.frame))

    @rpc(PageFault)
    async def fault(self, src: int, m: PageFault) -> Any:
        assert src == 0
        return await self._answer(m, PageFaultReply())

    @rpc(Exception_)
    async def exception(self, src: int, m: Exception_) -> None:
        assert src == 0
        await self._answer(m, None)

    def kinds(self) -> list[tuple[str, int]]:
        """Name and main number of everything that came: hook type, fault address, exception."""
        return [(type(m).__name__, m[1]) for m in self.got]
