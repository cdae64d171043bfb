"""What descriptors refer to, calls about a path, and dumps of data, as strace 6.1 has them."""

from __future__ import annotations

import random
import struct
from types import SimpleNamespace
from typing import Any

import pytest

from linuxemu.trace import dump, paths
from linuxemu.trace.call import PAGE, Call, NotResident
from linuxemu.trace.formats.descriptors import escaped
from linuxemu.trace.style import Style
from syscalls.abi.flags import S_IFCHR, S_IFREG
from syscalls.abi.numbers import X86_64
from tests.trace.fakecall import BASE, Filled, P, call_of, line
from tests.trace.test_formats_files import AT_FDCWD, X, iovec

PATHS = Style(fds=frozenset({"path"}))
ALL = Style(fds=frozenset({"path", "dev"}))


class Dentry:
    """A name in a tree without mounts."""

    def __init__(self, name: bytes, parent: Dentry | None, deleted: bool = False) -> None:
        self.name, self.parent, self.deleted, self.mounts = name, parent, deleted, None


class Place(SimpleNamespace):
    """Stands for `syscalls.vfs.mount.Path`."""

    def _replace(self, **changes: Any) -> Place:
        return Place(**{**vars(self), **changes})


ROOT = Dentry(b"/", None)
MOUNT = SimpleNamespace(root=ROOT, parent=None, mountpoint=None)


def place(*names: bytes, deleted: bool = False) -> Place:
    dentry = ROOT
    for name in names:
        dentry = Dentry(name, dentry)
    dentry.deleted = deleted
    return Place(mount=MOUNT, dentry=dentry)


def file(path: Place | None, kind: int = S_IFREG, rdev: int = 0, proc: bytes = b"") -> Any:
    inode = SimpleNamespace(kind=kind, attr=SimpleNamespace(rdev=rdev))
    return SimpleNamespace(path=path, inode=inode, proc_name=lambda: proc)


OPEN = {
    0: file(place(b"dev", b"null"), S_IFCHR, 0x103),
    3: file(place(b"tmp", b"fa")),
    4: file(place(b"tmp", b"gone", deleted=True)),
    5: file(None, proc=b"pipe:[123]"),
    6: file(None, proc=b"anon_inode:[eventfd]"),
    7: file(place(b"a\nb<c>:\"d\\\xc3\xa9\x01")),
}
EBADF = " = -1 EBADF (Bad file descriptor)"


@pytest.mark.parametrize(
    ("fd", "path", "everything"),
    [
        (0, "0</dev/null>", "0</dev/null<char 1:3>>"),
        (3, "3</tmp/fa>", ""),
        (4, "4</tmp/gone>(deleted)", ""),
        (5, "5<pipe:[123]>", ""),
        (6, "6<anon_inode:[eventfd]>", ""),
        (7, '7</a\\nb\\74c\\76:\\"d\\\\\\303\\251\\1>', ""),
        (77, "77", ""),
        (-1, "-1", ""),
    ],
)
def test_descriptors(fd: int, path: str, everything: str) -> None:
    assert line("fsync", fd, opened=OPEN) == f"fsync({fd}) = 0"
    assert line("fsync", fd, style=PATHS, opened=OPEN) == f"fsync({path}) = 0"
    assert line("fsync", fd, style=ALL, opened=OPEN) == f"fsync({everything or path}) = 0"
    assert line("openat", fd, X, 0, style=PATHS, opened=OPEN, result=-9) == f'openat({path}, "x", O_RDONLY){EBADF}'


def test_results_and_arrays() -> None:
    assert line("dup2", 0, 3, style=PATHS, opened=OPEN, result=3) == "dup2(0</dev/null>, 3</tmp/fa>) = 3</tmp/fa>"
    assert line("fcntl", 0, 0, 3, style=PATHS, opened=OPEN, result=3) == "fcntl(0</dev/null>, F_DUPFD, 3) = 3</tmp/fa>"
    ends = Filled(struct.pack("<ii", 5, 6))
    assert line("pipe", ends, style=PATHS, opened=OPEN) == "pipe([5<pipe:[123]>, 6<anon_inode:[eventfd]>]) = 0"


def test_the_current_directory() -> None:
    for deleted, shown in ((False, "/tmp/d"), (True, "/tmp/d (deleted)")):
        call, _ = call_of("openat", AT_FDCWD, X, 0, style=PATHS)
        call.t.fs = SimpleNamespace(cwd=place(b"tmp", b"d", deleted=deleted))  # type: ignore[assignment]
        assert call.plan.entry(call)[0] == f"AT_FDCWD<{shown}>"


def test_escapes_within_angle_brackets() -> None:
    assert escaped(b"<1") == "\\0741"
    assert escaped(b">a") == "\\76a"
    assert escaped(b"<a", "all") == "\\x3c\\x61"


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("fsync", (3,), True),
        ("fsync", (4,), False),
        ("fsync", (77,), False),
        ("dup2", (4, 3), True),
        ("open", (b"/tmp/fa\0", 0), True),
        ("open", (b"fa\0", 0), False),
        ("open", (0, 0), False),
        ("open", (1, 0), False),
        ("openat", (3, b"x\0", 0), True),
        ("symlink", (b"/tmp/fa\0", b"x\0"), True),
        ("rename", (b"x\0", b"/tmp/fa\0"), True),
        ("mount", (b"/tmp/fa\0", b"x\0", 0, 0, 0), True),
        ("mmap", (0, 4096, 1, 1, 3, 0), True),
        ("mmap", (0, 4096, 1, 0x22, -1, 0), False),
        ("getpid", (), False),
        ("poll", (P(struct.pack("<ihhihh", 4, 1, 0, 3, 1, 0)), 2, 0), True),
        ("poll", (P(struct.pack("<ihhihh", 4, 1, 0, 3, 1, 0)), 1, 0), False),
        ("poll", (1, 1 << 40, 0), False),
        ("select", (4, 0, P(struct.pack("<Q", 8)), 0, 0), True),
        ("select", (3, 0, P(struct.pack("<Q", 8)), 0, 0), False),
        ("select", (-1, 1, 1, 1, 0), False),
    ],
    ids=lambda value: str(value)[:30],
)
def test_calls_about_a_path(name: str, args: tuple[Any, ...], expected: bool) -> None:
    call, _ = call_of(name, *args, opened=OPEN)
    assert paths.matches(call, frozenset({b"/tmp/fa"})) is expected


