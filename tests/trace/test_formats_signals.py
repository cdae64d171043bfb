"""Signal calls as strace 6.1 shows them: each text was printed by it for the same registers and memory."""

from __future__ import annotations

from struct import pack

import pytest

from linuxemu.trace.formats.siginfos import siginfo, siginfo_text, signal_name
from linuxemu.trace.formats.signals import sigset_text
from linuxemu.trace.style import Style
from syscalls.abi.errno import EAGAIN, EFAULT, EINVAL, ESRCH
from syscalls.objects.siginfo import SigInfo
from tests.trace.fakecall import AREA, shown

RAW, VERBOSE = Style(constants="raw"), Style(constants="verbose")
BAD = 0x2000_0000


def action(handler: int, flags: int, restorer: int = 0x1234, mask: int = 0) -> bytes:
    return pack("<4Q", handler, flags, restorer, mask).ljust(88, b"\0")


ACTIONS = [
    (action(0, 0), "{sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}"),
    (action(1, 4), "{sa_handler=SIG_IGN, sa_mask=[], sa_flags=SA_SIGINFO}"),
    (action(2, 8), "{sa_handler=0x2, sa_mask=[], sa_flags=0x8 /* SA_??? */}"),
    (action((1 << 64) - 1, 0x400), "{sa_handler=SIG_ERR, sa_mask=[], sa_flags=0x400 /* SA_??? */}"),
    (
        action(0x401000, 0x400_0000, mask=0x4002),
        "{sa_handler=0x401000, sa_mask=[INT TERM], sa_flags=SA_RESTORER, sa_restorer=0x1234}",
    ),
    (
        action(0, 0xFFFF_FFFF),
        "{sa_handler=SIG_DFL, sa_mask=[], sa_flags=SA_RESTORER|SA_ONSTACK|SA_RESTART|SA_INTERRUPT|SA_NODEFER|"
        "SA_RESETHAND|SA_SIGINFO|SA_NOCLDSTOP|SA_NOCLDWAIT|0x3fffff8, sa_restorer=0x1234}",
    ),
]


@pytest.mark.parametrize(("data", "text"), ACTIONS)
def test_sigaction(data: bytes, text: str) -> None:
    assert shown("rt_sigaction", 10, AREA, AREA, 8, memory=data) == f"rt_sigaction(SIGUSR1, {text}, {text}, 8) = 0"


def test_sigaction_that_cannot_be_read_or_was_not_filled() -> None:
    error = "-1 EFAULT (Bad address)"
    assert shown("rt_sigaction", 10, AREA, BAD, 8, memory=bytes(87), result=-EFAULT) == (
        f"rt_sigaction(SIGUSR1, 0x1000, 0x20000000, 8) = {error}"
    )
    assert shown("rt_sigaction", -1, 0, AREA, 8, memory=bytes(88), result=-EINVAL) == (
        "rt_sigaction(-1, NULL, 0x1000, 8) = -1 EINVAL (Invalid argument)"
    )
    assert shown("rt_sigaction", 65, 0, AREA, 8, memory=bytes(88), verbose=False) == (
        "rt_sigaction(65, NULL, 0x1000, 8) = 0"
    )


def test_sigaction_with_raw_and_verbose_constants() -> None:
    data = action(0, 0x400_0001, mask=1)
    assert shown("rt_sigaction", 10, AREA, 0, 8, memory=data, style=RAW) == (
        "rt_sigaction(10, {sa_handler=0, sa_mask=[1], sa_flags=0x4000001, sa_restorer=0x1234}, NULL, 8) = 0"
    )
    assert shown("rt_sigaction", 10, AREA, 0, 8, memory=data, style=VERBOSE) == (
        "rt_sigaction(10 /* SIGUSR1 */, {sa_handler=0 /* SIG_DFL */, sa_mask=[1 /* HUP */], "
        "sa_flags=0x4000001 /* SA_RESTORER|SA_NOCLDSTOP */, sa_restorer=0x1234}, NULL, 8) = 0"
    )


