"""The tail of a trap: handlers and their frames, restarts, default actions, stops."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from syscalls.abi.errno import EINTR
from syscalls.abi.flags import (
    CLD_CONTINUED,
    CLD_STOPPED,
    RLIM_INFINITY,
    RLIMIT_CORE,
    SA_NOCLDSTOP,
    SA_NODEFER,
    SA_ONSTACK,
    SA_RESETHAND,
    SA_RESTART,
    SA_SIGINFO,
    SI_KERNEL,
    SI_USER,
    SIG_IGN,
    SIGABRT,
    SIGCHLD,
    SIGCONT,
    SIGINT,
    SIGKILL,
    SIGQUIT,
    SIGSEGV,
    SIGSTOP,
    SIGTERM,
    SIGTSTP,
    SIGURG,
    SIGUSR1,
    SIGUSR2,
    SIGWINCH,
    SS_AUTODISARM,
    SS_DISABLE,
    WCONTINUED,
    WNOHANG,
    WUNTRACED,
)
from syscalls.errors import Interrupted, Restart
from syscalls.objects.siginfo import SigAction, SigInfo, bit, bits
from syscalls.objects.signal import force_fault, send_signal
from syscalls.objects.task import AltStack
from syscalls.sigframe_x86_64 import (
    FRAME_SIZE,
    INITIAL_FXSAVE,
    SIGINFO_OFFSET,
    UCONTEXT_OFFSET,
    on_stack,
)
from tests.syscalls.signalrig import CODE, HANDLER, RESTORER, SignalRig, result

RED_ZONE = 128
MCONTEXT = UCONTEXT_OFFSET + 40
GREGS = (
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
    *("rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp", "rip", "rflags"),
)


@pytest.fixture
def rig() -> SignalRig:
    return SignalRig()


@pytest.fixture
def t(rig: SignalRig) -> Any:
    return rig.task()


def saved(t: Any) -> dict[str, int]:
    """The general registers in the frame that the running handler has."""
    raw = t.mem.get(t.frame.rsp + MCONTEXT, 8 * len(GREGS))
    return dict(zip(GREGS, struct.unpack(f"<{len(GREGS)}Q", raw), strict=True))


def word(t: Any, offset: int) -> int:
    """A word of the running handler's frame."""
    value: int = struct.unpack("<Q", t.mem.get(t.frame.rsp + offset, 8))[0]
    return value


def poke(t: Any, offset: int, value: int) -> None:
    """Change a word of the running handler's frame."""
    at = t.frame.rsp + offset - 0x10000
    t.mem.data[at : at + 8] = struct.pack("<Q", value)


def enter(rig: SignalRig, t: Any, signo: int = SIGUSR1, flags: int = 0, mask: int = 0) -> None:
    """Make the task begin a handler, out of user code."""
    rig.catch(t, signo, flags, mask)
    send_signal(t, SigInfo(signo, SI_USER, 7, 8))
    assert rig.interrupt(t).done


# -- the frame -----------------------------------------------------------------------------------------


def test_handler_starts_as_the_abi_says(rig: SignalRig, t: Any) -> None:
    before = t.frame = t.frame._replace(rflags=0x202 | 0x400 | 0x100 | 0x1_0000 | 1, rdi=1, rax=77, rbx=5)
    enter(rig, t, flags=SA_SIGINFO)
    f = t.frame
    assert (f.rip, f.rdi, f.rax, f.rbx) == (HANDLER, SIGUSR1, 0, 5)
    assert (f.rsi, f.rdx) == (f.rsp + SIGINFO_OFFSET, f.rsp + UCONTEXT_OFFSET)
    assert f.rsp % 16 == 8
    assert f.rsp + FRAME_SIZE <= before.rsp - RED_ZONE
    assert f.rflags == 0x203
    assert word(t, 0) == RESTORER
    assert t.mem.get(f.rsi, 24) == struct.pack("<iiiiiI", SIGUSR1, 0, SI_USER, 0, 7, 8)
    assert t.blocked == bit(SIGUSR1)


