"""The ool server: out-of-line payloads travel from the memory of one task to that of another.

The protocol is the seed's: the receiver offers one buffer (`recv`), the sender has a payload copied into it
(`send`, which waits until there is a buffer), the message then carries the buffer's address in place of the
payload, and the receiver has that checked (`verify`). What "the memory of a task" is, is a `TaskMemory`:
servers in this process have a `LocalMemory`; tasks with an address space can be put behind the same protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from linuxemu.errors import RpcError
from linuxemu.idl.codes import (
    ERR_ALREADY_EXISTS,
    ERR_INVALID_ARG,
    ERR_NOT_FOUND,
    ERR_TOO_LARGE,
    ERR_UNAVAILABLE,
)
from linuxemu.kernel import Server, WaitQueue, park, rpc
from linuxemu.messages import ool

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from linuxemu.messages import Message


class TaskMemory(Protocol):
    """Access to the memory of tasks, as the ool server needs it."""

    def read(self, task: int, addr: int, length: int) -> bytes | None:
        """`length` bytes at `addr`, or None if they cannot be read."""

    def write(self, task: int, addr: int, data: bytes) -> bool:
        """Store `data` at `addr`; False if that cannot be written."""


class LocalMemory:
    """Memory of tasks that have no address space: named pieces, each at an address of its own."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[int, int], bytearray] = {}
        self._next = 0x1000

    def reserve(self, task: int, size: int) -> int:
        """A fresh piece of `size` zero bytes in the memory of a task; returns its address."""
        addr = self._next
        self._next += max(size, 1)
        self._pieces[task, addr] = bytearray(size)
        return addr

    def put(self, task: int, data: bytes) -> int:
        """A fresh piece that holds `data`; returns its address."""
        addr = self.reserve(task, len(data))
        self._pieces[task, addr][:] = data
        return addr

    def take(self, task: int, addr: int, length: int) -> bytes:
        """Remove a piece and return its first `length` bytes."""
        return bytes(self._pieces.pop((task, addr))[:length])

    def discard(self, task: int, addr: int) -> None:
        """Forget a piece, if it is still there."""
        self._pieces.pop((task, addr), None)

    def drop(self, task: int) -> None:
        """Forget everything of a task."""
        for key in [key for key in self._pieces if key[0] == task]:
            del self._pieces[key]

    def read(self, task: int, addr: int, length: int) -> bytes | None:
        """See `TaskMemory.read`."""
        piece = self._pieces.get((task, addr))
        return None if piece is None or length > len(piece) else bytes(piece[:length])

    def write(self, task: int, addr: int, data: bytes) -> bool:
        """See `TaskMemory.write`."""
        piece = self._pieces.get((task, addr))
        if piece is None or len(data) > len(piece):
            return False
        piece[: len(data)] = data
        return True


class _Buffer(NamedTuple):
    addr: int
    size: int


class _Received(NamedTuple):
    src: int
    addr: int
    length: int


