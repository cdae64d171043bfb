"""The log as JSON, one object a line; docs/trace.md describes their fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from linuxemu.trace import formats
from linuxemu.trace.formats.signals import siginfo, signal_name
from syscalls.abi.errno import errno_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call
    from linuxemu.trace.output import Output
    from syscalls.objects.siginfo import SigInfo
    from syscalls.objects.task import Task

_CORE_DUMPED = 0x80
_NS = 1e9


class JsonLog:
    """Writes objects.

    Args:
        out: where to.
        shows: whether a call that has ended is to be shown; None for every one.
        signals: numbers of the signals to show.
        realtime_ns: the clock of the field "time", since 1970.
        exits: ends of tasks are shown.
    """

    def __init__(
        self,
        out: Output,
        shows: Callable[[Call], bool] | None,
        signals: frozenset[int],
        realtime_ns: Callable[[], int],
        exits: bool = True,
    ) -> None:
        self._out = out
        self._shows = shows
        self._signals = signals
        self._realtime_ns = realtime_ns
        self._exits = exits
        self._begun: dict[Call, tuple[int, list[str]]] = {}

    def enter(self, call: Call, parts: list[str]) -> None:
        """See `linuxemu.trace.tracer.Log`."""
        self._begun[call] = self._realtime_ns(), parts

    def blocks(self, call: Call) -> None:
        """See `linuxemu.trace.tracer.Log`: an object is written when the call has ended."""

    def leave(self, call: Call, parts: list[str]) -> None:
        """See `linuxemu.trace.tracer.Log`."""
        begin_ns, early = self._begun.pop(call)
        if self._shows is None or self._shows(call):
            self._write(call.t, "syscall", begin_ns, call_fields(call, whole(call, early, parts)))

    def lost(self, call: Call) -> None:
        """See `linuxemu.trace.tracer.Log`."""
        self.leave(call, [])

    def attached(self, t: Task, child: Task) -> None:
        """See `linuxemu.trace.tracer.Log`: the call that made it says so."""

    def signaled(self, t: Task, info: SigInfo) -> None:
        """See `linuxemu.trace.tracer.Log`."""
        if info.signo in self._signals:
            self._write(t, "signal", None, {"signal": signal_name(info.signo), "siginfo": siginfo(info)})

    def stopped(self, t: Task, signo: int) -> None:
        """See `linuxemu.trace.tracer.Log`."""
        if signo in self._signals:
            self._write(t, "stop", None, {"signal": signal_name(signo)})

    def superseded(self, t: Task, tid: int) -> None:
        """See `linuxemu.trace.tracer.Log`."""
        self._write(t, "superseded", None, {"by": tid})

    def exited(self, t: Task, status: int) -> None:
        """See `linuxemu.trace.tracer.Log`."""
        if not self._exits:
            return
        signo = status & 0x7F
        fields: dict[str, Any] = {"status": None if signo else status >> 8 & 0xFF}
        fields["signal"] = signal_name(signo) if signo else None
        fields["core"] = bool(status & _CORE_DUMPED)
        self._write(t, "exit", None, fields)
        self._out.ended(t.tid)

    def close(self) -> None:
        """See `linuxemu.trace.tracer.Log`."""
        for call in list(self._begun):
            self.leave(call, [])
        self._out.close()

    def _write(self, t: Task, kind: str, ns: int | None, fields: dict[str, Any]) -> None:
        when = self._realtime_ns() if ns is None else ns
        head = {"type": kind, "time": round(when / _NS, 6), "pid": t.process.pid, "tid": t.tid}
        head["comm"] = t.comm.decode(errors="replace")
        self._out.write(t.tid, json.dumps({**head, **fields}, ensure_ascii=True) + "\n")


def whole(call: Call, early: list[str], late: list[str]) -> list[str]:
    """The texts of all arguments; the first late one may go on where the last early one ended."""
    if call.separator or not early or not late:
        return early + late
    first, *rest = late
    return [*early, first[2:], *rest] if first.startswith(", ") else [*early[:-1], early[-1] + first, *rest]


def call_fields(call: Call, parts: list[str]) -> dict[str, Any]:
    """The fields of a system call.

    Args:
        call: one that has ended.
        parts: the texts of its arguments.
    """
    result = call.result
    error = errno_name(-result) if result is not None and -4096 < result < 0 else None
    fields: dict[str, Any] = {"number": call.plan.number, "name": call.plan.name, "args": arguments(call, parts)}
    fields["result"] = -1 if error else result
    fields["text"] = call.result_text()
    fields["error"] = error
    fields["seconds"] = round((call.end_ns - call.begin_ns) / _NS, 9) if result is not None else None
    if call.injected:
        fields["injected"] = call.injected
    if call.unsupported:
        fields["unsupported"] = call.unsupported
    return fields


def arguments(call: Call, parts: list[str]) -> list[dict[str, Any]]:
    """Name, value and text of each argument; calls whose arguments strace names have these names."""
    if call.plan.name in formats.CALLS:
        return [_named(part) for part in parts]
    named = zip((name for name, _ in call.plan.arguments), call.args, strict=True)
    shown = [both for position, both in enumerate(named) if position not in call.hidden]
    return [{"name": name, "value": value, "text": text} for (name, value), text in zip(shown, parts, strict=False)]


def _named(part: str) -> dict[str, Any]:
    name, equals, text = part.partition("=")
    return {"name": name, "text": text} if equals and name.isidentifier() else {"text": part}
