"""`tools/conformance`: the command line, and the course of a run."""

from __future__ import annotations

import argparse
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from linuxemu.errors import LinuxEmuError
from tools.suites import debian, expectations, page, report, running, verdict
from tools.suites.bash import Bash
from tools.suites.busybox import BusyBox
from tools.suites.posix import Posix
from tools.suites.store import Result, Store, program_version
from tools.suites.suite import FAIL, PASS, SKIP, SuiteError
from tools.suites.tree import make_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tools.suites.suite import Outcome, Suite, Unit
    from tools.suites.verdict import Verdict

ROOT = Path(__file__).resolve().parent.parent.parent
SUITES: dict[str, Suite] = {suite.name: suite for suite in (BusyBox(), Bash(), Posix())}

_OUTPUT_KEPT = 6000
_BUILT = "built"

# A guest that hangs is not waited for long: it gets this, and so many times what the native run took.
_LEAST_S, _TIMES = 60.0, 60.0


def main(words: Sequence[str]) -> int:
    """Carry out the command line and return the exit status: 0 all as expected, 1 not so, 2 it cannot be run."""
    options = _parser().parse_args(words)
    if options.name is None:
        for suite in SUITES.values():
            print(f"{suite.name:<10}{suite.title} (Debian source package {suite.package})")
        return 0
    try:
        return _Run(SUITES[options.name], options).run()
    except (SuiteError, LinuxEmuError) as error:
        print(f"tools/conformance: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tools/conformance: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/conformance",
        description="Runs a foreign test suite natively and in linuxemu, and compares.",
        epilog="Exit status: 0 when all is as tests/expectations/NAME.toml says, 1 when not, 2 when it cannot be run.",
    )
    parser.add_argument("name", nargs="?", choices=sorted(SUITES), help="the suite; without it they are listed")
    parser.add_argument("--engine", default="unicorn", help="the CPU of linuxemu (unicorn)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many units run at the same time (1)")
    parser.add_argument("--native", action="store_true", help="run natively only")
    parser.add_argument("--only", action="append", metavar="GLOB", help="units with such a name only (repeatable)")
    parser.add_argument("--slice", action="store_true", help="the units that CI runs only")
    parser.add_argument("--fresh", action="store_true", help="forget the results that are kept of earlier runs")
    parser.add_argument("--source", metavar="DIR", help="an unpacked source instead of Debian's package")
    parser.add_argument("--cache", metavar="DIR", help="where sources, builds and results are kept")
    parser.add_argument("--junit", metavar="FILE", help="write a JUnit file")
    parser.add_argument("--output", action="store_true", help="show what unexpected cases printed")
    parser.add_argument("--update-docs", action="store_true", help="write the figures into docs/conformance.md")
    return parser


class Prepared:
    """A suite that is built.

    Args:
        suite: which.
        version: the version of its source.
        folder: what belongs to that version; the root file system is in it.
    """

    def __init__(self, suite: Suite, version: str, folder: Path) -> None:
        self.suite, self.version, self.folder = suite, version, folder
        self.source, self.root = folder / "source", folder / "root"
        self.units = suite.units(self.source, self.root)

    def make(self, unit: Unit) -> bool:
        """Build what a unit needs, unless that is done; whether it can run."""
        return self.suite.make(self.source, self.root, unit)

    def selected(self, globs: Sequence[str]) -> list[Unit]:
        """The units whose names match.

        Raises:
            SuiteError: there are none.
        """
        found = [unit for unit in self.units if not globs or any(fnmatchcase(unit.name, glob) for glob in globs)]
        if not found:
            raise SuiteError(f"no unit of {self.suite.name} is named {' or '.join(globs)}")
        return found


def prepare(suite: Suite, cache: Path, source: Path | None, jobs: int, say: Callable[[str], None]) -> Prepared:
    """Fetch and build a suite, unless that is done.

    Args:
        suite: which.
        cache: where fetched and built things are kept.
        source: an unpacked source of the user's, which is built anew each time; None for Debian's package.
        jobs: how many compilers may run at once.
        say: is told what takes time.

    Raises:
        Unreachable: the source is not there, and no package source answers.
        SuiteError: it cannot be had or built.
        BootError: there is no BusyBox.
    """
    if source is None:
        say(f"fetching the Debian source package {suite.package}")
        found = debian.fetch(suite.package, suite.programs, cache)
    else:
        found = debian.local(source, cache)
    folder = found.path.parent
    if not (folder / _BUILT).exists():
        say(f"building {suite.name} {found.version}")
        busybox = found.programs / "bin/busybox"
        make_root(folder / "root", busybox if busybox.exists() else None)
        suite.build(found.path, found.programs, folder / "root", jobs)
        (folder / _BUILT).touch()
    return Prepared(suite, found.version, folder)


