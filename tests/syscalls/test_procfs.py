"""/proc: man 5 proc."""

from __future__ import annotations

import errno
import os
import re
import sys
from typing import Any

import pytest

from syscalls.abi import flags as f
from syscalls.errors import SysError
from syscalls.fs.procstat import cpu_list
from syscalls.objects.credentials import Credentials
from syscalls.objects.pipe import make_pipe
from syscalls.objects.siginfo import SigAction
from syscalls.objects.vma import Vma
from syscalls.vfs.open import open_path
from syscalls.vfs.walk import lookup
from tests.syscalls.iorig import Mm, Rig
from tests.syscalls.jobs import error_of

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="compares with Linux")


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.mount_system()
    rig.now = 50_000_000_000
    return rig


@pytest.fixture
def t(rig: Rig) -> Any:
    task = rig.task()
    task.start_ns = 20_000_000_000
    return task


def fails(rig: Rig, coro: Any) -> int:
    return error_of(rig.run, coro)


def at(rig: Rig, t: Any, path: bytes, follow: bool = True) -> Any:
    return rig.run(lookup(t, f.AT_FDCWD, path, follow))


def link(rig: Rig, t: Any, path: bytes) -> bytes:
    text: bytes = rig.run(at(rig, t, path, follow=False).inode.readlink(t))
    return text


def write(rig: Rig, t: Any, path: bytes, data: bytes) -> int:
    async def store() -> int:
        file = await open_path(t, f.AT_FDCWD, path, f.O_WRONLY | f.O_TRUNC, 0)
        return await file.write(t, data)

    written: int = rig.run(store())
    return written


# -- the root ------------------------------------------------------------------------------------------------


def test_the_root_lists_system_files_and_processes(rig: Rig, t: Any) -> None:
    child = rig.fork(t)
    names = list(rig.list(t, b"/proc"))
    assert {b"stat", b"meminfo", b"self", b"mounts", b"sys", b"net", b"uptime"} <= set(names)
    assert names[-3:] == [b"1", b"%d" % t.process.pid, b"%d" % child.process.pid]
    assert all(names.index(name) < names.index(b"1") for name in names if not name.isdigit())


def test_listed_inode_numbers_are_those_of_lookup(rig: Rig, t: Any) -> None:
    task = b"/proc/self/task/%d" % t.tid
    for path in (b"/proc", b"/proc/self", b"/proc/self/task", task, b"/proc/sys/kernel"):
        for name, ino in rig.list(t, path).items():
            if name not in (b"net",):
                assert at(rig, t, path + b"/" + name, follow=False).inode.ino == ino, (path, name)


def test_self_and_thread_self(rig: Rig, t: Any) -> None:
    assert link(rig, t, b"/proc/self") == b"%d" % t.process.pid
    assert link(rig, t, b"/proc/thread-self") == b"%d/task/%d" % (t.process.pid, t.tid)
    assert at(rig, t, b"/proc/self").inode is at(rig, t, b"/proc/%d" % t.process.pid).inode


@pytest.mark.parametrize("name", [b"0", b"02", b"99", b"-1", b"1x", b"99999999999999", b"nothing"])
def test_names_that_are_not_there(rig: Rig, t: Any, name: bytes) -> None:
    assert fails(rig, lookup(t, f.AT_FDCWD, b"/proc/" + name)) == errno.ENOENT


def test_nothing_can_be_made(rig: Rig, t: Any) -> None:
    assert fails(rig, open_path(t, f.AT_FDCWD, b"/proc/new", f.O_CREAT | f.O_WRONLY, 0o644)) in (
        errno.EACCES,
        errno.ENOENT,
        errno.EPERM,
    )


def test_a_directory_keeps_its_identity(rig: Rig, t: Any) -> None:
    held = at(rig, t, b"/proc/self/fd")
    assert at(rig, t, b"/proc/self/fd").dentry is held.dentry
    assert not held.dentry.deleted


# -- processes -----------------------------------------------------------------------------------------------


