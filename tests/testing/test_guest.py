"""The guest of the harness: calls, arguments, results, memory, time."""

from __future__ import annotations

import pytest

from linuxemu.messages import clock, fs, fsx
from linuxemu.testing import (
    BAD,
    Blocked,
    Edge,
    Guest,
    HandlerFailed,
    InOut,
    Iov,
    Out,
    SyscallError,
    TaskEnded,
)
from syscalls.abi.errno import EACCES, EAGAIN, EBADF, EFAULT, EINVAL, ENOENT, ENOSYS
from syscalls.abi.flags import (
    AT_FDCWD,
    CLOCK_MONOTONIC,
    CLOCK_REALTIME,
    O_CREAT,
    O_NONBLOCK,
    O_RDONLY,
    O_RDWR,
    PROT_READ,
    PROT_WRITE,
    SIGKILL,
    SIGSEGV,
)
from syscalls.abi.structs import Stat, Timespec
from syscalls.errors import SysError
from syscalls.objects.task import Task
from syscalls.types import Int, UserStr


def test_a_call_runs_the_instruction_in_the_engine(guest: Guest) -> None:
    before = guest.main.regs
    assert guest.syscall.getpid() == guest.main.pid
    after = guest.main.regs
    assert after.rax == guest.main.pid
    assert after.rsp == before.rsp
    hooks = guest.rpc.log.calls("getpid")
    assert [hook.request.frame.rip for hook in hooks] == [after.rip]  # type: ignore[attr-defined]


