"""execve and execveat: what they refuse, in Linux's order, and what a new program finds."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.errors import RpcError
from linuxemu.idl.codes import ERR_NO_MEMORY
from syscalls.abi.flags import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    MS_NOEXEC,
    MS_NOSUID,
    MS_REMOUNT,
    O_CLOEXEC,
    RLIM_INFINITY,
    RLIMIT_STACK,
    SIG_DFL,
    SIG_IGN,
    SIGKILL,
    SIGSEGV,
)
from syscalls.objects.siginfo import SigAction
from syscalls.objects.task import NO_ALTSTACK, AltStack
from tests.syscalls.machine_rig import SCRATCH, MachineRig
from tests.syscalls.twin import GuestTwin, Native, Twin, show
from tests.unit.loader_files import BASE, CODE, EXIT, PT_GNU_STACK, PT_INTERP, R, W, X, elf, load, phdr

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 4096
O_RDWR, O_CREAT, O_PATH, O_DIRECTORY = 2, 0o100, 0o10000000, 0o200000
PROGRAM = elf(load())
SCENARIOS: list[Any] = []


def scenario(function: Any) -> Any:
    """To be run natively and in linuxemu."""
    SCENARIOS.append(function)
    return function


def put_file(os: Twin, name: bytes, data: bytes, mode: int = 0o755) -> None:
    fd = os.call("open", os.put(name + b"\0"), O_RDWR | O_CREAT, 0o600)
    assert fd >= 0, show(fd)
    if data:
        assert os.call("write", fd, os.put(data), len(data)) == len(data)
    os.call("fchmod", fd, mode)
    os.call("close", fd)


def vector(os: Twin, *words: bytes) -> int:
    pointers = [os.put(word + b"\0") for word in words]
    return os.put(struct.pack(f"<{len(pointers) + 1}Q", *pointers, 0))


def execve(os: Twin, name: bytes, argv: int | None = None, envp: int | None = None) -> str:
    arguments = vector(os, b"name") if argv is None else argv
    return show(os.call("execve", os.put(name + b"\0"), arguments, vector(os) if envp is None else envp))


def execveat(os: Twin, fd: int, name: bytes, flags: int) -> str:
    return show(os.call("execveat", fd, os.put(name + b"\0"), vector(os, b"name"), vector(os), flags))


# -- refusals -----------------------------------------------------------------------------------------


@scenario
def names(os: Twin) -> Any:
    put_file(os, b"plain", b"no program", 0o644)
    put_file(os, b"text", b"no program either")
    put_file(os, b"empty", b"")
    os.call("mkdir", os.put(b"dir\0"), 0o755)
    os.call("symlink", os.put(b"loop\0"), os.put(b"loop\0"))
    os.call("symlink", os.put(b"nowhere\0"), os.put(b"dangling\0"))
    os.call("symlink", os.put(b"text\0"), os.put(b"link\0"))
    os.call("mknod", os.put(b"fifo\0"), 0o010755, 0)
    return [
        execve(os, name)
        for name in (
            b"", b"missing", b"plain", b"text", b"empty", b"dir", b"dir/", b".", b"loop", b"dangling", b"link", b"fifo",
            b"text/x", b"missing/x", b"text/", b"x" * 256, b"x/" * 2047 + b"x", b"x/" * 2050, b"dir/../text",
        )
    ]  # fmt: skip


@scenario
def bad_pointers(os: Twin) -> Any:
    put_file(os, b"text", b"no program")
    name, bad = os.put(b"text\0"), 8
    good = vector(os, b"a")
    page = os.call("mmap", 0, 2 * PAGE, 3, 0x22, -1, 0)
    os.call("munmap", page + PAGE, PAGE)
    os.poke(page + PAGE - 4, b"text")
    edge = page + PAGE - 8
    os.poke(edge, struct.pack("<Q", good))
    unterminated = os.put(struct.pack("<QQ", page + PAGE - 4, 0))
    return [
        show(os.call("execve", *call))
        for call in (
            (bad, good, good), (page + PAGE - 4, good, good), (name, bad, good), (name, good, bad), (name, edge, good),
            (name, os.put(struct.pack("<QQ", bad, 0)), good), (name, unterminated, good), (name, 0, 0), (0, 0, 0),
        )
    ]  # fmt: skip


@scenario
def too_much(os: Twin) -> Any:
    put_file(os, b"text", b"no program")
    longest, longer = os.put(b"x" * 131071 + b"\0"), os.put(b"x" * 131072 + b"\0")
    small, one = os.put(b"y" * 1023 + b"\0"), vector(os, b"one")

    def many(pointer: int, count: int) -> int:
        return os.put(struct.pack(f"<{count + 1}Q", *[pointer] * count, 0))

    return [
        execve(os, b"text", many(longest, 1), one), execve(os, b"text", many(longer, 1), one),
        execve(os, b"text", one, many(longer, 1)), execve(os, b"text", many(small, 1900), one),
        execve(os, b"text", many(small, 2100), one), execve(os, b"text", one, many(small, 2100)),
        execve(os, b"text", many(small, 1100), many(small, 1100)), execve(os, b"text", many(os.put(b"\0"), 3000), one),
    ]  # fmt: skip


@scenario
def open_for_writing(os: Twin) -> Any:
    put_file(os, b"program", b"text")
    found = []
    for flags in (0, 1, 2, O_PATH):
        fd = os.call("open", os.put(b"program\0"), flags, 0)
        found.append(execve(os, b"program"))
        os.call("close", fd)
        found.append(execve(os, b"program"))
    return found


@scenario
def formats(os: Twin) -> Any:
    interp = load(type=PT_INTERP, offset=0x200, filesz=20, memsz=20)
    files = [
        b"\x7fELF", PROGRAM[:63], PROGRAM[:64], elf(load(), machine=40), elf(load(), type=1), elf(load(), phnum=0),
        elf(load(), phentsize=32), elf(interp, load(), data={0x200: b"/no/such/linker".ljust(20, b"\0")}),
        elf(interp, load(), data={0x200: b"x" * 20}), b"\0" * 100, b"#", b"#!",
    ]  # fmt: skip
    found = []
    for number, data in enumerate(files):
        put_file(os, b"f%d" % number, data)
        found.append(execve(os, b"f%d" % number))
    return found


@scenario
def scripts(os: Twin) -> Any:
    put_file(os, b"plain", b"text", 0o644)
    put_file(os, b"text", b"text")
    lines = [
        b"#!missing", b"#!plain", b"#!text", b"#! \t\n", b"#!\n", b"#!.", b"#!text/x", b"#!s1", b"#!" + b"x" * 300,
        b"#!" + b"x" * 253 + b"\n", b"#! " + b" " * 300, b"#!missing arg\n",
    ]  # fmt: skip
    found = []
    for number, data in enumerate(lines):
        put_file(os, b"s%d" % number, data)
        found.append(execve(os, b"s%d" % number))
    return found


@scenario
def scripts_of_scripts(os: Twin) -> Any:
    put_file(os, b"s0", b"text")
    for number in range(1, 9):
        put_file(os, b"s%d" % number, b"#!s%d\n" % (number - 1))
    put_file(os, b"self", b"#!self\n")
    return [execve(os, b"s%d" % number) for number in range(9)], execve(os, b"self")


@scenario
def relative_to_a_directory(os: Twin) -> Any:
    os.call("mkdir", os.put(b"dir\0"), 0o755)
    put_file(os, b"dir/text", b"text")
    os.call("symlink", os.put(b"text\0"), os.put(b"dir/link\0"))
    fds = [os.call("open", os.put(name), flags, 0) for name, flags in (
        (b"dir\0", O_DIRECTORY), (b"dir/text\0", 0), (b"dir/text\0", O_PATH), (b"dir/link\0", O_PATH | 0o400000)
    )]  # fmt: skip
    calls = [
        (fds[0], b"text", 0), (fds[0], b"link", 0), (fds[0], b"link", AT_SYMLINK_NOFOLLOW), (fds[0], b"missing", 0),
        (fds[1], b"text", 0), (fds[1], b"", 0), (fds[1], b"", AT_EMPTY_PATH), (fds[2], b"", AT_EMPTY_PATH),
        (fds[3], b"", AT_EMPTY_PATH), (fds[0], b"", AT_EMPTY_PATH), (999, b"text", 0), (999, b"", AT_EMPTY_PATH),
        (AT_FDCWD, b"dir/text", 0), (AT_FDCWD, b"", AT_EMPTY_PATH), (fds[0], b"text", 1), (fds[0], b"text", 0x200),
    ]  # fmt: skip
    return [execveat(os, *call) for call in calls]


@scenario
def without_rights(os: Twin) -> Any:
    """As a user who owns nothing: rights of the file, of its directory, and of the script's interpreter."""
    os.call("chmod", os.put(b".\0"), 0o755)
    for name, mode in ((b"none", 0o644), (b"root", 0o700), (b"all", 0o755), (b"unreadable", 0o711)):
        put_file(os, name, b"text", mode)
    os.call("mkdir", os.put(b"closed\0"), 0o700)
    put_file(os, b"closed/text", b"text")
    put_file(os, b"script", b"#!root\n")
    put_file(os, b"secret", b"#!all\n", 0o711)
    assert os.call("setresuid", 1234, 1234, 1234) == 0
    return [
        execve(os, name) for name in (b"none", b"root", b"all", b"unreadable", b"closed/text", b"script", b"secret")
    ]


