"""What scripts are made of: the subjects and their calls, and values for each kind of argument.

Calls and the kinds of their arguments come from the declarations; here stands what they do not say: which values are
worth trying, and what is left out because two systems need not agree on it or a generated script has no use for it.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from syscalls.abi import flags
from tools.differ.code import declarations
from tools.differ.script import Number, Word


class Subject(NamedTuple):
    """What a script is about.

    Args:
        modules: of handlers, whose calls it makes.
        often: calls that the others need, or that are worth more.
        forks: how many of a hundred statements begin a process.
        probes: how many look at memory.
    """

    modules: tuple[str, ...]
    often: tuple[str, ...]
    forks: int = 0
    probes: int = 0


SUBJECTS = {
    "files": Subject(
        ("file", "stat", "xattr"),
        ("openat", "open", "openat", "write", "read", "lseek", "fstat", "mkdir", "ftruncate", "pread64", "pwrite64"),
    ),
    "directories": Subject(
        ("directory", "stat"),
        ("mkdir", "mkdirat", "openat", "open", "creat", "symlink", "link", "rename", "renameat2", "unlinkat",
         "getdents64", "lstat", "unlink", "rmdir", "chdir", "getcwd"),
    ),
    "descriptors": Subject(
        ("fcntl", "pipe", "splice", "memfd", "eventfd", "mqueue"),
        ("openat", "pipe2", "pipe", "write", "read", "dup", "dup2", "dup3", "close", "close_range", "fcntl", "fcntl",
         "fcntl", "readv", "writev", "poll", "lseek", "flock", "splice", "tee", "fstat"),
        forks=4,
    ),
    "memory": Subject(
        ("memory", "mremap"),
        ("mmap", "mmap", "mmap", "munmap", "mprotect", "mremap", "madvise", "mincore", "openat", "memfd_create",
         "ftruncate", "write", "msync"),
        forks=4,
        probes=25,
    ),
    "processes": Subject(
        ("process", "identity", "resource"),
        ("wait4", "wait4", "waitid", "waitid", "getpid", "getppid", "setpgid", "getpgid", "setsid", "kill", "setuid",
         "setresuid", "prlimit64", "access", "openat", "rt_sigaction", "prctl"),
        forks=22,
    ),
    "signals": Subject(
        ("signal",),
        ("rt_sigaction", "rt_sigaction", "rt_sigaction", "rt_sigprocmask", "rt_sigprocmask", "kill", "kill", "tgkill",
         "getpid", "getpid", "gettid", "rt_sigpending", "rt_sigtimedwait", "rt_sigqueueinfo", "alarm", "wait4",
         "sigaltstack", "pipe2", "write"),
        forks=8,
    ),
    "polling": Subject(
        ("poll", "epoll", "eventfd", "time"),
        ("pipe2", "eventfd2", "epoll_create1", "epoll_ctl", "epoll_ctl", "epoll_ctl", "epoll_wait", "epoll_wait",
         "poll", "write", "read", "close", "timer_create", "timer_settime", "timer_gettime", "rt_sigaction", "dup",
         "openat"),
        forks=4,
    ),
}  # fmt: skip

_FILES = (
    'f1 = open("a", O_RDWR|O_CREAT, 0644)',
    'write(f1, "0123456789", 10)',
    'mkdir("d", 0755)',
    'symlink("a", "l")',
    'f2 = open("d", O_RDONLY|O_DIRECTORY)',
    'f3 = open("d/b", O_RDWR|O_CREAT|O_APPEND, 0600)',
    'f4 = open("a", O_RDONLY)',
)
_PIPES = ("q1 = buffer(8)", "pipe2(q1, O_NONBLOCK)", 'write(q1[1], "0123456789", 10)', "q2 = buffer(8)",
          "pipe2(q2, O_NONBLOCK)")  # fmt: skip
STAGE = {
    "files": _FILES,
    "directories": (*_FILES, 'mkdir("d/e", 0777)', 'link("a", "c")', 'symlink("d", "m")', "setresuid(0, 1000, 0)"),
    "descriptors": (*_FILES[:2], *_PIPES),
    "memory": _FILES[:2],
    "polling": _PIPES,
}
"""How scripts may begin: statements of which some are left out, and those that use what these make."""

LEFT_OUT = frozenset(
    (
        *("sync", "syncfs"),  # of the whole host, and slow
        *("getrandom", "sysinfo", "uname", "getcpu", "sched_getaffinity", "sched_setaffinity", "getrusage", "times"),
        *("sched_setscheduler", "sched_setparam", "sched_setattr", "mlockall"),  # the host's other processes would wait
        *("pause", "rt_sigsuspend", "exit_group", "restart_syscall", "set_robust_list", "get_robust_list"),
        *("rseq", "set_tid_address", "membarrier", "arch_prctl", "brk"),
        *("statfs", "fstatfs"),  # how full a file system is
    )
)
"""Calls that are not generated: they would block, or tell about the machine."""

USUAL_PATHS = ("a", "a", "d", "d", "d/b", "l", "b", "m", "d/e", "d/a", "m/b", "c", ".")
PATHS = (
    *("a", "b", "c", "d", "e", "a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "l", "m", "l/a", "a/b", "d/.", "d/.."),
    *("a/", "d/", "l/", "", "/", ".", "..", "/a", "/d/../b", "d//a", "n" * 255, "n" * 256, "a/.", "l/."),
    "d/" + "n" * 256,
)  # fmt: skip
TEXTS = (b"", b"x", b"hello", b"0123456789", b"line\n", b"z" * 64)
NAMES = (
    *(b"user.a", b"user.b", b"trusted.a", b"security.a", b"security.capability", b"system.a", b"user.", b"a", b""),
    b"user." + b"n" * 251,
)  # fmt: skip
SIZES = (0, 1, 2, 4, 5, 8, 10, 16, 64, 128)
COUNTS = (0, 1, 1, 2, 3, -1, 1025)
OFFSETS = (0, 0, 1, 3, 5, 10, 100, 4095, 4096, 5000, 1 << 20, (1 << 20) + 1, -1, -4096, 1 << 62, (1 << 63) - 1)
MODES = (0o644, 0o600, 0o777, 0o755, 0, 0o400, 0o1777, 0o4755, 0o2755, 0o7777, 0o10644)
INTS = (0, 0, 0, 1, 2, 5, -1, 1 << 31, 0x7FFF_FFFF)
UIDS = (0, 0, 1, 1000, 65534, -1)
SIGNALS = ("SIGUSR1", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGTERM", "SIGPIPE", "SIGALRM", "SIGURG", "SIGUSR2", "SIGCONT",
           "SIGKILL", "SIGRTMIN", "SIGHUP", "SIGSEGV", "SIGWINCH", "SIGQUIT")  # fmt: skip
TIMES_NS = (0, 0, 1_000_000, 3_000_000)
NODE_KINDS = ("S_IFREG", "S_IFIFO", "S_IFSOCK", "S_IFDIR", "S_IFLNK")

_O_USUAL = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_RDWR", "O_RDWR")
OPEN = (
    *("O_CREAT", "O_CREAT", "O_CREAT", "O_EXCL", "O_TRUNC", "O_APPEND", "O_DIRECTORY", "O_NOFOLLOW", "O_PATH"),
    *("O_CLOEXEC", "O_TMPFILE", "O_SYNC", "O_DIRECT", "O_NOATIME", "O_NOCTTY"),
)
ACCESS_MODES = _O_USUAL
FCNTL = (
    *("F_DUPFD", "F_DUPFD_CLOEXEC", "F_GETFD", "F_SETFD", "F_GETFL", "F_SETFL", "F_GETLK", "F_SETLK", "F_OFD_GETLK"),
    *("F_OFD_SETLK", "F_SETPIPE_SZ", "F_GETPIPE_SZ", "F_ADD_SEALS", "F_GET_SEALS", "F_SETOWN", "F_GETOWN", "F_SETSIG"),
    *("F_GETSIG", "F_GET_RW_HINT", "F_SETLK", "F_SETLK"),
)
FCNTL_LOCKS = ("F_GETLK", "F_SETLK", "F_OFD_GETLK", "F_OFD_SETLK")
PRCTL = ("PR_SET_PDEATHSIG", "PR_GET_PDEATHSIG", "PR_GET_DUMPABLE", "PR_SET_DUMPABLE", "PR_SET_CHILD_SUBREAPER",
         "PR_GET_CHILD_SUBREAPER", "PR_GET_NAME", "PR_SET_NAME", "PR_SET_NO_NEW_PRIVS", "PR_GET_NO_NEW_PRIVS",
         "PR_GET_KEEPCAPS", "PR_SET_KEEPCAPS", "PR_GET_SECUREBITS", "PR_CAPBSET_READ")  # fmt: skip
CLOCKS = ("CLOCK_REALTIME", "CLOCK_MONOTONIC", "CLOCK_MONOTONIC", "CLOCK_BOOTTIME")
PLAIN_FLAGS: dict[str, tuple[str, ...]] = {
    "AT_": ("AT_SYMLINK_NOFOLLOW", "AT_REMOVEDIR", "AT_SYMLINK_FOLLOW", "AT_EMPTY_PATH", "AT_NO_AUTOMOUNT"),
    "AT_E": ("AT_EACCESS", "AT_SYMLINK_NOFOLLOW", "AT_EMPTY_PATH"),
    "PROT_": ("PROT_READ", "PROT_READ", "PROT_WRITE", "PROT_WRITE", "PROT_EXEC"),
    "W": ("WNOHANG", "WNOHANG", "WUNTRACED", "WEXITED", "WEXITED", "WCONTINUED", "WNOWAIT", "__WALL"),
    "?_OK": ("R_OK", "W_OK", "X_OK", "F_OK"),
    "STATX_": ("STATX_BASIC_STATS", "STATX_TYPE", "STATX_SIZE"),
    "FALLOC_FL_": ("FALLOC_FL_KEEP_SIZE", "FALLOC_FL_PUNCH_HOLE", "FALLOC_FL_ZERO_RANGE", "FALLOC_FL_COLLAPSE_RANGE"),
    "LOCK_": ("LOCK_NB", "LOCK_NB", "LOCK_NB", "LOCK_SH", "LOCK_EX", "LOCK_UN"),
    "SPLICE_F_": ("SPLICE_F_NONBLOCK", "SPLICE_F_NONBLOCK", "SPLICE_F_MORE", "SPLICE_F_MOVE"),
}
FLAGS_OF: dict[tuple[str, str], tuple[str, ...]] = {
    ("pipe2", "flags"): ("O_CLOEXEC", "O_NONBLOCK", "O_NONBLOCK", "O_NONBLOCK", "O_DIRECT"),
    ("ioprio_set", "which"): ("IOPRIO_WHO_PROCESS", "IOPRIO_WHO_PGRP"),  # root's first process may more than Linux's
    ("setpriority", "which"): ("PRIO_PROCESS", "PRIO_PGRP"),
    ("dup3", "flags"): ("O_CLOEXEC", "O_NONBLOCK"),
    ("eventfd2", "flags"): ("EFD_CLOEXEC", "EFD_NONBLOCK", "EFD_NONBLOCK", "EFD_SEMAPHORE"),
    ("memfd_create", "flags"): ("MFD_CLOEXEC", "MFD_ALLOW_SEALING", "MFD_ALLOW_SEALING"),
    ("linkat", "flags"): ("AT_SYMLINK_FOLLOW", "AT_EMPTY_PATH"),
    ("unlinkat", "flags"): ("AT_REMOVEDIR", "AT_REMOVEDIR", "AT_SYMLINK_NOFOLLOW"),
    ("epoll_create1", "flags"): ("EPOLL_CLOEXEC",),
    ("madvise", "advice"): ("MADV_NORMAL", "MADV_DONTNEED", "MADV_DONTNEED", "MADV_WILLNEED", "MADV_FREE",
                            "MADV_POPULATE_READ", "MADV_POPULATE_WRITE", "MADV_RANDOM", "MADV_SEQUENTIAL"),
}  # fmt: skip
MAP = ("MAP_NORESERVE", "MAP_FIXED", "MAP_FIXED", "MAP_FIXED", "MAP_FIXED_NOREPLACE", "MAP_POPULATE", "MAP_GROWSDOWN")
SA = ("SA_RESTART", "SA_NODEFER", "SA_RESETHAND", "SA_NOCLDSTOP", "SA_NOCLDWAIT", "SA_ONSTACK")
EVENTS = ("POLLIN", "POLLIN", "POLLOUT", "POLLPRI", "POLLRDNORM", "POLLERR", "POLLHUP", "POLLRDHUP")
EPOLL_EVENTS = ("EPOLLIN", "EPOLLIN", "EPOLLOUT", "EPOLLET", "EPOLLONESHOT", "EPOLLRDHUP", "EPOLLEXCLUSIVE")


@cache
def calls(subject: str) -> tuple[str, ...]:
    """Calls of a subject, as often as they are to come."""
    about = SUBJECTS[subject]
    own = [
        name
        for name, call in sorted(declarations().items())
        if call.handler.__module__.rsplit(".", 1)[1] in about.modules and name not in LEFT_OUT
    ]
    return (*own, *about.often, *about.often)


@cache
def table(prefix: str) -> tuple[str, ...]:
    """Names of the constants of a group of flags or values."""
    return PLAIN_FLAGS.get(prefix) or tuple(flags.names(prefix).values())


def known(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those that have a value."""
    return tuple(name for name in names if hasattr(flags, name))


def word(*names: str) -> Word | Number:
    """Constants as an expression; zero of none."""
    kept = tuple(dict.fromkeys(names))
    return Word(kept) if kept else Number(0)
