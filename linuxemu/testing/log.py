"""Every message of a system, in order, with what was answered: the log that tests look at afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from linuxemu.errors import RpcError
from linuxemu.kernel.traps import HOOK_SYSCALL
from linuxemu.messages import AbiHook, Exception_, PageFault
from linuxemu.servers.ool import OolServer
from linuxemu.testing.show import show_message, show_reply
from syscalls.abi.numbers import X86_64
from syscalls.server import LinuxServer

if TYPE_CHECKING:
    from linuxemu.kernel import Kernel
    from linuxemu.kernel.task import Service, Task
    from linuxemu.messages import Message

_TRAPS = (AbiHook, PageFault, Exception_)


class Rpc:
    """One message and its answer.

    Args:
        at_ns: when it was sent, on the kernel's clock.
        src: name of the sending task, "kernel" for traps.
        dst: name of the server.
        request: the message.
    """

    __slots__ = ("at_ns", "done_ns", "dst", "error", "first", "last", "reply", "request", "src", "tid")

    def __init__(self, at_ns: int, src: str, dst: str, request: Message) -> None:
        self.at_ns = at_ns
        self.src = src
        self.dst = dst
        self.request = request
        self.reply: Message | None = None
        """The answer; None for an error, for a one-way message, and while there is none."""
        self.error: int | None = None
        """The error word of the answer, see `linuxemu.idl.codes`."""
        self.tid = 0
        """The guest's thread whose trap it is, 0 for others."""
        self.done_ns: int | None = None
        """When it was answered; None while it is not."""
        self.first = 0
        """Its position in the log."""
        self.last = 0
        """The position of the first message after its answer."""

    @property
    def pending(self) -> bool:
        """Whether the server is still at work on it."""
        return self.done_ns is None

    @property
    def is_trap(self) -> bool:
        """Whether it is the kernel's message of a system call, a page fault or an exception."""
        return isinstance(self.request, _TRAPS)

    def __str__(self) -> str:
        answer = "..." if self.pending else show_reply(self.reply, self.error)
        return f"{self.dst}: {show_message(self.request)} -> {answer}"

    def __repr__(self) -> str:
        return f"<Rpc {self}>"


class RpcLog(Sequence[Rpc]):
    """The log; a sequence of `Rpc`. How payloads travel (namespace ool) is not in it."""

    def __init__(self) -> None:
        self._entries: list[Rpc] = []
        self.cut = False
        """The host's clock ended the run, so that how far it came is not the same every time."""
        self.muted = 0
        """While above 0 nothing is written down, because the test itself is at work, not the guest."""

    @overload
    def __getitem__(self, index: int) -> Rpc: ...
    @overload
    def __getitem__(self, index: slice) -> list[Rpc]: ...
    def __getitem__(self, index: int | slice) -> Rpc | list[Rpc]:
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Forget everything so far."""
        self._entries = []

    def during(self, entry: Rpc) -> list[Rpc]:
        """What was sent while a message was being served: for a system call, what it became.

        Others that ran meanwhile are in it too, if the call had to wait.
        """
        return self._entries[entry.first + 1 : len(self) if entry.pending else entry.last]

    def calls(self, name: str) -> list[Rpc]:
        """The traps of a system call, by its name."""
        number = X86_64[name]
        return [
            entry
            for entry in self._entries
            if isinstance(entry.request, AbiHook)
            and entry.request.type == HOOK_SYSCALL
            and entry.request.frame.rax == number
        ]

    def to(self, *servers: str) -> list[Message]:
        """The requests to servers, by name ("fs", "vm", "net", "time", "task" ...), in order; all if none is named.

        Traps are not among them: they are the kernel's messages to the Linux server.
        """
        return [
            entry.request for entry in self._entries if not entry.is_trap and (not servers or entry.dst in servers)
        ]

    def names(self, *servers: str) -> list[str]:
        """The names of these requests, such as "fs.open"."""
        return [message.NAME for message in self.to(*servers)]

    def __str__(self) -> str:
        return "\n".join(map(str, self._entries))

    def wrap(self, kernel: Kernel, task: Task, message: type, method: Service) -> Service:
        """Watch one handler of a server; for `Kernel(wrap=...)`."""
        if isinstance(task.server, OolServer):
            return method
        dst, now_ns = task.name, kernel.host.now_ns

        async def observed(src: int, request: Any) -> Any:
            if self.muted:
                return await method(src, request)
            sender = kernel.tasks.get(src)
            entry = Rpc(now_ns(), sender.name if sender is not None else "kernel", dst, request)
            if type(request) is AbiHook and isinstance(task.server, LinuxServer):
                caller = task.server.by_ktask.get(request.task)
                entry.tid = caller.tid if caller is not None else 0
            entries = self._entries
            entry.first = len(entries)
            entries.append(entry)
            try:
                entry.reply = await method(src, request)
            except RpcError as error:
                entry.error = error.code
                raise
            finally:
                entry.done_ns = now_ns()
                entry.last = len(entries)
            return entry.reply

        return observed
