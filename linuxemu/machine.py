"""A whole machine: engine, kernel, servers, and Linux on top; the API that the tool, tests and plugin use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from linuxemu.cpu.memory import HostRam
from linuxemu.cpu.ticker import SliceTicker
from linuxemu.errors import BootError, DeadlockError, RpcError
from linuxemu.kernel import Kernel
from linuxemu.kernel.interpose import chain
from linuxemu.servers.hostloop import HostLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from linuxemu.inject import Injected, Injector, Rule
    from linuxemu.kernel import Server
    from linuxemu.servers.console import Stream
    from syscalls.boot import BindMount
    from syscalls.objects.process import Process
    from syscalls.server import LinuxServer, Unsupported

DEFAULT_MEMORY_MIB = 1024
TIMEOUT_STATUS = 124
_CLEAN_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/sh",
}


class Bind(NamedTuple):
    """A host file or directory that the guest sees.

    Args:
        host: path on the host.
        guest: absolute path in the guest.
        rw: the guest may change it.
    """

    host: str
    guest: str
    rw: bool = False


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


class Machine:
    """A machine that can run programs, one `run` after the other, each on a freshly booted system.

    Args:
        root: directory, tar archive or image that is the guest's root; None for the BusyBox system.
        host_root: the host's own / is the root (through the overlay), with the caller's directory and environment.
        rw: the guest's writes go to the directory `root` instead of an overlay in memory.
        binds: host files and directories to show.
        env: variables added to a small clean environment (to the caller's own with `host_root`).
        cwd: the program's directory in the guest; / by default.
        user: uid and gid of the program; 0 and 0 by default.
        engine: the CPU engine, "unicorn".
        timeout_s: kill everything after this many seconds.
        strict_ipc: pack and unpack every message.
        inject: faults to inject, each a rule or its text (docs/faults.md).
        memory_mib: guest-physical memory, MiB; the host commits it only as it is used.
        stdin: "inherit", or bytes to read.
        stdout: "inherit" or "capture"; `run` of the Python API captures by default.
        stderr: the same for standard error.
    Raises:
        BootError: what was given cannot be a machine.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        host_root: bool = False,
        rw: bool = False,
        binds: Sequence[Bind] = (),
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: tuple[int, int] | None = None,
        engine: str = "unicorn",
        timeout_s: float | None = None,
        strict_ipc: bool | None = None,
        inject: Sequence[Rule | str] = (),
        memory_mib: int = DEFAULT_MEMORY_MIB,
        stdin: str | bytes = b"",
        stdout: str = "capture",
        stderr: str = "capture",
    ) -> None:
        if host_root and (root is not None or rw):
            raise BootError("host_root goes neither with root nor with rw")
        if rw and root is None:
            raise BootError("rw needs a directory as root")
        if engine != "unicorn":
            raise BootError(f"no engine {engine!r}: there is unicorn")
        if not 16 <= memory_mib <= 6144:
            raise BootError(f"memory of {memory_mib} MiB: it must be 16 to 6144 MiB")
        if strict_ipc is None:
            strict_ipc = os.environ.get("LINUXEMU_STRICT_IPC", "") not in ("", "0")
        self._root, self._host_root, self._rw = root, host_root, rw
        self._binds = list(binds)
        self._env = dict(env or {})
        self._cwd, self._user, self._timeout_s = cwd, user, timeout_s
        self._strict, self._memory_mib = strict_ipc, memory_mib
        self._streams = (stdin, stdout, stderr)
        self.unsupported: list[Unsupported] = []
        """What programs asked for that is not supported, after `run`."""
        self._inject = list(inject)
        self.injected: list[Injected] = []
        """What became of each rule of `inject`, after `run`."""

    def run(self, argv: Sequence[str | bytes]) -> Result:
        """Boot, run a program to its end, and shut down.

        Args:
            argv: the program and its arguments; a program without a slash is looked up in the guest's PATH.
        Raises:
            GuestStartError: the program cannot be started.
            DeadlockError: no process can ever go on, with no stream inherited that could bring news.
            BootError: the machine cannot be put together from what was given.
            InjectError: a rule of `inject` cannot be meant.
        """
        if not argv or not argv[0]:
            raise BootError("no program given")
        words = [os.fsencode(word) for word in argv]
        if any(b"\0" in word for word in words):
            raise BootError("an argument contains a NUL byte")
        injector = None
        if self._inject:
            from linuxemu.inject import Injector

            injector = Injector(self._inject)
        session = _Session(self._memory_mib, self._strict, injector)
        try:
            return self._run(session, words)
        finally:
            self.unsupported = session.close()
            if injector is not None:
                self.injected = injector.report()

    def _run(self, session: _Session, argv: list[bytes]) -> Result:
        from syscalls.boot import BootPlan
        from syscalls.objects.credentials import Credentials

        session.add_base_servers()
        console = _Console(*self._streams)
        session.start_linux(console)
        root, kind = self._root_server(session)
        uid, gid = self._user or (0, 0)
        cwd = self._cwd
        if cwd is None and self._host_root:
            cwd = os.getcwd()
        plan = BootPlan(
            root=root,
            root_kind=kind,
            make_mount_points=not self._rw,
            binds=[self._bind(session, bind) for bind in self._binds],
            argv=argv,
            envp=[os.fsencode(f"{name}={value}") for name, value in self._environment().items()],
            cwd=os.fsencode(cwd) if cwd is not None else None,
            creds=Credentials.user(uid, gid),
        )
        return session.run(plan, console, self._timeout_s)

    def _environment(self) -> dict[str, str]:
        base = dict(os.environ) if self._host_root else dict(_CLEAN_ENVIRONMENT)
        if not self._host_root and "TERM" in os.environ:
            base["TERM"] = os.environ["TERM"]
        base.update(self._env)
        return base

    def _root_server(self, session: _Session) -> tuple[int, str]:
        """The file server of the root: what was given, beneath an overlay unless it is to be written."""
        from linuxemu.servers.fs.memfs import MemFs

        server: Server
        if self._host_root or self._rw:
            from linuxemu.servers.fs.hostfs import HostFs

            server = HostFs(self._root or "/", writable=self._rw)
        elif self._root is not None:
            from rootfs.source import open_root

            server = open_root(self._root)
        else:
            from linuxemu.servers.fs.imagefs import ImageFs
            from rootfs.cache import ensure_default_root

            path = ensure_default_root()
            server = ImageFs(path)
            session.load_images(os.path.join(path, "exec.cache"))
        task = session.add(server, "/" if self._rw else "lower")
        if self._rw:
            return task, "hostfs"
        return session.add(MemFs(lower=task), "/"), "overlay"

    def _bind(self, session: _Session, bind: Bind) -> BindMount:
        from linuxemu.servers.fs.hostfs import HostFs
        from syscalls.boot import BindMount

        host = os.path.realpath(bind.host)
        if not os.path.exists(host):
            raise BootError(f"bind: {bind.host}: no such file or directory")
        if not bind.guest.startswith("/"):
            raise BootError(f"bind: the guest's path {bind.guest!r} is not absolute")
        name = "" if os.path.isdir(host) else os.path.basename(host)
        folder = os.path.dirname(host) if name else host
        place = os.path.normpath(bind.guest)
        task = session.add(HostFs(folder, writable=bind.rw), place)
        guest = os.fsencode(place)
        return BindMount(task, guest, os.fsencode(name), not bind.rw, os.fsencode(bind.host))


