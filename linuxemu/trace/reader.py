"""strace's command line, option by option (man 1 strace, version 6.1), read into `TraceOptions`.

What is accepted is what strace accepts, but for what cannot be here: attaching to processes, KVM, SELinux, debugging
of strace itself. `-D`, `-DD`, `-DDD` and `--seccomp-bpf` change nothing: the tracer is no process of the guest's, and
calls that are not traced cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from linuxemu.trace import values
from linuxemu.trace.filters import OptionError
from linuxemu.trace.getopt import Given, Option, split
from linuxemu.trace.options import TraceOptions
from linuxemu.trace.summary import SummaryOptions
from linuxemu.trace.tampering import Injection, parse_injection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_COUNTING = "(-c/--summary-only or -C/--summary)"

_REFUSED = {
    "attach": "linuxemu traces the program that it runs, it cannot attach to another",
    "debug": "there is no debug output",
    "kvm": "no guest can use KVM",
    "secontext": "no guest has SELinux",
    "tips": "there are no tips",
}
_IN_VAIN = {
    "instruction-pointer": "-i/--instruction-pointer",
    "stack-traces": "-k/--stack-traces",
    "syscall-number": "-n/--syscall-number",
    "relative-timestamps": "-r/--relative-timestamps",
    "absolute-timestamps": "-t/--absolute-timestamps",
    "syscall-times": "-T/--syscall-times",
    "decode-fds": "-y/--decode-fds",
}
"""What a table without the calls themselves does not show."""

_ONE_SPELLING = {
    "follow-forks": "-f and --follow-forks",
    "daemonize": "-D and --daemonize",
    "quiet": "-q and -e quiet/--quiet",
    "absolute-timestamps": "-t and --absolute-timestamps",
    "strings-in-hex": "-x and --strings-in-hex",
    "decode-fds": "-y and --decode-fds",
}
"""Options whose letter says by its number what the long name says by its value."""

_QUALIFIERS = {
    "trace": ("trace", "t"),
    "abbrev": ("abbrev", "a"),
    "verbose": ("verbose", "v"),
    "raw": ("raw", "x"),
    "signals": ("signal", "signals", "s"),
    "status": ("status",),
    "quiet": ("quiet", "silent", "silence", "q"),
    "decode-fds": ("decode-fds", "decode-fd"),
    "decode-pids": ("decode-pids", "decode-pid"),
    "read": ("read", "reads", "r"),
    "write": ("write", "writes", "w"),
    "fault": ("fault",),
    "inject": ("inject",),
    "kvm": ("kvm",),
}
_QUALIFIER = {word: name for name, spelled in _QUALIFIERS.items() for word in spelled}

OPTIONS = (
    Option("e", (), "required"),
    Option("E", ("env",), "required"),
    Option("p", ("attach",), "required"),
    Option("u", ("user",), "required"),
    Option("b", ("detach-on",), "required"),
    Option("D", ("daemonize", "daemonized", "daemonised"), "optional"),
    Option("f", ("follow-forks",)),
    Option("F"),
    Option("I", ("interruptible",), "required"),
    Option("", ("trace",), "required"),
    Option("", ("signals",), "required"),
    Option("", ("status",), "required"),
    Option("P", ("trace-path",), "required"),
    Option("z", ("successful-only",)),
    Option("Z", ("failed-only", "failing-only")),
    Option("a", ("columns",), "required"),
    Option("", ("abbrev",), "required"),
    Option("", ("verbose",), "required"),
    Option("", ("raw",), "required"),
    Option("", ("read",), "required"),
    Option("", ("write",), "required"),
    Option("q", ("quiet", "silent", "silence"), "optional"),
    Option("", ("kvm",), "required"),
    Option("y", ("decode-fds",), "optional"),
    Option("Y"),
    Option("", ("decode-pids",), "required"),
    Option("", ("pidns-translation",)),
    Option("i", ("instruction-pointer",)),
    Option("k", ("stack-traces",)),
    Option("n", ("syscall-number",)),
    Option("o", ("output",), "required"),
    Option("A", ("output-append-mode",)),
    Option("", ("output-separately",)),
    Option("r", ("relative-timestamps",), "optional"),
    Option("s", ("string-limit",), "required"),
    Option("t", ("absolute-timestamps", "timestamps"), "optional"),
    Option("T", ("syscall-times",), "optional"),
    Option("v", ("no-abbrev",)),
    Option("x", ("strings-in-hex",), "optional"),
    Option("X", ("const-print-style",), "required"),
    Option("c", ("summary-only",)),
    Option("C", ("summary",)),
    Option("O", ("summary-syscall-overhead",), "required"),
    Option("S", ("summary-sort-by",), "required"),
    Option("U", ("summary-columns",), "required"),
    Option("w", ("summary-wall-clock",)),
    Option("", ("inject",), "required"),
    Option("", ("fault",), "required"),
    Option("d", ("debug",)),
    Option("h", ("help",)),
    Option("V", ("version",)),
    Option("", ("seccomp-bpf",)),
    Option("", ("secontext",), "optional"),
    Option("", ("tips",), "optional"),
)
"""strace's options."""