def test_a_reaped_process_is_gone(rig: Rig, t: Any) -> None:
    child = rig.fork(t)
    pid = child.process.pid
    held = at(rig, t, b"/proc/%d" % pid)
    file = rig.run(open_path(t, f.AT_FDCWD, b"/proc/%d/stat" % pid, 0, 0))
    t.process.table.release(child.process)
    child.process.remove_task(child)
    assert fails(rig, lookup(t, f.AT_FDCWD, b"/proc/%d" % pid)) == errno.ENOENT
    assert fails(rig, held.inode.lookup(t, b"stat")) == errno.ENOENT
    assert fails(rig, file.read(t, 100)) == errno.ESRCH


def test_init_has_no_program(rig: Rig, t: Any) -> None:
    assert rig.read(t, b"/proc/1/cmdline") == b""
    assert rig.read(t, b"/proc/1/comm") == b"init\n"
    assert rig.read(t, b"/proc/1/stat").startswith(b"1 (init) S 0 1 1 0 -1 ")
    assert rig.read(t, b"/proc/1/maps") == b""
    assert b"State:\tS (sleeping)\n" in rig.read(t, b"/proc/1/status")
    assert fails(rig, at(rig, t, b"/proc/1/exe", follow=False).inode.readlink(t)) == errno.ENOENT
    assert rig.list(t, b"/proc/1/fd") == {}


def test_a_zombie(rig: Rig, t: Any) -> None:
    child = rig.fork(t)
    child.exit_status = child.process.group_exit = 0x100
    child.process.live = 0
    child.process.remove_task(child)
    child.process.exited = True
    stat = rig.read(t, b"/proc/%d/stat" % child.process.pid).split()
    assert stat[2] == b"Z"
    assert stat[22:24] == [b"0", b"0"]
    assert int(stat[51]) == 0x100
    assert b"State:\tZ (zombie)\n" in rig.read(t, b"/proc/%d/status" % child.process.pid)
    for name in (b"cwd", b"exe", b"root"):
        assert fails(rig, lookup(t, f.AT_FDCWD, b"/proc/%d/%s" % (child.process.pid, name))) == errno.ENOENT


def test_stat_columns(rig: Rig, t: Any) -> None:
    t.comm = b"a (b) c\n"
    t.nice = 5
    t.user_ns, t.sys_ns = 1_230_000_000, 450_000_000
    t.blocked = 1 << 9
    t.process.sighand.set(f.SIGUSR2, SigAction(handler=f.SIG_IGN))
    text = rig.read(t, b"/proc/self/stat")
    assert text.startswith(b"%d (a (b) c\\n) R " % t.process.pid)
    columns = text[text.rindex(b")") + 2 :].split()
    assert len(columns) == 50
    assert [int(x) for x in columns[1:6]] == [1, t.process.pid, t.process.pid, 0, -1]
    assert [int(x) for x in columns[11:13]] == [123, 45]
    assert [int(x) for x in columns[15:18]] == [25, 5, 1]
    assert int(columns[19]) == 2000, "20 s after boot, in ticks"
    assert int(columns[29]) == 1 << 9
    assert int(columns[30]) == 1 << (f.SIGUSR2 - 1)


def test_addresses_are_hidden_from_strangers(rig: Rig, t: Any) -> None:
    stranger = rig.task(Credentials.user(1000, 1000))
    shown = rig.read(stranger, b"/proc/%d/stat" % t.process.pid).split()
    assert shown[25:28] == [b"1", b"1", b"0"]
    assert shown[44:51] == [b"0"] * 7
    assert rig.read(t, b"/proc/self/stat").split()[25] == b"%d" % 0x400000


