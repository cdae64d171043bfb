"""Writes the Python module of message classes."""

from __future__ import annotations

import keyword
import re
import textwrap

from linuxemu.idl import runtime
from linuxemu.idl.interface import Interface, MessageClass, Scope, class_name
from linuxemu.idl.syntax import Enum

_WIDTH = 110
_NEEDED = frozenset(dir(runtime.Message)) | {"int", "bool", "str", "bytes", "tuple", "cls", "_new"}
"""Words that a field must not hide inside its message class."""

_HEAD = '''"""Every message of the system, one class each. Made by tools/generate_messages.py: do not edit.

A namespace of the interface definition is a class that holds its messages: `fs.Open(path="/etc/hostname")`,
whose reply is an `fs.OpenReply`. All are immutable tuples with named fields, see `linuxemu.idl.runtime`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linuxemu.idl.runtime import (
    HEADER_SIZE,
    ID_MASK,
    MESSAGE_SIZE,
    MSG_OOL,
    MSG_STR,
    ExceptionType,
    HvFrame,
    Message,
    TrapFrame,
)
from linuxemu.idl.runtime import field as _field
from linuxemu.idl.runtime import new as _new

if TYPE_CHECKING:
    from typing import Self, TypeAlias

    from linuxemu.idl.runtime import Field as _Field

'''

_TAIL = '''

def unpack(data: bytes | bytearray | memoryview, ool: bytes | None = None) -> Message:
    """The message in `data`, of whatever class its type word says.

    Raises:
        ValueError: no such message, or not its bytes.
    """
    word = int.from_bytes(data[:4], "little", signed=True)
    found = BY_ID.get(word & ID_MASK) if word > 0 else None
    if found is None:
        raise ValueError(f"no message has the type word {word & 0xFFFFFFFF:#x}")
    return found.unpack(data, ool)
'''


def generate(interface: Interface) -> str:
    """The source of the module."""
    scopes = [interface.scopes[""], *(s for s in interface.scopes.values() if s.name)]
    body = [_namespace(scope) if scope.name else _root(scope) for scope in scopes]
    return (
        _HEAD
        + _aliases(interface)
        + _exports(interface)
        + "".join(body)
        + _replies(interface)
        + _by_id(interface)
        + _TAIL
    )


def _aliases(interface: Interface) -> str:
    """Short names for the field descriptors, so that a field is one short line."""
    kinds = sorted({f.type.python for m in interface.messages for f in m.fields})
    lines = [f"    {_alias(kind)}: TypeAlias = _Field[{kind}]\n" for kind in kinds]
    most = max((len(m.fields) for m in interface.messages), default=0)
    getters = [f"_F{index} = _field({index})\n" for index in range(most)]
    return "".join(lines) + "\n" + "".join(getters)


def _alias(kind: str) -> str:
    """`int` -> `_Int`, `tuple[int, ...]` -> `_TupleInt`."""
    words = re.findall(r"\w+", kind)
    return "_" + "".join(word[0].upper() + word[1:] for word in words)