@pytest.fixture(scope="module")
def native() -> Iterator[Native]:
    native = Native()
    yield native
    native.close()


@pytest.fixture
def rig() -> Iterator[MachineRig]:
    rig = MachineRig()
    yield rig
    rig.close()


@pytest.fixture
def os(rig: MachineRig) -> GuestTwin:
    return GuestTwin(rig)


@pytest.mark.native
@pytest.mark.parametrize("function", SCENARIOS, ids=lambda function: function.__name__)
def test_like_linux(function: Any, rig: MachineRig, native: Native) -> None:
    import os as host

    if function is without_rights and host.getuid():
        pytest.skip("needs root for the native run")
    assert function(GuestTwin(rig)) == native(function)


# -- what the new program finds -----------------------------------------------------------------------


class Started:
    """A program that execve has just started: its registers and its stack."""

    def __init__(self, rig: MachineRig, t: Any) -> None:
        self.rig, self.t = rig, t
        self.frame = rig.cpu.frame(rig.kernel.tasks[t.ktask].state)
        assert self.frame.rsp % 16 == 0
        data = rig.run(t.mem.read_some(self.frame.rsp, 4096))
        words = [word for (word,) in struct.iter_unpack("<Q", data[: len(data) & -8])]
        self.argc = words[0]
        assert words[self.argc + 1] == 0
        self.argv = [self.string(p) for p in words[1 : self.argc + 1]]
        rest = words[self.argc + 2 :]
        end = rest.index(0)
        self.envp = [self.string(p) for p in rest[:end]]
        pairs = rest[end + 1 :]
        self.aux = {}
        for kind, value in zip(pairs[::2], pairs[1::2], strict=False):
            self.aux[kind] = value
            if not kind:
                break

    def string(self, address: int) -> bytes:
        data: bytes = self.rig.run(self.t.mem.cstr(address, 1 << 17))
        return data


