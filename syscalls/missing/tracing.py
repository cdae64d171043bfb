"""Calls that watch and restrict processes."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Annotated

from syscalls.missing.types import BpfCommand, CompareType, PerfFlags, SeccompOperation, TraceRequest
from syscalls.signatures import missing
from syscalls.types import Arg, Count, Fd, In, Int, Out, Pid, Shown, UInt


@missing
def ptrace(
    request: TraceRequest,
    pid: Annotated[int, Arg("s32", "trace_pid")],
    addr: Annotated[int, Arg(None, "trace_addr")],
    data: Annotated[Out[bytes], Shown("trace_data")],
) -> int:
    """Trace a process: man 2 ptrace."""


@missing
def seccomp(
    operation: SeccompOperation,
    flags: Annotated[int, Arg("u32", "seccomp_flags")],
    args: Annotated[Out[bytes], Shown("seccomp_args")],
) -> int:
    """Restrict system calls: man 2 seccomp."""


@missing
def kcmp(
    pid1: Pid,
    pid2: Pid,
    type: CompareType,
    idx1: Annotated[int, Arg(None, "kcmp_index")],
    idx2: Annotated[int, Arg(None, "kcmp_index2")],
) -> int:
    """Compare what two processes share: man 2 kcmp."""


@missing
def bpf(cmd: BpfCommand, attr: Annotated[In[bytes], Shown("bpf_attr"), Count("size")], size: UInt) -> int:
    """Control programs in the kernel: man 2 bpf."""


@missing
def perf_event_open(
    attr: Annotated[In[bytes], Shown("perf_event_attr")], pid: Pid, cpu: Int, group_fd: Fd, flags: PerfFlags
) -> Fd:
    """Measure events: man 2 perf_event_open."""
