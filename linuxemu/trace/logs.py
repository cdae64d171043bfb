"""Logs: what they hear of, and the one that counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.plan import NAMES

if TYPE_CHECKING:

    from linuxemu.trace.call import Call
    from linuxemu.trace.output import Output
    from linuxemu.trace.summary import Summary
    from syscalls.objects.siginfo import SigInfo
    from syscalls.objects.task import Task


class Log:
    """Who writes down what a tracer hears; this one writes nothing."""

    def enter(self, call: Call, parts: list[str]) -> None:
        """A call begins, with the texts of the arguments known so far."""

    def blocks(self, call: Call) -> None:
        """A call that has begun has to wait."""

    def leave(self, call: Call, parts: list[str]) -> None:
        """A call ends, with the texts of the remaining arguments."""

    def lost(self, call: Call) -> None:
        """A call never returns: its task is about to end."""

    def attached(self, t: Task, child: Task) -> None:
        """A traced task has made another one that is traced, too."""

    def detached(self, t: Task) -> None:
        """A task is not traced any more; the call in which that happens ends afterwards, if it is watched."""

    def signaled(self, t: Task, info: SigInfo) -> None:
        """A task takes a signal."""

    def stopped(self, t: Task, signo: int) -> None:
        """A task stops."""

    def superseded(self, t: Task, tid: int) -> None:
        """A thread becomes the leader of its process, and gets its tid, by execve."""

    def exited(self, t: Task, status: int) -> None:
        """A task has ended."""

    def close(self) -> None:
        """Everything is over."""


class SummaryLog(Log):
    """Counts calls, and writes the table when everything is over (-c, -C).

    Args:
        then: the log that hears of everything, too.
        summary: where calls are counted.
        out: where the table goes.
        wall_clock: the time that a call waited counts, too (-w).

    As with strace every call that has a name counts, whatever -e status says.
    """

    def __init__(self, then: Log, summary: Summary, out: Output, wall_clock: bool) -> None:
        self._then = then
        self._summary = summary
        self._out = out
        self._wall_clock = wall_clock
        for name in ("enter", "blocks", "lost", "attached", "detached", "signaled", "stopped", "superseded", "exited"):
            setattr(self, name, getattr(then, name))

    def leave(self, call: Call, parts: list[str]) -> None:
        """See `linuxemu.trace.logs.Log`."""
        self._then.leave(call, parts)
        if call.plan.number in NAMES:
            ns = call.end_ns - call.begin_ns if self._wall_clock or not call.busy_ns else call.busy_ns
            self._summary.add(call.plan.name, ns, call.failed)

    def close(self) -> None:
        """See `linuxemu.trace.logs.Log`."""
        self._out.write(0, "".join(f"{line}\n" for line in self._summary.lines()))
        self._then.close()
