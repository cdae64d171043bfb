"""What a signal carries, in the braces of strace(1)."""

from __future__ import annotations

from functools import cache
from struct import unpack_from
from typing import TYPE_CHECKING

from linuxemu.trace.formats.pids import pid_text
from linuxemu.trace.style import Style
from syscalls.abi.errno import errno_name
from syscalls.abi.flags import (
    CLD_EXITED,
    SI_SIGIO,
    SI_TIMER,
    SI_TKILL,
    SI_USER,
    SIGBUS,
    SIGCHLD,
    SIGFPE,
    SIGILL,
    SIGIO,
    SIGSEGV,
    SIGSYS,
    SIGTRAP,
    names,
)

if TYPE_CHECKING:
    from syscalls.objects.siginfo import SigInfo
    from syscalls.objects.task import Task

_SIGNALS = names("SIG")
_AUDIT_ARCH_X86_64 = 0xC000_003E
_RTMIN, _RTMAX = 32, 64
_PLAIN = Style()
_PREFIXES = {
    SIGILL: "ILL_", SIGFPE: "FPE_", SIGSEGV: "SEGV_", SIGBUS: "BUS_", SIGTRAP: "TRAP_", SIGCHLD: "CLD_",
    SIGIO: "POLL_", SIGSYS: "SYS_",
}  # fmt: skip
_SEGV_BNDERR, _SEGV_PKUERR = 3, 4
_BUS_MCEERR = (4, 5)
_SPARC_AND_ARM = {5: "SEGV_ACCADI", 6: "SEGV_ADIDERR", 7: "SEGV_ADIPERR", 8: "SEGV_MTEAERR", 9: "SEGV_MTESERR"}
"""strace has their names on every machine."""
_ARCHES = {
    _AUDIT_ARCH_X86_64: "AUDIT_ARCH_X86_64", 0x4000_0003: "AUDIT_ARCH_I386", 0xC000_00B7: "AUDIT_ARCH_AARCH64",
    0x4000_0028: "AUDIT_ARCH_ARM", 0x8000_0016: "AUDIT_ARCH_S390X", 0xC000_00F3: "AUDIT_ARCH_RISCV64",
    0x8000_0015: "AUDIT_ARCH_PPC64", 0xC000_0015: "AUDIT_ARCH_PPC64LE",
}  # fmt: skip


def signal_name(signo: int) -> str:
    """A signal by name; SIGRT_N for real-time signals, the number for others."""
    if _RTMIN <= signo <= _RTMAX:
        return f"SIGRT_{signo - _RTMIN}" if signo > _RTMIN else "SIGRTMIN"
    return _SIGNALS.get(signo, str(signo)) if 0 < signo < _RTMIN else str(signo)


def signal_value(signo: int, style: Style) -> str:
    """A signal number as -X says."""
    if style.constants == "raw":
        return str(signo)
    name = signal_name(signo)
    return f"{signo} /* {name} */" if style.constants == "verbose" and 0 < signo <= _RTMAX else name


def siginfo(info: SigInfo, style: Style = _PLAIN, t: Task | None = None) -> str:
    """What a signal carries, in braces; see `siginfo_text`."""
    return siginfo_text(info.pack(), style, t)


def siginfo_text(raw: bytes, style: Style, t: Task | None = None) -> str:
    """A siginfo_t in braces.

    Args:
        raw: its 128 bytes.
        style: the look of values.
        t: a task of the system, whose processes are shown by name under -Y.
    """
    signo, error, code = unpack_from("<iii", raw)
    if not signo:
        return "{}"
    parts = [f"si_signo={signal_value(signo, style)}", f"si_code={_value(code, _codes(signo), style)}"]
    if error:
        parts.append(f"si_errno={_error(error, style)}")
    parts += _fields(signo, code, raw, style, t)
    return "{" + ", ".join(parts) + "}"


def _error(error: int, style: Style) -> str:
    name = errno_name(error) if 0 < error < 4096 and style.constants != "raw" else ""
    if not name.startswith("E"):
        return str(error & 0xFFFF_FFFF)
    return f"{error} /* {name} */" if style.constants == "verbose" else name


@cache
def _codes(signo: int) -> dict[int, str]:
    """The names of si_code."""
    found = names("SI_")
    prefix = _PREFIXES.get(signo)
    if prefix is not None:
        found.update({code: name for code, name in names(prefix).items() if code > 0})
    if signo == SIGSEGV:
        found.update(_SPARC_AND_ARM)
    return found


