"""Small ELF files made by hand for the loader's tests, and what the host's own kernel says of them."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

PT_LOAD = 1
PT_INTERP = 3
PT_GNU_STACK = 0x6474E551
R, W, X = 4, 2, 1
BASE = 0x400000
CODE = 0x1000

EXIT = bytes.fromhex("b83c00000031ff0f05")  # exit(0)
PAUSE = bytes.fromhex("b8220000000f05ebf7")  # for (;;) pause()


def phdr(kind: int = PT_LOAD, **fields: int) -> dict[str, int]:
    """A program header; the default loads a page of code."""
    full = {"type": kind, "flags": R | X, "offset": CODE, "vaddr": BASE, "paddr": 0, "filesz": 0, "memsz": 0}
    full |= {"align": 0x1000} | fields
    return full


def elf(
    *phdrs: dict[str, int],
    code: bytes = EXIT,
    length: int = 0x3000,
    data: dict[int, bytes] | None = None,
    **header: Any,
) -> bytes:
    """An ELF file whose code stands at file offset CODE; every header field can be overridden."""
    fields: dict[str, Any] = {
        "ident": b"\x7fELF\2\1\1".ljust(16, b"\0"), "type": 2, "machine": 62, "version": 1, "entry": BASE,
        "phoff": 64, "shoff": 0, "flags": 0, "ehsize": 64, "phentsize": 56, "phnum": len(phdrs),
        "shentsize": 0, "shnum": 0, "shstrndx": 0,
    }  # fmt: skip
    fields |= header
    body = bytearray(length)
    body[CODE : CODE + len(code)] = code
    struct.pack_into("<16sHHIQQQIHHHHHH", body, 0, *fields.values())
    for index, one in enumerate(phdrs):
        struct.pack_into("<IIQQQQQQ", body, 64 + 56 * index, *one.values())
    for offset, piece in (data or {}).items():
        body[offset : offset + len(piece)] = piece
    return bytes(body[:length])


def load(**fields: int) -> dict[str, int]:
    return phdr(**({"filesz": 0x100, "memsz": 0x100} | fields))


def reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: data[offset : offset + length]


def write_program(directory: Path, data: bytes, name: str = "program") -> Path:
    path = directory / name
    path.write_bytes(data)
    path.chmod(stat.S_IRWXU)
    return path


def native_status(path: Path) -> int:
    """The exit status of a native run, negative for a signal, or -1000 - errno when execve failed."""
    try:
        return subprocess.run([path], check=False, timeout=10, capture_output=True, env={}).returncode
    except OSError as e:
        return -1000 - (e.errno or 0)


def wait_for_pause(pid: int) -> None:
    """Returns once the process sleeps in pause()."""
    while True:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as f:
            if f.read().split()[0] == "34":
                return
        os.sched_yield()
