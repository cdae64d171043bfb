"""Who the caller is and may be: groups, capabilities, personality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows, shows_struct
from linuxemu.trace.formats.basic import (
    address,
    array,
    flag_names,
    flags,
    follows,
    hexadecimal,
    named,
    pid,
    table,
    user,
)
from linuxemu.trace.formats.numbers import listed, word
from syscalls.abi.flags import (
    _LINUX_CAPABILITY_VERSION_1,
    _LINUX_CAPABILITY_VERSION_2,
    _LINUX_CAPABILITY_VERSION_3,
)
from syscalls.abi.structs import CapUserData, CapUserHeader
from syscalls.types import Arg

if TYPE_CHECKING:
    from linuxemu.trace.call import Call

_NGROUPS_MAX = 65536
_QUERY = 0xFFFF_FFFF
_PID = Arg("s32", "pid")
_VERSIONS = {
    _LINUX_CAPABILITY_VERSION_1: "_LINUX_CAPABILITY_VERSION_1",
    _LINUX_CAPABILITY_VERSION_2: "_LINUX_CAPABILITY_VERSION_2",
    _LINUX_CAPABILITY_VERSION_3: "_LINUX_CAPABILITY_VERSION_3",
}
CAPABILITIES = {number: name for number, name in table("CAP_").items() if name != "CAP_LAST_CAP"}
"""Names of capabilities."""
_SETS = tuple(
    {1 << number - base: f"1<<{name}" for number, name in CAPABILITIES.items() if base <= number < base + 32}
    for base in (0, 32)
)
_DOMAINS = listed("PER_", "LINUX BSD LINUX32 RISCOS OSF4 HPUX")
_PERSONALITY = {
    0x0020000: "UNAME26",
    0x0040000: "ADDR_NO_RANDOMIZE",
    0x0080000: "FDPIC_FUNCPTRS",
    0x0100000: "MMAP_PAGE_ZERO",
    0x0200000: "ADDR_COMPAT_LAYOUT",
    0x0400000: "READ_IMPLIES_EXEC",
    0x0800000: "ADDR_LIMIT_32BIT",
    0x1000000: "SHORT_INODE",
    0x2000000: "WHOLE_SECONDS",
    0x4000000: "STICKY_TIMEOUTS",
    0x8000000: "ADDR_LIMIT_3GB",
}


@shows("groups")
def groups(call: Call, addr: int, arg: Arg) -> str:
    """An array of group ids, of at most as many as there can be; 4096 of them with -v."""
    count = call.argument(arg.length)
    if not follows(call, addr, arg) or count > _NGROUPS_MAX:
        return address(call, addr)
    return array(call, addr, count, 4, lambda data: user(call, word(data), arg))


@shows_struct("CapUserHeader")
def cap_header(call: Call, value: CapUserHeader) -> str:
    """The version that capget(2) is asked for, and whose capabilities."""
    version = named(call, value.version, _VERSIONS, "_LINUX_CAPABILITY_VERSION_???")
    return f"{{version={version}, pid={pid(call, value.pid, _PID)}}}"


@shows("cap_data")
def cap_data(call: Call, addr: int, arg: Arg) -> str:
    """Three sets of capabilities, in one or two structures as the version in the header says."""
    header_at = call.argument("hdrp")
    if not follows(call, addr, arg) or not header_at:
        return address(call, addr)
    header = call.read(header_at, CapUserHeader.SIZE)
    if header is None:
        return address(call, addr)
    both = CapUserHeader.unpack(header).version in (_LINUX_CAPABILITY_VERSION_2, _LINUX_CAPABILITY_VERSION_3)
    count = 2 if both else 1
    data = call.read(addr, count * CapUserData.SIZE)
    if data is None:
        return address(call, addr)
    parts = [CapUserData.unpack(data, n * CapUserData.SIZE) for n in range(count)]
    fields = (f"{name}={_cap_set(call, [getattr(part, name) for part in parts])}" for name in CapUserData.FIELDS)
    return f"{{{', '.join(fields)}}}"


def _cap_set(call: Call, words: list[int]) -> str:
    parts = [flags(call, value, names, "CAP_???") for value, names in zip(words, _SETS, strict=False) if value]
    return "|".join(parts) or "0"


def _personality(call: Call, value: int) -> str:
    domain, bits = value & 0xFF, value & ~0xFF
    text = named(call, domain, _DOMAINS, "PER_???")
    if not bits:
        return text
    found, _ = flag_names(bits, _PERSONALITY)
    return f"{text}|{flags(call, bits, _PERSONALITY, '') if found else hexadecimal(bits)}"


@shows("persona")
def persona(call: Call, value: int, arg: Arg) -> str:
    """An execution domain and its flags; 0xffffffff asks for them."""
    return hexadecimal(value) if value == _QUERY else _personality(call, value)


@shows("old_persona")
def old_persona(call: Call, value: int, arg: Arg) -> str:
    """The former execution domain as a number, and in words."""
    return f"{hexadecimal(value)} ({_personality(call, value)})"
