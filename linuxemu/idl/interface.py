"""A whole interface: files read, includes followed, types resolved, ids given, everything checked."""

from __future__ import annotations

import builtins
import glob
import keyword
from pathlib import Path
from typing import NamedTuple

from linuxemu.idl.ids import LAST_ID, IdTable
from linuxemu.idl.layout import BUILTINS, FieldType, Layout, ResolvedField, lay_out
from linuxemu.idl.parser import parse
from linuxemu.idl.runtime import MSG_OOL, MSG_STR
from linuxemu.idl.syntax import (
    Alias,
    Const,
    Enum,
    Field,
    Include,
    Message,
    Namespace,
    Position,
    Statement,
    TypeRef,
)


class MessageClass(NamedTuple):
    """One message as it will be a class: a request, a reply or a one-way message."""

    namespace: str
    """Empty for the root."""
    name: str
    """As declared, a reply with `_reply` at its end."""
    id: int
    kind: str
    """request, reply, oneway or async oneway."""
    fields: tuple[ResolvedField, ...]
    layout: Layout
    doc: str
    reply: str | None
    """For a request, the name of its reply."""
    at: Position

    @property
    def full_name(self) -> str:
        """With the namespace."""
        return f"{self.namespace}.{self.name}" if self.namespace else self.name

    @property
    def class_name(self) -> str:
        """The name of the Python class inside its namespace."""
        return class_name(self.name)

    @property
    def ool(self) -> ResolvedField | None:
        """The out-of-line field."""
        return next((f for f in self.fields if f.type.is_ool), None)

    @property
    def type_word(self) -> int:
        """Id and flag bits, as they stand on the wire."""
        if self.ool is None:
            return self.id
        return self.id | MSG_OOL | (MSG_STR if self.ool.type.base == "str" else 0)


class ConstValue(NamedTuple):
    """A named number, checked against its type."""

    name: str
    value: int
    doc: str


class Scope(NamedTuple):
    """What a namespace (or the root, with an empty name) holds; a namespace written in parts is one."""

    name: str
    docs: list[str]
    messages: list[MessageClass]
    enums: list[Enum]
    consts: list[ConstValue]


class Interface(NamedTuple):
    """Everything one root file declares, in declared order."""

    scopes: dict[str, Scope]

    @property
    def messages(self) -> list[MessageClass]:
        """All messages, by id."""
        return sorted((m for s in self.scopes.values() for m in s.messages), key=lambda m: m.id)


def load(path: Path, table: IdTable | None = None) -> Interface:
    """Read an interface definition and all it includes.

    Args:
        path: the root file.
        table: ids of included messages, extended by new ones; without it one counter runs through includes.

    Raises:
        IdlError: with file, line and column.
    """
    return _Loader(table).load(path)


_TAKEN = {"ExceptionType", "Final", "HvFrame", "Message", "Self", "TrapFrame", "TypeAlias"}
_TAKEN |= {"annotations", "unpack"}
"""Names that the generated module needs for itself."""


def class_name(name: str) -> str:
    """The Python class name of a declared name: CamelCase, never a builtin or keyword."""
    camel = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    if not camel or camel[0].isdigit():
        return f"_{camel}"
    taken = camel in _TAKEN or hasattr(builtins, camel) or keyword.iskeyword(camel)
    return f"{camel}_" if taken else camel


class _Placed(NamedTuple):
    """A statement with where it belongs."""

    namespace: str
    included: bool
    statement: Message | Enum | Alias | Const


