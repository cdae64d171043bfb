"""open, close, read, write and their relatives: scripts that run natively too, and what only we can see."""

from __future__ import annotations

import os
from typing import Any

import pytest

from syscalls.abi.errno import EAGAIN, EBADF, EFBIG, EINVAL, EMFILE, ENOENT, ENOSPC, ETXTBSY
from syscalls.abi.flags import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    LOCK_EX,
    LOCK_NB,
    LOCK_SH,
    LOCK_UN,
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_LARGEFILE,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_TMPFILE,
    O_TRUNC,
    O_WRONLY,
    RESOLVE_BENEATH,
    RESOLVE_CACHED,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RLIMIT_FSIZE,
    RLIMIT_NOFILE,
    RWF_APPEND,
    RWF_DSYNC,
    RWF_NOWAIT,
    RWF_SYNC,
    S_IFIFO,
    S_IFSOCK,
    SIGXFSZ,
)
from syscalls.objects.credentials import Credentials
from syscalls.objects.fdtable import FdTable
from tests.syscalls.vfs_rig import BAD, Edge, In, Iov, New, Out, Rig, Words, both

R, W, RW = O_RDONLY, O_WRONLY, O_RDWR
LONG = b"x" * 256


def num(value: int) -> Words:
    """A loff_t that the call reads and writes."""
    return Words(value.to_bytes(8, "little", signed=True))


def how(flags: int, mode: int = 0, resolve: int = 0, extra: bytes = b"") -> In:
    """A struct open_how."""
    return In(b"".join(word.to_bytes(8, "little") for word in (flags, mode, resolve)) + extra)


FILE = ("open", b"f", O_CREAT | RW, 0o644)

