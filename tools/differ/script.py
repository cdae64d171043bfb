"""The language of scripts: a system call a line, natively and in linuxemu the same.

    # names stand for results and for buffers, constants are Linux's
    p = buffer(8)
    pipe2(p, O_CLOEXEC)
    c = fork {
        write(p[1], "x", 1)         # p[1]: the second int in p
        pass                        # the parent's turn, until it says: go c
        exit_group(3)
    }
    poll([{p[0], POLLIN, 0}], 1, 0)
    read(p[0], out(4), 4)           # out(4): four bytes that the call may change
    go c
    wait4(c, out(4), 0, 0)
    poke(ARENA+4096, 7)             # writes a byte and reads it; peek(ARENA) only reads

`{...}` is a structure of the type that the call's declaration says, `[...]` an array of such, of ints, or a set of
signals or descriptors; `Flock{...}` names the type where the declaration does not. `edge(4)` is memory that ends after
four bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from syscalls.abi import flags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ARENA = 0x2_0000_0000
"""Where scripts map memory at addresses of their own; nothing else does."""
BAD = 0x1000
"""An address where never is memory."""
FUNCTIONS = ("HANDLER", "RESTORER")
"""A signal handler that logs what it is told, and what it returns to."""


class ScriptError(Exception):
    """A script that cannot be read or run; the text says where and why."""


class Number(NamedTuple):
    """A number.

    Args:
        value: signed or unsigned, 64 bits.
        octal: it is written so.
    """

    value: int
    octal: bool = False

    def __str__(self) -> str:
        if self.octal:
            return f"0{self.value:o}"
        return hex(self.value) if self.value > 0xFFFF else str(self.value)


class Word(NamedTuple):
    """Constants, or'ed, and what is added to them."""

    names: tuple[str, ...]
    add: int = 0

    def __str__(self) -> str:
        return "|".join(self.names) + _plus(self.add)


class Ref(NamedTuple):
    """A result of an earlier call or the address of a buffer, and what is added to it."""

    name: str
    add: int = 0

    def __str__(self) -> str:
        return self.name + _plus(self.add)


class Load(NamedTuple):
    """An int in a buffer."""

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name}[{self.number}]"


class Text(NamedTuple):
    """Bytes, and a NUL after them."""

    data: bytes

    def __str__(self) -> str:
        return quote(self.data)


class Space(NamedTuple):
    """Fresh memory; nothing can be reached behind it when it is an edge."""

    size: int
    edge: bool = False

    def __str__(self) -> str:
        return f"{'edge' if self.edge else 'out'}({self.size})"


class Group(NamedTuple):
    """A structure, an array or a set."""

    items: tuple[Expression, ...]
    array: bool = False
    kind: str = ""

    def __str__(self) -> str:
        inner = ", ".join(str(item) for item in self.items)
        return f"[{inner}]" if self.array else f"{self.kind}{{{inner}}}"


Expression = Number | Word | Ref | Load | Text | Space | Group


class Call(NamedTuple):
    """A system call, or `peek`, `poke`."""

    name: str
    args: tuple[Expression, ...]
    result: str = ""


class Buffer(NamedTuple):
    """Memory with a name, all ones at first."""

    result: str
    size: int


class Fork(NamedTuple):
    """A new process and what it does."""

    result: str
    body: tuple[Statement, ...]


class Pass(NamedTuple):
    """The parent's turn."""


class Go(NamedTuple):
    """A child's turn."""

    name: str


Statement = Call | Buffer | Fork | Pass | Go
Script = tuple[Statement, ...]


def _plus(add: int) -> str:
    return f"{'+' if add > 0 else '-'}{abs(add)}" if add else ""


def quote(data: bytes) -> str:
    """Bytes as scripts spell them."""
    return '"' + "".join(_CHARACTERS[byte] for byte in data) + '"'


_CHARACTERS = [chr(b) if 32 <= b < 127 and chr(b) not in '"\\' else f"\\x{b:02x}" for b in range(256)]


def show(script: Sequence[Statement], indent: str = "") -> str:
    """A script as text, each line ended."""
    return "".join(f"{indent}{line}\n" for line in _lines(script))


def _lines(script: Sequence[Statement]) -> Iterator[str]:
    for statement in script:
        if isinstance(statement, Fork):
            yield f"{statement.result} = fork {{"
            yield from (f"    {line}" for line in _lines(statement.body))
            yield "}"
        else:
            yield line(statement)


def line(statement: Statement) -> str:
    """A statement as text; of a fork the head."""
    match statement:
        case Call(name, args, result):
            return f"{f'{result} = ' if result else ''}{name}({', '.join(str(arg) for arg in args)})"
        case Buffer(result, size):
            return f"{result} = buffer({size})"
        case Fork(result):
            return f"{result} = fork"
        case Go(name):
            return f"go {name}"
        case Pass():
            return "pass"


def statements(script: Sequence[Statement]) -> Iterator[Statement]:
    """All statements of a script and of its children, as they are numbered in logs."""
    for statement in script:
        yield statement
        if isinstance(statement, Fork):
            yield from statements(statement.body)


def constant(name: str) -> int | None:
    """The value of a constant; None for an unknown one."""
    if name in ("ARENA", "BAD"):
        return ARENA if name == "ARENA" else BAD
    value = getattr(flags, name, None)
    return value if isinstance(value, int) else None


_TOKEN = re.compile(
    r'[ \t]*(?:(?P<number>-?(?:0x[0-9a-fA-F]+|[0-9]+))|(?P<name>[A-Za-z_]\w*)|(?P<text>"(?:[^"\\]|\\.)*")'
    r"|(?P<mark>[()\[\]{},=|+-]))"
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)")
_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", '"': '"', "\\": "\\"}


