"""Sets as strace(1) writes them: of system calls, signals, file descriptors and words.

`[!]VALUE[,VALUE...]`, or `all`, or `none`; `!` stands for everything else. What is accepted, and what is said of the
rest, is what strace 6.1 accepts and says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.errors import LinuxEmuError
from syscalls.abi.classes import CLASSES
from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from collections.abc import Mapping

KNOWN = frozenset(X86_64.values())
"""Every system call that has a name."""

_STANDARD = """
    HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG
    XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN
"""
SIGNAL_NAMES = (*_STANDARD.split(), *(f"RT_{number}" for number in range(1, 33)))
"""Names of the signals 1 to 64 without SIG, as strace spells them (the kernel's SIGRTMIN is 32)."""

SIGNALS = frozenset(range(1, len(SIGNAL_NAMES) + 1))
"""Every signal."""

_SIGNAL_NUMBERS = {name: number for number, name in enumerate(SIGNAL_NAMES, 1)}
_LAST_CALL = max(KNOWN)
_PERSONALITIES = ("64", "32", "x32")
_MAX_SIGNAL = 255
_MAX_FD = 0x7FFF_FFFF


class OptionError(LinuxEmuError):
    """A word among strace's options cannot be meant; the text says in one line why."""


class Descriptors:
    """A set of file descriptors, `number in it`; false when it is empty.

    Args:
        numbers: these ones.
        others: all but these instead.
    """

    __slots__ = ("numbers", "others")

    def __init__(self, numbers: frozenset[int] = frozenset(), others: bool = False) -> None:
        self.numbers, self.others = numbers, others

    def __contains__(self, number: object) -> bool:
        return (number in self.numbers) != self.others

    def __bool__(self) -> bool:
        return bool(self.numbers) or self.others

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descriptors) and (self.numbers, self.others) == (other.numbers, other.others)

    def __hash__(self) -> int:
        return hash((self.numbers, self.others))


def system_calls(text: str) -> frozenset[int]:
    """The numbers of a set of system calls.

    Values are names, numbers, classes such as %file, /REGEX, each perhaps with ? in front (it may match nothing) or
    @64, @32, @x32 behind. Programs are 64-bit ones here: @32 and @x32 stand for nothing, and names that only they
    have are not known.

    Args:
        text: such as `open,close`, `!%desc`, `/^get`.

    Raises:
        OptionError: a value is no system call.
    """
    others, values = _values(text, "system call")
    found = frozenset[int]().union(*map(_calls, values))
    return KNOWN - found if others else found


def signals(text: str) -> frozenset[int]:
    """The numbers of a set of signals: names with or without SIG, in any case, or numbers.

    Raises:
        OptionError: a value is no signal.
    """
    others, values = _values(text, "signal")
    found = set()
    for value in values:
        number = signal_number(value)
        if number is None:
            raise OptionError(f"invalid signal '{value}'")
        found.add(number)
    return SIGNALS - found if others else SIGNALS & found


def signal_number(text: str) -> int | None:
    """The number of a signal given by name or number; None if there is none."""
    if _is_number(text):
        number = int(text)
        return number if number <= _MAX_SIGNAL else None
    return _SIGNAL_NUMBERS.get(text.upper().removeprefix("SIG"))


def descriptors(text: str) -> Descriptors:
    """A set of file descriptors.

    Raises:
        OptionError: a value is no number a descriptor can have.
    """
    others, values = _values(text, "descriptor")
    for value in values:
        if not _is_number(value) or int(value) > _MAX_FD:
            raise OptionError(f"invalid descriptor '{value}'")
    return Descriptors(frozenset(map(int, values)), others)


def words(text: str, kind: str, known: Mapping[str, str]) -> frozenset[str]:
    """A set of words, in any case.

    Args:
        text: the set.
        kind: what the words are, for messages.
        known: each word that may be given, with the one that it means.

    Raises:
        OptionError: a word is not known.
    """
    others, values = _values(text, kind)
    found = set()
    for value in values:
        word = known.get(value.lower())
        if word is None:
            raise OptionError(f"invalid {kind} '{value}'")
        found.add(word)
    return frozenset(known.values()) - found if others else frozenset(found)


def _values(text: str, kind: str) -> tuple[bool, list[str]]:
    """Whether everything but the values is meant, and the values."""
    body = text.lstrip("!")
    others = bool((len(text) - len(body)) % 2)
    if body == "none":
        return others, []
    if body == "all":
        return not others, []
    values = [value for value in body.split(",") if value]
    if not values:
        raise OptionError(f"invalid {kind} '{text}'")
    return others, values


def _calls(value: str) -> frozenset[int]:
    """The numbers of one value."""
    text = value.lstrip("?")
    name, at, personality = text.rpartition("@")
    if not at:
        name, personality = text, "64"
    elif personality not in _PERSONALITIES:
        raise OptionError(f"incorrect personality designator '{personality}' in qualification '{text}'")
    found = _matching(name)
    if found is None:
        if text == value:
            raise OptionError(f"invalid system call '{text}'")
        return frozenset()
    return found if personality == "64" else frozenset()


def _matching(name: str) -> frozenset[int] | None:
    """The numbers of a name, a number, a class or an expression; None if there are none."""
    if _is_number(name):  # the gaps between the numbers may be named, too
        return KNOWN & {int(name)} if int(name) <= _LAST_CALL else None
    if name.startswith("/"):
        return _matching_expression(name[1:])
    if name in X86_64:
        return frozenset((X86_64[name],))
    return KNOWN if name == "all" else CLASSES.get(name)


def _matching_expression(text: str) -> frozenset[int] | None:
    from linuxemu.trace.regex import extended

    try:
        expression = extended(text)
    except ValueError as error:
        raise OptionError(f"regcomp: {text}: {error}") from None
    return frozenset(number for call, number in X86_64.items() if expression.search(call)) or None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 12
