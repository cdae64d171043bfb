"""The system as a whole: names, memory, randomness, kernel log, reboot; and what is kept per task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from linuxemu.arch.x86_64 import USER_END
from syscalls.abi.errno import EFAULT, EINVAL, ENODEV, EPERM, ESRCH
from syscalls.abi.flags import (
    ARCH_GET_CPUID,
    ARCH_GET_FS,
    ARCH_GET_GS,
    ARCH_GET_XCOMP_PERM,
    ARCH_GET_XCOMP_SUPP,
    ARCH_REQ_XCOMP_PERM,
    ARCH_SET_CPUID,
    ARCH_SET_FS,
    ARCH_SET_GS,
    CAP_SYS_ADMIN,
    CAP_SYS_BOOT,
    CAP_SYS_PTRACE,
    CAP_SYSLOG,
    CLOCK_BOOTTIME,
    GRND_INSECURE,
    GRND_NONBLOCK,
    GRND_RANDOM,
    LINUX_REBOOT_CMD_HALT,
    LINUX_REBOOT_CMD_POWER_OFF,
    LINUX_REBOOT_CMD_RESTART,
    LINUX_REBOOT_CMD_RESTART2,
    LINUX_REBOOT_MAGIC1,
    LINUX_REBOOT_MAGIC2,
    LINUX_REBOOT_MAGIC2A,
    LINUX_REBOOT_MAGIC2B,
    LINUX_REBOOT_MAGIC2C,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SYSLOG_ACTION_CLEAR,
    SYSLOG_ACTION_CLOSE,
    SYSLOG_ACTION_CONSOLE_LEVEL,
    SYSLOG_ACTION_CONSOLE_OFF,
    SYSLOG_ACTION_CONSOLE_ON,
    SYSLOG_ACTION_OPEN,
    SYSLOG_ACTION_READ,
    SYSLOG_ACTION_READ_ALL,
    SYSLOG_ACTION_READ_CLEAR,
    SYSLOG_ACTION_SIZE_BUFFER,
    SYSLOG_ACTION_SIZE_UNREAD,
)
from syscalls.abi.structs import RobustListHead, Sysinfo, Utsname
from syscalls.errors import Restart, SysError
from syscalls.registry import PARTIAL, syscall
from syscalls.types import (
    ArchPrctlOp,
    Hex,
    In,
    Int,
    Out,
    Pid,
    RandomFlags,
    RebootArg,
    RebootCommand,
    RebootMagic1,
    RebootMagic2,
    Shown,
    Size,
    SyslogAction,
    ULong,
    Unsigned,
)

if TYPE_CHECKING:
    from syscalls.objects.task import Task

_SYSNAME = b"Linux"
KERNEL_RELEASE = b"6.1.0"
"""The kernel whose behaviour is the model here; also for /proc/sys/kernel/osrelease."""
KERNEL_VERSION = b"#1 SMP PREEMPT_DYNAMIC linuxemu"
_MACHINE = b"x86_64"

_NS = 1_000_000_000
_PAGE = 4096
_NAME_MAX = 64
_LOG_BUFFER = 1 << 18
_RANDOM_CHUNK = 1 << 16
_MAX_RANDOM = 0x7FFF_F000
_ATOMIC_RANDOM = 256


@syscall("uname", errors="EFAULT")
async def uname(t: Task, buf: Out[Utsname]) -> None:
    """Names and version of the system (man 2 uname)."""
    server = t.server
    await t.mem.put(
        buf, Utsname(_SYSNAME, server.hostname, KERNEL_RELEASE, KERNEL_VERSION, _MACHINE, server.domainname)
    )


async def _new_name(t: Task, name: int, length: int) -> bytes:
    if not t.creds.capable(CAP_SYS_ADMIN):
        raise SysError(EPERM)
    if not 0 <= length <= _NAME_MAX:
        raise SysError(EINVAL)
    return (await t.mem.read(name, length)).partition(b"\0")[0]


@syscall("sethostname", errors="EFAULT EINVAL EPERM")
async def sethostname(t: Task, name: Annotated[In[bytes], Shown("host_name")], len: Unsigned) -> None:
    """Set the host name; needs CAP_SYS_ADMIN (man 2 sethostname)."""
    t.server.hostname = await _new_name(t, name, len)


@syscall("setdomainname", errors="EFAULT EINVAL EPERM")
async def setdomainname(t: Task, name: Annotated[In[bytes], Shown("host_name")], len: Unsigned) -> None:
    """Set the NIS domain name; needs CAP_SYS_ADMIN (man 2 setdomainname)."""
    t.server.domainname = await _new_name(t, name, len)


@syscall("sysinfo", errors="EFAULT EIO")
async def sysinfo(t: Task, info: Out[Sysinfo]) -> None:
    """Uptime, memory and the number of tasks (man 2 sysinfo)."""
    total, free = await t.server.memory_pages()
    uptime_ns = await t.server.clock_ns(CLOCK_BOOTTIME)
    found = Sysinfo(
        uptime=-(-uptime_ns // _NS),
        load1=0,
        load5=0,
        load15=0,
        totalram=total * _PAGE,
        freeram=free * _PAGE,
        sharedram=0,
        bufferram=0,
        totalswap=0,
        freeswap=0,
        procs=len(t.server.tasks),
        totalhigh=0,
        freehigh=0,
        mem_unit=1,
    )
    await t.mem.put(info, found)


@syscall("getrandom", errors="EFAULT EINVAL EIO")
async def getrandom(
    t: Task, buf: Annotated[Out[bytes], Shown("hex_buffer")], buflen: Size, flags: RandomFlags
) -> int:
    """Random bytes; a signal may cut a request of more than 256 bytes short (man 2 getrandom)."""
    from linuxemu.kernel.recovery import call
    from linuxemu.messages import entropy

    if flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE):
        raise SysError(EINVAL)
    if flags & (GRND_RANDOM | GRND_INSECURE) == GRND_RANDOM | GRND_INSECURE:
        raise SysError(EINVAL)
    left = min(buflen, _MAX_RANDOM)
    if buf + left > USER_END:
        raise SysError(EFAULT)
    done = 0
    while left:
        if done >= _ATOMIC_RANDOM and t.signal_pending():
            break
        reply = await call(t.server.port, t.server.peers.entropy, entropy.Read(min(left, _RANDOM_CHUNK)))
        try:
            written = await t.mem.write_some(buf + done, reply.data)
        except SysError:
            if done:
                break
            raise
        done += written
        left -= written
        if written < len(reply.data):
            break
    return done


# -- kernel log, reboot -----------------------------------------------------------------------------------

_SYSLOG_FREE = (SYSLOG_ACTION_READ_ALL, SYSLOG_ACTION_SIZE_BUFFER)
_SYSLOG_EMPTY = (
    SYSLOG_ACTION_CLOSE,
    SYSLOG_ACTION_OPEN,
    SYSLOG_ACTION_CLEAR,
    SYSLOG_ACTION_CONSOLE_OFF,
    SYSLOG_ACTION_CONSOLE_ON,
    SYSLOG_ACTION_SIZE_UNREAD,
)


@syscall("syslog", errors="EFAULT EINTR EINVAL EPERM")
async def syslog(t: Task, type: SyslogAction, bufp: Out[bytes], len: Int) -> int:
    """Read or control the kernel's log, which is empty (man 2 syslog)."""
    if type not in _SYSLOG_FREE and not t.creds.capable(CAP_SYSLOG) and not t.creds.capable(CAP_SYS_ADMIN):
        raise SysError(EPERM)
    if type in _SYSLOG_EMPTY:
        return 0
    if type == SYSLOG_ACTION_SIZE_BUFFER:
        return _LOG_BUFFER
    if type == SYSLOG_ACTION_CONSOLE_LEVEL:
        if not 1 <= len <= 8:
            raise SysError(EINVAL)
        return 0
    if type not in (SYSLOG_ACTION_READ, SYSLOG_ACTION_READ_ALL, SYSLOG_ACTION_READ_CLEAR):
        raise SysError(EINVAL)
    if not bufp or len < 0:
        raise SysError(EINVAL)
    if len and bufp + len > USER_END:
        raise SysError(EFAULT)
    if len and type == SYSLOG_ACTION_READ:
        await t.wait((), _nothing, None, Restart.SYS)
    return 0


