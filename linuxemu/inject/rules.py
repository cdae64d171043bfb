"""What a rule is: which messages, what is done to them, which of them it hits."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from linuxemu.errors import LinuxEmuError
from linuxemu.idl.codes import error_name, posix_errno
from linuxemu.messages import BY_ID
from syscalls.abi.errno import errno_name

if TYPE_CHECKING:
    from linuxemu.messages import Message

NOTIFICATIONS = {"notify.timer": 1, "notify.irq": 2, "notify.aborted": 4, "notify.async": 8}
"""The kernel's notification bits, by the names that rules have for them."""
_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns"))
_MASK = 0xFFFF_FFFF_FFFF_FFFF
_PARTS = 1 << 32

REQUESTS: dict[str, type[Message]] = {
    message.NAME: message for message in BY_ID.values() if not message.NAME.endswith("_reply")
}
"""Every message that a server can be sent, by name."""


class InjectError(LinuxEmuError):
    """A rule that cannot be meant; the text says in one line why."""


class When(NamedTuple):
    """Which of the matching messages are hit, counted from 1.

    Args:
        first: the first one.
        step: from there on every step-th.
        last: none after this one; 0 for no end.
        percent: a random share instead of a count, 0 for none.
    """

    first: int = 1
    step: int = 1
    last: int = 0
    percent: float = 0

    def __str__(self) -> str:
        if self.percent:
            return f"{self.percent:g}%"
        if self.last == self.first:
            return str(self.first)
        step = f"+{self.step}" if self.step > 1 else ""
        return f"{self.first}..{self.last}{step}" if self.last else f"{self.first}{step or '+'}"

    def hits(self, number: int, seed: int) -> bool:
        """Whether the message of this number is hit."""
        if self.percent:
            return _noise(seed, number) < self.percent / 100 * _PARTS
        if number < self.first or (self.last and number > self.last):
            return False
        return (number - self.first) % self.step == 0


ALWAYS = When()


def _noise(seed: int, number: int) -> int:
    """32 bits that look random and depend on nothing else (splitmix64)."""
    value = (seed * 0x9E37_79B9 + number) * 0x9E37_79B9_7F4A_7C15 & _MASK
    value = (value ^ value >> 30) * 0xBF58_476D_1CE4_E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D0_49BB_1331_11EB & _MASK
    return (value ^ value >> 31) >> 32


class Rule(NamedTuple):
    """One rule. `parse` makes it of text, `str` is that text again.

    Args:
        messages: patterns of message names, each perhaps with @ and a pattern of the server's name or place.
        action: "error", "delay", "drop" or "kill".
        value: the error word, the delay in nanoseconds, or for "kill" 1 to kill after serving.
        when: which messages are hit.
        seed: another number, another random share.
    """

    messages: tuple[str, ...]
    action: str
    value: int = 0
    when: When = ALWAYS
    seed: int = 0

    def __str__(self) -> str:
        text = f"{','.join(self.messages)}:{self._action()}"
        if self.when != ALWAYS:
            text += f":when={self.when}"
        return text + (f":seed={self.seed}" if self.seed else "")

    def _action(self) -> str:
        if self.action == "error":
            number = posix_errno(self.value)
            return f"error={error_name(self.value) if number is None else errno_name(number)}"
        if self.action == "delay":
            unit, name = next((unit, name) for unit, name in _UNITS if self.value % unit == 0)
            return f"delay={self.value // unit}{name}"
        return f"{self.action}=after" if self.action == "kill" and self.value else self.action

    def matches(self, name: str, server: tuple[str, ...] = ()) -> bool:
        """Whether the rule is about a message.

        Args:
            name: the message's.
            server: what the server that gets it is called.
        """
        return any(_matches(pattern, name, server) for pattern in self.messages)

    def names(self, name: str) -> bool:
        """Whether the rule is about a message by its very name, not by a pattern for many."""
        return any(pattern.partition("@")[0] == name for pattern in self.messages)

    def notifications(self) -> int:
        """The notification bits that it is about."""
        if self.action != "drop":
            return 0
        return sum(bit for name, bit in NOTIFICATIONS.items() if self.matches(name))

    def suits(self, name: str) -> bool:
        """Whether the action can be done to such a message at all."""
        if name in NOTIFICATIONS:
            return self.action == "drop"
        answered = REQUESTS[name].REPLY is not None or name == "async"
        return self.action in ("delay", "kill") or answered == (self.action == "error")


def _matches(pattern: str, name: str, server: tuple[str, ...]) -> bool:
    message, at, where = pattern.partition("@")
    if not fnmatchcase(name, message) if "." in message else name != message:
        return False
    return not at or not server or any(fnmatchcase(called, where) for called in server)


def check(rule: Rule) -> Rule:
    """The rule, if it can be meant.

    Raises:
        InjectError: a pattern stands for no message, or for none that the action can be done to.
    """
    for pattern in rule.messages:
        found = [name for name in (*REQUESTS, *NOTIFICATIONS) if _matches(pattern, name, ())]
        if not found:
            raise InjectError(f"no message is called {pattern.partition('@')[0]!r}")
        if any(rule.suits(name) for name in found):
            continue
        if found[0] in NOTIFICATIONS:
            raise InjectError(f"{pattern} is a notification: it can only be dropped")
        if rule.action == "drop":
            raise InjectError(f"{pattern} has a reply that its caller waits for: it cannot be dropped")
        raise InjectError(f"{pattern} has no reply that could be an error: it can be dropped")
    return rule
