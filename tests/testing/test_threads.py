"""Several threads and processes, driven step by step; signals and their handlers."""

from __future__ import annotations

from struct import unpack_from

import pytest

from linuxemu.testing import Blocked, Guest, Out
from syscalls.abi.errno import EINTR
from syscalls.abi.flags import (
    FUTEX_PRIVATE_FLAG,
    FUTEX_WAIT,
    FUTEX_WAKE,
    SA_NODEFER,
    SA_RESETHAND,
    SA_RESTART,
    SIGCHLD,
    SIGTERM,
    SIGUSR1,
    SIGUSR2,
)

WAIT, WAKE = FUTEX_WAIT | FUTEX_PRIVATE_FLAG, FUTEX_WAKE | FUTEX_PRIVATE_FLAG


def pipe(guest: Guest) -> tuple[int, int]:
    ends = Out("<ii")
    guest.syscall.pipe2(ends, 0)
    both: tuple[int, int] = ends.value
    return both


def test_a_thread_shares_memory_and_descriptors(guest: Guest) -> None:
    other = guest.thread()
    assert (other.pid, other.tid) == (guest.main.pid, guest.main.tid + 1)
    assert other.syscall.getpid() == guest.main.pid
    reading, writing = pipe(guest)
    other.syscall.write(writing, b"x", 1)
    assert guest.syscall.read(reading, Out(1), 1) == 1


def test_a_child_has_a_copy_of_memory(guest: Guest) -> None:
    at = guest.put(b"parent")
    child = guest.fork()
    guest.write(at, b"child!", thread=child)
    assert guest.read(at, 6) == b"parent"
    assert guest.read(at, 6, thread=child) == b"child!"
    assert child.syscall.getppid() == guest.main.pid


def test_this_call_blocks_and_that_one_wakes_it(guest: Guest) -> None:
    other = guest.thread()
    word = guest.put(bytes(4))
    waiting = other.start.futex(word, WAIT, 0, 0)
    assert waiting.blocked
    assert guest.syscall.futex(word, WAKE, 1) == 1
    assert (waiting.done, waiting.result) == (True, 0)


def test_who_waits_longest_is_served_first(guest: Guest) -> None:
    reading, writing = pipe(guest)
    first, second = guest.fork(), guest.fork()
    calls = [first.start.read(reading, Out(1), 1), second.start.read(reading, Out(1), 1)]
    guest.syscall.write(writing, b"x", 1)
    assert [call.done for call in calls] == [True, False]
    guest.syscall.write(writing, b"y", 1)
    assert [call.done for call in calls] == [True, True]


def test_a_parent_waits_for_its_child(guest: Guest) -> None:
    child = guest.fork()
    status = Out("<i")
    waiting = guest.start.wait4(child.pid, status, 0, 0)
    assert waiting.blocked
    with pytest.raises(Blocked, match="still waits"):
        _ = waiting.result
    child.syscall.exit_group(3)
    assert waiting.result == child.pid
    assert status.value == 3 << 8


def test_vfork_waits_for_the_childs_exec_or_exit(guest: Guest) -> None:
    waiting = guest.start.vfork()
    assert waiting.blocked
    child = guest.thread_of(guest.main.tid + 1)
    child.syscall.exit_group(0)
    assert waiting.result == child.pid


@pytest.mark.linuxemu(root="memfs")
def test_exec_replaces_the_program(guest: Guest) -> None:
    from linuxemu.testing.assembler import Assembler

    made = Assembler()
    made.call(39)
    guest.files.write("/prog", made.elf(), mode=0o755)
    child = guest.fork()
    assert child.syscall.execve("/prog", ["prog", "x"], ["A=B"]) == 0
    assert child.stopped_at == 0x40_0000 + 64 + 2 * 56
    assert child.t.comm == b"prog"
    assert child.syscall.getppid() == guest.main.pid


# -- signals --------------------------------------------------------------------------------------------------------


def test_a_handler_runs_and_the_call_is_interrupted(guest: Guest) -> None:
    handler = guest.on_signal(SIGUSR1)
    reading, _ = pipe(guest)
    call = guest.start.read(reading, Out(1), 1)
    sender = guest.process()
    sender.syscall.kill(guest.main.pid, SIGUSR1)
    assert call.errno == EINTR
    ((signo, info),) = handler.calls
    assert signo == SIGUSR1
    assert unpack_from("<iii4xi", info) == (SIGUSR1, 0, 0, sender.pid)


def test_sa_restart_begins_the_call_again(guest: Guest) -> None:
    handler = guest.on_signal(SIGUSR1, flags=SA_RESTART)
    reading, writing = pipe(guest)
    child = guest.fork()
    call = guest.start.read(reading, Out(1), 1)
    child.syscall.kill(guest.main.pid, SIGUSR1)
    assert handler.signals == [SIGUSR1]
    assert call.blocked
    child.syscall.write(writing, b"x", 1)
    assert call.result == 1
    assert len(guest.rpc.log.calls("read")) == 2


def test_a_held_handler(guest: Guest) -> None:
    handler = guest.on_signal(SIGUSR1, hold=True)
    call = guest.start.pause()
    guest.process().syscall.kill(guest.main.pid, SIGUSR1)
    assert guest.main.held_in is handler
    assert call.blocked
    assert guest.syscall.getpid() == guest.main.pid, "a call from within the handler"
    with pytest.raises(Blocked, match="its thread is held in a signal handler"):
        call.finish()
    guest.main.sigreturn()
    assert call.errno == EINTR
    with pytest.raises(RuntimeError, match="held in no handler"):
        guest.main.sigreturn()


def test_handlers_nest(guest: Guest) -> None:
    inner = guest.on_signal(SIGUSR2)
    outer = guest.on_signal(SIGUSR1, hold=True, flags=SA_NODEFER)
    guest.syscall.getpid()
    call = guest.start.kill(guest.main.pid, SIGUSR1)
    assert guest.main.held_in is outer
    guest.syscall.kill(guest.main.pid, SIGUSR2)
    assert inner.signals == [SIGUSR2]
    guest.main.sigreturn()
    assert call.result == 0


def test_a_signal_reaches_a_thread_that_stands_still(guest: Guest) -> None:
    handler = guest.on_signal(SIGUSR1, flags=SA_RESETHAND)
    sender = guest.process()
    sender.syscall.kill(guest.main.pid, SIGUSR1)
    assert handler.signals == [SIGUSR1]
    sender.syscall.kill(guest.main.pid, SIGUSR1)
    assert guest.main.signal == SIGUSR1


def test_the_default_action_ends_the_process(guest: Guest) -> None:
    child = guest.fork()
    handler = guest.on_signal(SIGCHLD)
    guest.syscall.kill(child.pid, SIGTERM)
    assert (child.gone, child.signal) == (True, SIGTERM)
    assert handler.signals == [SIGCHLD]


def test_handlers_without_siginfo_get_none(guest: Guest) -> None:
    from syscalls.abi.flags import SA_RESTORER
    from syscalls.abi.structs import Sigaction

    handler = guest.handler()
    guest.syscall.rt_sigaction(SIGUSR1, Sigaction(handler.address, SA_RESTORER, 1, 0), 0, 8)
    guest.syscall.kill(guest.main.pid, SIGUSR1)
    assert handler.calls == [(SIGUSR1, b"")]
