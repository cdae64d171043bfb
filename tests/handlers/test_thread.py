"""fork, vfork, clone, clone3 (man 2 clone)."""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest

from linuxemu.messages import task
from linuxemu.testing import BAD, Guest
from linuxemu.testing.stepping import AFTER_SYSCALL
from syscalls.abi.errno import E2BIG, EAGAIN, ECHILD, EFAULT, EINVAL, EIO, ENOMEM, EPERM
from syscalls.abi.flags import (
    CLONE_CHILD_SETTID,
    CLONE_CLEAR_SIGHAND,
    CLONE_FILES,
    CLONE_FS,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    CLONE_PARENT,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_SETTLS,
    CLONE_SIGHAND,
    CLONE_THREAD,
    CLONE_VFORK,
    CLONE_VM,
    RLIMIT_NPROC,
    SIGCHLD,
    SIGKILL,
    SIGUSR1,
)
from syscalls.abi.structs import Rlimit
from tests.handlers.cases import NULL, SUCCESS, Edge, fails, ok, proves

MAIN, CHILD = 2, 3
THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD
SETTID = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID
ALLOC = ["task.alloc"]
_INTO_CGROUP, _DETACHED = 1 << 33, 0x40_0000
USER: dict[str, Any] = {"user": (1000, 1000)}


def _args(
    flags: int, exit_signal: int = 0, stack: int = 0, stack_size: int = 0, set_tid_size: int = 0
) -> bytes:
    return pack("<11Q", flags, 0, 0, 0, exit_signal, stack, stack_size, 0, 0, set_tid_size, 0)


def _no_more_processes(guest: Guest) -> None:
    guest.syscall.setrlimit(RLIMIT_NPROC, Rlimit(1, 1))


def _no_more_pids(guest: Guest) -> None:
    guest.linux.table_of_processes.pid_max = 3


def _no_memory(guest: Guest) -> None:
    frames = guest.linux.port.frames
    while frames.available:
        frames.alloc()


def _no_memory_for_the_copy(guest: Guest) -> None:
    guest.start.clone3(_args(1 << 34), 88)
    _no_memory(guest)


def _no_child(guest: Guest, call: object) -> None:
    """Nothing is left of what was begun."""
    assert (list(guest.linux.processes), list(guest.linux.tasks)) == ([1, MAIN], [MAIN])
    assert (guest.main.t.mm.users, guest.main.t.files.refs) == (1, 1)


def _is_there(guest: Guest, call: object) -> None:
    assert guest.linux.tasks[CHILD].frame.rax == 0


