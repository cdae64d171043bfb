"""The microkernel's own system calls: every number and error, on the fake CPU; a few programs on the real engine."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.arch.x86_64 import PTE_ADDRESS, PTE_PRESENT, PTE_USER, PTE_WRITABLE
from linuxemu.cpu.fake import exception, fault, native_call, syscall
from linuxemu.cpu.memory import HostRam
from linuxemu.errors import RpcError
from linuxemu.idl.codes import (
    ERR_ABORTED,
    ERR_ALREADY_EXISTS,
    ERR_IN_USE,
    ERR_INVALID_ARG,
    ERR_INVALID_TASK,
    ERR_NO_MEMORY,
    ERR_NOT_ACCEPTABLE,
    ERR_NOT_FOUND,
    ERR_NOT_PERMITTED,
    ERR_TOO_LARGE,
    ERR_TOO_SMALL,
    ERR_UNAVAILABLE,
    ERR_WOULD_BLOCK,
)
from linuxemu.kernel import Kernel, Server, park, rpc
from linuxemu.kernel.ipc import MAX_TASKS
from linuxemu.kernel.task import TASK_ABI_EMU, TASK_ALL_CAPS, TASK_HV, TASK_SCHED, Task
from linuxemu.messages import (
    AbiHook,
    AbiHookReply,
    Exception_,
    Invalid,
    Notifications,
    PageFault,
    PageFaultReply,
    clock,
    discovery,
    fs,
    unpack,
)
from tests.unit import asm
from tests.unit.kernel_rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator

NOP, KDEBUG, IPC, NOTIFY, TIMER, WRITE, READ, CREATE = range(1, 9)
DESTROY, EXIT, SELF, SCHEDULE, MAP, UNMAP, ACQUIRE, RELEASE = range(9, 17)
SEND, RECV, NOBLOCK, KERNEL = 1, 2, 4, 8
CALL = SEND | RECV
DATA = 0x10_0000
KERNEL_HALF = 0xFFFF_8000_0000_0000
RW = PTE_PRESENT | PTE_USER | PTE_WRITABLE
GRACE_EXIT, BAD_REPLY, BAD_MEMORY, BAD_OP = 0, 1, 2, 3
END = 99
"""A fault that the pager does not answer: the script is over."""


class Memory(Server):
    """Maps a fresh page at every fault in the user's first gigabyte; notes exceptions."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[tuple[int, int, int]] = []
        self.exceptions: list[tuple[int, int]] = []
        self.answer: Any = PageFaultReply()

    @rpc(PageFault)
    async def fault(self, src: int, m: PageFault) -> Any:
        if m.fault == END:
            return None
        self.faults.append((m.vaddr, m.ip, m.fault))
        if m.vaddr >> 30:
            raise RpcError(ERR_NO_MEMORY)
        if self.answer == PageFaultReply():
            task = self.port._kernel.tasks[m.task]
            assert task.space is not None
            task.space.map(m.vaddr & -4096, self.port.frames.alloc_zeroed(), RW)
        return self.answer

    @rpc(Exception_)
    async def exception(self, src: int, m: Exception_) -> None:
        self.exceptions.append((m.task, m.exception))

    @rpc(AbiHook)
    async def hook(self, src: int, m: AbiHook) -> Any:
        return AbiHookReply(m.frame) if m.type != 2 else None


class Program:
    """A native task that plays a script; the results of its calls are in `results`."""

    def __init__(self, rig: Rig, pager: Memory, *steps: Any, flags: int = TASK_ALL_CAPS) -> None:
        self.rig = rig
        self.results: list[int] = []
        self.task = rig.guest(pager, flags=flags)
        self.tid = self.task.tid
        self.play(*steps)

    def play(self, *steps: Any) -> None:
        """What it does from now on; at the end it waits for ever."""
        played: list[Any] = []
        for step in (*steps, None):
            played.append(self._note(step, bool(played)))
        self.rig.cpu.play(self.task.state, played)

    def _note(self, step: Any, noting: bool) -> Any:
        def run(cpu: Any, state: Any) -> Any:
            if noting:
                result = state.regs.frame.rax
                self.results.append(result - (1 << 64) if result >> 63 else result)
            if step is None:
                return fault(0, END)
            return step(cpu, state) if callable(step) else step

        return run

    def poke(self, address: int, data: bytes) -> None:
        """Write into its memory."""
        space, frames = self.task.space, self.rig.kernel.frames
        assert space is not None
        for i, byte in enumerate(data):
            at = address + i
            if not space.entry(at):
                space.map(at & -4096, frames.alloc_zeroed(), RW)
            frames.ram.data[(space.entry(at) & PTE_ADDRESS) + at % 4096] = byte

    def peek(self, address: int, length: int) -> bytes:
        """What is in its memory."""
        space, data = self.task.space, self.rig.ram.data
        assert space is not None
        return bytes(data[(space.entry(a) & PTE_ADDRESS) + a % 4096] for a in range(address, address + length))


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


