"""The files in the root of /proc that describe the system (man 5 proc)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EPERM
from syscalls.abi.flags import CLOCK_BOOTTIME, CLOCK_REALTIME
from syscalls.errors import SysError
from syscalls.fs.procstat import TICK_NS
from syscalls.vfs.virtual import VirtualDirectory, VirtualFile, VirtualLink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.fs.procfs import ProcFs
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode

    Content = Callable[[Task], Awaitable[bytes]]

_SECOND = 1_000_000_000
_CENTISECOND = 10_000_000
_VMALLOC_KB = 34_359_738_367
_NODEV = (b"sysfs", b"tmpfs", b"proc", b"devtmpfs", b"sockfs", b"pipefs", b"anon_inodefs", b"overlay", b"mqueue")
_SOFTIRQS = (
    b"HI", b"TIMER", b"NET_TX", b"NET_RX", b"BLOCK", b"IRQ_POLL", b"TASKLET", b"SCHED", b"HRTIMER", b"RCU",
)  # fmt: skip
_CPU_FLAGS = (
    b"fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
    b"syscall nx lm rep_good nopl cpuid pni ssse3 cx16 sse4_1 sse4_2 popcnt hypervisor lahf_lm"
)


def constant(text: bytes) -> Content:
    """A file that never changes."""

    async def make(t: Task) -> bytes:
        return text

    return make


async def cpu_time_ns(t: Task) -> tuple[int, int]:
    """User and system time of everything that ever ran, nanoseconds."""
    user = system = 0
    for process in t.process.table:
        user += process.utime_ns + process.child_usage.user_ns
        system += process.stime_ns + process.child_usage.sys_ns
    return user, system


async def _uptime(t: Task) -> bytes:
    up = await t.server.clock_ns(CLOCK_BOOTTIME)
    idle = max(up - sum(await cpu_time_ns(t)), 0)
    rows = [b"%d.%02d" % (ns // _SECOND, ns % _SECOND // _CENTISECOND) for ns in (up, idle)]
    return b" ".join(rows) + b"\n"


def runnable(t: Task) -> int:
    """Tasks that run or could."""
    return sum(task.state() == "R" for task in t.process.table.tasks.values())


async def _loadavg(t: Task) -> bytes:
    table = t.process.table
    tasks = sum(max(len(process.tasks), 1) for process in table)
    return b"0.00 0.00 0.00 %d/%d %d\n" % (max(runnable(t), 1), tasks, table.last_pid)


async def _stat(t: Task) -> bytes:
    user, system = await cpu_time_ns(t)
    up = await t.server.clock_ns(CLOCK_BOOTTIME)
    real = await t.server.clock_ns(CLOCK_REALTIME)
    idle = max(up - user - system, 0)
    times = b"%d 0 %d %d 0 0 0 0 0 0" % (user // TICK_NS, system // TICK_NS, idle // TICK_NS)
    table = t.process.table
    usages = [usage for process in table for usage in (process.usage(), process.child_usage)]
    switches = sum(usage.nvcsw + usage.nivcsw for usage in usages)
    lines = [
        b"cpu  " + times,
        b"cpu0 " + times,
        b"intr 0",
        b"ctxt %d" % switches,
        b"btime %d" % ((real - up) // _SECOND),
        b"processes %d" % table.last_pid,
        b"procs_running %d" % max(runnable(t), 1),
        b"procs_blocked 0",
        b"softirq" + b" 0" * (len(_SOFTIRQS) + 1),
    ]
    return b"\n".join(lines) + b"\n"


async def _meminfo(t: Task) -> bytes:
    total, free = (pages << 2 for pages in await t.server.memory_pages())
    cached = t.server.cached_frames() << 2
    rows: tuple[tuple[bytes, int], ...] = (
        (b"MemTotal", total), (b"MemFree", free), (b"MemAvailable", free + cached), (b"Buffers", 0),
        (b"Cached", cached), (b"SwapCached", 0), (b"Active", max(total - free - cached, 0)),
        (b"Inactive", cached), (b"Active(anon)", max(total - free - cached, 0)), (b"Inactive(anon)", 0),
        (b"Active(file)", 0), (b"Inactive(file)", cached), (b"Unevictable", 0), (b"Mlocked", 0),
        (b"SwapTotal", 0), (b"SwapFree", 0), (b"Dirty", 0), (b"Writeback", 0),
        (b"AnonPages", max(total - free - cached, 0)), (b"Mapped", cached), (b"Shmem", 0),
        (b"KReclaimable", 0), (b"Slab", 0), (b"SReclaimable", 0), (b"SUnreclaim", 0), (b"KernelStack", 0),
        (b"PageTables", 0),
        (b"NFS_Unstable", 0), (b"Bounce", 0), (b"WritebackTmp", 0), (b"CommitLimit", total // 2),
        (b"Committed_AS", max(total - free, 0)), (b"VmallocTotal", _VMALLOC_KB), (b"VmallocUsed", 0),
        (b"VmallocChunk", 0), (b"Percpu", 0), (b"AnonHugePages", 0), (b"ShmemHugePages", 0),
        (b"ShmemPmdMapped", 0), (b"FileHugePages", 0), (b"FilePmdMapped", 0),
    )  # fmt: skip
    lines = [b"%-15s %8d kB\n" % (name + b":", value) for name, value in rows]
    huge = (b"Total", b"Free", b"Rsvd", b"Surp")
    lines += [b"%-15s %8d\n" % (b"HugePages_" + name + b":", 0) for name in huge]
    lines += [b"Hugepagesize:       2048 kB\n", b"Hugetlb:               0 kB\n"]
    lines += [b"DirectMap4k:    %8d kB\n" % total, b"DirectMap2M:           0 kB\n"]
    return b"".join(lines)


async def _cpuinfo(t: Task) -> bytes:
    rows = (
        (b"processor", b"0"), (b"vendor_id", b"GenuineIntel"), (b"cpu family", b"6"), (b"model", b"60"),
        (b"model name", b"linuxemu virtual CPU"), (b"stepping", b"1"), (b"microcode", b"0x1"),
        (b"cpu MHz", b"1000.000"), (b"cache size", b"4096 KB"), (b"physical id", b"0"), (b"siblings", b"1"),
        (b"core id", b"0"), (b"cpu cores", b"1"), (b"apicid", b"0"), (b"initial apicid", b"0"),
        (b"fpu", b"yes"), (b"fpu_exception", b"yes"), (b"cpuid level", b"13"), (b"wp", b"yes"),
        (b"flags", _CPU_FLAGS), (b"bugs", b""), (b"bogomips", b"2000.00"), (b"clflush size", b"64"),
        (b"cache_alignment", b"64"), (b"address sizes", b"40 bits physical, 48 bits virtual"),
        (b"power management", b""),
    )  # fmt: skip
    # Linux pads names with tabs to the second stop.
    lines = [b"%s%s: %s\n" % (name, b"\t\t" if len(name) < 8 else b"\t", value) for name, value in rows]
    return b"".join(lines).replace(b"power management\t: \n", b"power management:\n") + b"\n"


async def _version(t: Task) -> bytes:
    from syscalls.handlers.system import KERNEL_RELEASE, KERNEL_VERSION

    return b"Linux version %s (linuxemu) (Python) %s\n" % (KERNEL_RELEASE, KERNEL_VERSION)


async def _filesystems(t: Task) -> bytes:
    kinds = dict.fromkeys(_NODEV) | dict.fromkeys(mount.fs.kind.encode() for mount in t.server.namespace)
    return b"".join(b"nodev\t%s\n" % kind for kind in kinds)


async def _devices(t: Task) -> bytes:
    return b"Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n\nBlock devices:\n"


async def _swaps(t: Task) -> bytes:
    return b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


async def _vmstat(t: Task) -> bytes:
    total, free = await t.server.memory_pages()
    tasks = t.process.table.tasks.values()
    faults = sum(task.min_flt + task.maj_flt for task in tasks)
    cached = t.server.cached_frames()
    rows = (
        (b"nr_free_pages", free), (b"nr_anon_pages", total - free - cached), (b"nr_mapped", cached),
        (b"nr_file_pages", cached), (b"nr_dirty", 0), (b"nr_writeback", 0), (b"nr_shmem", 0),
        (b"pgpgin", 0), (b"pgpgout", 0), (b"pswpin", 0), (b"pswpout", 0), (b"pgfault", faults),
        (b"pgmajfault", sum(task.maj_flt for task in tasks)), (b"oom_kill", 0),
    )  # fmt: skip
    return b"".join(b"%s %d\n" % row for row in rows)


async def _softirqs(t: Task) -> bytes:
    return b"                    CPU0       \n" + b"".join(b"%12s: %10d\n" % (name, 0) for name in _SOFTIRQS)


_FILES: dict[bytes, Content] = {
    b"cgroups": constant(b"#subsys_name\thierarchy\tnum_cgroups\tenabled\n"),
    b"cmdline": constant(b"\n"),
    b"consoles": constant(b"tty0                 -WU (EC p  )    4:7\n"),
    b"cpuinfo": _cpuinfo,
    b"crypto": constant(b""),
    b"devices": _devices,
    b"diskstats": constant(b""),
    b"execdomains": constant(b"0-0\tLinux           \t[kernel]\n"),
    b"filesystems": _filesystems,
    b"interrupts": constant(b"           CPU0       \n"),
    b"iomem": constant(b""),
    b"ioports": constant(b""),
    b"loadavg": _loadavg,
    b"meminfo": _meminfo,
    b"misc": constant(b""),
    b"modules": constant(b""),
    b"partitions": constant(b"major minor  #blocks  name\n\n"),
    b"softirqs": _softirqs,
    b"stat": _stat,
    b"swaps": _swaps,
    b"uptime": _uptime,
    b"version": _version,
    b"vmstat": _vmstat,
}

_TTY_DRIVERS = (
    b"/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
    b"/dev/console         /dev/console    5       1 system:console\n"
)


async def _nothing_to_say(t: Task) -> bytes:
    """/proc/kmsg: there is no kernel log; Linux would wait for its next line."""
    raise SysError(EPERM)


def system_entries(fs: ProcFs) -> dict[bytes, Inode]:
    """Everything in the root of /proc but processes and the links to oneself."""
    from syscalls.fs.procipc import sysvipc_directory
    from syscalls.fs.procsys import sys_directory

    entries: dict[bytes, Inode] = {name: VirtualFile(fs, make) for name, make in _FILES.items()}
    entries[b"kmsg"] = VirtualFile(fs, _nothing_to_say, 0o400, can_splice=False)
    entries[b"mounts"] = VirtualLink(fs, constant(b"self/mounts"))
    entries[b"net"] = VirtualLink(fs, constant(b"self/net"))
    entries[b"sysvipc"] = sysvipc_directory(fs)
    drivers: dict[bytes, Inode] = {b"drivers": VirtualFile(fs, constant(_TTY_DRIVERS))}
    entries[b"tty"] = VirtualDirectory(fs, drivers)
    for name in (b"bus", b"driver", b"fs", b"irq"):
        entries[name] = VirtualDirectory(fs)
    entries[b"sys"] = sys_directory(fs)
    return entries
