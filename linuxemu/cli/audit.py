"""`linuxemu audit`: the system calls that programs can make, found in their code without running them."""

from __future__ import annotations

import argparse
import errno
import glob
import json
import os
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from linuxemu.cli.options import UsageError, complain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from linuxemu.audit.report import Report

_NAME = "linuxemu audit"
_EPILOG = """\
A number is supported, partial or unsupported here; the functions that say it stand behind it. A site is a `syscall`
instruction; at an unresolved one other numbers than those listed may arrive. Directories are searched for programs,
patterns (*, ?, [...], **) are expanded.

exit status: 0, 1 when something unsupported was found, 2 when something could not be audited
"""


class _File(NamedTuple):
    """A file to audit."""

    path: str
    named: bool
    """It was asked for itself, not found in a directory."""
    why_not: str = ""
    """What keeps it from being read, if that is known already."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def main(words: list[str]) -> int:
    """Carry out `linuxemu audit WORDS` and return the exit status."""
    try:
        options = _parser().parse_args(words)
    except UsageError as error:
        complain(_NAME, f"{error}; {_NAME} --help tells more")
        return 2
    return max(status for path in options.paths for status in _audit_path(path, options))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_NAME,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="List the system calls that x86-64 Linux programs can make, without running them.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="a program, a directory, or a pattern")
    add("--json", action="store_true", help="print one JSON object per file, one per line")
    add("--all", action="store_true", help="print all functions of a call, not just a few")
    add("--progress", action="store_true", help="show progress even if stderr is no terminal")
    return parser


def _audit_path(path: str, options: argparse.Namespace) -> Iterator[int]:
    """Audit what a word of the command line names, and give the exit status of each file."""
    try:
        files = list(_files(path))
    except OSError as error:
        yield _refuse(path, error.strerror or str(error), options)
        return
    done = 0
    for file in files:
        status = _audit_file(file, options)
        if status is not None:
            done += 1
            yield status
    if not done:
        yield _refuse(path, "no x86-64 program in this directory", options)


def _files(path: str) -> Iterator[_File]:
    """The file, or those of a directory or a pattern, each once however many links lead to it."""
    if not os.path.lexists(path) and glob.has_magic(path):
        found = sorted(glob.glob(path, recursive=True))
        if not found:
            raise OSError(errno.ENOENT, "no file matches")
        seen: set[tuple[int, int]] = set()
        for name in found:
            if not os.path.isdir(name):
                yield from _once(name, seen)
        return
    if not stat.S_ISDIR(os.stat(path).st_mode):
        yield _File(path, True)
        return
    yield from _below(path)


def _once(path: str, seen: set[tuple[int, int]]) -> Iterator[_File]:
    """A file that was found, if it is a regular one and not yet seen."""
    try:
        status = os.stat(path)
    except OSError:
        return
    if stat.S_ISREG(status.st_mode) and (status.st_dev, status.st_ino) not in seen:
        seen.add((status.st_dev, status.st_ino))
        yield _File(path, False)


def _below(directory: str) -> Iterator[_File]:
    unreadable: list[OSError] = []
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(directory, onerror=unreadable.append):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                yield from _once(path, seen)
    for error in unreadable:
        yield _File(error.filename, True, error.strerror or str(error))


def _audit_file(file: _File, options: argparse.Namespace) -> int | None:
    """Audit one file and print the result; None if it was found by the way and is no program."""
    from linuxemu.audit.image import AuditError, NotAProgram
    from linuxemu.audit.report import examine

    if file.why_not:
        return _refuse(file.path, file.why_not, options)
    try:
        data = _read(file)
        with _progress(file.path, options.progress) as progress:
            report = examine(data, progress)
    except OSError as error:
        return _refuse(file.path, error.strerror or str(error), options)
    except NotAProgram as error:
        return _refuse(file.path, str(error), options) if file.named else None
    except AuditError as error:
        return _refuse(file.path, str(error), options)
    if options.json:
        _say(json.dumps(report.as_json(file.path)))
    else:
        _note(file.path, report)
        _say(report.as_text(os.fsencode(file.path).decode("utf-8", "replace"), everything=options.all))
    return 1 if report.unsupported else 0


def _read(file: _File) -> bytes:
    if not stat.S_ISREG(os.stat(file.path).st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    with open(file.path, "rb") as stream:
        head = stream.read(4)
        # Most of what lies in a directory is no program, and need not be read.
        return head + stream.read() if head == b"\x7fELF" else head


def _note(path: str, report: Report) -> None:
    if report.stripped:
        complain(_NAME, f"{path}: stripped: functions without a name are shown by address")
    if report.dynamic:
        complain(_NAME, f"{path}: dynamically linked: the calls of its libraries are not listed")


def _refuse(path: str, why: str, options: argparse.Namespace) -> int:
    """Say why there is no result for a path."""
    complain(_NAME, f"{path}: {why}")
    if options.json:
        _say(json.dumps({"path": path, "error": why}))
    return 2


def _say(text: str) -> None:
    """Print and flush: what is found stays, whatever happens to the next file."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


@contextmanager
def _progress(path: str, wanted: bool) -> Iterator[Callable[[float], None]]:
    """A bar on standard error, if a person watches or asks for it."""
    if not (wanted or sys.stderr.isatty()):
        yield lambda _: None
        return
    from tqdm import tqdm

    bar = tqdm(
        total=100, desc=os.path.basename(path), unit="%", leave=False, bar_format="{l_bar}{bar}| {elapsed}"
    )

    def show(part: float) -> None:
        bar.update(int(100 * part) - bar.n)

    with bar:
        yield show