def test_frame_holds_every_register(rig: SignalRig, t: Any) -> None:
    values = {name: 0x1000 + i for i, name in enumerate(GREGS) if name not in ("rcx", "r11", "rsp", "rflags")}
    t.frame = t.frame._replace(**values)
    force_fault(t, SIGUSR2, 1, 0, trap_number=14, trap_error=6, trap_cr2=0xABC)
    rsp = t.frame.rsp
    rig.catch(t, SIGUSR2)
    assert rig.interrupt(t).done
    assert saved(t) == {**values, "rcx": 0x111, "r11": 0x222, "rsp": rsp, "rflags": 0x202}
    tail = struct.unpack("<4H5Q", t.mem.get(t.frame.rsp + MCONTEXT + 144, 48))
    assert tail[:8] == (0x33, 0, 0, 0x2B, 6, 14, 0, 0xABC)
    assert tail[8] % 64 == 0
    assert t.mem.get(tail[8], 512) == INITIAL_FXSAVE
    assert word(t, UCONTEXT_OFFSET) == 6


def test_return_restores_registers_fpu_and_mask(rig: SignalRig, t: Any) -> None:
    port = rig.server.port
    t.blocked = bit(SIGINT)
    t.frame = t.frame._replace(rax=0x8000_0000_0000_0001, rbx=3, r15=4, rflags=0x247)
    port.regs[t.ktask].fxsave = b"\x7f\x02" + bytes(22) + b"\x80\x1f\0\0" + bytes(484)
    before, fxsave = t.frame, port.regs[t.ktask].fxsave
    enter(rig, t, mask=bit(SIGTERM))
    assert t.blocked == bits(SIGINT, SIGTERM, SIGUSR1)
    assert port.regs[t.ktask].fxsave == INITIAL_FXSAVE
    assert port.regs[t.ktask].frame == t.frame
    assert rig.sigreturn(t) == before
    after = port.regs[t.ktask]
    assert (after.frame, after.rcx, after.r11, after.fxsave) == (before, 0x111, 0x222, fxsave)
    assert t.blocked == bit(SIGINT)


def test_handler_may_change_what_it_returns_to(rig: SignalRig, t: Any) -> None:
    enter(rig, t)
    poke(t, MCONTEXT + 8 * GREGS.index("rip"), 0x5000)
    poke(t, MCONTEXT + 8 * GREGS.index("rflags"), 0xFFFF_FFFF_FFFF_FFFF)
    poke(t, SIGINFO_OFFSET - 8, bits(SIGINT, SIGKILL, SIGSTOP))
    f = rig.sigreturn(t)
    assert f.rip == 0x5000
    assert f.rflags == 0x202 | 0x5_0DD5
    assert t.blocked == bit(SIGINT)


def test_null_fpu_pointer_means_the_initial_state(rig: SignalRig, t: Any) -> None:
    rig.server.port.regs[t.ktask].fxsave = bytes(512)
    enter(rig, t)
    poke(t, MCONTEXT + 184, 0)
    rig.sigreturn(t)
    assert rig.server.port.regs[t.ktask].fxsave == INITIAL_FXSAVE


@pytest.mark.parametrize("damage", ["mxcsr", "fpu pointer", "cs", "ss", "rip", "rsp"])
def test_bad_frame_is_a_segmentation_fault(rig: SignalRig, t: Any, damage: str) -> None:
    enter(rig, t)
    if damage == "mxcsr":
        at = word(t, MCONTEXT + 184) + 24 - 0x10000
        t.mem.data[at : at + 4] = b"\0\0\1\0"
    elif damage == "fpu pointer":
        poke(t, MCONTEXT + 184, 0x10)
    elif damage == "cs":
        poke(t, MCONTEXT + 144, 0x002B_0000_0000_0010)
    elif damage == "ss":
        poke(t, MCONTEXT + 144, 0x0010_0000_0000_0033)
    elif damage == "rip":
        poke(t, MCONTEXT + 8 * GREGS.index("rip"), 1 << 47)
    else:
        t.frame = t.frame._replace(rsp=0x10)
    t.frame = t.frame._replace(rsp=t.frame.rsp + 8)
    assert rig.ended(rig.trap(t, "rt_sigreturn"))
    assert t.process.exit_code == SIGSEGV