class _Loader:
    """The passes over one interface."""

    def __init__(self, table: IdTable | None) -> None:
        self._table = table
        self._next_id = 1
        self._open_files: list[str] = []
        self._placed: list[_Placed] = []
        self._scopes: dict[str, Scope] = {"": Scope("", [], [], [], [])}
        self._types: dict[str, dict[str, Enum | Alias]] = {}
        self._names: dict[tuple[str, str], Position] = {}

    def load(self, path: Path) -> Interface:
        self._read(path, "", included=False, at=None)
        for placed in self._placed:
            if isinstance(placed.statement, Enum | Alias):
                self._types.setdefault(placed.namespace, {})[placed.statement.name] = placed.statement
        for placed in self._placed:
            self._declare(placed)
        self._check_ids()
        return Interface(self._scopes)

    # Pass 1: files and names.

    def _read(self, path: Path, namespace: str, *, included: bool, at: Position | None) -> None:
        where = at or Position(str(path), 1, 1)
        identity = str(path.resolve())
        if identity in self._open_files:
            raise where.error(f"{path} includes itself")
        try:
            text = path.read_text("utf-8")
        except OSError as problem:
            raise where.error(f"cannot read {path}: {problem.strerror}") from None
        except UnicodeDecodeError as problem:
            before = problem.object[: problem.start].decode("utf-8").split("\n")
            raise Position(str(path), len(before), len(before[-1]) + 1).error("not UTF-8 text") from None
        self._open_files.append(identity)
        self._place(parse(text, str(path)), path, namespace, included=included)
        self._open_files.pop()

    def _place(
        self, statements: tuple[Statement, ...], path: Path, namespace: str, *, included: bool
    ) -> None:
        for statement in statements:
            match statement:
                case Include(pattern, at):
                    for name in sorted(glob.glob(pattern, root_dir=path.parent, recursive=True)):
                        self._read(path.parent / name, namespace, included=True, at=at)
                case Namespace(name, body, doc, at):
                    self._enter(name, doc, at)
                    self._place(body, path, name, included=included)
                case _:
                    self._claim(namespace, statement)
                    self._placed.append(_Placed(namespace, included, statement))

    def _enter(self, name: str, doc: str, at: Position) -> None:
        if hasattr(builtins, name) or keyword.iskeyword(name) or name in _TAKEN:
            raise at.error(f"namespace {name} would hide a word that the generated module needs")
        scope = self._scopes.setdefault(name, Scope(name, [], [], [], []))
        if doc:
            scope.docs.append(doc)

    def _claim(self, namespace: str, statement: Message | Enum | Alias | Const) -> None:
        """Each name is declared once per namespace, also as the class it becomes."""
        names = [class_name(statement.name)]
        if isinstance(statement, Const):
            names = [statement.name.upper()]
        elif isinstance(statement, Message) and statement.rpc:
            names.append(class_name(f"{statement.name}_reply"))
        for name in names:
            earlier = self._names.setdefault((namespace, name), statement.at)
            if earlier is not statement.at:
                place = f"{earlier.file}:{earlier.line}"
                raise statement.at.error(f"duplicate name {statement.name!r}, first declared at {place}")

    # Pass 2: types, layouts, ids.

    def _declare(self, placed: _Placed) -> None:
        scope = self._scopes[placed.namespace]
        match placed.statement:
            case Message() as message:
                self._message(scope, message, included=placed.included)
            case Enum() as enum:
                self._check_enum(enum)
                scope.enums.append(enum)
            case Const(name, ref, value, doc, at):
                self._check_const(placed.namespace, ref, value, at)
                scope.consts.append(ConstValue(name.upper(), value, doc))
            case Alias(name, ref):
                self._resolve(placed.namespace, ref, (f"{placed.namespace}.{name}",))

    def _message(self, scope: Scope, message: Message, *, included: bool) -> None:
        kind = "request" if message.rpc else ("async oneway" if message.is_async else "oneway")
        reply = f"{message.name}_reply" if message.rpc else None
        scope.messages.append(self._class(scope.name, message, kind, reply, included))
        if message.reply is None:
            return
        answer = message._replace(name=f"{message.name}_reply", fields=message.reply, doc="")
        made = self._class(scope.name, answer, "reply", None, included)
        if message.rpc:  # of a one-way message the seed numbers the reply list and then drops it
            scope.messages.append(made)

    def _class(
        self, namespace: str, message: Message, kind: str, reply: str | None, included: bool
    ) -> MessageClass:
        fields = self._fields(namespace, message.fields)
        number = self._id(f"{namespace}.{message.name}".lstrip("."), included)
        layout = lay_out(fields)
        return MessageClass(
            namespace, message.name, number, kind, fields, layout, message.doc, reply, message.at
        )

    def _id(self, full_name: str, included: bool) -> int:
        if included and self._table is not None:
            return self._table.id_of(full_name)
        self._next_id += 1
        return self._next_id - 1

    def _check_ids(self) -> None:
        owners: dict[int, str] = {}
        for message in (m for s in self._scopes.values() for m in s.messages):
            if message.id > LAST_ID:
                raise message.at.error(f"no id left for {message.full_name}")
            if message.id in owners:
                owner = owners[message.id]
                raise message.at.error(f"{message.full_name} has id {message.id}, as has {owner}")
            owners[message.id] = message.full_name

    def _fields(self, namespace: str, declared: tuple[Field, ...]) -> tuple[ResolvedField, ...]:
        fields = []
        taken: set[str] = set()
        for field in declared:
            resolved = ResolvedField(field.name, self._resolve(namespace, field.type), field.at)
            names = {field.name, f"{field.name}_len"} if resolved.type.is_ool else {field.name}
            if names & taken:
                raise field.at.error(f"duplicate field {min(names & taken)!r}")
            taken |= names
            fields.append(resolved)
        return tuple(fields)

    def _resolve(self, namespace: str, ref: TypeRef, seen: tuple[str, ...] = ()) -> FieldType:
        """The builtin behind a type name; user types hide builtins, the own namespace hides others."""
        found = self._find(namespace, ref)
        if isinstance(found, Enum):
            return FieldType("uint32", ref.length)
        if found is None:
            return FieldType(ref.name, None if ref.name in ("str", "bytes") else ref.length)
        place, alias = found
        if f"{place}.{ref.name}" in seen:
            if ref.name in BUILTINS:
                return FieldType(ref.name, ref.length)
            raise ref.at.error(f"type {ref.name!r} is defined by itself")
        target = self._resolve(place, alias.type, (*seen, f"{place}.{ref.name}"))
        if ref.length is None or target.is_ool:
            return target
        if target.length is not None:
            raise ref.at.error(f"array of an array: {ref.name!r} is {target}")
        return FieldType(target.base, ref.length)

    def _find(self, namespace: str, ref: TypeRef) -> Enum | tuple[str, Alias] | None:
        others = [name for name in self._types if name not in (namespace, "")]
        for place in (namespace, "", *others):
            found = self._types.get(place, {}).get(ref.name)
            if isinstance(found, Enum):
                return found
            if found is not None:
                return place, found
        if ref.name not in BUILTINS:
            raise ref.at.error(f"unknown type {ref.name!r}")
        return None

    def _check_enum(self, enum: Enum) -> None:
        taken: set[str] = set()
        for item in enum.items:
            if item.name in taken:
                raise item.at.error(f"duplicate name {item.name!r} in enum {enum.name}")
            if item.value > 0xFFFF_FFFF:
                raise item.at.error(f"value {item.value} does not fit an enum")
            taken.add(item.name)

    def _check_const(self, namespace: str, ref: TypeRef, value: int, at: Position) -> None:
        kind = self._resolve(namespace, ref)
        builtin = BUILTINS[kind.base]
        if ref.length is not None or kind.length is not None or builtin.python not in ("int", "bool"):
            raise ref.at.error(f"a constant cannot be of type {kind}")
        bits = 1 if builtin.python == "bool" else builtin.size * 8 - builtin.format.islower()
        if value >> bits:
            raise at.error(f"value {value} does not fit type {kind}")