SCRIPTS: dict[str, list[Any]] = {
    "open": [
        ("open", b"", R, 0),
        ("open", b"nope", R, 0),
        ("open", b"nope/x", R, 0),
        ("open", BAD, R, 0),
        FILE,
        ("close", 3),
        ("open", b"f", O_CREAT | O_EXCL, 0o644),
        ("open", b"f", O_DIRECTORY, 0),
        ("open", b"f/", R, 0),
        ("open", b"f/x", R, 0),
        ("open", b"f/.", R, 0),
        ("open", b"f/..", R, 0),
        ("open", b"new/", O_CREAT | W, 0o644),
        ("open", b"f/", O_CREAT | W, 0o644),
        ("open", b".", W, 0),
        ("open", b".", R, 0),
        ("close", 3),
        ("open", b".", O_CREAT, 0o644),
        ("open", b"..", O_CREAT | R, 0),
        ("open", b"/", O_CREAT | R, 0),
        ("open", b".", O_CREAT | O_EXCL, 0o644),
        ("open", b"/", O_CREAT | O_EXCL, 0),
        New(("open", b"d", O_CREAT | O_DIRECTORY, 0o755), -EINVAL),
        ("open", b"f", 3, 0),
        ("read", 3, Out(4), 4),
        ("write", 3, b"x", 1),
        ("close", 3),
        ("open", b"f", O_TRUNC | R, 0),
        ("close", 3),
        ("creat", b"c", 0o600),
        ("read", 3, Out(1), 1),
        ("write", 3, b"abc", 3),
        ("creat", b"c", 0o600),
        ("fstat", 3, Out(144)),
    ],
    "open a directory": [
        ("mkdir", b"d", 0o755),
        FILE,
        ("open", b"d", W, 0),
        ("open", b"d", RW, 0),
        ("open", b"d", R | O_TRUNC, 0),
        ("open", b"d/../f", R, 0),
        ("open", b"./d/./", R, 0),
        ("openat", 99, b"f", R, 0),
        ("openat", 0, b"f", R, 0),
        ("openat", 5, b"../f", R, 0),
        ("openat", 5, b"", R, 0),
        ("openat", 3, b"x", R, 0),
        ("openat", 99, b"/", R, 0),
    ],
    "open links": [
        FILE,
        ("symlink", b"f", b"l"),
        ("symlink", b"gone", b"dangling"),
        ("symlink", b"loop", b"loop"),
        ("symlink", b"f/", b"slash"),
        ("symlink", b".", b"dot"),
        ("symlink", b"newdir/", b"newslash"),
        ("open", b"l", R, 0),
        ("open", b"l", R | O_NOFOLLOW, 0),
        ("open", b"l", O_PATH | O_NOFOLLOW, 0),
        ("read", 5, Out(4), 4),
        ("fstat", 5, Out(144)),
        ("open", b"l/", R, 0),
        ("open", b"slash", R, 0),
        ("open", b"dot/f", R, 0),
        ("open", b"dot/", R, 0),
        ("open", b"dangling", R, 0),
        ("open", b"dangling", O_CREAT | O_EXCL | W, 0o644),
        ("open", b"dangling", O_CREAT | W | O_NOFOLLOW, 0o644),
        ("open", b"dangling", O_CREAT | W, 0o644),
        ("open", b"gone", R, 0),
        ("open", b"loop", R, 0),
        ("open", b"loop", O_CREAT | W, 0o644),
        ("open", b"loop/x", R, 0),
        ("open", b"newslash", O_CREAT | W, 0o644),
        *[("symlink", b"c%d" % n, b"c%d" % (n + 1)) for n in range(42)],
        ("symlink", b"f", b"c0"),
        ("open", b"c39", R, 0),
        ("open", b"c40", R, 0),
    ],
    "open long names": [
        ("open", LONG, R, 0),
        ("open", LONG, O_CREAT | W, 0o600),
        ("open", b"y" * 255, O_CREAT | W, 0o600),
        ("open", b"a/" * 2048, R, 0),
        ("open", b"/" * 4095, R, 0),
        ("open", b"/" * 4096, R, 0),
    ],
    "open with O_PATH": [
        FILE,
        ("close", 3),
        ("open", b"f", O_PATH, 0),
        ("read", 3, Out(4), 4),
        ("write", 3, b"x", 1),
        ("lseek", 3, 0, 0),
        ("fchmod", 3, 0o600),
        ("fchown", 3, -1, -1),
        ("ftruncate", 3, 0),
        ("fsync", 3),
        ("flock", 3, LOCK_SH),
        ("getdents64", 3, Out(100), 100),
        ("fstatfs", 3, Out(120)),
        ("dup", 3),
        ("open", b"f", O_PATH | O_DIRECTORY, 0),
        ("open", b"f", O_PATH | O_CREAT | O_EXCL, 0),
        ("newfstatat", 3, b"", Out(144), AT_EMPTY_PATH),
    ],
    "open special files": [
        ("mknod", b"fifo", S_IFIFO | 0o644, 0),
        ("open", b"fifo", W | O_NONBLOCK, 0),
        ("open", b"fifo", R | O_NONBLOCK, 0),
        ("open", b"fifo", W | O_NONBLOCK | O_TRUNC, 0),
        ("write", 4, b"abc", 3),
        ("read", 3, Edge(b"z"), 3),
        ("read", 3, Out(4), 4),
        ("mknod", b"sock", S_IFSOCK | 0o644, 0),
        ("open", b"sock", R, 0),
        ("open", b"sock", O_PATH, 0),
    ],
    "open with O_TMPFILE": [
        ("open", b".", O_TMPFILE | R, 0),
        ("open", b".", O_TMPFILE | RW, 0o600),
        ("write", 3, b"abc", 3),
        ("fstat", 3, Out(144)),
        New(("linkat", 3, b"", AT_FDCWD, b"named", AT_EMPTY_PATH), 0),
        New(("lstat", b"named", Out(144)), 0),
        New(("unlink", b"named"), 0),
        New(("linkat", 3, b"", AT_FDCWD, b"again", AT_EMPTY_PATH), -ENOENT),
        ("open", b"f", O_CREAT, 0o600),
        ("open", b".", O_TMPFILE | RW | O_EXCL, 0o600),
        New(("linkat", 5, b"", AT_FDCWD, b"named", AT_EMPTY_PATH), -ENOENT),
        ("close", 5),
        ("open", b"f", O_TMPFILE | RW, 0o600),
        ("open", b"nope", O_TMPFILE | RW, 0o600),
        ("open", b".", R, 0),
        ("getdents64", 5, Out(300), 300),
    ],
    "openat2": [
        ("mkdir", b"d", 0o755),
        ("open", b"d/f", O_CREAT | W, 0o644),
        ("symlink", b"/d/f", b"d/abs"),
        ("symlink", b"f", b"d/rel"),
        ("symlink", b"../d/f", b"d/up"),
        ("open", b"d", O_PATH, 0),
        *[
            step
            for resolve in (RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS)
            for name in (b"f", b"abs", b"rel", b"up", b"../d/f", b"/f", b"..", b".", b"/", b"f/.")
            for step in (("openat2", 4, name, how(R, 0, resolve), 24), ("close", 5))
        ],
        ("openat2", 4, b"f", how(R, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT), 24),
        ("openat2", 4, b"f", how(R, 0, 1 << 20), 24),
        ("openat2", AT_FDCWD, b"d/f", how(1 << 40), 24),
        ("openat2", AT_FDCWD, b"d/f", how(0, 0o644), 24),
        ("openat2", AT_FDCWD, b"n", how(O_CREAT | W, 0o10000), 24),
        ("openat2", AT_FDCWD, b"d", how(O_PATH | O_RDWR), 24),
        ("openat2", AT_FDCWD, b"d/f", how(O_PATH | O_LARGEFILE), 24),
        ("openat2", AT_FDCWD, b"d/f", how(O_TRUNC | W, 0, RESOLVE_CACHED), 24),
        ("openat2", AT_FDCWD, b"d/f", how(R), 23),
        ("openat2", AT_FDCWD, b"d/f", how(R), 5000),
        ("openat2", AT_FDCWD, b"d/f", how(R, extra=bytes(8)), 32),
        ("openat2", AT_FDCWD, b"d/f", how(R, extra=b"\1" + bytes(7)), 32),
        ("openat2", AT_FDCWD, b"d/f", BAD, 24),
    ],
    "lseek": [
        FILE,
        ("write", 3, b"0123456789", 10),
        ("lseek", 3, 0, 0),
        ("lseek", 3, -1, 0),
        ("lseek", 3, 5, 1),
        ("lseek", 3, -100, 1),
        ("lseek", 3, -1, 2),
        ("lseek", 3, 100, 2),
        ("lseek", 3, 0, 9),
        ("lseek", 3, 0, 3),
        ("lseek", 3, 10, 3),
        ("lseek", 3, 0, 4),
        ("lseek", 3, 3, 4),
        ("lseek", 3, -1, 3),
        ("lseek", 3, (1 << 63) - 1, 0),
        ("lseek", 3, 1, 1),
        ("lseek", 99, 0, 0),
    ],
    "read": [
        FILE,
        ("write", 3, b"0123456789", 10),
        ("read", 3, Out(4), 4),
        ("lseek", 3, 2, 0),
        ("read", 3, Out(4), 4),
        ("read", 3, Out(40), 40),
        ("read", 3, Out(40), 40),
        ("lseek", 3, 0, 0),
        ("read", 3, Edge(b"12"), 8),
        ("lseek", 3, 0, 1),
        ("read", 3, BAD, 8),
        ("lseek", 3, 0, 1),
        ("read", 3, 0, 0),
        ("read", 3, -1, 0),
        ("read", 3, Out(8), -1),
        ("read", 3, Out(8), 1 << 62),
        ("read", 99, Out(8), 8),
        ("open", b"f", W, 0),
        ("read", 4, Out(8), 8),
        ("open", b".", R, 0),
        ("read", 5, Out(8), 8),
        ("read", 5, Out(8), 0),
        ("pread64", 5, Out(5), 5, 0),
        ("readv", 5, Iov([(Out(2), 2)]), 1),
        ("write", 5, b"x", 1),
    ],
    "write": [
        FILE,
        ("write", 3, 0, 0),
        ("write", 3, -1, 0),
        ("write", 3, BAD, 1),
        ("write", 3, b"abc", -1),
        ("write", 3, Edge(b"QQ"), 8),
        ("lseek", 3, 0, 1),
        ("open", b"f", R, 0),
        ("write", 4, b"x", 1),
        ("pwrite64", 4, b"x", 1, 0),
        ("writev", 4, Iov([(In(b"x"), 1)]), 1),
        New(("writev", 4, BAD, 1), -EBADF),
        ("ftruncate", 4, 3),
        ("fallocate", 4, 0, 0, 10),
        ("lseek", 3, 100, 0),
        ("write", 3, b"end", 3),
        ("pread64", 3, Out(120), 120, 0),
    ],
    "O_APPEND": [
        FILE,
        ("write", 3, b"0123456789", 10),
        ("open", b"f", W | O_APPEND, 0),
        ("read", 4, Out(3), 3),
        ("write", 4, b"++", 2),
        ("lseek", 4, 0, 1),
        ("pwrite64", 4, b"==", 2, 0),
        ("lseek", 4, 0, 1),
        ("lseek", 4, 0, 0),
        ("write", 4, b"!", 1),
        ("lseek", 4, 0, 1),
        ("writev", 4, Iov([(In(b"a"), 1), (In(b"b"), 1)]), 2),
        ("pread64", 3, Out(90), 90, 0),
    ],
    "pread64 and pwrite64": [
        FILE,
        ("write", 3, b"0123456789", 10),
        ("pread64", 3, Out(20), 20, 0),
        ("pread64", 3, Out(20), 20, 8),
        ("pread64", 3, Out(20), 20, 80),
        ("pread64", 3, Out(20), 20, -1),
        ("pread64", 99, Out(20), 20, -1),
        ("pread64", 3, BAD, 5, 0),
        ("pread64", 3, Edge(b"abc"), 5, 0),
        ("pwrite64", 3, b"AB", 2, 3),
        ("pwrite64", 3, BAD, 2, 3),
        ("pwrite64", 3, Edge(b"xyz"), 9, 20),
        ("lseek", 3, 0, 1),
        ("pread64", 3, Out(40), 40, 0),
    ],
    "readv and writev": [
        FILE,
        ("writev", 3, Iov([(In(b"abc"), 3), (In(b"defgh"), 5)]), 2),
        ("writev", 3, Iov([(In(b"abc"), 3), (BAD, 2)]), 2),
        ("writev", 3, Iov([(BAD, 3), (In(b"abc"), 3)]), 2),
        ("writev", 3, Iov([(Edge(b"ab"), 3), (In(b"abc"), 3)]), 2),
        ("writev", 3, Iov([(0, 0)]), 1),
        ("lseek", 3, 0, 0),
        ("readv", 3, Iov([(Out(3), 3), (Out(4), 4)]), 2),
        ("readv", 3, Iov([]), 0),
        ("readv", 3, 0, 0),
        ("readv", 3, BAD, 1),
        ("readv", 3, Iov([(Out(3), 3)]), -1),
        ("readv", 3, Iov([(Out(3), 3)]), 1025),
        ("readv", 3, Iov([(Out(3), 1 << 63)]), 1),
        ("lseek", 3, 0, 0),
        ("readv", 3, Iov([(Out(3), 3), (BAD, 4)]), 2),
        ("lseek", 3, 0, 1),
        ("readv", 3, Iov([(BAD, 3), (Out(4), 4)]), 2),
        ("lseek", 3, 0, 1),
        ("readv", 3, Iov([(Edge(b"ab"), 4), (Out(4), 4)]), 2),
        ("lseek", 3, 0, 1),
        ("readv", 3, Iov([(-1, 4), (Out(4), 4)]), 2),
        ("readv", 3, Iov([(Out(2), 2), (0, 0), (Out(2), 2)]), 3),
        ("readv", 99, Iov([(Out(2), 2)]), 1),
    ],
    "preadv and pwritev": [
        FILE,
        ("write", 3, b"0123456789", 10),
        ("preadv", 3, Iov([(Out(3), 3), (Out(4), 4)]), 2, 1, 0),
        ("preadv", 3, Iov([(Out(3), 3)]), 1, -1, 0),
        ("preadv", 3, Iov([(Out(3), 3)]), 1, 1, 5),
        ("pwritev", 3, Iov([(In(b"zz"), 2)]), 1, 30, 0),
        ("pwritev", 3, Iov([(In(b"zz"), 2)]), 1, -5, 0),
        ("preadv2", 3, Iov([(Out(3), 3)]), 1, -1, 0, 0),
        ("lseek", 3, 0, 1),
        ("preadv2", 3, Iov([(Out(3), 3)]), 1, 0, 0, 0x400),
        ("preadv2", 3, Iov([(Out(3), 3)]), 1, -2, 0, 0),
        ("pwritev2", 3, Iov([(In(b"END"), 3)]), 1, 0, 0, RWF_APPEND),
        ("lseek", 3, 0, 1),
        ("pwritev2", 3, Iov([(In(b"END"), 3)]), 1, -1, 0, RWF_APPEND),
        ("lseek", 3, 0, 1),
        ("pwritev2", 3, Iov([(In(b"S"), 1)]), 1, 0, 0, RWF_SYNC),
        ("pwritev2", 3, Iov([(In(b"S"), 1)]), 1, -1, 0, RWF_DSYNC),
        ("pread64", 3, Out(90), 90, 0),
    ],
    "truncate and ftruncate": [
        FILE,
        ("write", 3, b"0123456789", 10),
        ("ftruncate", 3, 4),
        ("pread64", 3, Out(10), 10, 0),
        ("ftruncate", 3, 8),
        ("pread64", 3, Out(10), 10, 0),
        ("ftruncate", 3, -1),
        ("ftruncate", 99, -1),
        ("ftruncate", 99, 1),
        ("truncate", b"f", 2),
        ("truncate", b"f", -2),
        ("truncate", b"nope", 2),
        ("truncate", b".", 2),
        ("truncate", b"f/x", 2),
        ("truncate", BAD, 2),
        ("truncate", b"", 2),
        ("mknod", b"p", S_IFIFO | 0o666, 0),
        ("truncate", b"p", 2),
        ("open", b".", R, 0),
        ("ftruncate", 4, 0),
        ("fstat", 3, Out(144)),
    ],
    "fallocate": [
        FILE,
        ("fallocate", 3, 0, 0, 100),
        ("lseek", 3, 0, 2),
        ("fallocate", 3, FALLOC_FL_KEEP_SIZE, 0, 10000),
        ("lseek", 3, 0, 2),
        ("pwrite64", 3, b"abcdef", 6, 0),
        ("fallocate", 3, FALLOC_FL_PUNCH_HOLE, 0, 10),
        ("fallocate", 3, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1, 3),
        ("pread64", 3, Out(8), 8, 0),
        ("fallocate", 3, 0x80, 0, 10),
        ("fallocate", 3, 0, -1, 10),
        ("fallocate", 3, 0, 0, 0),
        ("fallocate", 3, 0, 0, -1),
        ("fallocate", 3, 0, 1 << 62, 1 << 62),
        ("fallocate", 3, 0, (1 << 63) - 1, 1),
        ("fallocate", 99, 0, 0, 0),
        ("open", b".", R, 0),
        ("fallocate", 4, 0, 0, 10),
        ("mknod", b"p", S_IFIFO | 0o600, 0),
        ("open", b"p", RW, 0),
        ("fallocate", 5, 0, 0, 10),
    ],
    "fsync and its relatives": [
        FILE,
        ("open", b".", R, 0),
        ("mknod", b"p", S_IFIFO | 0o600, 0),
        ("open", b"p", RW, 0),
        *[(name, fd) for name in ("fsync", "fdatasync", "syncfs") for fd in (3, 4, 5, 99)],
        ("sync",),
        *[("sync_file_range", fd, 0, 0, 0) for fd in (3, 4, 5, 99)],
        ("sync_file_range", 3, 0, 0, 8),
        ("sync_file_range", 3, -1, 0, 0),
        ("sync_file_range", 3, 0, -1, 0),
        ("sync_file_range", 3, 1 << 62, 1 << 62, 0),
        *[("fadvise64", fd, 0, 0, 0) for fd in (3, 4, 5, 99)],
        ("fadvise64", 3, 0, 0, 6),
        ("fadvise64", 3, 0, -1, 0),
        *[("readahead", fd, 0, 10) for fd in (3, 4, 99)],
    ],
    "what pipes cannot": [
        ("mknod", b"p", S_IFIFO | 0o666, 0),
        ("open", b"p", RW, 0),
        ("lseek", 3, 0, 0),
        ("lseek", 3, 0, 9),
        ("pread64", 3, Out(2), 2, 0),
        ("pwrite64", 3, b"x", 1, 0),
        ("preadv", 3, Iov([(Out(3), 3)]), 1, 0, 0),
        ("ftruncate", 3, 0),
        ("write", 3, b"abc", 3),
        ("readv", 3, Iov([(Out(2), 2), (Out(2), 2)]), 2),
        ("write", 3, b"abc", 3),
        ("preadv2", 3, Iov([(Out(5), 5)]), 1, -1, 0, 0),
    ],
    "sendfile": [
        ("open", b"a", O_CREAT | RW, 0o600),
        ("write", 3, b"0123456789", 10),
        ("open", b"b", O_CREAT | RW, 0o600),
        ("sendfile", 4, 3, 0, 5),
        ("sendfile", 4, 3, num(2), 5),
        ("lseek", 3, 0, 1),
        ("lseek", 4, 0, 1),
        ("sendfile", 4, 3, num(-1), 5),
        ("sendfile", 4, 3, BAD, 5),
        ("sendfile", 99, 3, 0, 5),
        ("sendfile", 4, 99, 0, 5),
        ("sendfile", 4, 3, num(20), 5),
        ("lseek", 3, 0, 0),
        ("sendfile", 4, 3, 0, 100),
        ("open", b"b", R, 0),
        ("sendfile", 5, 3, 0, 1),
        ("sendfile", 3, 5, 0, 3),
        ("open", b"b", W | O_APPEND, 0),
        ("lseek", 3, 0, 0),
        ("sendfile", 6, 3, 0, 1),
        ("sendfile", 3, 6, 0, 1),
        ("open", b".", R, 0),
        ("sendfile", 4, 7, 0, 3),
        ("sendfile", 4, 3, 0, 0),
        ("mknod", b"p", S_IFIFO | 0o600, 0),
        ("open", b"p", RW, 0),
        ("sendfile", 4, 8, 0, 3),
        ("sendfile", 8, 3, num(0), 4),
        ("read", 8, Out(10), 10),
        ("pread64", 5, Out(60), 60, 0),
    ],
    "copy_file_range": [
        ("open", b"a", O_CREAT | RW, 0o600),
        ("write", 3, b"0123456789", 10),
        ("open", b"b", O_CREAT | RW, 0o600),
        ("copy_file_range", 3, 0, 4, 0, 5, 0),
        ("copy_file_range", 3, num(1), 4, num(0), 5, 0),
        ("pread64", 4, Out(60), 60, 0),
        ("copy_file_range", 3, 0, 4, 0, 5, 1),
        ("copy_file_range", 99, 0, 4, 0, 5, 1),
        ("copy_file_range", 3, BAD, 4, 0, 5, 1),
        ("copy_file_range", 3, num(0), 3, num(2), 5, 0),
        ("copy_file_range", 3, num(0), 3, num(5), 5, 0),
        ("open", b"b", R, 0),
        ("copy_file_range", 3, 0, 5, 0, 5, 0),
        ("open", b"b", W | O_APPEND, 0),
        ("copy_file_range", 3, 0, 6, 0, 5, 0),
        ("copy_file_range", 6, 0, 4, 0, 5, 0),
        ("open", b".", R, 0),
        ("copy_file_range", 7, 0, 3, 0, 5, 0),
        ("copy_file_range", 3, num(-1), 4, 0, 5, 0),
        ("copy_file_range", 3, num(0), 4, num(0), 0, 0),
        ("copy_file_range", 3, num(1 << 62), 4, num(0), 1 << 62, 0),
        ("copy_file_range", 3, num((1 << 63) - 2), 4, num(0), 10, 0),
        ("copy_file_range", 3, num(100), 4, num(0), 10, 0),
        ("mknod", b"p", S_IFIFO | 0o600, 0),
        ("open", b"p", RW, 0),
        ("copy_file_range", 8, 0, 4, 0, 5, 0),
    ],
    "splice, tee, vmsplice": [
        ("open", b"a", O_CREAT | RW, 0o600),
        ("write", 3, b"0123456789", 10),
        ("mknod", b"p", S_IFIFO | 0o600, 0),
        ("mknod", b"q", S_IFIFO | 0o600, 0),
        ("open", b"p", RW, 0),
        ("open", b"q", RW, 0),
        ("open", b"b", O_CREAT | RW, 0o600),
        ("splice", 3, 0, 6, 0, 5, 0),
        ("splice", 3, num(0), 4, 0, 5, 0),
        ("splice", 4, 0, 6, num(1), 3, 0),
        ("splice", 4, 0, 6, 0, 100, 0),
        ("splice", 4, num(0), 6, 0, 100, 0),
        ("splice", 4, 0, 6, 0, 100, 2),
        ("splice", 99, 0, 6, 0, 1, 0),
        ("splice", 3, num(0), 4, 0, 0, 99),
        ("splice", 3, num(0), 4, 0, 1, 99),
        ("splice", 3, num(-1), 4, 0, 1, 0),
        ("splice", 4, 0, 4, 0, 1, 0),
        ("open", b"b", W | O_APPEND, 0),
        ("splice", 4, 0, 7, 0, 1, 0),
        ("pread64", 6, Out(60), 60, 0),
        ("write", 4, b"hello", 5),
        ("tee", 4, 5, 3, 0),
        ("read", 5, Out(9), 9),
        ("tee", 4, 5, 30, 0),
        ("splice", 4, 0, 5, 0, 9, 0),
        ("read", 5, Out(20), 20),
        ("tee", 4, 5, 3, 2),
        ("tee", 3, 5, 3, 2),
        ("tee", 4, 4, 3, 2),
        ("tee", 4, 5, 0, 0),
        ("tee", 4, 5, 1, 99),
        ("vmsplice", 5, Iov([(In(b"abc"), 3), (In(b"de"), 2)]), 2, 0),
        ("vmsplice", 3, Iov([(In(b"abc"), 3)]), 1, 0),
        ("vmsplice", 5, Iov([]), 0, 0),
        ("vmsplice", 5, Iov([]), 0, 99),
        ("vmsplice", 99, Iov([]), 0, 0),
        ("open", b".", R, 0),
        ("splice", 8, 0, 4, 0, 3, 0),
    ],
    "dup": [
        ("dup", 0),
        ("dup", 99),
        ("dup2", 0, 0),
        ("dup2", 99, 99),
        ("dup2", 99, 5),
        ("dup2", 0, -1),
        ("dup2", 0, 1 << 30),
        ("dup2", 0, 10),
        ("dup3", 0, 0, 0),
        ("dup3", 0, 11, O_CLOEXEC),
        ("dup3", 0, 11, 1),
        ("dup3", 99, 11, 0),
        ("dup3", 0, -1, 0),
        ("dup", 0),
        ("close", 10),
        ("close", 10),
        ("close", -1),
        ("dup", 0),
        ("close_range", 5, 4, 0),
        ("close_range", 3, 100, 8),
        ("close_range", 11, 11, 4),
        ("close_range", 3, 50, 0),
        ("close", 3),
        ("dup", 0),
        ("close_range", 3, 800, 2),
        ("dup2", 0, 5),
        ("dup", 0),
        ("dup", 0),
        ("dup", 0),
    ],
    "flock": [
        ("flock", 99, LOCK_SH),
        ("flock", 99, 77),
        ("open", b"l", O_CREAT | RW, 0o600),
        ("open", b"l", RW, 0),
        ("flock", 3, LOCK_SH),
        ("flock", 4, LOCK_SH | LOCK_NB),
        ("flock", 4, LOCK_EX | LOCK_NB),
        ("flock", 3, LOCK_UN),
        ("flock", 4, LOCK_EX | LOCK_NB),
        ("flock", 3, LOCK_SH | LOCK_NB),
        ("dup", 4),
        ("close", 4),
        ("flock", 3, LOCK_SH | LOCK_NB),
        ("close", 5),
        ("flock", 3, LOCK_SH | LOCK_NB),
        ("flock", 3, LOCK_NB),
        ("flock", 3, 0),
        ("flock", 3, LOCK_EX),
        ("flock", 3, LOCK_EX | LOCK_SH),
        ("open", b".", R, 0),
        ("flock", 4, LOCK_EX | LOCK_NB),
    ],
}


