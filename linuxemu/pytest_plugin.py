"""The pytest plugin: fixtures to test system calls, and the options and the marker that choose the system under them.

pytest imports this module at every start of every test run on the machine, so it imports nothing else of the project
until a fixture is used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from linuxemu.testing import Clock, Guest
    from linuxemu.testing.program import ProgramRunner

ENGINES = ("unicorn", "fake")
_MODES = {"direct": (False,), "strict": (True,), "both": (False, True)}
_MARKER = (
    "linuxemu(engine=..., strict_ipc=..., root=..., user=..., seed=...): the system under the fixtures guest and "
    "program; a list of engines, or of bools for strict_ipc, runs the test with each"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of this plugin."""
    group = parser.getgroup("linuxemu", "system calls of Linux guests (linuxemu)")
    group.addoption(
        "--engine", action="append", choices=[*ENGINES, "all"], metavar="unicorn|fake|all",
        help="the CPU of guests; given twice, or as all, every test runs with each (default: unicorn)",
    )  # fmt: skip
    group.addoption(
        "--ipc", dest="linuxemu_ipc", choices=list(_MODES), metavar="direct|strict|both",
        help="strict packs and unpacks every message between servers; both runs every test each way (default: direct)",
    )  # fmt: skip
    group.addoption(
        "--strict-ipc", dest="linuxemu_ipc", action="store_const", const="strict", help="the same as --ipc strict"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known; with --strict-ipc, machines that a test makes itself are strict too."""
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("linuxemu_ipc") == "strict":
        os.environ["LINUXEMU_STRICT_IPC"] = "1"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each engine and each IPC mode that option or marker name."""
    config, definition = metafunc.config, metafunc.definition
    if "linuxemu_engine" in metafunc.fixturenames:
        engines = _each(_marked(definition, "engine")) or _engines(config)
        if len(engines) > 1:
            metafunc.parametrize("linuxemu_engine", engines, indirect=True)
    if "linuxemu_strict_ipc" in metafunc.fixturenames:
        modes = _each(_marked(definition, "strict_ipc")) or _strict_modes(config)
        if len(modes) > 1:
            metafunc.parametrize(
                "linuxemu_strict_ipc", modes, indirect=True, ids=["strict" if m else "direct" for m in modes]
            )


def _each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _engines(config: pytest.Config) -> list[str]:
    given = config.getoption("--engine") or ["unicorn"]
    return list(ENGINES) if "all" in given else list(dict.fromkeys(given))


def _strict_modes(config: pytest.Config) -> Sequence[bool]:
    given = config.getoption("linuxemu_ipc")
    if given is not None:
        return _MODES[given]
    return (os.environ.get("LINUXEMU_STRICT_IPC", "") not in ("", "0"),)


def _marked(node: pytest.Item | pytest.Collector, name: str) -> Any:
    """What the nearest marker that says so gives an argument; None if none does."""
    for marker in node.iter_markers("linuxemu"):
        unknown = set(marker.kwargs) - {"engine", "strict_ipc", "root", "user", "seed"}
        if unknown or marker.args:
            raise pytest.UsageError(f"marker linuxemu: unknown {', '.join(map(str, (*unknown, *marker.args)))}")
        if name in marker.kwargs:
            return marker.kwargs[name]
    return None


@pytest.fixture
def linuxemu_engine(request: pytest.FixtureRequest) -> str:
    """The engine of this test's guests: "unicorn" or "fake"."""
    chosen: str = getattr(request, "param", None) or (
        _each(_marked(request.node, "engine")) or _engines(request.config)
    )[0]
    return chosen


@pytest.fixture
def linuxemu_strict_ipc(request: pytest.FixtureRequest) -> bool:
    """Whether messages are packed and unpacked in this test."""
    if hasattr(request, "param"):
        return bool(request.param)
    return bool((_each(_marked(request.node, "strict_ipc")) or _strict_modes(request.config))[0])


_guests = pytest.StashKey["list[Guest]"]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """What a guest still expects when the test body is over is missing: the test fails, not its teardown."""
    result = yield
    for guest in item.stash.get(_guests, []):
        guest.verify()
    return result


@pytest.fixture
def guest(
    request: pytest.FixtureRequest, linuxemu_engine: str, linuxemu_strict_ipc: bool
) -> Iterator[Guest]:
    """A process on a kernel with scripted servers, whose system calls the test makes; see `linuxemu.testing.Guest`."""
    from linuxemu.testing import Guest

    options = {name: _marked(request.node, name) for name in ("root", "user", "seed")}
    given = {name: value for name, value in options.items() if value is not None}
    made = Guest(engine=linuxemu_engine, strict_ipc=linuxemu_strict_ipc, **given)
    request.node.stash.setdefault(_guests, []).append(made)
    yield made
    made.close()


@pytest.fixture
def clock(guest: Guest) -> Clock:
    """The virtual time of `guest`: it jumps when all wait for it, and `advance` moves it."""
    return guest.clock


@pytest.fixture
def program(request: pytest.FixtureRequest, linuxemu_strict_ipc: bool) -> ProgramRunner:
    """Runs whole guest programs in a machine of their own; see `linuxemu.testing.ProgramRunner`."""
    from linuxemu.testing.program import NoCompiler, ProgramRunner

    class Runner(ProgramRunner):
        def compile(self, source: str) -> bytes:
            try:
                return super().compile(source)
            except NoCompiler as error:
                pytest.skip(str(error))

    seed = _marked(request.node, "seed")
    return Runner(strict_ipc=linuxemu_strict_ipc, seed=0 if seed is None else seed)
