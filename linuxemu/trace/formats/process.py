"""Processes: how they come, what is waited for, what they used, what they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows, shows_struct
from linuxemu.trace.formats.basic import address, fd, flags, follows, named, pid, plain_struct
from linuxemu.trace.formats.numbers import listed
from linuxemu.trace.formats.siginfos import siginfo_text
from linuxemu.trace.formats.signals import signal_name
from linuxemu.trace.formats.strings import strings
from syscalls.abi import flags as constants
from syscalls.abi.flags import P_PGID, P_PIDFD
from syscalls.abi.structs import Rusage
from syscalls.types import Arg

if TYPE_CHECKING:
    from linuxemu.trace.call import Call

_U32 = 0xFFFF_FFFF
_PAGE = 4096
_MOST_VARIABLES = 1 << 16
_PID = Arg("s32", "pid")
_UID = Arg("u32", "uid")
_OPTIONS = {
    **listed("W", "NOHANG EXITED STOPPED CONTINUED NOWAIT"),
    constants.__WCLONE: "__WCLONE",
    constants.__WALL: "__WALL",
    constants.__WNOTHREAD: "__WNOTHREAD",
}
_EVENTS = {
    1: "PTRACE_EVENT_FORK",
    2: "PTRACE_EVENT_VFORK",
    3: "PTRACE_EVENT_CLONE",
    4: "PTRACE_EVENT_EXEC",
    5: "PTRACE_EVENT_VFORK_DONE",
    6: "PTRACE_EVENT_EXIT",
    7: "PTRACE_EVENT_SECCOMP",
    128: "PTRACE_EVENT_STOP",
}
_WAIT_IDS = listed("P_", "ALL PID PGID PIDFD")
_EXECVEAT_FLAGS = listed("AT_", "SYMLINK_NOFOLLOW REMOVEDIR SYMLINK_FOLLOW NO_AUTOMOUNT EMPTY_PATH")


# -- waiting ----------------------------------------------------------------------------------------------


@shows("wait_flags")
def wait_flags(call: Call, value: int, arg: Arg) -> str:
    """What wait4(2) and waitid(2) wait for."""
    return flags(call, value & _U32, _OPTIONS, "W???")


@shows("wait_status")
def wait_status(call: Call, addr: int, arg: Arg) -> str:
    """How a child ended or stopped; an address if there is none."""
    if not follows(call, addr, arg) or not call.result:
        return address(call, addr)
    data = call.read(addr, 4)
    return address(call, addr) if data is None else f"[{status_text(call, int.from_bytes(data, 'little'))}]"


def status_text(call: Call, status: int) -> str:
    """A status word in terms of the macros of wait(2)."""
    low, high = status & 0x7F, status >> 8 & 0xFF
    if status & 0xFF == 0x7F:
        mark = " | 0x80" if high & 0x80 else ""
        text = f"{{WIFSTOPPED(s) && WSTOPSIG(s) == {signal_name(high & 0x7F)}{mark}}}"
        rest = status & ~0xFFFF
    elif 0 < low < 0x7F:
        core = " && WCOREDUMP(s)" if status & 0x80 else ""
        text = f"{{WIFSIGNALED(s) && WTERMSIG(s) == {signal_name(low)}{core}}}"
        rest = status & ~0xFF
    elif not low:
        text = f"{{WIFEXITED(s) && WEXITSTATUS(s) == {high}}}"
        rest = status & ~0xFF00
    elif status == 0xFFFF:
        return "{WIFCONTINUED(s)}"
    else:
        return f"{status:#x}"
    if rest >> 16:
        text += f"|{named(call, rest >> 16, _EVENTS, 'PTRACE_EVENT_???')}<<16"
    return f"{text}|{rest & 0xFFFF:#x}" if rest & 0xFFFF else text


@shows("wait_rusage")
def wait_rusage(call: Call, addr: int, arg: Arg) -> str:
    """What a child used; an address if there is none, which of wait4(2) the result says."""
    nobody = call.plan.name == "wait4" and not call.result
    if nobody or not follows(call, addr, arg):
        return address(call, addr)
    data = call.read(addr, Rusage.SIZE)
    return address(call, addr) if data is None else rusage(call, Rusage.unpack(data))


@shows_struct("Rusage")
def rusage(call: Call, value: Rusage) -> str:
    """Times only, unless -v asks for everything."""
    if not call.plan.abbrev:
        return plain_struct(call, value)
    utime, stime = plain_struct(call, value.ru_utime), plain_struct(call, value.ru_stime)
    return f"{{ru_utime={utime}, ru_stime={stime}, ...}}"


@shows("wait_idtype")
def wait_idtype(call: Call, value: int, arg: Arg) -> str:
    """What the id of waitid(2) is."""
    return named(call, value, _WAIT_IDS, "P_???")


@shows("wait_id")
def wait_id(call: Call, value: int, arg: Arg) -> str:
    """A process, a group or a pidfd."""
    kind = call.argument("idtype")
    if kind == P_PIDFD:
        return fd(call, value)
    return str(value) if kind == P_PGID else pid(call, value, _PID)


@shows("wait_info")
def wait_info(call: Call, addr: int, arg: Arg) -> str:
    """What waitid(2) says of a child, which is always a SIGCHLD, or nothing."""
    if not follows(call, addr, arg):
        return address(call, addr)
    data = call.read(addr, 128)
    return address(call, addr) if data is None else siginfo_text(data, call.style, call.t)


# -- programs ---------------------------------------------------------------------------------------------


@shows("argv")
def argv(call: Call, addr: int, arg: Arg) -> str:
    """The arguments of a program."""
    return strings(call, addr) if call.plan.verbose else address(call, addr)


@shows("envp")
def envp(call: Call, addr: int, arg: Arg) -> str:
    """The environment of a program: how many variables there are, all of them with -v.

    They are counted up to 65536.
    """
    if not addr or not call.plan.verbose:
        return address(call, addr)
    if not call.plan.abbrev:
        return strings(call, addr)
    count, ended = _variables(call, addr)
    if not count and not ended:
        return address(call, addr)
    text = f"{count} var" if count == 1 else f"{count} vars"
    return f"{addr:#x} /* {text}{'' if ended else ', unterminated'} */"


def _variables(call: Call, addr: int) -> tuple[int, bool]:
    """How many pointers there are before NULL, and whether it was found."""
    count = 0
    while count < _MOST_VARIABLES:
        data = call.read_some(addr, max((_PAGE - addr % _PAGE) & ~7, 8))
        if len(data) < 8:
            return count, False
        for pointer in memoryview(data[: len(data) & ~7]).cast("Q"):
            if not pointer:
                return count, True
            count += 1
        addr += len(data) & ~7
    return count, False


@shows("execveat_flags")
def execveat_flags(call: Call, value: int, arg: Arg) -> str:
    """Flags of execveat(2)."""
    return flags(call, value & _U32, _EXECVEAT_FLAGS, "AT_???")