def test_the_first_descriptor_is_free_behind_the_standard_streams(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/etc/hostname")).reply(handle=3)
    assert guest.syscall.openat(AT_FDCWD, "/etc/hostname", O_RDONLY) == 3
    assert guest.rpc.log.to("fs") == [fs.Open("/etc/hostname")]


def test_errors_carry_number_name_and_call(guest: Guest) -> None:
    guest.fs.expect(fs.Open(path="/none")).error(ENOENT)
    with pytest.raises(SyscallError, match=r'^open\("/none"\) = -1 ENOENT$') as caught:
        guest.syscall.open("/none")
    assert (caught.value.errno, caught.value.name) == (ENOENT, "ENOENT")


def test_raw_numbers_and_unknown_calls(guest: Guest) -> None:
    assert guest.syscall(39) == guest.main.pid
    assert guest.start(999_999).errno == ENOSYS
    assert [item.what for item in guest.unsupported] == ["syscall_0xf423f"]


@pytest.mark.parametrize(("name", "hint"), [("opennat", "openat"), ("no_such_thing_at_all", "no system call")])
def test_a_misspelt_name_is_an_attribute_error(guest: Guest, name: str, hint: str) -> None:
    with pytest.raises(AttributeError, match=hint):
        getattr(guest.syscall, name)


def test_too_many_arguments(guest: Guest) -> None:
    with pytest.raises(TypeError, match="close takes at most 1 arguments, 2 were given"):
        guest.syscall.close(3, 4)


def test_a_class_is_no_argument(guest: Guest) -> None:
    with pytest.raises(TypeError, match=r"stat: Stat is a class: pass one of it, or Out\(Stat\)"):
        guest.syscall.stat("/", Stat)


def test_a_closed_guest(new_guest: type[Guest]) -> None:
    guest = new_guest()
    call = guest.start.pause()
    guest.close()
    guest.close()
    for use in (guest.syscall.getpid, guest.settle, lambda: guest.put(b"x"), call.finish, lambda: guest.main.regs):
        with pytest.raises(RuntimeError, match="the guest is closed"):
            use()


@pytest.mark.parametrize("value", [1.5, {"a": 1}, {1}, object()])
def test_what_can_be_no_argument(guest: Guest, value: object) -> None:
    with pytest.raises(TypeError, match=r"close: .* can be no argument"):
        guest.syscall.close(value)
    assert guest.syscall.getpid() == guest.main.pid


# -- arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.linuxemu(root="memfs")
def test_strings_bytes_and_structures_are_placed(guest: Guest) -> None:
    fd = guest.syscall.open(b"/made", O_RDWR | O_CREAT, 0o600)
    assert guest.syscall.write(fd, b"some data", 9) == 9
    stat = Out(Stat)
    guest.syscall.fstat(fd, stat)
    assert (stat.value.st_size, stat.value.st_mode & 0o777) == (9, 0o600)
    assert guest.files.read("/made") == b"some data"


@pytest.mark.linuxemu(root="memfs")
def test_iovecs(guest: Guest) -> None:
    fd = guest.syscall.open("/made", O_RDWR | O_CREAT, 0o600)
    assert guest.syscall.writev(fd, Iov(b"one", b"", b"two"), 3) == 6
    guest.syscall.lseek(fd, 0, 0)
    first, second = Out(4), Out(4)
    assert guest.syscall.readv(fd, Iov(first, second), 2) == 6
    assert (first.value, second.value) == (b"onet", b"wo\0\0")


def test_out_in_each_of_its_kinds(guest: Guest) -> None:
    pair, number, raw = Out("<ii"), Out("<q"), Out(4, fill=b"xy")
    guest.syscall.pipe2(pair, 0)
    assert pair.value == (3, 4)
    guest.syscall.write(4, b"\1\0\0\0\0\0\0\0abc", 11)
    guest.syscall.read(3, number, 8)
    assert number.value == 1
    guest.syscall.read(3, raw, 3)
    assert raw.value == b"abcy"
    assert repr([pair, raw, Out(Stat)]) == "[Out('<ii'), Out(4), Out(Stat)]"


def test_out_before_the_call(guest: Guest) -> None:
    with pytest.raises(ValueError, match="nothing was read back yet"):
        _ = Out(4).value
    with pytest.raises(TypeError, match="a structure class"):
        Out(object())
    with pytest.raises(TypeError, match="no format of the struct module"):
        Out("zz")


def test_inout_is_read_and_written(guest: Guest) -> None:
    limits = InOut(Timespec(3, 5))
    assert limits.initial() == Timespec(3, 5).pack()
    # clock_nanosleep with a bad clock leaves what it was given
    assert guest.start.clock_nanosleep(99, 0, limits, 0).errno == EINVAL
    assert limits.value == Timespec(3, 5)


def test_an_edge_ends_where_memory_ends(guest: Guest) -> None:
    pair = Out("<ii")
    guest.syscall.pipe2(pair, 0)
    reading, writing = pair.value
    assert guest.start.write(writing, Edge(b"1234"), 5).errno == EFAULT
    guest.syscall.write(writing, Edge(b"1234"), 4)
    got = Edge(Out(4))
    assert guest.syscall.read(reading, got, 4) == 4
    assert got.value.value == b"1234"
    assert guest.start.open(Edge(b"/no-end")).errno == EFAULT


def test_bad_and_null_pointers(guest: Guest) -> None:
    assert guest.start.open(BAD).errno == EFAULT
    assert guest.start.open(None).errno == EFAULT
    assert guest.start.pipe2(guest.read_only(), 0).errno == EFAULT


def test_lists_are_pointer_arrays(guest: Guest) -> None:
    guest.fs.expect(fs.Stat, path="/prog").error(EACCES)
    assert guest.start.execve("/prog", ["prog", b"an argument"], []).errno == EACCES


# -- memory ---------------------------------------------------------------------------------------------------------


def test_memory_can_be_placed_read_and_written(guest: Guest) -> None:
    at = guest.put("text")
    assert guest.read(at, 5) == b"text\0"
    guest.write(at, b"T")
    assert guest.read(at, 4) == b"Text"
    assert guest.read(guest.put(Timespec(1, 2)), 16) == Timespec(1, 2).pack()
    with pytest.raises(SysError, match="EFAULT"):
        guest.read(BAD, 1)
    with pytest.raises(MemoryError):
        guest.put(bytes(1 << 25))


def test_what_the_test_does_leaves_no_trace(guest: Guest) -> None:
    guest.rpc.clear()
    guest.put(bytes(200_000))
    assert len(guest.rpc.log) == 0


def test_touching_memory_faults_pages_in(guest: Guest) -> None:
    length = 3 * 4096
    at = guest.syscall.mmap(0, length, PROT_READ | PROT_WRITE, 0x22, -1, 0)
    assert guest.main.touch(at).done
    assert guest.main.touch(at + 4096, write=True).done
    assert guest.syscall.getpid() == guest.main.pid


def test_touching_nothing_kills(guest: Guest) -> None:
    child = guest.fork()
    assert child.touch(BAD).gone
    assert child.signal == SIGSEGV


# -- time -----------------------------------------------------------------------------------------------------------


def test_time_jumps_when_all_sleep(guest: Guest) -> None:
    begin = guest.clock.now_ns
    assert guest.syscall.nanosleep(Timespec(3600, 0), 0) == 0
    assert guest.clock.now_ns - begin == 3600 * 10**9


def test_a_started_call_waits_until_its_time_has_come(guest: Guest) -> None:
    call = guest.start.nanosleep(Timespec(2, 0), 0)
    guest.clock.advance(s=1)
    assert call.blocked
    guest.clock.advance(ms=999.5)
    assert call.blocked
    guest.clock.advance(500_000)
    assert (call.done, call.result) == (True, 0)


def test_clocks(guest: Guest) -> None:
    now = Out(Timespec)
    guest.syscall.clock_gettime(CLOCK_MONOTONIC, now)
    assert now.value.tv_sec * 10**9 + now.value.tv_nsec == guest.clock.now_ns
    guest.syscall.clock_gettime(CLOCK_REALTIME, now)
    assert now.value.tv_sec * 10**9 + now.value.tv_nsec == guest.clock.realtime_ns
    guest.time.expect(clock.Gettime(CLOCK_REALTIME)).reply(ns=5)
    guest.syscall.clock_gettime(CLOCK_REALTIME, now)
    assert now.value == Timespec(0, 5)


def test_the_clock_fixture_is_the_guests(guest: Guest, clock: object) -> None:
    assert clock is guest.clock


def test_a_call_that_can_never_end(guest: Guest) -> None:
    pair = Out("<ii")
    guest.syscall.pipe2(pair, 0)
    with pytest.raises(Blocked, match=r"^read\(3, Out\(1\), 1\) waits, and nothing can ever wake it$"):
        guest.syscall.read(3, Out(1), 1)
    with pytest.raises(RuntimeError, match=r"thread 2 waits in read\(3, Out\(1\), 1\): that call must end first"):
        guest.syscall.getpid()


def test_a_periodic_timer_does_not_hang_a_call_that_never_ends(guest: Guest) -> None:
    pair = Out("<ii")
    guest.syscall.pipe2(pair, 0)
    other = guest.fork()
    other.syscall.rt_sigprocmask(0, (1 << 13).to_bytes(8, "little"), 0, 8)  # SIGALRM
    other.syscall.setitimer(0, Timespec(0, 1000).pack() * 2, 0)
    with pytest.raises(Blocked):
        guest.syscall.read(3, Out(1), 1)


# -- ends -----------------------------------------------------------------------------------------------------------


def test_exit_returns_nothing(guest: Guest) -> None:
    child = guest.fork()
    assert child.syscall.exit_group(7) == 0
    assert (child.gone, child.exit_status, child.signal) == (True, 7, None)
    with pytest.raises(RuntimeError, match=f"thread {child.tid} has ended"):
        child.syscall.getpid()


def test_a_call_in_which_the_process_dies(guest: Guest) -> None:
    child = guest.fork()
    with pytest.raises(TaskEnded, match=r"does not return: signal 9 killed its process") as caught:
        child.syscall.kill(child.pid, SIGKILL)
    assert caught.value.signal == SIGKILL
    assert (child.signal, child.exit_status) == (SIGKILL, None)


# -- the translation ------------------------------------------------------------------------------------------------


def test_a_handler_of_the_tests_own(guest: Guest) -> None:
    async def sethostname(t: Task, name: UserStr, len: Int) -> int:
        if len > 3:
            raise SysError(EINVAL)
        t.server.hostname = await t.mem.read(name, len)
        return 0

    guest.replace("sethostname", sethostname)
    assert guest.syscall.sethostname("abc", 3) == 0
    assert guest.linux.hostname == b"abc"
    assert guest.start.sethostname("abcd", 4).errno == EINVAL


def test_a_handler_that_fails_fails_the_test(guest: Guest) -> None:
    async def getpid(t: Task) -> int:
        return 1 // 0

    guest.replace("getpid", getpid)
    with pytest.raises(HandlerFailed, match="ZeroDivisionError") as caught:
        guest.syscall.getpid()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_replacing_what_does_not_exist(guest: Guest) -> None:
    async def nothing(t: Task) -> int:
        return 0

    with pytest.raises(KeyError):
        guest.replace("no_such_call", nothing)


# -- roots ----------------------------------------------------------------------------------------------------------


@pytest.mark.linuxemu(root="fsx")
def test_a_root_asked_by_inode(guest: Guest) -> None:
    from linuxemu.testing import fresh_attr

    guest.fs.expect(fsx.Lookup(parent=1, name=b"hello")).reply(**fresh_attr(ino=7, size=5))
    guest.fs.expect(fsx.Open(ino=7, flags=O_RDONLY)).reply(handle=1)
    guest.fs.expect(fs.Read(handle=1, offset=0, len=10)).reply(data=b"hello")
    data = Out(10)
    assert guest.syscall.read(guest.syscall.open("/hello"), data, 10) == 5
    assert data.value[:5] == b"hello"


@pytest.mark.linuxemu(root="memfs")
def test_files_behind_the_guests_back(guest: Guest) -> None:
    files = guest.files
    files.mkdir("/d", mode=0o700, uid=5)
    files.write("/d/f", b"x" * 3_000_000, mode=0o640, uid=1, gid=2)
    files.symlink("d/f", "/l")
    files.mknod("/p", 0o010644)
    assert len(files.read("/l")) == 3_000_000
    assert [files.exists(path) for path in ("/d/f", "/l", "/p", "/none", "/")] == [True, True, True, False, True]
    stat = Out(Stat)
    guest.syscall.stat("/d/f", stat)
    assert (stat.value.st_mode, stat.value.st_uid, stat.value.st_gid) == (0o100640, 1, 2)
    with pytest.raises(SysError, match="ENOENT"):
        files.read("/none")


@pytest.mark.linuxemu(root="memfs")
def test_a_booted_system_has_devices(guest: Guest) -> None:
    guest.mount_system()
    fd = guest.syscall.open("/dev/zero")
    data = Out(4, fill=b"x")
    assert guest.syscall.read(fd, data, 4) == 4
    assert data.value == bytes(4)
    assert guest.syscall.readlink("/proc/self", Out(10), 10) == 1


def test_an_unknown_root() -> None:
    with pytest.raises(ValueError, match="it must be one of fs, fsx, memfs"):
        Guest(root="ext4")


def test_streams(guest: Guest) -> None:
    guest.syscall.write(1, b"out", 3)
    guest.syscall.write(2, b"err", 3)
    assert (guest.stdout, guest.stderr) == (b"out", b"err")
    assert guest.syscall.read(0, Out(1), 1) == 0


def test_users(guest: Guest) -> None:
    other = guest.process(uid=1000, gid=100, groups=(7, 8))
    groups = Out("<II")
    assert (other.syscall.getuid(), other.syscall.getgid()) == (1000, 100)
    assert other.syscall.getgroups(2, groups) == 2
    assert groups.value == (7, 8)
    assert other.start.read(0, Out(1), 1).errno == EBADF


def test_nonblocking(guest: Guest) -> None:
    pair = Out("<ii")
    guest.syscall.pipe2(pair, O_NONBLOCK)
    assert guest.start.read(3, Out(1), 1).errno == EAGAIN


def test_guests_side_by_side(new_guest: type[Guest]) -> None:
    one, two = new_guest(), new_guest(seed=1)
    assert one.syscall.getpid() == two.syscall.getpid()
    random = Out(8), Out(8)
    one.syscall.getrandom(random[0], 8, 0)
    two.syscall.getrandom(random[1], 8, 0)
    assert random[0].value != random[1].value
