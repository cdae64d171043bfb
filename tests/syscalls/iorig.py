"""A Linux server without a machine: real tasks, files and wait queues, a virtual clock, a bytearray.

`Rig.run` drives one coroutine to its end and fails if everybody sleeps for ever; `Rig.spawn` starts another
one beside it. Sleeps end only through wait queues, signals and deadlines, as in the real kernel.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from linuxemu.cpu.memory import HostRam
from linuxemu.kernel import Waiter
from linuxemu.kernel.frames import FrameAllocator
from linuxemu.kernel.room import Room
from syscalls.abi.errno import EFAULT
from syscalls.abi.flags import AT_FDCWD, O_DIRECTORY
from syscalls.errors import SysError
from syscalls.objects.credentials import Credentials
from syscalls.objects.device import DeviceTable
from syscalls.objects.fdtable import FdTable
from syscalls.objects.ipcns import IpcNamespace
from syscalls.objects.mqueue import QueueLimits
from syscalls.objects.process import ProcessTable
from syscalls.registry import TABLE
from syscalls.vfs.context import FsContext
from syscalls.vfs.mount import MountNamespace, Path
from syscalls.vfs.open import open_path
from syscalls.vfs.virtual import VirtualDirectory, VirtualFs
from tests.syscalls.jobs import Job, Jobs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from syscalls.objects.vma import Vma

BASE = 0x10000
SIZE = 0x40000
UNMAPPED = 0x10


class Memory:
    """Guest memory: SIZE bytes at BASE, everything else faults."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE)
        self._next = BASE

    def alloc(self, data: bytes | int) -> int:
        """Room for these bytes, or that many zeros."""
        raw = bytes(data)
        address = self._next
        self._next += (len(raw) + 15) & ~15
        self.data[address - BASE : address - BASE + len(raw)] = raw
        return address

    def _at(self, addr: int, n: int) -> int:
        if not BASE <= addr <= BASE + SIZE - n:
            raise SysError(EFAULT)
        return addr - BASE

    def get(self, addr: int, n: int) -> bytes:
        at = self._at(addr, n)
        return bytes(self.data[at : at + n])

    async def read(self, addr: int, n: int) -> bytes:
        return self.get(addr, n)

    async def read_some(self, addr: int, n: int) -> bytes:
        at = self._at(addr, 0)
        return bytes(self.data[at : at + n])

    async def write(self, addr: int, data: bytes) -> None:
        at = self._at(addr, len(data))
        self.data[at : at + len(data)] = data

    async def struct(self, addr: int, kind: Any) -> Any:
        return kind.unpack(self.get(addr, kind.SIZE))

    async def put(self, addr: int, value: Any) -> None:
        await self.write(addr, value.pack())

    async def u32(self, addr: int) -> int:
        return int.from_bytes(self.get(addr, 4), "little")

    async def u64(self, addr: int) -> int:
        return int.from_bytes(self.get(addr, 8), "little")

    async def put_u32(self, addr: int, value: int) -> None:
        await self.write(addr, struct.pack("<I", value & 0xFFFF_FFFF))

    async def put_u64(self, addr: int, value: int) -> None:
        await self.write(addr, struct.pack("<Q", value))


