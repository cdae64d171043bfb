"""A whole machine: engine, kernel, servers, and Linux on top; the API that the tool, tests and plugin use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from linuxemu.errors import BootError
from linuxemu.session import Console, Result, Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from linuxemu.inject import Injected, Rule
    from linuxemu.kernel import Server
    from linuxemu.kernel.interpose import Wrap
    from linuxemu.session import Trace
    from syscalls.boot import BindMount
    from syscalls.server import Unsupported

DEFAULT_MEMORY_MIB = 1024
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


class Machine:
    """A machine that can run programs, one `run` after the other, each on a freshly booted system.

    Args:
        root: directory, tar archive or image that is the guest's root; None for the BusyBox system.
        host_root: the host's own / is the root (through the overlay), with the caller's directory and environment.
        rw: the guest's writes go to the directory `root` instead of an overlay in memory.
        binds: host files and directories to show.
        env: variables added to a small clean environment (to the caller's own with `host_root`); None removes one.
        cwd: the program's directory in the guest; / by default.
        user: uid and gid of the program; 0 and 0 by default.
        engine: the CPU engine, "unicorn".
        timeout_s: kill everything after this many seconds.
        strict_ipc: pack and unpack every message.
        inject: faults to inject, each a rule or its text (docs/faults.md).
        memory_mib: guest-physical memory, MiB; the host commits it only as it is used. What the guest's files in
            memory take, the contents of the root that it changes among them, takes it too, and output that is captured.
        stdin: "inherit", or bytes to read.
        stdout: "inherit" or "capture"; `run` of the Python API captures by default.
        stderr: the same for standard error.
        seed: make runs repeat: random numbers follow from this number, time is virtual and jumps when every process
            sleeps, and a process gives up the CPU only when it waits. Streams cannot be inherited then, and
            `timeout_s` is the host's time still.
        trace: makes the tracer that is told of the program's system calls, see `linuxemu.trace`.
        observe: replaces each handler of each server, see `linuxemu.kernel.Kernel`.
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
        env: Mapping[str, str | None] | None = None,
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
        seed: int | None = None,
        observe: Wrap | None = None,
        trace: Trace | None = None,
    ) -> None:
        if host_root and (root is not None or rw):
            raise BootError("host_root goes neither with root nor with rw")
        if rw and root is None:
            raise BootError("rw needs a directory as root")
        if engine != "unicorn":
            raise BootError(f"no engine {engine!r}: there is unicorn")
        if not 16 <= memory_mib <= 6144:
            raise BootError(f"memory of {memory_mib} MiB: it must be 16 to 6144 MiB")
        if seed is not None and "inherit" in (stdin, stdout, stderr):
            raise BootError("a run with a seed cannot inherit streams: what comes from outside does not repeat")
        if strict_ipc is None:
            strict_ipc = os.environ.get("LINUXEMU_STRICT_IPC", "") not in ("", "0")
        self._root, self._host_root, self._rw = root, host_root, rw
        self._binds = list(binds)
        self._env = dict(env or {})
        self._cwd, self._user, self._timeout_s = cwd, user, timeout_s
        self._strict, self._memory_mib = strict_ipc, memory_mib
        self._streams = (stdin, stdout, stderr)
        self._seed, self._observe, self._trace = seed, observe, trace
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
        session = Session(self._memory_mib, self._strict, self._seed, self._observe, injector)
        try:
            return self._run(session, words)
        finally:
            self.unsupported = session.close()
            if injector is not None:
                self.injected = injector.report()

    def _run(self, session: Session, argv: list[bytes]) -> Result:
        from syscalls.boot import BootPlan
        from syscalls.objects.credentials import Credentials

        session.add_base_servers()
        console = Console(*self._streams)
        session.start_linux(console, self._trace)
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
        for name, value in self._env.items():
            if value is None:
                base.pop(name, None)
            else:
                base[name] = value
        return base

    def _root_server(self, session: Session) -> tuple[int, str]:
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
        room = session.kernel.room
        overlay = MemFs(lower=task, now_ns=session.realtime_ns, room=room, max_bytes=room.size)
        return session.add(overlay, "/"), "overlay"

    def _bind(self, session: Session, bind: Bind) -> BindMount:
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