def run_program(rig: MachineRig, name: bytes, *argv: bytes, envp: tuple[bytes, ...] = (), t: Any = None) -> Started:
    os = GuestTwin(rig)
    os.t = t or rig.init
    result = os.call("execve", os.put(name + b"\0"), vector(os, *argv), vector(os, *envp))
    assert result == 0, show(result)
    return Started(rig, os.t)


AT_PHDR, AT_PHNUM, AT_PAGESZ, AT_BASE, AT_ENTRY, AT_UID, AT_EUID, AT_SECURE, AT_RANDOM, AT_EXECFN = (
    3, 5, 6, 7, 9, 11, 12, 23, 25, 31,
)  # fmt: skip


def test_new_program(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    old, process = rig.init.mm, rig.init.process
    frames = rig.kernel.frames.available
    started = run_program(rig, b"/program", b"zero", b"one", b"", envp=(b"A=1", b"B="))
    assert (started.frame.rip, started.frame.rflags) == (BASE, 0x202)
    assert not any(started.frame._replace(rip=0, rflags=0, rsp=0))
    assert (started.argv, started.envp) == ([b"zero", b"one", b""], [b"A=1", b"B="])
    assert (started.aux[AT_ENTRY], started.aux[AT_PHNUM], started.aux[AT_PAGESZ]) == (BASE, 1, PAGE)
    assert (started.aux[AT_BASE], started.aux[AT_SECURE]) == (0, 0)
    assert started.string(started.aux[AT_EXECFN]) == b"/program"
    assert any(rig.peek(rig.init, started.aux[AT_RANDOM], 16) or b"")
    assert rig.peek(rig.init, BASE, len(EXIT)) == EXIT
    assert rig.peek(rig.init, SCRATCH, 1) is None
    assert rig.init.comm == b"program"
    assert rig.init.mm is not old
    assert old.vmas == []
    assert process.did_exec
    assert rig.kernel.frames.available + 80 > frames


def test_relative_names(rig: MachineRig, os: GuestTwin) -> None:
    os.call("mkdir", os.put(b"/dir\0"), 0o755)
    put_file(os, b"/dir/program", PROGRAM)
    os.call("chdir", os.put(b"/dir\0"))
    started = run_program(rig, b"./program", b"x")
    assert started.string(started.aux[AT_EXECFN]) == b"./program"
    assert rig.init.comm == b"program"


def test_long_names_are_cut(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/a_program_with_a_long_name", PROGRAM)
    run_program(rig, b"/a_program_with_a_long_name", b"x")
    assert rig.init.comm == b"a_program_with_"


def test_no_arguments_at_all(rig: MachineRig, os: GuestTwin) -> None:
    """Linux gives a program that is started without any one empty argument."""
    put_file(os, b"/program", PROGRAM)
    assert show(os.call("execve", os.put(b"/program\0"), 0, 0)) == "0"
    started = Started(rig, rig.init)
    assert (started.argv, started.envp) == ([b""], [])


def test_script(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    put_file(os, b"/script", b"#! /program  some argument \nrest")
    started = run_program(rig, b"/script", b"zero", b"one")
    assert started.argv == [b"/program", b"some argument", b"/script", b"one"]
    assert started.string(started.aux[AT_EXECFN]) == b"/script"
    assert rig.init.comm == b"script"


def test_script_of_a_script(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    put_file(os, b"/inner", b"#!/program -i\n")
    put_file(os, b"/outer", b"#!/inner -o\n")
    assert run_program(rig, b"/outer", b"zero", b"one").argv == [
        b"/program", b"-i", b"/inner", b"-o", b"/outer", b"one",
    ]  # fmt: skip


def test_script_without_arguments(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    put_file(os, b"/script", b"#!/program\n")
    assert show(os.call("execve", os.put(b"/script\0"), 0, 0)) == "0"
    assert Started(rig, rig.init).argv == [b"/program", b"/script"]


def test_program_by_descriptor(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    fd = os.call("open", os.put(b"/program\0"), 0, 0)
    assert execveat(os, fd, b"", AT_EMPTY_PATH) == "0"
    started = Started(rig, rig.init)
    assert started.string(started.aux[AT_EXECFN]) == b"/dev/fd/%d" % fd


def test_program_relative_to_a_descriptor(rig: MachineRig, os: GuestTwin) -> None:
    os.call("mkdir", os.put(b"/dir\0"), 0o755)
    put_file(os, b"/dir/program", PROGRAM)
    fd = os.call("open", os.put(b"/dir\0"), O_DIRECTORY, 0)
    assert execveat(os, fd, b"program", 0) == "0"
    started = Started(rig, rig.init)
    assert started.string(started.aux[AT_EXECFN]) == b"/dev/fd/%d/program" % fd
    assert rig.init.comm == b"program"


def test_dynamic_linker(rig: MachineRig, os: GuestTwin) -> None:
    interp = load(type=PT_INTERP, offset=0x200, filesz=10, memsz=10, flags=R)
    put_file(os, b"/program", elf(interp, load(), data={0x200: b"/lib/link\0"}))
    os.call("mkdir", os.put(b"/lib\0"), 0o755)
    put_file(os, b"/lib/link", elf(load(vaddr=0), type=3, entry=0x10))
    started = run_program(rig, b"/program", b"x")
    base = started.aux[AT_BASE]
    assert base
    assert base % PAGE == 0
    assert started.frame.rip == base + 0x10
    assert started.aux[AT_ENTRY] == BASE
    assert rig.peek(rig.init, base, len(EXIT)) == EXIT
    exe = rig.init.process.exe
    assert exe is not None
    assert exe.dentry.name == b"program"


def test_position_independent_program(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", elf(load(vaddr=0), type=3, entry=4))
    started = run_program(rig, b"/program", b"x")
    assert started.frame.rip == started.aux[AT_ENTRY]
    assert started.frame.rip > 0x10000
    assert rig.peek(rig.init, started.frame.rip - 4, len(EXIT)) == EXIT


def test_data_and_bss(rig: MachineRig, os: GuestTwin) -> None:
    data = load(vaddr=0x60_0800, offset=0x2800, filesz=0x100, memsz=0x3000, flags=R | W)
    put_file(os, b"/program", elf(load(), data, data={0x2800: b"d" * 0x100, 0x2900: b"junk behind it"}))
    run_program(rig, b"/program", b"x")
    t = rig.init
    assert rig.peek(t, 0x60_0800, 0x100) == b"d" * 0x100
    assert rig.peek(t, 0x60_0900, 0x100) == bytes(0x100)
    assert rig.peek(t, 0x60_37FF, 1) == b"\0"
    assert rig.poke(t, 0x60_0800, b"own copy")
    assert not rig.poke(t, BASE, b"x")
    assert t.mm.brk == t.mm.brk_start >= 0x60_3800
    heap = os.call("brk", 0)
    assert os.call("brk", heap + PAGE) == heap + PAGE
    assert rig.poke(t, heap, b"x")
    fd = os.call("open", os.put(b"/program\0"), 0, 0)
    buffer = os.put(bytes(4))
    assert os.call("pread64", fd, buffer, 4, 0x2800) == 4
    assert os.peek(buffer, 4) == b"dddd"


@pytest.mark.parametrize(("flags", "executable"), [(R | W, False), (R | W | X, True)])
def test_executable_stack(rig: MachineRig, os: GuestTwin, flags: int, executable: bool) -> None:
    put_file(os, b"/program", elf(load(), phdr(PT_GNU_STACK, flags=flags, offset=0, vaddr=0)))
    started = run_program(rig, b"/program", b"x")
    vma = rig.init.mm.find(started.frame.rsp)
    assert vma is not None
    assert bool(vma.prot & 4) == executable


# -- what goes and what stays -------------------------------------------------------------------------


def test_descriptors_marked_for_it_close(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    keep = os.call("open", os.put(b"/program\0"), 0, 0)
    close = os.call("open", os.put(b"/program\0"), O_CLOEXEC, 0)
    run_program(rig, b"/program", b"x")
    assert sorted(rig.init.files.numbers()) == [keep]
    assert keep < close


def test_shared_descriptors_are_unshared(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    fd = os.call("open", os.put(b"/program\0"), O_CLOEXEC, 0)
    child = rig.linux.tasks[rig.call(rig.init, "clone", 0x400 | 17)]  # CLONE_FILES
    assert child.files is rig.init.files
    run_program(rig, b"/program", b"x")
    assert list(child.files.numbers()) == [fd]
    assert list(rig.init.files.numbers()) == []


def test_signal_state(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    process, t = rig.init.process, rig.init
    process.sighand.set(10, SigAction(0x1234, 0, 0, 0))
    process.sighand.set(12, SigAction(SIG_IGN, 0, 0, 0))
    t.blocked = 0x200
    t.sigaltstack = AltStack(SCRATCH, 0, 8192)
    t.clear_child_tid = SCRATCH
    t.robust_list = SCRATCH
    assert show(os.call("rseq", SCRATCH, 32, 0, 7)) == "0"
    assert rig.kernel.tasks[t.ktask].watched == SCRATCH + 8
    run_program(rig, b"/program", b"x")
    assert (process.sighand.get(10).handler, process.sighand.get(12).handler) == (SIG_DFL, SIG_IGN)
    assert t.blocked == 0x200
    assert (t.sigaltstack, t.clear_child_tid, t.robust_list) == (NO_ALTSTACK, 0, 0)
    assert (t.rseq, rig.kernel.tasks[t.ktask].watched) == (None, None)


def test_posix_timers_go(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    assert show(os.call("timer_create", 1, 0, os.put(bytes(8)))) == "0"
    run_program(rig, b"/program", b"x")
    assert rig.init.process.posix_timers == {}


@pytest.mark.parametrize(
    ("mode", "flags", "effective", "secure"),
    [
        (0o4755, 0, (0, 1000), 1), (0o2755, 0, (1000, 0), 1), (0o755, 0, (1000, 1000), 0),
        (0o4755, MS_NOSUID, (1000, 1000), 0),
    ],
)  # fmt: skip
def test_set_user_id(
    rig: MachineRig, os: GuestTwin, mode: int, flags: int, effective: tuple[int, int], secure: int
) -> None:
    put_file(os, b"/program", PROGRAM, mode)
    if flags:
        assert show(os.call("mount", 0, os.put(b"/\0"), 0, MS_REMOUNT | flags, 0)) == "0"
    os.call("setresgid", 1000, 1000, 1000)
    os.call("setresuid", 1000, 1000, 1000)
    started = run_program(rig, b"/program", b"x")
    creds = rig.init.creds
    assert (creds.uid, creds.euid, creds.egid) == (1000, *effective)
    assert (started.aux[AT_UID], started.aux[AT_EUID], started.aux[AT_SECURE]) == (1000, effective[0], secure)


def test_set_user_id_without_new_privileges(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM, 0o4755)
    os.call("setresuid", 1000, 1000, 1000)
    rig.init.no_new_privs = True
    started = run_program(rig, b"/program", b"x")
    assert (started.aux[AT_EUID], started.aux[AT_SECURE]) == (1000, 0)


def test_mount_that_forbids_it(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    assert show(os.call("mount", 0, os.put(b"/\0"), 0, MS_REMOUNT | MS_NOEXEC, 0)) == "0"
    assert execve(os, b"/program") == "EACCES"


def test_running_program_cannot_be_written(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    child = rig.linux.tasks[rig.call(rig.init, "fork")]
    run_program(rig, b"/program", b"x", t=child)
    assert show(os.call("open", os.put(b"/program\0"), 2, 0)) == "ETXTBSY"
    assert show(os.call("truncate", os.put(b"/program\0"), 0)) == "ETXTBSY"
    grandchild = rig.linux.tasks[rig.call(child, "fork")]
    rig.start(child, "exit_group", 0)
    assert show(os.call("open", os.put(b"/program\0"), 1, 0)) == "ETXTBSY"
    rig.start(grandchild, "exit_group", 0)
    assert os.call("open", os.put(b"/program\0"), 1, 0) >= 0


def test_threads_end_and_the_caller_leads(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    leader = rig.linux.tasks[rig.call(rig.init, "fork")]
    pid = leader.tid
    other = rig.linux.tasks[rig.call(leader, "clone", 0x10F00, SCRATCH + 0x8000)]  # CLONE_VM|FS|FILES|SIGHAND|THREAD
    twin = GuestTwin(rig)
    twin.t = other
    call = rig.start(other, "execve", twin.put(b"/program\0"), vector(twin, b"x"), 0)
    assert call.done
    assert call.result == 0
    assert leader.ktask == 0
    assert rig.linux.tasks[pid] is other
    assert other.tid == pid
    assert other.process.leader is other
    assert list(other.process.tasks.values()) == [other]
    assert rig.call(other, "gettid") == pid
    assert show(rig.call(rig.init, "wait4", -1, 0, 1, 0)) == "0"  # nothing has ended for the parent


def test_vfork_parent_goes_on(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    parent = rig.linux.tasks[rig.call(rig.init, "fork")]
    waiting = rig.start(parent, "vfork")
    assert not waiting.done
    child = next(t for t in rig.linux.tasks.values() if t.process.parent is parent.process)
    assert child.mm is parent.mm
    twin = GuestTwin(rig)
    twin.t = child
    assert show(twin.call("execve", twin.put(b"/missing\0"), 0, 0)) == "ENOENT"
    assert not waiting.done
    run_program(rig, b"/program", b"x", t=child)
    rig.settle()
    assert waiting.result == child.tid
    assert child.mm is not parent.mm
    assert rig.poke(parent, SCRATCH, b"still mine")


def test_failure_leaves_everything(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/text", b"text")
    fd = os.call("open", os.put(b"/text\0"), O_CLOEXEC, 0)
    mm, frame = rig.init.mm, rig.cpu.frame(rig.kernel.tasks[rig.init.ktask].state)
    rig.init.process.sighand.set(10, SigAction(0x1234, 0, 0, 0))
    assert execve(os, b"/text") == "ENOEXEC"
    after = rig.cpu.frame(rig.kernel.tasks[rig.init.ktask].state)
    assert rig.init.mm is mm
    assert after.rsp == frame.rsp
    assert list(rig.init.files.numbers()) == [fd]
    assert rig.init.process.sighand.get(10).handler == 0x1234
    assert not rig.init.process.did_exec


def test_handles_and_frames_come_back_after_failures(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/text", b"text")
    put_file(os, b"/loop", b"#!/loop\n")
    interp = load(type=PT_INTERP, offset=0x200, filesz=3, memsz=3)
    put_file(os, b"/nolinker", elf(interp, load(), data={0x200: b"/x\0"}))
    handles = sum(len(table) for table in rig.memfs._handles.values())
    for _ in range(3):
        for name in (b"/text", b"/loop", b"/nolinker"):
            execve(os, name)
    assert sum(len(table) for table in rig.memfs._handles.values()) == handles


def test_failure_behind_the_point_of_no_return_ends_the_process(
    rig: MachineRig, os: GuestTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file(os, b"/program", PROGRAM)

    def no_memory(*_: Any, **__: Any) -> Any:
        raise RpcError(ERR_NO_MEMORY)

    child = rig.linux.tasks[rig.call(rig.init, "fork")]
    twin = GuestTwin(rig)
    twin.t = child
    arguments = twin.put(b"/program\0"), vector(twin, b"x"), 0
    monkeypatch.setattr("syscalls.objects.exec.build_stack", no_memory)
    assert rig.start(child, "execve", *arguments).gone
    assert child.process.exit_code & 0x7F in (SIGSEGV, SIGKILL)


def test_stack_limit_bounds_the_arguments(rig: MachineRig, os: GuestTwin) -> None:
    put_file(os, b"/program", PROGRAM)
    word = os.put(b"x" * 8191 + b"\0")
    many = os.put(struct.pack("<41Q", *[word] * 40, 0))
    rig.init.process.rlimits[RLIMIT_STACK] = (1 << 20, RLIM_INFINITY)
    assert execve(os, b"/program", many) == "E2BIG"
    rig.init.process.rlimits[RLIMIT_STACK] = (RLIM_INFINITY, RLIM_INFINITY)
    assert execve(os, b"/program", many) == "0"
    assert Started(rig, rig.init).argc == 40


def test_cached_pages_are_the_files(rig: MachineRig, os: GuestTwin) -> None:
    """A program that is written anew runs as it is then."""
    put_file(os, b"/program", PROGRAM)
    child = rig.linux.tasks[rig.call(rig.init, "fork")]
    run_program(rig, b"/program", b"x", t=child)
    rig.peek(child, BASE, 4)
    rig.start(child, "exit_group", 0)
    fd = os.call("open", os.put(b"/program\0"), O_RDWR, 0)
    assert os.call("pwrite64", fd, os.put(b"\x90" * 16), 16, CODE) == 16
    os.call("close", fd)
    child = rig.linux.tasks[rig.call(rig.init, "fork")]
    run_program(rig, b"/program", b"x", t=child)
    assert rig.peek(child, BASE, 16) == b"\x90" * 16
