"""Runs the blocks of one page: each language in its way, all in one directory, in the order of the page."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.idl.parser import parse
from tests.docs.compare import check_output
from tests.helpers import ROOT, tool_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.docs.blocks import Block

HOME = "/home/you"
"""What pages call the directory that holds the reader's."""
_END = "-- end of a command --"
_NOT_COPIED = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "*.egg-info")


class Page:
    """A page being followed by a reader who types everything in.

    Args:
        blocks: all blocks of the page.
        directory: an empty one. Pages at the top of the checkout (README.md) speak to somebody who stands in a
            checkout and get a copy of it; pages of docs/ to somebody with a project of their own, an empty directory.
    """

    def __init__(self, blocks: list[Block], directory: Path) -> None:
        self._blocks = blocks
        self._done: list[BaseException | None] = []
        self._home = directory
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._printed = ""
        commands = directory / "bin"
        commands.mkdir()
        tool = commands / "linuxemu"
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m linuxemu "$@"\n')
        tool.chmod(0o755)
        self._environment = {
            **{name: value for name, value in tool_environment().items() if not name.startswith("PYTEST_")},
            "PATH": os.pathsep.join([str(commands), os.path.dirname(sys.executable), os.environ["PATH"]]),
            "PYTEST_DEBUG_TEMPROOT": str(directory),  # a pytest on the page shares nothing with this one
            "COLUMNS": "80",
            "LC_ALL": "C.UTF-8",
        }
        if "/" in blocks[0].page:
            self._directory = directory / "project"
            self._directory.mkdir()
        else:
            self._directory = directory / "linuxemu"
            shutil.copytree(ROOT, self._directory, ignore=_NOT_COPIED)

    def check(self, block: Block) -> None:
        """Run a block, after those before it; fails as it failed, also when it is asked about again."""
        for waiting in self._blocks[len(self._done) : block.number + 1]:
            self._done.append(self._outcome(waiting))
        failure = self._done[block.number]
        if failure is not None:
            raise failure

    def _outcome(self, block: Block) -> BaseException | None:
        try:
            if "not run" not in block.markers:
                self._run(block)
        except (Exception, SystemExit, pytest.fail.Exception, pytest.skip.Exception) as failure:  # noqa: BLE001
            return failure  # the test of that block raises it
        return None

    def _run(self, block: Block) -> None:
        runner = RUNNERS.get(block.info)
        if runner is None:
            pytest.fail(
                f"{block.place}: nothing runs a block of {block.info!r}: there are {', '.join(RUNNERS)}"
            )
        if "file" in block.markers:
            path = self._directory / block.markers["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        runner(self, block)

    def _bash(self, script: str) -> tuple[int, str]:
        """Exit status and output of a script, errors among it, with the reader's directory in the place of ours."""
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
        )
        return done.returncode, done.stdout.replace(str(self._home), HOME)

    def python(self, block: Block) -> None:
        """A script goes on where the block before ended; a file is only written, and a file of tests must pass."""
        if "file" in block.markers:
            compile(block.text, block.markers["file"], "exec")
            if PurePath(block.markers["file"]).name.startswith("test_") and not self._is_shown(block):
                self._pytest(block.markers["file"])
            return
        # Padded, so that a traceback has the line numbers of the page.
        code = compile("\n" * block.line + block.text, str(ROOT / block.page), "exec")
        printed = io.StringIO()
        with contextlib.chdir(self._directory), contextlib.redirect_stdout(printed):
            exec(code, self._names)
        self._printed = printed.getvalue()

    def _is_shown(self, file: Block) -> bool:
        """The page shows what comes of a file before it changes it: that is the judge of it."""
        name = file.markers["file"]
        for block in self._blocks[file.number + 1 :]:
            if block.markers.get("file") == name:
                return False
            command = block.text if block.info == "console" else block.markers.get("output of", "")
            if name in command:
                return True
        return False

    def _pytest(self, name: str) -> None:
        status, output = self._bash(f"{sys.executable} -m pytest -q -p no:cacheprovider {name}")
        assert status == 0, output

    def console(self, block: Block) -> None:
        """Each `$ ` line is a command (`> ` continues it), and what follows is its output."""
        commands: list[str] = []
        shown: list[str] = []
        for line in block.text.splitlines():
            if line.startswith("$ "):
                commands.append(line[2:])
                shown.append("")
            elif line.startswith("> ") and commands and not shown[-1]:
                commands[-1] += "\n" + line[2:]
            else:
                assert commands, f"{block.place}: output without a command"
                shown[-1] += line + "\n"
        script = "\n".join(f"{command}\necho '{_END}'" for command in commands)
        came = self._bash(script)[1].split(_END + "\n")
        for command, want, got in zip(commands, shown, came, strict=False):
            check_output(f"$ {command}\n{want}", f"$ {command}\n{got}")
        assert len(came) == len(commands) + 1, f"{block.place}: the shell ended early"

    def output(self, block: Block) -> None:
        """Text that a command, or the script above, writes."""
        if "output" in block.markers:
            check_output(block.text, self._printed)
        elif "output of" in block.markers:
            check_output(block.text, self._bash(block.markers["output of"])[1])
        else:
            pytest.fail(
                f"{block.place}: say what writes this (<!-- output of: COMMAND -->), or `text diagram`"
            )

    def c(self, block: Block) -> None:
        """A program compiles and links, a fragment compiles; warnings are errors."""
        if shutil.which("gcc") is None:
            pytest.skip("no gcc to compile with (Debian: apt-get install gcc)")
        source = self._home / "block.c"
        source.write_text(block.text, "utf-8")
        target = ["-o", str(self._home / "block.out")] if "main(" in block.text else ["-fsyntax-only"]
        line = ["gcc", "-Wall", "-Werror", *target, str(source)]
        done = subprocess.run(line, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def toml(self, block: Block) -> None:
        """It parses."""
        tomllib.loads(block.text)

    def idl(self, block: Block) -> None:
        """It parses."""
        parse(block.text, block.place)

    def nothing(self, block: Block) -> None:
        """There is nothing to run."""


RUNNERS: dict[str, Callable[[Page, Block], None]] = {
    "python": Page.python,
    "console": Page.console,
    "text": Page.output,
    "text diagram": Page.nothing,
    "c": Page.c,
    "toml": Page.toml,
    "idl": Page.idl,
}