class _Run:
    """One run of the tool."""

    def __init__(self, suite: Suite, options: argparse.Namespace) -> None:
        self._suite, self._options = suite, options
        self._file = ROOT / "tests/expectations" / f"{suite.name}.toml"
        self._known = expectations.load(self._file, options.engine)
        self._verdicts: dict[str, list[Verdict]] = {}
        self._outputs: dict[str, str] = {}
        self._seconds = [0.0, 0.0]

    def run(self) -> int:
        """Everything, in order."""
        options = self._options
        cache = Path(options.cache) if options.cache else cache_dir()
        source = Path(options.source) if options.source else None
        self._prepared = prepared = prepare(self._suite, cache, source, options.jobs, _say)
        units = prepared.selected((*(options.only or ()), *(self._suite.slice if options.slice else ())))
        whole = len(units) == len(prepared.units)
        self._runner = running.Runner(prepared.root, options.engine)
        self._runner.check()
        self._native = Store(prepared.folder / "native.jsonl", fresh=options.fresh or source is not None)
        here = f"{options.engine}-{program_version()}.jsonl"
        self._here = Store(prepared.folder / here, fresh=options.fresh or source is not None)
        self._carry_out(units)
        return self._conclude(units, whole)

    def _carry_out(self, units: Sequence[Unit]) -> None:
        """Runs what has not run, several at a time, and prints the cases of a unit when it has."""
        with _bar(len(units)) as (step, write), ThreadPoolExecutor(max(self._options.jobs, 1)) as pool:
            waiting = {pool.submit(self._unit, unit): unit for unit in units}
            try:
                for done in as_completed(waiting):
                    unit, found = waiting[done], done.result()
                    self._verdicts[unit.name] = found
                    for one in found:
                        write(report.line(one))
                        if one.unexpected and self._options.output:
                            write(self._outputs[one.case])
                    step(unit.name)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._runner.stop()
                raise

    def _unit(self, unit: Unit) -> list[Verdict]:
        native = self._native.get(unit.name)
        if native is None and self._prepared.make(unit):
            native = self._keep(self._native, unit, self._runner.native(unit))
        elif native is None:
            native = Result({unit.name: SKIP}, 0.0, "it cannot be built")
            self._native.put(unit.name, native)
        self._seconds[0] += native.seconds
        if self._options.native or PASS not in native.cases.values():
            return verdict.judge_native(native)
        skipped = self._known.of(unit.name, expectations.SKIP)
        if skipped:
            return [
                verdict.Verdict(case, verdict.XFAILED if result == PASS else verdict.NOT_JUDGED, skipped.reason, 0.0)
                for case, result in native.cases.items()
            ]
        here = self._here.get(unit.name)
        if here is None:
            limit = min(running.SLOWER * unit.timeout_s, _LEAST_S + _TIMES * native.seconds)
            here = self._keep(self._here, unit, self._runner.guest(unit, limit))
        self._seconds[1] += here.seconds
        found = verdict.judge(native, here, self._known)
        self._outputs.update({one.case: here.output for one in found if one.unexpected})
        return found

    def _keep(self, store: Store, unit: Unit, outcome: Outcome) -> Result:
        cases = self._suite.cases(unit, outcome) or {unit.name: FAIL}
        text = outcome.output[-_OUTPUT_KEPT:].decode("utf-8", "backslashreplace")
        result = Result(cases, round(outcome.seconds, 3), f"{text}\n[status {outcome.status}]")
        store.put(unit.name, result)
        return result

    def _conclude(self, units: Sequence[Unit], whole: bool) -> int:
        options = self._options
        verdicts = [one for unit in units for one in self._verdicts[unit.name]]
        counted = verdict.figures(verdicts, *self._seconds)
        stale = self._known.stale([one.case for one in verdicts] + [unit.name for unit in units]) if whole else []
        for glob in stale:
            print(f"STALE {self._file.relative_to(ROOT)}: {glob!r} is no case")
        print(report.summary(self._suite.name, self._prepared.version, counted, native_only=options.native))
        if options.junit:
            report.write_junit(Path(options.junit), self._suite.name, verdicts, self._outputs)
        if options.update_docs:
            if not whole or options.native:
                raise SuiteError("--update-docs is for whole runs on both sides")
            self._update_docs(counted)
        return 1 if stale or any(one.unexpected for one in verdicts) else 0

    def _update_docs(self, counted: verdict.Figures) -> None:
        path = ROOT / "docs/conformance.md"
        folder = ROOT / "tests/expectations"
        known = {
            name: expectations.load(folder / f"{name}.toml", self._options.engine).entries for name in SUITES
        }
        suite = self._suite
        row = page.row(suite.name, suite.title, f"{suite.package} {self._prepared.version}", counted)
        path.write_text(page.update(path.read_text("utf-8"), suite.name, row, known), "utf-8")


def cache_dir() -> Path:
    """Where fetched and built things and results are kept, unless told otherwise."""
    from rootfs.cache import cache_dirs

    return Path(cache_dirs()[0]) / "conformance"


def _say(text: str) -> None:
    print(f"tools/conformance: {text}", file=sys.stderr)


@contextmanager
def _bar(total: int) -> Iterator[tuple[Callable[[str], None], Callable[[str], None]]]:
    """A progress bar where somebody looks: a function for each step and one that prints a line past it."""
    if not sys.stderr.isatty():
        yield (lambda _name: None), (lambda text: print(text, flush=True))
        return
    from tqdm import tqdm

    width = shutil.get_terminal_size().columns
    with tqdm(total=total, unit="unit", leave=False, ncols=min(width, 100)) as bar:

        def step(name: str) -> None:
            bar.set_postfix_str(name, refresh=False)
            bar.update()

        yield step, lambda text: bar.write(text, file=sys.stdout)
