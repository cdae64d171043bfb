"""Figures as a table, as JSON and in the README."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any, NamedTuple

from linuxemu.bench.figures import LINUXEMU, NATIVE, NOTE, QEMU, SUBJECTS
from linuxemu.errors import LinuxEmuError

if TYPE_CHECKING:
    from pathlib import Path

BEGIN, END = "<!-- bench: written by `linuxemu bench --update-readme` -->", "<!-- /bench -->"


class Sample(NamedTuple):
    """What one subject's runs gave."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        from statistics import median

        return median(self.values)


class Line(NamedTuple):
    """A measured figure."""

    name: str
    title: str
    unit: str
    samples: dict[str, Sample]

    def ratio(self, subject: str) -> float | None:
        """How many times linuxemu's median is another subject's."""
        if LINUXEMU not in self.samples or subject not in self.samples:
            return None
        other = self.samples[subject].median
        return self.samples[LINUXEMU].median / other if other > 0 else None


class Limit(NamedTuple):
    """A promise about the figures."""

    text: str
    value: float
    most: float

    @property
    def kept(self) -> bool:
        """It holds in this measurement."""
        return self.value <= self.most


def limits(lines: list[Line]) -> list[Limit]:
    """The promises that can be checked with what was measured."""
    by_name = {line.name: line for line in lines}

    def median(name: str, subject: str = LINUXEMU) -> float | None:
        line = by_name.get(name)
        return line.samples[subject].median if line and subject in line.samples else None

    found: list[Limit] = []

    def add(text: str, value: float | None, base: float | None, most: float) -> None:
        if value is not None and base:
            found.append(Limit(text, value / base, most))

    add("null system call / bare stop-and-start", median("null"), median("cycle"), 2.5)
    null, traced = median("null"), median("traced")
    if null is not None and traced is not None:
        add("tracing a null system call to a file, µs more", traced - null, 1, 25)
    add("fork + exec + wait / native", median("exec"), median("exec", NATIVE), 6)
    add("300-fork script / 300 starts under qemu-x86_64", median("script"), median("script", QEMU), 1)
    add("start-up / `python3 -c pass`", median("start"), median("python", NATIVE), 15)
    add("peak memory, MiB", median("memory"), 1, 100)
    add("CPU use of the sleeping processes, %", median("idle"), 1, 1)
    add("audit of BusyBox, s", median("audit"), 1, 10)
    add("harness test, ms", median("harness"), 1, 3)
    add("collection with the plugin, ms", median("collect"), 1, 50)
    return found


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _cell(sample: Sample | None, unit: str) -> str:
    if sample is None:
        return ""
    text = f"{_number(sample.median)} {unit}"
    if len(sample.values) > 1:
        text += f" ({_number(min(sample.values))}–{_number(max(sample.values))})"
    return text


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{_number(value)} ×"


def table(lines: list[Line]) -> str:
    """A Markdown table with aligned columns: medians, smallest and largest in brackets, ratios of medians."""
    rows = [["", *SUBJECTS, "to native", "to qemu"]]
    for line in lines:
        cells = [_cell(line.samples.get(subject), line.unit) for subject in SUBJECTS]
        rows.append([line.title, *cells, _ratio(line.ratio(NATIVE)), _ratio(line.ratio(QEMU))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    text = []
    for row in rows:
        numbers = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        text.append(" | ".join(["| " + row[0].ljust(widths[0]), *numbers]) + " |")
    if any(line.name == "script" for line in lines):
        text.extend(["", NOTE])
    return "\n".join(text)


def limits_text(found: list[Limit]) -> str:
    """One line for each promise."""

    def line(limit: Limit) -> str:
        verdict = "kept" if limit.kept else "MISSED"
        return f"- {limit.text}: {_number(limit.value)}, limit {_number(limit.most)}: {verdict}"

    return "\n".join(map(line, found))


def describe_host() -> dict[str, str]:
    """The machine of the measurement."""
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
            cpu = next(names, cpu)
    except OSError:
        pass  # not on Linux
    return {
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }


def host_text() -> str:
    """The same in a line."""
    host = describe_host()
    return f"{host['cpu']}, {host['cores']} cores, {host['system']}, Python {host['python']}"


def as_json(lines: list[Line], found: list[Limit]) -> dict[str, Any]:
    """Everything, for machines."""

    def sample(value: Sample) -> dict[str, Any]:
        numbers = value.values
        return {"median": value.median, "min": min(numbers), "max": max(numbers), "runs": numbers}

    return {
        "host": describe_host(),
        "figures": [
            {
                "name": line.name,
                "title": line.title,
                "unit": line.unit,
                "ratio_to_native": line.ratio(NATIVE),
                "ratio_to_qemu": line.ratio(QEMU),
                **{subject: sample(value) for subject, value in line.samples.items()},
            }
            for line in lines
        ],
        "limits": [{**limit._asdict(), "kept": limit.kept} for limit in found],
    }


def update_readme(path: Path, lines: list[Line], found: list[Limit], runs: int) -> None:
    """Write table and promises between the markers of a README."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LinuxEmuError(f"bench: {path}: {error.strerror}") from None
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise LinuxEmuError(f"bench: {path} has no lines {BEGIN!r} and {END!r} to write between")
    body = f"Medians of {runs} runs, smallest and largest in brackets. {host_text()}.\n\n{table(lines)}"
    if found:
        body += f"\n\n{limits_text(found)}"
    path.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")
