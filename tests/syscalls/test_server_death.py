"""Servers die at every single message of a program, before and after serving it: the program notices nothing."""

from __future__ import annotations

import shutil
import struct
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.inject import Injector
from linuxemu.servers.fs.hostfs import HostFs
from linuxemu.servers.fs.memfs import MemFs
from syscalls.abi.flags import (
    MAP_SHARED,
    MS_SYNC,
    O_APPEND,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_RDWR,
    O_TMPFILE,
    PROT_READ,
    PROT_WRITE,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    S_IFIFO,
    S_IFREG,
)
from syscalls.vfs.mount import Path as Place
from syscalls.vfs.rpcfs import file_system_of
from tests.syscalls.machine_rig import SCRATCH, MachineRig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BUFFER = SCRATCH + 0x4_0000
FILES = "fs.*@/,fsx.*@/"
NEVER = 1 << 29
AT_FDCWD = -100 & 0xFFFF_FFFF_FFFF_FFFF


class Program:
    """Makes system calls and notes what came of them."""

    def __init__(self, rig: MachineRig) -> None:
        self.rig = rig
        self.t = rig.init
        self.notes: list[Any] = []

    def call(self, name: str, *arguments: int | bytes) -> int:
        """A system call; bytes are a path or data."""
        numbers = [self.rig.put(self.t, a + b"\0") if isinstance(a, bytes) else a for a in arguments]
        result = self.rig.call(self.t, name, *numbers)
        self.notes.append((name, result))
        return result

    def read(self, name: str, length: int, *arguments: int) -> bytes:
        """What a call puts into a buffer, which is its second argument."""
        self.rig.poke(self.t, BUFFER, bytes(length))
        result = self.call(name, arguments[0], BUFFER, length, *arguments[1:])
        data = self.rig.peek(self.t, BUFFER, max(result, 0)) or b""
        self.notes.append(data)
        return data

    def stat(self, path: bytes) -> None:
        """Mode, links, owner and size of a file."""
        self.call("lstat", path, BUFFER)
        data = self.rig.peek(self.t, BUFFER, 144) or b""
        self.notes.append(struct.unpack_from("<QIII", data, 16) + struct.unpack_from("<q", data, 48))


def names(program: Program) -> None:
    """Every change of names, successful and not."""
    call = program.call
    call("mkdir", b"/d", 0o755)
    call("mkdir", b"/d", 0o755)
    call("mkdir", b"/d/e", 0o700)
    call("close", call("open", b"/d/f", O_CREAT | O_EXCL | O_RDWR, 0o644))
    call("mknod", b"/d/fifo", S_IFIFO | 0o600, 0)
    call("mknod", b"/d/g", S_IFREG | 0o640, 0)
    call("symlink", b"f", b"/d/s")
    program.read("readlink", 16, program.rig.put(program.t, b"/d/s\0"))
    call("link", b"/d/f", b"/d/h")
    call("link", b"/d/f", b"/d/h")
    call("rename", b"/d/h", b"/d/i")
    call("rename", b"/d/h", b"/d/j")
    call("renameat2", AT_FDCWD, b"/d/i", AT_FDCWD, b"/d/g", RENAME_NOREPLACE)
    call("renameat2", AT_FDCWD, b"/d/i", AT_FDCWD, b"/d/k", RENAME_NOREPLACE)
    call("renameat2", AT_FDCWD, b"/d/f", AT_FDCWD, b"/d/g", RENAME_EXCHANGE)
    call("rename", b"/d/g", b"/d/f")
    call("unlink", b"/d/fifo")
    call("unlink", b"/d/fifo")
    call("rmdir", b"/d")
    call("rmdir", b"/d/e")
    call("mkdir", b"/d/e", 0o711)
    call("chmod", b"/d/f", 0o604)
    call("truncate", b"/d/f", 7)
    call("statfs", b"/", BUFFER)
    for path in (b"/d", b"/d/e", b"/d/f", b"/d/g", b"/d/k", b"/d/s"):
        program.stat(path)


def contents(program: Program) -> None:
    """Reading and writing, files without a name too."""
    call = program.call
    fd = call("open", b"/file", O_CREAT | O_RDWR, 0o644)
    for number in range(3):
        call("write", fd, b"line %d;" % number, 7)
    call("pwrite64", fd, b"xx", 2, 4)
    program.read("pread64", 40, fd, 0)
    call("lseek", fd, 0, 2)
    call("fallocate", fd, 0, 0, 30)
    call("ftruncate", fd, 25)
    call("fsync", fd)
    second = call("open", b"/file", O_RDWR | O_APPEND, 0)
    call("write", second, b"appended", 8)
    call("write", second, b"again", 5)
    call("rename", b"/file", b"/other")
    call("unlink", b"/other")
    call("write", second, b"nameless", 8)
    program.read("pread64", 80, fd, 0)
    call("fstat", fd, BUFFER)
    call("close", fd)
    call("lseek", second, 0, 0)
    program.read("read", 80, second)
    call("close", second)


