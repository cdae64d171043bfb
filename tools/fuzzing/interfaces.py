"""Target `idl`: damaged interface definitions, read and turned into Python."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from linuxemu.errors import IdlError
from tools.fuzzing.mutate import decoded, encoded, mutated, shorter
from tools.fuzzing.target import Case, Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

_ROOT = Path(__file__).resolve().parent.parent.parent / "linuxemu"
_TOKEN = re.compile(r"\w+|//[^\n]*|\"[^\"\n]*\"|->|\s+|.", re.DOTALL)
_WORDS = (
    "rpc", "oneway", "async", "enum", "type", "const", "namespace", "include", "{", "}", "(", ")", ";", ":",
    ",", "=", "->", "[1]", "[0]", "[99999999999]", "[256]", "int", "uint8", "uint64", "str", "bytes", "task",
    "char", "trap_frame", "hv_frame", "size", "vaddr", "0", "1", "0x7fffffff", "99999999999999999999", "-1",
    "a", "A", "_", "__init__", "class", "None", "self", "None_", "ID", "pack", '"x.idl"', '"main.idl"',
    '"*.idl"', '"/"', '"\\0"', '""', "/// doc", '/// """', "/// \\", "//", "ü", "\x00", "\ufeff",
)  # fmt: skip
_PIECE = 25
"""Lines of a definition that is damaged."""


class Interfaces(Target):
    """Damaged interface files."""

    name = "idl"
    limit_s = 20.0

    def open(self) -> None:
        """Read our own definitions."""
        paths = [_ROOT / "interface.idl", *sorted(_ROOT.glob("servers/*/interface.idl"))]
        self._texts = [path.read_text("utf-8") for path in paths]
        self._folder = tempfile.TemporaryDirectory(prefix="linuxemu-fuzz-")

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()

    def cases(self, random: Random, count: int) -> Iterator[Case]:
        """Pieces of definitions with words exchanged, moved, repeated or left out, and some with damaged bytes."""
        for _ in range(count):
            lines = random.choice(self._texts).splitlines(keepends=True)
            start = random.randrange(max(len(lines) - _PIECE, 1))
            tokens = _TOKEN.findall("".join(lines[start : start + _PIECE]))
            for _ in range(random.randint(0, 4)):
                _disturb(random, tokens)
            data = "".join(tokens).encode()
            yield {"data": encoded(mutated(random, data, [data]) if random.random() < 0.3 else data)}

    def run(self, case: Case) -> int:
        """Read a definition, and make a module of it if it is one."""
        from linuxemu.idl.generate import generate
        from linuxemu.idl.ids import IdTable
        from linuxemu.idl.interface import load
        from linuxemu.idl.parser import parse

        data = decoded(case["data"])
        path = Path(self._folder.name) / "main.idl"
        path.write_bytes(data)
        try:
            parse(data.decode("utf-8", "replace"), "main.idl")
        except IdlError as error:
            str(error).encode()
        try:
            interface = load(path, IdTable({}))
            compile(generate(interface), "main.py", "exec")
        except IdlError as error:
            lines = str(error).split("\n")
            if len(lines) > 1:
                raise AssertionError("an error of several lines") from error
        return 1

    def smaller(self, case: Case) -> Iterator[Case]:
        """Less of the text."""
        yield from shorter(case)


def _disturb(random: Random, tokens: list[str]) -> None:
    if not tokens:
        return
    at, other = random.randrange(len(tokens)), random.randrange(len(tokens))
    way = random.randrange(4)
    if way == 0:
        del tokens[at]
    elif way == 1:
        tokens[at], tokens[other] = tokens[other], tokens[at]
    elif way == 2:
        tokens.insert(at, tokens[other])
    else:
        tokens[at] = random.choice(_WORDS)
