"""`calls.h` for the guest: what our declarations say of each system call, as tables in C."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syscalls.registry import Syscall
    from syscalls.types import Arg

LAST_NUMBER = 470

_KINDS = {
    "fd": "f",
    "dirfd": "d",
    "fanotify_dir": "d",
    "pid": "p",
    "priority_who": "p",
    "wait_id": "p",
    "path": "P",
    "str": "P",
    "mount_type": "P",
    "host_name": "P",
    "argv": "X",
    "envp": "X",
    "size": "n",
    "uint": "n",
    "signal": "g",
    "address": "a",
}
_TIMES = ("Timespec", "Timeval", "Itimerspec", "Itimerval", "__kernel_timespec")
_RARE = (
    "exit", "exit_group", "pause", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "execve", "execveat",
    "vfork", "close_range", "munmap", "setrlimit",
)  # fmt: skip
_OPENED = (
    ("/dev/null", 2), ("/dev/zero", 2), ("/dev/full", 2), ("/dev/urandom", 0), ("/dev/tty", 2),
    ("/tmp/w", 0o200000), ("/proc/self", 0o200000), ("/proc/self/mem", 2), ("/proc/self/maps", 0),
    ("/ro/file", 0), ("/rw/file", 2), ("/rw", 0o200000), ("f", 0o2102), ("f", 0o10000000), ("/dev/ptmx", 2),
    ("/", 0o200000), ("/proc", 0o200000), ("/proc/self/status", 0), ("/etc/passwd", 0),
)  # fmt: skip
_PATHS = (
    "", ".", "..", "/", "f", "g", "d", "d/f", "d/../f", "link", "loop", "loop/x", "/tmp", "/tmp/w/f",
    "//tmp///w", "f/x", "/ro", "/ro/file", "/ro/dir/other", "/rw", "/rw/file", "/rw/new", "/rw/dir",
    "/rw/link", "/rw/../../../etc/passwd", "/ro/out", "/rw/out", "/etc/passwd", "/fuzz", "/elf", "/dev",
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/tty", "/dev/console", "/dev/ptmx",
    "/dev/pts/0", "/dev/fd/3", "/dev/shm/x", "/dev/stdin", "/sys", "/sys/kernel", "/proc", "/proc/1/mem",
    "/proc/self/fd/3", "/proc/self/fd/", "/proc/self/exe", "/proc/self/cwd/../f", "/proc/self/root",
    "/proc/self/environ", "/proc/self/cmdline", "/proc/self/stat", "/proc/self/statm", "/proc/self/maps",
    "/proc/self/mem", "/proc/self/mountinfo", "/proc/self/task", "/proc/self/limits", "/proc/self/comm",
    "/proc/self/fdinfo/3", "/proc/self/oom_score_adj", "/proc/self/attr/current", "/proc/self/pagemap",
    "/proc/thread-self", "/proc/meminfo", "/proc/stat", "/proc/cpuinfo", "/proc/uptime", "/proc/loadavg",
    "/proc/mounts", "/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory",
    "/proc/sys/fs/pipe-max-size", "/proc/net/tcp", "/proc/kmsg", "/proc/2", "/proc/3/fd", "tmpfs", "proc",
    "user.a", "system.posix_acl_access", "trusted.b", "security.c",
)  # fmt: skip


def header() -> str:
    """The text of `calls.h`."""
    from syscalls import handlers
    from syscalls.registry import TABLE
    from syscalls.signatures import signature_of

    handlers.load()
    pool = _Pool()
    handled = [_row(call, pool) for _, call in sorted(TABLE.items())]
    others = (signature_of(number) for number in range(LAST_NUMBER + 1) if number not in TABLE)
    rows = handled + [_row(call, pool) for call in others if call is not None]
    return "\n".join(
        [
            f"#define HANDLED {len(handled)}",
            "struct call { int number, rare; char kinds[8]; int pool[6], pool_size[6]; };",
            "static const struct call calls[] = {",
            *rows,
            "};",
            f"static const unsigned long values[] = {{ {', '.join(f'{value:#x}ul' for value in pool.values)} }};",
            "static const struct { const char *path; int flags; } opened[] = {",
            *(f'    {{"{path}", 0{flags:o}}},' for path, flags in _OPENED),
            "};",
            "static const char *const paths[] = {",
            *(f'    "{path}",' for path in _PATHS),
            "};\n",
        ]
    )


class _Pool:
    """The values of all arguments that have names, one list after the other."""

    def __init__(self) -> None:
        self.values: list[int] = [0]
        self._places: dict[tuple[int, ...], int] = {}

    def place(self, values: tuple[int, ...]) -> int:
        """Where a list begins."""
        if values not in self._places:
            self._places[values] = len(self.values)
            self.values.extend(value & 0xFFFF_FFFF_FFFF_FFFF for value in values)
        return self._places[values]


def _row(call: Syscall, pool: _Pool) -> str:
    kinds, places, sizes = "", [], []
    for name, arg in call.arguments()[:6]:
        values = tuple(_values(arg))
        kinds += _kind(name, arg, bool(values))
        places.append(pool.place(values) if values else 0)
        sizes.append(max(len(values), 1))
    rare = int(call.name in _RARE)
    numbers = (", ".join(map(str, some)) for some in (places or [0], sizes or [1]))
    return '    {{{}, {}, "{}", {{{}}}, {{{}}}}},'.format(call.number, rare, kinds.ljust(6, "i"), *numbers)


def _kind(name: str, arg: Arg, has_values: bool) -> str:
    """The letter by which `argument` of guest.c makes a value."""
    if name == "sigsetsize":
        return "s"
    if arg.format in _KINDS:
        return _KINDS[arg.format]
    if has_values:
        return "F" if "flags" in arg.format or arg.format in ("bits", "create_mode") else "V"
    if arg.pointer:
        if arg.format in ("buffer", "xattr_value") and arg.direction == "out":
            return "b"
        return "t" if arg.table in _TIMES or "time" in arg.format else "S"
    return "S" if arg.format.endswith(("_arg", "_timeout")) else "i"


def _values(arg: Arg) -> Iterator[int]:
    """The values that have names, of an argument that is no pointer."""
    from syscalls.abi import flags, tables

    if arg.pointer:
        return
    if arg.format == "ioctl_op":
        for prefix in ("TC", "TIO", "FIO", "BLK", "FS_IOC_"):
            yield from flags.names(prefix)
    elif arg.format == "sighow":
        yield from (0, 1, 2)
    elif arg.format == "epoll_op":
        yield from (1, 2, 3)
    elif arg.table and arg.table in tables.texts():
        yield from tables.table(arg.table).names
    elif arg.table:
        yield from flags.names(arg.table)
