"""`linuxemu trace --unsupported`: what, by whom, where, how often, and what became of it."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu import Bind, trace
from linuxemu.trace.report import MOST_KINDS, MOST_TEXTS, Report, Request, report_lines, report_objects
from linuxemu.trace.stack import Place
from tests.helpers import cli

if TYPE_CHECKING:
    from pathlib import Path

ASKS = """
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/wait.h>

static void *thread(void *unused)
{
    socket(AF_INET6, SOCK_DGRAM, 0);
    return 0;
}

static void flags(int fd)
{
    long value;
    ioctl(fd, 0x80086601, &value);
}

int main(void)
{
    int fd = open("/etc/passwd", O_RDONLY), status;
    char *room = malloc(1 << 20);
    pthread_t other;
    for (int i = 0; i < 5; i++)
        syscall(SYS_io_setup, 1, room + 4096 * i);
    flags(fd);
    flags(open("/etc", O_RDONLY));
    isatty(fd);
    pthread_create(&other, 0, thread, 0);
    pthread_join(other, 0);
    if (fork() == 0) {
        socket(AF_UNIX, SOCK_STREAM, 0);
        getppid();
        getppid();
        _exit(3);
    }
    wait(&status);
    if (fork() == 0) {
        socket(AF_UNIX, SOCK_STREAM, 0);
        abort();
    }
    wait(&status);
    if (fork() == 0) {
        socket(AF_UNIX, SOCK_SEQPACKET, 0);
        execl("/bin/false", "false", (char *) 0);
    }
    wait(&status);
    return 0;
}
"""


@pytest.fixture(scope="module")
def asks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to compile with (Debian: apt-get install gcc)")
    folder = tmp_path_factory.mktemp("asks")
    (folder / "asks.c").write_text(ASKS)
    subprocess.run(["gcc", "-static", "-g", "-w", "-o", "asks", "asks.c"], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def requests(asks: Path) -> list[dict[str, Any]]:
    result, found = trace.unsupported(["/b/asks"], binds=[Bind(str(asks), "/b")])
    assert result.exit_status == 0
    return found


def line_of(text: str) -> int:
    return 1 + next(number for number, line in enumerate(ASKS.splitlines()) if text in line)


def test_requests_that_differ_in_addresses_are_one(requests: list[dict[str, Any]]) -> None:
    first = requests[0]
    assert (first["name"], first["count"], first["processes"]) == ("io_setup", 5, 1)
    assert first["call"].startswith("io_setup(1, ")
    assert first["result"] == "-1 ENOSYS (Function not implemented)"
    site = first["site"]
    assert (site["function"], site["file"], site["line"]) == ("main", "asks.c", line_of("SYS_io_setup,"))
    assert site["module"] == "/b/asks"


def test_a_part_that_is_missing_has_its_name_and_its_result(requests: list[dict[str, Any]]) -> None:
    found = [request for request in requests if request["name"] == "ioctl"]
    assert {request["missing"] for request in found} == {"ioctl: FS_IOC_GETFLAGS"}
    assert {request["site"]["function"] for request in found} == {"flags"}
    assert {request["result"] for request in found} == {"-1 ENOTTY (Inappropriate ioctl for device)"}
    assert sum(request["count"] for request in found) == 2  # and nothing of isatty


def test_what_became_of_each_process(requests: list[dict[str, Any]]) -> None:
    sockets = {request["site"]["line"]: request for request in requests if request["name"] == "socket"}
    ends = {line: (found["carried_on"], found["ends"]) for line, found in sockets.items()}
    lines = [number for number, line in enumerate(ASKS.splitlines(), 1) if "socket(AF" in line]
    inet, exits, aborts, execs = (ends[line] for line in lines)
    assert inet == (1, [])
    assert exits == (0, [{"how": "exited with 3", "times": 1, "fewest_calls": 3, "most_calls": 3}])
    assert aborts[1][0]["how"] == "killed by SIGABRT"
    assert execs == (1, []), "it went on to run another program"


def test_the_text(asks: Path, tmp_path: Path) -> None:
    log = tmp_path / "report"
    words = ["--bind", f"{asks}:/b", "-o", str(log), "-e", "trace=socket", "/b/asks"]
    assert cli("trace", "--unsupported", *words) == (0, b"", b"")
    lines = log.read_text().splitlines()
    assert lines[0] == "Not supported: 4 kinds of requests, made 4 times."
    start = lines.index("    1 x socket(AF_UNIX, SOCK_STREAM, 0) = -1 ENOSYS (Function not implemented)")
    assert lines[start - 1] == ""
    by, at, then = lines[start + 1 : start + 4]
    assert by == "        by       asks (pid 4)"
    assert at.startswith("        at       /b/asks(main+0x")
    assert at.endswith(f" asks.c:{line_of('socket(AF_UNIX, SOCK_STREAM')}")
    assert then == "        then     exited with 3 after 3 more calls"


def test_nothing_to_report() -> None:
    outcome = cli("trace", "--unsupported", "sh", "-c", "exit 4")
    assert outcome == (4, b"", b"Nothing was asked for that is not supported.\n")
    assert cli("trace", "--unsupported", "--json", "true") == (0, b"", b"")


def test_a_program_that_had_not_ended() -> None:
    outcome = cli("trace", "--unsupported", "--timeout", "1.5", "sh", "-c", "ip link & sleep 60")
    assert outcome.status == 124
    assert b"socket(" in outcome.stderr
    _, requests = trace.unsupported(["sh", "-c", "trap '' TERM; ip link; exec sleep 60"], timeout_s=1.5)
    assert requests[0]["ends"][0]["how"] == "exited with 2"


@pytest.mark.parametrize(
    "words", [["--rpc"], ["--format", "json"], ["-c"], ["-C"], ["-k"], ["-e", "fault=openat"], ["--json", "-c"]]
)
def test_what_does_not_go_with_it(words: list[str]) -> None:
    outcome = cli("trace", "--unsupported", *words, "true")
    assert (outcome.status, outcome.stderr.count(b"\n")) == (2, 1)
    assert b"--unsupported shows no calls" in outcome.stderr


# -- the report itself -------------------------------------------------------------------------------------------------


class Process:
    """Stands for one: a report looks at nothing but its pid."""

    def __init__(self, pid: int) -> None:
        self.pid = pid


def request(number: int, text: str = "call(1)", place: int = 1) -> Request:
    site = Place("/p", "f", 1, place, "", 0, 0x400000 + place)
    return Request(number, "call", "call", text, "-1 ENOSYS (Function not implemented)", "p", site)


def test_a_report_is_bounded() -> None:
    report, process = Report(), Process(1)
    for number in range(MOST_KINDS + 500):
        report.add(process, request(number))  # type: ignore[arg-type]
    report.finish()
    assert len(report.entries()) == MOST_KINDS
    assert list(report_objects(report))[-1] == {"type": "more", "count": 500}
    assert list(report_lines(report))[-1] == "  500 x more, of other kinds"


def test_many_arguments_from_one_place_become_one_entry() -> None:
    report, process = Report(), Process(1)
    for value in range(1000):
        report.add(process, request(1, f"call({value})"))  # type: ignore[arg-type]
    entries = report.entries()
    assert [entry.count for entry in entries] == [1000 - MOST_TEXTS, *[1] * MOST_TEXTS]
    assert entries[0].request.text == "call(...)"


def test_many_processes_are_counted() -> None:
    report = Report()
    for pid in range(1, 101):
        process = Process(pid)
        report.called(process)  # type: ignore[arg-type]
        report.add(process, request(1))  # type: ignore[arg-type]
        for _ in range(pid):
            report.called(process)  # type: ignore[arg-type]
        report.ended(process, "exited with 1" if pid > 10 else "")  # type: ignore[arg-type]
    (entry,) = report.entries()
    assert entry.who() == "p (pid 1, 2, 3, 4, 5, 6, 7, 8 and 92 more)"
    assert entry.outcome() == "carried on (10 processes); exited with 1 after 11 to 100 more calls (90 times)"
