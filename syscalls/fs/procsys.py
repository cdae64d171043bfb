"""/proc/sys: the system's settings (man 5 proc_sys).

Settings that change nothing here can be read and written all the same; those that matter are wired to what
they set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syscalls.abi.errno import EINVAL
from syscalls.errors import SysError
from syscalls.fs.procipc import LIMITS, limit_text, set_limit
from syscalls.fs.procsystem import constant
from syscalls.objects.device import random_bytes
from syscalls.objects.mqueue import HARD_MSGMAX, HARD_MSGSIZEMAX
from syscalls.objects.pipe import PIPE_MAX_SIZE
from syscalls.objects.process import PID_MAX_LIMIT
from syscalls.vfs.virtual import VirtualDirectory, VirtualFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.fs.procfs import ProcFs
    from syscalls.objects.task import Task
    from syscalls.vfs.inode import Inode

    Set = Callable[[Task, bytes], None]

_PID_MAX_MIN = 301
_THREADS_MIN = 20
_INT_MAX = 0x7FFF_FFFF
_HOST_NAME_MAX = 64
_CORE_PATTERN_MAX = 127

_FIXED: dict[bytes, bytes] = {
    b"fs/aio-nr": b"0",
    b"fs/dentry-state": b"0\t0\t45\t0\t0\t0",
    b"fs/file-nr": b"0\t0\t9223372036854775807",
    b"fs/inode-nr": b"0\t0",
    b"fs/inode-state": b"0\t0\t0\t0\t0\t0\t0",
    b"kernel/cap_last_cap": b"40",
    b"kernel/ngroups_max": b"65536",
    b"kernel/ostype": b"Linux",
    b"kernel/pty/nr": b"0",
    b"kernel/random/entropy_avail": b"256",
    b"kernel/random/poolsize": b"256",
    b"kernel/seccomp/actions_avail": b"kill_process kill_thread trap errno user_notif trace log allow",
}
"""Read-only values."""

_NUMBERS: dict[bytes, bytes] = {
    b"fs/aio-max-nr": b"65536",
    b"fs/dir-notify-enable": b"1",
    b"fs/epoll/max_user_watches": b"1000000",
    b"fs/file-max": b"9223372036854775807",
    b"fs/inotify/max_queued_events": b"16384",
    b"fs/inotify/max_user_instances": b"128",
    b"fs/inotify/max_user_watches": b"65536",
    b"fs/lease-break-time": b"45",
    b"fs/leases-enable": b"1",
    b"fs/mount-max": b"100000",
    b"fs/nr_open": b"1048576",
    b"fs/overflowgid": b"65534",
    b"fs/overflowuid": b"65534",
    b"fs/pipe-max-size": b"%d" % PIPE_MAX_SIZE,
    b"fs/pipe-user-pages-hard": b"0",
    b"fs/pipe-user-pages-soft": b"16384",
    b"fs/protected_fifos": b"0",
    b"fs/protected_regular": b"0",
    b"fs/protected_symlinks": b"0",
    b"fs/suid_dumpable": b"0",
    b"kernel/core_uses_pid": b"0",
    b"kernel/ctrl-alt-del": b"0",
    b"kernel/dmesg_restrict": b"0",
    b"kernel/kptr_restrict": b"0",
    b"kernel/overflowgid": b"65534",
    b"kernel/overflowuid": b"65534",
    b"kernel/panic": b"0",
    b"kernel/panic_on_oops": b"0",
    b"kernel/perf_event_paranoid": b"2",
    b"kernel/printk": b"4\t4\t1\t7",
    b"kernel/pty/max": b"4096",
    b"kernel/pty/reserve": b"1024",
    b"kernel/random/urandom_min_reseed_secs": b"60",
    b"kernel/random/write_wakeup_threshold": b"256",
    b"kernel/randomize_va_space": b"0",
    b"kernel/sched_rr_timeslice_ms": b"100",
    b"kernel/sysctl_writes_strict": b"1",
    b"kernel/tainted": b"0",
    b"kernel/unprivileged_bpf_disabled": b"2",
    b"net/core/rmem_default": b"212992",
    b"net/core/rmem_max": b"212992",
    b"net/core/somaxconn": b"4096",
    b"net/core/wmem_default": b"212992",
    b"net/core/wmem_max": b"212992",
    b"net/ipv4/ip_default_ttl": b"64",
    b"net/ipv4/ip_forward": b"0",
    b"net/ipv4/ip_local_port_range": b"32768\t60999",
    b"net/ipv4/tcp_rmem": b"4096\t131072\t6291456",
    b"net/ipv4/tcp_wmem": b"4096\t16384\t4194304",
    b"net/unix/max_dgram_qlen": b"512",
    b"vm/dirty_background_ratio": b"10",
    b"vm/dirty_expire_centisecs": b"3000",
    b"vm/dirty_ratio": b"20",
    b"vm/dirty_writeback_centisecs": b"500",
    b"vm/laptop_mode": b"0",
    b"vm/legacy_va_layout": b"0",
    b"vm/max_map_count": b"65530",
    b"vm/min_free_kbytes": b"67584",
    b"vm/mmap_min_addr": b"65536",
    b"vm/nr_hugepages": b"0",
    b"vm/overcommit_kbytes": b"0",
    b"vm/overcommit_memory": b"0",
    b"vm/overcommit_ratio": b"50",
    b"vm/panic_on_oom": b"0",
    b"vm/swappiness": b"60",
    b"vm/vfs_cache_pressure": b"100",
}
"""One or several numbers that can be changed without effect."""

_QUEUE_LIMITS = (
    ("msg_default", 1, HARD_MSGMAX),
    ("msg_max", 1, HARD_MSGMAX),
    ("msgsize_default", 128, HARD_MSGSIZEMAX),
    ("msgsize_max", 128, HARD_MSGSIZEMAX),
    ("queues_max", 0, _INT_MAX),
)
"""Names in /proc/sys/fs/mqueue, with the least and the largest value."""

_EMPTY = (b"abi", b"debug", b"dev", b"user")


class _Settings:
    """Makes the files of one /proc/sys.

    Args:
        fs: the proc file system.
    """

    def __init__(self, fs: ProcFs) -> None:
        self._fs = fs
        self._boot_id = b""
        self._core_pattern = b"core"
        self.files: dict[bytes, Inode] = {}
        for name, text in _FIXED.items():
            self.files[name] = VirtualFile(fs, constant(text + b"\n"))
        for name, text in _NUMBERS.items():
            self._number(name, text)
        for name in LIMITS:
            self._limit(name)
        self._live()

    def _add(self, name: bytes, make: Callable[[Task], Awaitable[bytes]], set_value: Set | None) -> None:
        async def store(t: Task, data: bytes, offset: int) -> int:
            if set_value is not None and not offset:
                set_value(t, data)
            return len(data)

        writable = set_value is not None
        mode = 0o644 if writable else 0o444
        self.files[name] = VirtualFile(self._fs, make, mode, store=store if writable else None)

    def _text(self, name: bytes, get: Callable[[], bytes], set_text: Set | None) -> None:
        """A line of text; what is written ends at a newline or NUL."""

        async def make(t: Task) -> bytes:
            return get() + b"\n"

        def set_value(t: Task, data: bytes) -> None:
            assert set_text is not None
            set_text(t, data.split(b"\n")[0].split(b"\0")[0])

        self._add(name, make, set_value if set_text is not None else None)

    def _number(self, name: bytes, text: bytes) -> None:
        values = [int(word) for word in text.split()]

        def set_text(t: Task, new: bytes) -> None:
            words = parse_numbers(new)
            if len(words) > len(values):
                raise SysError(EINVAL)
            values[: len(words)] = words

        self._text(name, lambda: b"\t".join(b"%d" % value for value in values), set_text)

    def _task_limit(self) -> None:
        table = self._fs.table
        most = table.threads_max

        def set_threads_max(t: Task, new: bytes) -> None:
            table.threads_max = _one(new, _THREADS_MIN, most)

        self._text(b"kernel/threads-max", lambda: b"%d" % table.threads_max, set_threads_max)

    def _limit(self, name: bytes) -> None:
        server = self._fs.server

        def set_text(t: Task, new: bytes) -> None:
            set_limit(server.ipc, name, parse_numbers(new))

        self._text(name, lambda: limit_text(server.ipc, name), set_text)

    def _live(self) -> None:
        """Settings that belong to something that is there."""
        server, table = self._fs.server, self._fs.table

        def set_hostname(t: Task, new: bytes) -> None:
            server.hostname = new[:_HOST_NAME_MAX]

        def set_domainname(t: Task, new: bytes) -> None:
            server.domainname = new[:_HOST_NAME_MAX]

        def set_core_pattern(t: Task, new: bytes) -> None:
            self._core_pattern = new[:_CORE_PATTERN_MAX]

        def set_pid_max(t: Task, new: bytes) -> None:
            table.pid_max = _one(new, _PID_MAX_MIN, PID_MAX_LIMIT)

        def set_last_pid(t: Task, new: bytes) -> None:
            table.last_pid = _one(new, 0, _INT_MAX)

        def set_protected_hardlinks(t: Task, new: bytes) -> None:
            server.protected_hardlinks = bool(_one(new, 0, 1))

        self._text(
            b"fs/protected_hardlinks", lambda: b"%d" % server.protected_hardlinks, set_protected_hardlinks
        )
        self._text(b"kernel/hostname", lambda: server.hostname, set_hostname)
        self._text(b"kernel/core_pattern", lambda: self._core_pattern, set_core_pattern)
        self._text(b"kernel/domainname", lambda: server.domainname, set_domainname)
        self._text(b"kernel/pid_max", lambda: b"%d" % table.pid_max, set_pid_max)
        self._task_limit()
        self._text(b"kernel/ns_last_pid", lambda: b"%d" % table.last_pid, set_last_pid)
        for name, low, high in _QUEUE_LIMITS:
            self._queue_limit(name, low, high)
        self._add(b"kernel/osrelease", _release, None)
        self._add(b"kernel/version", _kernel_version, None)
        self._add(b"kernel/random/uuid", _uuid, None)
        self._add(b"kernel/random/boot_id", self._show_boot_id, None)
        self._add(b"vm/drop_caches", constant(b"0\n"), lambda t, new: None)

    def _queue_limit(self, name: str, low: int, high: int) -> None:
        """A setting of POSIX message queues."""
        server = self._fs.server

        def set_limit(t: Task, new: bytes) -> None:
            setattr(server.queue_limits, name, _one(new, low, high))

        self._text(b"fs/mqueue/" + name.encode(), lambda: b"%d" % getattr(server.queue_limits, name), set_limit)

    async def _show_boot_id(self, t: Task) -> bytes:
        if not self._boot_id:
            self._boot_id = await _uuid(t)
        return self._boot_id


def parse_numbers(text: bytes) -> list[int]:
    """The numbers in what was written to a setting; EINVAL for anything else."""
    try:
        return [int(word, 0) for word in text.split()]
    except ValueError:
        raise SysError(EINVAL) from None


def _one(text: bytes, low: int, high: int) -> int:
    numbers = parse_numbers(text)
    if len(numbers) != 1 or not low <= numbers[0] <= high:
        raise SysError(EINVAL)
    return numbers[0]


async def _release(t: Task) -> bytes:
    from syscalls.handlers.system import KERNEL_RELEASE

    return KERNEL_RELEASE + b"\n"


async def _kernel_version(t: Task) -> bytes:
    from syscalls.handlers.system import KERNEL_VERSION

    return KERNEL_VERSION + b"\n"


async def _uuid(t: Task) -> bytes:
    """A random UUID, another one at each reading."""
    raw = bytearray(await random_bytes(t, 16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    digits = raw.hex().encode()
    return b"-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])) + b"\n"


def sys_directory(fs: ProcFs) -> VirtualDirectory:
    """The tree of settings."""
    top = VirtualDirectory(fs)
    for name in _EMPTY:
        top.entries[name] = VirtualDirectory(fs)
    for path, inode in sorted(_Settings(fs).files.items()):
        *folders, name = path.split(b"/")
        where = top
        for folder in folders:
            below = where.entries.get(folder)
            if not isinstance(below, VirtualDirectory):
                below = where.entries[folder] = VirtualDirectory(fs)
            where = below
        where.entries[name] = inode
    return top