_CONSTANTS: dict[str, dict[str, Any]] = {
    "follow-forks": {"follow_forks": True},
    "F": {"follow_forks": True},
    "successful-only": {"status": frozenset(("successful",))},
    "failed-only": {"status": frozenset(("failed",))},
    "instruction-pointer": {"instruction_pointer": True},
    "stack-traces": {"stack_traces": True},
    "syscall-number": {"syscall_number": True},
    "output-append-mode": {"output_append": True},
    "output-separately": {"output_separately": True},
    "no-abbrev": {"abbrev": frozenset()},
    "summary-only": {"summary_only": True},
    "Y": {"decode_pids": frozenset(("comm",))},
    "pidns-translation": {"decode_pids": frozenset(("pidns",))},
    "summary": {},
    "seccomp-bpf": {},
}
"""What options without a value set."""

_VALUES: dict[str, tuple[str, Callable[[Given, int], Any]]] = {
    "detach-on": ("detach_on_execve", values.detach_on),
    "interruptible": ("interruptible", values.interruptible),
    "columns": ("columns", values.columns),
    "quiet": ("quiet", values.quiet),
    "decode-fds": ("decode_fds", values.decode_fds),
    "output": ("output", values.output),
    "relative-timestamps": ("relative_digits", values.digits),
    "absolute-timestamps": ("absolute_timestamps", values.absolute_timestamps),
    "syscall-times": ("syscall_time_digits", values.digits),
    "string-limit": ("string_limit", values.string_limit),
    "strings-in-hex": ("hex_strings", values.hex_strings),
    "const-print-style": ("constants", values.constants),
}
"""What options with a value set, and what reads it."""

_SUMMARY: dict[str, tuple[str, Callable[[Given, int], Any]]] = {
    "summary-syscall-overhead": ("overhead_ns", values.overhead),
    "summary-sort-by": ("sort_by", values.sort_by),
    "summary-columns": ("columns", values.summary_columns),
    "summary-wall-clock": ("wall_clock", lambda one, times: True),
}
"""The same for the table of counts."""


class Read(NamedTuple):
    """A command line that was read.

    Args:
        options: what it asks of the trace.
        others: options that are not about the trace, by their names with dashes, each with its values in order ("" for
            an option without one): those of the caller, and strace's `--env`, `--user`, `--help` and `--version`.
        argv: the program and its words.
    """

    options: TraceOptions
    others: dict[str, list[str]]
    argv: list[str]


def read(words: list[str], more: Iterable[Option] = (), ours: Callable[[str], bool] | None = None) -> Read:
    """Read strace's options, and perhaps others among them.

    Args:
        words: the command line.
        more: further options. Where a name is strace's as well, strace's is meant.
        ours: tells of the value of a long `--inject` that it is not for strace; it is put to the others then.

    Raises:
        OptionError: strace would refuse it, or it asks for what cannot be here.
    """
    given, argv = split(words, (*OPTIONS, *more))
    reader = _Reader()
    for one in given:
        if one.spelled == "--inject" and ours is not None and ours(one.value or ""):
            reader.others.setdefault("--inject", []).append(one.value or "")
        else:
            reader.take(one)
        if reader.others.keys() & {"--help", "--version"}:
            return Read(TraceOptions(), reader.others, [])  # whatever may be wrong behind it
    return Read(reader.finish(), reader.others, argv)