class Timer:
    """A pending `call_at`."""

    def __init__(self, at: int, callback: Callable[[], object]) -> None:
        self.at = at
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Port:
    """What the server sees of the kernel."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.room = Room(FrameAllocator(HostRam(64 << 20), 1, lambda frames: None))

    def now_ns(self) -> int:
        return self._rig.now

    def call_at(self, deadline_ns: int, callback: Callable[[], object]) -> Timer:
        timer = Timer(deadline_ns, callback)
        self._rig.timers.append(timer)
        return timer

    def waiter(self) -> Waiter:
        return Waiter(self._rig.ready)

    def spawn(self, coro: Coroutine[Any, Any, Any]) -> Job:
        return self._rig.spawn(coro)

    async def call(self, dst: int, message: Any) -> Any:
        self._rig.messages.append(message)
        answer = self._rig.answer
        assert answer is not None, f"nobody answers {message}"
        return answer(message)


class Peers:
    """Ids of the servers; the rig answers for all of them."""

    console = 1
    entropy = 2
    fs = 3
    time = 4
    vm = 5


class Server:
    """The attributes of LinuxServer that files use."""

    def __init__(self, rig: Rig) -> None:
        self.port = Port(rig)
        self.peers = Peers()
        self.devices = DeviceTable()
        self.complaints: list[str] = []
        self.console: Any = None
        self.namespace = MountNamespace()
        self.queue_limits = QueueLimits()
        self.hostname = b"rig"
        self.domainname = b"(none)"
        self.protected_hardlinks = False
        self.ipc = IpcNamespace(1 << 30)
        self._rig = rig

    async def clock_ns(self, clock: int) -> int:
        """CLOCK_REALTIME began a billion seconds before the others."""
        return self._rig.now + (0 if clock else 1_000_000_000 * 1_000_000_000)

    async def memory_pages(self) -> tuple[int, int]:
        return 262144, 200000

    def cached_frames(self) -> int:
        return 1000

    def unsupported(self, what: str, *args: object) -> None:
        self.complaints.append(what)


class Space:
    """Page tables."""

    leaves = (1, 2)

    def entries(self, start: int, end: int) -> list[tuple[int, int]]:
        """Half of the pages are resident."""
        return [(page, 0) for page in range(start, end, 8192)]


class Mm:
    """An address space with what /proc shows of it."""

    def __init__(self, *vmas: Vma) -> None:
        self.vmas = list(vmas)
        self.total_vm = sum(vma.end - vma.start for vma in vmas) >> 12
        self.start_code, self.end_code = 0x400000, 0x402000
        self.start_data, self.end_data, self.brk_start = 0x403000, 0x404000, 0x500000
        self.start_stack = 0x7FFFFFF000
        self.arg_start = self.arg_end = self.env_start = self.env_end = 0
        self.auxv = bytes(16)
        self.space = Space()

    def rss_pages(self) -> int:
        return self.total_vm // 2


class Rig(Jobs):
    """The whole of it. `answer(message)` plays every server."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000_000
        self.timers: list[Timer] = []
        self.messages: list[Any] = []
        self.answer: Callable[[Any], Any] | None = None
        self.root: Any = None
        self.server = Server(self)
        server: Any = self.server
        self.table = ProcessTable(server, Credentials())

    def task(self, creds: Credentials | None = None) -> Any:
        """A process of its own, leader of a session."""
        return self._equip(self.table.spawn(creds or Credentials(), b"test"))

    def fork(self, t: Any) -> Any:
        """A child with its own descriptors (none open)."""
        return self._equip(self.table.fork(t))

    def _equip(self, t: Any) -> Any:
        t.files = FdTable(t.process.rlimits)
        if self.root is not None:
            t.fs = FsContext(self.root, self.root)
        t.mem = Memory()
        t.mm = Mm()
        return t

    def mount_system(self) -> None:
        """A root directory with proc and sys mounted, for tasks made from then on."""
        from syscalls.fs.procfs import ProcFs
        from syscalls.fs.sysfs import SysFs

        server: Any = self.server
        root = VirtualFs("rootfs", 20, 0)
        root.top = VirtualDirectory(root)
        for name in (b"proc", b"sys"):
            root.top.entries[name] = VirtualDirectory(root)
        namespace = server.namespace
        self.root = self.run(namespace.mount_root(root))
        for name, fs in ((b"proc", ProcFs(server, self.table, 21)), (b"sys", SysFs(server, 22))):
            dentry = self.root.dentry.child(name, root.top.entries[name])
            self.run(namespace.mount(fs, Path(self.root.mount, dentry), 0, name))

    def read(self, t: Any, path: bytes) -> bytes:
        """Open a file by name, read it to its end and close it."""

        async def whole() -> bytes:
            file = await open_path(t, AT_FDCWD, path, 0, 0)
            parts = []
            while data := await file.read(t, 1000):
                parts.append(data)
            await file.put()
            return b"".join(parts)

        found: bytes = self.run(whole())
        return found

    def list(self, t: Any, path: bytes) -> dict[bytes, int]:
        """Names and inode numbers in a directory, without the dots."""

        async def whole() -> dict[bytes, int]:
            directory = await open_path(t, AT_FDCWD, path, O_DIRECTORY, 0)
            found: dict[bytes, int] = {}

            def pack(ino: int, cookie: int, kind: int, name: bytes) -> bytes:
                found[name] = ino
                return bytes(24)

            while await directory.getdents(t, 4096, pack):
                pass
            await directory.put()
            return found

        names: dict[bytes, int] = self.run(whole())
        return {name: ino for name, ino in names.items() if name not in (b".", b"..")}

    def advance(self, ns: int) -> None:
        """Let time pass, with what becomes due meanwhile."""
        end = self.now + ns
        self.settle()
        while True:
            due = [x for x in self.timers if x.callback is not None and x.at <= end]
            if not due:
                break
            self._fire(min(due, key=lambda x: x.at))
        self.now = end
        self.settle()

    def _fire(self, timer: Timer) -> None:
        self.timers.remove(timer)
        self.now = max(self.now, timer.at)
        if timer.callback is not None:
            timer.callback()
        self.settle()

    def run(self, coro: Awaitable[Any]) -> Any:
        """Run a coroutine to its end; time passes when everybody sleeps."""

        async def wrap() -> Any:
            return await coro

        job = self.spawn(wrap())
        self.settle()
        while not job.done:
            self.timers = [x for x in self.timers if x.callback is not None]
            assert self.timers, "everybody sleeps for ever"
            self._fire(min(self.timers, key=lambda x: x.at))
        return job.value()

    def call(self, t: Any, name: str, *args: int) -> Any:
        """Make a system call."""
        return self.run(self.handler(name)(t, *args))

    def start(self, t: Any, name: str, *args: int) -> Job:
        """Begin a system call that may sleep."""
        return self.spawn(self.handler(name)(t, *args))

    @staticmethod
    def handler(name: str) -> Callable[..., Any]:
        """The handler of a system call, by its Linux name."""
        from syscalls.abi.numbers import X86_64

        return TABLE[X86_64[name]].handler
