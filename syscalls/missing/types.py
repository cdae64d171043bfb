"""Argument types of system calls without a handler, beside those of `syscalls.types`."""

from __future__ import annotations

from typing import Annotated

from syscalls.abi.structs import Timespec
from syscalls.types import Arg, Count, In, OpenFlags, Out, Shown


def _choice(table: str, decode: str | None = "u32") -> Arg:
    """One of the values of a table of `syscalls.abi.tables`."""
    return Arg(decode, "choice", table)


def _bits(table: str, decode: str | None = "u32") -> Arg:
    """Flags of such a table."""
    return Arg(decode, "bits", table)


Raw = Annotated[int, Arg(None, "hex")]
Hex = Annotated[int, Arg("u32", "hex")]
Long = Annotated[int, Arg("s64", "int")]
Pointer = Annotated[int, Arg(None, "address")]
"""An address that is shown as a number."""

# Sockets
Family = Annotated[int, _choice("AF_")]
SocketType = Annotated[int, Arg("u32", "socket_type", "SOCK_")]
Protocol = Annotated[int, Arg(None, "protocol")]
FdPair = Annotated[Out[int], Shown("fd_pair")]
Timeout = In[Timespec]


# Events and asynchronous work
TimerFlags = Annotated[int, _bits("TFD_")]
SignalFdFlags = Annotated[int, _bits("SFD_")]
SignalSet = Annotated[In[bytes], Shown("sigset"), Count("sizemask")]
InotifyFlags = Annotated[int, _bits("IN_init")]
InotifyMask = Annotated[int, _bits("IN_")]
FanotifyFlags = Annotated[int, Arg("u32", "fanotify_flags", "FAN_init")]
FanotifyMarkFlags = Annotated[int, _bits("FAN_MARK_")]
FanotifyMask = Annotated[int, _bits("FAN_", None)]
FanotifyDir = Annotated[int, Arg("s32", "fanotify_dir")]
EventFlags = OpenFlags
AioContext = Annotated[int, Arg(None, "address")]
UringFlags = Annotated[int, _bits("IORING_ENTER_")]
UringCommand = Annotated[int, _choice("IORING_REGISTER_")]
PidfdFlags = Annotated[int, _bits("PIDFD_")]
Waiters = Annotated[In[bytes], Shown("futex_waitv"), Count("nr_futexes")]
ClockName = Annotated[int, Arg("u32", "value", "CLOCK_")]

# Memory
Advice = Annotated[int, Arg("u32", "value", "MADV_")]
LocalVector = Annotated[In[bytes], Shown("data_vector")]
RemoteVector = Annotated[In[bytes], Shown("vector")]
MemoryPolicy = Annotated[int, Arg("u32", "memory_policy", "MPOL_")]
LongMemoryPolicy = Annotated[int, Arg(None, "memory_policy", "MPOL_")]
NodeMask = Annotated[In[bytes], Shown("node_mask"), Count("maxnode")]
PolicyMove = Annotated[int, _bits("MPOL_MF_bind")]
PolicyWhat = Annotated[int, _bits("MPOL_F_", None)]
PageMove = Annotated[int, _bits("MPOL_MF_")]
KeyRights = Annotated[int, _bits("PKEY_", None)]
Protection = Annotated[int, Arg(None, "flags", "PROT_")]
RemapFlags = Annotated[int, Arg(None, "mmap_flags", "MAP_")]
SwapFlags = Annotated[int, Arg("u32", "swap_flags", "SWAP_FLAG_")]
SecretFlags = Annotated[int, _bits("MEMFD_secret")]

# Modules, quotas, keys and namespaces
UnloadFlags = Annotated[int, _bits("MODULE_delete")]
LoadFlags = Annotated[int, _bits("MODULE_INIT_")]
QuotaCommand = Annotated[int, Arg("u32", "quota_command", "Q_")]
QuotaId = Annotated[int, Arg("u32", "quota_id")]
QuotaData = Annotated[int, Arg(None, "quota_data", direction="out", pointer=True)]
KexecFlags = Annotated[int, Arg(None, "kexec_flags", "KEXEC_")]
KexecFileFlags = Annotated[int, _bits("KEXEC_FILE_", None)]
Keyring = Annotated[int, Arg("s32", "keyring", "KEY_SPEC_")]
NewNamespaces = Annotated[int, _bits("CLONE_unshare", None)]
NamespaceKind = Annotated[int, _bits("CLONE_NEW")]

# Mounts
HandleFlags = Annotated[int, _bits("AT_handle")]
FileHandle = Annotated[Out[bytes], Shown("file_handle")]
KnownHandle = Annotated[In[bytes], Shown("known_handle")]
OpenTreeFlags = Annotated[int, _bits("OPEN_TREE_")]
MoveMountFlags = Annotated[int, _bits("MOVE_MOUNT_")]
FsOpenFlags = Annotated[int, _bits("FSOPEN_")]
FsConfigCommand = Annotated[int, _choice("FSCONFIG_")]
FsMountFlags = Annotated[int, _bits("FSMOUNT_")]
MountAttributes = Annotated[int, _bits("MOUNT_ATTR_")]
FsPickFlags = Annotated[int, _bits("FSPICK_")]
SetAttributesFlags = Annotated[int, _bits("AT_setattr")]
RulesetFlags = Annotated[int, _bits("LANDLOCK_CREATE_RULESET_")]
RuleType = Annotated[int, _choice("LANDLOCK_RULE_")]

# Tracing
TraceRequest = Annotated[int, Arg(None, "choice", "PTRACE_")]
SeccompOperation = Annotated[int, _choice("SECCOMP_SET_MODE_")]
UffdFlags = Annotated[int, _bits("UFFD_")]
CompareType = Annotated[int, _choice("KCMP_")]
BpfCommand = Annotated[int, _choice("BPF_")]
PerfFlags = Annotated[int, _bits("PERF_FLAG_", None)]
