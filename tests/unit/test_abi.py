"""The ABI tables against this machine's own headers, where there is a compiler for them."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from syscalls.abi import errno, flags, ipc, numbers, structs
from syscalls.abi.layout import Struct

_UNISTD = [
    Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    Path("/usr/include/asm/unistd_64.h"),
]
_KERNEL_HEADERS = """
linux/types.h linux/fcntl.h linux/stat.h linux/fs.h linux/falloc.h linux/openat2.h linux/mount.h linux/mman.h
linux/fiemap.h linux/memfd.h linux/close_range.h linux/sched.h linux/wait.h linux/signal.h asm/siginfo.h linux/time.h
linux/timex.h linux/resource.h linux/random.h linux/prctl.h asm/prctl.h linux/capability.h linux/securebits.h
asm/termbits.h linux/termios.h asm/ioctls.h linux/poll.h linux/eventpoll.h linux/signalfd.h linux/timerfd.h
linux/inotify.h linux/futex.h linux/reboot.h linux/xattr.h linux/shm.h linux/sem.h linux/msg.h linux/ipc.h
linux/ptrace.h linux/seccomp.h linux/magic.h linux/vt.h linux/kd.h linux/net.h linux/in.h linux/sockios.h
linux/limits.h linux/uio.h linux/fadvise.h linux/utsname.h linux/times.h linux/vfs.h linux/eventfd.h
linux/ioprio.h linux/personality.h linux/rseq.h linux/utime.h
"""
_LIBC_HEADERS = """
fcntl.h dirent.h sys/statvfs.h sys/stat.h sys/wait.h sys/socket.h sys/epoll.h sys/eventfd.h sys/mount.h
sys/poll.h sys/file.h sys/klog.h sys/personality.h netinet/in.h netinet/tcp.h netinet/udp.h signal.h sched.h
unistd.h limits.h time.h sys/sysmacros.h sys/signalfd.h
"""
# The C library's own values differ from the kernel's on purpose.
_LIBC_DIFFERS = {"O_LARGEFILE", "SIGRTMIN", "SIGRTMAX", "MINSIGSTKSZ"}
# Numbers computed from the size of a structure that the C library does not have.
_NEEDS_KERNEL_TYPES = re.compile(r"TC[GS]ETS\w?2|FI[A-Z]+|FS_IOC|BLK")
_NEEDS_LIBC = re.compile(r"SIGRTMAX$")  # defined by a name that the kernel's headers lack


def _compile_and_run(source: str, tmp_path: Path) -> dict[str, int]:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux") or os.uname().machine != "x86_64":
        pytest.skip("needs a C compiler on x86-64 Linux")
    (tmp_path / "t.c").write_text(source)
    built = subprocess.run(
        [compiler, "-w", "-o", str(tmp_path / "t"), str(tmp_path / "t.c")], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr[:3000]
    printed = subprocess.run([str(tmp_path / "t")], capture_output=True, text=True, check=True).stdout
    return {line.split()[0]: int(line.split()[1]) for line in printed.splitlines()}


def _includes(headers: str) -> str:
    return "".join(f"#if __has_include(<{h}>)\n#include <{h}>\n#endif\n" for h in headers.split())


def _constants(names: list[str], headers: str) -> str:
    lines = ["#define _GNU_SOURCE", _includes(headers), "#include <stdio.h>", "int main(void) {"]
    lines += [f'#ifdef {n}\nprintf("{n} %lld\\n", (long long)({n}));\n#endif' for n in names]
    return "\n".join([*lines, "}"])


def _flag_names() -> list[str]:
    return [n for n, v in vars(flags).items() if isinstance(v, int) and n != "annotations"]


@pytest.mark.parametrize(("headers", "minimum"), [(_KERNEL_HEADERS, 900), (_LIBC_HEADERS, 300)])
def test_flags_agree_with_the_headers(headers: str, minimum: int, tmp_path: Path) -> None:
    ours = {n: getattr(flags, n) for n in _flag_names()}
    broken = _NEEDS_LIBC if headers is _KERNEL_HEADERS else _NEEDS_KERNEL_TYPES
    names = [n for n in ours if not broken.match(n)]
    theirs = _compile_and_run(_constants(names, headers), tmp_path)
    if headers is _LIBC_HEADERS:
        theirs = {n: v for n, v in theirs.items() if n not in _LIBC_DIFFERS}
    width = (1 << 64) - 1
    wrong = {n: (ours[n], v) for n, v in theirs.items() if ours[n] & width != v & width}
    assert wrong == {}
    assert len(theirs) >= minimum


def test_errno_agrees_with_the_headers(tmp_path: Path) -> None:
    names = [n for n, v in vars(errno).items() if n[0] == "E" and isinstance(v, int)]
    theirs = _compile_and_run(_constants(names, "errno.h"), tmp_path)
    assert theirs == {n: getattr(errno, n) for n in names}
    assert {getattr(errno, n) for n in names} == set(range(1, 134)) - {41, 58}


def test_errno_name() -> None:
    assert errno.errno_name(2) == "ENOENT"
    assert errno.errno_name(11) == "EAGAIN"
    assert errno.errno_name(95) == "EOPNOTSUPP"
    assert errno.errno_name(4000) == "errno 4000"


def test_numbers_agree_with_the_headers() -> None:
    header = next((p for p in _UNISTD if p.exists()), None)
    if header is None:
        pytest.skip("no asm/unistd_64.h on this machine")
    theirs = {m[1]: int(m[2]) for m in re.finditer(r"#define __NR_(\w+) (\d+)", header.read_text())}
    known = {n: v for n, v in theirs.items() if v <= max(numbers.X86_64.values())}
    assert {n: numbers.X86_64.get(n) for n in known} == known


def test_numbers_are_complete_and_distinct() -> None:
    values = sorted(numbers.X86_64.values())
    assert values == [*range(337), *range(424, 470)]
    assert numbers.syscall_name(0) == "read"
    assert numbers.syscall_name(400) == "syscall_400"


def test_names_of_flags() -> None:
    assert flags.names("O_")[0o100] == "O_CREAT"
    assert flags.names("SIG")[9] == "SIGKILL"
    assert flags.names("SIG")[0x20] == "SIGRTMIN"
    assert 0 not in flags.names("SIG")  # SIG_BLOCK, SIGEV_SIGNAL are other groups
    assert flags.names("W") == {
        1: "WNOHANG", 2: "WUNTRACED", 4: "WEXITED", 8: "WCONTINUED", 0x1000000: "WNOWAIT"
    }  # fmt: skip
    assert flags.names("NOTHING_") == {}


# C type, header, and where a field's C name differs from ours.
_C_TYPES: dict[str, tuple[str, dict[str, str]]] = {
    "Timespec": ("struct timespec", {}),
    "Timeval": ("struct timeval", {}),
    "Itimerval": ("struct itimerval", {}),
    "Itimerspec": ("struct itimerspec", {}),
    "Timezone": ("struct timezone", {}),
    "Tms": ("struct tms", {}),
    "Utimbuf": ("struct utimbuf", {}),
    "Timex": ("struct timex", {"tv_sec": "time.tv_sec", "tv_usec": "time.tv_usec"}),
    "Stat": (
        "struct stat",
        {f"st_{c}time{e}": f"st_{c}tim.tv_{e[1:] or 'sec'}" for c in "amc" for e in ("", "_nsec")},
    ),
    "StatxTimestamp": ("struct statx_timestamp", {}),
    "Statx": ("struct statx", {}),
    "Statfs": ("struct statfs", {"f_fsid0": "f_fsid.__val[0]", "f_fsid1": "f_fsid.__val[1]"}),
    "Flock": ("struct flock", {}),
    "FOwnerEx": ("struct f_owner_ex", {}),
    "Iovec": ("struct iovec", {}),
    "Pollfd": ("struct pollfd", {}),
    "EpollEvent": ("struct epoll_event", {}),
    "StackT": ("stack_t", {}),
    "Sigevent": ("struct sigevent", {"sigev_notify_thread_id": "_sigev_un._tid"}),
    "MqAttr": ("struct mq_attr", {}),
    "Winsize": ("struct winsize", {}),
    "Rlimit": ("struct rlimit", {}),
    "Rusage": ("struct rusage", {}),
    "Sysinfo": ("struct sysinfo", {f"load{n}": f"loads[{i}]" for i, n in enumerate((1, 5, 15))}),
    "Utsname": ("struct utsname", {}),
    "Ucred": ("struct ucred", {}),
    "SignalfdSiginfo": ("struct signalfd_siginfo", {}),
}
_C_HEADERS = """
time.h sys/time.h sys/times.h utime.h sys/timex.h sys/stat.h sys/vfs.h fcntl.h sys/uio.h poll.h sys/epoll.h
signal.h sys/ioctl.h sys/resource.h sys/sysinfo.h sys/utsname.h sys/socket.h sys/signalfd.h mqueue.h
"""
_KERNEL_C_TYPES: dict[str, tuple[str, dict[str, str]]] = {
    "OpenHow": ("struct open_how", {}),
    "Sigaction": (
        "struct sigaction",
        {f: f"sa_{f}" for f in ("handler", "flags", "restorer", "mask")},
    ),
    "Termios": ("struct termios", {}),
    "Termios2": ("struct termios2", {}),
    "Termio": ("struct termio", {}),
    "CapUserHeader": ("struct __user_cap_header_struct", {}),
    "CapUserData": ("struct __user_cap_data_struct", {}),
    "CloneArgs": ("struct clone_args", {}),
    "RobustListHead": ("struct robust_list_head", {}),
    "SchedAttr": ("struct sched_attr", {}),
    "RseqCs": ("struct rseq_cs", {}),
    "IpcPerm": ("struct ipc64_perm", {}),
    "ShmidDs": ("struct shmid64_ds", {}),
    "Shminfo": ("struct shminfo64", {}),
    "ShmInfo": ("struct shm_info", {}),
    "Sembuf": ("struct sembuf", {}),
    "SemidDs": ("struct semid64_ds", {}),
    "Seminfo": ("struct seminfo", {}),
    "MsqidDs": ("struct msqid64_ds", {}),
    "Msginfo": ("struct msginfo", {}),
}
_STRUCTS = {**vars(structs), **vars(ipc)}
_KERNEL_C_HEADERS = """
linux/openat2.h asm/signal.h asm/termbits.h asm/termios.h linux/capability.h linux/sched.h linux/futex.h
linux/sched/types.h linux/rseq.h linux/ipc.h linux/shm.h linux/sem.h linux/msg.h
"""


def _offsets(types: dict[str, tuple[str, dict[str, str]]], headers: str) -> str:
    lines = ["#define _GNU_SOURCE", _includes(headers), "#include <stddef.h>", "#include <stdio.h>"]
    lines.append("int main(void) {")
    for name, (c_type, renamed) in types.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({c_type}));')
        made: type[Struct] = _STRUCTS[name]
        for field in made.FIELDS:
            c_field = renamed.get(field, field)
            lines.append(f'printf("{name}.{field} %zu\\n", offsetof({c_type}, {c_field}));')
            lines.append(f'printf("{name}.{field}# %zu\\n", sizeof((({c_type} *)0)->{c_field}));')
    return "\n".join([*lines, "}"])


def _our_layout(made: type[Struct]) -> dict[str, int]:
    """Where each field lies, found by packing ones into it alone."""
    found = {made.__name__: made.SIZE}
    zero = made.unpack(bytes(made.SIZE))
    for field in made.FIELDS:
        value = getattr(zero, field)
        if isinstance(value, Struct):
            ones: object = type(value).unpack(b"\xff" * value.SIZE)
            size = value.SIZE
        elif isinstance(value, bytes):
            ones, size = b"\xff" * len(value), len(value)
        else:
            size = next(s for s in (8, 4, 2, 1) if _fits(made, field, s))
            ones = _widest(made, field, size)
        packed = zero.replace(**{field: ones}).pack()
        touched = [i for i, byte in enumerate(packed) if byte]
        found[f"{made.__name__}.{field}"] = touched[0]
        found[f"{made.__name__}.{field}#"] = size
    return found


def _widest(made: type[Struct], field: str, size: int) -> int:
    """A value of `size` bytes that the field takes: all ones, signed or not."""
    zero = made.unpack(bytes(made.SIZE))
    try:
        zero.replace(**{field: (1 << 8 * size) - 1}).pack()
    except struct.error:
        return -1
    return (1 << 8 * size) - 1


def _fits(made: type[Struct], field: str, size: int) -> bool:
    zero = made.unpack(bytes(made.SIZE))
    try:
        zero.replace(**{field: (1 << 8 * size - 1) - 1}).pack()
    except struct.error:
        return False
    return True


@pytest.mark.parametrize(
    ("types", "headers"),
    [(_C_TYPES, _C_HEADERS), (_KERNEL_C_TYPES, _KERNEL_C_HEADERS)],
    ids=["libc", "kernel"],
)
def test_layouts_agree_with_the_compiler(
    types: dict[str, tuple[str, dict[str, str]]], headers: str, tmp_path: Path
) -> None:
    theirs = _compile_and_run(_offsets(types, headers), tmp_path)
    ours: dict[str, int] = {}
    for name in types:
        ours.update(_our_layout(_STRUCTS[name]))
    assert ours == theirs


def test_every_structure_is_checked() -> None:
    classes = {n: v for n, v in _STRUCTS.items() if isinstance(v, type) and issubclass(v, Struct)}
    made = {n for n, v in classes.items() if v is not Struct}
    # pselect6's argument has no name in any header; struct rseq has a size of its own there, and grows.
    assert made - set(_C_TYPES) - set(_KERNEL_C_TYPES) == {"SigsetArg", "Rseq"}