@pytest.mark.native
@pytest.mark.parametrize("name", SCRIPTS)
def test_like_native(name: str) -> None:
    both(SCRIPTS[name])


@pytest.mark.native
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("name", ["open", "open with O_PATH", "truncate and ftruncate", "openat2"])
def test_like_native_as_user(name: str) -> None:
    both(SCRIPTS[name], uid=65534)


# -- what a script cannot show -----------------------------------------------------------------------------


def rig_with_file(content: bytes = b"") -> Rig:
    rig = Rig()
    assert rig.call("open", b"f", O_CREAT | RW, 0o644) == 3
    if content:
        assert rig.call("write", 3, In(content), len(content)) == len(content)
    return rig


def test_large_transfers_go_in_several_messages() -> None:
    rig = Rig()
    rig.call("open", b"f", O_CREAT | RW, 0o644)
    data = bytes(range(256)) * 12_000  # 3 MB
    assert rig.call("write", 3, In(data), len(data)) == len(data)
    assert rig.call("lseek", 3, 0, 0) == 0
    result, (got,) = rig.step("read", 3, Out(len(data)), len(data))
    assert (result, got) == (len(data), data)
    assert rig.call("lseek", 3, 0, 1) == len(data)
    vector = Iov([(Out(1 << 20), 1 << 20), (Out(1 << 20), 1 << 20)])
    result, parts = rig.step("preadv", 3, vector, 2, 100, 0)
    assert (result, b"".join(parts)) == (2 << 20, data[100 : 100 + (2 << 20)])


