"""Structures that cross the system call boundary, laid out as x86-64 Linux has them.

Field names are those of the man pages (a nanosecond half is `<field>_nsec`).
"""

from __future__ import annotations

import struct
from typing import Self

from syscalls.abi.layout import Struct

_NS = 1_000_000_000


class Timespec(Struct, layout="<qq"):
    """Seconds and nanoseconds: clock_gettime(2)."""

    tv_sec: int
    tv_nsec: int

    @classmethod
    def from_ns(cls, ns: int) -> Self:
        """The normalized form of a number of nanoseconds, negative ones too."""
        return cls(*divmod(ns, _NS))

    def valid(self) -> bool:
        """Whether Linux accepts it as a point in time or a duration."""
        return self.tv_sec >= 0 and 0 <= self.tv_nsec < _NS

    def ns(self) -> int:
        """All of it in nanoseconds."""
        return self.tv_sec * _NS + self.tv_nsec


class Timeval(Struct, layout="<qq"):
    """Seconds and microseconds: gettimeofday(2)."""

    tv_sec: int
    tv_usec: int

    @classmethod
    def from_ns(cls, ns: int) -> Self:
        """The normalized form of a number of nanoseconds, rounded down to microseconds."""
        seconds, rest = divmod(ns, _NS)
        return cls(seconds, rest // 1000)

    def valid(self) -> bool:
        """Whether Linux accepts it as a duration."""
        return self.tv_sec >= 0 and 0 <= self.tv_usec < 1_000_000

    def ns(self) -> int:
        """All of it in nanoseconds."""
        return self.tv_sec * _NS + self.tv_usec * 1000


class Itimerval(Struct, layout="<4q"):
    """setitimer(2)."""

    it_interval: Timeval
    it_value: Timeval


class Itimerspec(Struct, layout="<4q"):
    """timer_settime(2)."""

    it_interval: Timespec
    it_value: Timespec


class Timezone(Struct, layout="<ii"):
    """gettimeofday(2)."""

    tz_minuteswest: int
    tz_dsttime: int


class Tms(Struct, layout="<4q"):
    """times(2), in clock ticks of 1/100 s."""

    tms_utime: int
    tms_stime: int
    tms_cutime: int
    tms_cstime: int


class Utimbuf(Struct, layout="<qq"):
    """utime(2)."""

    actime: int
    modtime: int


class Timex(Struct, layout="<I4xqqqqi4xqqqqqqqqi4xqqqqqi44x"):
    """adjtimex(2)."""

    modes: int = 0
    offset: int = 0
    freq: int = 0
    maxerror: int = 0
    esterror: int = 0
    status: int = 0
    constant: int = 0
    precision: int = 0
    tolerance: int = 0
    tv_sec: int = 0
    tv_usec: int = 0
    tick: int = 0
    ppsfreq: int = 0
    jitter: int = 0
    shift: int = 0
    stabil: int = 0
    jitcnt: int = 0
    calcnt: int = 0
    errcnt: int = 0
    stbcnt: int = 0
    tai: int = 0


class Stat(Struct, layout="<QQQIIIxxxxQqqqqqqqqq24x"):
    """stat(2)."""

    st_dev: int
    st_ino: int
    st_nlink: int
    st_mode: int
    st_uid: int
    st_gid: int
    st_rdev: int
    st_size: int
    st_blksize: int
    st_blocks: int
    st_atime: int
    st_atime_nsec: int
    st_mtime: int
    st_mtime_nsec: int
    st_ctime: int
    st_ctime_nsec: int


class StatxTimestamp(Struct, layout="<qI4x"):
    """statx(2)."""

    tv_sec: int
    tv_nsec: int


class Statx(Struct, layout="<IIQIIIHxxQQQQ" + 4 * "qI4x" + "IIIIQII96x"):
    """statx(2)."""

    stx_mask: int
    stx_blksize: int
    stx_attributes: int
    stx_nlink: int
    stx_uid: int
    stx_gid: int
    stx_mode: int
    stx_ino: int
    stx_size: int
    stx_blocks: int
    stx_attributes_mask: int
    stx_atime: StatxTimestamp
    stx_btime: StatxTimestamp
    stx_ctime: StatxTimestamp
    stx_mtime: StatxTimestamp
    stx_rdev_major: int
    stx_rdev_minor: int
    stx_dev_major: int
    stx_dev_minor: int
    stx_mnt_id: int
    stx_dio_mem_align: int = 0
    stx_dio_offset_align: int = 0


class Statfs(Struct, layout="<qqQQQQQiiqqq32x"):
    """statfs(2); f_fsid is two ints."""

    f_type: int
    f_bsize: int
    f_blocks: int
    f_bfree: int
    f_bavail: int
    f_files: int
    f_ffree: int
    f_fsid0: int
    f_fsid1: int
    f_namelen: int
    f_frsize: int
    f_flags: int


class Flock(Struct, layout="<hh4xqqi4x"):
    """fcntl(2): record locks."""

    l_type: int
    l_whence: int
    l_start: int
    l_len: int
    l_pid: int


class FOwnerEx(Struct, layout="<ii"):
    """fcntl(2): F_SETOWN_EX."""

    type: int
    pid: int


class OpenHow(Struct, layout="<QQQ"):
    """openat2(2)."""

    flags: int
    mode: int
    resolve: int


class Iovec(Struct, layout="<QQ"):
    """readv(2)."""

    iov_base: int
    iov_len: int


class Pollfd(Struct, layout="<ihh"):
    """poll(2)."""

    fd: int
    events: int
    revents: int


class EpollEvent(Struct, layout="<IQ"):
    """epoll_ctl(2); packed on x86-64."""

    events: int
    data: int


class SigsetArg(Struct, layout="<QQ"):
    """The sixth argument of pselect6(2): address and size of a signal mask."""

    ss: int
    ss_len: int


class Sigaction(Struct, layout="<QQQQ"):
    """rt_sigaction(2), as the kernel has it (the C library's differs)."""

    handler: int
    flags: int
    restorer: int
    mask: int


class StackT(Struct, layout="<QixxxxQ"):
    """sigaltstack(2)."""

    ss_sp: int
    ss_flags: int
    ss_size: int


class Sigevent(Struct, layout="<Qiii44x"):
    """timer_create(2); sigev_value as an unsigned number."""

    sigev_value: int
    sigev_signo: int
    sigev_notify: int
    sigev_notify_thread_id: int


class MqAttr(Struct, layout="<qqqq32x"):
    """mq_getsetattr(2)."""

    mq_flags: int = 0
    mq_maxmsg: int = 0
    mq_msgsize: int = 0
    mq_curmsgs: int = 0


class Termios(Struct, layout="<IIIIB19s"):
    """The kernel's struct termios of TCGETS: ioctl_tty(2)."""

    c_iflag: int
    c_oflag: int
    c_cflag: int
    c_lflag: int
    c_line: int
    c_cc: bytes


class Termios2(Struct, layout="<IIIIB19sII"):
    """TCGETS2: termios with speeds of its own."""

    c_iflag: int
    c_oflag: int
    c_cflag: int
    c_lflag: int
    c_line: int
    c_cc: bytes
    c_ispeed: int
    c_ospeed: int


class Termio(Struct, layout="<HHHHB8sx"):
    """TCGETA: the System V form."""

    c_iflag: int
    c_oflag: int
    c_cflag: int
    c_lflag: int
    c_line: int
    c_cc: bytes


class Winsize(Struct, layout="<HHHH"):
    """TIOCGWINSZ."""

    ws_row: int
    ws_col: int
    ws_xpixel: int
    ws_ypixel: int


class Rlimit(Struct, layout="<QQ"):
    """getrlimit(2), prlimit(2)."""

    rlim_cur: int
    rlim_max: int


class Rusage(Struct, layout="<18q"):
    """getrusage(2)."""

    ru_utime: Timeval
    ru_stime: Timeval
    ru_maxrss: int = 0
    ru_ixrss: int = 0
    ru_idrss: int = 0
    ru_isrss: int = 0
    ru_minflt: int = 0
    ru_majflt: int = 0
    ru_nswap: int = 0
    ru_inblock: int = 0
    ru_oublock: int = 0
    ru_msgsnd: int = 0
    ru_msgrcv: int = 0
    ru_nsignals: int = 0
    ru_nvcsw: int = 0
    ru_nivcsw: int = 0


class Sysinfo(Struct, layout="<q9QH6xQQI4x"):
    """sysinfo(2); loads in 1/65536."""

    uptime: int
    load1: int
    load5: int
    load15: int
    totalram: int
    freeram: int
    sharedram: int
    bufferram: int
    totalswap: int
    freeswap: int
    procs: int
    totalhigh: int
    freehigh: int
    mem_unit: int


class Utsname(Struct, layout="<65s65s65s65s65s65s"):
    """uname(2): six NUL-padded fields."""

    sysname: bytes
    nodename: bytes
    release: bytes
    version: bytes
    machine: bytes
    domainname: bytes


class CapUserHeader(Struct, layout="<Ii"):
    """capget(2)."""

    version: int
    pid: int


class CapUserData(Struct, layout="<III"):
    """capget(2): 32 capabilities."""

    effective: int
    permitted: int
    inheritable: int


class CloneArgs(Struct, layout="<11Q"):
    """clone3(2), the form of 88 bytes; shorter ones end with zeros."""

    flags: int = 0
    pidfd: int = 0
    child_tid: int = 0
    parent_tid: int = 0
    exit_signal: int = 0
    stack: int = 0
    stack_size: int = 0
    tls: int = 0
    set_tid: int = 0
    set_tid_size: int = 0
    cgroup: int = 0


class RobustListHead(Struct, layout="<QqQ"):
    """set_robust_list(2)."""

    list: int
    futex_offset: int
    list_op_pending: int


class Rseq(Struct, layout="<IIQIII"):
    """rseq(2), without the padding at its end."""

    cpu_id_start: int = 0
    cpu_id: int = 0
    rseq_cs: int = 0
    flags: int = 0
    node_id: int = 0
    mm_cid: int = 0


class RseqCs(Struct, layout="<IIQQQ"):
    """A critical section of rseq(2)."""

    version: int
    flags: int
    start_ip: int
    post_commit_offset: int
    abort_ip: int


class SchedAttr(Struct, layout="<IIQiIQQQII"):
    """sched_setattr(2)."""

    size: int
    sched_policy: int
    sched_flags: int = 0
    sched_nice: int = 0
    sched_priority: int = 0
    sched_runtime: int = 0
    sched_deadline: int = 0
    sched_period: int = 0
    sched_util_min: int = 0
    sched_util_max: int = 0


class Ucred(Struct, layout="<iII"):
    """SO_PEERCRED, SCM_CREDENTIALS: unix(7)."""

    pid: int
    uid: int
    gid: int


class SignalfdSiginfo(Struct, layout="<IiiIIiIIIIiiQQQQHxxiQI28x"):
    """signalfd(2)."""

    ssi_signo: int = 0
    ssi_errno: int = 0
    ssi_code: int = 0
    ssi_pid: int = 0
    ssi_uid: int = 0
    ssi_fd: int = 0
    ssi_tid: int = 0
    ssi_band: int = 0
    ssi_overrun: int = 0
    ssi_trapno: int = 0
    ssi_status: int = 0
    ssi_int: int = 0
    ssi_ptr: int = 0
    ssi_utime: int = 0
    ssi_stime: int = 0
    ssi_addr: int = 0
    ssi_addr_lsb: int = 0
    ssi_syscall: int = 0
    ssi_call_addr: int = 0
    ssi_arch: int = 0


_DIRENT64 = struct.Struct("<QqHB")
_DIRENT = struct.Struct("<QqH")


def pack_dirent64(ino: int, next_offset: int, file_type: int, name: bytes) -> bytes:
    """One record of getdents64(2); `next_offset` is the position after it, `file_type` a DT_ value."""
    size = (_DIRENT64.size + len(name) + 1 + 7) & ~7
    return (_DIRENT64.pack(ino, next_offset, size, file_type) + name).ljust(size, b"\0")


def pack_dirent(ino: int, next_offset: int, file_type: int, name: bytes) -> bytes:
    """One record of getdents(2), whose type stands in its last byte."""
    size = (_DIRENT.size + len(name) + 2 + 7) & ~7
    return (_DIRENT.pack(ino, next_offset, size) + name).ljust(size - 1, b"\0") + bytes((file_type,))


def makedev(major: int, minor: int) -> int:
    """The device number that st_rdev and mknod(2) carry."""
    return (minor & 0xFF) | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12


def dev_major(dev: int) -> int:
    """The major half of a device number."""
    return dev >> 8 & 0xFFF


def dev_minor(dev: int) -> int:
    """The minor half of a device number."""
    return dev & 0xFF | dev >> 12 & 0xF_FF00
