"""Whole programs in tests: what they are made of, how they end, that they repeat."""

from __future__ import annotations

import subprocess
import sys

import pytest

from linuxemu.testing import CompileError, NoCompiler, Out, ProgramRunner, Result
from syscalls.abi.errno import ENOENT, ENOSYS
from syscalls.abi.structs import Timespec
from tests.helpers import ROOT, tool_environment

HELLO = '#include <stdio.h>\nint main(int c, char **v) { printf("hello %s\\n", v[1]); return c; }'


def test_a_list_of_system_calls(program: ProgramRunner) -> None:
    data = Out(8)
    done = program(
        [("open", "/x", 0), ("read", Result(0), data, 8), ("write", 1, data, Result(-1)), ("exit", 3)],
        files={"/x": b"hello"},
    )
    assert (done.exit_status, done.stdout, done.signal) == (3, b"hello", None)
    assert [(call.name, call.result) for call in done.syscalls] == [
        ("open", 3), ("read", 5), ("write", 5), ("exit", None),
    ]  # fmt: skip
    assert "fs.read" in done.rpcs.names()


def test_a_list_that_does_not_exit(program: ProgramRunner) -> None:
    done = program([("open", "/none"), ("nanosleep", Timespec(9999, 0), 0)])
    assert done.exit_status == 0
    assert (done.results("open"), done.results("nanosleep")) == ([-ENOENT], [0])
    assert str(done.syscalls[-1]) == "[2] exit_group(0) = ?"


def test_machine_code(program: ProgramRunner) -> None:
    # mov $60,%eax; mov $42,%edi; syscall
    done = program(bytes.fromhex("b83c000000bf2a0000000f05"))
    assert done.exit_status == 42


def test_an_elf_file(program: ProgramRunner) -> None:
    from linuxemu.testing.assembler import Assembler

    made = Assembler()
    made.call(231, 5)
    assert program(made.elf()).exit_status == 5


def test_what_kills_a_program(program: ProgramRunner) -> None:
    done = program(b"\x0f\x0b")  # ud2
    assert (done.exit_status, done.signal) == (128 + 4, 4)


def test_unsupported_calls_are_listed(program: ProgramRunner) -> None:
    done = program([("socket", 2, 1, 0)])
    assert done.results("socket") == [-ENOSYS]
    assert [item.what for item in done.unsupported] == ["socket"]


@pytest.mark.parametrize(
    ("calls", "complaint"),
    [
        ([("no_such_call",)], "no system call 'no_such_call'"),
        ([("read", Result(0))], "there is no earlier call 0"),
        ([("read", 1.5)], "neither bytes nor a structure"),
        ([("read", 1, 2, 3, 4, 5, 6, 7)], "read with 7 arguments"),
        ([("read", 0, Out(1 << 21), 1)], "the results need more"),
    ],
)
def test_wrong_lists(program: ProgramRunner, calls: list[tuple[object, ...]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        program(calls)


def test_one_source_is_wanted(program: ProgramRunner) -> None:
    with pytest.raises(TypeError):
        program()
    with pytest.raises(TypeError):
        program([], c=HELLO)
    with pytest.raises(ValueError, match="'x' is no absolute path"):
        program([], files={"x": b""})


def test_c_source(program: ProgramRunner) -> None:
    done = program(c=HELLO, args=["world"])
    assert (done.exit_status, done.stdout, done.stderr) == (2, b"hello world\n", b"")


def test_c_programs_see_time_jump(program: ProgramRunner) -> None:
    source = """
        #include <time.h>
        #include <unistd.h>
        int main() { time_t t = time(0); sleep(5000); return time(0) - t == 5000; }"""
    assert program(c=source).exit_status == 1


def test_wrong_c_source(program: ProgramRunner) -> None:
    with pytest.raises(CompileError, match="error"):
        program(c="int main() { return x; }")


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linuxemu.testing.program.which", lambda command: None)
    with pytest.raises(NoCompiler, match="apt-get install gcc"):
        ProgramRunner()(c=HELLO)


def test_a_program_that_waits_by_looking_at_the_clock_ends(program: ProgramRunner) -> None:
    source = """
        #include <time.h>
        int main() {
            struct timespec a, b;
            long passed;
            clock_gettime(CLOCK_MONOTONIC, &a);
            do {
                clock_gettime(CLOCK_MONOTONIC, &b);
                passed = (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec;
            } while (passed < 200000);
            return 0;
        }"""
    assert program(c=source).exit_status == 0


def test_a_program_that_never_ends(program: ProgramRunner) -> None:
    assert program(b"\xeb\xfe", timeout_s=0.3).exit_status == 124


def test_a_program_whose_timers_never_end(program: ProgramRunner) -> None:
    source = """
        #include <signal.h>
        #include <sys/time.h>
        #include <unistd.h>
        static void nothing(int s) {}
        int main() {
            struct itimerval often = {{0, 1}, {0, 1}};
            signal(SIGALRM, nothing);
            setitimer(ITIMER_REAL, &often, 0);
            for (;;) pause();
        }"""
    assert program(c=source, timeout_s=0.3).exit_status == 124


def test_a_parent_that_spins_gives_way_to_its_child(program: ProgramRunner) -> None:
    source = """
        #include <sys/mman.h>
        #include <unistd.h>
        int main() {
            volatile int *flag = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            if (fork() == 0) { *flag = 1; _exit(0); }
            while (!*flag) ;
            return 7;
        }"""
    assert program(c=source).exit_status == 7


FORKING = """
    #include <stdio.h>
    #include <stdlib.h>
    #include <sys/random.h>
    #include <sys/wait.h>
    #include <unistd.h>
    int main() {
        unsigned random;
        int ends[2], i;
        pipe(ends);
        for (i = 0; i < 3; i++)
            if (fork() == 0) {
                usleep(1000 * (7 - 2 * i));
                getrandom(&random, sizeof random, 0);
                dprintf(ends[1], "%d %d %u\\n", i, getpid(), random);
                exit(i);
            }
        close(ends[1]);
        while (wait(0) > 0) ;
        char text[1000];
        fwrite(text, 1, read(ends[0], text, sizeof text), stdout);
    }"""


def test_runs_repeat(program: ProgramRunner) -> None:
    one, two = program(c=FORKING), program(c=FORKING)
    assert [line.split()[0] for line in one.stdout.decode().splitlines()] == ["2", "1", "0"]
    assert one.stdout == two.stdout
    assert [str(entry) for entry in one.rpcs] == [str(entry) for entry in two.rpcs]
    assert [entry.at_ns for entry in one.rpcs] == [entry.at_ns for entry in two.rpcs]


def test_another_seed_makes_another_run(program: ProgramRunner) -> None:
    other = ProgramRunner(seed=1)
    assert program(c=FORKING).stdout != other(c=FORKING).stdout


def test_runs_repeat_in_another_process(program: ProgramRunner) -> None:
    script = (
        "import hashlib, sys; from linuxemu.testing import ProgramRunner\n"
        "log = ProgramRunner()(c=sys.stdin.read()).rpcs\n"
        "print(hashlib.sha256('\\n'.join(f'{e.at_ns} {e}' for e in log).encode()).hexdigest())"
    )
    digests = set()
    for seed in ("1", "2"):
        environment = {**tool_environment(), "PYTHONHASHSEED": seed, "LINUXEMU_STRICT_IPC": ""}
        line = [sys.executable, "-c", script]
        done = subprocess.run(line, input=FORKING, capture_output=True, text=True, env=environment, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout)
    assert len(digests) == 1