def _nothing() -> int | None:
    return None


_REBOOT_MAGIC2 = (LINUX_REBOOT_MAGIC2, LINUX_REBOOT_MAGIC2A, LINUX_REBOOT_MAGIC2B, LINUX_REBOOT_MAGIC2C)
_REBOOT_SIGNAL = {
    LINUX_REBOOT_CMD_RESTART: SIGHUP,
    LINUX_REBOOT_CMD_RESTART2: SIGHUP,
    LINUX_REBOOT_CMD_HALT: SIGINT,
    LINUX_REBOOT_CMD_POWER_OFF: SIGINT,
}


@syscall("reboot", errors="EINVAL EPERM")
async def reboot(
    t: Task, magic: RebootMagic1, magic2: RebootMagic2, op: RebootCommand, arg: RebootArg
) -> None:
    """Stop the machine, as a container does it (man 2 reboot, man 7 pid_namespaces).

    Every process ends; the first program looks as if SIGHUP (restart) or SIGINT (halt) had ended it.
    """
    from syscalls.objects.signal import SigInfo, begin_group_exit, send_signal

    if not t.creds.capable(CAP_SYS_BOOT):
        raise SysError(EPERM)
    if magic != LINUX_REBOOT_MAGIC1 or magic2 not in _REBOOT_MAGIC2 or op not in _REBOOT_SIGNAL:
        raise SysError(EINVAL)
    server = t.server
    for process in list(server.processes.values()):
        if process is server.main:
            begin_group_exit(process, _REBOOT_SIGNAL[op])
        elif not process.unkillable:
            send_signal(process, SigInfo(SIGKILL))