CASES = [
    ok("fork", returns=CHILD, rpcs=ALLOC, check=_is_there),
    fails("fork", EAGAIN, setup=_no_more_processes, rpcs=[], check=_no_child, **USER),
    fails("fork", EAGAIN, setup=_no_more_pids, check=_no_child, label="pids"),
    fails("fork", ENOMEM, setup=_no_memory, check=_no_child),
    fails("vfork", EAGAIN, setup=_no_more_processes, rpcs=[], check=_no_child, **USER),
    fails("vfork", EAGAIN, setup=_no_more_pids, check=_no_child, label="pids"),
    ok("clone", SIGCHLD, returns=CHILD, rpcs=ALLOC, check=_is_there),
    ok("clone", THREAD, returns=CHILD, rpcs=ALLOC, check=_is_there, label="a thread"),
    ok("clone", 66, returns=CHILD, rpcs=ALLOC, label="no such signal is none"),
    ok("clone", SETTID | SIGCHLD, 0, BAD, BAD, returns=CHILD, rpcs=ALLOC, label="bad addresses of tids do not count",
       unfaulted=("parent_tid: Linux ignores that it cannot be written", "child_tid: the same")),
    fails("clone", EINVAL, CLONE_THREAD | CLONE_VM, rpcs=[], label="thread without sighand"),
    fails("clone", EINVAL, CLONE_SIGHAND, rpcs=[], label="sighand without vm"),
    fails("clone", EINVAL, CLONE_NEWNS | CLONE_FS, rpcs=[], label="newns with fs"),
    fails("clone", EINVAL, CLONE_NEWUSER | SIGCHLD, rpcs=[], label="namespaces are not there"),
    fails("clone", EINVAL, CLONE_PIDFD | SIGCHLD, rpcs=[], label="pidfds are not there"),
    fails("clone", EPERM, CLONE_NEWNS | SIGCHLD, rpcs=[], **USER),
    fails("clone", EAGAIN, THREAD, setup=_no_more_processes, rpcs=[], check=_no_child, **USER),
    fails("clone", EAGAIN, THREAD, setup=_no_more_pids, check=_no_child, label="pids"),
    fails("clone", ENOMEM, SIGCHLD, setup=_no_memory, check=_no_child),
    ok("clone3", _args(0, SIGCHLD), 88, returns=CHILD, rpcs=ALLOC, check=_is_there),
    ok("clone3", Edge(_args(0, SIGCHLD)[:64]), 64, returns=CHILD, rpcs=ALLOC, label="first version"),
    ok("clone3", _args(0, SIGCHLD) + bytes(8), 96, returns=CHILD, rpcs=ALLOC, label="later version"),
    fails("clone3", EFAULT, Edge(_args(0, SIGCHLD)), 89, rpcs=[], label="size beyond the mapping"),
    fails("clone3", EINVAL, BAD, 63, rpcs=[], label="size below the first version"),
    fails("clone3", E2BIG, BAD, 4097, rpcs=[], label="size of more than a page"),
    fails("clone3", E2BIG, _args(0) + bytes([1]) * 8, 96, rpcs=[], label="unknown argument"),
    fails("clone3", EINVAL, _args(SIGCHLD), 88, rpcs=[], label="signal among the flags"),
    fails("clone3", EINVAL, _args(_DETACHED), 88, rpcs=[], label="detached"),
    fails("clone3", EINVAL, _args(1 << 34), 88, rpcs=[], label="unknown flag"),
    fails("clone3", EINVAL, _args(0, 65), 88, rpcs=[], label="signal 65"),
    fails("clone3", EINVAL, _args(0, (1 << 64) - 1), 88, rpcs=[], label="signal -1"),
    fails("clone3", EINVAL, _args(0, 0, 0x1000), 88, rpcs=[], label="stack without size"),
    fails("clone3", EINVAL, _args(0, 0, 0, 0x1000), 88, rpcs=[], label="size without stack"),
    fails("clone3", EINVAL, _args(0, 0, 1 << 63, 0x1000), 88, rpcs=[], label="stack beyond user space"),
    fails("clone3", EINVAL, _args(THREAD, SIGCHLD), 88, rpcs=[], label="thread with a signal"),
    fails("clone3", EINVAL, _args(CLONE_PARENT, SIGCHLD), 88, rpcs=[], label="sibling with a signal"),
    fails("clone3", EINVAL, _args(CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM), 88, rpcs=[],
          label="handlers shared and cleared"),
    fails("clone3", EINVAL, _args(0, set_tid_size=1), 88, rpcs=[], label="tids without an array"),
    fails("clone3", EINVAL, _args(_INTO_CGROUP, SIGCHLD), 88, rpcs=[], label="cgroups are not there"),
    fails("clone3", EPERM, _args(CLONE_NEWNS, SIGCHLD), 88, rpcs=[], **USER),
    fails("clone3", EAGAIN, _args(0, SIGCHLD), 88, setup=_no_more_processes, rpcs=[], check=_no_child, **USER),
    fails("clone3", ENOMEM, _args(0, SIGCHLD), 88, setup=_no_memory_for_the_copy, check=_no_child),
]  # fmt: skip


def _clone_fails(guest: Guest, name: str, *args: Any) -> None:
    guest.task.expect(task.Alloc).error(EIO)
    assert getattr(guest.start, name)(*args).errno == EIO
    _no_child(guest, None)
    assert guest.start.wait4(-1, 0, 0, 0).errno == ECHILD


@proves("fork", EIO, rpcs=ALLOC)
def test_fork_leaves_nothing_behind_when_the_task_server_fails(guest: Guest) -> None:
    _clone_fails(guest, "fork")


@proves("vfork", EIO, rpcs=ALLOC)
def test_vfork_leaves_nothing_behind_when_the_task_server_fails(guest: Guest) -> None:
    _clone_fails(guest, "vfork")


