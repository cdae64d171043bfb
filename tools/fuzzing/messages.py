"""Target `messages`: bytes that may be messages, and messages to every server."""

from __future__ import annotations

import inspect
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from linuxemu import messages
from linuxemu.errors import RpcError
from linuxemu.messages import fsx
from tools.fuzzing.mutate import decoded, encoded, mutated
from tools.fuzzing.target import Case, Failure, Target, failure_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from linuxemu.kernel import Kernel
    from linuxemu.kernel.task import Task
    from linuxemu.messages import Message
    from linuxemu.session import Session

_MEMORY_MIB = 32
_PER_CASE = 120
_BYTES_PER_CASE = 30
_NUMBERS = (
    0, 1, 2, 3, 4, 5, 8, 16, 255, 4095, 4096, 65536, 1 << 20, 1 << 31, (1 << 31) - 1, -1, -2, 1 << 40, 1 << 63,
    (1 << 63) - 1, (1 << 64) - 1, -(1 << 63),
)  # fmt: skip
_NAMES = (
    b"a", b"b", b"c", b"file", b"dir", b"a", b"b", b"", b".", b"..", b"/", b"a/b", b"\0", b"\xff", b"a" * 255,
    b"a" * 256, b"x" * 5000,
)  # fmt: skip
_KEPT = 8
"""Answered numbers of one kind that are remembered."""
_FILE_SERVERS = 4
"""The last servers of a system, which get half of the messages."""
_SAME = {"parent": "ino", "newparent": "ino"}
"""Fields of requests that mean what replies call otherwise."""

Given: TypeAlias = dict[str, list[int]]


class Messages(Target):
    """Random messages."""

    name = "messages"
    limit_s = 30.0
    peak_mib = _MEMORY_MIB + 64.0

    def open(self) -> None:
        """Make the directories of the file servers."""
        self._folder = tempfile.TemporaryDirectory(prefix="linuxemu-fuzz-")
        base = Path(self._folder.name)
        for name in ("read", "write"):
            (base / name / "dir").mkdir(parents=True)
            (base / name / "file").write_text("text\n" * 2000)
        self.base = base
        self.classes = _classes()
        self.failures: list[Failure] = []

    def close(self) -> None:
        """Remove them."""
        self._folder.cleanup()

    def cases(self, random: Random, count: int) -> Iterator[Case]:
        """Systems that get messages one after the other, and packed messages that are damaged."""
        while count > 0:
            yield {"seed": random.getrandbits(32), "first": 0, "count": _PER_CASE}
            count -= _PER_CASE
            for _ in range(_BYTES_PER_CASE):
                yield {"data": encoded(self._packed(random))}
                count -= 1

    def _packed(self, random: Random) -> bytes:
        message = any_message(random, random.choice(self.classes), {})
        data = message.pack(1, 0x1000)
        return mutated(random, data, [data], 32)

    def run(self, case: Case) -> int:
        """Unpack one, or send several."""
        if "data" in case:
            _unpack(decoded(case["data"]))
            return 1
        return self._send(case)

    def _send(self, case: Case) -> int:
        """Boot, send all of them, let everything settle, and shut down."""
        from random import Random

        session = boot(self.base)
        kernel = session.kernel
        try:
            servers = [task for task in kernel.tasks.values() if task.server is not None]
            random = Random(case["seed"])
            sender = _Sender(kernel)
            for task in servers:
                if task.server is not None and fsx.Root in task.server.table:
                    sender.send(task.tid, fsx.Root())
            for number in range(case["first"] + case["count"]):
                drawn = Random(random.getrandbits(64))
                if number >= case["first"]:
                    to = drawn.choice(servers[-_FILE_SERVERS:] if drawn.random() < 0.5 else servers)
                    self._send_one(drawn, sender, to)
            kernel.timers.add(session.now_ns() + 10**9, kernel.stop)
            kernel.run()
        finally:
            session.close()
            self.failures += [failure_of(error, "in a server") for error in kernel.errors]
        return int(case["count"])

    def _send_one(self, random: Random, sender: _Sender, task: Task) -> None:
        """Mostly what the server knows, now and then anything else."""
        assert task.server is not None
        known = [kind for kind in self.classes if kind in task.server.table]
        kind = random.choice(known if random.random() < 0.9 else self.classes)
        sender.send(task.tid, any_message(random, kind, sender.given(task.tid, kind)))

    def check(self) -> Iterator[Failure]:
        """Defects that the kernel recorded."""
        found, self.failures = self.failures, []
        yield from found

    def smaller(self, case: Case) -> Iterator[Case]:
        """Fewer messages."""
        if "data" in case:
            return
        first, count = case["first"], case["count"]
        part = count // 2
        while part:
            yield {**case, "count": count - part}
            yield {**case, "first": first + part, "count": count - part}
            part //= 2


