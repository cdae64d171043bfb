"""rseq and membarrier: what threads need that work on data of their CPU without locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from syscalls.abi.errno import EBUSY, EINVAL, EPERM
from syscalls.abi.flags import (
    MEMBARRIER_CMD_FLAG_CPU,
    MEMBARRIER_CMD_GET_REGISTRATIONS,
    MEMBARRIER_CMD_GLOBAL,
    MEMBARRIER_CMD_GLOBAL_EXPEDITED,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
    MEMBARRIER_CMD_QUERY,
    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
    RSEQ_FLAG_UNREGISTER,
)
from syscalls.abi.structs import Rseq
from syscalls.errors import SysError
from syscalls.objects.rseq import RSEQ_ALIGN, Registration, register, unregister
from syscalls.registry import syscall
from syscalls.types import (
    Hex,
    InOut,
    MembarrierCommand,
    MembarrierCpu,
    MembarrierFlags,
    MembarrierResult,
    Shown,
    u32,
)

if TYPE_CHECKING:
    from syscalls.objects.task import Task

_ORIG_RSEQ_SIZE = 32

_BARRIERS = (MEMBARRIER_CMD_GLOBAL, MEMBARRIER_CMD_GLOBAL_EXPEDITED)
_PRIVATE_BARRIERS = (
    MEMBARRIER_CMD_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
)
_REGISTRATIONS = {
    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED: MEMBARRIER_CMD_GLOBAL_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: MEMBARRIER_CMD_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ: MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
}
"""Command that registers -> command that is possible then."""


@syscall("rseq", errors="EBUSY EFAULT EINVAL EPERM")
async def rseq(t: Task, rseq: Annotated[InOut[Rseq], Shown("hex")], rseq_len: Hex, flags: Hex, sig: Hex) -> None:
    """Register the struct through which a thread has restartable sequences, or take it back (man 2 rseq)."""
    rseq_len, flags, sig = u32(rseq_len), u32(flags), u32(sig)
    wanted, found = Registration(rseq, rseq_len, sig), t.rseq
    if flags & ~RSEQ_FLAG_UNREGISTER:
        raise SysError(EINVAL)
    if found is not None:
        if found[:2] != wanted[:2]:
            raise SysError(EINVAL)
        if found.signature != sig:
            raise SysError(EPERM)
        if not flags:
            raise SysError(EBUSY)
        await unregister(t, found)
        return
    # All lengths have one alignment: that of the first version of the struct is its size.
    if flags or rseq_len < _ORIG_RSEQ_SIZE or rseq % RSEQ_ALIGN:
        raise SysError(EINVAL)
    await register(t, wanted)


@syscall("membarrier", errors="EINVAL EPERM")
async def membarrier(
    t: Task, cmd: MembarrierCommand, flags: MembarrierFlags, cpu_id: MembarrierCpu
) -> MembarrierResult:
    """Order the memory accesses of all threads (man 2 membarrier).

    On one CPU no other thread runs meanwhile: each was interrupted, is past a barrier, and has to leave the critical
    section of rseq(2) that it was in.
    """
    if flags and (cmd, flags) != (MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU):
        raise SysError(EINVAL)
    if cmd == MEMBARRIER_CMD_QUERY:
        return sum((*_BARRIERS, *_PRIVATE_BARRIERS, *_REGISTRATIONS, MEMBARRIER_CMD_GET_REGISTRATIONS))
    if cmd == MEMBARRIER_CMD_GET_REGISTRATIONS:
        return _registrations(t.mm.membarrier)
    if cmd in _REGISTRATIONS:
        t.mm.membarrier |= _REGISTRATIONS[cmd]
    elif cmd in _PRIVATE_BARRIERS:
        if not t.mm.membarrier & cmd:
            raise SysError(EPERM)
    elif cmd not in _BARRIERS:
        raise SysError(EINVAL)
    return 0


def _registrations(possible: int) -> int:
    """The commands that registered; for Linux the special private barriers have registered the plain one, too."""
    found = sum(command for command, barrier in _REGISTRATIONS.items() if possible & barrier)
    if any(possible & barrier for barrier in _PRIVATE_BARRIERS):
        found |= MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
    return found
