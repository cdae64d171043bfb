"""Signals, sets of them, actions, alternate stacks and frames."""

from __future__ import annotations

from struct import unpack
from typing import TYPE_CHECKING

from linuxemu.trace.formats import CALLS, nothing, shows, shows_struct
from linuxemu.trace.formats.basic import address, flags, follows, hexadecimal, named
from linuxemu.trace.formats.siginfos import siginfo, siginfo_text, signal_name, signal_value
from linuxemu.trace.formats.times import time_values
from syscalls.abi.structs import StackT, Timespec

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from linuxemu.trace.style import Style
    from syscalls.types import Arg

__all__ = ["siginfo", "signal_name", "sigset_text"]

_HOW = {0: "SIG_BLOCK", 1: "SIG_UNBLOCK", 2: "SIG_SETMASK"}
_HANDLERS = {0: "SIG_DFL", 1: "SIG_IGN", 0xFFFF_FFFF_FFFF_FFFF: "SIG_ERR"}
_SA_RESTORER = 0x0400_0000
_SA = {
    _SA_RESTORER: "SA_RESTORER", 0x0800_0000: "SA_ONSTACK", 0x1000_0000: "SA_RESTART", 0x2000_0000: "SA_INTERRUPT",
    0x4000_0000: "SA_NODEFER", 0x8000_0000: "SA_RESETHAND", 4: "SA_SIGINFO", 1: "SA_NOCLDSTOP", 2: "SA_NOCLDWAIT",
}  # fmt: skip
_SS = {1: "SS_ONSTACK", 2: "SS_DISABLE", 0x8000_0000: "SS_AUTODISARM"}
_SIGSET_SIZE = 8
_SIGACTION_READ = 88
"""What strace reads of a struct sigaction: it has room for masks of other architectures."""
_SIGINFO_SIZE = 128
_FRAME_MASK = 0x128
"""Where the mask is in a signal frame, counted from the stack pointer of rt_sigreturn."""


def sigset_text(mask: int, style: Style, size: int = _SIGSET_SIZE) -> str:
    """A signal set of `size` bytes: names without SIG, those that are missing behind ~ if most are there."""
    count = 8 * size
    sign = ""
    if mask.bit_count() >= count * 2 // 3:
        sign = "~"
        mask = ~mask & ((1 << count) - 1)
    names = [_member(signo, style) for signo in range(1, count + 1) if mask >> (signo - 1) & 1]
    return f"{sign}[{' '.join(names)}]"


def _member(signo: int, style: Style) -> str:
    if style.constants == "raw":
        return str(signo)
    name = signal_name(signo)[3:]
    return f"{signo} /* {name} */" if style.constants == "verbose" else name


def sigset_at(call: Call, addr: int, size: int, least: int = _SIGSET_SIZE) -> str:
    """A signal set in memory; only its address if its size is less than `least`, or more than the kernel's."""
    if not addr or not call.plan.verbose or not least <= size <= _SIGSET_SIZE:
        return address(call, addr)
    data = call.read(addr, size)
    return sigset_text(int.from_bytes(data, "little"), call.style, size) if data is not None else address(call, addr)


@shows("signal")
def signal(call: Call, value: int, arg: Arg) -> str:
    """A signal number."""
    return signal_value(value, call.style)


@shows("taken_signal")
def taken_signal(call: Call, value: int, arg: Arg) -> str:
    """The result of a call that takes a signal."""
    return f"{value} ({signal_name(value)})"


@shows("sighow")
def how(call: Call, value: int, arg: Arg) -> str:
    """What sigprocmask(2) does with the set."""
    return named(call, value, _HOW, "SIG_???")


@shows("sigset")
def sigset(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to a signal set of `arg.length` bytes."""
    return sigset_at(call, addr, call.argument(arg.length)) if follows(call, addr, arg) else address(call, addr)


@shows("pending_sigset")
def pending_sigset(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to a signal set of which the kernel may fill a part only."""
    return sigset_at(call, addr, call.argument(arg.length), 1) if follows(call, addr, arg) else address(call, addr)


@shows("sigset_arg")
def sigset_arg(call: Call, addr: int, arg: Arg) -> str:
    """The last argument of pselect6(2): a pointer to address and size of a set."""
    data = call.read(addr, 16) if follows(call, addr, arg) else None
    if data is None:
        return address(call, addr)
    mask, size = unpack("<QQ", data)
    return f"{{sigmask={sigset_at(call, mask, size)}, sigsetsize={size}}}"


@shows("sigaction")
def sigaction(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to a struct sigaction."""
    data = call.read(addr, _SIGACTION_READ) if follows(call, addr, arg) else None
    if data is None:
        return address(call, addr)
    handler, bits, restorer, mask = unpack("<4Q", data[:32])
    text = (
        f"{{sa_handler={_handler(call, handler)}, sa_mask={sigset_text(mask, call.style)}, "
        f"sa_flags={flags(call, bits, _SA, 'SA_???')}"
    )
    return text + (f", sa_restorer={address(call, restorer)}}}" if bits & _SA_RESTORER else "}")


def _handler(call: Call, value: int) -> str:
    return named(call, value, _HANDLERS, "") if value in _HANDLERS else hexadecimal(value)


@shows_struct("StackT")
def stack_t(call: Call, value: StackT) -> str:
    """The alternate stack of sigaltstack(2)."""
    bits = flags(call, value.ss_flags & 0xFFFF_FFFF, _SS, "SS_???")
    return f"{{ss_sp={address(call, value.ss_sp)}, ss_flags={bits}, ss_size={value.ss_size}}}"


@shows("siginfo")
def siginfo_at(call: Call, addr: int, arg: Arg) -> str:
    """A pointer to a siginfo_t."""
    data = call.read(addr, _SIGINFO_SIZE) if follows(call, addr, arg) else None
    return siginfo_text(data, call.style, call.t) if data is not None else address(call, addr)


# -- calls that are not shown argument by argument ------------------------------------------------------------


def _timed_wait_rest(call: Call) -> list[str]:
    _, _, uts, size = call.args
    return [time_values(call, uts, Timespec), str(size)]


def _timed_wait_entry(call: Call) -> list[str]:
    uthese, uinfo, _, size = call.args
    parts = [sigset_at(call, uthese, size)]
    if uinfo and call.plan.verbose:
        return parts
    call.separator = ""
    return [*parts, address(call, uinfo), *_timed_wait_rest(call)]


def _timed_wait_exit(call: Call) -> list[str]:
    uinfo = call.args[1]
    if not uinfo or not call.plan.verbose:
        return []
    data = call.read(uinfo, _SIGINFO_SIZE) if not call.failed else None
    text = siginfo_text(data, call.style, call.t) if data is not None else address(call, uinfo)
    return [text, *_timed_wait_rest(call)]


def _sigreturn(call: Call) -> list[str]:
    return [f"{{mask={sigset_at(call, call.frame.rsp + _FRAME_MASK & 0xFFFF_FFFF_FFFF_FFFF, _SIGSET_SIZE)}}}"]


def _restarted(call: Call) -> list[str]:
    return [f"<... resuming interrupted {call.before or 'system call'} ...>"]


CALLS["rt_sigtimedwait"] = _timed_wait_entry, _timed_wait_exit
CALLS["rt_sigreturn"] = _sigreturn, nothing
CALLS["restart_syscall"] = _restarted, nothing
