"""Tampering with system calls: what `-e inject=` and `-e fault=` of strace(1) ask for, and when it is due.

    SET[:error=ERRNO|:retval=VALUE][:signal=SIG][:syscall=SYSCALL][:delay_enter=TIME][:delay_exit=TIME]
       [:poke_enter=@argN=HEX,...][:poke_exit=@argN=HEX,...][:when=FIRST[..LAST][+[STEP]]]
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from linuxemu.trace.filters import OptionError, signal_number, system_calls
from syscalls.abi import errno
from syscalls.abi.classes import CLASSES
from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from typing import Any

_MAX_ERRNO = 4095
_MAX_COUNT = 65535
_LAST_SIGNAL = 64
_NANOSECONDS = {"": 1_000, "ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_LONGEST_NS = (1 << 63) * 1_000_000_000

_TIME = re.compile(r"\s*\+?((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)(ns|us|ms|s)?", re.ASCII)
_COUNT = re.compile(r"\s*\+?([0-9]{1,9})", re.ASCII)
_WHEN = re.compile(r"\s*\+?([0-9]{1,9})(?:\.\.\s*\+?([0-9]{1,9}))?(?:(\+)(?:\s*\+?([0-9]{1,9}))?)?", re.ASCII)
_POKE = re.compile(r"@arg([1-7])=(0[xX])?((?:[0-9a-fA-F]{2})*)", re.ASCII)
_RETVAL = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,22})", re.ASCII)

# Errors that the kernel keeps to itself (include/linux/errno.h); strace takes their names, too.
KERNEL_ERRORS = {
    "ERESTARTSYS": 512,
    "ERESTARTNOINTR": 513,
    "ERESTARTNOHAND": 514,
    "ENOIOCTLCMD": 515,
    "ERESTART_RESTARTBLOCK": 516,
    "EPROBE_DEFER": 517,
    "EOPENSTALE": 518,
    "EBADHANDLE": 521,
    "ENOTSYNC": 522,
    "EBADCOOKIE": 523,
    "ENOTSUPP": 524,
    "ETOOSMALL": 525,
    "ESERVERFAULT": 526,
    "EBADTYPE": 527,
    "EJUKEBOX": 528,
    "EIOCBQUEUED": 529,
    "ERECALLCONFLICT": 530,
}


class When(NamedTuple):
    """Which calls are tampered with, counted from 1 for each task and each system call.

    Args:
        first: the first one.
        last: none after this one; None for no end.
        step: from the first on every step-th.
    """

    first: int = 1
    last: int | None = None
    step: int = 1

    def hits(self, number: int) -> bool:
        """Whether it is the turn of the call of this number."""
        if number < self.first or (self.last is not None and number > self.last):
            return False
        return (number - self.first) % self.step == 0


class Poke(NamedTuple):
    """Bytes to be written where an argument of the call points to.

    Args:
        argument: which one, from 0; 6 is none of x86-64's, and nothing is written then.
        data: the bytes.
    """

    argument: int
    data: bytes


class Injection(NamedTuple):
    """What is done to a system call, and to which ones.

    Args:
        calls: their numbers.
        error: the errno that the call fails with instead of being made, or None.
        retval: what it returns instead of being made, 0 to 2**64 - 1, or None.
        signal: the signal that the task gets on the way in, or None.
        syscall: the number of the call that is made in its place when there is an `error` or `retval`, or None.
        delay_enter_ns: how long the task waits before the call.
        delay_exit_ns: how long it waits after it.
        poke_enter: what is written to its memory before the call.
        poke_exit: what is written after it.
        when: which of the calls.
    """

    calls: frozenset[int]
    error: int | None = None
    retval: int | None = None
    signal: int | None = None
    syscall: int | None = None
    delay_enter_ns: int = 0
    delay_exit_ns: int = 0
    poke_enter: tuple[Poke, ...] = ()
    poke_exit: tuple[Poke, ...] = ()
    when: When = When()


class Tampering:
    """Counts the calls of each task and says what is due.

    As with strace only calls that are traced count (-e trace, -P): others are not to be asked about. Of several
    injections into one call the last is the one. A new task counts from 1, whatever its parent has counted.

    Args:
        injections: in the order given.
    """

    __slots__ = ("_calls", "_counts")

    def __init__(self, injections: Iterable[Injection]) -> None:
        self._calls = {number: injection for injection in injections for number in injection.calls}
        self._counts: dict[Hashable, dict[int, int]] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to do at all."""
        return bool(self._calls)

    def due(self, task: Hashable, number: int) -> Injection | None:
        """Count a call that begins, and tell what is to be done to it.

        Args:
            task: whose call it is, one key for each thread.
            number: the call.
        """
        injection = self._calls.get(number)
        if injection is None:
            return None
        counts = self._counts.setdefault(task, {})
        count = counts[number] = counts.get(number, 0) + 1
        return injection if injection.when.hits(count) else None

    def forget(self, task: Hashable) -> None:
        """The task has ended; another one may come under its key."""
        self._counts.pop(task, None)


