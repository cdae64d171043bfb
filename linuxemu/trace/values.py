"""What the values of strace's options mean, one function for each kind.

Each takes the option as given and how often it has been given by that name, and raises `OptionError` in strace's words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from linuxemu.trace import options
from linuxemu.trace.filters import Descriptors, OptionError, descriptors, signals, system_calls, words
from linuxemu.trace.options import Output, Timestamps
from linuxemu.trace.summary import COLUMNS, ORDERS
from linuxemu.trace.tampering import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.trace.getopt import Given

_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_QUIET = {word: word for word in options.QUIET} | {"exits": "exit", "superseded": "thread-execve"}
_QUIET_LEVELS = ("attach,personality", "attach,personality,exit", "all")
_HEX_STRINGS = {"none": "", "non-ascii-chars": "non-ascii-chars", "non-ascii": "non-ascii", "all": "all"}
_INTERRUPTIBLE = {"anywhere": 1, "waiting": 2, "never": 3, "never_tstp": 4}
_DAEMONIZE = ("grandchild", "pgroup", "pgrp", "session")
_NUMBER = re.compile(r"\s*\+?([0-9]{1,10})", re.ASCII)
_LONGEST_STRING = 0x3FFF_FFFF
_LAST_COLUMN = 0x7FFF_FFFF


def _set_of(kind: str, known: dict[str, str]) -> Callable[[str], frozenset[str]]:
    return lambda text: words(text, kind, known)


SETS: dict[str, Callable[[str], frozenset[int] | frozenset[str] | Descriptors]] = {
    "trace": system_calls,
    "abbrev": system_calls,
    "verbose": system_calls,
    "raw": system_calls,
    "signals": signals,
    "status": _set_of("status", {word: word for word in options.STATUSES}),
    "quiet": _set_of("quiet", _QUIET),
    "decode-fds": _set_of("decode-fds", {word: word for word in options.FD_DETAILS}),
    "decode-pids": _set_of("decode-pids", {word: word for word in options.PID_DETAILS}),
    "read": descriptors,
    "write": descriptors,
}
"""What reads the set behind each qualifier of -e."""


def invalid(one: Given) -> OptionError:
    """The error of a value that an option does not take."""
    return OptionError(f"invalid {one.spelled} argument: '{one.value}'")


def _number(one: Given, lowest: int, highest: int) -> int:
    found = _NUMBER.fullmatch(one.value or "")
    if found is None or not lowest <= int(found[1]) <= highest:
        raise invalid(one)
    return int(found[1])


def detach_on(one: Given, times: int) -> bool:
    """-b SYSCALL."""
    if one.value != "execve":
        raise OptionError(f"Syscall '{one.value}' for -b isn't supported")
    return True


def daemonize(one: Given, times: int) -> None:
    """-D, -DD, -DDD, --daemonize[=HOW]."""
    if one.value is not None and one.value.lower() not in _DAEMONIZE:
        raise invalid(one)
    if times > len("DDD") and not one.long:
        raise OptionError(f"Too many -D's ({times}), maximum supported -D count is 3")


def interruptible(one: Given, times: int) -> int:
    """-I HOW, by number or name."""
    return _INTERRUPTIBLE.get((one.value or "").lower()) or _number(one, 1, len(_INTERRUPTIBLE))


def columns(one: Given, times: int) -> int:
    """-a COLUMN."""
    return _number(one, 0, _LAST_COLUMN)


def string_limit(one: Given, times: int) -> int:
    """-s SIZE."""
    return _number(one, 0, _LONGEST_STRING)


def quiet(one: Given, times: int) -> frozenset[str]:
    """-q, -qq, -qqq, --quiet[=SET]."""
    level = _QUIET_LEVELS[0 if one.long else min(times, len(_QUIET_LEVELS)) - 1]
    return words(level if one.value is None else one.value, "quiet", _QUIET)


def decode_fds(one: Given, times: int) -> object:
    """-y, -yy, --decode-fds[=SET]."""
    default = "all" if times > 1 and not one.long else "path"
    return SETS["decode-fds"](default if one.value is None else one.value)


def output(one: Given, times: int) -> Output:
    """-o FILE, -o '|COMMAND', -o '!COMMAND'."""
    text = one.value or ""
    is_command = text[:1] in ("|", "!")
    return Output(text[1:] if is_command else text, is_command)


def digits(one: Given, times: int) -> int:
    """The precision of -r and -T: microseconds unless said otherwise."""
    found = _DIGITS.get("us" if one.value is None else one.value.lower())
    if found is None:
        raise invalid(one)
    return found


def absolute_timestamps(one: Given, times: int) -> Timestamps | None:
    """-t, -tt, -ttt, --absolute-timestamps[=[format:]FORMAT,[precision:]PRECISION]."""
    letters = 0 if one.long else times
    form, precision = ("unix" if letters > 2 else "time"), ("us" if letters > 1 else "s")
    for part in (one.value or "").lower().split(","):
        kind, _, word = part.rpartition(":")
        if word in ("none", "time", "unix") and kind in ("", "format"):
            form = word
        elif word in _DIGITS and kind in ("", "precision"):
            precision = word
        elif part:
            raise invalid(one)
    return Timestamps(form, _DIGITS[precision]) if form != "none" else None


def hex_strings(one: Given, times: int) -> str:
    """-x, -xx, --strings-in-hex[=WHICH]."""
    default = "non-ascii" if times == 1 and not one.long else "all"
    word = (default if one.value is None else one.value).lower()
    if word not in _HEX_STRINGS:
        raise invalid(one)
    return _HEX_STRINGS[word]


def constants(one: Given, times: int) -> str:
    """-X FORMAT."""
    if one.value not in ("raw", "abbrev", "verbose"):
        raise invalid(one)
    return one.value


def overhead(one: Given, times: int) -> int:
    """-O TIME, in nanoseconds."""
    try:
        return parse_time(one.value or "")
    except ValueError:
        raise invalid(one) from None


def sort_by(one: Given, times: int) -> str:
    """-S ORDER."""
    order = ORDERS.get(one.value or "")
    if order is None:
        raise OptionError(f"invalid sortby: '{one.value}'")
    return order


def summary_columns(one: Given, times: int) -> tuple[str, ...]:
    """-U COLUMNS."""
    names: list[str] = []
    given = (one.value or "").split(",")
    for position, word in enumerate(given):
        if word not in COLUMNS:
            raise OptionError(f"unknown column name: '{word}'")
        if COLUMNS[word] in names:
            again = "call summary column has been provided more than once"
            raise OptionError(f"{again}: '{word}' (-U option residual: '{','.join(given[position:])}')")
        names.append(COLUMNS[word])
    return tuple(names)