@pytest.fixture
def pager(rig: Rig) -> Any:
    return rig.add(Memory())


def run(rig: Rig, pager: Memory, *steps: Any, flags: int = TASK_ALL_CAPS) -> list[int]:
    """Results of a program's calls."""
    program = Program(rig, pager, *steps, flags=flags)
    rig.settle()
    return program.results


# -- the simple ones ----------------------------------------------------------------------------------


def test_unknown_numbers(rig: Rig, pager: Memory) -> None:
    assert run(rig, pager, *map(native_call, (0, 17, 1000, (1 << 64) - 1))) == [ERR_INVALID_ARG] * 4


def test_nop_and_self(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager, native_call(NOP), native_call(SELF), flags=0)
    rig.settle()
    assert program.results == [0, program.tid]


@pytest.mark.parametrize(
    "call",
    [(KDEBUG, 0, 0, 0, 0), (CREATE, 0, 0, 0, 0, 99), (DESTROY, 0), (SCHEDULE, 0, 99), (MAP, 0, 1, 1, 1, 0),
     (UNMAP, 0, 1), (ACQUIRE, 999), (RELEASE, 999)],
)  # fmt: skip
def test_calls_that_need_capabilities(rig: Rig, pager: Memory, call: tuple[int, ...]) -> None:
    assert run(rig, pager, native_call(*call), flags=0) == [ERR_NOT_PERMITTED]


def test_exit_tells_the_pager_and_never_returns(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager, native_call(EXIT))
    rig.settle()
    assert pager.exceptions == [(program.tid, GRACE_EXIT)]
    assert program.results == []
    pager.port.task_destroy(program.tid)


def test_cpu_exception(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager, exception(6))
    rig.settle()
    assert pager.exceptions == [(program.tid, BAD_OP)]
    assert program.results == []


def test_page_fault_and_its_refusal(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager, fault(DATA, 6), native_call(NOP), fault(1 << 31, 4))
    rig.settle()
    assert pager.faults == [(DATA, 0x1000, 6), (1 << 31, 0x1002, 4)]
    assert program.task.space is not None
    assert program.task.space.entry(DATA)
    assert pager.exceptions == [(program.tid, BAD_REPLY)]


def test_time_slices_between_native_tasks(rig: Rig, pager: Memory) -> None:
    order: list[int] = []

    def turn(number: int) -> Any:
        def step(cpu: Any, state: Any) -> Any:
            order.append(number)
            rig.kernel.on_tick()
            return native_call(NOP)

        return step

    for number in (1, 2):
        Program(rig, pager, *[turn(number)] * 3)
    rig.settle()
    assert order == [1, 2, 1, 2, 1, 2]


def test_timer(rig: Rig, pager: Memory) -> None:
    program = Program(
        rig, pager, native_call(TIMER, 50), native_call(TIMER, 20), native_call(IPC, 0, 0, DATA, RECV),
        native_call(TIMER, 50), native_call(TIMER, 0), native_call(TIMER, -5),
    )  # fmt: skip
    start = rig.host.now
    rig.settle()
    assert program.results == [0] * 6
    assert rig.host.now == start + 20_000_000
    assert unpack(program.peek(DATA, 256)) == Notifications(1)


def test_notify(rig: Rig, pager: Memory) -> None:
    other = rig.port()
    results = run(
        rig, pager, native_call(NOTIFY, other.task, 0x1FF & ~2), native_call(NOTIFY, 999, 1), native_call(NOTIFY, 0, 1),
        flags=0,
    )  # fmt: skip
    assert results == [0, ERR_INVALID_TASK, ERR_INVALID_TASK]
    assert rig.run(other.receive()) == (0, Notifications(0xFD))


# -- console and debug commands -----------------------------------------------------------------------


def test_console_write(rig: Rig, pager: Memory) -> None:
    shown: list[bytes] = []
    rig.kernel.native.write_console = shown.append
    program = Program(rig, pager)
    program.poke(DATA + 4000, bytes(range(256)) * 4)
    program.play(
        native_call(WRITE, DATA + 4000, 1024), native_call(WRITE, DATA + 4000, 1025), native_call(WRITE, DATA + 4000, 0)
    )
    rig.settle()
    assert program.results == [0, ERR_TOO_LARGE, 0]
    assert shown == [bytes(range(256)) * 4, b""]


def test_console_read(rig: Rig, pager: Memory) -> None:
    rig.kernel.native.console_input += b"one\rtwo"
    program = Program(
        rig, pager, native_call(READ, DATA, 5), native_call(READ, DATA + 8, 100), native_call(READ, DATA + 16, 100),
        native_call(READ, 0, 0),
    )  # fmt: skip
    rig.settle()
    assert program.results == [4, 3, 0, 0]
    assert program.peek(DATA, 17) == b"one\n\0\0\0\0two\0\0\0\0\0\0"


