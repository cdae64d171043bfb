"""Text of an interface definition file -> syntax tree. Only the generator imports this (and with it lark)."""

from __future__ import annotations

from functools import cache
from typing import NoReturn

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from linuxemu.idl.syntax import (
    Alias,
    Const,
    Enum,
    EnumItem,
    Field,
    Include,
    Message,
    Namespace,
    Position,
    Statement,
    TypeRef,
)

# Keywords are keywords only where a statement starts: the contextual lexer reads `async`, `type` or `int` as
# a name wherever a name is due. Space and `//` comments may stand anywhere, `///` where a statement may.
_GRAMMAR = r"""
file: statement*
?statement: DOC | message | enum | alias | const | namespace | include
message: modifiers keyword NAME parameters [ARROW parameters] ";"
modifiers: ASYNC*
keyword: RPC | ONEWAY
parameters: "(" [field ("," field)*] ")"
field: NAME ":" type
type: NAME ["[" LENGTH "]"]
enum: ENUM NAME "{" [item ("," item)* [","]] "}" ";"
item: NAME "=" NUMBER
alias: TYPE NAME "=" type ";"
const: CONST NAME ":" type "=" NUMBER ";"
namespace: NAMESPACE NAME "{" statement* "}"
include: INCLUDE PATH ";"

ASYNC: /async\b/
RPC: /rpc\b/
ONEWAY: /oneway\b/
ENUM: /enum\b/
TYPE: /type\b/
CONST: /const\b/
NAMESPACE: /namespace\b/
INCLUDE: /include\b/
ARROW: "->"
NAME: /[A-Za-z_][A-Za-z0-9_]*/
LENGTH: /[1-9][0-9]*(?![A-Za-z0-9_])/
NUMBER: /(0x[0-9A-Fa-f]+|0|[1-9][0-9]*)(?![A-Za-z0-9_])/
PATH: /"[^"\n]*"/
DOC: /\/\/\/[^\n]*/
COMMENT: /\/\/(?!\/)[^\n]*/
BLANK: /[ \t\r\n\f]+/
%ignore COMMENT
%ignore BLANK
"""

_READABLE = {
    "ARROW": "'->'",
    "COLON": "':'",
    "COMMA": "','",
    "DOC": "",
    "EQUAL": "'='",
    "LBRACE": "'{'",
    "LENGTH": "an array length",
    "LPAR": "'('",
    "LSQB": "'['",
    "NAME": "a name",
    "NUMBER": "a number",
    "PATH": "a quoted path",
    "RBRACE": "'}'",
    "RPAR": "')'",
    "RSQB": "']'",
    "SEMICOLON": "';'",
    "$END": "the end of the file",
}


@cache
def _lark() -> Lark:
    return Lark(_GRAMMAR, start="file", parser="lalr", lexer="contextual", propagate_positions=True)


def parse(text: str, file: str) -> tuple[Statement, ...]:
    """The statements of one file.

    Args:
        text: what the file holds.
        file: its name, for error messages.

    Raises:
        IdlError: the text does not follow the grammar.
    """
    if "\0" in text:
        before = text[: text.index("\0")].split("\n")
        raise Position(file, len(before), len(before[-1]) + 1).error("a NUL is no text")
    try:
        tree = _lark().parse(text)
    except UnexpectedInput as problem:
        _report(problem, text, file)
    return _Builder(file).statements(tree.children)


def _report(problem: UnexpectedInput, text: str, file: str) -> NoReturn:
    """Turn what lark found into one line."""
    expected: set[str] = set()
    position = Position(file, problem.line, problem.column)
    if isinstance(problem, UnexpectedToken):
        expected = set(problem.accepts or problem.expected)
        token = problem.token
        if token.type == "$END":
            lines = text.split("\n")
            position = Position(file, len(lines), len(lines[-1]) + 1)
            found = "unexpected end of the file"
        elif token.type == "DOC":
            found = "a doc comment must stand before a statement"
        else:
            found = f"unexpected {str(token)!r}"
    elif isinstance(problem, UnexpectedCharacters):
        expected = set(problem.allowed or ())
        found = f"unexpected {_word(text, problem.pos_in_stream or 0)!r}"
    else:
        found = "syntax error"
    wanted = sorted(
        filter(
            None, (_READABLE.get(name, name.lower()) for name in expected if name not in ("COMMENT", "BLANK"))
        )
    )
    raise position.error(f"{found}; expected {' or '.join(wanted)}" if wanted else found) from None


def _word(text: str, start: int) -> str:
    """What stands at a place, as a reader would call it."""
    end = start + 1
    while text[start].isalnum() and text[end : end + 1].isalnum():
        end += 1
    return text[start:end]


class _Builder:
    """Turns lark's tree of one file into ours."""

    def __init__(self, file: str) -> None:
        self._file = file

    def statements(self, nodes: list[Token | Tree[Token]]) -> tuple[Statement, ...]:
        found: list[Statement] = []
        doc: list[str] = []
        for node in nodes:
            if isinstance(node, Token):
                doc.append(node[3:].removeprefix(" ").rstrip())
            else:
                found.append(self._statement(node, "\n".join(doc).strip("\n")))
                doc = []
        return tuple(found)

    def _statement(self, node: Tree[Token], doc: str) -> Statement:
        match node.data:
            case "message":
                return self._message(node, doc)
            case "enum":
                _, name, *items = node.children
                return Enum(
                    str(name), tuple(self._item(i) for i in items if isinstance(i, Tree)), doc, self._at(name)
                )
            case "alias":
                _, name, ref = node.children
                return Alias(str(name), self._type(ref), doc, self._at(name))
            case "const":
                _, name, ref, value = node.children
                return Const(str(name), self._type(ref), _number(str(value)), doc, self._at(name))
            case "namespace":
                _, name, *body = node.children
                return Namespace(str(name), self.statements(body), doc, self._at(name))
            case _:
                _, path = node.children
                return Include(str(path)[1:-1], self._at(path))

    def _message(self, node: Tree[Token], doc: str) -> Message:
        modifiers, keyword, name, fields, arrow, reply = node.children
        assert isinstance(modifiers, Tree)
        assert isinstance(keyword, Tree)
        is_async = bool(modifiers.children)
        rpc = str(keyword.children[0]) == "rpc" and not is_async
        if rpc and arrow is None:
            raise self._at(name).error(f"rpc {name} needs a reply: write '-> ()' if it is empty")
        replied = None if arrow is None else self._fields(reply)
        return Message(str(name), rpc, is_async, self._fields(fields), replied, doc, self._at(name))

    def _fields(self, node: Token | Tree[Token]) -> tuple[Field, ...]:
        assert isinstance(node, Tree)
        fields = []
        for child in node.children:
            if isinstance(child, Tree):
                name, ref = child.children
                fields.append(Field(str(name), self._type(ref), self._at(name)))
        return tuple(fields)

    def _type(self, node: Token | Tree[Token]) -> TypeRef:
        assert isinstance(node, Tree)
        name, length = node.children
        return TypeRef(str(name), None if length is None else int(str(length)), self._at(name))

    def _item(self, node: Tree[Token]) -> EnumItem:
        name, value = node.children
        return EnumItem(str(name), _number(str(value)), self._at(name))

    def _at(self, token: Token | Tree[Token]) -> Position:
        assert isinstance(token, Token)
        assert token.line is not None
        assert token.column is not None
        return Position(self._file, token.line, token.column)


def _number(text: str) -> int:
    return int(text, 16) if text.startswith("0x") else int(text)