def test_what_strangers_may_not_do(rig: Rig, t: Any) -> None:
    stranger = rig.task(Credentials.user(1000, 1000))
    base = b"/proc/%d/" % t.process.pid
    for name in (b"environ", b"auxv", b"io"):
        assert fails(rig, open_path(stranger, f.AT_FDCWD, base + name, 0, 0)) == errno.EACCES
    for name in (b"cwd", b"root", b"exe"):
        assert fails(rig, lookup(stranger, f.AT_FDCWD, base + name)) == errno.EACCES
        magic = at(rig, stranger, base + name, follow=False).inode
        assert fails(rig, magic.readlink(stranger)) == errno.EACCES
    assert fails(rig, open_path(stranger, f.AT_FDCWD, base + b"fd", f.O_DIRECTORY, 0)) == errno.EACCES
    with pytest.raises(SysError):
        rig.read(stranger, base + b"maps")
    assert rig.read(stranger, base + b"comm") == b"test\n"


def test_files_belong_to_the_process(rig: Rig) -> None:
    t = rig.task(Credentials.user(1000, 100))
    root = rig.task()
    base = b"/proc/%d" % t.process.pid
    attr = at(rig, root, base + b"/stat").inode.attr
    assert (attr.mode, attr.uid, attr.gid) == (f.S_IFREG | 0o444, 1000, 100)
    t.creds = Credentials.user(1001, 101)
    assert at(rig, root, base + b"/stat").inode.attr.uid == 1001
    t.process.dumpable = 0
    assert at(rig, root, base + b"/stat").inode.attr.uid == 0
    assert at(rig, root, base).inode.attr.uid == 1001, "what anybody may read stays the user's"


def test_cmdline_and_environ_come_from_memory(rig: Rig, t: Any) -> None:
    arguments, environment = b"prog\0-x\0\0", b"A=1\0PATH=/bin\0"
    start = t.mem.alloc(arguments + environment)
    mm = t.mm
    mm.arg_start, mm.arg_end = start, start + len(arguments)
    mm.env_start, mm.env_end = mm.arg_end, mm.arg_end + len(environment)
    assert rig.read(t, b"/proc/self/cmdline") == arguments
    assert rig.read(t, b"/proc/self/environ") == environment
    rig.run(t.mem.write(start, b"a title that goes on"))
    assert rig.read(t, b"/proc/self/cmdline") == b"a title that goes onin"


def test_maps_and_sizes(rig: Rig, t: Any) -> None:
    rw = f.PROT_READ | f.PROT_WRITE
    t.mm = Mm(
        Vma(0x400000, 0x402000, f.PROT_READ | f.PROT_EXEC, f.MAP_PRIVATE),
        Vma(0x500000, 0x504000, rw, f.MAP_PRIVATE, name=b"[heap]"),
        Vma(0x600000, 0x601000, rw, f.MAP_SHARED),
        Vma(0x7FFF_0000_0000, 0x7FFF_0001_0000, rw, f.MAP_PRIVATE | f.MAP_GROWSDOWN, name=b"[stack]"),
    )
    assert rig.read(t, b"/proc/self/maps").splitlines() == [
        b"00400000-00402000 r-xp 00000000 00:00 0 ",
        b"00500000-00504000 rw-p 00000000 00:00 0                                  [heap]",
        b"00600000-00601000 rw-s 00000000 00:00 0 ",
        b"7fff00000000-7fff00010000 rw-p 00000000 00:00 0                          [stack]",
    ]
    assert rig.read(t, b"/proc/self/statm") == b"23 11 0 2 0 20 0\n"
    status = rig.read(t, b"/proc/self/status")
    for name, kb in ((b"VmSize", 92), (b"VmData", 16), (b"VmStk", 64), (b"VmExe", 8)):
        assert b"%s:\t%8d kB\n" % (name, kb) in status


def test_maps_name_their_files(rig: Rig, t: Any) -> None:
    named = rig.run(open_path(t, f.AT_FDCWD, b"/proc/uptime", 0, 0))
    nameless = make_pipe(t, 0)[0]
    readable = (f.PROT_READ, f.MAP_PRIVATE)
    t.mm = Mm(
        Vma(0x400000, 0x402000, *readable, file=named, offset=0x1000),
        Vma(0x500000, 0x501000, *readable, file=nameless),
    )
    first, second = rig.read(t, b"/proc/self/maps").splitlines()
    assert first == b"%-73s/proc/uptime" % (b"00400000-00402000 r--p 00001000 00:15 %d " % named.inode.ino)
    assert second.endswith(b" pipe:[%d]" % nameless.inode.ino)
    assert b"RssFile:\t       8 kB\n" in rig.read(t, b"/proc/self/status")