def test_bad_frame_can_be_handled(rig: SignalRig, t: Any) -> None:
    enter(rig, t)
    rig.catch(t, SIGSEGV, SA_SIGINFO)
    poke(t, MCONTEXT + 8 * GREGS.index("rip"), 1 << 63)
    rig.sigreturn(t)
    assert (t.frame.rip, t.frame.rdi) == (HANDLER, SIGSEGV)
    assert struct.unpack("<iii", t.mem.get(t.frame.rsi, 12)) == (SIGSEGV, 0, SI_KERNEL)
    assert saved(t)["rip"] == 1 << 63


def test_no_restorer_is_a_segmentation_fault(rig: SignalRig, t: Any) -> None:
    t.process.sighand.set(SIGUSR1, SigAction(HANDLER))
    send_signal(t, SigInfo(SIGUSR1))
    assert rig.ended(rig.interrupt(t))
    assert t.process.exit_code == SIGSEGV


@pytest.mark.parametrize("rsp", [0, 0x10, 0x100, (1 << 64) - 16])
def test_no_stack_is_a_segmentation_fault(rig: SignalRig, t: Any, rsp: int) -> None:
    rig.catch(t, SIGUSR1)
    rig.catch(t, SIGSEGV)
    t.frame = t.frame._replace(rsp=rsp)
    send_signal(t, SigInfo(SIGUSR1))
    assert rig.ended(rig.interrupt(t))
    assert t.process.exit_code == SIGSEGV


# -- alternate stacks ----------------------------------------------------------------------------------


def altstack(t: Any, size: int = 0x2000, flags: int = 0) -> AltStack:
    t.sigaltstack = AltStack(t.mem.alloc(size), flags, size)
    return t.sigaltstack  # type: ignore[no-any-return]


def test_onstack_handler_runs_on_the_alternate_stack(rig: SignalRig, t: Any) -> None:
    stack = altstack(t)
    enter(rig, t, flags=SA_ONSTACK)
    assert on_stack(stack, t.frame.rsp)
    uc_stack = struct.unpack("<QQQ", t.mem.get(t.frame.rsp + UCONTEXT_OFFSET + 16, 24))
    assert uc_stack == (stack.sp, 0, stack.size)
    inner = t.frame.rsp
    enter(rig, t, SIGUSR2, SA_ONSTACK)
    assert inner - 2 * FRAME_SIZE - 2 * 512 - 256 < t.frame.rsp < inner - FRAME_SIZE - RED_ZONE
    enter(rig, t, SIGINT)
    assert on_stack(stack, t.frame.rsp)


def test_handler_without_onstack_stays_where_it_is(rig: SignalRig, t: Any) -> None:
    stack = altstack(t)
    enter(rig, t)
    assert not on_stack(stack, t.frame.rsp)


def test_overflowing_alternate_stack_is_a_segmentation_fault(rig: SignalRig, t: Any) -> None:
    altstack(t, 0x600)
    enter(rig, t, flags=SA_ONSTACK)
    rig.catch(t, SIGUSR2, SA_ONSTACK)
    send_signal(t, SigInfo(SIGUSR2))
    assert rig.ended(rig.interrupt(t))
    assert t.process.exit_code == SIGSEGV