def test_kernel_debug_commands(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager)
    program.poke(DATA, b"help\0ps\0_log\0nonsense\0q\0")
    out = DATA + 0x1000
    program.poke(out, b"?" * 1024)
    program.poke(DATA + 0x3000, b"hello, log")
    program.play(
        native_call(KDEBUG, DATA, 127, out, 100), native_call(KDEBUG, DATA, 5, out, 511),
        native_call(KDEBUG, DATA + 13, 9, out, 100), native_call(KDEBUG, DATA + 8, 5, out, 0),
        native_call(KDEBUG, DATA, 0, out, 10), native_call(KDEBUG, DATA, 5, out + 32, 32),
        native_call(KDEBUG, DATA + 5, 3, out + 64, 400), native_call(WRITE, DATA + 0x3000, 10),
        native_call(KDEBUG, DATA + 8, 5, out + 16, 6), native_call(KDEBUG, DATA + 8, 5, out + 24, 99),
    )  # fmt: skip
    rig.settle()
    assert program.results == [ERR_TOO_LARGE, ERR_TOO_LARGE, ERR_NOT_FOUND, ERR_TOO_SMALL, 0, 0, 0, 0, 0, 0]
    assert program.peek(out, 2) == b"\0?"
    assert program.peek(out + 32, 16).startswith(b"help ps q")
    assert f"#{program.tid} guest{program.tid}: ".encode() in program.peek(out + 64, 400)
    assert program.peek(out + 16, 6) == b"hello\0"
    assert program.peek(out + 24, 7) == b", log\0?"


def test_log_keeps_the_end(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager)
    program.poke(DATA, b"a" * 1000 + b"b" * 1000)
    program.play(native_call(WRITE, DATA, 1000), native_call(WRITE, DATA + 1000, 1000))
    rig.settle()
    assert rig.kernel.native.log == b"a" * 24 + b"b" * 1000


def test_quit_stops_the_machine(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager)
    program.poke(DATA, b"q")
    program.play(native_call(KDEBUG, DATA, 1, 0, 0), native_call(NOP))
    rig.kernel.run()
    assert rig.kernel.stopped


# -- pointers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [KERNEL_HALF - 1, KERNEL_HALF, (1 << 64) - 1])
def test_pointers_into_the_kernel_end_the_caller(rig: Rig, pager: Memory, address: int) -> None:
    program = Program(rig, pager, native_call(WRITE, address, 2))
    rig.settle()
    assert pager.exceptions == [(program.tid, BAD_MEMORY)]
    assert pager.faults == []


def test_pointers_go_the_way_of_page_faults(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager, native_call(WRITE, DATA + 4095, 2), native_call(READ, DATA + 0x2000, 2))
    rig.settle()
    assert program.results == [0, 0]
    assert pager.faults == [(DATA + 4095, 0x1002, 4), (DATA + 4096, 0x1002, 4), (DATA + 0x2000, 0x1004, 6)]


def test_read_only_page_is_a_protection_fault(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager)
    assert program.task.space is not None
    program.task.space.map(DATA, rig.kernel.frames.alloc_zeroed(), RW & ~PTE_WRITABLE)
    program.play(native_call(READ, DATA, 2))
    rig.settle()
    assert pager.faults == [(DATA, 0x1002, 7)]
    assert program.results == [0]


@pytest.mark.parametrize("address", [1 << 31, 1 << 47, KERNEL_HALF - 4096])
def test_pointer_that_the_pager_refuses(rig: Rig, pager: Memory, address: int) -> None:
    program = Program(rig, pager, native_call(WRITE, address, 2))
    rig.settle()
    assert pager.exceptions == [(program.tid, BAD_REPLY)]


def test_pointer_that_the_pager_answers_wrongly(rig: Rig, pager: Memory) -> None:
    pager.answer = Invalid()
    program = Program(rig, pager, native_call(WRITE, DATA, 2))
    rig.settle()
    assert pager.exceptions == [(program.tid, BAD_REPLY)]


# -- ipc ----------------------------------------------------------------------------------------------


def test_ipc_argument_checks_in_order(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager)
    me, other = program.tid, rig.port().task
    bad = 1 << 31
    program.play(
        native_call(IPC, me, bad, 0, KERNEL | CALL), native_call(IPC, 999, MAX_TASKS + 1, 0, 0),
        native_call(IPC, 999, -1, 0, SEND), native_call(IPC, 999, 0, 0, SEND), native_call(IPC, 0, 0, 0, SEND),
        native_call(IPC, me, 0, 0, SEND), native_call(IPC, 999, 0, 0, 0), native_call(IPC, 0, 0, 0, NOBLOCK),
        native_call(IPC, other, 0, DATA, SEND | NOBLOCK), native_call(IPC, 0, 0, DATA, RECV | NOBLOCK),
        native_call(IPC, 0, other, DATA, RECV | NOBLOCK),
    )  # fmt: skip
    rig.settle()
    assert program.results == [
        ERR_INVALID_ARG, ERR_INVALID_ARG, ERR_INVALID_ARG, ERR_INVALID_TASK, ERR_INVALID_TASK, ERR_INVALID_ARG, 0, 0,
        ERR_WOULD_BLOCK, ERR_WOULD_BLOCK, ERR_WOULD_BLOCK,
    ]  # fmt: skip