def test_full_file_system_takes_what_fits() -> None:
    rig = Rig(max_bytes=64 * 4096)
    rig.call("open", b"f", O_CREAT | RW, 0o644)
    size = 100 * 4096
    assert rig.call("pwrite64", 3, In(b"x" * size), size, 10) == 64 * 4096 - 10
    assert rig.call("write", 3, In(b"y" * size), size) == 64 * 4096
    assert rig.call("lseek", 3, 0, 2) == 64 * 4096
    assert rig.call("write", 3, b"z", 1) == -ENOSPC


def test_file_size_limit_cuts_and_then_signals() -> None:
    rig = rig_with_file()
    rig.task.process.rlimits[RLIMIT_FSIZE] = (10, 10)
    assert rig.call("write", 3, b"0123456789abc", 13) == 10
    assert not rig.task.pending.mask
    assert rig.call("write", 3, b"x", 1) == -EFBIG
    assert rig.task.pending.mask == 1 << (SIGXFSZ - 1)
    assert rig.call("ftruncate", 3, 11) == -EFBIG
    assert rig.call("ftruncate", 3, 9) == 0
    assert rig.call("fallocate", 3, 0, 0, 11) == -EFBIG


def test_descriptor_limit_comes_before_the_file_is_made() -> None:
    rig = Rig()
    rig.task.process.rlimits[RLIMIT_NOFILE] = (3, 3)
    assert rig.call("open", b"new", O_CREAT | W, 0o644) == -EMFILE
    rig.task.process.rlimits[RLIMIT_NOFILE] = (4, 4)
    assert rig.call("open", b"new", O_CREAT | O_EXCL | W, 0o644) == 3
    assert rig.task.files.get(3).flags & O_NOFOLLOW == 0
    assert rig.call("dup", 3) == -EMFILE
    assert rig.call("dup2", 3, 4) == -EBADF
    assert rig.call("close", 3) == 0