def test_memory_that_cannot_be_read_is_shown_empty(rig: Rig, t: Any) -> None:
    t.mm.arg_start, t.mm.arg_end = 0x10, 0x20
    assert rig.read(t, b"/proc/self/cmdline") == b""


def test_what_is_gone_has_no_memory(rig: Rig, t: Any) -> None:
    child = rig.fork(t)
    child.process.live = 0
    base = b"/proc/%d/" % child.process.pid
    for name in (b"cmdline", b"environ", b"auxv", b"maps"):
        assert rig.read(t, base + name) == b""
    with pytest.raises(SysError) as caught:
        rig.read(t, base + b"mounts")
    assert caught.value.errno == errno.EINVAL


def test_real_time_priorities_are_negative(rig: Rig, t: Any) -> None:
    t.sched_policy, t.sched_priority = 1, 40
    columns = rig.read(t, b"/proc/self/stat").split()
    assert (columns[17], columns[39], columns[40]) == (b"-41", b"40", b"1")


@pytest.mark.parametrize(
    ("mask", "text"), [(1, b"0"), (0b1011, b"0-1,3"), (0b1111, b"0-3"), (0b101, b"0,2"), (0, b"")]
)
def test_cpu_lists(mask: int, text: bytes) -> None:
    assert cpu_list(mask) == text


def test_comm_can_be_changed_from_inside(rig: Rig, t: Any) -> None:
    other = rig.fork(t)
    assert write(rig, t, b"/proc/self/comm", b"renamed-and-much-too-long") == 25
    assert t.comm == b"renamed-and-muc"
    with pytest.raises(SysError) as caught:
        write(rig, other, b"/proc/%d/comm" % t.process.pid, b"x")
    assert caught.value.errno == errno.EINVAL


def test_oom_score_adj(rig: Rig, t: Any) -> None:
    assert rig.read(t, b"/proc/self/oom_score") == b"666\n"
    write(rig, t, b"/proc/self/oom_score_adj", b"-500\n")
    assert rig.read(t, b"/proc/self/oom_score_adj") == b"-500\n"
    for bad in (b"1001", b"-1001", b"x", b""):
        with pytest.raises(SysError) as caught:
            write(rig, t, b"/proc/self/oom_score_adj", bad)
        assert caught.value.errno == errno.EINVAL
    t.creds = Credentials.user(1000, 1000)
    write(rig, t, b"/proc/self/oom_score_adj", b"10")
    with pytest.raises(SysError) as caught:
        write(rig, t, b"/proc/self/oom_score_adj", b"9")
    assert caught.value.errno == errno.EACCES


def test_files_without_a_setting_cannot_be_written(rig: Rig, t: Any) -> None:
    for path, expected in ((b"/proc/self/stat", errno.EINVAL), (b"/proc/uptime", errno.EIO)):
        with pytest.raises(SysError) as caught:
            write(rig, t, path, b"x")
        assert caught.value.errno == expected


def test_threads_have_directories(rig: Rig, t: Any) -> None:
    thread = rig.table.add_thread(t)
    thread.files, thread.mem, thread.mm, thread.fs = t.files, t.mem, t.mm, t.fs
    thread.comm = b"worker"
    assert set(rig.list(t, b"/proc/self/task")) == {b"%d" % t.tid, b"%d" % thread.tid}
    base = b"/proc/self/task/%d/" % thread.tid
    assert rig.read(t, base + b"comm") == b"worker\n"
    assert rig.read(t, base + b"stat").startswith(b"%d (worker) " % thread.tid)
    status = rig.read(t, base + b"status")
    assert b"Tgid:\t%d\n" % t.process.pid in status
    assert b"Threads:\t2\n" in status
    assert fails(rig, lookup(t, f.AT_FDCWD, base + b"task")) == errno.ENOENT
    child = rig.fork(thread)
    assert rig.read(t, base + b"children") == b"%d " % child.process.pid
    assert rig.read(t, b"/proc/self/task/%d/children" % t.tid) == b""
    assert b"%d" % thread.tid not in rig.list(t, b"/proc"), "not listed ..."
    assert rig.read(t, b"/proc/%d/comm" % thread.tid) == b"worker\n", "... but there"
    thread.process.remove_task(thread)
    assert fails(rig, lookup(t, f.AT_FDCWD, base)) == errno.ENOENT


