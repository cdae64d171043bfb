"""The tracer that fills a report: it looks at those calls alone that ask for what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linuxemu.trace.call import Call, NotResident
from linuxemu.trace.formats.signals import signal_name
from linuxemu.trace.report import Report, Request
from linuxemu.trace.tracer import EXECS, Tracer
from syscalls.abi.errno import ENOSYS
from syscalls.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linuxemu.messages import TrapFrame
    from linuxemu.trace.stack import Place
    from syscalls.objects.task import Task
    from syscalls.registry import Invoke


class ReportTracer(Tracer):
    """Watches every call of every task.

    Args:
        report: what it fills.
        site: finds out where a call comes from.
        options: as of `Tracer`.
    """

    def __init__(
        self, report: Report, site: Callable[[Task, TrapFrame], Awaitable[Place]], **options: Any
    ) -> None:
        super().__init__(**options)
        self.report = report
        self._site = site

    def watch(self, number: int, invoke: Invoke) -> Invoke:
        """See `syscalls.objects.tracing.Tracer`."""
        plan, report, shown = self._plans.of(number), self.report, self._shows(number)

        async def watched(t: Task, frame: TrapFrame) -> int | None:
            if t.tracer is not self:
                return await invoke(t, frame)
            process = t.process
            report.called(process)
            call = self._current[t] = Call(t, plan, frame, self._style)
            try:
                call.result = result = await self._serve(call, invoke(t, frame))
            except Interrupted as interrupted:
                call.restart = interrupted.restart
                result = None
                raise
            finally:
                self._current.pop(t, None)
            if result == -ENOSYS and not call.unsupported:
                call.unsupported.append(plan.name)
            if call.unsupported and shown:
                await self._record(call)
            if result == 0 and number in EXECS:
                report.ended(process, "")
            return result

        return watched

    async def _record(self, call: Call) -> None:
        t, plan = call.t, call.plan
        parts = await self._shown(call, plan.entry) + await self._shown(call, plan.exit)
        text = f"{plan.name}({', '.join(parts)})"
        comm = t.comm.decode("utf-8", "backslashreplace")
        site = await self._site(t, call.frame)
        for what in dict.fromkeys(call.unsupported):
            request = Request(plan.number, plan.name, what, text, call.result_text(), comm, site)
            self.report.add(t.process, request)

    async def _shown(self, call: Call, show: Callable[[Call], list[str]]) -> list[str]:
        try:
            return show(call)
        except NotResident as miss:
            return await self._texts(call, show, miss)

    def exited(self, t: Task, status: int) -> None:
        """See `syscalls.objects.tracing.Tracer`."""
        super().exited(t, status)
        process = t.process
        if process.live:
            return
        signo = status & 0x7F
        code = status >> 8 & 0xFF
        how = f"killed by {signal_name(signo)}" if signo else f"exited with {code}" if code else ""
        self.report.ended(process, how)
