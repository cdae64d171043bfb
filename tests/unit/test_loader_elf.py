"""loader.elf: what execve accepts and refuses, compared with the host's kernel."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import struct
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loader.elf import parse, parse_async
from loader.errors import EACCES, EINVAL, EIO, ELIBBAD, ENOEXEC, ExecFormatError
from loader.image import ET_DYN, ET_EXEC, PROT_EXEC, PROT_READ, PROT_WRITE, Image, Segment
from loader.plan import load_bias, plan
from tests.unit.loader_files import (
    BASE,
    PT_GNU_STACK,
    PT_INTERP,
    R,
    W,
    X,
    elf,
    load,
    native_status,
    phdr,
    reader,
    write_program,
)

GOOD = elf(load())
LIB = elf(load(vaddr=0), type=ET_DYN, entry=0)


def ident(kind: int, order: int, version: int) -> bytes:
    return (b"\x7fELF" + bytes((kind, order, version))).ljust(16, b"\0")


def interp(path: bytes = b"/no/such/file\0", **fields: int) -> dict[str, int]:
    return phdr(PT_INTERP, **({"filesz": len(path), "offset": 0x2000} | fields))


ACCEPTED = {
    "static": GOOD,
    "position independent": LIB,
    "1170 headers": elf(load(), phnum=1170, length=0x20000),
    "class 32 in the identification": elf(load(), ident=ident(1, 1, 1)),
    "big-endian in the identification": elf(load(), ident=ident(2, 2, 1)),
    "odd versions": elf(load(), ident=ident(2, 1, 77), version=99),
    "nonsense that nobody reads": elf(
        load(), ehsize=1, flags=0xFFFFFFFF, shoff=1 << 63, shnum=65535, shentsize=1, shstrndx=9
    ),
    "unaligned table": elf(phoff=65, phnum=1, data={65: struct.pack("<IIQQQQQQ", *load().values())}),
    "segment without file bytes misaligned": elf(load(), load(vaddr=BASE + 0x5000, offset=0x1001, filesz=0)),
    "huge file offset": elf(load(), load(vaddr=BASE + 0x5000, offset=1 << 40)),
    "empty segment": elf(load(), load(vaddr=BASE + 0x5000, filesz=0, memsz=0)),
    "same segment twice": elf(load(), load()),
    "descending": elf(load(vaddr=BASE + 0x1000, offset=0x2000), load()),
    "data beyond the end of the file": elf(load(), load(vaddr=BASE + 0x5000, offset=0x5000, flags=R | W)),
    "read-only bss beyond the end of the file": elf(
        load(), load(vaddr=BASE + 0x5000, offset=0x5000, flags=R, filesz=0x10)
    ),
}

REFUSED = {
    "empty": (b"", ENOEXEC),
    "magic only": (b"\x7fELF", ENOEXEC),
    "magic wrong": (b"\x7fELG" + GOOD[4:], ENOEXEC),
    "header cut at 40": (GOOD[:40], ENOEXEC),
    "header cut at 63": (GOOD[:63], ENOEXEC),
    "headers cut": (GOOD[:100], ENOEXEC),
    "object file": (elf(load(), type=1), ENOEXEC),
    "core file": (elf(load(), type=4), ENOEXEC),
    "type unknown": (elf(load(), type=0xFFFE), ENOEXEC),
    "arm": (elf(load(), machine=40), ENOEXEC),
    "aarch64": (elf(load(), machine=183), ENOEXEC),
    "machine 0": (elf(load(), machine=0), ENOEXEC),
    "no headers": (elf(load(), phnum=0), ENOEXEC),
    "1171 headers": (elf(load(), phnum=1171, length=0x20000), ENOEXEC),
    "65535 headers": (elf(load(), phnum=0xFFFF, length=0x400000), ENOEXEC),
    "header size 57": (elf(load(), phentsize=57), ENOEXEC),
    "header size 0": (elf(load(), phentsize=0), ENOEXEC),
    "table behind the end": (elf(load(), phoff=0x3000), ENOEXEC),
    "table over the end": (elf(load(), phoff=0x2FF0), ENOEXEC),
    "table at a negative offset": (elf(load(), phoff=1 << 63), ENOEXEC),
    "table at the last offset": (elf(load(), phoff=(1 << 64) - 1), ENOEXEC),
    "interpreter of 0 bytes": (elf(load(), interp(filesz=0)), ENOEXEC),
    "interpreter of 1 byte": (elf(load(), interp(filesz=1)), ENOEXEC),
    "interpreter of 4097 bytes": (elf(load(), interp(filesz=4097)), ENOEXEC),
    "interpreter without NUL": (elf(load(), interp(filesz=5), data={0x2000: b"/nope"}), ENOEXEC),
    "interpreter empty": (elf(load(), interp(filesz=5)), EACCES),
    "interpreter over the end": (elf(load(), interp(filesz=6, offset=0x2FFD)), EIO),
    "interpreter behind the end": (elf(load(), interp(filesz=6, offset=0x9000)), EIO),
    "interpreter at a negative offset": (elf(load(), interp(filesz=6, offset=1 << 63)), EINVAL),
}

FATAL = {
    "no segment": elf(phdr(4)),
    "no segment, position independent": elf(phdr(4), type=ET_DYN),
    "nothing but an empty segment": elf(load(vaddr=0, filesz=0, memsz=0), type=ET_DYN, entry=0),
    "offset misaligned": elf(load(offset=0x1001)),
    "more in the file than in memory": elf(load(filesz=0x200)),
    "memory of 2**63": elf(load(memsz=1 << 63)),
    "memory of 2**47": elf(load(memsz=1 << 47)),
    "address of the kernel": elf(load(), load(vaddr=1 << 63)),
    "address wraps": elf(load(), load(vaddr=(1 << 64) - 0x1000)),
    "sizes of 2**64 - 1": elf(load(filesz=(1 << 64) - 1, memsz=(1 << 64) - 1)),
    "first address of the kernel": elf(load(vaddr=1 << 63), type=ET_DYN, entry=1 << 63),
    "negative file offset": elf(load(), load(vaddr=BASE + 0x5000, offset=1 << 63)),
    "file offset ends at 2**63": elf(load(), load(vaddr=BASE + 0x5000, offset=(1 << 63) - 0x1000)),
    "entry in the kernel": elf(load(), entry=1 << 63),
    "bss beyond the end of the file": elf(
        load(), load(vaddr=BASE + 0x5000, offset=0x5000, flags=R | W, filesz=0x10)
    ),
}


def execute(data: bytes, *, interpreter: bool = False) -> Image:
    """Both halves of what execve checks."""
    image = parse(reader(data), len(data), interpreter=interpreter)
    plan(image, load_bias(image), len(data))
    return image


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_accepts(data: bytes) -> None:
    assert execute(data).segments


@pytest.mark.native
@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_linux_accepts_too(data: bytes, tmp_path: Path) -> None:
    assert native_status(write_program(tmp_path, data)) == 0


@pytest.mark.parametrize(("data", "code"), REFUSED.values(), ids=REFUSED)
def test_refuses_with_errno(data: bytes, code: int) -> None:
    with pytest.raises(ExecFormatError) as info:
        parse(reader(data), len(data))
    assert (info.value.errno, info.value.fatal) == (code, False)
    assert "\n" not in str(info.value)


@pytest.mark.native
@pytest.mark.parametrize(("data", "code"), REFUSED.values(), ids=REFUSED)
def test_linux_refuses_with_the_same_errno(data: bytes, code: int, tmp_path: Path) -> None:
    assert native_status(write_program(tmp_path, data)) == -1000 - code


@pytest.mark.parametrize("data", FATAL.values(), ids=FATAL)
def test_is_fatal(data: bytes) -> None:
    image = parse(reader(data), len(data))
    with pytest.raises(ExecFormatError) as info:
        plan(image, load_bias(image), len(data))
    assert info.value.fatal
    assert "\n" not in str(info.value)


@pytest.mark.native
@pytest.mark.parametrize("data", FATAL.values(), ids=FATAL)
def test_linux_kills_too(data: bytes, tmp_path: Path) -> None:
    assert native_status(write_program(tmp_path, data)) == -11


@pytest.mark.native
def test_missing_interpreter_goes_before_fatal_faults(tmp_path: Path) -> None:
    path = b"/no/such/file\0"
    data = elf(load(filesz=0x200), interp(path), data={0x2000: path})
    assert parse(reader(data), len(data)).interp == b"/no/such/file"
    assert native_status(write_program(tmp_path, data)) == -1000 - errno.ENOENT


INTERPRETERS: dict[str, tuple[bytes, int | None]] = {
    "good": (LIB, None),
    "fixed addresses": (elf(load(vaddr=0x10000000), entry=0x10000000), None),
    "names an interpreter itself": (elf(load(vaddr=0), interp(filesz=1), type=ET_DYN, entry=0), None),
    "empty": (b"", EIO),
    "script": (b"#!/bin/sh\n", EIO),
    "cut header": (LIB[:63], EIO),
    "header only": (LIB[:64], ELIBBAD),
    "magic": (b"\x7fELG" + LIB[4:], ELIBBAD),
    "machine": (elf(load(vaddr=0), type=ET_DYN, entry=0, machine=183), ELIBBAD),
    "header size": (elf(load(vaddr=0), type=ET_DYN, entry=0, phentsize=1), ELIBBAD),
    "no headers": (elf(load(vaddr=0), type=ET_DYN, entry=0, phnum=0), ELIBBAD),
    "object file": (elf(load(vaddr=0), type=1, entry=0), 0),
    "no segment": (elf(phdr(4), type=ET_DYN), 0),
    "misaligned": (elf(load(vaddr=0, offset=0x1001), type=ET_DYN, entry=0), 0),
    "entry in the kernel": (elf(load(vaddr=0), type=ET_DYN, entry=1 << 63), 0),
}


@pytest.mark.parametrize(("data", "code"), INTERPRETERS.values(), ids=INTERPRETERS)
def test_interpreter(data: bytes, code: int | None) -> None:
    if code is None:
        assert execute(data, interpreter=True).interp is None
        return
    with pytest.raises(ExecFormatError) as info:
        execute(data, interpreter=True)
    assert info.value.fatal == (code == 0)
    assert code in (0, info.value.errno)


@pytest.mark.native
@pytest.mark.parametrize(("data", "code"), INTERPRETERS.values(), ids=INTERPRETERS)
def test_linux_treats_interpreter_alike(data: bytes, code: int | None, tmp_path: Path) -> None:
    path = os.fsencode(write_program(tmp_path, data, "interp")) + b"\0"
    main = write_program(tmp_path, elf(load(), interp(path), data={0x2000: path}, code=b"\xcc"))
    expected = {None: 0, 0: -11}.get(code, -1000 - (code or 0))
    assert native_status(main) == expected


def test_fields() -> None:
    data = elf(
        load(filesz=0x800, memsz=0x800),
        load(vaddr=BASE + 0x2010, offset=0x2010, flags=R | W, filesz=0x20, memsz=0x3000, align=0x200000),
        load(vaddr=BASE - 0x1000, offset=0, flags=R, align=0x3000000),
        interp(b"/lib/ld.so\0junk\0"),
        phdr(PT_GNU_STACK, flags=R | W),
        phdr(PT_GNU_STACK, flags=R | W | X),
        data={0x2000: b"/lib/ld.so\0junk\0"},
        entry=BASE + 4,
    )
    assert parse(reader(data), len(data)) == Image(
        kind=ET_EXEC,
        entry=BASE + 4,
        segments=(
            Segment(BASE, 0x1000, 0x800, 0x800, PROT_READ | PROT_EXEC),
            Segment(BASE + 0x2010, 0x2010, 0x20, 0x3000, PROT_READ | PROT_WRITE),
            Segment(BASE - 0x1000, 0, 0x100, 0x100, PROT_READ),
        ),
        phdr_vaddr=BASE - 0x1000 + 64,
        phent=56,
        phnum=6,
        interp=b"/lib/ld.so",
        stack_exec=True,
        min_vaddr=BASE - 0x1000,
        max_vaddr=BASE + 0x5010,
        alignment=0x200000,
        extent=0x2010,
    )


def test_only_header_table_and_path_are_read() -> None:
    data = elf(load(), interp(), data={0x2000: b"/no/such/file\0"}, length=0x100000)
    asked: list[tuple[int, int]] = []

    def read(offset: int, length: int) -> bytes:
        asked.append((offset, length))
        return data[offset : offset + length]

    parse(read, len(data))
    assert asked == [(0, 64), (64, 112), (0x2000, 14)]


def test_nothing_is_read_beyond_the_end() -> None:
    def read(offset: int, length: int) -> bytes:
        assert offset + length <= 100
        return GOOD[offset : offset + length]

    with pytest.raises(ExecFormatError):
        parse(read, 100)


def test_parse_async_gives_the_same() -> None:
    async def read(offset: int, length: int) -> bytes:
        await asyncio.sleep(0)
        return GOOD[offset : offset + length]

    assert asyncio.run(parse_async(read, len(GOOD))) == parse(reader(GOOD), len(GOOD))


RICH = elf(
    load(),
    load(vaddr=BASE + 0x2010, offset=0x2010, flags=R | W, filesz=0x20, memsz=0x3000),
    interp(),
    phdr(PT_GNU_STACK, flags=R | W),
    data={0x2000: b"/no/such/file\0"},
)

changes = st.lists(
    st.tuples(
        st.integers(0, 64 + 4 * 56),
        st.sampled_from((0, 1, 0x7F, 0x80, 0xFF, 0xFFF, 0x1000, 1 << 31, 1 << 47, 1 << 63, (1 << 64) - 1))
        | st.integers(0, (1 << 64) - 1),
        st.sampled_from((1, 2, 4, 8)),
    ),
    max_size=5,
)


@given(changes=changes, length=st.none() | st.integers(0, len(RICH)), interpreter=st.booleans())
@example([(56, 0xFFFF, 2)], None, False)
def test_damaged_files_never_raise_anything_else(
    changes: list[tuple[int, int, int]], length: int | None, interpreter: bool
) -> None:
    damaged = bytearray(RICH)
    for position, value, width in changes:
        damaged[position : position + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    data = bytes(damaged[:length])
    image = None
    fatal = False
    try:
        image = parse(reader(data), len(data), interpreter=interpreter)
        mappings = plan(image, load_bias(image), len(data))
    except ExecFormatError as e:
        mappings = []
        fatal = e.fatal
    assert image is not None or not fatal
    assert image is None or mappings or fatal
    assert image is None or Image.from_bytes(image.to_bytes()) == image
    assert all(one.end <= other.start for one, other in pairwise(mappings))


@given(st.binary(max_size=300))
def test_noise_never_raises_anything_else(data: bytes) -> None:
    with pytest.raises(ExecFormatError):
        parse(reader(b"\x7fELF" + data), len(data) + 4)


SOURCE = '#include <stdio.h>\nint table[5000];\nint main(void) { return printf("hello\\n") != 6; }\n'
COMPILERS = {
    "gcc -static": ("gcc", "-static"),
    "gcc -static-pie": ("gcc", "-static-pie", "-fPIE"),
    "gcc": ("gcc", "-pie", "-fPIE"),
    "musl-gcc -static": ("musl-gcc", "-static"),
}


@pytest.mark.parametrize("command", COMPILERS.values(), ids=COMPILERS)
def test_real_programs(command: tuple[str, ...], tmp_path: Path) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    source = tmp_path / "hello.c"
    source.write_text(SOURCE)
    subprocess.run([*command, "-o", tmp_path / "hello", source], check=True)
    data = (tmp_path / "hello").read_bytes()
    image = execute(data)
    assert image.kind == (ET_DYN if "-fPIE" in command else ET_EXEC)
    assert (image.interp is not None) == ("-pie" in command)
    assert image.min_vaddr <= image.phdr_vaddr < image.max_vaddr
    assert image.min_vaddr <= image.entry < image.max_vaddr
    assert not image.stack_exec
    mappings = plan(image, load_bias(image), len(data))
    zeros = sum(mapping.end - mapping.file_bytes_end for mapping in mappings if not mapping.anonymous)
    zeros += sum(mapping.end - mapping.start for mapping in mappings if mapping.anonymous)
    assert zeros >= 20000