def test_magic_links_lead_to_places(rig: Rig, t: Any) -> None:
    t.fs.cwd = at(rig, t, b"/proc/sys")
    t.process.exe = at(rig, t, b"/proc/uptime")
    assert link(rig, t, b"/proc/self/cwd") == b"/proc/sys"
    assert link(rig, t, b"/proc/self/root") == b"/"
    assert link(rig, t, b"/proc/self/exe") == b"/proc/uptime"
    assert at(rig, t, b"/proc/self/cwd/kernel/ostype").inode is at(rig, t, b"/proc/sys/kernel/ostype").inode
    assert at(rig, t, b"/proc/self/exe").dentry is t.process.exe.dentry


def test_namespaces_have_numbers(rig: Rig, t: Any) -> None:
    names = rig.list(t, b"/proc/self/ns")
    assert len(names) == 10
    for name in names:
        assert re.fullmatch(rb"[a-z]+:\[\d{10}\]", link(rig, t, b"/proc/self/ns/" + name))


# -- descriptors ---------------------------------------------------------------------------------------------


def test_fd_links(rig: Rig, t: Any) -> None:
    reader, writer = make_pipe(t, 0)
    t.files.alloc(reader)
    t.files.alloc(writer)
    file = rig.run(open_path(t, f.AT_FDCWD, b"/proc/uptime", f.O_RDONLY, 0))
    t.files.alloc(file)
    assert list(rig.list(t, b"/proc/self/fd")) == [b"0", b"1", b"2"]
    assert link(rig, t, b"/proc/self/fd/0") == b"pipe:[%d]" % reader.inode.ino
    assert link(rig, t, b"/proc/self/fd/2") == b"/proc/uptime"
    modes = [at(rig, t, b"/proc/self/fd/%d" % n, follow=False).inode.attr for n in range(3)]
    assert [attr.mode & 0o777 for attr in modes] == [0o500, 0o300, 0o500]
    assert {attr.size for attr in modes} == {64}
    assert fails(rig, lookup(t, f.AT_FDCWD, b"/proc/self/fd/3")) == errno.ENOENT
    assert fails(rig, lookup(t, f.AT_FDCWD, b"/proc/self/fd/x")) == errno.ENOENT


def test_a_pipe_can_be_opened_through_its_link(rig: Rig, t: Any) -> None:
    reader, writer = make_pipe(t, 0)
    t.files.alloc(reader)
    t.files.alloc(writer)
    again = rig.run(open_path(t, f.AT_FDCWD, b"/proc/self/fd/0", f.O_WRONLY, 0))
    rig.run(again.write(t, b"hello"))
    assert rig.run(reader.read(t, 10)) == b"hello"


def test_a_number_that_is_used_again_is_another_link(rig: Rig, t: Any) -> None:
    first, second = make_pipe(t, 0)[0], make_pipe(t, 0)[0]
    t.files.alloc(first)
    assert link(rig, t, b"/proc/self/fd/0") == first.proc_name()
    rig.run(t.files.close(0))
    t.files.alloc(second)
    assert link(rig, t, b"/proc/self/fd/0") == second.proc_name()


def test_fdinfo(rig: Rig, t: Any) -> None:
    file = rig.run(open_path(t, f.AT_FDCWD, b"/proc/uptime", f.O_RDONLY | f.O_NONBLOCK, 0))
    t.files.alloc(file, cloexec=True)
    rig.run(file.read(t, 3))
    mount = file.path.mount.number
    expected = b"pos:\t3\nflags:\t02104000\nmnt_id:\t%d\nino:\t%d\n" % (mount, file.inode.ino)
    text = rig.read(t, b"/proc/self/fdinfo/0")
    assert text == expected or text == expected.replace(b"02104000", b"02004000")


