"""One boot of a machine: engine, kernel, servers and Linux, put together and run to the end of the first program."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from linuxemu.cpu.memory import HostRam
from linuxemu.cpu.ticker import SliceTicker
from linuxemu.errors import BootError, DeadlockError, RpcError
from linuxemu.kernel import Kernel
from linuxemu.kernel.interpose import chain
from linuxemu.servers.hostloop import HostLoop

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from linuxemu.inject import Injector
    from linuxemu.kernel import Server
    from linuxemu.kernel.interpose import Wrap
    from linuxemu.kernel.room import Room
    from linuxemu.servers.console import Stream
    from linuxemu.servers.time import ClockSource
    from linuxemu.servers.virtualloop import VirtualLoop
    from syscalls.objects.process import Process
    from syscalls.objects.tracing import Tracer
    from syscalls.server import LinuxServer, Unsupported

    Trace: TypeAlias = Callable[["Session"], Tracer]
    """Makes the tracer of a session."""

TIMEOUT_STATUS = 124
_LONG_TURN_TICKS = 100
"""After so many time slices without a system call a process with virtual time gives way: one second."""


class Result(NamedTuple):
    """How a program ended.

    Args:
        exit_status: what a shell would show: the exit status, 128+n for signal n, 124 after the time limit.
        stdout: what it wrote there, if it was captured.
        stderr: the same for standard error.
        signal: the signal that killed it, None if it exited.
        stats: counters of the kernel at the start and at the end, by name.
    """

    exit_status: int
    stdout: bytes
    stderr: bytes
    signal: int | None
    stats: dict[str, int]


class GuestStartError(BootError):
    """The program cannot be started in the guest; `exit_status` is 127 (not found), 126 or 2."""

    def __init__(self, text: str, exit_status: int) -> None:
        super().__init__(text)
        self.exit_status = exit_status


class Console:
    """The standard streams of one run, and the server of them.

    Args:
        stdin: "inherit", or bytes to read.
        stdout: "inherit" or "capture".
        stderr: the same.
    Raises:
        BootError: anything else.
    """

    def __init__(self, stdin: str | bytes, stdout: str, stderr: str) -> None:
        from linuxemu.servers.console import ConsoleServer, InputStream, OutputStream
        from linuxemu.servers.console.host import standard_streams

        if not isinstance(stdin, bytes) and stdin != "inherit":
            raise BootError(f"stdin is {stdin!r}: it must be bytes or 'inherit'")
        self._captured: dict[int, OutputStream] = {}
        self.inherited = stdin == "inherit"
        own = standard_streams() if "inherit" in (stdin, stdout, stderr) else None
        streams: list[Stream] = []
        for number, given in enumerate((stdin, stdout, stderr)):
            if isinstance(given, bytes):
                streams.append(InputStream(given))
            elif given == "inherit" and own is not None:
                streams.append(own[number])
            elif given == "capture" and number:
                streams.append(self._captured.setdefault(number, OutputStream()))
            else:
                raise BootError(f"stream {number} is {given!r}: it must be 'inherit' or 'capture'")
        self.server = ConsoleServer(streams[0], streams[1], streams[2])

    def captured(self, stream: int) -> bytes:
        """What was written to a stream that is captured; empty for any other."""
        found = self._captured.get(stream)
        return found.data if found is not None else b""

    def take_room(self, room: Room) -> None:
        """Count what is captured as memory of the machine."""
        for stream in self._captured.values():
            stream.room = room


class Session:
    """One boot of a machine."""

    def __init__(
        self, memory_mib: int, strict: bool, seed: int | None, observe: Wrap | None, injector: Injector | None
    ) -> None:
        from linuxemu.cpu.unicorn import UnicornCpu
        from linuxemu.servers.ool import OolServer
        from linuxemu.servers.task import TaskStorage

        self._ram = HostRam(memory_mib << 20)
        cpu = UnicornCpu(self._ram)
        self._seed = seed
        self._host = HostLoop()
        self._ool = OolServer()
        self._tasks = TaskStorage()
        packing = None
        if strict:
            from linuxemu.kernel.strict import StrictIpc

            packing = StrictIpc(self._ool)
        self._virtual: VirtualLoop | None = None
        if seed is not None:
            from linuxemu.servers.virtualloop import VirtualLoop

            self._virtual = VirtualLoop()
            self._virtual.jumped = self._check_deadline
        host = self._virtual or self._host
        wrap = chain(observe, injector, packing)
        self.kernel = Kernel(cpu, self._ram, cpu.reserved_frames, host, wrap=wrap)
        self._ticker = self.kernel.ticker = SliceTicker(self._tick)
        self._ticks = 0
        self._last_ns = 0
        self._deadline: float | None = None
        self._cpu = cpu
        self._linux: LinuxServer
        self._images: bytes | None = None
        self._signals: list[int] = []
        self._failure: BaseException | None = None
        self._timed_out = False
        self._ended_by = 0
        """The signal that asked the tool itself to end."""

    def add(self, server: Server, role: str = "") -> int:
        """Give a server its task; when it dies it is started again."""
        server.role = role
        task = self.kernel.add_server(server)
        self._tasks.supervise(task, server)
        return task

    def add_base_servers(self) -> None:
        """The servers that every machine has."""
        from linuxemu.servers.discovery import DiscoveryServer
        from linuxemu.servers.random import RandomServer
        from linuxemu.servers.task import TaskServer
        from linuxemu.servers.time import TimeServer
        from linuxemu.servers.vm import VmServer

        self.kernel.add_server(DiscoveryServer(), discovery=True)
        self.kernel.add_server(self._ool)
        self._vm = self.add(VmServer())
        server = TaskServer(storage=self._tasks)
        self._task = self.kernel.add_server(server, root=server.successor)
        self._time = self.add(TimeServer(self._clock()))
        self._random = self.add(RandomServer(self._seed))

    def start_linux(self, console: Console, trace: Trace | None) -> None:
        """Add the console and the Linux server."""
        from syscalls import handlers
        from syscalls.server import LinuxServer, Peers

        handlers.load()
        linux = self._linux = LinuxServer()
        linux.peers = Peers(self._vm, self._task, self._time, self.add(console.server), self._random)
        linux.new_memfs = self._new_memfs
        self.kernel.room.shrink = linux.shrink_caches
        console.take_room(self.kernel.room)
        if trace is not None:
            linux.tracer = trace(self)
        self.kernel.add_server(linux)

    def _new_memfs(self) -> int:
        from linuxemu.servers.fs.memfs import MemFs

        return self.add(MemFs(now_ns=self.realtime_ns, room=self.kernel.room), "tmpfs")

    def _clock(self) -> ClockSource | None:
        """Where the time server gets its time; None for the host."""
        if self._virtual is None:
            return None
        from linuxemu.servers.time import VirtualClock
        from linuxemu.servers.virtualloop import EPOCH_NS

        return VirtualClock(self._virtual.now_ns, EPOCH_NS)

    def realtime_ns(self) -> int:
        """Nanoseconds since 1970, for file times."""
        if self._virtual is None:
            return time.time_ns()
        from linuxemu.servers.virtualloop import EPOCH_NS

        return self._virtual.now + EPOCH_NS

    def now_ns(self) -> int:
        """Nanoseconds of a clock that never jumps."""
        return (self._virtual or self._host).now_ns()

    def _check_deadline(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._time_over()

    def _tick(self) -> None:
        """A time slice has passed; called from the ticker's thread.

        With virtual time it ends no turn, for that would come at another instruction each time. Who computes for
        very long has to give way all the same.
        """
        kernel = self.kernel
        if self._virtual is None:
            kernel.on_tick()
            return
        now_ns = self._virtual.now
        self._ticks = self._ticks + 1 if now_ns == self._last_ns else 0
        self._last_ns = now_ns
        self._check_deadline()
        if self._ticks >= _LONG_TURN_TICKS or kernel.stopped:
            self._ticks = 0
            kernel.on_tick()

    def load_images(self, path: str) -> None:
        """Use what was parsed of programs when the root was built."""
        from loader.cache import ImageCache

        try:
            with open(path, "rb") as file:
                self._linux.images = ImageCache.from_bytes(file.read())
        except OSError:
            pass  # it is made anew as programs run

    def run(self, plan: object, console: Console, timeout_s: float | None) -> Result:
        """Boot Linux by a plan and run until its first program has ended."""
        from syscalls.boot import BootPlan, StartError, boot
        from syscalls.errors import SysError
        from syscalls.objects.task import TaskExited

        assert isinstance(plan, BootPlan)
        linux, kernel = self._linux, self.kernel
        linux.ended = self._main_ended
        before: dict[str, int] = {}

        async def start() -> None:
            try:
                await boot(linux, plan)
                before.update(self._counters())
            except StartError as error:
                self._failure = GuestStartError(str(error), error.exit_status)
                kernel.stop()
            except (RpcError, SysError, TaskExited) as error:
                why = str(error) or "the first program was killed"
                self._failure = GuestStartError(f"the guest's system did not come up: {why}", 126)
                kernel.stop()
            except BaseException as error:
                self._failure = error
                kernel.stop()
                raise

        kernel.spawn(start())
        if timeout_s is not None:
            self._limit_time(timeout_s)
        restore = self._take_signals(console)
        try:
            kernel.run()
        finally:
            restore()
        if self._failure is not None:
            raise self._failure
        if not kernel.stopped:
            raise DeadlockError("every process waits for another one; nothing can ever wake them")
        return self._result(console, before)

    def _limit_time(self, timeout_s: float) -> None:
        """End the run after so many seconds of the host."""
        if self._virtual is not None:
            self._deadline = time.monotonic() + timeout_s
        else:
            self.kernel.timers.add(self._host.now_ns() + int(timeout_s * 1e9), self._time_over)

    def _result(self, console: Console, before: dict[str, int]) -> Result:
        stats = {f"{name}_start": value for name, value in before.items()}
        stats.update({f"{name}_end": value for name, value in self._counters().items()})
        out, err = console.captured(1), console.captured(2)
        main = self._linux.main
        word = main.exit_code if main is not None and main.exited else None
        if self._ended_by:
            return Result(128 + self._ended_by, out, err, None, stats)
        if self._timed_out or word is None:
            return Result(TIMEOUT_STATUS, out, err, None, stats)
        signal = word & 0x7F
        return Result(128 + signal if signal else word >> 8 & 0xFF, out, err, signal or None, stats)

    def _counters(self) -> dict[str, int]:
        """What must not grow: frames in use apart from cached pages, kernel tasks, processes, coroutines."""
        linux, frames = self._linux, self.kernel.frames
        return {
            "frames_used": frames.total - frames.available - len(linux.pool) - self.kernel.room.frames,
            "frames_cached": linux.cached_frames(),
            "tasks": len(self.kernel.tasks),
            "processes": len(linux.processes),
            "activities": self.kernel.activity_count(),
        }

    def _main_ended(self, process: Process) -> None:
        self.kernel.stop()

    def _time_over(self) -> None:
        self._timed_out = True
        self.kernel.stop()

    def _take_signals(self, console: Console) -> Callable[[], None]:
        """Hand the terminal's signals to the guest while it runs; returns what undoes this.

        SIGTERM and SIGHUP are meant for the tool and end the run. None of this happens in a signal handler: an
        exception from there could come out anywhere, even in a callback of the emulator, which would swallow it.
        """
        if not console.inherited:
            return lambda: None
        import signal

        pending = self._signals

        def note(signo: int, _frame: object) -> None:
            pending.append(signo)

        def hand_on() -> None:
            while pending:
                signo = pending.pop(0)
                if signo in ending:
                    self._ended_by = signo
                    self.kernel.stop()
                else:
                    self._hand_to_guest(signo)

        old = {}
        ending = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
        try:
            for name in ("SIGINT", "SIGQUIT", "SIGTSTP", "SIGWINCH"):
                signo = getattr(signal, name, None)
                if signo is not None and signal.getsignal(signo) is not signal.SIG_IGN:
                    old[signo] = signal.signal(signo, note)
            for signo in ending:
                if signal.getsignal(signo) is signal.SIG_DFL:
                    old[signo] = signal.signal(signo, note)
        except ValueError:  # only the main thread has signals
            return lambda: None
        self._host.woken = hand_on
        wake = signal.set_wakeup_fd(self._host.open_wake_fd(), warn_on_full_buffer=False)

        def restore() -> None:
            signal.set_wakeup_fd(wake)
            for signo, handler in old.items():
                signal.signal(signo, handler)

        return restore

    def _hand_to_guest(self, signo: int) -> None:
        """Let the console server that lives just now pass a signal on."""
        from linuxemu.servers.console import ConsoleServer

        task = self.kernel.tasks.get(self._linux.peers.console)
        if task is not None and isinstance(task.server, ConsoleServer):
            task.server.deliver_host_signal(signo)

    def close(self) -> list[Unsupported]:
        """End everything; returns what was not supported."""
        import sys

        self.kernel.close()
        self._cpu.close()
        self._host.close()
        linux = getattr(self, "_linux", None)
        problems = [(f"serving {call}", error) for call, error in linux.oopses] if linux is not None else []
        problems += [("in a server", error) for error in self.kernel.errors]
        for where, error in problems:
            if self._failure is error:
                continue
            import traceback

            sys.stderr.write(f"linuxemu: internal error {where}\n")
            sys.stderr.write("".join(traceback.format_exception(error)))
        return sorted(linux.missing(), key=lambda item: -item.times) if linux is not None else []