def dumped(name: str, *args: int | bytes, result: int = 0) -> list[str]:
    call, _ = call_of(name, *args)
    call.result = result
    return dump.lines(call, range(100), range(100))


HELLO = " | 00000  68 65 6c 6c 6f                                    hello            |"


def test_dumps() -> None:
    assert dumped("write", 3, b"hello", 5) == [HELLO]
    assert dumped("write", 77, b"hello", 5, result=-9) == [HELLO]
    assert dumped("write", 3, b"", 0) == []
    assert dumped("write", 3, 5, 5) == []
    assert dumped("read", 3, b"hello", 200, result=5) == [HELLO]
    assert dumped("read", 3, b"hello", 200) == []
    assert dumped("read", 3, b"hello", 200, result=-9) == []
    assert dumped("pread64", 3, bytes(range(0x70, 0x84)), 99, 0, result=20) == [
        " | 00000  70 71 72 73 74 75 76 77  78 79 7a 7b 7c 7d 7e 7f  pqrstuvwxyz{|}~. |",
        " | 00010  80 81 82 83                                       ....             |",
    ]
    assert dumped("getrandom", b"hello", 5, 0, result=5) == []


def test_dumps_of_vectors() -> None:
    vector = P(iovec((BASE + 0x100, 5), (BASE + 0x100, 0), (BASE + 0x100, 3)))
    three = " | 00000  68 65 6c                                          hel              |"
    assert dumped("writev", 3, vector, 3, b"hello", result=8) == [
        " * 5 bytes in buffer 0", HELLO, " * 3 bytes in buffer 2", three,
    ]  # fmt: skip
    assert dumped("readv", 3, vector, 3, b"hello", result=3) == [" * 3 bytes in buffer 0", three]
    assert dumped("vmsplice", 5, vector, 1, b"hello", result=5) == [" * 5 bytes in buffer 0", HELLO]
    message = P(struct.pack("<16xQQ", BASE + 0x100, 1))
    assert dumped("sendmsg", 3, message, P(iovec((BASE + 0x200, 5))), b"hello") == [" * 5 bytes in buffer 0", HELLO]


def test_only_the_descriptors_asked_for() -> None:
    call, _ = call_of("write", 3, b"hello", 5)
    assert dump.lines(call, {3}, {4}) == []
    assert dump.lines(call, (), {3}) == [HELLO]


FAMILIES = """
    open openat openat2 creat close_range read write pread64 readv writev preadv2 pwritev2 lseek fallocate fadvise64
    flock dup3 stat statx newfstatat access faccessat2 utimensat utime utimes readlink statfs umask getdents64 getdents
    mkdir mknod mknodat linkat renameat2 unlinkat getcwd mount umount2 setxattr getxattr listxattr sendfile splice
    copy_file_range vmsplice fcntl pipe2 eventfd2
"""


@pytest.mark.parametrize("name", [*FAMILIES.split(), "ioctl"])
def test_nothing_a_program_does_breaks_a_formatter(name: str) -> None:
    """Random numbers, pointers and memory, in all styles: a text comes out, and little memory is read."""
    from linuxemu.trace.formats.ioctls import BOTH, EARLY, LATE

    rng = random.Random(name)
    requests = [*EARLY, *LATE, *BOTH]
    odd = [0, 1, 2, 7, 77, 1 << 31, (1 << 32) - 1, 1 << 47, (1 << 64) - 1, (1 << 64) - 4096, BASE, BASE + 4 * PAGE - 7]
    for round_ in range(150 if name == "ioctl" else 40):
        args = [rng.choice([*odd, BASE + rng.randrange(4 * PAGE), rng.getrandbits(64)]) for _ in range(6)]
        if name == "ioctl":
            args[1] = rng.choice(requests)
        if name == "fcntl":
            args[1] = rng.choice([*range(18), *range(36, 39), *range(1024, 1039)])
        style = Style(constants=rng.choice(("abbrev", "raw", "verbose")), fds=frozenset({"path", "dev"}))
        call, _ = call_of(name, *args, style=style, opened=OPEN, abbrev=round_ % 2 == 0, verbose=round_ % 9 != 0)
        call.t.fs = SimpleNamespace(cwd=place(b"tmp"))  # type: ignore[assignment]
        call.mem.data[:] = rng.choice((rng.randbytes(4 * PAGE), bytes(4 * PAGE), b"\xff" * 4 * PAGE))  # type: ignore[attr-defined]
        parts = call.plan.entry(call)
        call.result = rng.choice((0, 5, -9, 1 << 40, 4096))
        parts += call.plan.exit(call)
        assert all(isinstance(part, str) for part in parts)
        dump.lines(call, range(100), range(100))
        paths.matches(call, frozenset({b"/tmp/fa"}))


def test_a_page_that_is_not_there_yet_is_asked_for() -> None:
    call, _ = call_of(X86_64["write"], 3, 0x7000_0000, 5)
    call.unreadable = None
    with pytest.raises(NotResident):
        call.plan.entry(call)
    assert isinstance(call, Call)
