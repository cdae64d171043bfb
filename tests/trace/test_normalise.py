"""What the normaliser makes equal, and what it leaves alone."""

from __future__ import annotations

import pytest

from tests.trace.lines import Call, by_process, parse
from tests.trace.normalise import normalise, settled


def lines(*said: str) -> list[str]:
    """One process's lines, normalised."""
    return normalise("".join(f"77 {line}\n" for line in said))["1"]


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("getpid() = 5", Call("getpid", [], "5")),
        ("close(3)                = -1 EBADF (Bad)", Call("close", ["3"], "-1 EBADF (Bad)")),
        (r'write(1, "a, \")b", 6) = 6', Call("write", ["1", r'"a, \")b"', "6"], "6")),
        ('open("a", X /* ( */, {a=[1, 2], b=f(3)}) = 4', Call("open", ['"a"', "X /* ( */", "{a=[1, 2], b=f(3)}"], "4")),
        ("exit_group(0)  = ?", Call("exit_group", ["0"], "?")),
        ("+++ exited with 0 +++", None),
        ("--- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---", None),
    ],
)  # fmt: skip
def test_a_line_is_cut_into_its_parts(line: str, call: Call | None) -> None:
    assert parse(line) == call


def test_interrupted_calls_are_joined() -> None:
    text = (
        "5 read(0,  <unfinished ...>\n"
        "6 getpid() = 6\n"
        '5 <... read resumed>"x", 1)   = 1\n'
        "6 pause( <unfinished ...>\n"
        "5 exit(0) = ?\n"
        "6 <... pause resumed>) = ? ERESTARTNOHAND (To be restarted if no handler)\n"
        "6 nanosleep({tv_sec=5, tv_nsec=0},  <unfinished ...>) = ?\n"
    )
    assert by_process(text) == {
        5: ['read(0, "x", 1)   = 1', "exit(0) = ?"],
        6: [
            "getpid() = 6",
            "pause() = ? ERESTARTNOHAND (To be restarted if no handler)",
            "nanosleep({tv_sec=5, tv_nsec=0},  <unfinished>) = ?",
        ],
    }


def test_a_call_that_never_ended_stays_unfinished() -> None:
    assert by_process("5 read(0,  <unfinished ...>\n") == {5: ["read(0,  <unfinished>"]}


def test_lines_without_a_pid_are_of_one_process() -> None:
    assert normalise("getuid() = 0\ngetgid() = 0\n") == {"1": ["getuid() = 0", "getgid() = 0"]}
    assert normalise("") == {}


def test_processes_have_their_place_in_the_tree() -> None:
    text = (
        "50 fork() = 60\n60 fork() = 70\n50 clone(child_stack=NULL, flags=SIGCHLD) = 61\n"
        "61 getppid() = 50\n70 kill(60, SIGTERM) = 0\n50 kill(-61, 0) = 0\n50 wait4(-1, NULL, 0, NULL) = 60\n"
    )
    assert normalise(text) == {
        "1": [
            "fork() = <1.1>",
            "clone(child_stack=NULL, flags=SIGCHLD) = <1.2>",
            "kill(-<1.2>, 0) = 0",
            "wait4(-1, NULL, 0, NULL) = <1.1>",
        ],
        "1.1": ["fork() = <1.1.1>"],
        "1.2": ["getppid() = <1>"],
        "1.1.1": ["kill(<1.1>, SIGTERM) = 0"],
    }


def test_processes_that_nobody_is_seen_to_make_are_counted() -> None:
    assert list(normalise("9 getuid() = 0\n12 getuid() = 0\n9 fork() = 13\n13 getuid() = 0\n")) == ["1", "2", "1.1"]


def test_numbers_that_are_no_pids_stay() -> None:
    assert lines("read(77, 0x1000, 77) = -1 EFAULT (Bad address)", "getuid() = 77") == [
        "read(77, 0x1000, 77) = -1 EFAULT (Bad address)",
        "getuid() = 77",
    ]


