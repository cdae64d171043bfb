"""`linuxemu run`: one program as a task of the microkernel, with the caller's standard streams."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from linuxemu.cli.machine import MACHINE_OPTIONS, MachineOptions, machine_options, run_machine
from linuxemu.cli.options import Option, UsageError, complain, describe, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syscalls.server import Unsupported

_OPTIONS = (
    *MACHINE_OPTIONS,
    Option("--quiet", "", "say nothing about what is not supported"),
    Option("--help", "", "show this help"),
)

_NOTED = 5
"""Requests that the line about what is not supported names."""

_USAGE = "usage: linuxemu run [OPTION...] [--] PROGRAM [ARGUMENT...]"

_HELP = """\
{usage}

Run a Linux program. PROGRAM without a slash is looked up in the guest's PATH. Everything after it is its own.

options:
{options}

The exit status is the program's: 126 when it cannot be executed, 127 when it is not found, 128+n when
signal n ended it, 124 after --timeout; 2 when this command line is wrong. When a program asked for something
that is not supported, a line on stderr says so at the end, unless --quiet.

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
    status, machine = run_machine("linuxemu run", options)
    if machine is not None and machine.unsupported and not options.quiet:
        complain("linuxemu run", note(machine.unsupported))
    return status


def parse(words: list[str]) -> MachineOptions | None:
    """The checked command line; None when it asks for help."""
    values, argv = split(words, _OPTIONS)
    return None if "--help" in values else machine_options(values, argv, _USAGE)


def note(unsupported: Sequence[Unsupported]) -> str:
    """What programs asked for in vain, in a line: the most frequent first, not all if there is much."""
    requests: dict[str, list[Unsupported]] = {}
    for item in unsupported:
        requests.setdefault(item.what, []).append(item)
    parts = []
    for what, items in list(requests.items())[:_NOTED]:
        who = ", ".join(dict.fromkeys(os.fsdecode(item.comm) for item in items))
        times = sum(item.times for item in items)
        parts.append(f"{what} ({who})" if times == 1 else f"{what} ({who}, {times} times)")
    if len(requests) > _NOTED:
        parts.append(f"{len(requests) - _NOTED} more")
    return f"not supported: {'; '.join(parts)} (linuxemu trace --unsupported tells more)"