SETS = [
    (0, "[]"),
    (3, "[HUP INT]"),
    (0x180000000, "[RTMIN RT_1]"),
    (1 << 63, "[RT_32]"),
    ((1 << 64) - 1, "~[]"),
    ((1 << 64) - 2, "~[HUP]"),
    (0xFFFFFFFFFFFBFEFF, "~[KILL STOP]"),
    (0xFFFFFFFE7FFBFEFF, "~[KILL STOP RTMIN RT_1]"),
    ((1 << 42) - 1, f"~[{' '.join(f'RT_{n}' for n in range(11, 33))}]"),
]


@pytest.mark.parametrize(("mask", "text"), SETS)
def test_sets(mask: int, text: str) -> None:
    assert sigset_text(mask, Style()) == text


def test_most_of_a_set_is_two_thirds_of_it() -> None:
    assert sigset_text((1 << 41) - 1, Style()).startswith("[HUP INT ")
    assert sigset_text((1 << 20) - 1, Style(), 4).startswith("[HUP ")
    assert sigset_text((1 << 21) - 1, Style(), 4).startswith("~[TTOU ")


MASKS = [
    ((0, AREA, AREA, 8), 0, "(SIG_BLOCK, [HUP], [HUP], 8) = 0"),
    ((2, 0, AREA, 8), 0, "(SIG_SETMASK, NULL, [HUP], 8) = 0"),
    ((3, AREA, BAD, 8), -EINVAL, "(0x3 /* SIG_??? */, [HUP], 0x20000000, 8) = -1 EINVAL (Invalid argument)"),
    ((-1, BAD, 0, 8), -EFAULT, "(0xffffffff /* SIG_??? */, 0x20000000, NULL, 8) = -1 EFAULT (Bad address)"),
    ((1, AREA, AREA, 4), -EINVAL, "(SIG_UNBLOCK, 0x1000, 0x1000, 4) = -1 EINVAL (Invalid argument)"),
]


@pytest.mark.parametrize(("args", "result", "text"), MASKS)
def test_sigprocmask(args: tuple[int, ...], result: int, text: str) -> None:
    assert shown("rt_sigprocmask", *args, memory=pack("<Q", 1), result=result) == f"rt_sigprocmask{text}"


def test_pending_and_suspend() -> None:
    memory = pack("<Q", 0x200)
    assert shown("rt_sigpending", AREA, 8, memory=memory) == "rt_sigpending([USR1], 8) = 0"
    assert shown("rt_sigpending", AREA, 1, memory=memory) == "rt_sigpending([], 1) = 0"
    assert shown("rt_sigpending", AREA, 0, memory=memory) == "rt_sigpending(0x1000, 0) = 0"
    assert shown("rt_sigsuspend", AREA, 8, memory=memory, result=None, restart=2) == (
        "rt_sigsuspend([USR1], 8) = ? ERESTARTNOHAND (To be restarted if no handler)"
    )


def test_sigtimedwait() -> None:
    memory = pack("<Qqq", 0x200, 1, -1) + SigInfo(10, 0, 5, 7).pack()
    assert shown("rt_sigtimedwait", AREA, AREA + 24, 0, 8, memory=memory, result=10) == (
        "rt_sigtimedwait([USR1], {si_signo=SIGUSR1, si_code=SI_USER, si_pid=5, si_uid=7}, NULL, 8) = 10 (SIGUSR1)"
    )
    assert shown("rt_sigtimedwait", AREA, AREA + 24, AREA + 8, 8, memory=memory, result=-EAGAIN) == (
        "rt_sigtimedwait([USR1], 0x1018, {tv_sec=1, tv_nsec=18446744073709551615}, 8)"
        " = -1 EAGAIN (Resource temporarily unavailable)"
    )
    assert shown("rt_sigtimedwait", AREA, 0, 0, 4, memory=memory, result=-EINVAL) == (
        "rt_sigtimedwait(0x1000, NULL, NULL, 4) = -1 EINVAL (Invalid argument)"
    )


