"""Scripts of system calls that run twice: natively in a child process, and on the VFS with a MemFs server.

A script is a list of steps: name of a call and its arguments. An argument is an int, `bytes` (a C string), or
one of the constructors of `native_calls`. Both runs answer a list of results: the value or negative errno,
and what the output buffers then hold. No engine and no kernel: the port calls the servers directly.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from struct import unpack_from
from typing import Any, NamedTuple

from linuxemu.cpu.memory import HostRam
from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_INVALID_TASK
from linuxemu.kernel import Waiter
from linuxemu.kernel.frames import FrameAllocator
from linuxemu.kernel.room import Room
from linuxemu.messages import clock
from linuxemu.servers.fs.memfs import MemFs
from syscalls.abi.errno import EFAULT, EINVAL, ENAMETOOLONG
from syscalls.abi.flags import S_IFCHR
from syscalls.abi.numbers import X86_64
from syscalls.abi.structs import Stat, Statx
from syscalls.errors import SysError
from syscalls.objects.credentials import Credentials
from syscalls.objects.device import DeviceTable
from syscalls.objects.fdtable import FdTable
from syscalls.objects.file import File
from syscalls.objects.process import ProcessTable
from syscalls.vfs.context import FsContext
from syscalls.vfs.mount import MountNamespace
from syscalls.vfs.mount import Path as VfsPath
from syscalls.vfs.rpcfs import RpcFs, file_system_of
from syscalls.vfs.virtual import VirtualFs, VirtualNode
from syscalls.vfs.walk import lookup
from tests.syscalls.jobs import Job, Jobs, invoke, named
from tests.syscalls.native_calls import BAD, Edge, In, Iov, Out, Step, Words

for _family in ("directory", "file", "mount", "stat", "xattr"):
    __import__(f"syscalls.handlers.{_family}")

__all__ = ["BAD", "Edge", "In", "Iov", "New", "Out", "Rig", "Words", "both", "entries64"]

AT_FDCWD = -100
BASE = 0x10000
SIZE = 0x80_0000
PAGE = 4096
STRICT = os.environ.get("LINUXEMU_STRICT_IPC", "") not in ("", "0")


class New(NamedTuple):
    """A step whose native result depends on the kernel's version, with the result it must have here."""

    step: Step
    result: int


class Memory:
    """Guest memory: SIZE bytes at BASE; everything else faults."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE)
        self._next = BASE

    def alloc(self, size: int) -> int:
        address = self._next
        self._next += (size + 15) & ~15
        assert self._next < BASE + SIZE // 2, "the script needs more memory"
        return address

    def edge(self, size: int) -> int:
        """Room whose end is the end of all memory."""
        return BASE + SIZE - size

    def reset(self) -> None:
        self._next = BASE

    async def read_some(self, addr: int, n: int) -> bytes:
        if n <= 0:
            return b""
        if not BASE <= addr < BASE + SIZE:
            raise SysError(EFAULT)
        return bytes(self.data[addr - BASE : addr - BASE + n])

    async def read(self, addr: int, n: int) -> bytes:
        data = await self.read_some(addr, n)
        if len(data) != n:
            raise SysError(EFAULT)
        return data

    async def write_some(self, addr: int, data: bytes) -> int:
        if not data:
            return 0
        if not BASE <= addr < BASE + SIZE:
            raise SysError(EFAULT)
        at = addr - BASE
        n = min(len(data), SIZE - at)
        self.data[at : at + n] = data[:n]
        return n

    async def write(self, addr: int, data: bytes) -> None:
        if await self.write_some(addr, data) != len(data):
            raise SysError(EFAULT)

    async def cstr(self, addr: int, limit: int) -> bytes:
        data = await self.read_some(addr, limit)
        end = data.find(b"\0")
        if end < 0:
            raise SysError(ENAMETOOLONG if len(data) == limit else EFAULT)
        return data[:end]

    async def path(self, addr: int) -> bytes:
        return await self.cstr(addr, 4096)

    async def struct(self, addr: int, kind: Any) -> Any:
        return kind.unpack(await self.read(addr, kind.SIZE))

    async def put(self, addr: int, value: Any) -> None:
        await self.write(addr, value.pack())

    async def s64(self, addr: int) -> int:
        return int.from_bytes(await self.read(addr, 8), "little", signed=True)

    async def put_u64(self, addr: int, value: int) -> None:
        await self.write(addr, value.to_bytes(8, "little"))

    async def iovec(self, addr: int, count: int) -> list[tuple[int, int]]:
        if not 0 <= count <= 1024:
            raise SysError(EINVAL)
        raw = await self.read(addr, 16 * count)
        words = [int.from_bytes(raw[i : i + 8], "little") for i in range(0, len(raw), 8)]
        vector = list(zip(words[::2], words[1::2], strict=True))
        if any(length >> 63 for _, length in vector):
            raise SysError(EINVAL)
        if any(base + length > 0x7FFF_FFFF_F000 for base, length in vector):
            raise SysError(EFAULT)
        return vector


class Port:
    """Calls servers by id, as the kernel does; with --strict-ipc through bytes."""

    root = 0  # nobody starts servers again

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.room = Room(FrameAllocator(HostRam(64 << 20), 1, lambda frames: None))
        self.task = 1

    async def call(self, dst: int, message: Any) -> Any:
        server = self._rig.servers.get(dst)
        if server is None:
            raise RpcError(ERR_INVALID_TASK)
        reply = await server.handle(self.task, _wire(message))
        return reply if reply is None else _wire(reply)

    def post(self, dst: int, message: Any) -> None:
        self._rig.run(self._rig.servers[dst].handle(self.task, _wire(message)))

    def now_ns(self) -> int:
        return 0

    def waiter(self) -> Waiter:
        return Waiter(self._rig.ready)


def _wire(message: Any) -> Any:
    return type(message).unpack(message.pack(), message.ool()) if STRICT else message


class Clock:
    """A time server: the host's time."""

    async def handle(self, src: int, message: Any) -> Any:
        import time

        assert isinstance(message, clock.Gettime)
        return clock.GettimeReply(time.time_ns())