def _value(value: int, table: dict[int, str], style: Style, comment: str = "") -> str:
    name = table.get(value)
    number = f"{value & 0xFFFF_FFFF:#x}" if value else "0"
    if style.constants == "raw":
        return number
    if name is None:
        return f"{number} /* {comment} */" if comment else number
    return f"{number} /* {name} */" if style.constants == "verbose" else name


def _fields(signo: int, code: int, raw: bytes, style: Style, t: Task | None) -> list[str]:
    if code in (SI_USER, SI_TKILL):
        return _source(raw, style, t)
    if code == SI_TIMER:
        timer, overrun = unpack_from("<ii", raw, 16)
        shown = f"{timer & 0xFFFF_FFFF:#x}" if timer else "0"
        return [f"si_timerid={shown}", f"si_overrun={overrun}", *_sigval(raw)]
    if code == SI_SIGIO:
        return _band(raw)
    if code < 0:
        return _source(raw, style, t) + _sigval(raw, always=False)
    return _kernel_fields(signo, code, raw, style, t)


def _kernel_fields(signo: int, code: int, raw: bytes, style: Style, t: Task | None) -> list[str]:
    if signo == SIGCHLD:
        status, utime, stime = unpack_from("<i4xqq", raw, 24)
        shown = str(status) if code == CLD_EXITED else signal_value(status, style)
        times = [f"si_utime={ticks(utime, style)}", f"si_stime={ticks(stime, style)}"]
        return [*_source(raw, style, t), f"si_status={shown}", *times]
    if signo in (SIGILL, SIGFPE, SIGSEGV, SIGBUS, SIGTRAP):
        return _fault(signo, code, raw)
    if signo == SIGIO:
        return _band(raw) if 0 < code <= 6 else []
    if signo == SIGSYS:
        return _system_call(raw, style)
    pid, uid = unpack_from("<iI", raw, 16)
    return (_source(raw, style, t) if pid or uid else []) + _sigval(raw, always=False)


def _source(raw: bytes, style: Style, t: Task | None) -> list[str]:
    pid, uid = unpack_from("<iI", raw, 16)
    shown = pid_text(t, pid, style) if t is not None else pid
    return [f"si_pid={shown}", f"si_uid={-1 if uid == 0xFFFF_FFFF else uid}"]


def _sigval(raw: bytes, always: bool = True) -> list[str]:
    (pointer,) = unpack_from("<Q", raw, 24)
    if not pointer and not always:
        return []
    (number,) = unpack_from("<i", raw, 24)
    return [f"si_int={number}", f"si_ptr={_pointer(pointer)}"]


def _pointer(value: int) -> str:
    return f"{value:#x}" if value else "NULL"


def _band(raw: bytes) -> list[str]:
    band, fd = unpack_from("<qi", raw, 16)
    return [f"si_band={band}", f"si_fd={fd}"]


def ticks(count: int, style: Style) -> str:
    """Clock ticks of 1/100 s, with the seconds as a comment."""
    if not count or style.constants == "raw":
        return str(count)
    seconds, rest = divmod(abs(count), 100)
    return f"{count} /* {'-' if count < 0 else ''}{seconds}.{rest:02} s */"


def _fault(signo: int, code: int, raw: bytes) -> list[str]:
    addr, lsb, lower, upper = unpack_from("<QhxxxxxxQQ", raw, 16)
    parts = [f"si_addr={_pointer(addr)}"]
    if signo == SIGSEGV and code == _SEGV_BNDERR:
        parts += [f"si_lower={_pointer(lower)}", f"si_upper={_pointer(upper)}"]
    elif signo == SIGSEGV and code == _SEGV_PKUERR:
        parts.append(f"si_pkey={lower & 0xFFFF_FFFF}")
    elif signo == SIGBUS and code in _BUS_MCEERR:
        parts.append(f"si_addr_lsb={lsb & 0xFFFF:#x}" if lsb else "si_addr_lsb=0")
    return parts


def _system_call(raw: bytes, style: Style) -> list[str]:
    addr, number, arch = unpack_from("<QII", raw, 16)
    name = _call_names().get(number) if arch == _AUDIT_ARCH_X86_64 else None
    shown = str(number)
    if name is not None and style.constants != "raw":
        shown = f"{number} /* __NR_{name} */" if style.constants == "verbose" else f"__NR_{name}"
    machine = _value(arch, _ARCHES, style, "AUDIT_ARCH_???")
    return [f"si_call_addr={_pointer(addr)}", f"si_syscall={shown}", f"si_arch={machine}"]


@cache
def _call_names() -> dict[int, str]:
    from syscalls.abi.numbers import X86_64

    return {number: name for name, number in X86_64.items()}
