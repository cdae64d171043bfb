"""Logs that write no line per call: nothing at all, and the table of counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call
    from linuxemu.trace.output import Output
    from linuxemu.trace.summary import Summary
    from linuxemu.trace.tracer import Log
    from syscalls.objects.siginfo import SigInfo
    from syscalls.objects.task import Task


class NoLog:
    """Writes nothing."""

    def enter(self, call: Call, parts: list[str]) -> None:
        """See `linuxemu.trace.tracer.Log`."""

    def blocks(self, call: Call) -> None:
        """See `linuxemu.trace.tracer.Log`."""

    def leave(self, call: Call, parts: list[str]) -> None:
        """See `linuxemu.trace.tracer.Log`."""

    def lost(self, call: Call) -> None:
        """See `linuxemu.trace.tracer.Log`."""

    def attached(self, t: Task, child: Task) -> None:
        """See `linuxemu.trace.tracer.Log`."""

    def signaled(self, t: Task, info: SigInfo) -> None:
        """See `linuxemu.trace.tracer.Log`."""

    def stopped(self, t: Task, signo: int) -> None:
        """See `linuxemu.trace.tracer.Log`."""

    def superseded(self, t: Task, tid: int) -> None:
        """See `linuxemu.trace.tracer.Log`."""

    def exited(self, t: Task, status: int) -> None:
        """See `linuxemu.trace.tracer.Log`."""

    def close(self) -> None:
        """See `linuxemu.trace.tracer.Log`."""


class SummaryLog:
    """Counts calls, and writes the table when everything is over (-c, -C).

    Args:
        then: the log that hears of everything, too.
        summary: where calls are counted.
        out: where the table goes.
        shows: whether a call that has ended counts; None for every one.
        wall_clock: the time that a call waited counts, too (-w).
    """

    def __init__(
        self, then: Log, summary: Summary, out: Output, shows: Callable[[Call], bool] | None, wall_clock: bool
    ) -> None:
        self._then = then
        self._summary = summary
        self._out = out
        self._shows = shows
        self._wall_clock = wall_clock
        self.enter, self.blocks = then.enter, then.blocks
        self.signaled, self.stopped, self.superseded = then.signaled, then.stopped, then.superseded
        self.lost, self.attached, self.exited = then.lost, then.attached, then.exited

    def leave(self, call: Call, parts: list[str]) -> None:
        """See `linuxemu.trace.tracer.Log`."""
        self._then.leave(call, parts)
        if self._shows is None or self._shows(call):
            ns = call.end_ns - call.begin_ns if self._wall_clock or not call.busy_ns else call.busy_ns
            self._summary.add(call.plan.name, ns, call.failed)

    def close(self) -> None:
        """See `linuxemu.trace.tracer.Log`."""
        self._out.write(0, "".join(f"{line}\n" for line in self._summary.lines()))
        self._then.close()
