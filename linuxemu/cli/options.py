"""Options in front of a program's own words, read without argparse.

`linuxemu run` is started often and must start fast; argparse and what it imports take 8 ms. This reader knows
what `run` needs: options end at the first word that is not one, or at `--`; names are never abbreviated.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class UsageError(Exception):
    """The command line is wrong; the text says in one line how."""


def complain(tool: str, why: str) -> None:
    """Say in one line on standard error what is wrong."""
    text = " ".join(why.split("\n"))
    try:
        os.write(2, f"{tool}: {text}\n".encode("utf-8", "surrogateescape"))
    except OSError:
        pass  # nobody listens there; the exit status still says it


def version() -> str:
    """The version of linuxemu that is installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("linuxemu")
    except PackageNotFoundError:
        return "(not installed)"


class Option(NamedTuple):
    """One option: its name with dashes, what its value is called ("" for none), and a line of help."""

    name: str
    value: str
    help: str
    many: bool = False


Values = dict[str, list[str]]
"""Given options by name, each with all its values in order; an option without a value holds [""]."""


def split(words: list[str], options: tuple[Option, ...]) -> tuple[Values, list[str]]:
    """The options at the head of `words`, and the words behind them."""
    known = {option.name: option for option in options}
    values: Values = {}
    position = 0
    while position < len(words):
        word = words[position]
        if word == "--":
            return values, words[position + 1 :]
        if len(word) < 2 or word[0] != "-":
            break
        if word == "-h":
            word = "--help"
        name, equals, value = word.partition("=")
        option = known.get(name)
        if option is None:
            raise UsageError(f"unknown option {name}")
        position += 1
        if not option.value:
            if equals:
                raise UsageError(f"{name} takes no value")
        elif not equals:
            if position == len(words):
                raise UsageError(f"{name} needs a value: {option.value}")
            value = words[position]
            position += 1
        if option.many:
            values.setdefault(name, []).append(value)
        else:
            values[name] = [value]
    return values, words[position:]


def describe(options: tuple[Option, ...], least: int = 0) -> str:
    """The options as aligned lines of help.

    Args:
        options: which ones.
        least: the column in which their help begins at the earliest.
    """
    heads = [f"  {option.name} {option.value}".rstrip() for option in options]
    width = max(least, *(len(head) + 2 for head in heads))
    lines = []
    for head, option in zip(heads, options, strict=True):
        first, *more = option.help.split("\n")
        lines.append(f"{head:<{width}}{first}")
        lines.extend(f"{'':<{width}}{line}" for line in more)
    return "\n".join(lines)
