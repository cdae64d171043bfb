"""The pytest plugin from the outside: options, marker, where failures show, what it costs to have it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import linuxemu.testing  # noqa: F401 - what runs in this process must not import it anew for each test
from syscalls import handlers
from tests.helpers import ROOT, tool_environment

if TYPE_CHECKING:
    from pathlib import Path

handlers.load()

PASSING = """
    def test_pid(guest):
        assert guest.syscall.getpid() == guest.main.pid
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> object:
    """Runs pytest on a test file with the plugin of this checkout."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("LINUXEMU_STRICT_IPC", "")

    def run(source: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        # The other plugins take longer than the tests.
        others = ("cacheprovider", "xdist", "hypothesispytest", "cov")
        without = [word for name in others for word in ("-p", f"no:{name}")]
        return pytester.runpytest_inprocess(*without, *options)

    return run


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ([], ["test_pid"]),
        (["--engine", "fake"], ["test_pid"]),
        (["--engine", "all"], ["test_pid[unicorn]", "test_pid[fake]"]),
        (["--engine", "fake", "--engine", "unicorn"], ["test_pid[fake]", "test_pid[unicorn]"]),
        (["--ipc", "both"], ["test_pid[direct]", "test_pid[strict]"]),
        (["--strict-ipc"], ["test_pid"]),
        (
            ["--engine=all", "--ipc=both"],
            [f"test_pid[{engine}-{ipc}]" for ipc in ("direct", "strict") for engine in ("unicorn", "fake")],
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) and value else "none",
)
def test_options_choose_the_system(run: object, options: list[str], ids: list[str]) -> None:
    done = run(PASSING, "-v", *options)  # type: ignore[operator]
    done.assert_outcomes(passed=len(ids))
    seen = {line.split("::")[1].split()[0] for line in done.outlines if "::" in line and "PASSED" in line}
    assert {name.replace("-", "") for name in seen} >= {"test_pid"} if len(ids) == 1 else len(seen) == len(ids)


def test_the_marker_chooses_the_system(run: object) -> None:
    done = run("""
        import pytest

        @pytest.mark.linuxemu(engine=["unicorn", "fake"], strict_ipc=[True, False], user=(7, 8))
        def test_matrix(guest, linuxemu_engine, linuxemu_strict_ipc):
            assert (guest.syscall.getuid(), guest.syscall.getgid()) == (7, 8)

        @pytest.mark.linuxemu(engine="fake", root="memfs")
        class TestClass:
            def test_inherits(self, guest, linuxemu_engine):
                assert linuxemu_engine == "fake"
                guest.files.write("/x", b"1")

            @pytest.mark.linuxemu(engine="unicorn")
            def test_overrides(self, guest, linuxemu_engine):
                assert linuxemu_engine == "unicorn"
                guest.files.write("/x", b"1")
    """)  # type: ignore[operator]
    done.assert_outcomes(passed=6)


@pytest.mark.parametrize("arguments", ["colour='red'", "'fake'"])
def test_a_wrong_marker_is_an_error(run: object, arguments: str) -> None:
    done = run(f"""
        import pytest

        @pytest.mark.linuxemu({arguments})
        def test_pid(guest):
            pass
    """)  # type: ignore[operator]
    assert done.ret != 0
    done.stdout.fnmatch_lines(["*marker linuxemu: unknown *"])


def test_a_wrong_engine_is_refused(run: object) -> None:
    done = run(PASSING, "--engine", "kvm")  # type: ignore[operator]
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*invalid choice: 'kvm'*"])


def test_what_is_missing_at_the_end_fails_the_test_itself(run: object) -> None:
    done = run("""
        from linuxemu.messages import fs

        def test_unmet(guest):
            guest.fs.expect(fs.Open(path="/etc/hostname")).reply(handle=3)

        def test_after(guest):
            guest.syscall.getpid()
    """)  # type: ignore[operator]
    done.assert_outcomes(failed=1, passed=1)
    done.stdout.fnmatch_lines(["*expected messages did not come:", '*missing   fs: fs.open(path="/etc/hostname")'])


def test_the_tests_own_failure_comes_first(run: object) -> None:
    done = run("""
        from linuxemu.messages import fs

        def test_fails(guest):
            guest.fs.expect(fs.Open(path="/etc/hostname")).reply(handle=3)
            assert guest.syscall.getpid() == -1
    """)  # type: ignore[operator]
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*assert 2 == -1"])
    done.stdout.no_fnmatch_line("*did not come*")


def test_an_unexpected_message_fails_where_the_call_was_made(run: object) -> None:
    done = run("""
        def test_open(guest):
            guest.syscall.open("/etc/hosts", 0)
    """)  # type: ignore[operator]
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([
        '>*guest.syscall.open("/etc/hosts", 0)',
        "*UnexpectedMessage: fs: unexpected message",
        '*got       fs.open(path="/etc/hosts")',
        "*expected  nothing",
    ])


def test_a_swallowed_unexpected_message_is_told_once_only(run: object) -> None:
    done = run("""
        import pytest
        from linuxemu.testing import UnexpectedMessage

        def test_open(guest):
            with pytest.raises(UnexpectedMessage):
                guest.syscall.open("/etc/hosts", 0)
    """)  # type: ignore[operator]
    done.assert_outcomes(passed=1)


def test_c_is_skipped_without_a_compiler(run: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("""
        def test_c(program):
            program(c="int main() { return 0; }")
    """, "-rs")  # type: ignore[operator]
    done.assert_outcomes(skipped=1)
    done.stdout.fnmatch_lines(["*SKIPPED*no C compiler for static x86-64 Linux programs*"])


def test_logs_of_each_test_in_files(run: object, pytester: pytest.Pytester) -> None:
    source = PASSING + """
    def test_exit(program):
        program([("exit", 0)])

    def test_without():
        pass
"""
    run(source, "--rpc-log", "logs").assert_outcomes(passed=3)  # type: ignore[operator]
    texts = [path.read_text() for path in (pytester.path / "logs").iterdir()]
    logs = {text.splitlines()[0].split("::")[1]: text for text in texts}
    assert set(logs) == {"test_pid", "test_exit"}
    assert "getpid()" in logs["test_pid"]
    assert "exit(0)" in logs["test_exit"]


def test_strict_ipc_reaches_machines(run: object) -> None:
    done = run("""
        import os

        def test_environment(program):
            assert os.environ["LINUXEMU_STRICT_IPC"] == "1"
    """, "--strict-ipc")  # type: ignore[operator]
    done.assert_outcomes(passed=1)


def test_having_the_plugin_imports_nothing_of_it() -> None:
    program = (
        "import sys, linuxemu.pytest_plugin;"
        "print(*(name for name in sys.modules if name.startswith(('linuxemu', 'syscalls', 'unicorn'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=tool_environment(), cwd=ROOT
    )
    assert done.stdout.split() == ["linuxemu", "linuxemu.pytest_plugin"]
