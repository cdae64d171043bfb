"""The text that strace and `linuxemu trace` write with -f, cut into one sequence of lines per process.

Calls that another process interrupted (`<unfinished ...>`, `<... resumed>`) are joined again. The name of a command
behind the pid that begins a line (-Y) is left out.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE = re.compile(r"(?:(\d+)(?:<[^>]*>)? +)?(.*)", re.DOTALL)
_UNFINISHED = re.compile(r"(?P<begin>.*) <unfinished \.\.\.>(?P<end>\) += \?)?", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_NAME = re.compile(r"(\w+)\(")
_RESULT = re.compile(r" += (.*)", re.DOTALL)
_OPEN, _CLOSE = "([{", ")]}"


class Call(NamedTuple):
    """A system call as it is printed: its name, each argument's text, what follows the equals sign."""

    name: str
    arguments: list[str]
    result: str

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.arguments)}) = {self.result}"


def by_process(text: str) -> dict[int, list[str]]:
    """The lines of each process in their order, calls in one piece; pids in order of appearance."""
    found: dict[int, list[str]] = {}
    pending: dict[int, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        assert match
        pid, said = int(match[1] or 0), match[2]
        lines = found.setdefault(pid, [])
        if resumed := _RESUMED.fullmatch(said):
            said = pending.pop(pid) + resumed[2]
        if unfinished := _UNFINISHED.fullmatch(said):
            if unfinished["end"] is None:
                pending[pid] = unfinished["begin"]
                continue
            said = unfinished["begin"] + " <unfinished>" + unfinished["end"]
        lines.append(said)
    for pid, begin in pending.items():
        found[pid].append(begin + " <unfinished>")
    return found


def parse(line: str) -> Call | None:
    """The call that a line shows, or None when it shows something else (a signal, an end)."""
    head = _NAME.match(line)
    if head is None:
        return None
    arguments, end = _split(line, head.end())
    result = _RESULT.fullmatch(line, end)
    return Call(head[1], arguments, result[1]) if result else None


def _split(line: str, start: int) -> tuple[list[str], int]:
    """The arguments that begin at `start`, and where the text after their closing parenthesis begins."""
    arguments: list[str] = []
    depth, begin, at = 0, start, start
    while at < len(line):
        char = line[at]
        if char == '"':
            at = _string_end(line, at)
        elif line.startswith("/*", at):
            at = line.find("*/", at) + 1
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE and depth:
            depth -= 1
        elif char == ")" or (char == "," and not depth):
            if at > begin or arguments:
                arguments.append(line[begin:at].strip(" "))
            begin = at + 1
            if char == ")":
                return arguments, begin
        at += 1
    return arguments, at


def _string_end(line: str, at: int) -> int:
    """Where the string that begins at `at` has its closing quote."""
    at += 1
    while at < len(line) and line[at] != '"':
        at += 2 if line[at] == "\\" else 1
    return at
