"""Calls that watch, compare and restrict processes: ptrace(2), kcmp(2), seccomp(2)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, array, hexadecimal, pid
from linuxemu.trace.formats.choices import bits, choice, fields, hex_list, pointed
from linuxemu.trace.formats.descriptors import target
from linuxemu.trace.formats.filters import program
from linuxemu.trace.formats.siginfos import siginfo_text, signal_value
from linuxemu.trace.formats.signals import siginfo_at, sigset_at
from syscalls.abi.tables import table
from syscalls.types import s32

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_TRACEME, _PEEKTEXT, _PEEKDATA, _PEEKUSER, _POKETEXT, _POKEDATA, _POKEUSER, _CONT, _KILL, _STEP = range(10)
_GETREGS, _SETREGS, _GETFPREGS, _SETFPREGS, _ATTACH, _DETACH = range(12, 18)
_OLDSETOPTIONS, _SYSCALL, _SYSEMU, _SYSEMU_STEP, _BLOCK_STEP = 21, 24, 31, 32, 33
_SETOPTIONS, _GETEVENTMSG, _GETSIGINFO, _SETSIGINFO, _GETREGSET, _SETREGSET, _SEIZE, _INTERRUPT, _LISTEN = range(
    0x4200, 0x4209
)
_PEEKSIGINFO, _GETSIGMASK, _SETSIGMASK, _GET_FILTER, _GET_METADATA, _SYSCALL_INFO = range(0x4209, 0x420F)
_ONLY_PID = frozenset((_KILL, _ATTACH, _INTERRUPT, _LISTEN))
_NO_ADDRESS = frozenset((_GETREGS, _SETREGS, _GETFPREGS, _SETFPREGS))
_SIGNALS = frozenset((_CONT, _STEP, _DETACH, _SYSCALL, _SYSEMU, _SYSEMU_STEP, _BLOCK_STEP))
_OPTIONS = frozenset((_OLDSETOPTIONS, _SETOPTIONS, _SEIZE))
_SIZES = frozenset((_GETSIGMASK, _SETSIGMASK, _GET_FILTER, _GET_METADATA, _SYSCALL_INFO))
_REGISTERS = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", "orig_rax",
    "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
)  # fmt: skip
_NAMED_REGISTERS = 21
_USER = (
    (216, "u_fpvalid"), (224, "i387"), (736, "u_tsize"), (744, "u_dsize"), (752, "u_ssize"), (760, "start_code"),
    (768, "start_stack"), (776, "signal"), (784, "reserved"), (792, "u_ar0"), (800, "u_fpstate"), (808, "magic"),
    (816, "u_comm"), (848, "u_debugreg"),
)  # fmt: skip
_USER_SIZE = 912


@shows("trace_pid")
def trace_pid(call: Call, value: int, arg: Arg) -> str | None:
    """The process, unless the caller asks to be traced."""
    return None if call.argument("request") == _TRACEME else pid(call, value, arg)


@shows("trace_addr")
def trace_addr(call: Call, value: int, arg: Arg) -> str | None:
    """The third argument: an address, or what the request takes instead."""
    request = call.argument("request")
    if request == _TRACEME or request in _ONLY_PID or request in _NO_ADDRESS:
        return None
    if request in (_PEEKUSER, _POKEUSER):
        return _user_offset(value)
    if request in (_GETREGSET, _SETREGSET):
        return choice(call, value, "NT_")
    if request in _SIZES:
        return str(value)
    if request == _PEEKSIGINFO:
        return pointed(call, value, arg, 16, lambda data: _peek(call, data))
    if request in table("PTRACE_").names:
        return address(call, value)
    return address(call, value)


def _peek(call: Call, data: bytes) -> str:
    offset, how, count = struct.unpack("<QIi", data)
    return f"{{off={offset}, flags={bits(call, how, 'PTRACE_PEEKSIGINFO_')}, nr={count}}}"


def _user_offset(value: int) -> str:
    """A place in a struct user."""
    if value > _USER_SIZE:
        return hexadecimal(value)
    if value == _USER_SIZE:
        return "sizeof(struct user)"
    if value < _USER[0][0]:
        position = min(value // 8, _NAMED_REGISTERS - 1)
        rest = value - 8 * position
        return f"8*{_REGISTERS[position].upper()}" + (f"+{rest}" if rest else "")
    offset, name = next((offset, name) for offset, name in reversed(_USER) if offset <= value)
    rest = value - offset
    return f"offsetof(struct user, {name})" + (f"+{rest}" if rest else "")


@shows("trace_data")
def trace_data(call: Call, value: int, arg: Arg) -> str | None:
    """The fourth argument: what a request takes or gives."""
    request = call.argument("request")
    if request == _TRACEME or request in _ONLY_PID:
        return None
    if request in _SIGNALS:
        return signal_value(value - (value >> 63 << 64), call.style)
    if request in _OPTIONS:
        return bits(call, value, "PTRACE_O_")
    if request in (_POKETEXT, _POKEDATA, _POKEUSER):
        return hexadecimal(value)
    direction = "in" if request in _TAKES else "out"
    shown = _DATA.get(request)
    return shown(call, value, arg._replace(direction=direction)) if shown is not None else address(call, value)


def _word(call: Call, addr: int, arg: Arg) -> str:
    return pointed(call, addr, arg, 8, lambda data: f"[{hexadecimal(int.from_bytes(data, 'little'))}]")


def _message(call: Call, addr: int, arg: Arg) -> str:
    return pointed(call, addr, arg, 8, lambda data: f"[{int.from_bytes(data, 'little')}]")


def _registers(call: Call, addr: int, arg: Arg) -> str:
    def show(data: bytes) -> str:
        values = struct.unpack("<27Q", data)
        return f"{{{', '.join(f'{n}={hexadecimal(v)}' for n, v in zip(_REGISTERS, values, strict=True))}}}"

    return pointed(call, addr, arg, 216, show)


def _fp_registers(call: Call, addr: int, arg: Arg) -> str:
    def show(data: bytes) -> str:
        values = struct.unpack_from("<HHHHQQII", data)
        names = ["cwd", "swd", "ftw", "fop", "rip", "rdp", "mxcsr", "mxcr_mask"]
        text = ", ".join(f"{n}={hexadecimal(v)}" for n, v in zip(names, values, strict=True))
        limit = call.style.string_limit if call.plan.abbrev else None
        for name, first, last in (("st_space", 32, 160), ("xmm_space", 160, 416), ("padding", 416, 512)):
            if name != "padding" or any(data[first:last]):
                text += f", {name}={hex_list(data[first:last], limit, 4)}"
        return f"{{{text}}}"

    return pointed(call, addr, arg, 512, show)


def _signals(call: Call, addr: int, arg: Arg) -> str:
    """Signals that wait, as many as there were."""
    if call.failed or not addr or not call.plan.verbose:
        return address(call, addr)
    return array(call, addr, call.argument("result"), 128, lambda data: siginfo_text(data, call.style, call.t))


def _vector(call: Call, addr: int, arg: Arg) -> str:
    def show(data: bytes) -> str:
        base, length = struct.unpack("<QQ", data)
        return f"{{iov_base={address(call, base)}, iov_len={length}}}"

    return pointed(call, addr, arg, 16, show)


def _mask(call: Call, addr: int, arg: Arg) -> str:
    if arg.direction == "out" and call.failed:
        return address(call, addr)
    return sigset_at(call, addr, call.argument("addr"))


_TAKES = frozenset((_SETREGS, _SETFPREGS, _SETSIGINFO, _SETREGSET, _SETSIGMASK))
_DATA = {
    _PEEKTEXT: _word, _PEEKDATA: _word, _PEEKUSER: _word, _GETREGS: _registers, _SETREGS: _registers,
    _GETFPREGS: _fp_registers, _SETFPREGS: _fp_registers, _GETEVENTMSG: _message, _GETSIGINFO: siginfo_at,
    _SETSIGINFO: siginfo_at, _GETREGSET: _vector, _SETREGSET: _vector, _GETSIGMASK: _mask, _SETSIGMASK: _mask,
    _PEEKSIGINFO: _signals,
}  # fmt: skip
"""By request what shows the data that a pointer points to."""


# -- kcmp --------------------------------------------------------------------------------------------------------

_KCMP_FILE, _KCMP_EPOLL = 0, 7


@shows("kcmp_index")
def kcmp_index(call: Call, value: int, arg: Arg) -> str | None:
    """A file descriptor of the first process."""
    kind = call.argument("type")
    if kind in (_KCMP_FILE, _KCMP_EPOLL):
        who = call.argument("pid1" if arg.format == "kcmp_index" else "pid2")
        number, t = s32(value), call.t.server.tasks.get(who)
        named = call.style.fds and t is not None and t.exit_status is None
        return f"{number}{target(call, number, t)}" if named else str(number)
    return None if kind in table("KCMP_").names else hexadecimal(value)


@shows("kcmp_index2")
def kcmp_index2(call: Call, value: int, arg: Arg) -> str | None:
    """A file descriptor of the second process, or a place in an epoll set."""
    kind = call.argument("type")
    if kind == _KCMP_EPOLL:
        return pointed(call, value, arg, 12, lambda data: f"{{{fields(data, '<III', 'efd tfd toff')}}}")
    return kcmp_index(call, value, arg)


# -- seccomp -----------------------------------------------------------------------------------------------------

_STRICT, _FILTER, _ACTION, _SIZES_OF_NOTES = range(4)


@shows("seccomp_flags")
def seccomp_flags(call: Call, value: int, arg: Arg) -> str:
    """Flags of a filter; nothing else has some."""
    if call.argument("operation") == _FILTER:
        return bits(call, value, "SECCOMP_FILTER_FLAG_")
    return hexadecimal(value)


@shows("seccomp_args")
def seccomp_args(call: Call, addr: int, arg: Arg) -> str:
    """A filter, an action, or sizes."""
    operation = call.argument("operation")
    given = arg._replace(direction="in")
    if operation == _FILTER:
        return pointed(call, addr, given, 16, lambda data: _program(call, data))
    if operation == _ACTION:
        return pointed(
            call, addr, given, 4, lambda data: f"[{choice(call, int.from_bytes(data, 'little'), 'SECCOMP_RET_')}]"
        )
    if operation == _SIZES_OF_NOTES:
        names = "seccomp_notif seccomp_notif_resp seccomp_data"
        return pointed(call, addr, arg, 6, lambda data: f"{{{fields(data, '<HHH', names)}}}")
    return address(call, addr)


def _program(call: Call, data: bytes) -> str:
    length, addr = struct.unpack("<H6xQ", data)
    return program(call, length, addr, "seccomp")
