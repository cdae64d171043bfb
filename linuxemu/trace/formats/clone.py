"""clone(2) and clone3(2), whose arguments have names, and what they are depends on the flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import CALLS
from linuxemu.trace.formats.basic import address, fd, flags, hexadecimal, pid
from linuxemu.trace.formats.numbers import filled, listed, pids
from linuxemu.trace.formats.siginfos import signal_value
from linuxemu.trace.formats.strings import beyond
from syscalls.abi.flags import (
    CLONE_CHILD_CLEARTID,
    CLONE_CHILD_SETTID,
    CLONE_INTO_CGROUP,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_SETTLS,
    CSIGNAL,
)
from syscalls.abi.structs import CloneArgs
from syscalls.types import Arg, s32

if TYPE_CHECKING:
    from linuxemu.trace.call import Call

_MIN_SIZE = 64
_SET_TID_SIZE, _CGROUP_SIZE = 80, 88
_MAX_TIDS = 32
_PID = Arg("s32", "pid")
_FLAGS = listed(
    "CLONE_",
    "VM FS FILES SIGHAND PIDFD PTRACE VFORK PARENT THREAD NEWNS SYSVSEM SETTLS PARENT_SETTID CHILD_CLEARTID UNTRACED "
    "CHILD_SETTID NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET IO",
)
_FLAGS3 = {**_FLAGS, **listed("CLONE_", "NEWTIME CLEAR_SIGHAND INTO_CGROUP")}
_CHILD_TID = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID


# -- clone ------------------------------------------------------------------------------------------------


def _clone_entry(call: Call) -> list[str]:
    value, stack = call.args[0], call.args[1]
    signo, bits = value & CSIGNAL, value & ~CSIGNAL
    parts = [flags(call, bits, _FLAGS, "CLONE_???")] if bits or not signo else []
    if signo:
        parts.append(signal_value(signo, call.style))
    call.separator = ""  # the comma comes with what is shown at the end, if there is something
    return [f"child_stack={address(call, stack)}", f"flags={'|'.join(parts)}"]


def _clone_exit(call: Call) -> list[str]:
    value, _, parent_tid, child_tid, tls = call.args
    parts = []
    if value & CLONE_PARENT_SETTID:
        parts.append(f"parent_tid={_tid(call, parent_tid)}")
    elif value & CLONE_PIDFD:
        parts.append(f"parent_tid={_pidfd(call, parent_tid)}")
    if value & CLONE_SETTLS:
        parts.append(f"tls={address(call, tls)}")
    if value & _CHILD_TID:
        parts.append(f"child_tidptr={address(call, child_tid)}")
    if parts:
        parts[0] = ", " + parts[0]
    return parts


def _tid(call: Call, addr: int) -> str:
    return filled(call, addr, 4, lambda tid: pid(call, s32(tid), _PID))


def _pidfd(call: Call, addr: int) -> str:
    return filled(call, addr, 4, lambda number: fd(call, s32(number)))


CALLS["clone"] = (_clone_entry, _clone_exit)


# -- clone3 -----------------------------------------------------------------------------------------------


def _clone_args(call: Call) -> CloneArgs | None:
    """The structure of clone3(2), None if it is not shown."""
    addr, size = call.args
    if not addr or size < _MIN_SIZE or not call.plan.verbose:
        return None
    size = min(size, CloneArgs.SIZE)
    data = call.read(addr, size)
    return None if data is None else CloneArgs.unpack(data.ljust(CloneArgs.SIZE, b"\0"))


def _clone3_entry(call: Call) -> list[str]:
    addr, size = call.args
    value = _clone_args(call)
    call.separator = ""
    if value is None:
        text = address(call, addr)
    else:
        text = "{" + ", ".join(_fields(call, value, size)) + beyond(call, addr, CloneArgs.SIZE, size) + "}"
        if value.flags & (CLONE_PIDFD | CLONE_PARENT_SETTID):
            return [text]
    return [text, str(size)]


def _fields(call: Call, value: CloneArgs, size: int) -> list[str]:
    bits = value.flags
    parts = [f"flags={flags(call, bits, _FLAGS3, 'CLONE_???')}"]
    if bits & CLONE_PIDFD:
        parts.append(f"pidfd={address(call, value.pidfd)}")
    if bits & _CHILD_TID:
        parts.append(f"child_tid={address(call, value.child_tid)}")
    if bits & CLONE_PARENT_SETTID:
        parts.append(f"parent_tid={address(call, value.parent_tid)}")
    parts.append(f"exit_signal={signal_value(value.exit_signal, call.style)}")
    parts += [f"stack={address(call, value.stack)}", f"stack_size={hexadecimal(value.stack_size)}"]
    if bits & CLONE_SETTLS:
        parts.append(f"tls={address(call, value.tls)}")
    if size >= _SET_TID_SIZE and (value.set_tid or value.set_tid_size):
        known = 0 < value.set_tid_size <= _MAX_TIDS
        tids = pids(call, value.set_tid, value.set_tid_size) if known else address(call, value.set_tid)
        parts += [f"set_tid={tids}", f"set_tid_size={value.set_tid_size}"]
    if size >= _CGROUP_SIZE and (bits & CLONE_INTO_CGROUP or value.cgroup):
        parts.append(f"cgroup={fd(call, value.cgroup)}")
    return parts


def _clone3_exit(call: Call) -> list[str]:
    size = str(call.args[1])
    value = _clone_args(call)
    if value is None or not value.flags & (CLONE_PIDFD | CLONE_PARENT_SETTID):
        return []
    if call.failed:
        return [f", {size}"]
    parts = []
    if value.flags & CLONE_PIDFD:
        parts.append(f"pidfd={_pidfd(call, value.pidfd)}")
    if value.flags & CLONE_PARENT_SETTID:
        parts.append(f"parent_tid={_tid(call, value.parent_tid)}")
    return [f" => {{{', '.join(parts)}}}", size]


CALLS["clone3"] = (_clone3_entry, _clone3_exit)
