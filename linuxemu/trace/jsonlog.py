"""The log as JSON, one object a line; docs/trace.md describes their fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from linuxemu.testing.show import show_error, show_message
from linuxemu.trace import formats
from linuxemu.trace.call import error_text
from linuxemu.trace.formats.signals import siginfo, signal_name
from linuxemu.trace.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.call import Call
    from linuxemu.trace.output import Output
    from linuxemu.trace.rpcs import Rpc
    from linuxemu.trace.stack import Place
    from syscalls.objects.siginfo import SigInfo
    from syscalls.objects.task import Task

_CORE_DUMPED = 0x80
_NS = 1e9
_ENDS = ("exit", "exit_group")


class JsonLog(Log):
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
        """See `linuxemu.trace.logs.Log`."""
        self._begun[call] = self._realtime_ns(), parts

    def blocks(self, call: Call) -> None:
        """See `linuxemu.trace.logs.Log`: an object is written when the call has ended."""

    def leave(self, call: Call, parts: list[str]) -> None:
        """See `linuxemu.trace.logs.Log`."""
        begin_ns, early = self._begun.pop(call)
        if self._shows is None or self._shows(call):
            self._write(call.t, "syscall", begin_ns, call_fields(call, whole(call, early, parts)))

    def lost(self, call: Call) -> None:
        """See `linuxemu.trace.logs.Log`."""
        self.leave(call, [])

    def attached(self, t: Task, child: Task) -> None:
        """See `linuxemu.trace.logs.Log`: the call that made it says so."""

    def signaled(self, t: Task, info: SigInfo) -> None:
        """See `linuxemu.trace.logs.Log`."""
        if info.signo in self._signals:
            self._write(t, "signal", None, {"signal": signal_name(info.signo), "siginfo": siginfo(info)})

    def stopped(self, t: Task, signo: int) -> None:
        """See `linuxemu.trace.logs.Log`."""
        if signo in self._signals:
            self._write(t, "stop", None, {"signal": signal_name(signo)})

    def superseded(self, t: Task, tid: int) -> None:
        """See `linuxemu.trace.logs.Log`."""
        self._write(t, "superseded", None, {"by": t.tid}, tid)

    def exited(self, t: Task, status: int) -> None:
        """See `linuxemu.trace.logs.Log`."""
        if self._exits:
            signo = status & 0x7F
            fields: dict[str, Any] = {"status": None if signo else status >> 8 & 0xFF}
            fields["signal"] = signal_name(signo) if signo else None
            fields["core"] = bool(status & _CORE_DUMPED)
            self._write(t, "exit", None, fields)
        self._out.ended(t.tid)

    def close(self) -> None:
        """See `linuxemu.trace.logs.Log`: calls that are still in progress are told of."""
        for call in list(self._begun):
            self.leave(call, [])
        self._out.close()

    def _write(self, t: Task, kind: str, ns: int | None, fields: dict[str, Any], tid: int = 0) -> None:
        when = self._realtime_ns() if ns is None else ns
        head = {"type": kind, "time": round(when / _NS, 6), "pid": t.process.pid, "tid": tid or t.tid}
        head["comm"] = t.comm.decode("utf-8", "backslashreplace")
        self._out.write(t.tid, json_line({**head, **fields}))


def json_line(value: dict[str, Any]) -> str:
    """An object as a line; bytes that are no text are shown as \\xNN, for readers that take Unicode alone."""
    line = json.dumps(value)
    if "\\udc" in line:
        line = json.dumps(_clean(value))
    return line + "\n"


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def whole(call: Call, early: list[str], late: list[str]) -> list[str]:
    """The texts of all arguments; the first late one may go on where the last early one ended."""
    if call.separator or not early or not late:
        return early + late
    first, *rest = late
    return [*early, first[2:], *rest] if first.startswith(", ") else [*early[:-1], early[-1] + first, *rest]


def call_fields(call: Call, parts: list[str]) -> dict[str, Any]:
    """The fields of a system call.

    Args:
        call: one that has ended, or will not any more.
        parts: the texts of its arguments.
    """
    result, plan = call.result, call.plan
    text = call.result_text()
    error = None
    if text.startswith("? "):
        error = text[2:].partition(" ")[0]
    elif call.error:
        error = error_text(call.error) or f"errno {call.error}"
    fields: dict[str, Any] = {"number": plan.number, "name": plan.name, "args": arguments(call, parts)}
    fields["result"] = -1 if call.error else result
    fields["text"] = text
    fields["error"] = error
    fields["seconds"] = round((call.end_ns - call.begin_ns) / _NS, 9) if call.ended else None
    fields["finished"] = call.ended or plan.name in _ENDS
    if call.injected:
        fields["injected"] = call.injected
    if call.unsupported:
        fields["unsupported"] = call.unsupported
    if call.rpcs:
        fields["rpcs"] = [rpc_fields(rpc) for rpc in call.rpcs]
    if call.stack:
        fields["stack"] = [place_fields(place) for place in call.stack if not isinstance(place, str)]
    return fields


def arguments(call: Call, parts: list[str]) -> list[dict[str, Any]]:
    """Name, value and text of each argument; of calls whose arguments strace names itself these names."""
    plan = call.plan
    if plan.name in formats.CALLS and not plan.raw:
        return [_named(call, part) for part in parts]
    named = zip((name for name, _ in plan.arguments), call.args, strict=True)
    shown = [both for position, both in enumerate(named) if position not in call.hidden]
    return [{"name": name, "value": value, "text": text} for (name, value), text in zip(shown, parts, strict=False)]


def _named(call: Call, part: str) -> dict[str, Any]:
    name, equals, text = part.partition("=")
    if not equals or not name.isidentifier():
        return {"name": None, "value": None, "text": part}
    position = call.plan.index.get(name)
    return {"name": name, "value": call.args[position] if position is not None else None, "text": text}


def rpc_fields(rpc: Rpc) -> dict[str, Any]:
    """The fields of a message between servers."""
    ended = rpc.end_ns is not None
    return {
        "depth": rpc.depth,
        "src": rpc.src,
        "dst": rpc.dst,
        "name": rpc.request.NAME,
        "message": show_message(rpc.request),
        "reply": rpc.answer() if ended and rpc.error is None else None,
        "error": show_error(rpc.error) if rpc.error is not None else None,
        "seconds": round(((rpc.end_ns or 0) - rpc.begin_ns) / _NS, 9) if ended else None,
    }


def place_fields(place: Place) -> dict[str, Any]:
    """The fields of a function of a stack, or of the place that a call comes from; null for what is not known."""
    return {
        "module": place.module or None,
        "function": place.function or None,
        "offset": place.offset if place.function else None,
        "file": place.file or None,
        "line": place.line or None,
        "address": place.address,
    }