# -- kept per task ----------------------------------------------------------------------------------------


@syscall("set_tid_address")
async def set_tid_address(t: Task, tidptr: Hex) -> int:
    """Where to clear the thread id when the thread exits; returns the id (man 2 set_tid_address)."""
    t.clear_child_tid = tidptr
    return t.tid


@syscall("set_robust_list", errors="EINVAL")
async def set_robust_list(
    t: Task, head: Annotated[In[RobustListHead], Shown("address")], len: Size
) -> None:
    """Where the thread keeps the list of robust futexes it holds (man 2 set_robust_list)."""
    if len != RobustListHead.SIZE:
        raise SysError(EINVAL)
    t.robust_list = head


@syscall("get_robust_list", errors="EFAULT EPERM ESRCH")
async def get_robust_list(
    t: Task,
    pid: Pid,
    head_ptr: Annotated[Out[int], Shown("stored_address")],
    sizep: Annotated[Out[int], Shown("ulongs")],
) -> None:
    """The robust list of a thread (man 2 get_robust_list)."""
    task = t
    if pid:
        found = t.server.tasks.get(pid)
        if found is None:
            raise SysError(ESRCH)
        task = found
    same_user = task.process is t.process or (
        {task.creds.uid, task.creds.euid, task.creds.suid} == {t.creds.uid} and task.process.dumpable == 1
    )
    if not same_user and not t.creds.capable(CAP_SYS_PTRACE):
        raise SysError(EPERM)
    await t.mem.put_u64(sizep, RobustListHead.SIZE)
    await t.mem.put_u64(head_ptr, task.robust_list)


@syscall(
    "arch_prctl",
    errors="EFAULT EINVAL ENODEV EPERM",
    support=PARTIAL,
    notes="segment bases; no CPUID faulting, no AMX permission",
)
async def arch_prctl(t: Task, op: ArchPrctlOp, addr: ULong) -> int:
    """Set or get the fs and gs base (man 2 arch_prctl)."""
    if op in (ARCH_SET_FS, ARCH_SET_GS):
        if addr >= USER_END:
            raise SysError(EPERM)
        if op == ARCH_SET_FS:
            t.set_fsbase(addr)
        else:
            t.set_gsbase(addr)
    elif op == ARCH_GET_FS:
        await t.mem.put_u64(addr, t.frame.fsbase)
    elif op == ARCH_GET_GS:
        await t.mem.put_u64(addr, t.frame.gsbase)
    elif op == ARCH_GET_CPUID:
        return 1
    elif op == ARCH_SET_CPUID:
        raise SysError(ENODEV)
    else:
        if op in (ARCH_GET_XCOMP_SUPP, ARCH_GET_XCOMP_PERM, ARCH_REQ_XCOMP_PERM):
            t.server.unsupported(f"arch_prctl {op:#x}", t)
        raise SysError(EINVAL)
    return 0
