"""How the tool ends: Ctrl-C, SIGTERM, time limit, readers that go away; and what it is like on a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers import cli, cli_words, tool_environment, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


class Running:
    """The tool, running a guest program that has said "ready"."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            cli_words("run", *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=tool_environment(),
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == b"ready\n", (line, self.process.stderr.read() if self.process.stderr else b"")

    def finish(self, timeout_s: float = 20) -> tuple[int, bytes, bytes]:
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out, err


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_the_tool(signo: int) -> None:
    tool = Running("sh", "-c", "echo ready; sleep 100 & sleep 100; echo no")
    tool.process.send_signal(signo)
    assert tool.finish() == (128 + signo, b"", b"")


def test_sigterm_ends_a_busy_guest() -> None:
    tool = Running("sh", "-c", "echo ready; while :; do :; done")
    time.sleep(0.2)
    tool.process.terminate()
    assert tool.finish() == (143, b"", b"")


def test_interrupt_goes_to_the_guest() -> None:
    tool = Running("sh", "-c", "echo ready; sleep 100; echo no")
    tool.process.send_signal(signal.SIGINT)
    status, out, err = tool.finish()
    assert (status, out) == (130, b"")
    assert b"Traceback" not in err


def test_interrupt_ends_a_busy_guest() -> None:
    tool = Running("sh", "-c", "echo ready; while :; do :; done")
    time.sleep(0.1)
    tool.process.send_signal(signal.SIGINT)
    assert tool.finish()[:2] == (130, b"")


def test_interrupt_can_be_handled() -> None:
    script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.01; done"
    tool = Running("sh", "-c", script)
    tool.process.send_signal(signal.SIGINT)
    assert tool.finish() == (5, b"caught\n", b"")


def test_quit_goes_to_the_guest() -> None:
    tool = Running("sh", "-c", "trap 'echo caught; exit 6' QUIT; echo ready; while :; do sleep 0.01; done")
    tool.process.send_signal(signal.SIGQUIT)
    # The shell may say that its sleep was ended by the same signal.
    assert tool.finish()[:2] == (6, b"caught\n")


def test_timeout_kills_everything() -> None:
    start = time.monotonic()
    outcome = cli(
        "run", "--timeout", "0.5", "sh", "-c", "trap '' TERM INT; echo started; sleep 100 & sleep 100"
    )
    assert (outcome.status, outcome.stdout) == (124, b"started\n")
    assert outcome.stderr.count(b"\n") <= 1
    assert time.monotonic() - start < 10


def test_timeout_stops_a_busy_guest() -> None:
    outcome = cli("run", "--timeout", "0.3", "sh", "-c", "while :; do :; done")
    assert outcome.status == 124


def test_timeout_not_reached() -> None:
    assert cli("run", "--timeout", "60", "sh", "-c", "exit 3").status == 3


def test_reader_goes_away() -> None:
    line = " ".join(["exec", *map(quote, cli_words("run", "yes")), "|", "head", "-n", "2"])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, env=tool_environment(), timeout=60
    )
    assert done.stdout == b"y\ny\n"
    assert done.stderr == b""
    assert done.returncode == 141


def test_reader_goes_away_from_a_guest_that_does_not_mind() -> None:
    script = "trap '' PIPE; while echo y 2>/dev/null; do :; done; echo over >&2; exit 9"
    line = " ".join(["exec", *map(quote, cli_words("run", "sh", "-c", script)), "|", "head", "-n", "1"])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, env=tool_environment(), timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (9, b"y\n", b"over\n")


