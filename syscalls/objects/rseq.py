"""Restartable sequences: code that works on what belongs to a CPU, and begins anew if it lost that CPU (man 2 rseq).

A thread says where its struct rseq lies. There Linux keeps the number of the CPU, always up to date when the thread
runs, and there the thread says which critical section it is about to enter. One that is interrupted, by other tasks
that run or by a signal, goes on at the abort handler of its critical section.

There is one CPU here, so all numbers that Linux would write are 0. They are written when a struct is registered and
when a critical section is left; what a program itself writes there instead, Linux overwrites somewhat sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from linuxemu.arch.x86_64 import USER_END
from syscalls.abi.errno import EFAULT, EINVAL
from syscalls.abi.flags import RSEQ_CPU_ID_UNINITIALIZED
from syscalls.abi.structs import Rseq, RseqCs
from syscalls.errors import SysError
from syscalls.objects.signal import force_segv

if TYPE_CHECKING:
    from linuxemu.messages import TrapFrame
    from syscalls.objects.task import Task

RSEQ_ALIGN = 32
"""Of struct rseq: what AT_RSEQ_ALIGN says."""
_SIGNATURE_SIZE = 4
_CS_OFFSET = 8
_MASK = 0xFFFF_FFFF_FFFF_FFFF


class Registration(NamedTuple):
    """What a thread has registered."""

    address: int
    """Of its struct rseq."""
    length: int
    """Of the struct, bytes."""
    signature: int
    """What stands in front of each abort handler."""


async def register(t: Task, new: Registration) -> None:
    """Begin to keep a struct rseq; a thread whose struct cannot be written gets SIGSEGV.

    Raises:
        SysError: EFAULT.
    """
    if new.address + new.length > USER_END:
        raise SysError(EFAULT)
    found = await t.mem.struct(new.address, Rseq)
    if found.rseq_cs:
        await t.mem.put(new.address, found.replace(rseq_cs=0))
    t.rseq = new
    watch(t, new)
    try:
        await t.mem.put(new.address, Rseq(flags=found.flags))
    except SysError:
        force_segv(t)


async def unregister(t: Task, old: Registration) -> None:
    """Say in the struct rseq that nobody keeps it any more.

    Raises:
        SysError: EFAULT, and it stays registered.
    """
    found = await t.mem.struct(old.address, Rseq)
    await t.mem.put(old.address, Rseq(0, RSEQ_CPU_ID_UNINITIALIZED & 0xFFFF_FFFF, found.rseq_cs, found.flags))
    forget(t)


def watch(t: Task, rseq: Registration) -> None:
    """Have the task come here when it was interrupted in a critical section, or when its struct cannot be written."""
    t.server.port.watch_preemption(t.ktask, rseq.address + _CS_OFFSET)


def forget(t: Task) -> None:
    """The struct rseq is not there any more."""
    t.rseq = None
    t.server.port.watch_preemption(t.ktask, None)


async def leave_critical_section(t: Task, rseq: Registration, frame: TrapFrame, signo: int = 0) -> TrapFrame:
    """A thread was interrupted: returns its registers, at the abort handler if it was in a critical section.

    One whose critical section is not what Linux takes for one gets SIGSEGV.

    Args:
        t: the thread.
        rseq: what it has registered.
        frame: its registers.
        signo: the signal whose handler is about to run, 0 for none.
    """
    try:
        found = await t.mem.struct(rseq.address, Rseq)
        abort_ip = await _abort_ip(t, rseq, found, frame.rip) if found.rseq_cs else None
        await t.mem.put(rseq.address, Rseq(flags=found.flags))
        if abort_ip is not None:
            return frame._replace(rip=abort_ip)
    except SysError:
        force_segv(t, signo)
    return frame


async def _abort_ip(t: Task, rseq: Registration, found: Rseq, ip: int) -> int | None:
    """Where the abort handler of a critical section is, None if `ip` does not lie in it.

    Args:
        t: the thread.
        rseq: what it has registered.
        found: its struct rseq.
        ip: where the thread is.
    Raises:
        SysError: EFAULT or EINVAL, for what ends with SIGSEGV.
    """
    section = await t.mem.struct(found.rseq_cs, RseqCs)
    start, length, abort = section.start_ip, section.post_commit_offset, section.abort_ip
    if section.version or start + length >= USER_END or abort >= USER_END or (abort - start) & _MASK < length:
        raise SysError(EINVAL)
    if await t.mem.u32((abort - _SIGNATURE_SIZE) & _MASK) != rseq.signature:
        raise SysError(EINVAL)
    if (ip - start) & _MASK >= length:
        return None
    if section.flags or found.flags:
        raise SysError(EINVAL)
    return abort
