"""Events to be measured: struct perf_event_attr."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from linuxemu.trace.formats import shows
from linuxemu.trace.formats.basic import address, follows, hexadecimal
from linuxemu.trace.formats.choices import bits, choice

if TYPE_CHECKING:
    from linuxemu.trace.call import Call
    from syscalls.types import Arg

_SMALLEST, _LARGEST = 64, 128
_HARDWARE, _SOFTWARE, _TRACEPOINT, _CACHE, _RAW, _BREAKPOINT = range(6)
_BITS = (
    "disabled", "inherit", "pinned", "exclusive", "exclude_user", "exclude_kernel", "exclude_hv", "exclude_idle",
    "mmap", "comm", "freq", "inherit_stat", "enable_on_exec", "task", "watermark",
)  # fmt: skip
_MORE_BITS = (
    "mmap_data", "sample_id_all", "exclude_host", "exclude_guest", "exclude_callchain_kernel",
    "exclude_callchain_user", "mmap2", "comm_exec", "use_clockid", "context_switch", "write_backward", "namespaces",
    "ksymbol", "bpf_event", "aux_output", "cgroup", "text_poke", "build_id", "inherit_thread", "remove_on_exec",
    "sigtrap",
)  # fmt: skip
_FREQ, _WATERMARK, _CLOCK_ID = 1 << 10, 1 << 14, 1 << 25
_RESERVED_FROM = 38
_PRECISE = ("arbitrary skid", "constant skid", "requested to have 0 skid", "must have 0 skid")
_BRANCHES, _STACK = 1 << 11, 1 << 13


@shows("perf_event_attr")
def perf_event_attr(call: Call, addr: int, arg: Arg) -> str:
    """A struct perf_event_attr of any size; the most important part unless -v is given."""
    head = call.read(addr, 8) if follows(call, addr, arg) else None
    if head is None:
        return address(call, addr)
    size = int.from_bytes(head[4:], "little")
    known = min(max(size, _SMALLEST), _LARGEST)
    data = call.read(addr, known)
    if data is None:
        return address(call, addr)
    parts = _beginning(call, data, size)
    if call.plan.abbrev:
        parts.append("...")
    else:
        parts += _rest(call, data.ljust(_LARGEST, b"\0"), known)
        if size > _LARGEST:
            parts.append("...")
    return f"{{{', '.join(parts)}}}"


def _beginning(call: Call, data: bytes, size: int) -> list[str]:
    kind, _, config, period, sample, formats, how = struct.unpack_from("<IIQQQQQ", data)
    parts = [
        f"type={choice(call, kind, 'PERF_TYPE_')}",
        f"size={choice(call, size, 'PERF_ATTR_SIZE_')}",
        f"config={_config(call, kind, config)}",
        f"sample_{'freq' if how & _FREQ else 'period'}={period}",
        f"sample_type={bits(call, sample, 'PERF_SAMPLE_')}",
        f"read_format={bits(call, formats, 'PERF_FORMAT_')}",
    ]
    parts += _named_bits(call, _BITS, how)
    precise = how >> len(_BITS) & 3
    parts.append(f"precise_ip={precise} /* {_PRECISE[precise]} */")
    parts += _named_bits(call, _MORE_BITS, how >> len(_BITS) + 2)
    reserved = how >> _RESERVED_FROM
    if reserved:
        parts.append(f"__reserved_1={reserved:#x} /* Bits 63..{_RESERVED_FROM} */")
    return parts


def _named_bits(call: Call, names: tuple[str, ...], value: int) -> list[str]:
    """Bits of their own; those that are zero with -v only."""
    return [
        f"{name}={value >> position & 1}"
        for position, name in enumerate(names)
        if value >> position & 1 or not call.plan.abbrev
    ]


def _config(call: Call, kind: int, config: int) -> str:
    if kind == _HARDWARE:
        return choice(call, config, "PERF_COUNT_HW_")
    if kind == _SOFTWARE:
        return choice(call, config, "PERF_COUNT_SW_")
    if kind == _TRACEPOINT:
        return str(config)
    if kind == _CACHE:
        text = (
            f"{choice(call, config >> 16 & 0xFF, 'PERF_COUNT_HW_CACHE_RESULT_')}<<16|"
            f"{choice(call, config >> 8 & 0xFF, 'PERF_COUNT_HW_CACHE_OP_')}<<8|"
            f"{choice(call, config & 0xFF, 'PERF_COUNT_HW_CACHE_')}"
        )
        return f"{config >> 24:#x}<<24|{text}" if config >> 24 else text
    return hexadecimal(config)


def _unused(first: int, last: int, value: int) -> str:
    return f" /* bytes {first}..{last}: {value:#x} */" if value else ""


def _rest(call: Call, data: bytes, known: int) -> list[str]:
    """What -v adds, as far as the structure goes."""
    kind, sample, how = (struct.unpack_from("<Q", data, at)[0] for at in (0, 24, 40))
    kind &= 0xFFFF_FFFF
    wakeup, bp_type, config1, config2, branches, user, stack, clock, intr, aux, depth, gap, aux_size, end, sig = (
        struct.unpack_from("<IIQQQQIiQIHHIIQ", data, 48)
    )
    breakpoint = kind == _BREAKPOINT
    found = [
        (48, f"wakeup_{'watermark' if how & _WATERMARK else 'events'}={wakeup}"),
        (52, f"bp_type={choice(call, bp_type, 'HW_BREAKPOINT_')}" if breakpoint else ""),
        (56, f"bp_addr={hexadecimal(config1)}" if breakpoint else f"config1={hexadecimal(config1)}"),
        (64, f"bp_len={config2}" if breakpoint else f"config2={hexadecimal(config2)}"),
        (72, f"branch_sample_type={hexadecimal(branches)}" if sample & _BRANCHES else ""),
        (80, f"sample_regs_user={hexadecimal(user)}"),
        (88, f"sample_stack_user={hexadecimal(stack)}" if sample & _STACK else ""),
        (92, f"clockid={clock}" if how & _CLOCK_ID else ""),
        (96, f"sample_regs_intr={hexadecimal(intr)}"),
        (104, f"aux_watermark={aux}"),
        (108, f"sample_max_stack={depth}{_unused(110, 111, gap)}"),
        (112, f"aux_sample_size={aux_size}{_unused(116, 119, end)}"),
        (120, f"sig_data={hexadecimal(sig)}"),
    ]
    return [text for offset, text in found if text and offset < known]
