"""Limits, priorities and scheduling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import changes, shows, shows_struct
from linuxemu.trace.formats.basic import address, flags, follows, named, pid
from linuxemu.trace.formats.numbers import listed, word
from syscalls.abi.errno import E2BIG
from syscalls.abi.flags import (
    IOPRIO_CLASS_SHIFT,
    IOPRIO_WHO_PROCESS,
    PRIO_PROCESS,
    RLIM_INFINITY,
    SCHED_FLAG_KEEP_PARAMS,
    SCHED_FLAG_KEEP_POLICY,
)
from syscalls.abi.structs import SchedAttr

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.abi.structs import Rlimit
    from syscalls.types import Arg

_U32 = 0xFFFF_FFFF
_KIB = 1024
_MOST_CPU_BYTES = 128
_POLICIES = {**listed("SCHED_", "OTHER FIFO RR BATCH"), 4: "SCHED_ISO", **listed("SCHED_", "IDLE DEADLINE")}
_ATTR_FLAGS = listed(
    "SCHED_FLAG_", "RESET_ON_FORK RECLAIM DL_OVERRUN KEEP_POLICY KEEP_PARAMS UTIL_CLAMP_MIN UTIL_CLAMP_MAX"
)
_ATTR_V0 = 48
_PARAMETERS = ("sched_nice", "sched_priority", "sched_runtime", "sched_deadline", "sched_period")
_CLAMPS = ("sched_util_min", "sched_util_max")
_IO_CLASSES = listed("IOPRIO_CLASS_", "NONE RT BE IDLE")


# -- limits -----------------------------------------------------------------------------------------------


@shows_struct("Rlimit")
def rlimit(call: Call, value: Rlimit) -> str:
    """A soft and a hard limit."""
    return f"{{rlim_cur={_limit(call, value.rlim_cur)}, rlim_max={_limit(call, value.rlim_max)}}}"


def _limit(call: Call, value: int) -> str:
    """Infinity by name, whole KiB as a product."""
    if value == RLIM_INFINITY:
        text = "RLIM64_INFINITY"
    elif value > _KIB and not value % _KIB:
        text = f"{value // _KIB}*{_KIB}"
    else:
        return str(value)
    style = call.style.constants
    return text if style == "abbrev" else str(value) if style == "raw" else f"{value} /* {text} */"


# -- scheduling -------------------------------------------------------------------------------------------


@shows("priority_who")
def priority_who(call: Call, value: int, arg: Arg) -> str:
    """Whose priority: a process or thread, a process group, or a user."""
    which = call.argument("which")
    thread = which == (IOPRIO_WHO_PROCESS if call.plan.name.startswith("ioprio") else PRIO_PROCESS)
    return pid(call, value, arg) if thread else str(value)


@shows("sched_policy")
def sched_policy(call: Call, value: int, arg: Arg) -> str:
    """A scheduling policy."""
    return named(call, value & _U32, _POLICIES, "SCHED_???")


@shows("sched_policy_result")
def sched_policy_result(call: Call, value: int, arg: Arg) -> str:
    """A scheduling policy as a number, and its name."""
    return f"{value} ({_POLICIES[value]})" if value in _POLICIES else str(value)


def _attr_text(call: Call, value: SchedAttr, size: int, setting: bool) -> str:
    """The fields that a struct sched_attr of some size has; without those that flags of sched_setattr(2) leave out."""
    parts = [f"size={value.size}"]
    if size >= _ATTR_V0:
        kept = value.sched_flags if setting else 0
        if not kept & (SCHED_FLAG_KEEP_POLICY | SCHED_FLAG_KEEP_PARAMS):
            parts.append(f"sched_policy={named(call, value.sched_policy, _POLICIES, 'SCHED_???')}")
        parts.append(f"sched_flags={flags(call, value.sched_flags, _ATTR_FLAGS, 'SCHED_FLAG_???')}")
        if not kept & SCHED_FLAG_KEEP_PARAMS:
            parts += [f"{name}={getattr(value, name)}" for name in _PARAMETERS]
    if size >= SchedAttr.SIZE:
        parts += [f"{name}={getattr(value, name)}" for name in _CLAMPS]
    if setting and size > SchedAttr.SIZE:
        parts.append("...")
    return "{" + ", ".join(parts) + "}"


@shows("sched_attr")
def sched_attr(call: Call, addr: int, arg: Arg) -> str:
    """What sched_setattr(2) is given, as much of it as its first field says."""
    call.separator = ""
    size_data = call.read(addr, 4) if follows(call, addr, arg) else None
    if size_data is None:
        return address(call, addr)
    size = word(size_data) or _ATTR_V0
    data = call.read(addr, min(size, SchedAttr.SIZE)) if size >= _ATTR_V0 else size_data
    if data is None:
        return address(call, addr)
    return _attr_text(call, SchedAttr.unpack(data.ljust(SchedAttr.SIZE, b"\0")), size, True)


@changes("sched_attr")
def sched_attr_size(call: Call, addr: int, arg: Arg) -> str:
    """The size that sched_setattr(2) knows, if it was given a larger structure."""
    data = call.read(addr, 4) if addr and call.plan.verbose and call.result == -E2BIG else None
    return "" if data is None else f" => {{size={word(data)}}}"


@shows("sched_attr_out")
def sched_attr_out(call: Call, addr: int, arg: Arg) -> str:
    """What sched_getattr(2) filled."""
    size = call.argument("size")
    data = call.read(addr, min(size, SchedAttr.SIZE)) if size and follows(call, addr, arg) else None
    if data is None:
        return address(call, addr)
    value = SchedAttr.unpack(data.ljust(SchedAttr.SIZE, b"\0"))
    return _attr_text(call, value, value.size, False)


@shows("cpu_set")
def cpu_set(call: Call, addr: int, arg: Arg) -> str:
    """The numbers of CPUs in a mask of `arg.length` bytes, of which the first 128 count."""
    if not follows(call, addr, arg):
        return address(call, addr)
    size = call.argument(arg.length)
    data = call.read(addr, min(size, _MOST_CPU_BYTES))
    if data is None:
        return address(call, addr)
    mask = word(data)
    parts = [str(cpu) for cpu in range(mask.bit_length()) if mask >> cpu & 1]
    return f"[{' '.join([*parts, '...'] if size > _MOST_CPU_BYTES else parts)}]"


# -- I/O priority -----------------------------------------------------------------------------------------


def _io_priority(call: Call, value: int) -> str:
    kind, level = (value & _U32) >> IOPRIO_CLASS_SHIFT, value & (1 << IOPRIO_CLASS_SHIFT) - 1
    return f"IOPRIO_PRIO_VALUE({named(call, kind, _IO_CLASSES, 'IOPRIO_CLASS_???')}, {level})"


@shows("ioprio")
def ioprio(call: Call, value: int, arg: Arg) -> str:
    """An I/O priority: class and level."""
    return io_priority(call, value)


def io_priority(call: Call, value: int) -> str:
    """Class and level as -X says."""
    style = call.style.constants
    if style == "abbrev":
        return _io_priority(call, value)
    return f"{value} /* {_io_priority(call, value)} */" if style == "verbose" else str(value)


@shows("ioprio_result")
def ioprio_result(call: Call, value: int, arg: Arg) -> str:
    """An I/O priority as a number, and its parts."""
    return str(value) if call.style.constants == "raw" else f"{value} ({_io_priority(call, value)})"
