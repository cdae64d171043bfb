"""prctl(2) and arch_prctl(2): the operation decides what the other arguments and the result are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import CALLS, shows
from linuxemu.trace.formats import prctl_names as names
from linuxemu.trace.formats.basic import address, flag_names, flags, hexadecimal, named, peek, pid, worded
from linuxemu.trace.formats.filters import program
from linuxemu.trace.formats.identity import CAPABILITIES
from linuxemu.trace.formats.numbers import filled
from linuxemu.trace.formats.siginfos import signal_value
from linuxemu.trace.formats.strings import quote, string
from syscalls.abi import flags as constants
from syscalls.types import Arg, s32

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from linuxemu.trace.call import Call

    Show = Callable[[Call, int], str]

_U32, _U64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF
_COMM_LEN = 16
_PID = Arg("s32", "pid")
_STRING = Arg(None, "str")
_TGID = 1
_SECCOMP_STRICT, _SECCOMP_FILTER = 1, 2
_VL_BITS = 0xFFFF
_TAG_SHIFT, _TAG_MASK, _TCF_MASK = 3, 0x7FFF8, 6


# -- values -----------------------------------------------------------------------------------------------


def _decimal(call: Call, value: int) -> str:
    return str(value)


def _signed(call: Call, value: int) -> str:
    return str(value - (1 << 64) if value >> 63 else value)


def _signal(call: Call, value: int) -> str:
    return signal_value(value, call.style)


def _hex(call: Call, value: int) -> str:
    return hexadecimal(value)


def _one_of(table: Mapping[int, str], unknown: str, mask: int = _U64) -> Show:
    return lambda call, value: named(call, value & mask, table, unknown)


def _some_of(table: Mapping[int, str], unknown: str, mask: int = _U64) -> Show:
    return lambda call, value: flags(call, value & mask, table, unknown)


def _ptracer(call: Call, value: int) -> str:
    number = s32(value)
    return worded(call, number, "PR_SET_PTRACER_ANY") if number == -1 else pid(call, number, _PID)


def _comm(call: Call, addr: int, most: int) -> str:
    """A command name, whose end is looked for in so many bytes."""
    limit = min(most, call.style.string_limit)
    found = call.cstr(addr, limit - 1) if addr else None
    if found is None:
        return address(call, addr)
    data, ended = found
    if ended:
        return quote(data, call.style.hex_strings)
    data = call.read_some(addr, limit)
    return quote(data, call.style.hex_strings) + "..."


def _vector_length(table: Mapping[int, str]) -> Show:
    def show(call: Call, value: int) -> str:
        if call.style.constants == "raw":
            return hexadecimal(value)
        text = _length_text(value, table)
        return f"{hexadecimal(value)} /* {text} */" if call.style.constants == "verbose" and value else text

    return show


def _length_text(value: int, table: Mapping[int, str]) -> str:
    found, rest = flag_names(value & ~_VL_BITS, table)
    if rest:
        found.append(hexadecimal(rest))
    return "|".join([*found, hexadecimal(value & _VL_BITS)])


def _tagged(call: Call, value: int) -> str:
    return worded(call, hexadecimal(value), _tagged_text(value))


def _tagged_text(value: int) -> str:
    parts = ["PR_TAGGED_ADDR_ENABLE" if value & 1 else "!PR_TAGGED_ADDR_ENABLE", names.TAG_CHECKS[value & _TCF_MASK]]
    if value & _TAG_MASK:
        parts.append(f"{(value & _TAG_MASK) >> _TAG_SHIFT:#x}<<PR_MTE_TAG_SHIFT")
    rest = value & ~(1 | _TCF_MASK | _TAG_MASK)
    return "|".join([*parts, hexadecimal(rest)] if rest else parts)


_cap = _one_of(CAPABILITIES, "CAP_???")


# -- arguments --------------------------------------------------------------------------------------------

_FORMS: dict[int, tuple[Show, bool]] = {
    constants.PR_SET_PDEATHSIG: (_signal, False),
    constants.PR_SET_DUMPABLE: (_one_of(names.DUMPABLE, "SUID_DUMP_???"), False),
    constants.PR_SET_UNALIGN: (_some_of(names.UNALIGN, "PR_UNALIGN_???", _U32), False),
    constants.PR_SET_KEEPCAPS: (_decimal, False),
    constants.PR_SET_FPEMU: (_decimal, False),
    constants.PR_SET_FPEXC: (_decimal, False),
    constants.PR_SET_TIMING: (_decimal, False),
    constants.PR_SET_NAME: (lambda call, addr: _comm(call, addr, _COMM_LEN - 1), False),
    constants.PR_SET_ENDIAN: (_decimal, False),
    constants.PR_CAPBSET_READ: (_cap, False),
    constants.PR_CAPBSET_DROP: (_cap, False),
    constants.PR_SET_TSC: (_one_of(names.TSC, "PR_TSC_???", _U32), False),
    constants.PR_SET_SECUREBITS: (_some_of(names.SECUREBITS, "SECBIT_???"), False),
    constants.PR_SET_TIMERSLACK: (_signed, False),
    constants.PR_SET_MM: (_one_of(names.SET_MM, "PR_SET_MM_???", _U32), True),
    constants.PR_SET_CHILD_SUBREAPER: (_decimal, False),
    constants.PR_SET_NO_NEW_PRIVS: (_decimal, True),
    constants.PR_GET_NO_NEW_PRIVS: (_hex, True),
    constants.PR_SET_THP_DISABLE: (_decimal, True),
    constants.PR_SET_FP_MODE: (_some_of(names.FP_MODE, "PR_FP_MODE_???", _U32), False),
    50: (_vector_length(names.SVE), False),
    63: (_vector_length(names.SME), False),
    constants.PR_GET_SPECULATION_CTRL: (_one_of(names.SPECULATION, "PR_SPEC_???"), False),
    54: (_some_of(names.KEYS, "PR_PAC_???"), True),
    55: (_tagged, True),
    constants.PR_SET_IO_FLUSHER: (_decimal, True),
    constants.PR_SET_PTRACER: (_ptracer, False),
}
"""How the second argument is shown, and whether the three behind it are, in hexadecimal."""
_ALONE = {
    constants.PR_GET_DUMPABLE, constants.PR_GET_KEEPCAPS, constants.PR_GET_TIMING, constants.PR_GET_SECCOMP,
    constants.PR_GET_SECUREBITS, constants.PR_GET_TIMERSLACK, constants.PR_TASK_PERF_EVENTS_DISABLE,
    constants.PR_TASK_PERF_EVENTS_ENABLE, constants.PR_GET_FP_MODE, 51, 64,
}  # fmt: skip
_FILLED: dict[int, tuple[int, Show]] = {
    constants.PR_GET_PDEATHSIG: (4, lambda call, value: _signal(call, s32(value))),
    constants.PR_GET_UNALIGN: (4, _some_of(names.UNALIGN, "PR_UNALIGN_???")),
    constants.PR_GET_FPEMU: (4, _decimal),
    constants.PR_GET_FPEXC: (4, _decimal),
    constants.PR_GET_ENDIAN: (4, _decimal),
    constants.PR_GET_TSC: (4, _one_of(names.TSC, "PR_TSC_???")),
    constants.PR_GET_CHILD_SUBREAPER: (4, _decimal),
    constants.PR_GET_TID_ADDRESS: (8, address),
}
"""What the kernel stores where the second argument points to: its size, and how it is shown."""
_LATE = {*_FILLED, constants.PR_GET_NAME, constants.PR_SCHED_CORE}


def _rest(call: Call, first: int) -> list[str]:
    return [hexadecimal(value) for value in call.args[first:]]


def _prctl_entry(call: Call) -> list[str]:
    op, arg2 = call.args[0], call.args[1]
    head = [named(call, op & _U32, names.OPTIONS, "PR_???")]
    if op not in _LATE:
        call.separator = ""
    form = _FORMS.get(op)
    if form is not None:
        show, more = form
        return [*head, show(call, arg2), *(_rest(call, 2) if more else [])]
    if op in _ALONE or op in _FILLED or op == constants.PR_GET_NAME:
        return head
    special = _SPECIAL.get(op)
    return head + (special(call, arg2) if special is not None else _rest(call, 1))


def _prctl_exit(call: Call) -> list[str]:
    op, arg2 = call.args[0], call.args[1]
    stored = _FILLED.get(op)
    if stored is not None:
        size, show = stored
        return [filled(call, arg2, size, lambda value: show(call, value))]
    if op == constants.PR_GET_NAME:
        return [address(call, arg2) if call.failed else _comm(call, arg2, _COMM_LEN)]
    if op == constants.PR_SCHED_CORE:
        cookie = call.args[4]
        if arg2 & _U32:
            return [address(call, cookie)]
        return [filled(call, cookie, 8, hexadecimal)]
    return []


def _seccomp(call: Call, mode: int) -> list[str]:
    text = named(call, mode, names.SECCOMP, "SECCOMP_MODE_???")
    if mode == _SECCOMP_STRICT:
        return [text]
    return [text, _filter(call, call.args[2])] if mode == _SECCOMP_FILTER else [text, *_rest(call, 2)]


def _mce_kill(call: Call, kind: int) -> list[str]:
    text = named(call, kind, names.MCE_KILL, "PR_MCE_KILL_???")
    if kind != 1:
        return [text, *_rest(call, 2)]
    return [text, named(call, call.args[2], names.MCE_POLICY, "PR_MCE_KILL_???"), *_rest(call, 3)]


def _ambient(call: Call, kind: int) -> list[str]:
    text = named(call, kind, names.AMBIENT, "PR_CAP_AMBIENT_???")
    with_cap = kind in (
        constants.PR_CAP_AMBIENT_IS_SET, constants.PR_CAP_AMBIENT_RAISE, constants.PR_CAP_AMBIENT_LOWER,
    )  # fmt: skip
    return [text, _cap(call, call.args[2]), *_rest(call, 3)] if with_cap else [text, *_rest(call, 2)]


def _speculation(call: Call, what: int) -> list[str]:
    text = named(call, what, names.SPECULATION, "PR_SPEC_???")
    value = call.args[2]
    known = what in names.SPECULATION
    return [text, named(call, value, names.SPECULATION_SET, "PR_SPEC_???") if known else hexadecimal(value)]


def _dispatch(call: Call, mode: int) -> list[str]:
    text = named(call, mode, names.DISPATCH, "PR_SYS_DISPATCH_???")
    return [text, *_rest(call, 2)[:2], address(call, call.args[4])]


def _enabled_keys(call: Call, affected: int) -> list[str]:
    show = _some_of(names.ENABLED_KEYS, "PR_PAC_???")
    return [show(call, affected), show(call, call.args[2]), *_rest(call, 3)]


def _sched_core(call: Call, command: int) -> list[str]:
    kind = call.args[3] & _U32
    text = hexadecimal(kind)
    if call.style.constants != "raw":
        text += f" /* {names.PID_TYPES.get(kind, 'PIDTYPE_???')} */"
    operation = named(call, command & _U32, names.SCHED_CORE, "PR_SCHED_CORE_???")
    who = s32(call.args[2])
    return [operation, pid(call, who, _PID) if kind <= _TGID else str(who), text]


def _vma(call: Call, what: int) -> list[str]:
    text = named(call, what, names.VMA, "PR_SET_VMA_???")
    if what != constants.PR_SET_VMA_ANON_NAME:
        return [text, *_rest(call, 2)]
    _, _, addr, size, name = call.args
    return [text, address(call, addr), str(size), string(call, name, _STRING)]


_SPECIAL: dict[int, Callable[[Call, int], list[str]]] = {
    constants.PR_SET_SECCOMP: _seccomp,
    constants.PR_MCE_KILL: _mce_kill,
    constants.PR_CAP_AMBIENT: _ambient,
    constants.PR_SET_SPECULATION_CTRL: _speculation,
    constants.PR_SET_SYSCALL_USER_DISPATCH: _dispatch,
    60: _enabled_keys,
    constants.PR_SCHED_CORE: _sched_core,
    constants.PR_SET_VMA: _vma,
}
CALLS["prctl"] = (_prctl_entry, _prctl_exit)


# -- results ----------------------------------------------------------------------------------------------


def _state(table: Mapping[int, str]) -> Callable[[int], str]:
    def words(value: int) -> str:
        found, rest = flag_names(value, table)
        if not value:
            return table.get(0, "")
        return "|".join([*found, hexadecimal(rest)] if rest else found) if found else ""

    return words


_RESULTS: dict[int, Callable[[int], str]] = {
    constants.PR_GET_SECUREBITS: _state(names.SECUREBITS),
    constants.PR_GET_FP_MODE: _state(names.FP_MODE),
    51: lambda value: _length_text(value, names.SVE) if value & ~_VL_BITS else "",
    64: lambda value: _length_text(value, names.SME) if value & ~_VL_BITS else "",
    constants.PR_GET_SPECULATION_CTRL: _state(names.SPECULATION_STATE),
    56: _tagged_text,
    61: _state(names.ENABLED_KEYS),
}
"""Results in hexadecimal, and their words."""
_NAMED_RESULTS = {constants.PR_GET_DUMPABLE: names.DUMPABLE, constants.PR_MCE_KILL_GET: names.MCE_POLICY}


@shows("prctl_result")
def prctl_result(call: Call, value: int, arg: Arg) -> str:
    """A result as a number, and in words where the operation gives it a meaning."""
    op = call.args[0]
    words = _RESULTS.get(op)
    if words is None:
        name = _NAMED_RESULTS.get(op, {}).get(value)
        return f"{value} ({name})" if name else str(value)
    known = call.style.constants != "raw"
    if op == constants.PR_GET_SPECULATION_CTRL:
        known = known and call.args[1] in names.SPECULATION
    text = words(value) if known else ""
    return f"{hexadecimal(value)} ({text})" if text else hexadecimal(value)


# -- arch_prctl -------------------------------------------------------------------------------------------

_ARCH_GET = (constants.ARCH_GET_FS, constants.ARCH_GET_GS)
_ARCH_MASKS = (constants.ARCH_GET_XCOMP_SUPP, constants.ARCH_GET_XCOMP_PERM, 0x1024)
_ARCH_FEATURE = (constants.ARCH_REQ_XCOMP_PERM, 0x1025)


def _arch_entry(call: Call) -> list[str]:
    op, value = call.args
    head = [named(call, op & _U32, names.ARCH_OPTIONS, "ARCH_???")]
    if op == constants.ARCH_GET_CPUID or op in _ARCH_GET or op in _ARCH_MASKS:
        call.separator = "" if op == constants.ARCH_GET_CPUID else ", "
        return head
    call.separator = ""
    text = hexadecimal(value)
    if op in _ARCH_FEATURE and call.style.constants != "raw":
        text += f" /* {names.FEATURES.get(value, 'XFEATURE_???')} */"
    return [*head, text]


def _arch_exit(call: Call) -> list[str]:
    op, addr = call.args
    if op in _ARCH_GET:
        return [filled(call, addr, 8, lambda value: address(call, value))]
    if op in _ARCH_MASKS:
        return [filled(call, addr, 8, lambda value: _features(call, value))]
    return []


def _features(call: Call, value: int) -> str:
    found, rest = flag_names(value, names.FEATURE_MASKS)
    if not value or call.style.constants == "raw":
        return hexadecimal(value)
    if not found:
        return f"{hexadecimal(value)} /* XFEATURE_MASK_??? */"
    return f"{hexadecimal(value)} /* {'|'.join([*found, hexadecimal(rest)] if rest else found)} */"


CALLS["arch_prctl"] = (_arch_entry, _arch_exit)


def _filter(call: Call, addr: int) -> str:
    """A struct sock_fprog."""
    data = peek(call, addr, 16)
    if data is None:
        return address(call, addr)
    length, where = int.from_bytes(data[:2], "little"), int.from_bytes(data[8:], "little")
    return program(call, length, where, "seccomp")