class Peers(NamedTuple):
    """Ids of the servers."""

    time: int = 7


class Server:
    """What handlers use of LinuxServer."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.port = Port(rig)
        self.peers = Peers()
        self.namespace = MountNamespace()
        self.devices = DeviceTable()
        self.lock_waits: dict[object, object] = {}
        self.complaints: list[str] = []
        self.tasks: dict[int, Any] = {}
        self.boot_ns = 0
        self.protected_hardlinks = False

    async def clock_ns(self, clock_id: int) -> int:
        ns: int = (await self.port.call(self.peers.time, clock.Gettime(clock_id))).ns
        return ns

    def new_memfs(self) -> int:
        return self._rig.add_server(MemFs())

    def unsupported(self, what: str, *args: object) -> None:
        self.complaints.append(what)


class Rig(Jobs):
    """A Linux server's VFS on a memory file server, and one task."""

    def __init__(self, creds: Credentials | None = None, **options: Any) -> None:
        super().__init__()
        self.servers: dict[int, Any] = {7: Clock()}
        self.server: Any = Server(self)
        self.table = self.server.table_of_processes = ProcessTable(self.server, Credentials())
        self.memfs = self.add_server(MemFs(**options))
        self.fs = RpcFs(self.server.port, self.memfs, "tmpfs", self.server.namespace.new_dev())
        self.root: VfsPath = self.run(self.server.namespace.mount_root(self.fs))
        self.memory = Memory()
        self.task = self.new_task(creds)
        self.results: list[tuple[int, list[bytes]]] = []

    def add_server(self, server: Any) -> int:
        task = 10 + len(self.servers)
        server.port = self.server.port
        self.servers[task] = server
        return task

    def file_system(self, server: Any, kind: str = "tmpfs", **options: Any) -> Any:
        """Mountable file system of one more server."""
        task = self.add_server(server)
        dev = self.server.namespace.new_dev()
        return self.run(file_system_of(self.server.port, task, kind, dev, **options))

    def new_task(self, creds: Credentials | None = None) -> Any:
        t: Any = self.table.spawn(creds or Credentials(), b"test")
        t.mem = self.memory
        t.fs = FsContext(self.root, self.root)
        t.files = FdTable(t.process.rlimits)
        null = VirtualNode(VirtualFs("devtmpfs", 5, 0), S_IFCHR | 0o666, 0x103)
        for _ in range(3):
            t.files.alloc(File(null, 2))
        self.server.tasks[t.tid] = t
        return t

    # -- running -------------------------------------------------------------------------------------

    def run(self, coro: Any) -> Any:
        """Run a coroutine to its end."""
        job = self.spawn(coro)
        self.settle()
        return job.value()

    def call(self, name: str, *args: Any, t: Any = None) -> int:
        """Make a system call; the result, or negative errno."""
        return self.step(name, *args, t=t)[0]

    def start(self, name: str, *args: Any, t: Any = None) -> Job:
        """Begin a system call that may sleep."""
        self.memory.reset()
        placed, _ = self._place(args)
        return self.spawn(invoke(name, t or self.task, placed))

    def step(self, name: str, *args: Any, t: Any = None) -> tuple[int, list[bytes]]:
        """Make a system call: result or negative errno, and the output buffers."""
        self.memory.reset()
        placed, outs = self._place(args)
        try:
            result = self.run(invoke(name, t or self.task, placed)) or 0
        except SysError as error:
            result = -error.errno
        data = self.memory.data
        return result, [bytes(data[at - BASE : at - BASE + size]) for at, size in outs]

    def _place(self, args: tuple[Any, ...]) -> tuple[list[int], list[tuple[int, int]]]:
        outs: list[tuple[int, int]] = []
        return [self._argument(arg, outs) for arg in args], outs

    def _argument(self, arg: Any, outs: list[tuple[int, int]]) -> int:
        memory = self.memory
        if isinstance(arg, int):
            return arg
        if isinstance(arg, bytes):
            arg = In(arg + b"\0")
        if isinstance(arg, Iov):
            words = [word for part, length in arg.parts for word in (self._argument(part, outs), length)]
            arg = In(b"".join((word & (1 << 64) - 1).to_bytes(8, "little") for word in words))
        if isinstance(arg, Edge):
            at = memory.edge(len(arg.data))
        else:
            at = memory.alloc(len(arg.data) if not isinstance(arg, Out) else arg.size)
        data = bytes(arg.size) if isinstance(arg, Out) else arg.data
        memory.data[at - BASE : at - BASE + len(data)] = data
        if isinstance(arg, (Out, Words)):
            outs.append((at, len(data)))
        return at

    def place(self, path: bytes, t: Any = None, follow: bool = True) -> VfsPath:
        """What a path names."""
        found: VfsPath = self.run(lookup(t or self.task, AT_FDCWD, path, follow))
        return found


