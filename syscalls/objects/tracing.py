"""What a tracer of tasks is told: the kernel's side of it, as ptrace(2) is on Linux.

Who traces sets `LinuxServer.tracer` before the first program starts, and `Task.tracer` decides task by task. As under
ptrace(2), a traced task is also sent signals that it ignores: they are reported and come to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syscalls.objects.siginfo import SigInfo
    from syscalls.objects.task import Task
    from syscalls.registry import Invoke


class Tracer(Protocol):
    """Somebody who watches tasks."""

    def watch(self, number: int, invoke: Invoke) -> Invoke:
        """What serves a system call instead of its handler; asked once, when the call is first made."""

    async def started(self, t: Task, path: bytes, argv: Sequence[bytes], envp: Sequence[bytes]) -> None:
        """The first program is loaded. Whoever wants to see its task sets `t.tracer`."""

    def cloned(self, t: Task, child: Task) -> None:
        """A traced task has made another one, which is not traced unless `child.tracer` is set here."""

    def signaled(self, t: Task, info: SigInfo) -> None:
        """A traced task takes a signal, before anything comes of it."""

    def stopped(self, t: Task, signo: int) -> None:
        """A traced task stops because of a signal."""

    def superseded(self, t: Task, tid: int) -> None:
        """A traced thread other than the leader runs a new program: it gives up its tid for that of its process."""

    def exited(self, t: Task, status: int) -> None:
        """A traced task ends, with a status word of man 2 wait4."""

    def unsupported(self, t: Task, what: str) -> None:
        """A traced task asked for something that is not there, in the system call that it is in."""
