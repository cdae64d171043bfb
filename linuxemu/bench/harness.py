"""What a test costs: the harness's figures, each the difference that the plugin makes to pytest alone."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING

from linuxemu.errors import LinuxEmuError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from linuxemu.bench.launch import Launcher

_PAIRS = 150
_COLLECTED = 200
_RUNS = 3

_TESTS = """
from linuxemu.messages import fs
from syscalls.abi.flags import AT_FDCWD, O_RDONLY

def empty():
    pass

def harness(guest):
    guest.fs.expect(fs.Open(path="/etc/hostname")).reply(handle=3)
    assert guest.syscall.openat(AT_FDCWD, "/etc/hostname", O_RDONLY) == 3
"""
_COLLECT = """
import os, sys, pytest
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
sys.exit(pytest.main(["-q", "--collect-only", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""
_PAIR = "test_a{0} = empty\ntest_b{0} = harness\n"

# Runs pytest and tells the median time of the tests of each kind, fixtures included. They take turns.
_TIMER = """
import os, sys, time, statistics, pytest
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
spent = {"a": [], "b": []}
class Timer:
    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        begin = time.perf_counter()
        result = yield
        spent[item.name[5]].append(time.perf_counter() - begin)
        return result
options = ["-q", "-p", "no:cacheprovider", "-p", "linuxemu.pytest_plugin", "--rootdir", sys.argv[2], sys.argv[1]]
status = pytest.main(options, plugins=[Timer()])
print("seconds", status + 0, statistics.median(spent["b"]) - statistics.median(spent["a"]))
"""


def harness_cost(work: Path, launcher: Launcher) -> dict[str, Callable[[], float]]:
    """Milliseconds of a test with one call and one message beyond an empty test."""
    if find_spec("pytest") is None:
        return {}
    path = work / "test_cost.py"
    path.write_text(_TESTS + "".join(_PAIR.format(number) for number in range(_PAIRS)))
    command = [sys.executable, "-c", _TIMER, str(path), str(work)]
    return {"linuxemu": lambda: _told(launcher.run(command).stdout)}


def _told(output: bytes) -> float:
    words = output.decode().split("seconds ")[-1].split()
    if words[:1] != ["0"]:
        raise LinuxEmuError(f"bench: the harness's own tests failed: {output.decode(errors='replace')}")
    return float(words[1]) * 1e3


def collection_cost(work: Path, launcher: Launcher) -> dict[str, Callable[[], float]]:
    """Milliseconds that collecting takes longer with the plugin."""
    if find_spec("pytest") is None:
        return {}
    path = work / "test_collected.py"
    path.write_text("".join(f"def test_{number}():\n    pass\n" for number in range(_COLLECTED)))
    without = [sys.executable, "-c", _COLLECT, "--rootdir", str(work), str(path)]
    having = [*without, "-p", "linuxemu.pytest_plugin"]

    def measure() -> float:
        pairs = [(launcher.run(having).wall_s, launcher.run(without).wall_s) for _ in range(_RUNS)]
        return median(mine - others for mine, others in pairs) * 1e3

    return {"linuxemu": measure}
