"""Memory maps: mmap, mremap, madvise, mincore, mlock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, array, flag_names, flags, follows, hexadecimal, named
from linuxemu.trace.formats.numbers import listed
from syscalls.abi.flags import MAP_HUGE_MASK, MAP_HUGE_SHIFT, MAP_TYPE, MREMAP_FIXED, MREMAP_MAYMOVE

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_PAGE_SHIFT = 12
_FIXED = MREMAP_MAYMOVE | MREMAP_FIXED
_U64 = 0xFFFF_FFFF_FFFF_FFFF
_HUGE = MAP_HUGE_MASK << MAP_HUGE_SHIFT
_TYPES = {0: "MAP_FILE", **listed("MAP_", "SHARED PRIVATE SHARED_VALIDATE")}
_FLAGS = listed(
    "MAP_",
    "FIXED ANONYMOUS 32BIT NORESERVE POPULATE NONBLOCK GROWSDOWN DENYWRITE EXECUTABLE LOCKED STACK HUGETLB SYNC "
    "FIXED_NOREPLACE",
)
_SYNCS = listed("MS_", "SYNC ASYNC INVALIDATE")


def huge_size(shift: int, name: str) -> str:
    """The size of huge pages in the flags of mmap(2) and memfd_create(2)."""
    return f"{shift}<<{name}"


@shows("mmap_flags")
def mmap_flags(call: Call, value: int, arg: Arg) -> str:
    """What kind of mapping it is, its flags, and the size of its huge pages."""
    number = hexadecimal(value & _U64)
    if call.style.constants == "raw":
        return number
    value &= 0xFFFF_FFFF
    kind = value & MAP_TYPE
    parts = [_TYPES.get(kind) or f"{kind:#x} /* MAP_??? */"]
    found, rest = flag_names(value & ~(MAP_TYPE | _HUGE), _FLAGS)
    parts += found
    if rest:
        parts.append(hexadecimal(rest))
    if value & _HUGE:
        parts.append(huge_size((value & _HUGE) >> MAP_HUGE_SHIFT, "MAP_HUGE_SHIFT"))
    text = "|".join(parts)
    if call.style.constants == "verbose":
        return f"{number} /* {text} */"
    return text


@shows("msync_flags")
def msync_flags(call: Call, value: int, arg: Arg) -> str:
    """Flags of msync(2), whose prefix is also that of mount(2)."""
    return flags(call, value & 0xFFFF_FFFF, _SYNCS, "MS_???")


@shows("mremap_address")
def mremap_address(call: Call, value: int, arg: Arg) -> str | None:
    """The new address, which counts with MREMAP_MAYMOVE and MREMAP_FIXED only."""
    return address(call, value) if call.argument("flags") & _FIXED == _FIXED else None


@shows("residence")
def residence(call: Call, addr: int, arg: Arg) -> str:
    """The vector of mincore(2): one number a page, whose lowest bit counts; 4096 of them with -v."""
    length = call.argument("length")
    if addr and not length:
        return "[]"
    if not follows(call, addr, arg):
        return address(call, addr)
    pages = (length >> _PAGE_SHIFT) + bool(length & (1 << _PAGE_SHIFT) - 1)
    return array(call, addr, pages, 1, lambda data: str(data[0] & 1))


@shows("advice")
def advice(call: Call, value: int, arg: Arg) -> str:
    """Advice of madvise(2)."""
    return named(call, value, _ADVICE, "MADV_???")


_ADVICE = listed(
    "MADV_",
    "NORMAL RANDOM SEQUENTIAL WILLNEED DONTNEED FREE REMOVE DONTFORK DOFORK MERGEABLE UNMERGEABLE HUGEPAGE NOHUGEPAGE "
    "DONTDUMP DODUMP WIPEONFORK KEEPONFORK COLD PAGEOUT POPULATE_READ POPULATE_WRITE DONTNEED_LOCKED HWPOISON "
    "SOFT_OFFLINE",
)
