"""`tools/difftest`: the command line, and the course of a run."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tools.differ.compare import Comparer, known, report
from tools.differ.running import RunError, Runner
from tools.differ.script import ScriptError, parse, show
from tools.differ.shrink import shrink
from tools.differ.vocabulary import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.differ.compare import Difference
    from tools.differ.script import Script

_BATCH = 50


def main(words: Sequence[str]) -> int:
    """Carry out the command line and return the exit status: 0 no difference, 1 there is one, 2 it cannot be run."""
    options = _parser().parse_args(words)
    try:
        with tempfile.TemporaryDirectory(prefix="difftest-") as directory:
            run = _Run(options, Runner(Path(directory)))
            return run.replay(options.replay) if options.replay else run.generated()
    except (ScriptError, RunError, OSError) as error:
        print(f"tools/difftest: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/difftest",
        description="Runs generated scripts of system calls natively and in linuxemu, and compares.",
        epilog="Exit status: 0 without a difference, 1 with one, 2 when it cannot be run. Differences that are meant "
        "stand in tools/differ/known.toml.",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="which scripts are made (1)")
    parser.add_argument("--count", type=_positive, default=1000, metavar="N", help="how many (1000)")
    parser.add_argument("--time", type=float, metavar="SECONDS", help="stop after this time")
    parser.add_argument(
        "--subject", action="append", choices=sorted(SUBJECTS), help="what they are about (repeatable; everything)"
    )
    parser.add_argument("--replay", nargs="+", metavar="FILE", help="run these scripts instead")
    parser.add_argument("--save", metavar="DIR", help="write each script that differs to a file there")
    parser.add_argument("--all", action="store_true", help="show every script that differs, not one of a kind")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


class _Run:
    """One run of the tool."""

    def __init__(self, options: argparse.Namespace, runner: Runner) -> None:
        self._options = options
        self._comparer = Comparer(runner, known())
        self._seen: set[tuple[str, ...]] = set()
        self._found = 0

    def replay(self, paths: Sequence[str]) -> int:
        """Scripts from files."""
        scripts = []
        for path in paths:
            try:
                scripts.append(parse(Path(path).read_text("utf-8")))
            except (ScriptError, UnicodeDecodeError) as error:
                raise ScriptError(f"{path}: {error}") from error
        for path, found in zip(paths, self._comparer.differences(scripts)):
            print(f"{path}: {'the same' if found is None else 'different'}")
            if found is not None:
                self._found += 1
                print("\n".join(report(found, show(found.script))))
        return min(self._found, 1)

    def generated(self) -> int:
        """Generated scripts, batch by batch."""
        begin = time.monotonic()
        done = 0
        for scripts in self._batches():
            for found in self._comparer.differences(scripts):
                if found is not None:
                    self._tell(found)
            done += len(scripts)
            elapsed = time.monotonic() - begin
            if self._options.time is not None and elapsed > self._options.time:
                break
        elapsed = time.monotonic() - begin
        excused = self._comparer.excused
        for reason, count in excused.most_common():
            print(f"{count:6} known: {reason}")
        print(f"{done} scripts in {elapsed:.0f} s: {self._found} different, {excused.total()} as known.toml says")
        return min(self._found, 1)

    def _batches(self) -> Iterator[list[Script]]:
        from tools.differ.generate import scripts

        subjects = self._options.subject or list(SUBJECTS)
        left, index = self._options.count, 0
        while left > 0:
            subject = subjects[index % len(subjects)]
            seed = f"{self._options.seed} {subject} {index // len(subjects)}"
            made = scripts(subject, seed, min(_BATCH, left))
            yield made
            left -= len(made)
            index += 1

    def _tell(self, found: Difference) -> None:
        """Shows a difference, made small; one of a kind unless all are wanted."""
        self._found += 1
        if found.signature in self._seen and not self._options.all:
            return
        self._seen.add(found.signature)
        signature = found.signature

        def differ(scripts: list[Script]) -> list[bool]:
            results = self._comparer.differences(scripts, sure=False)
            return [each is not None and each.signature == signature for each in results]

        small = shrink(found.script, differ)
        shown = self._comparer.differences([small])[0] or found
        text = show(shown.script)
        print("\n".join(report(shown, text)), end="\n\n", flush=True)
        if self._options.save:
            path = Path(self._options.save) / f"{signature[0].split(' ')[-1]}-{self._found}.script"
            path.write_text(text, "utf-8")
