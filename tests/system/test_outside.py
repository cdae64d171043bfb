"""A package of somebody else's, in an environment of its own, tests its translation with our wheel."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT

PACKAGE = Path(__file__).parent / "outside"
PUBLIC = ("linuxemu", "linuxemu.testing", "linuxemu.messages", "linuxemu.errors", "linuxemu.idl.codes")
"""What others may import, beside the data of the ABI and what a handler is written with."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def _pip(python: Path | str, *words: str) -> None:
    line = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", *words]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode and re.search(r"connection|name resolution|timed out|proxy|No matching dist", done.stderr):
        pytest.skip("no package registry to install from")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package in a directory of its own, beside an environment with our wheel, pytest, and nothing else of ours."""
    work = tmp_path_factory.mktemp("outside")
    source = work / "source"
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "tests")
    )
    _pip(sys.executable, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(work), str(source))
    (wheel,) = work.glob("linuxemu-*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(work / "venv")], check=True)
    shutil.copytree(PACKAGE, work / "package", ignore=shutil.ignore_patterns("__pycache__"))
    _pip(work / "venv/bin/python", "install", "--quiet", str(wheel), "pytest", str(work / "package"))
    return work


def run(environment: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [str(environment / "venv/bin/python"), "-I", "-m", "pytest", "-p", "no:cacheprovider", *words]
    return subprocess.run(line, cwd=environment / "package", capture_output=True, text=True, timeout=120)


def test_the_package_passes(environment: Path) -> None:
    done = run(environment, "-q", "-rs", "tests")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^12 passed|^11 passed, 1 skipped", done.stdout.splitlines()[-1]), done.stdout


def test_a_wrong_message_is_told_readably(environment: Path) -> None:
    done = run(environment, "wrong")
    assert done.returncode == 1
    shown = [line[1:].strip() for line in done.stdout.splitlines() if line.startswith("E ")]
    assert shown == [
        "linuxemu.testing.script.UnexpectedMessage: fs: unexpected message",
        "got       fs.read(handle=5, offset=0, len=4096)",
        "expected  fs: fs.read(handle=5, offset=ANY, len=512)",
        "len: 4096 instead of 512",
        "in        read(3, Out(4096), 4096) of thread 2",
        "messages so far:",
        "1 linux: abi_hook(task=11, INITIAL) -> rip=0x10000002, rax=0",
        "2 linux: abi_hook(task=11, open(536870912, 0, 0)) -> rip=0x10000002, rax=3",
        '3 fs: fs.open(path="/data") -> handle=5',
        "4 linux: abi_hook(task=11, read(3, 536870912, 4096)) -> ...",
        "5 fs: fs.read(handle=5, offset=0, len=4096) -> ...",
        "linuxemu.testing.script.UnmetExpectation: expected messages did not come:",
        'missing   fs: fs.open(path="/data")',
        "messages:",
        "1 linux: abi_hook(task=11, INITIAL) -> rip=0x10000002, rax=0",
    ]
    assert ">       guest.syscall.read(fd, Out(4096), 4096)" in done.stdout, "the failure stands where the call does"


def test_the_package_imports_public_names_only() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(("linuxemu", "loader")):
                assert node.module in PUBLIC, path
                assert not any(alias.name.startswith("_") for alias in node.names), path