def test_bytes_travel_unchanged_between_native_tasks(rig: Rig, pager: Memory) -> None:
    raw = struct.pack("<ii", 0x7777, 12345) + bytes(range(248))
    sender, receiver = Program(rig, pager), Program(rig, pager)
    sender.poke(DATA, raw)
    sender.play(native_call(IPC, receiver.tid, 0, DATA, SEND))
    receiver.play(native_call(IPC, 0, 0, DATA + 4000, RECV))
    rig.settle()
    assert (sender.results, receiver.results) == ([0], [0])
    assert receiver.peek(DATA + 4000, 256) == struct.pack("<ii", 0x7777, sender.tid) + bytes(range(248))


@pytest.mark.parametrize("server_first", [False, True])
def test_call_between_native_tasks(rig: Rig, pager: Memory, server_first: bool) -> None:
    client, server = Program(rig, pager), Program(rig, pager)
    if server_first:
        rig.kernel.runnable.rotate(1)
    client.poke(DATA, clock.Gettime(5).pack())
    client.play(native_call(IPC, server.tid, server.tid, DATA, CALL))
    answer = clock.GettimeReply(55).pack()

    def serve(cpu: Any, state: Any) -> Any:
        assert unpack(server.peek(DATA, 256)) == clock.Gettime(5)
        server.poke(DATA, answer)
        return native_call(IPC, client.tid, 0, DATA, CALL | NOBLOCK)  # reply and receive the next

    server.play(native_call(IPC, 0, 0, DATA, RECV), serve)
    rig.settle()
    assert client.results == [0]
    assert server.results == [0]
    assert client.peek(DATA, 256) == struct.pack("<ii", clock.GettimeReply.TYPE_WORD, server.tid) + answer[8:]


