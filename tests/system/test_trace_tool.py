"""`linuxemu trace` as people and scripts use it: where the trace goes, statuses, interruptions, bad input."""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.helpers import cli, cli_words, tool_environment, wait_until

if TYPE_CHECKING:
    from pathlib import Path

WRITES = ("-e", "trace=write", "-e", "signal=none")


def trace(*words: str, timeout_s: float = 60) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    outcome = cli("trace", *words, timeout_s=timeout_s)
    return outcome.status, outcome.stdout.decode(), outcome.stderr.decode()


def call_line(call: str, result: str) -> str:
    """A call as the trace has it."""
    return f"{call:<40}= {result}"


# -- where the trace goes ----------------------------------------------------------------------------------------------


def test_the_trace_goes_to_standard_error_and_what_the_program_writes_to_standard_output() -> None:
    status, out, err = trace(*WRITES, "sh", "-c", "echo hello; exit 3")
    assert (status, out) == (3, "hello\n")
    assert err == call_line(r'write(1, "hello\n", 6)', "6") + "\n+++ exited with 3 +++\n"


def test_a_file_has_the_trace_and_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n")
    status, out, err = trace(*WRITES, "-o", str(log), "sh", "-c", "echo out; echo err >&2")
    assert (status, out, err) == (0, "out\n", "err\n")
    lines = log.read_text().splitlines()
    assert [line.split(None, 1)[1].partition(")")[0] for line in lines] == [
        'write(1, "out\\n", 4', 'write(1, "err\\n", 4', "+++ exited with 0 +++",
    ]  # fmt: skip


def test_append_mode_keeps_what_was_there(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n")
    assert trace(*WRITES, "-A", "-o", str(log), "true")[0] == 0
    assert log.read_text() == "old\n2     +++ exited with 0 +++\n"


def test_a_file_for_each_task(tmp_path: Path) -> None:
    status, _, err = trace(*WRITES, "-ff", "-o", str(tmp_path / "log"), "sh", "-c", "echo a; (echo b); exit 4")
    assert (status, err) == (4, "")
    files = {path.name: path.read_text().splitlines() for path in tmp_path.iterdir()}
    assert files == {
        "log.2": [call_line(r'write(1, "a\n", 2)', "2"), "+++ exited with 4 +++"],
        "log.3": [call_line(r'write(1, "b\n", 2)', "2"), "+++ exited with 0 +++"],
    }


@pytest.mark.parametrize("sign", ["|", "!"])
def test_a_command_reads_the_trace_to_its_end(tmp_path: Path, sign: str) -> None:
    seen = tmp_path / "seen"
    status, out, _ = trace(*WRITES, "-o", f"{sign}sleep 0.1; cat > {seen}", "sh", "-c", "echo a; exit 5")
    assert (status, out) == (5, "a\n")
    assert seen.read_text().endswith("+++ exited with 5 +++\n")


# -- when it cannot be written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("{tmp}", "cannot open {tmp}: Is a directory"),
        ("{tmp}/none/log", "cannot open {tmp}/none/log: No such file or directory"),
        ("{tmp}/file/log", "cannot open {tmp}/file/log: Not a directory"),
        ("/dev/full", "the trace is not complete: /dev/full: No space left on device"),
        ("|exit 0", "the trace is not complete: | exit 0: Broken pipe"),
        ("", "cannot open : No such file or directory"),
    ],
)
def test_an_output_that_takes_nothing_is_one_line(tmp_path: Path, where: str, why: str) -> None:
    (tmp_path / "file").write_text("")
    where, why = (text.replace("{tmp}", str(tmp_path)) for text in (where, why))
    status, out, err = trace("-o", where, "busybox", "true")
    assert (status, out, err) == (2, "", f"linuxemu trace: {why}\n")


def test_separate_files_need_a_directory(tmp_path: Path) -> None:
    status, _, err = trace("-ff", "-o", f"{tmp_path}/none/log", "true")
    none = f"{tmp_path}/none"
    assert (status, err) == (2, f"linuxemu trace: cannot open {none}/log.PID: {none} is not a directory\n")


def test_the_status_of_a_program_that_failed_itself_stays() -> None:
    status, _, err = trace("-o", "/dev/full", "sh", "-c", "exit 7")
    assert (status, err) == (7, "linuxemu trace: the trace is not complete: /dev/full: No space left on device\n")


def test_what_was_written_before_a_failure_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    line = ["prlimit", "--fsize=2000", "--", *cli_words("trace", "-o", str(log), "busybox", "ls", "-l", "/bin")]
    done = subprocess.run(line, capture_output=True, env=tool_environment())
    assert done.returncode == 2
    assert done.stderr.decode() == f"linuxemu trace: the trace is not complete: {log}: File too large\n"
    assert len(log.read_bytes()) == 2000
    assert b"busybox" in done.stdout  # the program has gone on