# -- the system ----------------------------------------------------------------------------------------------


def test_uptime_and_stat_agree(rig: Rig, t: Any) -> None:
    t.user_ns, t.sys_ns = 3_000_000_000, 2_000_000_000
    assert rig.read(t, b"/proc/uptime") == b"50.00 45.00\n"
    lines = dict(line.split(b" ", 1) for line in rig.read(t, b"/proc/stat").splitlines())
    assert lines[b"cpu"].split() == lines[b"cpu0"].split() == [b"300", b"0", b"200", b"4500", *[b"0"] * 6]
    assert lines[b"btime"] == b"1000000000"
    assert int(lines[b"processes"]) == t.process.pid


def test_meminfo(rig: Rig, t: Any) -> None:
    rows = dict(line.split(b":") for line in rig.read(t, b"/proc/meminfo").splitlines())
    assert rows[b"MemTotal"].split() == [b"1048576", b"kB"]
    assert rows[b"MemFree"].split() == [b"800000", b"kB"]
    assert rows[b"MemAvailable"].split() == [b"804000", b"kB"]
    assert rows[b"Cached"].split() == [b"4000", b"kB"]


def test_mounts(rig: Rig, t: Any) -> None:
    assert link(rig, t, b"/proc/mounts") == b"self/mounts"
    text = rig.read(t, b"/proc/mounts")
    assert text == rig.read(t, b"/proc/self/mounts")
    assert [line.split()[1] for line in text.splitlines()] == [b"/", b"/proc", b"/sys"]
    assert len(rig.read(t, b"/proc/self/mountinfo").splitlines()) == 3
    assert b"with fstype sysfs\n" in rig.read(t, b"/proc/self/mountstats")


def test_one_reader_sees_one_state(rig: Rig, t: Any) -> None:
    file = rig.run(open_path(t, f.AT_FDCWD, b"/proc/uptime", 0, 0))
    first = rig.run(file.read(t, 4))
    rig.now += 7_000_000_000
    assert first + rig.run(file.read(t, 100)) == b"50.00 50.00\n"
    rig.run(file.lseek(t, 0, 0))
    assert rig.run(file.read(t, 5)) == b"57.00"


def test_every_file_can_be_read_and_every_directory_listed(rig: Rig, t: Any) -> None:
    def uuids(message: Any) -> Any:
        return type(message).REPLY(bytes(message.len))

    rig.answer = uuids
    seen = 0
    todo = [b"/proc", b"/sys"]
    while todo:
        path = todo.pop()
        for name in rig.list(t, path):
            below = path + b"/" + name
            inode = at(rig, t, below, follow=False).inode
            if inode.kind == f.S_IFDIR:
                todo.append(below)
            elif inode.kind == f.S_IFREG and name != b"kmsg":
                data = rig.read(t, below)
                assert not data or data[-1:] in (b"\n", b"\0", b" ") or name == b"wchan", below
            seen += 1
    assert seen > 250


# -- settings ------------------------------------------------------------------------------------------------


def test_settings_that_matter(rig: Rig, t: Any) -> None:
    assert rig.read(t, b"/proc/sys/kernel/hostname") == b"rig\n"
    write(rig, t, b"/proc/sys/kernel/hostname", b"other\n")
    write(rig, t, b"/proc/sys/kernel/domainname", b"example.org")
    assert (rig.server.hostname, rig.server.domainname) == (b"other", b"example.org")
    write(rig, t, b"/proc/sys/kernel/pid_max", b"1000")
    assert rig.table.pid_max == 1000
    for bad in (b"300", b"5000000", b"1 2", b"x"):
        with pytest.raises(SysError) as caught:
            write(rig, t, b"/proc/sys/kernel/pid_max", bad)
        assert caught.value.errno == errno.EINVAL
    write(rig, t, b"/proc/sys/kernel/ns_last_pid", b"500")
    assert rig.fork(t).tid == 501


