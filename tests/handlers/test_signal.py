"""Signal actions, masks, stacks and sending (man 7 signal). What waits and returns is in test_signal_wait.py."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

from linuxemu.testing import Guest
from syscalls.abi.errno import E2BIG, EAGAIN, EFAULT, EINVAL, ENOMEM, EPERM, ESRCH
from syscalls.abi.flags import (
    RLIMIT_SIGPENDING,
    SA_NODEFER,
    SA_RESTORER,
    SI_QUEUE,
    SI_TKILL,
    SI_USER,
    SIG_BLOCK,
    SIG_IGN,
    SIG_SETMASK,
    SIG_UNBLOCK,
    SIGCONT,
    SIGKILL,
    SIGRTMIN,
    SIGSTOP,
    SIGTERM,
    SIGUSR1,
    SS_DISABLE,
    SS_ONSTACK,
)
from syscalls.abi.structs import Rlimit, Sigaction, StackT
from syscalls.objects.siginfo import bit, bits
from syscalls.objects.task import AltStack
from tests.handlers.cases import BAD, SUCCESS, Out, fails, ok, proves

if TYPE_CHECKING:
    from linuxemu.testing import Call

MAIN, OTHER, NOBODY = 2, 3, 4_000_000
"""Pids: of the caller, of what `_other` makes, of no one."""
ACTION = Sigaction(0x1000, SA_RESTORER | SA_NODEFER, 0x2000, bits(SIGUSR1, SIGKILL))
OLD, OLD_SET, STACK = Out(Sigaction), Out("<Q"), Out(StackT)
_BIG = 0x10000


def _other(guest: Guest) -> None:
    guest.process()


def _block(guest: Guest, *signos: int) -> None:
    guest.syscall.rt_sigprocmask(SIG_BLOCK, pack("<Q", bits(*signos)), 0, 8)


def _no_room(guest: Guest) -> None:
    """Whatever is queued is too much, and real-time signals wait."""
    _block(guest, SIGRTMIN)
    guest.syscall.setrlimit(RLIMIT_SIGPENDING, Rlimit(0, 0))


def _set(guest: Guest) -> int:
    return guest.main.t.blocked


def _old_action_is_default(guest: Guest, call: Call) -> None:
    assert OLD.value == Sigaction(0, 0, 0, 0)
    got = guest.main.t.process.sighand.get(SIGUSR1)
    assert (got.handler, got.flags, got.restorer, got.mask) == (0x1000, ACTION.flags, 0x2000, bit(SIGUSR1))


def _blocks(*signos: int) -> object:
    def check(guest: Guest, call: Call) -> None:
        assert _set(guest) == bits(*signos)

    return check


def _on_the_stack(guest: Guest) -> None:
    sp = guest.main.regs.rsp
    guest.syscall.sigaltstack(StackT(sp - 0x8000, 0, _BIG), 0)


def _had_no_stack(guest: Guest, call: Call) -> None:
    assert STACK.value == StackT(0, SS_DISABLE, 0)
    assert guest.main.t.sigaltstack == AltStack(0x5000, 0, 2048)


def _siginfo(code: int, tail: int = 0) -> bytes:
    return pack("<iii", 0, 0, code) + bytes(36) + bytes([tail]) * 80


QUEUED = _siginfo(SI_QUEUE)

CASES = [
    # Actions and masks.
    ok("rt_sigaction", SIGUSR1, ACTION, OLD, 8, returns=0, rpcs=[], check=_old_action_is_default),
    ok("rt_sigaction", SIGKILL, 0, OLD, 8, returns=0, rpcs=[], label="looks at SIGKILL"),
    fails("rt_sigaction", EINVAL, SIGUSR1, BAD, 0, 4, rpcs=[], label="size first"),
    fails("rt_sigaction", EINVAL, SIGKILL, ACTION, 0, 8, rpcs=[], label="SIGKILL"),
    fails("rt_sigaction", EINVAL, SIGSTOP, ACTION, 0, 8, rpcs=[], label="SIGSTOP"),
    fails("rt_sigaction", EINVAL, 0, 0, OLD, 8, rpcs=[], label="signal 0"),
    fails("rt_sigaction", EINVAL, 65, 0, OLD, 8, rpcs=[], label="signal 65"),
    fails("rt_sigaction", EFAULT, 0, BAD, 0, 8, rpcs=[], label="pointer before signal"),
    ok("rt_sigprocmask", SIG_BLOCK, pack("<Q", bits(SIGUSR1, SIGKILL)), OLD_SET, 8, returns=0, rpcs=[],
       check=_blocks(SIGUSR1)),
    ok("rt_sigprocmask", SIG_UNBLOCK, pack("<Q", bit(SIGUSR1)), 0, 8, returns=0, rpcs=[],
       setup=lambda guest: _block(guest, SIGUSR1, SIGTERM), check=_blocks(SIGTERM), label="unblocks"),
    ok("rt_sigprocmask", SIG_SETMASK, pack("<Q", bit(SIGUSR1)), 0, 8, returns=0, rpcs=[],
       setup=lambda guest: _block(guest, SIGTERM), check=_blocks(SIGUSR1), label="sets"),
    ok("rt_sigprocmask", 7, 0, OLD_SET, 8, returns=0, rpcs=[], label="how does not count without a set"),
    fails("rt_sigprocmask", EINVAL, 7, bytes(8), 0, 8, rpcs=[]),
    fails("rt_sigprocmask", EINVAL, SIG_BLOCK, BAD, 0, 4, rpcs=[], label="size first"),
    ok("rt_sigpending", OLD_SET, 8, returns=0, rpcs=[]),
    ok("rt_sigpending", BAD, 0, returns=0, rpcs=[], unfaulted=("uset: nothing is written with size 0",),
       label="size 0"),
    fails("rt_sigpending", EINVAL, OLD_SET, 9, rpcs=[]),
    fails("rt_sigpending", EFAULT, BAD, 4, rpcs=[]),
    # The alternate stack.
    ok("sigaltstack", StackT(0x5000, 0, 2048), STACK, returns=0, rpcs=[],
       check=_had_no_stack),
    ok("sigaltstack", StackT(0x5000, SS_DISABLE, 1), 0, returns=0, rpcs=[], label="size of none does not count"),
    fails("sigaltstack", ENOMEM, StackT(0x5000, 0, 2047), 0, rpcs=[]),
    fails("sigaltstack", EINVAL, StackT(0x5000, 7, _BIG), 0, rpcs=[]),
    fails("sigaltstack", EPERM, StackT(0x5000, 0, _BIG), 0, setup=_on_the_stack, rpcs=[]),
    fails("sigaltstack", EPERM, StackT(0x5000, 7, 1), 0, setup=_on_the_stack, rpcs=[], label="before EINVAL"),
    # Sending.
    ok("kill", OTHER, SIGTERM, setup=_other, returns=0, rpcs=[]),
    ok("kill", MAIN, 0, returns=0, rpcs=[], label="signal 0"),
    ok("kill", 1, SIGTERM, returns=0, rpcs=[], label="pid 1 does not end"),
    ok("kill", 0, SIGCONT, returns=0, rpcs=[], label="own group"),
    ok("kill", -MAIN, SIGCONT, returns=0, rpcs=[], label="a group"),
    ok("kill", -1, SIGCONT, setup=_other, returns=0, rpcs=[], label="all others"),
    ok("kill", OTHER, SIGTERM, setup=lambda guest: guest.process(uid=1000), user=(1000, 1000), returns=0, rpcs=[],
       label="a process of the same user"),
    fails("kill", EINVAL, MAIN, 65, rpcs=[]),
    fails("kill", EINVAL, MAIN, -1, rpcs=[], label="negative signal"),
    fails("kill", ESRCH, NOBODY, 0, rpcs=[]),
    fails("kill", ESRCH, NOBODY, 65, rpcs=[], label="before EINVAL"),
    fails("kill", ESRCH, -NOBODY, 0, rpcs=[], label="no such group"),
    fails("kill", ESRCH, -(1 << 31), 0, rpcs=[], label="a group whose number cannot be"),
    fails("kill", ESRCH, -1, 0, rpcs=[], label="no others"),
    fails("kill", EPERM, 1, 0, user=(1000, 1000), rpcs=[]),
    fails("kill", EPERM, -OTHER, 0, setup=_other, user=(1000, 1000), rpcs=[], label="a group of others"),
    ok("tkill", MAIN, SIGCONT, returns=0, rpcs=[]),
    fails("tkill", EINVAL, 0, 0, rpcs=[]),
    fails("tkill", EINVAL, MAIN, 65, rpcs=[], label="signal 65"),
    fails("tkill", ESRCH, NOBODY, 65, rpcs=[]),
    fails("tkill", EPERM, 1, 0, user=(1000, 1000), rpcs=[]),
    fails("tkill", EAGAIN, MAIN, SIGRTMIN, setup=_no_room, rpcs=[]),
    ok("tkill", MAIN, SIGCONT, setup=_no_room, returns=0, rpcs=[], label="needs no room"),
    ok("tgkill", MAIN, MAIN, SIGCONT, returns=0, rpcs=[]),
    fails("tgkill", EINVAL, 0, MAIN, 0, rpcs=[], label="tgid 0"),
    fails("tgkill", EINVAL, MAIN, 0, 0, rpcs=[], label="tid 0"),
    fails("tgkill", EINVAL, MAIN, MAIN, 65, rpcs=[], label="signal 65"),
    fails("tgkill", ESRCH, 1, MAIN, 0, rpcs=[], label="a thread of another process"),
    fails("tgkill", ESRCH, MAIN, NOBODY, 0, rpcs=[]),
    fails("tgkill", EPERM, 1, 1, 0, user=(1000, 1000), rpcs=[]),
    fails("tgkill", EAGAIN, MAIN, MAIN, SIGRTMIN, setup=_no_room, rpcs=[]),
    # Sending with a siginfo.
    ok("rt_sigqueueinfo", OTHER, SIGTERM, QUEUED, setup=_other, returns=0, rpcs=[]),
    ok("rt_sigqueueinfo", MAIN, 0, _siginfo(SI_USER), returns=0, rpcs=[], label="to itself as if from kill"),
    ok("rt_sigqueueinfo", MAIN, 0, _siginfo(SI_QUEUE, 1), returns=0, rpcs=[], label="a tail that is not looked at"),
    fails("rt_sigqueueinfo", E2BIG, MAIN, SIGUSR1, _siginfo(-100, 1), rpcs=[]),
    fails("rt_sigqueueinfo", E2BIG, OTHER, SIGUSR1, _siginfo(100, 1), setup=_other, rpcs=[], label="before EPERM"),
    fails("rt_sigqueueinfo", EPERM, OTHER, 0, _siginfo(SI_USER), setup=_other, rpcs=[], label="as if from kill"),
    fails("rt_sigqueueinfo", EPERM, OTHER, 0, _siginfo(SI_TKILL), setup=_other, rpcs=[], label="as if from tkill"),
    fails("rt_sigqueueinfo", EPERM, 1, 0, QUEUED, user=(1000, 1000), rpcs=[], label="of another user"),
    fails("rt_sigqueueinfo", EINVAL, MAIN, 65, QUEUED, rpcs=[]),
    fails("rt_sigqueueinfo", ESRCH, NOBODY, 65, QUEUED, rpcs=[]),
    fails("rt_sigqueueinfo", ESRCH, 0, 0, QUEUED, rpcs=[], label="no groups"),
    fails("rt_sigqueueinfo", ESRCH, -1, 0, QUEUED, rpcs=[], label="not all"),
    fails("rt_sigqueueinfo", EAGAIN, MAIN, SIGRTMIN, QUEUED, setup=_no_room, rpcs=[]),
    ok("rt_sigqueueinfo", MAIN, SIGRTMIN, _siginfo(SI_USER), setup=_no_room, returns=0, rpcs=[],
       label="as if from kill it may be lost"),
    ok("rt_tgsigqueueinfo", OTHER, OTHER, SIGTERM, QUEUED, setup=_other, returns=0, rpcs=[]),
    fails("rt_tgsigqueueinfo", E2BIG, MAIN, MAIN, SIGUSR1, _siginfo(-100, 1), rpcs=[]),
    fails("rt_tgsigqueueinfo", EINVAL, 0, MAIN, 0, QUEUED, rpcs=[], label="tgid 0"),
    fails("rt_tgsigqueueinfo", EINVAL, MAIN, 0, 0, QUEUED, rpcs=[], label="tid 0"),
    fails("rt_tgsigqueueinfo", EINVAL, MAIN, MAIN, 65, QUEUED, rpcs=[], label="signal 65"),
    fails("rt_tgsigqueueinfo", EFAULT, 0, 0, 0, BAD, rpcs=[], label="before EINVAL"),
    fails("rt_tgsigqueueinfo", ESRCH, 1, MAIN, 0, QUEUED, rpcs=[]),
    fails("rt_tgsigqueueinfo", EPERM, 1, 1, 0, _siginfo(SI_USER), rpcs=[], label="as if from kill"),
    fails("rt_tgsigqueueinfo", EPERM, 1, 1, 0, QUEUED, user=(1000, 1000), rpcs=[], label="of another user"),
    fails("rt_tgsigqueueinfo", EAGAIN, MAIN, MAIN, SIGRTMIN, QUEUED, setup=_no_room, rpcs=[]),
]  # fmt: skip


def test_an_ignored_signal_is_forgotten_though_it_was_blocked(guest: Guest) -> None:
    _block(guest, SIGUSR1)
    guest.syscall.kill(MAIN, SIGUSR1)
    guest.syscall.rt_sigaction(SIGUSR1, Sigaction(SIG_IGN, 0, 0, 0), 0, 8)
    guest.syscall.rt_sigpending(OLD_SET, 8)
    assert OLD_SET.value == 0


def test_a_blocked_signal_pends_until_it_is_unblocked(guest: Guest) -> None:
    handler = guest.on_signal(SIGUSR1)
    _block(guest, SIGUSR1)
    guest.syscall.kill(MAIN, SIGUSR1)
    guest.syscall.rt_sigpending(OLD_SET, 8)
    assert (OLD_SET.value, handler.signals) == (bit(SIGUSR1), [])
    guest.syscall.rt_sigprocmask(SIG_UNBLOCK, pack("<Q", bit(SIGUSR1)), 0, 8)
    assert handler.signals == [SIGUSR1]


@proves("kill", SUCCESS, rpcs=[])
def test_a_shell_may_continue_a_job_of_another_user_in_its_session(guest: Guest) -> None:
    child = guest.fork()
    child.syscall.setuid(1000)
    child.syscall.kill(guest.main.pid, SIGCONT)
    assert child.start.kill(guest.main.pid, SIGTERM).errno == EPERM


def test_all_but_the_caller_and_pid_1_get_what_is_sent_to_all(guest: Guest) -> None:
    others = [guest.process(), guest.process(uid=1000)]
    assert guest.syscall.kill(-1, SIGKILL) == 0
    assert [other.signal for other in others] == [SIGKILL, SIGKILL]
    assert not guest.main.gone


def test_a_group_with_one_that_may_be_sent_to_is_success(guest: Guest) -> None:
    mine, theirs = guest.fork(), guest.fork()
    mine.syscall.setpgid(0, 0)
    guest.syscall.setpgid(theirs.pid, mine.pid)
    mine.syscall.setuid(1000)
    killer = guest.fork(mine)
    killer.syscall.setpgid(0, 0)
    assert killer.syscall.kill(-mine.pid, SIGTERM) == 0
    assert (mine.signal, theirs.gone) == (SIGTERM, False)


@proves("tgkill", SUCCESS, rpcs=[])
def test_a_signal_for_a_thread_runs_its_handler_there(guest: Guest) -> None:
    handler, thread = guest.on_signal(SIGUSR1, hold=True), guest.thread()
    guest.syscall.tgkill(MAIN, thread.tid, SIGUSR1)
    assert (thread.held_in, guest.main.held_in) == (handler, None)
    thread.sigreturn()


def test_a_queued_value_arrives_with_the_signal(guest: Guest) -> None:
    handler = guest.on_signal(SIGUSR1)
    info = pack("<iiiiiIQ", 0, 0, SI_QUEUE, 0, 77, 88, 99)
    guest.syscall.rt_sigqueueinfo(MAIN, SIGUSR1, info.ljust(128, b"\0"))
    assert handler.calls[0][1][:32] == pack("<i", SIGUSR1) + info[4:]


def test_an_alternate_stack_is_where_the_handler_runs(guest: Guest) -> None:
    room = guest.put(bytes(0x4000))
    guest.syscall.sigaltstack(StackT(room, 0, 0x4000), 0)
    guest.on_signal(SIGUSR1, flags=SA_RESTORER | 0x0800_0000, hold=True)
    guest.main.start.kill(MAIN, SIGUSR1)
    assert room < guest.main.regs.rsp < room + 0x4000
    guest.syscall.sigaltstack(0, STACK)
    assert STACK.value == StackT(room, SS_ONSTACK, 0x4000)
    guest.main.sigreturn()
