"""`tools/fuzz`: the command line, and the course of a run."""

from __future__ import annotations

import argparse
import resource
import sys
import time
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from linuxemu.errors import LinuxEmuError
from tools.fuzzing import store
from tools.fuzzing.archives import Archives
from tools.fuzzing.interfaces import Interfaces
from tools.fuzzing.linux import Syscalls, Trace
from tools.fuzzing.messages import Messages
from tools.fuzzing.native import Native
from tools.fuzzing.programs import Programs
from tools.fuzzing.target import Case, Failure, FuzzError, Target, failure_of
from tools.fuzzing.watch import Growth, Hang, Peak, limit

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGETS: dict[str, type[Target]] = {
    target.name: target for target in (Syscalls, Programs, Archives, Interfaces, Messages, Native, Trace)
}

_FOREVER = 1 << 62
_LARGEST_FILE = 64 << 20
"""What the tool itself may write into one file, bytes: a guest with a writable directory asks for more."""
_SHRINK_TRIES = 60
_MOST_DIFFERENT = 20
"""So many defects are enough for one run."""
_SAY_EVERY_S = 10.0


def main(words: Sequence[str]) -> int:
    """Carry out the command line and return the exit status: 0 nothing found, 1 something found, 2 it cannot be run."""
    options = _parser().parse_args(words)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, limits[1]))
    try:
        if options.replay:
            return _replay(Path(options.replay))
        names = options.target or list(TARGETS)
        seconds = options.time / len(names) if options.time else None
        count = options.count or (_FOREVER if seconds else 10_000)
        return max([Run(TARGETS[name](), Path(options.output)).run(options.seed, count, seconds) for name in names])
    except LinuxEmuError as error:
        print(f"tools/fuzz: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/fuzz",
        description="Feeds linuxemu hostile system calls, programs, archives, interface files and messages.",
        epilog="Exit status: 0 when nothing was found, 1 when something was, 2 when it cannot be run.",
    )
    add = parser.add_argument
    add("--target", action="append", choices=list(TARGETS), help="what is fed (repeatable; all of them)")
    add("--seed", type=int, default=1, metavar="N", help="another seed makes other inputs (1)")
    add("--time", type=float, metavar="SECONDS", help="end after so long, shared by the targets")
    add("--count", type=int, metavar="N", help="end after so many inputs or system calls of each target (10000)")
    add("--output", default="build/fuzz", metavar="DIR", help="where failures are saved (build/fuzz)")
    add("--replay", metavar="FILE", help="run a saved failure again")
    return parser


class Run:
    """One run of a target.

    Args:
        target: which.
        folder: where failures are saved.
        most_mib: how much memory may grow, MiB.
    """

    def __init__(self, target: Target, folder: Path, most_mib: float = 200.0) -> None:
        self._target = target
        self._folder = folder
        self._growth = Growth(most_mib)
        self._peak = Peak(target.peak_mib)
        self._known: list[Failure] = []
        self.done = 0

    def run(self, seed: int, count: int, seconds: float | None) -> int:
        """Run cases until there are enough, and say what came of it; returns the exit status.

        Args:
            seed: of all random choices.
            count: of inputs or system calls.
            seconds: when to end at the latest.
        """
        target = self._target
        target.open()
        self._growth = Growth(self._growth.most_mib)
        begin = said = time.monotonic()
        try:
            for case in target.cases(Random(seed), count):
                for failure in self.attempt(case) + list(self._growth.after_case()):
                    self._report(case, failure)
                now = time.monotonic()
                if now - said > _SAY_EVERY_S:
                    said = now
                    print(f"{target.name}: {self.done} {target.unit}", file=sys.stderr, flush=True)
                if (seconds is not None and now - begin > seconds) or len(self._known) >= _MOST_DIFFERENT:
                    break
        finally:
            target.close()
        spent = time.monotonic() - begin
        print(
            f"{target.name}: {self.done} {target.unit} in {spent:.0f} s, {len(self._known)} failures, "
            f"memory +{self._growth.mib:.0f} MiB, at most +{self._peak.highest_mib:.0f} MiB at once",
            flush=True,
        )
        return 1 if self._known else 0

    def attempt(self, case: Case) -> list[Failure]:
        """Run a case; what is wrong with it."""
        target = self._target
        found = []
        self._peak.before_case()
        try:
            # What a machine reports of its defects at its end is reported by the target.
            with limit(target.limit_s), redirect_stderr(StringIO()):
                self.done += target.run(case)
        except (Exception, Hang) as error:  # noqa: BLE001 (whatever comes is what is looked for)
            found.append(failure_of(error))
        return found + list(self._peak.after_case()) + list(target.check())

    def _report(self, case: Case, failure: Failure) -> None:
        """Save a failure that is not like one before."""
        if any(failure.is_like(other) for other in self._known):
            return
        self._known.append(failure)
        path = store.save(self._folder, self._target.name, case, failure)
        print(f"{self._target.name}: {failure.kind} {failure.place}\n{failure.text}\nsaved as {path}", flush=True)
        if failure.kind not in ("memory", "descriptors", "hang"):
            done = self.done
            smaller = store.shrink(self._target, case, failure, self.attempt, _SHRINK_TRIES)
            self.done = done
            store.save(self._folder, self._target.name, smaller, failure)


def _replay(path: Path) -> int:
    name, case, failure = store.load(path)
    if name not in TARGETS:
        raise FuzzError(f"{path}: there is no target {name!r}")
    target = TARGETS[name]()
    target.open()
    try:
        found = Run(target, path.parent).attempt(case)
    finally:
        target.close()
    for other in found:
        print(f"{name}: {other.kind} {other.place}\n{other.text}")
    again = any(failure.is_like(other) for other in found)
    print(f"{name}: {'the same failure' if again else 'another failure' if found else 'no failure'}")
    return 1 if found else 0
