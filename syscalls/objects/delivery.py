"""The tail of every trap: signals are taken, calls restarted, stops kept and deaths died (man 7 signal)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EINTR
from syscalls.abi.flags import (
    RLIMIT_CORE,
    SA_NODEFER,
    SA_RESETHAND,
    SA_RESTART,
    SIG_DFL,
    SIG_IGN,
    SIGKILL,
    SIGSTOP,
    SS_AUTODISARM,
    SS_DISABLE,
)
from syscalls.errors import Restart, SysError
from syscalls.objects.exit import exit_task
from syscalls.objects.rseq import leave_critical_section
from syscalls.objects.siginfo import UNBLOCKABLE
from syscalls.objects.signal import (
    DUMPS_CORE,
    IGNORED_BY_DEFAULT,
    STOPS,
    begin_group_exit,
    begin_stop,
    bit,
    complete_stop,
    dequeue,
    force_segv,
)
from syscalls.objects.task import STOPPED, AltStack, TaskExited
from syscalls.sigframe_x86_64 import INITIAL_FXSAVE, push_frame

if TYPE_CHECKING:
    from typing import NoReturn

    from linuxemu.messages import TrapFrame
    from syscalls.objects.siginfo import SigAction, SigInfo
    from syscalls.objects.task import Task

_RESTART_SYSCALL = 219
_SYSCALL_LENGTH = 2
_MINUS_EINTR = (1 << 64) - EINTR
CORE_DUMPED = 0x80
_PAGE = 4096


async def deliver(t: Task, frame: TrapFrame, in_syscall: bool) -> TrapFrame:
    """Do what a task owes before it returns to user code, if `t.attention` or `t.restart` is set.

    Args:
        t: the task.
        frame: its registers, with the result of the call if there was one that was not interrupted.
        in_syscall: the trap is a system call; then `t.frame.rax` holds its number if `t.restart` is set.
    Returns:
        The registers to go on with. If a handler is to run, `port.set_regs` was called with them, too.
    Raises:
        TaskExited: the task is gone.
    """
    restart = t.restart if in_syscall else 0
    t.restart = 0
    while True:
        taken = await _next_handler(t)
        if taken is not None:
            info, action = taken
            if restart:
                frame = _after_interrupt(t, frame, restart, action)
                restart = 0
            frame = await _enter_handler(t, frame, info, action)
            if not t.attention:
                return frame
            continue
        if restart:
            frame = _after_interrupt(t, frame, restart, None)
            restart = 0
        if t.saved_blocked is not None:
            mask, t.saved_blocked = t.saved_blocked, None
            t.blocked = mask
        if not t.attention:
            return frame


async def resume(t: Task, frame: TrapFrame) -> TrapFrame:
    """Do what a task owes that goes on after others could run: as `deliver`, and its critical section is left.

    Args:
        t: the task; it did not come by a system call.
        frame: its registers.
    Returns:
        The registers to go on with.
    Raises:
        TaskExited: the task is gone.
    """
    if t.attention:
        frame = await deliver(t, frame, False)
    while t.rseq is not None:
        after = await leave_critical_section(t, t.rseq, frame)
        if after is not frame:
            frame = after
            regs = t.server.port.get_regs(t.ktask)  # a frame alone would come with the rcx and r11 of `sysret`
            regs.frame = frame
            t.server.port.set_regs(t.ktask, regs)
        if not t.attention:
            break
        frame = await deliver(t, frame, False)
    return frame


def _after_interrupt(t: Task, frame: TrapFrame, restart: int, action: SigAction | None) -> TrapFrame:
    """What an interrupted call comes to: EINTR, or the `syscall` instruction again.

    Args:
        t: the task.
        frame: its registers.
        restart: a `Restart` kind.
        action: of the handler that runs first, None if there is none.
    """
    number = t.frame.rax
    if action is None:
        again = restart != Restart.NEVER
        if restart == Restart.BLOCK:
            number = _RESTART_SYSCALL
    else:
        again = restart == Restart.ALWAYS or (restart == Restart.SYS and bool(action.flags & SA_RESTART))
    if not again:
        return frame._replace(rax=_MINUS_EINTR)
    return frame._replace(rax=number, rip=frame.rip - _SYSCALL_LENGTH)


async def _next_handler(t: Task) -> tuple[SigInfo, SigAction] | None:
    """Take signals until one has a handler or none is left; act by default on those without one."""
    process = t.process
    while True:
        if process.group_exit is not None:
            await _die(t, process.group_exit)
        if process.exec_task is not None and process.exec_task is not t:
            await exit_task(t, 0)
            raise TaskExited
        if t.stop_pending:
            await _stop(t)
            continue
        info = dequeue(t, ~t.blocked)
        if info is None:
            return None
        signo = info.signo
        if t.tracer is not None and signo != SIGKILL:
            t.tracer.signaled(t, info)
        action = process.sighand.get(signo)
        if action.handler == SIG_IGN:
            continue
        if action.handler != SIG_DFL:
            if action.flags & SA_RESETHAND:
                process.sighand.set(signo, action._replace(handler=SIG_DFL))
            return info, action
        await _default_action(t, info)


async def _default_action(t: Task, info: SigInfo) -> None:
    mask = bit(info.signo)
    if mask & IGNORED_BY_DEFAULT or t.process.unkillable:
        return
    if mask & STOPS:
        # Nobody could continue a job whose group is orphaned, so the terminal may not stop it.
        if info.signo == SIGSTOP or not t.process.pgrp.is_orphaned():
            begin_stop(t, info.signo)
        return
    await _die(t, info.signo | (CORE_DUMPED if mask & DUMPS_CORE and _dumps(t) else 0))


def _dumps(t: Task) -> bool:
    """Whether Linux would have written a core file; we set the status bit it sets then, and write none."""
    return t.process.rlimits[RLIMIT_CORE][0] >= _PAGE and t.process.dumpable == 1


async def _die(t: Task, status: int) -> NoReturn:
    begin_group_exit(t.process, status, t)
    t.pending.flush(bit(SIGKILL))
    await exit_task(t, status)
    raise TaskExited


async def _stop(t: Task) -> None:
    """Sleep until SIGCONT or SIGKILL; the last task to stop tells the parent."""
    t.stop_pending = False
    t.update_attention()
    complete_stop(t.process, t)
    if t.tracer is not None:
        t.tracer.stopped(t, t.process.stop_signo)
    await t.sleep_on(t.server.port.waiter(), STOPPED)


async def _enter_handler(t: Task, frame: TrapFrame, info: SigInfo, action: SigAction) -> TrapFrame:
    """Make the task run a handler; SIGSEGV instead if its frame cannot be built."""
    if t.rseq is not None:
        frame = await leave_critical_section(t, t.rseq, frame, info.signo)
    port = t.server.port
    regs = port.get_regs(t.ktask)
    regs.frame = frame
    try:
        entry = await push_frame(t, regs, info, action)
    except SysError:
        force_segv(t, info.signo)
        return frame
    t.saved_blocked = None
    mask = t.blocked | action.mask
    if not action.flags & SA_NODEFER:
        mask |= bit(info.signo)
    t.blocked = mask & ~UNBLOCKABLE
    if t.sigaltstack.flags & SS_AUTODISARM:
        t.sigaltstack = AltStack(0, SS_DISABLE, 0)
    regs.frame = entry
    regs.fxsave = INITIAL_FXSAVE
    port.set_regs(t.ktask, regs)
    return entry
