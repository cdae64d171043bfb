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
Long = Annotated[int, Arg("s64", "int")]
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
OpenFlags = Annotated[int, Arg("s32", "open_flags", "O_")]
AtFlags = Annotated[int, Arg("s32", "flags", "AT_")]
ProtFlags = Annotated[int, Arg(None, "flags", "PROT_")]
MapFlags = Annotated[int, Arg(None, "mmap_flags", "MAP_")]
CloneFlags = Annotated[int, Arg(None, "flags", "CLONE_")]
WaitFlags = Annotated[int, Arg("s32", "wait_flags", "W")]
IntFlags = Annotated[int, Arg("s32", "flags")]

# Processes, memory, identity, resources, the system.
Hex = Annotated[int, Arg(None, "hex")]
Unsigned = Annotated[int, Arg("s32", "unsigned")]
Signed = Annotated[int, Arg("u32", "signed")]
Advice = Annotated[int, Arg("s32", "advice", "MADV_")]
MremapFlags = Annotated[int, Arg(None, "flags", "MREMAP_")]
MremapAddress = Annotated[int, Arg(None, "mremap_address")]
MsyncFlags = Annotated[int, Arg("s32", "msync_flags", "MS_")]
MlockFlags = Annotated[int, Arg("s32", "flags", "MLOCK_")]
MlockallFlags = Annotated[int, Arg("s32", "flags", "MCL_")]
WaitIdType = Annotated[int, Arg("s32", "wait_idtype", "P_")]
WaitId = Annotated[int, Arg("s32", "wait_id")]
ExecveatFlags = Annotated[int, Arg("s32", "execveat_flags", "AT_")]
FutexOp = Annotated[int, Arg("s32", "futex_op", "FUTEX_")]
FutexVal = Annotated[int, Arg("u32", "futex_val")]
FutexTimeout = Annotated[int, Arg(None, "futex_timeout")]
FutexVal3 = Annotated[int, Arg("u32", "futex_val3")]
Persona = Annotated[int, Arg("u32", "persona", "PER_")]
OldPersona = Annotated[int, Arg(None, "old_persona", "PER_")]
PrctlOp = Annotated[int, Arg("s32", "value", "PR_")]
PrctlResult = Annotated[int, Arg(None, "prctl_result")]
ArchPrctlOp = Annotated[int, Arg("s32", "value", "ARCH_")]
RandomFlags = Annotated[int, Arg("u32", "flags", "GRND_")]
SyslogAction = Annotated[int, Arg("s32", "value", "SYSLOG_ACTION_")]
RebootMagic1 = Annotated[int, Arg("u32", "reboot_magic1", "LINUX_REBOOT_MAGIC1")]
RebootMagic2 = Annotated[int, Arg("u32", "reboot_magic2", "LINUX_REBOOT_MAGIC2")]
RebootCommand = Annotated[int, Arg("u32", "value", "LINUX_REBOOT_CMD_")]
RebootArg = Annotated[int, Arg(None, "reboot_arg")]
Resource = Annotated[int, Arg("u32", "value", "RLIMIT_")]
RusageWho = Annotated[int, Arg("s32", "value", "RUSAGE_")]
PriorityWhich = Annotated[int, Arg("s32", "value", "PRIO_")]
PriorityWho = Annotated[int, Arg("s32", "priority_who")]
Policy = Annotated[int, Arg("s32", "sched_policy", "SCHED_")]
PolicyResult = Annotated[int, Arg(None, "sched_policy_result", "SCHED_")]
IoprioWhich = Annotated[int, Arg("s32", "value", "IOPRIO_WHO_")]
Ioprio = Annotated[int, Arg("s32", "ioprio", "IOPRIO_CLASS_")]
IoprioResult = Annotated[int, Arg(None, "ioprio_result", "IOPRIO_CLASS_")]
Hex32 = Annotated[int, Arg("u32", "hex")]
MembarrierCommand = Annotated[int, Arg("s32", "membarrier_cmd", "MEMBARRIER_CMD_")]
MembarrierFlags = Annotated[int, Arg("u32", "membarrier_flags", "MEMBARRIER_CMD_FLAG_")]
MembarrierCpu = Annotated[int, Arg("s32", "membarrier_cpu")]
MembarrierResult = Annotated[int, Arg("s64", "membarrier_result")]
MqMode = Annotated[int, Arg("u16", "mq_mode")]
MemfdFlags = Annotated[int, Arg("u32", "memfd_flags", "MFD_")]

