"""`linuxemu rootfs`: build root file systems."""

from __future__ import annotations

import sys

from linuxemu.cli.options import Option, UsageError, describe, split

_OPTIONS = (
    Option("--busybox", "PATH", "take this static x86-64 busybox; it is read, never run on the host"),
    Option(
        "--output", "DIR", "build the root at DIR instead of the cache; use it with `linuxemu run --root DIR`"
    ),
    Option("--force", "", "build again and replace a root that is there"),
    Option("--help", "", "show this help"),
)

_USAGE = "usage: linuxemu rootfs build [--busybox PATH] [--output DIR] [--force]"

_HELP = """\
{usage}

Build the root file system that `linuxemu run` uses when it is given none: a small system around BusyBox.
`linuxemu run` does so by itself when it is first needed. The root's directory is printed.

options:
{options}

Without --busybox the first static busybox in PATH is taken, else that of the Debian package busybox-static,
which is downloaded with apt-get and not installed. Without --output the root is kept in the first of
$LINUXEMU_CACHE, $XDG_CACHE_HOME/linuxemu, ~/.cache/linuxemu.
"""


def main(words: list[str]) -> int:
    """Carry out `linuxemu rootfs WORDS` and return the exit status."""
    try:
        return _build(words)
    except UsageError as error:
        _complain(str(error))
        return 2


def _build(words: list[str]) -> int:
    from linuxemu.errors import LinuxEmuError

    asks_for_help = words[:1] in (["--help"], ["-h"])
    if words[:1] != ["build"] and not asks_for_help:
        what = f"unknown command {words[0]!r}" if words else "no command given"
        raise UsageError(f"{what}; {_USAGE}")
    values, rest = split(words[not asks_for_help :], _OPTIONS)
    if rest:
        raise UsageError(f"unexpected argument {rest[0]!r}; {_USAGE}")
    if "--help" in values:
        sys.stdout.write(_HELP.format(usage=_USAGE, options=describe(_OPTIONS)))
        return 0
    given = {name: value[-1] for name, value in values.items()}
    if not all(value for name, value in given.items() if name in ("--busybox", "--output")):
        raise UsageError("a path is empty")
    try:
        path = _run(given.get("--busybox"), given.get("--output"), "--force" in given)
    except LinuxEmuError as error:
        _complain(str(error))
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


def _run(busybox: str | None, output: str | None, force: bool) -> str:
    from rootfs.builder import build_default_root, build_root

    if output is None:
        return build_default_root(busybox, force=force, note=_complain)
    return build_root(output, busybox, force=force, note=_complain)


def _complain(text: str) -> None:
    line = " ".join(text.split("\n"))
    sys.stderr.write(f"linuxemu rootfs: {line}\n")