@proves("clone", EIO, rpcs=ALLOC)
@pytest.mark.parametrize("flags", [THREAD, SIGCHLD])
def test_clone_leaves_nothing_behind_when_the_task_server_fails(guest: Guest, flags: int) -> None:
    _clone_fails(guest, "clone", flags)


@proves("clone3", EIO, rpcs=ALLOC)
def test_clone3_leaves_nothing_behind_when_the_task_server_fails(guest: Guest) -> None:
    _clone_fails(guest, "clone3", _args(0, SIGCHLD), 88)


def test_a_task_id_is_given_back_when_there_is_no_pid(guest: Guest) -> None:
    _no_more_pids(guest)
    guest.rpc.clear()
    assert guest.start.fork().errno == EAGAIN
    assert guest.rpc.log.names("task") == ["task.alloc", "task.free"]


@proves("fork", SUCCESS, rpcs=ALLOC)
def test_a_signal_that_waits_comes_before_the_fork(guest: Guest) -> None:
    handler = guest.on_signal(SIGUSR1)
    other = guest.process()
    held = guest.task.expect(task.Alloc).hold()
    call = guest.start.fork()
    other.syscall.kill(MAIN, SIGUSR1)
    assert (call.blocked, handler.signals) == (True, [])
    held.reply(task=1000)
    assert (guest.complete(call).result, handler.signals) == (4, [SIGUSR1])


@proves("vfork", SUCCESS, rpcs=ALLOC)
def test_vfork_returns_when_the_child_exits(guest: Guest) -> None:
    call = guest.start.vfork()
    child = guest.thread_of(CHILD)
    assert (call.blocked, child.t.mm) == (True, guest.main.t.mm)
    child.start.exit_group(0)
    assert call.result == CHILD


def test_only_a_fatal_signal_ends_vfork(guest: Guest) -> None:
    handler, other = guest.on_signal(SIGUSR1), guest.process()
    call = guest.start.vfork()
    other.syscall.kill(MAIN, SIGUSR1)
    assert (call.blocked, handler.signals) == (True, [])
    other.syscall.kill(MAIN, SIGKILL)
    assert call.gone


@proves("clone", SUCCESS, rpcs=ALLOC)
def test_clone_vfork_without_vm_waits_too(guest: Guest) -> None:
    call = guest.start.clone(CLONE_VFORK | SIGCHLD)
    assert call.blocked
    guest.thread_of(CHILD).start.exit_group(0)
    assert call.result == CHILD


def test_a_child_has_a_copy_of_the_memory_and_of_the_descriptors(guest: Guest) -> None:
    word = guest.put(b"old")
    child = guest.fork()
    guest.write(word, b"new")
    child.syscall.close(0)
    assert guest.read(word, 3, thread=child) == b"old"
    assert guest.syscall.dup(0) == 3


def test_a_thread_has_its_stack_its_tls_and_the_tid_where_asked(guest: Guest) -> None:
    stack, parent, child = guest.put(bytes(0x2000)), guest.put(bytes(4)), guest.put(bytes(4))
    tid = guest.syscall.clone(THREAD | CLONE_SETTLS | SETTID, stack + 0x1000, parent, child, stack)
    thread = guest.thread_of(tid)
    assert (thread.pid, thread.t.mm) == (MAIN, guest.main.t.mm)
    regs = thread.regs
    assert (regs.rax, regs.rip, regs.rsp, regs.fsbase) == (0, AFTER_SYSCALL, stack + 0x1000, stack)
    assert guest.read(parent, 4) == guest.read(child, 4) == pack("<I", tid)


@proves("clone3", SUCCESS, rpcs=ALLOC)
def test_clone3_is_given_the_lowest_byte_of_the_stack(guest: Guest) -> None:
    stack = guest.put(bytes(0x2000))
    thread = guest.thread_of(guest.syscall.clone3(_args(THREAD, 0, stack, 0x1000), 88))
    assert thread.regs.rsp == stack + 0x1000


def test_a_sibling_is_a_child_of_the_parent(guest: Guest) -> None:
    child = guest.fork()
    sibling = guest.thread_of(child.syscall.clone(CLONE_PARENT | SIGCHLD, NULL))
    assert sibling.syscall.getppid() == MAIN