def parse_injection(text: str, *, fault: bool = False) -> Injection:
    """The injection that the value of `-e inject=` stands for.

    Args:
        text: the value.
        fault: it is the value of `-e fault=`, where error, syscall and when may stand only and ENOSYS is the error.

    Raises:
        OptionError: it is none.
    """
    name, *parts = text.split(":")
    calls = system_calls(name)
    try:
        given = _given([part for part in parts if part], fault)
    except ValueError:
        raise OptionError(f"invalid {'fault' if fault else 'inject'} argument '{text}'") from None
    return Injection(calls, **given)


def _given(parts: list[str], fault: bool) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or name not in _PARSERS or (fault and name not in ("error", "syscall", "when")):
            raise ValueError
        if name in given and name != "when":
            raise ValueError
        given[name] = _PARSERS[name](value)
    if fault:
        given.setdefault("error", errno.ENOSYS)
    if ("error" in given and "retval" in given) or not given.keys() - {"when", "syscall"}:
        raise ValueError
    return {_FIELDS.get(name, name): value for name, value in given.items()}


def _error(text: str) -> int:
    name = text.upper()
    number = getattr(errno, name, None) if name[:1] == "E" and name.isalnum() else None
    if isinstance(number, int) and errno.errno_name(number) == name:  # strace knows no second names
        return number
    if name in KERNEL_ERRORS:
        return KERNEL_ERRORS[name]
    found = _COUNT.fullmatch(text)
    if found is None or not 0 < int(found[1]) <= _MAX_ERRNO:
        raise ValueError
    return int(found[1])


def _retval(text: str) -> int:
    found = _RETVAL.fullmatch(text)
    if found is None:
        raise ValueError
    sign, digits = found.groups()
    octal = digits[0] == "0" and len(digits) > 1 and digits[1] not in "xX"
    value = int(digits, 8 if octal else 0)
    if value >> 64:
        raise ValueError
    return -value % (1 << 64) if sign == "-" else value


def _signal(text: str) -> int:
    number = signal_number(text)
    if number is None or not 0 < number <= _LAST_SIGNAL:
        raise ValueError
    return number


def _syscall(text: str) -> int:
    number = X86_64.get(text)
    if number is None or number not in CLASSES["%pure"]:
        raise ValueError
    return number


def parse_time(text: str) -> int:
    """A time in nanoseconds: a decimal number, microseconds unless s, ms, us or ns stands behind it.

    Raises:
        ValueError: it is none.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(text)
    nanoseconds = float(found[1]) * _NANOSECONDS[found[2] or ""]
    if not nanoseconds < _LONGEST_NS:
        raise ValueError(text)
    return int(nanoseconds)


def _pokes(text: str) -> tuple[Poke, ...]:
    if not text:
        raise ValueError
    pokes = []
    for part in text.split(","):
        found = _POKE.fullmatch(part)
        if part and (found is None or not (found[2] or found[3])):
            raise ValueError
        if found is not None:
            pokes.append(Poke(int(found[1]) - 1, bytes.fromhex(found[3])))
    if len({poke.argument for poke in pokes}) < len(pokes):
        raise ValueError
    return tuple(pokes)


def _when(text: str) -> When:
    found = _WHEN.fullmatch(text)
    if found is None:
        raise ValueError
    first, step = int(found[1]), int(found[4] or 1)
    last = int(found[2]) if found[2] else None if found[3] else first
    if not 0 < first <= _MAX_COUNT or not 0 < step <= _MAX_COUNT:
        raise ValueError
    if found[2] and not first <= int(found[2]) < _MAX_COUNT:  # this one means "no end" to strace
        raise ValueError
    return When(first, last, step)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "error": _error,
    "retval": _retval,
    "signal": _signal,
    "syscall": _syscall,
    "delay_enter": parse_time,
    "delay_exit": parse_time,
    "poke_enter": _pokes,
    "poke_exit": _pokes,
    "when": _when,
}
_FIELDS = {"delay_enter": "delay_enter_ns", "delay_exit": "delay_exit_ns"}