class _Line:
    """The tokens of a line, and where reading them has come to."""

    def __init__(self, text: str, number: int) -> None:
        self.number = number
        self._tokens: list[tuple[str, str]] = []
        self._at = position = 0
        while text[position:].strip(" \t") and text[position:].lstrip(" \t")[0] != "#":
            found = _TOKEN.match(text, position)
            if found is None:
                raise self.error(f"cannot read {text[position:].strip()!r}")
            self._tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            position = found.end()

    def error(self, text: str) -> ScriptError:
        return ScriptError(f"line {self.number}: {text}")

    def peek(self, ahead: int = 0) -> str:
        return self._tokens[self._at + ahead][1] if self._at + ahead < len(self._tokens) else ""

    def take(self, kind: str = "") -> str:
        found, text = self._tokens[self._at] if self._at < len(self._tokens) else ("end", "end of line")
        if kind and kind not in (found, text):
            raise self.error(f"{kind} expected, not {text}")
        self._at += 1
        return text

    def number_(self) -> int:
        text = self.take("number")
        digits = text.lstrip("-")
        value = int(digits, 8) if digits[0] == "0" and digits.isdigit() else int(digits, 0)
        if not -(1 << 63) <= (-value if text[0] == "-" else value) < 1 << 64:
            raise self.error(f"{text} has more than 64 bits")
        return -value if text[0] == "-" else value


def parse(text: str) -> Script:
    """Read a script.

    Raises:
        ScriptError: it is none.
    """
    open_: list[tuple[str, list[Statement]]] = [("", [])]
    number = 0
    for number, content in enumerate(text.splitlines(), 1):
        tokens = _Line(content, number)
        if tokens.peek() == "":
            continue
        if tokens.peek() == "}":
            tokens.take()
            if len(open_) == 1:
                raise tokens.error("} without a fork")
            result, body = open_.pop()
            open_[-1][1].append(Fork(result, tuple(body)))
        elif (tokens.peek(1), tokens.peek(2)) == ("=", "fork") and tokens.peek(3) == "{":
            open_.append((tokens.take("name"), []))
            for _ in range(3):
                tokens.take()
        else:
            open_[-1][1].append(_statement(tokens))
        tokens.take("end")
    if len(open_) > 1:
        raise ScriptError(f"line {number}: a fork without }}")
    return tuple(open_[0][1])


def _statement(tokens: _Line) -> Statement:
    if tokens.peek() == "pass":
        tokens.take()
        return Pass()
    if tokens.peek() == "go":
        tokens.take()
        return Go(tokens.take("name"))
    result = ""
    if tokens.peek(1) == "=":
        result = tokens.take("name")
        tokens.take("=")
    name = tokens.take("name")
    args = _items(tokens, "(", ")")
    if name == "buffer":
        if not result or len(args) != 1 or not isinstance(args[0], Number):
            raise tokens.error("a buffer has a name and a size")
        return Buffer(result, args[0].value)
    return Call(name, args, result)


def _items(tokens: _Line, first: str, last: str) -> tuple[Expression, ...]:
    tokens.take(first)
    found: list[Expression] = []
    while tokens.peek() != last:
        found.append(_expression(tokens))
        if tokens.peek() != last:
            tokens.take(",")
    tokens.take(last)
    return tuple(found)


def _expression(tokens: _Line) -> Expression:
    ahead = tokens.peek()
    if ahead.startswith('"'):
        if not ahead.isascii():
            raise tokens.error("a text has bytes, spelled in ASCII")
        return Text(_unquote(tokens.take()))
    if ahead in ("{", "["):
        return Group(_items(tokens, ahead, "}" if ahead == "{" else "]"), ahead == "[")
    if not ahead.isidentifier():
        digits = ahead.lstrip("-")
        return Number(tokens.number_(), len(digits) > 1 and digits[0] == "0" and digits.isdigit())
    name = tokens.take("name")
    follows = tokens.peek()
    if follows == "{":
        return Group(_items(tokens, "{", "}"), kind=name)
    if follows == "[":
        index = _items(tokens, "[", "]")
        if len(index) == 1 and isinstance(index[0], Number) and index[0].value >= 0:
            return Load(name, index[0].value)
        raise tokens.error(f"{name}[...] has one number as index")
    if follows == "(":
        args = _items(tokens, "(", ")")
        if name in ("out", "edge") and len(args) == 1 and isinstance(args[0], Number):
            return Space(args[0].value, name == "edge")
        raise tokens.error(f"{name}() is no memory: there is out(SIZE), edge(SIZE)")
    return _word(tokens, name)


def _word(tokens: _Line, name: str) -> Expression:
    names = [name]
    while tokens.peek() == "|":
        tokens.take()
        names.append(tokens.take())
    add = 0
    if tokens.peek() == "+":
        tokens.take()
        add = tokens.number_()
    elif re.fullmatch(r"-\d+", tokens.peek()):
        add = tokens.number_()
    if len(names) == 1 and constant(name) is None and name not in FUNCTIONS:
        return Ref(name, add)
    for each in names:
        if each not in FUNCTIONS and not each[0].isdigit() and constant(each) is None:
            raise tokens.error(f"{each} is no constant")
    return Word(tuple(names), add)


def _unquote(text: str) -> bytes:
    def letter(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if len(code) == 3 else _ESCAPES.get(code, code)

    return _ESCAPE.sub(letter, text[1:-1]).encode("latin-1")
