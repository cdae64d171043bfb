"""Carrying out -e inject= and -e fault=: calls that fail, return what they are told, wait, meet a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls import registry
from syscalls.abi.flags import SI_KERNEL
from syscalls.errors import OutOfMemory, SysError
from syscalls.objects.siginfo import SigInfo
from syscalls.objects.signal import send_signal
from syscalls.objects.task import KILLABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linuxemu.messages import TrapFrame
    from linuxemu.trace.call import Call
    from linuxemu.trace.tampering import Injection, Poke
    from syscalls.objects.task import Task
    from syscalls.registry import Invoke

# Where a trap frame has rdi, rsi, rdx, r10, r8, r9.
_ARGUMENTS = registry.ARGUMENT_INDEX


async def poke(call: Call, pokes: Sequence[Poke]) -> bool:
    """Write to where arguments point to; whether anything was written."""
    done = False
    for one in pokes:
        if one.argument >= len(call.args):
            continue
        try:
            await call.mem.write(call.frame[_ARGUMENTS[one.argument]], one.data)
            done = True
        except (SysError, OutOfMemory):
            pass  # as strace, what cannot be written is left
    return done


async def delay(t: Task, ns: int) -> None:
    """Keep a task waiting; only its end wakes it early."""
    port = t.server.port
    end_ns = port.now_ns() + ns
    while (left_ns := end_ns - port.now_ns()) > 0 and not t.fatal_signal_pending():
        waiter = port.waiter()
        timer = port.call_at(port.now_ns() + left_ns, waiter.wake)
        try:
            await t.sleep_on(waiter, KILLABLE)
        finally:
            timer.cancel()


async def before(call: Call, injection: Injection) -> None:
    """What happens as the call begins; its arguments are shown afterwards."""
    call.injected = marks(injection, await poke(call, injection.poke_enter))
    call.forced = injection.retval is not None


def marks(injection: Injection, poked: bool) -> str:
    """What stands behind the result of a call.

    Args:
        injection: what is done to the call.
        poked: something was written to where its arguments point to.
    """
    returns = injection.error is not None or injection.retval is not None
    found = []
    if poked:
        found.append("(INJECTED: args, retval)" if returns else "(INJECTED: args)")
    elif returns:
        found.append("(INJECTED)")
    if injection.delay_enter_ns or injection.delay_exit_ns:
        found.append("(DELAYED)")
    return " ".join(found)


async def serve(call: Call, injection: Injection, invoke: Invoke) -> int | None:
    """The call as it is tampered with, in place of its handler."""
    t, frame = call.t, call.frame
    if injection.delay_enter_ns:
        await delay(t, injection.delay_enter_ns)
    if injection.signal is not None:
        send_signal(t, SigInfo(injection.signal, SI_KERNEL))
    if injection.error is None and injection.retval is None:
        return await invoke(t, frame)
    if injection.syscall is not None:
        await _other(t, frame, injection.syscall)
    if injection.error is not None:
        return -injection.error
    return injection.retval


async def after(call: Call, injection: Injection) -> None:
    """What happens when the call has ended."""
    if await poke(call, injection.poke_exit):
        call.injected = marks(injection, True)
    if injection.delay_exit_ns:
        await delay(call.t, injection.delay_exit_ns)


async def _other(t: Task, frame: TrapFrame, number: int) -> None:
    """Make another call with the same arguments; what it returns is not seen."""
    declared = registry.TABLE.get(number)
    if declared is not None:
        try:
            await declared.compile()(t, frame)
        except SysError:
            pass
