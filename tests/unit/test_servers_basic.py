"""The vm, task, discovery, ool, time and random servers, each against a port without a kernel."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxemu.errors import RpcError
from linuxemu.idl.codes import (
    ERR_ALREADY_EXISTS,
    ERR_INVALID_ARG,
    ERR_INVALID_TASK,
    ERR_NO_MEMORY,
    ERR_NOT_ACCEPTABLE,
    ERR_NOT_FOUND,
    ERR_NOT_PERMITTED,
    ERR_TOO_LARGE,
    ERR_UNAVAILABLE,
)
from linuxemu.messages import discovery, fs, ool, task, vm, vmx
from linuxemu.servers.discovery import DiscoveryServer
from linuxemu.servers.ool import LocalMemory, OolServer
from linuxemu.servers.random import RandomServer
from linuxemu.servers.task import TaskServer
from linuxemu.servers.time import TimeServer
from linuxemu.servers.vm import VmServer
from tests.unit.server_port import NOBODY, A, B, C, Sleeper, boot, call, fails

if TYPE_CHECKING:
    from linuxemu.kernel import Server
    from linuxemu.messages import Message

# vm


@pytest.fixture
def pages() -> VmServer:
    server: VmServer = boot(VmServer())
    return server


def test_pages_come_in_runs_at_fresh_addresses(pages: VmServer) -> None:
    assert call(pages, A, vm.AllocPages(2, 0)) == vm.AllocPagesReply(0x1000_0000, 16 << 12)
    assert call(pages, A, vm.AllocPages(1, 0)) == vm.AllocPagesReply(0x1000_2000, 18 << 12)
    assert call(pages, B, vm.AllocPages(1, 0)) == vm.AllocPagesReply(0x1000_0000, 19 << 12)
    assert call(pages, A, vmx.Stats()) == vmx.StatsReply(64, 60)


def test_pages_at_a_given_place(pages: VmServer) -> None:
    assert call(pages, A, vm.AllocPages(2, 30 << 12)) == vm.AllocPagesReply(0x1000_0000, 30 << 12)
    assert fails(pages, A, vm.AllocPages(1, 31 << 12)) == ERR_NOT_ACCEPTABLE
    assert call(pages, A, vm.AllocPages(1, 32 << 12)) == vm.AllocPagesReply(0x1000_2000, 32 << 12)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (vm.AllocPages(1, 0x10001), ERR_INVALID_ARG),
        (vm.AllocPages(0, 0), ERR_INVALID_ARG),
        (vm.AllocPages(1, 15 << 12), ERR_NOT_ACCEPTABLE),
        (vm.AllocPages(2, 79 << 12), ERR_NOT_ACCEPTABLE),
        (vm.AllocPages(1, 80 << 12), ERR_NOT_ACCEPTABLE),
        (vm.AllocPages(1 << 51, 16 << 12), ERR_NO_MEMORY),
        (vm.AllocPages(1 << 30, 16 << 12), ERR_NOT_ACCEPTABLE),
        (vm.AllocPages(65, 0), ERR_NO_MEMORY),
        (vm.AllocPages((1 << 64) - 1, 0), ERR_NO_MEMORY),
    ],
)
def test_impossible_pages_are_errors(pages: VmServer, message: Message, code: int) -> None:
    assert fails(pages, A, message) == code
    assert call(pages, A, vmx.Stats()).free == 64


def test_addresses_are_not_used_twice(pages: VmServer) -> None:
    for turn in range(200):
        reply = call(pages, A, vm.AllocPages(1, 0))
        assert reply.vaddr == 0x1000_0000 + turn * 4096
        call(pages, A, vmx.FreePages(reply.paddr, 1))


def test_pages_are_given_back_whole_or_in_parts(pages: VmServer) -> None:
    first = call(pages, A, vm.AllocPages(4, 0)).paddr
    call(pages, A, vmx.FreePages(first + 0x1000, 2))
    assert pages.port.frames.used == {16, 19}  # type: ignore[attr-defined]
    assert fails(pages, A, vmx.FreePages(first, 2)) == ERR_INVALID_ARG
    call(pages, A, vmx.FreePages(first + 0x3000, 1))
    call(pages, A, vmx.FreePages(first, 1))
    assert call(pages, A, vmx.Stats()).free == 64
    assert fails(pages, A, vmx.FreePages(first, 1)) == ERR_INVALID_ARG


@pytest.mark.parametrize(
    ("offset", "count", "src"),
    [(0, 3, A), (0, 0, A), (1, 1, A), (0x2000, 1, A), (0, 2, B), (-0x1000, 2, A), (0, (1 << 64) - 1, A)],
)
def test_only_pages_of_the_caller_are_taken_back(pages: VmServer, offset: int, count: int, src: int) -> None:
    paddr = call(pages, A, vm.AllocPages(2, 0)).paddr
    assert fails(pages, src, vmx.FreePages(paddr + offset, count)) == ERR_INVALID_ARG
    assert call(pages, A, vmx.Stats()).free == 62


def test_single_frames_are_handed_to_pagers(pages: VmServer) -> None:
    call(pages, A, vm.AllocPages(1, 17 << 12))
    frames = call(pages, B, vmx.AllocFrames(3, 0)).frames
    assert struct.unpack("<3I", frames) == (16, 18, 19)
    assert fails(pages, B, vmx.AllocFrames(0, 0)) == ERR_INVALID_ARG
    assert fails(pages, B, vmx.AllocFrames(1 << 40, 0)) == ERR_INVALID_ARG
    assert fails(pages, B, vmx.AllocFrames(61, 0)) == ERR_NO_MEMORY
    assert call(pages, B, vmx.Stats()).free == 60


def test_pages_of_a_dead_task_come_back(pages: VmServer) -> None:
    call(pages, A, vm.AllocPages(3, 0))
    call(pages, A, vm.AllocPages(2, 0))
    call(pages, B, vm.AllocPages(1, 0))
    pages.task_died(A)
    pages.task_died(NOBODY)
    assert call(pages, B, vmx.Stats()).free == 63
    assert call(pages, A, vm.AllocPages(1, 0)).vaddr == 0x1000_0000


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(["alloc", "free"]), st.integers(0, 9), st.integers(1, 6))))
def test_pages_are_never_lost_nor_given_twice(steps: list[tuple[str, int, int]]) -> None:
    server: VmServer = boot(VmServer())
    mine: set[int] = set()
    for what, where, count in steps:
        try:
            if what == "alloc":
                frame = call(server, A, vm.AllocPages(count, 0)).paddr >> 12
                run = set(range(frame, frame + count))
                assert not run & mine
                mine |= run
            else:
                call(server, A, vmx.FreePages((16 + where) << 12, count))
                mine -= set(range(16 + where, 16 + where + count))
        except RpcError as error:
            if error.code not in (ERR_NO_MEMORY, ERR_INVALID_ARG):
                raise
        assert mine == server.port.frames.used  # type: ignore[attr-defined]


# task


@pytest.fixture
def tasks() -> TaskServer:
    server: TaskServer = boot(TaskServer())
    return server


def test_ids_are_reserved_and_given_back_by_their_pager(tasks: TaskServer) -> None:
    number = call(tasks, A, task.Alloc(B)).task
    assert fails(tasks, A, task.Free(number)) == ERR_NOT_PERMITTED
    assert call(tasks, B, task.Free(number)) == task.FreeReply()
    assert fails(tasks, B, task.Free(number)) == ERR_NOT_FOUND
    assert tasks.port.task_ids.freed == [number]


def test_there_are_more_ids_than_64(tasks: TaskServer) -> None:
    numbers = {call(tasks, A, task.Alloc(A)).task for _ in range(10_000)}
    assert len(numbers) == 10_000


@pytest.mark.parametrize("number", [NOBODY, 0, -1, 1 << 30])
def test_unknown_tasks_are_errors(tasks: TaskServer, number: int) -> None:
    assert fails(tasks, A, task.Alloc(number)) == ERR_INVALID_TASK
    assert fails(tasks, A, task.Free(number)) == ERR_NOT_FOUND
    assert fails(tasks, A, task.Watch(number)) == ERR_NOT_FOUND
    assert fails(tasks, A, task.Unwatch(number)) == ERR_NOT_FOUND
    tasks.task_died(number)


def test_launch_splits_name_and_command_line() -> None:
    lines: list[str] = []

    def start(line: str) -> int:
        lines.append(line)
        return 77

    server = boot(TaskServer({"hello": start}))
    assert call(server, A, task.Launch("hello big  world")).task == 77
    assert call(server, A, task.Launch("hello")).task == 77
    assert lines == ["big  world", ""]
    assert fails(server, A, task.Launch("other hello")) == ERR_NOT_FOUND
    assert fails(boot(TaskServer()), A, task.Launch("hello")) == ERR_NOT_FOUND


def test_watchers_are_told_once_for_each_watch(tasks: TaskServer) -> None:
    for watcher in (A, A, B):
        call(tasks, watcher, task.Watch(C))
    call(tasks, B, task.Watch(A))
    tasks.task_died(C)
    exited = task.Exited(C)
    assert tasks.port.sent == [(A, exited), (A, exited), (B, exited)]  # type: ignore[attr-defined]
    tasks.task_died(C)
    assert len(tasks.port.sent) == 3  # type: ignore[attr-defined]


def test_unwatch_takes_one_watch_back(tasks: TaskServer) -> None:
    for watcher in (A, A, B):
        call(tasks, watcher, task.Watch(C))
    call(tasks, A, task.Unwatch(C))
    call(tasks, B, task.Unwatch(C))
    call(tasks, B, task.Unwatch(C))
    call(tasks, B, task.Unwatch(A))
    tasks.task_died(C)
    assert tasks.port.sent == [(A, task.Exited(C))]  # type: ignore[attr-defined]


def test_the_dead_are_told_nothing_and_their_ids_come_back(tasks: TaskServer) -> None:
    call(tasks, A, task.Watch(C))
    call(tasks, A, task.Watch(B))
    call(tasks, B, task.Watch(C))
    number = call(tasks, A, task.Alloc(A)).task
    tasks.task_died(A)
    tasks.task_died(C)
    assert tasks.port.sent == [(B, task.Exited(C))]  # type: ignore[attr-defined]
    assert tasks.port.task_ids.freed == [number]
    assert fails(tasks, A, task.Free(number)) == ERR_NOT_FOUND


def test_ten_thousand_watched_tasks_leave_nothing_behind(tasks: TaskServer) -> None:
    tasks.port.alive |= set(range(1000, 11_000))  # type: ignore[attr-defined]
    for number in range(1000, 11_000):
        call(tasks, A, task.Watch(number))
    for number in range(1000, 11_000):
        tasks.task_died(number)
    assert len(tasks.port.sent) == 10_000  # type: ignore[attr-defined]
    assert not tasks._watchers
    assert not tasks._watched


# discovery


@pytest.fixture
def names() -> DiscoveryServer:
    server: DiscoveryServer = boot(DiscoveryServer())
    return server


def test_a_served_name_is_found(names: DiscoveryServer) -> None:
    assert call(names, A, discovery.Serve("fs")) == discovery.ServeReply()
    call(names, B, discovery.Serve("fs"))
    call(names, B, discovery.Serve("x" * 100))
    assert call(names, C, discovery.Lookup("fs")).task == A
    assert call(names, C, discovery.Lookup("x" * 100)).task == B


def test_lookup_waits_for_the_name(names: DiscoveryServer) -> None:
    first, second = Sleeper(names, A, discovery.Lookup("fs")), Sleeper(names, B, discovery.Lookup("fs"))
    other = Sleeper(names, A, discovery.Lookup("net"))
    assert names.waiting == ["fs", "net"]
    call(names, C, discovery.Serve("fs"))
    assert first.resume().task == C
    assert second.resume().task == C
    assert not other.waiter.woken
    assert names.waiting == ["net"]


def test_a_caller_that_ends_waits_no_more(names: DiscoveryServer) -> None:
    first, second = Sleeper(names, A, discovery.Lookup("fs")), Sleeper(names, B, discovery.Lookup("fs"))
    first.coro.close()
    assert names.waiting == ["fs"]
    second.coro.close()
    assert names.waiting == []


def test_a_dead_server_is_not_found(names: DiscoveryServer) -> None:
    call(names, A, discovery.Serve("fs"))
    call(names, B, discovery.Serve("fs"))
    names.task_died(A)
    assert call(names, C, discovery.Lookup("fs")).task == B
    names.task_died(B)
    waiting = Sleeper(names, C, discovery.Lookup("fs"))
    call(names, A, discovery.Serve("fs"))
    assert waiting.resume().task == A


# ool


@pytest.fixture
def carrier() -> OolServer:
    server: OolServer = boot(OolServer())
    return server


@pytest.fixture
def memory(carrier: OolServer) -> LocalMemory:
    assert isinstance(carrier.memory, LocalMemory)
    return carrier.memory


def test_a_payload_travels_as_in_the_seed(carrier: OolServer, memory: LocalMemory) -> None:
    buffer = memory.reserve(B, 16)
    call(carrier, B, ool.Recv(buffer, 16))
    addr = memory.put(A, b"payload")
    identity = call(carrier, A, ool.Send(B, addr, 7)).id
    assert identity == buffer
    assert call(carrier, B, ool.Verify(A, identity, 7)).received_at == buffer
    assert memory.take(B, buffer, 7) == b"payload"
    call(carrier, B, ool.Recv(memory.reserve(B, 16), 16))


@pytest.mark.parametrize("change", [{"src": C}, {"id": 1}, {"len": 6}])
def test_a_payload_that_was_not_sent_is_not_verified(
    carrier: OolServer, memory: LocalMemory, change: dict[str, int]
) -> None:
    call(carrier, B, ool.Recv(memory.reserve(B, 16), 16))
    identity = call(carrier, A, ool.Send(B, memory.put(A, b"payload"), 7)).id
    truth = {"src": A, "id": identity, "len": 7}
    assert fails(carrier, B, ool.Verify(**(truth | change))) == ERR_INVALID_ARG
    assert fails(carrier, C, ool.Verify(**truth)) == ERR_INVALID_ARG
    call(carrier, B, ool.Verify(**truth))
    assert fails(carrier, B, ool.Verify(**truth)) == ERR_INVALID_ARG


def test_there_is_one_buffer_at_a_time(carrier: OolServer) -> None:
    call(carrier, B, ool.Recv(0x1000, 16))
    assert fails(carrier, B, ool.Recv(0x2000, 16)) == ERR_ALREADY_EXISTS


def test_nothing_can_be_sent_to_nobody(carrier: OolServer, memory: LocalMemory) -> None:
    for dst in (NOBODY, 0, -1):
        assert fails(carrier, A, ool.Send(dst, memory.put(A, b"x"), 1)) == ERR_NOT_FOUND


def test_bad_memory_is_an_error(carrier: OolServer, memory: LocalMemory) -> None:
    buffer = memory.reserve(B, 4)
    call(carrier, B, ool.Recv(buffer, 4))
    assert fails(carrier, A, ool.Send(B, 0xDEAD, 1)) == ERR_INVALID_ARG
    assert fails(carrier, A, ool.Send(B, memory.put(A, b"abc"), 4)) == ERR_INVALID_ARG
    assert fails(carrier, A, ool.Send(B, memory.put(A, b"abcde"), 5)) == ERR_TOO_LARGE
    assert call(carrier, A, ool.Send(B, memory.put(A, b"abcd"), 4)).id == buffer
    call(carrier, C, ool.Recv(0xBAD, 4))
    assert fails(carrier, A, ool.Send(C, memory.put(A, b"abcd"), 4)) == ERR_UNAVAILABLE
    call(carrier, C, ool.Recv(memory.reserve(C, 2), 4))
    assert fails(carrier, A, ool.Send(C, memory.put(A, b"abcd"), 4)) == ERR_UNAVAILABLE


def test_senders_wait_in_turn_for_a_buffer(carrier: OolServer, memory: LocalMemory) -> None:
    first = Sleeper(carrier, A, ool.Send(B, memory.put(A, b"first"), 5))
    second = Sleeper(carrier, C, ool.Send(B, memory.put(C, b"second"), 6))
    call(carrier, B, ool.Recv(memory.reserve(B, 16), 16))
    assert not second.waiter.woken
    identity = first.resume().id
    call(carrier, B, ool.Verify(A, identity, 5))
    assert memory.take(B, identity, 5) == b"first"
    call(carrier, B, ool.Recv(memory.reserve(B, 16), 16))
    assert second.resume() is not None
    assert not carrier._senders


def test_a_sender_that_fails_or_ends_leaves_the_buffer_to_the_next(
    carrier: OolServer, memory: LocalMemory
) -> None:
    ends = Sleeper(carrier, A, ool.Send(B, memory.put(A, b"x"), 1))
    fails_ = Sleeper(carrier, A, ool.Send(B, 0xBAD, 1))
    last = Sleeper(carrier, C, ool.Send(B, memory.put(C, b"x"), 1))
    call(carrier, B, ool.Recv(memory.reserve(B, 16), 16))
    ends.coro.close()
    with pytest.raises(RpcError):
        fails_.resume()
    assert last.resume() is not None


def test_who_waits_to_send_to_a_task_that_dies_gets_an_error(carrier: OolServer, memory: LocalMemory) -> None:
    waiting = Sleeper(carrier, A, ool.Send(B, memory.put(A, b"x"), 1))
    carrier.port.alive.discard(B)  # type: ignore[attr-defined]
    carrier.task_died(B)
    with pytest.raises(RpcError) as caught:
        waiting.resume()
    assert caught.value.code == ERR_NOT_FOUND
    call(carrier, A, ool.Recv(memory.reserve(A, 4), 4))
    carrier.task_died(A)
    assert not memory._pieces
    assert not carrier._buffers


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=70_000))
def test_servers_send_payloads_through_the_protocol(payload: bytes) -> None:
    carrier: OolServer = boot(OolServer())
    assert carrier.carry(A, B, payload) == payload
    assert carrier.carry(B, A, payload) == payload
    assert not carrier.memory._pieces  # type: ignore[attr-defined]
    assert not carrier._buffers
    assert not carrier._received


def test_payloads_for_nobody_are_not_carried(carrier: OolServer, memory: LocalMemory) -> None:
    with pytest.raises(RpcError) as caught:
        carrier.carry(A, NOBODY, b"x")
    assert caught.value.code == ERR_NOT_FOUND
    call(carrier, B, ool.Recv(memory.reserve(B, 4), 4))
    with pytest.raises(RpcError) as caught:
        carrier.carry(A, B, b"x")
    assert caught.value.code == ERR_ALREADY_EXISTS
    assert len(memory._pieces) == 1


# all


@pytest.mark.parametrize("make", [VmServer, TaskServer, DiscoveryServer, OolServer, TimeServer, RandomServer])
def test_a_request_of_another_server_is_not_acceptable(make: type[Server]) -> None:
    assert fails(boot(make()), A, fs.Close(1)) == ERR_NOT_ACCEPTABLE
