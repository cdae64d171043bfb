"""Calls as text, shown here and by strace(1) from the same registers, memory and results.

A file of `tests/trace/injected/` has two lines a call: what is called, with its result, and what strace 6.1 shows of
it. `# -v` begins a part with options.

    python -m tests.trace.injected FILE...

fills in what strace shows.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from struct import pack
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from linuxemu.trace.call import PAGE, Call, NotResident
from syscalls.abi import structs
from tests.trace.fakecall import End, Made, Memory, P, look, made, traced, written
from tests.trace.tampered import BASE, strace

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent / "injected"
SIZE = 0x4000
END = BASE + SIZE
_FIRST = 0x100
_INDENT = "    "


def ptr(*parts: Any) -> P:
    """A pointer to words and bytes."""
    return P(parts)


def edge(*parts: Any) -> End:
    """A pointer to words and bytes that are the last ones of mapped memory."""
    return End(parts)


def s(text: bytes) -> P:
    """A pointer to a string with its NUL."""
    return P(text + b"\0")


def i32(*values: int) -> bytes:
    """Ints."""
    return b"".join(pack("<i" if value < 1 << 31 else "<I", value) for value in values)


def u16(*values: int) -> bytes:
    """Unsigned shorts."""
    return pack(f"<{len(values)}H", *values)


class Item(NamedTuple):
    """One call of a file."""

    source: str
    options: tuple[str, ...]
    call: Made
    result: int
    shown: str = ""


def item(name: str, *args: Any, result: int = 0, options: tuple[str, ...] = (), source: str = "") -> Item:
    """A call with memory of its own."""
    return Item(source, options, made(name, args, Memory(BASE, SIZE, _FIRST, room=0, outer_first=True)), result)


def read(path: Path) -> list[Item]:
    """The calls of a file."""
    items: list[Item] = []
    options: tuple[str, ...] = ()
    for line in path.read_text().splitlines():
        if line.startswith("# "):
            options = tuple(line[2:].split())
        elif line.startswith(_INDENT):
            items[-1] = items[-1]._replace(shown=line.strip())
        elif line:
            call, _, result = line.rpartition(" = ")
            name, _, rest = call.partition("(")
            args = eval(f"({rest[:-1]},)" if rest != ")" else "()", {**globals(), **vars(structs)})
            items.append(item(name, *args, result=int(result, 0), options=options, source=line))
    return items


def called(one: Item) -> tuple[Call, list[str], list[str]]:
    """A call of a file, as it is when it has ended, and its texts of both ends."""
    call = traced(one.call, **look(one.options))
    call.unreadable = None
    early = texts(call, call.plan.entry)
    call.result = one.result
    return call, early, texts(call, call.plan.exit)


def texts(call: Call, phase: Callable[[Call], list[str]]) -> list[str]:
    """What a formatter says once it knows which pages are missing, as `Tracer` asks it."""
    while True:
        try:
            found = list(phase(call))
        except NotResident as miss:
            if BASE <= miss.addr < END:
                raise LookupError(f"{miss.addr:#x} is there") from miss
            call.unreadable = {*(call.unreadable or ()), miss.addr // PAGE}
            call.partial = call.partial or {}
        else:
            call.partial = None
            return found


def show(one: Item) -> str:
    """The line of a call here."""
    return written(*called(one))


def all_strace(items: list[Item], folder: Path) -> dict[str, str]:
    """What strace shows of many calls, by options and source."""
    groups: dict[tuple[tuple[str, ...], int], list[Item]] = {}
    for item in items:
        groups.setdefault((item.options, item.result), []).append(item)
    found = {}
    for (options, result), group in groups.items():
        lines = strace([item.call for item in group], result, options, folder)
        found.update({f"{options}{item.source}": line for item, line in zip(group, lines, strict=True)})
    return found


def fill(path: Path, folder: Path) -> None:
    """Write into a file what strace shows."""
    items = read(path)
    found = all_strace(items, folder)
    options: tuple[str, ...] = ()
    lines = []
    for line in path.read_text().splitlines():
        if line.startswith("# "):
            options = tuple(line[2:].split())
        if line.startswith(_INDENT):
            continue
        lines.append(line)
        if line and not line.startswith("# "):
            lines.append(_INDENT + re.sub(r"\s+$", "", found[f"{options}{line}"]))
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        for argument in sys.argv[1:]:
            fill(Path(argument), Path(name))