def quote(word: str) -> str:
    import shlex

    return shlex.quote(word)


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed: str) -> None:
    words = " ".join(map(quote, cli_words("run", "sh", "-c", "true; exit 4")))
    done = subprocess.run(
        ["sh", "-c", f"{words} {closed}"], capture_output=True, env=tool_environment(), timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (4, b"", b"")


def test_writing_to_a_closed_stdout_is_an_error_of_the_guest() -> None:
    words = " ".join(map(quote, cli_words("run", "sh", "-c", "echo x; echo $? >&2")))
    done = subprocess.run(
        ["sh", "-c", f"{words} >&-"], capture_output=True, env=tool_environment(), timeout=60
    )
    assert done.stderr.splitlines()[-1] == b"1"
    assert b"Bad file descriptor" in done.stderr


def test_full_device() -> None:
    words = " ".join(map(quote, cli_words("run", "sh", "-c", "echo x; echo $? >&2")))
    done = subprocess.run(
        ["sh", "-c", f"{words} > /dev/full"], capture_output=True, env=tool_environment(), timeout=60
    )
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


class Terminal:
    """The tool on a terminal of its own, as its session's foreground."""

    def __init__(self, *words: str) -> None:
        self.master, slave = pty.openpty()
        self.settings = termios.tcgetattr(slave)
        self.slave = slave
        self.text = b""
        self.process = subprocess.Popen(
            ["setsid", "-c", "-w", *cli_words("run", *words)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**tool_environment(), "TERM": "vt100"},
        )

    def expect(self, what: bytes, timeout_s: float = 20) -> bytes:
        """Wait for output; returns all of it up to that."""
        end = time.monotonic() + timeout_s
        while what not in self.text:
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {what!r} in {self.text!r}"
            try:
                self.text += os.read(self.master, 65536)
            except OSError:
                raise AssertionError(f"ended without {what!r}: {self.text!r}") from None
        before, _, self.text = self.text.partition(what)
        return before + what

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def finish(self) -> int:
        status = self.process.wait(timeout=20)
        assert termios.tcgetattr(self.slave) == self.settings, "the terminal's settings were left changed"
        os.close(self.slave)
        os.close(self.master)
        return status


def test_interactive_shell() -> None:
    terminal = Terminal("--env", "PS1=READY> ", "sh", "-i")
    terminal.expect(b"READY> ")
    terminal.type(b"echo $((6 * 7))\r")
    terminal.expect(b"42\r\n")
    terminal.expect(b"READY> ")
    terminal.type(b"tty; test -t 0 && echo yes-a-tty\r")
    terminal.expect(b"\nyes-a-tty")
    terminal.expect(b"READY> ")
    terminal.type(b"exit 3\r")
    assert terminal.finish() == 3


def test_ctrl_c_on_the_terminal() -> None:
    terminal = Terminal("--env", "PS1=READY> ", "sh", "-i")
    terminal.expect(b"READY> ")
    terminal.type(b"echo go; sleep 100; echo status $?\r")
    terminal.expect(b"\ngo\r\n")
    time.sleep(0.5)
    terminal.type(b"\x03")
    terminal.expect(b"READY> ")
    terminal.type(b"cat\r")
    time.sleep(0.3)
    terminal.type(b"hello\r")
    terminal.expect(b"hello\r\nhello\r\n")
    terminal.type(b"\x04")
    terminal.expect(b"READY> ")
    terminal.type(b"\x04")
    terminal.finish()


def test_ctrl_c_without_a_shell() -> None:
    terminal = Terminal("sh", "-c", "echo ready; sleep 100")
    terminal.expect(b"ready")
    terminal.type(b"\x03")
    assert terminal.finish() == 130


def test_ctrl_z_and_job_control() -> None:
    terminal = Terminal("--env", "PS1=READY> ", "sh", "-i")
    terminal.expect(b"READY> ")
    terminal.type(b"echo go; sleep 100\r")
    terminal.expect(b"\ngo\r\n")
    time.sleep(0.5)
    terminal.type(b"\x1a")
    terminal.expect(b"Stopped")
    terminal.expect(b"READY> ")
    terminal.type(b"jobs\r")
    terminal.expect(b"sleep 100")
    terminal.expect(b"READY> ")
    terminal.type(b"kill %1; fg; echo over-$?\r")
    terminal.expect(b"\nover-143")
    terminal.type(b"exit\r")
    terminal.finish()


def test_window_size() -> None:
    import fcntl
    import struct

    terminal = Terminal(
        "sh", "-c", "stty size; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done"
    )
    fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("4H", 33, 77, 0, 0))
    terminal.expect(b"ready")
    fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("4H", 44, 88, 0, 0))
    # Only the kernel's terminal sends WINCH by itself to its foreground group, which the tool is in.
    terminal.expect(b"44 88")
    terminal.finish()


def test_terminal_is_restored_after_sigterm() -> None:
    terminal = Terminal("sh", "-c", "stty raw -echo; echo ready; sleep 100")
    terminal.expect(b"ready")
    tool = child_of(terminal.process.pid)
    os.kill(tool, signal.SIGTERM)
    assert terminal.finish() == 143


def child_of(pid: int) -> int:
    """The tool itself: `setsid` forks when it leads a process group already, else it is the tool."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            words = file.read().split()
    except OSError:
        words = []
    return int(words[0]) if words else pid


def test_a_hundred_sleepers_use_no_processor_time() -> None:
    script = "i=0; while [ $i -lt 100 ]; do sleep 100 & i=$((i + 1)); done; echo ready; wait"
    tool = Running("sh", "-c", script)
    time.sleep(0.5)

    def cpu_s() -> float:
        with open(f"/proc/{tool.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = cpu_s()
    time.sleep(2)
    used = cpu_s() - before
    tool.process.terminate()
    assert tool.finish()[0] == 143
    assert used <= 0.02


def test_the_tool_leaves_no_processes() -> None:
    tool = Running("sh", "-c", "sleep 100 & (sleep 100 &) ; echo ready; exec sleep 100")
    group = tool.process.pid
    tool.process.terminate()
    tool.finish()

    def gone() -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    wait_until(gone, timeout_s=5)
