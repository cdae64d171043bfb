"""`linuxemu trace`: what its command line asks for, strace's options and those of the machine."""

from __future__ import annotations

from typing import NamedTuple

from linuxemu.cli.machine import MACHINE_OPTIONS, MachineOptions, machine_options, run_machine
from linuxemu.cli.options import UsageError, Values, complain, version
from linuxemu.cli.trace_help import TRACE_OPTIONS, USAGE, help_text
from linuxemu.trace.filters import OptionError
from linuxemu.trace.getopt import Option
from linuxemu.trace.options import QUIET, TraceOptions
from linuxemu.trace.reader import read

_TOOL = "linuxemu trace"
_FORMATS = ("text", "json")
_OURS = tuple(
    Option("", (option.name.removeprefix("--"),), "required" if option.value else "", whole=True)
    for option in (*MACHINE_OPTIONS, *TRACE_OPTIONS)
)
_REPEATABLE = {option.name for option in MACHINE_OPTIONS if option.many}


class TraceCommand(NamedTuple):
    """What the command line asks for, checked.

    Args:
        machine: what is run, and in which machine.
        options: what is shown of it, and what is done to its system calls.
        format: "text" or "json".
        rpc: messages between servers are shown.
        unsupported: nothing is shown but what is not supported.
        json: that as JSON.
    """

    machine: MachineOptions
    options: TraceOptions
    format: str
    rpc: bool
    unsupported: bool
    json: bool


def main(words: list[str]) -> int:
    """Carry out `linuxemu trace WORDS` and return the exit status."""
    from linuxemu.trace.output import OutputError

    try:
        command = parse(words)
    except UsageError as error:
        complain(_TOOL, str(error))
        return 2
    if isinstance(command, str):
        print(command, end="")
        return 0
    for note in command.options.notes:
        complain(_TOOL, note)
    try:
        return _report(command) if command.unsupported else _trace(command)
    except OutputError as error:
        complain(_TOOL, str(error))
        return 2


def _trace(command: TraceCommand) -> int:
    from linuxemu.trace.build import Tracing

    tracing = Tracing(command.options, command.format, command.rpc)
    try:
        status, _ = run_machine(_TOOL, command.machine, trace=tracing.trace, observe=tracing.observe)
    finally:
        failure = tracing.close()
    return _finish(status, failure)


def _report(command: TraceCommand) -> int:
    """The report of what is not supported, once the program has ended."""
    from linuxemu.trace.build import Reporting

    reporting = Reporting(command.options)
    status, machine = run_machine(_TOOL, command.machine, trace=reporting.trace)
    failure = reporting.close(command.json) if machine is not None else ""
    return _finish(status, failure)


def _finish(status: int, failure: str) -> int:
    """The program's status; 2 if that is 0 but the trace is not complete."""
    if not failure:
        return status
    complain(_TOOL, f"the trace is not complete: {failure}")
    return status or 2


def parse(words: list[str]) -> TraceCommand | str:
    """The checked command line, or the text that it asks for: help, or the version.

    Args:
        words: what stands behind `linuxemu trace`.

    Raises:
        UsageError: the command line is wrong; the words are strace's where strace would refuse it.
    """
    try:
        options, values, argv = read(words, _OURS, _is_for_servers)
    except OptionError as error:
        raise UsageError(str(error)) from None
    if "--help" in values:
        return help_text()
    if "--version" in values:
        return f"linuxemu {version()}\n"
    form = values.get("--format", ["text"])[-1]
    if form not in _FORMATS:
        raise UsageError(f"--format: no format {form!r}; there are {', '.join(_FORMATS)}")
    if form == "json" and options.summary is not None:
        raise UsageError("--format json does not go with -c or -C: their table is text")
    if "--json" in values and "--unsupported" not in values:
        raise UsageError("--json needs --unsupported; for calls: --format json")
    environment, unset = _environment(values.get("--env", []))
    if "--unsupported" in values:
        _check_report(values, options, form)
    machine = machine_options(_for_machine(values, environment, options), argv, USAGE)
    return TraceCommand(
        machine=machine._replace(env={**machine.env, **dict.fromkeys(unset)}),
        options=options,
        format=form,
        rpc="--rpc" in values,
        unsupported="--unsupported" in values,
        json="--json" in values,
    )


def _check_report(values: Values, options: TraceOptions, form: str) -> None:
    """Refuse what --unsupported would leave out without a word."""
    in_vain = {
        "--rpc": "--rpc" in values,
        "--format json (but --json does)": form == "json",
        "-c or -C": options.summary is not None,
        "-k": options.stack_traces,
        "-e inject or fault": bool(options.injections),
    }
    for spelled, given in in_vain.items():
        if given:
            raise UsageError(f"--unsupported shows no calls: {spelled} does not go with it")


def _is_for_servers(spec: str) -> bool:
    """Whether an --inject is one of messages between servers: their names have a dot, those of calls have none."""
    parts = spec.partition(":")[0].split(",")
    return spec.startswith("@") or any("." in part and not part.lstrip("!?").startswith("/") for part in parts)


def _environment(texts: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """What is set and what is removed, when a later -E takes back what an earlier one did."""
    found: dict[str, str | None] = {}
    for text in texts:
        name, equals, _ = text.partition("=")
        if not name:
            raise UsageError(f"-E/--env: {text!r} is neither VAR=VAL nor VAR")
        found[name] = text if equals else None
    return [text for text in found.values() if text is not None], tuple(
        name for name, text in found.items() if text is None
    )


def _for_machine(values: Values, environment: list[str], options: TraceOptions) -> Values:
    """The options of the machine; of those that are not repeatable the last."""
    chosen = {name: given if name in _REPEATABLE else given[-1:] for name, given in values.items()}
    chosen["--env"] = environment
    if options.quiet == frozenset(QUIET):
        chosen["--quiet"] = [""]
    return chosen
