"""Options and fixtures for the whole suite."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

GUEST_SOURCES = Path(__file__).resolve().parent / "guest"
COMPILERS = {
    "glibc": ("gcc", "-static"),
    "glibc-pie": ("gcc", "-static-pie"),
    "musl": ("musl-gcc", "-static"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from tests.helpers import host_runs_programs

    if not host_runs_programs():
        skip = pytest.mark.skip(reason="needs native runs: Linux on x86-64")
        for item in items:
            if item.get_closest_marker("native"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def shared_tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for all workers of this run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


class GuestCompiler:
    """Compiles the programs of tests/guest, each once for a whole run of the suite."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, name: str, flavour: str) -> Path:
        """The static program made of `name`.c, or a skipped test when there is no such compiler."""
        command, *flags = COMPILERS[flavour]
        if shutil.which(command) is None:
            package = "musl-tools" if command == "musl-gcc" else command
            pytest.skip(f"no {command} to compile with (Debian: apt-get install {package})")
        source = GUEST_SOURCES / f"{name}.c"
        key = hashlib.sha256(source.read_bytes() + (GUEST_SOURCES / "t.h").read_bytes()).hexdigest()[:12]
        program = self.directory / f"{name}-{flavour}-{key}"
        if not program.exists():
            self.directory.mkdir(exist_ok=True)
            # Under a name of this worker's own first: two may compile the same program at once.
            partial = program.with_name(f"{program.name}.{os.getpid()}")
            line = [command, *flags, "-O1", "-w", "-I", str(GUEST_SOURCES), "-o", str(partial), str(source)]
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