def test_settings_that_are_only_kept(rig: Rig, t: Any) -> None:
    write(rig, t, b"/proc/sys/vm/swappiness", b"10\n")
    assert rig.read(t, b"/proc/sys/vm/swappiness") == b"10\n"
    write(rig, t, b"/proc/sys/kernel/printk", b"1 2")
    assert rig.read(t, b"/proc/sys/kernel/printk") == b"1\t2\t1\t7\n"
    for bad in (b"1 2 3 4 5", b"none"):
        with pytest.raises(SysError) as caught:
            write(rig, t, b"/proc/sys/kernel/printk", bad)
        assert caught.value.errno == errno.EINVAL
    write(rig, t, b"/proc/sys/kernel/core_pattern", b"/tmp/core.%p\n")
    assert rig.read(t, b"/proc/sys/kernel/core_pattern") == b"/tmp/core.%p\n"


def test_settings_are_root_s(rig: Rig, t: Any) -> None:
    user = rig.task(Credentials.user(1000, 1000))
    assert rig.read(user, b"/proc/sys/kernel/ostype") == b"Linux\n"
    with pytest.raises(SysError) as caught:
        write(rig, user, b"/proc/sys/vm/swappiness", b"1")
    assert caught.value.errno == errno.EACCES


def test_uuids(rig: Rig, t: Any) -> None:
    rig.answer = lambda message: type(message).REPLY(os.urandom(message.len))
    shape = rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n"
    first, second = (rig.read(t, b"/proc/sys/kernel/random/uuid") for _ in range(2))
    assert re.fullmatch(shape, first)
    assert first != second
    boot = rig.read(t, b"/proc/sys/kernel/random/boot_id")
    assert re.fullmatch(shape, boot)
    assert boot == rig.read(t, b"/proc/sys/kernel/random/boot_id")


# -- the same on this machine --------------------------------------------------------------------------------

NATIVE_LINES = {
    "self/stat": rb"\d+ \(.*\) [RSDTZ]( -?\d+){49}\n",
    "self/statm": rb"\d+( \d+){6}\n",
    "self/schedstat": rb"\d+ \d+ \d+\n",
    "self/maps": rb"([0-9a-f]{8,}-[0-9a-f]{8,} [r-][w-][x-][ps] [0-9a-f]{8}"
    rb" [0-9a-f]{2}:[0-9a-f]{2} \d+ .*\n)+",
    "self/io": rb"rchar: \d+\nwchar: \d+\nsyscr: \d+\nsyscw: \d+\nread_bytes: \d+\nwrite_bytes: \d+\n"
    rb"cancelled_write_bytes: \d+\n",
    "self/limits": rb"Limit {21}Soft Limit {11}Hard Limit {11}Units {5}\n"
    rb"(Max [a-z ]{21} (unlimited|\d+) +(unlimited|\d+) +[a-z]* *\n){16}",
    "self/oom_score_adj": rb"-?\d+\n",
    "self/cgroup": rb"(\d+:[^:]*:/.*\n)+",
    "self/uid_map": rb" +\d+ +\d+ +\d+\n",
    "self/mounts": rb"(\S+ /\S* \S+ r[wo]\S* 0 0\n)+",
    "self/mountinfo": rb"(\d+ \d+ \d+:\d+ /\S* /\S* \S+ (\S+:\d+ )?- \S+ \S+ \S+\n)+",
    "uptime": rb"\d+\.\d\d \d+\.\d\d\n",
    "loadavg": rb"\d+\.\d\d \d+\.\d\d \d+\.\d\d \d+/\d+ \d+\n",
    "stat": rb"cpu  \d+( \d+){9}\n(cpu\d+ \d+( \d+){9}\n)+intr \d+( \d+)*\nctxt \d+\n"
    rb"btime \d+\nprocesses \d+\nprocs_running \d+\nprocs_blocked \d+\nsoftirq \d+( \d+){10}\n",
    "meminfo": rb"([A-Za-z0-9_()]+: +\d+( kB)?\n){40,}",
    "cpuinfo": rb"(([A-Za-z _]+\t*: .*|power management:.*|bugs\t*:.*)\n|\n)+",
    "filesystems": rb"((nodev)?\t\w+\n)+",
    "devices": rb"Character devices:\n( *\d+ \S+\n)+\nBlock devices:\n( *\d+ \S+\n)*",
    "partitions": rb"major minor  #blocks  name\n\n.*",
    "swaps": rb"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n.*",
    "version": rb"Linux version \S+ \(.*\) \(?.*\)? #\d+ .*\n",
    "net/dev": rb"Inter-\|   Receive {48}\|  Transmit\n"
    rb" face \|bytes    packets errs drop fifo frame compressed multicast"
    rb"\|bytes    packets errs drop fifo colls carrier compressed\n( *\S+: *\d+( +\d+){15}\n)+",
    "net/route": rb"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
    rb" +\n(.*\n)*",
    "sys/kernel/osrelease": rb"\d+\.\d+\.\d+.*\n",
    "sys/kernel/pid_max": rb"\d+\n",
    "sys/fs/file-nr": rb"\d+\t\d+\t\d+\n",
    "sys/kernel/random/uuid": rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n",
}