def test_close_on_exec_closes_only_what_says_so() -> None:
    rig = Rig()
    assert rig.call("open", b".", R | O_CLOEXEC, 0) == 3
    assert rig.call("dup", 3) == 4
    assert rig.task.files.get_cloexec(3)
    assert not rig.task.files.get_cloexec(4)
    rig.run(rig.task.files.close_on_exec())
    assert rig.task.files.numbers() == [0, 1, 2, 4]


def test_writing_an_executing_file_is_refused() -> None:
    rig = rig_with_file()
    inode = rig.place(b"/f").inode
    assert inode.writers == 1
    rig.call("close", 3)
    assert inode.writers == 0
    inode.deny_write = 1
    assert rig.call("open", b"f", W, 0) == -ETXTBSY
    assert rig.call("open", b"f", R, 0) == 3
    assert rig.call("truncate", b"f", 0) == -ETXTBSY
    inode.deny_write = 0
    assert rig.call("open", b"f", W, 0) == 4


def test_flock_waits_until_the_other_lets_go() -> None:
    rig = rig_with_file()
    assert rig.call("open", b"f", RW, 0) == 4
    assert rig.call("flock", 3, LOCK_EX) == 0
    waiting = rig.start("flock", 4, LOCK_SH)
    rig.settle()
    assert not waiting.done
    assert rig.call("close", 3) == 0
    rig.settle()
    assert waiting.done
    assert waiting.value() is None
    assert rig.call("flock", 4, LOCK_EX | LOCK_NB) == 0


