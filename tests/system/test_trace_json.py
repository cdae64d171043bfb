"""`linuxemu trace --format json`: every line is an object as docs/trace.md says, whatever a program does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu import Bind, trace
from tests.helpers import ROOT, cli

if TYPE_CHECKING:
    from pathlib import Path

_ROW = re.compile(r"\| (\w+) \| `(\w+)` \| ([^|]+) \| [^|]+ \|")
_KINDS = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
EVENTS = ("syscall", "signal", "stop", "exit", "superseded")


def table() -> dict[str, dict[str, str]]:
    """The table of docs/trace.md: object -> field -> value."""
    found: dict[str, dict[str, str]] = {}
    for kind, field, value in _ROW.findall((ROOT / "docs" / "trace.md").read_text("utf-8")):
        found.setdefault(kind, {})[field] = value
    return found


TABLE = table()


def check(value: Any, kind: str) -> None:
    """A value is what the table says."""
    kind = kind.removesuffix(", optional")
    if kind.endswith(" or null"):
        if value is None:
            return
        kind = kind.removesuffix(" or null")
    if kind.startswith("list of "):
        assert isinstance(value, list)
        for item in value:
            check(item, kind.removeprefix("list of "))
    elif kind in _KINDS:
        assert isinstance(value, _KINDS[kind])
        assert isinstance(value, bool) == (kind == "boolean")
    else:
        check_object(value, TABLE[kind])


def check_object(value: dict[str, Any], fields: dict[str, str]) -> None:
    assert set(value) <= set(fields), "a field that the page does not have"
    required = {name for name, kind in fields.items() if not kind.endswith("optional")}
    assert required <= set(value), "a field is missing"
    for name, item in value.items():
        check(item, fields[name])


def check_event(event: dict[str, Any]) -> None:
    """A line is as the page says."""
    assert event["type"] in EVENTS
    check_object(event, {**TABLE["any"], **TABLE[event["type"]]})


def events(path: Path) -> list[dict[str, Any]]:
    text = path.read_bytes().decode("ascii")
    assert text.endswith("\n")
    found = [json.loads(line) for line in text.splitlines()]
    for event in found:
        check_event(event)
        json.dumps(event, ensure_ascii=False).encode()  # no halves of characters
    return found


def test_the_page_has_every_kind_of_object() -> None:
    assert set(TABLE) == {"any", *EVENTS, "arg", "rpc", "place", "unsupported", "end", "more"}


def test_a_script(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "trap 'echo got' USR1; kill -USR1 $$; ls /nothing | cat; sh -c 'kill -9 $$'"
    outcome = cli("trace", "-f", "-o", str(log), "--format", "json", "--rpc", "-k", "sh", "-c", script)
    assert outcome.status == 137
    found = events(log)
    assert {event["type"] for event in found} == {"syscall", "signal", "exit"}
    calls = [event for event in found if event["type"] == "syscall"]
    assert {"execve", "clone", "kill", "rt_sigaction", "exit_group"} <= {call["name"] for call in calls}
    assert any(call.get("rpcs") for call in calls)
    assert all(call.get("stack") for call in calls if call["name"] != "execve")
    (failed,) = (call for call in calls if '"/nothing"' in str(call["args"]) and call["name"] == "newfstatat")
    assert (failed["result"], failed["error"]) == (-1, "ENOENT")
    assert failed["text"] == "-1 ENOENT (No such file or directory)"
    ends = [event for event in found if event["type"] == "exit"]
    assert [(event["status"], event["signal"]) for event in ends][-2:] == [(None, "SIGKILL"), (137, None)]


def test_stops_and_the_end_of_the_run(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "sleep 50 & kill -STOP $!; wait"
    assert cli("trace", "-fo", str(log), "--format=json", "--timeout", "1", "sh", "-c", script).status == 124
    found = events(log)
    assert [event["signal"] for event in found if event["type"] == "stop"] == ["SIGSTOP"]
    waiting = [event for event in found if event["type"] == "syscall" and not event["finished"]]
    assert waiting
    assert {(event["result"], event["seconds"], event["text"]) for event in waiting} == {(None, None, "?")}
    assert found[-len(waiting) :] == waiting


def test_any_bytes_give_valid_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    name = "$(printf 'a\\377\\303\\251\\n\\001')"
    script = f'mkdir "/tmp/{name}"; cd "/tmp/{name}"; cp /bin/busybox true; ./true; echo > "{name}"'
    outcome = cli("trace", "-fyy", "-k", "-o", str(log), "--format", "json", "sh", "-c", script)
    assert outcome.status == 0, outcome.stderr
    found = events(log)
    assert any("\\377" in str(event.get("args")) for event in found)


EVERY_NUMBER = """
#include <unistd.h>
#include <sys/syscall.h>
static const int not[] = {SYS_exit, SYS_exit_group, SYS_fork, SYS_vfork, SYS_clone, SYS_pause, SYS_rt_sigreturn};
int main(void)
{
    for (long n = 0; n < 600; n++) {
        unsigned i = 0;
        while (i < 7 && not[i] != n)
            i++;
        if (i == 7)
            syscall(n, -1L, -1L, -1L, -1L, -1L, -1L);
    }
}
"""
THREAD_EXECS = """
#include <pthread.h>
#include <unistd.h>
static void *run(void *path) { execl(path, "true", (char *) 0); return 0; }
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, run, "/bin/true");
    pause();
}
"""


def traced(tmp_path: Path, source: str, options: str) -> list[dict[str, Any]]:
    """The events of a C program."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to compile with (Debian: apt-get install gcc)")
    (tmp_path / "p.c").write_text(source)
    subprocess.run(["gcc", "-static", "-w", "-o", str(tmp_path / "p"), str(tmp_path / "p.c")], check=True)
    found = trace.run(["/b/p"], options, binds=[Bind(str(tmp_path), "/b")], timeout_s=60).events
    for event in found:
        check_event(event)
    return found


def test_every_number_with_the_worst_arguments(tmp_path: Path) -> None:
    found = traced(tmp_path, EVERY_NUMBER, "-yy")
    assert {"syscall_0x1f4", "read"} <= {event.get("name") for event in found}
    assert "socket" in {event["name"] for event in found if event.get("unsupported")}


def test_a_thread_that_runs_another_program(tmp_path: Path) -> None:
    found = traced(tmp_path, THREAD_EXECS, "-f")
    (event,) = (event for event in found if event["type"] == "superseded")
    assert event["tid"] == event["pid"] != event["by"]


def test_the_report_is_as_the_page_says() -> None:
    outcome = cli("trace", "--unsupported", "--json", "sh", "-c", "ip link; ip link; ip addr; exec ip link")
    found = [json.loads(line) for line in outcome.stderr.splitlines() if line.startswith(b"{")]
    assert found
    for request in found:
        check_object(request, TABLE["unsupported"])
    assert found[0]["name"] == "socket"
    assert sum(request["count"] for request in found if request["name"] == "socket") == 4
    assert [request["count"] for request in found] == sorted((request["count"] for request in found), reverse=True)


def test_injected_results_are_marked() -> None:
    options = "-e trace=openat -e fault=openat:error=EACCES"
    (call, _) = trace.run(["cat", "/etc/hostname"], options).events
    check_event(call)
    assert (call["error"], call["result"], call["injected"]) == ("EACCES", -1, "(INJECTED)")