def _exports(interface: Interface) -> str:
    names = ["BY_ID", "HEADER_SIZE", "ID_MASK", "MESSAGE_SIZE", "MSG_OOL", "MSG_STR"]
    names += ["ExceptionType", "HvFrame", "Message", "TrapFrame", "unpack"]
    root = interface.scopes[""]
    names += [m.class_name for m in root.messages] + [class_name(e.name) for e in root.enums]
    names += [c.name for c in root.consts] + [name for name in interface.scopes if name]
    names = sorted(set(names), key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    return "\n__all__ = [\n" + "".join(f'    "{name}",\n' for name in names) + "]\n"


def _root(scope: Scope) -> str:
    return "".join("\n\n" + part for part in _parts(scope))


def _namespace(scope: Scope) -> str:
    doc = _docstring("\n\n".join(scope.docs) or f"The namespace `{scope.name}`.")
    parts = [doc, *_parts(scope)]
    return f"\n\nclass {scope.name}:\n" + _indent("\n".join(parts))


def _parts(scope: Scope) -> list[str]:
    parts = ["".join(_const(c.name, c.value, c.doc) for c in scope.consts)] if scope.consts else []
    parts += [_enum(enum) for enum in scope.enums]
    parts += [_message(message) for message in scope.messages]
    return parts


def _const(name: str, value: int, doc: str) -> str:
    return f"{name}: Final = {value}\n" + (_docstring(doc) if doc else "")


def _enum(enum: Enum) -> str:
    doc = _docstring(enum.doc or f"Values of `{enum.name}`.")
    items = "".join(f"{_safe(item.name)}: Final = {item.value}\n" for item in enum.items)
    return f"class {class_name(enum.name)}:\n" + _indent(doc + ("\n" + items if items else ""))


def _message(message: MessageClass) -> str:
    names = [_safe(f.name) for f in message.fields]
    fields = list(zip(names, message.fields, strict=True))
    lines = [
        _docstring(message.doc or _default_doc(message)),
        "\n__slots__ = ()\n",
        f'ID = {message.id}\nNAME = "{message.full_name}"\nTYPE_WORD = {message.type_word:#010x}\n',
    ]
    if fields:
        pairs = [f'("{name}", "{field.type}")' for name, field in fields]
        lines.append(_wrap("FIELDS = (", pairs, ")", trailing=True))
        lines.append(f'FORMAT = "{message.layout.format}"\n')
    if message.ool is not None:
        lines.append(f'OOL = "{_safe(message.ool.name)}"\n')
    lines += [f"{name}: {_alias(f.type.python)} = _F{index}\n" for index, (name, f) in enumerate(fields)]
    arguments = ["cls", *(f"{name}: {field.type.python}" for name, field in fields)]
    lines.append("\n" + _wrap("def __new__(", arguments, ") -> Self:"))
    lines.append(_indent(_wrap("return _new(cls, (", names, "))", trailing=True)))
    return f"class {message.class_name}(Message):\n" + _indent("".join(lines))


def _default_doc(message: MessageClass) -> str:
    if message.kind == "reply":
        return f"The reply to `{message.full_name.removesuffix('_reply')}`."
    return f"`{message.full_name}`, {message.kind}."


def _indent(text: str) -> str:
    return textwrap.indent(text, "    ")


def _wrap(head: str, items: list[str], tail: str, *, trailing: bool = False) -> str:
    """One line if it fits (with room for two levels of indentation), otherwise one item a line."""
    comma = "," if trailing and len(items) == 1 else ""
    line = f"{head}{', '.join(items)}{comma}{tail}"
    if len(line) + 8 <= _WIDTH or len(items) == 1:
        return line + "\n"
    return head + "\n" + "".join(f"    {item},\n" for item in items) + tail + "\n"


def _docstring(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if "\n" not in text and len(text) + 14 <= _WIDTH and not text.endswith('"'):
        return f'"""{text}"""\n'
    return f'"""{text}\n"""\n'


def _safe(name: str) -> str:
    """A field's or item's name in Python: with an underscore behind it if it would hide something needed."""
    return f"{name}_" if keyword.iskeyword(name) or name in _NEEDED or name.startswith("_F") else name


def _replies(interface: Interface) -> str:
    lines = []
    for message in interface.messages:
        if message.reply is not None:
            prefix = f"{message.namespace}." if message.namespace else ""
            lines.append(f"{prefix}{message.class_name}.REPLY = {prefix}{class_name(message.reply)}\n")
    return "\n\n" + "".join(lines)


def _by_id(interface: Interface) -> str:
    lines = []
    for message in interface.messages:
        prefix = f"{message.namespace}." if message.namespace else ""
        lines.append(f"    {message.id}: {prefix}{message.class_name},\n")
    return (
        "\nBY_ID: Final[dict[int, type[Message]]] = {\n"
        + "".join(lines)
        + '}\n"""Every message class by its id."""\n'
    )
