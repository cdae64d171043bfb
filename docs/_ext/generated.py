"""The generated parts of the reference: `<!-- generated: KIND [ARGUMENT] -->` alone on a line of a page.

The kinds are the keys of GENERATORS. What they write is Markdown that exists during the build only. Messages and
system calls become objects of their own: other pages refer to them with {message}`fs.open`, {syscall}`openat`.
"""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.pycode import ModuleAnalyzer

from linuxemu.idl.ids import IdTable
from linuxemu.idl.interface import load
from syscalls.rpcs import RPCS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

    from linuxemu.idl.interface import MessageClass, Scope
    from syscalls.registry import Syscall

ROOT = Path(__file__).resolve().parents[2]
MARKER = re.compile(r"^<!-- generated: (\w+) ?(.*?) -->$", re.MULTILINE)


def module(name: str) -> str:
    """A public module: its docstring, then each name of its `__all__`."""
    home = import_module(name)
    lines = [f"## {name}", "", "```{eval-rst}", f".. automodule:: {name}", "   :no-members:", ""]
    for public in home.__all__:
        directive = _directive(getattr(home, public))
        lines += _data(home, public) if directive == "autodata" else [f".. {directive}:: {name}.{public}", ""]
    return "\n".join([*lines, "```"])


def _data(home: ModuleType, name: str) -> list[str]:
    """A constant with the string that stands behind its assignment, in whatever module of the package that is."""
    package = home.__name__
    for found in pkgutil.iter_modules(home.__path__, f"{package}."):
        docs = ModuleAnalyzer.for_module(found.name).find_attr_docs()
        if ("", name) in docs:
            text = [f"   {line}" for line in docs["", name]]
            return [f".. py:data:: {package}.{name}", "", *text, ""]
    raise ExtensionError(f"{package}.{name} has no docstring")


def _directive(value: object) -> str:
    if isinstance(value, type):
        return "autoexception" if issubclass(value, BaseException) else "autoclass"
    return "autofunction" if callable(value) else "autodata"


def messages(_: str) -> str:
    """Every message, a section for each namespace."""
    table = IdTable.load(ROOT / "linuxemu/idl/ids.toml")
    scopes = load(ROOT / "linuxemu/interface.idl", table).scopes.values()
    return "\n".join(line for scope in scopes for line in _scope(scope))


def _scope(scope: Scope) -> Iterator[str]:
    yield from (f"## {scope.name or 'Without a namespace'}", "")
    for doc in scope.docs:
        yield from (_prose(doc), "")
    for enum in scope.enums:
        values = ", ".join(f"`{item.name}` {item.value}" for item in enum.items)
        yield from (f"`enum {enum.name}`: {_prose(enum.doc)} {values}.", "")
    for const in scope.consts:
        yield from (f"`{const.name}` = {const.value}: {_prose(const.doc)}", "")
    by_name = {message.name: message for message in scope.messages}
    for message in scope.messages:
        if message.kind != "reply":
            yield from _message(message, by_name.get(message.reply or ""))


def _message(message: MessageClass, reply: MessageClass | None) -> Iterator[str]:
    signature = f"{message.full_name}{_fields(message)}"
    kind = f"{message.kind}, id {message.id}".capitalize()
    if reply is not None:
        signature += f" -> {_fields(reply)}"
        kind = f"Rpc, id {message.id}, reply {reply.id}"
    yield from (f":::{{message}} {signature}", _prose(message.doc), f"*{kind}.*", ":::", "")


def _fields(message: MessageClass) -> str:
    return f"({', '.join(f'{field.name}: {field.type}' for field in message.fields)})"


def syscalls(_: str) -> str:
    """Every system call of Linux, a section for each family; those without a handler too."""
    from syscalls import handlers
    from syscalls.abi.numbers import X86_64
    from syscalls.signatures import signature_of

    handlers.load()
    families: dict[str, list[Syscall]] = {}
    declared = [call for number in X86_64.values() if (call := signature_of(number)) is not None]
    for call in sorted(declared, key=lambda call: call.name):
        families.setdefault(call.handler.__module__.rpartition(".")[2], []).append(call)
    lines = []
    for family, calls in sorted(families.items()):
        lines += [f"## {family}", ""]
        lines += [line for call in calls for line in _syscall(call)]
    return "\n".join(lines)


def _syscall(call: Syscall) -> Iterator[str]:
    arguments = ", ".join(f"{name}: {arg.table or arg.format}" for name, arg in call.arguments())
    summary = (call.handler.__doc__ or "").strip().partition("\n")[0]
    notes = f": {_prose(call.notes)}." if call.notes else "."
    yield from (f":::{{syscall}} {call.name}({arguments})", _prose(summary))
    sent = RPCS.get(call.name, "").split()
    messages = f" Messages: {', '.join(f'{{message}}`{name}`' for name in sent)}." if sent else ""
    errors = f" Errors: {', '.join(f'`{name}`' for name in call.errors)}." if call.errors else ""
    yield from (f"*Number {call.number}, {call.support}*{notes}{errors}{messages}", ":::", "")


def _prose(text: str) -> str:
    """Text with code in backticks, nothing else of which is markup."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece[:1] == "`" else re.sub(r"([*_<\[$])", r"\\\1", piece) for piece in pieces)


GENERATORS: dict[str, Callable[[str], str]] = {"module": module, "messages": messages, "syscalls": syscalls}


def expand(text: str) -> str:
    """A page with its generated parts in place."""
    return MARKER.sub(_generate, text)


def _generate(marker: re.Match[str]) -> str:
    if marker[1] not in GENERATORS:
        raise ExtensionError(f"nothing generates {marker[1]!r}: there are {', '.join(GENERATORS)}")
    return GENERATORS[marker[1]](marker[2])


def _read(_app: Sphinx, _page: str, source: list[str]) -> None:
    source[0] = expand(source[0])


def _signature(_env: BuildEnvironment, signature: str, node: addnodes.desc_signature) -> str:
    """Show `namespace.name(arguments)` with the name standing out; returns the full name."""
    full, bracket, rest = signature.partition("(")
    place, dot, name = full.rpartition(".")
    if dot:
        node += addnodes.desc_addname(place + dot, place + dot)
    node += addnodes.desc_name(name, name)
    node += addnodes.desc_sig_element("", bracket + rest)
    return full


def _skip(_app: Sphinx, _what: str, _name: str, value: object, skip: bool, _options: object) -> bool:
    """Leave out the fields of a NamedTuple, which its docstring describes."""
    return skip or (getattr(value, "__doc__", "") or "").startswith("Alias for field number")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    for kind in ("message", "syscall"):
        app.add_object_type(kind, kind, indextemplate=f"pair: %s; {kind}", parse_node=_signature)
    app.connect("source-read", _read)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