def test_pids_in_structures_and_commands() -> None:
    assert lines(
        "--- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=77, si_uid=77} ---",
        "fcntl(3, F_SETOWN, -77) = 0",
        "fcntl(3, F_GETOWN) = 77",
        "fcntl(3, F_SETOWN_EX, {type=F_OWNER_PID, pid=77}) = 0",
        "ioctl(3, TIOCGPGRP, [77]) = 0",
        "getppid() = 12",
        "kill(12, 0) = 0",
    ) == [
        "--- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=<1>, si_uid=77} ---",
        "fcntl(3, F_SETOWN, -<1>) = 0",
        "fcntl(3, F_GETOWN) = <1>",
        "fcntl(3, F_SETOWN_EX, {type=F_OWNER_PID, pid=<1>}) = 0",
        "ioctl(3, TIOCGPGRP, [<1>]) = 0",
        "getppid() = <outside>",
        "kill(12, 0) = 0",
    ]


def test_addresses_are_relative_to_what_was_mapped() -> None:
    assert lines(
        "brk(NULL) = 0x1234000",
        "brk(0x1255000) = 0x1255000",
        "mmap(NULL, 100, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7f1200000000",
        "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7f1200001000",
        "munmap(0x7f1200000000, 100) = 0",
        "read(0, 0x7f1200001010, 5) = -1 EIO (Input/output error)",
        "write(1, 0x7ffc12345678, 5) = -1 EFAULT (Bad address)",
        'write(1, "0x7f1200000000", 14) = 14',
        "set_tid_address(0x1234abc) = 77",
        "open(0x4a50d0, O_RDONLY) = -1 EFAULT (Bad address)",
        "fcntl(0, F_SETFL, 0x40000000 /* O_??? */) = 0",
    ) == [
        "brk(NULL) = heap",
        "brk(heap+0x21000) = heap+0x21000",
        "mmap(NULL, 100, PROT_READ, MAP_PRIVATE, 3, 0) = map1",
        "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = map2",
        "munmap(map1, 100) = 0",
        "read(0, map2+0x10, 5) = -1 EIO (Input/output error)",
        "write(1, STACK, 5) = -1 EFAULT (Bad address)",
        'write(1, "0x7f1200000000", 14) = 14',
        "set_tid_address(heap+0xabc) = <1>",
        "open(0x4a50d0, O_RDONLY) = -1 EFAULT (Bad address)",
        "fcntl(0, F_SETFL, 0x40000000 /* O_??? */) = 0",
    ]


def test_what_malloc_gives_depends_on_what_was_allocated_before() -> None:
    assert lines(
        "brk(NULL) = 0x1234000",
        "brk(0x1234d40) = 0x1234d40",
        "set_tid_address(0x1234690) = 77",
        "brk(0x1256000) = 0x1256000",
        "set_robust_list(0x12346a0, 24) = 0",
        'execve("x", ["x"], 0x1235b18 /* 6 vars */) = -1 ENOENT (No such file or directory)',
        "brk(0x1277000) = 0x1277000",
        "read(0, 0x1270010, 5) = -1 EIO (Input/output error)",
    ) == [
        "brk(NULL) = heap",
        "brk(heap+0xd40) = heap+0xd40",
        "set_tid_address(heap+0x690) = <1>",
        "brk(heap+0x22000) = heap+0x22000",
        "set_robust_list(heap+0x6a0, 24) = 0",
        'execve("x", ["x"], heap /* 6 vars */) = -1 ENOENT (No such file or directory)',
        "brk(heap+0x43000) = heap+0x43000",
        "read(0, heap, 5) = -1 EIO (Input/output error)",
    ]