def test_stack_that_no_longer_fits_is_left_alone_on_return(rig: SignalRig, t: Any) -> None:
    enter(rig, t)
    t.sigaltstack = AltStack(0x1000, 0, 0x2000)
    poke(t, UCONTEXT_OFFSET + 16, 0x5000)
    poke(t, UCONTEXT_OFFSET + 32, 1)
    rig.sigreturn(t)
    assert t.sigaltstack == AltStack(0x1000, 0, 0x2000)


def test_autodisarm_drops_the_stack_until_return(rig: SignalRig, t: Any) -> None:
    stack = altstack(t, flags=SS_AUTODISARM)
    enter(rig, t, flags=SA_ONSTACK)
    assert t.sigaltstack == AltStack(0, SS_DISABLE, 0)
    assert not on_stack(stack, t.frame.rsp)
    rig.sigreturn(t)
    assert t.sigaltstack == stack


# -- masks, flags, order -------------------------------------------------------------------------------


def test_several_handlers_stack_up_the_last_runs_first(rig: SignalRig, t: Any) -> None:
    for signo, handler in ((SIGUSR1, 0x1000), (SIGUSR2, 0x2000), (40, 0x3000)):
        rig.catch(t, signo, handler=handler)
        send_signal(t, SigInfo(signo))
    outer = t.frame
    assert rig.interrupt(t).done
    assert (t.frame.rip, t.frame.rdi) == (0x3000, 40)
    assert saved(t)["rip"] == 0x2000
    assert t.blocked == bits(SIGUSR1, SIGUSR2, 40)
    assert rig.sigreturn(t).rip == 0x2000
    assert t.blocked == bits(SIGUSR1, SIGUSR2)
    assert rig.sigreturn(t).rip == 0x1000
    assert rig.sigreturn(t) == outer
    assert t.blocked == 0


def test_mask_of_the_first_keeps_the_second_away(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGUSR1, mask=bits(SIGUSR2, SIGKILL, SIGSTOP), handler=0x1000)
    rig.catch(t, SIGUSR2, handler=0x2000)
    send_signal(t, SigInfo(SIGUSR1))
    send_signal(t, SigInfo(SIGUSR2))
    assert rig.interrupt(t).done
    assert t.frame.rip == 0x1000
    assert t.blocked == bits(SIGUSR1, SIGUSR2)
    assert rig.sigreturn(t).rip == 0x2000


def test_resethand_and_nodefer(rig: SignalRig, t: Any) -> None:
    enter(rig, t, flags=SA_RESETHAND | SA_NODEFER)
    assert t.blocked == 0
    assert t.process.sighand.get(SIGUSR1).handler == 0
    assert t.process.sighand.get(SIGUSR1).flags & SA_NODEFER
    send_signal(t, SigInfo(SIGUSR1))
    assert rig.ended(rig.interrupt(t))
    assert t.process.exit_code == SIGUSR1


def test_action_changed_to_ignore_meanwhile_drops_the_signal(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGUSR1)
    send_signal(t, SigInfo(SIGUSR1))
    t.process.sighand.set(SIGUSR1, SigAction(SIG_IGN))
    before = t.frame
    assert rig.interrupt(t).value() == before
    assert not t.attention


# -- restarts ------------------------------------------------------------------------------------------

HANDLERS = {"no handler": None, "handler": 0, "SA_RESTART handler": SA_RESTART}
AGAIN, GIVE_UP, RESUME = "again", "EINTR", "restart_syscall"
OUTCOMES = {
    Restart.SYS: (AGAIN, GIVE_UP, AGAIN),
    Restart.NOHAND: (AGAIN, GIVE_UP, GIVE_UP),
    Restart.ALWAYS: (AGAIN, AGAIN, AGAIN),
    Restart.NEVER: (GIVE_UP, GIVE_UP, GIVE_UP),
    Restart.BLOCK: (RESUME, GIVE_UP, GIVE_UP),
}


