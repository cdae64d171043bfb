"""Putting a trace together: from options to what a machine needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.jsonlog import JsonLog, json_line
from linuxemu.trace.logs import Log, SummaryLog
from linuxemu.trace.options import STATUSES
from linuxemu.trace.output import open_output
from linuxemu.trace.plan import Plans
from linuxemu.trace.report import Report, report_lines, report_objects
from linuxemu.trace.reporting import ReportTracer
from linuxemu.trace.stacks import Stacks
from linuxemu.trace.style import Style
from linuxemu.trace.summary import Summary
from linuxemu.trace.tampering import Tampering
from linuxemu.trace.text import Layout, TextLog
from linuxemu.trace.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.kernel.interpose import Wrap
    from linuxemu.session import Session
    from linuxemu.trace.call import Call
    from linuxemu.trace.options import TraceOptions
    from linuxemu.trace.output import Output
    from linuxemu.trace.paths import Paths
    from linuxemu.trace.tracer import StackOf


def style_of(options: TraceOptions) -> Style:
    """The look of values that options ask for."""
    return Style(
        string_limit=options.string_limit,
        hex_strings=options.hex_strings,
        constants=options.constants,
        fds=options.decode_fds,
        pids="comm" in options.decode_pids,
    )


def layout_of(options: TraceOptions) -> Layout:
    """What options put around calls."""
    stamps = options.absolute_timestamps
    return Layout(
        pids="" if options.output_separately else "many" if options.output is None else "always",
        column=options.columns,
        clock=stamps.form if stamps is not None else "",
        clock_digits=stamps.digits if stamps is not None else 0,
        relative=-1 if options.relative_digits is None else options.relative_digits,
        spent=-1 if options.syscall_time_digits is None else options.syscall_time_digits,
        pointer=options.instruction_pointer,
        number=options.syscall_number,
        exits="exit" not in options.quiet,
        attached="attach" not in options.quiet and options.output is None,
        superseded="thread-execve" not in options.quiet,
    )


def _open(options: TraceOptions) -> Output:
    given = options.output
    if given is None:
        return open_output(None)
    return open_output(given.name, given.is_command, options.output_append, options.output_separately)


class Tracing:
    """A trace about to begin: give `trace` and `observe` to a `Machine`, then `close`.

    Args:
        options: of the command line.
        form: "text" or "json".
        rpc: show the messages that calls became.
        out: where it goes, instead of what the options say.
    Raises:
        OutputError: the trace cannot be written where it is to go.
    """

    def __init__(
        self, options: TraceOptions, form: str = "text", rpc: bool = False, out: Output | None = None
    ) -> None:
        self._options = options
        self._form = form
        self._out = out or _open(options)
        self._log: Log | None = None
        self._rpcs = None
        self.observe: Wrap | None = None
        if rpc:
            from linuxemu.trace.rpcs import RpcWatch

            self._rpcs = RpcWatch()
            self.observe = self._rpcs.wrap

    def trace(self, session: Session) -> Tracer:
        """The tracer of a session, see `linuxemu.machine.Machine`."""
        options = self._options
        self._log = log = self._make_log(session)
        plans = Plans(options.raw, options.abbrev, options.verbose, silent=options.summary_only)
        return Tracer(
            log,
            style_of(options),
            plans,
            options.shows,
            session.now_ns,
            follow=options.follow_forks,
            detach=options.detach_on_execve,
            about=self._about(),
            dump=self._dump(),
            tampering=Tampering(options.injections) if options.injections else None,
            rpcs=self._rpcs,
            stack=self._stack(),
        )

    def _stack(self) -> StackOf | None:
        if not self._options.stack_traces:
            return None
        return Stacks().places if self._form == "json" else Stacks().lines

    def _about(self) -> Paths | None:
        """Which calls -P wants."""
        if not self._options.trace_path:
            return None
        from linuxemu.trace.paths import Paths

        return Paths(self._options.trace_path)

    def _dump(self) -> Callable[[Call], list[str]] | None:
        """What -e read and -e write want to see."""
        reads, writes = self._options.read, self._options.write
        if not reads and not writes:
            return None
        from linuxemu.trace.dump import lines

        return lambda call: lines(call, reads, writes)

    def _make_log(self, session: Session) -> Log:
        options = self._options
        shows = None if options.status == frozenset(STATUSES) else self._has_status
        exits = "exit" not in options.quiet
        log: Log
        if options.summary_only:
            log = Log()
        elif self._form == "json":
            log = JsonLog(self._out, shows, options.signals, session.realtime_ns, exits)
        else:
            log = TextLog(self._out, layout_of(options), shows, options.signals, session.realtime_ns, style_of(options))
        if options.summary is not None:
            log = SummaryLog(log, Summary(options.summary), self._out, options.summary.wall_clock)
        return log

    def _has_status(self, call: Call) -> bool:
        """Whether -e status wants a call that has ended. One that a signal interrupted has failed."""
        if call.detached:
            return "detached" in self._options.status
        if call.result is None and not call.restart:
            return "unfinished" in self._options.status
        return ("failed" if call.failed else "successful") in self._options.status

    def close(self) -> str:
        """Write what is left; returns why the trace could not be written, empty if it was."""
        if self._log is not None:
            self._log.close()
        self._out.close()
        return self._out.failure


class Reporting:
    """A report about to be made: give `trace` to a `Machine`, then `close`.

    Args:
        options: of the command line: where it goes, and the look of values.
        out: where it goes, instead of what the options say.
    Raises:
        OutputError: it cannot be written where it is to go.
    """

    def __init__(self, options: TraceOptions, out: Output | None = None) -> None:
        self._options = options
        self._out = out or _open(options)
        self._report = Report()

    def trace(self, session: Session) -> ReportTracer:
        """The tracer of a session, see `linuxemu.machine.Machine`."""
        options = self._options
        plans = Plans(options.raw, options.abbrev, options.verbose)
        return ReportTracer(
            self._report,
            Stacks().site,
            log=Log(),
            style=style_of(options),
            plans=plans,
            shows=options.shows,
            now_ns=session.now_ns,
            follow=True,
        )

    def finish(self) -> Report:
        """The report of a run that is over."""
        self._report.finish()
        return self._report

    def close(self, json: bool) -> str:
        """Write the report; returns why it could not be written, empty if it was."""
        report = self.finish()
        lines = map(json_line, report_objects(report)) if json else (f"{line}\n" for line in report_lines(report))
        self._out.write(0, "".join(lines))
        self._out.close()
        return self._out.failure