def test_directories_have_any_order_and_size_and_machines_any_name() -> None:
    entry = '{d_ino=%d, d_off=%d, d_reclen=24, d_type=DT_REG, d_name="%s"}'
    assert lines(
        f"getdents64(3, [{entry % (5, 1, 'b')}, {entry % (4, 2, 'a')}], 32768) = 48",
        'stat("d", {st_mode=S_IFDIR|0755, st_size=4096, ...}) = 0',
        'stat("d", {st_mode=S_IFDIR|0700, st_nlink=2, st_blksize=4096, st_blocks=8, st_size=4096}) = 0',
        'stat("f", {st_mode=S_IFREG|0755, st_size=4096, ...}) = 0',
        'uname({sysname="Linux", nodename="vm", ...}) = 0',
        'write(1, "nodename=\\"vm\\"", 13) = 13',
    ) == [
        'getdents64(3, [{d_ino=N, d_off=N, d_reclen=24, d_type=DT_REG, d_name="a"}, '
        '{d_ino=N, d_off=N, d_reclen=24, d_type=DT_REG, d_name="b"}], 32768) = 48',
        'stat("d", {st_mode=S_IFDIR|0755, st_size=N, ...}) = 0',
        'stat("d", {st_mode=S_IFDIR|0700, st_nlink=2, st_blksize=4096, st_size=N}) = 0',
        'stat("f", {st_mode=S_IFREG|0755, st_size=4096, ...}) = 0',
        'uname({sysname="Linux", nodename="N", ...}) = 0',
        'write(1, "nodename=\\"vm\\"", 13) = 13',
    ]


def test_names_of_commands_stand_with_pids() -> None:
    text = (
        "5<sh> fork() = 6<sh>\n6<sh> kill(5<sh>, 0) = 0\n6<sh> +++ exited with 0 +++\n"
        f"5<sh> {REAPED % 6}\n5<sh> {(ENDED % 6).replace('=6', '=6<sh>')}\n5<sh> getppid() = 4<x>\n"
    )
    reaped, ended = (line.replace("%d", "<1.1>") for line in (REAPED, ENDED))
    assert normalise(text) == {
        "1": ["fork() = <1.1><sh>", reaped, ended, "getppid() = <outside>"],
        "1.1": ["kill(<1><sh>, 0) = 0", "+++ exited with 0 +++"],
    }


def test_a_new_program_has_no_mappings_and_a_child_has_its_parents() -> None:
    text = (
        "5 brk(NULL) = 0x1234000\n5 brk(0x1255000) = 0x1255000\n5 fork() = 6\n"
        '6 execve("x", ["x"], 0x1240000 /* 3 vars */) = 0\n6 open(0x1240000, O_RDONLY) = 3\n'
    )
    assert normalise(text)["1.1"] == [
        'execve("x", ["x"], heap+0xc000 /* 3 vars */) = 0',
        "open(0x1240000, O_RDONLY) = 3",
    ]


def test_times_of_the_kernel_are_not_compared_those_of_the_program_are() -> None:
    assert lines(
        "clock_gettime(CLOCK_REALTIME, {tv_sec=1700000000, tv_nsec=5}) = 0",
        "setitimer(ITIMER_REAL, {it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=9, tv_usec=1}}, "
        "{it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=7, tv_usec=33}}) = 0",
        "nanosleep({tv_sec=5, tv_nsec=7}, {tv_sec=4, tv_nsec=12345}) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)",
        "select(1, [0], NULL, NULL, {tv_sec=5, tv_usec=0}) = 1 (in [0], left {tv_sec=4, tv_usec=99})",
        "ppoll([], 0, {tv_sec=0, tv_nsec=5}, NULL, 8) = 1 ([{fd=3, revents=POLLIN}], left {tv_sec=0, tv_nsec=3})",
        "time(NULL) = 1700000000",
        "wait4(-1, NULL, 0, {ru_utime={tv_sec=0, tv_usec=5}, ...}) = -1 ECHILD (No child processes)",
        'utimensat(AT_FDCWD, "f", [{tv_sec=1, tv_nsec=2}, UTIME_NOW], 0) = 0',
        "clock_gettime(CLOCK_REALTIME, 0x1000) = -1 EFAULT (Bad address)",
    ) == [
        "clock_gettime(CLOCK_REALTIME, {tv_sec=N, tv_nsec=N}) = 0",
        "setitimer(ITIMER_REAL, {it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=9, tv_usec=1}}, "
        "{it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=N, tv_usec=N}}) = 0",
        "nanosleep({tv_sec=5, tv_nsec=7}, {tv_sec=N, tv_nsec=N}) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)",
        "select(1, [0], NULL, NULL, {tv_sec=5, tv_usec=0}) = 1 (in [0], left {N})",
        "ppoll([], 0, {tv_sec=0, tv_nsec=5}, NULL, 8) = 1 ([{fd=3, revents=POLLIN}], left {N})",
        "time(NULL) = N",
        "wait4(-1, NULL, 0, {ru_utime={tv_sec=N, tv_usec=N}, ...}) = -1 ECHILD (No child processes)",
        'utimensat(AT_FDCWD, "f", [{tv_sec=1, tv_nsec=2}, UTIME_NOW], 0) = 0',
        "clock_gettime(CLOCK_REALTIME, 0x1000) = -1 EFAULT (Bad address)",
    ]