class _Reader:
    """What has been read so far."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.injections: list[Injection] = []
        self.paths: list[str] = []
        self.others: dict[str, list[str]] = {}
        self.letters: dict[str, int] = {}
        """How often each option was given by its letter, by the option's name."""
        self.longs: dict[str, int] = {}
        """The same by its long name, or by -e."""

    def take(self, one: Given) -> None:
        """Read one option."""
        name = one.option.names[0] if one.option.names else one.option.letter
        if name == "e":
            self._expression(one.value or "")
            return
        counts = self.longs if one.long else self.letters
        times = counts[name] = counts.get(name, 0) + 1
        if name in _REFUSED:
            raise OptionError(f"{one.spelled}: {_REFUSED[name]}")
        if name in _CONSTANTS:
            self.fields.update(_CONSTANTS[name])
        elif name in _VALUES:
            field, parse = _VALUES[name]
            self.fields[field] = parse(one, times)
        elif name in _SUMMARY:
            field, parse = _SUMMARY[name]
            self.summary[field] = parse(one, times)
        elif name == "daemonize":
            values.daemonize(one, times)
        elif name == "trace-path":
            self.paths.append(one.value or "")
        elif name in _QUALIFIERS:
            self._qualify(name, one.value or "")
        else:
            self.others.setdefault(f"--{name}", []).append(one.value or "")

    def _expression(self, text: str) -> None:
        """The value of -e, about system calls unless a qualifier says otherwise."""
        word, equals, value = text.partition("=")
        name = _QUALIFIER.get(word) if equals else None
        if name is None:
            name, value = "trace", text
        self.longs[name] = self.longs.get(name, 0) + 1
        if name == "kvm" and value != "vcpu":
            raise OptionError(f"invalid -e kvm= argument: '{value}'")
        if name in _REFUSED:
            raise OptionError(f"-e {text}: {_REFUSED[name]}")
        self._qualify(name, value)

    def _qualify(self, name: str, text: str) -> None:
        """Read a set: the last one of its kind is the one, but injections add up."""
        if name in ("inject", "fault"):
            self.injections.append(parse_injection(text, fault=name == "fault"))
        else:
            self.fields[name.replace("-", "_")] = values.SETS[name](text)

    def given(self, *names: str) -> bool:
        """Whether one of the options was given, however spelled."""
        return any(name in self.letters or name in self.longs for name in names)

    def finish(self) -> TraceOptions:
        """What was asked for, when all of it is known."""
        for name, both in _ONE_SPELLING.items():
            if name in self.letters and name in self.longs:
                raise OptionError(f"{both} cannot be provided simultaneously")
        counted = self.given("summary-only", "summary")
        self._check_summary(counted)
        if self.letters.get("follow-forks", 0) > 1:
            if "output-separately" in self.longs:
                raise OptionError("-ff and --output-separately cannot be provided simultaneously")
            self.fields["output_separately"] = True
        self._check_output(counted)
        notes = tuple(self._notes(counted))
        if "output" in self.fields:
            self.fields.setdefault("quiet", frozenset(("attach", "personality")))
        else:
            self.fields.update(output_append=False, output_separately=False)
        return TraceOptions(
            **self.fields,
            trace_path=tuple(self.paths),
            injections=tuple(self.injections),
            summary=SummaryOptions(**self.summary) if counted else None,
            notes=notes,
        )

    def _check_summary(self, counted: bool) -> None:
        if self.given("summary-only") and self.given("summary"):
            raise OptionError("-c/--summary-only and -C/--summary are mutually exclusive")
        for name, spelled in (("summary-wall-clock", "-w"), ("summary-columns", "-U")):
            if self.given(name) and not counted:
                raise OptionError(f"{spelled}/--{name} must be given with {_COUNTING}")

    def _check_output(self, counted: bool) -> None:
        if not self.fields.get("output_separately"):
            return
        if counted:
            raise OptionError(f"{_COUNTING} and -ff/--output-separately are mutually exclusive")
        output = self.fields.get("output")
        if output is not None and output.is_command:
            raise OptionError("piping the output and -ff/--output-separately are mutually exclusive")

    def _notes(self, counted: bool) -> Iterable[str]:
        if self.given("F"):
            old = "deprecated option -F ignored", "option -F is deprecated, please use -f/--follow-forks instead"
            yield old[0 if self.given("follow-forks") else 1]
        if self.given("summary-sort-by") and not counted:
            yield f"-S/--summary-sort-by has no effect without {_COUNTING}"
        if "output" not in self.fields:
            if self.given("output-append-mode"):
                yield "-A/--output-append-mode has no effect without -o/--output"
            if self.given("output-separately"):
                yield "--output-separately has no effect without -o/--output"
        if self.given("summary-only"):
            for name, spelled in _IN_VAIN.items():
                if self.given(name):
                    yield f"{spelled} has no effect with -c/--summary-only"
        chosen = sum(self.letters.get(name, 0) + self.longs.get(name, 0) for name in ("successful-only", "failed-only"))
        if chosen > 1:
            yield (
                "Only the last of -z/--successful-only/-Z/--failed-only options will take effect."
                " See status qualifier for more complex filters."
            )
