"""`linuxemu syscalls`: every system call of x86-64 Linux, and what becomes of it here."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from linuxemu.cli.options import UsageError, complain

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = "linuxemu syscalls"
_EPILOG = """\
A call is full, partial (what is missing stands below it) or unsupported (it answers ENOSYS). The errors
are all that it can fail with; the messages are those to servers that its tests have seen.

exit status: 0, 1 when a named call is unsupported, 2 for an unknown name
"""
UNSUPPORTED = "unsupported"


class Entry(NamedTuple):
    """A system call.

    Args:
        number: its number.
        name: Linux's name.
        support: "full", "partial" or "unsupported".
        notes: what is missing.
        arguments: names of its arguments.
        errors: names of the error numbers it can fail with.
        messages: names of the messages it may send.
    """

    number: int
    name: str
    support: str
    notes: str
    arguments: tuple[str, ...]
    errors: tuple[str, ...]
    messages: tuple[str, ...]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def main(words: list[str]) -> int:
    """Carry out `linuxemu syscalls WORDS` and return the exit status."""
    try:
        options = _parser().parse_args(words)
        found = _chosen(table(), options.names, options.support)
    except UsageError as error:
        complain(_NAME, f"{error}; {_NAME} --help tells more")
        return 2
    if options.json:
        print(json.dumps([entry._asdict() for entry in found], indent=2))
    else:
        for line in text(found, details=bool(options.names)):
            print(line)
    return int(bool(options.names) and any(entry.support == UNSUPPORTED for entry in found))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_NAME,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="List the system calls of x86-64 Linux, and how far each is supported.",
        epilog=_EPILOG,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these, with everything known of them")
    parser.add_argument("--support", choices=["full", "partial", UNSUPPORTED], help="only calls with this support")
    parser.add_argument("--json", action="store_true", help="print JSON: a list of objects, one for each call")
    return parser


def table() -> list[Entry]:
    """All calls, by number."""
    from syscalls import handlers
    from syscalls.abi.numbers import X86_64
    from syscalls.rpcs import RPCS
    from syscalls.signatures import signature_of

    handlers.load()
    entries = []
    for name, number in sorted(X86_64.items(), key=lambda item: item[1]):
        call = signature_of(number)
        assert call is not None, name
        messages = tuple(RPCS.get(name, "").split())
        entries.append(Entry(number, name, call.support, call.notes, call.names, call.errors, messages))
    return entries


def _chosen(entries: list[Entry], names: list[str], support: str | None) -> list[Entry]:
    known = {entry.name: entry for entry in entries}
    for name in names:
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, known, 3)
            hint = f", is it {' or '.join(near)}?" if near else ""
            raise UsageError(f"x86-64 Linux has no system call {name!r}{hint}")
    found = [known[name] for name in names] if names else entries
    return [entry for entry in found if support in (None, entry.support)]


def text(entries: Iterable[Entry], *, details: bool) -> Iterable[str]:
    """Lines for people: one for each call, notes of partial ones below it.

    Args:
        details: tell arguments, errors and messages as well.
    """
    for entry in entries:
        arguments = f"({', '.join(entry.arguments)})" if details else ""
        yield f"{entry.number:3}  {entry.support:<11}  {entry.name}{arguments}"
        if entry.notes:
            yield f"{'':18}{entry.notes}"
        if details:
            if entry.errors:
                yield f"{'':18}errors: {' '.join(entry.errors)}"
            if entry.support != UNSUPPORTED:
                yield f"{'':18}messages: {' '.join(entry.messages) or 'none'}"
