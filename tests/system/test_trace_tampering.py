"""`-e inject` and `-e fault`: the same marks, results and signals as with strace."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from linuxemu import trace
from tests.helpers import cli

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
static void noted(int signo) {}
int main(void)
{
    struct utsname name;
    signal(SIGUSR1, noted);
    for (int i = 0; i < 5; i++)
        syscall(SYS_getppid);
    uname(&name);
    if (fork() == 0) {
        for (int i = 0; i < 3; i++)
            syscall(SYS_getppid);
        _exit(0);
    }
    wait(0);
    return 0;
}
"""
OPTIONS = [
    "inject=getppid:error=EIO",
    "inject=getppid:error=4095",
    "inject=getppid:error=ENOTSUPP",
    "inject=getppid:retval=77:when=2",
    "inject=getppid:delay_enter=1000:when=1",
    "inject=getppid:error=EIO:delay_exit=1000:when=3..4",
    "inject=getppid:signal=USR1:when=2+2",
    "inject=getppid:error=EPERM:signal=SIGUSR1:when=2",
    "inject=getppid:error=ERESTARTSYS:when=1",
    "inject=uname:poke_exit=@arg1=4142",
    "inject=uname:poke_enter=@arg1=4142",
    "inject=uname:poke_enter=@arg1=4142:delay_enter=100",
    "inject=uname:error=EIO:poke_exit=@arg1=4142:delay_enter=100",
    "inject=uname:error=EIO:syscall=getpid",
    "inject=exit_group:delay_enter=100",
    "inject=exit_group:error=EIO:when=1",
    "fault=getppid",
    "fault=getppid:when=2+2",
    "fault=getppid,uname:error=EAGAIN:when=2..3",
    "inject=getppid:signal=KILL:when=3",
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to compile with (Debian: apt-get install gcc)")
    folder = tmp_path_factory.mktemp("tampered")
    (folder / "p.c").write_text(SOURCE)
    subprocess.run(["gcc", "-static", "-O1", "-w", "-o", "p", "p.c"], cwd=folder, check=True)
    return folder / "p"


def tasks(text: str) -> list[list[str]]:
    """The lines of each task in the order of appearance, without what differs from run to run."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        pid, _, rest = line.partition(" ")
        rest = re.sub(r"0x[0-9a-f]{6,}", "PTR", rest.strip())
        rest = re.sub(r"= [0-9]+\b", "= N", rest)
        rest = re.sub(r"(si_pid|si_uid|si_utime|si_stime)=[0-9]+(?: /\* .*? \*/)?", r"\1=N", rest)
        found.setdefault(pid, []).append(rest)
    return list(found.values())


@pytest.mark.native
@pytest.mark.parametrize("option", OPTIONS)
def test_the_trace_is_strace_s(program: Path, tmp_path: Path, option: str) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace to compare with (Debian: apt-get install strace)")
    words = ["-f", "-e", "trace=getppid,uname,exit_group", "-e", "raw=uname", "-e", option]
    native = subprocess.run(
        [strace, *words, "-o", str(tmp_path / "native"), str(program)], capture_output=True, timeout=60
    )
    ours = cli("trace", *words, "-o", str(tmp_path / "ours"), "--host-root", str(program))
    assert ours.stderr == b""
    status = native.returncode
    assert ours.status == (128 - status if status < 0 else status)
    assert tasks((tmp_path / "ours").read_text()) == tasks((tmp_path / "native").read_text())


def test_the_program_sees_what_was_injected() -> None:
    traced = trace.run(["sh", "-c", "echo one; echo two"], "-e trace=write -e fault=write:error=ENOSPC:when=1")
    assert traced.result.stdout == b"two\n"
    assert b"No space left on device" in traced.result.stderr


def test_bytes_are_poked_into_what_was_read() -> None:
    options = "-e trace=read -e inject=read:poke_exit=@arg2=58595a"
    assert trace.run(["sh", "-c", "read line < /etc/hostname; echo $line"], options).result.stdout[:1] == b"X"


def test_a_delay_takes_time_and_ends_with_its_task() -> None:
    options = "-T -e trace=getppid -e inject=getppid:delay_enter=200ms"
    (call, *_) = trace.run(["sh", "-c", "exit"], options, seed=1).events
    assert call["seconds"] >= 0.2
    outcome = cli("trace", "-e", "trace=getppid", "-e", "inject=getppid:delay_exit=100s", "--timeout", "1", "sh")
    assert outcome.status == 124
    script = "cat /etc/hostname & sleep 0.2; kill -9 $!; wait $!"
    outcome = cli("trace", "-f", "-e", "trace=openat", "-e", "inject=openat:delay_enter=60s", "sh", "-c", script)
    assert outcome.status == 137


def test_errors_of_messages_and_of_calls_at_once() -> None:
    words = ["--inject", "fs.write:error=EIO", "-e", "fault=unlink:error=EPERM", "-e", "trace=unlink,write"]
    outcome = cli("trace", "-f", *words, "-o", "/dev/null", "sh", "-c", "echo x > /tmp/a; echo $?; rm /tmp/a; echo $?")
    assert outcome.stdout == b"1\n1\n"
    assert b"Operation not permitted" in outcome.stderr
