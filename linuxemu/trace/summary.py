"""The table of counts: `-c` and `-C` of strace(1), to the letter."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from syscalls.abi.numbers import X86_64

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME = "name"
_NAME_WIDTH = 16
_UNKNOWN = 1 << 64  # calls without a number of their own come last

COLUMNS = {
    "time-percent": "time-percent",
    "time": "time-percent",
    "total-time": "total-time",
    "time-total": "total-time",
    "min-time": "min-time",
    "shortest": "min-time",
    "time-min": "min-time",
    "max-time": "max-time",
    "longest": "max-time",
    "time-max": "max-time",
    "avg-time": "avg-time",
    "time-avg": "avg-time",
    "calls": "calls",
    "count": "calls",
    "errors": "errors",
    "error": "errors",
    "name": _NAME,
    "syscall": _NAME,
    "syscall-name": _NAME,
}
"""What may be said for each column (-U)."""

ORDERS = COLUMNS | {"time-percent": "total-time", "time": "total-time", "nothing": "", "none": ""}
"""What may be said for the order (-S): the name of a column, "" for that of the calls' numbers."""

_TITLES = {
    "time-percent": ("% time", 6),
    "total-time": ("seconds", 11),
    "min-time": ("shortest", 8),
    "max-time": ("longest", 8),
    "avg-time": ("usecs/call", 11),
    "calls": ("calls", 9),
    "errors": ("errors", 9),
    _NAME: ("syscall", _NAME_WIDTH),
}


class SummaryOptions(NamedTuple):
    """How calls are counted and shown.

    Args:
        sort_by: a value of `ORDERS`.
        columns: values of `COLUMNS`, each at most once; the name comes last if it is not among them.
        overhead_ns: what is taken off the time of each call.
        wall_clock: the time counted is that from the beginning of a call to its end, not the processor's.
    """

    sort_by: str = "total-time"
    columns: tuple[str, ...] = ("time-percent", "total-time", "avg-time", "calls", "errors", _NAME)
    overhead_ns: int = 0
    wall_clock: bool = False


class _Row:
    """What is known of one system call, or of all."""

    __slots__ = ("calls", "errors", "longest_ns", "name", "shortest_ns", "total_ns")

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = self.errors = self.total_ns = self.longest_ns = 0
        self.shortest_ns: int | None = None

    def add(self, ns: int, failed: bool) -> None:
        self.calls += 1
        self.errors += failed
        self.total_ns += ns
        self.longest_ns = max(self.longest_ns, ns)
        self.shortest_ns = ns if self.shortest_ns is None else min(self.shortest_ns, ns)

    def value(self, column: str) -> float:
        """What the column says of the call, times in nanoseconds."""
        if column == "avg-time":
            return self.total_ns // self.calls
        return {
            "total-time": self.total_ns,
            "min-time": self.shortest_ns or 0,
            "max-time": self.longest_ns,
            "calls": self.calls,
            "errors": self.errors,
        }[column]


class Summary:
    """Counts calls and makes the table of them.

    Args:
        options: how it looks.
    """

    def __init__(self, options: SummaryOptions) -> None:
        self._options = options
        self._rows: dict[str, _Row] = {}

    def add(self, name: str, ns: int, failed: bool) -> None:
        """Count a call that has ended.

        Args:
            name: the system call's.
            ns: how long it took.
            failed: it returned an error.
        """
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = _Row(name)
        row.add(max(0, ns - self._options.overhead_ns), failed)

    def lines(self) -> list[str]:
        """The table; empty when nothing was counted."""
        if not self._rows:
            return []
        columns = list(self._options.columns)
        if _NAME not in columns:
            columns.append(_NAME)
        rows = self._sorted()
        total = self._total()
        cells = [[_cell(row, column, total.total_ns) for column in columns] for row in rows]
        last = ["100.00" if column == "time-percent" else _cell(total, column, 0) for column in columns]
        titles = [_TITLES[column][0] for column in columns]
        widths = [self._width(column, position, cells, last) for position, column in enumerate(columns)]
        aligned: list[Callable[[str, int], str]] = [str.ljust if column == _NAME else str.rjust for column in columns]

        def line(texts: list[str]) -> str:
            parts = [align(text, width) for align, text, width in zip(aligned, texts, widths)]
            if columns[-1] == _NAME:
                parts[-1] = texts[-1]
            return " ".join(parts)

        rule = " ".join("-" * width for width in widths)
        return [line(titles), rule, *map(line, cells), rule, line(last)]

    def _sorted(self) -> list[_Row]:
        rows = sorted(self._rows.values(), key=lambda row: X86_64.get(row.name, _UNKNOWN))
        order = self._options.sort_by
        if order == _NAME:
            rows.sort(key=lambda row: row.name)
        elif order:
            rows.sort(key=lambda row: row.value(order), reverse=True)
        return rows

    def _total(self) -> _Row:
        total = _Row("total")
        for row in self._rows.values():
            total.calls += row.calls
            total.errors += row.errors
            total.total_ns += row.total_ns
            total.longest_ns = max(total.longest_ns, row.longest_ns)
        total.shortest_ns = min(row.shortest_ns or 0 for row in self._rows.values())
        return total

    def _width(self, column: str, position: int, cells: list[list[str]], last: list[str]) -> int:
        if column == _NAME:
            return max(_NAME_WIDTH, *(len(row.name) + 1 for row in self._rows.values()))
        return max(_TITLES[column][1], len(last[position]), *(len(row[position]) for row in cells))


def _cell(row: _Row, column: str, total_ns: int) -> str:
    if column == _NAME:
        return row.name
    if column == "time-percent":
        return f"{100 * row.total_ns / total_ns if total_ns else 0:.2f}"
    value = row.value(column)
    if column == "errors":
        return str(value) if value else ""
    if column == "avg-time":
        return str(int(value) // 1000)
    return str(value) if column == "calls" else f"{value / 1e9:.6f}"
