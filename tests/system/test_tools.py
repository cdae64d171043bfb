"""tools/run and tools/test on machines that lack something: one clear line, and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.helpers import ROOT, cli

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the tools are bash scripts")


class Checkout:
    """A copy of what the tools need, on a machine whose commands are chosen."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "checkout"
        self.bin = directory / "bin"
        self.bin.mkdir()
        (self.root / "tools").mkdir(parents=True)
        for name in ("env.sh", "run", "test", "docs", "demo.sh"):
            shutil.copy(ROOT / "tools" / name, self.root / "tools" / name)
        shutil.copy(ROOT / "pyproject.toml", self.root)
        for name in (
            "bash",
            "dirname",
            "cat",
            "id",
            "uname",
            "mkdir",
            "rm",
            "grep",
            "tail",
            "flock",
            "env",
            "sed",
        ):
            found = shutil.which(name)
            if found:
                (self.bin / name).symlink_to(found)

    def command(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        path.chmod(0o755)

    def run(self, tool: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.root / "tools" / tool), *words],
            env={"PATH": str(self.bin), "HOME": str(self.root), **variables},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize("tool", ["run", "test", "docs"])
def test_without_python(checkout: Checkout, tool: str) -> None:
    done = checkout.run(tool, "x")
    assert done.returncode == 2
    assert done.stderr == (
        f"tools/{tool}: needs Python 3.11 or newer (on Debian: apt-get install python3 python3-venv)\n"
    )


def test_with_an_old_python(checkout: Checkout) -> None:
    checkout.command("python3", "exit 1  # what `sys.exit(sys.version_info < (3, 11))` says in an old one")
    done = checkout.run("run", "x")
    assert done.returncode == 2
    assert "needs Python 3.11 or newer" in done.stderr


def test_without_the_venv_module(checkout: Checkout) -> None:
    checkout.command(
        "python3",
        f'case "$*" in *"-m venv"*) exit 1 ;; *) exec {sys.executable} "$@" ;; esac',
    )
    done = checkout.run("run", "x")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tools/run: this Python has no working venv module: run 'apt-get install")
    assert f"{version}-venv" in last
    assert not (checkout.root / ".venv").exists()


def test_offline(checkout: Checkout) -> None:
    (checkout.bin / "python3").symlink_to(sys.executable)
    nowhere = "http://127.0.0.1:9/simple"
    checkout.command("apt-get", "exit 1")
    done = checkout.run("run", "x", PIP_INDEX_URL=nowhere, PIP_CONFIG_FILE=os.devnull, PIP_RETRIES="0")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tools/run: cannot download the dependencies: is this machine offline?")
    assert "Traceback" not in done.stderr


def test_read_only_checkout(checkout: Checkout) -> None:
    if os.getuid() == 0:
        pytest.skip("root can write everywhere")
    (checkout.bin / "python3").symlink_to(sys.executable)
    checkout.root.chmod(0o555)
    done = checkout.run("run", "x")
    checkout.root.chmod(0o755)
    assert done.returncode == 2
    assert "cannot write to" in done.stderr


def test_help_of_the_test_tool(checkout: Checkout) -> None:
    done = checkout.run("test", "--help")
    assert done.returncode == 0
    assert "tools/test --fast" in done.stdout


def test_demo_script() -> None:
    script = (ROOT / "tools" / "demo.sh").read_text()
    outcome = cli("run", "sh", "-c", script, "demo")
    assert (outcome.status, outcome.stderr) == (0, b"")
    text = outcome.stdout.decode()
    assert "Hello from Linux on x86_64" in text
    assert "16\n9\n4\n1\n" in text
    assert text.count("is the same") == 3
    assert "told to stop" in text
    assert "The sleeper ended with status 143" in text
    assert text.endswith("  a 2\n  b 1\n  c 3\n")
