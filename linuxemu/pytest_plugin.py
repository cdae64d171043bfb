"""The pytest plugin: fixtures to test system calls, and the options and the marker that choose the system under them.

pytest imports this module at every start of every test run on the machine, so it imports nothing else of the project
until a fixture is used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from linuxemu.testing import Clock, Guest, ProgramRunner, RpcLog

ENGINES = ("unicorn", "fake")
_MODES = {"direct": (False,), "strict": (True,), "both": (False, True)}
_MARKER = (
    "linuxemu(engine=..., strict_ipc=..., root=..., user=..., seed=..., inject=...): the system under the fixtures "
    "guest and program; a list of engines, or of bools for strict_ipc, runs the test with each"
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
    group.addoption(
        "--rpc-log", dest="linuxemu_log", metavar="DIR", help="write the messages of each test to a file in DIR"
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
        unknown = set(marker.kwargs) - {"engine", "strict_ipc", "root", "user", "seed", "inject"}
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


class _Systems:
    """The guests and machines of one test."""

    def __init__(self) -> None:
        self.guests: list[Guest] = []
        self.logs: list[RpcLog] = []

    def verify(self) -> None:
        for guest in self.guests:
            guest.verify()

    def close(self) -> None:
        while self.guests:
            self.guests.pop().close()


_systems = pytest.StashKey[_Systems]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """What a guest still expects when the test body is over is missing: the test fails, not its teardown."""
    try:
        result = yield
        systems = item.stash.get(_systems, None)
        if systems is not None:
            systems.verify()
    finally:
        directory = item.config.getoption("linuxemu_log")
        systems = item.stash.get(_systems, None)
        if directory is not None and systems is not None:
            _write_logs(directory, item.nodeid, systems.logs)
    return result


def _write_logs(directory: str, nodeid: str, logs: list[RpcLog]) -> None:
    """The messages of a test in a file of their own, named after the test."""
    from hashlib import sha256

    os.makedirs(directory, exist_ok=True)
    readable = "".join(char if char.isalnum() else "_" for char in nodeid)[-100:]
    name = f"{readable}-{sha256(nodeid.encode()).hexdigest()[:8]}.log"
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        file.write(f"{nodeid}\n")
        for log in logs:
            if log.cut:
                file.write("ended by its time limit\n")
            else:
                file.writelines(f"{entry.at_ns} {entry}\n" for entry in log)


@pytest.fixture
def linuxemu_systems(request: pytest.FixtureRequest) -> Iterator[_Systems]:
    """What a test runs guests in: verified when its body is over, closed at its end."""
    systems = request.node.stash[_systems] = _Systems()
    yield systems
    systems.close()


@pytest.fixture
def new_guest(
    linuxemu_systems: _Systems, linuxemu_engine: str, linuxemu_strict_ipc: bool
) -> Callable[..., Guest]:
    """Makes guests as `guest` is one, with the options given: `new_guest(root="memfs", user=(1000, 1000))`."""
    from linuxemu.testing import Guest

    def make(**options: Any) -> Guest:
        made = Guest(**{"engine": linuxemu_engine, "strict_ipc": linuxemu_strict_ipc, **options})
        linuxemu_systems.guests.append(made)
        linuxemu_systems.logs.append(made.rpc.log)
        return made

    return make


@pytest.fixture
def guest(request: pytest.FixtureRequest, new_guest: Callable[..., Guest]) -> Guest:
    """A process on a kernel with scripted servers, whose system calls the test makes; see `linuxemu.testing.Guest`."""
    options = {name: _marked(request.node, name) for name in ("root", "user", "seed", "inject")}
    return new_guest(**{name: value for name, value in options.items() if value is not None})


@pytest.fixture
def clock(guest: Guest) -> Clock:
    """The virtual time of `guest`: it jumps when all wait for it, and `advance` moves it."""
    return guest.clock


@pytest.fixture
def program(
    request: pytest.FixtureRequest, linuxemu_systems: _Systems, linuxemu_strict_ipc: bool
) -> ProgramRunner:
    """Runs whole guest programs in machines of their own; see `linuxemu.testing.ProgramRunner`."""
    from linuxemu.testing import NoCompiler, ProgramRunner

    class Runner(ProgramRunner):
        def compile(self, source: str) -> bytes:
            try:
                return super().compile(source)
            except NoCompiler as error:
                pytest.skip(str(error))

    seed = _marked(request.node, "seed")
    return Runner(strict_ipc=linuxemu_strict_ipc, seed=0 if seed is None else seed, logs=linuxemu_systems.logs)
