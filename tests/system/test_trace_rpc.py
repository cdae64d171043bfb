"""`linuxemu trace --rpc`: the messages of a call are its own, all of them, and in order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from linuxemu import trace
from linuxemu.kernel.interpose import chain
from linuxemu.machine import Machine
from linuxemu.testing.log import RpcLog
from linuxemu.trace.build import Tracing
from linuxemu.trace.options import TraceOptions

if TYPE_CHECKING:
    from linuxemu.trace.call import Call


class Kept:
    """A log that keeps calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def leave(self, call: Call, parts: list[str]) -> None:
        self.calls.append(call)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def run(script: str) -> tuple[list[Call], RpcLog]:
    """The calls of a script that makes no other process, and what the harness's log says."""
    tracing, log, kept = Tracing(TraceOptions(), rpc=True), RpcLog(), Kept()
    tracing._make_log = lambda session: kept  # type: ignore[method-assign, assignment]
    machine = Machine(trace=tracing.trace, observe=chain(log.wrap, tracing.observe), seed=1)
    assert machine.run(["sh", "-c", script]).exit_status == 0
    return kept.calls, log


def test_they_are_those_that_the_harness_sees() -> None:
    calls, log = run("cd /etc; echo hello > /tmp/a; read line < /tmp/a; echo $line; cd /nothing 2>/dev/null; exit 0")
    seen = 0
    for name in ("openat", "write", "chdir", "read", "close"):
        wanted = [
            [str(each.request) for each in log.during(entry) if not each.is_trap] for entry in log.calls(name)
        ]
        assert [[str(rpc.request) for rpc in call.rpcs] for call in calls if call.plan.name == name] == wanted
        seen += sum(map(len, wanted))
    assert seen > 10


def test_calls_that_wait_have_their_own_only() -> None:
    script = "(sleep 0.2; cat /etc/passwd > /tmp/copy; echo x) | { read line; echo $line; } ; wait"
    events = trace.run(["sh", "-c", script], "-f -e trace=read,openat,wait4", rpc=True).events
    waits = [event for event in events if event.get("name") == "wait4"]
    assert waits
    assert not any(event.get("rpcs") for event in waits)
    (read,) = (event for event in events if event.get("name") == "read" and '"x"' in str(event["args"])[:200])
    assert "fs.read" not in {rpc["name"] for rpc in read.get("rpcs", ())}
    opened = [event for event in events if event.get("name") == "openat" and "/etc/passwd" in str(event["args"])]
    assert {rpc["name"] for rpc in opened[0]["rpcs"]} == {"fsx.lookup", "fsx.open"}


def test_the_text_is_indented_by_depth_and_cut() -> None:
    options = "-e trace=openat,write"
    lines = trace.run(["sh", "-c", f"echo {'x' * 3000} > /tmp/a"], options, form="text", rpc=True).lines
    below = [line for line in lines if line.startswith(" | ")]
    assert all(re.fullmatch(r" \| (  )*[\w@/]+ -> [\w@/]+: [\w.]+\(.*\) = .* <\d+\.\d{6}>", line) for line in below)
    assert any(line.startswith(" |   fs@/ -> fs@lower: ") for line in below)
    assert max(map(len, below)) < 250
    (write,) = (line for line in below if "fs.write" in line)
    assert "...(3001))" in write


def test_v_shows_whole_replies() -> None:
    short, whole = (
        trace.run(["cat", "/etc/hostname"], f"{v} -e trace=openat", form="text", rpc=True).lines for v in ("", "-v")
    )
    assert ", ... <" in short[1]
    assert ", ... <" not in whole[1]
    assert "ctime_ns=" in whole[1]


def test_errors_and_lost_replies() -> None:
    options = "-e trace=openat"
    (call, _) = trace.run(["cat", "/nothing"], options, rpc=True).events
    assert [(rpc["name"], rpc["reply"], rpc["error"]) for rpc in call["rpcs"]][-1] == ("fsx.lookup", None, "ENOENT")
    traced = trace.run(["cat", "/etc/hostname"], options, rpc=True, inject=["fsx.open@/:error=EIO:when=2"])
    assert traced.events[0]["error"] == "EIO"
    assert traced.events[0]["rpcs"][-1]["error"] == "EIO"
