"""What /proc/PID tells of a process in numbers: stat, status, statm, limits and the like (man 5 proc_pid)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.flags import (
    CLOCK_BOOTTIME,
    MAP_GROWSDOWN,
    MAP_LOCKED,
    PROT_EXEC,
    PROT_WRITE,
    RLIM_INFINITY,
    RLIMIT_RSS,
    RLIMIT_SIGPENDING,
    SIG_IGN,
)
from syscalls.fs.procpid import may_inspect
from syscalls.objects.device import CONSOLE_RDEV

if TYPE_CHECKING:
    from syscalls.objects.credentials import Credentials
    from syscalls.objects.mm import MemoryMap
    from syscalls.objects.process import Process, Usage
    from syscalls.objects.task import Task

TICK_NS = 10_000_000
"""A clock tick: USER_HZ is 100."""
_PF_FORKNOEXEC = 0x40
_PF_EXITING = 0x4
_PF_RANDOMIZE = 0x40_0000
_LEGACY_SIGNALS = 0x7FFF_FFFF

_STATES = {
    "R": b"R (running)",
    "S": b"S (sleeping)",
    "D": b"D (disk sleep)",
    "T": b"T (stopped)",
    "Z": b"Z (zombie)",
}
_LIMITS = (
    (b"Max cpu time", b"seconds"),
    (b"Max file size", b"bytes"),
    (b"Max data size", b"bytes"),
    (b"Max stack size", b"bytes"),
    (b"Max core file size", b"bytes"),
    (b"Max resident set", b"bytes"),
    (b"Max processes", b"processes"),
    (b"Max open files", b"files"),
    (b"Max locked memory", b"bytes"),
    (b"Max address space", b"bytes"),
    (b"Max file locks", b"locks"),
    (b"Max pending signals", b"signals"),
    (b"Max msgqueue size", b"bytes"),
    (b"Max nice priority", b""),
    (b"Max realtime priority", b""),
    (b"Max realtime timeout", b"us"),
)


class Sizes:
    """The sizes of an address space, in pages; all zero for a process without one.

    Args:
        mm: the address space.
    """

    __slots__ = ("code", "data", "file", "lib", "locked", "resident", "stack", "total")

    def __init__(self, mm: MemoryMap | None) -> None:
        self.total = self.resident = self.code = self.data = self.stack = self.lib = self.file = self.locked = 0
        if mm is None:
            return
        self.total = mm.total_vm
        self.resident = mm.rss_pages()
        self.code = ((mm.end_code + 4095) >> 12) - (mm.start_code >> 12)
        executable = 0
        for vma in mm.vmas:
            pages = (vma.end - vma.start) >> 12
            if vma.flags & MAP_LOCKED:
                self.locked += pages
            if vma.flags & MAP_GROWSDOWN:
                self.stack += pages
            elif vma.prot & PROT_WRITE and not vma.shared:
                self.data += pages
            if vma.prot & PROT_EXEC and not vma.prot & PROT_WRITE and not vma.flags & MAP_GROWSDOWN:
                executable += pages
            if vma.file is not None:
                # Private copies of file pages count as the file's here.
                self.file += sum(1 for _ in mm.space.entries(vma.start, vma.end))
        self.lib = max(executable - self.code, 0)


def state_of(task: Task) -> str:
    """The state letter: a process that is gone but not waited for is a zombie."""
    return "Z" if task.process.exited else task.state()


def _usage(task: Task, whole: bool) -> Usage:
    """Resources used by the whole process, or by one task."""
    if whole:
        return task.process.usage()
    from syscalls.objects.process import Usage

    usage = Usage()
    usage.add_task(task)
    return usage


def _terminal(process: Process) -> tuple[int, int]:
    """tty_nr and tpgid of stat."""
    tty = process.session.tty
    if tty is None:
        return 0, -1
    return CONSOLE_RDEV, tty.foreground.pgid if tty.foreground is not None else -1


def priority_of(task: Task) -> int:
    """The priority column: 20 plus nice, or below zero for real-time policies."""
    if task.sched_policy in (1, 2):
        return -1 - task.sched_priority
    return 20 + task.nice


async def stat(t: Task, task: Task, whole: bool) -> bytes:
    """/proc/PID/stat (man 5 proc_pid_stat).

    Args:
        t: who reads.
        task: the task that is shown.
        whole: counters are those of the whole process, not of this task.
    """
    process = task.process
    sizes = Sizes(process.mm)
    permitted = may_inspect(t, task)
    usage, children = _usage(task, whole), process.child_usage
    flags = _PF_RANDOMIZE | (0 if process.did_exec else _PF_FORKNOEXEC)
    if task.exit_status is not None:
        flags |= _PF_EXITING
    # Tasks note when they started on the kernel's clock; what is shown is on that of /proc/uptime.
    started = task.start_ns - t.server.port.now_ns() + await t.server.clock_ns(CLOCK_BOOTTIME)
    code, data = _addresses(process, permitted)
    handlers = process.sighand
    fields: list[int] = [
        process.ppid, process.pgrp.pgid, process.session.sid, *_terminal(process), flags,
        usage.minflt, children.minflt, usage.majflt, children.majflt,
        usage.user_ns // TICK_NS, usage.sys_ns // TICK_NS,
        children.user_ns // TICK_NS, children.sys_ns // TICK_NS,
        priority_of(task), task.nice, max(len(process.tasks), 1), 0, max(started, 0) // TICK_NS,
        sizes.total << 12, sizes.resident, process.rlimits[RLIMIT_RSS][0], *code, 0, 0,
        task.pending.mask & _LEGACY_SIGNALS, task.blocked & _LEGACY_SIGNALS,
        handlers.mask_of(SIG_IGN) & _LEGACY_SIGNALS, handlers.caught() & _LEGACY_SIGNALS,
        0, 0, 0, process.exit_signal, 0, task.sched_priority, task.sched_policy, 0, 0, 0,
        *data, (process.exit_code or 0) if permitted else 0,
    ]  # fmt: skip
    head = b"%d (%s) %s " % (task.tid, _escaped(task.comm), state_of(task).encode())
    return head + b" ".join(b"%d" % value for value in fields) + b"\n"


def _addresses(process: Process, permitted: bool) -> tuple[list[int], list[int]]:
    """Columns startcode to startstack, and start_data to env_end; hidden from who may not look inside."""
    mm = process.mm
    if mm is None:
        return [0] * 3, [0] * 7
    if not permitted:
        return [1, 1, 0], [0] * 7
    data = [mm.start_data, mm.end_data, mm.brk_start, mm.arg_start, mm.arg_end, mm.env_start, mm.env_end]
    return [mm.start_code, mm.end_code, mm.start_stack], data


def _escaped(comm: bytes) -> bytes:
    return comm.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")


async def statm(t: Task, task: Task, whole: bool) -> bytes:
    """/proc/PID/statm: sizes in pages."""
    sizes = Sizes(task.process.mm)
    data = sizes.data + sizes.stack
    return b"%d %d %d %d 0 %d 0\n" % (sizes.total, sizes.resident, sizes.file, sizes.code, data)


async def status(t: Task, task: Task, whole: bool) -> bytes:
    """/proc/PID/status (man 5 proc_pid_status)."""
    process, creds = task.process, task.process.creds if whole else task.creds
    state = state_of(task)
    alive = process.mm is not None
    lines = [b"Name:\t" + _escaped(task.comm)]
    if alive:
        lines.append(b"Umask:\t%04o" % task.fs.umask)
    lines += [
        b"State:\t" + _STATES[state],
        b"Tgid:\t%d" % process.pid,
        b"Ngid:\t0",
        b"Pid:\t%d" % task.tid,
        b"PPid:\t%d" % process.ppid,
        b"TracerPid:\t0",
        b"Uid:\t%d\t%d\t%d\t%d" % (creds.uid, creds.euid, creds.suid, creds.fsuid),
        b"Gid:\t%d\t%d\t%d\t%d" % (creds.gid, creds.egid, creds.sgid, creds.fsgid),
        b"FDSize:\t%d" % (table_size(task) if alive else 0),
        b"Groups:\t" + b"".join(b"%d " % gid for gid in creds.groups) + (b"" if creds.groups else b" "),
        b"NStgid:\t%d" % process.pid,
        b"NSpid:\t%d" % task.tid,
        b"NSpgid:\t%d" % process.pgrp.pgid,
        b"NSsid:\t%d" % process.session.sid,
        b"Kthread:\t0",
    ]
    if alive:
        lines += _memory_lines(task)
    lines += _signal_lines(task) + _capability_lines(task, creds) + _scheduling_lines(task)
    return b"\n".join(lines) + b"\n"


def _capability_lines(task: Task, creds: Credentials) -> list[bytes]:
    return [
        b"CapInh:\t%016x" % creds.inheritable,
        b"CapPrm:\t%016x" % creds.permitted,
        b"CapEff:\t%016x" % creds.effective,
        b"CapBnd:\t%016x" % creds.bounding,
        b"CapAmb:\t%016x" % creds.ambient,
        b"NoNewPrivs:\t%d" % task.no_new_privs,
        b"Seccomp:\t0",
        b"Seccomp_filters:\t0",
        b"Speculation_Store_Bypass:\tnot vulnerable",
        b"SpeculationIndirectBranch:\tnot affected",
    ]


def _scheduling_lines(task: Task) -> list[bytes]:
    return [
        b"Cpus_allowed:\t%x" % task.affinity,
        b"Cpus_allowed_list:\t" + cpu_list(task.affinity),
        b"Mems_allowed:\t1",
        b"Mems_allowed_list:\t0",
        b"voluntary_ctxt_switches:\t%d" % task.nvcsw,
        b"nonvoluntary_ctxt_switches:\t%d" % task.nivcsw,
    ]


def table_size(task: Task) -> int:
    """Room in the descriptor table, which Linux grows in powers of two."""
    highest = max((fd for fd, _ in task.files.items()), default=0)
    return 64 if highest < 64 else 128 << (highest // 128).bit_length()


def _memory_lines(task: Task) -> list[bytes]:
    sizes = Sizes(task.process.mm)
    anonymous = sizes.resident - sizes.file
    rows = (
        (b"VmPeak", sizes.total), (b"VmSize", sizes.total), (b"VmLck", sizes.locked), (b"VmPin", 0),
        (b"VmHWM", max(sizes.resident, task.process.dead_usage.maxrss_kb >> 2)), (b"VmRSS", sizes.resident),
        (b"RssAnon", anonymous), (b"RssFile", sizes.file), (b"RssShmem", 0), (b"VmData", sizes.data),
        (b"VmStk", sizes.stack), (b"VmExe", sizes.code), (b"VmLib", sizes.lib),
        (b"VmPTE", len(task.mm.space.leaves) + 3), (b"VmSwap", 0), (b"HugetlbPages", 0),
    )  # fmt: skip
    lines = [b"%s:\t%8d kB" % (name, pages << 2) for name, pages in rows]
    return [*lines, b"CoreDumping:\t0", b"THP_enabled:\t0", b"untag_mask:\t0xffffffffffffffff"]


def _signal_lines(task: Task) -> list[bytes]:
    process = task.process
    queued = len(process.pending) + sum(len(each.pending) for each in process.tasks.values())
    return [
        b"Threads:\t%d" % max(len(process.tasks), 1),
        b"SigQ:\t%d/%d" % (queued, process.rlimits[RLIMIT_SIGPENDING][0]),
        b"SigPnd:\t%016x" % task.pending.mask,
        b"ShdPnd:\t%016x" % process.pending.mask,
        b"SigBlk:\t%016x" % task.blocked,
        b"SigIgn:\t%016x" % process.sighand.mask_of(SIG_IGN),
        b"SigCgt:\t%016x" % process.sighand.caught(),
    ]


def cpu_list(mask: int) -> bytes:
    """A CPU set as ranges: "0-3,8"."""
    parts = []
    cpu = 0
    while mask >> cpu:
        if mask >> cpu & 1:
            first = cpu
            while mask >> (cpu + 1) & 1:
                cpu += 1
            parts.append(b"%d-%d" % (first, cpu) if cpu > first else b"%d" % first)
        cpu += 1
    return b",".join(parts)


async def limits(t: Task, task: Task, whole: bool) -> bytes:
    """/proc/PID/limits: the resource limits as a table (man 2 getrlimit)."""
    lines = [b"%-25s %-20s %-20s %-10s" % (b"Limit", b"Soft Limit", b"Hard Limit", b"Units")]
    for number, (name, unit) in enumerate(_LIMITS):
        soft, hard = (_limit(value) for value in task.process.rlimits[number])
        lines.append(b"%-25s %-20s %-20s %s" % (name, soft, hard, b"%-10s" % unit if unit else b""))
    return b"\n".join(lines) + b"\n"


def _limit(value: int) -> bytes:
    return b"unlimited" if value == RLIM_INFINITY else b"%d" % value


async def schedstat(t: Task, task: Task, whole: bool) -> bytes:
    """/proc/PID/schedstat: time on the CPU and waiting for it, ns, and how often it ran."""
    usage = _usage(task, whole)
    return b"%d 0 %d\n" % (usage.user_ns + usage.sys_ns, usage.nvcsw + usage.nivcsw)


async def io(t: Task, task: Task, whole: bool) -> bytes:
    """/proc/PID/io: only blocks are counted (man 5 proc_pid_io)."""
    usage = _usage(task, whole)
    rows = (
        (b"rchar", 0), (b"wchar", 0), (b"syscr", 0), (b"syscw", 0),
        (b"read_bytes", usage.inblock << 9), (b"write_bytes", usage.oublock << 9),
        (b"cancelled_write_bytes", 0),
    )  # fmt: skip
    return b"".join(b"%s: %d\n" % row for row in rows)
