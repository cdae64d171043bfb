"""ELF files, as `load_elf_binary` of Linux reads them (man 5 elf).

Linux looks at fewer fields than a validator would: it ignores EI_CLASS, EI_DATA and every version field,
takes overlapping segments and reads nothing but the header, the program headers and the interpreter's path.
So does this module, or a program that runs on Linux would not run here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from io import BytesIO
from typing import Any

from loader.errors import EACCES, EINVAL, EIO, ELIBBAD, ENOEXEC, ExecFormatError
from loader.image import ET_DYN, ET_EXEC, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE, Image, Segment

__all__ = ["ExecFormatError", "Image", "Segment", "parse", "parse_async", "parsing"]

_MAGIC = b"\x7fELF"
# Linux does not look at what else the identification says, so the parser must not either.
_IDENT = (_MAGIC + b"\2\1\1").ljust(16, b"\0")
_HEADER_SIZE = 64
_PHDR_SIZE = 56
_MAX_PHDRS = 65536 // _PHDR_SIZE
_PATH_MAX = 4096
_MAX_OFFSET = 1 << 63
_WORD = (1 << 64) - 1
_PROT_OF_FLAG = ((4, PROT_READ), (2, PROT_WRITE), (1, PROT_EXEC))


def parse(read: Callable[[int, int], bytes], size: int, *, interpreter: bool = False) -> Image:
    """Reads an ELF file the way execve does before it gives up the old program (man 2 execve).

    Args:
        read: gives up to `length` bytes at `offset`; called as read(offset, length).
        size: length of the file in bytes.
        interpreter: the file is the PT_INTERP of another, where Linux reports other errors.

    Raises:
        ExecFormatError: never a fatal one; those come from `loader.plan`.
    """
    steps = parsing(size, interpreter=interpreter)
    try:
        request = next(steps)
        while True:
            request = steps.send(read(*request))
    except StopIteration as done:
        image: Image = done.value
        return image


async def parse_async(
    read: Callable[[int, int], Awaitable[bytes]], size: int, *, interpreter: bool = False
) -> Image:
    """`parse` for a `read` that must be awaited."""
    steps = parsing(size, interpreter=interpreter)
    try:
        request = next(steps)
        while True:
            request = steps.send(await read(*request))
    except StopIteration as done:
        image: Image = done.value
        return image


def parsing(size: int, *, interpreter: bool = False) -> Generator[tuple[int, int], bytes, Image]:
    """The parser without its reader: yields (offset, length), is sent the bytes there, returns the Image."""
    head = yield from _read(0, _HEADER_SIZE, size)
    if interpreter and len(head) < _HEADER_SIZE:
        raise ExecFormatError("interpreter is shorter than an ELF header", EIO)
    errno = ELIBBAD if interpreter else ENOEXEC
    header, kind = _header(head, errno, any_kind=interpreter)
    table_size = _table_size(header, errno)
    table = yield from _read(header.e_phoff, table_size, size)
    if len(table) < table_size:
        raise ExecFormatError("program headers lie outside the file", errno)
    phdrs = _phdrs(table)
    extent = max(_HEADER_SIZE, header.e_phoff + table_size)
    interp = None
    wanted = None if interpreter else _first(phdrs, "PT_INTERP")
    if wanted is not None:
        if not 2 <= wanted.p_filesz <= _PATH_MAX:
            raise ExecFormatError(f"PT_INTERP has a length of {wanted.p_filesz}")
        interp = _interp((yield from _read(wanted.p_offset, wanted.p_filesz, size)), wanted)
        extent = max(extent, wanted.p_offset + wanted.p_filesz)
    return _image(header, kind, phdrs, interp, extent)


def _read(offset: int, length: int, size: int) -> Generator[tuple[int, int], bytes, bytes]:
    """Asks for a range of the file; nothing is asked for where the file has nothing."""
    if offset >= size:
        return b""
    data = yield offset, min(length, size - offset)
    return data[:length]


def _header(head: bytes, errno: int, *, any_kind: bool) -> tuple[Any, int]:
    """The ELF header and its e_type as a number; Linux pads a short file with zeros here."""
    if not head.startswith(_MAGIC):
        raise ExecFormatError("not an ELF file", errno)
    padded = _IDENT + head[len(_IDENT) :].ljust(_HEADER_SIZE, b"\0")
    header = _structs().Elf_Ehdr.parse_stream(BytesIO(padded))
    kind = {"ET_EXEC": ET_EXEC, "ET_DYN": ET_DYN}.get(header.e_type, 0)
    if not kind and not any_kind:
        raise ExecFormatError(f"an ELF file of type {header.e_type} is no program", errno)
    if header.e_machine != "EM_X86_64":
        raise ExecFormatError(f"a program for {header.e_machine} instead of EM_X86_64", errno)
    return header, kind


def _table_size(header: Any, errno: int) -> int:
    """Length of the program header table in bytes."""
    if header.e_phentsize != _PHDR_SIZE:
        raise ExecFormatError(f"program headers of {header.e_phentsize} bytes instead of {_PHDR_SIZE}", errno)
    if not 0 < header.e_phnum <= _MAX_PHDRS:
        raise ExecFormatError(f"{header.e_phnum} program headers", errno)
    return int(header.e_phnum) * _PHDR_SIZE


def _structs() -> Any:
    """The 64-bit little-endian structures of pyelftools, whose import is too slow for the start of a run."""
    from elftools.elf.structs import ELFStructs

    structs = ELFStructs(little_endian=True, elfclass=64)
    structs.create_basic_structs()
    structs.create_advanced_structs()
    return structs


def _phdrs(table: bytes) -> list[Any]:
    stream = BytesIO(table)
    parse_one = _structs().Elf_Phdr.parse_stream
    return [parse_one(stream) for _ in range(len(table) // _PHDR_SIZE)]


def _first(phdrs: list[Any], kind: str) -> Any:
    return next((phdr for phdr in phdrs if phdr.p_type == kind), None)


def _interp(data: bytes, phdr: Any) -> bytes:
    """The path in a PT_INTERP segment: up to the first NUL, and the last byte must be one."""
    if phdr.p_offset >= _MAX_OFFSET:
        raise ExecFormatError("PT_INTERP has a negative file offset", EINVAL)
    if len(data) < phdr.p_filesz:
        raise ExecFormatError("PT_INTERP lies outside the file", EIO)
    if data[-1]:
        raise ExecFormatError("PT_INTERP does not end with NUL")
    path = data[: data.index(0)]
    if not path:
        # Linux looks up the empty path, finds the working directory and cannot execute that.
        raise ExecFormatError("PT_INTERP is an empty path", EACCES)
    return path


def _image(header: Any, kind: int, phdrs: list[Any], interp: bytes | None, extent: int) -> Image:
    loads = [phdr for phdr in phdrs if phdr.p_type == "PT_LOAD"]
    segments = tuple(
        Segment(load.p_vaddr, load.p_offset, load.p_filesz, load.p_memsz, _prot(load.p_flags))
        for load in loads
    )
    stacks = [phdr for phdr in phdrs if phdr.p_type == "PT_GNU_STACK"]
    return Image(
        kind=kind,
        entry=header.e_entry,
        segments=segments,
        phdr_vaddr=_phdr_vaddr(header.e_phoff, segments),
        phent=_PHDR_SIZE,
        phnum=header.e_phnum,
        interp=interp,
        stack_exec=bool(stacks and stacks[-1].p_flags & 1),
        min_vaddr=min((segment.vaddr & -PAGE_SIZE for segment in segments), default=0),
        max_vaddr=max((segment.vaddr + segment.memsz & _WORD for segment in segments), default=0),
        alignment=max((phdr.p_align for phdr in loads if phdr.p_align.bit_count() == 1), default=PAGE_SIZE),
        extent=extent,
    )


def _prot(flags: int) -> int:
    return sum(prot for flag, prot in _PROT_OF_FLAG if flags & flag)


def _phdr_vaddr(phoff: int, segments: tuple[Segment, ...]) -> int:
    """Where the table lands in memory; as on Linux the last segment that holds its start wins."""
    found = 0
    for segment in segments:
        if segment.offset <= phoff < segment.offset + segment.filesz:
            found = phoff - segment.offset + segment.vaddr & _WORD
    return found
