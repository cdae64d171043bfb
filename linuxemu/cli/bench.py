"""`linuxemu bench`: linuxemu measured beside native runs and qemu-user, in the same call."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from linuxemu.bench.figures import Figure, Host, figures, find_qemu, linuxemu_command
from linuxemu.bench.launch import Launcher, write_program
from linuxemu.bench.report import Line, Sample, as_json, host_text, limits, limits_text, table, update_readme
from linuxemu.errors import LinuxEmuError


def main(words: list[str]) -> int:
    """Carry out `linuxemu bench WORDS`; exit status 1 if a promise is missed with --check."""
    options = _parser().parse_args(words)
    # An installed tool finds its modules compiled; one that compiles them at every start is not what is measured.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        with tempfile.TemporaryDirectory(prefix="linuxemu-bench-") as directory:
            lines = _measure(_host(Path(directory)), options.only, options.runs)
        found = limits(lines)
        if options.update_readme:
            update_readme(_readme(), lines, found, options.runs)
    except LinuxEmuError as error:
        sys.stderr.write(f"linuxemu bench: {error}\n")
        return 2
    if options.json:
        print(json.dumps(as_json(lines, found), indent=2))
    else:
        print(f"{host_text()}\n\n{table(lines)}")
        if found:
            print(f"\n{limits_text(found)}")
    return 1 if options.check and not all(limit.kept for limit in found) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="linuxemu bench",
        allow_abbrev=False,
        description="Measure linuxemu, the same programs natively and, if installed, under qemu-x86_64:"
        " in turn, so that a change of the machine's speed meets all of them. Medians of several runs.",
    )
    add = parser.add_argument
    add("--only", action="append", default=[], metavar="NAME", help="only this figure, or with commas these")
    add("--runs", type=_positive, default=5, metavar="N", help="runs of each measurement (5)")
    add("--json", action="store_true", help="print everything as JSON instead of a table")
    add("--check", action="store_true", help="exit with 1 when a limit is missed")
    add("--update-readme", action="store_true", help="write the table into the checkout's README.md")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _host(work: Path) -> Host:
    from rootfs.busybox import find_busybox

    busybox = work / "busybox"
    write_program(busybox, find_busybox(None, _say).data)
    native = sys.platform == "linux" and os.uname().machine == "x86_64"
    return Host(work, Launcher(work), str(busybox), find_qemu() if native else None, native)


def _readme() -> Path:
    return Path(__file__).resolve().parents[2] / "README.md"


def _measure(host: Host, only: list[str], runs: int) -> list[Line]:
    known = figures(host)
    names = [figure.name for figure in known]
    only = [name for words in only for name in words.split(",")]
    for name in only:
        if name not in names:
            raise LinuxEmuError(f"no figure {name!r}; there are {', '.join(names)}")
    wanted = [figure for figure in known if not only or figure.name in only]
    _say("warming up")
    host.launcher.run(linuxemu_command("run", "busybox", "true"))
    values: dict[str, dict[str, list[float]]] = {
        figure.name: {subject: [] for subject in figure.measures} for figure in wanted
    }
    # All figures in every round, and within each all subjects in turn: what slows the machine down for a while
    # slows down all of them, and the ratios between figures hold too.
    for number in range(runs):
        for figure in wanted:
            _say(f"round {number + 1} of {runs}: {figure.title}")
            for subject, measure in figure.measures.items():
                values[figure.name][subject].append(measure())
    _say("")
    return [_line(figure, values[figure.name]) for figure in wanted if figure.measures]


def _line(figure: Figure, values: dict[str, list[float]]) -> Line:
    samples = {subject: Sample(tuple(numbers)) for subject, numbers in values.items()}
    return Line(figure.name, figure.title, figure.unit, samples)


def _say(text: str) -> None:
    """Progress, on one line that the next replaces; lines of their own where nobody watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
    elif text:
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