# System V inter-process communication
IpcKey = Annotated[int, Arg("u32", "ipc_key", "IPC_PRIVATE")]
ShmGetFlags = Annotated[int, Arg("u32", "ipc_get", "SHM_get")]
ShmAtFlags = Annotated[int, Arg("u32", "bits", "SHM_at")]
ShmCommand = Annotated[int, Arg("u32", "ipc_command", "SHM_")]
SemGetFlags = Annotated[int, Arg("u32", "ipc_get", "SEM_get")]
SemCommand = Annotated[int, Arg("u32", "ipc_command", "SEM_")]
SemOperations = Annotated[In[bytes], Shown("sembufs"), Count("nsops")]
MsgGetFlags = Annotated[int, Arg("u32", "ipc_get", "MSG_get")]
MsgFlags = Annotated[int, Arg("u32", "bits", "MSG_receive")]
MsgCommand = Annotated[int, Arg("u32", "ipc_command", "MSG_control")]

# Files, directories, descriptors
Whence = Annotated[int, Arg("u32", "value", "SEEK_")]
CreateMode = Annotated[int, Arg("u16", "create_mode")]
AccessMode = Annotated[int, Arg("s32", "flags", "?_OK")]
NodeMode = Annotated[int, Arg("u16", "node_mode", "S_IF")]
NodeDev = Annotated[int, Arg("u32", "node_dev")]
Umask = Annotated[int, Arg("s32", "umask")]
FdFlags = Annotated[int, Arg("s32", "flags", "O_")]
AccessFlags = Annotated[int, Arg("s32", "flags", "AT_E")]
StatxFlags = Annotated[int, Arg("s32", "statx_flags", "AT_")]
StatxMask = Annotated[int, Arg("u32", "flags", "STATX_")]
FallocateMode = Annotated[int, Arg("s32", "flags", "FALLOC_FL_")]
UOff = Annotated[int, Arg("s64", "word")]
FadviseAdvice = Annotated[int, Arg("s32", "value", "POSIX_FADV_")]
FlockOperation = Annotated[int, Arg("s32", "flags", "LOCK_")]
SyncRangeFlags = Annotated[int, Arg("u32", "flags", "SYNC_FILE_RANGE_")]
CloseRangeFlags = Annotated[int, Arg("s32", "flags", "CLOSE_RANGE_")]
RwFlags = Annotated[int, Arg("s32", "flags", "RWF_")]
HighOff = Annotated[int, Arg("s64", "hidden")]
SpliceFlags = Annotated[int, Arg("u32", "flags", "SPLICE_F_")]
RenameFlags = Annotated[int, Arg("u32", "flags", "RENAME_")]
XattrFlags = Annotated[int, Arg("s32", "flags", "XATTR_")]
MountFlags = Annotated[int, Arg(None, "mount_flags", "MS_")]
UmountFlags = Annotated[int, Arg("s32", "flags", "MNT_")]
EventfdFlags = Annotated[int, Arg("s32", "flags", "EFD_")]
FcntlOp = Annotated[int, Arg("s32", "fcntl_op", "F_")]
FcntlArg = Annotated[int, Arg(None, "fcntl_arg")]
FcntlResult = Annotated[int, Arg("s64", "fcntl_result")]
IoctlOp = Annotated[int, Arg("u32", "ioctl_op")]
IoctlArg = Annotated[int, Arg(None, "ioctl_arg")]
IoctlResult = Annotated[int, Arg("s64", "ioctl_result")]
BufSize = Annotated[int, Arg("s32", "long")]

# Signals, times, polling
Sigset = Annotated[int, Arg(None, "sigset", length="sigsetsize", pointer=True)]
EpollSigset = Annotated[int, Arg(None, "epoll_sigset", length="sigsetsize", pointer=True)]
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

# Sockets
SocketFlags = Annotated[int, Arg("u32", "bits", "SOCK_flags")]
Shutdown = Annotated[int, Arg("u32", "choice", "SHUT_")]
MessageFlags = Annotated[int, Arg("u32", "bits", "MSG_")]
SocketLevel = Annotated[int, Arg("u32", "choice", "SOL_")]
SocketOption = Annotated[int, Arg("u32", "option_name")]
SocketAddress = Annotated[In[bytes], Shown("sockaddr"), Count("addrlen")]
PeerAddress = Annotated[Out[bytes], Shown("peer"), Count("addrlen")]
PeerLength = Annotated[Out[int], Shown("peer_length")]
OptionLength = Annotated[Out[int], Shown("option_length")]
SentMessage = Annotated[In[bytes], Shown("sent_message")]
ReceivedMessage = Annotated[Out[bytes], Shown("received_message")]
SentMessages = Annotated[Out[bytes], Shown("sent_messages"), Count("vlen")]
ReceivedMessages = Annotated[Out[bytes], Shown("received_messages"), Count("vlen")]
