"""Tracing from Python."""

from __future__ import annotations

from typing import Any

import pytest

from linuxemu import BootError, GuestStartError, trace


def test_events() -> None:
    traced = trace.run(["sh", "-c", "echo hello; exit 3"], "-e trace=write", seed=1)
    assert (traced.result.exit_status, traced.result.stdout) == (3, b"hello\n")
    call, end = traced.events
    assert (call["name"], call["result"], call["args"][1]["text"]) == ("write", 6, '"hello\\n"')
    assert (end["type"], end["status"]) == ("exit", 3)


def test_lines() -> None:
    traced = trace.run(["sh", "-c", "echo hello"], ["-e", "trace=write"], form="text")
    assert traced.lines == [r'write(1, "hello\n", 6)                  = 6', "+++ exited with 0 +++"]


def test_counts() -> None:
    lines = trace.run(["true"], "-c -U calls,name", form="text").lines
    assert lines[0].split() == ["calls", "syscall"]


def test_runs_with_a_seed_repeat() -> None:
    script = "for i in 1 2 3; do (sleep 0.1; echo $i) & done; wait; date +%N"
    first, second = (trace.run(["sh", "-c", script], "-f -r -T -k", rpc=True, seed=7).lines for _ in range(2))
    assert first == second


def test_the_machine_s_arguments() -> None:
    traced = trace.run(["sh", "-c", "cat; pwd"], "-e trace=getcwd", stdin=b"in\n", cwd="/tmp", user=(5, 6))
    assert traced.result.stdout == b"in\n/tmp\n"


@pytest.mark.parametrize(
    ("options", "more", "why"),
    [
        ("-e trace=opne", {}, "options of the trace: invalid system call 'opne'"),
        ("-e 'trace", {}, "options of the trace: No closing quotation"),
        ("-f cat", {}, "options of the trace: 'cat' is none"),
        ("-E A=1", {}, "options of the trace: --env is an argument of the machine"),
        ("-h", {}, "options of the trace: --help is an argument of the machine"),
        ("-o file", {}, "options of the trace: its lines are returned"),
        ("-c", {}, "options of the trace: the table of -c and -C is text"),
        ("", {"form": "xml"}, "no form 'xml' of a trace"),
        ("", {"engine": "none"}, "no engine 'none'"),
    ],
)
def test_what_cannot_be_traced(options: str, more: dict[str, Any], why: str) -> None:
    with pytest.raises(BootError) as caught:
        trace.run(["true"], options, **more)
    assert str(caught.value).startswith(why)


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(GuestStartError, match="not found"):
        trace.run(["/nothing"])
    with pytest.raises(GuestStartError, match="not found"):
        trace.unsupported(["/nothing"])


def test_the_report() -> None:
    result, requests = trace.unsupported(["ip", "link"])
    assert result.exit_status != 0
    assert [(request["missing"], request["count"]) for request in requests] == [("socket", 1)]
    assert trace.unsupported(["true"])[1] == []
