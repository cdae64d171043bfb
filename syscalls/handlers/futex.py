"""futex: sleeping on a word of memory and waking who sleeps there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from linuxemu.arch.x86_64 import USER_END
from syscalls.abi.errno import EAGAIN, EFAULT, EINVAL, ENOSYS, ETIMEDOUT
from syscalls.abi.flags import FUTEX_OP_XOR, PROT_WRITE
from syscalls.abi.structs import Timespec
from syscalls.errors import Interrupted, Restart, SysError
from syscalls.objects.futex import ANY_BITS
from syscalls.registry import PARTIAL, syscall
from syscalls.types import FutexOp, FutexTimeout, FutexVal, FutexVal3, InOut, Shown, s32

if TYPE_CHECKING:
    from syscalls.objects.futex import Key
    from syscalls.objects.task import Task

_WAIT, _WAKE, _REQUEUE, _CMP_REQUEUE, _WAKE_OP, _WAIT_BITSET, _WAKE_BITSET = 0, 1, 3, 4, 5, 9, 10
_PRIVATE, _CLOCK_REALTIME = 128, 256
_NS = 1_000_000_000


async def _deadline(t: Task, timeout: int, op: int, realtime: bool) -> int | None:
    """Absolute deadline on the kernel's clock, None for no limit."""
    if not timeout:
        return None
    value = await t.mem.struct(timeout, Timespec)
    if value.tv_sec < 0 or not 0 <= value.tv_nsec < _NS:
        raise SysError(EINVAL)
    ns = value.tv_sec * _NS + value.tv_nsec
    if op == _WAIT:
        return t.server.port.now_ns() + ns
    now = await t.server.clock_ns(0 if realtime else 1)
    return t.server.port.now_ns() + ns - now


async def _key(t: Task, address: int, private: bool) -> Key:
    """What identifies a futex; one that may be shared must be in memory that is mapped and may change."""
    if address & 3:
        raise SysError(EINVAL)
    if address + 4 > USER_END:
        raise SysError(EFAULT)
    if not private:
        await t.mem.read(address, 4)
        vma = t.mm.find(address)
        if vma is not None and vma.pages is None and not vma.prot & PROT_WRITE:
            raise SysError(EFAULT)
    return t.server.futexes.key(t.mm, address, private)


async def _wait(t: Task, uaddr: int, private: bool, val: int, bits: int, deadline_ns: int | None) -> int:
    if not bits:
        raise SysError(EINVAL)
    futexes = t.server.futexes
    key = await _key(t, uaddr, private)
    found = await t.mem.u32(uaddr)
    waiter = futexes.add(key, bits)
    restart = Restart.SYS if deadline_ns is None else Restart.BLOCK
    try:
        if found != val:
            raise SysError(EAGAIN)
        done = await t.wait([waiter.queue], lambda: waiter.woken or None, deadline_ns, restart)
    except Interrupted:
        t.restart_block = lambda: _wait(t, uaddr, private, val, bits, deadline_ns)
        raise
    finally:
        futexes.discard(waiter)
    if not done:
        raise SysError(ETIMEDOUT)
    return 0


async def _wake_op(t: Task, source: Key, val: int, val2: int, uaddr2: int, target: Key, val3: int) -> int:
    """Change one word, wake at another, and here too if it compared (FUTEX_WAKE_OP)."""
    op, compare = val3 >> 28 & 7, val3 >> 24 & 15
    operand, against = s32(val3 << 8 & 0xFFFF_FFFF) >> 20, s32(val3 << 20 & 0xFFFF_FFFF) >> 20
    if val3 >> 31:
        operand = 1 << (operand & 31)
    if op > FUTEX_OP_XOR:
        raise SysError(ENOSYS)
    old = await t.mem.u32(uaddr2)
    results = (operand, old + operand, old | operand, old & ~operand, old ^ operand)
    await t.mem.put_u32(uaddr2, results[op])
    signed = s32(old)
    holds = (
        signed == against, signed != against, signed < against, signed <= against, signed > against, signed >= against
    )  # fmt: skip
    if compare >= len(holds):
        raise SysError(ENOSYS)
    woken = t.server.futexes.wake(source, max(val, 1))
    if holds[compare]:
        woken += t.server.futexes.wake(target, max(val2, 1))
    return woken


@syscall(
    "futex",
    errors="EAGAIN EFAULT EINTR EINVAL EIO ENOSYS ETIMEDOUT",
    support=PARTIAL,
    notes="no priority inheritance, no FUTEX_FD",
)
async def futex(
    t: Task,
    uaddr: Annotated[InOut[int], Shown("address")],
    futex_op: FutexOp,
    val: FutexVal,
    timeout: FutexTimeout,
    uaddr2: Annotated[InOut[int], Shown("futex_uaddr2")],
    val3: FutexVal3,
) -> int:
    """Wait for a word to change, or wake who waits (man 2 futex).

    Setting the clock does not move the end of a wait with FUTEX_CLOCK_REALTIME; on Linux it does.
    """
    op = futex_op & ~(_PRIVATE | _CLOCK_REALTIME)
    private = bool(futex_op & _PRIVATE)
    deadline = None
    if op in (_WAIT, _WAIT_BITSET):
        deadline = await _deadline(t, timeout, op, bool(futex_op & _CLOCK_REALTIME))
    if futex_op & _CLOCK_REALTIME and op != _WAIT_BITSET:
        raise SysError(ENOSYS)
    if op in (_WAIT, _WAIT_BITSET):
        return await _wait(t, uaddr, private, val, val3 if op == _WAIT_BITSET else ANY_BITS, deadline)
    if op in (_WAKE, _WAKE_BITSET):
        bits = val3 if op == _WAKE_BITSET else ANY_BITS
        if not bits:
            raise SysError(EINVAL)
        return t.server.futexes.wake(await _key(t, uaddr, private), max(s32(val), 1), bits)
    if op not in (_REQUEUE, _CMP_REQUEUE, _WAKE_OP):
        t.server.unsupported(f"futex: operation {op}", t)
        raise SysError(ENOSYS)
    if op != _WAKE_OP and (s32(val) < 0 or s32(timeout) < 0):
        raise SysError(EINVAL)
    source, target = await _key(t, uaddr, private), await _key(t, uaddr2, private)
    if op == _WAKE_OP:
        return await _wake_op(t, source, s32(val), s32(timeout), uaddr2, target, val3)
    if op == _CMP_REQUEUE and await t.mem.u32(uaddr) != val3:
        raise SysError(EAGAIN)
    # The number of those woken and those moved, whatever man 2 futex says of FUTEX_REQUEUE.
    woken = t.server.futexes.wake(source, val)
    return woken + t.server.futexes.requeue(source, target, s32(timeout))
