"""Options and fixtures for the whole suite."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from linuxemu.errors import RpcError
from syscalls.abi import errno as errno_numbers
from syscalls.abi.errno import errno_name
from syscalls.errors import SysError
from syscalls.vfs.filesystem import errno_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linuxemu.messages import TrapFrame
    from syscalls.objects.task import Task
    from syscalls.registry import Invoke

GUEST_SOURCES = Path(__file__).resolve().parent / "guest"
COMPILERS = {
    "glibc": ("gcc", "-static"),
    "glibc-pie": ("gcc", "-static-pie"),
    "musl": ("musl-gcc", "-static"),
    "dynamic": ("gcc",),
}


LONGEST = "tests/system/test_repeatable.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from tests.helpers import host_runs_programs

    # What takes minutes begins first, so that the other workers have something to do meanwhile.
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    if not host_runs_programs():
        skip = pytest.mark.skip(reason="needs native runs: Linux on x86-64")
        for item in items:
            if item.get_closest_marker("native"):
                item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def only_declared_errors() -> Iterator[None]:
    """In every test, whatever it runs: a handler that fails with an errno which it does not declare has a defect.

    The Linux server reports it as any other defect, and the test fails.
    """
    from syscalls.registry import TABLE, Syscall

    compile_call = Syscall.compile

    def compile_checked(call: Syscall) -> Invoke:
        invoke = compile_call(call)
        if TABLE.get(call.number) is not call:
            return invoke  # a test's own
        declared = {getattr(errno_numbers, name) for name in call.errors}

        async def checked(t: Task, frame: TrapFrame) -> int | None:
            try:
                return await invoke(t, frame)
            except (SysError, RpcError) as error:
                errno = error.errno if isinstance(error, SysError) else errno_of(error.code)
                assert errno in declared, f"{call.name} does not declare {errno_name(errno)}"
                raise

        return checked

    Syscall.compile = compile_checked  # type: ignore[method-assign]
    yield
    Syscall.compile = compile_call  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def shared_tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for all workers of this run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


class GuestCompiler:
    """Compiles the C programs of a directory, each once for a whole run of the suite."""

    def __init__(self, directory: Path, sources: Path = GUEST_SOURCES) -> None:
        self.directory = directory
        self.sources = sources

    def __call__(self, name: str, flavour: str) -> Path:
        """The static program made of `name`.c, or a skipped test when there is no such compiler."""
        command, *flags = COMPILERS[flavour]
        if shutil.which(command) is None:
            package = "musl-tools" if command == "musl-gcc" else command
            pytest.skip(f"no {command} to compile with (Debian: apt-get install {package})")
        source = self.sources / f"{name}.c"
        texts = [source.read_bytes(), *(header.read_bytes() for header in sorted(self.sources.glob("*.h")))]
        key = hashlib.sha256(b"".join(texts)).hexdigest()[:12]
        program = self.directory / f"{name}-{flavour}-{key}"
        if not program.exists():
            self.directory.mkdir(exist_ok=True)
            # Under a name of this worker's own first: two may compile the same program at once.
            partial = program.with_name(f"{program.name}.{os.getpid()}")
            line = [command, *flags, "-O1", "-w", "-I", str(self.sources), "-o", str(partial), str(source)]
            subprocess.run(line, check=True)
            partial.rename(program)
        return program


@pytest.fixture(scope="session")
def compile_guest(shared_tmp: Path) -> GuestCompiler:
    return GuestCompiler(shared_tmp / "guest-programs")


@pytest.fixture(scope="session")
def busybox() -> str:
    from tests.helpers import busybox as find

    found = find()
    if found is None:
        pytest.skip("no static busybox on this host (Debian: apt-get install busybox-static)")
    return found


@pytest.fixture(scope="session")
def applets(busybox: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a link for each applet, for the PATH of native runs."""
    directory = tmp_path_factory.mktemp("applets")
    names = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in {*names, "busybox"}:
        (directory / name).symlink_to(busybox)
    return directory
