"""Rules as text: the SPEC of `--inject`, and TOML files of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from linuxemu.idl import codes
from linuxemu.idl.codes import posix_error
from linuxemu.inject.rules import ALWAYS, InjectError, Rule, When, check
from syscalls.abi import errno

if TYPE_CHECKING:
    from typing import Any

_NANOSECONDS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_DELAY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s)", re.ASCII)
_WHEN = re.compile(r"([0-9]{1,9})(?:\.\.([0-9]{1,9}))?(\+([0-9]{1,9})?)?", re.ASCII)
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%", re.ASCII)
_LONGEST_DELAY = 3600 * 1_000_000_000
_ACTIONS = ("error", "delay", "drop", "kill")
_KEYS = ("message", *_ACTIONS, "when", "seed")


def parse(text: str) -> Rule:
    """The rule of a SPEC: MESSAGES:ACTION[:when=EXPR][:seed=N].

    Raises:
        InjectError: it is none; one line says what is wrong.
    """
    try:
        return _parse(text)
    except InjectError as problem:
        raise InjectError(f"{text!r}: {problem}") from None


def _parse(text: str) -> Rule:
    head, *parts = text.split(":")
    messages = tuple(head.split(","))
    if not all(messages):
        raise InjectError("a message's name is missing")
    given: dict[str, str | None] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if name not in _KEYS[1:]:
            raise InjectError(f"{name!r} is none of {', '.join(_KEYS[1:])}")
        if name in given:
            raise InjectError(f"{name} is given twice")
        given[name] = value if equals else None
    actions = [name for name in given if name in _ACTIONS]
    if len(actions) != 1:
        what = " and ".join(actions) if actions else "nothing"
        raise InjectError(f"{what} is to be done: it must be one of error, delay, drop, kill")
    action = actions[0]
    when, seed = given.get("when", ""), given.get("seed", "")
    return check(
        Rule(
            messages,
            action,
            _value(action, given[action]),
            ALWAYS if when == "" and "when" not in given else _when(when or ""),
            0 if "seed" not in given else _seed(seed or ""),
        )
    )


def _value(action: str, value: str | None) -> int:
    if action == "error":
        return _error(value or "")
    if action == "delay":
        return _delay(value or "")
    if action == "kill" and value == "after":
        return 1
    if value is not None:
        raise InjectError(f"{action}={value}: {action} takes no such value")
    return 0


def _error(name: str) -> int:
    """The error word that a Linux errno or a word of the kernel stands for."""
    word = getattr(codes, name, None) if name.startswith("ERR_") else None
    if isinstance(word, int):
        return word
    number = getattr(errno, name, None) if name.startswith("E") and name.isupper() else None
    if not isinstance(number, int):
        raise InjectError(f"error={name}: neither an errno of Linux nor an error word of the kernel")
    return posix_error(number)


def _delay(text: str) -> int:
    found = _DELAY.fullmatch(text)
    nanoseconds = round(float(found[1]) * _NANOSECONDS[found[2]]) if found else 0
    if not 0 < nanoseconds <= _LONGEST_DELAY:
        raise InjectError(f"delay={text}: not a time of at most an hour such as 10ms (us, ms, s)")
    return nanoseconds


def _when(text: str) -> When:
    """One number, a range or a share, see docs/faults.md."""
    share = _SHARE.fullmatch(text)
    if share is not None and 0 < float(share[1]) <= 100:
        return When(percent=float(share[1]))
    found = _WHEN.fullmatch(text)
    if found is not None:
        first, last = int(found[1]), int(found[2] or 0)
        step = int(found[4] or 1)
        if first and step and (found[2] is None or first <= last):
            return When(first, step, last if found[2] else 0 if found[3] else first)
    raise InjectError(f"when={text}: not one of 3, 3+, 3+2, 2..5, 25%")


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InjectError(f"seed={text}: not a number")
    return int(text)


def parse_toml(text: str) -> list[Rule]:
    """The rules of a TOML file: tables [[inject]] whose keys are the parts of a SPEC.

    Raises:
        InjectError: it is no TOML, or a table is no rule.
    """
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise InjectError(f"not TOML: {problem}") from None
    tables = document.pop("inject", None)
    if document or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InjectError("it must hold tables [[inject]] and nothing else")
    rules = []
    for number, table in enumerate(tables, 1):
        try:
            rules.append(_parse(_as_spec(table)))
        except InjectError as problem:
            raise InjectError(f"rule {number}: {problem}") from None
    return rules


def _as_spec(table: dict[str, Any]) -> str:
    message = table.pop("message", "")
    parts = [",".join(map(str, message)) if isinstance(message, list) else str(message)]
    for key, value in table.items():
        if value is True:
            parts.append(key)
        elif value is not False:
            parts.append(f"{key}={value}")
    if any(":" in part for part in parts):
        raise InjectError("a value has a colon in it")
    return ":".join(parts)
