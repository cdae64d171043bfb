"""The report of what programs asked for in vain: which calls, by whom, what they saw, how they went on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from linuxemu.trace.jsonlog import place_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linuxemu.trace.stack import Place
    from syscalls.objects.process import Process

MOST_KINDS = 1000
"""Entries that a report has at most: what asks for ever new things shall not fill the memory."""
MOST_TEXTS = 8
"""Different arguments from one place that have entries of their own."""
_MOST_PIDS = 8
_ADDRESS = re.compile(r"\b0x[0-9a-f]{5,16}\b")


class Request(NamedTuple):
    """Something that is not supported, as a program asked for it.

    Args:
        number: of the system call.
        name: of the system call.
        what: what of it is missing: the name, or more exactly "ioctl: FS_IOC_GETFLAGS".
        text: the call with its arguments.
        result: what the program saw.
        comm: the name of the program.
        site: where in the program the call was made.
    """

    number: int
    name: str
    what: str
    text: str
    result: str
    comm: str
    site: Place


class End:
    """How some of the processes of an entry ended, with the number of calls that they made in between."""

    def __init__(self) -> None:
        self.times = self.most = 0
        self.fewest: int | None = None

    def add(self, calls: int) -> None:
        """One more."""
        self.times += 1
        self.fewest = calls if self.fewest is None else min(self.fewest, calls)
        self.most = max(self.most, calls)

    def __str__(self) -> str:
        if self.fewest != self.most:
            return f"after {self.fewest} to {self.most} more calls ({self.times} times)"
        text = f"after {self.most} more call{'' if self.most == 1 else 's'}"
        return text if self.times == 1 else f"{text} ({self.times} times)"


class Entry:
    """One entry: a request, how often it came, and what became of those who made it.

    Args:
        request: what was asked, the first time.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.count = 0
        self.pids: list[int] = []
        """The first processes that made it."""
        self.processes = 0
        self.carried_on = 0
        """Processes that ended well, or went on to run another program."""
        self.ends: dict[str, End] = {}
        """How the others ended: "exited with 1", "killed by SIGABRT", "had not ended"."""

    def outcome(self) -> str:
        """What became of the processes, in words."""
        parts = [f"{how} {end}" for how, end in self.ends.items()]
        if self.carried_on:
            parts.insert(0, f"carried on ({self.carried_on} processes)" if self.ends else "carried on")
        return "; ".join(parts)

    def who(self) -> str:
        """The program and its processes, in words."""
        pids = ", ".join(map(str, self.pids))
        more = self.processes - len(self.pids)
        return f"{self.request.comm} (pid {pids}{f' and {more} more' if more else ''})"


class Report:
    """Everything that was asked for in vain during a run."""

    def __init__(self) -> None:
        self._entries: dict[tuple[object, ...], Entry] = {}
        self._texts: dict[tuple[object, ...], int] = {}
        self._since: dict[Process, dict[Entry, int]] = {}
        self._calls: dict[Process, int] = {}
        self.left_out = 0
        """Requests of kinds that there was no room for."""

    def add(self, process: Process, request: Request) -> None:
        """A process has made a request."""
        entry = self._entry(request)
        if entry is None:
            self.left_out += 1
            return
        entry.count += 1
        since = self._since.setdefault(process, {})
        if entry not in since:
            entry.processes += 1
            if len(entry.pids) < _MOST_PIDS:
                entry.pids.append(process.pid)
        since[entry] = self._calls.setdefault(process, 0)

    def _entry(self, request: Request) -> Entry | None:
        """The entry of a request; where only addresses differ it is the same."""
        place = request.number, request.what, request.result, request.comm, request.site[:6]
        key = (*place, _ADDRESS.sub("", request.text))
        entry = self._entries.get(key)
        if entry is None and self._texts.get(place, 0) >= MOST_TEXTS:
            request = request._replace(text=f"{request.name}(...)")
            key = (*place, "")
            entry = self._entries.get(key)
        if entry is None and len(self._entries) < MOST_KINDS:
            entry = self._entries[key] = Entry(request)
            self._texts[place] = self._texts.get(place, 0) + 1
        return entry

    def called(self, process: Process) -> None:
        """A process makes a system call."""
        if process in self._calls:
            self._calls[process] += 1

    def ended(self, process: Process, how: str) -> None:
        """A process is gone, or runs another program.

        Args:
            process: which one.
            how: "" if all went well, else words.
        """
        calls = self._calls.pop(process, 0)
        for entry, then in self._since.pop(process, {}).items():
            if how:
                entry.ends.setdefault(how, End()).add(calls - then)
            else:
                entry.carried_on += 1

    def finish(self) -> None:
        """The run is over."""
        for process in list(self._since):
            self.ended(process, "had not ended")

    def entries(self) -> list[Entry]:
        """The entries, the most frequent first."""

        def order(entry: Entry) -> tuple[int, int, str]:
            return -entry.count, entry.request.number, entry.request.text

        return sorted(self._entries.values(), key=order)


def report_lines(report: Report) -> Iterator[str]:
    """The report as text."""
    entries = report.entries()
    if not entries:
        yield "Nothing was asked for that is not supported."
        return
    total = sum(entry.count for entry in entries) + report.left_out
    yield f"Not supported: {_many(len(entries), 'kind')} of requests, made {_many(total, 'time')}."
    for entry in entries:
        request = entry.request
        yield ""
        yield f"{entry.count:5} x {request.text} = {request.result}"
        if request.what != request.name:
            yield f"        missing  {request.what}"
        yield f"        by       {entry.who()}"
        yield f"        at       {str(request.site).removeprefix(' > ')}"
        yield f"        then     {entry.outcome()}"
    if report.left_out:
        yield ""
        yield f"{report.left_out:5} x more, of other kinds"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def report_objects(report: Report) -> Iterator[dict[str, Any]]:
    """The report as objects, one per entry; docs/trace.md describes their fields."""
    for entry in report.entries():
        request = entry.request
        yield {
            "type": "unsupported",
            "number": request.number,
            "name": request.name,
            "missing": request.what,
            "call": request.text,
            "result": request.result,
            "count": entry.count,
            "comm": request.comm,
            "pids": entry.pids,
            "processes": entry.processes,
            "site": place_fields(request.site),
            "carried_on": entry.carried_on,
            "ends": [
                {"how": how, "times": end.times, "fewest_calls": end.fewest, "most_calls": end.most}
                for how, end in entry.ends.items()
            ],
        }
    if report.left_out:
        yield {"type": "more", "count": report.left_out}