@on_linux
@pytest.mark.native
@pytest.mark.parametrize("name", NATIVE_LINES)
def test_formats_are_those_of_linux(rig: Rig, t: Any, name: str) -> None:
    pattern = NATIVE_LINES[name]
    t.mm = Mm(Vma(0x400000, 0x402000, f.PROT_READ | f.PROT_EXEC, f.MAP_PRIVATE, name=b"[x]"))
    rig.answer = lambda message: type(message).REPLY(bytes(message.len))
    with open("/proc/" + name, "rb") as file:
        assert re.fullmatch(pattern, file.read(), re.DOTALL), "the pattern is wrong"
    assert re.fullmatch(pattern, rig.read(t, b"/proc/" + name.encode()), re.DOTALL)


@on_linux
@pytest.mark.native
def test_status_has_linux_s_lines_in_linux_s_order(rig: Rig, t: Any) -> None:
    with open("/proc/self/status", "rb") as file:
        host = [line.split(b":")[0] for line in file]
    ours = [line.split(b":")[0] for line in rig.read(t, b"/proc/self/status").splitlines()]
    common = [name for name in host if name in ours]
    assert [name for name in ours if name in host] == common
    assert len(common) >= 50
    assert set(ours) - set(host) <= {b"Kthread", b"untag_mask", b"Speculation_Store_Bypass", b"THP_enabled"}


@on_linux
@pytest.mark.native
@pytest.mark.parametrize("name", ["", "fd", "fdinfo", "task", "ns"])
def test_modes_are_those_of_linux(rig: Rig, t: Any, name: str) -> None:
    path = "/proc/self/" + name if name else "/proc/self"
    assert at(rig, t, path.encode()).inode.attr.mode == os.stat(path).st_mode
    if name:
        return
    for entry in rig.list(t, b"/proc/self"):
        host = os.path.join(path, os.fsdecode(entry))
        if os.path.lexists(host):
            mode = at(rig, t, b"/proc/self/" + entry, follow=False).inode.attr.mode
            assert oct(mode) == oct(os.lstat(host).st_mode), entry


@on_linux
@pytest.mark.native
def test_headers_of_network_tables_are_those_of_linux(rig: Rig, t: Any) -> None:
    compared = 0
    for entry in rig.list(t, b"/proc/net"):
        host = "/proc/net/" + entry.decode()
        if os.path.exists(host) and entry != b"if_inet6":
            ours = rig.read(t, b"/proc/net/" + entry)
            with open(host, "rb") as file:
                first = file.readline()
            if first and not first[:1].isdigit() and b":" not in first[:12]:
                assert ours.splitlines(keepends=True)[0] == first, entry
                compared += 1
    assert compared >= 8
