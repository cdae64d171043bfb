"""The log as text, in the look of strace(1): one line per call, signal, stop and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from linuxemu.trace.clock import time_stamp
from linuxemu.trace.formats.pids import command
from linuxemu.trace.formats.siginfos import siginfo, signal_name
from linuxemu.trace.logs import Log
from linuxemu.trace.style import Style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from linuxemu.trace.call import Call
    from linuxemu.trace.output import Output
    from syscalls.objects.siginfo import SigInfo
    from syscalls.objects.task import Task

_CORE_DUMPED = 0x80
_NS = 1_000_000_000
_PLAIN = Style()


class Layout(NamedTuple):
    """What stands around the calls.

    Args:
        pids: "always" in front of each line, "many" while there is more than one task, "" never.
        column: where results begin, counted from the line's own text.
        clock: "" for none, "time" for the time of day, "unix" for seconds since 1970 (-t, -tt, -ttt).
        clock_digits: digits of its fraction.
        relative: digits of the time since the line before (-r), -1 for none.
        spent: digits of the time that a call took (-T), -1 for none.
        pointer: the instruction pointer stands in front (-i).
        number: the call's number stands in front (-n).
        exits: exit statuses are shown.
        attached: new tasks are announced.
        superseded: threads that become leaders by execve are shown.
    """

    pids: str = "many"
    column: int = 40
    clock: str = ""
    clock_digits: int = 0
    relative: int = -1
    spent: int = -1
    pointer: bool = False
    number: bool = False
    exits: bool = True
    attached: bool = True
    superseded: bool = True


class TextLog(Log):
    """Writes lines.

    Args:
        out: where to.
        layout: what stands around the calls.
        shows: whether a call that has ended is to be shown; None shows every one, and as soon as it begins.
        signals: numbers of the signals to show.
        realtime_ns: the clock of time stamps, since 1970.
        style: how what a signal carries is spelled.
    """

    def __init__(
        self,
        out: Output,
        layout: Layout,
        shows: Callable[[Call], bool] | None,
        signals: frozenset[int],
        realtime_ns: Callable[[], int],
        style: Style = _PLAIN,
    ) -> None:
        self._out = out
        self._layout = layout
        self._shows = shows
        self._signals = signals
        self._realtime_ns = realtime_ns
        self._style = style
        self._plain = layout == layout._replace(clock="", relative=-1, pointer=False, number=False)
        self._always = layout.pids == "always"
        self._tasks: set[int] = set()
        self._last_ns = 0
        self._numbers: dict[int, int] = {}
        """The last call of each task, under -n."""
        self._call: Call | None = None
        """The call whose line is the last one and not complete."""
        self._line = ""
        self._written = 0
        """Characters of that line that are written already."""
        self._unfinished: set[Call] = set()

    # -- calls -----------------------------------------------------------------------------------------------

    def enter(self, call: Call, parts: list[str]) -> None:
        """See `linuxemu.trace.logs.Log`."""
        if self._shows is not None:
            call.held = f"{self._leader(call.t, call)}{call.plan.name}({', '.join(parts)}"
            return
        if self._call is not None:
            self._interrupt()
        self._call = call
        self._line = f"{self._leader(call.t, call)}{call.plan.name}({', '.join(parts)}"

    def blocks(self, call: Call) -> None:
        """See `linuxemu.trace.logs.Log`: whoever watches sees what it waits in."""
        if self._call is call and self._shows is None:
            self._show_beginning(call)

    def leave(self, call: Call, parts: list[str]) -> None:
        """See `linuxemu.trace.logs.Log`."""
        if self._shows is not None:
            if not self._shows(call):
                return
            head, written = call.held, 0
        elif self._call is call:
            head, written = self._line, self._written
            self._call, self._written = None, 0
        else:
            self._resume(call, parts)
            return
        if parts:
            head += (call.separator if not head.endswith("(") else "") + ", ".join(parts)
        self._end(call, head, written)

    def _end(self, call: Call, head: str, written: int) -> None:
        if call.detached:
            self._out.write(call.t.tid, f"{head[written:]} <detached ...>\n")
            self._forget(call.t.tid)
            return
        head += ")"
        width = self._layout.column
        line = f"{head:<{width}}= {call.result_text()}" if len(head) < width else f"{head} = {call.result_text()}"
        if self._layout.spent >= 0:
            line += f" <{seconds(call.end_ns - call.begin_ns, self._layout.spent)}>"
        text = (line[written:] if written else line) + "\n"
        if call.stack or call.rpcs or call.dump:
            text += "".join(f"{below}\n" for below in _below(call))
        self._out.write(call.t.tid, text)

    def _show_beginning(self, call: Call) -> None:
        line = self._line = _begun(call, self._line)
        self._out.write(call.t.tid, line[self._written :])
        self._written = len(line)

    def _interrupt(self) -> None:
        """Something else comes before the open line is complete."""
        call = self._call
        assert call is not None
        self._show_beginning(call) if self._written == 0 else None
        self._out.write(call.t.tid, " <unfinished ...>\n")
        self._call, self._written = None, 0
        self._unfinished.add(call)

    def _resume(self, call: Call, parts: list[str]) -> None:
        if self._call is not None:
            self._interrupt()
        self._unfinished.discard(call)
        head = f"{self._leader(call.t, call)}<... {call.plan.name} resumed>{', '.join(parts)}"
        self._end(call, head, 0)

    # -- other events ----------------------------------------------------------------------------------------

    def signaled(self, t: Task, info: SigInfo) -> None:
        """See `linuxemu.trace.logs.Log`."""
        if info.signo in self._signals:
            self._event(t, f"--- {signal_name(info.signo)} {siginfo(info, self._style, t)} ---")

    def stopped(self, t: Task, signo: int) -> None:
        """See `linuxemu.trace.logs.Log`."""
        if signo in self._signals:
            self._event(t, f"--- stopped by {signal_name(signo)} ---")

    def superseded(self, t: Task, tid: int) -> None:
        """See `linuxemu.trace.logs.Log`."""
        self._tasks.discard(t.tid)
        self._tasks.add(tid)
        if self._layout.superseded:
            self._event(t, f"+++ superseded by execve in pid {t.tid} +++", tid)
        self._numbers.pop(t.tid, None)
        self._out.ended(t.tid)

    def exited(self, t: Task, status: int) -> None:
        """See `linuxemu.trace.logs.Log`."""
        signo = status & 0x7F
        if signo:
            core = " (core dumped)" if status & _CORE_DUMPED else ""
            if signo in self._signals:
                self._event(t, f"+++ killed by {signal_name(signo)}{core} +++")
        elif self._layout.exits:
            self._event(t, f"+++ exited with {status >> 8 & 0xFF} +++")
        self._forget(t.tid)

    def _forget(self, tid: int) -> None:
        self._tasks.discard(tid)
        self._numbers.pop(tid, None)
        self._out.ended(tid)

    def lost(self, call: Call) -> None:
        """See `linuxemu.trace.logs.Log`: what would have been shown at its end is marked as unfinished."""
        rest = "" if call.plan.decoded else " <unfinished ...>"
        if self._shows is not None:
            if self._shows(call):
                self._end(call, _begun(call, call.held) + rest, 0)
        elif self._call is call:
            if rest and self._written == 0:
                self._show_beginning(call)
            line, written = self._line, self._written
            self._call, self._written = None, 0
            self._end(call, line + rest, written)
        else:
            self._resume(call, [rest] if rest else [])

    def attached(self, t: Task, child: Task) -> None:
        """See `linuxemu.trace.logs.Log`: the message comes in the middle of the call that made the task."""
        self._tasks.update((t.tid, child.tid))
        self._tell(child.tid, "attached")

    def detached(self, t: Task) -> None:
        """See `linuxemu.trace.logs.Log`."""
        self._tell(t.tid, "detached")
        self._forget(t.tid)

    def _tell(self, tid: int, what: str) -> None:
        """A message of the tracer's own, in the middle of the open line."""
        if not self._layout.attached:
            return
        if self._call is not None and self._shows is None:
            self._out.write(self._call.t.tid, self._line[self._written :])
            self._written = len(self._line)
        self._out.write(tid, f"strace: Process {tid} {what}\n")

    def _event(self, t: Task, text: str, tid: int = 0) -> None:
        if self._call is not None:
            self._interrupt()
        tid = tid or t.tid
        self._out.write(tid, f"{self._leader(t, None, tid)}{text}\n")

    def close(self) -> None:
        """See `linuxemu.trace.logs.Log`: what is still open is marked so."""
        if self._call is not None:
            self._interrupt()
        self._out.close()

    # -- in front of a line ----------------------------------------------------------------------------------

    def _leader(self, t: Task, call: Call | None, tid: int = 0) -> str:
        tid = tid or t.tid
        if self._always:
            head = f"{tid}{command(t, tid)} " if self._style.pids else f"{tid:<5} "
        elif self._layout.pids:
            self._tasks.add(tid)
            many = len(self._tasks) > 1
            head = f"[pid {tid:5}{command(t, tid) if self._style.pids else ''}] " if many else ""
        else:
            head = ""
        return head if self._plain else head + self._times(t, call)

    def _times(self, t: Task, call: Call | None) -> str:
        layout = self._layout
        head = ""
        if layout.clock or layout.relative >= 0:
            now_ns = self._realtime_ns()
            if layout.clock:
                head += time_stamp(now_ns, layout.clock, layout.clock_digits) + " "
            if layout.relative >= 0:
                passed = now_ns - self._last_ns if self._last_ns else 0
                self._last_ns = now_ns
                shown = f"{passed // _NS:6}.{passed % _NS:09}"[: 7 + layout.relative].rstrip(".")
                head += f"(+{shown}) " if layout.clock else f"{shown} "
        if layout.number:
            if call is not None:
                self._numbers[t.tid] = call.plan.number
            head += f"[{self._numbers.get(t.tid, ''):4}] "
        if layout.pointer:
            gone = call is None and t.exit_status is not None
            head += f"[{'?' * 16}] " if gone else f"[{(call or t).frame.rip:016x}] "
        return head


def _begun(call: Call, line: str) -> str:
    """The line of a call that goes on later, with what stands before the arguments to come."""
    if call.plan.late and not line.endswith("("):
        line += call.separator
        call.separator = ""
    return line


def _below(call: Call) -> Iterator[str]:
    """The lines beneath a call: its data, messages, each deeper than the one that it was sent for, and its stack."""
    yield from call.dump
    for rpc in call.rpcs:
        spent = f" <{seconds(rpc.end_ns - rpc.begin_ns, 6)}>" if rpc.end_ns is not None else ""
        yield f" | {'  ' * rpc.depth}{rpc.text(call.plan.abbrev)}{spent}"
    yield from map(str, call.stack)


def seconds(ns: int, digits: int) -> str:
    """A duration in seconds with so many digits behind the point, 0 for none."""
    whole, rest = divmod(max(ns, 0), _NS)
    return f"{whole}.{rest:09}"[: len(str(whole)) + 1 + digits].rstrip(".") if digits else str(whole)
