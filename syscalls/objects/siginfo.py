"""Signals as data: what one carries, how they queue, and what a process does on each (man 7 signal)."""

from __future__ import annotations

from struct import pack, unpack_from
from typing import NamedTuple

from linuxemu.kernel import WaitQueue
from syscalls.abi.flags import (
    SI_ASYNCNL,
    SI_KERNEL,
    SI_SIGIO,
    SI_TIMER,
    SIG_DFL,
    SIG_IGN,
    SIGBUS,
    SIGCHLD,
    SIGFPE,
    SIGILL,
    SIGKILL,
    SIGRTMIN,
    SIGSEGV,
    SIGSTOP,
    SIGSYS,
    SIGTRAP,
)

NSIG = 64
SIGINFO_SIZE = 128
_KERNEL_SIGINFO_SIZE = 48
"""What Linux keeps of a siginfo that a program made; a program may not use the rest."""


def bit(signo: int) -> int:
    """The signal's bit in a sigset_t."""
    return 1 << (signo - 1)


def bits(*signos: int) -> int:
    """A sigset_t of these signals."""
    mask = 0
    for signo in signos:
        mask |= 1 << (signo - 1)
    return mask


UNBLOCKABLE = bits(SIGKILL, SIGSTOP)
SYNCHRONOUS = bits(SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS)
_FAULTS = SYNCHRONOUS & ~bits(SIGSYS)


class SigInfo(NamedTuple):
    """What siginfo_t carries; which fields are meaningful depends on `signo` and `code` (man 2 sigaction)."""

    signo: int
    code: int = SI_KERNEL
    pid: int = 0
    uid: int = 0
    status: int = 0
    """SIGCHLD: exit status or signal number."""
    addr: int = 0
    """Faults: the address. SIGSYS: the call's address."""
    value: int = 0
    """si_value as an unsigned 64-bit word."""
    utime: int = 0
    """SIGCHLD: user time, clock ticks."""
    stime: int = 0
    timer: int = 0
    """SI_TIMER: timer id. SI_SIGIO and POLL_*: band. SIGSYS: call number."""
    overrun: int = 0
    """SI_TIMER: overrun count. SI_SIGIO and POLL_*: file descriptor. SIGSYS: architecture."""
    raw: bytes | None = None
    """The 128 bytes of a siginfo that a program queued itself (man 2 rt_sigqueueinfo)."""

    def pack(self) -> bytes:
        """The 128 bytes of siginfo_t."""
        if self.raw is not None:
            return self.raw
        head = pack("<iiii", self.signo, 0, self.code, 0)
        return (head + self._fields_bytes()).ljust(SIGINFO_SIZE, b"\0")

    def _fields_bytes(self) -> bytes:
        signo, code = self.signo, self.code
        if code == SI_TIMER:
            return pack("<iiQ", self.timer, self.overrun, self.value)
        if code == SI_SIGIO:
            return pack("<qi", self.timer, self.overrun)
        if code <= 0 or code == SI_KERNEL:
            if SI_ASYNCNL <= code < 0:
                return pack("<iIQ", self.pid, self.uid, self.value)
            return pack("<iI", self.pid, self.uid)
        if signo == SIGCHLD or self.pid:  # of a child, whatever its end is signalled with
            return pack("<iIiiqq", self.pid, self.uid, self.status, 0, self.utime, self.stime)
        if signo == SIGSYS:
            return pack("<QiI", self.addr, self.timer, self.overrun & 0xFFFF_FFFF)
        if bit(signo) & _FAULTS:
            return pack("<Q", self.addr)
        return pack("<qi", self.timer, self.overrun)

    @classmethod
    def from_user(cls, signo: int, raw: bytes) -> SigInfo:
        """A siginfo that a program made; Linux keeps it as it is, apart from the signal number."""
        raw = pack("<i", signo) + raw[4:SIGINFO_SIZE]
        code, pid, uid, value = unpack_from("<i4xiIQ", raw, 8)
        return cls(signo, code, pid, uid, value=value, raw=raw)