def test_a_reader_that_goes_away_does_not_stop_the_program(tmp_path: Path) -> None:
    tool = " ".join(cli_words("trace", "sh", "-c"))
    command = f"{tool} 'seq 300; echo $?' 2>&1 >{tmp_path}/out | head -n 2"
    done = subprocess.run(["sh", "-c", command], capture_output=True, env=tool_environment(), text=True)
    assert done.stdout.count("\n") == 2
    assert done.stdout.startswith("execve(")
    assert (tmp_path / "out").read_text().endswith("300\n0\n")


def test_a_closed_standard_error_is_no_place_for_a_trace() -> None:
    command = " ".join(cli_words("trace", "busybox", "echo", "no"))
    done = subprocess.run(["sh", "-c", f"{command} 2>&-"], stdout=subprocess.PIPE, env=tool_environment())
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_closed_standard_error_does_not_matter_when_the_trace_goes_elsewhere(tmp_path: Path) -> None:
    command = " ".join(cli_words("trace", "-o", str(tmp_path / "log"), "busybox", "echo", "yes"))
    done = subprocess.run(["sh", "-c", f"{command} 2>&-"], stdout=subprocess.PIPE, env=tool_environment())
    assert (done.returncode, done.stdout) == (0, b"yes\n")
    assert (tmp_path / "log").read_text().endswith("+++ exited with 0 +++\n")


def test_a_pipe_that_does_not_block_gets_everything() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    line = cli_words("trace", "sh", "-c", "i=0; while [ $i -lt 1500 ]; do echo x; i=$((i+1)); done >/dev/null")
    with subprocess.Popen(line, stderr=writer, stdin=subprocess.DEVNULL, env=tool_environment()) as tool:
        os.close(writer)
        with open(reader, "rb") as source:
            os.set_blocking(reader, True)
            wait_until(lambda: tool.poll() is not None or bool(source.peek(1)))
            text = source.read()
    assert tool.returncode == 0
    assert text.count(b"write(1,") == 1500
    assert text.endswith(b"+++ exited with 0 +++\n")


# -- what cannot be run ------------------------------------------------------------------------------------------------


def elf(bits: int, machine: int) -> bytes:
    """The beginning of a program for another machine."""
    return b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9) + struct.pack("<HHI", 2, machine, 1) + bytes(80)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (elf(1, 3), "a program for EM_386 instead of EM_X86_64"),
        (elf(1, 40), "a program for EM_ARM instead of EM_X86_64"),
        (elf(2, 183), "a program for EM_AARCH64 instead of EM_X86_64"),
        (b"hello", "not an ELF file"),
        (b"", "not an ELF file"),
        (elf(2, 62)[:30], ""),
    ],
)
def test_what_is_no_program_for_this_machine(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "program"
    path.write_bytes(content)
    path.chmod(0o755)
    status, out, err = trace("--host-root", str(path))
    assert (status, out, err.count("\n")) == (126, "", 1)
    assert err.startswith(f"linuxemu trace: {path}: cannot execute: ")
    assert why in err


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["nothing-like-this"], 127, "nothing-like-this: not found in the guest"),
        (["/etc/passwd"], 126, "/etc/passwd: cannot execute: permission denied"),
        (["/etc"], 126, "/etc: cannot execute: permission denied"),
        ([], 2, "no program given; usage: linuxemu trace [OPTION...] [--] PROGRAM [ARGUMENT...]"),
        (["--frobnicate", "true"], 2, "unrecognized option '--frobnicate'"),
        (["-p", "1"], 2, "-p: linuxemu traces the program that it runs, it cannot attach to another"),
        (["-e", "trace=opne", "true"], 2, "invalid system call 'opne'"),
    ],
)
def test_what_cannot_be_traced_is_one_line(words: list[str], status: int, why: str) -> None:
    assert trace(*words) == (status, "", f"linuxemu trace: {why}\n")


def test_a_program_that_its_user_may_not_read_but_run(tmp_path: Path) -> None:
    status, out, err = trace(*WRITES, "--user", "1000", "sh", "-c", "cat /etc/shadow")
    assert (status, out) == (1, "")
    assert "Permission denied" in err or "No such file" in err


# -- how it ends -------------------------------------------------------------------------------------------------------


def started(log: Path, script: str, *words: str) -> subprocess.Popen[bytes]:
    """The tool, running a script that has said "ready"."""
    line = cli_words("trace", "-f", "-o", str(log), *words, "sh", "-c", script)
    tool = subprocess.Popen(
        line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=tool_environment(), start_new_session=True
    )
    assert tool.stdout is not None
    assert tool.stdout.readline() == b"ready\n"
    return tool


def last_lines(log: Path, count: int) -> list[str]:
    text = log.read_text()
    assert text.endswith("\n")
    return [line[6:] for line in text.splitlines()[-count:]]