_RUNNER = Path(__file__).with_name("native_calls.py")


def native(steps: list[Any], uid: int | None = None) -> list[tuple[int, list[bytes]]]:
    """Run a script on the host, in a directory of its own, as another user if `uid` is given.

    The directory is on a tmpfs if there is one: that is what the other side is like.
    """
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as directory:
        return _native(steps, directory, uid)


def _native(steps: list[Any], directory: str, uid: int | None) -> list[tuple[int, list[bytes]]]:
    os.chmod(directory, 0o755)
    if uid is not None:
        os.chown(directory, uid, uid)
    done = subprocess.run(
        [sys.executable, "-I", str(_RUNNER), directory, str(-1 if uid is None else uid)],
        input=pickle.dumps([*(tuple(map(_plain, step)) for step in steps), ("numbers", X86_64)]),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: list[tuple[int, list[bytes]]] = pickle.loads(done.stdout)
    return found


def _plain(arg: Any) -> Any:
    """An argument as plain tuples: the runner is another module in its own process."""
    if isinstance(arg, Iov):
        return ("iov", [(_plain(part), length) for part, length in arg.parts])
    if isinstance(arg, Out):
        return ("out", arg.size)
    if isinstance(arg, (In, Edge, Words)):
        return (type(arg).__name__.lower(), arg.data)
    return arg


def both(steps: list[Any], uid: int | None = None) -> Rig:
    """Run a script both ways and compare; returns the rig, with the results in `results`.

    Args:
        steps: the script. It starts in an empty directory that is its current one. A step wrapped in `New`
            depends on the version of the host's kernel: it has to have the stated result here.
        uid: run as this user and group instead (needs root).
    """
    plain = [step.step if isinstance(step, New) else step for step in steps]
    expected = native(plain, uid)
    user = os.getuid() if uid is None else uid
    group = os.getgid() if uid is None else uid
    groups = tuple(os.getgroups()) if uid is None else ()
    rig = Rig(Credentials.user(user, group, groups))
    root = Rig.new_task(rig)
    rig.call("mkdir", b"/work", 0o755, t=root)
    rig.call("chown", b"/work", user, group, t=root)
    assert rig.call("chdir", b"/work") == 0
    for step, (want, want_outs) in zip(steps, expected, strict=True):
        if isinstance(step, New):
            have, have_outs = rig.step(*step.step)
            _check(step.step, named(have), named(step.result))
        else:
            have, have_outs = rig.step(*step)
            _check(step, named(have), named(want))
            _check(step, _comparable(step[0], have_outs), _comparable(step[0], want_outs))
        rig.results.append((have, have_outs))
    return rig


def _check(step: Step, have: Any, want: Any) -> None:
    assert have == want, f"{step}: {have!r} instead of {want!r}"


def _comparable(name: str, outs: list[bytes]) -> Any:
    """What the output of a call has in common on every host."""
    if not outs:
        return None
    if name in ("stat", "lstat", "fstat", "newfstatat"):
        stat = Stat.unpack(outs[0])
        size = 0 if stat.st_mode >> 12 == 4 else stat.st_size
        return stat.st_mode, stat.st_nlink, stat.st_uid, stat.st_gid, stat.st_rdev, size
    if name == "statx":
        statx = Statx.unpack(outs[0])
        return statx.stx_mode, statx.stx_nlink, statx.stx_uid, statx.stx_gid, statx.stx_mask & 0x73F
    if name == "getdents64":
        return sorted(entry[2:] for entry in entries64(outs[0]))
    return None if name in ("getdents", "statfs", "fstatfs", "getcwd") else outs


def entries64(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Inode number, position, type and name of each getdents64 record."""
    found = []
    at = 0
    while at + 19 <= len(data):
        ino, position, length, kind = unpack_from("<QqHB", data, at)
        if not length:
            break
        found.append((ino, position, kind, data[at + 19 : at + length].partition(b"\0")[0]))
        at += length
    return found
