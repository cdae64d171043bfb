"""Makes a script that differs as small as it can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.differ.script import Call, Fork, Group, Number, ScriptError, Space, Text, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tools.differ.script import Expression, Script, Statement

_ROUNDS = 60
_AT_ONCE = 24


def shrink(script: Script, differ: Callable[[list[Script]], list[bool]]) -> Script:
    """The smallest script found that still differs.

    Args:
        script: one that differs.
        differ: says of several scripts which differ; ScriptError when one of them is none.
    """
    for _ in range(_ROUNDS):
        smaller = _step(script, differ)
        if smaller is None:
            return script
        script = smaller
    return script


def _step(script: Script, differ: Callable[[list[Script]], list[bool]]) -> Script | None:
    """A smaller one that differs; None if there is none."""
    candidates = [each for each in _candidates(script) if each != script and each]
    for at in range(0, len(candidates), _AT_ONCE):
        some = [each for each in candidates[at : at + _AT_ONCE] if _valid(each)]
        for each, differs in zip(some, differ(some) if some else []):
            if differs:
                return each
    return None


def _valid(script: Script) -> bool:
    from tools.differ.code import compiled

    try:
        compiled(script)
    except ScriptError:
        return False
    return True


def _candidates(script: Script) -> Iterator[Script]:
    """Smaller scripts: halves, with a statement less, with a simpler one; the smallest first."""
    size = len(script)
    while size > 1:
        size //= 2
        for at in range(0, len(script), size):
            yield script[:at] + script[at + size :]
    for index, statement in enumerate(script):
        for simpler in _simpler(statement):
            yield (*script[:index], *simpler, *script[index + 1 :])


def _simpler(statement: Statement) -> Iterator[Sequence[Statement]]:
    if isinstance(statement, Fork):
        yield statement.body
        for body in (*_candidates(statement.body), *([()] if len(statement.body) == 1 else [])):
            yield [Fork(statement.result, body)]
    elif isinstance(statement, Call):
        for index, arg in enumerate(statement.args):
            for less in _less(arg):
                yield [statement._replace(args=(*statement.args[:index], less, *statement.args[index + 1 :]))]


def _less(value: Expression) -> Iterator[Expression]:
    """Simpler values."""
    match value:
        case Word(names, add) if len(names) > 1:
            for index in range(len(names)):
                yield Word(names[:index] + names[index + 1 :], add)
        case Number(number, octal) if number not in (0, 1):
            yield Number(0, octal)
            yield Number(1, octal)
        case Text(data) if len(data) > 1:
            yield Text(data[:1])
        case Space() | Group(array=False):
            yield Number(0)
        case Group(items, True, kind):
            yield Number(0)
            for index in range(len(items)):
                yield Group(items[:index] + items[index + 1 :], True, kind)