def test_sending() -> None:
    assert shown("kill", -1, 65, result=-EINVAL) == "kill(-1, 65) = -1 EINVAL (Invalid argument)"
    assert shown("tkill", 9, 33, result=-ESRCH) == "tkill(9, SIGRT_1) = -1 ESRCH (No such process)"
    assert shown("tgkill", 9, 8, 0) == "tgkill(9, 8, 0) = 0"
    assert shown("rt_sigqueueinfo", 9, 12, AREA, memory=bytes(128)) == "rt_sigqueueinfo(9, SIGUSR2, {}) = 0"
    assert shown("rt_tgsigqueueinfo", 9, 8, 12, AREA, memory=bytes(64), result=-EFAULT) == (
        "rt_tgsigqueueinfo(9, 8, SIGUSR2, 0x1000) = -1 EFAULT (Bad address)"
    )


def test_altstack() -> None:
    memory = pack("<QIxxxxQ", 0x1000, 0x8000_0003, 8192) + pack("<QIxxxxQ", 0, 2, 0)
    assert shown("sigaltstack", AREA, AREA + 24, memory=memory) == (
        "sigaltstack({ss_sp=0x1000, ss_flags=SS_ONSTACK|SS_DISABLE|SS_AUTODISARM, ss_size=8192}, "
        "{ss_sp=NULL, ss_flags=SS_DISABLE, ss_size=0}) = 0"
    )


def test_returning() -> None:
    memory = bytes(0x128) + pack("<Q", 0x200)
    assert shown("rt_sigreturn", memory=memory, result=-4) == (
        "rt_sigreturn({mask=[USR1]}) = -1 EINTR (Interrupted system call)"
    )
    assert shown("rt_sigreturn") == "rt_sigreturn({mask=0x1128}) = 0"
    assert shown("restart_syscall") == "restart_syscall(<... resuming interrupted system call ...>) = 0"
    assert shown("pause", result=None) == "pause() = ?"


NAMES = [(0, "0"), (1, "SIGHUP"), (29, "SIGIO"), (32, "SIGRTMIN"), (33, "SIGRT_1"), (64, "SIGRT_32"), (65, "65")]


@pytest.mark.parametrize(("signo", "name"), NAMES)
def test_names(signo: int, name: str) -> None:
    assert signal_name(signo) == name


def info(signo: int, code: int, error: int = 0) -> bytes:
    """The siginfo that the program sent which showed strace's texts."""
    return pack("<iii4xiIiiqq", signo, error, code, 5, 7, 11, 0x12, 33, 44).ljust(128, b"\0")


SOURCE = "si_pid=5, si_uid=7"
VALUE = f"{SOURCE}, si_int=11, si_ptr=0x120000000b"
CHILD = f"{SOURCE}, si_status=SIGSEGV, si_utime=33 /* 0.33 s */, si_stime=44 /* 0.44 s */"
ADDR = "si_addr=0x700000005"
CALL = "si_call_addr=0x700000005, si_syscall=11, si_arch=0x12 /* AUDIT_ARCH_??? */"
INFOS = [
    (17, 0, f"SIGCHLD, si_code=SI_USER, {SOURCE}"),
    (17, -6, f"SIGCHLD, si_code=SI_TKILL, {SOURCE}"),
    (17, -1, f"SIGCHLD, si_code=SI_QUEUE, {VALUE}"),
    (17, -3, f"SIGCHLD, si_code=SI_MESGQ, {VALUE}"),
    (17, -4, f"SIGCHLD, si_code=SI_ASYNCIO, {VALUE}"),
    (17, -7, f"SIGCHLD, si_code=SI_DETHREAD, {VALUE}"),
    (17, -60, f"SIGCHLD, si_code=SI_ASYNCNL, {VALUE}"),
    (17, -8, f"SIGCHLD, si_code=0xfffffff8, {VALUE}"),
    (17, -2, "SIGCHLD, si_code=SI_TIMER, si_timerid=0x5, si_overrun=7, si_int=11, si_ptr=0x120000000b"),
    (17, -5, "SIGCHLD, si_code=SI_SIGIO, si_band=30064771077, si_fd=11"),
    (17, 1, f"SIGCHLD, si_code=CLD_EXITED, {CHILD.replace('SIGSEGV', '11')}"),
    (17, 5, f"SIGCHLD, si_code=CLD_STOPPED, {CHILD}"),
    (17, 7, f"SIGCHLD, si_code=0x7, {CHILD}"),
    (17, 128, f"SIGCHLD, si_code=SI_KERNEL, {CHILD}"),
    (4, 9, f"SIGILL, si_code=ILL_BADIADDR, {ADDR}"),
    (8, 15, f"SIGFPE, si_code=FPE_CONDTRAP, {ADDR}"),
    (11, 1, f"SIGSEGV, si_code=SEGV_MAPERR, {ADDR}"),
    (11, 3, f"SIGSEGV, si_code=SEGV_BNDERR, {ADDR}, si_lower=0x21, si_upper=0x2c"),
    (11, 4, f"SIGSEGV, si_code=SEGV_PKUERR, {ADDR}, si_pkey=33"),
    (11, 9, f"SIGSEGV, si_code=SEGV_MTESERR, {ADDR}"),
    (11, 10, f"SIGSEGV, si_code=0xa, {ADDR}"),
    (7, 2, f"SIGBUS, si_code=BUS_ADRERR, {ADDR}"),
    (7, 4, f"SIGBUS, si_code=BUS_MCEERR_AR, {ADDR}, si_addr_lsb=0xb"),
    (5, 128, f"SIGTRAP, si_code=SI_KERNEL, {ADDR}"),
    (5, 6, f"SIGTRAP, si_code=TRAP_PERF, {ADDR}"),
    (29, 1, "SIGIO, si_code=POLL_IN, si_band=30064771077, si_fd=11"),
    (29, 7, "SIGIO, si_code=0x7"),
    (29, 128, "SIGIO, si_code=SI_KERNEL"),
    (31, 1, f"SIGSYS, si_code=SYS_SECCOMP, {CALL}"),
    (31, 2, f"SIGSYS, si_code=SYS_USER_DISPATCH, {CALL}"),
    (35, 128, f"SIGRT_3, si_code=SI_KERNEL, {VALUE}"),
    (14, 0x20001, f"SIGALRM, si_code=0x20001, {VALUE}"),
]


