"""The syntax tree of an interface definition file: what was written, with its place, and nothing more."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from linuxemu.errors import IdlError


class Position(NamedTuple):
    """A place in a source file; line and column count from 1."""

    file: str
    line: int
    column: int

    def error(self, message: str) -> IdlError:
        """The error to raise for something at this place."""
        return IdlError(f"{self.file}:{self.line}:{self.column}: {message}")


class TypeRef(NamedTuple):
    """The use of a type: its name, and the length if it is an array."""

    name: str
    length: int | None
    at: Position


class Field(NamedTuple):
    """One argument of a message or reply."""

    name: str
    type: TypeRef
    at: Position


class Message(NamedTuple):
    """An `rpc` or `oneway`; `reply` is None where no arrow was written."""

    name: str
    rpc: bool
    is_async: bool
    fields: tuple[Field, ...]
    reply: tuple[Field, ...] | None
    doc: str
    at: Position


class EnumItem(NamedTuple):
    """One named value of an enum."""

    name: str
    value: int
    at: Position


class Enum(NamedTuple):
    """A set of named values."""

    name: str
    items: tuple[EnumItem, ...]
    doc: str
    at: Position


class Alias(NamedTuple):
    """A `type`: another name for a type."""

    name: str
    type: TypeRef
    doc: str
    at: Position


class Const(NamedTuple):
    """A named number."""

    name: str
    type: TypeRef
    value: int
    doc: str
    at: Position


class Namespace(NamedTuple):
    """A named group of statements."""

    name: str
    body: tuple[Statement, ...]
    doc: str
    at: Position


class Include(NamedTuple):
    """Takes in the statements of every file that matches a pattern."""

    pattern: str
    at: Position


Statement: TypeAlias = Message | Enum | Alias | Const | Namespace | Include