@pytest.mark.parametrize("kind", OUTCOMES)
@pytest.mark.parametrize("case", HANDLERS)
def test_interrupted_call(rig: SignalRig, t: Any, kind: int, case: str) -> None:
    async def call(t: Any) -> None:
        await t.wait((), lambda: None, None, kind)

    t.frame = t.frame._replace(rax=4242)
    job = rig.spawn(rig._serve(t, call, ()))
    assert not job.done
    flags = HANDLERS[case]
    if flags is None:
        send_signal(t, SigInfo(SIGSTOP))
        rig.settle()
        assert t.state() == "T"
        send_signal(t, SigInfo(SIGCONT))
    else:
        rig.catch(t, SIGUSR1, flags)
        send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    frame = job.value()
    if flags is not None:
        assert frame.rip == HANDLER
        frame = rig.sigreturn(t)
    expected = OUTCOMES[kind][list(HANDLERS).index(case)]
    if expected == GIVE_UP:
        assert (result(frame), frame.rip) == (-EINTR, CODE)
    else:
        assert frame.rip == CODE - 2
        assert frame.rax == (4242 if expected == AGAIN else 219)
    assert t.restart == 0


def test_first_handler_alone_decides_the_restart(rig: SignalRig, t: Any) -> None:
    async def call(t: Any) -> None:
        await t.wait((), lambda: None)

    job = rig.spawn(rig._serve(t, call, ()))
    rig.catch(t, SIGUSR1, SA_RESTART)
    rig.catch(t, SIGUSR2)
    send_signal(t, SigInfo(SIGUSR1))
    send_signal(t, SigInfo(SIGUSR2))
    rig.settle()
    assert job.done
    rig.sigreturn(t)
    assert rig.sigreturn(t).rip == CODE - 2


def test_call_interrupted_for_a_signal_that_another_thread_took(rig: SignalRig, t: Any) -> None:
    async def call(t: Any) -> None:
        raise Interrupted(Restart.SYS)

    job = rig.spawn(rig._serve(t, call, ()))
    assert job.value().rip == CODE - 2


def test_wait_goes_on_if_another_thread_takes_the_signal(rig: SignalRig, t: Any) -> None:
    other = rig.thread(t)
    rig.catch(t, SIGUSR1)
    job = rig.trap(t, "pause")
    send_signal(t.process, SigInfo(SIGUSR1))
    assert t.attention
    other.kick()
    assert rig.interrupt(other).value().rip == HANDLER
    rig.settle()
    assert not job.done
    assert not t.attention


def test_temporary_mask_is_saved_in_the_frame(rig: SignalRig, t: Any) -> None:
    t.blocked = bits(SIGUSR1, SIGINT)
    mask = t.mem.alloc(struct.pack("<Q", bit(SIGTERM)))
    job = rig.trap(t, "rt_sigsuspend", mask, 8)
    assert t.blocked == bit(SIGTERM)
    rig.catch(t, SIGUSR1)
    send_signal(t, SigInfo(SIGUSR1))
    rig.settle()
    assert job.done
    assert t.blocked == bits(SIGTERM, SIGUSR1)
    frame = rig.sigreturn(t)
    assert result(frame) == -EINTR
    assert t.blocked == bits(SIGUSR1, SIGINT)
    assert t.saved_blocked is None


def test_signal_unblocked_by_the_old_mask_comes_in_the_same_tail(rig: SignalRig, t: Any) -> None:
    rig.catch(t, SIGUSR1)
    mask = t.mem.alloc(struct.pack("<Q", bit(SIGUSR1)))
    job = rig.trap(t, "rt_sigsuspend", mask, 8)
    send_signal(t, SigInfo(SIGUSR1))
    send_signal(t, SigInfo(SIGSTOP))
    rig.settle()
    send_signal(t, SigInfo(SIGCONT))
    rig.settle()
    assert job.done
    assert t.frame.rip == HANDLER
    # No handler ran under the temporary mask, so the call is made again when this one returns.
    assert rig.sigreturn(t).rip == CODE - 2
    assert t.blocked == 0


