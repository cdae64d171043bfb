"""From a parsed image to the mappings of a new address space, as Linux makes them (man 2 execve)."""

from __future__ import annotations

from typing import NamedTuple

from loader.errors import EFAULT, EINVAL, ENOMEM, EOVERFLOW, ExecFormatError
from loader.image import ET_DYN, ET_EXEC, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE, Image, Segment

TASK_SIZE = (1 << 47) - PAGE_SIZE
"""First address that no user mapping reaches, with four levels of page tables."""

PIE_BASE = TASK_SIZE // 3 * 2 & -PAGE_SIZE
"""Where ET_DYN programs go, 0x555555554000: two thirds up, with room for the heap and far from the stack."""

_MAX_OFFSET = 1 << 63


class Mapping(NamedTuple):
    """A page-aligned private mapping of a program file, or of zeros where `anonymous`."""

    start: int
    end: int
    prot: int
    file_offset: int
    """Offset in the file of the byte at `start`, a multiple of the page size; 0 where anonymous."""
    file_bytes_end: int
    """Address in the last page where the file's bytes end and zeros begin; `end` when there are no zeros."""
    anonymous: bool


def load_bias(image: Image, base: int = PIE_BASE) -> int:
    """What is added to an image's addresses: 0 for ET_EXEC, else what puts its first segment at `base`."""
    if image.kind != ET_DYN or not image.segments:
        return 0
    return (base & -max(image.alignment, PAGE_SIZE)) - image.segments[0].vaddr & -PAGE_SIZE


def brk_start(image: Image, bias: int) -> int:
    """Where the heap begins (man 2 brk): the page after the end of the highest segment."""
    return _up(image.max_vaddr + bias)


def plan(image: Image, bias: int, size: int | None = None) -> list[Mapping]:
    """The mappings of an image, ascending and disjoint: where segments overlap the later one wins.

    Args:
        image: a program, or the interpreter of one.
        bias: what `load_bias` gave.
        size: length of the file in bytes, if known: bytes to clear that lie beyond its end are an error.

    Raises:
        ExecFormatError: always a fatal one.
    """
    if image.kind not in (ET_EXEC, ET_DYN):
        raise _fatal("interpreter is no ELF program", EINVAL)
    if not image.segments:
        raise _fatal("no PT_LOAD segment", EINVAL)
    if image.kind == ET_DYN and image.max_vaddr <= image.min_vaddr:
        raise _fatal("nothing to load", EINVAL)
    mappings: list[Mapping] = []
    for segment in image.segments:
        _check(segment, bias)
        for mapping in _map(segment, bias, size):
            mappings = _without(mappings, mapping.start, mapping.end)
            mappings.append(mapping)
    if image.interp is None and not 0 <= image.entry + bias < TASK_SIZE:
        raise _fatal(f"entry point {image.entry:#x} is not a user address", EINVAL)
    mappings.sort()
    return mappings


def _check(segment: Segment, bias: int) -> None:
    where = f"segment at {segment.vaddr:#x}"
    if segment.filesz and (segment.offset - segment.vaddr) % PAGE_SIZE:
        raise _fatal(f"{where}: file offset {segment.offset:#x} differs modulo the page size", EINVAL)
    if segment.filesz and _up(segment.offset + segment.filesz) >= _MAX_OFFSET:
        raise _fatal(f"{where}: file offset {segment.offset:#x} is too large", EOVERFLOW)
    if segment.filesz > segment.memsz:
        raise _fatal(f"{where}: more bytes in the file than in memory", EINVAL)
    if segment.vaddr >= TASK_SIZE or segment.vaddr + segment.memsz > TASK_SIZE:
        raise _fatal(f"{where}: {segment.memsz:#x} bytes do not fit the address space", EINVAL)
    if not 0 <= segment.vaddr + bias <= TASK_SIZE - segment.memsz:
        raise _fatal(f"{where}: {segment.memsz:#x} bytes do not fit behind the load address", ENOMEM)


def _map(segment: Segment, bias: int, size: int | None) -> list[Mapping]:
    """The file part and the zero part of one segment, either of which may be missing."""
    address = segment.vaddr + bias
    start = address & -PAGE_SIZE
    file_end = address + segment.filesz
    zeros = start
    mappings = []
    if segment.filesz:
        zeros = _up(file_end)
        # Linux clears the rest of the last page through the mapping itself, so only of a writable one.
        clears = segment.memsz > segment.filesz and segment.prot & PROT_WRITE
        if not clears:
            file_end = zeros
        elif file_end < zeros and size is not None and segment.offset + segment.filesz > _up(size):
            raise _fatal(f"segment at {segment.vaddr:#x} lies outside the file", EFAULT)
        offset = segment.offset & -PAGE_SIZE
        mappings.append(Mapping(start, zeros, segment.prot, offset, file_end, anonymous=False))
    end = _up(address + segment.memsz)
    if segment.memsz > segment.filesz and end > zeros:
        prot = PROT_READ | PROT_WRITE | segment.prot & PROT_EXEC
        mappings.append(Mapping(zeros, end, prot, 0, end, anonymous=True))
    return mappings


def _without(mappings: list[Mapping], start: int, end: int) -> list[Mapping]:
    """The mappings with a hole from `start` to `end`, as MAP_FIXED leaves them."""
    kept = []
    for old in mappings:
        if old.end <= start or old.start >= end:
            kept.append(old)
            continue
        if old.start < start:
            kept.append(old._replace(end=start, file_bytes_end=min(old.file_bytes_end, start)))
        if old.end > end:
            offset = 0 if old.anonymous else old.file_offset + end - old.start
            kept.append(old._replace(start=end, file_offset=offset))
    return kept


def _up(address: int) -> int:
    return address + PAGE_SIZE - 1 & -PAGE_SIZE


def _fatal(reason: str, errno: int) -> ExecFormatError:
    return ExecFormatError(reason, errno, fatal=True)
