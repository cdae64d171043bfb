"""Extended regular expressions of POSIX (man 7 regex), with the additions of glibc, as Python's `re` has them."""

from __future__ import annotations

import re

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}
_ESCAPES = {letter: f"\\{letter}" for letter in "wWsSbB123456789"} | {
    "<": "\\b(?=\\w)",
    ">": "\\b(?<=\\w)",
    "`": "\\A",
    "'": "\\Z",
}
_ITEM = re.compile(
    r"\[\^?\]?(?:\[:[^\]]*:\]|\[\.[^\]]*\.\]|\[=[^\]]*=\]|[^\]])*+\]"  # a bracket expression
    r"|\\.|\{[0-9]*(?:,[0-9]*)?\}|[*+?]|.",
    re.DOTALL,
)
_BRACKET_ITEM = re.compile(r"\[:([^\]]*):\]|\[([.=])(.)\2\]|(.)", re.DOTALL)
_LONGEST_COUNT = 255
_NOT_REPEATABLE = {"(", "|", "^", "\\<", "\\>", "\\b", "\\B", "\\`", "\\'"}


def extended(text: str) -> re.Pattern[str]:
    """Compile an expression whose `search` finds what regexec(3) does.

    Args:
        text: the expression.

    Raises:
        ValueError: it is none; the text says what is wrong.
    """
    out: list[str] = []
    groups: list[int] = []  # where those that are open begin
    atom = -1  # where what can be repeated begins
    repeated = False
    for item in _ITEM.findall(text):
        if item in "*+?" or item[0] == "{":
            if atom < 0:
                raise ValueError("Invalid preceding regular expression")
            if repeated:  # Python means something else by two in a row
                out[atom:] = ["(?:", *out[atom:], ")"]
            out.append(_repetition(item))
            repeated = True
            continue
        repeated = False
        closes = item == ")" and bool(groups)
        atom = -1 if item in _NOT_REPEATABLE else groups.pop() if closes else len(out)
        if item == "(":
            groups.append(len(out))
        out.append(item if closes else _plain(item))
    if groups:
        raise ValueError("Unmatched ( or \\(")
    try:
        return re.compile("".join(out), re.ASCII)
    except RecursionError:
        raise ValueError("Regular expression too big") from None
    except re.error as error:
        raise ValueError(error.msg) from None


def _plain(item: str) -> str:
    """What is neither a repetition nor the end of a group, in Python's spelling."""
    if item == "[":
        raise ValueError("Unmatched [, [^, [:, [., or [=")
    if item[0] == "[":
        return _bracket(item)
    if item == "\\":
        raise ValueError("Trailing backslash")
    if item[0] == "\\":
        return _ESCAPES.get(item[1]) or re.escape(item[1])
    return item if item in "(.|^$" else re.escape(item)


def _repetition(item: str) -> str:
    if item == "{":
        raise ValueError("Unmatched \\{")
    if item[0] != "{":
        return item
    low, comma, high = item[1:-1].partition(",")
    if not (low or comma) or (low and high and int(low[:9]) > int(high[:9])):
        raise ValueError("Invalid content of \\{\\}")
    if any(int(count[:9]) > _LONGEST_COUNT for count in (low, high) if count):
        raise ValueError("Regular expression too big")
    return f"{{{low or 0}{comma}{high}}}"


def _bracket(item: str) -> str:
    """A bracket expression: no escapes in it, but names of classes."""
    inverted = item[1] == "^"
    items = [_member(found) for found in _BRACKET_ITEM.finditer(item[2 if inverted else 1 : -1])]
    out = []
    position = 0
    while position < len(items):
        member = items[position]
        if len(member) > 1 or position + 2 >= len(items) or items[position + 1] != "-":
            out.append(member if len(member) > 1 else _escape(member))
            position += 1
            continue
        end = items[position + 2]
        if len(end) > 1 or end < member:
            raise ValueError("Invalid range end")
        out.append(f"{_escape(member)}-{_escape(end)}")
        position += 3
    return f"[{'^' if inverted else ''}{''.join(out)}]"


def _member(found: re.Match[str]) -> str:
    """One character of a bracket expression, or Python's spelling of a class."""
    name, _, collating, character = found.groups()
    if name is None:
        return collating or character
    if name not in _CLASSES:
        raise ValueError("Invalid character class name")
    return _CLASSES[name]


def _escape(character: str) -> str:
    return character if character.isalnum() or character == "_" else f"\\{character}"
