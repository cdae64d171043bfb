"""`linuxemu run`: one program as a task of the microkernel, with the caller's standard streams."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from linuxemu.cli.machine import MACHINE_OPTIONS, MachineOptions, machine_options, new_machine
from linuxemu.cli.options import Option, UsageError, complain, describe, split

if TYPE_CHECKING:
    from linuxemu.machine import Machine

_OPTIONS = (
    *MACHINE_OPTIONS,
    Option("--quiet", "", "say nothing about what is not supported"),
    Option("--help", "", "show this help"),
)

_USAGE = "usage: linuxemu run [OPTION...] [--] PROGRAM [ARGUMENT...]"

_HELP = """\
{usage}

Run a Linux program. PROGRAM without a slash is looked up in the guest's PATH. Everything after it is its own.

options:
{options}

The exit status is the program's: 126 when it cannot be executed, 127 when it is not found, 128+n when
signal n ended it, 124 after --timeout; 2 when this command line is wrong. With LINUXEMU_REPORT=1 in the
environment, requests of the program that linuxemu does not support are listed on stderr at the end.

examples:
  linuxemu run busybox sh -c 'echo hello from $(uname -s)'
  linuxemu run --bind .:/src --cwd /src sh build.sh
  linuxemu run --host-root -- ./static-program --its-own-option
"""


def main(words: list[str]) -> int:
    """Carry out `linuxemu run WORDS` and return the exit status."""
    try:
        options = parse(words)
    except UsageError as error:
        complain("linuxemu run", str(error))
        return 2
    if options is None:
        print(_HELP.format(usage=_USAGE, options=describe(_OPTIONS)), end="")
        return 0
    return _execute(options)


def parse(words: list[str]) -> MachineOptions | None:
    """The checked command line; None when it asks for help."""
    values, argv = split(words, _OPTIONS)
    return None if "--help" in values else machine_options(values, argv, _USAGE)


def _execute(options: MachineOptions) -> int:
    import gc

    # Booting makes tens of thousands of objects that stay: looking for cycles every 700 of them is wasted.
    gc.set_threshold(100_000, 10, 10)
    try:
        return _run_machine(options)
    except KeyboardInterrupt:  # before the guest was there to take it
        return 130


def _run_machine(options: MachineOptions) -> int:
    from linuxemu.errors import LinuxEmuError

    try:
        machine = new_machine(options)
        result = machine.run(options.argv)
    except LinuxEmuError as error:
        complain("linuxemu run", str(error))
        return int(getattr(error, "exit_status", 2))
    if not options.quiet:
        _report(machine, result.exit_status)
    _report_faults(machine)
    return int(result.exit_status)


def _report(machine: Machine, status: int) -> None:
    """Say what the program asked for in vain: when told to, or to a person whose program failed."""
    unsupported = machine.unsupported
    if not unsupported:
        return
    asked = os.environ.get("LINUXEMU_REPORT", "")
    try:
        wanted = asked not in ("", "0") if asked else status != 0 and os.isatty(2)
    except OSError:
        wanted = False
    if wanted:
        wishes = "; ".join(f"{item.what} (by {os.fsdecode(item.comm)})" for item in unsupported)
        complain("linuxemu run", f"not supported: {wishes}")


def _report_faults(machine: Machine) -> None:
    """Say which rules have done nothing: a run without the fault proves nothing about it."""
    for done in machine.injected:
        if not done.fired:
            complain("linuxemu run", f"--inject: {done.rule} hit none of {done.matched} messages")