def test_an_interrupt_is_for_the_program(tmp_path: Path) -> None:
    with started(tmp_path / "log", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.01; done") as tool:
        tool.send_signal(signal.SIGINT)
        assert tool.communicate(timeout=20)[0] == b"caught\n"
    assert tool.returncode == 9
    text = (tmp_path / "log").read_text()
    assert "--- SIGINT {" in text
    assert text.endswith("+++ exited with 9 +++\n")


def test_an_interrupt_of_the_terminal_leaves_the_command_that_reads_the_trace(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    line = cli_words("trace", "-o", f"|cat > {seen}", "sh", "-c", "echo ready; exec sleep 100")
    tool = subprocess.Popen(line, stdout=subprocess.PIPE, env=tool_environment(), start_new_session=True)
    with tool:
        wait_until(lambda: seen.exists() and "nanosleep" in seen.read_text())
        os.killpg(tool.pid, signal.SIGINT)  # as the terminal does
        tool.communicate(timeout=20)
    assert tool.returncode == 130
    assert seen.read_text().endswith("+++ killed by SIGINT +++\n")


def test_an_interrupt_that_kills_is_the_last_line(tmp_path: Path) -> None:
    with started(tmp_path / "log", "echo ready; exec sleep 100") as tool:
        wait_until(lambda: "nanosleep" in (tmp_path / "log").read_text())
        tool.send_signal(signal.SIGINT)
        tool.communicate(timeout=20)
    assert tool.returncode == 130
    assert last_lines(tmp_path / "log", 1) == ["+++ killed by SIGINT +++"]


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_the_tool_leave_a_whole_trace(tmp_path: Path, signo: int) -> None:
    with started(tmp_path / "log", "echo ready; exec sleep 100") as tool:
        wait_until(lambda: "nanosleep" in (tmp_path / "log").read_text())
        tool.send_signal(signo)
        tool.communicate(timeout=20)
    assert tool.returncode == 128 + signo
    (line,) = last_lines(tmp_path / "log", 1)
    assert line.endswith(" <unfinished ...>")


def test_a_time_limit_leaves_a_whole_trace(tmp_path: Path) -> None:
    status, _, err = trace("-f", "-o", str(tmp_path / "log"), "--timeout", "1", "sh", "-c", "sleep 50 & sleep 60")
    assert (status, err) == (124, "")
    (line,) = last_lines(tmp_path / "log", 1)
    assert line.endswith(" <unfinished ...>")


def test_a_time_limit_for_processes_that_wait_for_each_other() -> None:
    script = "mkfifo /tmp/a; cat /tmp/a > /tmp/b & read line < /tmp/a"
    status, _, err = trace("-e", "trace=openat,open", "--timeout", "1", "sh", "-c", script)
    assert status == 124
    assert err.endswith(" <unfinished ...>\n")


def test_a_program_that_is_killed() -> None:
    status, _, err = trace("-e", "trace=none", "sh", "-c", "kill -9 $$")
    assert (status, err) == (137, "+++ killed by SIGKILL +++\n")


def test_a_program_that_stops_and_goes_on() -> None:
    script = "(sleep 0.1; kill -CONT $$) & kill -STOP $$; echo on"
    status, out, err = trace("-e", "trace=none", "-q", "sh", "-c", script)
    assert (status, out) == (0, "on\n")
    events = re.findall(r"^--- ([^{\n]+?)(?: \{.*)? ---$", err, re.MULTILINE)
    assert events[:2] == ["SIGSTOP", "stopped by SIGSTOP"]
    assert "SIGCONT" in events


COUNTED = """
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
    for (int i = 0; i < 7; i++)
        syscall(SYS_getppid);
    for (int i = 0; i < 3; i++)
        open("/nothing", 0);
    syscall(999);
    close(-1);
    if (fork() == 0)
        _exit(0);
    wait(0);
    return 0;
}
"""


@pytest.mark.native
def test_counts_are_strace_s(tmp_path: Path) -> None:
    if shutil.which("gcc") is None or shutil.which("strace") is None:
        pytest.skip("no gcc and strace to compare with (Debian: apt-get install gcc strace)")
    (tmp_path / "p.c").write_text(COUNTED)
    program = str(tmp_path / "p")
    subprocess.run(["gcc", "-static", "-w", "-o", program, f"{program}.c"], check=True)
    tables = ("-c -U calls,errors,name -S name", "-qfcU name,calls -S name", "-cz -Sname -Ucalls", "-c -e trace=none")
    for options in tables:
        native = subprocess.run(["strace", *options.split(), program], capture_output=True, text=True)
        assert trace(*options.split(), "--host-root", program) == (0, "", native.stderr), options


def test_help_and_version() -> None:
    status, out, err = trace("--help")
    assert (status, err) == (0, "")
    assert out.startswith("usage: linuxemu trace ")
    assert trace("--version")[1].startswith("linuxemu ")
