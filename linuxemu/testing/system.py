"""The system under a guest of a test: real kernel, real Linux server, scripted servers, virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.inject import Injector
from linuxemu.kernel.interpose import chain
from linuxemu.kernel.strict import StrictIpc
from linuxemu.messages import fsx
from linuxemu.servers.console import ConsoleServer, InputStream, OutputStream
from linuxemu.servers.discovery import DiscoveryServer
from linuxemu.servers.ool import OolServer
from linuxemu.servers.random import RandomServer
from linuxemu.servers.task import TaskServer, TaskStorage
from linuxemu.servers.time import TimeServer, VirtualClock
from linuxemu.servers.virtualloop import EPOCH_NS, START_NS
from linuxemu.servers.vm import VmServer
from linuxemu.testing.log import RpcLog
from linuxemu.testing.script import Script, Scripted
from linuxemu.testing.stepping import StepHost, StepKernel, SteppingCpu, give_engine_back, take_engine
from syscalls import handlers
from syscalls.errors import OutOfMemory
from syscalls.server import LinuxServer, Peers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from linuxemu.cpu.base import CpuState
    from linuxemu.inject import Rule
    from linuxemu.kernel import Kernel, Server
    from linuxemu.kernel.interpose import Wrap
    from linuxemu.kernel.task import Service, Task
    from linuxemu.messages import TrapFrame

ROLES = {
    "fs": ("fs", "fsx"),
    "vm": ("vm", "vmx"),
    "net": ("tcpip", "net"),
    "time": ("time", "clock", "rtc"),
    "task": ("task", "supervisor"),
    "random": ("random", "entropy"),
    "console": ("console",),
}
"""Scripted servers and the namespaces of their messages."""
_POOL_PAGES = 64


class System:
    """One kernel with its servers. `Guest` is what tests use.

    Args:
        engine: "unicorn" or "fake".
        strict_ipc: pack and unpack every message.
        seed: of the random server.
        inject: rules of faults, see `linuxemu.inject`.
        doing: what the guest is doing, for failures.
        arrived: see `SteppingCpu`.
    """

    def __init__(
        self,
        engine: str,
        strict_ipc: bool,
        seed: int,
        inject: Sequence[Rule | str],
        doing: Callable[[], list[str]],
        arrived: Callable[[CpuState, TrapFrame], TrapFrame | None],
    ) -> None:
        handlers.load()
        self._engine_name = engine
        inner, self._ram = take_engine(engine)
        self.host = StepHost(START_NS)
        self.log = RpcLog()
        self.script = Script(self.log, doing)
        self._ool = OolServer()
        self.injector = Injector(inject) if inject else None
        wrap = chain(self.log.wrap, self._quiet(self.injector), StrictIpc(self._ool) if strict_ipc else None)
        self.cpu = SteppingCpu(inner, arrived)
        self.kernel = StepKernel(self.cpu, self._ram, inner.reserved_frames, self.host, wrap)
        if engine == "fake":
            inner.kernel = self.kernel
        self.streams = (OutputStream(), OutputStream())
        self.scripted = {role: Scripted(self.script, role, names) for role, names in ROLES.items()}
        self.linux = LinuxServer()
        self.closed = False
        self.log.muted += 1
        self._boot(seed)
        self.log.muted -= 1

    def _quiet(self, injector: Injector | None) -> Wrap | None:
        """An injector that leaves alone what the test itself does."""
        if injector is None:
            return None

        def wrap(kernel: Kernel, task: Task, message: type, method: Service) -> Service:
            faulty = injector(kernel, task, message, method)

            async def serve(src: int, request: Any) -> Any:
                return await (method if self.log.muted else faulty)(src, request)

            return method if faulty is method else serve

        return wrap

    def _add_scripted(self, storage: TaskStorage) -> dict[str, int]:
        """Task ids of the scripted servers, which are started again when they are killed."""
        tasks = {}
        for role, server in self.scripted.items():
            if role == "task":
                tasks[role] = self.kernel.add_server(server, root=server.successor)
            else:
                tasks[role] = self.kernel.add_server(server)
                storage.supervise(tasks[role], server)
        return tasks

    def _boot(self, seed: int) -> None:
        add = self.kernel.add_server
        self.kernel.add_server(DiscoveryServer(), discovery=True)
        add(self._ool)
        storage = TaskStorage()
        tasks = self._add_scripted(storage)
        real: dict[str, Server] = {
            "vm": VmServer(),
            "task": TaskServer(storage=storage),
            "time": TimeServer(VirtualClock(self.host.now_ns, EPOCH_NS)),
            "random": RandomServer(seed),
            "console": ConsoleServer(InputStream(b""), *self.streams),
        }
        for role, server in real.items():
            self.scripted[role].serve(server)
        self.scripted["fs"].ignore(fsx.Forget)
        self.fs_task = tasks["fs"]
        linux = self.linux
        linux.peers = Peers(tasks["vm"], tasks["task"], tasks["time"], tasks["console"], tasks["random"])
        linux.new_memfs = self._new_memfs
        self.script.linux = add(linux)
        linux.boot_ns = self.host.now_ns()

    def _new_memfs(self) -> int:
        from linuxemu.servers.fs.memfs import MemFs

        return self.kernel.add_server(MemFs(now_ns=lambda: self.host.now + EPOCH_NS, room=self.kernel.room))

    # -- running --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything happen that can happen now."""
        self.host.frozen = True
        try:
            self._run()
        finally:
            self.host.frozen = False

    def pass_time(self) -> None:
        """Let everything happen that ever happens by itself, or until the kernel is stopped."""
        self.host.jumps = 0
        self._run()

    def must_be_open(self) -> None:
        """Fail where the engine may be another guest's already.

        Raises:
            RuntimeError: the guest is closed.
        """
        __tracebackhide__ = True
        if self.closed:
            raise RuntimeError("the guest is closed")

    def _run(self) -> None:
        self.must_be_open()
        self.kernel.stopped = False
        self.kernel.run()

    def do(self, coro: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine of the test's own, which neither sleeps for long nor shows up in the log.

        Raises:
            Exception: what it raises.
        """
        if self.closed:
            coro.close()
        self.must_be_open()
        found: list[Any] = []
        failed: list[BaseException] = []

        async def wrap() -> None:
            try:
                found.append(await coro)
            except (Exception, OutOfMemory) as error:  # noqa: BLE001 - it is raised again where the test stands
                failed.append(error)

        self.log.muted += 1
        try:
            self.kernel.spawn(wrap())
            if not found and not failed:
                self.settle()
        finally:
            self.log.muted -= 1
        if failed:
            raise failed[0]
        assert found, "the test's own request waits for something"
        return found[0]

    def fill_pool(self) -> None:
        """Give the Linux server frames, so that a call asks vm only if it needs many."""
        pool, frames = self.linux.pool, self.kernel.frames
        while len(pool) < _POOL_PAGES and frames.available:
            pool.append(frames.alloc())

    def close(self) -> list[tuple[str, BaseException]]:
        """The end. Returns the defects that were met: what was going on, and the exception."""
        if self.closed:
            return []
        self.closed = True
        self.kernel.close()
        linux = self.linux
        for task in self.kernel.tasks.values():
            if task.state is not None:
                self.cpu.drop_state(task.state)
        defects = [*linux.oopses, *(("in a server", error) for error in self.kernel.errors)]
        give_engine_back(self._engine_name, self.cpu.engine, self._ram)
        return defects


def fresh_attr(**given: int) -> dict[str, int]:
    """The fields of the replies of namespace fsx that carry attributes, for `Expectation.reply`.

    Args:
        given: what matters to the test: ino, mode, nlink, uid, gid, rdev, size, blocks, blksize, atime_ns, mtime_ns,
            ctime_ns, version. By default a regular file with mode 0644 of root's, empty, from the epoch of the
            virtual clock.
    Raises:
        TypeError: there is no such attribute.
    """
    times = dict.fromkeys(("atime_ns", "mtime_ns", "ctime_ns"), EPOCH_NS)
    known = {name: 0 for name, _ in fsx.GetattrReply.FIELDS}
    for name in given:
        if name not in known:
            raise TypeError(f"no attribute {name!r}: there are {', '.join(known)}")
    attr = {**known, "mode": 0o100644, "nlink": 1, "blksize": 4096, "version": 1, **times, **given}
    if "blocks" not in given:
        attr["blocks"] = -(-attr["size"] // 512)
    return attr


