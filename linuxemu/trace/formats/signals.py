"""Signals and what they carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.flags import names

if TYPE_CHECKING:
    from syscalls.objects.siginfo import SigInfo

_SIGNALS = names("SIG")


def signal_name(signo: int) -> str:
    """A signal by name; SIGRT_N for real-time signals, the number for others."""
    if signo >= 32:
        return f"SIGRT_{signo - 32}" if signo > 32 else "SIGRTMIN"
    return _SIGNALS.get(signo, str(signo))


def siginfo(info: SigInfo) -> str:
    """What a signal carries, in braces."""
    return f"{{si_signo={signal_name(info.signo)}, si_code={info.code}}}"
