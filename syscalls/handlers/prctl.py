"""prctl: properties of the calling task and process (man 2 prctl)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EINVAL, EPERM
from syscalls.abi.flags import (
    CAP_LAST_CAP,
    CAP_SETPCAP,
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAP_AMBIENT_IS_SET,
    PR_CAP_AMBIENT_LOWER,
    PR_CAP_AMBIENT_RAISE,
    PR_CAPBSET_DROP,
    PR_CAPBSET_READ,
    PR_GET_CHILD_SUBREAPER,
    PR_GET_DUMPABLE,
    PR_GET_ENDIAN,
    PR_GET_FPEMU,
    PR_GET_FPEXC,
    PR_GET_KEEPCAPS,
    PR_GET_MDWE,
    PR_GET_NAME,
    PR_GET_NO_NEW_PRIVS,
    PR_GET_PDEATHSIG,
    PR_GET_SECCOMP,
    PR_GET_SECUREBITS,
    PR_GET_THP_DISABLE,
    PR_GET_TID_ADDRESS,
    PR_GET_TIMERSLACK,
    PR_GET_TIMING,
    PR_GET_TSC,
    PR_GET_UNALIGN,
    PR_MCE_KILL,
    PR_MCE_KILL_CLEAR,
    PR_MCE_KILL_DEFAULT,
    PR_MCE_KILL_GET,
    PR_MCE_KILL_SET,
    PR_MPX_DISABLE_MANAGEMENT,
    PR_MPX_ENABLE_MANAGEMENT,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_ENDIAN,
    PR_SET_FPEMU,
    PR_SET_FPEXC,
    PR_SET_KEEPCAPS,
    PR_SET_NAME,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    PR_SET_PTRACER,
    PR_SET_SECUREBITS,
    PR_SET_THP_DISABLE,
    PR_SET_TIMERSLACK,
    PR_SET_TIMING,
    PR_SET_TSC,
    PR_SET_UNALIGN,
    PR_SET_VMA,
    PR_TIMING_STATISTICAL,
    PR_TSC_ENABLE,
    PR_TSC_SIGSEGV,
    SECBIT_KEEP_CAPS,
    SECBIT_KEEP_CAPS_LOCKED,
    SECBIT_NO_CAP_AMBIENT_RAISE,
)
from syscalls.errors import SysError
from syscalls.registry import PARTIAL, syscall
from syscalls.types import PrctlOp, PrctlResult, ULong

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.objects.task import Task

_NSIG = 64
_COMM_LEN = 16
_SECURE_BITS = 0x55
_SECURE_LOCKS = 0xAA
_REFUSED_QUIETLY = frozenset(
    (
        # Not for x86-64, or gone.
        PR_GET_UNALIGN, PR_SET_UNALIGN, PR_GET_FPEMU, PR_SET_FPEMU, PR_GET_FPEXC, PR_SET_FPEXC, PR_GET_ENDIAN,
        PR_SET_ENDIAN, PR_MPX_ENABLE_MANAGEMENT, PR_MPX_DISABLE_MANAGEMENT,
        # Refused by a Linux built without them too: names for mappings, Yama.
        PR_SET_VMA, PR_SET_PTRACER,
    )
)  # fmt: skip
"""EINVAL that is no news to anybody."""


@syscall(
    "prctl",
    errors="EFAULT EINVAL EPERM",
    support=PARTIAL,
    notes="no seccomp, PR_SET_MM, PR_TSC_SIGSEGV, speculation control",
)
async def prctl(t: Task, op: PrctlOp, arg2: ULong, arg3: ULong, arg4: ULong, arg5: ULong) -> PrctlResult:
    """Properties of the calling task and process (man 2 prctl)."""
    handler = _HANDLERS.get(op)
    if handler is not None:
        return await handler(t, arg2, (arg3, arg4, arg5))
    if op not in _REFUSED_QUIETLY:
        t.server.unsupported(f"prctl {op}", t)
    raise SysError(EINVAL)


async def _set_name(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    raw = await t.mem.read_some(arg2, _COMM_LEN - 1)
    name, nul, _ = raw.partition(b"\0")
    if not nul and len(raw) < _COMM_LEN - 1:
        await t.mem.read(arg2, _COMM_LEN - 1)  # no NUL before the end of the page: EFAULT
    t.comm = name
    return 0


async def _get_name(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    await t.mem.write(arg2, t.comm[: _COMM_LEN - 1].ljust(_COMM_LEN, b"\0"))
    return 0


async def _set_pdeathsig(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if arg2 > _NSIG:
        raise SysError(EINVAL)
    t.pdeath_signal = arg2
    return 0


async def _get_pdeathsig(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    await t.mem.put_u32(arg2, t.pdeath_signal)
    return 0


async def _set_dumpable(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if arg2 > 1:
        raise SysError(EINVAL)
    t.process.dumpable = arg2
    return 0


async def _get_dumpable(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    return t.process.dumpable


async def _set_keepcaps(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if arg2 > 1:
        raise SysError(EINVAL)
    bits = t.creds.securebits
    if bits & SECBIT_KEEP_CAPS_LOCKED:
        raise SysError(EPERM)
    bits = bits | SECBIT_KEEP_CAPS if arg2 else bits & ~SECBIT_KEEP_CAPS
    t.creds = t.creds._replace(securebits=bits)
    return 0


async def _get_keepcaps(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    return int(bool(t.creds.securebits & SECBIT_KEEP_CAPS))


async def _set_securebits(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    old = t.creds.securebits
    locks = old & _SECURE_LOCKS
    if locks >> 1 & (old ^ arg2) or locks & ~arg2 or arg2 & ~(_SECURE_LOCKS | _SECURE_BITS):
        raise SysError(EPERM)
    if not t.creds.capable(CAP_SETPCAP):
        raise SysError(EPERM)
    t.creds = t.creds._replace(securebits=arg2)
    return 0


async def _get_securebits(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    return t.creds.securebits


async def _capbset_read(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if arg2 > CAP_LAST_CAP:
        raise SysError(EINVAL)
    return t.creds.bounding >> arg2 & 1


async def _capbset_drop(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if not t.creds.capable(CAP_SETPCAP):
        raise SysError(EPERM)
    if arg2 > CAP_LAST_CAP:
        raise SysError(EINVAL)
    t.creds = t.creds._replace(bounding=t.creds.bounding & ~(1 << arg2))
    return 0


async def _cap_ambient(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    cap, arg4, arg5 = rest
    creds = t.creds
    if arg2 == PR_CAP_AMBIENT_CLEAR_ALL:
        if cap or arg4 or arg5:
            raise SysError(EINVAL)
        t.creds = creds._replace(ambient=0)
        return 0
    if cap > CAP_LAST_CAP or arg4 or arg5:
        raise SysError(EINVAL)
    if arg2 == PR_CAP_AMBIENT_IS_SET:
        return creds.ambient >> cap & 1
    if arg2 == PR_CAP_AMBIENT_LOWER:
        t.creds = creds._replace(ambient=creds.ambient & ~(1 << cap))
    elif arg2 == PR_CAP_AMBIENT_RAISE:
        both = creds.permitted & creds.inheritable
        if not both >> cap & 1 or creds.securebits & SECBIT_NO_CAP_AMBIENT_RAISE:
            raise SysError(EPERM)
        t.creds = creds._replace(ambient=creds.ambient | 1 << cap)
    else:
        raise SysError(EINVAL)
    return 0


async def _set_no_new_privs(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if arg2 != 1 or any(rest):
        raise SysError(EINVAL)
    t.no_new_privs = True
    return 0


async def _get_no_new_privs(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if arg2 or any(rest):
        raise SysError(EINVAL)
    return int(t.no_new_privs)


async def _set_timerslack(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if not t.sched_priority:  # a real-time task has none
        t.timer_slack_ns = arg2 or t.default_slack_ns
    return 0


async def _get_timerslack(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    return t.timer_slack_ns


async def _set_child_subreaper(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    t.process.is_subreaper = arg2 != 0
    return 0


async def _get_child_subreaper(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    await t.mem.put_u32(arg2, t.process.is_subreaper)
    return 0


async def _get_tid_address(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    await t.mem.put_u64(arg2, t.clear_child_tid)
    return 0


async def _set_tsc(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if arg2 == PR_TSC_SIGSEGV:
        t.server.unsupported("prctl: PR_TSC_SIGSEGV", t)
    if arg2 != PR_TSC_ENABLE:
        raise SysError(EINVAL)
    return 0


async def _get_tsc(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    await t.mem.put_u32(arg2, PR_TSC_ENABLE)
    return 0


async def _set_timing(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if arg2 != PR_TIMING_STATISTICAL:
        raise SysError(EINVAL)
    return 0


async def _get_timing(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    return PR_TIMING_STATISTICAL


async def _get_seccomp(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    return 0


async def _set_thp_disable(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if any(rest):
        raise SysError(EINVAL)
    t.process.thp_disable = arg2 != 0
    return 0


async def _get_thp_disable(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if arg2 or any(rest):
        raise SysError(EINVAL)
    return int(t.process.thp_disable)


async def _zero_without_arguments(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if arg2 or any(rest):
        raise SysError(EINVAL)
    return 0


async def _mce_kill(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    policy, arg4, arg5 = rest
    if arg4 or arg5 or policy > PR_MCE_KILL_DEFAULT:
        raise SysError(EINVAL)
    if arg2 == PR_MCE_KILL_CLEAR and not policy:
        policy = PR_MCE_KILL_DEFAULT
    elif arg2 != PR_MCE_KILL_SET:
        raise SysError(EINVAL)
    t.mce_kill = policy
    return 0


async def _mce_kill_get(t: Task, arg2: int, rest: tuple[int, int, int]) -> int:
    if arg2 or any(rest):
        raise SysError(EINVAL)
    return t.mce_kill


_HANDLERS: dict[int, Callable[[Task, int, tuple[int, int, int]], Awaitable[int]]] = {
    PR_SET_NAME: _set_name,
    PR_GET_NAME: _get_name,
    PR_SET_PDEATHSIG: _set_pdeathsig,
    PR_GET_PDEATHSIG: _get_pdeathsig,
    PR_SET_DUMPABLE: _set_dumpable,
    PR_GET_DUMPABLE: _get_dumpable,
    PR_SET_KEEPCAPS: _set_keepcaps,
    PR_GET_KEEPCAPS: _get_keepcaps,
    PR_SET_SECUREBITS: _set_securebits,
    PR_GET_SECUREBITS: _get_securebits,
    PR_CAPBSET_READ: _capbset_read,
    PR_CAPBSET_DROP: _capbset_drop,
    PR_CAP_AMBIENT: _cap_ambient,
    PR_SET_NO_NEW_PRIVS: _set_no_new_privs,
    PR_GET_NO_NEW_PRIVS: _get_no_new_privs,
    PR_SET_TIMERSLACK: _set_timerslack,
    PR_GET_TIMERSLACK: _get_timerslack,
    PR_SET_CHILD_SUBREAPER: _set_child_subreaper,
    PR_GET_CHILD_SUBREAPER: _get_child_subreaper,
    PR_GET_TID_ADDRESS: _get_tid_address,
    PR_SET_TSC: _set_tsc,
    PR_GET_TSC: _get_tsc,
    PR_SET_TIMING: _set_timing,
    PR_GET_TIMING: _get_timing,
    PR_GET_SECCOMP: _get_seccomp,
    PR_SET_THP_DISABLE: _set_thp_disable,
    PR_GET_THP_DISABLE: _get_thp_disable,
    PR_GET_MDWE: _zero_without_arguments,
    PR_MCE_KILL: _mce_kill,
    PR_MCE_KILL_GET: _mce_kill_get,
}
