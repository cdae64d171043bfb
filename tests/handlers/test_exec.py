"""execve, execveat (man 2 execve, man 2 execveat)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.messages import entropy, fs, fsx
from linuxemu.testing import BAD, Guest, fresh_attr
from syscalls.abi.errno import (
    E2BIG,
    EACCES,
    EBADF,
    EFAULT,
    EINVAL,
    EIO,
    ELIBBAD,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOEXEC,
    ENOMEM,
    ENOTDIR,
    ETXTBSY,
)
from syscalls.abi.flags import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    MS_NOEXEC,
    MS_REMOUNT,
    O_CLOEXEC,
    O_DIRECTORY,
    O_PATH,
    O_RDONLY,
    O_WRONLY,
    RLIMIT_STACK,
    SIGKILL,
    SIGSEGV,
    SIGUSR1,
)
from syscalls.abi.structs import Rlimit
from tests.handlers.cases import NULL, SUCCESS, Edge, Out, fails, ok, open_file, proves
from tests.unit.loader_files import BASE, PT_INTERP, elf, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from linuxemu.testing import Call

USER: dict[str, Any] = {"user": (1000, 1000)}
ARGV, ENVP = ["name", "one"], ["NAME=value"]
FD = 3
_LONGEST = 131071


def _program(linker: bytes = b"", offset: int = 0x200, size: int = 0) -> bytes:
    """An ELF program; with the path of a dynamic linker one that asks for it."""
    if not linker:
        return elf(load())
    length = size or len(linker) + 1
    interp = load(type=PT_INTERP, offset=offset, filesz=length, memsz=length)
    return elf(interp, load(), data={0x200: linker + b"\0"})


def holds(data: bytes, mode: int = 0o755, path: str = "/p") -> Callable[[Guest], None]:
    """A setup with a file."""
    return lambda guest: guest.files.write(path, data, mode=mode)


def _program_and(data: bytes) -> Callable[[Guest], None]:
    """A setup with a program whose dynamic linker, or a script whose interpreter, is this."""

    def setup(guest: Guest) -> None:
        guest.files.write("/p", _program(b"/linker"), mode=0o755)
        guest.files.write("/script", b"#!/linker\n", mode=0o755)
        guest.files.write("/linker", data, mode=0o755)

    return setup


def _writing(path: str) -> Callable[[Guest], None]:
    def setup(guest: Guest) -> None:
        _program_and(_program())(guest)
        open_file(guest, path, O_WRONLY)

    return setup


def _noexec(guest: Guest) -> None:
    holds(_program())(guest)
    guest.syscall.mount(0, "/", 0, MS_REMOUNT | MS_NOEXEC, 0)


def _scripts(guest: Guest) -> None:
    for number in range(1, 8):
        guest.files.write(f"/s{number}", b"#!/s%d\n" % (number - 1), mode=0o755)
    guest.files.write("/s0", _program(), mode=0o755)


def _closed(guest: Guest) -> None:
    guest.files.mkdir("/closed", mode=0o700)
    guest.files.write("/closed/p", _program(), mode=0o755)


def _in_directory(guest: Guest) -> None:
    guest.files.write("/dir/p", _program(), mode=0o755)
    guest.files.symlink("p", "/dir/link")
    open_file(guest, "/dir", O_RDONLY | O_DIRECTORY)


def _opened(flags: int = O_PATH) -> Callable[[Guest], None]:
    def setup(guest: Guest) -> None:
        holds(_program())(guest)
        open_file(guest, "/p", flags)

    return setup


def _small_stack(guest: Guest) -> None:
    holds(_program())(guest)
    guest.syscall.setrlimit(RLIMIT_STACK, Rlimit(4096, 4096))


def _runs(guest: Guest, call: Call) -> None:
    assert (guest.main.regs.rip, guest.main.t.process.did_exec) == (BASE, True)


def _arguments(guest: Guest, call: Call) -> None:
    _runs(guest, call)
    mm = guest.main.t.mm
    assert guest.read(mm.arg_start, mm.arg_end - mm.arg_start) == b"name\0one\0"
    assert guest.read(mm.env_start, mm.env_end - mm.env_start) == b"NAME=value\0"


def _script_arguments(guest: Guest, call: Call) -> None:
    _runs(guest, call)
    mm = guest.main.t.mm
    assert guest.read(mm.arg_start, mm.arg_end - mm.arg_start) == b"/linker\0/script\0one\0"


def _goes_on(guest: Guest, call: Call) -> None:
    """The old program, and what was opened for the new one is closed."""
    assert not guest.main.t.process.did_exec
    assert guest.syscall.getpid() == guest.main.pid


OPENED = ["fsx.lookup", "fsx.getattr", "fsx.open"]
REFUSED = [*OPENED, "fs.read", "fs.close"]
PARSED = ["fs.read", "fsx.getattr", "fs.read", "fs.read", "fsx.getattr"]
"""The head of an unknown file, its size, its ELF header, the program headers; then the version of its pages."""
STARTED = ["fsx.getattr", "entropy.read"]
RUN = [*OPENED, *PARSED, *STARTED]
LOOKED_AT = ["fsx.lookup", "fsx.getattr"]

CASES = [
    ok("execve", "/p", ARGV, ENVP, setup=holds(_program()), returns=0, rpcs=RUN, check=_arguments),
    ok("execve", "/p", NULL, NULL, setup=holds(_program()), returns=0, rpcs=RUN, check=_runs, label="no arguments"),
    ok("execve", "/script", ARGV, ENVP, setup=_program_and(_program()), returns=0,
       rpcs=[*REFUSED, *RUN], check=_script_arguments, label="a script"),
    ok("execve", "/p", ARGV, ENVP, setup=_program_and(_program()), returns=0, label="a dynamic program",
       rpcs=[*OPENED, *PARSED[:4], "fs.read", "fsx.getattr", *OPENED, *PARSED, *STARTED]),
    ok("execve", "/p", ["x" * _LONGEST], NULL, setup=holds(_program()), returns=0,
       rpcs=[*RUN, "vmx.alloc_frames"], label="longest string"),
    fails("execve", E2BIG, "/p", ["x" * (_LONGEST + 1)], ENVP, setup=holds(_program()), rpcs=[*OPENED, "fs.close"],
          label="longer argument"),
    fails("execve", E2BIG, "/p", ARGV, ["x" * (_LONGEST + 1)], setup=holds(_program()), label="longer variable"),
    fails("execve", E2BIG, "/p", [_long := "y" * 100_000] * 30, [_long] * 30, setup=holds(_program()), label="all"),
    fails("execve", E2BIG, "/p", ["z" * 5000], ENVP, setup=_small_stack, check=_goes_on, label="RLIMIT_STACK"),
    fails("execve", EACCES, "/file", ARGV, ENVP, rpcs=LOOKED_AT, label="mode"),
    fails("execve", EACCES, "/dir", ARGV, ENVP, rpcs=LOOKED_AT, label="a directory"),
    fails("execve", EACCES, "/fifo", ARGV, ENVP, rpcs=LOOKED_AT, label="a fifo"),
    fails("execve", EACCES, "/p", ARGV, ENVP, setup=_noexec, rpcs=LOOKED_AT, label="noexec"),
    fails("execve", EACCES, "/p", ARGV, ENVP, setup=holds(_program(), 0o700), label="of root", **USER),
    fails("execve", EACCES, "/closed/p", ARGV, ENVP, setup=_closed, label="search", **USER),
    fails("execve", EACCES, "/p", ARGV, ENVP, setup=holds(_program(b"/file")), label="linker without mode"),
    fails("execve", EACCES, "/file", BAD, BAD, rpcs=LOOKED_AT, label="before the arguments"),
    fails("execve", EFAULT, "/p", [BAD], ENVP, setup=holds(_program()), rpcs=[*OPENED, "fs.close"], label="argument"),
    fails("execve", EFAULT, "/p", ARGV, [BAD], setup=holds(_program()), label="variable"),
    fails("execve", EFAULT, "/p", Edge(bytes([0, 0, 0, 0x20, 0, 0, 0, 0])), ENVP, setup=holds(_program()),
          label="argv without an end"),
    fails("execve", EINVAL, "/p", ARGV, ENVP, setup=holds(_program(b"/linker", 1 << 63)), check=_goes_on,
          label="linker's path before the file"),
    fails("execve", EIO, "/p", ARGV, ENVP, setup=holds(_program(b"/linker", 0x10000)), label="or behind it"),
    fails("execve", EIO, "/p", ARGV, ENVP, setup=_program_and(b"\x7fELF"), check=_goes_on, label="short linker"),
    fails("execve", ELIBBAD, "/p", ARGV, ENVP, setup=_program_and(b"no program" * 10), check=_goes_on),
    fails("execve", ELOOP, "/loop", ARGV, ENVP),
    fails("execve", ELOOP, "/s7", ARGV, ENVP, setup=_scripts, check=_goes_on, label="scripts of scripts"),
    fails("execve", ENAMETOOLONG, "/" + "x" * 256, ARGV, ENVP, rpcs=[]),
    fails("execve", ENAMETOOLONG, "/x" * 2050, BAD, BAD, rpcs=[], label="the whole path"),
    fails("execve", ENOENT, "/none", BAD, BAD, rpcs=["fsx.lookup"]),
    fails("execve", ENOENT, "", ARGV, ENVP, rpcs=[], label="empty path"),
    fails("execve", ENOENT, "/program", ARGV, ENVP, rpcs=[*REFUSED, "fsx.lookup"], label="interpreter"),
    fails("execve", ENOENT, "/p", ARGV, ENVP, setup=holds(_program(b"/none")), label="linker"),
    fails("execve", ENOEXEC, "/p", ARGV, ENVP, setup=holds(b"text"), rpcs=[*OPENED, *PARSED[:3], "fs.close"],
          check=_goes_on),
    fails("execve", ENOEXEC, "/p", ARGV, ENVP, setup=holds(elf(load(), machine=40)), label="another machine"),
    fails("execve", ENOEXEC, "/p", ARGV, ENVP, setup=holds(elf(load(), phnum=0)), label="no segments"),
    fails("execve", ENOEXEC, "/p", ARGV, ENVP, setup=holds(b"#!\n"), rpcs=REFUSED, label="script of nothing"),
    fails("execve", ENOTDIR, "/file/x", ARGV, ENVP, rpcs=["fsx.lookup"]),
    fails("execve", ETXTBSY, "/p", ARGV, ENVP, setup=_writing("/p"), rpcs=LOOKED_AT),
    fails("execve", ETXTBSY, "/p", ARGV, ENVP, setup=_writing("/linker"), check=_goes_on, label="linker"),
    ok("execveat", AT_FDCWD, "/p", ARGV, ENVP, 0, setup=holds(_program()), returns=0, rpcs=RUN, check=_arguments),
    ok("execveat", FD, "p", ARGV, ENVP, 0, setup=_in_directory, returns=0, rpcs=RUN, check=_runs, label="relative"),
    ok("execveat", FD, "", ARGV, ENVP, AT_EMPTY_PATH, setup=_opened(), returns=0, rpcs=RUN[1:], check=_runs,
       label="a descriptor"),
    ok("execveat", 99, "/p", ARGV, ENVP, 0, setup=holds(_program()), returns=0, rpcs=RUN,
       label="the descriptor of an absolute path does not count"),
    fails("execveat", EINVAL, AT_FDCWD, "/p", ARGV, ENVP, 2, setup=holds(_program()), rpcs=[]),
    fails("execveat", EFAULT, AT_FDCWD, BAD, ARGV, ENVP, 2, rpcs=[], label="before EINVAL"),
    fails("execveat", EINVAL, AT_FDCWD, "/p", ARGV, ENVP, 0, setup=holds(_program(b"/linker", 1 << 63)),
          label="linker's path"),
    fails("execveat", EBADF, 99, "p", BAD, BAD, 0, rpcs=[]),
    fails("execveat", EBADF, 99, "", ARGV, ENVP, AT_EMPTY_PATH, rpcs=[], label="empty path"),
    fails("execveat", ENOTDIR, FD, "p", ARGV, ENVP, 0, setup=_opened(), rpcs=[]),
    fails("execveat", ENOENT, AT_FDCWD, "", ARGV, ENVP, 0, rpcs=[]),
    fails("execveat", ENOENT, AT_FDCWD, "/none", ARGV, ENVP, 0, rpcs=["fsx.lookup"], label="none"),
    fails("execveat", ELOOP, FD, "link", ARGV, ENVP, AT_SYMLINK_NOFOLLOW, setup=_in_directory, rpcs=LOOKED_AT),
    fails("execveat", EACCES, AT_FDCWD, "", ARGV, ENVP, AT_EMPTY_PATH, rpcs=["fsx.getattr"], label="the directory"),
    fails("execveat", ENAMETOOLONG, AT_FDCWD, "x" * 256, ARGV, ENVP, 0, rpcs=[]),
    fails("execveat", E2BIG, AT_FDCWD, "/p", ["x" * (_LONGEST + 1)], ENVP, 0, setup=holds(_program())),
    fails("execveat", ENOEXEC, AT_FDCWD, "/p", ARGV, ENVP, 0, setup=holds(b"text")),
    fails("execveat", ELIBBAD, AT_FDCWD, "/p", ARGV, ENVP, 0, setup=_program_and(b"no program" * 10)),
    fails("execveat", ETXTBSY, AT_FDCWD, "/p", ARGV, ENVP, 0, setup=_writing("/p")),
]  # fmt: skip


def _without_memory(guest: Guest, name: str, *args: Any) -> None:
    """Make a call when every frame is in use; its arguments lie in pages that were touched."""
    guest.files.write("/p", _program(), mode=0o755)
    guest.start.getcwd(Out(8192), 8192)
    frames = guest.linux.port.frames
    while frames.available:
        frames.alloc()
    assert getattr(guest.start, name)(*args).errno == ENOMEM
    assert not guest.main.t.process.did_exec


@pytest.mark.linuxemu(root="memfs")
@proves("execve", ENOMEM)
def test_without_memory_for_page_tables_the_old_program_goes_on(guest: Guest) -> None:
    _without_memory(guest, "execve", "/p", ARGV, ENVP)


@pytest.mark.linuxemu(root="memfs")
@proves("execveat", ENOMEM)
def test_without_memory_for_page_tables_execveat_fails_too(guest: Guest) -> None:
    _without_memory(guest, "execveat", AT_FDCWD, "/p", ARGV, ENVP, 0)


@pytest.mark.linuxemu(root="fsx")
@proves("execve", EIO, rpcs=REFUSED)
def test_the_file_is_closed_when_it_cannot_be_read(guest: Guest) -> None:
    attr = fresh_attr(ino=7, mode=0o100755, size=100)
    guest.fs.expect(fsx.Lookup(parent=1, name=b"p")).reply(**attr)
    guest.fs.expect(fsx.Getattr(ino=7)).reply(**attr)
    guest.fs.expect(fsx.Open(ino=7, flags=O_RDONLY)).reply(handle=5)
    guest.fs.expect(fs.Read(handle=5, offset=0, len=4096)).error(EIO)
    guest.fs.expect(fs.Close(handle=5))
    assert guest.start.execve("/p", ARGV, ENVP).errno == EIO


@pytest.mark.linuxemu(root="memfs")
def test_linker_and_program_are_closed_when_a_script_has_too_many_arguments(guest: Guest) -> None:
    _program_and(_program())(guest)
    guest.files.write("/long", b"#!/p " + b"x" * 200 + b"\n", mode=0o755)
    limit = 32 * 4096
    guest.syscall.setrlimit(RLIMIT_STACK, Rlimit(limit, limit))
    fits = limit - 8 * 2 - len("/long\0") - 2
    guest.rpc.clear()
    assert guest.start.execve("/long", ["", "x" * fits], NULL).errno == E2BIG
    opened = [name for name in guest.rpc.log.names() if name in ("fsx.open", "fs.close")]
    assert opened == ["fsx.open", "fs.close", "fsx.open", "fsx.open", "fs.close", "fs.close"]


@pytest.mark.linuxemu(root="memfs")
@proves("execve", SUCCESS)
def test_a_program_that_cannot_be_mapped_ends_the_process(guest: Guest) -> None:
    guest.files.write("/p", elf(load(filesz=0x200, memsz=0x100)), mode=0o755)
    assert guest.start.execve("/p", ARGV, ENVP).gone
    assert guest.main.signal == SIGSEGV


@pytest.mark.linuxemu(root="memfs")
def test_a_failing_server_behind_the_point_of_no_return_ends_the_process(guest: Guest) -> None:
    guest.files.write("/p", _program(), mode=0o755)
    guest.random.expect(entropy.Read).error(EIO)
    assert guest.start.execve("/p", ARGV, ENVP).gone
    assert guest.main.signal == SIGKILL


@pytest.mark.linuxemu(root="memfs")
@proves("execve", SUCCESS)
def test_handlers_marked_descriptors_and_threads_do_not_survive(guest: Guest) -> None:
    guest.files.write("/p", _program(), mode=0o755)
    marked, kept = open_file(guest, "/p", O_CLOEXEC), open_file(guest, "/p", O_RDONLY)
    guest.on_signal(SIGUSR1)
    thread = guest.thread()
    waiting = thread.start.pause()
    assert guest.syscall.execve("/p", ARGV, ENVP) == 0
    assert (waiting.gone, thread.gone) == (True, True)
    files = guest.main.t.files
    assert (marked in files, kept in files, guest.main.t.process.sighand.caught()) == (False, True, 0)


@pytest.mark.linuxemu(root="memfs")
@proves("execveat", EIO)
def test_execveat_fails_with_the_file_server(guest: Guest) -> None:
    guest.fs.expect(fsx.Lookup).error(EIO)
    assert guest.start.execveat(AT_FDCWD, "/p", ARGV, ENVP, 0).errno == EIO