class _Console:
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
        return bytes(found.data) if found is not None else b""


class _Session:
    """One boot of a machine."""

    def __init__(self, memory_mib: int, strict: bool, injector: Injector | None) -> None:
        from linuxemu.cpu.unicorn import UnicornCpu
        from linuxemu.servers.ool import OolServer
        from linuxemu.servers.task import TaskStorage

        self._ram = HostRam(memory_mib << 20)
        cpu = UnicornCpu(self._ram)
        self._host = HostLoop()
        self._ool = OolServer()
        self._tasks = TaskStorage()
        packing = None
        if strict:
            from linuxemu.kernel.strict import StrictIpc

            packing = StrictIpc(self._ool)
        wrap = chain(injector, packing)
        self.kernel = Kernel(cpu, self._ram, cpu.reserved_frames, self._host, wrap=wrap)
        self._ticker = self.kernel.ticker = SliceTicker(self.kernel.on_tick)
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
        self._time = self.add(TimeServer())
        self._random = self.add(RandomServer())

    def start_linux(self, console: _Console) -> None:
        """Add the console and the Linux server."""
        from syscalls import handlers
        from syscalls.server import LinuxServer, Peers

        handlers.load()
        linux = self._linux = LinuxServer()
        linux.peers = Peers(self._vm, self._task, self._time, self.add(console.server), self._random)
        linux.new_memfs = self._new_memfs
        self.kernel.add_server(linux)

    def _new_memfs(self) -> int:
        from linuxemu.servers.fs.memfs import MemFs

        return self.add(MemFs(), "tmpfs")

    def load_images(self, path: str) -> None:
        """Use what was parsed of programs when the root was built."""
        from loader.cache import ImageCache

        try:
            with open(path, "rb") as file:
                self._linux.images = ImageCache.from_bytes(file.read())
        except OSError:
            pass  # it is made anew as programs run

    def run(self, plan: object, console: _Console, timeout_s: float | None) -> Result:
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
            kernel.timers.add(self._host.now_ns() + int(timeout_s * 1e9), self._time_over)
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

    def _result(self, console: _Console, before: dict[str, int]) -> Result:
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
            "frames_used": frames.total - frames.available - len(linux.pool),
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

    def _take_signals(self, console: _Console) -> Callable[[], None]:
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
        return sorted(linux.missing, key=lambda key: -linux.missing[key]) if linux is not None else []
