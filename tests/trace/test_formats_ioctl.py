"""fcntl and ioctl as strace 6.1 shows them: every expected text was printed by it."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from linuxemu.trace.style import Style
from syscalls.abi.structs import Flock, FOwnerEx, Termios, Termios2, Winsize
from tests.trace.fakecall import BAD, WORD, End, Filled, P, line
from tests.trace.test_formats_files import EBADF, EFAULT, EINVAL, check, q

SEALS = "F_SEAL_SEAL|F_SEAL_SHRINK|F_SEAL_GROW|F_SEAL_WRITE|F_SEAL_FUTURE_WRITE"
FCNTLS = [
    ("fcntl", (3, 0, 20), 20, "fcntl(3, F_DUPFD, 20) = 20"),
    ("fcntl", (77, 1030, -1), -9, f"fcntl(77, F_DUPFD_CLOEXEC, -1){EBADF}"),
    ("fcntl", (3, 1), 0, "fcntl(3, F_GETFD) = 0"),
    ("fcntl", (3, 1), 1, "fcntl(3, F_GETFD) = 0x1 (flags FD_CLOEXEC)"),
    ("fcntl", (3, 2, 0), 0, "fcntl(3, F_SETFD, 0) = 0"),
    ("fcntl", (77, 2, 3), -9, f"fcntl(77, F_SETFD, FD_CLOEXEC|0x2){EBADF}"),
    ("fcntl", (77, 2, 2), -9, f"fcntl(77, F_SETFD, 0x2 /* FD_??? */){EBADF}"),
    ("fcntl", (3, 3), 0x8002, "fcntl(3, F_GETFL) = 0x8002 (flags O_RDWR|O_LARGEFILE)"),
    ("fcntl", (3, 3), 0, "fcntl(3, F_GETFL) = 0 (flags O_RDONLY)"),
    ("fcntl", (77, 3), -9, f"fcntl(77, F_GETFL){EBADF}"),
    ("fcntl", (3, 4, 0o6002), 0, "fcntl(3, F_SETFL, O_RDWR|O_APPEND|O_NONBLOCK) = 0"),
    ("fcntl", (3, 6, P(Flock(1, 0, 1, 2, 99).pack())), 0,
     "fcntl(3, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=1, l_len=2}) = 0"),
    ("fcntl", (3, 5, Filled(Flock(2, 2, -1, 0, 5).pack())), 0,
     "fcntl(3, F_GETLK, {l_type=F_UNLCK, l_whence=SEEK_END, l_start=-1, l_len=0, l_pid=5}) = 0"),
    ("fcntl", (3, 6, P(Flock(7, 9, -1, -2, 0).pack())), -22,
     f"fcntl(3, F_SETLK, {{l_type=0x7 /* F_??? */, l_whence=0x9 /* SEEK_??? */, l_start=-1, l_len=-2}}){EINVAL}"),
    ("fcntl", (3, 7, 0), -14, f"fcntl(3, F_SETLKW, NULL){EFAULT}"),
    ("fcntl", (3, 7, End(bytes(16))), -14, f"fcntl(3, F_SETLKW, 0x13ff0){EFAULT}"),
    ("fcntl", (3, 5, BAD), -14, f"fcntl(3, F_GETLK, 0xdead000){EFAULT}"),
    ("fcntl", (3, 36, Filled(Flock(2, 0, 0, 0, 0).pack())), 0,
     "fcntl(3, F_OFD_GETLK, {l_type=F_UNLCK, l_whence=SEEK_SET, l_start=0, l_len=0, l_pid=0}) = 0"),
    ("fcntl", (77, 13, P(bytes(32))), -9, f"fcntl(77, F_SETLK64, 0x10000){EBADF}"),
    ("fcntl", (77, 8, 0xFFFF_FFFF), -9, f"fcntl(77, F_SETOWN, -1){EBADF}"),
    ("fcntl", (3, 9, 5), 0, "fcntl(3, F_GETOWN) = 0"),
    ("fcntl", (3, 15, P(FOwnerEx(3, -7).pack())), -22,
     f"fcntl(3, F_SETOWN_EX, {{type=0x3 /* F_OWNER_??? */, pid=-7}}){EINVAL}"),
    ("fcntl", (3, 16, Filled(FOwnerEx(1, 7).pack())), 0, "fcntl(3, F_GETOWN_EX, {type=F_OWNER_PID, pid=7}) = 0"),
    ("fcntl", (3, 10, 29), 0, "fcntl(3, F_SETSIG, SIGIO) = 0"),
    ("fcntl", (77, 10, 34), -9, f"fcntl(77, F_SETSIG, SIGRT_2){EBADF}"),
    ("fcntl", (3, 10, -1), -22, f"fcntl(3, F_SETSIG, -1){EINVAL}"),
    ("fcntl", (3, 11), 0, "fcntl(3, F_GETSIG) = 0"),
    ("fcntl", (3, 11), 29, "fcntl(3, F_GETSIG) = 29 (SIGIO)"),
    ("fcntl", (3, 1025), 2, "fcntl(3, F_GETLEASE) = 0x2 (F_UNLCK)"),
    ("fcntl", (77, 1024, 9), -9, f"fcntl(77, F_SETLEASE, 0x9 /* F_??? */){EBADF}"),
    ("fcntl", (77, 1026, 0x8000_0041), -9, f"fcntl(77, F_NOTIFY, DN_ACCESS|DN_MULTISHOT|0x40){EBADF}"),
    ("fcntl", (5, 1031, 4096), -16, "fcntl(5, F_SETPIPE_SZ, 4096) = -1 EBUSY (Device or resource busy)"),
    ("fcntl", (5, 1032), 65536, "fcntl(5, F_GETPIPE_SZ) = 65536"),
    ("fcntl", (7, 1033, 0x1F), 0, f"fcntl(7, F_ADD_SEALS, {SEALS}) = 0"),
    ("fcntl", (7, 1034), 0x1F, f"fcntl(7, F_GET_SEALS) = 0x1f (seals {SEALS})"),
    ("fcntl", (3, 1035, P(b"")), 0, "fcntl(3, 0x40b /* F_??? */, 0x10000) = 0"),
    ("fcntl", (3, 17, P(b"")), 0, "fcntl(3, F_GETOWNER_UIDS, 0x10000) = 0"),
    ("fcntl", (3, -1, 5), -22, f"fcntl(3, 0xffffffff /* F_??? */, 0x5){EINVAL}"),
    ("fcntl", (3, 99, 0), -22, f"fcntl(3, 0x63 /* F_??? */, 0){EINVAL}"),
]  # fmt: skip


@pytest.mark.parametrize("case", FCNTLS, ids=lambda case: case[3][:60])
def test_fcntl(case: tuple[Any, ...]) -> None:
    check(case)


def i(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


KEYS = b"\x03\x1c\x7f\x15\x04\0\x01\0\x11\x13\x1a\0\x12\x0f\x17\x16".ljust(19, b"\0")
USUAL = Termios(0x500, 5, 0xBF, 0x8A3B, 0, KEYS)
TTY = (
    "{c_iflag=ICRNL|IXON, c_oflag=NL0|CR0|TAB0|BS0|VT0|FF0|OPOST|ONLCR, c_cflag=B38400|CS8|CREAD, "
    "c_lflag=ISIG|ICANON|ECHO|ECHOE|ECHOK|IEXTEN|ECHOCTL|ECHOKE, "
)
ODD = Termios(0x10000, 0x5800, 0x1002 | 0x120 | 0xD0000, 2, 0, KEYS)
NO_TTY = " = -1 ENOTTY (Inappropriate ioctl for device)"

TERMINALS = [
    (0x5401, Filled(USUAL.pack()), 0, f"TCGETS, {TTY}...}}) = 0"),
    (0x5401, P(USUAL.pack()), -25, f"TCGETS, 0x10000){NO_TTY}"),
    (0x5401, 0, -14, f"TCGETS, NULL){EFAULT}"),
    (0x5402, P(USUAL.pack()), 0, f"SNDCTL_TMR_START or TCSETS, {TTY}...}}) = 0"),
    (0x5403, BAD, -14, f"SNDCTL_TMR_STOP or TCSETSW, 0xdead000){EFAULT}"),
    (0x5404, P(bytes(36)), -9,
     "SNDCTL_TMR_CONTINUE or TCSETSF, {c_iflag=, c_oflag=NL0|CR0|TAB0|BS0|VT0|FF0|, c_cflag=B0|CS5|, c_lflag=, "
     f"...}}){EBADF}"),
    (0x5402, P(ODD.pack()), -9,
     "SNDCTL_TMR_START or TCSETS, {c_iflag=0x10000, c_oflag=NL0|CR0|XTABS|BS0|VT1|FF0|, "
     f"c_cflag=B115200|B9600<<IBSHIFT|CS7|PARENB, c_lflag=ICANON, ...}}){EBADF}"),
    (0x802C542A, Filled(Termios2(*USUAL, 38400, 38400).pack()), 0, f"TCGETS2, {TTY}...}}) = 0"),
    (0x540A, 1, -9, f"TCXONC, TCOON){EBADF}"),
    (0x540A, 5, -9, f"TCXONC, 0x5 /* TC??? */){EBADF}"),
    (0x540B, 2, -9, f"TCFLSH, TCIOFLUSH){EBADF}"),
    (0x5409, 1, -9, f"TCSBRK, 1){EBADF}"),
    (0x5425, -1, -9, f"TCSBRKP, -1){EBADF}"),
    (0x540C, 5, -9, f"TIOCEXCL){EBADF}"),
    (0x540E, 1, -9, f"TIOCSCTTY, 1){EBADF}"),
    (0x540F, Filled(i(7)), 0, "TIOCGPGRP, [7]) = 0"),
    (0x5410, P(i(7)), -9, f"TIOCSPGRP, [7]){EBADF}"),
    (0x5411, Filled(i(0)), 0, "TIOCOUTQ, [0]) = 0"),
    (0x541B, Filled(i(5)), 0, "FIONREAD, [5]) = 0"),
    (0x541B, P(i(5)), -9, f"FIONREAD, 0x10000){EBADF}"),
    (0x5412, b"a", -9, f'TIOCSTI, "a"){EBADF}'),
    (0x5412, 0, -9, f"TIOCSTI, NULL){EBADF}"),
    (0x5413, Filled(Winsize(24, 80, 1, 2).pack()), 0,
     "TIOCGWINSZ, {ws_row=24, ws_col=80, ws_xpixel=1, ws_ypixel=2}) = 0"),
    (0x5414, P(Winsize(24, 80, 1, 2).pack()), -9,
     f"TIOCSWINSZ, {{ws_row=24, ws_col=80, ws_xpixel=1, ws_ypixel=2}}){EBADF}"),
    (0x5415, Filled(i(0x1E7)), 0,
     "TIOCMGET, [TIOCM_LE|TIOCM_DTR|TIOCM_RTS|TIOCM_CTS|TIOCM_CAR|TIOCM_RNG|TIOCM_DSR]) = 0"),
    (0x5417, P(i(0)), -9, f"TIOCMBIC, [0]){EBADF}"),
    (0x5417, P(i(0x10000)), -9, f"TIOCMBIC, [0x10000 /* TIOCM_??? */]){EBADF}"),
    (0x541F, 5, -9, f"TIOCSSERIAL){EBADF}"),
    (0x5421, P(i(1)), 0, "FIONBIO, [1]) = 0"),
    (0x5423, P(i(99)), -9, f"TIOCSETD, [99]){EBADF}"),
    (0x80045430, Filled(i(3)), 0, "TIOCGPTN, [3]) = 0"),
    (0x40045436, 9, -9, f"TIOCSIG, 0x9){EBADF}"),
    (0x5441, 0o402, -9, f"TIOCGPTPEER, 0x102){EBADF}"),
]  # fmt: skip

FILES = [
    (0x5451, 5, 0, "FIOCLEX) = 0"),
    (0x5452, P(i(1)), -9, f"FIOASYNC, [1]){EBADF}"),
    (0x5460, P(b""), -9, f"FIOQSIZE, 0x10000){EBADF}"),
    (0x8901, P(i(7)), -9, f"FIOSETOWN, [7]){EBADF}"),
    (2, P(b""), 0, "FIGETBSZ, 0x10000) = 0"),
    (0x40049409, -1, -9, f"BTRFS_IOC_CLONE or FICLONE, -1){EBADF}"),
    (0x4020940D, P(q(3, 1, 2, 3)), -9,
     f"BTRFS_IOC_CLONE_RANGE or FICLONERANGE, {{src_fd=3, src_offset=1, src_length=2, dest_offset=3}}){EBADF}"),
    (0xC0189436, P(q(1, 2, 1, 4, 7, 0, 0)), -9,
     "BTRFS_IOC_FILE_EXTENT_SAME or FIDEDUPERANGE, {src_offset=1, src_length=2, dest_count=1, "
     f"info=[{{dest_fd=4, dest_offset=7}}]}}){EBADF}"),
    (0xC0189436, 0, -9, f"BTRFS_IOC_FILE_EXTENT_SAME or FIDEDUPERANGE, NULL){EBADF}"),
    (0xC0185879, P(q(1, 2, 3)), -9, f"FITRIM, {{start=0x1, len=2, minlen=3}}){EBADF}"),
    (0x80086601, Filled(i(0x80000)), 0, "FS_IOC_GETFLAGS, [FS_EXTENT_FL]) = 0"),
    (0x40086602, P(i(0x4000010)), -9, f"FS_IOC_SETFLAGS, [FS_IMMUTABLE_FL|0x4000000]){EBADF}"),
    (0x40086602, P(i(0x4000000)), -9, f"FS_IOC_SETFLAGS, [0x4000000 /* FS_???_FL */]){EBADF}"),
    (0x801C581F, Filled(i(0, 0, 0, 0, 0, 0, 0)), 0,
     "FS_IOC_FSGETXATTR, {fsx_xflags=0, fsx_extsize=0, fsx_nextents=0, fsx_projid=0, fsx_cowextsize=0}) = 0"),
    (0x401C5820, P(i(8, 1, 2, 3, 4, 0, 0)), -9,
     f"FS_IOC_FSSETXATTR, {{fsx_xflags=FS_XFLAG_IMMUTABLE, fsx_extsize=1, fsx_projid=0x3, fsx_cowextsize=4}}){EBADF}"),
    (0x41009432, b"\x08\0", -9, f'FS_IOC_SETFSLABEL, "\\10"){EBADF}'),
    (0xC020660B, P(struct.pack("<QqIIII", 0, -1, 1, 0, 2, 0)), -9,
     "FS_IOC_FIEMAP, {fm_start=0, fm_length=18446744073709551615, fm_flags=FIEMAP_FLAG_SYNC, "
     f"fm_extent_count=2}}){EBADF}"),
    (0xC020660B, P(struct.pack("<QqIIII", 0, -1, 1, 1, 2, 0)), 0,
     "FS_IOC_FIEMAP, {fm_start=0, fm_length=18446744073709551615, fm_flags=FIEMAP_FLAG_SYNC, fm_extent_count=2} => "
     "{fm_flags=FIEMAP_FLAG_SYNC, fm_mapped_extents=1, ...}) = 0"),
]  # fmt: skip

CLOCK = i(1, 2, 3, 4, 5, 120, 6, 7, 8)
DEVICES = [
    (0x125D, P(i(1)), -9, f"BLKROSET, [1]){EBADF}"),
    (0x125E, P(i(1)), -9, f"BLKROGET, 0x10000){EBADF}"),
    (0x1261, 5, -9, f"BLKFLSBUF){EBADF}"),
    (0x1262, 9, -9, f"BLKRASET, 9){EBADF}"),
    (0x1277, P(q(1, 2)), -9, f"BLKDISCARD, [1, 2]){EBADF}"),
    (0x1269, P(struct.pack("<iii4xQ", 1, 2, 152, 0x10100)), -9,
     f"BLKPG, {{op=BLKPG_ADD_PARTITION, flags=2, datalen=152, "
     f'data={{start=0, length=0, pno=0, devname="", volname=""}}}}){EBADF}'),
    (0x1269, P(struct.pack("<iii4xQ", 9, 2, 152, BAD)), -9,
     f"BLKPG, {{op=0x9 /* BLKPG_??? */, flags=2, datalen=152, data=0xdead000}}){EBADF}"),
    (0x4C00, 3, -9, f"LOOP_SET_FD, 3){EBADF}"),
    (0x4C04, P(struct.pack("<QQQQQIIII64s112x", 0, 0, 0, 0, 0, 0, 0, 0, 5, b"file")), -9,
     "LOOP_SET_STATUS64, {lo_offset=0, lo_number=0, lo_flags=LO_FLAGS_READ_ONLY|LO_FLAGS_AUTOCLEAR, "
     f'lo_file_name="file", ...}}){EBADF}'),
    (0x4024700A, P(CLOCK), -9,
     f"RTC_SET_TIME, {{tm_sec=1, tm_min=2, tm_hour=3, tm_mday=4, tm_mon=5, tm_year=120, ...}}){EBADF}"),
    (0x4028700F, P(b"\x01\0\0\0" + CLOCK), -9,
     "RTC_WKALM_SET, {enabled=1, pending=0, time={tm_sec=1, tm_min=2, tm_hour=3, tm_mday=4, tm_mon=5, tm_year=120, "
     f"...}}}}){EBADF}"),
    (0x7004, 0, -9, f"PHN_NOT_OH or RTC_UIE_OFF){EBADF}"),
    (0x4008700C, 64, -9, f"RTC_IRQP_SET, 64){EBADF}"),
    (0x40207012, P(struct.pack("<6iq", 1, 0, 0, 0, 0, 0, 0)), -9,
     "RTC_PLL_SET, {pll_ctrl=1, pll_value=0, pll_max=0, pll_min=0, pll_posmult=0, pll_negmult=0, "
     f"pll_clock=0}}){EBADF}"),
    (0x40045201, P(i(5)), -9, f"RNDADDTOENTCNT, [5]){EBADF}"),
    (0x40085203, P(i(1, 0)), -9, f'RNDADDENTROPY, {{entropy_count=1, buf_size=0, buf=""}}){EBADF}'),
]  # fmt: skip


def interface(name: bytes, rest: bytes = b"") -> bytes:
    return (name.ljust(16, b"\0") + rest).ljust(40, b"\0")


LOCAL = struct.pack("<HH4B", 2, 0, 127, 0, 0, 1)
INTERFACES = [
    (0x8910, Filled(interface(b"lo", i(1))), 0, '{ifr_ifindex=0, ifr_name="lo"}) = 0'),
    (0x8910, P(interface(b"", i(1))), -9, f"{{ifr_ifindex=1}}){EBADF}"),
    (0x8913, P(interface(b"lo", b"\x49\0")), 0, '{ifr_name="lo", ifr_flags=IFF_UP|IFF_LOOPBACK|IFF_RUNNING}) = 0'),
    (0x8913, P(interface(b"lo")), -9, f'{{ifr_name="lo"}}){EBADF}'),
    (0x8915, P(interface(b"lo", LOCAL)), 0,
     '{ifr_name="lo", ifr_addr={sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}}) = 0'),
    (0x8921, P(interface(b"lo", i(65536))), 0, '{ifr_name="lo", ifr_mtu=65536}) = 0'),
    (0x8927, P(interface(b"lo", b"\x04\x03")), 0,
     '{ifr_name="lo", ifr_hwaddr={sa_family=ARPHRD_LOOPBACK, sa_data=00:00:00:00:00:00}}) = 0'),
    (0x8970, P(interface(b"lo")), 0,
     '{ifr_name="lo", ifr_map={mem_start=0, mem_end=0, base_addr=0, irq=0, dma=0, port=0}}) = 0'),
    (0x8914, P(interface(b"lo", b"\x41\0")), -9, f'{{ifr_name="lo", ifr_flags=IFF_UP|IFF_RUNNING}}){EBADF}'),
    (0x8923, P(interface(b"lo", b"A")), -9, f'{{ifr_name="lo", ifr_newname="A"}}){EBADF}'),
    (0x8912, P(q(80, 0)), 0, "{ifc_len=80 /* 2 * sizeof(struct ifreq) */, ifc_buf=NULL}) = 0"),
    (0x8912, 0, -14, f"NULL){EFAULT}"),
    (0x89A0, b"lo\0", -9, f'"lo"){EBADF}'),
    (0x8946, 0, -9, f"NULL){EBADF}"),
    (0x89F0, 0, -9, f"0){EBADF}"),
]  # fmt: skip

NUMBERS = [
    (0, 0, "_IOC(_IOC_NONE, 0, 0, 0), 0"),
    (0xFFFF_FFFF, WORD, "_IOC(_IOC_READ|_IOC_WRITE, 0xff, 0xff, 0x3fff), 0xffffffffffffffff"),
    (0x1_FFFF_FFFF, WORD, "_IOC(_IOC_READ|_IOC_WRITE, 0xff, 0xff, 0x3fff), 0xffffffffffffffff"),
    (0x7FFF99FF, 5, "_IOC(_IOC_WRITE, 0x99, 0xff, 0x3fff), 0x5"),
    (0x80009900, 5, "_IOC(_IOC_READ, 0x99, 0, 0), 0x5"),
    (0xC0045401, 0, "SNDCTL_TMR_TIMEBASE, 0"),
    (0x3B70, 0, "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO or VFIO_IOMMU_GET_INFO or VFIO_IOMMU_SPAPR_TCE_GET_INFO, 0"),
    (0x80404506, 5, "EVIOCGNAME(64), 0x5"),
    (0x80084520, 5, "EVIOCGBIT(0, 8), 0x5"),
    (0x80184541, 5, "EVIOCGABS(ABS_Y), 0x5"),
    (0x80046A13 | 0x10 << 16, 5, "JSIOCGNAME(20), 0x5"),
    (0xB701, 5, "NS_GET_USERNS"),
]


@pytest.mark.parametrize("case", TERMINALS + FILES + DEVICES, ids=lambda case: case[3][:60])
def test_ioctl(case: tuple[Any, ...]) -> None:
    request, argument, result, expected = case
    assert line("ioctl", 3, request, argument, result=result) == f"ioctl(3, {expected}"


@pytest.mark.parametrize("case", INTERFACES, ids=lambda case: case[3][:60])
def test_interfaces(case: tuple[Any, ...]) -> None:
    request, argument, result, expected = case
    assert line("ioctl", 3, request, argument, result=result).split(", ", 2)[2] == expected


@pytest.mark.parametrize("case", NUMBERS, ids=lambda case: case[2][:60])
def test_requests(case: tuple[int, int, str]) -> None:
    request, argument, expected = case
    assert line("ioctl", 77, request, argument, result=-9) == f"ioctl(77, {expected}){EBADF}"


def test_a_whole_terminal() -> None:
    keys = (
        "c_line=N_TTY, c_cc=[[VINTR]=0x3, [VQUIT]=0x1c, [VERASE]=0x7f, [VKILL]=0x15, [VEOF]=0x4, [VTIME]=0, "
        "[VMIN]=0x1, [VSWTC]=0, [VSTART]=0x11, [VSTOP]=0x13, [VSUSP]=0x1a, [VEOL]=0, [VREPRINT]=0x12, "
        "[VDISCARD]=0xf, "
        "[VWERASE]=0x17, [VLNEXT]=0x16, [VEOL2]=0, [17]=0, [18]=0]"
    )
    assert line("ioctl", 3, 0x5401, Filled(USUAL.pack()), abbrev=False) == f"ioctl(3, TCGETS, {TTY}{keys}}}) = 0"
    whole = Filled(Termios2(*USUAL, 38400, 9600).pack())
    speeds = "c_ispeed=38400, c_ospeed=9600"
    assert line("ioctl", 3, 0x802C542A, whole, abbrev=False) == f"ioctl(3, TCGETS2, {TTY}{keys}, {speeds}}}) = 0"


def test_a_whole_loop_device_and_file_map() -> None:
    status = P(struct.pack("<QQQQQIIII64s112x", 0, 0, 0, 0, 0, 0, 0, 0, 5, b"file"))
    assert line("ioctl", 77, 0x4C04, status, result=-9, abbrev=False) == (
        "ioctl(77, LOOP_SET_STATUS64, {lo_device=makedev(0, 0), lo_inode=0, lo_rdevice=makedev(0, 0), lo_offset=0, "
        "lo_sizelimit=0, lo_number=0, lo_encrypt_type=LO_CRYPT_NONE, lo_encrypt_key_size=0, "
        'lo_flags=LO_FLAGS_READ_ONLY|LO_FLAGS_AUTOCLEAR, lo_file_name="file", lo_crypt_name="", lo_encrypt_key="", '
        f"lo_init=[0, 0]}}){EBADF}"
    )
    old = struct.pack("<i4xQQQiiii64s32s2Q4s4x", 1, 0, 0, 0, 0, 0, 0, 1, b"nm", b"", 0, 0, b"")
    assert line("ioctl", 77, 0x4C02, P(old), result=-9, abbrev=False) == (
        "ioctl(77, LOOP_SET_STATUS, {lo_number=1, lo_device=makedev(0, 0), lo_inode=0, lo_rdevice=makedev(0, 0), "
        "lo_offset=0, lo_encrypt_type=LO_CRYPT_NONE, lo_encrypt_key_size=0, lo_flags=LO_FLAGS_READ_ONLY, "
        f'lo_name="nm", lo_encrypt_key="", lo_init=[0, 0], reserved=[0, 0, 0, 0]}}){EBADF}'
    )
    extents = struct.pack("<QqIIII", 0, -1, 1, 1, 2, 0) + struct.pack("<QQQ16xI12x", 0, 4096, 512, 1)
    assert line("ioctl", 3, 0xC020660B, P(extents), abbrev=False).endswith(
        "fm_mapped_extents=1, fm_extents=[{fe_logical=0, fe_physical=4096, fe_length=512, "
        "fe_flags=FIEMAP_EXTENT_LAST}]}) = 0"
    )


STYLES = [
    (0x5402, P(ODD.pack()), "raw",
     "0x5402, {c_iflag=0x10000, c_oflag=0|0|0x1800|0|0x4000|0|, c_cflag=0x1002|0xd<<0x10|0x20|0x100, "
     "c_lflag=0x2, ...}"),
    (0x5457, P(bytes(36)), "verbose",
     "0x5457 /* TIOCSLCKTRMIOS */, {c_iflag=, c_oflag=0 /* NL0 */|0 /* CR0 */|0 /* TAB0 */|0 /* BS0 */|0 /* VT0 */|"
     "0 /* FF0 */|, c_cflag=0 /* B0 */|0 /* CS5 */|, c_lflag=, ...}"),
    (0x540A, 1, "verbose", "0x540a /* TCXONC */, 0x1 /* TCOON */"),
    (0x8924, P(interface(b"lo", b"\x41\0")), "raw",
     '0x8924, {ifr_name="lo", ifr_hwaddr={sa_family=0x41, sa_data="' + "\\x00" * 14 + '"}}'),
]  # fmt: skip


@pytest.mark.parametrize("case", STYLES, ids=lambda case: case[3][:60])
def test_styles(case: tuple[Any, ...]) -> None:
    request, argument, constants, expected = case
    shown = line("ioctl", 3, request, argument, result=-9, style=Style(constants=constants))
    assert shown == f"ioctl(3, {expected}){EBADF}"


def test_fcntl_styles() -> None:
    raw, verbose = Style(constants="raw"), Style(constants="verbose")
    assert line("fcntl", 3, 1, result=1, style=raw) == "fcntl(3, 0x1) = 0x1 (flags 0x1)"
    flags = line("fcntl", 3, 1, result=1, style=verbose)
    assert flags == "fcntl(3, 0x1 /* F_GETFD */) = 0x1 (flags 0x1 /* FD_CLOEXEC */)"
    assert line("fcntl", 3, 10, 29, style=verbose) == "fcntl(3, 0xa /* F_SETSIG */, 29 /* SIGIO */) = 0"
    assert line("fcntl", 3, 1025, result=2, style=verbose) == "fcntl(3, 0x401 /* F_GETLEASE */) = 0x2 (F_UNLCK)"


def test_pointers_are_not_followed_without_verbose() -> None:
    for request in (0x5401, 0x5402, 0x8913, 0x8912, 0xC020660B, 0x1269, 0x40086602):
        shown = line("ioctl", 3, request, P(bytes(200)), verbose=False)
        assert shown.endswith(", 0x10000) = 0"), shown
    assert line("ioctl", 3, 0x5412, b"a", verbose=False) == 'ioctl(3, TIOCSTI, "a") = 0'
    assert line("fcntl", 3, 6, P(bytes(32)), verbose=False) == "fcntl(3, F_SETLK, 0x10000) = 0"
    assert line("fcntl", 3, 5, P(bytes(32)), verbose=False) == "fcntl(3, F_GETLK, 0x10000) = 0"
