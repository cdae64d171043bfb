"""The machine that a command line asks for: the options that `linuxemu run` and `linuxemu trace` share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from linuxemu.cli.options import Option, UsageError, Values, complain

if TYPE_CHECKING:
    from typing import Any

    from linuxemu.inject import Rule
    from linuxemu.machine import Machine

MACHINE_OPTIONS = (
    Option("--root", "DIR|TAR", "the guest's root: a directory or a tar archive (.tar, .gz, .xz, .zst);\n"
           "without it a small BusyBox system, built on first use"),
    Option("--host-root", "", "this machine's own / is the root, with your working directory and\n"
           "environment; what the guest writes stays in memory"),
    Option("--rw", "", "the guest's writes go to the directory of --root instead of memory"),
    Option("--bind", "HOST:GUEST[:ro|rw]", "show the host's file or directory HOST as GUEST (repeatable);"
           "\nread-only unless :rw", many=True),
    Option("--env", "K=V", "set an environment variable of the program (repeatable)", many=True),
    Option("--cwd", "DIR", "the guest's directory to start in"),
    Option("--user", "UID[:GID]", "run as this user and group (GID is UID unless given); root if not given"),
    Option("--engine", "unicorn", "the CPU"),
    Option("--memory", "MIB", "memory of the machine, for programs and for what they write (1024)"),
    Option("--timeout", "SECONDS", "end everything after this time, with exit status 124"),
    Option("--strict-ipc", "", "pack and unpack every message, as if servers were elsewhere"),
    Option("--inject", "SPEC|@FILE", "inject faults between the kernel's servers, such as\n"
           "fs.write:error=EIO:when=3 or fsx.*:kill:when=5%; @FILE reads them from a\n"
           "TOML file (repeatable; docs/faults.md)", many=True),
)  # fmt: skip
"""What `run` and `trace` have in common; `--env` and `--user` are strace's as well, with the same meaning."""

_ENGINES = ("unicorn",)
_LONGEST_NUMBER = 10
_MAX_ID = 0xFFFF_FFFE  # Linux keeps the id -1 for "no change"


class BindOption(NamedTuple):
    """A checked --bind."""

    host: str
    guest: str
    rw: bool


class MachineOptions(NamedTuple):
    """What is to be run, and in which machine, checked."""

    root: str | None
    host_root: bool
    rw: bool
    binds: list[BindOption]
    env: dict[str, str | None]
    """Variables to set, and with None to remove."""
    cwd: str | None
    user: tuple[int, int] | None
    engine: str
    memory_mib: int | None
    timeout_s: float | None
    strict_ipc: bool
    inject: list[Rule]
    quiet: bool
    """Nothing is said about what is not supported."""
    argv: list[str]


def machine_options(values: Values, argv: list[str], usage: str) -> MachineOptions:
    """Check the options that are about the machine.

    Args:
        values: all that were given.
        argv: the program and its words.
        usage: what to say when there is no program.

    Raises:
        UsageError: something of it cannot be.
    """
    if not argv:
        raise UsageError(f"no program given; {usage}")
    if not argv[0]:
        raise UsageError("the program's name is empty")
    _check_root(values)
    return MachineOptions(
        root=_last(values, "--root"),
        host_root="--host-root" in values,
        rw="--rw" in values,
        binds=[_parse_bind(text) for text in values.get("--bind", [])],
        env=dict(map(_parse_env, values.get("--env", []))),
        cwd=_parse_cwd(_last(values, "--cwd")),
        user=_parse_user(_last(values, "--user")),
        engine=_parse_engine(_last(values, "--engine")),
        memory_mib=_parse_memory(_last(values, "--memory")),
        timeout_s=_parse_timeout(_last(values, "--timeout")),
        strict_ipc="--strict-ipc" in values,
        inject=[rule for text in values.get("--inject", []) for rule in _parse_inject(text)],
        quiet="--quiet" in values,
        argv=argv,
    )


def new_machine(options: MachineOptions, **more: Any) -> Machine:
    """A machine on the caller's standard streams.

    Args:
        options: what it is like.
        more: further arguments of `Machine`.

    Raises:
        LinuxEmuError: the machine cannot be.
    """
    from linuxemu.machine import DEFAULT_MEMORY_MIB, Bind, Machine

    return Machine(
        root=options.root,
        host_root=options.host_root,
        rw=options.rw,
        binds=[Bind(bind.host, bind.guest, bind.rw) for bind in options.binds],
        env=options.env,
        cwd=options.cwd,
        user=options.user,
        engine=options.engine,
        memory_mib=DEFAULT_MEMORY_MIB if options.memory_mib is None else options.memory_mib,
        timeout_s=options.timeout_s,
        strict_ipc=options.strict_ipc or None,
        inject=options.inject,
        stdin="inherit",
        stdout="inherit",
        stderr="inherit",
        **more,
    )