def test_files_of_the_day() -> None:
    assert lines(
        'stat("f", {st_dev=makedev(0xfe, 0x1), st_ino=1234, st_mode=S_IFREG|0644, st_size=5, '
        "st_atime=1700000000 /* 2023-11-14T22:13:20.5+0000 */, st_atime_nsec=500000000, "
        "st_mtime=1000000 /* 1970-01-12T13:46:40+0000 */, st_mtime_nsec=0}) = 0",
        'getrandom("\\x12\\x34", 2, 0) = 2',
        "read(3<pipe:[1234]>, 0x1000, 5) = -1 EFAULT (Bad address)",
        "close(4<pipe:[1235]>) = 0",
        "close(3<pipe:[1234]>) = 0",
    ) == [
        'stat("f", {st_dev=N, st_ino=N, st_mode=S_IFREG|0644, st_size=5, st_atime=N, '
        "st_mtime=1000000 /* 1970-01-12T13:46:40+0000 */, st_mtime_nsec=0}) = 0",
        'getrandom("random", 2, 0) = 2',
        "read(3<pipe:[N1]>, 0x1000, 5) = -1 EFAULT (Bad address)",
        "close(4<pipe:[N2]>) = 0",
        "close(3<pipe:[N1]>) = 0",
    ]


ENDED = "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=%d, si_uid=0, si_status=0} ---"
REAPED = "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = %d"


def test_the_end_of_a_child_is_told_where_it_is_reaped() -> None:
    early = ["fork() = 6", ENDED % 6, "rt_sigreturn({mask=[]}) = 3", "close(3) = 0", REAPED % 6, "exit(0) = ?"]
    late = ["fork() = 6", "close(3) = 0", REAPED % 6, ENDED % 6, "rt_sigreturn({mask=[]}) = 6", "exit(0) = ?"]
    expected = ["fork() = 6", "close(3) = 0", REAPED % 6, ENDED % 6, "rt_sigreturn(...) = ...", "exit(0) = ?"]
    assert settled(early) == settled(late) == expected


def test_a_call_that_it_interrupted_stands_once() -> None:
    interrupted = "read(0, 0x5000, 1) = ? ERESTARTSYS (To be restarted)"
    again = ["fork() = 6", interrupted, ENDED % 6, 'read(0, "", 1) = 0', REAPED % 6]
    assert settled(again) == ["fork() = 6", 'read(0, "", 1) = 0', REAPED % 6, ENDED % 6]


def test_several_children_may_end_in_any_order() -> None:
    made = ["fork() = 9", "fork() = 7"]
    one = [*made, REAPED % 7, ENDED % 7, REAPED % 9, ENDED % 9, "exit(0) = ?"]
    other = [*made, ENDED % 9, REAPED % 9, REAPED % 7, "exit(0) = ?"]
    assert settled(one) == settled(other) == [*made, REAPED % 9, REAPED % 7, "exit(0) = ?"]


def test_the_end_of_a_child_that_is_not_reaped_is_a_matter_of_chance() -> None:
    seen = ["fork() = 6", ENDED % 6, "exit(0) = ?"]
    assert settled(seen) == settled(["fork() = 6", "exit(0) = ?"]) == ["fork() = 6", "exit(0) = ?"]


def test_other_news_of_children_and_handlers_that_work_stay_in_place() -> None:
    stopped = (ENDED % 6).replace("EXITED", "STOPPED")
    said = ["fork() = 6", stopped, "close(3) = 0", REAPED % 6]
    assert settled(said) == said
