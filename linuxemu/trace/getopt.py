"""Options in front of a program's words, read as getopt_long(3) does.

Letters may stand together (`-fttT -s200`), values behind their option or in the next word, long names may be cut short
as long as only one is meant. The first word that is no option ends them, or `--`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from linuxemu.trace.filters import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Option(NamedTuple):
    """One option.

    Args:
        letter: its short name, "" if it has none.
        names: its long names, without dashes.
        value: "" for none, "required", or "optional" for one that long names take behind = only.
        whole: its long names are never cut short and stand in nobody's way.
    """

    letter: str
    names: tuple[str, ...] = ()
    value: str = ""
    whole: bool = False


class Given(NamedTuple):
    """An option as it was given.

    Args:
        option: which one.
        spelled: its name with dashes, in full.
        value: its value; None without one.
    """

    option: Option
    spelled: str
    value: str | None

    @property
    def long(self) -> bool:
        """It was given by a long name."""
        return self.spelled.startswith("--")


def split(words: list[str], options: Sequence[Option]) -> tuple[list[Given], list[str]]:
    """The options at the head of `words`, and the words behind them.

    Raises:
        OptionError: an option is unknown, ambiguous, lacks its value or has one too many.
    """
    given: list[Given] = []
    rest = list(words)
    while rest and len(rest[0]) > 1 and rest[0][0] == "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            given.append(_long(word, rest, options))
        else:
            given.extend(_letters(word[1:], rest, options))
    return given, rest


def _long(word: str, rest: list[str], options: Sequence[Option]) -> Given:
    head, equals, text = word.partition("=")
    option, name = _find(word, head[2:], options)
    value = text if equals else None
    if equals and not option.value:
        raise OptionError(f"option '--{name}' doesn't allow an argument")
    if option.value == "required" and not equals:
        if not rest:
            raise OptionError(f"option '--{name}' requires an argument")
        value = rest.pop(0)
    return Given(option, f"--{name}", value)


def _find(word: str, name: str, options: Sequence[Option]) -> tuple[Option, str]:
    """The option that a long name, perhaps cut short, belongs to, and the name in full."""
    for option in options:
        if name in option.names:
            return option, name
    found = [
        (option, full)
        for option in options
        if not option.whole
        for full in option.names
        if name and full.startswith(name)
    ]
    if not found:
        raise OptionError(f"unrecognized option '{word}'")
    if any(option is not found[0][0] for option, _ in found):
        possible = " ".join(f"'--{full}'" for _, full in found)
        raise OptionError(f"option '{word}' is ambiguous; possibilities: {possible}")
    return found[0]


def _letters(letters: str, rest: list[str], options: Sequence[Option]) -> Iterator[Given]:
    known = {option.letter: option for option in options if option.letter}
    while letters:
        letter, letters = letters[0], letters[1:]
        option = known.get(letter)
        if option is None:
            raise OptionError(f"invalid option -- '{letter}'")
        if option.value != "required":
            yield Given(option, f"-{letter}", None)
            continue
        if not letters and not rest:
            raise OptionError(f"option requires an argument -- '{letter}'")
        yield Given(option, f"-{letter}", letters or rest.pop(0))
        return