class _Sender:
    """A task that sends without waiting for one reply before the next message."""

    def __init__(self, kernel: Kernel) -> None:
        from linuxemu.kernel import Server

        self._kernel = kernel
        server = Server()
        kernel.add_server(server)
        self._port = server.port
        self._given: dict[tuple[int, str], list[int]] = {}

    def given(self, server: int, kind: type[Message]) -> Given:
        """For each field what the server has answered in fields of this name: handles, inodes, tasks."""
        return {name: self._given.get((server, _SAME.get(name, name)), []) for name, _ in kind.FIELDS}

    def send(self, server: int, message: Message) -> None:
        """Send, and let the reply come whenever it comes."""
        self._kernel.spawn(self._call(server, message))

    async def _call(self, server: int, message: Message) -> None:
        try:
            reply = await self._port.call(server, message)
        except RpcError:
            return
        for (name, _), value in zip(reply.FIELDS if reply is not None else (), reply or ()):
            if isinstance(value, int):
                kept = self._given.setdefault((server, name), [])
                kept.append(value)
                del kept[:-_KEPT]


def boot(base: Path) -> Session:
    """A session with a file server of every kind, and nobody who uses it."""
    from linuxemu.servers.fs.hostfs import HostFs
    from linuxemu.servers.fs.memfs import MemFs
    from linuxemu.session import Console, Session

    session = Session(_MEMORY_MIB, True, 1, None, None)
    session.add_base_servers()
    session.start_linux(Console(b"input", "capture", "capture"), None)
    lower = session.add(HostFs(str(base / "read"), writable=False), "lower")
    session.add(HostFs(str(base / "write"), writable=True), "/rw")
    session.add(MemFs(lower=lower, now_ns=session.realtime_ns), "/")
    session.add(MemFs(now_ns=session.realtime_ns), "tmpfs")
    return session


def _classes() -> list[type[Message]]:
    """Every message that there is."""
    found: list[type[Message]] = []
    scopes: list[Any] = [messages]
    while scopes:
        for value in vars(scopes.pop()).values():
            if not inspect.isclass(value) or value.__module__ != messages.__name__:
                continue
            if issubclass(value, messages.Message):
                if value is not messages.Message and value.NAME:
                    found.append(value)
            else:
                scopes.append(value)
    return sorted(found, key=lambda message: message.ID)


def any_message(random: Random, kind: type[Message], given: Given) -> Message:
    """A message with fields of any value that their types can have."""
    return kind(*(_value(random, kind_of_field, given.get(name, [])) for name, kind_of_field in kind.FIELDS))


def _value(random: Random, kind: str, given: list[int]) -> Any:
    base, _, suffix = kind.partition("[")
    if base == "str":
        return random.choice(_NAMES).replace(b"\0", b"").decode("utf-8", "surrogateescape")
    if base == "bytes":
        return random.choice(_NAMES) if random.random() < 0.7 else random.randbytes(random.randrange(3000))
    if suffix and base in ("uint8", "char"):
        return random.randbytes(int(suffix[:-1]))
    if suffix:
        return tuple(_value(random, base, given) for _ in range(int(suffix[:-1])))
    if base == "trap_frame":
        return messages.TrapFrame(*(_number(random, given) & (1 << 64) - 1 for _ in range(18)))
    if base == "hv_frame":
        words = [_number(random, given) & (1 << 64) - 1 for _ in range(17)]
        return messages.HvFrame._make([*words, random.randrange(256)])
    return _fitting(base, _number(random, given))


def _number(random: Random, given: list[int]) -> int:
    if given and random.random() < 0.85:
        return random.choice(given)
    if random.random() < 0.4:
        return random.randrange(20)
    return random.choice(_NUMBERS) if random.random() < 0.8 else random.getrandbits(64)


def _fitting(base: str, value: int) -> int | bool:
    """The value cut to what a type holds."""
    from linuxemu.idl.layout import BUILTINS

    kind = BUILTINS[base]
    if kind.format == "?":
        return bool(value & 1)
    bits = 8 * kind.size
    value &= (1 << bits) - 1
    return value - (1 << bits) if kind.format.islower() and value >> (bits - 1) else value


def _unpack(data: bytes) -> None:
    """As it comes from another process: a message, or a ValueError, and the same bytes again."""
    length = int.from_bytes(data[16:24], "little")
    for payload in (None, b"", b"x\0y", bytes(length % 5000)):
        try:
            message = messages.unpack(data, payload)
        except ValueError:
            continue
        again = type(message).unpack(message.pack(), message.ool())
        assert again == message, "a message becomes another on its way"