def has_foreign_tail(raw: bytes) -> bool:
    """Whether a program's siginfo uses bytes that Linux would drop (E2BIG)."""
    return any(raw[_KERNEL_SIGINFO_SIZE:SIGINFO_SIZE])


class SignalQueue:
    """Pending signals of a task or a process.

    A standard signal is pending once, however often it was sent; each real-time signal is kept, in order. A
    signal whose siginfo found no room is pending all the same, and then arrives as SI_USER from pid 0.
    """

    __slots__ = ("_infos", "mask")

    def __init__(self) -> None:
        self.mask = 0
        """The pending set."""
        self._infos: dict[int, list[SigInfo]] = {}

    def __len__(self) -> int:
        """How many siginfos are kept."""
        return sum(len(infos) for infos in self._infos.values())

    def has(self, signo: int) -> bool:
        """Whether the signal is pending."""
        return bool(self.mask >> (signo - 1) & 1)

    def push(self, info: SigInfo, keep: bool = True) -> None:
        """Make a signal pending. `keep` False: without its siginfo."""
        signo = info.signo
        if signo < SIGRTMIN and self.mask >> (signo - 1) & 1:
            return
        self.mask |= 1 << (signo - 1)
        if keep:
            self._infos.setdefault(signo, []).append(info)

    def pop(self, signo: int) -> SigInfo:
        """Take the oldest instance of a pending signal."""
        infos = self._infos.get(signo)
        info = infos.pop(0) if infos else SigInfo(signo, 0)
        if not infos:
            self._infos.pop(signo, None)
            self.mask &= ~(1 << (signo - 1))
        return info

    def peek(self, signo: int) -> SigInfo | None:
        """The oldest siginfo of a signal, if one is kept."""
        infos = self._infos.get(signo)
        return infos[0] if infos else None

    def first(self, wanted: int) -> int:
        """The signal of `wanted` that comes first, or 0: faults before others, then the lowest number."""
        found = self.mask & wanted
        if not found:
            return 0
        found = found & SYNCHRONOUS or found
        return (found & -found).bit_length()

    def flush(self, mask: int) -> None:
        """Forget the signals of `mask`."""
        if self.mask & mask:
            for signo in [n for n in self._infos if mask >> (n - 1) & 1]:
                del self._infos[signo]
            self.mask &= ~mask


class SigAction(NamedTuple):
    """struct sigaction of the kernel (man 2 rt_sigaction)."""

    handler: int = SIG_DFL
    flags: int = 0
    restorer: int = 0
    mask: int = 0


DEFAULT_ACTION = SigAction()


class SignalHandlers:
    """The action table of a process, shared between processes by CLONE_SIGHAND."""

    __slots__ = ("_actions", "readers")

    def __init__(self, actions: dict[int, SigAction] | None = None) -> None:
        self._actions = actions if actions is not None else {}
        self.readers = WaitQueue()
        """Woken whenever a signal becomes pending: signalfd."""

    def get(self, signo: int) -> SigAction:
        """The action of a signal."""
        return self._actions.get(signo, DEFAULT_ACTION)

    def set(self, signo: int, action: SigAction) -> None:
        """Replace the action of a signal."""
        self._actions[signo] = action

    def clone(self) -> SignalHandlers:
        """A copy, for fork."""
        return SignalHandlers(dict(self._actions))

    def exec_clone(self) -> SignalHandlers:
        """The table after execve: handlers become default, ignored signals stay ignored (man 2 execve)."""
        ignored = {n: SigAction(SIG_IGN) for n, action in self._actions.items() if action.handler == SIG_IGN}
        return SignalHandlers(ignored)

    def mask_of(self, handler: int) -> int:
        """The set of signals with this handler value: SigIgn and SigCgt of /proc/PID/status."""
        return bits(*(n for n, action in self._actions.items() if action.handler == handler))

    def caught(self) -> int:
        """The set of signals with a handler."""
        return bits(*(n for n, action in self._actions.items() if action.handler > SIG_IGN))