# -- default actions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("signo", [SIGCHLD, SIGURG, SIGWINCH, SIGCONT])
def test_ignored_by_default_even_if_it_was_blocked(rig: SignalRig, t: Any, signo: int) -> None:
    t.blocked = bit(signo)
    send_signal(t, SigInfo(signo))
    t.blocked = 0
    assert t.attention
    assert rig.interrupt(t).done
    assert t.exit_status is None
    assert not t.attention


@pytest.mark.parametrize("signo", [SIGTERM, SIGKILL, SIGINT, SIGUSR1, 33, 64])
def test_terminating_signal(rig: SignalRig, t: Any, signo: int) -> None:
    send_signal(t, SigInfo(signo))
    assert rig.ended(rig.interrupt(t))
    assert t.process.exit_code == signo


@pytest.mark.parametrize(("limit", "status"), [(0, 6), (4095, 6), (4096, 0x86), (RLIM_INFINITY, 0x86)])
def test_core_flag_follows_the_limit(rig: SignalRig, t: Any, limit: int, status: int) -> None:
    t.process.rlimits[RLIMIT_CORE] = (limit, RLIM_INFINITY)
    send_signal(t, SigInfo(SIGABRT))
    assert rig.ended(rig.interrupt(t))
    assert t.process.exit_code == status


def test_signal_ends_all_threads_wherever_they_are(rig: SignalRig, t: Any) -> None:
    asleep, running = rig.thread(t), rig.thread(t)
    sleep = rig.trap(asleep, "pause")
    send_signal(t, SigInfo(SIGQUIT))
    assert rig.ended(rig.interrupt(t))
    assert not t.process.exited
    assert rig.ended(sleep)
    assert rig.server.port.interrupted.count(running.ktask) == 1
    assert rig.ended(rig.interrupt(running))
    assert t.process.exited
    assert t.process.exit_code == SIGQUIT
    assert rig.server.destroyed == [t.tid, asleep.tid, running.tid]


# -- stops ---------------------------------------------------------------------------------------------


def job_control(rig: SignalRig) -> tuple[Any, Any]:
    """A parent that handles SIGCHLD, and a child in a group of its own."""
    parent = rig.task()
    rig.catch(parent, SIGCHLD)
    child = rig.fork(parent)
    rig.table.new_group(child.process)
    return parent, child


def status_of(rig: SignalRig, parent: Any, options: int) -> tuple[int, int]:
    at = parent.mem.alloc(4)
    pid = rig.call(parent, "wait4", -1, at, options | WNOHANG, 0)
    return pid, int.from_bytes(parent.mem.get(at, 4), "little")


def test_stop_and_continue_are_reported_once(rig: SignalRig) -> None:
    parent, child = job_control(rig)
    send_signal(child.process, SigInfo(SIGSTOP))
    job = rig.interrupt(child)
    assert child.state() == "T"
    assert child.process.stopped
    info = parent.process.pending.peek(SIGCHLD)
    assert (info.code, info.pid, info.status) == (CLD_STOPPED, child.process.pid, SIGSTOP)
    assert status_of(rig, parent, 0) == (0, 0)
    assert status_of(rig, parent, WUNTRACED) == (child.process.pid, SIGSTOP << 8 | 0x7F)
    assert status_of(rig, parent, WUNTRACED) == (0, 0)
    parent.process.pending.pop(SIGCHLD)
    send_signal(child.process, SigInfo(SIGCONT))
    info = parent.process.pending.peek(SIGCHLD)
    assert (info.code, info.status) == (CLD_CONTINUED, SIGCONT)
    rig.settle()
    assert job.done
    assert child.state() == "R"
    assert status_of(rig, parent, WCONTINUED | WUNTRACED) == (child.process.pid, 0xFFFF)
    assert status_of(rig, parent, WCONTINUED) == (0, 0)


