"""The report of what programs asked for in vain: which calls, by whom, what they saw, how they went on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from linuxemu.trace.call import Call, NotResident
from linuxemu.trace.tracer import Tracer
from syscalls.abi.errno import ENOSYS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from linuxemu.messages import TrapFrame
    from syscalls.objects.process import Process
    from syscalls.objects.task import Task
    from syscalls.registry import Invoke


class Site(NamedTuple):
    """Where a program made a call.

    Args:
        address: of the instruction behind the `syscall`.
        module: path of the file that it is in, empty if it is in none.
        symbol: "function+0x12", and the line of its source if that is known; empty without symbols.
    """

    address: int
    module: str
    symbol: str

    def __str__(self) -> str:
        where = f"{self.module}, {self.address:#x}" if self.module else f"{self.address:#x}"
        return f"{self.symbol} ({where})" if self.symbol else where


class Request(NamedTuple):
    """What makes two requests one entry of the report."""

    number: int
    what: str
    text: str
    result: str
    comm: str
    site: Site


class Entry:
    """One entry: a request, how often it came, and what became of those who made it.

    Args:
        request: what was asked.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.count = 0
        self.pids: dict[int, Process] = {}
        self.carried_on = 0
        """Processes that went on and ended well, or have not ended."""
        self.ends: dict[str, int] = {}
        """How the others ended -> how many."""


class Report:
    """Everything that was asked for in vain during a run."""

    def __init__(self) -> None:
        self._entries: dict[Request, Entry] = {}
        self._since: dict[Process, dict[Request, int]] = {}
        self._calls: dict[Process, int] = {}

    def add(self, process: Process, request: Request) -> None:
        """A process has made a request."""
        entry = self._entries.get(request)
        if entry is None:
            entry = self._entries[request] = Entry(request)
        entry.count += 1
        entry.pids[process.pid] = process
        self._since.setdefault(process, {})[request] = self._calls.get(process, 0)

    def called(self, process: Process) -> None:
        """A process makes a system call."""
        if process in self._since:
            self._calls[process] = self._calls.get(process, 0) + 1

    def ended(self, process: Process, how: str) -> None:
        """A process is gone.

        Args:
            process: which one.
            how: "" if it exited with 0, else words.
        """
        calls = self._calls.pop(process, 0)
        for request, then in self._since.pop(process, {}).items():
            entry = self._entries[request]
            if not how:
                entry.carried_on += 1
                continue
            after = calls - then
            text = f"{how} after {after} more {'call' if after == 1 else 'calls'}"
            entry.ends[text] = entry.ends.get(text, 0) + 1

    def finish(self) -> None:
        """The run is over: who has not ended carried on."""
        for process in list(self._since):
            self.ended(process, "")

    def entries(self) -> list[Entry]:
        """The entries, the most frequent first."""

        def order(entry: Entry) -> tuple[int, int, str]:
            return -entry.count, entry.request.number, entry.request.text

        return sorted(self._entries.values(), key=order)


class ReportTracer(Tracer):
    """Watches every call but looks at those alone that ask for what is not there.

    Args:
        report: where they go.
        site: finds out where a call comes from.
        options: as of `Tracer`.
    """

    def __init__(
        self, report: Report, site: Callable[[Task, TrapFrame], Awaitable[Site]], **options: Any
    ) -> None:
        super().__init__(**options)
        self.report = report
        self._site = site

    def watch(self, number: int, invoke: Invoke) -> Invoke:
        """See `syscalls.objects.tracing.Tracer`."""
        plan, report = self._plans.of(number), self.report

        async def watched(t: Task, frame: TrapFrame) -> int | None:
            if t.tracer is not self:
                return await invoke(t, frame)
            process = t.process
            report.called(process)
            call = self._current[t] = Call(t, plan, frame, self._style)
            try:
                call.result = result = await self._serve(call, invoke(t, frame))
            finally:
                self._current.pop(t, None)
            if result == -ENOSYS and not call.unsupported:
                call.unsupported.append(plan.name)
            if call.unsupported:
                await self._record(call)
            return result

        return watched

    async def _record(self, call: Call) -> None:
        t = call.t
        parts = await self._shown(call, call.plan.entry) + await self._shown(call, call.plan.exit)
        text = f"{call.plan.name}({', '.join(parts)})"
        comm = t.comm.decode(errors="replace")
        site = await self._site(t, call.frame)
        for what in call.unsupported:
            self.report.add(t.process, Request(call.plan.number, what, text, call.result_text(), comm, site))

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
        how = f"killed by signal {signo}" if signo else f"exited with {code}" if code else ""
        self.report.ended(process, how)


def report_lines(entries: Iterable[Entry]) -> list[str]:
    """The report as text."""
    entries = list(entries)
    if not entries:
        return ["nothing was asked for that is not supported"]
    total = sum(entry.count for entry in entries)
    kinds = f"{len(entries)} {'kind' if len(entries) == 1 else 'kinds'} of requests"
    lines = [f"{kinds}, {total} in all, are not supported:"]
    for entry in entries:
        request = entry.request
        extra = "" if request.what.partition(":")[0] == request.text.partition("(")[0] == request.what else request.what
        lines += ["", f"{entry.count:7}  {request.text} = {request.result}"]
        lines += [f"         missing: {extra}"] if extra else []
        lines.append(f"         number {request.number}, by {who(entry)}, at {request.site}")
        lines.append(f"         then {outcome(entry)}")
    return lines


def who(entry: Entry) -> str:
    """The processes of an entry."""
    pids = list(entry.pids)
    shown = ", ".join(map(str, pids[:5])) + (f" and {len(pids) - 5} more" if len(pids) > 5 else "")
    return f"{entry.request.comm} (pid {shown})"


def outcome(entry: Entry) -> str:
    """What became of the processes of an entry."""
    parts = []
    if entry.carried_on:
        many = f" ({entry.carried_on} processes)" if entry.ends and entry.carried_on > 1 else ""
        parts.append(f"carried on{many}")
    parts += [text if times == 1 else f"{text} ({times} times)" for text, times in entry.ends.items()]
    return "; ".join(parts) or "is at it still"


def report_json(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The report as objects, one per entry."""
    return [
        {
            "number": entry.request.number,
            "name": entry.request.text.partition("(")[0],
            "missing": entry.request.what,
            "call": entry.request.text,
            "result": entry.request.result,
            "count": entry.count,
            "comm": entry.request.comm,
            "pids": list(entry.pids),
            "site": entry.request.site._asdict(),
            "carried_on": entry.carried_on,
            "ends": entry.ends,
        }
        for entry in entries
    ]
