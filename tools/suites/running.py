"""Runs a unit: natively in a private copy of the suite's root, and in linuxemu in an overlay of the same."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.suites.suite import ENVIRONMENT, Outcome, SuiteError, Unit

ROOT = Path(__file__).resolve().parent.parent.parent

SLOWER = 12.0
"""A guest gets at most so many times the time that a native run may take."""

# A suite may set the clock of a machine that is its own; it must not set this one's.
_NEVER = "-sys_time,-sys_boot,-sys_module,-sys_rawio"

_TIMED_OUT = 124
_MAX_OUTPUT = 4 << 20
_GRACE_S = 20.0

# In namespaces of its own: an overlay whose upper part is in memory, with the file systems that programs expect. The
# unit is not the namespace's first process, for which signals are different; and all it leaves behind ends with that.
_NATIVE = """\
set -e
mount -t tmpfs none "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" none "$2/root"
mount -t proc none "$2/root/proc"
mount --rbind /dev "$2/root/dev"
mount --rbind /sys "$2/root/sys"
cd "$2/root"
shift 2
chroot . /bin/busybox sh -c "$1"
exit $?
"""


class Runner:
    """Runs the units of a suite, several at the same time if asked to from several threads.

    Args:
        root: the suite's root file system, which is not changed.
        engine: the CPU engine of linuxemu.
    """

    def __init__(self, root: Path, engine: str) -> None:
        self._root, self._engine = root, engine
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def native(self, unit: Unit) -> Outcome:
        """Run a unit on the host's own kernel.

        Raises:
            SuiteError: this host cannot make the namespaces for it.
        """
        words = " ".join(map(shlex.quote, unit.argv))
        script = f"cd {shlex.quote(unit.cwd)} && {words}; exit $?"
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        less = ["setpriv", f"--bounding-set={_NEVER}"] if os.geteuid() == 0 else []
        with tempfile.TemporaryDirectory(prefix="conformance-") as scratch:
            line = ["unshare", *user, "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL"]
            line += [*less, "sh", "-c", _NATIVE, "native", str(self._root), scratch, script]
            return self._run(line, {**ENVIRONMENT, **dict(unit.env)}, unit.timeout_s)

    def guest(self, unit: Unit, limit_s: float) -> Outcome:
        """Run a unit in linuxemu.

        Args:
            unit: what to run.
            limit_s: the limit of time.
        """
        line = [sys.executable, "-m", "linuxemu", "run", "--quiet", "--root", str(self._root)]
        line += ["--engine", self._engine, "--cwd", unit.cwd, "--timeout", f"{limit_s:g}"]
        for name, value in {**ENVIRONMENT, **dict(unit.env)}.items():
            line += ["--env", f"{name}={value}"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return self._run([*line, "--", *unit.argv], environment, limit_s + _GRACE_S)

    def check(self) -> None:
        """Find out whether native runs are possible at all, so that their failure is not taken for a case's.

        Raises:
            SuiteError: they are not; the text says why.
        """
        try:
            outcome = self.native(Unit("check", ("/bin/busybox", "echo", "here"), "/"))
        except OSError as error:
            raise SuiteError(f"native runs need unshare (util-linux): {error.strerror}") from None
        if outcome.output != b"here\n":
            text = outcome.output.decode("utf-8", "replace").strip()
            raise SuiteError(f"native runs need namespaces, which this host does not give: {text}")

    @property
    def running(self) -> int:
        """How many units run at this moment."""
        return len(self._running)

    def stop(self) -> None:
        """End what is running, and let nothing more begin."""
        self._stopped = True
        for process in list(self._running):
            process.kill()

    def _run(self, line: list[str], env: dict[str, str], limit_s: float) -> Outcome:
        """A command in a session of its own; at its end nothing of it is left."""
        if self._stopped:
            raise SuiteError("stopped")
        start = time.monotonic()
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                line, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
            self._running.add(process)
            try:
                status = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                status = _TIMED_OUT
            finally:
                process.kill()
                process.wait()
                self._running.discard(process)
            if self._stopped:
                raise SuiteError("stopped")
            seconds = time.monotonic() - start
            output.seek(0)
            return Outcome(128 - status if status < 0 else status, output.read(_MAX_OUTPUT), seconds)