class Clock(Server):
    """A server of objects."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[Any] = []

    @rpc(clock.Gettime)
    async def gettime(self, src: int, m: clock.Gettime) -> clock.GettimeReply:
        if m.clock < 0:
            raise RpcError(ERR_NOT_FOUND)
        if m.clock > 100:
            await park(self.port.waiter())
        return clock.GettimeReply(m.clock * 10)

    @rpc(discovery.Serve)
    async def serve(self, src: int, m: discovery.Serve) -> discovery.ServeReply:
        self.names.append(m.name)
        return discovery.ServeReply()

    @rpc(fs.Read)
    async def read(self, src: int, m: fs.Read) -> fs.ReadReply:
        return fs.ReadReply(b"out of line")


def call_server(rig: Rig, pager: Memory, server: Clock, data: bytes) -> tuple[list[int], bytes]:
    program = Program(rig, pager)
    program.poke(DATA, data)
    program.play(native_call(IPC, server.port.task, server.port.task, DATA, CALL))
    rig.settle()
    return program.results, program.peek(DATA, 256)


def test_call_of_a_server(rig: Rig, pager: Memory) -> None:
    server = rig.add(Clock())
    results, data = call_server(rig, pager, server, clock.Gettime(4).pack())
    assert results == [0]
    assert data == clock.GettimeReply(40).pack(server.port.task)


def test_error_word_of_a_server_is_a_message(rig: Rig, pager: Memory) -> None:
    server = rig.add(Clock())
    results, data = call_server(rig, pager, server, clock.Gettime(-1).pack())
    assert results == [0]
    assert struct.unpack_from("<ii", data) == (ERR_NOT_FOUND, server.port.task)


def test_unknown_message_to_a_server(rig: Rig, pager: Memory) -> None:
    server = rig.add(Clock())
    assert call_server(rig, pager, server, struct.pack("<i", 0x7777).ljust(256, b"\0"))[0] == [ERR_NOT_ACCEPTABLE]
    results, data = call_server(rig, pager, server, fs.Close(1).pack())
    assert results == [0]
    assert struct.unpack_from("<i", data) == (ERR_NOT_ACCEPTABLE,)


def test_a_message_without_a_reply_leaves_the_caller_waiting(rig: Rig, pager: Memory) -> None:
    """As in the seed: who asks for an answer that never comes waits for whatever the server sends."""
    program = Program(rig, pager)
    told = Exception_(1, 0).pack()
    program.poke(DATA, told)
    server = pager.port.task
    program.play(
        native_call(IPC, server, server, DATA, CALL | NOBLOCK),
        native_call(IPC, server, server, DATA, CALL),
        native_call(SELF),
    )
    rig.settle()
    assert program.results == [ERR_WOULD_BLOCK]
    assert pager.exceptions == [(1, 0), (1, 0)]
    rig.kernel.notify(program.tid, 1)
    rig.settle()
    assert program.results == [ERR_WOULD_BLOCK]


def test_payload_is_read_from_the_sender(rig: Rig, pager: Memory) -> None:
    server = rig.add(Clock())
    program = Program(rig, pager)
    message = discovery.Serve("a native service")
    program.poke(DATA + 0xFF8, b"a native service\0")
    program.poke(DATA, message.pack(0, DATA + 0xFF8))
    too_long = bytearray(message.pack(0, DATA))
    too_long[16:24] = (1 << 21).to_bytes(8, "little")
    program.poke(DATA + 0x2000, bytes(too_long))
    dst = server.port.task
    program.play(native_call(IPC, dst, dst, DATA, CALL), native_call(IPC, dst, dst, DATA + 0x2000, CALL))
    rig.settle()
    assert program.results == [0, ERR_TOO_LARGE]
    assert server.names == ["a native service"]


def test_payload_for_a_native_task_cannot_be_verified(rig: Rig, pager: Memory) -> None:
    server = rig.add(Clock())
    results, data = call_server(rig, pager, server, fs.Read(1, 0, 10).pack())
    assert results == [0]
    assert data == Invalid().pack(server.port.task)


def test_one_way_message_to_a_server_and_its_answer_later(rig: Rig, pager: Memory) -> None:
    server = rig.add(Clock())
    program = Program(rig, pager)
    program.poke(DATA, clock.Gettime(4).pack())
    dst = server.port.task
    program.play(
        native_call(IPC, dst, 0, DATA, SEND), native_call(IPC, 0, dst, DATA, RECV | NOBLOCK),
        native_call(IPC, dst, 0, DATA, CALL),
    )  # fmt: skip
    rig.settle()
    assert program.results == [0, ERR_WOULD_BLOCK]


def test_server_dies_during_a_call(rig: Rig, pager: Memory) -> None:
    server = rig.add(Clock())
    program = Program(rig, pager)
    program.poke(DATA, clock.Gettime(101).pack())
    program.play(native_call(IPC, server.port.task, server.port.task, DATA, CALL))
    rig.settle()
    pager.port.task_destroy(server.port.task)
    rig.settle()
    assert program.results == [ERR_ABORTED]


def test_server_calls_a_native_task(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager)
    refusal, nonsense = struct.pack("<i", ERR_NOT_FOUND).ljust(256, b"\0"), b"\x77\x77" + bytes(254)
    answers = [clock.GettimeReply(7).pack(), refusal, nonsense]
    port = rig.port()

    def reply(data: bytes) -> Any:
        def step(cpu: Any, state: Any) -> Any:
            program.poke(DATA, data)
            return native_call(IPC, port.task, 0, DATA, CALL | NOBLOCK)

        return step

    program.play(native_call(IPC, 0, 0, DATA, RECV), *map(reply, answers))
    assert rig.run(port.call(program.tid, clock.Gettime(1))) == clock.GettimeReply(7)
    assert rig.code(port.call(program.tid, clock.Gettime(1))) == ERR_NOT_FOUND
    assert rig.code(port.call(program.tid, clock.Gettime(1))) == ERR_NOT_ACCEPTABLE


def test_python_task_receives_from_a_native_one(rig: Rig, pager: Memory) -> None:
    port = rig.port()
    program = Program(rig, pager)
    program.poke(DATA, clock.Gettime(6).pack())
    program.play(native_call(IPC, port.task, 0, DATA, SEND))
    assert rig.run(port.receive()) == (program.tid, clock.Gettime(6))


def test_task_that_dies_in_a_call(rig: Rig, pager: Memory) -> None:
    port = rig.port()
    program = Program(rig, pager, native_call(IPC, port.task, port.task, DATA, CALL))
    rig.settle()
    pager.port.task_destroy(program.tid)
    rig.settle()
    assert program.results == []
    assert rig.code(port.receive(block=False)) == ERR_WOULD_BLOCK


# -- tasks --------------------------------------------------------------------------------------------


def test_task_create_and_destroy(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager)
    me = program.tid
    program.poke(DATA, b"a native name\0")
    program.play(
        native_call(CREATE, 0, DATA, 0x1000, me, 0), native_call(CREATE, me, DATA, 0x1000, me, 0),
        native_call(CREATE, 500, DATA, 0x1000, 999, 0), native_call(CREATE, pager.port.task, DATA, 0x1000, me, 0),
        native_call(CREATE, 500, DATA, 0x1000, me, TASK_SCHED),
        native_call(CREATE, 500, DATA, 0x1000, me, TASK_HV | TASK_ABI_EMU),
        native_call(CREATE, 500, DATA, 0x1000, me, TASK_HV), native_call(CREATE, 500, DATA, 1 << 62, me, 0),
        native_call(CREATE, 500, DATA, 0x1000, pager.port.task, 0),
        native_call(DESTROY, 0), native_call(DESTROY, me), native_call(DESTROY, 999),
        native_call(DESTROY, pager.port.task), native_call(DESTROY, 500), native_call(DESTROY, 500),
    )  # fmt: skip
    names: list[str] = []
    rig.kernel._death_watch.append(lambda tid: names.append(str(tid)))
    rig.settle()
    assert program.results == [
        ERR_INVALID_TASK, ERR_INVALID_TASK, ERR_INVALID_ARG, ERR_ALREADY_EXISTS, ERR_INVALID_ARG, ERR_INVALID_ARG,
        ERR_UNAVAILABLE, ERR_INVALID_ARG, 0, ERR_INVALID_TASK, ERR_INVALID_TASK, ERR_INVALID_ARG, ERR_IN_USE, 0,
        ERR_INVALID_ARG,
    ]  # fmt: skip
    assert names == ["500"]


def test_created_task_runs_at_once(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager)
    program.poke(DATA, b"child of a task with a long name")
    program.play(native_call(CREATE, 500, DATA, 0x5000, pager.port.task, 0))
    rig.cpu.script.append(lambda cpu, state: fault(state.regs.frame.rip, END))
    rig.settle()
    child = rig.kernel.tasks[500]
    assert child.name == "child of a task"
    assert rig.cpu.fault_ip == 0x5000
    assert not rig.cpu.script


def test_task_schedule(rig: Rig, pager: Memory) -> None:
    other = rig.task()
    program = Program(rig, pager)
    program.play(
        native_call(SCHEDULE, 999, 0), native_call(SCHEDULE, program.tid, 0), native_call(SCHEDULE, other.tid, 8),
        native_call(SCHEDULE, other.tid, -1), native_call(SCHEDULE, other.tid, 7),
    )  # fmt: skip
    rig.settle()
    assert program.results == [ERR_INVALID_TASK, ERR_INVALID_TASK, ERR_INVALID_ARG, ERR_INVALID_ARG, 0]
    assert not rig.kernel.prioritised
    program.play(native_call(SCHEDULE, other.tid, 0))
    rig.kernel.runnable.append(program.task)
    program.task.status = "runnable"
    rig.settle()
    assert other.priority == 0
    assert rig.kernel.prioritised


# -- a native task as a pager -------------------------------------------------------------------------


def test_native_pager_serves_faults_and_hears_of_the_end(rig: Rig, pager: Memory) -> None:
    boss = Program(rig, pager)
    boss.poke(DATA, b"child\0")
    boss.poke(DATA + 0x2000, b"given page")
    boss.poke(DATA + 0x3000, b"kpage")
    messages: list[Any] = []

    def map_page(cpu: Any, state: Any) -> Any:
        messages.append(unpack(boss.peek(DATA, 256)))
        return native_call(MAP, 500, 0x9000, DATA + 0x2000, DATA + 0x3000, 2)

    def answer(cpu: Any, state: Any) -> Any:
        boss.poke(DATA, PageFaultReply().pack())
        return native_call(IPC, 500, 0, DATA, CALL | NOBLOCK)

    def look(cpu: Any, state: Any) -> Any:
        messages.append(unpack(boss.peek(DATA, 256)))
        return native_call(DESTROY, 500)

    create, receive = native_call(CREATE, 500, DATA, 0x5000, boss.tid, 0), native_call(IPC, 0, 0, DATA, RECV)
    boss.play(create, receive, map_page, answer, look)
    rig.cpu.script.extend([fault(0x9123, 6), native_call(EXIT)])
    rig.settle()
    assert boss.results == [0, 0, 0, 0, 0]
    assert messages == [PageFault(500, 0x9123, 0x5000, 6), Exception_(500, GRACE_EXIT)]
    assert struct.unpack_from("<i", boss.peek(DATA + 4, 4)) == (0,)  # from the kernel
    assert 500 not in rig.kernel.tasks


def test_native_pager_that_answers_wrongly(rig: Rig, pager: Memory) -> None:
    boss = Program(rig, pager)
    seen: list[Any] = []

    def wrong(cpu: Any, state: Any) -> Any:
        boss.poke(DATA, Invalid().pack())
        return native_call(IPC, 500, 0, DATA, CALL | NOBLOCK)

    def look(cpu: Any, state: Any) -> Any:
        seen.append(unpack(boss.peek(DATA, 256)))
        return native_call(DESTROY, 500)

    boss.play(native_call(CREATE, 500, DATA, 0x5000, boss.tid, 0), native_call(IPC, 0, 0, DATA, RECV), wrong, look)
    rig.cpu.script.append(fault(0x9123, 6))
    rig.settle()
    assert seen == [Exception_(500, BAD_REPLY)]


def test_native_pager_takes_hooks(rig: Rig, pager: Memory) -> None:
    boss = Program(rig, pager)
    seen: list[Any] = []

    def answer(cpu: Any, state: Any) -> Any:
        hook = unpack(boss.peek(DATA, 256))
        assert isinstance(hook, AbiHook)
        seen.append((hook.type, hook.frame.rax))
        boss.poke(DATA, AbiHookReply(hook.frame._replace(rip=0x7000, rax=42)).pack())
        return native_call(IPC, 500, 0, DATA, CALL | NOBLOCK)

    boss.play(
        native_call(CREATE, 500, DATA, 0, boss.tid, TASK_ABI_EMU), native_call(IPC, 0, 0, DATA, RECV), *[answer] * 3
    )
    rig.cpu.script.extend([syscall(39), lambda cpu, state: syscall(state.regs.frame.rax + 1)])
    rig.cpu.script.append(lambda cpu, state: fault(0, 4))
    rig.settle()
    assert seen == [(1, 0), (2, 39), (2, 43)]


# -- memory -------------------------------------------------------------------------------------------


def test_vm_map(rig: Rig, pager: Memory) -> None:
    target = rig.guest(pager, fault(0, END), flags=0)
    program = Program(rig, pager)
    program.poke(DATA, b"shared")
    program.poke(DATA + 0x1000, b"kpage")
    page, kpage, tid = DATA, DATA + 0x1000, target.tid
    program.play(
        native_call(MAP, tid, 1, page, kpage, 2), native_call(MAP, tid, 0x5000, page + 8, kpage, 2),
        native_call(MAP, tid, 0x5000, page, kpage + 8, 2), native_call(MAP, tid, 0x5000, 1 << 20 << 12, kpage, 2),
        native_call(MAP, tid, 0x5000, KERNEL_HALF, kpage, 2), native_call(MAP, tid, 0x5000, page, 1 << 29, 2),
        native_call(MAP, 999, KERNEL_HALF, page, kpage, 2), native_call(MAP, tid, KERNEL_HALF, page, kpage, 2),
        native_call(MAP, tid, 1 << 47, page, kpage, 2), native_call(MAP, pager.port.task, 0x5000, page, kpage, 2),
        native_call(MAP, tid, 0x5000, page, kpage, 2), native_call(MAP, tid, 0x6000, page, kpage, 1),
        native_call(MAP, tid, 0x6000, page, kpage, 3),
    )  # fmt: skip
    rig.settle()
    invalid, missing, refused = ERR_INVALID_ARG, ERR_NOT_FOUND, ERR_NOT_ACCEPTABLE
    assert program.results == [
        invalid, invalid, invalid, missing, missing, missing, ERR_INVALID_TASK, refused, refused, refused, 0, 0, 0,
    ]  # fmt: skip
    assert target.space is not None
    assert program.task.space is not None
    frame = program.task.space.entry(DATA) & PTE_ADDRESS
    found = [target.space.entry(v) & (PTE_ADDRESS | RW) for v in (0x5000, 0x6000)]
    assert found == [frame | RW, frame | RW & ~PTE_WRITABLE]
    assert rig.kernel.frames.refs[frame >> 12] == 4  # one is the test's own


def test_vm_map_into_a_task_that_was_not_started(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager)
    pager.port.task_create(500, "later", 0, pager.port.task, TASK_ABI_EMU)
    program.poke(DATA, b"shared")
    program.play(native_call(MAP, 500, 0x5000, DATA, DATA, 2), native_call(UNMAP, 501, 0x5000))
    rig.settle()
    assert program.results == [0, ERR_INVALID_TASK]
    space = rig.kernel.tasks[500].space
    assert space is not None
    assert space.entry(0x5000)


def test_vm_unmap(rig: Rig, pager: Memory) -> None:
    program = Program(rig, pager)
    program.poke(DATA, b"mine")
    tid = program.tid
    program.play(
        native_call(UNMAP, tid, DATA + 1), native_call(UNMAP, 999, DATA), native_call(UNMAP, tid, DATA + 0x1000),
        native_call(UNMAP, tid, KERNEL_HALF), native_call(UNMAP, tid, DATA), native_call(UNMAP, tid, DATA),
        native_call(UNMAP, pager.port.task, DATA),
    )  # fmt: skip
    rig.settle()
    assert program.results == [ERR_INVALID_ARG, ERR_INVALID_TASK, *[ERR_NOT_FOUND] * 2, 0, *[ERR_NOT_FOUND] * 2]


# -- interrupt lines ----------------------------------------------------------------------------------


def test_interrupt_lines(rig: Rig, pager: Memory) -> None:
    owner = Program(
        rig, pager, native_call(ACQUIRE, 256), native_call(ACQUIRE, 255), native_call(ACQUIRE, 255),
        native_call(RELEASE, 256), native_call(RELEASE, 254), native_call(IPC, 0, 0, DATA, RECV),
    )  # fmt: skip
    rig.settle()
    thief = Program(rig, pager, native_call(ACQUIRE, 255), native_call(RELEASE, 255))
    rig.settle()
    assert owner.results == [ERR_INVALID_ARG, 0, ERR_ALREADY_EXISTS, ERR_INVALID_ARG, 0]
    assert thief.results == [ERR_ALREADY_EXISTS, ERR_NOT_PERMITTED]
    rig.kernel.native.raise_irq(254)
    rig.kernel.native.raise_irq(255)
    rig.settle()
    assert unpack(owner.peek(DATA, 256)) == Notifications(2)
    pager.port.task_destroy(owner.tid)
    assert run(rig, pager, native_call(ACQUIRE, 255), native_call(RELEASE, 255), native_call(ACQUIRE, 255)) == [0, 0, 0]


# -- on the real engine -------------------------------------------------------------------------------


class RealPager(Memory):
    """Maps code at 0x1000 and zeros everywhere else; ends the machine when the task exits."""

    def __init__(self, code: bytes) -> None:
        super().__init__()
        self.code = code

    @rpc(PageFault)
    async def fault(self, src: int, m: PageFault) -> Any:
        reply = await super().fault(src, m)
        if m.vaddr >> 12 == 1:
            task = self.port._kernel.tasks[m.task]
            assert task.space is not None
            at = task.space.entry(0x1000) & PTE_ADDRESS
            self.port.frames.ram.data[at : at + len(self.code)] = self.code
        return reply

    @rpc(Exception_)
    async def exception(self, src: int, m: Exception_) -> None:
        await super().exception(src, m)
        self.port._kernel.stop()


class Machine:
    """A kernel on Unicorn and one native program."""

    def __init__(self, code: bytes) -> None:
        from linuxemu.cpu.fake import VirtualHost
        from linuxemu.cpu.unicorn import UnicornCpu

        self.ram = HostRam(16 << 20)
        self.cpu = UnicornCpu(self.ram)
        self.kernel = Kernel(self.cpu, self.ram, self.cpu.reserved_frames, VirtualHost())
        self.server = Clock()
        self.kernel.add_server(self.server)
        self.pager = RealPager(code)
        self.kernel.add_server(self.pager)
        self.pager.port.task_create(50, "native", 0x1000, self.pager.port.task, TASK_ALL_CAPS)
        self.pager.port.task_start(50)

    @property
    def task(self) -> Task:
        return self.kernel.tasks[50]

    def run(self) -> list[tuple[int, int]]:
        """Run to the end; returns the exceptions that the pager heard of."""
        self.kernel.run()
        assert self.kernel.errors == []
        return self.pager.exceptions

    def words(self, address: int, count: int) -> tuple[int, ...]:
        """What the program left behind."""
        assert self.task.space is not None
        at = self.task.space.entry(address) & PTE_ADDRESS
        return struct.unpack_from(f"<{count}q", self.ram.data, at + address % 4096)

    def close(self) -> None:
        self.kernel.close()
        self.cpu.close()


def machine_run(code: bytes) -> Any:
    machine = Machine(code)
    try:
        exceptions = machine.run()
        return exceptions, machine.words(DATA, 8), machine
    finally:
        machine.close()


def test_real_program_calls_the_kernel_and_a_server() -> None:
    message = DATA + 0x1000
    request = int.from_bytes(clock.Gettime(4).pack()[:8], "little")
    code = (
        asm.native(SELF) + asm.save_rax(DATA)
        + asm.native(0x1234) + asm.save_rax(DATA + 8)
        + asm.mov("rax", request) + asm.save_rax(message) + asm.mov("rax", 4) + asm.save_rax(message + 8)
        + asm.native(IPC, 1, 1, message, CALL) + asm.save_rax(DATA + 16)
        + asm.mov("rsi", message + 8) + asm.LOAD_RAX_AT_RSI + asm.save_rax(DATA + 24)
        + asm.native(EXIT)
    )  # fmt: skip
    exceptions, words, machine = machine_run(code)
    assert exceptions == [(50, GRACE_EXIT)]
    assert words[:4] == (50, ERR_INVALID_ARG, 0, 40)
    assert machine.server.port.task == 1


def test_real_program_writes_to_the_console() -> None:
    text = int.from_bytes(b"native!\n", "little")
    machine = Machine(
        asm.mov("rax", text) + asm.save_rax(DATA) + asm.native(WRITE, DATA, 8) + asm.native(EXIT)
    )
    machine.run()
    assert machine.kernel.native.log == b"native!\n"
    machine.close()


@pytest.mark.parametrize("code", [asm.UD2, asm.HLT, asm.mov("rsi", 1 << 40) + asm.LOAD_RAX_AT_RSI])
def test_real_program_misbehaves(code: bytes) -> None:
    exceptions, _, _ = machine_run(asm.mov("rax", 1) + asm.save_rax(DATA) + code)
    assert exceptions in ([(50, BAD_OP)], [(50, BAD_REPLY)])
    assert exceptions[0][1] == (BAD_OP if len(code) < 3 else BAD_REPLY)
