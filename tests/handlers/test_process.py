"""The end of processes and waiting for it (man 2 _exit, man 2 wait)."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING, Any

import pytest

from linuxemu.testing import BAD, Guest
from linuxemu.testing.thread import GuestThread
from syscalls.abi import flags
from syscalls.abi.errno import EBADF, ECHILD, EFAULT, EINTR, EINVAL, ESRCH
from syscalls.abi.flags import (
    CLD_CONTINUED,
    CLD_EXITED,
    CLD_KILLED,
    CLD_STOPPED,
    CLONE_CHILD_CLEARTID,
    MAP_SHARED,
    P_ALL,
    P_PGID,
    P_PID,
    P_PIDFD,
    PROT_READ,
    PROT_WRITE,
    SA_RESTART,
    SIGCHLD,
    SIGCONT,
    SIGKILL,
    SIGSTOP,
    SIGUSR1,
    WCONTINUED,
    WEXITED,
    WNOHANG,
    WNOWAIT,
    WSTOPPED,
    WUNTRACED,
)
from syscalls.abi.structs import Rusage
from tests.handlers.cases import NULL, SUCCESS, Out, fails, ok, open_file, proves

if TYPE_CHECKING:
    from linuxemu.testing import Call

MAIN, CHILD, NOBODY = 2, 3, 4_000_000
STATUS, USAGE, INFO = Out("<i"), Out(Rusage, b"\xee"), Out(128, b"\xee")
_UNKNOWN = 0x10
_INT_MIN = -(1 << 31)
_KEPT = b"\xee" * 4


def _zombie(guest: Guest, status: int = 7) -> GuestThread:
    child = guest.fork()
    child.start.exit_group(status)
    return child


def _running(guest: Guest) -> GuestThread:
    return guest.fork()


def _stopped(guest: Guest) -> GuestThread:
    child = guest.fork()
    guest.syscall.kill(child.pid, SIGSTOP)
    return child


def _continued(guest: Guest) -> GuestThread:
    child = _stopped(guest)
    guest.syscall.kill(child.pid, SIGCONT)
    return child


def _clone_child(guest: Guest) -> None:
    """A zombie whose end sends no SIGCHLD."""
    guest.thread_of(guest.syscall.clone(0, 0)).start.exit_group(1)


def _status(word: int) -> Any:
    def check(guest: Guest, call: Call) -> None:
        assert STATUS.value == word

    return check


def _exited(guest: Guest, call: Call) -> None:
    assert STATUS.value == 7 << 8
    assert (USAGE.value.ru_maxrss > 0, USAGE.value.ru_nswap) == (True, 0)
    assert not guest.linux.process(CHILD)


def _siginfo(code: int, status: int, *, reaped: bool = True) -> Any:
    wanted = pack("<iii", SIGCHLD, 0, code) + _KEPT + pack("<iIi", CHILD, 0, status)

    def check(guest: Guest, call: Call) -> None:
        assert INFO.value == wanted.ljust(128, b"\xee")
        assert bool(guest.linux.process(CHILD)) is not reaped

    return check


def _nothing(guest: Guest, call: Call) -> None:
    assert INFO.value == (bytes(12) + _KEPT + bytes(12)).ljust(128, b"\xee")


CASES = [
    ok("exit", 3, rpcs=[], ends=True, check=lambda guest, call: _ended(guest, 3)),
    ok("exit", 0x1FF, rpcs=[], ends=True, check=lambda guest, call: _ended(guest, 0xFF), label="low byte"),
    ok("exit_group", 3, rpcs=[], ends=True, check=lambda guest, call: _ended(guest, 3)),
    ok("wait4", -1, STATUS, 0, USAGE, setup=_zombie, returns=CHILD, rpcs=[], check=_exited),
    ok("wait4", CHILD, 0, 0, 0, setup=_zombie, returns=CHILD, rpcs=[], label="by pid without pointers"),
    ok("wait4", 0, 0, 0, 0, setup=_zombie, returns=CHILD, rpcs=[], label="own group"),
    ok("wait4", -MAIN, 0, 0, 0, setup=_zombie, returns=CHILD, rpcs=[], label="a group"),
    ok("wait4", -1, BAD, WNOHANG, BAD, setup=_running, returns=0, rpcs=[], label="nothing has happened",
       unfaulted=("wstatus: nothing is written without an event", "ru: the same")),
    ok("wait4", -1, STATUS, WUNTRACED, 0, setup=_stopped, returns=CHILD, rpcs=[], label="stopped",
       check=_status(SIGSTOP << 8 | 0x7F)),
    ok("wait4", -1, STATUS, WCONTINUED, 0, setup=_continued, returns=CHILD, rpcs=[], label="continued",
       check=_status(0xFFFF)),
    ok("wait4", -1, 0, flags.__WCLONE, 0, setup=_clone_child, returns=CHILD, rpcs=[], label="without SIGCHLD"),
    ok("wait4", -1, 0, flags.__WALL, 0, setup=_clone_child, returns=CHILD, rpcs=[], label="all"),
    fails("wait4", ECHILD, -1, 0, 0, 0, rpcs=[]),
    fails("wait4", ECHILD, -1, 0, 0, 0, setup=_clone_child, rpcs=[], label="none with SIGCHLD"),
    fails("wait4", ECHILD, -1, 0, flags.__WCLONE, 0, setup=_zombie, rpcs=[], label="none without SIGCHLD"),
    fails("wait4", ECHILD, 1, 0, 0, 0, setup=_zombie, rpcs=[], label="not a child"),
    fails("wait4", ECHILD, -NOBODY, 0, 0, 0, setup=_zombie, rpcs=[], label="no such group"),
    fails("wait4", EINVAL, -1, 0, _UNKNOWN, 0, setup=_zombie, rpcs=[]),
    fails("wait4", EINVAL, _INT_MIN, 0, _UNKNOWN, 0, rpcs=[], label="before ESRCH"),
    fails("wait4", ESRCH, _INT_MIN, 0, 0, 0, setup=_zombie, rpcs=[]),
    ok("waitid", P_ALL, 0, INFO, WEXITED, USAGE, setup=_zombie, returns=0, rpcs=[], check=_siginfo(CLD_EXITED, 7)),
    ok("waitid", P_PID, CHILD, INFO, WEXITED | WNOWAIT, 0, setup=_zombie, returns=0, rpcs=[],
       check=_siginfo(CLD_EXITED, 7, reaped=False), label="is not reaped"),
    ok("waitid", P_PGID, 0, INFO, WSTOPPED, 0, setup=_stopped, returns=0, rpcs=[],
       check=_siginfo(CLD_STOPPED, SIGSTOP, reaped=False), label="stopped"),
    ok("waitid", P_PGID, MAIN, INFO, WCONTINUED, 0, setup=_continued, returns=0, rpcs=[],
       check=_siginfo(CLD_CONTINUED, SIGCONT, reaped=False), label="continued"),
    ok("waitid", P_ALL, 0, 0, WEXITED, 0, setup=_zombie, returns=0, rpcs=[], label="without pointers"),
    ok("waitid", P_ALL, 0, INFO, WEXITED | WNOHANG, BAD, setup=_running, returns=0, rpcs=[], check=_nothing,
       unfaulted=("ru: nothing is written without an event",), label="nothing has happened"),
    fails("waitid", ECHILD, P_ALL, 0, INFO, WEXITED, 0, rpcs=[], check=_nothing),
    fails("waitid", EINVAL, P_ALL, 0, INFO, 0, 0, setup=_zombie, rpcs=[], check=_nothing, label="no state"),
    fails("waitid", EINVAL, P_ALL, 0, INFO, WEXITED | _UNKNOWN, 0, setup=_zombie, rpcs=[], label="option"),
    fails("waitid", EINVAL, 9, 0, INFO, WEXITED, 0, setup=_zombie, rpcs=[], label="idtype"),
    fails("waitid", EINVAL, P_PID, 0, INFO, WEXITED, 0, setup=_zombie, rpcs=[], label="pid 0"),
    fails("waitid", EINVAL, P_PGID, -1, INFO, WEXITED, 0, setup=_zombie, rpcs=[], label="group -1"),
    fails("waitid", EINVAL, P_PIDFD, -1, INFO, WEXITED, 0, setup=_zombie, rpcs=[], label="descriptor -1"),
    fails("waitid", EBADF, P_PIDFD, 0, INFO, WEXITED, 0, setup=_zombie, rpcs=[], check=_nothing,
          label="no pidfd"),
    fails("waitid", EBADF, P_PIDFD, 99, INFO, WEXITED, 0, setup=_zombie, rpcs=[], label="closed"),
    fails("waitid", EFAULT, P_ALL, 0, BAD, 0, 0, rpcs=[], label="an error is written too"),
]  # fmt: skip


def _ended(guest: Guest, status: int) -> None:
    assert (guest.main.gone, guest.main.exit_status) == (True, status)


# -- exit -----------------------------------------------------------------------------------------------------------


@proves("exit_group", SUCCESS, rpcs=["fs.close"])
@pytest.mark.linuxemu(root="memfs")
def test_the_last_process_with_a_file_closes_it(guest: Guest) -> None:
    guest.files.write("/file")
    open_file(guest)
    child = guest.fork()
    guest.rpc.clear()
    child.start.exit_group(0)
    assert "fs.close" not in guest.rpc.log.names()
    guest.start.exit_group(0)


@proves("exit", SUCCESS, rpcs=[])
def test_exit_ends_one_thread_and_leaves_the_process(guest: Guest) -> None:
    thread = guest.thread()
    thread.start.exit(3)
    assert (thread.gone, guest.main.gone) == (True, False)
    assert guest.syscall.getpid() == MAIN


def test_the_last_thread_decides_the_status_of_exit(guest: Guest) -> None:
    child = guest.fork()
    thread = guest.thread(child)
    child.start.exit(3)
    thread.start.exit(4)
    guest.syscall.wait4(child.pid, STATUS, 0, 0)
    assert STATUS.value == 4 << 8


def test_exit_clears_the_tid_and_wakes_who_joins(guest: Guest) -> None:
    word = guest.put(bytes(4))
    tid = guest.syscall.clone(0x50F00 | CLONE_CHILD_CLEARTID, guest.put(bytes(0x1000)) + 0xF00, 0, word)
    thread = guest.thread_of(tid)
    guest.write(word, pack("<I", tid))
    joining = guest.start.futex(word, 0, tid, 0)
    assert joining.blocked
    thread.start.exit(0)
    assert (joining.result, guest.read(word, 4)) == (0, bytes(4))


@proves("exit_group", SUCCESS, rpcs=[])
def test_exit_group_ends_threads_that_wait(guest: Guest) -> None:
    thread = guest.thread()
    waiting = thread.start.pause()
    guest.start.exit_group(5)
    assert (waiting.gone, guest.main.exit_status) == (True, 5)


def test_a_parent_is_told_of_the_end(guest: Guest) -> None:
    handler = guest.on_signal(SIGCHLD)
    _zombie(guest)
    guest.settle()
    assert handler.signals == [SIGCHLD]
    assert handler.calls[0][1][8:28] == pack("<iiiIi", CLD_EXITED, 0, CHILD, 0, 7)


# -- wait4, waitid --------------------------------------------------------------------------------------------------


@proves("wait4", SUCCESS, rpcs=[])
def test_wait4_waits_until_a_child_ends(guest: Guest) -> None:
    child = _running(guest)
    call = guest.start.wait4(-1, STATUS, 0, 0)
    assert call.blocked
    child.syscall.sched_yield()
    child.start.kill(child.pid, SIGKILL)
    assert (call.result, STATUS.value) == (child.pid, SIGKILL)


@proves("wait4", EINTR, rpcs=[])
def test_a_handler_ends_wait4(guest: Guest) -> None:
    child, handler = _running(guest), guest.on_signal(SIGUSR1)
    call = guest.start.wait4(-1, STATUS, 0, 0)
    child.syscall.kill(MAIN, SIGUSR1)
    assert (call.errno, handler.signals) == (EINTR, [SIGUSR1])


@proves("wait4", SUCCESS, rpcs=[])
def test_with_sa_restart_wait4_goes_on_after_the_handler(guest: Guest) -> None:
    child, handler = _running(guest), guest.on_signal(SIGUSR1, flags=SA_RESTART)
    call = guest.start.wait4(-1, STATUS, 0, 0)
    child.syscall.kill(MAIN, SIGUSR1)
    assert (call.blocked, handler.signals) == (True, [SIGUSR1])
    child.start.exit_group(1)
    assert call.result == child.pid


@proves("wait4", EFAULT, rpcs=[], pointers=["wstatus"])
def test_a_child_is_reaped_even_if_its_status_cannot_be_written(guest: Guest) -> None:
    _zombie(guest)
    assert guest.start.wait4(-1, BAD, 0, 0).errno == EFAULT
    assert guest.start.wait4(-1, 0, 0, 0).errno == ECHILD


def test_threads_wait_for_each_other_s_children_but_with_wnothread(guest: Guest) -> None:
    _zombie(guest)
    thread = guest.thread()
    assert thread.start.wait4(-1, 0, flags.__WNOTHREAD, 0).errno == ECHILD
    assert thread.syscall.wait4(-1, 0, 0, 0) == CHILD


@proves("waitid", SUCCESS, rpcs=[])
def test_waitid_waits_until_a_child_ends(guest: Guest) -> None:
    child = _running(guest)
    call = guest.start.waitid(P_PID, child.pid, INFO, WEXITED, 0)
    assert call.blocked
    child.start.kill(child.pid, SIGKILL)
    assert call.result == 0
    _siginfo(CLD_KILLED, SIGKILL)(guest, call)


@proves("waitid", EINTR, rpcs=[])
def test_a_handler_ends_waitid(guest: Guest) -> None:
    child = _running(guest)
    guest.on_signal(SIGUSR1)
    call = guest.start.waitid(P_ALL, 0, INFO, WEXITED, 0)
    child.syscall.kill(MAIN, SIGUSR1)
    assert call.errno == EINTR
    _nothing(guest, call)


@proves("waitid", SUCCESS, rpcs=[])
def test_with_sa_restart_waitid_goes_on_after_the_handler(guest: Guest) -> None:
    child, handler = _running(guest), guest.on_signal(SIGUSR1, flags=SA_RESTART)
    call = guest.start.waitid(P_ALL, 0, INFO, WEXITED, 0)
    child.syscall.kill(MAIN, SIGUSR1)
    assert (call.blocked, handler.signals) == (True, [SIGUSR1])
    child.start.exit_group(1)
    assert call.result == 0


@proves("waitid", EFAULT, rpcs=[], pointers=["ru"])
def test_a_child_is_reaped_even_if_its_usage_cannot_be_written(guest: Guest) -> None:
    _zombie(guest)
    assert guest.start.waitid(P_ALL, 0, INFO, WEXITED, BAD).errno == EFAULT
    assert guest.start.waitid(P_ALL, 0, INFO, WEXITED, NULL).errno == ECHILD


@proves("exit_group", SUCCESS, rpcs=["fs.write", "fs.close"])
@pytest.mark.linuxemu(root="memfs")
def test_what_a_shared_mapping_changed_is_stored_at_the_end(guest: Guest) -> None:
    guest.files.write("/file", b"old")
    fd = open_file(guest)
    at = guest.syscall.mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
    guest.syscall.close(fd)
    guest.write(at, b"new")
    guest.rpc.clear()
    guest.start.exit_group(0)