def test_nocldstop_keeps_the_signal_but_not_the_status(rig: SignalRig) -> None:
    parent, child = job_control(rig)
    rig.catch(parent, SIGCHLD, SA_NOCLDSTOP)
    send_signal(child.process, SigInfo(SIGSTOP))
    rig.interrupt(child)
    assert parent.process.pending.mask == 0
    assert status_of(rig, parent, WUNTRACED)[0] == child.process.pid


def test_stop_waits_for_every_thread(rig: SignalRig) -> None:
    parent, child = job_control(rig)
    asleep, running = rig.thread(child), rig.thread(child)
    sleep = rig.trap(asleep, "pause")
    send_signal(child, SigInfo(SIGTSTP))
    stop = rig.interrupt(child)
    rig.settle()
    assert (child.state(), asleep.state(), running.state()) == ("T", "T", "R")
    assert not child.process.stopped
    assert rig.server.port.interrupted[-1] == running.ktask
    last = rig.interrupt(running)
    assert child.process.stopped
    assert status_of(rig, parent, WUNTRACED)[0] == child.process.pid
    send_signal(child.process, SigInfo(SIGCONT))
    rig.settle()
    assert stop.done
    assert last.done
    assert sleep.value().rip == CODE - 2


def test_continue_cuts_a_stop_short(rig: SignalRig) -> None:
    parent, child = job_control(rig)
    running = rig.thread(child)
    send_signal(child, SigInfo(SIGSTOP))
    stop = rig.interrupt(child)
    send_signal(child.process, SigInfo(SIGCONT))
    rig.settle()
    assert stop.done
    assert not running.stop_pending
    assert not running.attention
    assert parent.process.pending.pop(SIGCHLD).code == CLD_STOPPED
    assert status_of(rig, parent, WUNTRACED | WCONTINUED)[1] == 0xFFFF


def test_exit_of_the_last_running_thread_completes_a_stop(rig: SignalRig) -> None:
    parent, child = job_control(rig)
    running = rig.thread(child)
    send_signal(child, SigInfo(SIGSTOP))
    rig.interrupt(child)
    assert not child.process.stopped
    assert rig.ended(rig.trap(running, "exit", 0))
    assert child.process.stopped
    assert status_of(rig, parent, WUNTRACED)[0] == child.process.pid


def test_kill_ends_a_stopped_process(rig: SignalRig) -> None:
    parent, child = job_control(rig)
    send_signal(child.process, SigInfo(SIGSTOP))
    job = rig.interrupt(child)
    send_signal(child.process, SigInfo(SIGTERM))
    rig.settle()
    assert not job.done
    send_signal(child.process, SigInfo(SIGKILL))
    assert rig.ended(job)
    assert status_of(rig, parent, 0) == (child.process.pid, SIGKILL)


def test_handler_of_sigcont_runs_after_the_stop(rig: SignalRig) -> None:
    _, child = job_control(rig)
    rig.catch(child, SIGCONT)
    send_signal(child.process, SigInfo(SIGSTOP))
    job = rig.interrupt(child)
    send_signal(child.process, SigInfo(SIGCONT))
    rig.settle()
    assert job.value().rip == HANDLER


def test_orphaned_group_cannot_be_stopped_by_the_terminal(rig: SignalRig, t: Any) -> None:
    assert t.process.pgrp.is_orphaned()
    send_signal(t.process, SigInfo(SIGTSTP))
    assert rig.interrupt(t).done
    assert t.state() == "R"
    send_signal(t.process, SigInfo(SIGSTOP))
    assert not rig.interrupt(t).done
    assert t.state() == "T"


def test_blocked_sigcont_continues_all_the_same(rig: SignalRig) -> None:
    _, child = job_control(rig)
    child.blocked = bit(SIGCONT)
    send_signal(child.process, SigInfo(SIGSTOP))
    job = rig.interrupt(child)
    send_signal(child.process, SigInfo(SIGCONT))
    rig.settle()
    assert job.done
    assert child.process.pending.mask == bit(SIGCONT)
