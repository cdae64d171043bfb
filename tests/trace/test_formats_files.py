"""Calls about files as strace 6.1 shows them: every expected text was printed by it."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from linuxemu.trace.style import Style
from tests.trace.fakecall import BAD, End, Filled, P, call_of, line, written

ENOENT = " = -1 ENOENT (No such file or directory)"
EBADF = " = -1 EBADF (Bad file descriptor)"
EINVAL = " = -1 EINVAL (Invalid argument)"
EFAULT = " = -1 EFAULT (Bad address)"
AT_FDCWD = -100
X = b"x\0"


def q(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


def check(case: tuple[Any, ...], **options: Any) -> None:
    name, args, result, expected = case
    assert line(name, *args, result=result, **options) == expected


OPENS = [
    ("open", (X, 0), -2, f'open("x", O_RDONLY){ENOENT}'),
    (
        "open", (X, 0o7701), -2,
        f'open("x", O_WRONLY|O_CREAT|O_EXCL|O_NOCTTY|O_TRUNC|O_APPEND|O_NONBLOCK, 000){ENOENT}',
    ),
    ("open", (X, 0o103, 0), -2, f'open("x", O_ACCMODE|O_CREAT, 000){ENOENT}'),
    ("open", (X, 0o103, 7), -2, f'open("x", O_ACCMODE|O_CREAT, 007){ENOENT}'),
    ("open", (X, 0o100, 0x1FFFF), -2, f'open("x", O_RDONLY|O_CREAT, 0177777){ENOENT}'),
    ("open", (X, 0x40000000 | 0o4010000), -2, f'open("x", O_RDONLY|O_SYNC|0x40000000){ENOENT}'),
    ("open", (X, 0o20200002, 0o600), -2, f'open("x", O_RDWR|O_TMPFILE, 0600){ENOENT}'),
    ("open", (X, 0o20000000, 0o600), -22, f'open("x", O_RDONLY|__O_TMPFILE, 0600){EINVAL}'),
    ("open", (X, 0o220000), -2, f'open("x", O_RDONLY|O_DIRECTORY|FASYNC){ENOENT}'),
    ("open", (X, 0o4000000), -2, f'open("x", O_RDONLY|__O_SYNC){ENOENT}'),
    ("open", (0, 0), -14, f"open(NULL, O_RDONLY){EFAULT}"),
    ("open", (BAD, 0), -14, f"open(0xdead000, O_RDONLY){EFAULT}"),
    ("open", (End(b"abcd"), 0), -14, f"open(0x13ffc, O_RDONLY){EFAULT}"),
    ("open", (b"\n\1\0012x\xff\x08\0", 0), -2, f'open("\\n\\1\\0012x\\377\\10", O_RDONLY){ENOENT}'),
    ("openat", (AT_FDCWD, X, 0), 3, 'openat(AT_FDCWD, "x", O_RDONLY) = 3'),
    ("openat", (0x1_FFFF_FF9C, X, 0o100, 0o1777), 4, 'openat(AT_FDCWD, "x", O_RDONLY|O_CREAT, 01777) = 4'),
    ("openat", (-1, X, 0), -9, f'openat(-1, "x", O_RDONLY){EBADF}'),
    ("creat", (X, 0), -2, f'creat("x", 000){ENOENT}'),
    ("creat", (X, 0o100644), -2, f'creat("x", 0100644){ENOENT}'),
    (
        "openat2", (AT_FDCWD, X, P(q(0o2000000, 0, 0x11)), 24), 5,
        'openat2(AT_FDCWD, "x", {flags=O_RDONLY|O_CLOEXEC, resolve=RESOLVE_NO_XDEV|RESOLVE_IN_ROOT}, 24) = 5',
    ),
    (
        "openat2", (AT_FDCWD, X, P(q(0o102, 0o644, 0)), 24), -2,
        f'openat2(AT_FDCWD, "x", {{flags=O_RDWR|O_CREAT, mode=0644, resolve=0}}, 24){ENOENT}',
    ),
    (
        "openat2", (AT_FDCWD, X, P(q(0x1_0000_0002, 0x12345678, 0xBF)), 24), -22,
        'openat2(AT_FDCWD, "x", {flags=O_RDWR|0x100000000, mode=02215053170, resolve=RESOLVE_NO_XDEV|'
        "RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_BENEATH|RESOLVE_IN_ROOT|RESOLVE_CACHED|0x80}, 24)" + EINVAL,
    ),
    (
        "openat2", (AT_FDCWD, X, P(q(0, 5, 0x40)), 24), -22,
        f'openat2(AT_FDCWD, "x", {{flags=O_RDONLY, mode=005, resolve=0x40 /* RESOLVE_??? */}}, 24){EINVAL}',
    ),
    ("openat2", (AT_FDCWD, X, 0, 24), -14, f'openat2(AT_FDCWD, "x", NULL, 24){EFAULT}'),
    ("openat2", (AT_FDCWD, X, P(q(0, 0, 0)), 23), -22, f'openat2(AT_FDCWD, "x", 0x10100, 23){EINVAL}'),
    (
        "openat2", (AT_FDCWD, X, P(q(0, 0, 0, 0x100)), 32), -7,
        'openat2(AT_FDCWD, "x", {flags=O_RDONLY, resolve=0, '
        '/* bytes 24..31 */ "\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00"}, '
        "32) = -1 E2BIG (Argument list too long)",
    ),
    (
        "openat2", (AT_FDCWD, X, End(q(0, 0, 0)), 40), -14,
        f'openat2(AT_FDCWD, "x", {{flags=O_RDONLY, resolve=0, ???}}, 40){EFAULT}',
    ),
    ("close_range", (50, 0xFFFF_FFFF, 2), 0, "close_range(50, 4294967295, CLOSE_RANGE_UNSHARE) = 0"),
    ("close_range", (60, 50, 8), -22, f"close_range(60, 50, 0x8 /* CLOSE_RANGE_??? */){EINVAL}"),
    ("dup3", (3, 11, 0o2000001), -22, f"dup3(3, 11, O_CLOEXEC|0x1){EINVAL}"),
    ("dup3", (3, 3, 3), -22, f"dup3(3, 3, 0x3 /* O_??? */){EINVAL}"),
    ("pipe", (Filled(struct.pack("<ii", 7, 8)),), 0, "pipe([7, 8]) = 0"),
    ("pipe", (0,), -14, f"pipe(NULL){EFAULT}"),
    ("pipe2", (Filled(struct.pack("<ii", 7, 8)), 0o2044000), 0, "pipe2([7, 8], O_NONBLOCK|O_DIRECT|O_CLOEXEC) = 0"),
    ("pipe2", (P(bytes(8)), 1), -22, f"pipe2(0x10000, 0x1 /* O_??? */){EINVAL}"),
    ("eventfd", (5,), 16, "eventfd(5) = 16"),
    ("eventfd2", (-1, 0x80801), 18, "eventfd2(4294967295, EFD_SEMAPHORE|EFD_CLOEXEC|EFD_NONBLOCK) = 18"),
    ("eventfd2", (5, 3), -22, f"eventfd2(5, EFD_SEMAPHORE|0x2){EINVAL}"),
]  # fmt: skip

TRANSFERS = [
    ("write", (3, b'hello\0\1\n"world\\', 15), 15, 'write(3, "hello\\0\\1\\n\\"world\\\\", 15) = 15'),
    ("write", (3, 0, 0), 0, "write(3, NULL, 0) = 0"),
    ("write", (3, BAD, 5), -14, f"write(3, 0xdead000, 5){EFAULT}"),
    ("write", (3, End(b"abc"), 8), 3, "write(3, 0x13ffd, 8) = 3"),
    ("write", (7, b"0123456789" * 4, 40), -9, f'write(7, "01234567890123456789012345678901"..., 40){EBADF}'),
    ("write", (7, b"0123456789" * 4, 32), -9, f'write(7, "01234567890123456789012345678901", 32){EBADF}'),
    ("read", (3, Filled(b"abc"), 200), 3, 'read(3, "abc", 200) = 3'),
    ("read", (3, Filled(b"abc"), 200), 0, 'read(3, "", 200) = 0'),
    ("read", (77, Filled(b"abc"), 3), -9, f"read(77, 0x10000, 3){EBADF}"),
    ("pread64", (3, Filled(b"hello"), 5, -1), 5, 'pread64(3, "hello", 5, -1) = 5'),
    ("pwrite64", (3, b"abc", 3, 100), 3, 'pwrite64(3, "abc", 3, 100) = 3'),
    ("lseek", (3, -1, 1), 4294967295, "lseek(3, -1, SEEK_CUR) = 4294967295"),
    ("lseek", (3, 0, 4), 18, "lseek(3, 0, SEEK_HOLE) = 18"),
    ("lseek", (3, 0, 5), -22, f"lseek(3, 0, 0x5 /* SEEK_??? */){EINVAL}"),
    ("lseek", (3, 1, -1), -22, f"lseek(3, 1, 0xffffffff /* SEEK_??? */){EINVAL}"),
    ("truncate", (X, 5), 0, 'truncate("x", 5) = 0'),
    ("truncate", (X, -1), -22, f'truncate("x", 18446744073709551615){EINVAL}'),
    ("writev", (77, P(bytes(16)), -1), -9, f"writev(77, 0x10000, 18446744073709551615){EBADF}"),
    ("ftruncate", (77, 1 << 62), -9, f"ftruncate(77, 4611686018427387904){EBADF}"),
    ("fallocate", (3, 0, 0, 100), 0, "fallocate(3, 0, 0, 100) = 0"),
    ("fallocate", (77, 0x80, 1, -5), -9, f"fallocate(77, 0x80 /* FALLOC_FL_??? */, 1, -5){EBADF}"),
    (
        "fallocate", (77, 0x7F, 0, 100), -9,
        "fallocate(77, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE|FALLOC_FL_NO_HIDE_STALE|FALLOC_FL_COLLAPSE_RANGE|"
        f"FALLOC_FL_ZERO_RANGE|FALLOC_FL_INSERT_RANGE|FALLOC_FL_UNSHARE_RANGE, 0, 100){EBADF}",
    ),
    ("fadvise64", (77, 0, -100, 0), -9, f"fadvise64(77, 0, 18446744073709551516, POSIX_FADV_NORMAL){EBADF}"),
    ("fadvise64", (77, 6, 500, 6), -9, f"fadvise64(77, 6, 500, 0x6 /* POSIX_FADV_??? */){EBADF}"),
    (
        "sync_file_range", (77, 1, 2, 0xF), -9,
        "sync_file_range(77, 1, 2, SYNC_FILE_RANGE_WAIT_BEFORE|SYNC_FILE_RANGE_WRITE|"
        f"SYNC_FILE_RANGE_WAIT_AFTER|0x8){EBADF}",
    ),
    ("flock", (77, 5), -9, f"flock(77, LOCK_SH|LOCK_NB){EBADF}"),
    ("flock", (77, 0xE0), 0, "flock(77, LOCK_MAND|LOCK_RW) = 0"),
    ("flock", (77, 0x60), 0, "flock(77, LOCK_MAND|LOCK_READ) = 0"),
    ("flock", (77, 0x100), -22, f"flock(77, 0x100 /* LOCK_??? */){EINVAL}"),
    ("sendfile", (4, 3, Filled(q(7)), 5), 5, "sendfile(4, 3, [0] => [7], 5) = 5"),
    ("sendfile", (4, 3, 0, 5), 0, "sendfile(4, 3, NULL, 5) = 0"),
    ("sendfile", (4, 3, P(q(7)), 0), 0, "sendfile(4, 3, [7], 0) = 0"),
    ("sendfile", (4, 3, BAD, 5), -14, f"sendfile(4, 3, 0xdead000, 5){EFAULT}"),
    ("sendfile", (4, 3, P(q(-1)), -1), -22, f"sendfile(4, 3, [18446744073709551615], 18446744073709551615){EINVAL}"),
    (
        "splice", (3, P(q(2)), 6, 0, 3, 0xF), 3,
        "splice(3, [2], 6, NULL, 3, SPLICE_F_MOVE|SPLICE_F_NONBLOCK|SPLICE_F_MORE|SPLICE_F_GIFT) = 3",
    ),
    ("splice", (-1, P(q(-5)), 4, BAD, 9, 0x11), -9, f"splice(-1, [-5], 4, 0xdead000, 9, SPLICE_F_MOVE|0x10){EBADF}"),
    ("tee", (5, 6, 3, 1), -22, f"tee(5, 6, 3, SPLICE_F_MOVE){EINVAL}"),
    ("copy_file_range", (3, P(q(2)), 4, 0, 3, 0), 3, "copy_file_range(3, [2], 4, NULL, 3, 0) = 3"),
]  # fmt: skip


@pytest.mark.parametrize("case", OPENS + TRANSFERS, ids=lambda case: case[3][:60])
def test_files(case: tuple[Any, ...]) -> None:
    check(case)


def iovec(*pairs: tuple[int, int]) -> bytes:
    return b"".join(struct.pack("<QQ", *pair) for pair in pairs)


TEXT = 0x10100
VECTORS = [
    ("writev", (3, P(iovec((TEXT, 3), (TEXT, 5), (0, 0))), 3, b"abcde"), 8,
     'writev(3, [{iov_base="abc", iov_len=3}, {iov_base="abcde", iov_len=5}, {iov_base=NULL, iov_len=0}], 3) = 8'),
    ("writev", (3, P(bytes(16)), 0), 0, "writev(3, [], 0) = 0"),
    ("writev", (3, 0, 0), 0, "writev(3, NULL, 0) = 0"),
    ("writev", (3, BAD, 2), -14, f"writev(3, 0xdead000, 2){EFAULT}"),
    ("writev", (3, End(iovec((BAD, 3))), 3), -9,
     f"writev(3, [{{iov_base=0xdead000, iov_len=3}}, ... /* 0x14000 */], 3){EBADF}"),
    ("readv", (3, P(iovec((TEXT, 4), (TEXT + 4, 50))), 2, b"hello"), 5,
     'readv(3, [{iov_base="hell", iov_len=4}, {iov_base="o", iov_len=50}], 2) = 5'),
    ("readv", (3, P(iovec((TEXT, 4), (TEXT + 4, 50))), 2, b"hello"), 0,
     'readv(3, [{iov_base="", iov_len=4}, {iov_base="", iov_len=50}], 2) = 0'),
    ("readv", (77, P(iovec((TEXT, 4))), 1, b"hello"), -9, f"readv(77, [{{iov_base=0x10100, iov_len=4}}], 1){EBADF}"),
    ("preadv2", (3, P(iovec((TEXT, 4))), 1, 1, 0, 0x41), -95,
     "preadv2(3, [{iov_base=0x10100, iov_len=4}], 1, 1, RWF_HIPRI|0x40) = -1 EOPNOTSUPP (Operation not supported)"),
    ("pwritev", (3, P(iovec((TEXT, 2))), 1, -1, -1, b"hello"), 2,
     'pwritev(3, [{iov_base="he", iov_len=2}], 1, -1) = 2'),
    ("vmsplice", (6, P(iovec((TEXT, 3))), 1, 8 | 0x10), -22,
     f'vmsplice(6, [{{iov_base="\\0\\0\\0", iov_len=3}}], 1, SPLICE_F_GIFT|0x10){EINVAL}'),
]  # fmt: skip


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case[3][:60])
def test_vectors(case: tuple[Any, ...]) -> None:
    check(case)


def test_vectors_are_cut_short() -> None:
    many = P(iovec(*[(0, 0)] * 40))
    part = "{iov_base=NULL, iov_len=0}"
    assert line("writev", 7, many, 40, result=-9) == f"writev(7, [{', '.join([part] * 32)}, ...], 40){EBADF}"
    assert line("writev", 7, many, 40, result=-9, abbrev=False) == f"writev(7, [{', '.join([part] * 40)}], 40){EBADF}"
    wild = line("writev", 7, P(bytes(16)), 1 << 31, result=-9, abbrev=False)
    assert wild.endswith("... /* 0x14000 */], 2147483648)" + EBADF)


STYLES = [
    ("open", (X, 0o102, 0o644), "raw", 'open("x", 0x42, 0644) = 0'),
    ("open", (X, 0o102, 0o644), "verbose", 'open("x", 0x42 /* O_RDWR|O_CREAT */, 0644) = 0'),
    ("openat", (AT_FDCWD, X, 0), "raw", 'openat(-100, "x", 0) = 0'),
    ("openat", (AT_FDCWD, X, 0), "verbose", 'openat(-100 /* AT_FDCWD */, "x", 0 /* O_RDONLY */) = 0'),
    ("lseek", (3, 0, 2), "raw", "lseek(3, 0, 0x2) = 0"),
    ("flock", (3, 5), "verbose", "flock(3, 0x5 /* LOCK_SH|LOCK_NB */) = 0"),
]


@pytest.mark.parametrize("case", STYLES, ids=lambda case: case[3])
def test_styles(case: tuple[Any, ...]) -> None:
    name, args, constants, expected = case
    assert line(name, *args, style=Style(constants=constants)) == expected


def test_pointers_are_not_followed_without_verbose() -> None:
    vector = P(iovec((BAD, 3)))
    assert line("writev", 3, vector, 1, verbose=False) == "writev(3, 0x10000, 1) = 0"
    assert line("writev", 3, vector, 0, verbose=False) == "writev(3, [], 0) = 0"
    assert line("write", 3, b"abc", 3, verbose=False) == 'write(3, "abc", 3) = 0'
    assert line("read", 3, Filled(b"abc"), 3, result=3, verbose=False) == 'read(3, "abc", 3) = 3'
    assert line("sendfile", 4, 3, P(q(2)), 5, verbose=False) == "sendfile(4, 3, 0x10000, 5) = 0"
    assert line("pipe", P(bytes(8)), verbose=False) == "pipe(0x10000) = 0"
    assert line("openat2", 3, X, P(bytes(24)), 24, verbose=False) == 'openat2(3, "x", 0x10100, 24) = 0'


def test_what_stands_of_a_call_that_waits() -> None:
    """The comma behind the last argument is there only if others come behind it."""
    from syscalls.abi.structs import Flock

    for name, args, expected in (
        ("read", (3, P(b""), 5), "read(3, "),
        ("write", (3, P(b"hello"), 5), 'write(3, "hello", 5'),
        ("sendfile", (4, 3, P(q(2)), 5), "sendfile(4, 3, [2]"),
        ("sendfile", (4, 3, 0, 5), "sendfile(4, 3, NULL, "),
        ("fcntl", (3, 7, P(Flock(1, 0, 1, 2, 99).pack())),
         "fcntl(3, F_SETLKW, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=1, l_len=2}"),
        ("fcntl", (3, 5, P(bytes(32))), "fcntl(3, F_GETLK, "),
        ("ioctl", (3, 0x5409, 1), "ioctl(3, TCSBRK, 1"),
        ("ioctl", (3, 0x5401, P(b"")), "ioctl(3, TCGETS, "),
        ("ioctl", (3, 0x8913, P(b"lo")), 'ioctl(3, SIOCGIFFLAGS, {ifr_name="lo"'),
    ):  # fmt: skip
        call, _ = call_of(name, *args)
        assert written(call, call.plan.entry(call), None, blocks=True) == expected
