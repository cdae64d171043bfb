"""Argument types of system calls.

An annotation of a handler is its decoder, its trace format and its documentation at once. A decoder is the
name of a function of `DECODERS` or None where the raw 64-bit register value is already right; a format names
how a tracer spells the value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Generic, NamedTuple, TypeVar

T = TypeVar("T")


IN, OUT, INOUT = "in", "out", "inout"


class Arg(NamedTuple):
    """How one kind of argument is decoded and shown."""

    decode: str | None
    format: str
    table: str = ""
    """Name of the flag or value table in `syscalls.abi.flags` that spells the value, if there is one; for a pointer
    the type it points to."""
    direction: str = IN
    """Which way the pointer's data go: in when the call begins, out when it ends, or both."""
    length: str = ""
    """The argument that says how many elements (bytes of a buffer) the pointer has; "result" for the call's result."""
    pointer: bool = False
    """It is an address that the kernel reads or writes at."""


class UserPtr(int, Generic[T]):
    """A guest address of a T: `bytes` for a buffer, a struct of `syscalls.abi.structs`, or an int type."""

    DIRECTION = INOUT


class In(UserPtr[T]):
    """What the kernel reads."""

    DIRECTION = IN


class Out(UserPtr[T]):
    """What the kernel writes; a tracer shows it when the call has ended."""

    DIRECTION = OUT


class InOut(UserPtr[T]):
    """What the kernel reads and changes."""


class Count(str):
    """Mark of a pointer: the name of the argument that has the number of its elements, or "result".

    Without it a buffer has as many bytes as the next argument says, one that the kernel fills as many as the result.
    """

    __slots__ = ()


class Shown(str):
    """Mark of a pointer: the name of the format, where the type it points to does not say enough."""

    __slots__ = ()


def s32(value: int) -> int:
    """The low half of a register as a signed int."""
    value &= 0xFFFF_FFFF
    return value - 0x1_0000_0000 if value & 0x8000_0000 else value


def u32(value: int) -> int:
    """The low half of a register as an unsigned int."""
    return value & 0xFFFF_FFFF


def s64(value: int) -> int:
    """A register as a signed long."""
    return value - 0x1_0000_0000_0000_0000 if value >> 63 else value


def u16(value: int) -> int:
    """The low 16 bits (umode_t)."""
    return value & 0xFFFF


DECODERS: dict[str, Callable[[int], int]] = {"s32": s32, "u32": u32, "s64": s64, "u16": u16}

Fd = Annotated[int, Arg("s32", "fd")]
DirFd = Annotated[int, Arg("s32", "dirfd")]
Int = Annotated[int, Arg("s32", "int")]
UInt = Annotated[int, Arg("u32", "uint")]
ULong = Annotated[int, Arg(None, "uint")]
Size = Annotated[int, Arg(None, "size")]
Off = Annotated[int, Arg("s64", "offset")]
Mode = Annotated[int, Arg("u16", "mode")]
Pid = Annotated[int, Arg("s32", "pid")]
Uid = Annotated[int, Arg("u32", "uid")]
Gid = Annotated[int, Arg("u32", "gid")]
Dev = Annotated[int, Arg("u32", "dev")]
ClockId = Annotated[int, Arg("s32", "value", "CLOCK_")]
Signal = Annotated[int, Arg("s32", "signal")]
Address = Annotated[int, Arg(None, "address")]
UserPath = Annotated[int, Arg(None, "path", pointer=True)]
UserStr = Annotated[int, Arg(None, "str", pointer=True)]
OpenFlags = Annotated[int, Arg("s32", "flags", "O_")]
AtFlags = Annotated[int, Arg("s32", "flags", "AT_")]
ProtFlags = Annotated[int, Arg(None, "flags", "PROT_")]
MapFlags = Annotated[int, Arg(None, "flags", "MAP_")]
CloneFlags = Annotated[int, Arg(None, "flags", "CLONE_")]
WaitFlags = Annotated[int, Arg("s32", "flags", "W")]
IntFlags = Annotated[int, Arg("s32", "flags")]

# Signals, times, polling
Sigset = Annotated[int, Arg(None, "sigset", length="sigsetsize", pointer=True)]
OldSigset = Annotated[int, Arg(None, "sigset", direction=OUT, length="sigsetsize", pointer=True)]
PendingSigset = Annotated[int, Arg(None, "pending_sigset", direction=OUT, length="sigsetsize", pointer=True)]
SigmaskHow = Annotated[int, Arg("s32", "sighow")]
TakenSignal = Annotated[int, Arg("s64", "taken_signal")]
Seconds = Annotated[int, Arg("s64", "seconds")]
ClockState = Annotated[int, Arg("s64", "clock_state")]
ItimerWhich = Annotated[int, Arg("s32", "value", "ITIMER_")]
TimerFlags = Annotated[int, Arg("s32", "flags", "TIMER_")]
FdSet = Annotated[int, Arg(None, "fdset", direction=INOUT, length="nfds", pointer=True)]
EpollFlags = Annotated[int, Arg("s32", "epoll_flags")]
EpollOp = Annotated[int, Arg("s32", "epoll_op")]