def run_machine(tool: str, options: MachineOptions, **more: Any) -> tuple[int, Machine | None]:
    """Run a program on the caller's standard streams.

    Args:
        tool: what error messages begin with.
        options: program and machine.
        more: further arguments of `Machine`.
    Returns:
        The exit status, and the machine if it has run.
    """
    import gc

    from linuxemu.errors import LinuxEmuError

    # Booting makes tens of thousands of objects that stay: looking for cycles every 700 of them is wasted.
    gc.set_threshold(100_000, 10, 10)
    try:
        machine = new_machine(options, **more)
        result = machine.run(options.argv)
    except LinuxEmuError as error:
        complain(tool, str(error))
        return int(getattr(error, "exit_status", 2)), None
    except KeyboardInterrupt:  # before the guest was there to take it
        return 130, None
    for done in machine.injected:
        if not done.fired:  # a run without the fault proves nothing about it
            complain(tool, f"--inject: {done.rule} hit none of {done.matched} messages")
    return int(result.exit_status), machine


def _last(values: Values, name: str) -> str | None:
    return values[name][-1] if name in values else None


def _check_root(values: Values) -> None:
    root = _last(values, "--root")
    if "--host-root" in values:
        if root is not None:
            raise UsageError("--root and --host-root exclude each other")
        if "--rw" in values:
            raise UsageError("--rw does not go with --host-root; to change one directory: --bind DIR:DIR:rw")
    if "--rw" in values and root is None:
        raise UsageError("--rw needs --root DIR")
    if root is not None:
        _must_exist("--root", root)
        if "--rw" in values and not os.path.isdir(root):
            raise UsageError(f"--rw: {root} is not a directory, it cannot be written to")


def _must_exist(option: str, path: str) -> None:
    try:
        os.stat(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{option}: {path}: {why}") from None


def _parse_bind(text: str) -> BindOption:
    head, _, mode = text.rpartition(":")
    rw = mode == "rw"
    host, colon, guest = (head if mode in ("ro", "rw") else text).rpartition(":")
    if not (colon and host and guest):
        raise UsageError(f"--bind: {text!r} is not HOST:GUEST[:ro|rw]")
    if not guest.startswith("/"):
        if ":/" in host:
            raise UsageError(f"--bind: {text!r} ends in {guest!r}, which is neither ro nor rw")
        raise UsageError(f"--bind: the guest's path {guest!r} does not begin with /")
    _must_exist("--bind", host)
    return BindOption(host, guest, rw)


def _parse_env(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not (equals and name):
        raise UsageError(f"--env: {text!r} is not NAME=VALUE")
    return name, value


def _parse_cwd(text: str | None) -> str | None:
    if text is not None and not text.startswith("/"):
        raise UsageError(f"--cwd: {text!r} is not an absolute path of the guest")
    return text


def _parse_user(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    uid, colon, gid = text.partition(":")
    parts = (uid, gid if colon else uid)
    if not all(part.isascii() and part.isdigit() and int(part) <= _MAX_ID for part in parts):
        raise UsageError(f"--user: {text!r} is not UID[:GID] in numbers")
    return int(parts[0]), int(parts[1])


def _parse_engine(text: str | None) -> str:
    if text is None:
        return _ENGINES[0]
    if text not in _ENGINES:
        raise UsageError(f"--engine: no engine {text!r}; there is {', '.join(_ENGINES)}")
    return text


def _parse_memory(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < _LONGEST_NUMBER):
        raise UsageError(f"--memory: {text!r} is not a number of MiB")
    return int(text)


def _parse_timeout(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < 1e9:
        raise UsageError(f"--timeout: {text!r} is not a number of seconds above 0")
    return seconds


def _parse_inject(text: str) -> list[Rule]:
    from linuxemu.inject import InjectError, parse, parse_toml

    try:
        if not text.startswith("@"):
            return [parse(text)]
        with open(text[1:], encoding="utf-8") as file:
            return parse_toml(file.read())
    except InjectError as error:
        where = f"{text[1:]}: " if text.startswith("@") else ""
        raise UsageError(f"--inject: {where}{error}") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"--inject: {text[1:]}: {why}") from None
