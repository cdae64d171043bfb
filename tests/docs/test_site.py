"""The site builds without a warning, and its reference has everything."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import linuxemu
from linuxemu import trace
from linuxemu.messages import BY_ID
from syscalls.abi.numbers import X86_64
from tests.helpers import ROOT


def build(source: Path, target: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "-q",
        "-d",
        str(target / "doctrees"),
        str(source),
        str(target),
    ]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.fixture(scope="module")
def site(shared_tmp: Path) -> Path:
    """Built by the first worker that needs it."""
    target = shared_tmp / "site"
    with (shared_tmp / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "objects.inv").exists():
            build(ROOT / "docs", target)
    return target


@pytest.fixture(scope="module")
def inventory(site: Path) -> set[tuple[str, str]]:
    """Kind and name of each object that other pages can refer to."""
    packed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    words = [line.split(" ") for line in zlib.decompress(packed).decode().splitlines()]
    return {(kind, name) for name, kind, *_ in words}


@pytest.mark.parametrize("name", [*linuxemu.__all__, *(f"trace.{name}" for name in trace.__all__)])
def test_public_names(name: str, inventory: set[tuple[str, str]]) -> None:
    assert {(f"py:{kind}", f"linuxemu.{name}") for kind in ("class", "exception", "function")} & inventory


def test_messages(inventory: set[tuple[str, str]]) -> None:
    shown = {name for kind, name in inventory if kind == "std:message"}
    requests = [cls for cls in BY_ID.values() if not cls.__name__.endswith("Reply")]
    assert len(shown) == len(requests)
    assert {"page_fault", "fs.open", "vmx.alloc_frames"} <= shown


def test_system_calls(inventory: set[tuple[str, str]]) -> None:
    assert {name for kind, name in inventory if kind == "std:syscall"} == set(X86_64)


def test_nothing_is_left_to_generate(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert "<!-- generated:" not in page.read_text("utf-8")


def test_a_file_has_its_name_above_it(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'docs/_ext')!r})\nextensions = ['myst_parser', 'captions']\n"
    )
    (tmp_path / "index.md").write_text("# Title\n\n<!-- file: test_x.py -->\n```python\nx = 1\n```\n")
    build(tmp_path, tmp_path / "html")
    page = (tmp_path / "html" / "index.html").read_text("utf-8")
    assert '<div class="code-block-caption"><span class="caption-text">test_x.py</span>' in page
    assert "<!-- file:" not in page
