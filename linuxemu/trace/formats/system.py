"""The system as a whole: names, memory, random bytes, kernel log, reboot; and calls of other modules by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import CALLS, shows, shows_struct
from linuxemu.trace.formats.basic import (
    address,
    flag_names,
    flags,
    hexadecimal,
    named,
    plain_struct,
    table,
    worded,
)
from linuxemu.trace.formats.memory import huge_size
from linuxemu.trace.formats.strings import bytes_at, quote, string
from syscalls.abi import flags as constants
from syscalls.types import Arg

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.abi.structs import Sysinfo, Utsname

_U32 = 0xFFFF_FFFF
_NAME_MAX = 64
_UTS_LENGTH = 65
_STRING = Arg(None, "str")


# -- names and figures ------------------------------------------------------------------------------------


@shows_struct("Utsname")
def utsname(call: Call, value: Utsname) -> str:
    """System and host, the rest with -v."""
    names = value.FIELDS[:2] if call.plan.abbrev else value.FIELDS
    parts = [f"{name}={_uts_name(call, getattr(value, name))}" for name in names]
    return f"{{{', '.join([*parts, '...'] if call.plan.abbrev else parts)}}}"


def _uts_name(call: Call, raw: bytes) -> str:
    text, nul, _ = raw.partition(b"\0")
    if nul or len(raw) < _UTS_LENGTH:
        return quote(text, call.style.hex_strings)
    return quote(text[: _UTS_LENGTH - 1], call.style.hex_strings) + "..."


@shows_struct("Sysinfo")
def sysinfo(call: Call, value: Sysinfo) -> str:
    """Load averages as one array; seconds as an unsigned number."""
    text = plain_struct(call, value.replace(uptime=value.uptime & 0xFFFF_FFFF_FFFF_FFFF))
    loads = f"load1={value.load1}, load5={value.load5}, load15={value.load15}"
    return text.replace(loads, f"loads=[{value.load1}, {value.load5}, {value.load15}]")


@shows("host_name")
def host_name(call: Call, addr: int, arg: Arg) -> str:
    """A name of at most 64 bytes; the address of a longer one."""
    length = call.argument("len") & _U32
    return address(call, addr) if length > _NAME_MAX or not addr else bytes_at(call, addr, length)


@shows("hex_buffer")
def hex_buffer(call: Call, addr: int, arg: Arg) -> str:
    """What getrandom(2) filled, byte by byte in hexadecimal."""
    if call.failed or not addr:
        return address(call, addr)
    return bytes_at(call, addr, call.argument("result"), "all")


# -- kernel log, reboot -----------------------------------------------------------------------------------

_ACTIONS = table("SYSLOG_ACTION_")
_FILLS = (constants.SYSLOG_ACTION_READ, constants.SYSLOG_ACTION_READ_ALL, constants.SYSLOG_ACTION_READ_CLEAR)
_LEVELS = {
    0: "LOGLEVEL_EMERG",
    1: "LOGLEVEL_ALERT",
    2: "LOGLEVEL_CRIT",
    3: "LOGLEVEL_ERR",
    4: "LOGLEVEL_WARNING",
    5: "LOGLEVEL_NOTICE",
    6: "LOGLEVEL_INFO",
    7: "LOGLEVEL_DEBUG",
    8: "LOGLEVEL_DEBUG+1",
}


def _syslog_entry(call: Call) -> list[str]:
    action, addr, length = call.args
    head = f"{action} /* {_ACTIONS.get(action, 'SYSLOG_ACTION_???')} */"
    if action in _FILLS:
        return [head]
    call.separator = ""
    if action == constants.SYSLOG_ACTION_CONSOLE_LEVEL:
        return [head, address(call, addr), f"{length} /* {_LEVELS.get(length, 'LOGLEVEL_???')} */"]
    return [head] if action in _ACTIONS else [head, address(call, addr), str(length)]


def _syslog_exit(call: Call) -> list[str]:
    action, addr, length = call.args
    if action not in _FILLS:
        return []
    filled = addr and not call.failed
    return [bytes_at(call, addr, call.argument("result")) if filled else address(call, addr), str(length)]


CALLS["syslog"] = (_syslog_entry, _syslog_exit)

_MAGIC2 = {
    getattr(constants, name): name
    for name in ("LINUX_REBOOT_MAGIC2", "LINUX_REBOOT_MAGIC2A", "LINUX_REBOOT_MAGIC2B", "LINUX_REBOOT_MAGIC2C")
}


@shows("reboot_magic1")
def reboot_magic1(call: Call, value: int, arg: Arg) -> str:
    """The first number that keeps accidents away."""
    return named(call, value, {constants.LINUX_REBOOT_MAGIC1: "LINUX_REBOOT_MAGIC1"}, "LINUX_REBOOT_MAGIC_???")


@shows("reboot_magic2")
def reboot_magic2(call: Call, value: int, arg: Arg) -> str:
    """The second number that keeps accidents away."""
    return named(call, value, _MAGIC2, "LINUX_REBOOT_MAGIC_???")


@shows("reboot_arg")
def reboot_arg(call: Call, addr: int, arg: Arg) -> str | None:
    """The command of LINUX_REBOOT_CMD_RESTART2."""
    return string(call, addr, arg) if call.argument("op") == constants.LINUX_REBOOT_CMD_RESTART2 else None


# -- membarrier, memfd_create -------------------------------------------------------------------------------

_BARRIERS = {
    1: "MEMBARRIER_CMD_GLOBAL",
    2: "MEMBARRIER_CMD_GLOBAL_EXPEDITED",
    4: "MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED",
    8: "MEMBARRIER_CMD_PRIVATE_EXPEDITED",
    16: "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED",
    32: "MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE",
    64: "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE",
    128: "MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ",
    256: "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ",
}
_BARRIER_COMMANDS = {0: "MEMBARRIER_CMD_QUERY", **_BARRIERS}
_BARRIER_FLAGS = {1: "MEMBARRIER_CMD_FLAG_CPU"}
_MEMFD_FLAGS = {1: "MFD_CLOEXEC", 2: "MFD_ALLOW_SEALING", 4: "MFD_HUGETLB"}
_MEMFD_HUGE_SHIFT = 26
_MEMFD_NAME_MAX = 249


@shows("membarrier_cmd")
def membarrier_command(call: Call, value: int, arg: Arg) -> str:
    """A command of membarrier(2)."""
    return named(call, value & _U32, _BARRIER_COMMANDS, "MEMBARRIER_CMD_???")


@shows("membarrier_flags")
def membarrier_flags(call: Call, value: int, arg: Arg) -> str:
    """Whether a processor is named."""
    return flags(call, value, _BARRIER_FLAGS, "MEMBARRIER_CMD_FLAG_???")


@shows("membarrier_cpu")
def membarrier_cpu(call: Call, value: int, arg: Arg) -> str | None:
    """A processor, if a flag says that there is one."""
    return str(value & _U32) if call.argument("flags") & 1 else None


@shows("membarrier_result")
def membarrier_result(call: Call, value: int, arg: Arg) -> str:
    """For MEMBARRIER_CMD_QUERY the commands that there are."""
    if call.argument("cmd") or not value:
        return str(value)
    return f"{hexadecimal(value)} ({flags(call, value, _BARRIERS, 'MEMBARRIER_CMD_???')})"


@shows("memfd_flags")
def memfd_flags(call: Call, value: int, arg: Arg) -> str:
    """Flags of memfd_create(2), among them the size of huge pages."""
    huge, bits = value >> _MEMFD_HUGE_SHIFT, value & (1 << _MEMFD_HUGE_SHIFT) - 1
    if not huge or call.style.constants == "raw":
        text = flags(call, value, _MEMFD_FLAGS, "MFD_???")
        unknown = call.style.constants == "verbose" and text.endswith("??? */")
        return f"{hexadecimal(value)} /* {text} */" if unknown else text
    found, rest = flag_names(bits, _MEMFD_FLAGS)
    if rest:
        found.append(hexadecimal(rest))
    return worded(call, hexadecimal(value), "|".join([*found, huge_size(huge, "MFD_HUGE_SHIFT")]))