def test_rwf_nowait_is_recorded() -> None:
    rig = rig_with_file(b"x")
    assert rig.call("preadv2", 3, Iov([(Out(1), 1)]), 1, 0, 0, RWF_NOWAIT) == -95
    assert rig.server.complaints == ["preadv2: RWF_NOWAIT"]


def test_close_range_unshares_the_table_first() -> None:
    rig = Rig()
    assert rig.call("dup", 0) == 3
    shared = rig.task.files.share()
    assert rig.call("close_range", 0, 100, 2) == 0
    assert rig.task.files.numbers() == []
    assert shared.numbers() == [0, 1, 2, 3]
    assert shared.refs == 1


def test_forked_table_shares_positions_until_closed() -> None:
    rig = rig_with_file(b"0123456789")
    rig.call("lseek", 3, 0, 0)
    child = rig.new_task()
    child.files = rig.task.files.clone()
    assert isinstance(child.files, FdTable)
    assert rig.step("read", 3, Out(4), 4)[1] == [b"0123"]
    assert rig.step("read", 3, Out(4), 4, t=child)[1] == [b"4567"]
    assert rig.call("close", 3) == 0
    assert rig.step("read", 3, Out(4), 4, t=child)[1] == [b"89\0\0"]
    rig.run(child.files.drop())
    assert rig.fs.port.task == 1
    assert not rig.servers[rig.memfs]._nodes[rig.place(b"/f").inode.ino].opens


