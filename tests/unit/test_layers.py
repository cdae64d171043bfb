"""What the direction-of-imports contracts of pyproject.toml cannot say: who touches the host, who uses which
library, how long things may be, what the way to the first guest instruction may import.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.helpers import ROOT, tool_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("linuxemu", "syscalls", "loader", "rootfs")

# Modules through which a program reaches the machine it runs on.
HOST = {
    "asyncio", "ctypes", "curses", "fcntl", "fileinput", "getpass", "glob", "grp", "io", "mmap",
    "multiprocessing", "os", "pathlib", "platform", "pty", "pwd", "random", "resource", "secrets",
    "select", "selectors", "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "termios",
    "threading", "time", "tty", "uuid",
}  # fmt: skip
HARMLESS = {
    "sys",
    "io",
}  # sys.maxsize and BytesIO are no host calls; listed so that leaving them out is a decision

# Who may. Everything else asks a server.
MAY_USE_HOST = (
    "linuxemu.servers", "linuxemu.cpu", "linuxemu.machine", "linuxemu.session", "linuxemu.cli", "linuxemu.bench",
    "linuxemu.__main__", "linuxemu.idl", "linuxemu.testing.program", "linuxemu.pytest_plugin", "rootfs",
    "linuxemu.trace.output", "linuxemu.trace.clock",
)  # fmt: skip

ONLY_IN = {
    "unicorn": (),
    "elftools": ("loader", "linuxemu.audit"),
    "capstone": ("linuxemu.audit", "linuxemu.trace"),
    "tqdm": ("linuxemu.cli.audit",),
    "lark": ("linuxemu.idl",),
    "zstandard": ("rootfs", "linuxemu.servers.fs", "linuxemu.trace"),
    "termios": ("linuxemu.servers.console",),
    "socket": ("linuxemu.servers",),
    "threading": ("linuxemu.cpu", "linuxemu.machine"),
    "subprocess": ("rootfs", "linuxemu.bench", "linuxemu.testing.program", "linuxemu.trace.output"),
}

# What is generated or is one table is as long as its subject.
LONG_MODULES = {"linuxemu.messages", "syscalls.abi.numbers"}
MODULE_LINES, FUNCTION_LINES = 600, 40

# Too dear for every start of the tool.
HEAVY = (
    "argparse", "asyncio", "capstone", "dataclasses", "elftools", "inspect", "lark", "logging",
    "pathlib", "shutil", "subprocess", "tarfile", "tempfile", "tqdm", "unicorn", "zstandard", "linuxemu.bench",
    "linuxemu.idl.parser",
)  # fmt: skip


@cache
def modules() -> dict[str, ast.Module]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def imports(tree: ast.AST) -> Iterator[str]:
    """Top-level names of what a module imports, anywhere in it but under TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]
        else:
            yield from imports(node)


def within(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def test_only_servers_and_engines_touch_the_host() -> None:
    wrong = {
        f"{name}: {imported}"
        for name, tree in modules().items()
        if not within(name, MAY_USE_HOST)
        for imported in imports(tree)
        if imported in HOST - HARMLESS
    }
    assert not wrong


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_used_in_its_place_only(library: str) -> None:
    users = {name for name, tree in modules().items() if library in imports(tree)}
    assert {name for name in users if not within(name, ONLY_IN[library])} == set()


def test_unicorn_is_loaded_in_one_file() -> None:
    sources = {name: (ROOT / (name.replace(".", "/") + ".py")) for name in modules()}
    users = {
        name for name, path in sources.items() if path.exists() and "libunicorn.so" in path.read_text("utf-8")
    }
    assert users == {"linuxemu.cpu.libunicorn"}


def test_modules_are_short() -> None:
    long = {}
    for name in modules():
        path = ROOT / (name.replace(".", "/") + ".py")
        if not path.exists():
            path = ROOT / name.replace(".", "/") / "__init__.py"
        lines = path.read_text("utf-8").count("\n")
        if lines > MODULE_LINES and name not in LONG_MODULES:
            long[name] = lines
    assert not long, "\n".join(f"{name}: {lines} lines" for name, lines in long.items())


def test_functions_are_short() -> None:
    long = {}
    for name, tree in modules().items():
        if name in LONG_MODULES:
            continue
        for node in ast.walk(tree):
            # A constructor is a list of attributes: its length is the number of them.
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "__init__":
                lines = (node.end_lineno or node.lineno) - node.lineno + 1 - docstring_lines(node)
                if lines > FUNCTION_LINES:
                    long[f"{name}.{node.name}"] = lines
    assert not long, "\n".join(f"{name}: {lines} lines" for name, lines in long.items())


def docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return (first.end_lineno or first.lineno) - first.lineno + 1
    return 0


def test_every_module_postpones_annotations() -> None:
    wrong = set()
    for name, tree in modules().items():
        code = [node for node in tree.body if not isinstance(node, ast.Expr)]
        futures = [node for node in code if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        if code and not futures:
            wrong.add(name)
    assert not wrong


@pytest.fixture(scope="module")
def loaded_by_a_run() -> set[str]:
    """The modules that `linuxemu run busybox true` imports, beyond what the interpreter starts with."""
    program = (
        "import sys; before = set(sys.modules); import linuxemu.cli;"
        "status = linuxemu.cli.main(['run', 'busybox', 'true']); print(status, *set(sys.modules) - before)"
    )
    line = [sys.executable, "-c", program]
    subprocess.run(
        line, cwd=ROOT, env=tool_environment(), capture_output=True
    )  # the first may build the root
    done = subprocess.run(line, cwd=ROOT, env=tool_environment(), capture_output=True, text=True)
    status, *names = done.stdout.split()
    assert status == "0", done.stderr
    return set(names)


@pytest.mark.parametrize("module", HEAVY)
def test_the_way_to_the_guest_is_light(module: str, loaded_by_a_run: set[str]) -> None:
    assert module not in loaded_by_a_run
