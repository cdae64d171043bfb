"""What `linuxemu trace --help` shows."""

from __future__ import annotations

from linuxemu.cli.machine import MACHINE_OPTIONS
from linuxemu.cli.options import Option, describe

USAGE = "usage: linuxemu trace [OPTION...] [--] PROGRAM [ARGUMENT...]"

TRACE_OPTIONS = (
    Option("--format", "text|json", "lines as strace has them, or a JSON object on each line"),
    Option("--rpc", "", "show the messages between the kernel's servers, too"),
    Option("--unsupported", "", "show nothing but what linuxemu does not support, once each"),
    Option("--json", "", "the same as JSON (with --unsupported)"),
)
"""Options that neither strace nor `linuxemu run` has."""

_GENERAL = (
    Option("-e", "EXPR", "QUALIFIER=[!]VALUE[,VALUE...], or all, or none; without QUALIFIER= it is trace"),
    Option("-E, --env", "VAR=VAL | VAR", "set or remove an environment variable of the program"),
    Option("-u, --user", "UID[:GID]", "run as this user and group, in numbers; root if not given"),
    Option("-f, --follow-forks", "", "trace child processes and threads as well (-F is the same)"),
    Option("-b, --detach-on", "execve", "leave a process alone once it executes another program"),
    Option("-D, --daemonize[=HOW]", "", "no effect: the tracer is no process of the guest's (-DD, -DDD)"),
    Option("-I, --interruptible", "HOW", "when Ctrl-C ends the trace: 1 anywhere, 2 waiting, 3 never, 4 never_tstp"),
    Option("--seccomp-bpf", "", "no effect: calls that are not traced cost nothing"),
    Option("-V, --version", "", "show the version"),
    Option("-h, --help", "", "show this help"),
    *TRACE_OPTIONS,
)

_FILTERING = (
    Option("-e trace=SET, --trace=SET", "", "only these system calls: names, numbers, /REGEX, or of the classes %file\n"
           "%desc %process %memory %network %signal %ipc %creds %clock %pure %stat\n"
           "%lstat %fstat %%stat %statfs %fstatfs %%statfs; ?VALUE may match nothing"),
    Option("-e signal=SET, --signals=SET", "", "only these signals"),
    Option("-e status=SET, --status=SET", "", "only calls that are successful, failed, unfinished, unavailable,\n"
           "detached (-z, --successful-only; -Z, --failed-only)"),
    Option("-P, --trace-path", "PATH", "only calls about PATH (repeatable)"),
)  # fmt: skip

_FORMAT = (
    Option("-o, --output", "FILE", "write the trace to FILE, or with '|COMMAND' or '!COMMAND' to a command"),
    Option("-A, --output-append-mode", "", "append to FILE"),
    Option("--output-separately", "", "write to FILE.PID for each process; -ff is -f and this"),
    Option("-q, --quiet[=SET]", "", "leave notes out: attach, exit, path-resolution, personality,\n"
           "thread-execve (-q, -qq, -qqq more and more; --silent, --silence)"),
    Option("-a, --columns", "COLUMN", "where results begin (40)"),
    Option("-s, --string-limit", "SIZE", "show this much of strings (32)"),
    Option("-v, --no-abbrev", "", "show all of structures and arrays"),
    Option("-e abbrev=SET, --abbrev=SET", "", "shorten them in these calls only"),
    Option("-e verbose=SET, --verbose=SET", "", "follow pointers in these calls only"),
    Option("-e raw=SET, --raw=SET", "", "show the arguments of these calls as numbers"),
    Option("-X, --const-print-style", "FORMAT", "constants as raw numbers, abbrev names, or verbose with both"),
    Option("-x, --strings-in-hex[=WHICH]", "", "strings with hexadecimal escapes: none, non-ascii-chars,\n"
           "non-ascii (-x), all (-xx)"),
    Option("-e read=SET, --read=SET", "", "dump the data read from these file descriptors"),
    Option("-e write=SET, --write=SET", "", "dump the data written to them"),
    Option("-y, --decode-fds[=SET]", "", "tell of file descriptors: path (-y), socket, dev, pidfd (-yy is all)"),
    Option("-Y, --decode-pids=comm", "", "tell the command's name of process ids (--pidns-translation: pidns)"),
    Option("-i, --instruction-pointer", "", "show where the call was made"),
    Option("-n, --syscall-number", "", "show the number of the call"),
    Option("-k, --stack-traces", "", "show what led to the call"),
    Option("-r, --relative-timestamps[=DIGITS]", "", "show the time since the line before; digits as s, ms, us, ns"),
    Option("-t, --absolute-timestamps[=HOW]", "", "show the time: none, time or unix, and digits (-t time,\n"
           "-tt time,us, -ttt unix,us; --timestamps)"),
    Option("-T, --syscall-times[=DIGITS]", "", "show how long each call took"),
)  # fmt: skip

_STATISTICS = (
    Option("-c, --summary-only", "", "count calls, errors and time, and show a table instead of the calls"),
    Option("-C, --summary", "", "show the calls and the table"),
    Option("-O, --summary-syscall-overhead", "TIME", "take this off the time of each call (s, ms, us, ns)"),
    Option("-S, --summary-sort-by", "COLUMN", "sort by this column, or nothing (total-time)"),
    Option("-U, --summary-columns", "COLUMNS", "time-percent, total-time, min-time, max-time, avg-time,\n"
           "calls, errors, name"),
    Option("-w, --summary-wall-clock", "", "count the time until a call has ended, not the processor's"),
)  # fmt: skip

_TAMPERING = (
    Option("-e inject=SET:WHAT...", "", "do one or more of error=ERRNO, retval=VALUE, signal=SIG, syscall=CALL,\n"
           "delay_enter=TIME, delay_exit=TIME, poke_enter=@argN=HEX, poke_exit=@argN=HEX\n"
           "to these system calls, with when=FIRST[..LAST][+[STEP]] to some of them"),
    Option("-e fault=SET[:WHAT...]", "", "the same as error=ENOSYS, or another error (--fault=SET)"),
    Option("--inject", "SPEC", "as -e inject=, unless there is a dot in the SET, such as in fs.write or fsx.*:\n"
           "then, and with @FILE, messages between servers are meant (machine, below)"),
)  # fmt: skip

_GROUPS = {
    "general": _GENERAL,
    "filtering": _FILTERING,
    "output format": _FORMAT,
    "statistics": _STATISTICS,
    "tampering": _TAMPERING,
    "machine (as for linuxemu run)": tuple(one for one in MACHINE_OPTIONS if one.name not in ("--env", "--user")),
}
_COLUMN = 41

_TEXT = """\
{usage}

Run a Linux program and show its system calls and signals. The options are strace's: letters may stand together,
long names may be cut short. Those of the machine, and those that strace does not have, stand in full.

{groups}

The exit status is the program's, as for linuxemu run: 126 when it cannot be executed, 127 when it is not found,
128+n when signal n ended it, 124 after --timeout; 2 when this command line is wrong.

examples:
  linuxemu trace -f -o log sh -c 'ls | wc -l'
  linuxemu trace -e %file -e status=failed busybox ls /nothing
  linuxemu trace -e inject=openat:error=ENOENT:when=2+ cat /etc/passwd
  linuxemu trace --inject fs.write:error=EIO -e write sh -c 'echo hello > /tmp/a'
"""


def help_text() -> str:
    """All of it."""
    groups = [f"{name}:\n{describe(options, _COLUMN)}" for name, options in _GROUPS.items()]
    return _TEXT.format(usage=USAGE, groups="\n\n".join(groups))
