"""The Linux server itself: dispatch, what it does not know, its own defects, and traps that are no system calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.arch.x86_64 import (
    VECTOR_ALIGNMENT,
    VECTOR_BREAKPOINT,
    VECTOR_DEBUG,
    VECTOR_DIVIDE,
    VECTOR_GENERAL_PROTECTION,
    VECTOR_INVALID_OPCODE,
    VECTOR_OVERFLOW,
    VECTOR_SIMD,
    VECTOR_X87,
    ZERO_FRAME,
)
from linuxemu.cpu.fake import syscall
from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NO_MEMORY, ERR_NOT_FOUND
from linuxemu.messages import AbiHook, Exception_, PageFault, console
from syscalls.abi.errno import EAGAIN, ENOENT, ENOMEM, ENOSYS
from syscalls.abi.flags import SIGFPE, SIGILL, SIGINT, SIGKILL, SIGSEGV, SIGTRAP
from syscalls.abi.numbers import X86_64
from syscalls.errors import OutOfMemory, SysError
from syscalls.objects.siginfo import SigAction, SigInfo
from syscalls.objects.signal import send_signal
from syscalls.server import MOST_KINDS, Unsupported
from tests.helpers import run
from tests.syscalls.machine_rig import SCRATCH, MachineRig

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 4096


@pytest.fixture
def rig() -> Iterator[MachineRig]:
    rig = MachineRig()
    yield rig
    rig.close()


def fork(rig: MachineRig) -> Any:
    child = rig.linux.tasks[rig.call(rig.init, "fork")]
    rig.settle()
    return child


def serve_getppid_with(rig: MachineRig, handler: Any) -> None:
    """Let another handler answer getppid in this server."""

    async def invoke(t: Any, frame: Any) -> Any:
        return await handler(t)

    rig.linux._invoke[X86_64["getppid"]] = invoke


def number(rig: MachineRig, t: Any, nr: int) -> int:
    call = rig.step(t, syscall(nr))
    rig.settle()
    return call.result


# -- results ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nr", [500, 10**6, (1 << 64) - 1, X86_64["init_module"]])
def test_unknown_numbers(rig: MachineRig, nr: int) -> None:
    for _ in range(2):
        assert number(rig, rig.init, nr) == -ENOSYS
    what = "init_module" if nr < 500 else f"syscall_{nr:#x}"
    assert rig.linux.missing() == [Unsupported(what, b"test", 2)]


def test_the_upper_half_of_a_number_does_not_count(rig: MachineRig) -> None:
    assert number(rig, rig.init, 1 << 32 | X86_64["getpid"]) == rig.init.process.pid
    assert number(rig, rig.init, 0xFFFF_FFFF) == -ENOSYS
    assert rig.linux.missing() == [Unsupported("syscall_0xffffffffffffffff", b"test")]


def test_a_program_that_tries_every_number_fills_no_memory(rig: MachineRig) -> None:
    for nr in range(10_000, 10_000 + 2 * MOST_KINDS):
        assert number(rig, rig.init, nr) == -ENOSYS
    assert len(rig.linux.missing()) == MOST_KINDS


@pytest.mark.parametrize(
    ("result", "rax"), [(0, 0), (None, 0), (5, 5), (-1, -1), (1 << 62, 1 << 62), ((1 << 64) - 2, -2)]
)
def test_results(rig: MachineRig, result: Any, rax: int) -> None:
    async def handler(t: Any) -> Any:
        return result

    serve_getppid_with(rig, handler)
    assert rig.call(rig.init, "getppid") == rax


@pytest.mark.parametrize(
    ("error", "errno"),
    [(SysError(EAGAIN), EAGAIN), (RpcError(ERR_NO_MEMORY), ENOMEM), (RpcError(ERR_NOT_FOUND), ENOENT)],
)
def test_errors(rig: MachineRig, error: Exception, errno: int) -> None:
    async def handler(t: Any) -> int:
        raise error

    serve_getppid_with(rig, handler)
    assert rig.call(rig.init, "getppid") == -errno


def test_arguments_arrive_in_linux_order(rig: MachineRig) -> None:
    frames: list[Any] = []

    async def invoke(t: Any, frame: Any) -> int:
        frames.append(frame)
        return 0

    rig.linux._invoke[X86_64["getppid"]] = invoke
    rig.call(rig.init, "getppid", 1, 2, 3, 4, 5, 6)
    frame = frames[0]
    assert (frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9) == (1, 2, 3, 4, 5, 6)


# -- defects ------------------------------------------------------------------------------------------


def test_defect_of_a_handler_ends_the_process_only() -> None:
    rig = MachineRig()

    async def handler(t: Any) -> int:
        raise ZeroDivisionError("a defect")

    serve_getppid_with(rig, handler)
    child = fork(rig)
    call = rig.start(child, "getppid", 0x77)
    assert call.gone
    assert child.process.exit_code == SIGKILL
    (what, error) = rig.linux.oopses[0]
    assert what.startswith(f"{child.process.pid} test: getppid(0x77, ")
    assert isinstance(error, ZeroDivisionError)
    assert rig.call(rig.init, "getpid") == rig.init.tid
    rig.linux.oopses.clear()
    rig.close()


def test_defect_in_a_fault_ends_the_process_only(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = MachineRig()
    child = fork(rig)

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(type(child.mm), "find", broken)
    assert rig.touch(child, 0x1000).gone
    monkeypatch.undo()
    assert [type(error) for _, error in rig.linux.oopses] == [ZeroDivisionError]
    assert child.process.exit_code == SIGKILL
    rig.linux.oopses.clear()
    rig.close()


def test_call_that_runs_out_of_memory_is_the_processes_end(rig: MachineRig) -> None:
    async def handler(t: Any) -> int:
        raise OutOfMemory

    serve_getppid_with(rig, handler)
    child = fork(rig)
    assert rig.start(child, "getppid").gone
    assert child.process.exit_code == SIGKILL


def test_task_that_the_kernel_cannot_run_is_killed(rig: MachineRig) -> None:
    child = fork(rig)
    rig.run(rig.linux.exception(0, Exception_(child.ktask, 1)))
    assert child.ktask == 0
    assert child.process.exit_code == SIGKILL
    rig.run(rig.linux.exception(0, Exception_(999, 3)))


# -- CPU exceptions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vector", "signo"),
    [
        (VECTOR_DIVIDE, SIGFPE), (VECTOR_DEBUG, SIGTRAP), (VECTOR_BREAKPOINT, SIGTRAP), (VECTOR_INVALID_OPCODE, SIGILL),
        (VECTOR_X87, SIGFPE), (VECTOR_SIMD, SIGFPE), (VECTOR_GENERAL_PROTECTION, SIGSEGV), (VECTOR_OVERFLOW, SIGSEGV),
        (VECTOR_ALIGNMENT, SIGSEGV),
    ],
)  # fmt: skip
def test_signals_of_exceptions(rig: MachineRig, vector: int, signo: int) -> None:
    child = fork(rig)
    assert rig.trap(child, vector).gone
    assert child.process.exit_code & 0x7F == signo


def test_handler_of_an_exception_runs(rig: MachineRig) -> None:
    t = rig.init
    t.process.sighand.set(SIGILL, SigAction(0x41_0000, 0x0400_0004, 0x42_0000, 0))
    before = rig.cpu.frame(rig.kernel.tasks[t.ktask].state)
    assert rig.trap(t, VECTOR_INVALID_OPCODE).done
    frame = rig.cpu.frame(rig.kernel.tasks[t.ktask].state)
    assert (frame.rip, frame.rdi) == (0x41_0000, SIGILL)
    info = rig.peek(t, frame.rsi, 24) or b""
    assert int.from_bytes(info[:4], "little") == SIGILL
    assert int.from_bytes(info[16:24], "little") == before.rip
    assert frame.rsp < before.rsp


def test_handler_of_a_bad_access_runs(rig: MachineRig) -> None:
    t = rig.init
    t.process.sighand.set(SIGSEGV, SigAction(0x41_0000, 0x0400_0004, 0x42_0000, 0))
    assert rig.touch(t, 0xDEAD_0000, 6).done
    frame = rig.cpu.frame(rig.kernel.tasks[t.ktask].state)
    assert (frame.rip, frame.rdi) == (0x41_0000, SIGSEGV)
    info = rig.peek(t, frame.rsi, 24) or b""
    assert int.from_bytes(info[16:24], "little") == 0xDEAD_0000
    assert int.from_bytes(info[8:12], "little") == 1  # SEGV_MAPERR


def test_stack_too_bad_for_a_handler_is_the_end(rig: MachineRig) -> None:
    child = fork(rig)
    child.process.sighand.set(SIGSEGV, SigAction(0x41_0000, 0x0400_0000, 0x42_0000, 0))
    task = rig.kernel.tasks[child.ktask]
    rig.cpu.set_frame(task.state, rig.cpu.frame(task.state)._replace(rsp=0x10))
    assert rig.touch(child, 0xDEAD_0000).gone
    assert child.process.exit_code & 0x7F == SIGSEGV


# -- signals at any moment ----------------------------------------------------------------------------


def test_signal_for_a_task_in_user_mode(rig: MachineRig) -> None:
    child = fork(rig)
    assert rig.call(rig.init, "kill", child.tid, SIGINT) == 0
    rig.settle()
    assert child.ktask == 0
    assert child.process.exit_code == SIGINT


def test_signal_for_a_task_before_its_first_instruction(rig: MachineRig) -> None:
    rig.step(rig.init, syscall(X86_64["fork"]))
    seen: list[int] = []

    async def kill_it(t: Any) -> int:
        child = max(rig.linux.tasks.values(), key=lambda t: t.tid)
        seen.append(child.tid)
        send_signal(child.process, SigInfo(SIGKILL))
        return 0

    serve_getppid_with(rig, kill_it)
    state = rig.kernel.tasks[rig.init.ktask].state
    rig.cpu.play(state, [syscall(X86_64["fork"]), syscall(X86_64["getppid"])])
    rig.settle()
    child = rig.linux.processes[seen[0]]
    assert child.exit_code == SIGKILL


# -- console ------------------------------------------------------------------------------------------


def test_console_messages(rig: MachineRig, monkeypatch: pytest.MonkeyPatch) -> None:
    ready: list[tuple[int, int]] = []
    signals: list[int] = []
    monkeypatch.setattr(type(rig.linux.console), "ready", lambda self, stream, events: ready.append((stream, events)))
    monkeypatch.setattr(type(rig.linux.console), "signal", lambda self, signo: signals.append(signo))
    rig.run(rig.linux.handle(rig.linux.peers.console, console.Ready(0, 1)))
    rig.run(rig.linux.handle(rig.linux.peers.console, console.Signal(SIGINT)))
    assert (ready, signals) == ([(0, 1)], [SIGINT])


@pytest.mark.parametrize(
    "message",
    [
        AbiHook(12345, 1, ZERO_FRAME),
        PageFault(12345, 0, 0, 0),
        Exception_(12345, 3),
        console.Ready(99, 1),
        console.Signal(SIGINT),
    ],
)
def test_messages_that_others_have_no_business_to_send(rig: MachineRig, message: Any) -> None:
    stranger = rig.linux.peers.time
    with pytest.raises(RpcError, match="ERR_NOT_PERMITTED"):
        run(rig.linux.handle(stranger, message))


# -- memory and clocks --------------------------------------------------------------------------------


def test_memory_pages(rig: MachineRig) -> None:
    total, free = rig.run(rig.linux.memory_pages())
    frames = rig.kernel.frames
    assert total == frames.total
    assert free == frames.available + len(rig.linux.pool)


def test_kept_inodes_are_few(rig: MachineRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syscalls.server._KEPT_INODES", 3)
    for i in range(5):
        rig.write_file(b"/f%d" % i, b"x" * PAGE)
        fd = rig.call(rig.init, "open", rig.put(rig.init, b"/f%d\0" % i), 0, 0)
        area = rig.call(rig.init, "mmap", 0, PAGE, 1, 2, fd, 0)
        rig.peek(rig.init, area, 1)
        rig.call(rig.init, "munmap", area, PAGE)
        rig.call(rig.init, "close", fd)
    assert len(rig.linux._kept) == 3
    assert rig.linux.cached_frames() == 3
    assert rig.linux.shrink_caches() == 3
    assert rig.linux.cached_frames() == 0


def test_scratch_is_where_the_rig_says(rig: MachineRig) -> None:
    assert rig.put(rig.init, b"x") == SCRATCH
