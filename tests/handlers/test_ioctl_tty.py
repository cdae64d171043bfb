"""ioctl on a terminal (man 2 ioctl_tty)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linuxemu.messages import console
from linuxemu.testing import ANY, BAD, Call, Guest, InOut
from linuxemu.testing.thread import GuestThread
from syscalls.abi import flags
from syscalls.abi.errno import EFAULT, EINTR, EINVAL, EIO, ENOTTY, EPERM, ESRCH
from syscalls.abi.flags import (
    FIONREAD,
    N_TTY,
    SA_RESTART,
    SIG_IGN,
    SIGCONT,
    SIGHUP,
    SIGTTOU,
    SIGWINCH,
    TCFLSH,
    TCGETA,
    TCGETS,
    TCGETS2,
    TCSBRK,
    TCSBRKP,
    TCSETA,
    TCSETAF,
    TCSETAW,
    TCSETS,
    TCSETS2,
    TCSETSF,
    TCSETSF2,
    TCSETSW,
    TCSETSW2,
    TCXONC,
    TIOCCBRK,
    TIOCEXCL,
    TIOCGDEV,
    TIOCGETD,
    TIOCGEXCL,
    TIOCGPGRP,
    TIOCGSID,
    TIOCGWINSZ,
    TIOCNOTTY,
    TIOCNXCL,
    TIOCOUTQ,
    TIOCSBRK,
    TIOCSCTTY,
    TIOCSETD,
    TIOCSPGRP,
    TIOCSTI,
    TIOCSWINSZ,
    TIOCVHANGUP,
)
from syscalls.abi.structs import Sigaction, Termio, Termios, Termios2, Winsize
from syscalls.objects.device import CONSOLE_RDEV
from tests.handlers.cases import SUCCESS, Out, fails, ok, proves, recorded
from tests.handlers.pathcases import USER
from tests.handlers.terminals import SETTINGS, terminal

NUMBER = Out("<i", b"\x55")
TERMIOS, TERMIO, TERMIOS2, SIZE = Out(Termios), Out(Termio), Out(Termios2), Out(Winsize)
OTHER = SETTINGS.replace(c_lflag=0)
NOBODY = 0x3FFF_FFF0
UNKNOWN = 0x1234_5678
GET, SET = ["console.tcgets"], ["console.tcsets"]
WINDOW = ["console.get_winsize", "console.set_winsize"]


def number(value: int) -> bytes:
    """An int that a pointer is to point to."""
    return (value & 0xFFFF_FFFF).to_bytes(4, "little")


def _number(value: int) -> Callable[[Guest, Call], None]:
    def check(guest: Guest, call: Call) -> None:
        assert NUMBER.value == value

    return check


def _settings(guest: Guest, call: Call) -> None:
    assert TERMIOS.value == SETTINGS


def _settings_and_speeds(guest: Guest, call: Call) -> None:
    found = TERMIOS2.value
    assert (found.c_lflag, found.c_ispeed, found.c_ospeed) == (SETTINGS.c_lflag, 38400, 38400)


def _short_settings(guest: Guest, call: Call) -> None:
    assert (TERMIO.value.c_lflag, TERMIO.value.c_cc) == (SETTINGS.c_lflag, SETTINGS.c_cc[:8])


def _set(guest: Guest, call: Call) -> None:
    guest.syscall.ioctl(0, TCGETS, TERMIOS)
    assert TERMIOS.value == OTHER


def _window(guest: Guest, call: Call) -> None:
    assert SIZE.value == Winsize(24, 80, 0, 0)


def _session(guest: Guest, call: Call) -> None:
    assert NUMBER.value == guest.syscall.getsid(0)


def _group(guest: Guest, call: Call) -> None:
    assert NUMBER.value == guest.syscall.getpgid(0)


def _keys(guest: Guest) -> None:
    terminal(guest).keys = b"line\n"


CASES = [
    ok("ioctl", 0, TCGETS, TERMIOS, returns=0, rpcs=GET, check=_settings),
    ok("ioctl", 0, TCGETS2, TERMIOS2, returns=0, rpcs=GET, check=_settings_and_speeds, label="TCGETS2"),
    ok("ioctl", 0, TCGETA, TERMIO, returns=0, rpcs=GET, check=_short_settings, label="TCGETA"),
    *(ok("ioctl", 0, command, OTHER, returns=0, rpcs=SET, check=_set, label=name) for name, command in
      (("TCSETS", TCSETS), ("TCSETSW", TCSETSW), ("TCSETSF", TCSETSF))),
    *(ok("ioctl", 0, command, OTHER.pack() + bytes(8), returns=0, rpcs=SET, check=_set, label=name)
      for name, command in (("TCSETS2", TCSETS2), ("TCSETSW2", TCSETSW2), ("TCSETSF2", TCSETSF2))),
    *(ok("ioctl", 0, command, Termio(0, 0, SETTINGS.c_cflag, 0, 0, SETTINGS.c_cc[:8]), returns=0,
         rpcs=[*GET, *SET], check=_set, label=name)
      for name, command in (("TCSETA", TCSETA), ("TCSETAW", TCSETAW), ("TCSETAF", TCSETAF))),
    *(ok("ioctl", 0, command, 0, returns=0, rpcs=[], label=name) for name, command in
      (("TCSBRK", TCSBRK), ("TCSBRKP", TCSBRKP), ("TIOCSBRK", TIOCSBRK), ("TIOCCBRK", TIOCCBRK), ("TCXONC", TCXONC),
       ("TIOCEXCL", TIOCEXCL), ("TIOCNXCL", TIOCNXCL), ("TIOCSCTTY", TIOCSCTTY))),
    ok("ioctl", 0, TCFLSH, 2, returns=0, rpcs=["console.tcflush"], label="TCFLSH"),
    ok("ioctl", 0, TIOCGPGRP, NUMBER, returns=0, rpcs=[], check=_group, label="TIOCGPGRP"),
    ok("ioctl", 0, TIOCGSID, NUMBER, returns=0, rpcs=[], check=_session, label="TIOCGSID"),
    ok("ioctl", 0, TIOCGWINSZ, SIZE, returns=0, rpcs=["console.get_winsize"], check=_window, label="TIOCGWINSZ"),
    ok("ioctl", 0, TIOCSWINSZ, Winsize(25, 80, 0, 0), returns=0, rpcs=WINDOW, label="TIOCSWINSZ"),
    ok("ioctl", 0, TIOCSWINSZ, Winsize(24, 80, 0, 0), returns=0, rpcs=WINDOW[:1], label="TIOCSWINSZ, no change"),
    ok("ioctl", 0, TIOCOUTQ, NUMBER, returns=0, rpcs=[], check=_number(0), label="TIOCOUTQ"),
    ok("ioctl", 0, FIONREAD, NUMBER, returns=0, rpcs=["console.read"], check=_number(0), label="nothing typed"),
    ok("ioctl", 0, TIOCGEXCL, NUMBER, returns=0, rpcs=[], check=_number(0), label="TIOCGEXCL"),
    ok("ioctl", 0, TIOCGETD, NUMBER, returns=0, rpcs=[], check=_number(N_TTY), label="TIOCGETD"),
    ok("ioctl", 0, TIOCSETD, number(N_TTY), returns=0, rpcs=[], label="TIOCSETD"),
    ok("ioctl", 0, TIOCGDEV, NUMBER, returns=0, rpcs=[], check=_number(CONSOLE_RDEV), label="TIOCGDEV"),

    *(fails("ioctl", EFAULT, 0, command, BAD, label=name) for name, command in
      (("TCGETS", TCGETS), ("TCGETS2", TCGETS2), ("TCGETA", TCGETA), ("TIOCGWINSZ", TIOCGWINSZ))),
    *(fails("ioctl", EFAULT, 0, command, BAD, rpcs=[], label=name) for name, command in
      (("TCSETS", TCSETS), ("TCSETSW", TCSETSW), ("TCSETSF", TCSETSF), ("TCSETS2", TCSETS2), ("TCSETA", TCSETA),
       ("TIOCGPGRP", TIOCGPGRP), ("TIOCSPGRP", TIOCSPGRP), ("TIOCGSID", TIOCGSID), ("TIOCSWINSZ", TIOCSWINSZ),
       ("TIOCOUTQ", TIOCOUTQ), ("TIOCGEXCL", TIOCGEXCL), ("TIOCGETD", TIOCGETD), ("TIOCSETD", TIOCSETD),
       ("TIOCGDEV", TIOCGDEV))),
    fails("ioctl", EINVAL, 0, TCFLSH, 3, rpcs=[], label="TCFLSH"),
    fails("ioctl", EINVAL, 0, TCXONC, 4, rpcs=[], label="TCXONC"),
    fails("ioctl", EINVAL, 0, TIOCSETD, number(99), rpcs=[], label="TIOCSETD"),
    fails("ioctl", EINVAL, 0, TIOCSPGRP, number(-1), rpcs=[], label="TIOCSPGRP"),
    fails("ioctl", ESRCH, 0, TIOCSPGRP, number(NOBODY), rpcs=[]),
    fails("ioctl", ESRCH, 0, TIOCSPGRP, number(0), rpcs=[], label="group 0"),
    fails("ioctl", EPERM, lambda guest: (0, TIOCSPGRP, number(guest.process().pid)), rpcs=[],
          label="a group of another session"),
    fails("ioctl", EPERM, 0, TIOCVHANGUP, user=USER, rpcs=[], label="TIOCVHANGUP"),
    fails("ioctl", EIO, 0, TIOCSTI, b"x", rpcs=[], label="TIOCSTI"),
    *(fails("ioctl", ENOTTY, 0, command, BAD, rpcs=[], check=recorded(), label="unknown to a terminal")
      for command in (UNKNOWN, flags.TIOCMGET, flags.TIOCGPTN, flags.FS_IOC_GETFLAGS)),
    *(fails("ioctl", ENOTTY, 0, getattr(flags, name), BAD, rpcs=[], check=recorded(f"ioctl: {name}"), label=name)
      for name in ("TIOCGSOFTCAR", "TIOCSSOFTCAR", "TIOCCONS", "TIOCGLCKTRMIOS", "TIOCSLCKTRMIOS")),
]  # fmt: skip
CASES = [case._replace(setup=terminal) for case in CASES]
CASES.append(
    ok("ioctl", 0, FIONREAD, NUMBER, setup=_keys, returns=0, rpcs=["console.read"], check=_number(5), label="typed")
)

memfs = pytest.mark.linuxemu(root="memfs")


@memfs
@proves("ioctl", EIO, rpcs=["console.tcflush"])
def test_the_console_server_fails(guest: Guest) -> None:
    terminal(guest)
    guest.console.expect(console.Tcgets).error(EIO)
    assert guest.start.ioctl(0, TCGETS, TERMIOS).errno == EIO
    for action, command in enumerate((TCSETS, TCSETSW, TCSETSF)):
        guest.console.expect(console.Tcsets(stream=0, action=action, termios=OTHER.pack())).error(EIO)
        assert guest.start.ioctl(0, command, OTHER).errno == EIO
    guest.console.expect(console.SetWinsize(1, 25, 80, 0, 0)).error(EIO)
    assert guest.start.ioctl(0, TIOCSWINSZ, Winsize(25, 80, 0, 0)).errno == EIO
    guest.console.expect(console.Tcflush(stream=ANY, queue=1)).error(EIO)
    assert guest.start.ioctl(0, TCFLSH, 1).errno == EIO


@memfs
@proves("ioctl", SUCCESS)
def test_what_was_counted_is_still_read(guest: Guest) -> None:
    terminal(guest).keys = b"line\n"
    guest.syscall.ioctl(0, FIONREAD, NUMBER)
    got = Out(16)
    assert guest.syscall.read(0, got, 16) == 5
    guest.syscall.ioctl(0, FIONREAD, NUMBER)
    assert NUMBER.value == 0


@memfs
@proves("ioctl", SUCCESS, rpcs=WINDOW)
def test_a_new_window_size_is_told_to_the_foreground(guest: Guest) -> None:
    terminal(guest)
    handler = guest.on_signal(SIGWINCH)
    guest.syscall.ioctl(0, TIOCSWINSZ, Winsize(24, 80, 0, 0))
    assert handler.signals == []
    guest.syscall.ioctl(0, TIOCSWINSZ, Winsize(50, 132, 0, 0))
    assert handler.signals == [SIGWINCH]


@memfs
@proves("ioctl", SUCCESS, rpcs=[])
def test_exclusive_mode(guest: Guest) -> None:
    terminal(guest)
    guest.syscall.ioctl(0, TIOCEXCL, 0)
    guest.syscall.ioctl(0, TIOCGEXCL, NUMBER)
    assert NUMBER.value == 1
    guest.syscall.ioctl(0, TIOCNXCL, 0)
    guest.syscall.ioctl(0, TIOCGEXCL, NUMBER)
    assert NUMBER.value == 0


# -- sessions ---------------------------------------------------------------------------------------------------------


def _foreign(guest: Guest) -> GuestThread:
    """A process with the terminal open and a session of its own, which has no terminal."""
    terminal(guest)
    child = guest.fork()
    child.syscall.setsid()
    return child


@memfs
@proves("ioctl", ENOTTY)
def test_a_terminal_of_another_session(guest: Guest) -> None:
    child = _foreign(guest)
    for command in (TIOCGPGRP, TIOCGSID, TIOCNOTTY):
        assert child.start.ioctl(0, command, BAD).errno == ENOTTY
    assert child.start.ioctl(0, TIOCSPGRP, number(child.pid)).errno == ENOTTY
    assert child.start.ioctl(0, TIOCSPGRP, number(NOBODY)).errno == ENOTTY
    assert child.syscall.ioctl(0, TCSETS, OTHER) == 0, "it is in no job that could be stopped"


@memfs
@proves("ioctl", EPERM, rpcs=[])
@proves("ioctl", SUCCESS, rpcs=[])
def test_only_a_leader_without_a_terminal_gets_one(guest: Guest) -> None:
    leader = _foreign(guest)
    member = guest.fork(leader)
    assert leader.start.ioctl(0, TIOCSCTTY, 0).errno == EPERM, "another session has it"
    assert member.start.ioctl(0, TIOCSCTTY, 1).errno == EPERM, "it leads no session"
    leader.syscall.ioctl(0, TIOCSCTTY, 1)
    leader.syscall.ioctl(0, TIOCGPGRP, NUMBER)
    assert NUMBER.value == leader.pid
    assert guest.start.ioctl(0, TIOCGPGRP, NUMBER).errno == ENOTTY, "root took it away"
    member.syscall.setresuid(1000, 1000, 1000)
    member.syscall.setsid()
    assert member.start.ioctl(0, TIOCSCTTY, 1).errno == EPERM, "only root may take it away"


@memfs
@proves("ioctl", SUCCESS, rpcs=[])
def test_a_terminal_given_up_can_be_taken(guest: Guest) -> None:
    child = _foreign(guest)
    handler = guest.on_signal(SIGHUP)
    guest.syscall.ioctl(0, TIOCNOTTY, 0)
    assert handler.signals == [SIGHUP], "the foreground learns of it"
    assert guest.start.ioctl(0, TIOCNOTTY, 0).errno == ENOTTY
    child.syscall.ioctl(0, TIOCSCTTY, 0)
    child.syscall.ioctl(0, TIOCGSID, NUMBER)
    assert NUMBER.value == child.pid


@memfs
@proves("ioctl", EIO, ENOTTY)
def test_nothing_can_be_asked_of_a_terminal_that_was_hung_up(guest: Guest) -> None:
    terminal(guest)
    handler = guest.on_signal(SIGHUP)
    guest.syscall.ioctl(0, TIOCVHANGUP, 0)
    assert set(handler.signals) == {SIGHUP}
    for command in (TCGETS, TIOCGPGRP, FIONREAD, UNKNOWN):
        assert guest.start.ioctl(0, command, BAD).errno == EIO
    assert guest.start.ioctl(0, TIOCSPGRP, BAD).errno == ENOTTY


# -- jobs -------------------------------------------------------------------------------------------------------------

CHANGES = [TCSETS, TCSETSW, TCSETSF, TCSETA, TCFLSH, TCSBRK, TCXONC, TIOCSBRK, TIOCCBRK, TIOCSETD]
"""What a job in the background may not do."""


def _background(guest: Guest) -> GuestThread:
    """A child with a process group of its own, in the background."""
    terminal(guest)
    child = guest.fork()
    child.syscall.setpgid(0, 0)
    return child


@memfs
@proves("ioctl", EIO, ENOTTY)
def test_an_orphaned_job_is_refused(guest: Guest) -> None:
    child = _background(guest)
    guest.syscall.ioctl(0, TIOCSPGRP, number(child.pid))
    for command in CHANGES:
        assert guest.start.ioctl(0, command, BAD).errno == EIO
    assert guest.start.ioctl(0, TIOCSPGRP, BAD).errno == ENOTTY
    guest.syscall.rt_sigaction(SIGTTOU, Sigaction(SIG_IGN, 0, 0, 0), 0, 8)
    assert guest.syscall.ioctl(0, TIOCSPGRP, number(guest.syscall.getpgid(0))) == 0


@memfs
@proves("ioctl", EINTR, rpcs=[])
@pytest.mark.parametrize("command", [*CHANGES, TIOCSPGRP])
def test_a_job_in_the_background_gets_sigttou(guest: Guest, command: int) -> None:
    child = _background(guest)
    handler = guest.on_signal(SIGTTOU, thread=child)
    assert child.start.ioctl(0, command, BAD).errno == EINTR
    assert handler.signals == [SIGTTOU]


@memfs
@proves("ioctl", SUCCESS)
def test_a_stopped_job_goes_on_in_the_foreground(guest: Guest) -> None:
    child = _background(guest)
    call = child.start.ioctl(0, TCSETS, OTHER)
    assert call.blocked
    assert child.t.process.pgrp.has_stopped()
    guest.syscall.ioctl(0, TIOCSPGRP, number(child.pid))
    guest.syscall.kill(child.pid, SIGCONT)
    assert call.finish() == 0


@memfs
@proves("ioctl", SUCCESS)
def test_under_sa_restart_the_request_is_made_again(guest: Guest) -> None:
    child = _background(guest)
    handler = guest.on_signal(SIGTTOU, flags=SA_RESTART, hold=True, thread=child)
    call = child.start.ioctl(0, TCSETS, OTHER)
    assert handler.signals == [SIGTTOU]
    guest.syscall.ioctl(0, TIOCSPGRP, number(child.pid))
    child.sigreturn()
    assert call.finish() == 0
    assert handler.signals == [SIGTTOU]


@memfs
@proves("ioctl", SUCCESS)
def test_who_ignores_sigttou_may_change_what_it_likes(guest: Guest) -> None:
    child = _background(guest)
    child.syscall.rt_sigaction(SIGTTOU, Sigaction(SIG_IGN, 0, 0, 0), 0, 8)
    assert child.syscall.ioctl(0, TCSETS, OTHER) == 0
    assert child.syscall.ioctl(0, TIOCGPGRP, InOut(bytes(4))) == 0