def test_unlinked_file_lives_until_it_is_closed() -> None:
    rig = rig_with_file(b"data")
    nodes = rig.servers[rig.memfs]._nodes
    ino = rig.place(b"/f").inode.ino
    assert rig.call("unlink", b"f") == 0
    assert rig.step("pread64", 3, Out(4), 4, 0) == (4, [b"data"])
    assert rig.place(b"/").dentry.live(b"f") is None
    assert ino in nodes
    assert rig.call("close", 3) == 0
    rig.step("statfs", b"/", Out(120))
    assert ino not in nodes


def test_server_forgets_what_nobody_holds() -> None:
    rig = Rig()
    for n in range(600):
        fd = rig.call("open", b"f%d" % n, O_CREAT | RW, 0o644)
        rig.call("close", fd)
    for n in range(600):
        assert rig.call("unlink", b"f%d" % n) == 0
    rig.step("statfs", b"/", Out(120))
    assert len(rig.servers[rig.memfs]._nodes) == 1
    assert len(rig.fs._inodes) == 0


def test_readers_take_turns() -> None:
    """Two tasks that read one open file at the same time never get the same bytes."""
    rig = rig_with_file(b"abcdef")
    rig.call("lseek", 3, 0, 0)
    file = rig.task.files.get(3)
    file.lock.held = True
    first = rig.spawn(file.read(rig.task, 3))
    second = rig.spawn(file.read(rig.new_task(), 3))
    assert not first.done
    file.lock.release()
    rig.settle()
    assert {first.value(), second.value()} == {b"abc", b"def"}
    assert not file.lock.held


def test_suid_bits_go_when_another_writes() -> None:
    rig = Rig()
    user = rig.new_task(Credentials.user(1000, 1000))
    rig.call("chmod", b"/", 0o777)
    assert rig.call("open", b"s", O_CREAT | RW, 0o666, t=user) == 3
    assert rig.call("chmod", b"s", 0o6775, t=user) == 0
    assert rig.call("write", 3, b"x", 1, t=user) == 1
    assert rig.place(b"/s").inode.attr.mode & 0o7777 == 0o775
    assert rig.call("chmod", b"s", 0o6775, t=user) == 0
    assert rig.call("truncate", b"s", 0) == 0
    assert rig.place(b"/s").inode.attr.mode & 0o7777 == 0o6775


def test_sendfile_to_a_full_pipe_stops() -> None:
    rig = rig_with_file(bytes(200_000))
    assert rig.call("mknod", b"p", S_IFIFO | 0o600, 0) == 0
    assert rig.call("open", b"p", RW | O_NONBLOCK, 0) == 4
    assert rig.call("sendfile", 4, 3, Words(bytes(8)), 200_000) == 65536
    assert rig.call("sendfile", 4, 3, Words(bytes(8)), 10) == -EAGAIN