def unnamed(program: Program) -> None:
    """A file that never has a name."""
    call = program.call
    fd = call("open", b"/", O_TMPFILE | O_RDWR, 0o600)
    call("write", fd, b"temporary", 9)
    program.read("pread64", 20, fd, 0)
    call("close", fd)


def mapping(program: Program) -> None:
    """A shared mapping: its pages come from the server and go back."""
    call, rig = program.call, program.rig
    fd = call("open", b"/mapped", O_CREAT | O_RDWR, 0o644)
    call("write", fd, b"before", 6)
    call("ftruncate", fd, 0x5000)
    area = call("mmap", 0, 0x5000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
    program.notes.append(rig.peek(program.t, area, 6))
    rig.poke(program.t, area + 0x3000, b"stored")
    call("msync", area, 0x5000, MS_SYNC)
    rig.poke(program.t, area + 0x4000, b"later")
    program.read("pread64", 6, fd, 0x3000)
    call("munmap", area, 0x5000)
    program.read("pread64", 5, fd, 0x4000)
    call("close", fd)


def directory(program: Program) -> None:
    """Reading a directory in small pieces while entries go: none twice, none lost."""
    call = program.call
    call("mkdir", b"/many", 0o755)
    for number in range(12):
        call("close", call("open", b"/many/%02d" % number, O_CREAT, 0o644))
    fd = call("open", b"/many", O_DIRECTORY, 0)
    found: list[bytes] = []
    while True:
        size = program.rig.call(program.t, "getdents64", fd, BUFFER, 100)
        assert size >= 0
        if not size:
            break
        data = program.rig.peek(program.t, BUFFER, size) or b""
        at = 0
        while at < size:
            length = struct.unpack_from("<H", data, at + 16)[0]
            name = data[at + 19 : at + length].partition(b"\0")[0]
            if name[:1] != b".":
                found.append(name)
                call("unlink", b"/many/" + name)
            at += length
    program.notes.append(sorted(found))
    call("close", fd)
    call("rmdir", b"/many")


PROGRAMS: dict[str, Callable[[Program], None]] = {
    "names": names,
    "contents": contents,
    "mapping": mapping,
    "directory": directory,
    "unnamed": unnamed,
}


def overlay(rig: MachineRig) -> MemFs:
    return MemFs(lower=rig.add(MemFs(now_ns=rig.time_of_day), "lower"), now_ns=rig.time_of_day)


def host(path: Path) -> Callable[[MachineRig], HostFs]:
    def root(rig: MachineRig) -> HostFs:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return HostFs(str(path), writable=True)

    return root


class Outcome:
    """A run of a program, and what is left when it is over."""

    def __init__(self, program: str, *rules: str, root: Callable[[MachineRig], Any] | None = None) -> None:
        injector = Injector(rules)
        rig = MachineRig(wrap=injector, root=root)
        run = Program(rig)
        PROGRAMS[program](run)
        self.notes = run.notes
        self.injected = injector.report()
        rig.settle()
        rig.linux.shrink_caches()
        self.left = (len(rig.kernel.tasks), rig.kernel.frames.available + len(rig.linux.pool))
        self.activities = rig.kernel.activity_count()
        rig.close()


@pytest.mark.parametrize("how", ["kill", "kill=after"])
@pytest.mark.parametrize(
    ("root", "program"),
    [
        (root, program)
        for root in ("memory", "overlay", "host")
        for program in PROGRAMS
        if (root, program) != ("host", "unnamed")  # a server of host files has no files without a name
    ],
)
def test_file_servers(root: str, program: str, how: str, tmp_path: Path) -> None:
    make = {"memory": None, "overlay": overlay, "host": host(tmp_path / "root")}[root]
    alone = Outcome(program, f"{FILES}:{how}:when={NEVER}", root=make)
    assert alone.injected[0].matched > 8
    for number in range(1, alone.injected[0].matched + 1):
        hit = Outcome(program, f"{FILES}:{how}:when={number}", root=make)
        assert hit.injected[0].fired == 1
        assert hit.notes == alone.notes, number
        assert (hit.left, hit.activities) == (alone.left, alone.activities), number


@pytest.mark.parametrize("how", ["kill", "kill=after"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_server_below_an_overlay(program: str, how: str) -> None:
    rule = "fs.*@lower,fsx.*@lower:{}:when={}"
    alone = Outcome(program, rule.format(how, NEVER), root=overlay)
    for number in range(1, alone.injected[0].matched + 1):
        hit = Outcome(program, rule.format(how, number), root=overlay)
        assert hit.notes == alone.notes, number


@pytest.mark.parametrize("messages", ["time.*,clock.*", "vm.*,vmx.*", "task.*"])
@pytest.mark.parametrize("how", ["kill", "kill=after"])
def test_other_servers(messages: str, how: str) -> None:
    alone = Outcome("contents", f"{messages}:{how}:when={NEVER}")
    assert alone.injected[0].matched
    for number in range(1, alone.injected[0].matched + 1):
        hit = Outcome("contents", f"{messages}:{how}:when={number}")
        assert hit.injected[0].fired == 1
        assert hit.notes == alone.notes
        assert (hit.left, hit.activities) == (alone.left, alone.activities), number


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("seed", range(4))
def test_deaths_in_a_row(program: str, seed: int) -> None:
    """Two in one request are no error yet; both file servers are hit."""
    alone = Outcome(program, root=overlay)
    rules = (f"fs.*,fsx.*:kill:when={5 + seed}+11", f"fs.*,fsx.*:kill=after:when={6 + seed}+13")
    assert Outcome(program, *rules, root=overlay).notes == alone.notes


def test_a_server_that_dies_three_times_in_a_request_is_an_error() -> None:
    rig = MachineRig(wrap=Injector(["fsx.mkdir:kill:when=1..3"]))
    path = rig.put(rig.init, b"/d\0")
    assert rig.errno(rig.init, "mkdir", path, 0o755) == "EIO"
    assert rig.call(rig.init, "mkdir", path, 0o755) == 0
    rig.close()


def test_a_server_that_is_not_started_again() -> None:
    class Mortal(MemFs):
        def successor(self) -> Any:
            return None

    rig = MachineRig(wrap=Injector(["fsx.mkdir:kill"]), root=lambda rig: Mortal())
    path = rig.put(rig.init, b"/d\0")
    for _ in range(3):
        assert rig.errno(rig.init, "mkdir", path, 0o755) == "EIO"
    rig.close()


def test_frames_granted_twice_are_the_same() -> None:
    """What a dead vm server gave away and nobody got is given again, so no frame is lost."""
    rig = MachineRig(wrap=Injector(["vmx.alloc_frames:kill=after:when=50%"]))
    before = rig.kernel.frames.available + len(rig.linux.pool)
    for _ in range(40):
        rig.run(rig.linux.refill_pool())
    assert len(set(rig.linux.pool)) == len(rig.linux.pool)
    assert rig.kernel.frames.available + len(rig.linux.pool) == before
    rig.close()


def test_the_clock_stays_set() -> None:
    rig = MachineRig(wrap=Injector(["clock.gettime:kill:when=3+2"]))
    rig.poke(rig.init, BUFFER, struct.pack("<qq", 5_000_000_000, 0))
    assert rig.call(rig.init, "clock_settime", 0, BUFFER) == 0
    for _ in range(4):
        assert rig.call(rig.init, "clock_gettime", 0, BUFFER) == 0
        assert struct.unpack("<qq", rig.peek(rig.init, BUFFER, 16) or b"")[0] == 5_000_000_000
    rig.close()


def test_reading_does_not_fail_for_want_of_an_access_time() -> None:
    rig = MachineRig(wrap=Injector(["clock.gettime:error=EIO", "fsx.setattr:error=EIO"]))
    program = Program(rig)
    fd = program.call("open", b"/f", O_CREAT | O_RDWR, 0o644)
    program.call("write", fd, b"data", 4)
    assert program.read("pread64", 9, fd, 0) == b"data"
    rig.close()


class SeedOnly(MemFs):
    """A server of the seed's six messages."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for message in [message for message in self.table if message.NAME.startswith("fsx.")]:  # type: ignore[attr-defined]
            del self.table[message]

    def successor(self) -> SeedOnly:
        return SeedOnly(storage=self._store)


def by_path(rig: MachineRig) -> list[Any]:
    """What can be done with such a server."""
    linux, t = rig.linux, rig.init
    fs = rig.run(file_system_of(linux.port, rig.add(SeedOnly(), "/seed"), "seed", 99))
    root = rig.run(fs.root())
    made = rig.run(root.mknod(t, b"f", S_IFREG | 0o644, 0, 0, 0))
    file = rig.run(made.open_regular(t, O_RDWR, Place(rig.root.mount, rig.root.dentry)))
    notes = [rig.run(file.pwrite(t, b"contents", 0)), rig.run(file.pread(t, 99, 0))]
    rig.run(file.fsync(t, False))
    notes += [rig.run(made.getattr(t)).size, rig.run(root.lookup(t, b"f")) is made]
    rig.run(file.release())
    return notes


@pytest.mark.parametrize("how", ["kill", "kill=after"])
def test_a_server_of_whole_paths(how: str) -> None:
    injector = Injector([f"fs.*@/seed:{how}:when={NEVER}"])
    alone = by_path(MachineRig(wrap=injector))
    assert alone == [8, b"contents", 8, True]
    count = injector.report()[0].matched
    assert count >= 8
    for number in range(1, count + 1):
        rig = MachineRig(wrap=Injector([f"fs.*@/seed:{how}:when={number}"]))
        assert by_path(rig) == alone, number
        rig.close()
