"""fork, vfork, clone, clone3: what they refuse, what a child has of its own, and what it shares."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NO_MEMORY
from syscalls.abi.flags import (
    CLONE_CHILD_CLEARTID,
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
    RLIM_INFINITY,
    RLIMIT_NPROC,
    SIG_DFL,
    SIG_IGN,
    SIGCHLD,
    SIGKILL,
    SIGUSR1,
)
from syscalls.objects.siginfo import SigAction
from syscalls.objects.task import NO_ALTSTACK, AltStack
from tests.syscalls.machine_rig import SCRATCH, MachineRig
from tests.syscalls.twin import GuestTwin, Native, Twin, ok, show

if TYPE_CHECKING:
    from collections.abc import Iterator

THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD
STACK = SCRATCH + 0x8_0000
SCENARIOS: list[Any] = []


def scenario(function: Any) -> Any:
    """To be run natively and in linuxemu. Only calls that fail, or make a plain child, which ends at once."""
    SCENARIOS.append(function)
    return function


@scenario
def flags_that_do_not_go_together(os: Twin) -> Any:
    return [
        show(os.call("clone", flags, 0, 0, 0, 0))
        for flags in (
            CLONE_THREAD, CLONE_THREAD | CLONE_VM, CLONE_SIGHAND, CLONE_THREAD | CLONE_SIGHAND,
            CLONE_NEWNS | CLONE_FS, CLONE_NEWUSER | CLONE_FS, CLONE_PIDFD | CLONE_PARENT_SETTID,
            CLONE_PIDFD | CLONE_THREAD,
        )
    ]  # fmt: skip


@scenario
def plain_children(os: Twin) -> Any:
    """Any exit signal will do for clone; flags beyond 32 bits are not looked at."""
    found = [ok(os.call("clone", flags, 0, 0, 0, 0)) for flags in (0, SIGCHLD, 65, 255, 1 << 40 | SIGCHLD)]
    found.append(ok(os.call("fork")))
    found.append(ok(os.call("clone", CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, 8, 8, 0)))
    return found


def arguments(flags: int = 0, **fields: int) -> bytes:
    """A struct clone_args."""
    names = ("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls", "set_tid",
             "set_tid_size", "cgroup")  # fmt: skip
    values = {"flags": flags, **fields}
    return struct.pack("<11Q", *(values.get(name, 0) & (1 << 64) - 1 for name in names))


@scenario
def clone3_sizes(os: Twin) -> Any:
    good = os.put(arguments(exit_signal=SIGCHLD) + bytes(4096))
    more = os.put(arguments(exit_signal=SIGCHLD) + bytes(8) + b"\1" + bytes(4096))
    return [
        ok(os.call("clone3", address, size))
        for address, size in (
            (good, 0), (good, 63), (good, 64), (good, 65), (good, 80), (good, 88), (good, 100), (good, 4096),
            (good, 4097), (more, 96), (more, 97), (more, 4097), (8, 88), (8, 8), (8, 5000),
        )
    ]  # fmt: skip


@scenario
def clone3_fields(os: Twin) -> Any:
    bad = [
        {"flags": SIGCHLD}, {"flags": 0x0040_0000}, {"flags": 1 << 34}, {"flags": 1 << 63},
        {"exit_signal": 65}, {"exit_signal": 256}, {"exit_signal": 0},
        {"flags": CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, "exit_signal": SIGCHLD},
        {"flags": CLONE_PARENT, "exit_signal": SIGCHLD}, {"stack": STACK}, {"stack_size": 4096},
        {"flags": CLONE_SIGHAND}, {"flags": CLONE_THREAD}, {"flags": CLONE_SIGHAND | CLONE_VM | CLONE_CLEAR_SIGHAND},
        {"flags": CLONE_CLEAR_SIGHAND, "exit_signal": SIGCHLD}, {"flags": CLONE_NEWNS | CLONE_FS},
        {"set_tid_size": 33}, {"set_tid": 8}, {"set_tid_size": 1}, {"set_tid": 8, "set_tid_size": 40},
        {"stack": 1 << 47, "stack_size": 4096}, {"stack": -4096, "stack_size": 4096},
    ]  # fmt: skip
    return [ok(os.call("clone3", os.put(arguments(**fields)), 88)) for fields in bad]


@scenario
def limit_of_processes(os: Twin) -> Any:
    """For root it does not count."""
    os.call("setrlimit", RLIMIT_NPROC, os.put(struct.pack("<QQ", 1, 1)))
    return ok(os.call("fork"))


@pytest.fixture(scope="module")
def native() -> Iterator[Native]:
    native = Native()
    yield native
    native.close()


@pytest.fixture
def rig() -> Iterator[MachineRig]:
    rig = MachineRig()
    yield rig
    rig.close()


@pytest.mark.native
@pytest.mark.parametrize("function", SCENARIOS, ids=lambda function: function.__name__)
def test_like_linux(function: Any, rig: MachineRig, native: Native) -> None:
    import os

    if function is limit_of_processes and os.getuid():
        pytest.skip("needs root for the native run")
    assert function(GuestTwin(rig)) == native(function)


# -- what a child has ---------------------------------------------------------------------------------


def child_of(rig: MachineRig, t: Any, name: str, *args: int) -> Any:
    result = rig.call(t, name, *args)
    assert result > 0, show(result)
    rig.settle()
    return rig.linux.tasks[result]


def registers(rig: MachineRig, t: Any) -> Any:
    return rig.cpu.frame(rig.kernel.tasks[t.ktask].state)


def test_fork(rig: MachineRig) -> None:
    parent = rig.init
    parent.sigaltstack = AltStack(SCRATCH, 0, 8192)
    fd = rig.call(parent, "open", rig.put(parent, b"/file\0"), 0o102, 0o644)
    child = child_of(rig, parent, "fork")
    assert registers(rig, child).rax == 0
    assert registers(rig, child) == registers(rig, parent)._replace(rax=0)
    assert child.process is not parent.process
    assert child.process.parent is parent.process
    assert child.process.exit_signal == SIGCHLD
    assert (child.mm is parent.mm, child.files is parent.files, child.fs is parent.fs) == (False, False, False)
    assert child.files.get(fd) is parent.files.get(fd)
    assert child.sigaltstack == parent.sigaltstack
    assert rig.call(child, "getppid") == parent.tid
    assert rig.call(child, "getpid") == child.tid
    rig.call(child, "chdir", rig.put(child, b"/\0"))
    rig.call(child, "close", fd)
    assert parent.files.get(fd)


def test_registers_that_the_frame_lacks(rig: MachineRig) -> None:
    """FPU state goes to the child with everything else."""
    from linuxemu.arch.x86_64 import FullRegs

    state = rig.kernel.tasks[rig.init.ktask].state
    regs = rig.cpu.get_regs(state)
    fxsave = regs.fxsave[:160] + bytes(range(256)) + bytes(96)
    rig.cpu.set_regs(state, FullRegs(regs.frame, 1, 2, fxsave))
    child = child_of(rig, rig.init, "fork")
    assert rig.cpu.get_regs(rig.kernel.tasks[child.ktask].state).fxsave == fxsave


def test_thread(rig: MachineRig) -> None:
    parent = rig.init
    parent.sigaltstack = AltStack(SCRATCH, 0, 8192)
    tid, tls = rig.put(parent, bytes(8)), 0x1234_5000
    flags = THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
    child = child_of(rig, parent, "clone", flags, STACK, tid, tid + 4, tls)
    assert child.process is parent.process
    assert (child.mm, child.files, child.fs) == (parent.mm, parent.files, parent.fs)
    assert child.process.sighand is parent.process.sighand
    frame = registers(rig, child)
    assert (frame.rax, frame.rsp, frame.fsbase) == (0, STACK, tls)
    assert registers(rig, parent).fsbase == 0
    assert rig.peek(parent, tid, 8) == struct.pack("<II", child.tid, child.tid)
    assert child.clear_child_tid == tid + 4
    assert child.sigaltstack == NO_ALTSTACK
    assert rig.call(child, "getpid") == parent.tid
    assert rig.call(child, "gettid") == child.tid
    rig.poke(child, SCRATCH + 0x100, b"seen by both")
    assert rig.peek(parent, SCRATCH + 0x100, 12) == b"seen by both"


def test_children_that_share_parts(rig: MachineRig) -> None:
    parent = rig.init
    found = []
    for flags in (CLONE_VM, CLONE_FILES, CLONE_FS, CLONE_VM | CLONE_SIGHAND):
        child = child_of(rig, parent, "clone", flags | SIGCHLD, STACK)
        sighand = child.process.sighand is parent.process.sighand
        found.append((child.mm is parent.mm, child.files is parent.files, child.fs is parent.fs, sighand))
        assert child.process is not parent.process
    assert found == [
        (True, False, False, False), (False, True, False, False), (False, False, True, False),
        (True, False, False, True),
    ]  # fmt: skip


def test_cleared_handlers(rig: MachineRig) -> None:
    parent = rig.init
    parent.process.sighand.set(SIGUSR1, SigAction(0x1234, 0, 0, 0))
    parent.process.sighand.set(SIGUSR1 + 2, SigAction(SIG_IGN, 0, 0, 0))
    args = rig.put(parent, arguments(CLONE_CLEAR_SIGHAND, exit_signal=SIGCHLD))
    child = child_of(rig, parent, "clone3", args, 88)
    handlers = [child.process.sighand.get(signo).handler for signo in (SIGUSR1, SIGUSR1 + 2)]
    assert handlers == [SIG_DFL, SIG_IGN]
    assert parent.process.sighand.get(SIGUSR1).handler == 0x1234


def test_clone3_stack_is_its_lowest_byte(rig: MachineRig) -> None:
    args = rig.put(rig.init, arguments(THREAD | CLONE_SETTLS, stack=STACK, stack_size=0x1000, tls=0x7000))
    child = child_of(rig, rig.init, "clone3", args, 88)
    frame = registers(rig, child)
    assert (frame.rsp, frame.fsbase) == (STACK + 0x1000, 0x7000)


def test_child_tid_is_in_the_memory_of_the_child(rig: MachineRig) -> None:
    where = rig.put(rig.init, bytes(8))
    flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD
    child = child_of(rig, rig.init, "clone", flags, 0, where, where + 4)
    assert rig.peek(rig.init, where, 8) == struct.pack("<II", child.tid, 0)
    assert rig.peek(child, where, 8) == struct.pack("<II", 0, child.tid)


def test_sibling(rig: MachineRig) -> None:
    child = child_of(rig, rig.init, "fork")
    sibling = child_of(rig, child, "clone", CLONE_PARENT | SIGUSR1)
    assert sibling.process.parent is rig.init.process
    assert sibling.process.exit_signal == SIGCHLD


def test_exit_signal(rig: MachineRig) -> None:
    assert child_of(rig, rig.init, "clone", SIGUSR1).process.exit_signal == SIGUSR1
    assert child_of(rig, rig.init, "clone", 0).process.exit_signal == 0


def test_vfork(rig: MachineRig) -> None:
    parent = child_of(rig, rig.init, "fork")
    waiting = rig.start(parent, "vfork")
    child = max(rig.linux.tasks.values(), key=lambda t: t.tid)
    assert child.mm is parent.mm
    assert child.files is not parent.files
    assert not waiting.done
    rig.poke(child, SCRATCH, b"borrowed")
    rig.start(child, "exit_group", 3)
    rig.settle()
    assert waiting.result == child.tid
    assert rig.peek(parent, SCRATCH, 8) == b"borrowed"
    assert rig.call(parent, "wait4", -1, 0, 0, 0) == child.tid


def test_parent_of_a_vfork_can_be_killed(rig: MachineRig) -> None:
    parent = child_of(rig, rig.init, "fork")
    parent.process.sighand.set(SIGUSR1, SigAction(0x1234, 0, 0, 0))
    waiting = rig.start(parent, "vfork")
    child = max(rig.linux.tasks.values(), key=lambda t: t.tid)
    assert rig.call(rig.init, "kill", parent.tid, SIGUSR1) == 0
    rig.settle()
    assert not waiting.gone
    assert rig.call(rig.init, "kill", parent.tid, SIGKILL) == 0
    rig.settle()
    assert waiting.gone
    rig.poke(child, SCRATCH, b"still there")
    rig.start(child, "exit_group", 0)


def test_clone_vfork_without_shared_memory(rig: MachineRig) -> None:
    waiting = rig.start(rig.init, "clone", CLONE_VFORK | SIGCHLD, 0)
    child = max(rig.linux.tasks.values(), key=lambda t: t.tid)
    assert child.mm is not rig.init.mm
    assert not waiting.done
    rig.start(child, "exit_group", 0)
    rig.settle()
    assert waiting.result == child.tid


def test_memory_is_given_back_with_its_last_user(rig: MachineRig) -> None:
    first = child_of(rig, rig.init, "fork")
    second = child_of(rig, first, "clone", THREAD, STACK)
    third = child_of(rig, first, "clone", CLONE_VM | SIGCHLD, STACK)
    mm, free = first.mm, rig.kernel.frames.available
    assert mm.users == 3
    for t, users in ((first, 2), (third, 1)):
        rig.start(t, "exit", 0)
        assert mm.users == users
        assert mm.vmas
    rig.start(second, "exit", 0)
    assert mm.vmas == []
    assert rig.kernel.frames.available > free


def test_limit_of_processes_for_a_user(rig: MachineRig) -> None:
    t = rig.init
    rig.call(t, "setresuid", 1000, 1000, 1000)
    t.process.rlimits[RLIMIT_NPROC] = (2, RLIM_INFINITY)
    assert rig.call(t, "fork") > 0
    assert show(rig.call(t, "fork")) == "EAGAIN"
    assert show(rig.call(t, "clone", THREAD, STACK)) == "EAGAIN"


def test_namespaces_need_rights_and_are_not_there(rig: MachineRig) -> None:
    assert show(rig.call(rig.init, "clone", CLONE_NEWNS | SIGCHLD)) == "EINVAL"
    assert any("namespaces" in item.what for item in rig.linux.missing())
    rig.call(rig.init, "setresuid", 1000, 1000, 1000)
    assert show(rig.call(rig.init, "clone", CLONE_NEWNS | SIGCHLD)) == "EPERM"


@pytest.mark.parametrize("flags", [SIGCHLD, THREAD])
def test_failure_leaves_no_child(rig: MachineRig, flags: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, processes = set(rig.linux.tasks), set(rig.linux.processes)
    files = rig.init.files.refs

    def no_memory(*_: Any, **__: Any) -> Any:
        raise RpcError(ERR_NO_MEMORY)

    place = "syscalls.objects.mm.MemoryMap.clone" if flags == SIGCHLD else "syscalls.objects.fdtable.FdTable.share"
    monkeypatch.setattr(place, no_memory)
    assert show(rig.call(rig.init, "clone", flags, STACK)) == "ENOMEM"
    monkeypatch.undo()
    assert (set(rig.linux.tasks), set(rig.linux.processes)) == (tasks, processes)
    assert show(rig.call(rig.init, "wait4", -1, 0, 1, 0)) == "ECHILD"
    assert rig.init.files.refs == files
    assert rig.call(rig.init, "fork") > 0


def test_many_threads(rig: MachineRig) -> None:
    """Far more than the seed's 64 tasks."""
    threads = [child_of(rig, rig.init, "clone", THREAD, STACK) for _ in range(300)]
    assert len(rig.init.process.tasks) == 301
    for t in threads:
        assert rig.start(t, "exit", 0).gone
    assert len(rig.init.process.tasks) == 1
    assert len(rig.cpu.states) == 1
