"""Programs and libraries as a trace of the stack needs them, each read once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from linuxemu.trace.calls import CallTargets
from linuxemu.trace.cfi import UnwindTable, frames_address, row_at
from linuxemu.trace.elf import PT_GNU_EH_FRAME, PT_LOAD, Elf
from linuxemu.trace.lines import Lines
from linuxemu.trace.symbols import Symbols
from loader.frames import CallFrames

if TYPE_CHECKING:
    from collections.abc import Hashable

    from linuxemu.trace.cfi import Row
    from linuxemu.trace.lines import Line

LARGEST = 1 << 29
"""Bytes of a file that is worth reading for its tables; of a larger one pass `Modules.add` nothing."""

_REMEMBERED = 1 << 16
"""Addresses of one module whose rules are kept."""


class Module:
    """A file whose code the guest runs. Each of its tables is read when it is first asked for.

    Addresses are the file's own, before the load bias. What is damaged or missing is unknown, never an error: a file
    that is no ELF file has no names and no rules.

    Args:
        data: the whole file.
    """

    def __init__(self, data: bytes) -> None:
        self._elf = Elf(data)
        self._rows: dict[int, Row | None] = {}

    def address_of(self, offset: int) -> int | None:
        """The address of the code at a place of the file."""
        return self._elf.address_of(offset)

    def symbol(self, address: int) -> tuple[str, int] | None:
        """The name of the function at an address, and where it begins."""
        return self._symbols.find(address)

    def begin(self, address: int) -> int | None:
        """Where the function at an address begins: as its name says, else at the last address before that is called."""
        symbol = self._symbols.find(address)
        return symbol[1] if symbol is not None else self._targets.before(address)

    def line(self, address: int) -> Line | None:
        """The line of source that the code at an address was compiled from."""
        return self._lines.find(address)

    def row(self, address: int) -> Row | None:
        """The rules by which the function at an address is left."""
        if address not in self._rows:
            if len(self._rows) >= _REMEMBERED:
                self._rows.clear()
            self._rows[address] = self._find_row(address)
        return self._rows[address]

    def _find_row(self, address: int) -> Row | None:
        for table in self._unwind_tables:
            entry = table.find(address)
            row = row_at(entry, address) if entry is not None else None
            if row is not None:
                return row
        return None

    @cached_property
    def _symbols(self) -> Symbols:
        return Symbols(self._elf)

    @cached_property
    def _targets(self) -> CallTargets:
        segment = next((s for s in self._elf.segments if s.kind == PT_LOAD and s.executable), None)
        return CallTargets(self._elf.loaded(segment.address) if segment else b"", segment.address if segment else 0)

    @cached_property
    def _lines(self) -> Lines:
        programs, line_strings, strings = (
            self._elf.section(name)[1] for name in (".debug_line", ".debug_line_str", ".debug_str")
        )
        return Lines(programs, line_strings, strings)

    @cached_property
    def _unwind_tables(self) -> list[UnwindTable]:
        tables = [_exception_table(self._elf)]
        address, data = self._elf.section(".debug_frame")
        tables.append(UnwindTable(CallFrames(data, address, debug=True), address))
        return tables


def _exception_table(elf: Elf) -> UnwindTable:
    """The table that programs carry for their exceptions; a file without sections has it too."""
    for segment in elf.segments:
        if segment.kind == PT_GNU_EH_FRAME:
            header = elf.loaded(segment.address)[: segment.size]
            address = frames_address(header, segment.address)
            data = elf.loaded(address) if address is not None else b""
            if address is not None and data:
                return UnwindTable(CallFrames(data, address), address, header, segment.address)
    address, data = elf.section(".eh_frame")
    return UnwindTable(CallFrames(data, address), address)


class Modules:
    """The modules that a trace has met, the last used ones kept.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._known: dict[Hashable, Module] = {}

    def get(self, key: Hashable) -> Module | None:
        """The module kept for a key, if it is.

        Args:
            key: what tells one file's content from another's: its inode object, or device, number and time of change.
        """
        module = self._known.pop(key, None)
        if module is not None:
            self._known[key] = module  # the last one used is the last to go
        return module

    def add(self, key: Hashable, data: bytes) -> Module:
        """Reads a module and keeps it.

        Args:
            key: as for `get`.
            data: the whole file; nothing if it cannot be read, or is larger than `LARGEST`.
        """
        while len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        module = self._known[key] = Module(data)
        return module


class Mapping(NamedTuple):
    """Executable memory of the guest, as a line of /proc/PID/maps says it (man 5 proc)."""

    path: bytes
    """Of the file, without " (deleted)"; `[vdso]` and nothing are paths as well."""
    start: int
    """The address of its first byte."""
    offset: int
    """Where that byte is in the file."""
    module: Module | None
    """The file; None for memory that is of none."""

    def offset_of(self, address: int) -> int:
        """Where the byte at an address of the guest is in the file."""
        return address - self.start + self.offset

    def address_of(self, address: int) -> int | None:
        """An address of the guest as the file counts; None if the file does not say."""
        return None if self.module is None else self.module.address_of(self.offset_of(address))
