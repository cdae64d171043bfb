"""What is asked of a trace: which calls are shown, how they look, what is done to them.

The fields bear the names of strace's long options and qualifiers (man 1 strace); `linuxemu.trace.reader` fills them.
"""

from __future__ import annotations

from typing import NamedTuple

from linuxemu.trace.filters import KNOWN, SIGNALS, Descriptors
from linuxemu.trace.summary import SummaryOptions
from linuxemu.trace.tampering import Injection

STATUSES = ("successful", "failed", "unfinished", "unavailable", "detached")
QUIET = ("attach", "exit", "path-resolution", "personality", "thread-execve")
FD_DETAILS = ("path", "socket", "dev", "pidfd")
PID_DETAILS = ("comm", "pidns")


class Output(NamedTuple):
    """Where the trace goes.

    Args:
        name: a file, or a command for the shell that reads the trace.
        is_command: it is a command.
    """

    name: str
    is_command: bool = False


class Timestamps(NamedTuple):
    """How the time of day stands before each line.

    Args:
        form: "time" as HH:MM:SS, or "unix" as seconds since 1970.
        digits: those of the fraction, 0, 3, 6 or 9.
    """

    form: str
    digits: int


class TraceOptions(NamedTuple):
    """The options of a trace, checked. Sets of system calls hold numbers; digits are those behind the second.

    Args:
        trace: known calls that are shown, see `shows`.
        signals: signals that are shown.
        status: results that are shown, some of `STATUSES`.
        trace_path: only calls about these paths are shown, all when empty.
        abbrev: calls whose structures and arrays are cut short.
        verbose: calls whose pointers are followed.
        raw: calls whose arguments are shown undecoded.
        read: file descriptors of which all data read are dumped.
        write: file descriptors of which all data written are dumped.
        quiet: notes that are left out, some of `QUIET`.
        decode_fds: what is told of file descriptors, some of `FD_DETAILS`.
        decode_pids: what is told of process ids, some of `PID_DETAILS`.
        follow_forks: children and threads are traced as well.
        detach_on_execve: a task is left alone from its next execve on.
        output: where the trace goes, standard error when None.
        output_append: the file is appended to.
        output_separately: each process has a file of its own, with its pid behind the name.
        interruptible: when the trace itself can be interrupted, 1 to 4, None if it is not said.
        absolute_timestamps: the time of day before each line, None without it.
        relative_digits: digits of the time since the line before, None without it.
        syscall_time_digits: digits of the time that a call took, None without it.
        string_limit: bytes of a string that are shown.
        hex_strings: "", or which strings have hexadecimal escapes, "non-ascii-chars" (those characters only),
            "non-ascii" or "all".
        constants: "abbrev" for names, "raw" for numbers, "verbose" for both.
        columns: where results begin.
        instruction_pointer: it is shown.
        syscall_number: it is shown.
        stack_traces: what led to a call is shown below it.
        summary: a table of counts at the end, if wanted.
        summary_only: nothing but the table is shown.
        injections: what is done to calls, in the order given.
        notes: what about the options should be told, a line each.
    """

    trace: frozenset[int] = KNOWN
    signals: frozenset[int] = SIGNALS
    status: frozenset[str] = frozenset(STATUSES)
    trace_path: tuple[str, ...] = ()
    abbrev: frozenset[int] = KNOWN
    verbose: frozenset[int] = KNOWN
    raw: frozenset[int] = frozenset()
    read: Descriptors = Descriptors()
    write: Descriptors = Descriptors()
    quiet: frozenset[str] = frozenset()
    decode_fds: frozenset[str] = frozenset()
    decode_pids: frozenset[str] = frozenset()
    follow_forks: bool = False
    detach_on_execve: bool = False
    output: Output | None = None
    output_append: bool = False
    output_separately: bool = False
    interruptible: int | None = None
    absolute_timestamps: Timestamps | None = None
    relative_digits: int | None = None
    syscall_time_digits: int | None = None
    string_limit: int = 32
    hex_strings: str = ""
    constants: str = "abbrev"
    columns: int = 40
    instruction_pointer: bool = False
    syscall_number: bool = False
    stack_traces: bool = False
    summary: SummaryOptions | None = None
    summary_only: bool = False
    injections: tuple[Injection, ...] = ()
    notes: tuple[str, ...] = ()

    def shows(self, number: int) -> bool:
        """Whether a call is shown: one of `trace`, and as with strace whatever has no name."""
        return number in self.trace or number not in KNOWN