@pytest.mark.parametrize(("signo", "code", "text"), INFOS)
def test_siginfo(signo: int, code: int, text: str) -> None:
    assert siginfo_text(info(signo, code), Style()) == f"{{si_signo={text}}}"


def test_siginfo_with_raw_and_verbose_constants() -> None:
    assert siginfo_text(info(17, 2), RAW) == (
        "{si_signo=17, si_code=0x2, si_pid=5, si_uid=7, si_status=11, si_utime=33, si_stime=44}"
    )
    assert siginfo_text(info(10, 0), VERBOSE) == (
        "{si_signo=10 /* SIGUSR1 */, si_code=0 /* SI_USER */, si_pid=5, si_uid=7}"
    )


@pytest.mark.parametrize(("error", "text"), [(22, "EINVAL"), (2000, "2000"), (-1, "4294967295")])
def test_siginfo_with_an_error(error: int, text: str) -> None:
    assert siginfo_text(info(10, 0, error), Style()) == (
        f"{{si_signo=SIGUSR1, si_code=SI_USER, si_errno={text}, si_pid=5, si_uid=7}}"
    )


def test_siginfo_with_an_error_and_verbose_constants() -> None:
    assert "si_errno=3 /* ESRCH */, " in siginfo_text(info(10, 0, 3), VERBOSE)


def test_siginfo_of_the_kernel() -> None:
    assert siginfo(SigInfo(14)) == "{si_signo=SIGALRM, si_code=SI_KERNEL}"
    assert siginfo(SigInfo(11, 1)) == "{si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL}"
    assert siginfo(SigInfo(14, -2)) == (
        "{si_signo=SIGALRM, si_code=SI_TIMER, si_timerid=0, si_overrun=0, si_int=0, si_ptr=NULL}"
    )
    assert siginfo(SigInfo(31, 1, addr=0x401000, timer=59, overrun=0xC000003E)) == (
        "{si_signo=SIGSYS, si_code=SYS_SECCOMP, si_call_addr=0x401000, si_syscall=__NR_execve, "
        "si_arch=AUDIT_ARCH_X86_64}"
    )
    assert siginfo(SigInfo(17, 1, 3)) == (
        "{si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=3, si_uid=0, si_status=0, si_utime=0, si_stime=0}"
    )