class OolServer(Server):
    """One receive buffer and one record of the last payload for each task, and the senders that wait.

    Where the seed stops or kills somebody, this one answers: an id not in use and an unreadable payload are
    errors of the sender; a payload larger than the buffer is too, and leaves the buffer registered.

    Args:
        memory: the memory of the tasks; a fresh `LocalMemory` by default.
    """

    name = "ool"
    vital = "every payload travels through it"

    def __init__(self, memory: TaskMemory | None = None) -> None:
        super().__init__()
        self.memory: TaskMemory = LocalMemory() if memory is None else memory
        self._buffers: dict[int, _Buffer] = {}
        self._received: dict[int, _Received] = {}
        self._senders: dict[int, WaitQueue] = {}

    @rpc(ool.Recv)
    async def recv(self, src: int, m: ool.Recv) -> ool.RecvReply:
        """The caller offers a buffer for the next payload."""
        if src in self._buffers:
            raise RpcError(ERR_ALREADY_EXISTS)
        self._buffers[src] = _Buffer(m.addr, m.len)
        queue = self._senders.get(src)
        if queue is not None:
            queue.wake_one()
        return ool.RecvReply()

    @rpc(ool.Send)
    async def send(self, src: int, m: ool.Send) -> ool.SendReply:
        """Copy a payload into the buffer of `dst`, waiting until it offers one."""
        self._check(m.dst)
        while m.dst not in self._buffers:
            await self._wait_for_buffer(m.dst)
            self._check(m.dst)
        data = self.memory.read(src, m.addr, m.len)
        buffer = self._buffers[m.dst]
        if data is None or m.len > buffer.size:
            self._wake_next(m.dst)
            raise RpcError(ERR_INVALID_ARG if data is None else ERR_TOO_LARGE)
        del self._buffers[m.dst]
        if not self.memory.write(m.dst, buffer.addr, data):
            raise RpcError(ERR_UNAVAILABLE)
        self._received[m.dst] = _Received(src, buffer.addr, m.len)
        return ool.SendReply(buffer.addr)

    def _check(self, task: int) -> None:
        if not self.port.exists(task):
            raise RpcError(ERR_NOT_FOUND)

    async def _wait_for_buffer(self, dst: int) -> None:
        queue = self._senders.setdefault(dst, WaitQueue())
        waiter = self.port.waiter()
        queue.add(waiter)
        try:
            await park(waiter)
        except BaseException:
            if waiter.woken:  # the sender ends just when the buffer is its turn
                self._wake_next(dst)
            raise
        finally:
            queue.discard(waiter)
            if not queue and self._senders.get(dst) is queue:
                del self._senders[dst]

    def _wake_next(self, dst: int) -> None:
        """The buffer was not used after all: the next sender may have it."""
        queue = self._senders.get(dst)
        if queue is not None:
            queue.wake_one()

    @rpc(ool.Verify)
    async def verify(self, src: int, m: ool.Verify) -> ool.VerifyReply:
        """Check what a message says of its payload against what was copied."""
        record = self._received.get(src)
        if record != _Received(m.src, m.id, m.len):
            raise RpcError(ERR_INVALID_ARG)
        del self._received[src]
        return ool.VerifyReply(m.id)

    def carry(self, src: int, dst: int, payload: bytes) -> bytes:
        """Take a payload from server to server through the whole protocol, every message as bytes.

        This is what strict IPC uses for the out-of-line field of a message. Both ends are in this process, so
        the receiver offers its buffer at the right moment and nothing has to wait.

        Raises:
            RpcError: `dst` does not exist, or takes part in another transfer.
        """
        memory = self.memory
        assert isinstance(memory, LocalMemory)
        self._check(dst)
        sent_from = memory.put(src, payload)
        buffer = memory.reserve(dst, len(payload))
        try:
            self._step(dst, ool.Recv(buffer, len(payload)))
            identity = self._step(src, ool.Send(dst, sent_from, len(payload))).id
            addr = self._step(dst, ool.Verify(src, identity, len(payload))).received_at
            return memory.take(dst, addr, len(payload))
        finally:
            memory.discard(src, sent_from)
            memory.discard(dst, buffer)

    def _step(self, src: int, message: Message) -> Any:
        # The handler itself, whatever stands in front of it for others: a late reply is none here.
        method = getattr(self, self.handlers[type(message)])
        serving: Coroutine[Any, Any, Any] = method(src, type(message).unpack(message.pack(src)))
        try:
            serving.send(None)
        except StopIteration as stop:
            return type(stop.value).unpack(stop.value.pack())
        serving.close()
        raise RpcError(ERR_UNAVAILABLE)

    def task_died(self, task: int) -> None:
        """Called by the kernel when a task has ended: who waits to send to it gets ERR_NOT_FOUND."""
        self._buffers.pop(task, None)
        self._received.pop(task, None)
        queue = self._senders.pop(task, None)
        if queue is not None:
            queue.wake_all()
        if isinstance(self.memory, LocalMemory):
            self.memory.drop(task)
