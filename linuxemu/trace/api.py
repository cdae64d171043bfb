"""Tracing from Python: `linuxemu.trace.run` and `linuxemu.trace.unsupported`."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from linuxemu.errors import BootError
from linuxemu.machine import Machine
from linuxemu.trace.build import Reporting, Tracing
from linuxemu.trace.filters import OptionError
from linuxemu.trace.reader import read
from linuxemu.trace.report import report_objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    import linuxemu
    from linuxemu.trace.options import TraceOptions

_FORMS = ("json", "text")


class Traced(NamedTuple):
    """A program that has run, and its trace.

    Args:
        result: how the program ended, as `linuxemu.Machine.run` tells it.
        lines: the trace, line by line.
    """

    result: linuxemu.Result
    lines: list[str]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of form "json" as dictionaries, see docs/trace.md for their fields."""
        return [json.loads(line) for line in self.lines]


class _Lines:
    """Keeps what is written."""

    failure = ""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, tid: int, text: str) -> None:
        """See `linuxemu.trace.output.Output`."""
        self.parts.append(text)

    def ended(self, tid: int) -> None:
        """See `linuxemu.trace.output.Output`."""

    def close(self) -> None:
        """See `linuxemu.trace.output.Output`."""


def run(
    argv: Sequence[str | bytes],
    options: str | Sequence[str] = "",
    *,
    form: str = "json",
    rpc: bool = False,
    **machine: Any,
) -> Traced:
    """Run a program and trace its system calls.

    Args:
        argv: the program and its arguments, as for `linuxemu.Machine.run`.
        options: strace's, such as "-f -e trace=openat,read"; a text is split as a shell does.
        form: "json" for an object on each line, "text" for lines as strace has them.
        rpc: the messages between servers are part of it.
        machine: arguments of `linuxemu.Machine`.
    Raises:
        BootError: an option is wrong, or of no use here, or the machine cannot be.
        GuestStartError: the program cannot be started.
    """
    if form not in _FORMS:
        raise BootError(f"no form {form!r} of a trace: there are {', '.join(_FORMS)}")
    chosen = _options(options)
    if form == "json" and chosen.summary is not None:
        raise BootError("options of the trace: the table of -c and -C is text")
    kept = _Lines()
    tracing = Tracing(chosen, form, rpc, kept)
    try:
        result = Machine(trace=tracing.trace, observe=tracing.observe, **machine).run(argv)
    finally:
        tracing.close()
    return Traced(result, "".join(kept.parts).splitlines())


def unsupported(
    argv: Sequence[str | bytes], options: str | Sequence[str] = "", **machine: Any
) -> tuple[linuxemu.Result, list[dict[str, Any]]]:
    """Run a program and report what it asked for that is not supported.

    Args:
        argv: the program and its arguments.
        options: strace's, of which those about the look of calls have an effect.
        machine: arguments of `linuxemu.Machine`.
    Returns:
        How the program ended, and an object for each kind of request, the most frequent first; docs/trace.md has
        their fields.
    Raises:
        BootError: an option is wrong, or the machine cannot be.
        GuestStartError: the program cannot be started.
    """
    reporting = Reporting(_options(options), _Lines())
    result = Machine(trace=reporting.trace, **machine).run(argv)
    return result, list(report_objects(reporting.finish()))


def _options(given: str | Sequence[str]) -> TraceOptions:
    try:
        words = shlex.split(given) if isinstance(given, str) else list(given)
        options, others, argv = read(words)
    except (OptionError, ValueError) as error:
        raise BootError(f"options of the trace: {error}") from None
    if argv:
        raise BootError(f"options of the trace: {argv[0]!r} is none")
    if others:
        raise BootError(f"options of the trace: {next(iter(others))} is an argument of the machine")
    if options.output is not None:
        raise BootError("options of the trace: its lines are returned, -o does not go with that")
    return options
